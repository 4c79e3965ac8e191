#include "http-reply.h"
#include "reached.h"

bool reached(struct http_request *request, enum doveadm_result result)
{
	switch (result) {
	case DOVEADM_OK:
	case DOVEADM_FAILED:
		return true;
	case DOVEADM_UNREACHABLE:
	case DOVEADM_TIMEOUT:
		break;
	}
	http_reply_unreachable(request, result == DOVEADM_TIMEOUT, NULL);
	return false;
}
