#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "encode.h"
#include "recall.h"
#include "strlist-json.h"

struct recall *recall_new(void)
{
	struct recall *recall = x_calloc(1, sizeof(*recall));

	random_hex(RECALL_ID_LEN / 2, recall->id);
	recall->notify = true;
	recall->created = time(NULL);
	recall->message_id = x_strdup("");
	recall->reason = x_strdup("");
	return recall;
}

void recall_free(struct recall *recall)
{
	size_t i;

	if (recall == NULL)
		return;
	for (i = 0; i < recall->count; i++) {
		free(recall->users[i].email);
		free(recall->users[i].notice);
		free(recall->users[i].mailboxes);
		free(recall->users[i].mailbox_user);
		free(recall->users[i].searched);
		free(recall->users[i].error);
	}
	free(recall->users);
	for (i = 0; i < recall->node_count; i++) {
		free(recall->nodes[i].name);
		free(recall->nodes[i].urls);
		free(recall->nodes[i].cursor);
		free(recall->nodes[i].error);
	}
	free(recall->nodes);
	free(recall->target);
	free(recall->message_id);
	strlist_free(&recall->query);
	free(recall->reason);
	free(recall->source);
	free(recall->approver);
	free(recall->decision);
	free(recall->key);
	identity_clear(&recall->actor);
	free(recall->person);
	strlist_free(&recall->names);
	strlist_free(&recall->senders);
	free(recall);
}

void recall_add_user(struct recall *recall, const char *email)
{
	struct recall_user *user;

	/* doubled whenever the count is a power of two */
	if ((recall->count & (recall->count - 1)) == 0) {
		recall->users = x_realloc(recall->users,
					  (recall->count * 2 + 1) *
					  sizeof(*user));
	}
	user = &recall->users[recall->count++];
	memset(user, 0, sizeof(*user));
	user->email = x_strdup(email);
	user->verdict = -1;
}

static int cmp_users(const void *p1, const void *p2)
{
	const struct recall_user *const *u1 = p1, *const *u2 = p2;
	int ret = strcmp((*u1)->email, (*u2)->email);

	if (ret != 0)
		return ret;
	return *u1 < *u2 ? -1 : 1;
}

static struct recall_user **sort_users(struct recall *recall)
{
	struct recall_user **sorted;
	size_t i;

	sorted = x_calloc(recall->count, sizeof(*sorted));
	for (i = 0; i < recall->count; i++)
		sorted[i] = &recall->users[i];
	qsort(sorted, recall->count, sizeof(*sorted), cmp_users);
	return sorted;
}

void recall_dedup(struct recall *recall)
{
	struct recall_user **sorted = sort_users(recall);
	const char *email = NULL;
	size_t i, n;

	/* of equal ones the first stays */
	for (i = 0; i < recall->count; i++) {
		if (email != NULL && strcmp(sorted[i]->email, email) == 0) {
			free(sorted[i]->email);
			sorted[i]->email = NULL;
		} else {
			email = sorted[i]->email;
		}
	}
	free(sorted);
	for (i = n = 0; i < recall->count; i++) {
		if (recall->users[i].email != NULL)
			recall->users[n++] = recall->users[i];
	}
	recall->count = n;
}

size_t recall_count(const struct recall *recall, int verdict)
{
	size_t i, n = 0;

	for (i = 0; i < recall->count; i++) {
		if (recall->users[i].verdict == verdict)
			n++;
	}
	return n;
}

int64_t recall_kept_until(const struct recall *recall)
{
	int64_t first = 0, until;
	size_t i;

	for (i = 0; i < recall->count; i++) {
		until = recall->users[i].kept_until;
		if (until != 0 && (first == 0 || until < first))
			first = until;
	}
	return first;
}

void recall_set_text(char **text, const char *value)
{
	free(*text);
	*text = value == NULL || *value == '\0' ? NULL : x_strdup(value);
}

void recall_user_reset(struct recall_user *user)
{
	user->verdict = -1;
	user->copies = user->present = user->kept_until = 0;
	recall_set_text(&user->notice, NULL);
	recall_set_text(&user->mailboxes, NULL);
	recall_set_text(&user->mailbox_user, NULL);
	recall_set_text(&user->searched, NULL);
	recall_set_text(&user->error, NULL);
}

char *recall_query_text(const struct recall *recall)
{
	return recall->query.count == 0 ? NULL :
		strlist_to_json_text(&recall->query);
}

const char *recall_kind_name(enum recall_kind kind)
{
	return kind == RECALL_RESTORE ? "restore" : "expunge";
}

static const char *const approval_names[] = {
	[RECALL_PENDING] = "pending",
	[RECALL_APPROVED] = "approved",
	[RECALL_REJECTED] = "rejected",
	[RECALL_EXPIRED] = "expired",
};
#define APPROVALS_COUNT (sizeof(approval_names) / sizeof(approval_names[0]))

const char *recall_approval_name(enum recall_approval approval)
{
	return approval_names[approval];
}

enum recall_approval recall_approval_parse(const char *name)
{
	size_t i;

	if (name == NULL)
		return RECALL_NEEDS_NONE;
	for (i = RECALL_PENDING; i < APPROVALS_COUNT; i++) {
		if (strcmp(approval_names[i], name) == 0)
			return (enum recall_approval)i;
	}
	/* of a later version: it must not run because of that */
	return RECALL_PENDING;
}

bool recall_is_denied(const struct recall *recall)
{
	return recall->approval == RECALL_REJECTED ||
	       recall->approval == RECALL_EXPIRED;
}

const char *recall_state_name(enum recall_approval approval, bool finished)
{
	if (approval == RECALL_PENDING)
		return "pending_approval";
	if (approval == RECALL_REJECTED || approval == RECALL_EXPIRED)
		return recall_approval_name(approval);
	return finished ? "finished" : "running";
}

static bool same_text(const char *s1, const char *s2)
{
	return s1 == NULL || s2 == NULL ? s1 == s2 : strcmp(s1, s2) == 0;
}

static bool same_list(const struct strlist *l1, const struct strlist *l2)
{
	size_t i;

	if (l1->count != l2->count)
		return false;
	for (i = 0; i < l1->count; i++) {
		if (strcmp(l1->items[i], l2->items[i]) != 0)
			return false;
	}
	return true;
}

/* Who has had late copies may be known the second time only. */
static bool has_as_many(const struct recall *old, const struct recall *recall)
{
	if (!recall->whole)
		return old->count == recall->count;
	return old->count >= recall->count - recall->late_users;
}

bool recall_is_same(const struct recall *old, const struct recall *recall)
{
	const size_t count = recall->count - recall->late_users;
	int64_t expected = 0;
	size_t i;

	if (old->kind != recall->kind || old->force != recall->force ||
	    old->notify != recall->notify ||
	    old->dry_run != recall->dry_run ||
	    old->verify_headers != recall->verify_headers ||
	    old->stand != recall->stand ||
	    old->actor.role != recall->actor.role ||
	    old->everyone != recall->everyone ||
	    (!old->everyone && !has_as_many(old, recall)) ||
	    !same_text(old->target, recall->target) ||
	    !same_text(old->reason, recall->reason) ||
	    /* a restore has them of what it undoes */
	    (old->kind == RECALL_EXPUNGE &&
	     (!same_text(old->message_id, recall->message_id) ||
	      !same_list(&old->query, &recall->query))))
		return false;
	for (i = 0; i < count && !old->everyone; i++) {
		if (strcmp(old->users[i].email, recall->users[i].email) != 0)
			return false;
		expected += old->users[i].expected;
	}
	return expected == recall->yes_count;
}

/* "http://host:2222/doveadm/v1 ..." as "host:2222" */
static char *name_of_urls(const char *urls)
{
	const char *p = strstr(urls, "://");

	p = p == NULL ? urls : p + 3;
	return x_strndup(p, strcspn(p, "/ "));
}

struct recall_node *recall_add_node(struct recall *recall, const char *name,
				    const char *urls)
{
	struct recall_node *node;

	recall->nodes = x_realloc(recall->nodes, (recall->node_count + 1) *
				  sizeof(*node));
	node = &recall->nodes[recall->node_count++];
	memset(node, 0, sizeof(*node));
	node->name = name == NULL ? name_of_urls(urls) : x_strdup(name);
	node->urls = x_strdup(urls);
	return node;
}

int64_t recall_users_done(const struct recall *recall)
{
	int64_t done = 0;
	size_t i;

	for (i = 0; i < recall->node_count; i++)
		done += recall->nodes[i].users_done;
	return done;
}

size_t recall_count_nodes(const struct recall *recall,
			  enum recall_node_state state)
{
	size_t i, n = 0;

	for (i = 0; i < recall->node_count; i++) {
		if (recall->nodes[i].state == state)
			n++;
	}
	return n;
}

static const char *const node_state_names[] = {
	[RECALL_NODE_RUNNING] = "running",
	[RECALL_NODE_DOWN] = "down",
	[RECALL_NODE_DONE] = "done",
	[RECALL_NODE_FAILED] = "failed",
};

const char *recall_node_state_name(enum recall_node_state state)
{
	return node_state_names[state];
}

enum recall_node_state recall_node_state_parse(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(node_state_names) /
			sizeof(node_state_names[0]); i++) {
		if (strcmp(node_state_names[i], name) == 0)
			return (enum recall_node_state)i;
	}
	return RECALL_NODE_RUNNING;
}
