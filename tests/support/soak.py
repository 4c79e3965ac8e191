#!/usr/bin/python3
"""Recalls while others work on the same messages, at random by a seed.

An account is worked on in episodes. In each, clients (processes of their own,
each with its IMAP connection) append, copy, move, flag and expunge messages
with one Message-ID at full speed, have more of them delivered, rename and
delete mailboxes, while a recall, a dry run, a retry, a kill (-9), a standing
order or a restore runs on it, and commands of Dovecot's own, or loss of the
index, beside it (model_beside.py); so do recalls of other ids, which no client
touches. Then everything is looked at (model_checks.py): each index record must
have a message that can be opened and is what was saved, no message may be
lost, no verdict be false. Several accounts are worked on at once, by workers
(model_workers.py) in one node.

What a client did is known from its own record: a message that no client has
expunged is "stable" and must be in a mailbox or in the quarantine. A verdict
is of the moment at which the recall began to look for the last time, which
its event tells: an operation that was under way then may bring back what it
had read before.

As a command: soak.py --driver sdbox --operations 100000 --seed 1
What fails is made smaller with --shrink, and run again with --first, --last
and what else that prints.
"""

import argparse
import math
import os
import shutil
import sys
import tempfile
import time

import mailnode
import model_shrink
import model_workers
import nodeclient
import nodelog
from exported import examples
from mailnode import LOCATIONS
from model_plan import Limits, Plan
from model_workers import Order, Share, Tally, user_of
from quarantine import make_node

# A process that was killed may leave a lock behind that Dovecot overrides
# after two minutes, and then another one may wait in turn.
for module in mailnode, nodeclient, nodelog:
    module.PATIENCE = 600
# Accounts start empty and small, and some of them get large.
EPISODES_A_USER = 25
# Then there is a new node, with an empty log.
ACCOUNTS_A_NODE = 200
# Of a case that may fail or not, as other processes race.
TRIES = 10
# Dovecot's own log of what is expunged, and put into the quarantine
MAIL_LOG = {"mail_log_events": "expunge copy",
            "mail_log_fields": "box msgid subject"}
# octets in memory that a node may need
ROOM = 2 * 2**30


def users_for(accounts):
    return [user_of(number) for number in accounts]


def place():
    """Where nodes are: in memory if there is room, it is files that most of
    the time goes to."""
    there = "/dev/shm"
    return there if os.access(there, os.W_OK) and \
        shutil.disk_usage(there).free > ROOM else None


def node_for(driver, quarantine, users):
    plugin = dict(MAIL_LOG)
    if not quarantine:
        plugin["recall_quarantine"] = ""
    directory = tempfile.mkdtemp(prefix="node-", dir=place())
    node = make_node(driver, users, namespace=quarantine,
                     mail_plugins=["notify", "mail_log", "recall"],
                     extra=examples(), directory=directory, plugin=plugin)
    node.own_directory = True
    return node


def first_of_account(number):
    return number - (number - 1) % EPISODES_A_USER


def episodes_of(account):
    first = account * EPISODES_A_USER + 1
    return range(first, first + EPISODES_A_USER)


def soak(driver, operations, seed, quarantine, jobs=1, patient=False,
         report=None, limits=Limits(), keep=None, minutes=math.inf):
    """Works until that many operations are done, or minutes are over. Returns
    the failures: with patient it goes on after one, with another account."""
    end = time.monotonic() + minutes * 60
    failures, tally, said = [], Tally(), 0
    order = Order(quarantine, seed, limits, episodes_of, patient, keep)

    def say():
        nonlocal said
        if report and tally.counts["operations"] - said >= report:
            said = tally.counts["operations"]
            print(tally, flush=True)

    accounts = range(ACCOUNTS_A_NODE)
    while tally.counts["operations"] < operations and \
            (patient or not failures) and time.monotonic() < end:
        share = Share(accounts, operations - tally.counts["operations"], end)
        with node_for(driver, quarantine, users_for(accounts)) as node:
            failures += model_workers.run(node, order, share, jobs, tally, say)
        accounts = range(accounts.stop, accounts.stop + ACCOUNTS_A_NODE)
    print(tally, flush=True)
    return failures


def run_case(driver, quarantine, case, jobs=1, tries=TRIES, keep=None):
    """Returns the failures."""
    accounts = range(tries)
    order = Order(quarantine, case.seed, case.limits,
                  lambda unused: range(case.first, case.last + 1), False,
                  keep)
    with node_for(driver, quarantine, users_for(accounts)) as node:
        return model_workers.run(node, order, Share(accounts, sys.maxsize),
                                 jobs, Tally())


def shrink(driver, quarantine, seed, number, limits=Limits(), jobs=1):
    """Makes the episode that failed smaller. Returns the case."""
    def parts_of(case):
        return Plan(seed, number, driver, quarantine, case.limits).parts()

    return model_shrink.shrink(
        model_shrink.Case(seed, first_of_account(number), number, limits),
        parts_of,
        lambda case: run_case(driver, quarantine, case, jobs) != [])


def print_smallest(driver, quarantine, args, failed, limits):
    case = shrink(driver, quarantine, args.seed, failed.number, limits,
                  args.jobs)
    print("SMALLEST: soak.py --driver %s --quarantine %s %s" % (
        driver, "on" if quarantine else "off", model_shrink.arguments(case)))


def run(args, quarantine, limits):
    """Returns the failures."""
    if args.last:
        case = model_shrink.Case(args.seed, args.first or args.last,
                                 args.last, limits)
        return run_case(args.driver, quarantine, case, args.jobs,
                        keep=args.keep)
    return soak(args.driver, args.operations, args.seed, quarantine,
                args.jobs, args.patient, 1000, limits, args.keep, args.minutes)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--driver", default="sdbox",
                        choices=sorted(LOCATIONS))
    parser.add_argument("--operations", type=int, default=100000)
    parser.add_argument("--minutes", type=float, default=math.inf,
                        help="end after these, if not before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quarantine", default="both",
                        choices=["on", "off", "both"])
    parser.add_argument("--jobs", type=int, default=4,
                        help="accounts worked on at once (4)")
    parser.add_argument("--keep", metavar="DIRECTORY",
                        help="where the files of accounts that failed go")
    parser.add_argument("--patient", action="store_true",
                        help="go on after a failure")
    parser.add_argument("--shrink", action="store_true",
                        help="make what has failed smaller, and print that")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=0,
                        help="run these episodes alone, on one account, %d "
                        "times or until they fail" % TRIES)
    parser.add_argument("--without", default="", metavar="NAME,...",
                        help="leave out operations of clients, kinds of "
                        "recalls, what runs beside them (model_plan.py); "
                        "`recall`: all recalls, to see what Dovecot does")
    for name, default in Limits._field_defaults.items():
        if name != "without":
            parser.add_argument("--" + name, type=int, default=default,
                                help="at most as many (%d)" % default)
    return parser.parse_args()


def main():
    args = parse_arguments()
    limits = Limits(frozenset(filter(None, args.without.split(","))),
                    args.clients, args.burst, args.messages, args.rests)
    modes = {"on": [True], "off": [False], "both": [True, False]}
    modes = modes[args.quarantine]
    args.operations //= len(modes)
    args.minutes /= len(modes)
    failures = []
    for quarantine in modes:
        print("%s, quarantine %s, seed %d" % (
            args.driver, "on" if quarantine else "off", args.seed),
              flush=True)
        failed = run(args, quarantine, limits)
        failures += failed
        if args.shrink:
            for one in filter(lambda one: one.number > 0, failed):
                print_smallest(args.driver, quarantine, args, one, limits)
    for failed in failures:
        print("FINDING: " + failed.text)
    print("%d findings" % len(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
