#include <string.h>

#include <curl/curl.h>

#include "imap-login.h"
#include "log.h"

static size_t discard(char *data, size_t size, size_t nmemb, void *context)
{
	(void)data;
	(void)context;
	return size * nmemb;
}

/* libcurl takes any NO for a wrong password. Dovecot says with this code that it
   does not know (RFC 5530): its password database may be down. */
static size_t look(char *data, size_t size, size_t nmemb, void *context)
{
	static const char code[] = " NO [UNAVAILABLE]";
	bool *unavailable = context;

	if (memmem(data, size * nmemb, code, sizeof(code) - 1) != NULL)
		*unavailable = true;
	return size * nmemb;
}

enum imap_login_result
imap_login_check(const struct config *config, const char *login,
		 const char *password)
{
	char error[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	bool unavailable = false;
	CURLcode ret;

	curl_easy_setopt(curl, CURLOPT_URL, config->auth_imap_url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "NOOP");
	curl_easy_setopt(curl, CURLOPT_USERNAME, login);
	curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "imap,imaps");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT,
			 (long)config->auth_imap_timeout);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, look);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &unavailable);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	if (config->auth_imap_starttls)
		curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	if (*config->auth_imap_ca_file != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO,
				 config->auth_imap_ca_file);
	ret = curl_easy_perform(curl);
	curl_easy_cleanup(curl);
	if (ret == CURLE_OK)
		return IMAP_LOGIN_OK;
	if (ret == CURLE_LOGIN_DENIED && !unavailable)
		return IMAP_LOGIN_DENIED;
	log_error("login of %s: %s: %s", login, config->auth_imap_url,
		  unavailable ? "temporary authentication failure" :
		  *error != '\0' ? error : curl_easy_strerror(ret));
	return IMAP_LOGIN_FAILED;
}
