#include "lib.h"
#include "array.h"
#include "hostpid.h"
#include "istream.h"
#include "message-date.h"
#include "str.h"
#include "recall-limits.h"
#include "recall-quarantine-record.h"
#include "recall-utf8.h"

#include <time.h>

/* Characters kept of a header's value. */
#define RECORD_VALUE_MAX 1024
/* A longer line is none of ours. */
#define RECORD_LINE_MAX 8192
/* Mailboxes, and octets of all records of a recall: more than a recall has.
   They are the user's files, and what is in them must not keep others waiting.
   Copies go back by their mailboxes' GUIDs in any case. */
#define RECORD_BOXES_MAX 10000
#define RECORD_GIVEN_MAX 10000
#define RECORD_SIZE_MAX (4 * 1024 * 1024)

/* The value as it was written down. */
static bool record_has(const char *recorded, const char *value)
{
	if (value == NULL || recorded == NULL)
		return value == recorded;
	return strcmp(recall_utf8_line(value, RECORD_VALUE_MAX),
		      recorded) == 0;
}

bool recall_quarantine_record_is_of(
	const struct recall_quarantine_record *record, const char *message_id,
	const char *query)
{
	return record_has(record->message_id, message_id) &&
		/* older ones have none */
		(record->query == NULL || record_has(record->query, query));
}

const struct recall_quarantine_record_box *
recall_quarantine_record_find(const struct recall_quarantine_record *record,
			      const guid_128_t guid)
{
	const struct recall_quarantine_record_box *rbox;

	array_foreach(&record->boxes, rbox) {
		if (guid_128_equals(rbox->guid, guid))
			return rbox;
	}
	return NULL;
}

unsigned int
recall_quarantine_record_copies(const struct recall_quarantine_record *record)
{
	const struct recall_quarantine_record_box *rbox;
	unsigned int copies = 0;

	array_foreach(&record->boxes, rbox)
		copies += rbox->copies;
	return copies;
}

/* "<GUID> <copies> <name>" */
static void
record_parse_box(struct recall_quarantine_record *record, pool_t pool,
		 const char *value, bool recount)
{
	struct recall_quarantine_record_box rbox, *old;
	const char *const *args = t_strsplit(value, " ");

	i_zero(&rbox);
	if (str_array_length(args) < 3 ||
	    guid_128_from_string(args[0], rbox.guid) < 0 ||
	    str_to_uint(args[1], &rbox.copies) < 0)
		return;
	rbox.vname = p_strdup(pool, value + strlen(args[0]) + 1 +
			      strlen(args[1]) + 1);
	array_foreach_modifiable(&record->boxes, old) {
		if (guid_128_equals(old->guid, rbox.guid)) {
			/* a second try may have come over fewer copies */
			if (recount || old->copies < rbox.copies)
				old->copies = rbox.copies;
			if (!record->unfinished &&
			    (recount || old->sure < rbox.copies))
				old->sure = rbox.copies;
			return;
		}
	}
	rbox.sure = record->unfinished ? 0 : rbox.copies;
	if (array_count(&record->boxes) < RECORD_BOXES_MAX)
		array_push_back(&record->boxes, &rbox);
}

static void
record_parse_given(struct recall_quarantine_record *record, const char *value)
{
	const char *const *args = t_strsplit(value, " ");
	struct recall_quarantine_record_given given;
	struct recall_quarantine_record_box *rbox;

	i_zero(&given);
	if (str_array_length(args) != 6 ||
	    guid_128_from_string(args[0], given.guid) < 0 ||
	    str_to_uint32(args[1], &given.record_uid_validity) < 0 ||
	    str_to_uint32(args[2], &given.record_next_uid) < 0 ||
	    str_to_uint32(args[3], &given.uid_validity) < 0 ||
	    str_to_uint32(args[4], &given.uids.seq1) < 0 ||
	    str_to_uint32(args[5], &given.uids.seq2) < 0 ||
	    given.uids.seq1 == 0 || given.uids.seq1 > given.uids.seq2 ||
	    array_count(&record->given) >= RECORD_GIVEN_MAX)
		return;
	array_push_back(&record->given, &given);
	array_foreach_modifiable(&record->boxes, rbox) {
		if (guid_128_equals(rbox->guid, given.guid))
			rbox->sure = 0;
	}
}

/* Of those that can't be a date, which nobody has written, nothing is known. */
static void record_parse_stamp(const char *value, time_t *stamp)
{
	time_t parsed;

	if (*stamp == 0 && str_to_time(value, &parsed) == 0 && parsed > 0 &&
	    parsed <= RECALL_TIME_MAX)
		*stamp = parsed;
}

/* Each try has its own: the last one counts. */
static void record_parse_latest(struct recall_quarantine_record *record,
				const char *value)
{
	time_t stamp = 0;

	record_parse_stamp(value, &stamp);
	record->latest = I_MAX(record->latest, stamp);
}

static void
record_parse_line(struct recall_quarantine_record *record, pool_t pool,
		  const char *line)
{
	const struct {
		const char *name;
		const char **value;
	} texts[] = {
		{ "actor", &record->actor },
		{ "reason", &record->reason },
		{ "message-id", &record->message_id },
		{ "query", &record->query },
		{ "subject", &record->subject },
		{ "from", &record->from },
		{ "date", &record->date },
	};
	const char *name, *value = strstr(line, ": ");
	unsigned int i;

	if (value == NULL)
		return;
	name = t_strdup_until(line, value);
	/* as it was written, unless the file is damaged: Dovecot panics over
	   names of mailboxes that are no UTF-8 */
	value = recall_utf8_line(value + 2, RECORD_VALUE_MAX);
	if (strcmp(name, "mailbox") == 0 || strcmp(name, "kept") == 0) {
		record_parse_box(record, pool, value, *name == 'k');
		return;
	}
	if (strcmp(name, "given") == 0) {
		record_parse_given(record, value);
		return;
	}
	if (strcmp(name, "recalled") == 0) {
		record_parse_latest(record, value);
		record_parse_stamp(value, &record->recalled);
		return;
	}
	if (strcmp(name, "latest") == 0) {
		record_parse_latest(record, value);
		return;
	}
	if (strcmp(name, "restored") == 0) {
		record_parse_stamp(value, &record->restored);
		return;
	}
	for (i = 0; i < N_ELEMENTS(texts); i++) {
		if (strcmp(name, texts[i].name) == 0 && *texts[i].value == NULL)
			*texts[i].value = p_strdup(pool, value);
	}
}

void recall_quarantine_record_parse(struct recall_quarantine_record *record,
				    pool_t pool, struct istream *input)
{
	const char *line;

	if (!array_is_created(&record->given))
		p_array_init(&record->given, pool, 2);
	i_stream_set_max_buffer_size(input, RECORD_LINE_MAX);
	while (record->octets < RECORD_SIZE_MAX &&
	       (line = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		record->octets += strlen(line) + 1;
		record_parse_line(record, pool, line);
	} T_END;
}

static void
record_append(string_t *str, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	/* no line breaks from other people's headers in here */
	str_printfa(str, "%s: %s\r\n", name,
		    recall_utf8_line(value, RECORD_VALUE_MAX));
}

static void
record_append_given(string_t *str,
		    const struct recall_quarantine_record *record)
{
	const struct recall_quarantine_record_given *given;

	if (!array_is_created(&record->given))
		return;
	array_foreach(&record->given, given) {
		str_printfa(str, "given: %s %u %u %u %u %u\r\n",
			    guid_128_to_string(given->guid),
			    given->record_uid_validity, given->record_next_uid,
			    given->uid_validity, given->uids.seq1,
			    given->uids.seq2);
	}
}

void recall_quarantine_record_render(
	const struct recall_quarantine_record *record, string_t *str)
{
	const struct recall_quarantine_record_box *rbox;
	time_t now = time(NULL);

	str_printfa(str, "Date: %s\r\n", message_date_create(now));
	str_printfa(str, "From: Recall <postmaster@%s>\r\n", my_hostdomain());
	str_printfa(str, "Subject: Recall %s\r\n", record->recall_id);
	str_printfa(str, "Message-ID: <%s.%s.%ld@%s>\r\n", record->recall_id,
		    record->restored != 0 ? "restored" : "recalled",
		    (long)now, my_hostdomain());
	str_append(str, "MIME-Version: 1.0\r\n"
		   "Content-Type: text/plain; charset=utf-8\r\n"
		   "Content-Transfer-Encoding: 8bit\r\n\r\n");

	record_append(str, "recall-id", record->recall_id);
	if (record->recalled != 0)
		str_printfa(str, "recalled: %ld\r\n", (long)record->recalled);
	if (record->latest != 0)
		str_printfa(str, "latest: %ld\r\n", (long)record->latest);
	if (record->restored != 0)
		str_printfa(str, "restored: %ld\r\n", (long)record->restored);
	record_append(str, "actor", record->actor);
	record_append(str, "reason", record->reason);
	record_append(str, "message-id", record->message_id);
	record_append(str, "query", record->query);
	record_append(str, "subject", record->subject);
	record_append(str, "from", record->from);
	record_append(str, "date", record->date);
	array_foreach(&record->boxes, rbox) {
		record_append(str, record->recount ? "kept" : "mailbox",
			      t_strdup_printf("%s %u %s",
					      guid_128_to_string(rbox->guid),
					      rbox->copies, rbox->vname));
	}
	record_append_given(str, record);
}
