"""The clients of the model test (see soak.py): processes of their own, each
with its IMAP connection, that work on messages with one Message-ID."""

import collections
import multiprocessing
import os
import random
import re
import smtplib
import time

import mailnode
from faults import wait_for
from mailnode import PASSWORD, DeliveryError
from model_imap import Imap
from model_mail import append_command, message_of, token_of

MAILBOXES = ["INBOX", "Alpha", "Beta", "Work/Old"]
# Beta has this name now and then; what is in Gone goes with it
RENAMED = ["Beta", "Gamma"]
GONE = "Gone"
CLIENTS = 4
# operations of a client that goes on
LONGEST = 50
UID = re.compile(rb"[( ]UID (\d+)")
TOKEN = re.compile(rb"(?m)^X-Token: (\S+)")
OPERATIONS = {"move": 8, "copy": 2, "flag": 2, "append": 1, "expunge": 1,
              "deliver": 1, "rename": 1, "delete": 1}

# What a client did: to which messages, when, into which mailbox, and with what
# it has taken out of one: (mailbox, UID)
Operation = collections.namedtuple("Operation",
                                   "name tokens start end mailbox source")


def place(mailbox, uid):
    """The same whatever name it has just now."""
    return "Beta" if mailbox in RENAMED else mailbox, int(uid)


class Client:
    """One IMAP connection. Runs in a process of its own."""

    def __init__(self, node, pipe, answered):
        self.node = node
        self.pipe = pipe
        # shared: whether all recalls of the episode have been answered
        self.answered = answered
        self.connection = None
        self.user = None
        # tokens of the message that a command is changing now, and where to
        self.changing, self.target = [], None
        # (mailbox, UID) of what it has found
        self.source = None
        # a move has copied it, and failed then
        self.copied = False
        # where it has put one last
        self.last = None

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
        self.connection = connect(self.node, user)
        self.connection.run(*["CREATE " + mailbox
                              for mailbox in MAILBOXES[1:] + [GONE]])

    def logout(self):
        if self.connection is not None:
            self.connection.logout()
            self.connection = None

    def burst(self, message_id, burst, names, goes_on):
        """Works on messages with the id, as a plan's burst says, and, if it
        goes on, until all recalls have been answered. Returns what was
        done."""
        seed, count, delay = burst
        chance = random.Random(seed)
        done = []
        time.sleep(delay)
        mailboxes = MAILBOXES + RENAMED[1:] * ("rename" in names) + \
            [GONE] * ("delete" in names)
        number = 0
        while number < count or goes_on and number < LONGEST and \
                not self.answered.value:
            name = chance.choices(names, [OPERATIONS[n] for n in names])[0]
            start = time.time()
            # a move whose connection has ended may have done so, too
            takes = name in ("move", "expunge")
            self.changing, self.target, self.source = [], None, None
            self.copied = False
            try:
                tokens = getattr(self, "do_" + name)(
                    chance, mailboxes, message_id, (seed, number))
            except (ConnectionError, TimeoutError) as error:
                if isinstance(error, TimeoutError):
                    self.wait_until_forgotten()
                # Dovecot rebuilds an mdbox if it finds that a killed process
                # has left its map half-written, and ends the sessions that
                # have it open; so it does if a mailbox is deleted that they
                # have open. A move may have got half-way.
                self.connection.close()
                self.connection = connect(self.node, self.user)
                # or an append, of which nobody knows then
                tokens = None if name == "append" else self.changing
                self.copied = True
            if name == "move" and self.copied:
                name = "copy"
            if tokens is not None:
                taken = self.source if takes else None
                done.append(Operation(name, tokens, start, time.time(),
                                      self.target, taken))
            number += 1
        return done

    def wait_until_forgotten(self):
        """imap is of the opinion that it has no command to answer, although one
        has come with another one, of which a sync has failed."""
        since = self.node.log_size()
        self.connection.close()
        idle = re.compile(r"imap\(%s\).*: Disconnected: Connection closed "
                          r"\([^()]* finished \d{3,}\.\d+ secs ago\)" %
                          re.escape(self.user))
        wait_for(lambda: idle.search(self.node.log(since)))

    # each returns the tokens, or None if it has done nothing

    def do_append(self, chance, mailboxes, message_id, number):
        token = token_of(message_id, *number)
        self.target = chance.choice(mailboxes)
        self.changing = [token]
        answer, = self.connection.run(append_command(self.target, token))
        return [token] if answer.ok else None

    def do_deliver(self, chance, mailboxes, message_id, number):
        token = token_of(message_id, *number, origin="delivered")
        try:
            self.node.lmtp_deliver(self.user, message_of(token))
        except (DeliveryError, smtplib.SMTPException):
            # a temporary failure: it may have been saved
            return None
        return [token]

    def do_rename(self, *unused):
        for names in RENAMED, reversed(RENAMED):
            if self.connection.run("RENAME %s %s" % tuple(names))[0].ok:
                return []
        return None

    def do_delete(self, chance, *unused):
        if chance.random() < 0.5:
            self.connection.run("SELECT " + GONE)
        deleted, _ = self.connection.run("DELETE " + GONE, "CREATE " + GONE)
        # else it may have been done half-way
        return None if b"[NONEXISTENT]" in deleted.lines[-1] else []

    def find(self, chance, mailboxes, message_id):
        """Some message, wherever it's now: (UID, mailbox)."""
        places = chance.sample(mailboxes, len(mailboxes))
        if chance.random() < 0.5 and self.last in places:
            # stable: the others stay in order
            places.sort(key=lambda place: place != self.last)
        for mailbox in places:
            fetched = self.connection.run(
                "SELECT " + mailbox,
                "UID SEARCH RETURN (SAVE) HEADER Message-ID " + message_id,
                "UID FETCH $ BODY.PEEK[HEADER.FIELDS (X-Token)]")[-1]
            found = [(UID.search(line), TOKEN.search(line))
                     for line in fetched.lines]
            found = [pair for pair in found if None not in pair]
            if found:
                uid, token = [match.group(1).decode()
                              for match in chance.choice(found)]
                self.changing, self.source = [token], place(mailbox, uid)
                return uid, mailbox
        return None, None

    def save(self, command, chance, mailboxes, message_id):
        uid, mailbox = self.find(chance, mailboxes, message_id)
        if uid is None:
            return None
        self.target = self.last = chance.choice(
            [m for m in mailboxes if m != mailbox])
        done, = self.connection.run("UID %s %s %s" % (command, uid,
                                                      self.target))
        if not any(b"COPYUID" in line for line in done.lines):
            # it was gone
            self.source = None
        # Its mailbox was renamed before it was expunged there; or that it was
        # to go to when the file had its name in there.
        self.copied = not done.ok and (
            self.source is not None or
            self.node.driver == "maildir" and self.target in RENAMED)
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
        self.connection.run("UID STORE %s %sFLAGS (%s)" % (
            uid, chance.choice("+-"), flag))
        return self.changing

    def do_expunge(self, chance, mailboxes, message_id, unused_number):
        uid = self.find(chance, mailboxes, message_id)[0]
        if uid is None:
            return None
        self.connection.run("UID STORE %s +FLAGS.SILENT (\\Deleted)" % uid,
                            "UID EXPUNGE " + uid)
        return self.changing


def connect(node, user):
    return Imap(node.imap_port, user, PASSWORD, mailnode.PATIENCE)


def serve(node, pipe, answered):
    Client(node, pipe, answered).serve()


class Clients:
    def __init__(self, node, count=CLIENTS):
        self.pipes, self.processes = [], []
        self.asked = []
        context = multiprocessing.get_context("fork")
        self.answered = context.RawValue("b")
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=serve, args=(node, theirs, self.answered), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)

    def start(self, orders):
        self.answered.value = False
        self.asked = self.pipes[:len(orders)]
        for pipe, order in zip(self.asked, orders):
            pipe.send(order)

    def wait(self):
        """For those that were started. Who goes on until the recalls have
        been answered ends now."""
        self.answered.value = True
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
