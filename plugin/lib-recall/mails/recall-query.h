#ifndef RECALL_QUERY_H
#define RECALL_QUERY_H

struct mail_search_args;

/* Builds a search from the words of a query in doveadm's search language (see
   doveadm-search-query(7)). words is NULL-terminated. Returns 0, or -1 and a
   text on the data stack. The caller unreferences the result. */
int recall_query_parse(const char *const *words,
		       struct mail_search_args **args_r, const char **error_r);

/* Whether nothing but headers is asked for: what arrives can be judged by
   it. */
bool recall_query_is_of_headers(const struct mail_search_args *args);

/* Whether the query says more about the messages than which mailbox they are
   in. `ALL', `mailbox INBOX', `ALL OR FROM x', `FROM ""' or `UID 1:*' do
   not: such a query empties mailboxes. */
bool recall_query_is_selective(struct mail_search_args *args);

/* Whether the query may be about mailboxes below that one. */
bool recall_query_may_be_below(struct mail_search_args *args,
			       const char *vname, char sep);
/* Whether it may be about that mailbox itself. */
bool recall_query_may_be_in(struct mail_search_args *args, const char *vname,
			    char sep);

#endif
