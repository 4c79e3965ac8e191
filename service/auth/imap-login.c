#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "alloc.h"
#include "curl-ca.h"
#include "encode.h"
#include "imap-login.h"
#include "log.h"

/* What the server said to a command. */
struct reply {
	bool no, unavailable;
	/* the last line */
	char text[256];
};

static size_t discard(char *data, size_t size, size_t nmemb, void *context)
{
	(void)data;
	(void)context;
	return size * nmemb;
}

static bool has_text(const char *data, size_t len, const char *text)
{
	return data != NULL && memmem(data, len, text, strlen(text)) != NULL;
}

/* RFC 5530: it does not know, as when the password database is down; takes no
   password over this connection; or has too many of the user's already, which
   Dovecot says of those alone whose password is right. */
static bool says_nothing_of_password(const char *data, size_t len)
{
	static const char *const codes[] = {
		" NO [UNAVAILABLE]", " NO [PRIVACYREQUIRED]", " NO [LIMIT]",
		" NO [INUSE]", " NO [SERVERBUG]"
	};
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (has_text(data, len, codes[i]))
			return true;
	}
	return false;
}

static size_t len_of_line(const char *data, size_t len)
{
	const char *end = memchr(data, '\r', len);

	return end == NULL ? len : (size_t)(end - data);
}

/* Each line of the server's. */
static size_t look(char *data, size_t size, size_t nmemb, void *context)
{
	struct reply *reply = context;
	size_t len = size * nmemb;

	if (len > 0 && *data != '*' && has_text(data, len, " NO ")) {
		reply->no = true;
		reply->unavailable = says_nothing_of_password(data, len);
		snprintf(reply->text, sizeof(reply->text), "%.*s",
			 (int)len_of_line(data, len), data);
	}
	return len;
}

static CURLcode command(CURL *curl, const char *text, struct reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, text);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
	return curl_easy_perform(curl);
}

/* RFC 2971, with the fields that Dovecot's proxies send. It takes them from
   login_trusted_networks only, and says OK to anyone else, too. */
static CURLcode tell_address(CURL *curl, const char *address,
			     struct reply *reply)
{
	char *text = x_asprintf("ID (\"name\" \"mail-recalld\" "
				"\"x-originating-ip\" \"%s\")", address);
	CURLcode ret = command(curl, text, reply);

	free(text);
	/* what a server has no use for does no harm */
	return ret == CURLE_QUOTE_ERROR ? CURLE_OK : ret;
}

/* AUTHENTICATE takes any octets, other than what libcurl makes of a login. */
static CURLcode authenticate(CURL *curl, const char *login,
			     const char *password, struct reply *reply)
{
	size_t login_len = strlen(login), len = strlen(password);
	char *plain, *encoded, *text;
	CURLcode ret;

	/* RFC 4616 */
	plain = x_calloc(login_len + len + 2, 1);
	memcpy(plain + 1, login, login_len);
	memcpy(plain + login_len + 2, password, len);
	len += login_len + 2;
	encoded = base64_encode(plain, len);
	OPENSSL_cleanse(plain, len);
	free(plain);
	text = x_asprintf("AUTHENTICATE PLAIN %s", encoded);
	ret = command(curl, text, reply);
	free_secret(text);
	free_secret(encoded);
	return ret;
}

enum imap_login_result
imap_login_check(const struct config *config, const char *login,
		 const char *password, const char *address)
{
	char error[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	struct reply reply;
	CURLcode ret;

	curl_easy_setopt(curl, CURLOPT_URL, config->auth_imap_url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "imap,imaps");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT,
			 (long)config->auth_imap_timeout);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, look);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	if (config->auth_imap_starttls)
		curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	curl_set_ca(curl, config->auth_imap_ca_file);
	ret = *address == '\0' ? CURLE_OK :
		tell_address(curl, address, &reply);
	if (ret == CURLE_OK)
		ret = authenticate(curl, login, password, &reply);
	curl_easy_cleanup(curl);
	if (ret == CURLE_OK)
		return IMAP_LOGIN_OK;
	if (ret == CURLE_QUOTE_ERROR && reply.no && !reply.unavailable)
		return IMAP_LOGIN_DENIED;
	log_error("login of %s: %s: %s", login, config->auth_imap_url,
		  reply.unavailable ? reply.text : *error != '\0' ? error :
		  curl_easy_strerror(ret));
	return IMAP_LOGIN_FAILED;
}
