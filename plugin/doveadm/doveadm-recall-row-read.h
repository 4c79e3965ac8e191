#ifndef RECALL_ROW_READ_H
#define RECALL_ROW_READ_H

struct recall_row;

/* Verdict rows that another process has printed. */

/* Reads the columns; the row points to them, and has the username as it was
   asked for. Returns -1 if they are none of a verdict. */
int recall_row_read(const char *username, const char *const *columns,
		    struct recall_row *row_r);
/* The same as a row, which is an `error` if the columns are of no verdict. */
void recall_row_print_columns(const char *recall_id, const char *username,
			      const char *const *columns);
/* Of two names of one mailbox, which two processes have looked at: whether the
   other row tells what was done. */
bool recall_row_is_better(const char *const *columns,
			  const char *const *other);

#endif
