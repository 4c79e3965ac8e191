#include "lib.h"
#include "str.h"
#include "recall-names.h"

void recall_names_append(string_t *list, const char *name)
{
	if (str_len(list) > 0)
		str_append_c(list, ',');
	for (; *name != '\0'; name++) {
		if (*name == ',' || *name == '\\')
			str_append_c(list, '\\');
		str_append_c(list, *name);
	}
}
