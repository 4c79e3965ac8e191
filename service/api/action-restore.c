#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-id.h"
#include "actions.h"
#include "alloc.h"
#include "http-parse.h"
#include "http-reply.h"
#include "journal-late.h"
#include "journal-standing.h"
#include "journal.h"
#include "journal-visible.h"
#include "params.h"
#include "recall-action.h"
#include "standing.h"
#include "text.h"

/* A user may undo what he or she did, an administrator what was done in the
   tenant's name. */
static bool may_restore(const struct identity *who,
			const struct recall *target)
{
	if (who->role == ROLE_USER)
		return strcasecmp(who->login, target->actor.login) == 0;
	return journal_visible(who, target);
}

static bool check_target(struct http_request *request,
			 const struct recall *target)
{
	const struct identity *who = &request->identity;

	if (target == NULL) {
		/* it may be one that was made at the shell, or long ago: then
		   only the plugin knows, and of tenants nothing is known */
		if (who->role == ROLE_SUPER) {
			if (param_is_given(request, "emails") ||
			    param_is_there(request, "all"))
				return true;
			http_reply_missing(request, "emails");
			return false;
		}
	} else if (target->kind == RECALL_EXPUNGE &&
		   may_restore(who, target)) {
		if (target->finished != 0 && !recall_is_denied(target))
			return true;
		http_reply_message(request, 409, target->finished != 0 ?
				   "The recall was not approved" :
				   "The recall has not finished yet");
		return false;
	}
	/* what one may not see does not exist */
	http_reply_message(request, 404, "There is no such recall");
	return false;
}

static bool has_users(const struct recall *target, const struct recall *recall)
{
	json_t *keys = json_object();
	bool ret = true;
	char *key;
	size_t i;

	/* a node gives back what was that user's alone */
	for (i = 0; i < target->count; i++) {
		key = ascii_lower(target->users[i].email);
		json_object_set_new_nocheck(keys, key, json_true());
		free(key);
	}
	for (i = 0; i < recall->count && ret; i++) {
		key = ascii_lower(recall->users[i].email);
		ret = json_object_get(keys, key) != NULL;
		free(key);
	}
	json_decref(keys);
	return ret;
}

/* Those who have only had late copies, too. A node that does not answer has
   told of all but the last minute's, unless it had too many. Returns false if
   it was answered. */
static bool read_late(struct http_request *request, struct recall *target)
{
	return recall_action_add_late(request, target, false);
}

/* Some of the recall's users, or all. */
static bool get_users(struct http_request *request, struct recall *target,
		      struct recall *recall)
{
	size_t i;

	if (param_is_there(request, "all")) {
		if (!recall_action_get_users(request, recall))
			return false;
		if (recall->everyone)
			return true;
	}
	if (!param_is_there(request, "emails")) {
		for (i = 0; i < target->count; i++)
			recall_add_user(recall, target->users[i].email);
		recall->whole = true;
		return true;
	}
	if (recall->count == 0 && !recall_action_add_emails(request, recall))
		return false;
	if (request->identity.role == ROLE_SUPER)
		return true;
	if (has_users(target, recall))
		return true;
	/* they may have had late copies only */
	if (!read_late(request, target))
		return false;
	if (has_users(target, recall))
		return true;
	http_reply_param(request, "emails",
			 "has an address that the recall has not");
	return false;
}

/* Ends what would recall it anew. Whoever gets it back alone is known by the
   nodes' records. Returns false if it was answered. */
static bool end_order(struct http_request *request, const struct recall *target)
{
	int64_t until = 0;
	bool ok = true, found;
	json_t *nodes;

	if (target == NULL || target->stand == 0 ||
	    param_is_there(request, "emails"))
		return true;
	if (!journal_standing_until(target->id, &until)) {
		ok = false;
	} else if (until > 0) {
		nodes = standing_end(request->config, target->id, &ok, &found);
		/* nodes that do not answer hear of it when they are back */
		ok = json_array_size(nodes) > 0;
		json_decref(nodes);
	}
	if (!ok)
		http_reply_journal(request);
	return ok;
}

/* What is refused because of them ends nothing. Returns false if it was
   answered. */
static bool check_late(struct http_request *request, struct recall *target,
		       const struct recall *recall)
{
	int64_t waiting;

	if (!recall->whole)
		return true;
	if (!journal_late_waiting(NULL, &waiting)) {
		http_reply_journal(request);
		return false;
	}
	return waiting == 0 || read_late(request, target);
}

/* Returns false if it was answered. */
static bool add_late(struct http_request *request, struct recall *target,
		     struct recall *recall)
{
	size_t i;

	if (!recall->whole)
		return true;
	if (!read_late(request, target))
		return false;
	for (i = recall->count; i < target->count; i++) {
		recall_add_user(recall, target->users[i].email);
		recall->late_users++;
	}
	return true;
}

static void restore(struct http_request *request, const char *id,
		    const char *reason, struct recall *target)
{
	struct recall *recall = recall_action_new(request, reason);
	size_t i;

	recall->kind = RECALL_RESTORE;
	recall->target = x_strdup(id);
	recall->notify = false;
	if (target != NULL) {
		free(recall->message_id);
		recall->message_id = x_strdup(target->message_id);
		for (i = 0; i < target->query.count; i++)
			strlist_add(&recall->query, target->query.items[i]);
	}
	/* what was asked for before, or is refused, ends nothing */
	if (recall_action_get_key(request, recall) &&
	    get_users(request, target, recall) &&
	    !recall_action_repeat(request, recall) &&
	    check_late(request, target, recall) &&
	    end_order(request, target) && add_late(request, target, recall))
		recall_action_run(request, recall);
	else
		recall_free(recall);
}

void action_restore(struct http_request *request)
{
	struct recall *target;
	const char *id, *reason;
	bool ok = true;

	id = http_request_param(request, "id", &ok);
	reason = http_request_param(request, "reason", &ok);
	if (!ok || !param_check_text(request, "reason", reason,
				     RECALL_REASON_MAX) ||
	    !param_check_reason(request, reason))
		return;
	if (id == NULL || *id == '\0') {
		http_reply_missing(request, "id");
		return;
	}
	if (!recall_id_is_valid(id)) {
		http_reply_param(request, "id", "is not the id of a recall");
		return;
	}
	if (journal_load(id, &target) == JOURNAL_FAILED)
		http_reply_journal(request);
	else if (check_target(request, target))
		restore(request, id, reason, target);
	recall_free(target);
}
