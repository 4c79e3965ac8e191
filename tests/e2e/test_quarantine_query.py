"""What a query recalls goes to the quarantine and comes back like all else."""

import itertools
import os

import pytest

from conftest import DRIVERS, run_shell
from mailnode import build_message
from quarantine import command, fetch, make_node, quarantined

_ids = itertools.count(1)


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    names = ["u%02d@example.com" % i for i in range(10)]
    with make_node(request.param, {name: {} for name in names}) as node:
        node.free_users = iter(names)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free_users)


def recall(node, user, *args):
    """Of three unwanted messages, each with an id of its own."""
    for number, mailbox in enumerate(("INBOX", "INBOX", "Work")):
        node.append(user, mailbox, build_message(
            "<%d@example.net>" % number, subject="Prize %d" % number,
            sender="phish@example.net"), ["\\Flagged"])
    node.append(user, "INBOX", build_message("<good@example.com>"))
    recall_id = "%032x" % ((os.getpid() << 64) + next(_ids))
    row = run_shell(node, "-u", user, "--recall-id", recall_id, "--no-notify",
                    *args, "query", "FROM", "phish@example.net").row()
    return recall_id, row


def test_round_trip(node, user):
    recall_id, row = recall(node, user, "--yes-count=3")
    assert (row["status"], row["copies"], row["error"]) == \
        ("expunged", "3", "")
    assert sorted(quarantined(node, user).values()) == [1, 2]
    assert (node.count(user), node.count(user, "Work")) == (1, 0)
    listed = command(node, "list", "-u", user).row()
    assert (listed["recall-id"], listed["copies"], listed["message-id"]) == \
        (recall_id, "3", "")

    restored = command(node, "restore", "-u", user, recall_id).row()
    assert (restored["status"], restored["copies"]) == ("restored", "3")
    assert quarantined(node, user) == {}
    assert (node.count(user), node.count(user, "Work")) == (3, 1)
    assert all("\\Flagged" in flags for flags, *_ in fetch(node, user, "Work"))


def test_quarantine_is_not_searched(node, user):
    recall(node, user, "--yes-count=3")
    for query in (["ALL"], ["mailbox", "*"], ["FROM", "phish"]):
        done = node.doveadm("-f", "tab", "recall", "search", "-u", user,
                            "query", *query)
        assert "phish@example.net" not in done.stdout, query


def test_dry_run_moves_nothing(node, user):
    row = recall(node, user, "--dry-run")[1]
    assert (row["status"], row["copies"]) == ("would_expunge", "3")
    assert quarantined(node, user) == {}
    assert node.count(user) == 3


def test_retry_takes_no_more_than_was_counted(node, user):
    """Together with what the first try has taken; what only that one knows of
    is none that came since."""
    recall_id, row = recall(node, user, "--expected=3")
    assert (row["status"], row["copies"]) == ("expunged", "3")
    node.append(user, "INBOX", build_message("<new@example.net>",
                                             sender="phish@example.net"))
    row = run_shell(node, "-u", user, "--recall-id", recall_id, "--no-notify",
                    "--expected=3", "query", "FROM",
                    "phish@example.net").row()
    assert row["status"] == "error"
    assert "4 messages match, but only 3 did" in row["error"]
    assert node.count(user) == 2
    assert sum(quarantined(node, user).values()) == 3
    restored = command(node, "restore", "-u", user, recall_id).row()
    assert (restored["status"], restored["copies"]) == ("restored", "3")
