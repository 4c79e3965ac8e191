#ifndef RECALL_CMD_PARAMS_H
#define RECALL_CMD_PARAMS_H

struct doveadm_cmd_context;

/* What doveadm's own reading of parameters leaves open. These log why a
   parameter is refused, set doveadm_exit_code to EX_USAGE and return -1. */

/* Users' privileges are taken on only for a time, but neither Dovecot's
   commands nor ours give the last user's back. Those who do not have root's
   can't look up another user, nor do they get at standing orders. */
void recall_cmd_regain_root(void);

/* Refuses texts that are null in the JSON of an HTTP request: doveadm gives
   them as a NULL that it says is set. All commands call this first, and have
   root's privileges then. */
int recall_cmd_params_check(const struct doveadm_cmd_context *cctx);

/* What users know a parameter as: "--limit (-l)", or "<recall-id>" where it's
   not an option. */
const char *
recall_cmd_param_title(const struct doveadm_cmd_context *cctx,
		       const char *name);

/* A number from 1 on. Returns 1, or 0 if it was not given. doveadm's integers
   would pass over what is no number. The parameter is a CMD_PARAM_STR. */
int recall_cmd_param_number(const struct doveadm_cmd_context *cctx,
			    const char *name, unsigned int *value_r);

/* A list of so many numbers from 0 on, of the data stack. Returns 1, or 0 if it
   was not given. The parameter is a CMD_PARAM_ARRAY. */
int recall_cmd_param_numbers(const struct doveadm_cmd_context *cctx,
			     const char *name, unsigned int count,
			     const unsigned int **values_r);

/* The time of RECALL_PARAM_SINCE; it is left as it is if that was not given. */
int recall_cmd_param_since(const struct doveadm_cmd_context *cctx,
			   time_t *since);

/* A flag that must not be misread. doveadm's HTTP API takes whatever is not the
   JSON value true for false: 1 and "yes", too. So there the flag is a text, a
   parameter that only has the camelCase spelling and comes first. */
#define RECALL_CMD_FLAG_PARAM(short_opt, name, http_name) \
DOVEADM_CMD_PARAM('\0', http_name, CMD_PARAM_STR, \
		  CMD_PARAM_FLAG_DO_NOT_EXPOSE) \
DOVEADM_CMD_PARAM(short_opt, name, CMD_PARAM_BOOL, 0)

/* Reads such a flag; FALSE if it was not given. Returns -1 if it is neither
   true nor false; that has been logged then and doveadm_exit_code set. */
int recall_cmd_param_flag(const struct doveadm_cmd_context *cctx,
			  const char *name, const char *http_name,
			  bool *value_r);

struct doveadm_cmd_ver2;

/* doveadm_cmd_register_ver2() with the parameters that go with who asks: the
   shell, or doveadm's HTTP API. */
void recall_cmd_register(struct doveadm_cmd_ver2 *cmd);

/* Whether the parameter RECALL_PARAM_USER is given, and which users it names,
   NULL-terminated. */
bool recall_cmd_param_user(const struct doveadm_cmd_context *cctx,
			   const char *const **users_r);

#endif
