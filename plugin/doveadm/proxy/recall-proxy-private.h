#ifndef RECALL_PROXY_PRIVATE_H
#define RECALL_PROXY_PRIVATE_H

#include "recall-proxy-conn.h"

/* Among the files of recall-proxy.h. */

struct recall_proxy_callbacks;
struct recall_proxy_moves;
struct recall_proxy_route;
struct mail_storage_service_input;

struct recall_proxy_lost_user {
	char *username, *error;
};

struct recall_proxy {
	pool_t pool;
	const struct doveadm_cmd_context *cctx;
	struct recall_rows *rows;
	struct mail_storage_service_ctx *service;
	const char *socket_path;
	const char *const *args;
	const struct recall_proxy_callbacks *callbacks;
	void *context;

	ARRAY(struct recall_proxy_server *) servers;
	/* the connection of which a row has come in part */
	struct recall_proxy_conn *printer;
	/* one_row: "<server> <address> <user there>" => what was asked there;
	   and all of them */
	HASH_TABLE(char *, struct recall_proxy_request *) requests;
	ARRAY_TYPE(recall_proxy_request) known;
	/* the doveadm-server that takes batches */
	struct recall_proxy_server *local;
	/* NULL as long as nobody is asked for elsewhere */
	struct recall_proxy_moves *moves;
	/* users to be reported as soon as a row may be printed */
	ARRAY(struct recall_proxy_lost_user) lost;
};

/* recall-proxy.c: */

/* Reports what is there to be reported, unless that has to wait. */
void recall_proxy_tell(struct recall_proxy *proxy);
/* Returns 1 and who is to be asked, 0 if nobody is, -1 if that isn't known. */
int recall_proxy_get_server(struct recall_proxy *proxy,
			    const struct recall_proxy_route *route,
			    struct recall_proxy_server **server_r,
			    const char **error_r);
/* Says that the node is going to be asked. Returns -1 if it must not be. */
int recall_proxy_announce(struct recall_proxy *proxy,
			  struct recall_proxy_server *server,
			  const struct recall_proxy_route *route,
			  const char **error_r);

/* recall-proxy-moves.c: */

/* The passdb has just been asked about this user. */
void recall_proxy_moves_init(struct recall_proxy *proxy,
			     const struct mail_storage_service_input *input);
void recall_proxy_moves_deinit(struct recall_proxy *proxy);
/* Whether what has become of the user depends on that this is where the mail
   is. */
bool recall_proxy_moves_matter(const struct recall_proxy *proxy,
			       const struct recall_proxy_request *request);
/* Has the passdb asked whether it is. Then the answer is told, or the other
   node asked. */
void recall_proxy_moves_ask(struct recall_proxy_server *server,
			    struct recall_proxy_request *request);
bool recall_proxy_moves_are_asked(const struct recall_proxy *proxy);
/* It isn't known of any of them. */
void recall_proxy_moves_give_up(struct recall_proxy *proxy, const char *error);

/* recall-proxy-server.c: */

/* Users who wait for a node before others are looked at. */
#define RECALL_PROXY_QUEUE_MAX 16

/* Returns the server of this name and address that is asked in this way. Users
   who are not to be asked for without TLS, or of whoever has any certificate,
   do not share connections with those who are. */
struct recall_proxy_server *
recall_proxy_server_get(struct recall_proxy *proxy,
			const struct recall_proxy_server *wanted);
void recall_proxy_server_deinit(struct recall_proxy_server *server);
/* Has the requests answered before all who wait. */
void recall_proxy_server_prepend(struct recall_proxy_server *server,
				 const ARRAY_TYPE(recall_proxy_request)
				 *requests);
/* Has the request answered after those that were added before. */
void recall_proxy_server_add(struct recall_proxy_server *server,
			     struct recall_proxy_request *request);
/* Gives those who wait to connections, as far as there are any. */
void recall_proxy_server_feed(struct recall_proxy_server *server);
bool recall_proxy_server_is_busy(const struct recall_proxy_server *server);
/* All who wait are lost, and those who are asked for. */
void recall_proxy_server_give_up(struct recall_proxy_server *server,
				 const char *error);

/* recall-proxy-nodes.c: */

/* Has the request answered, together with others of the node if they are not
   long in coming. */
void recall_proxy_nodes_add(struct recall_proxy_server *server,
			    struct recall_proxy_request *request);
/* No others will come. */
void recall_proxy_nodes_send(struct recall_proxy_server *server);
/* The batch has been answered. */
void recall_proxy_nodes_answered(struct recall_proxy_server *server,
				 struct recall_proxy_batch *batch,
				 int exit_code);
/* It has not. retry: ask for users of whom nothing is known once more. */
void recall_proxy_nodes_lost(struct recall_proxy_server *server,
			     struct recall_proxy_batch *batch, bool retry,
			     const char *error);
/* One of the batch's users is still on the node. */
void recall_proxy_nodes_settled(struct recall_proxy_batch *batch);
/* One is not, and leaves the batch together with the row. */
void recall_proxy_nodes_take(struct recall_proxy_server *server,
			     struct recall_proxy_batch *batch,
			     struct recall_proxy_request *request);
/* Prints rows of batches that have been answered, in order, unless that has to
   wait. */
void recall_proxy_nodes_tell(struct recall_proxy_server *server);

/* recall-proxy-request.c: */

/* The names are as asked for, and as the node knows the user. */
struct recall_proxy_request *
recall_proxy_request_init(const char *username, const char *remote_username);
/* Returns what the node was asked about the user, by this name or another;
   NULL if it was not. */
struct recall_proxy_request *
recall_proxy_request_find(struct recall_proxy *proxy,
			  const struct recall_proxy_server *server,
			  const char *remote_username);
/* The request is that from now on. */
void recall_proxy_request_remember(struct recall_proxy *proxy,
				   const struct recall_proxy_server *server,
				   struct recall_proxy_request *request);
/* What becomes of the other one is the answer for this one, too. */
void recall_proxy_request_follow(struct recall_proxy *proxy,
				 struct recall_proxy_request *request,
				 struct recall_proxy_request *other);
/* Whether it is for several users of a node. */
bool
recall_proxy_request_is_of_node(const struct recall_proxy_request *request);
/* error is NULL if it was answered. */
void recall_proxy_request_finish(struct recall_proxy *proxy,
				 struct recall_proxy_request *request,
				 const char *error);
void recall_proxy_request_free(struct recall_proxy_request *request);
/* The node has answered for the user, or as far as to a row. */
void recall_proxy_request_answered(struct recall_proxy_server *server,
				   struct recall_proxy_request *request,
				   int exit_code);
/* Prints its row, if it has one that was kept. */
void recall_proxy_request_tell(struct recall_proxy *proxy,
			       struct recall_proxy_request *request);
/* The user has left the node: what it has done is kept, to be told with the
   next one's answer. */
void recall_proxy_request_leave(struct recall_proxy *proxy,
				struct recall_proxy_request *request);
/* An error of the last node's that had answered. */
const char *
recall_proxy_request_left_error(const struct recall_proxy_request *request,
				const char *error);
void recall_proxy_columns_free(ARRAY_TYPE(recall_proxy_columns) *columns);
void recall_proxy_request_lose(struct recall_proxy_server *server,
			       struct recall_proxy_request *request,
			       const char *error);
/* The pass is over: other names of the same users are to be asked for. */
void recall_proxy_requests_forget(struct recall_proxy *proxy);
void recall_proxy_add_lost(struct recall_proxy *proxy, const char *username,
			   const char *error);
/* Calls back for those who were lost, unless that has to wait. */
void recall_proxy_tell_lost(struct recall_proxy *proxy);

#endif
