#include <pthread.h>
#include <string.h>

#include "recall-verdict.h"
#include "doveadm-client.h"
#include "metrics.h"
#include "util.h"

#define SERIES_MAX 128

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
static uint64_t calls[DOVEADM_TIMEOUT + 1], retries;
static uint64_t logins[LOGIN_FAILED + 1];
/* search, fetch; unshared, shared */
static uint64_t messages[2], shares[2];
static uint64_t audit_failures, audit_lost, audit_left_out;
static uint64_t audit_writable = 1, audit_waiting;

static const char *const call_names[] = {
	[DOVEADM_OK] = "ok",
	[DOVEADM_FAILED] = "failed",
	[DOVEADM_UNREACHABLE] = "unreachable",
	[DOVEADM_TIMEOUT] = "timeout",
};
static const char *const login_names[] = {
	[LOGIN_ACCEPTED] = "accepted",
	[LOGIN_DENIED] = "denied",
	[LOGIN_BLOCKED] = "blocked",
	[LOGIN_FAILED] = "failed",
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

static void count(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static unsigned long long get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void metrics_verdict(int verdict)
{
	count(&verdicts[verdict]);
}

void metrics_doveadm_call(int result)
{
	count(&calls[result]);
}

void metrics_doveadm_retry(void)
{
	count(&retries);
}

void metrics_login(enum metrics_login what)
{
	count(&logins[what]);
}

void metrics_messages(bool fetched, uint64_t n)
{
	__atomic_add_fetch(&messages[fetched], n, __ATOMIC_RELAXED);
}

void metrics_share(bool shared)
{
	count(&shares[shared]);
}

void metrics_audit_failed(void)
{
	count(&audit_failures);
}

void metrics_audit_lost(void)
{
	count(&audit_lost);
}

void metrics_audit_left_out(uint64_t lines)
{
	__atomic_add_fetch(&audit_left_out, lines, __ATOMIC_RELAXED);
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

static void counter(struct strbuf *b, const char *name, const char *help,
		    const uint64_t *value)
{
	type(b, name, "counter", help);
	strbuf_addf(b, "mail_recalld_%s %llu\n", name, get(value));
}

static void print_audit(struct strbuf *b)
{
	counter(b, "audit_failures_total", "Failures to write the audit trail.",
		&audit_failures);
	counter(b, "audit_lost_total", "Lines of the audit trail that were "
		"given up; the log has them.", &audit_lost);
	counter(b, "audit_left_out_total", "Lines of refused requests left "
		"out, since their address had too many.", &audit_left_out);
	gauge(b, "audit_writable", "Whether the audit trail can be written.",
	      get(&audit_writable));
	gauge(b, "audit_waiting", "Lines that wait until the audit trail can "
	      "be written.", get(&audit_waiting));
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
	type(&b, "verdicts_total", "counter", "Users by their verdict.");
	for (i = 0; i < RECALL_VERDICT_COUNT; i++)
		strbuf_addf(&b, "mail_recalld_verdicts_total{status=\"%s\"} "
			    "%llu\n", recall_verdict_name(i),
			    get(&verdicts[i]));
	type(&b, "doveadm_calls_total", "counter",
	     "Commands sent to doveadm, by what came back.");
	for (i = 0; i <= DOVEADM_TIMEOUT; i++)
		strbuf_addf(&b, "mail_recalld_doveadm_calls_total"
			    "{result=\"%s\"} %llu\n", call_names[i],
			    get(&calls[i]));
	counter(&b, "doveadm_retries_total",
		"Commands sent to doveadm once more.", &retries);
	type(&b, "logins_total", "counter", "Logins, by what came of them.");
	for (i = 0; i <= LOGIN_FAILED; i++)
		strbuf_addf(&b, "mail_recalld_logins_total{result=\"%s\"} "
			    "%llu\n", login_names[i],
			    get(&logins[i]));
	type(&b, "messages_total", "counter",
	     "Messages that searches told of and that fetches showed.");
	strbuf_addf(&b, "mail_recalld_messages_total{cmd=\"search\"} %llu\n"
		    "mail_recalld_messages_total{cmd=\"fetch\"} %llu\n",
		    get(&messages[0]), get(&messages[1]));
	type(&b, "shares_total", "counter",
	     "Mailboxes shared, and not shared any more.");
	strbuf_addf(&b, "mail_recalld_shares_total{status=\"shared\"} %llu\n"
		    "mail_recalld_shares_total{status=\"unshared\"} %llu\n",
		    get(&shares[1]), get(&shares[0]));
	print_audit(&b);
	gauge(&b, "connections", "Open HTTP connections.",
	      gauges->connections);
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
