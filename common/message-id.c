#include <string.h>

#include "recall-message-id.h"

/* A part of a header's value. */
struct span {
	const char *data;
	size_t len;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span span_trim(const char *data, size_t len)
{
	while (len > 0 && is_space(data[0])) {
		data++;
		len--;
	}
	while (len > 0 && is_space(data[len - 1]))
		len--;
	return (struct span){ .data = data, .len = len };
}

/* Octets that may be looked at for what is opaque: what is hostile must not
   take time that grows with the square of its size, nor a thousand times as
   long as other fields. */
static size_t effort_for(size_t len)
{
	return len * 4 + 1024 * 1024;
}

/* Takes as many octets as there are, and as may be looked at. */
static size_t effort_take(size_t *effort, size_t wanted)
{
	size_t taken = wanted < *effort ? wanted : *effort;

	*effort -= taken;
	return taken;
}

/* How far to look for the end of a quoted string or comment. */
static size_t opaque_max(size_t len, size_t effort)
{
	if (len > RECALL_MESSAGE_ID_MAX)
		len = RECALL_MESSAGE_ID_MAX;
	return len < effort ? len : effort;
}

/* The octets of a quoted string or, if it is none or never ends, 0. */
static size_t quoted_len(const char *data, size_t len, size_t *effort)
{
	size_t i;

	if (data[0] != '"')
		return 0;
	len = opaque_max(len, *effort);
	for (i = 1; i < len; i++) {
		if (data[i] == '\\')
			i++;
		else if (data[i] == '"')
			return effort_take(effort, i + 1);
	}
	(void)effort_take(effort, len);
	return 0;
}

static size_t comment_len(const char *data, size_t len, size_t *effort)
{
	size_t i;
	unsigned int depth = 0;

	if (data[0] != '(')
		return 0;
	len = opaque_max(len, *effort);
	for (i = 0; i < len; i++) {
		if (data[i] == '\\')
			i++;
		else if (data[i] == '(')
			depth++;
		else if (data[i] == ')' && --depth == 0)
			return effort_take(effort, i + 1);
	}
	(void)effort_take(effort, len);
	return 0;
}

/* The octets of what must be stepped over as a whole, or 0. */
static size_t opaque_len(const char *data, size_t len, size_t *effort)
{
	size_t ret = quoted_len(data, len, effort);

	return ret > 0 ? ret : comment_len(data, len, effort);
}

/* Nothing is opaque if effort is NULL, or when it is used up. */
static size_t find_bracket(struct span text, size_t pos, size_t *effort)
{
	size_t skip;

	while (pos < text.len && text.data[pos] != '<' &&
	       text.data[pos] != '>') {
		skip = 0;
		if (effort != NULL && effort_take(effort, 1) > 0) {
			skip = opaque_len(text.data + pos, text.len - pos,
					  effort);
		}
		pos += skip > 0 ? skip : 1;
	}
	return pos;
}

/* Finds the next token from *pos on, and moves *pos behind it. Brackets that
   make no token are passed over. */
static bool next_token(struct span text, size_t *pos, size_t *effort,
		       struct span *token_r)
{
	size_t start, end;
	bool nested;

	while ((start = find_bracket(text, *pos, effort)) < text.len) {
		*pos = ++start;
		if (text.data[start - 1] == '>')
			continue;
		end = find_bracket(text, start, effort);
		if (end == text.len) {
			/* is the end within what only looks like a comment? */
			end = find_bracket(text, start, NULL);
		}
		nested = end < text.len && text.data[end] == '<';
		while (end < text.len && text.data[end] == '<')
			end = find_bracket(text, end + 1, effort);
		*pos = end < text.len ? end + 1 : end;
		*token_r = span_trim(text.data + start, end - start);
		if (!nested && token_r->len > 0)
			return true;
	}
	return false;
}

/* Returns true if the text is a token and no more. */
static bool is_token(struct span text, struct span *token_r)
{
	size_t pos = 0, effort = effort_for(text.len);

	return text.len > 0 && text.data[0] == '<' &&
	       next_token(text, &pos, &effort, token_r) && pos == text.len &&
	       span_trim(text.data + 1, token_r->data - text.data - 1).len == 0;
}

static bool has_bracket(struct span text)
{
	return memchr(text.data, '<', text.len) != NULL ||
	       memchr(text.data, '>', text.len) != NULL;
}

/* Nothing, or nothing but brackets. */
static bool is_empty(struct span text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (!is_space(text.data[i]) && text.data[i] != '<' &&
		    text.data[i] != '>')
			return false;
	}
	return true;
}

/* A value without any token: a closing bracket alone does not count. */
static struct span without_bracket(struct span text)
{
	if (text.len > 0 && text.data[text.len - 1] == '>' &&
	    memchr(text.data, '<', text.len) == NULL &&
	    memchr(text.data, '>', text.len) == text.data + text.len - 1)
		return span_trim(text.data, text.len - 1);
	return text;
}

static bool id_append(struct recall_message_id *id, char c)
{
	if (id->len == RECALL_MESSAGE_ID_MAX)
		return false;
	id->data[id->len++] = c;
	return true;
}

static bool id_append_quoted(struct recall_message_id *id, const char *data,
			     size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (data[i] != '\r' && data[i] != '\n' &&
		    !id_append(id, data[i]))
			return false;
	}
	return true;
}

static bool is_joint(char c)
{
	return c == '.' || c == '@';
}

/* Makes a name of the text. simplify: leaves comments and white space around
   words out. Returns false if the name is too long. */
static bool id_set(struct recall_message_id *id, struct span text,
		   bool simplify, size_t *effort)
{
	size_t skip, i = 0;
	bool space = false;

	id->len = 0;
	while (i < text.len) {
		const char *p = text.data + i;

		skip = !simplify ? 0 : comment_len(p, text.len - i, effort);
		if (skip > 0 || is_space(*p)) {
			space = true;
			i += skip > 0 ? skip : 1;
			continue;
		}
		if (simplify && (is_joint(*p) || (id->len > 0 &&
					is_joint(id->data[id->len - 1]))))
			space = false;
		if (space && id->len > 0 && !id_append(id, ' '))
			return false;
		space = false;
		skip = quoted_len(p, text.len - i, effort);
		if (skip > 0 ? !id_append_quoted(id, p, skip) :
		    !id_append(id, *p))
			return false;
		i += skip > 0 ? skip : 1;
	}
	id->data[id->len] = '\0';
	return true;
}

static bool has_control(struct span text, bool tab_is_space)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		unsigned char c = text.data[i];

		if ((c < 0x20 && !(c == '\t' && tab_is_space)) || c == 0x7f)
			return true;
	}
	return false;
}

enum recall_message_id_error
recall_message_id_parse(const char *data, size_t size,
			struct recall_message_id *id_r)
{
	struct span text, asked = { .data = data, .len = size };
	size_t effort;

	/* the reason given must not depend on what else is wrong: control
	   characters are named first, since they are never a slip */
	if (has_control(asked, true))
		return RECALL_MESSAGE_ID_CONTROL;
	text = span_trim(data, size);
	if (!is_token(text, &asked))
		asked = without_bracket(text);
	/* only a value with more than an id in it was folded */
	if (!has_bracket(asked) && has_control(asked, false))
		return RECALL_MESSAGE_ID_CONTROL;
	if (is_empty(asked))
		return RECALL_MESSAGE_ID_EMPTY;
	if (!has_bracket(text) && memchr(text.data, '@', text.len) == NULL)
		return RECALL_MESSAGE_ID_BARE;
	effort = effort_for(text.len);
	if (!id_set(id_r, asked, false, &effort))
		return RECALL_MESSAGE_ID_TOO_LONG;
	return RECALL_MESSAGE_ID_OK;
}

const char *recall_message_id_strerror(enum recall_message_id_error error)
{
	switch (error) {
	case RECALL_MESSAGE_ID_OK:
		break;
	case RECALL_MESSAGE_ID_EMPTY:
		return "is empty";
	case RECALL_MESSAGE_ID_CONTROL:
		return "has a control character";
	case RECALL_MESSAGE_ID_BARE:
		return "has neither an @ nor angle brackets";
	case RECALL_MESSAGE_ID_TOO_LONG:
		return "is longer than 998 octets";
	}
	return "is valid";
}

/* Calls back for the text, if it makes a name. */
static bool name_call(struct span text, bool simplify, size_t *effort,
		      recall_message_id_callback_t *callback, void *context)
{
	struct recall_message_id id;

	return !id_set(&id, text, simplify, effort) || id.len == 0 ||
	       callback(&id, context);
}

bool recall_message_id_foreach(const char *value, size_t size,
			       recall_message_id_callback_t *callback,
			       void *context)
{
	struct span token, text = span_trim(value, size);
	size_t pos = 0, effort = effort_for(text.len);
	/* that of names is as for one which is asked for */
	size_t name_effort = effort_for(text.len);
	bool found = false;

	while (next_token(text, &pos, &effort, &token)) {
		found = true;
		if (!name_call(token, false, &name_effort, callback,
			       context) ||
		    !name_call(token, true, &name_effort, callback, context))
			return false;
	}
	if (is_token(text, &token))
		return true;
	if (!found)
		text = without_bracket(text);
	name_effort = effort_for(text.len);
	return is_empty(text) ||
	       name_call(text, false, &name_effort, callback, context);
}

static bool first_name(const struct recall_message_id *id, void *context)
{
	memcpy(context, id, sizeof(*id));
	return false;
}

bool recall_message_id_from_header(const char *value, size_t size,
				   struct recall_message_id *id_r)
{
	return !recall_message_id_foreach(value, size, first_name, id_r);
}

static bool other_name(const struct recall_message_id *id, void *context)
{
	const struct recall_message_id *other = context;

	return id->len != other->len ||
	       memcmp(id->data, other->data, id->len) != 0;
}

bool recall_message_id_is_in_header(const struct recall_message_id *id,
				    const char *value, size_t size)
{
	return !recall_message_id_foreach(value, size, other_name,
					  (void *)id);
}
