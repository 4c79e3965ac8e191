/* What doveadm answers over HTTP: to a recall, and about a user. */
#include <string.h>

#include "recall-verdict.h"
#include "doveadm-answer.h"
#include "recall-json.h"
#include "recall-rows.h"
#include "userdb.h"

#include "fuzz.h"

static struct config *config;
/* what an answer of these rows comes to is what one of many users does */
static struct recall *recall;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	config = config_new();
	recall = recall_new();
	recall_add_user(recall, "a@example.com");
	return 0;
}

static void check_row(const json_t *row)
{
	struct recall_user *user = &recall->users[0];
	bool stop = recall_row_is_stop(row);
	json_t *json;
	char *text;

	user->verdict = -1;
	user->copies = user->present = user->kept_until = 0;
	recall_row_take(user, row);
	require(stop == (user->verdict == -1));
	require(user->verdict < RECALL_VERDICT_COUNT);
	require(user->copies >= 0 && user->copies <= ROW_NUMBER_MAX);
	require(user->present >= 0 && user->present <= ROW_NUMBER_MAX);
	if (user->verdict == -1)
		return;
	/* it can be told of */
	json = recall_to_json(recall);
	text = json_dumps(json, 0);
	require(text != NULL);
	free(text);
	json_decref(json);
}

static void check_user(const json_t *answer)
{
	struct identity identity;
	struct strlist aliases = { NULL, 0, 0 };

	memset(&identity, 0, sizeof(identity));
	if (userdb_read(config, "a@example.com", answer, &identity,
			&aliases)) {
		require(identity.role >= ROLE_ADMIN &&
			identity.role <= ROLE_SUPER);
		require(identity.tenant != NULL && *identity.tenant != '\0');
	} else {
		require(identity.login == NULL && aliases.count == 0);
	}
	identity_clear(&identity);
	strlist_free(&aliases);
}

static void read_as(const uint8_t *data, size_t size, enum doveadm_form form)
{
	enum doveadm_result result;
	json_t *answer, *row;
	int exit_code;
	char *error;
	size_t i;

	result = doveadm_answer_read((const char *)data, size, form, &answer,
				     &exit_code, &error);
	require((result == DOVEADM_OK) == (error == NULL));
	require((answer == NULL) == (result != DOVEADM_OK));
	require(answer == NULL ||
		json_is_object(answer) == (form == DOVEADM_OBJECT));
	json_array_foreach(answer, i, row)
		check_row(row);
	check_user(answer);
	json_decref(answer);
	free(error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'l') {
		read_as(data + 1, size - 1, DOVEADM_COMMANDS);
	} else {
		read_as(data + 1, size - 1, DOVEADM_ROWS);
		read_as(data + 1, size - 1, DOVEADM_OBJECT);
	}
	return 0;
}
