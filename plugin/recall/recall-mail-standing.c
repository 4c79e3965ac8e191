#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "guid.h"
#include "ioloop.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "failpoint.h"
#include "recall-copies.h"
#include "recall-index.h"
#include "recall-late.h"
#include "recall-order.h"
#include "recall-quarantine-settings.h"
#include "recall-settings.h"
#include "recall-standing.h"
#include "recall-standing-set.h"
#include "recall-mail-arrival.h"
#include "recall-mail-standing.h"

#define STANDING_USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, recall_standing_user_module)

struct standing_user {
	union mail_user_module_context module_ctx;
	/* of all other plugins */
	void (*deinit_pre)(struct mail_user *user);

	/* guid_128_t of the orders that something has arrived for */
	buffer_t *recall_ids;
	/* what could not be judged by its hash */
	ARRAY_TYPE(recall_mail_arrival) arrivals;
	/* transactions under way that may save */
	unsigned int saving;
	struct timeout *to;
	/* orders are being carried out: what is saved is by them */
	bool running;
};

static MODULE_CONTEXT_DEFINE_INIT(recall_standing_user_module,
				  &mail_user_module_register);

/* The process's: one after another of its users looks at the same orders. */
static struct recall_standing_set *standing_set;
static char *standing_set_dir;

static struct recall_standing_set *standing_get_set(struct mail_user *user)
{
	const char *dir = recall_settings(user)->recall_standing_dir;

	if (standing_set != NULL && strcmp(standing_set_dir, dir) != 0)
		recall_mail_standing_deinit();
	if (standing_set == NULL) {
		standing_set = recall_standing_set_init(dir);
		standing_set_dir = i_strdup(dir);
	}
	return standing_set;
}

/* Returns NULL if there are no orders, or if they can't be looked at now. */
static struct recall_standing_set *standing_refresh_set(struct mail_user *user)
{
	struct recall_standing_set *set = standing_get_set(user);
	const char *error;
	int ret = recall_standing_set_refresh(set, &error);

	if (ret < 0 && error != NULL) {
		e_error(user->event, "recall: Standing orders: %s: what "
			"arrives waits for the next doveadm recall standing "
			"run", error);
	}
	return ret > 0 ? set : NULL;
}

/* Mail of the user's own, which nobody but the user has. */
static bool standing_is_for_box(struct mailbox *box)
{
	struct mail_namespace *ns = mailbox_get_namespace(box);

	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		ns->owner == ns->user && !recall_quarantine_is_namespace(ns);
}

bool recall_mail_standing_is_own(struct mailbox *box, struct mail *mail)
{
	struct mail_namespace *ns = mailbox_get_namespace(box);
	struct mail_namespace *src_ns = mailbox_get_namespace(mail->box);

	/* what is imported belongs to another mail_user of the same name */
	return src_ns->type == MAIL_NAMESPACE_TYPE_PRIVATE &&
		src_ns->owner == ns->owner;
}

/* Returns FALSE if the user's quarantine is locked. */
static bool standing_run_order(struct mail_user *user, const guid_128_t guid)
{
	const char *dir = recall_settings(user)->recall_standing_dir;
	const char *error, *recall_id = guid_128_to_string(guid);
	struct recall_standing_order order;
	struct recall_copies copies;
	struct recall_outcome outcome;
	pool_t pool = pool_alloconly_create("standing order", 2048);
	bool locked = FALSE;
	int ret;

	ret = recall_standing_read(dir, recall_id, pool, &order, &error);
	if (ret < 0) {
		e_error(user->event, "recall %s: %s", recall_id, error);
	} else if (ret > 0 &&
		   recall_late(user, &order, TRUE, &copies, &outcome)) {
		recall_copies_free(&copies);
		locked = outcome.locked;
	}
	pool_unref(&pool);
	return !locked;
}

/* The sender waits for the delivery's answer, and sends the message once more
   if there is none: for all orders together it waits once. */
static void standing_run_orders(struct mail_user *user, const buffer_t *ids)
{
	const guid_128_t *id = ids->data;
	const guid_128_t *end = id + ids->used / sizeof(*id);
	bool locked = FALSE;

	for (; id != end; id++) T_BEGIN {
		if (!locked) {
			locked = !standing_run_order(user, *id);
		} else {
			e_error(user->event, "recall %s: The quarantine is "
				"locked: what arrived waits for the next "
				"doveadm recall standing run",
				guid_128_to_string(*id));
		}
	} T_END;
}

static void standing_run(struct mail_user *user, struct standing_user *suser)
{
	timeout_remove(&suser->to);
	if (suser->recall_ids->used == 0 && array_is_empty(&suser->arrivals))
		return;
	RECALL_FAILPOINT("late-committed");
	suser->running = TRUE;
	if (!array_is_empty(&suser->arrivals)) {
		recall_mail_arrivals_judge(user, standing_get_set(user),
					   &suser->arrivals,
					   suser->recall_ids);
	}
	standing_run_orders(user, suser->recall_ids);
	buffer_set_used_size(suser->recall_ids, 0);
	recall_mail_arrivals_clear(&suser->arrivals);
	suser->running = FALSE;
}

static void standing_timeout(struct mail_user *user)
{
	struct standing_user *suser = STANDING_USER_CONTEXT(user);

	/* its locks may be in the way */
	if (suser->saving == 0)
		standing_run(user, suser);
	else
		timeout_remove(&suser->to);
}

/* Others come to an end as soon as they have saved, and their users with
   them. */
static void standing_schedule(struct mail_user *user,
			      struct standing_user *suser)
{
	if (suser->to == NULL && suser->saving == 0 &&
	    (suser->recall_ids->used > 0 ||
	     !array_is_empty(&suser->arrivals)) &&
	    strcmp(user->service, "imap") == 0) {
		suser->to = timeout_add_short_to(io_loop_get_root(), 0,
						 standing_timeout, user);
	}
}

void recall_mail_standing_begin(struct mailbox *box)
{
	struct standing_user *suser =
		STANDING_USER_CONTEXT(box->storage->user);

	if (suser != NULL)
		suser->saving++;
}

void recall_mail_standing_end(struct mailbox *box)
{
	struct mail_user *user = box->storage->user;
	struct standing_user *suser = STANDING_USER_CONTEXT(user);

	if (suser == NULL)
		return;
	i_assert(suser->saving > 0);
	suser->saving--;
	if (!suser->running)
		standing_schedule(user, suser);
}

void recall_mail_standing_saved(struct mailbox *box,
				const ARRAY_TYPE(seq_range) *uids,
				const ARRAY_TYPE(uint64_t) *hashes,
				const ARRAY_TYPE(seq_range) *arrived,
				bool ordered)
{
	struct mail_user *user = box->storage->user;
	struct standing_user *suser = STANDING_USER_CONTEXT(user);
	struct recall_standing_set *set;

	if (suser == NULL || suser->running || array_is_empty(arrived) ||
	    !standing_is_for_box(box))
		return;
	set = standing_refresh_set(user);
	if (set != NULL) {
		recall_mail_arrivals_add(set, box, uids, hashes, arrived,
					 ordered, &suser->arrivals,
					 suser->recall_ids);
	}
}

static void standing_user_deinit_pre(struct mail_user *user)
{
	struct standing_user *suser = STANDING_USER_CONTEXT(user);

	standing_run(user, suser);
	suser->deinit_pre(user);
}

static void standing_user_deinit(struct mail_user *user)
{
	struct standing_user *suser = STANDING_USER_CONTEXT(user);

	timeout_remove(&suser->to);
	recall_mail_arrivals_clear(&suser->arrivals);
	array_free(&suser->arrivals);
	buffer_free(&suser->recall_ids);
	suser->module_ctx.super.deinit(user);
}

void recall_mail_standing_user_created(struct mail_user *user)
{
	struct mail_user_vfuncs *v = user->vlast;
	struct standing_user *suser;

	/* nobody but the user, and doveadm, may recall for the user */
	if (user->autocreated || user->error != NULL)
		return;
	suser = p_new(user->pool, struct standing_user, 1);
	suser->module_ctx.super = *v;
	user->vlast = &suser->module_ctx.super;
	v->deinit = standing_user_deinit;
	suser->recall_ids = buffer_create_dynamic(default_pool, 16);
	i_array_init(&suser->arrivals, 1);
	MODULE_CONTEXT_SET(user, recall_standing_user_module, suser);
}

void recall_mail_standing_namespaces_created(struct mail_user *user)
{
	struct standing_user *suser = STANDING_USER_CONTEXT(user);

	/* In front of all plugins, whichever order they were loaded in: what is
	   recalled changes mailboxes, which some of them (quota_clone) do not
	   expect any more when they have said goodbye. */
	if (suser == NULL || suser->deinit_pre != NULL)
		return;
	suser->deinit_pre = user->v.deinit_pre;
	user->v.deinit_pre = standing_user_deinit_pre;
}

void recall_mail_standing_deinit(void)
{
	recall_standing_set_deinit(&standing_set);
	i_free_and_null(standing_set_dir);
}
