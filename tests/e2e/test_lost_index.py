"""With dbox the index is the mailbox. Where it was lost, as with a tmpfs that INDEX
is on, Dovecot shows empty mailboxes until doveadm force-resync. A recall must
not say that a message is not there whose file is."""

import shutil

import pytest

from conftest import DRIVERS, EX_TEMPFAIL
from indexbox import wait_until_older
from mailnode import build_message
from nodebase import DOVECOT_24
from quarantine import (PREFIX, append, command, fetch, make_node, quarantined,
                        recall)

DBOXES = [driver for driver in DRIVERS if driver != "maildir"]
LOCATION = "%(driver)s:~/mail:INDEX=~/index"
KEPT = "%(driver)s:~/%(place)s:INDEX=~/index.recalled%(more)s"

pytestmark = [pytest.mark.skipif(not DBOXES, reason="Maildir has none to lose"),
              pytest.mark.log_errors("was lost|force-resync|"
                                     "already exists, rebuilding|"
                                     "Corrupted dbox file|"
                                     "corrupted index header")]


@pytest.fixture(scope="module", params=DBOXES)
def node(request):
    driver = request.param
    kept = KEPT % {"driver": driver, "place": "recalled", "more": ""}
    users = {"u%02d@example.com" % i: {
        "mail": LOCATION % {"driver": driver},
        "namespace/recalled/location": kept} for i in range(50)}
    # where 2.4 has INDEX for all namespaces
    users.update({"%s@example.com" % name: {
        "mail": ("%s:~/mail" + more) % driver,
        "namespace/recalled/location": kept}
        for name, more in (("alt", ":INDEX=~/index:ALT=~/alt"),
                           ("within", ""))})
    with make_node(driver, users, mail_plugins=["notify", "recall"]) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free_users)


def lose(node, user, index="index", mails="mail"):
    wait_until_older(node.home(user) / mails)
    shutil.rmtree(node.home(user) / index)


def resync(node, user, mask="*"):
    node.doveadm("force-resync", "-u", user, mask, check=False)


def rebuilds_by_itself(node):
    return DOVECOT_24 and node.driver == "sdbox"


def is_error(row):
    return row["status"] == "error" and "force-resync" in row["error"]


def ask(node, user, *criteria):
    """A dry run and a search."""
    found = command(node, "expunge", "-u", user, "--dry-run", *criteria)
    rows = command(node, "search", "-u", user, *criteria)
    return found.row(), rows.rows, {found.code, rows.code}


def found(node, user, *criteria):
    row, rows, codes = ask(node, user, *criteria)
    return (row["status"], row["copies"], len(rows), codes) == \
        ("would_expunge", "1", 1, {0})


@pytest.mark.parametrize("how", ["message-id", "--verify-headers", "query"])
@pytest.mark.parametrize("mailbox", ["INBOX", "Work"])
def test_error(node, user, mailbox, how, message_id, recall_id):
    criteria = {"message-id": [message_id],
                "--verify-headers": ["--verify-headers", message_id],
                "query": ["query", "HEADER", "Message-ID", message_id]}[how]
    append(node, user, mailbox, build_message("<other@example.com>"))
    append(node, user, mailbox, build_message(message_id))
    lose(node, user)
    if rebuilds_by_itself(node):
        assert found(node, user, *criteria)
        return
    # each time, and others do not change that
    for count in range(2):
        row, rows, codes = ask(node, user, *criteria)
        assert is_error(row), row
        assert "force-resync" in rows[0]["error"]
        assert codes == {EX_TEMPFAIL}
        node.count(user, mailbox)
    resync(node, user)
    assert found(node, user, *criteria)
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    for _ in range(2):
        row, rows, codes = ask(node, user, *criteria)
        assert (row["status"], rows, codes) == ("not_found", [], {0})


def test_mail_has_come_since(node, user, message_id):
    """Its UID is no file's yet. An mdbox begins a file after those that there
    are, an sdbox may be rebuilt."""
    append(node, user, "Work", build_message("<other@example.com>"))
    append(node, user, "Work", build_message(message_id))
    node.doveadm("expunge", "-u", user, "mailbox", "Work", "uid", "1")
    node.doveadm("purge", "-u", user)
    lose(node, user)
    later = "<later" + message_id[1:]
    append(node, user, "Work", build_message(later))
    if not rebuilds_by_itself(node):
        for wanted in message_id, later:
            row, rows, codes = ask(node, user, wanted)
            assert is_error(row) or (node.driver == "sdbox" and
                                     row["status"] == "would_expunge"), row
        resync(node, user)
    for wanted in message_id, later:
        assert found(node, user, wanted)


@pytest.mark.parametrize("known", [False, True])
def test_index_of_one_mailbox(node, user, message_id, known):
    """The Message-ID index is there still, and says nothing of it, and so is the
    map of an mdbox, which counts messages that are in no mailbox then."""
    append(node, user, "INBOX", build_message("<other@example.com>"))
    append(node, user, "Work", build_message(message_id))
    if known:
        assert found(node, user, message_id)
    lose(node, user, "index/mailboxes/Work")
    if not rebuilds_by_itself(node):
        for criteria in ([message_id], ["--verify-headers", message_id],
                         ["query", "HEADER", "Message-ID", message_id]):
            row, rows, codes = ask(node, user, *criteria)
            assert is_error(row) and "Work" in row["error"], row
            assert codes == {EX_TEMPFAIL}
        resync(node, user)
    assert found(node, user, message_id)


def test_alternate_storage(node, message_id):
    """What is older is in another place."""
    user = "alt@example.com"
    append(node, user, "Work", build_message(message_id))
    node.doveadm("altmove", "-u", user, "mailbox", "Work")
    if node.driver == "mdbox":
        node.doveadm("purge", "-u", user)
    assert [*(node.home(user) / "alt").rglob("[um].[0-9]")]
    assert not [*(node.home(user) / "mail").rglob("[um].[0-9]")]
    assert found(node, user, message_id)
    wait_until_older(node.home(user) / "alt")
    lose(node, user)
    if not rebuilds_by_itself(node):
        row, rows, codes = ask(node, user, message_id)
        assert is_error(row) and "/alt/" in row["error"], row
        resync(node, user)
    assert found(node, user, message_id)


def test_index_within_the_mailbox(node, message_id):
    """Its directory changes as it is begun anew, the one above it does not."""
    user = "within@example.com"
    append(node, user, "INBOX", build_message("<other@example.com>"))
    append(node, user, "Work", build_message(message_id))
    work = node.home(user) / "mail/mailboxes/Work"
    wait_until_older(node.home(user) / "mail")
    for path in work.rglob("dovecot.index*"):
        path.unlink()
    row, rows, codes = ask(node, user, message_id)
    # not each sdbox of 2.4 is rebuilt
    if not rebuilds_by_itself(node) or row["status"] == "error":
        assert is_error(row) and "Work" in row["error"], row
        resync(node, user)
    assert found(node, user, message_id)


@pytest.mark.parametrize("purged", [False, True])
def test_index_of_an_empty_mailbox(node, user, message_id, purged):
    """Nothing is lost: what was in there is elsewhere, or was expunged."""
    for wanted in "<other@example.com>", message_id:
        append(node, user, "Work", build_message(wanted))
    node.doveadm("mailbox", "create", "-u", user, "Other")
    node.doveadm("move", "-u", user, "Other", "mailbox", "Work", "HEADER",
                 "Message-ID", message_id)
    node.doveadm("expunge", "-u", user, "mailbox", "Work", "all")
    if purged:
        node.doveadm("purge", "-u", user)
    lose(node, user, "index/mailboxes/Work")
    for criteria in ([message_id], ["--verify-headers", message_id],
                     ["query", "HEADER", "Message-ID", message_id]):
        assert found(node, user, *criteria)
    row, rows, codes = ask(node, user, "<none@example.com>")
    assert (row["status"], rows, codes) == ("not_found", [], {0})


def test_newer_file(node, user, message_id):
    """A process that was killed while it saved has left it: nobody was told
    that it is there."""
    append(node, user, "Work", build_message(message_id))
    wait_until_older(node.home(user) / "mail")
    for path in [*(node.home(user) / "mail").rglob("[um].1")]:
        shutil.copy(path, path.with_suffix(".7"))
    assert found(node, user, message_id)
    row, rows, codes = ask(node, user, "<other@example.com>")
    assert (row["status"], rows, codes) == ("not_found", [], {0})


def test_empty_file(node, user, message_id):
    """One that was killed before it wrote anything has left it: no rebuild
    deletes it, nor is there a message in it."""
    if node.driver != "mdbox":
        pytest.skip("an sdbox gives it a UID")
    append(node, user, "Work", build_message(message_id))
    storage, = (node.home(user) / "mail").rglob("storage")
    empty = storage / "m.77"
    empty.touch()
    shutil.chown(empty, storage.owner(), storage.group())
    lose(node, user)
    row, rows, codes = ask(node, user, message_id)
    assert is_error(row), row
    resync(node, user)
    assert empty.exists()
    assert found(node, user, message_id)
    row, rows, codes = ask(node, user, "<other@example.com>")
    assert (row["status"], rows, codes) == ("not_found", [], {0})


@pytest.mark.parametrize("criteria", [
    ("<none@example.com>",), ("--verify-headers", "<none@example.com>"),
    ("query", "BODY", "none")], ids=str)
def test_damaged_message(node, user, criteria):
    """Dovecot has an mdbox rebuilt by every process that syncs a mailbox once
    one has been. Recalls end that: they find out what is there."""
    if node.driver != "mdbox":
        pytest.skip("has no map that is rebuilt")
    for mailbox in ("INBOX", "A", "B", "C", "D"):
        append(node, user, mailbox, build_message("<%s@example.com>" % mailbox))
    file, = (node.home(user) / "mail").rglob("m.1")
    text = file.read_bytes()
    at = text.rindex(b"\x01\x02", 0, text.index(b"<A@example.com>"))
    file.write_bytes(text[:at] + b"??" + text[at + 2:])
    node.doveadm("fetch", "-u", user, "text", "ALL", check=False)
    arguments = ("recall", "expunge", "-u", user, "--dry-run", *criteria)
    rebuilds = [node.doveadm(*arguments, check=False).stderr.count("rebuilding")
                for attempt in range(2)]
    assert rebuilds[0] <= 3 and rebuilds[1] == 0
    row, rows, codes = ask(node, user, *criteria)
    assert (row["status"], rows, codes) == ("not_found", [], {0})


def test_quarantine(node, user, message_id, recall_id):
    """What is kept is not said not to be, and is not recalled twice."""
    append(node, user, "INBOX", build_message(message_id))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    lose(node, user, "index.recalled", "recalled")
    if not rebuilds_by_itself(node):
        row = command(node, "restore", "-u", user, recall_id).row()
        assert is_error(row), row
        row = recall(node, user, message_id, recall_id, "--no-notify").row()
        assert is_error(row), row
        resync(node, user, PREFIX + "*")
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "already_recalled"
    assert list(quarantined(node, user).values()) == [1]
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", "1")
    assert len(fetch(node, user)) == 1
