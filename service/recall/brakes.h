#ifndef BRAKES_H
#define BRAKES_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "journal-stop.h"
#include "recall.h"

/* What holds recalls up: limits for each role, and the stop that an
   administrator pulls. Restores and dry runs are never held up. */

/* How many users a recall of the role may have; 0: any number. */
int64_t brakes_users(const struct config *config, enum role role);
/* Whether the actor's recalls are counted for that one. */
bool brakes_count(const struct config *config, const struct recall *recall);
/* In how many seconds the actor may recall again, 0 if now; -1 if the journal
   can't be read. To be followed by journal_add() before anybody else asks. */
int64_t brakes_wait(const struct config *config, const struct recall *recall);

/* Takes over what the journal has. Returns false if it can't be read. */
bool brakes_load(void);
/* Stops all recalls, running ones where they are. If they are stopped already
   that stays as it is. Returns false if it can't be journalled. */
bool brakes_stop(const char *actor, const char *reason);
bool brakes_release(void);
/* Whether recalls are stopped. Never waits. */
bool brakes_stopped(void);
/* By whom, why and since when; see journal_stop_free(). */
void brakes_get(struct journal_stop *stop_r);
/* The same of the one that was released last, if none holds. */
void brakes_get_last(struct journal_stop *stop_r);
void brakes_free(void);

#endif
