#include "lib.h"
#include "array.h"
#include "istream.h"
#include "restrict-access.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "wildcard-match.h"
#include "failpoint.h"
#include "recall-standing-file.h"
#include "recall-standing-order.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORDER_VERSION "recall standing order 1"
/* an order of RECALL_USERS_MAX users with the longest addresses, and more */
#define ORDER_SIZE_MAX (8 * 1024 * 1024)

const char *recall_standing_order_path(const char *dir, const char *recall_id)
{
	return t_strconcat(dir, "/", recall_id, RECALL_STANDING_ORDER_SUFFIX,
			   NULL);
}

/* Lines "name<TAB>value"; a list has one for each of its members, the empty
   ones too: a query without such a word is another one. The line "end" shows
   that nothing is missing. */

static void order_append(string_t *str, const char *name, const char *value)
{
	if (value == NULL)
		return;
	str_append(str, name);
	str_append_c(str, '\t');
	str_append_tabescaped(str, value);
	str_append_c(str, '\n');
}

static void
order_append_list(string_t *str, const char *name, const char *const *values)
{
	for (; values != NULL && *values != NULL; values++)
		order_append(str, name, *values);
}

static void
order_render(const struct recall_standing_order *order, string_t *str)
{
	str_append(str, ORDER_VERSION"\n");
	order_append(str, "recall-id", order->recall_id);
	order_append(str, "message-id", order->message_id);
	order_append_list(str, "query", order->query);
	order_append_list(str, "sender", order->senders);
	order_append_list(str, "user", order->users);
	order_append(str, "tenant", order->tenant);
	order_append(str, "reason", order->reason);
	order_append(str, "actor", order->actor);
	order_append(str, "everyone", order->users == NULL ? "yes" : NULL);
	order_append(str, "force", order->force ? "yes" : NULL);
	order_append(str, "notify", order->notify ? "yes" : NULL);
	str_printfa(str, "created\t%lld\nexpires\t%lld\nend\n",
		    (long long)order->created, (long long)order->expires);
}

struct order_parser {
	pool_t pool;
	struct recall_standing_order *order;
	ARRAY_TYPE(const_string) query, senders, users;
	bool everyone, ended;
};

static bool
order_parse_line(struct order_parser *parser, const char *name,
		 const char *value)
{
	struct recall_standing_order *order = parser->order;

	value = str_tabunescape(p_strdup(parser->pool, value));
	if (strcmp(name, "recall-id") == 0)
		order->recall_id = value;
	else if (strcmp(name, "message-id") == 0)
		order->message_id = value;
	else if (strcmp(name, "query") == 0)
		array_push_back(&parser->query, &value);
	else if (strcmp(name, "sender") == 0)
		array_push_back(&parser->senders, &value);
	else if (strcmp(name, "user") == 0)
		array_push_back(&parser->users, &value);
	else if (strcmp(name, "tenant") == 0)
		order->tenant = value;
	else if (strcmp(name, "reason") == 0)
		order->reason = value;
	else if (strcmp(name, "actor") == 0)
		order->actor = value;
	else if (strcmp(name, "everyone") == 0)
		parser->everyone = TRUE;
	else if (strcmp(name, "force") == 0)
		order->force = TRUE;
	else if (strcmp(name, "notify") == 0)
		order->notify = TRUE;
	else if (strcmp(name, "created") == 0)
		return str_to_time(value, &order->created) == 0;
	else if (strcmp(name, "expires") == 0)
		return str_to_time(value, &order->expires) == 0;
	else
		return FALSE;
	return TRUE;
}

static const char *const *
order_list(ARRAY_TYPE(const_string) *values)
{
	if (array_is_empty(values))
		return NULL;
	array_append_zero(values);
	return array_front(values);
}

/* An order that says less than was written might take more than was asked
   for: what is not understood, or missing, makes it no order. */
static bool order_parse(struct order_parser *parser, struct istream *input)
{
	struct recall_standing_order *order = parser->order;
	const char *line, *value;

	line = i_stream_read_next_line(input);
	if (line == NULL || strcmp(line, ORDER_VERSION) != 0)
		return FALSE;
	while ((line = i_stream_read_next_line(input)) != NULL) {
		if (parser->ended)
			return FALSE;
		value = strchr(line, '\t');
		if (value == NULL && strcmp(line, "end") == 0)
			parser->ended = TRUE;
		else if (value == NULL ||
			 !order_parse_line(parser, t_strdup_until(line, value),
					   value + 1))
			return FALSE;
	}
	order->query = order_list(&parser->query);
	order->senders = order_list(&parser->senders);
	order->users = order_list(&parser->users);
	return parser->ended && input->stream_errno == 0 &&
		order->recall_id != NULL && order->expires > 0 &&
		(order->message_id != NULL) != (order->query != NULL) &&
		parser->everyone == (order->users == NULL);
}

int recall_standing_read(const char *dir, const char *recall_id, pool_t pool,
			 struct recall_standing_order *order_r,
			 const char **error_r)
{
	const char *path = recall_standing_order_path(dir, recall_id);
	struct order_parser parser = { .pool = pool, .order = order_r };
	struct istream *input;
	bool ok;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	i_zero(order_r);
	order_r->reason = order_r->actor = "";
	p_array_init(&parser.query, pool, 1);
	p_array_init(&parser.senders, pool, 1);
	p_array_init(&parser.users, pool, 1);
	input = i_stream_create_fd_autoclose(&fd, ORDER_SIZE_MAX);
	T_BEGIN {
		ok = order_parse(&parser, input);
	} T_END;
	i_stream_unref(&input);
	if (!ok || strcmp(order_r->recall_id, recall_id) != 0) {
		*error_r = t_strdup_printf("%s is no standing order", path);
		return -1;
	}
	return 1;
}

bool recall_standing_is_in_force(const char *dir, const char *recall_id,
				 time_t now)
{
	pool_t pool = pool_alloconly_create("standing order", 2048);
	struct recall_standing_order order;
	const char *error;
	int ret;

	ret = recall_standing_read(dir, recall_id, pool, &order, &error);
	if (ret > 0 && order.expires <= now)
		ret = 0;
	pool_unref(&pool);
	return ret != 0;
}

bool recall_standing_has_ended(const char *dir, const char *recall_id)
{
	struct stat st;

	/* with another root directory none is seen */
	return stat(recall_standing_order_path(dir, recall_id), &st) < 0 &&
		errno == ENOENT &&
		restrict_access_get_current_chroot() == NULL;
}

int recall_standing_order_write(const char *dir,
				const struct recall_standing_order *order,
				const char **error_r)
{
	const char *path = recall_standing_order_path(dir, order->recall_id);
	const char *temp_path = t_strconcat(path,
					RECALL_STANDING_NEW_SUFFIX, NULL);
	string_t *str = t_str_new(1024);

	order_render(order, str);
	if (recall_standing_file_write(temp_path, str_data(str), str_len(str),
				       error_r) < 0)
		return -1;
	RECALL_FAILPOINT("standing-written");
	return recall_standing_file_rename(temp_path, path, error_r);
}

bool recall_standing_is_for_user(const struct recall_standing_order *order,
				 const char *username)
{
	const char *const *user = order->users;

	if (user == NULL)
		return TRUE;
	for (; *user != NULL; user++) {
		if (strcmp(*user, username) == 0 ||
		    (strpbrk(*user, "*?") != NULL &&
		     wildcard_match_icase(username, *user)))
			return TRUE;
	}
	return FALSE;
}
