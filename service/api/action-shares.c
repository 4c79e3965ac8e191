#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "recall-params.h"
#include "actions.h"
#include "address.h"
#include "alloc.h"
#include "audit.h"
#include "doveadm-client.h"
#include "http-parse.h"
#include "http-reply.h"
#include "metrics.h"
#include "params.h"
#include "reached.h"
#include "strlist-json.h"
#include "text.h"

#define MAILBOX_MAX 1024
#define RIGHTS_MAX 64

/* A change that is asked for. */
struct share_request {
	const char *owner, *mailbox, *user;
	/* empty to take them back */
	struct strlist rights;
};

/* whose mailboxes */

static bool check_owner(struct http_request *request, const char *owner)
{
	const char *why = NULL;

	if (!utf8_valid(owner, strlen(owner)))
		why = "is not valid UTF-8";
	else
		why = address_check(owner);
	if (why != NULL)
		http_reply_param(request, "owner", why);
	return why == NULL;
}

/* The owner of the path; the caller frees it. NULL if the request has been
   answered. */
static char *get_owner(struct http_request *request)
{
	char *owner = http_request_path_part(request);

	if (check_owner(request, owner))
		return owner;
	free(owner);
	return NULL;
}

/* the answers */

/* What an administrator can do about it. */
static const char *get_failure(const struct doveadm_call *call)
{
	const char *error = call->error == NULL ? "" : call->error;

	if (strstr(error, "unknownMethod") != NULL)
		return "The mail system cannot do that: is Dovecot's acl "
		       "plugin loaded there?";
	if (strstr(error, "unAuthorized") != NULL)
		return "The mail system may not do that: see its setting "
		       "doveadm_allowed_commands";
	return "The mail system cannot do that";
}

/* Whether doveadm has answered with rows; else the request is answered. */
static bool check_call(struct http_request *request, bool adding,
		       const struct doveadm_call *call)
{
	if (call->result == DOVEADM_OK)
		return true;
	if (!reached(request, call->result))
		return false;
	if (call->exit_code == EX_USAGE && adding)
		http_reply_param(request, "rights", "is not a list of rights");
	else
		http_reply_message(request, 502, get_failure(call));
	return false;
}

static void reply_status(struct http_request *request, unsigned int status,
			 const json_t *row)
{
	http_reply_json(request, status, json_pack("{s:b, s:s, s:s}",
		"success", 0, "status", row_text(row, RECALL_COLUMN_STATUS),
		"message", row_text(row, RECALL_COLUMN_ERROR)));
}

/* A row that says why something was not done. */
static void reply_undone(struct http_request *request, const json_t *row)
{
	const char *status = row_text(row, RECALL_COLUMN_STATUS);

	if (strcmp(status, "forbidden") == 0)
		http_reply_forbidden(request);
	else if (strcmp(status, "no_user") == 0 ||
		 strcmp(status, "no_mailbox") == 0 ||
		 strcmp(status, "not_shared") == 0)
		reply_status(request, 404, row);
	else if (strcmp(status, "error") == 0 ||
		 strcmp(status, "not_possible") == 0)
		reply_status(request, 409, row);
	else
		http_reply_message(request, 502, "The mail system's answer is "
				   "not valid");
}

static json_t *split_rights(const json_t *row)
{
	struct strlist words = { NULL, 0, 0 };
	json_t *array;

	strlist_split(&words, row_text(row, RECALL_COLUMN_RIGHTS));
	array = strlist_to_json(&words);
	strlist_free(&words);
	return array;
}

static json_t *make_share(const json_t *row)
{
	const char *subscribed = row_text(row, RECALL_COLUMN_SUBSCRIBED);

	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s}",
		"direction", row_text(row, RECALL_COLUMN_DIRECTION),
		"owner", row_text(row, RECALL_COLUMN_OWNER),
		"mailbox", row_text(row, RECALL_COLUMN_MAILBOX),
		"user", row_text(row, RECALL_COLUMN_USER),
		"rights", split_rights(row),
		"subscribed", *subscribed == '\0' ? json_null() :
			json_boolean(strcmp(subscribed, "yes") == 0),
		"name", row_text(row, RECALL_COLUMN_NAME));
}

/* listing */

static void reply_shares(struct http_request *request, const json_t *rows)
{
	json_t *shares = json_array(), *errors = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (*row_text(row, RECALL_COLUMN_ERROR) == '\0') {
			json_array_append_new(shares, make_share(row));
		} else if (*row_text(row, RECALL_COLUMN_DIRECTION) != '\0') {
			/* the other direction may be known */
			json_array_append_new(errors, json_pack("{s:s, s:s}",
				"direction",
				row_text(row, RECALL_COLUMN_DIRECTION),
				"error", row_text(row, RECALL_COLUMN_ERROR)));
		} else {
			reply_undone(request, row);
			json_decref(shares);
			json_decref(errors);
			return;
		}
	}
	http_reply_json(request, 200, json_pack("{s:b, s:o, s:o}",
		"success", json_array_size(errors) == 0,
		"shares", shares, "errors", errors));
}

static void audit(struct http_request *request, const char *event,
		  const char *name, const struct share_request *what)
{
	char *rights;

	/* what was refused is in the trail as that */
	if (request->status != 200 && request->status != 502 &&
	    request->status != 504)
		return;
	rights = audit_list(&what->rights);
	audit_done(request, event, name, request->status == 200,
		   (const struct audit_field[]) {
			{ AUDIT_USERS, what->owner },
			{ AUDIT_MAILBOX, what->mailbox },
			{ AUDIT_ACCOUNT, what->user },
			{ AUDIT_RIGHTS, rights },
			{ AUDIT_END, NULL } });
	free(rights);
}

void action_shares(struct http_request *request)
{
	struct doveadm_call call = { .config = request->config,
				     .command = RECALL_CMD_SHARES };
	struct share_request what = { .owner = NULL };
	char *owner = get_owner(request);

	if (owner == NULL)
		return;
	what.owner = owner;
	call.urls = config_node_urls(request->config, owner);
	call.params = json_pack("{s:s}", RECALL_PARAM_USER, owner);
	if (request->identity.role == ROLE_ADMIN)
		json_object_set_new(call.params, RECALL_PARAM_TENANT,
				    json_string(request->identity.tenant));
	doveadm_call_run(&call);
	if (check_call(request, false, &call))
		reply_shares(request, call.answer);
	audit(request, "shares", "Shared mailboxes listed", &what);
	json_decref(call.answer);
	free(call.error);
	free(owner);
}

/* changes */

static bool check_missing(struct http_request *request, bool adding)
{
	const char *missing[4] = { NULL };
	size_t n = 0;

	if (!param_is_given(request, "mailbox"))
		missing[n++] = "mailbox";
	if (!param_is_given(request, "user"))
		missing[n++] = "user";
	if (adding && !param_is_given(request, "rights"))
		missing[n++] = "rights";
	if (n > 0)
		param_reply_missing(request, missing);
	return n == 0;
}

static bool get_params(struct http_request *request, bool adding,
		       struct share_request *what)
{
	const char *why;
	bool ok = true;

	if (!check_missing(request, adding))
		return false;
	what->mailbox = http_request_param(request, "mailbox", &ok);
	what->user = http_request_param(request, "user", &ok);
	if (!ok || !param_check_text(request, "mailbox", what->mailbox,
				     MAILBOX_MAX))
		return false;
	why = address_check(what->user);
	if (why != NULL) {
		http_reply_param(request, "user", why);
		return false;
	}
	return !adding || param_list(request, "rights", RIGHTS_MAX,
				     &what->rights);
}

static json_t *make_params(const struct http_request *request, bool adding,
			   const struct share_request *what)
{
	const struct identity *who = &request->identity;
	json_t *params;
	char *identifier;

	identifier = x_asprintf("user=%s", what->user);
	params = json_pack("{s:s, s:s, s:s}", RECALL_PARAM_USER, what->owner,
			   RECALL_PARAM_MAILBOX, what->mailbox,
			   RECALL_PARAM_IDENTIFIER, identifier);
	free(identifier);
	/* users give rights within their tenant, but take back what they see,
	   whoever it went to */
	if (who->role == ROLE_ADMIN || (who->role == ROLE_USER && adding))
		json_object_set_new(params, RECALL_PARAM_TENANT,
				    json_string(who->tenant));
	if (adding)
		json_object_set_new(params, RECALL_PARAM_RIGHTS,
				    strlist_to_json(&what->rights));
	return params;
}

static void reply_change(struct http_request *request, bool adding,
			 const json_t *row)
{
	const char *status = row_text(row, RECALL_COLUMN_STATUS);
	const char *name = row_text(row, RECALL_COLUMN_SUBSCRIBED_AS);

	if (strcmp(status, adding ? "shared" : "unshared") != 0) {
		reply_undone(request, row);
		return;
	}
	http_reply_json(request, 200, json_pack(
		"{s:b, s:s, s:s, s:s, s:s, s:o, s:o}", "success", 1,
		"status", status,
		"owner", row_text(row, RECALL_COLUMN_OWNER),
		"mailbox", row_text(row, RECALL_COLUMN_MAILBOX),
		"user", row_text(row, RECALL_COLUMN_USER),
		"rights", split_rights(row),
		"subscribed_as", *name == '\0' ? json_null() :
			json_string(name)));
	metrics_add(adding ? METRIC_SHARED : METRIC_UNSHARED, 1);
}

static void change(struct http_request *request, bool adding,
		   const struct share_request *what)
{
	struct doveadm_call call = {
		.config = request->config,
		.urls = config_node_urls(request->config, what->owner),
		.command = adding ? RECALL_CMD_SHARE : RECALL_CMD_UNSHARE,
		.params = make_params(request, adding, what),
	};

	doveadm_call_run(&call);
	if (check_call(request, adding, &call))
		reply_change(request, adding, json_array_get(call.answer, 0));
	audit(request, adding ? "share" : "unshare", adding ?
	      "Mailbox shared" : "Mailbox not shared any more", what);
	json_decref(call.answer);
	free(call.error);
}

static void change_shares(struct http_request *request, bool adding)
{
	struct share_request what = { .owner = NULL };
	char *owner = get_owner(request);

	if (owner == NULL)
		return;
	what.owner = owner;
	if (get_params(request, adding, &what))
		change(request, adding, &what);
	strlist_free(&what.rights);
	free(owner);
}

void action_share(struct http_request *request)
{
	change_shares(request, true);
}

void action_unshare(struct http_request *request)
{
	change_shares(request, false);
}
