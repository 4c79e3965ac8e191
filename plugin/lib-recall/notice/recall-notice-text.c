#include "lib.h"
#include "message-date.h"
#include "str.h"
#include "unichar.h"
#include "recall-notice-template.h"
#include "recall-notice-text.h"

#include <time.h>

enum char_class {
	CHAR_KEEP,
	CHAR_SPACE,
	CHAR_DROP,
	CHAR_REPLACE
};

static enum char_class classify(unichar_t chr)
{
	if (chr == ' ' || chr == '\t' || chr == '\r' || chr == '\n' ||
	    chr == 0x85 || chr == 0xa0 || chr == 0x2028 || chr == 0x2029)
		return CHAR_SPACE;
	if (chr < 0x20 || (chr >= 0x7f && chr < 0xa0))
		return CHAR_REPLACE;
	/* Embeddings, overrides and isolates reach beyond the value that
	   begins them. */
	if ((chr >= 0x202a && chr <= 0x202e) ||
	    (chr >= 0x2066 && chr <= 0x206f))
		return CHAR_REPLACE;
	/* Marks of direction and characters without any width: with them a
	   text can be made to look like another one. The joiners stay, as
	   scripts and emoji need them. */
	if (chr == 0xad || chr == 0x61c || chr == 0x180e ||
	    chr == 0x200b || chr == 0x200e || chr == 0x200f ||
	    (chr >= 0x2060 && chr <= 0x2065) || chr == 0xfeff ||
	    (chr >= 0xfff9 && chr <= 0xfffb) ||
	    (chr >= 0xe0000 && chr <= 0xe0fff))
		return CHAR_DROP;
	return CHAR_KEEP;
}

const char *recall_notice_clean(const char *text, unsigned int max_chars)
{
	const unsigned char *data = (const unsigned char *)text;
	size_t size = strlen(text), last_pos = 0;
	string_t *dest = t_str_new(I_MIN(size, max_chars * 4) + 8);
	unsigned int count = 0;
	bool space = FALSE;
	unichar_t chr;
	int len;

	while (size > 0) {
		enum char_class class = CHAR_REPLACE;

		len = uni_utf8_get_char_n(data, size, &chr);
		if (len <= 0)
			len = 1;
		else
			class = classify(chr);
		data += len;
		size -= len;

		if (class == CHAR_SPACE) {
			space = count > 0;
			continue;
		}
		if (class == CHAR_DROP)
			continue;
		/* of the last character that fits nothing is known until
		   another one follows */
		if (count + (space ? 1 : 0) >= max_chars) {
			str_truncate(dest, last_pos);
			str_append(dest, "\xe2\x80\xa6");
			break;
		}
		last_pos = str_len(dest);
		if (space) {
			str_append_c(dest, ' ');
			count++;
			space = FALSE;
		}
		if (class == CHAR_KEEP)
			str_append_data(dest, data - len, len);
		else
			str_append(dest, UNICODE_REPLACEMENT_CHAR_UTF8);
		count++;
	}
	return str_c(dest);
}

const char *recall_notice_format_date(const char *date)
{
	const char *clean = recall_notice_clean(date, RECALL_NOTICE_DATE_MAX);
	int tz;
	time_t timestamp;
	struct tm tm;

	/* Names of days and months would be English in every language. */
	if (!message_date_parse((const unsigned char *)clean, strlen(clean),
				&timestamp, &tz))
		return clean;
	timestamp += (time_t)tz * 60;
	if (gmtime_r(&timestamp, &tm) == NULL)
		return clean;
	return t_strdup_printf("%04d-%02d-%02d %02d:%02d (UTC%c%02d:%02d)",
			       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			       tm.tm_hour, tm.tm_min, tz < 0 ? '-' : '+',
			       abs(tz) / 60, abs(tz) % 60);
}

const char *
recall_notice_clean_or(const char *text, unsigned int max_chars,
		       const char *missing)
{
	text = text == NULL ? "" : recall_notice_clean(text, max_chars);
	return *text != '\0' ? text : missing;
}

string_t *
recall_notice_expand_body(const struct recall_notice_template *tmpl,
			  enum recall_notice_kind kind,
			  const char *const *values)
{
	string_t *text = t_str_new(1024);
	const char *const *lines = t_strsplit(tmpl->body[kind], "\n");
	size_t pos;

	for (; *lines != NULL; lines++) {
		pos = str_len(text);
		/* the text ends with LF: what follows it is no line */
		if (lines[1] == NULL && **lines == '\0')
			break;
		if (!recall_notice_template_expand(text, *lines, values)) {
			str_truncate(text, pos);
			continue;
		}
		str_append_c(text, '\n');
	}
	return text;
}
