#ifndef RECALL_NOTIFY_H
#define RECALL_NOTIFY_H

struct mail_user;
struct recall_copies;
struct recall_request;
struct recall_row;

/* Tells the user what became of the recall, if that is due: the request wants
   it and the setting recall_notify_on (space-separated verdicts, default
   "expunged read") names the verdict. Sets row->notice, and row->error if the
   notice could not be saved and there was no error yet. */
void recall_notify_user(struct mail_user *user,
			const struct recall_request *request,
			const struct recall_copies *copies,
			struct recall_row *row);

#endif
