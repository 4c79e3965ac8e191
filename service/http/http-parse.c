#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "recall-limits.h"
#include "alloc.h"
#include "http-form.h"
#include "http-json.h"
#include "http-limits.h"
#include "http-parse.h"
#include "http-reply.h"
#include "strbuf.h"
#include "strlist.h"
#include "text.h"

#define MULTIPART_BUFFER 8192

static const char type_form[] = "application/x-www-form-urlencoded";
static const char type_multipart[] = "multipart/form-data";
static const char type_json[] = "application/json";

static bool too_many(const struct http_request *request)
{
	return request->params_count >= RECALL_USERS_MAX + HTTP_PARAMS_EXTRA;
}

/* In a form what is taken for a name may be part of a secret; JSON says which
   parameter it is. */
static const char not_utf8[] = "A parameter is not valid UTF-8";
static const char too_long[] = "A parameter is too long";

/* Adds what came in if it is text. */
static const char *add_checked(struct http_request *request, const char *name,
			       size_t name_len, const char *value,
			       size_t value_len)
{
	if (!utf8_valid(name, name_len) || !utf8_valid(value, value_len))
		return not_utf8;
	if (too_many(request))
		return "There are too many parameters";
	if (name_len > HTTP_NAME_MAX)
		return "A parameter's name is too long";
	if (value_len > HTTP_VALUE_MAX && *value != '[')
		return too_long;
	return http_request_add_param(request, name, name_len, value,
				      value_len) ? NULL : HTTP_NO_MEMORY;
}

static const char *parse_form(struct http_request *request)
{
	char *p = request->body.text.data, *end = p + request->body.text.len;
	const char *error = NULL;

	while (error == NULL && p < end) {
		bool bare;
		char *stop = http_form_pair_end(p, end, &bare), *value;
		size_t name_len, value_len = 0;

		if (http_form_is_doubtful(p, stop))
			request->message_id_doubtful = true;
		value = memchr(p, '=', stop - p);
		name_len = (value == NULL ? stop : value) - p;
		if (value != NULL) {
			value++;
			value_len = stop - value;
			if (!bare)
				value_len = http_url_decode(value, value_len,
							    true, NULL);
		}
		name_len = http_url_decode(p, name_len, true, NULL);
		if (name_len > 0 || value != NULL)
			error = add_checked(request, p, name_len,
					    value == NULL ? "" : value,
					    value_len);
		p = stop + 1;
	}
	return error;
}

/* One value may come in several pieces. */
struct multipart {
	struct http_request *request;
	char *name;
	struct strbuf value;
	const char *error;
};

static void multipart_flush(struct multipart *m)
{
	if (m->name != NULL && m->error == NULL)
		m->error = add_checked(m->request, m->name, strlen(m->name),
				       m->value.data, m->value.len);
	free(m->name);
	m->name = NULL;
	m->value.len = 0;
}

/* RFC 7578, 4.7: parts are not encoded. One that is would be taken for
   something else. */
static bool is_plain(const char *encoding)
{
	return encoding == NULL || strcasecmp(encoding, "8bit") == 0 ||
	       strcasecmp(encoding, "7bit") == 0 ||
	       strcasecmp(encoding, "binary") == 0;
}

static enum MHD_Result
multipart_piece(void *context, enum MHD_ValueKind kind, const char *key,
		const char *filename, const char *content_type,
		const char *encoding, const char *data, uint64_t off,
		size_t size)
{
	struct multipart *m = context;

	(void)kind;
	(void)filename;
	(void)content_type;
	/* libmicrohttpd knows it as browsers and curl write it, in quotes and
	   small letters, and not as RFC 7578 would have it besides */
	if (key == NULL || *key == '\0') {
		m->error = "A part of the body has no name: it is to be "
			"written as form-data; name=\"NAME\"";
		return MHD_NO;
	}
	if (!is_plain(encoding)) {
		m->error = "A part of the body has a Content-Transfer-Encoding";
		return MHD_NO;
	}
	if (off == 0) {
		multipart_flush(m);
		m->name = x_strdup(key);
	}
	if (!strbuf_try_add(&m->value, data, size))
		m->error = HTTP_NO_MEMORY;
	return m->error == NULL ? MHD_YES : MHD_NO;
}

static const char *parse_multipart(struct http_request *request)
{
	struct multipart m = { .request = request };
	struct MHD_PostProcessor *pp;
	enum MHD_Result ret;

	pp = MHD_create_post_processor(request->connection, MULTIPART_BUFFER,
				       multipart_piece, &m);
	if (pp == NULL)
		return "The body is not valid multipart/form-data";
	ret = MHD_post_process(pp, request->body.text.data,
			       request->body.text.len);
	if (MHD_destroy_post_processor(pp) != MHD_YES)
		ret = MHD_NO;
	multipart_flush(&m);
	free_secret(m.value.data);
	if (m.error == NULL && ret != MHD_YES)
		return "The body is not valid multipart/form-data";
	return m.error;
}

/* Answers what is wrong with one parameter. */
static const char *refuse(struct http_request *request, const char *name,
			  const char *why)
{
	http_reply_param(request, name, why);
	return why;
}

static const char *add_json_text(struct http_request *request,
				 const char *name, const char *value,
				 size_t len)
{
	const char *error = add_checked(request, name, strlen(name), value,
					len);

	return error == too_long ? refuse(request, name, "is too long") : error;
}

static const char *add_json_array(struct http_request *request,
				  const char *name, const json_t *array)
{
	const char *error;
	const json_t *item;
	size_t i;

	/* it is not the same as none */
	if (json_array_size(array) == 0)
		return add_json_text(request, name, "[]", 2);
	json_array_foreach(array, i, item) {
		if (!json_is_string(item))
			return refuse(request, name,
				      "has something else than strings");
		error = add_json_text(request, name, json_string_value(item),
				      json_string_length(item));
		if (error != NULL)
			return error;
	}
	return NULL;
}

static const char *add_json(struct http_request *request, const char *name,
			    const json_t *value)
{
	char number[24];

	switch (json_typeof(value)) {
	case JSON_STRING:
		return add_json_text(request, name, json_string_value(value),
				     json_string_length(value));
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%lld",
			 (long long)json_integer_value(value));
		return add_json_text(request, name, number, strlen(number));
	case JSON_TRUE:
	case JSON_FALSE:
		return add_json_text(request, name,
				     json_is_true(value) ? "1" : "0", 1);
	case JSON_NULL:
		strlist_add(&request->params_empty, name);
		return NULL;
	case JSON_ARRAY:
		return add_json_array(request, name, value);
	default:
		return refuse(request, name, "is neither a string nor an "
			      "integer, true, false, null or an array of "
			      "strings");
	}
}

static const char *parse_json(struct http_request *request)
{
	const char *error = NULL, *name;
	json_t *body, *value;

	body = http_json_load(request->body.text.data, request->body.text.len,
			      JSON_REJECT_DUPLICATES, &error);
	if (body == NULL && error == HTTP_NO_MEMORY)
		return error;
	if (!json_is_object(body))
		error = "The body is not a valid JSON object";
	else json_object_foreach(body, name, value) {
		error = add_json(request, name, value);
		if (error != NULL)
			break;
	}
	json_decref(body);
	return error;
}

static bool is_type(const char *content_type, const char *type)
{
	size_t len = strlen(type);

	return strncasecmp(content_type, type, len) == 0 &&
	       strchr("; \t", content_type[len]) != NULL;
}

bool http_request_parse(struct http_request *request)
{
	const char *error, *type = request->content_type;

	if (request->body.text.len == 0)
		return true;
	if (type == NULL || is_type(type, type_form)) {
		error = parse_form(request);
	} else if (is_type(type, type_json)) {
		error = parse_json(request);
	} else if (is_type(type, type_multipart)) {
		error = parse_multipart(request);
	} else {
		http_reply_message(request, 415, "The body's Content-Type is "
				   "not supported");
		return false;
	}
	if (error == HTTP_NO_MEMORY) {
		/* make room for the answer */
		http_body_drop(&request->body);
		http_request_free_params(request);
		http_reply_no_memory(request);
	} else if (error != NULL && request->reply == NULL) {
		http_reply_message(request, 400, error);
	}
	return error == NULL;
}

const char *http_request_param(struct http_request *request, const char *name,
			       bool *ok)
{
	const char *value = NULL;
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		if (strcmp(request->params[i].name, name) != 0)
			continue;
		if (value != NULL) {
			if (*ok)
				http_reply_param(request, name,
						 "is given more than once");
			*ok = false;
			return NULL;
		}
		value = request->params[i].value;
	}
	return value;
}
