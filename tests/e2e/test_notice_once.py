"""Two tries of a recall at the same time notify the user once. Needs a build with
failpoints: see tests/support/failpoints.py."""

import pathlib
import subprocess

import pytest

from conftest import DRIVERS, parse_tab
from failpoints import IMPORT, stopped, with_failpoints
from faults import wait_for
from mailnode import MailNode, build_message

USER = "once@example.com"


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    with with_failpoints(), MailNode(driver=request.param, users=[USER],
                                     extra=IMPORT) as node:
        yield node
        assert node.panics() == []


def waits_for_lock(process):
    lines = pathlib.Path("/proc/locks").read_text().splitlines()
    return any("->" in line and int(line.split()[5]) == process.pid
               for line in lines)


def test_two_at_once(node, message_id, recall_id):
    node.append(USER, "INBOX", build_message(message_id))
    node.set_flags(USER, "INBOX", ["\\Seen"])
    args = ["expunge", "-u", USER, "--recall-id", recall_id, message_id]
    with stopped(node, "notice-due", *args) as rows:
        process = subprocess.Popen(
            node.doveadm_command("-f", "tab", "recall", *args),
            stdout=subprocess.PIPE, text=True)
        wait_for(lambda: process.poll() is not None or waits_for_lock(process),
                 "it neither waits nor ends")
    rows += parse_tab(process.communicate()[0])
    assert [row["status"] for row in rows] == ["read", "read"]
    assert sorted(row["notice"] for row in rows) == ["already_sent", "sent"]
    assert node.count(USER) == 2
    assert list(node.home(USER).rglob("dovecot-recall-notice.lock*")) == []
