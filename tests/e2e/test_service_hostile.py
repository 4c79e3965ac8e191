"""mail-recalld: hostile input, TLS, and many connections."""

import json
import pathlib
import re
import resource
import socket
import ssl
import time
import urllib.parse

import pytest

from mailnode import PATIENCE, build_message, free_port
from servicenode import RecallNode, Service, curl, is_sanitized
from answers import has, statuses
from faults import Frozen

USER = "user@example.com"


@pytest.fixture(scope="module")
def node():
    with RecallNode(users=[USER]) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    # clients that say nothing more are waited for
    with Service(node, http__idle_timeout=5) as service:
        yield service


@pytest.fixture(autouse=True)
def alive(service):
    yield
    assert service.process.poll() is None
    assert service.curl("/health/live").status == 200


def raw(service, octets, shut=True):
    """Sends octets and returns all that comes back until the end."""
    with socket.create_connection(("127.0.0.1", service.port),
                                  PATIENCE) as sock:
        try:
            sock.sendall(octets)
            if shut:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        while True:
            try:
                more = sock.recv(65536)
            except ConnectionResetError:
                break
            if not more:
                break
            answer += more
        return answer


def request(token, body=b"", headers=(), path="/v2/actions/expunge",
            length=None):
    lines = ["POST %s HTTP/1.1" % path, "Host: x",
             "Authorization: Bearer " + token,
             "Content-Type: application/x-www-form-urlencoded",
             "Content-Length: %d" % (len(body) if length is None else length)]
    return ("\r\n".join(lines + list(headers)) + "\r\n\r\n").encode() + body


def post(service, token, body, content_type):
    return service.curl("/v2/actions/expunge", "-H",
                        "Content-Type: " + content_type, "--data-binary",
                        "@-", token=token, input=body)


FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


BODIES = [
    (b"messageid=%ff%fe&emails=a@b", FORM),
    (b"messageid=<a@b>&emails=\xc3\x28@b", FORM),
    (b"messageid=%3Ca%00@b%3E&emails=a@b", FORM),
    (b"messageid=<a@b>&emails=a%0d%0ab@c", FORM),
    (b"messageid=<a@b>&emails=%", FORM + "x"),
    (b"%ff=1&messageid=<a@b>&emails=a@b", FORM),
    (b"&".join(b"x=%d" % i for i in range(20000)), FORM),
    (b"", JSON),
    (b"{", JSON),
    (b"[]", JSON),
    (b"null", JSON),
    (b'"x"', JSON),
    (b"[" * 100000, JSON),
    (b'{"a":' * 100000, JSON),
    (b'{"messageid":"<a@b>","emails":"a@b","force":2}', JSON),
    (b'{"messageid":"<a@b>","emails":["a@b",1]}', JSON),
    (b'{"messageid":"<a@b>","emails":[["a@b"]]}', JSON),
    (b'{"messageid":"<a@b>","emails":{"a":"b"}}', JSON),
    (b'{"messageid":{},"emails":"a@b"}', JSON),
    (b'{"messageid":1.5,"emails":"a@b"}', JSON),
    (b'{"messageid":["<a@b>","<c@d>"],"emails":"a@b"}', JSON),
    (b'{"messageid":"<a@b>","messageid":"<c@d>","emails":"a@b"}', JSON),
    (b'{"messageid":"<a\\u0000@b>","emails":"a@b"}', JSON),
    (b'{"messageid":"<a@b>","emails":"a\\r\\nb@c"}', JSON),
    (b'{"messageid":"<a@b>","emails":"\xff"}', JSON),
    (b'{"messageid":"<a@b>","emails":"\\ud800@b"}', JSON),
    (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
    (b"x" * 100000, "multipart/form-data; boundary=" + "y" * 1000),
    (b"nonsense", "multipart/form-data"),
]


@pytest.mark.parametrize("which", range(len(BODIES)))
def test_bodies_that_are_wrong(node, service, token, which):
    body, content_type = BODIES[which]
    since = node.log_size()
    answer = post(service, token, body, content_type)
    assert answer.status in (400, 415), answer
    assert "message" in answer.json()
    node.settle_log()
    assert node.executed(since) == []


BOUNDARY = "a-boundary-of-more-than-one-octet"
MULTIPART = "multipart/form-data; boundary=" + BOUNDARY


def multipart(*parts, end=True):
    """Parts as (headers, value)."""
    body = b"".join(b"--%s\r\n%s\r\n%s\r\n" % (BOUNDARY.encode(), b"".join(
        line + b"\r\n" for line in headers), value)
        for headers, value in parts)
    return body + (b"--%s--\r\n" % BOUNDARY.encode() if end else b"")


def part(name, value, *headers):
    return ([b'Content-Disposition: form-data; name="%s"' % name] +
            list(headers), value)


NAMELESS = [
    [],
    [b"X: y"],
    [b"Content-Type: text/plain"],
    [b"Content-Disposition: form-data"],
    [b"Content-Disposition: form-data; name"],
    [b"Content-Disposition: form-data; name="],
    [b'Content-Disposition: form-data; name=""'],
    [b'Content-Disposition: form-data; name="x'],
    # RFC 7578 has both, libmicrohttpd has not
    [b"Content-Disposition: form-data; name=x"],
    [b'Content-Disposition: form-data; NAME="x"'],
    [b'Content-Disposition: form-data; na\x00me="x"'],
    [b'Content-Disposition: form-data; filename="x"'],
    [b"Content-Disposition: \xff\xfe"],
    [b"Content-Type: multipart/mixed; boundary=z"],
]


@pytest.mark.parametrize("path", ["/v2/actions/expunge", "/v2/auth",
                                  "/v2/mailboxes/%s/shares" % USER])
@pytest.mark.parametrize("value", [b"", b"value"])
@pytest.mark.parametrize("which", range(len(NAMELESS)))
def test_part_without_a_name(service, which, value, path):
    """Before it is known who asks."""
    method = "PUT" if path.endswith("shares") else "POST"
    good = part(b"cmd", b"expunge")
    for parts in ([(NAMELESS[which], value)],
                  [good, (NAMELESS[which], value)],
                  [(NAMELESS[which], value), good]):
        for end in True, False:
            answer = service.curl(path, "-X", method, "-H", "Content-Type: " +
                                  MULTIPART, "--data-binary", "@-",
                                  input=multipart(*parts, end=end))
            assert answer.status in (400, 401), answer
            assert "message" in answer.json()


def test_part_that_has_a_name_and_no_value(service, token):
    answer = post(service, token, multipart(
        part(b"messageid", b""), part(b"emails", b"x@example.com")),
        MULTIPART)
    assert answer.json() == {"message": {
        "MESSAGEID": "MESSAGEID is a required value"}}


def test_part_that_is_encoded(service, token):
    answer = post(service, token, multipart(
        part(b"messageid", b"PGFAYj4=", b"Content-Transfer-Encoding: base64"),
        part(b"emails", b"x@example.com")), MULTIPART)
    assert answer.status == 400
    assert "Content-Transfer-Encoding" in answer.json()["message"]
    answer = post(service, token, multipart(
        part(b"messageid", b"<a@b>", b"Content-Transfer-Encoding: 8bit"),
        part(b"emails", USER.encode())), MULTIPART)
    assert statuses(answer) == {USER: "not_found"}


def test_part_at_every_place_of_the_parsers_buffer(service, token):
    """libmicrohttpd tells of a part in pieces, wherever its buffer ends."""
    body = multipart(part(b"messageid", b"<a@b>"),
                     part(b"emails", b"not\x01one"))
    # the parts follow a preamble (RFC 2046)
    for pad in range(8192 - len(body), 8192 + 8):
        answer = post(service, token, b"y" * pad + b"\r\n" + body, MULTIPART)
        assert answer.status == 400
        assert "control character" in answer.json()["message"]["EMAILS"], pad


@pytest.mark.parametrize("empty", ["[]", "[ ]", " []", "[] ", "[\n]",
                                   "[\t\r\n ]", ""])
@pytest.mark.parametrize("params", [
    {"messageid": "<a@b>"}, {"query": '["SUBJECT", "x"]', "dry_run": "1"},
    {"query": '["SUBJECT", "x"]', "yes_count": "1"},
    {"cmd": "search", "messageid": "<a@b>"},
    {"cmd": "fetch", "fields": "hdr", "messageid": "<a@b>"},
    {"cmd": "restore", "id": "0" * 32}],
    ids=["recall", "dry-run", "query", "search", "fetch", "restore"])
def test_list_of_addresses_that_is_empty(node, service, token, params, empty):
    since = node.log_size()
    answers = [service.recall(token, emails=empty, **params),
               post(service, token, json.dumps(
                   dict(params, emails=empty)).encode(), JSON)]
    try:
        array = json.loads(empty)
    except ValueError:
        pass
    else:
        answers.append(post(service, token, json.dumps(
            dict(params, emails=array)).encode(), JSON))
        answers.append(post(service, token, urllib.parse.urlencode(
            list(params.items()) + [("emails", empty)] * 2).encode(), FORM))
    for answer in answers:
        assert answer.status == 400, answer
        assert "EMAILS" in answer.json()["message"], answer
    node.settle_log()
    assert node.executed(since) == []


@pytest.mark.parametrize("empty", ["[]", "[ ]", "[\n]"])
def test_other_lists_that_are_empty(node, service, token, empty):
    since = node.log_size()
    for params in ({"query": empty, "dry_run": "1"},
                   {"cmd": "search", "query": empty},
                   {"cmd": "fetch", "messageid": "<a@b>", "fields": empty}):
        answer = service.recall(token, emails=USER, **params)
        assert answer.status == 400, answer
    answer = service.curl("/v2/mailboxes/%s/shares" % USER, "-X", "PUT",
                          "-d", "mailbox=INBOX", "-d", "user=x@example.com",
                          "--data-urlencode", "rights=" + empty, token=token)
    assert answer.json() == {"message": {
        "RIGHTS": "RIGHTS is a required value"}}
    node.settle_log()
    assert node.executed(since) == []


def test_restore_for_nobody_is_not_for_all(node, service, token):
    node.lmtp_deliver([USER], build_message("<nobody@example.com>"))
    recall = service.recall(token, "<nobody@example.com>", [USER]).json()["id"]
    for empty in "", "[]", "[ ]":
        answer = post(service, token, urllib.parse.urlencode(
            {"cmd": "restore", "id": recall, "emails": empty}).encode(), FORM)
        assert answer.status == 400, answer
        assert "EMAILS" in answer.json()["message"]
    assert service.recall(token, cmd="restore", id=recall).status == 200


def test_body_that_is_too_large(service, token):
    answer = service.curl("/v2/actions/expunge", "--data-binary", "@-",
                          token=token, input=b"x" * (100 * 1024 * 1024))
    assert answer.status == 413
    assert answer.json() == {"message": "The body is too large"}


def test_large_body_without_a_length(service, token):
    # curl sends stdin in chunks and without asking first
    before = resident(service)
    answer = service.curl("/v2/actions/expunge", "-X", "POST", "-H",
                          "Expect:", "-H", "Transfer-Encoding: chunked",
                          "-T", "-", token=token, check=False,
                          input=b"x" * (9 * 1024 * 1024))
    assert answer is None or answer.status == 413
    answer = service.curl("/v2/actions/expunge", "-X", "POST", "-H",
                          "Expect:", "-H", "Transfer-Encoding: chunked",
                          "-T", "-", token=token, check=False,
                          input=b"x" * (100 * 1024 * 1024))
    assert answer is None or answer.status == 413
    # nothing near of what was sent is kept
    assert resident(service) - before < 50 * 1024


def test_large_bodies_of_strangers_are_not_kept(service, token):
    body = b"messageid=<a@b>&emails=" + b"x" * (7 * 1024 * 1024)
    for path, given, status, message in (
            ("/v2/actions/expunge", None, 401, "TOKEN REQUIRED"),
            ("/v2/actions/expunge", "x.y.z", 401, "TOKEN INVALID"),
            ("/v2/auth", None, 413, "The body is too large")):
        answer = service.curl(path, "--data-binary", "@-", token=given,
                              input=body)
        assert answer.status == status
        assert answer.json() == {"message": message}
    # who is known may send as much
    assert service.curl("/v2/actions/expunge", "--data-binary", "@-",
                        token=token, input=body).status == 400


def test_large_bodies_of_many_strangers(node):
    """All of them at once, and only the last octets are missing."""
    body = b"x" * (7 * 1024 * 1024)
    with Service(node) as service:
        before = resident(service)
        socks = []
        try:
            for i in range(20):
                socks.append(socket.create_connection(
                    ("127.0.0.1", service.port), PATIENCE))
                socks[-1].sendall(request("x", body, length=len(body) + 1))
            for sock in socks:
                sock.sendall(b"x")
                assert sock.recv(12) == b"HTTP/1.1 401"
        finally:
            for sock in socks:
                sock.close()
        assert resident(service, "VmHWM") - before < 50 * 1024


def test_a_strangers_body_is_not_kept_many_times_over(node):
    """Each item of an array has its name, whatever the name's length."""
    name = "n" * 32000
    body = '{"%s": [%s""]}' % (name, '"",' * 9000)
    with Service(node) as service:
        before = resident(service)
        for path in "/v2/actions/expunge", "/v2/auth":
            answer = service.curl(path, "-H", "Content-Type: " + JSON,
                                  "--data-binary", "@-", input=body.encode())
            assert answer.status in (400, 401), answer
        assert resident(service, "VmHWM") - before < 50 * 1024


def body_octets(service):
    metrics = service.curl("/metrics").body.decode()
    return int(re.search(r"^mail_recalld_body_bytes (\d+)$", metrics,
                         re.M).group(1))


MB = 1024 * 1024


class Unfinished:
    """A request whose last octet is missing."""

    def __init__(self, service, token, size, headers=()):
        self.sock = socket.create_connection(("127.0.0.1", service.port),
                                             PATIENCE)
        self.sock.sendall(request(token, b"messageid=" + b"x" * (size - 11),
                                  headers, length=size))

    def finish(self):
        self.sock.sendall(b"x")
        answer = self.sock.recv(65536).decode()
        self.sock.close()
        return int(answer.split()[1]), answer


def test_bodies_of_all_callers_have_a_limit(node):
    with Service(node, http__max_body=MB, http__max_bodies=2 * MB,
                 http__max_bodies_per_caller=MB) as service:
        tokens = [service.token("%d@example.com" % i) for i in range(3)]
        kept = [Unfinished(service, token, MB) for token in tokens[:2]]
        while body_octets(service) < 2 * MB - 2:
            assert service.process.poll() is None
        status, answer = Unfinished(service, tokens[2], MB).finish()
        assert status == 503
        assert "Retry-After: " in answer
        # it kept nothing
        assert body_octets(service) == 2 * MB - 2
        # a short one has no place either; what has no body is answered
        assert service.recall(tokens[2], "<a@b>", [USER]).status == 503
        assert service.curl("/v2/actions", token=tokens[2]).status == 200
        # an ID that is too long
        for each in kept:
            assert each.finish()[0] == 400
        assert service.recall(tokens[2], "<a@b>", [USER]).status == 200
        assert body_octets(service) == 0


def test_bodies_of_one_caller_have_a_limit(node):
    with Service(node, http__max_body=MB, http__max_bodies=9 * MB,
                 http__max_bodies_per_caller=MB,
                 http__trusted_proxies="127.0.0.1") as service:
        one, other = service.token("1@example.com"), service.token(
            "2@example.com")
        kept = Unfinished(service, one, MB)
        while body_octets(service) < MB - 1:
            assert service.process.poll() is None
        status, answer = Unfinished(service, one, MB).finish()
        assert status == 429
        assert "Retry-After: " in answer
        # nobody else is meant
        assert Unfinished(service, other, MB).finish()[0] == 400
        assert kept.finish()[0] == 400
        # who has no token is an address
        source = "X-Forwarded-For: 192.0.2.%d"
        kept = [Unfinished(service, "x", 65000, [source % 1])
                for i in range(16)]
        while body_octets(service) < 16 * 64999:
            assert service.process.poll() is None
        assert Unfinished(service, "x", 65000,
                          [source % 1]).finish()[0] == 429
        assert Unfinished(service, "x", 65000,
                          [source % 2]).finish()[0] == 401
        for each in kept:
            assert each.finish()[0] == 401
        assert body_octets(service) == 0
        # a whole /64 is one
        source = "X-Forwarded-For: 2001:db8:0:%d::%d"
        kept = [Unfinished(service, "x", 65000, [source % (1, i)])
                for i in range(16)]
        while body_octets(service) < 16 * 64999:
            assert service.process.poll() is None
        assert Unfinished(service, "x", 65000,
                          [source % (1, 99)]).finish()[0] == 429
        assert Unfinished(service, "x", 65000,
                          [source % (2, 0)]).finish()[0] == 401
        for each in kept:
            assert each.finish()[0] == 401
        assert body_octets(service) == 0


def test_many_large_bodies(node):
    """Of one caller, with a token, as the settings come."""
    with Service(node) as service:
        token, before = service.token(), resident(service)
        requests = [Unfinished(service, token, 7 * MB) for i in range(40)]
        found = [each.finish()[0] for each in requests]
        assert sorted(set(found)) == [400, 429], found
        assert found.count(400) == 2
        assert peak(service) - before < 100 * 1024


@pytest.mark.parametrize("body, content_type", [
    (b'{"emails":[' + b"[]," * 2000000 + b"[]]}", JSON),
    (b'{"emails":' + b"[" * 1000 + b"1," * 2000000 + b"1" + b"]" * 1000 +
     b"}", JSON),
    (b"messageid=<a@b>&emails=[" + b"{}," * 2000000 + b"{}]", FORM),
    (b"messageid=<a@b>&emails=[" + b"1," * 3000000 + b"1]", FORM),
    (b"&".join([b"a"] * 3000000), FORM),
], ids=["arrays", "deep", "objects", "numbers", "names"])
def test_bodies_that_grow_when_they_are_parsed(node, body, content_type):
    with Service(node) as service:
        before = resident(service)
        assert post(service, service.token(), body,
                    content_type).status == 400
        assert peak(service) - before < 60 * 1024


@pytest.mark.skipif(is_sanitized(), reason="it needs all address space")
@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
def test_no_memory_for_a_request(node, content_type):
    """It is refused; others are answered."""
    size = 300 * MB
    with Service(node, http__max_body=size, http__max_bodies=size,
                 http__max_bodies_per_caller=size, http__workers=2,
                 auth__logins=1, journal__workers=1) as service:
        token = service.token()
        assert service.recall(token, "<a@b>", [USER]).status == 200
        now = int(re.search(r"VmSize:\s+(\d+) kB", pathlib.Path(
            "/proc/%d/status" % service.process.pid).read_text()).group(1))
        # enough for a body, and not for its parameters, too; and so on
        for more in 20, 60:
            resource.prlimit(service.process.pid, resource.RLIMIT_AS,
                             (now * 1024 + more * MB, resource.RLIM_INFINITY))
            for octets in 9 * MB, 35 * MB:
                text = b"x" * octets
                body = {FORM: b"reason=" + text,
                        JSON: b'{"reason":"' + text + b'"}',
                        MULTIPART: multipart(part(b"reason", text))}
                answer = post(service, token, body[content_type],
                              content_type)
                assert answer.status in (400, 503), answer
            assert answer.status == 503 or more > 20
            assert service.recall(token, "<a@b>", [USER]).status == 200


def resident(service, what="VmRSS"):
    status = pathlib.Path("/proc/%d/status" % service.process.pid).read_text()
    return int(status.split(what + ":")[1].split()[0])


def peak(service):
    """The most that was resident. Sanitizers keep what was freed, so that it
    says nothing there."""
    return 0 if is_sanitized() else resident(service, "VmHWM")


@pytest.mark.skipif(is_sanitized(), reason="keeps what was freed")
def test_recalls_that_wait_are_not_in_memory(node):
    """Otherwise who may recall ends the service, and each start of it."""
    users = ["%04d-%s@example.com" % (number, "x" * 40)
             for number in range(5000)]
    with Service(node, journal__workers=1) as service, Frozen(node):
        token = service.token()

        def begin():
            answer = service.recall(token, "<a@b>", users, "-H",
                                    "Prefer: respond-async")
            assert answer.status == 202

        for unused in range(3):
            begin()
        before = resident(service)
        for unused in range(60):
            begin()
        # each has 5,000 users of some 250 octets
        assert resident(service) - before < 60 * 1250 // 3
        service.kill()
        service.start()
        assert resident(service) - before < 60 * 1250 // 3
        service.kill()


def test_headers_that_are_too_large(service):
    answer = raw(service, b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: " +
                 b"y" * 100000 + b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 413")) or not answer
    answer = raw(service, b"GET /" + b"y" * 100000 + b" HTTP/1.1\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 414", b"HTTP/1.1 431")) or not answer


def test_smuggled_request(node, service, token):
    node.lmtp_deliver([USER], build_message("<smuggled@example.com>"))
    hidden = request(token, b"messageid=<smuggled@example.com>&emails=" +
                     USER.encode())
    for headers in (["Transfer-Encoding: chunked"],
                    ["Transfer-Encoding: chunked, identity"],
                    ["Transfer-Encoding : chunked"],
                    ["Transfer-Encoding: xchunked"]):
        answer = raw(service, request(token, b"0\r\n\r\n" + hidden, headers))
        # a status line: the answer names what it takes for a parameter
        assert answer.count(b"HTTP/1.1 ") == 1, answer
        assert b" 400 " in answer.split(b"\r\n")[0], answer
    # in a header: what follows it is no request of its own
    answer = raw(service, b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
                 b"X: y\n" + hidden)
    assert has(node, USER, "<smuggled@example.com>")


@pytest.mark.parametrize("change", [
    # of two lengths the last one, and of none none, may be what a proxy takes
    lambda head: head + b"Content-Length: 5\r\n",
    lambda head: head + b"content-length : 5\r\n",
    lambda head: head.replace(b"Content-Length:", b"Content-Length :"),
    lambda head: re.sub(b"Content-Length: .*", b"Transfer-Encoding: gzip, "
                        b"chunked\r", head),
    lambda head: re.sub(b"Content-Length: .*", b"Transfer-Encoding: chunked\r\n"
                        b"Transfer-Encoding: identity\r", head),
    lambda head: re.sub(b"Content-Length: .*", b"Transfer-Encoding: chunked\r",
                        head).replace(b"HTTP/1.1", b"HTTP/1.0"),
    # continued on another line
    lambda head: head.replace(b"Content-Length:", b"Content-Length:\r\n"),
    lambda head: re.sub(b"Content-Length: .*", b"Transfer-Encoding:\r\n\t"
                        b"chunked\r", head),
    lambda head: head + b"Host: y\r\n",
    lambda head: head + b"X\x00Y: z\r\n", lambda head: head + b"X(Y: z\r\n",
], ids=lambda change: "")
def test_head_that_others_read_in_another_way(service, token, change):
    body = b"%x\r\nmessageid=<a@b>\r\n0\r\n\r\n" % len(b"messageid=<a@b>")
    hidden = body + request(token, b"messageid=<c@d>&emails=x@example.com")
    head, _, _ = request(token, hidden).partition(b"\r\n\r\n")
    answer = raw(service, change(head + b"\r\n") + b"\r\n" + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert answer.split(b" ")[1] in (b"400", b"501"), answer
    assert b"connection: close" in answer.lower()
    assert "<c@d>" not in service.log()


@pytest.mark.parametrize("target, status", [
    ("http://x/v2/actions/expunge", 200),
    ("http://x:8025/v2/actions/expunge", 200),
    ("HTTPS://mail.example.com/v2/actions/expunge", 200),
    ("http://[::1]/v2/actions/expunge", 200),
    ("http://x/v2/actions/expunge?", 200),
    ("http://x/v2/actions/expunge?a=1", 400),
    ("http://x/v2/none", 404), ("http://x", 404), ("http://x/", 404),
    ("http:///v2/actions/expunge", 404), ("http:/v2/actions/expunge", 404),
    ("ftp://x/v2/actions/expunge", 404), ("/http://x/v2/actions/expunge", 404),
    ("http://x//v2/actions/expunge", 404), ("http://x/v2/auth", 400),
])
def test_target_that_is_a_whole_url(service, token, target, status):
    """RFC 9112, 3.2.2: servers have to take it, whatever the header Host says."""
    answer = raw(service, request(
        token, b"messageid=<a@b>&emails=u@example.com&dry_run=1",
        path=target))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer


def test_lengths_that_are_none(service, token):
    for length in "-1", "1e3", "99999999999999999999", "5, 6", "0x10":
        answer = raw(service, request(token, b"12345").replace(
            b"Content-Length: 5", b"Content-Length: " + length.encode()))
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")) or \
            not answer, (length, answer)


GARBAGE = [
    b"", b"\r\n\r\n", b"\x00" * 1000, b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03",
    b"GET /%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v2/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nlog",
]


@pytest.mark.parametrize("which", range(len(GARBAGE)))
def test_garbage(service, which):
    answer = raw(service, GARBAGE[which])
    assert not answer or answer.startswith(b"HTTP/1.1 4") or \
        answer.startswith(b"HTTP/1.0 5") or answer.startswith(b"HTTP/1.1 5")


def test_pipelined_requests_do_not_mix(service, token):
    body = b"messageid=<a@b>&emails=x@example.com"
    answer = raw(service, request(token, body) + request("none", body) +
                 request(token, body), shut=False)
    lines = [line for line in answer.split(b"\r\n")
             if line.startswith(b"HTTP/1.1")]
    # libmicrohttpd may leave the later ones unanswered until the connection
    # ends, but never answers one with what belongs to another
    found = [line.split()[1] for line in lines]
    assert found and found == [b"200", b"401", b"200"][:len(found)]


def test_log_lines_cannot_be_forged(service):
    service.curl("/v2/auth", "--data-urlencode",
                 "login=x@example.com\r\nforged line", "-d", "password=x")
    service.curl("/x%0aforged%20line")
    for line in service.log().splitlines() + service.audit():
        assert not line.startswith("forged")


def test_slow_clients_are_dropped(node):
    with Service(node, http__idle_timeout=1, http__request_timeout=1) as each:
        # a head that does not end, and a body
        for octets in b"GET / HTTP/1.1\r\n", request("x", b"", length=10):
            assert raw(each, octets, shut=False) is not None


def until_closed(sock, octet):
    """Sends an octet now and then, until it is closed."""
    sock.settimeout(0.2)
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, "it is still open"
        try:
            sock.sendall(octet)
            if sock.recv(65536) == b"":
                return
        except socket.timeout:
            pass
        except OSError:
            return


def test_a_head_that_comes_an_octet_at_a_time(node):
    with Service(node, http__idle_timeout=5, http__request_timeout=1) as each:
        with socket.create_connection(("127.0.0.1", each.port),
                                      PATIENCE) as slow:
            slow.sendall(b"GET /health/live HTTP/1.1\r\nX: ")
            until_closed(slow, b"x")
        each.wait_log("too slow")
        # a connection that is used again and again is none of these
        assert each.curl("/health/live").status == 200


def test_idle_connections_do_not_stop_a_recall(node):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    node.lmtp_deliver([USER], build_message("<idle@example.com>"))
    with Service(node, http__max_connections_per_address=0) as service:
        token = service.token()
        idle = []
        try:
            for i in range(1000):
                sock = socket.create_connection(("127.0.0.1", service.port),
                                                PATIENCE)
                # some say nothing, some half of a request
                if i % 2 == 0:
                    sock.sendall(request(token, b"messageid", length=1000))
                idle.append(sock)
            answer = service.recall(token, "<idle@example.com>", [USER])
            assert statuses(answer) == {USER: "expunged"}
            metrics = service.curl("/metrics").body.decode()
            line = [line for line in metrics.splitlines()
                    if line.startswith("mail_recalld_connections ")][0]
            assert int(line.split()[1]) >= 1000
        finally:
            for sock in idle:
                sock.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_of_one_address(node):
    with Service(node, http__max_connections_per_address=5) as service:
        idle = [socket.create_connection(("127.0.0.1", service.port))
                for i in range(5)]
        assert service.curl("/health/live", check=False) is None
        assert service.curl("/health/live", "--interface",
                            "127.0.0.2").status == 200
        for sock in idle:
            sock.close()


def test_one_address_does_not_shut_others_out(node):
    """As the settings come. What is over the limit is closed at once."""
    with Service(node) as service:
        socks = [socket.create_connection(("127.0.0.1", service.port),
                                          PATIENCE) for i in range(300)]
        for sock in socks[256:]:
            try:
                assert sock.recv(1) == b""
            except ConnectionResetError:
                pass
        answer = service.curl("/v2/actions", "--interface", "127.0.0.2",
                              token=service.token())
        assert answer.status == 200
        for sock in socks:
            sock.close()


def test_a_proxy_has_as_many_connections_as_it_needs(node):
    with Service(node, http__max_connections_per_address=1,
                 http__trusted_proxies="127.0.0.1") as service:
        idle = [socket.create_connection(("127.0.0.1", service.port))
                for i in range(5)]
        assert service.curl("/health/live").status == 200
        for sock in idle:
            sock.close()


def test_health_has_a_listener_of_its_own(node):
    port = free_port()
    url = "http://127.0.0.1:%d" % port
    with Service(node, http__health_port=port, http__max_connections=10,
                 http__max_connections_per_address=0) as service:
        # more than there may be: the others wait for their turn
        socks = [socket.create_connection(("127.0.0.1", service.port))
                 for i in range(20)]
        for path in "/health", "/health/live", "/health/ready", "/metrics":
            assert curl(url + path).status == 200
        metrics = curl(url + "/metrics").body.decode()
        assert re.search(r"^mail_recalld_connections 10$", metrics, re.M)
        for sock in socks:
            sock.close()
        # nothing else is there
        for path in "/v2/actions", "/v2/openapi.json", "/":
            assert curl("-H", "Authorization: Bearer " + service.token(),
                        url + path).status == 404
        assert curl("-d", "login=x", url + "/v2/auth").status == 404
        # nor do clients there harm it
        socks = [socket.create_connection(("127.0.0.1", port))
                 for i in range(100)]
        assert service.curl("/health/ready").status == 200
        for sock in socks:
            sock.close()


def test_port_of_health_that_is_taken(node):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = Service(node, http__health_port=taken.getsockname()[1])
        process = service.launch()
        assert process.wait(PATIENCE) == 69
        assert "in use" in service.log()
    service = Service(node, http__health_address="localhost")
    assert "http.health_address" in service.check_config().stderr


def test_a_body_that_comes_an_octet_at_a_time(node):
    """As such, and in what is no part of the body but comes with it."""
    head = ("POST /v2/actions/expunge HTTP/1.1\r\nHost: x\r\n"
            "Authorization: Bearer %s\r\n%s\r\n\r\n")
    with Service(node, http__idle_timeout=600,
                 http__request_timeout=1) as service:
        for header, first in (("Content-Length: 100000", b"messageid="),
                              ("Transfer-Encoding: chunked", b"5;x="),
                              ("Transfer-Encoding: chunked", b"0\r\nX: "),
                              ("Transfer-Encoding: chunked", b"000000")):
            with socket.create_connection(("127.0.0.1", service.port),
                                          PATIENCE) as sock:
                sock.sendall((head % (service.token(), header)).encode() +
                             first)
                until_closed(sock, b"0")


def test_answers_that_are_not_taken(node):
    """More of them than the kernel keeps."""
    with Service(node, http__idle_timeout=600,
                 http__request_timeout=1) as service:
        with socket.create_connection(("127.0.0.1", service.port),
                                      PATIENCE) as sock:
            sock.sendall(b"GET /v2/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" *
                         500)
            service.wait_log("take an answer")


def test_a_client_that_does_not_wait(node, service, token):
    node.lmtp_deliver([USER], build_message("<gone@example.com>"))
    with socket.create_connection(("127.0.0.1", service.port)) as sock:
        sock.sendall(request(token, b"messageid=<gone@example.com>&emails=" +
                             USER.encode()))
        sock.shutdown(socket.SHUT_RDWR)
    # it asked, so it is done; or it never did, and nothing is half done
    answer = service.recall(token, "<gone@example.com>", [USER])
    assert answer.json()["success"] is True
    assert not has(node, USER, "<gone@example.com>")


def handshake(service, context, version):
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = getattr(ssl.TLSVersion, version)
    context.minimum_version = getattr(ssl.TLSVersion, version)
    with socket.create_connection(("127.0.0.1", service.port)) as sock:
        try:
            context.wrap_socket(sock).close()
        except OSError:
            return False
    return True


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_listener(node, certificates):
    settings = {"http__tls_cert_file": certificates / "cert.pem",
                "http__tls_key_file": certificates / "key.pem"}
    node.lmtp_deliver([USER], build_message("<tls@example.com>"))
    with Service(node, **settings) as service:
        answer = service.recall(service.token(), "<tls@example.com>", [USER],
                                "--cacert", certificates / "cert.pem")
        assert statuses(answer) == {USER: "expunged"}
        # plain HTTP and old versions get nothing
        assert curl("http://127.0.0.1:%d/health/live" % service.port,
                    check=False) is None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        for version, accepted in (("TLSv1", False), ("TLSv1_1", False),
                                  ("TLSv1_2", True), ("TLSv1_3", True)):
            assert handshake(service, context, version) == accepted, version


def test_tls_settings_that_are_wrong(node, certificates):
    service = Service(node, http__tls_cert_file=certificates / "cert.pem")
    assert "go together" in service.check_config().stderr
    service.set(http__tls_key_file="/nonexistent")
    assert "/nonexistent" in service.check_config().stderr


def test_tls_to_doveadm_is_verified(certificates):
    port_line = "    ssl = yes\n"
    extra = ("ssl = yes\nssl_cert = <%s\nssl_key = <%s\n"
             "service doveadm {\n  inet_listener http {\n%s  }\n}\n" % (
                 certificates / "cert.pem", certificates / "key.pem",
                 port_line))
    with RecallNode(users=[USER], extra=extra) as node:
        url = node.http_url.replace("http:", "https:")
        node.lmtp_deliver([USER], build_message("<tls2@example.com>"))
        with Service(node, doveadm__url=url) as service:
            answer = service.recall(service.token(), "<tls2@example.com>",
                                    [USER])
            assert answer.status == 502
            assert has(node, USER, "<tls2@example.com>")
            service.set(doveadm__ca_file=certificates / "cert.pem")
            assert service.reload() == "reloaded"
            answer = service.recall(service.token(), "<tls2@example.com>",
                                    [USER])
            assert statuses(answer) == {USER: "expunged"}
            assert json.loads(answer.body)["success"] is True
