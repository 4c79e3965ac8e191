#ifndef STRLIST_H
#define STRLIST_H

#include <stdbool.h>
#include <stddef.h>

/* A list of strings. Zeroed is empty. */
struct strlist {
	char **items;
	size_t count;
	size_t size;
};

void strlist_add(struct strlist *l, const char *s);
void strlist_free(struct strlist *l);
/* The same with each as free_secret(). */
void strlist_free_secret(struct strlist *l);
/* Adds the words that are separated by spaces, tabs or commas. */
void strlist_split(struct strlist *l, const char *s);
/* Whether it has the string, in whatever case. */
bool strlist_has_nocase(const struct strlist *l, const char *s);

#endif
