"""mail-recalld: two requests about the same recall at the same time."""

import concurrent.futures
import itertools
import subprocess

import pytest

from answers import has, root, statuses
from faults import Frozen, Held, unread, wait_for
from mailnode import build_message
from quarantine import LOCATIONS, NAMESPACE, PREFIX, quarantined
from servicenode import RecallNode, Service

USERS = ["user%d@example.com" % number for number in range(12)]
PEOPLE = "root@example.com", "one@example.com", "two@example.com"
ASYNC = "-H", "Prefer: respond-async"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def node():
    users = {user: {} for user in USERS}
    users.update({login: {"role": "3"} for login in PEOPLE})
    with RecallNode(users=users, plugin={"recall_quarantine": PREFIX,
                                         "recall_quarantine_days": 0},
                    extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"])) as node:
        yield node
        assert node.panics() == []


@pytest.fixture(scope="module")
def service(node):
    with Service(node, approval__force="yes", doveadm__batch=4) as service:
        yield service


@pytest.fixture
def mail(node):
    """A message that all have: its id."""
    message_id = "<%d.races@example.com>" % next(numbers)
    for user in USERS:
        node.lmtp_deliver([user], build_message(message_id))
    return message_id


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield pool


def recall(service, message_id, *args, **params):
    answer = service.recall(root(service), message_id, USERS, *args,
                            notify="0", **params)
    assert answer.status in (200, 202), answer
    return answer


def restore(service, recall_id):
    return service.recall(root(service), cmd="restore", id=recall_id)


def decide(service, login, recall_id, decision):
    return service.curl("/v2/approvals/" + recall_id, "-d", "decision=" +
                        decision, token=service.token(login, 3))


def shown(service, recall_id):
    return service.curl("/v2/actions/" + recall_id,
                        token=root(service)).json()


def held_by(node, message_id):
    return [has(node, user, message_id) for user in USERS]


def test_rejected_while_it_is_approved(node, service, mail, pool):
    """Who is late hears what the other has decided."""
    recall_id = recall(service, mail, force="1").json()["id"]
    with Frozen(node):
        # whether it is another person is Dovecot's to say
        approved = pool.submit(decide, service, PEOPLE[1], recall_id,
                               "approve")
        wait_for(lambda: unread(node))
        answer = decide(service, PEOPLE[2], recall_id, "reject")
        assert answer.status == 200, answer
    answer = approved.result()
    assert (answer.status, answer.json()["state"]) == (409, "rejected")
    assert shown(service, recall_id)["state"] == "rejected"
    assert shown(service, recall_id)["approver"] == PEOPLE[2]
    assert all(held_by(node, mail))


def test_decided_by_several_at_once(node, service, mail, pool):
    recall_id = recall(service, mail, force="1").json()["id"]
    decisions = ["approve", "reject"] * 2
    answers = list(pool.map(
        lambda pair: decide(service, PEOPLE[1 + pair[0] % 2], recall_id,
                            pair[1]), enumerate(decisions)))
    won, = [decision for answer, decision in zip(answers, decisions)
            if answer.status in (200, 202)]
    lost = [answer for answer in answers if answer.status == 409]
    assert len(lost) == len(answers) - 1
    if won == "reject":
        assert {answer.json()["state"] for answer in lost} == {"rejected"}
    else:
        assert {answer.json()["state"] for answer in lost} <= {
            "running", "finished"}
        service.wait_recall(root(service), recall_id)
    assert set(held_by(node, mail)) == {won == "reject"}
    # one decision, one line
    assert len([line for line in service.audit() if recall_id in line and
                ("|approve|" in line or "|reject|" in line)]) == 1


def test_restore_while_the_recall_runs(node, service, mail):
    with Held(node, USERS[5]) as held:
        recall_id = recall(service, mail, *ASYNC).json()["id"]
        wait_for(held.waiting)
        answer = restore(service, recall_id)
        assert answer.status == 409, answer
        assert "has not finished" in answer.json()["message"]
    service.wait_recall(root(service), recall_id)
    assert not any(held_by(node, mail))
    assert set(statuses(restore(service, recall_id)).values()) == {"restored"}
    assert all(held_by(node, mail))


def test_restores_at_once(node, service, mail, pool):
    before = [node.count(user) for user in USERS]
    recall_id = recall(service, mail).json()["id"]
    answers = list(pool.map(lambda unused: restore(service, recall_id),
                            range(4)))
    for answer in answers:
        assert answer.status == 200, answer
        assert set(statuses(answer).values()) == {"restored"}
    # each copy was put back by one of them
    for results in zip(*(answer.json()["results"] for answer in answers)):
        assert sum(result["copies"] for result in results) == 1, results
    assert [node.count(user) for user in USERS] == before


def purge(node):
    return subprocess.run(
        node.doveadm_command("-f", "tab", "recall", "purge", "-A"),
        capture_output=True, text=True)


def test_purge_while_it_is_restored(node, service, mail, pool):
    """Each user's mail is put back, or gone for good: never both, nor neither
    while somebody says that it was put back."""
    recall_id = recall(service, mail).json()["id"]
    restored = pool.submit(restore, service, recall_id)
    purged = pool.submit(purge, node)
    done = purged.result()
    assert done.returncode == 0, done
    answer = restored.result()
    assert answer.status == 200, answer
    purge(node)
    for user, result in zip(USERS, answer.json()["results"]):
        assert quarantined(node, user) == {}
        assert result["email"] == user
        assert has(node, user, mail) == (result["status"] == "restored" and
                                         result["copies"] == 1), result


def test_recalled_anew_while_it_is_restored(node, service, mail, pool):
    """What the second recall has not seen is in the mailbox, once; what it has
    taken can be put back by it."""
    before = [node.count(user) for user in USERS]
    first = recall(service, mail).json()["id"]
    restored = pool.submit(restore, service, first)
    second = recall(service, mail).json()
    assert set(statuses(restored.result()).values()) == {"restored"}
    for user, result in zip(USERS, second["results"]):
        assert result["status"] in ("expunged", "not_found"), result
        assert has(node, user, mail) == (result["status"] == "not_found")
    restore(service, second["id"])
    assert [node.count(user) for user in USERS] == before
    assert all(held_by(node, mail))
