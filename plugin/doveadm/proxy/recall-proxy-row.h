#ifndef RECALL_PROXY_ROW_H
#define RECALL_PROXY_ROW_H

/* Rows as they come from a doveadm-server: columns, tab-escaped and each ended
   by a TAB, and an empty line after the last row. */

/* Octets up to which a row or a column is waited for until it's complete. A
   fuzzer's inputs are shorter. */
#ifndef RECALL_PROXY_WHOLE_SIZE
#  define RECALL_PROXY_WHOLE_SIZE (16 * 1024)
#endif

struct recall_proxy_row {
	/* how many a row has, and which one comes next */
	unsigned int columns, column;
	/* of which a part was taken already */
	bool in_column;
};

struct recall_proxy_part {
	/* Of the column: all of it if it is last and not row->in_column.
	   Unescaped, of the data stack. */
	string_t *text;
	bool last;
	/* The empty line: there are no more rows, and no text. */
	bool end;
	/* Octets of input that it was. */
	size_t size;
};

/* Returns 1 if the row that begins with the data may be begun, 0 if more input
   is to be waited for, since it may turn out to be incomplete; -1 if it is. */
int recall_proxy_row_begin(const struct recall_proxy_row *row,
			   const unsigned char *data, size_t size,
			   const char **error_r);
/* Reads the next part. Returns 1 if there is one, 0 if more input is to be
   waited for, -1 if this is no row. */
int recall_proxy_row_read(const struct recall_proxy_row *row,
			  const unsigned char *data, size_t size,
			  struct recall_proxy_part *part_r,
			  const char **error_r);
/* Called when the part was dealt with. Returns TRUE if that was the end of the
   row. */
bool recall_proxy_row_next(struct recall_proxy_row *row,
			   const struct recall_proxy_part *part);

#endif
