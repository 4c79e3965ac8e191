#ifndef RUN_TESTS_H
#define RUN_TESTS_H

#include <CUnit/Basic.h>

#include <stdlib.h>

/* The program's suite, to which its tests are added. */
static inline CU_pSuite tests_begin(const char *name)
{
	CU_pSuite suite;

	if (CU_initialize_registry() != CUE_SUCCESS ||
	    (suite = CU_add_suite(name, NULL, NULL)) == NULL)
		exit(CU_get_error());
	return suite;
}

/* Runs the tests and prints CUnit's summary. Returns the exit code. */
static inline int tests_run(void)
{
	unsigned int failures;

	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
