"""Recalls while clients work on the same messages: a short run of what
`make soak` does for longer (see tests/support/soak.py)."""

import collections
import types

import pytest

import soak
from conftest import DRIVERS
from model_checks import Checks
from model_clients import OPERATIONS, Operation, place
from model_excuses import Excuses
from model_mail import Found
from model_plan import BEFORE, BESIDE, KINDS, Limits, Plan
from model_recalls import Answer, Finding, Recalls, crashes
from model_shrink import Case, arguments, shrink


@pytest.mark.parametrize("quarantine", [True, False],
                         ids=["quarantine", "no-quarantine"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_nothing_lost_nothing_false(driver, quarantine):
    assert soak.soak(driver, operations=400, seed=1, quarantine=quarantine,
                     jobs=2) == []


def test_a_loss_is_found(monkeypatch, tmp_path):
    """By the model, which knows of a quarantine that there is not: so all that
    is recalled is lost."""
    driver = DRIVERS[-1]
    node_for = soak.node_for
    monkeypatch.setattr(soak, "node_for", lambda driver, _, users:
                        node_for(driver, False, users))
    failures = soak.soak(driver, operations=4000, seed=2, quarantine=True,
                         jobs=2, keep=tmp_path)
    assert failures != []
    for number, text, _ in failures:
        assert number > 0
        assert "(seed 2, episode %d, user soak" % number in text
        assert list(tmp_path.glob("%s-on-2-%d/home/*" % (driver, number)))


class ByItsLog(Excuses, Checks, Recalls):
    """An account of which there is a log alone."""

    def __init__(self, *lines, driver="mdbox", user="one@example.com"):
        text = "".join(line % user + "\n" for line in lines)
        super().__init__(types.SimpleNamespace(
            driver=driver, log=lambda since: text, settle_log=lambda: None),
                         True)
        self.user = "one@example.com"
        self.seed = self.episodes = self.episode_log = self.log_start = 0
        self.rebuilt_now = self.was_rebuilt = False
        self.plan = Plan(1, 1, driver, True)
        self.recalled = set()
        self.verdicts = collections.Counter()


TOKEN, MESSAGE_ID = "1.1.0@soak.example.com-1-0-a", "<1.1.0@soak.example.com>"
REBUILT = "doveadm(%s)<1><x>: Warning: mdbox /m/storage: rebuilding indexes"
BREAKS = "imap(%s)<1><x>: Error: Mailbox Gone: mdbox: Storage keeps breaking"
LOST = "doveadm(%%s)<1><x>: Error: mdbox map /m corrupted: Unexpectedly " \
    "lost .RECALLED/%s/abc uid=1 map_uid=2"
EXPUNGED = "doveadm(%%s)<1><x>: Info: expunge: box=INBOX, msgid=%s, subject=%s"


def test_what_is_lost_by_a_rebuild():
    """A rebuilt mdbox excuses the loss of what no recall has expunged, and of
    what is in the quarantine if the log names that."""
    lost = Finding("", "lost", tokens=[TOKEN])

    def excuse(*lines, expunged=False, kept=0, **options):
        account = ByItsLog(*lines, **options)
        account.was_there = {TOKEN}
        account.recall_ids[MESSAGE_ID].add("a" * 32)
        if expunged:
            account.expunged.add(TOKEN)
        account.put_in[TOKEN] = kept
        return account.abandons(lost)

    assert excuse() is None
    assert excuse(REBUILT) == "lost by a rebuild"
    assert excuse(REBUILT, driver="sdbox") is None
    assert excuse(REBUILT, user="two@example.com") is None
    assert excuse(REBUILT, expunged=True) is None
    assert excuse(REBUILT, expunged=True, kept=1) == "lost by a rebuild"
    assert excuse(REBUILT, LOST % ("b" * 32), expunged=True) is None
    assert excuse(REBUILT, LOST % ("a" * 32), expunged=True) == \
        "lost by a rebuild"


def test_errors_that_are_dovecots():
    """An mdbox says so itself, of that user."""
    error = "Deleting mailbox X failed: Mailbox Gone: mdbox: Storage keeps " \
        "breaking"
    finding = Finding("", "restore", error=error)
    assert ByItsLog(BREAKS).abandons(finding) == "broken mdbox"
    for account in ByItsLog(REBUILT), ByItsLog(BREAKS, driver="sdbox"), \
            ByItsLog(BREAKS, user="two@example.com"):
        assert account.abandons(finding) is None
    assert ByItsLog(BREAKS).abandons(
        Finding("", "restore", error="Out of order")) is None


def test_twice_and_read():
    """In an mdbox that was rebuilt."""
    def excused(*lines, copies=2):
        row = {"status": "read", "copies": str(copies)}
        return ByItsLog(*lines).doubled_by_rebuild(
            "read", [TOKEN], Answer(row), collections.Counter({TOKEN: 2}))

    assert excused(REBUILT)
    assert not excused()
    assert not excused(REBUILT, copies=3)


def test_fewer_than_recorded():
    """A rebuilt mdbox may have lost what is in the quarantine."""
    error = "Mailbox .RECALLED/%s/b has 0 of the 1 copies that were " \
        "recorded, and stays: doveadm force-resync may find more" % ("a" * 32)
    assert ByItsLog(REBUILT).has_fewer(error)
    assert not ByItsLog(REBUILT).has_fewer("Out of order")
    assert not ByItsLog(REBUILT, driver="sdbox").has_fewer(error)
    assert not ByItsLog(BREAKS).has_fewer(error)


def test_fetches_that_fail():
    """In an sdbox's mailbox that is rebuilt, or deleted and created."""
    failed = "doveadm(%%s)<1><x>: Error: fetch(text) failed for box=%s uid=5: " \
        "Mailbox %s: UID=5: dbox: Unexpectedly lost uid"
    rebuilt = "doveadm(%s)<1><x>: Warning: sdbox /s/mailboxes/INBOX/" \
        "dbox-Mails: Rebuilding index"
    inbox = failed % ("INBOX", "INBOX")
    assert ByItsLog(failed % ("Gone", "Gone"), driver="sdbox").fetch_failed(0)
    assert ByItsLog(rebuilt, inbox, driver="sdbox").fetch_failed(0)
    assert not ByItsLog(inbox, driver="sdbox").fetch_failed(0)
    assert not ByItsLog(rebuilt, failed % ("Beta", "Beta"),
                        driver="sdbox").fetch_failed(0)


RESET = "imap(%s)<1><x>: Error: Mailbox Gone: /s/mailboxes/Gone/dbox-Mails/" \
    "dovecot.index reset, view is now inconsistent"


def test_taken_out_of_what_was_reset():
    """An sdbox that is reset takes its files up again without flags, from where
    clients take them on."""
    rebuilt = "doveadm(%s)<1><x>: Warning: sdbox /s/mailboxes/Gone/" \
        "dbox-Mails: Rebuilding index"
    taken = "imap(%%s)<1><x>: Info: copy from Gone: box=INBOX, msgid=%s, " \
        "subject=%s"
    found = Found("INBOX", TOKEN, [], 0, 1)

    def excused(*lines, doomed=True, driver="sdbox"):
        account = ByItsLog(*lines, driver=driver)
        account.doomed = {TOKEN} if doomed else set()
        account.taken_out = set()
        account.renamed = False
        return account.back_without_flags(found)

    lines = [RESET, rebuilt, taken % (MESSAGE_ID, TOKEN)]
    assert excused(*lines)
    assert not excused(*lines, doomed=False)
    assert not excused(*lines, driver="maildir")
    for number in range(len(lines)):
        assert not excused(*lines[:number], *lines[number + 1:])
    assert not excused(*lines[:2], taken % (MESSAGE_ID, TOKEN + "a"))


def test_taken_up_in_what_was_renamed():
    """A file that was left in an sdbox as it was renamed is in the way of a
    copy, which has the mailbox rebuilt, as force-resync does."""
    rebuilt = "imap(%s)<1><x>: Warning: sdbox /s/mailboxes/Beta/" \
        "dbox-Mails: Rebuilding index"
    found = Found("Gamma", TOKEN, [], 0, 7)

    def excused(*lines, uid=7, renamed=True):
        account = ByItsLog(*lines, driver="sdbox")
        account.doomed, account.taken_out = set(), {place("Beta", uid)}
        account.renamed = renamed
        return account.back_without_flags(found)

    assert excused(rebuilt)
    assert not excused()
    assert not excused(rebuilt, uid=8)
    assert not excused(rebuilt, renamed=False)
    assert not excused(rebuilt.replace("Beta", "INBOX"))


def test_sizes_of_others():
    """In what clients have copied out of a mailbox that was reset."""
    broken = "imap(%s)<1><x>: Error: Mailbox INBOX: Deleting corrupted cache " \
        "record uid=1: UID 1: Broken virtual size in mailbox INBOX: read(u.1)"
    assert ByItsLog(RESET, broken, driver="sdbox").has_size_of_another()
    assert not ByItsLog(RESET, driver="sdbox").has_size_of_another()
    assert not ByItsLog(broken, driver="sdbox").has_size_of_another()


def test_kept_by_what_was_killed():
    """What it wrote before says so, of a client's move from there."""
    account = ByItsLog(driver="maildir")
    move = Operation("move", [TOKEN], 1, 2, "Work", place("Gamma", 7))
    for mailbox, token, taken in (("Beta", TOKEN, True),
                                  ("INBOX", TOKEN, False),
                                  ("Beta", TOKEN + "a", False)):
        account.killed_log = "doveadm(one@example.com): Info: copy from %s: " \
            "box=.RECALLED/1/2, msgid=%s, subject=%s\n" % (
                mailbox, MESSAGE_ID, token)
        assert account.kept_by_killed(move) == taken


def test_another_message():
    """There is no excuse for one that was not recalled."""
    account = ByItsLog(REBUILT, BREAKS, EXPUNGED % (MESSAGE_ID, TOKEN))
    account.check_expunged({MESSAGE_ID})
    assert account.expunged == {TOKEN}
    with pytest.raises(Finding, match="expunged another") as finding:
        account.check_expunged({"<2@example.com>"})
    assert account.abandons(finding.value) is None


def test_panics_that_are_dovecots():
    """Below its own sync, or in a process that has nothing of ours."""
    def found(panic, *functions, service="doveadm"):
        lines = ["%s(a)<7><x>: Panic: %s" % (service, panic),
                 "%s(a)<7><x>: Error: Raw backtrace: %s" % (
                     service, " -> ".join("#1 %s[0x1]" % name
                                          for name in functions)),
                 "master: service(%s): child 7 killed with signal 6" % service]
        node = types.SimpleNamespace(panics=lambda since: list(lines))
        assert crashes(node) in ([], lines)
        return crashes(node)

    deadlock = "fcntl(write-lock, /m/mailboxes.lock, F_SETLKW) locking " \
        "failed: Resource deadlock avoided"
    assert not found(deadlock, "i_panic", "mailbox_create")
    assert not found(deadlock, "i_panic", "mailbox_create", "mdbox_sync_begin",
                     "mailbox_sync", "recall_execute")
    assert found(deadlock, "i_panic", "mailbox_create", "recall_execute")
    assert found(deadlock, "i_panic", "recall_list", "mdbox_sync_begin",
                 "mailbox_sync", "recall_execute")
    leaked = "Leaked view for index /m/dbox-Mails/dovecot.index: Opened in " \
        "mail-index-sync.c:443"
    assert not found(leaked, "i_panic", service="imap")
    assert found(leaked, "i_panic", "mailbox_sync", "recall_execute")
    seek = "file dbox-file.c: line 393 (dbox_file_seek): assertion failed: " \
        "(file->input != NULL)"
    assert not found(seek, "i_panic", "notify_contexts_mail_copy",
                     service="imap")
    assert found(seek, "i_panic", "recall_copy", service="imap")
    assert found(seek, "i_panic", "notify_contexts_mail_copy")
    cache = "fcntl(/s/mailboxes/Gone/dbox-Mails/dovecot.index.cache, " \
        "write-lock, F_SETLKW) locking failed: Resource deadlock avoided"
    commit = ["mail_index_transaction_commit", "index_transaction_commit",
              "recall_transaction_commit", "cmd_close"]
    assert not found(cache, "i_panic", *commit, service="imap")
    assert found(cache, "i_panic", "recall_index", *commit, service="imap")
    assert found(cache.replace("Gone", "INBOX"), "i_panic", *commit,
                 service="imap")
    assert found("file x.c: line 1", "i_panic")


def test_plans():
    """An episode is the same each time, whatever was before it; what is left
    out is not in it, and the rest as it was."""
    names = set()
    for number in range(1, 200):
        plan, again = (Plan(7, number, "sdbox", True) for _ in range(2))
        assert str(plan) == str(again) and plan.bursts == again.bursts
        names.update(str(plan).split())
        less = Plan(7, number, "sdbox", True, Limits(
            frozenset(["move", "resync"]), clients=2, burst=3))
        assert not less.has("move", "resync")
        assert set(less.parts()) == set(plan.parts()) - {"move", "resync"}
        if less.names:
            assert less.bursts == [(seed, min(count, 3), delay) for
                                   seed, count, delay in plan.bursts[:2]]
    assert names == set(OPERATIONS) | set(KINDS) | set(BEFORE) | \
        set(BESIDE) - {"purge"}


def test_shrinking():
    """What is needed for a failure is left, and nothing else."""
    def parts_of(case):
        return Plan(case.seed, case.last, "mdbox", True, case.limits).parts()

    def fails(case):
        plan = Plan(case.seed, case.last, "mdbox", True, case.limits)
        return case.first <= 9 and plan.has(needed) and \
            len(plan.bursts) >= 2 and case.limits.burst >= 3

    case = Case(7, 1, 20, Limits())
    for needed in [name for name in parts_of(case) if name in OPERATIONS]:
        least = shrink(case, parts_of, fails, say=str)
        assert fails(least) and parts_of(least) == [needed]
        assert (least.limits.clients, least.limits.burst,
                least.limits.messages, least.limits.rests) == (2, 3, 1, 0)
        assert "--clients 2 --burst 3" in arguments(least)
