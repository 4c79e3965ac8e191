#!/usr/bin/python3
"""Pictures of the console's pages, for docs/console.md and the README.

    screenshots.py DIRECTORY [NAME ...]

A real Dovecot, mail-recalld and Chromium; see mailnode.py for the environment.
`make screenshots` writes those of docs/console/.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
from browser import Browser, end_all  # noqa: E402
from mailnode import build_message  # noqa: E402
from quarantine import LOCATIONS, NAMESPACE, PREFIX  # noqa: E402
from servicenode import RecallNode, Service  # noqa: E402
from smallpng import make_small  # noqa: E402

# what a picture may have at most, in octets
LARGEST = 120 * 1024
WIDTH = 1120
HEIGHT = 700
PHONE = 390

USERS = ["%s@example.com" % name for name in (
    "anna.weber", "ben.okafor", "carla.rossi", "dmitri.ivanov", "elena.popova",
    "farid.haddad", "grace.kim", "hugo.martin",
    "maria-fernanda.de-la-cruz-y-villanueva.procurement")]
SOC, SECOND, SENDER = "soc@example.com", "lead@example.com", USERS[0]
PHISH = "<20260131.8842@mailer.examp1e.net>"
BAIT = "Your mailbox is full: confirm your password now"
OWN = "<q1-salaries@example.com>"
# of a domain on a node that does not answer
DOWN = "http://mail2.localhost:2222/doveadm/v1"


def make_node():
    users = {user: {"role": "2"} for user in USERS}
    users[SOC] = users[SECOND] = {"role": "3"}
    return RecallNode(users=users, acl=True,
                      plugin={"recall_quarantine": PREFIX},
                      extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]))


def make_service(node):
    return Service(
        node, text="[nodes]\nmail2 = %s branch.example\n" % DOWN,
        doveadm__retries=0, doveadm__allow_plaintext="yes",
        auth__revoke_email="yes", approval__force="yes")


def deliver(node):
    node.lmtp_deliver(USERS, build_message(
        PHISH, sender="IT Service Desk <helpdesk@examp1e.net>", subject=BAIT))
    # others of the same campaign
    for number, subject in enumerate(("Unpaid invoice 4471",
                                      "Unpaid invoice 4471 - reminder")):
        for user in USERS[number:number + 4]:
            node.lmtp_deliver([user], build_message(
                "<%d.%s>" % (number, user),
                sender="Billing <billing@examp1e.net>", subject=subject))
    node.lmtp_deliver(USERS[1:5], build_message(
        OWN, sender="Anna Weber <%s>" % SENDER, subject="Salaries Q1"))
    for user in USERS[1:3]:
        node.doveadm("flags", "add", "-u", user, "\\Seen", "mailbox", "INBOX",
                     "header", "message-id", PHISH)
    node.doveadm("recall", "share", "-u", USERS[0], "--", "INBOX",
                 "user=" + USERS[1], "read", "lookup")


def resize(browser, width, height):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1,
        "mobile": False})


def look(browser, width=WIDTH, dark=False):
    """How wide the page is, and whether it is dark."""
    resize(browser, width, HEIGHT)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme",
                      "value": "dark" if dark else "light"}]})


def sign_in(browser, login, heading):
    browser.open()
    browser.wait_heading("Sign in")
    browser.sign_in(login, "secret")
    browser.wait_heading(heading)


def search(browser, users=USERS):
    browser.fill("messageid", PHISH)
    browser.fill("emails", "\n".join(users))
    browser.push("Search")
    browser.wait_text("Messages: %d" % len(users))


def count(browser, copies, reason, **options):
    """Choose the only group, and count."""
    browser.check("choose-0")
    label, = [b.text for b in browser.find(".sticky button")]
    browser.push(label)
    browser.fill("reason", reason)
    for name in options:
        browser.check(name)
    browser.push("Count")
    browser.wait_text("Copies to be deleted: %d" % copies)


def confirm(browser, copies):
    browser.fill("typed", str(copies))
    browser.push("Recall")
    browser.wait_heading("Recall")


def page(browser, label):
    browser.push(label)
    browser.wait_heading(label)


def recall(service, **params):
    """A recall that is not looked at, by the API."""
    answer = service.recall(service.token(SOC), params.pop("messageid", None),
                            params.pop("emails", None), **params)
    assert answer.status in (200, 202), answer
    return answer.json()


def walk_security(node, service, browser):
    look(browser)
    browser.open()
    browser.wait_heading("Sign in")
    yield "signin"
    sign_in(browser, SOC, "Find and recall")
    search(browser)
    browser.check("choose-0")
    yield "find"
    look(browser, dark=True)
    yield "find-dark"
    look(browser)
    browser.check("choose-0")
    count(browser, len(USERS) - 2, "Phishing, ticket 4471")
    yield "confirm"
    confirm(browser, len(USERS) - 2)
    browser.wait_text("%d of %d users" % (len(USERS), len(USERS)))
    browser.push("2 users have read it: show who")
    yield "read"
    browser.choose("only", "All")
    yield "recall"
    look(browser, dark=True)
    yield "recall-dark"
    look(browser)
    browser.push("Undo")
    browser.fill("undo-reason", "False alarm")
    yield "undo"
    browser.push("Put the messages back")
    browser.wait_heading("Undone recall")
    browser.wait_text("put back (%d)" % (len(USERS) - 2))
    yield "undone"
    recall(service, messageid="<newsletter@examp1e.net>", emails=USERS[:3],
           stand="48h", reason="More of the campaign")
    page(browser, "Standing orders")
    browser.wait_text("More of the campaign")
    yield "standing"
    page(browser, "Recalls")
    browser.wait_text("recalls.")
    yield "recalls"
    page(browser, "Shared mailboxes")
    browser.fill("owner", USERS[0])
    browser.push("Show")
    browser.wait_text("1 share.")
    yield "shares"
    page(browser, "My sessions")
    browser.wait(browser.table, "no sessions")
    yield "sessions"


def walk_everyone(node, service, browser):
    """One node is down meanwhile."""
    page(browser, "Find and recall")
    browser.fill("messageid", PHISH)
    browser.check("everyone")
    browser.push("Search")
    browser.wait_text("Messages: %d" % len(USERS))
    count(browser, len(USERS) - 2, "Phishing, ticket 4471")
    browser.wait_text("Incomplete:")
    yield "everyone"
    confirm(browser, len(USERS) - 2)
    browser.wait_text("With the message: %d." % len(USERS))
    yield "progress"
    browser.push("Stop all recalls")
    browser.fill("stop-reason", "Wrong message: asking the desk first")
    yield "stop"
    browser.push("Stop all")
    browser.wait_text("All recalls are stopped")
    browser.wait_text("It goes on by itself once recalls are released.")
    yield "stopped"
    browser.push("Let recalls go on")
    yield "release"
    browser.push("Let recalls go on")
    browser.wait(lambda: "All recalls are stopped" not in browser.text(),
                 "still stopped")


def walk_approval(node, service, browser):
    recall(service, messageid=OWN, emails=USERS[1:5], force=1,
           reason="Sent to the wrong list")
    page(browser, "My sessions")
    browser.push("Sign out")
    browser.wait_heading("Sign in")
    browser.sign_in(SECOND, "secret")
    browser.wait_heading("Find and recall")
    page(browser, "Approvals")
    browser.wait_text("1 recall waits.")
    yield "approvals"
    browser.push("Approve")
    browser.fill("decision-reason", "Confirmed by telephone")
    yield "approve"
    browser.push("Approve")
    browser.wait_heading("Recall")
    browser.wait_text("4 of 4 users looked at.")
    look(browser, PHONE)
    yield "phone"
    look(browser)


def walk_user(node, service, browser):
    browser.push("Sign out")
    browser.wait_heading("Sign in")
    browser.sign_in(SENDER, "secret")
    browser.wait_heading("Take back a message")
    yield "takeback"


def walk(node, service, browser):
    """Goes through the console; yields the name of each page when it is there
    to be looked at."""
    deliver(node)
    for part in walk_security, walk_everyone, walk_approval, walk_user:
        yield from part(node, service, browser)


def picture(browser, path):
    """Of the whole page, or of a dialog and what is around it."""
    path = pathlib.Path(path)
    width, height, body, dialog = browser.driver.execute_script(
        "document.activeElement.style.caretColor = 'transparent';"
        "return [innerWidth, innerHeight, document.body.scrollHeight,"
        "        document.querySelector('dialog') !== null];")
    resize(browser, width, height if dialog else body)
    browser.screenshot(path)
    resize(browser, width, height)


def main():
    directory = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2:]
    directory.mkdir(parents=True, exist_ok=True)
    with make_node() as node, make_service(node) as service, \
            Browser(service.url) as browser:
        for name in walk(node, service, browser):
            if not wanted or name in wanted:
                path = directory / (name + ".png")
                picture(browser, path)
                path.write_bytes(make_small(path.read_bytes()))
                print(name, flush=True)
        complaints = browser.complaints()
    end_all()
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
