#!/usr/bin/python3
"""A private mail-recalld in a directory of its own, for tests and demos.

    with MailNode(users=...) as node, Service(node) as service:
        token = service.token("admin@example.com", role=3)
        answer = service.recall(token, "<id@example.com>", ["a@example.com"])

As a command: servicenode.py --dir DIR writes settings for a node that runs there
(mailnode.py start --dir DIR) to DIR/mail-recall.conf.

The service is asked as curl does, and by the real one for all but plain
requests. Environment: RECALL_BUILDDIR (see mailnode.py), MAIL_RECALLD (the
program to run), RECALL_SERVICE_WRAPPER (a command that runs it, e.g.
sandbox.py).
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import secrets
import shlex
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from urllib.parse import quote_plus

import mailnode

JWT_KEY = "a-key-for-tests-that-has-more-than-32-octets"
# a claim of a token that is left out
LEFT_OUT = object()


def program():
    return os.environ.get("MAIL_RECALLD") or \
        str(mailnode.builddir() / "service" / "mail-recalld")


def is_sanitized():
    """Whether it was built with a sanitizer."""
    octets = pathlib.Path(program()).read_bytes()
    return b"__asan_init" in octets or b"__tsan_init" in octets


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims, key=JWT_KEY, header=None, sign=None):
    """A JSON Web Token; sign(octets) -> octets instead of HS256."""
    text = "%s.%s" % (
        b64url(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode()),
        b64url(json.dumps(claims).encode()))
    if sign is None:
        signature = hmac.new(key.encode(), text.encode(),
                             hashlib.sha256).digest()
    else:
        signature = sign(text.encode())
    return text + "." + b64url(signature)


# Dovecot answers to a wrong password after seconds, else
NO_DELAYS = """
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""


class RecallNode(mailnode.MailNode):
    """A MailNode with all that a recall needs."""

    def __init__(self, directory=None, **kwargs):
        kwargs.setdefault("mail_plugins", ["notify", "recall"])
        kwargs.setdefault("driver", "sdbox")
        super().__init__(directory, **kwargs)


class ProxyNode(RecallNode):
    """Has the users, but not their mail."""

    def _write_users(self):
        super()._write_users()
        path = self.dir / "users"
        path.write_text("".join(
            line + " proxy=y host=127.0.0.1\n"
            for line in path.read_text().splitlines()))


class Answer:
    """What curl got: status, headers (names in lower case), octets, and what
    Set-Cookie says of each cookie."""

    def __init__(self, status, headers, body, cookies):
        self.status = status
        self.headers = headers
        self.body = body
        self.cookies = cookies

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %r>" % (self.status, self.body[:2000])


def plain_request(args, input):
    """What curl would send for arguments that everybody uses: (method, URL,
    headers, body). None: only curl knows."""
    method, url, headers, data = None, None, {}, []
    args = [str(arg) for arg in args]
    while args:
        option = args.pop(0)
        if re.fullmatch(r"http://[\w.:]+(/[\w%+=&?,:@-][\w%+=&?,:@.~-]*)*",
                        option) and url is None:
            url = option
            continue
        if option not in ("-H", "-X", "-d", "--data-urlencode"):
            return None
        value = args.pop(0)
        header = re.fullmatch(r"([\w-]+): ([ -~]*[!-~])", value)
        name, mark, text = re.fullmatch(r"(\w*)([=@]?)(.*)", value,
                                        re.S).groups()
        if option == "-X":
            method = value
        elif option == "-H":
            if not header or header[1].lower() in (
                    "host", "content-length", "transfer-encoding", "expect",
                    "user-agent", "accept", "connection", *headers):
                return None
            headers[header[1].lower()] = header[2]
        elif option == "-d" and not value.startswith("@"):
            data.append(value.encode())
        elif option == "-d" and value == "@-":
            data.append(re.sub(rb"[\r\n\0]", b"", input or b""))
        elif option == "--data-urlencode" and name and mark == "=":
            data.append(("%s=%s" % (name, quote_plus(text))).encode())
        elif option == "--data-urlencode" and name and mark + text == "@-":
            data.append(("%s=%s" % (name, quote_plus(input or b""))).encode())
        else:
            return None
    body = b"&".join(data) if data else None
    if url is None or len(body or b"") > 100000:
        return None
    return method or ("GET" if body is None else "POST"), url, headers, body


def ask_plainly(method, url, headers, body):
    """The request without a curl, which would take ten times as long to start as
    it does to ask."""
    _, _, address, path = (url if url.count("/") > 2 else url + "/").split(
        "/", 3)
    connection = http.client.HTTPConnection(address, timeout=mailnode.PATIENCE)
    try:
        connection.putrequest(method, "/" + path, skip_accept_encoding=True)
        for name, value in {"user-agent": "curl", "accept": "*/*",
                            **headers}.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", len(body))
            if "content-type" not in headers:
                connection.putheader("content-type",
                                     "application/x-www-form-urlencoded")
        connection.endheaders(body)
        answer = connection.getresponse()
        octets = answer.read()
    finally:
        connection.close()
    found, cookies = {}, {}
    for name, value in answer.getheaders():
        found[name.lower()] = value.strip()
        if name.lower() == "set-cookie":
            cookies[value.strip().partition("=")[0]] = value.strip()
    return Answer(answer.status, found, octets, cookies)


def curl(*args, input=None, check=True):
    """What curl gets with these arguments, see real_curl(); without one if it is
    a request like all others."""
    request = plain_request(args, input)
    if request is None:
        return real_curl(*args, input=input, check=check)
    try:
        return ask_plainly(*request)
    except (OSError, http.client.HTTPException) as error:
        if check:
            raise AssertionError("%s %s: %r" % (*request[:2], error))
        return None


def real_curl(*args, input=None, check=True):
    """Runs curl; the answer's last header block counts."""
    done = subprocess.run(["curl", "-sS", "-i", "--max-time",
                           str(mailnode.PATIENCE)] + [str(a) for a in args],
                          input=input, capture_output=True)
    if done.returncode != 0:
        if check:
            raise AssertionError("curl: exit %d: %s" % (
                done.returncode, done.stderr.decode(errors="replace")))
        return None
    head, body = b"", done.stdout
    while body.startswith(b"HTTP/"):
        head, mark, body = body.partition(b"\r\n\r\n")
        if b" 100 " not in head.split(b"\r\n")[0]:
            break
    lines = head.decode("latin-1").split("\r\n")
    headers, cookies = {}, {}
    for line in lines[1:]:
        name, mark, value = line.partition(":")
        headers[name.lower()] = value.strip()
        if name.lower() == "set-cookie":
            cookies[value.strip().partition("=")[0]] = value.strip()
    return Answer(int(lines[0].split()[1]), headers, body, cookies)


class Service:
    """
    node        the MailNode that it forwards to, or None
    settings    "section.name" -> value, over the ones for tests
    environment variables for the process
    """

    def __init__(self, node=None, directory=None, environment=None,
                 text="", wrapper=(), **settings):
        self.own_directory = directory is None
        self.dir = pathlib.Path(directory or
                                tempfile.mkdtemp(prefix="recalld-"))
        self.environment = dict(environment or {})
        self.text = text
        self.wrapper = list(wrapper)
        self.process = None
        self.port = None
        self.settings = {
            "http.port": 0,
            "auth.jwt_key": JWT_KEY,
            "journal.path": self.dir / "journal.db",
            "audit.cef_file": self.dir / "audit.log",
            # tests are refused more often in a second than people are
            "audit.refused_per_second": 100000,
            "log.path": self.dir / "service.log",
            "log.level": "debug",
            "doveadm.login": "doveadm:secret",
            # threads that nothing needs cost time under a sanitizer
            "http.workers": 8,
            "auth.logins": 8,
            "console.dir": mailnode.SRCDIR / "service/console",
            "http.health_port": 0,
        }
        if node is not None:
            self.settings.update({
                "doveadm.url": node.http_url,
                "doveadm.login": "doveadm:" + node.doveadm_password,
                "auth.imap_url": "imap://127.0.0.1:%d" % node.imap_port,
            })
        self.set(**settings)

    def set(self, **settings):
        """Names with "__" for ".": doveadm__timeout=5. None removes one."""
        for name, value in settings.items():
            name = name.replace("__", ".")
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value

    @property
    def conf(self):
        return self.dir / "mail-recall.conf"

    def write_configuration(self):
        sections = {}
        for name, value in self.settings.items():
            section, mark, key = name.partition(".")
            sections.setdefault(section, []).append("%s = %s" % (key, value))
        self.conf.touch(mode=0o600)
        self.conf.write_text("".join(
            "[%s]\n%s\n\n" % (section, "\n".join(lines))
            for section, lines in sections.items()) + self.text)

    def command(self, *args):
        return [*self.wrapper,
                *shlex.split(os.environ.get("RECALL_SERVICE_WRAPPER", "")),
                program(), "-c", str(self.conf), *args]

    def check_config(self):
        self.write_configuration()
        return subprocess.run(self.command("--check-config"), text=True,
                              capture_output=True,
                              env={**os.environ, **self.environment})

    def launch(self):
        self.write_configuration()
        return subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL,
                                stderr=open(self.dir / "stderr", "ab"),
                                env={**os.environ, **self.environment})

    def start(self):
        since = len(self.log())
        self.process = self.launch()
        self.port = int(self.wait_log(r"listening on \S+ port (\d+)",
                                      since).group(1))
        return self

    def wait_log(self, pattern, since=0):
        deadline = time.monotonic() + mailnode.PATIENCE
        while True:
            match = re.search(pattern, self.log()[since:])
            if match:
                return match
            if self.process.poll() is not None:
                raise RuntimeError("mail-recalld ended with %d:\n%s%s" % (
                    self.process.returncode, self.log()[since:],
                    (self.dir / "stderr").read_text()))
            if time.monotonic() > deadline:
                raise TimeoutError("no %r in the log:\n%s" %
                                   (pattern, self.log()[since:]))
            time.sleep(0.02)

    def log(self):
        try:
            return (self.dir / "service.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def audit(self):
        try:
            return (self.dir / "audit.log").read_text().splitlines()
        except FileNotFoundError:
            return []

    def reload(self):
        """Takes over changed settings; returns what the log says."""
        since = len(self.log())
        self.write_configuration()
        self.process.send_signal(signal.SIGHUP)
        return self.wait_log(r"settings (reloaded|stay as they are)",
                             since).group(1)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def untold(self):
        """How many recalls the audit trail may lack the end of."""
        with contextlib.closing(sqlite3.connect(
                self.dir / "journal.db")) as db:
            return db.execute("SELECT count(*) FROM recalls WHERE untold = 1"
                              ).fetchone()[0]

    def damage(self, recall_id):
        """A recall of the journal that can't be read, as on a bad page."""
        with contextlib.closing(sqlite3.connect(
                self.dir / "journal.db", isolation_level=None)) as db:
            columns = [name for _, name, *_ in
                       db.execute("PRAGMA table_info(verdicts)")]
            columns[columns.index("email")] = (
                "CASE recall WHEN '%s' THEN json('{') ELSE email END AS email"
                % recall_id)
            db.execute("ALTER TABLE verdicts RENAME TO damaged")
            db.execute("CREATE VIEW verdicts AS SELECT %s FROM damaged" %
                       ", ".join(columns))

    def stop(self):
        """Stops it gracefully; returns the exit status."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            status = self.process.wait(mailnode.PATIENCE)
        finally:
            if self.process.poll() is None:
                self.kill()
        self.process = None
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *unused):
        try:
            status = self.stop()
            if kind is None and status not in (0, None):
                raise AssertionError("mail-recalld ended with %s:\n%s%s" % (
                    status, self.log(), (self.dir / "stderr").read_text()))
        finally:
            if self.own_directory:
                shutil.rmtree(self.dir, ignore_errors=True)

    # requests

    @property
    def url(self):
        scheme = "https" if "http.tls_cert_file" in self.settings else "http"
        return "%s://127.0.0.1:%d" % (scheme, self.port)

    def curl(self, path, *args, token=None, **kwargs):
        if token is not None:
            args = ("-H", "Authorization: Bearer " + token) + args
        return curl(*args, self.url + path, **kwargs)

    def token(self, login="root@example.com", role=3, tenant="", key=JWT_KEY,
              header=None, sign=None, **claims):
        """A token as an issuer with the key makes it."""
        now = int(time.time())
        body = {"sub": login, "role": role, "tenant-id": tenant, "iat": now,
                "exp": now + 600}
        body.update(claims)
        body = {name: value for name, value in body.items()
                if value is not LEFT_OUT}
        return jwt(body, key, header, sign)

    def recall(self, token, messageid=None, emails=None, *args, **params):
        """POST /v2/actions/expunge, form-encoded by curl."""
        data = []
        if messageid is not None:
            data += ["--data-urlencode", "messageid=" + messageid]
        if emails is not None:
            if not isinstance(emails, str):
                emails = json.dumps(emails)
            data += ["--data-urlencode", "emails@-"]
        for name, value in params.items():
            data += ["--data-urlencode", "%s=%s" % (name, value)]
        if not data:
            data = ["-d", ""]
        return self.curl("/v2/actions/expunge", *data, *args, token=token,
                         input=None if emails is None else emails.encode())

    def wait_recall(self, token, recall_id):
        """Asks for the recall until it is finished."""
        deadline = time.monotonic() + mailnode.PATIENCE
        while True:
            answer = self.curl("/v2/actions/" + recall_id, token=token).json()
            if answer.get("state") == "finished":
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError("recall %s: %r" % (recall_id, answer))
            time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(
        description="Writes mail-recalld's settings for a node.")
    parser.add_argument("--dir", required=True)
    args = parser.parse_args()
    Service(mailnode.MailNode.load(args.dir), args.dir, log__level="info",
            http__health_port=mailnode.free_port(),
            auth__jwt_key=secrets.token_hex(32)).write_configuration()


if __name__ == "__main__":
    main()
