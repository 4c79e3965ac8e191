#!/usr/bin/python3
"""What a recall costs for one more user, in instructions and system calls: these
do not depend on what else the machine does, as times do. It is what a doveadm
takes for many users less what another one takes for few, divided by how many more
they are. See bench.py, whose environment this has, too; needs valgrind and strace.

    BENCH_FOLDERS   30     folders of each user, next to users with one
    BENCH_DRIVER    sdbox  format
    BENCH_KEEP      ""     directory for what callgrind and strace have written

A miss is a message that nobody has (dry run), a hit one that came to everyone's
INBOX a moment ago, and is recalled without a notice.
"""

import collections
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import bench
from bench import (FOLDERS, FOLDER_MESSAGES, SETTLE, Pair, deliver_to_all,
                   fill_users, ours_recall)
from mailnode import DOVEADM

DRIVER = os.environ.get("BENCH_DRIVER") or "sdbox"
KEEP = os.environ.get("BENCH_KEEP")
FEW, MANY = 6, 12
NOTHING = "<nothing@example.com>"
TOOLS = {
    "callgrind": ["valgrind", "--tool=callgrind", "--callgrind-out-file=%s"],
    "strace": ["strace", "-o", "%s"],
}


def instructions(path):
    found = re.search(r"^(?:summary|totals): *(\d+)", path.read_text(),
                      re.MULTILINE)
    return {"instructions": int(found.group(1))}


def system_calls(path):
    return collections.Counter(re.findall(r"^(\w+)\(", path.read_text(),
                                          re.MULTILINE))


READ = {"callgrind": instructions, "strace": system_calls}


def run(node, tool, out, users, *args):
    """What doveadm prints for these users; what the tool has seen is in out."""
    listed = out.with_suffix(".users")
    listed.write_text("".join(user + "\n" for user in users))
    # doveadm writes it as another user, and goes on as another program if it
    # has to read a configuration itself
    out.touch()
    for path in out, listed:
        path.chmod(0o666)
    command = [str(node.dir / "run/config") if arg == str(node.conf) else arg
               for arg in node.doveadm_command("recall", "expunge", "-F",
                                               listed, *args)]
    program = command.index(DOVEADM)
    command[program:program] = [arg.replace("%s", str(out))
                                for arg in TOOLS[tool]]
    return subprocess.run(command, capture_output=True, text=True).stdout


def count(node, names, tool, out, verdict, *args):
    """What one user more takes."""
    counts = []
    for users in names[:FEW], names[FEW:FEW + MANY]:
        path = out.with_name("%s.%d" % (out.name, len(users)))
        rows = run(node, tool, path, users, *args)
        assert len(re.findall(r"\b%s\b" % verdict, rows)) == len(users), rows
        counts.append(READ[tool](path))
    return {what: (counts[1][what] - counts[0].get(what, 0)) / (MANY - FEW)
            for what in counts[1]}


def tell(name, counted):
    if "instructions" in counted:
        bench.bench(name + "_instructions", counted["instructions"],
                    "instructions")
        return
    bench.bench(name + "_calls", sum(counted.values()), "calls")
    bench.say(", ".join(
        "%s %.0f" % row for row in sorted(counted.items(),
                                          key=lambda row: -row[1])
        if row[1] >= 0.5))


def measure(directory, names, folders):
    out = directory / "counts"
    with Pair(directory / str(folders), DRIVER, names) as pair:
        fill_users(pair, names, FOLDER_MESSAGES, directory,
                   ["Folder%02d" % index for index in range(folders - 1)])
        node = pair.ours
        for _ in range(2):
            node.request(ours_recall(names, NOTHING, dryRun=True))
            time.sleep(SETTLE)
        for tool in TOOLS:
            name = "counts_%d_miss" % folders
            tell(name, count(node, names, tool, out / (name + "." + tool),
                             "not_found", "--dry-run", NOTHING))
        for tool in TOOLS:
            message_id = "<%s@example.com>" % tool
            deliver_to_all(node, names, message_id)
            time.sleep(SETTLE)
            name = "counts_%d_hit" % folders
            tell(name, count(node, names, tool, out / (name + "." + tool),
                             "expunged", "--no-notify", message_id))


def main():
    bench.machine()
    names = ["user%02d@example.com" % index for index in range(FEW + MANY)]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-counts-"))
    directory.chmod(0o755)
    try:
        (directory / "counts").mkdir()
        (directory / "counts").chmod(0o777)
        for folders in (1, FOLDERS):
            measure(directory, names, folders)
        if KEEP:
            shutil.copytree(directory / "counts", KEEP, dirs_exist_ok=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
