"""Users with a root directory of their own (mail_chroot). Whoever changes to it,
as IMAP does and with Dovecot 2.4 doveadm, sees neither the orders nor whether
recalls are stopped."""

import contextlib
import tempfile

from conftest import ONE_DRIVER
from mailnode import DOVECOT_24, build_message
from quarantine import command, make_node

USER = "a@example.com"
EXTRA = """
valid_chroot_dirs = %s
service imap {
  service_count = 1
}
"""


@contextlib.contextmanager
def make_chroot_node(extra=""):
    # orders are not below the root directory
    with make_node(ONE_DRIVER, [], mail_plugins=["notify", "recall"],
                   extra=EXTRA % tempfile.gettempdir() + extra) as node:
        node.add_user(USER, home="%s/mail/./%s" % (node.dir, USER))
        yield node
        assert node.panics() == []


def expunge(node, message_id, *args):
    return command(node, "expunge", "-u", USER, "--no-notify", *args,
                   message_id)


def test_stopped(message_id):
    """What is not known to be allowed is not done."""
    with make_chroot_node() as node:
        node.lmtp_deliver(USER, build_message(message_id))
        command(node, "stop")
        row = expunge(node, message_id).row()
        assert row["status"] == "error" and "stopped" in row["error"]
        assert node.count(USER) == 1
        command(node, "stop", "--release")
        row = expunge(node, message_id).row()
        if DOVECOT_24:
            assert row["status"] == "error" and "root" in row["error"]
        else:
            assert row["status"] == "expunged"
        assert node.count(USER) == (1 if DOVECOT_24 else 0)


def test_look(message_id):
    """An order that can't be seen has not ended."""
    with make_chroot_node() as node:
        expunge(node, message_id, "--stand", "1h")
        node.append(USER, "Trash", build_message(message_id))
        result = command(node, "standing", "run")
        if DOVECOT_24:
            assert (result.code, result.status()) == (75, "error")
            assert "root directory" in result.row()["error"]
        else:
            assert (result.code, result.status()) == (0, "expunged")
        assert node.count(USER, "Trash") == (1 if DOVECOT_24 else 0)


def test_outside(message_id):
    """Where /./ says what the root directory is, doveadm need not go there."""
    outside = "protocol doveadm {\n  valid_chroot_dirs =\n}\n"
    with make_chroot_node(outside) as node:
        node.lmtp_deliver(USER, build_message(message_id))
        result = expunge(node, message_id, "--stand", "1h")
        assert result.status() == "expunged"
        node.append(USER, "Trash", build_message(message_id))
        assert command(node, "standing", "run").status() == "expunged"
        assert node.count(USER, "Trash") == 0
