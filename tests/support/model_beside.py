"""What goes on beside the recalls of the model test (see soak.py), and what an
administrator does to an account in between."""

import collections
import os
import pathlib
import shutil
import subprocess

from conftest import parse_tab
from mailnode import DOVECOT_24
from model_clients import GONE, MAILBOXES
from model_plan import DISTURBING
from model_recalls import Finding

INDEX = "dovecot.recall.index"
# what an mdbox says at times, although nobody adds any
ADDED = "New mails were added to mailbox during deletion"
# of which a backup is put back: no client renames or deletes it
BACKED_UP = "Alpha"


class Beside:
    """Of an account that has Recalls."""

    def new_account(self):
        # the Message-ID index as it was, at times; None if it's not to be put
        # back
        self.old_indexes = []
        # a directory of a mailbox, and the tokens that were in it
        self.backup = None
        # recall id -> copies that `recall purge` said it has deleted
        self.purged = collections.Counter()

    def stock(self, name, **parameters):
        """A command of Dovecot's own, which may fail: a mailbox may be gone
        just now."""
        try:
            answer, = self.node.doveadm_http(
                [[name, {"user": self.user, **parameters}, "tag"]])
        except ConnectionError:
            # it crashed: whether that is Dovecot's affair is seen in the end
            answer = ["error"]
        self.verdicts["%s %s" % (
            name, "failed" if answer[0] == "error" else "done")] += 1

    def beside_purge(self, unused_token):
        self.stock("purge")

    def beside_resync(self, unused_token):
        self.stock("forceResync", mailboxMask="*")

    def beside_stock(self, token):
        """Expunges one of the messages, wherever it's now."""
        for mailbox in MAILBOXES:
            self.stock("expunge", query=["mailbox", mailbox, "HEADER",
                                         "X-Token", token])

    def index_files(self):
        # unlike rglob() it gets on with directories that go meanwhile
        return [pathlib.Path(directory, INDEX) for directory, _, names in
                os.walk(self.node.home(self.user)) if INDEX in names]

    def keep_indexes(self):
        self.old_indexes.append([(path, path.read_bytes(), path.stat())
                                 for path in self.index_files()])

    def beside_index_lost(self, unused_token):
        for path in self.index_files():
            path.unlink(missing_ok=True)

    def beside_index_old(self, unused_token):
        if not self.old_indexes:
            return
        old = self.old_indexes[self.episodes * 7 % len(self.old_indexes)]
        for path, octets, stat in old:
            other = path.with_name(path.name + ".backup")
            other.write_bytes(octets)
            other.chmod(stat.st_mode & 0o777)
            os.chown(other, stat.st_uid, stat.st_gid)
            other.rename(path)

    def beside_recall_purge(self, unused_token):
        """Of all that is there, however new."""
        option = "plugin/recall_quarantine_days=0"
        if DOVECOT_24:
            option = option.partition("/")[2]
        done = self.node.doveadm("-f", "tab", "-o", option, "recall", "purge",
                                 "-u", self.user, check=False)
        failed = False
        # what it says of itself is not in the node's log
        if self.node.driver == "mdbox" and "rebuilding indexes" in done.stderr:
            self.rebuilt_now = self.was_rebuilt = True
        for row in parse_tab(done.stdout):
            self.purged[row["recall-id"]] += int(row["copies"])
            if row["status"] == "error" and (
                    self.plan.has(*DISTURBING) or self.rebuilt() or
                    self.node.driver == "mdbox" and ADDED in row["error"]):
                # it may have got half-way
                self.said(row["error"])
                self.unlisted.add(row["recall-id"])
                failed = True
            elif row["status"] != "purged":
                raise Finding("recall purge: %r" % row)
        if done.returncode != 0 and not failed and \
           not self.plan.has(*DISTURBING) and not self.rebuilt():
            raise Finding("recall purge: %r" % done)

    # while nobody is at work

    def mailbox_directory(self, mailbox):
        home = self.node.home(self.user)
        return home / "Maildir" / ("." + mailbox) \
            if self.node.driver == "maildir" else \
            home / "sdbox" / "mailboxes" / mailbox

    def before_backup(self):
        """Copies a mailbox's directory, or puts the copy back. Returns an id
        that is of interest now."""
        self.clients.everyone("logout")
        self.connection.logout()
        directory = self.mailbox_directory(BACKED_UP)
        place = self.node.dir / ("backup-" + self.user)
        was = self.found
        inside = sorted(found.token for found in was
                        if found.mailbox == BACKED_UP)
        message_id = None
        if self.backup is None:
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run(["cp", "-a", directory, place], check=True)
            self.backup = inside
        else:
            shutil.rmtree(directory)
            subprocess.run(["cp", "-a", place, directory], check=True)
            message_id = self.put_back(was)
            self.backup = None
        self.log_in()
        return message_id

    def put_back(self, was):
        there, kept = self.look()
        now = [found for found in self.found if found.mailbox == BACKED_UP]
        if sorted(found.token for found in now) != self.backup:
            self.fail("another backup", now, self.backup)
        elsewhere = {found.token for found in was
                     if found.mailbox != BACKED_UP}
        for token in list(self.stable):
            if token in there or token in kept:
                continue
            if token in elsewhere:
                self.fail("lost by a backup", token)
            del self.stable[token]
        for found in now:
            self.stable[found.token] = "<%s>" % found.token.split("-")[0]
        self.verdicts["backup put back"] += 1
        # by the rules a recall of these takes them
        ids = sorted({self.stable[found.token] for found in now} - {
            an_id for token, an_id in self.stable.items()
            if token[-1] not in "ad"})
        return ids[0] if ids else None

    def settle_mailboxes(self, done):
        """Names as they were, and what went with a mailbox."""
        self.connection.run("RENAME Gamma Beta")
        for operation in done:
            if operation.mailbox == GONE:
                self.doomed.update(operation.tokens)
        if any(operation.name == "delete" for operation in done):
            for token in self.doomed:
                self.stable.pop(token, None)
