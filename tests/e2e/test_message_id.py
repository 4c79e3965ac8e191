"""Which messages an id means (recall-message-id.h), in mail as senders really
write it."""

import pytest

from conftest import run_http
from mailnode import build_message

pytestmark = pytest.mark.one_format(
    "headers are compared, and hashed for the index, in the same way whatever "
    "they are stored in", also_bare=True)

# What a Message-ID field holds, and what it can be asked for by: in brackets
# and as it stands. {id} is another one in each test.
FORMS = {
    "comment": ("<{id}> (added by postmaster@c)",
                ["<{id}>", "{id}", "<{id}> (added by postmaster@c)"]),
    "comment-folded": ("<{id}>\n\t(added by\n  postmaster@c)",
                       ["<{id}>", "<{id}> (added by postmaster@c)"]),
    "comment-first": ("(was <x@y>) <{id}>",
                      ["<{id}>", "(was <x@y>) <{id}>"]),
    "comment-inside": ("<{id} (1)>", ["<{id}>", "<{id} (1)>"]),
    "quoted": ("<\"a  >(b\".{id}>", ["<\"a  >(b\".{id}>", "\"a  >(b\".{id}"]),
    "quoted-folded": ("<\"a\n b\".{id}>", ["<\"a b\".{id}>"]),
    "space-inside": ("< {id} >", ["<{id}>", "{id}", "< {id} >"]),
    "space-around-at": ("<x @\n {id}>", ["<x@{id}>", "<x @ {id}>"]),
    "space-in-word": ("<x {id}>", ["<x {id}>"]),
    "text-before": ("id: <{id}>", ["<{id}>", "id: <{id}>"]),
    "semicolon": ("<{id}>;", ["<{id}>", "<{id}>;"]),
    "two-ids": ("<{id}> <2.{id}>",
                ["<{id}>", "<2.{id}>", "<{id}> <2.{id}>"]),
    "two-ids-joined": ("<{id}><2.{id}>", ["<2.{id}>", "<{id}><2.{id}>"]),
    "doubled-brackets": ("<<{id}>>", ["<<{id}>>"]),
    "no-brackets": ("{id} (x@y)", ["{id} (x@y)"]),
    "no-at-sign": ("one two", ["<one two>"]),
}
# what is near, but another id
OTHERS = [
    "<x{id}>", "<{id}x>", "<X.{id}>", "<3.{id}>", "<{id} (2)x>", "(<{id}>)",
    "<\"a >(b\".{id}>", "<xx{id}>", "<{id}.>", "{id} (x@z)", "onetwo", "<one>",
    "(<2.{id}>) <y.{id}>", "\"<{id}>\" <z.{id}>", "<<{id}> (2)>",
]


def deliver(node, user, header, message_id, more=()):
    node.append(user, "INBOX", build_message(
        header.format(id=message_id.strip("<>")),
        headers=[("Message-ID", value.format(id=message_id.strip("<>")))
                 for value in more]))


@pytest.mark.parametrize("header, asked", FORMS.values(), ids=FORMS)
def test_forms(node, user, message_id, shell, header, asked):
    for other in OTHERS:
        deliver(node, user, other, message_id)
    for text in asked:
        deliver(node, user, header, message_id)
        row = shell("-u", user, "--no-notify", "--",
                    text.format(id=message_id.strip("<>"))).row()
        assert (row["status"], row["copies"]) == ("expunged", "1"), text
        assert node.count(user) == len(OTHERS)


def test_over_http(node, user, message_id, recall):
    bare = message_id.strip("<>")
    header = "<{id}> \"a\\\"b\" (added by\n\tpostmaster@c) <2.{id}>"
    for asked in ("<%s>" % bare, "<2.%s>" % bare,
                  "<%s> \"a\\\"b\" (added by postmaster@c) <2.%s>" %
                  (bare, bare)):
        deliver(node, user, header, message_id)
        assert recall(user, asked).status() == "expunged"
        assert node.count(user) == 0


@pytest.mark.parametrize("fields", [
    ("<x.{id}>", "<{id}>"), ("<{id}>", "<x.{id}>"), ("", "<{id}>"),
    ("<>", "{id}"), ("<{id}>", "<{id}>"), ("<x@y>", "(c) <{id}>", "<z@y>"),
])
def test_several_fields(node, user, message_id, shell, fields):
    deliver(node, user, "<3.{id}>", message_id, ["<x@y>"])
    deliver(node, user, fields[0], message_id, fields[1:])
    assert shell("-u", user, "--dry-run", "--", message_id).row()["copies"] \
        == "1"
    for field in fields:
        text = field.format(id=message_id.strip("<>"))
        if text.strip("<>") and text != "<x@y>":
            assert shell("-u", user, "--dry-run", "--",
                         text).row()["copies"] == "1", text
    assert shell("-u", user, "--no-notify", "--", message_id).status() == \
        "expunged"
    assert node.count(user) == 1


def test_lmtp_and_copies(node, user, message_id, shell):
    """What the mail plugin writes of such a message."""
    bare = message_id.strip("<>")
    value = "<%s> (added by postmaster@c)" % bare
    node.lmtp_deliver(user, build_message(value))
    connection = node.imap(user)
    connection.create("Copies")
    connection.select("INBOX")
    assert connection.copy("1", "Copies")[0] == "OK"
    connection.logout()
    for asked in message_id, value:
        assert shell("-u", user, "--dry-run", "--",
                     asked).row()["copies"] == "2"
    assert shell("-u", user, "--dry-run", "--", "<added by>").status() == \
        "not_found"


@pytest.mark.parametrize("asked, why", [
    ("", "is empty"), (" ", "is empty"), ("<>", "is empty"),
    ("< > <>", "is empty"), ("<a@b>\nx", "has a control character"),
    ("<a\tb@c>", "has a control character"),
    ("unseen", "has neither an @ nor angle brackets"),
    ("subject x", "has neither an @ nor angle brackets"),
    ("<%s@b>" % ("a" * 997), "is longer than 998 octets"),
    ("<a@b> (%s)" % ("a" * 991), "is longer than 998 octets"),
], ids=["empty", "space", "brackets", "two-brackets", "newline", "tab", "word",
        "words", "long-id", "long-value"])
@pytest.mark.log_errors("The Message-ID")
def test_refused(node, user, shell, asked, why):
    result = shell("-u", user, "--", asked)
    assert result.code == 64
    assert "The Message-ID " + why in result.stderr


# without the index

def test_not_found_says_how_it_looked(node, user, message_id, shell):
    def row(*args):
        row = shell("-u", user, *args).row()
        return row["status"], row["searched"]
    assert row(message_id) == ("not_found", "index")
    assert row("--verify-headers", message_id) == ("not_found", "headers")
    assert row("--dry-run", "query", "header", "x-none", "x") == \
        ("not_found", "query")
    assert shell("-u", "nobody@example.com",
                 message_id).row()["searched"] == ""


@pytest.mark.parametrize("value, code, searched", [
    ("true", 0, "headers"), (True, 0, "headers"), ("false", 0, "index"),
    (False, 0, "index"), (1, 64, None), ("yes", 64, None),
])
@pytest.mark.log_errors("verifyHeaders is neither true nor false")
def test_verify_headers_over_http(node, user, message_id, value, code,
                                  searched):
    result = run_http(node, users=[user], messageId=message_id,
                      verifyHeaders=value)
    assert result.code == code
    if code == 0:
        assert result.row()["searched"] == searched


@pytest.mark.log_errors("--verify-headers goes with a Message-ID")
def test_verify_headers_is_not_for_queries(node, user, shell):
    result = shell("-u", user, "--verify-headers", "--dry-run", "query",
                   "subject", "x")
    assert result.code == 64
    assert "--verify-headers goes with a Message-ID" in result.stderr
