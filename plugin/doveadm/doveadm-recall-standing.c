#include "lib.h"
#include "dovecot-compat.h"
#include "array.h"
#include "mail-search.h"
#include "mail-user.h"
#include "doveadm.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "doveadm-recall-request.h"
#include "doveadm-recall-standing.h"
#include "doveadm-recall-users.h"
#include "recall-copies.h"
#include "recall-late.h"
#include "recall-order.h"
#include "recall-params.h"
#include "recall-query.h"
#include "recall-settings.h"
#include "recall-standing.h"

#include <time.h>

static int
standing_read(const struct doveadm_cmd_context *cctx ATTR_UNUSED,
	      struct mail_storage_service_ctx *service, pool_t pool,
	      struct recall_standing_settings *set_r, const char **error_r)
{
	struct recall_service_settings set;

	if (recall_settings_get_service(service, recall_cmd_get_event(cctx),
					pool, FALSE, &set, error_r) < 0)
		return -1;
	set_r->dir = p_strdup(pool, set.recall->recall_standing_dir);
	return recall_settings_parse_standing_max(
			set.recall->recall_standing_max, &set_r->max,
			error_r) < 0 ||
		recall_settings_parse_stand(set.recall->recall_stand,
					    &set_r->secs, error_r) < 0 ? -1 : 0;
}

int recall_standing_get_settings(const struct doveadm_cmd_context *cctx,
				 struct mail_storage_service_ctx *_service,
				 pool_t pool,
				 struct recall_standing_settings *set_r)
{
	struct mail_storage_service_ctx *service = _service;
	const char *error;
	int ret;

	if (service == NULL) {
		service = recall_settings_init_service(
			cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI ?
			MAIL_STORAGE_SERVICE_FLAG_NO_LOG_INIT : 0);
	}
	ret = standing_read(cctx, service, pool, set_r, &error);
	if (ret < 0)
		recall_cmd_error(cctx, EX_CONFIG, "%s", error);
	if (_service == NULL)
		mail_storage_service_deinit(&service);
	return ret;
}

int recall_standing_get_expires(const struct doveadm_cmd_context *cctx,
				const struct recall_standing_settings *set,
				const struct recall_request *request,
				time_t *expires_r)
{
	unsigned int secs = set->secs;
	const char *value, *error = NULL;
	bool given = doveadm_cmd_param_str(cctx, RECALL_PARAM_STAND, &value);

	*expires_r = 0;
	if (given &&
	    recall_settings_parse_stand(value, &secs, &error) < 0) {
		recall_cmd_error(cctx, EX_USAGE, "%s: %s",
			recall_cmd_param_title(cctx, RECALL_PARAM_STAND),
			error);
		return -1;
	}
	if (secs > 0 && request->query_words != NULL &&
	    !recall_query_is_of_headers(request->order.criteria.search_args)) {
		/* the setting is for what can stand */
		if (!given)
			return 0;
		recall_cmd_error(cctx, EX_USAGE,
			"What arrives can't be judged by this search query: a "
			"recall that stands takes FROM, TO, CC, BCC, SUBJECT "
			"and HEADER, with AND, OR and NOT");
		return -1;
	}
	if (secs > 0 && !request->dry_run)
		*expires_r = time(NULL) + secs;
	return 0;
}

/* As the recall was asked for: what is no address needs its brackets. */
static const char *get_message_id(const struct recall_request *request)
{
	const char *text = request->order.message_id;
	struct recall_message_id id;

	if (text == NULL ||
	    (recall_message_id_parse(text, strlen(text), &id) ==
	     RECALL_MESSAGE_ID_OK && strcmp(id.data, text) == 0))
		return text;
	return t_strconcat("<", text, ">", NULL);
}

int recall_standing_begin(const struct recall_standing_settings *set,
			  const struct recall_request *request,
			  const char *const *users, time_t expires, bool join,
			  const char **error_r)
{
	const struct recall_standing_order order = {
		.recall_id = request->order.recall_id,
		.message_id = get_message_id(request),
		.query = request->query_words,
		.senders = request->order.criteria.senders,
		.users = users,
		.tenant = request->order.tenant,
		.reason = request->order.reason,
		.actor = request->order.actor,
		.force = request->order.force,
		.notify = request->order.notify,
		.created = time(NULL),
		.expires = expires,
	};
	const char *error;
	int ret;

	ret = join ? recall_standing_join(set->dir, &order, &error) :
		recall_standing_add(set->dir, &order, set->max, &error);
	if (ret == 0 && !join) {
		*error_r = t_strdup_printf("There are %u standing orders "
			"already (recall_standing_max)", set->max);
		return -1;
	}
	if (ret < 0) {
		*error_r = t_strdup_printf("The recall can't stand: %s",
					   error);
	}
	return ret;
}

/* What came before the order was for them */

struct standing_look {
	struct recall_rows *rows;
	struct recall_standing_order order;
};

static void
standing_look_run(void *context, struct mail_user *user,
		  const char *username ATTR_UNUSED)
{
	struct standing_look *look = context;
	struct recall_outcome outcome;
	struct recall_copies copies;

	if (!recall_late(user, &look->order, FALSE, &copies, &outcome))
		return;
	/* which is logged */
	if (outcome.verdict == RECALL_VERDICT_ERROR)
		recall_rows_set_exit_code(look->rows, EX_TEMPFAIL);
	recall_copies_free(&copies);
}

static void
standing_look_unseen(void *context, const char *username,
		     enum recall_verdict verdict, const char *error)
{
	struct standing_look *look = context;

	/* whoever does not exist gets no mail */
	if (verdict == RECALL_VERDICT_NO_USER)
		return;
	recall_rows_error(look->rows, EX_TEMPFAIL, "%s: %s", username, error);
}

static const struct recall_users_callbacks standing_look_callbacks = {
	.run = standing_look_run,
	.unseen = standing_look_unseen,
};

void recall_standing_look(struct doveadm_cmd_context *cctx,
			  struct recall_rows *rows,
			  const struct recall_standing_settings *set,
			  const char *recall_id, const char *const *users)
{
	struct standing_look look = { .rows = rows };
	pool_t pool = pool_alloconly_create("standing order", 2048);
	const char *error;
	int ret;

	ret = recall_standing_read(set->dir, recall_id, pool, &look.order,
				   &error);
	if (ret < 0) {
		recall_rows_error(rows, EX_TEMPFAIL, "%s", error);
	} else if (ret > 0) {
		recall_users_run_local(cctx, rows, users,
				       &standing_look_callbacks, &look);
	}
	pool_unref(&pool);
}
