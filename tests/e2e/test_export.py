"""What was recalled, as evidence: doveadm recall export, and the service's."""

import contextlib
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import time
import zipfile

import pytest

from answers import check_described, has, statuses
from conftest import DRIVERS
from faults import wait_for
from failpoints import IMPORT, stopped, with_failpoints
from mailnode import build_message, free_port
from proxynodes import Front
from quarantine import (LOCATIONS, NAMESPACE, PREFIX, command, http, recall)
from servicenode import RecallNode, Service

RED = ["u%d@red.example" % i for i in range(4)]
BLUE = "u@blue.example"
ADMIN, BLUEADMIN, ROOT = "adm@red.example", "adm@blue.example", "root@x.example"
PEOPLE = {ADMIN: (1, "red"), BLUEADMIN: (1, "blue"), ROOT: (3, ""),
          RED[0]: (2, "red")}
LARGE = ("0123456789" * 7 + "\n") * 70000


@pytest.fixture(scope="module", params=DRIVERS)
def node(request):
    users = {user: {"tenant_id": "red"} for user in RED}
    users[BLUE] = {"tenant_id": "blue"}
    driver = request.param
    with RecallNode(users=users, driver=driver,
                    plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS[driver])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service


def token(service, login):
    role, tenant = PEOPLE[login]
    return service.token(login, role, tenant)


def crlf(text):
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def check_zip(data, expected):
    """expected: (user, mailbox) -> the message's octets."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        files = {m["file"] for m in manifest["messages"]}
        assert set(archive.namelist()) == files | {"manifest.json"}
        found = {}
        for m in manifest["messages"]:
            text = archive.read(m["file"])
            assert (len(text), hashlib.sha256(text).hexdigest()) == \
                (m["size"], m["sha256"])
            assert abs(m["received"] - time.time()) < 3600
            found[(m["email"], m["mailbox"])] = text
    assert {place: crlf(text) for place, text in expected.items()} == found
    return manifest


def put(node, users, message_id, mailbox="INBOX", **kwargs):
    message = build_message(message_id, **kwargs)
    for user in users:
        node.append(user, mailbox, message)
    return {(user, mailbox): message if isinstance(message, bytes)
            else message.encode() for user in users}


def forget_cached(node, user):
    """What Dovecot has noted of a date has 32 bits."""
    for path in node.home(user).rglob("dovecot.index.cache"):
        path.unlink()


def test_received_at_no_date(node, service, message_id, tmp_path):
    """What a file says of that may be anything."""
    if node.driver != "sdbox":
        pytest.skip("others have it elsewhere")
    user = RED[3]
    put(node, [user], message_id)
    for path in node.home(user).rglob("u.*"):
        text = path.read_bytes()
        path.write_bytes(re.sub(b"\nR[0-9a-f]{8}\n",
                                b"\nR7fffffffffffffff\n", text))
    forget_cached(node, user)
    found = command(node, "fetch", "-u", user, "date.received", message_id)
    assert (found.code, found.row()["date.received"]) == (0, "")
    recall_id = service.recall(token(service, ROOT), message_id,
                               [user]).json()["id"]
    path = tmp_path / "evidence.zip"
    forget_cached(node, user)
    assert command(node, "export", "-u", user, "--output", path,
                   recall_id).code == 0
    forget_cached(node, user)
    for data in path.read_bytes(), export(service, ROOT, recall_id).body:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            message, = json.loads(archive.read("manifest.json"))["messages"]
        assert (message["email"], message["received"]) == (user, 0)


def export(service, login, recall_id):
    return service.curl("/v2/actions/%s/export" % recall_id,
                        token=token(service, login))


def test_over_http(node, service, message_id):
    expected = put(node, RED, message_id, subject="\u0431\u0443\u0445 \"x\\")
    expected.update(put(node, RED[:1], message_id, "Work"))
    done = service.recall(token(service, ADMIN), message_id,
                          RED + ["no@red.example", BLUE],
                          reason='a "reason" \\ \u0436').json()
    answer = export(service, ROOT, done["id"])
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == \
        'attachment; filename="recall-%s.zip"' % done["id"]
    assert answer.headers["cache-control"] == "no-store"
    manifest = check_zip(answer.body, expected)
    assert (manifest["id"], manifest["messageid"], manifest["actor"],
            manifest["exported_by"], manifest["reason"]) == \
        (done["id"], message_id, ADMIN, ROOT, 'a "reason" \\ \u0436')
    assert {u["email"]: (u["status"], u["copies"])
            for u in manifest["users"]} == {
        RED[0]: ("expunged", 2), **{u: ("expunged", 1) for u in RED[1:]},
        "no@red.example": ("no_user", 0), BLUE: ("forbidden", 0)}
    assert manifest["created"] <= manifest["exported"]
    event = service.audit()[-1]
    assert "|export|" in event and "suser=" + ROOT in event and \
        "cs6=" + done["id"] in event and "flexNumber2=5" in event
    # nothing is taken away by it
    again = export(service, ROOT, done["id"])
    check_zip(again.body, expected)
    service.recall(token(service, ROOT), cmd="restore", id=done["id"])
    manifest = check_zip(export(service, ROOT, done["id"]).body, {})
    assert manifest["messages"] == []


def test_who_had_read_it(node, service, message_id, tmp_path):
    """With force a verdict does not say that."""
    put(node, RED, message_id)
    for user, flag in zip(RED[1:], ["\\Seen", "\\Answered", "$Forwarded"]):
        node.set_flags(user, "INBOX", [flag])
    recall_id = service.recall(token(service, ROOT), message_id, RED, force=1,
                               notify=0).json()["id"]
    path = tmp_path / "evidence.zip"
    result = command(node, "export", "-A", "--output", path, recall_id)
    expected = dict(zip(RED, [False, True, True, True]))
    assert {r["username"]: r["seen"] == "yes" for r in result.rows} == expected
    for octets in path.read_bytes(), export(service, ROOT, recall_id).body:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert {m["email"]: m["seen"] for m in manifest["messages"]} == expected
    assert manifest["force"] is True and "dry_run" not in manifest


def late_of(manifest):
    """Late copies of each user who had any; a user is there once."""
    users = [u["email"] for u in manifest["users"]]
    assert len(users) == len(set(users))
    return {u["email"]: u["late"] for u in manifest["users"] if "late" in u}


@pytest.mark.parametrize("who", [ROOT, ADMIN])
@pytest.mark.parametrize("all_of_them", [False, True])
def test_what_came_late(node, service, message_id, who, all_of_them):
    """It is evidence as any other, and put back as any other, whoever had
    nothing when the recall was made."""
    users = {"all": 1} if all_of_them else {"emails": json.dumps(RED)}
    had = put(node, RED[:1], message_id)
    recall_id = service.recall(token(service, who), message_id, stand="1h",
                               **users).json()["id"]
    service.wait_recall(token(service, ROOT), recall_id)
    came = put(node, RED[1:3], message_id)
    node.append(RED[1], "INBOX", came[RED[1], "INBOX"])
    assert [has(node, user, message_id) for user in RED] == [False] * 4
    answer = export(service, ROOT, recall_id)
    assert late_of(check_zip(answer.body, {**had, **came})) == \
        {RED[1]: 2, RED[2]: 1}
    line = service.audit()[-1]
    assert "|export|" in line and "fileHash=" + \
        hashlib.sha256(answer.body).hexdigest() in line.split()

    def told():
        answer = service.curl("/v2/actions/" + recall_id,
                              token=token(service, who))
        check_described("/v2/actions/{id}", "get", answer)
        return answer.json().get("late_users") == [
            {"email": RED[1], "copies": 2}, {"email": RED[2], "copies": 1}]
    wait_for(told)
    # of which the node tells still
    assert late_of(check_zip(export(service, ROOT, recall_id).body,
                             {**had, **came})) == {RED[1]: 2, RED[2]: 1}

    # one of them, then all
    answer = service.recall(token(service, who), cmd="restore", id=recall_id,
                            emails=json.dumps(RED[2:3]))
    assert statuses(answer) == {RED[2]: "restored"}
    key = "-H", "Idempotency-Key: %s-%s-%s" % (recall_id, who, all_of_them)
    answer = service.recall(token(service, who), None, None, *key,
                            cmd="restore", id=recall_id)
    found = {r["email"]: (r["status"], r["copies"])
             for r in answer.json()["results"]}
    assert {user: row for user, row in found.items() if row[1] > 0} == \
        {RED[0]: ("restored", 1), RED[1]: ("restored", 2)}
    again = service.recall(token(service, who), None, None, *key,
                           cmd="restore", id=recall_id)
    assert (again.status, again.json()["id"]) == (200, answer.json()["id"])
    assert [has(node, user, message_id) for user in RED] == \
        [True, True, True, False]


def test_late_that_the_journal_does_not_tell(node, message_id):
    """Neither half of the evidence, nor half of a restore."""
    with Service(node) as service:
        put(node, RED[:1], message_id)
        recall_id = service.recall(token(service, ROOT), message_id, RED[:1],
                                   stand="1h").json()["id"]
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            db.execute("ALTER TABLE late RENAME COLUMN username TO gone")
            assert export(service, ROOT, recall_id).status == 503
            assert service.recall(token(service, ROOT), cmd="restore",
                                  id=recall_id).status == 503
            assert not has(node, RED[0], message_id)
            db.execute("ALTER TABLE late RENAME COLUMN gone TO username")
        assert export(service, ROOT, recall_id).status == 200
        answer = service.recall(token(service, ROOT), cmd="restore",
                                id=recall_id)
        assert statuses(answer) == {RED[0]: "restored"}


def test_late_of_a_node_that_does_not_answer(node, message_id):
    """It may have more than it has told of."""
    nowhere = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    with Service(node, doveadm__retries=0) as service:
        put(node, RED[1:2], message_id)
        # one that does not stand
        other_id = service.recall(token(service, ROOT), message_id,
                                  RED[1:2]).json()["id"]
        answer = service.recall(token(service, ROOT), message_id, RED[:1],
                                stand="1h")
        recall_id = answer.json()["id"]
        put(node, RED[:1], message_id)
        service.set(doveadm__url=node.http_url + " " + nowhere)
        assert service.reload() == "reloaded"
        assert export(service, ROOT, recall_id).status == 502
        assert export(service, ROOT, other_id).status == 200
        # unless it does, since the settings say so
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db, db:
            db.execute("INSERT INTO late (recall, username, date, line, "
                       "copies, mailboxes, seen) VALUES (?, ?, "
                       "'2026-01-01T00:00:00Z', '1', 1, 'INBOX', 1)",
                       (other_id, RED[1]))
        assert export(service, ROOT, other_id).status == 502
        # whom it is known of has it back
        answer = service.recall(token(service, ROOT), cmd="restore",
                                id=recall_id)
        assert statuses(answer) == {RED[0]: "restored"}


MADE_UP = ["", "*", "?@red.example", "x@", "a b@red.example", " a@red.example",
           "é@red.example", "a\x02@red.example", "x" * 3000 + "@red.example",
           "../../etc@red.example", "a,b@red.example", BLUE]


@pytest.mark.parametrize("who", [ROOT, ADMIN])
def test_late_of_names_that_are_made_up(node, service, message_id, who):
    """Any system user may write them down: nobody else gets anything by it, and
    nobody is kept from what is due."""
    put(node, [RED[0], BLUE], message_id)
    recall_id = service.recall(token(service, who), message_id, RED[:1],
                               stand="1h").json()["id"]
    path = node.standing_dir / "late" / (recall_id + ".1")
    path.write_text("".join("%d\t%s\t1\tINBOX\n" % (time.time(), name)
                            for name in MADE_UP))
    os.chown(path, 1, 1)
    data = export(service, ROOT, recall_id).body
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert [m["email"] for m in manifest["messages"]] == RED[:1]
    found = statuses(service.recall(token(service, who), cmd="restore",
                                    id=recall_id))
    assert found.pop(RED[0]) == "restored"
    assert found.pop(BLUE) == ("not_found" if who == ROOT else "forbidden")
    assert set(found.values()) == {"no_user"}
    assert len(found) == len(MADE_UP) - 2 and "" not in found


def test_large_messages_go_through_in_parts(node, service, message_id):
    """As many octets as several rows have, and none that is held twice."""
    expected = put(node, RED[:1], message_id, body=LARGE)
    size = len(next(iter(expected.values())))
    assert size > 4 * 1024 * 1024
    done = service.recall(token(service, ROOT), message_id, RED[:1]).json()
    check_zip(export(service, ROOT, done["id"]).body, expected)


def test_at_the_shell(node, message_id, recall_id, tmp_path):
    expected = put(node, RED[:2], message_id)
    for user in RED[:2]:
        recall(node, user, message_id, recall_id, "--no-notify",
               "--actor=soc", "--reason=case 7")
    path = tmp_path / "evidence.zip"
    since = node.log_size()
    result = command(node, "export", "-u", "*@red.example", "--output",
                     str(path), "--actor=auditor", recall_id)
    assert result.code == 0, result
    manifest = check_zip(path.read_bytes(), expected)
    assert (manifest["id"], manifest["exported_by"]) == (recall_id, "auditor")
    assert [(u["email"], u["status"], u["actor"], u["reason"],
             u["messageid"]) for u in sorted(manifest["users"],
                                             key=lambda u: u["email"])] == \
        [(user, "expunged", "soc", "case 7", message_id.strip("<>"))
         for user in RED[:2]]
    assert {r["username"]: r["sha256"] for r in result.rows} == \
        {m["email"]: m["sha256"] for m in manifest["messages"]}
    assert path.stat().st_mode & 0o777 == 0o600
    # one that is there is not written over
    before = path.read_bytes()
    result = command(node, "export", "-u", RED[0], "--output", str(path),
                     recall_id)
    assert result.code != 0 and path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    # without a file the rows tell
    result = command(node, "export", "-u", RED[0], recall_id)
    assert result.row()["sha256"] == hashlib.sha256(
        crlf(expected[RED[0], "INBOX"])).hexdigest()
    http(node, "recallExport", users=[RED[0]], recallId=recall_id,
         actor="auditor")
    node.settle_log()
    assert "recall %s: exported, actor=auditor" % recall_id in node.log(since)


def test_two_names_of_a_user(node, service, message_id, recall_id, tmp_path):
    """Nobody is to take one message for two; both names are told of."""
    name, other = RED[2], "other.name@red.example"
    node.add_users({other: {"user": name, "home": node.home(name),
                            "tenant_id": "red"}})
    put(node, [name], message_id)
    recall(node, name, message_id, recall_id, "--no-notify", "--actor=soc")
    path = tmp_path / "evidence.zip"
    result = command(node, "export", "--users=" + other, "--users=" + name,
                     "--output", str(path), recall_id)
    assert result.code == 0, result
    assert [row["username"] for row in result.rows] == [other]
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert len(archive.namelist()) == 2
    assert [message["email"] for message in manifest["messages"]] == [other]
    assert [(user["email"], user["actor"], user["copies"])
            for user in manifest["users"]] == \
        [(other, "soc", 1), (name, "soc", 1)]
    # over HTTP, too
    put(node, [name], message_id)
    done = service.recall(token(service, ROOT), message_id,
                          [other, name]).json()
    assert len(done["results"]) == 2
    data = export(service, ROOT, done["id"]).body
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert len(manifest["messages"]) == 1 and len(manifest["users"]) == 2


def test_what_was_not_whole_is_not_there(node, message_id, recall_id,
                                         tmp_path):
    put(node, RED[:1], message_id)
    recall(node, RED[0], message_id, recall_id, "--no-notify")
    path = tmp_path / "evidence.zip"
    result = command(node, "export", "--users=" + RED[0],
                     "--users=nobody@red.example", "--output", str(path),
                     recall_id)
    assert result.code != 0 and "was not written" in result.stderr
    assert list(tmp_path.iterdir()) == []
    result = command(node, "export", "-u", RED[0], "--output",
                     str(tmp_path / "no" / "x.zip"), recall_id)
    assert result.code == 73
    # a slip in the id is no evidence of nothing
    result = command(node, "export", "-u", "*@red.example", "--output",
                     str(path), recall_id[::-1])
    assert result.code == 73 and "None of these users" in result.stderr
    assert list(tmp_path.iterdir()) == []


def other_release(path):
    """Compiles a module that says it is of another."""
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", path, "-"],
                   check=True, text=True,
                   input='const char *recall_evidence_version = "0";\n')


@pytest.mark.one_format("which file is loaded has nothing to do with mail")
@pytest.mark.parametrize("put_there, error", [
    (None, "'recall_evidence' not found"),
    (lambda path: path.write_bytes(b"no module"), "dlopen() failed"),
    (other_release, "different ABI version")],
    ids=["missing", "broken", "other"])
def test_without_what_writes_it(node, message_id, recall_id, tmp_path,
                                put_there, error):
    """Only the command that needs it fails, before it has done anything."""
    put(node, RED[:1], message_id)
    recall(node, RED[0], message_id, recall_id, "--no-notify")
    path = tmp_path / "evidence.zip"
    module = node.modules / "librecall_evidence.so"
    kept = module.rename(node.dir / module.name)
    try:
        if put_there:
            put_there(module)
        result = command(node, "export", "-u", RED[0], "--output", path,
                         recall_id)
        assert (result.code, result.rows) == (73, [])
        assert "%s can't be written: " % path in result.stderr
        assert error in result.stderr
        assert list(tmp_path.iterdir()) == []
        for args in ("export", "-u", RED[0], recall_id), ("list", "-u", RED[0]):
            result = command(node, *args)
            assert (result.code, result.stderr) == (0, "")
            assert RED[0] in [row["username"] for row in result.rows]
    finally:
        kept.replace(module)
    assert command(node, "export", "-u", RED[0], "--output", path,
                   recall_id).code == 0
    assert path.exists()


@pytest.mark.log_errors("recall export: ")
@pytest.mark.parametrize("params, code", [
    ({}, 64), ({"recallId": "x"}, 64), ({"message": "x 1"}, 64),
    ({"message": "0" * 32}, 64), ({"message": "0" * 32 + " 0"}, 64),
    ({"output": "/tmp/never-written.zip"}, 64),
    ({"message": "0" * 32 + " 1", "length": "4194305"}, 64),
    ({"message": "0" * 32 + " 1", "length": "0"}, 64)])
def test_bad_parameters(node, params, code):
    params = {"recallId": "0" * 32, **params} if params else params
    result = http(node, "recallExport", users=[RED[0]], **params)
    assert result.code == code


def test_tenant(node, message_id, recall_id):
    put(node, [BLUE], message_id)
    recall(node, BLUE, message_id, recall_id, "--no-notify")
    result = http(node, "recallExport", users=[BLUE], tenant="red",
                  recallId=recall_id)
    assert result.row()["error"] == "The user is of another tenant"
    assert result.row()["size"] == "" or result.row()["size"] is None


# who may


@pytest.fixture(scope="module")
def wide(node):
    with Service(node, rights__export="1 2 3",
                 auth__revoke_email="yes") as service:
        yield service


@pytest.mark.parametrize("rights, login, asker, status", [
    # by default only the super administrator
    ("3", ROOT, ADMIN, 200), ("3", ADMIN, ADMIN, 403),
    ("3", RED[0], RED[0], 403),
    ("1 2 3", ADMIN, ADMIN, 200), ("1 2 3", RED[0], RED[0], 200),
    # the right is no way to what one may not see
    ("1 2 3", BLUEADMIN, ADMIN, 404), ("1 2 3", ADMIN, ROOT, 404),
    ("1 2 3", RED[0], ADMIN, 404)])
def test_who_exports(node, service, wide, message_id, rights, login, asker,
                     status):
    used = service if rights == "3" else wide
    expected = put(node, RED[1:2], message_id, sender=RED[0])
    done = used.recall(token(used, asker), message_id, RED[1:2]).json()
    answer = export(used, login, done["id"])
    assert answer.status == status, answer
    if status == 200:
        check_zip(answer.body, expected)
    else:
        check_described("/v2/actions/{id}/export", "get", answer)
        event = used.audit()[-1]
        assert "|export-refused|" in event and "cs6=" + done["id"] in event


def test_what_is_no_recall(node, service, message_id):
    put(node, RED[:1], message_id)
    done = service.recall(token(service, ROOT), message_id, RED[:1]).json()
    undone = service.recall(token(service, ROOT), cmd="restore",
                            id=done["id"]).json()
    for name in undone["id"], "0" * 32, "x":
        assert export(service, ROOT, name).status == 404
    assert service.curl("/v2/actions/%s/export" % done["id"]).status == 401


def test_a_node_that_does_not_answer(node, message_id):
    """No half of the evidence passes for the whole."""
    dead = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    put(node, RED[:1], message_id)
    with Service(node, doveadm__retries=0) as service:
        done = service.recall(token(service, ROOT), message_id,
                              RED[:1]).json()
        service.set(doveadm__url=dead)
        service.reload()
        answer = export(service, ROOT, done["id"])
        assert answer.status == 502
        assert "|export-refused|" in service.audit()[-1]


def test_spool_leaves_nothing(node, service, message_id):
    put(node, RED[:1], message_id)
    done = service.recall(token(service, ROOT), message_id, RED[:1]).json()
    before = set(service.dir.iterdir())
    assert export(service, ROOT, done["id"]).status == 200
    assert set(service.dir.iterdir()) == before


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("beside, code", [("restore", 0), ("purge", 73)])
def test_beside_others(tmp_path, driver, beside, code, message_id, recall_id):
    """It has what is there when nobody is at it. Needs a build with
    failpoints."""
    path = tmp_path / "case.zip"
    with with_failpoints(), RecallNode(
            users=RED[:1], driver=driver, plugin={
                "recall_quarantine": PREFIX, "recall_quarantine_days": 0},
            extra=NAMESPACE % (PREFIX, LOCATIONS[driver]) + IMPORT) as node:
        for mailbox in "INBOX", "Beta":
            node.append(RED[0], mailbox, build_message(message_id))
        recall(node, RED[0], message_id, recall_id, "--no-notify")
        with stopped(node, "export-recorded", "export", "-u", RED[0],
                     "--output", str(path), recall_id, code=code):
            assert command(node, beside, "-u", RED[0], recall_id).code == 0
        assert path.exists() == (code == 0)
        if code == 0:
            manifest = check_zip(path.read_bytes(), {})
            assert [user["status"] for user in manifest["users"]] == [
                "restored"]
        assert node.panics() == []


def check_two_names(service, message_id, names):
    done = service.recall(token(service, ROOT), message_id, names).json()
    assert [row["status"] for row in done["results"]].count("expunged") > 0
    assert len(done["results"]) == 2
    data = export(service, ROOT, done["id"]).body
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert len(archive.namelist()) == 2
    assert len(manifest["messages"]) == 1 and len(manifest["users"]) == 2


def test_two_names_in_different_batches(node, message_id):
    """Asked about one after the other nobody knows but who asks."""
    name, other = RED[2], "batch.name@red.example"
    node.add_users({other: {"user": name, "home": node.home(name),
                            "tenant_id": "red"}})
    put(node, [name], message_id)
    with Service(node, doveadm__batch=1) as service:
        check_two_names(service, message_id, [other, name])


def test_two_names_behind_a_proxy(message_id):
    """The node that has the mail knows of one name."""
    name, other = "user1.one@example.com", "alias1.one@example.com"
    port = free_port()
    listen = "service doveadm {\n  inet_listener tcp {\n    port = %d\n" \
        "  }\n}\n" % port
    driver = DRIVERS[-1]
    with RecallNode(users=[name], driver=driver,
                    plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS[driver]) + listen) \
            as back, \
            Front({"one": port}, driver=driver, users=[name, other],
                  mail_plugins=["recall"], extra="doveadm_port = 1\n") \
            as front, Service(front) as service:
        put(back, [name], message_id)
        check_two_names(service, message_id, [other, name])
        assert back.panics() == front.panics() == []


@pytest.mark.parametrize("asked_for", ["name", "alias"])
def test_late_of_one_who_has_two_names(node, service, message_id, asked_for):
    """It is one user, in the evidence as well."""
    alias = "alias@red.example"
    node.add_users({alias: {"user": RED[3], "home": node.home(RED[3]),
                            "tenant_id": "red"}})
    name = alias if asked_for == "alias" else RED[3]
    recall_id = service.recall(token(service, ROOT), message_id, [name],
                               stand="1h").json()["id"]
    came = put(node, RED[3:], message_id)
    assert not has(node, RED[3], message_id)
    manifest = check_zip(export(service, ROOT, recall_id).body,
                         {(name, "INBOX"): came[(RED[3], "INBOX")]})
    assert late_of(manifest) == {name: 1}
    assert len(manifest["users"]) == len(manifest["messages"]) == 1
