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

static bool read_row(const json_t *row, struct journal_late *late)
{
	const char *id = row_text(row, RECALL_COLUMN_RECALL_ID);

	memset(late, 0, sizeof(*late));
	if (!recall_id_is_valid(id) ||
	    *row_text(row, RECALL_COLUMN_LINE) == '\0')
		return false;
	memcpy(late->recall, id, sizeof(late->recall));
	late->username = x_strdup(row_text(row, RECALL_COLUMN_USERNAME));
	late->date = x_strdup(row_text(row, RECALL_COLUMN_DATE));
	late->line = x_strdup(row_text(row, RECALL_COLUMN_LINE));
	late->mailboxes = x_strdup(row_text(row, RECALL_COLUMN_MAILBOXES));
	late->copies = row_number(row, RECALL_COLUMN_COPIES);
	return true;
}

static void take(const struct doveadm_call *call, int64_t since)
{
	struct journal_late *lates;
	size_t i, count = 0;
	int64_t added, time;
	json_t *row;

	lates = x_calloc(json_array_size(call->answer) + 1, sizeof(*lates));
	json_array_foreach(call->answer, i, row) {
		if (!read_row(row, &lates[count]))
			continue;
		time = parse_utc(lates[count++].date);
		if (time - SLACK_SECS > since)
			since = time - SLACK_SECS;
	}
	if (count > 0 &&
	    journal_late_add(call->urls, lates, count, since, &added))
		metrics_add(METRIC_LATE_COPIES, added);
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
		    since[i] == 0 || since[i] > now)
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

/* Told of first and noted then: a crash in between has it told of twice, not
   never. */
static void tell(struct config *config)
{
	struct recall *recall = NULL;
	struct journal_late late;

	while (!recall_interrupted() && audit_log_ready(config) &&
	       journal_late_next(&late) > 0) {
		/* many are of one recall */
		if (recall == NULL || strcmp(recall->id, late.recall) != 0) {
			recall_free(recall);
			recall = NULL;
			if (journal_load(late.recall, &recall) ==
			    JOURNAL_FAILED) {
				journal_late_clear(&late);
				break;
			}
		}
		recall_audit_late(config, recall, &late);
		if (!journal_late_told(&late)) {
			journal_late_clear(&late);
			break;
		}
		journal_late_clear(&late);
	}
	recall_free(recall);
}

void standing_late_collect(struct config *config)
{
	ask(config);
	tell(config);
}
