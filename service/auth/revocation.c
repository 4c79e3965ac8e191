#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "journal-db.h"
#include "journal.h"
#include "refresh-family.h"
#include "revocation.h"
#include "text.h"

/* No token of ours, and no refresh token, lives longer. */
#define KEEP (366 * 86400)
#define BUCKETS 4096

struct entry {
	struct entry *next;
	enum revocation_kind kind;
	char *subject, *tenant;
	int64_t before, expires;
	/* how many there had been by the last one of it */
	uint64_t number;
};

static const char *const kind_names[] = { "jti", "session", "login", "all" };

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct entry *table[BUCKETS];
static bool empty = true;
static uint64_t revocations;

static unsigned int hash_text(unsigned int hash, const char *s)
{
	unsigned char c;

	for (; *s != '\0'; s++) {
		c = *s;
		/* logins are compared without regard to case */
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		hash = (hash ^ c) * 16777619U;
	}
	return (hash ^ 0xff) * 16777619U;
}

static struct entry **find(enum revocation_kind kind, const char *subject,
			   const char *tenant)
{
	unsigned int hash = 2166136261U ^ kind;
	struct entry **e;

	hash = hash_text(hash_text(hash, subject), tenant);
	for (e = &table[hash % BUCKETS]; *e != NULL; e = &(*e)->next) {
		if ((*e)->kind == kind && strcmp((*e)->tenant, tenant) == 0 &&
		    (kind == REVOKE_LOGIN ?
		     strcasecmp((*e)->subject, subject) :
		     strcmp((*e)->subject, subject)) == 0)
			break;
	}
	return e;
}

static void free_entry(struct entry *e)
{
	free(e->subject);
	free(e->tenant);
	free(e);
}

static void remember(const struct revocation *revocation)
{
	struct entry **e;

	pthread_rwlock_wrlock(&lock);
	e = find(revocation->kind, revocation->subject, revocation->tenant);
	if (*e == NULL) {
		*e = x_calloc(1, sizeof(**e));
		(*e)->kind = revocation->kind;
		(*e)->subject = x_strdup(revocation->subject);
		(*e)->tenant = x_strdup(revocation->tenant);
		(*e)->before = revocation->before;
		(*e)->expires = revocation->expires;
	} else {
		if ((*e)->before < revocation->before)
			(*e)->before = revocation->before;
		if (revocation->expires == 0 ||
		    ((*e)->expires != 0 && (*e)->expires < revocation->expires))
			(*e)->expires = revocation->expires;
	}
	if (revocation->kind == REVOKE_LOGIN || revocation->kind == REVOKE_ALL)
		(*e)->number = ++revocations;
	empty = false;
	pthread_rwlock_unlock(&lock);
}

/* Returns whether all could be read. */
static bool load(sqlite3 *db)
{
	sqlite3_stmt *stmt = journal_prepare(db,
		"SELECT kind, subject, tenant, before, expires "
		"FROM revocations");
	struct revocation r;
	const char *kind;
	size_t i;
	int ret;

	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		kind = journal_text(stmt, 0);
		r.subject = journal_text(stmt, 1);
		r.tenant = journal_text(stmt, 2);
		r.before = sqlite3_column_int64(stmt, 3);
		r.expires = sqlite3_column_int64(stmt, 4);
		for (i = 0; i <= REVOKE_ALL; i++) {
			if (strcmp(kind_names[i], kind) == 0) {
				r.kind = i;
				remember(&r);
			}
		}
	}
	journal_release(stmt);
	return ret == SQLITE_DONE;
}

bool revocations_load(void)
{
	bool ret = load(journal_lock());

	journal_unlock();
	return ret;
}

static bool end_refresh_tokens(sqlite3 *db, const struct revocation *r)
{
	switch (r->kind) {
	case REVOKE_TOKEN:
		return refresh_family_end_access(db, r->subject, r->tenant);
	case REVOKE_SESSION:
		/* done by who knows whose it is */
		return true;
	case REVOKE_LOGIN:
		return refresh_family_end_login(db, r->subject, r->tenant,
						r->before);
	case REVOKE_ALL:
		break;
	}
	return refresh_family_end_login(db, NULL, r->tenant, r->before);
}

static bool add(sqlite3 *db, const struct revocation *r, int64_t now)
{
	return journal_exec(db, "INSERT INTO revocations (kind, subject, "
			    "tenant, before, made, expires) "
			    "VALUES (?,?,?,?,?,?) "
			    "ON CONFLICT DO UPDATE SET "
			    "before = max(before, excluded.before), "
			    "made = excluded.made, expires = "
			    "CASE WHEN min(expires, excluded.expires) = 0 "
			    "THEN 0 ELSE max(expires, excluded.expires) END",
			    "sssiii", kind_names[r->kind], r->subject,
			    r->tenant, r->before, now, r->expires) &&
	       end_refresh_tokens(db, r);
}

/* Does the same with each of these tokens. */
static bool add_tokens(sqlite3 *db, const struct strlist *jtis,
		       const struct revocation *like, int64_t now)
{
	struct revocation token = *like;
	bool ret = true;
	size_t i;

	token.kind = REVOKE_TOKEN;
	for (i = 0; i < jtis->count && ret; i++) {
		token.subject = jtis->items[i];
		ret = add(db, &token, now);
	}
	return ret;
}

static void remember_tokens(const struct strlist *jtis,
			    const struct revocation *like)
{
	struct revocation token = *like;
	size_t i;

	token.kind = REVOKE_TOKEN;
	for (i = 0; i < jtis->count; i++) {
		token.subject = jtis->items[i];
		remember(&token);
	}
}

/* What is revoked until now are all that there are, those too that were issued
   when the clock was ahead: each by itself. */
static bool find_ahead(sqlite3 *db, const struct revocation *r, int64_t now,
		       struct strlist *jtis)
{
	if ((r->kind != REVOKE_LOGIN && r->kind != REVOKE_ALL) ||
	    r->before < now)
		return true;
	return refresh_family_find_ahead(db, r->kind == REVOKE_LOGIN ?
					 r->subject : NULL, r->tenant, now,
					 jtis);
}

/* Whether it is of something that the journal knows: there are no more of those
   than were issued. */
static bool is_known(sqlite3 *db, struct revocation *r, bool *known_r)
{
	if (r->kind == REVOKE_TOKEN) {
		if (r->expires == 0 &&
		    !refresh_family_access(db, r->subject, r->tenant,
					   &r->expires))
			return false;
		*known_r = r->expires != 0;
		return true;
	}
	*known_r = true;
	return r->kind != REVOKE_LOGIN ||
		refresh_family_has_login(db, r->subject, r->tenant, known_r);
}

/* Who may make names up must not fill the journal, and the memory, with
   them. */
static enum revocation_result
check_place(sqlite3 *db, struct revocation *r)
{
	sqlite3_stmt *stmt;
	bool known, full;
	int ret;

	if (!is_known(db, r, &known))
		return REVOCATION_FAILED;
	/* a super administrator's, or own ones */
	if (known || *r->tenant == '\0')
		return REVOCATION_OK;
	stmt = journal_prepare(db, "SELECT count(*) FROM revocations WHERE "
			       "tenant = ?1 AND (kind <> ?2 OR subject <> ?3)");
	journal_bind_text(stmt, 1, r->tenant);
	journal_bind_text(stmt, 2, kind_names[r->kind]);
	journal_bind_text(stmt, 3, r->subject);
	ret = journal_step(stmt);
	full = ret == SQLITE_ROW &&
		sqlite3_column_int64(stmt, 0) >= REVOCATION_UNKNOWN_MAX;
	journal_release(stmt);
	return ret != SQLITE_ROW ? REVOCATION_FAILED :
		full ? REVOCATION_FULL : REVOCATION_OK;
}

/* What waits for approval, and was asked for when the clock was ahead, was
   asked for before. */
static bool set_back_recalls(sqlite3 *db, const struct revocation *r,
			     int64_t now)
{
	if ((r->kind != REVOKE_LOGIN && r->kind != REVOKE_ALL) ||
	    r->before < now)
		return true;
	return journal_exec(db, "UPDATE recalls SET "
			    "created = min(created, ?3), "
			    "issued = min(issued, ?3) WHERE "
			    "approval = 'pending' AND "
			    "max(created, issued) > ?3 AND "
			    "(?1 IS NULL OR actor = ?1 COLLATE NOCASE) AND "
			    "(?2 = '' OR (tenant = ?2 AND role <> 3))", "ssi",
			    r->kind == REVOKE_LOGIN ? r->subject : NULL,
			    r->tenant, now);
}

static enum revocation_result
revoke(sqlite3 *db, struct revocation *r, int64_t now, struct strlist *jtis)
{
	enum revocation_result result;

	if (!journal_begin(db, true))
		return REVOCATION_FAILED;
	result = check_place(db, r);
	if (result == REVOCATION_OK &&
	    (!add(db, r, now) || !find_ahead(db, r, now, jtis) ||
	     !add_tokens(db, jtis, r, now) || !set_back_recalls(db, r, now)))
		result = REVOCATION_FAILED;
	return result;
}

enum revocation_result
revocation_add(const struct revocation *revocation, int64_t now)
{
	/* a login in other letters is the same one */
	char *subject = revocation->kind == REVOKE_LOGIN ?
		ascii_lower(revocation->subject) :
		x_strdup(revocation->subject);
	struct strlist jtis = { NULL, 0, 0 };
	struct revocation r = *revocation;
	enum revocation_result result;
	sqlite3 *db = journal_lock();

	r.subject = subject;
	result = revoke(db, &r, now, &jtis);
	if (!journal_end(db, result == REVOCATION_OK) &&
	    result == REVOCATION_OK)
		result = REVOCATION_FAILED;
	/* whoever adds a refresh token after that knows of it */
	if (result == REVOCATION_OK) {
		remember(&r);
		remember_tokens(&jtis, &r);
	}
	journal_unlock();
	strlist_free(&jtis);
	free(subject);
	return result;
}

static struct revocation of_family(const struct refresh_family *family)
{
	return (struct revocation) {
		.kind = REVOKE_SESSION,
		.subject = family->id,
		.tenant = "",
		.expires = family->expires,
	};
}

bool revocation_end_family(sqlite3 *db, const char *login, const char *id,
			   int64_t now, struct refresh_family *family_r)
{
	struct revocation session;

	if (!refresh_family_find(db, id, login, now, family_r))
		return false;
	session = of_family(family_r);
	return (!family_r->named || add(db, &session, now)) &&
	       add_tokens(db, &family_r->jtis, &session, now) &&
	       refresh_family_end(db, id, login);
}

void revocation_remember_family(const struct refresh_family *family)
{
	const struct revocation session = of_family(family);

	if (family->named)
		remember(&session);
	remember_tokens(&family->jtis, &session);
}

bool revocation_add_session(const char *login, const char *id, int64_t now,
			    bool *found_r)
{
	sqlite3 *db = journal_lock();
	struct refresh_family family;
	bool ret;

	memset(&family, 0, sizeof(family));
	/* a token that is used meanwhile would bring another one */
	ret = journal_begin(db, true) &&
		revocation_end_family(db, login, id, now, &family);
	ret = journal_end(db, ret);
	if (ret)
		revocation_remember_family(&family);
	journal_unlock();
	*found_r = family.found;
	refresh_family_free(&family);
	return ret;
}

static int64_t until(const struct identity *identity, const char *tenant)
{
	const struct entry *login = *find(REVOKE_LOGIN, identity->login,
					  tenant);
	const struct entry *all = *find(REVOKE_ALL, "", tenant);
	int64_t before = login == NULL ? -1 : login->before;

	return all != NULL && all->before > before ? all->before : before;
}

/* What was revoked for a tenant reaches what belongs to it. */
static bool has_tenant(const struct identity *identity)
{
	return *identity->tenant != '\0' && identity->role != ROLE_SUPER;
}

static int64_t until_all(const struct identity *identity)
{
	int64_t any = until(identity, "");
	int64_t own = has_tenant(identity) ?
		until(identity, identity->tenant) : -1;

	return any > own ? any : own;
}

bool revocation_applies(const struct identity *identity)
{
	bool ret = false;

	pthread_rwlock_rdlock(&lock);
	if (!empty) {
		if (identity->session != NULL)
			ret = *find(REVOKE_SESSION, identity->session, "") !=
				NULL;
		if (identity->jti != NULL && !ret)
			ret = *find(REVOKE_TOKEN, identity->jti, "") != NULL ||
			      (has_tenant(identity) &&
			       *find(REVOKE_TOKEN, identity->jti,
				     identity->tenant) != NULL);
		/* -1 is one that does not say when it was issued */
		ret = ret || (until_all(identity) >= 0 &&
			      identity->issued <= until_all(identity));
	}
	pthread_rwlock_unlock(&lock);
	return ret;
}

int64_t revocation_until(const struct identity *identity)
{
	int64_t ret;

	pthread_rwlock_rdlock(&lock);
	ret = empty ? -1 : until_all(identity);
	pthread_rwlock_unlock(&lock);
	return ret;
}

uint64_t revocation_count(void)
{
	uint64_t count;

	pthread_rwlock_rdlock(&lock);
	count = revocations;
	pthread_rwlock_unlock(&lock);
	return count;
}

static bool is_since(const struct identity *identity, const char *tenant,
		     uint64_t count)
{
	const struct entry *login = *find(REVOKE_LOGIN, identity->login,
					  tenant);
	const struct entry *all = *find(REVOKE_ALL, "", tenant);

	return (login != NULL && login->number > count) ||
		(all != NULL && all->number > count);
}

bool revocation_since(const struct identity *identity, uint64_t count)
{
	bool ret;

	pthread_rwlock_rdlock(&lock);
	ret = is_since(identity, "", count) ||
		(has_tenant(identity) &&
		 is_since(identity, identity->tenant, count));
	pthread_rwlock_unlock(&lock);
	return ret;
}

/* Others go with the process. */
static void forget_expired(int64_t before)
{
	struct entry **e, *gone;
	size_t i;

	pthread_rwlock_wrlock(&lock);
	for (i = 0; i < BUCKETS; i++) {
		for (e = &table[i]; *e != NULL; ) {
			if ((*e)->expires == 0 || (*e)->expires >= before) {
				e = &(*e)->next;
				continue;
			}
			gone = *e;
			*e = gone->next;
			free_entry(gone);
		}
	}
	pthread_rwlock_unlock(&lock);
}

void revocations_purge(int64_t now)
{
	sqlite3 *db = journal_lock();

	(void)journal_exec(db, "DELETE FROM revocations WHERE CASE expires "
			   "WHEN 0 THEN made < ? ELSE expires < ? END", "ii",
			   now - KEEP, now - REVOCATION_KEEP_EXPIRED);
	forget_expired(now - REVOCATION_KEEP_EXPIRED);
	journal_unlock();
}

void revocations_free(void)
{
	struct entry *e;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		while ((e = table[i]) != NULL) {
			table[i] = e->next;
			free_entry(e);
		}
	}
	empty = true;
}
