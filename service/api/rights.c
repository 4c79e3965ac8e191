#include "recall-limits.h"
#include "brakes.h"
#include "rights.h"

json_t *rights_to_json(const struct http_request *request)
{
	const struct config *config = request->config;
	const struct identity *who = &request->identity;
	bool user = who->role == ROLE_USER;
	bool recall = !user || config->auth_revoke_email;
	int64_t users = brakes_users(config, who->role);

	return json_pack("{s:b, s:b, s:b, s:I, s:b, s:b, s:b, s:I, s:b}",
		"recall", recall,
		"force", recall && (!user || config->auth_force_revoke),
		/* a role with a limit of users may not */
		"everyone", !user && users == 0,
		/* 0: any number */
		"users", (json_int_t)users,
		"fetch_body", config_has_role(config->rights_fetch_body,
					      who->role),
		"export", config_has_role(config->rights_export, who->role),
		"stop", who->role == ROLE_SUPER,
		"max_stand", (json_int_t)(user ? config->recall_max_stand :
					  RECALL_STAND_MAX_SECS),
		"require_reason", config->recall_require_reason);
}
