"""mail-recalld: lines of the audit trail that a crash kept from being written:
the journal knows which recalls it has heard of."""

import contextlib
import http.client
import re
import sqlite3

import pytest

from fakedoveadm import FakeDoveadm, row
from faults import wait_for
from servicenode import Service

USERS = ["u%d@a.example" % i for i in range(2)]


class Doveadm(FakeDoveadm):
    """Deletes what it is asked for, after before()."""

    def __init__(self):
        super().__init__()
        self.before = lambda: None
        self.failed = False
        self.asked = 0
        self.late = []

    def command(self, name, parameters):
        rows = []
        if name == "recallExpunge":
            self.asked += 1
            self.before()
            rows = [row(user, "expunged") for user in parameters["users"]]
        elif name == "recallStandingLate":
            rows = self.late
        if rows and self.failed:
            return 200, [["error", {"type": "exitCode", "exitCode": 64}, "1"]]
        return 200, [["doveadmResponse", rows, "1"]]


@pytest.fixture
def doveadm():
    with Doveadm() as doveadm:
        yield doveadm


@pytest.fixture
def service(doveadm):
    with Service(doveadm__url=doveadm.url) as service:
        yield service


class Away:
    """The trail's file can't be opened."""

    def __init__(self, service):
        self.path = service.dir / "audit.log"
        self.kept = self.path.with_name("kept")

    def begin(self):
        self.path.touch()
        self.path.rename(self.kept)
        self.path.mkdir()

    def end(self):
        self.path.rmdir()
        self.kept.rename(self.path)


def ends(service):
    """(event, id) of lines about recalls that have ended."""
    return [(event, fields[1]) for event, fields in (
        (line.split("|")[4], re.search(r"(?:externalId|cs6)=(\w+)", line))
        for line in service.audit())
        if event in ("recall", "recall-dry-run", "restore",
                     "approval-expired")]


def late_untold(service):
    with contextlib.closing(sqlite3.connect(
            service.dir / "journal.db")) as db:
        return db.execute("SELECT count(*) FROM late WHERE told = 0"
                          ).fetchone()[0]


@pytest.mark.parametrize("end", ["kill", "stop", "goes on"])
@pytest.mark.parametrize("background", [False, True])
def test_end_that_could_not_be_written(service, doveadm, end, background):
    token = service.token()
    first = service.recall(token, "<a@b>", USERS).json()["id"]
    trail = Away(service)
    doveadm.before = trail.begin
    args = ("-H", "Prefer: respond-async") if background else ()
    answer = service.recall(token, "<c@d>", USERS, *args, reason="Phishing")
    done = service.wait_recall(token, answer.json()["id"])
    assert done["summary"] == {"expunged": 2}
    service.wait_log("recall %s: root@example.com from" % done["id"])
    if end == "goes on":
        trail.end()
        wait_for(lambda: len(ends(service)) == 2)
        wait_for(lambda: not service.untold())
    if end != "stop":
        service.kill()
    else:
        service.stop()
    if end != "goes on":
        trail.end()
    for again in range(2):
        service.start()
        assert ends(service) == [("recall", first), ("recall", done["id"])]
        line = service.audit()[-1]
        for field in ("src=127.0.0.1", "suser=root@example.com",
                      "outcome=success", "cs1=<c@d>", "reason=Phishing",
                      "cs2=%s:expunged,%s:expunged" % tuple(USERS)):
            assert " " + field in line, field
        assert not service.untold()
        service.kill()
    assert doveadm.asked == 2


def test_end_that_made_way_for_too_many_lines(service, doveadm):
    """It is in the trail in the end, though no longer in its place."""
    token = service.token()
    trail = Away(service)
    doveadm.before = trail.begin
    recall_id = service.recall(token, "<a@b>", USERS).json()["id"]
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    for i in range(10001):
        connection.request("POST", "/v2/actions/expunge", "messageid=<x@y>")
        connection.getresponse().read()
    connection.close()
    assert re.search("audit: not written: CEF:.*externalId=" + recall_id,
                     service.log())
    assert service.untold() == 1
    trail.end()
    wait_for(lambda: not service.untold())
    assert ends(service) == [("recall", recall_id)]
    assert len(service.audit()) == 10001
    assert " cs2=%s:expunged,%s:expunged" % tuple(USERS) in \
        service.audit()[-1]


def test_late_recall_that_could_not_be_written(doveadm):
    recall_id = "0" * 31 + "1"
    doveadm.late = [{
        "recall-id": recall_id, "username": USERS[0], "copies": "1",
        "date": "2026-01-31T12:34:56Z", "line": "1", "mailboxes": "INBOX"}]
    with Service(doveadm__url=doveadm.url, audit__cef_file="/dev/full",
                 recall__late_interval=1) as service:
        service.wait_log("audit: /dev/full can't be written")
        service.kill()
        service.set(audit__cef_file=service.dir / "audit.log")
        for again in range(2):
            service.start()
            line, = wait_for(service.audit)
            assert "|recall-late|" in line and "externalId=" + recall_id in line
            wait_for(lambda: not late_untold(service))
            service.kill()


def test_expired(doveadm):
    """That nobody has approved it is told, too."""
    with Service(doveadm__url=doveadm.url, approval__users=1) as service:
        recall_id = service.recall(service.token(), "<a@b>", USERS
                                   ).json()["id"]
        trail = Away(service)
        trail.begin()
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db", isolation_level=None)) as db:
            db.execute("UPDATE recalls SET created = 1")
        service.wait_log("recall %s: nobody has approved it" % recall_id)
        service.kill()
        trail.end()
        for again in range(2):
            service.start()
            assert ends(service) == [("approval-expired", recall_id)]
            service.kill()


def test_what_has_another_line(service, doveadm):
    """What is refused, or rejected, has not ended as recalls do."""
    doveadm.failed = True
    token = service.token()
    assert service.recall(token, "<a@b>", USERS).status == 400
    doveadm.failed = False
    service.set(approval__users=1)
    service.reload()
    recall_id = service.recall(token, "<a@b>", USERS).json()["id"]
    assert service.curl("/v2/approvals/" + recall_id, "-d",
                        "decision=reject", token=token).status == 200
    wait_for(lambda: not service.untold())
    service.kill()
    service.start()
    assert ends(service) == []
    assert [line.split("|")[4] for line in service.audit()] == [
        "recall-refused", "recall-pending", "reject"]
