"""Sharing mailboxes: doveadm recall share, unshare, shares."""

import concurrent.futures
import contextlib
import itertools
import os
import re

import pytest

from conftest import EX_NOUSER, EX_TEMPFAIL, EX_USAGE, parse_tab
from mailnode import MailNode, build_message, imap_quote, mailbox_utf7

EX_DATAERR = 65
EX_NOHOST = 68
EX_NOPERM = 77

COLUMNS = ["owner", "mailbox", "user", "rights", "subscribed-as", "status",
           "error"]
SHARES_COLUMNS = ["direction", "owner", "mailbox", "user", "rights",
                  "subscribed", "name", "status", "error"]

RIGHTS = ["lookup", "read", "write", "write-seen", "write-deleted", "insert",
          "post", "expunge", "create", "delete", "admin"]
READER = "lookup read write-seen"
EDITOR = "lookup read write write-seen write-deleted insert post expunge"

# Dovecot puts the shared INBOX where the owner's name is.
NAMES = ["INBOX", "Work", "Work/2026/Март", "Отчёты & Co", "a * b %", "ф" * 40]


class ShellShare:
    """The commands at the shell."""

    def __init__(self, node):
        self.node = node
        self.code = None

    def run(self, command, *args):
        done = self.node.doveadm("-f", "tab", "recall", command, *args,
                                 check=False)
        assert "Panic" not in done.stderr, done
        self.code = done.returncode
        self.stderr = done.stderr
        rows = parse_tab(done.stdout)
        columns = SHARES_COLUMNS if command == "shares" else COLUMNS
        assert all(list(row) == columns for row in rows)
        return rows

    def change(self, command, owner, mailbox, other, rights, tenant):
        args = ["--tenant=" + tenant] if tenant is not None else []
        rows = self.run(command, "-u", owner, *args, "--", mailbox,
                        "user=" + other, *rights)
        return rows[0] if rows else None

    def share(self, owner, mailbox, other, *rights, tenant=None):
        return self.change("share", owner, mailbox, other, rights, tenant)

    def unshare(self, owner, mailbox, other, tenant=None):
        return self.change("unshare", owner, mailbox, other, (), tenant)

    def shares(self, user, tenant=None):
        args = ["--tenant=" + tenant] if tenant is not None else []
        return self.run("shares", "-u", user, *args)


class HttpShare:
    """The commands over HTTP."""

    def __init__(self, node):
        self.node = node
        self.code = 0

    def run(self, command, **parameters):
        answer = self.node.doveadm_http([[command, parameters, "tag"]])
        assert len(answer) == 1 and answer[0][2] == "tag", answer
        if answer[0][0] == "error":
            assert answer[0][1]["type"] == "exitCode", answer
            self.code = answer[0][1]["exitCode"]
            return []
        self.code = 0
        return answer[0][1]

    def change(self, command, **parameters):
        rows = self.run(command, **{name: value
                                    for name, value in parameters.items()
                                    if value is not None})
        assert len(rows) <= 1
        if rows:
            assert list(rows[0]) == COLUMNS
        return rows[0] if rows else None

    def share(self, owner, mailbox, other, *rights, tenant=None):
        return self.change("recallShare", user=owner, mailbox=mailbox,
                           identifier="user=" + other, rights=list(rights),
                           tenant=tenant)

    def unshare(self, owner, mailbox, other, tenant=None):
        return self.change("recallUnshare", user=owner, mailbox=mailbox,
                           identifier="user=" + other, tenant=tenant)

    def shares(self, user, tenant=None):
        parameters = {} if tenant is None else {"tenant": tenant}
        return self.run("recallShares", user=user, **parameters)


WAYS = [pytest.param(ShellShare, id="shell"),
        pytest.param(HttpShare, id="http")]


@pytest.fixture(params=WAYS)
def api(request, node):
    return request.param(node)


@pytest.fixture
def sh(node):
    return ShellShare(node)


@pytest.fixture
def pair(users):
    return users.take(2)


class State:
    """What sharing may change. Equal states: nothing has changed."""

    def __init__(self, node, owner, other, mailbox):
        done = node.doveadm("-f", "tab", "acl", "get", "-u", owner, mailbox)
        self.acl = sorted(done.stdout.splitlines()[1:])
        self.subscriptions = subscriptions(node, other)
        path = node.dir / "mail/shared-mailboxes"
        self.dict = sorted(line for line in path.read_text().splitlines()
                           if owner in line) if path.exists() else []

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return repr(vars(self))


def subscriptions(node, user):
    done = node.doveadm("mailbox", "list", "-s", "-u", user)
    return sorted(done.stdout.splitlines())


def acl_entry(node, owner, mailbox, other):
    done = node.doveadm("-f", "tab", "acl", "get", "-u", owner, mailbox)
    for line in done.stdout.splitlines()[1:]:
        identifier, _, rights = line.split("\t")
        if identifier == "user=" + other:
            return sorted(rights.split())
    return None


def shared_name(owner, mailbox, prefix="shared/"):
    return prefix + owner + ("" if mailbox == "INBOX" else "/" + mailbox)


def imap_names(connection, command="LIST"):
    """Names that LIST or LSUB shows and that can be selected."""
    answer = getattr(connection, command.lower())('""', '"*"')[1]
    names = set()
    for line in answer:
        if line is None:
            continue
        if isinstance(line, tuple):
            flags, name = line[0].decode(), line[1].decode()
        else:
            flags, name = re.fullmatch(r'(\(.*?\) "?.*?"?) "?(.*?)"?',
                                       line.decode()).groups()
        if not re.search(r"\\(NonExistent|Noselect)", flags, re.I):
            names.add(name.replace("\\\\", "\\").replace('\\"', '"'))
    return names


@contextlib.contextmanager
def session(node, user):
    connection = node.imap(user)
    try:
        yield connection
    finally:
        connection.logout()


def select(connection, name):
    return connection.select(imap_quote(name))[0]


def assert_reads(node, user, name, message_id):
    """A real session lists, selects and fetches the mail."""
    with session(node, user) as connection:
        assert mailbox_utf7(name) in imap_names(connection)
        assert mailbox_utf7(name) in imap_names(connection, "LSUB")
        assert select(connection, name) == "OK"
        data = connection.fetch("1", "(BODY.PEEK[])")[1]
        assert message_id.encode() in data[0][1]


def assert_gone(node, user, name):
    with session(node, user) as connection:
        assert mailbox_utf7(name) not in imap_names(connection)
        assert mailbox_utf7(name) not in imap_names(connection, "LSUB")
        assert select(connection, name) == "NO"


def fill(node, owner, mailbox, message_id):
    message = build_message(message_id, to=owner)
    node.append(owner, mailbox, message)


# what sharing is for

@pytest.mark.smoke
@pytest.mark.parametrize("mailbox", NAMES, ids=ascii)
def test_read_and_vanish(node, api, pair, message_id, mailbox):
    owner, other = pair
    name = shared_name(owner, mailbox)
    fill(node, owner, mailbox, message_id)
    before = State(node, owner, other, mailbox)

    assert api.share(owner, mailbox, other, "reader") == {
        "owner": owner, "mailbox": mailbox, "user": other, "rights": READER,
        "subscribed-as": name, "status": "shared", "error": ""}
    assert api.code == 0
    assert_reads(node, other, name, message_id)
    assert acl_entry(node, owner, mailbox, other) == READER.split()

    out = {"direction": "out", "owner": owner, "mailbox": mailbox,
           "user": other, "rights": READER, "subscribed": "yes",
           "name": name, "status": "shared", "error": ""}
    assert api.shares(owner) == [out]
    assert api.shares(other) == [dict(out, direction="in")]

    assert api.unshare(owner, mailbox, other) == {
        "owner": owner, "mailbox": mailbox, "user": other, "rights": READER,
        "subscribed-as": name, "status": "unshared", "error": ""}
    assert api.code == 0
    assert_gone(node, other, name)
    assert State(node, owner, other, mailbox) == before
    assert api.shares(owner) == api.shares(other) == []

    # the owner's mail is the owner's as before
    with session(node, owner) as connection:
        assert select(connection, mailbox) == "OK"
        data = connection.fetch("1", "(BODY.PEEK[])")[1]
        assert message_id.encode() in data[0][1]


def test_only_that_mailbox_and_that_user(node, sh, users, message_id):
    owner, other, third = users.take(3)
    for mailbox in ("Work", "Work/Sub", "Private"):
        fill(node, owner, mailbox, message_id)
    assert sh.share(owner, "Work", other, "owner")["status"] == "shared"
    with session(node, other) as connection:
        names = {name for name in imap_names(connection) if owner in name}
        assert names == {shared_name(owner, "Work")}
        for mailbox in ("Work/Sub", "Private", "INBOX"):
            assert select(connection, shared_name(owner, mailbox)) == "NO"
    assert_gone(node, third, shared_name(owner, "Work"))


def test_mailboxes_made_below(node, sh, pair, message_id):
    """They have the rights of the one above, as Dovecot makes them; `shares`
    has them all."""
    owner, other = pair
    fill(node, owner, "Work", message_id)
    assert sh.share(owner, "Work", other, "reader")["status"] == "shared"
    with session(node, owner) as connection:
        assert connection.create("Work/New")[0] == "OK"
    assert sh.unshare(owner, "Work", other)["status"] == "unshared"
    assert [(row["mailbox"], row["user"], row["rights"])
            for row in sh.shares(owner)] == [("Work/New", other, READER)]
    assert sh.unshare(owner, "Work/New", other)["status"] == "unshared"
    assert sh.shares(owner) == []


def test_presets_in_sessions(node, sh, users, message_id):
    owner, reader, editor, full = users.take(4)
    fill(node, owner, "Work", message_id)
    name = shared_name(owner, "Work")
    for user, preset in ((reader, "reader"), (editor, "editor"),
                         (full, "owner")):
        assert sh.share(owner, "Work", user, preset)["status"] == "shared"
    message = build_message("<more%s" % message_id[1:])

    with session(node, reader) as connection:
        assert connection.append(imap_quote(name), None, None,
                                 message)[0] == "NO"
        assert select(connection, name) == "OK"
        connection.store("1", "+FLAGS", "(\\Flagged \\Seen)")
        assert connection.create(imap_quote(name + "/new"))[0] == "NO"
    with session(node, owner) as connection:
        assert select(connection, "Work") == "OK"
        flags = connection.fetch("1", "(FLAGS)")[1][0]
        assert b"\\Seen" in flags and b"\\Flagged" not in flags

    with session(node, editor) as connection:
        assert connection.append(imap_quote(name), None, None,
                                 message)[0] == "OK"
        assert select(connection, name) == "OK"
        connection.store("1", "+FLAGS", "(\\Deleted)")
        assert connection.expunge()[0] == "OK"
        assert connection.create(imap_quote(name + "/new"))[0] == "NO"
        assert connection.delete(imap_quote(name))[0] == "NO"
    assert [message.split(b"\r\n\r\n")[0] for message in
            node.messages(owner, "Work")] == [message.split(b"\r\n\r\n")[0]]

    with session(node, full) as connection:
        assert connection.create(imap_quote(name + "/new"))[0] == "OK"
        assert connection.setacl(imap_quote(name), reader, "lr")[0] == "OK"


# rights

@pytest.mark.parametrize("words, expected", [
    (["reader"], READER),
    (["editor"], EDITOR),
    (["owner"], " ".join(RIGHTS)),
    (["lrs"], READER),
    (["lrwstipekxa"], " ".join(RIGHTS)),
    (["expunge", "lookup", "read"], "lookup read expunge"),
    (["reader", "insert", "te"],
     "lookup read write-seen write-deleted insert expunge"),
    (["lookup,read", "write seen".replace(" ", "-")], READER),
    (RIGHTS, " ".join(RIGHTS)),
], ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_rights(node, api, pair, words, expected):
    owner, other = pair
    row = api.share(owner, "INBOX", other, *words)
    assert (row["status"], row["rights"]) == ("shared", expected)
    assert acl_entry(node, owner, "INBOX", other) == sorted(expected.split())


@pytest.mark.log_errors("There is no right|No rights are given")
@pytest.mark.parametrize("words", [
    [], [""], ["raeder"], ["lookup", "all"], ["lrq"], ["-read"], ["LOOKUP"],
    ["lookup", "read\n"], ["чтение"], ["x" * 5000],
], ids=lambda words: ascii(words)[:20])
def test_refused_rights(node, api, pair, words):
    owner, other = pair
    before = State(node, owner, other, "INBOX")
    assert api.share(owner, "INBOX", other, *words) is None
    assert api.code == EX_USAGE
    assert State(node, owner, other, "INBOX") == before


def test_rights_are_replaced(node, api, pair):
    owner, other = pair
    assert api.share(owner, "INBOX", other, "owner")["status"] == "shared"
    # what stock commands add and deny goes, too
    node.doveadm("acl", "add", "-u", owner, "--", "INBOX", "user=" + other,
                 "-admin")
    for _ in range(2):
        row = api.share(owner, "INBOX", other, "lookup", "read")
        assert (row["status"], row["rights"]) == ("shared", "lookup read")
        assert acl_entry(node, owner, "INBOX", other) == ["lookup", "read"]
        assert subscriptions(node, other) == [shared_name(owner, "INBOX")]


def test_without_lookup(node, api, pair):
    """Nobody subscribes to what doesn't show."""
    owner, other = pair
    row = api.share(owner, "INBOX", other, "post")
    assert (row["status"], row["subscribed-as"]) == ("shared", "")
    assert subscriptions(node, other) == []
    assert api.share(owner, "INBOX", other, "reader")["status"] == "shared"
    assert subscriptions(node, other) == [shared_name(owner, "INBOX")]
    assert api.share(owner, "INBOX", other, "post")["status"] == "shared"
    assert subscriptions(node, other) == []
    assert api.shares(other) == []
    assert api.share(owner, "INBOX", other, "read")["status"] == "shared"
    assert api.shares(other) == []


def test_others_keep_theirs(node, api, users):
    owner, other, third = users.take(3)
    node.doveadm("acl", "set", "-u", owner, "INBOX", "group=staff", "lookup")
    assert api.share(owner, "INBOX", third, "owner")["status"] == "shared"
    assert api.share(owner, "INBOX", other, "reader")["status"] == "shared"
    assert {row["user"]: row["rights"] for row in api.shares(owner)} == {
        "group=staff": "lookup", other: READER, third: " ".join(RIGHTS)}
    assert api.unshare(owner, "INBOX", other)["status"] == "unshared"
    assert {row["user"]: row["rights"] for row in api.shares(owner)} == {
        "group=staff": "lookup", third: " ".join(RIGHTS)}
    assert subscriptions(node, third) == [shared_name(owner, "INBOX")]


# who and what

def test_not_shared(node, api, pair):
    owner, other = pair
    before = State(node, owner, other, "INBOX")
    row = api.unshare(owner, "INBOX", other)
    assert (row["status"], row["rights"], row["subscribed-as"]) == \
        ("not_shared", "", "")
    assert other in row["error"]
    assert api.code == (0 if isinstance(api, HttpShare) else EX_NOHOST)
    assert State(node, owner, other, "INBOX") == before


def test_missing_users(node, api, user):
    for owner, other in ((user, "nobody@example.com"),
                         ("nobody@example.com", user)):
        for row in (api.share(owner, "INBOX", other, "reader"),
                    api.unshare(owner, "INBOX", other)
                    if owner != user else None):
            if row is None:
                continue
            assert (row["owner"], row["user"], row["status"]) == \
                (owner, other, "no_user")
            assert row["error"] != ""
            assert api.code == (0 if isinstance(api, HttpShare)
                                else EX_NOUSER)
    assert acl_entry(node, user, "INBOX", "nobody@example.com") is None


def test_unshare_from_deleted_user(node, api, user):
    """An ACL may outlive the one it was for."""
    node.doveadm("acl", "set", "-u", user, "INBOX", "user=gone@example.com",
                 "lookup", "read")
    assert [(row["user"], row["subscribed"], row["name"])
            for row in api.shares(user)] == [("gone@example.com", "", "")]
    row = api.unshare(user, "INBOX", "gone@example.com")
    assert (row["status"], row["rights"]) == ("unshared", "lookup read")
    assert acl_entry(node, user, "INBOX", "gone@example.com") is None


def test_missing_mailbox(node, api, pair):
    owner, other = pair
    for row in (api.share(owner, "Nowhere", other, "reader"),
                api.unshare(owner, "Nowhere", other)):
        assert row["status"] == "no_mailbox"
        assert api.code == (0 if isinstance(api, HttpShare) else EX_NOHOST)
    assert subscriptions(node, other) == []


def test_not_possible(node, api, users):
    owner, other, third = users.take(3)
    assert api.share(third, "INBOX", owner, "owner")["status"] == "shared"
    for mailbox, user in (("INBOX", owner),
                          (shared_name(third, "INBOX"), other)):
        row = api.share(owner, mailbox, user, "reader")
        assert row["status"] == "not_possible"
        assert row["error"] != ""
        assert api.code == (0 if isinstance(api, HttpShare) else EX_DATAERR)
    assert subscriptions(node, other) == []
    assert acl_entry(node, third, "INBOX", other) is None


def test_bad_mailbox_names(node, api, pair):
    owner, other = pair
    for mailbox in ("../../etc", "a//b", "/", "~root", "x" * 2000):
        row = api.share(owner, mailbox, other, "reader")
        assert row["status"] in ("no_mailbox", "not_possible"), mailbox
    assert subscriptions(node, other) == []


@pytest.mark.log_errors("recall (un)?share: ")
def test_refused_parameters(node, sh, pair):
    owner, other = pair
    before = State(node, owner, other, "INBOX")
    for args in (("INBOX", "user=" + other, "reader"),
                 ("-u", owner),
                 ("-u", owner, "INBOX"),
                 ("-u", owner, "", "user=" + other, "reader"),
                 ("-u", owner, b"\xff\xfe", "user=" + other, "reader"),
                 ("-u", owner, "a\r\nb", "user=" + other, "reader"),
                 ("-u", owner, "INBOX", other, "reader"),
                 ("-u", owner, "INBOX", "anyone", "reader"),
                 ("-u", owner, "INBOX", "group=" + other, "reader"),
                 ("-u", owner, "INBOX", "-user=" + other, "reader"),
                 ("-u", owner, "INBOX", "user=", "reader"),
                 ("-u", owner, "INBOX", "user=*", "reader"),
                 ("-u", owner, "INBOX", "user=a b", "reader"),
                 ("-u", "*", "INBOX", "user=" + other, "reader"),
                 ("-u", "", "INBOX", "user=" + other, "reader"),
                 ("-u", owner, "--tenant=", "INBOX", "user=" + other,
                  "reader")):
        args = [os.fsdecode(arg) for arg in args]
        assert sh.run("share", *args) == []
        assert sh.code == EX_USAGE, args
    assert State(node, owner, other, "INBOX") == before


@pytest.mark.log_errors("recallShare|recall share|JSON|json|[Pp]arameter")
def test_refused_http_parameters(node, pair):
    owner, other = pair
    good = {"user": owner, "mailbox": "INBOX", "identifier": "user=" + other,
            "rights": ["reader"]}
    api = HttpShare(node)
    before = State(node, owner, other, "INBOX")
    for change in ({"user": None}, {"mailbox": None}, {"identifier": None},
                   {"rights": None}, {"rights": []}, {"user": "*"},
                   {"identifier": other}, {"user": ""},
                   {"mailbox": "a\nb"}):
        parameters = {name: value
                      for name, value in dict(good, **change).items()
                      if value is not None}
        assert api.run("recallShare", **parameters) == []
        assert api.code == EX_USAGE, change
    assert State(node, owner, other, "INBOX") == before
    assert api.run("recallShare", **good)[0]["status"] == "shared"


def test_names_as_the_userdb_has_them(node, api, pair):
    owner, other = pair
    row = api.share(owner.upper(), "inbox", other.upper(), "reader")
    assert (row["status"], row["owner"], row["mailbox"], row["user"]) == \
        ("shared", owner, "INBOX", other)
    assert_listed = shared_name(owner, "INBOX")
    assert subscriptions(node, other) == [assert_listed]
    assert api.unshare(owner, "INBOX", other.title())["status"] == "unshared"
    assert subscriptions(node, other) == []


def test_tenants(node, api, users):
    [owner, other] = users.take(2, tenant_id="t1")
    [stranger] = users.take(1, tenant_id="t2")
    for args in ((owner, "INBOX", stranger), (stranger, "INBOX", owner)):
        row = api.share(*args, "reader", tenant="t1")
        assert row["status"] == "forbidden"
        assert api.code == (0 if isinstance(api, HttpShare) else EX_NOPERM)
        assert acl_entry(node, args[0], "INBOX", args[2]) is None
        assert subscriptions(node, args[2]) == []
    assert api.share(owner, "INBOX", other, "reader",
                     tenant="t2")["status"] == "forbidden"
    assert api.share(owner, "INBOX", other, "reader",
                     tenant="t1")["status"] == "shared"
    assert api.unshare(owner, "INBOX", other,
                       tenant="t2")["status"] == "forbidden"
    assert subscriptions(node, other) == [shared_name(owner, "INBOX")]
    [row] = api.shares(owner, tenant="t2")
    assert row["error"] != "" and row["user"] == row["rights"] == ""
    [row] = api.shares(owner, tenant="t1")
    assert row["error"] == "" and row["user"] == other


def test_shares_of_many(node, sh, users):
    first, second, third = users.take(3)
    sh.share(first, "INBOX", second, "reader")
    sh.share(second, "INBOX", third, "editor")
    rows = sh.run("shares", "--users=" + second, "--users=nobody@example.com",
                  "--users=" + first)
    assert sh.code == EX_NOUSER
    assert [(row["direction"], row["owner"], row["user"]) for row in rows] == [
        ("in", first, second), ("out", second, third),
        ("", "nobody@example.com", ""), ("out", first, second)]
    assert [row["error"] != "" for row in rows] == [False, False, True, False]


def test_subscription_is_the_users_own(node, api, pair):
    """Whoever unsubscribes keeps the rights."""
    owner, other = pair
    api.share(owner, "INBOX", other, "reader")
    with session(node, other) as connection:
        connection.unsubscribe(imap_quote(shared_name(owner, "INBOX")))
    assert [row["subscribed"] for row in
            api.shares(owner) + api.shares(other)] == ["no", "no"]
    row = api.unshare(owner, "INBOX", other)
    assert (row["status"], row["subscribed-as"]) == ("unshared", "")


# failures

@pytest.mark.log_errors("Permission denied|Not all of the ACLs")
def test_mailboxes_that_cannot_be_listed(node, api, pair):
    """Nobody is told that nothing is shared."""
    owner, other = pair
    api.share(owner, "INBOX", other, "reader")
    home = node.home(owner)
    mode = home.stat().st_mode
    home.chmod(0)
    try:
        [row] = api.shares(owner)
    finally:
        home.chmod(mode)
    assert (row["status"], row["user"], row["rights"]) == ("error", "", "")
    assert row["error"].startswith("Not all of the ACLs can be read")
    assert [row["user"] for row in api.shares(owner)] == [other]


@pytest.mark.log_errors("Permission denied|Not all of the ACLs")
def test_mailboxes_below_what_cannot_be_listed(node, api, pair):
    if node.driver == "maildir":
        pytest.skip("all are in one directory")
    owner, other = pair
    for mailbox in ("Work", "Work/Sub"):
        fill(node, owner, mailbox, "<one@example.com>")
    api.share(owner, "Work/Sub", other, "reader")
    path = node.home(owner) / node.driver / "mailboxes/Work"
    mode = path.stat().st_mode
    path.chmod(0o311)
    try:
        [row] = api.shares(owner)
    finally:
        path.chmod(mode)
    assert (row["status"], row["user"], row["rights"]) == ("error", "", "")
    assert [row["user"] for row in api.shares(owner)] == [other]


@contextlib.contextmanager
def read_only(path):
    """A directory in which nothing can be changed, except by root."""
    mode = path.stat().st_mode
    path.chmod(0o555)
    try:
        yield
    finally:
        path.chmod(mode)


def mail_root(node, user):
    [path] = [path for path in node.home(user).iterdir() if path.is_dir()]
    return path


@pytest.mark.log_errors("ubscri|Permission denied|acl|dotlock")
@pytest.mark.parametrize("shared_before", [False, True])
def test_undone_if_subscribing_fails(node, api, pair, shared_before):
    owner, other = pair
    fill(node, other, "INBOX", "<own@example.com>")
    if shared_before:
        node.doveadm("acl", "set", "-u", owner, "--", "INBOX",
                     "user=" + other, "lookup", "read", "-write")
    before = State(node, owner, other, "INBOX")
    with read_only(mail_root(node, other)):
        row = api.share(owner, "INBOX", other, "owner")
        assert (row["status"], row["rights"], row["subscribed-as"]) == \
            ("error", "", "")
        assert "ubscri" in row["error"] and "undoing" not in row["error"]
        assert api.code == (0 if isinstance(api, HttpShare) else EX_TEMPFAIL)
    assert State(node, owner, other, "INBOX") == before
    assert api.share(owner, "INBOX", other, "owner")["status"] == "shared"

    before = State(node, owner, other, "INBOX")
    with read_only(mail_root(node, other)):
        assert api.unshare(owner, "INBOX", other)["status"] == "error"
    assert State(node, owner, other, "INBOX") == before
    assert api.unshare(owner, "INBOX", other)["status"] == "unshared"


@pytest.mark.log_errors("acl|Permission denied|dotlock|ACL")
def test_undone_if_the_acl_fails(node, api, pair):
    owner, other = pair
    fill(node, owner, "Work", "<own@example.com>")
    assert api.share(owner, "Work", other, "reader")["status"] == "shared"
    before = State(node, owner, other, "Work")
    [acl] = list(node.home(owner).rglob("dovecot-acl"))
    with read_only(acl.parent):
        for row in (api.share(owner, "Work", other, "owner"),
                    api.unshare(owner, "Work", other)):
            assert row["status"] == "error"
            assert "ACL" in row["error"]
    assert State(node, owner, other, "Work") == before


# nodes that are set up otherwise

OWNER, OTHER, STRANGER = "owner@example.com", "other@example.com", \
    "stranger@example.org"


@contextlib.contextmanager
def special_node(extra="", users=None, driver="sdbox", log_errors=None,
                 **args):
    names = {OWNER: {}, OTHER: {}, STRANGER: {}}
    names.update(users or {})
    with MailNode(driver=driver, users=names, acl=True, extra=extra,
                  **args) as node:
        for name in names:
            node.lmtp_deliver(name, build_message("<in@example.com>"))
        yield node, ShellShare(node)
        assert node.panics() == []
        assert node.errors(allow=log_errors) == []


@pytest.mark.parametrize("driver, prefix, expected", [
    ("sdbox", "others/%%d/%%n/", "others/example.com/owner"),
    ("maildir", "Andere/%%n@%%d/", "Andere/owner@example.com"),
    ("mdbox", "u/%%n/", "u/owner"),
    ("maildir", "Чужие/%%u/", "Чужие/owner@example.com"),
], ids=ascii)
def test_prefixes(driver, prefix, expected):
    extra = "namespace shared {\n  prefix = %s\n}\n" % prefix
    with special_node(extra, driver=driver) as (node, sh):
        fill(node, OWNER, "Work/Март", "<work@example.com>")
        for mailbox, name in (("INBOX", expected),
                              ("Work/Март", expected + "/Work/Март")):
            row = sh.share(OWNER, mailbox, OTHER, "reader")
            assert (row["status"], row["subscribed-as"]) == ("shared", name)
            assert_reads(node, OTHER, name, "@example.com>")
        assert {row["name"] for row in sh.shares(OTHER)} == \
            {expected, expected + "/Work/Март"}
        assert sh.unshare(OWNER, "INBOX", OTHER)["status"] == "unshared"
        assert_gone(node, OTHER, expected)


@pytest.mark.parametrize("driver", ["maildir", "sdbox"])
def test_other_separator(driver):
    extra = """namespace inbox {
  separator = .
}
namespace shared {
  separator = .
  prefix = shared.%%n.
}
"""
    with special_node(extra, driver=driver) as (node, sh):
        fill(node, OWNER, "Work.2026", "<work@example.com>")
        row = sh.share(OWNER, "Work.2026", OTHER, "reader")
        assert (row["mailbox"], row["subscribed-as"], row["status"]) == \
            ("Work.2026", "shared.owner.Work.2026", "shared")
        assert_reads(node, OTHER, "shared.owner.Work.2026", "<work@")
        assert [(row["mailbox"], row["name"]) for row in sh.shares(OTHER)] == \
            [("Work.2026", "shared.owner.Work.2026")]


def test_prefix_that_leads_elsewhere():
    """Without a domain in the prefix it is that of the user who looks."""
    extra = "namespace shared {\n  prefix = shared/%%n/\n}\n"
    namesake = OWNER.replace(".com", ".org")
    with special_node(extra, users={namesake: {}}) as (node, sh):
        before = State(node, OWNER, STRANGER, "INBOX")
        row = sh.share(OWNER, "INBOX", STRANGER, "reader")
        assert row["status"] == "not_possible"
        assert "shared" in row["error"]
        assert State(node, OWNER, STRANGER, "INBOX") == before
        assert sh.share(OWNER, "INBOX", OTHER, "reader")["status"] == "shared"


def test_second_namespace_leads_there():
    extra = """namespace shared {
  prefix = near/%%n/
}
namespace shared2 {
  type = shared
  separator = /
  prefix = far/%%u/
  location = sdbox:%%h/sdbox
  subscriptions = no
  list = children
}
"""
    # to Dovecot near/owner/ is somebody who doesn't exist
    with special_node(extra, log_errors="user-not-found") as (node, sh):
        row = sh.share(OWNER, "INBOX", STRANGER, "reader")
        assert (row["status"], row["subscribed-as"]) == \
            ("shared", "far/" + OWNER)
        assert_reads(node, STRANGER, "far/" + OWNER, "<in@example.com>")


def test_no_shared_namespace():
    with special_node("namespace shared {\n  disabled = yes\n}\n") as \
            (node, sh):
        before = State(node, OWNER, OTHER, "INBOX")
        row = sh.share(OWNER, "INBOX", OTHER, "reader")
        assert row["status"] == "not_possible"
        assert sh.code == EX_DATAERR
        assert "namespace" in row["error"]
        assert State(node, OWNER, OTHER, "INBOX") == before
        # what was set without us can be taken back
        node.doveadm("acl", "set", "-u", OWNER, "INBOX", "user=" + OTHER,
                     "lookup")
        assert sh.unshare(OWNER, "INBOX", OTHER)["status"] == "unshared"


def test_acl_off_for_a_user():
    with special_node(users={"off@example.com": {
            "mail_plugins": "quota"}}) as (node, sh):
        row = sh.share("off@example.com", "INBOX", OTHER, "reader")
        assert row["status"] == "not_possible"
        assert "ACLs are not enabled" in row["error"]
        row = sh.share(OWNER, "INBOX", "off@example.com", "reader")
        assert row["status"] == "not_possible"
        assert "ACLs are not enabled" in row["error"]
        assert acl_entry(node, OWNER, "INBOX", "off@example.com") is None
        [row] = sh.shares("off@example.com")
        assert "ACLs are not enabled" in row["error"]


def test_inbox_that_other_mailboxes_are_like():
    """Who shares one mailbox does not share all."""
    plugin = {"acl_defaults_from_inbox": "yes"}
    with special_node(plugin=plugin) as (node, sh):
        fill(node, OWNER, "Work", "<work@example.com>")
        before = State(node, OWNER, OTHER, "INBOX")
        row = sh.share(OWNER, "INBOX", OTHER, "reader")
        assert row["status"] == "not_possible"
        assert "acl_defaults_from_inbox" in row["error"]
        assert State(node, OWNER, OTHER, "INBOX") == before
        # they would be
        node.doveadm("acl", "set", "-u", OWNER, "INBOX", "user=" + OTHER,
                     "lookup", "read", "write-seen")
        with session(node, OTHER) as connection:
            assert select(connection, shared_name(OWNER, "Work")) == "OK"
        assert sh.unshare(OWNER, "INBOX", OTHER)["status"] == "unshared"
        with session(node, OTHER) as connection:
            assert select(connection, shared_name(OWNER, "Work")) == "NO"
        assert sh.share(OWNER, "Work", OTHER, "reader")["status"] == "shared"
        assert_reads(node, OTHER, shared_name(OWNER, "Work"), "<work@")


def test_undone_if_it_does_not_show():
    """Something else in the ACL overrides what is given."""
    users = {"staff@example.com": {"acl_groups": "staff"}}
    with special_node(users=users) as (node, sh):
        node.doveadm("acl", "set", "-u", OWNER, "--", "INBOX",
                     "group-override=staff", "-lookup")
        before = State(node, OWNER, "staff@example.com", "INBOX")
        row = sh.share(OWNER, "INBOX", "staff@example.com", "reader")
        assert row["status"] == "error"
        assert "does not show" in row["error"]
        assert State(node, OWNER, "staff@example.com", "INBOX") == before
        assert sh.share(OWNER, "INBOX", OTHER, "reader")["status"] == "shared"


def test_no_acl_plugin():
    with MailNode(driver="sdbox", users=[OWNER, OTHER]) as node:
        done = node.doveadm("recall", "share", "-u", OWNER, "INBOX",
                            "user=" + OTHER, "reader", check=False)
        assert done.returncode == EX_USAGE
        # the other commands are there
        node.lmtp_deliver(OWNER, build_message("<there@example.com>"))
        node.doveadm("recall", "expunge", "--no-notify", "-u", OWNER,
                     "<there@example.com>")
        assert node.count(OWNER) == 0
        assert node.panics() == []


def test_shared_dict_that_fails():
    plugin = {"acl_shared_dict": "file:/dev/null/shared"}
    with special_node(plugin=plugin, log_errors="dict|/dev/null") as \
            (node, sh):
        before = State(node, OWNER, OTHER, "INBOX")
        row = sh.share(OWNER, "INBOX", OTHER, "reader")
        assert row["status"] == "error"
        assert "acl_shared_dict" in row["error"]
        assert "undoing" not in row["error"]
        assert State(node, OWNER, OTHER, "INBOX") == before


def test_without_shared_dict():
    """The mailbox can be subscribed to and read; LIST does not show it."""
    plugin = {"acl_shared_dict": ""}
    with special_node(plugin=plugin, log_errors="dict") as (node, sh):
        assert sh.share(OWNER, "INBOX", OTHER, "reader")["status"] == "shared"
        with session(node, OTHER) as connection:
            assert select(connection, "shared/" + OWNER) == "OK"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs several system users")
def test_users_with_their_own_uids():
    """Each is opened with their own privileges: what the other user's may not
    read is not shared, and undone with the owner's."""
    users = {"uid1@example.com": {"uid": "61001", "gid": "61000"},
             "uid2@example.com": {"uid": "61002", "gid": "61000"}}
    owner, other = users
    with MailNode(driver="sdbox", users=users, acl=True) as node:
        sh = ShellShare(node)
        shared_dict = node.dir / "mail/shared-mailboxes"
        shared_dict.touch()
        (node.dir / "mail").chmod(0o777)
        shared_dict.chmod(0o666)
        for user in users:
            node.lmtp_deliver(user, build_message("<in@example.com>"))
        assert node.home(owner).stat().st_uid == 61001
        before = State(node, owner, other, "INBOX")
        row = sh.share(owner, "INBOX", other, "reader")
        assert row["status"] in ("error", "not_possible"), row
        assert "undoing" not in row["error"]
        after = State(node, owner, other, "INBOX")
        assert after == before
        for path in node.dir.joinpath("mail").rglob("dovecot-acl*"):
            assert path.stat().st_uid == path.parent.stat().st_uid

        # the mailbox is known to be there, but it's closed
        root = node.home(owner) / "sdbox"
        for path in (node.home(owner), root):
            path.chmod(0o755)
        row = sh.share(owner, "INBOX", other, "reader")
        assert row["status"] == "error" and "undoing" not in row["error"], row
        assert State(node, owner, other, "INBOX") == before

        # with the group's help they may
        for path in itertools.chain([node.home(owner)],
                                    node.home(owner).rglob("*")):
            path.chmod(0o770 if path.is_dir() else 0o660)
        assert sh.share(owner, "INBOX", other, "reader")["status"] == "shared"
        assert_reads(node, other, "shared/" + owner, "<in@example.com>")
        assert sh.unshare(owner, "INBOX", other)["status"] == "unshared"
        for path in node.dir.joinpath("mail").rglob("subscriptions"):
            assert path.stat().st_uid == 61002
        assert node.panics() == []


def test_one_server_process_for_many(node, users):
    """The commands come and go with the acl plugin in doveadm-server."""
    api = HttpShare(node)
    owner, *others = users.take(6)
    commands = []
    for number, other in enumerate(others * 5):
        commands.append(["recallShare", {
            "user": owner, "mailbox": "INBOX", "identifier": "user=" + other,
            "rights": ["reader" if number % 2 else "owner"]}, str(number)])
        commands.append(["recallShares", {"user": other}, "s%d" % number])
    answers = node.doveadm_http(commands)
    assert [answer[2] for answer in answers] == \
        [command[2] for command in commands]
    assert all(answer[1][0].get("status", "shared") == "shared"
               for answer in answers)
    assert len(api.shares(owner)) == 5
    for other in others:
        assert api.unshare(owner, "INBOX", other)["status"] == "unshared"
    assert api.shares(owner) == []


def test_many_at_once(node, users):
    """No one's rights get lost in between."""
    api = HttpShare(node)
    owner, *others = users.take(9)
    fill(node, owner, "Work", "<work@example.com>")
    with concurrent.futures.ThreadPoolExecutor(len(others)) as executor:
        rows = list(executor.map(
            lambda other: api.share(owner, "Work", other, "reader"), others))
    assert [row["status"] for row in rows] == ["shared"] * len(others)
    assert sorted((row["user"], row["rights"], row["subscribed"])
                  for row in api.shares(owner)) == \
        sorted((other, READER, "yes") for other in others)
    with concurrent.futures.ThreadPoolExecutor(len(others)) as executor:
        rows = list(executor.map(
            lambda other: api.unshare(owner, "Work", other), others))
    assert [row["status"] for row in rows] == ["unshared"] * len(others)
    assert api.shares(owner) == []
    assert all(subscriptions(node, other) == [] for other in others)
