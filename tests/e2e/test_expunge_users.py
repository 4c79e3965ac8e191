"""Which users a recall goes through, how it answers, what it refuses."""

import base64
import json
import os
import pwd
import subprocess

import pytest

from conftest import (COLUMNS, DRIVERS, EX_NOUSER, EX_TEMPFAIL, EX_USAGE,
                      MASKED, parse_tab, run_http, run_shell)
from mailnode import BATCH_MAX, MailNode, build_message

pytestmark = pytest.mark.one_format(
    "users are found, requests refused and rows printed before and after any "
    "mailbox is opened")


def test_missing_user(node, users, message_id, recall):
    good, = users.take()
    node.lmtp_deliver(good, build_message(message_id))
    asked = ["missing@example.com", good, "also.missing@example.com"]
    result = recall(asked, message_id)
    assert [row["username"] for row in result.rows] == asked
    assert result.statuses() == dict(zip(asked, ["no_user", "expunged",
                                                 "no_user"]))
    assert result.row(asked[0])["copies"] == "0"
    assert result.code == 0
    assert recall(asked[0], message_id).status() == "no_user"


def test_each_user_once(node, user, message_id, recall):
    node.lmtp_deliver(user, build_message(message_id))
    result = recall([user, user, user], message_id)
    assert result.status(user) == "expunged"


def test_many_users(node, users, message_id, recall):
    asked = users.take(20)
    node.lmtp_deliver(asked[::2], build_message(message_id))
    result = recall(asked, message_id)
    assert [row["username"] for row in result.rows] == asked
    assert [row["status"] for row in result.rows] == \
        ["expunged", "not_found"] * 10
    assert sum(node.count(user) for user in asked) == 0


def test_names_that_are_no_users(node, user, message_id, recall):
    node.lmtp_deliver(user, build_message(message_id))
    asked = ["", "*", "user*@example.com", "a b@example.com", "x" * 300,
             "../" + user, "%u@example.com", user]
    result = recall(asked, message_id, force=True)
    assert [row["username"] for row in result.rows] == asked
    assert [row["status"] for row in result.rows] == \
        ["no_user"] * 7 + ["expunged"]


@pytest.mark.parametrize("mask", ["masked*@example.com", "masked?@*",
                                  "MASKED*"])
def test_mask(node, message_id, shell, mask):
    names = sorted(MASKED)
    node.lmtp_deliver(names[:2], build_message(message_id))
    result = shell("-u", mask, "--no-notify", message_id)
    assert sorted(result.statuses()) == names
    assert [result.status(name) for name in names] == \
        ["expunged", "expunged", "not_found"]
    assert result.code == 0


def test_unusual_names(message_id):
    """What auth_username_chars lets through is a user like any other."""
    names = ["john doe@example.com", "ann+x@example.com", "a&b@example.com",
             "-u@example.com", "жук@example.com"]
    with MailNode(driver=DRIVERS[-1], users=names,
                  extra="auth_username_chars =\n") as node:
        for name in names:
            node.doveadm("save", "-u", name,
                         input=build_message(message_id).decode())
        result = run_shell(node, "-A", message_id)
        assert result.statuses() == dict.fromkeys(names, "expunged")
        assert {row["notice"] for row in result.rows} == {"sent"}
        for name in names:
            assert run_shell(node, "--users=" + name,
                             message_id).status(name) == "not_found"
        assert run_shell(node, "-u", " " + names[0],
                         message_id).status() == "no_user"
        assert node.errors() == []


def test_listed_names_that_nobody_can_be_asked_for_by(message_id):
    """Who is listed is there: that there is no such user is no answer."""
    names = ["a*b@example.com", "a?c@example.com", "plain@example.com"]
    with MailNode(driver=DRIVERS[-1], users=names,
                  extra="auth_username_chars =\n") as node:
        node.lmtp_deliver(names, build_message(message_id))
        for args in ["-A"], ["-u", "*@example.com"], ["-A", "--jobs=2"]:
            result = run_shell(node, *args, "--dry-run", message_id)
            assert result.code == EX_TEMPFAIL
            assert result.statuses() == {
                names[0]: "error", names[1]: "error",
                names[2]: "would_expunge"}
            assert "mask" in result.row(names[0])["error"]
        assert run_shell(node, "--users=" + names[0],
                         message_id).status() == "no_user"
        listed = node.doveadm("-f", "tab", "recall", "users")
        assert parse_tab(listed.stdout) == [{"username": names[2]}]
        assert names[0] in listed.stderr and names[1] in listed.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs several system users")
def test_users_of_several_accounts(message_id):
    """Accounts that settings name are each user's own, whose turn it is in one
    request: nobody else may look into their mail."""
    accounts = ["mail", "nobody", "daemon", "nobody", "mail", "daemon"]
    names = {"user%d@example.com" % index: account
             for index, account in enumerate(accounts)}
    fields = {name: {"mail_uid": account, "mail_gid": "mail"}
              for name, account in names.items()}
    fields["lost@example.com"] = {"mail_uid": "no-such-account"}
    with MailNode(driver=DRIVERS[-1], users=fields) as node:
        (node.dir / "mail").chmod(0o777)
        for name, account in names.items():
            node.lmtp_deliver(name, build_message(message_id))
            home = node.home(name).stat()
            assert home.st_uid == pwd.getpwnam(account).pw_uid
            assert home.st_mode & 0o077 == 0
        result = run_shell(node, "-A", "--jobs=1", message_id)
        assert result.statuses() == {**dict.fromkeys(names, "expunged"),
                                     "lost@example.com": "error"}
        for name in names:
            owners = {path.stat().st_uid
                      for path in node.home(name).rglob("*")}
            assert owners == {node.home(name).stat().st_uid}
        assert node.panics() == []


def test_mask_over_http(node, message_id):
    names = sorted(MASKED)
    node.lmtp_deliver(names, build_message(message_id))
    result = run_http(node, user="masked*", messageId=message_id,
                      noNotify=True)
    assert result.statuses() == dict.fromkeys(names, "expunged")


def test_mask_without_match(node, message_id, shell):
    result = shell("-u", "nobody*@example.com", message_id)
    assert result.rows == []
    assert result.code == EX_NOUSER


@pytest.mark.log_errors("user\\d+@example.com")
def test_everyone(node, users, message_id, shell):
    have = users.take(2) + sorted(MASKED)[:1]
    node.lmtp_deliver(have, build_message(message_id))
    result = shell("-A", "--no-notify", message_id)
    statuses = result.statuses()
    assert len(statuses) == len(result.rows)
    assert set(statuses) == set(node.users)
    broken = {name for name, entry in node.users.items()
              if "mail" in entry["fields"]}
    assert {name for name, status in statuses.items()
            if status == "expunged"} == set(have)
    assert {name for name, status in statuses.items()
            if status == "error"} == broken
    assert set(statuses.values()) == {"expunged", "not_found", "error"}


@pytest.mark.log_errors("user\\d+@example.com")
def test_everyone_over_http(node, users, message_id):
    have = users.take(1)
    node.lmtp_deliver(have, build_message(message_id))
    result = run_http(node, allUsers=True, messageId=message_id,
                      noNotify=True)
    statuses = result.statuses()
    assert set(statuses) == set(node.users)
    assert [name for name, status in statuses.items()
            if status == "expunged"] == have


FILE_LINES = ["", "{0}", "   ", "not a user", "\t{1} \r", "*", "{0}",
              "missing@example.com", "", "{2}"]


def check_file_rows(result, asked):
    assert [row["username"] for row in result.rows] == \
        [asked[0], "not a user", asked[1], "*", "missing@example.com",
         asked[2]]
    assert [row["status"] for row in result.rows] == \
        ["expunged", "no_user", "expunged", "no_user", "no_user", "not_found"]


def test_user_file(node, users, message_id, shell, tmp_path):
    asked = users.take(3)
    node.lmtp_deliver(asked[:2], build_message(message_id))
    path = tmp_path / "users"
    # as some editors begin a file, and no newline at its end
    path.write_text("\n".join(FILE_LINES[1:]).format(*asked),
                    encoding="utf-8-sig")
    result = shell("-F", path, "--no-notify", message_id)
    check_file_rows(result, asked)
    assert result.code == 0
    assert sum(node.count(user) for user in asked) == 0


def test_user_file_over_http(node, users, message_id):
    asked = users.take(3)
    node.lmtp_deliver(asked[:2], build_message(message_id))
    result = run_http(node, userFile="\n".join(FILE_LINES).format(*asked),
                      messageId=message_id, noNotify=True)
    check_file_rows(result, asked)


def test_user_file_with_nobody(node, message_id, shell, tmp_path):
    path = tmp_path / "users"
    path.write_text("\n  \n\n")
    result = shell("-F", path, message_id)
    assert result.rows == []


def test_empty_list(node, message_id):
    """An empty list is nobody, not everybody."""
    result = run_http(node, users=[], messageId=message_id, force=True)
    assert (result.code, result.rows) == (0, [])


def test_user_file_that_is_missing(node, message_id, shell, tmp_path):
    done = node.doveadm("recall", "expunge", "-F", tmp_path / "missing",
                        message_id, check=False)
    assert done.returncode not in (0, EX_TEMPFAIL)
    assert "@" not in done.stdout


# how it answers

def formatted(node, formatter, *args):
    done = node.doveadm("-f", formatter, "recall", "expunge", "--no-notify",
                        *args)
    return done.stdout


@pytest.fixture
def two(node, users, message_id):
    """One user who has it in a mailbox with a hard name, one unknown."""
    user, = users.take()
    node.append(user, "tab=\"Я\", x", build_message(message_id))
    return user, "missing@example.com"


def test_format_tab(node, two, message_id):
    text = formatted(node, "tab", "--users", two[0], "--users", two[1],
                     message_id)
    assert text.splitlines()[0].split("\t") == COLUMNS
    rows = parse_tab(text)
    assert [(row["username"], row["status"], row["mailboxes"])
            for row in rows] == [(two[0], "expunged", "tab=\"Я\"\\, x"),
                                 (two[1], "no_user", "")]


def test_format_json(node, two, message_id):
    rows = json.loads(formatted(node, "json", "--users", two[0], "--users",
                                two[1], message_id))
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    assert [(row["username"], row["status"], row["mailboxes"])
            for row in rows] == [(two[0], "expunged", "tab=\"Я\"\\, x"),
                                 (two[1], "no_user", "")]


def test_format_flow(node, two, message_id):
    lines = formatted(node, "flow", "--users", two[0], "--users", two[1],
                      message_id).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("username=%s status=expunged copies=1 "
                               "notice=none mailboxes=tab=" % two[0])
    assert lines[1].startswith("username=%s status=no_user copies=0 "
                               "notice=none mailboxes= mailbox-guids= "
                               "recall-id=" % two[1])


@pytest.mark.parametrize("default", [False, True])
def test_format_table(node, two, message_id, default):
    args = ["--users", two[0], "--users", two[1], message_id]
    if default:
        text = node.doveadm("recall", "expunge", "--no-notify", *args).stdout
    else:
        text = formatted(node, "table", *args)
    lines = text.splitlines()
    # at a terminal without the ids
    assert lines[0].split() == (COLUMNS if not default else [
        "username", "status", "copies", "notice", "mailboxes", "error"])
    assert lines[1].split()[:4] == [two[0], "expunged", "1", "none"]
    assert lines[2].split()[:4] == [two[1], "no_user", "0", "none"]
    assert len(lines) == 3


def test_long_names_of_parameters_and_command(node, user, message_id):
    node.lmtp_deliver(user, build_message(message_id))
    result = run_http(node, **{"users": [user], "message-id": message_id,
                               "no-notify": True})
    assert result.status(user) == "expunged"


def test_curl(node, users, message_id):
    """As an administrator would ask, with the key in place of a password, and
    several commands in one request."""
    asked = users.take(2)
    node.lmtp_deliver(asked, build_message(message_id))
    commands = [["recallExpunge", {"users": [user], "messageId": message_id,
                                   "noNotify": True}, "tag %d" % i]
                for i, user in enumerate(asked)]
    key = base64.b64encode(node.doveadm_api_key.encode()).decode()
    done = subprocess.run(
        ["curl", "-sS", "--fail", "-H", "Authorization: X-Dovecot-API " + key,
         "-H", "Content-Type: application/json", "--data-binary",
         json.dumps(commands), node.http_url], capture_output=True, text=True,
        check=True, timeout=60)
    answers = json.loads(done.stdout)
    assert [(answer[0], answer[1][0]["username"], answer[1][0]["status"],
             answer[2]) for answer in answers] == [
        ("doveadmResponse", asked[0], "expunged", "tag 0"),
        ("doveadmResponse", asked[1], "expunged", "tag 1")]


def test_one_process_serves_many_requests(node, users, message_id):
    """Nothing of a request is left over in the process for the next one."""
    asked = users.take(3)
    node.lmtp_deliver(asked, build_message(message_id))
    first = run_http(node, users=[asked[0]], messageId=message_id,
                     dryRun=True, sender=["sender@example.com"])
    second = run_http(node, users=[asked[1]], messageId=message_id,
                      noNotify=True)
    third = run_http(node, users=[asked[2]], messageId=message_id,
                     noNotify=True, force=True)
    assert (first.status(), second.status(), third.status()) == \
        ("would_expunge", "expunged", "expunged")
    ids = {result.row()["recall-id"] for result in (first, second, third)}
    assert len(ids) == 3


# what it refuses

BAD_IDS = ["", " ", "<>", " <> ", "<", "a.b.c", "unseen",
           "<a\x01b@example.com>",
           "<a@example.com>\n", "<a\r\n b@example.com>", "<a\tb@example.com>",
           "<a\x7f@example.com>", "<%s@example.com>" % ("x" * 1000)]


@pytest.fixture
def guarded(node, users):
    """A user with one message, which must be left as it is."""
    user, = users.take()
    node.lmtp_deliver(user, build_message("<a@example.com>"))
    before = node.messages(user)
    yield user
    assert node.messages(user) == before


@pytest.mark.log_errors("recall expunge: The Message-ID")
@pytest.mark.parametrize("bad", BAD_IDS, ids=[ascii(i)[:24] for i in BAD_IDS])
def test_refused_id(node, guarded, recall, bad):
    result = recall([guarded], bad, force=True)
    assert result.code == EX_USAGE
    assert result.rows == []
    if recall.name == "shell":
        assert "recall expunge: The Message-ID" in result.stderr


@pytest.mark.log_errors("recall expunge")
@pytest.mark.parametrize("texts", [
    {"sender": [""]}, {"sender": ["nobody"]}, {"sender": ["a@b, c@d"]},
    {"tenant": ""}, {"recall_id": ""}, {"recall_id": "0123"},
    {"recall_id": "g" * 32}, {"recall_id": "A" * 32},
    {"reason": "a\nb"}, {"reason": "x" * 1025}, {"actor": "a\x01b"},
    {"actor": "x" * 300},
], ids=lambda texts: "%s=%.12r" % list(texts.items())[0])
def test_refused_parameter(node, guarded, recall, texts):
    result = recall([guarded], "<a@example.com>", force=True, **texts)
    assert result.code == EX_USAGE
    assert result.rows == []


@pytest.mark.parametrize("args", [
    [], ["-u", "{user}", "-A"], ["-u", "{user}", "--users", "{user}"],
    ["-F", "/dev/null", "-A"]],
    ids=["nobody", "one-and-all", "one-and-list", "file-and-all"])
def test_unclear_users(node, guarded, shell, args):
    args = [arg.format(user=guarded) for arg in args]
    result = shell(*args, "--force", "<a@example.com>")
    assert result.code == EX_USAGE
    assert result.rows == []


def test_batch_as_large_as_may_be(node):
    """What mail-recalld asks for at once, Dovecot's HTTP API takes."""
    users = ["nobody%d@example.com" % i for i in range(BATCH_MAX)]
    result = run_http(node, users=users, messageId="<a@example.com>")
    assert result.statuses() == dict.fromkeys(users, "no_user")


def test_usage(node, guarded, shell):
    assert shell("-u", guarded).code == EX_USAGE
    assert shell("-u", guarded, "<a@example.com>", "extra").code == EX_USAGE
    assert shell("-u", guarded, "--unknown", "<a@example.com>").code == \
        EX_USAGE


@pytest.mark.log_errors("recall expunge|recallExpunge")
@pytest.mark.parametrize("parameters", [
    {"messageId": "<a@example.com>"},
    {"users": ["{user}"]},
    {"users": ["{user}"], "allUsers": True, "messageId": "<a@example.com>"},
    {"users": ["{user}"], "messageId": "<a@example.com>", "sender": []},
], ids=["nobody", "no-id", "list-and-all", "no-sender"])
def test_unclear_http_request(node, guarded, parameters):
    text = json.dumps([["recallExpunge", dict(parameters, force=True),
                        "tag"]]).replace("{user}", guarded)
    answer = node.doveadm_http(json.loads(text))
    assert answer == [["error", {"type": "exitCode", "exitCode": EX_USAGE},
                       "tag"]]


@pytest.mark.parametrize("value", [1, 0, "yes", "1", ""])
@pytest.mark.parametrize("name", ["dryRun", "dry-run", "noNotify"])
@pytest.mark.log_errors("is neither true nor false")
def test_http_flag_that_is_none(node, user, message_id, name, value):
    """What is meant for a dry run must not delete anything."""
    node.lmtp_deliver(user, build_message(message_id))
    answer = node.doveadm_http([["recallExpunge", {
        "users": [user], "messageId": message_id, name: value}, "tag"]])
    assert answer == [["error", {"type": "exitCode", "exitCode": EX_USAGE},
                       "tag"]]
    assert node.count(user) == 1


@pytest.mark.parametrize("value", [True, "true", False, "false"])
def test_http_flag(node, user, message_id, value):
    node.lmtp_deliver(user, build_message(message_id))
    result = run_http(node, users=[user], messageId=message_id, dryRun=value,
                      noNotify=value)
    wet = value in (False, "false")
    assert result.status() == ("expunged" if wet else "would_expunge")
    assert result.row()["notice"] == ("sent" if wet else "none")


@pytest.mark.parametrize("parameters", [
    {"users": ["{user}"], "messageId": "<a@example.com\0>"},
    {"users": ["{user}"], "messageId": "<a@example.com>", "unknown": 1},
], ids=["nul", "unknown"])
@pytest.mark.log_errors("recall|JSON|json|[Pp]arameter")
def test_malformed_http_request(node, guarded, parameters):
    body = json.dumps([["recallExpunge", dict(parameters, force=True),
                        "tag"]]).replace("{user}", guarded)
    status, answer = node.http(body=body)
    assert status == 400 or (status == 200 and b"exitCode" in answer), answer


def test_http_without_password(node, guarded):
    body = json.dumps([["recallExpunge", {
        "users": [guarded], "messageId": "<a@example.com>"}, "tag"]])
    assert node.http(body=body, headers={})[0] == 401


def test_other_node(node, users, message_id, shell):
    """What Dovecot hands over to another doveadm-server is one recall, too."""
    read, unread = users.take(2)
    node.lmtp_deliver([read, unread], build_message(message_id))
    node.set_flags(read, "INBOX", ["\\Seen"])
    asked = [unread, "missing@example.com", read]
    args = [arg for name in asked for arg in ("--users", name)]
    result = shell("-S", str(node.dir / "run/doveadm-server"), *args,
                   "--sender", "sender@example.com", "--reason", "a b",
                   message_id)
    assert result.statuses() == dict(zip(asked, ["expunged", "no_user",
                                                 "read"]))
    assert len({row["recall-id"] for row in result.rows}) == 1
    assert (node.count(unread), node.count(read)) == (1, 2)
