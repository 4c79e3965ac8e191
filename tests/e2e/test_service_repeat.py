"""mail-recalld: requests that are repeated with the same Idempotency-Key."""

import concurrent.futures
import contextlib
import json
import sqlite3
import subprocess

import pytest

from answers import check_described, has, statuses
from failpoints import IMPORT, first_halted, with_failpoints
from faults import Frozen, unread, wait_for
from mailnode import build_message, free_port
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service

A = ["a%d@a.example" % i for i in range(3)]
B = ["b%d@b.example" % i for i in range(3)]
ASYNC = "-H", "Prefer: respond-async"


@pytest.fixture(scope="module")
def other():
    with RecallNode(users=B) as node:
        yield node


@pytest.fixture(scope="module")
def node():
    users = {user: {"tenant_id": "t1"} for user in A}
    with RecallNode(users=users, plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service


number = 0


def new_id():
    global number
    number += 1
    return "<%d.repeat@example.com>" % number


def deliver(node, users=A):
    messageid = new_id()
    node.lmtp_deliver(users, build_message(messageid))
    return messageid


def key(value):
    return "-H", "Idempotency-Key: " + value


def dead_url():
    return "http://127.0.0.1:%d/doveadm/v1" % free_port()


def notices(node, user, messageid):
    return sum(b"\r\nReferences: " + messageid.encode() in message
               for message in node.messages(user))


def test_the_same_request_has_the_same_answer(node, service, token):
    messageid = deliver(node)
    node.set_flags(A[0], "INBOX", ["\\Seen"])
    args = key('"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    first = service.recall(token, messageid, A, *args, reason="oops")
    assert statuses(first) == {A[0]: "read", A[1]: "expunged",
                               A[2]: "expunged"}
    since = node.log_size()
    again = service.recall(token, messageid, A, *args, reason="oops")
    assert again.status == 200
    assert again.json() == first.json()
    node.settle_log()
    assert "recallExpunge" not in node.log(since)
    # a message that was read is told of once
    assert notices(node, A[0], messageid) == 1
    # another key, or none, is another recall
    assert service.recall(token, messageid, A, *key("x"),
                          reason="oops").json()["id"] != first.json()["id"]
    assert service.recall(token, messageid, A).json()["id"] != \
        first.json()["id"]


def test_the_trail_has_the_key_and_what_was_repeated(node, service, token):
    args = new_id(), A, *key("trail=1")
    since = len(service.audit())
    recall_id = service.recall(token, *args).json()["id"]
    service.recall(token, *args)
    first, again = service.audit()[since:]
    assert "|recall|" in first and "externalId=" + recall_id in first
    assert r"flexString1=trail\=1" in first
    assert "|recall-repeated|" in again and "cs6=" + recall_id in again
    assert r"flexString1=trail\=1" in again


@pytest.mark.parametrize("change", [
    {"force": 1}, {"notify": 0}, {"dry_run": 1}, {"reason": "other"},
    {"messageid": "<other@example.com>"}, {"emails": A},
    {"emails": [A[1], A[0]]}, {"cmd": "restore", "id": None}])
def test_another_request_with_the_same_key(service, token, change):
    params = {"messageid": new_id(), "emails": A[:2], "reason": "x"}
    args = key(params["messageid"])
    first = service.recall(token, params.pop("messageid"),
                           params.pop("emails"), *args, **params)
    assert first.status == 200
    params.update(messageid=first.json()["messageid"], emails=A[:2])
    params.update(change)
    if "id" in params:
        params.update(id=first.json()["id"], messageid=None)
    answer = service.recall(token, params.pop("messageid"),
                            params.pop("emails"), *args, **params)
    assert answer.status == 422
    assert answer.json() == {
        "message": "The Idempotency-Key is that of another request"}
    check_described("/v2/actions/expunge", "post", answer)
    assert "cn1=422" in service.audit()[-1]


def test_the_key_is_the_callers_own(service):
    messageid = new_id()
    ids = set()
    tokens = [service.token(login, role, tenant) for login, role, tenant in (
        (A[0], 1, "t1"), (A[0], 1, "t2"), (A[1], 1, "t1"))]
    for token in tokens:
        ids.add(service.recall(token, messageid, A, *key("mine")).json()["id"])
    assert len(ids) == 3
    # however the name is written
    same = service.token(A[0].upper(), 1, "t1")
    assert service.recall(same, messageid, A, *key("mine")).json()["id"] in ids
    # but not with other rights
    less = service.token(A[0], 2, "t1")
    assert service.recall(less, messageid, A, *key("mine")).status == 422


@pytest.mark.parametrize("value, status", [
    ("~" * 255, 200), ("!", 200), ("x" * 256, 400), ("a b", 400),
    ("\u043a", 400), ("a\x7f", 400)])
def test_keys(service, token, value, status):
    answer = service.recall(token, "<a@b>", A, *key(value))
    assert answer.status == status
    if status == 400:
        assert list(answer.json()["message"]) == ["IDEMPOTENCY-KEY"]


def test_two_keys_or_none(service, token):
    assert service.recall(token, "<a@b>", A, *key("a"), *key("b")).status == \
        400
    # curl sends an empty header like that
    assert service.recall(token, "<a@b>", A, "-H",
                          "Idempotency-Key;").status == 400


def test_a_request_that_was_refused_takes_no_key(service, token):
    assert service.recall(token, "<>", A, *key("again")).status == 400
    assert service.recall(token, "<a@b>", A, *key("again")).status == 200


def test_running(node, service, token):
    messageid = deliver(node)
    args = messageid, A, *key("running")
    with Frozen(node):
        first = service.recall(token, *args, *ASYNC)
        # without the preference, too: there is no answer yet
        again = service.recall(token, *args)
        assert (first.status, again.status) == (202, 202)
        assert again.json() == first.json()
        assert again.headers["location"] == first.headers["location"]
        check_described("/v2/actions/expunge", "post", again)
    done = service.wait_recall(token, first.json()["id"])
    assert done["summary"] == {"expunged": 3}
    assert service.recall(token, *args).json()["results"] == done["results"]
    again = service.recall(token, *args, *ASYNC)
    assert again.status == 202
    assert again.headers["preference-applied"] == "respond-async"
    assert again.json() == first.json()


def test_at_the_same_time(node, service, token):
    messageid = deliver(node)
    node.set_flags(A[0], "INBOX", ["\\Seen"])
    curls = [subprocess.Popen(
        ["curl", "-sS", "-H", "Authorization: Bearer " + token,
         *key("at-once"), "--data-urlencode", "messageid=" + messageid,
         "-d", "emails=" + json.dumps(A), service.url + "/v2/actions/expunge"],
        stdout=subprocess.PIPE) for i in range(8)]
    answers = [json.loads(curl.communicate()[0]) for curl in curls]
    assert len({answer["id"] for answer in answers}) == 1
    done = service.wait_recall(token, answers[0]["id"])
    assert done["summary"] == {"read": 1, "expunged": 2}
    assert notices(node, A[0], messageid) == 1


def test_what_failed_is_tried_again(node, other):
    messageid = new_id()
    for each, users in (node, A), (other, B):
        each.lmtp_deliver(users, build_message(messageid))
    text = "[nodes]\nb = %s b.example\n"
    with Service(node, text=text % dead_url()) as service:
        token = service.token()
        args = messageid, [A[0], B[0]], *key("failed")
        first = service.recall(token, *args)
        assert statuses(first) == {A[0]: "expunged", B[0]: "error"}
        service.text = text % other.http_url
        service.reload()
        since = node.log_size()
        again = service.recall(token, *args)
        assert again.status == 200
        assert again.json()["id"] == first.json()["id"]
        assert statuses(again) == {A[0]: "expunged", B[0]: "expunged"}
        assert not has(other, B[0], messageid)
        # the other one has the verdict
        node.settle_log()
        assert "recallExpunge" not in node.log(since)
        assert service.curl("/v2/actions/" + first.json()["id"],
                            token=token).json()["summary"] == {"expunged": 2}
        assert "externalId=" + first.json()["id"] in service.audit()[-1]


def test_nobody_answered(node):
    messageid = deliver(node)
    with Service(node, doveadm__retries=0,
                 doveadm__url=dead_url()) as service:
        token = service.token()
        args = messageid, A, *key("nobody")
        first = service.recall(token, *args)
        assert first.status == 502
        assert service.recall(token, *args).status == 502
        again = service.recall(token, *args, *ASYNC)
        assert again.status == 202
        assert again.json()["id"] == first.json()["id"]
        service.wait_recall(token, first.json()["id"])
        service.set(doveadm__url=node.http_url)
        service.reload()
        again = service.recall(token, *args)
        assert statuses(again) == {user: "expunged" for user in A}
        assert again.json()["id"] == first.json()["id"]


def test_after_a_crash(node):
    messageid = deliver(node)
    node.set_flags(A[0], "INBOX", ["\\Seen"])
    with Service(node) as service:
        token = service.token()
        args = messageid, A, *key("crash")
        with Frozen(node):
            asked = subprocess.Popen(
                ["curl", "-s", "-H", "Authorization: Bearer " + token,
                 *key("crash"), "--data-urlencode", "messageid=" + messageid,
                 "-d", "emails=" + json.dumps(A),
                 service.url + "/v2/actions/expunge"],
                stdout=subprocess.DEVNULL)
            # doveadm is also asked for what came late
            wait_for(lambda: service.curl("/v2/actions", token=token)
                     .json()["actions"], "no recall in the journal")
            wait_for(lambda: unread(node), "nothing was sent")
            service.kill()
            assert asked.wait() != 0
            service.start()
            again = service.recall(token, *args)
            assert again.status == 202
        done = service.wait_recall(token, again.json()["id"])
        assert done["success"] is True
        assert notices(node, A[0], messageid) == 1
        service.stop()
        service.start()
        assert service.recall(token, *args).json()["results"] == \
            done["results"]


def test_by_query(node, service, token):
    node.lmtp_deliver(A, build_message(new_id(), subject="prize"))
    args = None, A, *key("query")
    params = {"query": json.dumps(["SUBJECT", "prize", "NOT", "HEADER",
                                   "References", ""]), "yes_count": 3}
    first = service.recall(token, *args, **params)
    assert first.json()["summary"] == {"expunged": 3}
    # there is nothing left that could be counted
    again = service.recall(token, *args, **params)
    assert again.json() == first.json()
    assert service.recall(token, *args, **{**params,
                                           "yes_count": 2}).status == 422
    assert service.recall(token, *args, query=params["query"],
                          dry_run=1).status == 422


def test_by_query_at_the_same_time():
    """Who counts when the other has taken all hears what that has done. Needs a
    build with failpoints."""
    with contextlib.ExitStack() as stack:
        with with_failpoints(RECALL_FAILPOINT="copies-look",
                             RECALL_FAILPOINT_STOP="1"):
            node = stack.enter_context(RecallNode(users=A, extra=IMPORT))
        service = stack.enter_context(Service(node))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        node.lmtp_deliver(A, build_message(new_id(), subject="lottery"))
        args = service.token(), None, A, *key("query-at-once")
        params = {"query": json.dumps(["SUBJECT", "lottery", "NOT", "HEADER",
                                       "References", ""]), "yes_count": 3}
        second = pool.submit(service.recall, *args, **params)
        with first_halted(node) as others_go_on:
            first = pool.submit(service.recall, *args, **params)
            others_go_on(first)
        others_go_on(second)
        assert first.result().json()["summary"] == {"expunged": 3}
        answer = second.result()
        assert (answer.status, answer.json()) == (200, first.result().json())


def test_restore(node, service, token):
    messageid = deliver(node)
    recall_id = service.recall(token, messageid, A).json()["id"]
    args = None, None, *key("restore")
    params = {"cmd": "restore", "id": recall_id}
    first = service.recall(token, *args, **params)
    assert first.json()["summary"] == {"restored": 3}
    assert service.recall(token, *args, **params).json() == first.json()
    assert service.recall(token, None, None,
                          **params).json()["id"] != first.json()["id"]


def test_key_is_forgotten_with_its_recall(node):
    with Service(node, journal__keep_days=1) as service:
        token = service.token()
        args = "<a@b>", A, *key("old")
        first = service.recall(token, *args).json()["id"]
        service.stop()
        journal = sqlite3.connect(service.dir / "journal.db")
        with journal:
            journal.execute("UPDATE recalls SET finished = finished - 90000")
        journal.close()
        service.start()
        assert service.recall(token, *args).json()["id"] != first
