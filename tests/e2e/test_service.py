"""mail-recalld: requests, answers and error bodies."""

import json

import pytest

from answers import (OPENAPI, check_described, has,
                     resolve, statuses)
from mailnode import build_message
from servicenode import RecallNode

USERS = ["user%d@example.com" % i for i in range(4)]
@pytest.fixture(scope="module")
def node():
    with RecallNode(users=USERS) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def mail(node, message_id):
    """The Message-ID of a message that all users have."""
    node.lmtp_deliver(USERS, build_message(message_id))
    return message_id


def test_documented_call(node, service, token, mail):
    answer = service.curl(
        "/v2/actions/expunge", "-d", "cmd=expunge", "-d", "force=0",
        "-d", "messageid=" + mail, "-d", "notify=0",
        "-d", 'emails=["%s","%s"]' % (USERS[0], USERS[1]), token=token)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["success"] is True
    assert body["messageid"] == mail
    assert body["summary"] == {"expunged": 2}
    assert body["results"] == [
        {"email": user, "status": "expunged", "copies": 1, "notice": "none",
         "mailboxes": "INBOX", "searched": "index"} for user in USERS[:2]]
    assert len(body["id"]) == 32
    assert not has(node, USERS[0], mail) and not has(node, USERS[1], mail)
    assert has(node, USERS[2], mail)


def test_everyone_gets_a_verdict_once_and_in_order(node, service, token, mail):
    node.set_flags(USERS[1], "INBOX", ["\\Seen"])
    asked = [USERS[1], "nobody@example.com", USERS[0].upper(), USERS[0],
             USERS[1]]
    answer = service.recall(token, mail, asked)
    assert statuses(answer) == {
        USERS[1]: "read", "nobody@example.com": "no_user",
        USERS[0].upper(): "expunged", USERS[0]: "expunged"}
    # to other case Dovecot may have another account
    assert [result["email"] for result in answer.json()["results"]] == [
        USERS[1], "nobody@example.com", USERS[0].upper(), USERS[0]]
    assert answer.json()["summary"] == {"read": 1, "no_user": 1, "expunged": 2}
    assert has(node, USERS[1], mail) and not has(node, USERS[0], mail)


def test_force_and_notify(node, service, token, mail):
    before = node.count(USERS[0])
    node.set_flags(USERS[0], "INBOX", ["\\Seen"])
    answer = service.recall(token, mail, [USERS[0]], force=1)
    assert statuses(answer) == {USERS[0]: "expunged"}
    # one gone, one notice come
    assert answer.json()["results"][0]["notice"] == "sent"
    assert node.count(USERS[0]) == before


def test_dry_run_deletes_nothing(node, service, token, mail):
    answer = service.recall(token, mail, [USERS[0]], dry_run=1)
    assert statuses(answer) == {USERS[0]: "would_expunge"}
    assert has(node, USERS[0], mail)


def test_ways_to_name_addresses(service, token, mail):
    single = service.recall(token, mail, USERS[0])
    assert statuses(single) == {USERS[0]: "expunged"}
    repeated = service.curl(
        "/v2/actions/expunge", "--data-urlencode", "messageid=" + mail,
        "-d", "emails=" + USERS[1], "-d", "emails=[\"%s\"]" % USERS[2],
        token=token)
    assert statuses(repeated) == {USERS[1]: "expunged", USERS[2]: "expunged"}
    multipart = service.curl(
        "/v2/actions/expunge", "-F", "messageid=\"%s\"" % mail,
        "-F", "emails=" + json.dumps(USERS).replace(";", ""), token=token)
    assert multipart.status == 200
    assert statuses(multipart)[USERS[3]] == "expunged"


def test_json_body(service, token, mail):
    body = {"messageid": mail, "emails": USERS[:2], "force": 0,
            "notify": False}
    answer = service.curl("/v2/actions/expunge", "-H",
                          "Content-Type: application/json", "-d",
                          json.dumps(body), token=token)
    assert statuses(answer) == {user: "expunged" for user in USERS[:2]}
    assert answer.json()["results"][0]["notice"] == "none"


def test_missing_parameters(service, token):
    answer = service.recall(token, None, [USERS[0]])
    assert answer.status == 400
    assert answer.body == (b'{"message": {"MESSAGEID": '
                           b'"MESSAGEID is a required value"}}')
    for empty in None, "", "[]":
        answer = service.recall(token, "<a@b>", empty)
        assert answer.status == 400
        assert answer.body == (b'{"message": {"EMAILS": '
                               b'"EMAILS is a required value"}}')
    answer = service.recall(token)
    assert answer.status == 400
    assert set(answer.json()["message"]) == {"MESSAGEID", "EMAILS"}


@pytest.mark.parametrize("messageid, why", [
    ("<>", "is empty"),
    ("unseen", "has neither an @ nor angle brackets"),
    ("<a\tb@c>", "has a control character"),
    ("<a@b>\r\nBcc: x", "has a control character"),
    ("<" + "a" * 999 + ">", "is longer than 998 octets"),
])
def test_bad_messageid(service, token, messageid, why):
    answer = service.recall(token, messageid, [USERS[0]])
    assert answer.status == 400
    assert answer.json() == {"message": {"MESSAGEID": "MESSAGEID " + why}}


@pytest.mark.parametrize("form, asked", [
    ("<{}> (added by\n\tpostmaster@c)", "<{}> (added by postmaster@c)"),
    ("<{}> (added by\n\tpostmaster@c)", "<{}>"),
    ("<\"a b+c\".{}>", "<\"a b+c\".{}>"), ("< {} >", "< {} >"),
    ("< {} >", "<{}>"), ("<{}>;", "<{}>;"),
    ("<x@y> <{}>", "<x@y> <{}>"), ("<x@y> <{}>", "<{}>"),
])
def test_odd_messageid(node, service, token, message_id, form, asked):
    """To the letter as the header has it."""
    bare = message_id.strip("<>")
    node.lmtp_deliver(USERS[:1], build_message(form.format(bare)))
    before = node.count(USERS[0])
    answer = service.recall(token, asked.format(bare), [USERS[0]], notify=0)
    assert statuses(answer) == {USERS[0]: "expunged"}
    assert answer.json()["messageid"] == asked.format(bare)
    assert node.count(USERS[0]) == before - 1


@pytest.mark.parametrize("address", [
    "*", "*@example.com", "user?@example.com", "a b@example.com",
    "user0@example.com\r\nx", "a" * 250 + "@example.com", "\x00",
])
def test_bad_address_reaches_no_doveadm(node, service, token, mail, address):
    since = node.log_size()
    answer = service.recall(token, mail, [USERS[0], address])
    assert answer.status == 400
    assert "EMAILS" in answer.json()["message"] or \
        "UTF-8" in answer.json()["message"]
    node.settle_log()
    assert node.executed(since) == []
    assert has(node, USERS[0], mail)


@pytest.mark.parametrize("emails", ['["a@b"', "[1]", '[["a@b"]]', '[null]',
                                    '["a@b", {}]', '[""]'])
def test_bad_list(service, token, emails):
    answer = service.recall(token, "<a@b>", emails)
    assert answer.status == 400
    assert list(answer.json()["message"]) == ["EMAILS"]


@pytest.mark.parametrize("name", ["force", "notify", "dry_run"])
@pytest.mark.parametrize("value", ["2", "truth", "yes", "", "01", "-1"])
def test_flags_are_strict(service, token, name, value):
    answer = service.recall(token, "<a@b>", [USERS[0]], **{name: value})
    assert answer.status == 400
    assert answer.json() == {"message": {
        name.upper(): name.upper() + " is neither 0 nor 1, false nor true"}}


def test_a_parameter_given_twice_is_refused(service, token):
    answer = service.curl("/v2/actions/expunge", "-d", "messageid=<a@b>",
                          "-d", "messageid=<c@d>", "-d",
                          "emails=" + USERS[0], token=token)
    assert answer.status == 400
    assert answer.json() == {"message": {
        "MESSAGEID": "MESSAGEID is given more than once"}}


def test_unknown_command(service, token):
    answer = service.recall(token, "<a@b>", [USERS[0]], cmd="format")
    assert answer.status == 400
    assert answer.json() == {"message": {"CMD": "CMD is not a known command"}}


@pytest.mark.parametrize("reason", ["x" * 1025, "a\nb"])
def test_bad_reason(service, token, reason):
    answer = service.recall(token, "<a@b>", [USERS[0]], reason=reason)
    assert answer.status == 400
    assert list(answer.json()["message"]) == ["REASON"]


def test_limit_of_addresses(service, token):
    many = ["nobody%d@example.com" % i for i in range(10000)]
    answer = service.recall(token, "<a@b>", many)
    assert answer.status == 200
    assert answer.json()["summary"] == {"no_user": 10000}
    assert [r["email"] for r in answer.json()["results"]] == many
    answer = service.recall(token, "<a@b>", many + ["one@example.com"])
    assert answer.status == 400
    assert answer.json() == {"message": {
        "EMAILS": "EMAILS has too many addresses"}}


def test_no_such_resource(service, token):
    for path in "/", "/v2", "/v2/actions/expunge/", "/v2/actions/../auth/x":
        answer = service.curl(path, "--path-as-is", token=token)
        assert answer.status == 404, path
        assert answer.json() == {"message": "There is no such resource"}


def test_methods(service, token):
    answer = service.curl("/v2/actions/expunge", token=token)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    answer = service.curl("/v2/auth", "-X", "PUT")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, DELETE"
    assert service.curl("/health/live", "-I").status == 200


def test_content_type(service, token):
    answer = service.curl("/v2/actions/expunge", "-H",
                          "Content-Type: text/xml", "-d", "<a/>", token=token)
    assert answer.status == 415


def test_audit_has_recalls_and_refusals(service, token, mail):
    since = len(service.audit())
    done = service.recall(token, mail, [USERS[0], "nobody@example.com"],
                          reason="sent | to=all \\ by mistake").json()
    service.recall(token, "<>", [USERS[0]])
    service.recall("nonsense", mail, [USERS[0]])
    recall, refused, unknown = service.audit()[since:]
    assert recall.startswith("CEF:0|dovecot-recall|mail-recalld|")
    for part in ("|recall|", "suser=root@example.com", "src=127.0.0.1",
                 "externalId=" + done["id"], "cs1=" + mail,
                 "cs2=%s:expunged,nobody@example.com:no_user" % USERS[0],
                 "outcome=success", r"reason=sent | to\=all \\ by mistake"):
        assert part in recall
    assert "|recall-refused|" in refused and "cn1=400" in refused
    assert "|recall-refused|" in unknown and "cn1=401" in unknown
    assert "suser" not in unknown


def test_secrets_are_not_logged(node, service, token):
    service.curl("/v2/auth", "-d", "login=" + USERS[0], "-d",
                 "password=secret-password")
    service.recall(token, "<a@b>", [USERS[0]])
    text = service.log() + "\n".join(service.audit())
    for secret in ("secret-password", token, node.doveadm_password,
                   service.settings["auth.jwt_key"]):
        assert secret not in text


def test_status_and_list(service, token, mail):
    done = service.recall(token, mail, USERS[:2]).json()
    answer = service.curl("/v2/actions/" + done["id"], token=token).json()
    assert answer["results"] == done["results"]
    assert answer["state"] == "finished"
    assert answer["progress"] == {"done": 2, "total": 2}
    listed = service.curl("/v2/actions?limit=1", token=token).json()
    assert [action["id"] for action in listed["actions"]] == [done["id"]]
    for bad in "limit=0", "limit=x", "limit=1001", "before=-1":
        assert service.curl("/v2/actions?" + bad, token=token).status == 400
    for bad in "0" * 32, "x", "%00":
        assert service.curl("/v2/actions/" + bad, token=token).status == 404


def test_pages_of_the_list(service, token):
    made = [service.recall(token, "<%d@pages>" % i, [USERS[0]]).json()["id"]
            for i in range(6)]
    found, url = [], "/v2/actions?limit=2"
    while len(found) < len(made):
        page = service.curl(url, token=token).json()["actions"]
        assert len(page) == 2
        found += [action["id"] for action in page]
        url = "/v2/actions?limit=2&before=" + found[-1]
    # those of the same second, too, and none of them twice
    assert found == made[::-1]
    end = service.curl("/v2/actions?before=" + "0" * 32, token=token)
    assert end.json()["actions"] == []


def test_respond_async(service, token, mail):
    answer = service.recall(token, mail, USERS, "-H",
                            "Prefer: wait=1, Respond-Async")
    assert answer.status == 202
    recall_id = answer.json()["id"]
    assert answer.headers["location"] == "/v2/actions/" + recall_id
    assert answer.headers["preference-applied"] == "respond-async"
    done = service.wait_recall(token, recall_id)
    assert done["summary"] == {"expunged": len(USERS)}
    # several lines are one list
    assert service.recall(token, mail, USERS, "-H", "Prefer: wait=1", "-H",
                          "Prefer: respond-async").status == 202


def test_health(service):
    answer = service.curl("/health")
    assert answer.status == 200
    assert answer.json() == {"live": True, "ready": True, "journal": True,
                             "doveadm": True, "audit": True}
    assert service.curl("/health/live").json() == {"live": True}
    assert service.curl("/health/ready").status == 200


def test_metrics(service, token, mail):
    def value(name):
        for line in service.curl("/metrics").body.decode().splitlines():
            if line.startswith("mail_recalld_" + name + " "):
                return float(line.split()[-1])
        return 0

    expunged = 'verdicts_total{status="expunged"}'
    requests = 'http_requests_total{route="/v2/actions/expunge",status="200"}'
    before = value(expunged), value(requests)
    service.recall(token, mail, USERS[:2])
    assert (value(expunged), value(requests)) == (before[0] + 2,
                                                  before[1] + 1)
    assert value("http_request_seconds_count") >= before[1]


def test_dry_runs_are_not_counted(service, token, mail):
    """What is counted has been done, or could not be."""
    def verdicts():
        return [line for line in
                service.curl("/metrics").body.decode().splitlines()
                if line.startswith("mail_recalld_verdicts_total")]

    before = verdicts()
    for params in {"messageid": mail}, {
            "query": json.dumps(["HEADER", "Message-ID", mail])}:
        done = service.recall(token, params.pop("messageid", None), USERS[:2],
                              dry_run=1, **params)
        assert set(statuses(done).values()) == {"would_expunge"}
    recall_id = service.recall(token, mail, all=1, dry_run=1).json()["id"]
    service.wait_recall(token, recall_id)
    assert verdicts() == before
    service.recall(token, mail, USERS[:2])
    assert verdicts() != before


def test_openapi_is_sound():
    def walk(thing):
        if isinstance(thing, dict):
            if "$ref" in thing:
                assert resolve(thing)
            for name, item in thing.items():
                if name == "required" and isinstance(item, list):
                    assert set(item) <= set(thing["properties"])
                walk(item)
        elif isinstance(thing, list):
            for item in thing:
                walk(item)

    walk(OPENAPI)
    names = [operation["operationId"]
             for operations in OPENAPI["paths"].values()
             for method, operation in operations.items()
             if method != "parameters"]
    assert len(names) == len(set(names))


def test_openapi_describes_the_answers(service, token, mail):
    expunge = "/v2/actions/expunge", "post"
    done = service.recall(token, mail, [USERS[0], "nobody@example.com"])
    check_described(*expunge, done)
    check_described(*expunge, service.recall(token, mail, USERS, "-H",
                                             "Prefer: respond-async"))
    check_described(*expunge, service.recall(token))
    check_described(*expunge, service.recall("x"))
    check_described(*expunge, service.recall(
        service.token(role=2), "<a@b>", USERS))
    check_described(*expunge, service.curl(
        expunge[0], "-H", "Content-Type: text/plain", "-d", "x", token=token))
    check_described("/v2/actions", "get",
                    service.curl("/v2/actions", token=token))
    for recall_id in done.json()["id"], "0" * 32:
        check_described("/v2/actions/{id}", "get", service.curl(
            "/v2/actions/" + recall_id, token=token))
    login = service.curl("/v2/auth", "-d", "login=" + USERS[0], "-d",
                         "password=secret")
    assert login.status == 200
    check_described("/v2/auth", "post", login)
    check_described("/v2/auth", "post", service.curl("/v2/auth", "-d", ""))
    check_described("/v2/auth", "delete", service.curl(
        "/v2/auth", "-X", "DELETE", "-d",
        "refresh_token=" + login.json()["refresh_token"],
        token=login.json()["access_token"]))
    for path in "/health", "/health/live", "/health/ready":
        check_described(path, "get", service.curl(path))


def test_openapi_is_served_and_all_its_paths_are(service):
    answer = service.curl("/v2/openapi.json")
    assert answer.json() == OPENAPI
    for path, operations in OPENAPI["paths"].items():
        for method in operations.keys() - {"parameters"}:
            asked = service.curl(
                path.replace("{id}", "0" * 32).replace("{owner}", "a@b"),
                "-X", method.upper())
            assert asked.status not in (404, 405), (method, path)
