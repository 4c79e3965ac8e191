"""Calls of the C library that fail, or at which a process is killed, once in
turn: fault-shim.c, which is loaded into a program, and what arms it."""

import errno
import mmap
import os
import pathlib
import random
import signal
import struct
import subprocess

import mailnode
from conftest import Result, parse_tab
from faults import wait_for

# as in fault-shim.c; the errors that each may have
CALLS = {
    "open": [errno.EACCES, errno.EMFILE],
    "read": [errno.EIO],
    "write": [errno.ENOSPC, errno.EIO],
    "fsync": [errno.EIO, errno.ENOSPC],
    "rename": [errno.ENOSPC, errno.EACCES],
    "link": [errno.ENOSPC, errno.EMLINK],
    "truncate": [errno.EIO, errno.ENOSPC],
    "mmap": [errno.ENOMEM],
    "unlink": [errno.EACCES, errno.EIO],
    "mkdir": [errno.ENOSPC, errno.EACCES],
    "stat": [errno.EACCES, errno.EIO],
    "malloc": [errno.ENOMEM],
}
NUMBERS = {name: i for i, name in enumerate(CALLS, 1)}
# at which a process may be killed: what changes something
CHANGES = ["open", "write", "fsync", "rename", "link", "truncate", "unlink",
           "mkdir"]
KILLED = 0
# no fault: the process stops there, until it is sent SIGCONT
STOPPED = 2 ** 32 - 1

HEAD = struct.Struct("=5I16I")
PROGRAM = struct.Struct("=16s1024s")
FAILED_PATH = 512
SIZE = HEAD.size + PROGRAM.size + FAILED_PATH


class Shim:
    """What fails in the processes that have its environment.

    directory   of its own files
    program     whose calls count
    paths       files that count, and directories below which they do; memory
                always does"""

    def __init__(self, directory, program, paths):
        self.module = mailnode.builddir() / "tests/support/fault-shim.so"
        assert self.module.exists(), "%s was not built" % self.module
        self.path = pathlib.Path(directory) / "fault-control"
        self.path.write_bytes(bytes(SIZE))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as stream:
            self.map = mmap.mmap(stream.fileno(), SIZE)
        PROGRAM.pack_into(self.map, HEAD.size, program[:15].encode(),
                          "\n".join(map(str, paths)).encode())

    def environment(self, sanitizers=()):
        """What must be there when a program starts."""
        return {
            "LD_PRELOAD": ":".join([*sanitizers, str(self.module)]),
            "FAULT_CONTROL": str(self.path),
        }

    def arm(self, call=None, at=0, error=0, forever=False):
        """Counts from 1 again; without a call nothing fails."""
        HEAD.pack_into(self.map, 0, 0, 0, 0, 0, 0, *([0] * 16))
        self.map[HEAD.size + PROGRAM.size:] = bytes(FAILED_PATH)
        HEAD.pack_into(self.map, 0, NUMBERS.get(call, 0), at, error, forever,
                       0, *([0] * 16))

    def counts(self):
        counts = HEAD.unpack_from(self.map)[5:]
        return {name: counts[number] for name, number in NUMBERS.items()}

    def failed(self):
        """How many calls have failed since it was armed."""
        return HEAD.unpack_from(self.map)[4]

    def failed_path(self):
        return self.map[HEAD.size + PROGRAM.size:].rstrip(b"\0").decode()


class Stopping:
    """A doveadm that prints rows as "tab" has them. It stops at the call that
    its shim, which is armed, stops it at, and waits until go_on()."""

    def __init__(self, shim, command):
        self.shim = shim
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        wait_for(self.shim.failed, "it does not come so far")
        wait_for(self.is_stopped, "it does not wait")
        return self

    def is_stopped(self):
        stat = pathlib.Path("/proc/%d/stat" % self.process.pid).read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)
        out, errors = self.process.communicate(timeout=mailnode.PATIENCE)
        assert "Panic" not in errors
        return Result(parse_tab(out), self.process.returncode, errors)

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Fault:
    """One call that fails, or all from there on; error KILLED: the process
    dies there."""

    def __init__(self, call, at, error, forever=False):
        self.call = call
        self.at = at
        self.error = error
        self.forever = forever

    def __str__(self):
        return "%s %d %s" % (self.call, self.at,
                              errno.errorcode.get(self.error, "killed"))


def mixed(seed, values):
    """In an order by the seed, which one value more or less doesn't change: a
    run never has quite as many calls as the one before."""
    return sorted(values,
                  key=lambda value: random.Random("%s %s" % (seed, value))
                  .random())


def faults(counts, seed, calls=CALLS, malloc_max=200):
    """All faults of a run that had so many calls, each with one of its errors
    and each change with a kill, too. Calls for memory are too many: of them
    some."""
    found = []
    for call in calls:
        numbers = range(1, counts[call] + 1)
        if call == "malloc":
            numbers = sorted(mixed(seed, numbers)[:malloc_max])
        for at in numbers:
            found.append(Fault(call, at, mixed("%s %s %d" % (seed, call, at),
                                               CALLS[call])[0]))
            if call in CHANGES:
                found.append(Fault(call, at, KILLED))
    return found


def choose(found, seed):
    """RECALL_FAULTS: all, or how many, which are spread over the calls; or one,
    as findings have it: "rename 3 EACCES", "write 7 killed"."""
    wanted = os.environ.get("RECALL_FAULTS", "10")
    if " " in wanted:
        call, at, error = wanted.split()
        return [Fault(call, int(at), KILLED if error == "killed" else
                      getattr(errno, error))]
    if wanted == "all":
        return found
    by_call = {}
    for fault in mixed(seed, found):
        by_call.setdefault((fault.call, fault.error == KILLED),
                           []).append(fault)
    lists = [by_call[key] for key in mixed(seed, by_call)]
    chosen = []
    while len(chosen) < int(wanted) and lists:
        lists = [each for each in lists if each]
        for each in lists:
            chosen.append(each.pop())
    return chosen[:int(wanted)]
