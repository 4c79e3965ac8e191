#include "lib.h"
#include "failpoint.h"

#ifdef RECALL_FAILPOINTS
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define POINTS_MAX 4

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

static bool is_reached(const char *point, const char *name,
		       unsigned int *passed)
{
	size_t len = strlen(name);

	if (strncmp(point, name, len) != 0)
		return FALSE;
	if (point[len] == ':')
		return is_one_of(++*passed, point + len + 1);
	return (point[len] == '\0' || point[len] == ' ') &&
		is_one_of(++*passed, "1");
}

void recall_failpoint(const char *name)
{
	static unsigned int passed[POINTS_MAX];
	const char *point = getenv("RECALL_FAILPOINT");
	unsigned int i;

	for (i = 0; point != NULL && i < POINTS_MAX; i++) {
		/* as a crash or a power cut would: nothing is cleaned up */
		if (is_reached(point, name, &passed[i]))
			(void)kill(getpid(),
				   getenv("RECALL_FAILPOINT_STOP") == NULL ?
				   SIGKILL : SIGSTOP);
		point = strchr(point, ' ');
		if (point != NULL)
			point++;
	}
}
#endif
