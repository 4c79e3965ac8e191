#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "journal-db.h"
#include "journal.h"
#include "refresh-family.h"
#include "revocation.h"

/* No token of ours, and no refresh token, lives longer. */
#define KEEP (366 * 86400)
#define BUCKETS 4096

struct entry {
	struct entry *next;
	enum revocation_kind kind;
	char *subject, *tenant;
	int64_t before;
	/* how many there had been by the last one of it */
	uint64_t number;
};

static const char *const kind_names[] = { "jti", "login", "all" };

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
		    (kind == REVOKE_TOKEN ?
		     strcmp((*e)->subject, subject) :
		     strcasecmp((*e)->subject, subject)) == 0)
			break;
	}
	return e;
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
	} else if ((*e)->before < revocation->before) {
		(*e)->before = revocation->before;
	}
	if (revocation->kind != REVOKE_TOKEN)
		(*e)->number = ++revocations;
	empty = false;
	pthread_rwlock_unlock(&lock);
}

/* Returns whether all could be read. */
static bool load(sqlite3 *db)
{
	sqlite3_stmt *stmt = journal_prepare(db,
		"SELECT kind, subject, tenant, "
					     "before FROM revocations");
	struct revocation r;
	const char *kind;
	size_t i;
	int ret;

	while ((ret = journal_step(stmt)) == SQLITE_ROW) {
		kind = journal_text(stmt, 0);
		r.subject = journal_text(stmt, 1);
		r.tenant = journal_text(stmt, 2);
		r.before = sqlite3_column_int64(stmt, 3);
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
			    "tenant, before, made) VALUES (?,?,?,?,?) "
			    "ON CONFLICT DO UPDATE SET "
			    "before = max(before, excluded.before), "
			    "made = excluded.made", "sssii",
			    kind_names[r->kind], r->subject, r->tenant,
			    r->before, now) &&
	       end_refresh_tokens(db, r);
}

static bool add_tokens(sqlite3 *db, const struct strlist *jtis,
		       const char *tenant, int64_t now)
{
	struct revocation token = { .kind = REVOKE_TOKEN, .tenant = tenant };
	bool ret = true;
	size_t i;

	for (i = 0; i < jtis->count && ret; i++) {
		token.subject = jtis->items[i];
		ret = add(db, &token, now);
	}
	return ret;
}

static void remember_tokens(const struct strlist *jtis, const char *tenant)
{
	struct revocation token = { .kind = REVOKE_TOKEN, .tenant = tenant };
	size_t i;

	for (i = 0; i < jtis->count; i++) {
		token.subject = jtis->items[i];
		remember(&token);
	}
}

/* What is revoked until now are all that there are, those too that were issued
   when the clock was ahead: each by itself. */
static bool add_ahead(sqlite3 *db, const struct revocation *r, int64_t now,
		      struct strlist *jtis)
{
	if (r->kind == REVOKE_TOKEN || r->before < now)
		return true;
	return refresh_family_find_ahead(db, r->kind == REVOKE_LOGIN ?
					 r->subject : NULL, r->tenant, now,
					 jtis) &&
	       add_tokens(db, jtis, r->tenant, now);
}

bool revocation_add(const struct revocation *revocation, int64_t now)
{
	sqlite3 *db = journal_lock();
	struct strlist jtis = { NULL, 0, 0 };
	bool ret;

	ret = journal_begin(db, true) && add(db, revocation, now) &&
		add_ahead(db, revocation, now, &jtis);
	ret = journal_end(db, ret);
	/* whoever adds a refresh token after that knows of it */
	if (ret) {
		remember(revocation);
		remember_tokens(&jtis, revocation->tenant);
	}
	journal_unlock();
	strlist_free(&jtis);
	return ret;
}

bool revocation_end_family(sqlite3 *db, const char *login, const char *family,
			   int64_t now, struct strlist *jtis)
{
	return refresh_family_find(db, family, login, now, jtis) &&
	       add_tokens(db, jtis, "", now) &&
	       refresh_family_end(db, family, login);
}

void revocation_remember_family(const struct strlist *jtis)
{
	remember_tokens(jtis, "");
}

bool revocation_add_session(const char *login, const char *family, int64_t now,
			    bool *found_r)
{
	struct strlist jtis = { NULL, 0, 0 };
	sqlite3 *db = journal_lock();
	bool ret;

	/* a token that is used meanwhile would bring another one */
	ret = journal_begin(db, true) &&
		revocation_end_family(db, login, family, now, &jtis);
	ret = journal_end(db, ret);
	if (ret)
		revocation_remember_family(&jtis);
	journal_unlock();
	*found_r = jtis.count > 0;
	strlist_free(&jtis);
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
		if (identity->jti != NULL)
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

void revocations_purge(int64_t now)
{
	sqlite3 *db = journal_lock();

	/* those in memory go with the process */
	(void)journal_exec(db, "DELETE FROM revocations WHERE made < ?", "i",
			   now - KEEP);
	journal_unlock();
}

void revocations_free(void)
{
	struct entry *e;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		while ((e = table[i]) != NULL) {
			table[i] = e->next;
			free(e->subject);
			free(e->tenant);
			free(e);
		}
	}
	empty = true;
}
