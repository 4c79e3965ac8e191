#ifndef RECALL_INDEX_MAIL_H
#define RECALL_INDEX_MAIL_H

struct mail;

/* mail_get_headers() of Message-ID, without the header entering
   dovecot.index.cache or being taken for one that clients want. uncached is as
   for recall_index_hash_mail(). */
int recall_index_get_headers(struct mail *mail, bool uncached,
			     const char *const **values_r);

#endif
