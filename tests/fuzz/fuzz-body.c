/* Bodies of requests. What is read of one is read again when it is sent as a
   form, as parts and as JSON. The first octet says which of them it is. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <jansson.h>
#include <microhttpd.h>

#include "alloc.h"
#include "http-parse.h"
#include "http-request.h"
#include "strbuf.h"
#include "text.h"

#include "fuzz.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define BOUNDARY "boundary"
#define PARTS "multipart/form-data; boundary=" BOUNDARY

static const char *const types[] = { FORM, JSON, PARTS };

/* A request that waits for its answer until the end: libmicrohttpd takes a
   body's boundary from the headers of its connection. */
static struct MHD_Connection *waiting;

static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *url,
       const char *method, const char *version, const char *data,
       size_t *size, void **con_cls)
{
	(void)context;
	(void)url;
	(void)method;
	(void)version;
	(void)data;
	(void)size;
	(void)con_cls;
	if (waiting == NULL)
		MHD_suspend_connection(connection);
	waiting = connection;
	return MHD_YES;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\n"
		"Content-Type: " PARTS "\r\nContent-Length: 1\r\n\r\n";
	struct sockaddr addr = { .sa_family = AF_UNIX };
	struct MHD_Daemon *daemon;
	int fds[2];

	(void)argc;
	(void)argv;
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	daemon = MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET |
				  MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
				  handle, NULL, MHD_OPTION_END);
	require(daemon != NULL);
	require(write(fds[0], head, strlen(head)) == (ssize_t)strlen(head));
	require(MHD_add_connection(daemon, fds[1], &addr,
				   sizeof(addr)) == MHD_YES);
	while (waiting == NULL)
		require(MHD_run(daemon) == MHD_YES);
	return 0;
}

static struct http_request *
parse(const char *type, const char *body, size_t size, bool *ok_r)
{
	struct http_request *request = http_request_new();

	request->connection = waiting;
	request->content_type = x_strdup(type);
	strbuf_add(&request->body.text, body, size);
	*ok_r = http_request_parse(request);
	return request;
}

/* Whether the same parameters are sent, that way. Frees the body. */
static void check_same(const struct http_request *request, const char *type,
		       struct strbuf *body)
{
	struct http_request *again;
	size_t i;
	bool ok;

	if (request->params_count == 0)
		strbuf_add(body, "", 0);
	again = parse(type, body->data, body->len, &ok);
	require(ok);
	require(again->params_count == request->params_count);
	require(again->params_empty.count == 0);
	require(!again->message_id_doubtful);
	for (i = 0; i < request->params_count; i++) {
		require(strcmp(again->params[i].name,
			       request->params[i].name) == 0);
		require(strcmp(again->params[i].value,
			       request->params[i].value) == 0);
	}
	http_request_free(again);
	free(body->data);
}

static void check_form(const struct http_request *request)
{
	struct strbuf body = { NULL, 0, 0 };
	char *name, *value;
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		name = curl_easy_escape(NULL, request->params[i].name, 0);
		value = curl_easy_escape(NULL, request->params[i].value, 0);
		strbuf_addf(&body, "%s%s=%s", i == 0 ? "" : "&", name, value);
		curl_free(name);
		curl_free(value);
	}
	check_same(request, FORM, &body);
}

static bool is_word(const char *name)
{
	return *name != '\0' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

static void check_parts(const struct http_request *request)
{
	struct strbuf body = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < request->params_count; i++) {
		/* clients choose another boundary, and escape names in ways of
		   their own */
		if (strstr(request->params[i].value, BOUNDARY) != NULL ||
		    !is_word(request->params[i].name)) {
			free(body.data);
			return;
		}
		strbuf_addf(&body, "--" BOUNDARY "\r\nContent-Disposition: "
			    "form-data; name=\"%s\"\r\n\r\n%s\r\n",
			    request->params[i].name, request->params[i].value);
	}
	if (request->params_count > 0)
		strbuf_addf(&body, "--" BOUNDARY "--\r\n");
	check_same(request, PARTS, &body);
}

static void check_json(const struct http_request *request)
{
	struct strbuf body = { NULL, 0, 0 };
	json_t *json = json_object();
	char *text;
	size_t i;

	for (i = 0; i < request->params_count; i++)
		require(json_object_set_new(json, request->params[i].name,
			json_string(request->params[i].value)) == 0);
	/* an object has each name once */
	if (json_object_size(json) == request->params_count) {
		text = json_dumps(json, JSON_COMPACT);
		require(text != NULL);
		strbuf_add(&body, text, strlen(text));
		free(text);
		check_same(request, JSON, &body);
	}
	json_decref(json);
}

static void check_refused(const struct http_request *request)
{
	json_t *json;

	require(request->status == 400 || request->status == 415 ||
		request->status == 503);
	json = json_loadb(request->reply, request->reply_len, 0, NULL);
	require(json_object_get(json, "message") != NULL);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request *request;
	size_t i;
	bool ok;

	if (size == 0)
		return 0;
	request = parse(types[data[0] % (sizeof(types) / sizeof(types[0]))],
			(const char *)data + 1, size - 1, &ok);
	require(ok == (request->reply == NULL));
	for (i = 0; ok && i < request->params_count; i++) {
		require(utf8_valid(request->params[i].name,
				   strlen(request->params[i].name)));
		require(utf8_valid(request->params[i].value,
				   strlen(request->params[i].value)));
	}
	if (ok) {
		check_form(request);
		check_parts(request);
		check_json(request);
	} else {
		check_refused(request);
	}
	http_request_free(request);
	return 0;
}
