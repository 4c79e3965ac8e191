#ifndef RECALL_FETCH_FIELDS_H
#define RECALL_FETCH_FIELDS_H

#include "mail-storage.h"

struct istream;
struct recall_listing;

/* Reads a field's value. Returns -1 on error, which is in the mail's
   storage. */
typedef int recall_fetch_get_t(struct mail *mail, const char **value_r);
/* Opens a field that may be large. The caller unreferences input_r. */
typedef int recall_fetch_open_t(struct mail *mail, struct istream **input_r);

struct recall_fetch_field {
	/* as doveadm fetch has them, see doveadm-fetch(1) */
	const char *name;
	/* of hdr.<name>, or NULL */
	const char *header;
	enum mail_fetch_field wanted;
	/* one of these; neither if it's the header, or a text of struct
	   recall_listing */
	recall_fetch_get_t *get;
	recall_fetch_open_t *open;
	size_t listing_offset;
};
ARRAY_DEFINE_TYPE(recall_fetch_field, struct recall_fetch_field);

/* Parses names separated by spaces. fields must have been created; each field
   is added once. Returns -1 if a name is unknown or there is none; error_r
   then lists what there is. */
int recall_fetch_fields_parse(pool_t pool, const char *str,
			      ARRAY_TYPE(recall_fetch_field) *fields,
			      const char **error_r);

/* Prints the field as one column, whatever happens. Returns -1 if it could not
   be read as a whole; error_r is why. */
int recall_fetch_field_print(const struct recall_fetch_field *field,
			     const struct recall_listing *listing,
			     struct mail *mail, const char **error_r);

#endif
