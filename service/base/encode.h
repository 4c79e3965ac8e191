#ifndef ENCODE_H
#define ENCODE_H

#include <stddef.h>

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

#endif
