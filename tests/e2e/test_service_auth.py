"""mail-recalld: who may ask, and for what."""

import concurrent.futures
import contextlib
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import time
import urllib.parse

import pytest

from mailnode import PASSWORD, build_message
from servicenode import (JWT_KEY, LEFT_OUT, RecallNode, Service,
                         b64url, jwt)
from answers import FORBIDDEN, check_described, has, statuses
from faults import Frozen, unread, wait_for

RED, RED2 = "red@red.example", "red2@red.example"
BLUE = "blue@blue.example"
ADMIN, ROOT, NOROLE = "admin@red.example", "root@example.com", "x@example.com"
USERS = {
    RED: {"tenant_id": "red", "alias": "r@red.example,first@red.example"},
    RED2: {"tenant_id": "red"},
    BLUE: {"tenant_id": "blue"},
    ADMIN: {"tenant_id": "red", "role": "1"},
    ROOT: {"role": "3"},
    NOROLE: {"role": "7"},
}


@pytest.fixture(scope="module")
def node():
    with RecallNode(users=USERS,
                    extra="auth_failure_delay = 0\n") as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes",
                 bruteforce__enabled="no") as service:
        yield service


number = 0


def deliver(node, users, sender="sender@example.com"):
    global number
    number += 1
    messageid = "<%d.auth@example.com>" % number
    node.lmtp_deliver(users, build_message(messageid, sender=sender))
    return messageid


def refused(service, token, message="TOKEN INVALID"):
    answer = service.recall(token, "<a@b>", [RED])
    assert answer.status == 401
    assert answer.body == b'{"message": "%s"}' % message.encode()
    assert answer.headers["www-authenticate"].startswith("Bearer")


# tokens


def test_no_token(service):
    for header in (), ("-H", "Authorization: Basic eDp5"), \
            ("-H", "Authorization;"):
        answer = service.recall(None, "<a@b>", [RED], *header)
        assert answer.status == 401
        assert answer.body == b'{"message": "TOKEN REQUIRED"}'


def test_expired_token(service):
    refused(service, service.token(exp=int(time.time()) - 1), "TOKEN EXPIRED")


def test_claims(service):
    now = int(time.time())
    for claims in ({"exp": LEFT_OUT}, {"exp": "tomorrow"}, {"exp": -1},
                   {"exp": 1e300}, {"exp": 1e16}, {"nbf": -5}, {"iat": -5},
                   {"nbf": now + 3600}, {"iat": now + 3600},
                   {"sub": LEFT_OUT}, {"sub": ""}, {"sub": "a" * 300},
                   {"sub": "a\nb"}, {"sub": 1}, {"role": LEFT_OUT},
                   {"role": 0}, {"role": 4}, {"role": "3"}, {"role": 3.5},
                   {"role": None}, {"tenant-id": 5}, {"tenant-id": "a\nb"},
                   {"jti": 5}):
        refused(service, service.token(**claims))
    # since ever
    assert good(service, service.token(nbf=0, iat=0))


def test_a_small_clock_skew_is_fine(service):
    token = service.token(iat=int(time.time()) + 10)
    assert service.curl("/v2/actions", token=token).status == 200


def test_alg_none(service):
    for alg in "none", "None", "NONE", "nOnE", "":
        refused(service, service.token(header={"alg": alg}))
        refused(service, service.token(header={"alg": alg},
                                       sign=lambda text: b""))
    refused(service, service.token(header={"typ": "JWT"}))
    refused(service, service.token(header={"alg": "HS256", "crit": ["x"],
                                           "x": 1}))


def test_other_algorithms_with_the_right_key(service):
    for alg in "HS384", "HS512", "RS256", "ES256", "hs256":
        refused(service, service.token(header={"alg": alg}))


def test_wrong_key(service):
    for key in "", "wrong", JWT_KEY + "x", JWT_KEY[:-1]:
        refused(service, service.token(key=key))


def test_tampered(service):
    head, claims, signature = service.token(role=2).split(".")
    better = b64url(json.dumps({"sub": RED, "role": 3, "tenant-id": "",
                                "exp": 9999999999}).encode())
    for text in (".".join((head, better, signature)),
                 ".".join((head, claims, "")),
                 ".".join((head, claims, signature[:-1])),
                 ".".join((head, claims, signature + "AA")),
                 ".".join((head, claims, signature + "=")),
                 ".".join((head, claims)), head, ".", "..", "...",
                 ".".join((head, claims, signature, "x")),
                 ".".join((head, claims[:-1] + "*", signature))):
        refused(service, text)
    for i in range(0, len(signature), 7):
        other = "A" if signature[i] != "A" else "B"
        refused(service, ".".join((
            head, claims, signature[:i] + other + signature[i + 1:])))


def test_the_last_bits_count(service):
    # 43 characters of base64 hold 258 bits: two of them must be zero
    head, claims, signature = service.token().split(".")
    alphabet = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                "0123456789-_")
    last = alphabet.index(signature[-1])
    refused(service, ".".join((head, claims,
                               signature[:-1] + alphabet[last ^ 1])))


def test_over_long(service):
    refused(service, service.token(x="y" * 9000))
    deep = "[" * 3000 + "]" * 3000
    text = b64url(b'{"alg":"HS256"}') + "." + b64url(
        b'{"x":%s}' % deep.encode()) + "."
    refused(service, text)


def test_twice_the_same_claim(service):
    text = "%s.%s" % (b64url(b'{"alg":"HS256"}'), b64url(
        b'{"sub":"a@b","role":2,"role":3,"exp":9999999999}'))
    mac = hmac.new(JWT_KEY.encode(), text.encode(), hashlib.sha256).digest()
    refused(service, text + "." + b64url(mac))
    # which was the only thing wrong with it
    text = "%s.%s" % (b64url(b'{"alg":"HS256"}'), b64url(
        b'{"sub":"a@b","role":3,"exp":9999999999}'))
    mac = hmac.new(JWT_KEY.encode(), text.encode(), hashlib.sha256).digest()
    assert service.curl("/v2/actions",
                        token=text + "." + b64url(mac)).status == 200


@pytest.fixture(scope="module")
def rsa(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rsa")
    for name in "key", "other":
        subprocess.run(["openssl", "genrsa", "-out", directory / name,
                        "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", directory / name, "-pubout",
                        "-out", directory / (name + ".pub")], check=True,
                       capture_output=True)
    return directory


def rsa_sign(key):
    def sign(text):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", key],
                              input=text, check=True,
                              capture_output=True).stdout
    return sign


def test_rs256(node, rsa):
    header = {"alg": "RS256", "typ": "JWT"}
    with Service(node, auth__jwt_algorithm="RS256",
                 auth__jwt_public_key_file=rsa / "key.pub") as service:
        token = service.token(header=header, sign=rsa_sign(rsa / "key"))
        messageid = deliver(node, [RED])
        assert statuses(service.recall(token, messageid, [RED])) == {
            RED: "expunged"}
        refused(service, service.token(header=header,
                                       sign=rsa_sign(rsa / "other")))
        # while the key is changed both are good
        service.set(auth__jwt_old_public_key_file=rsa / "other.pub")
        assert service.reload() == "reloaded"
        assert good(service, service.token(header=header,
                                           sign=rsa_sign(rsa / "other")))
        service.set(auth__jwt_old_public_key_file=None)
        assert service.reload() == "reloaded"
        # confusion: the public key, which is no secret, as HS256's key
        public = (rsa / "key.pub").read_text()
        for key in public, public.strip(), JWT_KEY:
            refused(service, service.token(key=key))
            refused(service, service.token(key=key, header=header))
        # without a private key nobody gets a token here
        answer = service.curl("/v2/auth", "-d", "login=" + ROOT, "-d",
                              "password=secret")
        assert answer.status == 501
        service.stop()
        service.set(auth__jwt_private_key_file=rsa / "key")
        service.start()
        answer = service.curl("/v2/auth", "-d", "login=" + ROOT, "-d",
                              "password=secret").json()
        assert service.curl("/v2/actions",
                            token=answer["access_token"]).status == 200


def test_rs256_keys_that_are_no_pair(rsa):
    """Tokens would be issued that nobody takes."""
    service = Service(None, auth__jwt_algorithm="RS256",
                      auth__jwt_public_key_file=rsa / "key.pub",
                      auth__jwt_private_key_file=rsa / "other")
    checked = service.check_config()
    assert checked.returncode == 78
    assert "auth.jwt_private_key_file: is not the key" in checked.stderr
    service.set(auth__jwt_private_key_file=rsa / "key")
    assert service.check_config().returncode == 0


# login


def login(service, user, password="secret"):
    return service.curl("/v2/auth", "--data-urlencode", "login=" + user,
                        "--data-urlencode", "password=" + password)


def test_login(service):
    answer = login(service, ADMIN)
    assert answer.status == 200
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "expire",
                         "tenant-id", "role"}
    # nobody guesses that
    assert re.fullmatch("[0-9a-f]{64}", body["refresh_token"])
    again = login(service, ADMIN).json()["refresh_token"]
    assert again[:32] != body["refresh_token"][:32]
    assert again[32:] != body["refresh_token"][32:]
    assert body["expire"] == 3600
    assert (body["tenant-id"], body["role"]) == ("red", 1)
    assert answer.headers["cache-control"] == "no-store"
    assert service.curl("/v2/actions",
                        token=body["access_token"]).status == 200
    assert login(service, RED).json()["role"] == 2
    assert login(service, ROOT).json()["role"] == 3


def test_login_that_says_it_is_the_console(service):
    """The route decides where the refresh token goes, no header does."""
    answer = service.curl("/v2/auth", "-H", "X-Recall-Console: 1", "-d",
                          "login=" + ADMIN, "-d", "password=secret")
    assert answer.status == 200
    assert "refresh_token" in answer.json()
    assert "set-cookie" not in answer.headers


def test_login_denied(service):
    for user, password in ((ADMIN, "wrong"), ("nobody@example.com", "x"),
                           (ADMIN + "*" + ROOT, "secret"), ("*", "secret"),
                           ("a\r\nb", "secret"), (ADMIN, "s" * 5000),
                           (NOROLE, "secret")):
        answer = login(service, user, password)
        assert answer.status == 401, user
        assert answer.body == b'{"message": "LOGIN FAILED"}'


@pytest.mark.log_errors("Permission denied")
def test_passwords_cannot_be_checked():
    """Which is nobody's wrong password."""
    with RecallNode(users=[ROOT]) as node, \
         Service(node, bruteforce__max_attempts=1) as service:
        users = node.dir / "users"
        users.chmod(0)
        # another time than the one that Dovecot has read it at
        os.utime(users, (1, 1))
        for i in range(2):
            answer = login(service, ROOT)
            assert answer.status == 502
            assert answer.json() == {
                "message": "The mail system does not answer"}


def test_login_needs_both(service):
    for data, name in (("password=x", "LOGIN"), ("login=" + ADMIN,
                                                 "PASSWORD"),
                       ("login=&password=x", "LOGIN")):
        answer = service.curl("/v2/auth", "-d", data)
        assert answer.status == 400
        assert answer.json() == {"message": {
            name: name + " is a required value"}}


def test_login_with_no_refresh_token(service):
    """A form may have the field, and nothing in it."""
    values = {"login": ADMIN, "password": "secret", "refresh_token": ""}
    for args in (["-d", urllib.parse.urlencode(values)],
                 ["-H", "Content-Type: application/json", "-d",
                  json.dumps(values)]):
        answer = service.curl("/v2/auth", *args)
        assert answer.status == 200, answer
        assert "|login|" in service.audit()[-1]
    assert service.curl("/v2/auth", "-d", "refresh_token=").json() == {
        "message": {"LOGIN": "LOGIN is a required value"}}


def refresh(service, access, refresh_token):
    return service.curl("/v2/auth", "-d", "refresh_token=" + refresh_token,
                        token=access)


def test_refresh(node, service):
    first = login(service, RED).json()
    second = refresh(service, first["access_token"], first["refresh_token"])
    assert second.status == 200
    second = second.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert service.curl("/v2/actions",
                        token=second["access_token"]).status == 200
    # an expired access token is what refreshing is for
    old = service.token(RED, 2, "red", exp=int(time.time()) - 100)
    third = refresh(service, old, second["refresh_token"])
    assert third.status == 200
    # used once more: stolen, so all end
    for token in (first, second, third.json()):
        answer = refresh(service, old, token["refresh_token"])
        assert answer.status == 401
        assert answer.body == b'{"message": "TOKEN INVALID"}'


def test_refresh_token_of_somebody_else(service):
    mine, other = login(service, RED).json(), login(service, RED2).json()
    assert refresh(service, mine["access_token"],
                   other["refresh_token"]).status == 401
    assert refresh(service, "nonsense", mine["refresh_token"]).status == 401
    assert refresh(service, None, mine["refresh_token"]).status == 401
    assert refresh(service, mine["access_token"], "0" * 64).status == 401
    # none of this used them up
    assert refresh(service, other["access_token"],
                   other["refresh_token"]).status == 200


def test_refresh_takes_the_role_of_now(node, service):
    node.add_user("demoted@red.example", tenant_id="red", role="1")
    first = login(service, "demoted@red.example").json()
    node.add_user("demoted@red.example", tenant_id="blue", role="2")
    second = refresh(service, first["access_token"],
                     first["refresh_token"]).json()
    assert (second["role"], second["tenant-id"]) == (2, "blue")
    node.remove_user("demoted@red.example")
    assert refresh(service, second["access_token"],
                   second["refresh_token"]).status == 401


def test_locked_account(node, service):
    """Mail is still delivered to it, so Dovecot's userdb has it."""
    user = "locked@red.example"
    fields = {"tenant_id": "red", "role": "1"}
    node.add_users({user: {**fields, "inetUserStatus": "1"}})
    tokens = login(service, user).json()
    for status in "0", "2", "":
        node.add_users({user: {**fields, "inetUserStatus": status}})
        assert refresh(service, tokens["access_token"],
                       tokens["refresh_token"]).status == 401
        assert login(service, user).status == 401
    node.add_users({user: {**fields, "inetUserStatus": "1"}})
    assert refresh(service, tokens["access_token"],
                   tokens["refresh_token"]).status == 200


def test_refresh_that_cannot_be_journalled(node, service):
    """The token is as good as before, and not said to be invalid."""
    tokens = login(service, ROOT).json()
    args = service, tokens["access_token"], tokens["refresh_token"]
    journal = sqlite3.connect(service.dir / "journal.db", isolation_level=None)
    journal.execute("CREATE TRIGGER full BEFORE UPDATE ON refresh_tokens "
                    "BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    answer = refresh(*args)
    journal.execute("DROP TRIGGER full")
    journal.close()
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert refresh(*args).status == 200


def test_logout(service):
    tokens = login(service, RED).json()
    answer = service.curl("/v2/auth", "-X", "DELETE", "-d",
                          "refresh_token=" + tokens["refresh_token"],
                          token=tokens["access_token"])
    assert answer.status == 200
    assert answer.body == b'{"success": true}'
    assert refresh(service, tokens["access_token"],
                   tokens["refresh_token"]).status == 401


def test_logout_needs_the_refresh_token(service):
    tokens = login(service, RED).json()
    answer = service.curl("/v2/auth", "-X", "DELETE",
                          token=tokens["access_token"])
    assert answer.status == 400
    assert answer.json()["message"] == {
        "REFRESH_TOKEN": "REFRESH_TOKEN is a required value"}
    assert refresh(service, tokens["access_token"],
                   tokens["refresh_token"]).status == 200


def test_logout_that_cannot_be_journalled(node):
    with Service(node) as service:
        tokens = login(service, RED).json()
        journal = sqlite3.connect(service.dir / "journal.db")
        journal.execute("CREATE TRIGGER full BEFORE DELETE ON refresh_tokens "
                        "BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        journal.commit()
        args = ("/v2/auth", "-X", "DELETE", "-d",
                "refresh_token=" + tokens["refresh_token"])
        answer = service.curl(*args, token=tokens["access_token"])
        assert answer.status == 503 and answer.headers["retry-after"]
        # nothing was done, and the token is as good as before
        journal.execute("DROP TRIGGER full")
        journal.commit()
        journal.execute("ALTER TABLE refresh_tokens RENAME TO away")
        journal.commit()
        assert service.curl(*args,
                            token=tokens["access_token"]).status == 503
        assert refresh(service, tokens["access_token"],
                       tokens["refresh_token"]).status == 503
        journal.execute("ALTER TABLE away RENAME TO refresh_tokens")
        journal.commit()
        journal.close()
        assert service.curl(*args,
                            token=tokens["access_token"]).status == 200


# revocation


REVOKE = "/v2/auth/revocations"


def revoke(service, token, **params):
    data = [arg for name, value in params.items()
            for arg in ("--data-urlencode", "%s=%s" % (name, value))]
    return service.curl(REVOKE, *(data or ["-d", ""]), token=token)


def good(service, token):
    answer = service.curl("/v2/actions", token=token)
    if answer.status == 200:
        return True
    assert answer.status == 401
    assert answer.json() == {"message": "TOKEN REVOKED"}
    assert "revoked" in answer.headers["www-authenticate"]
    return False


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_revoke_a_login(node):
    with Service(node) as service:
        root = service.token(ROOT)
        mine = login(service, RED).json()
        other = service.token(RED2, 2, "red")
        answer = revoke(service, root, login=RED.upper(), reason="locked out")
        assert answer.status == 200
        assert abs(answer.json()["before"] - time.time()) < 60
        line = service.audit()[-1]
        for part in ("|revoke|", "suser=" + ROOT, "duser=" + RED.upper(),
                     "reason=locked out", " end="):
            assert part in line
        assert not good(service, mine["access_token"])
        assert good(service, other) and good(service, root)
        # the way back by the refresh token is closed, too
        assert refresh(service, mine["access_token"],
                       mine["refresh_token"]).status == 401
        fresh = login(service, RED).json()
        assert good(service, fresh["access_token"])
        assert refresh(service, fresh["access_token"],
                       mine["refresh_token"]).status == 401
        # from another issuer, without a time, it may be of any
        assert not good(service, service.token(RED, 2, "red", iat=LEFT_OUT))
        assert good(service, service.token(
            RED, 2, "red", iat=int(time.time()) + 5))
        # kept over a restart, a crash included
        service.kill()
        service.start()
        assert not good(service, mine["access_token"])
        assert good(service, fresh["access_token"])
        assert good(service, other)


def test_revoke_during_a_login(node):
    """The password was right before, and the account not locked."""
    with Service(node) as service, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        root = service.token(ROOT)
        # one that is there takes what comes next
        assert login(service, RED).status == 200
        frozen = Frozen(node)
        frozen.pids.remove(node.pid)
        assert frozen.pids
        with frozen:
            late = pool.submit(login, service, RED)
            wait_for(lambda: unread(node))
            assert revoke(service, root, login=RED).status == 200
        answer = late.result()
        assert answer.status == 401, answer
        assert "access_token" not in answer.json()
        assert "|login-refused|" in service.audit()[-1]
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            assert db.execute("SELECT count(*) FROM refresh_tokens WHERE "
                              "login = ?", (RED,)).fetchone() == (0,)
        assert login(service, RED).status == 200


def test_revoke_one_token(node):
    with Service(node) as service:
        first, second = (login(service, RED).json() for i in range(2))
        jti = claims(first["access_token"])["jti"]
        assert revoke(service, service.token(ROOT), jti=jti).status == 200
        assert " duid=" + jti in service.audit()[-1]
        assert not good(service, first["access_token"])
        assert good(service, second["access_token"])
        # nor may another token of that login bring it back
        assert refresh(service, second["access_token"],
                       first["refresh_token"]).status == 401
        assert refresh(service, second["access_token"],
                       second["refresh_token"]).status == 200
        # expired ones are not good for a refresh either
        assert not good(service, service.token(
            RED, 2, "red", jti=jti, exp=int(time.time()) - 5))
        service.stop()
        service.start()
        assert not good(service, first["access_token"])


def test_revoke_all_before(node):
    with Service(node) as service:
        now = int(time.time())
        old = service.token(RED, 2, "red", iat=now - 100)
        new = service.token(BLUE, 2, "blue", iat=now - 10)
        root = service.token(ROOT, iat=now - 10)
        answer = revoke(service, root, all=1, before=now - 50)
        assert answer.json() == {"success": True, "before": now - 50}
        assert not good(service, old) and good(service, new)
        # an earlier time takes nothing back
        revoke(service, root, all=1, before=now - 500)
        assert not good(service, old)
        revoke(service, root, all=1)
        assert not good(service, new) and not good(service, root)
        assert good(service, login(service, ROOT).json()["access_token"])


def test_administrator_revokes_within_the_tenant(node):
    with Service(node) as service:
        now = int(time.time())
        admin = service.token(ADMIN, 1, "red", iat=now + 20)
        red = service.token(RED, 2, "red", jti="1")
        blue = service.token(BLUE, 2, "blue", jti="2")
        # of the same tenant, but above it
        root = service.token(ROOT, 3, "red", jti="3")
        for params in ({"login": BLUE}, {"jti": "2"}, {"login": ROOT},
                       {"jti": "3"}):
            assert revoke(service, admin, **params).status == 200
        assert all(good(service, token) for token in (red, blue, root))
        assert revoke(service, admin, login=RED).status == 200
        assert not good(service, red) and good(service, blue)
        other = service.token(RED2, 2, "red")
        assert revoke(service, admin, all=1).status == 200
        assert not good(service, other)
        assert good(service, blue) and good(service, root)
        # who names no tenant is not above all of them
        default = service.token(ADMIN, 1, "", iat=now + 20)
        plain = service.token("plain@red.example", 2, "")
        assert revoke(service, default, all=1).status == 200
        assert not good(service, plain)
        assert good(service, blue) and good(service, root)


@pytest.mark.parametrize("params", [{"login": ROOT}, {"all": 1}, {"jti": None}])
def test_administrator_ends_no_session_above(node, params):
    """Who has no tenant is of the default one, super administrators, too."""
    with Service(node) as service:
        root, plain = login(service, ROOT).json(), login(service, RED).json()
        assert (root["role"], root["tenant-id"]) == (3, "default")
        if "jti" in params:
            params = {"jti": claims(root["access_token"])["jti"]}
        admin = service.token(ADMIN, 1, "default")
        assert revoke(service, admin, **params).status == 200
        assert good(service, root["access_token"])
        root = refresh(service, root["access_token"], root["refresh_token"])
        assert root.status == 200
        root = root.json()
        # what is of another tenant is none of its business either
        assert good(service, plain["access_token"])
        # another super administrator is not kept from it
        other = service.token("root2@example.com")
        assert revoke(service, other, login=ROOT).status == 200
        assert not good(service, root["access_token"])
        assert refresh(service, root["access_token"],
                       root["refresh_token"]).status == 401


def test_users_revoke_their_own(node):
    with Service(node) as service:
        first, second = (login(service, RED).json()["access_token"]
                         for i in range(2))
        for params in ({"login": RED2}, {"jti": claims(second)["jti"]},
                       {"all": 1}):
            assert revoke(service, first, **params).status == 403
            assert "|revoke-refused|" in service.audit()[-1]
        assert revoke(service, first, jti=claims(first)["jti"]).status == 200
        assert not good(service, first) and good(service, second)
        assert revoke(service, second, login=RED).status == 200
        assert not good(service, second)


def test_logout_ends_the_access_token(node):
    with Service(node) as service:
        tokens = login(service, RED).json()
        assert service.curl("/v2/auth", "-X", "DELETE", "-d",
                            "refresh_token=" + tokens["refresh_token"],
                            token=tokens["access_token"]).status == 200
        assert not good(service, tokens["access_token"])
        assert "|logout|" in service.audit()[-2]


def test_made_up_revocations_have_a_limit(node):
    with Service(node) as service:
        administrator, user = [login(service, name).json()["access_token"]
                               for name in (ADMIN, RED)]
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db, db:
            db.executemany("INSERT INTO revocations (kind, subject, tenant, "
                           "before, made) VALUES ('jti', ?, 'red', 0, ?)",
                           [("x%d" % i, int(time.time()))
                            for i in range(10000)])
        for params in {"jti": "one-more"}, {"login": "x@red.example"}:
            answer = revoke(service, administrator, **params)
            assert (answer.status, "ALL=1" in answer.json()["message"]) == (
                409, True), answer
            check_described("/v2/auth/revocations", "post", answer)
            assert revoke(service, service.token(ROOT), **params).status == 200
        # nor in other letters
        for name in RED, RED.upper(), RED.capitalize():
            assert revoke(service, service.token(RED, 2, "red"),
                          login=name, before=1).status == 200
        with contextlib.closing(sqlite3.connect(
                service.dir / "journal.db")) as db:
            assert db.execute("SELECT count(*) FROM revocations WHERE subject "
                              "= ? COLLATE NOCASE", (RED,)).fetchone() == (1,)
        # what there is, and all
        assert revoke(service, administrator,
                      jti=claims(user)["jti"]).status == 200
        assert not good(service, user)
        assert revoke(service, administrator, all=1).status == 200
        assert not good(service, administrator)


def test_bad_revocations(service):
    root = service.token(ROOT)
    future = int(time.time()) + 1000
    for params in ({}, {"all": 0}, {"login": RED, "jti": "x"},
                   {"login": RED, "all": 1}, {"login": "*"}, {"login": ""},
                   {"jti": ""}, {"jti": "x" * 256}, {"jti": "a\nb"},
                   {"all": 1, "before": future}, {"all": 1, "before": "x"},
                   {"jti": "x", "before": 5}, {"login": RED, "until": 5}):
        assert revoke(service, root, **params).status == 400, params
    assert good(service, root)
    assert revoke(service, None, login=RED).status == 401


def test_revocation_that_cannot_be_journalled(node):
    with Service(node) as service:
        red = service.token(RED, 2, "red")
        journal = sqlite3.connect(service.dir / "journal.db")
        journal.execute("CREATE TRIGGER full BEFORE INSERT ON revocations "
                        "BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        journal.commit()
        journal.close()
        answer = revoke(service, service.token(ROOT), login=RED)
        assert answer.status == 503
        # what a restart would forget is not promised
        assert good(service, red)


# keys


OLD_KEY = "the-key-before-that-has-more-than-32-octets-too"


def header_of(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_key_is_rotated(node):
    with Service(node, auth__jwt_key=OLD_KEY) as service:
        before = login(service, RED).json()["access_token"]
        assert "kid" not in header_of(before)
        service.set(auth__jwt_key=JWT_KEY, auth__jwt_key_id="2026-11",
                    auth__jwt_old_key=OLD_KEY)
        assert service.reload() == "reloaded"
        assert good(service, before)
        after = login(service, RED).json()["access_token"]
        assert header_of(after)["kid"] == "2026-11"
        assert good(service, after)
        # the old key makes no tokens of the new one's name
        refused(service, service.token(key=OLD_KEY, header={
            "alg": "HS256", "kid": "2026-11"}))
        service.set(auth__jwt_old_key=None)
        assert service.reload() == "reloaded"
        refused(service, before)
        assert good(service, after)


def test_key_ids(node):
    with Service(node, auth__jwt_key_id="new", auth__jwt_old_key=OLD_KEY,
                 auth__jwt_old_key_id="old") as service:
        def token(key, kid=None):
            header = {"alg": "HS256"}
            if kid is not None:
                header["kid"] = kid
            return service.token(key=key, header=header)

        for args in ((JWT_KEY, "new"), (OLD_KEY, "old"), (JWT_KEY,),
                     (OLD_KEY,)):
            assert good(service, token(*args)), args
        for args in ((JWT_KEY, "old"), (OLD_KEY, "new"), (JWT_KEY, "other"),
                     (JWT_KEY, ""), (JWT_KEY, 5), ("x" * 40,)):
            refused(service, token(*args))
        # a key without a name may have any but that of the other one
        service.set(auth__jwt_key_id=None)
        assert service.reload() == "reloaded"
        for args in ((JWT_KEY, "new"), (JWT_KEY,), (OLD_KEY, "old")):
            assert good(service, token(*args)), args
        refused(service, token(JWT_KEY, "old"))
        refused(service, token(OLD_KEY, "new"))


def test_issuer_and_audience(node):
    with Service(node, auth__jwt_issuer="https://sso.example",
                 auth__jwt_audience="recall") as service:
        right = {"iss": "https://sso.example", "aud": "recall"}
        assert good(service, service.token(**right))
        assert good(service, service.token(
            **{**right, "aud": ["mail", "recall"]}))
        for wrong in ({"iss": LEFT_OUT}, {"iss": "https://sso.example/"},
                      {"iss": 1}, {"iss": ["https://sso.example"]},
                      {"aud": LEFT_OUT}, {"aud": "Recall"}, {"aud": []},
                      {"aud": ["mail", 1]}, {"aud": {"recall": 1}}):
            refused(service, service.token(**{**right, **wrong}))
        mine = login(service, RED).json()["access_token"]
        assert good(service, mine)
        assert claims(mine)["iss"] == "https://sso.example"
        assert claims(mine)["aud"] == "recall"
    with Service(node) as service:
        assert good(service, service.token(iss="x", aud="y"))


def test_settings_of_old_keys(node):
    service = Service(node, auth__jwt_old_key="short")
    assert "auth.jwt_old_key: is shorter" in service.check_config().stderr
    service.set(auth__jwt_old_key=OLD_KEY, auth__jwt_key_id="a",
                auth__jwt_old_key_id="a")
    assert "auth.jwt_old_key_id: is that" in service.check_config().stderr


def test_refresh_tokens_survive_a_restart_and_are_hashed(node):
    with Service(node) as service:
        tokens = login(service, RED).json()
        service.stop()
        for path in service.dir.glob("journal.db*"):
            assert tokens["refresh_token"].encode() not in path.read_bytes()
        service.start()
        assert refresh(service, tokens["access_token"],
                       tokens["refresh_token"]).status == 200


def test_refresh_token_expires(node):
    with Service(node, auth__refresh_token_exp_time=1) as service:
        tokens = login(service, RED).json()
        with contextlib.closing(sqlite3.connect(service.dir /
                                                "journal.db")) as db:
            [[expires]] = db.execute("SELECT expires FROM refresh_tokens")
        # the service's time(), of whole seconds, is up to a tick behind
        wait_for(lambda: time.time() >= expires + 0.1)
        assert refresh(service, tokens["access_token"],
                       tokens["refresh_token"]).status == 401


def test_brute_force(node):
    with Service(node, bruteforce__max_attempts=3, bruteforce__penalty=600,
                 http__trusted_proxies="127.0.0.1") as service:
        def attempt(source, password):
            return service.curl("/v2/auth", "-H",
                                "X-Forwarded-For: 6.6.6.6, " + source, "-d",
                                "login=" + ROOT, "-d",
                                "password=" + password)

        # a right one neither counts nor makes up for wrong ones
        for i in range(3):
            assert attempt("192.0.2.1", "secret").status == 200
            assert attempt("192.0.2.1", "wrong").status == 401
        blocked = attempt("192.0.2.1", "secret")
        assert blocked.status == 429
        assert blocked.body == b'{"message": "TOO MANY ATTEMPTS"}'
        assert 0 < int(blocked.headers["retry-after"]) <= 600
        # only that address
        assert attempt("192.0.2.2", "secret").status == 200
        # a whole /64 is one attacker
        for i in range(3):
            assert attempt("2001:db8::%d" % i, "wrong").status == 401
        assert attempt("2001:db8::ffff", "secret").status == 429
        assert attempt("2001:db8:0:1::1", "secret").status == 200


def test_brute_force_at_once(node):
    with Service(node, bruteforce__max_attempts=2) as service:
        curls = [subprocess.Popen(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
             "-d", "login=" + ROOT, "-d", "password=wrong",
             service.url + "/v2/auth"], stdout=subprocess.PIPE)
            for i in range(8)]
        codes = sorted(curl.communicate()[0] for curl in curls)
        assert codes == [b"401"] * 2 + [b"429"] * 6


def test_forwarded_for_of_strangers_is_not_believed(node):
    with Service(node, bruteforce__max_attempts=1) as service:
        service.curl("/v2/auth", "-H", "X-Forwarded-For: 192.0.2.1", "-d",
                     "login=" + ROOT, "-d", "password=wrong")
        assert login(service, ROOT).status == 429


def sources(service):
    return [re.search(r" src=(\S+)", line).group(1)
            for line in service.audit()]


def test_forwarded_for_in_several_lines(node):
    """Some proxies add a line of their own after the client's."""
    with Service(node, http__trusted_proxies="127.0.0.1") as service:
        service.curl("/v2/auth", "-H", "X-Forwarded-For: 192.0.2.1", "-H",
                     "X-Forwarded-For: 192.0.2.2", "-d", "login=" + ROOT,
                     "-d", "password=wrong")
        assert sources(service) == ["192.0.2.2"]


def test_forwarded_for_that_is_not_understood(node):
    """What stands before it is the client's."""
    with Service(node, http__trusted_proxies="127.0.0.1") as service:
        for hop in "192.0.2.2:1234", "unknown":
            service.curl("/v2/auth", "-H", "X-Forwarded-For: 192.0.2.1, " +
                         hop, "-d", "login=" + ROOT, "-d", "password=wrong")
        assert sources(service) == ["127.0.0.1"] * 2


@pytest.mark.parametrize("proxies", [
    "192.0.2.9 ::FFFF:127.0.0.1", "0:0:0:0:0:ffff:7f00:1,2001:DB8::1"])
def test_proxy_that_is_written_in_another_way(node, proxies):
    with Service(node, http__trusted_proxies=proxies) as service:
        service.curl("/v2/auth", "-H", "X-Forwarded-For: 192.0.2.2", "-d",
                     "login=" + ROOT, "-d", "password=wrong")
        assert sources(service) == ["192.0.2.2"]


@pytest.mark.skipif(not pathlib.Path("/proc/net/if_inet6").exists(),
                    reason="there is no IPv6")
def test_proxy_of_ipv4_at_a_socket_of_ipv6(node):
    with Service(node, http__trusted_proxies="127.0.0.1",
                 http__address="::ffff:127.0.0.1") as service:
        service.curl("/v2/auth", "-H", "X-Forwarded-For: 192.0.2.2", "-d",
                     "login=" + ROOT, "-d", "password=wrong")
        service.curl("/v2/auth", "-d", "login=" + ROOT, "-d",
                     "password=wrong")
        assert sources(service) == ["192.0.2.2", "127.0.0.1"]


# roles


def test_super_administrator(node, service):
    messageid = deliver(node, [RED, BLUE])
    answer = service.recall(service.token(ROOT, 3), messageid, [RED, BLUE])
    assert statuses(answer) == {RED: "expunged", BLUE: "expunged"}


def test_administrator_of_a_tenant(node, service):
    messageid = deliver(node, [RED, BLUE])
    token = service.token(ADMIN, 1, "red")
    answer = service.recall(token, messageid, [RED, BLUE])
    assert statuses(answer) == {RED: "expunged", BLUE: "forbidden"}
    assert has(node, BLUE, messageid)


@pytest.mark.parametrize("tenant", ["", LEFT_OUT, "default"])
def test_who_names_no_tenant_is_of_the_default_one(node, service, tenant):
    none, named = "none@plain.example", "named@plain.example"
    node.add_user(none)
    node.add_user(named, tenant_id="default")
    messageid = deliver(node, [RED, none, named])
    token = service.token(ADMIN, 1, **{"tenant-id": tenant})
    answer = service.recall(token, messageid, [RED, none, named])
    assert statuses(answer) == {RED: "forbidden", none: "expunged",
                                named: "expunged"}
    assert has(node, RED, messageid)
    # one of another tenant has no part in it
    other = service.token(ADMIN, 1, "red")
    answer = service.recall(other, messageid, [none, named])
    assert set(statuses(answer).values()) == {"forbidden"}


def test_login_of_a_user_without_a_tenant(node, service):
    for login, tenant in ("none@login.example", {}), \
            ("empty@login.example", {"tenant_id": ""}):
        node.add_user(login, role="1", **tenant)
        answer = service.curl("/v2/auth", "-d", "login=" + login, "-d",
                              "password=" + PASSWORD)
        assert answer.json()["tenant-id"] == "default"


def test_recalls_of_no_tenant_are_of_the_default_one(node):
    """A journal of the version before."""
    with Service(node) as service:
        recall = service.recall(service.token(ADMIN, 1, "default"), "<a@b>",
                                ["x@plain.example"]).json()["id"]
        assert service.stop() == 0
        with sqlite3.connect(service.dir / "journal.db") as journal:
            journal.execute("UPDATE recalls SET tenant = ''")
        service.start()
        token = service.token("another@plain.example", 1)
        assert service.curl("/v2/actions/" + recall, token=token).status == 200
        listed = service.curl("/v2/actions", token=token).json()["actions"]
        assert [action["id"] for action in listed] == [recall]


def test_user_recalls_own_mail_only(node, service):
    token = service.token(RED, 2, "red")
    for sender in RED, "r@red.example", "first@red.example":
        messageid = deliver(node, [RED2, BLUE], sender)
        answer = service.recall(token, messageid, [RED2, BLUE])
        assert statuses(answer) == {RED2: "expunged", BLUE: "expunged"}
    for sender in BLUE, "Red <%s>" % BLUE, '"%s" <%s>' % (RED, BLUE):
        messageid = deliver(node, [RED2], sender)
        answer = service.recall(token, messageid, [RED2])
        assert statuses(answer) == {RED2: "not_sender"}
        assert has(node, RED2, messageid)


def test_user_may_not_force(node, service):
    answer = service.recall(service.token(RED, 2, "red"), "<a@b>", [RED2],
                            force=1)
    assert answer.status == 403
    assert answer.body == FORBIDDEN


def test_user_that_is_gone(service):
    answer = service.recall(service.token("gone@red.example", 2), "<a@b>",
                            [RED2])
    assert answer.status == 403
    assert answer.body == FORBIDDEN


def test_user_whose_name_is_a_mask(node, service):
    since = node.log_size()
    for login in "*", "*@red.example", "red?@red.example":
        answer = service.recall(service.token(login, 2), "<a@b>", [RED2])
        assert answer.status == 403
        assert answer.body == FORBIDDEN
    node.settle_log()
    assert node.executed(since) == []


def test_users_may_not_recall_by_default(node):
    with Service(node) as service:
        token = service.token(RED, 2, "red")
        answer = service.recall(token, "<a@b>", [RED2])
        assert answer.status == 403
        assert answer.body == FORBIDDEN
        # administrators still may
        assert service.recall(service.token(), "<a@b>",
                              [RED2]).status == 200
        service.set(auth__revoke_email="True", auth__force_revoke="true")
        assert service.reload() == "reloaded"
        messageid = deliver(node, [RED2], RED)
        node.set_flags(RED2, "INBOX", ["\\Seen"])
        answer = service.recall(token, messageid, [RED2], force=1)
        assert statuses(answer) == {RED2: "expunged"}


def test_past_recalls_of_others(node, service):
    def make(token):
        return service.recall(token, deliver(node, [RED], RED),
                              [RED]).json()["id"]

    root = service.token(ROOT, 3)
    red_admin = service.token(ADMIN, 1, "red")
    blue_admin = service.token("admin@blue.example", 1, "blue")
    red = service.token(RED, 2, "red")
    recalls = {root: make(root), red_admin: make(red_admin), red: make(red)}

    def sees(token):
        listed = {action["id"] for action in service.curl(
            "/v2/actions?limit=1000", token=token).json()["actions"]}
        for recall_id in recalls.values():
            asked = service.curl("/v2/actions/" + recall_id, token=token)
            assert asked.status == (200 if recall_id in listed else 404)
        return {token for token, recall_id in recalls.items()
                if recall_id in listed}

    assert sees(root) == {root, red_admin, red}
    assert sees(red_admin) == {red_admin, red}
    assert sees(blue_admin) == set()
    assert sees(red) == {red}
    assert sees(service.token(RED2, 2, "red")) == set()


def test_tokens_of_the_helper(service):
    # what the tests sign is what the service signs
    issued = login(service, ROOT).json()["access_token"].split(".")
    assert len(issued) == 3
    claims = json.loads(base64.urlsafe_b64decode(
        issued[1] + "=" * (-len(issued[1]) % 4)))
    again = jwt(claims, header={"alg": "HS256", "typ": "JWT"})
    assert service.curl("/v2/actions", token=again).status == 200
