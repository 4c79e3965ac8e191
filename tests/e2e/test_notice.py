"""The notice that a user finds in the INBOX after a recall."""

import email
import email.policy
import email.utils
import re

import pytest

from conftest import run_shell
from mailnode import Idle, build_message, check_wire_format

TEXT_ONLY = pytest.mark.one_format(
    "what is in a notice, and whether there is one, is decided before it is "
    "saved; test_notice() saves one in each format")


def the_notice(node, user):
    found = [text for text in node.messages(user)
             if b"Auto-Submitted:" in text]
    assert len(found) == 1
    check_wire_format(found[0])
    return email.message_from_bytes(found[0], policy=email.policy.default)


@pytest.mark.smoke
@pytest.mark.parametrize("flags, status", [
    ((), "expunged"), (("\\Seen",), "read")], ids=["unread", "read"])
def test_notice(node, user, message_id, recall, flags, status):
    node.append(user, "INBOX", build_message(
        message_id, subject="=?utf-8?b?0J7RgtGH0ZHRgg==?=",
        sender="=?utf-8?b?0JjQvNGP?= <sender@example.com>",
        body="secret content\n"), flags)
    row = recall(user, message_id, notify=True).row()
    assert (row["status"], row["notice"], row["error"]) == \
        (status, "sent", "")
    notice = the_notice(node, user)
    assert notice["From"].addresses[0].addr_spec == "system@example.com"
    assert notice["From"].addresses[0].display_name == "Почтовая система"
    assert notice["To"].addresses[0].addr_spec == user
    assert notice["In-Reply-To"] == message_id
    assert notice["Auto-Submitted"] == "auto-generated"
    assert notice["Date"].datetime is not None
    assert re.fullmatch(r"<[^<>\s]+@[^<>\s]+>", notice["Message-ID"])
    assert notice["Message-ID"] != message_id
    assert notice["MIME-Version"] == "1.0"
    assert notice.get_content_charset() == "utf-8"
    assert not notice.defects
    text = notice["Subject"] + notice.get_content()
    assert "Отчёт" in text
    assert "sender@example.com" in text
    assert "secret content" not in text
    assert notice["Content-Language"] == "en-US"


@TEXT_ONLY
def test_messages_with_the_same_id(node, user, message_id, recall):
    """The notice tells of one, and has not a bit of each."""
    node.append(user, "INBOX", build_message(
        message_id, subject="The first", sender="one@example.com"))
    node.append(user, "INBOX", build_message(
        message_id, subject="The second", sender="two@example.com"))
    assert recall(user, message_id, notify=True).row()["copies"] == "2"
    notice = the_notice(node, user)
    text = notice["Subject"] + notice.get_content()
    assert "The first" in text and "one@example.com" in text
    assert "The second" not in text and "two@example.com" not in text


@TEXT_ONLY
@pytest.mark.parametrize("known", [True, False], ids=["id", "none"])
def test_notice_of_a_query(node, user, message_id, known):
    """It answers what was found, if that has an id to be named by."""
    node.append(user, "INBOX", build_message(
        message_id if known else None, subject=message_id))
    row = run_shell(node, "-u", user, "--yes-count=1", "query", "SUBJECT",
                    message_id.strip("<>")).row()
    assert (row["status"], row["notice"]) == ("expunged", "sent")
    notice = the_notice(node, user)
    for name in ("In-Reply-To", "References"):
        assert notice[name] == (message_id if known else None)


def test_notice_is_new_mail(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(message_id))
    assert recall(user, message_id, notify=True).row()["notice"] == "sent"
    connection = node.imap(user)
    connection.select("INBOX", readonly=True)
    assert connection.search(None, "UNSEEN")[1] == [b"1"]
    connection.logout()


def test_idle_client_sees_both(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(message_id))
    connection = node.imap(user)
    connection.select("INBOX")
    with Idle(connection) as idle:
        recall(user, message_id, notify=True)
        idle.wait_for(rb"^\* 1 EXPUNGE")
        idle.wait_for(rb"^\* 1 EXISTS|^\* 2 EXISTS")
    connection.logout()


@TEXT_ONLY
@pytest.mark.parametrize("lang, sample", [
    ("ru-RU", "[а-яё]{4}"), ("fr-FR", "[àéèêç]")])
def test_language(node, users, message_id, recall, lang, sample):
    user, = users.take(lang=lang)
    node.append(user, "INBOX", build_message(message_id))
    assert recall(user, message_id, notify=True).row()["notice"] == "sent"
    notice = the_notice(node, user)
    assert notice["Content-Language"] == lang
    assert re.search(sample, notice.get_content())


@TEXT_ONLY
@pytest.mark.parametrize("asked", [
    {"notify": False}, {"notify": True, "dry_run": True}],
    ids=["no-notify", "dry-run"])
def test_no_notice(node, user, message_id, recall, asked):
    node.append(user, "INBOX", build_message(message_id), ["\\Seen"])
    assert recall(user, message_id, **asked).row()["notice"] == "none"
    assert node.count(user) == 1


@TEXT_ONLY
def test_no_notice_if_there_was_nothing(node, users, message_id, recall):
    user, = users.take(tenant_id="t1")
    node.append(user, "INBOX", build_message(message_id))
    for texts in ({"tenant": "t2"}, {"sender": ["x@example.com"]}):
        row = recall(user, message_id, notify=True, **texts).row()
        assert row["notice"] == "none"
    row = recall(user, "<something.else@example.com>", notify=True).row()
    assert (row["status"], row["notice"]) == ("not_found", "none")
    assert node.count(user) == 1


def test_notice_is_not_what_is_recalled(node, user, message_id, recall):
    """The recalled id stands in the notice, too: a repeated recall must not
    take it for the message."""
    node.append(user, "INBOX", build_message(message_id))
    recall(user, message_id, notify=True)
    again = recall(user, message_id, notify=True, force=True)
    assert again.status() in ("not_found", "already_recalled")
    assert node.count(user) == 1


def test_full_quota(node, user, message_id, recall):
    """The recall stands although there is no room for the notice."""
    node.append(user, "INBOX", build_message("<big@example.com>",
                                             body="x" * 4000 + "\n"))
    node.append(user, "INBOX", build_message(message_id))
    node.add_user(user, quota_rule="*:storage=2K")
    row = recall(user, message_id, notify=True).row()
    assert (row["status"], row["copies"], row["notice"]) == \
        ("expunged", "1", "failed")
    assert "uota" in row["error"]
    left = node.messages(user)
    assert len(left) == 1 and b"<big@example.com>" in left[0]


@TEXT_ONLY
@pytest.mark.parametrize("hostile", [
    "=?utf-8?q?a=0D=0ABcc=3A_evil=40example=2Ecom?=",
    "=?utf-8?q?a=00b?=", "{from} {subject} %s %n", "x" * 900,
], ids=["newline", "nul", "placeholders", "long"])
def test_hostile_subject(node, user, message_id, recall, hostile):
    node.append(user, "INBOX", build_message(message_id, subject=hostile))
    row = recall(user, message_id, notify=True).row()
    assert (row["status"], row["notice"]) == ("expunged", "sent")
    notice = the_notice(node, user)
    assert notice["Bcc"] is None
    assert "evil" not in " ".join(
        value for name, value in notice.items() if name != "Subject")
