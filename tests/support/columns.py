#!/usr/bin/python3
"""Checks that no line of C is wider than 80 columns, with tabs of 8.

Usage: columns.py [DIRECTORY]   exit code 0: none is, 1: some are
"""
import pathlib
import sys

COLUMNS = 80


def check(top):
    """Returns the lines that are too wide."""
    return [f"{path.relative_to(top)}:{number}: "
            f"{len(line.expandtabs())} columns"
            for path in sorted(top.glob("*/**/*.[ch]"))
            if path.relative_to(top).parts[0] in
            ("include", "common", "plugin", "service", "tests")
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if len(line.expandtabs()) > COLUMNS]


if __name__ == "__main__":
    findings = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                                  pathlib.Path(__file__).resolve().parents[2]))
    print("\n".join(findings) or
          f"columns: no line of C is wider than {COLUMNS}")
    sys.exit(bool(findings))
