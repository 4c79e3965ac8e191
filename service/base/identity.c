#include <stdlib.h>
#include <string.h>

#include "identity.h"

void identity_clear(struct identity *identity)
{
	free(identity->login);
	free(identity->tenant);
	free(identity->lang);
	free(identity->jti);
	free(identity->session);
	memset(identity, 0, sizeof(*identity));
}
