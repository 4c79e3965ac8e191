#ifndef RECALL_LIMITS_H
#define RECALL_LIMITS_H

/* Limits that the doveadm plugin and mail-recalld share. */

/* Longest Message-ID accepted, in octets, brackets not counted: a header line
   may not be longer (RFC 5322, 2.1.1). */
#define RECALL_MESSAGE_ID_MAX 998
/* Longest mail address accepted, in octets (RFC 5321, 4.5.3.1.3, without the
   angle brackets). */
#define RECALL_ADDRESS_MAX 254
/* Most mailboxes' users that one HTTP request may name. */
#define RECALL_USERS_MAX 10000
/* Most users that one command may name: Dovecot 2.4's JSON parser takes no
   longer array. */
#define RECALL_BATCH_MAX 1024
/* Most octets of the free text that says why a recall was made. */
#define RECALL_REASON_MAX 1024
/* Most words of a search query. */
#define RECALL_QUERY_WORDS_MAX 1000
/* Octets of a recall id: see recall-id.h. */
#define RECALL_ID_LEN 32
/* Rounds of finding and deleting for one user whose mail moves meanwhile, and
   looks taken to be sure that there is none. */
#define RECALL_PASSES_MAX 8
#define RECALL_LOOKS_MAX 12
/* The longest time that a recall stands: 30 days. */
#define RECALL_STAND_MAX_SECS (30 * 24 * 60 * 60)
/* The last second of the year 9999: what is later is no date, and what is much
   later makes gmtime() fail. Users' files may say anything. */
#define RECALL_TIME_MAX 253402300799
/* How often the copying of a mailbox is begun anew because a message in it is
   gone. */
#define RECALL_COPY_TRIES_MAX 10

#endif
