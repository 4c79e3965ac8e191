#ifndef RECALL_EVIDENCE_H
#define RECALL_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was recalled, as evidence: a zip with a file for each message, exactly
   as it is, and manifest.json, which says whose it was, and its SHA-256.
   Messages go through as they come; of each only its line in the manifest stays
   in memory.

   The first thing that goes wrong is kept until evidence_end(). */
struct evidence;

/* What the whole is about; texts may be NULL. */
struct evidence_recall {
	const char *id, *message_id, *actor, *approver, *reason;
	/* JSON: the words of a query */
	const char *query;
	/* whether what was read went, too; whether nothing went at all. Told of
	   if it is so. */
	bool force, dry_run;
	/* who has it now */
	const char *exported_by;
	/* in seconds since the epoch; 0 if not known */
	int64_t created, exported;
};

struct evidence_message {
	const char *user;
	/* where it was */
	const char *mailbox, *mailbox_guid;
	int64_t received;
	/* "yes" or "no": whether the user had read, answered or forwarded it;
	   NULL or empty if that is not known */
	const char *seen;
	/* octets that are to come */
	uint64_t size;
};

/* Writes to the file. */
struct evidence *evidence_begin(int fd, const struct evidence_recall *recall);
/* What became of a user. Texts may be NULL, times 0; the recall's own are given
   where that is not known of the whole. */
struct evidence_user {
	const char *email, *status, *error;
	int64_t copies;
	/* those that came late */
	int64_t late;
	const char *message_id, *actor, *reason;
	int64_t recalled, restored;
};

void evidence_add_user(struct evidence *e, const struct evidence_user *user);
void evidence_message_begin(struct evidence *e,
			    const struct evidence_message *message);
void evidence_write(struct evidence *e, const void *data, size_t size);
/* sha256 is of all that was written, in hexadecimal digits. */
void evidence_message_end(struct evidence *e, const char *sha256);
/* Whether nothing has gone wrong yet: otherwise there is no use in more. */
bool evidence_is_sound(const struct evidence *e);
/* Writes the manifest and frees it all. Returns false if anything went wrong;
   the caller frees *error_r. */
bool evidence_end(struct evidence *e, char **error_r);

/* The same of a module that is loaded when it is needed (see
   plugin/evidence). */
struct evidence_functions {
	struct evidence *(*begin)(int fd, const struct evidence_recall *recall);
	void (*add_user)(struct evidence *e, const struct evidence_user *user);
	void (*message_begin)(struct evidence *e,
			      const struct evidence_message *message);
	void (*write)(struct evidence *e, const void *data, size_t size);
	void (*message_end)(struct evidence *e, const char *sha256);
	bool (*end)(struct evidence *e, char **error_r);
};
extern const struct evidence_functions recall_evidence_functions;
/* The release that the module is of: no other knows how these go. */
extern const char *recall_evidence_version;

#endif
