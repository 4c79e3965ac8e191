#ifndef DOVEADM_CLIENT_H
#define DOVEADM_CLIENT_H

#include <jansson.h>

#include "config.h"
#include "doveadm-answer.h"

/* What several calls came to together. */
struct doveadm_tally {
	/* doveadm did something, or refused to */
	size_t answered;
	size_t unreachable, timeouts;
};

void doveadm_tally_add(struct doveadm_tally *tally, enum doveadm_result result);
/* DOVEADM_OK if anyone has answered, or nobody was asked. */
enum doveadm_result doveadm_tally_result(const struct doveadm_tally *tally);

/* Most octets of an answer: 10,000 rows of a kilobyte and some. */
#define DOVEADM_ANSWER_MAX (64 * 1024 * 1024)

/* One command sent to doveadm's HTTP API. */
struct doveadm_call {
	/* set by the caller */
	struct config *config;
	/* tried in turn; separated by spaces */
	const char *urls;
	/* e.g. "recall expunge"; sent in camelCase. NULL asks for the list of
	   all commands. */
	const char *command;
	/* an object, with names as in recall-params.h; the call takes the
	   reference over */
	json_t *params;
	/* seconds for the whole answer; 0: those of the settings */
	int64_t timeout;
	/* does not wait for others' calls, and is not one of those that
	   doveadm.connections limits: it watches the service */
	bool probe;
	/* is not tried again: there is another call soon */
	bool once;
	/* the answer is an object, not rows */
	bool object;
	/* of the caller's own use */
	void *context;

	/* set by the client */
	enum doveadm_result result;
	int exit_code;
	/* the answer had too many octets; the result is DOVEADM_UNREACHABLE */
	bool too_large;
	/* what the command answered, NULL unless it's DOVEADM_OK; a reference
	   of the caller */
	json_t *answer;
	/* of how many octets it was made */
	size_t octets;
	/* why it failed; the caller frees it */
	char *error;
};

/* At most doveadm.connections calls are under way at a time, whoever waits for
   them. */
void doveadm_client_start(const struct config *config);
/* Closes connections that the settings of before were good enough for: those
   that no call needs, and others when that has ended. At the end all of
   them. */
void doveadm_client_forget(void);

/* Calls that one thread has under way. It is that thread that sends and
   receives, while it waits: nothing is handed over between threads. The
   connections outlive the calls, if doveadm keeps them. */
struct doveadm_calls;

struct doveadm_calls *doveadm_calls_begin(void);
/* None may be under way. */
void doveadm_calls_end(struct doveadm_calls *calls);
/* Sends the call when a connection is free. A failure to connect, a lost
   connection and a 5xx answer are retried: a caller whose command may not be
   repeated passes a recall id along. */
void doveadm_calls_add(struct doveadm_calls *calls, struct doveadm_call *call);
/* Waits until one of the calls has ended, and returns it. */
struct doveadm_call *doveadm_calls_wait(struct doveadm_calls *calls);

/* A single call, from start to end. */
void doveadm_call_run(struct doveadm_call *call);

/* "message-id" as "messageId"; the caller frees. */
char *doveadm_camel_case(const char *name);

#endif
