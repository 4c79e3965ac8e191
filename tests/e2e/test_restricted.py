"""Dovecot's own doveadm_allowed_commands leaves the service what it needs, and
nothing else to whoever has its password."""

import json
import re

import pytest

from mailnode import DOVECOT_24, SRCDIR, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode

ALICE, BOB = "alice@example.com", "bob@example.com"

# as docs/security.md has them for both series
OLD, NEW = re.findall(r"^doveadm_allowed_commands = (.+)$",
                      (SRCDIR / "docs/security.md").read_text(), re.M)
COMMANDS = OLD.strip('"').split(",")


@pytest.fixture(scope="module")
def node():
    # 2.4 has a list, whose first word must not be quoted
    names = NEW if DOVECOT_24 else OLD
    with RecallNode(users=[ALICE, BOB], acl=True,
                    plugin={"recall_quarantine": PREFIX},
                    driver="sdbox",
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]) +
                    "doveadm_allowed_commands = %s\n" % names) as node:
        yield node


def test_the_list_is_whole():
    """And has nothing that the service does not ask."""
    names = dict(re.findall(r'^#define (RECALL_CMD_\w+) "(.+)"$',
                            (SRCDIR / "include/recall-params.h").read_text(),
                            re.M))
    asked = {names[name] for path in (SRCDIR / "service").rglob("*.c")
             for name in re.findall(r"\bRECALL_CMD_\w+", path.read_text())}
    assert set(COMMANDS) == asked | {"user"}
    assert NEW == " ".join([COMMANDS[0]] +
                           ['"%s"' % name for name in COMMANDS[1:]])


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
    # a recall from everyone that stands, its evidence, and the stop
    answer = service.recall(token, messageid, all=1, stand="1h")
    done = service.wait_recall(token, answer.json()["id"])
    assert done["summary"] == {"expunged": 2} and done["success"]
    url = "/v2/standing/" + done["id"]
    assert [order["id"] for order in service.curl(
        "/v2/standing", token=token).json()["standing"]] == [done["id"]]
    assert service.curl(url, "-X", "DELETE", token=token).status == 200
    assert service.curl("/v2/actions/%s/export" % done["id"],
                        token=token).status == 200
    for how in ("-d", "reason=test"), ("-X", "DELETE"):
        answer = service.curl("/v2/stop", *how, token=token)
        assert answer.json()["success"], answer
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
