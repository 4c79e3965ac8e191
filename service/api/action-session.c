#include <stdlib.h>
#include <time.h>

#include "actions.h"
#include "audit.h"
#include "http-reply.h"
#include "session.h"

void action_sessions(struct http_request *request)
{
	json_t *sessions = session_list(&request->identity, time(NULL));

	if (sessions == NULL)
		http_reply_journal(request);
	else
		http_reply_json(request, 200, json_pack("{s:b, s:o}",
			"success", 1, "sessions", sessions));
}

void action_end_session(struct http_request *request)
{
	char *id = http_request_path_part(request);

	switch (session_end(&request->identity, id, time(NULL))) {
	case SESSION_ENDED:
		audit_done(request, "session-end", "Session ended", true,
			   (const struct audit_field[]) {
				{ AUDIT_ID, id },
				{ AUDIT_END, NULL } });
		http_reply_json(request, 200, json_pack("{s:b}", "success", 1));
		break;
	case SESSION_ABSENT:
		/* somebody else's does not exist */
		http_reply_message(request, 404, "There is no such session");
		break;
	case SESSION_FAILED:
		http_reply_journal(request);
		break;
	}
	free(id);
}
