"""The console in a real browser, by the keyboard alone, on a real Dovecot."""

import json
import zipfile

import pytest

from browser import Browser
from mailnode import SRCDIR, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service


AXE = (SRCDIR / "tests/support/vendor/axe.min.js").read_text()
USERS = ["ann@example.com", "bob@example.com", "cid@example.com"]
SECURITY = "sec@example.com"
SECOND = "sec2@example.com"
SENDER = "dan@example.com"
LANGUAGES = {
    "ru-RU": "Найти и отозвать", "es-PA": "Buscar y retirar",
    "fr-FR": "Chercher et rappeler", "it-IT": "Cerca e richiama",
    "pt-BR": "Buscar e recolher", "tt-RU": "Табу һәм кире алу",
    "ba-RU": "Табыу һәм кире алыу", "en-US": "Find and recall",
}
# what a hostile sender puts into a subject, and a part of what is shown of it
HOSTILE = {
    "markup": (b"<img src=x onerror=alert(1)><script>alert(2)</script>",
               "<img src=x onerror=alert(1)>"),
    "bidi": ("evil \u202egpj.exe\u202c \u2066x\u2069".encode(),
             "evil \u2039202e\u203agpj.exe"),
    "long": (b"x" * 989, "x" * 120 + "\u2026"),
    "nul": (b"before\0after", "before"),
    "template": (b"${alert(1)} {{alert(1)}} `", "${alert(1)} {{alert(1)}} `"),
}


def language_user(language):
    return language.lower() + "@example.com"


@pytest.fixture(scope="module")
def node():
    users = {user: {} for user in USERS}
    users[SECURITY] = {"role": "3"}
    users[SECOND] = {"role": "3"}
    users[SENDER] = {"role": "2"}
    for language in LANGUAGES:
        users[language_user(language)] = {"role": "3", "lang": language}
    with RecallNode(users=users, plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, auth__revoke_email="yes") as service:
        yield service


@pytest.fixture(scope="module")
def strict(node):
    """A service where a second person has to approve what is forced."""
    with Service(node, approval__force="yes") as service:
        yield service


@pytest.fixture
def browser(service):
    with Browser(service.url) as browser:
        yield browser
        assert browser.complaints() == []


@pytest.fixture
def desk(browser):
    """A browser in which the security team has signed in."""
    browser.open()
    browser.wait_heading("Sign in")
    browser.sign_in(SECURITY, "secret")
    browser.wait_heading("Find and recall")
    return browser


number = 0


@pytest.fixture
def mail(node):
    global number
    number += 1
    message_id = "<%d.console@example.net>" % number
    node.lmtp_deliver(USERS, build_message(
        message_id, sender="Mallory <mal@example.net>",
        subject="Console %d" % number))
    return message_id


def has(node, user, message_id):
    return any(b"Message-ID: " + message_id.encode() in message
               for message in node.messages(user))


def search_id(browser, message_id, users=USERS):
    browser.fill("messageid", message_id)
    browser.fill("emails", ", ".join(users))
    browser.push("Search")


def recall_found(browser, copies, reason="phishing"):
    """Recalls the only group of hits."""
    browser.check("choose-0")
    browser.push("Recall messages: %d, from users: %d" % (copies, copies))
    browser.fill("reason", reason)
    browser.push("Count")
    browser.wait_text("Copies to be deleted: %d" % copies)
    browser.fill("typed", str(copies))
    browser.push("Recall")
    browser.wait_heading("Recall")
    browser.wait_text("3 of 3 users looked at.")


def accessible(browser):
    assert browser.axe(AXE) == []


def test_find_preview_recall(desk, node, mail):
    accessible(desk)
    search_id(desk, mail)
    desk.wait_text("Messages: 3, users: 3.")
    assert [row[0] for row in desk.table()] == USERS
    assert all(row[1] == "INBOX" and row[2] == "no" for row in desk.table())
    accessible(desk)
    recall_found(desk, 3)
    assert [row[:2] for row in desk.table()] == [
        [user, "\u2713 deleted"] for user in USERS]
    accessible(desk)
    for user in USERS:
        assert not has(node, user, mail)


def test_a_wrong_number_recalls_nothing(desk, node, mail):
    search_id(desk, mail)
    desk.wait_text("Messages: 3")
    desk.check("choose-0")
    desk.push("Recall messages: 3, from users: 3")
    desk.push("Count")
    desk.wait_text("Copies to be deleted: 3")
    desk.fill("typed", "2")
    button, = [b for b in desk.find("dialog button") if b.text == "Recall"]
    assert not button.is_enabled()
    accessible(desk)
    desk.push("Cancel")
    # back where it was opened
    desk.wait(lambda: desk.focused.text.startswith("Recall messages"),
              "the focus is not back")
    assert all(has(node, user, mail) for user in USERS)


def test_find_by_conditions(desk, node, mail):
    desk.focused.send_keys("")
    desk.tab_to(lambda e: e.get_attribute("id") == "by-id", "by-id")
    desk.press("\ue014")
    desk.fill("from", "mal@example.net")
    desk.fill("subject", "Console %d" % number)
    desk.fill("emails", "\n".join(USERS))
    desk.push("Search")
    desk.wait_text("Messages: 3, users: 3.")
    accessible(desk)
    recall_found(desk, 3)
    assert not any(has(node, user, mail) for user in USERS)


def test_undo_for_some(desk, node, mail):
    search_id(desk, mail)
    desk.wait_text("Messages: 3")
    recall_found(desk, 3)
    desk.push("Undo")
    desk.choose("who", "some users")
    desk.fill("undo-emails", USERS[0])
    desk.fill("undo-reason", "a mistake")
    accessible(desk)
    desk.push("Put the messages back")
    desk.wait_heading("Undone recall")
    desk.wait_text("1 of 1 users looked at.")
    assert desk.table()[0][:2] == [USERS[0], "\u21ba put back"]
    accessible(desk)
    assert [has(node, user, mail) for user in USERS] == [True, False, False]


def test_evidence(desk, service, node, mail):
    search_id(desk, mail)
    desk.wait_text("Messages: 3")
    recall_found(desk, 3)
    downloads = service.dir / "downloads"
    desk.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {
        "behavior": "allow", "downloadPath": str(downloads)})
    desk.push("Save evidence")
    desk.wait(lambda: list(downloads.glob("recall-*.zip")), "no file")
    path, = downloads.iterdir()
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert sorted(m["email"] for m in manifest["messages"]) == USERS
        assert all(mail.encode() in archive.read(m["file"])
                   for m in manifest["messages"])


def test_who_read_it(desk, node, mail):
    node.doveadm("flags", "add", "-u", USERS[1], "\\Seen", "mailbox", "INBOX",
                 "header", "message-id", mail)
    search_id(desk, mail)
    desk.wait_text("Messages: 3")
    desk.check("choose-0")
    desk.push("Recall messages: 3, from users: 3")
    desk.push("Count")
    desk.wait_text("Copies to be deleted: 2, users: 2.")
    desk.fill("typed", "2")
    desk.push("Recall")
    desk.wait_heading("Recall")
    desk.wait_text("3 of 3 users looked at.")
    desk.choose("only", "was read")
    desk.wait_text("call them")
    assert [row[0] for row in desk.table()] == [USERS[1]]
    accessible(desk)


@pytest.mark.parametrize("decision", ["Approve", "Reject"])
def test_a_second_person_decides(strict, node, mail, decision):
    with Browser(strict.url) as asker, Browser(strict.url) as second:
        for browser, login in (asker, SECURITY), (second, SECOND):
            browser.open()
            browser.wait_heading("Sign in")
            browser.sign_in(login, "secret")
            browser.wait_heading("Find and recall")
        search_id(asker, mail)
        asker.wait_text("Messages: 3")
        asker.check("choose-0")
        asker.push("Recall messages: 3, from users: 3")
        asker.fill("reason", "phishing")
        asker.check("force")
        asker.push("Count")
        asker.wait_text("Copies to be deleted: 3")
        asker.fill("typed", "3")
        asker.push("Recall")
        asker.wait_heading("Recall")
        asker.wait_text("waits for approval")
        accessible(asker)
        second.push("Approvals")
        second.wait_heading("Approvals")
        second.wait_text("1 recall waits.")
        assert sorted(row[2] for row in second.table()) == USERS
        assert {row[1] for row in second.table()} == {"Console %d" % number}
        for text in mail, SECURITY, "phishing":
            assert text in second.text()
        accessible(second)
        assert all(has(node, user, mail) for user in USERS)
        second.push(decision)
        second.fill("decision-reason", "looked at it")
        accessible(second)
        second.push(decision)
        if decision == "Approve":
            second.wait_heading("Recall")
            second.wait_text("3 of 3 users looked at.")
            assert SECOND in second.text()
            asker.wait_text("3 of 3 users looked at.")
        else:
            second.wait_text("Rejected.")
            asker.wait_text("rejected")
            assert all(has(node, user, mail) for user in USERS)
        asker.wait_text("looked at it")
        accessible(asker)
        assert asker.complaints() == second.complaints() == []
    assert all(has(node, user, mail) is (decision == "Reject")
               for user in USERS)


def test_past_recalls(desk, mail):
    search_id(desk, mail)
    desk.wait_text("Messages: 3")
    recall_found(desk, 3, reason="because of %s" % mail)
    desk.push("Recalls")
    desk.wait_heading("Recalls")
    desk.fill("reason", "because of %s" % mail)
    desk.push("Filter")
    # what was counted first stands there, too
    desk.wait_text("2 recalls.")
    assert sorted(row[1] for row in desk.table()) == ["dry run", "recall"]
    assert all(mail.strip("<>") in row[2] and row[3] == SECURITY
               for row in desk.table())
    accessible(desk)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_subject(desk, node, kind):
    global number
    number += 1
    message_id = "<%d.hostile@example.net>" % number
    subject, shown = HOSTILE[kind]
    node.lmtp_deliver(USERS, b"From: \"<b>\" <mal@example.net>\r\nSubject: " +
                      subject + b"\r\nMessage-ID: " + message_id.encode() +
                      b"\r\n\r\ntext\r\n")
    search_id(desk, message_id)
    desk.wait_text("Messages: 3")
    assert all(row[4].startswith(shown) for row in desk.table())
    accessible(desk)
    # what could have run would have added elements, or opened a dialog
    assert desk.find("main img") == desk.find("main script") == []
    recall_found(desk, 3)
    desk.push("Recalls")
    desk.wait_heading("Recalls")
    accessible(desk)


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_of_the_user(browser, language):
    browser.open()
    browser.wait_heading("Sign in")
    browser.sign_in(language_user(language), "secret")
    browser.wait_heading(LANGUAGES[language])
    html = browser.driver.find_element("tag name", "html")
    assert html.get_attribute("lang") == language
    accessible(browser)


def test_languages_have_the_same_texts():
    directory = SRCDIR / "service/console/lang"
    english = json.loads((directory / "en-US.json").read_text())
    for path in directory.glob("*.json"):
        texts = json.loads(path.read_text())
        assert set(texts) == set(english), path
        for name, text in texts.items():
            words = text.values() if isinstance(text, dict) else [text]
            assert all(word.strip() for word in words), (path, name)


def test_a_user_takes_back_what_was_sent(browser, node):
    message_id = "<own.console@example.com>"
    node.lmtp_deliver(USERS, build_message(message_id, sender=SENDER))
    browser.open()
    browser.wait_heading("Sign in")
    browser.sign_in(SENDER, "secret")
    browser.wait_heading("Take back a message")
    menu = [a.text for a in browser.find("nav a")]
    assert menu == ["Take back a message", "Recalls", "My sessions"]
    # not even by its address
    browser.open("#/find")
    browser.wait_heading("Take back a message")
    accessible(browser)
    browser.fill("messageid", message_id)
    browser.fill("emails", " ".join(USERS))
    browser.push("Take back")
    browser.wait_heading("Recall")
    browser.wait_text("3 of 3 users looked at.")
    assert not any(has(node, user, message_id) for user in USERS)


def test_session_outlives_the_page(desk):
    desk.driver.refresh()
    desk.wait_heading("Find and recall")
    cookie, = desk.driver.execute_cdp_cmd("Network.getAllCookies",
                                          {})["cookies"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert cookie["secure"] and cookie["path"] == "/console/session"
    assert desk.driver.execute_script("return document.cookie") == ""
    for store in ("localStorage", "sessionStorage"):
        assert "token" not in desk.driver.execute_script(
            "return JSON.stringify(%s)" % store)
    desk.push("Sign out")
    desk.wait_heading("Sign in")
    desk.driver.refresh()
    desk.wait_heading("Sign in")


def test_own_sessions(desk, service):
    with Browser(service.url) as other:
        other.open()
        other.wait_heading("Sign in")
        other.sign_in(SECURITY, "secret")
        other.wait_heading("Find and recall")
        desk.push("My sessions")
        desk.wait_heading("My sessions")
        desk.wait(lambda: len(desk.table()) >= 2, "no two sessions")
        accessible(desk)
        before = len(desk.table())
        assert all(row[1] == "127.0.0.1" for row in desk.table())
        assert [row[4] for row in desk.table()].count("Sign out") == 1
        # the newest one is the other browser's
        desk.push("End")
        desk.wait_text("The session has ended.")
        desk.wait(lambda: len(desk.table()) == before - 1, "still there")
        other.push("My sessions")
        other.wait_heading("Sign in")
        other.driver.get_log("browser")
    desk.push("Sign out")
    desk.wait_heading("Sign in")


def test_sign_out_revokes(service, node):
    answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                          "-d", "login=" + SECURITY, "-d", "password=secret")
    assert answer.status == 200
    session = answer.json()
    assert "refresh_token" not in session
    cookie = answer.headers["set-cookie"].split(";")[0]
    again = ("-H", "X-Recall-Console: 1", "-H", "Cookie: " + cookie)
    answer = service.curl("/console/session", "-X", "DELETE", *again)
    assert answer.status == 200 and "Max-Age=0" in answer.headers["set-cookie"]
    answer = service.curl("/console/session", "-X", "POST", *again)
    assert answer.status == 401


def test_no_other_site_can_use_the_session(service):
    """A form has no header of its own, and the cookie goes nowhere else."""
    answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                          "-d", "login=" + SECURITY, "-d", "password=secret")
    cookie = answer.headers["set-cookie"].split(";")[0]
    for method in "POST", "DELETE":
        answer = service.curl("/console/session", "-X", method, "-H",
                              "Cookie: " + cookie, "-H",
                              "Origin: https://evil.example")
        assert answer.status == 403
    # the cookie alone opens nothing of the API
    answer = service.curl("/v2/actions", "-H", "Cookie: " + cookie,
                          "-H", "X-Recall-Console: 1")
    assert answer.status == 401


def test_headers_of_the_pages(service):
    for path in ("/console/", "/console/js/app.js",
                 "/console/vendor/preact.mjs"):
        answer = service.curl(path)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        for directive in ("default-src 'none'", "script-src 'self'",
                          "style-src 'self'", "connect-src 'self'",
                          "form-action 'self'", "frame-ancestors 'none'",
                          "require-trusted-types-for 'script'"):
            assert directive in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    answer = service.curl("/console")
    assert answer.status == 308 and answer.headers["location"] == "/console/"


@pytest.mark.parametrize("path", [
    "/console/../mail-recall.conf", "/console/%2e%2e/main.c",
    "/console/vendor/source/htm/index.mjs", "/console/js/", "/console/js",
    "/console/vendor/README", "/console/nothing", "/console//index.html"])
def test_no_other_file(service, path):
    assert service.curl(path, "--path-as-is").status == 404


def test_off(node):
    with Service(node, console__enabled="no") as service:
        assert service.curl("/console/").status == 404
        assert service.curl("/console/session", "-H", "X-Recall-Console: 1",
                            "-d", "login=" + SECURITY, "-d",
                            "password=secret").status in (403, 404)


def test_narrow_and_large(desk, mail):
    """On a telephone, and at 400 %: nothing but a table scrolls sideways."""
    desk.driver.set_window_size(500, 800)
    desk.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 320, "height": 640, "deviceScaleFactor": 4,
        "mobile": False})
    search_id(desk, mail)
    desk.wait_text("Messages: 3")
    assert desk.driver.execute_script(
        "return document.documentElement.scrollWidth <= innerWidth")
    accessible(desk)


def test_dark(service):
    with Browser(service.url, flags=("--force-dark-mode",)) as browser:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme",
                          "value": "dark"}]})
        browser.open()
        browser.wait_heading("Sign in")
        accessible(browser)
        browser.sign_in(SECURITY, "secret")
        browser.wait_heading("Find and recall")
        accessible(browser)
        assert browser.complaints() == []
