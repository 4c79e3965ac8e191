#ifndef RECALL_NOTICE_FROM_H
#define RECALL_NOTICE_FROM_H

struct mail_user_settings;

/* Who a notice comes from unless the settings of the plugin say so. Results
   are of the data stack, or live as long as the settings. */

/* Dovecot's postmaster_address, if it's in ASCII, else one with the host
   name. The settings must be expanded. */
const char *recall_notice_default_from(const struct mail_user_settings *set);
const char *recall_notice_hostname(const struct mail_user_settings *set);

#endif
