#include "lib.h"
#include "dovecot-compat.h"
#include "file-create-locked.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "recall-lock.h"

static int get_dir(struct mailbox_list *list, const char **dir_r)
{
	if (mailbox_list_get_root_path(list, MAILBOX_LIST_PATH_TYPE_INDEX,
				       dir_r))
		return mailbox_list_mkdir_missing_index_root(list);
	*dir_r = mailbox_list_get_root_forced(list, MAILBOX_LIST_PATH_TYPE_DIR);
	return mailbox_list_mkdir_root(list, *dir_r,
				       MAILBOX_LIST_PATH_TYPE_DIR);
}

int recall_lock_get_path(struct mail_namespace *ns, const char *fname,
			 const char **path_r, const char **error_r)
{
	const char *dir;

	if (get_dir(ns->list, &dir) < 0) {
		*error_r = mailbox_list_get_last_internal_error(ns->list, NULL);
		return -1;
	}
	*path_r = t_strdup_printf("%s/%s", dir, fname);
	return 0;
}

int recall_lock_create(struct mail_namespace *ns, const char *path,
		       unsigned int secs, struct file_lock **lock_r,
		       const char **error_r)
{
	const struct mail_storage_settings *mail_set =
		recall_ns_get_mail_set(ns);
	struct file_create_settings set;
	struct mailbox_permissions perm;

	mailbox_list_get_root_permissions(ns->list, &perm);
	i_zero(&set);
	set.lock_timeout_secs = secs;
	set.lock_settings.lock_method = mail_set->parsed_lock_method;
	set.mode = perm.file_create_mode;
	set.gid = perm.file_create_gid;
	set.gid_origin = perm.file_create_gid_origin;
	return mail_storage_lock_create(path, &set, mail_set, lock_r,
					error_r) > 0 ? 0 : -1;
}
