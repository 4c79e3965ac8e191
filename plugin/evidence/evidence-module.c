#include "recall-evidence.h"

const char *recall_evidence_version = RECALL_VERSION;

const struct evidence_functions recall_evidence_functions = {
	.begin = evidence_begin,
	.add_user = evidence_add_user,
	.message_begin = evidence_message_begin,
	.write = evidence_write,
	.message_end = evidence_message_end,
	.end = evidence_end,
};
