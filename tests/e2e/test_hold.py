"""Legal hold: what is recalled stays, whatever the quarantine is."""

import calendar
import itertools
import time

import pytest

from answers import check_described
from conftest import DRIVERS
from mailnode import DOVECOT_24, MailNode, build_message
from quarantine import (LOCATIONS, NAMESPACE, PREFIX, age, command, make_node,
                        quarantined, recall)
from servicenode import Service

HELD, FREE, OTHER, LOST, ODD = (name + "@example.com" for name in (
    "held", "free", "other", "lost", "odd"))
USERS = {HELD: {"recall_hold": "yes"}, FREE: {},
         OTHER: {"recall_hold": PREFIX}, LOST: {"recall_hold": "NoSuch/"},
         ODD: {"recall_hold": "perhaps"}}
EMPTY = {name: "" for name in (
    "recall_hold", "recall_quarantine", "recall_quarantine_days",
    "recall_stand", "recall_standing_dir", "recall_standing_max",
    "recall_jobs_max", "recall_notice_name", "recall_notice_delivery",
    "recall_notice_lang")}

number = itertools.count(1)


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    """A node whose quarantine is off, with the namespace of one."""
    driver = request.param
    with MailNode(driver=driver, users=USERS,
                  mail_plugins=["notify", "recall"],
                  extra=NAMESPACE % (PREFIX, LOCATIONS[driver])) as node:
        yield node
        assert node.panics() == []


@pytest.mark.parametrize("user", [HELD, OTHER])
def test_goes_into_the_quarantine_that_is_off(node, user, message_id,
                                              recall_id):
    for name in user, FREE:
        node.append(name, "INBOX", build_message(message_id))
        row = recall(node, name, message_id, recall_id, "--no-notify").row()
        assert (row["status"], row["error"]) == ("expunged", "")
    kept = [box for box in quarantined(node, user) if recall_id in box]
    assert len(kept) == 1
    assert quarantined(node, FREE) == {}
    assert command(node, "list", "-u", user, recall_id).row()["copies"] == "1"


@pytest.mark.parametrize("where", [
    "settings", pytest.param("userdb", marks=pytest.mark.skipif(
        not DOVECOT_24, reason="2.3 takes an empty field for yes"))])
def test_empty_settings_are_none(where, message_id, recall_id):
    of_all, of_user = (EMPTY, {}) if where == "settings" else ({}, EMPTY)
    with MailNode(driver=DRIVERS[-1], users={FREE: of_user}, plugin=of_all,
                  mail_plugins=["notify", "recall"]) as node:
        node.lmtp_deliver(FREE, build_message(message_id))
        assert node.count(FREE) == 1
        row = recall(node, FREE, message_id, recall_id).row()
        assert (row["status"], row["error"], row["notice"]) == \
            ("expunged", "", "sent")
        # the notice
        assert node.count(FREE) == 1
        assert node.panics() == []


@pytest.mark.log_errors("not a private one of its own")
def test_namespace_of_the_users_own_mail(message_id, recall_id):
    """A setting that is wrong takes nobody's mail away."""
    with MailNode(driver=DRIVERS[-1], users=[FREE],
                  mail_plugins=["notify", "recall"],
                  plugin={"recall_hold": "Mail/"},
                  extra="namespace inbox {\n  prefix = Mail/\n}\n") as node:
        node.lmtp_deliver(FREE, build_message(message_id))
        connection = node.imap(FREE)
        try:
            assert connection.select("INBOX") == ("OK", [b"1"])
            assert connection.create("Mail/Work")[0] == "OK"
            assert len(connection.list()[1]) > 1
        finally:
            connection.logout()
        row = recall(node, FREE, message_id, recall_id).row()
        assert row["status"] == "error"
        assert "not a private one of its own" in row["error"]
        assert node.count(FREE) == 1
        assert node.panics() == []


def test_is_not_shown_to_the_user(node, message_id, recall_id):
    node.append(HELD, "INBOX", build_message(message_id))
    recall(node, HELD, message_id, recall_id, "--no-notify")
    box, = [box for box in quarantined(node, HELD) if recall_id in box]
    connection = node.imap(HELD)
    try:
        for command_name, args in (("LIST", ('""', '"*"')),
                                   ("LIST", ('""', '"%s*"' % PREFIX))):
            status, lines = connection._simple_command(command_name, *args)
            status, lines = connection._untagged_response(status, lines,
                                                          command_name)
            assert not any(b"RECALLED" in (line or b"") for line in lines)
        assert connection.select('"%s"' % box)[0] == "NO"
        assert connection.delete('"%s"' % box)[0] == "NO"
        assert connection.rename('"%s"' % box, "mine")[0] == "NO"
    finally:
        connection.logout()
    assert box in quarantined(node, HELD)


def test_is_not_purged(node, message_id, recall_id):
    node.append(HELD, "INBOX", build_message(message_id))
    node.append(HELD, "Work", build_message(message_id))
    recall(node, HELD, message_id, recall_id, "--no-notify")
    age(node, HELD, recall_id, 400)
    before = quarantined(node, HELD)
    for args in (), ("--dry-run",):
        result = command(node, "purge", "-u", HELD, *args, recall_id)
        row = result.row()
        assert (row["status"], row["copies"], result.code) == ("held", "2", 0)
        assert "recall_hold: 2 copies of 1 recalls are held" in result.stderr
    assert quarantined(node, HELD) == before
    # once it is released
    node.add_user(HELD, recall_hold="no")
    option = "recall_quarantine" if DOVECOT_24 else \
        "plugin/recall_quarantine"
    try:
        done = node.doveadm("-o", option + "=" + PREFIX, "-f", "tab",
                            "recall", "purge", "-u", HELD, recall_id)
        assert "purged" in done.stdout
    finally:
        node.add_user(HELD, **USERS[HELD])
    assert not [box for box in quarantined(node, HELD) if recall_id in box]


def test_stays_when_it_is_put_back(node, message_id, recall_id):
    node.append(HELD, "INBOX", build_message(message_id))
    recall(node, HELD, message_id, recall_id, "--no-notify")
    before = node.count(HELD)
    for copies, present in ("1", "0"), ("0", "1"):
        row = command(node, "restore", "-u", HELD, recall_id).row()
        assert (row["status"], row["copies"], row["present"]) == \
            ("restored", copies, present)
    assert node.count(HELD) == before + 1
    node.doveadm("expunge", "-u", HELD, "mailbox", "INBOX", "header",
                 "message-id", message_id)
    assert [box for box in quarantined(node, HELD) if recall_id in box]


@pytest.mark.parametrize("user", [LOST, ODD])
@pytest.mark.log_errors("no namespace with the prefix")
def test_nothing_is_deleted_where_it_cannot_be_kept(
        node, user, message_id, recall_id):
    node.append(user, "INBOX", build_message(message_id))
    row = recall(node, user, message_id, recall_id, "--no-notify").row()
    assert row["status"] == "error"
    assert "recall_hold: There is no namespace" in row["error"]
    assert node.count(user) == 1
    node.doveadm("expunge", "-u", user, "mailbox", "INBOX", "all")


@pytest.mark.parametrize("value, held", [
    ("yes", True), ("YES", True), ("1", True), ("on", True), ("no", False),
    ("No", False), ("0", False), ("off", False), ("false", False)])
def test_with_a_quarantine(quarantine_node, value, held, message_id,
                           recall_id):
    node, user = quarantine_node, "u%d@example.com" % next(number)
    node.add_user(user, recall_hold=value)
    node.append(user, "INBOX", build_message(message_id))
    recall(node, user, message_id, recall_id, "--no-notify")
    age(node, user, recall_id, 31)
    row = command(node, "purge", "-u", user).row()
    assert row["status"] == ("held" if held else "purged")
    assert bool(quarantined(node, user)) is held


def test_kept_until(quarantine_node, message_id, recall_id):
    """Until when it can be undone, where there is an end to that."""
    node, now = quarantine_node, time.time()
    users = {"k%d@example.com" % next(number): fields for fields in (
        {}, {"recall_quarantine_days": "7"}, {"recall_hold": "yes"},
        {"recall_quarantine": "off"})}
    for user, fields in users.items():
        node.add_user(user, **fields)
        node.append(user, "INBOX", build_message(message_id))
    with Service(node) as service:
        done = service.recall(service.token(), message_id,
                              list(users)).json()
        assert done["summary"] == {"expunged": 4}
        answer = service.curl("/v2/actions/" + done["id"],
                              token=service.token())
        check_described("/v2/actions/{id}", "get", answer)
        # of the user whose copies are kept for the shortest time
        assert 0 <= answer.json()["kept_until"] - 7 * 86400 - int(now) < 600
    for user, days in zip(users, (30, 7, None, None)):
        node.append(user, "INBOX", build_message(message_id))
        until = recall(node, user, message_id, recall_id,
                       "--no-notify").row()["kept-until"]
        if days is None:
            assert until == ""
        else:
            until = calendar.timegm(time.strptime(until,
                                                  "%Y-%m-%dT%H:%M:%SZ"))
            assert 0 <= until - days * 86400 - int(now) < 600
    row = command(node, "restore", "-u", list(users)[0], recall_id).row()
    assert row["kept-until"] == ""


@pytest.fixture(scope="module")
def quarantine_node():
    with make_node(DRIVERS[-1], ["u0@example.com"]) as node:
        yield node
        assert node.panics() == []


def test_for_everyone(message_id, recall_id):
    with make_node(DRIVERS[-1], [FREE],
                   plugin={"recall_hold": "yes"}) as node:
        node.append(FREE, "INBOX", build_message(message_id))
        recall(node, FREE, message_id, recall_id, "--no-notify")
        age(node, FREE, recall_id, 31)
        assert command(node, "purge", "-A").row()["status"] == "held"
