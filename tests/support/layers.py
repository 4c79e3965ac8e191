#!/usr/bin/python3
"""Checks the layers: no include goes up, no two files include each other in a
circle, no two files have one name, no test module imports another.

A room is a directory; ROOMS names for each the rooms below it, which are all it
may include (and those below them). The include paths of the makefiles say the
same, which is checked, too, so what is wrong does not compile either; circles
inside a room and rooms that nobody listed are found here only.

Usage: layers.py [--list] [DIRECTORY]   exit code 0: clean, 1: findings
"""
import ast
import os
import pathlib
import re
import sys

ROOMS = {
    "include": (),
    "common": ("include",),

    "plugin/lib-recall/base": ("common",),
    "plugin/lib-recall/index": ("plugin/lib-recall/base",),
    "plugin/lib-recall/mails": ("plugin/lib-recall/index",),
    "plugin/lib-recall/standing": ("plugin/lib-recall/index",),
    "plugin/lib-recall/quarantine": ("plugin/lib-recall/mails",),
    "plugin/lib-recall/notice": ("plugin/lib-recall/base",),
    "plugin/lib-recall": ("plugin/lib-recall/quarantine",
                          "plugin/lib-recall/notice",
                          "plugin/lib-recall/standing"),
    "plugin/recall": ("plugin/lib-recall",),
    "plugin/settings": ("plugin/lib-recall/base",),
    "plugin/evidence": ("common",),
    # rows are printed by commands, and by the proxy for them
    "plugin/doveadm/rows": ("plugin/lib-recall/base",),
    "plugin/doveadm/proxy": ("plugin/doveadm/rows",),
    "plugin/doveadm": ("plugin/lib-recall", "plugin/doveadm/proxy"),
    "plugin/doveadm-acl": ("plugin/doveadm",),

    "service/base": ("common",),
    "service/config": ("service/base",),
    "service/http": ("service/config",),
    "service/store": ("service/config",),
    "service/doveadm": ("service/config",),
    "service/auth": ("service/store", "service/doveadm"),
    "service/recall": ("service/auth", "service/store", "service/doveadm"),
    "service/api": ("service/recall", "service/http"),
    "service": ("service/api",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def below(room):
    """The room and all that it may include."""
    rooms = {room}
    for other in ROOMS[room]:
        rooms |= below(other)
    return rooms


def sources(top):
    for root in ("include", "common", "plugin", "service"):
        for path in sorted((top / root).rglob("*.[ch]")):
            yield path.relative_to(top)


def circles(graph):
    """The strongly connected parts with more than one member (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            part = []
            while not part or part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def variables(makefile):
    """Of a Makefile.am, expanded; conditions count as true."""
    values = {}
    text = makefile.read_text().replace("\\\n", " ")
    for name, append, value in re.findall(r"^(\w+) *(\+?)= *(.*)$", text,
                                          re.M):
        values[name] = values.get(name, "") + " " + value if append else value
    for name in values:
        while "$(" in values[name]:
            values[name] = re.sub(
                r"\$\((\w+)\)", lambda match: "@" if match[1] == "srcdir"
                else values.get(match[1], "@" + match[1]), values[name])
    return values


def include_paths(top):
    """What makefiles let rooms include, and must not."""
    findings = []
    for makefile in sorted(top.glob("*/Makefile.am")):
        values = variables(makefile)
        for name, sources in values.items():
            flags = values.get(name.replace("_SOURCES", "_CPPFLAGS"), "")
            rooms = [os.path.normpath(makefile.parent.relative_to(top) /
                                      os.path.dirname(source))
                     for source in sources.split()
                     if name.endswith("_SOURCES") and "@" not in source]
            paths = [makefile.parent.name + "/" + path
                     for path in re.findall(r"-I@/(\S+)", flags)]
            # of a program that has several rooms: the topmost one
            allowed = set().union(*(below(room) for room in rooms
                                    if room in ROOMS))
            findings += [f"{makefile.relative_to(top)}: {name}: must not see "
                         + path for path in paths
                         if allowed and path not in allowed]
    return findings


def conditions(path, text):
    """#if inside of a function: what differs is a function of its own."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            inside = True
        elif line == "}":
            inside = False
        elif inside and re.match(r"\s*#\s*if", line):
            yield f"{path}:{number}: #if inside of a function"


def imported_tests(top):
    """Test modules that are imported: what several need is in support/."""
    for path in sorted(top.glob("tests/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] \
                if isinstance(node, ast.Import) else \
                [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name and name.rpartition(".")[2].startswith("test_"):
                    yield f"{path.relative_to(top)}:{node.lineno}: " \
                        f"imports {name}"


def check(top):
    """Returns what is wrong, a line each."""
    findings = include_paths(top) + list(imported_tests(top))
    by_name = {}
    for path in sources(top):
        if path.name in by_name:
            findings.append(f"{path}: the name of {by_name[path.name]}, too")
        by_name[path.name] = path

    for path in by_name.values():
        findings += conditions(path, (top / path).read_text())

    # a module: NAME.c and NAME.h together
    graph = {path.with_suffix(""): set() for path in by_name.values()}
    for path in by_name.values():
        room = str(path.parent)
        if room not in ROOMS:
            findings.append(f"{path}: no room of {os.path.basename(__file__)}")
            continue
        for name in INCLUDE.findall((top / path).read_text()):
            other = by_name.get(os.path.basename(name))
            if other is None:
                continue
            if str(other.parent) not in below(room):
                findings.append(f"{path}: includes upwards: {other}")
            if other.with_suffix("") != path.with_suffix(""):
                graph[path.with_suffix("")].add(other.with_suffix(""))
    findings += ["circle: " + " ".join(map(str, part))
                 for part in circles(graph)]
    return findings


def main(args):
    if args[:1] == ["--list"]:
        for room in ROOMS:
            print(room, "<-", " ".join(sorted(below(room) - {room})))
        return 0
    top = pathlib.Path(args[0] if args else
                       pathlib.Path(__file__).resolve().parents[2])
    findings = check(top)
    for finding in findings:
        print(finding)
    if not findings:
        print("layers: %d files, no include goes up, no circle" %
              len(list(sources(top))))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
