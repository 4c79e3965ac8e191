#include "curl-ca.h"

void curl_set_ca(CURL *curl, const char *path)
{
	if (*path == '\0')
		return;
	curl_easy_setopt(curl, CURLOPT_CAINFO, path);
	/* the system's are believed beside it otherwise */
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	/* another file under the same name would be one in a day */
	curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}
