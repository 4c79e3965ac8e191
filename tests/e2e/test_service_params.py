"""mail-recalld: what is misspelt or not encoded is refused, or meant as it is."""

import json
import urllib.parse

import pytest

from answers import OPENAPI, resolve
from mailnode import build_message
from servicenode import RecallNode, curl

USER, OTHER = "user@example.com", "other@example.com"
EXPUNGE = "/v2/actions/expunge"
SHARES = "/v2/mailboxes/%s/shares" % USER


@pytest.fixture(scope="module")
def node():
    with RecallNode(users=[USER, OTHER]) as node:
        yield node
        assert node.panics() == []


def deliver(node, messageid):
    node.lmtp_deliver([USER], build_message(messageid))


def has(node, messageid):
    return any(b"\r\nMessage-ID: " + messageid.encode() + b"\r\n" in message
               for message in node.messages(USER))


def send(service, token, params, way, path=EXPUNGE, method="POST"):
    """The parameters in a body of the form, or in the URL."""
    args = ["-X", method]
    if way == "json":
        args += ["-H", "Content-Type: application/json", "-d",
                 json.dumps(params)]
    elif way == "multipart":
        for name, value in params.items():
            args += ["--form-string", "%s=%s" % (name, value)]
    elif way == "form":
        for name, value in params.items():
            args += ["--data-urlencode", "%s=%s" % (name, value)]
    else:
        path += "?" + urllib.parse.urlencode(params)
    return service.curl(path, *args, token=token)


def raw(service, token, body):
    return service.curl(EXPUNGE, "--data-binary", "@-", token=token,
                        input=body.encode())


@pytest.fixture
def mail(node, message_id):
    deliver(node, message_id)
    return message_id


# unknown parameters

@pytest.mark.parametrize("way", ["form", "multipart", "json"])
@pytest.mark.parametrize("name, value", [
    ("dryRun", "1"), ("dry-run", "1"), ("dryrun", "1"), ("DRY_RUN", "1"),
    ("notfy", "0"), ("id", "0" * 32), ("everyone", "0"), ("messageId", "<a@b>"),
    ("dry_run ", "1"),
])
def test_misspelt_parameter_deletes_nothing(node, service, token, mail, way,
                                            name, value):
    before = node.count(USER)
    answer = send(service, token, {"messageid": mail, "emails": USER,
                                   name: value}, way)
    assert answer.status == 400
    assert list(answer.json()["message"]) == [name.upper()]
    assert "is not a parameter of this request, which has messageid, " in \
        answer.json()["message"][name.upper()]
    assert has(node, mail) and node.count(USER) == before


@pytest.mark.parametrize("value", [None, [], "", False])
def test_unknown_parameter_without_a_value(node, service, token, mail, value):
    answer = send(service, token, {"messageid": mail, "emails": [USER],
                                   "dryRun": value}, "json")
    assert answer.status == 400
    assert list(answer.json()["message"]) == ["DRYRUN"]
    assert has(node, mail)


@pytest.mark.parametrize("pair", ["=1", "=", "1"])
def test_parameter_without_a_name(node, service, token, mail, pair):
    answer = raw(service, token, "messageid=%s&%s&emails=%s" %
                 (mail, pair, USER))
    assert answer.status == 400
    assert list(answer.json()["message"]) == [pair.partition("=")[0]]
    assert has(node, mail)


def test_known_parameter_that_is_null_is_left_out(service, token):
    answer = send(service, token, {"messageid": "<null@b>", "emails": [USER],
                                   "force": None, "reason": None}, "json")
    assert answer.status == 200


def test_all_that_are_unknown_are_named(service, token):
    answer = send(service, token, {"messageid": "<a@b>", "emails": USER,
                                   "notfy": 0, "dryRun": 1}, "form")
    assert list(answer.json()["message"]) == ["NOTFY", "DRYRUN"]
    many = {"x%d" % i: 1 for i in range(50)}
    assert len(send(service, token, many, "form").json()["message"]) == 10
    answer = send(service, token, {"ж" * 100: "1"}, "form")
    assert list(answer.json()["message"]) == ["ж" * 32]


@pytest.mark.parametrize("name", ["dry_run", "dryRun", "messageid", "cmd"])
def test_parameters_in_the_url_of_a_post(node, service, token, mail, name):
    answer = service.curl(
        EXPUNGE + "?%s=1" % name, "--data-urlencode", "messageid=" + mail,
        "-d", "emails=" + USER, token=token)
    assert answer.status == 400
    assert answer.json() == {"message": {
        name.upper(): name.upper() + " belongs in the body, not in the URL"}}
    assert has(node, mail)


@pytest.mark.log_errors("dryRun is neither true nor false")
@pytest.mark.parametrize("name, value, error", [
    ("dry_run", True, "invalidRequest"), ("notfy", False, "invalidRequest"),
    ("dryRun", 1, "exitCode"), ("dryRun", "1", "exitCode"),
    ("dryRun", "yes", "exitCode"), ("dryRun", "", "exitCode"),
])
def test_doveadm_refuses_by_itself(node, mail, name, value, error):
    """Its HTTP API does not name what is wrong, but does nothing either."""
    answer = curl("-u", "doveadm:" + node.doveadm_password, "-d", json.dumps(
        [["recallExpunge", {"users": [USER], "messageId": mail, name: value},
          "tag"]]), node.http_url).json()
    assert (answer[0][0], answer[0][1]["type"]) == ("error", error)
    assert has(node, mail)


def test_passwords_are_not_repeated(service):
    answer = service.curl("/v2/auth", "-d", "login=" + USER + "&"
                          "password=first&second-half")
    assert answer.status == 400
    assert list(answer.json()["message"]) == ["PARAMETER"]
    assert b"second-half" not in answer.body.lower()
    assert service.curl("/v2/auth?password=" + "secret-in-the-url", "-d",
                        "login=" + USER).status == 400
    text = (service.log() + "\n".join(service.audit())).lower()
    assert "second-half" not in text and "secret-in-the-url" not in text


def test_who_asks_comes_first(service):
    assert send(service, "x", {"dryRun": 1}, "form").status == 401
    assert service.curl("/v2/actions?x=1").status == 401


def described():
    """Each action of the description, with its parameters: method, path, cmd,
    where they stand, names."""
    for path, operations in OPENAPI["paths"].items():
        for method, operation in operations.items():
            if method == "parameters" or not path.startswith("/v2/") or \
                    path == "/v2/openapi.json":
                continue
            url = {each["name"] for each in operation.get("parameters", [])
                   if each["in"] == "query"}
            content = operation.get("requestBody", {}).get("content", {})
            if not content:
                yield method, path, None, "url", url
            for kind, body in content.items():
                way = {"application/json": "json", "multipart/form-data":
                       "multipart"}.get(kind, "form")
                schema = resolve(body["schema"])
                for each in schema.get("oneOf", [schema]):
                    each = resolve(each)
                    assert each["additionalProperties"] is False
                    names = set(each["properties"])
                    assert url <= names
                    cmd = each["properties"].get("cmd", {}).get("enum", [None])
                    yield method, path, cmd[0], way, names - {"cmd"}


@pytest.mark.parametrize("method, path, cmd, way, names", described())
def test_description_has_the_same_parameters(service, token, method, path, cmd,
                                             way, names):
    path = path.replace("{owner}", USER).replace("{id}", "0" * 32)
    params = {"x": "1"}
    if cmd is not None:
        params["cmd"] = cmd
    answer = send(service, token, params, way, path, method.upper())
    assert answer.status == 400
    [why] = answer.json()["message"].values()
    listed = why.partition(", which has ")[2]
    assert set(listed.split(", ")) == (names or {"none"})


def test_all_commands_are_described():
    for kind in "Form", "Json":
        schema = OPENAPI["components"]["schemas"]["Expunge" + kind]
        assert [resolve(each)["properties"]["cmd"]["enum"][0]
                for each in schema["oneOf"]] == \
            ["expunge", "restore", "search", "fetch"]


# values

@pytest.mark.parametrize("way", ["form", "multipart", "json"])
@pytest.mark.parametrize("value, status", [
    ("true", "would_expunge"), ("TRUE", "would_expunge"),
    ("1", "would_expunge"), ("false", "expunged"), ("False", "expunged"),
    ("0", "expunged"), (True, "would_expunge"), (False, "expunged"),
])
def test_flags(service, token, mail, way, value, status):
    answer = send(service, token, {
        "messageid": mail, "emails": USER, "dry_run": value, "notify": "false"},
        way)
    [result] = answer.json()["results"]
    assert (result["status"], result["notice"]) == (status, "none")


@pytest.mark.parametrize("params, name, why", [
    ({"emails": [USER, 7]}, "EMAILS", "has something else than strings"),
    ({"query": [["FROM", "x"]]}, "QUERY", "has something else than strings"),
    ({"notify": 0.5}, "NOTIFY", "is neither a string nor an integer, true, "
     "false, null or an array of strings"),
    ({"reason": {"why": "x"}}, "REASON", "is neither a string nor an integer, "
     "true, false, null or an array of strings"),
    ({"reason": "x" * 70000}, "REASON", "is too long"),
])
def test_json_of_another_type(service, token, params, name, why):
    answer = send(service, token, {"messageid": "<a@b>", **params}, "json")
    assert answer.status == 400
    assert answer.json() == {"message": {name: name + " " + why}}


@pytest.mark.parametrize("emails, where", [
    ("%s,%s" % (USER, OTHER), "number 1, '%s,%s'" % (USER, OTHER)),
    ("%s;%s" % (USER, OTHER), "number 1, '%s;%s'" % (USER, OTHER)),
    (json.dumps([USER, "%s,%s" % (OTHER, USER)]),
     "number 2, '%s,%s'" % (OTHER, USER)),
    (json.dumps([USER, OTHER, "us?r@example.com", "*"]),
     "number 3, 'us?r@example.com'"),
    (json.dumps([USER, "ж" * 1000]), "number 2, '%s'" % ("ж" * 127)),
    (json.dumps([USER, "a\nb"]), "number 2, 'a\nb'"),
    (json.dumps([USER, ""]), "number 2, ''"),
])
def test_bad_address_is_named(node, service, token, mail, emails, where):
    answer = service.recall(token, mail, emails)
    assert answer.status == 400
    assert answer.json()["message"]["EMAILS"].endswith(": " + where)
    assert has(node, mail)


def test_bad_address_among_many(service, token):
    answer = service.recall(token, "<a@b>", [USER] * 9998 + ["a b@c", "*"])
    assert answer.json()["message"]["EMAILS"].endswith(
        ": number 9999, 'a b@c'")


def test_bad_address_among_repeated_ones(service, token):
    answer = service.curl(EXPUNGE, "--data-urlencode", "messageid=<a@b>",
                          "-d", "emails=" + USER, "-d", "emails=%s,%s" %
                          (OTHER, USER), token=token)
    assert answer.json()["message"]["EMAILS"].endswith(
        ": number 2, '%s,%s'" % (OTHER, USER))


# Message-IDs that are not URL-encoded

BARE_IDS = ["<plain@b.example>", "<a+b@c.example>", "<a%41@c.example>",
            "<a&b@c.example>", "<a&force=1@c.example>", "<100%@c.example>",
            "<a%2Bb@c.example>", "<a;b=c#d@e.example>", "<a%@c.example>",
            "<&emails=x@c.example>"]


@pytest.mark.parametrize("messageid", BARE_IDS)
@pytest.mark.parametrize("body", [
    "messageid=%s&emails=" + USER, "emails=" + USER + "&messageid=%s",
    "cmd=expunge&messageid=%s&emails=[\"" + USER + "\"]&force=0&notify=0",
])
def test_bare_id(node, service, token, messageid, body):
    # what it would be if it was decoded must stay
    decoded = urllib.parse.unquote_plus(messageid)
    deliver(node, messageid)
    if decoded != messageid:
        deliver(node, decoded.replace(" ", "-"))
    answer = raw(service, token, body.replace("%s", messageid))
    assert answer.status == 200
    assert answer.json()["messageid"] == messageid
    assert answer.json()["summary"] == {"expunged": 1}
    assert not has(node, messageid)


@pytest.mark.parametrize("messageid", BARE_IDS + [
    "<a%3Eb@c.example>", "<%3Ca@b.example>"])
@pytest.mark.parametrize("way", ["form", "multipart", "json"])
def test_encoded_id_is_what_was_encoded(service, token, messageid, way):
    answer = send(service, token, {"messageid": messageid, "emails": USER},
                  way)
    assert answer.status == 200
    assert answer.json()["messageid"] == messageid


@pytest.mark.parametrize("encoded, messageid", [
    ("%3Ca%2Bb@c%3E", "<a+b@c>"), ("%3ca%41@c%3e", "<aA@c>"),
    ("a%2Bb%40c", "a+b@c"), ("a%2Bb@c", "a+b@c"), ("a%41@c", "aA@c"),
    # no id stands in the brackets, so they say nothing
    ("<a%41@c> ", "<aA@c> "), ("<a%41@c", "<aA@c"),
])
def test_what_is_decoded(service, token, encoded, messageid):
    answer = raw(service, token, "messageid=%s&emails=%s" % (encoded, USER))
    assert answer.status == 200
    assert answer.json()["messageid"] == messageid


@pytest.mark.parametrize("value", ["a+b@c", "<a+b@c", "a+b@c>",
                                   "<a+b@c>+(x)"])
def test_doubtful_id(service, token, value):
    answer = raw(service, token, "messageid=%s&emails=%s" % (value, USER))
    assert answer.status == 400
    assert answer.json() == {"message": {"MESSAGEID":
        "MESSAGEID has a \"+\" that may mean a space: is it URL-encoded?"}}


def test_id_that_is_cut(service, token):
    answer = raw(service, token, "messageid=a&b@c&emails=" + USER)
    assert answer.status == 400
    assert "is the body URL-encoded?" in answer.json()["message"]["B@C"]


def test_bare_ids_of_two(service, token):
    for body in ("messageid=<a@b>&messageid=<a@b>&emails=" + USER,
                 "messageid=<a@b>&messageid=%3Ca@b%3E&emails=" + USER):
        answer = raw(service, token, body)
        assert answer.json() == {"message": {
            "MESSAGEID": "MESSAGEID is given more than once"}}


@pytest.mark.parametrize("value", ["%zz", "100%", "a%00b", "%"])
def test_url_that_is_not_encoded(service, token, value):
    """A filter that is left out would show more."""
    answer = service.curl("/v2/actions?actor=" + value, token=token)
    assert (answer.status, answer.json()) == (400, {
        "message": "A parameter is not valid UTF-8"})
    answer = service.curl("/v2/actions?%s=1" % value, token=token)
    assert answer.status == 400
    assert service.curl("/v2/actions%s" % value, token=token).status == 404


@pytest.mark.parametrize("encoding, status", [
    ("gzip", 415), ("br", 415), ("identity", 400), ("Identity", 400)])
def test_packed_body(service, token, encoding, status):
    answer = service.curl(EXPUNGE, "-H", "Content-Encoding: " + encoding,
                          "-d", "messageid=", token=token)
    assert answer.status == status
    if status == 415:
        assert answer.json() == {
            "message": "The body's Content-Encoding is not supported"}
