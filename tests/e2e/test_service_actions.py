"""mail-recalld: search, fetch, recall by query, restore, shared mailboxes."""

import contextlib
import itertools
import json
import os
import re
import signal
import sqlite3
import time
import urllib.parse

import pytest

from answers import (ACTIONS, FORBIDDEN, ROOT, ask,
                     check_described, has, message, pages, root, statuses)
from faults import doveadm_children
from mailnode import SRCDIR, build_message, imap_quote
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service

ADMIN = "admin@red.example"
STAFF = "staff@red.example"
FIXED = {ROOT: {"role": "3"}, ADMIN: {"role": "1", "tenant_id": "red"},
         STAFF: {"acl_groups": "staff"}}
RED = ["red%02d@red.example" % i for i in range(200)]
BLUE = ["blue%02d@blue.example" % i for i in range(30)]
SHARES = "/v2/mailboxes/{owner}/shares"

reds, blues, numbers = iter(RED), iter(BLUE), itertools.count(1)


@pytest.fixture(scope="module")
def node():
    users = dict(FIXED)
    users.update({user: {"tenant_id": "red"} for user in RED})
    users.update({user: {"tenant_id": "blue"} for user in BLUE})
    with RecallNode(users=users, acl=True,
                    plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes",
                 auth__force_revoke="no") as service:
        yield service


@pytest.fixture
def user(node):
    return next(reds)


@pytest.fixture
def other(node):
    return next(reds)


@pytest.fixture
def stranger(node):
    return next(blues)


def admin(service):
    return service.token(ADMIN, 1, "red")


def own(service, user):
    return service.token(user, 2, "red")


def new_id():
    return "<%d.actions@example.com>" % next(numbers)


def deliver(node, users, subject="offer", sender="sender@example.com",
            body="Dear customer\n"):
    messageid = new_id()
    node.lmtp_deliver(users, build_message(messageid, sender=sender,
                                           subject=subject, body=body))
    return messageid


def ask_json(service, token, path=ACTIONS, method="POST", **params):
    return service.curl(path, "-X", method, "-H",
                        "Content-Type: application/json", "-d",
                        json.dumps(params), token=token)


def assert_forbidden(answer):
    assert (answer.status, answer.body) == (403, FORBIDDEN)


@contextlib.contextmanager
def audited(service, *parts, lines=1):
    """What is done within leaves so many lines, and one has all these parts."""
    since = len(service.audit())
    yield
    new = service.audit()[since:]
    assert len(new) == lines, new
    assert any(all(part in line for part in parts) for line in new), new


# search

def test_search_by_id(node, service, user, other):
    messageid = deliver(node, [user, other], subject="Здравствуйте")
    node.set_flags(other, "INBOX", ["\\Seen"])
    with audited(service, "|search|Message search|", "suser=" + ROOT,
                 "outcome=success", "cs1Label=messageid cs1=" + messageid,
                 "cs2=%s,%s" % (user, other),
                 "flexNumber2Label=messages flexNumber2=2", "src=127.0.0.1"):
        answer = ask(service, root(service), cmd="search",
                     messageid=messageid, emails=[user, other])
    assert answer.status == 200
    body = answer.json()
    assert (body["success"], body["more"], body["errors"]) == \
        (True, False, [])
    assert "next" not in body
    first, second = body["results"]
    assert (first["email"], second["email"]) == (user, other)
    assert (first["seen"], second["seen"]) == (False, True)
    assert first["mailbox"] == "INBOX" and first["uid"] == 1
    assert first["messageid"] == messageid.strip("<>")
    assert first["subject"] == "Здравствуйте"
    assert "sender@example.com" in first["from"]
    assert isinstance(first["size"], int) and len(first["mailbox-guid"]) == 32
    assert "error" not in first
    check_described(ACTIONS, "post", answer)


@pytest.mark.parametrize("way", ["form", "repeated", "json"])
def test_search_by_query(node, service, user, way):
    deliver(node, [user], subject="[SPAM] one")
    wanted = deliver(node, [user], subject="[SPAM] two")
    words = ["SUBJECT", "[SPAM]", "SUBJECT", "two"]
    token = root(service)
    if way == "form":
        answer = ask(service, token, cmd="search", query=words, emails=user)
    elif way == "json":
        answer = ask_json(service, token, cmd="search", query=words,
                          emails=[user])
    else:
        data = itertools.chain.from_iterable(
            ("--data-urlencode", "query=" + word) for word in words)
        answer = service.curl(ACTIONS, *data, "-d", "cmd=search", "-d",
                              "emails=" + user, token=token)
    assert [row["messageid"] for row in answer.json()["results"]] == \
        [wanted.strip("<>")]


def test_search_tells_of_those_it_cannot_look_at(node, service, user):
    messageid = deliver(node, [user])
    answer = ask(service, root(service), cmd="search", messageid=messageid,
                 emails=["nobody@example.com", user])
    body = answer.json()
    assert body["success"] is False
    assert [row["email"] for row in body["results"]] == [user]
    error, = body["errors"]
    assert error["email"] == "nobody@example.com"
    assert error["error"].startswith("User doesn't exist")
    check_described(ACTIONS, "post", answer)


@pytest.mark.parametrize("limit, sizes", [
    (1, [1] * 8), (3, [3, 3, 2]), (4, [4, 4]), (7, [7, 1]), (8, [8]),
    (1000, [8])])
@pytest.mark.parametrize("batch", [1, 2, 500])
def test_pages(node, service, paged, batch, limit, sizes):
    users, ids = paged
    service.set(doveadm__batch=batch)
    assert service.reload() == "reloaded"
    try:
        found = pages(service, root(service), cmd="search",
                      query=["SUBJECT", "paged"], emails=users, limit=limit)
    finally:
        service.set(doveadm__batch=None)
        service.reload()
    assert [len(page) for page in found] == sizes
    rows = [(row["email"], row["messageid"]) for page in found
            for row in page]
    assert rows == ids


@pytest.fixture(scope="module")
def paged(node):
    """Users, some without any, and all (user, id) in order."""
    users = [next(reds) for _ in range(5)]
    ids = []
    for user, count in zip(users, (0, 3, 1, 0, 4)):
        for number in range(count):
            ids.append((user, deliver(node, [user], "paged").strip("<>")))
    return users, ids


def test_pages_of_everyone(node, service, paged):
    users, ids = paged
    found = pages(service, root(service), cmd="search",
                  query=["SUBJECT", "paged"], all=1, limit=3)
    assert [len(page) for page in found] == [3, 3, 2]
    assert sorted((row["email"], row["messageid"]) for page in found
                  for row in page) == sorted(ids)


def test_pages_of_several_nodes(node, service, user, stranger):
    """What [nodes] sends elsewhere comes in the same pages."""
    messageid = deliver(node, [user, stranger], "elsewhere")
    two = node.http_url.replace("127.0.0.1", "localhost")
    with Service(node, text="[nodes]\nb = %s blue.example\n" % two) as \
            several:
        for who in {"emails": [stranger, user]}, {"all": 1}:
            found = pages(several, root(several), cmd="search",
                          messageid=messageid, limit=1, **who)
            # the nodes are asked in turn
            assert sorted(row["email"] for page in found for row in page) == \
                sorted([user, stranger])
            assert [len(page) for page in found] == [1, 1]


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".a", "-1.a@b", "1.*9",
                                    "9" * 20 + ".a@b", "0.other@example.com"])
def test_wrong_cursor(service, user, cursor):
    for who in {"emails": [user]}, {"all": 1}:
        answer = ask(service, root(service), cmd="search",
                     messageid="<a@b>", cursor=cursor, **who)
        assert (answer.status, list(message(answer))) == (400, ["CURSOR"])


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1" * 30])
def test_wrong_limit(service, user, limit):
    answer = ask(service, root(service), cmd="search", messageid="<a@b>",
                 emails=[user], limit=limit)
    assert (answer.status, list(message(answer))) == (400, ["LIMIT"])


@pytest.mark.log_errors("recall search: ")
@pytest.mark.parametrize("query", [
    ["NO", "SUCH", "KEY"], ["SUBJECT"], ["("], ["SINCE", "yesterday's"],
    [], ["SUBJECT", "a\nb"], ["x"] * 1001])
def test_wrong_query(node, service, user, query):
    answer = ask(service, root(service), cmd="search", emails=[user],
                 query=query)
    assert answer.status == 400
    assert list(message(answer)) == ["MESSAGEID" if query == [] else "QUERY"]
    # nothing has ended over it
    assert ask(service, root(service), cmd="search", emails=[user],
               query=["ALL"]).status == 200


@pytest.mark.log_errors("recall search: |recall expunge: |recall fetch: ")
@pytest.mark.parametrize("query, why", [
    (["FROM", "x", "SUBJEKT", "y"], '"SUBJEKT" is not a known key'),
    (["HEADER", "X-Mailer"], '"HEADER" lacks a value'),
    (["NOT", "SUBJECT", "SUBJECT", "1:*", "\u0436" * 60],
     '"%s" is not a known key' % ("\u0436" * 32)),
    (["SINCE", "yesterday's"], None)])
def test_wrong_word_of_a_query(service, user, query, why):
    """Dovecot says it in its log alone."""
    for params in ({"cmd": "search"}, {"dry_run": 1},
                   {"cmd": "fetch", "fields": "hdr"}):
        answer = ask(service, root(service), emails=[user], query=query,
                     **params)
        assert answer.status == 400
        if why:
            assert message(answer) == {
                "QUERY": "QUERY is not a valid search query: " + why}


@pytest.mark.log_errors("recall search: ")
def test_keys_that_are_known(service, user):
    """What is good is not said to be wrong beside what is."""
    text = (SRCDIR / "completions/doveadm-recall").read_text()
    for key in re.search(r'_keys="([^"]*)"', text)[1].replace(
            "\\", "").split():
        words = [key]
        if key not in ("ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "NOT",
                       "OR", "SEEN") and not key.startswith("UN") or \
                key == "UNKEYWORD":
            words += ["1"] * (2 if key == "HEADER" else 1)
        answer = ask(service, root(service), cmd="search", emails=[user],
                     query=words + ["NONE"])
        assert message(answer) == {
            "QUERY": 'QUERY is not a valid search query: "NONE" is not a known '
            "key"}, key


def test_missing_parameters(service, user):
    token = root(service)
    for params, name in (({"messageid": "<a@b>"}, "EMAILS"),
                         ({"emails": [user]}, "MESSAGEID"),
                         ({"messageid": "<a@b>", "query": ["ALL"],
                           "emails": [user]}, "QUERY"),
                         ({"messageid": "<a@b>", "emails": [user],
                           "all": 1}, "ALL"),
                         ({"messageid": "<a@b>", "emails": ["*"]},
                          "EMAILS")):
        with audited(service, "|search-refused|", "cn1=400"):
            answer = ask(service, token, cmd="search", **params)
        assert (answer.status, list(message(answer))) == (400, [name])
    answer = ask(service, token, cmd="fetch", messageid="<a@b>",
                 emails=[user])
    assert message(answer) == {"FIELDS": "FIELDS is a required value"}


# whose mail

@pytest.mark.parametrize("cmd", ["search", "fetch"])
def test_roles(node, service, user, other, stranger, cmd):
    messageid = deliver(node, [user, other, stranger], sender=user)
    params = {"cmd": cmd, "messageid": messageid}
    if cmd == "fetch":
        params["fields"] = "hdr"

    def rows(token, emails):
        answer = ask(service, token, emails=emails, **params)
        assert answer.status == 200
        return [row["email"] for row in answer.json()["results"]], \
            [error["email"] for error in answer.json()["errors"]]

    everyone = [user, other, stranger]
    assert rows(root(service), everyone) == (everyone, [])
    assert rows(admin(service), everyone) == ([user, other], [stranger])
    assert rows(own(service, user), [user]) == ([user], [])
    assert rows(own(service, user), [user.upper()]) == ([user.upper()], [])
    # not even what one has sent oneself
    for emails in [other], [user, other], everyone:
        with audited(service, "|%s-refused|" % cmd, "suser=" + user,
                     "cn1=403"):
            answer = ask(service, own(service, user), emails=emails, **params)
        assert_forbidden(answer)
    assert_forbidden(ask(service, own(service, user), all=1, **params))
    if cmd == "fetch":
        assert_forbidden(ask(service, admin(service), all=1, **params))
    else:
        answer = ask(service, admin(service), all=1, **params).json()
        assert {row["email"] for row in answer["results"]} == {user, other}
        assert answer["errors"] == []
    # of the tenant default
    assert rows(service.token(ADMIN, 1, ""), [user]) == ([], [user])
    assert ask(service, None, emails=[user], **params).status == 401


# fetch

def test_fetch(node, service, user):
    messageid = deliver(node, [user], "Тема", body="Тело\n")
    with audited(service, "|fetch|Messages shown|", "cs1=" + messageid,
                 "cs2=" + user, "flexString2=hdr,body,hdr.subject"):
        answer = ask(service, root(service), cmd="fetch",
                     messageid=messageid, emails=[user],
                     fields="hdr body hdr.subject")
    row, = answer.json()["results"]
    assert row["email"] == user and row["mailbox"] == "INBOX"
    assert row["uid"] == 1 and row["hdr.subject"] == "Тема"
    assert "Message-ID: " + messageid in row["hdr"]
    assert "Тело" in row["body"]
    check_described(ACTIONS, "post", answer)
    answer = ask(service, root(service), cmd="fetch", messageid=messageid,
                 emails=[user], fields=["flags", "size.virtual"])
    row, = answer.json()["results"]
    assert int(row["size.virtual"]) > 0 and "hdr" not in row


def test_fetch_of_any_octets(node, service, user):
    messageid = new_id()
    node.append(user, "INBOX", build_message(messageid) +
                b"caf\xe9 \x01 \xff\r\n")
    answer = ask(service, root(service), cmd="fetch", messageid=messageid,
                 emails=[user], fields="body")
    assert answer.status == 200
    row, = answer.json()["results"]
    assert "caf" in row["body"] and "\x01" in row["body"]


def test_fetch_of_more_than_a_page_holds(node, service, user):
    lines = (24 << 20) // 72
    for number in range(3):
        node.append(user, "INBOX", build_message(new_id(), subject="large") +
                    (b"x" * 70 + b"\r\n") * lines)
    params = {"cmd": "fetch", "query": ["SUBJECT", "large"],
              "emails": [user], "fields": "text"}
    answer = ask(service, root(service), **params)
    assert (answer.status, list(message(answer))) == (400, ["LIMIT"])
    found = pages(service, root(service), limit=1, **params)
    assert [page[0]["text"].count("x" * 70) for page in found] == [lines] * 3


def test_fetch_of_more_than_a_page_holds_from_many(node):
    """However few of them one command asks about."""
    lines = (24 << 20) // 72
    users = [next(reds) for _ in range(3)]
    for each in users:
        node.append(each, "INBOX", build_message(new_id(), subject="largest") +
                    (b"x" * 70 + b"\r\n") * lines)
    params = {"cmd": "fetch", "query": ["SUBJECT", "largest"],
              "emails": users, "fields": "text"}
    with Service(node, doveadm__batch=1) as service:
        answer = ask(service, root(service), **params)
        assert (answer.status, list(message(answer))) == (400, ["LIMIT"])
        found = pages(service, root(service), limit=1, **params)
    assert [page[0]["email"] for page in found] == users


@pytest.mark.log_errors("Unknown field")
@pytest.mark.parametrize("fields", ["nonsense", "hdr,x;y", "hdr\tbody\x01",
                                    "hdr." + "x" * 200, "[]", "[1]", " ",
                                    "a " * 100])
def test_wrong_fields(service, user, fields):
    answer = ask(service, root(service), cmd="fetch", messageid="<a@b>",
                 emails=[user], fields=fields)
    assert (answer.status, list(message(answer))) == (400, ["FIELDS"])


# recall by query

@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_count_that_lacks_users(node, service, user, other):
    """What is missing may be with those who could not be counted."""
    for who in user, other:
        deliver(node, [who], "lacking", "phish@example.net")
    params = {"query": ["FROM", "phish@example.net", "SUBJECT", "lacking"],
              "emails": [user, other], "notify": 0}
    hidden = node.home(other)
    mode = hidden.stat().st_mode
    hidden.chmod(0)
    try:
        answer = ask(service, root(service), yes_count=2, **params)
    finally:
        hidden.chmod(mode)
    assert (answer.status, answer.json()["count"]) == (409, 1)
    assert "could not be counted: 1;" in message(answer)
    check_described(ACTIONS, "post", answer)
    answer = ask(service, root(service), yes_count=3, **params)
    assert (answer.status, answer.json()["count"]) == (409, 2)
    assert "counted:" not in message(answer)
    assert (node.count(user), node.count(other)) == (1, 1)


def test_recall_by_query(node, service, user, other):
    campaign = [deliver(node, [who], "campaign", "phish@example.net")
                for who in (user, user, other)]
    kept = deliver(node, [user, other])
    third = next(reds)
    query = ["FROM", "phish@example.net", "SUBJECT", "campaign"]
    params = {"query": query, "emails": [user, other, third], "notify": 0}
    token = root(service)

    dry = ask(service, token, dry_run=1, **params)
    assert statuses(dry) == {user: "would_expunge", other: "would_expunge",
                             third: "not_found"}
    assert sum(row["copies"] for row in dry.json()["results"]) == 3
    check_described(ACTIONS, "post", dry)

    for count in 1, 2, 4:
        with audited(service, "|recall-refused|", "cn1=409"):
            answer = ask(service, token, yes_count=count, **params)
        assert answer.status == 409 and answer.json()["count"] == 3
        check_described(ACTIONS, "post", answer)
    assert node.count(user) == 3

    with audited(service, "|recall|", "cs5Label=query",
                 'cs5=["FROM","phish@example.net","SUBJECT","campaign"]',
                 "cs3=expunged:2,not_found:1"):
        done = ask(service, token, yes_count=3, **params)
    assert done.status == 200
    assert statuses(done) == {user: "expunged", other: "expunged",
                              third: "not_found"}
    assert done.json()["query"] == query
    assert not any(has(node, who, each) for who in (user, other)
                   for each in campaign)
    assert has(node, user, kept) and has(node, other, kept)
    state = service.curl("/v2/actions/" + done.json()["id"], token=token)
    assert state.json()["results"] == done.json()["results"]
    check_described("/v2/actions/{id}", "get", state)


def test_recall_by_query_in_the_background(node, service, user):
    messageid = deliver(node, [user], "later")
    answer = service.curl(
        ACTIONS, "-H", "Prefer: respond-async", "-d", "yes_count=1", "-d",
        'query=["SUBJECT","later"]', "-d", "emails=" + user,
        token=root(service))
    assert answer.status == 202
    done = service.wait_recall(root(service), answer.json()["id"])
    assert done["summary"] == {"expunged": 1}
    assert not has(node, user, messageid)


def calls(service):
    """How many commands doveadm has answered."""
    text = service.curl("/metrics").body.decode()
    return int(re.search(r'doveadm_calls_total{result="ok"} (\d+)',
                         text).group(1))


def test_query_asks_in_batches(node, service):
    """Once to count and once to recall, however many have the message."""
    users = list(itertools.islice(reds, 5))
    deliver(node, users, "batches")
    params = {"query": ["SUBJECT", "batches"], "emails": users, "notify": 0}
    before = calls(service)
    dry = ask(service, root(service), dry_run=1, **params)
    assert set(statuses(dry).values()) == {"would_expunge"}
    assert calls(service) == before + 1
    before = calls(service)
    done = ask(service, root(service), yes_count=5, **params)
    assert set(statuses(done).values()) == {"expunged"}
    assert calls(service) == before + 2
    assert not any(node.count(user) for user in users)


def test_query_keeps_what_was_read(node, service, user, other):
    deliver(node, [user, other], "mixed")
    node.set_flags(other, "INBOX", ["\\Seen"])
    # a notice would have the subject, too
    params = {"query": ["SUBJECT", "mixed"], "emails": [user, other],
              "notify": 0}
    done = ask(service, root(service), yes_count=1, **params)
    assert statuses(done) == {user: "expunged", other: "read"}
    done = ask(service, root(service), yes_count=1, force=1, **params)
    assert statuses(done) == {user: "not_found", other: "expunged"}


@pytest.mark.log_errors("query matches everything")
def test_query_needs_its_count(node, service, user):
    deliver(node, [user])
    token = root(service)
    before = node.count(user)
    answer = ask(service, token, query=["ALL"], emails=[user])
    assert message(answer) == {"YES_COUNT": "YES_COUNT is a required value"}
    answer = ask(service, token, messageid="<a@b>", yes_count=1,
                 emails=[user])
    assert list(message(answer)) == ["YES_COUNT"]
    for count in "0", "-1", "x":
        answer = ask(service, token, query=["ALL"], yes_count=count,
                     emails=[user])
        assert (answer.status, list(message(answer))) == (400, ["YES_COUNT"])
    # everything
    for query in ["ALL"], ["mailbox", "INBOX"], ["ALL", "OR", "FROM", "x"]:
        for how in {"dry_run": 1}, {"yes_count": before}:
            answer = ask(service, token, query=query, emails=[user], **how)
            assert (answer.status, list(message(answer))) == (400, ["QUERY"])
    assert node.count(user) == before


def test_query_by_role(node, service, user, stranger):
    deliver(node, [user, stranger], "tenants", sender=user)
    params = {"query": ["SUBJECT", "tenants"], "emails": [user, stranger],
              "yes_count": 1}
    with audited(service, "|recall-refused|", "cn1=403"):
        assert_forbidden(ask(service, own(service, user), **params))
    done = ask(service, admin(service), **params)
    assert statuses(done) == {user: "expunged", stranger: "forbidden"}


# restore

def test_restore(node, service, user, other):
    messageid = deliver(node, [user, other])
    node.set_flags(user, "INBOX", ["\\Flagged"])
    token = root(service)
    recall = ask(service, token, messageid=messageid, notify=0,
                 emails=[user, other, "nobody@example.com"]).json()
    assert recall["cmd"] == "expunge" and not has(node, user, messageid)

    with audited(service, "|restore|Message restore|", "suser=" + ROOT,
                 "cs6Label=recall cs6=" + recall["id"], "cs1=" + messageid,
                 "cs3=no_user:1,restored:2", "reason=wrong mail"):
        answer = ask(service, token, cmd="restore", id=recall["id"],
                     reason="wrong mail")
    assert answer.status == 200
    body = answer.json()
    assert statuses(answer) == {user: "restored", other: "restored",
                                "nobody@example.com": "no_user"}
    assert body["cmd"] == "restore" and body["recall"] == recall["id"]
    assert body["id"] != recall["id"]
    assert [row["copies"] for row in body["results"]][:2] == [1, 1]
    check_described(ACTIONS, "post", answer)
    assert has(node, user, messageid) and has(node, other, messageid)
    # twice restored is once restored
    ask(service, token, cmd="restore", id=recall["id"])
    assert node.count(user) == 1
    state = service.curl("/v2/actions/" + body["id"], token=token)
    assert state.json()["state"] == "finished"
    assert state.json()["recall"] == recall["id"]
    check_described("/v2/actions/{id}", "get", state)
    listed = service.curl("/v2/actions?limit=3", token=token)
    assert "restore" in [action["cmd"] for action in
                         listed.json()["actions"]]
    check_described("/v2/actions", "get", listed)
    # a restore is none to be undone
    assert ask(service, token, cmd="restore", id=body["id"]).status == 404


def test_restore_of_a_recall_by_query(node, service, user):
    """It says what it has undone, as the recall does."""
    messageid = deliver(node, [user], "undone")
    query = ["SUBJECT", "undone"]
    recall = ask(service, root(service), query=query, yes_count=1, notify=0,
                 emails=[user]).json()
    with audited(service, "|restore|", 'cs5=["SUBJECT","undone"]'):
        answer = ask(service, root(service), cmd="restore", id=recall["id"])
    assert statuses(answer) == {user: "restored"} and has(node, user,
                                                          messageid)
    assert answer.json()["query"] == query
    assert "messageid" not in answer.json()
    check_described(ACTIONS, "post", answer)
    listed = service.curl("/v2/actions?query=undone", token=root(service))
    assert [action["cmd"] for action in listed.json()["actions"]] == \
        ["restore", "expunge"]


def test_restore_some(node, service, user, other):
    messageid = deliver(node, [user, other])
    recall = ask(service, root(service), messageid=messageid, notify=0,
                 emails=[user, other]).json()
    answer = ask(service, root(service), cmd="restore", id=recall["id"],
                 emails=[other])
    assert statuses(answer) == {other: "restored"}
    assert has(node, other, messageid) and not has(node, user, messageid)


def test_restore_in_the_background(node, service, user):
    messageid = deliver(node, [user])
    recall = ask(service, root(service), messageid=messageid, notify=0,
                 emails=[user]).json()
    answer = service.curl(ACTIONS, "-H", "Prefer: respond-async", "-d",
                          "cmd=restore", "-d", "id=" + recall["id"],
                          token=root(service))
    assert answer.status == 202
    done = service.wait_recall(root(service), answer.json()["id"])
    assert done["summary"] == {"restored": 1}
    assert has(node, user, messageid)


def test_restore_by_role(node, service, user, other, stranger):
    """A user what he or she recalled, an administrator what the tenant did."""
    sent = deliver(node, [other, stranger], sender=user)
    mine = ask(service, own(service, user), messageid=sent, notify=0,
               emails=[other, stranger]).json()
    assert mine["summary"] == {"expunged": 2}
    both = deliver(node, [other, stranger])
    theirs = ask(service, root(service), messageid=both, notify=0,
                 emails=[other, stranger]).json()

    def restore(token, recall, **params):
        return ask(service, token, cmd="restore", id=recall["id"], **params)

    for token, recall in ((own(service, other), mine),
                          (own(service, user), theirs),
                          (own(service, other), theirs),
                          (admin(service), theirs),
                          (service.token("x@blue.example", 1, "blue"), mine)):
        for params in {}, {"emails": [other]}:
            with audited(service, "|restore-refused|", "cn1=404"):
                assert restore(token, recall, **params).status == 404
    assert restore(service.token(ADMIN, 1, ""), mine).status == 404
    answer = restore(own(service, user), mine, emails=[user])
    assert (answer.status, list(message(answer))) == (400, ["EMAILS"])
    assert not has(node, other, sent) and not has(node, other, both)

    answer = restore(admin(service), mine)
    assert statuses(answer) == {other: "restored", stranger: "forbidden"}
    assert has(node, other, sent) and not has(node, stranger, sent)
    answer = restore(own(service, user), mine, emails=[stranger])
    assert statuses(answer) == {stranger: "restored"}
    assert has(node, stranger, sent)


def test_restore_of_what_is_not_in_the_journal(node, service, user):
    messageid = deliver(node, [user])
    recall_id = "%032x" % next(numbers)
    node.doveadm("recall", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, messageid)
    answer = ask(service, root(service), cmd="restore", id=recall_id)
    assert message(answer) == {"EMAILS": "EMAILS is a required value"}
    for token in own(service, user), admin(service):
        assert ask(service, token, cmd="restore", id=recall_id,
                   emails=[user]).status == 404
    answer = ask(service, root(service), cmd="restore", id=recall_id,
                 emails=[user])
    assert statuses(answer) == {user: "restored"}
    assert has(node, user, messageid)


@pytest.mark.parametrize("recall_id", ["x", "0" * 31, "0" * 33, "A" * 32,
                                       "../" + "0" * 29])
def test_wrong_recall_id(service, recall_id):
    answer = ask(service, root(service), cmd="restore", id=recall_id)
    assert (answer.status, list(message(answer))) == (400, ["ID"])
    answer = ask(service, root(service), cmd="restore")
    assert message(answer) == {"ID": "ID is a required value"}


# to the tables of the first version
DOWNGRADE = """
DROP TRIGGER recall_untold;
DROP INDEX recalls_untold;
ALTER TABLE recalls DROP COLUMN untold;
ALTER TABLE recalls DROP COLUMN issued;
DROP TRIGGER recall_pending;
DROP TRIGGER recall_finished;
DROP TABLE webhooks;
DROP INDEX recalls_key;
ALTER TABLE recalls DROP COLUMN key;
ALTER TABLE recalls DROP COLUMN cmd;
ALTER TABLE recalls DROP COLUMN target;
ALTER TABLE recalls DROP COLUMN query;
ALTER TABLE verdicts DROP COLUMN expected;
ALTER TABLE verdicts DROP COLUMN status;
ALTER TABLE verdicts ADD COLUMN verdict INTEGER NOT NULL DEFAULT -1;
UPDATE verdicts SET verdict = 0;
DROP TABLE revocations;
DROP INDEX refresh_access;
ALTER TABLE refresh_tokens DROP COLUMN tenant;
ALTER TABLE refresh_tokens DROP COLUMN jti;
ALTER TABLE refresh_tokens DROP COLUMN created;
ALTER TABLE recalls DROP COLUMN verify_headers;
ALTER TABLE verdicts DROP COLUMN mailbox_user;
ALTER TABLE verdicts DROP COLUMN searched;
ALTER TABLE verdicts DROP COLUMN present;
DROP INDEX recalls_pending;
DROP INDEX recalls_actor;
ALTER TABLE recalls DROP COLUMN approval;
ALTER TABLE recalls DROP COLUMN approver;
ALTER TABLE recalls DROP COLUMN decision;
ALTER TABLE recalls DROP COLUMN decided;
DROP INDEX refresh_logins;
DROP TABLE nodes;
DROP TABLE standing;
DROP TABLE late;
DROP TABLE late_cursors;
ALTER TABLE recalls DROP COLUMN everyone;
ALTER TABLE recalls DROP COLUMN stand;
ALTER TABLE recalls DROP COLUMN person;
ALTER TABLE refresh_tokens DROP COLUMN issued_role;
ALTER TABLE refresh_tokens DROP COLUMN named;
ALTER TABLE refresh_tokens DROP COLUMN role;
ALTER TABLE refresh_tokens DROP COLUMN address;
ALTER TABLE refresh_tokens DROP COLUMN access_expires;
DROP TABLE stop;
DROP TABLE doubts;
ALTER TABLE verdicts DROP COLUMN kept_until;
PRAGMA user_version = 0"""


def test_journal_with_numbers_for_names(node):
    """What a version before wrote, which knew the verdicts by number."""
    names = ["expunged", "read", "not_found", "not_sender", "no_user",
             "forbidden", "error", "would_expunge", "already_recalled",
             "restored"]
    with Service(node) as service:
        service.stop()
        with sqlite3.connect(service.dir / "journal.db") as db:
            for statement in DOWNGRADE.split(";"):
                db.execute(statement)
            # version 2 had these
            db.execute("ALTER TABLE recalls ADD COLUMN kind INTEGER NOT NULL "
                       "DEFAULT 0")
            for column in ("target TEXT", "query TEXT", "key TEXT"):
                db.execute("ALTER TABLE recalls ADD COLUMN " + column)
            db.execute("ALTER TABLE verdicts ADD COLUMN expected INTEGER NOT "
                       "NULL DEFAULT 0")
            db.execute("CREATE UNIQUE INDEX recalls_key ON recalls (key, actor "
                       "COLLATE NOCASE, tenant) WHERE key IS NOT NULL")
            db.execute("PRAGMA user_version = 2")
            for kind in 0, 1:
                recall_id = "%032x" % kind
                db.execute("INSERT INTO recalls VALUES (?, 1, ?, '<a@b>', 0, "
                           "1, 0, '', 'x@y', 'default', 3, '::1', '', ?, ?, "
                           "NULL, NULL, NULL)", [recall_id, int(time.time()), len(names),
                            kind])
                for i in range(len(names)):
                    db.execute("INSERT INTO verdicts (recall, pos, email, "
                               "verdict) VALUES (?, ?, ?, ?)",
                               [recall_id, i, "u%d@x.example" % i, i])
        db.close()
        service.start()
        for kind, cmd in enumerate(("expunge", "restore")):
            shown = service.curl("/v2/actions/%032x" % kind,
                                 token=root(service)).json()
            assert shown["cmd"] == cmd
            assert [row["status"] for row in shown["results"]] == names


def test_journal_of_an_older_version(node, service, user):
    """A file without the later columns is taken over with what it has."""
    messageid = deliver(node, [user])
    with Service(node) as old:
        recall = ask(old, root(old), messageid=messageid, notify=0,
                     emails=[user]).json()
        assert old.stop() == 0
        with sqlite3.connect(old.dir / "journal.db") as db:
            for statement in DOWNGRADE.split(";"):
                db.execute(statement)
            db.execute("UPDATE recalls SET senders = ?",
                       ['a@b.example "q\\"@b.example '])
        db.close()
        # which did not say how it had looked
        for row in recall["results"]:
            del row["searched"]
        old.start()
        shown = old.curl("/v2/actions/" + recall["id"], token=root(old)).json()
        assert (shown["cmd"], shown["results"]) == \
            ("expunge", recall["results"])
        with sqlite3.connect(old.dir / "journal.db") as db:
            [[senders]] = db.execute("SELECT senders FROM recalls")
        db.close()
        assert json.loads(senders) == ["a@b.example", '"q\\"@b.example']
        answer = ask(old, root(old), cmd="restore", id=recall["id"])
        assert statuses(answer) == {user: "restored"}


def unfinish(service, recall_id):
    """As if the service had crashed before the first verdict came."""
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db")) as \
            db, db:
        db.execute("UPDATE recalls SET finished = 0 WHERE id = ?",
                   [recall_id])
        db.execute("UPDATE verdicts SET status = NULL WHERE recall = ? AND "
                   "status <> 'not_found'", [recall_id])


def test_resume_of_a_restore(node, user, other):
    messageid = deliver(node, [user, other])
    with Service(node) as service:
        token = root(service)
        recall = ask(service, token, messageid=messageid, notify=0,
                     emails=[user, other]).json()
        # restored for one of them, when the crash comes
        node.doveadm("recall", "restore", "-u", user, recall["id"])
        for pid in doveadm_children(node):
            os.kill(pid, signal.SIGSTOP)
        pids = doveadm_children(node)
        answer = service.curl(ACTIONS, "-H", "Prefer: respond-async", "-d",
                              "cmd=restore", "-d", "id=" + recall["id"],
                              token=token)
        assert answer.status == 202
        service.kill()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        service.start()
        done = service.wait_recall(token, answer.json()["id"])
        assert done["success"] is True and done["cmd"] == "restore"
        assert node.count(user) == node.count(other) == 1
        assert has(node, user, messageid) and has(node, other, messageid)
        # while it has not finished there is nothing to undo
        unfinish(service, recall["id"])
        answer = ask(service, token, cmd="restore", id=recall["id"])
        assert answer.status == 409
        check_described(ACTIONS, "post", answer)


def test_resume_of_a_recall_by_query(node, user, other):
    """After a crash no more is deleted than was counted before it."""
    third = next(reds)
    deliver(node, [user, other], "resumed")
    with Service(node) as service:
        token = root(service)
        done = ask(service, token, query=["SUBJECT", "resumed"], notify=0,
                   yes_count=2, emails=[user, other, third]).json()
        assert done["summary"] == {"expunged": 2, "not_found": 1}
        service.stop()
        deliver(node, [other, third], "resumed")
        unfinish(service, done["id"])
        service.start()
        again = service.wait_recall(token, done["id"])
        assert {row["email"]: row["status"] for row in again["results"]} == {
            user: "already_recalled", other: "error", third: "not_found"}
        assert node.count(user) == 0
        # what was recalled before the crash, and what came since
        error, = [row["error"] for row in again["results"]
                  if row["email"] == other]
        assert error == ("2 messages match, but only 1 did when they were "
                         "counted: nothing more was deleted")
        assert node.count(other) == 1 and node.count(third) == 1


# shared mailboxes

def shares_path(owner):
    return SHARES.replace("{owner}", urllib.parse.quote(owner, safe=""))


def shares(service, token, owner):
    return service.curl(shares_path(owner), token=token)


def share(service, token, owner, user, rights=("reader",), mailbox="INBOX"):
    return ask_json(service, token, shares_path(owner), "PUT",
                    mailbox=mailbox, user=user, rights=list(rights))


def unshare(service, token, owner, user, mailbox="INBOX"):
    return service.curl("%s?%s" % (shares_path(owner), urllib.parse.urlencode(
        {"mailbox": mailbox, "user": user})), "-X", "DELETE", token=token)


def can_read(node, user, name):
    connection = node.imap(user)
    try:
        return connection.select(imap_quote(name), readonly=True)[0] == "OK"
    finally:
        connection.logout()


@pytest.mark.parametrize("way", ["query", "form", "json"])
def test_share_and_unshare(node, service, user, other, way):
    deliver(node, [user])
    token = root(service)
    name = "shared/" + user
    assert shares(service, token, user).json() == {
        "success": True, "shares": [], "errors": []}
    assert not can_read(node, other, name)

    with audited(service, "|share|Mailbox shared|", "suser=" + ROOT,
                 "cs2Label=users cs2=" + user, "filePath=INBOX",
                 "duser=" + other, "dpriv=reader",
                 "outcome=success"):
        answer = share(service, token, user, other)
    assert answer.status == 200
    assert answer.json() == {
        "success": True, "status": "shared", "owner": user,
        "mailbox": "INBOX", "user": other,
        "rights": ["lookup", "read", "write-seen"], "subscribed_as": name}
    check_described(SHARES, "put", answer)
    assert can_read(node, other, name)

    expected = {"direction": "out", "owner": user, "mailbox": "INBOX",
                "user": other, "rights": ["lookup", "read", "write-seen"],
                "subscribed": True, "name": name}
    with audited(service, "|shares|", "cs2=" + user):
        answer = shares(service, token, user)
    assert answer.json()["shares"] == [expected]
    check_described(SHARES, "get", answer)
    assert shares(service, token, other).json()["shares"] == [
        dict(expected, direction="in")]

    with audited(service, "|unshare|", "cs2=" + user, "duser=" + other):
        if way == "query":
            answer = unshare(service, token, user, other)
        elif way == "json":
            answer = ask_json(service, token, shares_path(user), "DELETE",
                              mailbox="INBOX", user=other)
        else:
            answer = service.curl(
                shares_path(user), "-X", "DELETE", "-d", "mailbox=INBOX",
                "-d", "user=" + other, token=token)
    assert (answer.status, answer.json()["status"]) == (200, "unshared")
    check_described(SHARES, "delete", answer)
    assert not can_read(node, other, name)


def test_share_form_encoded(node, service, user, other):
    answer = service.curl(
        shares_path(user), "-X", "PUT", "-d", "mailbox=INBOX", "-d",
        "user=" + other, "-d", 'rights=["lookup","read"]',
        token=root(service))
    assert answer.json()["rights"] == ["lookup", "read"]


def test_share_a_mailbox_with_any_name(node, service, user, other):
    mailbox = "Отчёты & Co/a+b%41"
    node.append(user, mailbox, build_message(new_id()))
    token = root(service)
    assert share(service, token, user, other,
                 mailbox=mailbox).json()["mailbox"] == mailbox
    assert can_read(node, other, "shared/%s/%s" % (user, mailbox))
    assert unshare(service, token, user, other, mailbox).status == 200


def test_shares_that_cannot_be(node, service, user, other):
    token = root(service)

    def check(answer, status, what, method):
        assert (answer.status, answer.json().get("status")) == (status, what)
        check_described(SHARES, method, answer)

    check(share(service, token, user, "nobody@example.com"), 404, "no_user",
          "put")
    check(share(service, token, "nobody@example.com", user), 404, "no_user",
          "put")
    check(share(service, token, user, other, mailbox="None"), 404,
          "no_mailbox", "put")
    check(shares(service, token, "nobody@example.com"), 404, "no_user", "get")
    check(unshare(service, token, user, other), 404, "not_shared", "delete")
    check(unshare(service, token, user, other, "None"), 404, "no_mailbox",
          "delete")
    check(share(service, token, user, user), 409, "not_possible", "put")
    with audited(service, "|share-refused|", "cn1=404"):
        share(service, token, user, "nobody@example.com")


def test_share_that_fails_is_undone(node, service, user):
    """Something else in the ACL overrides what is given."""
    node.doveadm("acl", "set", "-u", user, "--", "INBOX",
                 "group-override=staff", "-lookup")
    before = shares(service, root(service), user).json()
    with audited(service, "|share-refused|", "cn1=409"):
        answer = share(service, root(service), user, STAFF)
    assert (answer.status, answer.json()["status"]) == (409, "error")
    assert "does not show" in message(answer)
    check_described(SHARES, "put", answer)
    assert shares(service, root(service), user).json() == before


@pytest.mark.log_errors("There is no right")
@pytest.mark.parametrize("params, names", [
    ({}, ["MAILBOX", "USER", "RIGHTS"]),
    ({"mailbox": "INBOX", "user": "a@b"}, ["RIGHTS"]),
    ({"mailbox": "INBOX", "user": "a@b", "rights": []}, ["RIGHTS"]),
    ({"mailbox": "INBOX", "user": "*", "rights": ["reader"]}, ["USER"]),
    ({"mailbox": "INBOX", "user": "a b@c", "rights": ["reader"]}, ["USER"]),
    ({"mailbox": "a\nb", "user": "a@b", "rights": ["reader"]}, ["MAILBOX"]),
    ({"mailbox": "a" * 2000, "user": "a@b", "rights": ["reader"]},
     ["MAILBOX"]),
    ({"mailbox": "INBOX", "user": "a@b", "rights": ["raeder"]}, ["RIGHTS"]),
    ({"mailbox": "INBOX", "user": "a@b", "rights": ["read", "-read"]},
     ["RIGHTS"]),
])
def test_wrong_share(service, user, params, names):
    answer = ask_json(service, root(service), shares_path(user), "PUT",
                      **params)
    assert (answer.status, list(message(answer))) == (400, names)
    check_described(SHARES, "put", answer)


def test_parameters_of_url_and_body_are_one(service, user, other):
    answer = service.curl(
        shares_path(user) + "?mailbox=INBOX", "-X", "DELETE", "-d",
        "mailbox=Other", "-d", "user=" + other, token=root(service))
    assert (answer.status, list(message(answer))) == (400, ["MAILBOX"])


@pytest.mark.parametrize("owner, status", [
    ("*", 400), ("%2A", 400), ("red%3F%40red.example", 400), ("%20", 400),
    ("a%0Ab", 400), ("a%7F", 400), ("%FF", 400), ("a" * 300, 400),
    ("", 404), ("a%00b", 404), ("a%0", 404), ("a%zz", 404), ("a%2Fb", 404),
    ("a/b", 404), ("..%2Fauth", 404), ("%25%32%41", 404),
])
def test_owner_is_decoded_strictly(node, service, owner, status):
    since = node.log_size()
    for method, query in ("GET", ""), ("DELETE", "?mailbox=INBOX&user=a@b"):
        answer = service.curl(
            "/v2/mailboxes/%s/shares%s" % (owner, query), "--path-as-is",
            "-X", method, token=root(service))
        if owner == "%25%32%41":
            # decoded once: a user of this name, who is not there
            assert answer.json()["status"] == "no_user" or \
                answer.status == status
            continue
        assert answer.status == status, answer
        if status == 400:
            assert list(message(answer)) == ["OWNER"]
    node.settle_log()
    # the service asks by itself what came late
    assert not {"recall shares", "recall unshare"} & \
        set(node.executed(since)) or status == 404


def test_shares_by_role(node, service, user, other, stranger):
    token = own(service, user)
    # users: their own mailboxes, and within the tenant
    assert share(service, token, user, other).status == 200
    assert shares(service, token, user).status == 200
    assert shares(service, token, user.upper()).status == 200
    for answer in (shares(service, token, other),
                   share(service, token, other, user),
                   unshare(service, token, other, user),
                   share(service, token, user, stranger)):
        assert_forbidden(answer)
    assert unshare(service, token, user, other).status == 200
    # what someone else has given away may be taken back
    assert share(service, root(service), user, stranger).status == 200
    assert unshare(service, token, user, stranger).status == 200

    # administrators: users of their tenant
    token = admin(service)
    assert share(service, token, user, other).status == 200
    assert len(shares(service, token, user).json()["shares"]) == 1
    for answer in (shares(service, token, stranger),
                   share(service, token, stranger, user),
                   share(service, token, user, stranger),
                   unshare(service, token, stranger, user),
                   shares(service, service.token(ADMIN, 1, ""), user)):
        assert_forbidden(answer)
    with audited(service, "|share-refused|", "suser=" + ADMIN, "cn1=403"):
        share(service, token, user, stranger)
    assert unshare(service, token, user, other).status == 200
    for method in "GET", "PUT", "DELETE":
        answer = service.curl(shares_path(user), "-X", method)
        assert (answer.status, message(answer)) == (401, "TOKEN REQUIRED")


# no mail system

@pytest.mark.parametrize("cmd", ["search", "fetch", "query", "restore"])
def test_nobody_answers(cmd):
    with Service(doveadm__url="http://127.0.0.1:9/doveadm/v1",
                 doveadm__retries=0) as alone:
        token = root(alone)
        params = {"search": {"cmd": "search", "messageid": "<a@b>"},
                  "fetch": {"cmd": "fetch", "messageid": "<a@b>",
                            "fields": "hdr"},
                  "query": {"query": ["FROM", "x"], "yes_count": 1},
                  "restore": {"cmd": "restore", "id": "0" * 32}}[cmd]
        event = {"query": "recall"}.get(cmd, cmd)
        with audited(alone, "|%s|" % event, "outcome=failure"):
            answer = ask(alone, token, emails=["a@b"], **params)
        assert answer.status == 502
        check_described(ACTIONS, "post", answer)


def test_nobody_answers_for_shares():
    with Service(doveadm__url="http://127.0.0.1:9/doveadm/v1",
                 doveadm__retries=0) as alone:
        token = root(alone)
        for event, method, answer in (
                ("shares", "get", lambda: shares(alone, token, "a@b")),
                ("share", "put", lambda: share(alone, token, "a@b", "c@d")),
                ("unshare", "delete",
                 lambda: unshare(alone, token, "a@b", "c@d"))):
            with audited(alone, "|%s|" % event, "outcome=failure"):
                answer = answer()
            assert answer.status == 502
            check_described(SHARES, method, answer)


def test_an_unreachable_node_costs_its_own_users(node, user):
    messageid = deliver(node, [user])
    gone = "http://127.0.0.1:9/doveadm/v1"
    with Service(node, text="[nodes]\nb = %s gone.example\n" % gone,
                 doveadm__retries=0) as several:
        answer = ask(several, root(several), cmd="search",
                     messageid=messageid,
                     emails=["x@gone.example", user])
        assert answer.status == 200
        body = answer.json()
        assert [row["email"] for row in body["results"]] == [user]
        error, = body["errors"]
        assert error["email"] == "x@gone.example"
        assert gone in error["error"]
        assert body["success"] is False


# what is counted

def test_metrics(node, service, user, other):
    def value(name):
        for line in service.curl("/metrics").body.decode().splitlines():
            if line.startswith("mail_recalld_" + name + " "):
                return float(line.split()[-1])
        return 0

    names = ['messages_total{cmd="search"}', 'messages_total{cmd="fetch"}',
             'shares_total{status="shared"}', 'shares_total{status="unshared"}',
             'http_requests_total{route="%s",status="200"}' % SHARES]
    messageid = deliver(node, [user, other])
    before = [value(name) for name in names]
    token = root(service)
    ask(service, token, cmd="search", messageid=messageid,
        emails=[user, other])
    ask(service, token, cmd="fetch", messageid=messageid, emails=[user],
        fields="uid")
    share(service, token, user, other)
    unshare(service, token, user, other)
    assert [value(name) - old for name, old in zip(names, before)] == \
        [2, 1, 1, 1, 2]
