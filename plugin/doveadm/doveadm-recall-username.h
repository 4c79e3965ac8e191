#ifndef RECALL_USERNAME_H
#define RECALL_USERNAME_H

bool recall_username_is_mask(const char *username);
/* NULL if the name is one user's and may be looked up, why not otherwise. */
const char *recall_username_get_error(const char *username);

#endif
