#include "lib.h"
#include "module-dir.h"
#include "array.h"
#include "ipwd.h"
#include "iostream-ssl.h"
#include "settings-parser.h"
#include "str.h"
#include "var-expand.h"
#include "master-service.h"
#include "master-service-ssl-settings.h"
#include "maildir-settings.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "recall-params.h"
#include "recall-settings.h"

/* Finds the value of a plugin setting. Returns 1 if there is one, 0 if not. */
typedef int setting_lookup_t(void *context, const char *name,
			     const char **value_r, const char **error_r);

static int
settings_fill(struct recall_settings *set, setting_lookup_t *lookup,
	      void *context, const char **error_r)
{
	const struct {
		const char *name, *def;
		const char **dest;
	} strings[] = {
#define DEF(name, def) { #name, def, &set->name }
		DEF(recall_notify_on, RECALL_NOTIFY_ON_DEFAULT),
		DEF(recall_quarantine, RECALL_QUARANTINE_DEFAULT),
		DEF(recall_notice_from, ""),
		/* the same as empty: see recall_settings_fill_empty() */
		DEF(recall_notice_name, ""),
		DEF(recall_notice_delivery, ""),
		DEF(recall_notice_dir, ""),
		DEF(recall_notice_lang, ""),
		DEF(recall_quarantine_days, ""),
		DEF(recall_hold, ""),
		DEF(recall_jobs_max, ""),
		DEF(recall_stand, ""),
		DEF(recall_standing_dir, ""),
		DEF(recall_standing_max, ""),
#undef DEF
	};
	const char *value;
	unsigned int i;
	int ret;

	for (i = 0; i < N_ELEMENTS(strings); i++) {
		ret = lookup(context, strings[i].name, &value, error_r);
		if (ret < 0)
			return -1;
		*strings[i].dest = ret == 0 ? strings[i].def : value;
	}
	recall_settings_fill_empty(set);
	return 0;
}

struct mail_storage_service_ctx *
recall_settings_init_service(enum mail_storage_service_flags flags)
{
	/* for what is sent by mail */
	static const struct setting_parser_info *set_roots[] = {
		&smtp_submit_setting_parser_info,
		NULL
	};

	return mail_storage_service_init(master_service, set_roots, flags);
}

static void
account_number(struct mail_storage_service_user *user, const char *key,
	       const char *name, struct recall_account *account)
{
	const bool group = strcmp(key, "mail_uid") != 0;
	struct passwd pw;
	struct group gr;
	const char *error;

	if (*name == '\0' || str_is_numeric(name, '\0') ||
	    strlen(name) >= sizeof(account->name))
		return;
	if (strcmp(account->name, name) != 0) {
		if (group ? i_getgrnam(name, &gr) <= 0 :
		    i_getpwnam(name, &pw) <= 0)
			return;
		i_strocpy(account->name, name, sizeof(account->name));
		i_snprintf(account->number, sizeof(account->number), "%s",
			   group ? dec2str(gr.gr_gid) : dec2str(pw.pw_uid));
	}
	(void)mail_storage_service_user_set_setting(user, key, account->number,
						    &error);
}

static int
user_lookup(void *context, const char *name, const char **value_r,
	    const char **error_r ATTR_UNUSED)
{
	*value_r = mail_user_plugin_getenv(context, name);
	return *value_r != NULL ? 1 : 0;
}

int recall_settings_read(struct mail_user *user,
			 const struct recall_settings **set_r,
			 const char **error_r)
{
	struct recall_settings *set =
		p_new(user->pool, struct recall_settings, 1);

	set->pool = user->pool;
	*set_r = set;
	return settings_fill(set, user_lookup, user, error_r);
}

static void *
find_settings(const struct setting_parser_context *parser,
	      const struct setting_parser_info *info)
{
	const struct setting_parser_info *const *roots =
		settings_parser_get_roots(parser);
	void **sets = settings_parser_get_list(parser);
	unsigned int i;

	for (i = 0; roots[i] != NULL; i++) {
		if (strcmp(roots[i]->module_name, info->module_name) == 0)
			return sets[i];
	}
	return NULL;
}

static int
submit_fill(pool_t pool, struct setting_parser_context *parser,
	    const struct var_expand_table *table,
	    struct recall_submit_settings *set_r, const char **error_r)
{
	const struct setting_parser_info *info =
		&smtp_submit_setting_parser_info;
	const struct smtp_submit_settings *set = find_settings(parser, info);
	struct smtp_submit_settings *dup;
	struct ssl_iostream_settings *ssl;
	const char *error;

	if (set == NULL) {
		*error_r = "The settings for sending mail were not read";
		return -1;
	}
	dup = settings_dup(info, set, pool);
	if (settings_var_expand(info, dup, pool, table, &error) <= 0) {
		*error_r = t_strdup_printf("Failed to expand settings: %s",
					   error);
		return -1;
	}
	ssl = p_new(pool, struct ssl_iostream_settings, 1);
	master_service_ssl_client_settings_to_iostream_set(
		master_service_ssl_settings_get_from_parser(parser), pool, ssl);
	i_zero(set_r);
	set_r->set = dup;
	set_r->input.ssl = ssl;
	/* doveadm is often root, if not in effect then in name */
	set_r->input.allow_root = TRUE;
	return 0;
}

void recall_settings_number_accounts(struct mail_storage_service_user *user,
				     struct recall_accounts *accounts)
{
	const struct mail_user_settings *set = find_settings(
		mail_storage_service_user_get_settings_parser(user),
		&mail_user_setting_parser_info);

	if (set == NULL)
		return;
	account_number(user, "mail_uid", set->mail_uid, &accounts->uid);
	account_number(user, "mail_gid", set->mail_gid, &accounts->gid);
	account_number(user, "mail_privileged_group",
		       set->mail_privileged_group, &accounts->privileged);
}

int recall_settings_get_submit(struct mail_user *user, pool_t pool,
			       struct recall_submit_settings *set_r,
			       const char **error_r)
{
	if (submit_fill(pool, mail_storage_service_user_get_settings_parser(
				user->_service_user),
			mail_user_var_expand_table(user), set_r, error_r) < 0)
		return -1;
	set_r->input.event_parent = user->event;
	return 0;
}

struct service_lookup_context {
	pool_t pool;
	const struct mail_user_settings *user_set;
	const struct var_expand_table *table;
};

static int
service_lookup(void *context, const char *name, const char **value_r,
	       const char **error_r)
{
	struct service_lookup_context *ctx = context;
	const char *value = mail_user_set_plugin_getenv(ctx->user_set, name);
	string_t *str = t_str_new(128);
	const char *error;

	if (value == NULL)
		return 0;
	if (var_expand(str, value, ctx->table, &error) <= 0) {
		if (strcmp(name, "recall_standing_dir") != 0)
			return 0;
		*error_r = t_strdup_printf("Failed to expand %s: %s", name,
					   error);
		return -1;
	}
	*value_r = p_strdup(ctx->pool, str_c(str));
	return 1;
}

/* Others may have variables in them that only a user has, as mail_location =
   maildir:%h/Maildir: what is looked at is all that is expanded. */
static int
user_settings_expand(pool_t pool, const struct setting_parser_info *info,
		     struct mail_user_settings *set,
		     const struct var_expand_table *table, const char **error_r)
{
	const char *address = set->postmaster_address;
	string_t *str = t_str_new(128);
	const char *error;

	/* what doveadm -o gives has no variables */
	if (*address != SETTING_STRVAR_UNEXPANDED[0]) {
		str_append(str, address + 1);
	} else if (var_expand(str, address + 1, table, &error) <= 0) {
		*error_r = t_strdup_printf("Failed to expand settings: "
			"postmaster_address: %s", error);
		return -1;
	}
	set->postmaster_address = p_strdup(pool, str_c(str));
	/* parses it */
	if (!info->expand_check_func(set, pool, &error)) {
		*error_r = t_strdup_printf("Failed to check settings: %s",
					   error);
		return -1;
	}
	return 0;
}

static int
service_fill(pool_t pool, struct setting_parser_context *parser,
	     const struct setting_parser_info *user_info,
	     const struct var_expand_table *table, bool report,
	     struct recall_service_settings *set_r, const char **error_r)
{
	struct mail_user_settings *user_set = find_settings(parser, user_info);
	struct recall_settings *set = p_new(pool, struct recall_settings, 1);
	struct service_lookup_context ctx = {
		.pool = pool,
		.table = table,
	};

	user_set = settings_dup(user_info, user_set, pool);
	if (report && user_settings_expand(pool, user_info, user_set, table,
					   error_r) < 0)
		return -1;
	ctx.user_set = user_set;
	set->pool = pool;
	set_r->recall = set;
	set_r->user = user_set;
	if (settings_fill(set, service_lookup, &ctx, error_r) < 0)
		return -1;
	return !report ? 0 :
		submit_fill(pool, parser, table, &set_r->submit, error_r);
}

int recall_settings_get_service(struct mail_storage_service_ctx *service,
				struct event *event, pool_t pool, bool report,
				struct recall_service_settings *set_r,
				const char **error_r)
{
	struct mail_storage_service_input input = {
		.service = "doveadm",
	};
	const struct setting_parser_info *user_info;
	const struct setting_parser_context *service_parser;
	struct setting_parser_context *parser;
	int ret;

	i_zero(set_r);
	if (mail_storage_service_read_settings(service, &input, pool,
					       &user_info, &service_parser,
					       error_r) < 0)
		return -1;
	/* the user is nobody: a name would give its domain to the default
	   postmaster_address */
	input.username = "";
	parser = settings_parser_dup(service_parser, pool);
	ret = service_fill(pool, parser, user_info,
		mail_storage_service_get_var_expand_table(service, &input),
		report, set_r, error_r);
	settings_parser_deinit(&parser);
	set_r->submit.input.event_parent = event;
	return ret;
}

bool recall_settings_have_acl(struct mail_namespace *ns)
{
	return mail_user_plugin_getenv(ns->user, "acl") != NULL;
}

const char *recall_settings_get_lazy_expunge(struct mailbox *box)
{
	const char *place = mail_user_plugin_getenv(box->storage->user,
						    "lazy_expunge");

	return place == NULL || *place == '\0' ? NULL : place;
}

bool recall_settings_copying_decrypts(struct mail_user *user ATTR_UNUSED)
{
	return module_dir_find(mail_storage_service_modules,
			       "mail_crypt") != NULL;
}

bool recall_settings_maildir_is_very_dirty(struct mailbox *box)
{
	const struct maildir_settings *set =
		mail_namespace_get_driver_settings(mailbox_get_namespace(box),
						   box->storage);

	return set->maildir_very_dirty_syncs;
}
