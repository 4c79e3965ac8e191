#include "lib.h"
#include "settings-parser.h"
#include "recall-params.h"
#include "recall-settings.h"

/* The config process checks values, those who use them judge for themselves. */
#ifdef RECALL_SETTINGS_MODULE
bool recall_settings_check(void *set, pool_t pool, const char **error_r);
#  define RECALL_SETTINGS_CHECK_FUNC recall_settings_check
#else
#  define RECALL_SETTINGS_CHECK_FUNC NULL
#endif

#undef DEF
#define DEF(type, name) \
	SETTING_DEFINE_STRUCT_##type(#name, name, struct recall_settings)

static const struct setting_define recall_setting_defines[] = {
	DEF(STR, recall_notify_on),
	DEF(STR, recall_notice_from),
	DEF(STR, recall_notice_name),
	DEF(STR, recall_notice_delivery),
	DEF(STR, recall_notice_dir),
	DEF(STR, recall_notice_lang),
	DEF(STR, recall_quarantine),
	DEF(STR, recall_quarantine_days),
	DEF(STR, recall_hold),
	DEF(STR, recall_jobs_max),
	DEF(STR, recall_stand),
	DEF(STR, recall_standing_dir),
	DEF(STR, recall_standing_max),

	SETTING_DEFINE_LIST_END
};

static const struct recall_settings recall_default_settings = {
	.recall_notify_on = RECALL_NOTIFY_ON_DEFAULT,
	.recall_notice_from = "",
	.recall_notice_name = RECALL_NOTICE_NAME_DEFAULT,
	.recall_notice_delivery = RECALL_NOTICE_DELIVERY_DEFAULT,
	.recall_notice_dir = RECALL_NOTICE_DIR,
	.recall_notice_lang = RECALL_NOTICE_LANG_DEFAULT,
	.recall_quarantine = RECALL_QUARANTINE_DEFAULT,
	.recall_quarantine_days = RECALL_QUARANTINE_DAYS_DEFAULT,
	.recall_hold = RECALL_HOLD_DEFAULT,
	.recall_jobs_max = RECALL_JOBS_MAX_DEFAULT,
	.recall_stand = RECALL_STAND_DEFAULT,
	.recall_standing_dir = RECALL_STANDING_DIR,
	.recall_standing_max = RECALL_STANDING_MAX_DEFAULT,
};

const struct setting_parser_info recall_setting_parser_info = {
	.name = "recall",

	.defines = recall_setting_defines,
	.defaults = &recall_default_settings,

	.struct_size = sizeof(struct recall_settings),
	.pool_offset1 = 1 + offsetof(struct recall_settings, pool),
	.check_func = RECALL_SETTINGS_CHECK_FUNC,
};
