#include "lib.h"
#include "array.h"
#include "guid.h"
#include "smtp-address.h"
#include "unichar.h"
#include "mail-user.h"
#include "mail-search.h"
#include "doveadm.h"
#include "doveadm-recall-params.h"
#include "doveadm-recall-rows.h"
#include "recall-id.h"
#include "recall-limits.h"
#include "recall-params.h"
#include "recall-text.h"
#include "recall-utf8.h"
#include "recall-query.h"
#include "doveadm-recall-request.h"

static bool text_is_clean(const char *text)
{
	return uni_utf8_str_is_valid(text) && !recall_text_has_control(text);
}

static int
request_get_text(const struct doveadm_cmd_context *cctx, const char *name,
		 size_t max_len, const char **value_r, const char **error_r)
{
	*value_r = "";
	if (!doveadm_cmd_param_str(cctx, name, value_r))
		return 0;
	if (!text_is_clean(*value_r)) {
		*error_r = t_strdup_printf(
			"%s has control characters or is not UTF-8",
			recall_cmd_param_title(cctx, name));
		return -1;
	}
	if (strlen(*value_r) > max_len) {
		*error_r = t_strdup_printf("%s is longer than %zu octets",
			recall_cmd_param_title(cctx, name), max_len);
		return -1;
	}
	return 0;
}

static bool address_is_valid(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL && at != address && at[1] != '\0' &&
		strlen(address) <= RECALL_ADDRESS_MAX &&
		strpbrk(address, " <>,") == NULL && text_is_clean(address);
}

/* Either an id or a query. At the shell the word "query" precedes the query,
   which makes it the value of the id's parameter. */
static int
request_get_criteria(const struct doveadm_cmd_context *cctx,
		     struct recall_request *request, const char **error_r)
{
	static const char *const no_words[] = { NULL };
	enum recall_message_id_error id_error;
	const char *value = NULL, *const *words = NULL;

	(void)doveadm_cmd_param_str(cctx, RECALL_PARAM_MESSAGE_ID, &value);
	(void)doveadm_cmd_param_array(cctx, RECALL_PARAM_QUERY, &words);
	if (value != NULL && strcmp(value, RECALL_PARAM_QUERY) == 0) {
		value = NULL;
		if (words == NULL)
			words = no_words;
	}
	if (value != NULL && words != NULL) {
		*error_r = cctx->conn_type == DOVEADM_CONNECTION_TYPE_HTTP ?
			"There is both a Message-ID and a search query" :
			t_strdup_printf("A search query comes after the word "
				RECALL_PARAM_QUERY": "RECALL_PARAM_QUERY
				" %s %s", value, t_strarray_join(words, " "));
		return -1;
	}
	if (words != NULL) {
		request->query_words = words;
		request->order.query = t_strarray_join(words, " ");
		return recall_query_parse(words,
			&request->order.criteria.search_args, error_r);
	}
	if (value == NULL) {
		*error_r = "The Message-ID is missing";
		return -1;
	}
	id_error = recall_message_id_parse(value, strlen(value),
					   &request->message_id);
	if (id_error != RECALL_MESSAGE_ID_OK) {
		*error_r = t_strdup_printf("The Message-ID %s",
			recall_message_id_strerror(id_error));
		return -1;
	}
	request->order.criteria.message_id = &request->message_id;
	request->order.message_id = request->message_id.data;
	return 0;
}

/* A query is Dovecot's to answer. */
static int request_check_verify(const struct recall_criteria *criteria,
				const char **error_r)
{
	if (criteria->search_args == NULL || !criteria->verify_headers)
		return 0;
	*error_r = "--"RECALL_PARAM_VERIFY_HEADERS" goes with a Message-ID";
	return -1;
}

static int
request_get_senders(const struct doveadm_cmd_context *cctx,
		    struct recall_request *request, const char **error_r)
{
	const char *const *sender;

	if (!doveadm_cmd_param_array(cctx, RECALL_PARAM_SENDER, &sender))
		return 0;
	/* an empty list must not mean everyone */
	if (*sender == NULL) {
		*error_r = t_strdup_printf("%s is empty",
			recall_cmd_param_title(cctx, RECALL_PARAM_SENDER));
		return -1;
	}
	request->order.criteria.senders = sender;
	for (; *sender != NULL; sender++) {
		if (!address_is_valid(*sender)) {
			*error_r = t_strdup_printf("%s is not a mail address",
				recall_cmd_param_title(cctx,
						       RECALL_PARAM_SENDER));
			return -1;
		}
	}
	return 0;
}

static int
request_get_recall_id(const struct doveadm_cmd_context *cctx,
		      struct recall_request *request, const char **error_r)
{
	guid_128_t guid;

	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_RECALL_ID,
				   &request->order.recall_id)) {
		guid_128_generate(guid);
		request->order.recall_id = guid_128_to_string(guid);
		return 0;
	}
	if (!recall_id_is_valid(request->order.recall_id)) {
		*error_r = t_strdup_printf(
			"%s is not 32 lower case hexadecimal digits",
			recall_cmd_param_title(cctx, RECALL_PARAM_RECALL_ID));
		return -1;
	}
	request->order.may_be_retry = TRUE;
	return 0;
}

static int
request_get_tenant(const struct doveadm_cmd_context *cctx,
		   struct recall_request *request, const char **error_r)
{
	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_TENANT,
				   &request->order.tenant))
		return 0;
	if (*request->order.tenant == '\0') {
		*error_r = "--"RECALL_PARAM_TENANT" is empty";
		return -1;
	}
	return 0;
}

/* Goes to a mail server as it is, so it must be one in ASCII. */
static int
request_get_report_to(const struct doveadm_cmd_context *cctx,
		      struct recall_request *request, const char **error_r)
{
	if (!doveadm_cmd_param_str(cctx, RECALL_PARAM_REPORT_TO,
				   &request->report_to))
		return 0;
	if (!address_is_valid(request->report_to) ||
	    !recall_is_ascii(request->report_to) ||
	    smtp_address_parse_mailbox(pool_datastack_create(),
				       request->report_to, 0, NULL, NULL) < 0) {
		*error_r = "--"RECALL_PARAM_REPORT_TO" is not a mail address";
		return -1;
	}
	return 0;
}

/* What every command has, whether it looks for a message or not. */
static int
request_get_common(const struct doveadm_cmd_context *cctx,
		   struct recall_request *request, const char **error_r)
{
	if (request_get_tenant(cctx, request, error_r) < 0 ||
	    request_get_text(cctx, RECALL_PARAM_REASON, RECALL_REASON_MAX,
			     &request->order.reason, error_r) < 0 ||
	    request_get_text(cctx, RECALL_PARAM_ACTOR, RECALL_ADDRESS_MAX,
			     &request->order.actor, error_r) < 0 ||
	    request_get_text(cctx, RECALL_PARAM_APPROVER, RECALL_ADDRESS_MAX,
			     &request->order.approver, error_r) < 0 ||
	    request_get_report_to(cctx, request, error_r) < 0 ||
	    request_get_recall_id(cctx, request, error_r) < 0)
		return -1;
	/* at the shell the rows are on the terminal already */
	request->order.quiet = !doveadm_server && !doveadm_verbose;
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_HITS,
				     &request->order.hits);
	return 0;
}

static int request_refuse(const struct doveadm_cmd_context *cctx,
			  struct recall_request *request, const char *error)
{
	recall_cmd_error(cctx, EX_USAGE, "%s", error);
	recall_request_deinit(request);
	return -1;
}

int recall_request_parse(const struct doveadm_cmd_context *cctx,
			 struct recall_request *request_r)
{
	struct recall_criteria *criteria = &request_r->order.criteria;
	const char *error;
	bool no_notify;

	i_zero(request_r);
	if (recall_cmd_params_check(cctx) < 0 ||
	    recall_cmd_param_flag(cctx, RECALL_PARAM_DRY_RUN,
				  RECALL_PARAM_DRY_RUN_HTTP,
				  &request_r->dry_run) < 0 ||
	    recall_cmd_param_flag(cctx, RECALL_PARAM_NO_NOTIFY,
				  RECALL_PARAM_NO_NOTIFY_HTTP,
				  &no_notify) < 0 ||
	    recall_cmd_param_flag(cctx, RECALL_PARAM_VERIFY_HEADERS,
				  RECALL_PARAM_VERIFY_HEADERS_HTTP,
				  &criteria->verify_headers) < 0)
		return -1;
	if (request_get_criteria(cctx, request_r, &error) < 0 ||
	    request_check_verify(criteria, &error) < 0 ||
	    request_get_senders(cctx, request_r, &error) < 0 ||
	    request_get_common(cctx, request_r, &error) < 0)
		return request_refuse(cctx, request_r, error);
	(void)doveadm_cmd_param_bool(cctx, RECALL_PARAM_FORCE,
				     &request_r->order.force);
	request_r->order.notify = !no_notify;
	return 0;
}

int recall_request_parse_id(const struct doveadm_cmd_context *cctx,
			    struct recall_request *request_r)
{
	const char *error;

	i_zero(request_r);
	if (recall_cmd_params_check(cctx) < 0)
		return -1;
	if (request_get_common(cctx, request_r, &error) < 0)
		return request_refuse(cctx, request_r, error);
	return 0;
}

void recall_request_deinit(struct recall_request *request)
{
	struct recall_criteria *criteria = &request->order.criteria;

	if (criteria->search_args != NULL)
		mail_search_args_unref(&criteria->search_args);
}

const char *recall_request_get_searched(const struct recall_request *request)
{
	const struct recall_criteria *criteria = &request->order.criteria;

	if (criteria->search_args != NULL)
		return "query";
	return criteria->verify_headers ? "headers" : "index";
}
