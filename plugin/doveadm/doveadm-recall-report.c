#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "str.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-settings.h"
#include "recall-notice-from.h"
#include "recall-notice-submit.h"
#include "recall-notice-template.h"
#include "recall-report-render.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-report.h"

#include <time.h>

struct recall_reporter {
	pool_t pool;
	const struct doveadm_cmd_context *cctx;
	const struct recall_request *request;
	struct recall_report report;

	struct recall_service_settings set;
	struct recall_notice_envelope env;
	/* why the settings are no use */
	const char *error;
};

struct recall_reporter *
recall_reporter_init(const struct doveadm_cmd_context *cctx,
		     const struct recall_request *request)
{
	struct recall_reporter *reporter;
	struct recall_report *report;
	pool_t pool;

	if (request->report_to == NULL || request->dry_run)
		return NULL;
	pool = pool_alloconly_create("recall report", 8192);
	reporter = p_new(pool, struct recall_reporter, 1);
	reporter->pool = pool;
	reporter->cctx = cctx;
	reporter->request = request;
	reporter->error = "The settings were not read";
	report = &reporter->report;
	report->command = cctx->cmd->name;
	report->recall_id = request->order.recall_id;
	report->actor = request->order.actor;
	report->reason = request->order.reason;
	report->message_id = request->order.message_id;
	report->query = request->order.query;
	p_array_init(&report->rows, pool, 16);
	return reporter;
}

static int
read_settings(struct recall_reporter *reporter,
	      struct mail_storage_service_ctx *service, const char **error_r)
{
	struct recall_notice_envelope *env = &reporter->env;
	struct recall_service_settings *set = &reporter->set;

	if (recall_settings_get_service(service,
			recall_cmd_get_event(reporter->cctx), reporter->pool,
			TRUE, set, error_r) < 0)
		return -1;
	env->from_address = *set->recall->recall_notice_from != '\0' ?
		set->recall->recall_notice_from :
		p_strdup(reporter->pool, recall_notice_default_from(set->user));
	env->from_name = set->recall->recall_notice_name;
	env->hostname = p_strdup(reporter->pool,
				 recall_notice_hostname(set->user));
	env->username = reporter->request->report_to;
	return 0;
}

void recall_reporter_read_settings(struct recall_reporter *reporter,
				   struct mail_storage_service_ctx *service)
{
	const char *error;

	if (reporter == NULL)
		return;
	T_BEGIN {
		if (read_settings(reporter, service, &error) < 0)
			reporter->error = p_strdup(reporter->pool, error);
		else
			reporter->error = NULL;
	} T_END;
}

static struct recall_report_row *
add_row(struct recall_reporter *reporter, const char *username)
{
	struct recall_report_row *row;

	if (array_count(&reporter->report.rows) == RECALL_REPORT_ROWS_MAX)
		return NULL;
	row = array_append_space(&reporter->report.rows);
	row->username = p_strdup(reporter->pool, username);
	return row;
}

void recall_reporter_add(struct recall_reporter *reporter,
			 const char *username,
			 const struct recall_outcome *outcome, bool repeated)
{
	struct recall_report_row *row;

	if (reporter == NULL)
		return;
	reporter->report.counts[outcome->verdict]++;
	if (!repeated && (outcome->verdict == RECALL_VERDICT_EXPUNGED ||
			  outcome->verdict == RECALL_VERDICT_RESTORED))
		reporter->report.copies += outcome->copies;
	row = add_row(reporter, username);
	if (row != NULL) {
		row->verdict = outcome->verdict;
		row->copies = outcome->copies;
	}
}

void recall_reporter_add_proxied(struct recall_reporter *reporter,
				 const char *username)
{
	struct recall_report_row *row;

	if (reporter == NULL)
		return;
	reporter->report.proxied_count++;
	row = add_row(reporter, username);
	if (row != NULL)
		row->proxied = TRUE;
}

void recall_reporter_set_message(struct recall_reporter *reporter,
				 const char *message_id, const char *subject,
				 const char *from, const char *date)
{
	struct recall_report *report;

	if (reporter == NULL)
		return;
	report = &reporter->report;
	if (report->subject != NULL || report->from != NULL ||
	    report->date != NULL)
		return;
	if (report->message_id == NULL)
		report->message_id = p_strdup(reporter->pool, message_id);
	report->subject = p_strdup(reporter->pool, subject);
	report->from = p_strdup(reporter->pool, from);
	report->date = p_strdup(reporter->pool, date);
}

static int send_report(struct recall_reporter *reporter, const char **error_r)
{
	const struct recall_settings *set = reporter->set.recall;
	const struct recall_notice_template *tmpl;
	string_t *message = t_str_new(8192);

	if (reporter->error != NULL) {
		*error_r = reporter->error;
		return -1;
	}
	reporter->env.now = time(NULL);
	if (recall_notice_template_load(reporter->pool, set->recall_notice_dir,
					set->recall_notice_lang, &tmpl,
					error_r) < 0 ||
	    recall_report_render(&reporter->report, tmpl, &reporter->env,
				 message, error_r) < 0)
		return -1;
	return recall_notice_submit(&reporter->set.submit,
				    reporter->request->report_to, message,
				    error_r);
}

void recall_reporter_send(struct recall_reporter *reporter)
{
	const char *error;

	if (reporter == NULL || array_count(&reporter->report.rows) == 0)
		return;
	T_BEGIN {
		if (send_report(reporter, &error) < 0) {
			i_warning("%s: The report of recall %s to %s could not "
				  "be sent: %s", reporter->report.command,
				  reporter->report.recall_id,
				  reporter->request->report_to, error);
		}
	} T_END;
}

void recall_reporter_deinit(struct recall_reporter **_reporter)
{
	struct recall_reporter *reporter = *_reporter;

	*_reporter = NULL;
	if (reporter != NULL)
		pool_unref(&reporter->pool);
}
