#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recall-id.h"
#include "recall-params.h"
#include "alloc.h"
#include "audit-log.h"
#include "clock.h"
#include "doveadm-nodes.h"
#include "journal-late.h"
#include "journal.h"
#include "log.h"
#include "metrics.h"
#include "recall-audit.h"
#include "recall-outcome.h"
#include "standing-late.h"

/* Lines are as old as the recall was then, not as their writing: a node is
   asked for some that it has told of before. */
#define SLACK_SECS 3600
/* Longer than any that a node writes. */
#define ROW_MAX 16384
/* So long is waited for who asked for the recall, if that can't be read. */
#define UNREAD_SECS 3600
/* Nobody waits for the journal for longer than these take. */
#define ROWS_AT_A_TIME 1000

/* How many rows of a node have been taken in this hour. Nodes are URLs of the
   settings, so they are few; they are remembered until the end. */
struct node {
	char *url;
	int64_t begun_ms;
	size_t taken;
	bool told;
	struct node *next;
};

/* of the one thread that collects */
static struct node *nodes;

static struct node *get_node(const char *url)
{
	struct node *node;

	for (node = nodes; node != NULL; node = node->next) {
		if (strcmp(node->url, url) == 0)
			break;
	}
	if (node == NULL) {
		node = x_calloc(1, sizeof(*node));
		node->url = x_strdup(url);
		node->next = nodes;
		nodes = node;
	}
	if (node->begun_ms == 0 || now_ms() - node->begun_ms >= 3600 * 1000) {
		node->begun_ms = now_ms();
		node->taken = 0;
		node->told = false;
	}
	return node;
}

/* How many more rows may be taken. */
static size_t room(const struct config *config, const struct node *node)
{
	const size_t max = (size_t)config->audit_late_per_hour;

	if (max == 0)
		return SIZE_MAX;
	return node->taken < max ? max - node->taken : 0;
}

bool standing_late_read(const json_t *row, const char *url,
			struct journal_late *late)
{
	const char *id = row_text(row, RECALL_COLUMN_RECALL_ID);

	memset(late, 0, sizeof(*late));
	if (!recall_id_is_valid(id) ||
	    *row_text(row, RECALL_COLUMN_USERNAME) == '\0' ||
	    *row_text(row, RECALL_COLUMN_LINE) == '\0' ||
	    row_number(row, RECALL_COLUMN_COPIES) < 0 ||
	    strlen(row_text(row, RECALL_COLUMN_USERNAME)) +
	    strlen(row_text(row, RECALL_COLUMN_DATE)) +
	    strlen(row_text(row, RECALL_COLUMN_LINE)) +
	    strlen(row_text(row, RECALL_COLUMN_MAILBOXES)) > ROW_MAX)
		return false;
	memcpy(late->recall, id, sizeof(late->recall));
	late->username = x_strdup(row_text(row, RECALL_COLUMN_USERNAME));
	late->date = x_strdup(row_text(row, RECALL_COLUMN_DATE));
	/* each node counts its own */
	late->line = x_asprintf("%s %s", row_text(row, RECALL_COLUMN_LINE),
				url);
	late->mailboxes = x_strdup(row_text(row, RECALL_COLUMN_MAILBOXES));
	late->copies = row_number(row, RECALL_COLUMN_COPIES);
	return true;
}

/* Returns how many are left, which the node is asked for again, or -1 if the
   journal could not be written. */
static int64_t take_rows(const struct config *config, struct node *node,
			 const struct journal_late *lates, size_t count)
{
	size_t pos, size, added, left;
	int64_t copies;

	for (pos = 0; pos < count; pos += size) {
		size = count - pos < ROWS_AT_A_TIME ? count - pos :
			ROWS_AT_A_TIME;
		if (!journal_late_add(lates + pos, size, room(config, node),
				      &added, &copies, &left))
			return -1;
		node->taken += added;
		metrics_add(METRIC_LATE_COPIES, copies);
		if (left > 0)
			return (int64_t)(count - pos - size + left);
	}
	return 0;
}

static void take(const struct doveadm_call *call, int64_t since)
{
	struct node *node = get_node(call->urls);
	struct journal_late *lates;
	size_t i, count = 0;
	const int64_t now = time(NULL);
	int64_t left, when;
	json_t *row;

	lates = x_calloc(json_array_size(call->answer) + 1, sizeof(*lates));
	json_array_foreach(call->answer, i, row) {
		if (!standing_late_read(row, call->urls, &lates[count]))
			continue;
		when = parse_utc(lates[count++].date);
		/* any system user may write down any time */
		if (when <= now && when - SLACK_SECS > since)
			since = when - SLACK_SECS;
	}
	left = take_rows(call->config, node, lates, count);
	if (left == 0 && count > 0)
		(void)journal_late_set_cursor(call->urls, since);
	else if (left >= 0)
		(void)journal_late_set_waiting(call->urls, left > 0);
	if (left > 0 && !node->told) {
		recall_audit_late_left(call->config, call->urls, left);
		node->told = true;
	}
	for (i = 0; i < count; i++)
		journal_late_clear(&lates[i]);
	free(lates);
}

static void ask(struct config *config)
{
	const int64_t now = time(NULL);
	struct doveadm_call *calls;
	int64_t *since;
	char text[24];
	size_t i, count;

	calls = doveadm_nodes_calls(config, RECALL_CMD_STANDING_LATE, &count);
	since = x_calloc(count + 1, sizeof(*since));
	for (i = 0; i < count; i++) {
		/* who stops must not wait for nodes that are down */
		calls[i].once = true;
		calls[i].params = json_object();
		/* one that is ahead, as clocks were, would miss what comes */
		if (!journal_late_cursor(calls[i].urls, &since[i]) ||
		    since[i] > now)
			since[i] = 0;
		if (since[i] == 0)
			continue;
		snprintf(text, sizeof(text), "%lld", (long long)since[i]);
		json_object_set_new(calls[i].params, RECALL_PARAM_SINCE,
				    json_string(text));
	}
	doveadm_nodes_run(calls, count);
	for (i = 0; i < count; i++) {
		if (calls[i].result == DOVEADM_OK)
			take(&calls[i], since[i]);
		else
			log_debug("%s: %s: %s", calls[i].urls,
				  calls[i].command, calls[i].error);
	}
	free(since);
	doveadm_nodes_free(calls, count);
}

/* Reads the recall that it is of, if there is one; many are of one. Returns
   false if it waits for that to be read, which a damaged journal never is. */
static bool read_recall(const struct journal_late *late,
			struct recall **recall)
{
	if (*recall != NULL && strcmp((*recall)->id, late->recall) == 0)
		return true;
	recall_free(*recall);
	*recall = NULL;
	return journal_load(late->recall, recall) != JOURNAL_FAILED ||
		time(NULL) - late->seen >= UNREAD_SECS;
}

/* What the trail, or the journal, could not be told is not told of all the
   time. */
static struct {
	struct journal_late late;
	/* audit_log_lost() before its line */
	uint64_t lost;
} unsure;

/* Returns whether that is settled. One whose line may be among those that were
   given up is told of once more. */
static bool settle(const struct config *config)
{
	if (unsure.late.username == NULL)
		return true;
	if (!audit_log_ready(config) ||
	    (unsure.lost == audit_log_lost() &&
	     !journal_late_told(&unsure.late)))
		return false;
	journal_late_clear(&unsure.late);
	return true;
}

/* Told of first and noted then: a crash in between has it told of twice, not
   never. */
static void tell(struct config *config)
{
	struct strlist unread = { NULL, 0, 0 };
	struct recall *recall = NULL;
	struct journal_late late;

	while (settle(config) && !recall_interrupted() &&
	       audit_log_ready(config) &&
	       journal_late_next(&unread, &late) > 0) {
		if (!read_recall(&late, &recall)) {
			/* not to hold up the others */
			strlist_add(&unread, late.recall);
			journal_late_clear(&late);
			continue;
		}
		unsure.lost = audit_log_lost();
		if (!recall_audit_late(config, recall, &late) ||
		    !journal_late_told(&late))
			unsure.late = late;
		else
			journal_late_clear(&late);
	}
	strlist_free(&unread);
	recall_free(recall);
}

void standing_late_collect(struct config *config)
{
	ask(config);
	tell(config);
}
