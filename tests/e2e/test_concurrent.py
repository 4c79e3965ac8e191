"""Recalls while clients work on the same messages: a short run of what
`make soak` does for longer (see tests/support/soak.py)."""

import pytest

from conftest import DRIVERS
from soak import soak


@pytest.mark.parametrize("quarantine", [True, False],
                         ids=["quarantine", "no-quarantine"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_nothing_lost_nothing_false(driver, quarantine):
    assert soak(driver, operations=600, seed=1, quarantine=quarantine) == []
