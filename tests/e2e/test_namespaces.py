"""Mail in namespaces beside the one of the user's INBOX, above all in mailboxes
there that are named INBOX, too: not every format lists those."""

import subprocess

import pytest

from conftest import DRIVERS
from mailnode import build_message
from quarantine import append, command, fetch, make_node, quarantined

USER = "a@example.com"
OTHER = "b@example.com"
NAMESPACE = """
namespace more {
  type = %s
  separator = /
  prefix = More/
  location = %s
  list = %s
  subscriptions = no
}
"""
# of the user, and of all
LOCATIONS = {
    "maildir": "maildir:%s/more",
    "sdbox": "sdbox:%s/more",
    "mdbox": "mdbox:%s/more",
}


@pytest.fixture(params=DRIVERS)
def driver(request):
    return request.param


def more_node(driver, kind="private", listed="yes", where="~", suffix="",
              **options):
    options.setdefault("mail_plugins", ["notify", "recall"])
    return make_node(driver, [USER, OTHER], extra=NAMESPACE % (
        kind, LOCATIONS[driver] % where + suffix, listed), **options)


def recall(node, message_id, user=USER):
    return command(node, "expunge", "-u", user, "--no-notify",
                   message_id).row()


def mailboxes(node, name, *args):
    return sorted(row["mailbox"] for row in
                  command(node, name, "-u", USER, *args).rows)


@pytest.mark.parametrize("suffix", ["", ":INBOX=~/elsewhere"])
@pytest.mark.parametrize("listed", ["yes", "no"])
def test_private(driver, listed, suffix, message_id):
    """Whether it is listed, and wherever it is, the INBOX of another private
    namespace is looked through like any other mailbox."""
    with more_node(driver, listed=listed, suffix=suffix) as node:
        places = ["INBOX", "More/INBOX", "More/Work"]
        for name in places:
            append(node, USER, name, build_message(message_id))
            append(node, USER, name, build_message("<other@example.com>"))
        assert mailboxes(node, "search", message_id) == places
        # by the index that saving has written, and by headers
        assert mailboxes(node, "index", "--verify") == places
        assert mailboxes(node, "search", "query", "HEADER", "Message-ID",
                         message_id) == places
        row = recall(node, message_id)
        assert (row["status"], row["copies"]) == ("expunged", "3")
        assert sorted(row["mailboxes"].split(",")) == places
        assert sum(quarantined(node, USER).values()) == 3
        for name in places:
            kept, = fetch(node, USER, name)
            assert b"<other@example.com>" in kept[2]
        assert command(node, "restore", "-u", USER,
                       row["recall-id"]).status() == "restored"
        assert [len(fetch(node, USER, name)) for name in places] == [2, 2, 2]
        assert node.panics() == [] and node.errors() == []


def test_without_inbox(driver, message_id):
    """One that has none gets none."""
    with more_node(driver) as node:
        append(node, USER, "More/Work", build_message(message_id))

        def files():
            return subprocess.run(["find", node.home(USER) / "more", "-type",
                                   "d"], capture_output=True, text=True,
                                  check=True).stdout
        before = files()
        assert set(mailboxes(node, "index")) - {"INBOX"} == {"More/Work"}
        row = recall(node, message_id)
        assert (row["status"], row["mailboxes"]) == ("expunged", "More/Work")
        assert files() == before
        assert node.panics() == [] and node.errors() == []


@pytest.mark.parametrize("listed", ["yes", "no"])
def test_public(driver, listed, message_id, open_path):
    """What is everybody's stays, in the INBOX there as well."""
    public = open_path / "public"
    public.mkdir()
    public.chmod(0o777)
    with more_node(driver, "public", listed, where=public) as node:
        for name in ("INBOX", "More/INBOX", "More/Work"):
            append(node, USER, name, build_message(message_id))
        assert mailboxes(node, "search", message_id) == ["INBOX"]
        row = recall(node, message_id)
        assert (row["status"], row["mailboxes"]) == ("expunged", "INBOX")
        assert recall(node, message_id, OTHER)["status"] == "not_found"
        for name in ("More/INBOX", "More/Work"):
            assert len(fetch(node, USER, name)) == 1
        assert node.panics() == [] and node.errors() == []


@pytest.mark.log_errors("not a private one of its own")
def test_public_that_is_called_the_quarantine(driver, message_id, open_path):
    """A setting that is wrong takes nobody's mail away."""
    public = open_path / "public"
    public.mkdir()
    public.chmod(0o777)
    with more_node(driver, "public", where=public,
                   plugin={"recall_quarantine": "More/"}) as node:
        for name in ("INBOX", "More/Work"):
            append(node, USER, name, build_message(message_id))
        connection = node.imap(USER)
        try:
            assert connection.select("More/Work") == ("OK", [b"1"])
            assert any(b"More/Work" in line for line in connection.list()[1])
        finally:
            connection.logout()
        row = recall(node, message_id)
        assert row["status"] == "error"
        assert "not a private one of its own" in row["error"]
        assert node.count(USER) == 1
        assert node.panics() == []


def test_shared(driver, message_id):
    """The INBOX that another user shares is that one's alone."""
    with make_node(driver, [USER, OTHER], acl=True,
                   mail_plugins=["notify", "recall"]) as node:
        append(node, OTHER, "INBOX", build_message(message_id))
        append(node, USER, "INBOX", build_message(message_id))
        node.doveadm("acl", "set", "-u", OTHER, "INBOX", "user=" + USER,
                     "lookup", "read", "expunge", "write-deleted")
        shared = "shared/%s/INBOX" % OTHER
        assert len(fetch(node, USER, shared)) == 1
        assert mailboxes(node, "search", message_id) == ["INBOX"]
        assert recall(node, message_id)["mailboxes"] == "INBOX"
        assert len(fetch(node, USER, shared)) == 1
        assert node.panics() == [] and node.errors() == []


def test_shares_of_inbox(driver, message_id):
    """Who has rights to an INBOX that is not listed is told all the same."""
    with more_node(driver, acl=True) as node:
        append(node, USER, "More/INBOX", build_message(message_id))
        node.doveadm("acl", "set", "-u", USER, "More/INBOX", "user=" + OTHER,
                     "lookup", "read")
        row, = command(node, "shares", "-u", USER).rows
        assert (row["mailbox"], row["user"], row["direction"]) == \
            ("More/INBOX", OTHER, "out")
        assert node.panics() == [] and node.errors() == []


# the user sees virtual mailboxes alone
VIRTUAL_INBOX = """
namespace inbox {
  inbox = no
  prefix = Real/
  hidden = yes
  list = no
}
namespace virtual {
  separator = /
  prefix =
  inbox = yes
  location = virtual:%s:INDEX=~/virtual:CONTROL=~/virtual
}
"""


def test_virtual_inbox(driver, message_id, recall_id, open_path):
    """What has no mailbox any more is put back into an INBOX that is one: who
    saves into a virtual one is not told where the messages are."""
    (open_path / "INBOX").mkdir()
    (open_path / "INBOX/dovecot-virtual").write_text(
        "!Real/INBOX\nReal/Work\n  all\n")
    with make_node(driver, [USER], extra=VIRTUAL_INBOX % open_path,
                   mail_plugins=["notify", "recall", "virtual"]) as node:
        node.doveadm("mailbox", "create", "-u", USER, "Real/INBOX")
        node.append(USER, "Real/Work", build_message(message_id))
        row = command(node, "expunge", "-u", USER, "--no-notify",
                      "--recall-id", recall_id, message_id).row()
        assert (row["status"], row["mailboxes"]) == ("expunged", "Real/Work")
        node.doveadm("mailbox", "delete", "-u", USER, "Real/Work")
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"], row["mailboxes"], row["error"]) \
            == ("restored", "1", "Real/INBOX", "")
        assert node.count(USER, "Real/INBOX") == node.count(USER) == 1
        assert quarantined(node, USER) == {}
        assert node.panics() == [] and node.errors() == []
