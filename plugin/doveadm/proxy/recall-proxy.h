#ifndef RECALL_PROXY_H
#define RECALL_PROXY_H

struct doveadm_cmd_context;
struct mail_storage_service_ctx;
struct mail_storage_service_input;
struct recall_proxy;
struct recall_rows;

/* Runs the command on the nodes that Dovecot's passdb proxies users to, or in
   the local doveadm-server, and prints the rows that come back. doveadm's own
   code for this is no use where every user is to be answered for: it ends the
   whole process if a node can't be reached, and of the users whose node fails
   there is no trace. */

struct recall_proxy_callbacks {
	/* Adds arguments that the command for these users has besides, of the
	   data stack. */
	void (*add_args)(void *context, const char *const *users,
			 ARRAY_TYPE(const_string) *args);
	/* The node has answered, and the user's rows have been printed. */
	void (*done)(void *context, const char *username);
	/* The node can't be reached, or failed before it had answered: whether
	   it did anything is not known. Called when a row may be printed. */
	void (*lost)(void *context, const char *username, const char *error);
	/* Whether the row that comes next is to be printed. NULL: all are. */
	bool (*wants_row)(void *context);
	/* It has been; mail: it is of a message, as far as columns tell. May be
	   NULL. */
	void (*row_printed)(void *context, bool mail);
	/* Whether to stop waiting; error_r says why. */
	bool (*killed)(const char **error_r);
	/* The command prints one row a user: a node that fails after that has
	   not left out anything. */
	bool one_row;
	/* Every user has a row. */
	bool all_have_rows;
	/* Users whom one command asks a node for at most, and its arguments
	   that others don't have. More than one only if all rows are wanted. */
	unsigned int batch_max;
	const char *const *batch_args;
	/* Takes the next slot of a user who is handed over. Returns for how
	   many microseconds to wait for it. */
	uint64_t (*pace)(void *context);
	/* Users are asked for by name, so each name of one user is answered
	   for, with the same row. Otherwise the first one will do. */
	bool named;
	/* Users of other nodes are not asked about: that's for those nodes. */
	bool local;
	/* This node, see recall_proxy_route_render(), is going to be asked.
	   Returns -1 if it must not be. May be NULL. */
	int (*node)(void *context, const char *node, const char **error_r);
	/* Has the process its own privileges again, without which auth does not
	   answer. */
	void (*regain_root)(void);
};

/* socket_path is that of the doveadm-server to ask even if no user is
   proxied, NULL if there is none. args: the command's arguments but for the
   users and what callbacks->add_args() adds, NULL-terminated; they must live as
   long as the proxy. */
struct recall_proxy *
recall_proxy_init(const struct doveadm_cmd_context *cctx,
		  struct recall_rows *rows,
		  struct mail_storage_service_ctx *service,
		  const char *socket_path, const char *const *args,
		  const struct recall_proxy_callbacks *callbacks,
		  void *context);
/* Hands the user over if that is due: returns 1, and one of the callbacks will
   be called, now or later (or none, with `local'). Returns 0 if the user is to
   be dealt with here, -1 if that isn't known. unknown_r: others are sent to
   their nodes, or may be, but of this one nobody knows: it's here only if the
   mail is. */
int recall_proxy_user(struct recall_proxy *proxy,
		      const struct mail_storage_service_input *input,
		      bool *unknown_r, const char **error_r);
/* Has the node do the command for no user in particular: callbacks are called
   with the node in place of a name. Returns -1 if it is none. */
int recall_proxy_node(struct recall_proxy *proxy, const char *node,
		      const char **error_r);
/* Returns the first setting of the command line (-o), which holds in this
   process alone, whose name does not begin with one of these; NULL if there is
   none. */
const char *recall_proxy_get_override(const char *const *but);
/* Asks for users for whom no others will come along for some time. */
void recall_proxy_send(struct recall_proxy *proxy);
/* Waits until a row is complete that has come in part. To be called before
   anything is printed. */
void recall_proxy_finish_row(struct recall_proxy *proxy);
/* Waits for all answers. */
void recall_proxy_flush(struct recall_proxy *proxy);
/* Waits for all answers, closes the connections and frees the proxy. */
void recall_proxy_deinit(struct recall_proxy **proxy);

#endif
