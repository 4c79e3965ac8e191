/* Texts of notices, which an admin may replace. */
#include "lib.h"
#include "str.h"
#include "recall-notice-template.h"

#include "fuzz.h"

static char *path;

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	(void)atexit(lib_deinit);
	path = fuzz_path("en-US.txt");
	return 0;
}

static void expand(const struct recall_notice_template *tmpl)
{
	const char *values[RECALL_NOTICE_VAR_COUNT];
	string_t *str = t_str_new(1024);
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(values); i++)
		values[i] = i % 3 == 0 ? NULL : "{subject} value";
	for (i = 0; i < RECALL_NOTICE_KIND_COUNT; i++) {
		if (tmpl->subject[i] == NULL || tmpl->body[i] == NULL)
			continue;
		(void)recall_notice_template_expand(str, tmpl->subject[i],
						    values);
		(void)recall_notice_template_expand(str, tmpl->body[i],
						    values);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct recall_notice_template *tmpl;
	const char *error;
	pool_t pool;

	T_BEGIN {
		fuzz_write(path, data, size);
		pool = pool_alloconly_create("template", 4096);
		error = NULL;
		if (recall_notice_template_load(pool, fuzz_dir(), "en-US",
						&tmpl, &error) == 0)
			expand(tmpl);
		else
			require(error != NULL);
		pool_unref(&pool);
	} T_END;
	return 0;
}
