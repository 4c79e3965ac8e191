#ifndef RECALL_EVENTS_H
#define RECALL_EVENTS_H

struct mail_user;
struct recall_copies;
struct recall_order;
struct recall_outcome;

/* The audit trail as Dovecot events (docs/events.md), so that Dovecot's log,
   metrics and exporters have it. */

/* The user's recall is over: one recall_message_expunged for each copy that was
   deleted and one recall_finished. */
void recall_event_finished(struct mail_user *user,
			   const struct recall_order *order,
			   const struct recall_copies *copies,
			   const struct recall_outcome *outcome);
/* It was not even begun, since the user belongs to another tenant:
   recall_refused. */
void recall_event_refused(struct mail_user *user,
			  const struct recall_order *order);
/* A standing order was carried out: recall_late. */
void recall_event_late(struct mail_user *user,
		       const struct recall_order *order,
		       const struct recall_copies *copies,
		       const struct recall_outcome *outcome);
/* It was undone: recall_restored. */
void recall_event_restored(struct mail_user *user,
			   const struct recall_order *order,
			   const struct recall_outcome *outcome);
/* Somebody has taken away what was recalled: recall_exported. */
void recall_event_exported(struct mail_user *user,
			   const struct recall_order *order);
/* It can't be undone any more: recall_purged. quiet as in an order. */
void recall_event_purged(struct mail_user *user, const char *recall_id,
			 bool quiet);

/* All recalls of the node were stopped, or released: recall_stopped,
   recall_released. */
void recall_event_stop(const struct recall_order *order, bool release);

#endif
