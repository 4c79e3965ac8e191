"""mail-recalld: what fails around it, and what it survives."""

import base64
import itertools
import json
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest

from answers import has, statuses
from fakedoveadm import Fake, row
from faults import Frozen, Swallow, doveadm_children, unread, wait_for
from httpserver import HttpServer
from mailnode import PATIENCE, build_message, free_port
from servicenode import JWT_KEY, RecallNode, Service, curl

A = ["a%d@a.example" % i for i in range(3)]
B = ["b%d@b.example" % i for i in range(3)]


@pytest.fixture(scope="module")
def node():
    with RecallNode(users=A) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def other():
    with RecallNode(users=B) as node:
        yield node


number = 0


def deliver(node, users):
    global number
    number += 1
    messageid = "<%d.failures@example.com>" % number
    node.lmtp_deliver(users, build_message(messageid))
    return messageid


def two_nodes(node, other, **settings):
    return Service(node, text="[nodes]\nb = %s b.example\n" % other.http_url,
                   **settings)


# doveadm fails


def test_doveadm_is_down(node):
    url = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    with Service(node, doveadm__url=url, doveadm__retries=1) as service:
        answer = service.recall(service.token(), "<a@b>", A)
        assert answer.status == 502
        body = answer.json()
        assert body["success"] is False
        assert body["message"] == "The mail system does not answer"
        assert statuses(answer) == {user: "error" for user in A}
        assert url in body["results"][0]["error"]
        assert service.curl("/health").status == 503
        assert service.curl("/health/live").status == 200


@pytest.mark.parametrize("setting, message", [
    ("", "The mail system cannot do that: is Dovecot's acl plugin loaded "
     "there?"),
    ("doveadm_allowed_commands = user\n",
     "The mail system may not do that: see its setting "
     "doveadm_allowed_commands")])
def test_command_that_doveadm_does_not_run(setting, message):
    """Who asks is told what an administrator can do about it."""
    with RecallNode(users=A, extra=setting, acl=setting != "") as node, \
            Service(node) as service:
        answer = service.curl("/v2/mailboxes/%s/shares" % A[0],
                              token=service.token())
        assert (answer.status, answer.json()) == (502, {"message": message})


def test_another_url_answers(node):
    dead = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    with Service(node, doveadm__url=dead + " " + node.http_url) as service:
        messageid = deliver(node, A)
        answer = service.recall(service.token(), messageid, A)
        assert statuses(answer) == {user: "expunged" for user in A}


def test_another_url_answers_than_that_of_a_dead_host(node):
    messageid = deliver(node, A)
    with Swallow() as url, Service(node, doveadm__url=url + " " +
                                   node.http_url,
                                   doveadm__connect_timeout=1) as service:
        answer = service.recall(service.token(), messageid, A)
        assert statuses(answer) == {user: "expunged" for user in A}


@pytest.mark.log_errors("Invalid authentication attempt to HTTP API")
@pytest.mark.parametrize("login", ["doveadm:wrong", "an-api-key-that-is-wrong"])
def test_doveadm_refuses_the_login(node, login):
    messageid = deliver(node, A)
    with Service(node, doveadm__login=login) as service:
        answer = service.recall(service.token(), messageid, A)
        assert answer.status == 502
        assert "login is refused" in answer.json()["results"][0]["error"]
    assert has(node, A[0], messageid)


def test_api_key(node):
    messageid = deliver(node, A)
    with Service(node, doveadm__login=node.doveadm_api_key) as service:
        answer = service.recall(service.token(), messageid, A)
        assert statuses(answer) == {user: "expunged" for user in A}


def test_user_cannot_be_looked_up(node):
    with Service(node, auth__revoke_email="yes", doveadm__retries=0,
                 doveadm__url="http://127.0.0.1:%d/doveadm/v1" %
                 free_port()) as service:
        answer = service.recall(service.token(A[0], 2), "<a@b>", A)
        assert answer.status == 502
        # it is in the trail as everything that was asked for
        line = service.audit()[-1]
        for part in ("|recall-refused|", "suser=" + A[0], "cn1=502",
                     "cs1=<a@b>"):
            assert part in line


def test_health_does_not_wait_for_a_doveadm_that_hangs(node):
    with Service(node, doveadm__connect_timeout=1, http__workers=2) as service:
        with Frozen(node):
            url = service.url + "/health"
            # a recall's time-out would be longer than curl waits
            curls = [subprocess.Popen(
                ["curl", "-sS", "--max-time", str(PATIENCE), url, "-w",
                 "%{http_code}"], stdout=subprocess.PIPE) for i in range(4)]
            answers = [curl.communicate()[0] for curl in curls]
            assert service.curl("/v2/actions",
                                token=service.token()).status == 200
        for answer in answers:
            assert answer.endswith(b"503")
            assert json.loads(answer[:-3])["doveadm"] is False


def test_doveadm_does_not_answer_in_time(node, other):
    messageid = deliver(other, B)
    with Service(other, doveadm__timeout=1) as service, Frozen(other):
        answer = service.recall(service.token(), messageid, B)
        assert answer.status == 504
        assert statuses(answer) == {user: "error" for user in B}


def test_an_unreachable_node_costs_its_own_users_only(node, other):
    messageid = "<both@example.com>"
    for each, users in (node, A), (other, B):
        each.lmtp_deliver(users, build_message(messageid))
    with two_nodes(node, other, doveadm__timeout=5) as service:
        with Frozen(other):
            answer = service.recall(service.token(), messageid,
                                    [A[0], B[0], A[1], B[1]])
            assert answer.status == 200
            assert answer.json()["success"] is False
            assert statuses(answer) == {A[0]: "expunged", A[1]: "expunged",
                                        B[0]: "error", B[1]: "error"}
        # a retry is safe and finishes it
        answer = service.recall(service.token(), messageid,
                                [A[0], B[0], A[1], B[1]])
        assert statuses(answer)[A[0]] in ("not_found", "already_recalled")
        assert answer.json()["success"] is True
        assert not has(other, B[0], messageid)


def test_doveadm_dies_in_the_middle(other):
    with Service(other, doveadm__connections=1) as service:
        token = service.token()
        service.recall(token, "<warm@up>", B)
        messageid = deliver(other, B)
        pids = doveadm_children(other)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        answer = service.recall(token, messageid, B, "-H",
                                "Prefer: respond-async")
        # it has the connection, and never answers
        wait_for(lambda: unread(other), "nothing was sent")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        done = service.wait_recall(token, answer.json()["id"])
        assert done["summary"] == {"expunged": len(B)}


def test_health_does_not_wait_for_recalls(other):
    """All of them wait for doveadm."""
    with Service(other, doveadm__connections=1, http__workers=1,
                 http__health_port=free_port()) as service:
        token = service.token()
        service.recall(token, "<warm@up>", B)
        messageid = deliver(other, B)
        pids = doveadm_children(other)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            recall = subprocess.Popen(
                ["curl", "-sS", "-H", "Authorization: Bearer " + token, "-d",
                 "emails=" + B[0], "--data-urlencode",
                 "messageid=" + messageid, service.url +
                 "/v2/actions/expunge"], stdout=subprocess.PIPE)
            wait_for(lambda: unread(other), "nothing was sent")
            # it is answered, whether Dovecot has another process or not
            answer = curl("http://127.0.0.1:%d/health/ready" %
                          service.settings["http.health_port"])
            assert answer.json()["journal"] is True
            assert recall.poll() is None
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        assert json.loads(recall.communicate()[0])["summary"] == {
            "expunged": 1}


@pytest.fixture
def fake(node):
    with HttpServer(Fake) as fake:
        server = fake.server
        # the service asks by itself, too
        server.answer = lambda users: (200, [["doveadmResponse", [], "1"]])
        server.command = lambda name, parameters: server.answer(
            None if name == "recallUsers" else parameters["users"])
        url = "http://127.0.0.1:%d/doveadm/v1" % fake.port
        with Service(node, doveadm__url=url) as service:
            yield server, service


def test_rows_that_are_missing_or_strange(fake):
    server, service = fake
    server.answer = lambda users: (200, [["doveadmResponse", [
        row(users[1].upper(), "expunged"), row("else@a.example", "expunged"),
        row(users[2], "exploded"), {"status": "expunged"}, 5], "1"]])
    answer = service.recall(service.token(), "<a@b>", A)
    assert answer.status == 200
    assert answer.json()["success"] is False
    assert statuses(answer) == {A[0]: "error", A[1]: "expunged", A[2]: "error"}


def test_rows_of_everyone_for_others(fake):
    """A node has no say in whom it was not asked about."""
    server, service = fake
    listed = iter([[{"username": A[0]}], []])

    def answer(users):
        return 200, [["doveadmResponse", next(listed) if users is None else
                      [row(A[0].upper(), "expunged"), row(B[0], "expunged"),
                       row("else@a.example", "read")], "1"]]

    server.answer = answer
    token = service.token()
    done = service.wait_recall(token, service.curl(
        "/v2/actions/expunge", "-d", "all=1", "-d", "messageid=<a@b>",
        token=token).json()["id"])
    assert [(each["email"].lower(), each["status"])
            for each in done["results"]] == [(A[0], "expunged")]


def test_connection_in_use_during_a_reload(node):
    """Who is believed, or let in, may be another one now. Dovecot keeps no
    connection, what is before it may."""
    seen, reloaded = [], threading.Event()

    class Keeper(Fake):
        def do_POST(self):
            seen.append(self.client_address)
            super().do_POST()

    def command(name, parameters):
        if name == "recallExpunge" and parameters["messageId"] == "<hold@it>":
            reloaded.wait()
        return 200, [["doveadmResponse", [row(A[0], "not_found")], "1"]]

    with HttpServer(Keeper) as fake, Service(
            node, doveadm__url="http://127.0.0.1:%d/doveadm/v1" %
            fake.port) as service:
        fake.server.command = command
        token = service.token()
        service.recall(token, "<1@it>", A[:1])
        del seen[:]
        service.recall(token, "<2@it>", A[:1])
        held = service.recall(token, "<hold@it>", A[:1], "-H",
                              "Prefer: respond-async").json()["id"]
        wait_for(lambda: len(seen) == 2)
        assert seen[0] == seen[1]
        service.reload()
        reloaded.set()
        service.wait_recall(token, held)
        service.recall(token, "<3@it>", A[:1])
        assert seen[2] != seen[1]
        service.recall(token, "<4@it>", A[:1])
        assert seen[3] == seen[2]


def test_message_without_end(node, small_disk):
    """Nothing else could be journalled if that was believed."""
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    part = base64.b64encode(os.urandom(4 * 1024 * 1024)).decode()
    room = []

    def command(name, parameters):
        rows = []
        if "message" in parameters:
            disk = os.statvfs(small_disk)
            room.append(disk.f_bavail * disk.f_frsize)
            rows = [{"message": part[:length]}]
        elif name == "recallExport":
            rows = [{"username": A[0], "uid": "1", "mailbox": "INBOX",
                     "mailbox-guid": "0" * 32, "size": str(10 ** 15)}]
        elif name == "recallExpunge":
            rows = [row(A[0], "expunged")]
        return 200, [["doveadmResponse", rows, "1"]]

    with HttpServer(Fake) as fake, Service(
            node, doveadm__url="http://127.0.0.1:%d/doveadm/v1" % fake.port,
            journal__path=small_disk / "journal.db") as service:
        fake.server.command = command
        token = service.token()
        done = service.recall(token, "<a@b>", A[:1]).json()
        for length, calls in (len(part), 10), (4, 2):
            room.clear()
            answer = service.curl("/v2/actions/%s/export" % done["id"],
                                  token=token)
            assert answer.status == 503, answer
            assert 0 < len(room) < calls
            assert min(room) > 40 * 1024 * 1024 // 20
        wait_for(lambda: os.statvfs(small_disk).f_bavail * 4096 > 30 << 20)


NAMES = ("u%06d@a.example" % number for number in range(1000000))


@pytest.mark.parametrize("page, why", [
    # the same ones again and again
    (lambda: [A[0], A[1]], "not asked for"),
    # in no order; none; more than were asked for
    (lambda: [A[1], A[0]], "not asked for"),
    (lambda: [""], "not asked for"),
    (lambda: ["a%06d@a.example" % i for i in range(6000)], "not asked for"),
    # ever more, and ever more of others
    (lambda: [next(NAMES) for _ in range(100)], "more than 1000 users"),
    (lambda: [next(NAMES) + ".b.example" for _ in range(100)],
     "more than 1000 users")])
def test_users_without_end(fake, page, why):
    """A node that was broken into is given up."""
    server, service = fake
    service.set(doveadm__max_users=1000)
    service.text = "[nodes]\nb = http://127.0.0.1:9/doveadm/v1 " \
        "a.example.b.example\n"
    service.reload()
    server.answer = lambda users: (200, [["doveadmResponse", [
        {"username": name} for name in page()] if users is None else [], "1"]])
    token = service.token()
    args = "-d", "all=1", "-d", "messageid=<a@b>"
    url = service.curl("/v2/actions/expunge", *args,
                       token=token).json()["location"]
    node = wait_for(lambda: [
        node for node in service.curl(url, token=token).json()["nodes"]
        if node["state"] == "failed"])[0]
    assert why in node["error"]
    answer = service.curl("/v2/actions/expunge", *args, "-d", "cmd=search",
                          token=token)
    assert answer.status == 200, answer
    assert any(why in each["error"] for each in answer.json()["errors"])


@pytest.mark.parametrize("body", [
    b"", b"[", b"{}", b"[]", b"[[]]", b"null", b"[[1,2,3]]", b"\xff\xfe",
    b"[" * 100000])
def test_answers_that_are_none(fake, body):
    server, service = fake
    server.answer = lambda users: (200, body)
    answer = service.recall(service.token(), "<a@b>", A)
    assert answer.status == 502
    assert statuses(answer) == {user: "error" for user in A}


def test_answer_that_is_no_list(fake):
    server, service = fake
    server.answer = lambda users: (200, [["doveadmResponse", "x", "1"]])
    answer = service.recall(service.token(), "<a@b>", A)
    assert statuses(answer) == {user: "error" for user in A}


def test_a_5xx_is_tried_again_and_a_4xx_is_not(fake):
    server, service = fake
    asked = []

    def answer(users):
        asked.append(users)
        if len(asked) < 3:
            return 500, b"no"
        return 200, [["doveadmResponse",
                      [row(user, "not_found") for user in users], "1"]]

    server.answer = answer
    assert service.recall(service.token(), "<a@b>", A).json()["success"]
    assert len(asked) == 3
    asked.clear()
    server.answer = lambda users: (asked.append(users), (404, b"no"))[1]
    assert service.recall(service.token(), "<a@b>", A).status == 502
    assert len(asked) == 1


def test_a_node_that_refuses_costs_its_own_users_only(node, fake):
    """An older one may not know a parameter."""
    server, service = fake
    messageid = deliver(node, A)
    refusal = [["error", {"type": "exitCode", "exitCode": 64}, "1"]]
    server.answer = lambda users: (200, refusal)
    # where it is the only one, the request is
    assert service.recall(service.token(), messageid, A).status == 400
    service.text = "[nodes]\nb = %s b.example\n" % \
        service.settings["doveadm.url"]
    service.set(doveadm__url=node.http_url)
    service.reload()
    answer = service.recall(service.token(), messageid, [B[0]] + A)
    assert answer.status == 200
    assert statuses(answer) == {A[0]: "expunged", A[1]: "expunged",
                                A[2]: "expunged", B[0]: "error"}
    assert "cs3=expunged:3,error:1" in service.audit()[-1]


def test_users_go_in_batches(fake):
    server, service = fake
    sizes = []

    def answer(users):
        sizes.append(len(users))
        return 200, [["doveadmResponse",
                      [row(user, "not_found") for user in users], "1"]]

    server.answer = answer
    service.set(doveadm__batch=100)
    service.reload()
    users = ["u%d@a.example" % i for i in range(250)]
    assert service.recall(service.token(), "<a@b>",
                          users).json()["summary"] == {"not_found": 250}
    assert sorted(sizes) == [50, 100, 100]


def exported(server, service, rows):
    """What is answered where a node says that it keeps these."""
    asked = []
    # it can't be compressed
    part = base64.b64encode(os.urandom(300000)).decode()

    def command(name, parameters):
        answer = []
        if name == "recallExpunge":
            answer = [row(A[0], "expunged")]
        elif name == "recallExport":
            asked.append(parameters["users"])
            answer = [{"username": A[0], "message": part}] \
                if "message" in parameters else rows
        return 200, [["doveadmResponse", answer, "1"]]

    server.command = command
    token = service.token()
    done = service.recall(token, "<a@b>", A[:1]).json()
    return asked, service.curl("/v2/actions/%s/export" % done["id"],
                               token=token)


def kept(user, size):
    return {"username": user, "mailbox": "INBOX", "mailbox-guid": "1" * 32,
            "uid": "1", "received": "2026-01-31T12:34:56Z", "size": str(size)}


def test_evidence_of_others(fake):
    asked, answer = exported(*fake, [kept("else@a.example", 300000),
                                     kept(A[0].upper(), 300000)])
    assert answer.status == 200
    assert {user.lower() for users in asked for user in users} == {A[0]}


def test_evidence_without_end(fake):
    """It ends where there is no room for it any more."""
    server, service = fake
    service.set(log__level="info")
    service.reload()
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE,
                     (1 << 20, 1 << 20))
    unused, answer = exported(server, service, [kept(A[0], 1 << 50)])
    assert (answer.status, answer.json()) == (503, {
        "message": "The evidence can't be put together"})


def test_a_look_again_while_the_request_is_repeated(fake):
    """It does not say that the recall has finished, nor how."""
    server, service = fake
    verdicts = iter(["error", "not_found", "expunged"])
    asked = [threading.Event() for unused in range(3)]
    go_on = [threading.Event() for unused in range(3)]
    go_on[0].set()
    number = itertools.count()

    def command(name, parameters):
        rows = []
        if name == "recallExpunge":
            which = next(number)
            rows = [row(A[0], next(verdicts))]
            asked[which].set()
            assert go_on[which].wait(PATIENCE)
        return 200, [["doveadmResponse", rows, "1"]]

    server.command = command
    token = service.token()
    args = "-H", "Idempotency-Key: look"
    answer = service.recall(token, "<a@b>", A[:1], *args, stand="1h")
    assert statuses(answer) == {A[0]: "error"}
    url = "/v2/actions/" + answer.json()["id"]
    try:
        # the service looks again by itself, and then it is asked to
        assert asked[1].wait(PATIENCE)
        assert service.recall(token, "<a@b>", A[:1], *args, "-H",
                              "Prefer: respond-async", stand="1h"
                              ).status == 202
        assert asked[2].wait(PATIENCE)
        go_on[1].set()
        wait_for(lambda: any("|recall|" in line and "not_found:1" in line
                             for line in service.audit()))
        now = service.curl(url, token=token).json()
        assert (now["state"], now["finished"], now["results"]) == (
            "running", None, [])
    finally:
        for event in go_on:
            event.set()
    done = service.wait_recall(token, answer.json()["id"])
    assert done["summary"] == {"expunged": 1}


# the service fails


def test_resume_after_kill(node, other):
    messageid = "<kill@example.com>"
    for each, users in (node, A), (other, B):
        each.lmtp_deliver(users, build_message(messageid))
    before = other.count(B[0])
    with two_nodes(node, other) as service:
        token = service.token()
        with Frozen(other) as unused, Frozen(node) as unused:
            answer = service.recall(token, messageid, A + B, "-H",
                                    "Prefer: respond-async")
            recall_id = answer.json()["id"]
            url = "/v2/actions/" + recall_id
            assert service.curl(url, token=token).json()["state"] == "running"
            # doveadm has the commands, but nobody will read the answers
            wait_for(lambda: unread(node) and unread(other),
                     "nothing was sent")
            service.kill()
        service.start()
        service.wait_log("recall %s: resumed, 6 of 6 users" % recall_id)
        done = service.wait_recall(token, recall_id)
        assert done["success"] is True
        assert set(done["summary"]) <= {"expunged", "not_found",
                                        "already_recalled"}
        assert done["progress"] == {"done": 6, "total": 6}
    for each, users in (node, A), (other, B):
        for user in users:
            assert not has(each, user, messageid)
            # one notice, however often doveadm was asked
            notices = [m for m in each.messages(user)
                       if messageid.encode() in m]
            assert len(notices) <= 1
    assert other.count(B[0]) <= before


def test_resume_asks_only_about_the_rest(node, other):
    messageid = "<rest@example.com>"
    for each, users in (node, A), (other, B):
        each.lmtp_deliver(users, build_message(messageid))
    with two_nodes(node, other) as service:
        token = service.token()
        with Frozen(other):
            answer = service.recall(token, messageid, A + B, "-H",
                                    "Prefer: respond-async")
            url = "/v2/actions/" + answer.json()["id"]
            wait_for(lambda: service.curl(url, token=token).json()
                     ["progress"]["done"] == 3, "no progress")
            service.kill()
            service.start()
            service.wait_log("resumed, 3 of 6 users are left")
            body = service.curl(url, token=token).json()
            assert body["summary"] == {"expunged": 3}
            assert body["state"] == "running"
        done = service.wait_recall(token, answer.json()["id"])
        assert done["progress"] == {"done": 6, "total": 6}
        assert done["success"] is True


def test_sigterm_finishes_what_runs(node):
    messageid = deliver(node, A)
    with Service(node, doveadm__batch=1,
                 doveadm__connections_per_recall=1) as service:
        token = service.token()
        with Frozen(node):
            asked = subprocess.Popen(
                ["curl", "-sS", "-w", "%{http_code}", "-H",
                 "Authorization: Bearer " + token, "--data-urlencode",
                 "messageid=" + messageid, "-d", "emails=" + json.dumps(A),
                 service.url + "/v2/actions/expunge"],
                stdout=subprocess.PIPE)
            wait_for(lambda: service.curl("/v2/actions", token=token)
                     .json()["actions"], "no recall in the journal")
            wait_for(lambda: unread(node), "nothing was sent")
            process = service.process
            process.terminate()
            service.wait_log("stopping")
        # the batch under way is finished; the rest waits in the journal
        out = asked.communicate()[0].decode()
        assert out.endswith("202")
        recall_id = json.loads(out[:-3])["id"]
        assert process.wait(PATIENCE) == 0
        service.process = None
        service.start()
        service.wait_log("resumed, 2 of 3 users are left")
        assert service.wait_recall(token, recall_id)["summary"] == {
            "expunged": 3}


def test_journal_that_cannot_be_written(node):
    messageid = deliver(node, A)
    with Service(node) as service:
        lock = sqlite3.connect(service.dir / "journal.db",
                               isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        answer = service.recall(service.token(), messageid, A)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        lock.execute("ROLLBACK")
        lock.close()
        # nothing was done that is not journalled
        assert has(node, A[0], messageid)
        assert service.recall(service.token(), messageid, A).status == 200


def test_journal_that_is_none(node):
    with Service(node) as service:
        service.stop()
        (service.dir / "journal.db").write_bytes(b"not a database" * 1000)
        process = service.launch()
        assert process.wait(PATIENCE) == 69
        assert "journal" in service.log()


def test_journal_of_a_later_version(node):
    """It would not know what that one has written of its recalls."""
    with Service(node) as service:
        service.stop()
        path = service.dir / "journal.db"
        with sqlite3.connect(path) as db:
            version, = db.execute("PRAGMA user_version").fetchone()
            db.execute("PRAGMA user_version = %d" % (version + 1))
        process = service.launch()
        assert process.wait(PATIENCE) == 69
        assert "a later version of mail-recalld has written it" in \
            service.log()
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA user_version").fetchone() == \
                (version + 1,)


@pytest.mark.parametrize("by_link", [False, True])
def test_journal_of_another_process(node, by_link):
    messageid = deliver(node, A)
    with Service(node) as service:
        token = service.token()
        with Frozen(node):
            recall_id = service.recall(token, messageid, A, "-H", "Prefer: "
                                       "respond-async").json()["id"]
            journal = service.dir / "journal.db"
            if by_link:
                journal = service.dir / "link.db"
                journal.symlink_to("journal.db")
            second = Service(node, journal__path=journal)
            assert second.launch().wait(PATIENCE) == 69
            assert "another mail-recalld uses it" in second.log()
            # what runs is not the other's to go on with
            assert "resumed" not in second.log()
            second.stop()
        assert service.wait_recall(token, recall_id)["summary"] == {
            "expunged": 3}
        # a killed one does not keep it
        service.kill()
        service.start()


# settings


def test_check_config(node):
    service = Service(node)
    try:
        done = service.check_config()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        service.set(http__port=70000, doveadm__url="ftp://x", auth__jwt_key="",
                    auth__revoke_email="maybe", log__level="loud",
                    no__such="1")
        done = service.check_config()
        assert done.returncode == 78
        # values first; what takes several is looked at once these are right
        for name in "http.port", "auth.revoke_email", "no.such":
            assert name in done.stderr
        service.set(http__port=0, auth__revoke_email="no", no__such=None)
        done = service.check_config()
        assert done.returncode == 78
        for name in "doveadm.url", "auth.jwt_key", "log.level":
            assert name in done.stderr
        service.text = "[http]\nnonsense\n"
        assert "line" in service.check_config().stderr
        service.text = ""
        service.set(doveadm__url=None, log__level="info",
                    auth__jwt_key=JWT_KEY, http__address="0.0.0.0")
        done = service.check_config()
        assert done.returncode == 0
        assert "http.address" in done.stderr
    finally:
        service.stop()


def test_example_file_has_the_defaults(node):
    service = Service(node)
    here = pathlib.Path(__file__).resolve().parent.parent.parent
    defaults = subprocess.run(service.command("--defaults"), text=True,
                              capture_output=True).stdout
    section, found = None, {}
    for line in (here / "conf.d/mail-recall.conf").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("# "):
            name, mark, value = line.lstrip("#").partition("=")
            found[section + "." + name.strip()] = value.strip()
    for line in defaults.splitlines():
        name, mark, value = line.partition("=")
        assert found.pop(name.strip()) == value.strip(), name
    assert [name for name in found if not name.startswith("nodes.")] == []


def test_secrets_from_files_and_environment(node):
    messageid = deliver(node, A)
    service = Service(node, doveadm__login=None, auth__jwt_key=None,
                      environment={"MAIL_RECALLD_JWT_KEY": JWT_KEY})
    secret = service.dir / "login"
    secret.write_text("doveadm:%s\n" % node.doveadm_password)
    secret.chmod(0o600)
    service.set(doveadm__login_file=secret)
    with service:
        answer = service.recall(service.token(), messageid, A)
        assert statuses(answer) == {user: "expunged" for user in A}


def test_bad_reload_keeps_the_settings(node):
    with Service(node) as service:
        service.set(doveadm__timeout="soon",
                    auth__jwt_key="another-key-another-key-another-key")
        assert service.reload() == "stay as they are"
        assert service.curl("/v2/actions", token=service.token()).status == 200
        service.set(doveadm__timeout=10)
        assert service.reload() == "reloaded"
        assert service.curl("/v2/actions", token=service.token()).status == 401


def test_log_is_opened_anew_by_a_reload(node):
    with Service(node) as service:
        (service.dir / "service.log").rename(service.dir / "service.log.1")
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "settings reloaded" in service.log(), "no new log")


def test_etcd(node, etcd):
    service = Service(node, etcd__endpoints="http://127.0.0.1:%d %s" %
                      (free_port(), etcd.client), doveadm__url=None,
                      doveadm__login=None, auth__jwt_key=None)
    etcd.put("services/doveadm/url", node.http_url)
    etcd.put("services/doveadm/login", "doveadm:" + node.doveadm_password)
    etcd.put("psn/web/secure/jwt_key", JWT_KEY)
    etcd.put("psn/web/secure/jwt_key_id", "new")
    etcd.put("psn/web/secure/jwt_old_key", JWT_KEY[::-1])
    etcd.put("psn/web/secure/jwt_old_key_id", "old")
    etcd.put("pbm/auth/access_token_exp_time", "77")
    etcd.put("psn/bruteforce/max_attempts", "1")
    # it wins over what the file names
    for setting in "doveadm.login_file", "auth.jwt_key_file":
        service.settings[setting] = service.dir / "secret"
    (service.dir / "secret").write_text("of-the-file" * 5)
    (service.dir / "secret").chmod(0o600)
    etcd.put("psn/web/logger/cef_prefix", "CEF:23|MyOffice|MyOffice Mail|3.2")
    messageid = deliver(node, A)
    with service:
        answer = service.recall(service.token(), messageid, [A[0]])
        assert statuses(answer) == {A[0]: "expunged"}
        for kid, key, status in (("old", JWT_KEY[::-1], 200),
                                 ("new", JWT_KEY, 200),
                                 ("old", JWT_KEY, 401)):
            token = service.token(key=key, header={"alg": "HS256",
                                                   "kid": kid})
            assert service.curl("/v2/actions",
                                token=token).status == status
        trail = [line for line in service.audit() if "refused" not in line]
        assert trail[-1].startswith(
            "CEF:23|MyOffice|MyOffice Mail|3.2|recall|")
        login = service.curl("/v2/auth", "-d", "login=" + A[0], "-d",
                             "password=secret")
        assert login.json()["expire"] == 77
        for status in 401, 429:
            assert service.curl("/v2/auth", "-d", "login=" + A[0], "-d",
                                "password=wrong").status == status
        user = service.token(A[0], 2)
        assert service.recall(user, "<a@b>", A).status == 403
        etcd.put("psn/common/revoke_email", "True")
        assert service.reload() == "reloaded"
        assert service.recall(user, "<a@b>", A).status == 200
        # a key that is gone is as if it had never been
        assert etcd.ctl("del", "psn/common/revoke_email").returncode == 0
        assert service.reload() == "reloaded"
        assert service.recall(user, "<a@b>", A).status == 403
        # as files and `echo` have it
        etcd.put("psn/common/revoke_email", " True\n")
        etcd.put("psn/web/secure/jwt_key", JWT_KEY + "\n")
        etcd.put("services/doveadm/url", node.http_url + "\n")
        etcd.put("services/doveadm/login", "doveadm:%s\n" %
                 node.doveadm_password)
        assert service.reload() == "reloaded"
        assert service.recall(user, "<a@b>", A).status == 200
        etcd.put("psn/common/force_revoke", "perhaps")
        assert service.reload() == "stay as they are"
        assert "auth.force_revoke" in service.log()
        etcd.stop()
        assert service.reload() == "stay as they are"
        assert service.recall(user, "<a@b>", A).status == 200


def test_etcd_with_prefix_and_password(node, etcd, tmp_path):
    password = tmp_path / "password"
    password.write_text("root-password\n")
    password.chmod(0o600)
    etcd.put("/mail/pbm/auth/access_token_exp_time", "55")
    for args in (["user", "add", "root:root-password"],
                 ["user", "grant-role", "root", "root"], ["auth", "enable"]):
        assert etcd.ctl(*args).returncode == 0
    settings = {"etcd__endpoints": etcd.client, "etcd__prefix": "/mail/",
                "etcd__user": "root", "etcd__password_file": password}
    with Service(node, **settings) as service:
        login = service.curl("/v2/auth", "-d", "login=" + A[0], "-d",
                             "password=secret")
        assert login.json()["expire"] == 55
    password.write_text("wrong\n")
    done = Service(node, **settings).check_config()
    assert done.returncode == 78
    assert "etcd" in done.stderr and "wrong" not in done.stderr


def test_etcd_that_is_down_at_the_start(node):
    done = Service(node, etcd__endpoints="http://127.0.0.1:%d" %
                   free_port()).check_config()
    assert done.returncode == 78
    assert "etcd" in done.stderr


def test_address_in_use(node):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = Service(node, http__port=taken.getsockname()[1])
        process = service.launch()
        assert process.wait(PATIENCE) == 69
        assert "in use" in service.log()


@pytest.mark.parametrize("value", [["x"], [{}], [None], [5], []],
                         ids=lambda value: json.dumps(value))
def test_answers_that_are_no_rows(fake, value):
    """Not the same as that nobody has anything."""
    server, service = fake
    server.command = lambda name, parameters: (
        200, [["doveadmResponse", *value, "1"] if value else
              ["doveadmResponse"]])
    token = service.token()
    assert statuses(service.recall(token, "<a@b>", A)) == {
        user: "error" for user in A}
    for cmd in {"cmd": "search"}, {"cmd": "fetch", "fields": "hdr"}:
        answer = service.recall(token, "<a@b>", A, **cmd)
        assert answer.status == 502 or answer.json()["errors"], answer
    answer = service.curl("/v2/standing", token=token)
    assert answer.json()["success"] is False, answer
    answer = service.curl("/v2/stop", "-X", "DELETE", token=token)
    assert answer.json()["success"] is False, answer
    answer = service.curl("/v2/mailboxes/%s/shares" % A[0], token=token)
    assert answer.status == 502, answer


@pytest.mark.parametrize("value", [["x"], [{}], []],
                         ids=lambda value: json.dumps(value))
def test_answers_of_everyone_that_are_no_rows(fake, value):
    server, service = fake
    wrong = ["doveadmResponse", *value, "1"] if value else ["doveadmResponse"]
    pages = iter([[{"username": A[0]}]])
    server.answer = lambda users: (200, [
        wrong if users is not None else
        ["doveadmResponse", next(pages, []), "1"]])
    token = service.token()
    url = service.curl("/v2/actions/expunge", "-d", "all=1", "-d",
                       "messageid=<a@b>", "-d", "dry_run=1",
                       token=token).json()["location"]
    node = wait_for(lambda: [
        node for node in service.curl(url, token=token).json()["nodes"]
        if node["state"] in ("down", "failed", "done")])[0]
    assert node["state"] != "done", node
