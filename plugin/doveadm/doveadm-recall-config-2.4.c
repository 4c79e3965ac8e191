#include "lib.h"
#include "array.h"
#include "str.h"
#include "strescape.h"
#include "recall-settings.h"
#include "doveadm-recall-config.h"
#include "doveadm-recall-config-private.h"

#define CONFIG_PLUGINS "mail_plugins"
#define CONFIG_NS "namespace"
#define CONFIG_QUOTA "quota"
#define CONFIG_QUOTA_IGNORE "quota_ignore"
#define CONFIG_QUOTA_COUNT "quota_mailbox_count"
#define CONFIG_UNLIMITED "unlimited"

/* What doveconf is asked for besides our settings. What a section does not have
   is its default, which stands outside. */
static const char *const config_names[] = {
	"protocols", CONFIG_PLUGINS, "mail_plugin_dir",
	CONFIG_NS, "namespace_disabled", "namespace_type", "namespace_inbox",
	"namespace_hidden", "namespace_list", "namespace_subscriptions",
	"namespace_prefix", CONFIG_QUOTA, CONFIG_QUOTA_IGNORE,
	CONFIG_QUOTA_COUNT,
	"doveadm_password", "doveadm_api_key", "doveadm_allowed_commands",
	"service/doveadm",
};

/* The sections that a line is in: "namespace/recalled/". */
struct config_context {
	string_t *path;
	/* where in path each begins */
	ARRAY(size_t) begins;
};

static const char *config_unquote(const char *value)
{
	size_t len = strlen(value);

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return value;
	return str_unescape(p_strndup(unsafe_data_stack_pool, value + 1,
				      len - 2));
}

static void
config_begin_section(struct recall_config *config, struct config_context *ctx,
		     const char *line)
{
	/* without the brace */
	const char *section = t_strndup(line, strlen(line) - 2);
	const char *name = strchr(section, ' ');
	size_t begin = str_len(ctx->path);

	array_push_back(&ctx->begins, &begin);
	if (name == NULL) {
		str_printfa(ctx->path, "%s/", section);
	} else {
		str_printfa(ctx->path, "%s/%s/", t_strdup_until(section, name),
			    config_unquote(name + 1));
	}
	recall_config_set(config, str_c(ctx->path), "");
}

static void config_end_section(struct config_context *ctx)
{
	unsigned int last = array_count(&ctx->begins);

	if (last == 0)
		return;
	str_truncate(ctx->path, *array_idx(&ctx->begins, last - 1));
	array_delete(&ctx->begins, last - 1, 1);
}

/* NAME = VALUE */
static void
config_add_setting(struct recall_config *config,
		   const struct config_context *ctx, const char *line)
{
	const char *p = strstr(line, " =");
	const char *const *names;
	const char *name;

	if (p == NULL)
		return;
	name = t_strconcat(str_c(ctx->path),
			   config_unquote(t_strdup_until(line, p)), NULL);
	p += strlen(" =");
	recall_config_set(config, name, config_unquote(*p == ' ' ? p + 1 : p));

	/* a whole list replaces what stands one by one outside of the filter */
	names = recall_config_find(config, t_strconcat(name, "/", NULL));
	for (; *names != NULL; names++)
		recall_config_set(config, *names, "");
}

static void
config_add_line(struct recall_config *config, const char *line, void *context)
{
	struct config_context *ctx = context;
	size_t len;

	while (*line == ' ')
		line++;
	len = strlen(line);
	if (strcmp(line, "}") == 0)
		config_end_section(ctx);
	else if (len > 2 && strcmp(line + len - 2, " {") == 0)
		config_begin_section(config, ctx, line);
	else
		config_add_setting(config, ctx, line);
}

static int
config_ask(struct recall_config *config, const char *const *args,
	   const char **error_r)
{
	/* not on the data stack: each line is read in a frame of its own */
	struct config_context ctx = { .path = str_new(default_pool, 64) };
	int ret;

	i_array_init(&ctx.begins, 4);
	ret = recall_config_run(config, args, config_add_line, &ctx, error_r);
	array_free(&ctx.begins);
	str_free(&ctx.path);
	return ret;
}

int recall_config_read_service(struct recall_config *config,
			       const char *service, const char **error_r)
{
	/* -f shows what its filter adds to a list, not what it adds that to */
	const char *const plugins[] = { CONFIG_PLUGINS, NULL };
	const char *const filter[] = {
		"-P", "-f", t_strdup_printf("protocol=%s", service)
	};
	ARRAY_TYPE(const_string) args;

	t_array_init(&args, 32);
	array_append(&args, filter, N_ELEMENTS(filter));
	array_append(&args, config_names, N_ELEMENTS(config_names));
	array_append(&args, recall_setting_names,
		     str_array_length(recall_setting_names));
	array_append_zero(&args);
	if (config_ask(config, plugins, error_r) < 0)
		return -1;
	return config_ask(config, array_front(&args), error_r);
}

bool recall_config_has(const struct recall_config *config, const char *name,
		       const char *word)
{
	const char *value = recall_config_get(config,
		t_strconcat(name, "/", word, NULL));

	if (*value != '\0')
		return strcmp(value, "yes") == 0;
	return str_array_find(t_strsplit_spaces(recall_config_get(config, name),
						", "), word);
}

const char *recall_config_get_ours(const struct recall_config *config,
				   const char *name)
{
	return recall_config_get(config, name);
}

const char *const *
recall_config_find_ours(const struct recall_config *config ATTR_UNUSED)
{
	return t_new(const char *, 1);
}

const char *recall_config_find_ns(const struct recall_config *config,
				  const char *prefix)
{
	const char *const *keys = recall_config_find(config, CONFIG_NS"/");
	const char *name, *suffix;

	for (; *keys != NULL; keys++) {
		name = *keys + strlen(CONFIG_NS"/");
		suffix = strrchr(name, '/');
		if (suffix == NULL || strcmp(suffix, "/prefix") != 0)
			continue;
		name = t_strdup_until(name, suffix);
		if (strcmp(recall_config_get_ns(config, name, "prefix"),
			   prefix) == 0)
			return name;
	}
	return NULL;
}

static const char *
config_get_in_ns(const struct recall_config *config, const char *ns,
		 const char *name)
{
	return recall_config_get(config,
		t_strdup_printf(CONFIG_NS"/%s/%s", ns, name));
}

const char *recall_config_get_ns(const struct recall_config *config,
				 const char *ns, const char *name)
{
	const char *value = config_get_in_ns(config, ns, name);

	return *value != '\0' ? value :
		recall_config_get(config,
				  t_strconcat(CONFIG_NS"_", name, NULL));
}

bool recall_config_ns_has_location(const struct recall_config *config,
				   const char *ns)
{
	return *config_get_in_ns(config, ns, "mail_path") != '\0' ||
		*config_get_in_ns(config, ns,
				  "mailbox_root_directory_name") != '\0';
}

/* Of a root: in the namespace, or everywhere. */
static bool config_root_is_ignored(const struct recall_config *config,
				   const char *ns, const char *root)
{
	const char *const places[] = {
		t_strdup_printf(CONFIG_NS"/%s/%s", ns, root), root
	};
	const char *value;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(places); i++) {
		value = recall_config_get(config,
			t_strconcat(places[i], "ignore", NULL));
		if (*value == '\0') {
			value = recall_config_get(config,
				t_strconcat(places[i], CONFIG_QUOTA_IGNORE,
					    NULL));
		}
		if (*value != '\0')
			return strcmp(value, "yes") == 0;
	}
	return FALSE;
}

const char *
recall_config_ns_get_quota_error(const struct recall_config *config,
				 const char *ns)
{
	const char *const *keys = recall_config_find(config, CONFIG_QUOTA"/");
	const char *value = config_get_in_ns(config, ns, CONFIG_QUOTA_IGNORE);
	const char *end;

	if (*value == '\0')
		value = recall_config_get(config, CONFIG_QUOTA_IGNORE);
	if (strcmp(value, "yes") == 0)
		return NULL;
	for (; *keys != NULL; keys++) {
		/* each root is a section: quota/<name>/ */
		end = strchr(*keys + strlen(CONFIG_QUOTA"/"), '/');
		if (end != NULL && end[1] == '\0' &&
		    !config_root_is_ignored(config, ns, *keys)) {
			return t_strdup_printf(
				"namespace %s has no quota_ignore = yes", ns);
		}
	}
	return NULL;
}

const char *
recall_config_ns_get_count_error(const struct recall_config *config,
				 const char *ns)
{
	const char *value = config_get_in_ns(config, ns, CONFIG_QUOTA_COUNT);

	if (*value == '\0')
		value = recall_config_get(config, CONFIG_QUOTA_COUNT);
	if (*value == '\0' || strcmp(value, CONFIG_UNLIMITED) == 0 ||
	    !recall_config_has(config, CONFIG_PLUGINS, "quota"))
		return NULL;
	return t_strdup_printf("namespace %s has "CONFIG_QUOTA_COUNT" = %s, "
			       "not "CONFIG_UNLIMITED, ns, value);
}

const char *
recall_config_get_requests(const struct recall_config *config,
			   const char **name_r)
{
	*name_r = "restart_request_count";
	return recall_config_get(config,
				 "service/doveadm/restart_request_count");
}

bool
recall_config_needs_one_request(const struct recall_config *config ATTR_UNUSED)
{
	return FALSE;
}
