"""The end of an order while somebody is at work on it. Needs a build with
failpoints: see tests/support/failpoints.py."""

import pytest

from conftest import DRIVERS
from failpoints import IMPORT, stopped, with_failpoints
from mailnode import build_message
from quarantine import command, make_node

USER = "user@example.com"
ALIAS = "alias@example.com"


@pytest.fixture
def node():
    with with_failpoints(), make_node(
            DRIVERS[-1], [USER], mail_plugins=["notify", "recall"],
            extra=IMPORT) as node:
        yield node
        assert node.panics() == []


def end(node, recall_id):
    row = command(node, "standing", "end", recall_id).row()
    assert row["status"] == "ended"


def orders(node):
    return command(node, "standing", "list").rows


def test_end_while_the_recall_goes_on(node, message_id, recall_id):
    """Whose mailbox an alias is of does not bring it back."""
    node.add_users({ALIAS: {"user": USER, "home": node.home(USER)}})
    node.lmtp_deliver(USER, build_message(message_id))
    with stopped(node, "copies-look", "expunge", "--users=" + ALIAS,
                 "--stand=1h", "--no-notify", "--recall-id", recall_id,
                 message_id) as rows:
        end(node, recall_id)
    row, = rows
    assert (row["mailbox-user"], row["status"]) == (USER, "expunged")
    assert orders(node) == []
    node.lmtp_deliver(USER, build_message(message_id))
    assert node.count(USER) == 1
