#include "lib.h"
#include "array.h"
#include "mail-storage.h"
#include "doveadm.h"
#include "doveadm-print.h"
#include "doveadm-recall-params.h"
#include "recall-params.h"
#include "doveadm-recall-fetch-fields.h"
#include "doveadm-recall-listing.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-users.h"
#include "doveadm-recall-plugin.h"

struct fetch_cmd_context {
	struct recall_listing listing;
	ARRAY_TYPE(recall_fetch_field) fields;
	ARRAY_TYPE(const_string) headers;
	bool streams;
};

static bool fetch_mail_is_gone(struct fetch_cmd_context *ctx,
			       struct mail *mail)
{
	struct istream *input;

	/* a column once begun can't be taken back */
	return mail->expunged ||
		(ctx->streams &&
		 mail_get_stream(mail, NULL, NULL, &input) < 0 &&
		 mailbox_get_last_mail_error(mail->box) == MAIL_ERROR_EXPUNGED);
}

static bool fetch_print(struct recall_listing *listing, struct mail *mail,
			const char **error_r)
{
	struct fetch_cmd_context *ctx =
		container_of(listing, struct fetch_cmd_context, listing);
	const struct recall_fetch_field *field;

	if (fetch_mail_is_gone(ctx, mail))
		return FALSE;
	recall_rows_add(listing->rows, listing->username);
	array_foreach(&ctx->fields, field)
		(void)recall_fetch_field_print(field, listing, mail, error_r);
	return TRUE;
}

static int
fetch_parse(const struct doveadm_cmd_context *cctx,
	    struct fetch_cmd_context *ctx)
{
	const struct recall_fetch_field *field;
	const char *str = NULL, *error;

	if (recall_cmd_params_check(cctx) < 0)
		return -1;
	t_array_init(&ctx->fields, 8);
	t_array_init(&ctx->headers, 8);
	(void)doveadm_cmd_param_str(cctx, RECALL_PARAM_FIELDS, &str);
	if (recall_fetch_fields_parse(pool_datastack_create(),
				      str == NULL ? "" : str,
				      &ctx->fields, &error) < 0) {
		recall_cmd_error(cctx, EX_USAGE, "%s", error);
		return -1;
	}
	array_foreach(&ctx->fields, field) {
		ctx->listing.wanted.fields |= field->wanted;
		if (field->open != NULL)
			ctx->streams = TRUE;
		if (field->header != NULL)
			array_push_back(&ctx->headers, &field->header);
	}
	array_append_zero(&ctx->headers);
	ctx->listing.wanted.headers = array_front(&ctx->headers);
	return recall_listing_parse(cctx, &ctx->listing);
}

static void fetch_init_rows(const struct doveadm_cmd_context *cctx,
			    struct fetch_cmd_context *ctx)
{
	ARRAY(struct recall_column) columns;
	const struct recall_fetch_field *field;
	struct recall_column *column;

	t_array_init(&columns, array_count(&ctx->fields) + 2);
	column = array_append_space(&columns);
	column->name = RECALL_COLUMN_USERNAME;
	array_foreach(&ctx->fields, field) {
		column = array_append_space(&columns);
		column->name = field->name;
		/* of several header fields of a name each has one */
		if (field->header != NULL)
			column->flags = RECALL_COLUMN_FLAG_LINES;
	}
	column = array_append_space(&columns);
	column->name = RECALL_COLUMN_ERROR;
	/* values may have several lines */
	ctx->listing.rows = recall_rows_init(cctx, DOVEADM_PRINT_TYPE_PAGER,
		array_front(&columns), array_count(&columns));
}

static void cmd_recall_fetch(struct doveadm_cmd_context *cctx)
{
	struct fetch_cmd_context ctx = {
		.listing = { .print = fetch_print },
	};

	if (fetch_parse(cctx, &ctx) < 0)
		return;
	fetch_init_rows(cctx, &ctx);
	recall_listing_run(cctx, &ctx.listing);
	recall_listing_deinit(&ctx.listing);
}

struct doveadm_cmd_ver2 doveadm_cmd_recall_fetch = {
	.name = RECALL_CMD_FETCH,
	.cmd = cmd_recall_fetch,
	.usage = RECALL_CMD_USERS_USAGE" "RECALL_CMD_LISTING_USAGE" "
		"<fields> "RECALL_CMD_CRITERIA_USAGE,
DOVEADM_CMD_PARAMS_START
RECALL_CMD_USERS_PARAMS
RECALL_CMD_LISTING_PARAMS
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_FIELDS, CMD_PARAM_STR,
		  CMD_PARAM_FLAG_POSITIONAL)
RECALL_CMD_CRITERIA_PARAMS
DOVEADM_CMD_PARAMS_END
};
