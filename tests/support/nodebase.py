"""What nodes and their clients have in common: programs, directories, ports."""

import functools
import grp
import os
import pathlib
import pwd
import random
import re
import socket
import subprocess

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
