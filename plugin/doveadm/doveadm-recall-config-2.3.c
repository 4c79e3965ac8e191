#include "lib.h"
#include "array.h"
#include "doveadm-recall-config.h"
#include "doveadm-recall-config-private.h"

/* -S prints NAME=VALUE, with sections as NAMESPACE/NAME/SETTING. */
static void
config_add_line(struct recall_config *config, const char *line,
		void *context ATTR_UNUSED)
{
	const char *p = strchr(line, '=');

	if (p != NULL)
		recall_config_set(config, t_strdup_until(line, p), p + 1);
}

int recall_config_read_service(struct recall_config *config,
			       const char *service, const char **error_r)
{
	const char *const args[] = {
		"-S", "-f", t_strdup_printf("service=%s", service), NULL
	};

	return recall_config_run(config, args, config_add_line, NULL, error_r);
}

bool recall_config_has(const struct recall_config *config, const char *name,
		       const char *word)
{
	return str_array_find(t_strsplit_spaces(recall_config_get(config, name),
						", "), word);
}

const char *recall_config_get_ours(const struct recall_config *config,
				   const char *name)
{
	return recall_config_get(config, t_strconcat("plugin/", name, NULL));
}

const char *const *
recall_config_find_ours(const struct recall_config *config)
{
	const char *const *names = recall_config_find(config, "plugin/recall");
	ARRAY_TYPE(const_string) found;
	const char *name;

	t_array_init(&found, 16);
	for (; *names != NULL; names++) {
		name = *names + strlen("plugin/");
		array_push_back(&found, &name);
	}
	array_append_zero(&found);
	return array_front(&found);
}

const char *recall_config_find_ns(const struct recall_config *config,
				  const char *prefix)
{
	const char *const *names = t_strsplit_spaces(
		recall_config_get(config, "namespace"), " ");

	for (; *names != NULL; names++) {
		if (strcmp(recall_config_get_ns(config, *names, "prefix"),
			   prefix) == 0)
			return *names;
	}
	return NULL;
}

const char *recall_config_get_ns(const struct recall_config *config,
				 const char *ns, const char *name)
{
	return recall_config_get(config,
		t_strdup_printf("namespace/%s/%s", ns, name));
}

bool recall_config_ns_has_location(const struct recall_config *config,
				   const char *ns)
{
	return *recall_config_get_ns(config, ns, "location") != '\0';
}

static bool config_quota_has_rule(const struct recall_config *config,
				  const char *root, const char *rule)
{
	const char *const *names = recall_config_find(config,
		t_strdup_printf("plugin/%s_rule", root));

	for (; *names != NULL; names++) {
		if (strcmp(recall_config_get(config, *names), rule) == 0)
			return TRUE;
	}
	return FALSE;
}

/* One with ns=PREFIX counts in that namespace alone. */
static bool config_quota_counts(const char *root, const char *prefix)
{
	const char *const *params = t_strsplit(root, ":");

	for (; *params != NULL; params++) {
		if (str_begins(*params, "ns="))
			return strcmp(*params + strlen("ns="), prefix) == 0;
	}
	return TRUE;
}

const char *
recall_config_ns_get_quota_error(const struct recall_config *config,
				 const char *ns)
{
	const char *prefix = recall_config_get_ns(config, ns, "prefix");
	const char *rule = t_strconcat(prefix, "*:ignore", NULL);
	const char *value, *root = "quota";
	unsigned int i;

	/* each has rules of its own */
	for (i = 2; ; i++) {
		value = recall_config_get(config,
					  t_strconcat("plugin/", root, NULL));
		if (*value == '\0')
			return NULL;
		if (config_quota_counts(value, prefix) &&
		    !config_quota_has_rule(config, root, rule))
			break;
		root = t_strdup_printf("quota%u", i);
	}
	return t_strdup_printf("%s_rule has no %s", root, rule);
}

const char *
recall_config_ns_get_count_error(const struct recall_config *config ATTR_UNUSED,
				 const char *ns ATTR_UNUSED)
{
	return NULL;
}

const char *
recall_config_get_requests(const struct recall_config *config,
			   const char **name_r)
{
	*name_r = "service_count";
	return recall_config_get(config, "service/doveadm/service_count");
}

bool recall_config_needs_one_request(const struct recall_config *config)
{
	const char *port = recall_config_get(config, "doveadm_port");

	if (*port == '\0' || strcmp(port, "0") == 0)
		return FALSE;
	/* a userdb may have mail_replica */
	return *recall_config_get(config, "plugin/mail_replica") != '\0' ||
		recall_config_has(config, "mail_plugins", "replication");
}
