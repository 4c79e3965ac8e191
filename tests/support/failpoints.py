"""Builds in which processes can be killed or stopped at a point: that of
RECALL_FAILPOINT_BUILDDIR, or RECALL_BUILDDIR if that has failpoints."""

import contextlib
import os
import pathlib

import pytest

import mailnode

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
