"""./quickstart: what it shows, and what it leaves running with --keep."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import pytest

import mailnode
from mailnode import MailNode
from servicenode import curl

END = "Stop all of it with Ctrl-C\n"
SCRIPT = "-H", "X-Recall-Console: 1"


def command(*args):
    # a shell does not trap what was ignored when it started
    return ["env", "--default-signal=HUP,INT,TERM",
            str(mailnode.SRCDIR / "quickstart"), *args]


@pytest.fixture
def place():
    """Where it makes its directory."""
    with tempfile.TemporaryDirectory(prefix="quick-") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


def environment(place):
    return {**os.environ, "TMPDIR": str(place),
            "RECALL_BUILDDIR": str(mailnode.builddir())}


class Kept:
    """One with --keep that has got to its end."""

    def __init__(self, place):
        self.process = subprocess.Popen(
            command("--keep"), env=environment(place), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        self.text = ""
        while not self.text.endswith(END):
            line = self.process.stdout.readline()
            assert line, self.text
            self.text += line
        directory, = place.iterdir()
        self.node = MailNode.load(directory)
        self.service = int(self.told(r"mail-recalld \(pid (\d+)\)")[0])
        self.url, = self.told(r"console +(http://127\.0\.0\.1:\d+)/console/")
        self.login, self.password = self.told(r"login +(\S+), password (\S+)")

    def told(self, pattern):
        return re.search(pattern, self.text).groups()

    def processes(self):
        return [self.service, self.node.pid,
                *map(int, self.node._children())]

    def end(self):
        """Waits for the end; returns the exit status."""
        self.process.stdout.read()
        return self.process.wait(mailnode.PATIENCE)


@pytest.fixture
def kept(place):
    kept = Kept(place)
    try:
        yield kept
    finally:
        if kept.process.poll() is None:
            kept.process.terminate()
            kept.end()


def listeners(pid):
    """The addresses that a process listens on, in the kernel's hexadecimal
    form."""
    links = [os.readlink(fd)
             for fd in pathlib.Path("/proc/%d/fd" % pid).iterdir()]
    found = []
    for table in "tcp", "tcp6":
        lines = pathlib.Path("/proc/%d/net/%s" % (pid, table)).read_text()
        for line in lines.splitlines()[1:]:
            local, state, inode = (line.split()[i] for i in (1, 3, 9))
            if state == "0A" and "socket:[%s]" % inode in links:
                found.append(local.partition(":")[0])
    return found


def configured():
    """What there is of the machine's own Dovecot."""
    return sorted((str(path), path.stat().st_mtime_ns)
                  for path in pathlib.Path("/etc/dovecot").rglob("*"))


def gone(pid):
    try:
        status = pathlib.Path("/proc/%d/status" % pid).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    # nobody's child any more, and nobody there who waits for it
    return "State:\tZ" in status


def check_gone(kept, place, processes):
    assert [pid for pid in processes if not gone(pid)] == []
    assert list(place.iterdir()) == []
    with socket.socket() as sock:
        port = int(kept.url.rpartition(":")[2])
        assert sock.connect_ex(("127.0.0.1", port)) != 0


def sign_in(kept):
    answer = curl(*SCRIPT, "-d", "login=" + kept.login,
                  "-d", "password=" + kept.password,
                  kept.url + "/console/session")
    assert answer.status == 200, answer
    return answer.json()["access_token"]


def test_console(kept, place):
    """What it tells is true, until Ctrl-C, and for this machine only."""
    page = curl(kept.url + "/console/")
    assert page.status == 200 and b"<html" in page.body
    message_id, = kept.told(r"a message to recall: (<\S+>)")
    users = re.findall(r"\S+@\S+", kept.told(r"message to recall: \S+ to (.*)")
                       [0])
    answer = curl("-H", "Authorization: Bearer " + sign_in(kept),
                  "--data-urlencode", "messageid=" + message_id,
                  "--data-urlencode", "emails=" + json.dumps(users),
                  kept.url + "/v2/actions/expunge")
    assert answer.json()["summary"] == {"expunged": len(users)}
    shell = kept.told(r"doveadm +(\S+ doveadm \S+)")[0].split()
    left = subprocess.run(shell + ["search", "-A", "header", "message-id",
                                   message_id], capture_output=True)
    assert (left.returncode, left.stdout) == (0, b""), left
    heard = listeners(kept.service) + listeners(kept.node.pid)
    # HTTP and health of the service; IMAP, LMTP and HTTP of Dovecot
    assert heard == ["0100007F"] * 5
    processes = kept.processes()
    os.killpg(kept.process.pid, signal.SIGINT)
    assert kept.end() == 130
    check_gone(kept, place, processes)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_stopped(kept, place, name):
    """By a signal to itself alone."""
    processes = kept.processes()
    number = signal.Signals[name]
    kept.process.send_signal(number)
    assert kept.end() == 128 + number
    check_gone(kept, place, processes)


def test_service_ends(kept, place):
    """Nothing stays when a part of it is not there any more."""
    processes = kept.processes()
    os.kill(kept.service, signal.SIGKILL)
    assert kept.end() == 128 + signal.SIGKILL
    check_gone(kept, place, processes)


def test_not_kept(place):
    before = configured()
    done = subprocess.run(command(), env=environment(place), text=True,
                          capture_output=True)
    assert done.returncode == 0, done
    assert '"summary": {"expunged": 2}' in done.stdout
    assert "stopped and gone" in done.stdout and "login  " not in done.stdout
    assert list(place.iterdir()) == []
    assert configured() == before


def test_usage(place):
    done = subprocess.run(command("--keeep"), env=environment(place),
                          text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (64, "")
    assert "usage: quickstart [--keep]" in done.stderr
    assert list(place.iterdir()) == []


def test_no_build(place):
    """An error on the way."""
    done = subprocess.run(command("--keep"), text=True, capture_output=True,
                          env={**environment(place),
                               "RECALL_BUILDDIR": str(place / "none")})
    assert done.returncode not in (0, 64)
    assert "no module was built" in done.stderr
    assert list(place.iterdir()) == []
