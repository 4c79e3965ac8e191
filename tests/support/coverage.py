#!/usr/bin/python3
"""Runs tests of a build with --enable-coverage; says what they have not run.

    coverage.py BUILD [--files PATTERN ...] [--report] [-k EXPRESSION]
        [--lines FILE] [--beside FILE ...]

Unit tests and end to end tests on sdbox (or RECALL_DRIVERS), or those of some
files. --report only reads what earlier runs have left. The list, the least
covered file first, goes to BUILD/coverage.txt, and as a summary of numbers to
BUILD/coverage.json.

--lines writes down which lines were run. --beside takes that of other runs,
with other formats of mailboxes or another Dovecot, and lists the lines that
this one alone has run.

Needs gcovr. A process that is killed (-9) leaves no counts.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

SRCDIR = pathlib.Path(__file__).resolve().parent.parent.parent
SIDES = ["common", "plugin", "service"]


def reset(build):
    """Makes empty files of counts that each process may write to: Dovecot's
    run as other users, with an umask that lets nobody else in. What is empty
    is filled, what has counts is added to."""
    for note in build.glob("**/*.gcno"):
        counts = note.with_suffix(".gcda")
        counts.write_bytes(b"")
        counts.chmod(0o666)


def run_tests(build, patterns, options):
    runner = [sys.executable, str(SRCDIR / "tests/support/runtests.py")]
    status = subprocess.run([*runner, "unit", build]).returncode
    # what counts is slower, and who is killed has counted nothing
    environment = {"RECALL_DRIVERS": "sdbox", "RECALL_FILE_TIMEOUT": "3600",
                   **os.environ}
    for pattern in patterns:
        status |= subprocess.run([*runner, "e2e", build, "--files", pattern,
                                  *options], env=environment).returncode
    return status


def report(build):
    """Writes the list; returns its lines, and file -> line -> whether it was
    run."""
    for counts in build.glob("**/*.gcda"):
        # of what no process has run
        if counts.stat().st_size == 0:
            counts.unlink()
    summary, each = build / "coverage.json", build / "coverage-lines.json"
    # later versions take a word after the first of these options
    subprocess.run(["gcovr", "--gcov-ignore-parse-errors", "--root", SRCDIR,
                    "--json-summary", summary, "--json", each,
                    *["--filter=%s/" % (SRCDIR / side) for side in SIDES],
                    build], cwd=build, check=True)
    found = json.loads(summary.read_text())
    run = {of["file"]: {str(line["line_number"]): line["count"] > 0
                        for line in of["lines"]}
           for of in json.loads(each.read_text())["files"]}

    def line(name, of):
        return "%5.1f %%  %5.1f %%  %5d  %s" % (
            of["line_percent"] or 0, of["branch_percent"] or 0,
            of["line_total"] - of["line_covered"], name)

    files = sorted(found["files"], key=lambda of: of["line_percent"] or 0)
    lines = ["  lines  branches  not run  file"]
    lines += [line(of["filename"], of) for of in files]
    for side in SIDES:
        of = [of for of in files if of["filename"].startswith(side + "/")]
        sums = {kind: sum(one[kind] for one in of)
                for kind in ("line_total", "line_covered", "branch_total",
                             "branch_covered")}
        for kind in ("line", "branch"):
            sums[kind + "_percent"] = 100 * sums[kind + "_covered"] / \
                max(sums[kind + "_total"], 1)
        lines.append(line("total of " + side, sums))
    lines.append(line("total", found))
    return lines, run


def only_here(run, others):
    """file:line of what was run here and in none of the others."""
    for name in sorted(run):
        for line in sorted(run[name], key=int):
            if run[name][line] and not any(
                    other.get(name, {}).get(line) for other in others):
                yield "%s:%s" % (name, line)


def main():
    parser = argparse.ArgumentParser(description="What tests do not run.")
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--files", action="append")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--lines", type=pathlib.Path)
    parser.add_argument("--beside", action="append", type=pathlib.Path,
                        default=[])
    args, options = parser.parse_known_args()
    if not any(args.build.glob("service/**/*.gcno")) and \
       not any(args.build.glob("plugin/**/*.gcno")):
        sys.exit("coverage: %s was not made with --enable-coverage" %
                 args.build)
    status = 0
    if not args.report:
        reset(args.build)
        status = run_tests(args.build, args.files or ["test_*.py"], options)
    lines, run = report(args.build)
    (args.build / "coverage.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    if args.lines:
        args.lines.write_text(json.dumps(run))
    if args.beside:
        found = list(only_here(run, [json.loads(path.read_text())
                                     for path in args.beside]))
        print(*found, "%d lines were run here alone" % len(found), sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
