#include "lib.h"
#include "unlink-directory.h"
#include "write-full.h"
#include "notice-files.h"

#include <fcntl.h>
#include <unistd.h>

const char minimal_text[] =
	"Subject-expunged: E %{subject}\n"
	"Subject-read: R %{subject}\n"
	"Subject-report: P %{subject}\n"
	"No-subject: none\n"
	"Unknown: nobody\n"
	"[expunged]\n"
	"e %{subject}|%{from}|%{date}|%{mailbox}|%{copies}\n"
	"100%% or 5% of %%{subject}\n"
	"why: %{reason}\n"
	"\n"
	"end  \n"
	"\n"
	"[report]\n"
	"%{command}|%{recall-id}|%{message}|%{time}|%{users}|%{copies}\n"
	"by %{actor}\n"
	"why: %{reason}\n"
	"what: %{subject}|%{from}|%{date}\n"
	"%{verdicts}\n"
	"--\n"
	"%{table}\n"
	"more: %{more}\n"
	"\n"
	"[read]\n"
	"r\n";

const char *notice_dir;

void notice_dir_new(void)
{
	char dir[] = "/tmp/recall-notice-XXXXXX";

	if (mkdtemp(dir) == NULL)
		i_fatal("mkdtemp(%s) failed: %m", dir);
	notice_dir = t_strdup(dir);
}

void notice_dir_free(void)
{
	const char *error;

	if (unlink_directory(notice_dir, UNLINK_DIRECTORY_FLAG_RMDIR,
			     &error) < 0)
		i_fatal("unlink_directory(%s) failed: %s", notice_dir, error);
}

void notice_dir_write_data(const char *name, const void *data, size_t size)
{
	const char *path = t_strconcat(notice_dir, "/", name, NULL);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd == -1 || write_full(fd, data, size) < 0 || close(fd) < 0)
		i_fatal("writing %s failed: %m", path);
}

void notice_dir_write(const char *name, const char *text)
{
	notice_dir_write_data(name, text, strlen(text));
}

const struct recall_notice_template *
notice_load(const char *dir, const char *lang)
{
	const struct recall_notice_template *tmpl = NULL;
	const char *error = NULL;

	if (recall_notice_template_load(pool_datastack_create(), dir, lang,
					&tmpl, &error) < 0)
		i_fatal("%s: %s", lang, error);
	return tmpl;
}

const struct recall_notice_template *notice_shipped(const char *lang)
{
	return notice_load(NOTICES_DIR, lang);
}

const struct recall_notice_template *load_text(const char *text)
{
	const struct recall_notice_template *tmpl;

	notice_dir_new();
	notice_dir_write("en-US.txt", text);
	tmpl = notice_load(notice_dir, "en-US");
	notice_dir_free();
	return tmpl;
}
