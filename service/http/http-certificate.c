#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gnutls/x509.h>

#include "alloc.h"
#include "http-certificate.h"
#include "log.h"

/* as GnuTLS allows where it reads a chain itself */
#define CHAIN_MAX 16

static struct certificate {
	/* A handshake under way may have it: all are kept until the end, some
	   KB each time that one is renewed. */
	struct certificate *older;
	char *pem;
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned int count;
	gnutls_privkey_t key;
	int64_t expires;
} *current;

static void certificate_free(struct certificate *cert)
{
	unsigned int i;

	for (i = 0; i < cert->count; i++)
		gnutls_pcert_deinit(&cert->chain[i]);
	if (cert->key != NULL)
		gnutls_privkey_deinit(cert->key);
	free(cert->pem);
	free(cert);
}

static gnutls_datum_t datum(char *text)
{
	return (gnutls_datum_t){ (unsigned char *)text, strlen(text) };
}

static int read_chain(struct certificate *cert, const gnutls_datum_t *pem)
{
	gnutls_x509_crt_t first;
	unsigned int count = CHAIN_MAX;
	int ret;

	ret = gnutls_pcert_list_import_x509_raw(cert->chain, &count, pem,
		GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT |
		GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (ret < 0)
		return ret;
	cert->count = count;
	ret = gnutls_pcert_export_x509(&cert->chain[0], &first);
	if (ret < 0)
		return ret;
	cert->expires = gnutls_x509_crt_get_expiration_time(first);
	gnutls_x509_crt_deinit(first);
	return 0;
}

static int read_key(struct certificate *cert, const gnutls_datum_t *pem)
{
	int ret = gnutls_privkey_init(&cert->key);

	return ret < 0 ? ret :
		gnutls_privkey_import_x509_raw(cert->key, pem,
					       GNUTLS_X509_FMT_PEM, NULL, 0);
}

bool http_certificate_set(const struct config *config, char **error_r)
{
	gnutls_datum_t pem = datum(config->tls_cert_pem);
	gnutls_datum_t key = datum(config->tls_key_pem);
	struct certificate *cert;
	int ret;

	if (current != NULL && strcmp(current->pem, config->tls_cert_pem) == 0)
		return true;
	cert = x_calloc(1, sizeof(*cert));
	ret = read_chain(cert, &pem);
	if (ret >= 0)
		ret = read_key(cert, &key);
	if (ret < 0) {
		*error_r = x_asprintf("http.tls_cert_file, http.tls_key_file: "
				      "%s", gnutls_strerror(ret));
		certificate_free(cert);
		return false;
	}
	cert->pem = x_strdup(config->tls_cert_pem);
	cert->older = current;
	if (current != NULL)
		log_info("http.tls_cert_file: clients are shown the new "
			 "certificate");
	__atomic_store_n(&current, cert, __ATOMIC_RELEASE);
	return true;
}

int64_t http_certificate_expires(void)
{
	const struct certificate *cert;

	cert = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
	return cert == NULL ? 0 : cert->expires;
}

void http_certificate_free(void)
{
	struct certificate *cert;

	while ((cert = current) != NULL) {
		current = cert->older;
		certificate_free(cert);
	}
}

int http_certificate_retrieve(gnutls_session_t session,
			      const struct gnutls_cert_retr_st *info,
			      gnutls_pcert_st **chain, unsigned int *count,
			      gnutls_ocsp_data_st **ocsp,
			      unsigned int *ocsp_count, gnutls_privkey_t *key,
			      unsigned int *flags)
{
	struct certificate *cert = __atomic_load_n(&current, __ATOMIC_ACQUIRE);

	(void)session;
	(void)info;
	*chain = cert->chain;
	*count = cert->count;
	*ocsp = NULL;
	*ocsp_count = 0;
	*key = cert->key;
	/* they stay ours */
	*flags = 0;
	return 0;
}
