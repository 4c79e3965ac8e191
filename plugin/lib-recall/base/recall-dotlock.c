#define _GNU_SOURCE /* F_SETLEASE */
#include "lib.h"
#include "recall-dotlock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* A lease is given to whoever is the only one to have the file open. Should
   somebody open it before the lease is given back, SIGIO comes, which would end
   the process. */
static bool dotlock_is_ours_alone(int fd)
{
	const struct timespec now = { .tv_sec = 0 };
	sigset_t sigs, old_sigs;
	bool ret;

	(void)sigemptyset(&sigs);
	(void)sigaddset(&sigs, SIGIO);
	if (sigprocmask(SIG_BLOCK, &sigs, &old_sigs) < 0)
		return FALSE;
	ret = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
	if (ret) {
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
		(void)sigtimedwait(&sigs, NULL, &now);
	}
	(void)sigprocmask(SIG_SETMASK, &old_sigs, NULL);
	return ret;
}

/* "<PID>:<host>": Dovecot finds out by itself whether that process lives. */
static bool dotlock_names_process(int fd)
{
	char buf[32];
	ssize_t size = pread(fd, buf, sizeof(buf) - 1, 0);
	size_t len;

	if (size < 0)
		return TRUE;
	buf[size] = '\0';
	len = strspn(buf, "0123456789");
	return len > 0 && buf[len] == ':';
}

void recall_dotlock_delete_stale(const char *path)
{
	struct stat st, path_st;
	int fd;

	fd = open(path, O_RDWR | O_NOFOLLOW);
	if (fd == -1)
		return;
	/* in this order: whoever opened it to write its PID has done so when it
	   is not open any more */
	if (dotlock_is_ours_alone(fd) && !dotlock_names_process(fd) &&
	    fstat(fd, &st) == 0 && lstat(path, &path_st) == 0 &&
	    st.st_ino == path_st.st_ino &&
	    CMP_DEV_T(st.st_dev, path_st.st_dev) && unlink(path) == 0)
		i_warning("recall: Deleted %s, whose owner is gone", path);
	i_close_fd(&fd);
}
