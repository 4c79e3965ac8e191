#!/usr/bin/python3
"""A private Dovecot in a directory of its own, for tests and demos.

As a module:

    with MailNode(driver="sdbox", users=["a@example.com"]) as node:
        node.lmtp_deliver("a@example.com", build_message("<id@example.com>"))
        node.doveadm("recall", "expunge", "-u", "a@example.com", "<id@example.com>")

As a command: mailnode.py start --dir DIR --users a@example.com,b@example.com

The node listens on loopback only, on free ports, works as root and as any
other user, and touches no file outside its directory. Its processes find our
modules where Dovecot's own are, as if they were installed, and none that are:
a mount namespace (see namespace.py) has a directory of the node there.
Environment:

    RECALL_BUILDDIR     build tree whose plugin/.libs is loaded
                        (default: build/ next to tests/)
    RECALL_SRCDIR       source tree (default: the one this file is in)
    DOVECOT, DOVEADM    programs to run
    DOVECOT_MODULES     Dovecot's own modules, the directory compiled into it
"""

import argparse
import base64
import email.utils
import functools
import grp
import http.client
import imaplib
import json
import os
import pathlib
import pwd
import random
import re
import select
import shlex
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time

import config24
import namespace
import nodeconf

DOVECOT = os.environ.get("DOVECOT", "/usr/sbin/dovecot")
DOVEADM = os.environ.get("DOVEADM", "/usr/bin/doveadm")
DOVECOT_MODULES = os.environ.get("DOVECOT_MODULES",
                                 "/usr/lib/dovecot/modules")
SRCDIR = pathlib.Path(os.environ.get("RECALL_SRCDIR") or
                      pathlib.Path(__file__).resolve().parent.parent.parent)
PASSWORD = "secret"
# RECALL_BATCH_MAX of recall-limits.h
BATCH_MAX = 1024
DOVECOT_24 = subprocess.run([DOVECOT, "--version"], capture_output=True,
                            text=True).stdout.startswith("2.4")
# our example for this Dovecot
EXAMPLE = SRCDIR / "conf.d" / ("90-recall-2.4.conf" if DOVECOT_24 else
                               "90-recall.conf")
LOCATIONS = {
    "maildir": "maildir:{home}/Maildir",
    "sdbox": "sdbox:{home}/sdbox",
    "mdbox": "mdbox:{home}/mdbox",
}
# How long anything may take before it counts as hung. Nothing waits this
# long when all is well; sanitizers and loaded machines are slow.
PATIENCE = 60


def builddir():
    return pathlib.Path(os.environ.get("RECALL_BUILDDIR") or
                        SRCDIR / "build").resolve()


@functools.lru_cache(maxsize=None)
def sanitizers_of(module, unused_time):
    """The sanitizers' libraries that it was linked with."""
    done = subprocess.run(["ldd", module], capture_output=True, text=True)
    return re.findall(r"lib[aut]\w*san\.so\S* => (\S+)", done.stdout)


# that a process takes at a time
PORTS = 100
_ports = []
_reserved = []


def _take_ports():
    """A block of ports for this process alone, below those that the system gives
    to whoever connects: a node that is started again finds its own free."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
              .read_text().split()[0])
    starts = list(range(low - 100 * PORTS, low, PORTS))
    random.Random().shuffle(starts)
    for start in starts:
        # ends with the process, and leaves no file
        reserved = socket.socket(socket.AF_UNIX)
        try:
            reserved.bind("\0recall-test-ports-%d" % start)
        except OSError:
            reserved.close()
            continue
        _reserved.append(reserved)
        return list(range(start, start + PORTS))
    raise RuntimeError("no ports are left")


def free_port():
    """A port that nobody listens on, another one each time: what was given
    before may not be in use yet."""
    while True:
        if not _ports:
            _ports.extend(_take_ports())
        port = _ports.pop()
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def first_account(*names):
    """The first of the accounts that exists, as (user, group)."""
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return name, grp.getgrgid(entry.pw_gid).gr_name
    raise RuntimeError("none of these accounts exists: " + " ".join(names))


def mailbox_utf7(name):
    """A mailbox name in IMAP's modified UTF-7."""
    out, wide = [], []

    def flush():
        if wide:
            text = base64.b64encode("".join(wide).encode("utf-16-be"))
            out.append("&" + text.decode().rstrip("=").replace("/", ",") + "-")
            wide.clear()

    for char in name:
        if " " <= char <= "~":
            flush()
            out.append("&-" if char == "&" else char)
        else:
            wide.append(char)
    flush()
    return "".join(out)


def imap_quote(name):
    name = mailbox_utf7(name).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + name + '"'


def build_message(message_id=None, subject="Test", sender="sender@example.com",
                  to="user@example.com", date=None, headers=(), body="Text.\n"):
    """A message as octets with CRLF. message_id is put in as it is (folding
    and missing brackets included); without one there is no such header.
    headers: more (name, raw value) pairs."""
    lines = []
    if sender is not None:
        lines.append(("From", sender))
    lines.append(("To", to))
    lines.append(("Subject", subject))
    lines.append(("Date", date or email.utils.formatdate()))
    if message_id is not None:
        lines.append(("Message-ID", message_id))
    lines += [("MIME-Version", "1.0"),
              ("Content-Type", "text/plain; charset=utf-8"),
              ("Content-Transfer-Encoding", "8bit")]
    lines += list(headers)
    text = "".join("%s: %s\n" % line for line in lines) + "\n" + body
    return re.sub(rb"\r?\n", b"\r\n", text.encode())


def check_wire_format(raw):
    """Whether a message is as it may be sent: RFC 5322."""
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    header = raw.partition(b"\r\n\r\n")[0]
    assert header.isascii()


class DeliveryError(Exception):
    pass


class Idle:
    """An IMAP IDLE on a connection of imaplib, as a context."""

    def __init__(self, connection):
        self.connection = connection
        self.lines = []

    def __enter__(self):
        self.tag = self.connection._new_tag()
        self.connection.send(self.tag + b" IDLE\r\n")
        line = self.connection.readline()
        while not line.startswith(b"+"):
            self.lines.append(line)
            line = self.connection.readline()
        return self

    def wait_for(self, pattern, timeout=PATIENCE):
        """Reads untagged answers until one matches; returns it."""
        deadline = time.monotonic() + timeout
        for line in self.lines:
            if re.search(pattern, line):
                return line
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no %r in IDLE, only %r" %
                                   (pattern, self.lines))
            # imaplib reads through a buffered file: what it holds already
            # never shows up in select()
            if not self.connection.file.peek(0) and \
               not select.select([self.connection.sock], [], [], left)[0]:
                continue
            line = self.connection.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            self.lines.append(line)
            if re.search(pattern, line):
                return line

    def __exit__(self, *unused):
        self.connection.send(b"DONE\r\n")
        line = self.connection.readline()
        while line and not line.startswith(self.tag):
            self.lines.append(line)
            line = self.connection.readline()


class MailNode:
    """
    driver          maildir, sdbox or mdbox
    users           names, or a dict of name -> dict of userdb fields
                    ("lang", "tenant_id", "quota_rule", ...)
    mail_plugins    Dovecot's mail_plugins
    plugin          settings of the plugin section
    acl             ACLs and a shared namespace shared/OWNER/
    quota           count quota; the limit is a user's quota_rule field
    extra           more configuration text, taken last
    doveadm_requests  requests that a doveadm-server process serves
    directory       made and removed again if not given
    outlive         goes on running when this process ends
    clock           of its processes but the first, and of doveadm: clocks.Clock
    """

    def __init__(self, directory=None, driver="maildir", users=(),
                 mail_plugins=(), plugin=None, acl=False, quota=False,
                 extra="", doveadm_requests=1000, debug=False, fsync=False,
                 outlive=False, clock=None):
        self.own_directory = directory is None
        if directory is None:
            # short: a path of a socket has at most 107 octets
            directory = tempfile.mkdtemp(prefix="node-")
        self.dir = pathlib.Path(directory).resolve()
        self.driver = driver
        self.mail_plugins = list(mail_plugins)
        self.plugin = dict(plugin or {})
        self.acl = acl
        self.quota = quota
        self.extra = extra
        self.doveadm_requests = doveadm_requests
        self.debug = debug
        self.fsync = fsync
        self.outlive = outlive
        self.clock = clock
        self.watcher = None
        self.users = {}
        self.users_stamp = 0
        self.initial_users = users if isinstance(users, dict) else \
            {name: {} for name in users}
        self.pid = None
        self.running_conf = None
        self.process = None
        self.imap_port = self.lmtp_port = self.http_port = None
        self.doveadm_password = "doveadm-secret"
        self.doveadm_api_key = "doveadm-api-key"
        self.root = os.geteuid() == 0
        if self.root:
            self.mail_user, self.mail_group = first_account("mail", "nobody")
            self.internal_user, self.internal_group = \
                first_account("dovecot", "nobody")
            self.login_user = first_account("dovenull", "nobody")[0]
        else:
            entry = pwd.getpwuid(os.geteuid())
            self.mail_user = self.internal_user = self.login_user = \
                entry.pw_name
            self.mail_group = self.internal_group = \
                grp.getgrgid(entry.pw_gid).gr_name
        self.sanitizers = []
        self.doveadm_plugins = []

    # paths

    @property
    def conf(self):
        return self.dir / "dovecot.conf"

    @property
    def log_path(self):
        return self.dir / "dovecot.log"

    @property
    def modules(self):
        return self.dir / "modules"

    @property
    def notice_dir(self):
        return self.dir / "notices"

    @property
    def standing_dir(self):
        return self.dir / "state" / "recall-standing"

    def home(self, user):
        return self.dir / "mail" / user

    def forget_cached(self, user):
        """What is known of messages without opening them: 2.4 keeps headers
        from the first."""
        for path in self.home(user).rglob("dovecot.index.cache"):
            path.unlink()

    # configuration

    def _own(self, path):
        if self.root:
            shutil.chown(path, self.mail_user, self.mail_group)

    def _install_modules(self):
        """Makes the directory of modules that the node sees: Dovecot's own
        without any of ours that are installed, and what was built, where
        `make install` puts it. All are copies: a build may replace a file
        while the node has it mapped, and its directory may be closed to the
        accounts that Dovecot runs as."""
        if self.modules.exists():
            shutil.rmtree(self.modules)
        shutil.copytree(DOVECOT_MODULES, self.modules,
                        ignore=shutil.ignore_patterns("*recall*"))
        self.sanitizers = []
        self.doveadm_plugins = []
        built = sorted((builddir() / "plugin/.libs").glob("lib*.so"))
        if not built:
            raise RuntimeError("no module was built in %s" % builddir())
        for module in built:
            there = self.modules / self._place(module.name)
            there.mkdir(exist_ok=True)
            shutil.copy(module, there)
            (there / module.name).chmod(0o755)
            self._find_sanitizers(module)
        if (SRCDIR / "notices").is_dir() and not self.notice_dir.exists():
            shutil.copytree(SRCDIR / "notices", self.notice_dir)

    def _place(self, name):
        """The subdirectory of a module of ours."""
        if name.endswith("_settings.so"):
            return "settings"
        doveadm = re.fullmatch(r"lib\d*_?(doveadm_\w+)_plugin\.so", name)
        if not doveadm:
            return ""
        if namespace.available():
            return "doveadm"
        # doveadm's module directory is compiled in: all that is left is to
        # name ours in its mail_plugins; one that needs acl's symbols can't be
        # loaded without it
        if self.acl or not doveadm.group(1).endswith("_acl"):
            self.doveadm_plugins.append(doveadm.group(1))
        return ""

    def _find_sanitizers(self, module):
        for path in sanitizers_of(module, module.stat().st_mtime_ns):
            if path not in self.sanitizers:
                self.sanitizers.append(path)

    def _environment(self, clock=True):
        """What processes need besides: the sanitizers' run time, which must
        come first in a program that was built without it."""
        environment = {}
        if self.clock and clock:
            environment = self.clock.environment(self.sanitizers)
        if not self.sanitizers:
            return environment
        reports = self.dir / "sanitizer"
        return {
            "LD_PRELOAD": ":".join(self.sanitizers), **environment,
            "ASAN_OPTIONS": "detect_leaks=0:log_path=%s/asan" % reports,
            "UBSAN_OPTIONS": "print_stacktrace=1:log_path=%s/ubsan" % reports,
        }

    def _configuration(self):
        location = LOCATIONS[self.driver]
        plugins = list(self.mail_plugins)
        imap_plugins = []
        plugin = {}
        if self.acl:
            plugins.append("acl")
            imap_plugins.append("imap_acl")
            plugin["acl"] = "vfile"
            plugin["acl_shared_dict"] = "file:%s/mail/shared-mailboxes" % \
                self.dir
        if self.quota:
            plugins.append("quota")
            imap_plugins.append("imap_quota")
            plugin["quota"] = "count:User quota"
            plugin["quota_vsizes"] = "yes"
            plugin["quota_rule"] = "*:storage=1G"
        plugin["recall_notice_dir"] = self.notice_dir
        plugin["recall_standing_dir"] = self.standing_dir
        plugin.update(self.plugin)
        environment = " ".join("%s=%s" % pair
                               for pair in self._environment().items())
        mode = {
            "dir": self.dir, "modules": self.modules,
            "location": location.format(home="~"),
            "shared_location": location.format(home="%%h"),
            "mail_user": self.mail_user, "mail_group": self.mail_group,
            "internal_user": self.internal_user,
            "internal_group": self.internal_group,
            "login_user": self.login_user,
            "imap_port": self.imap_port, "lmtp_port": self.lmtp_port,
            "http_port": self.http_port,
            "doveadm_requests": self.doveadm_requests,
            "doveadm_password": self.doveadm_password,
            "doveadm_api_key": self.doveadm_api_key,
            "mail_plugins": " ".join(plugins),
            "imap_plugins": " ".join(imap_plugins),
            "doveadm_plugins": " ".join(self.doveadm_plugins),
            "debug": "yes" if self.debug else "no",
            "fsync": "optimized" if self.fsync else "never",
            "vsz_limit": "0" if self.sanitizers else "512M",
            "environment": environment,
        }
        if DOVECOT_24:
            return config24.configuration(self, mode, plugins, imap_plugins,
                                          plugin)
        text = CONFIGURATION % mode
        if self.acl:
            text += SHARED_NAMESPACE % mode
        text += "plugin {\n"
        for name, value in plugin.items():
            text += "  %s = %s\n" % (name, value)
        return text + "}\n" + self.extra

    def _write_users(self):
        lines = []
        for name, entry in sorted(self.users.items()):
            fields = entry["fields"]
            if DOVECOT_24:
                fields = config24.user_fields(fields)
            fields = " ".join("userdb_%s=%s" % pair
                              for pair in fields.items())
            lines.append("%s:{PLAIN}%s::::%s::%s\n" %
                         (name, entry["password"], self.home(name), fields))
        path = self.dir / "users"
        temporary = self.dir / "users.new"
        temporary.write_text("".join(lines))
        temporary.chmod(0o644)
        # auth goes by the second and the size, which may both be as before
        self.users_stamp = max(int(time.time()), self.users_stamp + 1)
        os.utime(temporary, (self.users_stamp, self.users_stamp))
        temporary.rename(path)

    def _put_user(self, name, fields, password=PASSWORD):
        for field, value in fields.items():
            if re.search(r"\s", "%s%s" % (field, value)):
                raise ValueError("white space in a field of %s" % name)
        self.users[name] = {"password": password, "fields": dict(fields)}

    def add_users(self, users):
        """users: dict of name -> dict of userdb fields. Replaces a user that
        is there already."""
        for name, fields in users.items():
            self._put_user(name, fields)
        self._write_users()
        if self.running():
            self._wait_for_users()

    def add_user(self, name, password=PASSWORD, **fields):
        self._put_user(name, fields, password)
        self._write_users()
        if self.running():
            self._wait_for_users()

    def remove_user(self, name):
        del self.users[name]
        self._write_users()
        if self.running():
            self._wait_for_users()

    def _wait_for_users(self):
        """auth looks at the file's time stamp once a second at most."""
        marker = "written-%d@localhost" % time.monotonic_ns()
        self._put_user(marker, {})
        self._write_users()
        del self.users[marker]
        deadline = time.monotonic() + PATIENCE
        while self.doveadm("user", marker, check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("auth does not see changed users")
            time.sleep(0.1)
        # whoever lists users goes by the file
        self._write_users()

    # life

    def start(self):
        for sub in ("", "mail", "sanitizer", "state"):
            (self.dir / sub).mkdir(parents=True, exist_ok=True)
        self.dir.chmod(0o755)
        (self.dir / "sanitizer").chmod(0o1777)
        self._own(self.dir / "mail")
        for name, fields in self.initial_users.items():
            self._put_user(name, fields)
        self.initial_users = {}
        self._write_users()
        self._install_modules()
        try:
            self._launch_somewhere()
        except BaseException:
            # e.g. Ctrl-C, which does not reach what was launched
            self.stop(remove=False)
            raise
        return self

    def _launch_somewhere(self):
        for attempt in range(5):
            self.imap_port, self.lmtp_port, self.http_port = \
                free_port(), free_port(), free_port()
            self.write_configuration()
            if self._launch():
                break
        else:
            raise RuntimeError("Dovecot does not start:\n" + self.log() +
                               self.start_output)
        (self.dir / "node.json").write_text(json.dumps(self._state()))

    def write_configuration(self):
        self.conf.write_text(self._configuration())

    def _launch(self):
        output = self.dir / "start.log"
        with open(output, "wb") as out:
            self.process = subprocess.Popen(
                self.inside([DOVECOT, "-F", "-c", str(self.conf)],
                            clock=False),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
        self.pid = self.process.pid
        self.running_conf = self.conf.read_text()
        if not self.outlive:
            self._watch()
        deadline = time.monotonic() + PATIENCE
        ports = [self.imap_port, self.lmtp_port, self.http_port]
        while ports:
            if self.process.poll() is not None:
                self.start_output = output.read_text()
                self._unwatch()
                if "Address already in use" in self.start_output + self.log():
                    return False
                raise RuntimeError("Dovecot does not start:\n" + self.log() +
                                   self.start_output)
            if time.monotonic() > deadline:
                self.stop(remove=False)
                raise TimeoutError("Dovecot does not listen:\n" + self.log())
            try:
                socket.create_connection(("127.0.0.1", ports[-1]), 5).close()
                ports.pop()
            except OSError:
                time.sleep(0.02)
        return True

    def _watch(self):
        """A test run that is killed must leave no Dovecot behind: its end of
        the pipe closes, however it ended."""
        self.watcher = subprocess.Popen(
            ["/bin/sh", "-c", "read stopped || kill $0", str(self.pid)],
            stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True)

    def _unwatch(self):
        if self.watcher is not None:
            self.watcher.communicate(b"stopped\n")
            self.watcher = None

    def running(self):
        if self.pid is None:
            return False
        if self.process is not None:
            return self.process.poll() is None
        return self._process_name(self.pid) is not None

    def reload(self):
        """Takes over a changed configuration (write_configuration())."""
        before = self.log_size()
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while "SIGHUP received" not in self.log(before):
            if time.monotonic() > deadline:
                raise TimeoutError("Dovecot does not reload")
            time.sleep(0.02)

    @staticmethod
    def _process_name(pid):
        """None if there is none any more, or has ended: in a container it may
        take init a second or two to take notice."""
        try:
            stat = pathlib.Path("/proc/%s/stat" % pid).read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        head, mark, tail = stat.rpartition(")")
        return None if tail.split()[0] in "ZX" else head.partition("(")[2]

    def _children(self):
        """The master's processes that have not ended: pid -> name."""
        try:
            pids = pathlib.Path("/proc/%d/task/%d/children" %
                                (self.pid, self.pid)).read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return {}
        names = {pid: self._process_name(pid) for pid in pids}
        return {pid: name for pid, name in names.items() if name}

    def stop(self, remove=None):
        """Ends the master by its pid, which ends its processes, and waits.
        The directory goes if start() made it (or as remove says)."""
        self._unwatch()
        if self.running():
            children = self._children()
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            while self.running():
                # all that is left to the master then is to sleep for a second
                if time.monotonic() > deadline or \
                   set(self._children().values()) <= {"log"}:
                    os.kill(self.pid, signal.SIGKILL)
                time.sleep(0.02)
            # the log's writer ends when nobody can write to it any more
            while any(self._process_name(pid) == name
                      for pid, name in children.items()):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
        if self.process is not None:
            self.process.wait()
        self.pid = self.process = None
        if self.own_directory if remove is None else remove:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()

    def _state(self):
        return {name: getattr(self, name) for name in (
            "driver", "pid", "imap_port", "lmtp_port", "http_port", "users",
            "sanitizers", "doveadm_password", "doveadm_api_key", "acl",
            "quota", "mail_plugins", "doveadm_plugins")}

    @classmethod
    def load(cls, directory):
        """A node that another process started."""
        node = cls(directory)
        state = json.loads((node.dir / "node.json").read_text())
        for name, value in state.items():
            setattr(node, name, value)
        return node

    # log

    def log_size(self):
        try:
            return self.log_path.stat().st_size
        except FileNotFoundError:
            return 0

    def log(self, since=0):
        """The log's text, from an octet on (see log_size())."""
        try:
            with open(self.log_path, "rb") as stream:
                stream.seek(since)
                return stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def executed(self, since=0):
        """Commands that came over HTTP, from an octet of the log on, but for
        those by which mail-recalld asks for late recalls now and then."""
        pattern = ": cmd ([^:]*): Executing command" if DOVECOT_24 else \
            "Executing command '([^']*)'"
        return [name for name in re.findall(pattern, self.log(since))
                if name != "recall standing late"]

    def wait_log(self, pattern, since=0, count=1):
        """Waits for lines of the log that match; returns them. The log is
        written by another process than the one that answers: what an answer
        says may be there before its lines in the log are."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = [line for line in self.log(since).splitlines(True)
                     if line.endswith("\n") and re.search(pattern, line)]
            if len(lines) >= count:
                return [line.rstrip("\n") for line in lines]
            if time.monotonic() > deadline:
                raise TimeoutError("not %d times %r in the log:\n%s" %
                                   (count, pattern, self.log(since)))
            time.sleep(0.02)

    def settle_log(self):
        """Waits for what the log process has not written yet."""
        path = "/settle-%d" % time.monotonic_ns()
        since = self.log_size()
        self.http("GET", path=path)
        self.wait_log(path, since)

    def panics(self, since=0):
        """Crashes in the log and the sanitizers' reports."""
        found = [line for line in self.log(since).splitlines()
                 if re.search(r"Panic:|killed with signal|"
                              r"Raw backtrace|AddressSanitizer", line)]
        for report in sorted((self.dir / "sanitizer").glob("*")):
            found.append(report.name + ":\n" +
                         report.read_text(errors="replace"))
        return found

    def errors(self, since=0, allow=None):
        """Error, Fatal and Panic lines; allow: a pattern of expected ones."""
        return [line for line in self.log(since).splitlines()
                if re.search(r"(Error|Fatal|Panic): ", line) and
                not (allow and re.search(allow, line))]

    # doveadm

    def inside(self, command, clock=True, environment=None):
        """A command that sees the modules that the node sees, and has what
        they need; environment: and this."""
        environment = {**self._environment(clock), **(environment or {})}
        if environment:
            command = ["env", *("%s=%s" % pair for pair in
                                environment.items())] + command
        if not namespace.available():
            self._refuse_installed()
            return command
        if self.root and self.running():
            return namespace.of_process(self.pid) + command
        return namespace.with_directory(self.modules, DOVECOT_MODULES) + \
            command

    @staticmethod
    def _refuse_installed():
        installed = list(pathlib.Path(DOVECOT_MODULES).glob("**/*recall*"))
        if installed:
            raise RuntimeError(
                "%s is installed, doveadm would take it instead of what was "
                "built, and no mount namespace can be made to hide it" %
                installed[0])

    def doveadm_command(self, *args, environment=None):
        return self.inside([DOVEADM, "-c", str(self._doveadm_conf())] +
                           [str(arg) for arg in args], environment=environment)

    def _doveadm_conf(self):
        """Where doveadm has the configuration from: the node's process that
        has read it, if that is still the file's. To read it takes longer than
        most commands."""
        if self.pid and self.conf.read_text() == self.running_conf:
            return self.dir / "run/config"
        return self.conf

    def doveadm(self, *args, check=True, input=None):
        """Runs doveadm in a process of its own; texts in and out."""
        done = subprocess.run(
            self.doveadm_command(*args), input=input, text=True,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True, timeout=PATIENCE * 5,
            errors="surrogateescape")
        if check and done.returncode != 0:
            raise AssertionError("doveadm %s: exit %d\n%s%s" % (
                shlex.join(map(str, args)), done.returncode, done.stdout,
                done.stderr))
        return done

    def http(self, method="POST", body=None, headers=None,
             path="/doveadm/v1"):
        """One request to doveadm's HTTP API; (status, octets)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port,
                                                timeout=PATIENCE)
        if headers is None:
            account = "doveadm:" + self.doveadm_password
            headers = {
                "Authorization": "Basic " +
                base64.b64encode(account.encode()).decode(),
                "Content-Type": "application/json",
            }
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def doveadm_http(self, commands):
        """Commands ([[name, {parameters}, tag], ...]) to their answers."""
        status, body = self.http(body=json.dumps(commands))
        if status != 200:
            raise AssertionError("doveadm HTTP API: %d %r" % (status, body))
        return json.loads(body)

    @property
    def http_url(self):
        return "http://127.0.0.1:%d/doveadm/v1" % self.http_port

    # mail

    def imap(self, user, password=None):
        """A logged-in connection."""
        connection = imaplib.IMAP4("127.0.0.1", self.imap_port, PATIENCE)
        connection.login(user, password or self.users.get(
            user, {"password": PASSWORD})["password"])
        return connection

    def lmtp_deliver(self, users, message, sender="sender@example.com",
                     check=True):
        """Delivers to one user or several, in one transaction. Returns a dict
        of user -> (code, text)."""
        if isinstance(users, str):
            users = [users]
        if isinstance(message, str):
            message = message.encode()
        answers = {}
        with smtplib.LMTP("127.0.0.1", self.lmtp_port,
                          timeout=PATIENCE) as lmtp:
            lmtp.ehlo_or_helo_if_needed()
            lmtp.mail(sender)
            accepted = []
            for user in users:
                answers[user] = lmtp.rcpt(user)
                if answers[user][0] == 250:
                    accepted.append(user)
            if accepted:
                lmtp.putcmd("data")
                lmtp.getreply()
                message = re.sub(rb"(?m)^\.", b"..", message)
                if not message.endswith(b"\r\n"):
                    message += b"\r\n"
                lmtp.send(message + b".\r\n")
                # an answer a recipient: what smtplib does not know
                for user in accepted:
                    answers[user] = lmtp.getreply()
        if check:
            for user, (code, text) in answers.items():
                if code != 250:
                    raise DeliveryError("%s: %d %s" % (
                        user, code, text.decode(errors="replace")))
        return answers

    def append(self, user, mailbox, message, flags=()):
        """Saves a message into a mailbox, made if needed."""
        connection = self.imap(user)
        try:
            if mailbox != "INBOX":
                connection.create(imap_quote(mailbox))
            status, answer = connection.append(
                imap_quote(mailbox), "(%s)" % " ".join(flags), None, message)
            if status != "OK":
                raise AssertionError("APPEND: %r" % answer)
        finally:
            connection.logout()

    def set_flags(self, user, mailbox, flags, messages="1:*"):
        connection = self.imap(user)
        try:
            connection.select(imap_quote(mailbox))
            connection.store(messages, "+FLAGS", "(%s)" % " ".join(flags))
        finally:
            connection.logout()

    def messages(self, user, mailbox="INBOX"):
        """The messages of a mailbox as octets, looked at without \\Seen."""
        connection = self.imap(user)
        try:
            status, answer = connection.select(imap_quote(mailbox),
                                               readonly=True)
            if status != "OK":
                raise AssertionError("EXAMINE %s: %r" % (mailbox, answer))
            if int(answer[0]) == 0:
                return []
            answer = connection.fetch("1:*", "(BODY.PEEK[])")[1]
            return [part[1] for part in answer if isinstance(part, tuple)]
        finally:
            connection.logout()

    def count(self, user, mailbox="INBOX"):
        return len(self.messages(user, mailbox))


CONFIGURATION = nodeconf.PATHS + """\
disable_plaintext_auth = no
""" + nodeconf.NAMES + """\
import_environment = $import_environment %(environment)s
mail_debug = %(debug)s
""" + nodeconf.MAIL + """\
mail_location = %(location)s
mail_plugins = %(mail_plugins)s
doveadm_password = %(doveadm_password)s
doveadm_api_key = %(doveadm_api_key)s
lmtp_save_to_detail_mailbox = no
passdb {
  driver = passwd-file
  args = username_format=%%u %(dir)s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %(dir)s/users
}
""" + nodeconf.MAILBOXES + """\
protocol imap {
  mail_plugins = $mail_plugins %(imap_plugins)s
}
protocol doveadm {
  mail_plugins = $mail_plugins %(doveadm_plugins)s
}
""" + nodeconf.services("service_count", "0") + """\
service ipc {
  chroot =
}
""" + \
    nodeconf.HELPERS

SHARED_NAMESPACE = """\
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%%%u/
  location = %(shared_location)s
  subscriptions = no
  list = children
}
service auth {
  # x: anyone may look up anyone, to get at what that user shares
  unix_listener auth-userdb {
    mode = 0777
  }
}
"""


def usage(node):
    users = sorted(node.users)
    doveadm = "%s doveadm %s" % (os.path.abspath(__file__), node.dir)
    return """\
Dovecot (pid {node.pid}) runs in {node.dir}
  IMAP     127.0.0.1:{node.imap_port}, password {password} for {users}
  LMTP     127.0.0.1:{node.lmtp_port}
  doveadm  {doveadm}
  HTTP API {node.http_url}, user doveadm, password {node.doveadm_password}
  log      {node.log_path}
Try
  {doveadm} recall expunge -u {user} '<MESSAGE-ID>'
  curl -u doveadm:{node.doveadm_password} -d '[["recallExpunge",{{"users":["{user}"],"messageId":"<MESSAGE-ID>"}},"1"]]' {node.http_url}
""".format(node=node, password=PASSWORD, users=", ".join(users),
           doveadm=doveadm, user=users[0] if users else "USER")


def how_to_stop(node):
    return """\
Stop it with
  %s stop --dir %s
(with --remove, its directory goes, too)
""" % (os.path.abspath(__file__), node.dir)


def pair(text):
    name, mark, value = text.partition("=")
    if not mark:
        raise argparse.ArgumentTypeError("not NAME=VALUE: " + text)
    return name, value


def main():
    parser = argparse.ArgumentParser(description="Runs a private Dovecot.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="write a configuration, start")
    start.add_argument("--dir", required=True)
    start.add_argument("--driver", default="maildir",
                       choices=sorted(LOCATIONS))
    start.add_argument("--users", default="",
                       help="names, comma-separated")
    start.add_argument("--field", nargs=2, action="append", default=[],
                       metavar=("USER", "NAME=VALUE"),
                       help="a userdb field of a user")
    start.add_argument("--mail-plugins", default="")
    start.add_argument("--plugin", type=pair, action="append", default=[],
                       metavar="NAME=VALUE", help="a plugin setting")
    start.add_argument("--acl", action="store_true")
    start.add_argument("--quota", action="store_true")
    start.add_argument("--debug", action="store_true")
    start.add_argument("--extra", help="a file with more configuration")
    stop = commands.add_parser("stop", help="stop it")
    stop.add_argument("--dir", required=True)
    stop.add_argument("--remove", action="store_true",
                      help="remove the directory, too")
    deliver = commands.add_parser("deliver", help="deliver a message by LMTP")
    deliver.add_argument("--dir", required=True)
    deliver.add_argument("--to", required=True, help="users, comma-separated")
    deliver.add_argument("--sender", default="sender@example.com")
    deliver.add_argument("--subject", default="Test")
    deliver.add_argument("--message-id", required=True)
    read = commands.add_parser("read", help="read a user's INBOX by IMAP")
    read.add_argument("--dir", required=True)
    read.add_argument("--user", required=True)
    doveadm = commands.add_parser("doveadm", help="run doveadm on it")
    doveadm.add_argument("dir")
    doveadm.add_argument("arguments", nargs=argparse.REMAINDER)
    info = commands.add_parser("info", help="how to use one that runs")
    info.add_argument("--dir", required=True)
    args = parser.parse_args()

    if args.command == "stop":
        node = MailNode.load(args.dir)
        node.stop(remove=args.remove)
        return 0
    if args.command == "doveadm":
        command = MailNode.load(args.dir).doveadm_command(*args.arguments)
        os.execvp(command[0], command)
    if args.command == "info":
        print(usage(MailNode.load(args.dir)), end="")
        return 0
    if args.command == "deliver":
        users = args.to.split(",")
        MailNode.load(args.dir).lmtp_deliver(users, build_message(
            args.message_id, args.subject, args.sender, ", ".join(users)),
            args.sender)
        return 0
    if args.command == "read":
        connection = MailNode.load(args.dir).imap(args.user)
        connection.select("INBOX")
        connection.fetch("1:*", "(BODY[])")
        connection.logout()
        return 0
    users = {name: {} for name in args.users.split(",") if name}
    for user, text in args.field:
        users.setdefault(user, {}).update([pair(text)])
    extra = pathlib.Path(args.extra).read_text() if args.extra else ""
    node = MailNode(args.dir, args.driver, users,
                    re.split(r"[ ,]+", args.mail_plugins.strip()),
                    dict(args.plugin), args.acl, args.quota, extra,
                    debug=args.debug, outlive=True)
    node.start()
    print(usage(node) + how_to_stop(node), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
