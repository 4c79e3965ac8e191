#include "lib.h"
#include "dovecot-compat.h"
#include "module-context.h"
#include "mail-user.h"
#include "recall-settings.h"

#define RECALL_USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_user_module)

struct recall_user {
	union mail_user_module_context module_ctx;
	const struct recall_settings *set;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_user_module,
				  &mail_user_module_register);

int recall_settings_init_user(struct mail_user *user, const char **error_r)
{
	struct recall_user *ruser = RECALL_USER_CONTEXT(user);
	const struct recall_settings *set;

	if (ruser != NULL)
		return 0;
	if (recall_settings_read(user, &set, error_r) < 0)
		return -1;
	ruser = p_new(user->pool, struct recall_user, 1);
	ruser->set = set;
	MODULE_CONTEXT_SET(user, recall_user_module, ruser);
	return 0;
}

const struct recall_settings *recall_settings(struct mail_user *user)
{
	struct recall_user *ruser;
	const char *error;

	if (recall_settings_init_user(user, &error) < 0)
		i_fatal("User %s: %s", user->username, error);
	ruser = RECALL_USER_CONTEXT(user);
	return ruser->set;
}

const char *recall_userdb_field(struct mail_user *user, const char *name)
{
	const char *const *field = user->userdb_fields;
	size_t len = strlen(name);

	for (; field != NULL && *field != NULL; field++) {
		if (strncmp(*field, name, len) == 0 && (*field)[len] == '=')
			return *field + len + 1;
	}
	return NULL;
}
