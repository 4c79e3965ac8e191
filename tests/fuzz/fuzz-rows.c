/* Rows of another node's doveadm. They say the same in whatever pieces they
   come, and columns that are written are read. The first two octets say how
   many columns there are, and how long the pieces. */
#include "lib.h"
#include "str.h"
#include "strescape.h"

/* most inputs are of longer rows than that */
#define RECALL_PROXY_WHOLE_SIZE 48
#include "recall-proxy-row.c"

#include "fuzz.h"

/* Pieces of a size. */
#define PIECES_SAME 16

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	(void)atexit(lib_deinit);
	return 0;
}

static bool
read_part(struct recall_proxy_row *row, const unsigned char *data, size_t size,
	  struct recall_proxy_part *part_r, int *ret_r)
{
	const char *error = NULL;
	int ret;

	ret = recall_proxy_row_begin(row, data, size, &error);
	if (ret > 0)
		ret = recall_proxy_row_read(row, data, size, part_r, &error);
	require((error != NULL) == (ret < 0));
	if (ret > 0) {
		require(part_r->size > 0 && part_r->size <= size);
		require(part_r->end == (part_r->text == NULL));
	}
	*ret_r = ret;
	return ret > 0;
}

/* Reads all there is, as a connection does: in pieces that grow, since each is
   looked at with what has come before. Returns "|" after each column and
   "\n" after each row, "." for the end of the rows, "!" for what is no row, "?"
   where the input ends early: all of them escaped in columns. */
static string_t *read_rows(unsigned int columns, const unsigned char *data,
			   size_t size, size_t piece)
{
	struct recall_proxy_row row = { .columns = columns };
	struct recall_proxy_part part;
	string_t *out = t_str_new(size * 2 + 16);
	size_t come = I_MIN(piece, size), taken = 0;
	unsigned int pieces = 0;
	int ret;

	for (;;) {
		if (read_part(&row, data + taken, come - taken, &part, &ret)) {
			taken += part.size;
			if (part.end) {
				str_append_c(out, '.');
				return out;
			}
			str_append_tabescaped_n(out, str_data(part.text),
						str_len(part.text));
			if (part.last)
				str_append_c(out, '\t');
			if (recall_proxy_row_next(&row, &part))
				str_append_c(out, '\n');
		} else if (ret < 0 || come == size) {
			str_append_c(out, ret < 0 ? '!' : '?');
			return out;
		} else {
			come = I_MIN(size, come + piece);
			if (++pieces % PIECES_SAME == 0)
				piece *= 2;
		}
	}
}

/* All of the input as columns of rows. */
static void check_written(unsigned int columns, const unsigned char *data,
			  size_t size)
{
	string_t *rows = t_str_new(size * 2 + 16);
	string_t *out, *expected = t_str_new(size * 2 + 16);
	size_t i, len = size / columns;

	for (i = 0; i < columns; i++) {
		str_append_tabescaped_n(rows, data + i * len, len);
		str_append_c(rows, '\t');
	}
	str_append_str(expected, rows);
	str_append(expected, "\n.");
	str_append_c(rows, '\n');
	out = read_rows(columns, str_data(rows), str_len(rows), SIZE_MAX / 2);
	require(str_equals(out, expected));
}

/* What is no row is seen before any of it is printed, or later if it is not
   there yet and too long to wait for. */
static bool say_the_same(const string_t *whole, const string_t *pieces)
{
	size_t len = str_len(whole) - 1;

	return str_equals(whole, pieces) ||
		(str_data(whole)[len] == '!' &&
		 str_data(pieces)[str_len(pieces) - 1] == '!' &&
		 str_len(pieces) > len &&
		 memcmp(str_data(whole), str_data(pieces), len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int columns;
	size_t piece;
	string_t *whole, *pieces;

	if (size < 2)
		return 0;
	columns = 1 + data[0] % 16;
	piece = 1 + data[1];
	data += 2;
	size -= 2;
	T_BEGIN {
		whole = read_rows(columns, data, size, size);
		pieces = read_rows(columns, data, size, piece);
		require(size >= RECALL_PROXY_WHOLE_SIZE ?
			say_the_same(whole, pieces) :
			str_equals(whole, pieces));
		check_written(columns, data, size);
	} T_END;
	return 0;
}
