"""mail-recalld: a recall of the journal that can't be read, as on a bad page of
the disk, holds up no other."""

import contextlib
import sqlite3

import pytest

from answers import check_described
from fakedoveadm import FakeDoveadm, row
from faults import wait_for
from servicenode import Service

USER = "u@a.example"

pytestmark = pytest.mark.log_errors("journal: malformed JSON")


class Doveadm(FakeDoveadm):
    def __init__(self):
        super().__init__()
        # ids of recalls whose orders it has, and what it tells of
        self.orders = []
        self.late = []
        self.keeps_orders = True

    def command(self, name, parameters):
        rows = []
        if name == "recallExpunge":
            rows = [row(user, "expunged") for user in parameters["users"]]
        elif name == "recallStandingLate":
            rows = self.late
        elif name == "recallStandingBegin":
            if not self.keeps_orders:
                return 200, [["error", {"type": "exitCode", "exitCode": 75},
                              "1"]]
            self.orders.append(parameters["recallId"])
        return 200, [["doveadmResponse", rows, "1"]]


@pytest.fixture
def doveadm():
    with Doveadm() as doveadm:
        yield doveadm


@pytest.fixture
def service(doveadm):
    with Service(doveadm__url=doveadm.url, recall__late_interval=1) as service:
        yield service
        service.kill()


def stand(service):
    return service.recall(service.token(), "<a@b>", [USER], stand="1h",
                          reason="Phishing").json()["id"]


def change(service, statement, *values):
    with contextlib.closing(sqlite3.connect(
            service.dir / "journal.db", isolation_level=None)) as db:
        db.execute(statement, values)


def test_order_that_has_to_be_handed_over(service, doveadm):
    doveadm.keeps_orders = False
    ids = [stand(service) for _ in range(2)]
    service.stop()
    for pos, recall_id in enumerate(ids):
        change(service, "UPDATE standing SET tries = 0, next = ? WHERE "
               "recall = ?", pos + 1, recall_id)
    service.damage(ids[0])
    doveadm.keeps_orders = True
    service.start()
    wait_for(lambda: ids[1] in doveadm.orders)


def test_what_came_late(service, doveadm):
    """Who asked for it is not told then, what became of it is."""
    ids = [stand(service) for _ in range(2)]
    service.stop()
    service.damage(ids[0])
    doveadm.late = [{
        "recall-id": recall_id, "username": USER, "copies": "1",
        "date": "2026-01-31T12:34:5%dZ" % pos, "line": str(pos),
        "mailboxes": "INBOX"} for pos, recall_id in enumerate(ids)]

    def lines():
        return [line for line in service.audit() if "|recall-late|" in line]

    service.start()
    line, = wait_for(lines)
    assert "externalId=" + ids[1] in line and "reason=Phishing" in line
    service.kill()
    # an hour later
    change(service, "UPDATE late SET seen = seen - 3600")
    service.start()
    wait_for(lambda: len(lines()) == 2)
    line = lines()[1]
    assert "externalId=" + ids[0] in line and "reason=" not in line
    assert "cs2=%s:expunged" % USER in line


def test_what_waits_for_a_second_person(service, doveadm):
    """It is named, and the others can be decided on."""
    service.set(approval__users=1)
    assert service.reload() == "reloaded"
    ids = [service.recall(service.token(), "<a@b>", [USER]).json()["id"]
           for _ in range(2)]
    service.damage(ids[0])
    lines = len(service.audit())
    answer = service.curl("/v2/approvals", token=service.token())
    assert answer.status == 200
    check_described("/v2/approvals", "get", answer)
    answer = answer.json()
    assert answer["success"] is False
    assert [each["id"] for each in answer["approvals"]] == [ids[1]]
    assert answer["errors"] == [{"id": ids[0],
                                 "error": "The journal cannot be read"}]
    line, = service.audit()[lines:]
    assert "outcome=failure" in line and ids[1] in line and ids[0] not in line
    # nobody of another tenant hears of it
    answer = service.curl("/v2/approvals", token=service.token(
        "x@b.example", 1, "b")).json()
    assert (answer["success"], answer["approvals"], answer["errors"]) == (
        True, [], [])
    # nor is it decided on
    decide = [service.curl("/v2/approvals/" + each, "-d", "decision=reject",
                           token=service.token()).status for each in ids]
    assert decide == [503, 200]
