#ifndef RECALL_PROXY_BATCH_H
#define RECALL_PROXY_BATCH_H

/* Several users whom one command asks the local doveadm-server for, or another
   node. Their rows are kept until all of them are there, so that those of
   several batches can be printed in the order in which their users were asked
   for. */

/* Octets of rows that are kept until they can be printed: a batch's, or a
   user's. */
#ifndef RECALL_PROXY_KEPT_MAX_SIZE
#  define RECALL_PROXY_KEPT_MAX_SIZE (16 * 1024 * 1024)
#endif

struct recall_proxy;
struct recall_proxy_request;
struct recall_rows;
ARRAY_DEFINE_TYPE(recall_proxy_request, struct recall_proxy_request *);

struct recall_proxy_batch {
	pool_t pool;
	struct recall_rows *rows;
	/* NULL-terminated */
	const char *const *users;
	/* more arguments, NULL-terminated; they must live as long */
	const char *const *args;
	unsigned int users_count;
	/* the columns of all rows, one after the other */
	ARRAY_TYPE(const_string) columns;
	/* the column of which a part has come */
	string_t *part;
	/* Octets that these take, and how many they may; 0: all. */
	size_t size, max_size;
	/* Another node's users: a request each. Otherwise not created. */
	ARRAY_TYPE(recall_proxy_request) requests;
	/* how many of them the passdb is asked about once more */
	unsigned int doubts;
	/* why the rest of the users is lost; NULL if it's not */
	const char *error;
	bool finished;
};

struct recall_proxy_batch *
recall_proxy_batch_init(struct recall_rows *rows, const char *const *users,
			unsigned int count, const char *const *args);
void recall_proxy_batch_deinit(struct recall_proxy_batch **batch);

/* Reports the batch in the order of its users: `row` of each row, and of users
   who have none either `passed`, if they were looked at, or `lost`. The one
   whom the batch broke off at may have both rows and been `lost`. */
struct recall_proxy_batch_callbacks {
	void (*row)(void *context, const char *username,
		    const char *const *columns);
	void (*passed)(void *context, const char *username);
	void (*lost)(void *context, const char *username, const char *error);
	/* The command prints one row a user: there are no others to miss. */
	bool one_row;
	/* The command prints a row for every user. */
	bool all_have_rows;
};

void
recall_proxy_batch_tell(const struct recall_proxy_batch *batch,
			const struct recall_proxy_batch_callbacks *callbacks,
			void *context);

/* Calls back for every row. */
void recall_proxy_batch_foreach(const struct recall_proxy_batch *batch,
				void (*callback)(void *context,
						 const char *const *columns),
				void *context);

/* Connects to the doveadm-server of this machine, with so many connections at
   most later on. Returns FALSE if nobody answers. */
bool recall_proxy_connect_local(struct recall_proxy *proxy, unsigned int jobs);
/* Hands the batch over. It stays the caller's, but must live until it has
   finished. */
void recall_proxy_send_batch(struct recall_proxy *proxy,
			     struct recall_proxy_batch *batch);
/* Waits until something has happened. Returns FALSE if there is nothing to wait
   for any more: then all batches have finished. */
bool recall_proxy_wait(struct recall_proxy *proxy);
/* Whether another batch would be worked on at once. */
bool recall_proxy_is_hungry(struct recall_proxy *proxy);

#endif
