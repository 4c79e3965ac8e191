"""Accounts whose names differ only in case, over HTTP. Dovecot tells them apart
where auth_username_format does not have names in lower case; where it does, as
by default, they are two names of one."""

import pytest

from answers import ask, has, pages, root, statuses
from mailnode import DOVECOT_24, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service

AS_THEY_ARE = "auth_username_format = %s\n" % (
    "%{user}" if DOVECOT_24 else "%u")
LARGE, SMALL, ALICE = "Bob@example.com", "bob@example.com", "alice@example.com"
USERS = [LARGE, SMALL, ALICE]


def make_node(users, extra=""):
    return RecallNode(users=users, plugin={"recall_quarantine": PREFIX},
                      extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]) + extra)


@pytest.fixture(scope="module")
def node():
    with make_node(USERS, AS_THEY_ARE) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def service(node):
    with Service(node) as service:
        yield service


def copies(answer):
    return {row["email"]: (row["status"], row["copies"])
            for row in answer["results"]}


def finish(service, answer):
    assert answer.status in (200, 202), answer
    return service.wait_recall(root(service), answer.json()["id"])


@pytest.mark.parametrize("whom", [{"emails": USERS}, {"all": 1}])
def test_each_is_recalled_from_and_restored(node, service, message_id, whom):
    node.lmtp_deliver([SMALL], build_message(message_id))
    node.lmtp_deliver([SMALL, LARGE], build_message(message_id))
    answer = finish(service, ask(service, root(service), notify=0,
                                 messageid=message_id, **whom))
    assert {**copies(answer), ALICE: None} == {
        SMALL: ("expunged", 2), LARGE: ("expunged", 1), ALICE: None}
    assert not any(has(node, user, message_id) for user in USERS)
    restored = finish(service, ask(service, root(service), cmd="restore",
                                   id=answer["id"]))
    assert {user: row for user, row in copies(restored).items()
            if user != ALICE} == {
        SMALL: ("restored", 2), LARGE: ("restored", 1)}
    assert has(node, SMALL, message_id) and has(node, LARGE, message_id)


@pytest.mark.parametrize("whom", [{"emails": USERS}, {"all": 1}])
def test_verdicts_are_their_own(node, service, message_id, whom):
    """Neither one's is in place of the other one's."""
    for user in SMALL, LARGE:
        other = "%s.%s" % (message_id[:-1], user[0] + ">")
        node.lmtp_deliver([user], build_message(other))
        answer = finish(service, ask(service, root(service), notify=0,
                                     messageid=other, **whom))
        found = {email: row for email, row in copies(answer).items()
                 if row[0] != "not_found"}
        assert found == {user: ("expunged", 1)}


def test_query(node, service, message_id):
    for user, count in (SMALL, 2), (LARGE, 1):
        for _ in range(count):
            node.lmtp_deliver([user], build_message(message_id,
                                                    subject="by-query"))
    for limit in 1, 2, 10:
        for whom in {"emails": USERS}, {"all": 1}:
            found = pages(service, root(service), cmd="search", limit=limit,
                          query=["SUBJECT", "by-query"], **whom)
            assert sorted(row["email"] for page in found
                          for row in page) == [LARGE, SMALL, SMALL]
    answer = ask(service, root(service), query=["SUBJECT", "by-query"],
                 emails=USERS, yes_count=3, notify=0)
    assert copies(answer.json()) == {
        SMALL: ("expunged", 2), LARGE: ("expunged", 1),
        ALICE: ("not_found", 0)}


def test_late_copies(node, service, message_id):
    """Each one's come back."""
    answer = ask(service, root(service), messageid=message_id, emails=USERS,
                 stand="1h", notify=0)
    assert set(statuses(answer).values()) == {"not_found"}
    node.lmtp_deliver([SMALL, LARGE], build_message(message_id))
    assert not has(node, SMALL, message_id)
    assert not has(node, LARGE, message_id)
    restored = finish(service, ask(service, root(service), cmd="restore",
                                   id=answer.json()["id"]))
    assert {user: row for user, row in copies(restored).items()
            if row[0] == "restored"} == {
        SMALL: ("restored", 1), LARGE: ("restored", 1)}


def test_names_of_one_mailbox(message_id):
    """Each is answered for, and nothing is done twice."""
    names = [SMALL, LARGE, "BOB@example.com"]
    with make_node([SMALL]) as node, Service(node) as service:
        node.lmtp_deliver([SMALL], build_message(message_id))
        answer = finish(service, ask(service, root(service), emails=names,
                                     messageid=message_id, notify=0))
        assert copies(answer) == dict.fromkeys(names, ("expunged", 1))
        restored = finish(service, ask(service, root(service), cmd="restore",
                                       id=answer["id"]))
        assert set(row[0] for row in copies(restored).values()) == {"restored"}
        assert len(node.messages(SMALL)) == 1
        assert node.panics() == []
