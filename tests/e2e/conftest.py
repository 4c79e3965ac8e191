"""Fixtures for tests on a private Dovecot (tests/support/mailnode.py).

node        a running MailNode, one a driver and one without the mail plugin;
            its tests share it
users       users.take(n, field=value...) hands out users nobody has used
user        one such user
message_id  a Message-ID that no other test has
recall      runs the recall at the shell and through the HTTP API in turn
shell       runs `doveadm recall expunge` with any arguments
recall_id   one that no other test has
service     a mail-recalld that asks the node, for all tests of a module that has
            a node of its own
token       an administrator's token for it
etcd        a running etcd
small_disk  a file system with no room to spare

RECALL_DRIVERS=sdbox,... restricts the drivers.
"""

import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent /
                        "support"))

pytest.register_assert_rewrite("answers", "failpoints", "faults", "faulty",
                               "inotify", "quarantine")
from faults import Etcd  # noqa: E402
from mailnode import MailNode  # noqa: E402
from servicenode import Service  # noqa: E402

DRIVERS = os.environ.get("RECALL_DRIVERS", "maildir,sdbox,mdbox").split(",")
# where one format is enough: what the sanitizers run has it, too
ONE_DRIVER = "sdbox" if "sdbox" in DRIVERS else DRIVERS[-1]

COLUMNS = ["username", "status", "copies", "notice", "mailboxes",
           "mailbox-guids", "recall-id", "searched", "mailbox-user",
           "present", "kept-until", "error"]

EX_USAGE = 64
EX_NOUSER = 67
EX_CANTCREAT = 73
EX_TEMPFAIL = 75

# Users made before the node starts: Dovecot takes up to a second to see one
# that is added later. Fields of the userdb, and how many.
STOCK = [
    ({}, 400),
    ({"tenant_id": "t1"}, 10),
    ({"tenant_id": "t2"}, 10),
    ({"lang": "ru-RU"}, 6),
    ({"lang": "fr-FR"}, 2),
    ({"mail": "maildir:/dev/null/mail"}, 6),
]

MASKED = {"masked%d@example.com" % i: {} for i in range(3)}


class Users:
    def __init__(self, node):
        self.node = node
        self.stock = {}
        self.number = itertools.count(1)

    def new_name(self):
        return "user%04d@example.com" % next(self.number)

    def provision(self):
        users = dict(MASKED)
        for fields, count in STOCK:
            names = [self.new_name() for _ in range(count)]
            users.update((name, fields) for name in names)
            self.stock[tuple(sorted(fields.items()))] = names
        return users

    def take(self, count=1, **fields):
        names = []
        stock = self.stock.get(tuple(sorted(fields.items())), [])
        while stock and len(names) < count:
            names.append(stock.pop(0))
        new = {self.new_name(): fields for _ in range(count - len(names))}
        if new:
            self.node.add_users(new)
        return names + list(new)


class Result:
    """What a command answered: its rows (in order), the exit code, what it
    said on stderr."""

    def __init__(self, rows, code, stderr=""):
        self.rows = rows
        self.code = code
        self.stderr = stderr

    def row(self, user=None):
        rows = [row for row in self.rows
                if user is None or row["username"] == user]
        assert len(rows) == 1, self
        return rows[0]

    def status(self, user=None):
        return self.row(user)["status"]

    def statuses(self):
        return {row["username"]: row["status"] for row in self.rows}

    def __repr__(self):
        return "exit %r %r %s" % (self.code, self.rows, self.stderr)


def tab_unescape(text):
    text = iter(text)
    escapes = {"0": "\0", "1": "\1", "t": "\t", "r": "\r", "n": "\n"}
    out = []
    for char in text:
        if char == "\1":
            char = next(text)
            char = escapes.get(char, char)
        out.append(char)
    return "".join(out)


def parse_tab(text):
    lines = [[tab_unescape(field) for field in line.split("\t")]
             for line in text.split("\n") if line != ""]
    if not lines:
        return []
    assert all(len(line) == len(lines[0]) for line in lines), text
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def run_shell(node, *args, input=None):
    done = node.doveadm("-f", "tab", "recall", "expunge", *args, check=False,
                        input=input)
    assert done.returncode in (0, EX_USAGE, EX_NOUSER, EX_CANTCREAT,
                               EX_TEMPFAIL), done
    assert "Panic" not in done.stderr, done
    return Result(parse_tab(done.stdout), done.returncode, done.stderr)


def run_http(node, **parameters):
    """The recall over HTTP with these parameters as they are."""
    answer = node.doveadm_http([["recallExpunge", parameters, "tag"]])
    assert len(answer) == 1 and answer[0][2] == "tag", answer
    if answer[0][0] == "error":
        assert answer[0][1]["type"] == "exitCode", answer
        return Result([], answer[0][1]["exitCode"])
    assert answer[0][0] == "doveadmResponse", answer
    return Result(answer[0][1], 0)


class ShellRecall:
    name = "shell"

    def __init__(self, node):
        self.node = node

    def __call__(self, users, message_id, force=False, notify=False,
                 dry_run=False, sender=(), **texts):
        users = [users] if isinstance(users, str) else users
        args = []
        for user in users:
            args += ["--users=" + user] if len(users) > 1 else ["-u", user]
        args += ["--force"] * force + ["--no-notify"] * (not notify) + \
            ["--dry-run"] * dry_run
        args += ["--sender=" + address for address in sender]
        args += ["--%s=%s" % (name.replace("_", "-"), text)
                 for name, text in texts.items()]
        return run_shell(self.node, *args, "--", message_id)


class HttpRecall:
    name = "http"

    def __init__(self, node):
        self.node = node

    def __call__(self, users, message_id, force=False, notify=False,
                 dry_run=False, sender=(), **texts):
        parameters = {
            "users": [users] if isinstance(users, str) else list(users),
            "messageId": message_id, "noNotify": not notify,
        }
        if force:
            parameters["force"] = True
        if dry_run:
            parameters["dryRun"] = True
        if sender:
            parameters["sender"] = list(sender)
        for name, text in texts.items():
            first, *more = name.split("_")
            parameters[first + "".join(map(str.title, more))] = text
        return run_http(self.node, **parameters)


@pytest.fixture(scope="session", params=DRIVERS + ["bare-" + DRIVERS[-1]])
def node(request):
    bare, _, driver = request.param.rpartition("-")
    node = MailNode(driver=driver, acl=True, quota=True,
                    mail_plugins=[] if bare else ["notify", "recall"],
                    plugin={"recall_notice_from": "system@example.com",
                            "recall_notice_name": "Почтовая система"})
    node.test_users = Users(node)
    node.initial_users = node.test_users.provision()
    with node:
        yield node
        assert node.panics() == []


@pytest.fixture(autouse=True)
def clean_log(request):
    """No test may leave an error in the log, other than those that its marker
    log_errors(pattern) expects."""
    if "node" not in request.fixturenames:
        yield
        return
    node = request.getfixturevalue("node")
    since = node.log_size()
    yield
    marker = request.node.get_closest_marker("log_errors")
    if marker:
        # what it provoked must not show up in the next test
        node.settle_log()
    assert node.panics(since) == []
    assert node.errors(since, marker and marker.args[0]) == []


def pytest_addoption(parser):
    parser.addoption("--no-twins", action="store_true", help="of tests that "
                     "run at the shell and over HTTP, do so over HTTP only: "
                     "the same code, in a process that is already there")
    parser.addoption("--not-again", metavar="DIRECTORY", type=pathlib.Path,
                     help="leave out what has passed in the run whose reports "
                     "are there (runtests.py)")


def is_another_format(item):
    """Drivers by need: of a test whose marker says why the format of the
    mailboxes makes no difference to it, one is enough."""
    marker = item.get_closest_marker("one_format")
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if marker is None or "node" not in params:
        return False
    assert marker.args[0], "why?"
    needed = [ONE_DRIVER]
    if marker.kwargs.get("also_bare"):
        needed.append("bare-" + DRIVERS[-1])
    return params["node"] not in needed


def shell_twins(items, anywhere):
    """Of tests that run at the shell and over HTTP, those at the shell: the way
    to the code is tried with one format, and where there is no mail plugin, as
    no format can tell by which way a command has come. anywhere: all of them."""
    names = {item.nodeid for item in items}
    for item in items:
        twin = re.sub(r"\bshell\b(?=[^[]*\]$)", "http", item.nodeid)
        if twin == item.nodeid or twin not in names:
            continue
        driver = item.callspec.params.get("node")
        if anywhere or (driver in DRIVERS and driver != ONE_DRIVER):
            yield item


def passed_in(directory, modules):
    """The ids, without the file's directory, of tests that have passed there
    and were not skipped."""
    passed = set()
    for module in modules:
        for report in directory.glob(module + "*.xml"):
            for case in tree.parse(report).iter("testcase"):
                if not len(case) and \
                   case.get("classname").rpartition(".")[2] == module:
                    passed.add((module, case.get("name")))
    return passed


def deselect(config, items, others):
    others = set(others)
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


def pytest_collection_modifyitems(config, items):
    """Drops other formats where one is enough, the shell's twins, and what has
    passed elsewhere."""
    deselect(config, items, filter(is_another_format, items))
    deselect(config, items, shell_twins(items, config.getoption("no_twins")))
    directory = config.getoption("not_again")
    if directory:
        passed = passed_in(directory, {item.path.stem for item in items})
        deselect(config, items, [
            item for item in items if (item.path.stem, item.name) in passed])


def pytest_configure(config):
    config.addinivalue_line("markers", "log_errors(pattern): errors in "
                            "Dovecot's log that the test provokes")
    config.addinivalue_line("markers", "one_format(why, also_bare=False): "
                            "runs on one driver of `node`, also_bare: and "
                            "without the mail plugin")
    config.addinivalue_line("markers", "smoke: the few tests that show the "
                            "most, e.g. for a run under valgrind")


def pytest_unconfigure():
    """Ends what is kept for the next test."""
    if "browser" in sys.modules:
        sys.modules["browser"].end_all()


@pytest.fixture
def users(node):
    return node.test_users


@pytest.fixture
def user(users):
    return users.take()[0]


_numbers = itertools.count(1)


@pytest.fixture
def message_id():
    return "<test.%d.%d@example.com>" % (os.getpid(), next(_numbers))


@pytest.fixture(scope="module")
def service(node):
    """mail-recalld for the module's node, as it is by default."""
    with Service(node) as service:
        yield service


@pytest.fixture
def service_without_node():
    """A mail-recalld of the test's own, which starts it."""
    service = Service()
    yield service
    if service.process is not None:
        service.stop()


@pytest.fixture(scope="module")
def token(service):
    """An administrator's."""
    return service.token()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of a TLS server on this machine: cert.pem and key.pem."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", directory / "key.pem", "-out", directory / "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True)
    return directory


@pytest.fixture
def etcd(tmp_path):
    etcd = Etcd(tmp_path / "etcd")
    yield etcd
    etcd.stop()


@pytest.fixture
def open_path():
    """A directory that mail users may enter. What tmp_path is in is closed to
    them again whenever another run begins."""
    with tempfile.TemporaryDirectory(prefix="recall-open-") as path:
        path = pathlib.Path(path)
        path.chmod(0o755)
        yield path


@pytest.fixture
def recall_id():
    """One that no other test has."""
    return "%032x" % ((os.getpid() << 64) + next(_numbers))


@pytest.fixture(params=[ShellRecall, HttpRecall], ids=["shell", "http"])
def recall(request, node):
    return request.param(node)


@pytest.fixture
def shell(node):
    return lambda *args, **kwargs: run_shell(node, *args, **kwargs)


@pytest.fixture
def small_disk(tmp_path):
    """A file system with no room to spare."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none",
                           disk], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mount: " + done.stderr.decode())
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)
