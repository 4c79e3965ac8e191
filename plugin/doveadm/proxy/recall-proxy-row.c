#include "lib.h"
#include "str.h"
#include "strescape.h"
#include "recall-utf8.h"
#include "recall-proxy-row.h"

static bool row_is_begun(const struct recall_proxy_row *row)
{
	return row->in_column || row->column > 0;
}

int recall_proxy_row_begin(const struct recall_proxy_row *row,
			   const unsigned char *data, size_t size,
			   const char **error_r)
{
	unsigned int columns = row->columns;
	size_t i;

	if (row_is_begun(row))
		return 1;
	for (i = 0; i < size && columns > 0; i++) {
		if (data[i] == '\n' && i > 0) {
			*error_r = "A row is incomplete";
			return -1;
		}
		if (data[i] == '\n')
			return 1;
		if (data[i] == '\t')
			columns--;
	}
	return columns == 0 || size >= RECALL_PROXY_WHOLE_SIZE ? 1 : 0;
}

/* What is escaped must not be taken apart: \001 and an octet, which may be
   another \001. */
static size_t row_whole_escapes(const unsigned char *data, size_t len)
{
	size_t count = 0;

	while (count < len && data[len - 1 - count] == '\001')
		count++;
	return len - count % 2;
}

int recall_proxy_row_read(const struct recall_proxy_row *row,
			  const unsigned char *data, size_t size,
			  struct recall_proxy_part *part_r,
			  const char **error_r)
{
	string_t *text;
	size_t len;

	i_zero(part_r);
	for (len = 0; len < size; len++) {
		if (data[len] == '\t' || data[len] == '\n')
			break;
	}
	if (len < size && data[len] == '\n') {
		if (len > 0 || row_is_begun(row)) {
			*error_r = "A row is incomplete";
			return -1;
		}
		part_r->end = TRUE;
		part_r->size = 1;
		return 1;
	}
	if (len < size) {
		part_r->last = TRUE;
		part_r->size = len + 1;
	} else {
		/* doveadm's formatter "tab" makes a column of each part of a
		   field */
		if (!row->in_column && size < RECALL_PROXY_WHOLE_SIZE)
			return 0;
		len = recall_utf8_whole_size(data, len);
		len = row_whole_escapes(data, len);
		if (len == 0)
			return 0;
		part_r->size = len;
	}
	text = t_str_new(len + 1);
	str_append_tabunescaped(text, data, len);
	part_r->text = text;
	return 1;
}

bool recall_proxy_row_next(struct recall_proxy_row *row,
			   const struct recall_proxy_part *part)
{
	row->in_column = !part->last;
	if (!part->last || ++row->column < row->columns)
		return FALSE;
	row->column = 0;
	return TRUE;
}
