"""A recall, a restore and a search of everyone over HTTP: cmd=... all=1."""

import json
import os
import sqlite3
import time

import pytest

from answers import ask, has, message, pages
from faults import Held, wait_for
from mailnode import build_message, free_port
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import ProxyNode, RecallNode, Service

RED = {"red%02d@red.example" % number: {"tenant_id": "red"}
       for number in range(24)}
BLUE = {"blue%02d@blue.example" % number: {"tenant_id": "blue"}
        for number in range(6)}
# both nodes know all users, as with one userdb for all
USERS = {**RED, **BLUE}
HITS = ["red00@red.example", "red12@red.example", "red23@red.example",
        "blue02@blue.example"]


def make_node(**options):
    return RecallNode(
        users=USERS, plugin={"recall_quarantine": PREFIX},
        extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]), **options)


@pytest.fixture(scope="module")
def red():
    with make_node() as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def blue():
    with make_node() as node:
        yield node
        assert node.panics() == []


def make_service(red, blue, **settings):
    return Service(red, text="[nodes]\nb = %s blue.example\n" % blue.http_url,
                   doveadm__retries=0, **settings)


@pytest.fixture
def service(red, blue):
    with make_service(red, blue) as service:
        yield service


def node_of(user, red, blue):
    return red if user in RED else blue


def deliver(red, blue, message_id, users=None):
    for user in users or HITS:
        node_of(user, red, blue).lmtp_deliver([user],
                                              build_message(message_id))


def start(service, token, **params):
    answer = ask(service, token, all=1, **params)
    assert answer.status == 202, answer
    return answer.json()["id"]


def recall(service, message_id, token=None, **params):
    token = token or service.token()
    if message_id is not None:
        params["messageid"] = message_id
    return service.wait_recall(token, start(service, token, notify=0,
                                            **params))


def found(answer):
    return {row["email"]: row["status"] for row in answer["results"]}


def nodes(answer):
    return {node["name"]: node for node in answer["nodes"]}


def name(node):
    return "127.0.0.1:%d" % node.http_port


def journalled(service, recall_id):
    with sqlite3.connect(service.dir / "journal.db") as db:
        return db.execute("SELECT email, status FROM verdicts WHERE "
                          "recall = ?", (recall_id,)).fetchall()


def test_everyone(red, blue, service, message_id):
    deliver(red, blue, message_id)
    answer = recall(service, message_id)
    assert found(answer) == {user: "expunged" for user in HITS}
    assert answer["success"] is True and answer["all"] is True
    assert answer["summary"] == {"expunged": len(HITS)}
    assert answer["progress"] == {"done": len(USERS), "total": len(USERS),
                                  "hits": len(HITS), "failures": 0}
    states = nodes(answer)
    assert {key: (node["state"], node["looked"])
            for key, node in states.items()} == {
        name(red): ("done", len(RED)), name(blue): ("done", len(BLUE))}
    assert not any("down_since" in node for node in states.values())
    # no row of who had nothing to lose
    assert sorted(journalled(service, answer["id"])) == sorted(
        (user, "expunged") for user in HITS)
    assert "=*," in service.audit()[-1] and HITS[0] in service.audit()[-1]

    listed = service.curl("/v2/actions?limit=1",
                          token=service.token()).json()["actions"][0]
    assert (listed["all"], listed["done"], listed["total"]) == \
        (True, len(USERS), len(USERS))


def test_dry_run_by_query(red, blue, service, message_id):
    deliver(red, blue, message_id, HITS[2:])
    answer = recall(service, None, query=["HEADER", "Message-ID", message_id],
                    dry_run=1)
    assert found(answer) == {user: "would_expunge" for user in HITS[2:]}


def test_restore(red, blue, service, message_id):
    deliver(red, blue, message_id)
    recalled = recall(service, message_id)
    token = service.token()
    answer = service.wait_recall(token, start(
        service, token, cmd="restore", id=recalled["id"]))
    assert found(answer) == {user: "restored" for user in HITS}
    assert answer["progress"]["done"] == len(USERS)


def test_tenant(red, blue, service, message_id):
    deliver(red, blue, message_id)
    admin = service.token("admin@blue.example", role=1, tenant="blue")
    answer = recall(service, message_id, admin)
    assert found(answer) == {HITS[3]: "expunged"}
    found_now = ask(service, admin, cmd="search", messageid=message_id,
                    all=1).json()
    assert (found_now["results"], found_now["errors"]) == ([], [])
    admin = service.token("admin@red.example", role=1, tenant="red")
    rows = ask(service, admin, cmd="search", messageid=message_id,
               all=1).json()
    assert [row["email"] for row in rows["results"]] == HITS[:3]
    assert (rows["errors"], rows["more"]) == ([], False)


@pytest.mark.parametrize("params", [
    {"messageid": "<x@y>"}, {"cmd": "restore", "id": "0" * 32},
    {"cmd": "search", "messageid": "<x@y>"}])
def test_users_may_not(service, params):
    token = service.token(HITS[0], role=2, tenant="red")
    assert ask(service, token, all=1, **params).status == 403


@pytest.mark.parametrize("params, named", [
    ({"all": 1, "emails": HITS}, "ALL"), ({"all": 0}, "EMAILS"),
    ({"all": "yes", }, "ALL"), ({"all": 1, "stand": "1"}, "STAND"),
    ({"all": 1, "messageid": None, "query": ["SUBJECT", "x"],
      "yes_count": 1}, "ALL")])
def test_refused(service, params, named):
    params = {key: value for key, value in
              {"messageid": "<x@y>", **params}.items() if value is not None}
    answer = ask(service, service.token(), **params)
    assert (answer.status, list(message(answer))) == (400, [named])
    assert service.curl("/v2/actions", token=service.token()).json()[
        "actions"] == []


def test_same_request(red, blue, service, message_id):
    deliver(red, blue, message_id, HITS[:1])
    token = service.token()
    body = {"messageid": message_id, "all": True, "notify": False}
    ids = {service.curl(
        "/v2/actions/expunge", "-H", "Idempotency-Key: everyone", "-H",
        "Content-Type: application/json", "-d", json.dumps(body),
        token=token).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    assert found(service.wait_recall(token, ids.pop())) == {
        HITS[0]: "expunged"}


def stop(node, *args):
    node.doveadm("recall", "stop", "--actor=soc", *args)


def state(service, token, recall_id):
    return service.curl("/v2/actions/" + recall_id, token=token).json()


def test_node_that_is_stopped_meanwhile(red, blue, service, message_id):
    """What it has said of others before stands, and nobody is left out."""
    deliver(red, blue, message_id)
    token = service.token()
    with Held(red, HITS[1]) as held:
        recall_id = start(service, token, messageid=message_id, notify=0)
        wait_for(held.waiting)
        stop(red)
    try:
        wait_for(lambda: nodes(state(service, token, recall_id))[
            name(red)]["state"] == "down")
        assert (HITS[0], "expunged") in journalled(service, recall_id)
        assert has(red, HITS[2], message_id)
    finally:
        stop(red, "--release")
    assert found(service.wait_recall(token, recall_id)) == {
        user: "expunged" for user in HITS}


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_error_that_is_tried_again_where_recalls_are_stopped(
        red, blue, service, message_id):
    deliver(red, blue, message_id)
    token = service.token()
    args = ["/v2/actions/expunge", "-H", "Idempotency-Key: " + message_id,
            "-d", "all=1", "-d", "notify=0", "--data-urlencode",
            "messageid=" + message_id]
    path, = red.home(HITS[0]).rglob("mailboxes/INBOX")
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        recall_id = service.curl(*args, token=token).json()["id"]
        assert found(service.wait_recall(token, recall_id)) == {
            **{user: "expunged" for user in HITS}, HITS[0]: "error"}
    finally:
        path.chmod(mode)
    stop(red)
    try:
        since = red.log_size()
        assert service.curl(*args, token=token).json()["id"] == recall_id
        # it is asked once more, and then again
        wait_for(lambda: len([each for each in red.executed(since)
                              if each == "recall expunge"]) >= 2)
        assert state(service, token, recall_id)["state"] == "running"
    finally:
        stop(red, "--release")
    assert found(service.wait_recall(token, recall_id)) == {
        user: "expunged" for user in HITS}


@pytest.mark.log_errors("")
def test_node_that_is_down(red, message_id):
    with make_node() as blue, make_service(red, blue) as service:
        deliver(red, blue, message_id)
        begun = int(time.time())
        blue.stop(remove=False)
        token = service.token()
        recall_id = start(service, token, messageid=message_id, notify=0)

        def state():
            return service.curl("/v2/actions/" + recall_id,
                                token=token).json()

        answer = wait_for(lambda: (
            lambda now: now if "message" in now and
            now["progress"]["done"] == len(RED) else None)(state()))
        assert answer["state"] == "running"
        assert found(answer) == {user: "expunged" for user in HITS[:3]}
        node = nodes(answer)[name(blue)]
        assert node["state"] == "down"
        assert begun <= node["down_since"] <= time.time()
        assert answer["message"] == "incomplete: node %s, since %s" % (
            name(blue), time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                      time.gmtime(node["down_since"])))
        # that it is down is not forgotten either
        service.kill()
        service.start()
        assert nodes(state())[name(blue)]["down_since"] == node["down_since"]

        assert blue._launch()
        answer = service.wait_recall(token, recall_id)
        assert found(answer) == {user: "expunged" for user in HITS}
        assert answer["success"] is True and "message" not in answer
        assert {node["state"] for node in answer["nodes"]} == {"done"}
        assert answer["progress"]["done"] == len(USERS)


def wait_down(service, recall_id, count):
    """Until nothing is left but so many nodes that do not answer."""
    def are_down():
        answer = service.curl("/v2/actions/" + recall_id,
                              token=service.token()).json()
        states = [node["state"] for node in answer["nodes"]]
        return states.count("down") == count and "running" not in states
    wait_for(are_down)


def test_node_that_is_gone_for_good(red, message_id):
    """It is taken out of the settings, which a reload has take effect."""
    gone = "http://127.0.0.1:%d/doveadm/v1 blue.example" % free_port()
    with Service(red, nodes__b=gone, doveadm__retries=0) as service:
        deliver(red, red, message_id, HITS[:3])
        recall_id = start(service, service.token(), messageid=message_id,
                          notify=0)
        wait_down(service, recall_id, 1)
        service.set(nodes__b=None)
        assert service.reload() == "reloaded"
        answer = service.wait_recall(service.token(), recall_id)
        assert found(answer) == {user: "expunged" for user in HITS[:3]}
        assert answer["success"] is True
        assert nodes(answer)[name(red)]["state"] == "done"


def test_login_of_doveadm_that_is_another_one(red, message_id):
    """A recall that goes on asks with the new one, too."""
    with Service(red, doveadm__login="doveadm:of-before",
                 doveadm__retries=0) as service:
        deliver(red, red, message_id)
        recall_id = start(service, service.token(), messageid=message_id,
                          notify=0)
        wait_down(service, recall_id, 1)
        service.set(doveadm__login="doveadm:" + red.doveadm_password)
        assert service.reload() == "reloaded"
        answer = service.wait_recall(service.token(), recall_id)
        assert found(answer) == {user: "expunged" for user in HITS}
        assert answer["success"] is True


@pytest.mark.log_errors("")
def test_dry_run_while_a_node_is_down(red, message_id):
    """Whoever waits for the count gets what there is of it."""
    with make_node() as blue, make_service(red, blue) as service:
        deliver(red, blue, message_id)
        blue.stop(remove=False)
        answer = recall(service, message_id, dry_run=1)
        assert found(answer) == {user: "would_expunge" for user in HITS[:3]}
        assert answer["success"] is False
        states = nodes(answer)
        assert states[name(red)]["state"] == "done"
        assert states[name(blue)]["state"] == "failed"
        assert states[name(blue)]["error"]


def run_as(service, uid, threads=None):
    """As an account of its own, that has no more threads."""
    for each in [service.dir, *service.dir.iterdir()]:
        os.chown(each, uid, uid)
    limit = [] if threads is None else ["prlimit", "--nproc=%d" % threads]
    service.wrapper = [*limit, "setpriv", "--reuid=%d" % uid,
                       "--regid=%d" % uid, "--clear-groups"]
    service.start()


def test_fewer_threads_than_nodes(red, message_id):
    """Nodes that are down keep no others waiting for one."""
    red.lmtp_deliver(HITS[:1], build_message(message_id))
    down = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    service = Service(doveadm__url=down, doveadm__retries=0,
                      doveadm__login="doveadm:" + red.doveadm_password,
                      console__enabled="no")
    service.text = "[nodes]\nd = %s down.example\nr = %s red.example\n" % (
        down + "/", red.http_url)
    service.write_configuration()
    uid = 40000 + os.getpid() % 20000
    run_as(service, uid)
    # the last thread is there when somebody has been answered
    assert service.curl("/health/live").status == 200
    threads = len(os.listdir("/proc/%d/task" % service.process.pid))
    service.stop()
    run_as(service, uid, threads)
    try:
        token = service.token()
        recall_id = start(service, token, messageid=message_id, notify=0)
        answer = wait_for(lambda: (
            lambda now: now if now["results"] else None)(
                state(service, token, recall_id)))
        assert found(answer) == {HITS[0]: "expunged"}
        assert answer["state"] == "running"
    finally:
        service.__exit__(None)


@pytest.mark.log_errors("")
def test_all_nodes_are_told_of_at_once(red, message_id):
    """Also one that has not answered yet, when another is known to be down."""
    with make_node() as blue, make_service(red, blue) as service:
        deliver(red, blue, message_id)
        blue.stop(remove=False)
        token = service.token()
        with Held(red, HITS[0]) as held:
            recall_id = start(service, token, messageid=message_id, notify=0)
            wait_for(held.waiting)
            states = wait_for(lambda: (
                lambda now: now if now.get(name(blue), {}).get("state") ==
                "down" else None)(nodes(service.curl(
                    "/v2/actions/" + recall_id, token=token).json())))
            assert states[name(red)]["state"] == "running"
        assert blue._launch()
        assert found(service.wait_recall(token, recall_id)) == {
            user: "expunged" for user in HITS}


def test_goes_on_where_it_stopped(red, blue, message_id):
    """Killed while the second page of users is under way."""
    # so a page has ten users, one command each
    with make_service(red, blue, doveadm__batch=1,
                      doveadm__connections_per_recall=1) as service:
        deliver(red, blue, message_id)
        token = service.token()
        with Held(red, HITS[1]) as held:
            recall_id = start(service, token, messageid=message_id, notify=0)
            wait_for(held.waiting)
            # all of blue's, and the four who are red's of red's first ten
            wait_for(lambda: service.curl(
                "/v2/actions/" + recall_id,
                token=token).json()["progress"]["done"] == 10)
            assert (HITS[0], "expunged") in journalled(service, recall_id)
            service.kill()
        since = len(service.log())
        service.start()
        answer = service.wait_recall(token, recall_id)
        resumed = service.wait_log(r"resumed after (\d+) users", since)
        assert int(resumed.group(1)) == 10
        statuses = found(answer)
        # whether its answer was lost is not known to the service
        assert statuses.pop(HITS[1]) in ("expunged", "already_recalled")
        assert statuses == {user: "expunged" for user in HITS if
                            user != HITS[1]}
        assert answer["progress"]["done"] == len(USERS)
        assert {node["looked"] for node in answer["nodes"]} == \
            {len(RED), len(BLUE)}


@pytest.mark.parametrize("undone", [False, True])
def test_told_before_a_restart(red, blue, message_id, undone):
    """Who is asked about again has nothing left, which is not told instead."""
    users = HITS[0], "red03@red.example"
    with make_service(red, blue, doveadm__batch=1,
                      doveadm__connections_per_recall=1) as service:
        deliver(red, blue, message_id, users)
        token = service.token()
        params = {"messageid": message_id}
        if undone:
            params = {"cmd": "restore",
                      "id": recall(service, message_id)["id"]}
        with Held(red, users[1]) as held:
            recall_id = start(service, token, **params)
            wait_for(held.waiting)
            told, = service.curl("/v2/actions/" + recall_id, token=token
                                 ).json()["results"]
            assert (told["email"], told["status"], told["copies"]) == (
                users[0], "restored" if undone else "expunged", 1)
            service.kill()
        service.start()
        answer = service.wait_recall(token, recall_id)
        assert told in answer["results"]


def test_max_rate(red, blue, message_id):
    with make_service(red, blue, doveadm__batch=4,
                      doveadm__max_rate=20) as service:
        begun = time.monotonic()
        answer = recall(service, message_id)
        assert answer["progress"]["done"] == len(USERS)
        # the first command's users have not to wait
        assert time.monotonic() - begun >= (len(RED) - 4) / 20


@pytest.fixture(scope="module")
def proxied():
    """A Dovecot in front, and one behind that has the mail."""
    port = free_port()
    listener = "service doveadm {\n  inet_listener tcp {\n    port = %d\n" \
        "  }\n}\n" % port
    with RecallNode(users=USERS, extra=listener) as back, \
            ProxyNode(users=USERS, extra="doveadm_port = %d\n" % port) as front, \
            Service(front) as service:
        yield back, port, service


def test_search_behind_a_proxy(proxied, message_id):
    back, port, service = proxied
    deliver(back, back, message_id)
    for limit in (1, 2, 100):
        rows = [row for page in pages(service, service.token(), cmd="search",
                                      messageid=message_id, all=1,
                                      limit=limit) for row in page]
        assert [row["email"] for row in rows] == sorted(HITS), limit


def test_recall_behind_a_proxy(proxied, message_id):
    back, port, service = proxied
    deliver(back, back, message_id)
    assert found(recall(service, message_id)) == {
        user: "expunged" for user in HITS}


def test_node_behind_a_proxy_that_is_down(proxied, message_id):
    back, port, service = proxied
    deliver(back, back, message_id)
    back.stop(remove=False)
    token = service.token()
    recall_id = start(service, token, messageid=message_id, notify=0)
    hidden = "127.0.0.1:%d" % port

    def state():
        return service.curl("/v2/actions/" + recall_id, token=token).json()

    answer = wait_for(lambda: (lambda now: now if "message" in now else
                               None)(state()))
    assert answer["message"].startswith("incomplete: node %s, since " % hidden)
    assert nodes(answer)[hidden]["state"] == "down"
    assert back._launch()
    answer = service.wait_recall(token, recall_id)
    assert {user: status for user, status in found(answer).items()
            if status != "not_found"} == {user: "expunged" for user in HITS}
    assert nodes(answer)[hidden]["state"] == "done"
    assert answer["success"] is True and "message" not in answer


def test_dry_run_while_a_node_behind_a_proxy_is_down(proxied, message_id):
    back, port, service = proxied
    deliver(back, back, message_id)
    back.stop(remove=False)
    try:
        answer = recall(service, message_id, dry_run=1)
    finally:
        assert back._launch()
    hidden = nodes(answer)["127.0.0.1:%d" % port]
    assert hidden["state"] == "failed" and hidden["error"]
    assert answer["success"] is False
    assert set(found(answer).values()) == {"error"}


@pytest.mark.log_errors("")
def test_nodes_that_are_down_keep_no_others_waiting(red, message_id):
    """More recalls than run at a time wait for a node: the next one runs
    nevertheless, and all end once the node is back."""
    with make_node() as blue, \
            make_service(red, blue, doveadm__connect_timeout=1) as service:
        blue.stop(remove=False)
        token = service.token()

        def waits_for_blue(recall_id):
            found = nodes(state(service, token, recall_id))
            return {name(red): "done", name(blue): "down"} == {
                each: found[each]["state"] for each in found}

        first = [start(service, token, messageid="<%d@waits>" % i)
                 for i in range(16)]
        for recall_id in first:
            wait_for(lambda: waits_for_blue(recall_id))
        red.lmtp_deliver([HITS[0]], build_message(message_id))
        last = start(service, token, messageid=message_id, notify=0)
        wait_for(lambda: waits_for_blue(last))
        assert found(state(service, token, last)) == {HITS[0]: "expunged"}
        service.wait_log("makes room while nodes are down")
        assert blue._launch()
        for recall_id in first + [last]:
            answer = service.wait_recall(token, recall_id)
            assert answer["progress"]["done"] == len(USERS)
        assert found(state(service, token, last)) == {HITS[0]: "expunged"}


def test_stopped_and_released(red, blue, service, message_id):
    """The stop holds it where it is, and nobody has to ask again."""
    deliver(red, blue, message_id)
    token = service.token()
    assert service.curl("/v2/stop", "-d", "reason=wait",
                        token=token).status == 200
    try:
        recall_id = start(service, token, messageid=message_id, notify=0)

        def state():
            return service.curl("/v2/actions/" + recall_id,
                                token=token).json()

        held = wait_for(lambda: (lambda now: now if now["state"] == "paused"
                                 else None)(state()))
        assert (held["results"], held["progress"]["done"]) == ([], 0)
    finally:
        assert service.curl("/v2/stop", "-X", "DELETE",
                            token=token).status == 200
    assert found(service.wait_recall(token, recall_id)) == {
        user: "expunged" for user in HITS}


def test_limit_of_users(red, blue, message_id):
    """A role that may recall from some may not from everyone."""
    with make_service(red, blue, limits__users_admin=100) as service:
        deliver(red, blue, message_id, HITS[:1])
        admin = service.token("admin@red.example", role=1, tenant="red")
        answer = ask(service, admin, all=1, messageid=message_id)
        assert (answer.status, list(message(answer))) == (400, ["ALL"])
        assert ask(service, admin, all=1, messageid=message_id,
                   dry_run=1).status == 202
