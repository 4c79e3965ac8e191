#include "lib.h"
#include "str.h"
#include "var-expand.h"
#include "recall-share-prefix.h"

int recall_share_prefix_expand(string_t *dest, const char *prefix,
			       const char *owner, const char **error_r)
{
	const char *domain = strchr(owner, '@');
	const struct var_expand_table table[] = {
		{ 'u', owner, "user" },
		{ 'n', t_strcut(owner, '@'), "username" },
		{ 'd', domain == NULL ? "" : domain + 1, "domain" },
		{ '\0', NULL, NULL }
	};

	return var_expand(dest, prefix, table, error_r) <= 0 ? -1 : 0;
}
