#ifndef RECALL_H
#define RECALL_H

#include <stdbool.h>
#include <stdint.h>

#include "recall-limits.h"
#include "identity.h"
#include "strlist.h"

struct config;

/* One user of a recall. */
struct recall_user {
	/* As asked for, to the octet: whether other case is another user is
	   for Dovecot to say. */
	char *email;
	/* enum recall_verdict, or -1 if not known yet */
	int verdict;
	int64_t copies;
	/* of a restore: copies that were there already */
	int64_t present;
	/* until when what was deleted can be put back; 0 if not known */
	int64_t kept_until;
	/* of a query: how many messages may be deleted, as counted before */
	int64_t expected;
	/* how many copies came late and were taken, as far as
	   late_users_add() was told; not journalled */
	int64_t late;
	/* empty or NULL where there is nothing to say */
	char *notice;
	char *mailboxes;
	/* whose mailbox it is, if the email is an alias; how it was searched */
	char *mailbox_user;
	char *searched;
	char *error;
};

enum recall_kind {
	RECALL_EXPUNGE = 0,
	/* undoes another */
	RECALL_RESTORE
};

/* Whether somebody else has to agree, and has. */
enum recall_approval {
	RECALL_NEEDS_NONE = 0,
	RECALL_PENDING,
	RECALL_APPROVED,
	/* it never runs */
	RECALL_REJECTED,
	RECALL_EXPIRED
};

enum recall_node_state {
	RECALL_NODE_RUNNING = 0,
	/* it can't be reached now */
	RECALL_NODE_DOWN,
	RECALL_NODE_DONE,
	/* it has been given up */
	RECALL_NODE_FAILED
};

/* How far a node is in a recall from everyone. */
struct recall_node {
	/* host and port */
	char *name;
	/* empty for one behind another, to which Dovecot proxies */
	char *urls;
	/* its last user who was asked about, in the order of `recall users`;
	   NULL: none */
	char *cursor;
	enum recall_node_state state;
	/* seconds since the epoch, 0 if it's not down */
	int64_t down_since;
	/* how many users were asked about */
	int64_t users_done;
	char *error;
	/* times that it has failed since it did not; not journalled */
	unsigned int failures;
};

/* A recall as asked for, and how far it is. */
struct recall {
	char id[RECALL_ID_LEN + 1];
	enum recall_kind kind;
	/* of RECALL_RESTORE: the recall to undo; NULL otherwise */
	char *target;
	/* of RECALL_RESTORE: for all users of that one, of whom the last ones
	   are those who have only had late copies; not journalled */
	bool whole;
	size_t late_users;
	/* empty if there is a query, or if it is not known; a restore has both
	   of what it undoes */
	char *message_id;
	/* the words of a search query; empty if there is a Message-ID */
	struct strlist query;
	bool force;
	bool notify;
	bool dry_run;
	/* no index is believed */
	bool verify_headers;
	/* how many seconds it stands, and takes what arrives later; 0 if it
	   does not, or as the nodes' settings say */
	int64_t stand;
	/* until when, in seconds since the epoch; 0 until recall_run() knows */
	int64_t stand_until;
	char *reason;
	/* who asked, with which rights, and from where */
	struct identity actor;
	/* where one person's recalls are counted: whose mailbox the actor's is,
	   NULL if nobody has asked, all names of that person, and whether they
	   could not be found out. Known until the recall is journalled. */
	char *person;
	struct strlist names;
	bool unidentified;
	char *source;
	/* the caller's own name of the request, the same if it is repeated; or
	   NULL */
	char *key;
	/* of a query that deletes: how many messages the caller expects; known
	   until the recall is journalled */
	int64_t yes_count;
	/* who has decided, when, and why; NULL and 0 until then */
	enum recall_approval approval;
	char *approver;
	char *decision;
	int64_t decided;
	/* whose mail alone may be deleted; empty for everyone's */
	struct strlist senders;
	/* seconds since the epoch; finished is 0 until then */
	int64_t created;
	int64_t finished;
	/* set by recall_run(): doveadm found a parameter wrong, wherever it
	   answered */
	bool refused;
	/* set by recall_run(): the journal could not be written, and lacks some
	   of what it has found out */
	bool unsaved;

	/* from everyone: then users are those who had the message, or could not
	   be looked at */
	bool everyone;
	/* whether it is to make room, for one that waits or to go on with other
	   settings than these, NULL if never; and whether it does, then */
	bool (*make_room)(const struct config *config);
	bool makes_room;
	struct recall_node *nodes;
	size_t node_count;

	struct recall_user *users;
	size_t count;
};

struct recall *recall_new(void);
void recall_free(struct recall *recall);
/* Adds the user unless it is there already; see recall_dedup(). */
void recall_add_user(struct recall *recall, const char *email);
/* Removes users that were added before, keeping the order. */
void recall_dedup(struct recall *recall);

/* As if the user had never been asked about. */
void recall_user_reset(struct recall_user *user);

/* Adds a node; its name is that of its first URL, if it's NULL. */
struct recall_node *recall_add_node(struct recall *recall, const char *name,
				    const char *urls);
/* How many users the nodes have been asked about. */
int64_t recall_users_done(const struct recall *recall);
/* How many nodes are in the state. */
size_t recall_count_nodes(const struct recall *recall,
			  enum recall_node_state state);
/* The name of a node's state, e.g. "down". */
const char *recall_node_state_name(enum recall_node_state state);
enum recall_node_state recall_node_state_parse(const char *name);

/* Replaces a text, which is NULL if there is nothing to say. */
void recall_set_text(char **text, const char *value);

/* The query as it is written everywhere, a JSON array; NULL if there is none;
   the caller frees it. */
char *recall_query_text(const struct recall *recall);

/* The name of a kind, e.g. "restore". */
const char *recall_kind_name(enum recall_kind kind);

/* The name of a state of approval, e.g. "pending"; NULL if it needs none. */
const char *recall_approval_name(enum recall_approval approval);
enum recall_approval recall_approval_parse(const char *name);
/* Whether a second person has not agreed: it never runs. */
bool recall_is_denied(const struct recall *recall);
/* What the API calls the state, e.g. "running". */
const char *recall_state_name(enum recall_approval approval, bool finished);

/* How many users have the verdict (-1: none yet). */
size_t recall_count(const struct recall *recall, int verdict);

/* Until when all that was deleted can be put back; 0 if that is not known. */
int64_t recall_kept_until(const struct recall *recall);

/* Whether both ask for the same. The first one comes from the journal. */
bool recall_is_same(const struct recall *old, const struct recall *recall);

#endif
