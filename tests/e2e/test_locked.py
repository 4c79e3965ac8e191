"""Locks that somebody else has. A recall waits for them as Dovecot does, and
says so if that was in vain. A Maildir that is renamed while it is locked takes
the lock with it, and Dovecot waits for that for as long as the process lives
which had it."""

import concurrent.futures
import contextlib
import fcntl
import os
import socket
import subprocess
import time

import pytest

from conftest import DRIVERS, parse_tab
from faults import wait_for
from inotify import IN_OPEN, Watch
from mailnode import PATIENCE, build_message
from quarantine import make_node, quarantined

# each time that Dovecot needs the lock, and not 122 seconds
OPTION = ("-o", "mail_max_lock_timeout=1s")
# whoever changes a mailbox needs these
LOCKS = {"maildir": ["Maildir/.Beta/dovecot-uidlist.lock"],
         "sdbox": ["sdbox/mailboxes/Beta/dbox-Mails/dovecot.index.log"],
         "mdbox": ["mdbox/mailboxes/Beta/dbox-Mails/dovecot.index.log",
                   "mdbox/storage/dovecot.map.index.log"]}
USER = "user%d@example.com"


@pytest.fixture(scope="module", params=[
    (driver, kept) for driver in DRIVERS for kept in (True, False)],
    ids=lambda param: param[0] + "-kept" * param[1])
def node(request):
    driver, kept = request.param
    with make_node(driver, [USER % i for i in range(3)],
                   mail_plugins=["notify", "recall"], kept=kept) as node:
        yield node
        assert node.panics() == []


def in_beta(node, user, message_id):
    node.doveadm("mailbox", "create", "-u", user, "Beta")
    node.append(user, "Beta", build_message(message_id))


def command(node, user, recall_id, message_id):
    return ["-f", "tab", "recall", "expunge", "-u", user, "--no-notify",
            "--recall-id", recall_id, message_id]


def expunge(node, user, recall_id, message_id, code):
    done = node.doveadm(*OPTION, *command(node, user, recall_id, message_id),
                        check=False)
    assert done.returncode == code, done
    row, = parse_tab(done.stdout)
    return row


def write_dotlock(path):
    """Of a process that lives."""
    path.write_text("%d:%s" % (os.getpid(), socket.gethostname()))


def waits_for(stream):
    """Whether somebody waits for the lock of that file."""
    inode = ":%d " % os.fstat(stream.fileno()).st_ino
    with open("/proc/locks", encoding="ascii") as locks:
        return any("->" in line and inode in line for line in locks)


@contextlib.contextmanager
def held(path):
    """Locks the file. Yields what tells whether somebody waits for it."""
    if path.suffix == ".lock":
        write_dotlock(path)
        with Watch(path, IN_OPEN) as watch:
            # to see whose it is
            yield watch.read
        path.unlink()
    else:
        with path.open("r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX)
            yield lambda: waits_for(stream)


@pytest.mark.parametrize("number", [0, 1])
def test_held(node, number, message_id, recall_id):
    """For a while: it does not matter."""
    if number == len(LOCKS[node.driver]):
        pytest.skip("has no other lock")
    user = USER % number
    in_beta(node, user, message_id)
    end = time.monotonic() + PATIENCE
    with held(node.home(user) / LOCKS[node.driver][number]) as somebody_waits:
        process = subprocess.Popen(
            node.doveadm_command(*command(node, user, recall_id, message_id)),
            stdout=subprocess.PIPE, text=True)
        while not somebody_waits():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
    row, = parse_tab(process.communicate()[0])
    assert (row["status"], row["copies"], process.returncode) == \
        ("expunged", "1", 0)
    assert node.count(user, "Beta") == 0


def test_locked(node, message_id, recall_id):
    """It says so, and goes on no longer. Dovecot has noted what is to be
    expunged, and does it as soon as the lock is gone."""
    if node.driver != "maildir":
        pytest.skip("Maildir only")
    user = USER % 2
    in_beta(node, user, message_id)
    lock = node.home(user) / LOCKS["maildir"][0]
    write_dotlock(lock)
    row = expunge(node, user, recall_id, message_id, os.EX_TEMPFAIL)
    assert (row["status"], row["error"]) == \
        ("error", "Expunging from mailbox Beta failed: "
         "Another process has it locked")
    assert lock.exists()
    lock.unlink()
    row = expunge(node, user, recall_id, message_id, 0)
    assert row["status"] == \
        ("already_recalled" if node.kept else "not_found")
    assert node.count(user, "Beta") == 0
    if node.kept:
        assert list(quarantined(node, user).values()) == [1]


@contextlib.contextmanager
def standing(node, user, *args):
    recall_id, = {row["recall-id"] for row in parse_tab(node.doveadm(
        "-f", "tab", "recall", "standing", "begin", "--users=" + user,
        "--no-notify", "--stand=1h", *args).stdout)}
    yield recall_id
    node.doveadm("recall", "standing", "end", recall_id)


@pytest.mark.parametrize("by", ["query", "Message-ID"])
def test_arrives_in_a_locked_maildir(node, message_id, by):
    """Dovecot does not wait, and the message gets its UID later: it is none of
    those that the transaction has told of."""
    if node.driver != "maildir":
        pytest.skip("Others wait")
    user = USER % 0
    words = ["query", "SUBJECT", "Prize"] if by == "query" else [message_id]
    # that of two fields is read after the message was saved
    message = build_message(message_id, subject="A prize",
                            headers=[("Message-ID", "<first@example.com>")])
    other = build_message("<other@example.com>", subject="Other")
    home = node.home(user) / "Maildir"
    node.lmtp_deliver(user, other)
    with standing(node, user, *words), \
            concurrent.futures.ThreadPoolExecutor() as pool:
        with held(home / "dovecot-uidlist.lock"):
            delivery = pool.submit(node.lmtp_deliver, user, message)
            wait_for(lambda: len(list((home / "new").iterdir())) == 2)
        delivery.result()
    left = node.messages(user)
    node.doveadm("expunge", "-u", user, "mailbox", "INBOX", "all")
    assert len(left) == 1 and b"Subject: Other" in left[0]
