"""A private node runs what was built and nothing that is installed."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

import mailnode
import namespace
from mailnode import DOVEADM, DOVECOT_MODULES, MailNode, build_message

USER = "a@example.com"

# says that it was loaded, into whatever
DECOY = r"""
#include <fcntl.h>
static void __attribute__((constructor)) loaded(void)
{
	(void)open(MARKER, O_CREAT | O_WRONLY, 0666);
}
"""

DECOYS = ["doveadm/lib10_doveadm_recall_plugin.so",
          "doveadm/lib99_doveadm_recall_old_plugin.so",
          "lib20_recall_plugin.so", "settings/lib20_recall_settings.so"]


@pytest.fixture
def marker(open_path):
    """A file that a decoy makes when it is loaded, by anyone's process."""
    directory = open_path / "marker"
    directory.mkdir()
    directory.chmod(0o777)
    return directory / "loaded"


@pytest.fixture
def installed(open_path, marker):
    """What a command is preceded by to find another dovecot-recall
    installed."""
    modules = open_path / "modules"
    shutil.copytree(DOVECOT_MODULES, modules)
    source = open_path / "decoy.c"
    source.write_text(DECOY)
    for name in DECOYS:
        (modules / name).parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-shared", "-fPIC", '-DMARKER="%s"' % marker,
                        "-o", modules / name, source], check=True)
    return namespace.with_directory(modules, DOVECOT_MODULES)


@pytest.fixture
def node(installed):
    """A node that is started where the decoys are installed."""
    directory = tempfile.mkdtemp(prefix="node-")
    program = [sys.executable, mailnode.__file__]
    subprocess.run(installed + program + [
        "start", "--dir", directory, "--driver", "sdbox", "--users", USER,
        "--mail-plugins", "notify recall", "--acl"],
        check=True, stdout=subprocess.DEVNULL)
    try:
        yield MailNode.load(directory)
    finally:
        subprocess.run(program + ["stop", "--dir", directory, "--remove"],
                       check=True)


def test_installed(node, installed, marker):
    node.lmtp_deliver(USER, build_message("<a@example.com>"))
    node.append(USER, "INBOX", build_message("<b@example.com>"))
    # as ./quickstart runs it
    shell = subprocess.run(
        [sys.executable, mailnode.__file__, "doveadm", node.dir, "-f", "tab",
         "recall", "expunge", "-u", USER, "<a@example.com>"],
        check=True, stdout=subprocess.PIPE, text=True)
    http = node.doveadm_http([["recallExpunge", {
        "users": [USER], "messageId": "<b@example.com>"}, "tag"]])
    assert "\texpunged\t" in shell.stdout
    assert http[0][1][0]["status"] == "expunged"
    assert not marker.exists()

    # the decoy works where it is seen
    subprocess.run(installed + [DOVEADM, "-c", node.conf, "search", "all"],
                   capture_output=True)
    assert marker.exists()


def mapped(pid):
    """The files of ours that a process has mapped: name -> (device, inode)."""
    found = {}
    for line in pathlib.Path("/proc/%s/maps" % pid).read_text().splitlines():
        _, _, _, device, inode, *path = line.split(None, 5)
        if path and re.search(r"recall\w*\.so", path[0]):
            major, minor = (int(number, 16) for number in device.split(":"))
            found[os.path.basename(path[0])] = (os.makedev(major, minor),
                                                int(inode))
    return found


def test_mapped(node):
    """All that the node's processes have mapped are the files of the build
    that it was given."""
    for module in node.modules.glob("**/*recall*"):
        built = mailnode.builddir() / "plugin/.libs" / module.name
        assert module.read_bytes() == built.read_bytes()
    node.lmtp_deliver(USER, build_message("<a@example.com>"))
    node.doveadm_http([["recallExpunge", {
        "users": [USER], "messageId": "<a@example.com>"}, "tag"]])
    found = {}
    with node.imap(USER):
        children = "/proc/%d/task/%d/children" % (node.pid, node.pid)
        for pid in pathlib.Path(children).read_text().split():
            found.update(mapped(pid))
    given = {}
    for module in node.modules.glob("**/lib*recall*.so"):
        status = module.stat()
        given[module.name] = (status.st_dev, status.st_ino)
    # what an export at the shell loads
    assert given.pop("librecall_evidence.so")
    # 2.4 has one for its config process
    assert found == given and len(given) == (4 if mailnode.DOVECOT_24 else 3)
