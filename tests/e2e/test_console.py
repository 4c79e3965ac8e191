"""The console in a real browser, by the keyboard alone, on a real Dovecot."""

import base64
import contextlib
import json
import sqlite3
import zipfile

import pytest

from browser import AXE, Browser
from mailnode import SRCDIR, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service


USERS = ["ann@example.com", "bob@example.com", "cid@example.com"]
SECURITY = "sec@example.com"
SECOND = "sec2@example.com"
ADMIN = "adm@example.com"
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
    "wide": ("a\U000e0062\U000e007f".encode() + "\U0001f600".encode() * 150,
             "a\u2039e0062\u203a\u2039e007f\u203a" + "\U0001f600" * 105 +
             "\u2026"),
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
    users[ADMIN] = {"role": "1"}
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


def enter(browser, login, heading="Find and recall"):
    browser.open()
    browser.wait_heading("Sign in")
    browser.sign_in(login, "secret")
    browser.wait_heading(heading)
    return browser


@pytest.fixture
def desk(browser):
    """A browser in which the security team has signed in."""
    return enter(browser, SECURITY)


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


def buttons(browser, where="body"):
    return [b.text for b in browser.find(where + " button")]


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
    desk.tab_to_id("by-id")
    desk.press("\ue014")
    desk.fill("from", "mal@example.net")
    desk.fill("subject", "Console %d" % number)
    desk.fill("emails", "\n".join(USERS))
    desk.push("Search")
    desk.wait_text("Messages: 3, users: 3.")
    accessible(desk)
    recall_found(desk, 3)
    assert not any(has(node, user, mail) for user in USERS)


def test_subject_that_is_part_of_another(desk, node):
    """What was not chosen is not recalled either."""
    for n, (user, subject) in enumerate((
            (USERS[0], "Part of it"), (USERS[1], "Part of it"),
            (USERS[0], "As Part of it all"), (USERS[0], ""),
            (USERS[1], ""))):
        node.lmtp_deliver([user], build_message(
            "<part%d@example.net>" % n, sender="Pat <pat@example.net>",
            subject=subject))
    desk.tab_to_id("by-id")
    desk.press("\ue014")
    desk.fill("from", "pat@example.net")
    desk.fill("emails", "\n".join(USERS))
    desk.push("Search")
    desk.wait_text("Messages: 5, users: 2.")
    # the larger groups come first
    desk.check("choose-0")
    desk.push("Recall messages: 2, from users: 2")
    desk.push("Count")
    desk.wait_text("Copies to be deleted: 2")
    desk.push("Cancel")
    # without a subject
    desk.check("choose-0")
    desk.check("choose-1")
    desk.push("Recall messages: 2, from users: 2")
    desk.push("Count")
    desk.wait_text("Copies to be deleted: 2")


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


def test_evidence_after_a_pause(service):
    """The token has expired meanwhile, and the page gets a new one."""
    with Browser(service.url) as browser:
        enter(browser, SECURITY)
        assert browser.driver.execute_async_script("""
            const done = arguments[0], real = window.fetch;
            let first = true;
            window.fetch = (url, options) => {
                if (url === "/v2/actions" && first) {
                    options.headers.Authorization = "Bearer expired";
                    first = false;
                }
                return real(url, options);
            };
            import("/console/js/api.js")
                .then((api) => api.askBlob("/v2/actions"))
                .then((blob) => blob.text()).then(done, done);
            """).startswith('{"success": true')


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
        asker.push("Approvals")
        asker.wait_text("You asked for it")
        assert buttons(asker, "main") == ["Reject"]
        asker.driver.back()
        asker.wait_text("waits for approval")
        second.push("Approvals")
        second.wait_heading("Approvals")
        second.wait_text("1 recall waits.")
        assert sorted(row[2] for row in second.table()) == USERS
        assert {row[1] for row in second.table()} == {"Console %d" % number}
        for text in mail, SECURITY, "phishing", "Users\n3\n":
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
            second.wait_text("0 recalls wait.")
            # what had the focus is gone
            assert second.focused.tag_name == "h1"
            asker.wait_text("rejected")
            assert all(has(node, user, mail) for user in USERS)
        asker.wait_text("looked at it")
        accessible(asker)
        assert asker.complaints() == second.complaints() == []
    assert all(has(node, user, mail) is (decision == "Reject")
               for user in USERS)


def test_stop_and_release(desk, service, node, mail):
    with Browser(service.url) as other:
        enter(other, ADMIN)
        search_id(desk, mail)
        desk.wait_text("Messages: 3")
        desk.push("Stop all recalls")
        desk.fill("stop-reason", "the <b>wrong</b> one")
        accessible(desk)
        # nothing has happened yet
        assert not desk.find(".stopped")
        desk.push("Stop all")
        desk.wait_text("All recalls are stopped")
        try:
            assert "sec@example.com" in desk.text()
            assert "the <b>wrong</b> one" in desk.text()
            assert "Stop all recalls" not in buttons(desk)
            accessible(desk)
            # who may only see it sees it on every page
            for label in "Recalls", "My sessions":
                other.push(label)
                other.wait_text("All recalls are stopped")
                assert "the <b>wrong</b> one" in other.text()
            assert set(buttons(other)) == {"Sign out"}
            accessible(other)
            desk.check("choose-0")
            desk.push("Recall messages: 3, from users: 3")
            desk.push("Count")
            desk.wait_text("Copies to be deleted: 3")
            desk.fill("typed", "3")
            desk.push("Recall")
            desk.wait_text("It goes on by itself once recalls are released.")
            accessible(desk)
            assert all(has(node, user, mail) for user in USERS)
            desk.push("Let recalls go on")
            accessible(desk)
            desk.push("Let recalls go on")
            desk.wait_text("3 of 3 users looked at.")
        finally:
            service.curl("/v2/stop", "-X", "DELETE", token=service.token())
        desk.wait(lambda: not desk.find(".stopped"), "still stopped")
        assert "Stop all recalls" in buttons(desk)
        other.push("Recalls")
        other.wait(lambda: not other.find(".stopped"), "still stopped")
        assert other.complaints() == []
    assert not any(has(node, user, mail) for user in USERS)


def search_everywhere(browser, message_id):
    browser.fill("messageid", message_id)
    browser.check("everyone")
    browser.push("Search")


@pytest.mark.parametrize("login", [SECURITY, ADMIN])
def test_everyone(browser, node, mail, login):
    enter(browser, login)
    search_everywhere(browser, mail)
    browser.wait_text("Messages: 3, users: 3.")
    # who gets it only now is not among those found
    node.lmtp_deliver([SENDER], build_message(
        mail, sender="Mallory <mal@example.net>",
        subject="Console %d" % number))
    browser.check("choose-0")
    browser.push("Recall messages: 3, from users: 3")
    browser.choose("scope", "Everyone")
    browser.wait_text("Every mailbox is looked at anew")
    browser.choose("stand", "for 1 hour")
    browser.push("Count")
    browser.wait_text("Copies to be deleted: 4, users: 4.")
    accessible(browser)
    browser.fill("typed", "3")
    assert not [b for b in browser.find("dialog button")
                if b.text == "Recall"][0].is_enabled()
    browser.fill("typed", "4")
    browser.push("Recall")
    browser.wait_heading("Recall")
    browser.wait_text("With the message: 4. Failed: 0.")
    browser.wait_text("finished")
    browser.wait_text("Recalled late")
    assert sorted(row[:2] for row in browser.table(1)) == [
        [user, "\u2713 deleted"] for user in sorted([*USERS, SENDER])]
    (name, state, looked), = browser.table()
    assert (name, state) == ("127.0.0.1:%d" % node.http_port, "done")
    assert "Users looked at: %s." % looked in browser.text()
    accessible(browser)
    assert not any(has(node, user, mail) for user in [*USERS, SENDER])
    # the evidence is not for this role, undoing is
    assert ("Save evidence" in buttons(browser)) is (login == SECURITY)
    browser.push("Undo")
    browser.push("Put the messages back")
    browser.wait_heading("Undone recall")
    browser.wait_text("put back (4)")
    assert all(has(node, user, mail) for user in [*USERS, SENDER])


@pytest.mark.log_errors("")
def test_everyone_though_nobody_was_found(node):
    """While a node is down nothing can be found on it."""
    with Service(node, text="[nodes]\ndead = http://127.0.0.1:9/doveadm/v1 "
                 "dead.example\n", doveadm__retries=0) as service, \
            Browser(service.url) as browser:
        enter(browser, SECURITY)
        search_everywhere(browser, "<nobody.has.it@example.com>")
        browser.wait_text("Not searched")
        accessible(browser)
        browser.push("Recall from everyone")
        assert browser.find("#scope") == []
        browser.push("Count")
        browser.wait_text("Nothing would be deleted.")
        # it does not answer, or has been given up meanwhile
        browser.wait_text("Incomplete: Node 127.0.0.1:9 ")
        accessible(browser)
        # it is for when the node is back
        browser.fill("typed", "0")
        browser.push("Recall")
        browser.wait_heading("Recall")
        browser.wait_text("Incomplete: Node 127.0.0.1:9 does not answer")
        states = {row[0]: row[1] for row in browser.table()}
        assert states["127.0.0.1:9"] == "does not answer"
        accessible(browser)
        assert browser.complaints() == []


def test_what_is_not_granted_is_not_offered(node, mail):
    with Service(node, limits__users_admin=2, recall__require_reason="yes",
                 auth__revoke_email="no") as service, \
            Browser(service.url) as browser:
        enter(browser, ADMIN)
        search_everywhere(browser, mail)
        browser.wait_text("Messages: 3")
        browser.check("choose-0")
        browser.wait_text("Your role may recall from 2 users at a time")
        assert not [b for b in buttons(browser) if b.startswith("Recall")]
        accessible(browser)
        browser.check("everyone")
        search_id(browser, mail, USERS[:2])
        browser.wait_text("Messages: 2")
        browser.check("choose-0")
        browser.push("Recall messages: 2, from users: 2")
        reason, = browser.find("#reason")
        assert reason.get_attribute("required")
        browser.push("Cancel")
        browser.push("Sign out")
        # before the page is left: otherwise the cookie stays, and is refused
        browser.wait_heading("Sign in")
        enter(browser, SENDER, "Take back a message")
        browser.wait_text("Taking back messages is switched off here.")
        assert browser.find("form") == []
        accessible(browser)
        assert browser.complaints() == []


def test_a_user_may_force_and_stand_as_far_as_settings_go(node, mail):
    with Service(node, auth__revoke_email="yes", auth__force_revoke="yes",
                 recall__max_stand=24 * 3600) as service, \
            Browser(service.url) as browser:
        enter(browser, SENDER, "Take back a message")
        options = browser.driver.execute_script(
            "return [...document.querySelectorAll('#stand option')]"
            ".map((o) => o.value)")
        assert options == ["", "1h", "24h"]
        message_id = "<forced.console@example.com>"
        node.lmtp_deliver(USERS, build_message(message_id, sender=SENDER))
        node.doveadm("flags", "add", "-u", USERS[0], "\\Seen", "mailbox",
                     "INBOX", "header", "message-id", message_id)
        browser.fill("messageid", message_id)
        browser.fill("emails", " ".join(USERS))
        browser.check("force")
        accessible(browser)
        browser.push("Take back")
        browser.wait_text("3 of 3 users looked at.")
        assert not any(has(node, user, message_id) for user in USERS)
        assert "Save evidence" not in buttons(browser)
        assert browser.complaints() == []


ROLES = {ADMIN: 1, SENDER: 2, SECURITY: 3}


def granted(service, login):
    """What /console/session says, and the role's token."""
    answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                          "-d", "login=" + login, "-d", "password=secret")
    session = answer.json()
    assert session["role"] == ROLES[login]
    return session["rights"], session["access_token"]


@pytest.mark.parametrize("settings", [
    {}, {"auth__revoke_email": "yes", "rights__export": "1 3"},
    {"auth__revoke_email": "yes", "auth__force_revoke": "yes",
     "rights__fetch_body": "2 3", "limits__users_admin": 3,
     "limits__users_super": 5, "recall__require_reason": "yes",
     "recall__max_stand": 600}], ids=["defaults", "some", "more"])
def test_rights_are_what_the_api_answers(node, settings):
    """Whoever it is, and whatever the settings are."""
    with Service(node, **settings) as service:
        for login in ROLES:
            rights, token = granted(service, login)

            def may(*args, path="/v2/actions/expunge"):
                data = [arg for each in args for arg in
                        ("--data-urlencode", each)]
                return service.curl(path, *data, token=token).status < 400

            mine = ("messageid=<none@example.com>", "emails=" + login)
            look = (*mine, "dry_run=1")
            do = (*mine, "reason=test")
            assert may(*look) is rights["recall"]
            assert may(*look, "force=1") is rights["force"]
            assert may(mine[0], "all=1", "reason=test") is rights["everyone"]
            assert may(*do, "stand=%ds" % rights["max_stand"]) is (
                rights["recall"])
            assert not may(*do, "stand=%ds" % (rights["max_stand"] + 1))
            assert may(*mine) is (rights["recall"] and
                                  not rights["require_reason"])
            assert may("cmd=fetch", *mine, "fields=body") is \
                rights["fetch_body"]
            assert (service.curl("/v2/actions/%s/export" % ("0" * 32),
                                 token=token).status == 404) is \
                rights["export"]
            many = json.dumps(["u%d@example.com" % i for i in
                               range(rights["users"] + 1)])
            assert may(mine[0], "emails=" + many, "reason=test") is (
                rights["recall"] and rights["users"] == 0)
            assert may("release=1", path="/v2/stop") is rights["stop"]


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
    for state, n in ("rejected", 0), ("finished", 2):
        desk.choose("state", state)
        desk.push("Filter")
        desk.wait_text("%d recalls." % n)
    for day, n in ("2999-01-01", 0), ("2001-01-01", 2):
        desk.driver.execute_script(
            "const since = document.getElementById('since');"
            "since.value = arguments[0];"
            "since.dispatchEvent(new Event('input', { bubbles: true }))", day)
        desk.push("Filter")
        desk.wait_text("%d recalls." % n)


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
    label, = desk.find("label strong")
    assert label.text.startswith(shown)
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
    cookies = {each["name"]: each for each in desk.driver.execute_cdp_cmd(
        "Network.getAllCookies", {})["cookies"]}
    cookie = cookies.pop("recall_session")
    assert cookies.keys() == {"recall_session_mark"}
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert cookie["secure"] and cookie["path"] == "/console/session"
    # which is no part of it, see test_mark_of_the_cookie()
    assert desk.driver.execute_script("return document.cookie") == \
        "recall_session_mark=" + cookies["recall_session_mark"]["value"]
    for store in ("localStorage", "sessionStorage"):
        assert "token" not in desk.driver.execute_script(
            "return JSON.stringify(%s)" % store)
    desk.push("Sign out")
    desk.wait_heading("Sign in")
    desk.driver.refresh()
    desk.wait_heading("Sign in")


def test_pages_that_go_on_at_once(desk):
    """As when a browser opens its tabs again: a refresh token that is used twice
    would end the session."""
    assert desk.driver.execute_async_script("""
        const done = arguments[0];
        Promise.all([1, 2, 3].map((n) => import("/console/js/api.js?" + n)))
            .then((pages) => Promise.all(pages.map((page) => page.resume())))
            .then((sessions) => done(sessions.map((s) => s?.login)), done);
        """) == [SECURITY] * 3


# the page's clock goes faster, and tells what it was to wait for, but not as to
# what is given up without an answer
QUICK = """
window.waits = [];
const real = window.setTimeout;
window.setTimeout = (f, ms, ...rest) => {
    const waits = ms >= 1000 && ms <= 60000;
    if (waits)
        window.waits.push(ms);
    return real(f, waits ? 200 : ms, ...rest);
};
"""


def busy_session(service, many):
    """The last session has too many tokens that are good; or not."""
    with contextlib.closing(sqlite3.connect(service.dir / "journal.db")) as db, \
            db:
        if many:
            db.executemany(
                "INSERT INTO refresh_tokens (hash, family, login, expires, "
                "used, tenant, jti, created, access_expires) SELECT ?, family, "
                "login, expires, 1, tenant, ?, created, created + 1000 FROM "
                "refresh_tokens ORDER BY created DESC LIMIT 1",
                [("x%d" % i, "x%d" % i) for i in range(1000)])
        else:
            db.execute("DELETE FROM refresh_tokens WHERE jti LIKE 'x%'")


@pytest.mark.parametrize("how", ["page", "load", "sign out"])
def test_too_many_refreshes(node, how):
    """Who is told to come later is signed in still, and goes on then."""
    with Service(node) as service, Browser(service.url) as browser:
        browser.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": QUICK})
        enter(browser, SECURITY)
        browser.driver.execute_script("window.waits = []")
        busy_session(service, True)
        if how == "load":
            browser.open()
        else:
            # every token of before has ended, as if time had passed
            service.set(auth__jwt_key="another-key-of-more-than-32-octets-x")
            assert service.reload() == "reloaded"
            browser.driver.execute_script("location.hash = '#/recalls'")
        browser.wait(lambda: 60000 in browser.driver.execute_script(
            "return window.waits"), "does not wait")
        browser.wait_text("This goes on by itself in a moment.")
        assert "Sign in" not in browser.text()
        if how == "sign out":
            browser.push("Sign out")
            browser.wait_heading("Sign in")
        busy_session(service, False)
        browser.wait(lambda: "by itself" not in browser.text(), "waits still")
        if how == "page":
            browser.wait_heading("Recalls")
            browser.wait_text("0 recalls.")
        else:
            browser.wait_heading("Sign in" if how == "sign out" else
                                 "Find and recall")
        # the browser tells of what was refused
        assert all("status of 4" in line for line in browser.complaints())


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
        # unless it has noticed by itself before
        other.driver.execute_script("location.hash = '#/recalls'")
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
    cookie = answer.cookies["recall_session"].split(";")[0]
    again = ("-H", "X-Recall-Console: 1", "-H", "Cookie: " + cookie)
    answer = service.curl("/console/session", "-X", "DELETE", *again)
    assert answer.status == 200
    assert "Max-Age=0" in answer.cookies["recall_session"]
    answer = service.curl("/console/session", "-X", "POST", *again)
    assert answer.status == 401


def test_cookie_of_a_stranger(node):
    """Nobody is asked about a session that there is not."""
    login = base64.urlsafe_b64encode(SECURITY.encode()).decode().rstrip("=")
    cookie = "recall_session=%s.%s" % ("0" * 64, login)
    with Service(node, doveadm__url="http://127.0.0.1:9/doveadm/v1",
                 doveadm__retries=0) as service:
        answer = service.curl("/console/session", "-X", "POST", "-H",
                              "X-Recall-Console: 1", "-H", "Cookie: " + cookie)
        assert answer.status == 401


@pytest.mark.parametrize("before", [
    "", "a=\"; ", "a={\"b\": 1, \"c\": [2]}; ", "a b; =c; ", "x_recall_session=1;"])
def test_cookies_of_others(service, before):
    """Other services of the same host have any; the own one counts."""
    pair = service.curl("/console/session", "-H", "X-Recall-Console: 1", "-d",
                        "login=" + SECURITY, "-d", "password=secret")
    cookie = pair.cookies["recall_session"].split(";")[0]
    answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                          "-H", "Cookie: " + before + cookie + "; z", "-d", "")
    assert answer.json()["login"] == SECURITY
    # a line more
    cookie = answer.cookies["recall_session"].split(";")[0]
    answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                          "-H", "Cookie: a=b", "-H", "cookie: " + cookie,
                          "-d", "")
    assert answer.json()["login"] == SECURITY


def https_session(service, login, *args):
    """What a browser that came by https has after a sign-in: by the names of
    the cookies."""
    answer = service.curl("/console/session", "-H", "X-Recall-Console: https",
                          "-d", "login=" + login, "-d", "password=secret", *args)
    assert answer.status == 200
    words = answer.cookies["__Host-recall_session"].split("; ")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"} < set(words)
    assert not any(word.startswith("Domain") for word in words)
    return {name: value.split(";")[0].partition("=")[2]
            for name, value in answer.cookies.items()}


def test_cookie_that_another_host_has_set(service):
    """Any host of the domain can set one of that name, before or beside the own
    one, and have somebody work in a session that is not theirs."""
    own, planted = [https_session(service, login)
                    for login in (SECURITY, SENDER)]
    name, proof = "recall_session", "__Host-recall_session"
    pairs = {"own": name + "=" + own[name],
             "planted": name + "=" + planted[name],
             "proof": proof + "=" + own[proof],
             "none": proof + "=" + "0" * 64, "empty": proof + "="}
    # the token goes to the session's path alone
    assert own[name].split(".")[0] not in own[proof]

    def resume(*names):
        answer = service.curl(
            "/console/session", "-H", "X-Recall-Console: https", "-H",
            "Cookie: " + "; ".join(pairs[name] for name in names), "-d", "")
        assert answer.status == 200
        if answer.json()["access_token"] is None:
            assert "set-cookie" not in answer.headers
            return None
        for name in "recall_session", "__Host-recall_session":
            pairs["own" if name == "recall_session" else "proof"] = \
                answer.cookies[name].split(";")[0]
        return answer.json()["login"]

    for names in ("planted",), ("planted", "proof"), ("own",), \
            ("own", "none"), ("own", "empty"), ("planted", "empty"), ("proof",):
        assert resume(*names) is None, names
    for names in ("planted", "own", "proof"), ("own", "proof", "planted"), \
            ("proof", "planted", "planted", "own"):
        assert resume(*names) == SECURITY, names
    answer = service.curl(
        "/console/session", "-X", "DELETE", "-H", "X-Recall-Console: https",
        "-H", "Cookie: " + "; ".join(pairs[name] for name in (
            "planted", "own", "proof")))
    assert answer.status == 200
    assert all("Max-Age=0" in cookie for cookie in answer.cookies.values())
    assert answer.cookies.keys() == own.keys()


def test_mark_of_the_cookie(service):
    """Scripts see by it that there is another cookie, and nothing else."""
    marks = set()
    data, cookie = ["-d", "login=" + SECURITY, "-d", "password=secret"], "a=b"
    for _ in range(3):
        answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                              "-H", "Cookie: " + cookie, *data)
        cookie = answer.cookies["recall_session"].split(";")[0]
        mark, *words = answer.cookies["recall_session_mark"].split("; ")
        value = mark.partition("=")[2]
        assert len(value) == 16 and value not in cookie
        assert {"Path=/console/", "Secure", "SameSite=Strict"} < set(words)
        assert "HttpOnly" not in words
        assert "HttpOnly" in answer.cookies["recall_session"]
        marks.add(value)
        # with it alone there is no session
        alone = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                             "-H", "Cookie: " + mark, "-d", "").json()
        assert alone["access_token"] is None
        data = ["-d", ""]
    assert len(marks) == 3


HOSTS = ("--ignore-certificate-errors",
         "--host-resolver-rules=MAP *.example.test 127.0.0.1")


def test_cookie_of_another_host_in_a_browser(node, certificates):
    tls = {"http__tls_" + name + "_file": certificates / (name + ".pem")
           for name in ("cert", "key")}
    with Service(node, **tls) as service, Browser(
            service.url.replace("127.0.0.1", "recall.example.test"),
            HOSTS) as browser:
        planted = https_session(service, SENDER, "-k")["recall_session"]

        def plant():
            assert browser.driver.execute_cdp_cmd("Network.setCookie", {
                "name": "recall_session", "value": planted, "secure": True,
                "domain": ".example.test", "path": "/console/session"})
        plant()
        enter(browser, SECURITY)
        plant()
        for _ in "12":
            browser.driver.refresh()
            browser.wait_heading("Find and recall")
            browser.wait_text(SECURITY)
        browser.push("Sign out")
        browser.wait_heading("Sign in")
        browser.driver.refresh()
        browser.wait_heading("Sign in")
        assert browser.complaints() == []


def test_no_other_site_can_use_the_session(service):
    """A form has no header of its own, and the cookie goes nowhere else."""
    answer = service.curl("/console/session", "-H", "X-Recall-Console: 1",
                          "-d", "login=" + SECURITY, "-d", "password=secret")
    cookie = answer.cookies["recall_session"].split(";")[0]
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
