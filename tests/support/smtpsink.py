"""A mail server that keeps what it gets, on a free port of loopback.

    with SmtpSink() as sink:
        ... sink.port ...
        sink.mails      what was taken, before the client got to know
"""

import collections
import socketserver
import threading

Mail = collections.namedtuple("Mail", "sender recipients data")


class _Handler(socketserver.StreamRequestHandler):
    def answer(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def read_data(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if line in (b".\r\n", b""):
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def handle(self):
        sender, recipients = None, []
        self.answer("220 sink ESMTP")
        for line in iter(self.rfile.readline, b""):
            text = line.decode().rstrip("\r\n")
            verb = text.upper()
            if verb.startswith(("EHLO", "HELO")):
                self.answer("250 sink")
            elif verb.startswith("MAIL FROM:"):
                sender, recipients = text[10:].split()[0], []
                self.answer("250 ok")
            elif verb.startswith("RCPT TO:"):
                recipient = text[8:].split()[0]
                if recipient[1:-1] in self.server.refused:
                    self.answer("550 no such mailbox")
                else:
                    recipients.append(recipient)
                    self.answer("250 ok")
            elif verb == "DATA" and not recipients:
                self.answer("554 no recipients")
            elif verb == "DATA":
                self.answer("354 go on")
                self.server.mails.append(
                    Mail(sender, recipients, self.read_data()))
                self.answer("250 taken")
            elif verb == "QUIT":
                self.answer("221 bye")
                return
            else:
                self.answer("250 ok")


class SmtpSink(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        self.mails = []
        # addresses that are answered with 550
        self.refused = set()

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever,
                                       daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.shutdown()
        self.thread.join()
        self.server_close()
