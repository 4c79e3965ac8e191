"""A server that mail-recalld's webhooks are sent to."""

import json

from faults import wait_for
from httpserver import Handler, HttpServer


class Receiver(HttpServer):
    """Somebody else's server; answers with the statuses, the last one for
    good."""

    def __init__(self, statuses=(204,), port=0, location=None):
        self.told = []
        self.before = lambda: None
        self.statuses = list(statuses)
        receiver = self

        class Hook(Handler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.told.append((self.path, self.headers, body))
                receiver.before()
                status = receiver.statuses[0]
                if len(receiver.statuses) > 1:
                    receiver.statuses.pop(0)
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Hook, port)

    @property
    def url(self):
        return "http://127.0.0.1:%d/hook" % self.port

    def wait(self, n):
        wait_for(lambda: len(self.told) >= n, self.told)
        return [json.loads(body) for _, _, body in self.told]
