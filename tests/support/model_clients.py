"""The clients of the model test (see soak.py): processes of their own, each
with its IMAP connection, that work on messages with one Message-ID."""

import collections
import imaplib
import multiprocessing
import os
import random
import smtplib
import time

from mailnode import DeliveryError
from model_mail import append, message_of, token_of

MAILBOXES = ["INBOX", "Alpha", "Beta", "Work/Old"]
# Beta has this name now and then; what is in Gone goes with it
RENAMED = ["Beta", "Gamma"]
GONE = "Gone"
CLIENTS = 4
OPERATIONS = {"move": 8, "copy": 2, "flag": 2, "append": 1, "expunge": 1,
              "deliver": 1, "rename": 1, "delete": 1}

# What a client did: to which messages, when, and into which mailbox
Operation = collections.namedtuple("Operation",
                                   "name tokens start end mailbox")


class Client:
    """One IMAP connection. Runs in a process of its own."""

    def __init__(self, node, pipe):
        self.node = node
        self.pipe = pipe
        self.connection = None
        self.user = None
        # tokens of the message that a command is changing now, and where to
        self.changing, self.target = [], None

    def serve(self):
        parent = os.getppid()
        while True:
            while not self.pipe.poll(5):
                if os.getppid() != parent:
                    # it was killed
                    return
            order = self.pipe.recv()
            if order is None:
                break
            self.pipe.send(getattr(self, order[0])(*order[1:]))

    def login(self, user):
        self.logout()
        self.user = user
        self.connection = self.node.imap(user)
        for mailbox in MAILBOXES[1:] + [GONE]:
            self.connection.create(mailbox)

    def logout(self):
        if self.connection is not None:
            try:
                self.connection.logout()
            except imaplib.IMAP4.error:
                pass
            self.connection = None

    def burst(self, message_id, seed, count, delay, names):
        """Works on messages with the id. Returns what was done."""
        chance = random.Random(seed)
        done = []
        time.sleep(delay)
        mailboxes = MAILBOXES + RENAMED[1:] * ("rename" in names) + \
            [GONE] * ("delete" in names)
        for number in range(count):
            name = chance.choices(names, [OPERATIONS[n] for n in names])[0]
            start = time.time()
            self.changing, self.target = [], None
            try:
                tokens = getattr(self, "do_" + name)(
                    chance, mailboxes, message_id, (seed, number))
            except (imaplib.IMAP4.error, ConnectionError):
                # Dovecot rebuilds an mdbox if it finds that a killed process
                # has left its map half-written, and ends the sessions that
                # have it open; so it does if a mailbox is deleted that they
                # have open. A move may have got half-way.
                self.connection = self.node.imap(self.user)
                tokens = self.changing
                name = "copy" if name == "move" else name
            if tokens is not None:
                done.append(Operation(name, tokens, start, time.time(),
                                      self.target))
        return done

    # each returns the tokens, or None if it has done nothing

    def do_append(self, chance, mailboxes, message_id, number):
        token = token_of(message_id, *number)
        self.target = chance.choice(mailboxes)
        self.changing = [token]
        return [token] if append(self.connection, self.target, token) else \
            None

    def do_deliver(self, chance, mailboxes, message_id, number):
        token = token_of(message_id, *number, origin="delivered")
        try:
            self.node.lmtp_deliver(self.user, message_of(token))
        except (DeliveryError, smtplib.SMTPException):
            # a temporary failure: it may have been saved
            return None
        return [token]

    def do_rename(self, *unused):
        if self.connection.rename(*RENAMED)[0] != "OK" and \
           self.connection.rename(*reversed(RENAMED))[0] != "OK":
            return None
        return []

    def do_delete(self, chance, *unused):
        if chance.random() < 0.5:
            self.connection.select(GONE)
        deleted = self.connection.delete(GONE)[0]
        self.connection.create(GONE)
        return [] if deleted == "OK" else None

    def find(self, chance, mailboxes, message_id):
        """Some message, wherever it's now: (UID, mailbox)."""
        for mailbox in chance.sample(mailboxes, len(mailboxes)):
            if self.connection.select(mailbox)[0] != "OK":
                continue
            found = self.connection.uid("SEARCH", "HEADER", "Message-ID",
                                        message_id)[1][0]
            if not found:
                continue
            uid = chance.choice(found.split()).decode()
            answer = self.connection.uid(
                "FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (X-Token)])")[1]
            self.changing = [part[1].split(b":")[1].strip().decode()
                             for part in answer or []
                             if isinstance(part, tuple) and b":" in part[1]]
            if self.changing:
                return uid, mailbox
        return None, None

    def save(self, command, chance, mailboxes, message_id):
        uid, mailbox = self.find(chance, mailboxes, message_id)
        if uid is None:
            return None
        self.target = chance.choice([m for m in mailboxes if m != mailbox])
        self.connection.uid(command, uid, self.target)
        return self.changing

    def do_move(self, chance, mailboxes, message_id, unused_number):
        return self.save("MOVE", chance, mailboxes, message_id)

    def do_copy(self, chance, mailboxes, message_id, unused_number):
        return self.save("COPY", chance, mailboxes, message_id)

    def do_flag(self, chance, mailboxes, message_id, unused_number):
        uid = self.find(chance, mailboxes, message_id)[0]
        if uid is None:
            return None
        flag = chance.choice(["\\Flagged", "\\Draft", "keyword"])
        self.connection.uid("STORE", uid, chance.choice("+-") + "FLAGS",
                            "(%s)" % flag)
        return self.changing

    def do_expunge(self, chance, mailboxes, message_id, unused_number):
        uid = self.find(chance, mailboxes, message_id)[0]
        if uid is None:
            return None
        self.connection.uid("STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
        self.connection.uid("EXPUNGE", uid)
        return self.changing


def serve(node, pipe):
    Client(node, pipe).serve()


class Clients:
    def __init__(self, node, count=CLIENTS):
        self.pipes, self.processes = [], []
        self.asked = []
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
        self.asked = self.pipes[:len(orders)]
        for pipe, order in zip(self.asked, orders):
            pipe.send(order)

    def wait(self):
        return [pipe.recv() for pipe in self.asked]

    def everyone(self, *order):
        self.start([order] * len(self.pipes))
        self.wait()

    def stop(self):
        for pipe in self.pipes:
            try:
                pipe.send(None)
            except BrokenPipeError:
                # it has ended by itself: its traceback was printed
                pass
        for process in self.processes:
            process.join()
