"""mail-recalld: recalls that stand."""

import json
import time

import pytest

from answers import check_described, statuses
from conftest import EX_USAGE
from fakedoveadm import FakeDoveadm
from faults import wait_for
from mailnode import build_message, free_port
from servicenode import RecallNode, Service

U = ["u%d@red.example" % i for i in range(60)]
OTHER = "x@blue.example"
PLUGINS = ["notify", "recall"]


@pytest.fixture(scope="module")
def node():
    users = {user: {"tenant_id": "red"} for user in U}
    users[OTHER] = {"tenant_id": "blue"}
    with RecallNode(users=users, mail_plugins=PLUGINS) as node:
        node.free_users = iter(U)
        yield node
        assert node.panics() == []


@pytest.fixture
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service
        root = service.token()
        for order in standing(service, root):
            service.curl("/v2/standing/" + order["id"], "-X", "DELETE",
                         token=root)


@pytest.fixture
def user(node):
    return next(node.free_users)


def admin(service, tenant="red"):
    return service.token("adm@%s.example" % tenant, 1, tenant)


def standing(service, token):
    answer = service.curl("/v2/standing", token=token)
    assert answer.status == 200, answer
    check_described("/v2/standing", "get", answer)
    assert answer.json()["success"], answer
    return answer.json()["standing"]


def end(service, token, recall_id):
    answer = service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                          token=token)
    check_described("/v2/standing/{id}", "delete", answer)
    return answer


def name(node):
    return "127.0.0.1:%d" % node.http_port


def test_recall_that_stands(node, service, user, message_id):
    token = admin(service)
    answer = service.recall(token, message_id, [user], stand="48h",
                            reason="Phishing", notify="0")
    assert (answer.status, statuses(answer)) == (200, {user: "not_found"})
    recall_id = answer.json()["id"]
    order, = standing(service, token)
    assert time.time() < order.pop("expires") <= time.time() + 48 * 3600
    assert order == {
        "id": recall_id, "messageid": message_id.strip("<>"),
        "actor": "adm@red.example", "reason": "Phishing", "late": 0,
        "nodes": [{"name": name(node), "stands": True}]}

    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 0
    order, = standing(service, token)
    assert order["late"] == 1
    answer = service.curl("/v2/actions/" + recall_id, token=token)
    check_described("/v2/actions/{id}", "get", answer)
    stands = answer.json()["standing"]
    assert abs(stands.pop("until") - order["expires"]) <= 5
    assert stands == {"nodes": [name(node)], "missing": [], "ending": []}

    # of another tenant, and of nobody
    assert standing(service, admin(service, "blue")) == []
    assert end(service, admin(service, "blue"), recall_id).status == 404
    assert end(service, token, "0" * 32).status == 404
    assert end(service, service.token(), "0" * 32).status == 404
    assert end(service, service.token(), "x").status == 404
    answer = end(service, token, recall_id)
    assert answer.status == 200 and answer.json() == {
        "success": True, "nodes": [{"name": name(node), "ended": True}]}
    assert standing(service, service.token()) == []
    node.lmtp_deliver(user, build_message(message_id))
    assert node.count(user) == 1
    assert "standing-end" in service.audit()[-1]
    answer = service.curl("/v2/actions/" + recall_id, token=token)
    assert "standing" not in answer.json()


def test_restore_that_is_refused_ends_nothing(node, service, user, message_id):
    token = service.token()
    key = "-H", "Idempotency-Key: " + message_id
    assert service.recall(token, "<else@example.com>", [user],
                          *key).status == 200
    recall_id = service.recall(token, message_id, [user],
                               stand="1h").json()["id"]
    answer = service.recall(token, None, None, *key, cmd="restore",
                            id=recall_id)
    assert answer.status == 422
    assert [order["id"] for order in standing(service, token)] == [recall_id]
    assert service.recall(token, cmd="restore", id=recall_id).status == 200
    assert standing(service, token) == []


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_error_that_is_looked_at_while_recalls_are_stopped(
        node, service, user, message_id):
    """The user stays in error until somebody has looked."""
    node.lmtp_deliver(user, build_message(message_id))
    path, = node.home(user).rglob("mailboxes/INBOX")
    mode = path.stat().st_mode
    token = service.token()
    path.chmod(0)
    try:
        answer = service.recall(token, message_id, [user], stand="1h",
                                notify="0")
        assert statuses(answer) == {user: "error"}
        node.doveadm("recall", "stop", "--actor=soc")
    finally:
        path.chmod(mode)
    url = "/v2/actions/" + answer.json()["id"]
    try:
        since = node.log_size()
        # with the second one what came of the first is journalled
        wait_for(lambda: node.executed(since).count("recall expunge") >= 2)
        answer = service.curl(url, token=token)
        assert statuses(answer) == {user: "error"}
        assert node.count(user) == 1
    finally:
        node.doveadm("recall", "stop", "--release")
    wait_for(lambda: statuses(service.curl(url, token=token)) == {
        user: "expunged"})
    assert node.count(user) == 0


def test_not_without_being_asked(node, service, user, message_id):
    service.recall(service.token(), message_id, [user])
    service.recall(service.token(), message_id, [user], stand="off")
    service.recall(service.token(), message_id, [user], stand="1h", dry_run="1")
    assert standing(service, service.token()) == []


@pytest.mark.parametrize("stand", ["0", "h", "1", "1 h", "-1h", "1w", "31d",
                                   "721h", "99999999999s", ""])
def test_wrong_time(node, service, user, message_id, stand):
    node.lmtp_deliver(user, build_message(message_id))
    answer = service.recall(service.token(), message_id, [user], stand=stand)
    assert answer.status == 400 and "STAND" in answer.json()["message"]
    assert node.count(user) == 1


def test_users(node, service, message_id):
    """Of mail that they have sent, and not for long."""
    sender, user = next(node.free_users), next(node.free_users)
    token = service.token(sender, 2, "red")
    answer = service.recall(token, message_id, [user], stand="2h")
    assert answer.status == 400
    assert "longer" in answer.json()["message"]["STAND"]
    answer = service.recall(token, message_id, [user], stand="1h", notify="0")
    assert answer.status == 200
    for who in "other@example.com", sender:
        node.lmtp_deliver(user, build_message(message_id, sender=who))
    message, = node.messages(user)
    assert b"other@example.com" in message
    assert service.curl("/v2/standing", token=token).status == 403
    other = service.token(user, 2, "red")
    assert end(service, other, answer.json()["id"]).status == 404
    assert end(service, token, answer.json()["id"]).status == 200


@pytest.mark.log_errors("can't be judged")
def test_query(node, service, message_id):
    """It stands for those, too, who have nothing yet."""
    user, late = next(node.free_users), next(node.free_users)
    subject = "A prize " + message_id.strip("<>")
    node.lmtp_deliver(user, build_message(message_id, subject=subject))
    answer = service.recall(admin(service), None, [user, late],
                            query=json.dumps(["SUBJECT", subject]), yes_count=1,
                            stand="1h", notify="0")
    assert statuses(answer) == {user: "expunged", late: "not_found"}
    order, = standing(service, admin(service))
    assert order["query"] == ["SUBJECT " + subject]
    node.lmtp_deliver([user, late], build_message(None, subject=subject))
    assert node.count(user) == node.count(late) == 0
    answer = service.recall(admin(service), None, [user], query=json.dumps(["BODY", "x"]),
                            yes_count=1, stand="1h")
    assert answer.status != 200


def test_query_of_what_is_still_to_come(node, service, user, message_id):
    """All that there was has been recalled, or moved: nothing is left to be
    counted."""
    subject = "A prize " + message_id.strip("<>")
    what = {"query": json.dumps(["SUBJECT", subject]), "notify": 0}
    answer = service.recall(admin(service), None, [user], yes_count=0, **what)
    assert (answer.status, list(answer.json()["message"])) == \
        (400, ["YES_COUNT"])
    answer = service.recall(admin(service), None, [user], yes_count=0,
                            stand="1h", **what)
    assert statuses(answer) == {user: "not_found"}
    node.lmtp_deliver(user, build_message(message_id, subject=subject))
    assert node.count(user) == 0
    # what has come meanwhile is a count of its own
    end(service, service.token(), answer.json()["id"])
    node.lmtp_deliver(user, build_message(message_id, subject=subject))
    answer = service.recall(admin(service), None, [user], yes_count=0,
                            stand="1h", **what)
    assert (answer.status, answer.json()["count"]) == (409, 1)
    assert node.count(user) == 1


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
@pytest.mark.parametrize("count", [0, 1])
def test_query_of_whom_nobody_has_counted(node, service, message_id, count):
    """What stands takes all that it finds with a user, once something
    arrives."""
    user, hidden = next(node.free_users), next(node.free_users)
    subject = "A prize " + message_id.strip("<>")
    node.lmtp_deliver([hidden] + [user] * count,
                      build_message(None, subject=subject))
    home, token = node.home(hidden), admin(service)
    mode = home.stat().st_mode
    home.chmod(0)
    try:
        answer = service.recall(token, None, [user, hidden], yes_count=count,
                                query=json.dumps(["SUBJECT", subject]),
                                stand="1h", notify=0)
    finally:
        home.chmod(mode)
    assert (answer.status, answer.json()["count"]) == (409, count)
    assert "could not be counted: 1;" in answer.json()["message"]
    check_described("/v2/actions/expunge", "post", answer)
    assert standing(service, token) == []
    node.lmtp_deliver(hidden, build_message(None, subject=subject))
    assert (node.count(user), node.count(hidden)) == (count, 2)


def test_node_that_does_not_answer(node, user, message_id):
    port = free_port()
    with Service(node) as service:
        service.set(doveadm__url="%s http://127.0.0.1:%d/doveadm/v1" % (
            node.http_url, port))
        service.reload()
        token = service.token()
        recall_id = service.recall(token, message_id, [user],
                                   stand="1h").json()["id"]
        answer = service.curl("/v2/standing", token=token)
        assert answer.status == 200 and not answer.json()["success"]
        order, = answer.json()["standing"]
        first, second = order["nodes"]
        assert first == {"name": name(node), "stands": True}
        assert (second["name"], second["stands"]) == (
            "127.0.0.1:%d" % port, False)
        assert second["error"]
        answer = end(service, token, recall_id)
        assert answer.status == 202 and answer.json()["success"]
        assert [node.get("ended") for node in answer.json()["nodes"]] == [
            True, False]


@pytest.mark.log_errors("can't stand|Not a directory")
def test_order_that_can_not_be_kept(node, service, user, message_id):
    """Nothing is done then."""
    node.lmtp_deliver(user, build_message(message_id))
    moved = node.standing_dir.with_name("moved")
    if node.standing_dir.exists():
        node.standing_dir.rename(moved)
    node.standing_dir.write_text("")
    answer = service.recall(service.token(), message_id, [user], stand="1h",
                            notify="0")
    assert statuses(answer) == {user: "error"}
    assert "can't stand" in answer.json()["results"][0]["error"]
    assert node.count(user) == 1
    missing, = service.curl("/v2/actions/" + answer.json()["id"],
                            token=service.token()).json()["standing"]["missing"]
    assert missing["name"] == name(node) and "73" in missing["error"]
    # it would try again
    service.kill()
    node.standing_dir.unlink()
    if moved.exists():
        moved.rename(node.standing_dir)
    # and it does: it's an error no more
    service.start()
    wait_for(lambda: statuses(service.curl(
        "/v2/actions/" + answer.json()["id"],
        token=service.token())) == {user: "expunged"})
    assert node.count(user) == 0


class Refusing(FakeDoveadm):
    """Takes orders, and no recall."""

    def __init__(self):
        super().__init__()
        self.begun, self.ended = [], []

    def command(self, name, parameters):
        if name == "recallExpunge":
            return 200, [["error", {"type": "exitCode",
                                    "exitCode": EX_USAGE}, "1"]]
        if name == "recallStandingBegin":
            self.begun.append(parameters["recallId"])
        elif name == "recallStandingEnd":
            self.ended.append(parameters["recallId"])
        return 200, [["doveadmResponse", [], "1"]]


@pytest.mark.log_errors("")
def test_recall_that_nodes_refuse(message_id):
    """Nor is its order to stand there."""
    with Refusing() as doveadm, Service(doveadm__url=doveadm.url) as service:
        answer = service.recall(service.token(), message_id,
                                ["u@a.example"], stand="1h", reason="Phishing")
        assert answer.status != 200
        recall_id, = doveadm.begun
        wait_for(lambda: recall_id in doveadm.ended)
