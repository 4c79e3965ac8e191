#ifndef HTTP_LIMITS_H
#define HTTP_LIMITS_H

/* What there is no memory for is refused with 503, where it depends on what the
   client sent; this is the reason. */
#define HTTP_NO_MEMORY http_no_memory
extern const char http_no_memory[];

/* Parameters beside the addresses. */
#define HTTP_PARAMS_EXTRA 64
/* No value that is not a list is longer, nor is an item of one; what copies
   them need not think of memory. */
#define HTTP_VALUE_MAX 65536
/* Nor is a name, which a JSON array's items have a copy of each. */
#define HTTP_NAME_MAX 255

#endif
