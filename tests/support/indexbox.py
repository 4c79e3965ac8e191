"""A user whose Message-ID index is looked into, and mail that comes past the
plugin."""

import hashlib
import os
import shutil
import time

from mailnode import PATIENCE, build_message

# the same Dovecot and mail without the mail plugin
WITHOUT_PLUGIN = ("-o", "mail_plugins=")


def index_hash(message_id):
    """The record of a Message-ID, as recall-index.h says."""
    if message_id is None:
        return "none"
    octets = message_id.strip().strip("<>").encode()
    value = int.from_bytes(hashlib.sha1(octets).digest()[:8], "big")
    return "%016x" % (value if value >= 3 else value + 3)


class Box:
    """A user of a node."""

    def __init__(self, node, user):
        self.node = node
        self.user = user
        self.number = 0

    def new_id(self):
        self.number += 1
        return "<%d.%s>" % (self.number, self.user)

    def doveadm(self, command, *args, **kwargs):
        """command: a command's words"""
        return self.node.doveadm(*command.split(), "-u", self.user, *args,
                                 **kwargs)

    def table(self, command, *args, check=True):
        done = self.node.doveadm("-f", "tab", *command.split(), "-u",
                                 self.user, *args, check=check)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        return [dict(zip(lines[0], line)) for line in lines[1:]]

    def dump(self, mailbox="INBOX"):
        """What is known, without the message being looked at for it."""
        return {row["message-id"] and "<%s>" % row["message-id"]:
                (row["hash"], row["state"])
                for row in self.table("recall index", "--dump",
                                      "--mailbox", mailbox)}

    def assert_indexed(self, message_ids, mailbox="INBOX"):
        assert self.dump(mailbox) == {
            message_id or "": (index_hash(message_id), "ok")
            for message_id in message_ids}

    def assert_unknown(self, message_ids, mailbox="INBOX"):
        assert self.dump(mailbox) == {
            message_id: ("unknown", "missing") for message_id in message_ids}

    def verify(self):
        return self.table("recall index", "--verify")

    def dry_run(self, message_id):
        """Number of copies that a recall would delete."""
        row, = self.table("recall expunge", "--dry-run", message_id)
        assert row["status"] in ("would_expunge", "not_found"), row
        assert row["error"] == ""
        return int(row["copies"])

    def expunge(self, message_id):
        row, = self.table("recall expunge", "--no-notify", message_id)
        return row["status"], int(row["copies"])

    def save(self, message_id, mailbox="INBOX", plugin=True, **kwargs):
        """doveadm save, which may leave the plugin out."""
        options = () if plugin else WITHOUT_PLUGIN
        if mailbox != "INBOX":
            self.doveadm("mailbox create", mailbox, check=False)
        self.node.doveadm(
            *options, "save", "-u", self.user, "-m", mailbox,
            input=build_message(message_id, **kwargs).decode())

    def path(self, mailbox="INBOX"):
        return self.doveadm("mailbox path", mailbox).stdout.strip()

    def index_dir(self, mailbox="INBOX"):
        return self.doveadm("mailbox path", "-t", "index",
                            mailbox).stdout.strip()

    def index_file(self):
        """The user's Message-ID index."""
        path, = self.node.home(self.user).rglob("dovecot.recall.index")
        return path

    def wait_until_old(self):
        """Directories that have changed just now are not believed, neither by
        the index (recall-index-stamp.c) nor by Dovecot's Maildir: until a
        second has passed after the one of the change. That can't be set back,
        since the time of the inode's change counts, too."""
        deadline = time.monotonic() + PATIENCE
        while True:
            stats = [path.stat() for path in
                     self.node.home(self.user).rglob("*") if path.is_dir()]
            newest = max(max(st.st_mtime, st.st_ctime) for st in stats)
            # the clock of time(2) is a tick late
            left = int(newest) + 2.02 - time.time()
            if left <= 0:
                return
            if time.monotonic() > deadline:
                raise TimeoutError("directories go on changing")
            # not to look at all of them again until then
            time.sleep(left)

    def patch_index(self, *octets):
        """Replaces the first, the third, ... by what comes after it in the base
        of the index, where all of it is after this command: it has no checksum
        over records. Who opens a mailbox finds that they are others."""
        self.table("recall index")
        path = self.index_file()
        data = path.read_bytes()
        count = 0
        for old, new in zip(octets[::2], octets[1::2]):
            count += data.count(old)
            data = data.replace(old, new)
        with open(path, "r+b") as stream:
            stream.write(data)
        return count


def foreign_delivery(box, message_id, mailbox="INBOX"):
    new = os.path.join(box.path(mailbox), "new",
                       "%d.M1P1.elsewhere" % time.time())
    with open(new, "wb") as stream:
        stream.write(build_message(message_id))
    if box.node.root:
        shutil.chown(new, box.node.mail_user, box.node.mail_group)
    return new


def wait_until_older(path):
    """Until an index that is begun now is newer than the files there: what it
    says of that are whole seconds."""
    newest = max((file.stat().st_ctime for file in path.rglob("*")
                  if file.name.startswith(("u.", "m."))), default=0)
    deadline = time.monotonic() + PATIENCE
    while int(time.time()) <= int(newest):
        assert time.monotonic() < deadline
        time.sleep(0.02)
