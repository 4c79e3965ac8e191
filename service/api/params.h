#ifndef PARAMS_H
#define PARAMS_H

#include "http-parse.h"
#include "strlist.h"

/* Readers of parameters that several actions have. Those that return false
   have answered the request with what is wrong. */

/* 0, 1, false or true. Returns false if it is none of them. */
bool param_parse_flag(const char *value, bool *value_r);
/* A parameter that is one. */
bool param_flag(struct http_request *request, const char *name, bool def,
		bool *value_r);
/* A number from min to max. */
bool param_number(struct http_request *request, const char *name, int64_t def,
		  int64_t min, int64_t max, int64_t *value_r);
/* A time, e.g. "90s", "30m", "48h" or "7d", or "off", in seconds; 0 if it's not
   given. */
bool param_duration(struct http_request *request, const char *name,
		    int64_t max, int64_t *secs_r);
/* A Message-ID that may be looked for. */
bool param_check_message_id(struct http_request *request, const char *value);
/* One line of at most max octets; NULL is fine. */
bool param_check_text(struct http_request *request, const char *name,
		      const char *value, size_t max);
/* Whether there is a reason, if the settings want one. */
bool param_check_reason(struct http_request *request, const char *reason);
/* A list: a single value is a JSON array of strings or one string, several
   values are a string each. Adds them to list; there is at least one. */
bool param_list(struct http_request *request, const char *name, size_t max,
		struct strlist *list);
/* All values, those of arrays each, as far as they can be read: for the audit
   trail. Answers nothing. */
void param_values(const struct http_request *request, const char *name,
		  struct strlist *list);
/* Whether there is a value that is not empty. */
bool param_is_given(const struct http_request *request, const char *name);
/* Whether it was named at all: an empty list is not the same as none. */
bool param_is_there(const struct http_request *request, const char *name);
/* All addresses of the parameter "emails", which may be given several times
   and each time be a JSON array or one address. With duplicates; there is at
   least one. */
bool param_emails(struct http_request *request, struct strlist *list);
/* 400 for these (NULL-terminated) parameters at once. */
void param_reply_missing(struct http_request *request,
			 const char *const *names);
/* Adds the parameters of the URL's query string to those of the body, if the
   request's route takes them from there. */
bool param_add_url(struct http_request *request);
/* Whether the request's route has all the parameters that are given: one that
   is misspelt must not be taken for one that is left out. */
bool param_check_known(struct http_request *request);

/* The words of a search query, or a Message-ID, as a listing or a recall by
   query is asked; exactly one of them is given. */
struct param_criteria {
	const char *message_id;
	/* no index is believed */
	bool verify_headers;
	struct strlist query;
};

bool param_criteria(struct http_request *request,
		    struct param_criteria *criteria_r);

#endif
