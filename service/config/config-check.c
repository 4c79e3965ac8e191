#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "config-check.h"

/* RFC 7518, 3.2: an HS256 key has at least as many bits as the hash. */
#define HS256_KEY_MIN 32

static void check_url(const char *what, const char *url, const char *scheme,
		      struct strbuf *errors)
{
	size_t len = strlen(scheme);
	const char *p = url;

	/* both "http://" and "https://" */
	if (strncmp(p, scheme, len) == 0) {
		p += len;
		if (*p == 's')
			p++;
		if (strncmp(p, "://", 3) == 0 && p[3] != '\0')
			return;
	}
	strbuf_addf(errors, "%s: '%s' is not a %s:// or %ss:// URL\n", what,
		    url, scheme, scheme);
}

static void check_urls(const char *what, const char *urls, struct strlist *list,
		       struct strbuf *errors)
{
	struct strlist words = { NULL, 0, 0 };
	size_t i;

	strlist_split(&words, urls);
	if (words.count == 0)
		strbuf_addf(errors, "%s: has no URL\n", what);
	for (i = 0; i < words.count; i++) {
		check_url(what, words.items[i], "http", errors);
		if (list != NULL)
			strlist_add(list, words.items[i]);
	}
	strlist_free(&words);
}

static bool read_into(const char *path, char **value, bool secret,
		      struct strbuf *errors)
{
	char *error = NULL, *text;

	text = secret ? read_secret_file(path, &error) :
			read_whole_file(path, &error);
	if (text == NULL) {
		strbuf_addf(errors, "%s\n", error);
		free(error);
		return false;
	}
	free_secret(*value);
	*value = text;
	return true;
}

static bool is_rsa_key(const char *pem, bool private)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key;
	bool ret;

	key = private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) :
			PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	ret = key != NULL && EVP_PKEY_base_id(key) == EVP_PKEY_RSA &&
	      EVP_PKEY_bits(key) >= 2048;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ret;
}

void config_read_secrets(struct config *config, struct strbuf *errors)
{
	if (*config->auth_jwt_key_file != '\0')
		(void)read_into(config->auth_jwt_key_file,
				&config->auth_jwt_key, true, errors);
	if (*config->auth_jwt_old_key_file != '\0')
		(void)read_into(config->auth_jwt_old_key_file,
				&config->auth_jwt_old_key, true, errors);
	if (*config->doveadm_login_file != '\0')
		(void)read_into(config->doveadm_login_file,
				&config->doveadm_login, true, errors);
}

static void check_jwt(struct config *config, struct strbuf *errors)
{
	if (strcmp(config->auth_jwt_algorithm, "HS256") == 0) {
		if (*config->auth_jwt_key == '\0')
			strbuf_addf(errors, "auth.jwt_key: is needed for "
				    "HS256\n");
		else if (strlen(config->auth_jwt_key) < HS256_KEY_MIN)
			strlist_add(&config->warnings, "auth.jwt_key: is "
				    "shorter than 32 octets, so it can be "
				    "guessed");
		return;
	}
	if (strcmp(config->auth_jwt_algorithm, "RS256") != 0) {
		strbuf_addf(errors, "auth.jwt_algorithm: '%s' is neither "
			    "HS256 nor RS256\n", config->auth_jwt_algorithm);
		return;
	}
	if (*config->auth_jwt_public_key_file == '\0') {
		strbuf_addf(errors, "auth.jwt_public_key_file: is needed for "
			    "RS256\n");
	} else if (read_into(config->auth_jwt_public_key_file,
			     &config->jwt_public_pem, false, errors) &&
		   !is_rsa_key(config->jwt_public_pem, false)) {
		strbuf_addf(errors, "auth.jwt_public_key_file: is not an RSA "
			    "public key of 2048 bits or more in PEM\n");
	}
	if (*config->auth_jwt_private_key_file != '\0' &&
	    read_into(config->auth_jwt_private_key_file,
		      &config->jwt_private_pem, false, errors) &&
	    !is_rsa_key(config->jwt_private_pem, true))
		strbuf_addf(errors, "auth.jwt_private_key_file: is not an RSA "
			    "private key of 2048 bits or more in PEM\n");
}

/* The key before this one, while tokens of it are still about. */
static void check_old_jwt_key(struct config *config, struct strbuf *errors)
{
	const char *id = config->auth_jwt_old_key_id;

	if (strcmp(config->auth_jwt_algorithm, "HS256") == 0) {
		if (*config->auth_jwt_old_key != '\0' &&
		    strlen(config->auth_jwt_old_key) < HS256_KEY_MIN)
			strbuf_addf(errors, "auth.jwt_old_key: is shorter than "
				    "32 octets\n");
	} else if (*config->auth_jwt_old_public_key_file != '\0' &&
		   read_into(config->auth_jwt_old_public_key_file,
			     &config->jwt_old_public_pem, false, errors) &&
		   !is_rsa_key(config->jwt_old_public_pem, false)) {
		strbuf_addf(errors, "auth.jwt_old_public_key_file: is not an "
			    "RSA public key of 2048 bits or more in PEM\n");
	}
	if (*id != '\0' && strcmp(id, config->auth_jwt_key_id) == 0)
		strbuf_addf(errors, "auth.jwt_old_key_id: is that of the key "
			    "in use\n");
}

static bool is_loopback(const char *address)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET, address, &in) == 1)
		return (ntohl(in.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, address, &in6) == 1 &&
	       IN6_IS_ADDR_LOOPBACK(&in6);
}

static void check_http(struct config *config, struct strbuf *errors)
{
	struct in_addr in;
	struct in6_addr in6;
	bool cert = *config->http_tls_cert_file != '\0';
	bool key = *config->http_tls_key_file != '\0';

	if (inet_pton(AF_INET, config->http_address, &in) != 1 &&
	    inet_pton(AF_INET6, config->http_address, &in6) != 1)
		strbuf_addf(errors, "http.address: '%s' is not an IP address\n",
			    config->http_address);
	else if (!cert && !is_loopback(config->http_address))
		strlist_add(&config->warnings, "http.address: passwords and "
			    "tokens travel in the clear without "
			    "http.tls_cert_file");
	if (cert != key) {
		strbuf_addf(errors, "http.tls_cert_file and http.tls_key_file "
			    "go together\n");
		return;
	}
	if (!cert)
		return;
	(void)read_into(config->http_tls_cert_file, &config->tls_cert_pem,
			false, errors);
	(void)read_into(config->http_tls_key_file, &config->tls_key_pem, false,
			errors);
}

void config_check(struct config *config, struct strbuf *errors)
{
	size_t i;

	check_http(config, errors);
	check_urls("doveadm.url", config->doveadm_url, &config->doveadm_urls,
		   errors);
	for (i = 0; i < config->nodes.count; i += 2)
		check_urls("nodes", config->nodes.items[i + 1], NULL, errors);
	if (*config->doveadm_login == '\0')
		strbuf_addf(errors, "doveadm.login: is needed\n");
	check_jwt(config, errors);
	check_old_jwt_key(config, errors);
	check_url("auth.imap_url", config->auth_imap_url, "imap", errors);
	if (strcmp(config->log_level, "info") != 0 &&
	    strcmp(config->log_level, "debug") != 0)
		strbuf_addf(errors, "log.level: '%s' is neither info nor "
			    "debug\n", config->log_level);
	if (*config->journal_path == '\0')
		strbuf_addf(errors, "journal.path: is needed\n");
	if (config->doveadm_connections_per_recall >
	    config->doveadm_connections)
		strlist_add(&config->warnings,
			    "doveadm.connections_per_recall: is more than "
			    "doveadm.connections");
}
