#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "recall-config.h"
#include "alloc.h"
#include "approvals.h"
#include "audit-log.h"
#include "audit.h"
#include "brakes.h"
#include "clock.h"
#include "config-check.h"
#include "config-load.h"
#include "config.h"
#include "console.h"
#include "dispatch.h"
#include "doveadm-client.h"
#include "http-clients.h"
#include "http-server.h"
#include "jobs.h"
#include "journal-db.h"
#include "journal.h"
#include "json-text.h"
#include "log.h"
#include "recall-audit.h"
#include "recall-run.h"
#include "refresh-token.h"
#include "revocation.h"
#include "standing-keeper.h"
#include "strbuf.h"
#include "webhook.h"

#ifndef CONFIG_PATH
#define CONFIG_PATH "/etc/mail-recalld/mail-recall.conf"
#endif

#define PURGE_INTERVAL 3600
/* how often slow clients are looked for, and what waits for the audit trail */
#define TICK 2
/* how often a node is asked on which recalls are stopped */
#define UNPAUSE_INTERVAL 10
#define DAY 86400

static const char usage[] =
	"Usage: mail-recalld [-c FILE] [--check-config | --defaults]\n"
	"  -c, --config FILE   settings (default: " CONFIG_PATH ")\n"
	"      --check-config  check the settings and exit\n"
	"      --defaults      print all settings with their defaults and "
	"exit\n"
	"  -V, --version       print the version and exit\n"
	"  -h, --help          print this and exit\n";

/* Notifies the service manager, as sd_notify(3) describes. */
static void notify_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@') ||
	    strlen(path) >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, strlen(path));
	if (*path == '@')
		addr.sun_path[0] = '\0';
	len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (struct sockaddr *)&addr, len) < 0)
		log_warning("notify the service manager: %s", strerror(errno));
	close(fd);
}

static enum log_level log_level_of(const struct config *config)
{
	return strcmp(config->log_level, "debug") == 0 ? LOG_LEVEL_DEBUG :
							LOG_LEVEL_INFO;
}

static bool open_log(const struct config *config)
{
	size_t i;

	if (!log_open(config->log_path, log_level_of(config))) {
		log_error("open(%s): %s", config->log_path, strerror(errno));
		return false;
	}
	for (i = 0; i < config->warnings.count; i++)
		log_warning("%s", config->warnings.items[i]);
	return true;
}

/* It may have been rotated. */
static void reopen_log(void)
{
	struct config *config = config_current();

	(void)log_open(config->log_path, log_level_of(config));
	config_unref(config);
}

static void log_restart(const struct config *started,
			const struct config *config)
{
	struct strlist names = { NULL, 0, 0 };
	size_t i;

	config_restart_settings(started, config, &names);
	for (i = 0; i < names.count; i++)
		log_warning("%s: a restart is needed to take it over",
			    names.items[i]);
	strlist_free(&names);
}

/* All or nothing: settings that are wrong change none. */
static void reload(const char *path, const struct config *started)
{
	struct config *config;
	char *error = NULL;

	config = config_load(path, &error);
	if (config == NULL) {
		reopen_log();
		log_error("the settings stay as they are: %s", error);
		free(error);
		return;
	}
	if (!open_log(config)) {
		config_unref(config);
		return;
	}
	config_replace(config);
	http_server_reload(config);
	doveadm_client_forget();
	log_restart(started, config);
	log_info("settings reloaded");
}

static void purge(void)
{
	struct config *config = config_current();

	journal_purge(time(NULL) - config->journal_keep_days * DAY);
	revocations_purge(time(NULL));
	refresh_tokens_purge(time(NULL));
	config_unref(config);
}

static void tick(void)
{
	static int64_t unpaused;
	struct config *config = config_current();

	http_clients_drop();
	audit_tick(config);
	approvals_expire(config);
	jobs_save();
	if (now_ms() - unpaused >= UNPAUSE_INTERVAL * 1000) {
		jobs_unpause();
		unpaused = now_ms();
	}
	config_unref(config);
}

static void wait_for_signals(const char *path, const struct config *started,
			     const sigset_t *signals)
{
	const struct timespec interval = { .tv_sec = TICK };
	int64_t purged = now_ms();
	int sig;

	for (;;) {
		sig = sigtimedwait(signals, NULL, &interval);
		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGHUP)
			reload(path, started);
		else if (sig < 0 && errno == EAGAIN)
			tick();
		if (now_ms() - purged >= PURGE_INTERVAL * 1000) {
			purge();
			purged = now_ms();
		}
	}
}

static int fail(char *error)
{
	log_error("%s", error);
	free(error);
	return EX_UNAVAILABLE;
}

static int run(struct config *config, const char *path)
{
	struct config *current;
	sigset_t signals;
	char *error = NULL;

	/* threads inherit the mask, so that only this one sees signals */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* a limit of the size of files is an error like a full disk */
	signal(SIGXFSZ, SIG_IGN);

	config_replace(config_ref(config));
	if (!open_log(config))
		return EX_CANTCREAT;
	if (!journal_open(config->journal_path, &error))
		return fail(error);
	if (!revocations_load() || !brakes_load())
		return fail(x_strdup("the journal can't be read"));
	purge();
	/* also for a reload that turns it on */
	if (!console_load(config, &error)) {
		if (config->console_enabled)
			log_warning("no console: %s", error);
		free(error);
		error = NULL;
	}
	doveadm_client_start(config);
	if (!jobs_start(config) || !webhook_start())
		return fail(x_strdup("threads could not be started"));
	if (!audit_log_ready(config))
		log_warning("the audit trail can't be written%s",
			    config->audit_required ? ": no message is recalled "
			    "or shown until it can" : "");
	recall_audit_resume(config);
	if (!standing_keeper_start())
		return fail(x_strdup("threads could not be started"));
	if (!jobs_resume())
		log_error("recalls that have not finished wait for the next "
			  "start");
	if (http_server_start(config, &dispatch_api, &error)) {
		notify_manager("READY=1");
		wait_for_signals(path, config, &signals);
		notify_manager("STOPPING=1");
		log_info("stopping");
		recall_interrupt_all();
		http_server_stop();
	} else {
		recall_interrupt_all();
	}
	jobs_stop();
	standing_keeper_stop();
	webhook_stop();
	doveadm_client_forget();
	current = config_current();
	audit_close(current);
	config_unref(current);
	journal_close();
	revocations_free();
	brakes_free();
	console_free();
	if (error != NULL)
		return fail(error);
	log_info("stopped");
	return 0;
}

static int check(const char *path)
{
	struct strbuf errors = { NULL, 0, 0 };
	struct config *config;
	char *error = NULL;
	size_t i;

	config = config_load(path, &error);
	if (config != NULL) {
		config_check_files(config, &errors);
		error = errors.data;
	}
	if (error != NULL) {
		fprintf(stderr, "%s", error);
		free(error);
		config_unref(config);
		return EX_CONFIG;
	}
	for (i = 0; i < config->warnings.count; i++)
		fprintf(stderr, "warning: %s\n", config->warnings.items[i]);
	config_unref(config);
	return 0;
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "defaults", no_argument, NULL, 'D' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const char *path = CONFIG_PATH;
	struct config *config;
	char *error = NULL;
	bool check_only = false;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			path = optarg;
			break;
		case 'C':
			check_only = true;
			break;
		case 'D':
			config_print_defaults();
			return 0;
		case 'V':
			puts("mail-recalld " PACKAGE_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	/* one arena a thread would keep what large requests needed */
	mallopt(M_ARENA_MAX, 2);
	json_text_init();
	curl_global_init(CURL_GLOBAL_ALL);
	if (check_only)
		return check(path);
	config = config_load(path, &error);
	if (config == NULL) {
		fprintf(stderr, "%s", error);
		free(error);
		return EX_CONFIG;
	}
	ret = run(config, path);
	config_unref(config);
	config_replace(NULL);
	log_close();
	curl_global_cleanup();
	return ret;
}
