"""Dovecot as postmasters set it up: plugins of theirs beside ours, and what
they say about a mailbox after a recall, a restore and a purge."""

import os
import subprocess

import pytest

from conftest import DRIVERS
from mailnode import DOVECOT_24, DOVECOT_MODULES, build_message
from quarantine import PREFIX, command, make_node, quarantined

USER = "a@example.com"
PLUGINS = ["notify", "recall"]
LDA = os.path.dirname(DOVECOT_MODULES) + "/dovecot-lda"
PURGE = "-o", ("" if DOVECOT_24 else "plugin/") + "recall_quarantine_days=0"


def purge(node, *args):
    """All that is in the quarantine goes for good."""
    return node.doveadm(*PURGE, "recall", "purge", *(args or ["-u", USER]))


def quota(node):
    """What is used of each root, by what."""
    return node.doveadm("-f", "tab", "quota", "get", "-u", USER).stdout


def assert_quota_is_right(node):
    """As it is, is as Dovecot counts it."""
    said = quota(node)
    node.doveadm("quota", "recalc", "-u", USER)
    assert said == quota(node)


# Roots whose figures are kept, where `count` asks the indexes.
QUOTA = {
    "dict": ({"quota": "dict:User quota::file:%h/quota"}, ""),
    "maildir": ({"quota": "maildir:User quota"},
                'quota "User quota" {\n  quota_driver = maildir\n}\n'),
}


@pytest.mark.parametrize("driver, root", [
    *([] if DOVECOT_24 else [(driver, "dict") for driver in DRIVERS]),
    *[("maildir", "maildir")] * ("maildir" in DRIVERS)])
def test_quota_that_is_kept(driver, root, message_id, recall_id):
    """Figures are right where the quarantine counts, too."""
    plugin, extra = QUOTA[root]
    with make_node(driver, [USER], mail_plugins=[*PLUGINS, "quota"],
                   plugin={} if DOVECOT_24 else plugin,
                   extra=extra if DOVECOT_24 else "") as node:
        for asked, place in ((message_id, "INBOX"), (message_id, "Work"),
                             ("<other@example.com>", "Work")):
            node.append(USER, place, build_message(asked))
        begin = quota(node)
        for again in recall_id, "f" + recall_id[1:]:
            row = command(node, "expunge", "-u", USER, "--no-notify",
                          "--recall-id", again, message_id).row()
            assert (row["status"], row["copies"]) == ("expunged", "2")
            assert_quota_is_right(node)
            if again == recall_id:
                assert command(node, "restore", "-u", USER,
                               recall_id).row()["copies"] == "2"
                assert_quota_is_right(node)
                purge(node)
                assert quota(node) == begin
        purge(node)
        assert quarantined(node, USER) == {}
        assert_quota_is_right(node)
        assert node.panics() == [] and node.errors() == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_quarantine_is_closed_to_acl_and_notify(driver, message_id, recall_id):
    """Neither do ACLs of its mailboxes exist for clients, nor are they told what
    happens there."""
    with make_node(driver, [USER], acl=True, mail_plugins=PLUGINS) as node:
        node.append(USER, "INBOX", build_message(message_id))
        told = [node.imap(USER) for _ in range(2)]
        for connection, which in zip(told, (
                "personal", "mailboxes (%s)" % (PREFIX + recall_id))):
            assert connection.xatom(
                "NOTIFY", "SET (%s (MessageNew MessageExpunge FlagChange "
                "MailboxName))" % which)[0] == "OK"

        def heard():
            for connection in told:
                connection.noop()
                yield from (repr(connection.response(name)[1])
                            for name in ("LIST", "STATUS"))

        def recalled():
            row = command(node, "expunge", "-u", USER, "--no-notify",
                          "--recall-id", recall_id, message_id).row()
            assert (row["status"], row["copies"]) == ("expunged", "1")
        recalled()
        name, = quarantined(node, USER)
        for box in name, PREFIX + recall_id:
            for act in (lambda: told[0].getacl(box),
                        lambda: told[0].setacl(box, "b@example.com", "lr"),
                        lambda: told[0].deleteacl(box, "b@example.com")):
                assert act()[0] == "NO"
        # NOTIFY tells of what has happened when something else does
        for place in "INBOX", "Work":
            node.append(USER, place, build_message("<other@example.com>"))
            assert "RECALLED" not in "".join(heard())
        assert command(node, "restore", "-u", USER,
                       recall_id).status() == "restored"
        purge(node)
        node.append(USER, "More", build_message("<other@example.com>"))
        words = "".join(heard())
        assert "More" in words and "RECALLED" not in words
        for connection in told:
            connection.logout()
        assert node.panics() == [] and node.errors() == []


SIEVE = """\
require ["fileinto", "mailbox", "copy", "imap4flags"];
if header :contains "subject" "filed" {
  fileinto :create :flags ["\\\\Flagged"] "Lists/one";
  fileinto :copy :create "Copies";
}
"""

SIEVE_SETTINGS = """
lda_mailbox_autocreate = yes
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
protocol lda {
  mail_plugins = $mail_plugins sieve
}
"""


def lda_deliver(node, message):
    subprocess.run(
        node.inside([LDA, "-c", str(node.conf), "-d", USER, "-f",
                     "sender@example.com"]),
        input=message, check=True)


@pytest.mark.skipif(
    DOVECOT_24 or not os.path.exists(DOVECOT_MODULES +
                                     "/lib90_sieve_plugin.so"),
    reason="settings of 2.3, and dovecot-sieve is not installed everywhere")
@pytest.mark.parametrize("driver", DRIVERS)
def test_sieve(driver, message_id, recall_id):
    """A script has one delivery saved into several mailboxes: all copies are
    recalled, now and of what arrives later, by LMTP or dovecot-lda."""
    message = build_message(message_id, "filed")
    with make_node(driver, [USER], mail_plugins=PLUGINS,
                   extra=SIEVE_SETTINGS,
                   plugin={"sieve": "file:~/script.sieve"}) as node:
        path = node.home(USER) / "script.sieve"
        path.parent.mkdir()
        path.write_text(SIEVE)
        subprocess.run(["chown", "-R", "--reference", node.dir / "mail",
                        path.parent], check=True)
        node.lmtp_deliver(USER, message)
        lda_deliver(node, message)
        row = command(node, "expunge", "-u", USER, "--no-notify", "--stand",
                      "1h", "--recall-id", recall_id, message_id).row()
        assert (row["status"], row["copies"]) == ("expunged", "4")
        node.lmtp_deliver(USER, message)
        lda_deliver(node, message)
        late = command(node, "standing", "late").rows
        assert [row["copies"] for row in late] == ["2", "2"]
        assert command(node, "search", "-u", USER, message_id).rows == []
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", "8")
        assert node.count(USER, "Lists/one") == \
            node.count(USER, "Copies") == 4
        assert node.panics() == [] and node.errors() == []
