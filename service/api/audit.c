#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "recall-verdict.h"
#include "audit.h"
#include "log.h"

/* the scale of CEF is 0 to 10 */
#define SEVERITY_DONE 5
#define SEVERITY_REFUSED 7
#define SEVERITY_LOGIN 3

/* Users named in one line; the rest are counted. The journal has them all. */
#define USERS_MAX 200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A value of the extension: "\" and "=" are escaped, and a line end would be
   another event. */
static void add_escaped(struct strbuf *b, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '=')
			strbuf_addf(b, "\\%c", *value);
		else if (*value == '\n')
			strbuf_addf(b, "\\n");
		else if (*value == '\r')
			strbuf_addf(b, "\\r");
		else
			strbuf_add(b, value, 1);
	}
}

static void add_value(struct strbuf *b, const char *key, const char *value)
{
	strbuf_addf(b, " %s=", key);
	add_escaped(b, value);
}

static void begin(struct strbuf *b, const struct config *config,
		  const char *event, const char *name, int severity)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	strbuf_addf(b, "%s|%s|%s|%d|rt=%lld", config->audit_cef_prefix, event,
		    name, severity, (long long)now.tv_sec * 1000 +
		    now.tv_nsec / 1000000);
}

static void write_line(const struct config *config, struct strbuf *b)
{
	ssize_t ret;
	int fd;

	if (*config->audit_cef_file == '\0') {
		openlog("mail-recalld", LOG_PID, LOG_AUTHPRIV);
		syslog(LOG_NOTICE, "%s", b->data);
		free(b->data);
		return;
	}
	strbuf_add(b, "\n", 1);
	pthread_mutex_lock(&lock);
	/* opened for each line, so that the file may be rotated */
	fd = open(config->audit_cef_file,
		  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	ret = fd < 0 ? -1 : write(fd, b->data, b->len);
	if (ret != (ssize_t)b->len)
		log_error("audit: %s: %s: %s", config->audit_cef_file,
			  strerror(errno), b->data);
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&lock);
	free(b->data);
}

static char *list_users(const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	size_t i;

	strbuf_add(&b, "", 0);
	for (i = 0; i < recall->count && i < USERS_MAX; i++)
		strbuf_addf(&b, "%s%s:%s", i == 0 ? "" : ",",
			    recall->users[i].email,
			    recall->users[i].verdict < 0 ? "-" :
			    recall_verdict_name(recall->users[i].verdict));
	if (i < recall->count)
		strbuf_addf(&b, ",+%zu", recall->count - i);
	return b.data;
}

void audit_recall(const struct config *config, const struct recall *recall)
{
	struct strbuf b = { NULL, 0, 0 };
	const char *separator = "";
	char *users;
	size_t i, errors = recall_count(recall, RECALL_VERDICT_ERROR);
	size_t n;

	log_info("recall %s: %s from %s: %zu users, %zu expunged, %zu errors",
		 recall->id, recall->actor.login, recall->source, recall->count,
		 recall_count(recall, RECALL_VERDICT_EXPUNGED), errors);
	if (!config->audit_cef_enabled)
		return;
	if (recall->kind == RECALL_RESTORE)
		begin(&b, config, "restore", "Message restore", SEVERITY_DONE);
	else
		begin(&b, config, "recall", "Message recall", SEVERITY_DONE);
	add_value(&b, "src", recall->source);
	add_value(&b, "suser", recall->actor.login);
	add_value(&b, "outcome", errors == 0 ? "success" : "failure");
	add_value(&b, "externalId", recall->id);
	add_value(&b, "cs1Label", "messageid");
	add_value(&b, "cs1", recall->messageid);
	add_value(&b, "cs2Label", "users");
	users = list_users(recall);
	add_value(&b, "cs2", users);
	free(users);
	add_value(&b, "cs3Label", "verdicts");
	strbuf_addf(&b, " cs3=");
	for (i = 0; i < RECALL_VERDICT_COUNT; i++) {
		n = recall_count(recall, i);
		if (n == 0)
			continue;
		strbuf_addf(&b, "%s%s:%zu", separator, recall_verdict_name(i),
			    n);
		separator = ",";
	}
	add_value(&b, "cs4Label", "tenant");
	add_value(&b, "cs4", recall->actor.tenant);
	strbuf_addf(&b, " cn1Label=users cn1=%zu cn2Label=force cn2=%d "
		    "cn3Label=notify cn3=%d", recall->count, recall->force,
		    recall->notify);
	if (recall->query != NULL) {
		add_value(&b, "cs5Label", "query");
		add_value(&b, "cs5", recall->query);
	}
	if (recall->target != NULL) {
		add_value(&b, "cs6Label", "recall");
		add_value(&b, "cs6", recall->target);
	}
	if (recall->key != NULL) {
		add_value(&b, "flexString1Label", "idempotency-key");
		add_value(&b, "flexString1", recall->key);
	}
	add_value(&b, "reason", recall->reason);
	write_line(config, &b);
}

void audit_refused(const struct config *config, const char *what,
		   const char *source, const char *login, unsigned int status,
		   const char *reason, const char *details)
{
	struct strbuf b = { NULL, 0, 0 };
	char *event;

	log_info("%s from %s (%s) refused: %u %s", what, source,
		 login != NULL ? login : "unknown", status, reason);
	if (!config->audit_cef_enabled)
		return;
	event = x_asprintf("%s-refused", what);
	begin(&b, config, event, "Request refused", SEVERITY_REFUSED);
	free(event);
	add_value(&b, "src", source);
	if (login != NULL)
		add_value(&b, "suser", login);
	add_value(&b, "outcome", "failure");
	strbuf_addf(&b, " cn1Label=status cn1=%u", status);
	if (details != NULL) {
		add_value(&b, "cs1Label", "messageid");
		add_value(&b, "cs1", details);
	}
	add_value(&b, "reason", reason);
	write_line(config, &b);
}

void audit_login(const struct config *config, const char *source,
		 const char *login)
{
	struct strbuf b = { NULL, 0, 0 };

	if (!config->audit_cef_enabled)
		return;
	begin(&b, config, "login", "Login", SEVERITY_LOGIN);
	add_value(&b, "src", source);
	add_value(&b, "suser", login);
	add_value(&b, "outcome", "success");
	write_line(config, &b);
}

void audit_done(const struct config *config, const char *event,
		const char *name, const char *source,
		const struct identity *who, bool success,
		const struct audit_field *fields)
{
	struct strbuf b = { NULL, 0, 0 };
	int n = 0;

	log_info("%s: %s from %s: %s", event, who->login, source,
		 success ? "done" : "failed");
	if (!config->audit_cef_enabled)
		return;
	begin(&b, config, event, name, SEVERITY_DONE);
	add_value(&b, "src", source);
	add_value(&b, "suser", who->login);
	add_value(&b, "outcome", success ? "success" : "failure");
	for (; fields->name != NULL; fields++) {
		n++;
		strbuf_addf(&b, " cs%dLabel=%s cs%d=", n, fields->name, n);
		add_escaped(&b, fields->value);
	}
	strbuf_addf(&b, " cs%dLabel=tenant cs%d=", n + 1, n + 1);
	add_escaped(&b, who->tenant);
	write_line(config, &b);
}
