#ifndef RECALL_EVENTS_H
#define RECALL_EVENTS_H

struct mail_user;
struct recall_copies;
struct recall_request;
struct recall_row;

/* The audit trail as Dovecot events (docs/events.md), so that Dovecot's log,
   metrics and exporters have it. */

/* The user's recall is over: one recall_message_expunged for each copy that was
   deleted and one recall_finished. */
void recall_event_finished(struct mail_user *user,
			   const struct recall_request *request,
			   const struct recall_copies *copies,
			   const struct recall_row *row);
/* It was not even begun: recall_refused. */
void recall_event_refused(struct mail_user *user,
			  const struct recall_request *request,
			  const struct recall_row *row);
/* It was undone: recall_restored. */
void recall_event_restored(struct mail_user *user,
			   const struct recall_request *request,
			   const struct recall_row *row);
/* It can't be undone any more: recall_purged. */
void recall_event_purged(struct mail_user *user, const char *recall_id);

#endif
