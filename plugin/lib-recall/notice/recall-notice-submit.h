#ifndef RECALL_NOTICE_SUBMIT_H
#define RECALL_NOTICE_SUBMIT_H

#include "iostream-ssl.h"

struct mail_user;
struct setting_parser_context;
struct smtp_submit_settings;
struct var_expand_table;

/* Sends mail the way Dovecot's own LDA does: to submission_host, or with
   sendmail_path if that is empty. Its storage service must have been given
   smtp_submit_setting_parser_info. */

struct recall_notice_submission {
	const struct smtp_submit_settings *set;
	struct ssl_iostream_settings ssl;
};

/* Takes the settings out of a parser. All of submission_r is allocated from
   the pool, which must not be the data stack. Returns -1 if variables in them can't be expanded. */
int recall_notice_submission_init(pool_t pool,
				  struct setting_parser_context *parser,
				  const struct var_expand_table *table,
				  struct recall_notice_submission *submission_r,
				  const char **error_r);

/* Sends a message to the address and waits until it was taken. The envelope's
   sender is empty, so nothing ever comes back. Returns 0 if it was taken, -1
   if not, with an error_r of the data stack. */
int recall_notice_submit(const struct recall_notice_submission *submission,
			 struct event *event, const char *address,
			 const string_t *message, const char **error_r);

/* The same with the settings of the user. */
int recall_notice_submit_user(struct mail_user *user, const char *address,
			      const string_t *message, const char **error_r);

#endif
