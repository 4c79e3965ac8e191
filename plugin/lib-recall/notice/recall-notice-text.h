#ifndef RECALL_NOTICE_TEXT_H
#define RECALL_NOTICE_TEXT_H

#include "recall-notice.h"

struct recall_notice_template;

/* Values from outside, and how they get into a text. Results are of the data
   stack. */

/* Most characters of a value. */
#define RECALL_NOTICE_SUBJECT_MAX 200
#define RECALL_NOTICE_FROM_MAX 200
#define RECALL_NOTICE_DATE_MAX 60
#define RECALL_NOTICE_NAME_MAX 100

/* Returns the text made harmless: one line of at most max_chars characters
   (then ending with an ellipsis) in valid UTF-8, without control characters
   and without those that change the direction of what follows. The result is
   of the data stack. */
const char *recall_notice_clean(const char *text, unsigned int max_chars);

/* The same, or what stands for it if text is NULL or nothing is left of it. */
const char *
recall_notice_clean_or(const char *text, unsigned int max_chars,
		       const char *missing);

/* The value of a Date header as date, time and time zone in digits; as it is,
   but cleaned, if it is no date. */
const char *recall_notice_format_date(const char *date);

/* A template's body with placeholders replaced, without the lines whose values
   are NULL. */
string_t *
recall_notice_expand_body(const struct recall_notice_template *tmpl,
			  enum recall_notice_kind kind,
			  const char *const *values);

#endif
