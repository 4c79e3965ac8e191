#!/usr/bin/python3
"""A recall from everyone with several processes, next to stock's expunge -A, and
what it costs to look at a user: see bench.py, whose environment this has, too.

    BENCH_ALL       2000  users
    BENCH_FOLDERS   30    folders each
    BENCH_JOBS      2     processes
"""

import os
import pathlib
import resource
import shutil
import statistics
import tempfile

import bench
from bench import ALL, FOLDERS, ROUNDS, Pair, number, say

JOBS = number("JOBS", 2)
# messages of a folder
MESSAGES = 10


def drop_caches(node, names):
    """What is in these users' files is read from the disk again. (Directories
    and inodes stay in memory: nothing drops those of one tree alone.)"""
    for name in names:
        for path in node.home(name).rglob("*"):
            if path.name.startswith("u.") or not path.is_file():
                continue
            fd = os.open(path, os.O_RDONLY)
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def timed(node, *args):
    """A command's output, milliseconds, and milliseconds of processor time, those of
    doveadm-server's processes included."""
    def cpu():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (used.ru_utime + used.ru_stime) * 1000 + node.cpu()

    before = cpu()
    out, spent = node.command(*args)
    return out, (spent, cpu() - before)


def ours(pair, message_id, jobs, *args):
    out, spent = timed(
        pair.ours, "-f", "tab", "recall", "expunge", "-A", "--jobs=%d" % jobs,
        "--priority=normal", "--no-notify", "--hits", *args, "--", message_id)
    return out.count("\n") - 1, spent


def medians(values):
    return [statistics.median(column) for column in zip(*values)]


def measure(pair, names):
    having = [names[0], names[ALL // 2], names[-1]]
    times = {name: [] for name in ("ours", "ours_1", "stock")}
    slowest = []
    for index in range(ROUNDS):
        for name in times:
            message_id = "<%s.%d@example.com>" % (name, index)
            bench.deliver_to_all(pair.ours, having, message_id)
            if name == "ours":
                slowest.append(bench.slowest_processor())
            if name == "stock":
                out, spent = timed(
                    pair.stock, "expunge", "-A", "mailbox", "*", "HEADER", "Message-ID",
                    message_id)
            else:
                rows, spent = ours(pair, message_id,
                                   JOBS if name == "ours" else 1)
                assert rows == 3, rows
            times[name].append(spent)
            assert ours(pair, message_id, JOBS)[0] == 0
    # what two processes are worth goes by that
    bench.bench("everyone_slowest_processor", statistics.median(slowest), "x")
    return {name: medians(values) for name, values in times.items()}


def everyone(directory):
    names = ["user%05d@example.com" % index for index in range(ALL)]
    say("everyone: %d users with %d folders of %d messages, 3 of whom have "
        "it, sdbox" % (ALL, FOLDERS, MESSAGES))
    with Pair(directory, "sdbox", names) as pair:
        bench.fill_users(pair, names, MESSAGES, directory, [
            "Folder%02d" % index for index in range(FOLDERS - 1)])
        # the copies of the first user's mail are not what the index knows
        for _ in range(2):
            ours(pair, "<nothing@example.com>", JOBS)
            bench.time.sleep(bench.SETTLE)
        median = measure(pair, names)
        for name, (spent, cpu) in median.items():
            bench.bench("everyone_%s_ms" % name, spent, "ms")
            bench.bench("everyone_%s_cpu_ms" % name, cpu, "ms")
        for index, name in ((0, "ratio"), (1, "cpu_ratio")):
            bench.bench("everyone_" + name,
                        median["stock"][index] / median["ours"][index], "x")
        bench.bench("everyone_jobs_ratio",
                    median["ours_1"][0] / median["ours"][0], "x")
        warm, cold = [], []
        for _ in range(ROUNDS):
            warm.append(ours(pair, "<nothing@example.com>", JOBS)[1])
        for _ in range(ROUNDS):
            drop_caches(pair.ours, names)
            cold.append(ours(pair, "<nothing@example.com>", JOBS)[1])
        for name, values in (("warm", warm), ("cold", cold)):
            spent, cpu = medians(values)
            bench.bench("everyone_user_%s_us" % name, spent * 1000 / ALL, "us")
            bench.bench("everyone_user_%s_cpu_us" % name, cpu * 1000 / ALL,
                        "us")


def users(directory):
    """users_N_ratio with several processes."""
    names = ["user%05d@example.com" % index for index in range(bench.USERS)]
    count = bench.MESSAGES[-1]
    with Pair(directory, "sdbox", names) as pair:
        bench.fill_users(pair, names, count, directory)
        ratio = bench.measure_users(pair, names, count, jobs=JOBS)
    bench.bench("users_%d_jobs_ratio" % bench.USERS, ratio, "x")


def main():
    bench.machine()
    directory = pathlib.Path(tempfile.mkdtemp(
        prefix="bench-", dir=os.environ.get("BENCH_DIR")))
    directory.chmod(0o755)
    try:
        for name, part in (("everyone", everyone), ("users", users)):
            if bench.ONLY and name not in bench.ONLY:
                continue
            (directory / name).mkdir()
            part(directory / name / "d")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
