#include <stdlib.h>
#include <string.h>

#include "recall-limits.h"
#include "actions.h"
#include "audit.h"
#include "http-parse.h"
#include "http-reply.h"
#include "journal-visible.h"
#include "journal.h"
#include "standing.h"

void action_standing(struct http_request *request)
{
	const struct identity *identity = &request->identity;
	json_t *orders;
	bool ok;

	orders = standing_list(request->config, NULL,
		identity->role == ROLE_SUPER ? NULL : identity->tenant, &ok);
	http_reply_json(request, 200, json_pack("{s:b, s:o}", "success", ok,
						"standing", orders));
}

/* Whether the caller may end it: what one may not see does not exist. One that
   the service has not made is for nobody but the super administrator. */
static bool check_order(struct http_request *request, const char *id)
{
	struct recall *recall = NULL;
	enum journal_result found = JOURNAL_ABSENT;
	bool ok;

	if (strlen(id) == RECALL_ID_LEN &&
	    strspn(id, "0123456789abcdef") == RECALL_ID_LEN) {
		if (request->identity.role == ROLE_SUPER)
			return true;
		found = journal_load(id, &recall);
	}
	ok = recall != NULL && journal_visible(&request->identity, recall);
	recall_free(recall);
	if (found == JOURNAL_FAILED)
		http_reply_journal(request);
	else if (!ok)
		http_reply_message(request, 404, "There is no such order");
	return ok;
}

static void end_order(struct http_request *request, const char *id)
{
	bool ok, found;
	json_t *nodes;

	nodes = standing_end(request->config, id, &ok, &found);
	if (json_array_size(nodes) == 0 || (ok && !found)) {
		json_decref(nodes);
		if (!ok)
			http_reply_journal(request);
		else
			http_reply_message(request, 404,
					   "There is no such order");
		return;
	}
	audit_done(request, "standing-end", "Standing order ended", true,
		   (const struct audit_field[]) {
			{ AUDIT_ID, id },
			{ AUDIT_END, NULL } });
	/* the rest of them hear of it when they are back */
	http_reply_json(request, ok ? 200 : 202, json_pack("{s:b, s:o}",
		"success", 1, "nodes", nodes));
}

void action_standing_end(struct http_request *request)
{
	char *id = http_request_path_part(request);

	if (check_order(request, id))
		end_order(request, id);
	free(id);
}
