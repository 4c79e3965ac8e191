#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "recall-quarantine-record.h"
#include "run-tests.h"

#define RECALL_ID "0123456789abcdef0123456789abcdef"

static const guid_128_t guid = { 1, 2, 3 }, guid2 = { 4 };

/* of all that is read */
static pool_t records_pool;

static void record_init(struct recall_quarantine_record *record_r)
{
	i_zero(record_r);
	record_r->recall_id = RECALL_ID;
	p_array_init(&record_r->boxes, records_pool, 2);
}

static void record_add_box(struct recall_quarantine_record *record,
			   const guid_128_t box_guid, const char *vname,
			   unsigned int copies)
{
	struct recall_quarantine_record_box *rbox =
		array_append_space(&record->boxes);

	guid_128_copy(rbox->guid, box_guid);
	rbox->vname = vname;
	rbox->copies = copies;
}

static void record_parse(struct recall_quarantine_record *record,
			 const char *body)
{
	struct istream *input =
		i_stream_create_from_data(body, strlen(body));

	recall_quarantine_record_parse(record, records_pool, input);
	i_stream_unref(&input);
}

static const char *
record_render(const struct recall_quarantine_record *record)
{
	string_t *str = t_str_new(1024);

	recall_quarantine_record_render(record, str);
	return str_c(str);
}

static const char *message_body(const char *message)
{
	const char *body = strstr(message, "\r\n\r\n");

	CU_ASSERT_FATAL(body != NULL);
	return body + 4;
}

/* What is read of the record that was written. */
static void record_copy(const struct recall_quarantine_record *record,
			struct recall_quarantine_record *copy_r)
{
	record_init(copy_r);
	record_parse(copy_r, message_body(record_render(record)));
}

static void test_round_trip(void)
{
	const struct recall_quarantine_record_box *rbox;
	struct recall_quarantine_record record, copy;

	record_init(&record);
	record.recalled = 1700000000;
	record.restored = 1700000001;
	record.latest = 1700000002;
	record.actor = "admin@example.com";
	record.reason = "phishing: wave 2";
	record.message_id = "1@example.com";
	record.query = "SUBJECT \"a: b\"";
	record.subject = "\xd0\x9f\xd1\x80: \xf0\x9f\x98\x80";
	record.from = "Eve <eve@example.com>";
	record.date = "Tue, 14 Nov 2023 22:13:20 +0000";
	record_add_box(&record, guid, "INBOX/a b: c", 2);
	record_add_box(&record, guid2, "\xc3\xa4", 4294967295);
	record_copy(&record, &copy);

	CU_ASSERT_EQUAL(copy.recalled, record.recalled);
	CU_ASSERT_EQUAL(copy.restored, record.restored);
	CU_ASSERT_EQUAL(copy.latest, record.latest);
	CU_ASSERT_STRING_EQUAL(copy.actor, record.actor);
	CU_ASSERT_STRING_EQUAL(copy.reason, record.reason);
	CU_ASSERT(recall_quarantine_record_is_of(&copy, record.message_id,
						 record.query));
	CU_ASSERT(!recall_quarantine_record_is_of(&copy, "2@example.com",
						  record.query));
	CU_ASSERT(!recall_quarantine_record_is_of(&copy, record.message_id,
						  "SUBJECT b"));
	CU_ASSERT(!recall_quarantine_record_is_of(&copy, record.message_id,
						  NULL));
	CU_ASSERT(!recall_quarantine_record_is_of(&copy, NULL, record.query));
	CU_ASSERT_STRING_EQUAL(copy.subject, record.subject);
	CU_ASSERT_STRING_EQUAL(copy.from, record.from);
	CU_ASSERT_STRING_EQUAL(copy.date, record.date);
	CU_ASSERT_EQUAL_FATAL(array_count(&copy.boxes), 2);
	rbox = recall_quarantine_record_find(&copy, guid);
	CU_ASSERT_STRING_EQUAL(rbox->vname, "INBOX/a b: c");
	CU_ASSERT_EQUAL(rbox->copies, 2);
	rbox = recall_quarantine_record_find(&copy, guid2);
	CU_ASSERT_STRING_EQUAL(rbox->vname, "\xc3\xa4");
	CU_ASSERT_EQUAL(rbox->copies, 4294967295);
	/* an older one does not say which query it was */
	copy.query = NULL;
	CU_ASSERT(recall_quarantine_record_is_of(&copy, record.message_id,
						 record.query));
}

/* Headers are the sender's, the mailbox's name is the user's. */
static void test_hostile_values(void)
{
	static const char *const hostile[] = {
		"x\r\nrestored: 1\r\nactor: boss",
		"x\nrestored: 1\nactor: boss",
		"x\rrestored: 1", "\r\n\r\nrestored: 1", "x\n.\r\n",
		"\xff\xfe\r\nrestored: 1", "x\v\f\x1b[2Jrestored: 1",
	};
	struct recall_quarantine_record record, copy;
	const char *message, *p;
	unsigned int i, lines, clean_lines;

	record_init(&record);
	record.recalled = 1;
	record.subject = record.from = record.date = record.query =
		record.reason = record.message_id = "x";
	record_add_box(&record, guid, "x", 1);
	for (clean_lines = 0, p = record_render(&record); *p != '\0'; p++)
		clean_lines += *p == '\n' ? 1 : 0;

	for (i = 0; i < N_ELEMENTS(hostile); i++) T_BEGIN {
		array_clear(&record.boxes);
		record.subject = record.from = record.date = record.query =
			record.reason = record.message_id = hostile[i];
		record_add_box(&record, guid, hostile[i], 1);
		message = record_render(&record);
		for (lines = 0, p = message; *p != '\0'; p++) {
			lines += *p == '\n' ? 1 : 0;
			CU_ASSERT((*p == '\r') == (p[1] == '\n'));
			CU_ASSERT((unsigned char)*p >= ' ' || *p == '\r' ||
				  *p == '\n');
		}
		CU_ASSERT_EQUAL(lines, clean_lines);
		record_copy(&record, &copy);
		CU_ASSERT_EQUAL(copy.restored, 0);
		CU_ASSERT(copy.actor == NULL);
		CU_ASSERT_EQUAL(array_count(&copy.boxes), 1);
		/* a retry knows its own record */
		CU_ASSERT(recall_quarantine_record_is_of(&copy, hostile[i],
							 hostile[i]));
	} T_END;
}

/* What is no UTF-8, and a character that is cut off, take nothing with them:
   neither what was written before nor, as a line that is too long to be read,
   what comes after. */
static void test_no_utf8(void)
{
	static const char *const values[] = {
		"\xd0", "x\xd0", "\xf0\x9f\x98", "\xff", "\xff\xd0",
	};
	struct recall_quarantine_record record, copy;
	string_t *str = t_str_new(16 * 1024);
	unsigned int i;

	while (str_len(str) < 10000)
		str_append_c(str, 0xff);
	for (i = 0; i <= N_ELEMENTS(values); i++) T_BEGIN {
		record_init(&record);
		record.recalled = 7;
		record.actor = "a";
		record.subject = i < N_ELEMENTS(values) ? values[i] :
			str_c(str);
		record.from = "b";
		record_add_box(&record, guid, "x", 3);
		record_copy(&record, &copy);
		CU_ASSERT_EQUAL(copy.recalled, 7);
		CU_ASSERT_STRING_EQUAL(copy.actor, "a");
		CU_ASSERT(copy.subject != NULL);
		CU_ASSERT_STRING_EQUAL(copy.from, "b");
		CU_ASSERT_EQUAL(recall_quarantine_record_copies(&copy), 3);
	} T_END;
	record_init(&record);
	record.subject = "x\xd0\xd0\x9f\x7f";
	record_copy(&record, &copy);
	CU_ASSERT_STRING_EQUAL(copy.subject, "x\xef\xbf\xbd\xd0\x9f"
			       "\xef\xbf\xbd");
}

/* What can't be a date has not been written down by us. */
static void test_stamps(void)
{
	static const char *const none[] = {
		"0", "-1", "-9223372036854775808", "253402300800",
		"9223372036854775807", "9223372036854775808", "x", "",
	};
	struct recall_quarantine_record record;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(none); i++) T_BEGIN {
		record_init(&record);
		record_parse(&record, t_strdup_printf(
			"recalled: %s\r\nrestored: %s\r\nlatest: %s\r\n",
			none[i], none[i], none[i]));
		CU_ASSERT_EQUAL(record.recalled, 0);
		CU_ASSERT_EQUAL(record.latest, 0);
		CU_ASSERT_EQUAL(record.restored, 0);
	} T_END;
	record_init(&record);
	record_parse(&record, "recalled: 1\r\nrestored: 253402300799\r\n");
	CU_ASSERT_EQUAL(record.recalled, 1);
	CU_ASSERT_EQUAL(record.latest, 1);
	CU_ASSERT_EQUAL(record.restored, 253402300799);
}

static void test_long_values(void)
{
	struct recall_quarantine_record record, copy;
	string_t *str = t_str_new(16 * 1024);

	while (str_len(str) < 16 * 1024)
		str_append(str, "\xd0\x9f");
	record_init(&record);
	record.recalled = 7;
	record.subject = str_c(str);
	record_add_box(&record, guid, "x", 3);
	record_copy(&record, &copy);
	CU_ASSERT_EQUAL(copy.recalled, 7);
	CU_ASSERT(strlen(copy.subject) < 4096);
	CU_ASSERT_EQUAL(recall_quarantine_record_copies(&copy), 3);
}

/* Lines that are none of ours, as somebody may have put them there. */
static void test_malformed(void)
{
	static const char *const lines[] = {
		"", ":", ": ", "recalled", "recalled:", "recalled: ",
		"recalled: x", "recalled: 1x", "recalled: -",
		"recalled: 99999999999999999999", "restored: 0x10",
		"mailbox: ", "mailbox: x", "mailbox: x 1 INBOX",
		"mailbox: 01020300000000000000000000000000 1",
		"mailbox: 01020300000000000000000000000000 x INBOX",
		"mailbox: 01020300000000000000000000000000 -1 INBOX",
		"mailbox: 01020300000000000000000000000000 4294967296 INBOX",
		"mailbox: 010203000000000000000000000000 1 INBOX",
		"mailbox:  1 INBOX", "nothing: of ours", "Actor: boss",
		" actor: boss",
	};
	struct recall_quarantine_record record;
	string_t *str;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(lines); i++) T_BEGIN {
		record_init(&record);
		record_parse(&record, lines[i]);
		CU_ASSERT_EQUAL(record.recalled, 0);
		CU_ASSERT_EQUAL(record.restored, 0);
		CU_ASSERT(record.actor == NULL);
		CU_ASSERT_EQUAL(array_count(&record.boxes), 0);
		/* nor is what comes before and after lost */
		record_parse(&record, t_strconcat("reason: a\r\n", lines[i],
						  "\r\nactor: b\n", NULL));
		CU_ASSERT_STRING_EQUAL(record.reason, "a");
		CU_ASSERT_STRING_EQUAL(record.actor, "b");
	} T_END;

	/* a line without an end to it: what came before holds */
	str = t_str_new(64 * 1024);
	str_append(str, "recalled: 5\nreason: ");
	while (str_len(str) < 32 * 1024)
		str_append_c(str, 'x');
	record_init(&record);
	record_parse(&record, str_c(str));
	CU_ASSERT_EQUAL(record.recalled, 5);
	CU_ASSERT(record.reason == NULL);
}

/* A recall that was finished by a second try, and one that was undone, have two
   records. */
static void test_records_together(void)
{
	struct recall_quarantine_record record, counted;

	record_init(&record);
	record_parse(&record, "recalled: 5\nactor: a\n"
		     "mailbox: 01020300000000000000000000000000 3 INBOX\n");
	record_parse(&record, "recalled: 9\nactor: b\nrestored: 11\n"
		     "mailbox: 01020300000000000000000000000000 1 New\n"
		     "mailbox: 04000000000000000000000000000000 2 Other\n");
	CU_ASSERT_EQUAL(record.recalled, 5);
	CU_ASSERT_EQUAL(record.latest, 9);
	CU_ASSERT_EQUAL(record.restored, 11);
	CU_ASSERT_STRING_EQUAL(record.actor, "a");
	CU_ASSERT_EQUAL(array_count(&record.boxes), 2);
	CU_ASSERT_EQUAL(recall_quarantine_record_copies(&record), 5);
	CU_ASSERT_STRING_EQUAL(
		recall_quarantine_record_find(&record, guid)->vname, "INBOX");
	/* what is counted anew may be less */
	record_parse(&record, "kept: 01020300000000000000000000000000 2 x\n");
	CU_ASSERT_EQUAL(recall_quarantine_record_copies(&record), 4);
	record_init(&counted);
	counted.recount = TRUE;
	record_add_box(&counted, guid, "x", 0);
	record_parse(&record, message_body(record_render(&counted)));
	CU_ASSERT_EQUAL(recall_quarantine_record_copies(&record), 2);
	/* and by another record it is not */
	counted.recount = FALSE;
	array_clear(&counted.boxes);
	record_add_box(&counted, guid2, "x", 1);
	record_parse(&record, message_body(record_render(&counted)));
	CU_ASSERT_EQUAL(recall_quarantine_record_copies(&record), 2);
}

/* What a recall was about to copy there need not be, nor what a restore was
   about to delete. */
static void test_sure(void)
{
	static const char *const line =
		"mailbox: 01020300000000000000000000000000 3 INBOX\n";
	static const char *const kept =
		"kept: 01020300000000000000000000000000 2 INBOX\n";
	static const char *const given =
		"given: 01020300000000000000000000000000 7 8 9 1 2\n";
	const struct recall_quarantine_record_box *rbox;
	struct recall_quarantine_record record;

	record_init(&record);
	record.unfinished = TRUE;
	record_parse(&record, line);
	rbox = recall_quarantine_record_find(&record, guid);
	CU_ASSERT_EQUAL(rbox->copies, 3);
	CU_ASSERT_EQUAL(rbox->sure, 0);
	record.unfinished = FALSE;
	record_parse(&record, kept);
	CU_ASSERT_EQUAL(rbox->copies, 2);
	CU_ASSERT_EQUAL(rbox->sure, 2);
	record.unfinished = TRUE;
	record_parse(&record, line);
	CU_ASSERT_EQUAL(rbox->copies, 3);
	CU_ASSERT_EQUAL(rbox->sure, 2);
	record.unfinished = FALSE;
	record_parse(&record, line);
	CU_ASSERT_EQUAL(rbox->sure, 3);
	record_parse(&record, given);
	CU_ASSERT_EQUAL(rbox->copies, 3);
	CU_ASSERT_EQUAL(rbox->sure, 0);
	record_parse(&record, line);
	CU_ASSERT_EQUAL(rbox->sure, 3);
}

static void test_given(void)
{
	static const char *const malformed[] = {
		"", "x 1 2 3 4 5", "01020300000000000000000000000000 1 2 3 4",
		"01020300000000000000000000000000 1 2 3 4 x",
		"01020300000000000000000000000000 1 2 3 0 5",
		"01020300000000000000000000000000 1 2 3 5 4",
		"01020300000000000000000000000000 1 2 3 4 4294967296",
		"01020300000000000000000000000000 1 2 3 4 5 6",
	};
	const struct recall_quarantine_record_given *given;
	struct recall_quarantine_record_given *add;
	struct recall_quarantine_record record, copy;
	unsigned int i;

	record_init(&record);
	p_array_init(&record.given, records_pool, 1);
	add = array_append_space(&record.given);
	guid_128_copy(add->guid, guid);
	add->record_uid_validity = 4294967295;
	add->record_next_uid = 2;
	add->uid_validity = 3;
	add->uids.seq1 = 4;
	add->uids.seq2 = 4294967295;
	record_copy(&record, &copy);
	CU_ASSERT_EQUAL_FATAL(array_count(&copy.given), 1);
	given = array_front(&copy.given);
	CU_ASSERT(guid_128_equals(given->guid, guid));
	CU_ASSERT_EQUAL(given->record_uid_validity, 4294967295);
	CU_ASSERT_EQUAL(given->record_next_uid, 2);
	CU_ASSERT_EQUAL(given->uid_validity, 3);
	CU_ASSERT_EQUAL(given->uids.seq1, 4);
	CU_ASSERT_EQUAL(given->uids.seq2, 4294967295);
	/* one message alone */
	record_parse(&copy, "given: 01020300000000000000000000000000 "
		     "1 2 3 4 4\n");
	CU_ASSERT_EQUAL(array_count(&copy.given), 2);
	for (i = 0; i < N_ELEMENTS(malformed); i++) T_BEGIN {
		record_init(&record);
		record_parse(&record, t_strconcat("given: ", malformed[i],
						  "\nactor: a\n", NULL));
		CU_ASSERT_EQUAL(array_count(&record.given), 0);
		CU_ASSERT_STRING_EQUAL(record.actor, "a");
	} T_END;
}

/* They are the user's. */
static void test_too_much(void)
{
	struct recall_quarantine_record record;
	guid_128_t box_guid = { 0 };
	string_t *body = str_new(default_pool, 1024);
	unsigned int i;

	for (i = 0; i < 1000000; i++) T_BEGIN {
		memcpy(box_guid, &i, sizeof(i));
		str_printfa(body, "mailbox: %s 1 a\n",
			    guid_128_to_string(box_guid));
	} T_END;
	record_init(&record);
	record_parse(&record, "recalled: 1700000000\n");
	record_parse(&record, str_c(body));
	record_parse(&record, "restored: 1700000000\n");
	CU_ASSERT_EQUAL(array_count(&record.boxes), 10000);
	CU_ASSERT_EQUAL(record.recalled, 1700000000);
	/* beyond what is read */
	CU_ASSERT_EQUAL(record.restored, 0);

	str_truncate(body, 0);
	for (i = 0; i < 20000; i++)
		str_append(body, "given: 01020300000000000000000000000000 "
			   "1 2 3 4 5\n");
	record_init(&record);
	record_parse(&record, str_c(body));
	CU_ASSERT_EQUAL(array_count(&record.given), 10000);
	str_free(&body);
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	records_pool = pool_alloconly_create("records", 4096);
	suite = tests_begin("quarantine records");
	CU_add_test(suite, "what is written is read", test_round_trip);
	CU_add_test(suite, "values that would be lines", test_hostile_values);
	CU_add_test(suite, "values that are no UTF-8", test_no_utf8);
	CU_add_test(suite, "stamps", test_stamps);
	CU_add_test(suite, "long values", test_long_values);
	CU_add_test(suite, "malformed lines", test_malformed);
	CU_add_test(suite, "several records", test_records_together);
	CU_add_test(suite, "copies that there have to be", test_sure);
	CU_add_test(suite, "copies that were given", test_given);
	CU_add_test(suite, "too much", test_too_much);
	ret = tests_run();
	pool_unref(&records_pool);
	lib_deinit();
	return ret;
}
