#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "crc32.h"
#include "ioloop.h"
#include "str.h"
#include "mail-storage-private.h"
#include "recall-index.h"
#include "recall-index-crc.h"
#include "recall-index-fence.h"
#include "recall-index-sum.h"
#include "recall-index-file.h"
#include "recall-index-format.h"
#include "recall-index-stamp.h"
#include "run-tests.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
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

/* The records that came before there was one index a user. */
static void test_drop_old(void)
{
	const uint64_t hash = 10;
	struct mail_index_transaction *trans;
	uint32_t ext_id, seq;

	index_open(2);
	CU_ASSERT_EQUAL(recall_index_fence_drop_old(test_index), 0);
	ext_id = mail_index_ext_register(test_index, "recall-msgid", 8,
					 sizeof(hash), sizeof(uint32_t));
	trans = trans_begin();
	for (seq = 1; seq <= 2; seq++)
		mail_index_update_ext(trans, seq, ext_id, &hash, NULL);
	trans_commit(trans);
	CU_ASSERT_EQUAL(recall_index_fence_drop_old(test_index), 1);
	CU_ASSERT_EQUAL(recall_index_fence_drop_old(test_index), 0);
	CU_ASSERT_EQUAL(test_index->map->hdr.messages_count, 2);
	index_close();
}

static void assert_fence(uint32_t uid, uint32_t sum)
{
	struct mail_index_view *view = mail_index_view_open(test_index);
	struct recall_index_fence fence;

	recall_index_fence_get(view, &fence);
	mail_index_view_close(&view);
	CU_ASSERT_EQUAL(fence.uid, uid);
	CU_ASSERT_EQUAL(fence.sum, sum);
}

static void test_fence(void)
{
	const struct recall_index_fence fence = { .uid = 7, .sum = 5 };

	index_open(2);
	assert_fence(1, RECALL_INDEX_SUM_NOTHING);
	CU_ASSERT_EQUAL(recall_index_fence_move(test_index, &fence), 0);
	CU_ASSERT_EQUAL_FATAL(mail_index_refresh(test_index), 0);
	assert_fence(7, 5);
	index_close();
}

/* It was a UID, without a sum. */
static void test_old_fence(void)
{
	const struct recall_index_fence fence = { .uid = 9, .sum = 6 };
	const uint32_t uid = 7;
	struct mail_index_transaction *trans;
	uint32_t ext_id;

	index_open(2);
	ext_id = mail_index_ext_register(test_index, "recall", sizeof(uid), 0,
					 sizeof(uint32_t));
	trans = trans_begin();
	mail_index_update_header_ext(trans, ext_id, 0, &uid, sizeof(uid));
	trans_commit(trans);
	assert_fence(7, RECALL_INDEX_SUM_UNKNOWN);
	CU_ASSERT_EQUAL(recall_index_fence_move(test_index, &fence), 0);
	CU_ASSERT_EQUAL_FATAL(mail_index_refresh(test_index), 0);
	assert_fence(9, 6);
	index_close();
}

static const guid_128_t guid1 = { 1 }, guid2 = { 2 };

static const char *file_path(void)
{
	return t_strconcat(test_dir, "/"RECALL_INDEX_FILE_NAME, NULL);
}

/* With it, the index need not ask a mailbox list for permissions. */
static void file_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
	i_close_fd(&fd);
}

static void file_compact(recall_index_keep_t *keep, void *context)
{
	const char *error;

	file_create(t_strconcat(file_path(), ".tmp", NULL));
	CU_ASSERT_EQUAL_FATAL(recall_index_file_compact(NULL, file_path(), keep,
							context, &error), 0);
}

static void file_append(const guid_128_t guid, uint32_t uid, uint64_t hash)
{
	const struct recall_index_rec rec = { .hash = hash, .uid = uid };
	buffer_t *blocks = t_buffer_create(128);
	const char *error;

	recall_index_block_mails(blocks, guid, 1, &rec, 1);
	file_create(t_strconcat(file_path(), ".tmp", NULL));
	CU_ASSERT_EQUAL_FATAL(recall_index_file_append(NULL, file_path(),
						       blocks, &error), 0);
}

static void file_stamp(const guid_128_t guid, uint64_t name, uint64_t stamp)
{
	buffer_t *blocks = t_buffer_create(128);
	const char *error;

	recall_index_block_stamp(blocks, guid, 1, name, stamp);
	CU_ASSERT_EQUAL_FATAL(recall_index_file_append(NULL, file_path(),
						       blocks, &error), 0);
}

/* All there is, as text: "name/stamp uid=hash ... " for guid1 and guid2 */
static const char *file_get(void)
{
	const guid_128_t *guids[] = { &guid1, &guid2 };
	struct recall_index_box_iter iter;
	struct recall_index_file *file;
	struct recall_index_box *box;
	struct recall_index_rec rec;
	string_t *text = t_str_new(128);
	const char *error;
	unsigned int i;

	CU_ASSERT_EQUAL_FATAL(recall_index_file_read(file_path(), &file,
						     &error), 0);
	for (i = 0; i < N_ELEMENTS(guids); i++) {
		box = recall_index_file_find(file, *guids[i], 1);
		if (box == NULL)
			continue;
		str_printfa(text, "%d/%d", (int)box->name, (int)box->stamp);
		recall_index_box_iter_init(&iter, file, box);
		while (recall_index_box_iter_next(&iter, &rec)) {
			str_printfa(text, " %u=%d", rec.uid, (int)rec.hash);
		}
		str_append_c(text, ';');
	}
	CU_ASSERT_PTR_NULL(recall_index_file_find(file, guid1, 2));
	recall_index_file_unref(&file);
	return str_c(text);
}

static void file_begin(void)
{
	i_unlink_if_exists(file_path());
	file_create(file_path());
}

static void file_end(void)
{
	i_unlink_if_exists(file_path());
	i_unlink_if_exists(t_strconcat(file_path(), ".tmp", NULL));
}

static bool keep_odd(const struct recall_index_box *box ATTR_UNUSED,
		     uint32_t uid, void *context ATTR_UNUSED)
{
	return uid == 0 || uid % 2 == 1;
}

static bool keep_first(const struct recall_index_box *box, uint32_t uid,
		       void *context ATTR_UNUSED)
{
	return uid != 0 || guid_128_equals(box->guid, guid1);
}

static void test_file(void)
{
	file_begin();
	CU_ASSERT_STRING_EQUAL(file_get(), "");
	file_append(guid1, 3, 30);
	file_append(guid2, 1, 10);
	file_append(guid1, 5, 50);
	file_append(guid1, 4, 40);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 3=30 4=40 5=50;0/0 1=10;");
	file_stamp(guid2, 7, 8);
	/* the later one counts */
	file_append(guid1, 4, 41);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 3=30 4=41 5=50;7/8 1=10;");
	file_compact(NULL, NULL);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 3=30 4=41 5=50;7/8 1=10;");
	file_append(guid1, 1, 11);
	file_append(guid1, 5, 51);
	file_append(guid1, 9, 90);
	file_stamp(guid1, 5, 6);
	CU_ASSERT_STRING_EQUAL(file_get(),
			       "5/6 1=11 3=30 4=41 5=51 9=90;7/8 1=10;");
	file_compact(keep_odd, NULL);
	CU_ASSERT_STRING_EQUAL(file_get(),
			       "5/6 1=11 3=30 5=51 9=90;7/8 1=10;");
	file_compact(keep_first, NULL);
	CU_ASSERT_STRING_EQUAL(file_get(), "5/6 1=11 3=30 5=51 9=90;");
	file_end();
}

/* The sum of guid1's records below the UID, with others in the place of some
   that are in the file. */
static uint32_t get_sum(uint32_t uid, const struct recall_index_rec *recs,
			unsigned int count)
{
	struct recall_index_file *file;
	struct recall_index_sum sum;
	const char *error;
	uint32_t ret;

	CU_ASSERT_EQUAL_FATAL(recall_index_file_read(file_path(), &file,
						     &error), 0);
	recall_index_sum_init(&sum, file,
			      recall_index_file_find(file, guid1, 1));
	ret = recall_index_sum_until(&sum, uid, recs, count);
	/* there are none between */
	CU_ASSERT_EQUAL(recall_index_sum_until(&sum, uid, NULL, 0), ret);
	recall_index_file_unref(&file);
	return ret;
}

/* Whether the records belong to what the mailbox's fence was moved over. */
static void test_sum(void)
{
	const struct recall_index_rec recs[] = {
		{ .hash = 10, .uid = 1 }, { .hash = 20, .uid = 2 },
		{ .hash = 31, .uid = 3 }, { .hash = 40, .uid = 4 },
	};
	uint32_t sum = RECALL_INDEX_SUM_NOTHING;
	unsigned int i;

	file_begin();
	CU_ASSERT_EQUAL(get_sum(9, NULL, 0), RECALL_INDEX_SUM_NOTHING);
	for (i = 0; i < N_ELEMENTS(recs); i++)
		sum += recall_index_sum_rec(&recs[i]);
	CU_ASSERT_EQUAL(get_sum(5, recs, 4), sum);
	file_append(guid2, 1, 15);
	file_append(guid1, 4, 40);
	file_append(guid1, 2, 20);
	file_append(guid1, 1, 10);
	file_append(guid1, 3, 30);
	CU_ASSERT_NOT_EQUAL(get_sum(5, NULL, 0), sum);
	CU_ASSERT_EQUAL(get_sum(5, &recs[2], 1), sum);
	CU_ASSERT_EQUAL(get_sum(5, recs, 4), sum);
	file_append(guid1, 3, 31);
	CU_ASSERT_EQUAL(get_sum(5, NULL, 0), sum);
	CU_ASSERT_EQUAL(get_sum(4, NULL, 0),
			sum - recall_index_sum_rec(&recs[3]));
	/* those that are dropped stay in it */
	file_compact(keep_odd, NULL);
	CU_ASSERT_EQUAL(get_sum(5, NULL, 0), sum);
	file_compact(NULL, NULL);
	CU_ASSERT_EQUAL(get_sum(5, NULL, 0), sum);
	file_compact(keep_odd, NULL);
	file_append(guid1, 7, 70);
	CU_ASSERT_EQUAL(get_sum(7, NULL, 0), sum);
	CU_ASSERT_NOT_EQUAL(get_sum(8, NULL, 0), sum);
	file_end();
}

static size_t file_size(void)
{
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(stat(file_path(), &st), 0);
	return st.st_size;
}

/* Saving alone keeps the tail short. */
static void test_file_grows(void)
{
	const unsigned int count = 20000;
	unsigned int i, total = 0;
	const char *text, *p;

	file_begin();
	for (i = 1; i <= count; i++) T_BEGIN {
		file_append(i % 2 == 0 ? guid1 : guid2, i, i);
	} T_END;
	CU_ASSERT(file_size() < 20 * count);
	text = file_get();
	for (p = text; *p != '\0'; p++)
		total += *p == '=' ? 1 : 0;
	CU_ASSERT_EQUAL(total, count);
	file_end();
}

static void file_patch(size_t pos, unsigned char xor)
{
	unsigned char octet;
	int fd = open(file_path(), O_RDWR);

	CU_ASSERT_EQUAL_FATAL(pread(fd, &octet, 1, pos), 1);
	octet ^= xor;
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, &octet, 1, pos), 1);
	i_close_fd(&fd);
}

/* How many blocks are whole if what is at pos is not. */
static size_t state_at(const size_t *sizes, size_t pos)
{
	size_t i = 0;

	while (pos >= sizes[i + 1])
		i++;
	return i;
}

/* Whatever is broken of the tail, what comes before it is believed and nothing
   else; the next to append puts it right. */
static void test_file_broken(void)
{
	const char *const states[] = {
		"0/0 1=10;", "0/0 1=10 2=20;", "0/0 1=10 2=20 3=30;",
		"7/8 1=10 2=20 3=30;"
	};
	size_t sizes[4], i, pos;

	file_begin();
	file_append(guid1, 1, 10);
	file_compact(NULL, NULL);
	sizes[0] = file_size();
	file_append(guid1, 2, 20);
	sizes[1] = file_size();
	file_append(guid1, 3, 30);
	sizes[2] = file_size();
	file_stamp(guid1, 7, 8);
	sizes[3] = file_size();

	for (pos = sizes[0]; pos < sizes[3]; pos++) T_BEGIN {
		i = state_at(sizes, pos);
		file_patch(pos, 0x21);
		CU_ASSERT_STRING_EQUAL(file_get(), states[i]);
		file_patch(pos, 0x21);
	} T_END;
	CU_ASSERT_STRING_EQUAL(file_get(), states[3]);
	for (pos = sizes[3]; pos-- > sizes[0]; ) T_BEGIN {
		i = state_at(sizes, pos);
		CU_ASSERT_EQUAL_FATAL(truncate(file_path(), pos), 0);
		CU_ASSERT_STRING_EQUAL(file_get(), states[i]);
	} T_END;
	/* the header and the table, too */
	for (pos = 0; pos < sizes[0] - 12; pos++) T_BEGIN {
		file_patch(pos, 0x21);
		CU_ASSERT_STRING_EQUAL(file_get(), "");
		file_patch(pos, 0x21);
	} T_END;

	file_append(guid1, 2, 21);
	CU_ASSERT_EQUAL_FATAL(truncate(file_path(), file_size() - 1), 0);
	file_append(guid1, 3, 31);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 1=10 3=31;");
	file_patch(sizes[0] + 40, 0x21);
	file_append(guid1, 4, 41);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 1=10 4=41;");
	file_patch(1, 0x21);
	file_append(guid1, 5, 51);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 5=51;");
	file_end();
}

/* A base that is broken, wherever it is, is begun anew: nothing that is written
   behind it would ever be found. */
static void test_file_broken_base(void)
{
	size_t size, pos;

	file_begin();
	file_append(guid1, 1, 10);
	file_compact(NULL, NULL);
	size = file_size() - 12;
	for (pos = 0; pos < size; pos++) T_BEGIN {
		file_begin();
		file_append(guid1, 1, 10);
		file_compact(NULL, NULL);
		file_patch(pos, 0x21);
		CU_ASSERT_STRING_EQUAL(file_get(), "");
		file_append(guid1, 2, 20);
		CU_ASSERT_STRING_EQUAL(file_get(), "0/0 2=20;");
	} T_END;
	file_end();
}

/* What is true only after what was read is not written once that is damaged. */
static void test_file_damaged_since(void)
{
	buffer_t *blocks = t_buffer_create(128);
	struct recall_index_file *file;
	size_t base, size = 1, pos;
	const char *error;

	recall_index_block_stamp(blocks, guid1, 1, 7, 8);
	for (pos = 0; pos < size; pos++) T_BEGIN {
		file_begin();
		file_append(guid1, 1, 10);
		file_compact(NULL, NULL);
		base = file_size();
		file_append(guid1, 2, 20);
		size = file_size();
		CU_ASSERT_EQUAL_FATAL(recall_index_file_open(file_path(), &file,
							     &error), 0);
		/* hashes and UIDs of the base have no checksum */
		if (pos < base - 12 || pos >= base)
			file_patch(pos, 0x21);
		CU_ASSERT_EQUAL(recall_index_file_append_to(file, NULL,
				file_path(), blocks, &error),
				pos < base - 12 || pos >= base ? 0 : 1);
		CU_ASSERT_EQUAL(strcmp(file_get(), "7/8 1=10 2=20;") == 0,
				pos >= base - 12 && pos < base);
		CU_ASSERT_PTR_NULL(strstr(file_get(), "7/8 2"));
		recall_index_file_unref(&file);
	} T_END;
	file_end();
}

/* Reads the index until a later change would be told by its times. */
static struct recall_index_file *file_open_settled(void)
{
	struct recall_index_file *file;
	const char *error;

	for (;;) {
		CU_ASSERT_EQUAL_FATAL(recall_index_file_open(file_path(), &file,
							     &error), 0);
		if (file->settled)
			return file;
		CU_ASSERT_FALSE(recall_index_file_is_current(file,
							     file_path()));
		recall_index_file_unref(&file);
		usleep(10000);
	}
}

/* What was read is not read again, unless it has changed in any way. */
static void test_file_current(void)
{
	struct recall_index_file *file, *other;

	file_begin();
	file_append(guid1, 1, 10);
	file = file_open_settled();
	other = file_open_settled();
	CU_ASSERT(recall_index_file_is_current(file, file_path()));

	/* of the same size */
	file_patch(1, 0x21);
	file_patch(1, 0x21);
	CU_ASSERT_FALSE(recall_index_file_is_current(file, file_path()));
	recall_index_file_unref(&file);

	/* with the same times, as far as one can tell */
	file_append(guid1, 2, 20);
	CU_ASSERT_EQUAL_FATAL(stat(file_path(), &other->st), 0);
	CU_ASSERT(recall_index_file_is_current(other, file_path()));
	other->st.st_size--;
	CU_ASSERT_FALSE(recall_index_file_is_current(other, file_path()));
	other->st.st_size++;
	other->st.st_ino++;
	CU_ASSERT_FALSE(recall_index_file_is_current(other, file_path()));
	other->st.st_ino--;
	i_unlink(file_path());
	CU_ASSERT_FALSE(recall_index_file_is_current(other, file_path()));
	recall_index_file_unref(&other);
	file_end();
}

#define LARGE_COUNT 10000

static uint64_t large_hash(uint32_t uid)
{
	return 0x100000000ULL * uid + 3;
}

/* Records of UIDs 1, 2, ... in each of two mailboxes: those of the second have
   one UID more. */
static void large_create(void)
{
	struct recall_index_rec *recs =
		i_new(struct recall_index_rec, LARGE_COUNT + 1);
	buffer_t *blocks = buffer_create_dynamic(default_pool, 1024);
	const char *error;
	uint32_t i;

	for (i = 0; i <= LARGE_COUNT; i++) {
		recs[i].uid = i + 1;
		recs[i].hash = large_hash(i + 1);
	}
	file_begin();
	file_create(t_strconcat(file_path(), ".tmp", NULL));
	recall_index_block_mails(blocks, guid1, 1, recs, LARGE_COUNT);
	recall_index_block_mails(blocks, guid2, 1, recs, LARGE_COUNT + 1);
	CU_ASSERT_EQUAL_FATAL(recall_index_file_append(NULL, file_path(),
						       blocks, &error), 0);
	file_compact(NULL, NULL);
	file_append(guid2, LARGE_COUNT + 9, 90);
	buffer_free(&blocks);
	i_free(recs);
}

static struct recall_index_file *large_open(void)
{
	struct recall_index_file *file;
	const char *error;

	CU_ASSERT_EQUAL_FATAL(recall_index_file_open(file_path(), &file,
						     &error), 0);
	CU_ASSERT_EQUAL_FATAL(file->count, 2 * LARGE_COUNT + 1);
	CU_ASSERT_PTR_NULL(file->hashes);
	return file;
}

/* The UIDs of the records found, as text. */
static const char *
large_search(struct recall_index_file *file, uint32_t first, uint32_t count,
	     uint64_t hash1, uint64_t hash2)
{
	ARRAY_TYPE(uint32_t) found;
	string_t *text = t_str_new(32);
	uint32_t idx;

	t_array_init(&found, 2);
	if (recall_index_file_search(file, first, count, hash1, hash2,
				     &found) < 0)
		return "error";
	array_foreach_elem(&found, idx) {
		str_printfa(text, "%u=%u ", idx,
			    recall_index_file_get_uid(file, idx));
	}
	return str_c(text);
}

static void large_check(struct recall_index_file *file)
{
	const uint32_t all = 2 * LARGE_COUNT + 1;
	uint32_t uid;

	/* around what is read and compared at a time, too */
	for (uid = 1; uid <= LARGE_COUNT; uid++) T_BEGIN {
		if (uid < 20 || (uid + 9) % 4096 < 18 ||
		    uid + 9 > LARGE_COUNT) {
			CU_ASSERT_STRING_EQUAL(
				large_search(file, 0, all, large_hash(uid), 2),
				t_strdup_printf("%u=%u %u=%u ", uid - 1, uid,
						LARGE_COUNT + uid - 1, uid));
		}
	} T_END;
	CU_ASSERT_STRING_EQUAL(large_search(file, 0, all, 7, 2), "");
	CU_ASSERT_STRING_EQUAL(
		large_search(file, 0, all, large_hash(LARGE_COUNT + 1), 2),
		t_strdup_printf("%u=%u ", all - 1, LARGE_COUNT + 1));
	CU_ASSERT_STRING_EQUAL(
		large_search(file, 1, LARGE_COUNT, large_hash(3),
			     large_hash(1)),
		t_strdup_printf("2=3 %u=1 ", LARGE_COUNT));
	CU_ASSERT_STRING_EQUAL(
		large_search(file, 3, LARGE_COUNT - 3, large_hash(3),
			     large_hash(LARGE_COUNT + 1)), "");
}

/* Of a large index records are read when they are looked for. */
static void test_file_left(void)
{
	struct recall_index_box_iter iter;
	struct recall_index_file *file;
	struct recall_index_rec rec;
	unsigned int count = 0;

	large_create();
	file = large_open();
	large_check(file);
	CU_ASSERT_EQUAL_FATAL(recall_index_file_load(file), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file->hashes);
	large_check(file);
	recall_index_box_iter_init(&iter, file,
				   recall_index_file_find(file, guid2, 1));
	while (recall_index_box_iter_next(&iter, &rec)) {
		if (++count <= LARGE_COUNT + 1) {
			CU_ASSERT_EQUAL(rec.uid, count);
			CU_ASSERT_EQUAL(rec.hash, large_hash(count));
		}
	}
	CU_ASSERT_EQUAL(count, LARGE_COUNT + 2);
	CU_ASSERT_EQUAL(rec.uid, LARGE_COUNT + 9);
	recall_index_file_unref(&file);
	file_end();
}

/* One whose mailboxes are damaged has no records that could be read. */
static void test_file_left_broken(void)
{
	struct recall_index_file *file;
	const char *error;
	int fd;

	large_create();
	/* the table follows the header */
	file_patch(sizeof(struct recall_index_header) + 3, 0x21);
	CU_ASSERT_EQUAL_FATAL(recall_index_file_open(file_path(), &file,
						     &error), 0);
	CU_ASSERT_EQUAL(file->count, 0);
	CU_ASSERT_PTR_NULL(recall_index_file_find(file, guid1, 1));
	CU_ASSERT_EQUAL(recall_index_file_load(file), 0);
	CU_ASSERT_STRING_EQUAL(large_search(file, 0, 0, 7, 2), "");
	fd = open(file_path(), O_RDONLY);
	CU_ASSERT(!recall_index_file_is_in(file, fd));
	i_close_fd(&fd);
	recall_index_file_unref(&file);
	file_append(guid1, 2, 20);
	CU_ASSERT_STRING_EQUAL(file_get(), "0/0 2=20;");
	file_end();
}

/* Nothing is believed of an index over which another one was copied. */
static void test_file_left_changed(void)
{
	struct recall_index_file *file;
	const uint32_t all = 2 * LARGE_COUNT + 1;

	large_create();
	file = large_open();
	/* its checksum */
	file_patch(8, 0x21);
	CU_ASSERT_STRING_EQUAL(large_search(file, 0, all, 7, 2), "error");
	CU_ASSERT_EQUAL(recall_index_file_get_uid(file, 1), 0);
	CU_ASSERT_EQUAL(recall_index_file_load(file), -1);
	file_patch(8, 0x21);
	CU_ASSERT_STRING_EQUAL(large_search(file, 0, all, 7, 2), "");
	CU_ASSERT_EQUAL_FATAL(truncate(file_path(), all * 8), 0);
	CU_ASSERT_STRING_EQUAL(large_search(file, 0, all, 7, 2), "error");
	CU_ASSERT_EQUAL(recall_index_file_get_uid(file, 1), 0);
	recall_index_file_unref(&file);
	file_end();
}

static void test_crc(void)
{
	unsigned char data[80];
	unsigned int first, size;

	for (size = 0; size < sizeof(data); size++)
		data[size] = size * 151 + 7;
	for (first = 0; first < 9; first++) {
		for (size = 0; size <= sizeof(data) - first; size++) {
			CU_ASSERT_EQUAL(
				recall_index_crc(size, data + first, size),
				crc32_data_more(size, data + first, size));
		}
	}
	CU_ASSERT_EQUAL(recall_index_crc(0, "123456789", 9), 0xcbf43926);
}

static void test_stamp_name(void)
{
	CU_ASSERT_NOT_EQUAL(recall_index_stamp_name("INBOX"),
			    recall_index_stamp_name("INBOY"));
	CU_ASSERT_NOT_EQUAL(recall_index_stamp_name("ab"),
			    recall_index_stamp_name("ba"));
	CU_ASSERT_EQUAL(recall_index_stamp_name("ab"),
			recall_index_stamp_name("ab"));
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
	CU_add_test(suite, "old records", test_drop_old);
	CU_add_test(suite, "fence", test_fence);
	CU_add_test(suite, "fence of a UID alone", test_old_fence);
	CU_add_test(suite, "sum of records", test_sum);
	CU_add_test(suite, "file", test_file);
	CU_add_test(suite, "a file that grows", test_file_grows);
	CU_add_test(suite, "a broken file", test_file_broken);
	CU_add_test(suite, "a broken base", test_file_broken_base);
	CU_add_test(suite, "a file damaged since it was read",
		    test_file_damaged_since);
	CU_add_test(suite, "read before", test_file_current);
	CU_add_test(suite, "a large file", test_file_left);
	CU_add_test(suite, "a large file that is broken",
		    test_file_left_broken);
	CU_add_test(suite, "a large file that changes",
		    test_file_left_changed);
	CU_add_test(suite, "checksums", test_crc);
	CU_add_test(suite, "names", test_stamp_name);
	ret = tests_run();
	(void)rmdir(test_dir);
	lib_deinit();
	return ret;
}
