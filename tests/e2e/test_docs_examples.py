"""The examples of the documents and manual pages do what they are there for."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

import pytest

from conftest import EX_USAGE, parse_tab
from examples import blocks, commands, in_text, table
from mailnode import DOVECOT_24, SRCDIR, MailNode, build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import RecallNode, Service

DOCUMENTS = ["README.md", *sorted(
    "docs/" + path.name for path in (SRCDIR / "docs").glob("*.md")),
    "man/doveadm-recall.1", "man/mail-recalld.8"]
GUIDE = "docs/operators-guide.md"
USERS = ["%s@example.com" % name for name in (
    "ann", "bob", "cid", "a", "b", "user", "owner", "other")]
SOC, TENANT = "soc@example.com", "example"
ID = "0123456789abcdef0123456789abcdef"
# what stands for something of the reader's
PLACES = {"RECALL-ID": ID, "ID": ID, "USER": USERS[0], "FILE": "/dev/null/x",
          "MESSAGE-ID": "<id@example.com>"}
# a count that was right on another machine
OTHER_COUNT = "messages would be deleted, not"


def make_node():
    users = {user: {"tenant_id": TENANT} for user in USERS}
    users[SOC] = {"role": "1", "tenant_id": TENANT}
    return RecallNode(users=users, acl=True,
                      plugin={"recall_quarantine": PREFIX},
                      extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]))


@pytest.fixture(scope="module")
def node():
    with make_node() as node:
        yield node
        assert node.panics() == []


def examples(program):
    """(document, command) of all blocks but those of the guide, which go on from
    each other."""
    return [(path, command) for path in DOCUMENTS if path != GUIDE
            for block in blocks(path) for command, lines in commands(block)
            if command.startswith(program + " ")]


def run(node, command):
    words = [PLACES.get(word, word) for word in shlex.split(command)][1:]
    done = node.doveadm(*words, check=False)
    if words[:2] == ["recall", "stop"]:
        node.doveadm("recall", "stop", "--release")
    return done


def is_refused(done):
    return re.search(r"unrecognized option|invalid option|[Uu]nknown command|"
                     r"usage:|Invalid parameter",
                     done.stderr + done.stdout) is not None


def test_what_is_found(node):
    """A document is read to its end, and what is wrong is seen."""
    assert len(examples("doveadm")) > 10 and len(examples("curl")) > 10
    assert len([command for block in blocks(GUIDE)
                for command, lines in commands(block)]) > 12
    assert sum(len(in_text(path)) for path in DOCUMENTS) > 20
    for wrong in ("recall expunge --froce -u a@example.com '<x@y>'",
                  "recall exspunge -u a@example.com '<x@y>'",
                  "recall purge -A --reason x"):
        assert is_refused(run(node, "doveadm " + wrong)), wrong


@pytest.mark.parametrize("path, command", examples("doveadm"),
                         ids=lambda text: text[:60])
def test_doveadm(node, path, command):
    if "'*/" in command and not DOVECOT_24:
        pytest.skip("for Dovecot 2.4")
    done = run(node, command)
    assert not is_refused(done), done
    assert done.returncode != EX_USAGE or OTHER_COUNT in done.stderr, done


@pytest.mark.parametrize("path", DOCUMENTS)
def test_doveadm_within_the_text(node, path):
    """These may lack users; what they have there is."""
    for command in in_text(path):
        if "..." in command or " -o " in command or "`" in command:
            continue
        assert not is_refused(run(node, command)), command


def curl(command, directory, **environment):
    """(HTTP status, body)."""
    done = subprocess.run(
        ["bash", "-c", "curl() { command curl -sS -w '\\n%%{http_code}' "
         "--max-time 60 \"$@\"; }\n%s" % command], capture_output=True,
        text=True, cwd=directory, env={"PATH": "/usr/bin:/bin", **environment})
    assert done.returncode == 0, done
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), body


# what must not be so at another time: a number of copies, no such recall to
# approve
OTHERWISE = {"yes_count": 409, "/approvals/$ID": 404}


@pytest.mark.parametrize("path, command", examples("curl"),
                         ids=lambda text: text[-60:])
def test_curl(node, service, tmp_path, path, command):
    token = service.token(login=SOC, role=3, tenant=TENANT)
    if "/doveadm/v1" in command:
        command = command.replace("http://node:2222/doveadm/v1", node.http_url)
        command = command.replace("PASSWORD", node.doveadm_password)
        (name, rows, tag), = json.loads(curl(command, tmp_path)[1])
        assert name == "doveadmResponse" and len(rows) == 2, rows
        return
    node.lmtp_deliver(USERS[:1], build_message("<1@example.com>"))
    made = service.recall(token, "<1@example.com>", USERS[:1]).json()["id"]
    due = [status for text, status in OTHERWISE.items() if text in command]
    command = re.sub(r"https?://(mail\.example\.com|127\.0\.0\.1:8025)/",
                     service.url + "/", command)
    command = command.replace("ACCESS-TOKEN", token).replace(
        "/v2/actions/...", "/v2/actions/$ID")
    status, body = curl(command, tmp_path, TOKEN=token, ID=made)
    assert status in (due or [200, 202]), (status, body)
    if not due and "/export" not in command:
        assert "message" not in json.loads(body), body


def test_http_api_of_the_manual_page(node):
    asked = 0
    for block in blocks("man/doveadm-recall.1"):
        while block.startswith("[["):
            request, end = json.JSONDecoder().raw_decode(block)
            block = block[end:].lstrip()
            for number, command in enumerate(request):
                command[2] = str(number)
            for answer in node.doveadm_http(request):
                assert answer[0] == "doveadmResponse", (request, answer)
                asked += 1
    assert asked == 7


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md",
                                  "docs/testing.md", "docs/performance.md"])
def test_programs_of_the_tree(path):
    """They are there, and have the options that are named."""
    text = re.sub(r"\\\n\s*", " ", (SRCDIR / path).read_text())
    found = re.findall(r"\b(tests/(?:support|bench)/[\w-]+\.py)([^\n`|;#]*)", text)
    assert found
    for program, rest in found:
        options = re.findall(r"(?<![\w-])--[\w-]+", rest)
        if not options:
            assert (SRCDIR / program).exists(), program
            continue
        words = rest.split()
        done = subprocess.run(
            [sys.executable, SRCDIR / program, *[
                word for word in words[:1] if word in ("start", "stop")],
             "--help"], capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(SRCDIR / "tests/e2e")})
        assert done.returncode == 0, done
        assert [option for option in options if option not in done.stdout] == []


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_node_to_play_with(path):
    block, = [block for block in blocks(path) if "mailnode.py start" in block]
    place = tempfile.mkdtemp(prefix="recall-")
    try:
        for line in block.splitlines():
            done = subprocess.run(
                [sys.executable, *shlex.split(line.replace("/tmp/node", place))],
                cwd=SRCDIR, capture_output=True, text=True)
            assert done.returncode == 0, done
        assert not os.path.exists(place)
    finally:
        if os.path.exists(place):
            MailNode.load(place).stop(remove=True)


# The operator's guide: one story, whose answers are compared.

BAIT = "Your mailbox is full"
WRONG = "<report.7@example.com>"


def prepare(node):
    """What was there before the guide begins."""
    ann, bob, cid = USERS[:3]
    node.lmtp_deliver([ann, bob], build_message(WRONG))
    node.set_flags(bob, "INBOX", ["\\Seen"])
    node.append(cid, "INBOX", build_message("<other@example.com>"))
    node.doveadm("mailbox", "create", "-u", ann, "Projects")


def begin_campaign(node):
    ann, bob, cid = USERS[:3]
    for user in ann, bob, cid:
        node.lmtp_deliver([user], build_message(
            "<%s.bait>" % user, sender="it@evil.example", subject=BAIT))
    node.append(bob, "Archive", build_message(
        "<again.bait>", sender="it@evil.example", subject=BAIT),
        flags=["\\Seen"])


def same(shown, row, ids):
    """Whether the row is the one of the document, but for ids and times."""
    for title, value in shown.items():
        if title == "date":
            continue
        if title == "recall-id":
            value = ids.setdefault(value, row[title])
        if row[title] != value:
            return False
    return True


def check_table(lines, stdout, ids):
    # users who have nothing are not in the way of the reader
    rows = [row for row in parse_tab(stdout)
            if row.get("status") != "not_found"]
    shown = table(lines)
    assert shown
    for one in shown:
        assert any(same(one, row, ids) for row in rows), (one, rows)
    if "..." not in "".join(lines):
        assert len(rows) == len(shown), (rows, shown)


def check_json(shown, answer):
    """What the document shows is in the answer."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            if name == "id" or "..." in str(value):
                assert answer[name]
            else:
                check_json(value, answer[name])
    elif isinstance(shown, list):
        assert len(shown) == len(answer)
        for one, other in zip(shown, answer):
            check_json(one, other)
    elif isinstance(shown, str):
        assert answer.startswith(shown)
    else:
        assert shown == answer


def guide_curl(service, command, lines, directory):
    token = service.token(login=SOC, role=1, tenant=TENANT)
    command = command.replace("https://mail.example.com", service.url)
    command = command.replace("password=...", "password=secret")
    command = command.replace("eyJ...", token)
    status, body = curl(command, directory)
    assert status == 200, body
    check_json(json.loads("\n".join(lines)), json.loads(body))


def test_operators_guide(tmp_path):
    with make_node() as node, Service(node) as service:
        prepare(node)
        tell(node, service, tmp_path)


def tell(node, service, tmp_path):
    ids = {}
    for command, lines in [example for block in blocks(GUIDE)
                           for example in commands(block)]:
        if command.startswith("curl "):
            guide_curl(service, command, lines, tmp_path)
            continue
        if "recall search" in command:
            begin_campaign(node)
        for shown, real in ids.items():
            command = command.replace(shown, real)
        words = shlex.split(command)[1:]
        if "-f" not in words:
            words = ["-f", "json" if "fetch" in words else "tab", *words]
        if "expunge" in words and not lines and "--no-notify" not in words:
            # the same once more, by another way: UIDs go on as if it were not
            words.insert(words.index("expunge") + 1, "--no-notify")
        done = node.doveadm(*words, check=False)
        assert done.returncode == 0, (command, done)
        said = [line for line in lines if line.startswith("doveadm: Info")]
        for line in said:
            assert line.split(": ", 2)[2] in done.stderr
        lines = [line for line in lines if line not in said and line.strip()]
        if "fetch" in words:
            row, = json.loads(done.stdout)
            assert row["hdr.subject"] == BAIT and row["body"]
        elif lines and " ... " not in lines[0]:
            check_table(lines, done.stdout, ids)
