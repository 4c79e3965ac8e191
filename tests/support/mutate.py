#!/usr/bin/python3
"""Makes mistakes in code that decides, one at a time, and looks whether a test
finds each.

    mutate.py -n 100 --seed 1           so many mutants, chosen by the seed
    mutate.py --only FILE[:LINE]        all mutants of a file or a line
    mutate.py --list                    what there is, without a build

A mutant has a condition negated, a relation, && and || or + and - exchanged, a
number one more or less, true for false, or a statement or return left out. It
is built in a copy of the tree in build/mutate and tested by what mutants.py says
of its file, up to the first test that fails, those that have killed one of that
file first. In the end what has failed must pass without a mutant. The results
are in build/mutate/report.json; --resume goes on with what is not in there yet.

Exit code 0: at least --goal percent of the mutants were killed.
"""
import argparse
import fnmatch
import hashlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import runtests
from mutants import EQUIVALENT, TESTS

SRCDIR = pathlib.Path(__file__).resolve().parents[2]
WORK = SRCDIR / "build/mutate"
# a mutant that goes on for ever is killed, too; of a unit test it takes seconds
PATIENCE = 900
UNIT_PATIENCE = 60
# what is to be made again, by where a mutant is
TARGETS = {"common": ["common", "plugin", "service"], "plugin": ["plugin"],
           "service": ["service"]}

CONDITION = re.compile(r"\bif \(")
TOKENS = [
    (re.compile(r"(?<=\s)(==|!=|<=|>=|<|>)(?=\s)"),
     {"==": ["!="], "!=": ["=="], "<": ["<=", ">="], ">": [">=", "<="],
      "<=": ["<", ">"], ">=": [">", "<"]}, "relation"),
    (re.compile(r"(?<=\s)(&&|\|\|)(?=\s|$)"),
     {"&&": ["||"], "||": ["&&"]}, "logic"),
    (re.compile(r"(?<=\s)([+-])(?=\s)"), {"+": ["-"], "-": ["+"]}, "sum"),
    (re.compile(r"\b(true|false|TRUE|FALSE)\b"),
     {"true": ["false"], "false": ["true"],
      "TRUE": ["FALSE"], "FALSE": ["TRUE"]}, "truth"),
]
NUMBER = re.compile(r"(?<![\w.\"'#])(\d+)(?![\w.\"'])")
STATEMENT = re.compile(r"\t+(?!return\b|goto\b|break\b|continue\b|case\b|else\b)"
                       r"(?:[\w>.*()\[\]-]+(?:\(.*\)| [-+|&]?= .*|\+\+|--));$")
RETURN = re.compile(r"\t{2,}return\b.*;$")
# memory that is lost is the sanitizers' to find
FREES = re.compile(r"\t+\w*(free|unref|deinit|decref|destroy|release)\(")
DECLARATION = re.compile(r"\t(?:static |const |struct |enum |unsigned |int |"
                         r"bool |char |size_t |void |int64_t |json_t |time_t |"
                         r"ARRAY)")


# of pytest's summary
FAILED = re.compile(r"^(?:FAILED|ERROR) \S+?::(.*?)(?: - .*)?$", re.M)
# of its lines, one for each test: there is no summary if a node that is stopped
# in the end has something to say, too
FAILED_LINE = re.compile(r"^\S+?::(.*?) (?:FAILED|ERROR)\b", re.M)


def named(output):
    """The test that has failed; "" if none is told of."""
    failed = FAILED.findall(output) or FAILED_LINE.findall(output)
    return failed[0] if failed else ""


def blanked(text):
    """The text with comments, literals and directives made blank, as long."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  lambda match: match[0][0] + "_" * (len(match[0]) - 2) +
                  match[0][0], text)
    return re.sub(r"^#.*$", blank, text, flags=re.M)


def closing(text, start):
    """Where the parenthesis that opens at start closes."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise ValueError("no closing parenthesis")


def functions(code):
    """Where bodies are: lines from "{" to "}" in the first column."""
    return [match.span() for match in
            re.finditer(r"^\{\n.*?^\}", code, re.M | re.S)]


class Mutant:
    def __init__(self, name, text, start, end, new, kind):
        self.file, self.kind = name, kind
        self.start, self.end, self.new = start, end, new
        self.line = text.count("\n", 0, start) + 1
        self.text = text[:start] + new + text[end:]
        first = text.rfind("\n", 0, start) + 1
        self.old_line = text[first:text.find("\n", end)].strip()
        self.new_line = self.text[first:self.text.find(
            "\n", start + len(new))].strip()

    @property
    def key(self):
        return [self.file, self.line, self.kind, self.new_line]

    def reason(self):
        """Why it is no mistake, if it is known to be none."""
        this = self.new_line if self.kind != "dropped" else \
            "- " + self.old_line
        for name, line, reason in EQUIVALENT:
            if name == self.file and line == this or \
               name == "*" and re.fullmatch(line, this):
                return reason
        return None

    def __str__(self):
        return "%s:%d: %s\n\t- %s\n\t+ %s" % (
            self.file, self.line, self.kind, self.old_line, self.new_line)


def mutants_of(name):
    text = (SRCDIR / name).read_text()
    code = blanked(text)
    found = []

    def add(start, end, new, kind):
        found.append(Mutant(name, text, start, end, new, kind))

    for begin, stop in functions(code):
        for match in CONDITION.finditer(code, begin, stop):
            opened = match.end() - 1
            closed = closing(code, opened)
            # of one relation it is what is done to that below
            if not re.search("&&|[|][|]", code[opened:closed]) and \
               TOKENS[0][0].search(code, opened, closed):
                continue
            add(opened, closed + 1, "(!%s)" % text[opened:closed + 1],
                "negated")
        for pattern, others, kind in TOKENS:
            for match in pattern.finditer(code, begin, stop):
                for other in others[match[1]]:
                    add(*match.span(1), other, kind)
        for match in NUMBER.finditer(code, begin, stop):
            # -2 is an error as -1 is
            if code[match.start() - 1] != "-":
                add(*match.span(1), str(int(match[1]) + 1), "constant")
            if match[1] != "0":
                add(*match.span(1), str(int(match[1]) - 1), "constant")
        at = begin
        for line in code[begin:stop].split("\n"):
            if (RETURN.fullmatch(line) or
                    STATEMENT.fullmatch(line) and
                    not DECLARATION.match(line) and
                    not FREES.match(line)) and \
                    code[:at].rstrip()[-1] in "{};:)":
                indent = len(line) - len(line.lstrip())
                add(at + indent, at + len(line), ";", "dropped")
            at += len(line) + 1
    return found


def all_mutants():
    return [mutant for name in sorted(TESTS) for mutant in mutants_of(name)]


class Tree:
    """The copy that mutants are built in."""

    def __init__(self):
        self.source, self.build = WORK / "source", WORK / "source/build/check"
        # what is to be made again
        self.stale = set(TARGETS["common"])
        # file -> the tests that have killed its mutants
        self.killers = {}
        self.scratch = runtests.scratch_directory()
        # Dovecot's processes are other users'
        os.chmod(self.scratch.name, 0o755)

    def run(self, command, cwd=None, environment=(), patience=PATIENCE):
        """Returns exit status and output; None after too long."""
        log = WORK / "output.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, cwd=cwd or self.build, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, env={**os.environ, **dict(environment)})
            try:
                status = process.wait(patience)
            except subprocess.TimeoutExpired:
                # pytest stops the nodes that it has started
                status = None
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        return status, log.read_text(errors="replace")

    def end_all(self):
        """Ends what is left of the nodes: a mutant may have one of Dovecot's
        processes go on for ever after its master has gone."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "cwd").startswith(
                        self.scratch.name + "/"):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                pass

    def make(self):
        for target in TARGETS["common"]:
            if target not in self.stale:
                continue
            status, output = self.run(["make", "-s", "-C", target, "-j2"])
            if status != 0:
                return False, output
            self.stale.remove(target)
        return True, ""

    def prepare(self):
        """Copies the tree as it is, and builds it."""
        names = subprocess.run(["git", "ls-files", "-z"], cwd=SRCDIR,
                               check=True, capture_output=True,
                               text=True).stdout.split("\0")[:-1]
        for name in names:
            path, copy = SRCDIR / name, self.source / name
            if not path.exists():
                continue
            if copy.exists() and copy.read_bytes() == path.read_bytes():
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            # not its time: what is compared by make must be newer
            shutil.copyfile(path, copy)
            copy.chmod(path.stat().st_mode)
        self.build.mkdir(parents=True, exist_ok=True)
        if not (self.build / "config.status").exists():
            compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
            for command, cwd in (
                    (["autoreconf", "-fi"], self.source),
                    (["../../configure", "-q", "--disable-hardening",
                      "--enable-failpoints",
                      # as ./check has it an error: what it finds is found
                      "CFLAGS=-O1 -Wall -Werror=stringop-overflow",
                      "CC=" + compiler], self.build)):
                status, output = self.run(command, cwd)
                if status != 0:
                    sys.exit("mutate: %s\n%s" % (command, output[-3000:]))
        good, output = self.make()
        if good:
            status, output = self.run(["make", "-s", "-C", "tests",
                                       "support/fault-shim.so",
                                       "support/clock-shim.so"])
            good = status == 0
        if not good:
            sys.exit("mutate: the tree does not build\n" + output[-3000:])

    def test(self, test, cases=()):
        """Whether it passes, or these cases of it."""
        if isinstance(test, str):
            status, output = self.run(
                ["make", "-s", "-C", "tests", "unit/" + test])
            if status != 0:
                return False, output
            status, output = self.run([str(self.build / "tests/unit" / test)],
                                      patience=UNIT_PATIENCE)
            return status == 0, output
        name, expression, *drivers = test
        path = str(self.source / "tests/e2e" / (name + ".py"))
        status, output = self.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider",
             "--no-twins", *(["%s::%s" % (path, case) for case in cases] or
                             ["-x", path, "-k", "not bare-" + (
                                 " and (%s)" % expression if expression
                                 else "")])],
            environment={"RECALL_BUILDDIR": str(self.build),
                         "RECALL_DRIVERS": ",".join(drivers) or "sdbox",
                         "RECALL_SRCDIR": str(self.source),
                         "PYTHONDONTWRITEBYTECODE": "1",
                         "TMPDIR": self.scratch.name}.items())
        self.end_all()
        # 5: no test of that name, which would hide that none looks
        if status == 5:
            sys.exit("mutate: no tests: %s -k '%s'" % test[:2])
        # a Python without what tests need would kill each mutant
        if status == 1 and "No module named pytest" in output:
            sys.exit("mutate: %s has no pytest" % sys.executable)
        return status == 0, output

    def false_alarms(self, killers):
        """Those of the killers, pairs of a test and what of it has failed,
        that fail without a mutant, too, and say nothing about one."""
        good, output = self.make()
        assert good, output
        found = []
        for test in sorted({test for test, failed in killers}, key=str):
            cases = sorted({failed for other, failed in killers
                            if other == test})
            good, output = self.test(test, cases if all(cases) else ())
            if good:
                continue
            print("mutate: fails without a mutant: %s\n%s" %
                  (test, output[-3000:]))
            failed = set(FAILED.findall(output)) & set(cases) or cases
            found += [(test, case) for case in failed]
        return found

    def try_mutant(self, mutant):
        """The test that fails, and what it says; or True, False if it did not
        compile."""
        path = self.source / mutant.file
        original = path.read_text()
        targets = TARGETS[mutant.file.partition("/")[0]]
        self.stale.update(targets)
        killers = self.killers.setdefault(mutant.file, [])
        tests = sorted(TESTS[mutant.file], key=lambda test: (
            not isinstance(test, str), -killers.count(test)))
        try:
            path.write_text(mutant.text)
            good, output = self.make()
            if not good:
                return False, ""
            for test in tests:
                good, output = self.test(test)
                if not (good or isinstance(test, str) or named(output)):
                    # an end that names nothing may have another reason
                    good, output = self.test(test)
                if not good:
                    killers.append(test)
                    return test, output
            return True, ""
        finally:
            # what comes next is built with it
            path.write_text(original)
            self.stale.update(targets)

    def result(self, mutant):
        """"killed", by which test and what of it; "survived" or "did not
        compile"."""
        test, output = self.try_mutant(mutant)
        if isinstance(test, bool):
            return "survived" if test else "did not compile", "", ""
        return "killed", test, named(output)


def chosen(args):
    found = all_mutants()
    if args.only:
        name, _, line = args.only.partition(":")
        return [mutant for mutant in found
                if fnmatch.fnmatch(mutant.file, "*" + name) and
                (not line or str(mutant.line) in line.split(","))]
    # a change of the tree leaves the others in their order
    return sorted(found, key=lambda mutant: hashlib.sha256(
        repr([args.seed, mutant.file, mutant.kind, mutant.old_line,
              mutant.new_line]).encode()).digest())


def make_sure(tree, results):
    """The results without those that were killed by what always fails."""
    def killer(result):
        by = result["by"]
        return by if isinstance(by, str) else tuple(by), result["failed"]

    false = tree.false_alarms([killer(result) for result in results
                               if not result["sure"]])
    results = [result for result in results
               if result["sure"] or killer(result) not in false]
    for result in results:
        result["sure"] = True
    return results


def main():
    parser = argparse.ArgumentParser(description="Mutation tests.")
    parser.add_argument("-n", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", metavar="FILE[:LINE[,LINE...]]")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--goal", type=int, default=95)
    parser.add_argument("--minutes", type=int,
                        help="begins with no other one after so many")
    args = parser.parse_args()
    found = chosen(args)
    if args.list:
        print(*found, sep="\n")
        print(len(found))
        return 0

    # a shell in the background has it ignored, and so would pytest
    signal.signal(signal.SIGINT, signal.default_int_handler)
    WORK.mkdir(parents=True, exist_ok=True)
    report = WORK / "report.json"
    results = json.loads(report.read_text()) \
        if args.resume and report.exists() else []
    known = [result["mutant"] for result in results]
    tree = Tree()
    tree.prepare()
    wanted = len(found) + 1 if args.only else args.n
    keys = [mutant.key for mutant in found]
    end = time.monotonic() + 60 * args.minutes if args.minutes else math.inf
    for mutant in found:
        counted = sum(result["result"] in ("killed", "survived") and
                      result["mutant"] in keys for result in results)
        if counted >= wanted or time.monotonic() > end:
            break
        if mutant.key in known:
            continue
        if mutant.reason():
            result, by, failed = "equivalent", mutant.reason(), ""
        else:
            result, by, failed = tree.result(mutant)
        print("%s: %s%s %s" % (mutant, result, by and " (%s)" % (by,), failed),
              flush=True)
        results.append({"mutant": mutant.key, "was": mutant.old_line,
                        "result": result, "by": by, "failed": failed,
                        "sure": result != "killed"})
        report.write_text(json.dumps(results, indent=1) + "\n")
    results = make_sure(tree, results)
    report.write_text(json.dumps(results, indent=1) + "\n")
    counts = {}
    for result in results:
        counts[result["result"]] = counts.get(result["result"], 0) + 1
    print("; ".join("%d %s" % (count, result)
                    for result, count in sorted(counts.items())))
    killed = counts.get("killed", 0)
    tested = killed + counts.get("survived", 0)
    return 0 if tested and killed * 100 >= args.goal * tested else 1


if __name__ == "__main__":
    sys.exit(main())
