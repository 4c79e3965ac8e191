#include "lib.h"
#include "dovecot-compat.h"
#include "buffer.h"
#include "ostream.h"
#include "str.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-text.h"
#include "recall-utf8.h"
#include "doveadm-recall-rows.h"

struct recall_rows {
	const struct doveadm_cmd_context *cctx;
	const struct recall_column *columns;
	/* of columns, and which one comes next */
	unsigned int count, idx;
	int exit_code;
	/* the titles were printed */
	bool begun;
	bool is_short;
};

struct recall_rows *
recall_rows_init(const struct doveadm_cmd_context *cctx, const char *format,
		 const struct recall_column *columns, unsigned int count)
{
	struct recall_rows *rows = i_new(struct recall_rows, 1);

	rows->cctx = cctx;
	rows->columns = columns;
	rows->count = count;
	/* -f and servers have chosen already */
	rows->is_short = !doveadm_print_is_initialized() && !doveadm_verbose;
	doveadm_print_init(format);
	return rows;
}

void recall_rows_deinit(struct recall_rows **_rows)
{
	i_free(*_rows);
}

static bool rows_hide(const struct recall_rows *rows, unsigned int idx)
{
	return rows->is_short &&
		(rows->columns[idx].flags & RECALL_COLUMN_FLAG_WIDE) != 0;
}

static void rows_begin(struct recall_rows *rows)
{
	enum doveadm_print_header_flags flags;
	unsigned int i;

	if (rows->begun)
		return;
	rows->begun = TRUE;
	for (i = 0; i < rows->count; i++) {
		const struct recall_column *column = &rows->columns[i];

		flags = 0;
		if ((column->flags & RECALL_COLUMN_FLAG_RIGHT_JUSTIFY) != 0)
			flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY;
		if (!rows_hide(rows, i)) {
			doveadm_print_header(column->name, column->name,
					     flags);
		}
	}
}

static void rows_next(struct recall_rows *rows)
{
	rows->idx = (rows->idx + 1) % rows->count;
}

void recall_rows_add(struct recall_rows *rows, const char *value)
{
	const struct recall_column *column = &rows->columns[rows->idx];

	rows_begin(rows);
	if (value == NULL)
		value = "";
	/* formats for people and scripts have no escapes: a mailbox's name must
	   not look like another row */
	if (rows->cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI &&
	    (column->flags & RECALL_COLUMN_FLAG_LINES) == 0 &&
	    recall_text_has_control(value))
		value = recall_utf8_line(value, UINT_MAX);
	if (rows->is_short && column->max_chars > 0)
		value = recall_utf8_line(value, column->max_chars);
	if (rows->is_short && (column->flags & RECALL_COLUMN_FLAG_DAY) != 0)
		value = t_strcut(value, 'T');
	if (!rows_hide(rows, rows->idx))
		doveadm_print(value);
	rows_next(rows);
}

void recall_rows_add_stream(struct recall_rows *rows, const void *data,
			    size_t size)
{
	rows_begin(rows);
	if (!rows_hide(rows, rows->idx))
		doveadm_print_stream(data, size);
	if (size == 0)
		rows_next(rows);
}

void recall_rows_add_known(struct recall_rows *rows, ...)
{
	const char *name, *value, **values;
	va_list args;
	unsigned int i;

	/* no column has the index count */
	values = t_new(const char *, rows->count + 1);
	for (i = 0; i < rows->count; i++) {
		if ((rows->columns[i].flags & RECALL_COLUMN_FLAG_NUMBER) != 0)
			values[i] = "0";
	}
	va_start(args, rows);
	while ((name = va_arg(args, const char *)) != NULL) {
		value = va_arg(args, const char *);
		values[recall_rows_find(rows, name)] = value;
	}
	va_end(args);
	for (i = 0; i < rows->count; i++)
		recall_rows_add(rows, values[i]);
}

void recall_rows_set_exit_code(struct recall_rows *rows, int exit_code)
{
	if (rows->exit_code == 0 || exit_code == EX_TEMPFAIL)
		rows->exit_code = exit_code;
}

void recall_rows_send(struct recall_rows *rows)
{
	if (rows->cctx->conn_type != DOVEADM_CONNECTION_TYPE_TCP)
		return;
	/* in 2.3 rows stay in the formatter until there are as many as the
	   process has had commands; and doveadm-server has corked the stream */
	doveadm_print_flush();
	o_stream_uncork(doveadm_print_ostream);
	o_stream_cork(doveadm_print_ostream);
}

void recall_rows_finish(struct recall_rows *rows)
{
	if (doveadm_exit_code == 0 && rows->exit_code == 0)
		rows_begin(rows);
	doveadm_print_flush();
	if (rows->cctx->conn_type != DOVEADM_CONNECTION_TYPE_HTTP &&
	    (doveadm_exit_code == 0 || rows->exit_code == EX_TEMPFAIL))
		doveadm_exit_code = rows->exit_code;
}

bool recall_rows_is_short(const struct recall_rows *rows)
{
	return rows->is_short;
}

unsigned int recall_rows_get_count(const struct recall_rows *rows)
{
	return rows->count;
}

unsigned int recall_rows_find(const struct recall_rows *rows, const char *name)
{
	unsigned int i;

	for (i = 0; i < rows->count; i++) {
		if (strcmp(rows->columns[i].name, name) == 0)
			break;
	}
	return i;
}

/* Of all formatters only that of JSON answers the lack of rows with anything
   but a line feed: an empty list. It does so once. */
static bool print_is_json(void)
{
	unsigned char data[64];
	buffer_t buf;
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

static void ATTR_FORMAT(4, 0)
cmd_error(const struct doveadm_cmd_context *cctx, int exit_code, bool begun,
	  const char *format, va_list args)
{
	string_t *str;
	const char *text;

	text = t_strdup_printf("%s: %s", cctx->cmd->name,
			       t_strdup_vprintf(format, args));
	i_error("%s", text);
	doveadm_exit_code = exit_code;
	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI || begun ||
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

void recall_rows_error(const struct recall_rows *rows, int exit_code,
		       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cmd_error(rows->cctx, exit_code, rows->begun, format, args);
	va_end(args);
}

void recall_cmd_error(const struct doveadm_cmd_context *cctx, int exit_code,
		      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cmd_error(cctx, exit_code, FALSE, format, args);
	va_end(args);
}
