#include <stdlib.h>
#include <string.h>

#include "recall-params.h"
#include "doveadm-nodes.h"
#include "journal-late.h"
#include "log.h"
#include "late-users.h"
#include "standing-late.h"
#include "text.h"

struct late {
	struct recall *recall;
	/* names in lower case -> indexes of users */
	json_t *users;
};

static void remember(json_t *users, const char *name, size_t pos)
{
	char *key;

	if (name == NULL)
		return;
	key = ascii_lower(name);
	json_object_set_new_nocheck(users, key, json_integer((json_int_t)pos));
	free(key);
}

static void add(const char *username, int64_t copies, void *context)
{
	const struct late *late = context;
	struct recall *recall = late->recall;
	char *key = ascii_lower(username);
	const json_t *pos = json_object_get(late->users, key);
	size_t i = recall->count;

	if (pos != NULL) {
		i = (size_t)json_integer_value(pos);
	} else {
		recall_add_user(recall, username);
		remember(late->users, username, i);
	}
	recall->users[i].late += copies;
	free(key);
}

static void add_rows(struct late *late, const struct doveadm_call *call)
{
	struct journal_late row;
	const json_t *json;
	size_t i;

	json_array_foreach(call->answer, i, json) {
		if (!standing_late_read(json, call->urls, &row))
			continue;
		if (strcmp(row.recall, late->recall->id) == 0 &&
		    !journal_late_is_known(&row))
			add(row.username, row.copies, late);
		journal_late_clear(&row);
	}
}

/* Returns false if one did not answer that may know. */
static bool ask_nodes(struct late *late, struct config *config)
{
	struct doveadm_call *calls;
	size_t i, count;
	bool ok = true;

	calls = doveadm_nodes_calls(config, RECALL_CMD_STANDING_LATE, &count);
	for (i = 0; i < count; i++) {
		calls[i].params = json_pack("{s:s}", RECALL_PARAM_RECALL_ID,
					    late->recall->id);
	}
	doveadm_nodes_run(calls, count);
	for (i = 0; i < count; i++) {
		if (calls[i].result == DOVEADM_OK) {
			add_rows(late, &calls[i]);
			continue;
		}
		log_error("recall %s: what came late: %s: %s", late->recall->id,
			  calls[i].urls, calls[i].error);
		ok = false;
	}
	doveadm_nodes_free(calls, count);
	return ok;
}

enum late_users_result
late_users_add(struct recall *recall, struct config *config)
{
	struct late late = { recall, json_object() };
	const size_t count = recall->count;
	enum late_users_result result = LATE_USERS_OK;
	int64_t copies = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		remember(late.users, recall->users[i].mailbox_user, i);
		remember(late.users, recall->users[i].email, i);
	}
	if (!journal_late_count(recall->id, &copies) ||
	    !journal_late_users(recall->id, add, &late))
		result = LATE_USERS_FAILED;
	/* it may stand because the nodes' settings say so */
	else if (!ask_nodes(&late, config) &&
		 (recall->stand > 0 || copies > 0))
		result = LATE_USERS_INCOMPLETE;
	json_decref(late.users);
	return result;
}
