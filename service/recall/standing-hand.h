#ifndef STANDING_HAND_H
#define STANDING_HAND_H

#include "config.h"
#include "doveadm-client.h"
#include "journal-standing.h"
#include "recall.h"

/* Hands orders to the nodes. Each one gets each order: which users' mail a node
   will save is not known, and one that stands in for another saves all.
   Orders are in the journal before the first node has one; what a node does not
   take now, standing-keeper.h sees to. */

/* Called before the first user is asked about. Sets recall->stand_until. */
void standing_hand_begin(struct recall *recall, struct config *config);
/* Whether the order has ended meanwhile: then no node is to be given it. */
void standing_hand_check(struct recall *recall);
/* Whether it was ended, as far as that can be read. */
bool standing_hand_has_ended(const struct recall *recall);
/* Called when users were asked about once more. If the order has ended, nodes
   are told so again: a command may have been on its way when the end was. */
void standing_hand_end_again(const struct recall *recall);
/* Called when all users have been asked about. */
void standing_hand_finish(struct recall *recall, struct config *config);

/* How many of its users are known to be aliases. */
size_t standing_hand_count_aliases(const struct recall *recall);
/* Called when there are more than there were: gives the order to all nodes once
   more, for the mailboxes that they are of, and has the nodes look for what has
   come there meanwhile. */
void standing_hand_aliases(struct recall *recall, struct config *config);

/* Makes the call that the order is waiting for on the node: it is to begin
   there, or to end. recall is NULL in the second case. */
void standing_hand_make_call(struct doveadm_call *call, struct config *config,
			     const struct journal_standing *row,
			     struct recall *recall);
/* Journals what came of it. late is whether users may have been asked about
   before; then they are to be looked at once more. Returns whether the node has
   done what it had to, and nothing is to be done again. */
bool standing_hand_take(const struct doveadm_call *call,
			const struct journal_standing *row, bool late);

#endif
