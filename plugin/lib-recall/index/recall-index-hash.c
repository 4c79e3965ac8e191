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

uint64_t recall_index_hash_header(const char *value)
{
	struct recall_message_id id;

	if (value == NULL ||
	    !recall_message_id_from_header(value, strlen(value), &id))
		return RECALL_INDEX_HASH_NONE;
	return recall_index_hash(&id);
}
