#ifndef LATE_USERS_H
#define LATE_USERS_H

#include "config.h"
#include "recall.h"

enum late_users_result {
	LATE_USERS_OK = 0,
	/* A node did not answer: there may be something missing. */
	LATE_USERS_INCOMPLETE,
	/* There is: it had more than it was let tell of in an hour. */
	LATE_USERS_BEHIND,
	/* The journal could not be read. */
	LATE_USERS_FAILED
};

/* Adds to a recall from the journal the users whom its standing order has taken
   late copies from and who are not among its users, at the end, and says of all
   how many there were. The nodes are asked, too: the journal may be a minute
   behind. */
enum late_users_result
late_users_add(struct recall *recall, struct config *config);

#endif
