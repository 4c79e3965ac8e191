#include "lib.h"
#include "settings-parser.h"
#include "recall-settings.h"

/* What Dovecot's config process and doveconf look for in a settings module. */
extern const char *recall_settings_version;
extern const struct setting_parser_info *recall_settings_set_infos[];

const char *recall_settings_version = DOVECOT_ABI_VERSION;

const struct setting_parser_info *recall_settings_set_infos[] = {
	&recall_setting_parser_info,
	NULL
};
