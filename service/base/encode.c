#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "alloc.h"
#include "encode.h"

void hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++) {
		out[i * 2] = digits[p[i] >> 4];
		out[i * 2 + 1] = digits[p[i] & 15];
	}
	out[len * 2] = '\0';
}

void random_hex(size_t octets, char *out)
{
	unsigned char buf[64];

	if (octets > sizeof(buf) || RAND_bytes(buf, octets) != 1) {
		fputs("mail-recalld: no random numbers\n", stderr);
		abort();
	}
	hex_encode(buf, octets, out);
	OPENSSL_cleanse(buf, sizeof(buf));
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *
encode(const char *digits, bool pad, const unsigned char *in, size_t len)
{
	char *out = x_calloc((len + 2) / 3 * 4 + 1, 1), *p = out;
	size_t i;

	for (i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)in[i] << 16;

		if (left > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			v |= in[i + 2];
		*p++ = digits[v >> 18];
		*p++ = digits[(v >> 12) & 63];
		if (left > 1)
			*p++ = digits[(v >> 6) & 63];
		else if (pad)
			*p++ = '=';
		if (left > 2)
			*p++ = digits[v & 63];
		else if (pad)
			*p++ = '=';
	}
	return out;
}

char *base64_encode(const void *data, size_t len)
{
	return encode(base64_digits, true, data, len);
}

char *base64url_encode(const void *data, size_t len)
{
	return encode(base64url_digits, false, data, len);
}

static unsigned char *
decode(const char *digits, const char *in, size_t len, size_t *len_r)
{
	unsigned char *out = x_calloc(len / 4 * 3 + 4, 1);
	uint32_t v = 0;
	size_t i, n = 0;
	unsigned int bits = 0;

	for (i = 0; i < len; i++) {
		const char *p = in[i] == '\0' ? NULL : strchr(digits, in[i]);

		if (p == NULL)
			break;
		v = (v << 6) | (uint32_t)(p - digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (v >> bits) & 0xff;
			v &= (1U << bits) - 1;
		}
	}
	if (i < len || len % 4 == 1 || v != 0) {
		free(out);
		return NULL;
	}
	*len_r = n;
	return out;
}

unsigned char *base64_decode(const char *in, size_t len, size_t *len_r)
{
	if (len % 4 != 0)
		return NULL;
	if (len > 0 && in[len - 1] == '=')
		len -= in[len - 2] == '=' ? 2 : 1;
	return decode(base64_digits, in, len, len_r);
}

unsigned char *base64url_decode(const char *in, size_t len, size_t *len_r)
{
	return decode(base64url_digits, in, len, len_r);
}
