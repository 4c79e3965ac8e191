"""A Postfix of its own, for tests: a real queue in front of a MailNode.

    with PostfixNode(node) as queue:
        queue_id = queue.send("sender@example.com", users, message)
        queue.hold(queue_id)
        queue.release(queue_id)
        queue.flush()

Everything it has, the configuration and the queue too, is in a directory of its
own, and it listens on loopback only; Debian's package brings the programs and
the accounts. What it takes goes to the node by LMTP, whoever it is for. Only
root can run a Postfix: see available().
"""

import json
import os
import pathlib
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time

from mailnode import PATIENCE, free_port

PROGRAMS = pathlib.Path("/usr/lib/postfix/sbin")
COMMANDS = pathlib.Path("/usr/sbin")
OWNER, GROUP = "postfix", "postdrop"

MAIN = """\
compatibility_level = 3.6
command_directory = %(commands)s
daemon_directory = %(programs)s
queue_directory = %(dir)s/queue
data_directory = %(dir)s/data
mail_owner = %(owner)s
setgid_group = %(group)s
maillog_file = %(dir)s/postfix.log
maillog_file_prefixes = %(dir)s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = queue.example.com
mydestination =
mynetworks = 127.0.0.1/32
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = static:all
virtual_transport = lmtp:inet:127.0.0.1:%(lmtp_port)d
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
lmtp_host_lookup = native
in_flow_delay = 0
"""

SERVICES = """\
127.0.0.1:%(port)d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# as Postfix's own postfix-files has them
QUEUE = [(name, OWNER, None, 0o700) for name in (
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
    "incoming", "private", "saved", "trace")] + [
    ("maildrop", OWNER, GROUP, 0o730), ("public", OWNER, GROUP, 0o710),
    ("pid", "root", None, 0o755)]


def available():
    return os.geteuid() == 0 and (PROGRAMS / "master").exists()


class PostfixNode:
    def __init__(self, node):
        self.node = node
        self.dir = None
        self.port = None
        self.process = self.watcher = None

    def start(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="postfix-"))
        # its processes go through it as another user
        self.dir.chmod(0o755)
        self._make_directories()
        self.port = free_port()
        values = {"dir": self.dir, "port": self.port, "owner": OWNER,
                  "group": GROUP, "commands": COMMANDS, "programs": PROGRAMS,
                  "lmtp_port": self.node.lmtp_port}
        (self.dir / "conf/main.cf").write_text(MAIN % values)
        (self.dir / "conf/master.cf").write_text(SERVICES % values)
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def _make_directories(self):
        for name, owner, mode in (("conf", "root", 0o755),
                                  ("queue", "root", 0o755),
                                  ("data", OWNER, 0o700)):
            self._make_directory(self.dir / name, owner, None, mode)
        for name, owner, group, mode in QUEUE:
            self._make_directory(self.dir / "queue" / name, owner, group, mode)

    @staticmethod
    def _make_directory(path, owner, group, mode):
        path.mkdir()
        shutil.chown(path, owner, group)
        path.chmod(mode)

    def _launch(self):
        with open(self.dir / "start.log", "wb") as output:
            # -d: stays this process, whose pid is known
            self.process = subprocess.Popen(
                [PROGRAMS / "master", "-c", self.dir / "conf", "-d"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)
        # a test run that is killed must leave no Postfix behind
        self.watcher = subprocess.Popen(
            ["/bin/sh", "-c", "read stopped || kill $0",
             str(self.process.pid)], stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.wait_until(self._greets, "Postfix does not listen")

    def _greets(self):
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE):
                return True
        except OSError:
            return False

    def stop(self):
        if self.watcher is not None:
            self.watcher.communicate(b"stopped\n")
        if self.process is not None:
            if self.process.poll() is None:
                # ends all of its processes
                self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
        self.process = self.watcher = None
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()

    def log(self):
        return "".join(path.read_text(errors="replace")
                       for path in (self.dir / "start.log",
                                    self.dir / "postfix.log")
                       if path.exists())

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.process.poll() is not None or \
               time.monotonic() > deadline:
                raise TimeoutError("%s:\n%s" % (what, self.log()))
            time.sleep(0.05)

    # the queue

    def send(self, sender, users, message):
        """Returns the queue id."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE) as smtp:
            smtp.ehlo()
            for code, text in [smtp.mail(sender)] + [smtp.rcpt(user)
                                                     for user in users]:
                assert code == 250, text
            code, text = smtp.data(message)
        assert code == 250, text
        return text.decode().split()[-1]

    def _command(self, name, *args):
        done = subprocess.run([COMMANDS / name, "-c", self.dir / "conf",
                               *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True,
                              timeout=PATIENCE)
        assert done.returncode == 0, done
        return done.stdout

    def queued(self):
        """What is there: queue id -> (the name of its queue, to whom it has
        not been delivered)."""
        entries = map(json.loads, self._command("postqueue",
                                                "-j").splitlines())
        return {entry["queue_id"]:
                (entry["queue_name"],
                 sorted(recipient["address"]
                        for recipient in entry["recipients"]))
                for entry in entries}

    def wait_for(self, queue_id, queue_name, users):
        """Until the message is there, and is left for these users alone."""
        wanted = (queue_name, sorted(users))
        self.wait_until(lambda: self.queued().get(queue_id) == wanted,
                        "%s is not %s" % (queue_id, queue_name))

    def wait_delivered(self, *queue_ids):
        self.wait_until(lambda: not set(queue_ids) & set(self.queued()),
                        "%s are not delivered" % (queue_ids,))

    def hold(self, *queue_ids):
        self._command("postsuper", *("-h" + name for name in queue_ids))

    def release(self, *queue_ids):
        self._command("postsuper", *("-H" + name for name in queue_ids))

    def flush(self):
        """Has it try all that is in the queue and not held."""
        self._command("postqueue", "-f")
