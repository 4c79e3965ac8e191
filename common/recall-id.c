#include <stddef.h>
#include <string.h>

#include "recall-id.h"

const char *recall_id_skip(const char *text)
{
	return strspn(text, "0123456789abcdef") == RECALL_ID_LEN ?
		text + RECALL_ID_LEN : NULL;
}

bool recall_id_is_valid(const char *id)
{
	const char *rest = recall_id_skip(id);

	return rest != NULL && *rest == '\0';
}
