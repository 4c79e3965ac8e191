"""A recall, restore or purge that is killed loses nothing, and is finished by
doing it again. Needs a build with failpoints: see tests/support/failpoints.py.
"""

import collections
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import DRIVERS, EX_TEMPFAIL, parse_tab
from failpoints import (IMPORT, killed, killed_later, stopped,
                        with_failpoints)
from faults import wait_for
from faulty import KILLED, Shim
from mailnode import build_message, imap_quote
from quarantine import (DATE, PREFIX, age, append, command, fetch, make_node,
                        quarantined, recall)

# Mailbox -> messages with the Message-ID: flags and body.
COPIES = {
    "INBOX": [(["\\Flagged"], "one"), (["\\Draft", "kw1"], "two")],
    "Work": [([], "three")],
    "Work/Old": [(["\\Seen", "kw1", "kw2"], "four")],
}
COUNT = sum(map(len, COPIES.values()))

RECALL_POINTS = ["quarantine-begin", "quarantine-recorded"] + \
    ["%s:%d" % point for point in itertools.product(
        ("quarantine-box", "quarantine-copied", "expunged"), (1, 2, 3))]
RESTORE_POINTS = ["restore-%s:%d" % point for point in itertools.product(
    ("copied", "noted", "deleted"), (1, 2, 3))] + ["restore-finished"]
PURGE_POINTS = ["purge-deleted:%d" % n for n in (1, 2, 3)]


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    users = ["u%03d@example.com" % i for i in range(120)]
    with with_failpoints(), make_node(request.param, users, fsync=True,
                                      extra=IMPORT) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node, message_id):
    user = next(node.free_users)
    for mailbox, mails in COPIES.items():
        append(node, user, mailbox, build_message("<other@example.com>"))
        for flags, body in mails:
            append(node, user, mailbox,
                   build_message(message_id, body=body + "\n"), flags, DATE)
    return user


def bodies(messages):
    return collections.Counter(
        text.split(b"\r\n\r\n", 1)[1].strip().decode()
        for flags, date, text in messages)


def in_mailboxes(node, user):
    """Bodies of the copies that the user has."""
    return sum((bodies(fetch(node, user, mailbox)) for mailbox in COPIES),
               collections.Counter())


def in_quarantine(node, user):
    return sum((bodies(fetch(node, user, name))
                for name in quarantined(node, user)), collections.Counter())


EVERYTHING = collections.Counter(
    body for mails in COPIES.values() for flags, body in mails)
OTHERS = collections.Counter({"Text.": len(COPIES)})


def state(node, user):
    return {mailbox: sorted(fetch(node, user, mailbox))
            for mailbox in COPIES}


def check_nothing_lost(node, user):
    there, kept = in_mailboxes(node, user), in_quarantine(node, user)
    assert (there | kept) - OTHERS == EVERYTHING
    assert there["Text."] == len(COPIES)


def check_recalled(node, user):
    assert in_mailboxes(node, user) == OTHERS
    assert in_quarantine(node, user) == EVERYTHING


@pytest.mark.parametrize("point", RECALL_POINTS)
def test_recall(node, user, message_id, recall_id, point):
    before = state(node, user)
    killed(node, point, "expunge", "-u", user, "--force", "--no-notify",
           "--recall-id", recall_id, message_id)
    check_nothing_lost(node, user)
    row = recall(node, user, message_id, recall_id, "--force",
                 "--no-notify").row()
    assert row["status"] == ("already_recalled" if point == "expunged:3"
                             else "expunged")
    check_recalled(node, user)
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", str(COUNT))
    assert state(node, user) == before
    assert quarantined(node, user) == {}


def test_deleted_while_looking(node, user, message_id, recall_id):
    """What the first try has left goes between the next one's look and what it
    does about it: it was recalled, as what is kept shows."""
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, "expunged:1", *args)
    with stopped(node, "copies-look:%d" % len(COPIES), *args) as rows:
        for mailbox in COPIES:
            node.doveadm("expunge", "-u", user, "mailbox", mailbox,
                         "HEADER", "Message-ID", message_id)
    assert [row["status"] for row in rows] == ["already_recalled"]
    check_recalled(node, user)


@pytest.mark.parametrize("mailbox", ["INBOX", "Work"])
def test_read_while_looking(node, message_id, recall_id, mailbox):
    """In the mailbox that was looked at already, or in the other one."""
    user = next(node.free_users)
    for name in "INBOX", "Work":
        append(node, user, name, build_message(message_id))
    with stopped(node, "copies-look:2", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        node.set_flags(user, mailbox, ["\\Seen"])
    row, = rows
    assert (row["status"], row["copies"], row["error"]) == ("read", "2", "")
    assert [node.count(user, name) for name in ("INBOX", "Work")] == [1, 1]


def leave_locks(node, user, recall_id, lock):
    """What a process that was killed with such a lock leaves: the files, which
    name no process."""
    home = pathlib.Path(node.home(user))
    if lock == "index":
        # it was about to write the first log
        logs = [path for path in home.rglob("dovecot.index.log")
                if re.search(recall_id + "[./][0-9a-f]{32}/", str(path))]
        for path in logs:
            for index in path.parent.glob("dovecot.index*"):
                index.unlink()
        paths = [path.parent / "dovecot.index.log.newlock" for path in logs]
    elif lock == "list":
        paths = [path.parent / (path.name + ".newlock") for path in
                 home.rglob("*.log") if re.search(
                     r"recalled(/dovecot\.list)?\.index\.log$", str(path))]
    else:
        paths = [path.parent / "dovecot-uidlist.lock" for path in
                 home.rglob("dovecot-uidlist") if recall_id in str(path)]
    for path in paths:
        path.touch()
        shutil.chown(path, home.owner(), home.group())
    return paths


@pytest.mark.parametrize("lock", ["index", "list", "uidlist"])
def test_locks_left_behind(node, user, message_id, recall_id, lock):
    """Nobody waits until Dovecot finds out, with the quarantine locked."""
    if lock == "uidlist" and node.driver != "maildir":
        pytest.skip("Maildir only")
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, "quarantine-box", *args)
    paths = leave_locks(node, user, recall_id, lock)
    assert paths != []
    # another recall of the user's is the next to lock the quarantine
    done = node.doveadm("recall", "expunge", "-u", user, "--no-notify",
                        "--recall-id", recall_id[::-1], "<other@example.com>")
    for path in paths:
        assert "Deleted %s, whose owner is gone" % path in done.stderr
        assert not path.exists()
    assert "Deleted" not in node.doveadm("recall", *args).stderr
    assert in_quarantine(node, user) == EVERYTHING + OTHERS


def test_file_left_behind(node, user, message_id, recall_id):
    """sdbox: killed when a file had its name, but no record in the index."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, "quarantine-box", *args)
    box, = quarantined(node, user)
    guid = box.split("/")[-1]
    mailbox, = [mailbox for mailbox in COPIES if guid in node.doveadm(
        "mailbox", "status", "-u", user, "guid", mailbox).stdout]
    paths = [pathlib.Path(node.doveadm(
        "mailbox", "path", "-u", user, name).stdout.strip())
        for name in (mailbox, box)]
    # the first one is the other message
    os.link(paths[0] / "u.2", paths[1] / "u.1")
    done = command(node, *args)
    assert done.row()["status"] == "expunged"
    assert "0 messages instead of" in done.stderr
    check_recalled(node, user)
    assert command(node, "list", "-u", user).row()["copies"] == str(COUNT)


def test_brought_back_and_begun_anew(node, user, message_id, recall_id):
    """What was expunged comes back, as a client may bring it, just when the
    quarantine has to be read anew: it's expunged again, and counted once."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    with stopped(node, "expunged:3", "expunge", "-u", user, "--force",
                 "--no-notify", "--recall-id", recall_id, message_id) as rows:
        box, = [name for name in quarantined(node, user)
                if "three" in bodies(fetch(node, user, name))]
        node.doveadm("copy", "-u", user, "Work", "mailbox", box, "ALL")
        append(node, user, "Work", build_message(message_id, body="new"))
        paths = [pathlib.Path(node.doveadm(
            "mailbox", "path", "-u", user, name).stdout.strip())
            for name in ("Work", box)]
        newest = max(paths[0].glob("u.*"), key=lambda path: int(
            path.name[2:]))
        # as if a process was killed that has copied it
        os.link(newest, paths[1] / "u.2")
    row, = rows
    assert (row["status"], row["copies"]) == ("expunged", str(COUNT + 1))
    assert in_mailboxes(node, user) == OTHERS
    assert in_quarantine(node, user) == \
        EVERYTHING + collections.Counter({"new": 1})
    assert command(node, "list", "-u", user).row()["copies"] == str(COUNT + 1)


@pytest.mark.parametrize("uid", [1, 2])
def test_record_left_behind(node, user, message_id, recall_id, uid):
    """The same with the file of a record, of which another one is known or
    none. What it counts is that of the try that was killed."""
    if node.driver != "sdbox":
        pytest.skip("sdbox only")
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, "quarantine-recorded", *args)
    move(node, user, "Work", None)
    path = pathlib.Path(node.doveadm("mailbox", "path", "-u", user,
                                     PREFIX + recall_id).stdout.strip())
    if uid == 1:
        for index in path.glob("dovecot.index*"):
            index.unlink()
        said = "0 messages instead of 1: Rebuilding the index"
    else:
        os.link(path / "u.1", path / "u.2")
        said = "u.2 already exists"
    done = command(node, *args)
    assert done.row()["status"] == "expunged"
    assert said in done.stderr
    assert command(node, "list", "-u", user).row()["copies"] == str(COUNT - 1)


BEFORE_ALL_IS_COPIED = ["quarantine-recorded"] + \
    ["quarantine-box:%d" % n for n in (1, 2, 3)] + \
    ["quarantine-copied:%d" % n for n in (1, 2, 3)]


def move_all(node, user, message_id, target="Moved"):
    node.doveadm("mailbox", "create", "-u", user, target)
    for mailbox in COPIES:
        move_found(node, user, mailbox, target, "HEADER", "Message-ID",
                   message_id)


@pytest.mark.parametrize("point", BEFORE_ALL_IS_COPIED)
def test_moved_before_all_is_copied(node, user, message_id, recall_id, point):
    """What the first try has recorded, and never copied, is elsewhere when the
    next one comes: it is not missed, and all counts agree."""
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, point, *args)
    move_all(node, user, message_id)
    assert command(node, *args).row()["copies"] == str(COUNT)
    check_recalled(node, user)
    assert command(node, "list", "-u", user).row()["copies"] == str(COUNT)
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"], row["error"]) == \
        ("restored", str(COUNT), "")
    assert in_mailboxes(node, user) + bodies(fetch(node, user, "Moved")) == \
        EVERYTHING + OTHERS
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("point", BEFORE_ALL_IS_COPIED)
def test_restored_before_all_is_copied(node, user, message_id, recall_id,
                                       point):
    """Nothing was taken: a restore without another try gives what there is, and
    misses nothing."""
    killed(node, point, "expunge", "-u", user, "--force", "--no-notify",
           "--recall-id", recall_id, message_id)
    kept = in_quarantine(node, user)
    move_all(node, user, message_id)
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["error"]) == ("restored", "")
    assert bodies(fetch(node, user, "Moved")) == EVERYTHING
    assert in_mailboxes(node, user) == OTHERS + kept
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("target", ["Work/Old", None])
def test_killed_as_a_copy_is_taken_out(node, user, message_id, recall_id,
                                       target):
    """As its message was moved, or deleted: it is not missed."""
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed_later(node, "quarantine-copied:3",
                 lambda: move(node, user, "Work", target),
                 "quarantine-dropped", *args)
    assert recall(node, user, message_id, recall_id, "--force",
                  "--no-notify").status() in ("expunged", "already_recalled")
    count = COUNT - (target is None)
    assert sum(in_quarantine(node, user).values()) == count
    assert command(node, "list", "-u", user).row()["copies"] == str(count)
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"], row["error"]) == \
        ("restored", str(count), "")
    assert quarantined(node, user) == {}


def test_deleted_once_recorded(node, user, message_id, recall_id):
    """Nothing was taken, and there is nothing left to take: so it is listed,
    too."""
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, "quarantine-recorded", *args)
    node.doveadm("expunge", "-u", user, "mailbox", "*", "header", "message-id",
                 message_id)
    for _ in range(2):
        assert command(node, *args).status() == "not_found"
        assert command(node, "list", "-u", user).row()["copies"] == "0"


@pytest.mark.parametrize("point", ["quarantine-copied:2", "expunged:2"])
def test_restore_of_half_a_recall(node, user, message_id, recall_id, point):
    """What is in both places comes back once."""
    before = state(node, user)
    killed(node, point, "expunge", "-u", user, "--force", "--no-notify",
           "--recall-id", recall_id, message_id)
    kept = sum(quarantined(node, user).values())
    gone = sum(in_mailboxes(node, user).values()) - len(COPIES) - COUNT
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"], row["present"]) == \
        ("restored", str(-gone), str(kept + gone))
    assert state(node, user) == before
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("target", ["Moved", None])
def test_taken_while_restored(node, user, message_id, recall_id, number,
                              target):
    """What a client moves or deletes between its restore and the look whether
    it can be opened does not come back once more."""
    if target is not None:
        node.doveadm("mailbox", "create", "-u", user, target)
    assert recall(node, user, message_id, recall_id, "--force",
                  "--no-notify").status() == "expunged"
    with stopped(node, "copies-synced:%d" % number, "restore", "-u", user,
                 recall_id) as rows:
        back = in_mailboxes(node, user) - OTHERS
        for mailbox in COPIES:
            move_found(node, user, mailbox, target, "HEADER", "Message-ID",
                       message_id)
        assert back
    row, = rows
    assert (row["status"], row["copies"]) == ("restored", str(COUNT))
    there = in_mailboxes(node, user)
    if target is not None:
        assert bodies(fetch(node, user, target)) == back
    assert there + back == EVERYTHING + OTHERS
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("point", RESTORE_POINTS)
def test_restore(node, user, message_id, recall_id, point):
    before = state(node, user)
    assert recall(node, user, message_id, recall_id, "--force",
                  "--no-notify").status() == "expunged"
    killed(node, point, "restore", "-u", user, recall_id)
    check_nothing_lost(node, user)
    assert command(node, "restore", "-u", user,
                   recall_id).status() == "restored"
    assert state(node, user) == before
    assert quarantined(node, user) == {}


@pytest.mark.parametrize("point", PURGE_POINTS)
def test_purge(node, user, message_id, recall_id, point):
    recall(node, user, message_id, recall_id, "--force", "--no-notify")
    age(node, user, recall_id, 31)
    killed(node, point, "purge", "-u", user)
    assert command(node, "list", "-u", user).row()["recall-id"] == recall_id
    assert command(node, "purge", "-u", user).status() == "purged"
    assert quarantined(node, user) == {}
    assert command(node, "list", "-u", user).rows == []
    assert in_mailboxes(node, user) == OTHERS


def test_purged_while_its_record_is_read(node, user, message_id, recall_id):
    """By the next try, which has nothing to do."""
    recall(node, user, message_id, recall_id, "--force", "--no-notify")
    age(node, user, recall_id, 31)
    with stopped(node, "record-read", "expunge", "-u", user, "--force",
                 "--no-notify", "--recall-id", recall_id,
                 message_id) as rows:
        assert command(node, "purge", "-u", user).row()["status"] == "purged"
    row, = rows
    assert (row["status"], row["copies"]) == ("not_found", "0")


def test_recall_while_space_is_given_back(node, user, message_id, recall_id):
    """What has been purged is gone. That Dovecot works on the storage, for
    minutes if that is large, holds up no recall."""
    recall(node, user, message_id, recall_id, "--force", "--no-notify")
    age(node, user, recall_id, 31)
    with stopped(node, "purge-unlocked", "purge", "-u", user) as purged:
        assert command(node, "list", "-u", user).rows == []
        append(node, user, "INBOX", build_message(message_id))
        row = recall(node, user, message_id, recall_id[::-1],
                     "--no-notify").row()
        assert (row["status"], row["error"]) == ("expunged", "")
    assert [row["status"] for row in purged] == ["purged"]
    assert in_mailboxes(node, user) == OTHERS
    row = command(node, "restore", "-u", user, recall_id[::-1]).row()
    assert (row["status"], row["copies"]) == ("restored", "1")


def move_found(node, user, source, target, *query):
    """Moves messages, or deletes them without a target. Returns how many."""
    connection = node.imap(user)
    connection.select(imap_quote(source))
    found = connection.uid("SEARCH", *query)[1][0].decode().split()
    uids = ",".join(found)
    if found and target is not None:
        connection.uid("MOVE", uids, imap_quote(target))
    elif found:
        connection.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)")
        connection.uid("EXPUNGE", uids)
    connection.logout()
    return len(found)


def move(node, user, source, target):
    """Moves the message with the id, or deletes it without a target."""
    assert move_found(node, user, source, target, "BODY", "three") == 1


@pytest.mark.parametrize("point", ["quarantine-begin:2", "expunged:4"])
def test_all_is_done_once(node, user, message_id, recall_id, point):
    """Where nobody is in the way nothing is begun anew."""
    done = subprocess.run(
        node.doveadm_command("-f", "tab", "recall", "expunge", "-u", user,
                             "--force", "--no-notify", "--recall-id",
                             recall_id, message_id), capture_output=True,
        env={**os.environ, "RECALL_FAILPOINT": point})
    assert done.returncode == 0, done
    check_recalled(node, user)


@pytest.mark.parametrize("point", ["expunged:1", "expunged:3", "emptied:1",
                                   "emptied:3"])
def test_arrives_once_more(node, user, message_id, recall_id, point):
    """A copy that comes when others of its mailbox are gone goes, too: before it
    is noted that the mailbox has none, and after that."""
    with stopped(node, point, "expunge", "-u", user, "--force",
                 "--no-notify", "--recall-id", recall_id, message_id) as rows:
        for mailbox in COPIES:
            append(node, user, mailbox, build_message(message_id, body="new"))
    row, = rows
    assert (row["status"], row["copies"], row["error"]) == \
        ("expunged", str(COUNT + len(COPIES)), "")
    assert sorted(row["mailboxes"].split(",")) == sorted(COPIES)
    assert in_mailboxes(node, user) == OTHERS
    assert in_quarantine(node, user) == \
        EVERYTHING + collections.Counter({"new": len(COPIES)})


def test_deleted_once_others_went(node, user, message_id, recall_id):
    """A mailbox whose copies its user deletes by then is none that it was
    recalled from."""
    with stopped(node, "expunged:1", "expunge", "-u", user, "--force",
                 "--no-notify", "--recall-id", recall_id, message_id) as rows:
        deleted = next(mailbox for mailbox in COPIES
                       if len(fetch(node, user, mailbox)) > 1)
        node.doveadm("expunge", "-u", user, "mailbox", deleted,
                     "HEADER", "Message-ID", message_id)
    row, = rows
    assert (row["status"], row["error"]) == ("expunged", "")
    assert sorted(row["mailboxes"].split(",")) == sorted({*COPIES} - {deleted})
    assert in_mailboxes(node, user) == OTHERS
    assert in_quarantine(node, user) == EVERYTHING - collections.Counter(
        body for _, body in COPIES[deleted])


@pytest.mark.log_errors("2 messages match, but only 1 did")
def test_one_more_than_was_counted(node, message_id, recall_id):
    """What arrives while the others are taken stays: nobody has counted it."""
    user = next(node.free_users)
    counted, later = [build_message(message_id.replace("<", "<%s." % name),
                                    subject="Counted " + name)
                      for name in ("first", "later")]
    append(node, user, "INBOX", counted)
    with stopped(node, "expunged", "expunge", "-u", user, "--expected=1",
                 "--no-notify", "--recall-id", recall_id, "query", "SUBJECT",
                 "Counted", code=EX_TEMPFAIL) as rows:
        append(node, user, "INBOX", later)
    row, = rows
    assert (row["status"], row["copies"]) == ("error", "1")
    assert row["error"].startswith("2 messages match, but only 1 did")
    left, = node.messages(user)
    assert b"Counted later" in left
    assert command(node, "list", "-u", user).row()["copies"] == "1"


@pytest.mark.parametrize("point", ["quarantine-recorded", "quarantine-copied:1",
                                   "quarantine-copied:2"])
@pytest.mark.parametrize("mailbox", ["INBOX", "Work"])
@pytest.mark.parametrize("force", [False, True])
def test_read_meanwhile(node, message_id, recall_id, point, mailbox, force):
    """What a user reads while it is copied to the quarantine stays, with the
    other copies."""
    user = next(node.free_users)
    for name in ("INBOX", "Work"):
        append(node, user, name, build_message(message_id))
    with stopped(node, point, "expunge", "-u", user, "--no-notify",
                 *["--force"] * force, "--recall-id", recall_id,
                 message_id) as rows:
        node.set_flags(user, mailbox, ["\\Seen"])
    row, = rows
    kept = sum(quarantined(node, user).values())
    assert (row["status"], row["copies"], kept) == \
        (("expunged", "2", 2) if force else ("read", "2", 0))
    assert [node.count(user, name) for name in ("INBOX", "Work")] == \
        [int(not force)] * 2


@pytest.mark.parametrize("point", ["quarantine-begin", "quarantine-recorded",
                                   "quarantine-copied:3"])
@pytest.mark.parametrize("target", ["Work/Old", "New", None])
def test_moved_meanwhile(node, user, message_id, recall_id, point, target):
    """What a client moves or deletes between quarantining and expunging is in
    the quarantine once, or not at all: all counts agree, and a restore gives
    what there was."""
    if target == "New":
        node.doveadm("mailbox", "create", "-u", user, "New")
    count = COUNT - (target is None)
    wanted = EVERYTHING - collections.Counter(
        {"three": 1} if target is None else {})
    with stopped(node, point, "expunge", "-u", user, "--force", "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        move(node, user, "Work", target)
    row, = rows
    assert (row["status"], row["copies"]) == ("expunged", str(count))
    assert in_quarantine(node, user) == wanted
    assert in_mailboxes(node, user) == OTHERS
    row = command(node, "list", "-u", user).row()
    assert row["copies"] == str(count)
    assert set(row["mailboxes"].split(",")) == \
        {"INBOX", target or "Work/Old", "Work/Old"}
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "already_recalled"
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"], row["present"]) == \
        ("restored", str(count), "0")
    there = in_mailboxes(node, user)
    if target == "New":
        there += bodies(fetch(node, user, "New"))
    assert there == wanted + OTHERS


def waits_for_lock(pid):
    """Whether the process has stopped, or waits for a lock of a file."""
    stat = pathlib.Path("/proc/%d/stat" % pid).read_text()
    return stat.rpartition(")")[2].split()[0] == "T" or any(
        "->" in line and " %d " % pid in line
        for line in pathlib.Path("/proc/locks").read_text().splitlines())


@contextlib.contextmanager
def looking(node, user, recall_id, message_id, number):
    """A recall that stops at that one of its looks at a mailbox."""
    with subprocess.Popen(
            node.doveadm_command("-f", "tab", "recall", "expunge", "-u", user,
                                 "--no-notify", "--recall-id", recall_id,
                                 message_id),
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "RECALL_FAILPOINT_STOP": "1",
                 "RECALL_FAILPOINT": "copies-look:%d" % number}) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [3, 4, 5, 6])
@pytest.mark.parametrize("places", [("INBOX", "Work/Old"),
                                    ("Work/Old", "INBOX")], ids=str)
def test_moved_while_looking(node, user, message_id, recall_id, number,
                             places):
    """Of two copies one is deleted while the recall waits for the quarantine,
    so it looks again; the other is moved then, from where it has not looked
    yet to where it has."""
    other_id = message_id.replace("<", "<moved.")
    query = ("HEADER", "Message-ID", other_id)
    for mailbox in places:
        append(node, user, mailbox, build_message(other_id, body="moved\n"))
    with contextlib.ExitStack() as stack:
        with stopped(node, "quarantine-begin", "expunge", "-u", user,
                     "--force", "--no-notify", message_id):
            process = stack.enter_context(
                looking(node, user, recall_id, other_id, number))
            wait_for(lambda: waits_for_lock(process.pid),
                     "it does not wait for the quarantine")
            assert move_found(node, user, places[0], None, *query) == 1
            # it may be the first look still
            process.send_signal(signal.SIGCONT)
        if os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]):
            assert move_found(node, user, places[1], places[0], *query) == 1
            process.send_signal(signal.SIGCONT)
        row, = parse_tab(process.communicate()[0])
    assert (row["status"], row["copies"]) == ("expunged", "1")
    assert in_mailboxes(node, user)["moved"] == 0
    assert in_quarantine(node, user)["moved"] == 1


@contextlib.contextmanager
def file_away(node, user):
    """Dovecot has rebuilt an mdbox without the file of its messages, which is
    there again afterwards, when it does so once more. They have the UIDs that
    they had."""
    file, = (node.home(user) / "mdbox/storage").glob("m.*")
    away = node.home(user) / file.name
    file.rename(away)
    node.doveadm("force-resync", "-u", user, "*", check=False)
    yield
    away.rename(file)
    node.doveadm("force-resync", "-u", user, "*", check=False)


@pytest.mark.parametrize("number", range(1, 7))
def test_rebuilt_while_looking(node, message_id, recall_id, number):
    """A message is in no mailbox from before the first look until after it was
    looked for in its mailbox."""
    if node.driver != "mdbox":
        pytest.skip("has no map that is rebuilt")
    user = next(node.free_users)
    append(node, user, "Work", build_message("<other@example.com>"))
    append(node, user, "INBOX", build_message(message_id))
    with contextlib.ExitStack() as stack:
        with file_away(node, user):
            assert command(node, "search", "-u", user, message_id).rows == []
            process = stack.enter_context(
                looking(node, user, recall_id, message_id, number))
            stopped_there = os.WIFSTOPPED(
                os.waitpid(process.pid, os.WUNTRACED)[1])
        if stopped_there:
            process.send_signal(signal.SIGCONT)
            row, = parse_tab(process.communicate()[0])
            assert (row["status"], row["copies"]) == ("expunged", "1")


def test_lost_in_a_rebuild(node, message_id, recall_id):
    """A message is in no mailbox once the recall has found it."""
    if node.driver != "mdbox":
        pytest.skip("has no map that is rebuilt")
    user = next(node.free_users)
    append(node, user, "INBOX", build_message(message_id))
    with contextlib.ExitStack() as stack:
        with stopped(node, "quarantine-begin", "expunge", "-u", user,
                     "--no-notify", "--recall-id", recall_id, message_id,
                     code=EX_TEMPFAIL) as rows:
            stack.enter_context(file_away(node, user))
        row, = rows
        assert (row["status"], row["copies"]) == ("error", "0")
        assert "rebuilt" in row["error"]
    row = recall(node, user, message_id, recall_id, "--no-notify").row()
    assert (row["status"], row["copies"]) == ("expunged", "1")


@pytest.mark.parametrize("point", ["quarantine-copied:%d" % n
                                   for n in (1, 2, 3)])
def test_killed_and_moved(node, user, message_id, recall_id, point):
    """The next try knows by the GUID what the first one has copied."""
    killed(node, point, "expunge", "-u", user, "--force", "--no-notify",
           "--recall-id", recall_id, message_id)
    move(node, user, "Work", "Work/Old")
    row = recall(node, user, message_id, recall_id, "--force",
                 "--no-notify").row()
    assert row["status"] == "expunged"
    check_recalled(node, user)
    assert command(node, "list", "-u", user).row()["copies"] == str(COUNT)
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", str(COUNT))
    assert in_mailboxes(node, user) == EVERYTHING + OTHERS


@pytest.mark.parametrize("what", ["expunge", "restore"])
def test_killed_before_the_guid_was_written(node, message_id, recall_id, what):
    """Maildir: of a message and a copy of it one file can have the name that is
    their GUID. That of the other one is written down a moment later."""
    if node.driver != "maildir":
        pytest.skip("Maildir only")
    user = next(node.free_users)
    append(node, user, "INBOX", build_message(message_id))
    node.doveadm("copy", "-u", user, "INBOX", "mailbox", "INBOX", "HEADER",
                 "Message-ID", message_id)
    row, = parse_tab(node.doveadm("-f", "tab", "mailbox", "status", "-u", user,
                                  "guid", "INBOX").stdout)
    commands = {"expunge": ["expunge", "-u", user, "--no-notify", "--recall-id",
                            recall_id, message_id],
                "restore": ["restore", "-u", user, recall_id]}
    if what == "expunge":
        uidlist = node.home(user) / "recalled" / \
            (".%s.%s" % (recall_id, row["guid"])) / "dovecot-uidlist"
    else:
        command(node, *commands["expunge"])
        uidlist = node.home(user) / "Maildir" / "dovecot-uidlist"
    shim = Shim(node.dir, "doveadm", [uidlist])
    shim.arm("write", 1, KILLED)
    done = subprocess.run(
        node.doveadm_command("recall", *commands[what]), capture_output=True,
        env={**os.environ, **shim.environment()})
    assert done.returncode == -9 and shim.failed_path() == str(uidlist), done
    # Dovecot would wait for it
    uidlist.with_suffix(".lock").unlink(missing_ok=True)
    if what == "expunge":
        assert command(node, *commands[what]).row()["status"] == "expunged"
        assert sum(quarantined(node, user).values()) == 2
    row = command(node, *commands["restore"]).row()
    assert (row["status"], int(row["copies"]) + int(row["present"])) == \
        ("restored", 2)
    assert len(fetch(node, user)) == 2
    assert quarantined(node, user) == {}


def test_deleted_and_killed(node, user, message_id, recall_id):
    """The next try, which finds nothing, corrects what is recorded."""
    args = ["expunge", "-u", user, "--force", "--no-notify", "--recall-id",
            recall_id, message_id]
    killed(node, "quarantine-recorded", *args)
    node.doveadm("expunge", "-u", user, "mailbox", "Work", "HEADER",
                 "Message-ID", message_id)
    killed(node, "expunged:2", *args)
    assert command(node, "expunge", "-u", user, "--no-notify", "--recall-id",
                   recall_id, message_id).status() == "already_recalled"
    assert command(node, "list", "-u", user).row()["copies"] == str(COUNT - 1)


def test_moved_when_the_record_is_lost(node, user, message_id, recall_id):
    """A retry does not know of what there is in the quarantine, and takes out
    only what it has put there."""
    assert recall(node, user, message_id, recall_id, "--force",
                  "--no-notify").status() == "expunged"
    node.doveadm("expunge", "-u", user, "mailbox", PREFIX + recall_id, "all")
    append(node, user, "Work", build_message(message_id, body="three more\n"))
    node.doveadm("mailbox", "create", "-u", user, "Moved")
    with stopped(node, "quarantine-copied", "expunge", "-u", user, "--force",
                 "--no-notify", "--recall-id", recall_id, message_id,
                 code=None):
        node.doveadm("move", "-u", user, "Moved", "mailbox", "Work", "HEADER",
                     "Message-ID", message_id)
    kept = in_quarantine(node, user)
    assert kept - collections.Counter(["three more"]) == EVERYTHING


@pytest.mark.parametrize("again", [True, False])
def test_moved_while_it_is_killed(node, message_id, recall_id, again):
    """A client has copied the message, and expunges it when the recall has put
    both into the quarantine. If that is killed before it takes one out again,
    nobody can tell who has expunged which: rather two than none."""
    user = next(node.free_users)
    append(node, user, "INBOX", build_message(message_id, body="moved\n"))
    args = ["expunge", "-u", user, "--no-notify", "--recall-id", recall_id,
            message_id]
    client = node.imap(user)
    client.select("INBOX")
    client.create("Moved")
    client.uid("COPY", "1:*", "Moved")

    def expunge():
        client.uid("STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()
        client.logout()

    if again:
        # one or the other, as it has it from a list of mailboxes
        killed_later(node, "quarantine-copied:2", expunge, "expunged", *args)
        assert recall(node, user, message_id, recall_id,
                      "--no-notify").status() == "already_recalled"
    else:
        with stopped(node, "quarantine-copied:2", *args) as rows:
            expunge()
        assert [row["copies"] for row in rows] == ["1"]
    assert not fetch(node, user, "INBOX") and not fetch(node, user, "Moved")
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored",
                                              "2" if again else "1")


def test_two_at_a_time(node, user, message_id, recall_id):
    """The same recall from two processes, then two restores."""
    before = state(node, user)
    for args in (["expunge", "-u", user, "--force", "--no-notify",
                  "--recall-id", recall_id, message_id],
                 ["restore", "-u", user, recall_id]):
        processes = [subprocess.Popen(
            node.doveadm_command("-f", "tab", "recall", *args),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        for process in processes:
            out, err = process.communicate()
            assert process.returncode == 0, (out, err)
        if args[0] == "expunge":
            check_recalled(node, user)
    assert state(node, user) == before


def test_quarantine_not_writable(node, user, message_id, recall_id):
    """Then nothing is deleted."""
    before = state(node, user)
    box = PREFIX + recall_id
    node.doveadm("mailbox", "create", "-u", user, box)
    path = node.doveadm("mailbox", "path", "-u", user, box).stdout.strip()
    subprocess.run(["rm", "-rf", path], check=True)
    pathlib.Path(path).write_text("in the way")
    row = recall(node, user, message_id, recall_id, "--force").row()
    assert row["status"] == "error" and row["error"] != ""
    assert row["notice"] == "none"
    assert state(node, user) == before
