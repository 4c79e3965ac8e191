/* Loaded into a program by LD_PRELOAD, it counts calls of the C library and has
   one of them fail, or the process killed there. What it does stands in a file
   that all these processes and the test map (struct fault_control): the test
   arms it at any time, and reads what happened. See faulty.py. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* In this order in faulty.py, too. */
enum fault_call {
	FAULT_NONE,
	FAULT_OPEN,
	FAULT_READ,
	FAULT_WRITE,
	FAULT_FSYNC,
	FAULT_RENAME,
	FAULT_LINK,
	FAULT_TRUNCATE,
	FAULT_MMAP,
	FAULT_UNLINK,
	FAULT_MKDIR,
	FAULT_STAT,
	FAULT_MALLOC,

	FAULT_CALLS = 16
};

/* It is not a fault: the process waits there, until it is told to go on. */
#define FAULT_STOP UINT32_MAX

struct fault_control {
	/* which one fails, FAULT_NONE if they are only counted */
	uint32_t call;
	/* from 1 */
	uint32_t at;
	/* errno, or 0 to kill the process, or FAULT_STOP */
	uint32_t error;
	/* not only this one, but all that follow */
	uint32_t forever;
	/* how many have failed */
	uint32_t failed;
	uint32_t counts[FAULT_CALLS];
	/* only in programs of this name */
	char program[16];
	/* only these files and those below these directories, a line each */
	char paths[1024];
	/* what the first that failed was called for */
	char failed_path[512];
};

static struct fault_control *control;

/* Whose fault it was. */
static void fault_crashed(int signo)
{
	void *frames[64];

	backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
	raise(signo);
}

__attribute__((constructor)) static void fault_init(void)
{
	const struct sigaction action = {
		.sa_handler = fault_crashed,
		.sa_flags = SA_RESETHAND,
	};
	const char *path = getenv("FAULT_CONTROL");
	void *map;
	int fd;

	if (path == NULL)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = (void *)syscall(SYS_mmap, NULL, sizeof(*control),
			      PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	control = map;
	sigaction(SIGSEGV, &action, NULL);
}

static void *fault_next(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (next == NULL)
		abort();
	return next;
}

/* Whether the path is one that counts. */
static bool fault_is_below(const char *path)
{
	const char *dir = control->paths;
	size_t len;

	if (path == NULL)
		return false;
	for (;; dir += len + 1) {
		len = strcspn(dir, "\n");
		if (len > 0 && strncmp(path, dir, len) == 0 &&
		    (path[len] == '/' || path[len] == '\0'))
			return true;
		if (dir[len] == '\0')
			return false;
	}
}

/* Whether this call, which counts, is to fail. Sets errno then. */
static bool fault_due(enum fault_call call, const char *path)
{
	uint32_t n = __atomic_add_fetch(&control->counts[call], 1,
					__ATOMIC_SEQ_CST);

	if (control->call != call || n < control->at ||
	    (n > control->at && control->forever == 0))
		return false;
	if (__atomic_fetch_add(&control->failed, 1, __ATOMIC_SEQ_CST) == 0)
		strncpy(control->failed_path, path,
			sizeof(control->failed_path) - 1);
	if (control->error == 0)
		kill(getpid(), SIGKILL);
	if (control->error == FAULT_STOP) {
		raise(SIGSTOP);
		return false;
	}
	errno = control->error;
	return true;
}

static bool fault_is_here(void)
{
	return control != NULL &&
		strncmp(program_invocation_short_name, control->program,
			sizeof(control->program) - 1) == 0;
}

static bool fault_path(enum fault_call call, const char *path)
{
	return fault_is_here() && fault_is_below(path) &&
		fault_due(call, path);
}

static bool fault_fd(enum fault_call call, int fd)
{
	char link[32], path[512];
	int old_errno = errno;
	ssize_t len;

	if (fd < 0 || !fault_is_here())
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	errno = old_errno;
	if (len <= 0)
		return false;
	path[len] = '\0';
	return fault_is_below(path) && fault_due(call, path);
}

/* A function NAME with PARAMS, which passes ARGS on unless FAILS. */
#define FAULT_DEFINE(type, name, params, args, fails, failure) \
	type name params; \
	type name params \
	{ \
		static type (*next)params; \
		if (fails) \
			return failure; \
		if (next == NULL) \
			next = fault_next(#name); \
		return next args; \
	}
#define FAULT_PATH(type, name, params, args, call) \
	FAULT_DEFINE(type, name, params, args, \
		     fault_path(call, path), (type)-1)
#define FAULT_FD(type, name, params, args, call) \
	FAULT_DEFINE(type, name, params, args, fault_fd(call, fd), (type)-1)
/* the last parameter of open() is there if a file may be made */
#define FAULT_OPEN_DEFINE(name, params, args, last) \
	int name params; \
	int name params \
	{ \
		static int (*next)params; \
		mode_t mode = 0; \
		va_list list; \
		if ((flags & O_CREAT) != 0 || \
		    (flags & O_TMPFILE) == O_TMPFILE) { \
			va_start(list, last); \
			mode = va_arg(list, mode_t); \
			va_end(list); \
		} \
		if (fault_path(FAULT_OPEN, path)) \
			return -1; \
		if (next == NULL) \
			next = fault_next(#name); \
		return next args; \
	}

FAULT_OPEN_DEFINE(open, (const char *path, int flags, ...),
		  (path, flags, mode), flags)
FAULT_OPEN_DEFINE(open64, (const char *path, int flags, ...),
		  (path, flags, mode), flags)
FAULT_OPEN_DEFINE(openat, (int dir, const char *path, int flags, ...),
		  (dir, path, flags, mode), flags)
FAULT_OPEN_DEFINE(openat64, (int dir, const char *path, int flags, ...),
		  (dir, path, flags, mode), flags)
FAULT_PATH(int, __open_2, (const char *path, int flags), (path, flags),
	   FAULT_OPEN)
FAULT_PATH(int, __open64_2, (const char *path, int flags), (path, flags),
	   FAULT_OPEN)
FAULT_PATH(int, __openat_2, (int dir, const char *path, int flags),
	   (dir, path, flags), FAULT_OPEN)
FAULT_PATH(int, creat, (const char *path, mode_t mode), (path, mode),
	   FAULT_OPEN)
FAULT_PATH(int, creat64, (const char *path, mode_t mode), (path, mode),
	   FAULT_OPEN)
FAULT_DEFINE(DIR *, opendir, (const char *path), (path),
	     fault_path(FAULT_OPEN, path), NULL)
FAULT_DEFINE(FILE *, fopen, (const char *path, const char *mode), (path, mode),
	     fault_path(FAULT_OPEN, path), NULL)
FAULT_DEFINE(FILE *, fopen64, (const char *path, const char *mode),
	     (path, mode), fault_path(FAULT_OPEN, path), NULL)

FAULT_FD(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size),
	 FAULT_READ)
FAULT_FD(ssize_t, pread, (int fd, void *data, size_t size, off_t pos),
	 (fd, data, size, pos), FAULT_READ)
FAULT_FD(ssize_t, pread64, (int fd, void *data, size_t size, off64_t pos),
	 (fd, data, size, pos), FAULT_READ)

FAULT_FD(ssize_t, write, (int fd, const void *data, size_t size),
	 (fd, data, size), FAULT_WRITE)
FAULT_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t pos),
	 (fd, data, size, pos), FAULT_WRITE)
FAULT_FD(ssize_t, pwrite64,
	 (int fd, const void *data, size_t size, off64_t pos),
	 (fd, data, size, pos), FAULT_WRITE)
FAULT_FD(ssize_t, writev, (int fd, const struct iovec *iov, int count),
	 (fd, iov, count), FAULT_WRITE)

FAULT_FD(int, fsync, (int fd), (fd), FAULT_FSYNC)
FAULT_FD(int, fdatasync, (int fd), (fd), FAULT_FSYNC)

FAULT_PATH(int, rename, (const char *path, const char *to), (path, to),
	   FAULT_RENAME)
FAULT_PATH(int, renameat, (int dir, const char *path, int to_dir,
			   const char *to), (dir, path, to_dir, to),
	   FAULT_RENAME)
FAULT_PATH(int, link, (const char *to, const char *path), (to, path),
	   FAULT_LINK)
FAULT_PATH(int, symlink, (const char *to, const char *path), (to, path),
	   FAULT_LINK)

FAULT_FD(int, ftruncate, (int fd, off_t size), (fd, size), FAULT_TRUNCATE)
FAULT_FD(int, ftruncate64, (int fd, off64_t size), (fd, size), FAULT_TRUNCATE)
FAULT_FD(int, fallocate, (int fd, int mode, off_t pos, off_t size),
	 (fd, mode, pos, size), FAULT_TRUNCATE)
FAULT_FD(int, fallocate64, (int fd, int mode, off64_t pos, off64_t size),
	 (fd, mode, pos, size), FAULT_TRUNCATE)
FAULT_DEFINE(int, posix_fallocate, (int fd, off_t pos, off_t size),
	     (fd, pos, size), fault_fd(FAULT_TRUNCATE, fd), errno)
FAULT_DEFINE(int, posix_fallocate64, (int fd, off64_t pos, off64_t size),
	     (fd, pos, size), fault_fd(FAULT_TRUNCATE, fd), errno)

FAULT_DEFINE(void *, mmap,
	     (void *at, size_t size, int prot, int flags, int fd, off_t pos),
	     (at, size, prot, flags, fd, pos), fault_fd(FAULT_MMAP, fd),
	     MAP_FAILED)
FAULT_DEFINE(void *, mmap64,
	     (void *at, size_t size, int prot, int flags, int fd, off64_t pos),
	     (at, size, prot, flags, fd, pos), fault_fd(FAULT_MMAP, fd),
	     MAP_FAILED)

FAULT_PATH(int, unlink, (const char *path), (path), FAULT_UNLINK)
FAULT_PATH(int, unlinkat, (int dir, const char *path, int flags),
	   (dir, path, flags), FAULT_UNLINK)
FAULT_PATH(int, rmdir, (const char *path), (path), FAULT_UNLINK)
FAULT_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode),
	   FAULT_MKDIR)

FAULT_PATH(int, stat, (const char *path, struct stat *st), (path, st),
	   FAULT_STAT)
FAULT_PATH(int, stat64, (const char *path, struct stat64 *st), (path, st),
	   FAULT_STAT)
FAULT_PATH(int, lstat, (const char *path, struct stat *st), (path, st),
	   FAULT_STAT)
FAULT_PATH(int, lstat64, (const char *path, struct stat64 *st), (path, st),
	   FAULT_STAT)

/* dlsym() asks for memory itself */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *mem, size_t size);

static bool fault_malloc(void)
{
	return fault_is_here() && fault_due(FAULT_MALLOC, "");
}

void *malloc(size_t size)
{
	return fault_malloc() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fault_malloc() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *mem, size_t size)
{
	return fault_malloc() ? NULL : __libc_realloc(mem, size);
}
