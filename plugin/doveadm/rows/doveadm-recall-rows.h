#ifndef RECALL_ROWS_H
#define RECALL_ROWS_H

struct doveadm_cmd_context;
struct recall_rows;

/* The rows of a recall command, on top of doveadm's: titles are printed with
   the first row, or when a command ends well without one, so that one which
   fails prints no empty table; and a terminal gets a short table, unless
   doveadm has been given -v, or a format with -f. */

enum recall_column_flags {
	RECALL_COLUMN_FLAG_RIGHT_JUSTIFY = 0x01,
	/* Left out of the short table. */
	RECALL_COLUMN_FLAG_WIDE = 0x02,
	/* A time, of which the short table has the day. */
	RECALL_COLUMN_FLAG_DAY = 0x04,
	/* A number: 0 where nothing is known, not empty. */
	RECALL_COLUMN_FLAG_NUMBER = 0x08,
	/* May have several lines. At the shell others have no control
	   characters. */
	RECALL_COLUMN_FLAG_LINES = 0x10,
};

struct recall_column {
	const char *name;
	enum recall_column_flags flags;
	/* Most characters in the short table; 0 if any number will do. */
	unsigned int max_chars;
};

/* format is the one that holds if there was no -f. The columns must live as
   long as the rows. */
struct recall_rows *
recall_rows_init(const struct doveadm_cmd_context *cctx, const char *format,
		 const struct recall_column *columns, unsigned int count);
/* Frees it. NULL is allowed. */
void recall_rows_deinit(struct recall_rows **rows);

/* Prints the next column; NULL is an empty one. */
void recall_rows_add(struct recall_rows *rows, const char *value);
/* Prints a part of it. One of size 0 ends the column. */
void recall_rows_add_stream(struct recall_rows *rows, const void *data,
			    size_t size);
/* Prints a whole row of which these columns are known alone: pairs of a name
   and a value, and NULL. Names of columns that the command doesn't have are
   passed over. */
void recall_rows_add_known(struct recall_rows *rows, ...) ATTR_SENTINEL;

/* Has another doveadm that asks know what there is by now. */
void recall_rows_send(struct recall_rows *rows);
/* The command's exit code, if nothing is worse. */
void recall_rows_set_exit_code(struct recall_rows *rows, int exit_code);
/* Called when no more rows will come. Sets doveadm_exit_code, but not over
   HTTP: doveadm drops the rows of a command that fails, and they have it all.
   */
void recall_rows_finish(struct recall_rows *rows);

/* Returns TRUE if the table is the short one. */
bool recall_rows_is_short(const struct recall_rows *rows);
unsigned int recall_rows_get_count(const struct recall_rows *rows);
/* Returns the place of the column, or the number of columns if there is none of
   that name. */
unsigned int recall_rows_find(const struct recall_rows *rows, const char *name);

/* Logs why the command is refused, or can't go on, and sets doveadm_exit_code.
   If no row was printed, doveadm -f json prints an object with the error. */
void recall_rows_error(const struct recall_rows *rows, int exit_code,
		       const char *format, ...) ATTR_FORMAT(3, 4);
/* The same before there are rows. */
void recall_cmd_error(const struct doveadm_cmd_context *cctx, int exit_code,
		      const char *format, ...) ATTR_FORMAT(3, 4);

#endif
