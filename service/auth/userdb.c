#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "recall-params.h"
#include "recall-tenant-name.h"
#include "address.h"
#include "alloc.h"
#include "log.h"
#include "strlist.h"
#include "userdb.h"

/* No role is one, too: such a user may not log in here. */
static enum role parse_role(const struct config *config, const char *value)
{
	if (value == NULL)
		return (enum role)config->auth_default_role;
	if (strlen(value) == 1 && *value >= '1' && *value <= '3')
		return (enum role)(*value - '0');
	return ROLE_NONE;
}

/* Mail is delivered to a locked account, so the userdb has it. */
static bool is_locked(const struct config *config, const json_t *fields)
{
	const char *value = json_string_value(
		json_object_get(fields, config->auth_status_field));

	return value != NULL && strcmp(value, "1") != 0;
}

bool userdb_read(const struct config *config, const char *login,
		 const json_t *answer, struct identity *identity_r,
		 struct strlist *aliases)
{
	const json_t *fields = json_object_iter_value(
		json_object_iter((json_t *)answer));
	const char *tenant, *alias, *lang;
	enum role role;

	if (json_object_size(fields) == 0)
		return false;
	role = parse_role(config, json_string_value(
		json_object_get(fields, config->auth_role_field)));
	if (role == ROLE_NONE) {
		log_warning("userdb: %s has no valid role in field %s", login,
			    config->auth_role_field);
		return false;
	}
	if (is_locked(config, fields)) {
		log_warning("userdb: %s is locked by field %s", login,
			    config->auth_status_field);
		return false;
	}
	tenant = json_string_value(json_object_get(fields,
						   config->auth_tenant_field));
	alias = json_string_value(json_object_get(fields,
						  config->auth_alias_field));
	lang = json_string_value(json_object_get(fields,
						 RECALL_USERDB_LANG));
	identity_r->role = role;
	if (lang != NULL)
		identity_r->lang = x_strdup(lang);
	identity_r->login = x_strdup(login);
	identity_r->tenant = x_strdup(recall_tenant_name(tenant));
	if (aliases != NULL && alias != NULL)
		strlist_split(aliases, alias);
	return true;
}

/* The answer is a reference of the caller. */
static enum doveadm_result
ask(struct config *config, const char *login, json_t **answer_r)
{
	struct doveadm_call call = {
		.config = config,
		.urls = config_node_urls(config, login),
		.command = "user",
		.object = true,
	};

	*answer_r = NULL;
	/* a mask would list other users */
	if (address_check(login) != NULL)
		return DOVEADM_FAILED;
	call.params = json_pack("{s:[s]}", "user-mask", login);
	doveadm_call_run(&call);
	free(call.error);
	*answer_r = call.answer;
	/* anything else than that there is no such user may pass */
	if (call.result == DOVEADM_FAILED && call.exit_code != EX_NOUSER)
		return DOVEADM_UNREACHABLE;
	return call.result;
}

enum doveadm_result
userdb_lookup(struct config *config, const char *login,
	      struct identity *identity_r, struct strlist *aliases)
{
	enum doveadm_result result;
	json_t *answer;

	memset(identity_r, 0, sizeof(*identity_r));
	result = ask(config, login, &answer);
	if (result == DOVEADM_OK &&
	    !userdb_read(config, login, answer, identity_r, aliases))
		result = DOVEADM_FAILED;
	json_decref(answer);
	return result;
}

enum doveadm_result
userdb_names(struct config *config, const char *login, struct strlist *names,
	     char **mailbox_r)
{
	const json_t *fields;
	const char *alias, *user = NULL;
	enum doveadm_result result;
	json_t *answer;

	strlist_add(names, login);
	result = ask(config, login, &answer);
	if (result == DOVEADM_OK) {
		fields = json_object_iter_value(json_object_iter(answer));
		alias = json_string_value(json_object_get(fields,
			config->auth_alias_field));
		/* where the login is an alias */
		user = json_string_value(json_object_get(fields, "user"));
		if (alias != NULL)
			strlist_split(names, alias);
		if (user != NULL)
			strlist_add(names, user);
	}
	*mailbox_r = x_strdup(user != NULL ? user : login);
	json_decref(answer);
	return result;
}
