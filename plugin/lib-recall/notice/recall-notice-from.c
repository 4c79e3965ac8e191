#include "lib.h"
#include "hostpid.h"
#include "message-address.h"
#include "mail-storage-settings.h"
#include "recall-utf8.h"
#include "recall-notice-from.h"

const char *recall_notice_hostname(const struct mail_user_settings *set)
{
	return *set->hostname != '\0' ? set->hostname : my_hostdomain();
}

const char *recall_notice_default_from(const struct mail_user_settings *set)
{
	const struct message_address *addr;
	const char *error;

	/* The default one has the user's domain, which may be one that can't
	   stand in the header of a message in ASCII. */
	if (mail_user_set_get_postmaster_address(set, &addr, &error) &&
	    recall_is_ascii(addr->mailbox) && recall_is_ascii(addr->domain))
		return t_strconcat(addr->mailbox, "@", addr->domain, NULL);
	return t_strconcat("postmaster@", recall_notice_hostname(set), NULL);
}
