"""The recalls of the model test (see soak.py): asked for over HTTP, and what
is found afterwards."""

import collections
import re
import subprocess
import tempfile
import time

from exported import exported, seconds
from model_mail import (Found, date_of, flags_of, is_what_was_printed,
                        plain_flags)
from quarantine import PREFIX


# of a message, all that is looked at
FIELDS = ["mailbox", "uid", "flags", "date.received.unixtime", "text"]
TOKEN = re.compile(r"(?m)^X-Token: (\S+)")


class Finding(Exception):
    """kind: in a few words; error: what a verdict said, tokens: of which
    messages, if it is about some."""

    def __init__(self, text, kind="", error="", tokens=()):
        super().__init__(text)
        self.kind, self.error, self.tokens = kind, error, list(tokens)


# Panics of Dovecot's own: of 2.4's fetch when a message goes before all of its
# row is written; when an mdbox is rebuilt, which needs the list of mailboxes,
# while a client who has that renames or deletes one; and of imap's if it can't
# write the index of an sdbox (sdbox_sync_finish() keeps its view then), or if
# it looks, for mail_log, at what it has copied into one that is renamed.
DOVECOTS = re.compile("Panic: (file json-generator.c|fcntl\\(.*/mailboxes.lock,"
                      ".*Resource deadlock avoided)|"
                      r"\bimap\(.*Panic: file dbox-file.c: line \d+ "
                      r"\(dbox_file_seek\)|"
                      r"\bimap\(.*Panic: Leaked view for index .*/dbox-Mails/"
                      "dovecot.index: Opened in mail-index-sync.c:443")
# The same below a sync or a commit of Dovecot's, whoever asks for that: of a
# mailbox that was deleted and created again meanwhile, or that has the mdbox
# rebuilt.
BELOW = [
    (re.compile(r"Panic: file mail-transaction-log-view.c: line \d+ "
                r"\(mail_transaction_log_view_set\): assertion failed: "
                r"\(min_file_seq <= max_file_seq\)"), "mail_index_sync_record"),
    (re.compile(r"Panic: fcntl\(.*/mailboxes.lock,.*Resource deadlock avoided"),
     "mdbox_sync_begin"),
    (re.compile(r"Panic: fcntl\(.*/mailboxes/Gone/dbox-Mails/"
                r"dovecot.index.cache,.*Resource deadlock avoided"),
     "mail_index_transaction_commit")]
# of Dovecot's, or that of our plugin which calls it
ASKED = re.compile(r"\b(?:mailbox_sync|recall_transaction_commit)\b")
PID = re.compile(r"<(\d+)>|\((\d+)\)|child (\d+) killed")


def is_dovecots(crash):
    """crash: all that the log has of it."""
    backtrace = "".join(re.findall("Raw backtrace: .*", crash))
    if "recall_" not in backtrace:
        return DOVECOTS.search(crash) is not None
    below = ASKED.split(backtrace, maxsplit=1)[0]
    return below != backtrace and "recall_" not in below and any(
        panic.search(crash) and function in below
        for panic, function in BELOW)


def crashes(node, since=0):
    """Panics, but for Dovecot's own."""
    processes = collections.defaultdict(list)
    for line in node.panics(since):
        match = PID.search(line)
        processes[match and match.group(match.lastindex)].append(line)
    return sum((lines for lines in processes.values()
                if not is_dovecots("\n".join(lines))), [])


def id_field(recall_id):
    """Of an event. Others may name the id, as a mailbox that can't be read."""
    return '"recall_id":"%s"' % recall_id


class Answer:
    """A verdict row, and the moment that it is of; None for a dry run and for
    a restore. expunged: how many copies were deleted, as its events tell.
    rebuilt: whether that was beside a rebuild of the mdbox."""

    def __init__(self, row, looked_at=None, expunged=0, rebuilt=False):
        self.row, self.looked_at, self.expunged = row, looked_at, expunged
        self.rebuilt = rebuilt
        self.status, self.copies = row["status"], int(row["copies"])

    def __repr__(self):
        return "%s at %s" % (self.row, self.looked_at)


class Recalls:
    """Has a node, a user, and whether there is a quarantine."""

    def __init__(self, node, quarantine):
        self.node = node
        self.quarantine = quarantine
        self.user = None
        # tokens whose flags may be others than at first
        self.loose = set()
        # of the last look: copies in the quarantine of a recall, notices
        self.by_recall = collections.Counter()
        self.notices = collections.Counter()
        self.found, self.there = [], collections.Counter()
        # of the processes that were killed in this episode
        self.killed_log = ""
        # message id -> recall ids
        self.recall_ids = collections.defaultdict(set)
        # ids that recalls were asked for in it, tokens of what they have
        # expunged, and how many copies of it they have put into the quarantine
        self.asked, self.expunged = set(), set()
        self.put_in = collections.Counter()
        # text that was looked at before -> its token
        self.texts = {}

    def http(self, name, **parameters):
        return self.ask((name, parameters))[0]

    def ask(self, *commands, again=True):
        """Commands (name, parameters) in one request. Returns what each
        answers."""
        names = [name for name, _ in commands]
        since = self.node.log_size()
        try:
            answers = self.node.doveadm_http([
                [name, parameters if name.startswith("recallStanding") else
                 {**parameters, "user": self.user}, "tag"]
                for name, parameters in commands])
        except ConnectionError as error:
            self.node.settle_log()
            found = crashes(self.node, since)
            dovecots = self.node.panics(since) != [] and not found
            if set(names) == {"fetch"} and dovecots:
                return self.ask(*commands)
            raise Finding("%s: %s: %s" % (
                names, error, "\n".join(found[:2])),
                          "panic" if dovecots else "") from error
        for name, answer in zip(names, answers):
            if answer[0] != "error":
                continue
            if again and set(names) == {"fetch"} and self.fetch_failed(since):
                return self.ask(*commands, again=False)
            raise Finding("%s: %r" % (name, answer), "fetch failed"
                          if name == "fetch" and not again else "")
        return [answer[1] for answer in answers]

    def expunge(self, message_id, recall_id, delay=0, **parameters):
        time.sleep(delay)
        self.recall_ids[message_id].add(recall_id)
        since, start = self.node.log_size(), time.time()
        row, = self.http("recallExpunge", recallId=recall_id,
                         messageId=message_id, **parameters)
        if "dryRun" in parameters:
            return Answer(row)
        looked_at = self.looked_at(row, since, start)
        # all are there once the recall's last one is
        return Answer(row, looked_at, sum(
            id_field(recall_id) in line
            for line in self.node.log(since).splitlines()
            if '"recall_message_expunged"' in line),
                      self.node.driver == "mdbox" and self.saw_rebuild(since))

    def looked_at(self, row, since, start):
        """From the recall's event, which says what the row says. Not from one
        that was killed before, nor from those of copies that came late, which
        are taken where they are saved."""
        count = 1
        pattern = '"recall_finished".*' + id_field(row["recall-id"])
        while True:
            event = exported(self.node, count, pattern, since)[count - 1]
            fields = event["fields"]
            if "service:doveadm" in event["categories"] and \
               seconds(fields["looked_at"]) >= start:
                break
            count += 1
        if [str(fields[name]) for name in ("verdict", "copies", "notice")] \
           != [row["status"], row["copies"], row["notice"]]:
            raise Finding("an event says something else: %r %r" % (row,
                                                                  fields))
        return seconds(fields["looked_at"])

    def restore(self, recall_id, delay=0):
        time.sleep(delay)
        since = self.node.log_size()
        row, = self.http("recallRestore", recallId=recall_id)
        if row["status"] in ("restored", "error"):
            fields = exported(self.node, 1, '"recall_restored".*' +
                              id_field(recall_id), since)[0]["fields"]
            if (fields["verdict"], str(fields["copies"])) != \
               (row["status"], row["copies"]):
                raise Finding("an event says something else: %r %r" % (
                    row, fields))
        return Answer(row)

    def killed(self, message_id, recall_id, delay, *options):
        """A doveadm of its own, killed after a while."""
        self.recall_ids[message_id].add(recall_id)
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                self.node.doveadm_command("recall", "expunge", "-u", self.user,
                                          *options, "--recall-id", recall_id,
                                          message_id),
                stdout=subprocess.DEVNULL, stderr=log)
            try:
                process.wait(0.02 + delay * 4)
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
            log.seek(0)
            self.killed_log += log.read()

    # what there is

    def look(self):
        """All that there is, opened: (in mailboxes, in the quarantine), each
        token -> copies."""
        self.by_recall.clear()
        self.notices.clear()
        queries = [["NOT", "mailbox", PREFIX + "*"]]
        if self.quarantine:
            queries.append(["mailbox", PREFIX + "*"])
        sides = [self._found(rows) for rows in self.ask(*[
            ("fetch", {"field": FIELDS, "query": query})
            for query in queries])]
        self.found, kept = sides[0], sum(sides[1:], [])
        for found in kept:
            self.by_recall[found.mailbox[len(PREFIX):].split("/")[0]] += 1
        self.there, kept = [collections.Counter(found.token for found in side)
                            for side in (self.found, kept)]
        return self.there, kept

    def _found(self, rows):
        found = []
        for row in rows:
            text = row["text"]
            token = self.texts.get(text) or self._token_of(row, text)
            if token is None:
                self._fetch_other(row, text)
                continue
            found.append(Found(row["mailbox"], token,
                               plain_flags(row["flags"].split()),
                               int(row["date.received.unixtime"]),
                               int(row["uid"])))
            self._compare(found[-1])
        return found

    def _token_of(self, row, text):
        """None if it has none. Its text is what was saved."""
        match = TOKEN.search(text)
        if match is None:
            return None
        token = self.texts[text] = match.group(1)
        if not is_what_was_printed(token, text):
            raise Finding("not what it was: %r" % row)
        return token

    def _fetch_other(self, row, text):
        if not text.strip():
            raise Finding("cannot be opened: %r" % row)
        notice = re.search(r"(?m)^X-Dovecot-Recall-Id: (\S+)", text)
        if notice is not None:
            self.notices[notice.group(1)] += 1

    def _compare(self, found):
        token = found.token
        if date_of(token) not in (None, found.date):
            raise Finding("another date: %r" % (found,))
        if token not in self.loose and found.flags != flags_of(token) and \
           not self.flags_lost() and not self.keywords_lost(found) and \
           not self.back_without_flags(found):
            raise Finding("other flags: %r" % (found,), "other flags",
                          tokens=[token])
