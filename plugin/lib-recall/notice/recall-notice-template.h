#ifndef RECALL_NOTICE_TEMPLATE_H
#define RECALL_NOTICE_TEMPLATE_H

#include "recall-notice.h"

/* The texts of the notices in one language, read from a file that an admin may
   replace (its format is described in notices/README). */

#define RECALL_NOTICE_KIND_COUNT (RECALL_NOTICE_KIND_REPORT + 1)

/* What a text may have placeholders for. */
enum recall_notice_var {
	RECALL_NOTICE_VAR_SUBJECT,
	RECALL_NOTICE_VAR_FROM,
	RECALL_NOTICE_VAR_DATE,
	RECALL_NOTICE_VAR_MAILBOX,
	RECALL_NOTICE_VAR_COPIES,
	RECALL_NOTICE_VAR_REASON,
	/* of reports only */
	RECALL_NOTICE_VAR_COMMAND,
	RECALL_NOTICE_VAR_RECALL_ID,
	RECALL_NOTICE_VAR_MESSAGE,
	RECALL_NOTICE_VAR_ACTOR,
	RECALL_NOTICE_VAR_TIME,
	RECALL_NOTICE_VAR_USERS,
	RECALL_NOTICE_VAR_VERDICTS,
	RECALL_NOTICE_VAR_TABLE,
	RECALL_NOTICE_VAR_MORE,

	RECALL_NOTICE_VAR_COUNT
};

struct recall_notice_template {
	/* The file read. */
	const char *path;
	/* Its language, e.g. "ru-RU". */
	const char *lang;
	const char *subject[RECALL_NOTICE_KIND_COUNT];
	/* Lines end with LF. */
	const char *body[RECALL_NOTICE_KIND_COUNT];
	/* What stands for an empty subject, for a missing sender or date. */
	const char *no_subject, *unknown;
};

/* Returns the language tag as template files are named, e.g. "ru-RU" for
   "ru_ru", or NULL if this is no language tag (then it must not become part of
   a file name). The result is of the data stack. */
const char *recall_notice_lang_normalize(const char *lang);

/* Returns the language that a file is of by its name, NULL if it is no
   template. */
const char *recall_notice_template_get_lang(const char *fname);

/* Reads the template for a language from dir: of the language itself, else of
   another region of it (the first by name), else of
   RECALL_NOTICE_LANG_DEFAULT. A file that exists but can't be used is an
   error, so that it's noticed. Returns 0 if ok, -1 if not, with an error_r of
   the data stack that names the file. */
int recall_notice_template_load(pool_t pool, const char *dir, const char *lang,
				const struct recall_notice_template **tmpl_r,
				const char **error_r);

/* Appends text to dest with its placeholders replaced; values are indexed by
   enum recall_notice_var. Returns FALSE if one of them is NULL, which is
   replaced by nothing. The text must be one of a loaded template. */
bool recall_notice_template_expand(string_t *dest, const char *text,
				   const char *const *values);

#endif
