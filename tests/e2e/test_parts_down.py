"""A part of Dovecot that a recall needs is down for a while, or goes away in the
middle of it: each user has a true verdict, nothing is lost, and the next try does
the rest."""

import contextlib
import os
import signal
import socket
import threading

import pytest

from conftest import run_http
from faults import Held, down, wait_for
from mailnode import DOVECOT_24, build_message
from quarantine import (PREFIX, http, make_node, node_of_free_users,
                        quarantined)

USERS = ["u%02d@example.com" % i for i in range(30)]
DICT = """
dict {
  usage = file:%s
}
service dict {
  unix_listener dict {
    mode = 0666
  }
}
"""


@pytest.fixture(scope="module")
def node():
    yield from node_of_free_users(USERS)


@pytest.fixture
def users(node):
    return [next(node.free_users) for _ in range(3)]


@contextlib.contextmanager
def refusing(node, name):
    """The socket is there, but nobody listens."""
    path = node.dir / "run" / name
    with down(node, name):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        path.chmod(0o666)
        yield
        sock.close()
        path.unlink()


def kill(node, name):
    """All processes of that name: connections that there are end with them."""
    pids = [pid for pid, each in node._children().items() if each == name]
    assert pids
    for pid in pids:
        os.kill(int(pid), signal.SIGTERM)


def deliver(node, users, message):
    """As a mail server does: until it is taken."""
    for user in users:
        wait_for(lambda: node.lmtp_deliver(user, message, check=False)[user][
            0] == 250)


GONE = {"gone": down, "refuses": refusing}


@pytest.mark.log_errors("auth|[Ll]ookup")
@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_auth_goes_in_the_middle(node, users, message_id, recall_id, gone):
    """Who was looked up already is recalled from, the others have an error."""
    deliver(node, users, build_message(message_id))
    # one after the other, in this order
    ask = dict(users=users, messageId=message_id, noNotify=True,
               recallId=recall_id, jobs=1)
    answer = []
    with Held(node, users[0]) as held:
        thread = threading.Thread(
            target=lambda: answer.append(run_http(node, **ask)))
        thread.start()
        wait_for(held.waiting, "it does not wait")
        with gone(node, "auth-userdb"):
            kill(node, "auth")
            held.file.close()
            thread.join()
    result, = answer
    assert result.statuses()[users[0]] == "expunged"
    for user in users[1:]:
        row = result.row(user)
        assert row["status"] in ("expunged", "error")
        assert node.count(user) == (row["status"] == "error")
        assert bool(row["error"]) == (row["status"] == "error")
    assert result.status(users[-1]) == "error"
    assert run_http(node, **ask).statuses() == {
        user: "already_recalled" if result.status(user) == "expunged"
        else "expunged" for user in users}
    for user in users:
        assert node.count(user) == 0
        assert sum(quarantined(node, user).values()) == 1


@pytest.fixture(scope="module")
def dict_node(tmp_path_factory):
    """The quota is in a dict, of which Dovecot's dict server is asked."""
    directory = tmp_path_factory.mktemp("dict")
    directory.chmod(0o777)
    with make_node("sdbox", USERS, quota=True, doveadm_requests=1,
                   mail_plugins=["notify", "recall"],
                   extra=DICT % (directory / "usage"),
                   plugin={"quota": "dict:User quota::proxy::usage",
                           "quota_rule2": PREFIX + "*:ignore"}) as node:
        node.free_users = iter(USERS)
        yield node
        assert node.panics() == []


def is_there(node, user, message_id):
    return sum(b"Message-ID: " + message_id.encode() in text
               for text in node.messages(user))


@pytest.mark.skipif(DOVECOT_24, reason="Dovecot 2.4 has no quota in a dict")
@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_dict_of_the_quota(dict_node, message_id, recall_id, gone):
    """What can't be counted is recalled all the same; where Dovecot saves
    nothing without knowing the quota, a restore says so, and is done later."""
    node, user = dict_node, next(dict_node.free_users)
    deliver(node, [user], build_message(message_id))
    ask = dict(users=[user], messageId=message_id, recallId=recall_id)
    with gone(node, "dict"):
        kill(node, "dict")
        result = run_http(node, **ask)
        assert result.status() == "expunged", result
        assert is_there(node, user, message_id) == 0
        assert sum(quarantined(node, user).values()) == 1
        result = http(node, "recallRestore", user=user, recallId=recall_id)
        row = result.row()
        restored = row["status"] == "restored"
        assert restored or (row["status"] == "error" and row["error"])
        assert is_there(node, user, message_id) == restored
        assert sum(quarantined(node, user).values()) == (not restored)
    row = http(node, "recallRestore", user=user, recallId=recall_id).row()
    assert row["status"] == "restored"
    assert is_there(node, user, message_id) == 1
    assert quarantined(node, user) == {}
