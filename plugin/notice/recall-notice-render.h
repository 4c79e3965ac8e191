#ifndef RECALL_NOTICE_RENDER_H
#define RECALL_NOTICE_RENDER_H

#include "recall-notice.h"

struct recall_notice_template;

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

/* Appends the notice to dest as a complete message: lines end with CRLF, are
   at most 998 octets long and all octets are ASCII. Returns 0 if ok, -1 if the envelope or
   the recall id are not usable, with an error_r of the data stack. */
int recall_notice_render(const struct recall_notice *notice,
			 const struct recall_notice_template *tmpl,
			 const struct recall_notice_envelope *env,
			 string_t *dest, const char **error_r);

/* The notice's own Message-ID, without angle brackets: the same whenever the
   recall, the kind and the user are the same. The result is of the data
   stack. */
const char *
recall_notice_render_message_id(const struct recall_notice *notice,
				const struct recall_notice_envelope *env);

/* Returns the text made harmless: one line of at most max_chars characters
   (then ending with an ellipsis) in valid UTF-8, without control characters
   and without those that change the direction of what follows. The result is
   of the data stack. */
const char *recall_notice_clean(const char *text, unsigned int max_chars);

#endif
