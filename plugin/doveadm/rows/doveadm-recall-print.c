#include "lib.h"
#include "dovecot-compat.h"
#include "buffer.h"
#include "ostream.h"
#include "str.h"
#include "str-sanitize.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-params.h"
#include "doveadm-recall-print.h"

static struct {
	const struct recall_print_column *columns;
	unsigned int count, username_idx, idx;
	/* the titles were printed */
	bool begun;
	bool is_short;
} print;

unsigned int recall_print_find(const char *name)
{
	unsigned int idx = 0;

	while (idx < print.count &&
	       strcmp(print.columns[idx].name, name) != 0)
		idx++;
	return idx;
}

void recall_print_init(const char *format,
		       const struct recall_print_column *columns,
		       unsigned int count)
{
	i_zero(&print);
	print.columns = columns;
	print.count = count;
	print.username_idx = recall_print_find(RECALL_COLUMN_USERNAME);
	/* -f and servers have chosen already */
	print.is_short = !doveadm_print_is_initialized() && !doveadm_verbose;
	doveadm_print_init(format);
}

static bool print_is_hidden(unsigned int idx)
{
	return print.is_short &&
		(print.columns[idx].flags & RECALL_PRINT_WIDE) != 0;
}

static void print_begin(void)
{
	enum doveadm_print_header_flags flags;
	unsigned int i;

	if (print.begun)
		return;
	print.begun = TRUE;
	for (i = 0; i < print.count; i++) {
		const struct recall_print_column *column = &print.columns[i];

		flags = (column->flags & RECALL_PRINT_RIGHT_JUSTIFY) == 0 ? 0 :
			DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY;
		if (!print_is_hidden(i)) {
			doveadm_print_header(column->name, column->name,
					     flags);
		}
	}
}

static void print_next(void)
{
	print.idx = (print.idx + 1) % print.count;
}

void recall_print(const char *value)
{
	const struct recall_print_column *column = &print.columns[print.idx];

	print_begin();
	if (print.is_short && column->max_chars > 0)
		value = str_sanitize_utf8(value, column->max_chars);
	if (print.is_short && (column->flags & RECALL_PRINT_DAY) != 0)
		value = t_strcut(value, 'T');
	if (!print_is_hidden(print.idx))
		doveadm_print(value);
	print_next();
}

void recall_print_stream(const void *data, size_t size)
{
	print_begin();
	if (!print_is_hidden(print.idx))
		doveadm_print_stream(data, size);
	if (size == 0)
		print_next();
}

bool recall_print_is_short(void)
{
	return print.is_short;
}

unsigned int recall_print_get_count(void)
{
	return print.count;
}

unsigned int recall_print_get_username_idx(void)
{
	return print.username_idx;
}

void recall_print_finish(void)
{
	if (doveadm_exit_code == 0)
		print_begin();
}

/* Of all formatters only that of JSON answers the lack of rows with anything
   but a line feed: an empty list. It does so once. */
static bool print_is_json(void)
{
	static unsigned char data[64];
	static buffer_t buf;
	struct ostream *output = doveadm_print_ostream;

	if (!doveadm_print_is_initialized())
		return FALSE;
	buffer_create_from_data(&buf, data, sizeof(data));
	doveadm_print_ostream = o_stream_create_buffer(&buf);
	o_stream_set_no_error_handling(doveadm_print_ostream, TRUE);
	doveadm_print_flush();
	o_stream_destroy(&doveadm_print_ostream);
	doveadm_print_ostream = output;
	return buf.used > 0 && data[0] == '[';
}

void recall_cmd_error(const struct doveadm_cmd_context *cctx, int exit_code,
		      const char *format, ...)
{
	string_t *str;
	const char *text;
	va_list args;

	va_start(args, format);
	text = t_strdup_printf("%s: %s", cctx->cmd->name,
			       t_strdup_vprintf(format, args));
	va_end(args);
	i_error("%s", text);
	doveadm_exit_code = exit_code;
	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI || print.begun ||
	    !print_is_json())
		return;
	/* as doveadm's HTTP API has it, and the reason */
	str = t_str_new(256);
	str_printfa(str, "{\"error\":{\"type\":\"exitCode\",\"exitCode\":%d,"
		    "\"message\":\"", exit_code);
	json_append_escaped(str, text);
	str_append(str, "\"}}\n");
	o_stream_nsend(doveadm_print_ostream, str_data(str), str_len(str));
}
