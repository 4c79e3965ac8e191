#ifndef RECALL_AHEAD_H
#define RECALL_AHEAD_H

/* Has auth answer for the users who come next while one is worked on, so that
   they need not wait for it. Only that a user is there can be known ahead: who
   is not, or is not known of, or has an answer that is late or old, is left to
   the ordinary lookup, and so are all errors. */

struct auth_master_connection;
struct mail_storage_service_input;
struct recall_ahead;

/* Users asked about at a time: logins need auth's workers, too. */
#define RECALL_AHEAD_USERS 8

struct recall_ahead *recall_ahead_init(void);
/* These users come next, in this order. auth is the connection of ordinary
   lookups, input that of one of them. Names need not be valid. To be called
   with the privileges that connecting to auth takes. */
void recall_ahead_ask(struct recall_ahead *ahead,
		      struct auth_master_connection *auth,
		      const struct mail_storage_service_input *input,
		      const char *const *users, unsigned int count);
/* Puts auth's answer, of the data stack, into the input, so that
   mail_storage_service_lookup() has no need to ask. Leaves the input alone if
   there is none. */
void recall_ahead_take(struct recall_ahead *ahead,
		       struct mail_storage_service_input *input);
void recall_ahead_deinit(struct recall_ahead **ahead);

#endif
