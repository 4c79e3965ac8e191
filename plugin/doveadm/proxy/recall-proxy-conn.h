#ifndef RECALL_PROXY_CONN_H
#define RECALL_PROXY_CONN_H

#include "net.h"
#include "recall-proxy-batch.h"

/* A connection to a doveadm-server. */

struct istream;
struct ostream;
struct ssl_iostream_context;
struct recall_proxy_conn;

ARRAY_DEFINE_TYPE(recall_proxy_columns, char *);

/* A user's command. */
struct recall_proxy_request {
	/* NULL if it's not one of several users at once */
	struct recall_proxy_batch *batch;
	/* as asked for, and as the node knows the user */
	char *username, *remote_username;
	/* rows that have come */
	unsigned int rows;
	/* The columns of the row, where there is one a user: it is kept until
	   it may be printed, or longer, if other names of this user may ask for
	   it. Otherwise not created. */
	ARRAY_TYPE(recall_proxy_columns) columns;
	/* the column of which a part has come; octets of all of them */
	string_t *part;
	size_t size;
	/* the command's, once the node has answered */
	int exit_code;
	/* of the row, -1 if there is none or it's no verdict's */
	int verdict;

	/* The passdb is being asked whether the user is still on this node: by
	   this number, and if asked for together with others in this batch. */
	struct recall_proxy_server *server;
	struct recall_proxy_batch *doubted_in;
	unsigned int lookup_id;
	/* how often it has said that it is not so, and how often the user was
	   followed */
	unsigned int lookups, moves;
	/* What a node has done whom the user has left since: its row, and its
	   verdict. */
	ARRAY_TYPE(recall_proxy_columns) former;
	int former_verdict;

	/* The user has moved to where another name of theirs had been asked
	   for; and those who have to where this is asked. Not created if there
	   are none. */
	struct recall_proxy_request *leader;
	ARRAY_TYPE(recall_proxy_request) followers;

	/* why it was lost, once it is finished; NULL if it was answered */
	char *error;
	bool finished;
	/* see recall_proxy_request_remember() */
	bool known;
};
ARRAY_DEFINE_TYPE(recall_proxy_conn, struct recall_proxy_conn *);

struct recall_proxy_server {
	struct recall_proxy *proxy;
	struct recall_rows *rows;
	/* the command's */
	struct event *event;
	/* host:port or a socket's path, and the host alone */
	const char *name, *hostname;
	/* family is 0 if hostname has to be resolved */
	struct ip_addr ip;
	in_port_t port;
	bool ssl, starttls, any_cert;
	/* 2.3: what all connections have in common */
	struct ssl_iostream_context *ssl_ctx;
	/* Why it is no use to connect once more. */
	char *error;
	/* What it logs is in our rows, too. */
	bool quiet;
	/* connections at a time */
	unsigned int max_conns;

	ARRAY_TYPE(recall_proxy_conn) conns;
	ARRAY_TYPE(recall_proxy_request) queue;

	/* users who wait for others to be asked for together with */
	ARRAY_TYPE(recall_proxy_request) pending;
	/* those of this node that have not been reported, in order */
	ARRAY(struct recall_proxy_batch *) batches;
	/* commands that users have been handed over by */
	unsigned int sent;
	/* it does not know of batches */
	bool one_by_one;
	/* callbacks->node() knows of it */
	bool announced;
};

/* Connects; the rest happens in the ioloop. */
int recall_proxy_conn_init(struct recall_proxy_server *server,
			   struct recall_proxy_conn **conn_r,
			   const char **error_r);
/* Closes it. A request that has not been answered is lost. */
void recall_proxy_conn_deinit(struct recall_proxy_conn **conn,
			      const char *error);
bool recall_proxy_conn_is_idle(const struct recall_proxy_conn *conn);
/* Whether the server has said that it takes commands. */
bool recall_proxy_conn_is_ready(const struct recall_proxy_conn *conn);
/* The connection must be idle. */
void recall_proxy_conn_send(struct recall_proxy_conn *conn,
			    struct recall_proxy_request *request);
/* Hands the request on that it has not sent yet; the other one must be idle. */
void recall_proxy_conn_move(struct recall_proxy_conn *from,
			    struct recall_proxy_conn *to);
/* Goes on to print, if it had to wait for another one to finish. */
void recall_proxy_conn_resume(struct recall_proxy_conn *conn);

/* Callbacks of the connection to the proxy: */

/* Whether the row that comes next is to be printed; and that it has been. */
bool recall_proxy_wants_row(struct recall_proxy *proxy);
void recall_proxy_row_printed(struct recall_proxy *proxy, bool mail);
/* Only one prints at a time. Returns FALSE if it's another one's turn. */
bool recall_proxy_begin_print(struct recall_proxy *proxy,
			      struct recall_proxy_conn *conn);
void recall_proxy_end_print(struct recall_proxy *proxy,
			    struct recall_proxy_conn *conn);
/* Whether its row is kept until it is known to be the one to be printed. */
bool recall_proxy_request_is_held(const struct recall_proxy *proxy,
				  const struct recall_proxy_request *request);
/* The row has this column. */
void recall_proxy_request_keep(struct recall_proxy_request *request,
			       const char *value);
/* The command's line for the request. */
const char *recall_proxy_get_line(struct recall_proxy *proxy,
				  const struct recall_proxy_request *request);
/* The request was answered; reason is the name of the exit code. */
void recall_proxy_answered(struct recall_proxy_server *server,
			   struct recall_proxy_request *request,
			   int exit_code, const char *reason);
/* It failed before it was ready, with this request or none. Returns TRUE if
   others will do: then the request is theirs. */
bool recall_proxy_postpone(struct recall_proxy_server *server,
			   struct recall_proxy_request *request);
/* It was not. partial: the error is in the row that had been begun. */
void recall_proxy_lost(struct recall_proxy_server *server,
		       struct recall_proxy_request *request, bool partial,
		       const char *error);

#endif
