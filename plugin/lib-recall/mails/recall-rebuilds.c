#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mdbox-storage.h"
#include "mdbox-map-private.h"
#include "recall-rebuilds.h"

struct rebuilds_storage {
	struct mdbox_storage *storage;
	uint32_t count;
};

struct recall_rebuilds {
	ARRAY(struct rebuilds_storage) storages;
};

struct recall_rebuilds *recall_rebuilds_init(pool_t pool)
{
	struct recall_rebuilds *rebuilds =
		p_new(pool, struct recall_rebuilds, 1);

	p_array_init(&rebuilds->storages, pool, 1);
	return rebuilds;
}

/* Not by the map's own view, which Dovecot's functions expect to find as they
   left it. 0 if there is no map yet, or it can't be read, which the search
   tells of. */
static uint32_t map_get_rebuild_count(struct mdbox_map *map)
{
	const struct mdbox_map_mail_index_header *hdr;
	struct mail_index_view *view;
	const void *data;
	size_t size;
	uint32_t count;

	if (mdbox_map_open(map) <= 0)
		return 0;
	if (mail_index_refresh(map->index) < 0)
		mail_index_reset_error(map->index);
	view = mail_index_view_open(map->index);
	mail_index_get_header_ext(view, map->map_ext_id, &data, &size);
	hdr = data;
	count = size < sizeof(*hdr) ? 0 : hdr->rebuild_count;
	mail_index_view_close(&view);
	return count;
}

void recall_rebuilds_begin(struct recall_rebuilds *rebuilds,
			   struct mail_storage *storage)
{
	struct rebuilds_storage *known;

	if (strcmp(storage->name, MDBOX_STORAGE_NAME) != 0)
		return;
	array_foreach_modifiable(&rebuilds->storages, known) {
		if (known->storage == MDBOX_STORAGE(storage))
			return;
	}
	known = array_append_space(&rebuilds->storages);
	known->storage = MDBOX_STORAGE(storage);
	known->count = map_get_rebuild_count(known->storage->map);
}

bool recall_rebuilds_have_been(struct recall_rebuilds *rebuilds)
{
	struct rebuilds_storage *known;
	uint32_t count;
	bool have_been = FALSE;

	array_foreach_modifiable(&rebuilds->storages, known) {
		count = map_get_rebuild_count(known->storage->map);
		if (count != known->count ||
		    recall_mdbox_is_corrupted(known->storage))
			have_been = TRUE;
		known->count = count;
	}
	return have_been;
}
