#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "doveadm-nodes.h"
#include "log.h"
#include "recall-outcome.h"
#include "recall-params-json.h"
#include "standing-hand.h"

/* The keeper leaves alone for so long what somebody is about to hand over. */
#define GRACE_SECS 10
#define PAUSE_MAX_SECS 60
/* What has ended has a time in the past. */
#define ENDED 1

static bool is_standing(const struct recall *recall)
{
	return recall->kind == RECALL_EXPUNGE && !recall->dry_run &&
		recall->stand > 0;
}

/* Those asked for; mailboxes are what an order is for, so of an alias that is
   known for one also whose mailbox it is. */
static json_t *list_users(const struct recall *recall)
{
	const struct recall_user *user;
	json_t *users = json_array();
	size_t i;

	for (i = 0; i < recall->count; i++) {
		user = &recall->users[i];
		json_array_append_new(users, json_string(user->email));
		if (user->mailbox_user != NULL &&
		    strcmp(user->mailbox_user, user->email) != 0)
			json_array_append_new(users,
					      json_string(user->mailbox_user));
	}
	return users;
}

static json_t *make_params(struct recall *recall, int64_t until)
{
	static const char *const others[] = {
		RECALL_PARAM_DRY_RUN, RECALL_PARAM_VERIFY_HEADERS,
		RECALL_PARAM_APPROVER, RECALL_PARAM_STAND_ALL,
	};
	json_t *params;
	size_t i;

	recall->stand_until = until;
	params = recall_make_params(recall, false);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		json_object_del(params, others[i]);
	if (recall->everyone)
		json_object_set_new(params, RECALL_PARAM_ALL_USERS,
				    json_true());
	else
		json_object_set_new(params, RECALL_PARAM_USERS,
				    list_users(recall));
	return params;
}

void standing_hand_make_call(struct doveadm_call *call, struct config *config,
			     const struct journal_standing *row,
			     struct recall *recall)
{
	memset(call, 0, sizeof(*call));
	call->config = config;
	call->urls = row->url;
	call->timeout = config->doveadm_connect_timeout;
	if (row->state == STANDING_ENDING) {
		call->command = RECALL_CMD_STANDING_END;
		call->params = json_pack("{s:s}", RECALL_PARAM_RECALL_ID,
					 row->recall);
	} else {
		call->command = RECALL_CMD_STANDING_BEGIN;
		call->params = make_params(recall, row->until);
	}
}

/* Whether another server stands in for this one, or a proxy is before it: then
   its users are asked about whether this one is there or not. */
static bool has_substitute(const struct config *config, const char *url)
{
	struct strlist groups = { NULL, 0, 0 }, urls;
	bool ret = false;
	size_t i, n;

	memset(&urls, 0, sizeof(urls));
	strlist_split(&urls, config->doveadm_behind);
	ret = strlist_has_nocase(&urls, url);
	strlist_free(&urls);
	config_node_groups(config, &groups);
	for (i = 0; i < groups.count && !ret; i++) {
		memset(&urls, 0, sizeof(urls));
		strlist_split(&urls, groups.items[i]);
		for (n = 0; n < urls.count && urls.count > 1 && !ret; n++)
			ret = strcmp(urls.items[n], url) == 0;
		strlist_free(&urls);
	}
	strlist_free(&groups);
	return ret;
}

bool standing_hand_take(const struct doveadm_call *call,
			const struct journal_standing *row, bool late)
{
	enum standing_state state = STANDING_ENDED;
	enum journal_result settled;
	struct strlist none = { NULL, 0, 0 };
	int64_t until;

	if (call->result != DOVEADM_OK) {
		log_warning("recall %s: %s: %s: %s", row->recall, row->url,
			    call->command, call->error);
		(void)journal_standing_failed(row, PAUSE_MAX_SECS,
			call->result == DOVEADM_UNREACHABLE ||
			call->result == DOVEADM_TIMEOUT, call->error);
		return false;
	}
	if (row->state == STANDING_MISSING)
		state = late && (has_substitute(call->config, row->url) ||
				 journal_standing_has_aliases(row->recall)) ?
			STANDING_LOOK : STANDING_STANDS;
	settled = journal_standing_settle(row, state);
	/* it may have been ended while it was handed over, and the node have
	   heard of that first; or somebody else has handed it over, too */
	if (settled == JOURNAL_ABSENT && row->state == STANDING_MISSING &&
	    journal_standing_until(row->recall, &until) && until < 0)
		(void)journal_standing_end(row->recall, &none, 0, 0);
	if (settled == JOURNAL_FAILED)
		return false;
	if (!late)
		return true;
	journal_standing_wake(row->url, row->recall);
	log_info("recall %s: %s: the order %s", row->recall, row->url,
		 state == STANDING_ENDED ? "has ended" : "stands");
	return true;
}

/* Hands the order to all nodes that do not have it. late: see
   standing_hand_take(). */
static void hand(struct recall *recall, struct config *config, bool late)
{
	struct journal_standing *rows;
	struct doveadm_call *calls;
	size_t i, count, n = 0;

	if (!journal_standing_load(recall->id, &rows, &count))
		log_error("recall %s: its order waits", recall->id);
	calls = x_calloc(count + 1, sizeof(*calls));
	for (i = 0; i < count; i++) {
		if (rows[i].state != STANDING_MISSING)
			continue;
		standing_hand_make_call(&calls[n], config, &rows[i], recall);
		calls[n++].context = &rows[i];
	}
	doveadm_nodes_run(calls, n);
	for (i = 0; i < n; i++) {
		(void)standing_hand_take(&calls[i], calls[i].context, late);
		json_decref(calls[i].answer);
		free(calls[i].error);
	}
	free(calls);
	journal_standing_free(rows, count);
}

void standing_hand_begin(struct recall *recall, struct config *config)
{
	struct strlist urls = { NULL, 0, 0 };
	int64_t now = time(NULL), until = 0;
	bool ok;

	if (!is_standing(recall) || recall_is_held(recall))
		return;
	ok = journal_standing_until(recall->id, &until);
	if (ok && until == 0) {
		until = now + recall->stand;
		doveadm_nodes_urls(config, &urls);
		ok = journal_standing_add(recall->id, &urls, until,
					  now + GRACE_SECS);
		strlist_free(&urls);
	}
	if (!ok) {
		log_error("recall %s: the journal could not be written, it "
			  "stands only where its users are asked about",
			  recall->id);
		return;
	}
	recall->stand_until = until < 0 ? ENDED : until;
	if (recall->stand_until > now)
		hand(recall, config, false);
}

bool standing_hand_has_ended(const struct recall *recall)
{
	int64_t until;

	return is_standing(recall) &&
		journal_standing_until(recall->id, &until) && until < 0;
}

void standing_hand_check(struct recall *recall)
{
	if (recall->stand_until > ENDED && standing_hand_has_ended(recall))
		recall->stand_until = ENDED;
}

static void end_again(const struct recall *recall)
{
	struct strlist none = { NULL, 0, 0 };

	if (!journal_standing_end(recall->id, &none, 0, 0))
		log_error("recall %s: its order has not ended", recall->id);
}

void standing_hand_end_again(const struct recall *recall)
{
	if (standing_hand_has_ended(recall))
		end_again(recall);
}

size_t standing_hand_count_aliases(const struct recall *recall)
{
	const struct recall_user *user;
	size_t i, n = 0;

	for (i = 0; i < recall->count; i++) {
		user = &recall->users[i];
		if (user->mailbox_user != NULL &&
		    strcmp(user->mailbox_user, user->email) != 0)
			n++;
	}
	return n;
}

void standing_hand_aliases(struct recall *recall, struct config *config)
{
	if (journal_standing_again(recall->id, time(NULL) + GRACE_SECS))
		hand(recall, config, true);
}

void standing_hand_finish(struct recall *recall, struct config *config)
{
	int64_t now = time(NULL), until;

	if (!is_standing(recall) ||
	    !journal_standing_until(recall->id, &until) || until == 0)
		return;
	/* a command may have been on its way when the end was */
	if (until < 0 || recall->refused) {
		end_again(recall);
		return;
	}
	if (recall->everyone || until <= now)
		return;
	if (standing_hand_count_aliases(recall) > 0)
		standing_hand_aliases(recall, config);
	if (recall_count(recall, RECALL_VERDICT_ERROR) > 0)
		(void)journal_standing_add_users(recall->id, until, now + 1);
}
