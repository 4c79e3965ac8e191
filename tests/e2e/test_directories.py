"""A recall does not have Dovecot look through all of the user's directories, nor
does it read more of the user's index than it has to."""

import contextlib
import time

import pytest

from conftest import run_http
from faults import wait_for
from inotify import IN_ACCESS, IN_CLOSE_NOWRITE, IN_OPEN, Watch
from mailnode import build_message
from quarantine import node_of_free_users

USERS = ["user%d@example.com" % number for number in range(4)]


@pytest.fixture(scope="module")
def node():
    yield from node_of_free_users(USERS)


@contextlib.contextmanager
def readings(path, events=IN_ACCESS):
    """Calls that read the directory itself, a list that is filled at the end; or
    what else happens to a file."""
    found = []
    with Watch(path, events) as watch:
        yield found
        found += watch.read()


def read_while(node, user, call):
    with readings(node.home(user) / "sdbox/mailboxes") as found:
        call()
    return len(found)


def recall(node, user, message_id, **more):
    return run_http(node, users=[user], messageId=message_id, **more).status()


@pytest.mark.parametrize("more", [{"noNotify": True}, {}])
def test_hit(node, message_id, more):
    """Though the header that is read is in no cache, and Dovecot adds up the sizes
    of new messages when the mailbox is synced."""
    user = next(node.free_users)
    for name in "Work", "Play", "INBOX":
        node.append(user, name, build_message("<other.%s@example.com>" % name))
    node.doveadm("mailbox", "status", "-u", user, "vsize", "*")
    node.lmtp_deliver(user, build_message(message_id))
    node.forget_cached(user)
    # so that it can be seen at all
    assert read_while(node, user, lambda: node.doveadm(
        "mailbox", "list", "-u", user)) > 0

    def miss():
        assert recall(node, user, "<nothing@example.com>",
                      dryRun=True) == "not_found"
    # directories that were written to just now have to be read
    wait_for(lambda: read_while(node, user, miss) == 0)

    def hit():
        assert recall(node, user, message_id, **more) == "expunged"
    assert read_while(node, user, hit) == 0


def index_readings(node, user, call):
    """How often the index is opened to be read."""
    index, = node.home(user).rglob("dovecot.recall.index")
    # equal events one after the other are one event
    with readings(index, IN_OPEN | IN_CLOSE_NOWRITE) as found:
        call()
    return len([mask for mask in found if mask & IN_CLOSE_NOWRITE])


def test_index_is_not_read_again(node, message_id):
    """The first look asks it for mailboxes, and knows what it has of the messages of
    one. The second look does not open that one: nothing has come to it, and what
    it had has gone."""
    user = next(node.free_users)
    for name in "Work", "Play", "INBOX":
        node.append(user, name, build_message("<other.%s@example.com>" % name))
    node.append(user, "INBOX", build_message(message_id))

    def miss():
        assert recall(node, user, "<nothing@example.com>",
                      dryRun=True) == "not_found"

    def is_quiet():
        miss()
        old = time.time() - 3
        return index_readings(node, user, miss) == 1 and all(
            path.stat().st_mtime < old for name in
            ("dovecot.index.log", "dovecot.recall.index")
            for path in node.home(user).rglob(name))
    # a mailbox that was written to just now is opened by each look, and an index
    # is read again
    wait_for(is_quiet)

    def hit():
        assert recall(node, user, message_id, noNotify=True) == "expunged"
    assert index_readings(node, user, hit) == 1
