"""Sign-in to the console by an OpenID provider."""

import contextlib
import re
import sqlite3
import urllib.parse
import urllib.request

import pytest

from browser import Browser
from httpserver import Handler, HttpServer
from issuer import Issuer, Key
from mailnode import free_port
from servicenode import RecallNode, Service, curl

ADMIN, STRANGER = "admin@example.com", "stranger@example.net"
OTHER = "other@example.com"
BEGIN, CALLBACK = "/console/oidc", "/console/oidc/callback"


@pytest.fixture(scope="module")
def node():
    with RecallNode(users={ADMIN: {"role": "3", "tenant_id": "red"},
                           OTHER: {"role": "3"}}) as node:
        yield node


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return Key(tmp_path_factory.mktemp("keys"), "first")


@pytest.fixture
def issuer(key):
    with Issuer(key) as issuer:
        issuer.claims["email"] = ADMIN
        yield issuer
        assert issuer.problems == []


def start(node, issuer, **more):
    return Service(node, **{
        "oidc__issuer": issuer.url, "oidc__name": "Example Staff",
        "oidc__client_id": issuer.CLIENT,
        "oidc__client_secret": issuer.SECRET,
        "oidc__redirect_url": "http://127.0.0.1:1" + CALLBACK, **more})


def with_port(service):
    """Where it listens is known only now."""
    service.set(oidc__redirect_url=service.url + CALLBACK)
    service.reload()
    return service


@pytest.fixture
def service(node, issuer):
    """Where the userdb has the roles."""
    with start(node, issuer) as service:
        yield with_port(service)


@pytest.fixture
def claimed(node, issuer):
    """Where the provider has them."""
    with start(node, issuer, oidc__role_claim="groups",
               oidc__tenant_claim="tenant", oidc__role_super="soc",
               oidc__role_admin="helpdesk managers", oidc__role_user="staff",
               oidc__session_time=3600) as service:
        yield with_port(service)


class Flow:
    """What a browser does."""

    name, path = "recall_oidc", BEGIN

    def __init__(self, service):
        self.service = service
        self.cookie = None

    def begin(self):
        answer = self.service.curl(BEGIN)
        assert answer.status == 302, answer
        cookie = answer.cookies[self.name]
        for word in "Secure", "HttpOnly", "SameSite=Lax", "Path=" + self.path:
            assert word in cookie.split("; ")
        self.cookie = cookie.split(";")[0]
        return answer.headers["location"]

    @staticmethod
    def authorize(url):
        """The query with which the provider sends the browser back."""
        return urllib.parse.urlsplit(curl(url).headers["location"]).query

    def back(self, query):
        cookie = ("-H", "Cookie: " + self.cookie) if self.cookie else ()
        return self.service.curl(CALLBACK + "?" + query, *cookie)

    def run(self):
        return self.back(self.authorize(self.begin()))


def resume(service, answer):
    """What the page gets by the cookie of the answer."""
    assert answer.status == 302, answer
    assert answer.headers["location"] == "/console/", service.log()
    for word in "Secure", "HttpOnly", "SameSite=Strict", \
                "Path=/console/session":
        assert word in answer.cookies["recall_session"]
    return service.curl(
        "/console/session", "-d", "", "-H", "X-Recall-Console: 1", "-H",
        "Cookie: " + answer.cookies["recall_session"].split(";")[0])


def is_refused(service, answer, why):
    assert answer.status == 302, answer
    assert answer.headers["location"] == "/console/?signin=failed"
    assert "recall_session" not in answer.cookies
    assert "Max-Age=0" in answer.cookies["recall_oidc"]
    assert why in service.log()
    assert service.audit()[-1].split("|")[4] == "login-refused"
    return True


def test_role_of_the_userdb(service):
    page = resume(service, Flow(service).run()).json()
    assert (page["login"], page["role"], page["tenant-id"]) == \
        (ADMIN, 3, "red")
    assert service.curl("/v2/actions", token=page["access_token"]).status == 200
    assert [line.split("|")[4] for line in service.audit()] == \
        ["login", "refresh"]


def test_provider_adds_what_it_likes(service):
    flow = Flow(service)
    query = flow.authorize(flow.begin()) + "&session_state=1&client_info=e%2B"
    assert resume(service, flow.back(query)).json()["login"] == ADMIN


class Proxy(Handler):
    """Passes on what it is asked for."""

    def do_GET(self):
        self.server.seen.append(self.path)
        length = int(self.headers.get("Content-Length", 0))
        asked = urllib.request.Request(
            self.path, self.rfile.read(length) if length else None,
            {name: self.headers[name] for name in
             ("Authorization", "Content-Type") if name in self.headers})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(asked) as answer:
            body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


def test_proxy(node, issuer):
    """That of the settings, none of the environment."""
    nobody = "http://127.0.0.1:%d" % free_port()
    environment = {"http_proxy": nobody, "all_proxy": nobody}
    with start(node, issuer, environment=environment) as service:
        assert resume(service, Flow(with_port(service)).run()).status == 200
    environment = {"http_proxy": nobody, "no_proxy": "*"}
    with HttpServer(Proxy) as proxy, start(
            node, issuer, environment=environment,
            oidc__proxy="http://127.0.0.1:%d" % proxy.port) as service:
        proxy.server.seen = []
        assert resume(service, Flow(with_port(service)).run()).status == 200
        assert {urllib.parse.urlsplit(url).path for url in
                proxy.server.seen} == {
            "/.well-known/openid-configuration", "/keys", "/token"}


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://127.0.0.1",
                                   "http://a:b@127.0.0.1"])
def test_what_is_no_proxy(node, issuer, proxy):
    done = start(node, issuer, oidc__proxy=proxy).check_config()
    assert done.returncode == 78
    assert "oidc.proxy: " in done.stderr


def test_who_is_no_user(service, issuer):
    issuer.claims["email"] = STRANGER
    assert is_refused(service, Flow(service).run(), "no such user")


@pytest.mark.parametrize("groups, role", [
    ("soc", 3), (["all", "managers"], 1), (["staff", "helpdesk"], 1),
    (["staff"], 2)])
def test_role_of_a_claim(claimed, issuer, groups, role):
    issuer.claims.update(email=STRANGER, groups=groups, tenant="blue")
    answer = Flow(claimed).run()
    page = resume(claimed, answer)
    assert page.status == 200, page
    assert (page.json()["role"], page.json()["tenant-id"],
            page.json()["login"]) == (role, "blue", STRANGER)
    # and the session does not last longer by being used
    age = int(re.search(r"Max-Age=(\d+)",
                        page.cookies["recall_session"]).group(1))
    assert 3000 < age <= 3600
    database = sqlite3.connect(claimed.dir / "journal.db")
    with database:
        database.execute("UPDATE refresh_tokens SET expires = expires - 1800")
    database.close()
    again = claimed.curl(
        "/console/session", "-d", "", "-H", "X-Recall-Console: 1", "-H",
        "Cookie: " + page.cookies["recall_session"].split(";")[0])
    age = int(re.search(r"Max-Age=(\d+)",
                        again.cookies["recall_session"]).group(1))
    assert 1200 < age <= 1800


@pytest.mark.parametrize("claims, why", [
    ({"groups": ["others"]}, "has no role here"),
    ({"groups": None}, "has no role here"),
    ({"groups": {"soc": 1}}, "has no role here"),
    ({"tenant": None}, "names no tenant"),
    ({"tenant": ""}, "names no tenant"),
    ({"tenant": ["blue"]}, "names no tenant"),
])
def test_claims_that_give_no_role(claimed, issuer, claims, why):
    issuer.claims.update(groups="soc", tenant="blue")
    issuer.claims.update(claims)
    assert is_refused(claimed, Flow(claimed).run(), why)


@pytest.mark.parametrize("claims, why", [
    ({"iss": "http://elsewhere.example"}, "another issuer (iss)"),
    ({"aud": "somebody else"}, "somebody else (aud)"),
    ({"aud": ["recall", "other"]}, "somebody else (azp)"),
    ({"azp": "other"}, "somebody else (azp)"),
    ({"nonce": "0" * 64}, "another sign-in (nonce)"),
    ({"nonce": None}, "another sign-in (nonce)"),
    ({"exp": 1}, "is expired"),
    ({"exp": None}, "no valid exp"),
    ({"iat": 99999999999}, "not valid yet"),
    ({"email_verified": False}, "not verified"),
    ({"email_verified": "true"}, "not verified"),
    ({"email": None}, "names no login"),
    ({"email": "a@example.com,b@example.com"}, "names no login"),
])
def test_tokens_that_are_not_for_us(service, issuer, claims, why):
    issuer.claims.update(claims)
    assert is_refused(service, Flow(service).run(), why)


@pytest.mark.parametrize("header", [
    {"alg": "none"}, {"alg": "HS256"}, {"alg": None}, {"kid": "another"},
    {"crit": ["exp"]}, {"typ": "at+jwt"}])
def test_headers_that_are_wrong(service, issuer, header):
    issuer.header.update(header)
    assert is_refused(service, Flow(service).run(), "not signed")


def test_signed_by_somebody_else(service, issuer, key, tmp_path):
    issuer.signer = Key(tmp_path, key.name, key.algorithm)
    assert is_refused(service, Flow(service).run(), "not signed")


def test_several_keys_and_no_name(service, issuer, key, tmp_path):
    """Which one is it?"""
    issuer.header["kid"] = None
    resume(service, Flow(service).run())
    issuer.keys.append(Key(tmp_path, "second", key.algorithm))
    service.stop()
    service.start()
    with_port(service)
    assert is_refused(service, Flow(service).run(), "not signed")


def test_keys_change(service, issuer, tmp_path):
    """Keys are kept a while, but not against a token of a new one."""
    resume(service, Flow(service).run())
    for algorithm in "ES256", "RS256":
        issuer.keys = [Key(tmp_path, "new " + algorithm, algorithm)]
        resume(service, Flow(service).run())
        issuer.signer = Key(tmp_path, "a stranger's", algorithm)
        issuer.header["kid"] = "new " + algorithm
        assert is_refused(service, Flow(service).run(), "not signed")
        issuer.signer = None
        issuer.header.clear()


def test_another_sign_in(service):
    """A link can't sign somebody in as somebody else."""
    mine, other = Flow(service), Flow(service)
    query = other.authorize(other.begin())
    mine.begin()
    assert is_refused(service, mine.back(query), "another sign-in (state)")
    mine.cookie = None
    assert is_refused(service, mine.back(query), "was not begun here")
    for cookie in "recall_oidc=", "recall_oidc=" + "x" * 194:
        mine.cookie = cookie
        assert is_refused(service, mine.back(query), "was not begun here")


class HttpsFlow(Flow):
    name, path = "__Host-recall_oidc", "/"


def test_cookie_of_another_host(service):
    """Who comes by https, here to what stands before the service, has a cookie
    that no other host of its domain can set: the other name is not looked
    at."""
    service.set(oidc__redirect_url="https://recall.example.com" + CALLBACK)
    service.reload()
    flow = HttpsFlow(service)
    query = flow.authorize(flow.begin())
    cookie = flow.cookie
    flow.cookie = cookie[len("__Host-"):]
    answer = flow.back(query)
    assert answer.headers["location"] == "/console/?signin=failed"
    assert "was not begun here" in service.log()
    gone = answer.cookies[HttpsFlow.name].split("; ")
    assert "Max-Age=0" in gone and "Path=/" in gone and "Secure" in gone
    assert not any(word.startswith("Domain") for word in gone)
    flow.cookie = cookie
    resume(service, flow.back(query))


def test_code_is_good_once(service):
    flow = Flow(service)
    query = flow.authorize(flow.begin())
    resume(service, flow.back(query))
    assert is_refused(service, flow.back(query), "answered status 400")


@pytest.mark.parametrize("change, why", [
    (lambda query: query.replace("code=", "error="), None),
    (lambda query: query + "&iss=http%3A%2F%2Felsewhere", "issuer (iss)"),
    (lambda query: re.sub("code=[^&]*", "code=", query), "has no code"),
    (lambda query: re.sub("code=[^&]*", "code=x", query), "status 400"),
])
def test_answers_that_are_wrong(service, change, why):
    flow = Flow(service)
    query = change(flow.authorize(flow.begin()))
    assert is_refused(service, flow.back(query), why or "login from")


def test_provider_says_no(service, issuer):
    issuer.refuse = "access_denied"
    assert is_refused(service, Flow(service).run(), "access_denied")


@pytest.mark.parametrize("metadata, why", [
    ({"issuer": "http://elsewhere.example"}, "another issuer"),
    ({"authorization_endpoint": None}, "no authorization_endpoint"),
    ({"authorization_endpoint": "javascript:alert(1)"},
     "no authorization_endpoint"),
])
def test_provider_that_is_wrong(service, issuer, metadata, why):
    issuer.metadata = metadata
    answer = service.curl(BEGIN)
    assert is_refused(service, answer, why)
    # and is right now
    issuer.metadata = {}
    assert resume(service, Flow(service).run()).status == 200


def test_provider_that_is_away(node, key):
    with Issuer(key) as issuer:
        pass
    with start(node, issuer) as service:
        assert is_refused(service, service.curl(BEGIN), issuer.url)


def test_off(node):
    with Service(node) as service:
        for path in BEGIN, CALLBACK + "?code=x&state=y":
            assert service.curl(path).status == 404
        page = service.curl("/console/session", "-d", "", "-H",
                            "X-Recall-Console: 1").json()
        assert page == {"access_token": None, "provider": None}


@pytest.mark.parametrize("more, why", [
    ({"oidc__issuer": "http://login.example.com"}, "in the clear"),
    ({"oidc__redirect_url": "https://recall.example.com/console/"},
     "does not end with"),
    ({"oidc__client_id": ""}, "oidc.client_id"),
    ({"oidc__tenant_claim": "t"}, "oidc.tenant_claim"),
    ({"oidc__role_claim": "groups"}, "oidc.role_claim"),
    ({"console__enabled": "no"}, "console.enabled"),
])
def test_settings_that_cannot_be(node, issuer, more, why):
    done = start(node, issuer, **more).check_config()
    assert done.returncode != 0
    assert why in done.stderr


def test_secret_from_a_file(node, issuer, tmp_path):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(issuer.SECRET + "\n")
    with start(node, issuer, oidc__client_secret=None,
               oidc__client_secret_file=secret) as service:
        resume(with_port(service), Flow(service).run())
    assert issuer.SECRET not in service.log()


def test_in_a_browser(service, issuer):
    with Browser(service.url) as browser:
        browser.open()
        browser.wait_heading("Sign in")
        issuer.refuse = "access_denied"
        browser.push("Sign in with Example Staff")
        browser.wait_text("That sign-in did not work.")
        issuer.refuse = None
        browser.push("Sign in with Example Staff")
        browser.wait_heading("Find and recall")
        browser.wait_text(ADMIN)
        # of those that go to other pages, too
        assert [each["name"] for each in browser.driver.get_cookies()] == [
            "recall_session_mark"]
        browser.push("Sign out")
        browser.wait_heading("Sign in")
        # that is over
        assert "That sign-in did not work." not in browser.text()
        browser.push("Sign in with Example Staff")
        browser.wait_heading("Find and recall")
        browser.driver.refresh()
        browser.wait_heading("Find and recall")
        browser.push("Sign out")
        browser.wait_heading("Sign in")
        browser.push("Sign in with Example Staff")
        browser.wait_heading("Find and recall")
        assert browser.complaints() == []


def test_in_a_browser_whose_session_has_ended(service):
    """An administrator has ended it; there is a way back."""
    with Browser(service.url) as browser:
        browser.open()
        browser.push("Sign in with Example Staff")
        browser.wait_heading("Find and recall")
        assert service.curl("/v2/auth/revocations", "-d", "login=" + ADMIN,
                            token=service.token()).status == 200
        browser.driver.refresh()
        browser.wait_heading("Sign in")
        assert service.audit()[-1].split("|")[4] == "refresh-refused"
        assert "Staff" not in service.audit()[-1]
        browser.push("Sign in with Example Staff")
        browser.wait_heading("Find and recall")


def test_in_a_browser_where_somebody_else_is_signed_in(service):
    """In another tab: that session ends, as it does by a password."""
    with Browser(service.url) as browser:
        browser.open()
        browser.wait_heading("Sign in")
        first = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("tab")
        browser.open()
        browser.wait_heading("Sign in")
        browser.sign_in(OTHER, "secret")
        browser.wait_heading("Find and recall")
        browser.driver.switch_to.window(first)
        browser.push("Sign in with Example Staff")
        browser.wait_text(ADMIN)
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db")) as db:
        assert db.execute("SELECT DISTINCT login FROM refresh_tokens"
                          ).fetchall() == [(ADMIN,)]


def test_in_a_browser_over_tls(node, issuer, certificates):
    """Which takes the cookie for what its name says."""
    tls = {"http__tls_" + name + "_file": certificates / (name + ".pem")
           for name in ("cert", "key")}
    with start(node, issuer, **tls) as service, \
            Browser(with_port(service).url,
                    ["--ignore-certificate-errors"]) as browser:
        browser.open()
        browser.push("Sign in with Example Staff")
        browser.wait_heading("Find and recall")
        browser.wait_text(ADMIN)
