#ifndef AUDIT_H
#define AUDIT_H

#include "audit-cef.h"
#include "http-request.h"
#include "recall.h"

/* One line in the Common Event Format for the security team's log collector
   (see audit-log.h), for everything that is done, tried or refused. */

/* The line of a recall (see recall-audit.h) that a request has waited for. */
void audit_recalled(struct http_request *request, const struct recall *recall);

/* What an event has to say beside who did it. */
struct audit_field {
	enum audit_key key;
	/* NULL: it has not that */
	const char *value;
};

/* Something else was done, or failed; event is "search", "share", ..., and name
   says it in words. fields end with AUDIT_END; NULL
   for none. */
void audit_done(struct http_request *request, const char *event,
		const char *name, bool success,
		const struct audit_field *fields);

/* The request was refused, or nothing came of it: says what it was about, and
   what was answered. If there is a line about it, or its route is not of the
   trail, nothing is written. An address causes at most
   audit.refused_per_second such lines. */
void audit_refused(struct http_request *request);

/* Called now and then, and at the end: writes how many were left out, and tries
   again what could not be written. */
void audit_tick(const struct config *config);
void audit_close(const struct config *config);

/* Whether there will be a line about what the request does. Answers 503 and
   returns false if not and audit.required is set. */
bool audit_check(struct http_request *request);

#endif
