#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "recall-params.h"
#include "alloc.h"
#include "clock.h"
#include "doveadm-client.h"
#include "listing.h"
#include "strlist.h"

/* A page is given out as it is when the next users would take it longer. */
#define PAGE_MS 60000

/* Users whom a node lists at a time. */
#define USERS_LIMIT 1000

struct listing_user {
	const char *name;
	const char *urls;
	size_t pos;
};

struct listing_run {
	struct listing *listing;
	/* users of one node stand together */
	struct listing_user *users;
	/* names that are this page's own, or NULL */
	char **names;
	/* what the answers with rows had together */
	size_t octets;
	/* how many users the node has listed */
	uint64_t listed;
	/* what the calls came to */
	struct doveadm_tally tally;
};

bool listing_cursor_parse(const char *text, struct listing_cursor *cursor_r)
{
	size_t digits = strspn(text, "0123456789");

	memset(cursor_r, 0, sizeof(*cursor_r));
	if (digits == 0 || digits > 9 || text[digits] != '.' ||
	    text[digits + 1] == '\0')
		return false;
	cursor_r->offset = strtoll(text, NULL, 10);
	cursor_r->user = x_strdup(text + digits + 1);
	return true;
}

static void set_next(struct listing *listing, int64_t offset, const char *user)
{
	if (listing->all_users)
		listing->next = x_asprintf("%lld.%zu:%s", (long long)offset,
					   listing->group, user);
	else
		listing->next = x_asprintf("%lld.%s", (long long)offset, user);
}

/* A row without a message says why there is none. */
static bool is_message(const json_t *row)
{
	return *row_text(row, RECALL_COLUMN_UID) != '\0';
}

static void add_error(struct listing *listing, const char *user,
		      const char *mailbox, const char *error)
{
	json_t *json = json_pack("{s:s}", "error", error);

	if (*user != '\0')
		json_object_set_new(json, "email", json_string(user));
	if (*mailbox != '\0')
		json_object_set_new(json, "mailbox", json_string(mailbox));
	json_array_append_new(listing->errors, json);
}

static void add_error_row(struct listing *listing, const json_t *row)
{
	add_error(listing, row_text(row, RECALL_COLUMN_USERNAME),
		  row_text(row, RECALL_COLUMN_MAILBOX),
		  row_text(row, RECALL_COLUMN_ERROR));
}

static void set_number(json_t *params, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	json_object_set_new(params, name, json_string(text));
}

/* How many rows are asked for: one more than fit shows that there are more. */
static int64_t rows_limit(const struct listing *listing)
{
	return listing->limit + 1 - (int64_t)json_array_size(listing->rows);
}

/* Asks for rows. Returns LISTING_DONE with them, or with NULL if only these
   users are lost. */
static enum listing_result
ask(struct listing_run *run, const char *urls, const char *command,
    json_t *params, json_t **rows_r, char **error_r)
{
	struct doveadm_call call = {
		.config = run->listing->config,
		.urls = urls,
		.command = command,
		.params = params,
	};
	enum listing_result result = LISTING_DONE;

	doveadm_call_run(&call);
	*rows_r = NULL;
	*error_r = call.error;
	doveadm_tally_add(&run->tally, call.result);
	if (json_array_size(call.answer) > 0 &&
	    strcmp(command, RECALL_CMD_USERS) != 0)
		run->octets += call.octets;
	if (call.result == DOVEADM_FAILED && call.exit_code == EX_USAGE) {
		result = LISTING_REFUSED;
	} else if (call.too_large || run->octets > DOVEADM_ANSWER_MAX) {
		/* as much for all as for one answer */
		result = LISTING_TOO_LARGE;
	} else if (call.result == DOVEADM_OK) {
		*rows_r = call.answer;
		return LISTING_DONE;
	}
	json_decref(call.answer);
	return result;
}

static enum listing_result finish(const struct listing_run *run)
{
	switch (doveadm_tally_result(&run->tally)) {
	case DOVEADM_UNREACHABLE:
		return LISTING_UNREACHABLE;
	case DOVEADM_TIMEOUT:
		return LISTING_TIMEOUT;
	default:
		return LISTING_DONE;
	}
}

/* named users */

static int cmp_users(const void *p1, const void *p2)
{
	const struct listing_user *u1 = p1, *u2 = p2;
	int ret = strcmp(u1->urls, u2->urls);

	if (ret != 0)
		return ret;
	return u1->pos < u2->pos ? -1 : 1;
}

static void sort_users(struct listing_run *run)
{
	struct listing *listing = run->listing;
	size_t i;

	run->users = x_calloc(listing->users.count, sizeof(*run->users));
	for (i = 0; i < listing->users.count; i++) {
		run->users[i].name = listing->users.items[i];
		run->users[i].urls = config_node_urls(listing->config,
						      run->users[i].name);
		run->users[i].pos = i;
	}
	qsort(run->users, listing->users.count, sizeof(*run->users),
	      cmp_users);
}

/* Takes over a user's rows. Returns false if the page is full before the
   end of them. */
static bool
take_rows(struct listing *listing, const char *user, int64_t offset,
	  json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (strcasecmp(row_text(row, RECALL_COLUMN_USERNAME),
			       user) != 0)
			continue;
		if (!is_message(row)) {
			add_error_row(listing, row);
			continue;
		}
		if (rows_limit(listing) == 1) {
			set_next(listing, offset, user);
			return false;
		}
		json_array_append(listing->rows, row);
		offset++;
	}
	return true;
}

/* The rows sorted by user, each user's in the order that they came in: those
   that other nodes answer come at any time. */
static json_t **
split_rows(const struct listing_user *users, size_t count, json_t *rows)
{
	json_t **split = x_calloc(count, sizeof(*split)), *row;
	size_t i, user = 0, n;

	for (i = 0; i < count; i++)
		split[i] = json_array();
	json_array_foreach(rows, i, row) {
		const char *name = row_text(row, RECALL_COLUMN_USERNAME);
		size_t other = 0;

		/* mostly the same one as before, or the next */
		for (n = 0; n < count; n++, user = (user + 1) % count) {
			if (strcmp(users[user].name, name) == 0)
				break;
		}
		for (; n == count && other < count; other++) {
			if (strcasecmp(users[other].name, name) == 0) {
				user = other;
				n = 0;
			}
		}
		if (n < count)
			json_array_append(split[user], row);
	}
	return split;
}

/* Returns false if the page is full. */
static bool take_answer(struct listing *listing,
			const struct listing_user *users, size_t count,
			int64_t offset, json_t *rows)
{
	json_t **split = split_rows(users, count, rows);
	bool more = true;
	size_t i;

	for (i = 0; i < count; i++) {
		if (more)
			more = take_rows(listing, users[i].name, offset,
					 split[i]);
		offset = 0;
		json_decref(split[i]);
	}
	free(split);
	return more;
}

static size_t batch_size(const struct listing_run *run, size_t pos)
{
	const struct listing *listing = run->listing;
	size_t n;

	for (n = 1; pos + n < listing->users.count &&
		    n < (size_t)listing->config->doveadm_batch; n++) {
		if (strcmp(run->users[pos].urls, run->users[pos + n].urls) != 0)
			break;
	}
	return n;
}

/* Asks about users who stand together. *full_r says whether the page is. */
static enum listing_result
ask_users(struct listing_run *run, const struct listing_user *users,
	  size_t count, int64_t offset, bool *full_r)
{
	struct listing *listing = run->listing;
	json_t *params = json_copy(listing->params), *names = json_array();
	json_t *rows;
	enum listing_result result;
	char *error;
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(names, json_string(users[i].name));
	json_object_set_new(params, RECALL_PARAM_USERS, names);
	set_number(params, RECALL_PARAM_LIMIT, rows_limit(listing));
	/* whom nobody named is nobody's error if it's another tenant's */
	if (listing->all_users)
		json_object_set_new(params, RECALL_PARAM_HITS, json_true());
	if (offset > 0)
		set_number(params, RECALL_PARAM_OFFSET, offset);
	*full_r = false;
	result = ask(run, users[0].urls, listing->command, params, &rows,
		     &error);
	if (rows != NULL) {
		*full_r = !take_answer(listing, users, count, offset, rows);
		json_decref(rows);
	} else if (result == LISTING_DONE) {
		for (i = 0; i < count; i++)
			add_error(listing, users[i].name, "", error);
	}
	free(error);
	return result;
}

static bool find_start(const struct listing_run *run, size_t *pos_r)
{
	const struct listing *listing = run->listing;

	if (listing->cursor.user == NULL) {
		*pos_r = 0;
		return true;
	}
	for (*pos_r = 0; *pos_r < listing->users.count; (*pos_r)++) {
		if (strcmp(run->users[*pos_r].name, listing->cursor.user) == 0)
			return true;
	}
	return false;
}

static enum listing_result run_users(struct listing_run *run)
{
	struct listing *listing = run->listing;
	int64_t offset = listing->cursor.offset, started = now_ms();
	enum listing_result result;
	bool full = false;
	size_t pos, n;

	sort_users(run);
	if (!find_start(run, &pos))
		return LISTING_NO_CURSOR;
	while (pos < listing->users.count && !full) {
		if (now_ms() - started > PAGE_MS) {
			set_next(listing, offset, run->users[pos].name);
			break;
		}
		/* an offset is one user's */
		n = offset > 0 ? 1 : batch_size(run, pos);
		result = ask_users(run, &run->users[pos], n, offset, &full);
		if (result != LISTING_DONE)
			return result;
		pos += n;
		offset = 0;
	}
	return finish(run);
}

/* everyone */

static void free_users(struct listing_run *run, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(run->names[i]);
	free(run->names);
	free(run->users);
	run->names = NULL;
	run->users = NULL;
}

/* Takes over the names of those whose node it is. *after is the last one that
   was listed, or NULL if there was none. */
static size_t take_names(struct listing_run *run, const char *urls,
			 const json_t *rows, char **after)
{
	size_t i, n = 0, size = json_array_size(rows);
	const char *name;
	json_t *row;

	run->users = x_calloc(size + 1, sizeof(*run->users));
	run->names = x_calloc(size + 1, sizeof(*run->names));
	free(*after);
	*after = NULL;
	json_array_foreach(rows, i, row) {
		name = row_text(row, RECALL_COLUMN_USERNAME);
		if (i + 1 == size)
			*after = x_strdup(name);
		if (strcmp(config_node_urls(run->listing->config, name),
			   urls) != 0)
			continue;
		run->names[n] = x_strdup(name);
		run->users[n].name = run->names[n];
		run->users[n].urls = urls;
		n++;
	}
	return n;
}

/* Lists users of a node after that one. */
static enum listing_result
list_users(struct listing_run *run, const char *urls, char **after,
	   size_t *count_r)
{
	json_t *params = json_object(), *rows;
	enum listing_result result;
	char *error;

	*count_r = 0;
	set_number(params, RECALL_PARAM_LIMIT, USERS_LIMIT);
	if (*after != NULL)
		json_object_set_new(params, RECALL_PARAM_AFTER,
				    json_string(*after));
	result = ask(run, urls, RECALL_CMD_USERS, params, &rows, &error);
	if (rows != NULL)
		error = doveadm_users_check(rows, *after, USERS_LIMIT,
			&run->listed,
			run->listing->config->doveadm_max_users);
	if (rows != NULL && error == NULL) {
		*count_r = take_names(run, urls, rows, after);
	} else {
		free(*after);
		*after = NULL;
		if (result == LISTING_DONE)
			add_error(run->listing, "", "", error);
	}
	json_decref(rows);
	free(error);
	return result;
}

/* Asks about the users. Sets *full_r if the page has ended. */
static enum listing_result
ask_page(struct listing_run *run, size_t count, int64_t started, bool *full_r)
{
	struct listing *listing = run->listing;
	enum listing_result result = LISTING_DONE;
	size_t pos = 0, n;

	while (pos < count && result == LISTING_DONE && !*full_r) {
		if (now_ms() - started > PAGE_MS) {
			set_next(listing, 0, run->users[pos].name);
			*full_r = true;
			break;
		}
		n = count - pos;
		if (n > (size_t)listing->config->doveadm_batch)
			n = listing->config->doveadm_batch;
		result = ask_users(run, &run->users[pos], n, 0, full_r);
		pos += n;
	}
	return result;
}

static enum listing_result
run_group(struct listing_run *run, const char *urls, char **after,
	  int64_t started, bool *full_r)
{
	enum listing_result result;
	size_t count;

	run->listed = 0;
	do {
		result = list_users(run, urls, after, &count);
		if (result == LISTING_DONE)
			result = ask_page(run, count, started, full_r);
		free_users(run, count);
	} while (result == LISTING_DONE && *after != NULL && !*full_r);
	return result;
}

/* Where the cursor points to: a group's number, ":" and a user. */
static bool get_start_group(const struct listing *listing, size_t count,
			    size_t *group_r, char **user_r)
{
	const char *user = listing->cursor.user;
	size_t digits = user == NULL ? 0 : strspn(user, "0123456789");

	*group_r = 0;
	*user_r = NULL;
	if (user == NULL)
		return true;
	if (digits == 0 || digits > 6 || user[digits] != ':' ||
	    user[digits + 1] == '\0')
		return false;
	*group_r = strtoul(user, NULL, 10);
	*user_r = x_strdup(user + digits + 1);
	return *group_r < count;
}

static enum listing_result run_all(struct listing_run *run)
{
	struct listing *listing = run->listing;
	struct strlist groups = { NULL, 0, 0 };
	enum listing_result result = LISTING_DONE;
	int64_t started = now_ms();
	struct listing_user first;
	char *user;
	bool full = false;

	config_node_groups(listing->config, &groups);
	if (!get_start_group(listing, groups.count, &listing->group, &user)) {
		result = LISTING_NO_CURSOR;
	} else if (user != NULL) {
		/* the rest of this one's, then those after */
		first.name = user;
		first.urls = groups.items[listing->group];
		result = ask_users(run, &first, 1, listing->cursor.offset,
				   &full);
	}
	while (result == LISTING_DONE && listing->group < groups.count &&
	       !full) {
		result = run_group(run, groups.items[listing->group], &user,
				   started, &full);
		free(user);
		user = NULL;
		listing->group++;
	}
	free(user);
	strlist_free(&groups);
	return result != LISTING_DONE ? result : finish(run);
}

enum listing_result listing_run(struct listing *listing)
{
	struct listing_run run = { .listing = listing };
	enum listing_result result;

	listing->rows = json_array();
	listing->errors = json_array();
	listing->next = NULL;
	result = listing->all_users ? run_all(&run) : run_users(&run);
	free(run.users);
	return result;
}
