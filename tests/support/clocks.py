"""A clock that is wrong, and set while programs run: clock-shim.c, which is
loaded into them, and what sets it."""

import mmap
import pathlib
import struct

import mailnode

# as in clock-shim.c
CONTROL = struct.Struct("=q16s")
MINUTE, HOUR, DAY = 60, 3600, 86400


class Clock:
    """The clock of the processes that have its environment.

    directory   of its own file
    program     those of this name alone, or ""
    shim        faulty.Shim that is loaded with it from then on, or None"""
    shim = None

    def __init__(self, directory, program=""):
        self.module = mailnode.builddir() / "tests/support/clock-shim.so"
        assert self.module.exists(), "%s was not built" % self.module
        self.path = pathlib.Path(directory) / "clock-control"
        self.path.write_bytes(CONTROL.pack(0, program[:15].encode()))
        self.path.chmod(0o644)
        with open(self.path, "r+b") as stream:
            self.map = mmap.mmap(stream.fileno(), CONTROL.size)

    def set(self, ahead):
        """Seconds by which it is ahead of the right time, or behind it if
        that is less than 0."""
        struct.pack_into("=q", self.map, 0, ahead)

    def environment(self, sanitizers=()):
        """What must be there when a program starts."""
        preload = [*map(str, sanitizers), str(self.module)]
        environment = {"CLOCK_CONTROL": str(self.path)}
        if self.shim:
            environment.update(self.shim.environment(preload))
        else:
            environment["LD_PRELOAD"] = ":".join(preload)
        return environment
