#include "lib.h"
#include "settings-parser.h"
#include "recall-verdict.h"
#include "recall-params.h"
#include "recall-settings.h"

#undef DEF
#define DEF(type, name) \
	SETTING_DEFINE_STRUCT_##type(#name, name, struct recall_settings)

static const struct setting_define recall_setting_defines[] = {
	DEF(STR, recall_notify_on),
	DEF(STR, recall_notice_from),
	DEF(STR, recall_notice_name),
	DEF(ENUM, recall_notice_delivery),
	DEF(STR, recall_notice_dir),
	DEF(STR, recall_notice_lang),
	DEF(STR, recall_quarantine),
	DEF(UINT, recall_quarantine_days),

	SETTING_DEFINE_LIST_END
};

static const struct recall_settings recall_default_settings = {
	.recall_notify_on = RECALL_NOTIFY_ON_DEFAULT,
	.recall_notice_from = "",
	.recall_notice_name = RECALL_NOTICE_NAME_DEFAULT,
	.recall_notice_delivery = RECALL_NOTICE_DELIVERY_SAVE":"
		RECALL_NOTICE_DELIVERY_SUBMIT,
	.recall_notice_dir = RECALL_NOTICE_DIR,
	.recall_notice_lang = RECALL_NOTICE_LANG_DEFAULT,
	.recall_quarantine = RECALL_QUARANTINE_DEFAULT,
	.recall_quarantine_days = RECALL_QUARANTINE_DAYS_DEFAULT,
};

static bool
recall_settings_check(void *_set, pool_t pool ATTR_UNUSED, const char **error_r)
{
	struct recall_settings *set = _set;
	const char *const *words;
	int verdict;

	if (set->recall_quarantine_days > RECALL_QUARANTINE_DAYS_MAX) {
		*error_r = t_strdup_printf("recall_quarantine_days: "
			"More than %u", RECALL_QUARANTINE_DAYS_MAX);
		return FALSE;
	}
	if (set->recall_notify_on == set_value_unknown)
		return TRUE;
	words = t_strsplit_spaces(set->recall_notify_on, ", ");
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

const struct setting_parser_info recall_setting_parser_info = {
	.name = "recall",

	.defines = recall_setting_defines,
	.defaults = &recall_default_settings,

	.struct_size = sizeof(struct recall_settings),
	.pool_offset1 = 1 + offsetof(struct recall_settings, pool),
	.check_func = recall_settings_check,
};
