#include "lib.h"
#include "unichar.h"
#include "recall-limits.h"
#include "recall-text.h"
#include "doveadm-recall-username.h"

bool recall_username_is_mask(const char *username)
{
	return strpbrk(username, "*?") != NULL;
}

const char *recall_username_get_error(const char *username)
{
	size_t len = strlen(username);

	if (len == 0)
		return "The user name is empty";
	if (len > RECALL_ADDRESS_MAX)
		return "The user name is too long";
	if (!uni_utf8_str_is_valid(username))
		return "The user name is not valid UTF-8";
	if (recall_username_is_mask(username))
		return "A mask is not a user name here";
	if (recall_text_has_control(username))
		return "The user name has a control character";
	/* within it, auth_username_chars decides */
	if (*username == ' ' || username[len - 1] == ' ')
		return "The user name begins or ends with white space";
	return NULL;
}
