#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <time.h>

#include <openssl/evp.h>

#include "recall-evidence.h"
#include "recall-params.h"
#include "recall-verdict.h"
#include "alloc.h"
#include "clock.h"
#include "doveadm-client.h"
#include "encode.h"
#include "export.h"
#include "log.h"
#include "recall-run.h"

/* What a node says of a message's size need not be true, and the journal is on
   that disk: an export that is larger than this one leaves a twentieth of it
   free, or as much as that. */
#define SMALL_OCTETS (16 * 1024 * 1024)
#define SPARE_OCTETS_MAX (256 * 1024 * 1024)
/* Parts are larger, but for a message's last one: nobody would wait for the end
   of one that comes octet by octet. */
#define PART_OCTETS_MIN (64 * 1024)

struct export {
	/* of the file, and how many octets of messages went into it */
	int fd;
	uint64_t octets;
	const struct recall *recall;
	const struct identity *who;
	struct config *config;
	struct evidence *evidence;
	struct export_count *count;
	/* Messages that are in it: {"<mailbox-guid> <uid> ...": true}. Nodes
	   that are asked one after the other, or a proxy's, don't know that
	   several names are one user's. */
	json_t *known;
};

static enum export_result result_of(const struct doveadm_call *call)
{
	switch (call->result) {
	case DOVEADM_OK:
		return EXPORT_DONE;
	case DOVEADM_TIMEOUT:
		return EXPORT_TIMEOUT;
	case DOVEADM_UNREACHABLE:
		return EXPORT_UNREACHABLE;
	case DOVEADM_FAILED:
		break;
	}
	return EXPORT_FAILED;
}

/* Asks about the users, a reference that is taken over. The caller gets the
   reference of the rows. */
static enum export_result
ask(const struct export *export, const char *urls, json_t *users,
    const char *message, uint64_t offset, json_t **rows_r)
{
	struct doveadm_call call = {
		.config = export->config,
		.urls = urls,
		.command = RECALL_CMD_EXPORT,
	};
	enum export_result result;
	char number[24];

	call.params = json_pack("{s:o, s:s, s:s}", RECALL_PARAM_USERS, users,
				RECALL_PARAM_RECALL_ID, export->recall->id,
				RECALL_PARAM_ACTOR, export->who->login);
	if (export->who->role == ROLE_ADMIN)
		json_object_set_new(call.params, RECALL_PARAM_TENANT,
				    json_string(export->who->tenant));
	if (message != NULL)
		json_object_set_new(call.params, RECALL_PARAM_MESSAGE,
				    json_string(message));
	if (offset > 0) {
		snprintf(number, sizeof(number), "%llu",
			 (unsigned long long)offset);
		json_object_set_new(call.params, RECALL_PARAM_OFFSET,
				    json_string(number));
	}
	doveadm_call_run(&call);
	result = result_of(&call);
	if (result != EXPORT_DONE)
		log_error("recall %s: export: %s", export->recall->id,
			  call.error);
	*rows_r = call.answer;
	free(call.error);
	return result;
}

static bool has_room(const struct export *export)
{
	uint64_t spare, left;
	struct statvfs st;

	if (export->octets < SMALL_OCTETS || fstatvfs(export->fd, &st) < 0)
		return true;
	spare = (uint64_t)st.f_blocks * st.f_frsize / 20;
	if (spare > SPARE_OCTETS_MAX)
		spare = SPARE_OCTETS_MAX;
	left = (uint64_t)st.f_bavail * st.f_frsize;
	if (left >= spare + RECALL_EXPORT_LENGTH_MAX)
		return true;
	log_error("recall %s: export: there is no room for it where the "
		  "journal is", export->recall->id);
	return false;
}

/* Whether a message of the size, of which so many octets were there, may go on
   with so many. */
static bool is_part(uint64_t size, uint64_t done, size_t len)
{
	return len > 0 && len <= size - done &&
		(len >= PART_OCTETS_MIN || len == size - done);
}

/* Adds the next part. *done is how many octets there were before and are
   now. */
static enum export_result
copy_part(struct export *export, const char *email, const char *message,
	  uint64_t size, uint64_t *done, EVP_MD_CTX *hash)
{
	enum export_result result;
	const char *text;
	unsigned char *data;
	json_t *rows;
	size_t len = 0;

	result = ask(export, config_node_urls(export->config, email),
		     json_pack("[s]", email), message, *done, &rows);
	if (result == EXPORT_DONE) {
		text = row_text(json_array_get(rows, 0), RECALL_COLUMN_MESSAGE);
		data = base64_decode(text, strlen(text), &len);
		if (data == NULL || !is_part(size, *done, len)) {
			log_error("recall %s: export: a message of %s is gone, "
				  "or not what it was said to be",
				  export->recall->id, email);
			result = EXPORT_FAILED;
		} else {
			evidence_write(export->evidence, data, len);
			if (EVP_DigestUpdate(hash, data, len) != 1)
				abort();
			*done += len;
			export->octets += len;
		}
		free(data);
	}
	json_decref(rows);
	return result;
}

static void finish_hash(EVP_MD_CTX *hash, char *hex)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (EVP_DigestFinal_ex(hash, md, &len) != 1)
		abort();
	hex_encode(md, len, hex);
}

static enum export_result
copy_message(struct export *export, const json_t *row)
{
	const char *email = row_text(row, RECALL_COLUMN_USERNAME);
	const struct evidence_message message = {
		.user = email,
		.mailbox = row_text(row, RECALL_COLUMN_MAILBOX),
		.mailbox_guid = row_text(row, RECALL_COLUMN_MAILBOX_GUID),
		.received = parse_utc(row_text(row, RECALL_COLUMN_RECEIVED)),
		.seen = row_text(row, RECALL_COLUMN_SEEN),
		.size = strtoull(row_text(row, RECALL_COLUMN_SIZE), NULL, 10),
	};
	char *name = x_asprintf("%s %s", message.mailbox_guid,
				row_text(row, RECALL_COLUMN_UID));
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	enum export_result result = EXPORT_DONE;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint64_t done = 0;

	if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		abort();
	evidence_message_begin(export->evidence, &message);
	while (result == EXPORT_DONE && done < message.size) {
		/* a node may say that it is without end */
		result = recall_interrupted() || !has_room(export) ||
			!evidence_is_sound(export->evidence) ? EXPORT_FAILED :
			copy_part(export, email, name, message.size, &done,
				  hash);
	}
	finish_hash(hash, hex);
	evidence_message_end(export->evidence, hex);
	export->count->messages++;
	EVP_MD_CTX_free(hash);
	free(name);
	return result;
}

/* Whether it is in there by another name of the user already. */
static bool is_known(struct export *export, const json_t *row)
{
	char *key = x_asprintf("%s %s %s %s",
			       row_text(row, RECALL_COLUMN_MAILBOX_GUID),
			       row_text(row, RECALL_COLUMN_UID),
			       row_text(row, RECALL_COLUMN_RECEIVED),
			       row_text(row, RECALL_COLUMN_SIZE));
	bool known = json_object_get(export->known, key) != NULL;

	json_object_set_new(export->known, key, json_true());
	free(key);
	return known;
}

static bool has_user(const json_t *users, const char *username)
{
	const json_t *user;
	size_t i;

	json_array_foreach(users, i, user) {
		if (strcasecmp(json_string_value(user), username) == 0)
			return true;
	}
	return false;
}

/* A node has no say in whom it was not asked about. */
static enum export_result
copy_rows(struct export *export, const json_t *users, const json_t *rows)
{
	enum export_result result;
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (!has_user(users, row_text(row, RECALL_COLUMN_USERNAME)))
			continue;
		if (*row_text(row, RECALL_COLUMN_ERROR) != '\0') {
			const struct evidence_user user = {
				.email = row_text(row, RECALL_COLUMN_USERNAME),
				.error = row_text(row, RECALL_COLUMN_ERROR),
			};

			export->count->errors++;
			evidence_add_user(export->evidence, &user);
			continue;
		}
		if (is_known(export, row))
			continue;
		result = copy_message(export, row);
		if (result != EXPORT_DONE)
			return result;
	}
	return EXPORT_DONE;
}

/* Whether something of the user's may be in quarantine. */
static bool is_kept(const struct recall_user *user)
{
	return user->late > 0 || user->verdict == RECALL_VERDICT_EXPUNGED ||
	       user->verdict == RECALL_VERDICT_ALREADY_RECALLED ||
	       user->verdict == RECALL_VERDICT_ERROR;
}

/* Asks about users of one node, from *pos on, as many as one command takes. */
static enum export_result
copy_batch(struct export *export, bool *taken, size_t *pos)
{
	const struct recall *recall = export->recall;
	const char *urls = NULL, *user_urls;
	json_t *users = json_array(), *rows;
	enum export_result result;
	size_t i;

	for (i = *pos; i < recall->count &&
	     json_array_size(users) < (size_t)export->config->doveadm_batch;
	     i++) {
		if (taken[i] || !is_kept(&recall->users[i]))
			continue;
		user_urls = config_node_urls(export->config,
					     recall->users[i].email);
		if (urls == NULL)
			urls = user_urls;
		if (strcmp(urls, user_urls) != 0)
			continue;
		taken[i] = true;
		json_array_append_new(users,
				      json_string(recall->users[i].email));
	}
	while (*pos < recall->count &&
	       (taken[*pos] || !is_kept(&recall->users[*pos])))
		(*pos)++;
	if (urls == NULL) {
		json_decref(users);
		return EXPORT_DONE;
	}
	result = ask(export, urls, json_incref(users), NULL, 0, &rows);
	if (result == EXPORT_DONE)
		result = copy_rows(export, users, rows);
	json_decref(users);
	json_decref(rows);
	return result;
}

static void add_users(const struct export *export)
{
	const struct recall *recall = export->recall;
	size_t i;

	for (i = 0; i < recall->count; i++) {
		const struct recall_user *user = &recall->users[i];
		const struct evidence_user exported = {
			.email = user->email,
			.status = user->verdict < 0 ? NULL :
				recall_verdict_name(user->verdict),
			.copies = user->copies,
			.late = user->late,
			.error = user->error,
		};

		evidence_add_user(export->evidence, &exported);
	}
}

enum export_result
export_write(const struct recall *recall, const struct identity *who,
	     struct config *config, int fd, struct export_count *count_r)
{
	char *query = recall_query_text(recall), *error = NULL;
	const struct evidence_recall about = {
		.id = recall->id,
		.message_id = query == NULL ? recall->message_id : NULL,
		.query = query,
		.force = recall->force,
		.dry_run = recall->dry_run,
		.actor = recall->actor.login,
		.approver = recall->approver,
		.reason = recall->reason,
		.created = recall->created,
		.exported_by = who->login,
		.exported = time(NULL),
	};
	struct export export = {
		.fd = fd,
		.recall = recall,
		.who = who,
		.config = config,
		.count = count_r,
		.known = json_object(),
	};
	enum export_result result = EXPORT_DONE;
	bool *taken = x_calloc(recall->count, sizeof(*taken));
	size_t pos = 0;

	memset(count_r, 0, sizeof(*count_r));
	export.evidence = evidence_begin(fd, &about);
	add_users(&export);
	while (result == EXPORT_DONE && pos < recall->count)
		result = copy_batch(&export, taken, &pos);
	free(taken);
	json_decref(export.known);
	if (!evidence_end(export.evidence, &error) && result == EXPORT_DONE) {
		log_error("recall %s: export: %s", recall->id, error);
		result = EXPORT_FAILED;
	}
	free(error);
	free(query);
	return result;
}
