#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "recall-copies.h"
#include "recall-lazy-expunge.h"

/* The setting has either a namespace's prefix or a mailbox's name. */
static bool box_is_lazy(struct mailbox *box, const char *lazy)
{
	return strcmp(mailbox_get_namespace(box)->prefix, lazy) == 0 ||
		strcmp(mailbox_get_vname(box), lazy) == 0;
}

void recall_lazy_expunge(struct mail_user *user,
			 const struct recall_criteria *criteria,
			 struct recall_copies *copies)
{
	const char *lazy = mail_user_plugin_getenv(user, "lazy_expunge");
	struct recall_copies moved;
	struct recall_copies_box *cbox;
	unsigned int i = 0, expunged;

	if (lazy == NULL || *lazy == '\0')
		return;
	recall_copies_find(user, criteria, &moved);
	while (i < array_count(&moved.boxes)) {
		cbox = array_idx_modifiable(&moved.boxes, i);
		if (box_is_lazy(cbox->box, lazy)) {
			i++;
		} else {
			mailbox_free(&cbox->box);
			array_delete(&moved.boxes, i, 1);
		}
	}
	(void)recall_copies_expunge(&moved, &expunged);
	if (moved.error != NULL && copies->error == NULL)
		copies->error = p_strdup(copies->pool, moved.error);
	recall_copies_free(&moved);
}
