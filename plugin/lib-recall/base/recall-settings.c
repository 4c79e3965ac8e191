#include "lib.h"
#include "dovecot-compat.h"
#include "module-context.h"
#include "mail-user.h"
#include "recall-params.h"
#include "recall-settings.h"

#define RECALL_USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_user_module)

struct recall_user {
	union mail_user_module_context module_ctx;
	const struct recall_settings *set;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_user_module,
				  &mail_user_module_register);

void recall_settings_fill_empty(struct recall_settings *set)
{
	const struct {
		const char **value, *def;
	} strings[] = {
		{ &set->recall_notice_name, RECALL_NOTICE_NAME_DEFAULT },
		{ &set->recall_notice_delivery,
		  RECALL_NOTICE_DELIVERY_DEFAULT },
		{ &set->recall_notice_dir, RECALL_NOTICE_DIR },
		{ &set->recall_notice_lang, RECALL_NOTICE_LANG_DEFAULT },
		{ &set->recall_quarantine_days,
		  RECALL_QUARANTINE_DAYS_DEFAULT },
		{ &set->recall_hold, RECALL_HOLD_DEFAULT },
		{ &set->recall_jobs_max, RECALL_JOBS_MAX_DEFAULT },
		{ &set->recall_stand, RECALL_STAND_DEFAULT },
		{ &set->recall_standing_dir, RECALL_STANDING_DIR },
		{ &set->recall_standing_max, RECALL_STANDING_MAX_DEFAULT },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(strings); i++) {
		if (**strings[i].value == '\0')
			*strings[i].value = strings[i].def;
	}
}

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
