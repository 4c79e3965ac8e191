#include "lib.h"
#include "ostream.h"
#include "smtp-address.h"
#include "smtp-submit.h"
#include "str.h"
#include "recall-settings.h"
#include "recall-notice-submit.h"

int recall_notice_submit(const struct recall_submit_settings *set,
			 const char *address, const string_t *message,
			 const char **error_r)
{
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
	submit = smtp_submit_init_simple(&set->input, set->set, NULL);
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
	struct recall_submit_settings set;
	int ret;

	ret = recall_settings_get_submit(user, pool, &set, error_r);
	if (ret == 0)
		ret = recall_notice_submit(&set, address, message, error_r);
	pool_unref(&pool);
	return ret;
}
