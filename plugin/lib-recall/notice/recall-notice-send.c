#include "lib.h"
#include "str.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-storage-settings.h"
#include "mail-user.h"
#include "recall-list-index.h"
#include "recall-params.h"
#include "recall-save.h"
#include "recall-settings.h"
#include "recall-notice-from.h"
#include "recall-notice-render.h"
#include "recall-notice-submit.h"
#include "recall-notice-template.h"

#include <time.h>

static const char *get_lang(struct mail_user *user)
{
	const char *lang = recall_userdb_field(user, RECALL_USERDB_LANG);

	return lang != NULL && recall_notice_lang_normalize(lang) != NULL ?
		lang : recall_settings(user)->recall_notice_lang;
}

static void
get_envelope(struct mail_user *user, struct recall_notice_envelope *env_r)
{
	const struct recall_settings *set = recall_settings(user);

	*env_r = (struct recall_notice_envelope) {
		.from_address = *set->recall_notice_from != '\0' ?
			set->recall_notice_from :
			recall_notice_default_from(user->set),
		.from_name = set->recall_notice_name,
		.username = user->username,
		.hostname = recall_notice_hostname(user->set),
		.now = time(NULL),
	};
}

const char *recall_notice_get_message_id(struct mail_user *user,
					 const struct recall_notice *notice)
{
	struct recall_notice_envelope env;

	get_envelope(user, &env);
	return recall_notice_render_message_id(notice, &env);
}

static int
render(struct mail_user *user, const struct recall_notice *notice,
       const struct recall_notice_envelope *env, string_t *dest,
       const char **error_r)
{
	const char *dir = recall_settings(user)->recall_notice_dir;
	const struct recall_notice_template *tmpl;

	if (recall_notice_template_load(pool_datastack_create(), dir,
					get_lang(user), &tmpl, error_r) < 0)
		return -1;
	return recall_notice_render(notice, tmpl, env, dest, error_r);
}

static int
save_to_inbox(struct mail_user *user, const string_t *message,
	      const char **error_r)
{
	/* The owner's ACL no more keeps the notice out than it keeps the
	   recall out. An INBOX that is missing is created when it's opened. */
	const enum mailbox_flags flags = MAILBOX_FLAG_SAVEONLY |
		MAILBOX_FLAG_POST_SESSION | MAILBOX_FLAG_IGNORE_ACLS;
	struct mail_namespace *ns =
		mail_namespace_find_inbox(user->namespaces);
	struct mailbox *box = mailbox_alloc(ns->list, "INBOX", flags);
	int ret;

	ret = mailbox_open(box);
	if (ret == 0) {
		recall_list_index_begin(box);
		ret = recall_save(box, 0, message, "recall notice");
		recall_list_index_end(box);
	}
	if (ret < 0) {
		*error_r = t_strdup_printf("Saving to INBOX failed: %s",
			mailbox_get_last_internal_error(box, NULL));
	}
	mailbox_free(&box);
	return ret;
}

static int
submit(struct mail_user *user, const struct recall_notice_envelope *env,
       const string_t *message, const char **error_r)
{
	const char *address = recall_notice_address(user->username, env);

	if (address == NULL) {
		*error_r = "The user's name is not a mail address";
		return -1;
	}
	return recall_notice_submit_user(user, address, message, error_r);
}

int recall_notice_send(struct mail_user *user,
		       const struct recall_notice *notice,
		       const char **error_r)
{
	struct recall_notice_envelope env;
	string_t *message = t_str_new(4096);
	bool submitting;

	get_envelope(user, &env);
	if (recall_settings_parse_delivery(
			recall_settings(user)->recall_notice_delivery,
			&submitting, error_r) < 0 ||
	    render(user, notice, &env, message, error_r) < 0)
		return -1;
	return submitting ? submit(user, &env, message, error_r) :
		save_to_inbox(user, message, error_r);
}
