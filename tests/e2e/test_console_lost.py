"""At the console: answers that are lost on the way, or never come."""

import threading

import pytest

from browser import Browser
from forward import Before
from mailnode import PATIENCE, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from screenshots import sign_in
from servicenode import Answer, RecallNode, Service

USERS = ["ann@example.com", "bob@example.com", "cid@example.com"]
SECURITY, SENDER = "sec@example.com", "dan@example.com"
BEGIN = {SECURITY: "Find and recall", SENDER: "Take back a message"}

EXPUNGE = "POST /v2/actions/expunge"
COUNT = "GET /v2/actions/"
LOST = Answer(504, {"content-type": "text/html"}, b"<p>Away", {})

# What is to wait for some seconds waits for less; a search is of one message a page.
QUICK = """
const soon = window.setTimeout, real = window.fetch;
window.setTimeout = (f, ms, ...rest) =>
    soon(f, ms > 50 && ms < 30000 ? 50 : ms, ...rest);
window.fetch = (url, options) => real(url, { ...options,
    body: options?.body?.replace('"limit":500', '"limit":1') });
"""
# What is to wait for longer than anybody looks waits for the test.
LATE = """
window.late = [];
const soon = window.setTimeout;
window.setTimeout = (f, ms, ...rest) =>
    ms > 30000 ? -window.late.push(f) : soon(f, ms, ...rest);
"""


@pytest.fixture(scope="module")
def node():
    users = {user: {} for user in USERS}
    users.update({SECURITY: {"role": "3"}, SENDER: {"role": "2"}})
    with RecallNode(users=users, plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service


class Lossy(Before):
    """loses: of the next requests that begin with what, in turn, whether the
    answer is lost."""

    def __init__(self, service):
        super().__init__(service)
        self.what, self.loses = None, []

    def lose(self, what, *loses):
        self.what, self.loses = what, list(loses)

    def change(self, method, path, answer):
        if self.loses and (method + " " + path).startswith(self.what) and \
           self.loses.pop(0):
            return LOST
        return answer


@pytest.fixture
def lossy(service):
    with Lossy(service) as lossy:
        yield lossy


class LossyBrowser(Browser):
    def __init__(self, url, script=""):
        super().__init__(url)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument",
                                    {"source": script})


@pytest.fixture
def browser(lossy):
    with LossyBrowser(lossy.url, QUICK) as browser:
        yield browser


number = 0


@pytest.fixture
def mail(node):
    global number
    number += 1
    message_id = "<%d.lost@example.net>" % number
    node.lmtp_deliver(USERS, build_message(message_id, sender=SENDER,
                                           subject="Lost %d" % number))
    return message_id


def enter(browser, login=SECURITY):
    sign_in(browser, login, BEGIN[login])


def made(service, cmd, message_id):
    """What was recalled, or restored, by the reasons."""
    return [each["reason"] for each in service.curl(
        "/v2/actions?limit=1000&dry_run=0&cmd=" + cmd,
        token=service.token()).json()["actions"]
        if each.get("messageid") == message_id]


def search(browser, message_id, *emails):
    browser.fill("messageid", message_id)
    if emails:
        browser.fill("emails", ", ".join(emails))
    else:
        browser.check("everyone")
    browser.push("Search")


def confirm(browser, message_id):
    search(browser, message_id, *USERS)
    browser.wait_text("Messages: 3")
    browser.check("choose-0")
    browser.push("Recall messages: 3, from users: 3")
    browser.fill("reason", "once")
    browser.push("Count")
    browser.wait_text("Copies to be deleted: 3")
    browser.fill("typed", "3")
    return "Recall"


def take_back(browser, message_id):
    browser.fill("messageid", message_id)
    browser.fill("emails", ", ".join(USERS))
    browser.fill("reason", "once")
    return "Take back"


# what is sent


@pytest.mark.parametrize("fill", [confirm, take_back])
@pytest.mark.parametrize("change", [False, True])
def test_recall_that_is_sent_again(service, lossy, browser, mail, fill,
                                   change):
    """Whose answer was lost: it is the same one, unless it is another."""
    enter(browser, SENDER if fill is take_back else SECURITY)
    button = fill(browser, mail)
    lossy.lose(EXPUNGE, True, True)
    for _ in range(2):
        browser.push(button)
        browser.wait_text("HTTP 504")
        browser.wait(lambda: browser.driver.execute_script(
            "return !document.querySelector('button.danger:disabled')"),
            "is not offered again")
    if change:
        browser.fill("reason", "twice")
    browser.push(button)
    browser.wait_heading("Recall")
    browser.wait_text("3 of 3 users looked at.")
    browser.wait_text("finished")
    assert made(service, "expunge", mail) == \
        (["twice", "once"] if change else ["once"])


def test_undo_that_is_sent_again(service, lossy, browser, node, mail):
    recall = service.recall(service.token(SECURITY), mail, USERS).json()
    assert recall["summary"] == {"expunged": 3}
    enter(browser)
    browser.open("#/recall/" + recall["id"])
    browser.push("Undo")
    browser.fill("undo-reason", "once")
    lossy.lose(EXPUNGE, True)
    browser.push("Put the messages back")
    browser.wait_text("HTTP 504")
    browser.push("Put the messages back")
    browser.wait_heading("Undone recall")
    browser.wait_text("put back (3)")
    assert made(service, "restore", mail) == ["once"]


# what takes many answers


def count_everyone(browser, message_id):
    search(browser, message_id)
    browser.wait_text("Messages: 3")
    browser.check("choose-0")
    browser.push("Recall messages: 3, from users: 3")
    browser.choose("scope", "Everyone")


def test_count_goes_on(lossy, browser, mail):
    enter(browser)
    count_everyone(browser, mail)
    lossy.lose(COUNT, True, True)
    browser.push("Count")
    browser.wait_text("Copies to be deleted: 3")
    assert "did not work" not in browser.text()


def test_count_that_is_given_up(lossy, browser, mail):
    enter(browser)
    count_everyone(browser, mail)
    lossy.lose(COUNT, *[True] * 100)
    browser.push("Count")
    browser.wait_text("HTTP 504")
    lossy.lose(COUNT)
    browser.push("Count")
    browser.wait_text("Copies to be deleted: 3")


def test_search_goes_on(lossy, browser, mail):
    enter(browser)
    lossy.lose(EXPUNGE, False, True, True)
    search(browser, mail, *USERS)
    browser.wait_text("Messages: 3, users: 3.")
    assert "did not work" not in browser.text()


def test_search_that_is_given_up(lossy, browser, mail):
    """What it had found is there."""
    enter(browser)
    lossy.lose(EXPUNGE, False, False, *[True] * 100)
    search(browser, mail, *USERS)
    browser.wait_text("HTTP 504")
    browser.wait_text("Messages: 2, users: 2.")
    browser.wait_text("The search was stopped")
    lossy.lose(EXPUNGE)
    browser.push("Search")
    browser.wait_text("Messages: 3, users: 3.")
    assert "did not work" not in browser.text()


# the session


class Silent(Before):
    """With the next request of the session, for good."""

    def __init__(self, service):
        super().__init__(service)
        self.silent = False
        self.asked, self.go = threading.Event(), threading.Event()

    def wants(self, method, path):
        if not self.silent or not path.endswith("/session"):
            return True
        self.silent = False
        self.asked.set()
        self.go.wait()
        return False


def test_session_that_is_not_answered(service):
    """It does not hold up the other tabs for ever."""
    with Silent(service) as server, LossyBrowser(server.url, LATE) as browser:
        try:
            enter(browser)
            first = browser.driver.current_window_handle
            server.silent = True
            browser.driver.refresh()
            assert server.asked.wait(PATIENCE)
            browser.driver.switch_to.new_window("tab")
            second = browser.driver.current_window_handle
            browser.open()
            browser.driver.switch_to.window(first)
            browser.driver.execute_script(
                "window.late.splice(0).forEach((f) => f())")
            browser.wait_heading("Sign in")
            browser.wait_text("HTTP 504")
            browser.driver.switch_to.window(second)
            browser.wait_heading("Find and recall")
            # it was nobody's sign-out
            browser.driver.switch_to.window(first)
            browser.driver.refresh()
            browser.wait_heading("Find and recall")
        finally:
            server.go.set()


# what can't be read


@pytest.mark.log_errors("journal: malformed JSON")
def test_approval_that_cannot_be_read(node, mail):
    with Service(node, approval__users=1) as service, \
            Browser(service.url) as browser:
        ids = [service.recall(service.token("x@example.com"), mail, [user]
                              ).json()["id"] for user in USERS[:2]]
        service.damage(ids[0])
        enter(browser)
        browser.push("Approvals")
        browser.wait_text("2 recalls wait.")
        browser.wait_text("Incomplete: %s: The journal cannot be read" %
                          ids[0])
        browser.push("Reject")
        browser.fill("decision-reason", "no")
        browser.push("Reject")
        browser.wait_text("1 recall waits.")
        assert browser.complaints() == []
