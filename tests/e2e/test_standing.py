"""Recalls that stand: copies that arrive after the recall."""

import calendar
import contextlib
import fcntl
import os
import pathlib
import pwd
import re
import smtplib
import struct
import subprocess
import time

import pytest

import namespace
from conftest import (DRIVERS, EX_CANTCREAT, EX_TEMPFAIL, EX_USAGE,
                      HttpRecall, ShellRecall, Users, run_shell)
from failpoints import IMPORT, with_failpoints
from mailnode import PATIENCE, MailNode, build_message
from quarantine import make_node as quarantine_node
from quarantine import command, http, quarantined

PLUGINS = ["notify", "recall"]


def make_node(driver=DRIVERS[-1], **options):
    options.setdefault("mail_plugins", PLUGINS)
    options.setdefault("acl", True)
    node = MailNode(driver=driver, **options)
    node.test_users = Users(node)
    node.initial_users = node.test_users.provision()
    return node


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    """Here each node has the mail plugin: nothing comes late without it."""
    with make_node(request.param) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(autouse=True)
def no_orders(request):
    """Orders of one test are none of the next one's business."""
    yield
    for name in {"node", "quarantine", "mended"} & set(request.fixturenames):
        node = request.getfixturevalue(name)
        for order in orders(node):
            command(node, "standing", "end", order["recall-id"])


@pytest.fixture(params=[ShellRecall, HttpRecall], ids=["shell", "http"])
def recall(request, node):
    return request.param(node)


def orders(node):
    found = command(node, "standing", "list")
    assert found.code == 0, found
    return found.rows


def order(node):
    rows = orders(node)
    assert len(rows) == 1, rows
    return rows[0]


# what an order says


def test_order(node, recall, users, message_id):
    names = users.take(2)
    result = recall(names, message_id, force=True, stand="2 hours",
                    sender=["a@example.com", "b@example.com"],
                    tenant="default", reason="Because", actor="admin")
    assert result.code == 0 and len(result.rows) == 2
    row = order(node)
    assert row["recall-id"] == result.rows[0]["recall-id"]
    assert row["message-id"] == message_id.strip("<>")
    assert row["users"] == ",".join(names)
    assert row["senders"] == "a@example.com,b@example.com"
    assert (row["tenant"], row["force"]) == ("default", "yes")
    assert (row["reason"], row["actor"]) == ("Because", "admin")
    assert (row["query"], row["late"]) == ("", "0")
    assert row["created"] < row["expires"]

    ended = command(node, "standing", "end", row["recall-id"])
    assert [row["status"] for row in ended.rows] == ["ended"]
    assert orders(node) == []
    ended = command(node, "standing", "end", row["recall-id"])
    assert [row["status"] for row in ended.rows] == ["not_found"]


def test_order_after_a_command_of_another(node, users, message_id):
    """doveadm-server goes on with the privileges that it had for a user: the
    node's orders are root's."""
    first, second = users.take(2)
    run_shell(node, "-u", first, "--stand", "1h", "--", message_id)
    answers = node.doveadm_http([
        ["fetch", {"user": second, "field": ["uid"], "query": ["all"]}, "1"],
        ["recallExpunge", {"users": [second], "messageId": message_id,
                           "stand": "1h"}, "2"]])
    assert [answer[0] for answer in answers] == ["doveadmResponse"] * 2
    assert answers[1][1][0]["status"] == "not_found"
    assert len(orders(node)) == 2


def test_no_order_unless_asked_for(node, recall, user, message_id):
    recall(user, message_id)
    recall(user, message_id, stand="off")
    recall(user, message_id, stand="1h", dry_run=True)
    assert orders(node) == []


def test_order_of_an_id_without_at(node, shell, user):
    shell("-u", user, "--stand=1h", "<no-at-sign>")
    assert order(node)["message-id"] == "<no-at-sign>"


def test_everyone_and_masks(node, shell, message_id):
    shell("-A", "--stand=1h", "--tenant=nobodys", message_id)
    shell("-u", "masked*", "--stand=1h", message_id)
    assert sorted(row["users"] for row in orders(node)) == ["*", "masked*"]


def test_spread_over_processes(node, shell, users, message_id):
    """It is one order, not each process's."""
    names = users.take(8)
    result = shell(*["--users=" + name for name in names], "--jobs=2",
                   "--stand=1h", message_id)
    assert (result.code, len(result.rows)) == (0, 8)
    assert order(node)["users"] == ",".join(names)


def test_no_name_is_taken_for_a_mask(node, shell, message_id):
    shell("--users=*@example.com", "--users=", "--stand=1h", message_id)
    assert orders(node) == []


def test_query(node, shell, user, message_id):
    node.lmtp_deliver(user, build_message(message_id, subject="Standing"))
    args = ["-u", user, "--stand=1h", "query", "SUBJECT", "standing", "FROM",
            "sender@example.com"]
    assert shell("--yes-count=2", *args).code == EX_USAGE
    assert orders(node) == []
    result = shell("--yes-count=1", *args)
    assert result.status() == "expunged"
    row = order(node)
    assert row["query"] == "SUBJECT standing FROM sender@example.com"
    assert (row["message-id"], row["users"]) == ("", user)


@pytest.mark.parametrize("query", [
    ["BODY", "text"], ["SUBJECT", "Test", "UNSEEN"],
    ["SUBJECT", "x", "OR", "SINCE", "2020-01-01"],
    ["mailbox", "INBOX", "SUBJECT", "Test"]])
@pytest.mark.log_errors("can't be judged")
def test_query_that_can_not_stand(node, shell, user, message_id, query):
    node.lmtp_deliver(user, build_message(message_id))
    args = ["-u", user, "--yes-count=1", "query", *query]
    result = shell("--stand=1h", *args)
    assert result.code == EX_USAGE and result.rows == []
    assert "can't be judged" in result.stderr
    assert http(node, "recallExpunge", user=user, stand="1h", yesCount="1",
                query=query).code == EX_USAGE
    assert orders(node) == []
    assert shell(*args).status() == "expunged"


@pytest.mark.parametrize("stand", ["", "0", "x", "-1h", "31 days", "1 year"])
@pytest.mark.log_errors("stand")
def test_wrong_time(node, recall, user, message_id, stand):
    node.lmtp_deliver(user, build_message(message_id))
    result = recall(user, message_id, stand=stand)
    assert result.code == EX_USAGE and result.rows == []
    assert node.count(user) == 1
    assert orders(node) == []


@pytest.fixture(scope="module")
def limited():
    plugin = {"recall_standing_max": "2", "recall_stand": "30 mins"}
    with make_node(plugin=plugin) as node:
        yield node
        assert node.panics() == []


def refused(node, how, *args, **parameters):
    """A recall that is refused, with nothing done: what it says."""
    if how == "http":
        before = node.log_size()
        assert http(node, "recallExpunge", **parameters).code == EX_CANTCREAT
        node.settle_log()
        return node.log(before)
    result = node.doveadm("recall", "expunge", *args, check=False)
    assert (result.returncode, result.stdout) == (EX_CANTCREAT, "")
    return result.stderr


@pytest.mark.parametrize("how", ["shell", "http"])
def test_limit(limited, how, message_id):
    """The setting recall_stand has a recall stand that does not say; over the
    limit nothing is done, and the orders there stay."""
    node = limited
    user, = node.test_users.take()
    for row in orders(node):
        command(node, "standing", "end", row["recall-id"])
    recall = ShellRecall(node)
    ids = [recall(user, "<%d.%s" % (i, message_id[1:])).row()["recall-id"]
           for i in range(2)]
    node.lmtp_deliver(user, build_message(message_id))
    text = refused(node, how, "-u", user, message_id, user=user,
                   messageId=message_id)
    assert "There are 2 standing orders already" in text
    assert node.count(user) == 1
    assert sorted(row["recall-id"] for row in orders(node)) == sorted(ids)
    # what does not stand is not limited
    assert recall(user, message_id, stand="off").status() == "expunged"
    # one more part of a recall is no further order
    other, = node.test_users.take()
    recall(other, "<0.%s" % message_id[1:], recall_id=ids[0])
    assert sorted(row["users"] for row in orders(node)) == sorted(
        [user + "," + other, user])


@pytest.mark.log_errors("that of another recall")
def test_recall_id_of_another_message(node, recall, user, message_id):
    first = recall(user, message_id, stand="1h").row()["recall-id"]
    result = recall(user, "<other>", stand="1h", recall_id=first)
    assert (result.code, result.rows) == (EX_CANTCREAT, [])
    assert order(node)["message-id"] == message_id.strip("<>")


# what arrives


def stand(node, user, message_id, *args):
    """A recall that stands for what has not arrived yet: its id."""
    users = ["-u", user] if isinstance(user, str) else \
        ["--users=" + name for name in user]
    result = run_shell(node, *users, "--stand=1h", *args, "--", message_id)
    assert result.code == 0, result
    return result.rows[0]["recall-id"]


def test_begin(node, users, message_id):
    """An order alone, to which others' users come; nobody is looked at."""
    user, other, later = users.take(3)
    node.lmtp_deliver(user, build_message(message_id))
    recall_id = "%032x" % 5
    options = ["--stand=1h", "--no-notify", "--recall-id=" + recall_id]
    found = command(node, "standing", "begin", "--users=" + user,
                    "--users=a*b@example.com", "--reason=Because", *options,
                    message_id)
    assert found.code == 0 and found.row()["recall-id"] == recall_id
    assert found.row()["expires"] == order(node)["expires"]
    assert node.count(user) == 1
    found = http(node, "recallStandingBegin", users=[other], noNotify="true",
                 stand="3599 secs", recallId=recall_id, messageId=message_id)
    assert found.code == 0 and found.row()["recall-id"] == recall_id
    assert order(node)["users"] == user + "," + other
    node.lmtp_deliver([user, other, later], build_message(message_id))
    # with what was there
    assert [node.count(name) for name in (user, other, later)] == [0, 0, 1]
    assert command(node, "standing", "begin", "-A", *options,
                   message_id).code == 0
    assert order(node)["users"] == "*"
    node.lmtp_deliver(later, build_message(message_id))
    assert node.count(later) == 0


@pytest.mark.parametrize("args", [
    ["--stand=1h", "<x@y>"], ["-A", "--users=x@y", "--stand=1h", "<x@y>"],
    ["-A", "<x@y>"], ["-A", "--stand=off", "<x@y>"],
    ["--users=x*", "--stand=1h", "<x@y>"],
    ["-A", "--stand=1h", "query", "BODY", "x"]])
def test_begin_that_is_refused(node, args):
    assert command(node, "standing", "begin", *args).code == EX_USAGE
    assert orders(node) == []


def test_stand_for_all(node, users, message_id):
    """Of a recall that asks about some of them only."""
    user, other = users.take(2)
    stand(node, user, message_id, "--stand-all", "--no-notify")
    assert order(node)["users"] == "*"
    node.lmtp_deliver([user, other], build_message(message_id))
    assert node.count(user) == node.count(other) == 0


def test_run_of_one_order(node, users, message_id):
    """What others are for stays until it's their turn."""
    user, other = users.take(2)
    for name in user, other:
        node.lmtp_deliver(name, build_message(message_id))
    ids = [command(node, "standing", "begin", "--users=" + name, "--stand=1h",
                   "--no-notify", message_id).row()["recall-id"]
           for name in (user, other)]
    rows = command(node, "standing", "run", ids[1]).rows
    assert [(row["username"], row["recall-id"]) for row in rows] == [
        (other, ids[1])]
    assert (node.count(user), node.count(other)) == (1, 0)
    assert run(node) == [(user, "expunged", "1", "INBOX")]


def test_late_since(node, user, message_id):
    """What comes is told of with a name of its own, and by when it came."""
    stand(node, user, message_id, "--no-notify")
    for _ in range(2):
        node.lmtp_deliver(user, build_message(message_id))
    rows = [row for row in command(node, "standing", "late").rows
            if row["username"] == user]
    assert len({row["line"] for row in rows}) == len(rows) == 2
    when = max(calendar.timegm(time.strptime(row["date"],
                                             "%Y-%m-%dT%H:%M:%SZ"))
               for row in rows)
    for since, count in (when - 3600, 2), (when + 3600, 0):
        found = command(node, "standing", "late", "--since=%d" % since)
        assert found.code == 0
        assert len([row for row in found.rows
                    if row["username"] == user]) == count
    assert command(node, "standing", "late", "--since=x").code == EX_USAGE


def late(node, *users):
    """What was recalled late from these users."""
    found = command(node, "standing", "late")
    assert found.code == 0, found
    return [(row["username"], row["copies"], row["mailboxes"])
            for row in found.rows if row["username"] in users]


def wait_for_uids(connection, uids):
    """Until the session sees these messages, and no others, in its mailbox."""
    deadline = time.monotonic() + PATIENCE
    while connection.search(None, "ALL")[1] != [uids]:
        assert time.monotonic() < deadline
        connection.noop()


def notices(node, user):
    return [text for text in node.messages(user)
            if b"X-Dovecot-Recall-Id:" in text]


def test_lmtp(node, users, message_id):
    user, other = users.take(2)
    recall_id = stand(node, [user], message_id, "--reason=Because",
                      "--actor=admin")
    since = node.log_size()
    message = build_message(message_id, subject="Late")
    node.lmtp_deliver([user, other], message)
    line, = node.wait_log("came late", since)
    assert recall_id in line and "copies=1" in line and user in line
    assert len(node.messages(other)) == 1
    notice, = node.messages(user)
    assert recall_id.encode() in notice and b"Late" in notice
    # and once more: not another notice
    node.lmtp_deliver([other, user], message)
    node.wait_log("came late", since, count=2)
    assert notices(node, user) == node.messages(user) == [notice]
    assert len(node.messages(other)) == 2
    assert late(node, user) == [(user, "1", "INBOX")] * 2
    assert len(command(node, "standing", "late", recall_id).rows) == 2
    assert order(node)["late"] == "2"
    # other mail
    node.lmtp_deliver(user, build_message("<x" + message_id[1:]))
    assert node.count(user) == 2


def run(node):
    found = command(node, "standing", "run")
    assert found.code == 0, found
    return [(row["username"], row["status"], row["copies"], row["mailboxes"])
            for row in found.rows]


@pytest.mark.parametrize("flags", [(), ("\\Flagged", "kw")])
def test_append(node, user, message_id, flags):
    """The session that has saved it sees it go, and goes on."""
    stand(node, user, message_id, "--no-notify")
    connection = node.imap(user)
    connection.select("INBOX")
    connection.append("INBOX", "(%s)" % " ".join(flags), None,
                      build_message(message_id))
    connection.append("INBOX", None, None, build_message("<n" +
                                                         message_id[1:]))
    wait_for_uids(connection, b"1")
    connection.logout()
    assert late(node, user) == [(user, "1", "INBOX")]


def test_append_of_what_was_read(node, user, message_id):
    """As in any recall: what was read stays, unless it's forced."""
    stand(node, user, message_id)
    node.append(user, "INBOX", build_message(message_id), ["\\Seen"])
    assert node.count(user) == 1 and late(node, user) == []
    stand(node, user, message_id, "--force", "--no-notify")
    assert node.count(user) == 0
    node.append(user, "INBOX", build_message(message_id), ["\\Seen"])
    assert node.count(user) == 0
    assert late(node, user) == [(user, "1", "INBOX")]


def test_append_while_another_saves(node, user, message_id):
    """The first message is committed; a second one is under way when the
    process could recall it."""
    stand(node, user, message_id, "--no-notify")
    connection = node.imap(user)
    connection.select("INBOX")
    message = build_message(message_id)
    other = build_message("<n" + message_id[1:])
    connection.send(b"a1 APPEND INBOX {%d}\r\n" % len(message))
    assert connection.readline().startswith(b"+")
    # the second command comes with the end of the first one
    connection.send(message + b"\r\na2 APPEND INBOX {%d}\r\n" % len(other))
    line = connection.readline()
    while not line.startswith(b"+"):
        line = connection.readline()
    connection.send(other[:20])
    assert late(node, user) == []
    connection.send(other[20:] + b"\r\n")
    while not connection.readline().startswith(b"a2 OK"):
        pass
    wait_for_uids(connection, b"1")
    connection.logout()
    assert node.count(user) == 1
    assert late(node, user) == [(user, "1", "INBOX")]


def test_own_copies_and_moves(node, user, message_id):
    """A user who has read the message keeps it, and may put it elsewhere."""
    node.append(user, "INBOX", build_message(message_id), ["\\Seen"])
    result = run_shell(node, "-u", user, "--stand=1h", "--no-notify", "--",
                       message_id)
    assert result.status() == "read"
    node.set_flags(user, "INBOX", ["\\Flagged"])
    connection = node.imap(user)
    connection.create("Work")
    connection.select("INBOX")
    connection.store("1", "-FLAGS", "(\\Seen)")
    connection.copy("1", "Work")
    connection._simple_command("MOVE", "1", "Work")
    connection.logout()
    assert node.count(user, "Work") == 2
    node.doveadm("copy", "-u", user, "INBOX", "mailbox", "Work", "ALL")
    node.doveadm("mailbox", "create", "-u", user, "Trash")
    node.doveadm("move", "-u", user, "Trash", "mailbox", "Work", "ALL")
    assert (node.count(user), node.count(user, "Trash")) == (2, 2)
    assert late(node, user) == []


@pytest.mark.parametrize("mailbox", ["Sent", "Drafts"])
def test_own_sent_mail_and_drafts(node, users, message_id, mailbox):
    """A reply, a draft or the sent copy is the user's own, unless it's
    forced."""
    user, other = users.take(2)
    message = build_message(message_id, headers=[("In-Reply-To", message_id)])
    stand(node, user, message_id)
    node.append(user, mailbox, message)
    reply = build_message("<re" + message_id[1:],
                          headers=[("In-Reply-To", message_id),
                                   ("References", message_id)])
    node.lmtp_deliver(user, reply)
    assert (node.count(user, mailbox), node.count(user)) == (1, 1)
    assert run(node) == [] and late(node, user) == []
    stand(node, other, message_id, "--force")
    node.append(other, mailbox, message)
    assert node.count(other, mailbox) == 0
    assert late(node, other) == [(other, "1", mailbox)]


def test_copy_from_another_user(node, users, message_id):
    """By IMAP from a shared mailbox, and by doveadm."""
    user, owner = users.take(2)
    node.lmtp_deliver(owner, build_message(message_id))
    stand(node, user, message_id, "--no-notify")
    node.doveadm("copy", "-u", user, "INBOX", "user", owner, "mailbox",
                 "INBOX", "ALL")
    assert node.count(user) == 0 and node.count(owner) == 1
    node.doveadm("acl", "set", "-u", owner, "INBOX", "user=" + user, "lookup",
                 "read")
    connection = node.imap(user)
    connection.select("shared/%s/INBOX" % owner, readonly=True)
    assert connection.copy("1", "INBOX")[0] == "OK"
    connection.logout()
    assert node.count(user) == 0 and node.count(owner) == 1
    assert late(node, user) == [(user, "1", "INBOX")] * 2


def backup(node, user, path):
    node.doveadm("backup", "-u", user, "sdbox:" + str(path))


def test_import_and_dsync(node, users, message_id):
    """An old copy of the mailbox, made before the recall, is put back."""
    user, other = users.take(2)
    place = node.dir / "mail" / ("backup-" + user)
    for name in user, other:
        node.lmtp_deliver(name, build_message(message_id))
        node.lmtp_deliver(name, build_message("<n" + message_id[1:]))
    backup(node, user, place)
    stand(node, [user, other], message_id, "--no-notify")
    assert (node.count(user), node.count(other)) == (1, 1)
    node.doveadm("import", "-u", user, "sdbox:" + str(place), "old", "ALL")
    assert node.count(user, "old/INBOX") == 1
    node.doveadm("sync", "-1", "-R", "-u", other, "sdbox:" + str(place))
    for name in user, other:
        assert message_id.encode() not in b"".join(node.messages(name))
    assert late(node, user) == [(user, "1", "old/INBOX")]
    assert late(node, other) == [(other, "1", "INBOX")]


def test_limits_of_an_order(node, users, message_id):
    """Other senders' messages and other tenants' users."""
    tenant, = users.take(1, tenant_id="t1")
    user, = users.take()
    other, = users.take(1, tenant_id="t2")
    run_shell(node, *("--users=" + name for name in (tenant, user, other)),
              "--stand=1h", "--no-notify", "--tenant=t1",
              "--sender=a@example.com", "--", message_id)
    for sender in "a@example.com", "b@example.com":
        node.lmtp_deliver([tenant, user, other],
                          build_message(message_id, sender=sender))
    assert [node.count(name) for name in (tenant, user, other)] == [1, 2, 2]
    assert b"b@example.com" in node.messages(tenant)[0]
    assert late(node, tenant, user, other) == [(tenant, "1", "INBOX")]


def test_everyone(node, users, message_id):
    """Also who comes later."""
    run_shell(node, "-A", "--tenant=t1", "--stand=1h", "--no-notify", "--",
              message_id)
    node.add_user("new-%d@example.com" % time.monotonic_ns(), tenant_id="t1")
    user, = [name for name in node.users if name.startswith("new-")]
    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 0
    node.remove_user(user)


def test_other_names_of_a_user(node, users, message_id):
    """An order is for the mailbox, by whatever name it was asked for."""
    user, = users.take()
    alias = "alias-" + user
    node.add_user(alias, user=user)
    stand(node, alias, message_id, "--no-notify")
    assert set(order(node)["users"].split(",")) == {alias, user}
    for name in user, alias:
        node.lmtp_deliver(name, build_message(message_id))
    assert node.count(user) == 0
    node.remove_user(alias)


def test_several_ids(node, users, message_id):
    """A message with several Message-IDs, and one with none."""
    user, = users.take()
    stand(node, user, message_id, "--no-notify")
    node.lmtp_deliver(user, build_message(None))
    node.lmtp_deliver(user, build_message(
        "<first@example.com>", headers=[("Message-ID", message_id)]))
    node.append(user, "INBOX", build_message(
        "<first@example.com>\r\n " + message_id))
    assert node.count(user) == 1


def test_header_that_is_too_long_for_dovecot(node, user, message_id):
    """It looks at no more than 10 MB of it."""
    stand(node, user, message_id, "--no-notify")
    long = "".join("X-Long: %s\r\n" % ("x" * 1000) for _ in range(10500))
    node.lmtp_deliver(user, long.encode() + build_message(message_id))
    assert node.count(user) == 0


def test_query_that_stands(node, users, message_id):
    user, other = users.take(2)
    node.lmtp_deliver(user, build_message(message_id, subject="Prize"))
    result = run_shell(node, "-u", user, "--stand=1h", "--yes-count=1",
                       "query", "SUBJECT", "prize", "NOT", "HEADER",
                       "X-Good", "yes")
    assert result.status() == "expunged"
    node.lmtp_deliver([other, user],
                      build_message("<1" + message_id[1:], subject="A prize"))
    node.append(user, "Work", build_message("<2" + message_id[1:],
                                            subject="prizes"))
    node.append(user, "Drafts", build_message("<2" + message_id[1:],
                                              subject="prizes"))
    node.lmtp_deliver(user, build_message(None, subject="Prize",
                                          headers=[("X-Good", "yes")]))
    # one good message, and one notice in all, whose subject is none
    assert node.count(user) == 2 and len(notices(node, user)) == 1
    assert any(b"X-Good" in text for text in node.messages(user))
    assert node.count(user, "Work") == 0
    assert node.count(user, "Drafts") == node.count(other) == 1
    assert late(node, user) == [(user, "1", "INBOX"), (user, "1", "Work")]


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_query_of_whom_nobody_has_counted(node, users):
    """What stands takes all that it finds with a user, once something
    arrives."""
    counted, hidden = users.take(2)
    for user in counted, hidden:
        node.append(user, "INBOX", build_message(None, subject="Uncounted"))
    args = ["recall", "expunge", "--users", counted, "--users", hidden,
            "--no-notify", "--yes-count", "1", "query", "SUBJECT", "uncounted"]
    home = node.home(hidden)
    mode = home.stat().st_mode
    home.chmod(0)
    try:
        done = node.doveadm(*args[:2], "--stand=1h", *args[2:], check=False)
        assert done.returncode == EX_USAGE, done
        assert "could not be counted: 1;" in done.stderr
        assert (orders(node), node.count(counted)) == ([], 1)
        # those who were counted can be recalled from
        done = node.doveadm(*args[:2], "--stand=off", *args[2:], check=False)
        assert done.returncode == EX_TEMPFAIL, done
    finally:
        home.chmod(mode)
    node.append(hidden, "INBOX", build_message(None, subject="Uncounted"))
    assert (node.count(counted), node.count(hidden)) == (0, 2)


def test_notices_of_other_orders(node, user, message_id):
    """They quote the subject, and nobody takes them: else each look of one order
    would take what the last one of the other has sent."""
    for word in "prize", "your":
        command(node, "standing", "begin", "--users=" + user, "--stand=1h",
                "query", "SUBJECT", word)
    node.lmtp_deliver(user, build_message(message_id, subject="Your prize"))
    told, = notices(node, user)
    assert b"\r\nSubject: Message recalled: Your prize\r\n" in told
    assert late(node, user) == [(user, "1", "INBOX")]
    assert run(node) == []
    assert node.messages(user) == [told]
    # one that was made up is mail as any other
    node.lmtp_deliver(user, build_message(message_id, subject="Your prize",
        headers=[("X-Dovecot-Recall-Id", "0" * 32)]))
    assert node.messages(user) == [told]


def test_notice_that_others_make_up(node, users, message_id):
    """Who has got a notice knows the order's id, and may send mail with it."""
    user, third = users.take(2)
    for name in user, third:
        command(node, "standing", "begin", "--users=" + name, "--stand=1h",
                "query", "SUBJECT", "prize")
    node.lmtp_deliver(user, build_message(message_id, subject="Your prize"))
    told, = notices(node, user)
    for row in orders(node):
        node.lmtp_deliver([user, third], build_message(
            message_id, subject="Your prize",
            headers=[("X-Dovecot-Recall-Id", row["recall-id"])]))
    assert run(node) == []
    assert node.messages(user) == [told]
    assert node.messages(third) == notices(node, third)


def test_notices_of_what_does_not_stand(node, user, message_id):
    """Of a recall that never stood, and of an order that has ended."""
    subject = "Your " + user
    for options in [], ["--stand=1h"]:
        node.lmtp_deliver(user, build_message(message_id, subject=subject))
        done = run_shell(node, "-u", user, *options, message_id)
        assert done.status() == "expunged"
        for row in orders(node):
            command(node, "standing", "end", row["recall-id"])
    told = notices(node, user)
    assert len(told) == 2 and node.messages(user) == told
    command(node, "standing", "begin", "--users=" + user, "--stand=1h",
            "query", "SUBJECT", user)
    assert run(node) == []
    assert node.messages(user) == told


def rename_directory(node, user, name, new_name):
    """To a name that no client can choose."""
    path = pathlib.Path(node.doveadm("mailbox", "path", "-u", user,
                                     name).stdout.strip())
    if node.driver != "maildir":
        path = path.parent
    path.rename(path.with_name(path.name[:-len(name)] + new_name))
    for index in node.home(user).rglob("dovecot.list.index*"):
        index.unlink()


def test_mailbox_name_of_two_lines(node, user, message_id):
    """It is one that older versions of Dovecot have let clients choose: it
    makes up neither rows nor lines of the log."""
    node.append(user, "x", build_message(message_id))
    encoded = "x&AAo-other&AAk-expunged"
    rename_directory(node, user, "x", encoded)
    name = "x\ufffdother\ufffdexpunged"
    for how in ["search"], ["expunge", "--dry-run"], ["index"]:
        result = command(node, *how, "-u", user, *[message_id] *
                         (how != ["index"]))
        assert name in [row.get("mailbox", row.get("mailboxes"))
                        for row in result.rows], result
    recall_id = stand(node, user, message_id, "--no-notify")
    since = node.log_size()
    connection = node.imap(user)
    assert connection.append(encoded, None, None,
                             build_message(message_id))[0] == "OK"
    node.wait_log(recall_id + ": came late: expunged", since)
    connection.logout()
    node.settle_log()
    assert [line for line in node.log(since).splitlines()
            if not re.match(r"\d{4}-\d\d-\d\d ", line)] == []
    assert late(node, user) == [(user, "1", name)]


def test_directory_that_is_no_mailbox(node, user, message_id):
    """Dovecot lists it, and says that there is none when it is opened. Recalls
    can't say that there is no such message, nor that it was moved; searches
    can't say that this is all."""
    node.append(user, "x", build_message(message_id))
    node.append(user, "y", build_message(message_id))
    rename_directory(node, user, "x", "x&zz")
    error = "Mailbox x&zz is listed, but is not there when it is opened"
    for name, *args in (["search", message_id], ["search", "query", "ALL"],
                        ["search", "--verify-headers", message_id],
                        ["fetch", "hdr.message-id", message_id]):
        found = command(node, name, "-u", user, *args)
        assert found.code == EX_TEMPFAIL
        # fetch has no column of mailboxes
        assert {row["error"]: row.get("mailbox") for row in found.rows} == (
            {"": None, error: None} if name == "fetch" else
            {"": "y", error: "x&zz"}), (name, args)
    # what it does not look for there is not missing
    found = command(node, "search", "-u", user, "query", "mailbox", "y")
    assert found.code == 0 and found.row()["mailbox"] == "y"
    node.doveadm("expunge", "-u", user, "mailbox", "y", "all")
    row = run_shell(node, "-u", user, message_id).row()
    assert (row["status"], row["copies"], row["error"]) == (
        "error", "0", error)


def test_end_of_which(node):
    result = command(node, "standing", "end")
    assert (result.rows, result.code) == ([], EX_USAGE)
    assert "recall id is missing" in result.stderr


def test_expiry(node, user, message_id):
    result = run_shell(node, "-u", user, "--stand=1s", "--", message_id)
    recall_id = result.row()["recall-id"]
    deadline = time.monotonic() + PATIENCE
    while orders(node):
        assert time.monotonic() < deadline
    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 1
    # the order goes with the next look
    place = node.standing_dir / (recall_id + ".order")
    assert place.exists()
    assert run(node) == []
    assert not place.exists() and not (node.standing_dir / "set").exists()
    assert node.count(user) == 1


def test_end(node, user, message_id):
    recall_id = stand(node, user, message_id)
    command(node, "standing", "end", recall_id)
    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 1


# with a quarantine


@pytest.fixture(scope="module", params=DRIVERS)
def quarantine(request):
    users = {"q%03d@example.com" % i: {"recall_quarantine_days": "0"}
             for i in range(40)}
    with quarantine_node(request.param, users, mail_plugins=PLUGINS,
                         acl=True) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


def test_quarantine(quarantine, message_id):
    """A late copy joins the others of its recall there, and comes back with
    them: then it's the user's again, though others' still stands."""
    node = quarantine
    user, other = next(node.free_users), next(node.free_users)
    message = build_message(message_id)
    node.lmtp_deliver([user, other], message)
    recall_id = stand(node, [user, other], message_id, "--no-notify")
    node.lmtp_deliver([user, other], message)
    node.append(user, "Work", message)
    assert sorted(quarantined(node, user).values()) == [1, 2]
    assert list(quarantined(node, other).values()) == [2]
    assert node.count(user) == node.count(user, "Work") == 0
    row, = command(node, "list", "-u", user).rows
    assert (row["recall-id"], row["mailboxes"]) == (recall_id, "INBOX,Work")

    restored = command(node, "restore", "-u", user, recall_id)
    assert restored.rows[0]["status"] == "restored"
    assert (node.count(user), node.count(user, "Work")) == (2, 1)
    assert run(node) == []
    node.lmtp_deliver([user, other], message)
    assert (node.count(user), node.count(other)) == (3, 0)
    assert len(late(node, user)) == 2 and len(late(node, other)) == 2
    # that it was restored is remembered as long as the order stands
    command(node, "purge", "-u", user, "-u", other)
    assert quarantined(node, other) == {}
    node.lmtp_deliver([user, other], message)
    assert (node.count(user), node.count(other)) == (4, 0)
    command(node, "standing", "end", recall_id)
    command(node, "purge", "-u", user)
    assert command(node, "list", "-u", user).rows == []


def test_restore_of_everyone(quarantine, message_id):
    node = quarantine
    user, other = next(node.free_users), next(node.free_users)
    message = build_message(message_id)
    node.lmtp_deliver(user, message)
    recall_id = stand(node, [user, other], message_id, "--no-notify")
    command(node, "restore", "-A", "--dry-run", recall_id)
    command(node, "restore", "-A", "--tenant=nobodys", recall_id)
    assert order(node)["recall-id"] == recall_id
    command(node, "restore", "-A", recall_id)
    assert orders(node) == []
    node.lmtp_deliver([user, other], message)
    assert (node.count(user), node.count(other)) == (2, 1)


@pytest.mark.log_errors("Locking the quarantine failed|quarantine is locked")
def test_locked_quarantine(message_id):
    """A delivery waits once, and briefly, for whoever has it locked; what it
    leaves the next look takes."""
    user = "a@example.com"
    with quarantine_node("sdbox", [user], mail_plugins=PLUGINS,
                         acl=True) as node:
        first = stand(node, user, message_id, "--no-notify")
        second = stand(node, user, message_id, "--no-notify")
        node.append(user, "INBOX", build_message("<other@example.com>"))
        path = node.home(user) / "sdbox/dovecot-recall.lock"
        with open(path, "w") as lock:
            path.chmod(0o666)
            fcntl.lockf(lock, fcntl.LOCK_EX)
            since = node.log_size()
            node.lmtp_deliver(user, build_message(message_id))
            lines = node.wait_log("next doveadm recall standing run", since, 2)
        assert "Locking the quarantine failed" in lines[0]
        assert "The quarantine is locked" in lines[1]
        assert {recall_id for recall_id in (first, second)
                for line in lines if recall_id in line} == {first, second}
        assert node.count(user) == 2
        assert (user, "expunged", "1", "INBOX") in run(node)
        assert node.count(user) == 1
        assert node.panics() == []


# what goes wrong


@pytest.fixture
def broken():
    """A node whose store may be damaged."""
    with make_node() as node:
        yield node
        assert node.panics() == []


def test_damaged_set(broken, message_id):
    """Deliveries go on; the next look finds what they have let pass, and writes
    the set anew."""
    node = broken
    user, = node.test_users.take()
    stand(node, user, message_id, "--no-notify")
    place = node.standing_dir / "set"
    whole = place.read_bytes()
    for damaged in b"", b"x" * len(whole), whole[:-1]:
        since = node.log_size()
        temporary = node.standing_dir / "temporary"
        temporary.write_bytes(damaged)
        temporary.chmod(0o644)
        temporary.rename(place)
        node.lmtp_deliver(user, build_message(message_id))
        node.wait_log("set is damaged", since)
        assert node.count(user) == 1
        assert run(node) == [(user, "expunged", "1", "INBOX")]
        assert run(node) == [] and place.read_bytes() == whole
        node.lmtp_deliver(user, build_message(message_id))
        assert node.count(user) == 0
    place.unlink()
    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 1
    assert run(node) == [(user, "expunged", "1", "INBOX")]


def test_damaged_order(broken, message_id):
    """It holds up nobody but itself."""
    node = broken
    user, other = node.test_users.take(2)
    recall_id = stand(node, user, message_id)
    stand(node, other, message_id, "--no-notify")
    place = node.standing_dir / (recall_id + ".order")
    text = place.read_text()
    place.write_text(text.replace("user\t" + user, "user\t*")[:-4])
    since = node.log_size()
    node.lmtp_deliver([user, other], build_message(message_id))
    node.wait_log(recall_id + ".*no standing order", since)
    assert (node.count(user), node.count(other)) == (1, 0)
    for name in "list", "run":
        result = command(node, "standing", name)
        assert result.code == EX_TEMPFAIL
        assert "no standing order" in result.stderr
    assert len(command(node, "standing", "list").rows) == 1
    assert node.count(user) == 1
    place.write_text(text)
    assert run(node) == [(user, "expunged", "1", "INBOX")]


@pytest.fixture(scope="module")
def mended():
    """A node whose store is damaged for a while."""
    with make_node() as node:
        yield node
        assert node.panics() == []


@contextlib.contextmanager
def closed(path):
    """Nobody but root may read or search it."""
    mode = path.stat().st_mode
    path.chmod(0)
    yield
    if path.exists():
        path.chmod(mode)


@contextlib.contextmanager
def replaced(path, make):
    """Something else is in its place, or nothing."""
    aside = path.with_name(path.name + ".aside")
    path.rename(aside)
    make(path)
    yield
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    aside.rename(path)


def nothing(path):
    pass


def link_to_itself(path):
    path.symlink_to(path.name)


DAMAGE = {
    "closed": closed,
    "directory": lambda path: replaced(path, os.mkdir),
    "fifo": lambda path: replaced(path, os.mkfifo),
    "loop": lambda path: replaced(path, link_to_itself),
    "file": lambda path: replaced(path, os.mknod),
}


def deliver_and_settle(node, users, message_id):
    """In one session: what the same process logs."""
    since = node.log_size()
    node.lmtp_deliver(users, build_message(message_id))
    node.settle_log()
    return [line for line in node.log(since).splitlines()
            if "Error: " in line]


def run_finishes(node, users):
    assert sorted(run(node)) == sorted((user, "expunged", "1", "INBOX")
                                       for user in users)
    assert [node.count(user) for user in users] == [0] * len(users)


@pytest.mark.parametrize("damage", sorted(DAMAGE))
@pytest.mark.parametrize("what", ["set", "."])
def test_unreadable_store(mended, message_id, what, damage):
    """What is delivered arrives, the log tells of it once, and the next look
    recalls it."""
    node = mended
    if what == "." and damage == "directory":
        pytest.skip("is one")
    users = node.test_users.take(2)
    stand(node, users, message_id, "--no-notify")
    with DAMAGE[damage]((node.standing_dir / what).resolve()):
        line, = deliver_and_settle(node, users, message_id)
        assert "what arrives waits for the next doveadm recall" in line
        assert [node.count(user) for user in users] == [1, 1]
    run_finishes(node, users)
    assert deliver_and_settle(node, users, message_id) == []
    assert [node.count(user) for user in users] == [0, 0]


@pytest.mark.parametrize("damage", ["closed", "fifo", "loop"])
@pytest.mark.skipif(os.geteuid() != 0, reason="others can't read it either")
def test_look_mends_the_set(mended, message_id, damage):
    node = mended
    users = node.test_users.take(2)
    stand(node, users, message_id, "--no-notify")
    place = node.standing_dir / "set"
    whole = place.read_bytes()
    with DAMAGE[damage](place):
        deliver_and_settle(node, users, message_id)
        run_finishes(node, users)
        assert place.read_bytes() == whole
        assert deliver_and_settle(node, users, message_id) == []
        assert [node.count(user) for user in users] == [0, 0]


def test_no_store(mended, message_id):
    """Without the directory there are no orders, until it is back."""
    node = mended
    users = node.test_users.take(2)
    stand(node, users, message_id, "--no-notify")
    with replaced(node.standing_dir, nothing):
        assert deliver_and_settle(node, users, message_id) == []
        assert run(node) == [] and orders(node) == []
        assert [node.count(user) for user in users] == [1, 1]
    run_finishes(node, users)


def test_session_sees_a_store_that_is_back(mended, message_id):
    """It may be years old, and is not told."""
    node = mended
    user, = node.test_users.take()
    stand(node, user, message_id, "--no-notify")
    connection = node.imap(user)
    connection.select("INBOX")
    for path in node.standing_dir / "set", node.standing_dir:
        since = node.log_size()
        with closed(path):
            connection.append("INBOX", None, None, build_message(message_id))
            node.wait_log("Permission denied", since)
            wait_for_uids(connection, connection.search(None, "ALL")[1][0])
            assert node.count(user) == 1
        connection.append("INBOX", None, None, build_message(message_id))
        wait_for_uids(connection, b"")
    connection.logout()


@pytest.mark.parametrize("damage", ["closed", "directory", "fifo", "loop"])
def test_unreadable_order(mended, message_id, damage):
    """It is in the set, and does not say what to do; others do."""
    node = mended
    users = node.test_users.take(2)
    other, = node.test_users.take()
    place = node.standing_dir / (stand(node, users, message_id,
                                       "--no-notify") + ".order")
    stand(node, other, message_id, "--no-notify")
    with DAMAGE[damage](place):
        lines = deliver_and_settle(node, [*users, other], message_id)
        assert len(lines) == 3
        assert all(place.name in line for line in lines)
        assert [node.count(user) for user in [*users, other]] == [1, 1, 0]
    run_finishes(node, users)


@pytest.mark.parametrize("damage", ["missing", "closed", "loop", "file"])
def test_unreadable_list_of_late_copies(mended, message_id, damage):
    """They are recalled even if that can't be written down."""
    node = mended
    users = node.test_users.take(2)
    stand(node, users, message_id, "--no-notify")
    place = node.standing_dir / "late"
    with DAMAGE.get(damage, lambda path: replaced(path, nothing))(place):
        lines = deliver_and_settle(node, users, message_id)
        assert len(lines) == 2 and all("/late/" in line for line in lines)
        assert [node.count(user) for user in users] == [0, 0]
    assert run(node) == [] and late(node, *users) == []


@pytest.mark.parametrize("what", ["fifo", "foreign"])
def test_file_in_the_list_of_late_copies(mended, message_id, what):
    """Any system user may make a file there: nobody waits for what it is, and
    no other's is written to."""
    node = mended
    users = node.test_users.take(2)
    recall_id = stand(node, users, message_id, "--no-notify")
    uid = pwd.getpwnam(node.mail_user).pw_uid
    place = node.standing_dir / "late" / ("%s.%d" % (recall_id, uid))
    if what == "fifo":
        os.mkfifo(place)
        os.chown(place, uid, -1)
    elif os.geteuid() != 0:
        pytest.skip("has no files of others")
    else:
        place.touch()
        place.chmod(0o666)
    lines = deliver_and_settle(node, users, message_id)
    assert len(lines) == 2 and all(place.name in line for line in lines)
    assert [node.count(user) for user in users] == [0, 0]
    assert what == "fifo" or place.read_bytes() == b""
    place.unlink()
    assert run(node) == [] and late(node, *users) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="has no files of others")
def test_time_in_the_list_of_late_copies(mended, message_id):
    """Any system user may write down any time there: what is no date is
    passed over."""
    node = mended
    user, = node.test_users.take()
    recall_id = stand(node, user, message_id, "--no-notify")
    other = pwd.getpwnam("nobody").pw_uid
    place = node.standing_dir / "late" / ("%s.%d" % (recall_id, other))
    lines = ["%d\t%s\t1\tINBOX\n" % (when, user)
             for when in (2 ** 63 - 1, 2 ** 60, 10 ** 12, 1)]
    place.write_text("".join(lines))
    os.chown(place, other, -1)
    node.lmtp_deliver(user, build_message(message_id))
    assert late(node, user) == [(user, "1", "INBOX")] * 2
    found = http(node, "recallStandingLate").rows
    assert len([row for row in found if row["username"] == user]) == 2
    place.unlink()


def test_set_of_other_orders(mended, message_id):
    """One that takes an order for what it is not: for a query, for another
    message's, for what is not there any more."""
    node = mended
    users = node.test_users.take(2)
    recall_id = stand(node, users, message_id, "--no-notify")
    place = node.standing_dir / "set"
    whole = place.read_bytes()
    order, = struct.iter_unpack("=QQ16s", whole[16:])
    gone = struct.pack("=QQ16s", *order[:2], bytes(16))
    query = struct.pack("=QQ16s", 0, *order[1:])
    temporary = node.standing_dir / "temporary"
    temporary.write_bytes(whole[:8] + struct.pack("=II", 3, 32) + query +
                          gone + whole[16:])
    temporary.chmod(0o644)
    temporary.rename(place)
    assert bytes.fromhex(recall_id) == order[2]
    # other mail is looked at for what seems to be a query
    node.lmtp_deliver(users, build_message("<other" + message_id[1:]))
    assert [node.count(user) for user in users] == [1, 1]
    node.lmtp_deliver(users, build_message(message_id))
    assert [node.count(user) for user in users] == [1, 1]
    assert run(node) == [] and place.read_bytes() == whole
    node.lmtp_deliver(users, build_message(message_id))
    assert [node.count(user) for user in users] == [1, 1]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone mounts")
def test_full_disk(broken, message_id):
    """Orders can't be kept: then nothing is recalled. What has come late is
    recalled even if that can't be written down."""
    node = broken
    user, other = node.test_users.take(2)
    node.lmtp_deliver(other, build_message(message_id))
    node.standing_dir.mkdir(exist_ok=True)
    inside = namespace.of_process(node.pid)
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o",
                    "size=64k,mode=0755", "tmpfs", str(node.standing_dir)],
                   check=True)
    stand(node, user, message_id, "--no-notify")
    fill = "head -c 1m /dev/zero >'%s/fill'" % node.standing_dir
    subprocess.run([*inside, "sh", "-c", fill], stderr=subprocess.DEVNULL)
    result = run_shell(node, "-u", other, "--stand=1h", "--", message_id)
    assert (result.code, result.rows) == (EX_CANTCREAT, [])
    assert "No space left" in result.stderr
    assert node.count(other) == 1
    assert order(node)["users"] == user
    since = node.log_size()
    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 0
    node.wait_log("came late", since)
    node.wait_log("late/.*No space left|late/.*cut short", since)


def test_killed_before_the_recall(message_id):
    """The delivery is committed, and the process is killed: the message is
    there, and the next look recalls it."""
    with with_failpoints(RECALL_FAILPOINT="late-committed"), \
            make_node(extra=IMPORT) as node:
        user, = node.test_users.take()
        stand(node, user, message_id, "--no-notify")
        with pytest.raises((smtplib.SMTPException, OSError)):
            node.lmtp_deliver(user, build_message(message_id))
        node.wait_log("killed with signal 9")
        assert node.count(user) == 1
        assert run(node) == [(user, "expunged", "1", "INBOX")]
        assert late(node, user) == [(user, "1", "INBOX")]
