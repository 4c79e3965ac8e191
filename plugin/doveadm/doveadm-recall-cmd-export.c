#include "lib.h"
#include "array.h"
#include "base64.h"
#include "hash.h"
#include "hex-binary.h"
#include "istream.h"
#include "istream-crlf.h"
#include "sha2.h"
#include "str.h"
#include "strnum.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-events.h"
#include "recall-limits.h"
#include "recall-match.h"
#include "recall-params.h"
#include "recall-tenant.h"
#include "recall-verdict.h"
#include "doveadm-recall-evidence.h"
#include "doveadm-recall-export-source.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-plugin.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static const struct recall_column export_columns[] = {
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_MAILBOX },
	{ .name = RECALL_COLUMN_MAILBOX_GUID,
	  .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_UID, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_SEEN },
	{ .name = RECALL_COLUMN_RECEIVED, .flags = RECALL_COLUMN_FLAG_DAY },
	{ .name = RECALL_COLUMN_SIZE,
	  .flags = RECALL_COLUMN_FLAG_RIGHT_JUSTIFY },
	{ .name = RECALL_COLUMN_SHA256 },
	{ .name = RECALL_COLUMN_MESSAGE, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_ERROR },
};

struct recall_export_command {
	struct doveadm_cmd_context *cctx;
	struct recall_request request;
	struct recall_rows *rows;
	/* the zip, and its name; NULL if there is none */
	const char *path, *temp_path;
	struct evidence *evidence;
	/* what writes it */
	const struct evidence_functions *zip;
	/* a part of this message alone is asked for; uid is 0 if not */
	guid_128_t guid;
	uint32_t uid;
	unsigned int offset, length;
	/* not all is in the zip */
	bool incomplete;
	/* somebody has a record of it */
	bool found;

	/* of the zip: user of a mailbox => what it says of the user */
	pool_t pool;
	HASH_TABLE(const char *, struct evidence_user *) told;
};

static void
export_error(struct recall_export_command *cmd, const char *username,
	     const char *error)
{
	cmd->incomplete = TRUE;
	recall_rows_set_exit_code(cmd->rows, EX_TEMPFAIL);
	recall_rows_add_known(cmd->rows, RECALL_COLUMN_USERNAME, username,
			      RECALL_COLUMN_ERROR, error, NULL);
}

/* The message as its user would get it, with CRLF. */
static int export_open(struct mail *mail, struct istream **input_r,
		       uoff_t *size_r, time_t *received_r, const char **error_r)
{
	struct istream *input;

	if (mail_get_virtual_size(mail, size_r) < 0 ||
	    mail_get_received_date(mail, received_r) < 0 ||
	    mail_get_stream(mail, NULL, NULL, &input) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(mail->box,
								    NULL));
		return -1;
	}
	/* a zip can't have what is no date */
	if (*received_r < 0 || *received_r > RECALL_TIME_MAX)
		*received_r = 0;
	*input_r = i_stream_create_crlf(input);
	return 0;
}

/* Reads it all: for its hash, and into the zip if there is one. */
static int
export_read_all(struct recall_export_command *cmd, struct istream *input,
		const char **sha256_r, const char **error_r)
{
	unsigned char digest[SHA256_RESULTLEN];
	struct sha256_ctx hash;
	const unsigned char *data;
	size_t size;

	sha256_init(&hash);
	while (i_stream_read_more(input, &data, &size) > 0) {
		sha256_loop(&hash, data, size);
		if (cmd->evidence != NULL)
			cmd->zip->write(cmd->evidence, data, size);
		i_stream_skip(input, size);
	}
	if (input->stream_errno != 0) {
		*error_r = t_strdup_printf("read(%s) failed: %s",
			i_stream_get_name(input), i_stream_get_error(input));
		return -1;
	}
	sha256_result(&hash, digest);
	*sha256_r = binary_to_hex(digest, sizeof(digest));
	return 0;
}

static int
export_read_part(struct recall_export_command *cmd, struct istream *input,
		 string_t *part, const char **error_r)
{
	const unsigned char *data;
	uoff_t skip = cmd->offset;
	size_t size, left = cmd->length;

	while (left > 0 && i_stream_read_more(input, &data, &size) > 0) {
		if (skip > 0) {
			size = I_MIN(size, skip);
			skip -= size;
		} else {
			size = I_MIN(size, left);
			left -= size;
			buffer_append(part, data, size);
		}
		i_stream_skip(input, size);
	}
	if (input->stream_errno == 0)
		return 0;
	*error_r = t_strdup_printf("read(%s) failed: %s",
		i_stream_get_name(input), i_stream_get_error(input));
	return -1;
}

static void
export_row(struct recall_export_command *cmd, const char *username,
	   const struct evidence_message *message, uint32_t uid,
	   const char *sha256, const char *text)
{
	recall_rows_add(cmd->rows, username);
	recall_rows_add(cmd->rows, message->mailbox);
	recall_rows_add(cmd->rows, message->mailbox_guid);
	recall_rows_add(cmd->rows, dec2str(uid));
	recall_rows_add(cmd->rows, message->seen);
	recall_rows_add(cmd->rows, recall_listing_time(message->received));
	recall_rows_add(cmd->rows, t_strdup_printf("%llu",
			(unsigned long long)message->size));
	recall_rows_add(cmd->rows, sha256);
	recall_rows_add(cmd->rows, text);
	recall_rows_add(cmd->rows, "");
}

static int
export_message(struct recall_export_command *cmd, struct istream *input,
	       const struct evidence_message *message, uint32_t uid,
	       const char **error_r)
{
	const char *sha256 = "";
	string_t *part, *text;

	if (cmd->uid != 0) {
		part = str_new(default_pool, cmd->length);
		text = str_new(default_pool,
			       MAX_BASE64_ENCODED_SIZE(cmd->length) + 1);
		if (export_read_part(cmd, input, part, error_r) < 0) {
			str_free(&part);
			str_free(&text);
			return -1;
		}
		base64_encode(str_data(part), str_len(part), text);
		export_row(cmd, message->user, message, uid, "", str_c(text));
		str_free(&part);
		str_free(&text);
		return 0;
	}
	/* who asks over HTTP will have it all and make hashes */
	if (cmd->cctx->conn_type != DOVEADM_CONNECTION_TYPE_HTTP) {
		if (cmd->evidence != NULL)
			cmd->zip->message_begin(cmd->evidence, message);
		if (export_read_all(cmd, input, &sha256, error_r) < 0)
			return -1;
		if (cmd->evidence != NULL)
			cmd->zip->message_end(cmd->evidence, sha256);
	}
	export_row(cmd, message->user, message, uid, sha256, "");
	return 0;
}

static int
export_mail(struct recall_export_command *cmd, struct mail *mail,
	    struct evidence_message *message, const char **error_r)
{
	struct istream *input;
	time_t received;
	uoff_t size;
	int ret;

	if (export_open(mail, &input, &size, &received, error_r) < 0)
		return -1;
	message->size = size;
	message->received = received;
	message->seen = recall_match_is_read(mail) ? "yes" : "no";
	ret = export_message(cmd, input, message, mail->uid, error_r);
	i_stream_unref(&input);
	return ret;
}

static int
export_uids(struct recall_export_command *cmd, struct mailbox *box,
	    const ARRAY_TYPE(seq_range) *uids,
	    struct evidence_message *message, const char **error_r)
{
	struct mailbox_transaction_context *trans;
	struct seq_range_iter iter;
	struct mail *mail;
	unsigned int n = 0;
	uint32_t uid;
	int ret = 0;

	trans = mailbox_transaction_begin(box, 0, __func__);
	mail = mail_alloc(trans, MAIL_FETCH_VIRTUAL_SIZE | MAIL_FETCH_FLAGS |
			  MAIL_FETCH_RECEIVED_DATE, NULL);
	seq_range_array_iter_init(&iter, uids);
	while (ret == 0 && seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (cmd->uid != 0 && cmd->uid != uid)
			continue;
		if (mail_set_uid(mail, uid))
			ret = export_mail(cmd, mail, message, error_r);
	}
	mail_free(&mail);
	(void)mailbox_transaction_commit(&trans);
	return ret;
}

static int
export_box(struct recall_export_command *cmd,
	   const struct recall_export_source *source,
	   const struct recall_export_box *ebox,
	   const char *username, const char **error_r)
{
	const struct recall_quarantine_record_box *rbox = !source->known ?
		NULL : recall_quarantine_record_find(&source->record,
						     ebox->guid);
	struct evidence_message message = {
		.user = username,
		.mailbox = rbox == NULL ? "" : rbox->vname,
		.mailbox_guid = t_strdup(guid_128_to_string(ebox->guid)),
	};

	return export_uids(cmd, ebox->box, &ebox->uids, &message, error_r);
}

static void
export_tell_user(struct recall_export_command *cmd, const char *username,
		 const char *mailbox_user,
		 const struct recall_quarantine_record *record)
{
	struct evidence_user *copy;
	const struct evidence_user user = {
		.email = username,
		.status = recall_verdict_name(record->restored != 0 ?
			RECALL_VERDICT_RESTORED : RECALL_VERDICT_EXPUNGED),
		.copies = recall_quarantine_record_copies(record),
		.message_id = record->message_id,
		.actor = record->actor,
		.reason = record->reason,
		.recalled = record->recalled,
		.restored = record->restored,
	};

	if (cmd->evidence == NULL)
		return;
	cmd->zip->add_user(cmd->evidence, &user);
	copy = p_memdup(cmd->pool, &user, sizeof(user));
	copy->message_id = p_strdup(cmd->pool, user.message_id);
	copy->actor = p_strdup(cmd->pool, user.actor);
	copy->reason = p_strdup(cmd->pool, user.reason);
	mailbox_user = p_strdup(cmd->pool, mailbox_user);
	hash_table_update(cmd->told, mailbox_user, copy);
}

static int
export_user(struct recall_export_command *cmd, struct mail_user *user,
	    const char *username, const char **error_r)
{
	struct recall_quarantine q;
	struct recall_export_source source;
	const struct recall_export_box *ebox;
	int ret;

	ret = recall_quarantine_init(user, &q, error_r);
	if (ret <= 0)
		return ret;
	ret = recall_export_source_init(&q, cmd->request.order.recall_id,
					cmd->uid == 0 ? NULL : cmd->guid,
					&source, error_r);
	if (ret < 0)
		return -1;
	if (ret > 0)
		cmd->found = TRUE;
	if (source.known)
		export_tell_user(cmd, username, user->username, &source.record);
	array_foreach(&source.boxes, ebox) {
		ret = export_box(cmd, &source, ebox, username, error_r);
		if (ret < 0)
			break;
	}
	recall_export_source_deinit(&source);
	if (ret >= 0 && cmd->uid == 0)
		recall_event_exported(user, &cmd->request.order);
	return ret < 0 ? -1 : 0;
}

static void
cmd_export_run(void *context, struct mail_user *user, const char *username)
{
	struct recall_export_command *cmd = context;
	const char *error;

	if (!recall_tenant_matches(cmd->request.order.tenant, user))
		export_error(cmd, username, "The user is of another tenant");
	else if (export_user(cmd, user, username, &error) < 0)
		export_error(cmd, username, error);
}

/* The messages are there by another name of the user: none is to be taken for
   two. */
static void
cmd_export_repeat(void *context, const char *username, const char *mailbox_user)
{
	struct recall_export_command *cmd = context;
	struct evidence_user user, *told;

	told = hash_table_lookup(cmd->told, mailbox_user);
	if (told == NULL)
		return;
	user = *told;
	user.email = username;
	cmd->zip->add_user(cmd->evidence, &user);
}

static void
cmd_export_unseen(void *context, const char *username,
		  enum recall_verdict verdict ATTR_UNUSED, const char *error)
{
	export_error(context, username, error);
}

/* It would be a file of that node's. */
static bool cmd_export_proxy_param(void *context ATTR_UNUSED, const char *name,
				   unsigned int user_count ATTR_UNUSED)
{
	return strcmp(name, RECALL_PARAM_OUTPUT) != 0;
}

static void cmd_export_proxied(void *context, const char *username)
{
	struct recall_export_command *cmd = context;

	if (cmd->evidence == NULL)
		return;
	cmd->incomplete = TRUE;
	i_error("%s is a user of another node and not in %s", username,
		cmd->path);
}

static const struct recall_users_callbacks export_callbacks = {
	.run = cmd_export_run,
	.repeat = cmd_export_repeat,
	.unseen = cmd_export_unseen,
	.proxied = cmd_export_proxied,
	.proxy_param = cmd_export_proxy_param,
};

static int export_get_message(struct recall_export_command *cmd,
			      const char **error_r)
{
	const char *value, *p;
	int ret;

	if (!doveadm_cmd_param_str(cmd->cctx, RECALL_PARAM_MESSAGE, &value)) {
		*error_r = "--"RECALL_PARAM_OFFSET" and --"RECALL_PARAM_LENGTH
			" go with --"RECALL_PARAM_MESSAGE;
		return doveadm_cmd_param_str(cmd->cctx, RECALL_PARAM_OFFSET,
					     &value) ||
			doveadm_cmd_param_str(cmd->cctx, RECALL_PARAM_LENGTH,
					      &value) ? -1 : 0;
	}
	p = strchr(value, ' ');
	if (p == NULL ||
	    guid_128_from_string(t_strdup_until(value, p), cmd->guid) < 0 ||
	    str_to_uint32(p + 1, &cmd->uid) < 0 || cmd->uid == 0) {
		*error_r = "--"RECALL_PARAM_MESSAGE
			" is not the GUID of a mailbox and a UID";
		return -1;
	}
	cmd->length = RECALL_EXPORT_LENGTH_MAX;
	ret = recall_cmd_param_number(cmd->cctx, RECALL_PARAM_LENGTH,
				      &cmd->length);
	if (ret >= 0)
		ret = recall_cmd_param_number(cmd->cctx, RECALL_PARAM_OFFSET,
					      &cmd->offset);
	*error_r = NULL;
	if (ret >= 0 && cmd->length > RECALL_EXPORT_LENGTH_MAX) {
		*error_r = "--"RECALL_PARAM_LENGTH" is too large";
		ret = -1;
	}
	return ret < 0 ? -1 : 0;
}

static int export_parse(struct recall_export_command *cmd)
{
	const char *error;

	if (recall_request_parse_id(cmd->cctx, &cmd->request) < 0)
		return -1;
	if (!cmd->request.order.may_be_retry) {
		recall_cmd_error(cmd->cctx, EX_USAGE,
				 "The recall id is missing");
		return -1;
	}
	if (export_get_message(cmd, &error) < 0) {
		if (error != NULL)
			recall_cmd_error(cmd->cctx, EX_USAGE, "%s", error);
		return -1;
	}
	if (!doveadm_cmd_param_str(cmd->cctx, RECALL_PARAM_OUTPUT, &cmd->path))
		return 0;
	if (cmd->cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI ||
	    cmd->uid != 0) {
		recall_cmd_error(cmd->cctx, EX_USAGE, "--"RECALL_PARAM_OUTPUT
			" is for the shell, and without --"
			RECALL_PARAM_MESSAGE);
		return -1;
	}
	return 0;
}

/* Under its own name only once it is whole. */
static int export_open_output(struct recall_export_command *cmd, int *fd_r)
{
	const struct evidence_recall recall = {
		.id = cmd->request.order.recall_id,
		.exported_by = cmd->request.order.actor,
		.exported = time(NULL),
	};
	const char *error;

	*fd_r = -1;
	if (cmd->path == NULL)
		return 0;
	cmd->zip = recall_evidence_load(&error);
	if (cmd->zip == NULL) {
		recall_cmd_error(cmd->cctx, EX_CANTCREAT,
				 "%s can't be written: %s", cmd->path, error);
		return -1;
	}
	cmd->temp_path = t_strconcat(cmd->path, ".part", NULL);
	*fd_r = open(cmd->temp_path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
		     0600);
	if (*fd_r == -1) {
		recall_cmd_error(cmd->cctx, EX_CANTCREAT, "open(%s) failed: %m",
				 cmd->temp_path);
		return -1;
	}
	cmd->evidence = cmd->zip->begin(*fd_r, &recall);
	return 0;
}

static void export_close_output(struct recall_export_command *cmd, int fd,
				bool done)
{
	const char *why = NULL;
	char *error = NULL;

	if (cmd->evidence == NULL)
		return;
	if (!cmd->zip->end(cmd->evidence, &error))
		why = t_strdup(error);
	else if (fsync(fd) < 0 || close(fd) < 0)
		why = t_strdup_printf("write() failed: %m");
	else if (!done || cmd->incomplete)
		why = "Not all of it could be had";
	else if (!cmd->found)
		why = "None of these users has anything of this recall";
	else if (link(cmd->temp_path, cmd->path) < 0)
		why = t_strdup_printf("link() failed: %m");
	free(error);
	if (why != NULL)
		recall_rows_error(cmd->rows, EX_CANTCREAT,
				  "%s was not written: %s", cmd->path, why);
	i_unlink(cmd->temp_path);
}

static void cmd_recall_export(struct doveadm_cmd_context *cctx)
{
	struct recall_export_command cmd = { .cctx = cctx };
	int fd, ret;

	if (export_parse(&cmd) < 0)
		return;
	if (export_open_output(&cmd, &fd) < 0) {
		recall_evidence_unload();
		return;
	}
	cmd.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
				    export_columns,
				    N_ELEMENTS(export_columns));
	cmd.pool = pool_alloconly_create("recall export users", 1024);
	hash_table_create(&cmd.told, cmd.pool, 0, str_hash, strcmp);
	ret = recall_users_run(cctx, cmd.rows, &export_callbacks, &cmd);
	export_close_output(&cmd, fd, ret == 0);
	hash_table_destroy(&cmd.told);
	pool_unref(&cmd.pool);
	recall_evidence_unload();
	recall_rows_deinit(&cmd.rows);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_export = {
	.name = RECALL_CMD_EXPORT,
	.cmd = cmd_recall_export,
	.usage = RECALL_CMD_USERS_USAGE" [--tenant <tenant>] "
		"[--output <file>] [--actor <name>] [--reason <text>] "
		"[--message <guid uid> [--offset <n>] [--length <n>]] "
		"<recall-id>",
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_OUTPUT, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_MESSAGE, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_OFFSET, CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_LENGTH, CMD_PARAM_STR, 0)
RECALL_CMD_RECORD_PARAMS
DOVEADM_CMD_PARAMS_END
};
