"""One call of the C library after the other fails in mail-recalld while it
answers a request: no answer is false, the journal stays whole, and what was
not done can be asked for again.

A sample; all of them with RECALL_FAULTS=all, see test_faults.py."""

import json
import os
import pathlib
import sqlite3
import time

import pytest

import mailnode
from conftest import DRIVERS
from answers import has, statuses
from faults import wait_for
from faulty import Shim, choose, faults
from mailnode import PATIENCE, build_message
from quarantine import make_node
from servicenode import Service, program

USERS = ["a%d@a.example" % i for i in range(2)]
# what a request that failed is answered with; 400 and 401 if there was no
# memory to read it, or its token
FAILED = (400, 401, 500, 502, 503)


@pytest.fixture(scope="module")
def node():
    with make_node(DRIVERS[0], USERS, doveadm_requests=1000,
                   mail_plugins=["notify", "recall"]) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def service(node, tmp_path):
    service = Service(node, tmp_path)
    service.shim = Shim(tmp_path, "mail-recalld", [tmp_path])
    module = pathlib.Path(program())
    service.environment.update(service.shim.environment(
        mailnode.sanitizers_of(module, module.stat().st_mtime_ns)))
    with service:
        yield service


class Asked:
    """A request of a kind, and what its answer must mean. Each try has a
    message of its own."""
    number = 0

    def __init__(self, node, service):
        self.node = node
        self.service = service
        self.token = service.token()
        Asked.number += 1
        self.id = "<%d.faults@example.com>" % Asked.number
        node.lmtp_deliver(USERS, build_message(self.id))

    def prepare(self):
        """Before calls are counted."""

    def ask(self):
        raise NotImplementedError

    def check(self, answer):
        """answer is None if the connection ended without one."""
        raise NotImplementedError

    def recall(self, *args):
        return self.service.curl(
            "/v2/actions/expunge", "--data-urlencode", "messageid=" + self.id,
            "--data-urlencode", "emails=" + json.dumps(USERS), *args,
            token=self.token, check=False)

    def journalled(self, recall_id):
        return self.service.wait_recall(self.token, recall_id)

    def check_there(self, there):
        for user in USERS:
            assert has(self.node, user, self.id) == there


class Recall(Asked):
    cmd = "expunge"

    def ask(self):
        return self.recall()

    def check(self, answer):
        if answer is not None and answer.status == 200:
            assert statuses(answer) == dict.fromkeys(USERS, "expunged")
            self.check_there(False)
            done = self.journalled(answer.json()["id"])
            assert done["results"] == answer.json()["results"]
        elif answer is not None:
            assert answer.status in FAILED, answer
        self.finish_others()
        again = self.recall()
        assert again.status == 200
        # one that was journalled and not answered was resumed
        assert set(statuses(again).values()) <= {"expunged", "not_found"}
        self.check_there(False)

    def finish_others(self):
        """Waits for what a restart has resumed."""
        listed = self.service.curl("/v2/actions", token=self.token).json()
        for each in listed["actions"]:
            self.journalled(each["id"])


class Restore(Recall):
    def prepare(self):
        answer = self.recall()
        assert answer.status == 200
        self.recall_id = answer.json()["id"]
        self.check_there(False)

    def ask(self):
        return self.service.curl(
            "/v2/actions/expunge", "-d", "cmd=restore", "-d",
            "id=" + self.recall_id, token=self.token, check=False)

    def check(self, answer):
        if answer is not None and answer.status == 200:
            assert set(statuses(answer).values()) == {"restored"}
            self.check_there(True)
        elif answer is not None:
            assert answer.status in FAILED, answer
        self.finish_others()
        again = self.ask()
        assert again.status == 200, again
        self.check_there(True)
        for user in USERS:
            texts = [text for text in self.node.messages(user)
                     if self.id.encode() in text and
                     b"X-Dovecot-Recall-Id" not in text]
            assert len(texts) == 1


class Get(Asked):
    """Nothing but reading."""

    def prepare(self):
        self.recall_id = self.recall().json()["id"]

    def ask(self):
        return self.service.curl("/v2/actions/" + self.recall_id,
                                 token=self.token, check=False)

    def check(self, answer):
        again = self.ask()
        assert again.status == 200
        if answer is not None and answer.status == 200:
            assert answer.json() == again.json()
        elif answer is not None:
            assert answer.status in FAILED, answer


class List(Get):
    def ask(self):
        return self.service.curl("/v2/actions", token=self.token,
                                 check=False)


class Search(Get):
    def prepare(self):
        pass

    def ask(self):
        return self.recall("-d", "cmd=search")


class Login(Asked):
    def ask(self):
        return self.service.curl("/v2/auth", "-d", "login=" + USERS[0], "-d",
                                 "password=secret", check=False)

    def check(self, answer):
        if answer is not None and answer.status == 200:
            assert answer.json()["access_token"]
        elif answer is not None:
            assert answer.status in FAILED, answer
        assert self.ask().status == 200


def survived(service):
    """Starts it again if it ended, as systemd does."""
    if service.process.poll() is not None:
        assert service.process.returncode < 0
        service.start()
        return False
    return True


def alive(service):
    answer = service.curl("/health/live", check=False)
    return answer is not None and answer.status == 200


def journal_is_whole(service):
    journal = sqlite3.connect(service.dir / "journal.db")
    try:
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert journal.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        journal.close()


@pytest.mark.log_errors(".")
@pytest.mark.parametrize("kind", [Recall, Restore, Get, List, Search, Login],
                         ids=lambda kind: kind.__name__)
def test_faults(node, service, kind):
    shim = service.shim
    first = kind(node, service)
    first.prepare()
    shim.arm()
    answer = first.ask()
    counts = shim.counts()
    assert answer.status == 200, answer
    first.check(answer)
    seed = os.environ.get("RECALL_FAULTS_SEED", "1") + kind.__name__
    chosen = choose(faults(counts, seed), seed)
    print(counts)
    found, ended, hit = [], 0, 0
    for fault in chosen:
        case = kind(node, service)
        case.prepare()
        shim.arm(fault.call, fault.at, fault.error)
        begin = time.monotonic()
        answer = case.ask()
        # curl gives up then
        hangs = time.monotonic() - begin >= PATIENCE
        path, failed = shim.failed_path(), shim.failed()
        shim.arm()
        hit += failed
        try:
            assert not hangs
            if answer is None:
                # it is about to end, unless the connection alone had no memory
                wait_for(lambda: service.process.poll() is not None or
                         alive(service))
            ended += not survived(service)
            case.check(answer)
            journal_is_whole(service)
        except (AssertionError, ValueError, TimeoutError) as error:
            found.append("%s %s: %s\n%s" % (fault, path, answer, error))
    print("%s: %d faults, %d hit, it ended %d times, %d findings" % (
        kind.__name__, len(chosen), hit, ended, len(found)))
    if found:
        pytest.fail("%d faults:\n%s" % (len(found), "\n".join(found)), False)
