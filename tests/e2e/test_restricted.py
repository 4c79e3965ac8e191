"""Dovecot's own doveadm_allowed_commands leaves the service what it needs, and
nothing else to whoever has its password."""

import json

import pytest

from mailnode import DOVECOT_24, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode

ALICE, BOB = "alice@example.com", "bob@example.com"

COMMANDS = ["user", "recall expunge", "recall restore", "recall search",
            "recall fetch", "recall share", "recall shares", "recall unshare"]


@pytest.fixture(scope="module")
def node():
    # 2.4 has a list, whose first word must not be quoted
    names = " ".join([COMMANDS[0]] + ['"%s"' % name for name in COMMANDS[1:]]) \
        if DOVECOT_24 else '"%s"' % ",".join(COMMANDS)
    with RecallNode(users=[ALICE, BOB], acl=True,
                    plugin={"recall_quarantine": PREFIX},
                    driver="sdbox",
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]) +
                    "doveadm_allowed_commands = %s\n" % names) as node:
        yield node


def test_the_service_has_what_it_needs(node, service):
    token = service.token()
    messageid = "<1.restricted@example.com>"
    node.lmtp_deliver([ALICE, BOB], build_message(messageid))
    for cmd, more in ("search", ()), ("fetch", ("-d", "fields=uid")):
        answer = service.curl(
            "/v2/actions/expunge", "-d", "cmd=" + cmd, "-d", "emails=" + ALICE,
            "--data-urlencode", "messageid=" + messageid, *more,
            token=token)
        assert answer.status == 200, answer
        assert ALICE in answer.body.decode()
    done = service.recall(token, messageid, [ALICE, BOB])
    assert done.status == 200, done
    assert {row["status"] for row in done.json()["results"]} == {"expunged"}
    answer = service.recall(token, cmd="restore", id=done.json()["id"])
    assert answer.status == 200, answer
    # a login looks the user up
    assert service.curl("/v2/auth", "-d", "login=" + ALICE, "-d",
                        "password=" + node.users[ALICE]["password"]
                        ).status == 200


@pytest.mark.parametrize("command, params", [
    ("expunge", {"user": BOB, "query": ["mailbox", "INBOX"]}),
    ("fetch", {"user": BOB, "field": ["text"], "query": ["ALL"]}),
    ("mailboxDelete", {"user": BOB, "mailbox": ["INBOX"]}),
    ("recallPurge", {"user": BOB}),
    ("reload", {}), ("kick", {"mask": [BOB]}), ("who", {}),
])
def test_who_has_its_password_has_no_more(node, command, params):
    node.lmtp_deliver([BOB], build_message("<2.restricted@example.com>"))
    status, body = node.http(body=json.dumps([[command, params, "tag"]]))
    assert status == 200
    assert json.loads(body)[0][:2] == \
        ["error", {"type": "unAuthorized", "exitCode": 0}]
    assert node.doveadm("search", "-u", BOB, "HEADER", "Message-ID",
                        "<2.restricted@example.com>")
