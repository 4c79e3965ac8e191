"""mail-recalld and a Dovecot that proxies its users to the nodes that have
their mail."""

import pytest

from answers import ask, has, pages, root, statuses
from mailnode import build_message, free_port
from servicenode import ProxyNode, RecallNode

USERS = ["user%d@example.com" % number for number in range(4)]
SUBJECT = ["SUBJECT", "proxied"]


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def back(port):
    listener = "service doveadm {\n  inet_listener tcp {\n    port = %d\n" \
        "  }\n}\n" % port
    with RecallNode(users=USERS, extra=listener) as back:
        yield back
        assert back.panics() == []


@pytest.fixture(scope="module")
def node(back, port):
    with ProxyNode(users=USERS, extra="doveadm_port = %d\n" % port) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def ids(back):
    """All (user, id) in order."""
    ids = []
    for user, count in zip(USERS, (2, 0, 3, 1)):
        for number in range(count):
            messageid = "<%d.%s>" % (number, user)
            back.lmtp_deliver([user], build_message(messageid,
                                                    subject="proxied"))
            ids.append((user, messageid))
    return ids


@pytest.mark.parametrize("limit", [1, 2, 4, 6, 100])
def test_pages(node, service, ids, limit):
    found = pages(service, root(service), cmd="search", query=SUBJECT,
                  emails=USERS, limit=limit)
    assert [(row["email"], "<%s>" % row["messageid"]) for page in found
            for row in page] == ids
    # by the other node
    assert not list(node.home(USERS[0]).rglob("dovecot.index*"))


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_pages_of_everyone(service, ids, limit):
    found = pages(service, root(service), cmd="search", query=SUBJECT, all=1,
                  limit=limit)
    assert [(row["email"], "<%s>" % row["messageid"]) for page in found
            for row in page] == ids


def test_query_is_counted_over_users_of_other_nodes(back, service, ids):
    params = {"query": SUBJECT, "emails": USERS, "notify": 0}
    answer = ask(service, root(service), yes_count=len(ids) - 1, **params)
    assert (answer.status, answer.json()["count"]) == (409, len(ids))
    assert all(has(back, *pair) for pair in ids)
    done = ask(service, root(service), yes_count=len(ids), **params)
    assert statuses(done) == {
        USERS[0]: "expunged", USERS[1]: "not_found", USERS[2]: "expunged",
        USERS[3]: "expunged"}
    assert not any(has(back, *pair) for pair in ids)
