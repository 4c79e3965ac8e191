#ifndef RECALL_QUARANTINE_RECORD_H
#define RECALL_QUARANTINE_RECORD_H

#include "guid.h"
#include "seq-range-array.h"

struct istream;
struct recall_quarantine;

/* A record is a message that people can read, too. Its body has a line
   "name: value" for each thing that is known. There is more than one if a
   recall was finished by a second try or was undone, or if clients moved mail
   meanwhile: together they have it all. */

struct recall_quarantine_record_box {
	guid_128_t guid;
	const char *vname;
	unsigned int copies;
	/* Of these, how many there have to be. Not those that a recall was
	   about to make that was stopped before it took anything, and none if
	   a restore has given all, and was about to delete the mailbox. */
	unsigned int sure;
};
ARRAY_DEFINE_TYPE(recall_quarantine_record_box,
		  struct recall_quarantine_record_box);

/* Copies that a restore has given, of the mailbox that is for the original one
   with the GUID. */
struct recall_quarantine_record_given {
	guid_128_t guid;
	uint32_t uid_validity;
	struct seq_range uids;
	/* it counts as long as the record that is read has these */
	uint32_t record_uid_validity, record_next_uid;
};
ARRAY_DEFINE_TYPE(recall_quarantine_record_given,
		  struct recall_quarantine_record_given);

struct recall_quarantine_record {
	const char *recall_id;
	/* When the recall was made and when it was undone, 0 if it was not. */
	time_t recalled, restored;
	/* By when all of the copies were taken: not before recalled. An order
	   that stands, or a retry, may have taken some long after that. */
	time_t latest;
	/* NULL if not known. message_id has no angle brackets; subject, from
	   and date are headers of the message, decoded to UTF-8. */
	const char *actor, *reason, *message_id, *subject, *from, *date;
	/* What was recalled, if not by Message-ID: the query's words. */
	const char *query;
	/* To be written: the numbers of copies are those that there are now,
	   whatever was recorded before. */
	bool recount;
	/* Copies are about to be made. If it was read: at least one record is
	   of a recall that was stopped then. */
	bool unfinished;
	/* Octets of it that were read. */
	size_t octets;
	/* Of the mailbox that they are in. One more record is added before
	   copies can be given again: the last ones do not count for next_uid if
	   they are of what was given. */
	uint32_t uid_validity, next_uid;
	ARRAY_TYPE(recall_quarantine_record_box) boxes;
	/* may be not created */
	ARRAY_TYPE(recall_quarantine_record_given) given;
};

/* Appends the message that a record is. What comes from users and from headers
   can't make up lines of it. */
void recall_quarantine_record_render(
	const struct recall_quarantine_record *record, string_t *str);
/* Adds what the lines of a record's body have. What is unknown or malformed is
   passed over; of several values of one name the first one counts. boxes must
   have been created. The pool must not be the data stack: what lines take of
   that, which may be very many, is given back. */
void recall_quarantine_record_parse(struct recall_quarantine_record *record,
				    pool_t pool, struct istream *input);

/* Reads what was recorded into the pool, which must not be the data stack.
   Returns 1 if something was, 0 if not, -1 on errors. */
int recall_quarantine_record_read(struct recall_quarantine *q, pool_t pool,
				  const char *recall_id,
				  struct recall_quarantine_record *record_r,
				  const char **error_r);
/* Adds a record. */
int
recall_quarantine_record_write(struct recall_quarantine *q,
			       const struct recall_quarantine_record *record,
			       const char **error_r);

/* All copies have been made that records are about: now they can be taken for
   what there has to be. */
int recall_quarantine_record_finish(struct recall_quarantine *q,
				    const char *recall_id,
				    const char **error_r);

/* Records that a restore of what the record is about has given these, which it
   is about to delete: whoever repeats it need not find that out where clients
   may have changed everything. */
int recall_quarantine_record_write_given(
	struct recall_quarantine *q,
	const struct recall_quarantine_record *record, const guid_128_t guid,
	uint32_t uid_validity, const ARRAY_TYPE(seq_range) *uids,
	const char **error_r);
/* Adds those to uids, of the mailbox that has this UIDVALIDITY. */
void recall_quarantine_record_get_given(
	const struct recall_quarantine_record *record, const guid_128_t guid,
	uint32_t uid_validity, ARRAY_TYPE(seq_range) *uids);

/* Whether the record is of a recall of this message, or of what this query
   finds; the other one is NULL. */
bool recall_quarantine_record_is_of(
	const struct recall_quarantine_record *record, const char *message_id,
	const char *query);

const struct recall_quarantine_record_box *
recall_quarantine_record_find(const struct recall_quarantine_record *record,
			      const guid_128_t guid);
/* All copies recorded. */
unsigned int
recall_quarantine_record_copies(const struct recall_quarantine_record *record);

#endif
