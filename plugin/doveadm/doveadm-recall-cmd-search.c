#include "lib.h"
#include "mail-storage.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "recall-match.h"
#include "recall-message-id.h"
#include "recall-utf8.h"
#include "doveadm-recall-jobs.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-plugin.h"

/* Longest text shown of a header, in characters. */
#define SEARCH_TEXT_MAX 998

static const struct recall_column search_columns[] = {
	{ .name = RECALL_COLUMN_USERNAME },
	{ .name = RECALL_COLUMN_MAILBOX },
	{ .name = RECALL_COLUMN_MAILBOX_GUID,
	  .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_UID, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_SEEN },
	{ .name = RECALL_COLUMN_DATE, .flags = RECALL_COLUMN_FLAG_DAY },
	{ .name = RECALL_COLUMN_SIZE, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_FROM, .max_chars = 14 },
	{ .name = RECALL_COLUMN_SUBJECT, .max_chars = 14 },
	{ .name = RECALL_COLUMN_MESSAGE_ID, .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_MAILBOX_USER,
	  .flags = RECALL_COLUMN_FLAG_WIDE },
	{ .name = RECALL_COLUMN_ERROR },
};

struct search_row {
	const char *date, *size, *from, *subject, *message_id;
};

static int search_get_header(struct mail *mail, const char *name,
			     const char **value_r)
{
	const char *value;
	int ret;

	ret = mail_get_first_header_utf8(mail, name, &value);
	if (ret > 0)
		*value_r = recall_utf8_line(value, SEARCH_TEXT_MAX);
	return ret < 0 ? -1 : 0;
}

static int search_get_message_id(struct mail *mail, const char **value_r)
{
	struct recall_message_id id;
	const char *value;
	int ret;

	ret = mail_get_first_header(mail, "Message-ID", &value);
	if (ret > 0 &&
	    recall_message_id_from_header(value, strlen(value), &id)) {
		*value_r = recall_utf8_line(id.data, RECALL_MESSAGE_ID_MAX);
	}
	return ret < 0 ? -1 : 0;
}

static int search_get_row(struct mail *mail, struct search_row *row)
{
	time_t date;
	uoff_t size;

	if (mail_get_save_date(mail, &date) < 0 ||
	    mail_get_virtual_size(mail, &size) < 0)
		return -1;
	row->date = recall_listing_time(date);
	row->size = dec2str(size);
	if (search_get_header(mail, "From", &row->from) < 0 ||
	    search_get_header(mail, "Subject", &row->subject) < 0 ||
	    search_get_message_id(mail, &row->message_id) < 0)
		return -1;
	return 0;
}

static bool search_print(struct recall_listing *listing, struct mail *mail,
			 const char **error_r)
{
	struct search_row row = { .date = NULL };
	struct recall_rows *rows = listing->rows;
	enum mail_error error;
	const char *text;

	if (search_get_row(mail, &row) < 0) {
		text = mailbox_get_last_internal_error(mail->box, &error);
		if (error == MAIL_ERROR_EXPUNGED)
			return FALSE;
		*error_r = t_strdup_printf("Reading the message failed: %s",
					   text);
	}
	recall_rows_add(rows, listing->username);
	recall_rows_add(rows, mailbox_get_vname(mail->box));
	recall_rows_add(rows, listing->guid);
	recall_rows_add(rows, dec2str(mail->uid));
	recall_rows_add(rows, recall_match_is_read(mail) ? "yes" : "no");
	recall_rows_add(rows, row.date);
	recall_rows_add(rows, row.size);
	recall_rows_add(rows, row.from);
	recall_rows_add(rows, row.subject);
	recall_rows_add(rows, row.message_id);
	recall_rows_add(rows, listing->mailbox_user);
	return TRUE;
}

static void cmd_recall_search(struct doveadm_cmd_context *cctx)
{
	static const char *const wanted_headers[] = {
		"From", "Subject", "Message-ID", NULL
	};
	struct recall_listing listing = {
		.wanted = {
			.fields = MAIL_FETCH_FLAGS | MAIL_FETCH_SAVE_DATE |
				MAIL_FETCH_VIRTUAL_SIZE,
			.headers = wanted_headers,
		},
		.may_spread = TRUE,
		.print = search_print,
	};

	if (recall_listing_parse(cctx, &listing) < 0)
		return;
	listing.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_TABLE,
		search_columns, N_ELEMENTS(search_columns));
	recall_listing_run(cctx, &listing);
	recall_listing_deinit(&listing);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_search = {
	.name = RECALL_CMD_SEARCH,
	.cmd = cmd_recall_search,
	.usage = RECALL_CMD_USERS_USAGE" "RECALL_CMD_LISTING_USAGE" "
		RECALL_CMD_SWEEP_USAGE" "RECALL_CMD_CRITERIA_USAGE,
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
RECALL_CMD_SWEEP_PARAMS
RECALL_CMD_LISTING_PARAMS
RECALL_CMD_CRITERIA_PARAMS
DOVEADM_CMD_PARAMS_END
};
