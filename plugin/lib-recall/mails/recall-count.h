#ifndef RECALL_COUNT_H
#define RECALL_COUNT_H

/* How many messages may be deleted, user by user: counted in a first pass over
   all users, or by whoever asks, and held to when they are deleted. */

/* expected: in all, if that matters. */
struct recall_count *recall_count_init(unsigned int expected);
void recall_count_deinit(struct recall_count **count);

/* The user has so many messages to delete. The first number is the one that
   counts. */
void recall_count_add(struct recall_count *count, const char *username,
		      unsigned int messages);
/* Whether all that was added is what was expected. */
bool recall_count_is_expected(const struct recall_count *count,
			      const char **error_r);
/* No more than that are to be deleted from the user. */
unsigned int recall_count_get(const struct recall_count *count,
			      const char *username);

#endif
