"""Recalled mail goes to the quarantine and comes back from there."""

import contextlib
import fcntl
import os
import pathlib
import quopri
import subprocess

import pytest

from conftest import DRIVERS, EX_TEMPFAIL, EX_USAGE, parse_tab, run_shell
from faults import wait_for
from mailnode import PATIENCE, build_message
from quarantine import (DATE, PREFIX, age, append, command, fetch, http,
                        make_node, quarantined, recall)


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    names = ["u%03d@example.com" % i for i in range(120)]
    users = {name: {"tenant_id": "t1"} for name in names}
    with make_node(request.param, users, acl=True) as node:
        node.free_users = iter(names)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free_users)


def test_copies_go_to_quarantine(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    node.append(user, "Work", build_message(message_id))
    node.append(user, "INBOX", build_message("<other@example.com>"))
    row = recall(node, user, message_id, recall_id, "--no-notify").row()
    assert (row["status"], row["copies"], row["error"]) == \
        ("expunged", "2", "")
    assert node.count(user) == 1 and node.count(user, "Work") == 0
    assert quarantined(node, user) == {
        "%s%s/%s" % (PREFIX, recall_id, guid): 1
        for guid in row["mailbox-guids"].split(",")}


def test_kept_recalls_are_not_looked_at(node, user):
    """A recall has nothing to do with those that the quarantine has already, of
    which Dovecot's mailbox list index has a note if it looks at them all."""
    if node.driver == "maildir":
        pytest.skip("its list index is the one of other mail")
    sizes = []
    for index in range(4):
        node.append(user, "INBOX", build_message("<kept%d@x>" % index))
        assert recall(node, user, "<kept%d@x>" % index, "%032x" % (index + 1),
                      "--no-notify").status() == "expunged"
        log, = node.home(user).rglob("recalled.index.log")
        sizes.append(log.stat().st_size)
    assert sizes[1:] == sizes[:1] * 3
    assert len(quarantined(node, user)) == 4


def test_round_trip(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message("<other@example.com>"))
    append(node, user, "INBOX", build_message(message_id),
           ["\\Flagged", "\\Seen", "Projekt"], DATE)
    append(node, user, "Wörk, etc", build_message(message_id, body="Two\n"),
           ["\\Answered", "$Forwarded", "x1", "x2"], DATE)
    before = fetch(node, user), fetch(node, user, "Wörk, etc")
    assert before[0][1][:2] == (["Projekt", "\\Flagged", "\\Seen"], DATE)
    row = recall(node, user, message_id, recall_id, "--force",
                 "--no-notify").row()
    assert row["status"] == "expunged"
    assert fetch(node, user) == before[0][:1]
    result = command(node, "restore", "-u", user, recall_id)
    row = result.row()
    assert result.code == 0
    assert (row["status"], row["copies"], row["error"]) == \
        ("restored", "2", "")
    assert row["mailboxes"] in ("INBOX,Wörk\\, etc", "Wörk\\, etc,INBOX")
    assert row["recall-id"] == recall_id
    assert (fetch(node, user), fetch(node, user, "Wörk, etc")) == before
    assert quarantined(node, user) == {}


def test_damaged_name_in_a_record(node, message_id, recall_id):
    """What is no UTF-8 is no name; the copies go back by the GUID, and others
    are not held up."""
    users = [next(node.free_users) for _ in range(2)]
    args = ["--users=" + user for user in users]
    node.lmtp_deliver(users, build_message(message_id))
    rows = command(node, "expunge", *args, "--no-notify", "--recall-id",
                   recall_id, message_id).rows
    assert [row["status"] for row in rows] == ["expunged"] * 2
    line = ("mailbox: %s 1 INB" % rows[0]["mailbox-guids"]).encode()
    changed = 0
    for path in node.home(users[0]).rglob("*"):
        octets = path.read_bytes() if path.is_file() else b""
        if line in octets:
            with open(path, "r+b") as stream:
                stream.write(octets.replace(line, line[:-1] + b"\xff"))
            changed += 1
    assert changed > 0
    for name in "list", "restore":
        found = command(node, name, *args, *[recall_id][:name == "restore"])
        assert found.code == 0
        assert [row["status"] for row in found.rows] == [
            "expunged" if name == "list" else "restored"] * 2
    assert [row["mailboxes"] for row in found.rows] == ["INBOX"] * 2
    assert [node.count(user) for user in users] == [1, 1]


def test_twice_restored_is_once_restored(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    assert command(node, "restore", "-u", user,
                   recall_id).row()["copies"] == "1"
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", "0")
    assert node.count(user) == 1


def test_retry_after_restore_deletes_nothing(node, user, message_id,
                                             recall_id):
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    command(node, "restore", "-u", user, recall_id)
    row = recall(node, user, message_id, recall_id).row()
    assert (row["status"], row["copies"], row["notice"]) == \
        ("already_recalled", "0", "none")
    assert node.count(user) == 1
    # another recall is another matter
    other = recall_id[::-1]
    assert recall(node, user, message_id, other).status() == "expunged"


def test_already_recalled(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    row = recall(node, user, message_id, recall_id).row()
    assert (row["status"], row["notice"]) == ("expunged", "sent")
    row = recall(node, user, message_id, recall_id).row()
    assert (row["status"], row["copies"], row["notice"]) == \
        ("already_recalled", "0", "already_sent")
    assert recall(node, user, message_id, recall_id[::-1]).status() == \
        "not_found"
    assert node.count(user) == 1


def test_recall_id_of_another_recall(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    node.append(user, "INBOX", build_message("<other@example.com>"))
    for other in ("<other@example.com>", "<unknown@example.com>"):
        result = recall(node, user, other, recall_id)
        assert (result.status(), result.code) == ("error", EX_TEMPFAIL)
    assert node.count(user) == 1


def test_recall_id_of_another_query(node, user, recall_id):
    """It would be put among the other one's copies."""
    for subject in ("one", "two", "one"):
        node.append(user, "INBOX", build_message(
            "<%s@example.com>" % subject, subject=subject))
    asked = ["-u", user, "--recall-id", recall_id, "--no-notify",
             "--yes-count"]
    row = run_shell(node, *asked, "2", "query", "SUBJECT", "one").row()
    assert (row["status"], row["copies"]) == ("expunged", "2")
    result = run_shell(node, *asked, "1", "query", "SUBJECT", "two")
    assert (result.status(), result.code) == ("error", EX_TEMPFAIL)
    result = recall(node, user, "<two@example.com>", recall_id)
    assert (result.status(), result.code) == ("error", EX_TEMPFAIL)
    assert node.count(user) == 1
    node.append(user, "INBOX", build_message("<one@example.com>",
                                             subject="one"))
    assert run_shell(node, *asked, "1", "query", "SUBJECT",
                     "one").status() == "expunged"
    assert list(quarantined(node, user).values()) == [3]


@pytest.mark.parametrize("octets", ["caf\xe9", "caf\xc3\xa9", "a" * 990])
def test_strange_message_ids(node, user, recall_id, octets):
    """A retry is recognized whatever the id looks like."""
    octets = "<%s@x.y>" % octets
    message = build_message("<@>").replace(b"<@>", octets.encode("latin-1"))
    node.append(user, "INBOX", message)
    octets = octets.encode("latin-1").decode(errors="surrogateescape")
    for status in ("expunged", "already_recalled"):
        row = recall(node, user, octets, recall_id, "--no-notify").row()
        assert (row["status"], row["error"]) == (status, "")


def test_query(node, user, recall_id):
    """What a query finds goes to the quarantine and back like the rest."""
    for number in range(3):
        node.append(user, "INBOX", build_message(
            "<q%d@example.com>" % number, subject="Weg %d" % number))
    node.append(user, "INBOX", build_message(None, subject="Weg ohne"))
    node.append(user, "INBOX", build_message("<o@example.com>"))
    before = fetch(node, user)
    row = run_shell(node, "-u", user, "--recall-id", recall_id, "--no-notify",
                    "--yes-count", "4", "query", "subject", "Weg").row()
    assert (row["status"], row["copies"], row["error"]) == \
        ("expunged", "4", "")
    assert node.count(user) == 1
    assert list(quarantined(node, user).values()) == [4]
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", "4")
    assert sorted(fetch(node, user)) == sorted(before)


def test_retry_tells_what_the_first_try_did_not(node, user, message_id,
                                                recall_id):
    """The first try ended before its notice."""
    node.append(user, "INBOX", build_message(message_id, subject="Zürich"))
    recall(node, user, message_id, recall_id, "--no-notify")
    row = recall(node, user, message_id, recall_id).row()
    assert (row["status"], row["notice"]) == ("already_recalled", "sent")
    text = node.messages(user)[0]
    assert "Zürich".encode() in quopri.decodestring(text)


def test_restore_to_renamed_mailbox(node, user, message_id, recall_id):
    node.append(user, "Work", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    node.doveadm("mailbox", "rename", "-u", user, "Work", "Job")
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["mailboxes"]) == ("restored", "Job")
    assert node.count(user, "Job") == 1


def test_restore_to_mailbox_with_the_name(node, user, message_id, recall_id):
    node.append(user, "Work", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    node.doveadm("mailbox", "delete", "-u", user, "Work")
    node.doveadm("mailbox", "create", "-u", user, "Work")
    assert command(node, "restore", "-u", user,
                   recall_id).row()["mailboxes"] == "Work"
    assert node.count(user, "Work") == 1


def test_restore_to_inbox_if_mailbox_is_gone(node, user, message_id,
                                             recall_id):
    node.append(user, "Work", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    node.doveadm("mailbox", "delete", "-u", user, "Work")
    assert command(node, "restore", "-u", user,
                   recall_id).row()["mailboxes"] == "INBOX"
    assert node.count(user) == 1


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
@pytest.mark.parametrize("name", ["Work", "Job"])
def test_mailbox_that_cannot_be_opened_now(node, user, message_id, recall_id,
                                           name):
    """It is not gone: the copy waits for it."""
    node.append(user, "Work", build_message(message_id))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    if name != "Work":
        node.doveadm("mailbox", "rename", "-u", user, "Work", name)
    path = node.home(user) / {"maildir": "Maildir/." + name}.get(
        node.driver, node.driver + "/mailboxes/" + name)
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        result = command(node, "restore", "-u", user, recall_id)
    finally:
        path.chmod(mode)
    assert (result.status(), result.code) == ("error", EX_TEMPFAIL)
    assert name in result.row()["error"]
    assert node.count(user) == 0
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"], row["mailboxes"]) == \
        ("restored", "1", name)


def test_copies_in_one_mailbox(node, user, message_id, recall_id):
    """One appended twice, and one copied: that has the same GUID."""
    node.append(user, "INBOX", build_message(message_id))
    node.append(user, "INBOX", build_message(message_id))
    connection = node.imap(user)
    connection.select("INBOX")
    connection.copy("1", "INBOX")
    connection.logout()
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").row()["copies"] == "3"
    assert sum(quarantined(node, user).values()) == 3
    assert command(node, "restore", "-u", user,
                   recall_id).row()["copies"] == "3"
    assert node.count(user) == 3


def test_survives_rebuilt_indexes(node, user, message_id, recall_id):
    append(node, user, "INBOX", build_message(message_id), ["kw"], DATE)
    before = fetch(node, user)
    recall(node, user, message_id, recall_id, "--no-notify")
    for name in list(quarantined(node, user)) + [PREFIX + recall_id]:
        node.doveadm("force-resync", "-u", user, name)
    assert command(node, "restore", "-u", user,
                   recall_id).status() == "restored"
    assert fetch(node, user) == before


def test_quarantine_is_not_searched(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    assert recall(node, user, message_id, recall_id[::-1],
                  "--dry-run").status() == "not_found"


def test_clients_do_not_see_it(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    connection = node.imap(user)
    assert b"RECALLED" not in b"".join(
        line or b"" for line in connection.list()[1])
    connection.logout()


def test_unknown_recall(node, user, recall_id):
    result = command(node, "restore", "-u", user, recall_id)
    assert (result.status(), result.code) == ("not_found", 0)


@pytest.mark.parametrize("name", ["restore", "list", "purge"])
@pytest.mark.parametrize("recall_id", ["", "x" * 32, "0" * 31, "A" * 32,
                                       "*" * 32, "../../" + "0" * 26])
def test_bad_recall_ids(node, user, name, recall_id):
    result = command(node, name, "-u", user, recall_id)
    assert (result.rows, result.code) == ([], EX_USAGE)


def test_restore_needs_id(node, user):
    assert command(node, "restore", "-u", user).code == EX_USAGE


def test_list(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    node.append(user, "Work", build_message(message_id))
    recall(node, user, message_id, recall_id, "--actor", "boss@example.com",
           "--reason", "Пардон, то есть: oops")
    rows = command(node, "list", "-u", user).rows
    assert len(rows) == 1
    row = rows[0]
    assert row.pop("date").startswith("20")
    mailboxes = row.pop("mailboxes").split(",")
    assert sorted(mailboxes) == ["INBOX", "Work"]
    assert row == {"recall-id": recall_id, "username": user,
                   "status": "expunged", "actor": "boss@example.com",
                   "reason": "Пардон, то есть: oops",
                   "message-id": message_id.strip("<>"), "copies": "2",
                   "error": ""}
    command(node, "restore", "-u", user, recall_id)
    assert command(node, "list", "-u", user, recall_id).status() == "restored"
    assert command(node, "list", "-u", user, recall_id[::-1]).rows == []


def test_list_is_for_each_user(node, message_id, recall_id):
    users = [next(node.free_users) for _ in range(3)]
    for user in users[:2]:
        node.append(user, "INBOX", build_message(message_id))
    args = ["--users=" + user for user in users + ["missing@example.com"]]
    run_shell(node, *args, "--recall-id", recall_id, "--", message_id)
    result = command(node, "list", *args)
    assert result.code == 0
    assert [(row["username"], row["status"]) for row in result.rows] == \
        [(users[0], "expunged"), (users[1], "expunged"),
         ("missing@example.com", "no_user")]
    result = command(node, "restore", *args, recall_id)
    assert result.statuses() == {
        users[0]: "restored", users[1]: "restored", users[2]: "not_found",
        "missing@example.com": "no_user"}


def test_tenants(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id)
    for name in ("restore", "list", "purge"):
        assert command(node, name, "-u", user, "--tenant", "t2",
                       recall_id).status() == "forbidden"
    assert command(node, "restore", "-u", user, "--tenant", "t1",
                   recall_id).status() == "restored"


@pytest.mark.log_errors("is not 32 lower case hexadecimal digits")
def test_over_http(node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    row = http(node, "recallExpunge", users=[user], messageId=message_id,
               recallId=recall_id, actor="a", noNotify=True).row()
    assert row["status"] == "expunged"
    row = http(node, "recallList", users=[user]).row()
    assert (row["recall-id"], row["actor"]) == (recall_id, "a")
    assert http(node, "recallPurge", users=[user]).rows == []
    row = http(node, "recallRestore", users=[user], recallId=recall_id).row()
    assert (row["status"], row["mailboxes"]) == ("restored", "INBOX")
    assert node.count(user) == 1
    assert http(node, "recallRestore", users=[user],
                recallId="x").code == EX_USAGE


@pytest.mark.parametrize("args", [[], ["--hits"], ["--jobs=2"],
                                  ["--jobs=2", "--hits"]], ids=" ".join)
def test_restore_of_what_nobody_has(node, message_id, recall_id, args):
    """An id that is wrong, and not only users who had nothing."""
    users = [next(node.free_users) for _ in range(3)]
    asked = ["--users=" + user for user in [*users, "nobody@example.com"]]
    unknown = "None of these users has anything of recall " + recall_id
    result = command(node, "restore", *args, *asked, recall_id)
    assert (result.code, unknown in result.stderr) == (0, True)
    node.append(users[1], "INBOX", build_message(message_id))
    recall(node, users[1], message_id, recall_id, "--no-notify")
    for _ in range(2):
        result = command(node, "restore", *args, *asked, recall_id)
        assert result.status(users[1]) == "restored"
        assert "None of" not in result.stderr
    result = command(node, "restore", *args, asked[0], recall_id)
    assert (result.code, "None of" in result.stderr) == (0, False)


def test_purge(node, message_id, recall_id):
    old, young = next(node.free_users), next(node.free_users)
    for user in (old, young):
        node.append(user, "INBOX", build_message(message_id))
        recall(node, user, message_id, recall_id, "--no-notify")
    age(node, old, recall_id, 31)
    age(node, young, recall_id, 29)
    args = ["--users=" + old, "--users=" + young]
    result = command(node, "purge", "--dry-run", *args)
    assert result.statuses() == {old: "would_purge"}
    # it asks for no actor and no reason, as the list does: not purged for that
    for other in ("--actor=nobody", "--reason=none"):
        assert command(node, "purge", other, *args).code == EX_USAGE
    assert len(quarantined(node, old)) == 1
    result = command(node, "purge", *args)
    assert (result.statuses(), result.code) == ({old: "purged"}, 0)
    assert result.row()["recall-id"] == recall_id
    assert quarantined(node, old) == {}
    assert command(node, "list", "-u", old).rows == []
    assert command(node, "restore", "-u", old,
                   recall_id).status() == "not_found"
    assert len(quarantined(node, young)) == 1
    assert command(node, "restore", "-u", young,
                   recall_id).status() == "restored"


def disk_usage(node, user):
    return int(subprocess.run(
        ["du", "-s", "-B1", node.home(user)], capture_output=True, check=True,
        text=True).stdout.split()[0])


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_purge_of_what_is_not_listed(node, user, message_id, recall_id):
    """Dovecot lists nothing below a directory that it may not read. It's not
    purged as long as it is there."""
    if node.driver == "maildir":
        pytest.skip("all are in one directory")
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    age(node, user, recall_id, 1000)
    path, = node.home(user).rglob("recalled/" + recall_id)
    mode = path.stat().st_mode
    path.chmod(0o311)
    try:
        status = command(node, "purge", "-u", user).status()
    finally:
        if path.exists():
            path.chmod(mode)
    left = quarantined(node, user)
    assert (status, left) in (("purged", {}), ("error", left))
    if status == "error":
        assert sum(left.values()) == 1
        assert command(node, "purge", "-u", user).status() == "purged"
        assert quarantined(node, user) == {}


def test_purge_gives_space_back(node, user, message_id, recall_id):
    body = ("x" * 72 + "\n") * 60000
    node.append(user, "INBOX", build_message(message_id, body=body))
    recall(node, user, message_id, recall_id, "--no-notify")
    full = disk_usage(node, user)
    assert full > len(body)
    age(node, user, recall_id, 40)
    assert command(node, "purge", "-u", user).status() == "purged"
    assert disk_usage(node, user) < full - len(body)


def test_copies_are_cheap(node, user, message_id, recall_id):
    """No second copy of the text on the disk."""
    body = ("y" * 72 + "\n") * 60000
    node.append(user, "INBOX", build_message(message_id, body=body))
    before = disk_usage(node, user)
    recall(node, user, message_id, recall_id, "--no-notify")
    assert sum(quarantined(node, user).values()) == 1
    assert disk_usage(node, user) - before < len(body) / 4


@pytest.mark.parametrize("args", [["--dry-run"], []], ids=["dry", "real"])
def test_missing_namespace(message_id, args):
    with make_node("sdbox", ["a@example.com"], namespace=False) as node:
        node.append("a@example.com", "INBOX", build_message(message_id))
        result = run_shell(node, "-u", "a@example.com", "--force", *args, "--",
                           message_id)
        assert (result.status(), result.code) == ("error", EX_TEMPFAIL)
        assert PREFIX in result.row()["error"]
        assert node.count("a@example.com") == 1
        for name in ("list", "purge"):
            result = command(node, name, "-u", "a@example.com")
            assert (result.status(), result.code) == ("error", EX_TEMPFAIL)


def test_another_tenant_s_quarantine_is_not_looked_at(message_id):
    """Nor what is wrong with it."""
    with make_node("sdbox", ["a@example.com"], namespace=False) as node:
        node.append("a@example.com", "INBOX", build_message(message_id))
        row = run_shell(node, "-u", "a@example.com", "--tenant=other", "--",
                        message_id).row()
        assert (row["status"], row["error"]) == ("forbidden", "")
        assert node.count("a@example.com") == 1


def test_quarantine_must_not_be_the_inbox(message_id):
    with make_node("sdbox", ["a@example.com"], namespace=False,
                   extra="namespace inbox {\n  prefix = MAIL/\n}\n",
                   plugin={"recall_quarantine": "MAIL/"}) as node:
        node.append("a@example.com", "INBOX", build_message(message_id))
        result = run_shell(node, "-u", "a@example.com", "--", message_id)
        assert result.status() == "error"
        assert node.count("a@example.com") == 1


@pytest.mark.parametrize("value", ["off", ""])
def test_off(message_id, value, recall_id):
    with make_node("sdbox", ["a@example.com"],
                   plugin={"recall_quarantine": value}) as node:
        node.append("a@example.com", "INBOX", build_message(message_id))
        for status in ("expunged", "not_found"):
            assert recall(node, "a@example.com", message_id, recall_id,
                          "--no-notify").status() == status
        assert quarantined(node, "a@example.com") == {}
        assert command(node, "list", "-u", "a@example.com").rows == []
        assert command(node, "restore", "-u", "a@example.com",
                       recall_id).status() == "not_found"


class HeldLock:
    """The lock of a user's quarantine, held by somebody else."""

    def __init__(self, node, user):
        root = "recalled" if node.driver == "maildir" else node.driver
        self.node = node
        self.path = node.home(user) / root / "dovecot-recall.lock"

    def __enter__(self):
        self.file = open(self.path, "w")
        self.node._own(self.path)
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *unused):
        self.path.unlink()
        self.file.close()

    def wait_for_waiter(self):
        inode = ":%d " % os.fstat(self.file.fileno()).st_ino
        wait_for(lambda: any(
            "->" in line and inode in line for line in
            pathlib.Path("/proc/locks").read_text().splitlines()),
            "nobody waits for the lock")


@contextlib.contextmanager
def waiting(node, user, message_id, recall_id):
    """A recall that has found the message, and waits for the lock until the
    block ends. Its rows are put into the list."""
    node.append(user, "INBOX", build_message("<first@example.com>"))
    assert recall(node, user, "<first@example.com>", "0" * 32,
                  "--no-notify").status() == "expunged"
    node.append(user, "INBOX", build_message(message_id))
    rows = []
    with HeldLock(node, user) as lock:
        process = subprocess.Popen(
            node.doveadm_command("-f", "tab", "recall", "expunge", "-u", user,
                                 "--recall-id", recall_id, "--no-notify",
                                 message_id), stdout=subprocess.PIPE,
            text=True)
        lock.wait_for_waiter()
        yield rows
    rows += parse_tab(process.communicate(timeout=PATIENCE)[0])


def test_moved_while_waiting(node, user, message_id, recall_id):
    """The user moves the message after it was found."""
    with waiting(node, user, message_id, recall_id) as rows:
        node.doveadm("mailbox", "create", "-u", user, "Elsewhere")
        node.doveadm("move", "-u", user, "Elsewhere", "mailbox", "INBOX",
                     "all")
    row, = rows
    assert (row["status"], row["copies"], row["mailboxes"]) == \
        ("expunged", "1", "Elsewhere")
    assert node.count(user, "Elsewhere") == 0
    assert len(quarantined(node, user)) == 2


def test_read_while_waiting(node, user, message_id, recall_id):
    """It stays, and that is no error."""
    with waiting(node, user, message_id, recall_id) as rows:
        node.set_flags(user, "INBOX", ["\\Seen"])
    row, = rows
    assert (row["status"], row["copies"], row["error"]) == ("read", "1", "")
    assert node.count(user) == 1
    assert len(quarantined(node, user)) == 1
