#ifndef NOTICE_FILES_H
#define NOTICE_FILES_H

#include "recall-notice-template.h"

/* Template files for tests. What fails here ends the test program. */

/* Defines run_name(), which runs test_name() in a data stack frame. */
#define NOTICE_TEST(name) \
	static void run_##name(void) \
	{ \
		T_BEGIN { \
			test_##name(); \
		} T_END; \
	}

/* The languages that are shipped. */
#define NOTICE_LANGS \
	"en-US", "ru-RU", "es-PA", "fr-FR", "it-IT", "pt-BR", "ba-RU", "tt-RU"

/* The smallest template there is that has all placeholders. */
extern const char minimal_text[];

/* A new directory of template files: notice_dir until it is freed, which
   removes it and all that is in it. */
extern const char *notice_dir;
void notice_dir_new(void);
void notice_dir_free(void);
/* Writes a file there. */
void notice_dir_write(const char *name, const char *text);
void notice_dir_write_data(const char *name, const void *data, size_t size);

const struct recall_notice_template *
notice_load(const char *dir, const char *lang);
/* The template of a language as shipped. */
const struct recall_notice_template *notice_shipped(const char *lang);
/* Loads the text as en-US. */
const struct recall_notice_template *load_text(const char *text);

#endif
