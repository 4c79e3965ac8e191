#include "lib.h"
#include "str.h"
#include "recall-limits.h"
#include "recall-notice-template.h"
#include "recall-notice-text.h"
#include "recall-notice-message.h"
#include "recall-notice-render.h"

static void
get_values(const struct recall_notice *notice,
	   const struct recall_notice_template *tmpl, const char *username,
	   const char *values_r[RECALL_NOTICE_VAR_COUNT])
{
	memset(values_r, 0, sizeof(*values_r) * RECALL_NOTICE_VAR_COUNT);
	values_r[RECALL_NOTICE_VAR_SUBJECT] =
		recall_notice_clean_or(notice->subject,
				       RECALL_NOTICE_SUBJECT_MAX,
				       tmpl->no_subject);
	values_r[RECALL_NOTICE_VAR_FROM] =
		recall_notice_clean_or(notice->from, RECALL_NOTICE_FROM_MAX,
				       tmpl->unknown);
	values_r[RECALL_NOTICE_VAR_DATE] =
		recall_notice_clean_or(notice->date == NULL ? NULL :
				       recall_notice_format_date(notice->date),
				       RECALL_NOTICE_DATE_MAX, tmpl->unknown);
	values_r[RECALL_NOTICE_VAR_MAILBOX] =
		recall_notice_clean(username, RECALL_ADDRESS_MAX);
	values_r[RECALL_NOTICE_VAR_COPIES] =
		t_strdup_printf("%u", notice->copies);
	values_r[RECALL_NOTICE_VAR_REASON] =
		recall_notice_clean_or(notice->reason, RECALL_REASON_MAX, NULL);
}

const char *
recall_notice_render_message_id(const struct recall_notice *notice,
				const struct recall_notice_envelope *env)
{
	return recall_notice_message_id(notice->recall_id,
		t_strdup_printf("%d %s", (int)notice->kind, env->username),
		env);
}

int recall_notice_render(const struct recall_notice *notice,
			 const struct recall_notice_template *tmpl,
			 const struct recall_notice_envelope *env,
			 string_t *dest, const char **error_r)
{
	const char *values[RECALL_NOTICE_VAR_COUNT];
	string_t *subject = t_str_new(256);
	struct recall_notice_message msg = {
		.message_id = recall_notice_render_message_id(notice, env),
		.recall_id = notice->recall_id,
		.refers_to = notice->message_id,
		.lang = tmpl->lang,
	};

	get_values(notice, tmpl, env->username, values);
	(void)recall_notice_template_expand(subject,
					    tmpl->subject[notice->kind],
					    values);
	msg.subject = str_c(subject);
	msg.text = recall_notice_expand_body(tmpl, notice->kind, values);
	return recall_notice_message_append(dest, &msg, env, error_r);
}
