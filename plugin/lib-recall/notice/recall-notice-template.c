#include "lib.h"
#include "array.h"
#include "str.h"
#include "unichar.h"
#include "read-full.h"
#include "recall-params.h"
#include "recall-notice-template.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPLATE_SUFFIX ".txt"
/* Far more than any notice needs; a larger file is a mistake. */
#define TEMPLATE_MAX_SIZE (64 * 1024)
/* RFC 5646 recommends to expect at least this much (4.4.1) */
#define LANG_MAX_LEN 35

static const char *const var_names[RECALL_NOTICE_VAR_COUNT] = {
	[RECALL_NOTICE_VAR_SUBJECT] = "subject",
	[RECALL_NOTICE_VAR_FROM] = "from",
	[RECALL_NOTICE_VAR_DATE] = "date",
	[RECALL_NOTICE_VAR_MAILBOX] = "mailbox",
	[RECALL_NOTICE_VAR_COPIES] = "copies",
	[RECALL_NOTICE_VAR_REASON] = "reason",
	[RECALL_NOTICE_VAR_COMMAND] = "command",
	[RECALL_NOTICE_VAR_RECALL_ID] = "recall-id",
	[RECALL_NOTICE_VAR_MESSAGE] = "message",
	[RECALL_NOTICE_VAR_ACTOR] = "actor",
	[RECALL_NOTICE_VAR_TIME] = "time",
	[RECALL_NOTICE_VAR_USERS] = "users",
	[RECALL_NOTICE_VAR_VERDICTS] = "verdicts",
	[RECALL_NOTICE_VAR_TABLE] = "table",
	[RECALL_NOTICE_VAR_MORE] = "more",
};

static const char *const kind_names[RECALL_NOTICE_KIND_COUNT] = {
	[RECALL_NOTICE_KIND_EXPUNGED] = "expunged",
	[RECALL_NOTICE_KIND_READ] = "read",
	[RECALL_NOTICE_KIND_REPORT] = "report",
};

struct template_parser {
	struct recall_notice_template *tmpl;
	pool_t pool;
	unsigned int line_no;
	/* the section that lines belong to, -1 before the first one */
	int section;
	string_t *bodies[RECALL_NOTICE_KIND_COUNT];
};

static void append_subtag(string_t *dest, const char *subtag, bool first)
{
	size_t len = strlen(subtag);

	if (first || (len != 2 && len != 4))
		str_append(dest, t_str_lcase(subtag));
	else if (len == 2)
		str_append(dest, t_str_ucase(subtag));
	else {
		/* a script: Cyrl, Latn */
		str_append_c(dest, i_toupper(subtag[0]));
		str_append(dest, t_str_lcase(subtag + 1));
	}
}

const char *recall_notice_lang_normalize(const char *lang)
{
	string_t *dest = t_str_new(LANG_MAX_LEN + 1);
	const char *const *subtags, *p;
	unsigned int i;

	if (*lang == '\0' || strlen(lang) > LANG_MAX_LEN)
		return NULL;
	subtags = t_strsplit(t_str_replace(lang, '_', '-'), "-");
	for (i = 0; subtags[i] != NULL; i++) {
		size_t len = strlen(subtags[i]);

		if (len == 0 || len > 8 || (i == 0 && len == 1))
			return NULL;
		for (p = subtags[i]; *p != '\0'; p++) {
			if (!i_isalpha(*p) && (i == 0 || !i_isdigit(*p)))
				return NULL;
		}
		if (i > 0)
			str_append_c(dest, '-');
		append_subtag(dest, subtags[i], i == 0);
	}
	return str_c(dest);
}

/* Finds the first placeholder in text: returns where it begins, or NULL if
   there is none. end_r is what follows it; var_r is -1 if it isn't one that is
   known, and -2 for "%%", which stands for one percent sign. */
static const char *
find_var(const char *text, const char **end_r, int *var_r)
{
	const char *p, *name, *end;
	int i;

	for (p = text; (p = strchr(p, '%')) != NULL; p++) {
		if (p[1] == '%') {
			*end_r = p + 2;
			*var_r = -2;
			return p;
		}
		if (p[1] == '{')
			break;
	}
	if (p == NULL)
		return NULL;

	name = p + 2;
	end = name + strcspn(name, "}\n");
	*end_r = *end == '}' ? end + 1 : end;
	*var_r = -1;
	for (i = 0; *end == '}' && i < RECALL_NOTICE_VAR_COUNT; i++) {
		if (strlen(var_names[i]) == (size_t)(end - name) &&
		    memcmp(var_names[i], name, end - name) == 0)
			*var_r = i;
	}
	return p;
}

bool recall_notice_template_expand(string_t *dest, const char *text,
				   const char *const *values)
{
	const char *begin, *end;
	bool complete = TRUE;
	int var;

	while ((begin = find_var(text, &end, &var)) != NULL) {
		str_append_data(dest, text, begin - text);
		text = end;
		if (var == -2) {
			str_append_c(dest, '%');
			continue;
		}
		i_assert(var >= 0);
		if (values[var] != NULL)
			str_append(dest, values[var]);
		else
			complete = FALSE;
	}
	str_append(dest, text);
	return complete;
}

static int
parse_error(struct template_parser *parser, const char **error_r,
	    const char *error)
{
	*error_r = t_strdup_printf("%s: line %u: %s", parser->tmpl->path,
				   parser->line_no, error);
	return -1;
}

static int
check_line(struct template_parser *parser, const char *line,
	   const char **error_r)
{
	const char *p, *end;
	int var;

	for (p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 && *p != '\t')
			return parse_error(parser, error_r,
					   "Control character");
	}
	for (p = line; (p = find_var(p, &end, &var)) != NULL; p = end) {
		if (var == -1) {
			return parse_error(parser, error_r,
				t_strdup_printf("Unknown placeholder: %s",
						t_strdup_until(p, end)));
		}
	}
	return 0;
}

static int
parse_section(struct template_parser *parser, const char *line,
	      const char **error_r)
{
	size_t len = strlen(line);
	int i;

	for (i = 0; i < RECALL_NOTICE_KIND_COUNT; i++) {
		if (strlen(kind_names[i]) == len - 2 &&
		    memcmp(kind_names[i], line + 1, len - 2) == 0)
			break;
	}
	if (i == RECALL_NOTICE_KIND_COUNT) {
		return parse_error(parser, error_r,
			t_strdup_printf("Unknown section: %s", line));
	}
	if (parser->bodies[i] != NULL) {
		return parse_error(parser, error_r,
			t_strdup_printf("Section given twice: %s", line));
	}
	parser->bodies[i] = str_new(parser->pool, 1024);
	parser->section = i;
	return 0;
}

static int
parse_header(struct template_parser *parser, const char *line,
	     const char **error_r)
{
	struct recall_notice_template *tmpl = parser->tmpl;
	const struct {
		const char *name;
		const char **value;
		bool placeholders;
	} headers[] = {
		{ "Subject-expunged",
		  &tmpl->subject[RECALL_NOTICE_KIND_EXPUNGED], TRUE },
		{ "Subject-read",
		  &tmpl->subject[RECALL_NOTICE_KIND_READ], TRUE },
		{ "Subject-report",
		  &tmpl->subject[RECALL_NOTICE_KIND_REPORT], TRUE },
		{ "No-subject", &tmpl->no_subject, FALSE },
		{ "Unknown", &tmpl->unknown, FALSE },
	};
	const char *name, *value;
	unsigned int i;

	if (*line == '\0' || *line == '#')
		return 0;
	value = strchr(line, ':');
	if (value == NULL) {
		return parse_error(parser, error_r,
				   "Expected \"Name: value\" or a section");
	}
	name = t_strdup_until(line, value);
	for (value++; *value == ' ' || *value == '\t'; value++) ;
	for (i = 0; i < N_ELEMENTS(headers); i++) {
		if (strcasecmp(headers[i].name, name) == 0)
			break;
	}
	if (i == N_ELEMENTS(headers)) {
		return parse_error(parser, error_r,
			t_strdup_printf("Unknown header: %s", name));
	}
	if (*headers[i].value != NULL) {
		return parse_error(parser, error_r,
			t_strdup_printf("Header given twice: %s", name));
	}
	if (!headers[i].placeholders && strchr(value, '%') != NULL) {
		return parse_error(parser, error_r,
			t_strdup_printf("%s can't have placeholders", name));
	}
	*headers[i].value = p_strdup(parser->pool, value);
	return 0;
}

static int
parse_line(struct template_parser *parser, const char *line,
	   const char **error_r)
{
	size_t len = strlen(line);

	if (check_line(parser, line, error_r) < 0)
		return -1;
	if (len > 2 && line[0] == '[' && line[len - 1] == ']')
		return parse_section(parser, line, error_r);
	if (parser->section == -1)
		return parse_header(parser, line, error_r);

	/* empty lines before a text and after it don't belong to it: the
	   latter are cut when all is read */
	if (len > 0 || str_len(parser->bodies[parser->section]) > 0) {
		str_append(parser->bodies[parser->section], line);
		str_append_c(parser->bodies[parser->section], '\n');
	}
	return 0;
}

static const char *rtrim(const char *line)
{
	size_t len = strlen(line);

	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
		len--;
	return t_strndup(line, len);
}

static int
parse_finish(struct template_parser *parser, const char **error_r)
{
	struct recall_notice_template *tmpl = parser->tmpl;
	const char *missing = NULL;
	string_t *body;
	int i;

	for (i = 0; i < RECALL_NOTICE_KIND_COUNT && missing == NULL; i++) {
		body = parser->bodies[i];
		if (tmpl->subject[i] == NULL || *tmpl->subject[i] == '\0')
			missing = t_strdup_printf("Subject-%s:", kind_names[i]);
		else if (body == NULL || str_len(body) == 0)
			missing = t_strdup_printf("[%s]", kind_names[i]);
		else {
			while (str_len(body) > 1 &&
			       str_c(body)[str_len(body) - 2] == '\n')
				str_truncate(body, str_len(body) - 1);
			tmpl->body[i] = str_c(body);
		}
	}
	if (missing == NULL && tmpl->no_subject == NULL)
		missing = "No-subject:";
	if (missing == NULL && tmpl->unknown == NULL)
		missing = "Unknown:";
	if (missing != NULL) {
		*error_r = t_strdup_printf("%s: %s is missing or empty",
					   tmpl->path, missing);
		return -1;
	}
	return 0;
}

static int
template_parse(pool_t pool, struct recall_notice_template *tmpl,
	       const char *data, size_t size, const char **error_r)
{
	struct template_parser parser = {
		.tmpl = tmpl,
		.pool = pool,
		.section = -1,
	};
	const char *const *lines;

	if (memchr(data, '\0', size) != NULL ||
	    !uni_utf8_data_is_valid((const unsigned char *)data, size)) {
		*error_r = t_strdup_printf("%s: Not a text in UTF-8",
					   tmpl->path);
		return -1;
	}
	/* some editors begin the file with a byte order mark */
	if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		size -= 3;
	}
	lines = t_strsplit(t_strndup(data, size), "\n");
	for (; *lines != NULL; lines++) {
		parser.line_no++;
		if (parse_line(&parser, rtrim(*lines), error_r) < 0)
			return -1;
	}
	return parse_finish(&parser, error_r);
}

/* Returns 1 if the file was read, 0 if it doesn't exist, -1 on error. */
static int
template_read(const char *path, buffer_t **data_r, const char **error_r)
{
	struct stat st;
	void *data;
	int fd, ret;

	/* not blocking: it must not hang if someone made it a FIFO */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	if (fstat(fd, &st) < 0) {
		*error_r = t_strdup_printf("fstat(%s) failed: %m", path);
		ret = -1;
	} else if (!S_ISREG(st.st_mode)) {
		*error_r = t_strdup_printf("%s: Not a regular file", path);
		ret = -1;
	} else if (st.st_size > TEMPLATE_MAX_SIZE) {
		*error_r = t_strdup_printf("%s: Larger than %u bytes", path,
					   (unsigned int)TEMPLATE_MAX_SIZE);
		ret = -1;
	} else {
		*data_r = t_buffer_create(st.st_size + 1);
		data = buffer_append_space_unsafe(*data_r, st.st_size);
		ret = read_full(fd, data, st.st_size);
		if (ret < 0) {
			*error_r = t_strdup_printf("read(%s) failed: %m", path);
		} else if (ret == 0) {
			*error_r = t_strdup_printf(
				"%s: Changed while it was read", path);
			ret = -1;
		}
	}
	i_close_fd(&fd);
	return ret;
}

const char *recall_notice_template_get_lang(const char *fname)
{
	size_t len = strlen(fname), suffix_len = strlen(TEMPLATE_SUFFIX);
	const char *lang, *norm;

	if (len <= suffix_len ||
	    strcmp(fname + len - suffix_len, TEMPLATE_SUFFIX) != 0)
		return NULL;
	lang = t_strndup(fname, len - suffix_len);
	norm = recall_notice_lang_normalize(lang);
	return norm != NULL && strcmp(norm, lang) == 0 ? lang : NULL;
}

/* Finds the first template by name that is of the language, NULL if there is
   none. */
static int
find_region(const char *dir, const char *language, const char **lang_r,
	    const char **error_r)
{
	size_t language_len = strlen(language);
	struct dirent **entries;
	const char *lang;
	int i, count;

	*lang_r = NULL;
	count = scandir(dir, &entries, NULL, NULL);
	if (count < 0) {
		*error_r = t_strdup_printf("scandir(%s) failed: %m", dir);
		return -1;
	}
	for (i = 0; i < count; i++) {
		lang = recall_notice_template_get_lang(entries[i]->d_name);
		if (lang != NULL &&
		    strncmp(lang, language, language_len) == 0 &&
		    (lang[language_len] == '\0' ||
		     lang[language_len] == '-') &&
		    (*lang_r == NULL || strcmp(lang, *lang_r) < 0))
			*lang_r = lang;
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static const char *template_path(const char *dir, const char *lang)
{
	return t_strconcat(dir, "/", lang, TEMPLATE_SUFFIX, NULL);
}

/* Reads the file that serves the language best: lang_r says which one it is. */
static int
template_find(const char *dir, const char *asked, const char **lang_r,
	      buffer_t **data_r, const char **error_r)
{
	const char *lang, *region;
	int ret;

	lang = recall_notice_lang_normalize(asked);
	if (lang == NULL)
		lang = RECALL_NOTICE_LANG_DEFAULT;
	*lang_r = lang;
	ret = template_read(template_path(dir, lang), data_r, error_r);
	if (ret != 0)
		return ret;

	if (find_region(dir, t_strcut(lang, '-'), &region, error_r) < 0)
		return -1;
	*lang_r = region != NULL ? region : RECALL_NOTICE_LANG_DEFAULT;
	ret = template_read(template_path(dir, *lang_r), data_r, error_r);
	if (ret == 0) {
		*error_r = t_strdup_printf("%s: No such file",
					   template_path(dir, *lang_r));
		ret = -1;
	}
	return ret;
}

int recall_notice_template_load(pool_t pool, const char *dir, const char *lang,
				const struct recall_notice_template **tmpl_r,
				const char **error_r)
{
	struct recall_notice_template *tmpl;
	const char *found;
	buffer_t *data;

	if (template_find(dir, lang, &found, &data, error_r) <= 0)
		return -1;
	tmpl = p_new(pool, struct recall_notice_template, 1);
	tmpl->path = p_strdup(pool, template_path(dir, found));
	tmpl->lang = p_strdup(pool, found);
	if (template_parse(pool, tmpl, data->data, data->used, error_r) < 0)
		return -1;
	*tmpl_r = tmpl;
	return 0;
}
