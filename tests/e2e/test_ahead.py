"""auth is asked about the users who come next while one is worked on: what comes of
it is what it would be if each were asked about when it is due."""

import contextlib
import functools
import os
import pathlib
import signal
import threading

import pytest

from conftest import parse_tab, run_http, run_shell
from faults import Held, down, wait_for
from mailnode import DOVECOT_24, MailNode, build_message
from quarantine import make_node

USERS = ["user%02d@example.com" % number for number in range(24)]
MARKER = "marker"
# auth's lookups, those that a process waited for, and users done
METRICS = "".join("""
metric %s {
  filter = event=%s
}
""" % pair for pair in {
    "asked": "auth_userdb_request_finished AND NOT user=" + MARKER,
    "marked": "auth_userdb_request_finished AND user=" + MARKER,
    "waited": "auth_client_userdb_lookup_finished AND NOT user=" + MARKER,
    "done": "recall_finished",
}.items())
# RECALL_AHEAD_USERS of doveadm-recall-ahead.h
AHEAD = 8
# times to try what depends on how long others keep the processors: an answer
# that is older than two seconds is asked for again
TRIES = 30


@pytest.fixture(scope="module")
def node():
    with make_node("sdbox", USERS, extra=METRICS,
                   mail_plugins=["notify", "recall"]) as node:
        yield node
        assert node.panics() == []


def metrics(node):
    rows = parse_tab(node.doveadm("-f", "tab", "stats", "dump").stdout)
    return {row["metric_name"]: int(row["count"]) for row in rows}


def counts(node):
    """All that auth has answered by now is in there."""
    before = metrics(node)["marked"]
    node.doveadm("user", MARKER, check=False)
    wait_for(lambda: metrics(node)["marked"] > before)
    return metrics(node)


def recall(node, users, message_id, **more):
    return run_http(node, users=users, messageId=message_id, noNotify=True,
                    jobs=1, **more)


def deliver(node, users, message_id):
    """As a mail server does: until it is taken. LMTP may have known an auth that is
    gone."""
    left = list(users)

    def done():
        answers = node.lmtp_deliver(left, build_message(message_id),
                                    check=False)
        left[:] = [user for user in left if answers[user][0] != 250]
        return not left
    wait_for(done)


@contextlib.contextmanager
def started(node, users, message_id):
    """A recall that goes on meanwhile; its result is the only element then."""
    results = []
    thread = threading.Thread(target=lambda: results.append(
        recall(node, users, message_id)))
    thread.start()
    yield results
    thread.join()


def held_first(node, message_id):
    deliver(node, USERS, message_id)
    return Held(node, USERS[0])


@contextlib.contextmanager
def known_ahead(node, message_id):
    """A recall that is held up at the first user until the block ends, while auth
    has answered for the next ones. Gives its results, and the counts before."""
    with held_first(node, message_id) as held:
        before = counts(node)
        with started(node, USERS, message_id) as results:
            wait_for(held.waiting)
            wait_for(lambda: counts(node)["asked"] - before["asked"] ==
                     1 + AHEAD)
            yield results, before
            held.file.close()


def test_next_ones_are_known_already(node, message_id):
    with known_ahead(node, message_id) as (results, before):
        assert counts(node)["done"] == before["done"]
    assert results[0].statuses() == dict.fromkeys(USERS, "expunged")
    assert [row["username"] for row in results[0].rows] == USERS


@pytest.mark.parametrize("how", ["names", "everyone", "file"])
def test_nobody_waits(node, message_id, tmp_path, how):
    path = tmp_path / "users"
    path.write_text("".join(user + "\n" for user in USERS))
    for _ in range(TRIES):
        before = counts(node)
        if how == "names":
            rows = recall(node, USERS, message_id).rows
        elif how == "everyone":
            rows = run_http(node, allUsers=True, messageId=message_id,
                            noNotify=True).rows
        else:
            rows = run_shell(node, "--jobs=1", "-F", path, message_id).rows
        assert sorted(row["username"] for row in rows) == USERS
        wait_for(lambda: counts(node)["done"] - before["done"] == len(USERS))
        waited = counts(node)["waited"] - before["waited"]
        assert waited > 0
        if waited == 1:
            break
    else:
        raise AssertionError("auth was waited for each time")


def test_one_user(node, message_id):
    """Nothing is asked about anybody else."""
    before = counts(node)
    assert recall(node, USERS[:1], message_id).status() == "not_found"
    wait_for(lambda: counts(node)["done"] > before["done"])
    after = counts(node)
    assert {name: after[name] - before[name]
            for name in ("asked", "waited", "done")} == \
        {"asked": 1, "waited": 1, "done": 1}


@pytest.fixture(scope="module")
def all_sorts():
    """Users of whom auth says something else than that they are there."""
    names = ["plain%d@example.com" % number for number in range(4)]
    node = make_node("sdbox", names, extra=METRICS,
                     mail_plugins=["notify", "recall"])
    node.initial_users.update({
        "alias@example.com": {"user": names[1],
                              "home": str(node.home(names[1]))},
        "again@example.com": {"user": names[1],
                              "home": str(node.home(names[1]))},
        "down@example.com": {"tempfail": "yes"},
        "because@example.com": {"tempfail": "yes", "reason": "Closed"},
        "root@example.com": {"uid": "0"},
        "young@example.com": {"uid": "1"},
        "nogroup@example.com": {"gid": "nobodys-group"},
        "relative@example.com": {"home": "not/absolute"},
        "elsewhere@example.com": {
            "mail": "sdbox:%s/other" % node.home("elsewhere@example.com")},
        "broken@example.com": {"mail": "sdbox:/dev/null/mail"},
        "wrong@example.com": {"mail": "nothing:/known"},
        "nice@example.com": {"nice": "1"},
        "german@example.com": {"lang": "de"},
        "chroot@example.com": {"chroot": "/nowhere"},
        "proxy@example.com": {"proxy": "y", "host": "192.0.2.1",
                              "nologin": "y"},
        "quarantine@example.com": {"recall_quarantine": "Elsewhere/"},
        "days@example.com": {"recall_quarantine_keep": "some-days"},
    })
    with node:
        yield node
        assert node.panics() == []


OTHERS = ["missing@example.com", "", "a\tb@example.com",
          "c\nUSER\t9\tplain3@example.com", "*", "x" * 300]


@pytest.mark.log_errors("")
@pytest.mark.parametrize("how", ["names", "everyone"])
def test_all_sorts_of_answers(all_sorts, message_id, recall_id, how):
    """Together they have the rows that they have one by one."""
    node = all_sorts
    names = sorted(node.users)
    assert len(names) > 2 * AHEAD
    for user in names:
        node.lmtp_deliver([user], build_message(message_id), check=False)
    # not all in one window, and some twice
    asked = OTHERS[:2] + names + OTHERS[2:] + names[::-1]
    if how == "everyone":
        asked = names
    ask = {"dryRun": True, "recallId": recall_id}
    alone = {}
    for user in asked:
        alone[user], = recall(node, [user], message_id, **ask).rows
    if how == "everyone":
        together = run_http(node, allUsers=True, messageId=message_id,
                            noNotify=True, jobs=1, **ask).rows
        # of the names of one mailbox only the first is looked at
        assert {row["username"] for row in together} | {
            "alias@example.com", "plain1@example.com"} == set(names)
    else:
        together = recall(node, asked, message_id, **ask).rows
        assert [row["username"] for row in together] == \
            list(dict.fromkeys(asked))
    assert together == [alone[row["username"]] for row in together]
    assert {row["status"] for row in together} >= \
        {"would_expunge", "error"}


@pytest.mark.log_errors("")
def test_failure_is_an_answer(all_sorts, message_id):
    """Nobody waits for another one: auth is asked again about that user alone,
    who then is an error, and not about all who come next."""
    node = all_sorts
    # auth's greeting has the number of the first one who is asked about
    users = ["plain0@example.com", "plain1@example.com", "down@example.com",
             "plain2@example.com", "plain3@example.com"]
    for _ in range(TRIES):
        before = counts(node)
        rows = recall(node, users, message_id).rows
        assert [row["status"] for row in rows] == \
            ["not_found"] * 2 + ["error"] + ["not_found"] * 2
        asked = counts(node)["asked"] - before["asked"]
        assert asked > len(users)
        if asked == len(users) + 1:
            break
    else:
        raise AssertionError("auth was asked about others again each time")


class Homeless(MailNode):
    """Homes are what the settings say, not the userdb."""

    def _write_users(self):
        super()._write_users()
        path = self.dir / "users"
        text = path.read_text()
        for user in self.users:
            text = text.replace(str(self.home(user)), "")
        path.write_text(text)

    def _configuration(self):
        return super()._configuration() + "mail_home = %s/mail/%s\n" % (
            self.dir, "%{user}" if DOVECOT_24 else "%u")


def test_users_without_a_home(message_id, tmp_path, monkeypatch):
    """Dovecot 2.3 has those who are not looked up live in $HOME."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "users"
    path.write_text("".join(user + "\n" for user in USERS[:4]))
    with Homeless(driver="sdbox", users=USERS[:4],
                  mail_plugins=["notify", "recall"]) as node:
        deliver(node, USERS[:4], message_id)
        result = run_shell(node, "--no-notify", "--jobs=1", "-F", path,
                           message_id)
        assert result.statuses() == dict.fromkeys(USERS[:4], "expunged")
        assert {node.count(user) for user in USERS[:4]} == {0}
        assert [path.name for path in tmp_path.iterdir()] == ["users"]
        assert node.errors() == []


def auth_pids(node):
    return [int(pid) for pid, name in node._children().items()
            if name == "auth"]


def send(pids, signo):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signo)


@pytest.mark.log_errors("auth|[Ll]ookup")
def test_auth_is_restarted(node, message_id):
    """What it had answered goes with it; the next one is asked."""
    with known_ahead(node, message_id) as (results, _):
        old = auth_pids(node)
        send(old, signal.SIGTERM)
        wait_for(lambda: not set(old) & set(auth_pids(node)))
    statuses = results[0].statuses()
    # the ordinary lookups' connection has ended, too, which one of them finds
    failed = [user for user in USERS if statuses[user] == "error"]
    assert len(failed) <= 1
    assert {**statuses, **dict.fromkeys(failed, "expunged")} == \
        dict.fromkeys(USERS, "expunged")
    assert recall(node, USERS, message_id).statuses() == {
        user: "expunged" if user in failed else "not_found" for user in USERS}
    assert {node.count(user) for user in USERS} == {0}


def loops(pid):
    """The ordinary lookup waits in a loop of its own."""
    found = []
    for path in pathlib.Path("/proc/%d/fd" % pid).iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(path))
    return found.count("anon_inode:[eventpoll]")


@pytest.mark.log_errors("auth|[Ll]ookup")
@pytest.mark.parametrize("then", [
    contextlib.nullcontext, functools.partial(down, name="auth-userdb")],
    ids=["there", "unreachable"])
def test_answers_that_are_late(node, message_id, then):
    """Nobody waits for ever: the ordinary lookup, which has its own limit, asks
    once more. Nor does it end anything if nobody can be asked ahead then: who has
    a connection to auth keeps it, and there are no new ones."""
    with held_first(node, message_id) as held, \
            contextlib.ExitStack() as stack:
        before = counts(node)
        with started(node, USERS, message_id) as results:
            worker = wait_for(held.waiting)
            wait_for(lambda: counts(node)["asked"] - before["asked"] ==
                     1 + AHEAD)
            there = loops(worker)
            stopped = auth_pids(node)
            send(stopped, signal.SIGSTOP)
            try:
                held.file.close()
                wait_for(lambda: loops(worker) > there)
                stack.enter_context(then(node))
            finally:
                send(stopped, signal.SIGCONT)
    assert results[0].statuses() == dict.fromkeys(USERS, "expunged")
