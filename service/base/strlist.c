#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "strlist.h"

void strlist_add(struct strlist *l, const char *s)
{
	if (l->count == l->size) {
		l->size = l->size == 0 ? 4 : l->size * 2;
		l->items = x_realloc(l->items, l->size * sizeof(char *));
	}
	l->items[l->count++] = x_strdup(s);
}

void strlist_free(struct strlist *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	memset(l, 0, sizeof(*l));
}

void strlist_free_secret(struct strlist *l)
{
	while (l->count > 0)
		free_secret(l->items[--l->count]);
	strlist_free(l);
}

void strlist_split(struct strlist *l, const char *s)
{
	static const char separators[] = " \t,";
	char *word;
	size_t len;

	for (;;) {
		s += strspn(s, separators);
		len = strcspn(s, separators);
		if (len == 0)
			return;
		word = x_strndup(s, len);
		strlist_add(l, word);
		free(word);
		s += len;
	}
}

bool strlist_has_nocase(const struct strlist *l, const char *s)
{
	size_t i;

	for (i = 0; i < l->count; i++) {
		if (strcasecmp(l->items[i], s) == 0)
			return true;
	}
	return false;
}
