#include "lib.h"
#include "failpoint.h"

#ifdef RECALL_FAILPOINTS
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void recall_failpoint(const char *name)
{
	static unsigned int passed;
	const char *value = getenv("RECALL_FAILPOINT");
	unsigned int nth = 1;
	size_t len = strlen(name);

	if (value == NULL || strncmp(value, name, len) != 0 ||
	    (value[len] != '\0' &&
	     (value[len] != ':' || str_to_uint(value + len + 1, &nth) < 0)))
		return;
	if (++passed != nth)
		return;
	/* as a crash or a power cut would: nothing is cleaned up */
	(void)kill(getpid(), getenv("RECALL_FAILPOINT_STOP") == NULL ?
		   SIGKILL : SIGSTOP);
}
#endif
