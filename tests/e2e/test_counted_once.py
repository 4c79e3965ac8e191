"""What is expunged and comes back with the same UID, as it may while Dovecot
rebuilds or renames its mailbox, is expunged again, and counted once. So is what
two take at once. All of it needs a build with failpoints: see
tests/support/failpoints.py."""

import errno
import os
import shutil
import subprocess

import pytest

from conftest import DRIVERS, EX_TEMPFAIL, parse_tab, run_shell
from failpoints import IMPORT, stopped, with_failpoints
from faulty import STOPPED, Shim, Stopping
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
    users = [name + "@example.com" for name in
             ("id", "query", "alpha", "beta", "gamma", "rebuilt", "both", "expunged", "some",
              "anew", "before", "after", "other")]
    users += ["log%d@example.com" % number for number in range(1, 5)]
    with with_failpoints(), make_node(
            driver, users, mail_plugins=["notify", "recall"], extra=IMPORT,
            kept=kept) as node:
        yield node
        assert node.panics() == []


def in_beta(node, user, message_id):
    node.doveadm("mailbox", "create", "-u", user, "Beta")
    for number in range(COUNT):
        node.append(user, "Beta", build_message(
            message_id, subject="Comes back", body="%d\n" % number))


def before_commit(node, user, recall_id, message_id, **options):
    """A recall that has looked, and is about to expunge."""
    return stopped(node, "expunge-commit", "expunge", "-u", user,
                   "--no-notify", "--recall-id", recall_id, message_id,
                   **options)


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


@pytest.mark.parametrize("target", ["Alpha", "Beta", "Gamma"])
def test_comes_back_with_a_copy_of_it(node, message_id, recall_id, target):
    """Which has the same GUID where Dovecot has one file for both."""
    if node.driver == "mdbox" and not node.kept:
        pytest.skip("what was there for the last time it does not bring back")
    user = target.lower() + "@example.com"
    in_beta(node, user, message_id)
    node.doveadm("mailbox", "create", "-u", user, target, check=False)
    place = node.home(user) / PLACES[node.driver]
    was = node.home(user) / "was"
    subprocess.run(["cp", "-a", place, was], check=True)
    with stopped(node, "expunged", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        shutil.rmtree(place)
        was.rename(place)
        node.doveadm("copy", "-u", user, target, "mailbox", "Beta", "all")
    row, = rows
    assert (row["status"], row["copies"]) == ("expunged", str(2 * COUNT))
    assert node.count(user, "Beta") == node.count(user, target) == 0
    if node.kept:
        assert sum(quarantined(node, user).values()) == 2 * COUNT
        assert command(node, "list", "-u", user).row()["copies"] == \
            str(2 * COUNT)


def test_rebuilt(node, message_id, recall_id):
    """Whoever rebuilds an mdbox or an sdbox does not know what is to be
    expunged."""
    user = "rebuilt@example.com"
    in_beta(node, user, message_id)
    with stopped(node, "expunge-sync", "expunge", "-u", user, "--no-notify",
                 "--recall-id", recall_id, message_id) as rows:
        node.doveadm("force-resync", "-u", user, "Beta")
    check(node, user, recall_id, rows)


def files(node, user, mailbox):
    return sorted(path.name for path in (
        node.home(user) / "sdbox/mailboxes" / mailbox).rglob("u.*"))


def check_renamed(node, user, row):
    assert (row["status"], row["copies"]) == ("expunged", str(COUNT))
    assert files(node, user, "Gamma") == []
    node.doveadm("force-resync", "-u", user, "Gamma")
    assert node.count(user, "Gamma") == 0


def only_sdbox(node):
    if node.driver != "sdbox":
        pytest.skip("only sdbox has a file a message that can be left")


def rename(node, user):
    node.doveadm("mailbox", "rename", "-u", user, "Beta", "Gamma")


def test_renamed_before(node, message_id, recall_id):
    """It is looked for again."""
    only_sdbox(node)
    user = "before@example.com"
    in_beta(node, user, message_id)
    with before_commit(node, user, recall_id, message_id) as rows:
        rename(node, user)
    row, = rows
    check_renamed(node, user, row)


def test_renamed_after(node, message_id, recall_id):
    """Dovecot deletes an sdbox's files by their paths, and what it has not
    deleted a rebuild takes up again."""
    only_sdbox(node)
    user = "after@example.com"
    in_beta(node, user, message_id)
    shim = Shim(node.dir, "doveadm", [node.home(user) / PLACES["sdbox"]])
    shim.arm("unlink", 1, STOPPED)
    with Stopping(shim, node.doveadm_command(
            "-f", "tab", "recall", "expunge", "-u", user, "--no-notify",
            "--recall-id", recall_id, message_id,
            environment=shim.environment(node.sanitizers))) as recall:
        assert shim.failed_path().endswith("/u.1")
        rename(node, user)
        result = recall.go_on()
    check_renamed(node, user, result.row())


def test_another_in_its_place(node, message_id, recall_id):
    """A file of the same path is a message of another mailbox."""
    only_sdbox(node)
    user = "other@example.com"
    in_beta(node, user, message_id)
    with before_commit(node, user, recall_id, message_id) as rows:
        rename(node, user)
        node.doveadm("mailbox", "create", "-u", user, "Beta")
        node.append(user, "Beta", build_message("<stays@example.com>"))
    row, = rows
    assert (row["status"], row["copies"]) == ("expunged", str(COUNT))
    assert files(node, user, "Gamma") == []
    assert files(node, user, "Beta") == ["u.1"]
    assert node.count(user, "Beta") == 1


def test_two_recalls_at_once(node, message_id, recall_id):
    """Both have seen it, and who comes first has taken it."""
    if node.kept:
        pytest.skip("they wait for each other")
    user = "both@example.com"
    in_beta(node, user, message_id)
    with before_commit(node, user, recall_id, message_id) as rows:
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
    with before_commit(node, user, recall_id, message_id,
                       code=None) as rows:
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
    with before_commit(node, user, recall_id, message_id) as rows:
        node.doveadm("expunge", "-u", user, "mailbox", "Beta", "uid",
                     "1:%d" % (COUNT - left))
    row, = rows
    assert (row["status"], row["copies"], row["mailboxes"]) == \
        (("expunged", "1", "Beta") if left else ("not_found", "0", ""))
    assert node.count(user, "Beta") == 0
    if node.kept:
        row = command(node, "list", "-u", user).row()
        assert row["copies"] == str(left)
        assert sum(quarantined(node, user).values()) == left


@pytest.mark.parametrize("number", range(1, 5))
def test_log_can_not_be_written(node, message_id, recall_id, number):
    """Once, at any moment: what is not certain to have gone is not told of as
    if it had, and stays in the quarantine."""
    if node.driver == "mdbox":
        pytest.skip("counts its messages' copies in another log as well")
    user = "log%d@example.com" % number
    in_beta(node, user, message_id)
    shim = Shim(node.dir, "doveadm", [node.home(user) / PLACES[node.driver]])
    shim.arm("write", number, errno.EIO)
    done = subprocess.run(
        node.doveadm_command("-f", "tab", "recall", "expunge", "-u", user,
                             "--no-notify", "--recall-id", recall_id,
                             message_id), capture_output=True, text=True,
        env={**os.environ, **shim.environment(node.sanitizers)})
    row, = parse_tab(done.stdout)
    expunged = row["status"] == "expunged"
    assert done.returncode == (0 if expunged else EX_TEMPFAIL), done
    assert (row["kept-until"] != "") == (expunged and node.kept)
    if expunged:
        assert (row["copies"], node.count(user, "Beta")) == (str(COUNT), 0)
    command(node, "expunge", "-u", user, "--no-notify", "--recall-id",
            recall_id, message_id)
    assert node.count(user, "Beta") == 0
    if node.kept:
        assert sum(quarantined(node, user).values()) == COUNT
        assert command(node, "list", "-u", user).row()["copies"] == str(COUNT)
