"""What tests of the quarantine share: nodes that have one, and looks into it."""

import re

from conftest import Result, parse_tab, run_shell
from mailnode import MailNode, imap_quote

PREFIX = ".RECALLED/"
# of a message that is older than its recall
DATE = "04-Mar-2019 11:22:33 +0000"

LOCATIONS = {
    "maildir": "maildir:~/recalled",
    "sdbox": "sdbox:~/sdbox:MAILBOXDIR=recalled:"
             "LISTINDEX=recalled.index",
    "mdbox": "mdbox:~/mdbox:MAILBOXDIR=recalled:"
             "LISTINDEX=recalled.index",
}

NAMESPACE = """
namespace recalled {
  type = private
  separator = /
  prefix = %s
  location = %s
  hidden = yes
  list = no
  subscriptions = no
}
"""


def make_node(driver, users, extra="", namespace=True, kept=True, **options):
    """kept: whether there is a quarantine."""
    plugin = {"recall_quarantine": PREFIX if kept else ""}
    plugin.update(options.pop("plugin", {}))
    if namespace and kept:
        extra = NAMESPACE % (PREFIX, LOCATIONS[driver]) + extra
    node = MailNode(driver=driver, users=users, extra=extra, plugin=plugin,
                    **options)
    node.kept = kept
    return node


def node_of_free_users(users):
    """For a fixture: a node with the mail plugin, whose users are taken one
    after the other."""
    with make_node("sdbox", users, mail_plugins=["notify", "recall"]) as node:
        node.free_users = iter(users)
        yield node
        assert node.panics() == []


def command(node, name, *args):
    """doveadm recall NAME with rows parsed."""
    done = node.doveadm("-f", "tab", "recall", name, *args, check=False)
    assert "Panic" not in done.stderr, done
    return Result(parse_tab(done.stdout), done.returncode, done.stderr)


def http(node, name, **parameters):
    answer = node.doveadm_http([[name, parameters, "tag"]])
    assert len(answer) == 1 and answer[0][2] == "tag", answer
    if answer[0][0] == "error":
        assert answer[0][1]["type"] == "exitCode", answer
        return Result([], answer[0][1]["exitCode"])
    return Result(answer[0][1], 0)


def recall(node, user, message_id, recall_id, *args):
    return run_shell(node, "-u", user, "--recall-id", recall_id, *args, "--",
                     message_id)


def quarantined(node, user):
    """Mails in the quarantine, records not counted: mailbox -> count."""
    done = node.doveadm("-f", "tab", "mailbox", "status", "-u", user,
                        "messages", PREFIX + "*", check=False)
    found = {}
    for line in done.stdout.splitlines()[1:]:
        name, count = line.split("\t")
        if re.fullmatch("[0-9a-f]{32}/[0-9a-f]{32}", name[len(PREFIX):]):
            found[name] = int(count)
    return found


def fetch(node, user, mailbox="INBOX"):
    """Flags, keywords, received date and text of each message; None if there is
    no such mailbox."""
    connection = node.imap(user)
    try:
        status, answer = connection.select(imap_quote(mailbox), readonly=True)
        if status != "OK":
            assert b"Mailbox doesn't exist" in answer[0], answer
            return None
        if int(answer[0]) == 0:
            return []
        found = []
        for part in connection.fetch(
                "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
            if not isinstance(part, tuple):
                continue
            head = part[0].decode()
            flags = re.search(r"FLAGS \(([^)]*)\)", head).group(1).split()
            date = re.search(r'INTERNALDATE "([^"]*)"', head).group(1)
            found.append((sorted(set(flags) - {"\\Recent"}), date, part[1]))
        return found
    finally:
        connection.logout()


append = MailNode.append


def change_record(node, user, recall_id, change):
    """Saves the record anew, with the text that change() makes of it."""
    box = PREFIX + recall_id
    text = node.doveadm("fetch", "-u", user, "text", "mailbox", box,
                        "all").stdout
    text = text.split("\n", 1)[1] if text.startswith("text:") else text
    text = text.replace("\f", "")
    node.doveadm("expunge", "-u", user, "mailbox", box, "all")
    node.doveadm("save", "-u", user, "-m", box, input=change(text))


def age(node, user, recall_id, days):
    """Makes the record older."""
    change_record(node, user, recall_id, lambda text: re.sub(
        r"(?m)^recalled: (\d+)",
        lambda match: "recalled: %d" % (int(match.group(1)) - days * 86400),
        text))
