#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "recall-limits.h"
#include "recall-message-id.h"
#include "recall-text.h"
#include "actions.h"
#include "address.h"
#include "alloc.h"
#include "http-json.h"
#include "http-limits.h"
#include "http-reply.h"
#include "params.h"
#include "strbuf.h"
#include "text.h"

/* Unknown parameters that one answer names. */
#define UNKNOWN_MAX 10
/* what a name would have if it was meant as one */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" \
		   "0123456789-_."

bool param_parse_flag(const char *value, bool *value_r)
{
	*value_r = strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0;
	return *value_r || strcmp(value, "0") == 0 ||
	       strcasecmp(value, "false") == 0;
}

bool param_flag(struct http_request *request, const char *name, bool def,
		bool *value_r)
{
	bool ok = true;
	const char *value = http_request_param(request, name, &ok);

	*value_r = def;
	if (!ok || value == NULL)
		return ok;
	ok = param_parse_flag(value, value_r);
	if (!ok)
		http_reply_param(request, name,
				 "is neither 0 nor 1, false nor true");
	return ok;
}

bool param_number(struct http_request *request, const char *name, int64_t def,
		  int64_t min, int64_t max, int64_t *value_r)
{
	bool ok = true;
	const char *value = http_request_param(request, name, &ok);

	*value_r = def;
	if (!ok || value == NULL)
		return ok;
	/* no more digits than fit */
	if (*value != '\0' && strlen(value) <= 18 &&
	    strspn(value, "0123456789") == strlen(value)) {
		*value_r = strtoll(value, NULL, 10);
		if (*value_r >= min && *value_r <= max)
			return true;
	}
	http_reply_param(request, name, "is not a number in range");
	return false;
}

bool param_duration(struct http_request *request, const char *name,
		    int64_t max, int64_t *secs_r)
{
	static const struct {
		char unit;
		int64_t secs;
	} units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	};
	bool ok = true;
	const char *value = http_request_param(request, name, &ok);
	size_t digits, i;

	*secs_r = 0;
	if (!ok || value == NULL || strcmp(value, "off") == 0)
		return ok;
	digits = strspn(value, "0123456789");
	for (i = 0; digits > 0 && digits <= 9 &&
	     i < sizeof(units) / sizeof(units[0]); i++) {
		if (value[digits] == units[i].unit &&
		    value[digits + 1] == '\0')
			*secs_r = strtoll(value, NULL, 10) * units[i].secs;
	}
	if (*secs_r > 0 && *secs_r <= max)
		return true;
	http_reply_param(request, name, *secs_r > max ?
			 "is longer than a recall may stand" :
			 "is not a time as 30m, 48h or 7d");
	return false;
}

bool param_check_message_id(struct http_request *request, const char *value)
{
	enum recall_message_id_error error;
	struct recall_message_id id;

	if (request->message_id_doubtful) {
		http_reply_param(request, "messageid", "has a \"+\" that may "
				 "mean a space: is it URL-encoded?");
		return false;
	}
	error = recall_message_id_parse(value, strlen(value), &id);
	if (error == RECALL_MESSAGE_ID_OK)
		return true;
	http_reply_param(request, "messageid",
			 recall_message_id_strerror(error));
	return false;
}

bool param_check_text(struct http_request *request, const char *name,
		      const char *value, size_t max)
{
	const char *why = NULL;

	if (value == NULL)
		return true;
	if (strlen(value) > max)
		why = "is too long";
	else if (recall_text_has_control(value))
		why = "has a control character";
	if (why != NULL)
		http_reply_param(request, name, why);
	return why == NULL;
}

/* Returns why the value is none, or NULL. */
static const char *add_array(const char *value, struct strlist *list)
{
	const char *why = NULL;
	json_t *array, *item;
	size_t i;

	array = http_json_load(value, strlen(value), 0, &why);
	if (array == NULL)
		return why;
	json_array_foreach(array, i, item) {
		if (!json_is_string(item)) {
			why = "has something else than strings";
			break;
		}
		if (json_string_length(item) > HTTP_VALUE_MAX) {
			why = "has an item that is too long";
			break;
		}
		strlist_add(list, json_string_value(item));
	}
	json_decref(array);
	return why;
}

/* Adds all values of the parameter, of which some may be arrays. Returns why
   one is none, or NULL. */
static const char *
add_values(const struct http_request *request, const char *name, bool arrays,
	   struct strlist *list)
{
	const char *why = NULL, *value;
	size_t i;

	for (i = 0; i < request->params_count && why == NULL; i++) {
		if (strcmp(request->params[i].name, name) != 0)
			continue;
		value = request->params[i].value;
		if (arrays && *value == '[')
			why = add_array(value, list);
		else
			strlist_add(list, value);
	}
	return why;
}

static size_t count_values(const struct http_request *request,
			   const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < request->params_count; i++) {
		if (strcmp(request->params[i].name, name) == 0)
			n++;
	}
	return n;
}

bool param_is_there(const struct http_request *request, const char *name)
{
	return count_values(request, name) > 0;
}

bool param_check_reason(struct http_request *request, const char *reason)
{
	if (!request->config->recall_require_reason ||
	    (reason != NULL && *reason != '\0'))
		return true;
	http_reply_missing(request, "reason");
	return false;
}

bool param_list(struct http_request *request, const char *name, size_t max,
		struct strlist *list)
{
	/* what JSON's arrays come as are words, whatever they look like */
	const char *why = add_values(request, name,
				     count_values(request, name) == 1, list);
	size_t i;

	for (i = 0; i < list->count && why == NULL; i++) {
		if (recall_text_has_control(list->items[i]))
			why = "has a control character";
	}
	if (why == NULL && list->count > max)
		why = "has too many items";
	if (why == NULL && list->count == 0)
		why = "is a required value";
	if (why != NULL)
		http_reply_param(request, name, why);
	return why == NULL;
}

void param_values(const struct http_request *request, const char *name,
		  struct strlist *list)
{
	const char *value;
	char *start;
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		value = request->params[i].value;
		if (strcmp(request->params[i].name, name) != 0 ||
		    (*value == '[' && add_array(value, list) == NULL))
			continue;
		start = x_strndup(value, strnlen(value, HTTP_VALUE_MAX));
		strlist_add(list, start);
		free(start);
	}
}

bool param_is_given(const struct http_request *request, const char *name)
{
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		const char *value = request->params[i].value;

		if (strcmp(request->params[i].name, name) == 0 &&
		    *value != '\0' && strcmp(value, "[]") != 0)
			return true;
	}
	return false;
}

/* Of 10,000 addresses it has to be said which one is wrong. */
static bool check_addresses(struct http_request *request, const char *name,
			    const struct strlist *list)
{
	const char *why = NULL, *address;
	char *text;
	size_t i;

	for (i = 0; i < list->count && why == NULL; i++) {
		address = list->items[i];
		why = address_check(address);
	}
	if (why == NULL)
		return true;
	text = x_asprintf("%s: number %zu, '%.*s'", why, i,
			  (int)utf8_cut(address, RECALL_ADDRESS_MAX), address);
	http_reply_param(request, name, text);
	free(text);
	return false;
}

bool param_emails(struct http_request *request, struct strlist *list)
{
	static const char name[] = "emails";
	const char *why = add_values(request, name, true, list);

	if (why == NULL && list->count > RECALL_USERS_MAX)
		why = "has too many addresses";
	/* an array may be empty however it is written */
	if (why == NULL && list->count == 0)
		why = "is a required value";
	if (why != NULL)
		http_reply_param(request, name, why);
	return why == NULL && check_addresses(request, name, list);
}

void param_reply_missing(struct http_request *request,
			 const char *const *names)
{
	json_t *what = json_object();

	for (; *names != NULL; names++)
		http_reply_add_param(what, *names, "is a required value");
	http_reply_params(request, what);
}

static bool is_known(const struct http_route *route, const char *name)
{
	size_t i;

	if (route->cmd != NULL && strcmp(name, "cmd") == 0)
		return true;
	for (i = 0; route->params[i] != NULL; i++) {
		if (strcmp(route->params[i], name) == 0)
			return true;
	}
	return false;
}

static void add_unknown(const struct http_route *route, const char *name,
			json_t *what)
{
	struct strbuf why = { NULL, 0, 0 };
	size_t i;

	if (is_known(route, name) || json_object_size(what) == UNKNOWN_MAX)
		return;
	/* it may be what follows an "&" in a password */
	if (is_known(route, "password"))
		name = "parameter";
	strbuf_addf(&why, "is not a parameter of this request, which has ");
	if (route->params[0] == NULL)
		strbuf_addf(&why, "none");
	for (i = 0; route->params[i] != NULL; i++)
		strbuf_addf(&why, "%s%s", i == 0 ? "" : ", ",
			    route->params[i]);
	if (name[strspn(name, NAME_CHARS)] != '\0')
		strbuf_addf(&why, ": is the body URL-encoded?");
	http_reply_add_param(what, name, why.data);
	free(why.data);
}

bool param_check_known(struct http_request *request)
{
	json_t *what;
	size_t i;

	if (request->route->params_from == HTTP_PARAMS_URL_ANY)
		return true;
	what = json_object();
	for (i = 0; i < request->params_count; i++)
		add_unknown(request->route, request->params[i].name, what);
	for (i = 0; i < request->params_empty.count; i++)
		add_unknown(request->route, request->params_empty.items[i],
			    what);
	if (json_object_size(what) > 0) {
		http_reply_params(request, what);
		return false;
	}
	json_decref(what);
	return true;
}

static enum MHD_Result
add_url_param(void *context, enum MHD_ValueKind kind, const char *name,
	      const char *value)
{
	struct http_request *request = context;

	(void)kind;
	if (value == NULL)
		value = "";
	if (!utf8_valid(name, strlen(name)) ||
	    !utf8_valid(value, strlen(value))) {
		http_reply_message(request, 400,
				   "A parameter is not valid UTF-8");
		return MHD_NO;
	}
	if (request->route->params_from == HTTP_PARAMS_BODY) {
		http_reply_param(request, name,
				 "belongs in the body, not in the URL");
		return MHD_NO;
	}
	http_request_add_param(request, name, strlen(name), value,
			       strlen(value));
	return MHD_YES;
}

bool param_add_url(struct http_request *request)
{
	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND,
				  add_url_param, request);
	return request->reply == NULL;
}

bool param_criteria(struct http_request *request,
		    struct param_criteria *criteria_r)
{
	bool ok = true, query = param_is_given(request, "query");

	memset(criteria_r, 0, sizeof(*criteria_r));
	criteria_r->message_id = http_request_param(request, "messageid", &ok);
	if (!ok)
		return false;
	/* an empty value is as good as none */
	if (criteria_r->message_id != NULL && *criteria_r->message_id == '\0')
		criteria_r->message_id = NULL;
	if (criteria_r->message_id == NULL && !query) {
		http_reply_missing(request, "messageid");
		return false;
	}
	if (!param_flag(request, "verify_headers", false,
			&criteria_r->verify_headers))
		return false;
	if (criteria_r->message_id == NULL && criteria_r->verify_headers) {
		http_reply_param(request, "verify_headers",
				 "goes with a MESSAGEID");
		return false;
	}
	if (criteria_r->message_id == NULL) {
		return param_list(request, "query", RECALL_QUERY_WORDS_MAX,
				  &criteria_r->query);
	}
	if (query) {
		http_reply_param(request, "query",
				 "is given besides a MESSAGEID");
		return false;
	}
	return param_check_message_id(request, criteria_r->message_id);
}
