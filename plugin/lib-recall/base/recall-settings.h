#ifndef RECALL_SETTINGS_H
#define RECALL_SETTINGS_H

#include "smtp-submit.h"
#include "mail-storage-service.h"

/* Nobody else knows where Dovecot keeps settings: those of plugins are in the
   section plugin up to 2.3, and in structs of each plugin's own since 2.4. */

struct event;
struct mail_namespace;
struct mail_user;
struct mail_user_settings;
struct mailbox;

/* Defaults of the settings. */
#define RECALL_NOTIFY_ON_DEFAULT "expunged read"
#define RECALL_NOTICE_NAME_DEFAULT "Mail System"
#define RECALL_NOTICE_DELIVERY_DEFAULT "save"
#define RECALL_QUARANTINE_DEFAULT "off"
#define RECALL_QUARANTINE_DAYS_DEFAULT "30"
#define RECALL_HOLD_DEFAULT "no"
#define RECALL_JOBS_MAX_DEFAULT "0"
#define RECALL_STAND_DEFAULT "off"
#define RECALL_STANDING_MAX_DEFAULT "1000"

/* Ours, with the defaults filled in: see conf.d/ for what each one means. They
   are texts whose values are judged where they are used: the userdb may
   override any of them, and one that can't be must neither stop the user's mail
   nor what has no use for it. (What stands in 2.4's configuration is checked
   there.) */
struct recall_settings {
	pool_t pool;

	const char *recall_notify_on;
	/* empty: recall_notice_default_from() */
	const char *recall_notice_from;
	const char *recall_notice_name;
	const char *recall_notice_delivery;
	const char *recall_notice_dir;
	const char *recall_notice_lang;

	/* see recall_quarantine_get_prefix() */
	const char *recall_quarantine;
	const char *recall_quarantine_days;
	/* see recall_quarantine_is_held() */
	const char *recall_hold;

	/* see recall_settings_parse_jobs() */
	const char *recall_jobs_max;
	/* see recall-standing.h */
	const char *recall_stand;
	const char *recall_standing_dir;
	const char *recall_standing_max;
};

/* Where an empty value means nothing it is none: the default is filled in. */
void recall_settings_fill_empty(struct recall_settings *set);

/* What they are called in Dovecot's configuration, NULL-terminated. */
extern const char *const recall_setting_names[];

/* What values mean. Return -1 if they can't be. */
int recall_settings_parse_delivery(const char *value, bool *submit_r,
				   const char **error_r);
int recall_settings_parse_days(const char *value, unsigned int *days_r,
			       const char **error_r);
/* 0: there is no limit. */
int recall_settings_parse_jobs(const char *value, unsigned int *jobs_r,
			       const char **error_r);
/* How long a recall stands; 0 if it does not. */
int recall_settings_parse_stand(const char *value, unsigned int *secs_r,
				const char **error_r);
int recall_settings_parse_standing_max(const char *value, unsigned int *max_r,
				       const char **error_r);

/* How mail is sent. */
struct recall_submit_settings {
	const struct smtp_submit_settings *set;
	struct smtp_submit_input input;
};

/* For what concerns no user. */
struct recall_service_settings {
	const struct recall_settings *recall;
	/* These for reports alone. */
	const struct mail_user_settings *user;
	struct recall_submit_settings submit;
};

/* 2.4: describes the struct to Dovecot. */
extern const struct setting_parser_info recall_setting_parser_info;

/* mail_storage_service_init() with what is read besides. */
struct mail_storage_service_ctx *
recall_settings_init_service(enum mail_storage_service_flags flags);

/* The number of an account whose name was met last. */
struct recall_account {
	char name[32];
	char number[16];
};

/* Those of mail_uid, mail_gid and mail_privileged_group. */
struct recall_accounts {
	struct recall_account uid, gid, privileged;
};

/* Puts numbers in the place of names into the settings of a user who was looked
   up: up to 2.3 Dovecot would read /etc/passwd and /etc/group for each one.
   What is no account's name is left to it. accounts is zeroed at first. */
void recall_settings_number_accounts(struct mail_storage_service_user *user,
				     struct recall_accounts *accounts);

/* Reads the user's settings, which fails if variables in them can't be
   expanded. To be called where that can be reported; who calls
   recall_settings() later on won't fail. */
int recall_settings_init_user(struct mail_user *user, const char **error_r);
/* What it does that differs between series. */
int recall_settings_read(struct mail_user *user,
			 const struct recall_settings **set_r,
			 const char **error_r);
/* The user's settings; they live as long as the user. */
const struct recall_settings *recall_settings(struct mail_user *user);
/* Those of Dovecot for mail that is sent on the user's behalf. They live as
   long as the pool, which must not be the data stack, and the user. */
int recall_settings_get_submit(struct mail_user *user, pool_t pool,
			       struct recall_submit_settings *set_r,
			       const char **error_r);
/* Settings as they are for nobody, in the service doveadm. event is the
   command's. They live as long as the pool, which must not be the data stack,
   and the event. One of ours that has variables which only a user has counts as
   not set; where standing orders are is told by no user. Others with such
   variables do not matter unless a report is to be sent. */
int recall_settings_get_service(struct mail_storage_service_ctx *service,
				struct event *event, pool_t pool, bool report,
				struct recall_service_settings *set_r,
				const char **error_r);

/* Whether the namespace's mailboxes have ACLs. */
bool recall_settings_have_acl(struct mail_namespace *ns);
/* Where lazy_expunge puts what is expunged from the mailbox: another one's
   name, or up to 2.3 the prefix of a namespace. NULL if it's off. */
const char *recall_settings_get_lazy_expunge(struct mailbox *box);
/* Whether a copy of encrypted mail needs the key that it was encrypted with. */
bool recall_settings_copying_decrypts(struct mail_user *user);
/* maildir_very_dirty_syncs of a mailbox in a Maildir. */
bool recall_settings_maildir_is_very_dirty(struct mailbox *box);

/* The value of a userdb field, NULL if there is none. */
const char *recall_userdb_field(struct mail_user *user, const char *name);

#endif
