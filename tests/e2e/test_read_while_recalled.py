"""What is read while it is recalled stays, at whichever moment that is, and the
recall says so. Needs a build with failpoints: see
tests/support/failpoints.py."""

import pytest

from conftest import DRIVERS
from failpoints import IMPORT, stopped_each_time, with_failpoints
from mailnode import build_message
from quarantine import make_node, quarantined

SENDER, OTHER = "ann@example.com", "bob@example.com"
# some of several are gone
HALF = "A copy was read while it was recalled"


@pytest.fixture(scope="module", params=[
    (driver, kept) for driver in DRIVERS for kept in (True, False)],
    ids=lambda param: param[0] + "-kept" * param[1])
def node(request):
    driver, kept = request.param
    users = ["u%d@example.com" % i for i in range(10)]
    with with_failpoints(), make_node(
            driver, users, mail_plugins=["notify", "recall"], extra=IMPORT,
            kept=kept) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free_users)


def put(node, user, mailbox, message_id, sender=SENDER):
    node.append(user, mailbox, build_message(message_id, sender=sender))


def recall(node, user, message_id, recall_id, points, steps, *args):
    """Takes a step at each of the points. The row."""
    row, = stopped_each_time(node, points, steps, "expunge", "-u", user,
                             "--no-notify", "--recall-id", recall_id, *args,
                             message_id)
    return row


def counts(node, user):
    return [node.count(user, mailbox) for mailbox in ("INBOX", "Work")]


def kept(node, user):
    return sum(quarantined(node, user).values()) if node.kept else None


@pytest.mark.parametrize("mailbox", ["INBOX", "Work"])
def test_during_the_look(node, user, message_id, recall_id, mailbox):
    """In the mailbox that was looked at, or in the other one."""
    for name in "INBOX", "Work":
        put(node, user, name, message_id)
    row = recall(node, user, message_id, recall_id, "copies-look:2", [
        lambda: node.set_flags(user, mailbox, ["\\Seen"])])
    assert (row["status"], row["copies"], row["error"]) == ("read", "2", "")
    assert counts(node, user) == [1, 1]


def first_and_second(node, user):
    """In the order in which they are looked at: the first one has gone."""
    return sorted(("INBOX", "Work"),
                  key=lambda mailbox: node.count(user, mailbox))


def read_what_is_left(node, user):
    """Returns where the other one was, and where it is."""
    gone, left = first_and_second(node, user)
    node.set_flags(user, left, ["\\Seen"])
    return gone, left


def test_when_the_first_one_is_gone(node, user, message_id, recall_id):
    for name in "INBOX", "Work":
        put(node, user, name, message_id)
    row = recall(node, user, message_id, recall_id, "expunged:1", [
        lambda: read_what_is_left(node, user)])
    assert (row["status"], row["copies"], row["error"]) == ("error", "1", HALF)
    assert sum(counts(node, user)) == 1
    assert kept(node, user) in (None, 1)


def test_when_another_one_has_come(node, user, message_id, recall_id):
    """That is found by the next look, and read before this ends."""
    places = []
    for name in "INBOX", "Work":
        put(node, user, name, message_id)
        # each has to be looked at once more
        put(node, user, name, message_id, sender=OTHER)

    def comes():
        places.extend(first_and_second(node, user))
        put(node, user, places[0], message_id)

    points = "expunged:1 copies-look:4"
    row = recall(node, user, message_id, recall_id, points, [
        comes, lambda: node.set_flags(user, places[0], ["\\Seen"])],
        "--sender=" + SENDER)
    assert (row["status"], row["copies"], row["error"]) == ("error", "2", HALF)
    assert [node.count(user, mailbox) for mailbox in places] == [2, 1]
    assert kept(node, user) in (None, 2)


@pytest.mark.parametrize("mailbox", ["INBOX", "Work"])
def test_when_it_has_come_once_more(node, user, message_id, recall_id,
                                    mailbox):
    """Where the only one was."""
    put(node, user, mailbox, message_id)
    for name in "INBOX", "Work":
        put(node, user, name, message_id, sender=OTHER)
    points = "expunged:1 copies-look:4"
    row = recall(node, user, message_id, recall_id, points, [
        lambda: put(node, user, mailbox, message_id),
        lambda: node.set_flags(user, mailbox, ["\\Seen"])],
        "--sender=" + SENDER)
    assert (row["status"], row["copies"], row["error"]) == ("error", "1", HALF)
    assert node.count(user, mailbox) == 2
    assert kept(node, user) in (None, 1)


def test_moved_past_the_next_look(node, user, message_id, recall_id):
    """From where it was left, and is to be looked for, to where nothing was
    found a moment ago."""
    places = []
    for name in "INBOX", "Work":
        put(node, user, name, message_id)
    points = "expunged:1 copies-look:3"
    row = recall(node, user, message_id, recall_id, points, [
        lambda: places.extend(read_what_is_left(node, user)),
        lambda: node.doveadm("move", "-u", user, places[0], "mailbox",
                             places[1], "all")])
    assert (row["status"], row["copies"], row["error"]) == ("error", "1", HALF)
    assert [node.count(user, mailbox) for mailbox in places] == [1, 0]
    assert kept(node, user) in (None, 1)
