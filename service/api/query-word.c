#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "query-word.h"
#include "text.h"

#define WORD_MAX_OCTETS 64

/* Keys, and how many words each takes: those that are documented. */
static const struct {
	const char *name;
	unsigned int words;
} keys[] = {
	{ "ALL", 0 }, { "ANSWERED", 0 }, { "BCC", 1 }, { "BEFORE", 1 },
	{ "BODY", 1 }, { "CC", 1 }, { "DELETED", 0 }, { "DRAFT", 0 },
	{ "FLAGGED", 0 }, { "FROM", 1 }, { "GUID", 1 }, { "HEADER", 2 },
	{ "KEYWORD", 1 }, { "LARGER", 1 }, { "MAILBOX", 1 },
	{ "MAILBOX-GUID", 1 }, { "NEW", 0 }, { "NOT", 0 }, { "OLD", 0 },
	{ "ON", 1 }, { "OR", 0 }, { "RECENT", 0 }, { "SAVEDBEFORE", 1 },
	{ "SAVEDON", 1 }, { "SAVEDSINCE", 1 }, { "SEEN", 0 },
	{ "SENTBEFORE", 1 }, { "SENTON", 1 }, { "SENTSINCE", 1 },
	{ "SINCE", 1 }, { "SMALLER", 1 }, { "SUBJECT", 1 }, { "TEXT", 1 },
	{ "TO", 1 }, { "UID", 1 }, { "UNANSWERED", 0 }, { "UNDELETED", 0 },
	{ "UNDRAFT", 0 }, { "UNFLAGGED", 0 }, { "UNKEYWORD", 1 },
	{ "UNSEEN", 0 }, { "(", 0 }, { ")", 0 },
};

/* Returns the number of words, or -1. */
static int find(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcasecmp(keys[i].name, word) == 0)
			return (int)keys[i].words;
	}
	/* numbers of messages */
	return *word != '\0' && word[strspn(word, "0123456789:,*")] == '\0' ?
		0 : -1;
}

char *query_word_why(const struct strlist *query)
{
	const char *word;
	size_t i;
	int words;

	for (i = 0; i < query->count; i += 1 + (size_t)words) {
		word = query->items[i];
		words = find(word);
		if (words < 0 || (size_t)words >= query->count - i)
			return x_asprintf("is not a valid search query: "
				"\"%.*s\" %s", (int)utf8_cut(word,
				WORD_MAX_OCTETS), word, words < 0 ?
				"is not a known key" : "lacks a value");
	}
	return NULL;
}
