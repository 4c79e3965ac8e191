#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit-cef.h"
#include "audit-log.h"
#include "visible.h"

static const struct {
	const char *key;
	/* of a custom key */
	const char *label;
	size_t max;
} keys[] = {
	[AUDIT_SOURCE] = { "src", NULL, AUDIT_VALUE_MAX },
	[AUDIT_LOGIN] = { "suser", NULL, AUDIT_VALUE_MAX },
	[AUDIT_OUTCOME] = { "outcome", NULL, AUDIT_VALUE_MAX },
	[AUDIT_ID] = { "externalId", NULL, AUDIT_VALUE_MAX },
	[AUDIT_MESSAGE_ID] = { "cs1", "messageid", AUDIT_VALUE_MAX },
	[AUDIT_USERS] = { "cs2", "users", AUDIT_LIST_MAX },
	[AUDIT_VERDICTS] = { "cs3", "verdicts", AUDIT_VALUE_MAX },
	[AUDIT_TENANT] = { "cs4", "tenant", AUDIT_VALUE_MAX },
	[AUDIT_QUERY] = { "cs5", "query", AUDIT_VALUE_MAX },
	[AUDIT_RECALL] = { "cs6", "recall", AUDIT_VALUE_MAX },
	[AUDIT_STATUS] = { "cn1", "status", AUDIT_VALUE_MAX },
	[AUDIT_FORCE] = { "cn2", "force", AUDIT_VALUE_MAX },
	[AUDIT_NOTIFY] = { "cn3", "notify", AUDIT_VALUE_MAX },
	[AUDIT_DRY_RUN] = { "flexNumber1", "dry_run", AUDIT_VALUE_MAX },
	[AUDIT_MESSAGES] = { "flexNumber2", "messages", AUDIT_VALUE_MAX },
	[AUDIT_IDEMPOTENCY_KEY] = { "flexString1", "idempotency-key",
				    AUDIT_VALUE_MAX },
	[AUDIT_FIELDS] = { "flexString2", "fields", AUDIT_VALUE_MAX },
	[AUDIT_ACCOUNT] = { "duser", NULL, AUDIT_VALUE_MAX },
	[AUDIT_TOKEN] = { "duid", NULL, AUDIT_VALUE_MAX },
	[AUDIT_UNTIL] = { "end", NULL, AUDIT_VALUE_MAX },
	[AUDIT_MAILBOX] = { "filePath", NULL, AUDIT_VALUE_MAX },
	[AUDIT_RIGHTS] = { "dpriv", NULL, AUDIT_VALUE_MAX },
	[AUDIT_COUNT] = { "cnt", NULL, AUDIT_VALUE_MAX },
	[AUDIT_HASH] = { "fileHash", NULL, AUDIT_VALUE_MAX },
	[AUDIT_APPROVER] = { "approver", NULL, AUDIT_VALUE_MAX },
	[AUDIT_MESSAGE] = { "msg", NULL, AUDIT_VALUE_MAX },
	[AUDIT_REASON] = { "reason", NULL, AUDIT_VALUE_MAX },
};

/* " flexString1Label=idempotency-key flexString1=" and "...(+N)" */
#define AROUND_MAX 96
/* event and its name, severity and time */
#define EVENT_MAX 256

_Static_assert(CONFIG_CEF_PREFIX_MAX + EVENT_MAX + AUDIT_LIST_MAX +
	       sizeof(keys) / sizeof(keys[0]) *
	       (AUDIT_VALUE_MAX + AROUND_MAX) <= AUDIT_LINE_MAX,
	       "a line with all keys is too long");

/* In the extension "\" and "=" are escaped, and a line end would be another
   event. CEF has no escapes for other characters that are not to be seen: their
   code points are written. */
static void add_escaped(struct strbuf *line, const char *value, size_t max)
{
	const size_t begin = line->len;
	char escaped[16];
	const char *text;
	uint32_t code;
	bool hidden;
	size_t len, text_len;

	for (; *value != '\0'; value += len) {
		len = visible_next(value, &code, &hidden);
		if (code == '\\' || code == '=')
			snprintf(escaped, sizeof(escaped), "\\%c", (char)code);
		else if (code == '\n' || code == '\r')
			snprintf(escaped, sizeof(escaped), "\\%c",
				 code == '\n' ? 'n' : 'r');
		else if (hidden)
			snprintf(escaped, sizeof(escaped), "\\\\u%04x",
				 (unsigned int)code);
		else
			escaped[0] = '\0';
		text = escaped[0] == '\0' ? value : escaped;
		text_len = text == value ? len : strlen(escaped);
		if (line->len - begin + text_len > max)
			break;
		strbuf_add(line, text, text_len);
	}
	if (*value != '\0')
		strbuf_addf(line, "...(+%zu)", strlen(value));
}

void audit_cef_begin(struct strbuf *line, const struct config *config,
		     const char *event, const char *name,
		     enum audit_severity severity)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	strbuf_addf(line, "%s|%s|%s|%d|rt=%lld", config->audit_cef_prefix,
		    event, name, severity, (long long)now.tv_sec * 1000 +
		    now.tv_nsec / 1000000);
}

static void add_key(struct strbuf *line, enum audit_key key)
{
	if (keys[key].label != NULL)
		strbuf_addf(line, " %sLabel=%s", keys[key].key,
			    keys[key].label);
	strbuf_addf(line, " %s=", keys[key].key);
}

void audit_cef_add(struct strbuf *line, enum audit_key key, const char *value)
{
	if (value == NULL)
		return;
	add_key(line, key);
	add_escaped(line, value, keys[key].max);
}

void audit_cef_add_number(struct strbuf *line, enum audit_key key,
			  int64_t value)
{
	add_key(line, key);
	strbuf_addf(line, "%lld", (long long)value);
}

void audit_cef_add_outcome(struct strbuf *line, bool success)
{
	audit_cef_add(line, AUDIT_OUTCOME, success ? "success" : "failure");
}

bool audit_list_add(struct strbuf *b, const char *item, size_t left)
{
	/* "," and ",+10000" */
	if (b->len + strlen(item) + 8 > AUDIT_LIST_MAX) {
		strbuf_addf(b, "%s+%zu", b->len == 0 ? "" : ",", left);
		return false;
	}
	strbuf_addf(b, "%s%s", b->len == 0 ? "" : ",", item);
	return true;
}

char *audit_list(const struct strlist *list)
{
	struct strbuf b = { NULL, 0, 0 };
	size_t i;

	strbuf_add(&b, "", 0);
	for (i = 0; i < list->count; i++) {
		if (!audit_list_add(&b, list->items[i], list->count - i))
			break;
	}
	return b.data;
}
