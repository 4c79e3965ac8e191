"""One call of the C library after the other fails, or kills doveadm: nothing
is lost, nothing doubled, each verdict is true, and the next try does the rest.

A sample; RECALL_FAULTS has their number a test, "all", or one of them, e.g.
"rename 3 EACCES", "write 7 killed". RECALL_FAULTS_SEED has which ones, and
which of its errors a call has."""

import collections
import contextlib
import errno
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import traceback

import pytest

from conftest import DRIVERS, Result, parse_tab
from faulty import KILLED, Fault, Shim, choose, faults
from mailnode import DOVECOT_24, PATIENCE, SRCDIR, build_message
from quarantine import (DATE, PREFIX, age, append, change_record, http,
                        make_node)

NOTICE_HEADER = "X-Dovecot-Recall-Id:"
INDEX_FILE = "dovecot.recall.index"
# Mailbox -> flags and body of the copies. Others are there, too.
COPIES = {
    "INBOX": [(["\\Flagged"], "one"), (["kw1"], "two")],
    "Work/Old": [(["\\Seen", "kw1", "kw2"], "three")],
}
BODIES = {body for mails in COPIES.values() for flags, body in mails}
COUNT = len(BODIES)
OUR_FILES = {path.name for path in (SRCDIR / "plugin").rglob("*.c")}
# Maildir's file of keywords, which it only logs that it could not write
KEYWORDS = "dovecot-keywords.lock", "dovecot-keywords"
UIDLIST = re.compile(r"/dovecot-uidlist\.(tmp|lock)$")
# what waits for whoever was killed, or could not delete it, for minutes
LOCKS = ["*.newlock", "dovecot-uidlist.lock"]
OTHER = "<other@example.com>"


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    users = ["u%03d@example.com" % i for i in range(60)]
    # a process a command: what one keeps in memory of an account would not be
    # what was put back
    with make_node(request.param, users, fsync=True, doveadm_requests=1,
                   mail_plugins=["notify", "recall"],
                   plugin={"recall_quarantine_days": "30"}) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


_ids = itertools.count(1)


class Case:
    """An operation on an account: what is prepared, run, and then checked."""

    def __init__(self, node, tmp_path):
        self.node = node
        self.user = next(node.free_users)
        self.home = node.home(self.user)
        self.saved = tmp_path / "saved"
        self.number = next(_ids)
        self.id = "<fault.%d@example.com>" % self.number
        self.recall_id = "%032x" % ((os.getpid() << 64) + self.number)
        # where the fault was
        self.failed_path = ""
        # in memory, like the node
        self.shim = Shim(node.dir, "doveadm",
                         [self.home, node.standing_dir])
        self.directories = {self.home: self.saved / "home",
                            node.standing_dir: self.saved / "standing"}

    # the account

    def fill(self):
        for mailbox, mails in COPIES.items():
            append(self.node, self.user, mailbox,
                   build_message(OTHER, body="%s\n" % mailbox), (), DATE)
            for flags, body in mails:
                append(self.node, self.user, mailbox,
                       build_message(self.id, body=body + "\n"), flags, DATE)
        # all that is kept of mailboxes is as after some use
        self.doveadm("recallExpunge", messageId=self.id, dryRun=True)

    def doveadm(self, name, **parameters):
        """Over HTTP: no process is started."""
        return http(self.node, name, user=self.user, **parameters)

    def save(self):
        self.saved.mkdir()
        for directory, saved in self.directories.items():
            if directory.exists():
                subprocess.run(["cp", "-a", directory, saved], check=True)

    def put_back(self):
        for directory, saved in self.directories.items():
            if directory.exists():
                shutil.rmtree(directory)
            if saved.exists():
                subprocess.run(["cp", "-a", saved, directory], check=True)

    def mails(self):
        """(mailboxes, quarantine, notices): of the former two a Counter of
        (mailbox, flags, date, text)."""
        with self.unlocked():
            return self.fetch()

    @contextlib.contextmanager
    def unlocked(self):
        """Without locks left behind. Of those in the quarantine the next try
        takes care, those in mailboxes Dovecot would wait for."""
        left = [path for name in LOCKS for path in self.home.rglob(name)]
        for path in left:
            path.rename(path.with_suffix(".aside"))
        yield
        for path in left:
            aside = path.with_suffix(".aside")
            if "recalled" in path.parts and aside.exists():
                aside.rename(path)

    def fetch(self):
        fields = ["mailbox", "flags", "date.received", "text"]
        for _ in range(3):
            answers = self.node.doveadm_http([
                ["fetch", {"user": self.user, "field": fields,
                           "query": ["mailbox", mask]}, mask]
                for mask in ("*", PREFIX + "*")])
            # Dovecot mends what it comes over when it opens a mailbox anew
            if all(answer[0] == "doveadmResponse" for answer in answers):
                break
        found = collections.Counter(), collections.Counter()
        notices = 0
        for answer in answers:
            assert answer[0] == "doveadmResponse", answer
            for mail in answer[1]:
                box, text = mail["mailbox"], mail["text"]
                inside = box.startswith(PREFIX)
                if NOTICE_HEADER in text:
                    notices += 1
                elif text.split("\n\n", 1)[-1].startswith("recall-id:"):
                    # a record that mdbox, which was killed, has found again
                    continue
                elif not inside or box.count("/") == 2:
                    flags = set(mail["flags"].split()) - {"\\Recent"}
                    found[inside][(box, " ".join(sorted(flags)),
                                   mail["date.received"], text)] += 1
        return found[0], found[1], notices

    # what is run

    def args(self):
        raise NotImplementedError

    def input(self):
        return None

    def run(self):
        return self.finish(subprocess.run(
            self.node.doveadm_command(
                "-f", "tab", *self.args(),
                environment=self.shim.environment(self.node.sanitizers)),
            input=self.input(), capture_output=True, text=True,
            errors="replace", timeout=PATIENCE))

    def again(self):
        """The next try, without a fault. Storages may need more: what is
        damaged is mended when a mailbox is opened anew."""
        for _ in range(3):
            result = self.run()
            if result.code != 75:
                break
            assert all(row["error"] for row in result.rows)
            self.resync_lost(result)
        assert result.code == 0, result
        return result

    def resync_lost(self, done):
        """Messages are in files that are older than their mailbox's index: with
        dbox the index is the mailbox, and the user sees none of them either."""
        for row in done.rows:
            said = re.search("Run doveadm (force-resync .*)", row["error"])
            if said:
                self.node.doveadm(*said.group(1).split(" ", 3), check=False)
                # others may have been lost in the second in which their
                # files were written, which does not show
                self.node.doveadm("force-resync", "-u", self.user, "*",
                                  check=False)

    @staticmethod
    def finish(done):
        lines = [line for line in done.stdout.split("\n") if line != ""]
        # a row that it died in is none
        if done.returncode < 0 and not done.stdout.endswith("\n"):
            lines = lines[:-1]
        return Result(parse_tab("\n".join(lines)), done.returncode,
                      done.stderr)

    def check(self, result, fault):
        raise NotImplementedError

    # shared by the checks

    def check_end(self, result, fault):
        """It ended in an orderly way, and said what went wrong."""
        if result.code in (-signal.SIGABRT, -signal.SIGSEGV):
            self.check_crash(result)
            return
        if result.code == 0:
            return
        if fault is not None and fault.error == KILLED:
            assert result.code == -9
        else:
            assert result.code > 0
            assert result.stderr != "" or \
                any(row.get("error") for row in result.rows)

    def check_crash(self, result):
        """It was an assertion of Dovecot's own, or its code: errors are what it
        tests least."""
        panic = re.search(r"Panic: (file (\S+): line|Leaked )",
                          result.stderr)
        if self.fault.call == "malloc" and "nss_" in result.stderr:
            # the C library's
            return
        if panic is not None:
            assert not panic.group(2) or \
                os.path.basename(panic.group(2)) not in OUR_FILES
        else:
            assert dovecots_crash(result.stderr)

    def check_nothing_lost(self):
        mailboxes, quarantine, notices = self.mails()
        if UIDLIST.search(self.failed_path):
            # the first to open the mailbox after that sees nothing in it
            mailboxes, quarantine, notices = self.mails()
        there = bodies(mailboxes + quarantine)
        assert BODIES | set(COPIES) <= set(there)
        return mailboxes, quarantine, notices

    def check_same(self, mailboxes):
        """All is as it was."""
        self.compare(self.before[0], mailboxes)

    def compare(self, before, mailboxes):
        if self.failed_path.endswith(KEYWORDS):
            # Maildir keeps what it could not write down as a name as it is
            before, mailboxes = without_flags(before), \
                without_flags(mailboxes)
        found = differences(before, mailboxes)
        assert found == [], "; ".join(found)

    def check_index(self):
        """No record is wrong."""
        result = self.doveadm("recallIndex", verify=True)
        assert result.code == 0
        for row in result.rows:
            assert (row["wrong"], row["error"]) == ("0", "")


def dovecots_crash(stderr):
    """Whether a backtrace begins in Dovecot's library, and not in what we call
    ourselves, maybe with what it must not have; what the mail plugin calls has
    what Dovecot called that with. There are: 2.3 reports a
    failed fsync of a mailbox's directory for a mail that is NULL; 2.4 goes on
    with an index that it may not write (sdbox_transaction_save_commit_pre,
    maildir_sync_index)."""
    names = [os.path.basename(path) for path in
             re.findall(r"^(\S+)\(.*\) ?\[0x", stderr, re.M)]
    while names and names[0].startswith(("libasan.", "fault-shim.", "libc.")):
        del names[0]
    return len(names) > 1 and names[0].startswith("libdovecot") and \
        names[1].startswith(("libdovecot", "lib20_recall_plugin"))


def bodies(mails):
    """How often each body is there."""
    found = collections.Counter()
    for mail, count in mails.items():
        body = mail[3].replace("\r", "").split("\n\n", 1)[-1].strip()
        found[body] += count
    return found


def without_flags(mails):
    found = collections.Counter()
    for (mailbox, flags, date, text), count in mails.items():
        found[(mailbox, "", date, text)] += count
    return found


def differences(before, after):
    """What one lacks or has more of than the other, as texts."""
    return ["%s: %+d" % (" ".join([mail[0], mail[1], mail[2],
                                   *bodies({mail: 1})]),
                         after[mail] - before[mail])
            for mail in {**before, **after} if before[mail] != after[mail]]


class Recall(Case):
    """With a quarantine and a notice."""
    options = ()

    def prepare(self):
        self.fill()

    def args(self):
        return ["recall", "expunge", *self.options, "-u", self.user,
                "--force", "--recall-id", self.recall_id, self.id]

    def check(self, result, fault):
        self.check_end(result, fault)
        mailboxes, quarantine, notices = self.check_nothing_lost()
        if result.code == 0:
            row = result.row()
            assert row["status"] == "expunged"
            assert row["copies"] == str(COUNT)
            # what was saved may be there although the call after that failed
            assert row["notice"] == "failed" or notices == 1
            self.check_recalled(mailboxes, quarantine)
        elif result.rows:
            row = result.row()
            assert row["status"] == "error"
        again = self.again()
        assert again.status() in ("expunged", "already_recalled")
        mailboxes, quarantine, notices = self.mails()
        self.check_recalled(mailboxes, quarantine)
        assert notices == 1
        listed = self.doveadm("recallList").row()
        assert listed["copies"] == str(COUNT)
        self.check_index()
        restored = self.doveadm("recallRestore", recallId=self.recall_id)
        assert restored.status() == "restored"
        mailboxes, quarantine, notices = self.mails()
        self.check_same(mailboxes)
        assert bodies(quarantine) == {}

    def check_recalled(self, mailboxes, quarantine):
        assert bodies(mailboxes) == dict.fromkeys(COPIES, 1)
        assert bodies(quarantine) == dict.fromkeys(BODIES, 1)


WITHOUT_QUARANTINE = ["-o", ("" if DOVECOT_24 else "plugin/") +
                      "recall_quarantine="]


class Plain(Case):
    """Without a quarantine: what is gone is what the verdict says."""

    def prepare(self):
        self.fill()

    def args(self):
        return [*WITHOUT_QUARANTINE, "recall", "expunge", "-u", self.user,
                "--force", "--no-notify", self.id]

    def check(self, result, fault):
        self.check_end(result, fault)
        mailboxes, quarantine, notices = self.mails()
        left = self.check_left(mailboxes)
        if result.code == 0:
            row = result.row()
            assert row["status"] == "expunged"
            # what Maildir could not unlink came back, and was recalled again
            assert row["copies"] == str(COUNT) or (
                fault.call == "unlink" and int(row["copies"]) > COUNT)
            assert left == set()
        elif result.rows:
            row = result.row()
            assert row["status"] == "error"
        again = self.again()
        assert again.status() == ("expunged" if left else "not_found")
        assert again.row()["copies"] == str(len(left))
        assert self.check_left(self.mails()[0]) == set()
        self.check_index()

    @staticmethod
    def check_left(mailboxes):
        """Nothing else is gone."""
        there = bodies(mailboxes)
        assert set(there.values()) == {1} and set(COPIES) <= set(there)
        return set(there) - set(COPIES)


class Recalled(Case):
    """Of what is in the quarantine."""

    def prepare(self):
        self.fill()
        self.original = self.mails()[0]
        done = self.doveadm("recallExpunge", messageId=self.id, force=True,
                            noNotify=True, recallId=self.recall_id)
        assert done.status() == "expunged"


class Restore(Recalled):
    def args(self):
        return ["recall", "restore", "-u", self.user, self.recall_id]

    def check(self, result, fault):
        self.check_end(result, fault)
        mailboxes, quarantine, notices = self.check_nothing_lost()
        if result.code == 0:
            row = result.row()
            assert row["status"] == "restored"
            # it may have begun again
            assert int(row["copies"]) + int(row["present"]) == COUNT
            self.check_restored(mailboxes, quarantine)
        elif result.rows:
            assert result.row()["status"] == "error"
        again = self.again()
        assert again.status() == "restored"
        mailboxes, quarantine, notices = self.mails()
        self.check_restored(mailboxes, quarantine)
        self.check_index()

    def check_restored(self, mailboxes, quarantine):
        self.compare(self.original, mailboxes)
        assert bodies(quarantine) == {}


class Purge(Recalled):
    def prepare(self):
        super().prepare()
        age(self.node, self.user, self.recall_id, 31)

    def args(self):
        return ["recall", "purge", "-u", self.user]

    def check(self, result, fault):
        self.check_end(result, fault)
        mailboxes, quarantine, notices = self.mails()
        self.check_same(mailboxes)
        gone = bodies(quarantine) == {} and self.list() == []
        if result.rows == [] and self.is_of_a_list(fault):
            assert not gone
        elif result.code == 0:
            assert result.status() == "purged"
            assert gone
        else:
            assert set(bodies(quarantine)) <= BODIES
            for row in result.rows:
                assert row["status"] == ("purged" if gone else "error")
        again = self.again()
        assert [row["status"] for row in again.rows] == \
            [] if gone else ["purged"]
        mailboxes, quarantine, notices = self.mails()
        self.check_same(mailboxes)
        assert (bodies(quarantine), self.list()) == ({}, [])

    def is_of_a_list(self, fault):
        """Dovecot leaves a directory out that it may not read. That it may
        another time is told from where it never may."""
        return fault is not None and fault.error == errno.EACCES and \
            self.failed_path.endswith("/recalled")

    def list(self):
        return self.doveadm("recallList").rows


class Delivery(Case):
    """A message is saved, and its record appended to our index: whatever
    becomes of that, a message that is there is found."""
    body = "new"

    def prepare(self):
        self.fill()

    def args(self):
        return ["save", "-u", self.user, "-m", "INBOX"]

    def input(self):
        return build_message(self.id, body=self.body + "\n").decode()

    def check(self, result, fault):
        self.check_end(result, fault)
        mailboxes, quarantine, notices = self.mails()
        count = bodies(mailboxes)[self.body]
        if result.code == 0:
            assert count == 1
        else:
            assert count <= 1
            assert fault.error == KILLED or INDEX_FILE not in self.failed_path
        found = self.doveadm("recallExpunge", messageId=self.id, force=True,
                             noNotify=True, recallId=self.recall_id)
        assert found.status() == "expunged"
        copies = int(found.row()["copies"])
        # mdbox finds what was saved and not yet in its mailbox only then
        assert copies == COUNT + count or (
            count == 0 and copies == COUNT + 1 and result.code != 0)
        self.check_index()
        restored = self.doveadm("recallRestore", recallId=self.recall_id)
        assert restored.status() == "restored", restored
        self.check_same(collections.Counter({
            mail: count for mail, count in self.mails()[0].items()
            if bodies({mail: 1}) != {self.body: 1}}))


class Compaction(Case):
    """Of an index with records of messages that have gone."""

    def prepare(self):
        self.fill()
        for _ in range(5):
            append(self.node, self.user, "INBOX", build_message(
                "<gone@example.com>"))
        self.doveadm("recallExpunge", messageId="<gone@example.com>")
        self.node.doveadm("expunge", "-u", self.user, "mailbox", "INBOX",
                          "HEADER", "Message-ID", "<gone@example.com>")

    def args(self):
        return ["recall", "index", "-u", self.user]

    def check(self, result, fault):
        self.check_end(result, fault)
        self.check_same(self.mails()[0])
        for row in result.rows:
            assert row["wrong"] in ("", "0")
        for message_id, count in ((self.id, COUNT), (OTHER, len(COPIES))):
            found = self.doveadm("recallExpunge", messageId=message_id,
                                 force=True, dryRun=True)
            assert found.row()["copies"] == str(count)
        again = self.again()
        self.check_index()


class Standing(Recall):
    """A recall that is to stand, and what arrives afterwards."""
    options = ("--stand", "1h")

    def check(self, result, fault):
        super().check(result, fault)
        # nobody's order is left in the way of the next ones
        self.doveadm("recallExpunge", messageId=self.id, force=True,
                     recallId=self.recall_id[::-1], stand="1h")
        self.node.doveadm("save", "-u", self.user, "-m", "INBOX",
                          input=build_message(self.id, body="late").decode())
        assert bodies(self.mails()[0]) == dict.fromkeys(COPIES, 1)
        assert bodies(self.mails()[1])["late"] == 1


class Late(Case):
    """A copy arrives of what stands."""

    def prepare(self):
        self.fill()
        done = self.doveadm("recallExpunge", messageId=self.id, force=True,
                            recallId=self.recall_id, stand="1h")
        assert done.status() == "expunged"

    def args(self):
        return ["save", "-u", self.user, "-m", "INBOX"]

    def input(self):
        return build_message(self.id, body="late\n").decode()

    def check(self, result, fault):
        self.check_end(result, fault)
        mailboxes, quarantine, notices = self.check_nothing_lost()
        count = max(bodies(mailboxes)["late"], bodies(quarantine)["late"])
        if result.code == 0:
            assert count == 1
            # it may have been kept and then not deleted
            assert bodies(mailboxes + quarantine)["late"] == 1 or \
                "came late: error" in result.stderr
        else:
            assert count <= 1
            assert fault.error == KILLED or \
                str(self.node.standing_dir) not in self.failed_path
        if bodies(mailboxes)["late"] and result.code == 0:
            assert "recall" in result.stderr
        run = http(self.node, "recallStandingRun")
        assert run.code == 0
        mailboxes, quarantine, notices = self.mails()
        assert bodies(mailboxes) == dict.fromkeys(COPIES, 1)
        assert bodies(quarantine) == dict.fromkeys(
            BODIES | {"late"} if count else BODIES, 1)
        self.check_index()


CASES = [Recall, Plain, Restore, Purge, Delivery, Compaction, Standing, Late]


def prepared(kind, node, tmp_path):
    """The case, and how many calls it takes when nothing fails."""
    case = kind(node, tmp_path)
    case.prepare()
    case.save()
    case.before = case.mails()
    case.put_back()
    case.shim.arm()
    result = case.run()
    counts = case.shim.counts()
    assert result.code == 0, result
    assert counts["open"] > 0, counts
    case.check(result, None)
    return case, counts


def try_faults(case, chosen):
    """Runs the case once for each fault; fails with all that is wrong."""
    found = []
    hit = 0
    for fault in chosen:
        case.fault = fault
        case.put_back()
        case.shim.arm(fault.call, fault.at, fault.error, fault.forever)
        try:
            result = case.run()
        except subprocess.TimeoutExpired:
            # a lock file that Dovecot could not rename it keeps open, so that
            # the process takes it for somebody's and waits for two minutes
            if not case.shim.failed_path().endswith(".newlock"):
                found.append("%s %s: it hangs" %
                             (fault, case.shim.failed_path()))
            continue
        hit += case.shim.failed()
        path = case.failed_path = case.shim.failed_path()
        case.shim.arm()
        try:
            case.check(result, fault)
        except AssertionError as error:
            found.append("%s %s: %s\n%s\n%s" % (
                fault, path.replace(str(case.home), "~"), result,
                traceback.format_tb(error.__traceback__)[-1],
                re.sub("(?m)^", "    ", str(error))))
        except (subprocess.TimeoutExpired, TimeoutError):
            found.append("%s %s: what follows hangs" % (fault, path))
    print("%s %s: %d faults, %d hit, %d findings" % (
        type(case).__name__, case.node.driver, len(chosen), hit, len(found)))
    if found:
        pytest.fail("%d faults:\n%s" % (len(found), "\n".join(found)), False)


# what a fault leaves is reported when the next one comes over it
@pytest.mark.log_errors(".")
@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_faults(node, tmp_path, kind):
    case, counts = prepared(kind, node, tmp_path)
    seed = os.environ.get("RECALL_FAULTS_SEED", "1") + kind.__name__
    print(counts)
    try_faults(case, choose(faults(counts, seed), seed))


@pytest.mark.log_errors(".")
def test_disk_that_is_full(node, tmp_path):
    """From some write on, and until somebody makes room: the error says what
    could not be written, not that somebody has moved the message."""
    if node.sanitizers:
        pytest.skip("a sanitizer takes calls of write() for itself")
    case, counts = prepared(Plain, node, tmp_path)
    errors = set()

    def run():
        result = Case.run(case)
        if case.shim.failed():
            errors.update(row["error"] for row in result.rows)
        return result

    case.run = run
    try_faults(case, [Fault("write", at, errno.ENOSPC, forever=True)
                      for at in range(1, counts["write"] + 1)])
    assert any(" failed: " in error for error in errors), errors
    assert not any("moved" in error for error in errors), errors


@pytest.mark.log_errors(".")
@pytest.mark.parametrize("kind", [Recall, Restore, Purge],
                         ids=lambda kind: kind.__name__)
def test_killed_while_renaming(node, tmp_path, kind):
    """Between a file that has its name and an index that knows of it: sdbox
    loses flags there, and what is half deleted could not be deleted."""
    if node.driver != "sdbox" and os.environ.get("RECALL_FAULTS") != "all":
        pytest.skip("sdbox only, unless all are wanted")
    case, counts = prepared(kind, node, tmp_path)
    try_faults(case, [Fault("rename", at, KILLED)
                      for at in range(1, counts["rename"] + 1)])


@pytest.mark.log_errors(".")
def test_recall_into_what_is_half_deleted(node, tmp_path):
    """A retry whose mailbox in the quarantine somebody was about to delete."""
    case, counts = prepared(Purge, node, tmp_path)
    for at in range(1, counts["rename"] + 1):
        case.put_back()
        case.shim.arm("rename", at, KILLED)
        case.run()
        case.shim.arm()
        append(node, case.user, "INBOX", build_message(case.id, body="one"))
        for _ in range(2):
            done = case.doveadm("recallExpunge", messageId=case.id,
                                force=True, recallId=case.recall_id)
            if done.status() != "error":
                break
        assert done.status() == "expunged", done
        mailboxes, quarantine, notices = case.mails()
        assert bodies(mailboxes) == dict.fromkeys(COPIES, 1)
        assert bodies(quarantine)["one"] >= 1


@pytest.mark.log_errors("opendir")
def test_quarantine_that_can_not_be_listed(node, tmp_path):
    """Its names are in the record: what is there comes back."""
    case = Restore(node, tmp_path)
    case.prepare()
    path = case.home / {"maildir": "recalled", "sdbox": "sdbox/recalled",
                        "mdbox": "mdbox/recalled"}[node.driver]
    for each in case.home.rglob("recalled.index*"):
        each.unlink()
    for each in [path, path / case.recall_id]:
        if each.exists():
            # what it holds can be opened, but not listed
            each.chmod(0o311)
    try:
        for name in "recallList", "recallPurge":
            row = case.doveadm(name).row()
            assert row["status"] == "error", row
            assert row["error"].startswith("Listing the quarantine failed")
        rows = case.doveadm("recallExport", recallId=case.recall_id).rows
        assert [row["error"] for row in rows] == [""] * COUNT, rows
        row = case.doveadm("recallExpunge", messageId=case.id, force=True,
                           recallId=case.recall_id).row()
        assert row["status"] == "already_recalled", row
        row = case.doveadm("recallRestore", recallId=case.recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", str(COUNT)), row
    finally:
        for each in [path, path / case.recall_id]:
            if each.exists():
                each.chmod(0o700)


def test_purge_that_had_nearly_ended(node, tmp_path):
    """Nothing is left but mailboxes: no record tells how old they are, and
    they need not stay for that."""
    case = Purge(node, tmp_path)
    case.prepare()
    node.doveadm("expunge", "-u", case.user, "mailbox", PREFIX + "*", "all")
    purged = case.doveadm("recallPurge")
    assert purged.status() == "purged", purged
    assert case.doveadm("recallPurge").rows == []
    assert case.list() == []


@pytest.mark.parametrize("line", ["", "recalled: 9223372036854775807\r\n",
                                  "recalled: -9223372036854775808\r\n"])
def test_record_that_has_lost_its_time(node, tmp_path, line):
    """How old its copies are is not known, so they are not deleted."""
    case = Purge(node, tmp_path)
    case.prepare()
    change_record(node, case.user, case.recall_id, lambda text: re.sub(
        r"(?m)^recalled: .*\r?\n", line, text))
    assert len(case.list()) == 1
    for _ in range(2):
        row = case.doveadm("recallPurge").row()
        assert (row["status"], row["error"]) == \
            ("error", "There is no record that tells how old this is")


def test_copies_that_no_record_tells_of(node, tmp_path):
    """They are not deleted."""
    case = Purge(node, tmp_path)
    case.prepare()
    node.doveadm("expunge", "-u", case.user, "mailbox",
                 PREFIX + case.recall_id, "all")
    row = case.doveadm("recallPurge").row()
    assert (row["status"], row["error"]) == \
        ("error", "There is no record that tells how old this is")
    assert bodies(case.mails()[1]) == dict.fromkeys(BODIES, 1)


@pytest.mark.log_errors("already exists")
def test_file_in_the_way_of_a_restore(node, tmp_path):
    """sdbox has a file that its index does not know of, as whoever was killed
    leaves it."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    case = Restore(node, tmp_path)
    case.prepare()
    mails = case.home / "sdbox/mailboxes/INBOX/dbox-Mails"
    shutil.copy2(mails / "u.1", mails / "u.4")
    shutil.chown(mails / "u.4", node.mail_user, node.mail_group)
    row = case.doveadm("recallRestore", recallId=case.recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", str(COUNT)), row
    assert bodies(case.mails()[0]) == {**dict.fromkeys(BODIES, 1),
                                       "INBOX": 2, "Work/Old": 1}


# files that are damaged

DAMAGED = ["dovecot.index", "dovecot.index.log", "dovecot.index.cache",
           "dovecot.list.index*", "recalled.index*", INDEX_FILE]


def damage(home, pattern, how):
    """Returns how many files there were."""
    paths = [path for path in home.rglob(pattern) if path.is_file()]
    for path in paths:
        data = path.read_bytes()
        with open(path, "r+b") as stream:
            if how == "garbage":
                stream.write(random.Random(1).randbytes(len(data)))
            else:
                stream.truncate(len(data) // 2 if how == "truncated" else 0)
    return len(paths)


@pytest.mark.log_errors(".")
@pytest.mark.parametrize("how", ["garbage", "truncated", "empty"])
@pytest.mark.parametrize("pattern", DAMAGED)
def test_damaged(node, tmp_path, pattern, how):
    """Dovecot's files and ours: all copies are found, or it says that they may
    not be; and what is in the quarantine comes back, flags apart, which sdbox
    and mdbox keep in the index."""
    case = Recall(node, tmp_path)
    case.prepare()
    # a file that there is only later, or with other formats
    node.doveadm("index", "-u", case.user, "*")
    before = case.mails()[0]
    damage(case.home, pattern, how)
    first = case.run()
    if first.code != 0:
        assert all(row["error"] for row in first.rows), first
    again = case.again()
    if again.status() == "not_found":
        # with dbox the index is the mailbox: the user sees nothing either
        assert node.driver != "maildir" and pattern == "dovecot.index.log"
        assert not set(bodies(case.mails()[0])) & BODIES
        node.doveadm("force-resync", "-u", case.user, "*")
        again = case.again()
    assert again.status() in ("expunged", "already_recalled")
    case.check_recalled(*case.check_nothing_lost()[:2])
    # mdbox has nothing else that tells in which mailbox a message is
    if node.driver != "mdbox" or pattern != "dovecot.index.log":
        damage(case.home, pattern, how)
    # Dovecot mends one file after the other, and says so each time
    for _ in range(10):
        restored = case.doveadm("recallRestore", recallId=case.recall_id)
        if restored.status() == "restored":
            break
        assert restored.row()["error"] != ""
        case.resync_lost(restored)
    assert restored.status() == "restored", restored
    mailboxes, quarantine, notices = case.mails()
    assert bodies(mailboxes) == bodies(before)
    assert bodies(quarantine) == {}
    case.check_index()


@contextlib.contextmanager
def read_only(home):
    """Its directories may be read, and nothing made or deleted in them."""
    modes = {path: path.stat().st_mode for path in [home, *home.rglob("*")]
             if path.is_dir()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.log_errors(".")
@pytest.mark.parametrize("kind", [Recall, Restore, Purge],
                         ids=lambda kind: kind.__name__)
def test_read_only(node, tmp_path, kind):
    case, counts = prepared(kind, node, tmp_path)
    case.put_back()
    before = case.mails()[:2]
    with read_only(case.home):
        result = case.run()
        assert result.code == 75, result
        assert result.row()["status"] == "error"
        assert result.row()["error"] != ""
    assert case.mails()[:2] == before
    # as if nothing had been
    case.check(case.run(), None)
