#include "lib.h"
#include "str-sanitize.h"
#include "dovecot-compat.h"
#include "array.h"
#include "mail-storage.h"
#include "doveadm.h"
#include "recall-params.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"

#include <unistd.h>

const char *
recall_cmd_param_title(const struct doveadm_cmd_context *cctx,
		       const char *name)
{
	const struct doveadm_cmd_param *param = cctx->cmd->parameters;

	while (param->name != NULL && strcmp(param->name, name) != 0)
		param++;
	if (param->name != NULL &&
	    (param->flags & CMD_PARAM_FLAG_POSITIONAL) != 0)
		return t_strdup_printf("<%s>", name);
	if (param->name == NULL || param->short_opt == '\0')
		return t_strconcat("--", name, NULL);
	return t_strdup_printf("--%s (-%c)", name, param->short_opt);
}

void recall_cmd_regain_root(void)
{
	if (getuid() == 0 && geteuid() != 0 && seteuid(0) < 0)
		i_fatal("seteuid(0) failed: %m");
}

int recall_cmd_params_check(const struct doveadm_cmd_context *cctx)
{
	int i;

	recall_cmd_regain_root();
	for (i = 0; i < cctx->argc; i++) {
		const struct doveadm_cmd_param *param = &cctx->argv[i];

		if (!param->value_set || param->type != CMD_PARAM_STR ||
		    param->value.v_string != NULL)
			continue;
		recall_cmd_error(cctx, EX_USAGE, "%s has no value",
				 recall_cmd_param_title(cctx, param->name));
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
		recall_cmd_error(cctx, EX_USAGE,
				 "%s is not a number from 1 on",
				 recall_cmd_param_title(cctx, name));
		return -1;
	}
	return 1;
}

int recall_cmd_param_numbers(const struct doveadm_cmd_context *cctx,
			     const char *name, unsigned int count,
			     const unsigned int **values_r)
{
	const char *const *texts;
	unsigned int i, *values;

	if (!doveadm_cmd_param_array(cctx, name, &texts))
		return 0;
	values = t_new(unsigned int, count + 1);
	for (i = 0; i < count && texts[i] != NULL; i++) {
		if (str_to_uint(texts[i], &values[i]) < 0) {
			recall_cmd_error(cctx, EX_USAGE,
				"%s: %s is not a number from 0 on",
				recall_cmd_param_title(cctx, name),
				str_sanitize(texts[i], 80));
			return -1;
		}
	}
	if (i < count || texts[i] != NULL) {
		recall_cmd_error(cctx, EX_USAGE,
			"%s is not a list of %u numbers: one a user",
			recall_cmd_param_title(cctx, name), count);
		return -1;
	}
	*values_r = values;
	return 1;
}

int recall_cmd_param_since(const struct doveadm_cmd_context *cctx,
			   time_t *since)
{
	const char *value;
	bool utc;

	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_SINCE, &value) ||
	    (value != NULL &&
	     mail_parse_human_timestamp(value, since, &utc) == 0))
		return 0;
	recall_cmd_error(cctx, EX_USAGE, "--"RECALL_PARAM_SINCE
		" is neither a date (2026-01-31), nor an interval (7days)");
	return -1;
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
		recall_cmd_error(cctx, EX_USAGE,
				 "%s is neither true nor false", http_name);
		return -1;
	}
	return 0;
}

void recall_cmd_register(struct doveadm_cmd_ver2 *cmd)
{
	const struct doveadm_cmd_param *param;
	struct doveadm_cmd_param *params;
	unsigned int n = 0;

	for (param = cmd->parameters; param->name != NULL; param++)
		n++;
	/* for as long as the process lives, as the command itself */
	params = i_new(struct doveadm_cmd_param, n + 1);
	n = 0;
	for (param = cmd->parameters; param->name != NULL; param++) {
		/* A flag has a second spelling for the HTTP API, see
		   RECALL_CMD_FLAG_PARAM(). At the shell it would only be in
		   the way of what is abbreviated: --dry. */
		if (!doveadm_server &&
		    (param->flags & CMD_PARAM_FLAG_DO_NOT_EXPOSE) != 0)
			continue;
		params[n] = *param;
		if (doveadm_server &&
		    strcmp(param->name, RECALL_PARAM_USER) == 0)
			params[n].type = RECALL_HTTP_USER_TYPE;
		n++;
	}
	cmd->parameters = params;
	doveadm_cmd_register_ver2(cmd);
}

bool recall_cmd_param_user(const struct doveadm_cmd_context *cctx,
			   const char *const **users_r)
{
	const char *user, **users;

	if (!doveadm_server || RECALL_HTTP_USER_TYPE == CMD_PARAM_ARRAY)
		return doveadm_cmd_param_array(cctx, RECALL_PARAM_USER,
					       users_r);
	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_USER, &user))
		return FALSE;
	users = t_new(const char *, 2);
	users[0] = user;
	*users_r = users;
	return TRUE;
}
