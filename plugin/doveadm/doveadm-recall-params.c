#include "lib.h"
#include "doveadm.h"
#include "doveadm-recall-params.h"

int recall_cmd_params_check(const struct doveadm_cmd_context *cctx)
{
	int i;

	for (i = 0; i < cctx->argc; i++) {
		const struct doveadm_cmd_param *param = &cctx->argv[i];

		if (!param->value_set || param->type != CMD_PARAM_STR ||
		    param->value.v_string != NULL)
			continue;
		i_error("%s: --%s has no value", cctx->cmd->name, param->name);
		doveadm_exit_code = EX_USAGE;
		return -1;
	}
	return 0;
}

int recall_cmd_param_number(const struct doveadm_cmd_context *cctx,
			    const char *name, unsigned int *value_r)
{
	const char *value;

	if (!doveadm_cmd_param_str(cctx, name, &value))
		return 0;
	if (str_to_uint(value, value_r) < 0 || *value_r == 0) {
		i_error("%s: --%s is not a number from 1 on", cctx->cmd->name,
			name);
		doveadm_exit_code = EX_USAGE;
		return -1;
	}
	return 1;
}

int recall_cmd_param_flag(const struct doveadm_cmd_context *cctx,
			  const char *name, const char *http_name,
			  bool *value_r)
{
	const char *value;

	*value_r = FALSE;
	(void)doveadm_cmd_param_bool(cctx, name, value_r);
	if (!doveadm_cmd_param_str(cctx, http_name, &value))
		return 0;
	if (strcmp(value, "true") == 0)
		*value_r = TRUE;
	else if (strcmp(value, "false") != 0) {
		i_error("%s: %s is neither true nor false", cctx->cmd->name,
			http_name);
		doveadm_exit_code = EX_USAGE;
		return -1;
	}
	return 0;
}
