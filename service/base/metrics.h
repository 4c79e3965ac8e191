#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stdint.h>

/* Counters in the text format of Prometheus. All functions may be called from
   any thread. */

/* A request to the route was answered. */
void metrics_request(const char *route, unsigned int status, int64_t ms);
/* A user got the verdict (enum recall_verdict), not in a dry run. */
void metrics_verdict(int verdict);

enum metrics_counter {
	/* calls to doveadm, in the order of enum doveadm_result */
	METRIC_CALL_OK,
	METRIC_CALL_FAILED,
	METRIC_CALL_UNREACHABLE,
	METRIC_CALL_TIMEOUT,
	/* those that were sent once more */
	METRIC_CALL_RETRIES,
	METRIC_LOGIN_ACCEPTED,
	METRIC_LOGIN_DENIED,
	METRIC_LOGIN_BLOCKED,
	METRIC_LOGIN_FAILED,
	/* messages that searches listed, and fetches showed */
	METRIC_MESSAGES_SEARCHED,
	METRIC_MESSAGES_FETCHED,
	METRIC_SHARED,
	METRIC_UNSHARED,
	/* The audit trail could not be written; lines of it that were given up,
	   and that were left out because of audit.refused_per_second. */
	METRIC_AUDIT_FAILURES,
	METRIC_AUDIT_LOST,
	METRIC_AUDIT_LEFT_OUT,
	/* messages of webhook.url: taken, to be sent again, given up */
	METRIC_WEBHOOK_SENT,
	METRIC_WEBHOOK_FAILED,
	METRIC_WEBHOOK_LOST,
	/* that standing orders have taken */
	METRIC_LATE_COPIES,
	METRICS_COUNTERS
};
void metrics_add(enum metrics_counter counter, uint64_t count);

/* Whether the audit trail can be written, and how many lines wait for it. */
void metrics_audit(bool writable, uint64_t waiting);

/* What others know, as of now. */
struct metrics_gauges {
	/* open connections; requests that wait for a worker */
	unsigned int connections, queued;
	/* until when clients may believe the certificate; 0 without TLS */
	int64_t certificate_expires;
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
