"""mail-recalld: what the journal tells, and what is answered if it can't."""

import contextlib
import sqlite3

import pytest

from mailnode import build_message
from servicenode import RecallNode, Service
from answers import has

A, B = "a@one.example", "b@two.example"


@pytest.fixture(scope="module")
def node():
    with RecallNode(users={A: {"tenant_id": "one"},
                           B: {"tenant_id": "two"}}) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def made(node):
    """A service with a list of recalls, by name."""
    with Service(node) as service:
        token = service.token()
        node.lmtp_deliver([A], build_message("<1@list>"))
        made = {}
        for name, messageid, params in (
                ("dry", "<1@list>", {"dry_run": 1, "reason": "a look"}),
                ("done", "<1@list>", {"reason": "Oops, 100% wrong"}),
                ("forced", "<2@list>", {"force": 1, "notify": 0}),
                ("query", None, {"query": '["SUBJECT","Prize"]',
                                 "dry_run": 1})):
            made[name] = service.recall(token, messageid, [A, "no@x"],
                                        **params).json()["id"]
        made["restored"] = service.recall(token, cmd="restore",
                                          id=made["done"]).json()["id"]
        made["admin"] = service.recall(
            service.token("adm@one.example", 1, "one"), "<3@list>",
            [A, B]).json()["id"]
        yield service, made


def listed(service, **params):
    args = ["-G"]
    for name, value in params.items():
        args += ["--data-urlencode", "%s=%s" % (name, value)]
    answer = service.curl("/v2/actions", *args, token=service.token())
    assert answer.status == 200, answer
    return answer.json()["actions"]


def test_list_says_what_was_asked(made):
    service, ids = made
    rows = {row["id"]: row for row in listed(service)}
    assert set(rows) == set(ids.values())
    row = rows[ids["dry"]]
    assert (row["dry_run"], row["reason"]) == (True, "a look")
    assert row["summary"] == {"would_expunge": 1, "no_user": 1}
    row = rows[ids["done"]]
    assert (row["dry_run"], row["force"], row["notify"]) == \
        (False, False, True)
    assert row["summary"] == {"expunged": 1, "no_user": 1}
    assert (row["done"], row["total"]) == (2, 2)
    row = rows[ids["forced"]]
    assert (row["force"], row["notify"]) == (True, False)
    assert rows[ids["query"]]["query"] == ["SUBJECT", "Prize"]
    assert rows[ids["restored"]]["recall"] == ids["done"]
    shown = service.curl("/v2/actions/" + ids["dry"],
                         token=service.token()).json()
    assert (shown["dry_run"], shown["force"], shown["notify"],
            shown["reason"]) == (True, False, True, "a look")


ALL = ["dry", "done", "forced", "query", "restored", "admin"]


@pytest.mark.parametrize("params, names", [
    ({"dry_run": 1}, ["dry", "query"]),
    ({"dry_run": "false"}, ["admin", "done", "forced", "restored"]),
    ({"force": 1}, ["forced"]),
    ({"notify": 0}, ["forced", "restored"]),
    ({"reason": "oops"}, ["done"]), ({"reason": "100%"}, ["done"]),
    ({"reason": "%"}, ["done"]), ({"reason": "_"}, []),
    ({"query": "prize"}, ["query"]), ({"query": '"SUBJECT"'}, ["query"]),
    ({"verdict": "would_expunge"}, ["dry"]),
    ({"verdict": "forbidden"}, ["admin"]),
    ({"verdict": "error"}, []),
    ({"cmd": "restore"}, ["restored"]),
    ({"cmd": "expunge", "dry_run": 0}, ["admin", "done", "forced"]),
    ({"messageid": "<2@list>"}, ["forced"]),
    ({"messageid": "2@list"}, ["forced"]), ({"messageid": "@list"}, []),
    ({"actor": "ADM@one.example"}, ["admin"]), ({"actor": "adm"}, []),
    ({"since": 10 ** 12}, []), ({"since": 1, "reason": "oops"}, ["done"]),
    ({"state": "finished", "force": 1}, ["forced"]), ({"state": "running"}, []),
    ({"state": "paused"}, []), ({"state": ""}, ALL),
])
def test_filters(made, params, names):
    service, ids = made
    assert sorted(row["id"] for row in listed(service, **params)) == \
        sorted(ids[name] for name in names)


def test_filter_by_state_and_time(node):
    with Service(node, approval__users=2, approval__check_asker="no") as service:
        token = service.token()

        def recall(*users):
            return service.recall(token, "<state@list>",
                                  users).json()["id"]

        ids = {"finished": recall(A), "pending_approval": recall(A, B),
               "rejected": recall(A, B), "expired": recall(A, B)}
        other = service.token("other@one.example", 3)
        assert service.curl("/v2/approvals/" + ids["rejected"], "-d",
                            "decision=reject", token=other).status == 200
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db, db:
            db.execute("UPDATE recalls SET approval = 'expired', finished = 1 "
                       "WHERE id = ?", (ids["expired"],))
            db.execute("UPDATE recalls SET created = 1000 WHERE id = ?",
                       (ids["finished"],))
        assert service.curl("/v2/stop", "-d", "", token=token).status == 200
        ids["paused"] = recall(A)
        for state, recall_id in ids.items():
            row, = listed(service, state=state)
            assert (row["id"], row["state"]) == (recall_id, state)
        assert listed(service, state="running") == []
        for since, found in (1000, set(ids)), (1001, set(ids) - {"finished"}):
            assert {row["state"] for row in listed(service, since=since)} == \
                found
        # the page before
        assert listed(service, state="paused", before=ids["paused"]) == []
        service.curl("/v2/stop", "-X", "DELETE", token=token)


def test_filters_show_nothing_of_others(made):
    service, ids = made
    answer = service.curl("/v2/actions?dry_run=0", token=service.token(
        "x@one.example", 1, "one"))
    assert [row["id"] for row in answer.json()["actions"]] == [ids["admin"]]


@pytest.mark.parametrize("query", [
    "verdict=gone", "cmd=search", "dry_run=2", "force=", "notify=yes",
    "status=error", "reason=a&reason=b", "state=gone", "state=error",
    "since=0", "since=x", "since=-1"])
def test_bad_filters(made, query):
    answer = made[0].curl("/v2/actions?" + query, token=made[0].token())
    assert answer.status == 400


# a journal that can't be read


@contextlib.contextmanager
def without(service, table):
    """As if the disk did not give it back."""
    def run(statement):
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db", isolation_level=None)) as db:
            db.execute("PRAGMA legacy_alter_table = ON")
            db.execute(statement)

    run("ALTER TABLE %s RENAME TO away" % table)
    yield
    run("ALTER TABLE away RENAME TO " + table)


@pytest.mark.parametrize("table", ["recalls", "verdicts"])
def test_what_cannot_be_read_is_not_absent(node, table):
    with Service(node) as service:
        token = service.token()
        messageid = "<%s@unread>" % table
        node.lmtp_deliver([A], build_message(messageid))
        recall_id = service.recall(token, messageid, [A]).json()["id"]
        with without(service, table):
            for args in (("/v2/actions/" + recall_id,), ("/v2/actions",),
                         ("/v2/actions/expunge", "-d", "cmd=restore", "-d",
                          "id=" + recall_id, "-d", "emails=" + A)):
                answer = service.curl(*args, token=token)
                assert answer.status == 503, args
                assert answer.json() == {
                    "message": "The journal cannot be read or written"}
                assert answer.headers["retry-after"]
        assert not has(node, A, messageid)
        answer = service.curl("/v2/actions/" + recall_id, token=token)
        assert answer.json()["summary"] == {"expunged": 1}


def test_released_while_the_journal_cannot_be_read(node):
    """What was paused goes on once it can be, and waits for no restart."""
    with Service(node) as service:
        token = service.token()
        messageid = "<released@unread>"
        node.lmtp_deliver([A], build_message(messageid))
        assert service.curl("/v2/stop", "-X", "POST",
                            token=token).status == 200
        answer = service.recall(token, messageid, [A])
        assert answer.json()["state"] == "paused"
        with without(service, "verdicts"):
            assert service.curl("/v2/stop", "-X", "DELETE",
                                token=token).status == 200
            service.wait_log("recall %s: goes on later" % answer.json()["id"])
            assert has(node, A, messageid)
        done = service.wait_recall(token, answer.json()["id"])
        assert done["summary"] == {"expunged": 1}


def test_repeated_request_whose_first_cannot_be_read(node):
    """It must not be taken for a new one: 503, and nothing is done."""
    with Service(node) as service:
        token = service.token()
        messageid = "<key@unread>"
        args = messageid, [A], "-H", "Idempotency-Key: unread"
        first = service.recall(token, *args).json()
        node.lmtp_deliver([A], build_message(messageid))
        with without(service, "verdicts"):
            assert service.recall(token, *args).status == 503
        assert has(node, A, messageid)
        assert service.recall(token, *args).json()["id"] == first["id"]


def test_journal_has_names(node):
    with Service(node) as service:
        service.recall(service.token(), "<a@b>", [A, "no@x"])
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            assert [row[0] for row in db.execute(
                "SELECT status FROM verdicts ORDER BY pos")] == \
                ["not_found", "no_user"]
            assert db.execute("SELECT cmd FROM recalls").fetchall() == \
                [("expunge",)]


def test_backup_while_it_runs(node, tmp_path):
    """As docs/service.md has it, also of what is in the log only."""
    with Service(node) as service:
        token = service.token()
        done = service.recall(token, "<a@b>", [A]).json()
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as journal, \
                contextlib.closing(sqlite3.connect(
                    tmp_path / "journal.db")) as copy:
            journal.backup(copy)
        with Service(node, journal__path=tmp_path / "journal.db") as other:
            answer = other.curl("/v2/actions/" + done["id"], token=token)
            assert answer.json()["results"] == done["results"]
