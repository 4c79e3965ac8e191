#ifndef RECALL_NOTICE_SUBMIT_H
#define RECALL_NOTICE_SUBMIT_H

struct mail_user;
struct recall_submit_settings;

/* Sends mail the way Dovecot's own LDA does: to submission_host, or with
   sendmail_path if that is empty. */

/* Sends a message to the address and waits until it was taken. The envelope's
   sender is empty, so nothing ever comes back. Returns 0 if it was taken, -1
   if not, with an error_r of the data stack. */
int recall_notice_submit(const struct recall_submit_settings *set,
			 const char *address, const string_t *message,
			 const char **error_r);

/* The same with the settings of the user. */
int recall_notice_submit_user(struct mail_user *user, const char *address,
			      const string_t *message, const char **error_r);

#endif
