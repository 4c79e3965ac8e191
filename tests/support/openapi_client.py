#!/usr/bin/python3
"""Makes a Python client from an OpenAPI 3.0 document.

    openapi_client.py DOCUMENT >client.py

What it makes has a class Client with a method for each operationId. A method
has a keyword argument for each parameter and each property of the body, with
its type. What is asked is checked against the document before it is sent
(ArgumentError), and so is what is answered (AnswerError): its status, headers,
Content-Type and value.

    client = Client("http://127.0.0.1:8025")
    client.token = client.login(login="a@b", password="x").value["access_token"]
    client.status(id="...").value["state"]

As a module, tests use call() to send what the methods refuse.
"""

import functools
import http.client
import json
import re
import sys
import urllib.parse
import uuid

import jsonschema

TIMEOUT = 60
TYPES = {"string": "str", "boolean": "bool", "integer": "int",
         "number": "float", "array": "list", "object": "dict"}
METHODS = "get", "put", "post", "delete", "patch"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

HEADER = '''\
"""Made by openapi_client.py from %(title)s, version %(version)s."""

from typing import Union

from openapi_client import Answer, Base, Document

DOCUMENT = Document(%(document)r)


class Client(Base):
    def __init__(self, url: str, token: str = None):
        super().__init__(DOCUMENT, url, token)
'''

METHOD = '''
    def %(name)s(self%(arguments)s) -> Answer:
        %(summary)r
        return self.call(%(name)r, %(parameters)s, %(body)s)
'''


class ArgumentError(Exception):
    """What is asked is not as the document says."""


class AnswerError(Exception):
    """What is answered is not."""


# the document


class Operation:
    def __init__(self, document, path, method, item, found):
        self.name = found["operationId"]
        self.path = path
        self.method = method.upper()
        self.summary = found.get("summary", "")
        self.parameters = [
            document.resolve(each)
            for each in item.get("parameters", []) + found.get("parameters",
                                                               [])]
        body = document.resolve(found.get("requestBody", {}))
        self.body_required = body.get("required", False)
        self.bodies = {media: each["schema"]
                       for media, each in body.get("content", {}).items()}
        self.responses = {
            int(status): document.resolve(each)
            for status, each in found["responses"].items()}
        self.security = found.get("security",
                                  document.content.get("security", []))

    def properties(self, document):
        """Of the bodies: name -> the schemas that it has, and whether it is
        required in all of them."""
        found = {}
        objects = [each for schema in self.bodies.values()
                   for each in document.alternatives(schema)]
        for each in objects:
            for name, schema in each.get("properties", {}).items():
                found.setdefault(name, []).append(schema)
        return {name: ({"anyOf": schemas},
                       all(name in each.get("required", [])
                           for each in objects))
                for name, schemas in found.items()}


class Document:
    def __init__(self, text):
        self.content = json.loads(text)
        self.operations = {}
        for path, item in self.content["paths"].items():
            for method in METHODS:
                if method in item:
                    made = Operation(self, path, method, item, item[method])
                    if made.name in self.operations:
                        raise ValueError("two operations " + made.name)
                    self.operations[made.name] = made

    def resolve(self, thing):
        while "$ref" in thing:
            where = self.content
            for part in thing["$ref"].removeprefix("#/").split("/"):
                where = where[part]
            thing = where
        return thing

    def alternatives(self, schema):
        """The objects that a value may be."""
        schema = self.resolve(schema)
        for kind in "oneOf", "anyOf":
            if kind in schema:
                return [each for one in schema[kind]
                        for each in self.alternatives(one)]
        return [schema]

    def plain(self, schema, closed):
        """A schema as JSON Schema has it, without references. closed: no
        property that is not named."""
        schema = dict(self.resolve(schema))
        if "allOf" in schema:
            schema = self._merge(schema)
        for kind in "oneOf", "anyOf":
            if kind in schema:
                schema[kind] = [self.plain(each, closed)
                                for each in schema[kind]]
        if "items" in schema:
            schema["items"] = self.plain(schema["items"], closed)
        if isinstance(schema.get("additionalProperties"), dict):
            schema["additionalProperties"] = self.plain(
                schema["additionalProperties"], closed)
        if "properties" in schema:
            schema["properties"] = {
                name: self.plain(each, closed)
                for name, each in schema["properties"].items()}
            if closed:
                schema.setdefault("additionalProperties", False)
        if schema.pop("nullable", False):
            return {"anyOf": [{"type": "null"}, schema]}
        return schema

    def _merge(self, schema):
        """Several objects that are all meant, as one."""
        merged = {"type": "object", "properties": {}, "required": []}
        for each in schema["allOf"]:
            each = self.resolve(each)
            if set(each) - {"type", "properties", "required", "description"}:
                raise ValueError("allOf of more than objects")
            merged["properties"].update(each.get("properties", {}))
            merged["required"] += each.get("required", [])
        merged["required"] = sorted(set(merged["required"]))
        return merged

    @functools.lru_cache(maxsize=None)
    def _validator(self, schema, closed):
        schema = self.plain(json.loads(schema), closed)
        jsonschema.Draft7Validator.check_schema(schema)
        return jsonschema.Draft7Validator(schema)

    def wrong(self, schema, value, closed=False):
        """What is wrong with a value, or None."""
        error = jsonschema.exceptions.best_match(
            self._validator(json.dumps(schema), closed).iter_errors(value))
        return error and "%s: %s" % (
            "/".join(map(str, error.absolute_path)) or "value", error.message)


# the client


def python_name(name):
    return re.sub(r"\W", "_", name).lower()


def python_type(document, schema):
    """How a value is annotated."""
    types = sorted(python_types(document, schema))
    return types[0] if len(types) == 1 else "Union[%s]" % ", ".join(types)


def python_types(document, schema):
    schema = document.resolve(schema)
    several = schema.get("oneOf") or schema.get("anyOf")
    if not several:
        return {TYPES[schema["type"]]}
    return set().union(*(python_types(document, each) for each in several))


def make_method(document, operation):
    parameters = {each["name"]: each for each in operation.parameters}
    properties = operation.properties(document)
    names = list(parameters) + list(properties)
    wanted = {name: (each["schema"], each.get("required"))
              for name, each in parameters.items()}
    wanted.update(properties)
    if len({python_name(name) for name in names}) != len(names):
        raise ValueError("%s has two arguments of a name" % operation.name)
    arguments = []
    for name, (schema, required) in wanted.items():
        argument = "%s: %s" % (python_name(name),
                               python_type(document, schema))
        if not required:
            argument += " = None"
        arguments.append(argument)
    return METHOD % {
        "name": operation.name, "summary": operation.summary,
        "arguments": "".join(
            ",\n            " + each for each in
            (["*"] if arguments else []) + arguments),
        "parameters": make_dict(parameters), "body": make_dict(properties)}


def make_dict(names):
    return "{%s}" % ", ".join("%r: %s" % (name, python_name(name))
                              for name in names)


def generate(text):
    """The client's source, from the document's text."""
    document = Document(text)
    info = document.content["info"]
    return HEADER % {"title": info["title"], "version": info["version"],
                     "document": text} + \
        "".join(make_method(document, each)
                for each in document.operations.values())


class Answer:
    """value: of JSON what it says, else octets."""

    def __init__(self, status, headers, value):
        self.status = status
        self.headers = headers
        self.value = value

    def __repr__(self):
        return "<%d %r>" % (self.status, self.value)


def to_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def to_pairs(values):
    """Lists are repeated."""
    return [(name, to_text(each)) for name, value in values.items()
            for each in (value if isinstance(value, list) else [value])]


def to_multipart(values):
    boundary = uuid.uuid4().hex
    parts = "".join(
        '--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' %
        (boundary, name, text) for name, text in to_pairs(values))
    return "%s; boundary=%s" % (MULTIPART, boundary), \
        (parts + "--%s--\r\n" % boundary).encode()


def encode(media, values):
    """Content-Type and octets of a body."""
    if media == JSON:
        return media, json.dumps(values).encode()
    if media == MULTIPART:
        return to_multipart(values)
    return media, urllib.parse.urlencode(to_pairs(values)).encode()


class Base:
    """
    token   Bearer token, or None
    media   the Content-Type of bodies, where an operation has it
    closed  properties that are not named are no valid answer
    seen    (operation, status) of all answers
    """

    def __init__(self, document, url, token=None):
        self.document = document
        self.url = urllib.parse.urlsplit(url)
        self.token = token
        self.media = JSON
        self.closed = False
        self.seen = set()

    def call(self, name, parameters, body, checked=True, extra=None,
             raw=None):
        """Asks. checked: whether arguments have to be as described. extra:
        more of the URL's parameters. raw: Content-Type and octets of the
        body."""
        operation = self.document.operations[name]
        parameters = {name: value for name, value in parameters.items()
                      if value is not None}
        body = {name: value for name, value in body.items()
                if value is not None}
        media = self.media if self.media in operation.bodies else \
            next(iter(operation.bodies), None)
        if checked:
            self._check_arguments(operation, parameters, media, body)
        headers, path = self._place(operation, parameters, extra or {})
        data = None
        if raw is not None:
            headers["Content-Type"], data = raw
        elif media is not None and (body or operation.body_required):
            headers["Content-Type"], data = encode(media, body)
        if self.token is not None and operation.security:
            headers["Authorization"] = "Bearer " + self.token
        answer = self._send(operation.method, path, data, headers)
        self._check_answer(operation, answer)
        self.seen.add((name, answer.status))
        return answer

    def _check_arguments(self, operation, parameters, media, body):
        for each in operation.parameters:
            if each["name"] not in parameters:
                if each.get("required"):
                    raise ArgumentError(each["name"] + " is required")
                continue
            wrong = self.document.wrong(each["schema"],
                                        parameters[each["name"]])
            if wrong:
                raise ArgumentError("%s: %s" % (each["name"], wrong))
        if media is not None and (body or operation.body_required):
            wrong = self.document.wrong(operation.bodies[media], body)
            if wrong:
                raise ArgumentError(wrong)

    def _place(self, operation, parameters, extra):
        """Headers and path with the parameters that go there."""
        path, query, headers = operation.path, dict(extra), {}
        for each in operation.parameters:
            value = parameters.get(each["name"])
            if value is None:
                continue
            if each["in"] == "path":
                path = path.replace("{%s}" % each["name"],
                                    urllib.parse.quote(to_text(value), ""))
            elif each["in"] == "query":
                query[each["name"]] = value
            else:
                headers[each["name"]] = to_text(value)
        if query:
            path += "?" + urllib.parse.urlencode(to_pairs(query))
        return headers, path

    def _send(self, method, path, data, headers):
        connection = http.client.HTTPConnection(self.url.netloc,
                                                timeout=TIMEOUT)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            value = answer.read()
            headers = {name.lower(): text
                       for name, text in answer.getheaders()}
        finally:
            connection.close()
        if headers.get("content-type", "").partition(";")[0] == JSON:
            value = json.loads(value)
        return Answer(answer.status, headers, value)

    def _check_answer(self, operation, answer):
        who = "%s: %r" % (operation.name, answer)
        response = operation.responses.get(answer.status)
        if response is None:
            raise AnswerError(who + " is not described")
        media = answer.headers.get("content-type", "").partition(";")[0]
        if media not in response["content"]:
            raise AnswerError(who + " is of another type: " + media)
        if media == JSON:
            wrong = self.document.wrong(response["content"][media]["schema"],
                                        answer.value, self.closed)
            if wrong:
                raise AnswerError("%s: %s" % (who, wrong))
        for name, header in response.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            if value is None and header.get("required"):
                raise AnswerError("%s: has no %s" % (who, name))


def main():
    with open(sys.argv[1]) as stream:
        sys.stdout.write(generate(stream.read()))


if __name__ == "__main__":
    main()
