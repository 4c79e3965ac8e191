"""Users of whom dbox has older messages in another place (ALT), where doveadm
altmove puts them."""

import pytest

from conftest import DRIVERS
from mailnode import build_message
from quarantine import (LOCATIONS, append, command, fetch, make_node,
                        quarantined, recall)

DBOXES = [driver for driver in DRIVERS if driver != "maildir"]
ALT = ":ALT=~/alt"

pytestmark = pytest.mark.skipif(not DBOXES, reason="Maildir has no such place")


@pytest.fixture(scope="module", params=DBOXES)
def node(request):
    driver = request.param
    # what is recalled is kept in the usual place alone, or moved there, too
    users = {kind: {"%s%d@example.com" % (kind, number): {
        "mail": "%s:~/%s%s" % (driver, driver, ALT),
        "namespace/recalled/location": LOCATIONS[driver] + kept}
        for number in range(9)} for kind, kept in (("some", ""), ("all", ALT))}
    with make_node(driver, {**users["some"], **users["all"]},
                   mail_plugins=["notify", "recall"],
                   plugin={"recall_quarantine_days": "0"}) as node:
        node.free = {kind: iter(names) for kind, names in users.items()}
        yield node
        assert node.panics() == []


@pytest.fixture(params=["some", "all"])
def user(request, node):
    return next(node.free[request.param])


def move(node, user, mailbox):
    node.doveadm("altmove", "-u", user, "mailbox", mailbox)
    if node.driver == "mdbox":
        node.doveadm("purge", "-u", user)


def files(node, user, place):
    return [*(node.home(user) / place).rglob("[um].[0-9]*")]


@pytest.mark.parametrize("criteria", ["message-id", "--verify-headers",
                                      "query"])
def test_recalled_and_restored(node, user, message_id, recall_id, criteria):
    append(node, user, "Work", build_message(message_id))
    append(node, user, "Archive", build_message(message_id))
    move(node, user, "Archive")
    assert files(node, user, "alt") and files(node, user, node.driver)
    before = fetch(node, user, "Archive") + fetch(node, user, "Work")
    what = {"message-id": [message_id],
            "--verify-headers": ["--verify-headers", "--", message_id],
            "query": ["--yes-count=2", "query", "HEADER", "Message-ID", message_id]}[criteria]
    found = command(node, "expunge", "-u", user, "--recall-id", recall_id,
                    "--no-notify", *what).row()
    assert (found["status"], found["copies"]) == ("expunged", "2"), found
    assert fetch(node, user, "Archive") == fetch(node, user, "Work") == []
    assert sorted(quarantined(node, user).values()) == [1, 1]
    if node.driver == "mdbox":
        node.doveadm("purge", "-u", user)
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", "2"), row
    assert fetch(node, user, "Archive") + fetch(node, user, "Work") == before
    assert quarantined(node, user) == {}


def test_kept_there(node, user, message_id, recall_id):
    """What is kept is moved as well."""
    append(node, user, "Work", build_message(message_id))
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    move(node, user, ".RECALLED/*")
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "already_recalled"
    row = command(node, "restore", "-u", user, recall_id).row()
    assert (row["status"], row["copies"]) == ("restored", "1"), row
    assert len(fetch(node, user, "Work")) == 1
    assert quarantined(node, user) == {}


def test_purged(node, user, message_id, recall_id):
    """Nothing of it is left in either place."""
    append(node, user, "Work", build_message(message_id))
    move(node, user, "Work")
    assert recall(node, user, message_id, recall_id,
                  "--no-notify").status() == "expunged"
    row = command(node, "purge", "-u", user).row()
    assert row["status"] == "purged", row
    if node.driver == "mdbox":
        node.doveadm("purge", "-u", user)
    assert quarantined(node, user) == {}
    assert not [path for place in ("alt", node.driver)
                for path in files(node, user, place)
                if message_id.encode() in path.read_bytes()]
