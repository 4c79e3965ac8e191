#ifndef RECALL_PROXY_ROUTE_H
#define RECALL_PROXY_ROUTE_H

#include "net.h"

struct auth_user_info;
struct mail_storage_service_ctx;
struct mail_storage_service_input;

/* Where a user's mail is, and how to get there. */
struct recall_proxy_route {
	/* as the node knows the user */
	const char *user;
	/* hostip may be NULL */
	const char *host, *hostip;
	in_port_t port;
	bool proxying, ssl, starttls, any_cert;
	/* the passdb does not know the user */
	bool unknown;
};

/* Asks the passdb. What is found is of the data stack. Returns -1 if it
   fails. */
int recall_proxy_route_lookup(struct mail_storage_service_ctx *service,
			      const struct mail_storage_service_input *input,
			      struct recall_proxy_route *route_r,
			      const char **error_r);

/* Whether it sends anybody to another node, as far as some of the userdb's
   users tell, or that isn't known since they can't be listed. To be asked as
   root. */
bool
recall_proxy_route_may_have_others(struct mail_storage_service_ctx *service,
				   const struct mail_storage_service_input
				   *input);
/* What the passdb is told of who asks. */
void recall_proxy_route_get_info(const struct mail_storage_service_input *input,
				 struct auth_user_info *info_r);
/* The route is to nobody, with the defaults of the settings. */
void recall_proxy_route_init(const char *username,
			     struct recall_proxy_route *route_r);
/* Adds what the passdb says; fields are NULL if it knows of no such user.
   Returns -1 if that is no route. */
int recall_proxy_route_read(const char *const *fields,
			    struct recall_proxy_route *route,
			    const char **error_r);

/* The route to the node, without the user, as one text; and back. */
const char *recall_proxy_route_render(const struct recall_proxy_route *route);
void recall_proxy_route_parse(const char *text,
			      struct recall_proxy_route *route_r);

#endif
