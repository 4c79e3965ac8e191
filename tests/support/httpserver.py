"""Somebody else's HTTP server, which is there while a test looks."""

import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Says nothing on stderr."""

    def log_message(self, *unused):
        pass


class HttpServer:
    """A context that serves on loopback, at a free port unless one is given."""

    def __init__(self, handler, port=0):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port),
                                                      handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
