#ifndef RECALL_NOTICE_RENDER_H
#define RECALL_NOTICE_RENDER_H

#include "recall-notice.h"
#include "recall-notice-message.h"

struct recall_notice_template;

/* Appends the notice to dest as a complete message: lines end with CRLF, are at
   most 998 octets long and all octets are ASCII. Returns 0 if ok, -1 if the
   envelope or the recall id are not usable, with an error_r of the data
   stack. */
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

#endif
