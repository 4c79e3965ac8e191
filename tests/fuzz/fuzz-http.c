/* Requests as libmicrohttpd hands them on: the daemon's own listener, in this
   process. "@TOKEN@" in the input stands for a valid access token, and
   "@LENGTH@" for the octets of what follows the head. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <jansson.h>

#include "auth-token.h"
#include "brakes.h"
#include "config-load.h"
#include "config.h"
#include "dispatch.h"
#include "doveadm-client.h"
#include "jobs.h"
#include "journal-db.h"
#include "log.h"
#include "recall-outcome.h"
#include "revocation.h"
#include "worker.h"

#include "fuzz.h"

/* All in this thread: nine tenths of the time went by until threads that wait
   for each other were woken. */
static bool work_here(struct worker_pool *pool, void (*func)(void *context),
		      void *context)
{
	(void)pool;
	func(context);
	return true;
}

#include <microhttpd.h>
#define MHD_USE_EPOLL_INTERNALLY MHD_USE_EPOLL
#include "http-listener.c"
#define worker_pool_add work_here
#include "http-server.c"

#define LOGIN "a@example.com"
#define PORT 8025
/* Turns of the daemon's in which nothing comes: then nothing will. */
#define PATIENCE 8

static char token[4096];
/* what the server was sent has it */
static bool has_token;
static struct http_api api;
static struct sockaddr_in addr = { .sin_family = AF_INET };
static char host[INET_ADDRSTRLEN];

/* A loopback address that no other process takes. */
static void set_address(void)
{
	uint32_t pid = (uint32_t)getpid() & 0xffffff;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK >> 24 << 24 | pid);
	require(inet_ntop(AF_INET, &addr.sin_addr, host, sizeof(host)) != NULL);
}

static struct config *make_config(void)
{
	char *path = fuzz_path("conf"), *error = NULL;
	struct config *config;
	FILE *f;

	set_address();
	addr.sin_port = htons(PORT);
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	chmod(path, 0600);
	/* nothing answers at port 9: what gets so far is a 502 */
	fprintf(f, "[http]\naddress = %s\nport = %u\n"
		"health_address = %s\nhealth_port = %u\nworkers = 2\n"
		"max_body = 65536\n"
		"[doveadm]\nurl = http://127.0.0.1:9/doveadm/v1\n"
		"login = doveadm:0123456789abcdef\nretries = 0\n"
		"[auth]\njwt_key = 0123456789abcdef0123456789abcdef\n"
		"imap_url = imap://127.0.0.1:9\nlogins = 2\n"
		"[bruteforce]\nenabled = no\n"
		"[journal]\npath = %s/journal.db\n"
		"[log]\npath = /dev/null\n[audit]\ncef_enabled = no\n"
		"required = no\n[console]\nenabled = no\n",
		host, PORT, host, PORT + 1, fuzz_dir());
	fclose(f);
	config = config_load(path, &error);
	if (config == NULL) {
		fputs(error, stderr);
		abort();
	}
	free(path);
	return config;
}

/* Whatever was asked, the answer can be sent, and who has not shown the token
   has got nothing that needs one. */
static void check_answer(const struct http_request *request)
{
	const struct http_route *route = request->route;
	size_t i;

	require(request->status >= 200 && request->status < 600);
	require(request->status != 500);
	require(request->reply != NULL || request->reply_fd >= 0);
	for (i = 0; i < request->reply_headers.count; i++)
		require(request->reply_headers.items[i][strcspn(
			request->reply_headers.items[i], "\r\n")] == '\0');
	if (request->reply != NULL &&
	    strcmp(request->reply_type, "application/json") == 0) {
		json_t *json = json_loadb(request->reply, request->reply_len,
					  JSON_DECODE_ANY, NULL);

		require(json != NULL);
		/* a probe's answer says of each part whether it is ready */
		require(request->status < 400 ||
			route == NULL || route->health ||
			json_object_get(json, "message") != NULL);
		json_decref(json);
	}
	if (route == NULL || request->status >= 400 ||
	    (route->auth != HTTP_AUTH_TOKEN &&
	     route->auth != HTTP_AUTH_OLD_TOKEN))
		return;
	require(has_token);
	require(strcmp(request->identity.login, LOGIN) == 0);
}

static void conclude_checked(struct http_request *request)
{
	check_answer(request);
	dispatch_api.conclude(request);
}

/* As the daemon ends: its threads must not see what exit() takes away. */
static void stop(void)
{
	recall_interrupt_all();
	http_server_stop();
	jobs_stop();
	doveadm_client_forget();
	journal_close();
	revocations_free();
	brakes_free();
	config_replace(NULL);
	log_close();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct identity who = {
		.login = LOGIN, .tenant = "default",
		.role = ROLE_SUPER,
	};
	char jti[TOKEN_ID_LEN + 1], *issued, *error = NULL;
	struct config *config;

	(void)argc;
	(void)argv;
	/* before atexit(): what is begun later is ended earlier, and threads
	   need libcrypto to the end */
	curl_global_init(CURL_GLOBAL_ALL);
	(void)fuzz_dir();
	(void)atexit(stop);
	config = make_config();
	config_replace(config);
	require(log_open(config->log_path, LOG_LEVEL_INFO));
	require(journal_open(config->journal_path, &error));
	require(revocations_load() && brakes_load());
	doveadm_client_start(config);
	api = dispatch_api;
	api.conclude = conclude_checked;
	if (!jobs_start(config) ||
	    !http_server_start(config, &api, &error)) {
		fputs(error != NULL ? error : "no jobs", stderr);
		abort();
	}
	issued = token_issue(config, &who, "family", time(NULL), -1, jti);
	snprintf(token, sizeof(token), "%s", issued);
	free(issued);
	return 0;
}

/* Replaces the first `what`. */
static char *replace(char *text, size_t *len, const char *what,
		     const char *with)
{
	size_t what_len = strlen(what), with_len = strlen(with), before;
	char *at = memmem(text, *len, what, what_len), *out;

	if (at == NULL)
		return text;
	before = at - text;
	out = malloc(*len + with_len);
	memcpy(out, text, before);
	memcpy(out + before, with, with_len);
	memcpy(out + before + with_len, at + what_len,
	       *len - before - what_len);
	*len = *len - what_len + with_len;
	free(text);
	return out;
}

/* Puts the token and the length in; the caller frees it. */
static char *make_request(const uint8_t *data, size_t size, size_t *len_r)
{
	char *text = malloc(size + 1), *body, length[32];
	size_t len = size;

	memcpy(text, data, size);
	text = replace(text, &len, "@TOKEN@", token);
	body = memmem(text, len, "\r\n\r\n", 4);
	snprintf(length, sizeof(length), "%zu",
		 body == NULL ? 0 : len - (body + 4 - text));
	text = replace(text, &len, "@LENGTH@", length);
	*len_r = len;
	return text;
}

static void turn(void)
{
	require(MHD_run(server.main.daemon) == MHD_YES);
}

/* Sends the text as it is read, and takes the answers. */
static void exchange(int fd, const char *text, size_t len)
{
	unsigned int silent = 0;
	char block[4096];
	ssize_t ret;

	while (silent < PATIENCE) {
		ret = len == 0 ? 0 :
			send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (ret > 0) {
			text += ret;
			len -= ret;
			if (len == 0)
				(void)shutdown(fd, SHUT_WR);
		}
		turn();
		ret = recv(fd, block, sizeof(block), MSG_DONTWAIT);
		if (ret == 0 || (ret < 0 && errno != EAGAIN))
			break;
		silent = ret > 0 ? 0 : silent + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int turns = 0;
	char *text;
	size_t len;
	int fds[2];

	if (size == 0)
		return 0;
	text = make_request(data, size, &len);
	has_token = memmem(text, len, token, strlen(token)) != NULL;
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	require(MHD_add_connection(server.main.daemon, fds[1],
				   (struct sockaddr *)&addr,
				   sizeof(addr)) == MHD_YES);
	exchange(fds[0], text, len);
	close(fds[0]);
	/* whatever was sent, nothing is left of who has gone */
	while (http_listener_count(&server.main) > 0 || server.active > 0) {
		require(turns++ < PATIENCE);
		turn();
	}
	free(text);
	return 0;
}
