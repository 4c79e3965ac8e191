"""What processes take, and figures of many: for load.py."""

import math
import os
import pathlib
import statistics
import time

from mailnode import PATIENCE


class Process:
    def __init__(self, pid):
        self.proc = pathlib.Path("/proc/%s" % pid)

    def _memory(self, name):
        text = (self.proc / "status").read_text()
        return int(text.split(name + ":")[1].split()[0]) * 1024

    def rss(self):
        return self._memory("VmRSS")

    def allocated(self):
        """What was asked of the system and not given back, resident or not."""
        return self._memory("VmData")

    def files(self):
        return len(os.listdir(self.proc / "fd"))

    def cpu(self):
        """Seconds of processor time."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(what, check):
    """Waits for it; the last answer is the error's."""
    deadline = time.monotonic() + PATIENCE
    while True:
        got = check()
        if got is True:
            return
        if time.monotonic() > deadline:
            raise AssertionError("%s: %r" % (what, got))
        time.sleep(0.02)


def until_files(process, files, fewer=0):
    """fewer: how many of them may end by themselves."""
    def check():
        now = process.files()
        return files - fewer <= now <= files or now

    until("descriptors, not %d" % files, check)


def until_files_at_most(process, files):
    def check():
        now = process.files()
        return now <= files or now

    until("descriptors, more than %d" % files, check)


def until_quiet(*ports):
    """Until the server has closed each connection that a client has closed."""
    def check():
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        # those with an inode have a descriptor; 0A listens
        left = [row[1:4] for row in rows
                if int(row[1].partition(":")[2], 16) in ports and
                row[3] != "0A" and row[9] != "0"]
        return left == [] or left

    until("connections that are closed", check)


def quantile(values, part):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def slope(points):
    """Of (x, y): the median of the slopes between any two, which a few that are
    far off do not move."""
    return statistics.median(
        [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points)
         for x2, y2 in points[i + 1:]] or [0])


def table_row(*cells):
    print("| %s |" % " | ".join(
        "%.4g" % cell if isinstance(cell, float) else str(cell)
        for cell in cells), flush=True)


def table(title, *rows):
    print("\n| %s |" % " | ".join(title))
    print("|%s" % (" --- |" * len(title)), flush=True)
    for row in rows:
        table_row(*row)


def mib(octets):
    return "%.1f" % (octets / (1 << 20))
