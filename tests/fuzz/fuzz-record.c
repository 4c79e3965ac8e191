/* Records of the quarantine, with whatever in their lines: what is read of one
   is read again of what is written of it. */
#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "recall-quarantine-record.h"

#include "fuzz.h"

#define RECALL_ID "0123456789abcdef0123456789abcdef"

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	(void)atexit(lib_deinit);
	return 0;
}

static void read_record(struct recall_quarantine_record *record_r, pool_t pool,
			const void *data, size_t size)
{
	struct istream *input = i_stream_create_from_data(data, size);

	i_zero(record_r);
	record_r->recall_id = RECALL_ID;
	p_array_init(&record_r->boxes, pool, 4);
	recall_quarantine_record_parse(record_r, pool, input);
	i_stream_unref(&input);
}

static const char *write_body(const struct recall_quarantine_record *record)
{
	string_t *str = t_str_new(1024);
	const char *p, *body;

	recall_quarantine_record_render(record, str);
	require(strlen(str_c(str)) == str_len(str));
	/* no line ends but ours */
	for (p = str_c(str); *p != '\0'; p++)
		require((*p == '\r') == (p[1] == '\n'));
	body = strstr(str_c(str), "\r\n\r\n");
	require(body != NULL);
	return body + 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recall_quarantine_record record, copy;
	const struct recall_quarantine_record_box *rbox, *other;
	pool_t pool = pool_alloconly_create("records", 4096);
	const char *body;

	T_BEGIN {
		read_record(&record, pool, data, size);
		body = write_body(&record);
		read_record(&copy, pool, body, strlen(body));
		require(strcmp(write_body(&copy), body) == 0);
		require(copy.recalled == record.recalled);
		require(copy.restored == record.restored);
		require(copy.latest == record.latest);
		require(recall_quarantine_record_copies(&copy) ==
			recall_quarantine_record_copies(&record));
		/* a retry knows it by what it is of */
		require(recall_quarantine_record_is_of(&copy,
			record.message_id != NULL &&
			*record.message_id != '\0' ? record.message_id : NULL,
			record.query != NULL && *record.query != '\0' ?
			record.query : NULL));
		require(array_count(&copy.given) == array_count(&record.given));
		array_foreach(&record.boxes, rbox) {
			other = recall_quarantine_record_find(&copy,
							      rbox->guid);
			require(other != NULL);
			require(other->copies == rbox->copies);
			require(other->sure == 0 ||
				other->sure == other->copies);
		}
	} T_END;
	pool_unref(&pool);
	return 0;
}
