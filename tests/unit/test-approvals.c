#include "approvals.h"
#include "run-tests.h"
#include "temp-journal.h"

enum {
	ALL = 1, FORCE = 2, QUERY = 4, DRY_RUN = 8, OTHER = 16
};

/* What has to wait, whatever it was said to do before. */
static enum recall_approval
ask(const struct config *config, unsigned int what, unsigned int users)
{
	struct recall *recall = recall_new();
	enum recall_approval approval;
	unsigned int i;

	recall->approval = RECALL_REJECTED;
	recall->kind = (what & OTHER) != 0 ? RECALL_RESTORE : RECALL_EXPUNGE;
	recall->everyone = (what & ALL) != 0;
	recall->force = (what & FORCE) != 0;
	recall->dry_run = (what & DRY_RUN) != 0;
	recall->created = 1000;
	recall_set_text(&recall->actor.login, "a@example.com");
	recall_set_text(&recall->actor.tenant, "red");
	if ((what & QUERY) != 0)
		strlist_add(&recall->query, "ALL");
	for (i = 0; i < users; i++)
		recall_add_user(recall, "b@example.com");
	CU_ASSERT(approval_require(config, recall));
	approval = recall->approval;
	recall_free(recall);
	return approval;
}

static void test_nothing_asked_for(void)
{
	struct config *config = config_new();

	CU_ASSERT_EQUAL(ask(config, 0, 1), RECALL_NEEDS_NONE);
	CU_ASSERT_EQUAL(ask(config, ALL | FORCE | QUERY, 9),
			RECALL_NEEDS_NONE);
	config_unref(config);
}

static void test_kinds(void)
{
	struct config *config = config_new();

	config->approval_force = true;
	CU_ASSERT_EQUAL(ask(config, QUERY | ALL, 1), RECALL_NEEDS_NONE);
	CU_ASSERT_EQUAL(ask(config, FORCE, 1), RECALL_PENDING);
	CU_ASSERT_EQUAL(ask(config, FORCE | DRY_RUN, 1), RECALL_NEEDS_NONE);
	CU_ASSERT_EQUAL(ask(config, FORCE | OTHER, 1), RECALL_NEEDS_NONE);
	config->approval_force = false;
	config->approval_query = true;
	CU_ASSERT_EQUAL(ask(config, FORCE | ALL, 1), RECALL_NEEDS_NONE);
	CU_ASSERT_EQUAL(ask(config, QUERY, 1), RECALL_PENDING);
	config_unref(config);
}

static void test_users(void)
{
	struct config *config = config_new();
	struct temp_journal temp;

	temp_journal_init(&temp);
	config->approval_users = 3;
	/* the journal is not asked how many there were */
	CU_ASSERT_EQUAL(ask(config, ALL, 0), RECALL_PENDING);
	temp_journal_open(&temp);
	CU_ASSERT_EQUAL(ask(config, 0, 2), RECALL_NEEDS_NONE);
	CU_ASSERT_EQUAL(ask(config, 0, 3), RECALL_PENDING);
	CU_ASSERT_EQUAL(ask(config, DRY_RUN, 3), RECALL_NEEDS_NONE);
	CU_ASSERT_EQUAL(ask(config, ALL, 0), RECALL_PENDING);
	journal_close();
	temp_journal_deinit(&temp);
	config_unref(config);
}

static void test_expires(void)
{
	struct config *config = config_new();
	struct recall recall = { .created = 1000 };

	config->approval_expire_hours = 2;
	CU_ASSERT_EQUAL(approval_expires(config, &recall), 1000 + 7200);
	config_unref(config);
}

int main(void)
{
	CU_pSuite suite;

	suite = tests_begin("approvals");
	CU_add_test(suite, "nothing asked for", test_nothing_asked_for);
	CU_add_test(suite, "kinds of recalls", test_kinds);
	CU_add_test(suite, "users", test_users);
	CU_add_test(suite, "when it expires", test_expires);
	return tests_run();
}
