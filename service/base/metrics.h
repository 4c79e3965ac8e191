#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stdint.h>

/* Counters in the text format of Prometheus. All functions may be called from
   any thread. */

/* A request to the route was answered. */
void metrics_request(const char *route, unsigned int status, int64_t ms);
/* A user got the verdict (enum recall_verdict). */
void metrics_verdict(int verdict);
/* A call to doveadm ended (enum doveadm_result). */
void metrics_doveadm_call(int result);
void metrics_doveadm_retry(void);
enum metrics_login { LOGIN_ACCEPTED, LOGIN_DENIED, LOGIN_BLOCKED, LOGIN_FAILED };
void metrics_login(enum metrics_login what);
/* So many messages were told of (or, if fetched, shown). */
void metrics_messages(bool fetched, uint64_t messages);
/* A mailbox was shared, or not any more. */
void metrics_share(bool shared);

/* The audit trail could not be written; a line of it was given up; so many lines
   were left out because of audit.refused_per_second. */
void metrics_audit_failed(void);
void metrics_audit_lost(void);
void metrics_audit_left_out(uint64_t lines);
/* Whether it can be written, and how many lines wait until it can. */
void metrics_audit(bool writable, uint64_t waiting);

/* What others know, as of now. */
struct metrics_gauges {
	/* open connections; requests that wait for a worker */
	unsigned int connections, queued;
	/* of requests' bodies */
	uint64_t body_octets;
	/* logins that Dovecot is asked about, or that wait for that */
	unsigned int logins_running, logins_queued;
	/* recalls in the background */
	unsigned int jobs;
};

/* The page. The caller frees it. */
char *metrics_print(const struct metrics_gauges *gauges);

#endif
