#include <pthread.h>
#include <string.h>

#include "recall-verdict.h"
#include "metrics.h"
#include "strbuf.h"

/* More than routes have statuses: one that is not counted is not seen. */
#define SERIES_MAX 1024

static const unsigned int buckets_ms[] = { 1, 2, 5, 10, 25, 50, 100, 250, 500,
					   1000, 2500, 5000, 10000, 30000,
					   60000 };
#define BUCKETS (sizeof(buckets_ms) / sizeof(buckets_ms[0]))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct series {
	/* of the route table, so the pointer stays */
	const char *route;
	unsigned int status;
	uint64_t count;
} series[SERIES_MAX];
static unsigned int series_count;
static uint64_t latency_buckets[BUCKETS], latency_count, latency_sum_ms;
static uint64_t verdicts[RECALL_VERDICT_COUNT];
static uint64_t counters[METRICS_COUNTERS];
static uint64_t audit_writable = 1, audit_waiting;

/* Those of one name stand together. */
static const struct {
	const char *name, *label, *help;
} counter_texts[] = {
	[METRIC_CALL_OK] = { "doveadm_calls_total", "result=\"ok\"",
		"Commands sent to doveadm, by what came back." },
	[METRIC_CALL_FAILED] = { "doveadm_calls_total", "result=\"failed\"",
		NULL },
	[METRIC_CALL_UNREACHABLE] = { "doveadm_calls_total",
		"result=\"unreachable\"", NULL },
	[METRIC_CALL_TIMEOUT] = { "doveadm_calls_total",
		"result=\"timeout\"", NULL },
	[METRIC_CALL_RETRIES] = { "doveadm_retries_total", NULL,
		"Commands sent to doveadm once more." },
	[METRIC_LOGIN_ACCEPTED] = { "logins_total", "result=\"accepted\"",
		"Logins, by what came of them." },
	[METRIC_LOGIN_DENIED] = { "logins_total", "result=\"denied\"", NULL },
	[METRIC_LOGIN_BLOCKED] = { "logins_total", "result=\"blocked\"",
		NULL },
	[METRIC_LOGIN_FAILED] = { "logins_total", "result=\"failed\"", NULL },
	[METRIC_MESSAGES_SEARCHED] = { "messages_total", "cmd=\"search\"",
		"Messages that searches told of and that fetches showed." },
	[METRIC_MESSAGES_FETCHED] = { "messages_total", "cmd=\"fetch\"",
		NULL },
	[METRIC_SHARED] = { "shares_total", "status=\"shared\"",
		"Mailboxes shared, and not shared any more." },
	[METRIC_UNSHARED] = { "shares_total", "status=\"unshared\"", NULL },
	[METRIC_AUDIT_FAILURES] = { "audit_failures_total", NULL,
		"Failures to write the audit trail." },
	[METRIC_AUDIT_LOST] = { "audit_lost_total", NULL,
		"Lines of the audit trail that were given up; the log has "
		"them." },
	[METRIC_AUDIT_LEFT_OUT] = { "audit_left_out_total", NULL,
		"Lines of refused requests left out, since their address had "
		"too many." },
	[METRIC_WEBHOOK_SENT] = { "webhooks_total", "result=\"sent\"",
				  "Messages to webhook.url, by their result." },
	[METRIC_WEBHOOK_FAILED] = { "webhooks_total", "result=\"failed\"",
				    NULL },
	[METRIC_WEBHOOK_LOST] = { "webhooks_total", "result=\"lost\"", NULL },
	[METRIC_LATE_COPIES] = { "late_copies_total", NULL,
		"Copies that came late and were recalled by standing orders." },
};

void metrics_request(const char *route, unsigned int status, int64_t ms)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < series_count; i++) {
		if (series[i].status == status &&
		    strcmp(series[i].route, route) == 0)
			break;
	}
	if (i == series_count && i < SERIES_MAX) {
		series[i].route = route;
		series[i].status = status;
		series_count++;
	}
	if (i < SERIES_MAX)
		series[i].count++;
	latency_count++;
	latency_sum_ms += ms;
	for (i = 0; i < BUCKETS; i++) {
		if (ms <= buckets_ms[i])
			latency_buckets[i]++;
	}
	pthread_mutex_unlock(&lock);
}

static unsigned long long get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void metrics_verdict(int verdict)
{
	__atomic_add_fetch(&verdicts[verdict], 1, __ATOMIC_RELAXED);
}

void metrics_add(enum metrics_counter counter, uint64_t count)
{
	__atomic_add_fetch(&counters[counter], count, __ATOMIC_RELAXED);
}

void metrics_audit(bool writable, uint64_t waiting)
{
	__atomic_store_n(&audit_writable, writable, __ATOMIC_RELAXED);
	__atomic_store_n(&audit_waiting, waiting, __ATOMIC_RELAXED);
}

static void type(struct strbuf *b, const char *name, const char *kind,
		 const char *help)
{
	strbuf_addf(b, "# HELP mail_recalld_%s %s\n# TYPE mail_recalld_%s %s\n",
		    name, help, name, kind);
}

static void gauge(struct strbuf *b, const char *name, const char *help,
		  unsigned long long value)
{
	type(b, name, "gauge", help);
	strbuf_addf(b, "mail_recalld_%s %llu\n", name, value);
}

static void print_counters(struct strbuf *b)
{
	unsigned int i;

	for (i = 0; i < METRICS_COUNTERS; i++) {
		const char *label = counter_texts[i].label;

		if (counter_texts[i].help != NULL)
			type(b, counter_texts[i].name, "counter",
			     counter_texts[i].help);
		strbuf_addf(b, "mail_recalld_%s%s%s%s %llu\n",
			    counter_texts[i].name, label == NULL ? "" : "{",
			    label == NULL ? "" : label,
			    label == NULL ? "" : "}", get(&counters[i]));
	}
}

static void print_requests(struct strbuf *b)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	type(b, "http_requests_total", "counter",
	     "HTTP requests answered, by route and status.");
	for (i = 0; i < series_count; i++)
		strbuf_addf(b, "mail_recalld_http_requests_total"
			    "{route=\"%s\",status=\"%u\"} %llu\n",
			    series[i].route, series[i].status,
			    (unsigned long long)series[i].count);
	type(b, "http_request_seconds", "histogram",
	     "Time from a request's first line to its answer.");
	for (i = 0; i < BUCKETS; i++)
		strbuf_addf(b, "mail_recalld_http_request_seconds_bucket"
			    "{le=\"%g\"} %llu\n", buckets_ms[i] / 1000.0,
			    (unsigned long long)latency_buckets[i]);
	strbuf_addf(b, "mail_recalld_http_request_seconds_bucket{le=\"+Inf\"} "
		    "%llu\nmail_recalld_http_request_seconds_sum %.3f\n"
		    "mail_recalld_http_request_seconds_count %llu\n",
		    (unsigned long long)latency_count,
		    (double)latency_sum_ms / 1000.0,
		    (unsigned long long)latency_count);
	pthread_mutex_unlock(&lock);
}

char *metrics_print(const struct metrics_gauges *gauges)
{
	struct strbuf b = { NULL, 0, 0 };
	unsigned int i;

	print_requests(&b);
	type(&b, "verdicts_total", "counter", "Users by their "
	     "verdict, but for dry runs.");
	for (i = 0; i < RECALL_VERDICT_COUNT; i++)
		strbuf_addf(&b, "mail_recalld_verdicts_total{status=\"%s\"} "
			    "%llu\n", recall_verdict_name(i),
			    get(&verdicts[i]));
	print_counters(&b);
	gauge(&b, "audit_writable", "Whether the audit trail can be written.",
	      get(&audit_writable));
	gauge(&b, "audit_waiting", "Lines that wait until the audit trail can "
	      "be written.", get(&audit_waiting));
	gauge(&b, "connections", "Open HTTP connections.",
	      gauges->connections);
	gauge(&b, "certificate_not_after_seconds", "When http.tls_cert_file, "
	      "as clients are shown it, expires, since 1970; 0 without TLS.",
	      gauges->certificate_expires);
	gauge(&b, "queued", "Requests that wait for a worker.",
	      gauges->queued);
	gauge(&b, "body_bytes", "Octets of requests' bodies in memory.",
	      gauges->body_octets);
	gauge(&b, "logins_running", "Logins that Dovecot is asked about.",
	      gauges->logins_running);
	gauge(&b, "logins_queued", "Logins that wait for that.",
	      gauges->logins_queued);
	gauge(&b, "recalls_running", "Recalls in the background that wait or "
	      "run.", gauges->jobs);
	return b.data;
}
