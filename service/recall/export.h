#ifndef EXPORT_H
#define EXPORT_H

#include "config.h"
#include "recall.h"

/* What a recall has put into quarantines, as evidence (see
   recall-evidence.h). */

enum export_result {
	EXPORT_DONE = 0,
	/* A node did not answer: there would be something missing. */
	EXPORT_UNREACHABLE,
	EXPORT_TIMEOUT,
	/* It could not be written, or the quarantine has changed meanwhile. */
	EXPORT_FAILED
};

struct export_count {
	/* messages, and users whose quarantine could not be looked at, which
	   the manifest lists */
	unsigned int messages, errors;
};

/* Writes the zip to the file, for who asks. A message goes through in parts. */
enum export_result
export_write(const struct recall *recall, const struct identity *who,
	     struct config *config, int fd, struct export_count *count_r);

#endif
