#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recall-limits.h"
#include "recall-params.h"
#include "actions.h"
#include "alloc.h"
#include "audit.h"
#include "http-parse.h"
#include "http-reply.h"
#include "listing.h"
#include "metrics.h"
#include "params.h"
#include "query-word.h"
#include "recall-action.h"
#include "strbuf.h"
#include "strlist-json.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define FIELDS_MAX 64
#define FIELD_LEN_MAX 128

/* what every row of a fetch begins with */
static const char place_fields[] = "mailbox mailbox-guid uid";

struct search {
	struct listing listing;
	struct param_criteria criteria;
	struct strlist fields;
	bool fetch;
};

static void search_free(struct search *search)
{
	struct listing *listing = &search->listing;

	strlist_free(&search->criteria.query);
	strlist_free(&search->fields);
	strlist_free(&listing->users);
	json_decref(listing->params);
	json_decref(listing->rows);
	json_decref(listing->errors);
	free(listing->cursor.user);
	free(listing->next);
}

/* parameters */

static bool get_users(struct http_request *request, struct listing *listing)
{
	struct recall *recall;
	bool ok;
	size_t i;

	if (!param_flag(request, "all", false, &listing->all_users))
		return false;
	if (listing->all_users) {
		if (!param_is_given(request, "emails"))
			return true;
		http_reply_param(request, "all", "is given besides EMAILS");
		return false;
	}
	if (!param_is_given(request, "emails")) {
		http_reply_missing(request, "emails");
		return false;
	}
	recall = recall_action_new(request, NULL);
	ok = recall_action_add_emails(request, recall);
	for (i = 0; ok && i < recall->count; i++)
		strlist_add(&listing->users, recall->users[i].email);
	recall_free(recall);
	return ok;
}

static bool field_is_sound(const char *field)
{
	const char *p;

	for (p = field; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("-._", *p) == NULL)
			return false;
	}
	return p != field && p - field <= FIELD_LEN_MAX;
}

/* A JSON array, or names separated by spaces. Which there are is for doveadm
   to say. */
static bool get_fields(struct http_request *request, struct search *search)
{
	struct strlist list = { NULL, 0, 0 };
	const char *why = NULL;
	size_t i;

	if (!search->fetch)
		return true;
	if (!param_is_given(request, "fields")) {
		http_reply_missing(request, "fields");
		return false;
	}
	if (!param_list(request, "fields", FIELDS_MAX, &list)) {
		strlist_free(&list);
		return false;
	}
	for (i = 0; i < list.count; i++)
		strlist_split(&search->fields, list.items[i]);
	strlist_free(&list);
	for (i = 0; i < search->fields.count && why == NULL; i++) {
		if (!field_is_sound(search->fields.items[i]))
			why = "has something else than names of fields";
	}
	if (search->fields.count > FIELDS_MAX)
		why = "has too many items";
	else if (search->fields.count == 0)
		why = "is a required value";
	if (why != NULL)
		http_reply_param(request, "fields", why);
	return why == NULL;
}

static bool get_cursor(struct http_request *request, struct listing *listing)
{
	bool ok = true;
	const char *cursor = http_request_param(request, "cursor", &ok);

	if (!ok || cursor == NULL || *cursor == '\0')
		return ok;
	if (listing_cursor_parse(cursor, &listing->cursor))
		return true;
	http_reply_param(request, "cursor", "is not one that was answered");
	return false;
}

static char *join(const struct strlist *list, const char *first)
{
	struct strbuf b = { NULL, 0, 0 };
	size_t i;

	strbuf_add(&b, first, strlen(first));
	for (i = 0; i < list->count; i++)
		strbuf_addf(&b, "%s%s", b.len == 0 ? "" : " ",
			    list->items[i]);
	return b.data;
}

static void make_params(const struct http_request *request,
			struct search *search)
{
	json_t *params = json_object();
	char *fields;

	if (search->criteria.message_id != NULL) {
		json_object_set_new(params, RECALL_PARAM_MESSAGE_ID,
				    json_string(search->criteria.message_id));
		if (search->criteria.verify_headers)
			json_object_set_new(params,
				RECALL_PARAM_VERIFY_HEADERS, json_true());
	} else {
		json_object_set_new(params, RECALL_PARAM_QUERY,
			strlist_to_json(&search->criteria.query));
	}
	if (search->fetch) {
		fields = join(&search->fields, place_fields);
		json_object_set_new(params, RECALL_PARAM_FIELDS,
				    json_string(fields));
		free(fields);
	}
	if (request->identity.role == ROLE_ADMIN)
		json_object_set_new(params, RECALL_PARAM_TENANT,
				    json_string(request->identity.tenant));
	search->listing.params = params;
}

static bool search_parse(struct http_request *request, struct search *search)
{
	struct listing *listing = &search->listing;

	if (!param_criteria(request, &search->criteria) ||
	    !get_users(request, listing) ||
	    !get_fields(request, search) ||
	    !param_number(request, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX,
			  &listing->limit) ||
	    !get_cursor(request, listing))
		return false;
	listing->config = request->config;
	listing->command = search->fetch ? RECALL_CMD_FETCH :
		RECALL_CMD_SEARCH;
	make_params(request, search);
	return true;
}

/* the answer */

static json_t *make_result(const json_t *row)
{
	json_t *result = json_object(), *value;
	const char *name, *text;

	json_object_foreach((json_t *)row, name, value) {
		text = json_string_value(value);
		if (text == NULL)
			continue;
		if (strcmp(name, RECALL_COLUMN_USERNAME) == 0) {
			json_object_set(result, "email", value);
		} else if (strcmp(name, RECALL_COLUMN_MESSAGE_ID) == 0) {
			json_object_set(result, "messageid", value);
		} else if (strcmp(name, RECALL_COLUMN_MAILBOX_USER) == 0) {
			/* only where another name was asked for */
			if (*text != '\0' && strcasecmp(text,
			    json_string_value(json_object_get(row,
			    RECALL_COLUMN_USERNAME))) != 0)
				json_object_set(result, "mailbox_user", value);
		} else if (strcmp(name, RECALL_COLUMN_UID) == 0 ||
			   strcmp(name, RECALL_COLUMN_SIZE) == 0) {
			json_object_set_new(result, name, json_integer(
				strtoll(text, NULL, 10)));
		} else if (strcmp(name, RECALL_COLUMN_SEEN) == 0) {
			json_object_set_new(result, name, json_boolean(
				strcmp(text, "yes") == 0));
		} else if (strcmp(name, RECALL_COLUMN_ERROR) != 0 ||
			   *text != '\0') {
			json_object_set(result, name, value);
		}
	}
	return result;
}

static void reply_rows(struct http_request *request,
		       const struct listing *listing)
{
	json_t *results = json_array(), *json, *row;
	size_t i;

	json_array_foreach(listing->rows, i, row)
		json_array_append_new(results, make_result(row));
	json = json_pack("{s:b, s:o, s:b, s:O}",
			 "success", json_array_size(listing->errors) == 0,
			 "results", results, "more", listing->next != NULL,
			 "errors", listing->errors);
	if (listing->next != NULL)
		json_object_set_new(json, "next", json_string(listing->next));
	http_reply_json(request, 200, json);
}

static void reply_refused(struct http_request *request,
			  const struct search *search)
{
	bool query = search->criteria.message_id == NULL;
	char *why = query ? query_word_why(&search->criteria.query) : NULL;

	if (why != NULL)
		http_reply_param(request, "query", why);
	else if (query && search->fetch)
		http_reply_message(request, 400, "FIELDS or QUERY is not "
				   "valid");
	else
		http_reply_param(request, query ? "query" : "fields",
				 "is not valid");
	free(why);
}

static void reply(struct http_request *request, const struct search *search,
		  enum listing_result result)
{
	switch (result) {
	case LISTING_DONE:
		reply_rows(request, &search->listing);
		break;
	case LISTING_REFUSED:
		reply_refused(request, search);
		break;
	case LISTING_NO_CURSOR:
		http_reply_param(request, "cursor",
				 "is not one that was answered");
		break;
	case LISTING_TOO_LARGE:
		http_reply_param(request, "limit", "is too high for messages "
				 "of this size");
		break;
	case LISTING_UNREACHABLE:
	case LISTING_TIMEOUT:
		http_reply_unreachable(request, result == LISTING_TIMEOUT,
				       NULL);
		break;
	}
}

/* Who looked at whose mail, and how much of it was shown. */
static void audit(struct http_request *request, const struct search *search)
{
	const struct listing *listing = &search->listing;
	const char *message_id = search->criteria.message_id;
	char *query = NULL, *users = NULL, *fields = NULL, *count;

	if (message_id == NULL)
		query = strlist_to_json_text(&search->criteria.query);
	if (!listing->all_users)
		users = audit_list(&listing->users);
	if (search->fetch)
		fields = audit_list(&search->fields);
	count = x_asprintf("%zu", json_array_size(listing->rows));
	audit_done(request, search->fetch ? "fetch" : "search",
		   search->fetch ? "Messages shown" : "Message search",
		   /* what is of another tenant is among the errors */
		   request->status == 200 &&
		   json_array_size(listing->errors) == 0,
		   (const struct audit_field[]) {
			{ AUDIT_MESSAGE_ID, message_id },
			{ AUDIT_QUERY, query },
			{ AUDIT_USERS, users == NULL ? "*" : users },
			{ AUDIT_FIELDS, fields },
			{ AUDIT_MESSAGES, count },
			{ AUDIT_END, NULL } });
	free(query);
	free(users);
	free(fields);
	free(count);
}

static void run(struct http_request *request, bool fetch)
{
	struct search search = { .fetch = fetch };

	if (search_parse(request, &search)) {
		reply(request, &search, listing_run(&search.listing));
		/* what was refused is in the trail as that */
		if (request->status == 200 || request->status >= 500)
			audit(request, &search);
		if (request->status == 200)
			metrics_add(fetch ? METRIC_MESSAGES_FETCHED :
				    METRIC_MESSAGES_SEARCHED,
				    json_array_size(search.listing.rows));
	}
	search_free(&search);
}

void action_search(struct http_request *request)
{
	run(request, false);
}

void action_fetch(struct http_request *request)
{
	run(request, true);
}
