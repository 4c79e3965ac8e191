#ifndef RECALL_STANDING_LATE_H
#define RECALL_STANDING_LATE_H

/* What standing orders have taken, so that the node can list it: lines in files
   of the directory late/ beside the orders. The processes that write them run
   as the users whose mail they save, so each user of the system has files of
   its own, and a line is believed only in a file that belongs to whom its name
   says. */

struct recall_standing_late {
	const char *recall_id;
	const char *username;
	time_t time;
	unsigned int copies;
	/* In the format of RECALL_COLUMN_MAILBOXES. */
	const char *mailboxes;
	/* Set when read: where it is kept, "<owner>:<offset>". */
	const char *line;
};
ARRAY_DEFINE_TYPE(recall_standing_late, struct recall_standing_late);

/* Makes the directory. Called when an order is added, which takes the rights
   that those who write later do not have. */
int recall_standing_late_init(const char *dir, const char **error_r);

int recall_standing_late_add(const char *dir,
			     const struct recall_standing_late *late,
			     const char **error_r);

/* So much is kept in memory of what files of one owner have. */
#define RECALL_STANDING_LATE_MAX (64 * 1024 * 1024)

/* Appends all that is known since then, of one recall if recall_id is not NULL.
   Returns -1 if some could not be read, or is too much; the others are there
   then. */
int recall_standing_late_read(const char *dir, const char *recall_id,
			      time_t since, pool_t pool,
			      ARRAY_TYPE(recall_standing_late) *lates,
			      const char **error_r);

/* Forgets what was last written to long before now, unless the order stands. */
void recall_standing_late_expire(const char *dir, time_t now);

#endif
