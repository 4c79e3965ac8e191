#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "address.h"
#include "alloc.h"
#include "config-check.h"
#include "config-etcd.h"
#include "config-load.h"
#include "file.h"
#include "strbuf.h"
#include "strlist.h"

#define LINE_MAX_OCTETS 65536

static const struct {
	const char *variable, *key;
} environment[] = {
	{ "MAIL_RECALLD_DOVEADM_LOGIN", "doveadm.login" },
	{ "MAIL_RECALLD_JWT_KEY", "auth.jwt_key" },
	{ "MAIL_RECALLD_JWT_OLD_KEY", "auth.jwt_old_key" },
	{ "MAIL_RECALLD_WEBHOOK_KEY", "webhook.key" },
	{ "MAIL_RECALLD_OIDC_CLIENT_SECRET", "oidc.client_secret" },
};

struct read_context {
	struct config *config;
	struct strbuf *errors;
	const char *path;
	/* what is still to be read, and the number of the line before that */
	const char *rest;
	int line;
	bool within_line;
	/* names of the settings that were read */
	struct strlist found;
};

static void add_error(struct read_context *ctx, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void add_error(struct read_context *ctx, const char *fmt, ...)
{
	va_list args;
	char *error;

	va_start(args, fmt);
	error = x_vasprintf(fmt, args);
	va_end(args);
	strbuf_addf(ctx->errors, "%s:%d: %s\n", ctx->path, ctx->line, error);
	free(error);
}

/* Whether users can be of it: no address ends with *.example.com, and what was
   meant by it would be asked for elsewhere. */
static bool is_domain(const char *domain)
{
	const char *p;

	for (p = domain; *p != '\0'; p++) {
		if (((unsigned char)*p < 0x80 && !isalnum((unsigned char)*p) &&
		     strchr("-._", *p) == NULL) ||
		    (*p == '.' && (p == domain || p[1] == '.' ||
				   p[1] == '\0')))
			return false;
	}
	return true;
}

/* name = URL ... domain ... */
static void add_node(struct read_context *ctx, const char *name,
		     const char *value)
{
	struct config *config = ctx->config;
	struct strlist words = { NULL, 0, 0 };
	struct strbuf urls = { NULL, 0, 0 };
	size_t i, domains = 0;
	char *ascii;

	strlist_split(&words, value);
	strbuf_add(&urls, "", 0);
	for (i = 0; i < words.count; i++) {
		if (strstr(words.items[i], "://") != NULL)
			strbuf_addf(&urls, "%s ", words.items[i]);
	}
	for (i = 0; i < words.count; i++) {
		if (strstr(words.items[i], "://") != NULL)
			continue;
		if (!is_domain(words.items[i]))
			add_error(ctx, "nodes.%s: '%s' is no URL and no mail "
				  "domain", name, words.items[i]);
		if (config_domain_urls(config, words.items[i]) != NULL)
			add_error(ctx, "nodes.%s: %s has a node already",
				  name, words.items[i]);
		ascii = address_domain_to_ascii(words.items[i]);
		strlist_add(&config->nodes, ascii != NULL ? ascii :
			    words.items[i]);
		free(ascii);
		strlist_add(&config->nodes, urls.data);
		domains++;
	}
	/* it would never be asked */
	if (domains == 0)
		add_error(ctx, "nodes.%s: has no mail domain", name);
	free(urls.data);
	strlist_free(&words);
}

/* inih calls back for every line that has a value */
static int read_line(void *user, const char *section, const char *name,
		     const char *value)
{
	struct read_context *ctx = user;
	char *error = NULL, *key;

	if (strcmp(section, "nodes") == 0) {
		add_node(ctx, name, value);
		return 1;
	}
	key = x_asprintf("%s.%s", section, name);
	if (*section == '\0') {
		add_error(ctx, "%s: stands before any [section]", name);
	} else if (!config_set(ctx->config, key, value, &error)) {
		add_error(ctx, "%s", error);
		free(error);
	} else if (strlist_has_nocase(&ctx->found, key)) {
		/* whichever was meant, somebody looks at the other one */
		add_error(ctx, "%s: is there twice", key);
	} else {
		strlist_add(&ctx->found, key);
	}
	free(key);
	return 1;
}

/* As fgets() reads. */
static char *read_text(char *str, int num, void *stream)
{
	struct read_context *ctx = stream;
	size_t len = strcspn(ctx->rest, "\n");

	if (*ctx->rest == '\0')
		return NULL;
	if (ctx->rest[len] == '\n')
		len++;
	if (len > (size_t)num - 1)
		len = num - 1;
	if (!ctx->within_line)
		ctx->line++;
	memcpy(str, ctx->rest, len);
	str[len] = '\0';
	ctx->within_line = str[len - 1] != '\n';
	ctx->rest += len;
	return str;
}

/* Read as a whole: half of a file that can't be read is none. */
static void parse_file(const char *path, struct read_context *ctx)
{
	char *error = NULL, *text = read_whole_file(path, &error);
	int ret;

	if (text == NULL) {
		strbuf_addf(ctx->errors, "%s\n", error);
		free(error);
		return;
	}
	ini_use_stack = false;
	ini_allow_realloc = true;
	ini_max_line = LINE_MAX_OCTETS;
	ini_allow_multiline = false;
	/* a password or key may hold any character */
	ini_allow_inline_comments = false;
	ctx->rest = text;
	ctx->line = 0;
	ret = ini_parse_stream(read_text, ctx, read_line, ctx);
	if (ret != 0)
		strbuf_addf(ctx->errors, "%s:%d: the line is neither a "
			    "[section] nor name = value (or is too long)\n",
			    path, ret);
	strlist_free(&ctx->found);
	free_secret(text);
}

struct config *config_load(const char *path, char **error_r)
{
	struct config *config = config_new();
	struct strbuf errors = { NULL, 0, 0 };
	struct read_context ctx = {
		.config = config,
		.errors = &errors,
		.path = path,
	};
	char *error = NULL;
	size_t i;

	parse_file(path, &ctx);
	if ((*config->doveadm_login != '\0' ||
	     *config->auth_jwt_key != '\0' ||
	     *config->auth_jwt_old_key != '\0' ||
	     *config->webhook_key != '\0' ||
	     *config->oidc_client_secret != '\0') &&
	    file_is_open_to_others(path))
		strbuf_addf(&errors, "%s: has secrets, and others can read it "
			    "(chmod o-r, or keep them elsewhere)\n", path);
	for (i = 0; i < sizeof(environment) / sizeof(environment[0]); i++) {
		const char *value = getenv(environment[i].variable);

		if (value != NULL)
			(void)config_set(config, environment[i].key, value,
					 &error);
	}
	/* what the file names belongs to the file: etcd wins over it, too */
	config_read_secrets(config, &errors);
	config_check_etcd(config, &errors);
	if (errors.len == 0 && !config_etcd_overlay(config, &error)) {
		strbuf_addf(&errors, "%s\n", error);
		free(error);
	}
	if (errors.len == 0)
		config_check(config, &errors);
	if (errors.len > 0) {
		config_unref(config);
		*error_r = errors.data;
		return NULL;
	}
	free(errors.data);
	return config;
}
