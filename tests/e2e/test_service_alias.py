"""mail-recalld: whose mailbox it was, and how it was looked at."""

import json
import sqlite3

import pytest

from answers import has
from mailnode import build_message
from quarantine import make_node
from servicenode import Service

ANN, BOB = "ann@example.com", "bob@example.com"
BOSS, LIST = "boss@example.com", "everyone@example.com"
ROW = ("email", "mailbox_user", "status", "copies")


@pytest.fixture(scope="module")
def node():
    with make_node("sdbox", [ANN, BOB]) as node:
        node.add_users({BOSS: {"user": ANN, "home": node.home(ANN)}})
        yield node
        assert node.panics() == []


@pytest.fixture
def mail(node, message_id):
    node.lmtp_deliver([ANN, BOB], build_message(message_id))
    return message_id


def rows(answer):
    return [tuple(result.get(name) for name in ROW)
            for result in answer["results"]]


def test_alias(node, service, token, mail):
    answer = service.recall(token, mail, [BOSS, BOB, LIST, ANN.upper()])
    assert rows(answer.json()) == [
        (BOSS, ANN, "expunged", 1), (BOB, None, "expunged", 1),
        (LIST, None, "no_user", 0), (ANN.upper(), None, "expunged", 1)]
    assert "name its members" in answer.json()["results"][2]["error"]
    assert not has(node, ANN, mail)
    # the trail names both
    assert "%s(%s):expunged,%s:expunged" % (BOSS, ANN, BOB) in \
        service.audit()[-1]
    # the journal, too
    kept = service.curl("/v2/actions/" + answer.json()["id"], token=token)
    assert kept.json()["results"] == answer.json()["results"]
    restored = service.recall(token, cmd="restore", id=answer.json()["id"])
    assert rows(restored.json())[0] == (BOSS, ANN, "restored", 1)
    assert has(node, ANN, mail)
    # again: nothing is left to put back, which is no failure
    again = service.recall(token, cmd="restore",
                           id=answer.json()["id"]).json()
    assert again["success"] is True
    assert rows(again)[1] == (BOB, None, "restored", 0)


def test_search_for_an_alias(service, token, mail):
    answer = service.recall(token, mail, [BOSS, BOB], cmd="search")
    found = answer.json()["results"]
    assert [(row["email"], row.get("mailbox_user")) for row in found] == \
        [(BOSS, ANN), (BOB, None)]


def test_query_of_a_mailbox_with_two_names(node, service, token, mail):
    params = {"query": json.dumps(["HEADER", "Message-ID", mail])}
    for how in {"dry_run": 1}, {"yes_count": 1}, {"yes_count": 2}:
        answer = service.recall(token, None, [BOSS, ANN], **how, **params)
        assert answer.status == 400
        assert answer.json() == {"message": {"EMAILS": "EMAILS names the "
                                 "mailbox of %s twice: %s, %s" %
                                 (ANN, BOSS, ANN)}}
        assert has(node, ANN, mail)
    dry = service.recall(token, None, [BOSS, BOB], dry_run=1, **params)
    assert sum(row["copies"] for row in dry.json()["results"]) == 2
    answer = service.recall(token, None, [BOSS, BOB], yes_count=2, **params)
    assert answer.status == 200
    assert {result["searched"] for result in answer.json()["results"]} == \
        {"query"}
    assert not has(node, ANN, mail) and not has(node, BOB, mail)


def test_verify_headers(node, service, token, mail):
    def ask(messageid, **params):
        answer = service.recall(token, messageid, [ANN], **params)
        assert answer.status == 200
        [result] = answer.json()["results"]
        return result["status"], result["searched"]

    assert ask("<never@example.com>") == ("not_found", "index")
    assert ask("<never@example.com>", verify_headers="true") == \
        ("not_found", "headers")
    assert ask(mail, verify_headers=0, dry_run=1) == \
        ("would_expunge", "index")
    assert ask(mail, verify_headers=1) == ("expunged", "headers")
    assert not has(node, ANN, mail)


def test_search_that_verifies_headers(service, token, mail):
    for params in {"cmd": "search"}, {"cmd": "fetch", "fields": "uid"}:
        for messageid, count in (mail, 1), ("<never@example.com>", 0):
            answer = service.recall(token, messageid, [ANN],
                                    verify_headers=1, **params)
            assert answer.status == 200
            assert len(answer.json()["results"]) == count


def test_verify_headers_with_a_query(service, token):
    for cmd in "expunge", "search":
        answer = service.recall(token, None, [ANN], cmd=cmd, verify_headers=1,
                                query='["FROM","x"]')
        assert answer.status == 400
        assert answer.json() == {"message": {
            "VERIFY_HEADERS": "VERIFY_HEADERS goes with a MESSAGEID"}}


def test_users_may_not_have_others_headers_read(node):
    with Service(node, auth__revoke_email="yes") as service:
        user = service.token(ANN, 2)
        for verify, status in (0, 200), (1, 403):
            assert service.recall(user, "<a@b>", [BOB],
                                  verify_headers=verify).status == status
        assert service.recall(user, "<a@b>", [ANN], cmd="search",
                              verify_headers=1).status == 200


def test_verify_headers_is_part_of_the_request(node, service, token, mail):
    key = ("-H", "Idempotency-Key: verify-headers")
    first = service.recall(token, mail, [ANN], *key, verify_headers=1)
    assert first.status == 200
    assert service.recall(token, mail, [ANN], *key).status == 422
    again = service.recall(token, mail, [ANN], *key, verify_headers=1)
    assert again.json() == first.json()
    # and is resumed with it
    with sqlite3.connect(service.dir / "journal.db") as journal:
        assert journal.execute(
            "SELECT verify_headers FROM recalls WHERE id = ?",
            [first.json()["id"]]).fetchone() == (1,)
