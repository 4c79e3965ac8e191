"""mail-recalld: who may ask for what. Every route, asked with no token and by
each role; what the route table says is let in gets as far as a mail system that
is not there."""

import json

import pytest

from answers import OPENAPI
from servicenode import Service

ME, OTHER = "me@example.com", "other@example.com"
EXPUNGE = "/v2/actions/expunge"
SHARES = "/v2/mailboxes/%s/shares"
ANYONE = {None, 1, 2, 3}
WITH_TOKEN, ADMINS, SUPER = {1, 2, 3}, {1, 3}, {3}
SCRIPT = ("-H", "X-Recall-Console: 1")

# method, path, parameters, who may; whether it needs the audit trail
TABLE = [
    ("POST", EXPUNGE, {"messageid": "<a@b>", "emails": OTHER},
     WITH_TOKEN, True),
    ("POST", EXPUNGE, {"messageid": "<a@b>", "emails": OTHER, "force": 1},
     ADMINS, True),
    ("POST", EXPUNGE, {"messageid": "<a@b>", "emails": OTHER, "force": 0},
     WITH_TOKEN, True),
    ("POST", EXPUNGE, {"messageid": "<a@b>", "emails": ME,
                       "verify_headers": 1}, ADMINS, True),
    ("POST", EXPUNGE, {"query": '["FROM","x"]', "emails": ME, "dry_run": 1},
     ADMINS, True),
    ("POST", EXPUNGE, {"query": "", "messageid": "<a@b>", "emails": ME},
     WITH_TOKEN, True),
    ("POST", EXPUNGE, {"cmd": "restore", "id": "0" * 32, "emails": ME},
     WITH_TOKEN, True),
] + [row for cmd, more in (("search", {}), ("fetch", {"fields": "hdr"}))
     for row in (
    ("POST", EXPUNGE, {"cmd": cmd, "messageid": "<a@b>", "emails": ME, **more},
     WITH_TOKEN, True),
    ("POST", EXPUNGE, {"cmd": cmd, "messageid": "<a@b>",
                       "emails": json.dumps([ME.upper(), ME]), **more},
     WITH_TOKEN, True),
    ("POST", EXPUNGE, {"cmd": cmd, "messageid": "<a@b>",
                       "emails": json.dumps([ME, OTHER]), **more},
     ADMINS, True),
    ("POST", EXPUNGE, {"cmd": cmd, "messageid": "<a@b>", "all": 1, **more},
     # an administrator sees who of the own tenant has it, but no bodies
     ADMINS if cmd == "search" else SUPER, True))] + [
    ("GET", "/v2/actions", {}, WITH_TOKEN, False),
    ("GET", "/v2/actions/" + "0" * 32, {}, WITH_TOKEN, False),
    ("GET", "/v2/approvals", {}, ADMINS, True),
    ("POST", "/v2/approvals/" + "0" * 32, {"decision": "approve"}, ADMINS,
     True),
    ("GET", "/v2/standing", {}, ADMINS, False),
    ("DELETE", "/v2/standing/" + "0" * 32, {}, WITH_TOKEN, True),
    ("GET", "/v2/stop", {}, ADMINS, False),
    ("POST", "/v2/stop", {"reason": "a drill"}, SUPER, False),
    ("DELETE", "/v2/stop", {}, SUPER, True),
    ("GET", "/v2/auth/sessions", {}, WITH_TOKEN, False),
    ("DELETE", "/v2/auth/sessions/" + "0" * 32, {}, WITH_TOKEN, False),
    ("GET", "/v2/actions/%s/export" % ("0" * 32), {}, SUPER, True),
    ("GET", SHARES % ME, {}, WITH_TOKEN, True),
    ("GET", SHARES % OTHER, {}, ADMINS, True),
    ("PUT", SHARES % ME, {"mailbox": "INBOX", "user": OTHER, "rights": "read"},
     WITH_TOKEN, True),
    ("PUT", SHARES % OTHER, {"mailbox": "INBOX", "user": ME, "rights": "read"},
     ADMINS, True),
    ("DELETE", SHARES % ME, {"mailbox": "INBOX", "user": OTHER},
     WITH_TOKEN, True),
    ("DELETE", SHARES % OTHER, {"mailbox": "INBOX", "user": ME},
     ADMINS, True),
    ("POST", "/v2/auth", {"login": ME, "password": "x"}, ANYONE, False),
    ("POST", "/v2/auth", {"refresh_token": "x"}, WITH_TOKEN, False),
    ("DELETE", "/v2/auth", {"refresh_token": "x"}, WITH_TOKEN, False),
    ("POST", "/v2/auth/revocations", {"login": ME, "before": 1},
     WITH_TOKEN, False),
    ("POST", "/v2/auth/revocations", {"login": OTHER, "before": 1},
     ADMINS, False),
    ("POST", "/v2/auth/revocations", {"jti": "of-nobody"}, ADMINS, False),
    ("POST", "/v2/auth/revocations", {"all": 1, "before": 1}, ADMINS, False),
    ("POST", "/console/session", {"login": ME, "password": "x"}, set(), False),
    ("DELETE", "/console/session", {}, set(), False),
    ("GET", "/console", {}, ANYONE, False),
    ("GET", "/console/", {}, ANYONE, False),
] + [("GET", path, {}, ANYONE, False)
     for path in ("/v2/openapi.json", "/metrics", "/health", "/health/ready",
                  "/health/live")]


@pytest.fixture(scope="module")
def settings():
    return {"doveadm__url": "http://127.0.0.1:9/doveadm/v1",
            "doveadm__retries": 0, "auth__imap_url": "imap://127.0.0.1:9",
            "auth__revoke_email": "yes", "bruteforce__enabled": "no"}


@pytest.fixture(scope="module")
def service(settings):
    with Service(**settings) as service:
        yield service


@pytest.fixture(scope="module")
def without_trail(settings, tmp_path_factory):
    """Where no line can be written."""
    with Service(audit__cef_file=tmp_path_factory.mktemp("trail") / "no" /
                 "trail", **settings) as service:
        yield service


def ask(service, role, method, path, params, *args):
    data = [arg for name, value in params.items()
            for arg in ("--data-urlencode", "%s=%s" % (name, value))]
    token = None if role is None else service.token(ME, role, "one")
    return service.curl(path, "-X", method, *data, *args, token=token)


def refused(answer):
    """Whether it is because of who asks."""
    if answer.status == 403:
        return True
    return answer.status == 401 and \
        answer.json()["message"] == "TOKEN REQUIRED"


def name(row):
    return " ".join([row[0], row[1].replace("0" * 32, "ID")] +
                    ["%s=%s" % item for item in row[2].items()])


@pytest.mark.parametrize("method, path, params, granted, trail", TABLE,
                         ids=map(name, TABLE))
def test_who_may(service, without_trail, method, path, params, granted,
                 trail):
    for role in None, 1, 2, 3:
        answer = ask(service, role, method, path, params)
        assert refused(answer) == (role not in granted), (role, answer)
        assert answer.status != 405 and b"no such resource" not in \
            answer.body, answer
        answer = ask(without_trail, role, method, path, params)
        assert refused(answer) == (role not in granted), (role, answer)
        assert (answer.status == 503 and b"audit trail cannot" in
                answer.body) == (trail and role in granted), (role, answer)


def test_console_is_its_own_scripts(service):
    for role in None, 1, 2, 3:
        for method, params, status in (
                ("POST", {"login": ME, "password": "x"}, 502),
                ("POST", {}, 200), ("DELETE", {}, 200)):
            answer = ask(service, role, method, "/console/session", params,
                         *SCRIPT)
            assert answer.status == status, (role, method, answer)


def test_table_is_whole():
    """All that the description has, and with each command."""
    described = set()
    for path, operations in OPENAPI["paths"].items():
        path = path.replace("{owner}", ME).replace("{id}", "0" * 32)
        for method in operations.keys() - {"parameters"}:
            described.add((method.upper(), path))
    assert described == {(row[0], row[1].replace(OTHER, ME)) for row in TABLE
                         if not row[1].startswith("/console")}
    schemas = OPENAPI["components"]["schemas"]
    commands = {
        schemas[each["$ref"].rpartition("/")[2]]["properties"]["cmd"]["enum"][0]
        for each in schemas["ExpungeForm"]["oneOf"]}
    assert commands == {row[2].get("cmd", "expunge") for row in TABLE
                        if row[1] == EXPUNGE}
