"""mail-recalld: one's own sessions, listed and ended."""

import base64
import contextlib
import json
import sqlite3
import time

import pytest

from mailnode import PASSWORD
from servicenode import RecallNode, Service
from answers import check_described

PEOPLE = {"user@red.example": "2", "adm@red.example": "1",
          "root@example.com": "3"}


@pytest.fixture(scope="module")
def node():
    with RecallNode(users={login: {"role": role} for login, role in
                           PEOPLE.items()},
                    extra="auth_failure_delay = 0\n") as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def service(node):
    with Service(node) as service:
        yield service


def sign_in(service, login, *args):
    answer = service.curl("/v2/auth", "-d", "login=" + login, "-d",
                          "password=" + PASSWORD, *args)
    assert answer.status == 200, answer
    return answer.json()


def refresh(service, tokens):
    return service.curl("/v2/auth", "-d", "refresh_token=" +
                        tokens["refresh_token"],
                        token=tokens["access_token"])


def sessions(service, tokens):
    answer = service.curl("/v2/auth/sessions", token=tokens["access_token"])
    assert answer.status == 200, answer
    check_described("/v2/auth/sessions", "get", answer)
    return answer.json()["sessions"]


def end(service, tokens, session):
    answer = service.curl("/v2/auth/sessions/" + session, "-X", "DELETE",
                          token=tokens["access_token"])
    check_described("/v2/auth/sessions/{id}", "delete", answer)
    return answer


def is_good(service, tokens):
    return service.curl("/v2/auth/sessions",
                        token=tokens["access_token"]).status == 200


@pytest.mark.parametrize("login", PEOPLE)
def test_own_sessions(service, login):
    first = sign_in(service, login)
    second = sign_in(service, login)
    other = sign_in(service, [x for x in PEOPLE if x != login][0])
    listed = sessions(service, second)
    assert [s["current"] for s in listed].count(True) == 1
    assert len(listed) == 2
    assert all(s["address"] == "127.0.0.1" and
               s["created"] <= s["used"] < s["expires"] for s in listed)
    # the same session after a refresh
    mine, = [s["id"] for s in listed if s["current"]]
    renewed = refresh(service, second).json()
    again, = [s for s in sessions(service, renewed) if s["current"]]
    assert again["id"] == mine
    theirs, = [s["id"] for s in sessions(service, first)
               if s["id"] != mine]
    assert end(service, renewed, theirs).status == 200
    # it ends at once, and cannot be renewed
    assert not is_good(service, first)
    assert refresh(service, first).status == 401
    assert [s["id"] for s in sessions(service, renewed)] == [mine]
    event, = [line for line in service.audit() if "|session-end|" in line]
    assert "suser=" + login in event and \
        "externalId=" + theirs in event
    # one's own, with the tokens before the last refresh
    assert end(service, renewed, mine).status == 200
    assert not is_good(service, renewed) and not is_good(service, second)
    assert refresh(service, renewed).status == 401
    # nobody else's is touched
    assert is_good(service, other)


@pytest.mark.parametrize("login", PEOPLE)
def test_not_those_of_others(service, login):
    """Not even a super administrator's: that is a revocation's business."""
    mine = sign_in(service, login)
    for name in PEOPLE.keys() - {login}:
        other = sign_in(service, name)
        theirs, = [s["id"] for s in sessions(service, other) if s["current"]]
        assert theirs not in [s["id"] for s in sessions(service, mine)]
        assert end(service, mine, theirs).status == 404
        assert is_good(service, other)
        event = service.audit()[-1]
        assert "|session-end-refused|" in event and "cn1=404" in event


def test_where_from(node):
    with Service(node, http__trusted_proxies="127.0.0.1") as service:
        login = "user@red.example"
        first = sign_in(service, login, "-H", "X-Forwarded-For: 192.0.2.7")
        one, = sessions(service, first)
        assert one["address"] == "192.0.2.7"
        tokens = service.curl("/v2/auth", "-d", "refresh_token=" +
                              first["refresh_token"], "-H",
                              "X-Forwarded-For: 2001:db8::1",
                              token=first["access_token"]).json()
        one, = sessions(service, tokens)
        assert one["address"] == "2001:db8::1" and one["current"]
        # one address is written in one way, whatever the proxy does
        for hop, address in (("::ffff:192.0.2.9", "192.0.2.9"),
                             ("2001:DB8:0:0::2", "2001:db8::2")):
            tokens = sign_in(service, login, "-H", "X-Forwarded-For: " + hop)
            one, = [each for each in sessions(service, tokens)
                    if each["current"]]
            assert one["address"] == address


def test_ended_ones_stay_ended(service):
    login = "user@red.example"
    first, second = sign_in(service, login), sign_in(service, login)
    gone, = [s["id"] for s in sessions(service, first) if s["current"]]
    assert end(service, second, gone).status == 200
    service.stop()
    service.start()
    assert not is_good(service, first)
    assert len(sessions(service, second)) == 1
    for session in gone, "0" * 32, "x":
        assert end(service, second, session).status == 404
    # one's own sign-out, too, is seen
    third = sign_in(service, login)
    service.curl("/v2/auth", "-X", "DELETE", "-d", "refresh_token=" +
                 third["refresh_token"], token=third["access_token"])
    assert len(sessions(service, second)) == 1


def sign_out(service, tokens, access):
    return service.curl("/v2/auth", "-X", "DELETE", "-d", "refresh_token=" +
                        tokens["refresh_token"], token=access)


CONSOLE = "-H", "X-Recall-Console: 1"


@pytest.mark.parametrize("how", ["new", "old", "console", "twice"])
def test_sign_out_ends_what_came_before(service, how):
    """All access tokens of the session, not only the one that is shown."""
    login = "user@red.example"
    other = sign_in(service, login)
    if how == "console":
        answer = service.curl("/console/session", *CONSOLE, "-d", "login=" +
                              login, "-d", "password=" + PASSWORD)
        old, cookie = answer.json(), answer.cookies["recall_session"]
        answer = service.curl("/console/session", "-X", "POST", *CONSOLE, "-H",
                              "Cookie: " + cookie.split(";")[0])
        new, cookie = answer.json(), answer.cookies["recall_session"]
    else:
        old = sign_in(service, login)
        new = refresh(service, old).json()
    assert is_good(service, old) and is_good(service, new)
    if how == "console":
        answer = service.curl("/console/session", "-X", "DELETE", *CONSOLE,
                              "-H", "Cookie: " + cookie.split(";")[0])
        assert answer.status == 200
    elif how == "twice":
        assert refresh(service, old).status == 401
        assert refresh(service, new).status == 401
    else:
        access = {"new": new, "old": old}[how]["access_token"]
        assert sign_out(service, new, access).status == 200
    assert not is_good(service, old) and not is_good(service, new)
    assert is_good(service, other)
    service.kill()
    service.start()
    assert not is_good(service, old) and not is_good(service, new)
    assert len(sessions(service, other)) == 1


def journal(service, sql, *args):
    with contextlib.closing(sqlite3.connect(
            service.dir / "journal.db")) as db, db:
        return db.execute(sql, args).fetchall()


def claims(tokens):
    part = tokens["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def sign_in_and_refresh(service, times):
    had = [sign_in(service, "user@red.example")]
    for _ in range(times):
        had.append(refresh(service, had[-1]).json())
    return had


@pytest.mark.parametrize("how", ["sign-out", "twice"])
def test_a_session_leaves_one_row(service, how):
    """Whoever signs in, refreshes and signs out, again and again, would fill the
    journal, and the memory, otherwise."""
    for cycle in range(1, 4):
        had = sign_in_and_refresh(service, 5)
        if how == "twice":
            for tokens in had[0], had[-1], had[0]:
                assert refresh(service, tokens).status == 401
        else:
            assert sign_out(service, had[-1],
                            had[cycle]["access_token"]).status == 200
        assert not any(is_good(service, tokens) for tokens in had)
        found = journal(service, "SELECT kind, expires FROM revocations")
        assert [kind for kind, _ in found] == ["session"] * cycle
        assert all(expires > time.time() for _, expires in found)
        assert journal(service, "SELECT * FROM refresh_tokens") == []
    # until its last token could not be good any more
    service.stop()
    journal(service, "UPDATE revocations SET expires = ?",
            int(time.time()) - 86400 - 60)
    service.start()
    assert journal(service, "SELECT * FROM revocations") == []


def test_sign_out_with_a_token_of_another_session(service):
    """Which ends, too: one row each."""
    one, other = [sign_in_and_refresh(service, 2) for _ in "12"]
    assert sign_out(service, one[-1], other[1]["access_token"]).status == 200
    assert not any(is_good(service, tokens) for tokens in one + other)
    assert refresh(service, other[-1]).status == 401
    assert journal(service, "SELECT kind FROM revocations") == \
        [("session",)] * 2
    # one that another issuer has made ends by itself, until it expires
    tokens = sign_in(service, "user@red.example")
    now = int(time.time())
    token = service.token("user@red.example", 2, "red", jti="theirs",
                          sid="theirs", exp=now + 900)
    assert sign_out(service, tokens, token).status == 200
    assert not is_good(service, {"access_token": token})
    assert is_good(service, {"access_token": service.token(
        "user@red.example", 2, "red", jti="theirs, too", sid="theirs")})
    assert journal(service, "SELECT subject, expires FROM revocations "
                   "WHERE kind = 'jti'") == [("theirs", now + 900)]


@pytest.mark.parametrize("how", ["sign-out", "twice", "end"])
def test_tokens_of_the_version_before(service, how):
    """They do not name their session, and are good, and end, as they did."""
    old = sign_in(service, "user@red.example")
    jti = claims(old)["jti"]
    journal(service, "UPDATE refresh_tokens SET named = 0")
    old["access_token"] = service.token("user@red.example", 2, "red", jti=jti)
    new = refresh(service, old).json()
    mine, = sessions(service, new)
    assert mine["id"] == claims(new)["sid"]
    assert is_good(service, old)
    if how == "sign-out":
        assert sign_out(service, new, old["access_token"]).status == 200
    elif how == "twice":
        assert refresh(service, old).status == 401
    else:
        assert end(service, new, mine["id"]).status == 200
    for _ in range(2):
        assert not is_good(service, old) and not is_good(service, new)
        service.kill()
        service.start()
    assert sorted(journal(service, "SELECT kind, subject FROM revocations")) \
        == [("jti", jti), ("session", mine["id"])]


def test_tokens_of_a_session_have_a_limit(service):
    tokens = sign_in(service, "user@red.example")
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db",
                                            isolation_level=None)) as db:
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO refresh_tokens (hash, family, login, expires, used, "
            "tenant, jti, created, access_expires) SELECT ?, family, login, "
            "expires, 1, tenant, ?, created, access_expires FROM "
            "refresh_tokens WHERE used = 0",
            [("x%d" % i, "x%d" % i) for i in range(999)])
        db.execute("COMMIT")
        answer = refresh(service, tokens)
        assert (answer.status, answer.json()) == (
            429, {"message": "TOO MANY REFRESHES"})
        assert answer.headers["retry-after"] == "60"
        check_described("/v2/auth", "post", answer)
        # it is not used up by that
        db.execute("UPDATE refresh_tokens SET access_expires = 1 WHERE "
                   "jti = 'x0'")
    assert refresh(service, tokens).status == 200


def test_expired_tokens_are_forgotten(node):
    """They are no use: used ones, and those of sessions that are over."""
    with Service(node) as service:
        lasts, over = [sign_in(service, "user@red.example") for _ in "12"]
        for _ in range(3):
            lasts = refresh(service, lasts).json()
        before = [s for s in sessions(service, lasts) if s["current"]]
        service.stop()
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db, db:
            [[family]] = db.execute("SELECT family FROM refresh_tokens WHERE "
                                    "used = 1 GROUP BY family")
            # long ago, but for the last one; and one each whose access token
            # lasts, that has expired just now, and that has before
            db.execute("UPDATE refresh_tokens SET expires = 100000, "
                       "access_expires = 100000 WHERE used = 1 OR "
                       "family <> ?", (family,))
            db.execute("UPDATE refresh_tokens SET created = created - 5 "
                       "WHERE hash = (SELECT hash FROM "
                       "refresh_tokens WHERE family = ? AND used = 1 "
                       "ORDER BY created LIMIT 1)",
                       (family,))
            db.executemany(
                "INSERT INTO refresh_tokens (hash, family, login, expires, "
                "access_expires, created) VALUES (?,?,'x@y',?,?,1)", [
                    ("a", "a", 100000, time.time() + 3600),
                    ("b", "b", time.time() - 3600, 100000),
                    ("c", "c", time.time() - 90000, time.time() - 90000)])
        service.start()
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            left = db.execute("SELECT family, used, hash FROM refresh_tokens "
                              "ORDER BY family, used").fetchall()
        assert [row[:2] for row in left if row[0] == family] == \
            [(family, 0), (family, 1)]
        assert {row[2] for row in left if row[0] != family} == {"a", "b"}
        # since when it lasts is known still
        after = [s for s in sessions(service, lasts) if s["current"]]
        assert after[0]["created"] == before[0]["created"] - 5
        assert refresh(service, over).status == 401


def test_a_token_of_another_issuer_has_none(service):
    tokens = {"access_token": service.token("user@red.example", 2)}
    assert sessions(service, tokens) == []
    sign_in(service, "user@red.example")
    one, = sessions(service, tokens)
    assert one["current"] is False
    assert service.curl("/v2/auth/sessions").status == 401


def test_journal_that_fails_costs_no_session(service):
    """A refresh token is used up, and followed by the next one, at once or not
    at all; a second time it is no good all the same."""
    tokens = sign_in(service, "user@red.example")
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db")) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON refresh_tokens BEGIN "
                   "SELECT RAISE(FAIL, 'full'); END")
        assert refresh(service, tokens).status == 503
        db.execute("DROP TRIGGER full")
    answer = refresh(service, tokens)
    assert answer.status == 200, answer
    assert len(sessions(service, answer.json())) == 1
    assert refresh(service, tokens).status == 401
    assert refresh(service, answer.json()).status == 401
