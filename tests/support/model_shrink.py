"""Makes an episode of the model test (see soak.py) that fails smaller, for as
long as it still fails. As other processes race, it's tried some times over."""

import collections

from model_plan import Limits

# What to run: episodes of one account, with less in them
Case = collections.namedtuple("Case", "seed first last limits")


def smaller(case, parts):
    """The next cases to try, those that leave out most first. parts: what can
    be left out of the last episode by name."""
    limits = case.limits
    if case.first < case.last:
        yield case._replace(first=case.last)
        yield case._replace(first=(case.first + case.last + 1) // 2)

    def limited(**changes):
        return case._replace(limits=limits._replace(**changes))

    for name in parts:
        yield limited(without=limits.without | {name})
    for name, least in ("rests", 0), ("clients", 1), ("messages", 1), \
            ("burst", 1):
        value = getattr(limits, name)
        for other in sorted({least, value // 2, value - 1}):
            if least <= other < value:
                yield limited(**{name: other})


def shrink(case, parts_of, fails, say=print):
    """Returns the smallest case that fails. parts_of(case) are the names in
    it, fails(case) tries it, some times. Each step starts anew, since it may
    have made others possible; what has passed once is not tried again."""
    passed = set()
    while True:
        for other in smaller(case, parts_of(case)):
            if other in passed:
                continue
            if fails(other):
                say("still fails: %s" % (other,))
                case = other
                break
            passed.add(other)
        else:
            return case


def arguments(case):
    """Of soak.py."""
    words = ["--seed", case.seed, "--first", case.first, "--last", case.last]
    if case.limits.without:
        words += ["--without", ",".join(sorted(case.limits.without))]
    for name in ("clients", "burst", "messages", "rests"):
        if getattr(case.limits, name) != getattr(Limits(), name):
            words += ["--" + name, getattr(case.limits, name)]
    return " ".join(map(str, words))
