"""Whatever happens to the Message-ID index or to the mailboxes beneath it, no
message is missed."""

import os
import pathlib
import random
import shutil
import struct
import subprocess
import threading
import zlib

import pytest

from conftest import DRIVERS
from failpoints import IMPORT, stopped, stopped_each_time, with_failpoints
from indexbox import WITHOUT_PLUGIN, Box, foreign_delivery
from mailnode import MailNode, build_message

POINTS = ["index-committed", "index-locked", "index-incomplete", "index-appended"]
COMPACT_POINTS = ["index-compacted", "index-carried", "index-renamed"]


@pytest.fixture(scope="module", params=DRIVERS)
def past_node(request):
    users = ["past%d@example.com" % i for i in range(100)]
    with with_failpoints(), MailNode(driver=request.param, users=users,
                                     mail_plugins=["notify", "recall"],
                                     extra=IMPORT) as node:
        node.unused = users
        yield node
        assert node.panics() == []


class PastBox(Box):
    def killed(self, point, *args, **kwargs):
        done = subprocess.run(
            self.node.doveadm_command(*args), capture_output=True, text=True,
            env=dict(os.environ, RECALL_FAILPOINT=point), timeout=60,
            **kwargs)
        assert done.returncode == -9, done

    def wait_for_maildir(self):
        """Other formats' index is believed whatever directories say."""
        if self.node.driver == "maildir":
            self.wait_until_old()

    def look(self):
        """All is known then, so that nothing need be opened."""
        self.wait_for_maildir()
        for _ in range(2):
            assert self.dry_run("<nothing@example.com>") == 0

    def home(self):
        return self.node.home(self.user)

    def search(self, message_id):
        """Messages that Dovecot finds itself."""
        return self.doveadm("search", "header", "message-id",
                            message_id).stdout.splitlines()

    def backup(self):
        self.copy = str(self.home()) + ".backup"
        shutil.rmtree(self.copy, ignore_errors=True)
        subprocess.run(["cp", "-a", self.home(), self.copy], check=True)

    def restore(self, in_place=False):
        """Puts the backup back, by moving it there or by writing over what is
        there."""
        if not in_place:
            shutil.rmtree(self.home())
            os.rename(self.copy, self.home())
            return
        for path in sorted(self.home().rglob("*")):
            other = self.copy / path.relative_to(self.home())
            if path.is_file() and not other.exists():
                path.unlink()
        subprocess.run(["cp", "-a", str(self.copy) + "/.", self.home()],
                       check=True)

    def assert_complete(self, present, absent=()):
        """The index as it is, then the index as it ought to be."""
        for message_id in present:
            assert self.dry_run(message_id) == 1, message_id
        for message_id in absent:
            assert self.dry_run(message_id) == 0, message_id
        for row in self.verify():
            assert (row["wrong"], row["added"], row["error"]) == \
                ("0", "0", ""), row


@pytest.fixture
def box(past_node):
    return PastBox(past_node, past_node.unused.pop(0))


def test_index_lost(box):
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids:
        box.save(message_id, "Folder")
    box.look()
    box.index_file().unlink()
    box.assert_complete(ids[:1])
    box.index_file().write_bytes(b"")
    box.assert_complete(ids[:2])
    box.index_file().write_bytes(os.urandom(5000))
    box.assert_complete(ids)


def test_old_index(box):
    """The index alone comes from a backup."""
    ids = [box.new_id() for _ in range(5)]
    for message_id in ids[:2]:
        box.save(message_id)
    box.look()
    old = box.index_file().read_bytes()
    for message_id in ids[2:4]:
        box.save(message_id, plugin=message_id == ids[2])
    box.look()
    box.save(ids[4])
    box.index_file().write_bytes(old)
    box.assert_complete(ids)


@pytest.mark.parametrize("looked", [False, True],
                         ids=["unseen", "looked"])
@pytest.mark.parametrize("in_place", [False, True], ids=["moved", "in-place"])
@pytest.mark.parametrize("keep_index", [False, True],
                         ids=["with-index", "without-index"])
@pytest.mark.parametrize("plugin", ["none", "both", "last"])
def test_old_mailbox(box, looked, in_place, keep_index, plugin):
    """A mailbox from a backup gives its UIDs out a second time."""
    ids = [box.new_id() for _ in range(7)]
    for message_id in ids[:3]:
        box.save(message_id)
    box.look()
    box.backup()
    for message_id in ids[3:5]:
        box.save(message_id)
    if looked:
        box.look()
    index = box.index_file().read_bytes()
    box.restore(in_place)
    if keep_index:
        box.index_file().write_bytes(index)
    box.save(ids[5], plugin=plugin == "both")
    box.save(ids[6], plugin=plugin != "none")
    box.assert_complete(ids[:3] + ids[5:], ids[3:5])


def leave_a_gap(box, uid):
    """A UID that nobody knows anything of."""
    box.save(box.new_id(), plugin=False)
    box.doveadm("expunge", "mailbox", "INBOX", "uid", str(uid))


@pytest.mark.parametrize("in_place", [False, True], ids=["moved", "in-place"])
@pytest.mark.parametrize("plugin", [False, True], ids=["caught-up", "saved"])
@pytest.mark.parametrize("gap", ["in-a-row", "gap", "gap-since"])
def test_old_index_of_an_old_mailbox(box, plugin, in_place, gap):
    """... and then the index comes from between these two backups: it has
    records of others for UIDs that were given out a second time, and the
    mailbox says that it has records for these."""
    ids = [box.new_id() for _ in range(8)]
    for message_id in ids[:2]:
        box.save(message_id)
    if gap == "gap":
        leave_a_gap(box, 3)
    else:
        box.save(box.new_id())
    box.save(ids[2])
    box.look()
    if gap == "gap-since":
        leave_a_gap(box, 5)
    box.backup()
    for message_id in ids[3:5]:
        box.save(message_id)
    between = box.index_file().read_bytes()
    box.restore(in_place)
    for message_id in ids[5:]:
        box.save(message_id, plugin=plugin)
    if not plugin:
        box.look()
    box.index_file().write_bytes(between)
    box.assert_complete(ids[:3] + ids[5:], ids[3:5])
    # it is as good as new
    box.look()
    box.save(box.new_id())
    box.assert_complete(ids[:3] + ids[5:], ids[3:5])


def test_new_uidvalidity(box):
    ids = [box.new_id() for _ in range(4)]
    for message_id in ids[:2]:
        box.save(message_id)
    box.look()
    box.doveadm("mailbox update", "--uid-validity", "99", "INBOX")
    box.save(ids[2], plugin=False)
    box.save(ids[3])
    box.assert_complete(ids)


def test_rebuilt_mailbox(box):
    ids = [box.new_id() for _ in range(4)]
    for message_id in ids[:3]:
        box.save(message_id)
    box.look()
    box.doveadm("expunge", "mailbox", "INBOX", "2")
    box.doveadm("force-resync", "INBOX")
    box.save(ids[3], plugin=False)
    box.assert_complete([ids[0], ids[2], ids[3]], [ids[1]])


def test_renamed_into_each_other(box):
    """Names say nothing of what is in a mailbox."""
    ids = [box.new_id() for _ in range(3)]
    box.save(ids[0], "One")
    box.save(ids[1], "Two")
    box.look()
    for old, new in ("One", "Three"), ("Two", "One"), ("Three", "Two"):
        box.doveadm("mailbox rename", old, new)
    box.assert_complete(ids[:2], ids[2:])
    box.look()
    box.doveadm("mailbox delete", "One")
    box.save(ids[2], "One", plugin=False)
    box.assert_complete([ids[0], ids[2]], [ids[1]])


def test_new_mailboxes(box):
    """The index knows the mailboxes' names, until there are others."""
    ids = [box.new_id() for _ in range(5)]
    box.save(ids[0], "One/Two")
    box.look()
    for message_id, mailbox in zip(ids[1:], ("New", "One/New", "One",
                                             "One/Two/New")):
        box.save(message_id, mailbox, plugin=False)
        assert box.dry_run(message_id) == 1, mailbox
        box.look()
    box.assert_complete(ids)
    box.doveadm("mailbox delete", "One/New")
    box.look()
    box.assert_complete([ids[0], ids[1], ids[3], ids[4]], [ids[2]])


@pytest.mark.parametrize("in_place", [False, True], ids=["moved", "in-place"])
def test_deleted_mailbox_from_a_backup(box, in_place):
    ids = [box.new_id() for _ in range(2)]
    box.save(ids[0], "Kept")
    box.save(ids[1], "Deleted")
    box.look()
    box.backup()
    box.doveadm("mailbox delete", "Deleted")
    box.look()
    assert box.dry_run(ids[1]) == 0
    index = box.index_file().read_bytes()
    box.restore(in_place)
    box.index_file().write_bytes(index)
    box.assert_complete(ids)


def mix(value, number):
    """As in recall-index-stamp.c."""
    value += number + 0x9e3779b97f4a7c15
    for shift, factor in (30, 0xbf58476d1ce4e5b9), (27, 0x94d049bb133111eb):
        value &= 2 ** 64 - 1
        value = (value ^ value >> shift) * factor
    value &= 2 ** 64 - 1
    return value ^ value >> 31


def stamp_of_names(root, names):
    """What directories of these names in the root look like."""
    value = 3
    for name in b".", *names:
        st = os.stat(os.path.join(os.fsencode(root), name))
        for number in (st.st_ino, *divmod(st.st_mtime_ns, 10 ** 9),
                       *divmod(st.st_ctime_ns, 10 ** 9)):
            value = mix(value, number)
    return value


def rename_in_index(box, old, new, root=None):
    """Changes a name among those of the list's mailboxes
    (recall-index-format.h); with a root their stamp, too."""
    data = bytearray(box.index_file().read_bytes())
    pos, = struct.unpack_from("=Q", data, 24)
    found = 0
    while pos < len(data):
        size, _, kind = struct.unpack_from("=III", data, pos)
        end = pos + size - 4
        if kind == 3:
            found += data.count(old, pos, end)
            data[pos + 8:end] = data[pos + 8:end].replace(old, new)
            if root:
                names = bytes(data[pos + 40:end - 1]).split(b"\0")
                struct.pack_into("=Q", data, pos + 32,
                                 stamp_of_names(root, names))
            struct.pack_into("=I", data, pos + 4,
                             zlib.crc32(data[pos + 8:end]))
        pos += size
    assert found
    box.index_file().write_bytes(data)


def guid_of(box, mailbox):
    row, = box.table("mailbox status", "guid", mailbox)
    return bytes.fromhex(row["guid"])


def test_deleted_mailboxes(box):
    """The index does not keep what nobody can ask for any more."""
    ids = [box.new_id() for _ in range(5)]
    for message_id, mailbox in zip(ids, ("INBOX", "Kept", "Gone", "New")):
        box.save(message_id, mailbox)
    box.look()
    gone, new, kept = (guid_of(box, mailbox)
                       for mailbox in ("Gone", "New", "Kept"))
    for mailbox in "Gone", "New":
        box.doveadm("mailbox delete", mailbox)
    # another one of that name
    box.save(ids[4], "New", plugin=False)
    box.look()
    assert gone in box.index_file().read_bytes()
    box.table("recall index")
    data = box.index_file().read_bytes()
    assert gone not in data and new not in data
    assert kept in data and guid_of(box, "New") in data
    box.assert_complete([ids[0], ids[1], ids[4]], ids[2:4])


def test_deleted_mailbox_is_dropped_by_deliveries(box):
    """... without anybody's command where the names are known."""
    if box.node.driver == "maildir":
        pytest.skip("names are kept for dbox only")
    ids = [box.new_id() for _ in range(3)]
    for message_id, mailbox in zip(ids, ("INBOX", "Kept", "Gone")):
        box.save(message_id, mailbox)
    box.wait_until_old()
    box.look()
    gone, kept = guid_of(box, "Gone"), guid_of(box, "Kept")
    box.doveadm("mailbox delete", "Gone")
    box.wait_until_old()
    box.look()
    before = box.index_file().stat().st_ino
    connection = box.node.imap(box.user)
    while box.index_file().stat().st_ino == before:
        ids.append(box.new_id())
        assert connection.append("INBOX", None, None,
                                 build_message(ids[-1]))[0] == "OK"
        assert len(ids) < 1000
    connection.logout()
    data = box.index_file().read_bytes()
    assert gone not in data and kept in data
    box.assert_complete(ids[:2] + ids[-3:], [ids[2]])


def list_index_files(box):
    return [path for path in box.home().rglob("dovecot.list.index*")]


@pytest.mark.parametrize("lost", [False, True], ids=["old", "lost"])
def test_list_index_from_a_backup(box, lost):
    """Dovecot's mailbox list index does not know of all mailboxes."""
    ids = [box.new_id() for _ in range(3)]
    box.save(ids[0])
    box.look()
    old = {path: path.read_bytes() for path in list_index_files(box)}
    assert old
    owner = next(iter(old)).stat()
    for mailbox in "INBOX", "Late", "Later":
        box.save(ids[1], mailbox)
    box.look()

    def put_back():
        for path in list_index_files(box):
            path.unlink()
        if not lost:
            for path, data in old.items():
                path.write_bytes(data)
                os.chown(path, owner.st_uid, owner.st_gid)
    put_back()
    assert box.expunge(ids[1]) == ("expunged", 3)
    assert box.dry_run(ids[1]) == 0
    put_back()
    box.save(ids[2], "Late", plugin=False)
    put_back()
    box.assert_complete([ids[0], ids[2]], [ids[1]])


def test_corrupted_names(box):
    """Whoever may write the index can name mailboxes that there can't be."""
    if box.node.driver == "maildir":
        pytest.skip("names are kept for dbox only")
    message_id = box.new_id()
    box.save(message_id, "Folder")
    # directories that were made just now have no stamp
    box.wait_until_old()
    box.look()
    for name in b"../../", b"a//bcd", b"\xff\xfe\xfd\xfcxy", b"/olde\0":
        rename_in_index(box, b"Folder", name)
        box.assert_complete([message_id])
        box.look()


def test_name_that_is_no_text(box):
    """... and have it be there, where Dovecot would not list it."""
    if box.node.driver == "maildir":
        pytest.skip("names are kept for dbox only")
    message_id = box.new_id()
    box.save(message_id, "Folder")
    box.wait_until_old()
    box.look()
    folder = os.fsencode(os.path.dirname(box.path("Folder")))
    root = os.path.dirname(folder)
    hidden = os.path.join(root, b"\xff\xfeabcd")
    os.rename(folder, hidden)
    box.wait_until_old()
    rename_in_index(box, b"Folder", os.path.basename(hidden), root)
    row, = box.table("recall expunge", message_id, check=False)
    assert (row["status"], row["copies"]) == ("error", "0")
    assert "UTF-8" in row["error"]
    os.rename(hidden, folder)
    assert box.expunge(message_id) == ("expunged", 1)


def test_maildir_changed_by_others(box):
    if box.node.driver != "maildir":
        pytest.skip("nobody but Dovecot writes into dbox")
    ids = [box.new_id() for _ in range(3)]
    box.save(ids[0], "Folder")
    box.look()
    foreign_delivery(box, ids[1], "Folder")
    assert box.dry_run(ids[1]) == 1
    box.look()
    path = foreign_delivery(box, ids[2], "Folder")
    os.rename(path, path.replace("/new/", "/cur/") + ":2,F")
    box.assert_complete(ids)


def test_moved_by_the_user(box):
    message_id = box.new_id()
    box.save(message_id)
    box.look()
    connection = box.node.imap(box.user)
    connection.create("There")
    connection.select("INBOX")
    assert connection._simple_command("MOVE", "1", "There")[0] == "OK"
    connection.logout()
    row, = box.table("recall expunge", "--dry-run", message_id)
    assert (row["copies"], row["mailboxes"]) == ("1", "There")
    box.assert_complete([message_id])


@pytest.mark.parametrize("restored", [False, True],
                         ids=["as-it-was", "restored"])
@pytest.mark.parametrize("point", POINTS)
def test_killed_while_saving(box, point, restored):
    """Where the mailbox was put back from a backup the index has records of
    other messages for the UIDs that are given out a second time."""
    ids = [box.new_id() for _ in range(6)]
    box.save(ids[0])
    box.look()
    if restored:
        box.backup()
        for message_id in ids[4:]:
            box.save(message_id)
        index = box.index_file().read_bytes()
        box.restore(in_place=True)
        box.index_file().write_bytes(index)
    committed = point == "index-committed"
    for message_id in ids[1:3] if committed else ids[1:2]:
        box.killed(point, "save", "-u", box.user,
                   input=build_message(message_id).decode())
    if committed:
        assert box.dry_run(ids[1]) == 1
    # sdbox finds a file of the UID, and rebuilds its index
    done = box.doveadm("save", input=build_message(ids[3]).decode(),
                       check=False)
    if done.returncode != 0:
        assert not committed and box.node.driver == "sdbox", done
        box.save(ids[3])
    # what was not committed may be there, or not
    there = [message_id for message_id in ids[:4] if box.search(message_id)]
    assert ids[0] in there and ids[3] in there
    assert not committed or there == ids[:4]
    box.assert_complete(there, ids[4:])


def restored_from_a_backup(box, in_place=False):
    """Puts a mailbox with one message back. Returns five ids: its own, two that
    came after the backup, two more; and the index that has three of them."""
    ids = [box.new_id() for _ in range(5)]
    box.save(ids[0])
    box.look()
    box.backup()
    for message_id in ids[1:3]:
        box.save(message_id)
    index = box.index_file().read_bytes()
    box.restore(in_place=in_place)
    return ids, index


def test_not_written_while_saving(box):
    """Nor are they believed if there was no room for those of the new
    messages."""
    ids, index = restored_from_a_backup(box, in_place=True)
    path = box.index_file()
    path.unlink()
    path.mkdir()
    for message_id in ids[3:]:
        box.save(message_id)
    path.rmdir()
    path.write_bytes(index)
    path.chmod(0o600)
    shutil.chown(path, path.parent.owner(), path.parent.group())
    box.assert_complete([ids[0]] + ids[3:], ids[1:3])


@pytest.mark.parametrize("point", ["index-incomplete", "index-unfenced",
                                   "index-appended:2"])
def test_killed_while_catching_up(box, point):
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids:
        box.save(message_id, plugin=False)
    box.wait_for_maildir()
    box.killed(point, "recall", "expunge", "--dry-run", "-u", box.user,
               ids[0])
    box.assert_complete(ids)


def test_away_while_catching_up(box):
    """A message whose file is not there when it is read, since the mailbox is
    being renamed, is not known to be gone."""
    ids = [box.new_id() for _ in range(3)]
    for message_id in ids:
        box.save(message_id, "Folder", plugin=False)
    box.wait_for_maildir()
    path = pathlib.Path(box.path("Folder"))
    aside = path.with_name(path.name + ".aside")
    with stopped(box.node, "index-read", "expunge", "--dry-run", "-u",
                 box.user, "<nothing@example.com>", code=None) as rows:
        path.rename(aside)
    aside.rename(path)
    # an error for those that Dovecot misses
    assert [row["status"] for row in rows] in (["error"], ["not_found"])
    box.look()
    box.assert_complete(ids)


def test_moved_before_it_is_read(box):
    """Each time that it is looked at, by somebody without our plugin: within
    the mailbox at first, and then to where it was looked for already."""
    message_id = box.new_id()
    for mailbox in "INBOX", "Alpha", "Beta", "Gamma":
        box.save(box.new_id(), mailbox)
    box.look()
    # it is looked for in the order in which Dovecot lists them
    target, *_, source = box.doveadm("mailbox list").stdout.split()
    box.save(message_id, source, plugin=False)
    box.wait_until_old()

    def move(uid, mailbox):
        box.save(message_id, mailbox, plugin=False)
        box.doveadm("expunge", "mailbox", source, "uid", str(uid))
        box.doveadm("purge")

    row, = stopped_each_time(
        box.node, "index-read:1,2",
        [lambda: move(2, source), lambda: move(3, target)],
        "expunge", "-u", box.user, "--no-notify", message_id)
    assert (row["status"], row["copies"], row["mailboxes"]) == \
        ("expunged", "1", target)
    assert box.search(message_id) == []


@pytest.mark.parametrize("lost", [False, True], ids=["old", "lost"])
@pytest.mark.parametrize("plugin", [False, True], ids=["without", "with"])
def test_replaced_while_catching_up(box, plugin, lost):
    """An index from a backup takes the place of the one that was read, and
    that has all records: they must not count as those of the old one."""
    ids = [box.new_id() for _ in range(4)]
    box.save(ids[0])
    box.look()
    old = box.index_file().read_bytes()
    box.save(ids[1], plugin=plugin)
    box.save(ids[2], plugin=plugin)
    box.save(ids[3], plugin=False)
    box.wait_for_maildir()
    index = box.index_file()
    with stopped(box.node, "index-unfenced", "expunge", "--dry-run", "-u",
                 box.user, "<nothing@example.com>"):
        if lost:
            index.unlink()
        else:
            other = index.with_suffix(".backup")
            shutil.copy2(index, other)
            shutil.chown(other, index.owner(), index.group())
            other.write_bytes(old)
            other.rename(index)
    # to read a header may write to the mailbox's index, which is looked at
    # then: the one that the old index has comes last
    for message_id in reversed(ids):
        assert box.dry_run(message_id) == 1
    box.look()
    box.assert_complete(ids)


def test_old_mailbox_and_replaced_while_catching_up(box):
    """... or one that has records of other messages for these UIDs."""
    ids, between = restored_from_a_backup(box)
    for message_id in ids[3:]:
        box.save(message_id, plugin=False)
    box.wait_for_maildir()
    with stopped(box.node, "index-unfenced", "expunge", "--dry-run", "-u",
                 box.user, "<nothing@example.com>"):
        box.index_file().write_bytes(between)
    box.assert_complete([ids[0]] + ids[3:], ids[1:3])


@pytest.mark.parametrize("point", ["index-locked:2", "index-incomplete:2",
                                   "index-appended:2"])
def test_killed_while_naming(box, point):
    """What comes second is the list of mailboxes."""
    if box.node.driver == "maildir":
        pytest.skip("names are kept for dbox only")
    ids = [box.new_id() for _ in range(2)]
    box.save(ids[0], "Folder")
    box.wait_until_old()
    box.look()
    box.doveadm("mailbox create", "New")
    box.wait_until_old()
    box.killed(point, "recall", "expunge", "--dry-run", "-u", box.user,
               "<nothing@example.com>")
    box.save(ids[1], "New", plugin=False)
    box.assert_complete(ids)


@pytest.mark.parametrize("point", COMPACT_POINTS)
def test_killed_while_dropping(box, point):
    """Mailboxes that were deleted leave the index in the last compaction."""
    ids = [box.new_id() for _ in range(3)]
    for message_id, mailbox in zip(ids, ("INBOX", "Kept", "Gone")):
        box.save(message_id, mailbox)
    box.look()
    gone = guid_of(box, "Gone")
    box.doveadm("mailbox delete", "Gone")
    # one for each mailbox before
    box.killed(point + ":3", "recall", "index", "-u", box.user)
    box.assert_complete(ids[:2], ids[2:])
    box.table("recall index")
    assert gone not in box.index_file().read_bytes()
    box.assert_complete(ids[:2], ids[2:])


@pytest.mark.parametrize("point", COMPACT_POINTS)
def test_killed_while_compacting(box, point):
    ids = [box.new_id() for _ in range(4)]
    for message_id in ids[:2]:
        box.save(message_id)
    box.look()
    box.save(ids[2])
    box.killed(point, "recall", "index", "-u", box.user)
    box.save(ids[3])
    box.assert_complete(ids)
    box.table("recall index")
    assert not box.index_file().with_suffix(".index.tmp").exists()
    box.assert_complete(ids)


def test_many_at_once(box):
    """Deliveries, appends, copies, saves without the plugin, new mailboxes and
    renamed ones, recalls and compactions."""
    rng = random.Random(17)
    box.save(box.new_id())
    boxes = ["INBOX", "A", "B"]
    for mailbox in boxes[1:]:
        box.doveadm("mailbox create", mailbox)
    errors, saved = [], []

    def deliver(worker):
        for i in range(25):
            message_id = "<%d.%d.deliver@example.com>" % (worker, i)
            box.node.lmtp_deliver(box.user, build_message(message_id))
            saved.append(message_id)

    def append(worker):
        for i in range(25):
            message_id = "<%d.%d.append@example.com>" % (worker, i)
            box.node.append(box.user, rng.choice(boxes),
                            build_message(message_id))
            saved.append(message_id)

    def without(worker):
        for i in range(8):
            message_id = "<%d.%d.without@example.com>" % (worker, i)
            box.node.doveadm(*WITHOUT_PLUGIN, "save", "-u", box.user, "-m",
                             rng.choice(boxes),
                             input=build_message(message_id).decode())
            saved.append(message_id)

    def rename(worker):
        """A mailbox that is always there, but never for long under its
        name."""
        for i in range(12):
            message_id = "<%d.%d.rename@example.com>" % (worker, i)
            name = "%d-%d" % (worker, i)
            # with mdbox it exists already if a recall has opened what was
            # half made
            box.doveadm("mailbox create", "New" + name, check=False)
            box.node.append(box.user, "New" + name,
                            build_message(message_id))
            saved.append(message_id)
            box.doveadm("mailbox rename", "New" + name, "Old" + name)

    def look(worker):
        for _ in range(12):
            wanted = list(saved)
            if wanted:
                message_id = rng.choice(wanted)
                assert box.dry_run(message_id) == 1, message_id
            box.doveadm("recall index")

    def work(function, worker):
        try:
            function(worker)
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=work, args=(function, worker))
               for worker, function in enumerate(
                   [deliver, deliver, append, append, without, rename, look,
                    look])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    answer = box.node.doveadm_http([["recallExpunge", {
        "user": box.user, "messageId": message_id, "dryRun": "true"}, "t"]
        for message_id in saved])
    assert [rows[0]["copies"] for _, rows, _ in answer] == ["1"] * len(saved)
    for row in box.verify():
        assert (row["wrong"], row["error"]) == ("0", "")


# where Dovecot has no mailbox list index, or none at all

OPTIONS = {
    "no-list-index": "mailbox_list_index = no\n",
    "inbox-in-list-index": "mailbox_list_index_include_inbox = yes\n",
    "memory": "mail_location = maildir:~/Maildir:INDEX=MEMORY\n",
    "index-elsewhere": "mail_location = %(driver)s:~/mail:INDEX=~/index\n",
    "layout-index": "mail_location = %(driver)s:~/mail:LAYOUT=index\n",
    "dirty": "maildir_very_dirty_syncs = yes\n"
             "mailbox_list_index_very_dirty_syncs = yes\n",
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_other_indexes(driver, option):
    if (option == "memory" and driver != "maildir") or \
            (option == "index-elsewhere" and driver == "mdbox"):
        pytest.skip("Dovecot has no such dbox")
    with MailNode(driver=driver, users=["u@example.com"],
                  mail_plugins=["notify", "recall"],
                  extra=OPTIONS[option] % {"driver": driver}) as node:
        box = PastBox(node, "u@example.com")
        ids = [box.new_id() for _ in range(4)]
        box.save(ids[0])
        box.save(ids[1], "Folder", plugin=False)
        assert [box.dry_run(message_id) for message_id in ids[:3]] == \
            [1, 1, 0]
        box.look()
        box.save(ids[2], "Folder", plugin=False)
        box.save(ids[3], plugin=False)
        assert [box.dry_run(message_id) for message_id in ids] == [1] * 4
        files = list(node.home(box.user).rglob("dovecot.recall.index"))
        assert len(files) == (0 if option == "memory" else 1)
        assert box.expunge(ids[3]) == ("expunged", 1)
        assert node.panics() == []
