/* Message-IDs: what a field is called by finds it, and so does the field's
   value as it stands, if it may be asked for. */
#include <string.h>

#include "recall-message-id.h"

#include "fuzz.h"

struct field {
	const char *value;
	size_t size;
	unsigned int names;
};

static bool check_name(const struct recall_message_id *id, void *context)
{
	struct field *field = context;

	require(id->len > 0 && id->len <= RECALL_MESSAGE_ID_MAX);
	require(id->data[id->len] == '\0');
	/* each is looked for from the start: of very many some will do, of both
	   those as they stand and those that are simplified */
	if (field->names++ >= 4 &&
	    field->names % (field->size / 32 | 1) != 0)
		return true;
	require(recall_message_id_is_in_header(id, field->value, field->size));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct field field = { (const char *)data, size, 0 };
	struct recall_message_id id, again;

	(void)recall_message_id_foreach(field.value, field.size, check_name,
					&field);
	if (recall_message_id_parse(field.value, field.size, &id) !=
	    RECALL_MESSAGE_ID_OK)
		return 0;
	require(id.len > 0 && id.len <= RECALL_MESSAGE_ID_MAX);
	require(recall_message_id_is_in_header(&id, field.value, field.size));
	/* the same request is the same id */
	require(recall_message_id_parse(field.value, field.size, &again) ==
		RECALL_MESSAGE_ID_OK);
	require(again.len == id.len &&
		memcmp(again.data, id.data, id.len) == 0);
	return 0;
}
