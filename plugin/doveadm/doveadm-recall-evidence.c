#include "lib.h"
#include "dovecot-compat.h"
#include "module-dir.h"
#include "doveadm-settings.h"
#include "doveadm-recall-evidence.h"

#define EVIDENCE_MODULE "recall_evidence"

static struct module *evidence_module;

const struct evidence_functions *recall_evidence_load(const char **error_r)
{
	const struct module_dir_load_settings set = {
		.abi_version = RECALL_VERSION,
	};
	const struct evidence_functions *functions;

	if (recall_module_load(&evidence_module,
			       doveadm_settings->mail_plugin_dir,
			       EVIDENCE_MODULE, &set, error_r) < 0)
		return NULL;
	functions = module_get_symbol_quiet(evidence_module,
					    "recall_evidence_functions");
	if (functions == NULL) {
		*error_r = t_strdup_printf("%s is not what it should be",
					   evidence_module->path);
		recall_evidence_unload();
	}
	return functions;
}

void recall_evidence_unload(void)
{
	module_dir_unload(&evidence_module);
}
