"""What mail-recalld answers, and how it is asked: for tests of the service."""

import json
import re

import mailnode

OPENAPI = json.loads((mailnode.SRCDIR / "docs/openapi.json").read_text())
FORBIDDEN = (b'{"message": "You don\'t have the permission to access the '
             b'requested resource. It is either read-protected or not '
             b'readable by the server."}')
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool,
         "integer": int}
ROOT = "root@example.com"
ACTIONS = "/v2/actions/expunge"


def has(node, user, messageid):
    return any(b"\r\nMessage-ID: " + messageid.encode() in message
               for message in node.messages(user))


def statuses(answer):
    return {result["email"]: result["status"]
            for result in answer.json()["results"]}


def root(service):
    return service.token(ROOT, 3)


def ask(service, token, **params):
    """A form-encoded action; lists become JSON arrays, as documented."""
    data = []
    for name, value in params.items():
        if isinstance(value, list):
            value = json.dumps(value)
        data += ["--data-urlencode", "%s=%s" % (name, value)]
    return service.curl(ACTIONS, *data, token=token)


def message(answer):
    return answer.json()["message"]


def pages(service, token, **params):
    """All pages, each of which has as many as the limit but the last."""
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = ask(service, token, **params, **more)
        assert answer.status == 200, answer
        check_described(ACTIONS, "post", answer)
        body = answer.json()
        assert ("next" in body) == body["more"]
        found.append(body["results"])
        if not body["more"]:
            return found
        assert len(body["results"]) == params["limit"]
        cursor = body["next"]


def resolve(thing):
    while "$ref" in thing:
        where = OPENAPI
        for part in thing["$ref"].removeprefix("#/").split("/"):
            where = where[part]
        thing = where
    return thing


def conforms(schema, value):
    """Whether the value is as the schema says; the part of JSON Schema that
    the description uses."""
    schema = resolve(schema)
    if "oneOf" in schema:
        return sum(conforms(each, value) for each in schema["oneOf"]) == 1
    if "anyOf" in schema:
        return any(conforms(each, value) for each in schema["anyOf"])
    if "allOf" in schema:
        return all(conforms(each, value) for each in schema["allOf"])
    if value is None:
        return schema.get("nullable", "type" not in schema)
    if "type" in schema and (
            not isinstance(value, TYPES[schema["type"]]) or
            (schema["type"] == "integer" and isinstance(value, bool))):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, int) and value < schema.get("minimum", value):
        return False
    if isinstance(value, list):
        return all(conforms(schema.get("items", {}), item)
                   for item in value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return all(name in value for name in schema.get("required", [])) and \
            all(conforms(properties.get(name) or
                         schema.get("additionalProperties") or {}, item)
                for name, item in value.items())
    return True


def check_described(path, method, answer):
    operation = OPENAPI["paths"][path][method]
    response = resolve(operation["responses"][str(answer.status)])
    content = response["content"][answer.headers["content-type"].split(";")[0]]
    assert conforms(content["schema"], answer.json()), answer
    for name in response.get("headers", {}):
        if name != "Preference-Applied":
            assert name.lower() in answer.headers
