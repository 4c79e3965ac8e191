#ifndef RECALL_NOTICE_MESSAGE_H
#define RECALL_NOTICE_MESSAGE_H

/* Notices and reports as messages on the wire. */

/* Who a notice comes from and goes to. */
struct recall_notice_envelope {
	/* A mail address in ASCII. */
	const char *from_address;
	/* The display name in UTF-8. May be NULL. */
	const char *from_name;
	/* The user's name, mostly a mail address. */
	const char *username;
	/* For the notice's own Message-ID and to complete a user name that has
	   no domain. */
	const char *hostname;
	time_t now;
};

/* What a message says; nothing of it need be harmless but message_id and
   lang. */
struct recall_notice_message {
	/* Its own, without angle brackets. */
	const char *message_id;
	const char *recall_id;
	/* The Message-ID of what was recalled, without angle brackets. May be
	   NULL. */
	const char *refers_to;
	/* In UTF-8, the text's lines end with LF. */
	const char *subject;
	const string_t *text;
	/* A language tag. */
	const char *lang;
};

/* Whether messages can come from it. */
bool recall_notice_from_is_valid(const char *address);

/* Appends a complete message to dest: see recall_notice_render(). */
int recall_notice_message_append(string_t *dest,
				 const struct recall_notice_message *msg,
				 const struct recall_notice_envelope *env,
				 const char **error_r);

/* A Message-ID without angle brackets: the same for each message of a recall
   with the same key. The result is of the data stack. */
const char *
recall_notice_message_id(const char *recall_id, const char *key,
			 const struct recall_notice_envelope *env);

/* The mail address of a user: the name, completed with env's host name if it
   has no domain. NULL if it can't be one in ASCII. The result is of the data
   stack. */
const char *
recall_notice_address(const char *username,
		      const struct recall_notice_envelope *env);

#endif
