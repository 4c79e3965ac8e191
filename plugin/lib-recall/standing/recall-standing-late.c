#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "recall-id.h"
#include "recall-limits.h"
#include "recall-standing-late.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LATE_LINE_MAX 8192
#define LATE_KEEP_SECS (7 * 24 * 60 * 60)

static const char *late_dir(const char *dir)
{
	return t_strconcat(dir, "/late", NULL);
}

int recall_standing_late_init(const char *dir, const char **error_r)
{
	const char *path = late_dir(dir);

	/* as /tmp, but nobody looks at others' */
	if ((mkdir(path, 01733) < 0 && errno != EEXIST) ||
	    chmod(path, 01733) < 0) {
		*error_r = t_strdup_printf("mkdir(%s) failed: %m", path);
		return -1;
	}
	return 0;
}

static bool late_is_of(const struct stat *st, uid_t uid)
{
	return S_ISREG(st->st_mode) && st->st_uid == uid;
}

/* Whether the last line was cut short, when the disk was full. */
static bool late_is_cut(int fd, const struct stat *st)
{
	char last;

	return st->st_size > 0 &&
		pread(fd, &last, 1, st->st_size - 1) == 1 && last != '\n';
}

int recall_standing_late_add(const char *dir,
			     const struct recall_standing_late *late,
			     const char **error_r)
{
	const char *path = t_strdup_printf("%s/%s.%s", late_dir(dir),
					   late->recall_id, dec2str(geteuid()));
	string_t *str = t_str_new(256);
	struct stat st;
	ssize_t ret;
	int fd;

	str_printfa(str, "%lld\t", (long long)late->time);
	str_append_tabescaped(str, late->username);
	str_printfa(str, "\t%u\t", late->copies);
	if (str_len(str) + strlen(late->mailboxes) < LATE_LINE_MAX / 2)
		str_append_tabescaped(str, late->mailboxes);
	str_append_c(str, '\n');
	/* any system user may make one of this name */
	fd = open(path, O_CREAT | O_APPEND | O_RDWR | O_CLOEXEC |
		  O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || fstat(fd, &st) < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		i_close_fd(&fd);
		return -1;
	}
	if (!late_is_of(&st, geteuid())) {
		*error_r = t_strdup_printf("%s is not its owner's", path);
		i_close_fd(&fd);
		return -1;
	}
	if (late_is_cut(fd, &st))
		str_insert(str, 0, "\n");
	/* others append at the same time */
	ret = write(fd, str_data(str), str_len(str));
	if (ret < 0)
		*error_r = t_strdup_printf("write(%s) failed: %m", path);
	else if ((size_t)ret != str_len(str))
		*error_r = t_strdup_printf("write(%s) was cut short", path);
	i_close_fd(&fd);
	return ret >= 0 && (size_t)ret == str_len(str) ? 0 : -1;
}

/* The recall id and the owner in the file's name. */
static bool
late_parse_name(const char *name, const char **recall_id_r, uid_t *uid_r)
{
	const char *rest = recall_id_skip(name);

	if (rest == NULL || *rest != '.' || str_to_uid(rest + 1, uid_r) < 0)
		return FALSE;
	*recall_id_r = t_strdup_until(name, rest);
	return TRUE;
}

static bool late_parse_line(pool_t pool, const char *line,
			    struct recall_standing_late *late_r)
{
	const char *const *values = t_strsplit_tabescaped(line);

	if (str_array_length(values) != 4 ||
	    str_to_time(values[0], &late_r->time) < 0 ||
	    str_to_uint(values[2], &late_r->copies) < 0)
		return FALSE;
	late_r->username = p_strdup(pool, values[1]);
	late_r->mailboxes = p_strdup(pool, values[3]);
	return TRUE;
}

/* Of whom lines are read, and how much that is: others write them. */
struct late_owner {
	uid_t uid;
	size_t octets;
};

struct late_reader {
	pool_t pool;
	time_t since;
	ARRAY(struct late_owner) owners;
	ARRAY_TYPE(recall_standing_late) *lates;
};

static struct late_owner *
late_get_owner(struct late_reader *reader, uid_t uid)
{
	struct late_owner *owner;

	array_foreach_modifiable(&reader->owners, owner) {
		if (owner->uid == uid)
			return owner;
	}
	owner = array_append_space(&reader->owners);
	owner->uid = uid;
	return owner;
}

/* Memory is taken for no more than there is room for. */
static bool late_is_wanted(struct late_reader *reader,
			   struct late_owner *owner, const char *line)
{
	time_t time;

	if (str_to_time(t_strcut(line, '\t'), &time) < 0 ||
	    time < reader->since || time > RECALL_TIME_MAX)
		return FALSE;
	owner->octets += strlen(line);
	return owner->octets <= RECALL_STANDING_LATE_MAX;
}

static int
late_read_file(struct late_reader *reader, const char *path,
	       const char *recall_id, uid_t uid, const char **error_r)
{
	struct late_owner *owner = late_get_owner(reader, uid);
	pool_t pool = reader->pool;
	struct recall_standing_late late = {
		.recall_id = p_strdup(pool, recall_id),
	};
	struct istream *input;
	const char *line;
	uoff_t offset = 0;
	struct stat st;
	int fd, ret = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1 || fstat(fd, &st) < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		i_close_fd(&fd);
		return -1;
	}
	if (!late_is_of(&st, uid)) {
		*error_r = t_strdup_printf("%s is not its owner's", path);
		i_close_fd(&fd);
		return -1;
	}
	input = i_stream_create_fd_autoclose(&fd, LATE_LINE_MAX);
	while (owner->octets <= RECALL_STANDING_LATE_MAX &&
	       (line = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		if (late_is_wanted(reader, owner, line) &&
		    late_parse_line(pool, line, &late)) {
			late.line = p_strdup_printf(pool, "%s:%"PRIuUOFF_T,
						    dec2str(uid), offset);
			array_push_back(reader->lates, &late);
		}
		offset = input->v_offset;
	} T_END;
	if (owner->octets > RECALL_STANDING_LATE_MAX) {
		*error_r = t_strdup_printf("%s: its owner has more than %u MB",
			path, RECALL_STANDING_LATE_MAX / 1024 / 1024);
		ret = -1;
	} else if (input->stream_errno != 0) {
		*error_r = t_strdup_printf("read(%s) failed: %s", path,
					   i_stream_get_error(input));
		ret = -1;
	}
	i_stream_unref(&input);
	return ret;
}

int recall_standing_late_read(const char *dir, const char *recall_id,
			      time_t since, pool_t pool,
			      ARRAY_TYPE(recall_standing_late) *lates,
			      const char **error_r)
{
	struct late_reader reader = {
		.pool = pool,
		.since = since,
		.lates = lates,
	};
	const char *path = late_dir(dir), *id, *error;
	struct dirent *d;
	uid_t uid;
	DIR *dirp;
	int ret = 0;

	dirp = opendir(path);
	if (dirp == NULL) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("opendir(%s) failed: %m", path);
		return -1;
	}
	t_array_init(&reader.owners, 4);
	while ((d = readdir(dirp)) != NULL) {
		if (!late_parse_name(d->d_name, &id, &uid) ||
		    (recall_id != NULL && strcmp(id, recall_id) != 0))
			continue;
		if (late_read_file(&reader,
				   t_strconcat(path, "/", d->d_name, NULL),
				   id, uid, &error) < 0) {
			*error_r = error;
			ret = -1;
		}
	}
	if (closedir(dirp) < 0)
		i_error("closedir(%s) failed: %m", path);
	return ret;
}

void recall_standing_late_expire(const char *dir, time_t now)
{
	const char *path = late_dir(dir), *id, *file;
	struct dirent *d;
	struct stat st;
	uid_t uid;
	DIR *dirp;

	dirp = opendir(path);
	if (dirp == NULL)
		return;
	while ((d = readdir(dirp)) != NULL) {
		if (!late_parse_name(d->d_name, &id, &uid) ||
		    stat(t_strconcat(dir, "/", id, ".order", NULL), &st) == 0)
			continue;
		file = t_strconcat(path, "/", d->d_name, NULL);
		if (lstat(file, &st) == 0 &&
		    st.st_mtime < now - LATE_KEEP_SECS)
			i_unlink_if_exists(file);
	}
	if (closedir(dirp) < 0)
		i_error("closedir(%s) failed: %m", path);
}
