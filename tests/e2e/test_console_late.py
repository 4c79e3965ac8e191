"""What comes late at the console: the answer to a page that has moved on, what a
browser does when it has time, somebody who has signed in meanwhile."""

import threading

import pytest

from browser import Browser
from forward import Before
from mailnode import PATIENCE, build_message, free_port
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from screenshots import sign_in
from servicenode import RecallNode, Service

USERS = ["ann@example.com", "bob@example.com", "cid@example.com"]
SECURITY, SECOND = "sec@example.com", "sec2@example.com"
ADMIN, SENDER = "adm@example.com", "dan@example.com"
FRENCH = "fra@example.com"
BEGIN = {SECURITY: "Find and recall", SECOND: "Find and recall",
         ADMIN: "Find and recall", SENDER: "Take back a message",
         FRENCH: "Chercher et rappeler"}

# The answers of requests that have a part of window.holds are kept back until
# they are let go; a search is of one message a page.
HOLD = """
window.asked = [];
window.holds = [];
window.held = [];
const real = window.fetch;
window.fetch = async (url, options) => {
    const body = options?.body?.replace('"limit":500', '"limit":1');
    const what = [options?.method, url, body].join(" ");
    window.asked.push(what);
    const answer = await real(url, { ...options, body });
    const text = await answer.text();
    if (window.holds.some((part) => what.includes(part)))
        await new Promise((go) => window.held.push(go));
    return new Response(text, { status: answer.status,
                                headers: answer.headers });
};
"""

# A browser that has not got round yet to what is to be done after it painted.
BUSY = """
window.late = [];
window.requestAnimationFrame = () => 0;
const soon = window.setTimeout;
window.setTimeout = (f, ms, ...rest) =>
    ms === 35 ? -window.late.push(f) : soon(f, ms, ...rest);
"""


@pytest.fixture(scope="module")
def node():
    users = {user: {} for user in USERS}
    users.update({SECURITY: {"role": "3"}, SECOND: {"role": "3"},
                  ADMIN: {"role": "1"}, SENDER: {"role": "2"},
                  FRENCH: {"role": "3", "lang": "fr-FR"}})
    with RecallNode(users=users, acl=True, plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes",
                 approval__force="yes") as service:
        yield service


class LateBrowser(Browser):
    def __init__(self, url, script=HOLD):
        super().__init__(url)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument",
                                    {"source": script})

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def hold(self, *parts):
        self.run("window.holds = arguments[0]", parts)

    def wait_held(self, part=""):
        """Until an answer is there, and kept back; what is asked for then is
        answered."""
        self.wait(lambda: self.run("return window.held.length") > 0,
                  "nothing is held")
        self.hold()

    def let_go(self):
        """And the page has done what it does then."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "window.held.splice(0).forEach((go) => go());"
            "soon(20);"
            "function soon(n) { setTimeout(n ? () => soon(n - 1) : done); }")

    def asked(self, part):
        return self.run("return window.asked.filter((what) =>"
                        " what.includes(arguments[0]))", part)


@pytest.fixture
def browser(service):
    with LateBrowser(service.url) as browser:
        yield browser


@pytest.fixture
def desk(browser):
    return enter(browser, SECURITY)


def enter(browser, login):
    sign_in(browser, login, BEGIN[login])
    return browser


number = 0


@pytest.fixture
def mail(node):
    """Which one of three has read."""
    global number
    number += 1
    message_id = "<%d.late@example.net>" % number
    node.lmtp_deliver(USERS, build_message(message_id,
                                           subject="Late %d" % number))
    node.doveadm("flags", "add", "-u", USERS[1], "\\Seen", "mailbox", "INBOX",
                 "header", "message-id", message_id)
    return message_id


def has(node, user, message_id):
    return any(b"Message-ID: " + message_id.encode() in message
               for message in node.messages(user))


def find(browser, message_id):
    browser.fill("messageid", message_id)
    browser.fill("emails", ", ".join(USERS))
    browser.push("Search")
    browser.wait_text("Messages: 3")
    browser.check("choose-0")
    browser.push("Recall messages: 3, from users: 3")


# the browser


def test_sign_in_while_the_browser_is_busy(service):
    """The page listens as soon as it is there, and leaves the focus where
    somebody has gone with it."""
    with LateBrowser(service.url, BUSY) as browser:
        browser.open()
        browser.wait_heading("Sign in")
        assert browser.focused.tag_name == "h1"
        browser.tab_to_id("login")
        browser.run("window.late.splice(0).forEach((f) => f())")
        assert browser.focused.get_attribute("id") == "login"
        enter(browser, SENDER)
        assert browser.focused.tag_name == "h1"
        # its address is read
        browser.run("location.hash = '#/recalls'")
        browser.wait_heading("Recalls")


def test_dialog_while_the_browser_is_busy(service):
    with LateBrowser(service.url, BUSY) as browser:
        enter(browser, SECURITY)
        browser.push("Stop all recalls")
        browser.wait(lambda: browser.find("dialog[open]"), "no dialog")
        browser.push("Cancel")
        browser.wait(lambda: browser.focused.text == "Stop all recalls",
                     "the focus is not back")


# answers


@pytest.mark.parametrize("what", ["force", "everyone"])
def test_count_of_something_else(desk, mail, what):
    """Only what was counted can be recalled."""
    if what == "everyone":
        desk.check("everyone")
        desk.fill("messageid", mail)
        desk.push("Search")
        desk.wait_text("Messages: 3")
        desk.check("choose-0")
        desk.push("Recall messages: 3, from users: 3")
    else:
        find(desk, mail)
    desk.hold('"dry_run":true')
    desk.push("Count")
    desk.wait_held()
    if what == "everyone":
        desk.choose("scope", "Everyone")
    else:
        desk.check("force")
    desk.let_go()
    assert "Copies to be deleted" not in desk.text()
    assert desk.find("#typed") == []
    desk.push("Count")
    desk.wait_text("Copies to be deleted: %d" % (3 if what == "force" else 2))


def test_filter_that_is_no_more(desk, service):
    for n in range(51):
        for reason in ["many"] if n else ["many", "single"]:
            assert service.recall(
                service.token(), "<none@example.com>", ["no@example.com"],
                dry_run=1, reason=reason + " dry").status == 200
    desk.push("Recalls")
    desk.wait_heading("Recalls")
    desk.fill("reason", "many dry")
    desk.hold("reason=many")
    desk.push("Filter")
    desk.wait_held()
    desk.fill("reason", "single dry")
    desk.push("Filter")
    desk.wait_text("1 recall.")
    desk.let_go()
    desk.wait_text("1 recall.")
    assert [row[4] for row in desk.table()] == ["single dry"]
    # what is typed is not asked for yet
    desk.fill("reason", "many dry")
    desk.push("Filter")
    desk.wait_text("50 recalls.")
    desk.fill("reason", "single dry")
    desk.push("Show more")
    desk.wait_text("51 recalls.")
    assert {row[4] for row in desk.table()} == {"many dry"}


def test_mailbox_that_is_not_asked_for_any_more(desk):
    desk.push("Shared mailboxes")
    desk.wait_heading("Shared mailboxes")
    desk.fill("owner", "nobody@example.com")
    desk.hold("nobody")
    desk.push("Show")
    desk.wait_held()
    desk.fill("owner", USERS[0])
    desk.push("Show")
    desk.wait_text("0 shares.")
    desk.let_go()
    assert "0 shares." in desk.text()
    assert "did not work" not in desk.text()


def test_stop_that_was_asked_for_before(desk, service):
    """That nothing is stopped was so before it was stopped."""
    desk.hold("GET /v2/stop")
    desk.push("Recalls")
    desk.wait_held()
    desk.push("Stop all recalls")
    desk.push("Stop all")
    try:
        desk.wait_text("All recalls are stopped")
        desk.let_go()
        assert "All recalls are stopped" in desk.text()
    finally:
        service.curl("/v2/stop", "-X", "DELETE", token=service.token())


def test_approvals_one_after_the_other(desk, service, mail):
    ids = [service.recall(service.token("x@example.com"), mail, [user],
                          force=1).json()["id"] for user in USERS[:2]]
    assert len(set(ids)) == 2
    desk.push("Approvals")
    desk.wait_text("2 recalls wait.")
    for first in True, False:
        if first:
            desk.hold("GET /v2/approvals")
        desk.push("Reject")
        desk.fill("decision-reason", "no")
        desk.run("document.querySelector('dialog form').requestSubmit()")
        if first:
            desk.wait_held()
            # the first one is there still
            desk.run("document.querySelectorAll('section.group')[1]"
                     ".querySelector('button:last-child').focus()")
    desk.wait_text("0 recalls wait.")
    desk.let_go()
    assert "0 recalls wait." in desk.text()


def test_page_that_was_left(desk, node, mail):
    """Its recall runs, and is in the list; whoever is elsewhere stays there."""
    find(desk, mail)
    desk.push("Count")
    desk.wait_text("Copies to be deleted: 2")
    desk.fill("typed", "2")
    desk.hold("POST /v2/actions/expunge")
    desk.push("Recall")
    desk.wait_held()
    desk.push("Cancel")
    desk.push("Recalls")
    desk.wait_heading("Recalls")
    desk.let_go()
    assert desk.run("return location.hash") == "#/recalls"
    desk.wait(lambda: not any(has(node, user, mail) for user in
                              (USERS[0], USERS[2])), "is not recalled")


# somebody else


def test_search_of_who_has_signed_out(desk, service, mail):
    """It does not go on as the next one's."""
    desk.fill("messageid", mail)
    desk.fill("emails", ", ".join(USERS))
    desk.hold('"cmd":"search"')
    desk.push("Search")
    desk.wait_held()
    desk.push("Sign out")
    desk.wait_heading("Sign in")
    desk.sign_in(ADMIN, "secret")
    desk.wait_heading("Find and recall")
    desk.let_go()
    assert len(desk.asked('"cmd":"search"')) == 1
    desk.wait_text(ADMIN)


@pytest.fixture
def session_of_another(node):
    """As if somebody had signed in elsewhere in the browser, and the tab did not
    know it yet."""
    with Service(node, auth__revoke_email="yes") as service, \
            LateBrowser(service.url) as browser:
        enter(browser, ADMIN)

        def change(login):
            answer = service.curl("/console/session", "-H",
                                  "X-Recall-Console: 1", "-d",
                                  "login=" + login, "-d", "password=secret")
            value = answer.cookies["recall_session"].split(";")[0]
            browser.driver.execute_cdp_cmd("Network.setCookie", {
                "name": "recall_session", "value": value.partition("=")[2],
                "url": service.url + "/console/session", "secure": True,
                "httpOnly": True, "sameSite": "Strict",
                "path": "/console/session"})
            # every token of before ends, as if time had passed
            service.set(auth__jwt_key="another-key-of-more-than-32-octets-x")
            assert service.reload() == "reloaded"
        browser.change = change
        yield service, browser


def test_recall_under_another_name(session_of_another, mail, node):
    """What one has asked for is not done as somebody else."""
    service, browser = session_of_another
    find(browser, mail)
    browser.push("Count")
    browser.wait_text("Copies to be deleted: 2")
    browser.fill("typed", "2")
    browser.change(SECURITY)
    browser.push("Recall")
    browser.wait_text(SECURITY)
    assert service.curl("/v2/actions", token=service.token(
        key="another-key-of-more-than-32-octets-x")).json()["actions"][0][
            "actor"] == ADMIN
    # and nothing of the other's is left
    browser.wait(lambda: browser.find("dialog") == [], "a dialog")
    assert mail not in browser.run("return document.getElementById("
                                   "'messageid').value")
    assert len(browser.asked('"cmd":"expunge"')) == 2


def test_own_session_goes_on(session_of_another, mail):
    service, browser = session_of_another
    find(browser, mail)
    browser.change(ADMIN)
    browser.push("Count")
    browser.wait_text("Copies to be deleted: 2")


def test_key_of_another(browser, service):
    """Who asks the failed of a recall again under its key is who has sent it."""
    enter(browser, SENDER)
    recall_id = browser.driver.execute_async_script("""
        const done = arguments[0];
        import("/console/js/api.js").then((api) => api.start({
            cmd: "expunge", messageid: "<none@example.com>",
            emails: ["ann@example.com"] })).then(({ id }) => done(id), done);
        """)

    def sent():
        return browser.driver.execute_async_script("""
            const [id, done] = arguments;
            import("/console/js/api.js").then((api) =>
                done(api.sent(id) !== null), done);
            """, recall_id)
    assert sent() is True
    browser.push("Sign out")
    browser.wait_heading("Sign in")
    browser.sign_in(SECURITY, "secret")
    browser.wait_heading("Find and recall")
    assert sent() is False


def test_tabs_have_one_session(service):
    """What one signs out of the others don't show any more, and nobody works in
    a tab as somebody else than in the next one."""
    with LateBrowser(service.url) as browser:
        browser.open()
        browser.wait_heading("Sign in")
        first = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("tab")
        second = browser.driver.current_window_handle
        enter(browser, SENDER)
        browser.run("location.hash = '#/recalls'")
        browser.wait_heading("Recalls")
        browser.driver.switch_to.window(first)
        browser.driver.refresh()
        browser.wait_heading("Take back a message")
        browser.push("Sign out")
        browser.wait_heading("Sign in")
        browser.driver.switch_to.window(second)
        browser.wait_heading("Sign in")
        enter(browser, SENDER)
        browser.driver.switch_to.window(first)
        browser.sign_in(SENDER, "secret")
        browser.wait_heading("Take back a message")
        browser.push("My sessions")
        browser.wait_heading("My sessions")
        browser.driver.switch_to.window(second)
        browser.wait_heading("Take back a message")
        browser.driver.refresh()
        browser.wait_heading("Take back a message")
        browser.driver.switch_to.window(first)
        assert "My sessions" in browser.text()


class Slow(Before):
    """With the next answer of the session."""

    def __init__(self, service):
        super().__init__(service)
        self.slow = False
        self.asked, self.go = threading.Event(), threading.Event()

    def change(self, method, path, answer):
        if self.slow and path.endswith("/session"):
            self.slow = False
            self.asked.set()
            self.go.wait()
        return answer


# its clock stands, and what waits for a cookie waits for the test
CLOCK = """
window.now = 1.8e12;
Date.now = () => window.now;
window.late = [];
const soon = window.setTimeout;
window.setTimeout = (f, ms, ...rest) =>
    ms === 100 ? -window.late.push(f) : soon(f, ms, ...rest);
"""


def test_page_that_is_loaded_twice(service):
    """The answer that the first one does not wait for has the cookie for the
    next one, also if it takes its time."""
    with Slow(service) as server, LateBrowser(server.url, CLOCK) as browser:
        enter(browser, SECURITY)

        def cookie():
            return [each["value"] for each in browser.driver.execute_cdp_cmd(
                "Network.getAllCookies", {})["cookies"]
                if each["name"] == "recall_session"]
        had = cookie()
        server.slow = True
        browser.run("setTimeout(() => location.reload())")
        assert server.asked.wait(PATIENCE)
        browser.run("setTimeout(() => location.reload())")
        for seconds in 0, 10:
            browser.wait(lambda: browser.run("return window.late?.length > 0"),
                         "asks at once")
            browser.run("window.now += arguments[0];"
                        "window.late.splice(0).forEach((f) => f())",
                        seconds * 1000)
        browser.wait(lambda: browser.run("return window.late.length > 0"),
                     "does not wait any more")
        server.go.set()
        browser.wait(lambda: cookie() not in ([], had), "the answer is lost")
        browser.run("window.late.splice(0).forEach((f) => f())")
        browser.wait_heading("Find and recall")
        assert not browser.run("return window.late.length")
    assert "used twice" not in service.log()


# what does not work


def test_sign_out_that_did_not_work(node):
    """The session goes on, and the page says so: it would be back with the next
    page."""
    with Service(node, http__port=free_port()) as service, \
            LateBrowser(service.url) as browser:
        enter(browser, SECURITY)
        service.stop()
        browser.push("Sign out")
        browser.wait_text("That did not work")
        assert SECURITY in browser.text()
        service.start()
        browser.push("Sign out")
        browser.wait_heading("Sign in")
        browser.driver.refresh()
        browser.wait_heading("Sign in")


def test_language_that_does_not_come(browser):
    for command, arguments in (("Network.enable", {}), (
            "Network.setBlockedURLs", {"urls": ["*/lang/fr-FR.json"]})):
        browser.driver.execute_cdp_cmd(command, arguments)
    sign_in(browser, FRENCH, "Find and recall")
    browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    browser.push("Sign out")
    browser.wait_heading("Sign in")
    browser.sign_in(FRENCH, "secret")
    browser.wait_heading("Chercher et rappeler")
