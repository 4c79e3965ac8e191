#!/usr/bin/python3
"""Reads from ELF files how they are hardened.

Usage: hardening.py FILE...     exit code 0: all are, 1: some lack something

Needs readelf (binutils). Each FILE must be a position independent program or
a shared object, with all relocations read-only before it runs (RELRO and
BIND_NOW), stack canaries, and calls that glibc always has a checked variant
for replaced by those (_FORTIFY_SOURCE). On x86 functions that can be called indirectly must begin
with ENDBR. (Debian's C library has startup files without the notes for IBT
and SHSTK, so that no linked file can have them.)

Of a file with debug information it is also read which flags each unit of ours
was compiled with: -fstack-clash-protection leaves no other trace.
"""
import re
import subprocess
import sys

# What is always replaced. Of memcpy() and the like only those calls are where
# the compiler does not see that they fit.
FORTIFIABLE = {"printf", "fprintf", "vprintf", "vfprintf", "asprintf",
               "vasprintf", "dprintf", "vdprintf", "syslog", "vsyslog"}
UNIT_FLAGS = ["-fstack-protector-strong", "-fstack-clash-protection"]
ENDBR = {"X86-64": b"\xf3\x0f\x1e\xfa", "80386": b"\xf3\x0f\x1e\xfb"}
# frame_dummy and __do_global_dtors_aux come with the compiler
STARTUP_ENDBRS = 2


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, str(path)], check=True,
                          capture_output=True, text=True).stdout


def section(path, name):
    """The octets of a section."""
    match = re.search(r" %s +\w+ +\w+ (\w+) (\w+) " % re.escape(name),
                      readelf(path, "-S"))
    with open(path, "rb") as file:
        file.seek(int(match[1], 16))
        return file.read(int(match[2], 16))


def imports(path):
    """The functions that it needs of others."""
    return {match[1] for match in re.finditer(
        r" UND +([\w.]+)", readelf(path, "--dyn-syms"))}


def fortified(path):
    """The checked variants of functions that it uses."""
    return {name for name in imports(path)
            if re.fullmatch(r"__\w+_chk", name)}


def units(path):
    """What the compiler says that it made each unit with, if known."""
    return set(re.findall(r"DW_AT_producer *:.*?(GNU C\d\d .*)",
                          readelf(path, "--debug-dump=info",
                                  "--dwarf-depth=1")))


def missing(path):
    """What the file lacks."""
    header = readelf(path, "-h")
    machine = re.search(r"Machine: +.*?([\w-]+)$", header, re.M)[1]
    dynamic = readelf(path, "-d")
    segments = readelf(path, "-l")
    wanted = imports(path)
    lacks = []
    if not re.search(r"Type: +DYN", header):
        lacks.append("PIE")
    if "GNU_RELRO" not in segments:
        lacks.append("RELRO")
    if "BIND_NOW" not in dynamic and \
       not re.search(r"FLAGS_1.*\bNOW\b", dynamic):
        lacks.append("BIND_NOW")
    if re.search(r"GNU_STACK.* RWE ", segments):
        lacks.append("NX")
    if "__stack_chk_fail" not in wanted:
        lacks.append("canary")
    if wanted & FORTIFIABLE:
        lacks.append("fortify")
    code = ENDBR.get(machine)
    if code and section(path, ".text").count(code) <= STARTUP_ENDBRS:
        lacks.append("IBT")
    lacks += sorted({flag for unit in units(path) for flag in UNIT_FLAGS
                     if flag not in unit})
    return lacks


def main():
    bad = False
    for path in sys.argv[1:]:
        lacks = missing(path)
        bad = bad or bool(lacks)
        print("%s: %s" % (path, "lacks " + ", ".join(lacks) if lacks else
                          "hardened"))
    return 1 if bad or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
