#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "util.h"

/* A configuration file or key that is larger than this is a mistake. */
#define FILE_SIZE_MAX (1024 * 1024)

static void *check_memory(void *p)
{
	if (p == NULL) {
		fputs("mail-recalld: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *x_calloc(size_t count, size_t size)
{
	return check_memory(calloc(count > 0 ? count : 1, size));
}

void *x_realloc(void *p, size_t size)
{
	return check_memory(realloc(p, size));
}

char *x_strdup(const char *s)
{
	return check_memory(strdup(s));
}

char *try_strndup(const char *s, size_t len)
{
	char *p = malloc(len + 1);

	if (p != NULL) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return p;
}

char *x_strndup(const char *s, size_t len)
{
	return check_memory(try_strndup(s, len));
}

char *x_asprintf(const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	va_end(args);
	return check_memory(s);
}

void free_secret(char *s)
{
	if (s != NULL)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
}

bool strbuf_try_add(struct strbuf *b, const void *data, size_t len)
{
	if (b->len + len + 1 > b->size) {
		size_t size = (b->len + len + 1) * 2;
		char *p = realloc(b->data, size);

		if (p == NULL)
			return false;
		b->data = p;
		b->size = size;
	}
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	if (!strbuf_try_add(b, data, len))
		(void)check_memory(NULL);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	va_end(args);
	check_memory(s);
	strbuf_add(b, s, strlen(s));
	free(s);
}

void strlist_add(struct strlist *l, const char *s)
{
	if (l->count == l->size) {
		l->size = l->size == 0 ? 4 : l->size * 2;
		l->items = x_realloc(l->items, l->size * sizeof(char *));
	}
	l->items[l->count++] = x_strdup(s);
}

void strlist_free(struct strlist *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	memset(l, 0, sizeof(*l));
}

void strlist_split(struct strlist *l, const char *s)
{
	static const char separators[] = " \t,";
	char *word;
	size_t len;

	for (;;) {
		s += strspn(s, separators);
		len = strcspn(s, separators);
		if (len == 0)
			return;
		word = x_strndup(s, len);
		strlist_add(l, word);
		free(word);
		s += len;
	}
}

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

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

void ascii_lower(char *s)
{
	for (; *s != '\0'; s++) {
		if (*s >= 'A' && *s <= 'Z')
			*s += 'a' - 'A';
	}
}

bool utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;

	while (p < end) {
		uint32_t c = *p++, min;
		unsigned int more;

		if (c == 0)
			return false;
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf) {
			more = 1;
			min = 0x80;
			c &= 0x1f;
		} else if ((c & 0xf0) == 0xe0) {
			more = 2;
			min = 0x800;
			c &= 0x0f;
		} else if (c >= 0xf0 && c <= 0xf4) {
			more = 3;
			min = 0x10000;
			c &= 0x07;
		} else {
			return false;
		}
		while (more-- > 0) {
			if (p == end || (*p & 0xc0) != 0x80)
				return false;
			c = (c << 6) | (*p++ & 0x3f);
		}
		if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
	}
	return true;
}

size_t utf8_cut(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	if (len <= max)
		return len;
	for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80; )
		len--;
	return len;
}

bool has_control(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

char *read_whole_file(const char *path, char **error_r)
{
	struct strbuf buf = { NULL, 0, 0 };
	char block[4096];
	size_t n;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL) {
		*error_r = x_asprintf("open(%s): %s", path, strerror(errno));
		return NULL;
	}
	strbuf_add(&buf, "", 0);
	while ((n = fread(block, 1, sizeof(block), f)) > 0 &&
	       buf.len <= FILE_SIZE_MAX)
		strbuf_add(&buf, block, n);
	OPENSSL_cleanse(block, sizeof(block));
	if (ferror(f) || buf.len > FILE_SIZE_MAX) {
		*error_r = x_asprintf("read(%s): %s", path,
				      ferror(f) ? strerror(errno) : "too large");
		fclose(f);
		free_secret(buf.data);
		return NULL;
	}
	fclose(f);
	return buf.data;
}

bool file_is_open_to_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

char *read_secret_file(const char *path, char **error_r)
{
	char *s;
	size_t len;

	if (file_is_open_to_others(path)) {
		*error_r = x_asprintf("%s: is a secret that others can read "
				      "(chmod o-r)", path);
		return NULL;
	}
	s = read_whole_file(path, error_r);
	if (s == NULL)
		return NULL;
	len = strlen(s);
	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == '\r'))
		s[--len] = '\0';
	return s;
}
