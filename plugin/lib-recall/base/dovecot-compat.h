#ifndef DOVECOT_COMPAT_H
#define DOVECOT_COMPAT_H

/* Names that differ between Dovecot's series, for those who include it after
   lib.h. Where more than a name differs, a file for each series has the
   functions (...-2.3.c, ...-2.4.c). */

#ifdef DOVECOT_PREREQ
#  define RECALL_DOVECOT_24 DOVECOT_PREREQ(2, 4, 0)
#else
#  define RECALL_DOVECOT_24 0
#endif

#if RECALL_DOVECOT_24

/* version_string_verify_full() was in master-service.h, json_append_escaped()
   in json-parser.h */
#  include "str-parse.h"
#  include "version.h"
#  include "json-generator.h"

#  define recall_parse_interval(str, secs_r, error_r) \
	str_parse_get_interval(str, secs_r, error_r)
/* auth takes an empty mask for one that matches nobody */
#  define RECALL_ANY_USER_MASK "*"
#  define recall_user_get_service_user(user) ((user)->service_user)
#  define recall_ns_get_mail_set(ns) mailbox_list_get_mail_set((ns)->list)
#  define recall_list_is_of_index(list) \
	((list)->mail_set->mailbox_list_iter_from_index_dir)
#  define recall_list_get_dir_prefix(list) \
	((list)->mail_set->parsed_mailbox_root_directory_prefix)
#  define recall_list_get_maildir_name(list) \
	((list)->mail_set->mailbox_directory_name)
#  define recall_mdbox_set_corrupted(storage, reason) \
	mdbox_storage_set_corrupted(storage, "%s", reason)
#  define recall_mdbox_is_corrupted(storage) \
	((storage)->corrupted_reason != NULL)
#  define recall_auth_info_set_service(info, name) ((info)->protocol = (name))
#  define recall_cmd_get_event(cctx) ((cctx)->set_event)
/* doveadm's HTTP server takes any parameter "user" for a string, to log it, and
   panics if it isn't */
#  define RECALL_HTTP_USER_TYPE CMD_PARAM_STR
#  define recall_acl_list_ignores_acls(alist) \
	((alist)->rights.backend->set->acl_ignore)
#  define recall_acl_list_defaults_from_inbox(alist) \
	((alist)->rights.backend->set->acl_defaults_from_inbox)
#  if DOVECOT_PREREQ(2, 4, 2)
#    define recall_acl_dict_rebuild(dict) acl_lookup_dict_rebuild(dict, FALSE)
#  else
#    define recall_acl_dict_rebuild(dict) acl_lookup_dict_rebuild(dict)
#  endif
#  define recall_module_load(modules, dir, name, set, error_r) \
	module_dir_try_load_missing(modules, dir, \
		(const char *const []) { name, NULL }, set, error_r)
/* doveadm finds all settings that there are */
#  define recall_doveadm_setting_roots_add(info) \
	STMT_START { (void)(info); } STMT_END

#else

#  include "json-parser.h"
#  include "settings-parser.h"

#  define recall_parse_interval(str, secs_r, error_r) \
	settings_get_time(str, secs_r, error_r)
#  define RECALL_ANY_USER_MASK ""
#  define recall_user_get_service_user(user) ((user)->_service_user)
#  define recall_ns_get_mail_set(ns) ((ns)->mail_set)
#  define recall_list_is_of_index(list) ((list)->set.iter_from_index_dir)
#  define recall_list_get_dir_prefix(list) ((list)->set.mailbox_dir_name)
#  define recall_list_get_maildir_name(list) ((list)->set.maildir_name)
#  define recall_mdbox_set_corrupted(storage, reason) \
	mdbox_storage_set_corrupted(storage)
#  define recall_mdbox_is_corrupted(storage) ((storage)->corrupted)
#  define recall_auth_info_set_service(info, name) ((info)->service = (name))
#  define RECALL_HTTP_USER_TYPE CMD_PARAM_ARRAY
/* has none: settings come without it */
#  define recall_cmd_get_event(cctx) NULL
#  define recall_acl_list_ignores_acls(alist) ((alist)->ignore_acls)
#  define recall_acl_list_defaults_from_inbox(alist) \
	mail_user_plugin_getenv_bool( \
		mailbox_list_get_user((alist)->rights.backend->list), \
		"acl_defaults_from_inbox")
#  define recall_acl_dict_rebuild(dict) acl_lookup_dict_rebuild(dict)
#  define recall_module_load(modules, dir, name, set, error_r) \
	module_dir_try_load_missing(modules, dir, name, set, error_r)
#  define recall_doveadm_setting_roots_add(info) doveadm_setting_roots_add(info)
#  define str_begins_with(haystack, needle) str_begins(haystack, needle)

#endif

#endif
