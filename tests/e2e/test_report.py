"""What is sent by mail: the report of --report-to, and notices where
recall_notice_delivery is `submit`; through a mail server, and through a
program in the place of sendmail."""

import email
import email.policy
import pathlib
import re
import socket
import tempfile

import pytest

from conftest import DRIVERS, EX_USAGE, run_http, run_shell
from mailnode import build_message, check_wire_format
from quarantine import command, http, make_node
from smtpsink import Mail, SmtpSink

BOSS = "boss@elsewhere.example"


SENDMAIL = """#!/bin/sh
# writes its arguments and the mail into a new file
umask 0
file=$(mktemp {dir}/mail.XXXXXX) || exit 75
printf '%s\\n' "$*" >"$file"
cat >>"$file" || exit 75
case "$*" in
*refused@*) rm "$file"; exit 67 ;;
esac
mv "$file" {dir}/$(date +%s%N).done
"""


class Sendmail:
    """sendmail_path, and what was given to it."""

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sendmail-")
        self.dir = pathlib.Path(self.temporary.name)
        self.dir.chmod(0o1777)
        self.program = self.dir / "sendmail"
        self.program.write_text(SENDMAIL.format(dir=self.dir))
        self.program.chmod(0o755)
        self.setting = "sendmail_path = %s\nsubmission_host =\n" % self.program
        return self

    def __exit__(self, *unused):
        self.temporary.cleanup()

    @property
    def mails(self):
        found = []
        for path in sorted(self.dir.glob("*.done")):
            arguments, _, data = path.read_bytes().partition(b"\n")
            options, _, recipients = arguments.decode().partition(" -- ")
            sender = options.rpartition("-f ")[2]
            found.append(Mail(sender, ["<%s>" % r for r in recipients.split()],
                              data))
        return found


class Smtp(SmtpSink):
    def __enter__(self):
        super().__enter__()
        self.refused.add("refused@example.com")
        self.setting = "submission_host = 127.0.0.1:%d\n" % self.port
        return self


def user_names(kind, count):
    return ["%s%03d@example.com" % (kind, i) for i in range(count)]


STOCK = {
    "plain": {},
    "other": {"tenant_id": "t2"},
    "russian": {"lang": "ru-RU", "recall_notice_delivery": "submit"},
    "submit": {"recall_notice_delivery": "submit"},
    "nowhere": {"recall_notice_delivery": "submit"},
    "wrong": {"recall_notice_delivery": "pigeon"},
}


@pytest.fixture(scope="module", params=[Smtp, Sendmail],
                ids=["smtp", "sendmail"])
def node(request):
    users = {name: fields for kind, fields in STOCK.items()
             for name in user_names(kind, 60)}
    users["refused@example.com"] = STOCK["submit"]
    # bound, so that nobody else listens there
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    nowhere = {"submission_host": "127.0.0.1:%d" % closed.getsockname()[1]} \
        if request.param is Smtp else {"sendmail_path": "/nonexistent/sendmail"}
    users.update((name, {**STOCK["nowhere"], **nowhere})
                 for name in user_names("nowhere", 60))
    with closed, request.param() as transport, make_node(
            DRIVERS[-1], users, extra=transport.setting,
            plugin={"recall_notice_from": "system@example.com",
                    "recall_notice_name": "Почтовая система"}) as node:
        node.transport = transport
        node.free_users = {kind: iter(user_names(kind, 60)) for kind in STOCK}
        yield node
        assert node.panics() == []


@pytest.fixture
def take(node):
    return lambda kind="plain": next(node.free_users[kind])


@pytest.fixture
def sent(node):
    """sent() returns what was sent since the test began."""
    before = len(node.transport.mails)
    return lambda: node.transport.mails[before:]


def parse(mail, recipient):
    assert mail.sender == "<>"
    assert mail.recipients == ["<%s>" % recipient]
    # a program gets lines as it likes them
    data = mail.data
    if b"\r\n" in data:
        check_wire_format(data)
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert not message.defects
    assert message["From"].addresses[0].addr_spec == "system@example.com"
    assert message["From"].addresses[0].display_name == "Почтовая система"
    assert message["To"].addresses[0].addr_spec == recipient
    assert message["Auto-Submitted"] == "auto-generated"
    # the parser leaves the octets of a text alone
    message.text = message.get_content().replace("\r\n", "\n")
    return message


def table(message):
    """user -> (verdict, copies) of the report's table."""
    lines = [line.split() for line in message.text.splitlines()]
    return {line[2]: (line[0], line[1]) for line in lines
            if len(line) == 3 and line[1].isdigit() and "@" in line[2]}


def counts(message):
    lines = [line.split() for line in message.text.splitlines()
             if line.startswith("    ")]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and
            line[1].isdigit()}


@pytest.mark.smoke
def test_report(node, take, recall, message_id, recall_id, sent):
    unread, read, none = take(), take(), take()
    for user, flags in (unread, ()), (read, ("\\Seen",)):
        node.append(user, "INBOX", build_message(
            message_id, subject="=?utf-8?b?0J7RgtGH0ZHRgg==?=",
            body="secret content\n"), flags)
    asked = dict(report_to=BOSS, actor="admin@example.com",
                 reason="sent by mistake", recall_id=recall_id)
    users = [unread, read, none, "nobody@example.com"]
    result = recall(users, message_id, **asked)
    assert result.code == 0
    assert result.statuses() == {
        unread: "expunged", read: "read", none: "not_found",
        "nobody@example.com": "no_user"}
    mail, = sent()
    report = parse(mail, BOSS)
    assert table(report) == {
        unread: ("expunged", "1"), read: ("read", "1"),
        none: ("not_found", "0"), "nobody@example.com": ("no_user", "0")}
    assert counts(report) == {"expunged": 1, "read": 1, "not_found": 1,
                              "no_user": 1}
    text = report.text
    for known in recall_id, "admin@example.com", "sent by mistake", \
            message_id, "Отчёт", "sender@example.com", "recall expunge", \
            "Users: 4. Messages removed or restored: 1.":
        assert known in text
    assert "Reason: sent by mistake\n" in text
    assert "secret content" not in text and "%" not in text
    # an order by query is not to find it
    assert recall_id in report["Subject"]
    assert "Отчёт" not in report["Subject"]
    assert report["In-Reply-To"] == message_id
    assert report["Content-Language"] == "en-US"
    # a retry is the same report
    recall(users, message_id, **asked)
    again = parse(sent()[1], BOSS)
    assert again["Message-ID"] == report["Message-ID"] != message_id
    assert table(again)[unread][0] in ("not_found", "already_recalled")
    # another recall is another one
    recall(users, message_id, report_to=BOSS)
    other = parse(sent()[2], BOSS)
    assert other["Message-ID"] != report["Message-ID"]
    # nobody said who and why, so no line tells
    assert "Requested by" in text and "Requested by" not in \
        other.text


def test_found_by_nobody(node, take, recall, message_id, sent):
    """There is no subject to tell, but what was asked for."""
    result = recall(take(), message_id, report_to=BOSS)
    report = parse(sent()[0], BOSS)
    assert result.rows[0]["recall-id"] in report["Subject"]
    assert message_id in report.text
    assert "    Subject:" not in report.text


def test_query(node, take, message_id, sent):
    user = take()
    node.append(user, "INBOX", build_message(message_id, subject="Offer 17"))
    result = run_shell(node, "-u", user, "--yes-count=1",
                       "--report-to=" + BOSS, "query", "subject", "Offer 17")
    assert result.status() == "expunged"
    report = parse(sent()[0], BOSS)
    assert "subject Offer 17" in report.text
    assert table(report) == {user: ("expunged", "1")}


def test_refused_query_has_no_report(node, take, message_id, sent):
    user = take()
    node.append(user, "INBOX", build_message(message_id, subject="Offer 18"))
    result = run_shell(node, "-u", user, "--yes-count=2",
                       "--report-to=" + BOSS, "query", "subject", "Offer 18")
    assert result.code == EX_USAGE
    assert sent() == [] and node.count(user) == 1


def test_quiet(node, take, recall, message_id, sent):
    user = take()
    node.append(user, "INBOX", build_message(message_id))
    assert recall(user, message_id, report_to=BOSS,
                  dry_run=True).status() == "would_expunge"
    assert recall(user, message_id).status() == "expunged"
    assert sent() == []


@pytest.mark.log_errors("--report-to is not a mail address")
@pytest.mark.parametrize("address", [
    "", "boss", "@example.com", "boss@", "boss@example.com,x@example.com",
    "Boss <boss@example.com>", "boss@example.com\nBcc: x@example.com",
    "a b@example.com", "bøss@example.com", "a@b@example.com",
    "x" * 250 + "@example.com"])
def test_bad_address(node, take, recall, message_id, sent, address):
    user = take() if address == "" else "plain000@example.com"
    result = recall(user, message_id, report_to=address)
    assert (result.code, result.rows) == (EX_USAGE, [])
    assert sent() == []


# 2.4 hands it to commands as the text null
@pytest.mark.log_errors("--report-to (has no value|is not a mail address)")
def test_null_address(node, message_id, sent):
    result = run_http(node, users=["plain000@example.com"],
                      messageId=message_id, reportTo=None)
    assert result.code == EX_USAGE and sent() == []


def test_restore(node, take, recall, message_id, recall_id, sent):
    users = [take(), take()]
    for user in users:
        node.append(user, "INBOX", build_message(message_id,
                                                 subject="Offer 19"))
    recall(users, message_id, recall_id=recall_id, report_to=BOSS)
    first = parse(sent()[0], BOSS)
    if recall.name == "shell":
        result = command(node, "restore", *["--users=" + u for u in users],
                         "--report-to=" + BOSS, "--actor=chief", recall_id)
    else:
        result = http(node, "recallRestore", users=users, recallId=recall_id,
                      reportTo=BOSS, actor="chief")
    assert set(result.statuses().values()) == {"restored"}
    assert result.code == 0
    report = parse(sent()[1], BOSS)
    assert table(report) == {user: ("restored", "1") for user in users}
    text = report.text
    for known in recall_id, "recall restore", "chief", "Offer 19", message_id:
        assert known in text
    assert report["Message-ID"] != first["Message-ID"]


def test_restore_bad_address(node, take, recall_id, sent):
    result = command(node, "restore", "-u", take(), "--report-to=boss",
                     recall_id)
    assert (result.code, result.rows) == (EX_USAGE, [])
    assert sent() == []


def test_many_users(node, message_id, sent):
    """A report names a thousand users at most."""
    names = ["nobody%04d@example.com" % i for i in range(1005)]
    result = run_http(node, users=names, messageId=message_id, reportTo=BOSS)
    assert len(result.rows) == 1005
    report = parse(sent()[0], BOSS)
    assert list(table(report)) == names[:1000]
    assert counts(report) == {"no_user": 1005}
    assert "    ... and 5 more\n" in report.text


def test_another_node(node, take, message_id, sent):
    """Whoever is asked makes the report, and knows no verdicts of others."""
    users = [take(), take()]
    for user in users:
        node.append(user, "INBOX", build_message(message_id))
    done = node.doveadm("-f", "tab", "recall", "expunge", "-S",
                        node.dir / "run/doveadm-server",
                        *["--users=" + user for user in users],
                        "--report-to=" + BOSS, message_id)
    assert done.stdout.count("\texpunged\t") == 2
    mail, = sent()
    report = parse(mail, BOSS)
    assert counts(report) == {"other_node": 2}
    for user in users:
        assert re.search("^    other_node +-  %s$" % re.escape(user),
                         report.text, re.M)


def test_report_fails(node, take, recall, message_id, sent):
    """The recall stands, and is answered for as ever."""
    user = take()
    node.append(user, "INBOX", build_message(message_id))
    since = node.log_size()
    result = recall(user, message_id, report_to="refused@example.com")
    assert result.code == 0
    assert result.row()["status"] == "expunged"
    assert result.row()["error"] == ""
    assert sent() == []
    pattern = r"Warning: .* to refused@example\.com could not be sent: "
    if recall.name == "shell":
        assert re.search(pattern, result.stderr)
    else:
        node.wait_log(pattern, since)


@pytest.mark.smoke
@pytest.mark.parametrize("kind, sample", [
    ("submit", "removed from your mailbox"), ("russian", "Здравствуйте")])
def test_notice(node, take, recall, message_id, recall_id, sent, kind, sample):
    user = take(kind)
    node.append(user, "INBOX", build_message(message_id, subject="Offer 20"))
    row = recall(user, message_id, notify=True, recall_id=recall_id).row()
    assert (row["status"], row["notice"], row["error"]) == \
        ("expunged", "sent", "")
    mail, = sent()
    notice = parse(mail, user)
    assert sample in notice.text
    assert "Offer 20" in notice["Subject"]
    assert notice["In-Reply-To"] == message_id
    # nothing was saved
    assert node.count(user) == 0
    # what was delivered is known: no retry tells it again
    node.append(user, "INBOX", mail.data)
    row = recall(user, message_id, notify=True, recall_id=recall_id).row()
    assert (row["status"], row["notice"]) == \
        ("already_recalled", "already_sent")
    assert len(sent()) == 1


def test_notice_and_report(node, take, recall, message_id, sent):
    users = [take("submit"), take("plain"), take("submit")]
    for user in users:
        node.append(user, "INBOX", build_message(message_id))
    recall(users, message_id, notify=True, report_to=BOSS)
    mails = sent()
    assert [mail.recipients for mail in mails] == [
        ["<%s>" % name] for name in (users[0], users[2], BOSS)]
    assert node.count(users[1]) == 1
    assert len({parse(mail, mail.recipients[0][1:-1])["Message-ID"]
                for mail in mails}) == 3


def test_notice_refused(node, recall, message_id, sent):
    user = "refused@example.com"
    node.append(user, "INBOX", build_message(message_id))
    result = recall(user, message_id, notify=True)
    row = result.row()
    assert (row["status"], row["notice"]) == ("expunged", "failed")
    assert row["error"].startswith("Notice: Sending failed: ")
    assert result.code == 0 and sent() == [] and node.count(user) == 0


def test_wrong_delivery(node, take, recall, message_id, sent):
    user = take("wrong")
    node.append(user, "INBOX", build_message(message_id))
    row = recall(user, message_id, notify=True).row()
    assert (row["status"], row["notice"]) == ("expunged", "failed")
    assert "recall_notice_delivery" in row["error"]
    assert "pigeon" in row["error"]
    assert sent() == [] and node.count(user) == 0


@pytest.mark.log_errors("Connection refused|/nonexistent/sendmail")
def test_no_mail_server(node, take, recall, message_id, sent):
    """Nobody listens, or there is no such program."""
    user = take("nowhere")
    node.append(user, "INBOX", build_message(message_id))
    result = recall(user, message_id, notify=True)
    row = result.row()
    assert (row["status"], row["notice"]) == ("expunged", "failed")
    assert row["error"].startswith("Notice: Sending failed: ")
    assert result.code == 0 and sent() == [] and node.count(user) == 0


def test_no_mail_plugins(node, take, message_id, sent):
    """doveadm has the module's settings from doveconf, without any mail plugin
    that asks for them."""
    user = take()
    node.append(user, "INBOX", build_message(message_id))
    done = node.doveadm("-o", "mail_plugins=", "-f", "tab", "recall",
                        "expunge", "-u", user, "--report-to", BOSS, message_id)
    assert "expunged" in done.stdout, done
    assert table(parse(sent()[0], BOSS)) == {user: ("expunged", "1")}
