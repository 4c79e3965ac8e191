"""Accounts of the model test (see soak.py) that are worked on at once: each
worker is a process with clients of its own, all of them in one node."""

import collections
import math
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import shutil
import subprocess
import time
import traceback

from model_account import Account
from model_recalls import Finding, crashes

CONTEXT = multiprocessing.get_context("fork")
# of a log, what is looked through for errors
TAIL = 10**6

# What to do: episodes(number) are those of an account; keep: a directory for
# what failed, or None
Order = collections.namedtuple(
    "Order", "quarantine seed limits episodes patient keep")
# What was found, and in which episode (0 if in none); excuse: that of Dovecot's
# failures for which the account is left alone
Failure = collections.namedtuple("Failure", "number text excuse",
                                 defaults=[None])


def user_of(number):
    return "soak%06d@example.com" % number


class Share:
    """What the workers have in common: which account is next, how many
    operations are left to do, and until when (time.monotonic())."""

    def __init__(self, accounts, operations, end=math.inf):
        self.deadline = end
        self.next, self.end = CONTEXT.Value("q", accounts.start), accounts.stop
        self.left = CONTEXT.Value("q", operations)

    def take(self):
        """An account's number, or None."""
        with self.next.get_lock():
            number = self.next.value
            if self.over() or number == self.end:
                return None
            self.next.value += 1
        return number

    def over(self):
        return self.left.value <= 0 or time.monotonic() > self.deadline

    def done(self, operations):
        with self.left.get_lock():
            self.left.value -= operations

    def stop(self):
        with self.left.get_lock():
            self.left.value = 0


class Tally:
    """What was done."""

    def __init__(self):
        self.start = time.monotonic()
        self.counts, self.verdicts = (collections.Counter() for _ in range(2))

    def add(self, counts, verdicts):
        self.counts.update(counts)
        self.verdicts.update(verdicts)

    def __str__(self):
        counts = self.counts
        return "%d operations (%.1f a second), %d recalls and restores (%d " \
            "raced), %d episodes, %d restored octet for octet: %s" % (
                counts["operations"],
                counts["operations"] / (time.monotonic() - self.start),
                counts["recalls"], counts["raced"], counts["episodes"],
                counts["octets"], ", ".join(
                    "%s %d" % item for item in sorted(self.verdicts.items())))


def errors_of(node, user):
    """The last ones of a user."""
    return [line for line in node.errors(max(node.log_size() - TAIL, 0))
            if user in line][-5:]


def keep(order, account, failed):
    """The user's files and log; of what is excused the text alone."""
    place = pathlib.Path(order.keep) / ("%s-%s-%d-%d" % (
        account.node.driver, "on" if order.quarantine else "off", order.seed,
        failed.number))
    if failed.excuse is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(str(place) + ".excused", "w") as stream:
            stream.write("%s: %s\n" % (failed.excuse, failed.text))
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    # a file may go just now
    subprocess.run(["cp", "-a", account.node.home(account.user),
                    place / "home"], check=False)
    (place / "log").write_text("".join(
        line for line in account.node.log(account.log_start).splitlines(True)
        if account.user in line))
    # those that were killed write to a terminal
    (place / "killed").write_text(account.killed_log)


def work_on(account, user, episodes, share, pipe):
    """Returns what failed, or None."""
    number = 0
    try:
        account.next_user(user)
        for number in episodes:
            if share.over():
                break
            account.episode(number)
            counts, verdicts = account.take_counts()
            share.done(counts["operations"])
            pipe.send((counts, verdicts))
        account.finish_user()
    except Finding as finding:
        excuse = account.abandons(finding)
        text = str(finding)
        if "episode %d" % number not in text:
            text += account.where()
    except Exception:
        excuse = None
        text = traceback.format_exc() + account.where()
    else:
        return None
    return Failure(number, "\n".join(
        [text, *errors_of(account.node, user)]), excuse)


def work(node, order, share, pipe):
    account, parent = None, os.getppid()
    while os.getppid() == parent:
        number = share.take()
        if number is None:
            break
        if account is None:
            account = Account(node, order.quarantine, order.seed,
                              order.limits)
        failed = work_on(account, user_of(number), order.episodes(number),
                         share, pipe)
        if failed is not None:
            if failed.excuse is None and not order.patient:
                share.stop()
            if order.keep:
                keep(order, account, failed)
            pipe.send(failed)
            account.close()
            account = None
    if account is not None:
        account.close()


def start(node, order, share):
    """(the process, what is read from it)"""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=work, args=(node, order, share, theirs))
    process.start()
    theirs.close()
    return process, ours


def run(node, order, share, jobs, tally, said=lambda: None):
    """Has the accounts worked on. Returns the failures. said() is called after
    each episode."""
    failures = []
    workers = dict(reversed(start(node, order, share)) for _ in range(jobs))
    while workers:
        for pipe in multiprocessing.connection.wait(list(workers)):
            try:
                told = pipe.recv()
            except EOFError:
                process = workers.pop(pipe)
                process.join()
                if process.exitcode != 0:
                    failures.append(Failure(0, "a worker ended: %d" %
                                            process.exitcode))
                continue
            if isinstance(told, Failure) and told.excuse is not None:
                tally.verdicts["abandoned: " + told.excuse] += 1
            elif isinstance(told, Failure):
                failures.append(told)
                if order.patient:
                    print(told.text, flush=True)
            else:
                tally.add(*told)
                said()
    node.settle_log()
    return failures + [Failure(0, text) for text in crashes(node)]
