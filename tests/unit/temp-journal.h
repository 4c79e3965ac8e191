#ifndef TEMP_JOURNAL_H
#define TEMP_JOURNAL_H

#include <CUnit/Basic.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal-db.h"

/* Where a test has a journal, in a directory of its own. */
struct temp_journal {
	char dir[32], path[64];
};

static inline void temp_journal_open(const struct temp_journal *temp)
{
	char *error = NULL;

	CU_ASSERT_FATAL(journal_open(temp->path, &error));
}

static inline void temp_journal_init(struct temp_journal *temp)
{
	strcpy(temp->dir, "/tmp/test-journal-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(temp->dir));
	snprintf(temp->path, sizeof(temp->path), "%s/journal", temp->dir);
}

/* The journal has been closed. */
static inline void temp_journal_deinit(const struct temp_journal *temp)
{
	char path[64];

	unlink(temp->path);
	snprintf(path, sizeof(path), "%s/journal.lock", temp->dir);
	unlink(path);
	rmdir(temp->dir);
}

#endif
