#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "http-reply.h"
#include "json-text.h"
#include "strlist.h"
#include "text.h"

#define RETRY_AFTER_JOURNAL 30
#define RETRY_AFTER_MEMORY 5
/* of a parameter's name in an answer */
#define NAME_MAX_OCTETS 64

static const char forbidden[] =
	"You don't have the permission to access the requested resource. "
	"It is either read-protected or not readable by the server.";

static void set_reply(struct http_request *request, unsigned int status,
		      const char *type, char *text)
{
	free_secret(request->reply);
	request->reply = text;
	request->reply_len = strlen(text);
	request->reply_type = type;
	request->status = status;
}

void http_reply_json(struct http_request *request, unsigned int status,
		     json_t *json)
{
	char *text = try_json_to_text(json, 0);

	json_decref(json);
	if (text == NULL) {
		status = 503;
		text = x_asprintf("{\"message\": \"%s\"}", HTTP_NO_MEMORY);
	}
	set_reply(request, status, "application/json", text);
}

void http_reply_message(struct http_request *request, unsigned int status,
			const char *message)
{
	http_reply_json(request, status, json_pack("{s:s}", "message",
						   message));
}

void http_reply_add_param(json_t *what, const char *name, const char *why)
{
	/* it may be the caller's invention */
	char *upper = x_strndup(name, utf8_cut(name, NAME_MAX_OCTETS));
	char *text, *p;

	for (p = upper; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p += 'A' - 'a';
	}
	text = x_asprintf("%s %s", upper, why);
	json_object_set_new(what, upper, json_string(text));
	free(text);
	free(upper);
}

void http_reply_params(struct http_request *request, json_t *what)
{
	http_reply_json(request, 400, json_pack("{s:o}", "message", what));
}

void http_reply_param(struct http_request *request, const char *name,
		      const char *what)
{
	json_t *json;

	if (what == HTTP_NO_MEMORY) {
		http_reply_no_memory(request);
		return;
	}
	json = json_object();
	http_reply_add_param(json, name, what);
	http_reply_params(request, json);
}

void http_reply_missing(struct http_request *request, const char *name)
{
	http_reply_param(request, name, "is a required value");
}

void http_reply_forbidden(struct http_request *request)
{
	http_reply_message(request, 403, forbidden);
}

void http_reply_unreachable(struct http_request *request, bool timeout,
			    json_t *json)
{
	if (json == NULL)
		json = json_object();
	json_object_set_new(json, "message", json_string(timeout ?
		"The mail system does not answer in time" :
		"The mail system does not answer"));
	http_reply_json(request, timeout ? 504 : 502, json);
}

void http_reply_later(struct http_request *request, unsigned int status,
		      const char *message, int64_t seconds)
{
	char *value = x_asprintf("%lld", (long long)seconds);

	http_reply_message(request, status, message);
	http_reply_header(request, "Retry-After", value);
	free(value);
}

void http_reply_no_memory(struct http_request *request)
{
	http_reply_later(request, 503, HTTP_NO_MEMORY, RETRY_AFTER_MEMORY);
}

void http_reply_journal(struct http_request *request)
{
	http_reply_later(request, 503, "The journal cannot be read or written",
			 RETRY_AFTER_JOURNAL);
}

void http_reply_text(struct http_request *request, const char *type,
		     char *text)
{
	set_reply(request, 200, type, text);
}

void http_reply_file(struct http_request *request, const char *type, int fd,
		     size_t size)
{
	set_reply(request, 200, type, x_strdup(""));
	request->reply_fd = fd;
	request->reply_len = size;
}

void http_reply_header(struct http_request *request, const char *name,
		       const char *value)
{
	strlist_add(&request->reply_headers, name);
	strlist_add(&request->reply_headers, value);
}
