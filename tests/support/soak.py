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
lost, no verdict be false.

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
import sys

import mailnode
import model_shrink
from exported import examples
from mailnode import LOCATIONS
from model_account import Account
from model_plan import Limits, Plan
from model_recalls import Finding, crashes
from quarantine import make_node

# A process that was killed may leave a lock behind that Dovecot overrides
# after two minutes.
mailnode.PATIENCE = 300
# Accounts start empty and small, and some of them get large.
EPISODES_A_USER = 25
# Of a case that may fail or not, as other processes race.
TRIES = 10


class Failure(str):
    """What was found; number: in which episode, 0 if in none."""

    number = 0


def failure(text, node, number):
    found = Failure("%s\n%s" % (text, "\n".join(node.errors()[-5:])))
    found.number = number
    return found


def users_for(count):
    return ["soak%05d@example.com" % i for i in range(count)]


def node_for(driver, quarantine, users):
    options = {} if quarantine else {"namespace": False,
                                     "plugin": {"recall_quarantine": ""}}
    return make_node(driver, users, mail_plugins=["notify", "recall"],
                     extra=examples(), **options)


def episode(work, number):
    """Returns what failed, or None."""
    try:
        work.episode(number)
    except Finding as finding:
        text = str(finding)
        if "episode %d" % number not in text:
            text = "%s (seed %d, episode %d, user %s, %s)" % (
                text, work.seed, number, work.user, work.plan)
        return failure(text, work.node, number)
    return None


def first_of_account(number):
    return number - (number - 1) % EPISODES_A_USER


def soak(driver, operations, seed, quarantine, patient=False, report=None,
         limits=Limits()):
    """Works until that many operations are done. Returns the failures: with
    patient it goes on after one, with another account."""
    failures = []
    with node_for(driver, quarantine,
                  users_for(operations // 20 + 1000)) as node:
        work = Account(node, quarantine, seed, limits)
        said = number = 0
        try:
            while work.operations < operations:
                number += 1
                if number == first_of_account(number):
                    work.next_user()
                failed = episode(work, number)
                if failed is not None:
                    failures.append(failed)
                    if not patient:
                        break
                    print(failed, flush=True)
                    work.user = None
                    number = first_of_account(number) + EPISODES_A_USER - 1
                if report and work.operations - said >= report:
                    said = work.operations
                    print(work.report(), flush=True)
        finally:
            work.close()
        failures += [failure(text, node, 0) for text in crashes(node)]
        print(work.report(), flush=True)
    return failures


def run_case(driver, quarantine, case, tries=TRIES):
    """Returns what failed, or None."""
    with node_for(driver, quarantine, users_for(tries)) as node:
        work = Account(node, quarantine, case.seed, case.limits)
        try:
            for _ in range(tries):
                work.next_user()
                for number in range(case.first, case.last + 1):
                    failed = episode(work, number)
                    if failed is not None:
                        return failed
                for text in crashes(node):
                    return failure(text, node, case.last)
        finally:
            work.close()
    return None


def shrink(driver, quarantine, seed, number, limits=Limits()):
    """Makes the episode that failed smaller. Returns the case."""
    def parts_of(case):
        return Plan(seed, number, driver, quarantine, case.limits).parts()

    return model_shrink.shrink(
        model_shrink.Case(seed, first_of_account(number), number, limits),
        parts_of,
        lambda case: run_case(driver, quarantine, case) is not None)


def print_smallest(driver, quarantine, args, failed, limits):
    case = shrink(driver, quarantine, args.seed, failed.number, limits)
    print("SMALLEST: soak.py --driver %s --quarantine %s %s" % (
        driver, "on" if quarantine else "off", model_shrink.arguments(case)))


def run(args, quarantine, limits):
    """Returns the failures."""
    if args.last:
        case = model_shrink.Case(args.seed, args.first or args.last,
                                 args.last, limits)
        failed = run_case(args.driver, quarantine, case)
        return [] if failed is None else [failed]
    return soak(args.driver, args.operations, args.seed, quarantine,
                args.patient, 1000, limits)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--driver", default="sdbox",
                        choices=sorted(LOCATIONS))
    parser.add_argument("--operations", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quarantine", default="both",
                        choices=["on", "off", "both"])
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
        print("FINDING: " + failed)
    print("%d findings" % len(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
