"""Recalls while clients work on the same messages: a short run of what
`make soak` does for longer (see tests/support/soak.py)."""

import pytest

import soak
from conftest import DRIVERS
from model_clients import OPERATIONS
from model_plan import BEFORE, BESIDE, KINDS, Limits, Plan
from model_shrink import Case, arguments, shrink


@pytest.mark.parametrize("quarantine", [True, False],
                         ids=["quarantine", "no-quarantine"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_nothing_lost_nothing_false(driver, quarantine):
    assert soak.soak(driver, operations=400, seed=1, quarantine=quarantine,
                     jobs=2) == []


def test_a_loss_is_found(monkeypatch, tmp_path):
    """By the model, which knows of a quarantine that there is not: so all that
    is recalled is lost."""
    driver = DRIVERS[-1]
    node_for = soak.node_for
    monkeypatch.setattr(soak, "node_for", lambda driver, _, users:
                        node_for(driver, False, users))
    failures = soak.soak(driver, operations=4000, seed=2, quarantine=True,
                         jobs=2, keep=tmp_path)
    assert failures != []
    for number, text in failures:
        assert number > 0
        assert "(seed 2, episode %d, user soak" % number in text
        assert list(tmp_path.glob("%s-on-2-%d/home/*" % (driver, number)))


def test_plans():
    """An episode is the same each time, whatever was before it; what is left
    out is not in it, and the rest as it was."""
    names = set()
    for number in range(1, 200):
        plan, again = (Plan(7, number, "sdbox", True) for _ in range(2))
        assert str(plan) == str(again) and plan.bursts == again.bursts
        names.update(str(plan).split())
        less = Plan(7, number, "sdbox", True, Limits(
            frozenset(["move", "resync"]), clients=2, burst=3))
        assert not less.has("move", "resync")
        assert set(less.parts()) == set(plan.parts()) - {"move", "resync"}
        if less.names:
            assert less.bursts == [(seed, min(count, 3), delay) for
                                   seed, count, delay in plan.bursts[:2]]
    assert names == set(OPERATIONS) | set(KINDS) | set(BEFORE) | \
        set(BESIDE) - {"purge"}


def test_shrinking():
    """What is needed for a failure is left, and nothing else."""
    def parts_of(case):
        return Plan(case.seed, case.last, "mdbox", True, case.limits).parts()

    def fails(case):
        plan = Plan(case.seed, case.last, "mdbox", True, case.limits)
        return case.first <= 9 and plan.has(needed) and \
            len(plan.bursts) >= 2 and case.limits.burst >= 3

    case = Case(7, 1, 20, Limits())
    for needed in [name for name in parts_of(case) if name in OPERATIONS]:
        least = shrink(case, parts_of, fails, say=str)
        assert fails(least) and parts_of(least) == [needed]
        assert (least.limits.clients, least.limits.burst,
                least.limits.messages, least.limits.rests) == (2, 3, 1, 0)
        assert "--clients 2 --burst 3" in arguments(least)
