#include "lib.h"
#include "array.h"
#include "unichar.h"
#include "mail-search.h"
#include "mail-search-build.h"
#include "mail-search-parser.h"
#include "mail-search-register.h"
#include "recall-limits.h"
#include "recall-query.h"

static int query_check_words(const char *const *words, const char **error_r)
{
	unsigned int i;

	if (words[0] == NULL) {
		*error_r = "The search query is empty";
		return -1;
	}
	for (i = 0; words[i] != NULL; i++) {
		/* parsing recurses with each parenthesis */
		if (i == RECALL_QUERY_WORDS_MAX) {
			*error_r = t_strdup_printf(
				"The search query has more than %u words",
				RECALL_QUERY_WORDS_MAX);
			return -1;
		}
		if (!uni_utf8_str_is_valid(words[i])) {
			*error_r = "The search query is not valid UTF-8";
			return -1;
		}
	}
	return 0;
}

int recall_query_parse(const char *const *words,
		       struct mail_search_args **args_r, const char **error_r)
{
	struct mail_search_parser *parser;
	const char *charset = "UTF-8", *error;
	int ret;

	if (query_check_words(words, error_r) < 0)
		return -1;
	parser = mail_search_parser_init_cmdline(words);
	ret = mail_search_build(mail_search_register_get_human(), parser,
				&charset, args_r, &error);
	if (ret < 0) {
		*error_r = t_strdup_printf("The search query is wrong: %s",
					   error);
	}
	mail_search_parser_deinit(&parser);
	return ret;
}

static bool set_is_everything(const ARRAY_TYPE(seq_range) *set)
{
	const struct seq_range *range;

	/* "*" is the highest number there is */
	return array_count(set) == 1 &&
		(range = array_front(set))->seq1 <= 1 &&
		range->seq2 >= (uint32_t)-2;
}

static bool args_are_selective(const struct mail_search_arg *args);

/* Whether each branch of an OR leaves messages out. */
static bool branches_are_selective(const struct mail_search_arg *args)
{
	for (; args != NULL; args = args->next) {
		if (args->type == SEARCH_OR) {
			if (!branches_are_selective(args->value.subargs))
				return FALSE;
		} else {
			struct mail_search_arg branch = *args;

			branch.next = NULL;
			if (!args_are_selective(&branch))
				return FALSE;
		}
	}
	return TRUE;
}

static bool arg_is_selective(const struct mail_search_arg *arg)
{
	switch (arg->type) {
	case SEARCH_OR:
		return branches_are_selective(arg->value.subargs);
	case SEARCH_SUB:
	case SEARCH_INTHREAD:
		return args_are_selective(arg->value.subargs);
	case SEARCH_MAILBOX:
	case SEARCH_MAILBOX_GUID:
	case SEARCH_MAILBOX_GLOB:
	case SEARCH_SAVEDATESUPPORTED:
		return FALSE;
	case SEARCH_ALL:
		/* none at all is a selection, too */
		return arg->match_not;
	case SEARCH_SEQSET:
	case SEARCH_UIDSET:
	case SEARCH_REAL_UID:
		return arg->match_not || !set_is_everything(&arg->value.seqset);
	case SEARCH_HEADER:
	case SEARCH_HEADER_ADDRESS:
	case SEARCH_HEADER_COMPRESS_LWSP:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		/* every text has the empty one in it */
		return arg->match_not || *arg->value.str != '\0';
	case SEARCH_LARGER:
		return arg->match_not || arg->value.size > 0;
	case SEARCH_SINCE:
		return arg->match_not || arg->value.time > 24*3600;
	case SEARCH_MODSEQ:
		return arg->match_not || arg->value.modseq->modseq > 1;
	default:
		return TRUE;
	}
}

static bool args_are_selective(const struct mail_search_arg *args)
{
	for (; args != NULL; args = args->next) {
		if (arg_is_selective(args))
			return TRUE;
	}
	return FALSE;
}

bool recall_query_is_selective(struct mail_search_args *args)
{
	/* afterwards no OR and no parenthesis is negated */
	mail_search_args_simplify(args);
	return args_are_selective(args->args);
}

static bool args_are_of_headers(const struct mail_search_arg *args)
{
	for (; args != NULL; args = args->next) {
		switch (args->type) {
		case SEARCH_OR:
		case SEARCH_SUB:
			if (!args_are_of_headers(args->value.subargs))
				return FALSE;
			break;
		case SEARCH_HEADER:
		case SEARCH_HEADER_ADDRESS:
		case SEARCH_HEADER_COMPRESS_LWSP:
			break;
		default:
			return FALSE;
		}
	}
	return TRUE;
}

bool recall_query_is_of_headers(const struct mail_search_args *args)
{
	return args_are_of_headers(args->args);
}

static bool
args_name_below(const struct mail_search_arg *arg, const char *prefix)
{
	for (; arg != NULL; arg = arg->next) {
		switch (arg->type) {
		case SEARCH_OR:
		case SEARCH_SUB:
			if (args_name_below(arg->value.subargs, prefix))
				return TRUE;
			break;
		case SEARCH_MAILBOX:
			if (strncmp(arg->value.str, prefix,
				    strlen(prefix)) == 0)
				return TRUE;
			break;
		case SEARCH_MAILBOX_GUID:
		case SEARCH_MAILBOX_GLOB:
			return TRUE;
		default:
			break;
		}
	}
	return FALSE;
}

bool recall_query_may_be_below(struct mail_search_args *args,
			       const char *vname, char sep)
{
	const char *prefix = t_strdup_printf("%s%c", vname, sep);

	return args_name_below(args->args, prefix) ||
		mail_search_args_match_mailbox(args,
			t_strconcat(prefix, "x", NULL), sep);
}

bool recall_query_may_be_in(struct mail_search_args *args, const char *vname,
			    char sep)
{
	/* INBOX has more than one spelling: the search itself knows */
	return strcasecmp(vname, "INBOX") == 0 ||
		mail_search_args_match_mailbox(args, vname, sep);
}
