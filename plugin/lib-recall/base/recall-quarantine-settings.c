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

bool recall_quarantine_is_held(struct mail_user *user)
{
	static const char *const no[] = { "no", "off", "false", "0", NULL };

	/* what is not understood must not let go of anything */
	return !is_one_of(recall_settings(user)->recall_hold, no);
}

static const char *hold_get_prefix(struct mail_user *user)
{
	static const char *const yes[] = { "yes", "on", "true", "1", NULL };
	const char *hold = recall_settings(user)->recall_hold;

	return is_one_of(hold, yes) ? HOLD_PREFIX : hold;
}

const char *recall_quarantine_get_prefix(struct mail_user *user)
{
	const char *prefix = recall_settings(user)->recall_quarantine;

	if (*prefix != '\0' && strcmp(prefix, "off") != 0)
		return prefix;
	return recall_quarantine_is_held(user) ? hold_get_prefix(user) : NULL;
}

bool recall_quarantine_is_namespace(struct mail_namespace *ns)
{
	/* a mistake in the settings must not take away the user's mail */
	return (ns->flags & NAMESPACE_FLAG_INBOX_USER) == 0 &&
		null_strcmp(ns->prefix,
			    recall_quarantine_get_prefix(ns->user)) == 0;
}
