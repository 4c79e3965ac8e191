"""mail-recalld with a clock that is wrong, by minutes or by days, and that is set
while it runs: nothing waits for the hour that comes twice, nobody stays out or
in, and nothing is told of twice or not at all."""

import contextlib
import pathlib
import sqlite3
import time

import pytest

import mailnode
from answers import has, statuses
from clocks import DAY, HOUR, MINUTE, Clock
from faults import wait_for
from mailnode import PASSWORD, build_message
from receiver import Receiver
from servicenode import RecallNode, Service, program

U = ["u%02d@red.example" % i for i in range(20)]
ADMIN, ADMIN2 = "adm@red.example", "adm2@red.example"
KEY = "a-key-of-webhooks-that-has-more-than-32-octets"
# days that a recall may stand at most
STAND_MAX = 30


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    users = {user: {"tenant_id": "red"} for user in U}
    users.update((user, {"tenant_id": "red", "role": "1"})
                 for user in (ADMIN, ADMIN2))
    # of what mail is saved by
    clock = Clock(tmp_path_factory.mktemp("clock"), "lmtp")
    with RecallNode(users=users, clock=clock) as node:
        node.free_users = iter(U)
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free_users)


@pytest.fixture
def clock(tmp_path):
    """Of the service."""
    return Clock(tmp_path)


@pytest.fixture
def make(node, clock):
    module = pathlib.Path(program())
    environment = clock.environment(mailnode.sanitizers_of(
        module, module.stat().st_mtime_ns))
    return lambda **settings: Service(node, environment=environment,
                                      **settings)


def admin(service, ahead=0, login=ADMIN):
    """A token as it is issued when the clock is ahead."""
    begin = int(time.time()) + ahead
    return service.token(login, 1, "red", iat=begin, exp=begin + 600)


def root(service, ahead=0):
    begin = int(time.time()) + ahead
    return service.token(iat=begin, exp=begin + 600)


def rows(service, sql, *args):
    with contextlib.closing(sqlite3.connect(service.dir /
                                            "journal.db")) as db:
        return db.execute(sql, args).fetchall()


@pytest.mark.parametrize("ahead", [HOUR, DAY, 400 * DAY])
def test_webhook(node, make, clock, user, message_id, ahead):
    """One that could not be sent is sent again soon, and so is the next one,
    when the clock has been set back meanwhile."""
    with Receiver([503, 204]) as receiver, \
            make(webhook__url=receiver.url, webhook__key=KEY) as service:
        clock.set(ahead)
        first = service.recall(admin(service, ahead), message_id, [user])
        assert first.status == 200
        wait_for(lambda: rows(service, "SELECT 1 FROM webhooks WHERE "
                              "tries > 0"), "it was not refused")
        clock.set(0)
        receiver.wait(2)
        wait_for(lambda: not rows(service, "SELECT 1 FROM webhooks"))
        second = service.recall(admin(service), message_id, [user])
        told = receiver.wait(3)
        assert [each["recall"]["id"] for each in told] == [
            first.json()["id"], first.json()["id"], second.json()["id"]]


@pytest.mark.log_errors("")
@pytest.mark.parametrize("ahead", [HOUR, DAY])
def test_node_that_was_down(node, make, clock, user, message_id, ahead):
    """It gets the order as soon as it is back, for as long as there may be
    one, although the clock has been set back."""
    with RecallNode(users=[user]) as other, \
            make(text="[nodes]\nb = %s other.example\n" % other.http_url,
                 doveadm__retries=0) as service:
        other.stop(remove=False)
        clock.set(ahead)
        token = root(service, ahead)
        answer = service.recall(token, message_id, [user],
                                stand="%dd" % STAND_MAX, notify="0")
        assert statuses(answer) == {user: "not_found"}
        recall_id = answer.json()["id"]
        wait_for(lambda: rows(service, "SELECT 1 FROM standing WHERE "
                              "recall = ? AND tries > 1", recall_id))
        clock.set(0)
        assert other._launch()
        wait_for(lambda: rows(
            service, "SELECT 1 FROM standing WHERE recall = ? AND url = ? AND "
            "state = 'stands'", recall_id, other.http_url), "it does not stand")
        other.lmtp_deliver(user, build_message(message_id))
        assert other.count(user) == 0
        assert service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                            token=root(service)).status == 200


# Dovecot's processes end by themselves then
@pytest.mark.log_errors("Time just moved backwards")
def test_what_comes_late(node, make, user, message_id):
    """A node's clock was ahead, of which one message tells: the next ones are
    told of, too."""
    with make(recall__late_interval=1) as service:
        token = root(service)
        recall_id = service.recall(token, message_id, [user], stand="10d",
                                   notify="0").json()["id"]
        for count, ahead in (1, 2 * DAY), (2, 0), (3, -HOUR):
            node.clock.set(ahead)
            node.lmtp_deliver(user, build_message(message_id))
            assert node.count(user) == 0
            wait_for(lambda: service.curl(
                "/v2/actions/" + recall_id, token=token).json()["late"] ==
                count, "%d have not come late" % count)
        wait_for(lambda: len([line for line in service.audit()
                              if "|recall-late|" in line]) == 3,
                 "not told of three times")
        assert service.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                            token=token).status == 200


def test_recalls_of_an_hour(node, make, clock, user, message_id):
    """Nobody has to wait for longer than an hour."""
    with make(limits__recalls_admin=1) as service:
        clock.set(DAY)
        assert service.recall(admin(service, DAY), message_id,
                              [user]).status == 200
        # as far as it is known it was a day ago, or is in a day
        for ahead in (2 * DAY + MINUTE, 0):
            clock.set(ahead)
            assert service.recall(admin(service, ahead), message_id,
                                  [user]).status == 200
        # a small step lets nobody have more
        for ahead, longest in (-MINUTE, HOUR), (MINUTE, HOUR - MINUTE):
            clock.set(ahead)
            answer = service.recall(admin(service, ahead), message_id, [user])
            assert answer.status == 429
            assert 0 < int(answer.headers["retry-after"]) <= longest


def test_users_without_approval(node, make, clock, message_id):
    """What was recalled by a clock that was ahead is not counted until then."""
    with make(approval__users=2) as service:
        clock.set(DAY)
        assert service.recall(admin(service, DAY), message_id,
                              U[:1]).status == 200
        clock.set(0)
        assert service.recall(admin(service), message_id, U[1:2]).status == 200
        for ahead in (-MINUTE, MINUTE):
            clock.set(ahead)
            assert service.recall(admin(service, ahead), message_id,
                                  U[2:3]).json()["state"] == \
                "pending_approval"


def decide(service, token, recall_id):
    return service.curl("/v2/approvals/" + recall_id, "-d",
                        "decision=approve", token=token)


def test_approval(node, make, clock, message_id):
    """It waits for about as long as it may, and goes on."""
    user = U[0]
    node.lmtp_deliver(user, build_message(message_id))
    with make(approval__users=1) as service:
        asked = [service.recall(admin(service), message_id, [user],
                                reason="phishing").json()["id"]
                 for _ in range(2)]
        # ticks are a second apart; others see what it has decided
        for ahead in (-DAY, 2 * DAY, HOUR):
            clock.set(ahead)
            waiting = service.curl("/v2/approvals", token=admin(
                service, ahead, ADMIN2)).json()
            assert [each["id"] for each in waiting["approvals"]] == asked
        clock.set(-HOUR)
        assert decide(service, admin(service, -HOUR, ADMIN2),
                      asked[0]).status in (200, 202)
        done = service.wait_recall(admin(service, -HOUR), asked[0])
        assert done["summary"] == {"expunged": 1}
        clock.set(3 * DAY + HOUR)
        late = admin(service, 3 * DAY + HOUR, ADMIN2)
        wait_for(lambda: service.curl("/v2/actions/" + asked[1], token=late)
                 .json()["state"] == "expired", "it does not expire")
        clock.set(0)
        assert decide(service, admin(service, 0, ADMIN2),
                      asked[1]).status == 409
        assert not has(node, user, message_id)


@pytest.mark.parametrize("which", [{"login": ADMIN.upper()}, {"all": 1}],
                         ids=["login", "all"])
@pytest.mark.parametrize("later", [0, HOUR + MINUTE])
def test_approval_of_who_was_revoked(node, make, clock, message_id, which,
                                     later):
    """What was asked for by a clock that was ahead was asked for before."""
    user = U[0]
    node.lmtp_deliver(user, build_message(message_id))
    with make(approval__users=1, approval__check_asker="no") as service:
        clock.set(HOUR)
        asked, other = [service.recall(admin(service, HOUR, login), message_id,
                                       [user]).json()["id"]
                        for login in (ADMIN, ADMIN2)]
        clock.set(0)
        args = [arg for name, value in which.items()
                for arg in ("-d", "%s=%s" % (name, value))]
        assert service.curl("/v2/auth/revocations", *args,
                            token=root(service)).status == 200
        clock.set(later)
        begin = int(time.time()) + later + 5
        second = service.token("adm3@red.example", 1, "red", iat=begin,
                               exp=begin + 600)
        answer = decide(service, second, asked)
        assert answer.status == 409 and "revoked" in answer.json()["message"]
        assert has(node, user, message_id)
        if "all" not in which:
            assert decide(service, second, other).status in (200, 202)
            service.wait_recall(second, other)
            assert not has(node, user, message_id)


def test_repeated_and_listed(node, make, clock, user):
    """A key is of one recall, whatever the clock says, and the list has each
    recall once."""
    with make() as service:
        known = []
        for n, ahead in enumerate((0, HOUR, -HOUR, DAY, -DAY, -DAY, 0)):
            clock.set(ahead)
            token = admin(service, ahead)
            for turn in range(2):
                answer = service.recall(
                    token, "<%d.key@example.com>" % n, [user], "-H",
                    "Idempotency-Key: %d" % n)
                assert answer.status == 200
                known.append(answer.json()["id"])
        assert known[::2] == known[1::2]
        assert len(set(known)) == len(known) / 2
        clock.set(0)
        token, listed, before = admin(service), [], ()
        while True:
            page = service.curl("/v2/actions", "-G", "-d", "limit=2",
                                *before, token=token).json()["actions"]
            if not page:
                break
            listed += [each["id"] for each in page]
            before = "-d", "before=" + listed[-1]
        assert sorted(listed) == sorted(set(known))


def log_in(service, login=ADMIN):
    answer = service.curl("/v2/auth", "-d", "login=" + login, "-d",
                          "password=" + PASSWORD)
    assert answer.status == 200, answer
    return answer.json()


def refresh(service, tokens):
    return service.curl("/v2/auth", "-d",
                        "refresh_token=" + tokens["refresh_token"],
                        token=tokens["access_token"])


@pytest.mark.parametrize("which", [{"login": ADMIN}, {"all": 1}],
                         ids=["login", "all"])
@pytest.mark.parametrize("ahead", [MINUTE, DAY])
def test_revoked(node, make, clock, which, ahead):
    """All tokens until now are those too that were issued by a clock that was
    ahead; new ones are good."""
    with make(auth__clock_skew=60) as service:
        clock.set(ahead)
        tokens = log_in(service)
        clock.set(0)
        args = [arg for name, value in which.items()
                for arg in ("-d", "%s=%s" % (name, value))]
        assert service.curl("/v2/auth/revocations", *args,
                            token=root(service)).status == 200
        # when it is good according to what it says
        for when in (0, ahead + 1):
            clock.set(when)
            assert service.curl("/v2/actions",
                                token=tokens["access_token"]).status == 401
            assert refresh(service, tokens).status == 401
        assert rows(service, "SELECT 1 FROM refresh_tokens WHERE login = ?",
                    ADMIN) == []
        clock.set(0)
        tokens = log_in(service)
        assert service.curl("/v2/actions",
                            token=tokens["access_token"]).status == 200
        assert refresh(service, tokens).status == 200


@pytest.mark.parametrize("again", [False, True])
def test_approval_of_who_logged_in_after_that(node, make, clock, message_id,
                                              again):
    """What was revoked until a time that is to come is not what a new token asks
    for; unless that is revoked, too."""
    user = U[0]
    node.lmtp_deliver(user, build_message(message_id))
    with make(approval__users=1, approval__check_asker="no") as service:
        clock.set(DAY)
        revoke = "/v2/auth/revocations", "-d", "login=" + ADMIN
        assert service.curl(*revoke, token=root(service, DAY)).status == 200
        clock.set(0)
        asked = service.recall(log_in(service)["access_token"], message_id,
                               [user]).json()["id"]
        if again:
            assert service.curl(*revoke, token=root(service)).status == 200
        service.stop()
        service.start()
        second = admin(service, 0, ADMIN2)
        answer = decide(service, second, asked)
        if again:
            assert answer.status == 409 and "revoked" in answer.json()["message"]
        else:
            assert answer.status in (200, 202)
            service.wait_recall(second, asked)
        assert has(node, user, message_id) is again


@pytest.mark.parametrize("which", [{"login": ADMIN}, {"all": 1}],
                         ids=["login", "all"])
def test_revoked_by_a_clock_that_was_ahead(node, make, clock, which):
    """What is revoked until a time that is to come is what there was: whoever
    logs in after that can work, also when that time has come."""
    with make(auth__clock_skew=60) as service:
        before = log_in(service)
        clock.set(DAY)
        args = [arg for name, value in which.items()
                for arg in ("-d", "%s=%s" % (name, value))]
        assert service.curl("/v2/auth/revocations", *args,
                            token=root(service, DAY)).status == 200
        clock.set(0)
        had = [before, log_in(service)]
        had.append(refresh(service, had[1]).json())

        def are_good(since=0):
            return [service.curl("/v2/actions", token=tokens[
                "access_token"]).status == 200 for tokens in had[since:]]

        assert are_good() == [False, True, True]
        service.stop()
        service.start()
        assert are_good() == [False, True, True]
        # once more, by a clock that is right
        assert service.curl("/v2/auth/revocations", *args,
                            token=root(service)).status == (
                                401 if "all" in which else 200)
        if "all" not in which:
            had.append(log_in(service))
            assert are_good() == [False, False, False, True]
            assert refresh(service, had[2]).status == 401
            assert refresh(service, had[3]).status == 200


@pytest.mark.parametrize("ahead", [MINUTE, DAY])
def test_session_goes_on(node, make, clock, ahead):
    """Somebody who is signed in stays so when the clock goes forth a bit, and
    can sign in again when it goes back."""
    with make(auth__clock_skew=60) as service:
        tokens = log_in(service)
        clock.set(ahead)
        again = refresh(service, tokens)
        assert again.status == 200
        clock.set(0)
        answer = service.curl("/v2/actions",
                              token=again.json()["access_token"])
        assert answer.status == (200 if ahead <= MINUTE else 401)
        assert service.curl("/v2/actions", token=log_in(service)[
            "access_token"]).status == 200
