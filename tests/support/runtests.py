#!/usr/bin/python3
"""Runs tests of a build for ./check.

    runtests.py unit BUILD
    runtests.py e2e BUILD [--files PATTERN] [PYTEST-OPTION ...]

What passed is not shown, what failed is. The last line is
"N passed, N failed", and so is the exit status: 0 if none failed and some
passed.

unit: `make check`. Counts CUnit's tests; a program that ended without CUnit's
summary, or worse than that says, counts as one.

e2e: pytest on tests/e2e/test_*.py, several files at a time: each has Dovecots
of its own. Reports go to BUILD/e2e.
"""

import argparse
import os
import pathlib
import re
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
        "test_console_oidc", "test_quarantine_plugins", "test_quickstart",
        "test_service_config", "test_service_params"]
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


def log_of(path, build):
    return build / "e2e" / (path.stem + ".log")


def report_of(path, build):
    return build / "e2e" / (path.stem + ".xml")


def import_common(build):
    """What all files of tests need, which takes longer than many a test."""
    import_module("pytest")
    for part in PARTS_OF_PYTEST:
        import_module("_pytest." + part)
    # not in the source, but there for the next file
    sys.pycache_prefix = str(build / "pycache")
    sys.dont_write_bytecode = False
    import_module("mailnode")
    import_module("servicenode")


def start_file(path, build, options):
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
        log = os.open(log_of(path, build), os.O_WRONLY | os.O_CREAT)
        for fd, wanted in (os.open(os.devnull, os.O_RDONLY), 0), (log, 1), \
                (log, 2):
            os.dup2(fd, wanted)
        status = pytest.main([
            "-q", "-rs", "-p", "no:cacheprovider",
            "--junitxml=%s" % report_of(path, build), str(path), *options])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def tell_file(path, build, status):
    """Of a file of tests that has ended; returns (passed, failed)."""
    junit = report_of(path, build)
    log = log_of(path, build)
    if status == -signal.SIGALRM:
        with open(log, "ab") as output:
            output.write(b"\nnot finished after %d s\n" % FILE_TIMEOUT)
    text = log.read_text(errors="replace")
    lines = text.splitlines()
    print("%s: %s" % (path.stem, lines[-1] if lines else "nothing"),
          *[line for line in lines if line.startswith("SKIPPED")], sep="\n  ")
    try:
        suite, = tree.parse(junit).getroot()
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


def place(path):
    """Of a file among those that are to run: what is known to last long, then
    the largest."""
    if path.stem in LONG:
        return 0, LONG.index(path.stem)
    return 1, -path.stat().st_size


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


def e2e(build, pattern, options):
    reports = build / "e2e"
    reports.mkdir(exist_ok=True)
    for old in reports.iterdir():
        old.unlink()
    files = sorted((SRCDIR / "tests/e2e").glob(pattern), key=place)
    started, idle = time.monotonic(), idle_time()
    with scratch_directory() as scratch:
        # Dovecot's processes are other users'
        os.chmod(scratch, 0o755)
        os.environ.update(RECALL_BUILDDIR=str(build), TMPDIR=scratch,
                          PYTHONDONTWRITEBYTECODE="1")
        import_common(build)
        running, counts, used = {}, [], {}
        while files or running:
            while files and len(running) < WORKERS:
                path = files.pop(0)
                running[start_file(path, build, options)] = path
            pid, status, usage = os.wait3(0)
            path = running.pop(pid)
            used[path.stem] = usage.ru_utime + usage.ru_stime
            counts.append(tell_file(path, build,
                                    os.waitstatus_to_exitcode(status)))
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
    parser.add_argument("kind", choices=["unit", "e2e"])
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--files", default="test_*.py")
    args, options = parser.parse_known_args()
    if args.kind == "unit":
        passed, failed = unit(args.build)
    else:
        passed, failed = e2e(args.build, args.files, options)
    print("%d passed, %d failed" % (passed, failed))
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
