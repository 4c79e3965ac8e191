#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdint.h>

enum role {
	ROLE_NONE = 0,
	/* of a tenant */
	ROLE_ADMIN = 1,
	ROLE_USER = 2,
	/* of all tenants */
	ROLE_SUPER = 3
};

/* Who asks. */
struct identity {
	char *login;
	char *tenant;
	/* the language of the user, where the userdb was asked, or NULL */
	char *lang;
	enum role role;
	int64_t expires;
	/* of the token: its name, that of its session, each or NULL, and when
	   it was issued, or -1 */
	char *jti, *session;
	int64_t issued;
};

void identity_clear(struct identity *identity);

#endif
