#ifndef AUDIT_H
#define AUDIT_H

#include "config.h"
#include "recall.h"

/* One line in the Common Event Format for the security team's log collector,
   to the file of audit.cef_file or to syslog. */

/* A recall came to its end. */
void audit_recall(const struct config *config, const struct recall *recall);
/* A request was refused; what is "recall", "login", ...; details may be NULL. */
void audit_refused(const struct config *config, const char *what,
		   const char *source, const char *login, unsigned int status,
		   const char *reason, const char *details);
/* A login was accepted. */
void audit_login(const struct config *config, const char *source,
		 const char *login);

/* What an event has to say beside who did it. */
struct audit_field {
	const char *name;
	const char *value;
};

/* Someone looked at mail or changed who may; event is "search", "share", ...,
   and name says it in words. fields end with a name of NULL; there are at most
   five. */
void audit_done(const struct config *config, const char *event,
		const char *name, const char *source,
		const struct identity *who, bool success,
		const struct audit_field *fields);

#endif
