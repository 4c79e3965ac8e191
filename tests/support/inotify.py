"""What happens to a file or a directory, as Linux tells."""

import contextlib
import ctypes
import os
import struct

IN_ACCESS = 1
IN_CLOSE_NOWRITE = 16
IN_OPEN = 32
EVENT = struct.Struct("iIII")


class Watch:
    def __init__(self, path, events):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self.fd >= 0 and libc.inotify_add_watch(
            self.fd, os.fsencode(path), events) >= 0, \
            os.strerror(ctypes.get_errno())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        os.close(self.fd)

    def read(self):
        """What has happened to it since the last time."""
        found, data = [], b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.fd, 1 << 16)
        while data:
            _, mask, _, length = EVENT.unpack_from(data)
            data = data[EVENT.size + length:]
            # one with a name is of what is in there
            if length == 0:
                found.append(mask)
        return found
