#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "base64.h"
#include "ioloop.h"
#include "istream.h"
#include "istream-multiplex.h"
#include "ostream.h"
#include "str.h"
#include "iostream-ssl.h"
#include "master-service.h"
#include "doveadm.h"
#include "doveadm-settings.h"
#include "doveadm-util.h"
#include "recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-proxy-conn.h"
#include "recall-proxy-row.h"
#include "recall-proxy-tls.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROXY_BUF_SIZE (2 * RECALL_PROXY_WHOLE_SIZE)
#define PROXY_CONNECT_SECS 30
/* A node that has been silent is asked whether it is there, so often. */
#define PROXY_SILENT_SECS 60
#define PROXY_PROBE_SECS 10
#define PROXY_PROBES 6
#define PROXY_LOG_CHANNEL 'L'
/* The server's minor version from which on it knows STARTTLS. */
#define PROXY_MINOR_STARTTLS 2

enum proxy_conn_state {
	PROXY_CONN_IDLE = 0,
	/* the rows come, ended by an empty line */
	PROXY_CONN_ROWS,
	/* the exit code comes */
	PROXY_CONN_RESULT
};

struct recall_proxy_conn {
	struct recall_proxy_server *server;
	struct recall_proxy_request *request;

	int fd;
	struct io *io, *io_log;
	struct timeout *to;
	struct istream *input, *log_input;
	struct ostream *output;
	struct ssl_iostream *ssl;
	unsigned int minor;

	enum proxy_conn_state state;
	struct recall_proxy_row row;
	bool version_received:1;
	bool tls_started:1;
	bool auth_sent:1;
	bool ready:1;
	/* of the row that has come in part: nobody wants it; it has a UID */
	bool unwanted:1;
	bool has_uid:1;
};

static void conn_input(struct recall_proxy_conn *conn);

static void conn_print_log(struct recall_proxy_conn *conn)
{
	struct failure_context ctx;
	const char *line;

	if (conn->log_input == NULL)
		return;
	i_zero(&ctx);
	while ((line = i_stream_read_next_line(conn->log_input)) != NULL) {
		if (*line == '\0' ||
		    !doveadm_log_type_from_char(*line, &ctx.type))
			continue;
		if (ctx.type == LOG_TYPE_INFO && conn->server->quiet)
			continue;
		i_log_type(&ctx, "remote(%s): %s", conn->server->name,
			   line + 1);
	}
}

static const char *conn_get_error(struct recall_proxy_conn *conn)
{
	const char *error = conn->ssl == NULL ? NULL :
		ssl_iostream_get_last_error(conn->ssl);

	if (error != NULL)
		return error;
	if (conn->input->stream_errno != 0)
		return i_stream_get_error(conn->input);
	/* where writing came first, it alone got the error of a failed
	   connect() */
	return conn->output->stream_errno == 0 ? "Connection closed" :
		o_stream_get_error(conn->output);
}

static void conn_timeout(struct recall_proxy_conn *conn)
{
	recall_proxy_conn_deinit(&conn, "Connecting timed out");
}

static int
conn_start_tls(struct recall_proxy_conn *conn, const char **error_r)
{
	struct recall_proxy_server *server = conn->server;
	const char *error;

	if (recall_proxy_tls_init(server, &conn->input, &conn->output,
				  &conn->ssl, &error) < 0) {
		*error_r = t_strdup_printf("TLS failed: %s", error);
		return -1;
	}
	if (ssl_iostream_handshake(conn->ssl) < 0) {
		*error_r = t_strdup_printf("TLS handshake failed: %s",
			ssl_iostream_get_last_error(conn->ssl));
		return -1;
	}
	conn->tls_started = TRUE;
	return 0;
}

/* An answer may take hours, but somebody must be there to give it: a machine
   that has lost power or network closes no connection. */
static void conn_keep_alive(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, PROXY_SILENT_SECS },
		{ IPPROTO_TCP, TCP_KEEPINTVL, PROXY_PROBE_SECS },
		{ IPPROTO_TCP, TCP_KEEPCNT, PROXY_PROBES },
		/* and what was sent has to arrive */
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 *
		  (PROXY_SILENT_SECS + PROXY_PROBES * PROXY_PROBE_SECS) },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(options); i++) {
		if (setsockopt(fd, options[i].level, options[i].name,
			       &options[i].value, sizeof(int)) < 0)
			i_warning("setsockopt(%d) failed: %m", options[i].name);
	}
}

static int conn_connect(struct recall_proxy_server *server,
			const char **error_r)
{
	struct ip_addr ip = server->ip, *ips;
	unsigned int count;
	int fd, ret;

	if (strchr(server->name, '/') != NULL) {
		fd = net_connect_unix(server->name);
	} else {
		if (ip.family == 0) {
			ret = net_gethostbyname(server->hostname, &ips, &count);
			if (ret != 0) {
				*error_r = net_gethosterror(ret);
				return -1;
			}
			ip = ips[0];
		}
		fd = net_connect_ip(&ip, server->port, NULL);
		if (fd != -1)
			conn_keep_alive(fd);
	}
	if (fd == -1)
		*error_r = strerror(errno);
	return fd;
}

int recall_proxy_conn_init(struct recall_proxy_server *server,
			   struct recall_proxy_conn **conn_r,
			   const char **error_r)
{
	struct recall_proxy_conn *conn;
	int fd;

	fd = conn_connect(server, error_r);
	if (fd == -1)
		return -1;
	net_set_nonblock(fd, TRUE);
	conn = i_new(struct recall_proxy_conn, 1);
	conn->server = server;
	conn->fd = fd;
	conn->input = i_stream_create_fd(fd, PROXY_BUF_SIZE);
	conn->output = o_stream_create_fd(fd, SIZE_MAX);
	o_stream_set_no_error_handling(conn->output, TRUE);
	i_stream_set_name(conn->input, server->name);
	o_stream_set_name(conn->output, server->name);
	array_push_back(&server->conns, &conn);
	if (server->ssl && !server->starttls &&
	    conn_start_tls(conn, error_r) < 0) {
		recall_proxy_conn_deinit(&conn, *error_r);
		return -1;
	}
	conn->io = io_add_istream(conn->input, conn_input, conn);
	conn->to = timeout_add(PROXY_CONNECT_SECS * 1000, conn_timeout, conn);
	o_stream_nsend_str(conn->output,
			   DOVEADM_SERVER_PROTOCOL_VERSION_LINE"\n");
	*conn_r = conn;
	return 0;
}

static bool conn_is_held(const struct recall_proxy_conn *conn)
{
	return recall_proxy_request_is_held(conn->server->proxy, conn->request);
}

static void conn_print_column(struct recall_proxy_conn *conn, const char *value)
{
	struct recall_proxy_request *request = conn->request;
	struct recall_proxy_batch *batch = request->batch;

	if (batch != NULL) {
		batch->size += strlen(value) + 1 + sizeof(value);
		value = p_strdup(batch->pool, value);
		array_push_back(&batch->columns, &value);
	} else if (conn_is_held(conn)) {
		request->size += strlen(value) + 1 + sizeof(value);
		recall_proxy_request_keep(request, value);
	} else {
		recall_rows_add(conn->server->rows, value);
	}
}

/* A part of a column; the last one is empty. */
static void conn_print_stream(struct recall_proxy_conn *conn,
			      const void *data, size_t size)
{
	struct recall_proxy_request *request = conn->request;
	struct recall_proxy_batch *batch = request->batch;
	string_t *part;

	if (batch == NULL && !conn_is_held(conn)) {
		recall_rows_add_stream(conn->server->rows, data, size);
		return;
	}
	if (batch == NULL && request->part == NULL)
		request->part = str_new(default_pool, 256);
	part = batch == NULL ? request->part : batch->part;
	if (size > 0) {
		*(batch == NULL ? &request->size : &batch->size) += size;
		str_append_data(part, data, size);
	} else {
		conn_print_column(conn, str_c(part));
		str_truncate(part, 0);
	}
}

/* Completes the row that has been begun, if there is one. */
static bool conn_end_row(struct recall_proxy_conn *conn, const char *error)
{
	struct recall_proxy_row *row = &conn->row;

	if (conn->request->batch != NULL ||
	    (!row->in_column && row->column == 0))
		return FALSE;
	if (row->in_column) {
		conn_print_stream(conn, "", 0);
		row->column++;
	}
	for (; row->column < row->columns; row->column++)
		conn_print_column(conn,
				  row->column + 1 < row->columns ? "" : error);
	return TRUE;
}

void recall_proxy_conn_deinit(struct recall_proxy_conn **_conn,
			      const char *error)
{
	struct recall_proxy_conn *conn = *_conn;
	struct recall_proxy_server *server = conn->server;
	struct recall_proxy_request *request = conn->request;
	const char *text;
	unsigned int i;
	bool ready = conn->ready, partial = FALSE;

	*_conn = NULL;
	text = t_strdup_printf(RECALL_ERROR_NODE"%s "RECALL_ERROR_NODE_LOST
			       " %s", server->name, error);
	if (request != NULL)
		partial = conn_end_row(conn, text);
	for (i = 0; i < array_count(&server->conns); i++) {
		if (array_idx_elem(&server->conns, i) == conn) {
			array_delete(&server->conns, i, 1);
			break;
		}
	}
	timeout_remove(&conn->to);
	i_stream_destroy(&conn->input);
	o_stream_destroy(&conn->output);
	ssl_iostream_destroy(&conn->ssl);
	io_remove(&conn->io_log);
	conn_print_log(conn);
	i_stream_unref(&conn->log_input);
	io_remove(&conn->io);
	i_close_fd(&conn->fd);
	recall_proxy_end_print(server->proxy, conn);
	i_free(conn);
	if (!ready && recall_proxy_postpone(server, request))
		return;
	if (!ready && server->error == NULL)
		server->error = i_strdup(text);
	if (request != NULL)
		recall_proxy_lost(server, request, partial, text);
	else
		io_loop_stop(current_ioloop);
}

bool recall_proxy_conn_is_idle(const struct recall_proxy_conn *conn)
{
	return conn->request == NULL;
}

bool recall_proxy_conn_is_ready(const struct recall_proxy_conn *conn)
{
	return conn->ready;
}

static void conn_send_request(struct recall_proxy_conn *conn)
{
	conn->state = PROXY_CONN_ROWS;
	i_zero(&conn->row);
	conn->row.columns = recall_rows_get_count(conn->server->rows);
	o_stream_nsend_str(conn->output,
		recall_proxy_get_line(conn->server->proxy, conn->request));
}

void recall_proxy_conn_send(struct recall_proxy_conn *conn,
			    struct recall_proxy_request *request)
{
	i_assert(conn->request == NULL);

	conn->request = request;
	if (conn->ready)
		conn_send_request(conn);
}

void recall_proxy_conn_move(struct recall_proxy_conn *from,
			    struct recall_proxy_conn *to)
{
	struct recall_proxy_request *request = from->request;

	i_assert(!from->ready);

	from->request = NULL;
	recall_proxy_conn_send(to, request);
}

static void conn_ready(struct recall_proxy_conn *conn)
{
	struct istream *input = conn->input;

	timeout_remove(&conn->to);
	if (conn->minor > 0) {
		/* rows and log lines come in channels from now on */
		conn->input = i_stream_create_multiplex(input, PROXY_BUF_SIZE);
		i_stream_unref(&input);
		io_remove(&conn->io);
		conn->io = io_add_istream(conn->input, conn_input, conn);
		conn->log_input = i_stream_multiplex_add_channel(conn->input,
							PROXY_LOG_CHANNEL);
		conn->io_log = io_add_istream(conn->log_input, conn_print_log,
					      conn);
		i_stream_set_return_partial_line(conn->log_input, TRUE);
	}
	conn->ready = TRUE;
	if (conn->request != NULL)
		conn_send_request(conn);
	else
		io_loop_stop(current_ioloop);
}

static int
conn_authenticate(struct recall_proxy_conn *conn, const char **error_r)
{
	string_t *plain = t_str_new(128), *line = t_str_new(128);

	if (conn->auth_sent) {
		*error_r = "Authentication failed";
		return -1;
	}
	if (*doveadm_settings->doveadm_password == '\0') {
		*error_r = "doveadm_password is not set";
		return -1;
	}
	if (conn->server->starttls && !conn->tls_started) {
		if (conn->minor < PROXY_MINOR_STARTTLS) {
			*error_r = "The server does not know STARTTLS";
			return -1;
		}
		io_remove(&conn->io);
		o_stream_nsend_str(conn->output, "STARTTLS\n");
		if (conn_start_tls(conn, error_r) < 0)
			return -1;
		conn->io = io_add_istream(conn->input, conn_input, conn);
	}
	str_append_c(plain, '\0');
	str_append(plain, doveadm_settings->doveadm_username);
	str_append_c(plain, '\0');
	str_append(plain, doveadm_settings->doveadm_password);
	str_append(line, "PLAIN\t");
	base64_encode(str_data(plain), str_len(plain), line);
	str_append_c(line, '\n');
	o_stream_nsend(conn->output, str_data(line), str_len(line));
	conn->auth_sent = TRUE;
	return 0;
}

/* Returns 1 if there is more to read, 0 if not yet, -1 on errors. */
static int
conn_input_handshake(struct recall_proxy_conn *conn, const char **error_r)
{
	const char *line = i_stream_next_line(conn->input);

	if (line == NULL)
		return 0;
	if (!conn->version_received && str_begins_with(line, "VERSION\t")) {
		conn->version_received = TRUE;
		if (version_string_verify_full(line, "doveadm-client",
				DOVEADM_SERVER_PROTOCOL_VERSION_MAJOR,
				&conn->minor))
			return 1;
		*error_r = "Its version does not go with this one";
		return -1;
	}
	if (strcmp(line, "+") == 0) {
		conn_ready(conn);
		return 1;
	}
	if (strcmp(line, "-") == 0)
		return conn_authenticate(conn, error_r) < 0 ? -1 : 1;
	*error_r = "Unknown handshake";
	return -1;
}

/* Whether the column that comes next has a user's name that is another one over
   there. */
static bool conn_is_alias(const struct recall_proxy_conn *conn)
{
	return conn->request->batch == NULL &&
		conn->row.column == recall_rows_find(conn->server->rows,
						RECALL_COLUMN_USERNAME) &&
		strcmp(conn->request->username,
		       conn->request->remote_username) != 0;
}

static void conn_begin_part(struct recall_proxy_conn *conn,
			    const struct recall_proxy_part *part)
{
	unsigned int uid = recall_rows_find(conn->server->rows,
					    RECALL_COLUMN_UID);

	if (conn->row.column == 0 && !conn->row.in_column) {
		conn->unwanted = conn->request->batch == NULL &&
			!recall_proxy_wants_row(conn->server->proxy);
		conn->has_uid = uid == conn->row.columns;
	}
	if (conn->row.column == uid && str_len(part->text) > 0)
		conn->has_uid = TRUE;
}

/* A node says what has become of those whom it was asked about, and of nobody
   else. */
static int conn_check_part(const struct recall_proxy_conn *conn,
			   const struct recall_proxy_part *part,
			   const char **error_r)
{
	const struct recall_proxy_request *request = conn->request;
	const struct recall_proxy_batch *batch = request->batch;
	const unsigned int name_idx =
		recall_rows_find(conn->server->rows, RECALL_COLUMN_USERNAME);

	if (batch != NULL) {
		if (batch->max_size == 0 || batch->size <= batch->max_size)
			return 0;
		*error_r = "Its answer is too long for several users";
		return -1;
	}
	if (request->size > RECALL_PROXY_KEPT_MAX_SIZE) {
		*error_r = "Its answer is too long";
		return -1;
	}
	if (conn->row.column != name_idx ||
	    (part->last && !conn->row.in_column &&
	     strcmp(str_c(part->text), request->remote_username) == 0))
		return 0;
	*error_r = "It answers for another user";
	return -1;
}

static void conn_print_part(struct recall_proxy_conn *conn,
			    const struct recall_proxy_part *part)
{
	const char *text = str_c(part->text);

	conn_begin_part(conn, part);
	if (conn->unwanted) {
		/* passed over */
	} else if (part->last && !conn->row.in_column) {
		conn_print_column(conn, conn_is_alias(conn) ?
				  conn->request->username : text);
	} else {
		if (str_len(part->text) > 0)
			conn_print_stream(conn, text, str_len(part->text));
		if (part->last)
			conn_print_stream(conn, "", 0);
	}
	if (!recall_proxy_row_next(&conn->row, part))
		return;
	conn->request->rows++;
	if (!conn->unwanted && conn->request->batch == NULL)
		recall_proxy_row_printed(conn->server->proxy, conn->has_uid);
}

static int conn_input_rows(struct recall_proxy_conn *conn, const char **error_r)
{
	struct recall_proxy_part part;
	const unsigned char *data;
	size_t size;
	int ret;

	data = i_stream_get_data(conn->input, &size);
	ret = recall_proxy_row_begin(&conn->row, data, size, error_r);
	if (ret <= 0)
		return ret;
	if (conn->request->batch == NULL && !conn_is_held(conn) &&
	    !recall_proxy_begin_print(conn->server->proxy, conn)) {
		io_remove(&conn->io);
		return 0;
	}
	ret = recall_proxy_row_read(&conn->row, data, size, &part, error_r);
	if (ret <= 0)
		return ret;
	i_stream_skip(conn->input, part.size);
	if (part.end) {
		conn->state = PROXY_CONN_RESULT;
		recall_proxy_end_print(conn->server->proxy, conn);
	} else if (conn_check_part(conn, &part, error_r) < 0) {
		return -1;
	} else {
		conn_print_part(conn, &part);
	}
	return 1;
}

static int
conn_input_result(struct recall_proxy_conn *conn, const char **error_r)
{
	struct recall_proxy_request *request = conn->request;
	const char *line = i_stream_next_line(conn->input);
	int exit_code = 0;

	if (line == NULL)
		return 0;
	if (*line == '-') {
		exit_code = doveadm_str_to_exit_code(++line);
		if (exit_code == DOVEADM_EX_UNKNOWN)
			exit_code = EX_TEMPFAIL;
	} else if (*line != '+') {
		*error_r = "Unknown answer";
		return -1;
	}
	conn->state = PROXY_CONN_IDLE;
	conn->request = NULL;
	recall_proxy_answered(conn->server, request, exit_code, line);
	return 1;
}

static int conn_input_one(struct recall_proxy_conn *conn, const char **error_r)
{
	size_t size;

	/* before the look at the data, as it may bring some */
	conn_print_log(conn);
	(void)i_stream_get_data(conn->input, &size);
	if (size == 0)
		return 0;
	if (!conn->ready)
		return conn_input_handshake(conn, error_r);
	switch (conn->state) {
	case PROXY_CONN_IDLE:
		break;
	case PROXY_CONN_ROWS:
		return conn_input_rows(conn, error_r);
	case PROXY_CONN_RESULT:
		return conn_input_result(conn, error_r);
	}
	*error_r = "Unexpected input";
	return -1;
}

static void conn_input(struct recall_proxy_conn *conn)
{
	const char *error = "";
	bool closed;
	int ret;

	/* where a handshake has failed as it was written (2.4) there is nothing
	   to be read, again and again */
	closed = i_stream_read(conn->input) == -1 ||
		(conn->ssl != NULL &&
		 ssl_iostream_has_handshake_failed(conn->ssl));
	do T_BEGIN {
		ret = conn_input_one(conn, &error);
		if (ret < 0)
			recall_proxy_conn_deinit(&conn, error);
	} T_END; while (ret > 0);
	/* if it has to wait then what has come is still to be printed */
	if (ret == 0 && closed && conn->io != NULL)
		recall_proxy_conn_deinit(&conn, conn_get_error(conn));
}

void recall_proxy_conn_resume(struct recall_proxy_conn *conn)
{
	if (conn->io != NULL || conn->input == NULL)
		return;
	conn->io = io_add_istream(conn->input, conn_input, conn);
	io_set_pending(conn->io);
}
