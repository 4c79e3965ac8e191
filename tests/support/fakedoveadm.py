"""A doveadm-server that answers what the real one does not."""

import json

from httpserver import Handler, HttpServer


class Fake(Handler):
    """The server has an attribute command(name, parameters), which returns
    status and body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        command = json.loads(self.rfile.read(
            int(self.headers["Content-Length"])))
        name, parameters, _ = command[0]
        status, body = self.server.command(name, parameters)
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class FakeDoveadm(HttpServer):
    """One with its own command()."""

    def __init__(self):
        super().__init__(Fake)
        self.server.command = self.command

    def command(self, name, parameters):
        raise NotImplementedError

    @property
    def url(self):
        return "http://127.0.0.1:%d/doveadm/v1" % self.port


def row(user, status, **more):
    return {"username": user, "status": status, "copies": "1", **more}
