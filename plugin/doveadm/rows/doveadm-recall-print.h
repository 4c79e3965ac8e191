#ifndef RECALL_PRINT_H
#define RECALL_PRINT_H

struct doveadm_cmd_context;

/* The rows of recall commands, on top of doveadm's: titles are printed with the
   first row, or when a command ends well without one, so that one which fails
   prints no empty table; and a terminal gets a short table, unless doveadm has
   been given -v, or a format with -f. */

enum recall_print_flags {
	RECALL_PRINT_RIGHT_JUSTIFY = 0x01,
	/* Left out of the short table. */
	RECALL_PRINT_WIDE = 0x02,
	/* A time, of which the short table has the day. */
	RECALL_PRINT_DAY = 0x04,
};

struct recall_print_column {
	const char *name;
	enum recall_print_flags flags;
	/* Most characters in the short table; 0 if any number will do. */
	unsigned int max_chars;
};

/* Begins with the rows. format is the one that holds if there was no -f. The
   columns must live as long as the command. */
void recall_print_init(const char *format,
		       const struct recall_print_column *columns,
		       unsigned int count);
/* Prints the next column, as the functions of doveadm-print.h do. */
void recall_print(const char *value);
void recall_print_stream(const void *data, size_t size);
/* Whether the table is the short one. */
bool recall_print_is_short(void);
/* The number of columns, and the place of the one that has the user's name
   (their number if none has). */
unsigned int recall_print_get_count(void);
unsigned int recall_print_get_username_idx(void);
/* The place of the column of this name, or their number. */
unsigned int recall_print_find(const char *name);
/* No more rows will come. */
void recall_print_finish(void);

/* Logs why the command is refused, or can't go on, and sets doveadm_exit_code.
   If no row was printed, doveadm -f json prints an object with the error. */
void recall_cmd_error(const struct doveadm_cmd_context *cctx, int exit_code,
		      const char *format, ...) ATTR_FORMAT(3, 4);

#endif
