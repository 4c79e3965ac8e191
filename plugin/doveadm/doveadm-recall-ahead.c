#include "lib.h"
#include "dovecot-compat.h"
#include "fd-util.h"
#include "istream.h"
#include "net.h"
#include "str.h"
#include "strescape.h"
#include "auth-client-interface.h"
#include "auth-master.h"
#include "mail-storage-service.h"
#include "doveadm-recall-ahead.h"
#include "doveadm-recall-pace.h"
#include "doveadm-recall-username.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The next ones are asked about, in one go, when so many are left. */
#define AHEAD_USERS_LOW (RECALL_AHEAD_USERS / 2)
/* An answer that was asked for longer ago is not believed, nor waited for. */
#define AHEAD_MAX_USECS (2 * 1000 * 1000)
/* As the ordinary lookup has it. */
#define AHEAD_ANSWER_MAX 8192

struct recall_ahead_user {
	char *username;
	/* 0 if auth was not asked about this one */
	unsigned int id;
	uint64_t asked_usecs;
	/* auth's line; NULL if there is none yet */
	char *answer;
};

struct recall_ahead {
	int fd;
	struct istream *input;
	unsigned int last_id;
	/* the connection has been of use */
	bool answered;
	/* it is better not to try any more */
	bool given_up;

	/* in the order in which they come */
	struct recall_ahead_user users[RECALL_AHEAD_USERS];
	unsigned int count;
};

struct recall_ahead *recall_ahead_init(void)
{
	struct recall_ahead *ahead = i_new(struct recall_ahead, 1);

	ahead->fd = -1;
	return ahead;
}

/* What auth still answers about them is passed over. */
static void ahead_forget(struct recall_ahead *ahead, unsigned int first,
			 unsigned int count)
{
	unsigned int i;

	for (i = first; i < first + count; i++) {
		i_free(ahead->users[i].username);
		i_free(ahead->users[i].answer);
	}
	memmove(&ahead->users[first], &ahead->users[first + count],
		(ahead->count - first - count) * sizeof(ahead->users[0]));
	ahead->count -= count;
}

/* Answers go with the auth that gave them. */
static void ahead_disconnect(struct recall_ahead *ahead)
{
	ahead_forget(ahead, 0, ahead->count);
	if (ahead->fd == -1)
		return;
	i_stream_destroy(&ahead->input);
	i_close_fd(&ahead->fd);
	if (!ahead->answered)
		ahead->given_up = TRUE;
}

static void ahead_send(struct recall_ahead *ahead, const string_t *str)
{
	ssize_t ret = send(ahead->fd, str_data(str), str_len(str),
			   MSG_NOSIGNAL);

	if (ret < 0 || (size_t)ret != str_len(str))
		ahead_disconnect(ahead);
}

/* It may be that nobody can be looked up: that is for the ordinary lookup to
   say. */
static bool ahead_connect(struct recall_ahead *ahead, const char *path)
{
	if (ahead->fd == -1 && !ahead->given_up) {
		ahead->fd = net_connect_unix(path);
		if (ahead->fd == -1) {
			ahead->given_up = TRUE;
			return FALSE;
		}
		fd_close_on_exec(ahead->fd, TRUE);
		ahead->answered = FALSE;
		ahead->input = i_stream_create_fd(ahead->fd, AHEAD_ANSWER_MAX);
		T_BEGIN {
			string_t *str = t_str_new(32);

			str_printfa(str, "VERSION\t%u\t%u\n",
				    AUTH_CLIENT_PROTOCOL_MAJOR_VERSION,
				    AUTH_CLIENT_PROTOCOL_MINOR_VERSION);
			ahead_send(ahead, str);
		} T_END;
	}
	return ahead->fd != -1;
}

static void ahead_add(struct recall_ahead *ahead, const char *username,
		      const struct auth_user_info *info, string_t *str)
{
	struct recall_ahead_user *user = &ahead->users[ahead->count++];

	i_zero(user);
	user->username = i_strdup(username);
	/* this has no character that means something to auth */
	if (recall_username_get_error(username) != NULL)
		return;
	if (++ahead->last_id == 0)
		ahead->last_id++;
	user->id = ahead->last_id;
	user->asked_usecs = recall_pace_now();
	str_printfa(str, "USER\t%u\t%s", user->id, username);
	auth_user_info_export(str, info);
	str_append_c(str, '\n');
}

static void ahead_get_info(const struct mail_storage_service_input *input,
			   struct auth_user_info *info_r)
{
	i_zero(info_r);
	recall_auth_info_set_service(info_r, input->service);
	info_r->local_ip = input->local_ip;
	info_r->remote_ip = input->remote_ip;
	info_r->local_port = input->local_port;
	info_r->remote_port = input->remote_port;
}

/* Others come next than was said before: a list has ended early. */
static bool ahead_is_outdated(const struct recall_ahead *ahead,
			      const char *const *users, unsigned int count)
{
	unsigned int i;

	if (ahead->count > count)
		return TRUE;
	for (i = 0; i < ahead->count; i++) {
		if (strcmp(ahead->users[i].username, users[i]) != 0)
			return TRUE;
	}
	return FALSE;
}

void recall_ahead_ask(struct recall_ahead *ahead,
		      struct auth_master_connection *auth,
		      const struct mail_storage_service_input *input,
		      const char *const *users, unsigned int count)
{
	struct auth_user_info info;
	string_t *str;

	count = I_MIN(count, RECALL_AHEAD_USERS);
	if (ahead_is_outdated(ahead, users, count))
		ahead_forget(ahead, 0, ahead->count);
	if (ahead->count == count || ahead->count > AHEAD_USERS_LOW ||
	    !ahead_connect(ahead, auth_master_get_socket_path(auth)))
		return;
	ahead_get_info(input, &info);
	str = t_str_new(1024);
	while (ahead->count < count)
		ahead_add(ahead, users[ahead->count], &info, str);
	ahead_send(ahead, str);
}

static void ahead_handle_line(struct recall_ahead *ahead, const char *line)
{
	const char *const *args = t_strsplit(line, "\t");
	unsigned int i, id;

	/* beside answers there is a greeting: VERSION and SPID */
	if (args[0] == NULL || args[1] == NULL ||
	    (strcmp(args[0], "USER") != 0 && strcmp(args[0], "NOTFOUND") != 0 &&
	     strcmp(args[0], "FAIL") != 0) || str_to_uint(args[1], &id) < 0)
		return;
	for (i = 0; i < ahead->count; i++) {
		if (id != 0 && ahead->users[i].id == id) {
			i_free(ahead->users[i].answer);
			ahead->users[i].answer = i_strdup(line);
			ahead->answered = TRUE;
		}
	}
}

/* Takes what auth has answered by now. */
static void ahead_read(struct recall_ahead *ahead)
{
	const char *line;

	while ((line = i_stream_read_next_line(ahead->input)) != NULL) T_BEGIN {
		ahead_handle_line(ahead, line);
	} T_END;
	if (ahead->input->eof || ahead->input->stream_errno != 0 ||
	    i_stream_get_data_size(ahead->input) >= AHEAD_ANSWER_MAX)
		ahead_disconnect(ahead);
}

/* Waits for auth's answer about the first user. Returns FALSE if it is not to
   be had. */
static bool ahead_wait(struct recall_ahead *ahead)
{
	struct recall_ahead_user *user = &ahead->users[0];
	struct pollfd poll_fd = { .fd = ahead->fd, .events = POLLIN };
	uint64_t usecs;

	while (user->id != 0) {
		ahead_read(ahead);
		if (ahead->count == 0)
			return FALSE;
		usecs = recall_pace_now() - user->asked_usecs;
		if (usecs >= AHEAD_MAX_USECS) {
			if (user->answer == NULL)
				ahead_disconnect(ahead);
			else
				ahead_forget(ahead, 0, ahead->count);
			return FALSE;
		}
		if (user->answer != NULL)
			return TRUE;
		(void)poll(&poll_fd, 1, (AHEAD_MAX_USECS - usecs) / 1000 + 1);
	}
	return FALSE;
}

static bool fields_have_home(const char *const *fields)
{
	for (; *fields != NULL; fields++) {
		if (str_begins_with(*fields, "home="))
			return TRUE;
	}
	return FALSE;
}

static void ahead_use(const char *answer,
		      struct mail_storage_service_input *input)
{
	/* USER <id> <name> [<field> ...] */
	const char *const *args = t_strsplit_tabescaped(answer);

	if (strcmp(args[0], "USER") != 0 || args[2] == NULL)
		return;
	/* who is not looked up has the home that the environment names */
	if (!fields_have_home(args + 3) && getenv("HOME") != NULL)
		return;
	input->username = args[2];
	input->userdb_fields = args + 3;
	input->flags_override_remove |=
		MAIL_STORAGE_SERVICE_FLAG_USERDB_LOOKUP;
}

void recall_ahead_take(struct recall_ahead *ahead,
		       struct mail_storage_service_input *input)
{
	while (ahead->count > 0 &&
	       strcmp(ahead->users[0].username, input->username) != 0)
		ahead_forget(ahead, 0, 1);
	if (ahead->count == 0)
		return;
	if (ahead_wait(ahead))
		ahead_use(ahead->users[0].answer, input);
	if (ahead->count > 0)
		ahead_forget(ahead, 0, 1);
}

void recall_ahead_deinit(struct recall_ahead **_ahead)
{
	struct recall_ahead *ahead = *_ahead;

	*_ahead = NULL;
	ahead_disconnect(ahead);
	i_free(ahead);
}
