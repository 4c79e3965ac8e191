#include "lib.h"
#include "settings-parser.h"
#include "recall-verdict.h"
#include "recall-settings.h"

/* What Dovecot's config process and doveconf look for in a settings module. */
extern const char *recall_settings_version;
extern const struct setting_parser_info *recall_settings_set_infos[];
bool recall_settings_check(void *set, pool_t pool, const char **error_r);

const char *recall_settings_version = DOVECOT_ABI_VERSION;

const struct setting_parser_info *recall_settings_set_infos[] = {
	&recall_setting_parser_info,
	NULL
};

static bool check_notify_on(const char *value, const char **error_r)
{
	const char *const *words = t_strsplit_spaces(value, ", ");
	int verdict;

	for (; *words != NULL; words++) {
		verdict = recall_verdict_parse(*words);
		if (verdict != RECALL_VERDICT_EXPUNGED &&
		    verdict != RECALL_VERDICT_READ) {
			*error_r = t_strdup_printf(
				"recall_notify_on: Nobody is told of %s",
				*words);
			return FALSE;
		}
	}
	return TRUE;
}

/* An empty value is none: see recall_settings_fill_empty(). */
static bool is_given(const char *value)
{
	return value != set_value_unknown && *value != '\0';
}

bool recall_settings_check(void *_set, pool_t pool ATTR_UNUSED,
			   const char **error_r)
{
	struct recall_settings *set = _set;
	unsigned int number;
	bool submit;

	if (set->recall_notify_on != set_value_unknown &&
	    !check_notify_on(set->recall_notify_on, error_r))
		return FALSE;
	if (is_given(set->recall_notice_delivery) &&
	    recall_settings_parse_delivery(set->recall_notice_delivery,
					   &submit, error_r) < 0)
		return FALSE;
	if (is_given(set->recall_jobs_max) &&
	    recall_settings_parse_jobs(set->recall_jobs_max,
				       &number, error_r) < 0)
		return FALSE;
	if (is_given(set->recall_stand) &&
	    recall_settings_parse_stand(set->recall_stand, &number,
					error_r) < 0)
		return FALSE;
	if (is_given(set->recall_standing_max) &&
	    recall_settings_parse_standing_max(set->recall_standing_max,
					       &number, error_r) < 0)
		return FALSE;
	return !is_given(set->recall_quarantine_days) ||
		recall_settings_parse_days(set->recall_quarantine_days,
					   &number, error_r) == 0;
}
