#include "lib.h"
#include "module-dir.h"
#include "var-expand.h"
#include "master-service.h"
#include "settings.h"
#include "maildir-settings.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "mail-user.h"
#include "recall-settings.h"

/* What all structs of settings begin with. */
struct plugin_settings {
	pool_t pool;
};

/* As settings_get(), but the settings live as long as the pool. */
static int
get_for_pool(struct event *event, const struct setting_parser_info *info,
	     enum settings_get_flags flags, pool_t pool, const void **set_r,
	     const char **error_r)
{
	const struct plugin_settings *set;

	i_assert(info->pool_offset1 == 1);
	if (settings_get(event, info, flags, &set, error_r) < 0)
		return -1;
	*set_r = set;
	pool_add_external_ref(pool, set->pool);
	settings_free(set);
	return 0;
}

struct mail_storage_service_ctx *
recall_settings_init_service(enum mail_storage_service_flags flags)
{
	return mail_storage_service_init(master_service, flags);
}

static int
read_ours(struct event *event, enum settings_get_flags flags, pool_t pool,
	  struct recall_settings **set_r, const char **error_r)
{
	const void *set;

	if (get_for_pool(event, &recall_setting_parser_info, flags, pool, &set,
			 error_r) < 0)
		return -1;
	*set_r = p_memdup(pool, set, sizeof(**set_r));
	return 0;
}

int recall_settings_read(struct mail_user *user,
			 const struct recall_settings **set_r,
			 const char **error_r)
{
	struct recall_settings *set;

	if (read_ours(user->event, 0, user->pool, &set, error_r) < 0)
		return -1;
	recall_settings_fill_empty(set);
	*set_r = set;
	return 0;
}

void recall_settings_number_accounts(struct mail_storage_service_user *user
				     ATTR_UNUSED,
				     struct recall_accounts *accounts
				     ATTR_UNUSED)
{
	/* settings are not to be written to */
}

static int
submit_read(struct event *event, pool_t pool,
	    struct recall_submit_settings *set_r, const char **error_r)
{
	const void *set;

	if (get_for_pool(event, &smtp_submit_setting_parser_info, 0, pool,
			 &set, error_r) < 0)
		return -1;
	i_zero(set_r);
	set_r->set = set;
	return 0;
}

int recall_settings_get_submit(struct mail_user *user, pool_t pool,
			       struct recall_submit_settings *set_r,
			       const char **error_r)
{
	if (submit_read(user->event, pool, set_r, error_r) < 0)
		return -1;
	set_r->input.event_parent = user->event;
	return 0;
}

static int
service_expand(struct recall_settings *set, pool_t pool,
	       const struct var_expand_params *params, const char **error_r)
{
	const struct setting_define *def = recall_setting_parser_info.defines;
	const char **value, *expanded, *error;

	for (; def->key != NULL; def++) {
		value = PTR_OFFSET(set, def->offset);
		if (strchr(*value, '%') == NULL)
			continue;
		if (t_var_expand(*value, params, &expanded, &error) == 0) {
			*value = p_strdup(pool, expanded);
		} else if (value != &set->recall_standing_dir) {
			*value = "";
		} else {
			*error_r = t_strdup_printf("Failed to expand %s: %s",
						   def->key, error);
			return -1;
		}
	}
	recall_settings_fill_empty(set);
	return 0;
}

static int
service_read(struct event *event, pool_t pool,
	     const struct var_expand_params *params, bool report,
	     struct recall_service_settings *set_r, const char **error_r)
{
	struct recall_settings *set;
	const void *user_set;

	if (read_ours(event, SETTINGS_GET_FLAG_NO_EXPAND, pool, &set,
		      error_r) < 0 ||
	    service_expand(set, pool, params, error_r) < 0)
		return -1;
	set_r->recall = set;
	if (!report)
		return 0;
	if (get_for_pool(event, &mail_user_setting_parser_info, 0, pool,
			 &user_set, error_r) < 0)
		return -1;
	set_r->user = user_set;
	return submit_read(event, pool, &set_r->submit, error_r);
}

int recall_settings_get_service(struct mail_storage_service_ctx *service,
				struct event *event, pool_t pool, bool report,
				struct recall_service_settings *set_r,
				const char **error_r)
{
	/* the user is nobody: a name would give its domain to the default
	   postmaster_address */
	struct mail_storage_service_input input = {
		.service = "doveadm",
		.username = "",
	};
	const struct var_expand_params *params =
		mail_storage_service_get_var_expand_params(service, &input);
	struct event *read_event = event_create(event);
	int ret;

	i_zero(set_r);
	event_set_ptr(read_event, SETTINGS_EVENT_VAR_EXPAND_PARAMS,
		      (void *)params);
	ret = service_read(read_event, pool, params, report, set_r, error_r);
	event_unref(&read_event);
	set_r->submit.input.event_parent = event;
	return ret;
}

/* Linking to it would make the other plugin's module a must. */
static const struct setting_parser_info *
find_plugin_info(const char *plugin, const char *name)
{
	struct module *module =
		module_dir_find(mail_storage_service_modules, plugin);

	return module == NULL ? NULL : module_get_symbol_quiet(module,
		t_strconcat(name, "_setting_parser_info", NULL));
}

/* Returns a string of another plugin's settings, NULL if it's empty or the
   plugin is not loaded. name is what they are called there. */
static const char *
get_plugin_string(struct event *event, const char *plugin, const char *name,
		  const char *key)
{
	const struct setting_parser_info *info = find_plugin_info(plugin, name);
	const struct plugin_settings *set;
	const char *value, *error;
	unsigned int idx;

	if (info == NULL || !setting_parser_info_find_key(info, key, &idx))
		return NULL;
	i_assert(info->defines[idx].type == SET_STR ||
		 info->defines[idx].type == SET_FILE);
	if (settings_get(event, info, 0, &set, &error) < 0) {
		e_error(event, "%s", error);
		return NULL;
	}
	value = t_strdup(*(const char *const *)
		CONST_PTR_OFFSET(set, info->defines[idx].offset));
	settings_free(set);
	return *value == '\0' ? NULL : value;
}

bool recall_settings_have_acl(struct mail_namespace *ns)
{
	return get_plugin_string(mailbox_list_get_event(ns->list), "acl", "acl",
				 "acl_driver") != NULL;
}

const char *recall_settings_get_lazy_expunge(struct mailbox *box)
{
	return get_plugin_string(box->event, "lazy_expunge", "lazy_expunge",
				 "lazy_expunge_mailbox");
}

bool recall_settings_copying_decrypts(struct mail_user *user)
{
	static const char plugin[] = "mail_crypt", name[] = "crypt";

	/* with one key for all it is copied as it is */
	return find_plugin_info(plugin, name) != NULL &&
		(get_plugin_string(user->event, plugin, name,
				   "crypt_global_public_key_file") == NULL ||
		 get_plugin_string(user->event, plugin, name,
				   "crypt_write_algorithm") == NULL);
}

bool recall_settings_maildir_is_very_dirty(struct mailbox *box)
{
	const struct maildir_settings *set;
	const char *error;
	bool dirty;

	if (settings_get(box->storage->event, &maildir_setting_parser_info, 0,
			 &set, &error) < 0) {
		e_error(box->storage->event, "%s", error);
		return TRUE;
	}
	dirty = set->maildir_very_dirty_syncs;
	settings_free(set);
	return dirty;
}
