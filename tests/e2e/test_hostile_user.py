"""What a user puts into files of the own home costs others nothing: neither their
deliveries, which one process makes, nor their recalls."""

import fcntl
import os
import shutil
import struct
import subprocess
import zlib

import pytest

from conftest import ONE_DRIVER, parse_tab, run_http
from mailnode import PATIENCE, MailNode, build_message
from quarantine import PREFIX, http, make_node

USERS = ["user%02d@example.com" % number for number in range(40)]
# Dovecot's own limit, of 2.3 (sanitizers, which need more, go without)
LIMIT = "256M"

# recall-index-format.h
MAGIC, VERSION, MAILS = 0x78646952, 4, 1
BLOCK_RECORDS = 65536


@pytest.fixture(scope="module")
def node():
    with MailNode(driver=ONE_DRIVER, users=USERS, vsz_limit=LIMIT,
                  mail_plugins=["notify", "recall"]) as node:
        node.free_users = iter(USERS)
        yield node
        assert node.panics() == []


def make_base(table, boxes, records):
    header = struct.pack("=IIIIIIQ", MAGIC, VERSION, 0, boxes, records, 0,
                         32 + len(table) + 12 * records)
    crc = zlib.crc32(table, zlib.crc32(header))
    return header[:8] + struct.pack("=I", crc) + header[12:] + table + \
        os.urandom(12 * records)


def make_box(number, first, count):
    return struct.pack("=QQIIIIQQ", number, number, 1, first, count, 0,
                       number, number)


def make_tail(blocks, records=BLOCK_RECORDS):
    """Of a mailbox, with records in any order."""
    body = struct.pack("=II16s", MAILS, 1, b"m" * 16) + \
        os.urandom(12 * records)
    size = 8 + len(body) + 4
    return (struct.pack("=II", size, zlib.crc32(body)) + body +
            struct.pack("=I", size)) * blocks


def make_index(kind):
    """Checksums are right in all of them."""
    if kind == "tail":
        return make_base(b"", 0, 0) + make_tail(150)
    if kind == "table":
        count = 2000000
        return make_base(b"".join(make_box(i, 0, 0) for i in range(count)),
                         count, 0)
    if kind == "overlap":
        return make_base(b"".join(make_box(i, 0, 100000)
                                  for i in range(1000)), 1000, 100000) + \
            make_tail(1)
    # as much as there may be, and one that would be compacted
    assert kind == "full"
    records = 2000000
    return make_base(make_box(1, 0, records), 1, records) + make_tail(10)


@pytest.mark.parametrize("kind", ["tail", "table", "overlap", "full"])
def test_index(node, message_id, kind):
    hostile, others = next(node.free_users), \
        [next(node.free_users) for _ in range(2)]
    everyone = [hostile] + others
    node.lmtp_deliver(hostile, build_message("<first.%s@example.com>" % kind))
    path, = node.home(hostile).rglob("dovecot.recall.index")
    data = make_index(kind)
    for recalled in False, True:
        path.write_bytes(data)
        if node.root:
            shutil.chown(path, path.parent.owner(), path.parent.group())
        if not recalled:
            node.lmtp_deliver(everyone, build_message(message_id))
    result = run_http(node, users=everyone, messageId=message_id)
    assert [row["status"] for row in result.rows] == ["expunged"] * 3
    assert [row["copies"] for row in result.rows] == ["1"] * 3


def test_authors(node, message_id):
    """Of a message that somebody else has sent."""
    users = [next(node.free_users) for _ in range(2)]
    sender = "author@example.com"
    lines = ("  %s,\r\n" % ("a@b," * 200)).encode()
    node.lmtp_deliver(users[0], b"From: a@b,\r\n%s a@b\r\nMessage-ID: %s\r\n"
                      b"\r\nText.\r\n" % (lines * 11000, message_id.encode()))
    node.lmtp_deliver(users[1], build_message(message_id, sender=sender))
    result = run_http(node, users=users, messageId=message_id,
                      sender=[sender, "a@b"])
    assert [row["status"] for row in result.rows] == ["not_sender", "expunged"]


def test_lock_of_index(node, message_id):
    """It is waited for, but not for each mailbox."""
    user = next(node.free_users)
    for number in range(8):
        node.append(user, "Folder%d" % number,
                    build_message("<other%d@example.com>" % number))
    node.lmtp_deliver(user, build_message(message_id))
    path, = node.home(user).rglob("dovecot.recall.index")
    path.write_bytes(b"")
    with open(path, "r+b") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        done = subprocess.run(
            node.doveadm_command("-f", "tab", "recall", "expunge", "-u", user,
                                 message_id),
            capture_output=True, text=True, timeout=4 * PATIENCE)
    row, = parse_tab(done.stdout)
    assert row["status"] == "expunged"
    assert "Timeout while locking" in done.stderr


RECORD = "recall-id: %s\nrecalled: 1700000000\n"
RECORDS = {"lines": "a: \n" * 1100000,
           "counts": "kept: %032x 1 a\n" % 1 * 110000,
           "controls": ("subject: " + "\x7f" * 1000 + "\n") * 4300}


@pytest.fixture(scope="module")
def quarantine_node():
    with make_node(ONE_DRIVER, USERS, vsz_limit=LIMIT,
                   mail_plugins=["notify", "recall"]) as node:
        node.free_users = iter(USERS)
        yield node
        assert node.panics() == []


@pytest.mark.parametrize("kind", RECORDS)
def test_records(quarantine_node, kind):
    """As long as any that are read, and several of them."""
    node = quarantine_node
    users = [next(node.free_users) for _ in range(2)]
    ids = ["%032x" % (number + 1) for number in range(9)]
    for recall_id in ids:
        mailbox = PREFIX + recall_id
        node.doveadm("mailbox", "create", "-u", users[0], mailbox)
        node.doveadm("save", "-u", users[0], "-m", mailbox, input="Subject: r"
                     "\n\n" + RECORD % recall_id + RECORDS[kind])
    for name in "recallList", "recallPurge":
        result = http(node, name, users=users)
        # of so many octets the last one is beyond what is read
        assert [row["status"] for row in result.rows] == \
            ["expunged" if name == "recallList" else "purged"] * 8 + ["error"]
        assert result.rows[-1]["error"] == "The user's records are too long"
    # which is the first one now
    row, = http(node, "recallList", users=users).rows
    assert row["status"] == "expunged" and row["recall-id"] in ids


def test_copies_in_many_mailboxes(node, message_id):
    """All of them are open at once, and a shell's limit is low."""
    user = next(node.free_users)
    count = 100
    node.lmtp_deliver(user, build_message(message_id))
    with node.imap(user) as imap:
        imap.select("INBOX")
        for number in range(count):
            imap.create("Folder%d" % number)
            assert imap.copy("1", "Folder%d" % number)[0] == "OK"
    done = subprocess.run(
        ["bash", "-c", 'ulimit -Sn 160; exec "$@"', "doveadm"] +
        node.doveadm_command("-f", "tab", "recall", "expunge", "-u", user,
                             message_id), capture_output=True, text=True)
    row, = parse_tab(done.stdout)
    assert (row["status"], row["copies"]) == ("expunged", str(count + 1)), done


@pytest.mark.parametrize("list_index", ["yes", "no"])
def test_link_to_what_is_not_listed(message_id, list_index):
    """Dovecot opens the mailbox, and lists it to clients."""
    user = USERS[0]
    with MailNode(driver="maildir", users=[user],
                  mail_plugins=["notify", "recall"],
                  extra="mailbox_list_index = %s\n" % list_index) as node:
        node.append(user, "Folder", build_message(message_id))
        folder, = node.home(user).rglob(".Folder")
        folder.rename(folder.with_name("folder"))
        folder.symlink_to("folder")
        row, = run_http(node, users=[user], messageId=message_id,
                        noNotify=True).rows
        assert (row["status"], row["mailboxes"]) == ("expunged", "Folder")
        assert node.count(user, "Folder") == 0
        assert node.panics() == []
