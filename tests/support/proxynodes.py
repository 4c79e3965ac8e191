"""Nodes whose users Dovecot proxies: what asks for them, and nodes that fail."""

import os
import pathlib
import re
import socketserver
import threading

from conftest import COLUMNS
from faults import wait_for
from mailnode import MailNode


def users_of(node, count=30):
    return ["user%d.%s@example.com" % (number, node)
            for number in range(count)]


class Front(MailNode):
    """Has all users, and the mail of some. fields: user -> what the passdb
    says besides."""

    def __init__(self, ports, fields=None, **options):
        self.ports = ports
        self.fields = fields or {}
        # users who are not where their names say
        self.moved = {}
        super().__init__(**options)

    def _write_users(self):
        super()._write_users()
        path = self.dir / "users"
        lines = []
        for line in path.read_text().splitlines():
            name = line.split("@")[0].rpartition(".")[2]
            name = self.moved.get(line.split(":")[0], name)
            if name in self.ports:
                line += " proxy=y host=127.0.0.1 port=%d" % self.ports[name]
            line += self.fields.get(line.split(":")[0], "")
            if name in ("tls", "distrusted"):
                line += " ssl=" + ("any-cert" if name == "tls" else "yes")
            elif name == "starttls":
                line += " starttls=any-cert"
            if line.startswith("alias"):
                # of the user with that number
                number, at = re.match(r"alias(\d+)\S*?(\.[^:]+)",
                                      line).groups()
                line += " user=user" + number + at
            lines.append(line + "\n")
        path.write_text("".join(lines))
        # auth goes by the second and the size
        os.utime(path, (self.users_stamp, self.users_stamp))

    def move(self, *users, to=None):
        """The users' mail is on another node from now on; None: on this."""
        for user in users:
            self.moved[user] = to
        self._write_users()
        self._wait_for_users()


def verdict_row(user, status="expunged", copies="1"):
    """A row as doveadm-server sends it."""
    values = [user, status, copies, "none", "INBOX", "guid", "id"]
    values += [""] * (len(COLUMNS) - len(values))
    return "".join(value + "\t" for value in values).encode()


def users_asked(words):
    """Those whom a command's words are for."""
    prefix = "--node-users="
    return [word[len(prefix):] for word in words
            if word.startswith(prefix)] or [words[1]]


class FakeNode(socketserver.ThreadingTCPServer):
    """Speaks as a doveadm-server as far as the test wants it to: answer has
    the octets that follow the command, or makes them of the users asked for,
    and then the connection is closed; `serve` has it take more commands, until
    an answer is not whole."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.rfile.readline()
            self.wfile.write(b"-\n")
            if not self.rfile.readline().startswith(b"PLAIN\t"):
                return
            if self.server.answer is None:
                self.wfile.write(b"-\n")
                self.rfile.readline()
                return
            self.wfile.write(b"+\n")
            while line := self.rfile.readline():
                words = line.decode().rstrip("\n").split("\t")
                self.server.commands.append(words)
                self.server.asked.set()
                answer = self.server.answer
                if callable(answer):
                    answer = answer(users_asked(words))
                self.wfile.write(answer)
                if not self.server.serve or not answer.endswith(b"\n"):
                    break
            if self.server.hang:
                self.server.hanging.set()
                self.rfile.readline()

    def __init__(self, address="127.0.0.1", port=0):
        super().__init__((address, port), self.Handler)
        self.script(b"")

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *unused):
        self.shutdown()
        super().__exit__(*unused)

    @property
    def port(self):
        return self.server_address[1]

    def script(self, answer, hang=False, serve=False):
        self.answer = answer
        self.hang = hang
        self.serve = serve
        self.commands = []
        self.asked = threading.Event()
        self.hanging = threading.Event()

    def all_is_read(self):
        """Whether those who are connected have read what was sent."""
        remote = ":%04X" % self.port
        rows = [line.split() for line in
                pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return all(row[4].endswith(":00000000") for row in rows
                   if row[2].endswith(remote))

    def asked_for(self):
        """The users of each command."""
        return [users_asked(words) for words in self.commands]


def mixed(*lists):
    return [user for users in zip(*lists) for user in users]
