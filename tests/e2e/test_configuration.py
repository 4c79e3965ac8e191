"""The settings as Dovecot sees them: what conf.d/ shows, and what can't be."""

import pathlib
import re
import subprocess

import pytest

from mailnode import DOVECOT_24, EXAMPLE, MailNode, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX, command

USER = "a@example.com"
ODD = "odd@example.com"
# our settings are Dovecot's own since 2.4, which checks them itself; to 2.3
# those of plugins are any names with any values
only_24 = pytest.mark.skipif(not DOVECOT_24, reason="Dovecot 2.3 checks none")


# what a configuration has to begin with
HEAD = "dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1\n" \
    if DOVECOT_24 else "protocols = imap\n"


def switched_on(text):
    """The example with all that is commented out, alternatives too."""
    return re.sub(r"(?m)^( *)#(?=[a-z}]|  )", r"\1", text)


@pytest.fixture(scope="module")
def node():
    with MailNode(driver="sdbox", users=[USER]) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def doveconf(node, tmp_path):
    """Runs doveconf with a configuration that includes the text."""
    def run(text, *args):
        (tmp_path / "90-recall.conf").write_text(text)
        conf = tmp_path / "dovecot.conf"
        conf.write_text(HEAD + "!include 90-recall.conf\n")
        return subprocess.run(
            node.inside(["doveconf", "-c", str(conf), *args]),
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return run


def test_example_as_it_comes(doveconf):
    done = doveconf(EXAMPLE.read_text(), "-n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == \
        doveconf("", "-n").stdout.splitlines()[1:]


def test_example_switched_on(doveconf):
    done = doveconf(switched_on(EXAMPLE.read_text()), "-n")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"(?m)^ *recall_quarantine = \.RECALLED/$", done.stdout)
    assert re.search(r"filter = \"?event=recall_finished", done.stdout)
    # all that there is, by its own name
    for name in documented_defaults():
        assert re.search(r"(?m)^ *%s = " % name,
                         done.stdout if not DOVECOT_24 else
                         doveconf("", "-a").stdout)


def test_dovecot_runs_with_example(tmp_path):
    example = tmp_path / "90-recall.conf"
    # but for the texts' directory, which is that of an installation, and the
    # port
    example.write_text(re.sub("(?m)^ *(recall_notice_dir|port) =.*\n", "",
                              switched_on(EXAMPLE.read_text())))
    # plugins first: the node's own sections for protocols come before it
    with MailNode(driver="mdbox", users=[USER], acl=True, mail_plugins=["recall"],
                  extra="!include %s\n" % example) as node:
        node.append(USER, "INBOX", build_message("<m@example.com>"))
        row = command(node, "expunge", "-u", USER, "<m@example.com>").row()
        assert (row["status"], row["notice"]) == ("expunged", "sent")
        assert command(node, "list", "-u", USER).status() == "expunged"
        assert node.panics() == []


def documented_defaults():
    """The first word on each setting of ours that the example has."""
    found = {}
    for name, value in re.findall(r"(?m)^ *#(recall_\w+) = ?(.*)$",
                                  EXAMPLE.read_text()):
        found.setdefault(name, value)
    return found


@only_24
def test_defaults_are_those_of_the_example(doveconf):
    defaults = documented_defaults()
    assert len(defaults) >= 8
    # that of a build is where it would be installed
    directory = defaults.pop("recall_notice_dir")
    done = doveconf("", "-h", "recall_notice_dir")
    assert pathlib.Path(done.stdout.strip()).parts[-2:] == \
        pathlib.Path(directory).parts[-2:]
    for name, value in defaults.items():
        assert doveconf("", "-h", name).stdout == value + "\n"


@only_24
@pytest.mark.parametrize("name, value", [
    ("recall_quarantine_days", "soon"),
    ("recall_quarantine_days", "-1"),
    ("recall_quarantine_days", "3661"),
    ("recall_notice_delivery", "pigeon"),
    ("recall_notify_on", "expunged not_found"),
    ("recall_unknown", "yes"),
])
def test_value_that_cannot_be(doveconf, name, value):
    done = doveconf("%s = %s\n" % (name, value), "-n")
    assert done.returncode != 0
    assert name in done.stderr


@only_24
def test_in_a_filter(node, doveconf):
    text = "recall_quarantine_days = 5\nprotocol doveadm {\n" \
        "  recall_quarantine_days = 7\n}\n"
    assert doveconf(text, "-h", "recall_quarantine_days").stdout == "5\n"
    assert doveconf(text, "-f", "protocol=doveadm", "-h",
                    "recall_quarantine_days").stdout == "7\n"
    # what the command reads is what the filter says
    with MailNode(driver="sdbox", users=[USER], extra="protocol doveadm {\n"
                  "  recall_quarantine = elsewhere/\n}\n") as node:
        row = command(node, "list", "-u", USER).row()
        assert row["status"] == "error"
        assert "elsewhere/" in row["error"]


@pytest.mark.parametrize("value", ["soon", "3661"])
def test_userdb_value_that_cannot_be(value):
    """It is the user's own error, told where it matters."""
    users = {USER: {}, ODD: {"recall_quarantine_days": value}}
    with MailNode(driver="sdbox", users=users,
                  plugin={"recall_quarantine": PREFIX},
                  extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        for user in users:
            node.append(user, "INBOX", build_message("<m@example.com>"))
        result = command(node, "purge", "--users=" + USER, "--users=" + ODD)
        row = result.row(ODD)
        assert row["status"] == "error"
        assert "recall_quarantine_days" in row["error"]
        # nothing else depends on it
        assert command(node, "expunge", "-u", ODD,
                       "<m@example.com>").status() == "expunged"
        assert node.panics() == []
