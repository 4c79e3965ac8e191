"""recall check: what is wrong with a node's configuration."""

import configparser
import os
import re
import shutil
import subprocess

import pytest

from conftest import DRIVERS, parse_tab
from mailnode import DOVECOT_24, EXAMPLE, SRCDIR
from quarantine import LOCATIONS, NAMESPACE, PREFIX, http, make_node

EX_CONFIG = 78

only_24 = pytest.mark.skipif(not DOVECOT_24,
                             reason="Dovecot 2.3 has no such lists")
USERS = ["ann@example.com"]
CHECKS = ["mail_plugins", "settings", "quarantine", "purge", "standing",
          "notices", "http_api"]


def configured(**options):
    """A node that is not started: it's only looked at."""
    options.setdefault("mail_plugins", ["recall"])
    node = make_node(DRIVERS[-1], USERS, **options)
    node.imap_port, node.lmtp_port, node.http_port = 4711, 4712, 4713
    node._install_modules()
    node._write_users()
    node.write_configuration()
    return node


def check(node, wrapper=()):
    """Exit code, and check -> [(status, text)]."""
    done = subprocess.run(
        [*wrapper, *node.doveadm_command("-f", "tab", "recall", "check")],
        capture_output=True, text=True)
    found = {}
    for row in parse_tab(done.stdout):
        found.setdefault(row["check"], []).append((row["status"], row["text"]))
    assert done.stderr == ""
    return done.returncode, found


@pytest.fixture
def make(request):
    def build(**options):
        node = configured(**options)
        request.addfinalizer(lambda: node.stop(remove=True))
        return node
    return build


def worst(rows):
    return max((status for status, _ in rows),
               key=["ok", "warning", "error"].index)


def test_long_names(make):
    _, found = check(make(extra="namespace %s {\n  prefix = Long/\n"
                          "  separator = /\n}\n" % ("x" * 300)))
    assert worst(found["settings"]) == "ok"


def test_good(make, tmp_path):
    node = make()
    code, found = check(node)
    assert list(found) == CHECKS
    assert {name: worst(rows) for name, rows in found.items()
            if name != "purge"} == {name: "ok" for name in CHECKS
                                    if name != "purge"}
    # this machine has no such timer
    assert (code, worst(found["purge"])) == (EX_CONFIG, "error")
    assert "dovecot-recall-purge.timer" in found["purge"][0][1]
    assert (SRCDIR / "systemd/dovecot-recall-purge.timer").exists()

    # a directory that only this doveadm sees
    (tmp_path / "recall").write_text("# recall purge -A\n"
                                     "7 3 * * * root doveadm recall purge -A\n")
    (tmp_path / "recall").chmod(0o755)
    # not every system has cron
    cron = next(filter(os.path.isdir, ["/etc/cron.d", "/etc/cron.daily"]))
    wrapper = ["unshare", "--mount", "sh", "-c",
               'mount --bind "$0" %s && exec "$@"' % cron, tmp_path]
    if subprocess.run(wrapper + ["true"], capture_output=True).returncode:
        pytest.skip("no name space of mounts may be made")
    code, found = check(node, wrapper)
    assert (code, found["purge"]) == (0, [("ok", cron + "/recall")])
    (tmp_path / "recall").write_text("#7 3 * * * root doveadm recall purge\n")
    assert check(node, wrapper)[0] == EX_CONFIG


def test_purge_that_nobody_can_run(make, tmp_path):
    script = tmp_path / "recall"
    script.write_text("#!/bin/sh\ndoveadm recall purge -A\n")
    wrapper = ["unshare", "--mount", "sh", "-c",
               'mount --bind "$0" /etc/cron.daily && exec "$@"', tmp_path]
    if not os.path.isdir("/etc/cron.daily") or \
            subprocess.run(wrapper + ["true"], capture_output=True).returncode:
        pytest.skip("no cron, or no name space of mounts may be made")
    node = make()
    script.chmod(0o644)
    assert worst(check(node, wrapper)[1]["purge"]) == "error"
    script.chmod(0o755)
    assert check(node, wrapper)[1]["purge"] == \
        [("ok", "/etc/cron.daily/recall")]


# what is wrong nowhere
GOOD = {
    "plugins in a filter": {
        "extra": "protocol imap {\n  mail_plugins = recall acl\n}\n"},
    "quota": {"quota": True,
              "plugin": {"quota_rule2": PREFIX + "*:ignore"}},
    "sharing over HTTP": {
        "extra": "doveadm_allowed_commands =\n", "acl": True},
    "sender": {"plugin": {"recall_notice_from": "system@example.com"}},
}
if not DOVECOT_24:
    GOOD["quota of another namespace"] = {
        "plugin": {"quota": "count:One:ns=Elsewhere/",
                   "quota2": "count:Two", "quota2_rule": PREFIX + "*:ignore"}}


@pytest.mark.parametrize("options", GOOD.values(), ids=GOOD)
def test_nothing_found(make, options):
    _, found = check(make(**options))
    assert {worst(rows) for name, rows in found.items()
            if name != "purge"} == {"ok"}, found


def test_doveconf_that_fails(make, tmp_path):
    """Why is what it has said last, if only without the end of a line."""
    fake = tmp_path / "doveconf"
    fake.write_text("#!/bin/sh\necho >&2 one\n"
                    "printf >&2 'the settings are nowhere'\nexit 89\n")
    fake.chmod(0o755)
    node = make(extra="import_environment = $import_environment PATH=%s:%s\n" %
                (tmp_path, os.environ["PATH"]))
    code, found = check(node)
    assert code != 0
    assert ("error", "the settings are nowhere") in found["settings"]


@only_24
def test_plugins_added_in_filter(make):
    """What a filter adds to the plugins is added to those outside."""
    _, found = check(make(extra="protocol imap {\n  mail_plugins {\n"
                          "    imap_quota = yes\n  }\n}\n"))
    assert worst(found["mail_plugins"]) == "ok", found


ASKED_FOR = ["user"] + ["recall " + name for name in (
    "expunge", "restore", "search", "fetch", "export", "users", "stop",
    "standing begin", "standing end", "standing list", "standing late",
    "standing run")]
only_23 = pytest.mark.skipif(DOVECOT_24,
                             reason="Dovecot 2.4 has no such thing")


@pytest.mark.parametrize("options, name, status, text", [
    ({"extra": "protocol lmtp {\n  mail_plugins = notify\n}\n"},
     "mail_plugins", "error", "lmtp: mail_plugins has no recall"),
    ({"extra": "protocol lmtp {\n  mail_plugins = notify\n}\n"},
     "mail_plugins", "error", "(protocol lmtp has a list of its own"),
    pytest.param({"extra": "protocol imap {\n  mail_plugins {\n"
                  "    recall = no\n    imap_quota = yes\n  }\n}\n"},
                 "mail_plugins", "error", "imap: mail_plugins has no recall",
                 marks=only_24),
    ({"extra": "protocol lda {\n  mail_plugin_dir = /tmp\n}\n"},
     "mail_plugins", "error", "lda: stat(/tmp/lib20_recall"),
    ({"plugin": {"recall_notify_on": "expunged,red"}}, "settings", "error",
     "red is none of: expunged read"),
    ({"plugin": {"recall_notice_delivery": "pigeon"}}, "settings", "error",
     "neither save nor submit: pigeon"),
    ({"plugin": {"recall_notice_from": "System <system>"}}, "settings",
     "error", "recall_notice_from: Not an address to send from: System"),
    ({"plugin": {"recall_notice_from": "a@example.com, b@example.com"}},
     "settings", "error", "Not an address to send from"),
    ({"plugin": {"recall_quarantine_days": "never"}}, "settings", "error",
     "Not a number of days: never"),
    ({"plugin": {"recall_quarantine": "off"}}, "quarantine", "warning",
     "can't be restored"),
    ({"namespace": False}, "quarantine", "error", "no namespace has"),
    ({"namespace": False, "plugin": {"recall_quarantine": "off",
                                     "recall_hold": "yes"}},
     "quarantine", "error", "recall_hold's quarantine is .RECALLED/, but no "
     "namespace has"),
    ({"namespace": False, "plugin": {"recall_quarantine": "off",
                                     "recall_hold": "Held/"}},
     "quarantine", "error", "recall_hold's quarantine is Held/, but no"),
    ({"namespace": False, "extra": NAMESPACE.replace("hidden = yes", "")
      .replace("list = no", "") % (PREFIX, LOCATIONS[DRIVERS[-1]])},
     "quarantine", "error", "users see what was recalled"),
    ({"namespace": False, "extra": NAMESPACE % (PREFIX, "")},
     "quarantine", "error", "no location of its own"),
    ({"quota": True}, "quarantine", "error",
     "has no quota_ignore" if DOVECOT_24 else "quota_rule has no"),
    pytest.param({"quota": True, "plugin": {
        "quota_rule": "*:storage=1G", "quota_rule2": PREFIX + "*:ignore",
        "quota2": "count:Second", "quota2_rule": "*:storage=2G"}},
                 "quarantine", "error", "quota2_rule has no", marks=only_23),
    ({"plugin": {"recall_notice_lang": "de-DE"}}, "notices", "warning",
     "is de-DE, of which there is no text: notices are in en-US"),
    ({"plugin": {"recall_notice_lang": "fran\u00e7ais"}}, "notices", "warning",
     "notices are in en-US"),
    ({"plugin": {"recall_notice_dir": "/nonexistent"}}, "notices", "error",
     "/nonexistent"),
    ({"extra": "service doveadm {\n  inet_listener http {\n    port = 0\n"
      "  }\n}\n"}, "http_api", "warning", "mail-recalld can't ask"),
    ({"extra": "doveadm_password =\ndoveadm_api_key =\n"}, "http_api",
     "error", "nobody can log in"),
    ({"extra": "doveadm_allowed_commands = user%srecall expunge%srecall "
      "standing begin%s\n" % ((' "', '" "', '"') if DOVECOT_24 else
                             (",", ",", ""))}, "http_api", "warning",
     "asks for: recall restore, recall search, recall fetch, recall export, "
     "recall users, recall stop, recall standing end, "),
    ({"acl": True, "extra": "doveadm_allowed_commands = %s\n" % (
        " " if DOVECOT_24 else ",").join(
            '"%s"' % name if DOVECOT_24 and " " in name else name
            for name in ASKED_FOR)},
     "http_api", "warning",
     "asks for: recall share, recall unshare, recall shares"),
    ({"plugin": {"recall_standing_dir": "/nonexistent/%{hostname}"}},
     "standing", "warning", "has variables: not looked at"),
    ({"plugin": {"recall_standing_dir": "standing"}}, "standing", "error",
     "each process would look in another directory"),
    ({"doveadm_requests": 1}, "http_api", "warning",
     "restart_request_count = 1" if DOVECOT_24 else "service_count = 1"),
    pytest.param({"plugin": {"mail_replica": "tcp:other.example.com"},
                  "extra": "doveadm_port = 24245\n", "doveadm_requests": 100},
                 "http_api", "warning", "replication stops", marks=only_23),
])
def test_found(make, options, name, status, text):
    code, found = check(make(**options))
    assert any(row_status == status and text in row_text
               for row_status, row_text in found[name]), found
    others = set(CHECKS) - {name, "purge"}
    assert {worst(found[other]) for other in others} == {"ok"}
    if text == "can't be restored":
        # nothing to purge, either; warnings alone are no failure
        assert "purge" not in found and code == 0
    else:
        assert code == EX_CONFIG


@only_23
@pytest.mark.parametrize("options", [
    {"extra": "doveadm_port = 24245\n", "doveadm_requests": 1},
    {"doveadm_requests": 100}])
def test_replication_that_goes_on(make, options):
    _, found = check(make(plugin={"mail_replica": "tcp:other.example.com:1"},
                          **options))
    assert worst(found["http_api"]) == "ok", found


MISSPELT = {"recall_quarantin_days": "7"}


def test_misspelt_at_shell(make):
    """Dovecot 2.4 refuses what it does not know by itself."""
    node = make(plugin=MISSPELT)
    if DOVECOT_24:
        done = subprocess.run(node.doveadm_command("recall", "check"),
                              capture_output=True, text=True)
        assert done.returncode != 0
        assert "Unknown setting: recall_quarantin_days" in done.stderr
        return
    code, found = check(node)
    assert code == EX_CONFIG
    assert found["settings"] == [
        ("error", "recall_quarantin_days is no setting of ours: misspelt?")]


def test_misspelt_while_running():
    """What the file has by now is looked at, not what this process has read."""
    with make_node(DRIVERS[-1], USERS,
                   mail_plugins=["recall"]) as node:
        assert http(node, "recallCheck").rows
        node.plugin.update(MISSPELT)
        node.write_configuration()
        found = {row["check"]: row for row in http(node, "recallCheck").rows}
        assert found["settings"]["status"] == "error"
        assert "recall_quarantin_days" in found["settings"]["text"]
        assert node.errors() == []


def test_files_beside_the_configuration():
    """They are found by a server's process, too, which knows a link to it."""
    node = make_node(DRIVERS[-1], USERS, mail_plugins=["recall"],
                     extra="!include conf.d/*.conf\n")
    (node.dir / "conf.d").mkdir()
    (node.dir / "conf.d/more.conf").write_text("mail_debug = no\n")
    with node:
        found = {row["check"]: row for row in http(node, "recallCheck").rows}
        assert found["settings"]["status"] == "ok", found


def test_template(make):
    node = make()
    (node.notice_dir / "fr-FR.txt").write_text("rien\n")
    (node.notice_dir / "it-IT.txt").unlink()
    (node.notice_dir / "it-IT.txt").symlink_to("/nonexistent")
    rows = check(node)[1]["notices"]
    assert {text.split(":")[0] for status, text in rows
            if status == "error"} == {"fr-FR", "it-IT"}


@pytest.mark.parametrize("mode, status, text", [
    (0o755, "ok", ""),
    (0o775, "error", "has mode 0775: others may write to it"),
    (0o757, "error", "has mode 0757: others may write to it"),
    (0o1777, "error", "has mode 1777: others may write to it"),
    (0o750, "warning", "has mode 0750: users may not look at it"),
    (0o751, "warning", "has mode 0751: users may not look at it"),
])
def test_modes_of_standing_orders(make, mode, status, text):
    node = make()
    node.standing_dir.mkdir(parents=True, exist_ok=True)
    node.standing_dir.chmod(mode)
    found = check(node)[1]["standing"]
    assert [row_status for row_status, _ in found] == [status]
    assert str(node.standing_dir) in found[0][1] and text in found[0][1]


def test_directory_of_standing_orders(make):
    """It need not be there, but has to be one, and of whoever deletes."""
    node = make()
    shutil.rmtree(node.standing_dir, ignore_errors=True)
    (status, text), = check(node)[1]["standing"]
    assert status == "ok" and "is made by the first order" in text
    assert not node.standing_dir.exists()
    node.standing_dir.parent.mkdir(parents=True, exist_ok=True)
    node.standing_dir.write_text("")
    (status, text), = check(node)[1]["standing"]
    assert status == "error" and "is no directory" in text
    if not node.root:
        return
    node.standing_dir.unlink()
    node.standing_dir.mkdir(0o755)
    os.chown(node.standing_dir, 12345, -1)
    code, found = check(node)
    (status, text), = found["standing"]
    assert (code, status) == (EX_CONFIG, "error")
    assert "is of user 12345, not of 0" in text


def test_example_is_known(make):
    """No setting of the example is taken for a misspelt one."""
    plugin = {}
    for name, value in re.findall(r"^ *#(recall_\w+) =[ ]?(.*)$",
                                  EXAMPLE.read_text(), re.M):
        plugin.setdefault(name, value)
    assert len(plugin) >= 8
    plugin["recall_notice_dir"] = str(SRCDIR / "notices")
    _, found = check(make(plugin=plugin))
    assert found["settings"][0][0] == "ok", found


def test_over_http():
    with make_node(DRIVERS[-1], USERS,
                   mail_plugins=["recall"]) as node:
        result = http(node, "recallCheck")
        assert result.code == 0
        assert [row["check"] for row in result.rows] == CHECKS
        assert node.errors() == []


def test_units():
    """The timer is of the unit that it starts, and they can be read."""
    text = (SRCDIR / "systemd/dovecot-recall-purge.service.in").read_text()
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.read_string(text)
    assert service["Service"]["ExecStart"] == "@DOVEADM@ recall purge -A"
    timer = configparser.ConfigParser(strict=False)
    timer.read(SRCDIR / "systemd/dovecot-recall-purge.timer")
    assert timer["Timer"]["OnCalendar"] == "daily"
    assert timer["Install"]["WantedBy"] == "timers.target"
