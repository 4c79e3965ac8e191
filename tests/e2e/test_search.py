"""Finding and showing messages, and recalling what a query finds."""

import re

import pytest

from conftest import EX_NOUSER, EX_TEMPFAIL, EX_USAGE, Result, parse_tab
from mailnode import DOVECOT_24, build_message, imap_quote

COLUMNS = ["username", "mailbox", "mailbox-guid", "uid", "seen", "date",
           "size", "from", "subject", "message-id", "mailbox-user",
           "error"]


class ShellSearch:
    """recall search at the shell."""

    def __init__(self, node):
        self.node = node

    def __call__(self, users, *what, **options):
        users = [users] if isinstance(users, str) else users
        args = ["--users=" + user for user in users]
        for name, values in options.items():
            values = values if isinstance(values, list) else [values]
            args += ["--%s=%s" % (name, value) for value in values]
        done = self.node.doveadm("-f", "tab", "recall", "search", *args, "--",
                                 *what, check=False)
        assert "Panic" not in done.stderr, done
        return Result(parse_tab(done.stdout), done.returncode, done.stderr)


class HttpSearch:
    """The same over HTTP, where a query is a parameter of its own."""

    def __init__(self, node):
        self.node = node

    def __call__(self, users, *what, **options):
        users = [users] if isinstance(users, str) else users
        parameters = {"users": users, **options}
        if what[0] == "query":
            parameters["query"] = list(what[1:])
        else:
            parameters["messageId"] = what[0]
        return http(self.node, "recallSearch", parameters)


def http(node, command, parameters):
    answer, = node.doveadm_http([[command, parameters, "tag"]])
    if answer[0] == "error":
        # of a request that it does not take, doveadm answers the exit code of
        # the one before
        assert answer[1]["type"] == "exitCode", answer
        return Result([], answer[1]["exitCode"])
    return Result(answer[1], 0)


@pytest.fixture(params=[ShellSearch, HttpSearch], ids=["shell", "http"])
def search(request, node):
    return request.param(node)


def fetch(node, user, fields, *what):
    """A message's fields over HTTP, where values come unambiguously."""
    parameters = {"users": [user], "fields": fields}
    if what[0] == "query":
        parameters["query"] = list(what[1:])
    else:
        parameters["messageId"] = what[0]
    return http(node, "recallFetch", parameters)


def fill(node, user, mailboxes, **message):
    for mailbox in mailboxes:
        node.append(user, mailbox, build_message(**message))


def subjects(result):
    return sorted(row["subject"] for row in result.rows)


# search

@pytest.mark.smoke
def test_row(node, user, message_id, search):
    message = build_message(message_id, subject="=?utf-8?b?0J/RgNC40LLQtdGC?=",
                            sender='"A. Sender" <a@example.net>')
    node.append(user, "Work/Ёлка", message, ["\\Seen"])
    guid = node.doveadm("-f", "tab", "mailbox", "status", "-u", user, "guid",
                        "Work/Ёлка").stdout.split()[-1]
    result = search(user, message_id)
    row = result.row()
    assert list(row) == COLUMNS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row.pop("date"))
    assert row == {
        "username": user, "mailbox": "Work/Ёлка", "mailbox-guid": guid,
        "uid": "1", "seen": "yes", "size": str(len(message)),
        "from": '"A. Sender" <a@example.net>', "subject": "Привет",
        "message-id": message_id.strip("<>"), "mailbox-user": user,
        "error": ""}
    assert result.code == 0


@pytest.mark.parametrize("flags, seen", [
    ([], "no"), (["\\Seen"], "yes"), (["\\Answered"], "yes"),
    (["$Forwarded"], "yes"), (["\\Flagged"], "no")])
def test_seen_as_a_recall_has_it(node, user, message_id, search, flags, seen):
    node.append(user, "INBOX", build_message(message_id), flags)
    assert search(user, message_id).row()["seen"] == seen


def test_every_copy_and_no_other(node, user, message_id, search):
    fill(node, user, ["INBOX", "Trash", "a/b"], message_id=message_id)
    fill(node, user, ["INBOX", "Trash"], message_id="<x" + message_id[1:])
    rows = search(user, message_id).rows
    assert sorted(row["mailbox"] for row in rows) == ["INBOX", "Trash", "a/b"]


def test_nothing(node, user, message_id, search):
    result = search(user, message_id)
    assert (result.rows, result.code) == ([], 0)


def test_by_sender(node, user, message_id, search):
    for sender in ("a@example.net", "b@example.net"):
        fill(node, user, ["INBOX"], message_id=message_id, sender=sender)
    row = search(user, message_id, sender=["B@example.net"]).row()
    assert row["from"] == "b@example.net"


@pytest.mark.parametrize("query, found", [
    (["FROM", "alice"], ["one", "two"]),
    (["from", "alice", "subject", "two"], ["two"]),
    (["SUBJECT", "one", "OR", "SUBJECT", "three"], ["one", "three"]),
    (["NOT", "(", "FROM", "alice", ")"], ["three"]),
    (["BODY", "иголка"], ["three"]),
    (["HEADER", "X-Campaign", "77"], ["two"]),
    (["mailbox", "INBOX"], ["one"]),
    (["mailbox", "Work*"], ["three", "two"]),
    (["mailbox", "Work/*", "FROM", "alice"], []),
    (["SENTSINCE", "1990-01-01", "SUBJECT", "two"], ["two"]),
    (["LARGER", "1M"], []),
    (["ALL"], ["one", "three", "two"]),
    (["UID", "$"], []),
])
def test_query(node, user, search, query, found):
    fill(node, user, ["INBOX"], subject="one", sender="alice@example.net")
    fill(node, user, ["Work"], subject="two", sender="alice@example.net",
         headers=[("X-Campaign", "nr 77")])
    fill(node, user, ["Work/Sub"], subject="three", sender="bob@example.net",
         body="Стог, а в нём Иголка.\n")
    assert subjects(search(user, "query", *query)) == found


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_query_of_another_mailbox(node, user, search):
    """What is wrong with a mailbox that it does not name is none of its
    errors."""
    fill(node, user, ["INBOX", "Work"], subject="one")
    path = node.home(user) / {"maildir": "Maildir/.Work"}.get(
        node.driver, node.driver + "/mailboxes/Work")
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        result = search(user, "query", "mailbox", "INBOX", "SUBJECT", "one")
        assert subjects(result) == ["one"]
        assert result.row()["error"] == ""
        result = search(user, "query", "SUBJECT", "one")
        assert subjects(result).count("one") == 1
        # of Work, and where it has a directory of what may be below it, too
        assert len([row for row in result.rows if row["error"]]) == \
            (1 if node.driver == "maildir" else 2)
        result = search(user, "query", "mailbox", "Work/Sub", "SUBJECT", "one")
        assert len([row for row in result.rows if row["error"]]) == \
            (0 if node.driver == "maildir" else 1)
    finally:
        path.chmod(mode)


def test_query_by_mailbox_guid(node, user, search):
    fill(node, user, ["INBOX", "Work"], subject="here")
    row, = [row for row in search(user, "query", "ALL").rows
            if row["mailbox"] == "Work"]
    rows = search(user, "query", "mailbox-guid", row["mailbox-guid"], "uid",
                  row["uid"]).rows
    assert rows == [row]


@pytest.mark.log_errors("recall search: ")
@pytest.mark.parametrize("query", [
    [], ["FROM"], ["nonsense"], ["("], [")"], ["(", ")"], ["NOT"],
    ["FROM", "x", "OR"], ["FROM", "x", "OR", "BODY", "y", "TO", "z"],
    ["SINCE", "yesterday-ish"], ["LARGER", "huge"],
    ["UID", "x"], ["KEYWORD"], ["(" for _ in range(1000)],
    ["NOT" for _ in range(5000)], ["MODSEQ"]],
    ids=lambda query: " ".join(query)[:20])
def test_wrong_queries(search, user, query):
    if DOVECOT_24 and isinstance(search, HttpSearch) and len(query) > 1025:
        # its JSON parser takes no longer array: the command never sees it
        with pytest.raises(AssertionError, match="400 .*Too many items"):
            search(user, "query", *query)
        return
    result = search(user, "query", *query)
    assert (result.rows, result.code) == ([], EX_USAGE)


def test_query_word_is_not_an_id(node, user, search):
    fill(node, user, ["INBOX"], message_id="<query>")
    assert search(user, "<query>").row()["message-id"] == "query"


@pytest.mark.parametrize("limit, rows", [(1, 1), (3, 3), (4, 4), (50, 4)])
def test_limit_over_users_and_mailboxes(node, users, search, limit, rows):
    two = users.take(2)
    for user in two:
        fill(node, user, ["INBOX", "Work"], subject="x")
    result = search(two, "query", "SUBJECT", "x", limit=str(limit))
    assert (len(result.rows), result.code) == (rows, 0)


def test_offset_over_users_and_mailboxes(node, users, search):
    two = users.take(2)
    for user in two:
        for box in "INBOX", "Work":
            node.append(user, box, build_message("<%s@%s>" % (box, user),
                                                 subject="paged"))
    query = "query", "SUBJECT", "paged"
    every = search(two, *query).rows
    assert len(every) == 4
    for offset in range(6):
        for limit in 1, 3:
            page = search(two, *query, offset=str(offset), limit=str(limit))
            assert page.rows == every[offset:offset + limit]
        rest = search(two, *query, offset=str(offset))
        assert rest.rows == every[offset:]


@pytest.mark.log_errors("offset is not a number")
@pytest.mark.parametrize("offset", ["-1", "x", "", "99999999999"])
def test_wrong_offset(user, search, offset):
    assert search(user, "query", "ALL", offset=offset).code == EX_USAGE


@pytest.mark.log_errors("recall search: ")
@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "99999999999"])
def test_wrong_limit(user, search, limit):
    assert search(user, "query", "ALL", limit=limit).code == EX_USAGE


def test_many_rows(node, user, search):
    """More than what formatters and streams hold back."""
    connection = node.imap(user)
    for number in range(300):
        connection.append("INBOX", "", None, build_message(
            subject="many %d" % number))
    connection.logout()
    rows = search(user, "query", "SUBJECT", "many").rows
    assert [row["uid"] for row in rows] == \
        [str(number) for number in range(1, 301)]


def test_hostile_headers_stay_in_their_column(node, user, message_id, search):
    node.append(user, "INBOX", build_message(
        message_id, subject="=?utf-8?q?a=1b[31m=0Ab=09c=00d=7fe=c2=9bf?=",
        sender="=?utf-8?q?x=0D=0Ay?= <a@example.net>"))
    row = search(user, message_id).row()
    assert row["error"] == ""
    for column in ("subject", "from"):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", row[column]), row
    assert row["subject"].startswith("a")


def test_broken_messages(node, user, search):
    node.append(user, "INBOX", b"no header at all")
    node.append(user, "INBOX", b"Subject: \xff\xfe\r\nFrom: \xc3(\r\n\r\n")
    result = search(user, "query", "ALL")
    assert [row["error"] for row in result.rows] == ["", ""]
    assert result.rows[0]["from"] == ""


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_message_that_can_not_be_read(node, user, search):
    """It has a row, which says so; what else there is has its own."""
    fill(node, user, ["INBOX"], subject="closed")
    files = [path for pattern in ("cur/*", "new/*", "u.*", "m.*")
             for path in node.home(user).rglob(pattern) if path.is_file()]
    assert files
    node.forget_cached(user)
    for path in files:
        path.chmod(0)
    fill(node, user, ["Work"], subject="open")
    found = {row["mailbox"]: row for row in search(user, "query", "ALL").rows}
    if node.driver != "mdbox":
        # which has both in one file
        assert (found["Work"]["subject"], found["Work"]["error"]) == \
            ("open", "")
    assert found["INBOX"]["error"].startswith("Reading the message failed: ")
    for fields in "hdr", "text", "body", "hdr.subject":
        row = fetch(node, user, fields, "query", "mailbox", "INBOX").row()
        assert row["error"].startswith("Reading %s failed: " % fields)
        assert row[fields] == ""


def test_missing_user_has_a_row(node, user, message_id, search):
    fill(node, user, ["INBOX"], message_id=message_id)
    result = search(["nobody@example.com", user], message_id)
    assert result.row(user)["error"] == ""
    assert "exist" in result.row("nobody@example.com")["error"]
    assert result.code == (0 if isinstance(search, HttpSearch) else EX_NOUSER)


@pytest.mark.log_errors("/dev/null")
def test_broken_user_has_a_row(node, users, message_id, search):
    broken = users.take(mail="maildir:/dev/null/mail")[0]
    result = search(broken, message_id)
    assert result.row(broken)["error"] != ""
    assert result.code == (0 if isinstance(search, HttpSearch)
                           else EX_TEMPFAIL)


def test_tenants(node, users, message_id, search):
    ours, theirs = users.take(tenant_id="t1")[0], users.take(tenant_id="t2")[0]
    for user in (ours, theirs):
        fill(node, user, ["INBOX"], message_id=message_id)
    result = search([ours, theirs], message_id, tenant="t1")
    assert result.row(ours)["error"] == ""
    assert "tenant" in result.row(theirs)["error"]
    assert result.row(theirs)["uid"] == ""


def test_everyone_of_a_tenant(node, users, message_id):
    ours, theirs = users.take(tenant_id="t1")[0], users.take(tenant_id="t2")[0]
    for user in (ours, theirs):
        fill(node, user, ["INBOX"], message_id=message_id)
    done = node.doveadm("-f", "tab", "recall", "search", "-A", "--tenant=t1",
                        message_id, check=False)
    assert ours in done.stdout
    assert theirs not in done.stdout


def test_shared_mailboxes_are_others(node, users, message_id, search):
    """What a user may read of another's is not the user's, not even if the
    query names it."""
    owner, other = users.take(2)
    fill(node, owner, ["INBOX"], message_id=message_id)
    node.doveadm("acl", "set", "-u", owner, "INBOX", "user=" + other,
                 "lookup", "read")
    connection = node.imap(other)
    shared = "shared/%s/INBOX" % owner
    assert connection.select(imap_quote(shared), readonly=True)[0] == "OK"
    connection.logout()
    assert search(other, message_id).rows == []
    for query in (["ALL"], ["mailbox", shared], ["mailbox", "shared/*"],
                  ["mailbox", "*"]):
        assert search(other, "query", *query).rows == [], query


def test_own_mailbox_without_rights(node, user, message_id, search):
    fill(node, user, ["Locked"], message_id=message_id)
    node.doveadm("acl", "set", "-u", user, "Locked", "owner", "lookup")
    assert search(user, message_id).row()["mailbox"] == "Locked"
    assert search(user, "query", "SUBJECT", "Test").row()["uid"] == "1"


def assert_null_is_refused(node, command, parameters, name):
    result = http(node, command, {**parameters, name: None})
    if DOVECOT_24:
        # hands it to commands as a text, which they can't tell from others
        text = http(node, command, {**parameters, name: "null"})
        assert (result.rows, result.code) == (text.rows, text.code)
    else:
        assert result.code == EX_USAGE


@pytest.mark.log_errors("recall search: ")
@pytest.mark.parametrize("name", ["tenant", "messageId", "limit"])
def test_null_is_no_value(node, user, name):
    assert_null_is_refused(node, "recallSearch",
                           {"users": [user], "query": ["ALL"]}, name)


# fetch

@pytest.mark.smoke
def test_fetch_text_as_it_is(node, user, message_id):
    """Large, and with characters of several octets at every position."""
    body = "".join("%d Ёж 日本語 𝄞\n" % n for n in range(20000))
    message = build_message(message_id, body=body)
    node.append(user, "INBOX", message)
    row = fetch(node, user, "hdr body text uid", message_id).row()
    text = message.decode().replace("\r\n", "\n")
    assert row["text"].replace("\r\n", "\n") == text
    header, rest = text.split("\n\n", 1)
    assert row["hdr"].replace("\r\n", "\n") == header + "\n\n"
    assert row["body"].replace("\r\n", "\n") == rest
    assert (row["uid"], row["error"]) == ("1", "")


def test_fetch_fields(node, user, message_id):
    node.append(user, "Work", build_message(
        message_id, subject="=?utf-8?b?0J/RgNC40LLQtdGC?=",
        date="Tue, 3 Feb 2026 04:05:06 +0300",
        headers=[("X-Two", "a"), ("X-Two", "b")],
        body="Preview of it\n"), ["\\Flagged"])
    fields = ("user mailbox mailbox-guid uid guid flags hdr.Subject hdr.x-two "
              "body.preview date.received date.saved date.sent size.physical "
              "size.virtual hdr.x-none")
    row = fetch(node, user, fields, message_id).row()
    assert list(row) == ["username"] + fields.lower().split() + ["error"]
    found = search_row = HttpSearch(node)(user, message_id).row()
    assert row["mailbox-guid"] == found["mailbox-guid"]
    assert row["size.virtual"] == search_row["size"]
    assert row["date.saved"] == search_row["date"]
    assert row["date.sent"] == "2026-02-03T01:05:06Z"
    assert row["hdr.subject"] == "Привет"
    assert row["hdr.x-two"] == "a\nb"
    assert row["hdr.x-none"] == ""
    assert row["body.preview"] == "Preview of it"
    assert "\\Flagged" in row["flags"]
    assert (row["user"], row["mailbox"], row["error"]) == (user, "Work", "")


def test_fetch_leaves_mail_unread(node, user, message_id):
    node.append(user, "INBOX", build_message(message_id))
    for what in ([message_id], ["query", "ALL"]):
        row = fetch(node, user, "text body hdr body.preview", *what).row()
        assert row["error"] == ""
    assert fetch(node, user, "flags", message_id).row()["flags"].find(
        "\\Seen") == -1
    row = ShellSearch(node)(user, message_id).row()
    assert row["seen"] == "no"


def test_fetch_at_the_shell(node, user, message_id):
    node.append(user, "INBOX", build_message(message_id, subject="Shown",
                                             body="The body.\n"))
    done = node.doveadm("recall", "fetch", "-u", user, "uid hdr.subject body",
                        "query", "SUBJECT", "Shown")
    assert done.stdout.replace("\r", "") == (
        "username: %s\nuid: 1\nhdr.subject: Shown\nbody:\nThe body.\n"
        "error: \n" % user)


@pytest.mark.log_errors("recall fetch: ")
@pytest.mark.parametrize("fields", ["", " ", "nonsense", "uid nonsense",
                                    "hdr.", "hdr.a:b", "body.1"])
def test_unknown_fields(node, user, message_id, fields):
    assert fetch(node, user, fields, message_id).code == EX_USAGE
    done = node.doveadm("recall", "fetch", "-u", user, fields, message_id,
                        check=False)
    assert done.returncode == EX_USAGE
    assert "size.virtual" in done.stderr
    assert done.stdout == ""


def test_fetch_from_missing_user(node, message_id):
    result = fetch(node, "nobody@example.com", "mailbox text", message_id)
    assert result.row()["username"] == "nobody@example.com"
    assert result.row()["error"] != ""


# expunge by query

class QueryRecall:
    def __init__(self, node, users):
        self.node = node
        self.users = users

    def __call__(self, *query, yes_count=None, dry_run=False, force=False,
                 **options):
        options["noNotify"] = True
        if yes_count is not None:
            options["yesCount"] = str(yes_count)
        if dry_run:
            options["dryRun"] = True
        if force:
            options["force"] = True
        return http(self.node, "recallExpunge",
                    {"users": self.users, "query": list(query), **options})

    def dry_run_count(self, *query, **options):
        rows = self(*query, dry_run=True, **options).rows
        return sum(int(row["copies"]) for row in rows
                   if row["status"] == "would_expunge")


@pytest.fixture
def campaign(node, users):
    """Two users with unwanted mail, each copy with an id of its own."""
    two = users.take(2)
    for number, user in enumerate(two):
        for mailbox in ("INBOX", "Junk"):
            node.append(user, mailbox, build_message(
                "<%d.%s>" % (number, mailbox), subject="Win a prize",
                sender="phish@example.net"))
        node.append(user, "INBOX", build_message("<good>", subject="Good"))
    return QueryRecall(node, two)


PHISH = ["FROM", "phish@example.net"]


def left(node, recall):
    return [node.count(user, mailbox) for user in recall.users
            for mailbox in ("INBOX", "Junk")]


@pytest.mark.smoke
def test_dry_run_then_recall(node, campaign):
    assert campaign.dry_run_count(*PHISH) == 4
    assert left(node, campaign) == [2, 1, 2, 1]
    result = campaign(*PHISH, yes_count=4)
    assert [(row["status"], row["copies"], row["mailboxes"].count(","))
            for row in result.rows] == [("expunged", "2", 1)] * 2
    assert left(node, campaign) == [1, 0, 1, 0]


@pytest.mark.log_errors("recall expunge: .* messages would be deleted, not")
@pytest.mark.parametrize("yes_count", [1, 2, 3, 5, 8])
def test_wrong_count_deletes_nothing(node, campaign, yes_count):
    assert campaign(*PHISH, yes_count=yes_count).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_count_that_lacks_users(node, campaign):
    """What is missing may be with those who could not be counted."""
    hidden = node.home(campaign.users[1])
    mode = hidden.stat().st_mode
    hidden.chmod(0)
    try:
        done = node.doveadm(
            "recall", "expunge", "--users", campaign.users[0], "--users",
            campaign.users[1], "--users", "nobody@example.com",
            "--yes-count", "4", "query", *PHISH, check=False)
    finally:
        hidden.chmod(mode)
    assert done.returncode == EX_USAGE
    assert "2 messages would be deleted, not 4" in done.stderr
    assert "could not be counted: 1;" in done.stderr
    assert left(node, campaign) == [2, 1, 2, 1]
    done = node.doveadm("recall", "expunge", "--users", campaign.users[0],
                        "--yes-count", "4", "query", *PHISH, check=False)
    assert (done.returncode, "counted" in done.stderr) == (EX_USAGE, False)


@pytest.mark.log_errors("recall expunge: A search query needs --yes-count")
def test_no_count_deletes_nothing(node, campaign):
    assert campaign(*PHISH).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]


@pytest.mark.log_errors("recall expunge: --yes-count")
@pytest.mark.parametrize("yes_count", ["0", "x", "-4", "4x"])
def test_count_that_is_no_number(node, campaign, yes_count):
    assert campaign(*PHISH, yes_count=yes_count).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]


@pytest.mark.log_errors("recall expunge: .* messages would be deleted, not")
def test_read_mail_is_neither_counted_nor_deleted(node, campaign):
    reader, other = campaign.users
    node.set_flags(reader, "Junk", ["\\Seen"])
    assert campaign.dry_run_count(*PHISH) == 2
    assert campaign.dry_run_count(*PHISH, force=True) == 4
    assert campaign(*PHISH, yes_count=4).code == EX_USAGE
    result = campaign(*PHISH, yes_count=2)
    assert result.statuses() == {reader: "read", other: "expunged"}
    assert left(node, campaign) == [2, 1, 1, 0]
    result = campaign(*PHISH, yes_count=2, force=True)
    assert result.statuses() == {reader: "expunged", other: "not_found"}


def test_mailbox_in_query(node, campaign):
    query = ["mailbox", "Junk"] + PHISH
    assert campaign.dry_run_count(*query) == 2
    campaign(*query, yes_count=2)
    assert left(node, campaign) == [2, 0, 2, 0]


def test_other_senders_mail_stays(node, campaign):
    rows = campaign("SUBJECT", "prize", dry_run=True,
                    sender=["me@example.com"]).rows
    assert {row["status"] for row in rows} == {"not_sender"}


def test_missing_user_does_not_disturb_the_count(node, campaign):
    campaign.users.append("nobody@example.com")
    result = campaign(*PHISH, yes_count=4)
    assert result.status("nobody@example.com") == "no_user"
    assert result.status(campaign.users[0]) == "expunged"


EVERYTHING = [
    ["ALL"], ["mailbox", "INBOX"], ["mailbox", "*"], ["1:*"], ["UID", "1:*"],
    ["NOT", "mailbox", "INBOX"], ["FROM", ""], ["TEXT", ""], ["BODY", ""],
    ["HEADER", "Message-ID", ""], ["SUBJECT", "", "mailbox", "INBOX"],
    ["ALL", "OR", "FROM", "phish"], ["mailbox", "Junk", "OR", "FROM", "phish"],
    ["FROM", "phish", "OR", "(", "mailbox", "INBOX", "ALL", ")"],
    ["FROM", "phish", "OR", "SUBJECT", "x", "OR", "mailbox", "INBOX"],
    ["(", "FROM", "phish", "OR", "(", "ALL", ")", ")"],
    ["(", "(", "ALL", ")", ")"], ["LARGER", "0"], ["OLDESTONLY"],
    ["NOT", "(", "FROM", "x", "mailbox", "Junk", ")"],
    ["SINCE", "1970-01-01"], ["SEEN", "OR", "UNSEEN"], ["MODSEQ", "1"],
    ["INTHREAD", "REFS", "ALL"],
]


@pytest.mark.log_errors("recall expunge: The search query matches everything")
@pytest.mark.parametrize("query", EVERYTHING, ids=" ".join)
def test_everything_is_refused(node, campaign, query):
    for options in ({"dry_run": True}, {"yes_count": 6}, {}):
        assert campaign(*query, **options).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]


@pytest.mark.parametrize("query, count", [
    (["NOT", "FROM", "sender@"], 4),
    (["FROM", "phish", "OR", "SUBJECT", "x"], 4),
    (["UID", "1"], 4), (["ALL", "FROM", "phish"], 4), (["UNSEEN"], 6),
    (["mailbox", "INBOX", "SUBJECT", "Good"], 2), (["NOT", "ALL"], 0),
    (["(", "mailbox", "Junk", "FROM", "phish", ")", "OR", "SUBJECT", "Good"],
     4), (["SINCE", "2020-01-01"], 6)], ids=str)
def test_selective_queries(campaign, query, count):
    assert campaign.dry_run_count(*query) == count


@pytest.mark.log_errors("goes with a search query")
def test_count_is_for_queries(node, user, message_id, shell):
    node.append(user, "INBOX", build_message(message_id))
    assert shell("-u", user, "--yes-count=1", message_id).code == EX_USAGE
    assert node.count(user) == 1


def test_total_at_the_shell(node, campaign, shell):
    users = ["--users=" + user for user in campaign.users]
    result = shell(*users, "--dry-run", "query", *PHISH)
    assert "4 messages would be deleted" in result.stderr
    assert shell(*users, "--yes-count=3", "query", *PHISH).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]
    result = shell(*users, "--yes-count=4", "query", *PHISH)
    assert set(result.statuses().values()) == {"expunged"}


def test_notice_of_a_query(node, campaign, shell):
    user = campaign.users[0]
    result = shell("-u", user, "--yes-count=2", "query", *PHISH)
    assert result.row()["notice"] == "sent"
    notice = node.messages(user)[-1]
    assert b"Win a prize" in notice or b"phish@example.net" in notice


def test_users_of_a_file_are_counted_and_recalled(node, campaign):
    """Standard input can be read but once."""
    done = node.doveadm("-f", "tab", "recall", "expunge", "-F", "-",
                        "--no-notify", "--yes-count=4", "query", *PHISH,
                        input="\n".join(campaign.users) + "\n")
    assert [row["status"] for row in parse_tab(done.stdout)] == \
        ["expunged"] * 2


# each user's own number

def test_expected_of_each_user(node, campaign):
    """One request, no counting pass, and who has more keeps all."""
    one, other = campaign.users
    campaign.users.append("nobody@example.com")
    result = campaign(*PHISH, expected=["1", "5", "0"])
    assert result.statuses() == {
        one: "error", other: "expunged", "nobody@example.com": "no_user"}
    assert result.row(one)["error"] == ("2 messages match, but only 1 did when "
                                        "they were counted: nothing was "
                                        "deleted")
    assert result.row(other)["copies"] == "2"
    del campaign.users[2]
    assert left(node, campaign) == [2, 1, 1, 0]


def test_expected_at_the_shell(node, campaign, shell):
    args = [arg for user in campaign.users
            for arg in ("-u", user, "--expected=2")]
    assert set(shell(*args, "--dry-run", "query", *PHISH).statuses()
               .values()) == {"would_expunge"}
    assert left(node, campaign) == [2, 1, 2, 1]
    assert set(shell(*args, "query", *PHISH).statuses().values()) == \
        {"expunged"}


def test_first_number_of_a_user_counts(node, campaign):
    user = campaign.users[0]
    campaign.users = [user, user]
    for numbers, status in ((["0", "9"], "error"), (["2", "0"], "expunged")):
        result = campaign(*PHISH, expected=numbers)
        assert [row["status"] for row in result.rows] == [status]


@pytest.mark.log_errors("recall expunge: --expected")
@pytest.mark.parametrize("expected", [
    [], ["2"], ["2", "2", "2"], ["2", "x"], ["2", ""], ["2", "-1"],
    ["2", "4294967296"]], ids=str)
def test_expected_is_a_number_a_user(node, campaign, expected):
    assert campaign(*PHISH, expected=expected).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]


@pytest.mark.log_errors("recall expunge: .*--expected")
def test_where_expected_has_no_place(node, campaign, shell):
    user = campaign.users[0]
    for args in (["-A", "--expected=2", "query", *PHISH],
                 ["-u", "*", "--expected=2", "query", *PHISH],
                 ["-u", user, "--expected=2", "<1@example.com>"],
                 ["-u", user, "--expected=2", "query", "ALL"],
                 ["-u", user, "--expected=2", "--yes-count=2", "query",
                  *PHISH]):
        assert shell(*args).code == EX_USAGE, args
    assert left(node, campaign) == [2, 1, 2, 1]


# through another doveadm, as Dovecot does for users of other nodes

def test_expected_elsewhere(node, campaign):
    """Each node is told its user's number."""
    one, other = campaign.users
    done = node.doveadm("-f", "tab", "recall", "expunge", "-S",
                        node.dir / "run" / "doveadm-server", "--no-notify",
                        "-u", one, "-u", other, "--expected=1",
                        "--expected=2", "query", *PHISH, check=False)
    assert {row["username"]: row["status"]
            for row in parse_tab(done.stdout)} == \
        {one: "error", other: "expunged"}
    assert left(node, campaign) == [2, 1, 1, 0]


@pytest.mark.log_errors("recall expunge: ")
def test_elsewhere(node, campaign):
    socket = ["-S", node.dir / "run" / "doveadm-server"]
    user, other = campaign.users
    users = ["--users=" + name for name in campaign.users]

    def run(*args):
        done = node.doveadm("-f", "tab", "recall", "expunge", *socket,
                            "--no-notify", *args, "query", *PHISH,
                            check=False)
        return Result(parse_tab(done.stdout), done.returncode, done.stderr)

    # each of the two has two: that is no permission for four
    for count in ("--yes-count=2", "--yes-count=4"):
        assert run(*users, count).code == EX_USAGE
    assert left(node, campaign) == [2, 1, 2, 1]
    assert run("-u", user, "--yes-count=3").rows == []
    assert left(node, campaign) == [2, 1, 2, 1]
    assert run("-u", user, "--yes-count=2").status(user) == "expunged"
    assert left(node, campaign) == [1, 0, 2, 1]

    done = node.doveadm("-f", "tab", "recall", "search", *socket, *users,
                        "query", *PHISH)
    assert {row["username"] for row in parse_tab(done.stdout)} == {other}


# parameters of all commands

@pytest.mark.log_errors("recall \\w+: ")
@pytest.mark.parametrize("command, name", [
    ("recallExpunge", "recallId"),
    ("recallFetch", "fields"),
    ("recallIndex", "mailbox"),
    ("recallList", "tenant"),
    ("recallPurge", "recallId"),
    ("recallRestore", "recallId"),
    ("recallShare", "mailbox"),
    ("recallShares", "tenant"),
    ("recallUnshare", "mailbox"),
])
def test_null_in_any_command(node, user, command, name):
    """doveadm-server has other requests to serve."""
    parameters = {"user": user}
    if command in ("recallExpunge", "recallFetch"):
        parameters["messageId"] = "<x@example.com>"
    assert_null_is_refused(node, command, parameters, name)
