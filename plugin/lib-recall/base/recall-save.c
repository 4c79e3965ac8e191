#include "lib.h"
#include "istream.h"
#include "str.h"
#include "mail-storage.h"
#include "recall-save.h"

#include <time.h>

static int save_stream(struct mailbox_transaction_context *trans,
		       enum mail_flags flags, struct istream *input)
{
	struct mail_save_context *save_ctx;
	ssize_t ret;

	save_ctx = mailbox_save_alloc(trans);
	mailbox_save_set_flags(save_ctx, flags, NULL);
	mailbox_save_set_received_date(save_ctx, time(NULL), 0);
	if (mailbox_save_begin(&save_ctx, input) < 0)
		return -1;
	do {
		if (mailbox_save_continue(save_ctx) < 0) {
			mailbox_save_cancel(&save_ctx);
			return -1;
		}
	} while ((ret = i_stream_read(input)) > 0);
	i_assert(ret == -1);
	return mailbox_save_finish(&save_ctx);
}

int recall_save(struct mailbox *box, enum mail_flags flags,
		const string_t *message, const char *reason)
{
	struct mailbox_transaction_context *trans;
	struct istream *input;
	int ret;

	trans = mailbox_transaction_begin(box,
		MAILBOX_TRANSACTION_FLAG_EXTERNAL, reason);
	input = i_stream_create_from_data(str_data(message), str_len(message));
	ret = save_stream(trans, flags, input);
	i_stream_unref(&input);
	if (ret == 0)
		return mailbox_transaction_commit(&trans);
	mailbox_transaction_rollback(&trans);
	return -1;
}
