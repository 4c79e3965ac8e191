#include "lib.h"
#include "istream.h"
#include "mail-storage-private.h"
#include "recall-stream.h"

int recall_stream_check(struct mail *mail, struct istream *input)
{
	if (input->stream_errno == 0)
		return 0;
	mail_set_critical(mail, "read(%s) failed: %s", i_stream_get_name(input),
			  i_stream_get_error(input));
	return -1;
}
