"""Addresses that are another name of a mailbox: Dovecot's userdb answers with
the user whose mailbox it is."""

import pytest

from conftest import DRIVERS
from mailnode import build_message
from quarantine import command, http, make_node

OWNERS = ["ann@example.com", "bob@example.com", "cid@example.com"]
ALIASES = {"boss@example.com": OWNERS[0], "chief@example.com": OWNERS[0],
           "helpdesk@example.com": OWNERS[1], "zed@example.com": OWNERS[2]}


def alias_fields(node, owner):
    return {"user": owner, "home": node.home(owner)}


@pytest.fixture(scope="module")
def node():
    with make_node(DRIVERS[-1], OWNERS) as node:
        node.add_users({alias: alias_fields(node, owner)
                        for alias, owner in ALIASES.items()})
        yield node
        assert node.panics() == [] and node.errors() == []


@pytest.fixture(params=["shell", "http"])
def run(request, node):
    """Runs a command for these users; returns its rows in order."""
    def shell(name, users, *criteria, **options):
        args = ["--users=" + user for user in users]
        args += ["--%s=%s" % pair for pair in options.items()]
        return command(node, name, *args, *criteria).rows

    def over_http(name, users, criterion, **options):
        param = "recallId" if name == "restore" else "messageId"
        options = {key.replace("report-to", "reportTo"): value
                   for key, value in options.items()}
        return http(node, "recall" + name.title(), users=users,
                    **{param: criterion}, **options).rows

    return shell if request.param == "shell" else over_http


def copies(node, user, message_id):
    return sum(b"\r\nMessage-ID: %s\r\n" % message_id.encode() in message
               for message in node.messages(user))


def named(rows, *columns):
    return [tuple(row[column] for column in columns) for row in rows]


def test_alias(node, run, message_id):
    node.lmtp_deliver("ann@example.com", build_message(message_id))
    row, = run("expunge", ["boss@example.com"], message_id)
    assert (row["username"], row["mailbox-user"]) == \
        ("boss@example.com", "ann@example.com")
    assert (row["status"], row["copies"], row["notice"]) == \
        ("expunged", "1", "sent")
    assert copies(node, "ann@example.com", message_id) == 0


def test_one_mailbox_by_several_names(node, run, message_id):
    """Each name is answered for, and what is done is done once."""
    node.lmtp_deliver(OWNERS[:2], build_message(message_id))
    before = node.count("ann@example.com")
    asked = ["boss@example.com", "nobody@example.com", "bob@example.com",
             "ann@example.com", "chief@example.com"]
    rows = run("expunge", asked, message_id)
    assert named(rows, "username", "mailbox-user", "status", "copies",
                 "notice") == [
        ("boss@example.com", "ann@example.com", "expunged", "1", "sent"),
        ("nobody@example.com", "", "no_user", "0", "none"),
        ("bob@example.com", "bob@example.com", "expunged", "1", "sent"),
        ("ann@example.com", "ann@example.com", "expunged", "1", "sent"),
        ("chief@example.com", "ann@example.com", "expunged", "1", "sent")]
    assert "name its members" in rows[1]["error"]
    # the message has gone, and one notice has come
    assert node.count("ann@example.com") == before

    rows = run("restore", asked, rows[0]["recall-id"])
    assert named(rows, "username", "mailbox-user", "status", "copies") == [
        ("boss@example.com", "ann@example.com", "restored", "1"),
        ("nobody@example.com", "", "no_user", "0"),
        ("bob@example.com", "bob@example.com", "restored", "1"),
        ("ann@example.com", "ann@example.com", "restored", "1"),
        ("chief@example.com", "ann@example.com", "restored", "1")]
    assert copies(node, "ann@example.com", message_id) == 1


def test_count_by_several_names(node, message_id):
    """A query counts a mailbox once."""
    node.lmtp_deliver("cid@example.com", build_message(message_id))
    args = ["--users=zed@example.com", "--users=cid@example.com"]
    query = ["query", "HEADER", "Message-ID", message_id]
    result = command(node, "expunge", *args, "--dry-run", *query)
    assert "1 messages would be deleted" in result.stderr
    result = command(node, "expunge", *args, "--yes-count=1", *query)
    assert named(result.rows, "username", "status", "copies") == [
        ("zed@example.com", "expunged", "1"),
        ("cid@example.com", "expunged", "1")]


@pytest.mark.parametrize("mask", [["-A"], ["-u", "*@example.com"]])
def test_listed_aliases(node, message_id, mask):
    """Where users are listed, it's mailboxes that are asked for."""
    node.lmtp_deliver(OWNERS, build_message(message_id))
    result = command(node, "expunge", "--no-notify", *mask, message_id)
    assert sorted(row for row in named(result.rows, "mailbox-user", "status")
                  if row[0] in {*OWNERS, *ALIASES}) == \
        [(owner, "expunged") for owner in OWNERS]


def test_search_tells_the_name(node, run, message_id):
    node.lmtp_deliver("ann@example.com", build_message(message_id))
    row, = run("search", ["boss@example.com"], message_id)
    assert (row["username"], row["mailbox-user"]) == \
        ("boss@example.com", "ann@example.com")


def test_several_names_while_recalls_are_stopped(node, run, message_id):
    node.lmtp_deliver("ann@example.com", build_message(message_id))
    asked = ["boss@example.com", "ann@example.com", "chief@example.com"]
    assert command(node, "stop", "--reason=Wrong").code == 0
    try:
        rows = run("expunge", asked, message_id)
    finally:
        assert command(node, "stop", "--release").code == 0
    assert named(rows, "username", "mailbox-user", "status", "copies") == [
        (name, "ann@example.com", "error", "0") for name in asked]
    assert all("Wrong" in row["error"] for row in rows)
    assert copies(node, "ann@example.com", message_id) == 1
