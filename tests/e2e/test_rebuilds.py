"""An mdbox that is rebuilt while a recall looks: messages may be in no mailbox
then, so it must not say that there is none. Where nothing is rebuilt it must."""

import fcntl
import os
import struct
import time

import pytest

from conftest import DRIVERS, EX_TEMPFAIL
from failpoints import IMPORT, stopped, with_failpoints
from mailnode import build_message
from quarantine import append, command, fetch, make_node, quarantined, recall

pytestmark = pytest.mark.skipif("mdbox" not in DRIVERS,
                                reason="only an mdbox is rebuilt as a whole")

HOUR = 3600
FLAGS, FSCKD = 20, 4
NOT_FOUND = ("not_found", 0)

ARCHIVE = """
namespace archive {
  type = private
  separator = /
  prefix = Archive/
  location = mdbox:~/archive
}
"""


@pytest.fixture(scope="module", params=["fcntl"])
def node(request):
    users = ["u%d@example.com" % number for number in range(9)]
    with make_node("mdbox", users, mail_plugins=["notify", "recall"],
                   extra=ARCHIVE + "lock_method = %s\n" %
                   request.param) as node:
        node.lock_method = request.param
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    user = next(node.free_users)
    begin(node, user)
    return user


def begin(node, user):
    for mailbox in "Work", "Archive/Old":
        append(node, user, mailbox, build_message("<other@example.com>"))


def map_index(node, user, place="mdbox"):
    return node.home(user) / place / "storage/dovecot.map.index"


def rebuild(node, user):
    """Returns the map's index, which has the flag then."""
    node.doveadm("force-resync", "-u", user, "*")
    index = map_index(node, user)
    assert flags(index) & FSCKD
    return index


def flags(index):
    return struct.unpack_from("=I", index.read_bytes(), FLAGS)[0]


def change(index, ago, flag):
    """The index was put in place so long ago, by a rebuild or not."""
    with open(index, "r+b") as file:
        file.seek(FLAGS)
        file.write(struct.pack("=I", flags(index) & ~FSCKD |
                               (FSCKD if flag else 0)))
    os.utime(index, (time.time() - ago,) * 2)


def look(node, user, message_id, *args):
    done = command(node, "expunge", "-u", user, "--dry-run", *args, message_id)
    if done.status() == "error":
        assert "rebuilt" in done.row()["error"], done
        assert done.code == EX_TEMPFAIL
        return "error"
    return done.status(), done.code


def test_when_it_was(node, user, message_id):
    index = rebuild(node, user)
    for ago, flag, expected in (
            # one that is younger does not get older while it is waited for
            (-HOUR, True, "error"), (-HOUR, False, NOT_FOUND),
            (HOUR, True, NOT_FOUND), (HOUR, False, NOT_FOUND)):
        change(index, ago, flag)
        assert look(node, user, message_id) == expected, (ago, flag)
    # what is there is found
    change(index, -HOUR, True)
    assert look(node, user, "<other@example.com>") == ("would_expunge", 0)
    # it is waited for as long as it takes
    change(index, 0, True)
    assert look(node, user, message_id) == NOT_FOUND


def lock(index, method="fcntl"):
    """Has the map locked, until what is returned is called."""
    log = index.with_name(index.name + ".log")
    if method == "dotlock":
        path = log.with_name(log.name + ".lock")
        path.touch()
        return path.unlink
    file = open(log, "r+b")
    (fcntl.lockf if method == "fcntl" else fcntl.flock)(file, fcntl.LOCK_EX)
    return file.close


@pytest.mark.parametrize("node", ["fcntl", "flock", "dotlock"], indirect=True)
@pytest.mark.parametrize("place", ["mdbox", "archive"])
def test_while_it_is(node, user, message_id, place):
    unlock = lock(map_index(node, user, place), node.lock_method)
    try:
        assert look(node, user, message_id) == "error"
    finally:
        unlock()
    assert look(node, user, message_id) == NOT_FOUND


def test_no_index(node, user, message_id):
    """What there is is in its log."""
    index = map_index(node, user)
    index.unlink(missing_ok=True)
    assert look(node, user, message_id) == NOT_FOUND


@pytest.fixture(scope="module")
def stopping_node():
    users = ["u%d@example.com" % number for number in range(3)]
    with with_failpoints(), make_node("mdbox", users, extra=ARCHIVE + IMPORT,
                                      mail_plugins=["notify", "recall"]
                                      ) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.mark.parametrize("how", ["locked", "changed"])
def test_meanwhile(stopping_node, message_id, recall_id, how):
    """It was when a look began, or has been since. What comes back to a mailbox
    that was looked at already is found by the next look."""
    node = stopping_node
    user = next(node.free_users)
    begin(node, user)
    index = rebuild(node, user)
    change(index, HOUR, False)
    unlock = lock(index) if how == "locked" else lambda: None
    # before the last of three mailboxes in the second look
    with stopped(node, "copies-look:6", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        unlock()
        append(node, user, "Work", build_message(message_id))
        if how == "changed":
            change(index, 2 * HOUR, False)
    assert [row["status"] for row in rows] == ["expunged"]


def test_deleted_meanwhile(stopping_node, message_id, recall_id):
    """By a client, not in a rebuild: there has been one before."""
    node = stopping_node
    user = next(node.free_users)
    append(node, user, "Work", build_message(message_id))
    rebuild(node, user)
    with stopped(node, "quarantine-begin", "expunge", "-u", user,
                 "--no-notify", "--recall-id", recall_id, message_id,
                 code=None) as rows:
        node.doveadm("expunge", "-u", user, "mailbox", "Work", "all")
    assert [row["status"] for row in rows] == ["not_found"]


def test_another_message(node, user, message_id, recall_id):
    """The storage has another message under the number that a mailbox knows
    one by, as after a rebuild: it is not what is put into the quarantine for
    it."""
    wanted, other = ["<%s.%s" % (letter, message_id[1:]) for letter in "ab"]
    for an_id in wanted, other:
        append(node, user, "Work", build_message(an_id))
    node.doveadm("fetch", "-u", user, "hdr.message-id", "mailbox", "Work")
    file, = map_index(node, user).parent.glob("m.*")
    text = file.read_bytes()
    for before, after in (wanted, "<c"), (other, wanted), ("<c", other):
        text = text.replace(before.encode(), after.encode())
    file.write_bytes(text)
    row = recall(node, user, wanted, recall_id, "--no-notify").row()
    assert (row["status"], row["copies"]) == ("error", "1")
    assert "another message" in row["error"]
    for an_id in wanted, other:
        assert len(command(node, "search", "-u", user, "--verify-headers",
                           an_id).rows) == 1
    assert quarantined(node, user) == {}
    # what it is by its headers
    assert recall(node, user, wanted, recall_id, "--no-notify",
                  "--verify-headers").status() == "expunged"
    assert [wanted in text.decode() for _, _, text in
            fetch(node, user, mailbox="Work")] == [False, False]
