#ifndef RECALL_INDEX_MAIL_H
#define RECALL_INDEX_MAIL_H

struct mail;

/* mail_get_headers() of Message-ID, without the header entering
   dovecot.index.cache or being taken for one that clients want. uncached is as
   for recall_index_hash_mail(). */
int recall_index_get_headers(struct mail *mail, bool uncached,
			     const char *const **values_r);
/* The same out of the message itself, on the data stack. Dovecot's cache may
   say that there is none if it could not read the message when it was saved:
   by mail_crypt without the user's password. So it does if the header is longer
   than what Dovecot looks at (10 MB); this looks at all of it. */
int recall_index_read_headers(struct mail *mail, const char *const **values_r);
/* By the first, and by the second if that finds none. verify: by the second, as
   who does not believe our index does not believe Dovecot's, either. */
int recall_index_get_all_headers(struct mail *mail, bool verify,
				 const char *const **values_r);

#endif
