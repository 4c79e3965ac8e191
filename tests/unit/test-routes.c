#include <string.h>

#include <jansson.h>

#include "actions.h"
#include "dispatch.h"
#include "routes.h"
#include "run-tests.h"

static void test_find(void)
{
	const struct http_route *route;
	const char *allow;

	route = route_find("POST", "/v2/actions/expunge", &allow);
	CU_ASSERT_PTR_NOT_NULL_FATAL(route);
	CU_ASSERT_PTR_EQUAL(route->handler, action_expunge);
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/actions/expunge",
					   &allow));
	CU_ASSERT_STRING_EQUAL(allow, "POST");
	route = route_find("GET", "/v2/actions/0", &allow);
	CU_ASSERT_PTR_NOT_NULL_FATAL(route);
	CU_ASSERT_PTR_EQUAL(route->handler, action_status);
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/actions/", &allow));
	CU_ASSERT_PTR_NULL(allow);
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/actions/0/1", &allow));
	route = route_find("PUT", "/v2/mailboxes/a@b/shares", &allow);
	CU_ASSERT_PTR_NOT_NULL_FATAL(route);
	CU_ASSERT_PTR_EQUAL(route->handler, action_share);
	CU_ASSERT_PTR_NULL(route_find("POST", "/v2/mailboxes/a/shares",
					   &allow));
	CU_ASSERT_STRING_EQUAL(allow, "GET, HEAD, PUT, DELETE");
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/mailboxes//shares",
					   &allow));
	CU_ASSERT_PTR_NULL(allow);
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/mailboxes/a/b/shares",
					   &allow));
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/mailboxes/a/shares/",
					   &allow));
	CU_ASSERT_PTR_NULL(route_find("GET", "/v2/mailboxes/a", &allow));
	CU_ASSERT_PTR_NULL(route_find("BREW", "/metrics", &allow));
	CU_ASSERT_STRING_EQUAL(allow, "GET, HEAD");
}

/* Whether a handler could be reached by who must not. */
static void test_columns(void)
{
	const struct http_route *route;
	struct http_request request;
	bool token;
	size_t i;

	for (i = 0; i < api_routes_count; i++) {
		route = &api_routes[i];
		token = route->auth == HTTP_AUTH_TOKEN ||
			route->auth == HTTP_AUTH_OLD_TOKEN;
		CU_ASSERT_PTR_NOT_NULL(route->handler);
		CU_ASSERT_PTR_NOT_NULL(route->allow);
		CU_ASSERT_PTR_NOT_NULL(strstr(route->allow, route->method));
		/* who is refused is in the trail, whoever it is */
		CU_ASSERT(!token || route->audit != NULL);
		/* a column that says nothing lets nobody in */
		memset(&request, 0, sizeof(request));
		request.route = route;
		CU_ASSERT_FALSE(route_may(&request));
		request.identity.role = ROLE_SUPER;
		CU_ASSERT(route_may(&request));
		/* what works without a token has nothing of roles */
		CU_ASSERT(token || route->admin == NULL);
		CU_ASSERT(token || route->user == NULL);
		CU_ASSERT(token || !route->needs_audit);
	}
}

static json_t *load_description(void)
{
	json_t *json = json_load_file(OPENAPI, 0, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	return json;
}

/* The console's are its own business. */
static bool is_described(const struct http_route *route)
{
	return strncmp(route->path, "/console", 8) != 0;
}

static void lower(const char *method, char out[8])
{
	size_t i;

	memset(out, 0, 8);
	for (i = 0; method[i] != '\0' && i < 7; i++)
		out[i] = method[i] - 'A' + 'a';
}

static void test_routes_are_described(void)
{
	json_t *description = load_description();
	json_t *paths = json_object_get(description, "paths"), *operation;
	const struct http_route *route;
	char method[8];
	size_t i;

	for (i = 0; i < api_routes_count; i++) {
		route = &api_routes[i];
		lower(route->method, method);
		operation = json_object_get(json_object_get(paths,
							    route->path),
					    method);
		if (is_described(route) != (operation != NULL))
			printf("%s %s\n", route->method, route->path);
		CU_ASSERT_EQUAL(is_described(route), operation != NULL);
	}
	json_decref(description);
}

/* Whether it says of the operation that it needs no token: an empty list of
   ways in. */
static bool needs_no_token(json_t *operation)
{
	json_t *security = json_object_get(operation, "security");

	return json_is_array(security) && json_array_size(security) == 0;
}

static const struct http_route *
find_described(const char *path, const char *method)
{
	char name[8];
	size_t i;

	for (i = 0; i < api_routes_count; i++) {
		lower(api_routes[i].method, name);
		if (strcmp(api_routes[i].path, path) == 0 &&
		    strcmp(name, method) == 0)
			return &api_routes[i];
	}
	return NULL;
}

static void test_description_has_routes(void)
{
	json_t *description = load_description(), *operations, *operation;
	const struct http_route *route;
	const char *path, *method;

	json_object_foreach(json_object_get(description, "paths"), path,
			    operations) {
		json_object_foreach(operations, method, operation) {
			if (strcmp(method, "parameters") == 0)
				continue;
			route = find_described(path, method);
			if (route == NULL)
				printf("%s %s\n", method, path);
			CU_ASSERT_PTR_NOT_NULL(route);
			if (route == NULL)
				continue;
			CU_ASSERT_EQUAL(needs_no_token(operation),
					route->auth == HTTP_AUTH_NONE);
		}
	}
	json_decref(description);
}

int main(void)
{
	CU_pSuite suite = tests_begin("routes");

	CU_add_test(suite, "find", test_find);
	CU_add_test(suite, "columns", test_columns);
	CU_add_test(suite, "routes are described", test_routes_are_described);
	CU_add_test(suite, "description has routes",
		    test_description_has_routes);
	return tests_run();
}
