"""What may go wrong around recalls, waiting for it, and settings from etcd."""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import time

from mailnode import PATIENCE, free_port


def wait_for(condition, what="it does not happen"):
    """Returns what the condition does as soon as that is true."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def children(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def doveadm_children(node):
    found = []
    for pid in children(node.pid):
        with contextlib.suppress(OSError):  # it may end at any time
            if b"doveadm" in pathlib.Path("/proc/%d/cmdline" % pid) \
                    .read_bytes():
                found.append(pid)
    return found


@contextlib.contextmanager
def down(node, name):
    """Nobody answers at the socket: it is not there."""
    path = node.dir / "run" / name
    aside = path.with_suffix(".aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


class Frozen:
    """Dovecot takes connections but does nothing."""

    def __init__(self, node):
        self.pids = [node.pid] + doveadm_children(node)

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)
        self.pids = []

    def __exit__(self, *unused):
        self.thaw()


class HeldFile:
    """A file that nobody else can lock."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.file = open(self.path, "r+b")
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *unused):
        self.file.close()

    def all_waiting(self):
        """The processes that wait for the lock."""
        inode = str(os.stat(self.path).st_ino)
        lines = pathlib.Path("/proc/locks").read_text().splitlines()
        return [int(fields[5]) for fields in map(str.split, lines)
                if fields[1] == "->" and fields[6].split(":")[-1] == inode]

    def waiting(self):
        """One of them, or None."""
        return next(iter(self.all_waiting()), None)


class Held(HeldFile):
    """A mailbox that nobody else can change: its log is locked."""

    def __init__(self, node, user):
        super().__init__(*node.home(user).rglob(
            "mailboxes/INBOX/*/dovecot.index.log"))


class Swallow:
    """A host that is off: whoever connects gets no answer at all."""

    def __enter__(self):
        self.sockets = [socket.socket()]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[0].listen(0)
        # more than the queue takes
        for i in range(4):
            self.sockets.append(socket.socket())
            self.sockets[-1].setblocking(False)
            self.sockets[-1].connect_ex(self.sockets[0].getsockname())
        return "http://127.0.0.1:%d/doveadm/v1" % \
            self.sockets[0].getsockname()[1]

    def __exit__(self, *unused):
        for each in self.sockets:
            each.close()


def unread(node):
    """Whether doveadm has been sent something that it has not read."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == node.http_port and \
           fields[3] == "01" and int(fields[4].split(":")[1], 16) > 0:
            return True
    return False


class Etcd:
    def __init__(self, directory):
        self.client = "http://127.0.0.1:%d" % free_port()
        peer = "http://127.0.0.1:%d" % free_port()
        self.process = subprocess.Popen(
            ["etcd", "--data-dir", directory, "--name", "test",
             "--listen-client-urls", self.client, "--advertise-client-urls",
             self.client, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer, "--initial-cluster",
             "test=" + peer], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_for(lambda: self.ctl("endpoint", "health").returncode == 0,
                 "etcd does not start")

    def ctl(self, *args):
        return subprocess.run(["etcdctl", "--endpoints", self.client] +
                              list(args), capture_output=True, text=True,
                              env={**os.environ, "ETCDCTL_API": "3"})

    def put(self, key, value):
        done = self.ctl("put", key, value)
        assert done.returncode == 0, done.stderr

    def stop(self):
        self.process.terminate()
        self.process.wait()
