#include <string.h>

#include <openssl/crypto.h>

#include "recall-tenant-name.h"
#include "recall-text.h"
#include "address.h"
#include "alloc.h"
#include "jwt.h"
#include "oidc-claims.h"
#include "strlist.h"

bool oidc_is_issuer(const struct config *config, const json_t *json,
		    const char *name)
{
	const char *issuer = json_string_value(json_object_get(json, name));

	return issuer != NULL && strcmp(issuer, config->oidc_issuer) == 0;
}

/* Whether a claim, a string or a list of strings, has one of the words. */
static bool claim_has(const json_t *claim, const char *words)
{
	struct strlist list = { NULL, 0, 0 };
	bool found = false;
	size_t i;

	strlist_split(&list, words);
	for (i = 0; i < list.count && !found; i++)
		found = jwt_is_for(claim, list.items[i]);
	strlist_free(&list);
	return found;
}

/* The most powerful of those that the claim has. */
static enum role role_of(const struct config *config, const json_t *claims)
{
	const json_t *claim = json_object_get(claims, config->oidc_role_claim);

	if (claim_has(claim, config->oidc_role_super))
		return ROLE_SUPER;
	if (claim_has(claim, config->oidc_role_admin))
		return ROLE_ADMIN;
	if (claim_has(claim, config->oidc_role_user))
		return ROLE_USER;
	return ROLE_NONE;
}

/* Who it is, by the claims that the settings name. Returns why nobody is, or
   NULL. */
static const char *
read_identity(const struct config *config, const json_t *claims,
	      struct identity *identity_r)
{
	const char *login = json_string_value(
		json_object_get(claims, config->oidc_login_claim));
	const char *tenant = *config->oidc_tenant_claim == '\0' ? NULL :
		json_string_value(json_object_get(claims,
						  config->oidc_tenant_claim));

	if (login == NULL || address_check(login) != NULL)
		return "names no login";
	/* anybody may have typed it */
	if (strcmp(config->oidc_login_claim, "email") == 0 &&
	    !json_is_true(json_object_get(claims, "email_verified")))
		return "has an address that the provider has not verified";
	if (*config->oidc_role_claim != '\0') {
		identity_r->role = role_of(config, claims);
		if (identity_r->role == ROLE_NONE)
			return "has no role here";
		if (*config->oidc_tenant_claim != '\0' &&
		    (tenant == NULL || *tenant == '\0' ||
		     recall_text_has_control(tenant)))
			return "names no tenant";
	}
	identity_r->login = x_strdup(login);
	identity_r->tenant = x_strdup(recall_tenant_name(tenant));
	return NULL;
}

/* OpenID Connect Core 1.0, 3.1.3.7 */
static const char *
check_claims(const struct config *config, const json_t *claims,
	     const char *nonce, int64_t now)
{
	const json_t *audience = json_object_get(claims, "aud");
	const char *azp = json_string_value(json_object_get(claims, "azp"));
	const char *asked = json_string_value(json_object_get(claims,
							      "nonce"));
	int64_t exp, iat, nbf;

	if (!oidc_is_issuer(config, claims, "iss"))
		return "is of another issuer (iss)";
	if (!jwt_is_for(audience, config->oidc_client_id))
		return "is for somebody else (aud)";
	if ((json_array_size(audience) > 1 && azp == NULL) ||
	    (azp != NULL && strcmp(azp, config->oidc_client_id) != 0))
		return "was given to somebody else (azp)";
	if (!jwt_get_time(claims, "exp", -1, &exp) ||
	    !jwt_get_time(claims, "iat", -1, &iat) ||
	    !jwt_get_time(claims, "nbf", 0, &nbf) || exp < 0 || iat < 0)
		return "has no valid exp, iat or nbf";
	if (exp + config->auth_clock_skew <= now)
		return "is expired";
	if (iat > now + config->auth_clock_skew ||
	    nbf > now + config->auth_clock_skew)
		return "is not valid yet";
	if (asked == NULL || strlen(asked) != strlen(nonce) ||
	    CRYPTO_memcmp(asked, nonce, strlen(nonce)) != 0)
		return "is of another sign-in (nonce)";
	return NULL;
}

const char *
oidc_claims_read(const struct config *config, const json_t *claims,
		 const char *nonce, int64_t now, struct identity *identity_r)
{
	const char *why = check_claims(config, claims, nonce, now);

	return why != NULL ? why : read_identity(config, claims, identity_r);
}
