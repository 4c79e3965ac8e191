"""Recalls that stand, and a mail server's queue that goes on to deliver."""

import pytest

import postfixnode
from conftest import DRIVERS, run_shell
from exported import examples, exported
from mailnode import build_message
from postfixnode import PostfixNode
from quarantine import command, make_node, quarantined

pytestmark = pytest.mark.skipif(
    not postfixnode.available(), reason="root alone runs a Postfix, if "
    "Debian's package is installed")

READY = "ready@example.com"
WAITING = ["waiting1@example.com", "waiting2@example.com"]
# a mailbox that can't be opened: the node refuses for now
BROKEN = {"mail": "maildir:/dev/null/mail"}


@pytest.fixture(params=DRIVERS)
def node(request):
    users = {READY: {}, **{user: BROKEN for user in WAITING}}
    with make_node(request.param, users, mail_plugins=["notify", "recall"],
                   extra=examples()) as node:
        yield node
        assert node.panics() == []


@pytest.mark.log_errors("/dev/null")
def test_held_queue(node, message_id):
    """A message has reached one of its users and is held in the queue for
    others when it is recalled. Released, it is delivered, and recalled then.
    Other mail beside it is not."""
    other_id = "<other" + message_id[1:]
    everyone = [READY, *WAITING]
    with PostfixNode(node) as queue:
        recalled, other = (
            queue.send("sender@example.com", everyone,
                       build_message(name, subject="Held"))
            for name in (message_id, other_id))
        for queue_id in recalled, other:
            queue.wait_for(queue_id, "deferred", WAITING)
        assert node.count(READY) == 2
        queue.hold(recalled, other)
        # what keeps the others from it is over, and yet they do not get it
        node.add_users({user: {} for user in WAITING})
        # Dovecot has errors when two deliveries make an INBOX at once
        for user in WAITING:
            assert node.count(user) == 0
        queue.flush()
        assert queue.queued() == {recalled: ("hold", WAITING),
                                  other: ("hold", WAITING)}

        result = run_shell(node, "--stand=48h",
                           *("--users=" + user for user in everyone), "--",
                           message_id)
        assert result.statuses() == {READY: "expunged",
                                     **{user: "not_found"
                                        for user in WAITING}}
        recall_id = result.rows[0]["recall-id"]
        order, = command(node, "standing", "list").rows
        assert (order["recall-id"], order["late"]) == (recall_id, "0")

        since = node.log_size()
        queue.release(recalled, other)
        queue.flush()
        queue.wait_delivered(recalled, other)
        # the mail server was told that both were delivered
        assert queue.log().count("status=sent") == 6
        assert "status=bounced" not in queue.log()

    events = exported(node, 2, '"recall_late"', since)
    assert sorted(event["fields"]["user"] for event in events) == WAITING
    for event in events:
        assert event["fields"].items() >= {
            "recall_id": recall_id, "copies": 1,
            "message_id": message_id.strip("<>")}.items()
    order, = command(node, "standing", "list").rows
    assert (order["recall-id"], order["late"]) == (recall_id, "2")
    rows = command(node, "standing", "late", recall_id).rows
    assert sorted((row["username"], row["copies"], row["mailboxes"])
                  for row in rows) == [(user, "1", "INBOX")
                                       for user in WAITING]
    for user in everyone:
        texts = node.messages(user)
        notice, = (text for text in texts if b"X-Dovecot-Recall-Id:" in text)
        assert recall_id.encode() in notice and b"Held" in notice
        kept, = (text for text in texts if text != notice)
        assert b"Message-ID: " + other_id.encode() in kept
        assert list(quarantined(node, user).values()) == [1]
    # and it comes back from where it was delivered to late
    restored = command(node, "restore", "-u", WAITING[0], recall_id)
    assert restored.row()["status"] == "restored"
    assert node.count(WAITING[0]) == 3
