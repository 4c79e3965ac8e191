"""What stands before mail-recalld, as a reverse proxy does."""

import contextlib

from httpserver import Handler, HttpServer
from servicenode import ask_plainly


class _Forward(Handler):
    def ask(self):
        length = int(self.headers.get("Content-Length", 0))
        before = self.server.before
        if not before.wants(self.command, self.path):
            return
        answer = before.change(self.command, self.path, ask_plainly(
            self.command, before.service.url + self.path,
            {name.lower(): value for name, value in self.headers.items()
             if name.lower() not in ("host", "content-length")},
            self.rfile.read(length) if length else None))
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name not in ("set-cookie", "transfer-encoding", "date"):
                    self.send_header(name, value)
            for cookie in answer.cookies.values():
                self.send_header("Set-Cookie", cookie)
            self.end_headers()
            self.wfile.write(answer.body)

    do_GET = do_POST = do_DELETE = ask


class Before(HttpServer):
    """Hands on what it is asked."""

    def __init__(self, service):
        super().__init__(_Forward)
        self.server.before = self
        self.service = service
        self.url = "http://127.0.0.1:%d" % self.port

    def wants(self, method, path):
        """May hold the request up. If not, nobody has it, and it is not
        answered."""
        return True

    def change(self, method, path, answer):
        """May hold the answer back, or return another one."""
        return answer
