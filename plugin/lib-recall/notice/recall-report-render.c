#include "lib.h"
#include "array.h"
#include "message-date.h"
#include "str.h"
#include "recall-limits.h"
#include "recall-message-id.h"
#include "recall-notice-template.h"
#include "recall-notice-text.h"
#include "recall-report-render.h"

/* Stands for the verdict of a user whom another node has answered for. */
#define STATUS_PROXIED "other_node"
#define QUERY_MAX_CHARS 1000

static unsigned int count_users(const struct recall_report *report)
{
	unsigned int i, count = report->proxied_count;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++)
		count += report->counts[i];
	return count;
}

static void
append_count(string_t *dest, const char *status, unsigned int count)
{
	if (count == 0)
		return;
	if (str_len(dest) > 0)
		str_append_c(dest, '\n');
	str_printfa(dest, "    %-16s %6u", status, count);
}

static const char *render_counts(const struct recall_report *report)
{
	string_t *dest = t_str_new(256);
	unsigned int i;

	for (i = 0; i < RECALL_VERDICT_COUNT; i++)
		append_count(dest, recall_verdict_name(i), report->counts[i]);
	append_count(dest, STATUS_PROXIED, report->proxied_count);
	return str_c(dest);
}

static const char *render_table(const struct recall_report *report)
{
	const struct recall_report_row *row;
	string_t *dest = t_str_new(4096);

	/* the only column of any width is the last one */
	array_foreach(&report->rows, row) {
		if (str_len(dest) > 0)
			str_append_c(dest, '\n');
		str_printfa(dest, "    %-16s %6s  %s", row->proxied ?
			    STATUS_PROXIED : recall_verdict_name(row->verdict),
			    row->proxied ? "-" : dec2str(row->copies),
			    recall_notice_clean(row->username,
						RECALL_ADDRESS_MAX));
	}
	return str_c(dest);
}

static const char *render_criteria(const struct recall_report *report)
{
	if (report->message_id != NULL && *report->message_id != '\0') {
		/* a whole value has its brackets */
		return t_strdup_printf(strchr(report->message_id, '<') != NULL ?
			"%s" : "<%s>",
			recall_notice_clean(report->message_id,
					    RECALL_MESSAGE_ID_MAX));
	}
	return recall_notice_clean_or(report->query, QUERY_MAX_CHARS, NULL);
}

/* Values that nobody knows stay NULL, which leaves out their lines: a recall
   that found nothing has no subject. */
static void
get_values(const struct recall_report *report,
	   const struct recall_notice_template *tmpl, time_t now,
	   const char *values_r[RECALL_NOTICE_VAR_COUNT])
{
	const bool known = report->subject != NULL || report->from != NULL ||
		report->date != NULL;
	unsigned int users = count_users(report);

	memset(values_r, 0, sizeof(*values_r) * RECALL_NOTICE_VAR_COUNT);
	if (known) {
		values_r[RECALL_NOTICE_VAR_SUBJECT] =
			recall_notice_clean_or(report->subject,
					       RECALL_NOTICE_SUBJECT_MAX,
					       tmpl->no_subject);
		values_r[RECALL_NOTICE_VAR_FROM] =
			recall_notice_clean_or(report->from,
					       RECALL_NOTICE_FROM_MAX,
					       tmpl->unknown);
		values_r[RECALL_NOTICE_VAR_DATE] =
			recall_notice_clean_or(report->date == NULL ? NULL :
				recall_notice_format_date(report->date),
				RECALL_NOTICE_DATE_MAX, tmpl->unknown);
	}
	values_r[RECALL_NOTICE_VAR_COPIES] = dec2str(report->copies);
	values_r[RECALL_NOTICE_VAR_REASON] =
		recall_notice_clean_or(report->reason, RECALL_REASON_MAX, NULL);
	values_r[RECALL_NOTICE_VAR_COMMAND] = report->command;
	values_r[RECALL_NOTICE_VAR_RECALL_ID] = report->recall_id;
	values_r[RECALL_NOTICE_VAR_MESSAGE] = render_criteria(report);
	values_r[RECALL_NOTICE_VAR_ACTOR] =
		recall_notice_clean_or(report->actor, RECALL_ADDRESS_MAX, NULL);
	values_r[RECALL_NOTICE_VAR_TIME] =
		recall_notice_format_date(message_date_create(now));
	values_r[RECALL_NOTICE_VAR_USERS] = dec2str(users);
	values_r[RECALL_NOTICE_VAR_VERDICTS] = render_counts(report);
	values_r[RECALL_NOTICE_VAR_TABLE] = render_table(report);
	if (users > array_count(&report->rows)) {
		values_r[RECALL_NOTICE_VAR_MORE] =
			dec2str(users - array_count(&report->rows));
	}
}

static const char *
render_subject(const struct recall_notice_template *tmpl,
	       const char *const *values)
{
	const char *subject_values[RECALL_NOTICE_VAR_COUNT];
	string_t *subject = t_str_new(256);

	/* there is no leaving out the only line */
	memcpy(subject_values, values, sizeof(subject_values));
	if (values[RECALL_NOTICE_VAR_SUBJECT] == NULL) {
		subject_values[RECALL_NOTICE_VAR_SUBJECT] =
			values[RECALL_NOTICE_VAR_MESSAGE] != NULL ?
			values[RECALL_NOTICE_VAR_MESSAGE] : tmpl->unknown;
	}
	(void)recall_notice_template_expand(subject,
		tmpl->subject[RECALL_NOTICE_KIND_REPORT], subject_values);
	return str_c(subject);
}

int recall_report_render(const struct recall_report *report,
			 const struct recall_notice_template *tmpl,
			 const struct recall_notice_envelope *env,
			 string_t *dest, const char **error_r)
{
	const char *values[RECALL_NOTICE_VAR_COUNT];
	const char *key = t_strdup_printf("%s %s", report->command,
					  env->username);
	struct recall_notice_message msg = {
		.message_id = recall_notice_message_id(report->recall_id, key,
						       env),
		.recall_id = report->recall_id,
		.refers_to = report->message_id,
		.lang = tmpl->lang,
	};

	get_values(report, tmpl, env->now, values);
	msg.subject = render_subject(tmpl, values);
	msg.text = recall_notice_expand_body(tmpl, RECALL_NOTICE_KIND_REPORT,
					     values);
	return recall_notice_message_append(dest, &msg, env, error_r);
}
