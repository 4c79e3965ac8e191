"""The end of an order while somebody is at work on it. Needs a build with
failpoints: see tests/support/failpoints.py."""

import pytest

from conftest import DRIVERS
from failpoints import IMPORT, stopped, with_failpoints
from mailnode import build_message
from quarantine import command, make_node

USERS = ["u%d@example.com" % number for number in range(4)]
ALIAS = "alias@example.com"


@pytest.fixture
def node():
    """In one process, one user after the other."""
    with with_failpoints(), make_node(
            DRIVERS[-1], USERS, mail_plugins=["notify", "recall"],
            extra=IMPORT, plugin={"recall_jobs_max": 1}) as node:
        yield node
        assert node.panics() == []


def end(node, recall_id):
    row = command(node, "standing", "end", recall_id).row()
    assert row["status"] == "ended"


def orders(node):
    return command(node, "standing", "list").rows


def test_end_while_it_is_carried_out(node, message_id, recall_id):
    """Who is looked at is looked at, and the others have what they have."""
    for user in USERS:
        node.lmtp_deliver(user, build_message(message_id))
    assert command(node, "standing", "begin", "-A", "--stand=1h",
                   "--no-notify", "--recall-id", recall_id,
                   message_id).code == 0
    with stopped(node, "copies-look", "standing", "run") as rows:
        end(node, recall_id)
    row, = rows
    assert (row["recall-id"], row["status"]) == (recall_id, "expunged")
    assert {user: node.count(user) for user in USERS} == {
        user: int(user != row["username"]) for user in USERS}


def test_end_while_the_recall_goes_on(node, message_id, recall_id):
    """Whose mailbox an alias is of does not bring it back."""
    node.add_users({ALIAS: {"user": USERS[0], "home": node.home(USERS[0])}})
    node.lmtp_deliver(USERS[0], build_message(message_id))
    with stopped(node, "copies-look", "expunge", "--users=" + ALIAS,
                 "--stand=1h", "--no-notify", "--recall-id", recall_id,
                 message_id) as rows:
        end(node, recall_id)
    row, = rows
    assert (row["mailbox-user"], row["status"]) == (USERS[0], "expunged")
    assert orders(node) == []
    node.lmtp_deliver(USERS[0], build_message(message_id))
    assert node.count(USERS[0]) == 1
