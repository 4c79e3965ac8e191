#ifndef RECALL_CMD_PARAMS_H
#define RECALL_CMD_PARAMS_H

struct doveadm_cmd_context;

/* What doveadm's own reading of parameters leaves open. These log why a
   parameter is refused, set doveadm_exit_code to EX_USAGE and return -1. */

/* Refuses texts that are null in the JSON of an HTTP request: doveadm gives
   them as a NULL that it says is set. All commands call this first. */
int recall_cmd_params_check(const struct doveadm_cmd_context *cctx);

/* A number from 1 on. Returns 1, or 0 if it was not given. doveadm's integers
   would pass over what is no number. The parameter is a CMD_PARAM_STR. */
int recall_cmd_param_number(const struct doveadm_cmd_context *cctx,
			    const char *name, unsigned int *value_r);

#endif
