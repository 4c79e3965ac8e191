#include "lib.h"
#include "dovecot-compat.h"
#include "recall-limits.h"
#include "recall-settings.h"

#define NOTICE_DELIVERY_SUBMIT "submit"

/* Over ten years is a typo rather than a wish. */
#define QUARANTINE_DAYS_MAX 3660

const char *const recall_setting_names[] = {
	"recall_notify_on", "recall_notice_from", "recall_notice_name",
	"recall_notice_delivery", "recall_notice_dir", "recall_notice_lang",
	"recall_quarantine", "recall_quarantine_days", "recall_hold",
	"recall_stand", "recall_standing_dir", "recall_standing_max",
	"recall_jobs_max", NULL
};

int recall_settings_parse_delivery(const char *value, bool *submit_r,
				   const char **error_r)
{
	*submit_r = strcmp(value, NOTICE_DELIVERY_SUBMIT) == 0;
	if (*submit_r || strcmp(value, RECALL_NOTICE_DELIVERY_DEFAULT) == 0)
		return 0;
	*error_r = t_strdup_printf("recall_notice_delivery is neither "
		RECALL_NOTICE_DELIVERY_DEFAULT" nor "NOTICE_DELIVERY_SUBMIT
		": %s", value);
	return -1;
}

int recall_settings_parse_days(const char *value, unsigned int *days_r,
			       const char **error_r)
{
	if (str_to_uint(value, days_r) == 0 && *days_r <= QUARANTINE_DAYS_MAX)
		return 0;
	*error_r = t_strdup_printf("recall_quarantine_days: "
				   "Not a number of days: %s", value);
	return -1;
}

int recall_settings_parse_jobs(const char *value, unsigned int *jobs_r,
			       const char **error_r)
{
	if (str_to_uint(value, jobs_r) == 0)
		return 0;
	*error_r = t_strdup_printf("recall_jobs_max: "
				   "Not a number of processes: %s", value);
	return -1;
}

int recall_settings_parse_stand(const char *value, unsigned int *secs_r,
				const char **error_r)
{
	const char *error;

	*secs_r = 0;
	if (strcmp(value, RECALL_STAND_DEFAULT) == 0)
		return 0;
	if (recall_parse_interval(value, secs_r, &error) < 0 || *secs_r == 0) {
		*error_r = t_strdup_printf("Not a time that a recall can "
			"stand, as 1h or 2 days: %s", value);
		return -1;
	}
	if (*secs_r > RECALL_STAND_MAX_SECS) {
		*error_r = t_strdup_printf("No recall stands for more than "
			"%u days: %s", RECALL_STAND_MAX_SECS / (24 * 60 * 60),
			value);
		return -1;
	}
	return 0;
}

int recall_settings_parse_standing_max(const char *value, unsigned int *max_r,
				       const char **error_r)
{
	if (str_to_uint(value, max_r) == 0)
		return 0;
	*error_r = t_strdup_printf("recall_standing_max: Not a number: %s",
				   value);
	return -1;
}
