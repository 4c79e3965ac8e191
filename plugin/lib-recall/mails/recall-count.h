#ifndef RECALL_COUNT_H
#define RECALL_COUNT_H

/* How many messages may be deleted, user by user: counted in a first pass over
   all users and held to in the second. */

struct recall_count *recall_count_init(unsigned int expected);
void recall_count_deinit(struct recall_count **count);

/* First pass: the user has so many messages to delete. */
void recall_count_add(struct recall_count *count, const char *username,
		      unsigned int messages);
/* All that was added. */
unsigned int recall_count_get_total(const struct recall_count *count);
/* Whether that is what was expected. */
bool recall_count_is_expected(const struct recall_count *count,
			      const char **error_r);
/* Second pass: no more than that are to be deleted from the user. */
unsigned int recall_count_get(const struct recall_count *count,
			      const char *username);

#endif
