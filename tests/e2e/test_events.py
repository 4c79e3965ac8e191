"""Recalls are seen by Dovecot's own metrics and exporters, as set up by the
examples in conf.d/."""

import time

import pytest

from conftest import run_http, run_shell
from exported import examples, exported, seconds
from mailnode import build_message
from quarantine import command, make_node

USERS = {"a@example.com": {"tenant_id": "t1"},
         "b@example.com": {"tenant_id": "t2"}}
RECALL_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def node():
    with make_node("sdbox", USERS, extra=examples()) as node:
        yield node
        assert node.panics() == []


def metrics(node):
    rows = node.doveadm("-f", "tab", "stats", "dump").stdout.splitlines()
    head = rows[0].split("\t")
    return {row["metric_name"]: int(row["count"])
            for row in (dict(zip(head, line.split("\t")))
                        for line in rows[1:])}


def recall(node, how, user, **parameters):
    if how == "http":
        return run_http(node, users=[user], messageId="<m@example.com>",
                        recallId=RECALL_ID, actor="boss", reason="Ой",
                        **parameters)
    args = ["--%s=%s" % pair for pair in parameters.items()]
    return run_shell(node, "-u", user, "--recall-id", RECALL_ID, "--actor",
                     "boss", "--reason", "Ой", *args, "<m@example.com>")


@pytest.mark.parametrize("how", ["shell", "http"])
def test_recall(node, how):
    node.append("a@example.com", "INBOX", build_message("<m@example.com>"))
    node.append("a@example.com", "Work", build_message("<o@example.com>"))
    node.append("a@example.com", "Work", build_message("<m@example.com>"))
    before = time.time()
    row = recall(node, how, "a@example.com").row()
    assert row["status"] == "expunged"
    events = exported(node, 3)
    assert [event["event"] for event in events] == \
        ["recall_message_expunged"] * 2 + ["recall_finished"]
    common = {"user": "a@example.com", "recall_id": RECALL_ID, "actor": "boss",
              "reason": "Ой", "message_id": "m@example.com"}
    guids = dict(zip(row["mailboxes"].split(","),
                     row["mailbox-guids"].split(",")))
    for event, uid in zip(sorted(events[:2],
                                 key=lambda event: event["fields"]["mailbox"]),
                          (1, 2)):
        fields = event["fields"]
        assert fields.items() >= common.items()
        assert fields["mailbox_guid"] == guids[fields["mailbox"]]
        assert fields["uid"] == uid
    assert events[2]["fields"].items() >= {
        **common, "verdict": "expunged", "copies": 2, "read": "no",
        "forced": "no", "notice": "sent"}.items()
    assert before < seconds(events[2]["fields"]["looked_at"]) < time.time()
    counts = metrics(node)
    assert counts["recall_message_expunged"] == 2
    assert counts["recall_finished"] == 1
    assert counts["recall_finished_expunged"] == 1
    assert counts["recall_refused"] == 0


def test_kept(node):
    node.append("a@example.com", "INBOX", build_message("<m@example.com>"),
                ["\\Seen"])
    assert recall(node, "http", "a@example.com").status() == "read"
    events = exported(node, 1)
    assert [event["event"] for event in events] == ["recall_finished"]
    assert events[0]["fields"].items() >= {
        "verdict": "read", "copies": 1, "read": "yes",
        "forced": "no"}.items()
    assert metrics(node)["recall_message_expunged"] == 0


def test_forced(node):
    """That it had been read is not forgotten when it is gone."""
    for mailbox, flags in ("INBOX", ["\\Seen"]), ("Work", []):
        node.append("a@example.com", mailbox, build_message("<m@example.com>"),
                    flags)
    # after which nothing happens in the mailboxes until they are expunged
    assert recall(node, "http", "a@example.com").status() == "read"
    assert recall(node, "http", "a@example.com",
                  force=True).status() == "expunged"
    assert exported(node, 4)[3]["fields"].items() >= {
        "verdict": "expunged", "copies": 2, "read": "yes",
        "forced": "yes"}.items()


def test_refused(node):
    row = recall(node, "http", "b@example.com", tenant="t1").row()
    assert row["status"] == "forbidden"
    events = exported(node, 1)
    assert [event["event"] for event in events] == ["recall_refused"]
    assert events[0]["fields"].items() >= {
        "user": "b@example.com", "verdict": "forbidden", "tenant": "t1",
        "actor": "boss"}.items()
    assert metrics(node)["recall_refused"] == 1


def test_dry_run_is_no_recall(node):
    node.append("a@example.com", "INBOX", build_message("<m@example.com>"))
    assert run_http(node, users=["a@example.com"], dryRun=True,
                    messageId="<m@example.com>").status() == "would_expunge"
    recall(node, "http", "a@example.com")
    assert [event["fields"].get("verdict", "") for event in exported(node, 2)
            ] == ["", "expunged"]


def test_restored(node):
    node.append("a@example.com", "INBOX", build_message("<m@example.com>"))
    recall(node, "http", "a@example.com")
    command(node, "restore", "-u", "a@example.com", "--actor", "boss2",
            RECALL_ID)
    event = exported(node, 3)[2]
    assert event["event"] == "recall_restored"
    assert event["fields"].items() >= {
        "recall_id": RECALL_ID, "actor": "boss2", "verdict": "restored",
        "copies": 1}.items()


def test_log_line(node):
    """One line of text, whatever the request says."""
    node.append("a@example.com", "INBOX", build_message("<m@example.com>"))
    recall(node, "http", "a@example.com")
    line, = node.wait_log(r"doveadm\(.*Info: recall")
    assert ("Info: recall %s: <m@example.com> expunged, copies=1, forced=no, "
            "notice=sent, actor=boss, reason=Ой" % RECALL_ID) in line
    assert "a@example.com" in line


@pytest.mark.parametrize("how", ["http", "processes"])
def test_log_lines_of_hits(node, how):
    """A sweep that asks for those alone who have the message logs no others: their
    events are there all the same."""
    node.append("a@example.com", "INBOX", build_message("<m@example.com>"))
    if how == "http":
        rows = run_http(node, allUsers=True, hits=True, recallId=RECALL_ID,
                        messageId="<m@example.com>").rows
    else:
        rows = run_shell(node, "-A", "--hits", "--jobs=2", "--recall-id",
                         RECALL_ID, "<m@example.com>").rows
    assert [row["username"] for row in rows] == ["a@example.com"]
    events = exported(node, 2, pattern="recall_finished")
    assert sorted((event["fields"]["user"], event["fields"]["verdict"])
                  for event in events) == [
        ("a@example.com", "expunged"), ("b@example.com", "not_found")]
    node.wait_log("Info: recall %s: <m@example.com> expunged" % RECALL_ID)
    assert run_http(node, users=["b@example.com"], recallId=RECALL_ID,
                    messageId="<m@example.com>").status() == "not_found"
    node.wait_log("Info: recall %s: <m@example.com> not_found" % RECALL_ID)
    node.settle_log()
    line, = node.wait_log("Info: recall %s: .* not_found" % RECALL_ID)
    assert "b@example.com" in line
