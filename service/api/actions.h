#ifndef ACTIONS_H
#define ACTIONS_H

#include "http-request.h"

/* What the routes do; each answers the request. Who asks is known by then and
   may ask it, there are no parameters but those of the route, and the audit
   trail can be written if the route needs it. */

/* POST /v2/actions/expunge with cmd=expunge, restore, search, fetch */
void action_expunge(struct http_request *request);
void action_restore(struct http_request *request);
void action_search(struct http_request *request);
void action_fetch(struct http_request *request);
/* GET, PUT and DELETE /v2/mailboxes/<owner>/shares */
void action_shares(struct http_request *request);
void action_share(struct http_request *request);
void action_unshare(struct http_request *request);
/* GET /v2/actions/<id> */
void action_status(struct http_request *request);
/* GET /v2/actions/<id>/export */
void action_export(struct http_request *request);
/* GET /v2/actions */
void action_list(struct http_request *request);
/* GET /v2/approvals: recalls that wait for a second person;
   POST /v2/approvals/<id>: who decides */
void action_approvals(struct http_request *request);
void action_decide(struct http_request *request);
/* GET /v2/standing and DELETE /v2/standing/{id}: recalls that stand */
void action_standing(struct http_request *request);
void action_standing_end(struct http_request *request);
/* GET, POST and DELETE /v2/stop: whether recalls are stopped */
void action_stop_state(struct http_request *request);
void action_stop(struct http_request *request);
void action_release(struct http_request *request);
/* POST /v2/auth: with a password or a refresh token */
void action_login(struct http_request *request);
/* DELETE /v2/auth: the refresh token and all that came of it end */
void action_logout(struct http_request *request);
/* POST /v2/auth/revocations: access tokens end before they expire */
void action_revoke(struct http_request *request);
/* GET /v2/auth/sessions and DELETE /v2/auth/sessions/<id>: the own ones */
void action_sessions(struct http_request *request);
void action_end_session(struct http_request *request);
/* GET /console, /console/... */
void action_console_slash(struct http_request *request);
void action_console(struct http_request *request);
/* POST and DELETE /console/session: as action_login() and action_logout(), but
   the refresh token is in a cookie that no script sees */
void action_console_login(struct http_request *request);
void action_console_logout(struct http_request *request);
/* GET /console/oidc: sends the browser to the OpenID provider;
   GET /console/oidc/callback: where it comes back to */
void action_oidc_begin(struct http_request *request);
void action_oidc_callback(struct http_request *request);
/* GET /v2/openapi.json, /metrics, /health/live, /health/ready */
void action_openapi(struct http_request *request);
void action_metrics(struct http_request *request);
void action_live(struct http_request *request);
void action_ready(struct http_request *request);

#endif
