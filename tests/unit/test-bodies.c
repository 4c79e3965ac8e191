#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <microhttpd.h>

#include "alloc.h"
#include "http-parse.h"
#include "http-request.h"
#include "run-tests.h"
#include "strbuf.h"

/* Bodies of requests, sent by libcurl and received by libmicrohttpd, as the
   service parses them. */

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define BOUNDARY "multipart/form-data; boundary=boundary"

static struct MHD_Daemon *server;
/* what came of the last request: a line a parameter, or status and answer */
static struct strbuf seen;

static void tell(const struct http_request *request)
{
	size_t i;

	for (i = 0; i < request->params_count; i++)
		strbuf_addf(&seen, "%s=%s\n", request->params[i].name,
			    request->params[i].value);
	for (i = 0; i < request->params_empty.count; i++)
		strbuf_addf(&seen, "%s is null\n",
			    request->params_empty.items[i]);
	if (request->message_id_doubtful)
		strbuf_addf(&seen, "doubtful\n");
}

static enum MHD_Result reply(struct MHD_Connection *connection)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(0,
		(void *)"", MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ret = MHD_queue_response(connection, 200, response);

	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *url,
       const char *method, const char *version, const char *data,
       size_t *size, void **con_cls)
{
	struct http_request *request = *con_cls;
	const char *type;

	(void)context;
	(void)url;
	(void)method;
	(void)version;
	if (request == NULL) {
		request = http_request_new();
		request->connection = connection;
		type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
						   "Content-Type");
		request->content_type = type == NULL ? NULL : x_strdup(type);
		*con_cls = request;
		return MHD_YES;
	}
	if (*size > 0) {
		strbuf_add(&request->body.text, data, *size);
		*size = 0;
		return MHD_YES;
	}
	seen.len = 0;
	strbuf_add(&seen, "", 0);
	if (http_request_parse(request))
		tell(request);
	else
		strbuf_addf(&seen, "%u %s", request->status, request->reply);
	http_request_free(request);
	*con_cls = NULL;
	return reply(connection);
}

/* Sends the body, and returns what was seen of it. */
static const char *post_octets(const char *type, const char *body, size_t len)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char *header = x_asprintf("Content-Type:%s%s", *type == '\0' ? "" : " ",
				  type);
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);
	CURL *curl = curl_easy_init();

	headers = curl_slist_append(headers, header);
	free(header);
	curl_easy_setopt(curl, CURLOPT_URL, "http://127.0.0.1/");
	curl_easy_setopt(curl, CURLOPT_PORT, (long)info->port);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
	CU_ASSERT_EQUAL(curl_easy_perform(curl), CURLE_OK);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return seen.data;
}

static const char *post(const char *type, const char *body)
{
	return post_octets(type, body, strlen(body));
}

#define SEEN(type, body, expected) \
	CU_ASSERT_STRING_EQUAL(post(type, body), expected)
#define REFUSED(type, body, why) \
	CU_ASSERT_STRING_EQUAL(post(type, body), \
			       "400 {\"message\": " why "}")

static void test_form(void)
{
	SEEN(FORM, "a=1&b=x%20y+z&c&d=", "a=1\nb=x y z\nc=\nd=\n");
	SEEN(FORM, "a=1&a=2", "a=1\na=2\n");
	SEEN(FORM, "%61%3D=%26", "a==&\n");
	SEEN(FORM, "&&a=1&", "a=1\n");
	SEEN(FORM "; charset=utf-8", "a=%D0%B6", "a=ж\n");
	/* what is no escape stays */
	SEEN(FORM, "a=%&b=%zz&c=%4", "a=%\nb=%zz\nc=%4\n");
	/* as one that has no type at all */
	SEEN("", "a=1", "a=1\n");
	REFUSED(FORM, "a=%00", "\"A parameter is not valid UTF-8\"");
	REFUSED(FORM, "a=%FF", "\"A parameter is not valid UTF-8\"");
	REFUSED(FORM, "%C0%80=1", "\"A parameter is not valid UTF-8\"");
}

static void test_ids_that_are_not_encoded(void)
{
	SEEN(FORM, "messageid=<a+b%41&c@d>&x=1",
	     "messageid=<a+b%41&c@d>\nx=1\n");
	SEEN(FORM, "messageid=%3Ca%2Bb@d%3E", "messageid=<a+b@d>\n");
	SEEN(FORM, "messageid=a+b@d", "messageid=a b@d\ndoubtful\n");
	/* not another parameter's */
	SEEN(FORM, "reason=<a+b>", "reason=<a b>\n");
}

static void test_json(void)
{
	SEEN(JSON, "{\"a\": \"x&y\", \"b\": 7, \"c\": true, \"d\": false}",
	     "a=x&y\nb=7\nc=1\nd=0\n");
	SEEN(JSON, "{\"a\": [\"x\", \"y\"], \"b\": [], \"c\": null}",
	     "a=x\na=y\nb=[]\nc is null\n");
	SEEN(JSON, "{}", "");
	REFUSED(JSON, "{\"a\": 1, \"a\": 2}",
		"\"The body is not a valid JSON object\"");
	REFUSED(JSON, "[1]", "\"The body is not a valid JSON object\"");
	REFUSED(JSON, "{\"a\": 1} x",
		"\"The body is not a valid JSON object\"");
	REFUSED(JSON, "{\"a\": \"\\u0000\"}",
		"\"The body is not a valid JSON object\"");
}

static void test_json_of_another_type(void)
{
	REFUSED(JSON, "{\"a\": {}}",
		"{\"A\": \"A is neither a string nor an integer, true, false, "
		"null or an array of strings\"}");
	REFUSED(JSON, "{\"a\": 1.5}",
		"{\"A\": \"A is neither a string nor an integer, true, false, "
		"null or an array of strings\"}");
	REFUSED(JSON, "{\"b\": \"\", \"a\": [\"x\", 1]}",
		"{\"A\": \"A has something else than strings\"}");
	REFUSED(JSON, "{\"a\": [[]]}",
		"{\"A\": \"A has something else than strings\"}");
}

#define PART(name, more, value) \
	"--boundary\r\nContent-Disposition: form-data; name=\"" name "\"\r\n" \
	more "\r\n" value "\r\n"
#define END "--boundary--\r\n"

static void test_multipart(void)
{
	SEEN(BOUNDARY, PART("a", "", "1 + 2 %41") PART("b", "", "") END,
	     "a=1 + 2 %41\nb=\n");
	SEEN(BOUNDARY, PART("a", "Content-Type: text/plain\r\n", "x")
	     PART("a", "Content-Transfer-Encoding: 8bit\r\n", "ж") END,
	     "a=x\na=ж\n");
	SEEN(BOUNDARY, PART("messageid", "", "<a+b@d>") END,
	     "messageid=<a+b@d>\n");
	REFUSED(BOUNDARY, PART("a", "Content-Transfer-Encoding: base64\r\n",
			       "eA==") END,
		"\"A part of the body has a Content-Transfer-Encoding\"");
	REFUSED(BOUNDARY, PART("", "", "x") END,
		"\"A part of the body has no name: it is to be written as "
		"form-data; name=\\\"NAME\\\"\"");
	REFUSED(BOUNDARY, PART("a", "", "x"),
		"\"The body is not valid multipart/form-data\"");
	REFUSED("multipart/form-data", PART("a", "", "x") END,
		"\"The body is not valid multipart/form-data\"");
	REFUSED(BOUNDARY, PART("a", "", "\xff") END,
		"\"A parameter is not valid UTF-8\"");
}

/* A value that comes in many pieces is one. */
static void test_long_values(void)
{
	static const char head[] = PART("a", "", "");
	size_t i, len = 60000, at = strlen(head) - 2;
	char *body = x_asprintf("%.*s%*s\r\n" END, (int)at, head, (int)len, "");

	for (i = 0; i < len; i++)
		body[at + i] = 'a' + i % 26;
	CU_ASSERT_EQUAL(strlen(post(BOUNDARY, body)), len + 3);
	CU_ASSERT_EQUAL(memcmp(seen.data + 2, body + at, len), 0);
	free(body);
	/* no value that is no list is longer than 64 KiB */
	body = x_asprintf("a=%*s&b=", 65537, "");
	memset(body + 2, 'x', 65537);
	REFUSED(FORM, body, "\"A parameter is too long\"");
	body[2] = '[';
	CU_ASSERT_EQUAL(strlen(post(FORM, body)), 65537 + 6);
	free(body);
}

/* Each item of an array has a copy of its name. */
static void test_long_names(void)
{
	static const char why[] =
		"400 {\"message\": \"A parameter's name is too long\"}";
	char name[257], *body;

	memset(name, 'n', sizeof(name));
	body = x_asprintf("{\"%.255s\": [\"1\", \"2\"]}", name);
	CU_ASSERT_EQUAL(strlen(post(JSON, body)), 2 * (255 + 3));
	free(body);
	body = x_asprintf("{\"%.256s\": [\"1\", \"2\"]}", name);
	SEEN(JSON, body, why);
	free(body);
	body = x_asprintf("{\"%.256s\": 1}", name);
	SEEN(JSON, body, why);
	free(body);
	body = x_asprintf("%.256s=1", name);
	SEEN(FORM, body, why);
	free(body);
	body = x_asprintf("--boundary\r\nContent-Disposition: form-data; "
			  "name=\"%.256s\"\r\n\r\n1\r\n" END, name);
	SEEN(BOUNDARY, body, why);
	free(body);
}

static void test_types(void)
{
	static const char answer[] =
		"415 {\"message\": \"The body's Content-Type is not "
		"supported\"}";

	SEEN("text/plain", "a=1", answer);
	SEEN(FORM "x", "a=1", answer);
	/* nothing is nothing, whatever it is called */
	SEEN("text/plain", "", "");
	SEEN("APPLICATION/JSON;charset=utf-8", "{\"a\": 1}", "a=1\n");
}

int main(void)
{
	CU_pSuite suite = tests_begin("bodies");
	int ret;

	curl_global_init(CURL_GLOBAL_ALL);
	server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
				  NULL, handle, NULL, MHD_OPTION_END);
	if (server == NULL) {
		perror("MHD_start_daemon");
		return EXIT_FAILURE;
	}
	CU_add_test(suite, "form", test_form);
	CU_add_test(suite, "ids that are not encoded",
		    test_ids_that_are_not_encoded);
	CU_add_test(suite, "json", test_json);
	CU_add_test(suite, "json of another type", test_json_of_another_type);
	CU_add_test(suite, "multipart", test_multipart);
	CU_add_test(suite, "long values", test_long_values);
	CU_add_test(suite, "long names", test_long_names);
	CU_add_test(suite, "types", test_types);
	ret = tests_run();
	MHD_stop_daemon(server);
	free(seen.data);
	curl_global_cleanup();
	return ret;
}
