"""The quarantine together with Dovecot's own plugins, each tested for its
effect."""

import contextlib
import imaplib
import os
import subprocess

import pytest

import mailnode
import quarantine
from conftest import DRIVERS
from failpoints import IMPORT, stopped, with_failpoints
from faults import wait_for
from mailnode import DOVECOT_24, DOVECOT_MODULES, build_message
from quarantine import (DATE, PREFIX, append, command, fetch, make_node,
                        quarantined, recall)

USER = "a@example.com"


@pytest.fixture(params=DRIVERS)
def driver(request):
    return request.param


def quota_used(node, user=USER):
    """Messages that count."""
    for line in node.doveadm("-f", "tab", "quota", "get", "-u",
                             user).stdout.splitlines()[1:]:
        fields = line.split("\t")
        if fields[1] == "MESSAGE":
            return int(fields[2])
    raise AssertionError("no quota")


QUOTA = {"quota_rule2": PREFIX + "*:ignore"}


def test_quota_not_charged(driver, message_id, recall_id):
    with make_node(driver, [USER], quota=True, plugin=QUOTA) as node:
        node.append(USER, "INBOX", build_message(message_id))
        node.append(USER, "Work", build_message(message_id))
        node.append(USER, "Work", build_message("<other@example.com>"))
        assert quota_used(node) == 3
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        assert quota_used(node) == 1
        node.doveadm("quota", "recalc", "-u", USER)
        assert quota_used(node) == 1
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        assert quota_used(node) == 3
        assert node.panics() == [] and node.errors() == []


def test_recall_although_quota_is_full(driver, message_id, recall_id):
    """The copies in the quarantine need no room."""
    with make_node(driver, {USER: {"quota_rule": "*:messages=2"}},
                   quota=True, plugin=QUOTA) as node:
        node.append(USER, "INBOX", build_message(message_id))
        node.append(USER, "INBOX", build_message(message_id))
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").row()["copies"] == "2"
        assert sum(quarantined(node, USER).values()) == 2
        assert node.panics() == [] and node.errors() == []


def test_quota_that_is_full_leaves_nothing(driver, message_id, recall_id):
    """Where the quarantine counts it can't take anything then. There is no
    record of a recall that has taken nothing."""
    with make_node(driver, {USER: {"quota_rule": "*:messages=1"}},
                   quota=True) as node:
        node.append(USER, "INBOX", build_message(message_id))
        row = recall(node, USER, message_id, recall_id, "--no-notify").row()
        assert row["status"] == "error" and "uota" in row["error"]
        assert node.count(USER) == 1
        result = command(node, "list", "-u", USER)
        assert (result.code, result.rows) == (0, [])
        assert node.panics() == []


def test_restore_needs_room(driver, message_id, recall_id):
    with make_node(driver, {USER: {"quota_rule": "*:messages=2"}},
                   quota=True, plugin=QUOTA) as node:
        node.append(USER, "INBOX", build_message(message_id))
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        for _ in range(2):
            node.append(USER, "INBOX", build_message("<other@example.com>"))
        result = command(node, "restore", "-u", USER, recall_id)
        row = result.row()
        assert (row["status"], row["copies"], result.code) == \
            ("error", "0", 75)
        assert "uota" in row["error"]
        assert sum(quarantined(node, USER).values()) == 1
        assert node.count(USER) == 2
        assert command(node, "list", "-u", USER).status() == "expunged"
        node.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "1")
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        assert node.count(USER) == 2
        assert node.panics() == []


LAZY_NAMESPACE = """
namespace lazy {
  type = private
  separator = /
  prefix = .EXPUNGED/
  location = %s
  hidden = yes
  list = no
  subscriptions = no
}
"""
LAZY_LOCATIONS = {
    "maildir": "maildir:~/expunged",
    "sdbox": "sdbox:~/sdbox:MAILBOXDIR=expunged:LISTINDEX=expunged.index",
    "mdbox": "mdbox:~/mdbox:MAILBOXDIR=expunged:LISTINDEX=expunged.index",
}


def lazy_node(driver, extra="", **options):
    plugin = {"lazy_expunge": ".EXPUNGED/"}
    plugin.update(options.pop("plugin", {}))
    return make_node(driver, [USER], mail_plugins=["lazy_expunge"],
                     extra=LAZY_NAMESPACE % LAZY_LOCATIONS[driver] + extra,
                     plugin=plugin, **options)


def test_lazy_expunge(driver, message_id, recall_id):
    """What is recalled can't be had back from where expunged mail goes, but
    other mail can; a restore puts it back once."""
    with lazy_node(driver) as node:
        append(node, USER, "INBOX", build_message(message_id), ["\\Flagged"],
               DATE)
        node.append(USER, "INBOX", build_message("<other@example.com>"))
        before = fetch(node, USER)
        row = recall(node, USER, message_id, recall_id, "--no-notify").row()
        assert (row["status"], row["copies"]) == ("expunged", "1")
        assert fetch(node, USER) == before[1:]
        assert not fetch(node, USER, ".EXPUNGED/INBOX")
        assert list(quarantined(node, USER).values()) == [1]
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", "1")
        assert sorted(fetch(node, USER)) == sorted(before)
        assert not fetch(node, USER, ".EXPUNGED/INBOX")
        assert quarantined(node, USER) == {}
        node.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "all")
        assert len(fetch(node, USER, ".EXPUNGED/INBOX")) == 2
        assert node.panics() == [] and node.errors() == []


def test_lazy_expunge_by_query(driver, message_id, recall_id):
    """Also if the query does not look there; mail of the same kind that the
    user has deleted stays, as it is not in the quarantine."""
    with lazy_node(driver) as node:
        node.append(USER, "INBOX", build_message("<old@example.com>"))
        node.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "all")
        node.append(USER, "INBOX", build_message(message_id))
        node.append(USER, "Archive", build_message(message_id))
        assert command(node, "expunge", "-u", USER, "--recall-id", recall_id,
                       "--yes-count", "1", "--no-notify", "query", "mailbox",
                       "Archive", "SUBJECT", "Test").status() == "expunged"
        assert not fetch(node, USER, ".EXPUNGED/Archive")
        row = command(node, "expunge", "-u", USER, "--recall-id",
                      recall_id[::-1], "--yes-count", "1", "--no-notify",
                      "query", "mailbox", "INBOX", "SUBJECT", "Test").row()
        assert (row["status"], row["error"]) == ("expunged", "")
        kept, = fetch(node, USER, ".EXPUNGED/INBOX")
        assert b"<old@example.com>" in kept[2]
        assert len(quarantined(node, USER)) == 2
        assert node.panics() == [] and node.errors() == []


def test_lazy_expunge_deleted_before(driver, message_id, recall_id):
    """What the user has deleted is recalled from there, too."""
    with lazy_node(driver) as node:
        node.append(USER, "INBOX", build_message(message_id))
        node.doveadm("expunge", "-u", USER, "mailbox", "INBOX", "all")
        assert len(fetch(node, USER, ".EXPUNGED/INBOX")) == 1
        row = recall(node, USER, message_id, recall_id, "--no-notify").row()
        assert (row["status"], row["copies"], row["mailboxes"]) == \
            ("expunged", "1", ".EXPUNGED/INBOX")
        assert not fetch(node, USER, ".EXPUNGED/INBOX")
        assert list(quarantined(node, USER).values()) == [1]


def test_lazy_expunge_deleted_meanwhile(driver, message_id, recall_id):
    """The copy goes to another mailbox of that name than there was when the
    recall began, with UIDs that begin anew."""
    if DOVECOT_24 and driver == "maildir":
        pytest.skip("the only one is the root, and can't be deleted")
    with with_failpoints(), lazy_node(driver, IMPORT) as node:
        for number in range(3):
            append(node, USER, "Work", build_message("<%d@old>" % number))
        node.doveadm("expunge", "-u", USER, "mailbox", "Work", "all")
        for mailbox in "INBOX", "Work":
            append(node, USER, mailbox, build_message(message_id))
        # a query that does not look there
        with stopped(node, "expunged", "expunge", "-u", USER, "--no-notify",
                     "--recall-id", recall_id, "--yes-count", "2", "query",
                     "(", "mailbox", "INBOX", "OR", "mailbox", "Work", ")",
                     "SUBJECT", "Test") as rows:
            # 2.4 has one for all mailboxes
            node.doveadm("mailbox", "delete", "-u", USER, ".EXPUNGED/" +
                         ("INBOX" if DOVECOT_24 else "Work"))
        row, = rows
        assert (row["status"], row["copies"], row["error"]) == \
            ("expunged", "2", "")
        for mailbox in "INBOX", "Work":
            assert not fetch(node, USER, ".EXPUNGED/" + mailbox)
        assert sum(quarantined(node, USER).values()) == 2
        assert node.panics() == []


def test_lazy_expunge_without_quarantine(driver, message_id, recall_id):
    """Then expunged mail goes where it always does."""
    with lazy_node(driver, plugin={"recall_quarantine": "off"}) as node:
        node.append(USER, "INBOX", build_message(message_id))
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        assert len(fetch(node, USER, ".EXPUNGED/INBOX")) == 1


@pytest.mark.parametrize("codec", ["gz", "zstd"])
def test_zlib(driver, codec, message_id, recall_id):
    body = ("compressible " * 5 + "\n") * 5000
    with make_node(driver, [USER], mail_plugins=["zlib"],
                   plugin={"zlib_save": codec}) as node:
        append(node, USER, "INBOX", build_message(message_id, body=body),
               ["kw"], DATE)
        before = fetch(node, USER)
        used = int(subprocess.run(["du", "-s", "-B1", node.home(USER)],
                                  capture_output=True, text=True,
                                  check=True).stdout.split()[0])
        assert used < len(body)
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        assert fetch(node, USER) == before
        assert node.panics() == [] and node.errors() == []


def mail_crypt_plugin(tmp_path):
    """Settings with a fresh key."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True)
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-out", str(private))
    openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    for path in (private, public):
        path.chmod(0o644)
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    return {
        "mail_crypt_global_private_key": "<%s" % private,
        "mail_crypt_global_public_key": "<%s" % public,
        "mail_crypt_save_version": "2",
    }


def test_mail_crypt(driver, message_id, recall_id, tmp_path):
    """Encrypted mail stays encrypted and comes back readable."""
    secret = "the secret word is xyzzy\n" * 50
    with make_node(driver, [USER], mail_plugins=["mail_crypt"],
                   plugin=mail_crypt_plugin(tmp_path)) as node:
        append(node, USER, "INBOX", build_message(message_id, body=secret),
               ["\\Flagged"], DATE)
        before = fetch(node, USER)
        assert b"xyzzy" in before[0][2]

        def in_the_clear():
            return subprocess.run(["grep", "-rl", "xyzzy", node.home(USER)],
                                  capture_output=True).stdout
        assert in_the_clear() == b""
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        assert in_the_clear() == b""
        (name, _), = quarantined(node, USER).items()
        assert fetch(node, USER, name) == before
        assert command(node, "list", "-u", USER).status() == "expunged"
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        assert fetch(node, USER) == before
        assert in_the_clear() == b""
        assert node.panics() == [] and node.errors() == []


def test_acl(driver, message_id, recall_id):
    """The owner's ACL stops neither the recall nor the restore, and is as it
    was after them."""
    with make_node(driver, [USER], acl=True) as node:
        node.append(USER, "Work", build_message(message_id))
        before = fetch(node, USER, "Work")
        node.doveadm("acl", "set", "-u", USER, "Work", "owner", "lookup")
        acl = node.doveadm("acl", "get", "-u", USER, "Work").stdout
        row = recall(node, USER, message_id, recall_id, "--no-notify").row()
        assert (row["status"], row["mailboxes"]) == ("expunged", "Work")
        assert list(quarantined(node, USER).values()) == [1]
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["mailboxes"]) == ("restored", "Work")
        assert node.doveadm("acl", "get", "-u", USER, "Work").stdout == acl
        node.doveadm("acl", "delete", "-u", USER, "Work", "owner")
        assert fetch(node, USER, "Work") == before
        assert node.panics() == [] and node.errors() == []


VIRTUAL_NAMESPACE = """
namespace virtual {
  type = private
  separator = /
  prefix = virtual/
  location = virtual:~/virtual
}
"""


def test_virtual(driver, message_id, recall_id):
    """A message that virtual mailboxes show is recalled once, and shows up in
    them again."""
    with make_node(driver, [USER], mail_plugins=["virtual"],
                   extra=VIRTUAL_NAMESPACE) as node:
        node.append(USER, "INBOX", build_message(message_id))
        node.append(USER, "Work", build_message("<other@example.com>"))
        path = node.home(USER) / "virtual" / "all"
        path.mkdir(parents=True)
        (path / "dovecot-virtual").write_text("*\n  all\n")
        subprocess.run(["chown", "-R", "--reference", node.home(USER),
                        node.home(USER) / "virtual"], check=True)
        assert node.count(USER, "virtual/all") == 2
        row = recall(node, USER, message_id, recall_id, "--no-notify").row()
        assert (row["status"], row["copies"], row["mailboxes"]) == \
            ("expunged", "1", "INBOX")
        assert node.count(USER, "virtual/all") == 1
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", "1")
        assert node.count(USER, "virtual/all") == 2
        assert node.panics() == [] and node.errors() == []


def text_search(node, word, mailbox="INBOX"):
    done = node.doveadm("-f", "tab", "search", "-u", USER, "mailbox", mailbox,
                        "BODY", word)
    return len(done.stdout.splitlines()) - 1 if done.stdout else 0


@pytest.mark.skipif(
    not os.path.exists(DOVECOT_MODULES + "/lib21_fts_xapian_plugin.so"),
    reason="dovecot-fts-xapian is not installed")
def test_fts(driver, message_id, recall_id):
    """The full text search finds what is there, before and after."""
    with make_node(driver, [USER], mail_plugins=["fts", "fts_xapian"],
                   plugin={"fts": "xapian", "fts_enforced": "yes",
                           "fts_xapian": "partial=3 full=20"}) as node:
        node.append(USER, "INBOX",
                    build_message(message_id, body="abracadabra one\n"))
        node.append(USER, "INBOX",
                    build_message("<o@example.com>", body="hocuspocus\n"))
        node.doveadm("index", "-u", USER, "INBOX")
        assert text_search(node, "abracadabra") == 1
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        assert text_search(node, "abracadabra") == 0
        assert text_search(node, "hocuspocus") == 1
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        node.doveadm("index", "-u", USER, "INBOX")
        assert text_search(node, "abracadabra") == 1
        assert text_search(node, "hocuspocus") == 1
        assert node.panics() == [] and node.errors() == []


def test_with_our_mail_plugin(driver, message_id, recall_id):
    """Restored mail is in the Message-ID index like any other."""
    with make_node(driver, [USER], mail_plugins=["recall"]) as node:
        node.lmtp_deliver(USER, build_message(message_id))
        for n in range(3):
            assert recall(node, USER, message_id, recall_id[:-1] + str(n),
                          "--no-notify").status() == "expunged"
            assert command(node, "restore", "-u", USER,
                           recall_id[:-1] + str(n)).status() == "restored"
        assert node.count(USER) == 1
        assert node.panics() == [] and node.errors() == []


def test_closed_to_clients(driver, message_id, recall_id):
    """With our mail plugin not even a client that knows the names gets in."""
    with make_node(driver, [USER], mail_plugins=["recall"]) as node:
        node.append(USER, "INBOX", build_message(message_id))
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        (name, _), = quarantined(node, USER).items()
        names = [name, PREFIX + recall_id, PREFIX + "new"]
        connection = node.imap(USER)
        for pattern in ("*", PREFIX + "*", PREFIX + "%", PREFIX + recall_id):
            listed = connection.list('""', '"%s"' % pattern)[1]
            assert b"RECALLED" not in b"".join(
                line or b"" for line in listed).replace(
                    pattern.encode(), b"")
        for name in names:
            assert connection.select('"%s"' % name)[0] == "NO"
            assert connection.status('"%s"' % name, "(MESSAGES)")[0] == "NO"
            assert connection.append('"%s"' % name, "", None,
                                     b"Subject: x\r\n\r\nx\r\n")[0] == "NO"
            assert connection.create('"%s"' % name)[0] == "NO"
            assert connection.delete('"%s"' % name)[0] == "NO"
            assert connection.rename('"%s"' % name, "Mine")[0] == "NO"
        # nor is anything put there, as what a recall has kept
        connection.create("Mine")
        for name in (PREFIX + "f" * 32, PREFIX + recall_id + "/" + "f" * 32,
                     PREFIX + "new"):
            assert connection.rename("Mine", name)[0] == "NO"
        assert connection.rename("Mine", "Ours")[0] == "OK"
        connection.logout()
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        assert node.count(USER) == 1
        assert node.panics() == [] and node.errors() == []


def wait_for_count(node):
    """The number of messages, once a session can tell."""
    counts = []

    def counted():
        with contextlib.suppress(imaplib.IMAP4.abort):
            counts.append(node.count(USER))
        return counts

    return wait_for(counted, "no session lasts")[0]


def test_mdbox_rebuild_by_client(message_id, recall_id):
    """A client's session that has to rebuild the storage neither loses what is
    in the quarantine nor brings it back."""
    with make_node("mdbox", [USER], mail_plugins=["recall"]) as node:
        append(node, USER, "INBOX", build_message(message_id), ["kw"], DATE)
        before = fetch(node, USER)
        node.append(USER, "INBOX", build_message("<other@example.com>"))
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "expunged"
        storage = node.home(USER) / "mdbox" / "storage"
        for path in storage.glob("dovecot.map.index*"):
            path.unlink()
        since = node.log_size()
        with pytest.raises(imaplib.IMAP4.abort):
            node.count(USER)
        node.wait_log(r" imap\(.*rebuilding", since)
        # the session that rebuilds ends after it has said goodbye
        assert wait_for_count(node) == 1
        # as the admin does who sees that
        node.doveadm("force-resync", "-u", USER, "INBOX")
        node.doveadm("purge", "-u", USER)
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["error"]) == ("restored", "")
        assert before[0] in fetch(node, USER)
        assert node.count(USER) == 2
        assert node.panics() == []


@pytest.mark.parametrize("driver, location, quarantine_location", [
    ("mdbox", "mdbox:{home}/mdbox:LAYOUT=index",
     "mdbox:~/mdbox:LAYOUT=index:MAILBOXDIR=recalled:"
     "LISTINDEX=recalled.index"),
    ("sdbox", "sdbox:{home}/sdbox:LAYOUT=index",
     "sdbox:~/sdbox:LAYOUT=index:MAILBOXDIR=recalled:"
     "LISTINDEX=recalled.index"),
    ("maildir", "maildir:{home}/Maildir:LAYOUT=fs:INDEX={home}/index",
     "maildir:~/recalled:LAYOUT=fs:INDEX=MEMORY"),
    ("mdbox", "mdbox:{home}/mdbox", "sdbox:~/recalled"),
], ids=["mdbox-index", "sdbox-index", "maildir-fs", "mdbox-to-sdbox"])
def test_layouts(monkeypatch, driver, location, quarantine_location,
                 message_id, recall_id):
    """Other ways to lay out mail, one with a quarantine of another format."""
    monkeypatch.setitem(mailnode.LOCATIONS, driver, location)
    monkeypatch.setitem(quarantine.LOCATIONS, driver, quarantine_location)
    with make_node(driver, [USER]) as node:
        append(node, USER, "INBOX", build_message(message_id),
               ["\\Flagged", "kw"], DATE)
        append(node, USER, "Work", build_message(message_id), ["kw2"], DATE)
        before = fetch(node, USER), fetch(node, USER, "Work")
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").row()["copies"] == "2"
        assert sorted(quarantined(node, USER).values()) == [1, 1]
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").status() == "already_recalled"
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", "2")
        assert (fetch(node, USER), fetch(node, USER, "Work")) == before
        assert quarantined(node, USER) == {}
        assert node.panics() == [] and node.errors() == []


@pytest.mark.parametrize("named", [False, True])
def test_replicas(driver, named, message_id, recall_id):
    """What was recalled on one side goes from the other, and does not come
    back from there; what is restored comes back once. The other side can
    restore it if the quarantine is replicated, which Dovecot has to be told."""
    other = "b@example.com"
    options = ["-n", "", "-n", PREFIX] if named else []
    with make_node(driver, [USER, other],
                   mail_plugins=["notify", "recall"]) as node:
        server = node.doveadm_command("dsync-server", "-u", other)

        def sync():
            # what one run has found out the next one does
            for _ in range(2):
                node.doveadm("sync", "-u", USER, *options, "sh", "-c",
                             'exec "$@"', "sh", *server)
            return [node.count(user, name) for user in (USER, other)
                    for name in ("INBOX", "Work")]

        node.append(USER, "INBOX", build_message("<other@example.com>"))
        node.append(USER, "INBOX", build_message(message_id))
        node.append(USER, "Work", build_message(message_id))
        assert sync() == [2, 1, 2, 1]
        assert recall(node, USER, message_id, recall_id,
                      "--no-notify").row()["copies"] == "2"
        assert sync() == [1, 0, 1, 0]
        assert sum(quarantined(node, other).values()) == (2 if named else 0)
        # both, before they know of each other
        for user in [USER, other]:
            row = command(node, "restore", "-u", user, recall_id).row()
            assert (row["status"], row["copies"]) == \
                (("restored", "2") if named or user == USER else
                 ("not_found", "0"))
        assert sync() == [2, 1, 2, 1]
        assert quarantined(node, USER) == quarantined(node, other) == {}
        assert node.panics() == [] and node.errors() == []
