#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "params.h"
#include "roles.h"

/* Whether the flag may be set. */
static bool is_flagged(const struct http_request *request, const char *name)
{
	struct strlist values = { NULL, 0, 0 };
	bool flag = false, value;
	size_t i;

	param_values(request, name, &values);
	for (i = 0; i < values.count; i++)
		flag = flag || !param_parse_flag(values.items[i], &value) ||
			value;
	strlist_free(&values);
	return flag;
}

/* Whether there is no other value than this one. */
static bool has_only(const struct http_request *request, const char *name,
		     const char *value, int (*cmp)(const char *, const char *))
{
	struct strlist values = { NULL, 0, 0 };
	bool ok = true;
	size_t i;

	param_values(request, name, &values);
	for (i = 0; i < values.count; i++)
		ok = ok && value != NULL && cmp(values.items[i], value) == 0;
	strlist_free(&values);
	return ok;
}

bool may_anything(const struct http_request *request)
{
	(void)request;
	return true;
}

bool may_recall_own(const struct http_request *request)
{
	const struct config *config = request->config;

	/* a query finds more than what a user has sent, and reading headers
	   costs others' mailboxes more than a user may ask of them */
	return config->auth_revoke_email && !is_flagged(request, "all") &&
	       !param_is_given(request, "query") &&
	       !is_flagged(request, "verify_headers") &&
	       (config->auth_force_revoke || !is_flagged(request, "force"));
}

bool may_search_named(const struct http_request *request)
{
	return !is_flagged(request, "all");
}

bool may_own_tenant(const struct http_request *request)
{
	return !is_flagged(request, "all") ||
	       *request->identity.tenant != '\0';
}

bool may_search_own(const struct http_request *request)
{
	/* of what one has sent oneself in others' mailboxes only the verdicts
	   of a recall tell */
	return !is_flagged(request, "all") &&
	       has_only(request, "emails", request->identity.login, strcasecmp);
}

/* Whether it says nothing of what is in a message. */
static bool is_header_field(const char *field)
{
	static const char *const fields[] = {
		"user", "mailbox", "mailbox-guid", "uid", "guid", "flags",
		"hdr", "hdr.", "date.", "size."
	};
	size_t i, len;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		len = strlen(fields[i]);
		if (fields[i][len - 1] == '.' ?
		    strncmp(field, fields[i], len) == 0 :
		    strcmp(field, fields[i]) == 0)
			return true;
	}
	return false;
}

/* Whether the caller may be shown the fields that are asked for. */
static bool may_see_fields(const struct http_request *request)
{
	struct strlist values = { NULL, 0, 0 }, names = { NULL, 0, 0 };
	bool ok = true;
	size_t i;

	if (config_has_role(request->config->rights_fetch_body,
			    request->identity.role))
		return true;
	param_values(request, "fields", &values);
	for (i = 0; i < values.count; i++)
		strlist_split(&names, values.items[i]);
	for (i = 0; i < names.count && ok; i++)
		ok = is_header_field(names.items[i]);
	strlist_free(&values);
	strlist_free(&names);
	return ok;
}

bool may_fetch_named(const struct http_request *request)
{
	return may_search_named(request) && may_see_fields(request);
}

bool may_fetch_own(const struct http_request *request)
{
	return may_search_own(request) && may_see_fields(request);
}

bool may_export(const struct http_request *request)
{
	return config_has_role(request->config->rights_export,
			       request->identity.role);
}

bool may_share_own(const struct http_request *request)
{
	char *owner = http_request_path_part(request);
	bool own = strcasecmp(owner, request->identity.login) == 0;

	free(owner);
	return own;
}

bool may_revoke_own(const struct http_request *request)
{
	return !is_flagged(request, "all") &&
	       has_only(request, "login", request->identity.login,
			strcasecmp) &&
	       has_only(request, "jti", request->identity.jti, strcmp);
}
