"""What is expunged and comes back with the same UID, as it may while Dovecot
rebuilds or renames its mailbox, is expunged again, and counted once. So is what
two take at once. All of it needs a build with failpoints: see
tests/support/failpoints.py."""

import shutil
import subprocess

import pytest

from conftest import DRIVERS, run_shell
from failpoints import IMPORT, stopped, with_failpoints
from mailnode import build_message
from quarantine import command, make_node, quarantined

PLACES = {"maildir": "Maildir/.Beta", "sdbox": "sdbox/mailboxes/Beta",
          "mdbox": "mdbox/mailboxes/Beta"}
COUNT = 2


@pytest.fixture(scope="module", params=[
    (driver, kept) for driver in DRIVERS for kept in (True, False)],
    ids=lambda param: param[0] + "-kept" * param[1])
def node(request):
    driver, kept = request.param
    options = {} if kept else {"namespace": False,
                               "plugin": {"recall_quarantine": ""}}
    users = [name + "@example.com" for name in
             ("id", "query", "rebuilt", "both", "expunged", "some",
              "anew")]
    with with_failpoints(), make_node(
            driver, users, mail_plugins=["notify", "recall"], extra=IMPORT,
            **options) as node:
        node.kept = kept
        yield node
        assert node.panics() == []


def in_beta(node, user, message_id):
    node.doveadm("mailbox", "create", "-u", user, "Beta")
    for number in range(COUNT):
        node.append(user, "Beta", build_message(
            message_id, subject="Comes back", body="%d\n" % number))


def check(node, user, recall_id, rows):
    row, = rows
    assert (row["status"], row["copies"], row["mailboxes"]) == \
        ("expunged", str(COUNT), "Beta")
    assert node.count(user, "Beta") == 0
    if node.kept:
        row = command(node, "list", "-u", user).row()
        assert (row["recall-id"], row["copies"]) == (recall_id, str(COUNT))


@pytest.mark.parametrize("by", ["id", "query"])
def test_comes_back(node, message_id, recall_id, by):
    if node.driver == "mdbox" and not node.kept:
        pytest.skip("what was there for the last time it does not bring back")
    user = by + "@example.com"
    in_beta(node, user, message_id)
    place = node.home(user) / PLACES[node.driver]
    was = node.home(user) / "was"
    subprocess.run(["cp", "-a", place, was], check=True)
    what = [message_id] if by == "id" else \
        ["--expected=%d" % COUNT, "query", "SUBJECT", "Comes back"]
    with stopped(node, "expunged", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, *what) as rows:
        shutil.rmtree(place)
        was.rename(place)
    check(node, user, recall_id, rows)


def test_rebuilt(node, message_id, recall_id):
    """Whoever rebuilds an mdbox or an sdbox does not know what is to be
    expunged."""
    user = "rebuilt@example.com"
    in_beta(node, user, message_id)
    with stopped(node, "expunge-sync", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        node.doveadm("force-resync", "-u", user, "Beta")
    check(node, user, recall_id, rows)


def test_two_recalls_at_once(node, message_id, recall_id):
    """Both have seen it, and who comes first has taken it."""
    if node.kept:
        pytest.skip("they wait for each other")
    user = "both@example.com"
    in_beta(node, user, message_id)
    with stopped(node, "expunge-commit", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        check(node, user, "", run_shell(node, "-u", user, "--no-notify", "--",
                                        message_id).rows)
    row, = rows
    assert (row["status"], row["copies"]) == ("not_found", "0")


def test_log_begun_anew(node, message_id, recall_id):
    """Its number is a lower one then."""
    user = "anew@example.com"
    in_beta(node, user, message_id)
    place = node.home(user) / PLACES[node.driver]
    was = node.home(user) / "was"
    subprocess.run(["cp", "-a", place, was], check=True)
    # more than Dovecot puts into one log
    for unused in range(30):
        node.doveadm("force-resync", "-u", user, "Beta")
    with stopped(node, "expunge-commit", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id, code=None) as rows:
        shutil.rmtree(place)
        was.rename(place)
    row, = rows
    assert row["status"] in ("expunged", "error")
    command(node, "expunge", "-u", user, "--no-notify", "--recall-id",
            recall_id, message_id)
    assert node.count(user, "Beta") == 0


@pytest.mark.parametrize("left", [0, 1])
def test_expunged_meanwhile(node, message_id, recall_id, left):
    """By somebody else: all copies, or all but one."""
    user = ("some" if left else "expunged") + "@example.com"
    in_beta(node, user, message_id)
    with stopped(node, "expunge-commit", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        node.doveadm("expunge", "-u", user, "mailbox", "Beta", "uid",
                     "1:%d" % (COUNT - left))
    row, = rows
    assert (row["status"], row["copies"]) == \
        ("expunged" if left else "not_found", str(left))
    assert node.count(user, "Beta") == 0
    if node.kept:
        row = command(node, "list", "-u", user).row()
        assert row["copies"] == str(left)
        assert sum(quarantined(node, user).values()) == left
