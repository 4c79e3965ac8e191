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
import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import config24
import namespace
import nodeconf
# tests have all that a node needs from here
from mailtext import (  # noqa: F401
    build_message, check_wire_format, imap_quote, mailbox_utf7)
from nodebase import (  # noqa: F401
    BATCH_MAX, DOVEADM, DOVECOT, DOVECOT_24, DOVECOT_MODULES, EXAMPLE,
    LOCATIONS, PASSWORD, PATIENCE, SRCDIR, builddir, first_account, free_port,
    sanitizers_of)
from nodeclient import DeliveryError, Idle, NodeClient  # noqa: F401
from nodelog import NodeLog


class MailNode(NodeLog, NodeClient):
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
    all_modules     has all of Dovecot's modules for doveadm, wanted or not, as
                    a node for people has
    vsz_limit       memory that each process may map, unless it is run with
                    sanitizers, which map much more
    """

    def __init__(self, directory=None, driver="maildir", users=(),
                 mail_plugins=(), plugin=None, acl=False, quota=False,
                 extra="", doveadm_requests=1000, debug=False, fsync=False,
                 outlive=False, clock=None, all_modules=False,
                 vsz_limit="512M"):
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
        self.vsz_limit = vsz_limit
        self.doveadm_requests = doveadm_requests
        self.debug = debug
        self.fsync = fsync
        self.outlive = outlive
        self.clock = clock
        self.all_modules = all_modules
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
        shutil.copytree(DOVECOT_MODULES, self.modules, ignore=self._unwanted)
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

    def _unwanted(self, directory, names):
        """Modules that the node does not see. Each doveadm loads those of all
        plugins, Sieve's with LDAP and OpenSSL: a third of its time."""
        wanted = {*self.mail_plugins, *re.findall(r"\w+", self.extra),
                  *["acl"] * self.acl, *["quota"] * self.quota}
        unwanted = set()
        for name in names:
            doveadm = re.fullmatch(r"lib\d*_?doveadm_(\w+)_plugin\.so", name)
            if "recall" in name or (doveadm and not self.all_modules and
                                    doveadm.group(1) not in wanted):
                unwanted.add(name)
        return unwanted

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
        # A session costs half if it finds a process of another one. Those that
        # are there when the clock is set do not outlive it.
        sessions = "1" if self.clock else "unlimited" if DOVECOT_24 else "0"
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
            "imap_sessions": sessions,
            "doveadm_requests": self.doveadm_requests,
            "doveadm_password": self.doveadm_password,
            "doveadm_api_key": self.doveadm_api_key,
            "mail_plugins": " ".join(plugins),
            "imap_plugins": " ".join(imap_plugins),
            "doveadm_plugins": " ".join(self.doveadm_plugins),
            "debug": "yes" if self.debug else "no",
            "fsync": "optimized" if self.fsync else "never",
            "vsz_limit": "0" if self.sanitizers else self.vsz_limit,
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
        # the master listens at ports first, and doveadm asks for the settings
        config = self.dir / "run" / "config"
        while ports or not config.exists():
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
                if ports:
                    socket.create_connection(("127.0.0.1", ports[-1]),
                                             5).close()
                    ports.pop()
                else:
                    time.sleep(0.02)
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
                    debug=args.debug, outlive=True, all_modules=True)
    node.start()
    print(usage(node) + how_to_stop(node), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
