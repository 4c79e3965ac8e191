#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "alloc.h"
#include "http-body.h"
#include "http-limits.h"
#include "network.h"

struct http_body_caller {
	struct http_body_caller *next;
	char *name;
	uint64_t octets;
	unsigned int requests;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct http_body_caller *callers;
static uint64_t total;

static struct http_body_caller *find(const char *name)
{
	struct http_body_caller *caller;

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

static void leave(struct http_body *body)
{
	struct http_body_caller *caller = body->caller, **p;

	if (caller == NULL)
		return;
	body->caller = NULL;
	caller->octets -= body->reserved;
	if (--caller->requests > 0)
		return;
	for (p = &callers; *p != caller; p = &(*p)->next) ;
	*p = caller->next;
	free(caller->name);
	free(caller);
}

static void join(struct http_body *body, const char *name)
{
	body->caller = find(name);
	body->caller->requests++;
	body->caller->octets += body->reserved;
}

void http_body_set_caller(struct http_body *body, const char *caller)
{
	pthread_mutex_lock(&lock);
	leave(body);
	join(body, caller);
	pthread_mutex_unlock(&lock);
}

static void refuse(struct http_body *body, unsigned int status,
		   const char *why)
{
	body->refused = why;
	body->refused_status = status;
}

static bool reserve(struct http_body *body, const struct config *config,
		    const char *source, size_t size)
{
	char network[INET6_ADDRSTRLEN];
	bool ret = false;

	network_print(source, network);
	pthread_mutex_lock(&lock);
	if (body->caller == NULL)
		join(body, network);
	if (body->caller->octets + size >
	    (uint64_t)config->http_max_bodies_per_caller) {
		refuse(body, 429, "Too many of your requests are on their "
		       "way");
	} else if (total + size > (uint64_t)config->http_max_bodies) {
		refuse(body, 503, "Too many requests are on their way");
	} else {
		body->reserved += size;
		body->caller->octets += size;
		total += size;
		ret = true;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

bool http_body_add(struct http_body *body, const struct config *config,
		   const char *source, const char *data, size_t size)
{
	if (reserve(body, config, source, size)) {
		if (strbuf_try_add(&body->text, data, size))
			return true;
		refuse(body, 503, HTTP_NO_MEMORY);
	}
	http_body_drop(body);
	return false;
}

void http_body_drop(struct http_body *body)
{
	pthread_mutex_lock(&lock);
	leave(body);
	total -= body->reserved;
	body->reserved = 0;
	pthread_mutex_unlock(&lock);
	/* there may be a password in it */
	if (body->text.data != NULL)
		OPENSSL_cleanse(body->text.data, body->text.len);
	free(body->text.data);
	memset(&body->text, 0, sizeof(body->text));
}

uint64_t http_body_total(void)
{
	uint64_t octets;

	pthread_mutex_lock(&lock);
	octets = total;
	pthread_mutex_unlock(&lock);
	return octets;
}
