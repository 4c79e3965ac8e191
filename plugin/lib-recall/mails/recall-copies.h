#ifndef RECALL_COPIES_H
#define RECALL_COPIES_H

#include "guid.h"
#include "seq-range-array.h"
#include "recall-box-dirs.h"

struct mail_user;
struct mailbox;
struct recall_criteria;

/* The error of a recall that doesn't know what is there, since it changes. */
#define RECALL_COPIES_CHANGED "The message was moved while it was recalled"
/* The same, since Dovecot rebuilds an mdbox. */
#define RECALL_COPIES_REBUILT \
	"The mailboxes (mdbox) were rebuilt while the message was recalled"

/* The copies in one mailbox, which is kept open. */
struct recall_copies_box {
	struct mailbox *box;
	guid_128_t guid;
	struct recall_box_dirs dirs;
	/* Without those that were found by another name of the mailbox. */
	ARRAY_TYPE(seq_range) uids;
	/* As recall_copies.read, of these. */
	bool read;
	/* It is \Sent or \Drafts, by all names that they were found by. */
	bool outgoing;
	/* There may be others that match: another sender's, such as could not
	   be read, or such as are gone, though not by us. */
	bool others;
	/* Those that recall_copies_expunge() has deleted. Created by it. */
	ARRAY_TYPE(seq_range) expunged;
	/* Of these, those that it had not deleted before: while a mailbox is
	   renamed or rebuilt, Dovecot may bring back what was expunged, with
	   the same UID. */
	ARRAY_TYPE(seq_range) counted;
	/* It doesn't know which ones it has deleted. */
	bool expunge_failed;
};

/* What was deleted from one mailbox. */
struct recall_copies_expunged {
	const char *vname;
	guid_128_t guid;
	struct recall_box_dirs dirs;
	/* of recall_copies.passes the last one that found any */
	unsigned int pass;
	ARRAY_TYPE(seq_range) uids;
};

/* All that a user has of a message, or of the messages that a query finds. */
struct recall_copies {
	pool_t pool;
	struct mail_user *user;
	const struct recall_criteria *criteria;
	/* What is found will be expunged, unless it was read. */
	bool expunge;
	/* If one was read then recall_copies_expunge() leaves all. */
	bool spare_read;
	/* Nobody wants to know the headers. */
	bool nameless;

	/* What the last look found and is still there. */
	ARRAY(struct recall_copies_box) boxes;
	unsigned int count;
	/* The most that there were in all (recall_copies_total()). */
	unsigned int most;
	/* Copies that match but for the address that sent them. */
	unsigned int other_sender_count;
	/* A copy outside \Sent and \Drafts was read, answered or forwarded. */
	bool read;
	/* As read, of what recall_copies_expunge() was to delete. */
	bool read_before;
	/* When the last look began. What it says of all mailboxes together was
	   so at that moment: see recall-scan.h */
	struct timeval looked_at;

	/* What recall_copies_expunge() has deleted, in all: each UID of a
	   mailbox once, however often it came back. */
	ARRAY(struct recall_copies_expunged) expunged_boxes;
	unsigned int expunged;
	/* Calls of recall_copies_expunge(). */
	unsigned int passes;
	/* Copies that an earlier try has deleted and nobody restored. */
	unsigned int recorded_count;

	/* Decoded headers of the first copy found, NULL if it has none, or if
	   it is nameless. */
	const char *subject, *from, *date;
	/* Its Message-ID without angle brackets, NULL if it has none. */
	const char *message_id;
	bool have_headers;
	/* Some mailbox could not be searched: why. Also if it isn't sure that
	   there is none, because mail is being moved. */
	const char *error;

	/* Further looks leave out these places, where the lazy_expunge plugin
	   has put mail. */
	ARRAY_TYPE(const_string) lazy_places;
	/* What was found in each mailbox so far: see recall-scan.h */
	struct recall_scan *scan;
	/* Somebody else has taken away what the last look has found. */
	bool taken;
	/* recall_copies_refresh() was just now: FALSE if anything has been
	   waited for since. */
	bool synced;
	/* A mailbox that the last look had in its list, and that was not there
	   when it was opened; NULL if there was none. */
	const char *gone_box;
};

/* Begins with a search that has found nothing yet. The criteria must live as
   long as copies_r. */
void recall_copies_init(struct mail_user *user,
			const struct recall_criteria *criteria,
			struct recall_copies *copies_r);
/* Looks through the user's own private namespaces, whatever their ACLs, or
   once more, for what has come or was moved since. Shared, public and virtual
   mailboxes are never touched. Failures are in copies->error; what was
   found nevertheless is right. If nothing is found while mailboxes change, more
   looks are taken, up to RECALL_LOOKS_MAX: that nothing is there is known only
   if no message was moved past the look. Nor is it while Dovecot rebuilds an
   mdbox, which is waited for, or if what was found is gone after that. */
void recall_copies_find(struct recall_copies *copies);

/* Looks once more at the copies found, just before they are deleted:
   copies->read says what the user did meanwhile. If any is gone then
   everything is looked for again. */
void recall_copies_refresh(struct recall_copies *copies);

/* Expunges the copies found. On failures copies->error is set. What has been
   read since is left, with those after it, for the next look to see. */
void recall_copies_expunge(struct recall_copies *copies);

/* How many there are in all: deleted already, or found. */
unsigned int recall_copies_total(const struct recall_copies *copies);

/* Comma-separated names and GUIDs of the mailboxes with copies, deleted ones if
   there are any, as RECALL_COLUMN_MAILBOXES and RECALL_COLUMN_MAILBOX_GUIDS
   say. */
const char *recall_copies_get_mailboxes(const struct recall_copies *copies);
const char *recall_copies_get_guids(const struct recall_copies *copies);

void recall_copies_free(struct recall_copies *copies);

#endif
