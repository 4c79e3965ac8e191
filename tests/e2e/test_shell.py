"""What people at the shell see: tables, errors, options."""

import json
import re

import pytest

from conftest import DRIVERS, EX_NOUSER, EX_USAGE, parse_tab
from mailnode import build_message
from quarantine import make_node

USERS = ["anna@example.com", "benjamin@example.com", "c@example.com"]
# as wide as a terminal
WIDTH = 80


@pytest.fixture(scope="module")
def node():
    with make_node(DRIVERS[-1], USERS, acl=True) as node:
        yield node
        assert node.panics() == []


def doveadm(node, *args):
    done = node.doveadm(*args, check=False)
    assert "Panic" not in done.stderr, done
    return done


REFUSED = [
    (["expunge", "-u", USERS[0], "<>"], EX_USAGE, "Message-ID"),
    (["expunge", "-u", USERS[0], "--tenant=", "<a@b>"], EX_USAGE, "--tenant"),
    (["expunge", "-u", USERS[0], "query", "ALL"], EX_USAGE, "everything"),
    (["expunge", "-u", USERS[0], "--yes-count=7", "query", "SUBJECT", "x"],
     EX_USAGE, "7"),
    (["expunge", "<a@b>"], EX_USAGE, "users"),
    (["expunge", "-u", "nobody*", "<a@b>"], EX_NOUSER, "nobody\\*"),
    (["search", "-u", USERS[0], "--limit=x", "<a@b>"], EX_USAGE, "--limit"),
    (["fetch", "-u", USERS[0], "colour", "<a@b>"], EX_USAGE, "colour"),
    (["restore", "-u", USERS[0]], EX_USAGE, "recall id"),
    (["restore", "-u", USERS[0], "x"], EX_USAGE, "recall"),
    (["list", "<a@b>"], EX_USAGE, "recall"),
    (["purge"], EX_USAGE, "users"),
    (["index", "-A", "--verify", "--dump"], EX_USAGE, "--dump"),
    (["share", "INBOX", "user=x"], EX_USAGE, "owner"),
    (["unshare", "-u", USERS[0], "INBOX", "x"], EX_USAGE, "user="),
    (["shares", "--tenant=", "-A"], EX_USAGE, "--tenant"),
    (["shares"], EX_USAGE, "users"),
]


@pytest.mark.parametrize("args, code, text", REFUSED)
def test_refused(node, args, code, text):
    """The reason is on stderr; in JSON it's in the answer, too. No table."""
    for options in [], ["-f", "tab"], ["-f", "table"], ["-f", "pager"], ["-v"]:
        done = doveadm(node, *options, "recall", *args)
        assert done.returncode == code
        assert done.stdout.strip() == ""
        assert re.search(text, done.stderr)
    done = doveadm(node, "-f", "json", "recall", *args)
    assert done.returncode == code
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "exitCode" and error["exitCode"] == code
    assert error["message"].startswith("recall %s: " % args[0])
    assert re.search(text, error["message"])
    assert error["message"] in done.stderr


def test_nothing_found(node, message_id):
    """A command that finds nothing has not failed: the titles alone."""
    args = ["recall", "search", "-u", USERS[0], message_id]
    assert json.loads(doveadm(node, "-f", "json", *args).stdout) == []
    lines = doveadm(node, *args).stdout.splitlines()
    assert len(lines) == 1 and lines[0].startswith("username ")


def check_table(done, *texts):
    lines = done.stdout.splitlines()
    assert len(lines) > 1, done
    for line in lines:
        assert len(line.rstrip()) <= WIDTH
    for text in texts:
        assert text in done.stdout
    return lines


def test_tables(node, message_id):
    for user in USERS:
        node.append(user, "Archive", build_message(
            message_id, subject="The salaries of everybody in this company",
            sender="somebody.with.a.long.name@elsewhere.example"))
    users = ["-u", USERS[0], "-u", USERS[1], "-u", USERS[2]]
    search = ["recall", "search", *users, message_id]
    lines = check_table(doveadm(node, *search), "benjamin@example.com",
                        "Archive", "The salaries")
    assert lines[0].split() == ["username", "mailbox", "seen", "date", "from",
                                "subject", "error"]
    wide = doveadm(node, "-v", *search)
    assert message_id.strip("<>") in wide.stdout
    assert "in this company" in wide.stdout
    rows = parse_tab(doveadm(node, "-f", "tab", *search).stdout)
    assert [row["username"] for row in rows] == USERS

    done = doveadm(node, "recall", "expunge", *users, "--reason", "x" * 100,
                   message_id)
    lines = check_table(done, "benjamin@example.com expunged")
    assert lines[0].split() == ["username", "status", "copies", "notice",
                                "mailboxes", "error"]
    # what a restore asks for
    recall_id, = re.findall("Recall id: ([0-9a-f]{32})\n", done.stderr)
    lines = check_table(doveadm(node, "recall", "list", *users), recall_id)
    assert lines[0].split() == ["recall-id", "username", "status", "date",
                                "error"]
    check_table(doveadm(node, "recall", "index", *users), "Archive")
    check_table(doveadm(node, "recall", "restore", *users, recall_id),
                "restored")
    assert doveadm(node, "-f", "json", "recall", "restore", *users,
                   recall_id).stderr == ""


def test_several_users(node, message_id):
    """-u may be repeated, and be a mask one time."""
    node.lmtp_deliver(USERS, build_message(message_id))
    before = [node.count(user) for user in USERS]
    for asked, found in [
            (["-u", USERS[1], "-u", USERS[0]], [USERS[1], USERS[0]]),
            (["-u", "c@*", "-u", USERS[0]], [USERS[0], USERS[2]]),
            (["-u", "c*", "-u", "?@example.com", "-u", USERS[2]], USERS[2:]),
            (["--user", USERS[0], "--user", USERS[0]], USERS[:1])]:
        done = doveadm(node, "-f", "tab", "recall", "expunge", "--dry-run",
                       *asked, message_id)
        assert [row["username"] for row in parse_tab(done.stdout)
                if "written" not in row["username"]] == found
        assert done.returncode == 0
    done = doveadm(node, "recall", "expunge", "-u", USERS[0], "--users",
                   USERS[1], message_id)
    assert done.returncode == EX_USAGE and "exactly one way" in done.stderr
    assert [node.count(user) for user in USERS] == before


def test_several_users_over_http(node, message_id):
    answer = node.doveadm_http([["recallSearch", {
        "user": USERS[:2], "query": ["ALL"]}, "tag"]])
    assert answer[0][0] == "doveadmResponse"
    assert {row["username"] for row in answer[0][1]} <= set(USERS[:2])
