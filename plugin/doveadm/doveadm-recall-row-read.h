#ifndef RECALL_ROW_READ_H
#define RECALL_ROW_READ_H

struct recall_row;
struct recall_verdict_rows;

/* Verdict rows that another process has printed. */

/* Reads the columns; the row points to them, and has the username as it was
   asked for. Its verdict is `error` if they are of none. */
void recall_row_read(struct recall_verdict_rows *vrows, const char *username,
		     const char *const *columns, struct recall_row *row_r);
/* Of two names of one mailbox, which two processes have looked at: returns TRUE
   if the other row says what was done. */
bool recall_row_is_better(struct recall_verdict_rows *vrows,
			  const char *const *columns,
			  const char *const *other);

#endif
