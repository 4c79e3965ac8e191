#ifndef DOVEADM_ANSWER_H
#define DOVEADM_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What doveadm's HTTP API answers. A node is believed as far as its users go:
   whatever it sends, the service goes on. */

enum doveadm_result {
	DOVEADM_OK = 0,
	/* The command was refused or failed; see its exit code. */
	DOVEADM_FAILED,
	/* Nothing answered, or not like doveadm. */
	DOVEADM_UNREACHABLE,
	/* No answer in time. */
	DOVEADM_TIMEOUT
};

/* What is answered: an array of rows; an object, by `user`; or the array of all
   commands there are. */
enum doveadm_form {
	DOVEADM_ROWS = 0,
	DOVEADM_OBJECT,
	DOVEADM_COMMANDS
};

/* Reads the body of an answer. DOVEADM_OK: what was answered is in answer_r, a
   reference of the caller; it is of the form. DOVEADM_FAILED, with the exit
   code, or DOVEADM_UNREACHABLE: why is in error_r; the caller frees it. */
enum doveadm_result
doveadm_answer_read(const char *data, size_t len, enum doveadm_form form,
		    json_t **answer_r, int *exit_code_r, char **error_r);

/* A column of a row that doveadm answers, "" where it has none. */
const char *row_text(const json_t *row, const char *name);
/* One that is a number, at most ROW_NUMBER_MAX, which many times over still is
   one; 0 where it is none. */
#define ROW_NUMBER_MAX ((int64_t)1 << 48)
int64_t row_number(const json_t *row, const char *name);

/* Whether rows of `recall users` are what was asked for: at most `limit` names,
   each above the one before, the first above `after` (NULL: any), and with
   those that were listed before, which *listed counts, at most `max`
   (doveadm.max_users). A node that was broken into could list users without end
   otherwise. Returns NULL, or why it is not asked for more (the caller frees
   it). */
char *doveadm_users_check(const json_t *rows, const char *after, size_t limit,
			  uint64_t *listed, int64_t max);

#endif
