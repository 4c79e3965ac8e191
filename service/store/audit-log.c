#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "audit-log.h"
#include "log.h"
#include "metrics.h"
#include "strlist.h"

/* Lines that may wait. The oldest ones are given up, to the log. */
#define WAITING_MAX 10000
/* how long a syslog daemon that is stuck may hold everybody up */
#define SYSLOG_TIMEOUT 2

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct strlist waiting;
static uint64_t lost;
static bool failing;
/* The file may end within a line: a process that wrote it has died. */
static bool partial = true;
/* the one that is known of */
static dev_t file_dev;
static ino_t file_ino;

/* a file */

/* Opened each time, so that the file may be rotated. */
static int open_file(const struct config *config, struct stat *st_r)
{
	int fd = open(config->audit_cef_file, O_WRONLY | O_CREAT | O_APPEND |
		      O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd >= 0 && fstat(fd, st_r) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool ends_within_line(const char *path, off_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char last = '\0';
	ssize_t ret = fd < 0 ? -1 : pread(fd, &last, 1, size - 1);

	if (fd >= 0)
		close(fd);
	return ret != 1 || last != '\n';
}

static bool write_all(int fd, const char *data, size_t len)
{
	ssize_t ret;

	while (len > 0) {
		ret = write(fd, data, len);
		if (ret < 0 && errno == EINTR)
			continue;
		/* not that, but there is no other reason for it */
		if (ret == 0)
			errno = ENOSPC;
		if (ret <= 0)
			return false;
		data += ret;
		len -= ret;
	}
	return true;
}

/* A line is there as a whole or not at all. */
static bool add_line(const char *path, int fd, const char *line)
{
	char *text;
	struct stat st;
	bool ret, mend;
	int error;

	if (fstat(fd, &st) < 0)
		return false;
	if (st.st_dev != file_dev || st.st_ino != file_ino)
		partial = true;
	file_dev = st.st_dev;
	file_ino = st.st_ino;
	mend = partial && S_ISREG(st.st_mode) && st.st_size > 0 &&
	       ends_within_line(path, st.st_size);
	text = x_asprintf("%s%s\n", mend ? "\n" : "", line);
	ret = write_all(fd, text, strlen(text));
	error = errno;
	partial = !ret &&
		  (!S_ISREG(st.st_mode) || ftruncate(fd, st.st_size) < 0);
	free(text);
	errno = error;
	return ret;
}

/* Room is taken beforehand where the file system can do that. It is not part of
   the file until it is written to. */
static bool has_room(const struct config *config, int fd,
		     const struct stat *st)
{
	off_t need = (config->http_workers + config->journal_workers) *
		AUDIT_LINE_MAX;
	struct statvfs fs;

	if (!S_ISREG(st->st_mode) ||
	    fallocate(fd, FALLOC_FL_KEEP_SIZE, st->st_size, need) == 0)
		return true;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return false;
	if (fstatvfs(fd, &fs) < 0)
		return false;
	if ((off_t)(fs.f_bavail * fs.f_frsize) >= need)
		return true;
	errno = ENOSPC;
	return false;
}

/* Returns how many lines were written. */
static size_t write_file(const struct config *config, bool room, bool *ok_r)
{
	struct stat st;
	int fd = open_file(config, &st);
	size_t n = 0;
	int error;

	*ok_r = fd >= 0;
	while (*ok_r && n < waiting.count) {
		*ok_r = add_line(config->audit_cef_file, fd, waiting.items[n]);
		if (*ok_r)
			n++;
	}
	if (*ok_r && room)
		*ok_r = fstat(fd, &st) == 0 && has_room(config, fd, &st);
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return n;
}

/* syslog */

/* syslog(3) does not say whether anybody listens. */
static int open_syslog(const char *path)
{
	const struct timeval timeout = { .tv_sec = SYSLOG_TIMEOUT };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
		       sizeof(timeout)) == 0 &&
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool send_line(int fd, const char *line)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32], *text;
	bool ret;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	text = x_asprintf("<%d>%s mail-recalld[%d]: %s",
			  LOG_AUTHPRIV | LOG_NOTICE, when, (int)getpid(), line);
	ret = send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
	free(text);
	return ret;
}

static size_t write_syslog(const struct config *config, bool *ok_r)
{
	int fd = open_syslog(config->audit_syslog_socket), error;
	size_t n = 0;

	*ok_r = fd >= 0;
	while (*ok_r && n < waiting.count) {
		*ok_r = send_line(fd, waiting.items[n]);
		if (*ok_r)
			n++;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return n;
}

/* both */

static void forget(size_t count)
{
	size_t i;

	if (count == 0)
		return;
	for (i = 0; i < count; i++)
		free(waiting.items[i]);
	waiting.count -= count;
	memmove(waiting.items, waiting.items + count,
		waiting.count * sizeof(*waiting.items));
}

static void give_up(size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		log_error("audit: not written: %s", waiting.items[i]);
		metrics_add(METRIC_AUDIT_LOST, 1);
	}
	lost += count;
	forget(count);
}

/* Writes what waits. Returns whether that, and the room, is there. */
static bool flush(const struct config *config, bool room)
{
	bool file = *config->audit_cef_file != '\0', ok;
	const char *where = file ? config->audit_cef_file :
		config->audit_syslog_socket;
	size_t n = file ? write_file(config, room, &ok) :
		write_syslog(config, &ok);

	if (!ok) {
		metrics_add(METRIC_AUDIT_FAILURES, 1);
		if (!failing)
			log_error("audit: %s can't be written: %s", where,
				  strerror(errno));
	}
	forget(n);
	if (ok && failing)
		log_info("audit: %s can be written again, %zu lines had waited",
			 where, n);
	failing = !ok;
	if (waiting.count > WAITING_MAX)
		give_up(waiting.count - WAITING_MAX);
	metrics_audit(ok, waiting.count);
	return ok;
}

bool audit_log_write(const struct config *config, char *line)
{
	bool ret;

	pthread_mutex_lock(&lock);
	strlist_add(&waiting, line);
	free(line);
	ret = flush(config, false);
	pthread_mutex_unlock(&lock);
	return ret;
}

uint64_t audit_log_lost(void)
{
	uint64_t ret;

	pthread_mutex_lock(&lock);
	ret = lost;
	pthread_mutex_unlock(&lock);
	return ret;
}

bool audit_log_ready(const struct config *config)
{
	bool ret;

	if (!config->audit_cef_enabled)
		return true;
	pthread_mutex_lock(&lock);
	ret = flush(config, true);
	pthread_mutex_unlock(&lock);
	return ret;
}

bool audit_log_retry(const struct config *config)
{
	bool ret;

	pthread_mutex_lock(&lock);
	ret = waiting.count == 0 || flush(config, false);
	pthread_mutex_unlock(&lock);
	return ret;
}

void audit_log_close(const struct config *config)
{
	(void)audit_log_retry(config);
	pthread_mutex_lock(&lock);
	give_up(waiting.count);
	strlist_free(&waiting);
	pthread_mutex_unlock(&lock);
}
