#include <stdlib.h>
#include <string.h>

#include "recall-params.h"
#include "alloc.h"
#include "doveadm-nodes.h"
#include "journal-late.h"
#include "log.h"
#include "late-users.h"
#include "standing-late.h"

struct late {
	struct recall *recall;
	/* names -> indexes of users */
	json_t *users;
	/* what the nodes tell */
	struct journal_late *told;
	size_t told_count;
};

static void remember(json_t *users, const char *name, size_t pos)
{
	if (name != NULL)
		json_object_set_new_nocheck(users, name,
					    json_integer((json_int_t)pos));
}

static void add(const char *username, int64_t copies, void *context)
{
	const struct late *late = context;
	struct recall *recall = late->recall;
	const json_t *pos = json_object_get(late->users, username);
	size_t i = recall->count;

	if (pos != NULL) {
		i = (size_t)json_integer_value(pos);
	} else {
		recall_add_user(recall, username);
		remember(late->users, username, i);
	}
	recall->users[i].late += copies;
}

static void read_rows(struct late *late, const struct doveadm_call *call)
{
	const json_t *row;
	size_t i;

	late->told = x_realloc(late->told, (late->told_count +
				json_array_size(call->answer) + 1) *
			       sizeof(*late->told));
	json_array_foreach(call->answer, i, row) {
		if (standing_late_read(row, call->urls,
				       &late->told[late->told_count]))
			late->told_count++;
	}
}

static enum late_users_result
node_result(const struct doveadm_call *call)
{
	int64_t waiting;

	if (!journal_late_waiting(call->urls, &waiting))
		return LATE_USERS_FAILED;
	return waiting > 0 ? LATE_USERS_BEHIND : LATE_USERS_INCOMPLETE;
}

/* What those that do not answer may know is missing. */
static enum late_users_result
ask_nodes(struct late *late, struct config *config)
{
	enum late_users_result result = LATE_USERS_OK, missing;
	struct doveadm_call *calls;
	size_t i, count;

	calls = doveadm_nodes_calls(config, RECALL_CMD_STANDING_LATE, &count);
	for (i = 0; i < count; i++) {
		calls[i].params = json_pack("{s:s}", RECALL_PARAM_RECALL_ID,
					    late->recall->id);
	}
	doveadm_nodes_run(calls, count);
	for (i = 0; i < count; i++) {
		if (calls[i].result == DOVEADM_OK) {
			read_rows(late, &calls[i]);
			continue;
		}
		log_error("recall %s: what came late: %s: %s", late->recall->id,
			  calls[i].urls, calls[i].error);
		missing = node_result(&calls[i]);
		if (missing > result)
			result = missing;
	}
	doveadm_nodes_free(calls, count);
	return result;
}

enum late_users_result
late_users_add(struct recall *recall, struct config *config)
{
	struct late late = { recall, json_object(), NULL, 0 };
	const size_t count = recall->count;
	enum late_users_result result;
	int64_t copies = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		remember(late.users, recall->users[i].mailbox_user, i);
		remember(late.users, recall->users[i].email, i);
	}
	result = ask_nodes(&late, config);
	if (!journal_late_users(recall->id, late.told, late.told_count, add,
				&late) ||
	    !journal_late_count(recall->id, &copies))
		result = LATE_USERS_FAILED;
	/* it may stand because the nodes' settings say so */
	else if (result != LATE_USERS_FAILED && recall->stand == 0 &&
		 copies == 0)
		result = LATE_USERS_OK;
	for (i = 0; i < late.told_count; i++)
		journal_late_clear(&late.told[i]);
	free(late.told);
	json_decref(late.users);
	return result;
}
