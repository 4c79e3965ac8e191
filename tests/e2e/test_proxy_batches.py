"""Many users of nodes that Dovecot proxies to: asked for together, answered for
each by itself."""

import base64
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from conftest import (DRIVERS, EX_TEMPFAIL, EX_USAGE, Result, parse_tab,
                      run_http, run_shell)
from faults import Held, wait_for
from mailnode import MailNode, PATIENCE, build_message, free_port
from proxynodes import FakeNode, Front, mixed, users_of, verdict_row
from quarantine import command, http
from servicenode import RecallNode

COUNT = 40
HERE = ["here%02d@example.com" % number for number in range(COUNT)]
ALIASES = ["alias7.one@example.com", "alias7x.one@example.com"]
LISTEN = "service doveadm {\n  inet_listener tcp {\n    port = %d\n  }\n}\n"


def named(users):
    return ["--users=" + user for user in users]


def columns(result, *names):
    return [tuple(row[name] for name in names) for row in result.rows]


def back(port, users, driver=DRIVERS[-1]):
    return RecallNode(driver=driver, users=users, extra=LISTEN % port)


def front(ports, users, extra=""):
    return Front(ports, driver=DRIVERS[-1], users=users,
                 mail_plugins=["notify", "recall"],
                 extra="doveadm_port = 1\n" + extra)


@pytest.fixture(scope="module")
def fake():
    with FakeNode() as server:
        yield server


@pytest.fixture(scope="module")
def other_fake():
    with FakeNode() as server:
        yield server


@pytest.fixture(scope="module")
def ports(fake, other_fake):
    return {"one": free_port(), "two": free_port(), "dead": free_port(),
            "bare": free_port(), "fake": fake.port, "later": other_fake.port}


@pytest.fixture(scope="module")
def backs(ports):
    with contextlib.ExitStack() as stack:
        backs = {name: stack.enter_context(back(ports[name],
                                                users_of(name, COUNT)))
                 for name in ("one", "two")}
        # one mailbox with two names that the node itself knows
        backs["one"].add_users({"other9.one@example.com": {
            "user": users_of("one")[9],
            "home": backs["one"].home(users_of("one")[9])}})
        yield backs
        for node in backs.values():
            assert node.panics() == []


@pytest.fixture(scope="module")
def node(ports, backs):
    users = HERE + ALIASES + ["other9.one@example.com",
                              "alias1.later@example.com"]
    for name in ports:
        users = users + users_of(name, COUNT)
    with front(ports, users) as node:
        yield node
        assert node.panics() == []


def deliver(backs, message_id, numbers):
    for name, node in backs.items():
        users = users_of(name, COUNT)
        node.lmtp_deliver([users[number] for number in numbers],
                          build_message(message_id))


def of_node(result, name):
    """The rows of its users, as they came."""
    return [row for row in result.rows
            if row["username"].endswith(".%s@example.com" % name)]


@pytest.mark.parametrize("by", ["shell", "http"])
def test_users_of_all_kinds(node, backs, fake, message_id, by):
    """Each has one row; those of one node in the order asked for."""
    fake.script(lambda users: b"".join(map(verdict_row, users)) + b"\n+\n",
                serve=True)
    lists = {name: users_of(name, COUNT)[::-1]
             for name in ("one", "two", "dead", "fake")}
    asked = mixed(HERE, *lists.values())
    node.lmtp_deliver(HERE[:3], build_message(message_id))
    deliver(backs, message_id, range(5))
    if by == "shell":
        result = run_shell(node, *named(asked), "--no-notify", "--",
                           message_id)
        assert result.code == EX_TEMPFAIL
    else:
        result = run_http(node, users=asked, messageId=message_id,
                          noNotify="true")
    assert sorted(row["username"] for row in result.rows) == sorted(asked)
    for name, users in lists.items():
        assert [row["username"] for row in of_node(result, name)] == users
    assert [result.status(user) for user in HERE] == \
        ["expunged"] * 3 + ["not_found"] * (COUNT - 3)
    for name in ("one", "two"):
        assert [row["status"] for row in of_node(result, name)] == \
            ["not_found"] * (COUNT - 5) + ["expunged"] * 5
    for row in of_node(result, "dead"):
        assert row["status"] == "error"
        assert row["error"].startswith("Node 127.0.0.1:")
        assert "Connection refused" in row["error"]
    assert {row["status"] for row in of_node(result, "fake")} == {"expunged"}
    # few commands, more users in each of the first ones than in the one before
    sizes = list(map(len, fake.asked_for()))
    assert sum(sizes) == COUNT and len(sizes) <= 7
    assert sizes[:-1] == [2 ** number for number in range(len(sizes) - 1)]
    ids = {row["recall-id"] for row in result.rows
           if row not in of_node(result, "fake")}
    assert len(ids) == 1
    assert all("--recall-id=" + min(ids) in words for words in fake.commands)


def test_every_command(node, backs, message_id):
    """What is found, restored and indexed over there is what the nodes
    say themselves."""
    deliver(backs, message_id, (2, 30))
    users = [user for name in backs for user in users_of(name, COUNT)]
    keys = "username", "mailbox", "uid", "message-id", "mailbox-user"
    found = command(node, "search", *named(users), message_id)
    assert columns(found, *keys) and found.code == 0
    own = [row for name in backs for row in columns(
        command(backs[name], "search", "-A", message_id), *keys)]
    assert sorted(set(own)) == sorted(set(columns(found, *keys)))
    assert sorted(columns(http(node, "recallSearch", users=users,
                               messageId=message_id), *keys)) == \
        sorted(columns(found, *keys))
    for name in ("restore", "index"):
        args = ["0" * 32] if name == "restore" else []
        result = command(node, name, *named(users), *args)
        assert result.code == 0
        assert {row["username"] for row in result.rows} >= \
            (set(users) if name == "restore" else set(users_of("one")[2:3]))
        for back in backs:
            rows = of_node(result, back)
            assert [row["username"] for row in rows] == sorted(
                (row["username"] for row in rows),
                key=users_of(back, COUNT).index)


def test_hits_and_masks(node, backs, message_id):
    deliver(backs, message_id, (0, 17, 39))
    result = run_shell(node, "-u", "user*.one@*", "-u", "user*.two@*",
                       "--hits", "--no-notify", "--", message_id)
    assert result.code == 0
    assert sorted(columns(result, "username", "status")) == sorted(
        (users_of(name, COUNT)[number], "expunged") for name in backs
        for number in (0, 17, 39))
    assert "%d users were looked at" % (2 * COUNT) in result.stderr


def test_aliases(node, backs, message_id):
    """Names that the front knows to be one user, and that the node does."""
    asked = users_of("one", 12)
    asked[9:9] = ["other9.one@example.com"]
    asked[5:5] = [ALIASES[0]]
    asked.append(ALIASES[1])
    deliver(backs, message_id, (7, 9))
    result = run_shell(node, *named(asked), "--no-notify", "--", message_id)
    assert result.code == 0
    assert sorted(row["username"] for row in result.rows) == sorted(asked)
    hit = {*ALIASES, users_of("one")[7], users_of("one")[9],
           "other9.one@example.com"}
    assert {user for user, status in result.statuses().items()
            if status == "expunged"} == hit
    assert result.row(ALIASES[1])["mailbox-user"] == users_of("one")[7]
    listed = run_shell(node, "-u", "*.one@example.com", "--dry-run", "--",
                       message_id)
    # of the two names that the front knows to be of one user it is either
    assert len(of_node(listed, "one")) == COUNT + 1
    assert {row["status"] for row in listed.rows} == {"not_found"}


def test_what_is_expected_of_each(node, backs, message_id):
    users = users_of("one", 20)
    deliver(backs, message_id, range(20))
    expected = ["1"] * 20
    expected[6] = "0"
    result = http(node, "recallExpunge", users=users, expected=expected,
                  query=["HEADER", "Message-ID", message_id],
                  noNotify="true")
    assert result.statuses() == dict(
        dict.fromkeys(users, "expunged"), **{users[6]: "error"})


def test_recall_that_stands(node, backs, message_id):
    """Each node has it stand for its own users."""
    users = mixed(users_of("one", 20), users_of("two", 20))
    result = run_shell(node, *named(users), "--stand=1h", "--", message_id)
    recall_id, = {row["recall-id"] for row in result.rows}
    for name, back in backs.items():
        order, = [row for row in command(back, "standing", "list").rows
                  if row["recall-id"] == recall_id]
        assert sorted(order["users"].split(",")) == sorted(users_of(name, 20))
        assert command(back, "standing", "end", recall_id).code == 0
    assert command(node, "standing", "end", recall_id).code == 0


def test_stop_on_a_node(node, backs, message_id):
    users = users_of("one", 20)
    deliver(backs, message_id, range(20))
    assert command(backs["one"], "stop").code == 0
    try:
        result = run_shell(node, *named(users + users_of("two", 20)), "--",
                           message_id)
    finally:
        assert command(backs["one"], "stop", "--release").code == 0
    assert result.code == EX_TEMPFAIL
    for row in of_node(result, "one"):
        assert row["error"].startswith("Recalls are stopped")
    assert {row["status"] for row in of_node(result, "two")} == {"expunged"}
    again = run_shell(node, *named(users), "--", message_id)
    assert {row["status"] for row in again.rows} == {"expunged"}


def launch(node, *args):
    return subprocess.Popen(
        node.doveadm_command("-f", "tab", "recall", "expunge", "--no-notify",
                             *args),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=PATIENCE)
    return Result(parse_tab(out), process.returncode, err)


@pytest.fixture
def cluster():
    """A front and nodes of their own, that a test may kill."""
    ports = {"one": free_port(), "two": free_port()}
    users = {name: users_of(name, COUNT) for name in ports}
    # as Held has it
    with back(ports["one"], users["one"], driver="sdbox") as one, \
            back(ports["two"], users["two"], driver="sdbox") as two, \
            front(ports, users["one"] + users["two"]) as node:
        yield node, one, two


@contextlib.contextmanager
def held_up(cluster, message_id, asked):
    """A recall that is held up at the 13th user of a node."""
    node, one, two = cluster
    deliver({"one": one, "two": two}, message_id, range(COUNT))
    with Held(one, users_of("one", COUNT)[12]) as held:
        yield launch(node, *named(asked), "--", message_id), held


def test_killed_process_of_a_node(cluster, message_id):
    """The others of its batch are asked for once more, and so is the one it was
    killed over; what was done before is known."""
    _, one, _ = cluster
    users = users_of("one", COUNT) + users_of("two", COUNT)
    with held_up(cluster, message_id, users) as (process, held):
        victim = wait_for(held.waiting)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: held.waiting() not in (None, victim))
    result = finish(process)
    assert result.statuses() == dict.fromkeys(users, "expunged")
    assert result.code == 0 and len(result.rows) == 2 * COUNT
    assert [line for line in one.panics()
            if "killed with signal 9" not in line] == []


def test_node_that_goes_down(cluster, message_id):
    """Who was recalled from before has that verdict, the rest an error, and
    the other node's users theirs."""
    _, one, _ = cluster
    users = users_of("one", COUNT)
    with held_up(cluster, message_id,
                 users + users_of("two", COUNT)) as (process, held):
        worker = wait_for(held.waiting)
        # nobody is to take over before all is down
        os.kill(one.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        os.kill(one.pid, signal.SIGKILL)
        result = finish(process)
    assert result.code == EX_TEMPFAIL and len(result.rows) == 2 * COUNT
    assert [result.status(user) for user in users[:12]] == ["expunged"] * 12
    for user in users[12:]:
        assert result.status(user) == "error"
        assert result.row(user)["error"].startswith("Node 127.0.0.1:")
    assert {row["status"] for row in of_node(result, "two")} == {"expunged"}


def test_signal_while_a_node_works(cluster, message_id):
    _, one, _ = cluster
    users = users_of("one", COUNT)
    with held_up(cluster, message_id, users) as (process, held):
        worker = wait_for(held.waiting)
        process.send_signal(signal.SIGINT)
        result = finish(process)
        assert result.code == EX_TEMPFAIL
        assert [row["username"] for row in result.rows] == users
        # as far as it had heard
        known = [result.status(user) for user in users].index("error")
        assert known <= 12
        assert {row["status"] for row in result.rows[:known]} <= {"expunged"}
        assert all("Killed with signal" in row["error"]
                   for row in result.rows[known:])
    # who works for a command that is gone goes on to no other user
    wait_for(lambda: not pathlib.Path("/proc/%d" % worker).exists() or
             b"recall" not in pathlib.Path(
                 "/proc/%d/cmdline" % worker).read_bytes())
    assert [one.count(user) for user in users[13:]] == [1] * (COUNT - 13)


class BareNode(MailNode):
    """Its doveadm knows no recalls."""

    def _install_modules(self):
        super()._install_modules()
        for module in pathlib.Path(self.modules).glob("**/*doveadm_recall*"):
            module.unlink()


@pytest.mark.log_errors("unknown command|recall expunge")
def test_node_without_recall(node, ports, message_id):
    users = users_of("bare", 20)
    with BareNode(driver=DRIVERS[-1], users=users,
                  extra=LISTEN % ports["bare"]):
        result = run_shell(node, *named(users + HERE[:1]), "--", message_id)
    assert result.code == EX_TEMPFAIL
    assert [row["username"] for row in of_node(result, "bare")] == users
    errors = {row["error"] for row in of_node(result, "bare")}
    assert len(errors) == 1 and \
        "failed the command: its log says why" in errors.pop()
    assert result.status(HERE[0]) == "not_found"


def test_node_that_knows_no_batches(node, fake, message_id):
    """It refuses the first one, and is not asked like that again."""
    fake.script(lambda users: b"\n-USAGE\n" if len(users) > 1 else
                verdict_row(users[0]) + b"\n+\n", serve=True)
    users = users_of("fake", 20)
    result = run_shell(node, *named(users), "--", message_id)
    assert result.code == 0
    assert result.statuses() == dict.fromkeys(users, "expunged")
    assert [len(asked) for asked in fake.asked_for()].count(2) == 1
    assert sum(len(asked) == 1 for asked in fake.asked_for()) == 20
    # nor are those who come after that: batches of 1, 2, 4, and 5 of a second's
    fake.commands.clear()
    users = users_of("fake", COUNT)
    result = run_shell(node, *named(users), "--max-rate=20", "--", message_id)
    assert result.statuses() == dict.fromkeys(users, "expunged")
    batches = [asked for asked in fake.asked_for() if len(asked) > 1]
    assert 1 <= len(batches) < 9


def test_refused_while_others_wait(node, fake, other_fake, message_id):
    """Who comes after a node has refused a batch does not overtake those who
    wait for the next one to be full."""
    def refuse(users):
        if len(users) == 1:
            return verdict_row(users[0]) + b"\n+\n"
        # when the other node is asked somebody waits, and the next one's turn
        # comes a while later
        assert other_fake.asked.wait(PATIENCE)
        return b"\n-USAGE\n"
    fake.script(refuse, serve=True)
    other_fake.script(lambda users: b"".join(map(verdict_row, users)) +
                      b"\n+\n", serve=True)
    users = users_of("fake", 6)
    asked = users[:4] + users_of("later", 1) + users[4:]
    result = run_shell(node, *named(asked), "--max-rate=10", "--", message_id)
    assert result.statuses() == dict.fromkeys(asked, "expunged")
    assert [row["username"] for row in of_node(result, "fake")] == users
    assert fake.asked_for()[:2] == [users[:1], users[1:3]]


def alone(users):
    return b"".join(verdict_row(user, "not_found", "0") for user in users) + \
        b"\n+\n"


ME, YOU, OTHER = "user1.fake@example.com", "user2.fake@example.com", HERE[0]

HOSTILE = {
    "somebody else": verdict_row(ME) + verdict_row(OTHER),
    "somebody else alone": verdict_row(OTHER),
    "one twice": verdict_row(ME) + verdict_row(ME) + verdict_row(YOU),
    "an earlier one": verdict_row("user0.fake@example.com") +
    verdict_row(ME),
    "a name with more": verdict_row(ME + " ") + verdict_row(YOU),
    "too much": verdict_row(ME).replace(b"guid", b"x" * 17000000) +
    verdict_row(YOU),
}


@pytest.mark.parametrize("which", HOSTILE)
@pytest.mark.log_errors("fake@example.com|Node 127.0.0.1")
def test_node_speaks_for_its_own_users_alone(node, fake, message_id, which):
    """An answer with anybody else in it counts for nobody: each is asked for by
    a command of its own."""
    fake.script(lambda users: HOSTILE[which] + b"\n+\n" if len(users) > 1
                else alone(users), serve=True)
    users = users_of("fake", 3)
    result = run_shell(node, *named(users + [OTHER]), "--", message_id)
    assert result.statuses() == dict.fromkeys(users + [OTHER], "not_found")
    assert len(result.rows) == 4
    assert sorted(fake.asked_for()) == \
        sorted([[users[0]], users[1:], [users[1]], [users[2]]])


@pytest.mark.parametrize("which", ["one twice", "too much"])
@pytest.mark.log_errors("later@example.com|Node 127.0.0.1")
def test_node_is_asked_for_several_no_more(node, other_fake, message_id,
                                           which):
    """After such an answer."""
    def answer(users):
        row = verdict_row(users[0], "not_found", "0")
        if len(users) > 1 and which == "one twice":
            row += row
        elif len(users) > 1:
            row = row.replace(b"guid", b"x" * 17000000)
        return row + b"\n+\n"
    other_fake.script(answer, serve=True)
    users = users_of("later", 12)
    # for another name of a user its answer is waited for
    asked = users[:3] + ["alias1.later@example.com"] + users[3:]
    result = run_shell(node, *named(asked), "--", message_id)
    assert result.statuses() == dict.fromkeys(asked, "not_found")
    assert [users for users in other_fake.asked_for() if len(users) > 1] == \
        [users[1:3]]


def test_exit_code_of_several(node, fake, message_id):
    """It is the command's, whatever the rows say."""
    fake.script(lambda users: b"".join(map(verdict_row, users)) +
                (b"\n-TEMPFAIL\n" if len(users) > 1 else b"\n+\n"),
                serve=True)
    users = users_of("fake", 3)
    result = run_shell(node, *named(users), "--", message_id)
    assert result.statuses() == dict.fromkeys(users, "expunged")
    assert result.code == EX_TEMPFAIL
    assert len(fake.commands) == 2


def test_node_that_leaves_all_out(node, fake, message_id):
    """They are not asked for again: it was no failure."""
    fake.script(lambda users: alone(users) if len(users) == 1 else b"\n+\n",
                serve=True)
    users = users_of("fake", 3)
    result = run_shell(node, *named(users), "--", message_id)
    assert result.statuses() == {users[0]: "not_found", users[1]: "error",
                                 users[2]: "error"}
    assert fake.asked_for() == [users[:1], users[1:]]


@pytest.mark.log_errors("fake@example.com")
def test_node_that_names_somebody_else(node, fake, message_id):
    """Also where it is asked about one user."""
    fake.script(verdict_row(OTHER) + b"\n+\n")
    user, = users_of("fake", 1)
    result = run_shell(node, *named([user, OTHER]), "--", message_id)
    assert result.code == EX_TEMPFAIL
    assert result.statuses() == {user: "error", OTHER: "not_found"}
    assert "answers for another user" in result.row(user)["error"]


def test_node_that_leaves_somebody_out(node, fake, message_id):
    fake.script(lambda users: alone(users[:-1]) if len(users) > 1 else
                alone(users), serve=True)
    users = users_of("fake", 3)
    result = run_shell(node, *named(users), "--", message_id)
    assert result.statuses() == {users[0]: "not_found", users[1]: "not_found",
                                 users[2]: "error"}
    assert "no answer" in result.row(users[2])["error"]


def found(user, count=2):
    """Rows of a search."""
    return b"".join(b"\t".join([user.encode()] + [b"x"] * 10 + [b"", b""])
                    for _ in range(count))


def test_search_that_finds_several(node, fake):
    """Of one user of a batch: it is what was asked for."""
    fake.script(lambda users: b"".join(found(user) for user in users) +
                b"\n+\n", serve=True)
    users = users_of("fake", 3)
    result = http(node, "recallSearch", users=users,
                  messageId="<a@example.com>")
    assert columns(result, "username") == [
        (user,) for user in users for _ in range(2)]
    assert fake.asked_for() == [users[:1], users[1:]]


def test_search_under_two_names(node, backs, message_id):
    """Of one user whose names follow each other: each has its own rows."""
    users = users_of("one", 8)
    asked = [users[0], users[7], ALIASES[0], users[1]]
    deliver(backs, message_id, (0, 7))
    result = http(node, "recallSearch", users=asked, messageId=message_id)
    assert columns(result, "username", "error") == [
        (users[0], ""), (users[7], ""), (ALIASES[0], "")]


@pytest.mark.log_errors("fake@example.com: Node")
def test_search_that_breaks_off(node, fake):
    """What a batch had found by then is shown once."""
    fake.script(lambda users: found(users[0]) if len(users) > 1 else
                found(users[0]) + b"\n+\n", serve=True)
    users = users_of("fake", 3)
    result = http(node, "recallSearch", users=users,
                  messageId="<a@example.com>")
    assert columns(result, "username") == [
        (user,) for user in users for _ in range(2)]


def test_search_that_is_killed(node, fake):
    """What was found is shown, and that it's not all."""
    users = users_of("fake", 3)
    fake.script(lambda asked: found(asked[0]) if len(asked) > 1 else
                found(asked[0]) + b"\n+\n", serve=True, hang=True)
    process = subprocess.Popen(
        node.doveadm_command("-f", "tab", "recall", "search", *named(users),
                             "<a@example.com>"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(fake.commands) == 2)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.code == EX_TEMPFAIL
    rows = columns(result, "username", "uid", "error")
    for user in users[1:]:
        error, = [row[2] for row in rows if row[0] == user and not row[1]]
        assert "Killed with signal" in error
    # as far as it had heard
    assert {row for row in rows if row[1]} <= {
        (user, "x", "") for user in users[:2]}


def test_somebody_else_and_then_killed(node, fake, message_id):
    """Nothing counts of a batch that has anybody else in it, also if nobody can
    be asked once more."""
    users = users_of("fake", 3)
    fake.script(lambda asked: verdict_row(ME) + verdict_row(OTHER)
                if len(asked) > 1 else alone(asked), serve=True, hang=True)
    process = launch(node, *named(users), "--", message_id)
    wait_for(lambda: len(fake.commands) == 2)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.code == EX_TEMPFAIL
    assert [row["username"] for row in result.rows] == users
    assert [result.status(user) for user in users[1:]] == ["error"] * 2


def test_killed_before_it_is_known_who_has_moved(node, fake, message_id):
    """That there is nothing where the user was before is no answer, as long as
    the passdb has not been asked once more."""
    users = users_of("fake", 6)
    fake.script(lambda asked: b"".join(
        verdict_row(user, *("expunged", "1") if user == asked[0] else
                    ("not_found", "0")) for user in asked)
                if len(asked) > 1 else alone(asked), serve=True, hang=True)
    process = launch(node, *named(users), "--", message_id)
    assert fake.hanging.wait(PATIENCE)
    wait_for(fake.all_is_read)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert result.code == EX_TEMPFAIL
    assert [row["username"] for row in result.rows] == users
    # of whom it knows that they have not; and of one no more than was done
    assert [result.status(user) for user in users] == \
        ["not_found", "expunged"] + ["error"] * 4, result


def converse(port, password, line):
    """What a doveadm-server says to a command."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        stream = connection.makefile("rwb")
        login = base64.b64encode(b"\0doveadm\0" + password.encode())
        # a client that knows of no channels
        stream.write(b"VERSION\tdoveadm-server\t1\t0\n")
        stream.flush()
        assert stream.readline() == b"-\n"
        stream.write(b"PLAIN\t" + login + b"\n")
        stream.flush()
        assert stream.readline() == b"+\n"
        stream.write(line)
        stream.flush()
        connection.shutdown(socket.SHUT_WR)
        return stream.read()


@pytest.mark.log_errors("future|recall expunge")
def test_parameters_of_later_versions(backs, ports, message_id):
    """A node refuses what it does not know before it does anything."""
    user = users_of("one")[0]
    deliver(backs, message_id, [0])
    answer = converse(ports["one"], backs["one"].doveadm_password,
                      ("\t%s\trecall expunge\t--future-users=%s\t--\t%s\n" %
                       (user, user, message_id)).encode())
    assert answer == b"\n-USAGE\n"
    assert message_id.encode() in backs["one"].messages(user)[-1]


def test_priority_goes_along(node, fake, message_id):
    fake.script(alone, serve=True)
    for args, wanted in ([["--priority=low"], "low"], [[], "normal"]):
        fake.commands.clear()
        result = run_shell(node, "-u", "*.fake@*", *args, "--", message_id)
        assert len(result.rows) == COUNT
        assert all("--priority=" + wanted in words for words in fake.commands
                   if len(words) > 10 and "--node-users" in "".join(words))
        assert max(map(len, fake.asked_for())) > 1


def test_max_rate(node, fake, message_id):
    """It holds for users of other nodes, too."""
    fake.script(alone, serve=True)
    begun = time.monotonic()
    result = run_shell(node, *named(users_of("fake", 24)), "--max-rate=20",
                       "--", message_id)
    assert len(result.rows) == 24
    # never less, however slow the machine is
    assert time.monotonic() - begun >= 23 / 20
    assert max(map(len, fake.asked_for())) <= 5
    # a few at a time are still a batch
    fake.commands.clear()
    result = run_shell(node, *named(users_of("fake", 4)), "--max-rate=8",
                       "--", message_id)
    assert len(result.rows) == 4
    assert sorted(map(len, fake.asked_for())) == [1, 1, 2]


@pytest.mark.parametrize("name", ["recallExpunge", "recallSearch"])
@pytest.mark.log_errors("is for nodes")
def test_only_nodes_ask_like_that(node, name):
    result = http(node, name, users=HERE[:1], nodeUsers=HERE[:1],
                  messageId="<a@example.com>")
    assert (result.rows, result.code) == ([], EX_USAGE)


@pytest.mark.log_errors("Connection refused")
def test_node_that_proxies_on(backs, ports, message_id):
    """A node between: some users are its own, others' mail is elsewhere."""
    middle = free_port()
    own = users_of("middle", 10)
    far = [user for name in ("one", "two", "dead")
           for user in users_of(name, 10)]
    deliver(backs, message_id, range(5))
    with front(ports, own + far, extra=LISTEN % middle) as between, \
            front(dict.fromkeys(["one", "two", "dead", "middle"], middle),
                  own + far) as node:
        between.lmtp_deliver(own[:5], build_message(message_id))
        result = run_shell(node, *named(own + far), "--no-notify", "--",
                           message_id)
        assert between.panics() == node.panics() == []
    assert [row["username"] for row in result.rows] and \
        sorted(row["username"] for row in result.rows) == sorted(own + far)
    for name in ("one", "two", "middle"):
        assert [result.status(user) for user in users_of(name, 10)] == \
            ["expunged"] * 5 + ["not_found"] * 5
    for user in users_of("dead", 10):
        assert (result.status(user), "refused" in
                result.row(user)["error"]) == ("error", True)


@pytest.mark.parametrize("connections", [1, 3])
def test_several_connections(ports, backs, message_id, connections):
    deliver(backs, message_id, (1, 20))
    asked = mixed(users_of("one", COUNT), users_of("two", COUNT))
    with front(ports, asked, extra="doveadm_worker_count = %d\n" %
               connections) as node:
        result = run_shell(node, *named(asked), "--no-notify", "--",
                           message_id)
        assert node.panics() == []
    assert len(result.rows) == 2 * COUNT
    for name in backs:
        assert [result.status(user) for user in users_of(name, COUNT)] == [
            "expunged" if number in (1, 20) else "not_found"
            for number in range(COUNT)]


def test_last_ones_on_several_connections(ports, fake, message_id):
    """Those who are left in the end go to all connections alike."""
    users = users_of("fake", 12)
    fake.script(alone, serve=True)
    with front(ports, users, extra="doveadm_worker_count = 3\n") as node:
        result = run_shell(node, *named(users), "--", message_id)
    assert result.statuses() == dict.fromkeys(users, "not_found")
    # three of one, three of two, and of the rest no two
    assert sorted(map(len, fake.asked_for())) == [1] * 6 + [2] * 3
