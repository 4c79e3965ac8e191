#include "alloc.h"
#include "curl-json.h"
#include "json-text.h"
#include "strbuf.h"

#define ANSWER_MAX (1024 * 1024)

static size_t add_answer(char *data, size_t size, size_t nmemb, void *context)
{
	struct strbuf *answer = context;

	if (answer->len + size * nmemb > ANSWER_MAX)
		return 0;
	strbuf_add(answer, data, size * nmemb);
	return size * nmemb;
}

json_t *curl_json_get(CURL *curl, const char *url, size_t flags,
		      char **error_r)
{
	struct strbuf answer = { NULL, 0, 0 };
	json_t *json = NULL;
	long status = 0;
	CURLcode ret;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, add_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	ret = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (ret != CURLE_OK)
		*error_r = x_asprintf("%s: %s", url, curl_easy_strerror(ret));
	else if (status != 200)
		*error_r = x_asprintf("%s: answered status %ld", url, status);
	else if ((json = try_json_from_text(answer.data != NULL ?
					    answer.data : "", answer.len,
					    flags, NULL)) == NULL)
		*error_r = x_asprintf("%s: answered no JSON", url);
	free_secret(answer.data);
	return json;
}
