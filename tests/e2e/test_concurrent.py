"""Recalls while clients work on the same messages: a short run of what
`make soak` does for longer (see tests/support/soak.py)."""

import pytest

from conftest import DRIVERS
from soak import soak


@pytest.mark.parametrize("quarantine", [True, False],
                         ids=["quarantine", "no-quarantine"])
@pytest.mark.parametrize("driver", [
    # a long run still finds a wrong verdict now and then: docs/testing.md
    pytest.param(name, marks=pytest.mark.xfail(
        name == "maildir", strict=False, reason="open on Maildir"))
    for name in DRIVERS])
def test_nothing_lost_nothing_false(driver, quarantine):
    assert soak(driver, operations=600, seed=1, quarantine=quarantine) == []
