"""One recall spread over several processes (--jobs)."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent /
                        "support"))
from conftest import EX_TEMPFAIL, EX_USAGE, parse_tab, run_shell  # noqa: E402
from mailnode import PATIENCE, build_message  # noqa: E402
from servicenode import RecallNode  # noqa: E402

USERS = ["user%02d@example.com" % number for number in range(24)]
ALIAS = "alias@example.com"
SEARCH = ["-f", "tab", "recall", "search"]


@pytest.fixture(scope="module")
def node():
    with RecallNode(users=USERS) as node:
        node.add_users({ALIAS: {"user": USERS[7]}})
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
    assert re.search(r"Info: %d users were looked at" % (len(alone.rows) + 1),
                     done.stderr)
    assert "not_found" not in done.stderr
    assert not any(node.count(user) for user in USERS)


def test_users_do_belong_to_processes(node, message_id):
    """It is doveadm-server's processes that open the mailboxes."""
    node_log = node.log_size()
    command = node.doveadm_command(
        "-D", "recall", "expunge", "-A", "--jobs=2", "--no-notify", "--",
        message_id)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    # debug lines of theirs come with the name of their socket
    assert len(re.findall(r"remote\(\S+doveadm-server\)", done.stderr)) > 0
    assert node.errors(node_log) == []


def test_names_of_one_mailbox_have_one_verdict(node, message_id):
    deliver(node, message_id, [USERS[7]])
    users = [ALIAS] + USERS[:12]
    done = recall(node, *named(users), "--", message_id, jobs=4)
    keys = "status", "copies", "mailbox-user"
    assert columns([done.row(ALIAS)], *keys) == \
        columns([done.row(USERS[7])], *keys) == \
        [("expunged", "1", USERS[7])]


def test_search_and_index_and_restore(node, message_id):
    deliver(node, message_id, USERS[5:9])
    found = [parse_tab(node.doveadm(*SEARCH, "-A", "--jobs=%d" % jobs, "--",
                                    message_id).stdout) for jobs in (1, 3)]
    assert found[0] == found[1]
    assert columns(found[1], "username") == [(user,) for user in USERS[5:9]]
    index = [parse_tab(node.doveadm("-f", "tab", "recall", "index", "-A",
                                    "--jobs=%d" % jobs).stdout)
             for jobs in (1, 3)]
    assert index[0] == index[1] != []
    done = [parse_tab(node.doveadm("-f", "tab", "recall", "restore", "-A",
                                   "--jobs=%d" % jobs, "0" * 32).stdout)
            for jobs in (1, 3)]
    assert columns(done[0], "username", "status") == \
        columns(done[1], "username", "status") != []


@pytest.mark.log_errors("doveadm|child")
def test_killed_process_costs_its_own_users(node, message_id):
    """One whose mailbox blocks, so that it's known where the process is."""
    deliver(node, message_id, USERS[:1])
    home = node.home(USERS[12])
    node.append(USERS[12], "INBOX", build_message(message_id))
    lock = block(node, USERS[12])
    try:
        process = subprocess.Popen(
            node.doveadm_command("-f", "tab", "recall", "expunge",
                                 "--no-notify", "--jobs=2", *named(USERS),
                                 "--", message_id),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        victim = wait_for(lambda: opened(home))
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        lock.close()
    rows = parse_tab(out)
    assert columns(rows, "username") == [(user,) for user in USERS]
    statuses = {row["username"]: row["status"] for row in rows}
    assert statuses[USERS[12]] == "error"
    assert statuses[USERS[0]] == "expunged"
    failed = [user for user in USERS if statuses[user] == "error"]
    # those after it in its batch
    assert failed == USERS[12:12 + len(failed)] and len(failed) <= 3
    assert process.returncode == EX_TEMPFAIL
    assert "doveadm-server failed" in err


def block(node, user):
    """The mailbox list of the user is a pipe that nobody writes to."""
    path = node.home(user)
    for index in sorted(path.rglob("dovecot.index.log")):
        index.unlink()
        os.mkfifo(index, 0o666)
        return open(os.open(index, os.O_RDWR | os.O_NONBLOCK))
    raise AssertionError("no log in %s" % path)


def opened(home):
    """The process that has a file below the directory open, or 0."""
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            comm = (proc / "comm").read_text()
            files = [os.readlink(fd) for fd in (proc / "fd").iterdir()]
        except OSError:
            continue
        if "doveadm" in comm and any(str(home) in name for name in files):
            return int(proc.name)
    return 0


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return condition()


def test_without_a_server(node, message_id, tmp_path):
    """Nobody listens: this process does it all."""
    deliver(node, message_id, USERS[:2])
    done = node.doveadm("-f", "tab", "-o",
                        "doveadm_socket_path=%s/none" % tmp_path, "recall",
                        "expunge", "-A", "--jobs=2", "--no-notify", "--hits",
                        "--", message_id)
    assert columns(parse_tab(done.stdout), "username") == \
        [(user,) for user in USERS[:2]]


@pytest.mark.parametrize("option", [
    "--jobs=0", "--jobs=x", "--jobs=1001", "--max-rate=0", "--max-rate=fast",
    "--priority=high"])
def test_refused(node, option, message_id):
    done = run_shell(node, "-A", option, "--", message_id)
    assert (done.code, done.rows) == (EX_USAGE, [])
