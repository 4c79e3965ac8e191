#ifndef CONFIG_ETCD_H
#define CONFIG_ETCD_H

#include <jansson.h>
#include <stdbool.h>

#include "config.h"

/* Overlays the settings with the keys that etcd has. The endpoints are tried
   in turn. Returns false with the reason in error_r (the caller frees it) if
   none answers, or a value is not valid. */
bool config_etcd_overlay(struct config *config, char **error_r);

/* Takes what etcd answered for a key, which it calls name, over into the
   setting key. Returns false with the reason in error_r (the caller frees it)
   if that is not valid: then nothing has changed. */
bool config_etcd_take(struct config *config, const char *name,
		      const char *key, const json_t *answer, char **error_r);

#endif
