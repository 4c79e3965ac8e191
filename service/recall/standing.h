#ifndef STANDING_H
#define STANDING_H

#include <jansson.h>

#include "config.h"

/* Recalls that stand: their orders are the mail nodes' to keep, so it's the
   nodes that are asked. Of the service's own the journal knows, too: see
   standing-hand.h. */

/* All orders, or the one of this recall if id is not NULL, as GET /v2/standing
   has them: an array; the caller gets the reference. tenant is that of the
   orders, NULL for all. *ok_r is whether all nodes have answered. */
json_t *standing_list(struct config *config, const char *id,
		      const char *tenant, bool *ok_r);

/* Ends the order on all nodes: on those that do not answer, which is what *ok_r
   is then, as soon as they do. Returns an array of {"name": ..., "ended": ...},
   with "error" of these, empty if the journal could not be written; the caller
   gets the reference. *found_r is whether any had it. */
json_t *standing_end(struct config *config, const char *id, bool *ok_r,
		     bool *found_r);

/* Where the order of a recall of the service stands, as GET /v2/actions/<id>
   has it; the caller gets the reference. NULL if it does not. Returns false if
   the journal could not be read. */
bool standing_of_recall(const char *id, json_t **standing_r);

#endif
