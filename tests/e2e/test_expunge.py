"""What a recall finds, keeps and deletes."""

import re

import pytest

from conftest import COLUMNS, EX_TEMPFAIL, parse_tab, run_shell
from faulty import STOPPED, Shim, Stopping
from mailnode import Idle, MailNode, build_message


def other_mail(node, user, mailbox="INBOX"):
    """Something that must stay."""
    node.append(user, mailbox, build_message("<other@example.com>"))


def guid_of(node, user, mailbox):
    line = node.doveadm("-f", "tab", "mailbox", "status", "-u", user, "guid",
                        mailbox).stdout.splitlines()[-1]
    return line.split("\t")[-1]


@pytest.mark.smoke
def test_unread(node, user, message_id, recall):
    node.lmtp_deliver(user, build_message(message_id))
    other_mail(node, user)
    guid = guid_of(node, user, "INBOX")
    result = recall(user, message_id)
    row = result.row(user)
    assert list(row) == COLUMNS
    assert len(row.pop("recall-id")) == 32
    assert row == {"username": user, "status": "expunged", "copies": "1",
                   "notice": "none", "mailboxes": "INBOX",
                   "mailbox-guids": guid, "searched": "index",
                   "mailbox-user": user, "present": "0", "kept-until": "",
                   "error": ""}
    assert result.code == 0
    assert node.count(user) == 1


@pytest.mark.parametrize("force", [False, True], ids=["kept", "forced"])
@pytest.mark.parametrize("flag", ["\\Seen", "\\Answered", "$Forwarded",
                                  "$forwarded"])
def test_read(node, user, message_id, recall, flag, force):
    node.append(user, "INBOX", build_message(message_id), [flag])
    row = recall(user, message_id, force=force).row(user)
    assert row["status"] == ("expunged" if force else "read")
    assert row["copies"] == "1"
    assert row["mailboxes"] == "INBOX"
    assert node.count(user) == (0 if force else 1)


@pytest.mark.parametrize("flags", [["\\Flagged"], ["\\Deleted"], ["\\Draft"],
                                   ["Seen"], ["$MDNSent", "NonJunk"]],
                         ids=lambda flags: flags[0].strip("\\$"))
def test_other_flags_are_not_read(node, user, message_id, recall, flags):
    node.append(user, "INBOX", build_message(message_id), flags)
    assert recall(user, message_id).status() == "expunged"
    assert node.count(user) == 0


def test_copies_in_several_mailboxes(node, user, message_id, recall):
    for mailbox in ("INBOX", "Trash", "Junk", "Work"):
        node.append(user, mailbox, build_message(message_id))
        other_mail(node, user, mailbox)
    row = recall(user, message_id).row()
    assert (row["status"], row["copies"]) == ("expunged", "4")
    mailboxes = row["mailboxes"].split(",")
    assert sorted(mailboxes) == ["INBOX", "Junk", "Trash", "Work"]
    assert row["mailbox-guids"].split(",") == \
        [guid_of(node, user, mailbox) for mailbox in mailboxes]
    for mailbox in mailboxes:
        assert node.count(user, mailbox) == 1


def size_of(node, user):
    line = node.doveadm("-f", "tab", "mailbox", "status", "-u", user, "vsize",
                        "INBOX").stdout.splitlines()[-1]
    return int(line.split("\t")[-1])


@pytest.mark.parametrize("counted", [False, True], ids=["new", "counted"])
def test_size_of_mailbox(node, user, message_id, recall, counted):
    """Dovecot keeps the sum of a mailbox's sizes once it was asked for."""
    other_mail(node, user)
    size = size_of(node, user)
    node.lmtp_deliver(user, build_message(message_id))
    if counted:
        assert size_of(node, user) > size
    assert recall(user, message_id).status() == "expunged"
    assert size_of(node, user) == size
    other_mail(node, user)
    assert size_of(node, user) == 2 * size


@pytest.mark.parametrize("force", [False, True], ids=["kept", "forced"])
def test_one_read_copy_of_two(node, user, message_id, recall, force):
    node.append(user, "INBOX", build_message(message_id))
    node.append(user, "Archive", build_message(message_id), ["\\Seen"])
    row = recall(user, message_id, force=force).row()
    assert row["status"] == ("expunged" if force else "read")
    assert row["copies"] == "2"
    left = 0 if force else 1
    assert node.count(user, "INBOX") == left
    assert node.count(user, "Archive") == left


@pytest.mark.parametrize("mailbox", ["Sent", "Drafts"])
def test_own_copy_says_nothing_about_reading(node, user, message_id, recall,
                                             mailbox):
    node.append(user, mailbox, build_message(message_id), ["\\Seen"])
    node.append(user, "INBOX", build_message(message_id))
    row = recall(user, message_id).row()
    assert (row["status"], row["copies"]) == ("expunged", "2")
    assert node.count(user, mailbox) == node.count(user) == 0


def test_read_in_trash(node, user, message_id, recall):
    """Trash is no exception to the read rule."""
    node.append(user, "Trash", build_message(message_id), ["\\Seen"])
    assert recall(user, message_id).status() == "read"
    assert node.count(user, "Trash") == 1


def test_moved_to_trash(node, user, message_id, recall):
    node.lmtp_deliver(user, build_message(message_id))
    connection = node.imap(user)
    connection.create("Trash")
    connection.select("INBOX")
    assert connection._simple_command("MOVE", "1", "Trash")[0] == "OK"
    connection.logout()
    row = recall(user, message_id).row()
    assert (row["status"], row["mailboxes"]) == ("expunged", "Trash")
    assert node.count(user, "Trash") == 0


@pytest.mark.parametrize("mailbox, shown", [
    ("a/b/c", "a/b/c"),
    ("Входящие/Отдел продаж", "Входящие/Отдел продаж"),
    ("Fußnote & mehr", "Fußnote & mehr"),
    ("日本語/𝄞", "日本語/𝄞"),
    ("one, two", "one\\, two"),
    ("with \"quotes\"", "with \"quotes\""),
    ("back\\slash", "back\\\\slash"),
    ("INBOX/sub", "INBOX/sub"),
])
def test_mailbox_names(node, user, message_id, recall, mailbox, shown):
    node.append(user, mailbox, build_message(message_id))
    row = recall(user, message_id).row()
    assert (row["status"], row["mailboxes"]) == ("expunged", shown)
    assert node.count(user, mailbox) == 0


def test_unsubscribed_and_unlisted_mailbox(node, user, message_id, recall):
    """A parent that can't be selected does not hide what is below it."""
    node.append(user, "parent/child", build_message(message_id))
    connection = node.imap(user)
    connection.delete("parent")
    connection.logout()
    assert recall(user, message_id).row()["mailboxes"] == "parent/child"


def test_two_with_the_same_id(node, user, message_id, recall):
    for subject in ("first", "second"):
        node.lmtp_deliver(user, build_message(message_id, subject=subject))
    row = recall(user, message_id).row()
    assert (row["copies"], row["mailboxes"]) == ("2", "INBOX")
    assert node.count(user) == 0


def test_many_in_one_mailbox(node, user, message_id, recall):
    """With others in between, so that each is a range of UIDs of its own."""
    for number in range(20):
        node.append(user, "INBOX", build_message(message_id))
        node.append(user, "INBOX", build_message("<other%d@y.example>" % number))
    row = recall(user, message_id).row()
    assert (row["status"], row["copies"]) == ("expunged", "20")
    assert node.count(user) == 20


def test_without_message_id(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(None))
    node.append(user, "INBOX", build_message(""))
    node.append(user, "INBOX", b"\r\nnothing but a body\r\n")
    node.append(user, "INBOX", b"no header at all")
    assert recall(user, message_id).status() == "not_found"
    assert node.count(user) == 4


@pytest.mark.parametrize("way", ["lmtp", "append"])
def test_id_behind_all_that_dovecot_reads(node, user, message_id, recall, way):
    """Dovecot looks at no more than 10 MB of a header."""
    line = b"X-Fill: " + b"x" * 990 + b"\r\n"
    message = line * (11 * 2**20 // len(line)) + build_message(message_id)
    if way == "lmtp":
        node.lmtp_deliver(user, message)
    else:
        node.append(user, "INBOX", message)
    other_mail(node, user)
    assert recall(user, message_id, dry_run=True).status() == "would_expunge"
    row, = parse_tab(node.doveadm("-f", "tab", "recall", "index", "--verify",
                                  "-u", user).stdout)
    assert row["wrong"] == "0", row
    assert recall(user, message_id).status() == "expunged"
    assert node.count(user) == 1


def test_not_found(node, user, message_id, recall):
    other_mail(node, user)
    row = recall(user, message_id).row()
    assert (row["status"], row["copies"], row["mailboxes"],
            row["mailbox-guids"], row["error"]) == ("not_found", "0", "", "",
                                                    "")
    assert node.count(user) == 1


def test_user_without_any_mail(node, user, message_id, recall):
    assert recall(user, message_id).status() == "not_found"


def test_repeated(node, user, message_id, recall):
    node.lmtp_deliver(user, build_message(message_id))
    assert recall(user, message_id).status() == "expunged"
    again = recall(user, message_id)
    assert again.status() in ("not_found", "already_recalled")
    assert again.row()["copies"] == "0"
    assert again.code == 0


# which ids are the same

NEAR_MISSES = [
    "<near.miss@example.co>",
    "<near.miss@example.com.org>",
    "<near.miss@example>",
    "<xnear.miss@example.com>",
    "<ear.miss@example.com>",
    "<NEAR.MISS@example.com>",
    "<near.miss@Example.COM>",
    "<\"near.miss\"@example.com>",
    "<<near.miss@example.com>>",
    "<near.mi\n ss@example.com>",
    "<near.miss@example.com.>",
    "=?utf-8?q?=3Cnear=2Emiss=40example=2Ecom=3E?=",
]


@pytest.mark.smoke
def test_near_misses(node, user, recall):
    for header in NEAR_MISSES:
        node.append(user, "INBOX", build_message(header))
    for name in ("In-Reply-To", "References", "X-Message-ID",
                 "Resent-Message-ID", "Content-ID"):
        node.append(user, "INBOX", build_message("<else@example.com>", headers=[
            (name, "<near.miss@example.com>")]))
    node.append(user, "INBOX", build_message(
        "<else@example.com>", body="Message-ID: <near.miss@example.com>\n"))
    before = node.messages(user)
    row = recall(user, "<near.miss@example.com>", force=True).row()
    assert row["status"] == "not_found"
    assert node.messages(user) == before


@pytest.mark.parametrize("header", [
    "<{id}>", "{id}", "<{id}", "{id}>", " \t <{id}> \t", "\n <{id}>",
    "\n\t<{id}>\n ",
], ids=["plain", "no-brackets", "open", "close", "spaces", "folded",
        "folded-after"])
@pytest.mark.parametrize("asked", ["<{id}>", "{id}", " <{id}>"],
                         ids=["ask", "ask-bare", "ask-space"])
def test_same_id(node, user, message_id, shell, header, asked):
    bare = message_id.strip("<>")
    node.append(user, "INBOX", build_message(header.format(id=bare)))
    assert shell("-u", user, "--no-notify", "--",
                 asked.format(id=bare)).status() == "expunged"
    assert node.count(user) == 0


@pytest.mark.parametrize("bare", [
    "\"quoted\\\"local\"@example.com",
    "a+b=c/d!#$%&'*^`{|}~@example.com",
    "=?utf-8?q?encoded?=@example.com",
    "=?utf-8?b?0L/RgNC40LLQtdGC?=",
    "письмо@пример.рф",
    "no-at-sign",
    "x@[127.0.0.1]",
    "%E4%s%n*?[a-z]@example.com",
    "l" * 978 + "@example.com",
    "-dash@example.com",
])
def test_odd_ids(node, user, recall, bare):
    """Octets are octets: nothing in an id has a meaning."""
    node.append(user, "INBOX", build_message("<%s>" % bare))
    node.append(user, "INBOX", build_message("<x%s>" % bare))
    row = recall(user, "<%s>" % bare).row()
    assert (row["status"], row["copies"]) == ("expunged", "1")
    assert node.count(user) == 1


def test_id_that_is_not_utf8(node, user, shell):
    message = build_message("<x@example.com>")
    node.append(user, "INBOX", message.replace(b"<x@", b"<\xe4\xff@"))
    node.append(user, "INBOX", message.replace(b"<x@", b"<\xe4\xfe@"))
    asked = b"<\xe4\xff@example.com>".decode(errors="surrogateescape")
    row = shell("-u", user, "--no-notify", "--", asked).row()
    assert (row["status"], row["copies"]) == ("expunged", "1")
    left = node.messages(user)
    assert len(left) == 1 and b"\xe4\xfe@" in left[0]


def test_header_name_case(node, user, message_id, recall):
    for name in (b"message-id", b"MESSAGE-ID", b"Message-Id"):
        node.append(user, "INBOX", build_message(message_id).replace(
            b"Message-ID", name))
    assert recall(user, message_id).row()["copies"] == "3"
    assert node.count(user) == 0


# whose mail

def test_shared_mailbox_is_not_touched(node, users, message_id, recall):
    owner, other = users.take(2)
    node.append(owner, "INBOX", build_message(message_id))
    node.append(owner, "Team", build_message(message_id))
    for mailbox in ("INBOX", "Team"):
        node.doveadm("acl", "set", "-u", owner, mailbox, "user=" + other,
                     "lookup", "read", "write", "write-seen", "write-deleted",
                     "expunge", "insert")
    shared = "shared/%s/Team" % owner
    assert node.count(other, shared) == 1
    row = recall(other, message_id, force=True).row()
    assert (row["status"], row["mailboxes"]) == ("not_found", "")
    assert node.count(other, shared) == 1
    assert node.count(owner) == node.count(owner, "Team") == 1
    # nor may the owner's recall be kept from the shared mailbox
    assert recall(owner, message_id).row()["copies"] == "2"
    assert node.count(other, shared) == 0


@pytest.mark.parametrize("rights", [
    ["lookup", "read"], ["read"], ["lookup"], ["post"]],
    ids=["no-expunge", "hidden", "unreadable", "none"])
def test_acl_of_owner(node, user, message_id, recall, rights):
    """An administrator's recall is not bound by what the owner may do."""
    node.append(user, "Locked", build_message(message_id))
    node.append(user, "INBOX", build_message(message_id))
    node.doveadm("acl", "set", "-u", user, "Locked", "owner", *rights)
    node.doveadm("acl", "set", "-u", user, "INBOX", "owner", "lookup", "read",
                 "write-deleted")
    connection = node.imap(user)
    connection.select("INBOX")
    connection.store("1", "+FLAGS", "\\Deleted")
    connection.expunge()
    connection.logout()
    assert node.count(user) == 1, "the ACL does not bite"
    row = recall(user, message_id, notify=True).row()
    assert (row["status"], row["copies"]) == ("expunged", "2")
    assert row["notice"] == "sent"
    node.doveadm("acl", "delete", "-u", user, "Locked", "owner")
    assert node.count(user, "Locked") == 0


# what the request asks for besides

@pytest.mark.parametrize("flags, status", [
    ((), "would_expunge"), (("\\Seen",), "read")], ids=["unread", "read"])
def test_dry_run(node, user, message_id, recall, flags, status):
    node.append(user, "INBOX", build_message(message_id), flags)
    node.append(user, "Archive", build_message(message_id))
    row = recall(user, message_id, dry_run=True, notify=True).row()
    assert (row["status"], row["copies"], row["notice"]) == \
        (status, "2", "none")
    assert sorted(row["mailboxes"].split(",")) == ["Archive", "INBOX"]
    assert node.count(user) == node.count(user, "Archive") == 1
    connection = node.imap(user)
    connection.select("INBOX", readonly=True)
    answer = connection.fetch("1", "(FLAGS)")[1][0]
    connection.logout()
    assert (b"\\Seen" in answer) == bool(flags)


def test_dry_run_with_force(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(message_id), ["\\Seen"])
    row = recall(user, message_id, dry_run=True, force=True).row()
    assert row["status"] == "would_expunge"
    assert node.count(user) == 1


FROMS = [
    ("s@example.com", True),
    ("Name <S@Example.COM>", True),
    ("=?utf-8?b?0JjQvNGP?= <s@example.com>", True),
    ("\"x@example.com\" <s@example.com>", True),
    ("alias@example.com", True),
    ("other@example.com", False),
    ("xs@example.com", False),
    ("s@example.com.org", False),
    ("\"s@example.com\" <other@example.com>", False),
    ("s@example.com, other@example.com", False),
    (None, False),
    # nobody's address is not everybody's
    ("", False),
    ("undisclosed-senders:;", False),
    ("s", False),
]


@pytest.mark.parametrize("header, own", FROMS)
def test_sender(node, user, message_id, recall, header, own):
    node.append(user, "INBOX", build_message(message_id, sender=header))
    row = recall(user, message_id, sender=["s@example.com",
                                           "alias@example.com"]).row()
    assert row["status"] == ("expunged" if own else "not_sender")
    assert node.count(user) == (0 if own else 1)


def test_sender_of_some_copies(node, user, message_id, recall):
    """Another sender's mail with the same id stays, even if it was read."""
    node.append(user, "INBOX", build_message(message_id,
                                             sender="a@example.com"))
    node.append(user, "INBOX", build_message(message_id,
                                             sender="b@example.com"),
                ["\\Seen"])
    row = recall(user, message_id, sender=["a@example.com"]).row()
    assert (row["status"], row["copies"]) == ("expunged", "1")
    left = node.messages(user)
    assert len(left) == 1 and b"From: b@example.com" in left[0]


def test_sender_in_two_headers(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(
        message_id, sender="a@example.com",
        headers=[("From", "b@example.com")]))
    assert recall(user, message_id, sender=["a@example.com"]).status() == \
        "not_sender"


def test_tenant(node, users, message_id, recall):
    same, = users.take(tenant_id="t1")
    other, = users.take(tenant_id="t2")
    none, = users.take()
    everyone = [same, other, none]
    node.lmtp_deliver(everyone, build_message(message_id))
    result = recall(everyone, message_id, tenant="t1", force=True)
    assert result.statuses() == {same: "expunged", other: "forbidden",
                                 none: "forbidden"}
    assert result.row(other)["copies"] == "0"
    assert result.row(other)["mailboxes"] == ""
    assert result.code == 0
    assert [node.count(user) for user in everyone] == [0, 1, 1]
    # who has no tenant is of the default one
    default, = users.take(tenant_id="default")
    node.lmtp_deliver([default], build_message(message_id))
    result = recall([other, none, default], message_id, tenant="default",
                    force=True)
    assert result.statuses() == {other: "forbidden", none: "expunged",
                                 default: "expunged"}


def test_recall_id(node, users, message_id, recall):
    both = users.take(2)
    asked = "0123456789abcdef" * 2
    result = recall(both, message_id, recall_id=asked, reason="Письмо ушло",
                    actor="admin@example.com")
    assert {row["recall-id"] for row in result.rows} == {asked}
    result = recall(both, message_id)
    made = {row["recall-id"] for row in result.rows}
    assert len(made) == 1 and made != {asked}


@pytest.mark.log_errors("user\\d+@example.com")
def test_error_and_retry(node, users, message_id, recall):
    """One user's trouble is that user's only; at the shell it shows in the exit
    code, over HTTP in the row alone."""
    broken, = users.take(mail="maildir:/dev/null/mail")
    good, = users.take()
    node.lmtp_deliver(good, build_message(message_id))
    result = recall([broken, good], message_id)
    assert result.statuses() == {broken: "error", good: "expunged"}
    assert result.row(broken)["error"] != ""
    assert result.row(good)["error"] == ""
    assert result.code == (EX_TEMPFAIL if recall.name == "shell" else 0)
    assert node.count(good) == 0


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("mailbox", ["INBOX", "Work"])
def test_mailbox_that_cannot_be_searched(node, user, message_id, recall,
                                         mailbox, force):
    """It may hold a copy that was read: then all stays. Where that does not
    matter, what can be found is taken back. It never counts as done."""
    node.append(user, "Work", build_message("<other@example.com>"))
    node.append(user, mailbox, build_message(message_id))
    path = node.home(user) / {"maildir": "Maildir/.Work"}.get(
        node.driver, node.driver + "/mailboxes/Work")
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        row = recall(user, message_id, force=force).row()
    finally:
        path.chmod(mode)
    taken = force and mailbox == "INBOX"
    assert (row["status"], row["copies"]) == \
        ("error", "0" if mailbox == "Work" else "1")
    assert "Work" in row["error"]
    assert node.count(user, mailbox) == (1 if mailbox == "Work" else
                                         int(not taken)) + (mailbox == "Work")
    assert recall(user, message_id, force=force).status() == (
        "not_found" if taken else "expunged")


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
@pytest.mark.parametrize("what", ["home", "root"])
def test_mailboxes_that_cannot_be_listed(node, user, message_id, recall, what):
    """Dovecot takes a directory that it may not read for an empty one. What was
    not seen then is seen once it can be."""
    node.append(user, "Work", build_message(message_id))
    path = node.home(user)
    if what == "root":
        path /= {"maildir": "Maildir"}.get(node.driver, node.driver)
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        row = recall(user, message_id).row()
        code = node.doveadm("recall", "search", "-u", user, message_id,
                            check=False).returncode
    finally:
        path.chmod(mode)
    assert row["status"] == "error"
    assert row["error"].startswith("Listing mailboxes failed: ")
    assert code == EX_TEMPFAIL
    assert recall(user, message_id).status() == "expunged"


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("selectable", [False, True],
                         ids=["parent", "mailbox"])
def test_mailboxes_below_what_cannot_be_listed(node, user, message_id, recall,
                                               selectable, known):
    """The directory of a mailbox, or of none, has others in it that clients
    can open by their names."""
    if node.driver == "maildir":
        pytest.skip("all are in one directory")
    if selectable:
        node.append(user, "Work", build_message("<other@example.com>"))
    node.append(user, "Work/Sub", build_message(message_id))
    if known:
        assert recall(user, "<none@example.com>").status() == "not_found"
    path = node.home(user) / node.driver / "mailboxes/Work"
    mode = path.stat().st_mode
    path.chmod(0o311)
    try:
        rows = [recall(user, message_id).row() for _ in range(2)]
        code = node.doveadm("recall", "search", "-u", user, message_id,
                            check=False).returncode
    finally:
        path.chmod(mode)
    for row in rows:
        assert row["status"] == "error"
        assert row["error"].startswith("Listing mailboxes failed: ")
    assert code == EX_TEMPFAIL
    assert recall(user, message_id).status() == "expunged"


@pytest.mark.parametrize("what", ["index", "index/mailboxes",
                                  "index/mailboxes/Work"])
def test_index_directories_that_cannot_be_listed(message_id, what):
    """ITERINDEX: mailboxes are listed from there."""
    user = "u@example.com"
    with MailNode(driver="sdbox", users=[user],
                  mail_plugins=["notify", "recall"],
                  extra="mail_location = sdbox:~/sdbox:INDEX=~/index:"
                  "ITERINDEX\n") as node:
        node.append(user, "Work", build_message("<other@example.com>"))
        node.append(user, "Work/Sub", build_message(message_id))
        path = node.home(user) / what
        mode = path.stat().st_mode
        path.chmod(0o311 if what == "index/mailboxes/Work" else 0)
        try:
            row = run_shell(node, "-u", user, message_id).row()
        finally:
            path.chmod(mode)
        assert row["status"] == "error"
        assert row["error"].startswith("Listing mailboxes failed: ")
        for status in ("expunged", "not_found"):
            assert run_shell(node, "-u", user, "--no-notify",
                             message_id).status() == status
        assert node.panics() == []


@pytest.mark.log_errors("[Pp]ermission denied|EACCES")
def test_message_that_cannot_be_read(node, user, message_id, recall):
    """It may be the one, and never counts as none."""
    node.append(user, "Work", build_message(message_id))
    files = [path for pattern in ("cur/*", "new/*", "u.*", "m.*")
             for path in node.home(user).rglob(pattern) if path.is_file()]
    assert files
    modes = [path.stat().st_mode for path in files]
    node.forget_cached(user)
    for path in files:
        path.chmod(0)
    try:
        row = recall(user, message_id).row()
    finally:
        for path, mode in zip(files, modes):
            path.chmod(mode)
    assert row["status"] == "error"
    assert row["error"].startswith("Searching mailbox Work failed: ")
    assert recall(user, message_id).status() == "expunged"


@pytest.mark.log_errors("No such file|lost uid")
def test_message_whose_file_is_gone(node, user, message_id, recall):
    """It is in the index alone: what there still is goes."""
    if node.driver == "mdbox":
        pytest.skip("all messages are in one file")
    for mailbox in "Work", "Other":
        node.append(user, mailbox, build_message(message_id))
    path = node.home(user) / {
        "maildir": "Maildir/.Work"}.get(node.driver, "sdbox/mailboxes/Work")
    gone = [file for pattern in ("cur/*", "new/*", "u.*")
            for file in path.rglob(pattern)]
    assert len(gone) == 1
    gone[0].unlink()
    node.forget_cached(user)
    row = recall(user, message_id).row()
    if node.driver == "sdbox":
        # which drops the record when it has seen that
        assert row["status"] == "error"
        assert row["error"].startswith("Searching mailbox Work failed: ")
        assert node.count(user, "Other") == 1
        row = recall(user, message_id).row()
    assert (row["status"], row["copies"]) == ("expunged", "1")
    assert node.count(user, "Other") == 0
    assert recall(user, message_id).status() == "not_found"


# where the only message of Work is
MESSAGE_FILES = {"maildir": "Maildir/.Work/cur/*",
                 "sdbox": "sdbox/mailboxes/Work/dbox-Mails/u.*",
                 "mdbox": "mdbox/storage/m.*"}


def about_to_read(node, user, *args):
    """A command that has found the message of Work, and is about to open its
    file."""
    # the index knows it, and Maildir does not rename it any more
    node.set_flags(user, "Work", ["\\Flagged"])
    node.doveadm("recall", "index", "-u", user)
    node.forget_cached(user)
    file, = node.home(user).glob(MESSAGE_FILES[node.driver])
    shim = Shim(node.dir, "doveadm", [file])
    shim.arm("open", 1, STOPPED)
    return Stopping(shim, node.doveadm_command(
        "-f", "tab", "recall", *args,
        environment=shim.environment(node.sanitizers)))


@pytest.mark.parametrize("to", [None, "Another", "Zulu"],
                         ids=["deleted", "looked-at", "not-yet"])
def test_message_goes_before_it_is_read(node, user, message_id, to):
    """It was found, and is not there any more: then it may be where nobody has
    found it yet."""
    for mailbox in ("Another", "Zulu"):
        node.append(user, mailbox, build_message("<other@example.com>"))
    node.append(user, "Work", build_message(message_id))
    with about_to_read(node, user, "expunge", "-u", user, "--no-notify",
                       message_id) as recall:
        node.doveadm(*(["move", "-u", user, to] if to else
                       ["expunge", "-u", user]), "mailbox", "Work", "all")
        result = recall.go_on()
    row = result.row()
    assert (row["status"], row["copies"], row["error"]) == (
        ("expunged", "1", "") if to else ("not_found", "0", ""))
    for mailbox, count in (("Another", 1), ("Work", 0), ("Zulu", 1)):
        assert node.count(user, mailbox) == count


@pytest.mark.parametrize("sender", ["sender@example.com", "b@example.net"])
def test_message_goes_before_its_sender_is_read(node, user, sender):
    """Nobody has sent it, and it can't be recalled: it is no error either."""
    if node.driver == "mdbox":
        pytest.skip("a message that is gone can still be read")
    node.append(user, "Work", build_message("<a@example.com>"))
    with about_to_read(node, user, "search", "--users=" + user,
                       "--sender=" + sender, "--", "query", "mailbox", "Work",
                       "ALL") as search:
        node.doveadm("expunge", "-u", user, "mailbox", "Work", "all")
        result = search.go_on()
    assert (result.code, result.rows) == (0, []), result


@pytest.mark.log_errors("[Pp]ermission denied|EACCES|[Rr]ead-only")
def test_mailbox_that_cannot_be_written_to(node, user, message_id, recall):
    """The error says what could not be done, and where."""
    node.append(user, "Work", build_message(message_id))
    top = node.home(user) / {"maildir": "Maildir/.Work"}.get(
        node.driver, node.driver + "/mailboxes/Work")
    paths = [top, *top.glob("**/*")]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes):
        path.chmod(mode & 0o555)
    try:
        row = recall(user, message_id).row()
    finally:
        for path, mode in zip(paths, modes):
            if path.exists():
                path.chmod(mode)
    assert row["status"] == "error"
    assert re.match("(Searching|Expunging from|Syncing) mailbox Work failed: ",
                    row["error"])
    assert node.count(user, "Work") == 1
    assert recall(user, message_id).status() == "expunged"


# what a client sees

@pytest.mark.smoke
def test_idle_client_sees_expunge(node, user, message_id, recall):
    other_mail(node, user)
    node.lmtp_deliver(user, build_message(message_id))
    connection = node.imap(user)
    connection.select("INBOX")
    with Idle(connection) as idle:
        assert recall(user, message_id).status() == "expunged"
        assert idle.wait_for(rb" EXPUNGE") == b"* 2 EXPUNGE\r\n"
    connection.logout()


def test_flags_of_an_open_session_count(node, user, message_id, recall):
    node.lmtp_deliver(user, build_message(message_id))
    connection = node.imap(user)
    connection.select("INBOX")
    assert connection.fetch("1", "(BODY[])")[0] == "OK"
    assert recall(user, message_id).status() == "read"
    connection.logout()
    assert node.count(user) == 1


def test_client_that_deleted_first(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(message_id))
    connection = node.imap(user)
    connection.select("INBOX")
    connection.store("1", "+FLAGS", "\\Deleted")
    connection.expunge()
    assert recall(user, message_id).status() == "not_found"
    connection.logout()


def test_recall_does_not_mark_as_read(node, user, message_id, recall):
    node.append(user, "INBOX", build_message(message_id), ["\\Seen"])
    node.append(user, "Archive", build_message(message_id))
    assert recall(user, message_id).status() == "read"
    connection = node.imap(user)
    connection.select("Archive", readonly=True)
    assert connection.search(None, "UNSEEN")[1] == [b"1"]
    connection.logout()
