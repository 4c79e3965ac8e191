"""Dovecot's configuration as Debian ships it, and README.md's steps on it."""

import pathlib
import re
import shutil

import pytest

import nodeconf
from mailnode import DOVECOT_24, EXAMPLE, MailNode, build_message
from quarantine import command, quarantined

STOCK = pathlib.Path("/usr/share/dovecot")
USER = "ann"

pytestmark = pytest.mark.skipif(
    not (STOCK / "conf.d/10-mail.conf").exists(),
    reason="not Debian's Dovecot")


class StockNode(MailNode):
    """What it needs to be private stands in local.conf, after all else.
    mail: lines for where mail is, instead of Debian's; changes: of a file in
    conf.d, pattern -> text."""

    def __init__(self, users, mail="", changes=None, **options):
        self.mail = mail
        self.changes = changes or {}
        super().__init__(users=users, **options)

    def start(self):
        for sub in "mail", "spool":
            (self.dir / sub).mkdir(exist_ok=True)
            self._own(self.dir / sub)
        return super().start()

    def _configuration(self):
        etc = self.dir / "conf.d"
        shutil.rmtree(etc, ignore_errors=True)
        shutil.copytree(STOCK / "conf.d", etc)
        shutil.copy(EXAMPLE, etc / "90-recall.conf")
        self._change("10-ssl.conf", r"(?m)^ssl_\w+ = </?etc.*\n", "")
        self._change("10-ssl.conf", r"(?m)^ssl_server_\w+ = .*\n", "")
        self._change("10-auth.conf", r"(?m)^!include auth.*\n", "")
        self._change("10-mail.conf", r"/home/|~/(?=mail)", "~/")
        self._change("10-mail.conf", r"/var/mail", "%s/spool" % self.dir)
        self._change("10-mail.conf", "(?m)^mail_home = .*\n", "")
        self._change("10-mail.conf", "(?m)^mail_privileged_group = .*\n", "")
        if self.mail:
            self._change(
                "10-mail.conf",
                "(?m)^(mail_location|mail_driver|mail_path|mail_inbox_path)"
                " = .*\n", "")
            self._change("10-mail.conf", r"(?m)^(?=namespace inbox)",
                         self.mail)
        for name, changes in self.changes.items():
            for pattern, text in changes.items():
                self._change(name, pattern, text)
        text = (STOCK / "dovecot.conf").read_text()
        (self.dir / "local.conf").write_text(self._local())
        return text

    def _change(self, name, pattern, text):
        path = self.dir / "conf.d" / name
        path.write_text(re.sub(pattern, lambda _: text, path.read_text()))

    def _local(self):
        mode = {
            "dir": self.dir, "modules": self.modules, "debug": "no",
            "internal_user": self.internal_user,
            "internal_group": self.internal_group,
            "login_user": self.login_user,
            "vsz_limit": "0" if self.sanitizers else self.vsz_limit,
            "fsync": "never", "mail_user": self.mail_user,
            "mail_group": self.mail_group, "imap_sessions": "1",
            "imap_port": self.imap_port, "lmtp_port": self.lmtp_port,
            "http_port": self.http_port,
            "doveadm_requests": self.doveadm_requests,
        }
        count = ("restart_request_count", "unlimited") if DOVECOT_24 else \
            ("service_count", "0")
        text = nodeconf.PATHS + nodeconf.NAMES + nodeconf.MAIL + \
            nodeconf.services(*count) + nodeconf.HELPERS + AUTH
        settings = {"recall_notice_dir": self.notice_dir,
                    "recall_standing_dir": self.standing_dir}
        settings = "".join("%s = %s\n" % pair for pair in settings.items())
        if not DOVECOT_24:
            settings = "plugin {\n%s}\n" % settings
        text = text % mode + settings + self.extra
        if self.sanitizers:
            text += "import_environment = $import_environment %s\n" % \
                " ".join("%s=%s" % pair
                         for pair in self._environment().items())
        return text


AUTH = """\
auth_allow_cleartext = yes
doveadm_password = doveadm-secret
passdb passwd-file {
  passwd_file_path = %(dir)s/users
}
userdb passwd-file {
  passwd_file_path = %(dir)s/users
}
""" if DOVECOT_24 else """\
disable_plaintext_auth = no
doveadm_password = doveadm-secret
passdb {
  driver = passwd-file
  args = username_format=%%u %(dir)s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %(dir)s/users
}
"""

# what README.md says to set, where Dovecot has a place for it
PLUGIN = {"10-mail.conf": {r"(?m)^#mail_plugins = *\n":
                           "mail_plugins {\n  recall = yes\n}\n"
                           if DOVECOT_24 else
                           "mail_plugins = $mail_plugins recall\n"}}

def example_switched_on(driver):
    """Our example with a quarantine in this format, and nothing else of it."""
    text = re.sub(r"(?m)^( *)#(?=(recall_quarantine = \.|quota_rule2 =))",
                  r"\1", EXAMPLE.read_text())
    begin = text.index("#namespace recalled {")
    end = text.index("#}\n", begin) + 3
    block = []
    for line in text[begin:end].splitlines():
        line = line[1:]
        bare = line.strip().lstrip("#").strip()
        if re.match("(location|mail_driver|mail_path|mailbox_\\w+) = ", bare):
            continue
        block.append(line)
    places = {
        "mdbox": "mail_driver = mdbox\nmail_path = ~/mdbox\n"
        "mailbox_root_directory_name = recalled\n"
        "mailbox_list_index_prefix = recalled.index\n" if DOVECOT_24 else
        "location = mdbox:~/mdbox:MAILBOXDIR=recalled:"
        "LISTINDEX=recalled.index\n",
        "maildir": "mail_driver = maildir\nmail_path = ~/recalled\n"
        if DOVECOT_24 else "location = maildir:~/recalled\n",
    }
    places["sdbox"] = places["mdbox"].replace("mdbox", "sdbox")
    block.insert(-1, places[driver])
    return text[:begin] + "\n".join(block) + "\n" + text[end:]


# as Debian has it; as its comments have it
MAIL = {
    "mbox": ("", "mdbox"),
    "maildir": ("""\
mail_driver = maildir
mail_path = ~/Maildir
mail_inbox_path = ~/Maildir/.INBOX
""" if DOVECOT_24 else "mail_location = maildir:~/Maildir\n", "maildir"),
    "sdbox": ("""\
mail_driver = sdbox
mail_path = ~/sdbox
""" if DOVECOT_24 else "mail_location = sdbox:~/sdbox\n", "sdbox"),
    "mdbox": ("""\
mail_driver = mdbox
mail_path = ~/mdbox
mail_inbox_path = ~/inbox
""" if DOVECOT_24 else "mail_location = mdbox:~/mdbox:INBOX=~/inbox\n",
              "mdbox"),
}


@pytest.mark.parametrize("form", MAIL)
def test_by_the_book(form, message_id, recall_id):
    """A recall and a restore, with a quarantine, wherever Debian's comments
    have mail; nothing is wrong but that nobody purges here."""
    mail, driver = MAIL[form]
    changes = {**PLUGIN, "90-recall.conf": {r"(?s)\A.*\Z":
                                            example_switched_on(driver)}}
    with StockNode([USER, "bob"], mail=mail, changes=changes) as node:
        assert {row["check"] for row in command(node, "check").rows
                if row["status"] != "ok"} == {"purge"}
        for asked in message_id, "<other@example.com>":
            node.lmtp_deliver([USER, "bob"], build_message(asked))
        node.append(USER, "Work", build_message(message_id))
        for args in ["--dry-run"], ["--recall-id", recall_id]:
            result = command(node, "expunge", "-A", "--no-notify", *args,
                             message_id)
            assert {row["username"]: row["copies"]
                    for row in result.rows} == {USER: "2", "bob": "1"}
        assert node.count(USER) == 1 and node.count(USER, "Work") == 0
        assert sum(quarantined(node, USER).values()) == 2
        row = command(node, "restore", "-u", USER, recall_id).row()
        assert (row["status"], row["copies"]) == ("restored", "2")
        assert node.count(USER) == 2 and node.count(USER, "Work") == 1
        assert node.panics() == [] and node.errors() == []
