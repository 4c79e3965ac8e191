"""The unit of mail-recalld shuts the service in, and the service works in
there. ./check runs other tests in the sandbox, too (tests/support/sandbox.py)."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

from mailnode import SRCDIR, build_message, builddir
from servicenode import RecallNode, Service, is_sanitized

UNIT = builddir() / "service/mail-recalld.service"
USER = "alice@example.com"

if not UNIT.exists():
    pytest.skip("built without the service", allow_module_level=True)
if is_sanitized():
    pytest.skip("the sanitizer traces the process when that ends",
                allow_module_level=True)
pytest.importorskip("seccomp", reason="no python3-seccomp")
if not shutil.which("systemd-analyze"):
    pytest.skip("no systemd-analyze", allow_module_level=True)
sandbox = pytest.importorskip("sandbox")
SANDBOX = [sys.executable, SRCDIR / "tests/support/sandbox.py", UNIT]


def confined(*command, **environment):
    return subprocess.run([*SANDBOX, *command], capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_each_setting_is_known():
    """One that is new is enforced here, or it is said that it is not."""
    source = (SRCDIR / "tests/support/sandbox.py").read_text()
    unknown = [name for name in sandbox.settings(UNIT)
               if name not in sandbox.KNOWN_OTHERWISE and
               '"%s"' % name not in source]
    # root's have no effect without a bounding set; seccomp's default
    assert unknown == ["AmbientCapabilities", "SystemCallArchitectures"]


def test_what_systemd_makes_of_it(tmp_path):
    """Of 10, where less is better; what is left is what it needs, or the
    administrator's: see docs/security.md."""
    done = subprocess.run(["systemd-analyze", "--no-pager", "security",
                           "--offline=true", "--threshold=15", UNIT],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    open_unit = tmp_path / "open.service"
    open_unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert subprocess.run(
        ["systemd-analyze", "--no-pager", "security", "--offline=true",
         "--threshold=15", open_unit], capture_output=True).returncode == 1


PYTHON = "import ctypes, mmap, os, socket\n"


@pytest.mark.parametrize("code", [
    "socket.socket(socket.AF_NETLINK)",
    "mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "ctypes.CDLL(None).unshare(0x20000)",
    "ctypes.CDLL(None).mount(b'a', b'/b', b'c', 0, 0)",
    "ctypes.CDLL(None).ptrace(16, 1, 0, 0)",
    "os.setuid(1)",
    "os.chown('/dev/null', 0, 0)",
    "os.setpriority(os.PRIO_PROCESS, 0, 5)",
    "os.chmod('/dev/null/no', 0o4755)",
], ids=lambda code: re.search(r"\.?(\w+)\((?!None)", code)[1])
def test_what_is_refused(code):
    assert confined("/usr/bin/python3", "-c", PYTHON + code).returncode == \
        -signal.SIGSYS
    # and by systemd with an error
    done = confined("/usr/bin/python3", "-c", PYTHON + "try:\n  r = " + code +
                    "\n  assert r == -1\nexcept OSError as e:\n  print(e)\n",
                    RECALL_SANDBOX="errno")
    assert done.returncode == 0, done.stderr


def test_no_capabilities_come_back():
    done = confined("/bin/cat", "/proc/self/status")
    status = dict(re.findall(r"^(\w+):\s+(.*)$", done.stdout, re.M))
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_a_recall_from_the_sandbox(message_id):
    with RecallNode(users=[USER]) as node, \
            Service(node, wrapper=SANDBOX) as service:
        status = pathlib.Path("/proc/%d/status" % service.process.pid)
        assert "Seccomp:\t2" in status.read_text()
        # a crash leaves no secrets behind
        assert re.search(r"^Max core file size +0 +0 ",
                         status.with_name("limits").read_text(), re.M)
        node.lmtp_deliver(USER, build_message(message_id))
        token = service.token()
        answer = service.recall(token, message_id, [USER])
        assert answer.json()["results"][0]["status"] == "expunged", answer
        assert service.reload() == "reloaded"
        assert len(service.audit()) > 0
