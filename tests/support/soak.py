#!/usr/bin/python3
"""Recalls while IMAP clients work on the same messages, at random by a seed.

An account is worked on in episodes. In each, clients (processes of their own,
each with its IMAP connection) append, copy, move, flag and expunge messages
with one Message-ID at full speed, while a recall, a dry run, a retry, a kill
(-9) or a restore runs on it; recalls of other ids, which no client touches,
run beside it. Then everything is looked at: each index record must have a
message that can be opened, no message may be lost, no verdict be false.

A message is known by its token, which copies of it share. What a client did
is known from its own record: a message that no client has expunged is
"stable" and must be in a mailbox or in the quarantine. A verdict is of the
moment at which the recall began to look for the last time, which its event
tells: an operation that was under way then may bring back what it had read
before.

As a command: soak.py --driver sdbox --operations 100000 --seed 1
"""

import argparse
import collections
import concurrent.futures
import imaplib
import multiprocessing
import random
import re
import subprocess
import sys
import time

import mailnode
from exported import examples, exported, seconds
from mailnode import LOCATIONS, build_message
from quarantine import PREFIX, make_node

MAILBOXES = ["INBOX", "Alpha", "Beta", "Work/Old"]
CLIENTS = 4
# A process that was killed may leave a lock behind that Dovecot overrides
# after two minutes.
mailnode.PATIENCE = 300
# Accounts start empty and small, and some of them get large.
EPISODES_A_USER = 25
OPERATIONS = {"move": 8, "copy": 2, "flag": 2, "append": 1, "expunge": 1}
# What a recall may say instead of a verdict, and a restore: the copies wait.
CHANGED = re.compile("moved while it was recalled")
RESTORE_AGAIN = re.compile("The copy .* can't be opened")

Operation = collections.namedtuple("Operation", "name tokens start end")


class Client:
    """One IMAP connection. Runs in a process of its own."""

    def __init__(self, node, pipe):
        self.node = node
        self.pipe = pipe
        self.connection = None
        self.user = None
        # tokens of the message that a command is changing now
        self.changing = []

    def serve(self):
        while True:
            order = self.pipe.recv()
            if order is None:
                break
            self.pipe.send(getattr(self, order[0])(*order[1:]))

    def login(self, user):
        if self.connection is not None:
            self.connection.logout()
        self.user = user
        self.connection = self.node.imap(user)
        for mailbox in MAILBOXES[1:]:
            self.connection.create(mailbox)

    def burst(self, message_id, seed, count, delay, names):
        """Works on messages with the id. Returns what was done."""
        chance = random.Random(seed)
        done = []
        time.sleep(delay)
        for number in range(count):
            name = chance.choices(names, [OPERATIONS[n] for n in names])[0]
            token = "%s-%d-%d" % (message_id.strip("<>"), seed, number)
            start = time.time()
            self.changing = []
            try:
                tokens = self.append(chance, message_id, token) \
                    if name == "append" \
                    else self.change(chance, message_id, name)
            except imaplib.IMAP4.abort:
                # Dovecot rebuilds an mdbox if it finds that a killed process
                # has left its map half-written, and ends the sessions that
                # have it open. A move may have got half-way.
                self.connection = self.node.imap(self.user)
                tokens = self.changing
                name = "copy" if name == "move" else name
            if tokens:
                done.append(Operation(name, tokens, start, time.time()))
        return done

    def append(self, chance, message_id, token):
        self.connection.append(chance.choice(MAILBOXES), None, None,
                               message_of(message_id, token))
        return [token]

    def change(self, chance, message_id, name):
        """Finds some message, wherever it's now, and does that to it."""
        for mailbox in chance.sample(MAILBOXES, len(MAILBOXES)):
            self.connection.select(mailbox)
            found = self.connection.uid("SEARCH", "HEADER", "Message-ID",
                                        message_id)[1][0]
            if not found:
                continue
            uid = chance.choice(found.split()).decode()
            answer = self.connection.uid(
                "FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (X-Token)])")[1]
            tokens = [part[1].split(b":")[1].strip().decode()
                      for part in answer
                      if isinstance(part, tuple) and b":" in part[1]]
            if not tokens:
                continue
            self.changing = tokens
            self.change_uid(chance, name, uid, mailbox)
            return tokens
        return []

    def change_uid(self, chance, name, uid, mailbox):
        other = chance.choice([m for m in MAILBOXES if m != mailbox])
        if name in ("move", "copy"):
            self.connection.uid(name.upper(), uid, other)
        elif name == "flag":
            flag = chance.choice(["\\Flagged", "\\Draft", "keyword"])
            self.connection.uid("STORE", uid, chance.choice("+-") + "FLAGS",
                                "(%s)" % flag)
        else:
            self.connection.uid("STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
            self.connection.uid("EXPUNGE", uid)


def message_of(message_id, token):
    return build_message(message_id, headers=[("X-Token", token)],
                         body="Body of %s.\n" % token)


def serve(node, pipe):
    Client(node, pipe).serve()


class Clients:
    def __init__(self, node, count=CLIENTS):
        self.pipes, self.processes = [], []
        context = multiprocessing.get_context("fork")
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(node, theirs),
                                      daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def start(self, orders):
        for pipe, order in zip(self.pipes, orders):
            pipe.send(order)

    def wait(self):
        return [pipe.recv() for pipe in self.pipes]

    def stop(self):
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join()


def in_flight(answer, done):
    """Tokens of the operations under way at the moment that the answer is
    of."""
    return [token for operation in done for token in operation.tokens
            if operation.name in ("move", "copy") and
            answer.looked_at is not None and
            operation.start < answer.looked_at < operation.end]


class Finding(Exception):
    pass


class Answer:
    """A verdict row, and the moment that it is of; None for a dry run and for
    a restore."""

    def __init__(self, row, looked_at=None):
        self.row, self.looked_at = row, looked_at
        self.status, self.copies = row["status"], int(row["copies"])


class Soak:
    def __init__(self, node, quarantine, seed):
        self.node = node
        self.quarantine = quarantine
        self.seed = seed
        self.chance = random.Random(seed)
        self.clients = Clients(node)
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.users = iter(sorted(node.users))
        self.user = None
        self.episodes = self.operations = self.raced = self.recalls = 0
        self.verdicts = collections.Counter()
        # token -> message id; those that no client has expunged
        self.stable = {}
        # recall id -> copies in the quarantine at the last look
        self.by_recall = collections.Counter()

    # what is asked of doveadm

    def http(self, name, **parameters):
        answer, = self.node.doveadm_http(
            [[name, {"user": self.user, **parameters}, "tag"]])
        if answer[0] == "error":
            raise Finding("%s: %r" % (name, answer))
        return answer[1]

    def expunge(self, message_id, recall_id, delay=0, **parameters):
        time.sleep(delay)
        since, start = self.node.log_size(), time.time()
        row, = self.http("recallExpunge", recallId=recall_id,
                         messageId=message_id, **parameters)
        if "dryRun" in parameters:
            return Answer(row)
        return Answer(row, self.looked_at(recall_id, since, start))

    def looked_at(self, recall_id, since, start):
        """From the recall's event: not one that was killed before."""
        count, pattern = 1, '"recall_finished".*' + recall_id
        while True:
            event = exported(self.node, count, pattern, since)[-1]
            looked_at = seconds(event["fields"]["looked_at"])
            if looked_at >= start:
                return looked_at
            count += 1

    def restore(self, recall_id, delay=0):
        time.sleep(delay)
        row, = self.http("recallRestore", recallId=recall_id)
        return Answer(row)

    def killed(self, message_id, recall_id, delay):
        """A doveadm of its own, killed after a while."""
        process = subprocess.Popen(
            self.node.doveadm_command("recall", "expunge", "-u", self.user,
                                      "--no-notify", "--recall-id", recall_id,
                                      message_id),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(0.02 + delay * 4)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()

    def look(self):
        """All that there is, opened: (in mailboxes, in the quarantine), each
        token -> copies."""
        found = []
        self.by_recall.clear()
        for query in ["NOT", "mailbox", PREFIX + "*"], \
                ["mailbox", PREFIX + "*"]:
            if query[0] == "mailbox" and not self.quarantine:
                found.append(collections.Counter())
                continue
            rows = self.http("fetch", field=["mailbox", "uid", "text"],
                             query=query)
            tokens = collections.Counter()
            for row in rows:
                text = row["text"]
                token = re.search(r"(?m)^X-Token: (\S+)", text)
                if token is None:
                    if not text.strip():
                        raise Finding("cannot be opened: %r" % row)
                    continue
                if "Body of %s." % token.group(1) not in text:
                    raise Finding("not what it was: %r" % row)
                tokens[token.group(1)] += 1
                if query[0] == "mailbox":
                    self.by_recall[row["mailbox"][len(PREFIX):].split("/")[0]
                                   ] += 1
            found.append(tokens)
        return found

    # an episode

    def new_id(self, number):
        return "<%d.%d.%d@soak.example.com>" % (self.seed, self.episodes,
                                                number)

    def new_recall_id(self):
        return "%032x" % self.chance.getrandbits(128)

    def put(self, message_id):
        """Messages for the id; returns their tokens."""
        tokens = []
        together = self.chance.choice(MAILBOXES + [None] * 4)
        for number in range(self.chance.choice([1, 1, 2, 4, 8])):
            token = "%s-0-%d" % (message_id.strip("<>"), number)
            self.connection.append(together or self.chance.choice(MAILBOXES),
                                   None, None, message_of(message_id, token))
            tokens.append(token)
            self.stable[token] = message_id
        self.operations += len(tokens)
        return tokens

    def next_user(self):
        if self.user is not None:
            self.finish_user()
        self.user = next(self.users)
        self.stable = {}
        self.clients.start([("login", self.user)] * CLIENTS)
        self.clients.wait()
        self.connection = self.node.imap(self.user)

    def finish_user(self):
        self.check_lost(*self.look())
        self.check_list()
        self.connection.logout()

    def rest(self, number):
        """A recall of an id that no client touches."""
        message_id = self.new_id(number)
        absent = self.chance.random() < 0.2
        tokens = [] if absent else self.put(message_id)
        return tokens, self.pool.submit(
            self.expunge, message_id, self.new_recall_id(),
            self.chance.random() * 0.02, noNotify=True)

    def episode(self):
        if self.episodes % EPISODES_A_USER == 0:
            self.next_user()
        self.episodes += 1
        chance = self.chance
        kind = chance.choices(["plain", "kill", "retry", "two", "restore",
                               "dry"], [10, 2, 2, 1, 3, 2])[0]
        if kind == "restore" and not self.quarantine:
            kind = "plain"
        message_id, recall_id = self.new_id(0), self.new_recall_id()
        tokens = self.put(message_id)
        if kind == "restore":
            self.expunge(message_id, recall_id, noNotify=True)
        resting = [self.rest(1), self.rest(2)]
        names = list(OPERATIONS) if chance.random() < 0.3 else \
            ["move", "copy", "flag"] if chance.random() < 0.3 else ["move"]
        self.clients.start([
            ("burst", message_id, chance.getrandbits(30),
             chance.randint(0, 10), chance.random() * 0.01, names)
            for _ in range(CLIENTS)])
        try:
            answers = getattr(self, "run_" + kind)(message_id, recall_id,
                                                   chance.random() * 0.02)
        finally:
            done = sum(self.clients.wait(), [])
            resting = [(tokens, future.result())
                       for tokens, future in resting]
        for operation in done:
            if operation.name == "append":
                self.stable[operation.tokens[0]] = message_id
        for operation in done:
            if operation.name == "expunge":
                for token in operation.tokens:
                    self.stable.pop(token, None)
        self.operations += len(done) + len(answers) + 2
        self.recalls += len(answers) + 2
        self.raced += len(answers)
        there, kept = self.look()
        self.check_lost(there, kept)
        for answer in answers:
            taken = any(other.copies > 0 for other in answers
                        if other is not answer)
            self.check(kind, tokens, answer, taken, done, there)
        for tokens, answer in resting:
            self.check_resting(tokens, answer, there)
        if kind in ("plain", "dry") and answers[0].status == "expunged" and \
           self.quarantine and \
           self.by_recall[recall_id] != answers[0].copies:
            self.fail("kept another number", answers[0].row, self.by_recall,
                      done)
        if kind == "restore" or chance.random() < 0.3:
            self.check_restored(message_id, recall_id)
            self.check_doubled(message_id, answers, done)

    def run_plain(self, message_id, recall_id, delay):
        return [self.expunge(message_id, recall_id, delay,
                             noNotify=self.chance.random() < 0.7)]

    def run_dry(self, message_id, recall_id, delay):
        return [self.expunge(message_id, recall_id, delay, dryRun=True)]

    def run_retry(self, message_id, recall_id, delay):
        first = self.expunge(message_id, recall_id, delay, noNotify=True)
        return [first, self.expunge(message_id, recall_id, noNotify=True)]

    def run_two(self, message_id, recall_id, delay):
        futures = [self.pool.submit(self.expunge, message_id, an_id, delay,
                                    noNotify=True)
                   for an_id in (recall_id, self.new_recall_id())]
        return [future.result() for future in futures]

    def run_kill(self, message_id, recall_id, delay):
        self.killed(message_id, recall_id, delay)
        return [self.expunge(message_id, recall_id, noNotify=True)]

    def run_restore(self, message_id, recall_id, delay):
        return [self.restore(recall_id, delay)]

    # what must be true

    def fail(self, text, *details):
        raise Finding("%s (seed %d, episode %d, user %s): %s" % (
            text, self.seed, self.episodes, self.user,
            " ".join(map(str, details))))

    def check_lost(self, there, kept):
        """What is stable is somewhere. Without a quarantine a recall may have
        deleted it, then check() tells."""
        if not self.quarantine:
            return
        lost = [token for token in self.stable
                if token not in there and token not in kept]
        if lost:
            self.fail("lost", lost)

    def check(self, kind, tokens, answer, taken, done, there):
        """taken: another recall of the episode took copies."""
        status, row = answer.status, answer.row
        self.verdicts[status] += 1
        stable = {token for token in tokens if token in self.stable}
        left = {token for token in stable if token in there} - \
            set(in_flight(answer, done))
        # without a quarantine nobody knows what the same recall took before
        gone = taken if kind == "two" else \
            not self.quarantine and (taken or kind == "kill")
        details = (kind, row, answer.looked_at, "left", left, "done", done)
        if status == "error":
            if not (RESTORE_AGAIN if kind == "restore" else
                    CHANGED).search(row["error"]):
                self.fail("error", *details)
        elif status == "expunged":
            if answer.copies == 0:
                self.fail("expunged nothing", *details)
            if left:
                self.fail("left behind", *details)
        elif status == "already_recalled":
            if kind not in ("kill", "retry") or left:
                self.fail("not recalled", *details)
        elif status == "not_found":
            if stable and not gone:
                self.fail("not not_found", *details)
        elif status == "would_expunge":
            if kind != "dry" or answer.copies == 0 or \
               any(token not in there for token in stable):
                self.fail("dry run", *details)
        elif status != "restored" or kind != "restore":
            self.fail("verdict", *details)
        if row["notice"] != "none" and \
           status not in ("expunged", "already_recalled"):
            self.fail("notice", *details)

    def check_doubled(self, message_id, answers, done):
        """After a restore there is no more than there was. Clients double a
        message if two move it at once, and if they bring back what was
        recalled."""
        most = collections.Counter(
            token for token, an_id in self.stable.items()
            if an_id == message_id)
        for answer in answers:
            most.update(in_flight(answer, done))
        for operation in done:
            if operation.name == "copy" or operation.name == "move" and any(
                    other is not operation and other.name != "flag" and
                    other.tokens == operation.tokens and
                    other.start < operation.end and
                    operation.start < other.end for other in done):
                most.update(operation.tokens)
        there = self.look()[0]
        doubled = {token: there[token] for token in most
                   if token in self.stable and there[token] > most[token]}
        if doubled:
            self.fail("doubled", doubled, [answer.row for answer in answers],
                      done)

    def check_list(self):
        """What is recorded is what there is."""
        if not self.quarantine:
            return
        for row in self.http("recallList"):
            if row["status"] != "restored" and \
               int(row["copies"]) != self.by_recall[row["recall-id"]]:
                self.fail("listed another number", row,
                          self.by_recall[row["recall-id"]])

    def check_resting(self, tokens, answer, there):
        self.verdicts["rest " + answer.status] += 1
        wanted = ("expunged", len(tokens)) if tokens else ("not_found", 0)
        if (answer.status, answer.copies) != wanted and \
           not self.was_doubled(wanted, answer) or \
           any(token in there for token in tokens):
            self.fail("recall of what nobody touched", answer.row, tokens)

    def was_doubled(self, wanted, answer):
        """Whether it's only more copies, and Dovecot has rebuilt the mdbox:
        what is saved meanwhile it has twice then."""
        return self.node.driver == "mdbox" and wanted[1] > 0 and \
            answer.status == wanted[0] and answer.copies > wanted[1] and \
            re.search(re.escape(self.user) + ".*: rebuilding indexes",
                      self.node.log()) is not None

    def check_restored(self, message_id, recall_id):
        """Nobody is at work now: all that was taken comes back."""
        if not self.quarantine:
            return
        before = self.look()[0]
        answer = self.restore(recall_id)
        self.verdicts["then " + answer.status] += 1
        self.operations += 1
        if answer.status not in ("restored", "not_found"):
            self.fail("restore", answer.row)
        there, kept = self.look()
        self.check_lost(there, kept)
        missing = [token for token, an_id in self.stable.items()
                   if an_id == message_id and token not in there]
        if missing and answer.status == "restored" and \
           not any(token in kept for token in missing):
            self.fail("not restored", answer.row, missing)
        if sum(there.values()) - sum(before.values()) != answer.copies:
            self.fail("restored another number", answer.row, before, there)

    def report(self):
        return "%d operations, %d recalls and restores (%d raced), " \
            "%d episodes: %s" % (
                self.operations, self.recalls, self.raced, self.episodes,
                ", ".join("%s %d" % item
                          for item in sorted(self.verdicts.items())))

    def close(self):
        self.clients.stop()
        self.pool.shutdown()


def soak(driver, operations, seed, quarantine, patient=False, report=None):
    """Works until that many operations are done. Returns the findings: with
    patient it goes on after one, with another account."""
    findings = []
    users = ["soak%05d@example.com" % i
             for i in range(operations // 20 + 1000)]
    options = {} if quarantine else {"namespace": False,
                                     "plugin": {"recall_quarantine": ""}}
    with make_node(driver, users, mail_plugins=["notify", "recall"],
                   extra=examples(), **options) as node:
        work = Soak(node, quarantine, seed)
        said = 0
        try:
            while work.operations < operations:
                try:
                    work.episode()
                except Finding as finding:
                    findings.append("%s\n%s" % (
                        finding, "\n".join(node.errors()[-5:])))
                    if not patient:
                        break
                    print(findings[-1], flush=True)
                    work.user = None
                    work.episodes += EPISODES_A_USER - \
                        work.episodes % EPISODES_A_USER
                if report and work.operations - said >= report:
                    said = work.operations
                    print(work.report(), flush=True)
        finally:
            work.close()
        findings += node.panics()
        print(work.report(), flush=True)
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--driver", default="sdbox",
                        choices=sorted(LOCATIONS))
    parser.add_argument("--operations", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quarantine", default="both",
                        choices=["on", "off", "both"])
    parser.add_argument("--patient", action="store_true",
                        help="go on after a finding")
    args = parser.parse_args()
    modes = {"on": [True], "off": [False], "both": [True, False]}
    modes = modes[args.quarantine]
    findings = []
    for quarantine in modes:
        print("%s, quarantine %s, seed %d" % (
            args.driver, "on" if quarantine else "off", args.seed),
              flush=True)
        findings += soak(args.driver, args.operations // len(modes),
                         args.seed, quarantine, args.patient, 5000)
    for finding in findings:
        print("FINDING: " + finding)
    print("%d findings" % len(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
