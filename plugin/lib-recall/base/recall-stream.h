#ifndef RECALL_STREAM_H
#define RECALL_STREAM_H

struct istream;
struct mail;

/* Returns -1 if what was read of the message so far failed; the error is in its
   storage. */
int recall_stream_check(struct mail *mail, struct istream *input);

#endif
