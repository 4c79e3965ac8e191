#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "istream.h"
#include "fd-util.h"
#include "master-service.h"
#include "doveadm-recall-config.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_LINE_MAX (64 * 1024)

struct recall_config_setting {
	const char *name, *value;
};

struct recall_config {
	ARRAY(struct recall_config_setting) settings;
};

/* A server's process has been told the socket of the service config; the file
   is linked to from the same directory. */
static const char *config_get_path(void)
{
	const char *p, *path = master_service_get_config_path(master_service);
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return path;
	p = strrchr(path, '/');
	i_assert(p != NULL);
	return t_strconcat(t_strdup_until(path, p), "/dovecot.conf", NULL);
}

static void ATTR_NORETURN config_exec(int fd_out, const char *service)
{
	const char *const args[] = {
		"doveconf", "-c", config_get_path(), "-S",
		"-f", t_strdup_printf("service=%s", service), NULL
	};

	if (dup2(fd_out, STDOUT_FILENO) < 0)
		_exit(1);
	/* a settings process among the environment would answer instead */
	(void)unsetenv("DOVECONF_ENV");
	execvp(args[0], (char *const *)args);
	_exit(127);
}

static int
config_read_lines(pool_t pool, int fd, struct recall_config *config)
{
	struct istream *input = i_stream_create_fd(fd, CONFIG_LINE_MAX);
	struct recall_config_setting *setting;
	const char *line, *p;
	int ret;

	while ((line = i_stream_read_next_line(input)) != NULL) {
		p = strchr(line, '=');
		if (p == NULL)
			continue;
		setting = array_append_space(&config->settings);
		setting->name = p_strdup_until(pool, line, p);
		setting->value = p_strdup(pool, p + 1);
	}
	ret = input->stream_errno == 0 ? 0 : -1;
	i_stream_unref(&input);
	return ret;
}

int recall_config_read(pool_t pool, const char *service,
		       const struct recall_config **config_r,
		       const char **error_r)
{
	struct recall_config *config = p_new(pool, struct recall_config, 1);
	int fd[2], ret, status;
	pid_t pid;

	p_array_init(&config->settings, pool, 1024);
	if (pipe(fd) < 0) {
		*error_r = t_strdup_printf("pipe() failed: %m");
		return -1;
	}
	pid = fork();
	if (pid == 0)
		config_exec(fd[1], service);
	i_close_fd(&fd[1]);
	if (pid < 0) {
		*error_r = t_strdup_printf("fork() failed: %m");
		i_close_fd(&fd[0]);
		return -1;
	}
	ret = config_read_lines(pool, fd[0], config);
	i_close_fd(&fd[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0 || ret < 0 ||
	    array_is_empty(&config->settings)) {
		*error_r = t_strdup_printf("doveconf -c %s can't be asked",
			config_get_path());
		return -1;
	}
	*config_r = config;
	return 0;
}

const char *
recall_config_get(const struct recall_config *config, const char *name)
{
	const struct recall_config_setting *setting;

	array_foreach(&config->settings, setting) {
		if (strcmp(setting->name, name) == 0)
			return setting->value;
	}
	return "";
}

const char *const *
recall_config_find(const struct recall_config *config, const char *prefix)
{
	const struct recall_config_setting *setting;
	ARRAY_TYPE(const_string) names;

	t_array_init(&names, 16);
	array_foreach(&config->settings, setting) {
		if (str_begins_with(setting->name, prefix))
			array_push_back(&names, &setting->name);
	}
	array_append_zero(&names);
	return array_front(&names);
}
