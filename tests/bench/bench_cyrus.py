"""A private Cyrus for the benchmark: one user, one mailbox, IMAP on loopback.

cyrus-imapd can't be installed beside dovecot-imapd (Debian has them conflict). It
need not be: BENCH_CYRUS names a directory that its packages were unpacked in,

    apt-get download cyrus-imapd cyrus-common libical3 libzephyr4 libwrap0 libclamav12
    for deb in *.deb; do dpkg-deb -x $deb DIRECTORY; done
"""

import imaplib
import os
import pathlib
import shutil
import subprocess
import time

from mailnode import PATIENCE, free_port

PREFIX = pathlib.Path(os.environ.get("BENCH_CYRUS") or "/")
PROGRAMS = PREFIX / "usr/lib/cyrus/bin"
# messages in one APPEND
BATCH = 500

IMAPD_CONF = """\
configdirectory: %(dir)s/conf
partition-default: %(dir)s/spool
defaultpartition: default
admins: cyrus
cyrus_user: %(user)s
cyrus_group: %(group)s
allowplaintext: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
unixhierarchysep: yes
"""
CYRUS_CONF = """\
START {
}
SERVICES {
  imap cmd="%(programs)s/imapd -C %(dir)s/imapd.conf" listen="127.0.0.1:%(port)d" prefork=0
}
EVENTS {
}
"""


def available():
    return (PROGRAMS / "imapd").exists()


class Cyrus:
    """user and group: what it runs as."""

    def __init__(self, directory, user, group):
        self.dir = directory
        self.port = free_port()
        self.process = None
        values = {"dir": directory, "user": user, "group": group,
                  "port": self.port, "programs": PROGRAMS}
        for name in ("db", "proc", "log", "socket", "sync", "ptclient",
                     "lock"):
            (directory / "conf" / name).mkdir(parents=True)
        (directory / "spool").mkdir()
        (directory / "imapd.conf").write_text(IMAPD_CONF % values)
        (directory / "cyrus.conf").write_text(CYRUS_CONF % values)
        if os.geteuid() == 0:
            for path in [directory, *directory.rglob("*")]:
                shutil.chown(path, user, group)
        self.environment = dict(os.environ, CYRUS_USER=user)
        if PREFIX != pathlib.Path("/"):
            self.environment["LD_LIBRARY_PATH"] = ":".join(sorted({
                str(path.parent) for path in PREFIX.rglob("*.so*")}))

    def __enter__(self):
        self.process = subprocess.Popen(
            [PROGRAMS / "master", "-D", "-C", self.dir / "imapd.conf", "-M",
             self.dir / "cyrus.conf", "-p", self.dir / "master.pid"],
            env=self.environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.connection = imaplib.IMAP4("127.0.0.1", self.port)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.connection.login("cyrus", "x")
        assert self.connection.create("user/big")[0] == "OK"
        self.connection.setacl("user/big", "cyrus", "lrswipkxtecda")
        return self

    def __exit__(self, *unused):
        self.connection.logout()
        self.process.terminate()
        self.process.wait(PATIENCE)

    def fill(self, messages):
        """Octets with CRLF."""
        connection = self.connection
        for start in range(0, len(messages), BATCH):
            tag = connection._new_tag()
            connection.send(tag + b" APPEND user/big")
            for message in messages[start:start + BATCH]:
                connection.send(b" {%d+}\r\n" % len(message) + message)
            connection.send(b"\r\n")
            line = connection.readline()
            while not line.startswith(tag):
                line = connection.readline()
            assert line.split()[1] == b"OK", line
        assert connection.select("user/big")[1] == [b"%d" % len(messages)]

    def cpu(self):
        """Processor milliseconds of all imapd."""
        done = subprocess.run(["ps", "-o", "pid=", "--ppid",
                               str(self.process.pid)],
                              capture_output=True, text=True)
        spent = 0
        for pid in done.stdout.split():
            with open("/proc/%s/schedstat" % pid) as stream:
                spent += int(stream.read().split()[0])
        return spent / 1e6

    def search(self, message_id):
        """The UIDs, milliseconds and processor milliseconds."""
        before = self.cpu()
        start = time.perf_counter()
        answer = self.connection.uid("SEARCH", "HEADER", "Message-ID",
                                     '"%s"' % message_id)
        spent = (time.perf_counter() - start) * 1000
        assert answer[0] == "OK", answer
        return answer[1][0].split(), spent, self.cpu() - before
