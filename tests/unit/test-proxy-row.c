#include "lib.h"
#include "str.h"
#include "recall-proxy-row.h"
#include "run-tests.h"

#define COLUMNS 3

/* Reads all rows of the input, which comes in pieces of this size, as a
   connection does. Returns "|" after each column and "\n" after each row, "."
   for the end of the rows, "!" for what is no row, and "?" where the input
   ends early. */
static const char *read_rows(const char *input, size_t input_size, size_t piece)
{
	struct recall_proxy_row row = { .columns = COLUMNS };
	struct recall_proxy_part part;
	const unsigned char *data = (const unsigned char *)input;
	string_t *out = t_str_new(256);
	const char *error = NULL;
	size_t come = 0, taken = 0;
	int ret = 0;

	for (;;) {
		if (ret == 0 && come == input_size) {
			str_append_c(out, '?');
			break;
		}
		if (ret == 0)
			come = I_MIN(input_size, come + piece);
		ret = recall_proxy_row_begin(&row, data + taken, come - taken,
					     &error);
		if (ret > 0) {
			ret = recall_proxy_row_read(&row, data + taken,
						    come - taken, &part,
						    &error);
		}
		if (ret < 0) {
			CU_ASSERT(error != NULL);
			str_append_c(out, '!');
			break;
		}
		if (ret == 0)
			continue;
		CU_ASSERT(part.size > 0);
		taken += part.size;
		CU_ASSERT_FATAL(taken <= come);
		if (part.end) {
			CU_ASSERT(taken == input_size);
			str_append_c(out, '.');
			break;
		}
		str_append_str(out, part.text);
		if (part.last)
			str_append_c(out, '|');
		if (recall_proxy_row_next(&row, &part))
			str_append_c(out, '\n');
	}
	return str_c(out);
}

static void test_rows(void)
{
	static const struct {
		const char *input, *rows;
	} tests[] = {
		{ "\n", "." },
		{ "a\tb\tc\t\n", "a|b|c|\n." },
		{ "a\tb\tc\td\te\tf\t\n", "a|b|c|\nd|e|f|\n." },
		{ "\t\t\t\n", "|||\n." },
		/* escaped: "\001t" a TAB, "\001n" a LF, "\0011" the \001 */
		{ "a\001tb\t\001n\tc\0011\t\n", "a\tb|\n|c\001|\n." },
		{ "\xc3\xa4\tb\tc\t\n", "\xc3\xa4|b|c|\n." },
		/* what another node, or nobody who is one, might say */
		{ "", "?" },
		{ "a", "?" },
		{ "a\tb\t", "?" },
		{ "a\tb\tc\t", "a|b|c|\n?" },
		{ "a\n", "!" },
		{ "a\tb\n", "!" },
		{ "a\tb\t\n", "!" },
		{ "a\tb\tc\n", "!" },
		{ "a\tb\tc\td\n", "a|b|c|\n!" },
		{ "a\tb\tc\td\t\n", "a|b|c|\n!" },
		{ "a\tb\tc\001", "?" },
		{ "a\tb\tc\001\t\n", "a|b|c|\n." },
	};
	unsigned int i;
	size_t piece, size;

	for (i = 0; i < N_ELEMENTS(tests); i++) {
		size = strlen(tests[i].input);
		for (piece = 1; piece <= size + 1; piece++) T_BEGIN {
			CU_ASSERT_STRING_EQUAL(read_rows(tests[i].input, size,
							 piece),
					       tests[i].rows);
		} T_END;
	}
}

/* A column that is too long to be waited for comes in parts, between characters
   and escapes. */
static void test_long_column(void)
{
	static const struct {
		const char *escaped, *text;
	} units[] = {
		{ "x", "x" }, { "\xc3\xa4", "\xc3\xa4" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\001t", "\t" }, { "y\001n", "y\n" },
		/* nobody escapes so, but it means one thing */
		{ "z\001\001", "z\001" }, { "\001\001", "\001" },
	};
	string_t *input, *expected;
	unsigned int i;
	size_t piece;

	for (i = 0; i < N_ELEMENTS(units); i++) T_BEGIN {
		input = t_str_new(128 * 1024);
		expected = t_str_new(128 * 1024);
		str_append(input, "a\t");
		str_append(expected, "a|");
		while (str_len(input) < 3 * RECALL_PROXY_WHOLE_SIZE) {
			str_append(input, units[i].escaped);
			str_append(expected, units[i].text);
		}
		str_append(input, "\tb\t\n");
		str_append(expected, "|b|\n.");
		for (piece = 4095; piece < 100 * 1000; piece = piece * 3 + 1) {
			CU_ASSERT_STRING_EQUAL(read_rows(str_c(input),
							 str_len(input), piece),
					       str_c(expected));
		}
	} T_END;
}

/* A row that will never be whole is seen before any of it is printed, if it is
   not too long for that. */
static void test_incomplete_row_is_not_begun(void)
{
	const struct recall_proxy_row row = { .columns = COLUMNS };
	string_t *data = t_str_new(2 * RECALL_PROXY_WHOLE_SIZE);
	const char *error = NULL;

	str_append(data, "a\tb\t");
	CU_ASSERT_EQUAL(recall_proxy_row_begin(&row, str_data(data),
					       str_len(data), &error), 0);
	while (str_len(data) < RECALL_PROXY_WHOLE_SIZE - 1)
		str_append_c(data, 'x');
	CU_ASSERT_EQUAL(recall_proxy_row_begin(&row, str_data(data),
					       str_len(data), &error), 0);
	str_append_c(data, 'x');
	CU_ASSERT_EQUAL(recall_proxy_row_begin(&row, str_data(data),
					       str_len(data), &error), 1);
	CU_ASSERT(error == NULL);
}

int main(void)
{
	CU_pSuite suite;
	int ret;

	lib_init();
	suite = tests_begin("proxy rows");
	CU_add_test(suite, "pieces of any size", test_rows);
	CU_add_test(suite, "columns too long to wait for", test_long_column);
	CU_add_test(suite, "rows that may not be completed",
		    test_incomplete_row_is_not_begun);
	ret = tests_run();
	lib_deinit();
	return ret;
}
