#ifndef DOVEADM_NODES_H
#define DOVEADM_NODES_H

#include "doveadm-client.h"

/* Adds the URL of each doveadm server of the settings, whether one stands in
   for another or not. */
void doveadm_nodes_urls(const struct config *config, struct strlist *urls);

/* A call of the command to each of them. The caller sets their params. */
struct doveadm_call *doveadm_nodes_calls(struct config *config,
					 const char *command, size_t *count_r);
/* Returns when all have answered, or have been given up. */
void doveadm_nodes_run(struct doveadm_call *calls, size_t count);
void doveadm_nodes_free(struct doveadm_call *calls, size_t count);

#endif
