#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "guid.h"
#include "str.h"
#include "str-sanitize.h"
#include "mail-namespace.h"
#include "mail-search.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "recall-find.h"
#include "recall-index.h"
#include "recall-index-mail.h"
#include "recall-late.h"
#include "recall-message-id.h"
#include "recall-query.h"
#include "recall-settings.h"
#include "recall-standing.h"
#include "recall-standing-set.h"
#include "recall-mail-arrival.h"

#include <time.h>

static void add_id(buffer_t *recall_ids, const guid_128_t id)
{
	const guid_128_t *ids = recall_ids->data;
	unsigned int i, count = recall_ids->used / sizeof(*ids);

	for (i = 0; i < count; i++) {
		if (guid_128_equals(ids[i], id))
			return;
	}
	buffer_append(recall_ids, id, sizeof(*ids));
}

static void add_ids(buffer_t *recall_ids, const buffer_t *found)
{
	const guid_128_t *ids = found->data;
	unsigned int i;

	for (i = 0; i < found->used / sizeof(*ids); i++)
		add_id(recall_ids, ids[i]);
}

static void add_orders(const struct recall_standing_set *set, uint64_t hash,
		       buffer_t *recall_ids)
{
	buffer_t *found = t_buffer_create(GUID_128_SIZE);

	recall_standing_set_find(set, hash, time(NULL), found);
	add_ids(recall_ids, found);
}

static bool have_queries(const struct recall_standing_set *set)
{
	buffer_t *found = t_buffer_create(GUID_128_SIZE);

	recall_standing_set_find(set, RECALL_STANDING_HASH_QUERY, time(NULL),
				 found);
	return found->used > 0;
}

/* Which of the transaction's messages to look at. */
static void
get_uids(const ARRAY_TYPE(seq_range) *uids, unsigned int count,
	 const ARRAY_TYPE(seq_range) *numbers, bool ordered,
	 ARRAY_TYPE(seq_range) *uids_r)
{
	struct seq_range_iter iter, uid_iter;
	unsigned int n = 0;
	uint32_t number, uid;

	if (!ordered || seq_range_count(uids) != count) {
		/* which is which? */
		seq_range_array_merge(uids_r, uids);
		return;
	}
	seq_range_array_iter_init(&iter, numbers);
	seq_range_array_iter_init(&uid_iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &number)) {
		if (seq_range_array_iter_nth(&uid_iter, number, &uid))
			seq_range_array_add(uids_r, uid);
	}
}

static void
add_arrival(struct mailbox *box, const ARRAY_TYPE(seq_range) *uids,
	    unsigned int count, const ARRAY_TYPE(seq_range) *numbers,
	    bool ordered, bool hashed,
	    ARRAY_TYPE(recall_mail_arrival) *arrivals)
{
	struct recall_mail_arrival *arrival;

	if (array_is_empty(numbers) || !array_is_created(uids))
		return;
	arrival = array_append_space(arrivals);
	arrival->vname = i_strdup(mailbox_get_vname(box));
	arrival->hashed = hashed;
	i_array_init(&arrival->uids, 2);
	get_uids(uids, count, numbers, ordered, &arrival->uids);
}

void recall_mail_arrivals_add(const struct recall_standing_set *set,
			      struct mailbox *box,
			      const ARRAY_TYPE(seq_range) *uids,
			      const ARRAY_TYPE(uint64_t) *hashes,
			      const ARRAY_TYPE(seq_range) *arrived,
			      bool ordered,
			      ARRAY_TYPE(recall_mail_arrival) *arrivals,
			      buffer_t *recall_ids)
{
	ARRAY_TYPE(seq_range) unread;
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t number;
	uint64_t hash;

	t_array_init(&unread, 2);
	seq_range_array_iter_init(&iter, arrived);
	while (seq_range_array_iter_nth(&iter, n++, &number)) {
		hash = array_idx_elem(hashes, number);
		if (hash == RECALL_INDEX_HASH_UNKNOWN ||
		    hash == RECALL_INDEX_HASH_MANY)
			seq_range_array_add(&unread, number);
		else if (hash != RECALL_INDEX_HASH_NONE)
			add_orders(set, hash, recall_ids);
	}
	if (have_queries(set)) {
		add_arrival(box, uids, array_count(hashes), arrived, ordered,
			    array_is_empty(&unread), arrivals);
	} else {
		add_arrival(box, uids, array_count(hashes), &unread, ordered,
			    FALSE, arrivals);
	}
}

struct judge_context {
	struct mail_user *user;
	const struct recall_standing_set *set;
	buffer_t *recall_ids;
};

static bool judge_name(const struct recall_message_id *id, void *context)
{
	struct judge_context *ctx = context;

	add_orders(ctx->set, recall_index_hash(id), ctx->recall_ids);
	return TRUE;
}

/* Returns -1 if it can't be read. */
static int judge_mail(struct judge_context *ctx, struct mail *mail)
{
	const char *const *values;

	if (recall_index_get_all_headers(mail, FALSE, &values) < 0) {
		return mailbox_get_last_mail_error(mail->box) ==
			MAIL_ERROR_EXPUNGED ? 0 : -1;
	}
	for (; *values != NULL; values++) {
		(void)recall_message_id_foreach(*values, strlen(*values),
						judge_name, ctx);
	}
	return 0;
}

static int judge_ids(struct judge_context *ctx, struct mailbox *box,
		     const ARRAY_TYPE(seq_range) *uids)
{
	static const char *const names[] = { "Message-ID", NULL };
	struct mailbox_transaction_context *trans;
	struct mailbox_header_lookup_ctx *headers;
	struct seq_range_iter iter;
	struct mail *mail;
	unsigned int n = 0;
	uint32_t uid;
	int ret = 0;

	if (mailbox_open(box) < 0 ||
	    mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0)
		return -1;
	trans = mailbox_transaction_begin(box, 0, __func__);
	headers = mailbox_header_lookup_init(box, names);
	mail = mail_alloc(trans, 0, headers);
	mailbox_header_lookup_unref(&headers);
	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (mail_set_uid(mail, uid)) T_BEGIN {
			if (judge_mail(ctx, mail) < 0)
				ret = -1;
		} T_END;
	}
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	return ret;
}

/* The order's query for these messages alone. */
static int
judge_parse_query(const struct recall_standing_order *order,
		  const ARRAY_TYPE(seq_range) *uids,
		  struct mail_search_args **args_r, const char **error_r)
{
	const char *const *query = recall_late_query(order), *word;
	const struct seq_range *range;
	ARRAY_TYPE(const_string) words;
	string_t *str = t_str_new(64);

	t_array_init(&words, 16);
	array_append(&words, query, str_array_length(query));
	word = "UID";
	array_push_back(&words, &word);
	array_foreach(uids, range) {
		str_printfa(str, "%s%u:%u", str_len(str) > 0 ? "," : "",
			    range->seq1, range->seq2);
	}
	word = str_c(str);
	array_push_back(&words, &word);
	array_append_zero(&words);
	return recall_query_parse(array_front(&words), args_r, error_r);
}

/* The text of a log line is not escaped any more. */
static const char *name_for_log(const char *vname)
{
	return str_sanitize(vname, 128);
}

static bool judge_found(struct mail *mail ATTR_UNUSED, void *context)
{
	bool *found = context;

	*found = TRUE;
	return FALSE;
}

/* Returns 1 if a message is one that the query finds, 0 if not, -1 on
   errors. */
static int
judge_query(const struct recall_standing_order *order, const char *dir,
	    struct mailbox *box, const ARRAY_TYPE(seq_range) *uids,
	    const char **error_r)
{
	static const struct recall_find_wanted wanted = { .arrived = TRUE };
	struct recall_criteria criteria = {
		.senders = order->senders,
		.leave_out = recall_late_is_notice,
		.leave_out_context = (void *)dir,
	};
	unsigned int other_senders = 0;
	bool found = FALSE;
	int ret;

	if (judge_parse_query(order, uids, &criteria.search_args, error_r) < 0)
		return -1;
	ret = recall_find_in_box(box, &criteria, &wanted, judge_found, &found,
				 &other_senders);
	if (ret < 0) {
		*error_r = t_strdup_printf("Searching mailbox %s failed: %s",
			name_for_log(mailbox_get_vname(box)),
			mailbox_get_last_internal_error(box, NULL));
	}
	mail_search_args_unref(&criteria.search_args);
	return found ? 1 : ret;
}

static void judge_order(struct judge_context *ctx, const guid_128_t guid,
			struct mailbox *box,
			const ARRAY_TYPE(seq_range) *uids)
{
	const char *dir = recall_settings(ctx->user)->recall_standing_dir;
	const char *error, *recall_id = guid_128_to_string(guid);
	struct recall_standing_order order;
	pool_t pool = pool_alloconly_create("standing order", 2048);
	int ret;

	ret = recall_standing_read(dir, recall_id, pool, &order, &error);
	/* a damaged set may take another order for a query */
	if (ret > 0 && order.query != NULL &&
	    recall_late_is_for(ctx->user, &order))
		ret = judge_query(&order, dir, box, uids, &error);
	else if (ret > 0)
		ret = 0;
	if (ret < 0)
		e_error(ctx->user->event, "recall %s: %s", recall_id, error);
	else if (ret > 0)
		add_id(ctx->recall_ids, guid);
	pool_unref(&pool);
}

static void judge_queries(struct judge_context *ctx, struct mailbox *box,
			  const ARRAY_TYPE(seq_range) *uids)
{
	buffer_t *found = t_buffer_create(GUID_128_SIZE);
	const guid_128_t *ids;
	unsigned int i;

	recall_standing_set_find(ctx->set, RECALL_STANDING_HASH_QUERY,
				 time(NULL), found);
	ids = found->data;
	for (i = 0; i < found->used / sizeof(*ids); i++) T_BEGIN {
		judge_order(ctx, ids[i], box, uids);
	} T_END;
}

/* Any order may be for it: the recall itself looks. */
static void judge_unknown(struct judge_context *ctx, bool hashed)
{
	buffer_t *found = t_buffer_create(GUID_128_SIZE);

	if (hashed) {
		recall_standing_set_find(ctx->set, RECALL_STANDING_HASH_QUERY,
					 time(NULL), found);
	} else {
		recall_standing_set_get_all(ctx->set, time(NULL), found);
	}
	add_ids(ctx->recall_ids, found);
}

static void
judge_arrival(struct judge_context *ctx,
	      const struct recall_mail_arrival *arrival)
{
	struct mail_namespace *ns =
		mail_namespace_find(ctx->user->namespaces, arrival->vname);
	struct mailbox *box;

	if (array_is_empty(&arrival->uids)) {
		judge_unknown(ctx, arrival->hashed);
		return;
	}
	box = mailbox_alloc(ns->list, arrival->vname, MAILBOX_FLAG_IGNORE_ACLS);
	if (!arrival->hashed && judge_ids(ctx, box, &arrival->uids) < 0) {
		e_error(ctx->user->event, "recall: What arrived in mailbox %s "
			"can't be read: %s", name_for_log(arrival->vname),
			mailbox_get_last_internal_error(box, NULL));
	}
	judge_queries(ctx, box, &arrival->uids);
	mailbox_free(&box);
}

void recall_mail_arrivals_judge(struct mail_user *user,
				const struct recall_standing_set *set,
				ARRAY_TYPE(recall_mail_arrival) *arrivals,
				buffer_t *recall_ids)
{
	struct judge_context ctx = {
		.user = user,
		.set = set,
		.recall_ids = recall_ids,
	};
	const struct recall_mail_arrival *arrival;

	array_foreach(arrivals, arrival) T_BEGIN {
		judge_arrival(&ctx, arrival);
	} T_END;
}

void recall_mail_arrivals_clear(ARRAY_TYPE(recall_mail_arrival) *arrivals)
{
	struct recall_mail_arrival *arrival;

	array_foreach_modifiable(arrivals, arrival) {
		i_free(arrival->vname);
		array_free(&arrival->uids);
	}
	array_clear(arrivals);
}
