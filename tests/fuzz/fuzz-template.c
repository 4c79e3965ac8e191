/* Texts of notices, which an admin may replace. */
#include "lib.h"
#include "str.h"
#include "recall-notice-template.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/fuzz-template-XXXXXX";

static void clean(void)
{
	(void)unlink(t_strconcat(dir, "/en-US.txt", NULL));
	(void)rmdir(dir);
	lib_deinit();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	if (mkdtemp(dir) == NULL)
		i_fatal("mkdtemp() failed: %m");
	(void)atexit(clean);
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
	int fd;

	T_BEGIN {
		fd = open(t_strconcat(dir, "/en-US.txt", NULL),
			  O_CREAT | O_TRUNC | O_WRONLY, 0600);
		if (fd == -1 || write(fd, data, size) != (ssize_t)size)
			i_fatal("write() failed: %m");
		i_close_fd(&fd);
		pool = pool_alloconly_create("template", 4096);
		error = NULL;
		if (recall_notice_template_load(pool, dir, "en-US", &tmpl,
						&error) == 0)
			expand(tmpl);
		else
			i_assert(error != NULL);
		pool_unref(&pool);
	} T_END;
	return 0;
}
