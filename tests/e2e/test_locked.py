"""A Maildir whose lock somebody keeps: one that is renamed while it is locked
takes the lock with it, and Dovecot waits for that for as long as the process
lives which had it."""

import os
import socket

import pytest

from conftest import DRIVERS, parse_tab
from mailnode import build_message
from quarantine import make_node, quarantined

USERS = ["kept@example.com", "gone@example.com"]
# each time that Dovecot needs the lock, and not 122 seconds
OPTION = ("-o", "mail_max_lock_timeout=1s")


@pytest.fixture(scope="module", params=[True, False], ids=["kept", "gone"])
def node(request):
    if "maildir" not in DRIVERS:
        pytest.skip("Maildir only")
    options = {} if request.param else {"namespace": False,
                                        "plugin": {"recall_quarantine": ""}}
    with make_node("maildir", USERS, mail_plugins=["notify", "recall"],
                   **options) as node:
        node.user = USERS[0 if request.param else 1]
        yield node
        assert node.panics() == []


def expunge(node, recall_id, message_id, code):
    done = node.doveadm(*OPTION, "-f", "tab", "recall", "expunge", "-u",
                        node.user, "--no-notify", "--recall-id", recall_id,
                        message_id, check=False)
    assert done.returncode == code, done
    row, = parse_tab(done.stdout)
    return row


def test_locked(node, message_id, recall_id):
    """It says so, and goes on no longer. Dovecot has noted what is to be
    expunged, and does it as soon as the lock is gone."""
    node.doveadm("mailbox", "create", "-u", node.user, "Beta")
    node.append(node.user, "Beta", build_message(message_id))
    lock = node.home(node.user) / "Maildir/.Beta/dovecot-uidlist.lock"
    # of a process that lives
    lock.write_text("%d:%s" % (os.getpid(), socket.gethostname()))
    row = expunge(node, recall_id, message_id, os.EX_TEMPFAIL)
    assert (row["status"], row["error"]) == \
        ("error", "Expunging from mailbox Beta failed: "
         "Another process has it locked")
    assert lock.exists()
    lock.unlink()
    row = expunge(node, recall_id, message_id, 0)
    assert row["status"] == \
        ("already_recalled" if node.user == USERS[0] else "not_found")
    assert node.count(node.user, "Beta") == 0
    if node.user == USERS[0]:
        assert list(quarantined(node, node.user).values()) == [1]
