#ifndef JOURNAL_STOP_H
#define JOURNAL_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* Who has stopped all recalls; at most one is kept. */
struct journal_stop {
	char *actor, *reason;
	int64_t since;
};

/* What is kept: actor is NULL if recalls are not stopped. Returns false if it
   can't be read. */
bool journal_load_stop(struct journal_stop *stop_r);
/* Frees the texts, of copies (brakes_get()) as well. */
void journal_stop_free(struct journal_stop *stop);
/* Keeps it, unless there is one already. Promised. */
bool journal_add_stop(const struct journal_stop *stop);
bool journal_remove_stop(void);

#endif
