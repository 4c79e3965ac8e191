#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "http-head.h"

/* RFC 9110, 5.6.2: what a header's name is made of */
#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789" \
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Lines of headers that may be there once. */
struct head {
	unsigned int hosts, lengths, codings;
	/* a coding that is not read */
	bool unknown;
	/* a name that others may read as another one: "Content-Length : 5" */
	bool strange;
};

/* Whether the name is longer than that of a header that says where the body
   ends. Of "Content-Length:", continued on the next line by " 5",
   libmicrohttpd 0.9 makes "Content-Length5". */
static bool is_continued(const char *name)
{
	static const char *const names[] = {
		"Content-Length", "Transfer-Encoding"
	};
	size_t i, len;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i]);
		if (strncasecmp(name, names[i], len) == 0 && name[len] != '\0')
			return true;
	}
	return false;
}

static enum MHD_Result
look(void *context, enum MHD_ValueKind kind, const char *name,
     const char *value)
{
	struct head *head = context;

	(void)kind;
	if (name[strspn(name, TOKEN_CHARS)] != '\0' || *name == '\0' ||
	    is_continued(name)) {
		head->strange = true;
	} else if (strcasecmp(name, "Host") == 0) {
		head->hosts++;
	} else if (strcasecmp(name, "Content-Length") == 0) {
		head->lengths++;
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		head->codings++;
		head->unknown = head->unknown || value == NULL ||
			strcasecmp(value, "chunked") != 0;
	}
	return MHD_YES;
}

const char *http_head_check(struct MHD_Connection *connection,
			    const char *version, unsigned int *status_r)
{
	struct head head;

	memset(&head, 0, sizeof(head));
	MHD_get_connection_values(connection, MHD_HEADER_KIND, look, &head);
	*status_r = 400;
	if (head.strange)
		return "A header's name is not valid";
	if (head.lengths + head.codings > 1)
		return "The body has two lengths";
	if (head.hosts > 1)
		return "There are several headers Host";
	if (head.codings == 0)
		return NULL;
	/* RFC 9112, 6.1: who speaks the old version does not know of it */
	if (strcmp(version, "HTTP/1.0") == 0)
		return "HTTP/1.0 has no Transfer-Encoding";
	*status_r = 501;
	return head.unknown ? "The body's Transfer-Encoding is not supported" :
		NULL;
}

const char *http_head_path(const char *target)
{
	size_t len = strncasecmp(target, "http://", 7) == 0 ? 7 :
		strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
	const char *path;

	if (len == 0 || target[len] == '/' || target[len] == '\0')
		return target;
	path = strchr(target + len, '/');
	return path == NULL ? "/" : path;
}
