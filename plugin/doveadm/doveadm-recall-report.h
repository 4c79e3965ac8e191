#ifndef RECALL_REPORT_H
#define RECALL_REPORT_H

struct doveadm_cmd_context;
struct mail_storage_service_ctx;
struct recall_outcome;
struct recall_request;

/* Collects what became of a command for all its users, and sends it by mail to
   the address of RECALL_PARAM_REPORT_TO. All functions do nothing if the
   reporter is NULL: nobody wants a report. */
struct recall_reporter;

/* Returns NULL if the request asks for no report, or is a dry run, which
   notifies nobody. The request must outlive the reporter. */
struct recall_reporter *
recall_reporter_init(const struct doveadm_cmd_context *cctx,
		     const struct recall_request *request);

/* Reads the settings for the report, before any user's: they are those of the
   service doveadm, and no user's userdb fields change them. */
void recall_reporter_read_settings(struct recall_reporter *reporter,
				   struct mail_storage_service_ctx *service);

/* A user was answered for: here, or by another node. */
void recall_reporter_add(struct recall_reporter *reporter,
			 const char *username,
			 const struct recall_outcome *outcome, bool repeated);
void recall_reporter_add_proxied(struct recall_reporter *reporter,
				 const char *username);

/* What the message is. Only the first one counts. message_id is what was
   recalled, NULL if that is known already; others are NULL if the message has
   none. */
void recall_reporter_set_message(struct recall_reporter *reporter,
				 const char *message_id, const char *subject,
				 const char *from, const char *date);

/* Sends the report, if any user was added. What was done stands whether or not
   that works: a failure is logged as a warning and changes nothing else. */
void recall_reporter_send(struct recall_reporter *reporter);

void recall_reporter_deinit(struct recall_reporter **reporter);

#endif
