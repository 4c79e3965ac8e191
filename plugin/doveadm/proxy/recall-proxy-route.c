#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "auth-master.h"
#include "master-service.h"
#include "str.h"
#include "strescape.h"
#include "mail-storage-service.h"
#include "doveadm-settings.h"
#include "recall-proxy-route.h"

#include <time.h>

/* Users who are asked about to know what the passdb is for, and how long that
   is known for. */
#define ROUTE_OTHERS_MAX 100
#define ROUTE_OTHERS_SECS 60

static void route_set_field(struct recall_proxy_route *route, const char *field)
{
	const char *value = strchr(field, '=');
	const char *key = value == NULL ? field : t_strdup_until(field, value);

	value = value == NULL ? "" : value + 1;
	if (str_begins_with(key, "proxy") && key[5] == '\0')
		route->proxying = TRUE;
	else if (strcmp(key, "host") == 0)
		route->host = t_strdup(value);
	else if (strcmp(key, "hostip") == 0)
		route->hostip = t_strdup(value);
	else if (strcmp(key, "user") == 0 || strcmp(key, "destuser") == 0)
		route->user = t_strdup(value);
	else if (strcmp(key, "port") == 0) {
		if (net_str2port(value, &route->port) < 0)
			route->port = 0;
	} else if (strcmp(key, "ssl") == 0 || strcmp(key, "starttls") == 0) {
		route->ssl = TRUE;
		if (strcmp(key, "starttls") == 0)
			route->starttls = TRUE;
		if (strcmp(value, "any-cert") == 0)
			route->any_cert = TRUE;
	}
}

void recall_proxy_route_get_info(const struct mail_storage_service_input *input,
				 struct auth_user_info *info_r)
{
	i_zero(info_r);
	recall_auth_info_set_service(info_r,
		master_service_get_name(master_service));
	info_r->local_ip = input->local_ip;
	info_r->remote_ip = input->remote_ip;
	info_r->local_port = input->local_port;
	info_r->remote_port = input->remote_port;
}

void recall_proxy_route_init(const char *username,
			     struct recall_proxy_route *route_r)
{
	i_zero(route_r);
	route_r->user = username;
	route_r->port = doveadm_settings->doveadm_port;
	if (route_r->port == 0)
		return;
	route_r->starttls =
		strcmp(doveadm_settings->doveadm_ssl, "starttls") == 0;
	route_r->ssl = route_r->starttls ||
		strcmp(doveadm_settings->doveadm_ssl, "ssl") == 0;
}

int recall_proxy_route_read(const char *const *fields,
			    struct recall_proxy_route *route,
			    const char **error_r)
{
	for (; fields != NULL && *fields != NULL; fields++)
		route_set_field(route, *fields);
	if (route->proxying && route->host == NULL) {
		*error_r = "The passdb names no host to proxy to";
		return -1;
	}
	return 0;
}

int recall_proxy_route_lookup(struct mail_storage_service_ctx *service,
			      const struct mail_storage_service_input *input,
			      struct recall_proxy_route *route_r,
			      const char **error_r)
{
	struct auth_master_connection *auth;
	struct auth_user_info info;
	const char *const *fields;
	pool_t pool;
	int ret;

	recall_proxy_route_init(input->username, route_r);
	if (route_r->port == 0)
		return 0;

	/* only this makes the connection to auth */
	mail_storage_service_init_settings(service, input);
	auth = mail_storage_service_get_auth_conn(service);
	recall_proxy_route_get_info(input, &info);
	pool = pool_alloconly_create("recall passdb lookup", 1024);
	ret = auth_master_pass_lookup(auth, input->username, &info, pool,
				      &fields);
	if (ret < 0) {
		*error_r = t_strdup_printf(
			"%s: %s (doveadm_port is set, so users may be proxied)",
			auth_master_get_socket_path(auth),
			fields[0] != NULL ? fields[0] :
			"The passdb lookup failed");
	} else {
		route_r->unknown = ret == 0;
		ret = recall_proxy_route_read(ret == 0 ? NULL : fields, route_r,
					      error_r);
	}
	pool_unref(&pool);
	return ret < 0 ? -1 : 0;
}

/* Returns -1 if not all may have been listed who would have been. */
static int route_list_some(struct mail_storage_service_ctx *service,
			   const struct mail_storage_service_input *input,
			   ARRAY_TYPE(const_string) *users)
{
	struct auth_master_connection *auth =
		mail_storage_service_get_auth_conn(service);
	struct auth_master_user_list_ctx *list;
	struct auth_user_info info;
	const char *user;
	int ret;

	/* all of them may be listed at this moment, by the other one */
	auth = auth_master_init(auth_master_get_socket_path(auth), 0);
	recall_proxy_route_get_info(input, &info);
	list = auth_master_user_list_init(auth, RECALL_ANY_USER_MASK, &info);
	while (array_count(users) < ROUTE_OTHERS_MAX &&
	       (user = auth_master_user_list_next(list)) != NULL) {
		user = t_strdup(user);
		array_push_back(users, &user);
	}
	ret = auth_master_user_list_deinit(&list);
	auth_master_deinit(&auth);
	return ret;
}

bool
recall_proxy_route_may_have_others(struct mail_storage_service_ctx *service,
				   const struct mail_storage_service_input
				   *input)
{
	static time_t asked;
	static bool found;
	struct mail_storage_service_input user_input = *input;
	struct recall_proxy_route route;
	ARRAY_TYPE(const_string) users;
	const char *error;
	time_t now = time(NULL);

	/* a process may have many commands */
	if (asked != 0 && now >= asked && now - asked < ROUTE_OTHERS_SECS)
		return found;
	asked = now;
	t_array_init(&users, ROUTE_OTHERS_MAX);
	/* where they can't be listed nobody knows */
	found = route_list_some(service, input, &users) < 0;
	array_foreach_elem(&users, user_input.username) {
		if (found)
			break;
		found = recall_proxy_route_lookup(service, &user_input, &route,
						  &error) == 0 &&
			route.proxying;
	}
	return found;
}

/* As the passdb would say it. */
const char *recall_proxy_route_render(const struct recall_proxy_route *route)
{
	string_t *str = t_str_new(128);

	str_append(str, "proxy\thost=");
	str_append_tabescaped(str, route->host);
	if (route->hostip != NULL) {
		str_append(str, "\thostip=");
		str_append_tabescaped(str, route->hostip);
	}
	str_printfa(str, "\tport=%u", route->port);
	if (route->ssl) {
		str_printfa(str, "\t%s=%s",
			    route->starttls ? "starttls" : "ssl",
			    route->any_cert ? "any-cert" : "yes");
	}
	return str_c(str);
}

void recall_proxy_route_parse(const char *text,
			      struct recall_proxy_route *route_r)
{
	const char *const *fields = t_strsplit_tabescaped(text);

	i_zero(route_r);
	for (; *fields != NULL; fields++)
		route_set_field(route_r, *fields);
}
