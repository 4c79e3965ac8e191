"""mail-recalld and doveadm recall stop: what holds recalls up, and rights of
their own."""

import concurrent.futures
import contextlib
import sqlite3

import pytest

from mailnode import build_message, free_port
from servicenode import RecallNode, Service
from answers import check_described, has, statuses
from failpoints import IMPORT, first_halted, stopped, with_failpoints
from faults import Frozen, HeldFile, wait_for

U = ["u%d@red.example" % i for i in range(6)]
USER, ADMIN, ROOT = U[0], "adm@red.example", "root@example.com"
ROLES = {USER: 2, ADMIN: 1, ROOT: 3}
NAMES = {1: "admin", 2: "user", 3: "super"}
ASYNC = "-H", "Prefer: respond-async"


@pytest.fixture(scope="module")
def node():
    with RecallNode(users={user: {"tenant_id": "red"} for user in U}) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service
    stop(node, "--release")


def token(service, login):
    return service.token(login, ROLES[login],
                         "" if login == ROOT else "red")


number = 0


def deliver(node, users=U, sender=USER):
    global number
    number += 1
    messageid = "<%d.brakes@example.com>" % number
    node.lmtp_deliver(users, build_message(messageid, sender=sender))
    return messageid


def stop(node, *args):
    done = node.doveadm("-f", "flow", "recall", "stop", *args)
    return done.stdout.strip()


def still_has(node, messageid, users=U):
    return [has(node, user, messageid) for user in users]


# limits


@pytest.mark.parametrize("login", ROLES)
def test_users_a_recall(node, login):
    with Service(node, auth__revoke_email="yes",
                 **{"limits__users_" + NAMES[ROLES[login]]: 2}) as service:
        messageid = deliver(node)
        for other in ROLES:
            # a dry run may look at as many as it likes
            assert service.recall(token(service, other), messageid, U,
                                  dry_run=1).status == 200
        answer = service.recall(token(service, login), messageid, U[:3])
        assert answer.status == 400
        assert "more than the 2 addresses" in \
            answer.json()["message"]["EMAILS"]
        assert "|recall-refused|" in service.audit()[-1]
        assert still_has(node, messageid) == [True] * 6
        # as many different ones
        assert service.recall(token(service, login), messageid,
                              U[:2] + U[:1]).status == 200
        # others' roles have limits of their own
        other, = [name for name in (ADMIN, ROOT) if name != login][:1]
        assert service.recall(token(service, other), messageid,
                              U).status == 200


@pytest.mark.parametrize("login", ROLES)
def test_recalls_an_hour(node, login):
    with Service(node, auth__revoke_email="yes",
                 **{"limits__recalls_" + NAMES[ROLES[login]]: 2}) as service:
        messageid = deliver(node)
        mine = token(service, login)
        key = "-H", "Idempotency-Key: first"
        first = service.recall(mine, messageid, U[:1], *key)
        assert first.status == 200
        assert service.recall(mine, messageid, U[1:2], *ASYNC).status == 202
        answer = service.recall(mine, messageid, U[2:3])
        assert answer.status == 429
        assert 3590 < int(answer.headers["retry-after"]) <= 3600
        check_described("/v2/actions/expunge", "post", answer)
        # that of the background recall may come later
        assert any("cn1=429" in line for line in service.audit())
        assert has(node, U[2], messageid)
        # what is no new recall goes on: the same again, a look, an undoing
        assert service.recall(mine, messageid, U[:1], *key).json() == \
            first.json()
        assert service.recall(mine, messageid, U, dry_run=1).status == 200
        assert service.recall(mine, cmd="restore",
                              id=first.json()["id"]).status == 200
        # and so does somebody else of the role
        again = service.token("x@red.example", ROLES[login],
                              "" if login == ROOT else "red")
        if login != USER:
            assert service.recall(again, messageid, U[3:4]).status == 200
        with sqlite3.connect(service.dir / "journal.db") as db:
            db.execute("UPDATE recalls SET created = created - 1800 WHERE "
                       "key IS NOT NULL")
        answer = service.recall(mine, messageid, U[2:3])
        assert 1790 < int(answer.headers["retry-after"]) <= 1800
        with sqlite3.connect(service.dir / "journal.db") as db:
            db.execute("UPDATE recalls SET created = created - 1801 WHERE "
                       "key IS NOT NULL")
        assert service.recall(mine, messageid, U[2:3]).status == 200


def test_aliases_count_as_one(node):
    """Who logs in under another name does not begin at nothing."""
    person, alias, other, listed = [
        "%s@red.example" % name for name in
        ("person", "alias", "otheralias", "listed")]
    node.add_users({person: {"tenant_id": "red", "alias": listed}})
    node.add_users({name: {"user": person, "home": node.home(person),
                           "tenant_id": "red"} for name in (alias, other)})
    messageid = deliver(node)
    for names in ((person, alias), (alias, person), (alias, other),
                  (listed, person), (person, person.upper())):
        with Service(node, limits__recalls_admin=1) as service:
            first, second = [service.token(name, 1, "red") for name in names]
            assert service.recall(first, messageid, U[:1]).status == 200
            answer = service.recall(second, messageid, U[:1])
            assert answer.status == 429, (names, answer)
            # not so the same name of another tenant, or another person
            for login, tenant in (alias, "blue"), (U[0], "red"):
                mine = service.token(login, 1, tenant)
                assert service.recall(mine, messageid, U[:1]).status == 200


# the stop


def pull(service, login=ROOT, *args):
    answer = service.curl("/v2/stop", *(args or ("-d", "reason=wrong one")),
                          token=token(service, login))
    if answer.status == 200:
        check_described("/v2/stop", "post", answer)
    return answer


def release(service):
    answer = service.curl("/v2/stop", "-X", "DELETE",
                          token=token(service, ROOT))
    check_described("/v2/stop", "delete", answer)
    assert answer.json()["stopped"] is False
    return answer.json()


def shown(service, recall_id):
    answer = service.curl("/v2/actions/" + recall_id,
                          token=token(service, ROOT))
    check_described("/v2/actions/{id}", "get", answer)
    return answer.json()


@pytest.mark.parametrize("how", ["delete", "post"])
def test_stop_and_release(node, service, how):
    messageid = deliver(node)
    since = node.log_size()
    stopped = pull(service).json()
    assert (stopped["success"], stopped["stopped"], stopped["actor"],
            stopped["reason"]) == (True, True, ROOT, "wrong one")
    assert [n["stopped"] for n in stopped["nodes"]] == [True]
    # it stays what it was first
    again = pull(service, ROOT, "-d", "reason=again").json()
    assert (again["since"], again["reason"]) == (stopped["since"], "wrong one")
    # new recalls wait, however they are asked for
    first = service.recall(token(service, ADMIN), messageid, U[:3])
    assert (first.status, first.json()["state"]) == (202, "paused")
    second = service.recall(token(service, ADMIN), messageid, U[3:], *ASYNC)
    assert second.json()["state"] in ("paused", "running")
    # a look is none
    look = service.recall(token(service, ADMIN), messageid, U, dry_run=1)
    assert look.json()["summary"] == {"would_expunge": 6}
    # nor does the node do anything for others who ask it
    done = node.doveadm("recall", "expunge", "-u", U[5], messageid,
                        check=False)
    assert done.returncode == 75
    assert "Recalls are stopped by root@example.com: wrong one" in \
        done.stdout + done.stderr
    # through a restart
    service.stop()
    service.start()
    answer = service.curl("/v2/stop", token=token(service, ADMIN))
    check_described("/v2/stop", "get", answer)
    assert answer.json()["actor"] == ROOT
    for recall in first, second:
        # the log tells of it from before the restart, too
        recall_id = recall.json()["id"]
        wait_for(lambda: shown(service, recall_id)["state"] == "paused")
    listed = service.curl("/v2/actions?dry_run=0",
                          token=token(service, ROOT))
    check_described("/v2/actions", "get", listed)
    assert {row["state"] for row in listed.json()["actions"]} == {"paused"}
    assert still_has(node, messageid) == [True] * 6
    if how == "delete":
        released = release(service)
    else:
        released = pull(service, ROOT, "-d", "release=1").json()
    assert [n["stopped"] for n in released["nodes"]] == [False]
    for recall in first, second:
        done = service.wait_recall(token(service, ROOT), recall.json()["id"])
        assert done["summary"] == {"expunged": 3}
    assert still_has(node, messageid) == [False] * 6
    trail = [line for line in service.audit() if "|stop|" in line or
             "|release|" in line]
    assert len(trail) == 3 and all("suser=" + ROOT in line for line in trail)
    assert "reason=wrong one" in trail[0]
    node.settle_log()
    assert "recalls are stopped, actor=%s, reason=wrong one" % ROOT in \
        node.log(since)
    assert "recalls are released, actor=" + ROOT in node.log(since)


def test_stop_and_release_at_once():
    """Nodes are as the service is, whatever they hear last. Needs a build with
    failpoints."""
    with contextlib.ExitStack() as stack:
        with with_failpoints(RECALL_FAILPOINT="stop",
                             RECALL_FAILPOINT_STOP="1"):
            node = stack.enter_context(RecallNode(users=U[:1], extra=IMPORT))
        service = stack.enter_context(Service(node))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        stopped = pool.submit(pull, service)
        with first_halted(node) as others_go_on:
            released = pool.submit(release, service)
            others_go_on(released)
            assert released.result()["stopped"] is False
        others_go_on(stopped)
        assert stopped.result().json()["stopped"] is False
        assert not (node.standing_dir / "stop").exists()
        assert node.panics() == []


def test_released_twice_at_once():
    """Whose node is the first to be told does not matter: none is taken for one
    that somebody else has stopped. Needs a build with failpoints."""
    with contextlib.ExitStack() as stack:
        # each command stops in a process of its own
        with with_failpoints(RECALL_FAILPOINT="stop",
                             RECALL_FAILPOINT_STOP="1"):
            node = stack.enter_context(RecallNode(
                users=U[:1], extra=IMPORT, doveadm_requests=1))
        service = stack.enter_context(Service(node))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        pulled = pool.submit(pull, service)
        with first_halted(node):
            pass
        assert pulled.result().json()["stopped"] is True
        released = [pool.submit(release, service)]
        with first_halted(node) as others_go_on:
            released.append(pool.submit(release, service))
            others_go_on(released[1])
            assert released[1].result()["success"] is True
            assert not (node.standing_dir / "stop").exists()
        others_go_on(released[0])
        assert released[0].result()["success"] is True
        assert node.panics() == []


def test_stop_between_two_releases():
    """One that is made at a shell is not taken for the one before. Needs a build
    with failpoints."""
    with with_failpoints(), RecallNode(users=U[:1]) as node, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        args = "stop", "--release", "--stopped-by=ann", "--reason=first"
        node.doveadm("recall", "stop", "--actor=ann", "--reason=first")
        with stopped(node, "stop-read", *args):
            # it waits for the other one
            second = pool.submit(node.doveadm, "recall", *args)
            wait_for(lambda: second.done() or HeldFile(
                node.standing_dir / "lock").all_waiting())
            third = node.doveadm("-f", "tab", "recall", "stop", "--actor=bob",
                                 "--reason=mine")
        second.result()
        there = (node.standing_dir / "stop").exists()
        assert there == ("\nstopped" in third.stdout)
        node.doveadm("recall", "stop", "--release")
        assert node.panics() == []


def test_stop_while_it_runs(node, service):
    """What is under way ends; no further user is begun."""
    service.set(doveadm__batch=1, doveadm__connections_per_recall=1)
    service.reload()
    messageid = deliver(node)
    with Frozen(node):
        recall_id = service.recall(token(service, ADMIN), messageid, U,
                                   *ASYNC).json()["id"]
        # no doveadm answers now
        assert pull(service).json()["success"] is False
    service.wait_log("recall %s: paused" % recall_id)
    state = shown(service, recall_id)
    assert state["state"] == "paused"
    assert state["progress"]["done"] <= 1
    release(service)
    done = service.wait_recall(token(service, ROOT), recall_id)
    assert set(done["summary"]) <= {"expunged", "error"}


@pytest.mark.parametrize("by_service", [False, True])
@pytest.mark.parametrize("how", ["delete", "post"])
def test_release_leaves_the_stop_of_a_shell(node, service, how, by_service):
    """Somebody has made it for a reason: it ends if asked for."""
    path = node.standing_dir / "stop"
    assert "stopped" in stop(node, "--actor=soc", "--reason=look first")
    if by_service:
        assert pull(service).json()["success"] is True

    def release(all=None):
        args = ["-X", "DELETE"] if how == "delete" else ["-d", "release=1"]
        if how == "post" and all is not None:
            args += ["-d", "all=%s" % all]
        query = "?all=%s" % all if how == "delete" and all is not None else ""
        answer = service.curl("/v2/stop" + query, *args,
                              token=token(service, ROOT))
        check_described("/v2/stop", how, answer)
        return answer

    for all in None, 0:
        answer = release(all).json()
        assert (answer["success"], answer["stopped"]) == (False, False)
        assert answer["nodes"][0]["stopped"] is True
        assert "all=1" in answer["nodes"][0]["error"]
        assert path.exists()
    assert release("x").status == 400
    answer = release(1).json()
    assert (answer["success"], answer["stopped"]) == (True, False)
    assert answer["nodes"][0]["stopped"] is False and not path.exists()
    # without one, all is well
    assert release().json()["success"] is True
    assert service.curl("/v2/stop", "-d", "all=1",
                        token=token(service, ROOT)).status == 400


def test_node_stopped_at_the_shell(node, service):
    """The service goes on once the node is released, whoever does it."""
    messageid = deliver(node)
    assert "stopped" in stop(node, "--actor=soc", "--reason=look first")
    assert "already_stopped" in stop(node, "--actor=other")
    for users in (["-u", U[0]], ["--users=" + U[0], "--users=" + U[1]]):
        done = node.doveadm("recall", "expunge", *users, messageid,
                            check=False)
        assert done.returncode == 75
        assert "Recalls are stopped by soc: look first" in \
            done.stdout + done.stderr
    assert node.doveadm("recall", "expunge", "--dry-run", "-u", U[0],
                        messageid).returncode == 0
    answer = service.recall(token(service, ADMIN), messageid, U)
    assert (answer.status, answer.json()["state"]) == (202, "paused")
    assert still_has(node, messageid) == [True] * 6
    # some tries later still
    since_log = len(service.log())
    service.wait_log("recall %s: resumed" % answer.json()["id"], since_log)
    assert still_has(node, messageid) == [True] * 6
    assert "released" in stop(node, "--release", "--actor=soc")
    assert "not_stopped" in stop(node, "--release")
    done = service.wait_recall(token(service, ROOT), answer.json()["id"])
    assert done["summary"] == {"expunged": 6}


@pytest.mark.parametrize("method, login, status", [
    ("POST", USER, 403), ("POST", ADMIN, 403), ("POST", ROOT, 200),
    ("DELETE", USER, 403), ("DELETE", ADMIN, 403), ("DELETE", ROOT, 200),
    ("GET", USER, 403), ("GET", ADMIN, 200), ("GET", ROOT, 200)])
def test_who_stops(node, service, method, login, status):
    answer = service.curl("/v2/stop", "-X", method, token=token(service, login))
    assert answer.status == status
    state = service.curl("/v2/stop", token=token(service, ROOT)).json()
    assert state["stopped"] is (method == "POST" and status == 200)
    if status == 403:
        assert "-refused|" in service.audit()[-1]


def test_a_node_that_does_not_answer(node):
    """The service itself stops nevertheless, and says what is not known."""
    dead = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    with Service(node, text="[nodes]\ndead = %s dead.example\n" % dead,
                 doveadm__retries=0) as service:
        answer = pull(service).json()
        assert (answer["success"], answer["stopped"]) == (False, True)
        by_url = {n["url"]: n for n in answer["nodes"]}
        assert by_url[dead]["error"] and "stopped" not in by_url[dead]
        assert by_url[node.http_url]["stopped"] is True
        messageid = deliver(node)
        assert service.recall(token(service, ROOT), messageid,
                              U).json()["state"] == "paused"
        assert release(service)["success"] is False
        assert stop(node, "--release") == "status=not_stopped"


def doubts(service):
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db",
                                            isolation_level=None)) as db:
        # the next try, now
        db.execute("UPDATE doubts SET next = 0")
        return db.execute("SELECT count(*) FROM doubts").fetchone()[0]


@contextlib.contextmanager
def let_nobody_in(node, service):
    """The node can't be told anything."""
    service.set(doveadm__login="doveadm:wrong")
    service.reload()
    yield
    service.set(doveadm__login="doveadm:" + node.doveadm_password)
    service.reload()


@pytest.mark.log_errors("Invalid authentication attempt")
@pytest.mark.parametrize("actor, restart", [(ROOT, False), (ROOT, True),
                                            ("soc", False)])
def test_node_that_hears_late(node, actor, restart):
    """What was sent in vain to a node that did not answer may be done when it
    goes on, the stop last: it ends, but one that was made there does not."""
    path = node.standing_dir / "stop"
    with Service(node) as service:
        with let_nobody_in(node, service):
            assert pull(service).json()["success"] is False
            assert release(service)["success"] is False
            assert not path.exists()
            if restart:
                service.stop()
                service.start()
            # as the node would do it
            assert stop(node, "--actor=" + actor,
                        "--reason=wrong one") == "status=stopped"
        wait_for(lambda: doubts(service) == 0)
        assert path.exists() is (actor != ROOT)
    stop(node, "--release")


@pytest.mark.log_errors("Invalid authentication attempt")
def test_node_that_hears_late_of_the_stop(node):
    """It is stopped as soon as it answers, so that nobody recalls there."""
    path = node.standing_dir / "stop"
    with Service(node) as service:
        with let_nobody_in(node, service):
            assert pull(service).json()["success"] is False
            assert not path.exists()
        wait_for(path.exists)
        assert ROOT + "\twrong one" in path.read_text()
        release(service)
        assert not path.exists()
        wait_for(lambda: doubts(service) == 0)


def test_release_of_one_stop(node):
    stop(node, "--actor=soc", "--reason=look first")
    for args in (["--stopped-by=other", "--reason=look first"],
                 ["--stopped-by=soc", "--reason=other"], ["--stopped-by=soc"]):
        assert stop(node, "--release", *args) == "status=still_stopped"
    assert stop(node, "--release", "--stopped-by=soc",
                "--reason=look first") == "status=released"
    assert stop(node, "--release", "--stopped-by=soc",
                "--reason=look first") == "status=not_stopped"
    done = node.doveadm("recall", "stop", "--stopped-by=soc", check=False)
    assert done.returncode == 64
    assert stop(node, "--release") == "status=not_stopped"


@pytest.mark.log_errors("is not known")
def test_a_stop_that_cannot_be_read_stops(node):
    """Nothing is deleted where it is not known whether that may be."""
    messageid = deliver(node)
    stop(node)
    path = node.standing_dir / "stop"
    path.unlink()
    path.symlink_to("stop")
    try:
        done = node.doveadm("recall", "expunge", "-u", U[0], messageid,
                            check=False)
        assert done.returncode == 75
        assert "Whether recalls are stopped is not known" in \
            done.stdout + done.stderr
    finally:
        path.unlink()
    assert has(node, U[0], messageid)


# reasons


@pytest.mark.parametrize("login", ROLES)
def test_reason_required(node, login):
    # those who ask are no users of this node
    with Service(node, recall__require_reason="yes", approval__users=2,
                 approval__check_asker="no",
                 auth__revoke_email="yes") as service:
        messageid = deliver(node)
        mine = token(service, login)
        for params in {}, {"reason": ""}:
            answer = service.recall(mine, messageid, U[:1], **params)
            assert answer.status == 400
            assert answer.json()["message"] == {
                "REASON": "REASON is a required value"}
        assert has(node, U[0], messageid)
        assert service.recall(mine, messageid, U[:1],
                              dry_run=1).status == 200
        done = service.recall(mine, messageid, U[:1], reason="phishing")
        assert statuses(done) == {U[0]: "expunged"}
        undo = {"cmd": "restore", "id": done.json()["id"]}
        assert service.recall(mine, **undo).status == 400
        assert service.recall(mine, reason="mistake", **undo).status == 200
        waits = service.recall(mine, messageid, U[1:], reason="phishing")
        assert waits.json()["state"] == "pending_approval"
        decide = "/v2/approvals/" + waits.json()["id"]
        other = service.token("second@example.com")
        assert service.curl(decide, "-d", "decision=approve",
                            token=other).status == 400
        assert service.curl(decide, "-d", "decision=approve", "-d",
                            "reason=yes", token=other).status == 202


# rights


@pytest.mark.parametrize("login, roles, fields, status", [
    (login, roles, fields, 200 if fields == "hdr" or
     str(ROLES[login]) in roles.split() else 403)
    for login in ROLES for roles in ("3", "1 3", "2 3", "1 2 3")
    for fields in ("hdr", "body", "text", "hdr body.preview")])
def test_fetch_body(fetching, login, roles, fields, status):
    services, messageid = fetching
    service = services[roles]
    answer = service.curl(
        "/v2/actions/expunge", "-d", "cmd=fetch", "--data-urlencode",
        "messageid=" + messageid, "-d", "emails=" + USER,
        "-d", "fields=" + fields, token=token(service, login))
    assert answer.status == status, answer
    if status == 403:
        assert "|fetch-refused|" in service.audit()[-1]
        assert b"Message-ID" not in answer.body


@pytest.fixture(scope="module")
def fetching(node):
    messageid = deliver(node)
    with Service(node) as s1, Service(node, rights__fetch_body="1 3") as s2, \
            Service(node, rights__fetch_body="2 3") as s3, \
            Service(node, rights__fetch_body="1 2, 3") as s4:
        yield {"3": s1, "1 3": s2, "2 3": s3, "1 2 3": s4}, messageid


def test_all_header_fields_are_no_body(fetching):
    services, messageid = fetching
    answer = services["3"].curl(
        "/v2/actions/expunge", "-d", "cmd=fetch", "--data-urlencode",
        "messageid=" + messageid, "-d", "emails=" + USER, "-d",
        "fields=user guid flags hdr hdr.subject date.received date.saved "
        "date.sent size.physical size.virtual", token=token(services["3"],
                                                            ADMIN))
    assert answer.status == 200 and len(answer.json()["results"]) == 1


@pytest.mark.parametrize("roles", ["", "1", "4", "1 2", "3 x", "33", "0 3"])
def test_bad_roles(node, roles):
    for name in "fetch_body", "export":
        service = Service(node, **{"rights__" + name: roles})
        done = service.check_config()
        assert done.returncode == 78
        assert "rights." + name in done.stderr
