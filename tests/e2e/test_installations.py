"""Dovecot as postmasters set it up: settings and plugins that change what a
recall sees, each with what came of it."""

import datetime
from email.utils import formatdate

import pytest

from conftest import DRIVERS, ONE_DRIVER, parse_tab
from mailnode import DOVECOT_24, build_message
from quarantine import PREFIX, command, fetch, make_node, quarantined
from servicenode import Service

USER = "a@example.com"
PLUGINS = ["notify", "recall"]
# however new what is in the quarantine
PURGE_ALL = ["-o", ("" if DOVECOT_24 else "plugin/") +
             "recall_quarantine_days=0"]

# What only a user has, wherever the settings may have it.
USERS_VARIABLES = """
mail_path = %%{home}/elsewhere
mail_home = %s/homes/%%{user}
mail_attribute {
  dict file {
    path = %%{home}/attributes
  }
}
namespace more {
  prefix = More/
  separator = /
  mail_path = %%{home}/more
}
""" if DOVECOT_24 else """
mail_location = sdbox:%%h/elsewhere
mail_home = %s/homes/%%{userdb:nothing}%%u
mail_attribute_dict = file:%%h/attributes
mail_attachment_dir = %%h/attachments
namespace more {
  prefix = More/
  separator = /
  location = sdbox:%%h/more
}
"""


def test_variables_of_users(message_id, open_path):
    """Of those settings nothing is asked where no user is."""
    extra = USERS_VARIABLES % open_path
    with make_node("sdbox", [USER], mail_plugins=PLUGINS,
                   extra=extra) as node:
        for place in "INBOX", "More/Work":
            node.append(USER, place, build_message(message_id))
        result = command(node, "expunge", "-A", "--stand", "1h", message_id)
        assert (result.code, result.stderr) == (0, "")
        row = result.row(USER)
        assert (row["status"], row["copies"]) == ("expunged", "2")
        node.lmtp_deliver(USER, build_message(message_id))
        assert command(node, "standing", "late").row()["copies"] == "1"
        # as it is then in the settings is another way
        node.doveadm("-o", "postmaster_address=pm@example.org", "recall",
                     "expunge", "-u", USER, message_id)
        assert node.panics() == []


CLONED = """
quota_clone {
  dict file {
    path = %{home}/quota
  }
}
""" if DOVECOT_24 else ""


def test_quota_clone(message_id, recall_id):
    """It looks at the quota a last time when the user goes: what is recalled
    then, since it has just arrived, comes before that."""
    with make_node(ONE_DRIVER, [USER], quota=True, extra=CLONED,
                   mail_plugins=[*PLUGINS, "quota_clone"],
                   plugin={} if DOVECOT_24 else
                   {"quota_clone_dict": "file:%h/quota"}) as node:
        assert command(node, "expunge", "-u", USER, "--stand", "1h",
                       "--recall-id", recall_id,
                       message_id).status() == "not_found"
        node.lmtp_deliver(USER, build_message(message_id))
        row = command(node, "standing", "late").row()
        assert (row["recall-id"], row["copies"]) == (recall_id, "1")
        assert sum(quarantined(node, USER).values()) == 1
        assert node.panics() == [] and node.errors() == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_private_flags(driver, message_id, recall_id):
    """What was read is read, also where that is kept in an index of its
    own."""
    mail = "%s:~/%s:INDEXPVT=~/private" % (driver, driver)
    with make_node(driver, {USER: {"mail": mail}},
                   mail_plugins=PLUGINS) as node:
        for place in "INBOX", "Work":
            node.append(USER, place, build_message(message_id))
        node.set_flags(USER, "Work", ["\\Seen"])

        def recall(*args):
            row = command(node, "expunge", "-u", USER, "--no-notify", *args,
                          message_id).row()
            return row["status"], row["copies"]
        assert recall("--dry-run") == recall() == ("read", "2")
        assert recall("--force", "--recall-id", recall_id) == \
            ("expunged", "2")
        assert command(node, "restore", "-u", USER,
                       recall_id).row()["copies"] == "2"
        assert [flags for flags, *_ in fetch(node, USER, "Work")] == \
            [["\\Seen"]]
        assert recall() == ("read", "2")
        assert node.panics() == [] and node.errors() == []


USERS_KEYS = {"crypt_user_key_curve": "prime256v1",
              "crypt_user_key_require_encrypted": "yes"} if DOVECOT_24 else {
    "mail_crypt_curve": "prime256v1", "mail_crypt_save_version": "2",
    "mail_crypt_require_encrypted_user_key": "yes"}
# where they are
USERS_ATTRIBUTES = """
mail_attribute {
  dict file {
    path = %{home}/attributes
  }
}
""" if DOVECOT_24 else "mail_attribute_dict = file:%h/attributes\n"


def with_password(node, *args, **kwargs):
    """doveadm that can open the user's key."""
    name = "crypt_user_key_password" if DOVECOT_24 else \
        "plugin/mail_crypt_private_password"
    return node.doveadm("-o", name + "=secret", *args, **kwargs)


def test_key_that_is_the_users_alone(message_id, recall_id):
    """What was delivered can't be read by anybody else: that is an error, not
    a message that is not there, nor one that would be expunged. Dovecot's cache
    may have its Message-ID (2.4), or say that it has none if it could not be
    read when it was saved (2.3)."""
    with make_node(ONE_DRIVER, [USER], plugin=USERS_KEYS,
                   mail_plugins=[*PLUGINS, "mail_crypt"],
                   extra=USERS_ATTRIBUTES) as node:
        with_password(node, "mailbox", "cryptokey", "generate", "-u", USER,
                      "-U")
        with_password(node, "save", "-u", USER, "-m", "INBOX",
                      input=build_message("<other@example.com>").decode())
        node.lmtp_deliver(USER, build_message(message_id))
        cached = with_password(node, "fetch", "-u", USER, "hdr.message-id",
                               "mailbox", "INBOX", "2").stdout
        assert (message_id in cached) == DOVECOT_24
        index, = node.home(USER).rglob("dovecot.recall.index")

        def assert_unreadable(name, *args):
            row = command(node, name, "-u", USER, *args).row()
            assert row["status"] == "error"
            assert "Private key not available" in row["error"]
        for args in [], ["--dry-run"], ["--force"]:
            assert_unreadable("expunge", *args, message_id)
        assert command(node, "expunge", "-u", USER,
                       "<nothing@example.com>").status() == "not_found"
        index.unlink()
        assert_unreadable("expunge", "--force", message_id)
        assert_unreadable("expunge", "--verify-headers", message_id)
        result = parse_tab(with_password(
            node, "-f", "tab", "recall", "expunge", "-u", USER, "--no-notify",
            "--recall-id", recall_id, message_id).stdout)
        assert [(row["status"], row["copies"]) for row in result] == \
            [("expunged", "1")]
        for args in ["--dry-run"], []:
            assert_unreadable("restore", *args, recall_id)
        assert node.panics() == []


# where mail is, and the quarantine
DBOX = ":MAILBOXDIR=recalled:LISTINDEX=recalled.index"
PLACES = {
    "index": ("sdbox:~/sdbox:LAYOUT=index",
              "sdbox:~/sdbox:LAYOUT=index" + DBOX),
    "elsewhere": ("sdbox:~/sdbox:INDEX=~/index:CONTROL=~/control",
                  "sdbox:~/sdbox:MAILBOXDIR=recalled:INDEX=~/index.recalled"),
    "listindex": ("sdbox:~/sdbox:LISTINDEX=other.index",
                  "sdbox:~/sdbox" + DBOX),
    "inbox": ("sdbox:~/sdbox:INBOX=~/inbox", "sdbox:~/sdbox" + DBOX),
    "mdbox": ("mdbox:~/mdbox:INDEX=~/index",
              "mdbox:~/mdbox:INDEX=~/index" + DBOX),
    "maildir": ("maildir:~/Maildir:LAYOUT=fs:CONTROL=~/control",
                "maildir:~/recalled:LAYOUT=fs:CONTROL=~/control.recalled"),
    "memory": ("maildir:~/Maildir:INDEX=MEMORY",
               "maildir:~/recalled:INDEX=MEMORY"),
}
BOXES = ["INBOX", "Work", "Дела/a b"]


def test_places(message_id, recall_id):
    """Each user's mail lies elsewhere."""
    users = {name + "@example.com": {
        "mail": mail, "namespace/recalled/location": kept}
        for name, (mail, kept) in PLACES.items()}

    def rows(name, *args):
        result = command(node, name, "-A", *args)
        assert (result.code, len(result.rows) >= len(users)) == (0, True)
        return result.rows

    def verdicts(name, *args):
        return {(row["status"], row["copies"]) for row in rows(name, *args)}
    with make_node("sdbox", users, mail_plugins=PLUGINS) as node:
        for asked in message_id, "<other@example.com>":
            node.lmtp_deliver(list(users), build_message(asked))
            for user in users:
                node.append(user, BOXES[2], build_message(asked))
        for user in users:
            connection = node.imap(user)
            connection.create("Work")
            connection.select("INBOX")
            connection.copy("1:2", "Work")
            connection.logout()
        for row in rows("index", "--verify"):
            assert (row["messages"], row["wrong"]) == ("2", "0"), row
        assert verdicts("expunge", "--recall-id", recall_id, "--no-notify",
                        message_id) == {("expunged", "3")}
        assert {len(fetch(node, user, box)) for user in users
                for box in BOXES} == {1}
        assert verdicts("restore", recall_id) == {("restored", "3")}
        assert {len(fetch(node, user, box)) for user in users
                for box in BOXES} == {2}
        assert verdicts("expunge", "--dry-run", "--verify-headers",
                        message_id) == {("would_expunge", "3")}
        assert node.panics() == [] and node.errors() == []


ANOTHER = """
namespace more {
  prefix = More/
  separator = /
  location = sdbox:~/more:INBOX=~/inbox
}
"""


def dry_and_real(node, recall_id, message_id):
    """The row of a dry run, and then that of the recall."""
    for args in ["--dry-run"], ["--recall-id", recall_id]:
        yield command(node, "expunge", "-u", USER, "--no-notify", *args,
                      message_id).row()


def test_one_inbox(message_id, recall_id):
    """Where the INBOX is stands for all namespaces, as it does in 2.4: it is
    one mailbox, by whichever name."""
    users = {USER: {"mail": "sdbox:~/sdbox:INBOX=~/inbox"}}
    with make_node("sdbox", users, mail_plugins=PLUGINS,
                   extra=ANOTHER) as node:
        for place in "INBOX", "More/Work":
            node.append(USER, place, build_message(message_id))
        for row in dry_and_real(node, recall_id, message_id):
            assert (row["copies"], row["mailboxes"]) == \
                ("2", "INBOX,More/Work")
        assert sum(quarantined(node, USER).values()) == 2
        assert command(node, "restore", "-u", USER,
                       recall_id).row()["copies"] == "2"
        assert node.count(USER) == node.count(USER, "More/Work") == 1
        assert node.panics() == [] and node.errors() == []


COMPATIBLE = """
namespace old {
  prefix = mail/
  separator = /
  location =
  hidden = yes
  list = no
}
"""


def test_another_name_for_all(message_id, recall_id):
    """A namespace for old clients that has what is in the user's own."""
    with make_node(ONE_DRIVER, [USER], mail_plugins=PLUGINS,
                   extra=COMPATIBLE) as node:
        for place in "INBOX", "mail/Work":
            node.append(USER, place, build_message(message_id))
        for row in dry_and_real(node, recall_id, message_id):
            assert row["copies"] == "2"
            assert sorted(row["mailboxes"].split(",")) == ["INBOX", "Work"]
        assert command(node, "restore", "-u", USER,
                       recall_id).row()["copies"] == "2"
        assert node.count(USER) == node.count(USER, "Work") == 1
        assert node.panics() == [] and node.errors() == []


def test_own_settings_of_users(message_id):
    """Our settings may have what only a user has."""
    plugin = {"recall_hold": "%{userdb:held}",
              "recall_notice_name": "%{home}" if DOVECOT_24 else "%h",
              "recall_notify_on": "%{userdb:told}",
              "recall_notice_lang": "%{userdb:lang}"}
    users = {USER: {"held": "no", "told": "read", "lang": "ru-RU"},
             "b@example.com": {"held": "yes", "told": "expunged",
                               "lang": "fr-FR"}}
    with make_node("sdbox", users, mail_plugins=PLUGINS,
                   plugin=plugin) as node:
        node.lmtp_deliver(list(users), build_message(message_id))
        result = command(node, "expunge", "-A", "--stand", "1h", message_id)
        assert (result.code, result.stderr) == (0, "")
        assert {(row["status"], row["copies"], row["notice"])
                for row in result.rows} == \
            {("expunged", "1", "none"), ("expunged", "1", "sent")}
        checks = {row["check"]: row["status"]
                  for row in command(node, "check").rows}
        assert (checks["settings"], checks["quarantine"]) == ("ok", "ok")
        assert node.panics() == [] and node.errors() == []


ROOTS = """
quota "Domain quota" {
  quota_driver = count
  quota_ignore = yes
}
namespace recalled {
  quota "User quota" {
    quota_ignore = %s
  }
}
"""


@pytest.mark.skipif(not DOVECOT_24, reason="settings of 2.4")
@pytest.mark.parametrize("ignore, status", [("yes", "ok"), ("no", "error")])
def test_check_of_quota_roots(ignore, status):
    """Whether the quarantine counts may be said of each root by itself."""
    with make_node(ONE_DRIVER, [USER], mail_plugins=PLUGINS, quota=True,
                   extra=ROOTS % ignore) as node:
        row, = [row for row in command(node, "check").rows
                if row["check"] == "quarantine"]
        assert row["status"] == status


NOWHERE = "sdbox:/nonexistent/mail"


def test_users_without_a_home(message_id, recall_id):
    """As nobody and others in /etc/passwd: nothing can be made for them, nor
    has to be."""
    users = {USER: {}, "nobody@example.com": {
        "mail": NOWHERE,
        "namespace/recalled/location": NOWHERE + DBOX}}
    with make_node("sdbox", users, mail_plugins=PLUGINS) as node:
        node.lmtp_deliver(USER, build_message(message_id))

        def verdicts(name, *args):
            result = command(node, name, "-A", *args)
            assert result.code == 0, result.rows
            return {row["username"]: row["status"] for row in result.rows}
        left_out = {"nobody@example.com": "not_found"}
        assert verdicts("expunge", "--no-notify", "--recall-id", recall_id,
                        message_id) == {USER: "expunged", **left_out}
        assert verdicts("restore", recall_id) == \
            {USER: "restored", **left_out}
        node.doveadm(*PURGE_ALL, "recall", "purge", "-A")
        assert node.count(USER) == 1
        assert node.panics() == []


FILTERED = """
protocol doveadm {
  recall_quarantine_days = 7
}
"""


@pytest.mark.skipif(not DOVECOT_24, reason="settings of 2.4")
def test_settings_in_filters(message_id):
    """What stands in a filter goes before the userdb and -o, unless those say
    that they are for all."""
    users = {USER: {"recall_quarantine_days": "3"},
             "b@example.com": {"*/recall_quarantine_days": "3"}}
    with make_node(ONE_DRIVER, users, mail_plugins=PLUGINS,
                   extra=FILTERED) as node:
        node.lmtp_deliver(list(users), build_message(message_id))
        now = datetime.datetime.now(datetime.timezone.utc)
        rows = command(node, "expunge", "-A", "--no-notify", message_id).rows
        kept = {row["username"]: datetime.datetime.fromisoformat(
            row["kept-until"]) - now for row in rows}
        assert {user: round(time / datetime.timedelta(days=1))
                for user, time in kept.items()} == \
            {USER: 7, "b@example.com": 3}

        def purged(setting):
            return len(parse_tab(node.doveadm(
                "-f", "tab", "-o", setting, "recall", "purge", "-A").stdout))
        assert purged("recall_quarantine_days=0") == 0
        assert purged("*/recall_quarantine_days=0") == 2
        assert node.panics() == [] and node.errors() == []


NO_LOGIN = """
doveadm_password =
doveadm_api_key =
"""


@pytest.mark.parametrize("no_login", [False, True])
def test_doveadm_that_lets_nobody_in(no_login, message_id):
    """The service says what is wrong: a login of its own, or none there."""
    with make_node(ONE_DRIVER, [USER], mail_plugins=PLUGINS,
                   extra=NO_LOGIN if no_login else "") as node:
        with Service(node, doveadm__login="doveadm:wrong") as service:
            answer = service.recall(service.token(), message_id, [USER])
            result, = answer.json()["results"]
            assert (answer.status, result["status"]) == (502, "error")
            assert ("doveadm_password and doveadm_api_key" if no_login else
                    "the login is refused") in result["error"]
        check, = [row for row in command(node, "check").rows
                  if row["check"] == "http_api"]
        assert check["status"] == ("error" if no_login else "ok")
        assert node.panics() == []


FEW_MAILBOXES = "quota_mailbox_count = 5\n"
ANY_NUMBER = """
namespace recalled {
  quota_mailbox_count = unlimited
}
"""


@pytest.mark.skipif(not DOVECOT_24, reason="settings of 2.4")
@pytest.mark.parametrize("lifted", [False, True])
def test_number_of_mailboxes(lifted, message_id):
    """It is limited in each namespace: a recall at the limit is an error."""
    with make_node(ONE_DRIVER, [USER], mail_plugins=PLUGINS, quota=True,
                   extra=FEW_MAILBOXES + (ANY_NUMBER if lifted else ""),
                   plugin={"quota_rule2": ".RECALLED/*:ignore"}) as node:
        row, = [row for row in command(node, "check").rows
                if row["check"] == "quarantine"]
        assert (row["status"], "quota_mailbox_count" in row["text"]) == \
            (("ok", False) if lifted else ("error", True))
        rows = []
        for _ in range(3):
            node.lmtp_deliver(USER, build_message(message_id))
            rows.append(command(node, "expunge", "-u", USER, "--no-notify",
                                message_id).row())
        assert [row["status"] for row in rows] == \
            ["expunged"] * 2 + ["expunged" if lifted else "error"]
        assert "mailboxes" in rows[2]["error"] or lifted
        assert node.count(USER) == (0 if lifted else 1)
        assert node.panics() == [] and node.errors() == []


@pytest.mark.parametrize("driver", DRIVERS)
def test_purge_is_replicated(driver, message_id, recall_id):
    """Of a mailbox that has mailboxes below it dsync leaves a directory (dbox):
    that is no recall without a record."""
    other = "b@example.com"
    with make_node(driver, [USER, other], mail_plugins=PLUGINS) as node:
        server = node.doveadm_command("dsync-server", "-u", other)

        def sync():
            for _ in range(2):
                node.doveadm("sync", "-u", USER, "-n", "", "-n", PREFIX, "sh",
                             "-c", 'exec "$@"', "sh", *server)
        for place in "INBOX", "Work":
            node.append(USER, place, build_message(message_id))
        sync()
        assert command(node, "expunge", "-u", USER, "--no-notify",
                       "--recall-id", recall_id,
                       message_id).row()["copies"] == "2"
        sync()
        assert [row["copies"] for row in command(node, "list", "-A").rows] == \
            ["2", "2"]
        node.doveadm(*PURGE_ALL, "recall", "purge", "-u", USER)
        sync()
        result = command(node, "list", "-A")
        assert (result.code, result.rows) == (0, [])
        result = command(node, "purge", "-u", other)
        assert result.code == 0
        assert node.count(USER) == node.count(other) == 0
        assert node.panics() == [] and node.errors() == []


def mbox_text(message):
    """As a delivery that is not Dovecot's appends it."""
    return b"From sender@example.com Sun Nov 29 01:02:03 2026\n" + \
        message.replace(b"\r\n", b"\n") + b"\n"


def test_mbox(message_id, recall_id):
    """Mail in mbox files, some of it delivered by others: what they append is
    found, whatever the index knows, and all is put back."""
    users = {USER: {"mail": "mbox:~/mail:INBOX=~/spool",
                    "namespace/recalled/location": "sdbox:~/recalled"}}
    with make_node("sdbox", users, mail_plugins=PLUGINS) as node:
        def verdict(name, *args):
            row = command(node, name, "-u", USER, *args).row()
            return row["status"], row["copies"]

        def deliver(asked, subject, date):
            # an mbox has no GUIDs but a sum of such headers, without Subject
            with open(node.home(USER) / "spool", "ab") as spool:
                spool.write(mbox_text(build_message(asked, subject, date=date)))
        node.lmtp_deliver(USER, build_message(message_id))
        node.append(USER, "Work", build_message(message_id), ["\\Flagged"])
        node.append(USER, "INBOX", build_message("<other@example.com>"))
        dry = "expunge", "--dry-run", message_id
        assert verdict(*dry) == ("would_expunge", "2")
        deliver("<others@example.com>", "first", formatdate(1))
        deliver(message_id, "second", formatdate(2))
        assert verdict(*dry) == ("would_expunge", "3")
        assert verdict("expunge", "--dry-run", "<others@example.com>") == \
            ("would_expunge", "1")
        before = [sorted(fetch(node, USER, box), key=str)
                  for box in ("INBOX", "Work")]
        assert verdict("expunge", "--no-notify", "--stand", "1h",
                       "--recall-id", recall_id, message_id) == \
            ("expunged", "3")
        deliver(message_id, "third", formatdate(3))
        assert [row["copies"] for row in
                command(node, "standing", "run").rows] == ["1"]
        assert node.count(USER) == 2 and node.count(USER, "Work") == 0
        assert verdict("restore", recall_id) == ("restored", "4")
        after = [fetch(node, USER, box) for box in ("INBOX", "Work")]
        assert len(after[0]) == 5 and after[1] == before[1]
        assert all(message in after[0] for message in before[0])
        assert node.panics() == [] and node.errors() == []
