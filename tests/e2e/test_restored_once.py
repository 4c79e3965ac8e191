"""A restore that is killed, or fails, when its copies are in their mailbox gives
none of them twice, whatever clients have done with them until it is repeated,
and loses none. Needs a build with failpoints: see tests/support/failpoints.py.
"""

import collections
import errno
import os
import shutil
import signal
import subprocess

import pytest

from conftest import DRIVERS, EX_TEMPFAIL, parse_tab
from failpoints import IMPORT, killed, stopped, with_failpoints
from faulty import STOPPED, Shim
from mailnode import build_message, imap_quote
from quarantine import (PREFIX, append, command, fetch, make_node, quarantined,
                        recall)

BODIES = ["one", "two", "three", "four"]
MAILBOXES = ["INBOX", "Work", "Office", "Archive"]
# when the copies are committed, and before they leave the quarantine
POINTS = ["copies-committed", "restore-copied", "restore-noted"]


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    users = ["u%03d@example.com" % i for i in range(80)]
    with with_failpoints(), make_node(request.param, users,
                                      extra=IMPORT) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node, message_id, recall_id):
    """The messages were in Work, and are in the quarantine."""
    user = next(node.free_users)
    node.doveadm("mailbox", "create", "-u", user, "Archive")
    for body in BODIES:
        append(node, user, "Work", build_message(message_id, body=body + "\n"))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == str(len(BODIES))
    return user


def client(node, user, mailbox, *commands):
    """Runs commands of a message with a body: MOVE to a mailbox, or DELETE."""
    connection = node.imap(user)
    connection.select(imap_quote(mailbox))
    for body, target in commands:
        uid, = connection.uid("SEARCH", "BODY", body)[1][0].decode().split()
        if target is not None:
            connection.uid("MOVE", uid, imap_quote(target))
        else:
            connection.uid("STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
            connection.uid("EXPUNGE", uid)
    connection.logout()


def use(node, user, mailbox="Work"):
    """As clients do: "one" stays, and "four" comes back."""
    client(node, user, mailbox, ("two", "Archive"), ("three", None),
           ("four", "Archive"))
    client(node, user, "Archive", ("four", mailbox))


def rename(node, user):
    node.doveadm("mailbox", "rename", "-u", user, "Work", "Office")


def bodies(node, user, mailbox):
    return [text.split(b"\r\n\r\n", 1)[1].strip().decode()
            for flags, date, text in fetch(node, user, mailbox) or []]


def there(node, user):
    return collections.Counter(sum((bodies(node, user, mailbox)
                                    for mailbox in MAILBOXES), []))


def restore(node, user, recall_id):
    """(copies, present)"""
    row = command(node, "restore", "-u", user, recall_id).row()
    assert row["status"] == "restored", row
    return int(row["copies"]), int(row["present"])


def once(*some):
    return collections.Counter(some)


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_killed(node, user, recall_id, point, renamed):
    killed(node, point, "restore", "-u", user, recall_id)
    assert there(node, user) == once(*BODIES)
    if renamed:
        rename(node, user)
    use(node, user, "Office" if renamed else "Work")
    assert restore(node, user, recall_id) == (0, len(BODIES))
    assert there(node, user) == once("one", "two", "four")
    assert quarantined(node, user) == {}


def test_killed_before(node, user, recall_id):
    """They are not there yet."""
    killed(node, "copies-commit", "restore", "-u", user, recall_id)
    assert there(node, user) == once()
    assert restore(node, user, recall_id) == (len(BODIES), 0)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("used", [False, True])
def test_renamed_meanwhile(node, user, recall_id, used):
    """What it has committed it finds under the other name."""
    with stopped(node, "copies-committed", "restore", "-u", user,
                 recall_id) as rows:
        rename(node, user)
        if used:
            use(node, user, "Office")
    row, = rows
    assert (row["status"], row["copies"], row["present"]) == \
        ("restored", str(len(BODIES)), "0")
    assert there(node, user) == \
        (once("one", "two", "four") if used else once(*BODIES))
    assert quarantined(node, user) == {}


def test_away_meanwhile(node, user, recall_id):
    """It is found under neither name, as may be when it is being renamed: what
    has been committed is not given to the INBOX, too."""
    work = node.home(user) / {"maildir": "Maildir/.Work"}.get(
        node.driver, node.driver + "/mailboxes/Work")
    away = node.home(user) / "away"
    with stopped(node, "copies-committed", "restore", "-u", user, recall_id,
                 code=EX_TEMPFAIL) as rows:
        work.rename(away)
    row, = rows
    assert (row["status"], row["copies"]) == ("error", str(len(BODIES)))
    away.rename(work)
    assert restore(node, user, recall_id) == (0, len(BODIES))
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_recalled_again(node, user, message_id, recall_id, point, used):
    """What that restore has given is taken by a retry of the recall: it is to
    be given again."""
    killed(node, point, "restore", "-u", user, recall_id)
    expected = set(BODIES)
    if used:
        use(node, user)
        expected.discard("three")
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    assert there(node, user) == once()
    restore(node, user, recall_id)
    # what the user has deleted comes back rather than that one is lost
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def test_recalled_by_another(node, user, message_id, recall_id):
    """That one has it then."""
    other = recall_id[::-1]
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    assert recall(node, user, message_id, other, "--no-notify").row()[
        "copies"] == str(len(BODIES))
    assert restore(node, user, recall_id) == (0, len(BODIES))
    assert there(node, user) == once()
    assert restore(node, user, other) == (len(BODIES), 0)
    assert there(node, user) == once(*BODIES)


def test_lost(node, user, recall_id):
    """Nobody has deleted it: it is given again."""
    if node.driver == "mdbox":
        pytest.skip("has it in a file with what the quarantine has")
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    root = node.home(user)
    root /= "Maildir/.Work" if node.driver == "maildir" else \
        "sdbox/mailboxes/Work"
    for path in root.rglob("*"):
        if path.is_file() and b"\ntwo" in path.read_bytes() and \
           not path.name.startswith("dovecot"):
            path.unlink()
    node.doveadm("force-resync", "-u", user, "Work")
    assert there(node, user) == once("one", "three", "four")
    assert restore(node, user, recall_id) == (1, len(BODIES) - 1)
    assert there(node, user) == once(*BODIES)


@pytest.mark.parametrize("used", [False, True])
def test_inbox_stood_in(node, user, recall_id, used):
    """There was no such mailbox then, and there is one now."""
    node.doveadm("mailbox", "delete", "-u", user, "Work")
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    assert collections.Counter(bodies(node, user, "INBOX")) == once(*BODIES)
    node.doveadm("mailbox", "create", "-u", user, "Work")
    if used:
        use(node, user, "INBOX")
    assert restore(node, user, recall_id) == (0, len(BODIES))
    assert there(node, user) == \
        (once("one", "two", "four") if used else once(*BODIES))
    assert quarantined(node, user) == {}


def take_away(node, user, mailbox, body):
    node.doveadm("expunge", "-u", user, "mailbox", mailbox, "BODY", body)


def test_one_alone(node, message_id, recall_id):
    """The first one that its mailbox has."""
    user = next(node.free_users)
    append(node, user, "Work", build_message(message_id, body="one\n"))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == "1"
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    assert there(node, user) == once("one")
    take_away(node, user, "Work", "one")
    assert restore(node, user, recall_id) == (0, 1)
    assert there(node, user) == once()
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("ranges, number, again", [(16, 15, 0), (17, 0, 1)])
def test_ranges(node, message_id, recall_id, ranges, number, again):
    """Which of the quarantine's messages are given is written down in a few
    ranges. Of more of them nothing is known: rather twice than never."""
    user = next(node.free_users)
    node.add_user(user, recall_hold="yes")
    for i in range(ranges):
        for body in "stays", "goes":
            append(node, user, "Work", build_message(
                message_id, body="%s %d.\n" % (body, i)))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == str(2 * ranges)
    assert restore(node, user, recall_id) == (2 * ranges, 0)
    all_of_them = there(node, user)
    take_away(node, user, "Work", "goes")
    # every second one is copied
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    assert there(node, user) == all_of_them
    take_away(node, user, "Work", "goes %d." % number)
    assert restore(node, user, recall_id) == (again, 2 * ranges - again)
    assert len(there(node, user)) == 2 * ranges - 1 + again


@pytest.mark.parametrize("point, which, again", [
    ("copies-committed", "mailbox", 1), ("copies-committed", "quarantine", 1),
    ("restore-noted", "mailbox", 0), ("restore-noted", "quarantine", 1),
    ("restore-noted", "records", 1)])
def test_another_uidvalidity(node, user, recall_id, point, which, again):
    """UIDs mean something else then: rather twice than never. What is noted in
    the quarantine does not depend on those of the mailbox."""
    killed(node, point, "restore", "-u", user, recall_id)
    take_away(node, user, "Work", "three")
    box, = quarantined(node, user)
    node.doveadm("mailbox", "update", "-u", user, "--uid-validity", "12345",
                 {"mailbox": "Work", "quarantine": box,
                  "records": PREFIX + recall_id}[which])
    assert restore(node, user, recall_id) == (again, len(BODIES) - again)
    assert there(node, user) == \
        (once(*BODIES) if again else once("one", "two", "four"))
    assert quarantined(node, user) == {}


def delete_mailbox(node, user):
    """With all that is known of what it got; clients have taken that away."""
    use(node, user)
    client(node, user, "Work", ("one", "Archive"), ("four", "Archive"))
    node.doveadm("mailbox", "delete", "-u", user, "Work")


@pytest.mark.parametrize("created", [False, True])
@pytest.mark.parametrize("empty", [False, True])
def test_mailbox_deleted(node, user, recall_id, created, empty):
    """What the restore has noted before it deletes the copies, or has had them
    expunged, does not depend on the mailbox that they were given to."""
    killed(node, "restore-noted", "restore", "-u", user, recall_id)
    box, = quarantined(node, user)
    if empty:
        node.doveadm("expunge", "-u", user, "mailbox", box, "all")
    delete_mailbox(node, user)
    if created:
        node.doveadm("mailbox", "create", "-u", user, "Work")
    assert restore(node, user, recall_id) == \
        (0, 0 if empty else len(BODIES))
    assert there(node, user) == once("one", "two", "four")
    assert quarantined(node, user) == {}


def test_killed_twice(node, message_id, recall_id):
    """Each time at another mailbox: what was noted of one changes nothing of
    what is known of the other."""
    user = next(node.free_users)
    for mailbox, body in zip(["Work", "Work", "Office", "Office"], BODIES):
        append(node, user, mailbox, build_message(message_id,
                                                  body=body + "\n"))
    node.doveadm("mailbox", "create", "-u", user, "Archive")
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == str(len(BODIES))
    killed(node, "copies-committed:2", "restore", "-u", user, recall_id)
    assert there(node, user) == once(*BODIES)
    for mailbox, body in ("Work", "two"), ("Office", "four"):
        client(node, user, mailbox, (body, None))
    killed(node, "restore-noted", "restore", "-u", user, recall_id)
    assert restore(node, user, recall_id)[0] == 0
    assert there(node, user) == once("one", "three")
    assert quarantined(node, user) == {}


def test_inbox_stood_in_for_two(node, message_id, recall_id):
    """What it has of one mailbox is not what it is to have of the other one,
    even of the same UIDs."""
    user = next(node.free_users)
    for mailbox, body in zip(["Work", "Work", "Office", "Office"], BODIES):
        append(node, user, mailbox, build_message(message_id,
                                                  body=body + "\n"))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == str(len(BODIES))
    for mailbox in "Work", "Office":
        node.doveadm("mailbox", "delete", "-u", user, mailbox)
    for mailbox in quarantined(node, user):
        node.doveadm("mailbox", "update", "-u", user, "--uid-validity",
                     "12345", mailbox)
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    assert len(there(node, user)) == 2
    assert restore(node, user, recall_id) == (2, 2)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def test_held(node, user, recall_id):
    """It stays in the quarantine: a restore that is asked for again when one
    has ended gives what the user has deleted since, one that goes on with
    what was killed does not."""
    node.add_user(user, recall_hold="yes")
    for _ in range(2):
        killed(node, "restore-copied", "restore", "-u", user, recall_id)
        assert there(node, user) == once(*BODIES)
        client(node, user, "Work", ("three", None))
        assert restore(node, user, recall_id) == (0, len(BODIES))
        assert there(node, user) == once("one", "two", "four")
    assert restore(node, user, recall_id) == (1, len(BODIES) - 1)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) != {}


@pytest.mark.parametrize("number", [1, 2])
def test_renamed_while_it_is_committed(node, user, recall_id, number):
    """An sdbox of 2.3 that can't commit a sync leaves a view of its index open,
    over which Dovecot panics when the next mailbox is opened."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    work = node.home(user) / "sdbox/mailboxes/Work"
    shim = Shim(node.dir, "doveadm", [work / "dbox-Mails/dovecot.index.cache"])
    shim.arm("stat", number, STOPPED)
    process = subprocess.Popen(
        node.doveadm_command("recall", "restore", "-u", user, recall_id),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **shim.environment()})
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        work.rename(work.with_name("Office"))
        process.send_signal(signal.SIGCONT)
    errors = process.communicate()[1]
    assert process.returncode in (0, EX_TEMPFAIL) and "Panic" not in errors, \
        errors
    restore(node, user, recall_id)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def restore_beside_a_rename(node, user, recall_id, call, number):
    """The row, and what it has written to stderr, of a restore to an sdbox that
    is renamed before that call in its directory; None if there is no such
    call."""
    work = node.home(user) / "sdbox/mailboxes/Work"
    shim = Shim(node.dir, "doveadm", [work / "dbox-Mails"])
    shim.arm(call, number, STOPPED)
    process = subprocess.Popen(
        node.doveadm_command("-f", "tab", "recall", "restore", "-u", user,
                             recall_id),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **shim.environment()})
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        process.communicate()
        return None
    work.rename(work.with_name("Office"))
    process.send_signal(signal.SIGCONT)
    out, errors = process.communicate()
    assert process.returncode in (0, EX_TEMPFAIL) and "Panic" not in errors, \
        errors
    row, = parse_tab(out)
    return row, errors


def flags(node, user, mailbox):
    return {text.split(b"\r\n\r\n", 1)[1].strip().decode(): found
            for found, date, text in fetch(node, user, mailbox)}


@pytest.fixture
def flagged(node, message_id, recall_id):
    """As user, with flags."""
    user = next(node.free_users)
    for body in BODIES:
        append(node, user, "Work", build_message(message_id, body=body + "\n"),
               ["\\Flagged", body])
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == str(len(BODIES))
    return user


FLAGS = {body: sorted(["\\Flagged", body]) for body in BODIES}


@pytest.mark.parametrize("number", range(1, len(BODIES) + 1))
def test_renamed_while_files_get_their_names(node, flagged, recall_id, number):
    """Dovecot deletes these files by the path that the mailbox had, so they
    stay, and no index knows of them."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    row, errors = restore_beside_a_rename(node, flagged, recall_id, "rename",
                                          number)
    assert (row["status"], row["copies"]) == \
        ("restored", str(len(BODIES))), (row, errors)
    assert "rebuilding" not in errors
    assert flags(node, flagged, "Office") == FLAGS
    assert there(node, flagged) == once(*BODIES)
    assert quarantined(node, flagged) == {}
    node.doveadm("force-resync", "-u", flagged, "Office")
    assert there(node, flagged) == once(*BODIES)


def left_behind(node, user, recall_id, count):
    """Files that a killed restore has left in an sdbox. Returns the next
    UID's."""
    mails = node.home(user) / "sdbox/mailboxes/Work/dbox-Mails"
    kept, = (node.home(user) / "sdbox/recalled" / recall_id).glob("*/dbox-Mails")
    uid = int(node.doveadm("-f", "flow", "mailbox", "status", "-u", user,
                           "uidnext", "Work").stdout.rpartition("=")[2])
    for number, path in enumerate(sorted(kept.glob("u.*"))[:count]):
        os.link(path, mails / ("u.%d" % (uid + number)))
    return mails / ("u.%d" % (uid + count))


@pytest.mark.parametrize("count", [1, len(BODIES)])
def test_files_left_behind(node, flagged, recall_id, count):
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    left_behind(node, flagged, recall_id, count)
    assert restore(node, flagged, recall_id) == (len(BODIES), 0)
    assert flags(node, flagged, "Work") == FLAGS
    assert there(node, flagged) == once(*BODIES)
    assert quarantined(node, flagged) == {}


def test_many_files_left_behind(node, message_id, recall_id):
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    user = next(node.free_users)
    bodies = ["number %d" % i for i in range(50)]
    for body in bodies:
        append(node, user, "Work", build_message(message_id, body=body + "\n"))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == "50"
    left_behind(node, user, recall_id, 50)
    assert restore(node, user, recall_id) == (50, 0)
    assert there(node, user) == once(*bodies)


@pytest.mark.parametrize("what", ["other", "again"])
def test_files_that_may_be_messages(node, flagged, recall_id, what):
    """Where there is one that is no copy of what is restored, or one more copy,
    the index may have been lost: nothing is deleted."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    path = left_behind(node, flagged, recall_id, 2)
    first = path.with_name("u.%d" % (int(path.name[2:]) - 1))
    if what == "again":
        os.link(first, path)
    else:
        data = first.read_bytes()
        path.write_bytes(data.replace(b"\ntwo", b"\nTWO"))
        shutil.chown(path, node.mail_user, node.mail_group)
    command(node, "restore", "-u", flagged, recall_id)
    restore(node, flagged, recall_id)
    assert there(node, flagged) == \
        once(*BODIES, "TWO" if what == "other" else "two")
    assert quarantined(node, flagged) == {}


@pytest.mark.parametrize("point, left", [("copies-committed", "1"),
                                         ("restore-noted", "1"),
                                         ("restore-noted", "1:2")])
def test_record_lost(node, user, message_id, recall_id, point, left):
    """What a recall has taken once more, after a restore that was killed, is
    given, though the record of it is lost."""
    killed(node, point, "restore", "-u", user, recall_id)
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    node.doveadm("expunge", "-u", user, "mailbox", PREFIX + recall_id, "NOT",
                 left)
    assert restore(node, user, recall_id) == (len(BODIES), 0)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def test_recalled_when_it_is_empty(node, user, message_id, recall_id):
    """What a restore was about to delete, when it was killed, is not missed by
    a retry of the recall."""
    killed(node, "restore-noted", "restore", "-u", user, recall_id)
    box, = quarantined(node, user)
    node.doveadm("expunge", "-u", user, "mailbox", box, "all")
    client(node, user, "Work", ("two", "Archive"), ("three", "Archive"))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    assert command(node, "list", "-u", user).row()["copies"] == \
        str(len(BODIES))
    assert restore(node, user, recall_id) == (len(BODIES), 0)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def lose_index(node, user, recall_id):
    """That of the only mailbox of copies."""
    path, = node.home(user).glob("recalled/.%s.*" % recall_id) \
        if node.driver == "maildir" else \
        node.home(user).glob("*/recalled/%s/*/dbox-Mails" % recall_id)
    for each in path.rglob("dovecot.index*"):
        each.unlink()


def test_index_of_the_quarantine_lost(node, user, recall_id):
    """An mdbox has the messages in its storage still."""
    box, = quarantined(node, user)
    lose_index(node, user, recall_id)
    row = command(node, "restore", "-u", user, recall_id).row()
    if node.driver == "mdbox":
        assert row["status"] == "error" and "stays" in row["error"], row
        assert there(node, user) == once()
        assert box in node.doveadm("mailbox", "list", "-u", user,
                                   PREFIX + "*").stdout
        node.doveadm("force-resync", "-u", user, "*")
        restore(node, user, recall_id)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("used", [False, True])
def test_expunged_and_not_deleted(node, user, recall_id, used):
    """A mailbox's messages are expunged before it is deleted, and the process
    is killed in between, or can't delete it."""
    killed(node, "restore-copied", "restore", "-u", user, recall_id)
    box, = quarantined(node, user)
    node.doveadm("expunge", "-u", user, "mailbox", box, "all")
    if used:
        use(node, user)
        client(node, user, "Work", ("one", "Archive"), ("four", "Archive"))
    assert restore(node, user, recall_id) == (0, 0)
    assert there(node, user) == \
        (once("one", "two", "four") if used else once(*BODIES))
    assert quarantined(node, user) == {}


def test_killed_and_index_of_the_quarantine_lost(node, message_id, recall_id):
    """What a recall that was killed had taken is missed."""
    user = next(node.free_users)
    for body in BODIES:
        append(node, user, "Work", build_message(message_id, body=body + "\n"))
    killed(node, "expunged", "expunge", "-u", user, "--no-notify",
           "--recall-id", recall_id, message_id)
    lose_index(node, user, recall_id)
    recall(node, user, message_id, recall_id, "--no-notify")
    if node.driver == "mdbox":
        row = command(node, "restore", "-u", user, recall_id).row()
        assert row["status"] == "error" and "stays" in row["error"], row
        node.doveadm("force-resync", "-u", user, "*")
    restore(node, user, recall_id)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def work_directory(node, user):
    return node.home(user) / ("Maildir/.Work" if node.driver == "maildir" else
                              "%s/mailboxes/Work" % node.driver)


def test_other_messages_with_their_uids(node, user, message_id, recall_id):
    """The mailbox is put back as it was before, but for a log that the backup
    did not have, and has given the UIDs out once more."""
    work = work_directory(node, user)
    backup = work.with_name("backup")
    shutil.copytree(work, backup, symlinks=True)
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    log, = work.rglob("dovecot.index.log")
    data = log.read_bytes()
    shutil.rmtree(work)
    backup.rename(work)
    log.with_name("dovecot.index.log.2").write_bytes(data)
    for path in [work, *work.rglob("*")]:
        shutil.chown(path, node.mail_user, node.mail_group)
    for body in BODIES:
        append(node, user, "Work", build_message("<%s@example.com>" % body,
                                                 body="another\n"))
    for _ in range(2):
        row = command(node, "restore", "-u", user, recall_id).row()
        if row["status"] == "restored":
            break
    found = there(node, user)
    assert found - once(*["another"] * 4) == once(*BODIES)
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("late", [False, True])
def test_recalled_again_without_that_index(node, user, message_id, recall_id,
                                           late):
    """A retry does not take what it can't see for gone."""
    lose_index(node, user, recall_id)
    if late:
        append(node, user, "Archive", build_message(message_id, body="late\n"))
    recall(node, user, message_id, recall_id, "--no-notify")
    if node.driver == "mdbox":
        row = command(node, "restore", "-u", user, recall_id).row()
        assert row["status"] == "error" and "stays" in row["error"], row
        node.doveadm("force-resync", "-u", user, "*")
    restore(node, user, recall_id)
    assert there(node, user) == once(*BODIES, *["late"] * late)
    assert quarantined(node, user) == {}


@pytest.fixture(scope="module")
def logging_node():
    """What it logs of a message that is copied it reads in the copy."""
    users = ["u%03d@example.com" % i for i in range(40)]
    with make_node("sdbox", users,
                   mail_plugins=["notify", "mail_log"]) as node:
        node.free_users = iter(users)
        yield node


def test_renamed_while_it_is_logged(logging_node, message_id, recall_id):
    """Dovecot panics over a message that it copies when it looks at it and it
    is not there any more."""
    node = logging_node
    for number in range(1, 20):
        user = next(node.free_users)
        for body in BODIES:
            append(node, user, "Work",
                   build_message(message_id, body=body + "\n"))
        recall(node, user, message_id, recall_id, "--no-notify")
        if restore_beside_a_rename(node, user, recall_id, "open",
                                   number) is None:
            break
        restore(node, user, recall_id)
        assert there(node, user) == once(*BODIES)
    assert number > len(BODIES)
    assert node.panics() == []


@pytest.mark.parametrize("call", ["write", "rename"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_index_can_not_be_written(node, user, recall_id, call, number):
    """Once, at any moment."""
    root = node.home(user)
    root /= "Maildir/.Work" if node.driver == "maildir" else \
        "%s/mailboxes/Work" % node.driver
    shim = Shim(node.dir, "doveadm", [root])
    shim.arm(call, number, errno.EIO)
    done = subprocess.run(
        node.doveadm_command("recall", "restore", "-u", user, recall_id),
        capture_output=True, text=True,
        env={**os.environ, **shim.environment()})
    assert done.returncode in (0, EX_TEMPFAIL) and \
        "Panic" not in done.stderr, done
    if node.driver == "mdbox":
        # it rebuilds, and says so
        command(node, "restore", "-u", user, recall_id)
    restore(node, user, recall_id)
    assert there(node, user) == once(*BODIES)
    assert quarantined(node, user) == {}


def test_nothing_is_known_any_more(node, user, recall_id):
    """Rather twice than never."""
    killed(node, "copies-committed", "restore", "-u", user, recall_id)
    use(node, user)
    root = node.home(user)
    root /= {"maildir": "Maildir/.Work"}.get(
        node.driver, "%s/mailboxes/Work" % node.driver)
    for path in root.rglob("dovecot.index*"):
        path.unlink()
    node.doveadm("force-resync", "-u", user, "*")
    restore(node, user, recall_id)
    assert set(there(node, user)) >= {"one", "two", "four"}
    assert quarantined(node, user) == {}
