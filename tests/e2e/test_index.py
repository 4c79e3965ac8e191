"""The Message-ID index: dovecot.recall.index."""

import imaplib
import os
import re
import resource
import shutil
import signal
import smtplib
import socket
import struct
import subprocess
import time
import zlib

import pytest

from conftest import DRIVERS, parse_tab
from faults import wait_for
from indexbox import Box, foreign_delivery, index_hash
from mailnode import DOVECOT_24, MailNode, build_message


@pytest.fixture(scope="module", params=DRIVERS)
def index_node(request):
    users = ["index%d@example.com" % i for i in range(60)]
    with MailNode(driver=request.param, users=users,
                  mail_plugins=["notify", "recall"]) as node:
        node.unused = users
        yield node


@pytest.fixture
def box(index_node):
    start = index_node.log_size()
    yield Box(index_node, index_node.unused.pop(0))
    # the tests themselves kill with signal 9
    assert [line for line in index_node.panics(start)
            if "killed with signal 9" not in line] == []


# saves and copies write records

def test_lmtp(box):
    other = Box(box.node, box.node.unused.pop(0))
    ids = [box.new_id(), None]
    for message_id in ids:
        box.node.lmtp_deliver([box.user, other.user],
                              build_message(message_id))
    box.assert_indexed(ids)
    other.assert_indexed(ids)


def log_records(box):
    """The types of the records in the INBOX's dovecot.index.log, and whether
    they say how far it was synced."""
    path, = box.node.home(box.user).rglob("INBOX/dbox-Mails/dovecot.index.log")
    text = box.node.doveadm("dump", str(path)).stdout
    return re.findall(r"type=([a-z-]+)", text), \
        text.count("log_file_tail_offset = ")


def test_log_is_gone_through_once(box):
    """... where no client has wanted anything of the mailbox yet."""
    if box.node.driver == "maildir":
        pytest.skip("deliveries into a Maildir sync no more than they save")
    ids = [box.new_id() for _ in range(30)]
    with smtplib.LMTP("127.0.0.1", box.node.lmtp_port) as session:
        for message_id in ids:
            session.sendmail("sender@example.com", box.user,
                             build_message(message_id))
    types, synced = log_records(box)
    assert types.count("append") == len(ids)
    assert synced == 1
    # none of it is a look at the mailbox
    connection = box.node.imap(box.user)
    connection.select("INBOX")
    assert connection.recent()[1] == [b"30"]
    connection.logout()
    box.assert_indexed(ids)


def test_folded_header_and_missing_brackets(box):
    box.node.lmtp_deliver(box.user, build_message("\n <folded@example.com>"))
    box.node.lmtp_deliver(box.user, build_message("bare@example.com"))
    hashes = [value for value in box.dump().values()]
    assert hashes == [(index_hash("folded@example.com"), "ok"),
                      (index_hash("bare@example.com"), "ok")]
    assert box.dry_run("<folded@example.com>") == 1
    assert box.dry_run("<bare@example.com>") == 1


def test_append_copy_move(box):
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids:
        box.node.append(box.user, "INBOX", build_message(message_id))
    box.assert_indexed(ids)
    connection = box.node.imap(box.user)
    connection.create("Copies")
    connection.create("Moved")
    connection.select("INBOX")
    assert connection.copy("1:2", "Copies")[0] == "OK"
    assert connection._simple_command("MOVE", "2:3", "Moved")[0] == "OK"
    connection.logout()
    box.assert_indexed(ids[:1])
    box.assert_indexed(ids[:2], "Copies")
    box.assert_indexed(ids[1:], "Moved")
    assert [box.dry_run(message_id) for message_id in ids] == [2, 2, 1]


def test_copy_of_a_message_without_record(box):
    message_id = box.new_id()
    box.save(message_id, plugin=False)
    box.assert_unknown([message_id])
    box.doveadm("mailbox create", "Copies")
    box.doveadm("copy", "Copies", "mailbox", "INBOX", "all")
    box.assert_unknown([message_id])
    box.assert_indexed([message_id], "Copies")


def test_doveadm_save_import_sync(box):
    target = Box(box.node, box.node.unused.pop(0))
    ids = [box.new_id(), box.new_id(), None]
    for message_id in ids:
        box.save(message_id)
    box.assert_indexed(ids)
    location = "%s:%s/%s" % (
        box.node.driver, box.node.home(box.user),
        {"maildir": "Maildir"}.get(box.node.driver, box.node.driver))
    target.doveadm("import", location, "Imported", "all")
    target.assert_indexed(ids, "Imported/INBOX" if any(
        row["mailbox"] == "Imported/INBOX" for row in
        target.table("recall index")) else "Imported")
    mirror = Box(box.node, box.node.unused.pop(0))
    mirror.doveadm("backup", "-R", location)
    mirror.assert_indexed(ids)


def test_deliver_into_a_mailbox_that_is_open(box):
    """doveadm-server and IMAP hold on to an index; deliveries are seen."""
    ids = [box.new_id() for _ in range(4)]
    connection = box.node.imap(box.user)
    connection.select("INBOX")
    for message_id in ids:
        box.node.lmtp_deliver(box.user, build_message(message_id))
        answer = box.node.doveadm_http([["recallExpunge", {
            "user": box.user, "messageId": message_id, "dryRun": True}, "t"]])
        assert answer[0][1][0]["copies"] == "1"
    connection.logout()
    box.assert_indexed(ids)


def test_rolled_back_save_leaves_nothing(box):
    """APPENDs that are cut off: no record without a message."""
    box.save(box.new_id())
    connection = box.node.imap(box.user)
    connection.send(b'x APPEND INBOX {100000}\r\n')
    assert connection.readline().startswith(b"+")
    connection.send(build_message("<cut@example.com>"))
    connection.sock.close()
    box.save(box.new_id())
    box.assert_indexed(["<1.%s>" % box.user, "<2.%s>" % box.user])
    assert box.dry_run("<cut@example.com>") == 0


# mail that came without the plugin

def test_catch_up(box):
    ids = [box.new_id() for _ in range(5)]
    for message_id in ids[:4]:
        box.save(message_id, plugin=False)
    box.save(None, plugin=False)
    assert set(box.dump().values()) == {("unknown", "missing")}
    assert box.dry_run(ids[2]) == 1
    box.assert_indexed(ids[:4] + [None])
    # more of it, on top of records
    box.save(ids[4], plugin=False)
    assert box.dry_run(ids[0]) == 1
    assert box.dry_run(ids[4]) == 1
    box.assert_indexed(ids + [None])


def test_catch_up_by_command(box):
    ids = [box.new_id() for _ in range(3)]
    box.save(ids[0])
    for message_id in ids[1:]:
        box.save(message_id, plugin=False)
    row, = box.table("recall index")
    assert (row["username"], row["mailbox"], row["messages"], row["indexed"],
            row["added"], row["wrong"], row["error"]) == (
        box.user, "INBOX", "3", "1", "2", "0", "")
    assert re.fullmatch("[0-9a-f]{32}", row["mailbox-guid"])
    row, = box.table("recall index")
    assert (row["indexed"], row["added"]) == ("3", "0")
    box.assert_indexed(ids)


def test_foreign_maildir_delivery(box):
    if box.node.driver != "maildir":
        pytest.skip("nobody but Dovecot writes into dbox")
    box.save(box.new_id())
    assert box.dry_run("<foreign@example.com>") == 0
    new = foreign_delivery(box, "<foreign@example.com>")
    assert box.expunge("<foreign@example.com>") == ("expunged", 1)
    assert not os.path.exists(new)


@pytest.mark.skipif(DOVECOT_24, reason="doveadm 2.4 gets its configuration "
                    "through a file, and can't even start")
def test_unwritable_index_is_answered_nevertheless(box):
    """The answer is right even if nothing can be remembered: the command may
    not make any file longer, as on a full disk."""
    ids = [box.new_id(), box.new_id()]
    for message_id in ids:
        box.save(message_id, plugin=False)
    done = subprocess.run(
        box.node.doveadm_command("-f", "tab", "recall", "expunge",
                                 "--dry-run", "-u", box.user, ids[1]),
        capture_output=True, text=True, timeout=60,
        # Python ignores SIGXFSZ, and so shall doveadm
        restore_signals=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    names, values = [line.split("\t") for line in done.stdout.splitlines()]
    row = dict(zip(names, values))
    if box.node.driver == "maildir" and row["status"] == "error":
        # Dovecot may fail to sync a Maildir that has changed: no answer then
        assert row["error"] != "" and done.returncode == 75, done
    else:
        assert (row["status"], row["copies"]) == ("would_expunge", "1"), done
    if box.node.driver != "maildir":
        assert "Can't write Message-ID index" in done.stderr
        box.assert_unknown(ids)
    assert box.dry_run(ids[1]) == 1
    box.assert_indexed(ids)


def test_index_that_can_not_be_built(box):
    """Whoever has it built is told of that."""
    box.save(box.new_id())
    index, = box.node.home(box.user).rglob("dovecot.recall.index")
    index.unlink()
    index.mkdir()
    done = subprocess.run(
        box.node.doveadm_command("-f", "tab", "recall", "index", "-u",
                                 box.user),
        capture_output=True, text=True, timeout=60)
    names, values = [line.split("\t") for line in done.stdout.splitlines()]
    row = dict(zip(names, values))
    assert (row["mailbox"], row["error"], done.returncode) == (
        "INBOX", "The Message-ID index can't be written: see the log", 75)
    index.rmdir()


# mailboxes that are known to be empty are not opened

def test_mailbox_that_was_empty(box):
    """What is said to be empty is looked at once it has changed."""
    box.doveadm("mailbox create", "Folder")
    first, second = box.new_id(), box.new_id()
    for message_id in (first, second):
        # the list index takes down that it is empty
        if box.node.driver == "maildir":
            box.wait_until_old()
        box.doveadm("search", "mailbox", "Folder", "all")
        box.doveadm("mailbox status", "messages uidnext", "Folder")
        assert box.dry_run(message_id) == 0
        box.save(message_id, "Folder", plugin=False)
        assert box.expunge(message_id) == ("expunged", 1)
    if box.node.driver == "maildir":
        box.wait_until_old()
        assert box.dry_run("<foreign@example.com>") == 0
        foreign_delivery(box, "<foreign@example.com>", "Folder")
        assert box.expunge("<foreign@example.com>") == ("expunged", 1)


def opened_mailboxes(box, *args):
    """Those of which a dry run opens the index."""
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=openat", "-o", "/dev/stderr"] +
        box.node.doveadm_command("recall", "expunge", "--dry-run", "-u",
                                 box.user, "<nothing@example.com>", *args),
        capture_output=True, text=True, timeout=60)
    assert "not_found" in done.stdout, done
    paths = re.findall(r'openat\([^,]*, "([^"]*)/dovecot\.index\.log"',
                       done.stderr)
    return {path for path in paths}


def wait_until_known(box):
    """What has changed just now is looked at closely; not so for long."""
    wait_for(lambda: not opened_mailboxes(box), "mailboxes are opened")


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_known_mailboxes_are_not_opened(box):
    box.doveadm("mailbox create", "Empty")
    box.save(box.new_id())
    box.save(box.new_id(), "Full")
    box.save(box.new_id(), "Other", plugin=False)
    names = {box.index_dir(name): name
             for name in ("INBOX", "Empty", "Full", "Other")}
    assert {names[path] for path in opened_mailboxes(box)} == {
        "INBOX", "Empty", "Full", "Other"}
    wait_until_known(box)
    box.save(box.new_id(), "Full", plugin=False)
    assert {names[path] for path in opened_mailboxes(box)} == {"Full"}
    wait_until_known(box)
    box.node.set_flags(box.user, "Other", ["\\Flagged"])
    assert {names[path] for path in opened_mailboxes(box)} == {"Other"}


# what happens to mailboxes

def test_force_resync(box):
    ids = [box.new_id(), box.new_id()]
    for message_id in ids:
        box.save(message_id)
    box.doveadm("force-resync", "INBOX")
    assert box.dry_run(ids[0]) == 1
    box.assert_indexed(ids)
    box.save(box.new_id())
    box.assert_indexed(ids + ["<3.%s>" % box.user])


def test_index_deletion(box):
    ids = [box.new_id(), box.new_id()]
    for message_id in ids:
        box.save(message_id)
    index = box.index_dir()
    for name in os.listdir(index):
        if name.startswith("dovecot.index"):
            os.unlink(os.path.join(index, name))
    if box.node.driver != "maildir":
        # Dovecot takes a dbox without index for a new mailbox until then
        box.doveadm("force-resync", "*")
    assert box.dry_run(ids[1]) == 1
    box.assert_indexed(ids)


def test_rename(box):
    message_id = box.new_id()
    box.doveadm("mailbox create", "Before")
    box.save(message_id, "Before")
    box.doveadm("mailbox rename", "Before", "After")
    box.assert_indexed([message_id], "After")
    assert box.expunge(message_id) == ("expunged", 1)


def test_delete_and_recreate(box):
    """The new mailbox's UIDs say nothing of the old one's."""
    old, new = box.new_id(), box.new_id()
    box.doveadm("mailbox create", "Again")
    box.save(old, "Again")
    assert box.dry_run(old) == 1
    connection = box.node.imap(box.user)
    connection.select("Again")
    box.doveadm("mailbox delete", "Again")
    box.doveadm("mailbox create", "Again")
    box.save(new, "Again", plugin=False)
    assert box.dry_run(old) == 0
    assert box.dry_run(new) == 1
    box.assert_indexed([new], "Again")
    try:
        connection.logout()
    except imaplib.IMAP4.abort:
        pass


def test_new_uidvalidity(box):
    ids = [box.new_id(), box.new_id()]
    for message_id in ids:
        box.save(message_id)
    box.doveadm("mailbox update", "--uid-validity", "77", "INBOX")
    assert box.dry_run(ids[0]) == 1
    box.assert_indexed(ids)


def test_expunge_and_purge(box):
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids:
        box.save(message_id)
    box.doveadm("expunge", "mailbox", "INBOX", "1")
    box.doveadm("purge")
    box.assert_indexed(ids[1:])
    assert [box.dry_run(message_id) for message_id in ids] == [0, 1, 1]


# what is wrong is put right

def wait_for_stamp(box):
    """So that the mailbox need not be opened after the next look at it."""
    if box.node.driver == "maildir":
        box.wait_until_old()


def test_verify_repairs(box):
    """The record of one message is another's: bit rot, or a restored file."""
    ids = [box.new_id(), box.new_id()]
    for message_id in ids:
        box.save(message_id)
    octets = [struct.pack("=Q", int(index_hash(message_id), 16))
              for message_id in ids]
    wait_for_stamp(box)
    assert box.patch_index(octets[0], octets[1]) > 0
    assert box.dump()[ids[0]] == (index_hash(ids[1]), "wrong")
    # the header decides, not the hash
    assert box.dry_run(ids[1]) == 1
    row, = box.verify()
    assert (row["indexed"], row["wrong"], row["error"]) == ("2", "1", "")
    row, = box.verify()
    assert row["wrong"] == "0"
    box.assert_indexed(ids)


def test_verify_reads_messages(box):
    """Who can write to the mail store can write to Dovecot's indexes, too: what
    these say that a header was is not believed."""
    old = box.new_id()
    new = "<x" + old[2:]
    box.save(old)
    box.node.doveadm("fetch", "-u", box.user, "hdr.message-id", "all")
    changed = 0
    for path in box.node.home(box.user).rglob("*"):
        if path.is_file() and not path.name.startswith("dovecot"):
            octets = path.read_bytes()
            path.write_bytes(octets.replace(old.encode(), new.encode()))
            changed += octets.count(old.encode())
    assert changed == 1
    row, = box.verify()
    assert (row["messages"], row["wrong"], row["error"]) == ("1", "1", "")
    for asked, status in (old, "not_found"), (new, "expunged"):
        row, = parse_tab(box.node.doveadm(
            "-f", "tab", "recall", "expunge", "-u", box.user, "--no-notify",
            "--verify-headers", asked).stdout)
        assert row["status"] == status


def test_verify_of_several_fields(box):
    ids = [box.new_id(), box.new_id()]
    box.doveadm("save", "-m", "INBOX", input="Message-ID: %s\n"
                "Subject: two\nMessage-Id:\n  %s\n\nText\n" % tuple(ids))
    for _ in range(2):
        row, = box.verify()
        assert (row["messages"], row["wrong"]) == ("1", "0")
    assert [box.dry_run(asked) for asked in ids] == [1, 1]


def test_index_of_another_version(box):
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids[:2]:
        box.save(message_id)
    assert box.patch_index(struct.pack("=II", 0x78646952, 4),
                           struct.pack("=II", 0x78646952, 9)) == 1
    # nothing is known of that version
    box.assert_unknown(ids[:2])
    assert box.dry_run(ids[1]) == 1
    box.assert_indexed(ids[:2])
    # whoever saves replaces it
    assert box.patch_index(struct.pack("=II", 0x78646952, 4),
                           struct.pack("=II", 0x78646952, 2)) == 1
    box.save(ids[2])
    assert box.dump()[ids[0]] == ("unknown", "missing")
    assert box.dump()[ids[2]] == (index_hash(ids[2]), "ok")
    assert box.dry_run(ids[1]) == 1
    box.assert_indexed(ids)
    row, = box.verify()
    assert row["wrong"] == "0"


@pytest.mark.parametrize("what", ["fifo", "huge", "directory"])
def test_something_else_in_its_place(box, what):
    """It is the user's own file: whatever that is, others' recalls do not wait
    for it, nor run out of memory."""
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids[:2]:
        box.save(message_id)
    box.wait_until_old()
    box.table("recall index")
    path = box.index_file()
    if what == "huge":
        os.truncate(path, 1 << 40)
    else:
        path.unlink()
        (os.mkfifo if what == "fifo" else os.mkdir)(path)
        shutil.chown(path, box.node.mail_user, box.node.mail_group)
    assert box.dry_run(ids[1]) == 1
    box.save(ids[2])
    assert box.dry_run(ids[2]) == 1
    if what == "huge":
        # whoever saves has replaced it
        assert path.stat().st_size < 1 << 20
    elif what == "fifo":
        path.unlink()
    else:
        path.rmdir()
    assert box.dry_run(ids[0]) == 1
    box.assert_indexed(ids)


def make_base(tables=b"", records=b"", count=0):
    """As in recall-index-format.h."""
    def header(crc):
        return struct.pack("=IIIIIIQ", 0x78646952, 4, crc, len(tables) // 48,
                           count, 0, 32 + len(tables) + len(records))
    return header(zlib.crc32(header(0) + tables)) + tables + records


def make_block(guid, uid_validity, records=b""):
    body = struct.pack("=II16s", 1, uid_validity, guid) + records
    size = len(body) + 12
    return struct.pack("=II", size, zlib.crc32(body)) + body + \
        struct.pack("=I", size)


def make_guid(number):
    return struct.pack("=QQ", number, 1)


def make_tables(count, records):
    """Of mailboxes each of which has all of the records."""
    return b"".join(make_guid(i) + struct.pack("=IIIIQQ", 1, 0, records, 0,
                                               5, 6) for i in range(count))


def records(uids):
    return b"".join(struct.pack("=QI", 9, uid) for uid in uids)


def busy_index(what, guid, uid_validity):
    if what == "mailboxes":
        return make_base() + b"".join(make_block(make_guid(i), 1)
                                      for i in range(800000))
    if what == "unsorted":
        return make_base() + make_block(guid, uid_validity,
                                        records(range(2000000, 1, -1)))
    if what == "candidates":
        # each may be the message
        return make_base(make_tables(100000, 1000000),
                         struct.pack("=Q", 2) * 1000000 +
                         struct.pack("=I", 1) * 1000000, 1000000)
    return make_base(make_tables(100000, 0)) + \
        make_block(guid, uid_validity, records(range(1, 1000000)))


@pytest.mark.parametrize("what", ["mailboxes", "unsorted", "candidates",
                                  "long tail"])
def test_index_that_is_made_to_keep_us_busy(box, what):
    """Whoever may write it holds up nobody's recall: each of these took
    minutes or hours, and has a few MB."""
    if box.node.driver != DRIVERS[-1]:
        pytest.skip("the file is the same")
    message_id = box.new_id()
    box.save(message_id)
    row, = box.table("mailbox status", "guid uidvalidity", "INBOX")
    data = busy_index(what, bytes.fromhex(row["guid"]),
                      int(row["uidvalidity"]))
    with open(box.index_file(), "r+b") as stream:
        stream.truncate(0)
        stream.write(data)
    assert box.expunge(message_id) == ("expunged", 1)


def test_collision_does_not_delete_the_wrong_mail(box):
    """Two messages whose records are equal."""
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids:
        box.save(message_id)
    octets = [struct.pack("=Q", int(index_hash(message_id), 16))
              for message_id in ids]
    assert box.patch_index(octets[1], octets[0], octets[2], octets[0]) == 2
    assert [hash for hash, _ in box.dump().values()] == \
        [index_hash(ids[0])] * 3
    assert box.expunge(ids[0]) == ("expunged", 1)
    assert sorted(box.dump()) == sorted(ids[1:])


def test_swapped_records(box):
    """An index that somebody has tampered with hides mail from those who
    believe it, and from nobody else."""
    ids = [box.new_id() for _ in range(2)]
    for message_id in ids:
        box.save(message_id)
    wait_for_stamp(box)
    other = struct.pack("=Q", int(index_hash("<other@example.com>"), 16))
    assert box.patch_index(struct.pack("=Q", int(index_hash(ids[0]), 16)),
                           other) > 0
    row, = box.table("recall expunge", "--dry-run", ids[0])
    assert (row["status"], row["searched"]) == ("not_found", "index")
    row, = box.table("recall search", "--verify-headers", ids[0])
    assert (row["mailbox"], row["uid"], row["error"]) == ("INBOX", "1", "")
    # put right on that occasion
    box.assert_indexed(ids)
    assert box.patch_index(struct.pack("=Q", int(index_hash(ids[0]), 16)),
                           other) > 0
    row, = box.table("recall expunge", "--no-notify", "--verify-headers",
                     ids[0])
    assert (row["status"], row["searched"]) == ("expunged", "headers")
    box.assert_indexed(ids[1:])
    # a mailbox that has changed is opened, and knows that they are not its own
    assert box.patch_index(struct.pack("=Q", int(index_hash(ids[1]), 16)),
                           other) > 0
    box.save(box.new_id())
    row, = box.table("recall expunge", "--no-notify", ids[1])
    assert (row["status"], row["searched"]) == ("expunged", "index")


# crashes

def test_killed_while_saving(box):
    """The server is killed again and again in the midst of deliveries: what
    is there afterwards is indexed or unknown, never wrong."""
    delivered = []
    for attempt in range(8):
        message_id = box.new_id()
        with socket.create_connection(
                ("127.0.0.1", box.node.lmtp_port), 60) as sock:
            stream = sock.makefile("rwb")

            def command(line):
                stream.write(line)
                stream.flush()
                answer = stream.readline()
                while answer[3:4] == b"-":
                    answer = stream.readline()
                return answer
            assert stream.readline().startswith(b"220")
            command(b"LHLO test\r\n")
            assert command(b"MAIL FROM:<>\r\n").startswith(b"250")
            assert command(b"RCPT TO:<%s>\r\n" %
                           box.user.encode()).startswith(b"250")
            assert command(b"DATA\r\n").startswith(b"354")
            stream.write(build_message(message_id) + b".\r\n")
            stream.flush()
            pid = lmtp_pid(box.node)
            # each time a little later in its work
            deadline = time.monotonic() + attempt * 0.001
            while time.monotonic() < deadline:
                pass
            os.kill(pid, signal.SIGKILL)
            try:
                if stream.readline().startswith(b"250"):
                    delivered.append(message_id)
            except ConnectionError:
                pass
    box.node.lmtp_deliver(box.user, build_message(box.new_id()))
    for message_id, (value, state) in box.dump().items():
        assert state in ("ok", "missing")
    for message_id in delivered:
        assert box.dry_run(message_id) == 1
    for row in box.verify():
        assert (row["wrong"], row["error"]) == ("0", "")
    for number in range(1, box.number + 1):
        present = any(message_id == "<%d.%s>" % (number, box.user)
                      for message_id in box.dump())
        assert box.dry_run("<%d.%s>" % (number, box.user)) == present


def lmtp_pid(node):
    """The process that serves the connection: the master's children of that
    name, which the tests use one at a time."""
    done = subprocess.run(["ps", "--sort=start_time", "-o", "pid=,stat=,comm=",
                           "--ppid", str(node.pid)],
                          capture_output=True, text=True, check=True)
    # not those that were killed before
    pids = [int(pid) for pid, state, command, *unused in
            map(str.split, done.stdout.splitlines())
            if command == "lmtp" and not state.startswith("Z")]
    assert pids
    return pids[-1]


# the command

def test_command_over_http(box):
    message_id = box.new_id()
    box.save(message_id, plugin=False)
    answer = box.node.doveadm_http([["recallIndex", {
        "users": [box.user, "nobody@example.com"]}, "t"]])
    assert answer[0][0] == "doveadmResponse"
    rows = {row["username"]: row for row in answer[0][1]}
    assert sorted(rows) == sorted([box.user, "nobody@example.com"])
    assert (rows[box.user]["added"], rows[box.user]["error"]) == ("1", "")
    assert rows["nobody@example.com"]["error"] != ""
    box.assert_indexed([message_id])


def test_command_exit_codes(box):
    done = box.node.doveadm("recall", "index", "-u", "nobody@example.com",
                            check=False)
    assert done.returncode == 75 and "nobody@example.com" in done.stdout
    done = box.node.doveadm("recall", "index", "-u", box.user, "--dump",
                            "--verify", check=False)
    assert done.returncode == 64 and done.stdout == ""
    # 68: EX_NOHOST, which Dovecot has for what is not found
    done = box.node.doveadm("recall", "index", "-u", box.user, "--mailbox",
                            "Nothing", check=False)
    assert done.returncode == 68 and "no mailbox Nothing" in done.stdout
