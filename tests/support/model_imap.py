"""An IMAP connection of the model test (see soak.py): commands are sent
together, and what is answered is not taken apart further than is needed. That
takes a quarter of what imaplib does."""

import re
import socket

# As many octets follow.
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class ImapError(ConnectionError):
    """The server has ended it, or says what can't be understood."""


class Answer:
    """ok: whether it was done. lines: all that came with it, each with its
    literals, the last one says how it went."""

    def __init__(self, ok, lines):
        self.ok, self.lines = ok, lines


class Imap:
    """A logged-in connection."""

    def __init__(self, port, user, password, timeout):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.stream = self.socket.makefile("rb")
        self.number = 0
        try:
            self._line()
            login, = self.run("LOGIN %s %s" % (user, password))
            if not login.ok:
                raise ImapError("login: %r" % login.lines)
        except Exception:
            self.close()
            raise

    def run(self, *commands):
        """Sends commands, as str or octets, at once. Returns an answer for
        each."""
        first = self.number + 1
        self.number += len(commands)
        self.socket.sendall(b"".join(
            b"%d %s\r\n" % (first + i, command if isinstance(command, bytes)
                            else command.encode())
            for i, command in enumerate(commands)))
        return [self._answer(b"%d " % (first + i))
                for i in range(len(commands))]

    def _answer(self, tag):
        lines = []
        while True:
            line = self._line()
            lines.append(line)
            if line.startswith(tag):
                return Answer(line[len(tag):].startswith(b"OK"), lines)
            if line.startswith(b"* BYE"):
                raise ImapError(line.decode(errors="replace"))

    def _line(self):
        """With its literals."""
        parts = []
        while True:
            part = self.stream.readline()
            if not part.endswith(b"\n"):
                raise ImapError("the connection has ended")
            parts.append(part)
            match = LITERAL.search(part)
            if match is None:
                return b"".join(parts)
            parts.append(self.stream.read(int(match.group(1))))

    def close(self):
        self.stream.close()
        self.socket.close()

    def logout(self):
        """However it ends."""
        try:
            # what comes last is BYE
            self.socket.sendall(b"last LOGOUT\r\n")
            while self.stream.readline():
                pass
        except OSError:
            pass
        self.close()
