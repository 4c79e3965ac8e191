#ifndef DOVEADM_RECALL_STANDING_H
#define DOVEADM_RECALL_STANDING_H

struct doveadm_cmd_context;
struct mail_storage_service_ctx;
struct recall_request;
struct recall_rows;
struct recall_standing_order;

/* What commands do about standing orders: see recall-standing.h. Where there is
   no error_r they log why something fails and set doveadm_exit_code. */

#define RECALL_CMD_STAND_PARAM \
DOVEADM_CMD_PARAM('\0', RECALL_PARAM_STAND, CMD_PARAM_STR, 0)

struct recall_standing_settings {
	const char *dir;
	unsigned int max;
	/* how long a recall stands that does not say; 0 if it does not */
	unsigned int secs;
};

/* Reads the settings, those of a service that is there already, or NULL. They
   live as long as the pool, which must not be the data stack. */
int recall_standing_get_settings(const struct doveadm_cmd_context *cctx,
				 struct mail_storage_service_ctx *service,
				 pool_t pool,
				 struct recall_standing_settings *set_r);

/* Reads until when the recall is to stand, 0 if it is not. Returns -1 if what
   was asked for can't be. */
int recall_standing_get_expires(const struct doveadm_cmd_context *cctx,
				const struct recall_standing_settings *set,
				const struct recall_request *request,
				time_t *expires_r);

/* Makes the recall stand for these users (NULL: everyone). join: only if it
   stands still, for others. Returns 1 if it stands for them, 0 if it was to
   join and was ended, -1 on errors. */
int recall_standing_begin(const struct recall_standing_settings *set,
			  const struct recall_request *request,
			  const char *const *users, time_t expires, bool join,
			  const char **error_r);

/* Ends the order here, and on the nodes that have it from here. Returns 1 if it
   stood, 0 if there was none, -1 if it may stand somewhere still: then this is
   to be called again. */
int recall_standing_end_all(const struct doveadm_cmd_context *cctx,
			    const char *dir, const char *recall_id,
			    const char **error_r);

/* Recalls what has come for these users, who live here, before the order was
   for them. Prints nothing. */
void recall_standing_look(struct doveadm_cmd_context *cctx,
			  struct recall_rows *rows,
			  const struct recall_standing_settings *set,
			  const char *recall_id, const char *const *users);

#endif
