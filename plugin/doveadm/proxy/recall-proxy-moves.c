#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "fd-util.h"
#include "ioloop.h"
#include "istream.h"
#include "net.h"
#include "ostream.h"
#include "str.h"
#include "strescape.h"
#include "auth-client-interface.h"
#include "auth-master.h"
#include "mail-storage-service.h"
#include "doveadm.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-batch.h"
#include "recall-proxy-private.h"
#include "recall-proxy-route.h"
#include "recall-proxy.h"

#include <unistd.h>

/* Users who move to another node while they are asked about: their mail is not
   where the passdb had said that it was, and nobody has looked where it is. So
   the passdb is asked once more, while others go on, about whoever has nothing,
   or nothing any more, on the node that has answered. */

/* How often somebody is asked for elsewhere. */
#define MOVES_MAX 3
/* A passdb may send to one of several nodes in turn, each of which has the
   mail. So often it is asked whether it names the same one once more. */
#define MOVES_LOOKUPS_MAX 10
/* An answer is not waited for any longer while none comes, as by Dovecot's own
   lookups. */
#define MOVES_SILENT_SECS 150
#define MOVES_CONNECT_MSECS 1000
/* An auth that is about to end closes connections that it has just taken. */
#define MOVES_CONNECT_TRIES 5
#define MOVES_LINE_MAX 8192

struct recall_proxy_moves {
	struct recall_proxy *proxy;
	char *path;
	struct auth_user_info info;

	int fd;
	struct istream *input;
	struct ostream *output;
	struct io *io;
	struct timeout *to;
	unsigned int last_id;
	/* those whom auth has not answered about, in the order asked */
	ARRAY_TYPE(recall_proxy_request) asked;
	/* the connection has been of use; how many were not since one was */
	bool answered;
	unsigned int useless;
};

static void moves_input(struct recall_proxy_moves *moves);

void recall_proxy_moves_init(struct recall_proxy *proxy,
			     const struct mail_storage_service_input *input)
{
	struct recall_proxy_moves *moves;
	struct auth_master_connection *auth;

	if (proxy->moves != NULL)
		return;
	auth = mail_storage_service_get_auth_conn(proxy->service);
	moves = p_new(proxy->pool, struct recall_proxy_moves, 1);
	moves->proxy = proxy;
	moves->path = p_strdup(proxy->pool, auth_master_get_socket_path(auth));
	moves->fd = -1;
	recall_proxy_route_get_info(input, &moves->info);
	i_array_init(&moves->asked, 16);
	proxy->moves = moves;
}

static void moves_disconnect(struct recall_proxy_moves *moves)
{
	timeout_remove(&moves->to);
	io_remove(&moves->io);
	i_stream_destroy(&moves->input);
	o_stream_destroy(&moves->output);
	i_close_fd(&moves->fd);
}

void recall_proxy_moves_deinit(struct recall_proxy *proxy)
{
	if (proxy->moves == NULL)
		return;
	i_assert(array_is_empty(&proxy->moves->asked));
	moves_disconnect(proxy->moves);
	array_free(&proxy->moves->asked);
	proxy->moves = NULL;
}

bool recall_proxy_moves_are_asked(const struct recall_proxy *proxy)
{
	return proxy->moves != NULL && !array_is_empty(&proxy->moves->asked);
}

bool recall_proxy_moves_matter(const struct recall_proxy *proxy,
			       const struct recall_proxy_request *request)
{
	/* a node itself */
	if (proxy->moves == NULL)
		return FALSE;
	if (request->rows == 0)
		return !proxy->callbacks->all_have_rows;
	if (!proxy->callbacks->one_row)
		return FALSE;
	switch (request->verdict) {
	case RECALL_VERDICT_NOT_FOUND:
	case RECALL_VERDICT_NO_USER:
	case RECALL_VERDICT_ALREADY_RECALLED:
	/* the other node may have another copy, which is the user's */
	case RECALL_VERDICT_EXPUNGED:
	case RECALL_VERDICT_RESTORED:
		return TRUE;
	default:
		return FALSE;
	}
}

/* The user has left the node, and its answer counts for little. */
static void moves_leave(struct recall_proxy *proxy,
			struct recall_proxy_request *request)
{
	if (request->doubted_in != NULL) {
		recall_proxy_nodes_take(request->server, request->doubted_in,
					request);
		request->doubted_in = NULL;
	}
	recall_proxy_request_leave(proxy, request);
	request->lookups = 0;
}

static void
moves_stay(struct recall_proxy *proxy, struct recall_proxy_request *request)
{
	struct recall_proxy_batch *batch = request->doubted_in;

	request->doubted_in = NULL;
	if (batch != NULL)
		recall_proxy_nodes_settled(batch);
	else
		recall_proxy_request_tell(proxy, request);
}

static void
moves_fail(struct recall_proxy *proxy, struct recall_proxy_request *request,
	   const char *error)
{
	error = recall_proxy_request_left_error(request, error);
	if (request->verdict == RECALL_VERDICT_EXPUNGED) {
		/* which is known */
		i_error("%s: %s", request->username, error);
		recall_rows_set_exit_code(proxy->rows, EX_TEMPFAIL);
		moves_stay(proxy, request);
		return;
	}
	moves_leave(proxy, request);
	recall_proxy_request_lose(request->server, request, error);
}

/* Another name of the user may have been asked for there already. */
static void
moves_ask_at(struct recall_proxy *proxy, struct recall_proxy_request *request,
	     struct recall_proxy_server *server)
{
	struct recall_proxy_request *other =
		recall_proxy_request_find(proxy, server,
					  request->remote_username);

	/* that one may have come from here meanwhile */
	while (other != NULL && other->leader != NULL)
		other = other->leader;
	if (other != NULL && other != request) {
		recall_proxy_request_follow(proxy, request, other);
		return;
	}
	recall_proxy_request_remember(proxy, server, request);
	recall_proxy_server_add(server, request);
}

static void
moves_follow(struct recall_proxy *proxy, struct recall_proxy_request *request,
	     const struct recall_proxy_route *route)
{
	struct recall_proxy_server *server, *left = request->server;
	const char *error;
	int ret;

	ret = recall_proxy_get_server(proxy, route, &server, &error);
	if (ret > 0 && server == left &&
	    strcmp(route->user, request->remote_username) == 0) {
		moves_stay(proxy, request);
		return;
	}
	if (ret > 0 && ++request->lookups < MOVES_LOOKUPS_MAX) {
		recall_proxy_moves_ask(left, request);
		return;
	}
	moves_leave(proxy, request);
	if (ret == 0) {
		error = "The user has left it meanwhile";
	} else if (ret > 0 && ++request->moves > MOVES_MAX) {
		error = t_strdup_printf(
			"The user has moved %u times meanwhile",
			request->moves);
	} else if (ret > 0 &&
		   recall_proxy_announce(proxy, server, route, &error) == 0) {
		i_free(request->remote_username);
		request->remote_username = i_strdup(route->user);
		moves_ask_at(proxy, request, server);
		return;
	}
	recall_proxy_request_lose(left, request,
		recall_proxy_request_left_error(request, error));
}

static void moves_fail_all(struct recall_proxy_moves *moves, const char *error)
{
	struct recall_proxy_request *request;

	while (!array_is_empty(&moves->asked)) T_BEGIN {
		request = array_idx_elem(&moves->asked, 0);
		array_pop_front(&moves->asked);
		moves_fail(moves->proxy, request, error);
	} T_END;
	io_loop_stop(current_ioloop);
}

static void moves_timeout(struct recall_proxy_moves *moves)
{
	const char *error = moves->fd == -1 ?
		t_strdup_printf("connect(%s) failed", moves->path) :
		t_strdup_printf("%s does not answer", moves->path);

	moves_disconnect(moves);
	moves_fail_all(moves, error);
}

static void
moves_send(struct recall_proxy_moves *moves,
	   struct recall_proxy_request *request)
{
	string_t *str = t_str_new(128);

	/* a name that was asked for has no character that means something to
	   auth */
	str_printfa(str, "PASS\t%u\t%s", request->lookup_id, request->username);
	auth_user_info_export(str, &moves->info);
	str_append_c(str, '\n');
	o_stream_nsend(moves->output, str_data(str), str_len(str));
}

static bool moves_connect(struct recall_proxy_moves *moves)
{
	struct recall_proxy_request *request;

	if (moves->fd != -1)
		return TRUE;
	moves->proxy->callbacks->regain_root();
	/* it may have many who ask, or be about to begin anew */
	moves->fd = net_connect_unix_with_retries(moves->path,
						  MOVES_CONNECT_MSECS);
	if (moves->fd == -1)
		return FALSE;
	/* of a connection that could not be made before */
	timeout_remove(&moves->to);
	fd_close_on_exec(moves->fd, TRUE);
	net_set_nonblock(moves->fd, TRUE);
	moves->answered = FALSE;
	moves->input = i_stream_create_fd(moves->fd, MOVES_LINE_MAX);
	moves->output = o_stream_create_fd(moves->fd, SIZE_MAX);
	o_stream_set_no_error_handling(moves->output, TRUE);
	moves->io = io_add_istream(moves->input, moves_input, moves);
	o_stream_nsend_str(moves->output, t_strdup_printf(
		"VERSION\t%u\t%u\n", AUTH_CLIENT_PROTOCOL_MAJOR_VERSION,
		AUTH_CLIENT_PROTOCOL_MINOR_VERSION));
	/* of a connection that has ended */
	array_foreach_elem(&moves->asked, request)
		moves_send(moves, request);
	return TRUE;
}

void recall_proxy_moves_ask(struct recall_proxy_server *server,
			    struct recall_proxy_request *request)
{
	struct recall_proxy_moves *moves = server->proxy->moves;
	bool connected = moves_connect(moves);

	request->server = server;
	if (++moves->last_id == 0)
		moves->last_id++;
	request->lookup_id = moves->last_id;
	array_push_back(&moves->asked, &request);
	if (connected)
		moves_send(moves, request);
	/* who asks is to hear of nothing while it does */
	if (moves->to == NULL && connected) {
		moves->to = timeout_add(MOVES_SILENT_SECS * 1000, moves_timeout,
					moves);
	} else if (moves->to == NULL) {
		moves->to = timeout_add_short(0, moves_timeout, moves);
	}
}

static struct recall_proxy_request *
moves_take(struct recall_proxy_moves *moves, unsigned int id)
{
	struct recall_proxy_request *request;
	unsigned int i;

	for (i = 0; i < array_count(&moves->asked); i++) {
		request = array_idx_elem(&moves->asked, i);
		if (request->lookup_id == id) {
			array_delete(&moves->asked, i, 1);
			return request;
		}
	}
	return NULL;
}

static void
moves_handle_line(struct recall_proxy_moves *moves, const char *line)
{
	const char *const *args = t_strsplit_tabescaped(line);
	struct recall_proxy *proxy = moves->proxy;
	struct recall_proxy_request *request;
	struct recall_proxy_route route;
	const char *error;
	unsigned int id;

	/* beside answers there is a greeting: VERSION and SPID */
	if (args[0] == NULL || args[1] == NULL ||
	    (strcmp(args[0], "PASS") != 0 && strcmp(args[0], "NOTFOUND") != 0 &&
	     strcmp(args[0], "FAIL") != 0) || str_to_uint(args[1], &id) < 0)
		return;
	request = moves_take(moves, id);
	if (request == NULL)
		return;
	moves->answered = TRUE;
	moves->useless = 0;
	if (strcmp(args[0], "FAIL") == 0) {
		error = args[2] == NULL ? "The passdb lookup failed" : args[2];
		moves_fail(proxy, request, error);
		return;
	}
	recall_proxy_route_init(request->username, &route);
	if (recall_proxy_route_read(strcmp(args[0], "PASS") != 0 ? NULL :
				    args + 2, &route, &error) < 0)
		moves_fail(proxy, request, error);
	else
		moves_follow(proxy, request, &route);
}

static void moves_input(struct recall_proxy_moves *moves)
{
	const char *line;

	while ((line = i_stream_read_next_line(moves->input)) != NULL) T_BEGIN {
		moves_handle_line(moves, line);
	} T_END;
	if (array_is_empty(&moves->asked))
		timeout_remove(&moves->to);
	else if (moves->answered && moves->to != NULL)
		timeout_reset(moves->to);
	if (moves->input->eof || moves->input->stream_errno != 0 ||
	    i_stream_get_data_size(moves->input) >= MOVES_LINE_MAX) {
		/* auth may have been told to read its settings anew */
		moves_disconnect(moves);
		if (array_is_empty(&moves->asked))
			return;
		if ((!moves->answered &&
		     ++moves->useless >= MOVES_CONNECT_TRIES) ||
		    !moves_connect(moves)) {
			moves_fail_all(moves, t_strdup_printf(
				"%s: Connection closed", moves->path));
		} else {
			moves->to = timeout_add(MOVES_SILENT_SECS * 1000,
						moves_timeout, moves);
		}
	}
	io_loop_stop(current_ioloop);
}

void recall_proxy_moves_give_up(struct recall_proxy *proxy, const char *error)
{
	if (proxy->moves == NULL)
		return;
	timeout_remove(&proxy->moves->to);
	moves_fail_all(proxy->moves, error);
}
