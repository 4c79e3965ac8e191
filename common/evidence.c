#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "recall-evidence.h"

#define MANIFEST_NAME "manifest.json"

struct evidence_part {
	FILE *file;
	char *text;
	size_t len;
};

struct evidence {
	struct archive *archive;
	int fd;
	/* the parts of manifest.json */
	struct evidence_part head, users_part, messages_part;
	char *error;
	/* of the message that is being written */
	uint64_t size, written;
	unsigned int users, messages;
	int64_t exported;
};

static void set_error(struct evidence *e, const char *error)
{
	if (e->error == NULL)
		e->error = strdup(error == NULL ? "Out of memory" : error);
}

static void begin_part(struct evidence_part *part)
{
	part->file = open_memstream(&part->text, &part->len);
	if (part->file == NULL)
		abort();
}

static void end_part(struct evidence *e, struct evidence_part *part)
{
	/* what there was no memory for before is not told of again */
	bool failed = ferror(part->file) != 0;

	if (fclose(part->file) != 0 || failed)
		set_error(e, NULL);
}

static void check(struct evidence *e, int ret)
{
	if (ret < ARCHIVE_WARN)
		set_error(e, archive_error_string(e->archive));
}

/* A name and a text, in JSON; nothing for NULL. */
static void put_text(FILE *f, const char *name, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	if (text == NULL)
		return;
	fprintf(f, ",\n \"%s\": \"", name);
	for (; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(f, "\\u%04x", *p);
		else
			putc(*p, f);
	}
	putc('"', f);
}

static void put_number(FILE *f, const char *name, int64_t value)
{
	fprintf(f, ",\n \"%s\": %" PRId64, name, value);
}

static void put_recall(FILE *f, const struct evidence_recall *recall)
{
	fprintf(f, "{\"format\": 1");
	put_text(f, "id", recall->id);
	put_text(f, "messageid", recall->message_id);
	if (recall->query != NULL)
		fprintf(f, ",\n \"query\": %s", recall->query);
	put_text(f, "actor", recall->actor);
	put_text(f, "approver", recall->approver);
	put_text(f, "reason", recall->reason);
	if (recall->force)
		fprintf(f, ",\n \"force\": true");
	if (recall->dry_run)
		fprintf(f, ",\n \"dry_run\": true");
	if (recall->created != 0)
		put_number(f, "created", recall->created);
	put_text(f, "exported_by", recall->exported_by);
	put_number(f, "exported", recall->exported);
}

/* libarchive is not told of failures: it would not free all of what it has. */
static la_ssize_t write_out(struct archive *archive, void *context,
			    const void *data, size_t size)
{
	struct evidence *e = context;
	const char *p = data, *end = p + size;
	ssize_t ret;

	(void)archive;
	while (p < end && e->error == NULL) {
		ret = write(e->fd, p, (size_t)(end - p));
		if (ret >= 0)
			p += ret;
		else if (errno != EINTR)
			set_error(e, strerror(errno));
	}
	return (la_ssize_t)size;
}

struct evidence *evidence_begin(int fd, const struct evidence_recall *recall)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	e->archive = archive_write_new();
	if (e->archive == NULL)
		abort();
	begin_part(&e->head);
	begin_part(&e->users_part);
	begin_part(&e->messages_part);
	check(e, archive_write_set_format_zip(e->archive));
	/* nothing after the end, as a tape would need */
	check(e, archive_write_set_bytes_in_last_block(e->archive, 1));
	e->fd = fd;
	check(e, archive_write_open(e->archive, e, NULL, write_out, NULL));
	put_recall(e->head.file, recall);
	e->exported = recall->exported;
	return e;
}

void evidence_add_user(struct evidence *e, const struct evidence_user *user)
{
	FILE *f = e->users_part.file;

	fprintf(f, "%s\n {\"copies\": %" PRId64, e->users++ == 0 ? "" : ",",
		user->copies);
	put_text(f, "email", user->email);
	put_text(f, "status", user->status);
	if (user->late != 0)
		put_number(f, "late", user->late);
	put_text(f, "messageid", user->message_id);
	put_text(f, "actor", user->actor);
	put_text(f, "reason", user->reason);
	if (user->recalled != 0)
		put_number(f, "recalled", user->recalled);
	if (user->restored != 0)
		put_number(f, "restored", user->restored);
	put_text(f, "error", user->error);
	fprintf(f, "}");
}

static void begin_entry(struct evidence *e, const char *name, uint64_t size,
			int64_t time)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0444);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_mtime(entry, time, 0);
	check(e, archive_write_header(e->archive, entry));
	archive_entry_free(entry);
}

/* Names are numbers: nothing that others have written is a path. */
void evidence_message_begin(struct evidence *e,
			    const struct evidence_message *message)
{
	FILE *f = e->messages_part.file;
	char name[32];

	snprintf(name, sizeof(name), "messages/%06u.eml", e->messages + 1);
	fprintf(f, "%s\n {\"file\": \"%s\"", e->messages++ == 0 ? "" : ",",
		name);
	put_text(f, "email", message->user);
	put_text(f, "mailbox", message->mailbox);
	put_text(f, "mailbox_guid", message->mailbox_guid);
	put_number(f, "received", message->received);
	if (message->seen != NULL && *message->seen != '\0')
		fprintf(f, ",\n \"seen\": %s",
			strcmp(message->seen, "yes") == 0 ? "true" : "false");
	put_number(f, "size", (int64_t)message->size);
	e->written = 0;
	e->size = message->size;
	if (e->error == NULL)
		begin_entry(e, name, message->size, message->received);
}

void evidence_write(struct evidence *e, const void *data, size_t size)
{
	e->written += size;
	if (e->error == NULL && size > 0 &&
	    archive_write_data(e->archive, data, size) != (la_ssize_t)size)
		set_error(e, archive_error_string(e->archive));
}

void evidence_message_end(struct evidence *e, const char *sha256)
{
	put_text(e->messages_part.file, "sha256", sha256);
	fprintf(e->messages_part.file, "}");
	if (e->written != e->size)
		set_error(e, "A message has another size than it was said to "
			  "have");
}

bool evidence_is_sound(const struct evidence *e)
{
	return e->error == NULL;
}

static void write_text(struct evidence *e, const char *text)
{
	evidence_write(e, text, strlen(text));
}

static void write_manifest(struct evidence *e)
{
	static const char users[] = ",\n \"users\": [";
	static const char messages[] = "\n],\n \"messages\": [";
	static const char end[] = "\n]}\n";

	end_part(e, &e->head);
	end_part(e, &e->users_part);
	end_part(e, &e->messages_part);
	if (e->error != NULL)
		return;
	begin_entry(e, MANIFEST_NAME, e->head.len + e->users_part.len +
		    e->messages_part.len + strlen(users) + strlen(messages) +
		    strlen(end), e->exported);
	write_text(e, e->head.text);
	write_text(e, users);
	write_text(e, e->users_part.text);
	write_text(e, messages);
	write_text(e, e->messages_part.text);
	write_text(e, end);
}

bool evidence_end(struct evidence *e, char **error_r)
{
	bool ret;

	write_manifest(e);
	if (e->error == NULL)
		check(e, archive_write_close(e->archive));
	(void)archive_write_free(e->archive);
	*error_r = e->error;
	ret = e->error == NULL;
	free(e->head.text);
	free(e->users_part.text);
	free(e->messages_part.text);
	free(e);
	return ret;
}
