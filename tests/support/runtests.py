#!/usr/bin/python3
"""Runs tests of a build for ./check.

    runtests.py unit BUILD
    runtests.py e2e BUILD [--files PATTERN] [--sandboxed PATTERN]
                [--not-again BUILD] [PYTEST-OPTION ...]

What passed is not shown, what failed is. The last line is
"N passed, N failed", and so is the exit status: 0 if none failed and some
passed.

unit: `make check`. Counts CUnit's tests; a program that ended without CUnit's
summary, or worse than that says, counts as one.

e2e: pytest on tests/e2e/test_*.py, several files at a time: each has Dovecots
of its own. Reports go to BUILD/e2e. --sandboxed: the service of these files is in
the sandbox of its unit, which forbids more than there is without it.
--not-again: leaves out what has passed in the last run of that build, e.g. of
one with sanitizers: the same tests of the same Dovecot, by something that sees
more. A file that is sandboxed is run whatever passed there.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as tree
from importlib import import_module

SRCDIR = pathlib.Path(__file__).resolve().parent.parent.parent
CORES = len(os.sched_getaffinity(0))
# a file that takes longer hangs, in seconds
FILE_TIMEOUT = int(os.environ.get("RECALL_FILE_TIMEOUT", "900"))
# What lasts longest comes first, so that no core has nothing to do at the end.
# Files wait for two thirds of their time, for a time-out, a second that has to
# pass, a process that starts. What is printed says how much that left idle.
WORKERS = 2 * CORES + 1
# files that last longer than their size tells, the longest first
LONG = ["test_index_history", "test_console", "test_faults",
        "test_service_failures", "test_share", "test_concurrent",
        "test_service_openapi", "test_search", "test_expunge",
        "test_console_pictures", "test_standing", "test_service_hostile",
        "test_service_faults", "test_jobs", "test_proxy_batches", "test_load",
        "test_service_auth",
        "test_quarantine_crash", "test_service_fuzz", "test_service_logins",
        "test_console_incident", "test_console_lost",
        "test_console_oidc",
        "test_quarantine_plugins", "test_quickstart",
        "test_service_config", "test_service_params"]
# files that would go on when all others have ended: a process for each format of
# mailboxes. None of their tests is for one format only, or without the plugin.
SPLIT = ["test_index_history", "test_faults"]
SLOWEST_SHOWN = 15
# pytest's exit status: no test of the file is wanted
NO_TESTS = 5
# what pytest imports once it runs
PARTS_OF_PYTEST = [
    "capture", "debugging", "doctest", "fixtures", "helpconfig", "junitxml",
    "logging", "pastebin", "python", "reports", "runner", "setuponly",
    "setupplan", "skipping", "stepwise", "terminal", "threadexception",
    "tmpdir", "unittest", "unraisableexception", "warnings"]


def unit(build):
    for old in [*build.glob("**/*.trs"), *build.glob("**/test-suite.log")]:
        old.unlink()
    make = subprocess.run(["nice", "make", "-s", "-k", "-j%d" % CORES,
                           "check"], cwd=build, capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL)
    (build / "unit-tests.log").write_text(make.stdout + make.stderr)
    passed = failed = 0
    results = sorted(build.glob("**/*.trs"))
    for path in results:
        result = re.search(r":test-result: (\S+)", path.read_text()).group(1)
        log = path.with_suffix(".log").read_text(errors="replace")
        counts = re.findall(r"^ *tests +\d+ +\d+ +(\d+) +(\d+)", log, re.M)
        good = sum(int(count[0]) for count in counts)
        bad = sum(int(count[1]) for count in counts)
        if result in ("FAIL", "ERROR", "XPASS"):
            bad = bad or 1
            print("-- %s\n%s" % (path.stem, log[-6000:]))
        elif result == "PASS" and not counts:
            good = 1
        passed += good
        failed += bad
    if failed == 0 and (make.returncode != 0 or not results):
        failed = 1
        print((make.stdout + make.stderr)[-6000:])
    return passed, failed


class File:
    """A file of tests that is to run, or its tests of one format."""

    def __init__(self, path, build, driver=None):
        self.path = path
        self.driver = driver
        self.name = path.stem + ("-" + driver if driver else "")
        self.log = build / "e2e" / (self.name + ".log")
        self.report = build / "e2e" / (self.name + ".xml")
        self.environment = {"RECALL_DRIVERS": driver} if driver else {}
        self.options = []

    def place(self):
        """Among those that are to run: what is known to last long, then the
        largest."""
        if self.path.stem in LONG:
            return 0, LONG.index(self.path.stem), self.name
        return 1, -self.path.stat().st_size, self.name


def files_of(pattern, build):
    drivers = os.environ.get("RECALL_DRIVERS", "maildir,sdbox,mdbox").split(",")
    for path in (SRCDIR / "tests/e2e").glob(pattern):
        if path.stem in SPLIT and len(drivers) > 1:
            yield from (File(path, build, driver) for driver in drivers)
        else:
            yield File(path, build)


def import_common():
    """What all files of tests need, which takes longer than many a test."""
    import_module("pytest")
    for part in PARTS_OF_PYTEST:
        import_module("_pytest." + part)
    # not in the source, but there for the next file, and for the next build's
    sys.pycache_prefix = str(SRCDIR / "build/pycache")
    sys.dont_write_bytecode = False
    import_module("mailnode")
    import_module("servicenode")


def start_file(file, options):
    """Starts a file of tests in a process of its own, a copy of this one, which
    has imported most of what it needs; returns its pid."""
    pytest = import_module("pytest")
    sys.stdout.flush()
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        os.nice(10)
        signal.alarm(FILE_TIMEOUT)
        os.environ.update(file.environment)
        log = os.open(file.log, os.O_WRONLY | os.O_CREAT)
        for fd, wanted in (os.open(os.devnull, os.O_RDONLY), 0), (log, 1), \
                (log, 2):
            os.dup2(fd, wanted)
        status = pytest.main([
            "-q", "-rs", "-p", "no:cacheprovider",
            "--junitxml=%s" % file.report, str(file.path), *options,
            *file.options])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def tell_file(file, status):
    """Of a file of tests that has ended; returns (passed, failed)."""
    if status == -signal.SIGALRM:
        with open(file.log, "ab") as output:
            output.write(b"\nnot finished after %d s\n" % FILE_TIMEOUT)
    text = file.log.read_text(errors="replace")
    lines = text.splitlines()
    print("%s: %s" % (file.name, lines[-1] if lines else "nothing"),
          *[line for line in lines if line.startswith("SKIPPED")], sep="\n  ")
    try:
        suite, = tree.parse(file.report).getroot()
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        good = int(suite.get("tests")) - bad - int(suite.get("skipped"))
    except (OSError, tree.ParseError):
        good, bad = 0, 1
    if status not in (0, NO_TESTS):
        bad = bad or 1
    if bad:
        print(text, flush=True)
    return max(good, 0), bad


def show_slowest(reports):
    """Where the time of a run goes: files and tests."""
    files, cases = {}, []
    for path in reports.glob("*.xml"):
        try:
            suite, = tree.parse(path).getroot()
        except (OSError, tree.ParseError):
            continue
        files[path.stem] = float(suite.get("time"))
        cases += [(float(case.get("time")), path.stem, case.get("name"))
                  for case in suite.iter("testcase")]
    print("slowest files:", *["%s %d s," % pair for pair in sorted(
        files.items(), key=lambda pair: -pair[1])[:SLOWEST_SHOWN]])
    print("slowest tests:", *["%d s %s::%s" % case for case in sorted(
        cases, reverse=True)[:SLOWEST_SHOWN]], sep="\n  ")


def idle_time():
    """How long all cores of the machine had nothing to do, in seconds."""
    fields = pathlib.Path("/proc/stat").read_text().split()
    # the first line: cpu, user, nice, system, idle, iowait
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def scratch_directory():
    """Where nodes live: in memory if programs may be run there, as many small
    files that come and go are half of the work on a disk."""
    shm = "/dev/shm"
    try:
        if not os.statvfs(shm).f_flag & os.ST_NOEXEC and \
           os.statvfs(shm).f_bavail * os.statvfs(shm).f_frsize > 1 << 30:
            return tempfile.TemporaryDirectory(prefix="recall-", dir=shm)
    except OSError:
        pass
    return tempfile.TemporaryDirectory(prefix="recall-")


def sandbox(build):
    """What runs the service in the sandbox of its unit; empty if this can't."""
    if not shutil.which("systemd-analyze"):
        return {}
    return {"RECALL_SERVICE_WRAPPER": shlex.join([
        "/usr/bin/python3", str(SRCDIR / "tests/support/sandbox.py"),
        str(build / "service/mail-recalld.service")])}


def e2e(build, args, options):
    reports = build / "e2e"
    reports.mkdir(exist_ok=True)
    for old in reports.iterdir():
        old.unlink()
    files = sorted(files_of(args.files, build), key=File.place)
    for file in files:
        if args.sandboxed and file.path.match(args.sandboxed):
            file.environment.update(sandbox(build))
        elif args.not_again:
            file.options = ["--not-again=%s" % (args.not_again / "e2e")]
    started, idle = time.monotonic(), idle_time()
    with scratch_directory() as scratch:
        # Dovecot's processes are other users'
        os.chmod(scratch, 0o755)
        os.environ.update(RECALL_BUILDDIR=str(build), TMPDIR=scratch,
                          PYTHONDONTWRITEBYTECODE="1")
        import_common()
        running, counts, used = {}, [], {}
        while files or running:
            while files and len(running) < WORKERS:
                file = files.pop(0)
                running[start_file(file, options)] = file
            pid, status, usage = os.wait3(0)
            file = running.pop(pid)
            used[file.name] = usage.ru_utime + usage.ru_stime
            counts.append(tell_file(file, os.waitstatus_to_exitcode(status)))
    show_slowest(reports)
    print("processor time:", *["%s %d s," % pair for pair in sorted(
        used.items(), key=lambda pair: -pair[1])[:SLOWEST_SHOWN]],
        "all %d s" % sum(used.values()))
    print("took %d s; cores had nothing to do for %d of %d s" % (
        time.monotonic() - started, idle_time() - idle,
        (time.monotonic() - started) * os.cpu_count()))
    return sum(count[0] for count in counts), sum(count[1] for count in counts)


def main():
    parser = argparse.ArgumentParser(description="Runs tests of a build.")
    def directory(path):
        return pathlib.Path(path).resolve()

    parser.add_argument("kind", choices=["unit", "e2e"])
    parser.add_argument("build", type=directory)
    parser.add_argument("--files", default="test_*.py")
    parser.add_argument("--sandboxed")
    parser.add_argument("--not-again", type=directory)
    args, options = parser.parse_known_args()
    if args.kind == "unit":
        passed, failed = unit(args.build)
    else:
        passed, failed = e2e(args.build, args, options)
    print("%d passed, %d failed" % (passed, failed))
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
