"""What people at the shell see: tables, errors, options."""

import json
import re
import subprocess
import time

import pytest

from conftest import DRIVERS, EX_NOUSER, EX_USAGE, parse_tab
from faults import wait_for
from mailnode import DOVECOT_24, SRCDIR, build_message
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
    (["expunge", "-A", "--stand-all", "<a@b>"], EX_USAGE, "--stand"),
    (["expunge", "-A", "--stand-all", "--stand=off", "<a@b>"], EX_USAGE,
     "--stand"),
    (["export", "-A", "--offset=5", "0" * 32], EX_USAGE, "--message"),
    (["export", "-A", "--length=5", "0" * 32], EX_USAGE, "--message"),
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


def test_synopsis(node):
    """The manual page's has all options that the usage has."""
    page = (SRCDIR / "man/doveadm-recall.1").read_text().replace("\\-", "-")
    page = page[page.index(".SH SYNOPSIS"):page.index(".SH DESCRIPTION")]
    options = {}
    for block in page.split(".TP\n")[1:]:
        name = re.match(r"\.B doveadm recall (\w+)", block).group(1)
        options.setdefault(name, set()).update(re.findall("--[a-z-]+", block))
    usage = dict(re.findall(r"(?m)^  (\w+) +(.*)",
                            doveadm(node, "recall").stderr))
    assert len(usage) > 10 and set(usage) <= set(options)
    for name, text in usage.items():
        # page: "where users is one of"
        assert set(re.findall("--[a-z-]+", text)) <= options[name] | \
            {"--users"}, name


def test_index_of_a_mailbox_that_is_not_there(node):
    args = ["-f", "tab", "recall", "index", "--mailbox=Nowhere"]
    done = doveadm(node, *args, "-u", USERS[0])
    row, = parse_tab(done.stdout)
    assert (done.returncode, row["username"], row["error"]) == (
        68, USERS[0], "There is no mailbox Nowhere")
    done = doveadm(node, *args, "--dump", "-u", USERS[0])
    assert done.returncode == 68 and "There is no mailbox" in done.stderr
    # others have none, and need none
    done = doveadm(node, *args, "-A")
    assert (done.returncode, parse_tab(done.stdout)) == (0, [])


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


@pytest.mark.parametrize("words, hint", [
    (["subject", "x"], "query subject x"), (["FROM", "a", "b"], "FROM a b")])
def test_query_without_its_word(node, words, hint):
    done = doveadm(node, "recall", "search", "-u", USERS[0], *words)
    assert done.returncode == EX_USAGE
    assert hint in done.stderr and "after the word query" in done.stderr


def test_abbreviations(node, message_id):
    node.append(USERS[0], "Archive", build_message(message_id))
    for option in "--dry", "--dry-run", "-n":
        done = doveadm(node, "-f", "tab", "recall", "expunge", option, "-u",
                       USERS[0], message_id)
        assert parse_tab(done.stdout)[0]["status"] == "would_expunge"
    done = doveadm(node, "-f", "tab", "recall", "expunge", "--no", "-u",
                   USERS[0], message_id)
    row, = parse_tab(done.stdout)
    assert (row["status"], row["notice"]) == ("expunged", "none")


@pytest.mark.parametrize("args, name", [
    (["search", "-u", USERS[0], "-l", "0", "<a@b>"], "--limit (-l)"),
    (["expunge", "-u", USERS[0], "-s", "x", "<a@b>"], "--sender (-s)"),
    (["expunge", "-u", USERS[0], "--recall-id", "x", "<a@b>"],
     "--recall-id is"),
    (["restore", "-u", USERS[0], "x"], "<recall-id>"),
    (["expunge", "-u", USERS[0], "-r", "x" * 2000, "<a@b>"],
     "--reason (-r)"),
    (["list", "-u", USERS[0], "--since", "yesteryear"], "--since"),
])
def test_errors_name_the_option(node, args, name):
    done = doveadm(node, "recall", *args)
    assert done.returncode == EX_USAGE and name in done.stderr


def expunge(node, *args):
    done = doveadm(node, "-f", "tab", "recall", "expunge", "--no-notify", *args)
    return parse_tab(done.stdout)[0]["recall-id"]


def listed(node, *args):
    done = doveadm(node, "-f", "tab", "recall", "list", "-u", USERS[2], *args)
    assert done.returncode == 0, done
    return [row["recall-id"] for row in parse_tab(done.stdout)]


def test_list(node, message_id):
    """Oldest first; by actor, by words of the reason, by date."""
    ids = []
    for number, (actor, reason) in enumerate([
            ("soc@example.com", "Phishing, case 1"), ("boss@example.com", ""),
            ("soc@example.com", "wrong list")]):
        an_id = message_id.replace("@", ".%d@" % number)
        node.append(USERS[2], "Archive", build_message(an_id))
        # ids are not in the order of time
        ids.append("%032x" % (99 - number))
        expunge(node, "-u", USERS[2], "--actor=" + actor, "--reason=" + reason,
                "--recall-id=" + ids[-1], an_id)
        # so that each has a second of its own
        second = int(time.time())
        wait_for(lambda: int(time.time()) > second)
    assert [i for i in listed(node) if i in ids] == ids
    assert listed(node, "--actor=SOC@example.com") == [ids[0], ids[2]]
    assert listed(node, "--reason", "phishing") == ids[:1]
    assert listed(node, "--actor=soc@example.com", "--reason=list") == ids[2:]
    assert listed(node, "--actor=nobody") == []
    assert ids[2] in listed(node, "--since", "1hour")
    assert ids[2] in listed(node, "--since", "2020-01-31")
    assert listed(node, "--since", "2099-01-31") == []
    answer = node.doveadm_http([["recallList", {
        "user": USERS[2], "actor": "soc@example.com", "since": "1day"}, "t"]])
    assert [row["recall-id"] for row in answer[0][1]] == [ids[0], ids[2]]


def test_restore_dry_run(node, message_id):
    node.append(USERS[1], "Archive", build_message(message_id))
    recall_id = expunge(node, "-u", USERS[1], message_id)
    for _ in range(2):
        done = doveadm(node, "-f", "tab", "recall", "restore", "-u", USERS[1],
                       "--dry-run", recall_id)
        row, = parse_tab(done.stdout)
        assert (row["status"], row["copies"], row["mailboxes"]) == \
            ("would_restore", "1", "Archive")
    answer = node.doveadm_http([["recallRestore", {
        "user": USERS[1], "dryRun": True, "recallId": recall_id}, "tag"]])
    assert answer[0][1][0]["status"] == "would_restore"
    assert message_id.encode() not in b"".join(
        node.messages(USERS[1], "Archive"))
    done = doveadm(node, "-f", "tab", "recall", "restore", "-u", USERS[1],
                   recall_id)
    assert parse_tab(done.stdout)[0]["status"] == "restored"
    assert message_id.encode() in b"".join(node.messages(USERS[1], "Archive"))
    done = doveadm(node, "-f", "tab", "recall", "restore", "-u", USERS[1],
                   "-n", "0" * 32)
    assert parse_tab(done.stdout)[0]["status"] == "not_found"


def test_id_of_what_stands(node, message_id):
    """It can be ended, though nobody had the message."""
    done = doveadm(node, "recall", "expunge", "-A", "--hits", "--stand", "1h",
                   message_id)
    recall_id, = re.findall("Recall id: ([0-9a-f]{32})\n", done.stderr)
    assert "The recall stands until " in done.stderr
    done = doveadm(node, "recall", "standing", "end", recall_id)
    assert "ended" in done.stdout


def test_hits(node, message_id):
    node.append(USERS[1], "Archive", build_message(message_id))
    done = doveadm(node, "-f", "tab", "recall", "expunge", "-A", "--hits",
                   "--dry-run", message_id)
    assert [row["username"] for row in parse_tab(done.stdout)] == [USERS[1]]
    looked, = re.findall(r"(\d+) users were looked at", done.stderr)
    assert int(looked) >= len(USERS)
    answer = node.doveadm_http([["recallExpunge", {
        "allUsers": True, "hits": True, "messageId": message_id}, "tag"]])
    row, = answer[0][1]
    assert (row["username"], row["status"]) == (USERS[1], "expunged")
    done = doveadm(node, "-f", "tab", "recall", "restore", "-A", "--hits",
                   row["recall-id"])
    row, = parse_tab(done.stdout)
    assert (row["username"], row["status"]) == (USERS[1], "restored")


def test_mailbox_from_a_backup(node, message_id, tmp_path):
    """What the operator's guide says."""
    user = USERS[1]
    home, backup = str(node.home(user)), str(tmp_path / "backup")
    node.append(user, "Work", build_message(message_id), ("\\Seen",))
    node.doveadm("recall", "index", "-u", user)
    subprocess.run(["cp", "-a", home, backup], check=True)
    first = expunge(node, "-u", user, "--force", message_id)
    assert node.count(user, "Work") == 0
    subprocess.run(["rm", "-r", home], check=True)
    subprocess.run(["cp", "-a", backup, home], check=True)
    assert node.count(user, "Work") == 1

    node.doveadm("recall", "index", "-u", user, "--verify")
    second = expunge(node, "-u", user, "--force", message_id)
    assert second != first
    assert node.count(user, "Work") == 0
    done = doveadm(node, "-f", "tab", "recall", "list", "-u", user, second)
    assert parse_tab(done.stdout)[0]["copies"] == "1"


@pytest.mark.parametrize("command", ["expunge", "restore"])
@pytest.mark.parametrize("users", [["-A"], ["-u", "?*@example.com"]])
@pytest.mark.parametrize("setting", ["mail_fsync=never", "any=value"])
def test_listed_users_and_a_report(node, message_id, command, users, setting):
    """With doveadm -o each listed user's lookup looks into the settings, which
    were in memory that had been freed."""
    what = message_id if command == "expunge" else "0" * 32
    done = doveadm(node, "-o", setting, "-o", "sendmail_path=/bin/true",
                   "-f", "tab", "recall", command, *users, "--report-to",
                   "boss@example.com", what)
    assert done.returncode == 0, done
    rows = {row["username"]: row["status"] for row in parse_tab(done.stdout)}
    assert {user: rows[user] for user in USERS} == \
        dict.fromkeys(USERS, "not_found")


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
    # to 2.4's HTTP server "user" is one
    name = "users" if DOVECOT_24 else "user"
    answer = node.doveadm_http([["recallSearch", {
        name: USERS[:2], "query": ["ALL"]}, "tag"]])
    assert answer[0][0] == "doveadmResponse"
    assert {row["username"] for row in answer[0][1]} <= set(USERS[:2])


@pytest.mark.parametrize("command, parameters", [
    ("recallExpunge", {"messageId": "<nobody.has@example.com>"}),
    ("recallSearch", {"query": ["ALL"]}),
    ("recallIndex", {}),
    ("recallList", {}),
])
def test_one_user_over_http(node, command, parameters):
    """Where the user is no array, either."""
    answer = node.doveadm_http([[command, dict(parameters, user=USERS[0]),
                                 "tag"]])
    assert answer[0][0] == "doveadmResponse", answer
    assert {row["username"] for row in answer[0][1]} <= {USERS[0]}
    assert node.panics() == []
