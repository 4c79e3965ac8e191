"""mail-recalld: a journal that can't be written for a while, as where the disk
is full. What was answered is true, what goes on is finished, and nobody is told
twice."""

import contextlib
import itertools
import sqlite3
import threading
import time

import pytest

from answers import statuses
from fakedoveadm import FakeDoveadm, row
from faults import wait_for
from mailnode import PATIENCE
from receiver import Receiver
from servicenode import Service

A = ["a%d@a.example" % i for i in range(3)]
FULL = "journal: disk is full"


class Doveadm(FakeDoveadm):
    """Says what became of users, and of itself lists the first."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.verdict = "expunged"
        # of those who ask what came late
        self.late = []
        self.before = lambda users: None

    def command(self, name, parameters):
        rows = []
        if name == "recallExpunge":
            users = parameters["users"]
            self.before(users)
            self.asked.append(users)
            rows = [row(user, self.verdict) for user in users]
        elif name == "recallUsers" and "after" not in parameters:
            rows = [{"username": A[0]}]
        elif name == "recallStandingLate":
            rows = self.late
        return 200, [["doveadmResponse", rows, "1"]]


class Full:
    """As if the disk were full whenever this is written."""

    numbers = itertools.count()

    def __init__(self, service, what):
        self.path = service.dir / "journal.db"
        self.name = "full%d" % next(self.numbers)
        self.run("CREATE TRIGGER %s BEFORE %s BEGIN SELECT "
                 "RAISE(ABORT, 'disk is full'); END" % (self.name, what))

    def run(self, statement):
        with contextlib.closing(sqlite3.connect(
                self.path, isolation_level=None)) as journal:
            journal.execute(statement)

    def end(self):
        self.run("DROP TRIGGER " + self.name)


def fill(disk):
    """Returns the file to delete."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
    return filler


@pytest.fixture
def doveadm():
    with Doveadm() as doveadm:
        yield doveadm


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def service(doveadm, receiver):
    with Service(doveadm__url=doveadm.url, doveadm__batch=1,
                 doveadm__connections_per_recall=1, webhook__url=receiver.url,
                 webhook__key="k" * 40, recall__late_interval=1) as service:
        yield service


def shown(service, recall_id):
    return service.curl("/v2/actions/" + recall_id,
                        token=service.token()).json()


def lines(service, event):
    return [line for line in service.audit() if "|%s|" % event in line]


def refused(service, times):
    """Until it has been tried that often."""
    wait_for(lambda: service.log().count(FULL) >= times, service.log)


def test_verdict(service, doveadm):
    """It is written with the next one: the recall finishes with all."""
    full = Full(service, "UPDATE ON verdicts WHEN NEW.email = '%s'" % A[0])
    # the first one's could not be written, as the log says
    doveadm.before = lambda users: users == [A[1]] and full.end()
    done = service.recall(service.token(), "<a@b>", A).json()
    assert done["summary"] == {"expunged": 3}
    assert FULL in service.log()
    journalled = shown(service, done["id"])
    assert journalled["state"] == "finished"
    assert journalled["results"] == done["results"]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
def test_last_verdict(service, doveadm, receiver, background, stopped):
    """It is written as soon as there is room, and as the service stops."""
    full = Full(service, "UPDATE ON verdicts WHEN NEW.email = '%s'" % A[2])
    token = service.token()
    args = ("-H", "Prefer: respond-async") if background else ()
    done = service.recall(token, "<a@b>", A, *args).json()
    refused(service, 2)
    if not background:
        assert done["summary"] == {"expunged": 3}
    wait_for(lambda: lines(service, "recall"))
    assert shown(service, done["id"])["state"] == "running"
    assert not receiver.told
    full.end()
    if stopped:
        service.stop()
        service.start()
    assert service.wait_recall(token, done["id"])["summary"] == {"expunged": 3}
    assert len(doveadm.asked) == 3
    told, = receiver.wait(1)
    assert told["recall"]["id"] == done["id"]
    assert len(lines(service, "recall")) == 1


def test_last_verdict_and_a_crash(service, doveadm):
    """A restart asks again."""
    full = Full(service, "UPDATE ON verdicts WHEN NEW.email = '%s'" % A[2])
    token = service.token()
    done = service.recall(token, "<a@b>", A).json()
    service.kill()
    full.end()
    service.start()
    assert service.wait_recall(token, done["id"])["results"] == \
        done["results"]
    assert sorted(user for user, in doveadm.asked) == [*A, A[2]]


@pytest.mark.parametrize("what", [
    "UPDATE OF finished ON recalls", "INSERT ON verdicts",
    "INSERT ON nodes WHEN NEW.state = 'done'"])
def test_everyone(service, doveadm, what):
    full = Full(service, what)
    token = service.token()
    recall_id = service.recall(token, "<a@b>", all=1).json()["id"]
    wait_for(lambda: lines(service, "recall"))
    assert shown(service, recall_id)["state"] == "running"
    full.end()
    done = service.wait_recall(token, recall_id)
    assert done["summary"] == {"expunged": 1}
    assert [node["state"] for node in done["nodes"]] == ["done"]
    assert doveadm.asked == [[A[0]]]


def test_paused(service, doveadm):
    """Whose verdict is not written is not asked about again."""
    full = Full(service, "UPDATE ON verdicts")
    token = service.token()

    def stop(users):
        doveadm.before = lambda users: None
        assert service.curl("/v2/stop", "-d", "reason=", token=token
                            ).status == 200

    doveadm.before = stop
    recall_id = service.recall(token, "<a@b>", A).json()["id"]
    refused(service, 2)
    full.end()
    wait_for(lambda: shown(service, recall_id)["state"] == "paused")
    assert service.curl("/v2/stop", "-X", "DELETE", token=token).status == 200
    assert service.wait_recall(token, recall_id)["summary"] == {"expunged": 3}
    assert doveadm.asked == [[user] for user in A]


def test_user_who_is_asked_about_once_more(service, doveadm):
    doveadm.verdict = "error"
    full = Full(service, "UPDATE ON verdicts WHEN NEW.status = 'expunged'")

    def look(users):
        if doveadm.asked:
            doveadm.verdict = "expunged"

    doveadm.before = look
    answer = service.recall(service.token(), "<a@b>", A[:1], stand="1h")
    assert statuses(answer) == {A[0]: "error"}
    refused(service, 2)
    full.end()
    wait_for(lambda: shown(service, answer.json()["id"])["summary"] ==
             {"expunged": 1})
    assert doveadm.asked == [A[:1]] * 2


def test_webhook_that_was_taken(service, receiver):
    full = Full(service, "DELETE ON webhooks")
    service.recall(service.token(), "<a@b>", A)
    refused(service, 3)
    assert len(receiver.told) == 1
    full.end()
    service.recall(service.token(), "<c@d>", A)
    told = receiver.wait(2)
    assert len({each["id"] for each in told}) == len(told) == 2


def test_late_recall_that_was_told_of(service, doveadm):
    full = Full(service, "UPDATE ON late")
    recall_id = service.recall(service.token(), "<a@b>", A,
                               stand="1h").json()["id"]
    doveadm.late = [{
        "recall-id": recall_id, "username": A[0], "copies": "1",
        "date": "2026-01-31T12:34:56Z", "line": str(line), "mailboxes": ""}
        for line in range(2)]
    refused(service, 3)
    assert len(lines(service, "recall-late")) == 1
    full.end()
    wait_for(lambda: len(lines(service, "recall-late")) == 2)
    service.stop()
    service.start()
    wait_for(lambda: shown(service, recall_id)["late"] == 2)
    assert len(lines(service, "recall-late")) == 2


def test_line_that_was_written(service):
    """The next start does not write it once more."""
    full = Full(service, "UPDATE OF untold ON recalls WHEN NEW.untold = 0")
    service.recall(service.token(), "<a@b>", A)
    refused(service, 2)
    full.end()
    wait_for(lambda: not service.untold())
    service.kill()
    service.start()
    assert len(lines(service, "recall")) == 1


@pytest.mark.parametrize("stopped", [False, True])
def test_one_that_is_damaged(service, doveadm, stopped):
    """It does not hold up the others."""
    token = service.token()
    full = Full(service, "UPDATE ON verdicts WHEN NEW.email = '%s'" % A[1])
    good = service.recall(token, "<a@b>", A[1:2]).json()["id"]
    damaged = Full(service, "UPDATE ON verdicts WHEN NEW.email = '%s'" % A[0])
    bad = service.recall(token, "<c@d>", A[:1]).json()["id"]
    full.end()
    if stopped:
        service.stop()
        service.start()
    service.wait_recall(token, good)
    assert doveadm.asked.count([A[1]]) == 1
    assert shown(service, bad)["state"] == "running"
    damaged.end()
    service.wait_recall(token, bad)


def test_what_the_log_says(service):
    """Each of many errors is not a line."""
    full = Full(service, "UPDATE ON verdicts")
    service.recall(service.token(), "<a@b>", ["u%d@a.example" % i for i in
                                              range(100)])
    full.end()
    assert 1 <= service.log().count(FULL) < 100
    assert service.log().count("the journal could not be written") == 1


def test_those_that_wait(doveadm, small_disk):
    """What has not begun does not begin: all that is found out is in memory."""
    first, go_on = threading.Event(), threading.Event()

    def hold(users):
        first.set()
        assert go_on.wait(PATIENCE)

    doveadm.before = hold
    with Service(doveadm__url=doveadm.url, journal__workers=1,
                 journal__path=small_disk / "journal.db") as service:
        token = service.token()
        ids = [service.recall(token, "<a@b>", [user], "-H",
                              "Prefer: respond-async").json()["id"]
               for user in A]
        assert first.wait(PATIENCE)
        filler = fill(small_disk)
        wait_for(lambda: service.recall(token, "<a@b>", A, "-H",
                                        "Prefer: respond-async").status == 503)
        go_on.set()
        service.wait_log("recall %s: waits until the journal can be written" %
                         ids[1])
        assert doveadm.asked == [A[:1]]
        filler.unlink()
        for recall_id in ids:
            assert service.wait_recall(token, recall_id)["summary"] == {
                "expunged": 1}
        assert doveadm.asked == [[user] for user in A]


def test_start(doveadm, small_disk):
    """After a crash it tells what the journal has."""
    with Service(doveadm__url=doveadm.url,
                 journal__path=small_disk / "journal.db") as service:
        token = service.token()
        done = service.recall(token, "<a@b>", A).json()
        service.kill()
        filler = fill(small_disk)
        service.start()
        assert shown(service, done["id"])["summary"] == {"expunged": 3}
        filler.unlink()
        wait_for(lambda: service.recall(token, "<a@b>", A).status == 200)


def test_probes(service):
    """Nobody needs a token for them: they do not wear out the disk."""
    wal = service.dir / "journal.db-wal"
    began = time.monotonic()
    before = wal.stat().st_size
    for _ in range(100):
        assert service.curl("/health/ready").json()["journal"]
    written = (wal.stat().st_size - before) // 4096
    assert written <= (time.monotonic() - began) / 2 + 1


def test_health(doveadm, small_disk):
    """A load balancer is not told that what is refused can be done."""
    with Service(doveadm__url=doveadm.url,
                 journal__path=small_disk / "journal.db") as service:
        token = service.token()
        filler = fill(small_disk)
        wait_for(lambda: service.recall(token, "<a@b>", A).status == 503)
        wait_for(lambda: service.curl("/health/ready").status == 503)
        ready = service.curl("/health/ready")
        assert (ready.status, ready.json()["journal"]) == (503, False)
        assert "database or disk is full (%s)" % (
            small_disk / "journal.db") in service.log()
        filler.unlink()
        wait_for(lambda: service.curl("/health/ready").json()["journal"])
        assert statuses(service.recall(token, "<a@b>", A[:1])) == {
            A[0]: "expunged"}
