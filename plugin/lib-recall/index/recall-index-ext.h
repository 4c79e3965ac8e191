#ifndef RECALL_INDEX_EXT_H
#define RECALL_INDEX_EXT_H

#include "recall-index.h"

/* How the records lie in dovecot.index. */

enum recall_index_ext_state {
	/* The index has no such extension yet. */
	RECALL_INDEX_EXT_MISSING = 0,
	RECALL_INDEX_EXT_USABLE,
	/* Another version or layout: its records mean nothing to us. */
	RECALL_INDEX_EXT_FOREIGN
};

uint32_t recall_index_ext_register(struct mail_index *index);
enum recall_index_ext_state
recall_index_ext_get_state(struct mail_index_view *view, uint32_t ext_id);
/* Empties the extension, if there is one, and gives it our layout. Returns -1
   if that can't be written. */
int recall_index_ext_reset(struct mail_index_view *view, uint32_t ext_id);
/* Writes the extension's header. */
void recall_index_ext_set_header(struct mail_index_transaction *trans,
				 uint32_t ext_id, uint32_t highest_uid);
/* Adds the UIDs of all messages that may have the hash to uids. Returns TRUE if the
   view has no message without a record. The view must be a fresh one: changes
   to the index since it was opened are not looked for. */
bool recall_index_ext_scan(struct mail_index_view *view, uint32_t ext_id,
			   uint64_t hash, ARRAY_TYPE(seq_range) *uids);

#endif
