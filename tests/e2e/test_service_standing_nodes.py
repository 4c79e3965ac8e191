"""mail-recalld: recalls that stand on several nodes, and what comes late."""

import concurrent.futures
import contextlib
import os
import re
import signal
import sqlite3
import time

import pytest

from answers import ask, check_described, root, statuses
from faults import Held, HeldFile, wait_for
from mailnode import build_message, free_port
from servicenode import ProxyNode, RecallNode, Service

RED = ["red%d@red.example" % number for number in range(4)]
BLUE = ["blue%d@blue.example" % number for number in range(4)]
USERS = {**{user: {"tenant_id": "red"} for user in RED},
         **{user: {"tenant_id": "blue"} for user in BLUE}}


def make_node(**options):
    return RecallNode(users=USERS, **options)


@pytest.fixture
def red():
    with make_node() as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def blue():
    with make_node() as node:
        yield node
        assert node.panics() == []


def make_service(red, blue, **settings):
    return Service(red, text="[nodes]\nb = %s blue.example\n" % blue.http_url,
                   doveadm__retries=0, recall__late_interval=1, **settings)


@pytest.fixture
def service(red, blue):
    with make_service(red, blue) as service:
        yield service


def node_name(node):
    return "127.0.0.1:%d" % node.http_port


def stand(service, message_id, users, time="1h"):
    answer = service.recall(root(service), message_id, users, stand=time,
                            notify="0", reason="Phishing")
    assert answer.status == 200, answer
    return answer.json()["id"]


def begin(service, message_id, users, **params):
    """A recall in the background: its id."""
    answer = service.recall(root(service), message_id, users, "-H",
                            "Prefer: respond-async", notify="0", **params)
    assert answer.status == 202, answer
    return answer.json()["id"]


def shown(service, recall_id):
    answer = service.curl("/v2/actions/" + recall_id, token=root(service))
    assert answer.status == 200, answer
    check_described("/v2/actions/{id}", "get", answer)
    return answer


def where(service, recall_id):
    """Names of the nodes where it stands, is missing, and is to end."""
    found = shown(service, recall_id).json().get("standing")
    return found and tuple(
        {node["name"] if isinstance(node, dict) else node
         for node in found[key]} for key in ("nodes", "missing", "ending"))


def restart(service):
    service.kill()
    service.start()


def orders(node):
    rows = node.doveadm("-f", "tab", "recall", "standing",
                        "list").stdout.splitlines()
    return [row.split("\t")[0] for row in rows[1:]]


def deliver(node, user, message_id):
    node.lmtp_deliver([user], build_message(message_id))


def test_journal_that_fails_is_no_end(red, blue, service, message_id):
    """That the nodes have the order can't be written: they are asked again."""
    both = {node_name(red), node_name(blue)}
    with contextlib.closing(sqlite3.connect(service.dir /
                                            "journal.db")) as db:
        db.execute("CREATE TRIGGER full BEFORE UPDATE ON standing WHEN "
                   "NEW.state = 'stands' BEGIN SELECT RAISE(FAIL, 'full'); "
                   "END")
        recall_id = stand(service, message_id, RED)
        assert where(service, recall_id) == (set(), both, set())
        assert orders(red) == orders(blue) == [recall_id]
        db.execute("DROP TRIGGER full")
    wait_for(lambda: where(service, recall_id) == (both, set(), set()))
    assert orders(red) == orders(blue) == [recall_id]


def test_names_in_other_case(red, blue, service, message_id):
    """Each node knows whose mail it is, also one that was not asked."""
    stand(service, message_id, [RED[0].upper(), RED[1]])
    for node in red, blue:
        for user in RED[:3]:
            deliver(node, user, message_id)
        assert [node.count(user) for user in RED[:3]] == [0, 0, 1]


@pytest.mark.log_errors("")
def test_node_that_was_down(red, blue, service, message_id):
    """It gets the order, and what it had is recalled."""
    users = RED[0], BLUE[0]
    deliver(blue, BLUE[0], message_id)
    begun = int(time.time())
    blue.stop(remove=False)
    recall_id = stand(service, message_id, users)
    answer = shown(service, recall_id)
    assert statuses(answer) == {RED[0]: "not_found", BLUE[0]: "error"}
    standing = answer.json()["standing"]
    assert standing["nodes"] == [node_name(red)]
    missing, = standing["missing"]
    assert missing["name"] == node_name(blue) and missing["error"]
    assert begun <= missing["since"] <= time.time()
    assert begun + 3600 <= standing["until"] <= time.time() + 3600

    restart(service)
    assert shown(service, recall_id).json()["standing"]["missing"][0][
        "since"] == missing["since"]
    assert blue._launch()
    wait_for(lambda: where(service, recall_id) == (
        {node_name(red), node_name(blue)}, set(), set()))
    wait_for(lambda: statuses(shown(service, recall_id)) == {
        RED[0]: "not_found", BLUE[0]: "expunged"})
    assert blue.count(BLUE[0]) == 0
    # who was told so hears that it is another one now
    assert len([line for line in service.audit()
                if recall_id in line and "|recall|" in line]) == 2
    for node, user in (red, RED[0]), (blue, BLUE[0]):
        deliver(node, user, message_id)
        assert node.count(user) == 0
    deliver(blue, BLUE[1], message_id)
    assert blue.count(BLUE[1]) == 1


@pytest.mark.log_errors("")
def test_end_while_a_node_is_down(red, blue, service, message_id):
    recall_id = stand(service, message_id, [RED[0], BLUE[0]])
    assert orders(blue) == orders(red) == [recall_id]
    blue.stop(remove=False)
    answer = service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                          token=root(service))
    assert answer.status == 202, answer
    check_described("/v2/standing/{id}", "delete", answer)
    assert {node["name"]: node["ended"] for node in answer.json()["nodes"]} \
        == {node_name(red): True, node_name(blue): False}
    assert where(service, recall_id) == (set(), set(), {node_name(blue)})
    restart(service)
    assert blue._launch()
    wait_for(lambda: where(service, recall_id) is None)
    assert orders(blue) == orders(red) == []
    deliver(blue, BLUE[0], message_id)
    assert blue.count(BLUE[0]) == 1


@pytest.mark.log_errors("")
def test_end_before_the_node_had_it(red, blue, service, message_id):
    blue.stop(remove=False)
    deliver(red, RED[1], message_id)
    recall_id = stand(service, message_id, [RED[1], BLUE[1]])
    answer = service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                          token=root(service))
    assert answer.status == 202
    assert blue._launch()
    wait_for(lambda: where(service, recall_id) is None)
    assert orders(blue) == []
    # nobody is asked about any more
    assert statuses(shown(service, recall_id)) == {
        RED[1]: "expunged", BLUE[1]: "error"}


@pytest.mark.log_errors("")
def test_end_during_a_look(red, blue, message_id):
    """Who is asked about when it ends is the last one; that command may have
    the node take the order back, which is told again."""
    for user in BLUE:
        deliver(blue, user, message_id)
    lock = HeldFile(blue.standing_dir / "lock")
    with make_service(red, blue, doveadm__batch=1,
                      doveadm__connections_per_recall=1) as service:
        blue.stop(remove=False)
        recall_id = stand(service, message_id, RED[:1] + BLUE)
        with contextlib.ExitStack() as stack:
            with Held(blue, BLUE[0]) as first:
                assert blue._launch()
                wait_for(first.waiting)
                wait_for(lambda: orders(blue) == [recall_id])
                stack.enter_context(lock)
            wait_for(lock.waiting)
            # as if it were still to be handed over
            (blue.standing_dir / (recall_id + ".order")).unlink()
            answer = service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                                  token=root(service))
            assert answer.status == 200, answer
        wait_for(lambda: len([line for line in service.audit() if recall_id in
                              line and "|recall|" in line]) == 2)
        assert [blue.count(user) for user in BLUE] == [0, 0, 1, 1]
        wait_for(lambda: orders(blue) == [])
        assert statuses(shown(service, recall_id)) == {
            RED[0]: "not_found", BLUE[0]: "expunged", BLUE[1]: "expunged",
            BLUE[2]: "error", BLUE[3]: "error"}


@pytest.mark.log_errors("")
def test_asked_for_again_during_a_look(red, blue, service, message_id):
    """What was done is what is told, whoever looks after that."""
    def ask_for_it():
        return service.recall(root(service), message_id, [RED[0], BLUE[0]],
                              "-H", "Idempotency-Key: again", stand="1h",
                              notify="0")

    deliver(blue, BLUE[0], message_id)
    blue.stop(remove=False)
    answer = ask_for_it()
    assert statuses(answer) == {RED[0]: "not_found", BLUE[0]: "error"}
    recall_id = answer.json()["id"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with Held(blue, BLUE[0]) as held:
            assert blue._launch()
            look = wait_for(held.waiting)
            again = pool.submit(ask_for_it)
            late, = wait_for(lambda: set(held.all_waiting()) - {look})
            os.kill(late, signal.SIGSTOP)
            # until it has stopped it may be given the lock
            wait_for(lambda: late not in held.all_waiting())
        try:
            wait_for(lambda: len([line for line in service.audit() if recall_id
                                  in line and "|recall|" in line]) == 2)
        finally:
            os.kill(late, signal.SIGCONT)
    found = {RED[0]: "not_found", BLUE[0]: "expunged"}
    assert statuses(shown(service, recall_id)) == found
    assert statuses(again.result()) == found


@pytest.mark.log_errors("")
def test_expiry_while_a_node_is_down(red, blue, service, message_id):
    blue.stop(remove=False)
    short = stand(service, message_id, [RED[0], BLUE[0]], "2s")
    assert where(service, short)[1] == {node_name(blue)}
    restart(service)
    wait_for(lambda: where(service, short) is None)
    long = stand(service, "<x" + message_id[1:], [RED[0], BLUE[0]])
    assert blue._launch()
    wait_for(lambda: where(service, long)[0] == {node_name(red),
                                                  node_name(blue)})
    assert orders(blue) == [long]
    assert statuses(shown(service, short))[BLUE[0]] == "error"
    deliver(blue, BLUE[0], message_id)
    assert blue.count(BLUE[0]) == 1


def test_handed_over_twice_at_once(red, blue, message_id):
    """By the recall and by who sees to what is missing: that is no end."""
    both = {node_name(red), node_name(blue)}
    with make_service(red, blue, doveadm__connect_timeout=60) as service:
        first = stand(service, message_id, [RED[0]])
        with HeldFile(blue.standing_dir / "lock") as held:
            recall_id = begin(service, "<x" + message_id[1:], [RED[0]],
                              stand="1h")
            wait_for(held.waiting)
            with contextlib.closing(sqlite3.connect(
                    service.dir / "journal.db")) as db, db:
                db.execute("UPDATE standing SET next = 0")
            wait_for(lambda: len(held.all_waiting()) == 2)
        service.wait_recall(root(service), recall_id)
        # it collects once it has taken both answers
        deliver(red, RED[0], message_id)
        wait_for(lambda: late_count(service, first) == 1)
        assert where(service, recall_id) == (both, set(), set())
        assert set(orders(blue)) == {first, recall_id}


def late_count(service, recall_id):
    return shown(service, recall_id).json()["late"]


def test_alias_joins_later(red, blue, service, message_id):
    """Whose mailbox an alias is, is known once it was asked for; what came for
    the mailbox before that is recalled on the other nodes, too."""
    alias = "alias@red.example"
    for node in red, blue:
        node.add_users({alias: {"user": RED[1], "home": node.home(RED[1]),
                                "tenant_id": "red"}})
    deliver(red, RED[1], message_id)
    deliver(red, RED[0], message_id)
    since = red.log_size()
    with Held(red, RED[0]) as held:
        recall_id = begin(service, message_id, [alias, RED[0]], stand="1h")
        wait_for(held.waiting)
        # until then it looks whether there is another one
        red.wait_log(r"%s.*recall %s: <.*> expunged," % (
            re.escape(RED[1]), recall_id), since)
        for node in red, blue:
            deliver(node, RED[1], message_id)
            assert node.count(RED[1]) == 1
    service.wait_recall(root(service), recall_id)
    for node in red, blue:
        wait_for(lambda: node.count(RED[1]) == 0)
    wait_for(lambda: late_count(service, recall_id) == 2)
    for node in red, blue:
        deliver(node, RED[1], message_id)
        assert node.count(RED[1]) == 0


@pytest.mark.log_errors("")
def test_alias_of_a_node_that_was_down(red, blue, service, message_id):
    """It is one of the order's on all nodes as soon as that is known."""
    alias = "alias@blue.example"
    for node in red, blue:
        node.add_users({alias: {"user": BLUE[1], "home": node.home(BLUE[1]),
                                "tenant_id": "blue"}})
    blue.stop(remove=False)
    recall_id = stand(service, message_id, [RED[0], alias])
    deliver(red, BLUE[1], message_id)
    assert red.count(BLUE[1]) == 1
    assert blue._launch()
    wait_for(lambda: statuses(shown(service, recall_id)) == {
        RED[0]: "not_found", alias: "not_found"})
    wait_for(lambda: red.count(BLUE[1]) == 0)
    for node in red, blue:
        deliver(node, BLUE[1], message_id)
        assert node.count(BLUE[1]) == 0


def test_server_that_others_stand_in_for(red, blue, message_id):
    """One that is new gets what stands; what has come there is looked for."""
    with Service(red, recall__late_interval=1) as service:
        # as where both have the mail
        recall_id = stand(service, message_id, [RED[2]])
        deliver(blue, RED[2], message_id)
        service.set(doveadm__url=red.http_url + " " + blue.http_url)
        assert service.reload() == "reloaded"
        wait_for(lambda: where(service, recall_id)[0] == {
            node_name(red), node_name(blue)})
        wait_for(lambda: blue.count(RED[2]) == 0)
        wait_for(lambda: shown(service, recall_id).json()["late"] == 1)
        # and one that is none any more is not waited for
        blue.stop(remove=False)
        service.set(doveadm__url=red.http_url)
        assert service.reload() == "reloaded"
        wait_for(lambda: where(service, recall_id) == (
            {node_name(red)}, set(), set()))


def test_late_of_a_node_with_another_url(red, message_id):
    """What it has told of counts once, by whatever name it is asked."""
    with Service(red, recall__late_interval=1) as service:
        recall_id = stand(service, message_id, [RED[2]])
        deliver(red, RED[2], message_id)
        wait_for(lambda: late_count(service, recall_id) == 1)
        wait_for(lambda: len(late_lines(service)) == 1)
        # one that is found by another name, then by the first one again
        for url in red.http_url.replace("127.0.0.1", "localhost"), \
                red.http_url:
            before = late_count(service, recall_id)
            service.set(doveadm__url=url)
            assert service.reload() == "reloaded"
            wait_for(lambda: where(service, recall_id)[0] == {
                url.split("/")[2]})
            deliver(red, RED[2], message_id)
            wait_for(lambda: late_count(service, recall_id) == before + 1)
            wait_for(lambda: len(late_lines(service)) == before + 1)
        assert late_count(service, recall_id) == 3


def test_killed_before_the_first_node(red, blue, message_id):
    """A job that begins anew makes its order stand."""
    deliver(red, RED[3], message_id)
    with make_service(red, blue) as service:
        recall_id = stand(service, message_id, [RED[3]])
        service.kill()
        for node in red, blue:
            node.doveadm("recall", "standing", "end", recall_id)
        with sqlite3.connect(service.dir / "journal.db") as db:
            db.execute("DELETE FROM standing")
            db.execute("UPDATE recalls SET finished = 0")
            db.execute("UPDATE verdicts SET status = NULL")
        db.close()
        service.start()
        service.wait_recall(root(service), recall_id)
        assert orders(red) == orders(blue) == [recall_id]


# late copies


def late_lines(service):
    return [line for line in service.audit() if "|recall-late|" in line]


def test_late(red, blue, service, message_id):
    recall_id = stand(service, message_id, [RED[0], BLUE[0]])
    assert shown(service, recall_id).json()["late"] == 0
    deliver(red, RED[0], message_id)
    deliver(red, RED[0], message_id)
    deliver(blue, BLUE[0], message_id)
    wait_for(lambda: len(late_lines(service)) == 3)
    assert shown(service, recall_id).json()["late"] == 3
    line, = (line for line in late_lines(service) if BLUE[0] in line)
    for field in ("suser=root@example.com", "outcome=success",
                  "externalId=" + recall_id,
                  "cs1Label=messageid cs1=" + message_id,
                  "cs2=%s:expunged" % BLUE[0], "cnt=1", "filePath=INBOX",
                  "reason=Phishing"):
        assert " " + field in line, field
    metric = "mail_recalld_late_copies_total 3\n"
    assert metric in service.curl("/metrics").body.decode()

    # each once, and none is lost
    restart(service)
    deliver(blue, BLUE[0], message_id)
    wait_for(lambda: len(late_lines(service)) == 4)
    # a line may be written twice if its end is not journalled yet
    wait_for(lambda: shown(service, recall_id).json()["late"] == 4)
    restart(service)
    deliver(red, RED[0], message_id)
    wait_for(lambda: shown(service, recall_id).json()["late"] == 5)
    wait_for(lambda: len(late_lines(service)) >= 5)
    assert len(late_lines(service)) == 5
    assert service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                        token=root(service)).status == 200
    assert shown(service, recall_id).json()["late"] == 5


@pytest.mark.log_errors("")
def test_late_while_the_service_is_down(red, blue, service, message_id):
    """Also of an order that was given at the shell."""
    service.kill()
    recall_id = "%032x" % 77
    blue.doveadm("recall", "expunge", "-u", BLUE[2], "--stand=1h",
                 "--no-notify", "--recall-id=" + recall_id, message_id)
    deliver(blue, BLUE[2], message_id)
    service.start()
    wait_for(lambda: len(late_lines(service)) == 1)
    assert "externalId=" + recall_id in late_lines(service)[0]


def test_node_that_tells_of_too_many(red, blue, message_id):
    """A node that was broken into does not fill the trail, nor the journal:
    what it tells of beyond a number waits, and a line says so. Those of other
    nodes are told of."""
    with make_service(red, blue, audit__late_per_hour=3) as service:
        recall_id = stand(service, message_id, RED[:1] + BLUE[:1])
        path = blue.standing_dir / "late" / (
            "%s.%d" % ("%032x" % 7, os.geteuid()))
        path.write_text("".join("%d\tu%d@blue.example\t1\tINBOX\n" % (
            time.time(), number) for number in range(2000)))
        left = wait_for(lambda: [line for line in service.audit()
                                 if "|left-out|" in line])[0]
        assert " outcome=failure cnt=1997 msg=http://%s" % node_name(blue) \
            in left
        assert "audit.late_per_hour" in left
        wait_for(lambda: len(late_lines(service)) == 3)
        deliver(blue, BLUE[0], message_id)
        deliver(red, RED[0], message_id)
        wait_for(lambda: late_count(service, recall_id) == 1)
        wait_for(lambda: len(late_lines(service)) == 4)
        assert " cs2=%s:expunged" % RED[0] in late_lines(service)[3]
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            assert db.execute("SELECT count(*) FROM late").fetchone() == (4,)
        assert len([line for line in service.audit()
                    if "|left-out|" in line]) == 1
        # where more are expected, they have not been lost
        path.unlink()
        service.set(audit__late_per_hour=0)
        assert service.reload() == "reloaded"
        wait_for(lambda: late_count(service, recall_id) == 2)


@pytest.mark.log_errors("")
def test_restore_while_late_copies_wait(red, blue, message_id):
    """Of some whom they were taken from only a node knows that is down: a
    restore without them is none."""
    with make_service(red, blue, audit__late_per_hour=1) as service:
        recall_id = stand(service, message_id, RED[:1] + BLUE[:1])
        path = blue.standing_dir / "late" / (
            "%s.%d" % (recall_id, os.geteuid()))
        path.write_text("".join("%d\t%s\t1\tINBOX\n" % (time.time(), user)
                                for user in BLUE[1:]))
        wait_for(lambda: [line for line in service.audit()
                          if "|left-out|" in line])
        blue.stop(remove=False)
        answer = service.recall(root(service), cmd="restore", id=recall_id)
        assert answer.status == 502, answer
        # nor has it ended
        assert where(service, recall_id)[0] == {node_name(red),
                                                node_name(blue)}
        assert blue._launch()
        answer = service.recall(root(service), cmd="restore", id=recall_id)
        assert answer.status == 200, answer
        assert set(statuses(answer)) == {RED[0], *BLUE}


# everyone


def stand_all(service, token, message_id):
    answer = ask(service, token, messageid=message_id, all=1, stand="1h",
                 notify=0)
    assert answer.status == 202, answer
    return answer.json()["id"]


@pytest.mark.log_errors("")
def test_everyone(red, blue, service, message_id):
    for node, user in (red, RED[0]), (blue, BLUE[0]):
        deliver(node, user, message_id)
    blue.stop(remove=False)
    recall_id = stand_all(service, root(service), message_id)
    wait_for(lambda: statuses(shown(service, recall_id)) ==
             {RED[0]: "expunged"})
    assert where(service, recall_id) == (
        {node_name(red)}, {node_name(blue)}, set())
    restart(service)
    assert blue._launch()
    answer = service.wait_recall(root(service), recall_id)
    assert answer["success"] is True
    assert blue.count(BLUE[0]) == 0
    wait_for(lambda: where(service, recall_id) == (
        {node_name(red), node_name(blue)}, set(), set()))
    for node, user in (red, RED[3]), (blue, BLUE[3]):
        deliver(node, user, message_id)
        assert node.count(user) == 0
        rows = node.doveadm("-f", "tab", "recall", "standing", "list",
                            recall_id).stdout.splitlines()
        assert dict(zip(rows[0].split("\t"), rows[1].split("\t")))[
            "users"] == "*"


def test_everyone_of_a_tenant(red, blue, service, message_id):
    token = service.token("admin@blue.example", role=1, tenant="blue")
    recall_id = stand_all(service, token, message_id)
    service.wait_recall(token, recall_id)
    deliver(red, RED[0], message_id)
    deliver(blue, BLUE[0], message_id)
    assert red.count(RED[0]) == 1 and blue.count(BLUE[0]) == 0
    deliver(red, BLUE[0], message_id)
    assert red.count(BLUE[0]) == 0
    user = service.token(RED[0], role=2, tenant="red")
    assert ask(service, user, messageid=message_id, all=1,
               stand="1h").status == 403


def test_everyone_behind_a_proxy(message_id):
    """A node that the service does not know has it from the proxy."""
    port = free_port()
    listener = "service doveadm {\n  inet_listener tcp {\n    port = %d\n" \
        "  }\n}\n" % port
    with make_node(extra=listener) as back, \
            ProxyNode(users=USERS,
                      extra="doveadm_port = %d\n" % port) as front, \
            Service(front) as service:
        deliver(back, RED[0], message_id)
        recall_id = stand_all(service, root(service), message_id)
        service.wait_recall(root(service), recall_id)
        deliver(back, RED[0], message_id)
        # the proxy does not know of it
        back.add_user("new@red.example")
        deliver(back, "new@red.example", message_id)
        assert back.count(RED[0]) == back.count("new@red.example") == 0
        assert back.panics() == front.panics() == []
