"""mail-recalld: logins, while others guess passwords. Dovecot's own delays are
on."""

import contextlib
import itertools
import socket
import subprocess

import pytest

from mailnode import PATIENCE, build_message
from servicenode import RecallNode, Service
from answers import statuses
from faults import wait_for

ROOT, USER = "root@example.com", "user@example.com"
PASSWORDS = ["a b", "\"\\", "{5}", "ключ", "*", "x" * 1024, ")(", "%u%%"]


@pytest.fixture(scope="module")
def node():
    node = RecallNode(users={ROOT: {"role": "3"}, USER: {}},
                      extra="login_trusted_networks = 127.0.0.0/8\n")
    for i, password in enumerate(PASSWORDS):
        node.add_user("user%d@example.com" % i, password=password)
    with node:
        yield node
        assert node.panics() == []


def command(service, source, password, user=ROOT):
    return ["curl", "-sS", "-w", "%{http_code}", "--max-time", str(PATIENCE),
            "-o", "/dev/null", "-H", "X-Forwarded-For: " + source,
            "-d", "login=" + user, "--data-urlencode",
            "password=" + password,
            service.url + "/v2/auth"]


def login(service, source, password="secret", user=ROOT):
    return subprocess.check_output(
        command(service, source, password, user)).decode()


@contextlib.contextmanager
def guesses(service, count):
    """Wrong passwords that are on their way, each from an address of its
    own."""
    curls = [subprocess.Popen(command(service, "192.0.2.%d" % i, "wrong"),
                              stdout=subprocess.PIPE) for i in range(count)]
    try:
        yield curls
    finally:
        for curl in curls:
            curl.kill()
            curl.wait()
            curl.stdout.close()


def gauge(service, name):
    for line in service.curl("/metrics").body.decode().splitlines():
        if line.startswith("mail_recalld_%s " % name):
            return int(line.split()[1])


def test_guesses_hold_up_nobody(node):
    node.lmtp_deliver([USER], build_message("<guesses@example.com>"))
    with Service(node, http__trusted_proxies="127.0.0.1", http__workers=2,
                 auth__logins=2) as service:
        tokens = service.curl("/v2/auth", "-d", "login=" + ROOT, "-d",
                              "password=secret").json()
        with guesses(service, 20) as curls:
            while gauge(service, "logins_queued") < 16:
                assert any(curl.poll() is None for curl in curls)
            access = tokens["access_token"]
            assert service.curl("/health/ready").status == 200
            answer = service.recall(access, "<guesses@example.com>", [USER])
            assert statuses(answer) == {USER: "expunged"}
            assert service.curl("/v2/auth", "-d", "refresh_token=" +
                                tokens["refresh_token"],
                                token=access).status == 200
            # Dovecot takes two seconds for each pair of them
            assert sum(curl.poll() is None for curl in curls) > 2
        # and the end does not wait for those that have not begun
        assert service.stop() == 0
        assert service.log().count("LOGIN FAILED") < 10


def test_more_logins_than_may_wait(node):
    with Service(node, http__trusted_proxies="127.0.0.1", auth__logins=1,
                 auth__logins_queue=1, bruteforce__max_attempts=1) as service:
        with guesses(service, 1) as first:
            while gauge(service, "logins_running") < 1:
                assert first[0].poll() is None
            with guesses(service, 2) as more:
                while gauge(service, "logins_queued") < 1:
                    assert first[0].poll() is None
                answer = service.curl(
                    "/v2/auth", "-H", "X-Forwarded-For: 192.0.2.99", "-d",
                    "login=" + ROOT, "-d", "password=secret")
                assert answer.status == 503
                assert answer.json() == {
                    "message": "Too many logins are under way"}
                assert int(answer.headers["retry-after"]) > 0
                for curl in first + more:
                    curl.wait(PATIENCE)
        # it was no attempt
        assert login(service, "192.0.2.99") == "200"


def test_dovecot_is_told_who_asks(node):
    since = node.log_size()
    with Service(node, http__trusted_proxies="127.0.0.1") as service:
        assert login(service, "192.0.2.201", "wrong") == "401"
        assert login(service, "2001:db8::202") == "200"
        node.settle_log()
        log = node.log(since)
        assert "rip=192.0.2.201," in log
        assert "rip=2001:db8::202," in log
        assert "rip=127.0.0.1," not in log


def test_dovecot_delays_who_guesses_alone(node):
    with Service(node, http__trusted_proxies="127.0.0.1",
                 bruteforce__enabled="no") as service:
        for _ in range(2):
            assert login(service, "192.0.2.211", "wrong") == "401"
        slow = subprocess.Popen(command(service, "192.0.2.211", "wrong"),
                                stdout=subprocess.PIPE)
        while gauge(service, "logins_running") < 1:
            assert slow.poll() is None
        assert login(service, "192.0.2.212") == "200"
        assert slow.poll() is None
        assert slow.communicate()[0] == b"401"


def test_an_account_that_is_guessed_at_from_everywhere(node):
    with Service(node, http__trusted_proxies="127.0.0.1",
                 bruteforce__max_attempts_per_account=3,
                 bruteforce__penalty=600) as service:
        assert login(service, "192.0.2.220") == "200"
        for i in range(3):
            assert login(service, "192.0.2.%d" % (221 + i), "wrong") == "401"
        assert login(service, "192.0.2.230", "wrong") == "429"
        assert login(service, "192.0.2.231", user=ROOT.upper()) == "429"
        # others may, and so may who was there before
        assert login(service, "192.0.2.230", user=USER) == "200"
        assert login(service, "192.0.2.220") == "200"


def test_an_account_of_several_names(node):
    """Each of them is not good for as many guesses more."""
    first, second = "first@example.com", "second@example.com"
    for name in first, second:
        node.add_user(name, user=USER, home=node.home(USER))
    sources = ("203.0.113.%d" % i for i in itertools.count(1))
    with Service(node, http__trusted_proxies="127.0.0.1",
                 bruteforce__max_attempts_per_account=3,
                 bruteforce__penalty=600) as service:
        assert login(service, "203.0.113.200", user=second) == "200"
        for name, answer in ((first, "401"), (first, "401"), (USER, "401"),
                             (USER, "429"), (first.upper(), "429"),
                             # it is known of which account once it is tried
                             # at again
                             (second, "401"), (second, "401"),
                             (second, "429")):
            assert login(service, next(sources), "wrong", name) == answer
        # who was there before, and others
        assert login(service, "203.0.113.200", user=second) == "200"
        assert login(service, next(sources)) == "200"
        assert login(service, next(sources), user=USER) == "429"


def test_any_password_is_passed_on(node):
    """As octets: none of them ends the command, or means anything in it."""
    with Service(node, http__trusted_proxies="127.0.0.1") as service:
        expected, curls = [], []
        for i, password in enumerate(PASSWORDS):
            for tried in password, password + "x", password[:-1] or "x":
                expected.append(b"200" if tried == password else b"401")
                curls.append(subprocess.Popen(
                    command(service, "198.51.100.%d" % len(curls), tried,
                            "user%d@example.com" % i),
                    stdout=subprocess.PIPE))
        assert [curl.communicate()[0] for curl in curls] == expected


def test_imap_that_does_not_answer(node):
    """A host that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent, \
         Service(node, auth__imap_timeout=1, auth__imap_url="imap://127.0.0.1:"
                 "%d" % silent.getsockname()[1]) as service:
        assert login(service, "192.0.2.1") == "502"


def test_more_sessions_than_dovecot_allows():
    """Which it says of those alone whose password is right: it is no wrong
    one, and nobody is locked out."""
    with RecallNode(users=[USER], extra="protocol imap {\n"
                    "  mail_max_userip_connections = 1\n}\n") as node, \
         Service(node, bruteforce__max_attempts=1) as service:
        connection = node.imap(USER)
        for _ in range(2):
            assert login(service, "192.0.2.1", user=USER) == "502"
        connection.logout()
        # anvil hears of the end a moment later
        wait_for(lambda: login(service, "192.0.2.1", user=USER) == "200",
                 "the session has not ended")
