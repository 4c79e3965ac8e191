#include "lib.h"
#include "array.h"
#include "file-lock.h"
#include "istream.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "recall-id.h"
#include "recall-standing-file.h"
#include "recall-standing-nodes.h"
#include "recall-standing-order.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define NODES_SUFFIX ".nodes"
#define NODES_LINE_MAX 8192

struct standing_node {
	const char *text;
	time_t expires;
};
ARRAY_DEFINE_TYPE(standing_node, struct standing_node);

static const char *nodes_path(const char *dir, const char *recall_id)
{
	return t_strconcat(dir, "/", recall_id, NODES_SUFFIX, NULL);
}

/* Lines "expires<TAB>node". */
static int nodes_read(const char *path, pool_t pool,
		      ARRAY_TYPE(standing_node) *nodes, const char **error_r)
{
	struct standing_node node;
	struct istream *input;
	const char *line, *text;
	int fd, ret = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	input = i_stream_create_fd_autoclose(&fd, NODES_LINE_MAX);
	while (ret == 0 && (line = i_stream_read_next_line(input)) != NULL) {
		text = strchr(line, '\t');
		if (text == NULL ||
		    str_to_time(t_strdup_until(line, text),
				&node.expires) < 0) {
			ret = -1;
			break;
		}
		node.text = str_tabunescape(p_strdup(pool, text + 1));
		array_push_back(nodes, &node);
	}
	if (ret < 0 || input->stream_errno != 0 || !input->eof ||
	    i_stream_get_data_size(input) > 0) {
		*error_r = t_strdup_printf("%s is no list of nodes", path);
		ret = -1;
	}
	i_stream_unref(&input);
	return ret;
}

static int nodes_write(const char *path, ARRAY_TYPE(standing_node) *nodes,
		       const char **error_r)
{
	const char *temp_path = t_strconcat(path,
					RECALL_STANDING_NEW_SUFFIX, NULL);
	const struct standing_node *node;
	string_t *str = t_str_new(256);

	if (array_is_empty(nodes)) {
		if (i_unlink_if_exists(path) >= 0)
			return 0;
		*error_r = t_strdup_printf("unlink(%s) failed: %m", path);
		return -1;
	}
	array_foreach(nodes, node) {
		str_printfa(str, "%lld\t", (long long)node->expires);
		str_append_tabescaped(str, node->text);
		str_append_c(str, '\n');
	}
	if (recall_standing_file_write(temp_path, str_data(str), str_len(str),
				       error_r) < 0)
		return -1;
	return recall_standing_file_rename(temp_path, path, error_r);
}

static int
nodes_add(const char *path, pool_t pool, const struct standing_node *wanted,
	  const char **error_r)
{
	ARRAY_TYPE(standing_node) nodes;
	struct standing_node *node;

	p_array_init(&nodes, pool, 4);
	if (nodes_read(path, pool, &nodes, error_r) < 0)
		return -1;
	array_foreach_modifiable(&nodes, node) {
		if (strcmp(node->text, wanted->text) != 0)
			continue;
		if (node->expires >= wanted->expires)
			return 0;
		node->expires = wanted->expires;
		return nodes_write(path, &nodes, error_r);
	}
	array_push_back(&nodes, wanted);
	return nodes_write(path, &nodes, error_r);
}

int recall_standing_nodes_add(const char *dir, const char *recall_id,
			      const char *node, time_t expires, bool of_order,
			      const char **error_r)
{
	const struct standing_node wanted = {
		.text = node,
		.expires = expires,
	};
	struct file_lock *lock;
	pool_t pool;
	int ret = 0;

	if (recall_standing_lock(dir, &lock, error_r) < 0)
		return -1;
	if (!of_order || !recall_standing_has_ended(dir, recall_id)) {
		pool = pool_alloconly_create("standing nodes", 1024);
		ret = nodes_add(nodes_path(dir, recall_id), pool, &wanted,
				error_r) < 0 ? -1 : 1;
		pool_unref(&pool);
	}
	file_lock_free(&lock);
	return ret;
}

int recall_standing_nodes_read(const char *dir, const char *recall_id,
			       pool_t pool, ARRAY_TYPE(const_string) *texts,
			       const char **error_r)
{
	ARRAY_TYPE(standing_node) nodes;
	const struct standing_node *node;

	p_array_init(&nodes, pool, 4);
	if (nodes_read(nodes_path(dir, recall_id), pool, &nodes, error_r) < 0)
		return -1;
	array_foreach(&nodes, node)
		array_push_back(texts, &node->text);
	return 0;
}

/* Keeps those that expire later, and are not among the texts. */
static int nodes_forget(const char *path, time_t now, const char *const *texts,
			const char **error_r)
{
	ARRAY_TYPE(standing_node) nodes, left;
	const struct standing_node *node;
	pool_t pool = pool_alloconly_create("standing nodes", 1024);
	int ret;

	p_array_init(&nodes, pool, 4);
	p_array_init(&left, pool, 4);
	ret = nodes_read(path, pool, &nodes, error_r);
	array_foreach(&nodes, node) {
		if (node->expires > now && !str_array_find(texts, node->text))
			array_push_back(&left, node);
	}
	if (ret == 0 && array_count(&left) < array_count(&nodes))
		ret = nodes_write(path, &left, error_r);
	pool_unref(&pool);
	return ret;
}

int recall_standing_nodes_remove(const char *dir, const char *recall_id,
				 const char *const *texts,
				 const char **error_r)
{
	struct file_lock *lock;
	int ret;

	if (recall_standing_lock(dir, &lock, error_r) < 0)
		return -1;
	ret = nodes_forget(nodes_path(dir, recall_id), 0, texts, error_r);
	file_lock_free(&lock);
	return ret;
}

/* Whoever writes a file has the lock, so these are of processes that have been
   killed. */
static bool nodes_is_leftover(const char *rest)
{
	return strcmp(rest, NODES_SUFFIX RECALL_STANDING_NEW_SUFFIX) == 0 ||
		strcmp(rest, RECALL_STANDING_ORDER_SUFFIX
		       RECALL_STANDING_NEW_SUFFIX) == 0;
}

void recall_standing_nodes_expire(const char *dir, time_t now)
{
	static const char *const none[] = { NULL };
	const char *rest, *path, *error;
	struct dirent *d;
	DIR *dirp;

	dirp = opendir(dir);
	if (dirp == NULL) {
		i_error("opendir(%s) failed: %m", dir);
		return;
	}
	for (errno = 0; (d = readdir(dirp)) != NULL; errno = 0) T_BEGIN {
		rest = recall_id_skip(d->d_name);
		path = t_strconcat(dir, "/", d->d_name, NULL);
		if (rest != NULL && nodes_is_leftover(rest))
			i_unlink_if_exists(path);
		else if (rest != NULL && strcmp(rest, NODES_SUFFIX) == 0 &&
			 nodes_forget(path, now, none, &error) < 0)
			i_error("Standing orders: %s", error);
	} T_END;
	if (errno != 0)
		i_error("readdir(%s) failed: %m", dir);
	if (closedir(dirp) < 0)
		i_error("closedir(%s) failed: %m", dir);
}
