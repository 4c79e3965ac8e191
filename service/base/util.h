#ifndef UTIL_H
#define UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that is there or the process is not: none of these return NULL. */
void *x_calloc(size_t count, size_t size);
void *x_realloc(void *p, size_t size);
char *x_strdup(const char *s);
char *x_strndup(const char *s, size_t len);
char *x_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, but NULL if there is no memory: for what a client's request makes as
   large as it likes. */
char *try_strndup(const char *s, size_t len);

/* Overwrites the string before it is freed. NULL is fine. */
void free_secret(char *s);

/* A text that grows. Zeroed is empty; free(data) ends it. */
struct strbuf {
	char *data;
	size_t len;
	size_t size;
};

/* The data stays NUL-terminated. */
void strbuf_add(struct strbuf *b, const void *data, size_t len);
/* Returns false if there is no memory, and leaves it as it is. */
bool strbuf_try_add(struct strbuf *b, const void *data, size_t len);
void strbuf_addf(struct strbuf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A list of strings. Zeroed is empty. */
struct strlist {
	char **items;
	size_t count;
	size_t size;
};

void strlist_add(struct strlist *l, const char *s);
void strlist_free(struct strlist *l);
/* Adds the words that are separated by spaces, tabs or commas. */
void strlist_split(struct strlist *l, const char *s);

/* Milliseconds on a clock that never goes back. */
int64_t now_ms(void);

/* len octets as 2 * len hexadecimal digits and a NUL. */
void hex_encode(const void *data, size_t len, char *out);
/* 2 * octets random hexadecimal digits and a NUL. */
void random_hex(size_t octets, char *out);

/* Base64 with padding (RFC 4648, 4); the caller frees. */
char *base64_encode(const void *data, size_t len);
/* Base64url without padding (RFC 4648, 5); the caller frees. */
char *base64url_encode(const void *data, size_t len);
/* Decodes strictly: no padding (url) or the right one, no other character, no
   bits left over that are not zero. Returns NULL if it is not base64;
   otherwise a NUL-terminated buffer that the caller frees. */
unsigned char *base64_decode(const char *in, size_t len, size_t *len_r);
unsigned char *base64url_decode(const char *in, size_t len, size_t *len_r);

/* ASCII only: Dovecot's auth process does no more to a user name. */
void ascii_lower(char *s);

/* Whether it is UTF-8 without NUL. */
bool utf8_valid(const char *s, size_t len);

/* How many octets of a valid text make whole characters and are no more than
   max. */
size_t utf8_cut(const char *s, size_t max);

/* Whether there is a control character of ASCII in it. */
bool has_control(const char *s);

/* Whether other users than its owner and group can read the file. */
bool file_is_open_to_others(const char *path);
/* The file's contents without trailing newlines, or NULL with the reason in
   error_r (the caller frees it). One that others can read is refused. */
char *read_secret_file(const char *path, char **error_r);
/* The file as it is. */
char *read_whole_file(const char *path, char **error_r);

#endif
