"""mail-recalld: who is told when a recall ends or waits for approval."""

import contextlib
import hashlib
import hmac
import json
import sqlite3
import threading
import time

import pytest

from faults import wait_for
from mailnode import PATIENCE, build_message, free_port
from receiver import Receiver
from servicenode import RecallNode, Service

U = ["u%d@red.example" % i for i in range(3)]
KEY = "a-key-of-webhooks-that-has-more-than-32-octets"


@pytest.fixture(scope="module")
def node():
    with RecallNode(users={user: {"tenant_id": "red"} for user in U}) as node:
        yield node
        assert node.panics() == []


def make(node, url, **settings):
    settings.setdefault("webhook__key", KEY)
    return Service(node, webhook__url=url, **settings)


number = 0


def deliver(node):
    global number
    number += 1
    messageid = "<%d.webhook@example.com>" % number
    node.lmtp_deliver(U, build_message(messageid))
    return messageid


def waiting(service):
    with contextlib.closing(sqlite3.connect(service.dir /
                                            "journal.db")) as db:
        return db.execute("SELECT COUNT(*) FROM webhooks").fetchone()[0]


def wait_empty(service):
    wait_for(lambda: not waiting(service), "webhooks wait")


def check_signed(headers, body, key=KEY):
    stamp, mark, signature = headers["X-Recall-Signature"].partition(",")
    now = stamp.removeprefix("t=")
    assert abs(time.time() - int(now)) < 3600
    assert signature == "sha256=" + hmac.new(
        key.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()


def test_a_recall_that_ends(node):
    with Receiver() as receiver, make(node, receiver.url) as service:
        messageid = deliver(node)
        token = service.token("adm@red.example", 1, "red")
        # what changes nothing is nobody's business
        service.recall(token, messageid, U, dry_run=1)
        done = service.recall(token, messageid, U + ["no@red.example"],
                              reason="phishing").json()
        told, = receiver.wait(1)
        path, headers, body = receiver.told[0]
        check_signed(headers, body)
        assert path == "/hook"
        assert headers["X-Recall-Event"] == told["event"] == "finished"
        recall = told["recall"]
        assert recall["id"] == done["id"]
        assert (recall["state"], recall["actor"], recall["tenant"],
                recall["reason"], recall["messageid"], recall["users"]) == \
            ("finished", "adm@red.example", "red", "phishing", messageid, 4)
        assert recall["summary"] == {"expunged": 3, "no_user": 1}
        # not whose mail it was
        assert b"u0@" not in body
        service.recall(token, cmd="restore", id=done["id"])
        told = receiver.wait(2)[1]
        assert (told["recall"]["cmd"], told["recall"]["recall"]) == \
            ("restore", done["id"])
        # in the background as well
        later = service.recall(token, messageid, U, "-H",
                               "Prefer: respond-async").json()
        assert receiver.wait(3)[2]["recall"]["id"] == later["id"]
        wait_empty(service)
        assert len({told["id"] for told in receiver.wait(3)}) == 3
        metrics = service.curl("/metrics").body.decode()
        assert 'webhooks_total{result="sent"} 3' in metrics


@pytest.mark.parametrize("end", ["approve", "reject", "expire"])
def test_a_recall_that_waits(node, end):
    with Receiver() as receiver, make(node, receiver.url,
                                      approval__users=1,
                                      approval__check_asker="no") as service:
        messageid = deliver(node)
        recall_id = service.recall(service.token(), messageid,
                                   U).json()["id"]
        told, = receiver.wait(1)
        assert (told["event"], told["recall"]["state"]) == \
            ("pending_approval", "pending_approval")
        if end == "expire":
            with sqlite3.connect(service.dir / "journal.db") as db:
                db.execute("UPDATE recalls SET created = 1")
        else:
            service.curl("/v2/approvals/" + recall_id, "-d", "decision=" + end,
                         token=service.token("other@example.com"))
        told = receiver.wait(2)[1]
        assert told["event"] == "finished"
        assert told["recall"]["id"] == recall_id
        assert told["recall"]["state"] == {
            "approve": "finished", "reject": "rejected",
            "expire": "expired"}[end]
        if end != "expire":
            assert told["recall"]["approver"] == "other@example.com"


def test_tried_again_until_it_is_taken(node):
    with Receiver([500, 302, 404, 200],
                  location="http://127.0.0.1:1/") as receiver, \
            make(node, receiver.url) as service:
        service.recall(service.token(), deliver(node), U)
        told = receiver.wait(4)
        # the same message, signed for each time
        assert all(each == told[0] for each in told)
        for path, headers, body in receiver.told:
            check_signed(headers, body)
        wait_empty(service)
        assert len(receiver.told) == 4
        assert 'webhooks_total{result="failed"} 3' in \
            service.curl("/metrics").body.decode()


def test_not_sent_all_the_time_while_the_journal_fails(node):
    """That it is to be tried later can't be written."""
    with Receiver([500]) as receiver, make(node, receiver.url) as service:
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            db.execute("CREATE TRIGGER full BEFORE UPDATE ON webhooks BEGIN "
                       "SELECT RAISE(FAIL, 'full'); END")
            service.recall(service.token(), deliver(node), U)
            receiver.wait(4)
            stamps = [int(headers["X-Recall-Signature"].split(",")[0][2:])
                      for path, headers, body in receiver.told[:4]]
            assert stamps[3] - stamps[0] >= 2
            db.execute("DROP TRIGGER full")


def test_kept_through_a_crash(node):
    port = free_port()
    with make(node, "http://127.0.0.1:%d/" % port) as service:
        done = service.recall(service.token(), deliver(node), U).json()
        service.wait_log("webhook finished of recall " + done["id"])
        service.kill()
        assert waiting(service) == 1
        with Receiver(port=port) as receiver:
            service.start()
            told, = receiver.wait(1)
            assert told["recall"]["id"] == done["id"]
            wait_empty(service)


def test_copy_of_the_journal_that_is_put_back(node):
    """What was told since is not what is told now."""
    with Receiver() as receiver, make(node, receiver.url) as service:
        messageid = deliver(node)
        service.recall(service.token(), messageid, U)
        receiver.wait(1)
        wait_empty(service)
        service.stop()
        journal = service.dir / "journal.db"
        copy = journal.read_bytes()
        service.start()
        for user in U:
            service.recall(service.token(), messageid, [user])
        told = receiver.wait(4)
        service.stop()
        journal.write_bytes(copy)
        service.start()
        service.recall(service.token(), messageid, U)
        told = receiver.wait(5)
        assert len({each["id"] for each in told}) == len(told) == 5


def test_receiver_of_a_reload_while_many_wait(node):
    held, released = threading.Event(), threading.Event()

    def hold():
        held.set()
        assert released.wait(PATIENCE)

    with Receiver([500]) as old, Receiver() as new, \
            make(node, old.url) as service:
        old.before = hold
        messageid = deliver(node)
        for user in U:
            service.recall(service.token(), messageid, [user])
        assert held.wait(PATIENCE)
        service.set(webhook__url=new.url)
        assert service.reload() == "reloaded"
        released.set()
        told = new.wait(3)
        assert len({each["recall"]["id"] for each in told}) == 3
        assert len(old.told) == 1


def test_recall_that_can_not_be_read(node):
    """The others are told of."""
    port = free_port()
    with make(node, "http://127.0.0.1:%d/" % port) as service:
        messageid = deliver(node)
        ids = [service.recall(service.token(), messageid, [user]).json()["id"]
               for user in U]
        service.stop()
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db", isolation_level=None)) as db:
            db.execute("UPDATE webhooks SET next = 0")
        service.damage(ids[0])
        with Receiver(port=port) as receiver:
            service.start()
            assert {told["recall"]["id"] for told in receiver.wait(2)} == \
                set(ids[1:])
        service.kill()


def test_given_up_after_a_time(node):
    with make(node, "http://127.0.0.1:%d/" % free_port(),
              webhook__retry_hours=1) as service:
        done = service.recall(service.token(), deliver(node), U).json()
        service.wait_log("webhook finished of recall " + done["id"])
        with sqlite3.connect(service.dir / "journal.db") as db:
            db.execute("UPDATE webhooks SET created = created - 3601, "
                       "next = 0")
        service.wait_log("webhook finished of recall %s: given up" %
                         done["id"])
        wait_empty(service)


def test_one_that_hangs_does_not_hold_up_the_end(node):
    with contextlib.closing(__import__("socket").create_server(
            ("127.0.0.1", 0))) as deaf:
        url = "http://127.0.0.1:%d/" % deaf.getsockname()[1]
        with make(node, url, webhook__timeout=3600) as service:
            service.recall(service.token(), deliver(node), U)
            connection, address = deaf.accept()
            connection.recv(65536)
            assert service.stop() == 0
            connection.close()
            assert waiting(service) == 1


def test_nobody_is_told_without_the_setting(node):
    with Service(node) as service:
        service.recall(service.token(), deliver(node), U)
        wait_empty(service)


@pytest.mark.parametrize("url, why", [
    ("http://example.com/", "in the clear"),
    ("ftp://localhost/", "is not a"), ("nonsense", "is not a"),
    ("https://192.0.2.1/", "by its address"),
    ("https://[2001:db8::1]/", "by its address"),
    ("https://169.254.169.254/", "by its address"),
    ("https://3232235777/", "by its address"),
    ("https://0xa000001/", "by its address"),
    ("https://user:pass@example.com/", "has a login"),
    ("https://example.com/hook", None), ("http://localhost:1/", None),
    ("http://127.0.0.1:1/", None), ("http://[::1]:1/", None)])
def test_whom_it_may_tell(node, url, why):
    done = make(node, url).check_config()
    if why is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 78
        assert "webhook.url" in done.stderr and why in done.stderr


def test_its_key(node, tmp_path):
    url = "https://example.com/"
    for key in "", "x" * 31:
        done = make(node, url, webhook__key=key).check_config()
        assert done.returncode == 78 and "webhook.key" in done.stderr
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o644)
    done = make(node, url, webhook__key=None,
                webhook__key_file=path).check_config()
    assert done.returncode == 78 and "others can read" in done.stderr
    path.chmod(0o600)
    with Receiver() as receiver, make(node, receiver.url, webhook__key=None,
                                      webhook__key_file=path) as service:
        service.recall(service.token(), deliver(node), U)
        receiver.wait(1)
        check_signed(*receiver.told[0][1:])
        assert KEY not in service.log() + "".join(service.audit())
    service = make(node, url, webhook__key=None)
    service.environment["MAIL_RECALLD_WEBHOOK_KEY"] = KEY
    assert service.check_config().returncode == 0
