"""Recalls that stand for users whom Dovecot proxies: the nodes that have an order
are those of its users as they were, and hear of its end."""

import contextlib

import pytest

from answers import ask
from conftest import DRIVERS, EX_TEMPFAIL, parse_tab
from faults import wait_for
from mailnode import build_message, free_port
from proxynodes import FakeNode, Front, users_of, verdict_row
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service

LISTEN = "service doveadm {\n  inet_listener tcp {\n    port = %d\n  }\n}\n"
NAMES = ["one", "two"]
MOVED = "mover.one@example.com"
HERE = "here@example.com"


@pytest.fixture(scope="module")
def fake():
    with FakeNode() as server:
        yield server


@pytest.fixture(scope="module")
def backs():
    """Each has all users, as where they share a userdb."""
    users = [MOVED, *users_of("one", 3), *users_of("two", 3)]
    with contextlib.ExitStack() as stack:
        backs = {}
        for name in NAMES:
            port = free_port()
            extra = LISTEN % port + NAMESPACE % (PREFIX, LOCATIONS["sdbox"])
            backs[name] = stack.enter_context(RecallNode(
                driver=DRIVERS[-1], users=users, extra=extra,
                plugin={"recall_quarantine": PREFIX}))
            backs[name].doveadm_port = port
        yield backs
        for node in backs.values():
            assert node.panics() == []


@pytest.fixture(scope="module")
def front(backs, fake):
    ports = {name: backs[name].doveadm_port for name in NAMES}
    ports["fake"] = fake.port
    users = [HERE, MOVED, *users_of("one", 3), *users_of("two", 3),
             *users_of("fake", 3)]
    with Front(ports, driver=DRIVERS[-1], users=users,
               mail_plugins=["recall"],
               extra="doveadm_port = 1\n") as front:
        yield front
        assert front.panics() == []


@pytest.fixture(scope="module")
def service(front):
    with Service(front) as service:
        yield service


def everyone():
    return users_of("one", 3) + users_of("two", 3)


def stand(front, message_id, users):
    """Returns the id of a recall that has found nothing."""
    done = front.doveadm("-f", "tab", "recall", "expunge", "--no-notify",
                         "--stand", "1h",
                         *["--users=" + user for user in users], message_id)
    return done.stdout.splitlines()[1].split("\t")[6]


def kept(backs, message_id, users=None):
    """Those of whom a copy that comes now is not recalled."""
    users = everyone() if users is None else users
    found = set()
    for name, node in backs.items():
        mine = [user for user in users if user.endswith(name + "@example.com")]
        before = {user: node.count(user) for user in mine}
        if mine:
            node.lmtp_deliver(mine, build_message(message_id))
        found |= {user for user in mine if node.count(user) > before[user]}
    return found


def end(front, recall_id, check=True):
    return front.doveadm("recall", "standing", "end", recall_id, check=check)


@pytest.mark.parametrize("how", ["shell", "service", "restore", "undone"])
def test_end_reaches_nodes(backs, front, service, message_id, how):
    if how in ("shell", "restore"):
        recall_id = stand(front, message_id, everyone())
    else:
        recall_id = service.recall(
            service.token(), message_id, everyone(), notify=0,
            stand="1h").json()["id"]
    assert kept(backs, message_id) == set()
    if how == "shell":
        assert "ended" in end(front, recall_id).stdout
    elif how == "restore":
        # that other node fails
        front.doveadm("recall", "restore", "-A", recall_id, check=False)
    elif how == "undone":
        assert ask(service, service.token(), cmd="restore",
                   id=recall_id).status == 200
    else:
        answer = service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                              token=service.token())
        assert (answer.status, answer.json()["success"]) == (200, True)
    assert kept(backs, message_id) == set(everyone())
    for node in [front, *backs.values()]:
        assert recall_id not in node.doveadm("recall", "standing",
                                             "list").stdout
        assert not list(node.standing_dir.glob("*.nodes*"))
    assert "not_found" in end(front, recall_id).stdout


def test_node_after_a_user_of_this_one(backs, front, message_id, recall_id):
    """Whose privileges the process has by then."""
    done = front.doveadm("-f", "tab", "recall", "expunge", "--no-notify",
                         "--stand", "1h", "--recall-id", recall_id,
                         "--jobs=1",
                         *["--users=" + user for user in [HERE, *everyone()]],
                         message_id, check=False)
    assert {row["status"] for row in parse_tab(done.stdout)} == {"not_found"}
    assert done.returncode == 0
    end(front, recall_id)
    assert kept(backs, message_id) == set(everyone())


def test_end_while_a_node_is_down(backs, front, message_id):
    """The others, and this one, hear of it; it does when it is back."""
    recall_id = stand(front, message_id, everyone())
    two = backs["two"]
    two.stop(remove=False)
    for _ in range(2):
        done = end(front, recall_id, check=False)
        assert done.returncode == EX_TEMPFAIL
        assert "Node 127.0.0.1:%d" % two.doveadm_port in done.stderr
        assert "Node 127.0.0.1:%d" % backs["one"].doveadm_port \
            not in done.stderr
        assert kept({"one": backs["one"]}, message_id) == \
            set(users_of("one", 3))
        assert recall_id not in front.doveadm("recall", "standing",
                                              "list").stdout
    two._launch_somewhere()
    assert kept({"two": two}, message_id) == set()
    assert "ended" in end(front, recall_id).stdout
    assert kept({"two": two}, message_id) == set(users_of("two", 3))


def test_service_tells_a_node_that_was_down(backs, front, service,
                                            message_id):
    two = backs["two"]
    recall_id = service.recall(service.token(), message_id, everyone(),
                               notify=0, stand="1h").json()["id"]
    two.stop(remove=False)
    answer = service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                          token=service.token())
    assert answer.status == 202
    two._launch_somewhere()
    wait_for(lambda: recall_id not in two.doveadm("recall", "standing",
                                                  "list").stdout)
    assert kept(backs, message_id) == set(everyone())


def test_end_reaches_a_node_that_all_have_left(backs, front, message_id):
    recall_id = stand(front, message_id, [MOVED])
    assert recall_id in backs["one"].doveadm("recall", "standing",
                                             "list").stdout
    front.remove_user(MOVED)
    end(front, recall_id)
    front.add_user(MOVED)
    assert kept(backs, message_id, [MOVED]) == {MOVED}


def test_order_that_ends_during_the_recall(front, fake, message_id):
    """The node is not given it anew with the next users."""
    users = users_of("fake", 3)

    def answer(asked):
        if len(fake.commands) == 1:
            end(front, words(0)["--recall-id"], check=False)
        return b"".join(map(verdict_row, asked)) + b"\n+\n"

    def words(number):
        return dict(word.split("=", 1) for word in fake.commands[number]
                    if word.startswith("--") and "=" in word)

    fake.script(answer, serve=True)
    front.doveadm("recall", "expunge", "--stand", "1h",
                  *["--users=" + user for user in users], message_id)
    recalls = [number for number, command in enumerate(fake.commands)
               if command[2] == "recall expunge"]
    stands = [words(number)["--stand"] for number in recalls]
    assert stands[0].endswith(" secs") and set(stands[1:]) == {"off"}


def test_everyone(backs, front, fake, message_id, recall_id):
    """Wherever they are by then."""
    fake.script(lambda users: b"".join(map(verdict_row, users)) + b"\n+\n",
                serve=True)
    front.doveadm("recall", "expunge", "--no-notify", "--stand", "1h",
                  "--recall-id", recall_id, "-A", message_id)
    two = backs["two"]
    for user in MOVED, users_of("two", 3)[0]:
        before = two.count(user)
        two.lmtp_deliver([user], build_message(message_id))
        assert two.count(user) == before
    # to a node that tells nothing of it
    end(front, recall_id, check=False)


def test_dry_run_leaves_nothing(front, message_id, recall_id):
    front.doveadm("recall", "expunge", "--dry-run", "--stand", "1h",
                  "--recall-id", recall_id,
                  *["--users=" + user for user in everyone()], message_id)
    assert not list(front.standing_dir.glob(recall_id + "*"))


def test_nodes_that_can_not_be_noted(backs, front, message_id):
    """No node is given an order that could not be ended."""
    recall_id = stand(front, message_id, everyone())
    end(front, recall_id)
    path = front.standing_dir / (recall_id + ".nodes")
    path.write_text("garbage\n")
    user = everyone()[0]
    backs["one"].lmtp_deliver([user], build_message(message_id))
    before = backs["one"].count(user)
    done = front.doveadm("-f", "tab", "recall", "expunge", "--no-notify",
                         "--stand", "1h", "--recall-id", recall_id,
                         "--users=" + user, message_id, check=False)
    assert done.returncode == EX_TEMPFAIL
    assert done.stdout.splitlines()[1].split("\t")[1] == "error"
    assert "is no list of nodes" in done.stdout
    assert backs["one"].count(user) == before
    path.unlink()
    end(front, recall_id)


def test_files_of_killed_processes(front, message_id, recall_id):
    """They are not there for ever."""
    stand(front, message_id, [HERE])
    left = [front.standing_dir / (recall_id + name)
            for name in (".nodes.new", ".order.new")]
    foreign = front.standing_dir / "notes.new"
    for path in [*left, foreign]:
        path.write_text("1\tproxy")
    front.doveadm("recall", "standing", "run")
    assert not any(path.exists() for path in left) and foreign.exists()
    foreign.unlink()
