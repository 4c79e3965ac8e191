#include "lib.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-notice-message.h"
#include "recall-notice-template.h"
#include "recall-params.h"
#include "recall-quarantine-settings.h"
#include "recall-settings.h"
#include "doveadm-recall-config.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-plugin.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Checks are named after what they look at. */
#define CHECK_PLUGINS "mail_plugins"
#define CHECK_SETTINGS "settings"
#define CHECK_QUARANTINE "quarantine"
#define CHECK_PURGE "purge"
#define CHECK_STANDING "standing"
#define CHECK_NOTICES "notices"
#define CHECK_HTTP "http_api"

#define PURGE_COMMAND "recall purge"
#define PURGE_TIMER "dovecot-recall-purge.timer"

enum check_status {
	CHECK_OK,
	/* works, but not as well as it could, or not for everything */
	CHECK_WARNING,
	CHECK_ERROR,
};

static const char *const check_status_names[] = { "ok", "warning", "error" };

struct check_context {
	pool_t pool;
	struct recall_rows *rows;
	const struct recall_config *config;
	/* the worst so far of the check under way */
	enum check_status status;
};

static void ATTR_FORMAT(4, 5)
check_print(struct check_context *ctx, const char *name,
	    enum check_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	recall_rows_add(ctx->rows, name);
	recall_rows_add(ctx->rows, check_status_names[status]);
	recall_rows_add(ctx->rows, t_strdup_vprintf(format, args));
	va_end(args);
	ctx->status = I_MAX(ctx->status, status);
	if (status == CHECK_ERROR)
		recall_rows_set_exit_code(ctx->rows, EX_CONFIG);
}

/* It has variables, which are not looked at. */
static bool check_differs(const struct check_context *ctx, const char *name)
{
	return strchr(recall_config_get_ours(ctx->config, name), '%') != NULL;
}

static const char *check_setting(const struct check_context *ctx,
				 const char *name, const char *def)
{
	const char *value = recall_config_get_ours(ctx->config, name);

	return *value == '\0' || check_differs(ctx, name) ? def : value;
}

/* Why a service lacks the plugin that another one has. */
static const char *
check_service_get_hint(struct check_context *ctx, const char *service)
{
	if (!recall_config_has(ctx->config, "mail_plugins", "recall"))
		return "";
	return t_strdup_printf(" (protocol %s has a list of its own, in which "
		"$mail_plugins of 2.3 is what was set before)", service);
}

/* The mail plugin, where mail is saved by this service. */
static void check_service(struct check_context *ctx, const char *service)
{
	const struct recall_config *config;
	const char *path, *error;
	struct stat st;

	if (recall_config_read(ctx->pool, service, &config, &error) < 0) {
		check_print(ctx, CHECK_PLUGINS, CHECK_ERROR, "%s: %s",
			    service, error);
		return;
	}
	if (!recall_config_has(config, "mail_plugins", "recall")) {
		check_print(ctx, CHECK_PLUGINS, CHECK_ERROR,
			"%s: mail_plugins has no recall: mail that it saves is "
			"not in the index, nor is the quarantine kept from "
			"the user there%s", service,
			check_service_get_hint(ctx, service));
		return;
	}
	path = t_strconcat(recall_config_get(config, "mail_plugin_dir"),
			   "/lib20_recall_plugin.so", NULL);
	if (stat(path, &st) < 0) {
		check_print(ctx, CHECK_PLUGINS, CHECK_ERROR,
			    "%s: stat(%s) failed: %m", service, path);
	}
}

static void check_plugins(struct check_context *ctx)
{
	ctx->status = CHECK_OK;
	if (recall_config_has(ctx->config, "protocols", "imap"))
		check_service(ctx, "imap");
	if (recall_config_has(ctx->config, "protocols", "lmtp"))
		check_service(ctx, "lmtp");
	check_service(ctx, "lda");
	check_service(ctx, "doveadm");
	if (ctx->status == CHECK_OK) {
		check_print(ctx, CHECK_PLUGINS, CHECK_OK,
			"recall is loaded wherever mail is saved");
	}
}

static void check_words(struct check_context *ctx, const char *name,
			const char *def, const char *const *words)
{
	const char *const *value =
		t_strsplit_spaces(check_setting(ctx, name, def), ", ");

	for (; *value != NULL; value++) {
		if (str_array_find(words, *value))
			continue;
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR,
			"%s: %s is none of: %s", name, *value,
			t_strarray_join(words, " "));
	}
}

static void check_settings(struct check_context *ctx)
{
	static const char *const notify_on[] = { "expunged", "read", NULL };
	const char *const *names = recall_config_find_ours(ctx->config);
	const char *value, *error;
	unsigned int number;
	bool submit;

	ctx->status = CHECK_OK;
	for (; *names != NULL; names++) {
		if (!str_array_find(recall_setting_names, *names)) {
			check_print(ctx, CHECK_SETTINGS, CHECK_ERROR,
				"%s is no setting of ours: misspelt?", *names);
		}
	}
	check_words(ctx, "recall_notify_on", RECALL_NOTIFY_ON_DEFAULT,
		    notify_on);
	value = check_setting(ctx, "recall_notice_delivery",
			      RECALL_NOTICE_DELIVERY_DEFAULT);
	if (recall_settings_parse_delivery(value, &submit, &error) < 0)
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR, "%s", error);
	value = check_setting(ctx, "recall_notice_from", "");
	if (*value != '\0' && !recall_notice_from_is_valid(value)) {
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR,
			"recall_notice_from: Not an address to send from: %s",
			value);
	}
	value = check_setting(ctx, "recall_quarantine_days",
			      RECALL_QUARANTINE_DAYS_DEFAULT);
	if (recall_settings_parse_days(value, &number, &error) < 0)
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR, "%s", error);
	value = check_setting(ctx, "recall_jobs_max", RECALL_JOBS_MAX_DEFAULT);
	if (recall_settings_parse_jobs(value, &number, &error) < 0)
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR, "%s", error);
	value = check_setting(ctx, "recall_stand", RECALL_STAND_DEFAULT);
	if (recall_settings_parse_stand(value, &number, &error) < 0) {
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR,
			    "recall_stand: %s", error);
	}
	value = check_setting(ctx, "recall_standing_max",
			      RECALL_STANDING_MAX_DEFAULT);
	if (recall_settings_parse_standing_max(value, &number, &error) < 0)
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR, "%s", error);
	if (ctx->status == CHECK_OK) {
		check_print(ctx, CHECK_SETTINGS, CHECK_OK,
			    "All names and values are known");
	}
}

static void check_namespace(struct check_context *ctx, const char *name)
{
	static const struct {
		const char *key, *value, *why;
	} expected[] = {
		{ "disabled", "no", "there is no quarantine" },
		{ "type", "private", "it must be the user's own" },
		{ "inbox", "no", "it must not be the one of the INBOX" },
		{ "hidden", "yes", "clients are shown it" },
		{ "list", "no", "users see what was recalled" },
		{ "subscriptions", "no", "it must not keep subscriptions" },
	};
	const char *value;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(expected); i++) {
		value = recall_config_get_ns(ctx->config, name,
					     expected[i].key);
		if (strcmp(value, expected[i].value) != 0) {
			check_print(ctx, CHECK_QUARANTINE, CHECK_ERROR,
				"namespace %s has %s = %s, not %s: %s", name,
				expected[i].key, value, expected[i].value,
				expected[i].why);
		}
	}
	if (!recall_config_ns_has_location(ctx->config, name)) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_ERROR,
			"namespace %s has no location of its own: its mail is "
			"that of the user's other mailboxes", name);
	}
}

/* Returns whether there is a quarantine. */
static bool check_quarantine(struct check_context *ctx)
{
	const char *quarantine = check_setting(ctx, "recall_quarantine",
					       RECALL_QUARANTINE_DEFAULT);
	const char *name, *error, *prefix = recall_quarantine_prefix_of(
		quarantine, check_setting(ctx, "recall_hold",
					  RECALL_HOLD_DEFAULT));

	ctx->status = CHECK_OK;
	if (check_differs(ctx, "recall_quarantine")) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_WARNING,
			"recall_quarantine differs by user: not looked at");
		return TRUE;
	}
	if (prefix == NULL) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_WARNING,
			"recall_quarantine is off: what is recalled can't be "
			"restored");
		return FALSE;
	}
	name = recall_config_find_ns(ctx->config, prefix);
	if (name == NULL) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_ERROR,
			"%s is %s, but no namespace has that prefix: every "
			"recall will fail", prefix == quarantine ?
			"recall_quarantine" : "recall_hold's quarantine",
			prefix);
		return TRUE;
	}
	check_namespace(ctx, name);
	error = recall_config_ns_get_quota_error(ctx->config, name);
	if (error != NULL) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_ERROR,
			"Quarantined mail counts as the user's, and nothing "
			"can be recalled where the quota is full: %s", error);
	}
	error = recall_config_ns_get_count_error(ctx->config, name);
	if (error != NULL) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_ERROR,
			"Each recall makes mailboxes, so only a few can be "
			"kept: %s", error);
	}
	if (ctx->status == CHECK_OK) {
		check_print(ctx, CHECK_QUARANTINE, CHECK_OK,
			    "namespace %s, kept from users", name);
	}
	return TRUE;
}

static bool check_file_has(const char *path, const char *text)
{
	char line[4096];
	FILE *f = fopen(path, "r");
	bool found = FALSE;

	if (f == NULL)
		return FALSE;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = *line != '#' && strstr(line, text) != NULL;
	(void)fclose(f);
	return found;
}

/* Whether a file in the directory has the text; its path if so. scripts: they
   are run, if they can be. */
static const char *
check_dir_has(const char *dir, const char *text, bool scripts)
{
	const char *path, *found = NULL;
	struct dirent *d;
	DIR *dirp = opendir(dir);

	if (dirp == NULL)
		return NULL;
	while (found == NULL && (d = readdir(dirp)) != NULL) {
		path = t_strdup_printf("%s/%s", dir, d->d_name);
		if (*d->d_name != '.' && check_file_has(path, text) &&
		    (!scripts || access(path, X_OK) == 0))
			found = path;
	}
	(void)closedir(dirp);
	return found;
}

static const char *check_find_purge(void)
{
	static const struct {
		const char *path;
		bool scripts;
	} cron_dirs[] = {
		{ "/etc/cron.d", FALSE },
		{ "/etc/cron.daily", TRUE },
		{ "/etc/cron.weekly", TRUE },
		{ "/var/spool/cron/crontabs", FALSE },
		{ "/var/spool/cron", FALSE },
	};
	static const char timer[] =
		"/etc/systemd/system/timers.target.wants/"PURGE_TIMER;
	const char *path = NULL;
	unsigned int i;

	/* a link to where the unit is */
	if (access(timer, F_OK) == 0)
		return timer;
	if (check_file_has("/etc/crontab", PURGE_COMMAND))
		return "/etc/crontab";
	for (i = 0; path == NULL && i < N_ELEMENTS(cron_dirs); i++) {
		path = check_dir_has(cron_dirs[i].path, PURGE_COMMAND,
				     cron_dirs[i].scripts);
	}
	return path;
}

static void check_purge(struct check_context *ctx)
{
	const char *path = check_find_purge();

	if (path == NULL) {
		check_print(ctx, CHECK_PURGE, CHECK_ERROR,
			"Nobody purges the quarantine: systemctl enable --now "
			PURGE_TIMER);
	} else {
		check_print(ctx, CHECK_PURGE, CHECK_OK, "%s", path);
	}
}

/* Whoever may write there deletes mail of everyone. */
static void check_standing_mode(struct check_context *ctx, const char *dir,
				const struct stat *st)
{
	if (!S_ISDIR(st->st_mode)) {
		check_print(ctx, CHECK_STANDING, CHECK_ERROR,
			    "%s is no directory", dir);
		return;
	}
	if (st->st_uid != geteuid()) {
		check_print(ctx, CHECK_STANDING, CHECK_ERROR,
			"%s is of user %s, not of %s, as whom doveadm runs: "
			"that one may have mail of everyone deleted", dir,
			dec2str(st->st_uid), dec2str(geteuid()));
	}
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		check_print(ctx, CHECK_STANDING, CHECK_ERROR,
			"%s has mode %04o: others may write to it, and so have "
			"mail of everyone deleted", dir,
			(unsigned int)st->st_mode & 07777);
	}
	if (access(dir, W_OK | X_OK) < 0) {
		check_print(ctx, CHECK_STANDING, CHECK_ERROR,
			"access(%s) failed: %m: no recall can stand", dir);
	}
	if ((st->st_mode & (S_IROTH | S_IXOTH)) != (S_IROTH | S_IXOTH)) {
		check_print(ctx, CHECK_STANDING, CHECK_WARNING,
			"%s has mode %04o: users may not look at it, whose "
			"mail is then not recalled when it arrives", dir,
			(unsigned int)st->st_mode & 07777);
	}
}

static void check_standing(struct check_context *ctx)
{
	const char *dir = check_setting(ctx, "recall_standing_dir",
					RECALL_STANDING_DIR);
	struct stat st;

	ctx->status = CHECK_OK;
	if (check_differs(ctx, "recall_standing_dir")) {
		check_print(ctx, CHECK_STANDING, CHECK_WARNING,
			"recall_standing_dir has variables: not looked at");
		return;
	}
	if (*dir != '/') {
		check_print(ctx, CHECK_STANDING, CHECK_ERROR,
			"recall_standing_dir is %s, which begins nowhere: each "
			"process would look in another directory", dir);
		return;
	}
	if (stat(dir, &st) < 0) {
		if (errno == ENOENT) {
			check_print(ctx, CHECK_STANDING, CHECK_OK,
				    "%s is made by the first order", dir);
		} else {
			check_print(ctx, CHECK_STANDING, CHECK_ERROR,
				    "stat(%s) failed: %m", dir);
		}
		return;
	}
	check_standing_mode(ctx, dir, &st);
	if (ctx->status == CHECK_OK)
		check_print(ctx, CHECK_STANDING, CHECK_OK, "%s", dir);
}

static void
check_template(struct check_context *ctx, const char *dir, const char *lang)
{
	const struct recall_notice_template *tmpl;
	const char *error, *wanted = recall_notice_lang_normalize(lang);

	if (recall_notice_template_load(ctx->pool, dir, lang, &tmpl,
					&error) < 0) {
		check_print(ctx, CHECK_NOTICES, CHECK_ERROR, "%s: %s", lang,
			    error);
	} else if (wanted == NULL || strcmp(t_strcut(wanted, '-'),
					    t_strcut(tmpl->lang, '-')) != 0) {
		check_print(ctx, CHECK_NOTICES, CHECK_WARNING,
			"recall_notice_lang is %s, of which there is no text: "
			"notices are in %s", lang, tmpl->lang);
	}
}

static void check_notices(struct check_context *ctx)
{
	const char *dir = check_setting(ctx, "recall_notice_dir",
					RECALL_NOTICE_DIR);
	const char *lang;
	struct dirent *d;
	DIR *dirp;

	ctx->status = CHECK_OK;
	if (check_differs(ctx, "recall_notice_dir")) {
		check_print(ctx, CHECK_NOTICES, CHECK_WARNING,
			"recall_notice_dir differs by user: not looked at");
		return;
	}
	dirp = opendir(dir);
	if (dirp == NULL) {
		check_print(ctx, CHECK_NOTICES, CHECK_ERROR,
			    "opendir(%s) failed: %m", dir);
		return;
	}
	while ((d = readdir(dirp)) != NULL) {
		lang = recall_notice_template_get_lang(d->d_name);
		if (lang != NULL)
			check_template(ctx, dir, lang);
	}
	(void)closedir(dirp);
	check_template(ctx, dir, check_setting(ctx, "recall_notice_lang",
					       RECALL_NOTICE_LANG_DEFAULT));
	if (ctx->status == CHECK_OK)
		check_print(ctx, CHECK_NOTICES, CHECK_OK, "%s", dir);
}

static void check_requests(struct check_context *ctx)
{
	const char *name, *requests =
		recall_config_get_requests(ctx->config, &name);
	const bool one = strcmp(requests, "1") == 0;

	if (recall_config_needs_one_request(ctx->config)) {
		if (one)
			return;
		check_print(ctx, CHECK_HTTP, CHECK_WARNING,
			"service doveadm has %s = %s, and doveadm_port is set: "
			"replication stops, since Dovecot may look up no "
			"second user in a process there", name, requests);
	} else if (one) {
		check_print(ctx, CHECK_HTTP, CHECK_WARNING,
			"service doveadm has %s = 1: each request starts a "
			"process", name);
	}
}

static void check_http(struct check_context *ctx)
{
	const char *port = recall_config_get(ctx->config,
		"service/doveadm/inet_listener/http/port");
	const char *name;

	ctx->status = CHECK_OK;
	if (*port == '\0' || strcmp(port, "0") == 0) {
		check_print(ctx, CHECK_HTTP, CHECK_WARNING,
			"service doveadm has no inet_listener http: "
			"mail-recalld can't ask this node");
		return;
	}
	if (*recall_config_get(ctx->config, "doveadm_password") == '\0' &&
	    *recall_config_get(ctx->config, "doveadm_api_key") == '\0') {
		check_print(ctx, CHECK_HTTP, CHECK_ERROR,
			"Neither doveadm_password nor doveadm_api_key is set: "
			"nobody can log in");
	}
	check_requests(ctx);
	name = recall_config_get_missing_commands(ctx->config);
	if (name != NULL) {
		check_print(ctx, CHECK_HTTP, CHECK_WARNING,
			"doveadm_allowed_commands lacks what mail-recalld asks "
			"for: %s", name);
	}
	if (ctx->status == CHECK_OK)
		check_print(ctx, CHECK_HTTP, CHECK_OK, "Port %s", port);
}

static void check_all(struct check_context *ctx)
{
	const char *error;

	if (recall_config_read(ctx->pool, "doveadm", &ctx->config,
			       &error) < 0) {
		check_print(ctx, CHECK_SETTINGS, CHECK_ERROR, "%s", error);
		return;
	}
	check_plugins(ctx);
	check_settings(ctx);
	if (check_quarantine(ctx))
		check_purge(ctx);
	check_standing(ctx);
	check_notices(ctx);
	check_http(ctx);
}

static void cmd_recall_check(struct doveadm_cmd_context *cctx)
{
	static const struct recall_column columns[] = {
		{ .name = RECALL_COLUMN_CHECK },
		{ .name = RECALL_COLUMN_STATUS },
		{ .name = RECALL_COLUMN_TEXT },
	};
	struct check_context ctx = {
		.pool = pool_alloconly_create("recall check", 128 * 1024),
	};

	ctx.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE, columns,
				    N_ELEMENTS(columns));
	check_all(&ctx);
	recall_rows_finish(ctx.rows);
	recall_rows_deinit(&ctx.rows);
	pool_unref(&ctx.pool);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_check = {
	.name = RECALL_CMD_CHECK,
	.cmd = cmd_recall_check,
	.usage = "",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAMS_END
};
