#ifndef CURL_JSON_H
#define CURL_JSON_H

#include <curl/curl.h>
#include <jansson.h>

/* Asks the URL, with what else has been set for the handle, for JSON of 1 MiB
   at most; flags are jansson's for the parser. Returns NULL with the reason in
   error_r (the caller frees it) if there is no answer, or its status is not
   200. */
json_t *curl_json_get(CURL *curl, const char *url, size_t flags,
		      char **error_r);

#endif
