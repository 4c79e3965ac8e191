"""Load, in small: the same on a larger scale is tests/bench/load.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent /
                        "bench"))
import load  # noqa: E402
from servicenode import is_sanitized  # noqa: E402


def test_connections_that_say_nothing_are_given_back():
    load.connections(300, limit=20)


@pytest.mark.skipif(is_sanitized(), reason="it keeps what was freed")
def test_recalls_leave_nothing_behind():
    load.endurance(200, windows=2, users=10)


def test_recalls_that_are_due_at_their_time():
    load.latency(100, users=10)


def test_trend_of_what_grows():
    points = [(x, 1000 * x) for x in range(1, 11)]
    points[4] = (5, 10 ** 9)
    assert load.slope(points) == 1000


@pytest.mark.parametrize("part,value", [(0.5, 50), (0.99, 99), (0.999, 100)])
def test_quantile(part, value):
    assert load.quantile(range(100, 0, -1), part) == value
