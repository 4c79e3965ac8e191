"""mail-recalld: odd requests by the thousand, over sockets, several at a time.

RECALL_FUZZ says how many (3,000), RECALL_FUZZ_SEED which (1).
"""

import concurrent.futures
import os
import random
import re
import socket

import pytest

from mailnode import PATIENCE
from servicenode import NO_DELAYS, RecallNode, Service

COUNT = int(os.environ.get("RECALL_FUZZ", "3000"))
SEED = int(os.environ.get("RECALL_FUZZ_SEED", "1"))
# most of the time is spent on what is cut off, which waits for idle_timeout
CLIENTS = 40
USER = "user@example.com"
MAX_BODY = 65536

METHODS = [b"POST"] * 6 + [b"GET"] * 3 + [
    b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH",
    b"post", b"", b"X" * 300, b"PRI"]
PATHS = [b"/v2/actions/expunge"] * 8 + [b"/v2/auth"] * 4 + [
    b"/v2/actions", b"/v2/actions/", b"/v2/actions/" + b"0" * 32,
    b"/v2/actions/%00", b"/v2/actions/%zz", b"/v2/actions/..%2f..",
    b"/v2/mailboxes/user@example.com/shares",
    b"/v2/mailboxes/user%40example.com/shares", b"/v2/mailboxes//shares",
    b"/v2/mailboxes/%ff/shares", b"/v2/mailboxes/a%0d%0ab/shares",
    b"/v2/mailboxes/{owner}/shares", b"/health", b"/health/live",
    b"/health/ready", b"/metrics", b"/v2/openapi.json", b"/", b"*", b"",
    b"http://x/v2/auth", b"//", b"/%", b"/%%%", b"/" + b"y" * 5000]
QUERIES = [b""] * 6 + [
    b"?", b"?=", b"?&&&", b"?limit=-1", b"?limit=%zz", b"?before=%00",
    b"?limit=5&limit=6", b"?mailbox=INBOX&user=x%40example.com", b"?x",
    b"?" + b"a=1&" * 500, b"?a=%ff", b"?mailbox", b"?user=&mailbox=",
    b"?%e0%80%80=1", b"?a=b=c", b"?a#b"]
NAMES = [b"messageid", b"emails", b"cmd", b"query", b"fields", b"login",
         b"password", b"refresh_token", b"id", b"reason", b"force", b"notify",
         b"dry_run", b"yes_count", b"limit", b"cursor", b"all", b"user",
         b"mailbox", b"rights", b"before", b"", b"MESSAGEID", b"x" * 300,
         b"\xff", b"a\x00b", b"[]", b"emails[]"]
VALUES = [b"<a@b>", b"user@example.com", b"", b" ", b"[]", b"[ ]", b"[",
          b"[null]", b"[\"\"]", b"[[\"a@b\"]]", b"[1]", b"{}", b"null",
          b"[\"user@example.com\"]", b"[\"a@b\",\"a@b\"]", b"1", b"0", b"-1",
          b"true", b"expunge", b"search", b"fetch", b"restore", b"x" * 2000,
          b"\x00", b"a\x00b", b"\xff\xfe", b"\r\n", b"%", b"%0", b"%zz",
          b"99999999999999999999", b"1e5", b"SUBJECT", b"[\"SUBJECT\",\"x\"]",
          b"hdr", b"uid flags", b"\xed\xa0\x80", b"*", b"a@b,c@d", b"0" * 32,
          b"\xd0\xb0@example.com", b"\"a b\"@example.com", b"[" * 3000,
          b"INBOX", b"reader", b"{\"a\":" * 500]
TYPES = [b"application/x-www-form-urlencoded"] * 3 + [
    b"application/json"] * 3 + [
    b"multipart/form-data; boundary=BB"] * 3 + [
    b"multipart/form-data", b"multipart/form-data; boundary=",
    b"multipart/form-data; boundary=\"BB\"", b"multipart/form-data; boundary=\"",
    b"multipart/form-data; boundary=" + b"B" * 2000,
    b"multipart/mixed; boundary=BB", b"application/json; charset=utf-16", b"",
    b"text/plain", b"application/json" * 100, b"application/jsonx"]
HEADERS = [b"Expect: 100-continue", b"Expect: x", b"Upgrade: websocket",
           b"Connection: upgrade", b"Connection: close", b"Upgrade: h2c",
           b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip",
           b"Transfer-Encoding: identity", b"Content-Length: 5",
           b"Content-Length: -5", b"Content-Length: 99999999999999999999",
           b"Content-Encoding: gzip", b"X: " + b"y" * 3000, b": x", b"X",
           b" folded", b"X:\x00y", b"\xff: \xff", b"Prefer: respond-async",
           b"Prefer: ,;,=", b"Prefer:", b"Idempotency-Key:",
           b"Idempotency-Key: a b", b"Idempotency-Key: key",
           b"Idempotency-Key: " + b"k" * 300, b"Authorization:",
           b"Authorization: Bearer", b"Authorization: Bearer ...",
           b"Authorization: Bearer \xff", b"Authorization: Basic eDp5",
           b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
           b"Cookie: a=b; =; x", b"X-Forwarded-For: 1.2.3.4, x, ,",
           b"X-Forwarded-For: ", b"Host: " + b"h" * 1000, b"Range: bytes=0-",
           b"Content-Type: application/json", b"Content-Length : 3"]
PART_HEADERS = [b"Content-Disposition: form-data", b"Content-Disposition:",
                b"Content-Disposition: form-data; filename=\"x\"",
                b"Content-Type: multipart/mixed; boundary=CC",
                b"Content-Type: multipart/mixed", b"X", b"\xff",
                b"Content-Transfer-Encoding: base64", b"Y: " + b"y" * 9000,
                b"Content-Disposition: form-data; name=\"", b"\x00"]


class Requests:
    """Makes requests out of a seed."""

    def __init__(self, seed, token):
        self.random = random.Random(seed)
        self.token = token.encode()

    def some(self, values, most):
        return [self.random.choice(values)
                for _ in range(self.random.randrange(most + 1))]

    def params(self):
        choice = self.random.choice
        found = [(choice(NAMES), choice(VALUES))
                 for _ in range(self.random.randrange(6))]
        if self.random.random() < 0.5:
            found += [(b"emails", choice(VALUES)),
                      (b"messageid", choice(VALUES))]
        return found

    def form(self):
        def encode(octets):
            if self.random.random() < 0.5:
                return octets
            return b"".join(b"%%%02x" % octet for octet in octets)
        return b"&".join(encode(name) + b"=" + encode(value)
                         for name, value in self.params())

    def json(self):
        def text(octets):
            if self.random.random() < 0.3:
                return octets
            return b'"' + re.sub(rb'["\\\x00-\x1f]', lambda match:
                                 b"\\u%04x" % match.group()[0], octets) + b'"'
        return b"{" + b",".join(text(name) + b":" + text(value)
                                for name, value in self.params()) + b"}"

    def multipart(self):
        body = self.random.choice([b"", b"preamble\r\n"])
        for name, value in self.params():
            lines = self.some(PART_HEADERS, 1)
            if self.random.random() < 0.7:
                lines.append(b'Content-Disposition: form-data; name="%s"' %
                             name)
            body += b"--BB\r\n" + b"".join(
                line + b"\r\n" for line in lines) + b"\r\n" + value + b"\r\n"
        return body + self.random.choice([b"--BB--\r\n", b"--BB--", b"--BB",
                                          b"", b"--BB\r\n\r\n"])

    def body(self):
        kind = self.random.choice([self.form, self.json, self.multipart, None])
        if kind is None:
            return self.random.choice([
                b"", b"\x00" * 100, b"[", b"{}", b"x" * (MAX_BODY + 1), b"&",
                self.random.randbytes(500)])
        return kind()

    def spoil(self, octets):
        """Cuts it, doubles a part of it, or changes some octets."""
        octets = bytearray(octets)
        for _ in range(self.random.randrange(1, 4)):
            if not octets:
                break
            at = self.random.randrange(len(octets))
            kind = self.random.randrange(4)
            if kind == 0:
                octets[at] = self.random.randrange(256)
            elif kind == 1:
                del octets[at:at + self.random.randrange(1, 30)]
            elif kind == 2:
                octets[at:at] = octets[at:at + 30]
            else:
                del octets[at:]
        return bytes(octets)

    def chunked(self, body):
        out, at = b"", 0
        while at < len(body):
            size = self.random.randrange(1, 3000)
            piece = body[at:at + size]
            out += b"%x\r\n%s\r\n" % (len(piece), piece)
            at += size
        return out + b"0\r\n\r\n"

    def make(self):
        choice = self.random.choice
        lines = [choice(METHODS) + b" " + choice(PATHS) + choice(QUERIES) +
                 b" " + choice([b"HTTP/1.1"] * 9 + [b"HTTP/1.0"])]
        if self.random.random() < 0.95:
            lines.append(b"Host: x")
        if self.random.random() < 0.6:
            lines.append(b"Authorization: Bearer " + self.token)
        lines += self.some(HEADERS, 2)
        lines.append(b"Content-Type: " + choice(TYPES))
        body = self.body()
        if self.random.random() < 0.2:
            lines.append(b"Transfer-Encoding: chunked")
            body = self.chunked(body)
        elif self.random.random() < 0.95:
            lines.append(b"Content-Length: %d" % len(body))
        octets = b"\r\n".join(lines) + b"\r\n\r\n" + body
        if self.random.random() < 0.3:
            octets = self.spoil(octets)
        if self.random.random() < 0.05:
            octets += self.make()
        return octets


def ask(port, octets):
    """Sends octets; returns what comes back until the end."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        answer = b""
        try:
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            while True:
                more = sock.recv(65536)
                if not more:
                    break
                answer += more
        except OSError:
            pass
        return answer


@pytest.mark.log_errors(".")
def test_odd_requests():
    with RecallNode(users=[USER], acl=True, extra=NO_DELAYS) as node, \
         Service(node, http__max_body=MAX_BODY, http__idle_timeout=1,
                 bruteforce__enabled="no") as service:
        token = service.token()

        def client(which):
            requests = Requests("%d.%d" % (SEED, which), token)
            for _ in range(COUNT // CLIENTS):
                octets = requests.make()
                answer = ask(service.port, octets)
                assert service.process.poll() is None, octets
                for status in re.findall(rb"^HTTP/1\.[01] (\d+)", answer):
                    # 501 is libmicrohttpd's of what it does not know
                    assert status not in (b"500", b"502"), (octets, answer)
                if answer:
                    assert answer.startswith(b"HTTP/1."), (octets, answer)

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for done in [pool.submit(client, i) for i in range(CLIENTS)]:
                done.result()
        assert service.curl("/health").status == 200
        service.stop()
        assert (service.dir / "stderr").read_text() == ""
        assert node.panics() == []
