"""What an episode of the model test (see soak.py) does: drawn by its seed and
number alone, so that it can be run again, with less in it."""

import collections
import random

from model_clients import CLIENTS, OPERATIONS

KINDS = {"plain": 10, "kill": 2, "retry": 2, "two": 1, "restore": 3, "dry": 2,
         "stand": 3}
# what needs a quarantine
QUARANTINE_KINDS = {"restore"}
# What runs beside the recall: see model_beside.py
BESIDE = ["purge", "resync", "index-lost", "index-old", "stock",
          "recall-purge"]
QUARANTINE_BESIDE = {"recall-purge"}
MDBOX_BESIDE = {"purge"}
# What is done before it, while nobody is at work. An mdbox has its messages
# beside the mailboxes: it does not get on with an old directory of one.
BEFORE = {"backup": ["maildir", "sdbox"]}
# Beside these a recall may fail in other ways; it says so, and the next one
# does not.
DISTURBING = ["rename", "delete", "resync", "purge"]
# Recalls of ids that nobody touches: what is there, and what it must say
RESTS = ["absent", "appended", "appended", "seen", "forced", "other",
         "delivered"]
# those that recalls expunge
EXPUNGED = {"appended", "forced", "delivered"}

# What to leave out of episodes, and how much to keep of the rest
Limits = collections.namedtuple(
    "Limits", "without clients burst messages rests",
    defaults=[frozenset(), CLIENTS, 10, 8, 2])


class Plan:
    """
    kind        of recall
    names       operations of the clients
    bursts      of each client: seed, operations, delay
    goes_on     whether they go on until the recalls have been answered
    messages    how many there are at first
    beside      names, each with the delay after which it runs
    before      names
    rests       of RESTS, with a delay each
    chance      for whatever else is drawn
    """

    def __init__(self, seed, number, driver, quarantine, limits=Limits()):
        chance = self.chance = random.Random("%d.%d" % (seed, number))
        self.limits = limits
        self.kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        self.names = self._names(chance)
        self.bursts = [(chance.getrandbits(30), chance.randint(0, 10),
                        chance.random() * 0.01) for _ in range(CLIENTS)]
        self.messages = chance.choice([1, 1, 2, 4, 8])
        self.delay = chance.random() * 0.02
        self.beside = [(name, chance.random() * 0.03) for name in BESIDE
                       if chance.random() < 0.12]
        self.before = [name for name in BEFORE if chance.random() < 0.2]
        self.rests = [(chance.choice(RESTS), chance.random() * 0.02)
                      for _ in range(2)]
        self.notify = chance.random() < 0.3
        self.restored = chance.random() < 0.3
        # by a chance of its own: all else is as it was before there was this
        self.goes_on = random.Random("on %d.%d" % (seed, number)).random() \
            < 0.85
        self._leave_out(driver, quarantine)

    @staticmethod
    def _names(chance):
        names = list(OPERATIONS) if chance.random() < 0.3 else \
            ["move", "copy", "flag"] if chance.random() < 0.3 else ["move"]
        for name in ("deliver", "rename", "delete"):
            if name in names:
                names.remove(name)
            if chance.random() < 0.2:
                names.append(name)
        return names

    def _leave_out(self, driver, quarantine):
        without = set(self.limits.without)
        if not quarantine:
            without |= QUARANTINE_KINDS | QUARANTINE_BESIDE
        if driver != "mdbox":
            without |= MDBOX_BESIDE
        without |= {name for name, drivers in BEFORE.items()
                    if driver not in drivers}
        if self.kind in without:
            self.kind = "plain"
        if "recall" in without:
            self.kind, self.rests = "none", []
        self.names = [name for name in self.names if name not in without]
        self.beside = [pair for pair in self.beside if pair[0] not in without]
        self.before = [name for name in self.before if name not in without]
        self.rests = self.rests[:self.limits.rests]
        self.messages = min(self.messages, self.limits.messages)
        self.bursts = [(seed, min(count, self.limits.burst), delay)
                       for seed, count, delay in
                       self.bursts[:self.limits.clients]] if self.names else []

    def has(self, *names):
        """Whether any of these is in it."""
        return not {self.kind, *self.names, *self.before,
                    *[pair[0] for pair in self.beside]}.isdisjoint(names)

    def parts(self):
        """All that can be left out of it by name."""
        return [name for name in str(self).split()
                if name not in ("plain", "none")]

    def __str__(self):
        return " ".join([self.kind, *self.names, *self.before,
                         *[pair[0] for pair in self.beside]])
