#!/usr/bin/python3
"""Runs a program with the sandbox of a systemd unit, without systemd.

Usage: sandbox.py UNIT PROGRAM [ARGUMENT...]

What of UNIT is enforced, as systemd does it:

    SystemCallFilter, SystemCallArchitectures, RestrictAddressFamilies,
    MemoryDenyWriteExecute, RestrictNamespaces, RestrictRealtime,
    RestrictSUIDSGID, LockPersonality    a seccomp filter
    NoNewPrivileges, CapabilityBoundingSet, AmbientCapabilities, UMask,
    LimitNOFILE, LimitCORE

The rest needs mounts and users that a test has not. A call that is not allowed
kills the process (SIGSYS) instead of failing with SystemCallErrorNumber, so
that no test passes which made one, unless RECALL_SANDBOX=errno.

For all tests of the service:

    RECALL_SERVICE_WRAPPER="tests/support/sandbox.py build/check/service/mail-recalld.service"

Needs systemd-analyze (which knows the sets of system calls, and needs no
systemd that runs) and python3-seccomp.
"""
import ctypes
import errno
import os
import pathlib
import re
import resource
import subprocess
import sys

import seccomp

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_DROP = 24
LAST_CAPABILITY = pathlib.Path("/proc/sys/kernel/cap_last_cap")
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
CLONE_NEW = {"cgroup": 0x2000000, "ipc": 0x8000000, "net": 0x40000000,
             "mnt": 0x20000, "pid": 0x20000000, "user": 0x10000000,
             "uts": 0x4000000, "time": 0x80}
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
REALTIME = [1, 2, 6]  # SCHED_FIFO, SCHED_RR, SCHED_DEADLINE
S_ISUID, S_ISGID = 0o4000, 0o2000
KNOWN_OTHERWISE = """Type ExecStartPre ExecStart ExecReload Restart RestartSec
TimeoutStopSec EnvironmentFile User DynamicUser StateDirectory
StateDirectoryMode LogsDirectory ConfigurationDirectory MemoryHigh MemoryMax
TasksMax PrivateDevices PrivateIPC PrivateMounts PrivateTmp PrivateUsers ProcSubset ProtectClock
ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs
ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem RemoveIPC
SystemCallErrorNumber""".split()


def settings(path):
    """The settings of [Service]: name -> values, in their order."""
    text = pathlib.Path(path).read_text()
    section = re.search(r"^\[Service\]\n(.*?)(?=^\[|\Z)", text, re.M | re.S)
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", section[1], re.M):
        found.setdefault(name, []).append(value)
    return found


def set_of(name, sets={}):
    """The system calls of a set, as systemd-analyze prints it."""
    if not sets:
        text = subprocess.run(["systemd-analyze", "--no-pager",
                               "syscall-filter"], check=True,
                              capture_output=True, text=True).stdout
        for part in re.split(r"^(?=@)", text, flags=re.M)[1:]:
            lines = part.splitlines()
            sets[lines[0].strip()] = [
                line.strip() for line in lines[1:]
                if re.match(r"    [@\w]", line)]
    if not name.startswith("@"):
        return {name}
    return {call for member in sets[name] for call in set_of(member)}


def allowed(lines):
    """What SystemCallFilter= lines leave. The first decides that it is a list
    of what is allowed; systemd adds what every program needs."""
    if not lines or lines[0].startswith("~"):
        raise SystemExit("sandbox: SystemCallFilter does not begin with what "
                         "is allowed")
    calls = set_of("@default")
    for line in lines:
        named = {call for name in line.lstrip("~").split()
                 for call in set_of(name)}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def rule(filter, action, call, *conditions):
    """Leaves out calls that this architecture has not."""
    try:
        filter.add_rule_exactly(action, call, *conditions)
    except (RuntimeError, ValueError, OSError):
        if call in ("mmap", "mprotect", "socket", "clone"):
            raise


def masked(arg, mask, value=None):
    return seccomp.Arg(arg, seccomp.MASKED_EQ, mask,
                       mask if value is None else value)


def refuse(unit, has):
    """What is refused by arguments, as (call, conditions)."""
    if has("MemoryDenyWriteExecute"):
        yield "mmap", [masked(2, PROT_WRITE | PROT_EXEC)]
        yield "mprotect", [masked(2, PROT_EXEC)]
        yield "pkey_mprotect", [masked(2, PROT_EXEC)]
        yield "shmat", [masked(2, SHM_EXEC)]
    if has("RestrictNamespaces"):
        for flag in CLONE_NEW.values():
            yield "unshare", [masked(0, flag)]
            yield "clone", [masked(0, flag)]
        yield "setns", []
    if has("RestrictRealtime"):
        for policy in REALTIME:
            yield "sched_setscheduler", [
                seccomp.Arg(1, seccomp.EQ, policy)]
    if has("RestrictSUIDSGID"):
        for bit in (S_ISUID, S_ISGID):
            for call, arg in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2),
                              ("mkdir", 1), ("mkdirat", 2), ("mknod", 1),
                              ("mknodat", 2), ("creat", 1)):
                yield call, [masked(arg, bit)]
    if has("LockPersonality"):
        yield "personality", [seccomp.Arg(0, seccomp.NE, 0)]
    families = unit.get("RestrictAddressFamilies", [""])[0].split()
    if families:
        numbers = {FAMILIES[name] for name in families}
        for number in range(max(numbers) + 1):
            if number not in numbers:
                yield "socket", [seccomp.Arg(0, seccomp.EQ, number)]
        yield "socket", [seccomp.Arg(0, seccomp.GT, max(numbers))]


def load(unit, deny):
    def has(name):
        return unit.get(name, ["no"])[-1] == "yes"

    filters = []
    lists = seccomp.SyscallFilter(deny)
    for call in sorted(allowed(unit["SystemCallFilter"])):
        rule(lists, seccomp.ALLOW, call)
    if os.geteuid() == 0:
        # SQLite wants files of root to be their database's owner's, and goes
        # on if it can't; the unit's user is another
        rule(lists, seccomp.ERRNO(errno.EPERM), "fchown")
    filters.append(lists)
    arguments = seccomp.SyscallFilter(seccomp.ALLOW)
    for call, conditions in refuse(unit, has):
        rule(arguments, deny, call, *conditions)
    if has("RestrictNamespaces"):
        # its flags are in memory, so systemd has glibc use clone()
        rule(arguments, seccomp.ERRNO(errno.ENOSYS), "clone3")
    filters.append(arguments)
    for each in reversed(filters):
        each.load()


def drop_capabilities(unit):
    if unit.get("CapabilityBoundingSet") != [""]:
        return
    for number in range(int(LAST_CAPABILITY.read_text()) + 1):
        LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)


def main():
    unit = settings(sys.argv[1])
    os.umask(int(unit.get("UMask", ["022"])[-1], 8))
    for name, number in (("LimitNOFILE", resource.RLIMIT_NOFILE),
                         ("LimitCORE", resource.RLIMIT_CORE)):
        if name in unit:
            limit = int(unit[name][-1])
            resource.setrlimit(number, (limit, limit))
    deny = seccomp.KILL_PROCESS
    if os.environ.get("RECALL_SANDBOX") == "errno":
        deny = seccomp.ERRNO(getattr(errno, unit["SystemCallErrorNumber"][-1]))
    drop_capabilities(unit)
    if unit.get("NoNewPrivileges") == ["yes"] and \
       LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "NoNewPrivileges")
    load(unit, deny)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
