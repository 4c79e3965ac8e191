#include "lib.h"
#include "failpoint.h"

#ifdef RECALL_FAILPOINTS
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Whether the number is one of those, with commas between. */
static bool is_one_of(unsigned int number, const char *numbers)
{
	char *end;

	for (;;) {
		if (strtoul(numbers, &end, 10) == number)
			return TRUE;
		if (*end != ',')
			return FALSE;
		numbers = end + 1;
	}
}

void recall_failpoint(const char *name)
{
	static unsigned int passed;
	const char *value = getenv("RECALL_FAILPOINT");
	size_t len = strlen(name);

	if (value == NULL || strncmp(value, name, len) != 0 ||
	    (value[len] != '\0' && value[len] != ':'))
		return;
	if (!is_one_of(++passed, value[len] == '\0' ? "1" : value + len + 1))
		return;
	/* as a crash or a power cut would: nothing is cleaned up */
	(void)kill(getpid(), getenv("RECALL_FAILPOINT_STOP") == NULL ?
		   SIGKILL : SIGSTOP);
}
#endif
