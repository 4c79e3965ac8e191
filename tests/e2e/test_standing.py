"""Recalls that stand: copies that arrive after the recall."""


import pytest

from conftest import (DRIVERS, EX_CANTCREAT, EX_USAGE, HttpRecall, ShellRecall,
                      Users)
from mailnode import MailNode, build_message
from quarantine import command, http

PLUGINS = ["notify", "recall"]


def make_node(driver=DRIVERS[-1], **options):
    options.setdefault("mail_plugins", PLUGINS)
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
    if "node" in request.fixturenames:
        node = request.getfixturevalue("node")
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
