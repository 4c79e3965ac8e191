"""Dovecot as postmasters set it up: plugins of theirs beside ours, and what
they say about a mailbox after a recall, a restore and a purge."""

import pytest

from conftest import DRIVERS
from mailnode import DOVECOT_24, build_message
from quarantine import command, make_node, quarantined

USER = "a@example.com"
PLUGINS = ["notify", "recall"]
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
