#include "lib.h"
#include "sha1.h"
#include "recall-index.h"

uint64_t recall_index_hash(const struct recall_message_id *id)
{
	unsigned char digest[SHA1_RESULTLEN];
	uint64_t hash = 0;
	unsigned int i;

	sha1_get_digest(id->data, id->len, digest);
	for (i = 0; i < sizeof(hash); i++)
		hash = (hash << 8) | digest[i];
	return hash < RECALL_INDEX_HASH_FIRST ?
		hash + RECALL_INDEX_HASH_FIRST : hash;
}

static bool hash_name(const struct recall_message_id *id, void *context)
{
	uint64_t *hash = context, value = recall_index_hash(id);

	if (*hash == RECALL_INDEX_HASH_NONE)
		*hash = value;
	else if (*hash != value)
		*hash = RECALL_INDEX_HASH_MANY;
	return *hash != RECALL_INDEX_HASH_MANY;
}

uint64_t recall_index_hash_headers(const char *const *values)
{
	uint64_t hash = RECALL_INDEX_HASH_NONE;

	for (; *values != NULL; values++) {
		if (!recall_message_id_foreach(*values, strlen(*values),
					       hash_name, &hash))
			break;
	}
	return hash;
}
