"""doveadm recall for users whose mail is on other nodes, some of which fail."""

import contextlib
import pathlib
import re
import signal
import subprocess

import pytest

from answers import has
from conftest import (COLUMNS, DRIVERS, EX_TEMPFAIL, EX_USAGE, Result,
                      parse_tab, run_http, run_shell)
from faults import wait_for
from mailnode import (DOVECOT_24, MailNode, PATIENCE, build_message,
                      free_port)
from proxynodes import FakeNode, Front, mixed, users_of, verdict_row
from quarantine import command, http

NODES = ["one", "two", "dead", "fake", "tls", "starttls", "distrusted"]
HERE = ["here%d@example.com" % number for number in range(30)]
BROKEN = "broken.one@example.com"
# other names of user7.one@... that only the front knows
ALIASES = ["alias7.one@example.com", "alias7x.one@example.com",
           "alias1.fake@example.com", "alias1x.fake@example.com"]


@pytest.fixture(scope="module")
def fake():
    with FakeNode() as server:
        yield server


@pytest.fixture(scope="module")
def ports(fake):
    ports = {name: free_port() for name in NODES}
    ports["fake"] = fake.port
    ports["starttls"] = ports["one"]
    ports["distrusted"] = ports["tls"]
    return ports


@pytest.fixture(scope="module")
def backs(ports, tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=node.example.com", "-keyout", directory / "key",
         "-out", directory / "cert"], check=True, capture_output=True)
    listen = "service doveadm {\n  inet_listener tcp {\n    port = %d\n  }\n" \
        "  inet_listener tls {\n    port = %d\n    ssl = yes\n  }\n}\n" \
        "ssl = yes\nssl_cert = <%s/cert\nssl_key = <%s/key\n"
    with contextlib.ExitStack() as stack:
        backs = {}
        for name in ("one", "two"):
            users = {user: {} for user in users_of(name)}
            if name == "one":
                users[BROKEN] = {"mail": "maildir:/dev/null/mail"}
                users.update((user, {}) for tls in NODES[-3:]
                             for user in users_of(tls, 2))
            tls = ports["tls"] if name == "one" else free_port()
            backs[name] = stack.enter_context(MailNode(
                driver=DRIVERS[-1], users=users, mail_plugins=["recall"],
                extra=listen % (ports[name], tls, directory, directory)))
        yield backs
        for back in backs.values():
            assert back.panics() == []


@pytest.fixture(scope="module")
def node(ports, backs):
    users = HERE + [BROKEN]
    for name in NODES:
        users += users_of(name)
    users += ALIASES
    with Front(ports, driver=DRIVERS[-1], users=users,
               mail_plugins=["recall"],
               extra="doveadm_port = 1\nssl_client_ca_file = "
               "/etc/ssl/certs/ca-certificates.crt\n") as node:
        yield node
        assert node.panics() == []


@pytest.fixture(params=["shell", "http"])
def ask(request, node):
    """The recall's rows; the exit code as the shell should have it is checked
    there."""
    def shell(users, *flags, code=0):
        args = ["--users=" + user for user in users]
        result = run_shell(node, *args, *flags)
        assert result.code == code, result
        return result

    def http_(users, *flags, code=0):
        params = {"users": users}
        for flag in flags:
            name, _, value = flag.lstrip("-").partition("=")
            if not flag.startswith("-"):
                params["messageId"] = flag
            else:
                first, *more = name.split("-")
                params[first + "".join(map(str.title, more))] = value or True
        return run_http(node, **params)

    return shell if request.param == "shell" else http_


@pytest.mark.log_errors("remote|/dev/null/mail")
def test_errors_of_one_user(node, backs, ask, message_id):
    """Over HTTP doveadm drops the rows of a command that has failed."""
    good = users_of("one")[:2]
    backs["one"].lmtp_deliver(good, build_message(message_id))
    result = ask([good[0], BROKEN, good[1]], message_id, code=EX_TEMPFAIL)
    assert result.statuses() == {good[0]: "expunged", BROKEN: "error",
                                 good[1]: "expunged"}
    assert len(result.rows) == 3
    assert result.row(BROKEN)["error"].startswith("Listing mailboxes failed")


def test_aliases(node, backs, ask, message_id):
    """What the passdb that proxies calls by another name is one user over
    there: each name is answered for, and it's done once."""
    asked = ["alias7.one@example.com", "user8.one@example.com",
             "user7.one@example.com", "alias7x.one@example.com"]
    backs["one"].lmtp_deliver(asked[1:3], build_message(message_id))
    before = backs["one"].count("user7.one@example.com")
    result = ask(asked, message_id)
    assert sorted((row["username"], row["mailbox-user"], row["status"],
                   row["copies"], row["notice"]) for row in result.rows) == \
        sorted((name, name if "8" in name else "user7.one@example.com",
                "expunged", "1", "sent") for name in asked)
    # the message has gone, a notice has come
    assert backs["one"].count("user7.one@example.com") == before


def test_aliases_on_a_node_that_fails(node, fake, ask, message_id):
    fake.script(b"")
    asked = ["alias1.fake@example.com", "alias1x.fake@example.com"]
    result = ask(asked, message_id, code=EX_TEMPFAIL)
    assert result.statuses() == dict.fromkeys(asked, "error")
    assert len(fake.commands) == 1


def test_listed_aliases(node, backs, message_id):
    """Listed, a user is asked for once."""
    backs["one"].lmtp_deliver("user7.one@example.com",
                              build_message(message_id))
    result = run_shell(node, "-u", "alias7*", message_id)
    row, = result.rows
    assert (row["mailbox-user"], row["status"]) == \
        ("user7.one@example.com", "expunged")


def test_many_on_several_nodes(node, backs, ask, message_id):
    """More than can wait at a time, and rows that come when others have been
    begun."""
    asked = mixed(HERE, users_of("one"), users_of("two"), users_of("dead"))
    node.lmtp_deliver(HERE[:5], build_message(message_id))
    for name in ("one", "two"):
        backs[name].lmtp_deliver(users_of(name)[:5],
                                 build_message(message_id))
    result = ask(asked, message_id, "--no-notify", code=EX_TEMPFAIL)
    assert sorted(row["username"] for row in result.rows) == sorted(asked)
    for users in (HERE, users_of("one"), users_of("two")):
        assert [result.status(user) for user in users] == \
            ["expunged"] * 5 + ["not_found"] * 25
    for user in users_of("dead"):
        assert result.status(user) == "error"
        assert "Connection refused" in result.row(user)["error"]
    assert len({row["recall-id"] for row in result.rows}) == 1


def test_jobs_are_for_users_of_this_node(node, backs, fake, message_id):
    """With them users of other nodes are asked for as without: once each."""
    fake.script(ROW + b"\n+\n")
    asked = mixed(HERE, users_of("one"), users_of("two"))
    asked.insert(40, "user0.fake@example.com")
    node.lmtp_deliver(HERE[:5], build_message(message_id))
    for name in ("one", "two"):
        backs[name].lmtp_deliver(users_of(name)[:5],
                                 build_message(message_id))
    args = ["--users=" + user for user in asked]
    dry = [sorted((row["username"], row["status"], row["copies"])
                  for row in run_shell(node, "--dry-run", "--jobs=%d" % jobs,
                                       *args, message_id).rows)
           for jobs in (1, 3)]
    assert dry[0] == dry[1]
    fake.commands.clear()
    done = run_shell(node, "--no-notify", "--jobs=3", *args, message_id)
    assert done.code == 0
    for users in (HERE, users_of("one"), users_of("two")):
        assert [done.status(user) for user in users] == \
            ["expunged"] * 5 + ["not_found"] * 25
    assert done.status("user0.fake@example.com") == "expunged"
    assert len(fake.commands) == 1
    # those of this node come in the order asked for
    assert [row["username"] for row in done.rows
            if row["username"] in HERE] == HERE


@pytest.mark.parametrize("name", ["tls", "starttls"])
def test_tls(node, backs, ask, message_id, name):
    users = users_of(name, 2)
    backs["one"].lmtp_deliver(users, build_message(message_id))
    result = ask(users, message_id)
    assert result.statuses() == dict.fromkeys(users, "expunged")


@pytest.mark.log_errors("certificate")
def test_tls_certificate_of_somebody_else(node, backs, ask, message_id):
    user, = users_of("distrusted", 1)
    backs["one"].lmtp_deliver([user], build_message(message_id))
    result = ask([user], message_id, code=EX_TEMPFAIL)
    assert result.status() == "error"
    assert "certificate" in result.row()["error"]
    assert message_id.encode() in backs["one"].messages(user)[-1]


@pytest.mark.log_errors("certificate")
def test_connections_are_not_shared_by_tls(node, backs, ask, message_id):
    """One is content with any certificate, another one's mail is on the same
    node."""
    trusting, wary = (users_of(name, 2)[1] for name in ("tls", "distrusted"))
    backs["one"].lmtp_deliver([trusting, wary], build_message(message_id))
    result = ask([trusting, wary], message_id, code=EX_TEMPFAIL)
    assert result.statuses() == {trusting: "expunged", wary: "error"}
    assert "certificate" in result.row(wary)["error"]


ROW = b"user0.fake@example.com\texpunged\t1\tnone\tINBOX\tguid\tid" + \
    b"\t" * (len(COLUMNS) - 6)

ANSWERS = {
    # answer, status and error of the row
    "nothing": (b"", "error", "Connection closed"),
    "half a field": (b"user0.fake@example.com\texpun", "error",
                     "Connection closed"),
    "an escape": (b"user0.fake@example.com\texpunged\001", "error",
                  "Connection closed"),
    "half a row": (b"user0.fake@example.com\texpunged\t1\t", "error",
                   "Connection closed"),
    "a row": (ROW, "expunged", ""),
    "no result": (ROW + b"\n", "expunged", ""),
    "an end": (ROW + b"\n+\n", "expunged", ""),
    "row cut short": (b"user0.fake@example.com\texpunged\t\n+\n", "error",
                      "A row is incomplete"),
    "no row": (b"\n-\n", "error", "failed the command"),
    "a strange result": (ROW + b"\n?\n", "expunged", ""),
    "login refused": (None, "error", "Authentication failed"),
}


@pytest.mark.parametrize("which", ANSWERS)
@pytest.mark.log_errors("fake@example.com")
def test_node_that_fails(node, backs, fake, ask, message_id, which):
    """Its users have a row each all the same, and others theirs."""
    answer, status, error = ANSWERS[which]
    fake.script(answer)
    lost, good = "user0.fake@example.com", users_of("one")[0]
    backs["one"].lmtp_deliver([good], build_message(message_id))
    whole = which == "an end"
    result = ask([lost, good, HERE[0]], message_id, "--no-notify",
                 code=0 if whole else EX_TEMPFAIL)
    assert len(result.rows) == 3
    assert list(result.rows[0]) == COLUMNS
    assert (result.status(good), result.status(HERE[0])) == \
        ("expunged", "not_found")
    assert result.status(lost) == status
    assert error in result.row(lost)["error"]
    assert bool(error) == bool(result.row(lost)["error"])


def test_each_user_is_tried(node, fake, ask, message_id):
    """That a node fails with one user, or several, says nothing of the
    next."""
    fake.script(b"")
    users = users_of("fake", 4)
    result = ask(users, message_id, code=EX_TEMPFAIL)
    assert result.statuses() == dict.fromkeys(users, "error")
    assert [asked for asked in fake.asked_for() if len(asked) == 1] == \
        [[user] for user in users]


def test_count_of_a_node_that_fails(node, fake, message_id):
    """It may have deleted something: that must not be denied."""
    fake.script(b"")
    user, = users_of("fake", 1)
    result = run_shell(node, "-u", user, "--yes-count", "1", "query",
                       "SUBJECT", "phish")
    assert (result.status(), result.code) == ("error", EX_TEMPFAIL)
    assert "nothing was done" not in result.stderr
    assert "--yes-count=1" in fake.commands[0]


@pytest.mark.log_errors("can't be counted together|node failed")
def test_count_is_one_nodes(node, fake, message_id):
    fake.script(b"\n-USAGE\n")
    result = run_shell(node, "--users", users_of("fake")[0], "--users",
                       HERE[0], "--yes-count", "1", "query", "SUBJECT", "phish")
    assert (result.rows, result.code) == ([], EX_USAGE)


@pytest.mark.parametrize("name,args", [
    ("search", ["<a@example.com>"]),
    ("fetch", ["uid", "<a@example.com>"]),
    ("restore", ["0" * 32]),
    ("list", []),
    ("purge", []),
    ("index", []),
])
def test_other_commands(node, fake, name, args):
    fake.script(b"")
    lost = [users_of("fake")[0], users_of("dead")[0]]
    users = [arg for user in lost for arg in ("--users", user)]
    result = command(node, name, *users, *args)
    assert result.code == EX_TEMPFAIL
    assert all("failed" in result.row(user)["error"] for user in lost)


def test_search_that_ends_early(node, fake):
    """What was found is shown, and that it's not all."""
    user, = users_of("fake", 1)
    found = b"\t".join([user.encode()] + [b"x"] * 10 + [b"", b""])
    fake.script(found + found)
    result = http(node, "recallSearch", users=[user],
                  messageId="<a@example.com>")
    assert [row["uid"] for row in result.rows] == ["x", "x", ""]
    assert "Connection closed" in result.rows[2]["error"]


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
@pytest.mark.parametrize("name", ["search", "fetch"])
def test_limit(node, backs, message_id, name, limit):
    """It is that of all nodes together; what is no message does not count."""
    users = [HERE[3], *users_of("one", 2), users_of("two", 1)[0]]
    for user in users:
        back = backs.get(user.split("@")[0].partition(".")[2], node)
        back.lmtp_deliver(user, build_message(message_id))
    dead = users_of("dead", 1)
    args = ["--users=" + user for user in dead + users]
    args += ["hdr.subject uid"] if name == "fetch" else []
    result = command(node, name, "--limit=%d" % limit, *args, message_id)
    found = [row["username"] for row in result.rows if row["uid"]]
    assert len(found) == len(set(found)) == min(limit, len(users))


@pytest.mark.log_errors("fake@example.com: Node")
@pytest.mark.parametrize("size", [10, 16000, 20000, 100000])
def test_long_fields(node, backs, fake, size):
    """Also those that don't fit into a buffer, whole or cut short."""
    user, good = users_of("fake", 1)[0], users_of("one", 1)[0]
    text = "\\t\x01\r\n\N{SNOWMAN}" * (size // 8)
    raw = text.encode()
    for pair in ((b"\x01", b"\x011"), (b"\r", b"\x01r"), (b"\n", b"\x01n")):
        raw = raw.replace(*pair)
    row = user.encode() + b"\t" + raw
    for answer, error in ((row + b"\t\t\n+\n", False), (row, True)):
        fake.script(answer)
        result = http(node, "recallFetch", users=[user, good], fields="text",
                      messageId="<a@example.com>")
        assert [row["username"] for row in result.rows] == [user]
        assert error or (result.row()["text"] == text) is True
        assert bool(result.row()["error"]) == error


def test_killed_while_waiting(node, fake):
    fake.script(b"", hang=True)
    users = users_of("fake", 3)
    process = subprocess.Popen(
        node.doveadm_command("-f", "tab", "recall", "expunge",
                             *("--users=" + user for user in users),
                             "<a@example.com>"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert fake.asked.wait(PATIENCE)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    result = Result(parse_tab(out), process.returncode, err)
    assert result.code == EX_TEMPFAIL
    assert result.statuses() == dict.fromkeys(users, "error")
    assert all("Killed with signal" in row["error"] for row in result.rows)


def timer_of(port):
    """Of the connection to there: 2 if it is asked whether it is alive."""
    rows = [line.split() for line in
            pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[5].split(":")[0]) for row in rows
            if row[2].endswith(":%04X" % port) and row[3] == "01"]


def test_node_that_loses_power(node, fake):
    """Nobody says that its connection is closed."""
    user, = users_of("fake", 1)
    fake.script(b"", hang=True)
    with subprocess.Popen(node.doveadm_command(
            "recall", "expunge", "--users=" + user, "<hang@example.com>"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True) as process:
        try:
            assert fake.asked.wait(PATIENCE)
            wait_for(lambda: timer_of(fake.port) == [2])
        finally:
            process.terminate()
            process.communicate()


def test_settings_of_the_command_line(node, backs, message_id):
    """Another node goes by its own, so it is not asked; by those that say how
    it is reached, and what is logged, it is."""
    good = users_of("one")[:2] + HERE[:1]
    backs["one"].lmtp_deliver(good[:2], build_message(message_id))
    node.lmtp_deliver(good[2:], build_message(message_id))
    args = ["--no-notify", *["--users=" + user for user in good], message_id]
    for option, other in (("hostname=other.example.com", "error"),
                          ("stats_writer_socket_path=", "expunged")):
        done = node.doveadm("-o", option, "-f", "tab", "recall", "expunge",
                            *args, check=False)
        result = Result(parse_tab(done.stdout), done.returncode)
        here = "expunged" if other == "error" else "not_found"
        assert result.statuses() == {good[0]: other, good[1]: other,
                                     good[2]: here}
        assert result.code == (EX_TEMPFAIL if other == "error" else 0)
        if other == "error":
            assert "hostname of -o would not hold on 127.0.0.1" in \
                result.row(good[0])["error"]
            assert has(backs["one"], good[0], message_id)
    # nor does a process of this one, which others' commands are for
    node.lmtp_deliver(good[2:], build_message(message_id))
    done = node.doveadm("-o", "doveadm_worker_count=1", "-o",
                        "hostname=other.example.com", "recall", "expunge",
                        "--no-notify", "--users=" + good[2], message_id)
    assert "expunged" in done.stdout and not has(node, good[2], message_id)


def test_socket_path_is_for_one_request(node):
    """doveadm-server lives on."""
    answer = node.doveadm_http([
        ["recallSearch", {"users": HERE[:1], "messageId": "<a@example.com>",
                          "socketPath": "/nonexistent"}, "1"],
        ["recallSearch", {"users": HERE[:1], "messageId": "<a@example.com>"},
         "2"]])
    assert [entry[:2] for entry in answer] == [["doveadmResponse", []]] * 2


def test_one_name_of_two_hosts(fake, message_id):
    """A user of the same name on each is another one."""
    field = " proxy=y host=localhost hostip=127.0.0.%d port=%d user=same@host"
    users = ["first@example.com", "second@example.com"]
    with FakeNode("127.0.0.2", fake.port) as second, \
            Front({}, {user: field % (number, fake.port)
                       for number, user in enumerate(users, 1)},
                  driver=DRIVERS[-1], users=users, mail_plugins=["recall"],
                  extra="doveadm_port = 1\n") as node:
        fake.script(lambda asked: verdict_row(asked[0]) + b"\n+\n")
        second.script(lambda asked: verdict_row(asked[0], "read", "0") +
                      b"\n+\n")
        result = run_shell(node, *["--users=" + user for user in users],
                           "--", message_id)
        assert result.statuses() == {users[0]: "expunged", users[1]: "read"}
        assert node.panics() == []


OTHER_USERDB = """userdb %s{
  driver = passwd-file
  %s = %s
}
"""


def add_userdb(node, *users):
    """Users of a node that has not begun, whom no passdb knows."""
    path = node.dir / "others"
    path.write_text("".join("%s:::::%s::\n" % (user, node.home(user))
                            for user in users))
    path.chmod(0o644)
    node.extra += OTHER_USERDB % (
        ("others ", "passwd_file_path", path) if DOVECOT_24 else
        ("", "args", "username_format=%u " + str(path)))


UNKNOWN = ["unknown%d@example.com" % number for number in range(2)]


def test_users_whom_the_passdb_does_not_know(fake, message_id):
    """Such as may not log in. That their mail is not here does not say that
    there is none."""
    proxied = users_of("fake", 2)
    node = Front({"fake": fake.port}, driver=DRIVERS[-1],
                 users=HERE[:2] + proxied, mail_plugins=["recall"],
                 extra="doveadm_port = 1\n")
    add_userdb(node, *UNKNOWN)
    fake.script(lambda users: b"".join(
        verdict_row(user, "not_found", "0") for user in users) + b"\n+\n",
        serve=True)
    with node:
        # this one's mail is
        node.lmtp_deliver(UNKNOWN[:1], build_message(message_id))
        for args in ["--users=" + user for user in UNKNOWN + HERE[:2] +
                     proxied], ["-A"]:
            result = run_shell(node, *args, "--", message_id)
            assert result.code == EX_TEMPFAIL
            assert result.statuses() == {
                UNKNOWN[0]: "not_found" if args == ["-A"] else "expunged",
                UNKNOWN[1]: "error",
                **dict.fromkeys(HERE[:2] + proxied, "not_found")}, result
        for user, status in (UNKNOWN[1], "error"), (HERE[0], "not_found"):
            result = run_http(node, users=[user], messageId=message_id)
            assert result.status() == status
        assert "passdb" in run_shell(
            node, "--users=" + UNKNOWN[1], message_id).row()["error"]
        assert node.panics() == []


STATIC_USERDB = """userdb static {
  fields {
    uid = %(user)s
    gid = %(group)s
    home = %(homes)s/%%{user}
  }
  static_allow_all_users = yes
}
""" if DOVECOT_24 else """userdb {
  driver = static
  args = uid=%(user)s gid=%(group)s home=%(homes)s/%%u allow_all_users=yes
}
"""


class Unlisted(MailNode):
    """Its userdb can't list users."""

    def _configuration(self):
        own = STATIC_USERDB % {
            "user": self.mail_user, "group": self.mail_group,
            "homes": self.dir / "mail"}
        return re.sub(r"userdb [^}]*}\n", lambda found: own,
                      super()._configuration(), count=1)


@pytest.mark.log_errors("[Uu]ser listing|iterat")
def test_users_whom_nobody_lists(message_id):
    """Then it can't be known whether others are sent to other nodes."""
    with Unlisted(driver=DRIVERS[-1], users=HERE[:1],
                  mail_plugins=["recall"], extra="doveadm_port = 1\n") as node:
        node.lmtp_deliver(UNKNOWN[:1], build_message(message_id))
        users = [*UNKNOWN, HERE[0]]
        for result in (
                run_shell(node, *["--users=" + user for user in users],
                          "--dry-run", "--", message_id),
                run_http(node, users=users, dryRun=True,
                         messageId=message_id)):
            assert result.statuses() == {
                UNKNOWN[0]: "would_expunge", UNKNOWN[1]: "error",
                HERE[0]: "not_found"}, result
        assert node.panics() == []


def test_node_without_a_passdb(message_id):
    """doveadm_port may be set where nobody is sent anywhere."""
    node = MailNode(driver=DRIVERS[-1], users=HERE[:1],
                    mail_plugins=["recall"], extra="doveadm_port = 1\n")
    add_userdb(node, *UNKNOWN)
    with node:
        result = run_shell(node, "-A", "--", message_id)
        assert result.statuses() == dict.fromkeys(UNKNOWN + HERE[:1],
                                                  "not_found")
        assert result.code == 0 and node.panics() == []
