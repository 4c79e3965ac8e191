#ifndef ROLES_H
#define ROLES_H

#include "http-request.h"

/* What the columns of the route table say of an administrator of a tenant and
   of a user. Parameters are known by name only: a value that is not valid
   counts as the one that may not be asked, and that one is required but not
   there is for the handler to say. */

/* All that the route is for. */
http_may_func may_anything;
/* Mail that one has sent oneself, by its Message-ID, as far as the settings
   let users do that. */
http_may_func may_recall_own;
/* Users who are named, or those of the recall. */
http_may_func may_search_named;
/* The same, or everyone of the administrator's tenant. */
http_may_func may_own_tenant;
/* Nobody's mail but one's own. */
http_may_func may_search_own;
/* The same, for fetching: no more than headers without the right to it. */
http_may_func may_fetch_named;
http_may_func may_fetch_own;
/* Roles with the right to it. */
http_may_func may_export;
/* One's own mailboxes, which are those of the path. */
http_may_func may_share_own;
/* One's own tokens. */
http_may_func may_revoke_own;

#endif
