#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "http-body.h"
#include "http-reply.h"

#define RETRY_AFTER_BODIES 5

struct http_caller {
	struct http_caller *next;
	char *name;
	uint64_t octets;
	unsigned int requests;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct http_caller *callers;
static uint64_t total;

static struct http_caller *find(const char *name)
{
	struct http_caller *caller;

	for (caller = callers; caller != NULL; caller = caller->next) {
		if (strcmp(caller->name, name) == 0)
			return caller;
	}
	caller = x_calloc(1, sizeof(*caller));
	caller->name = x_strdup(name);
	caller->next = callers;
	callers = caller;
	return caller;
}

static void leave(struct http_request *request)
{
	struct http_caller *caller = request->caller, **p;

	if (caller == NULL)
		return;
	request->caller = NULL;
	caller->octets -= request->body_reserved;
	if (--caller->requests > 0)
		return;
	for (p = &callers; *p != caller; p = &(*p)->next) ;
	*p = caller->next;
	free(caller->name);
	free(caller);
}

static void join(struct http_request *request, const char *name)
{
	request->caller = find(name);
	request->caller->requests++;
	request->caller->octets += request->body_reserved;
}

void http_body_set_caller(struct http_request *request, const char *caller)
{
	pthread_mutex_lock(&lock);
	leave(request);
	join(request, caller);
	pthread_mutex_unlock(&lock);
}

static void refuse(struct http_request *request, unsigned int status,
		   const char *why)
{
	request->body_refused = why;
	request->body_refused_status = status;
}

static bool reserve(struct http_request *request, size_t size)
{
	const struct config *config = request->config;
	bool ret = false;

	pthread_mutex_lock(&lock);
	if (request->caller == NULL)
		join(request, request->source);
	if (request->caller->octets + size >
	    (uint64_t)config->http_max_bodies_per_caller) {
		refuse(request, 429, "Too many of your requests are on their "
		       "way");
	} else if (total + size > (uint64_t)config->http_max_bodies) {
		refuse(request, 503, "Too many requests are on their way");
	} else {
		request->body_reserved += size;
		request->caller->octets += size;
		total += size;
		ret = true;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

bool http_body_add(struct http_request *request, const char *data, size_t size)
{
	if (reserve(request, size)) {
		if (strbuf_try_add(&request->body, data, size))
			return true;
		refuse(request, 503, HTTP_NO_MEMORY);
	}
	http_body_drop(request);
	return false;
}

void http_body_drop(struct http_request *request)
{
	pthread_mutex_lock(&lock);
	leave(request);
	total -= request->body_reserved;
	request->body_reserved = 0;
	pthread_mutex_unlock(&lock);
	/* there may be a password in it */
	if (request->body.data != NULL)
		OPENSSL_cleanse(request->body.data, request->body.len);
	free(request->body.data);
	memset(&request->body, 0, sizeof(request->body));
}

void http_body_reply(struct http_request *request)
{
	if (request->body_refused == NULL)
		http_reply_message(request, 413, "The body is too large");
	else
		http_reply_later(request, request->body_refused_status,
				 request->body_refused, RETRY_AFTER_BODIES);
}

uint64_t http_body_total(void)
{
	uint64_t octets;

	pthread_mutex_lock(&lock);
	octets = total;
	pthread_mutex_unlock(&lock);
	return octets;
}
