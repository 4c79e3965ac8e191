#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "istream.h"
#include "fd-util.h"
#include "path-util.h"
#include "master-service.h"
#include "recall-params.h"
#include "doveadm-recall-config.h"
#include "doveadm-recall-config-private.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_LINE_MAX (64 * 1024)

/* A server's process has been told the socket of the service config; the file
   is linked to from the same directory. What it includes lies beside the file,
   not beside the link. */
static const char *config_get_path(void)
{
	const char *p, *path = master_service_get_config_path(master_service);
	const char *dest, *error;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return path;
	p = strrchr(path, '/');
	i_assert(p != NULL);
	path = t_strconcat(t_strdup_until(path, p), "/dovecot.conf", NULL);
	return t_readlink(path, &dest, &error) < 0 || *dest != '/' ?
		path : dest;
}

static void ATTR_NORETURN
config_exec(int fd_out, int fd_err, const char *const *args)
{
	const char *const first[] = { "doveconf", "-c", config_get_path() };
	ARRAY_TYPE(const_string) argv;

	t_array_init(&argv, 32);
	array_append(&argv, first, N_ELEMENTS(first));
	array_append(&argv, args, str_array_length(args));
	array_append_zero(&argv);
	if (dup2(fd_out, STDOUT_FILENO) < 0 || dup2(fd_err, STDERR_FILENO) < 0)
		_exit(1);
	/* a settings process among the environment would answer instead */
	(void)unsetenv("DOVECONF_ENV");
	execvp(first[0], (char *const *)array_front(&argv));
	_exit(127);
}

static int
config_read_lines(struct recall_config *config, int fd,
		  recall_config_line_func_t *func, void *context)
{
	struct istream *input = i_stream_create_fd(fd, CONFIG_LINE_MAX);
	const char *line;
	int ret;

	while ((line = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		func(config, line, context);
	} T_END;
	ret = input->stream_errno == 0 ? 0 : -1;
	i_stream_unref(&input);
	return ret;
}

/* The last line is why it gave up. */
static const char *config_get_complaint(FILE *f)
{
	char line[4096];
	const char *last = NULL;

	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL)
		last = t_strdup_until(line, line + strcspn(line, "\n"));
	return last != NULL ? last :
		t_strdup_printf("doveconf -c %s can't be asked",
				config_get_path());
}

static int
config_run(struct recall_config *config, const char *const *args, FILE *err,
	   recall_config_line_func_t *func, void *context, const char **error_r)
{
	int fd[2], ret, status;
	pid_t pid;

	if (pipe(fd) < 0) {
		*error_r = t_strdup_printf("pipe() failed: %m");
		return -1;
	}
	pid = fork();
	if (pid == 0)
		config_exec(fd[1], fileno(err), args);
	i_close_fd(&fd[1]);
	if (pid < 0) {
		*error_r = t_strdup_printf("fork() failed: %m");
		i_close_fd(&fd[0]);
		return -1;
	}
	ret = config_read_lines(config, fd[0], func, context);
	i_close_fd(&fd[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0 || ret < 0 ||
	    array_is_empty(&config->settings)) {
		*error_r = config_get_complaint(err);
		return -1;
	}
	return 0;
}

int recall_config_run(struct recall_config *config, const char *const *args,
		      recall_config_line_func_t *func, void *context,
		      const char **error_r)
{
	/* a file: nobody has to read it meanwhile */
	FILE *err = tmpfile();
	int ret;

	if (err == NULL) {
		*error_r = t_strdup_printf("tmpfile() failed: %m");
		return -1;
	}
	ret = config_run(config, args, err, func, context, error_r);
	(void)fclose(err);
	return ret;
}

int recall_config_read(pool_t pool, const char *service,
		       const struct recall_config **config_r,
		       const char **error_r)
{
	struct recall_config *config = p_new(pool, struct recall_config, 1);

	config->pool = pool;
	p_array_init(&config->settings, pool, 1024);
	*config_r = config;
	return recall_config_read_service(config, service, error_r);
}

void recall_config_set(struct recall_config *config, const char *name,
		       const char *value)
{
	struct recall_config_setting *setting;

	array_foreach_modifiable(&config->settings, setting) {
		if (strcmp(setting->name, name) == 0) {
			setting->value = p_strdup(config->pool, value);
			return;
		}
	}
	setting = array_append_space(&config->settings);
	setting->name = p_strdup(config->pool, name);
	setting->value = p_strdup(config->pool, value);
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

/* Dovecot's series separate commands in different ways, and quote them or
   not. */
static bool config_list_has(const char *list, const char *command)
{
	static const char separators[] = ",\" ";
	const char *p = list;
	size_t len = strlen(command);

	for (; (p = strstr(p, command)) != NULL; p++) {
		if ((p == list || strchr(separators, p[-1]) != NULL) &&
		    strchr(separators, p[len]) != NULL)
			return TRUE;
	}
	return FALSE;
}

const char *
recall_config_get_missing_commands(const struct recall_config *config)
{
	static const char *const commands[] = {
		"user", RECALL_CMD_EXPUNGE, RECALL_CMD_RESTORE,
		RECALL_CMD_SEARCH, RECALL_CMD_FETCH, RECALL_CMD_EXPORT,
		RECALL_CMD_USERS, RECALL_CMD_STOP, RECALL_CMD_STANDING_BEGIN,
		RECALL_CMD_STANDING_END, RECALL_CMD_STANDING_LIST,
		RECALL_CMD_STANDING_LATE, RECALL_CMD_STANDING_RUN,
		/* where acl is loaded */
		RECALL_CMD_SHARE, RECALL_CMD_UNSHARE, RECALL_CMD_SHARES
	};
	const unsigned int count = N_ELEMENTS(commands) -
		(recall_config_has(config, "mail_plugins", "acl") ? 0 : 3);
	const char *list = recall_config_get(config,
					     "doveadm_allowed_commands");
	const char *missing = NULL;
	unsigned int i;

	for (i = 0; *list != '\0' && i < count; i++) {
		if (config_list_has(list, commands[i]))
			continue;
		missing = missing == NULL ? commands[i] :
			t_strconcat(missing, ", ", commands[i], NULL);
	}
	return missing;
}
