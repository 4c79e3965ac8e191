#include <string.h>

#include "recall-rights.h"

static const struct {
	const char *name;
	char letter;
} rights[RECALL_RIGHTS_COUNT] = {
	{ "lookup", 'l' },
	{ "read", 'r' },
	{ "write", 'w' },
	{ "write-seen", 's' },
	{ "write-deleted", 't' },
	{ "insert", 'i' },
	{ "post", 'p' },
	{ "expunge", 'e' },
	{ "create", 'k' },
	{ "delete", 'x' },
	{ "admin", 'a' },
};

static const struct {
	const char *name;
	const char *letters;
} presets[] = {
	{ "reader", "lrs" },
	{ "editor", "lrwstipe" },
	{ "owner", "lrwstipekxa" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int word_equals(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(word, name, len) == 0;
}

static int letters_parse(const char *letters, size_t len, unsigned int *mask_r)
{
	unsigned int mask = 0, bit;
	size_t i, n;

	for (i = 0; i < len; i++) {
		for (n = 0; n < RECALL_RIGHTS_COUNT; n++) {
			if (rights[n].letter == letters[i])
				break;
		}
		if (n == RECALL_RIGHTS_COUNT)
			return -1;
		bit = 1U << n;
		/* "reset" is a slip of the pen, not letters */
		if ((mask & bit) != 0)
			return -1;
		mask |= bit;
	}
	*mask_r = mask;
	return 0;
}

static int word_parse(const char *word, size_t len, unsigned int *mask_r)
{
	size_t i;

	for (i = 0; i < RECALL_RIGHTS_COUNT; i++) {
		if (word_equals(word, len, rights[i].name)) {
			*mask_r = 1U << i;
			return 0;
		}
	}
	for (i = 0; i < COUNT(presets); i++) {
		if (word_equals(word, len, presets[i].name)) {
			return letters_parse(presets[i].letters,
					     strlen(presets[i].letters),
					     mask_r);
		}
	}
	return letters_parse(word, len, mask_r);
}

int recall_rights_parse(const char *const *words, unsigned int *rights_r,
			const char **bad_r, size_t *bad_len_r)
{
	unsigned int mask;
	const char *word;
	size_t len;

	*rights_r = 0;
	*bad_r = NULL;
	*bad_len_r = 0;
	for (; *words != NULL; words++) {
		for (word = *words; ; word += len) {
			word += strspn(word, ", ");
			len = strcspn(word, ", ");
			if (len == 0)
				break;
			if (word_parse(word, len, &mask) < 0) {
				*bad_r = word;
				*bad_len_r = len;
				return -1;
			}
			*rights_r |= mask;
		}
	}
	return *rights_r == 0 ? -1 : 0;
}

const char *recall_rights_name(unsigned int index)
{
	return index < RECALL_RIGHTS_COUNT ? rights[index].name : NULL;
}

int recall_rights_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < RECALL_RIGHTS_COUNT; i++) {
		if (strcmp(rights[i].name, name) == 0)
			return i;
	}
	return -1;
}
