#ifndef RECALL_SHARE_PREFIX_H
#define RECALL_SHARE_PREFIX_H

/* Expands the variables in the prefix setting of a shared namespace to what
   they are for the owner. */
int recall_share_prefix_expand(string_t *dest, const char *prefix,
			       const char *owner, const char **error_r);

#endif
