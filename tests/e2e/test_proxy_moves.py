"""Users who move to another node behind a proxy while they are asked about: what
counts is the node where the passdb sends once the answer is there."""

import contextlib

import pytest

from answers import ask, root
from conftest import DRIVERS, EX_TEMPFAIL, run_http, run_shell
from faults import wait_for
from mailnode import DOVECOT_24, PATIENCE, build_message, free_port
from proxynodes import FakeNode, Front, users_of, verdict_row
from quarantine import command, http
from servicenode import RecallNode, Service

LISTEN = "service doveadm {\n  inet_listener tcp {\n    port = %d\n  }\n}\n"
COUNT = 12
# the real node has all of those whose mail may get there
USERS = users_of("fake", COUNT)
# of the one who is listed last
ALIAS, OF_ALIAS = "alias9.fake@example.com", USERS[9]
STAYS = users_of("real", 2)
END = b"\n+\n"


@pytest.fixture(scope="module")
def fake():
    with FakeNode() as server:
        yield server


@pytest.fixture(scope="module")
def other():
    with FakeNode() as server:
        yield server


@pytest.fixture(scope="module")
def real():
    port = free_port()
    with RecallNode(driver=DRIVERS[-1], users=USERS + STAYS,
                    extra=LISTEN % port) as node:
        node.doveadm_port = port
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def node(fake, other, real):
    ports = {"fake": fake.port, "other": other.port,
             "real": real.doveadm_port, "dead": free_port()}
    with Front(ports, driver=DRIVERS[-1], users=USERS + STAYS + [ALIAS],
               mail_plugins=["notify", "recall"],
               extra="doveadm_port = 1\n") as node:
        yield node
        assert node.panics() == []


@pytest.fixture(autouse=True)
def all_are_back(node):
    yield
    node.move(*USERS, ALIAS, to="fake")


def named(users):
    return ["--users=" + user for user in users]


def rows_of(users, status="not_found", copies="0"):
    return b"".join(verdict_row(user, status, copies) for user in users) + END


def leaving(node, who, to="real", **verdict):
    """They have left before the node answers about them."""
    def answer(users):
        there = [user for user in users if user in who]
        if there:
            node.move(*there, to=to)
        return b"".join(
            verdict_row(user, verdict.get("status", "not_found"),
                        verdict.get("copies", "0"))
            if verdict.get("rows", True) else b"" for user in users) + END
    return answer


@pytest.mark.parametrize("status", ["not_found", "no_user",
                                    "already_recalled"])
@pytest.mark.parametrize("by", ["shell", "http"])
def test_one_user(node, fake, real, message_id, by, status):
    user = USERS[0]
    real.lmtp_deliver([user], build_message(message_id))
    fake.script(leaving(node, [user], status=status), serve=True)
    if by == "shell":
        result = run_shell(node, *named([user]), "--no-notify", message_id)
        assert result.code == 0
    else:
        result = run_http(node, users=[user], messageId=message_id,
                          noNotify="true")
    assert (result.status(), result.row()["copies"]) == ("expunged", "1")
    assert len(fake.commands) == 1


@pytest.mark.parametrize("flags", [[], ["--hits"]])
def test_some_of_several(node, fake, real, message_id, flags):
    """In batches, and where a node has no row for who has nothing."""
    moving = [USERS[0], USERS[1], USERS[5], USERS[11]]
    real.lmtp_deliver(moving + STAYS[:1], build_message(message_id))
    fake.script(leaving(node, moving, rows=not flags), serve=True)
    result = run_shell(node, *named(USERS + STAYS), "--no-notify", *flags,
                       "--", message_id)
    assert result.code == 0
    found = {user: "expunged" for user in moving + STAYS[:1]}
    missed = {} if flags else {user: "not_found" for user in USERS + STAYS
                               if user not in found}
    assert result.statuses() == {**missed, **found}
    assert len(result.rows) == len(found) + len(missed)
    assert max(map(len, fake.asked_for())) > 1


def test_dry_run_counts_them(node, fake, real, message_id):
    real.lmtp_deliver(USERS[:1], build_message(message_id))
    fake.script(leaving(node, USERS[:1]), serve=True)
    result = run_shell(node, *named(USERS[:1]), "--dry-run", message_id)
    assert (result.status(), result.row()["copies"]) == ("would_expunge", "1")


def test_search_follows(node, fake, real, message_id):
    real.lmtp_deliver(USERS[:3], build_message(message_id))
    fake.script(leaving(node, USERS[:3], rows=False), serve=True)
    result = http(node, "recallSearch", users=USERS[:4], messageId=message_id)
    assert sorted(row["username"] for row in result.rows) == USERS[:3]


def test_copies_on_both(node, fake, real, message_id):
    """What a move had taken along is recalled, too."""
    user = USERS[0]
    real.lmtp_deliver([user], build_message(message_id))
    fake.script(leaving(node, [user], status="expunged", copies="2"),
                serve=True)
    result = run_shell(node, *named([user]), "--no-notify", message_id)
    assert (result.status(), result.row()["copies"]) == ("expunged", "3")
    assert message_id.encode() not in b"".join(real.messages(user))


@pytest.mark.parametrize("count", [1, 3])
def test_copies_that_were_only_there(node, fake, message_id, count):
    """They have been deleted, and that is told."""
    users = USERS[:count]
    fake.script(leaving(node, users, status="expunged", copies="2"),
                serve=True)
    result = run_shell(node, *named(users), "--no-notify", "--", message_id)
    assert sorted((row["username"], row["status"], row["copies"])
                  for row in result.rows) == \
        [(user, "expunged", "2") for user in users]


def test_restored_where_nobody_looks(node, fake, recall_id):
    """It is not the user's mailbox any more."""
    fake.script(lambda users: node.move(*users, to="real") or
                b"\t".join([users[0].encode(), b"restored", b"1"] +
                           [b""] * 8), serve=True)
    result = command(node, "restore", *named(USERS[:1]), recall_id)
    assert result.status() == "error"


def test_alias(node, fake, real, message_id):
    """Each name is answered for, with what was done where the user is now."""
    user = OF_ALIAS
    real.lmtp_deliver([user], build_message(message_id))
    fake.script(leaving(node, [user, ALIAS], to="real"), serve=True)
    result = run_shell(node, *named([user, ALIAS]), "--no-notify", "--",
                       message_id)
    assert {row["username"]: row["status"] for row in result.rows} == \
        {user: "expunged", ALIAS: "expunged"}


def moving_with_alias(node, user, until=None, copies="0"):
    """To where the alias is looked up by then, and may have been asked for."""
    def answer(users):
        if user not in users:
            return rows_of(users)
        node.move(user, ALIAS, to="other")
        if until:
            until.wait(PATIENCE)
        return b"".join(
            verdict_row(name, "expunged", copies) if name == user and
            copies != "0" else verdict_row(name, "not_found", "0")
            for name in users) + END
    return answer


@pytest.mark.parametrize("all_users", [False, True])
@pytest.mark.parametrize("first", ["user", "alias"])
def test_alias_of_who_has_moved(node, fake, other, message_id, first,
                                all_users):
    """The mailbox is one, by whichever name it is asked for there first."""
    user = OF_ALIAS
    status = "would_expunge" if all_users else "expunged"
    other.script(lambda users: rows_of(users, status, "1")
                 if all_users or len(other.commands) == 1 else
                 rows_of(users), serve=True)
    fake.script(moving_with_alias(node, user, until=other.asked
                                  if first == "alias" else None), serve=True)
    if all_users:
        args = ["-A", "--dry-run", "--max-rate=5"]
    else:
        args = ["--max-rate=1", *named([user, *USERS[2:5], ALIAS])]
    result = run_shell(node, *args, "--", message_id)
    assert result.code == 0
    assert len(other.commands) == 1
    found = [row["username"] for row in result.rows
             if (row["status"], row["copies"]) == (status, "1")]
    names = {user, ALIAS}
    if all_users:
        # one name will do
        assert len(found) == 1 and set(found) < names
        assert len([row for row in result.rows
                    if row["username"] in names]) == 1
    else:
        assert set(found) == names and len(result.rows) == 5


@pytest.mark.parametrize("all_users", [False, True])
def test_alias_was_asked_for_where_others_are(node, fake, other, message_id,
                                              all_users):
    """What was deleted where the user was before is told, and once."""
    user = OF_ALIAS
    other.script(lambda users: rows_of(users, "expunged", "1"), serve=True)
    fake.script(moving_with_alias(node, user, until=other.asked, copies="2"),
                serve=True)
    args = ["-A", "--max-rate=5"] if all_users else [
        "--max-rate=1", *named([user, *USERS[2:5], ALIAS])]
    result = run_shell(node, *args, "--", message_id)
    assert result.code == 0 and len(other.commands) == 1
    assert sorted(row["copies"] for row in result.rows
                  if row["username"] in (user, ALIAS)) == \
        (["1", "2"] if all_users else ["1", "3"])


@pytest.mark.parametrize("first", ["user", "alias"])
@pytest.mark.log_errors("")
def test_alias_of_who_has_moved_to_a_node_that_fails(node, fake, other,
                                                     message_id, first):
    user = OF_ALIAS
    other.script(b"")
    fake.script(moving_with_alias(node, user, until=other.asked
                                  if first == "alias" else None), serve=True)
    result = run_shell(node, "--max-rate=1",
                       *named([user, *USERS[2:5], ALIAS]), "--", message_id)
    assert result.code == EX_TEMPFAIL
    assert [result.status(name) for name in (user, ALIAS)] == ["error"] * 2
    assert len(result.rows) == 5 and len(other.commands) == 1


@pytest.mark.log_errors("Connection refused")
def test_new_node_that_fails(node, fake, message_id):
    fake.script(leaving(node, USERS[:2], to="dead"), serve=True)
    result = run_shell(node, *named(USERS[:2]), "--", message_id)
    assert result.code == EX_TEMPFAIL
    assert result.statuses() == dict.fromkeys(USERS[:2], "error")
    # of what was done the error tells
    node.move(*USERS, to="fake")
    fake.script(leaving(node, USERS[:1], to="dead", status="expunged",
                        copies="7"), serve=True)
    result = run_shell(node, *named(USERS[:1]), "--", message_id)
    assert result.status() == "error"
    assert "expunged, 7" in result.row()["error"]


def test_always_on_the_move(node, fake, other, message_id):
    """They are not followed for ever."""
    fake.script(leaving(node, USERS[:1], to="other"), serve=True)
    other.script(leaving(node, USERS[:1], to="fake"), serve=True)
    result = run_shell(node, *named(USERS[:1]), "--", message_id)
    assert (result.code, result.status()) == (EX_TEMPFAIL, "error")
    assert "moved" in result.row()["error"]
    assert len(fake.commands) + len(other.commands) == 4


def test_moved_to_this_node(node, fake, message_id):
    """Who comes here while others are asked about is not passed over."""
    user = USERS[0]
    fake.script(leaving(node, [user], to=None), serve=True)
    result = run_shell(node, *named([user]), "--", message_id)
    assert (result.code, result.status()) == (EX_TEMPFAIL, "error")
    assert "left" in result.row()["error"]
    assert run_shell(node, *named([user]), "--", message_id).status() == \
        "not_found"


def test_auth_that_is_gone(node, fake, message_id):
    """auth is asked anew after it was told to read its settings again."""
    def answer(users):
        if not answer.reloaded:
            answer.reloaded = True
            node.doveadm("reload")
        return rows_of(users)
    answer.reloaded = False
    fake.script(answer, serve=True)
    result = run_shell(node, *named(USERS), "--", message_id)
    assert result.statuses() == dict.fromkeys(USERS, "not_found")


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("status", ["not_found", "expunged"])
def test_passdb_that_fails(node, fake, message_id, status, count):
    """Who has left is not known: what was deleted is told all the same."""
    names = USERS[:count]
    copies = "0" if status == "not_found" else "2"

    def answer(users):
        # a host is missing
        node.fields = dict.fromkeys(names, " proxy=y")
        node.move(*names, to=None)
        return rows_of(users, status, copies)

    fake.script(answer, serve=True)
    try:
        result = run_shell(node, *named(names), "--", message_id)
    finally:
        node.fields = {}
    assert result.code == EX_TEMPFAIL
    for user in names:
        row = result.row(user)
        known = status == "expunged"
        assert (row["status"], row["copies"]) == \
            (status if known else "error", copies)
        assert "not have the user any more" in \
            (result.stderr if known else row["error"])


def test_plus_without_a_row(node, fake, message_id):
    """It says nothing of the user, so it is no success."""
    fake.script(b"\n+\n")
    result = run_shell(node, *named(USERS[:1]), message_id)
    assert (result.code, result.status()) == (EX_TEMPFAIL, "error")
    # of one who has the message there would be one
    fake.script(b"\n+\n")
    result = run_shell(node, *named(USERS[:1]), "--hits", message_id)
    assert (result.code, result.rows) == (0, [])


def test_two_rows_of_one(node, fake, message_id):
    fake.script(verdict_row(USERS[0]) + verdict_row(USERS[0]) + END)
    result = run_shell(node, *named(USERS[:1]), message_id)
    assert (result.code, result.status()) == (EX_TEMPFAIL, "error")


def test_copies_on_each_of_three(node, fake, other, real, message_id):
    """Whoever moves twice: all that was deleted is counted."""
    user = USERS[0]
    real.lmtp_deliver([user], build_message(message_id))
    fake.script(leaving(node, [user], to="other", status="expunged",
                        copies="2"), serve=True)
    other.script(leaving(node, [user], status="expunged", copies="3"),
                 serve=True)
    result = run_shell(node, *named([user]), "--no-notify", message_id)
    assert (result.status(), result.row()["copies"]) == ("expunged", "6")


# names another one of two nodes each time
TURNS = """#!/bin/sh
cat <&3 >/dev/null
test -e %(file)s.down && exit 111
export PATH=/usr/bin:/bin AUTHORIZED=2 proxy=y nopassword=y
read number <%(file)s
echo $((3 - number)) >%(file)s
export host=shared.example.com hostip=127.0.0.$number port=%(port)d
export EXTRA="proxy nopassword host hostip port"
exec "$@"
"""


@contextlib.contextmanager
def make_in_turn(fake):
    """A node whose users are on any of the two."""
    node = Front({}, driver=DRIVERS[-1], users=STAYS, mail_plugins=["recall"],
                 extra="doveadm_port = 1\n")
    script, turn = node.dir / "turns", node.dir / "turn"
    node.extra += "passdb {\n  driver = checkpassword\n  args = %s\n}\n" \
        % script
    script.write_text(TURNS % {"file": turn, "port": fake.port})
    script.chmod(0o755)
    turn.write_text("1\n")
    turn.chmod(0o666)
    with node:
        yield node
        assert node.panics() == []


@pytest.mark.skipif(DOVECOT_24, reason="Dovecot 2.4 has no checkpassword")
@pytest.mark.parametrize("status, copies", [("not_found", "0"),
                                            ("expunged", "1")])
def test_nodes_in_turn(fake, message_id, status, copies):
    """Where any node has everybody's mail nobody has moved."""
    user = "somebody@example.com"
    with FakeNode("127.0.0.2", fake.port) as second, \
            make_in_turn(fake) as node:
        for server in fake, second:
            server.script(lambda users: rows_of(users, status, copies),
                          serve=True)
        result = run_shell(node, *named([user]), message_id)
        assert (result.status(), result.row()["copies"]) == \
            (status, copies), result
        assert len(fake.commands) + len(second.commands) == 1


@pytest.mark.skipif(DOVECOT_24, reason="Dovecot 2.4 has no checkpassword")
@pytest.mark.log_errors("checkpassword|exit code|not have the user any more")
@pytest.mark.parametrize("status, copies", [("not_found", "0"),
                                            ("expunged", "1")])
def test_passdb_that_is_down(fake, message_id, status, copies):
    """It answers that it does not know."""
    user = "somebody@example.com"
    with FakeNode("127.0.0.2", fake.port) as second, \
            make_in_turn(fake) as node:
        def answer(users):
            (node.dir / "turn.down").touch()
            return rows_of(users, status, copies)

        for server in fake, second:
            server.script(answer, serve=True)
        result = run_shell(node, *named([user]), message_id)
        known = status == "expunged"
        assert (result.code, result.status(), result.row()["copies"]) == \
            (EX_TEMPFAIL, status if known else "error", copies), result
        assert "not have the user any more" in \
            (result.stderr if known else result.row()["error"])


@pytest.mark.log_errors("")
def test_service_asks_again(fake, message_id):
    """What the old node has deleted is told, too, once the new one is back and
    has nothing."""
    user, port = USERS[0], free_port()
    with Front({"fake": fake.port, "back": port}, driver=DRIVERS[-1],
               users=[user], mail_plugins=["notify", "recall"],
               extra="doveadm_port = 1\n") as node, Service(node) as service:
        fake.script(leaving(node, [user], to="back", status="expunged",
                            copies="2"), serve=True)
        answer = ask(service, root(service), messageid=message_id, all=1,
                     notify=0)
        assert answer.status == 202, answer
        recall_id = answer.json()["id"]

        def results():
            return service.curl("/v2/actions/" + recall_id,
                                token=root(service)).json()["results"]

        wait_for(lambda: [row["status"] for row in results()] == ["error"])
        with FakeNode(port=port) as back:
            back.script(lambda users: rows_of(users), serve=True)
            done = service.wait_recall(root(service), recall_id)
        assert [(row["status"], row["copies"])
                for row in done["results"]] == [("expunged", 2)]
        assert node.panics() == []


@pytest.mark.log_errors("")
@pytest.mark.parametrize("how", ["to this node", "on and on"])
def test_service_asks_again_who_moves(fake, other, message_id, how):
    """Where they have arrived in the end."""
    user, port = USERS[0], free_port()
    with Front({"fake": fake.port, "other": other.port},
               driver=DRIVERS[-1], users=[user],
               mail_plugins=["notify", "recall"],
               extra="doveadm_port = 1\n") as node, Service(node) as service:
        here = how == "to this node"
        node.move(user)
        node.lmtp_deliver([user], build_message(message_id))
        node.move(user, to="fake")
        fake.script(leaving(node, [user], to=None if here else "other"),
                    serve=True)
        other.script(lambda users: node.move(
            user, to="fake" if len(other.commands) < 2 else None) or
            rows_of(users), serve=True)
        answer = ask(service, root(service), messageid=message_id, all=1,
                     notify=0)
        assert answer.status == 202, answer
        done = service.wait_recall(root(service), answer.json()["id"])
        assert [(row["status"], row["copies"])
                for row in done["results"]] == [("expunged", 1)]
        assert done["success"] is True
        assert [row["state"] for row in done["nodes"]] == ["done"] * 2
        assert node.panics() == []
