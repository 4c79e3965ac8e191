"""Builds in which processes can be killed or stopped at a point: that of
RECALL_FAILPOINT_BUILDDIR, or RECALL_BUILDDIR if that has failpoints."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

import mailnode
from conftest import parse_tab
from faults import doveadm_children, wait_for

# doveadm drops what it's not told to keep
IMPORT = "import_environment = $import_environment RECALL_FAILPOINT " \
    "RECALL_FAILPOINT_STOP\n"


def failpoint_builddir():
    """A build with failpoints; skips the test if there is none."""
    builddir = pathlib.Path(os.environ.get("RECALL_FAILPOINT_BUILDDIR") or
                            mailnode.builddir())
    module = builddir / "plugin/.libs/lib10_doveadm_recall_plugin.so"
    if not module.exists() or b"RECALL_FAILPOINT\0" not in module.read_bytes():
        pytest.skip("not built with --enable-failpoints: %s" % builddir)
    return builddir


@contextlib.contextmanager
def with_failpoints(**environment):
    """Nodes that are made meanwhile have them, given IMPORT as a setting.
    environment: what their processes find, e.g. RECALL_FAILPOINT."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECALL_BUILDDIR", str(failpoint_builddir()))
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


def killed(node, point, *args):
    """Runs doveadm until it's killed at the point."""
    done = subprocess.run(
        node.doveadm_command("recall", *args), capture_output=True,
        env={**os.environ, "RECALL_FAILPOINT": point})
    assert done.returncode == -9, done


def _begin(node, point, args):
    """doveadm, which stops at the point."""
    return subprocess.Popen(
        node.doveadm_command("-f", "tab", "recall", *args),
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "RECALL_FAILPOINT": point,
             "RECALL_FAILPOINT_STOP": "1"})


def _wait_stopped(process):
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status


@contextlib.contextmanager
def stopped(node, point, *args, code=0):
    """Runs doveadm until it's stopped at the point, and further when the block
    ends. Its rows are put into the list. code: what it exits with, None if that
    doesn't matter."""
    rows = []
    process = _begin(node, point, args)
    try:
        _wait_stopped(process)
        yield rows
        process.send_signal(signal.SIGCONT)
        rows += parse_tab(process.communicate()[0])
        assert code is None or process.returncode == code
    finally:
        process.kill()
        process.wait()


def stopped_each_time(node, point, steps, *args):
    """The same for a process that stops several times, at each of which a
    step is taken. Returns the rows."""
    process = _begin(node, point, args)
    try:
        for step in steps:
            _wait_stopped(process)
            step()
            process.send_signal(signal.SIGCONT)
        return parse_tab(process.communicate()[0])
    finally:
        process.kill()
        process.wait()


def killed_later(node, point, step, last, *args):
    """The same with one step, and it is killed at the last point."""
    process = _begin(node, "%s %s" % (point, last), args)
    try:
        _wait_stopped(process)
        step()
        process.send_signal(signal.SIGCONT)
        _wait_stopped(process)
    finally:
        process.kill()
        process.communicate()


def halted(node):
    """The doveadm-servers that have stopped at a point."""
    return {pid for pid in doveadm_children(node)
            if pathlib.Path("/proc/%d/stat" % pid).read_text()
            .rpartition(")")[2].split()[0] == "T"}


@contextlib.contextmanager
def first_halted(node):
    """The first doveadm-server to stop at a point stays so until the block
    ends; has a function, good afterwards, too, that lets others go on until the
    future is done."""
    held, = wait_for(lambda: halted(node))

    def others_go_on(future):
        def is_done():
            for pid in halted(node) - {held}:
                os.kill(pid, signal.SIGCONT)
            return future.done()

        wait_for(is_done)

    try:
        yield others_go_on
    finally:
        os.kill(held, signal.SIGCONT)
