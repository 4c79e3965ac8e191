"""The console in browsers that keep nothing, or keep too much; behind what answers
in the service's place; and whoever takes somebody's place in a browser."""

import contextlib
import sqlite3

import pytest

from browser import Browser
from forward import Before
from mailnode import build_message
from screenshots import sign_in
from servicenode import Answer, RecallNode, Service

SECURITY, ADMIN, SENDER = "sec@example.com", "adm@example.com", "dan@example.com"
BEGIN = {SECURITY: "Find and recall", ADMIN: "Find and recall",
         SENDER: "Take back a message"}
CONSOLE = "-H", "X-Recall-Console: 1"


@pytest.fixture(scope="module")
def node():
    with RecallNode(users={SECURITY: {"role": "3"}, ADMIN: {"role": "1"},
                           SENDER: {"role": "2"}},
                    extra="auth_failure_delay = 0\n") as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service


@pytest.fixture
def browser(service):
    with Browser(service.url) as browser:
        yield browser


def enter(browser, login):
    sign_in(browser, login, BEGIN[login])


def run(browser, script, *args):
    return browser.driver.execute_script(script, *args)


def take_back(browser, node, message_id):
    node.lmtp_deliver([SECURITY], build_message(message_id, sender=SENDER))
    browser.fill("messageid", message_id)
    browser.fill("emails", SECURITY)
    browser.push("Take back")
    browser.wait_heading("Recall")
    browser.wait_text("1 of 1 users looked at.")


# what browsers keep


def test_site_storage_is_blocked(service, node):
    """And with it cookies: one is signed in as long as the page is there."""
    with Browser(service.url, prefs=[(
            "profile.default_content_setting_values.cookies", 2)]) as browser:
        enter(browser, SENDER)
        with pytest.raises(Exception, match="denied"):
            run(browser, "localStorage.getItem('x')")
        take_back(browser, node, "<blocked@example.net>")
        browser.push("Sign out")
        browser.wait_heading("Sign in")


def test_no_channel(service, node):
    """As where a browser lacks what tells other tabs."""
    with Browser(service.url) as browser:
        browser.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument",
            {"source": "delete window.BroadcastChannel"})
        enter(browser, SENDER)
        browser.push("Sign out")
        browser.wait_heading("Sign in")


def test_site_storage_is_full(browser, node):
    """By the recalls of a long day; the next one is told of all the same."""
    enter(browser, SENDER)
    run(browser, """
        for (let size = 1 << 24; size >= 1; size /= 2) {
            for (const store of [localStorage, sessionStorage]) {
                try {
                    store.setItem("full" + size, "x".repeat(size));
                } catch { /* nearly */ }
            }
        }""")
    take_back(browser, node, "<full@example.net>")
    browser.driver.refresh()
    browser.wait_heading("Recall")


def test_another_application_of_the_host(browser):
    """What it tells its own tabs is not for these."""
    enter(browser, SENDER)
    run(browser, "new BroadcastChannel('session').postMessage('bye')")
    browser.push("My sessions")
    browser.wait_heading("My sessions")


def test_page_that_was_left(browser, service):
    """It does not come back as it was to whoever is there next."""
    enter(browser, SENDER)
    browser.push("My sessions")
    browser.wait_text(SENDER)
    browser.driver.get(service.url + "/v2/health")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open()
    browser.wait_text(SENDER)
    browser.push("Sign out")
    browser.wait_heading("Sign in")
    browser.driver.switch_to.window(first)
    browser.driver.back()
    browser.wait_heading("Sign in")


# what answers in the service's place


class Proxy(Before):
    """Answers itself what is asked of the session."""

    answer = None

    def change(self, method, path, answer):
        return self.answer if self.answer and path.endswith("/session") else \
            answer


ANSWERS = {
    "HTTP 502": Answer(502, {"content-type": "text/html"}, b"<p>Bad", {}),
    "HTTP 503": Answer(503, {"content-type": "text/html"}, b"<p>Away", {}),
    "HTTP 200 text/html": Answer(200, {"content-type": "text/html"},
                                 b"<p>Welcome to this network", {}),
}


@pytest.mark.parametrize("said", ANSWERS)
def test_somebody_else_answers(service, said):
    """The page says so, as long as it is so, and what one has typed is there."""
    with Proxy(service) as proxy, Browser(proxy.url) as browser:
        proxy.answer = ANSWERS[said]
        browser.open()
        browser.wait_heading("Sign in")
        browser.wait_text(said)
        browser.sign_in(SENDER, "secret")
        browser.wait(lambda: run(browser, "return !document.querySelector("
                                 "'button.primary').disabled"), "busy")
        browser.wait_text(said)
        proxy.answer = None
        browser.push("Sign in")
        browser.wait_heading("Take back a message")
        assert "did not work" not in browser.text()


def test_sign_in_of_another_did_not_work(browser):
    """Who is signed in is told, and is not when signing out."""
    enter(browser, SENDER)
    browser.open("?signin=failed")
    browser.wait_heading("Take back a message")
    browser.wait_text("That sign-in did not work.")
    browser.push("Sign out")
    browser.wait_heading("Sign in")
    assert "That sign-in did not work." not in browser.text()


# whose place somebody takes


def families(service, login):
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db")) as db:
        return {family for family, in db.execute(
            "SELECT family FROM refresh_tokens WHERE login = ?", [login])}


def log_in(service, login, *args, password="secret"):
    answer = service.curl("/console/session", *CONSOLE, "-d", "login=" + login,
                          "-d", "password=" + password, *args)
    return answer, answer.cookies.get("recall_session", "").split(";")[0]


@pytest.mark.parametrize("login", [SECURITY, SENDER])
def test_session_of_whom_one_takes_the_place(service, login):
    """It ends, as by signing out: no browser has it any more."""
    first, cookie = log_in(service, SENDER)
    before = families(service, SENDER)
    token = first.json()["access_token"]
    own = "-H", "Cookie: " + cookie

    def is_good():
        return service.curl("/v2/auth/sessions", token=token).status == 200
    wrong, _ = log_in(service, login, *own, password="wrong")
    assert wrong.status == 401 and is_good()
    lines = len(service.audit())
    second, cookie = log_in(service, login, *own)
    assert second.status == 200 and not is_good()
    assert service.curl("/console/session", "-X", "POST", *CONSOLE,
                        *own).status == 401
    assert len(before - families(service, SENDER)) == 1
    assert [(line.split("|")[4], "suser=" + who in line) for line, who in zip(
        service.audit()[lines:], [login, SENDER])] == [
            ("login", True), ("logout", True)]
    # the new one goes on
    assert service.curl("/console/session", "-X", "POST", *CONSOLE, "-H",
                        "Cookie: " + cookie).json()["login"] == login


def test_tab_of_whom_one_takes_the_place(browser, service):
    """The first tab was at Sign in all the time."""
    before = families(service, SENDER)
    browser.open()
    browser.wait_heading("Sign in")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    second = browser.driver.current_window_handle
    enter(browser, SENDER)
    browser.driver.switch_to.window(first)
    browser.sign_in(ADMIN, "secret")
    browser.wait_heading("Find and recall")
    assert families(service, SENDER) == before
    browser.driver.switch_to.window(second)
    browser.wait_heading("Sign in")
