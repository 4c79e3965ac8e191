#include "lib.h"
#include "str.h"
#include "recall-share-prefix.h"

/* As shared_storage_create() does: these are not var-expand's variables. */
int recall_share_prefix_expand(string_t *dest, const char *prefix,
			       const char *owner,
			       const char **error_r ATTR_UNUSED)
{
	const char *p = prefix, *domain = i_strchr_to_next(owner, '@');

	while (*p != '\0') {
		if (str_begins(p, "$username", &p))
			str_append(dest, t_strcut(owner, '@'));
		else if (str_begins(p, "$user", &p))
			str_append(dest, owner);
		else if (str_begins(p, "$domain", &p))
			str_append(dest, domain == NULL ? "" : domain);
		else
			str_append_c(dest, *p++);
	}
	return 0;
}
