#include <string.h>

#include "recall-id.h"

bool recall_id_is_valid(const char *id)
{
	return strlen(id) == RECALL_ID_LEN &&
	       strspn(id, "0123456789abcdef") == RECALL_ID_LEN;
}
