#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "alloc.h"
#include "console.h"
#include "file.h"
#include "http-reply.h"

#define CONSOLE "/console/"
#define INDEX "index.html"

/* Nothing but the console's own files, and no script that is not one of them:
   what stands in somebody's mail can't run, be sent anywhere, or be framed. */
static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; "
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
	"base-uri 'none'; require-trusted-types-for 'script'";

struct console_file {
	/* below the directory */
	char *path;
	const char *type;
	char *text;
};

static struct console_file *files;
static size_t files_count;

static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".mjs", "text/javascript; charset=utf-8" },
		{ ".json", "application/json" },
	};
	const char *dot = strrchr(name, '.');
	size_t i;

	for (i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	}
	return NULL;
}

static bool add_file(const char *dir, const char *path, const char *type,
		     char **error_r)
{
	char *full = x_asprintf("%s/%s", dir, path);
	char *text = read_whole_file(full, error_r);

	free(full);
	if (text == NULL)
		return false;
	files = x_realloc(files, (files_count + 1) * sizeof(*files));
	files[files_count++] = (struct console_file){
		.path = x_strdup(path), .type = type, .text = text,
	};
	return true;
}

/* The files of one directory; sub is "" or ends with "/". Others than those of
   a known type are not served. */
static bool add_files(const char *dir, const char *sub, char **error_r)
{
	char *full = x_asprintf("%s/%s", dir, sub), *path;
	struct dirent *entry;
	const char *type;
	bool ok = true;
	DIR *dirp;

	dirp = opendir(full);
	if (dirp == NULL) {
		*error_r = x_asprintf("%s: %s", full, strerror(errno));
		free(full);
		return false;
	}
	while (ok && (entry = readdir(dirp)) != NULL) {
		type = type_of(entry->d_name);
		if (type == NULL)
			continue;
		path = x_asprintf("%s%s", sub, entry->d_name);
		ok = add_file(dir, path, type, error_r);
		free(path);
	}
	closedir(dirp);
	free(full);
	return ok;
}

bool console_load(const struct config *config, char **error_r)
{
	const char *dir = *config->console_dir != '\0' ?
		config->console_dir : CONSOLE_DIR;

	if (add_files(dir, "", error_r) && add_files(dir, "js/", error_r) &&
	    add_files(dir, "lang/", error_r) &&
	    add_files(dir, "vendor/", error_r))
		return true;
	console_free();
	return false;
}

void console_free(void)
{
	size_t i;

	for (i = 0; i < files_count; i++) {
		free(files[i].path);
		free(files[i].text);
	}
	free(files);
	files = NULL;
	files_count = 0;
}

static void reply_hardened(struct http_request *request, const char *type,
			   const char *text)
{
	http_reply_text(request, type, x_strdup(text));
	http_reply_header(request, "Content-Security-Policy", policy);
	http_reply_header(request, "Referrer-Policy", "no-referrer");
	http_reply_header(request, "Cross-Origin-Opener-Policy",
			  "same-origin");
	http_reply_header(request, "Cross-Origin-Resource-Policy",
			  "same-origin");
}

void action_console(struct http_request *request)
{
	const char *path = request->path + strlen(CONSOLE);
	size_t i;

	if (*path == '\0')
		path = INDEX;
	for (i = 0; request->config->console_enabled && i < files_count; i++) {
		if (strcmp(files[i].path, path) == 0) {
			reply_hardened(request, files[i].type, files[i].text);
			return;
		}
	}
	http_reply_message(request, 404, "There is no such resource");
}

/* Without the slash its names would be those of other resources. */
void action_console_slash(struct http_request *request)
{
	http_reply_message(request, 308, "The console is at " CONSOLE);
	http_reply_header(request, "Location", CONSOLE);
}
