#include <stdlib.h>
#include <string.h>

#include <gnutls/x509.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "alloc.h"
#include "config-certs.h"
#include "file.h"
#include "strlist.h"

static EVP_PKEY *read_key(const char *pem, bool private)
{
	/* without this one OpenSSL would ask at the terminal */
	char passphrase[] = "";
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = private ?
		PEM_read_bio_PrivateKey(bio, NULL, NULL, passphrase) :
		PEM_read_bio_PUBKEY(bio, NULL, NULL, passphrase);

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

bool config_is_rsa_key(const char *pem, bool private)
{
	EVP_PKEY *key = read_key(pem, private);
	bool ret;

	ret = key != NULL && EVP_PKEY_base_id(key) == EVP_PKEY_RSA &&
	      EVP_PKEY_bits(key) >= 2048;
	EVP_PKEY_free(key);
	return ret;
}

bool config_is_rsa_pair(const char *public_pem, const char *private_pem)
{
	EVP_PKEY *public = read_key(public_pem, false);
	EVP_PKEY *private = read_key(private_pem, true);
	bool ret;

	ret = public != NULL && private != NULL &&
	      EVP_PKEY_eq(public, private) == 1;
	EVP_PKEY_free(public);
	EVP_PKEY_free(private);
	ERR_clear_error();
	return ret;
}

/* The first certificate of the text, or NULL. */
static X509 *read_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	ERR_clear_error();
	return cert;
}

void config_check_ca(const char *what, const char *path, struct strbuf *errors)
{
	char *error = NULL, *pem;
	X509 *cert;

	if (*path == '\0')
		return;
	pem = read_whole_file(path, &error);
	if (pem == NULL) {
		strbuf_addf(errors, "%s: %s\n", what, error);
		free(error);
		return;
	}
	cert = read_cert(pem);
	if (cert == NULL)
		strbuf_addf(errors, "%s: %s has no certificate in PEM\n", what,
			    path);
	X509_free(cert);
	free(pem);
}

/* Whether GnuTLS, which the listener uses, takes them: it looks at the whole
   chain. Returns NULL or why not. */
static const char *tls_error(char *cert, char *key)
{
	gnutls_datum_t cert_pem = { (unsigned char *)cert, strlen(cert) };
	gnutls_datum_t key_pem = { (unsigned char *)key, strlen(key) };
	gnutls_certificate_credentials_t cred;
	int ret = gnutls_certificate_allocate_credentials(&cred);

	if (ret >= 0) {
		ret = gnutls_certificate_set_x509_key_mem(cred, &cert_pem,
			&key_pem, GNUTLS_X509_FMT_PEM);
		gnutls_certificate_free_credentials(cred);
	}
	return ret < 0 ? gnutls_strerror(ret) : NULL;
}

void config_check_tls(struct config *config, struct strbuf *errors)
{
	X509 *cert = read_cert(config->tls_cert_pem);
	EVP_PKEY *key = read_key(config->tls_key_pem, true);
	const char *error;

	if (cert == NULL)
		strbuf_addf(errors, "http.tls_cert_file: has no certificate "
			    "in PEM\n");
	if (key == NULL)
		strbuf_addf(errors, "http.tls_key_file: has no private key in "
			    "PEM, or one that wants a passphrase\n");
	if (cert != NULL && key != NULL) {
		if (X509_check_private_key(cert, key) != 1)
			strbuf_addf(errors, "http.tls_key_file: is not the key "
				    "of the first certificate in "
				    "http.tls_cert_file\n");
		else if ((error = tls_error(config->tls_cert_pem,
					    config->tls_key_pem)) != NULL)
			strbuf_addf(errors, "http.tls_cert_file, "
				    "http.tls_key_file: %s\n", error);
		else if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
			strlist_add(&config->warnings, "http.tls_cert_file: "
				    "the certificate has expired");
		ERR_clear_error();
	}
	X509_free(cert);
	EVP_PKEY_free(key);
}
