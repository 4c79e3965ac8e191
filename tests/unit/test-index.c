#include "lib.h"
#include "array.h"
#include "ioloop.h"
#include "mail-storage-private.h"
#include "recall-index-ext.h"
#include "run-tests.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <unistd.h>

/* A mail index of its own, without any mail. */
static struct mail_index *test_index;
static char test_dir[] = "/tmp/test-index-XXXXXX";

static uint64_t hash_text(const char *text)
{
	struct recall_message_id id = { .len = strlen(text) };

	memcpy(id.data, text, id.len);
	return recall_index_hash(&id);
}

static void test_hash(void)
{
	/* first 8 octets of SHA-1, big endian: it must never change without
	   RECALL_INDEX_VERSION */
	CU_ASSERT_EQUAL(hash_text("abc"), 0xa9993e364706816aULL);
	CU_ASSERT_EQUAL(hash_text(""), 0xda39a3ee5e6b4b0dULL);
	CU_ASSERT_NOT_EQUAL(hash_text("a@b"), hash_text("A@b"));
}

static uint64_t hash_header(const char *value)
{
	const char *const values[] = { value, NULL };

	return recall_index_hash_headers(values);
}

static void test_hash_header(void)
{
	const char *const twice[] = { "<a@b>", "\n a@b", "<>", NULL };
	const char *const two[] = { "<a@b>", "<c@d>", NULL };

	CU_ASSERT_EQUAL(hash_header(NULL), RECALL_INDEX_HASH_NONE);
	CU_ASSERT_EQUAL(hash_header(""), RECALL_INDEX_HASH_NONE);
	CU_ASSERT_EQUAL(hash_header(" <> "), RECALL_INDEX_HASH_NONE);
	CU_ASSERT_EQUAL(hash_header("<a@b>"), hash_text("a@b"));
	CU_ASSERT_EQUAL(hash_header("\r\n\t<a@b>\r\n"), hash_text("a@b"));
	CU_ASSERT_EQUAL(hash_header("a@b"), hash_text("a@b"));
	CU_ASSERT_EQUAL(hash_header("<a@b> (c)"), RECALL_INDEX_HASH_MANY);
	CU_ASSERT_EQUAL(hash_header("<a@b> <c@d>"), RECALL_INDEX_HASH_MANY);
	CU_ASSERT_EQUAL(recall_index_hash_headers(twice), hash_text("a@b"));
	CU_ASSERT_EQUAL(recall_index_hash_headers(two),
			RECALL_INDEX_HASH_MANY);
}

static struct mail_index_transaction *trans_begin(void)
{
	struct mail_index_view *view = mail_index_view_open(test_index);
	struct mail_index_transaction *trans =
		mail_index_transaction_begin(view,
			MAIL_INDEX_TRANSACTION_FLAG_EXTERNAL);

	mail_index_view_close(&view);
	return trans;
}

static void trans_commit(struct mail_index_transaction *trans)
{
	CU_ASSERT_EQUAL_FATAL(mail_index_transaction_commit(&trans), 0);
	CU_ASSERT_EQUAL_FATAL(mail_index_refresh(test_index), 0);
}

/* Opens an empty index with messages of UIDs 1, 3, 5, ... */
static void index_open(unsigned int messages)
{
	struct mail_index_transaction *trans;
	uint32_t i, seq, uid_validity = 1;

	test_index = mail_index_alloc(NULL, test_dir, "test.index");
	/* 2.4 tells whether it was created */
	CU_ASSERT_FATAL(mail_index_open_or_create(test_index,
		MAIL_INDEX_OPEN_FLAG_CREATE) >= 0);
	trans = trans_begin();
	mail_index_update_header(trans,
		offsetof(struct mail_index_header, uid_validity),
		&uid_validity, sizeof(uid_validity), TRUE);
	for (i = 0; i < messages; i++)
		mail_index_append(trans, i * 2 + 1, &seq);
	trans_commit(trans);
}

static void index_close(void)
{
	mail_index_close(test_index);
	mail_index_free(&test_index);
	i_unlink_if_exists(t_strconcat(test_dir, "/test.index", NULL));
	i_unlink(t_strconcat(test_dir, "/test.index.log", NULL));
}

static void set_records(uint32_t ext_id, const uint64_t *hashes,
			unsigned int count)
{
	struct mail_index_transaction *trans = trans_begin();
	unsigned int i;

	recall_index_ext_set_header(trans, ext_id, 0);
	for (i = 0; i < count; i++) {
		if (hashes[i] != RECALL_INDEX_HASH_UNKNOWN)
			mail_index_update_ext(trans, i + 1, ext_id, &hashes[i],
					      NULL);
	}
	trans_commit(trans);
}

/* The UIDs found, as text; "?" if a message has no record. */
static const char *scan(uint32_t ext_id, uint64_t hash)
{
	struct mail_index_view *view = mail_index_view_open(test_index);
	ARRAY_TYPE(seq_range) uids;
	struct seq_range_iter iter;
	const char *text = "";
	unsigned int n = 0;
	uint32_t uid;

	t_array_init(&uids, 8);
	if (!recall_index_ext_scan(view, ext_id, hash, &uids))
		text = "?";
	seq_range_array_iter_init(&iter, &uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid))
		text = t_strdup_printf("%s %u", text, uid);
	mail_index_view_close(&view);
	return text;
}

static enum recall_index_ext_state get_state(uint32_t ext_id)
{
	struct mail_index_view *view = mail_index_view_open(test_index);
	enum recall_index_ext_state state =
		recall_index_ext_get_state(view, ext_id);

	mail_index_view_close(&view);
	return state;
}

static void test_scan(void)
{
	const uint64_t hashes[] = { 10, 11, RECALL_INDEX_HASH_NONE, 10, 12 };
	const uint64_t many[] = { RECALL_INDEX_HASH_MANY };
	struct mail_index_view *view;
	uint32_t ext_id;

	index_open(0);
	ext_id = recall_index_ext_register(test_index);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 10), "");
	index_close();

	index_open(N_ELEMENTS(hashes));
	ext_id = recall_index_ext_register(test_index);
	CU_ASSERT_EQUAL(get_state(ext_id), RECALL_INDEX_EXT_MISSING);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 10), "?");

	set_records(ext_id, hashes, 4);
	CU_ASSERT_EQUAL(get_state(ext_id), RECALL_INDEX_EXT_USABLE);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 10), "? 1 7");
	set_records(ext_id, hashes, 5);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 10), " 1 7");
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 12), " 9");
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 13), "");
	/* a message that several ids find */
	set_records(ext_id, many, 1);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 12), " 1 9");

	view = mail_index_view_open(test_index);
	CU_ASSERT_EQUAL(recall_index_lookup(view, 2), 11);
	CU_ASSERT_EQUAL(recall_index_lookup(view, 3), RECALL_INDEX_HASH_NONE);
	mail_index_view_close(&view);
	index_close();
}

static void test_record_size(void)
{
	const uint64_t hash = 10;
	unsigned int before;

	index_open(1);
	before = test_index->map->hdr.record_size;
	set_records(recall_index_ext_register(test_index), &hash, 1);
	CU_ASSERT_EQUAL(test_index->map->hdr.record_size, (before + 3) / 4 * 4 +
			sizeof(hash));
	index_close();
}

/* Another program's (or version's) extension of our name. */
static void write_foreign(const void *hdr, size_t hdr_size,
			  unsigned int record_size)
{
	unsigned char record[16];
	struct mail_index_transaction *trans;
	uint32_t ext_id;

	memset(record, 0xee, sizeof(record));
	ext_id = mail_index_ext_register(test_index, RECALL_INDEX_EXT_NAME,
					 hdr_size, record_size, 4);
	trans = trans_begin();
	mail_index_update_header_ext(trans, ext_id, 0, hdr, hdr_size);
	mail_index_update_ext(trans, 1, ext_id, record, NULL);
	trans_commit(trans);
	/* forgets what was registered, as another process would not know */
	mail_index_close(test_index);
	mail_index_free(&test_index);
	test_index = mail_index_alloc(NULL, test_dir, "test.index");
	CU_ASSERT_EQUAL_FATAL(mail_index_open(test_index, 0), 1);
}

static void check_foreign(void)
{
	const uint64_t hashes[] = { 10, 11 };
	struct mail_index_view *view;
	uint32_t ext_id = recall_index_ext_register(test_index);

	CU_ASSERT_EQUAL(get_state(ext_id), RECALL_INDEX_EXT_FOREIGN);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 0xeeeeeeeeeeeeeeeeULL), "?");
	view = mail_index_view_open(test_index);
	CU_ASSERT_EQUAL(recall_index_lookup(view, 1),
			RECALL_INDEX_HASH_UNKNOWN);
	CU_ASSERT_EQUAL(recall_index_ext_reset(view, ext_id), 0);
	mail_index_view_close(&view);

	set_records(ext_id, hashes, 1);
	CU_ASSERT_EQUAL(get_state(ext_id), RECALL_INDEX_EXT_USABLE);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 10), "? 1");
	set_records(ext_id, hashes, 2);
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 11), " 3");
	CU_ASSERT_STRING_EQUAL(scan(ext_id, 0xeeeeeeeeeeeeeeeeULL), "");
	index_close();
}

static void test_foreign_version(void)
{
	const struct recall_index_header hdr = {
		.version = RECALL_INDEX_VERSION + 1,
	};

	index_open(2);
	write_foreign(&hdr, sizeof(hdr), 8);
	check_foreign();
}

static void test_foreign_sizes(void)
{
	const struct recall_index_header hdr = {
		.version = RECALL_INDEX_VERSION,
	};
	const unsigned char large[32] = { RECALL_INDEX_VERSION };

	index_open(2);
	write_foreign(&hdr, sizeof(hdr), 4);
	check_foreign();

	index_open(2);
	write_foreign(&hdr, sizeof(hdr), 16);
	check_foreign();

	/* a header too short to have a version */
	index_open(2);
	write_foreign(&hdr, 1, 8);
	check_foreign();

	/* one that has grown is not ours either, until its version says so */
	index_open(2);
	write_foreign(large, sizeof(large), 12);
	check_foreign();
}

static void test_reset_of_nothing(void)
{
	struct mail_index_view *view;
	uint32_t ext_id;

	index_open(2);
	ext_id = recall_index_ext_register(test_index);
	view = mail_index_view_open(test_index);
	CU_ASSERT_EQUAL(recall_index_ext_reset(view, ext_id), 0);
	mail_index_view_close(&view);
	CU_ASSERT_EQUAL(get_state(ext_id), RECALL_INDEX_EXT_MISSING);
	index_close();
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	/* index ids are made of it */
	ioloop_time = time(NULL);
	if (mkdtemp(test_dir) == NULL)
		i_fatal("mkdtemp(%s) failed: %m", test_dir);
	suite = tests_begin("index");
	CU_add_test(suite, "hashes", test_hash);
	CU_add_test(suite, "hashes of headers", test_hash_header);
	CU_add_test(suite, "scan", test_scan);
	CU_add_test(suite, "record size", test_record_size);
	CU_add_test(suite, "another version", test_foreign_version);
	CU_add_test(suite, "other sizes", test_foreign_sizes);
	CU_add_test(suite, "reset of nothing", test_reset_of_nothing);
	ret = tests_run();
	(void)rmdir(test_dir);
	lib_deinit();
	return ret;
}
