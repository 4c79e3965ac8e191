#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "recall-id.h"
#include "actions.h"
#include "alloc.h"
#include "audit.h"
#include "encode.h"
#include "export.h"
#include "http-reply.h"
#include "journal-visible.h"
#include "journal.h"
#include "log.h"
#include "recall-action.h"

#define RETRY_AFTER_EXPORT 30

/* A file without a name, where the journal is: it may be larger than memory,
   and an answer that has begun can't be taken back. Returns -1 after logging an
   error. */
static int open_spool(const struct config *config)
{
	char *copy = x_strdup(config->journal_path), *name;
	const char *dir = dirname(copy);
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		name = x_asprintf("%s/export-XXXXXX", dir);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(name);
		free(name);
	}
	if (fd < 0)
		log_error("export: open(%s): %s", dir, strerror(errno));
	free(copy);
	return fd;
}

/* The SHA-256 of what is in the file, in hexadecimal digits; NULL if it can't
   be read. The caller frees it. */
static char *hash_file(int fd)
{
	unsigned char buf[65536], md[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	unsigned int len = 0;
	char *hex = NULL;
	off_t offset = 0;
	ssize_t ret;

	if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		abort();
	while ((ret = pread(fd, buf, sizeof(buf), offset)) > 0) {
		if (EVP_DigestUpdate(hash, buf, (size_t)ret) != 1)
			abort();
		offset += ret;
	}
	if (ret < 0) {
		log_error("export: pread(): %s", strerror(errno));
	} else {
		if (EVP_DigestFinal_ex(hash, md, &len) != 1)
			abort();
		hex = x_calloc(2 * len + 1, 1);
		hex_encode(md, len, hex);
	}
	EVP_MD_CTX_free(hash);
	return hex;
}

static void audit(struct http_request *request, const struct recall *recall,
		  const struct export_count *exported, const char *hash)
{
	char *messages = x_asprintf("%u", exported->messages);
	char *query = recall_query_text(recall);

	audit_done(request, "export", "Recalled messages exported",
		   exported->errors == 0, (const struct audit_field[]) {
			{ AUDIT_RECALL, recall->id },
			{ AUDIT_MESSAGE_ID, query == NULL ?
				recall->message_id : NULL },
			{ AUDIT_QUERY, query },
			{ AUDIT_MESSAGES, messages },
			{ AUDIT_HASH, hash },
			{ AUDIT_END, NULL } });
	free(messages);
	free(query);
}

static void reply_failed(struct http_request *request)
{
	http_reply_later(request, 503, "The evidence can't be put together",
			 RETRY_AFTER_EXPORT);
}

/* Takes the file over. */
static void reply_file(struct http_request *request,
		       const struct recall *recall, int fd)
{
	struct stat st;
	char *name;

	if (fstat(fd, &st) < 0) {
		close(fd);
		reply_failed(request);
		return;
	}
	http_reply_file(request, "application/zip", fd, st.st_size);
	name = x_asprintf("attachment; filename=\"recall-%s.zip\"", recall->id);
	http_reply_header(request, "Content-Disposition", name);
	free(name);
}

static void export(struct http_request *request, struct recall *recall)
{
	struct export_count exported;
	enum export_result result;
	char *hash;
	int fd;

	/* half of the evidence must not pass for the whole */
	if (!recall_action_add_late(request, recall, true))
		return;
	fd = open_spool(request->config);
	if (fd < 0) {
		reply_failed(request);
		return;
	}
	result = export_write(recall, &request->identity, request->config, fd,
			      &exported);
	switch (result) {
	case EXPORT_DONE:
		hash = hash_file(fd);
		if (hash == NULL) {
			reply_failed(request);
			break;
		}
		audit(request, recall, &exported, hash);
		free(hash);
		reply_file(request, recall, fd);
		return;
	case EXPORT_UNREACHABLE:
	case EXPORT_TIMEOUT:
		http_reply_unreachable(request, result == EXPORT_TIMEOUT, NULL);
		break;
	case EXPORT_FAILED:
		reply_failed(request);
		break;
	}
	close(fd);
}

void action_export(struct http_request *request)
{
	char *id = http_request_path_part(request);
	struct recall *recall = NULL;
	bool failed;

	failed = recall_id_is_valid(id) &&
		journal_load(id, &recall) == JOURNAL_FAILED;
	free(id);
	if (failed)
		http_reply_journal(request);
	else if (recall == NULL || recall->kind != RECALL_EXPUNGE ||
		 !journal_visible(&request->identity, recall))
		/* what one may not see does not exist */
		http_reply_message(request, 404, "There is no such recall");
	else if (recall->finished == 0)
		http_reply_message(request, 409,
				   "The recall has not finished yet");
	else
		export(request, recall);
	recall_free(recall);
}
