"""One recall spread over several processes (--jobs)."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from conftest import EX_TEMPFAIL, EX_USAGE, parse_tab, run_http, \
    run_shell
from faults import Held, doveadm_children, wait_for
from mailnode import DOVEADM, DOVECOT_24, PATIENCE, build_message
from servicenode import RecallNode

USERS = ["user%02d@example.com" % number for number in range(24)]
ALIAS = "alias@example.com"
SEARCH = ["-f", "tab", "recall", "search"]


@pytest.fixture(scope="module")
def node():
    # a process serves one request, as Dovecot ships it
    with RecallNode(users=USERS, doveadm_requests=1) as node:
        node.add_users({ALIAS: {"user": USERS[7],
                                "home": node.home(USERS[7])}})
        yield node
        assert node.panics() == []


def deliver(node, message_id, users):
    for user in users:
        node.lmtp_deliver([user], build_message(message_id))


def named(users):
    return ["--users=" + user for user in users]


def columns(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def recall(node, *args, jobs=2):
    return run_shell(node, "--no-notify", "--jobs=%d" % jobs, *args)


def test_every_user_has_a_row_in_order(node, message_id):
    users = USERS[::-1] + ["nobody@example.com", ""] + USERS[:3]
    deliver(node, message_id, USERS[::2])
    done = recall(node, *named(users), "--", message_id)
    wanted = [(user, "expunged" if user in USERS[::2] else "not_found")
              for user in USERS[::-1]]
    assert columns(done.rows, "username", "status") == \
        wanted + [("nobody@example.com", "no_user"), ("", "no_user")]
    assert len(set(columns(done.rows, "recall-id"))) == 1
    # this process's alone says the same
    alone = recall(node, *named(users), "--", message_id, jobs=1)
    assert columns(alone.rows, "username") == columns(done.rows, "username")


@pytest.mark.parametrize("users", [["-A"], ["-u", "user*"]])
def test_all(node, users, message_id):
    deliver(node, message_id, USERS[:3])
    alone = recall(node, "--dry-run", *users, "--", message_id, jobs=1)
    done = recall(node, "--dry-run", *users, "--", message_id, jobs=3)
    keys = "username", "status", "copies", "mailboxes", "mailbox-user"
    assert columns(done.rows, *keys) == columns(alone.rows, *keys)
    assert "3 messages would be deleted" in done.stderr
    done = recall(node, *users, "--hits", "--", message_id)
    assert columns(done.rows, "username", "status") == [
        (user, "expunged") for user in USERS[:3]]
    # an alias without the message has no row to be known by
    aliases = 1 if users == ["-A"] else 0
    assert "Info: %d users were looked at" % (len(alone.rows) + aliases) in \
        done.stderr
    assert "not_found" not in done.stderr


@pytest.mark.skipif(DOVECOT_24, reason="their debug lines stay there")
def test_users_do_belong_to_processes(node, message_id):
    """It is doveadm-server's processes that open the mailboxes."""
    node_log = node.log_size()
    command = node.doveadm_command(
        "-D", "recall", "expunge", "-A", "--jobs=2", "--no-notify", "--",
        message_id)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    # debug lines of theirs come with the name of their socket
    assert "doveadm-server)" in done.stderr
    assert node.errors(node_log) == []


def test_names_of_one_mailbox_have_one_verdict(node, message_id):
    deliver(node, message_id, [USERS[7]])
    users = [ALIAS] + USERS[:12]
    done = recall(node, *named(users), "--", message_id, jobs=4)
    keys = "status", "copies", "mailbox-user"
    assert columns([done.row(ALIAS)], *keys) == \
        columns([done.row(USERS[7])], *keys) == \
        [("expunged", "1", USERS[7])]


def test_names_of_one_mailbox_in_one_part(message_id):
    """Listed one after the other: one process has both."""
    names = ["also@example.com", USERS[0]]
    with RecallNode(users=USERS) as node:
        node.add_users({names[0]: {"user": names[1],
                                   "home": node.home(names[1])}})
        deliver(node, message_id, [names[1], USERS[5]])
        found = [parse_tab(node.doveadm(*SEARCH, "-A", "--jobs=%d" % jobs,
                                        "--", message_id).stdout)
                 for jobs in (1, 2)]
        assert found[0] == found[1] != []
        dry = [columns(recall(node, "-A", "--dry-run", "--", message_id,
                              jobs=jobs).rows, "username", "status", "error")
               for jobs in (1, 2)]
        assert dry[0] == dry[1]
        done = recall(node, "-A", "--", message_id)
        assert done.code == 0
        assert columns([row for row in done.rows
                        if row["status"] != "not_found"],
                       "username", "status") == [
            (names[0], "expunged"), (USERS[5], "expunged")]
        again = recall(node, *named(names + USERS[1:]), "--", message_id)
        assert {row["status"] for row in again.rows} == {"not_found"}
        assert node.panics() == []


def test_search_and_index_and_restore(node, message_id):
    deliver(node, message_id, USERS[5:9])
    found = [parse_tab(node.doveadm(*SEARCH, "-A", "--jobs=%d" % jobs, "--",
                                    message_id).stdout) for jobs in (1, 3)]
    assert found[0] == found[1]
    # by the alias, which comes first
    assert columns(found[1], "mailbox-user") == \
        [(USERS[number],) for number in (7, 5, 6, 8)]
    index = [parse_tab(node.doveadm("-f", "tab", "recall", "index", "-A",
                                    "--jobs=%d" % jobs).stdout)
             for jobs in (1, 3)]
    # a mailbox has one row, whichever process looks at its names
    assert columns(index[0], "username", "mailbox", "mailbox-user") == \
        columns(index[1], "username", "mailbox", "mailbox-user") != []
    guids = columns(index[1], "mailbox-guid")
    assert len(set(guids)) == len(guids)
    assert (ALIAS, USERS[7]) in columns(index[1], "username", "mailbox-user")
    assert (USERS[7],) not in columns(index[1], "username")
    done = [parse_tab(node.doveadm("-f", "tab", "recall", "restore", "-A",
                                   "--jobs=%d" % jobs, "0" * 32).stdout)
            for jobs in (1, 3)]
    assert columns(done[0], "username", "status") == \
        columns(done[1], "username", "status") != []


def launch(node, *args, jobs=2):
    return subprocess.Popen(
        node.doveadm_command("-f", "tab", "recall", "expunge", "--no-notify",
                             "--jobs=%d" % jobs, *args),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_process_costs_its_own_users(message_id):
    with RecallNode(users=USERS) as node:
        kill_worker(node, message_id)
        assert all("killed with signal 9" in line for line in node.panics())


def kill_worker(node, message_id):
    deliver(node, message_id, [USERS[0], USERS[12], USERS[23]])
    with Held(node, USERS[12]) as held:
        process = launch(node, *named(USERS), "--", message_id)
        victim = wait_for(held.waiting)
        assert victim != process.pid
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
    rows = parse_tab(out)
    assert columns(rows, "username") == [(user,) for user in USERS]
    statuses = {row["username"]: row["status"] for row in rows}
    assert statuses[USERS[0]] == statuses[USERS[23]] == "expunged"
    failed = [user for user in USERS if statuses[user] == "error"]
    # with the rest of its batch, for which nobody has answered
    assert failed == USERS[12:12 + len(failed)] and len(failed) <= 3, rows
    assert process.returncode == EX_TEMPFAIL
    assert "doveadm-server failed" in err
    # once more, and all is as if nothing had been
    again = recall(node, *named(USERS), "--", message_id)
    assert [row["username"] for row in again.rows
            if row["status"] == "expunged"] == [USERS[12]]


def opens_pipe(pid):
    """Whether the process waits for somebody at the other end of one."""
    try:
        return "partner" in pathlib.Path("/proc/%d/wchan" % pid).read_text()
    except OSError:
        return False


def test_killed_process_has_not_found_all():
    """Of a user who had some rows by then others are missing."""
    first, second = USERS[:2]
    with RecallNode(users=[first, second], driver="maildir") as node:
        for number in range(60):
            node.lmtp_deliver([first, second], build_message(
                "<%d@example.com>" % number, subject="x" * 900,
                body="needle\n"))
        node.lmtp_deliver([first], build_message(body="needle, the last\n"))
        search = [*SEARCH, "--jobs=2", *named([first, second]), "--", "query",
                  "BODY", "needle"]
        assert len(parse_tab(node.doveadm(*search).stdout)) == 121
        path, = [path for path in node.home(first).rglob("*")
                 if path.parent.name in ("new", "cur") and
                 b"the last" in path.read_bytes()]
        path.unlink()
        os.mkfifo(path)
        process = subprocess.Popen(node.doveadm_command(*search), text=True,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        victim = wait_for(lambda: next(filter(opens_pipe,
                                              doveadm_children(node)), None))
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
        assert all("killed with signal 9" in line for line in node.panics())
    rows = parse_tab(out)
    errors = columns(filter(lambda row: row["error"], rows), "username", "uid")
    assert errors == [(first, "")], (process.returncode, err)
    assert 1 < columns(rows, "username").count((first,)) <= 61
    assert columns(rows, "username").count((second,)) == 60
    assert process.returncode == EX_TEMPFAIL


@pytest.mark.parametrize("jobs", [1, 2])
def test_alias_joins_an_order_later(node, message_id, recall_id, jobs):
    """Whose mailbox it is, is known once it was looked at; what comes between
    that and the end of the command is recalled, too."""
    others, since = node.count(USERS[7]), node.log_size()
    deliver(node, message_id, [USERS[7], USERS[12]])
    with Held(node, USERS[12]) as held:
        process = launch(node, *named([ALIAS, USERS[12]]), "--stand=1h",
                         "--recall-id=" + recall_id, "--", message_id,
                         jobs=jobs)
        wait_for(held.waiting)
        # one after the other, or the second process has been at it: until
        # then it looks whether there is another one
        if jobs > 1:
            node.wait_log(r"%s.*recall %s: <.*> expunged," % (
                re.escape(USERS[7]), recall_id), since)
        deliver(node, message_id, [USERS[7]])
        assert node.count(USERS[7]) == others + 1
        held.file.close()
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert columns(parse_tab(out), "username", "status", "copies") == [
        (ALIAS, "expunged", "1"), (USERS[12], "expunged", "1")]
    assert node.count(USERS[7]) == others
    late = parse_tab(node.doveadm("-f", "tab", "recall", "standing", "late",
                                  recall_id).stdout)
    assert columns(late, "username", "copies") == [(USERS[7], "1")]
    deliver(node, message_id, [USERS[7]])
    assert node.count(USERS[7]) == others
    node.doveadm("recall", "standing", "end", recall_id)


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(node, message_id, signo):
    deliver(node, message_id, USERS)
    with Held(node, USERS[12]) as held:
        process = launch(node, *named(USERS), "--", message_id)
        worker = wait_for(held.waiting)
        process.send_signal(signo)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == EX_TEMPFAIL
        rows = parse_tab(out)
        assert columns(rows, "username") == [(user,) for user in USERS]
        row, = [row for row in rows if row["username"] == USERS[12]]
        assert (row["status"], "signal" in row["error"]) == ("error", True)
    # who works for a command that is gone goes on to no other user
    wait_for(lambda: not pathlib.Path("/proc/%d" % worker).exists())
    assert [node.count(user) for user in USERS[12:14]] == [0, 1]
    again = recall(node, *named(USERS), "--", message_id)
    assert [row["status"] for row in again.rows[12:14]] == \
        ["not_found", "expunged"]


def test_over_http(node, message_id):
    deliver(node, message_id, USERS[3:5])
    rows = [run_http(node, users=USERS[::-1], messageId=message_id,
                     dryRun="true", **jobs).rows
            for jobs in ({}, {"jobs": "3"})]
    for row in rows[0] + rows[1]:
        del row["recall-id"]
    assert rows[0] == rows[1]
    assert columns(rows[1], "username") == [(user,) for user in USERS[::-1]]


def test_fewer_processes_than_jobs(message_id):
    """Two serve at most: the third connection is one that nobody takes."""
    with RecallNode(users=USERS, doveadm_requests=1, extra="""
service doveadm {
  process_limit = 2
}
""") as node:
        deliver(node, message_id, USERS[::2])
        done = recall(node, *named(USERS), "--", message_id, jobs=6)
        assert columns(done.rows, "username", "status") == [
            (user, "not_found" if number % 2 else "expunged")
            for number, user in enumerate(USERS)]
        node.settle_log()
        assert node.panics() == []


class Listed:
    """What a process is like while it works on a user whose mailbox is held."""

    def __init__(self, pid):
        self.nice = os.getpriority(os.PRIO_PROCESS, pid)
        self.ionice = subprocess.run(["ionice", "-p", str(pid)], text=True,
                                     capture_output=True).stdout.strip()


@pytest.mark.parametrize("args,lowered", [
    ([], True), (["--priority=normal"], False), (["--jobs=1"], True),
    (["--priority=low", "-u", "user*"], True), (["-u", "user*"], False)])
def test_priority(node, message_id, args, lowered):
    """A sweep of everyone gives way."""
    deliver(node, message_id, [USERS[12]])
    with Held(node, USERS[12]) as held:
        process = launch(node, *(args if "-u" in args else ["-A"] + args),
                         "--", message_id)
        worker = Listed(wait_for(held.waiting))
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    # the tests may have given way before
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert (worker.nice, worker.ionice) == (
        (max(10, own), "best-effort: prio 7") if lowered else
        (own, worker.ionice))
    assert lowered or "prio 7" not in worker.ionice


@pytest.mark.parametrize("jobs", [1, 2])
def test_max_rate(node, message_id, jobs):
    """No more than that: each user but the first waits for a turn."""
    begun = time.monotonic()
    done = recall(node, *named(USERS[:12]), "--max-rate=20", "--",
                  message_id, jobs=jobs)
    assert len(done.rows) == 12
    # never less, however slow the machine is
    assert time.monotonic() - begun >= 11 / 20


@pytest.mark.skipif(DOVECOT_24, reason="their debug lines stay there")
def test_jobs_max(message_id):
    """The administrator's limit; what is none lets nothing be spread."""
    for limit, spread in (("1", False), ("2", True), ("many", False)):
        with RecallNode(users=USERS[:4], plugin={"recall_jobs_max": limit}) \
                as node:
            done = node.doveadm("-D", "-f", "tab", "recall", "expunge",
                                "--jobs=2", "--no-notify", *named(USERS[:4]),
                                "--", message_id)
            assert ("doveadm-server)" in done.stderr) == spread
            assert ("Not a number of processes: many" in done.stderr) == \
                (limit == "many")


def test_without_a_server(node, message_id, tmp_path):
    """Nobody listens: this process does it all."""
    deliver(node, message_id, USERS[:2])
    conf = tmp_path / "dovecot.conf"
    conf.write_text(node.conf.read_text() +
                    "doveadm_socket_path = %s/none\n" % tmp_path)
    done = subprocess.run(node.inside([
        DOVEADM, "-c", str(conf), "-f", "tab", "recall", "expunge", "-A",
        "--jobs=2", "--no-notify", "--hits", "--", message_id]),
        capture_output=True, text=True)
    assert columns(parse_tab(done.stdout), "username") == \
        [(user,) for user in USERS[:2]]


def test_settings_of_the_command_line(node, message_id):
    """They hold in this process alone, so no other one works on users: mail
    would go that they have a quarantine for."""
    deliver(node, message_id, USERS[:2])
    setting = ("" if DOVECOT_24 else "plugin/") + "recall_quarantine=.NONE/"
    done = node.doveadm("-f", "tab", "-o", setting, "recall", "expunge",
                        "--jobs=2", "--no-notify", *named(USERS[:2]), "--",
                        message_id, check=False)
    assert columns(parse_tab(done.stdout), "username", "status") == \
        [(user, "error") for user in USERS[:2]]
    assert "With -o this process works alone" in done.stderr
    assert [node.count(user) for user in USERS[:2]] == [1, 1]


@pytest.mark.parametrize("option", [
    "--jobs=0", "--jobs=x", "--jobs=1001", "--max-rate=0", "--max-rate=fast",
    "--priority=high"])
def test_refused(node, option, message_id):
    done = run_shell(node, "-A", option, "--", message_id)
    assert (done.code, done.rows) == (EX_USAGE, [])


def test_users_in_parts(node):
    """All of them once, in an order that is the same each time."""
    names = columns(parse_tab(node.doveadm("-f", "tab", "recall", "users")
                              .stdout), "username")
    assert names == sorted(names) and len(set(names)) == len(names)
    assert {(user,) for user in USERS + [ALIAS]} <= set(names)
    for limit in (1, 5, len(names), len(names) + 1):
        parts, after = [], []
        while True:
            part = columns(parse_tab(node.doveadm(
                "-f", "tab", "recall", "users", "--limit=%d" % limit,
                *after).stdout), "username")
            if not part:
                break
            assert len(part) <= limit
            parts += part
            after = ["--after=" + part[-1][0]]
        assert parts == names, limit
    answer = node.doveadm_http([["recallUsers", {
        "after": USERS[3], "limit": "2"}, "t"]])
    assert answer == [["doveadmResponse", [
        {"username": user} for user in USERS[4:6]], "t"]]


@pytest.mark.parametrize("args", [["--limit=0"], ["--limit=x"],
                                  ["--limit=1000001"]])
def test_users_refused(node, args):
    done = node.doveadm("recall", "users", *args, check=False)
    assert (done.returncode, done.stdout) == (EX_USAGE, "")
