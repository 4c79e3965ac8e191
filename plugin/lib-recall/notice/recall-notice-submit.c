#include "lib.h"
#include "ostream.h"
#include "settings-parser.h"
#include "smtp-address.h"
#include "smtp-submit.h"
#include "str.h"
#include "var-expand.h"
#include "master-service-ssl-settings.h"
#include "mail-storage-service.h"
#include "mail-user.h"
#include "recall-notice-submit.h"

static const struct smtp_submit_settings *
find_settings(const struct setting_parser_context *parser)
{
	const struct setting_parser_info *info =
		&smtp_submit_setting_parser_info;
	const struct setting_parser_info *const *roots =
		settings_parser_get_roots(parser);
	void **sets = settings_parser_get_list(parser);
	unsigned int i;

	for (i = 0; roots[i] != NULL; i++) {
		if (strcmp(roots[i]->module_name, info->module_name) == 0)
			return sets[i];
	}
	return NULL;
}

int recall_notice_submission_init(pool_t pool,
				  struct setting_parser_context *parser,
				  const struct var_expand_table *table,
				  struct recall_notice_submission *submission_r,
				  const char **error_r)
{
	const struct smtp_submit_settings *set = find_settings(parser);
	struct smtp_submit_settings *dup;
	const char *error;

	if (set == NULL) {
		*error_r = "The settings for sending mail were not read";
		return -1;
	}
	dup = settings_dup(&smtp_submit_setting_parser_info, set, pool);
	if (settings_var_expand(&smtp_submit_setting_parser_info, dup, pool,
				table, &error) <= 0) {
		*error_r = t_strdup_printf("Failed to expand settings: %s",
					   error);
		return -1;
	}
	submission_r->set = dup;
	master_service_ssl_client_settings_to_iostream_set(
		master_service_ssl_settings_get_from_parser(parser), pool,
		&submission_r->ssl);
	return 0;
}

int recall_notice_submit(const struct recall_notice_submission *submission,
			 struct event *event, const char *address,
			 const string_t *message, const char **error_r)
{
	/* doveadm is often root, if not in effect then in name */
	const struct smtp_submit_input input = {
		.ssl = &submission->ssl,
		.event_parent = event,
		.allow_root = TRUE,
	};
	struct smtp_submit *submit;
	struct smtp_address *rcpt;
	struct ostream *output;
	const char *error;
	int ret;

	if (smtp_address_parse_mailbox(pool_datastack_create(), address, 0,
				       &rcpt, &error) < 0) {
		*error_r = t_strdup_printf("Not a mail address: %s", error);
		return -1;
	}
	submit = smtp_submit_init_simple(&input, submission->set, NULL);
	smtp_submit_add_rcpt(submit, rcpt);
	output = smtp_submit_send(submit);
	o_stream_nsend(output, str_data(message), str_len(message));
	ret = smtp_submit_run(submit, &error);
	if (ret <= 0)
		*error_r = t_strdup_printf("Sending failed: %s", error);
	smtp_submit_deinit(&submit);
	return ret <= 0 ? -1 : 0;
}

int recall_notice_submit_user(struct mail_user *user, const char *address,
			      const string_t *message, const char **error_r)
{
	/* settings can't be expanded on the data stack */
	pool_t pool = pool_alloconly_create("recall notice submission", 2048);
	struct recall_notice_submission submission;
	int ret;

	ret = recall_notice_submission_init(pool,
		mail_storage_service_user_get_settings_parser(
			user->_service_user),
		mail_user_var_expand_table(user), &submission, error_r);
	if (ret == 0) {
		ret = recall_notice_submit(&submission, user->event, address,
					   message, error_r);
	}
	pool_unref(&pool);
	return ret;
}
