"""What a MailNode is asked: at the shell, over HTTP, IMAP and LMTP."""

import base64
import http.client
import imaplib
import json
import pathlib
import re
import select
import shlex
import smtplib
import subprocess
import time

import namespace
from mailtext import imap_quote
from nodebase import DOVEADM, DOVECOT_MODULES, PASSWORD, PATIENCE

class DeliveryError(Exception):
    pass


class Idle:
    """An IMAP IDLE on a connection of imaplib, as a context."""

    def __init__(self, connection):
        self.connection = connection
        self.lines = []

    def __enter__(self):
        self.tag = self.connection._new_tag()
        self.connection.send(self.tag + b" IDLE\r\n")
        line = self.connection.readline()
        while not line.startswith(b"+"):
            self.lines.append(line)
            line = self.connection.readline()
        return self

    def wait_for(self, pattern, timeout=PATIENCE):
        """Reads untagged answers until one matches; returns it."""
        deadline = time.monotonic() + timeout
        for line in self.lines:
            if re.search(pattern, line):
                return line
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no %r in IDLE, only %r" %
                                   (pattern, self.lines))
            # imaplib reads through a buffered file: what it holds already
            # never shows up in select()
            if not self.connection.file.peek(0) and \
               not select.select([self.connection.sock], [], [], left)[0]:
                continue
            line = self.connection.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            self.lines.append(line)
            if re.search(pattern, line):
                return line

    def __exit__(self, *unused):
        self.connection.send(b"DONE\r\n")
        line = self.connection.readline()
        while line and not line.startswith(self.tag):
            self.lines.append(line)
            line = self.connection.readline()


class NodeClient:
    """The part of a MailNode that asks it."""

    # doveadm

    def inside(self, command, clock=True, environment=None):
        """A command that sees the modules that the node sees, and has what
        they need; environment: and this."""
        environment = {**self._environment(clock), **(environment or {})}
        if environment:
            command = ["env", *("%s=%s" % pair for pair in
                                environment.items())] + command
        if not namespace.available():
            self._refuse_installed()
            return command
        if self.root and self.running():
            return namespace.of_process(self.pid) + command
        return namespace.with_directory(self.modules, DOVECOT_MODULES) + \
            command

    @staticmethod
    def _refuse_installed():
        installed = list(pathlib.Path(DOVECOT_MODULES).glob("**/*recall*"))
        if installed:
            raise RuntimeError(
                "%s is installed, doveadm would take it instead of what was "
                "built, and no mount namespace can be made to hide it" %
                installed[0])

    def doveadm_command(self, *args, environment=None):
        return self.inside([DOVEADM, "-c", str(self._doveadm_conf())] +
                           [str(arg) for arg in args], environment=environment)

    def _doveadm_conf(self):
        """Where doveadm has the configuration from: the node's process that
        has read it, if that is still the file's. To read it takes longer than
        most commands."""
        running = self.dir / "run/config"
        # ports are listened to before it is there
        if self.pid and running.exists() and \
           self.conf.read_text() == self.running_conf:
            return running
        return self.conf

    def doveadm(self, *args, check=True, input=None):
        """Runs doveadm in a process of its own; texts in and out."""
        done = subprocess.run(
            self.doveadm_command(*args), input=input, text=True,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True, timeout=PATIENCE * 5,
            errors="surrogateescape")
        if check and done.returncode != 0:
            raise AssertionError("doveadm %s: exit %d\n%s%s" % (
                shlex.join(map(str, args)), done.returncode, done.stdout,
                done.stderr))
        return done

    def http(self, method="POST", body=None, headers=None,
             path="/doveadm/v1"):
        """One request to doveadm's HTTP API; (status, octets)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port,
                                                timeout=PATIENCE)
        if headers is None:
            account = "doveadm:" + self.doveadm_password
            headers = {
                "Authorization": "Basic " +
                base64.b64encode(account.encode()).decode(),
                "Content-Type": "application/json",
            }
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def doveadm_http(self, commands):
        """Commands ([[name, {parameters}, tag], ...]) to their answers."""
        status, body = self.http(body=json.dumps(commands))
        if status != 200:
            raise AssertionError("doveadm HTTP API: %d %r" % (status, body))
        return json.loads(body)

    @property
    def http_url(self):
        return "http://127.0.0.1:%d/doveadm/v1" % self.http_port

    # mail

    def imap(self, user, password=None):
        """A logged-in connection."""
        connection = imaplib.IMAP4("127.0.0.1", self.imap_port, PATIENCE)
        connection.login(user, password or self.users.get(
            user, {"password": PASSWORD})["password"])
        return connection

    def lmtp_deliver(self, users, message, sender="sender@example.com",
                     check=True):
        """Delivers to one user or several, in one transaction. Returns a dict
        of user -> (code, text)."""
        if isinstance(users, str):
            users = [users]
        if isinstance(message, str):
            message = message.encode()
        answers = {}
        with smtplib.LMTP("127.0.0.1", self.lmtp_port,
                          timeout=PATIENCE) as lmtp:
            lmtp.ehlo_or_helo_if_needed()
            lmtp.mail(sender)
            accepted = []
            for user in users:
                answers[user] = lmtp.rcpt(user)
                if answers[user][0] == 250:
                    accepted.append(user)
            if accepted:
                lmtp.putcmd("data")
                lmtp.getreply()
                message = re.sub(rb"(?m)^\.", b"..", message)
                if not message.endswith(b"\r\n"):
                    message += b"\r\n"
                lmtp.send(message + b".\r\n")
                # an answer a recipient: what smtplib does not know
                for user in accepted:
                    answers[user] = lmtp.getreply()
        if check:
            for user, (code, text) in answers.items():
                if code != 250:
                    raise DeliveryError("%s: %d %s" % (
                        user, code, text.decode(errors="replace")))
        return answers

    def append(self, user, mailbox, message, flags=(), date=None):
        """Saves a message into a mailbox, made if needed."""
        connection = self.imap(user)
        try:
            if mailbox != "INBOX":
                connection.create(imap_quote(mailbox))
            status, answer = connection.append(
                imap_quote(mailbox), "(%s)" % " ".join(flags),
                date and '"%s"' % date, message)
            if status != "OK":
                raise AssertionError("APPEND: %r" % answer)
            # commands that are read with the APPEND are answered before what a
            # standing order does with the message: this waits for input
            with Idle(connection):
                pass
        finally:
            connection.logout()

    def set_flags(self, user, mailbox, flags, messages="1:*"):
        connection = self.imap(user)
        try:
            connection.select(imap_quote(mailbox))
            connection.store(messages, "+FLAGS", "(%s)" % " ".join(flags))
        finally:
            connection.logout()

    def messages(self, user, mailbox="INBOX"):
        """The messages of a mailbox as octets, looked at without \\Seen."""
        connection = self.imap(user)
        try:
            status, answer = connection.select(imap_quote(mailbox),
                                               readonly=True)
            if status != "OK":
                raise AssertionError("EXAMINE %s: %r" % (mailbox, answer))
            if int(answer[0]) == 0:
                return []
            answer = connection.fetch("1:*", "(BODY.PEEK[])")[1]
            return [part[1] for part in answer if isinstance(part, tuple)]
        finally:
            connection.logout()

    def count(self, user, mailbox="INBOX"):
        return len(self.messages(user, mailbox))
