"""The clock is wrong, by minutes or by days, and set in the middle of it: nothing
is deleted before its time, nothing waits for the hour that comes twice, and no
verdict is false."""

import pytest

from clocks import DAY, HOUR, MINUTE, Clock
from conftest import DRIVERS, parse_tab
from faulty import STOPPED, Shim, Stopping
from mailnode import DOVECOT_24, build_message
from quarantine import (append, command, http, make_node, quarantined,
                        recall)

USERS = ["u%02d@example.com" % i for i in range(60)]
DAYS = 30
# where the quarantine is, below the home
QUARANTINES = {"maildir": "recalled", "sdbox": "sdbox/recalled",
               "mdbox": "mdbox/recalled"}


class Clocked:
    def __init__(self, node):
        self.node = node
        self.free_users = iter(USERS)


@pytest.fixture(scope="module", params=DRIVERS)
def clocked(request, tmp_path_factory):
    clock = Clock(tmp_path_factory.mktemp("clock"))
    with make_node(request.param, USERS, clock=clock,
                   mail_plugins=["notify", "recall"],
                   plugin={"recall_quarantine_days": DAYS}) as node:
        yield Clocked(node)
        assert node.panics() == []


@pytest.fixture
def node(clocked):
    return clocked.node


@pytest.fixture
def clock(node):
    """It is right when a test begins."""
    yield node.clock
    node.clock.set(0)
    node.clock.shim = None


@pytest.fixture
def user(clocked):
    return next(clocked.free_users)


class StopsAt(Stopping):
    """A doveadm recall that stops at a call for what is below the path."""

    def __init__(self, node, path, call, at, *args):
        shim = Shim(node.dir, "doveadm", [path])
        shim.arm(call, at, STOPPED)
        node.clock.shim = shim
        super().__init__(shim, node.doveadm_command("-f", "tab", "recall",
                                                    *args))
        node.clock.shim = None


def about_to_keep(node, user, *args):
    """A recall that has looked for the user's copies, and is about to keep
    them."""
    return StopsAt(node, node.home(user) / QUARANTINES[node.driver], "mkdir",
                   1, *args)


def save_anew(node, user, mailbox, message):
    """Without CREATE, which would wait for whoever makes a mailbox."""
    connection = node.imap(user)
    try:
        status, answer = connection.append(mailbox, "", None, message)
        assert status == "OK", answer
    finally:
        connection.logout()


STEPS = {"two seconds": 2, "an hour": HOUR, "a day": DAY}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("forth", [False, True], ids=["back", "forth"])
def test_set_while_a_recall_runs(node, clock, user, message_id, recall_id,
                                 step, forth):
    """What comes into a mailbox that was looked at already is found, although
    it looks older than the recall."""
    for mailbox in ("Another", "INBOX", "Other"):
        append(node, user, mailbox, build_message("<other@example.com>"))
    append(node, user, "INBOX", build_message(message_id))
    # the index is whole
    assert http(node, "recallExpunge", user=user, messageId=message_id,
                dryRun=True).status() == "would_expunge"
    clock.set(0 if forth else step)
    with about_to_keep(node, user, "expunge", "-u", user, "--force",
                       "--no-notify", "--recall-id", recall_id,
                       message_id) as begun:
        clock.set(step if forth else 0)
        save_anew(node, user, "Another", build_message(message_id))
        result = begun.go_on()
    assert (result.code, result.status()) == (0, "expunged"), result
    assert result.row()["copies"] == "2"
    for mailbox in ("Another", "INBOX", "Other"):
        assert node.count(user, mailbox) == 1
    clock.set(0)
    assert http(node, "recallRestore", user=user,
                recallId=recall_id).row()["copies"] == "2"
    assert node.count(user, "Another") == 2


@pytest.mark.parametrize("then", [-DAY, -HOUR, -MINUTE, MINUTE, HOUR, DAY])
def test_recalled_by_a_wrong_clock(node, clock, user, message_id, recall_id,
                                   then):
    """It is restored, and not purged before the time that was told, nor kept
    for ever."""
    node.lmtp_deliver(user, build_message(message_id))
    clock.set(then)
    for ahead, status in ((then, "expunged"), (0, "already_recalled")):
        clock.set(ahead)
        assert recall(node, user, message_id, recall_id,
                      "--no-notify").status() == status
    # that was then + 30 days
    purge = "purge", "-u", user
    for when in (then, 0, then + DAYS * DAY - MINUTE):
        clock.set(when)
        assert command(node, *purge).rows == []
        assert sum(quarantined(node, user).values()) == 1
    clock.set(0)
    assert http(node, "recallRestore", user=user,
                recallId=recall_id).status() == "restored"
    assert node.count(user) == 1
    clock.set(then + DAYS * DAY + MINUTE)
    assert command(node, *purge).status() == "purged"
    assert quarantined(node, user) == {}


def test_purge_of_all(node, clock, user, message_id, recall_id):
    """Without any days nothing is kept, whatever the clock said then."""
    node.lmtp_deliver(user, build_message(message_id))
    clock.set(DAY)
    assert recall(node, user, message_id, recall_id).status() == "expunged"
    clock.set(0)
    done = node.doveadm("-f", "tab", "-o", 
                        "%srecall_quarantine_days=0" %
                        ("" if DOVECOT_24 else "plugin/"),
                        "recall", "purge", "-u", user)
    assert [row["status"] for row in parse_tab(done.stdout)] == ["purged"]
    assert quarantined(node, user) == {}


def listed(node, recall_id):
    return [row for row in command(node, "standing", "list").rows
            if row["recall-id"] == recall_id]


@pytest.mark.log_errors("Time just moved backwards")
def test_order_that_stands(node, clock, user, message_id, recall_id):
    """It stands until the time that was told, whatever steps the clock makes
    before that, and ends then."""
    late = 0

    def arrives(ahead):
        clock.set(ahead)
        node.lmtp_deliver(user, build_message(message_id))
        # what was deleted late is looked for, too
        assert node.doveadm("recall", "standing", "run").returncode == 0
        return node.count(user) == 0

    clock.set(10 * MINUTE)
    assert recall(node, user, message_id, recall_id, "--no-notify", "--stand",
                  "2h").status() == "not_found"
    order, = listed(node, recall_id)
    for ahead in (10 * MINUTE, 0, -HOUR, -DAY, 2 * HOUR):
        late += 1
        assert arrives(ahead), ahead
        assert listed(node, recall_id) == [{**order, "late": str(late)}]
    assert sum(quarantined(node, user).values()) == late
    # an order that has ended does not come back
    for ahead in (2 * HOUR + 11 * MINUTE, 0):
        assert not arrives(ahead), ahead
        assert listed(node, recall_id) == []


@pytest.mark.log_errors("Time just moved (backwards|forwards)")
@pytest.mark.parametrize("by", ["order", "retry"])
def test_what_is_taken_days_later(node, clock, user, message_id, recall_id,
                                  by):
    """It is kept for as long as what the same recall has taken before."""
    def arrives(day):
        clock.set(day * DAY)
        node.lmtp_deliver(user, build_message(message_id))
        if by == "retry":
            row = recall(node, user, message_id, recall_id,
                         "--no-notify").row()
            assert (row["status"], row["copies"]) == ("expunged", "1")
        assert node.count(user) == 0

    stand = [] if by == "retry" else ["--stand", "30days"]
    assert recall(node, user, message_id, recall_id, "--no-notify",
                  *stand).status() == "not_found"
    for day in (0, 9, 20):
        arrives(day)
    # two of them have been kept for longer than that
    for when in (DAYS * DAY + MINUTE, (20 + DAYS) * DAY - MINUTE):
        clock.set(when)
        assert command(node, "purge", "-u", user).rows == []
        assert sum(quarantined(node, user).values()) == 3
    clock.set((21 + DAYS) * DAY + HOUR)
    assert command(node, "purge", "-u", user).status() == "purged"
    assert quarantined(node, user) == {}


def is_over(node, clock, recall_id, how):
    if how == "end":
        assert command(node, "standing", "end", recall_id).code == 0
    else:
        clock.set(2 * HOUR)


@pytest.mark.log_errors("Time just moved (backwards|forwards)")
@pytest.mark.parametrize("how", ["end", "expiry"])
def test_order_that_is_over_while_users_are_looked_at(
        node, clock, clocked, message_id, recall_id, how):
    """Nobody's mail is taken for it any more."""
    users = [next(clocked.free_users) for _ in range(2)]
    node.lmtp_deliver(users, build_message(message_id))
    assert command(node, "standing", "begin", "--no-notify", "--stand=1h",
                   *["--users=" + user for user in users], "--recall-id",
                   recall_id, message_id).code == 0
    with about_to_keep(node, users[0], "standing", "run", recall_id) as begun:
        is_over(node, clock, recall_id, how)
        result = begun.go_on()
    assert result.code == 0
    assert [(row["username"], row["status"]) for row in result.rows] == [
        (users[0], "expunged")]
    assert [node.count(user) for user in users] == [0, 1]


@pytest.mark.log_errors("Time just moved (backwards|forwards)")
@pytest.mark.parametrize("how", [None, "expiry"])
def test_order_that_is_over_before_it_is_for_an_alias(
        node, clock, clocked, user, message_id, recall_id, how):
    """What came for the mailbox is looked for at the end of the command, as
    long as the order stands."""
    alias = "alias-" + user
    node.add_user(alias, user=user, home=node.home(user))
    # the order and the set, and once more for the mailbox
    with StopsAt(node, node.standing_dir, "rename", 3, "expunge", "-u", alias,
                 "--no-notify", "--stand=1h", "--recall-id", recall_id,
                 message_id) as begun:
        node.lmtp_deliver(user, build_message(message_id))
        assert node.count(user) == 1
        if how:
            is_over(node, clock, recall_id, how)
        result = begun.go_on()
    assert (result.code, result.status()) == (0, "not_found")
    assert node.count(user) == (1 if how else 0)
    node.remove_user(alias)
