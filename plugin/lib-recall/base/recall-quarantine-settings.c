#include "lib.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "recall-settings.h"
#include "recall-quarantine-settings.h"

/* Where what is held goes if the quarantine is off and nobody says. */
#define HOLD_PREFIX ".RECALLED/"

static bool is_one_of(const char *value, const char *const *words)
{
	return str_array_icase_find(words, value);
}

static bool is_held(const char *hold)
{
	static const char *const no[] = { "no", "off", "false", "0", NULL };

	/* what is not understood must not let go of anything */
	return !is_one_of(hold, no);
}

bool recall_quarantine_is_held(struct mail_user *user)
{
	return is_held(recall_settings(user)->recall_hold);
}

const char *recall_quarantine_prefix_of(const char *quarantine,
					const char *hold)
{
	static const char *const yes[] = { "yes", "on", "true", "1", NULL };

	if (*quarantine != '\0' &&
	    strcmp(quarantine, RECALL_QUARANTINE_DEFAULT) != 0)
		return quarantine;
	if (!is_held(hold))
		return NULL;
	return is_one_of(hold, yes) ? HOLD_PREFIX : hold;
}

const char *recall_quarantine_get_prefix(struct mail_user *user)
{
	const struct recall_settings *set = recall_settings(user);

	return recall_quarantine_prefix_of(set->recall_quarantine,
					   set->recall_hold);
}

bool recall_quarantine_is_namespace(struct mail_namespace *ns)
{
	/* a mistake in the settings must not take mail away from users */
	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		(ns->flags & NAMESPACE_FLAG_INBOX_USER) == 0 &&
		null_strcmp(ns->prefix,
			    recall_quarantine_get_prefix(ns->user)) == 0;
}
