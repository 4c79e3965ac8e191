#include "lib.h"
#include "failpoint.h"
#include "file-lock.h"
#include "istream.h"
#include "mkdir-parents.h"
#include "restrict-access.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "recall-params.h"
#include "recall-standing-file.h"
#include "recall-stop.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STOP_NAME "stop"
#define STOP_SIZE_MAX (16 * 1024)

static const char *stop_path(const char *dir)
{
	return t_strconcat(dir, "/"STOP_NAME, NULL);
}

/* The file's one line: when, who, why. What can't be read of it is left out:
   that the file is there is what counts. */
static void stop_parse(const char *line, struct recall_stop *stop_r)
{
	const char *const *fields = t_strsplit_tabescaped(line);

	stop_r->actor = stop_r->reason = "";
	if (fields[0] == NULL || str_to_time(fields[0], &stop_r->since) < 0 ||
	    fields[1] == NULL)
		return;
	stop_r->actor = fields[1];
	if (fields[2] != NULL)
		stop_r->reason = fields[2];
}

int recall_stop_read(const char *dir, struct recall_stop *stop_r,
		     const char **error_r)
{
	const char *line, *path = stop_path(dir);
	struct istream *input;
	int fd;

	i_zero(stop_r);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	input = i_stream_create_fd_autoclose(&fd, STOP_SIZE_MAX);
	line = i_stream_read_next_line(input);
	stop_parse(line == NULL ? "" : line, stop_r);
	i_stream_unref(&input);
	return 1;
}

static int stop_write(const char *temp_path, const struct recall_stop *stop,
		      const char **error_r)
{
	string_t *str = t_str_new(128);

	str_printfa(str, "%s\t", dec2str(stop->since));
	str_append_tabescaped(str, stop->actor);
	str_append_c(str, '\t');
	str_append_tabescaped(str, stop->reason);
	str_append_c(str, '\n');
	return recall_standing_file_write(temp_path, str_data(str),
					  str_len(str), error_r);
}

int recall_stop_set(const char *dir, const struct recall_stop *stop,
		    const char **error_r)
{
	const char *path = stop_path(dir), *temp_path;
	int ret;

	if (mkdir_parents(dir, 0755) < 0 && errno != EEXIST) {
		*error_r = t_strdup_printf("mkdir(%s) failed: %m", dir);
		return -1;
	}
	temp_path = t_strdup_printf("%s.%s", path, dec2str(getpid()));
	ret = stop_write(temp_path, stop, error_r);
	/* unlike rename() this leaves one that is there */
	if (ret == 0 && link(temp_path, path) == 0) {
		ret = 1;
	} else if (ret == 0 && errno != EEXIST) {
		*error_r = t_strdup_printf("link(%s, %s) failed: %m", temp_path,
					   path);
		ret = -1;
	}
	i_unlink_if_exists(temp_path);
	return ret;
}

static int stop_release(const char *dir, const char *only_actor,
			const char *reason, const char **error_r)
{
	const char *path = stop_path(dir);
	struct recall_stop stop;
	int ret;

	if (only_actor != NULL) {
		ret = recall_stop_read(dir, &stop, error_r);
		if (ret <= 0)
			return ret;
		if (strcmp(stop.actor, only_actor) != 0 ||
		    strcmp(stop.reason, reason) != 0)
			return 0;
		RECALL_FAILPOINT("stop-read");
	}
	if (unlink(path) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	*error_r = t_strdup_printf("unlink(%s) failed: %m", path);
	return -1;
}

int recall_stop_release(const char *dir, const char *only_actor,
			const char *reason, const char **error_r)
{
	struct file_lock *lock;
	struct stat st;
	int ret;

	if (stat(stop_path(dir), &st) < 0 &&
	    (errno == ENOENT || errno == ENOTDIR))
		return 0;
	/* whoever releases at the same time could make room for another stop
	   between the two looks at the file */
	if (recall_standing_lock(dir, &lock, error_r) < 0)
		return -1;
	ret = stop_release(dir, only_actor, reason, error_r);
	file_lock_free(&lock);
	return ret;
}

const char *recall_stop_check(const char *dir)
{
	const char *root = restrict_access_get_current_chroot();
	struct recall_stop stop;
	const char *error;
	int ret;

	if (root != NULL) {
		/* the path means another one there */
		error = t_strdup_printf("For this user the root directory is "
			"%s (mail_chroot), from where %s can't be seen",
			root, dir);
		ret = -1;
	} else {
		ret = recall_stop_read(dir, &stop, &error);
	}
	if (ret == 0)
		return NULL;
	if (ret < 0)
		return t_strdup_printf("Whether recalls are stopped is not "
				       "known: %s", error);
	return t_strconcat(RECALL_ERROR_STOPPED,
			   *stop.actor == '\0' ? "" : " by ", stop.actor,
			   *stop.reason == '\0' ? "" : ": ", stop.reason, NULL);
}
