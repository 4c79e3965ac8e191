"""Two nodes as postmasters have them: mail that Dovecot's replicator, or
doveadm backup, takes from one to the other."""

import contextlib
import os

import pytest

from conftest import DRIVERS
from faults import wait_for
from mailnode import DOVECOT_MODULES, build_message
from nodebase import free_port
from quarantine import PREFIX, command, make_node, quarantined

USER = "a@example.com"
LISTEN = """
service doveadm {
  inet_listener tcp {
    port = %d
  }
}
"""
REPLICATION = """
service replicator {
  chroot =
  unix_listener replicator-doveadm {
    mode = 0666
  }
}
service aggregator {
  chroot =
  fifo_listener replication-notify-fifo {
    mode = 0666
  }
  unix_listener replication-notify {
    mode = 0666
  }
}
"""


@contextlib.contextmanager
def two_nodes(driver, replicated, **options):
    ports = [free_port(), free_port()]
    plugins = ["notify", "recall"] + ["replication"] * replicated
    with contextlib.ExitStack() as stack:
        nodes = []
        for own, other in zip(ports, reversed(ports)):
            extra = LISTEN % own
            plugin = {}
            if replicated:
                extra += REPLICATION
                plugin["mail_replica"] = "tcp:127.0.0.1:%d" % other
            node = make_node(driver, [USER], extra=extra, plugin=plugin,
                             mail_plugins=plugins, **options)
            nodes.append(stack.enter_context(node))
            node.tcp_port = own
        yield nodes
        for node in nodes:
            assert node.panics() == [] and node.errors() == []


def counts(nodes):
    return [node.count(USER, place) for node in nodes
            for place in ("INBOX", "Work")]


def wait_for_counts(nodes, *expected):
    def are():
        # neither mailbox is there at first
        with contextlib.suppress(AssertionError):
            return counts(nodes) == list(expected)
    wait_for(are)


@pytest.mark.skipif(
    not os.path.exists(DOVECOT_MODULES + "/lib20_replication_plugin.so"),
    reason="Dovecot 2.4 has no replicator")
@pytest.mark.parametrize("driver", DRIVERS)
def test_replicator(driver, message_id, recall_id):
    """What is recalled or restored on one node is so on the other, without that
    anybody asks for it."""
    with two_nodes(driver, True) as nodes:
        here, there = nodes
        here.lmtp_deliver(USER, build_message("<other@example.com>"))
        here.lmtp_deliver(USER, build_message(message_id))
        here.append(USER, "Work", build_message(message_id))
        wait_for_counts(nodes, 2, 1, 2, 1)
        row = command(here, "expunge", "-u", USER, "--no-notify",
                      "--recall-id", recall_id, message_id).row()
        assert (row["status"], row["copies"]) == ("expunged", "2")
        wait_for_counts(nodes, 1, 0, 1, 0)
        assert sum(quarantined(here, USER).values()) == 2
        assert quarantined(there, USER) == {}
        assert command(here, "restore", "-u", USER,
                       recall_id).row()["copies"] == "2"
        wait_for_counts(nodes, 2, 1, 2, 1)
        # from the other side, with a notice
        row = command(there, "expunge", "-u", USER, message_id).row()
        assert (row["status"], row["copies"]) == ("expunged", "2")
        wait_for_counts(nodes, 2, 0, 2, 0)


@pytest.mark.parametrize("driver", DRIVERS)
def test_backup(driver, message_id, recall_id):
    """A user who moves by doveadm backup, the quarantine named as the
    operator's guide has it: a restore gives all there."""
    with two_nodes(driver, False) as nodes:
        here, there = nodes
        here.lmtp_deliver(USER, build_message("<other@example.com>"))
        for place in "INBOX", "Work":
            here.append(USER, place, build_message(message_id), ["\\Flagged"])
        assert command(here, "expunge", "-u", USER, "--no-notify",
                       "--recall-id", recall_id,
                       message_id).row()["copies"] == "2"
        here.doveadm("backup", "-u", USER, "-n", "", "-n", PREFIX,
                     "tcp:127.0.0.1:%d" % there.tcp_port)
        assert counts(nodes) == [1, 0, 1, 0]
        assert sum(quarantined(there, USER).values()) == 2
        assert [row["copies"] for row in
                command(there, "list", "-A").rows] == ["2"]
        row = command(there, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", "2")
        assert counts(nodes) == [1, 0, 2, 1]
