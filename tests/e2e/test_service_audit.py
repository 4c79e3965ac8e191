"""mail-recalld: what the audit trail says, and what happens if it can't be
written."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

from mailnode import PATIENCE, build_message
from servicenode import RecallNode, Service
from answers import has, statuses
from faults import Swallow, wait_for

USER, OTHER = "user@one.example", "other@one.example"
STRANGER = "user@two.example"
ADMIN = "admin@one.example"
EXPUNGE = "/v2/actions/expunge"


@pytest.fixture(scope="module")
def node():
    users = {USER: {"tenant_id": "one"}, OTHER: {"tenant_id": "one"},
             ADMIN: {"tenant_id": "one", "role": "1"},
             STRANGER: {"tenant_id": "two"}}
    with RecallNode(users=users) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def mail(node, message_id):
    node.lmtp_deliver([USER, OTHER, STRANGER], build_message(message_id))
    return message_id


def parse(line):
    """The header's fields, and the extension's as they are read by a SIEM."""
    head = re.split(r"(?<!\\)\|", line, maxsplit=7)
    fields = {}
    for key, value in re.findall(r"(\w+)=((?:\\.|[^\\=])*)(?= \w+=|$)",
                                 head[7]):
        assert key not in fields, line
        fields[key] = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(
            m.group(1), m.group(1)), value)
    return head[4], fields


@contextlib.contextmanager
def events(service, count=1):
    """A list that has, afterwards, what came in between."""
    found, since = [], len(service.audit())
    yield found
    found += [parse(line) for line in service.audit()[since:]]
    assert len(found) == count, found


def metric(service, name):
    text = service.curl("/metrics").body.decode()
    return int(re.search(r"^mail_recalld_%s (\d+)$" % name, text,
                         re.M).group(1))


# values


def test_values_are_cut(service):
    with events(service) as found:
        service.recall("nonsense", "<" + "x" * 60000 + ">", [USER])
    event, fields = found[0]
    assert event == "recall-refused"
    assert fields["cs1"] == "<" + "x" * 997 + "...(+%d)" % (60002 - 998)
    assert "x" * 999 not in service.log()
    with events(service) as found:
        # not within a character
        service.recall("nonsense", "x" + "д" * 600, [USER])
    assert found[0][1]["cs1"] == "x" + "д" * 498 + "...(+204)"
    with events(service) as found:
        # what is written counts, escapes and all
        service.recall("nonsense", "x" + "\x01" * 600 + "y", ["=" * 4000])
    assert found[0][1]["cs1"] == "x" + r"\u0001" * 142 + "...(+459)"
    assert found[0][1]["cs2"] == "=" * 2000 + "...(+2000)"


def test_prefix_that_is_too_long(node):
    service = Service(node, audit__cef_prefix="CEF:0|" + "x" * 1018)
    assert service.check_config().returncode == 0
    service.set(audit__cef_prefix="CEF:0|" + "x" * 1019)
    done = service.check_config()
    assert done.returncode != 0
    assert "audit.cef_prefix: has more than 1024 octets" in done.stderr


@pytest.mark.parametrize("text, shown", [
    ("a\x1b[31mb", r"a\u001b[31mb"), ("a\x7fb", r"a\u007fb"),
    ("a\u0085b", r"a\u0085b"), ("a\u009bb", r"a\u009bb"),
    ("a\u2028b", r"a\u2028b"), ("a\u2029b", r"a\u2029b"),
    ("a\u202eb", r"a\u202eb"), ("a\u2066b", r"a\u2066b"),
    ("a\u200fb", r"a\u200fb"), ("a\ufeffb", r"a\ufeffb"),
    ("a\tb", r"a\u0009b"), ("a\nb", "a\nb"), ("a\rb", "a\rb"),
    ("a=\\b|c d=e", "a=\\b|c d=e"), ("здравствуйте", "здравствуйте"),
])
def test_nothing_hidden_is_written(service, text, shown):
    since = len(service.log())
    with events(service) as found:
        service.recall(service.token(), "", [USER], reason=text, cmd=text)
    assert found[0][1]["reason"] == shown
    hidden = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f"
                        "\u2028-\u202e\u2066-\u2069\ufeff]")
    audit = (service.dir / "audit.log").read_text()
    assert not hidden.search(audit + service.log()[since:])


def test_octets_that_are_no_text(service):
    with events(service) as found:
        service.curl("/v2/mailboxes/a%ff%c0%80%ed%a0%80b/shares",
                     token=service.token())
    assert found[0][1]["cs2"] == \
        r"a\u00ff\u00c0\u0080\u00ed\u00a0\u0080b"


# too many


def test_refused_lines_of_an_address_are_limited(node):
    with Service(node, audit__refused_per_second=3,
                 http__trusted_proxies="127.0.0.1") as service:
        total = 60
        done = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-H",
             "X-Forwarded-For: 192.0.2.1", "-H", "Authorization: Bearer x",
             "-d", "messageid=<a@b>", "-w", "%{http_code}\n",
             service.url + EXPUNGE + "?[1-%d]" % total],
            capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["401"] * total
        # another address has its own
        service.curl(EXPUNGE, "-H", "X-Forwarded-For: 192.0.2.2", "-d", "x=y")

        def lines():
            return [parse(line) for line in service.audit()]

        def of_first(event):
            return [fields for found, fields in lines()
                    if found == event and fields["src"] == "192.0.2.1"]

        # written without another request
        wait_for(lambda: len(of_first("recall-refused")) + sum(
            int(fields["cnt"]) for fields in of_first("left-out")) == total,
            "all are accounted for")
        assert of_first("left-out")
        by_second = {}
        for fields in of_first("recall-refused"):
            second = int(fields["rt"]) // 1000
            by_second[second] = by_second.get(second, 0) + 1
        # their seconds are not those of the limit
        assert max(by_second.values()) <= 6
        assert sum(f["src"] == "192.0.2.2" for e, f in lines()) == 1
        left_out = sum(int(fields["cnt"]) for fields in of_first("left-out"))
        assert metric(service, "audit_left_out_total") == left_out
        # the log is not flooded either
        assert service.log().count("recall from 192.0.2.1 (unknown) refused") \
            == total - left_out


def test_what_was_left_out_is_told_at_the_end(node):
    with Service(node, audit__refused_per_second=1) as service:
        for i in range(3):
            service.curl(EXPUNGE, "-d", "x=y")
        service.stop()
        found = [parse(line) for line in service.audit()]
        assert sum(int(fields.get("cnt", 1)) for event, fields in found) == 3


# a trail that can't be written


def resize(disk, size):
    subprocess.run(["mount", "-o", "remount,size=" + size, disk], check=True)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as f:
        with contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 4096)


def test_full_disk(node, mail, small_disk):
    trail = small_disk / "audit.log"
    fill(small_disk)
    with Service(node, audit__cef_file=trail) as service:
        token = service.token()
        for path, args in (
                (EXPUNGE, ("--data-urlencode", "messageid=" + mail, "-d",
                           "emails=" + USER)),
                (EXPUNGE, ("--data-urlencode", "messageid=" + mail, "-d",
                           "emails=" + USER, "-H", "Prefer: respond-async")),
                (EXPUNGE, ("-d", "cmd=restore", "-d", "id=" + "0" * 32, "-d",
                           "emails=" + USER)),
                (EXPUNGE, ("-d", "cmd=search", "--data-urlencode",
                           "messageid=" + mail, "-d", "emails=" + USER)),
                ("/v2/mailboxes/%s/shares" % USER, ()),
                ("/v2/stop", ("-d", "release=1")),
                ("/v2/stop", ("-X", "DELETE"))):
            answer = service.curl(path, *args, token=token)
            assert answer.status == 503, (path, args)
            assert answer.json() == {
                "message": "The audit trail cannot be written"}
            assert answer.headers["retry-after"]
        assert has(node, USER, mail)
        assert service.curl("/v2/actions", token=token).json()["actions"] == []
        ready = service.curl("/health/ready")
        assert ready.status == 503 and ready.json()["audit"] is False
        assert metric(service, "audit_writable") == 0
        assert metric(service, "audit_failures_total") > 0
        # said once, with the reason
        assert service.log().count("can't be written: No space left on "
                                   "device") == 1
        assert "Success" not in service.log()
        # logins and what needs no trail go on
        assert service.curl("/health/live").status == 200

        (small_disk / "filler").unlink()
        assert service.curl("/health/ready").status == 200
        # those that were refused meanwhile
        text = trail.read_text()
        assert text.endswith("\n")
        assert [parse(line)[0] for line in text.splitlines()] == \
            ["recall-refused"] * 2 + ["restore-refused", "search-refused",
                                      "shares-refused", "release-refused",
                                      "release-refused"]
        assert metric(service, "audit_waiting") == 0
        answer = service.recall(token, mail, [USER])
        assert statuses(answer) == {USER: "expunged"}
        assert parse(trail.read_text().splitlines()[-1])[0] == "recall"


def test_disk_that_fills_meanwhile(node, small_disk):
    """What was let through has its line: room for it was set aside."""
    trail = small_disk / "audit.log"
    with Service(node, audit__cef_file=trail) as service:
        token = service.token()
        fill(small_disk)
        done = []
        for i in range(100):
            answer = service.recall(token, "<%d@fills>" % i, [USER],
                                    reason="x" * 1000)
            if answer.status == 503:
                break
            assert answer.status == 200
            done.append(answer.json()["id"])
        assert answer.status == 503 and done
        lines = [parse(line) for line in trail.read_text().splitlines()]
        assert [fields["externalId"] for event, fields in lines
                if event == "recall"] == done
        assert len(service.curl("/v2/actions", token=token)
                   .json()["actions"]) == len(done)


def test_disk_that_fills_within_a_line(node, small_disk):
    """With audit.required=no recalls go on: their lines come later, whole."""
    trail = small_disk / "audit.log"
    resize(small_disk, "8k")
    with Service(node, audit__cef_file=trail, audit__required="no") as service:
        messageids = ["<%s%d@audit>" % ("x" * 900, i) for i in range(9)]
        for messageid in messageids:
            assert service.recall(service.token(), messageid,
                                  [USER]).status == 200
        assert service.curl("/health/ready").status == 503
        text = trail.read_text()
        assert text.endswith("\n")
        assert [parse(line)[1]["cs1"] for line in text.splitlines()] == \
            messageids[:text.count("\n")]
        assert 0 < text.count("\n") < len(messageids)
        assert metric(service, "audit_waiting") == \
            len(messageids) - text.count("\n")
        resize(small_disk, "4m")
        # nobody has to ask
        wait_for(lambda: len(trail.read_text().splitlines()) ==
                 len(messageids), "the lines that waited")
        assert [parse(line)[1]["cs1"]
                for line in trail.read_text().splitlines()] == messageids


def test_line_that_a_crash_tore(node):
    with Service(node) as service:
        service.recall(service.token(), "<a@b>", [USER])
        service.kill()
        with open(service.dir / "audit.log", "a") as f:
            f.write("CEF:0|half of a li")
        service.start()
        service.recall(service.token(), "<c@d>", [USER])
        first, torn, last = service.audit()
        assert torn == "CEF:0|half of a li"
        assert parse(last)[1]["cs1"] == "<c@d>"


def test_line_that_somebody_tore_in_another_file(node):
    with Service(node) as service:
        service.recall(service.token(), "<a@b>", [USER])
        other = service.dir / "other.log"
        other.write_text("CEF:0|half of a li")
        service.set(audit__cef_file=other)
        service.reload()
        service.recall(service.token(), "<c@d>", [USER])
        torn, last = other.read_text().splitlines()
        assert torn == "CEF:0|half of a li"
        assert parse(last)[1]["cs1"] == "<c@d>"


def test_limit_of_the_size_of_files(node, mail):
    """Not the end of the process (SIGXFSZ) either."""
    with Service(node) as service:
        service.recall(service.token(), "<a@b>", [USER])
        size = (service.dir / "audit.log").stat().st_size
        subprocess.run(["prlimit", "--pid", str(service.process.pid),
                        "--fsize=%d:" % (size + 100)], check=True)
        # its own line is the first that fails
        service.recall("nonsense", mail, [USER])
        assert service.curl("/health/ready").json()["audit"] is False
        subprocess.run(["prlimit", "--pid", str(service.process.pid),
                        "--fsize=unlimited:"], check=True)
        # nor could the journal be written
        wait_for(lambda: service.curl("/health/ready").status == 200)
        assert [parse(line)[0] for line in service.audit()] == \
            ["recall", "recall-refused"]


def test_file_that_cannot_be_opened(node, mail):
    with Service(node, audit__cef_file="/nowhere/audit.log") as service:
        assert "the audit trail can't be written: no message" in service.log()
        answer = service.recall(service.token(), mail, [USER])
        assert answer.status == 503
        assert has(node, USER, mail)
        assert "/nowhere/audit.log can't be written: No such file" in \
            service.log()
        # a setting that is right is enough
        service.set(audit__cef_file=service.dir / "audit.log")
        assert service.reload() == "reloaded"
        assert statuses(service.recall(service.token(), mail, [USER])) == {
            USER: "expunged"}
        assert [parse(line)[0] for line in service.audit()] == \
            ["recall-refused", "recall"]


def test_what_never_could_be_written_is_in_the_log(node):
    with Service(node, audit__cef_file="/dev/full",
                 audit__required="no") as service:
        service.recall(service.token(), "<lost@b>", [USER])
        assert service.curl("/health/ready").status == 503
        service.stop()
        assert re.search(r"audit: not written: CEF:.*cs1=<lost@b>",
                         service.log())


def test_no_trail_at_all(node, mail):
    with Service(node, audit__cef_enabled="no",
                 audit__cef_file="/dev/full") as service:
        assert service.curl("/health/ready").status == 200
        assert statuses(service.recall(service.token(), mail, [USER])) == {
            USER: "expunged"}


class Syslog:
    """A syslog daemon's socket."""

    def __init__(self, path):
        self.path = str(path)

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(self.path)
        return self

    def __exit__(self, *unused):
        self.socket.close()
        os.unlink(self.path)

    def line(self):
        return self.socket.recv(1 << 20).decode()


def test_syslog(node, mail, tmp_path):
    path = tmp_path / "log"
    with Service(node, audit__cef_file=None,
                 audit__syslog_socket=path) as service:
        token = service.token()
        # nobody listens, as in a container
        assert "%s can't be written: No such file" % path in service.log()
        assert service.recall(token, mail, [USER]).status == 503
        assert has(node, USER, mail)
        assert service.curl("/health/ready").status == 503
        with Syslog(path) as syslog:
            assert service.curl("/health/ready").status == 200
            line = syslog.line()
            # authpriv.notice
            assert re.match(r"<85>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d "
                            r"mail-recalld\[%d\]: CEF:0\|"
                            % service.process.pid, line)
            assert parse(line)[0] == "recall-refused"
            assert statuses(service.recall(token, mail, [USER])) == {
                USER: "expunged"}
            assert parse(syslog.line())[0] == "recall"
        # the daemon has died, its socket has stayed
        with Syslog(path) as syslog:
            syslog.socket.close()
            assert service.recall(token, mail, [USER]).status == 503


def test_background_recall_waits_for_the_trail(node, mail, small_disk):
    trail = small_disk / "audit.log"
    with Swallow() as url, Service(node, audit__cef_file=trail,
                                   doveadm__url=url) as service:
        token = service.token()
        # in the journal, but killed before anything was done
        recall_id = service.recall(token, mail, [USER], "-H",
                                   "Prefer: respond-async").json()["id"]
        service.kill()
        trail.unlink()
        fill(small_disk)
        service.set(doveadm__url=node.http_url)
        service.start()
        service.wait_log("recall %s: waits until" % recall_id)
        assert has(node, USER, mail)
        (small_disk / "filler").unlink()
        assert service.wait_recall(token, recall_id)["summary"] == {
            "expunged": 1}
        wait_for(lambda: any(
            parse(line)[1].get("externalId") == recall_id
            for line in trail.read_text().splitlines()), "its line")


# what events say


def test_dry_run_is_no_recall(service, mail):
    token = service.token()
    with events(service) as found:
        service.recall(token, mail, [USER], dry_run=1)
    event, fields = found[0]
    assert event == "recall-dry-run"
    assert (fields["flexNumber1Label"], fields["flexNumber1"]) == \
        ("dry_run", "1")
    with events(service) as found:
        service.recall(token, mail, [USER])
    event, fields = found[0]
    assert (event, fields["flexNumber1"]) == ("recall", "0")


def test_refused_lines_name_their_target(service, mail):
    user = service.token(USER, role=2, tenant="one")
    with events(service) as found:
        service.recall(user, mail, [OTHER, STRANGER], force=1, dry_run=1,
                       reason="why not")
    event, fields = found[0]
    assert event == "recall-refused"
    for key, value in {"suser": USER, "cs4": "one", "outcome": "failure",
                       "cn1": "403", "cs1": mail, "cn2": "1",
                       "flexNumber1": "1", "reason": "why not",
                       "cs2": OTHER + "," + STRANGER}.items():
        assert fields[key] == value
    assert "permission" in fields["msg"]
    for cmd in "search", "fetch":
        with events(service) as found:
            service.recall(user, None, [OTHER], cmd=cmd, fields="hdr",
                           query='["ALL"]')
        assert found[0][0] == cmd + "-refused"
        assert found[0][1]["cs2"] == OTHER
        assert found[0][1]["cs5"] == '["ALL"]'
    with events(service) as found:
        service.recall(user, cmd="restore", id="0" * 32)
    assert found[0][1]["cs6"] == "0" * 32
    with events(service) as found:
        service.curl("/v2/mailboxes/%s/shares" % OTHER, "-X", "PUT", "-d",
                     "mailbox=INBOX", "-d", "user=" + USER, "-d",
                     'rights=["reader"]', token=user)
    assert (found[0][0], found[0][1]["cs2"]) == ("share-refused", OTHER)
    with events(service) as found:
        service.curl("/v2/actions/" + "1" * 32, token=user)
    assert (found[0][0], found[0][1]["cs6"]) == ("status-refused", "1" * 32)
    with events(service) as found:
        service.curl("/v2/auth", "-d", "login=" + OTHER, "-d",
                     "password=wrong")
    event, fields = found[0]
    assert (event, fields["duser"]) == ("login-refused", OTHER)
    # who has not logged in is nobody
    assert "suser" not in fields


def test_token_that_is_refused_says_why(service):
    with events(service) as found:
        service.recall(service.token(key="x" * 40), "<a@b>", [USER])
    assert found[0][1]["msg"] == \
        "TOKEN INVALID: the token has a wrong signature"


@pytest.mark.parametrize("cmd", ["expunge", "search"])
def test_cross_tenant_try_is_no_success(service, mail, cmd):
    admin = service.token(ADMIN, role=1, tenant="one")
    with events(service) as found:
        service.recall(admin, mail, [USER, STRANGER], cmd=cmd)
    assert found[0][1]["outcome"] == "failure"
    with events(service) as found:
        service.recall(admin, mail, [OTHER], cmd=cmd)
    assert found[0][1]["outcome"] == "success"


def test_query_has_one_form(node, service, mail):
    words = ["HEADER", "Message-ID", mail]
    given = json.dumps(words)
    written = json.dumps(words, separators=(",", ":"))
    token = service.token()
    for params, args, event in (
            ({"cmd": "search", "query": given}, (), "search"),
            ({"cmd": "fetch", "query": given, "fields": "uid"}, (), "fetch"),
            ({"query": given, "dry_run": 1}, (), "recall-dry-run"),
            ({"query": given}, (), "recall-refused"),
            ({}, [arg for word in words for arg in
                  ("--data-urlencode", "query=" + word)], "recall-refused")):
        with events(service) as found:
            service.recall(token, None, [USER], *args, **params)
        assert (found[0][0], found[0][1].get("cs5")) == (event, written)
        assert "cs1" not in found[0][1]


def documented_keys():
    """The table in docs/service.md."""
    docs = pathlib.Path(__file__).resolve().parents[2] / "docs/service.md"
    return dict(re.findall(r"^\| `(\w+)` \| (?:`([\w-]+)`)? *\|",
                           docs.read_text(), re.M))


def test_every_key_means_one_thing(node, mail):
    with Service(node, audit__refused_per_second=1) as service:
        token = service.token(jti="one")
        key = "-H", "Idempotency-Key: keys"
        service.recall(token, mail, [USER, STRANGER], dry_run=1)
        done = service.recall(token, mail, [USER, "no@x"], *key,
                              reason="why").json()
        service.recall(token, mail, [USER, "no@x"], *key, reason="why")
        service.recall(token, cmd="restore", id=done["id"])
        service.recall(token, None, None, cmd="search", query="ALL", all=1)
        service.recall(token, mail, [USER], cmd="fetch", fields="uid")
        tokens = service.curl("/v2/auth", "-d", "login=" + USER, "-d",
                              "password=secret").json()
        access = tokens["access_token"]
        tokens = service.curl("/v2/auth", "-d", "refresh_token=" +
                              tokens["refresh_token"], token=access).json()
        access = tokens["access_token"]
        service.curl("/v2/auth", "-X", "DELETE", "-d", "refresh_token=" +
                     tokens["refresh_token"], token=access)
        service.curl("/v2/auth/revocations", "-d", "jti=x", token=token)
        service.curl("/v2/auth/revocations", "-d", "login=" + USER,
                     token=token)
        shares = "/v2/mailboxes/%s/shares" % USER
        service.set(doveadm__url="http://127.0.0.1:1/doveadm/v1",
                    doveadm__retries=0)
        service.reload()
        service.curl(shares, token=token)
        for args in (("-X", "PUT", "-d", "rights=reader"), ("-X", "DELETE")):
            service.curl(shares, *args, "-d", "mailbox=INBOX", "-d",
                         "user=" + OTHER, token=token)
        # so that some are left out
        subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-H",
             "Authorization: Bearer x", "-d", "messageid=<a@b>", "-d",
             "force=1", "-d", "dry_run=x", service.url + EXPUNGE + "?[1-60]"],
            check=True)
        service.stop()
        lines = [parse(line) for line in service.audit()]
    assert {event for event, fields in lines} >= {
        "recall", "recall-dry-run", "recall-repeated", "restore", "search",
        "fetch", "login", "refresh", "logout", "revoke", "shares", "share",
        "unshare", "recall-refused", "left-out"}
    keys = documented_keys()
    for event, fields in lines:
        for key, value in fields.items():
            if key.endswith("Label"):
                assert keys[key[:-5]] == value, event
            else:
                assert key in keys, event
                assert (key + "Label" in fields) == bool(keys[key]), event
        for key in "cn1", "cn2", "cn3", "flexNumber1", "flexNumber2", "cnt":
            assert fields.get(key, "0").isdigit(), event
