"""What a security team does in the console in an incident, in a real browser: to
know what it looks at, to go on where a colleague has begun, to cope with many."""

import contextlib
import csv

import pytest

from browser import AXE, Browser
from mailnode import build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from screenshots import count, recall, sign_in
from servicenode import RecallNode, Service

USERS = ["ann@example.com", "bob@example.com", "cid@example.com"]
ALIAS = "all-hands@example.com"
SECURITY, ADMIN = "soc@example.com", "adm@example.com"
ATTACHMENT = """--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

Q2xpY2sgaGVyZSE=
--b
Content-Type: application/zip; name="invoice_4471.zip"
Content-Transfer-Encoding: base64

UEsDBAoAAAAA
--b--
"""


@pytest.fixture(scope="module")
def node():
    users = {user: {} for user in USERS}
    users[SECURITY] = users["soc2@example.com"] = {"role": "3"}
    users[ADMIN] = {"role": "1"}
    with RecallNode(users=users, plugin={"recall_quarantine": PREFIX},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        # a userdb that lists aliases, too: this one first
        node.add_user(ALIAS, user=USERS[0], home=node.home(USERS[0]))
        yield node
        assert node.panics() == []


@contextlib.contextmanager
def signed_in(service, login=SECURITY):
    with Browser(service.url) as browser:
        sign_in(browser, login, "Find and recall")
        yield browser
        assert browser.complaints() == []


def look_for(browser, found, **conditions):
    """In all mailboxes, by conditions."""
    browser.tab_to_id("by-id")
    browser.press("\ue014")
    for name, value in conditions.items():
        if name == "since":
            browser.tab_to_id(name).send_keys(value)
        else:
            browser.fill(name, value)
    browser.check("everyone")
    browser.push("Search")
    browser.wait_text("Messages: %d, users: %d." % (found, found))


def deliver(node, name, users=USERS, content_type=b"text/plain", **parts):
    for user in users:
        message = build_message(
            "<%s.%s>" % (name, user), sender="Desk <%s@evil.example>" % name,
            **parts)
        node.lmtp_deliver([user], message.replace(
            b"text/plain; charset=utf-8", content_type, 1))


def test_what_is_looked_at(node, service):
    """A date that whoever sent it has made up, the name of an attachment, the
    message itself; and an alias of a mailbox is not another one."""
    deliver(node, "wave", date="Mon, 02 Jan 2023 10:00:00 +0000",
            subject="Invoice", body=ATTACHMENT,
            content_type=b"multipart/mixed; boundary=b",
            headers=[("X-Bidi", "a\u202eb")])
    with signed_in(service) as browser:
        look_for(browser, 3, anything="invoice_4471.zip", since="01012026",
                 **{"from": "wave@"})
        assert [row[0] for row in browser.table()] == USERS
        assert browser.table()[0][3].endswith(" UTC")
        browser.push("Show")
        browser.wait_text("Text, as it was sent")
        assert browser.axe(AXE) == []
        text = browser.text()
        assert "Message-ID: <wave.ann@example.com>" in text
        assert "X-Bidi: a\u2039202e\u203ab\n" in text
        assert "First words of the text\nClick here!\n" in text
        assert "\n\nUEsDBAoAAAAA\n" in text
        browser.push("Close")
        count(browser, 3, "Invoice")
        browser.fill("typed", "3")
        browser.push("Recall")
        browser.wait_heading("Recall")
        browser.wait_text("3 of 3 users looked at.")
        assert "Delete even what was read\nno\nTell the users\nyes" in \
            browser.text()
        assert browser.axe(AXE) == []


def test_bodies_are_for_whom_they_may_be(node, service):
    deliver(node, "secret", USERS[:1], body="The body.\n")
    with signed_in(service, ADMIN) as browser:
        look_for(browser, 1, **{"from": "secret@"})
        browser.push("Show")
        browser.wait_text("Message-ID: <secret.ann@example.com>")
        assert "The body." not in browser.text()
        browser.push("Close")


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_a_colleague_asks_the_failed_again(node, service):
    """Who has not sent it has no key of it: it is counted and asked for anew."""
    deliver(node, "wave2")
    home = node.home(USERS[1])
    mode = home.stat().st_mode
    home.chmod(0)
    try:
        answer = recall(service, messageid="<wave2.%s>" % USERS[1],
                        emails=[ALIAS, *USERS[1:]], force=1, notify=0,
                        reason="Case 7")
    finally:
        home.chmod(mode)
    assert answer["summary"] == {"not_found": 2, "error": 1}
    with signed_in(service, "soc2@example.com") as browser:
        browser.open("#/recall/" + answer["id"])
        browser.wait_text("3 of 3 users looked at.")
        assert browser.table()[0][:3] == [ALIAS, USERS[0], "\u2013 not found"]
        assert "Listing mailboxes failed" in browser.text()
        downloads = service.dir / "downloads"
        browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {
            "behavior": "allow", "downloadPath": str(downloads)})
        browser.push("Save as CSV")
        browser.wait(lambda: list(downloads.glob("*.csv")), "no file")
        with open(next(downloads.iterdir()), newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["email"], row["mailbox_user"], row["status"])
                for row in rows] == [(ALIAS, USERS[0], "not_found"),
                                     (USERS[1], "", "error"),
                                     (USERS[2], "", "not_found")]
        browser.push("Ask 1 failed user again")
        assert browser.axe(AXE) == []
        assert browser.find("#reason")[0].get_attribute("value") == "Case 7"
        assert [browser.find("#" + name)[0].is_selected()
                for name in ("force", "notify")] == [True, False]
        browser.push("Count")
        browser.wait_text("Copies to be deleted: 1, users: 1.")
        browser.fill("typed", "1")
        browser.push("Recall")
        browser.wait_text("1 of 1 users looked at.")
        assert browser.table()[0][:2] == [USERS[1], "\u2713 deleted"]


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
@pytest.mark.parametrize("role, login", [(2, ADMIN), (2, SECURITY),
                                         (1, SECURITY), (1, ADMIN)])
def test_a_colleague_does_not_ask_for_more(node, role, login):
    """A user may recall own mail alone, an administrator what is of the
    tenant: who asks their failed again with more rights would take the rest."""
    message_id = "<ceo%d.%s>" % (role, login)
    home = node.home(USERS[1])
    with Service(node, auth__revoke_email="yes") as service:
        node.lmtp_deliver(USERS[1:2], build_message(message_id, sender=ADMIN))
        mode = home.stat().st_mode
        home.chmod(0)
        try:
            token = service.token(USERS[0] if role == 2 else "x@example.com",
                                  role, "default")
            answer = service.recall(token, message_id, USERS[1:2]).json()
        finally:
            home.chmod(mode)
        assert answer["summary"] == {"error": 1}
        with signed_in(service, login) as browser:
            browser.open("#/recall/" + answer["id"])
            browser.wait_text("1 of 1 users looked at.")
            assert ("Ask 1 failed user again" in browser.text()) is \
                (role == 1 and login == ADMIN)


def test_many_rows(service):
    """The first ones are shown, more on demand."""
    answer = recall(service, messageid="<many@example.com>", emails=[
        "nobody%d@example.com" % number for number in range(300)])
    with signed_in(service) as browser:
        browser.open("#/recall/" + answer["id"])
        browser.wait_text("Shown: 250 of 300.")
        assert len(browser.table()) == 250
        browser.push("Show more")
        browser.wait(lambda: len(browser.table()) == 300, "no more")
        assert "Shown:" not in browser.text()
        assert browser.focused.get_attribute("role") == "region"
