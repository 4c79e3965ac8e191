"""A recall does not have Dovecot look through all of the user's directories."""

import contextlib
import ctypes
import os
import struct

import pytest

from conftest import run_http
from faults import wait_for
from mailnode import build_message
from quarantine import node_of_free_users

USERS = ["user%d@example.com" % number for number in range(4)]
IN_ACCESS = 1
EVENT = struct.Struct("iIII")


@pytest.fixture(scope="module")
def node():
    yield from node_of_free_users(USERS)


@contextlib.contextmanager
def readings(path):
    """Calls that read the directory itself, a list that is filled at the end."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK)
    assert fd >= 0 and libc.inotify_add_watch(
        fd, os.fsencode(path), IN_ACCESS) >= 0, os.strerror(ctypes.get_errno())
    found = []
    try:
        yield found
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, 1 << 16)
            while data:
                _, mask, _, length = EVENT.unpack_from(data)
                data = data[EVENT.size + length:]
                # one with a name is of what is in there
                if length == 0:
                    found.append(mask)
    finally:
        os.close(fd)


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
