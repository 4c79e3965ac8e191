"""A mailbox that has two names, by a symbolic link or in a second namespace: what
is in it counts once, and is kept once. A mailbox that was copied with its GUID
is another one."""

import os
import subprocess

import pytest

from conftest import DRIVERS
from failpoints import IMPORT, stopped, with_failpoints
from mailnode import build_message
from quarantine import (append, command, fetch, make_node, quarantined, recall)

USER = "a@example.com"
ROOTS = {"maildir": "Maildir/.", "sdbox": "sdbox/mailboxes/",
         "mdbox": "mdbox/mailboxes/"}


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    users = ["u%02d@example.com" % i for i in range(40)]
    with with_failpoints(), make_node(request.param, users, extra=IMPORT,
                                      mail_plugins=["notify", "recall"]) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free_users)


def place(node, user, mailbox):
    return node.home(user) / (ROOTS[node.driver] + mailbox)


def link(node, user, mailbox, name):
    place(node, user, name).symlink_to(place(node, user, mailbox).name)


def found(node, name, user, *args):
    return command(node, name, "-u", user, *args).rows


# a name that is listed before the other one, and one that is listed after it
NAMES = pytest.mark.parametrize("name", ["Another", "Zwei"])


@NAMES
@pytest.mark.parametrize("point", ["quarantine-copied:1", "quarantine-copied:2",
                                   "expunged:1"])
def test_killed(node, user, name, point, message_id, recall_id):
    """What has both names is not in the quarantine twice, whenever it is
    killed."""
    append(node, user, "Work", build_message(message_id))
    link(node, user, "Work", name)
    done = subprocess.run(
        node.doveadm_command("recall", "expunge", "-u", user, "--no-notify",
                             "--recall-id", recall_id, message_id),
        capture_output=True, env={**os.environ, "RECALL_FAILPOINT": point})
    # there is no second mailbox
    assert done.returncode == (0 if point.endswith("2") else -9), done
    assert list(quarantined(node, user).values()) == [1]
    row = command(node, "restore", "-u", user, recall_id).row()
    assert row["status"] == "restored"
    assert len(fetch(node, user, "Work")) == 1


@NAMES
def test_counts_once(node, user, name, message_id, recall_id):
    for number in range(2):
        append(node, user, "Work", build_message(message_id))
    append(node, user, "INBOX", build_message(message_id))
    link(node, user, "Work", name)
    query = ["query", "HEADER", "Message-ID", message_id]
    for criteria in [message_id], ["--verify-headers", message_id], query:
        row, = found(node, "expunge", user, "--dry-run", *criteria)
        assert (row["status"], row["copies"]) == ("would_expunge", "3")
        rows = found(node, "search", user, *criteria)
        assert len(rows) == 3
        assert len({(row["mailbox-guid"], row["uid"]) for row in rows}) == 3
        for offset in range(3):
            row, = found(node, "search", user, "--limit=1",
                         "--offset=%d" % offset, *criteria)
            assert row == rows[offset]
    row, = found(node, "expunge", user, "--no-notify", "--recall-id", recall_id,
                 "--expected=3", *query)
    assert (row["status"], row["copies"]) == ("expunged", "3")
    assert sum(quarantined(node, user).values()) == 3
    assert [len(fetch(node, user, box)) for box in ("INBOX", "Work", name)] == \
        [0, 0, 0]
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", "3")
    assert [len(fetch(node, user, box)) for box in ("INBOX", "Work", name)] == \
        [1, 2, 2]


@pytest.mark.parametrize("mailbox, name", [("Work", "Sent"), ("Sent", "Work")])
def test_one_name_says_that_it_was_read(node, user, mailbox, name, message_id):
    """By its other name it is the user's own sent mail."""
    append(node, user, mailbox, build_message(message_id), ["\\Seen"])
    link(node, user, mailbox, name)
    assert recall(node, user, message_id, "0" * 32).status() == "read"
    assert len(fetch(node, user, mailbox)) == 1


@NAMES
def test_query_by_both_names(node, user, name, message_id, recall_id):
    """It finds one message by each: both are recalled."""
    for subject in "one", "two", "three":
        append(node, user, "Work", build_message(message_id, subject=subject))
    link(node, user, "Work", name)
    query = ["query", "(", "mailbox", "Work", "subject", "one", ")", "OR",
             "(", "mailbox", name, "(", "subject", "one", "OR", "subject",
             "two", ")", ")"]
    assert len(found(node, "search", user, *query)) == 2
    row, = found(node, "expunge", user, "--dry-run", *query)
    assert row["copies"] == "2"
    row, = found(node, "expunge", user, "--no-notify", "--recall-id", recall_id,
                 "--expected=2", *query)
    assert (row["status"], row["copies"]) == ("expunged", "2")
    # it is one mailbox, whatever it is called
    assert row["mailboxes"] in ("Work", name)
    assert len(row["mailbox-guids"]) == 32
    row, = found(node, "list", user)
    assert row["copies"] == "2"
    left, = fetch(node, user, "Work")
    assert b"Subject: three" in left[2]
    assert sum(quarantined(node, user).values()) == 2
    assert command(node, "restore", "-u", user,
                   recall_id).row()["copies"] == "2"
    assert len(fetch(node, user, "Work")) == 3


@NAMES
def test_one_by_each_name(node, user, name, message_id, recall_id):
    """Both are of one mailbox."""
    for subject in "one", "two":
        append(node, user, "Work", build_message(message_id, subject=subject))
    link(node, user, "Work", name)
    row, = found(node, "expunge", user, "--no-notify", "--recall-id", recall_id,
                 "--expected=2", "query", "(", "mailbox", "Work", "subject",
                 "one", ")", "OR", "(", "mailbox", name, "subject", "two", ")")
    assert (row["status"], row["copies"]) == ("expunged", "2")
    assert row["mailboxes"] in ("Work", name)
    assert len(row["mailbox-guids"]) == 32
    row, = found(node, "list", user)
    assert row["copies"] == "2"


@NAMES
def test_copied_mailbox(node, user, name, message_id, recall_id):
    """It has the same GUID and the same UIDs, and messages of its own: all of
    them go, and all come back, to either."""
    append(node, user, "Work", build_message(message_id))
    work, copy = place(node, user, "Work"), place(node, user, name)
    subprocess.run(["cp", "-a", work, copy], check=True)
    assert len(found(node, "search", user, message_id)) == 2
    args = ["--no-notify", "--recall-id", recall_id, message_id]
    row, = found(node, "expunge", user, "--dry-run", *args)
    assert (row["status"], row["copies"]) == ("would_expunge", "2")
    row, = found(node, "expunge", user, *args)
    assert (row["status"], row["copies"]) == ("expunged", "2")
    assert [len(fetch(node, user, box)) for box in ("Work", name)] == [0, 0]
    assert sum(quarantined(node, user).values()) == 2
    row, = found(node, "list", user)
    assert row["copies"] == "2"
    row, = found(node, "restore", user, recall_id)
    assert (row["status"], row["copies"]) == ("restored", "2")
    assert sum(len(fetch(node, user, box)) for box in ("Work", name)) == 2


@pytest.mark.parametrize("first, second", [("Work", "Copy"), ("Copy", "Work")])
def test_copied_mailbox_gets_more(node, user, first, second, message_id,
                                  recall_id):
    """... while it is recalled, by a UID that has gone in the other one."""
    for _ in range(2):
        append(node, user, "Work", build_message(message_id))
    subprocess.run(["cp", "-a", place(node, user, "Work"),
                    place(node, user, "Copy")], check=True)
    append(node, user, first, build_message(message_id))
    with stopped(node, "expunged:2", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        append(node, user, second, build_message(message_id))
    row, = rows
    assert (row["status"], row["copies"]) == ("expunged", "6")
    assert sum(quarantined(node, user).values()) == 6


SECOND = """
namespace second {
  type = private
  separator = /
  prefix = Second/
  location = %s:~/linked
}
"""


def counts_and_restores(node, user, message_id, recall_id, count):
    row, = found(node, "expunge", user, "--dry-run", message_id)
    assert (row["status"], row["copies"]) == ("would_expunge", str(count))
    assert len(found(node, "search", user, message_id)) == count
    assert recall(node, user, message_id, recall_id, "--no-notify"
                  ).row()["copies"] == str(count)
    assert sum(quarantined(node, user).values()) == count
    assert command(node, "restore", "-u", user,
                   recall_id).row()["copies"] == str(count)


@pytest.mark.parametrize("driver", DRIVERS)
def test_second_namespace(driver, message_id, recall_id):
    """It is a link to what the user's own one has."""
    with make_node(driver, [USER], extra=SECOND % driver,
                   mail_plugins=["notify", "recall"]) as node:
        for mailbox in "INBOX", "Work":
            append(node, USER, mailbox, build_message(message_id))
        (node.home(USER) / "linked").symlink_to(
            ROOTS[driver].partition("/")[0])
        assert len(fetch(node, USER, "Second/Work")) == 1
        counts_and_restores(node, USER, message_id, recall_id, 2)
        assert node.panics() == [] and node.errors() == []


def test_index_elsewhere(message_id, recall_id):
    """A Maildir has an index by each of its names, and one list of UIDs."""
    users = {USER: {
        "mail": "maildir:~/Maildir:INDEX=~/index",
        "namespace/recalled/location":
            "maildir:~/recalled:INDEX=~/index.recalled"}}
    with make_node("maildir", users,
                   mail_plugins=["notify", "recall"]) as node:
        append(node, USER, "Work", build_message(message_id))
        link(node, USER, "Work", "Another")
        assert len(fetch(node, USER, "Another")) == 1
        counts_and_restores(node, USER, message_id, recall_id, 1)
        assert node.panics() == [] and node.errors() == []


def test_uids_elsewhere(message_id, recall_id):
    """Of two names of one Maildir each may have a list of UIDs of its own: what
    has a UID by one name is not what has it by the other."""
    second = SECOND % "maildir"
    second = second.replace("~/linked", "~/linked:CONTROL=~/control:"
                            "INDEX=~/index")
    with make_node("maildir", [USER], extra=second,
                   mail_plugins=["notify", "recall"]) as node:
        for subject in "one", "two", "three":
            append(node, USER, "Work", build_message(message_id,
                                                     subject=subject))
        (node.home(USER) / "linked").symlink_to("Maildir")
        node.doveadm("expunge", "-u", USER, "mailbox", "Work", "SUBJECT", "one")
        # numbered anew
        assert len(fetch(node, USER, "Second/Work")) == 2
        query = ["query", "(", "mailbox", "Work", "subject", "two", ")", "OR",
                 "(", "mailbox", "Second/Work", "subject", "three", ")"]
        rows = found(node, "search", USER, *query)
        assert [row["uid"] for row in rows] == ["2", "2"]
        row, = found(node, "expunge", USER, "--dry-run", *query)
        assert (row["status"], row["copies"]) == ("would_expunge", "2")
        row, = found(node, "expunge", USER, "--no-notify", "--recall-id",
                     recall_id, "--expected=2", *query)
        assert (row["status"], row["copies"]) == ("expunged", "2")
        assert fetch(node, USER, "Work") == []
        assert node.panics() == [] and node.errors() == []


@NAMES
@pytest.mark.parametrize("point", [None, "quarantine-copied:1", "expunged:1"])
def test_control_elsewhere(name, point, message_id, recall_id):
    """A Maildir has other UIDs by each of its names."""
    users = {USER: {
        "mail": "maildir:~/Maildir:INDEX=~/index:CONTROL=~/control",
        "namespace/recalled/location": "maildir:~/recalled:"
        "INDEX=~/index.recalled:CONTROL=~/control.recalled"}}
    with with_failpoints(), make_node(
            "maildir", users, extra=IMPORT,
            mail_plugins=["notify", "recall"]) as node:
        append(node, USER, "Work", build_message("<other@example.com>"))
        node.doveadm("expunge", "-u", USER, "mailbox", "Work", "all")
        for _ in range(2):
            append(node, USER, "Work", build_message(message_id))
        link(node, USER, "Work", name)
        assert len(fetch(node, USER, name)) == 2
        if point is None:
            counts_and_restores(node, USER, message_id, recall_id, 2)
        else:
            subprocess.run(
                node.doveadm_command("recall", "expunge", "-u", USER,
                                     "--no-notify", "--recall-id", recall_id,
                                     message_id),
                env={**os.environ, "RECALL_FAILPOINT": point})
            assert sum(quarantined(node, USER).values()) == 2
            command(node, "restore", "-u", USER, recall_id)
        assert len(fetch(node, USER, "Work")) == 2
        assert node.panics() == []
