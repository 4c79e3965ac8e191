#include "lib.h"
#include "array.h"
#include "guid.h"
#include "hash.h"
#include "ostream.h"
#include "time-util.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-boxes.h"
#include "recall-limits.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-params.h"
#include "recall-tenant.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-listing.h"

HASH_TABLE_DEFINE_TYPE(names, const char *, const char *);

const char *recall_listing_time(time_t t)
{
	if (t < -RECALL_TIME_MAX || t > RECALL_TIME_MAX)
		return "";
	return t_strfgmtime("%Y-%m-%dT%H:%M:%SZ", t);
}

/* Each node passes over messages of its own: together with another's, or with
   ours, that is not what was asked for. */
static bool listing_is_mixed(const struct recall_listing *listing)
{
	return listing->have_offset && listing->proxied_users > 0 &&
		listing->own_users + listing->proxied_users > 1;
}

static bool listing_is_done(void *context)
{
	struct recall_listing *listing = context;

	return (listing->limit > 0 && listing->count >= listing->limit) ||
		/* --offset has turned out to be of no use */
		listing_is_mixed(listing) ||
		/* nobody reads it any more */
		doveadm_print_ostream->stream_errno != 0;
}

/* vname is NULL if no mailbox is concerned. */
static void listing_print_error(struct recall_listing *listing,
				const char *username, const char *vname,
				int exit_code, const char *error)
{
	recall_rows_set_exit_code(listing->rows, exit_code);
	recall_rows_add_known(listing->rows, RECALL_COLUMN_USERNAME, username,
			      RECALL_COLUMN_MAILBOX, vname,
			      RECALL_COLUMN_ERROR, error, NULL);
}

static const char *listing_get_guid(struct mailbox *box)
{
	struct mailbox_metadata metadata;

	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		return "";
	return guid_128_to_string(metadata.guid);
}

static void
listing_add_box(struct recall_listing *listing, struct mailbox *box)
{
	const struct recall_listing_box *lbox;
	struct recall_listing_box current;

	i_zero(&current);
	recall_box_dirs_get(box, listing->pool, &current.dirs);
	p_array_init(&current.uids, listing->pool, 2);
	listing->box_again = FALSE;
	array_foreach(&listing->boxes, lbox) {
		if (recall_box_dirs_are_same(&lbox->dirs, &current.dirs))
			listing->box_again = TRUE;
	}
	array_push_back(&listing->boxes, &current);
	listing->box_added = TRUE;
}

/* Whether it was found by another name of its mailbox. */
static bool
listing_is_known(struct recall_listing *listing, struct mail *mail)
{
	const struct recall_listing_box *lbox;
	struct recall_listing_box *current;

	if (!listing->box_added)
		listing_add_box(listing, mail->box);
	current = array_back_modifiable(&listing->boxes);
	if (listing->box_again) {
		array_foreach(&listing->boxes, lbox) {
			if (recall_box_dirs_have_found(&lbox->dirs,
						       &lbox->uids,
						       &current->dirs, mail))
				return TRUE;
		}
	}
	seq_range_array_add(&current->uids, mail->uid);
	recall_box_dirs_found(&current->dirs, listing->pool, mail);
	return FALSE;
}

static bool listing_print_mail(struct mail *mail, void *context)
{
	struct recall_listing *listing = context;
	const char *error = NULL;

	if (listing_is_known(listing, mail))
		return TRUE;
	if (listing->skipped < listing->offset) {
		listing->skipped++;
		return !listing_is_done(listing);
	}
	/* asked for again with each message: it is known by then */
	listing->guid = listing_get_guid(mail->box);
	if (listing->print(listing, mail, &error)) {
		if (error != NULL)
			recall_rows_set_exit_code(listing->rows, EX_TEMPFAIL);
		recall_rows_add(listing->rows, error);
		listing->count++;
	}
	return !listing_is_done(listing);
}

/* Returns FALSE if it could not be opened since it is not there. */
static bool
listing_run_box(struct recall_listing *listing, struct mailbox *box)
{
	unsigned int other_senders = 0;
	bool gone = FALSE;

	listing->box_added = FALSE;
	listing->wanted.gone = &gone;
	if (recall_find_in_box(box, &listing->request.order.criteria,
			       &listing->wanted, listing_print_mail, listing,
			       &other_senders) < 0) {
		listing_print_error(listing, listing->username,
			mailbox_get_vname(box), EX_TEMPFAIL,
			t_strdup_printf("Searching mailbox failed: %s",
				mailbox_get_last_internal_error(box, NULL)));
	}
	/* otherwise it's a message that is gone */
	return !gone || box->opened;
}

/* Looks at all mailboxes that are not in the set yet. Returns one that is
   listed, but not there, or NULL. */
static const char *
listing_run_boxes(struct recall_listing *listing, struct mail_user *user,
		  HASH_TABLE_TYPE(names) seen)
{
	struct recall_boxes_iter *iter;
	struct mailbox *box;
	const char *vname, *error, *gone = NULL;

	iter = recall_boxes_iter_init_for(user,
		&listing->request.order.criteria, NULL);
	while (!listing_is_done(listing) &&
	       (box = recall_boxes_iter_next(iter)) != NULL) {
		vname = mailbox_get_vname(box);
		if (hash_table_lookup(seen, vname) == NULL) T_BEGIN {
			vname = p_strdup(listing->pool, vname);
			if (listing_run_box(listing, box))
				hash_table_insert(seen, vname, vname);
			else
				gone = vname;
		} T_END;
		mailbox_free(&box);
	}
	if (recall_boxes_iter_deinit(&iter, &error) < 0) {
		listing_print_error(listing, listing->username, NULL,
				    EX_TEMPFAIL, error);
		gone = NULL;
	}
	return gone;
}

/* A mailbox that is not there by the time that it's opened was deleted, or
   renamed: it is looked for by the other name then. Or Dovecot lists what it
   does not open. */
static void
listing_run_user(struct recall_listing *listing, struct mail_user *user)
{
	HASH_TABLE_TYPE(names) seen;
	const char *gone = "";
	unsigned int looks;

	listing->pool = pool_alloconly_create("recall listing", 1024);
	p_array_init(&listing->boxes, listing->pool, 4);
	hash_table_create(&seen, listing->pool, 0, str_hash, strcmp);
	for (looks = 0; gone != NULL && looks < RECALL_LOOKS_MAX; looks++)
		gone = listing_run_boxes(listing, user, seen);
	if (gone != NULL) {
		listing_print_error(listing, listing->username, gone,
				    EX_TEMPFAIL,
				    recall_boxes_get_gone_error(gone));
	}
	hash_table_destroy(&seen);
	pool_unref(&listing->pool);
}

static void
listing_run(void *context, struct mail_user *user, const char *username)
{
	struct recall_listing *listing = context;

	listing->own_users++;
	if (!recall_tenant_matches(listing->request.order.tenant, user)) {
		if (listing->named_users) {
			listing_print_error(listing, username, NULL,
				EX_TEMPFAIL,
				"The user belongs to another tenant");
		}
		return;
	}
	listing->username = username;
	listing->mailbox_user = user->username;
	listing_run_user(listing, user);
}

static void
listing_unseen(void *context, const char *username, enum recall_verdict verdict,
	       const char *error)
{
	struct recall_listing *listing = context;

	listing->own_users++;
	listing_print_error(listing, username, NULL,
			    verdict == RECALL_VERDICT_NO_USER ?
			    EX_NOUSER : EX_TEMPFAIL, error);
}

static void
listing_proxied(void *context, const char *username ATTR_UNUSED)
{
	struct recall_listing *listing = context;

	listing->proxied_users++;
}

/* Nodes count by themselves. Over HTTP that's what whoever asks for pages, as
   mail-recalld does, goes by: the rows of a user break off only at the limit,
   and not at one that rows of others have used up. */
static bool listing_wants_row(void *context)
{
	const struct recall_listing *listing = context;

	return !listing->total || listing->limit == 0 ||
		listing->count < listing->limit;
}

static void listing_row_printed(void *context, bool mail)
{
	struct recall_listing *listing = context;

	if (mail && listing->total)
		listing->count++;
}

static void
listing_lost(void *context, const char *username, const char *error)
{
	struct recall_listing *listing = context;

	listing->proxied_users++;
	listing_print_error(listing, username, NULL, EX_TEMPFAIL, error);
}

/* Who passes over messages, or stops after some, has to know all. */
static bool listing_may_spread(void *context)
{
	const struct recall_listing *listing = context;

	return listing->may_spread && listing->limit == 0 &&
		!listing->have_offset;
}

static const struct recall_users_callbacks listing_callbacks = {
	.run = listing_run,
	.unseen = listing_unseen,
	.proxied = listing_proxied,
	.wants_row = listing_wants_row,
	.row_printed = listing_row_printed,
	.lost = listing_lost,
	.done = listing_is_done,
	.may_spread = listing_may_spread,
};

static int
listing_get_offset(const struct doveadm_cmd_context *cctx,
		   struct recall_listing *listing)
{
	const char *value;

	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_OFFSET, &value))
		return 0;
	listing->have_offset = TRUE;
	if (str_to_uint(value, &listing->offset) == 0)
		return 0;
	recall_cmd_error(cctx, EX_USAGE,
			 "--"RECALL_PARAM_OFFSET" is not a number from 0 on");
	return -1;
}

int recall_listing_parse(const struct doveadm_cmd_context *cctx,
			 struct recall_listing *listing)
{
	if (recall_request_parse(cctx, &listing->request) < 0)
		return -1;
	if (recall_cmd_param_number(cctx, RECALL_PARAM_LIMIT,
				    &listing->limit) < 0 ||
	    listing_get_offset(cctx, listing) < 0) {
		recall_listing_deinit(listing);
		return -1;
	}
	return 0;
}

void recall_listing_run(struct doveadm_cmd_context *cctx,
			struct recall_listing *listing)
{
	bool hits = FALSE;

	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_HITS, &hits);
	listing->total = cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI;
	listing->named_users = recall_users_are_named(cctx) && !hits;
	if (recall_users_run(cctx, listing->rows, &listing_callbacks,
			     listing) == 0 && listing_is_mixed(listing)) {
		recall_rows_error(listing->rows, EX_DATAERR,
			"--"RECALL_PARAM_OFFSET" is for the users of one "
			"node. Ask each node or each user by itself");
	}
}

void recall_listing_deinit(struct recall_listing *listing)
{
	recall_request_deinit(&listing->request);
	recall_rows_deinit(&listing->rows);
}
