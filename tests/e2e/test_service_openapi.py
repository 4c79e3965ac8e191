"""mail-recalld: a client that is made from what /v2/openapi.json says gets on
with it. Each operation is asked for what it is there for, and in all situations
in which it is refused; no answer is other than described, and what is described
is answered."""

import concurrent.futures
import contextlib
import hashlib
import importlib
import io
import json
import os
import pathlib
import re
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile

import jsonschema
import pytest
import yaml

import openapi_client
from faults import Frozen, wait_for
from mailnode import SRCDIR, build_message, free_port
from openapi_client import FORM, JSON, MULTIPART, AnswerError, ArgumentError
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import NO_DELAYS, RecallNode, Service

U = ["u%d@example.com" % i for i in range(4)]
ROOT, SECOND, ADMIN = "root@example.com", "root2@example.com", "adm@example.com"
NO_ACL = "off@example.com"
DOCUMENT = openapi_client.Document(
    (SRCDIR / "docs/openapi.json").read_text())
ID = "0" * 32
# arguments that are good, as the methods take them
WANTED = {
    "expunge": {"messageid": "<a@b>", "emails": U[0]},
    "status": {"id": ID}, "export": {"id": ID},
    "decide": {"id": ID, "decision": "approve"},
    "endStanding": {"id": ID}, "endSession": {"id": ID},
    "stop": {"reason": "a drill"},
    "login": {"login": U[0], "password": "wrong"},
    "logout": {"refresh_token": "x"},
    "revoke": {"jti": "nobody's"},
    "shares": {"owner": U[0]},
    "share": {"owner": U[0], "mailbox": "INBOX", "user": U[1],
              "rights": "reader"},
    "unshare": {"owner": U[0], "mailbox": "INBOX", "user": U[1]},
}
ASKED = [name for name, each in DOCUMENT.operations.items() if each.security]
# (operation, status) that was answered, in all tests
SEEN = set()


@pytest.fixture(scope="module")
def node():
    users = {user: {} for user in U}
    users[ROOT] = users[SECOND] = {"role": "3"}
    users[ADMIN] = {"role": "1"}
    users[NO_ACL] = {"mail_plugins": "quota"}
    with RecallNode(users=users, plugin={"recall_quarantine": PREFIX},
                    extra=NO_DELAYS + NAMESPACE % (PREFIX, LOCATIONS["sdbox"]),
                    acl=True) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, approval__force="yes") as service:
        yield service


@pytest.fixture(scope="module")
def made(service, tmp_path_factory):
    """The client, as a module, from what the service says of itself."""
    directory = tmp_path_factory.mktemp("client")
    document = service.curl("/v2/openapi.json").body.decode()
    (directory / "recall_client.py").write_text(
        openapi_client.generate(document))
    sys.path.insert(0, str(directory))
    try:
        yield importlib.import_module("recall_client")
    finally:
        sys.path.remove(str(directory))
        del sys.modules["recall_client"]


@pytest.fixture(scope="module")
def make(made):
    """Clients: make(service, token). What they see counts for all tests."""
    def make(service, token=None, media=JSON):
        client = made.Client(service.url, token)
        client.media = media
        client.closed = True
        client.seen = SEEN
        return client
    return make


number = 0


def deliver(node, users=U[:2]):
    global number
    number += 1
    messageid = "<%d.openapi@example.com>" % number
    node.lmtp_deliver(users, build_message(messageid))
    return messageid


def wait_state(client, recall_id, state):
    wait_for(lambda: client.status(id=recall_id).value["state"] == state)
    return client.status(id=recall_id).value


def finish(client, recall_id):
    """Waits for the end of a recall."""
    return wait_state(client, recall_id, "finished")


def words(media, *words):
    return list(words) if media == JSON else json.dumps(words)


def flag(media, value):
    return value if media == JSON else "1" if value else "0"


def count(media, value):
    return value if media == JSON else str(value)


# what it is there for


@pytest.fixture(params=[JSON, FORM, MULTIPART],
                ids=["json", "form", "multipart"])
def media(request):
    return request.param


@pytest.fixture
def client(make, service, media):
    """Of somebody who has signed in."""
    client = make(service, media=media)
    tokens = client.login(login=ROOT, password="secret").value
    assert tokens["role"] == 3
    client.token = tokens["access_token"]
    client.refresh = tokens["refresh_token"]
    return client


def test_recall(node, client, media):
    messageid = deliver(node)
    emails = words(media, *U[:2])
    found = client.expunge(cmd="search", messageid=messageid, emails=emails)
    assert [one["email"] for one in found.value["results"]] == U[:2]
    found = client.expunge(cmd="search", all=flag(media, True),
                           query=words(media, "HEADER", "Message-ID",
                                       messageid),
                           limit=count(media, 1))
    assert found.value["more"]
    shown = client.expunge(cmd="fetch", messageid=messageid, emails=U[0],
                           fields=words(media, "hdr.subject", "body"))
    assert shown.value["results"][0]["hdr.subject"] == "Test"
    dry = client.expunge(messageid=messageid, emails=emails,
                         dry_run=flag(media, True))
    assert dry.value["summary"] == {"would_expunge": 2}
    done = client.expunge(cmd="expunge", messageid=messageid, emails=emails,
                          reason="phishing", notify=flag(media, False),
                          idempotency_key="openapi-" + messageid).value
    assert done["summary"] == {"expunged": 2}
    recall = client.status(id=done["id"]).value
    assert recall["progress"] == {"done": 2, "total": 2}
    one, = client.list(messageid=messageid, dry_run="0", limit=10).value[
        "actions"]
    assert one["id"] == done["id"]
    evidence = client.export(id=done["id"])
    with zipfile.ZipFile(io.BytesIO(evidence.value)) as archive:
        assert "manifest.json" in archive.namelist()
    back = client.expunge(cmd="restore", id=done["id"]).value
    assert back["summary"] == {"restored": 2}
    assert client.status(id=back["id"]).value["recall"] == done["id"]


def test_recall_in_the_background(node, client, media):
    messageid = deliver(node)
    accepted = client.expunge(messageid=messageid, emails=words(media, *U[:2]),
                              prefer="respond-async")
    assert accepted.headers["preference-applied"] == "respond-async"
    recall = finish(client, accepted.value["id"])
    assert recall["summary"] == {"expunged": 2}


def test_recall_from_everyone(node, client, media):
    messageid = deliver(node)
    accepted = client.expunge(messageid=messageid, all=flag(media, True))
    recall = finish(client, accepted.value["id"])
    assert recall["all"] and recall["summary"] == {"expunged": 2}
    assert [one["state"] for one in recall["nodes"]] == ["done"]
    listed = client.list(messageid=messageid).value["actions"]
    assert listed[0]["all"]


def test_recall_by_query(node, client, media):
    messageid = deliver(node)
    args = {"query": words(media, "HEADER", "Message-ID", messageid),
            "emails": words(media, *U[:2])}
    answer = client.expunge(yes_count=count(media, 1), **args)
    assert (answer.status, answer.value["count"]) == (409, 2)
    done = client.expunge(yes_count=count(media, 2), **args).value
    assert done["summary"] == {"expunged": 2} and done["query"]
    stands = client.expunge(yes_count=count(media, 0), stand="1h",
                            **args).value
    assert stands["summary"] == {"not_found": 2}
    client.endStanding(id=stands["id"])
    assert client.list(query=messageid).value["actions"][0]["query"]


def test_approval(node, client, make, service, media):
    second = make(service, service.token(SECOND), media)
    for decision, status in ("approve", 202), ("reject", 200):
        messageid = deliver(node)
        waits = client.expunge(messageid=messageid,
                               emails=words(media, *U[:2]),
                               force=flag(media, True)).value
        assert waits["state"] == "pending_approval"
        client.status(id=waits["id"])
        one, = client.approvals().value["approvals"]
        assert len(one["samples"]) == 2
        assert client.decide(id=waits["id"],
                             decision="approve").status == 403
        answer = second.decide(id=waits["id"], decision=decision,
                               reason="looked at it")
        assert answer.status == status
        assert second.decide(id=waits["id"], decision=decision).status == 409
        if decision == "approve":
            assert finish(client, waits["id"])["approver"] == SECOND
        else:
            assert client.status(id=waits["id"]).value["state"] == "rejected"
            assert client.expunge(cmd="restore", id=waits["id"]).status == 409
        client.list(actor=ROOT)


def test_standing(node, client, media):
    messageid = deliver(node)
    done = client.expunge(messageid=messageid, emails=words(media, *U[:2]),
                          stand="1h").value
    one, = client.listStanding().value["standing"]
    assert one["id"] == done["id"] and one["nodes"][0]["stands"]
    shown = client.status(id=done["id"]).value
    assert shown["late"] == 0 and len(shown["standing"]["nodes"]) == 1
    ended = client.endStanding(id=done["id"]).value
    assert ended["nodes"][0]["ended"]
    assert client.endStanding(id=done["id"]).status == 404


def test_stop(node, client, media):
    stopped = client.stop(reason="a drill").value
    assert stopped["stopped"] and stopped["nodes"][0]["stopped"]
    try:
        assert client.stopState().value["reason"] == "a drill"
        messageid = deliver(node)
        paused = client.expunge(messageid=messageid, emails=U[0],
                                prefer="respond-async").value
        wait_state(client, paused["id"], "paused")
    finally:
        assert client.release().value["stopped"] is False
    finish(client, paused["id"])
    assert client.stop(release=True).value["stopped"] is False


def test_shares(client, media):
    shared = client.share(owner=U[2], mailbox="INBOX", user=U[3],
                          rights=["lookup", "read"]).value
    assert shared["status"] == "shared"
    one, = client.shares(owner=U[2]).value["shares"]
    assert sorted(one["rights"]) == ["lookup", "read"]
    assert client.shares(owner=U[3]).value["shares"][0]["direction"] == "in"
    ended = client.unshare(owner=U[2], mailbox="INBOX", user=U[3]).value
    assert ended["status"] == "unshared"
    answer = client.unshare(owner=U[2], mailbox="INBOX", user=U[3])
    assert (answer.status, answer.value["status"]) == (404, "not_shared")
    assert client.share(owner="no@example.com", mailbox="INBOX", user=U[3],
                        rights="reader").status == 404
    assert client.shares(owner="no@example.com").status == 404


def test_sessions(client):
    sessions = client.sessions().value["sessions"]
    current, = [one for one in sessions if one["current"]]
    fresh = client.login(refresh_token=client.refresh).value
    client.token = fresh["access_token"]
    assert client.logout(refresh_token=fresh["refresh_token"]).value == \
        {"success": True}
    assert client.sessions().status == 401
    client.token = client.login(login=ROOT, password="secret").value[
        "access_token"]
    current, = [one for one in client.sessions().value["sessions"]
                if one["current"]]
    assert client.endSession(id=current["id"]).status == 200
    assert client.status(id=ID).status == 401


def test_revoke(client):
    assert client.revoke(login=U[3], before=1, reason="left").status == 200
    assert client.revoke(jti="somebody's").value["success"]
    assert client.revoke(all=True, before=1).value["before"] == 1


def test_health(make, service):
    client = make(service)
    for name in "health", "ready", "live", "metrics", "openapi":
        assert getattr(client, name)().status == 200


def test_arguments_are_checked(client):
    """Before anything is sent."""
    client.url = client.url._replace(netloc="127.0.0.1:9")
    for name, args in [
            ("status", {"id": "x"}), ("list", {"limit": 0}),
            ("list", {"force": "maybe"}), ("expunge", {"cmd": "purge"}),
            ("expunge", {"cmd": "restore"}),
            ("expunge", {"messageid": "<a@b>", "fields": "hdr"}),
            ("decide", {"id": ID, "decision": "perhaps"})]:
        with pytest.raises(ArgumentError):
            getattr(client, name)(**args)
    with pytest.raises(TypeError):
        client.status()


def test_answers_are_checked(client):
    """That this test sees it if something is not as described."""
    operation = client.document.operations["sessions"]
    answer = client.sessions()
    for change in (
            {"status": 418}, {"headers": {"content-type": "text/html"}},
            {"value": {"success": True}},
            {"value": {"success": True, "sessions": [], "more": 1}},
            {"value": {"success": 1, "sessions": []}},
            {"status": 401, "value": {"message": "WHO?"}}):
        with pytest.raises(AnswerError):
            client._check_answer(operation, openapi_client.Answer(
                **{**vars(answer), **change}))


# what is refused


def ask_all(client, names=ASKED, **kwargs):
    """Asks for all of these; returns name -> status."""
    found = {}
    for name in names:
        operation = DOCUMENT.operations[name]
        wanted = {each["name"] for each in operation.parameters}
        args = WANTED.get(name, {})
        found[name] = client.call(
            name, {k: v for k, v in args.items() if k in wanted},
            {k: v for k, v in args.items() if k not in wanted},
            **kwargs).status
    return found


def described(status, names=ASKED):
    return {name for name in names
            if status in DOCUMENT.operations[name].responses}


def with_status(found, status):
    return {name for name, each in found.items() if each == status}


def with_body():
    return {name for name in ASKED if DOCUMENT.operations[name].bodies}


def test_nobody(make, service):
    client = make(service)
    assert with_status(ask_all(client), 401) == described(401)
    client.token = "x"
    assert with_status(ask_all(client), 401) == described(401)


def test_user(make, service):
    """Role 2 asks for what is another's."""
    client = make(service, service.token("else@example.com", 2))
    found = ask_all(client)
    assert with_status(found, 403) == described(403)


def test_unknown_parameters(make, service):
    client = make(service, service.token())
    found = ask_all(client, extra={"x": "1"})
    assert with_status(found, 400) == described(400) == set(ASKED)


def test_unknown_ids(make, service):
    client = make(service, service.token())
    names = {name for name in ASKED if WANTED.get(name, {}).get("id") == ID}
    assert with_status(ask_all(client, names), 404) == names
    assert client.expunge(cmd="restore", id=ID, emails=U[0]).status == 200
    assert client.expunge(cmd="restore", id=ID).status == 400


def test_bodies(make, node):
    with Service(node, http__max_body=65536) as service:
        client = make(service, service.token())
        names = with_body()
        raw = FORM, b"x=" + b"y" * 66000
        assert with_status(ask_all(client, names, raw=raw), 413) == \
            described(413)
        raw = "text/plain", b"x=y"
        assert with_status(ask_all(client, names, raw=raw), 415) == \
            described(415)


def test_too_many_bodies(make, node):
    """While most of what the caller may have under way is so."""
    with Service(node, http__max_body=65536,
                 http__max_bodies_per_caller=65536) as service:
        client = make(service, service.token(ROOT))
        with socket.create_connection(("127.0.0.1", service.port)) as half:
            half.sendall(b"POST /v2/actions/expunge HTTP/1.1\r\n"
                         b"Host: x\r\nContent-Length: 65000\r\n"
                         b"Authorization: Bearer %s\r\n\r\n%s" %
                         (client.token.encode(), b"x" * 60000))
            pattern = rb"\nmail_recalld_body_bytes 60000\n"
            wait_for(lambda: re.search(pattern, client.metrics().value),
                     "half a body")
            raw = FORM, b"x=" + b"y" * 40000
            assert with_status(ask_all(client, with_body(), raw=raw), 429) \
                == described(429)


@pytest.fixture
def prepared(node, make, tmp_path):
    """The directory of a service whose journal has a recall that is done, one
    that waits for approval, and one that stands; their ids."""
    tmp_path.chmod(0o755)
    with Service(node, tmp_path, approval__force="yes") as service:
        client = make(service, service.token(ROOT))
        messageid = deliver(node)
        args = {"messageid": messageid, "emails": U[:2]}
        ids = {"done": client.expunge(**args).value["id"],
               "waits": client.expunge(force=True, **args).value["id"],
               "stands": client.expunge(stand="1h", **args).value["id"]}
    yield tmp_path, ids
    with Service(node) as service:
        make(service, service.token()).endStanding(id=ids["stands"])


def ask_of(client, ids, status):
    """What needs the mail system does not get by without it."""
    asked = {
        "export": lambda: client.export(id=ids["done"]),
        "decide": lambda: client.decide(id=ids["waits"], decision="approve"),
        "endStanding": lambda: client.endStanding(id=ids["stands"]),
        "expunge": lambda: client.expunge(messageid="<a@b>", emails=U[0]),
        "shares": lambda: client.shares(owner=U[0]),
        "share": lambda: client.share(**WANTED["share"]),
        "unshare": lambda: client.unshare(**WANTED["unshare"]),
        "login": lambda: client.login(login=U[0], password="secret"),
    }
    # at once: each may wait for the time-out
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        waiting = {name: pool.submit(ask) for name, ask in asked.items()}
        found = {name: each.result() for name, each in waiting.items()}
    assert with_status({name: each.status for name, each in found.items()},
                       status) == described(status)
    # these say what they know
    for name in "stopState", "listStanding", "approvals":
        assert getattr(client, name)().status == 200
    assert client.expunge(cmd="search", messageid="<a@b>",
                          emails=U[0]).status in (200, status)
    assert client.expunge(cmd="restore", id=ids["done"]).status == status
    assert client.stop(reason="a drill").value["success"] is False
    assert client.release().value["success"] is False
    # there is no service without it
    assert client.health().status == client.ready().status == 503
    assert client.live().status == 200


def test_mail_system_does_not_answer(make, node, prepared):
    directory, ids = prepared
    with Service(node, directory, approval__force="yes", doveadm__retries=0,
                 doveadm__url="http://127.0.0.1:%d/doveadm/v1" %
                 free_port()) as service:
        ask_of(make(service, service.token(SECOND)), ids, 502)


def test_mail_system_does_not_answer_in_time(make, node, prepared):
    directory, ids = prepared
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent, \
            Service(node, directory, approval__force="yes",
                    doveadm__retries=0, doveadm__timeout=1,
                    doveadm__connect_timeout=1,
                    doveadm__url="http://127.0.0.1:%d/doveadm/v1" %
                    silent.getsockname()[1]) as service:
        ask_of(make(service, service.token(SECOND)), ids, 504)


def test_no_trail(make, node, tmp_path):
    with Service(node, audit__cef_file=tmp_path / "no" / "trail") as service:
        client = make(service, service.token())
        found = ask_all(client)
        assert client.health().value["audit"] is False
        assert "expunge" in with_status(found, 503)
    # one may stop recalls all the same, but not release them
    assert found["stop"] == 200 and found["release"] == 503
    node.doveadm("recall", "stop", "--release")


def test_the_same_key(make, service):
    """Of an Idempotency-Key for another request."""
    client = make(service, service.token())
    for messageid, status in ("<a@b>", 200), ("<c@d>", 422):
        assert client.expunge(messageid=messageid, emails=U[0],
                              idempotency_key="one").status == status


def test_not_possible(make, service):
    """409, and what an administrator does not find."""
    client = make(service, service.token())
    waits = client.expunge(messageid="<a@b>", emails=U[0], force=True).value
    assert client.export(id=waits["id"]).status == 409
    for name in "share", "unshare":
        args = {**WANTED[name], "user": U[0]}
        assert getattr(client, name)(**args).status in (404, 409)
    client = make(service, service.token(ADMIN, 1))
    assert client.expunge(cmd="restore", id=ID).status == 404


def test_no_acls(make, service):
    """For a user without the plugin."""
    client = make(service, service.token())
    args = {**WANTED["share"], "owner": NO_ACL}
    assert client.share(**args).status == 409
    del args["rights"]
    assert client.unshare(**args).status == 409
    assert client.shares(owner=NO_ACL).status == 409


def test_too_many_revocations(make, node):
    with Service(node) as service:
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db, db:
            db.executemany("INSERT INTO revocations (kind, subject, tenant, "
                           "before, made) VALUES ('jti', ?, 'default', 0, ?)",
                           [(str(i), int(time.time())) for i in range(10000)])
        client = make(service, service.token(ADMIN, 1))
        assert client.revoke(jti="one more").status == 409


def test_logins_that_are_refused(make, node, tmp_path):
    with Service(node, bruteforce__max_attempts=1) as service:
        client = make(service)
        assert client.login(login=U[0], password="wrong").status == 401
        assert client.login(login=U[0], password="wrong").status == 429
    public = tmp_path / "public"
    private = subprocess.run(["openssl", "genrsa", "2048"], check=True,
                             capture_output=True).stdout
    subprocess.run(["openssl", "pkey", "-pubout", "-out", public], check=True,
                   input=private)
    with Service(node, auth__jwt_key=None,
                 auth__jwt_public_key_file=public,
                 auth__jwt_algorithm="RS256") as service:
        assert make(service).login(login=U[0],
                                   password="secret").status == 501


def test_busy(make, node):
    """Whatever is asked while there is no worker."""
    with Service(node, http__workers=1, http__queue=1) as service:
        client = make(service, service.token())
        with Frozen(node):
            curls = occupy(service)
            found = ask_all(client, DOCUMENT.operations)
        for each in curls:
            each.communicate()
        inlined = {"openapi", "metrics", "live"}
        assert with_status(found, 503) == set(DOCUMENT.operations) - inlined


def occupy(service):
    """Requests that hold the worker and fill the queue."""
    token = service.token()
    args = ["curl", "-sS", "-o", "/dev/null", "-H",
            "Authorization: Bearer " + token, "-d", "messageid=<a@b>",
            "-d", "emails=" + U[0], service.url + "/v2/actions/expunge"]
    curls = []
    seen = []

    def full():
        # one that came before the other was taken up is refused, and ends
        curls[:] = [each for each in curls if each.poll() is None]
        while len(curls) < 2:
            curls.append(subprocess.Popen(args))
        page = service.curl("/metrics").body.decode()
        seen.append("\nmail_recalld_queued 1\n" in page and
                    "\nmail_recalld_connections 3\n" in page)
        return seen[-5:] == [True] * 5

    wait_for(full, "there is a worker left")
    return curls


PERL = r"""
use Mojo::JSON qw(true);
use OpenAPI::Client;
my ($document, $url, $login, @operations) = @ARGV;
my $client = OpenAPI::Client->new("file://$document");
$client->base_url(Mojo::URL->new($url));
my @errors = @{$client->validator->errors};
die "@errors\n" if @errors;
$client->can($_) or die "no $_\n" for @operations;
my $tx = $client->login({}, json => {login => $login, password => "secret"});
my $token = "Bearer " . $tx->res->json->{access_token};
$client->ua->on(start => sub { $_[1]->req->headers->authorization($token) });
print $client->expunge({}, json => {cmd => "search", all => true,
    messageid => "<a\@b>"})->res->code, "\n";
print $client->status({id => "0" x 32})->res->code, "\n";
print $client->status({id => "x"})->res->json->{errors}[0]{path}, "\n";
"""


# OpenAPI's own, of the package openapi-specification, and how Perl calls it
SCHEMA = pathlib.Path("/usr/share/openapi-specification/schemas/v3.0/"
                      "schema.yaml")
SCHEMA_URL = "https://spec.openapis.org/oas/3.0/schema/2019-04-02"


@pytest.fixture
def schema():
    return yaml.safe_load(SCHEMA.read_text())


def test_is_openapi(schema):
    jsonschema.Draft4Validator(schema).validate(DOCUMENT.content)


def test_another_generator(service, schema, tmp_path):
    """One that is not ours."""
    # what it would ask the network for, which it does not reach
    for url, text in ((SCHEMA_URL, schema),
                      ("http://json-schema.org/draft-04/schema",
                       jsonschema.Draft4Validator.META_SCHEMA)):
        name = hashlib.md5(url.encode()).hexdigest()
        (tmp_path / name).write_text(json.dumps(text))
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"),
                            "http://127.0.0.1:9")
    document = tmp_path / "openapi.json"
    document.write_bytes(service.curl("/v2/openapi.json").body)
    done = subprocess.run(["perl", "-e", PERL, document, service.url, ROOT,
                           *DOCUMENT.operations], text=True,
                          env={**os.environ, **nowhere,
                               "JSON_VALIDATOR_CACHE_PATH": str(tmp_path),
                               "no_proxy": "127.0.0.1"},
                          capture_output=True)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.split() == ["200", "404", "/id"]


def test_all_described_is_answered():
    """By the tests above."""
    missing = {(name, status) for name, each in DOCUMENT.operations.items()
               for status in each.responses} - SEEN
    assert sorted(missing) == []
