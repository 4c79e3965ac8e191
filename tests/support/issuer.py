"""A small OpenID provider: who comes is signed in at once, as `claims` say."""

import base64
import hashlib
import json
import re
import secrets
import subprocess
import time
import urllib.parse

from httpserver import Handler, HttpServer


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, input=None):
    return subprocess.run(["openssl", *args], input=input, check=True,
                          capture_output=True).stdout


class Key:
    """A key of the provider, for RS256 or ES256."""

    def __init__(self, directory, name, algorithm="RS256"):
        self.name = name
        self.algorithm = algorithm
        self.path = str(directory / (name + ".pem"))
        kind = ("RSA", "-pkeyopt", "rsa_keygen_bits:2048") \
            if algorithm == "RS256" else \
            ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        openssl("genpkey", "-algorithm", *kind, "-out", self.path)

    def jwk(self):
        common = {"kid": self.name, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS256":
            text = openssl("rsa", "-in", self.path, "-noout",
                           "-modulus").decode()
            return {"kty": "RSA", "e": "AQAB",
                    "n": b64url(bytes.fromhex(text.split("=")[1])), **common}
        # the last 65 octets of the key are the point
        point = openssl("pkey", "-in", self.path, "-pubout", "-outform",
                        "DER")[-64:]
        return {"kty": "EC", "crv": "P-256", "x": b64url(point[:32]),
                "y": b64url(point[32:]), **common}

    def sign(self, data):
        der = openssl("dgst", "-sha256", "-sign", self.path, input=data)
        if self.algorithm == "RS256":
            return der
        numbers = re.findall(rb":([0-9A-F]+)\n", openssl(
            "asn1parse", "-inform", "DER", input=der))
        return b"".join(bytes.fromhex(number.decode()).rjust(32, b"\0")
                        for number in numbers)


class Issuer(HttpServer):
    """
    claims     of the next tokens, over those that belong there; None leaves
               one out
    header     the same for their header
    keys       published; signs with the last one, or with `signer`
    refuse     an error that it answers with instead of a code
    """

    CLIENT, SECRET = "recall", "the client's secret"

    def __init__(self, *keys):
        self.keys = list(keys)
        self.signer = None
        self.claims, self.header = {}, {}
        self.refuse = None
        self.codes, self.problems = {}, []
        self.metadata = {}
        issuer = self

        class Provider(Handler):
            def do_GET(self):
                issuer.get(self)

            def do_POST(self):
                issuer.token(self)

        super().__init__(Provider)
        self.url = "http://127.0.0.1:%d" % self.port

    @staticmethod
    def answer(handler, status, body=None, location=None):
        text = json.dumps(body).encode()
        handler.send_response(status)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def get(self, handler):
        path, _, query = handler.path.partition("?")
        if path == "/.well-known/openid-configuration":
            self.answer(handler, 200, {
                "issuer": self.url,
                "authorization_endpoint": self.url + "/authorize",
                "token_endpoint": self.url + "/token",
                "jwks_uri": self.url + "/keys", **self.metadata})
        elif path == "/keys":
            self.answer(handler, 200,
                        {"keys": [key.jwk() for key in self.keys]})
        elif path == "/authorize":
            self.authorize(handler, dict(urllib.parse.parse_qsl(query)))
        else:
            self.answer(handler, 404)

    def authorize(self, handler, asked):
        back = {"state": asked["state"], "session_state": "x"}
        if asked["client_id"] != self.CLIENT or \
           asked["response_type"] != "code" or \
           asked["code_challenge_method"] != "S256" or \
           "openid" not in asked["scope"].split():
            self.problems.append(asked)
        if self.refuse:
            back["error"] = self.refuse
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = asked
        self.answer(handler, 302, location=asked["redirect_uri"] + "?" +
                    urllib.parse.urlencode(back))

    def token(self, handler):
        size = int(handler.headers["Content-Length"])
        form = dict(urllib.parse.parse_qsl(handler.rfile.read(size).decode()))
        asked = self.codes.pop(form["code"], None)
        challenge = b64url(hashlib.sha256(
            form["code_verifier"].encode()).digest())
        if asked is None or challenge != asked["code_challenge"] or \
           form["redirect_uri"] != asked["redirect_uri"] or \
           form["client_secret"] != self.SECRET:
            self.answer(handler, 400, {"error": "invalid_grant"})
            return
        self.answer(handler, 200, {
            "access_token": "x", "token_type": "Bearer",
            "id_token": self.make_token(asked["nonce"])})

    def make_token(self, nonce):
        now = int(time.time())
        key = self.signer or self.keys[-1]
        claims = {"iss": self.url, "aud": self.CLIENT, "sub": "1234",
                  "iat": now, "exp": now + 300, "nonce": nonce,
                  "email_verified": True, **self.claims}
        header = {"alg": key.algorithm, "kid": key.name, "typ": "JWT",
                  **self.header}
        data = ".".join(
            b64url(json.dumps({name: value for name, value in part.items()
                               if value is not None}).encode())
            for part in (header, claims))
        return data + "." + b64url(key.sign(data.encode()))
