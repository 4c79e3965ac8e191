"""mail-recalld: recalls that a second person has to approve."""

import json
import sqlite3
import subprocess

import pytest

from answers import check_described, has, statuses
from faults import wait_for
from mailnode import build_message, free_port
from servicenode import RecallNode, Service

U = ["u%d@red.example" % i for i in range(4)]
BLUE = "u@blue.example"
ADMIN, ADMIN2, ALIAS = "adm@red.example", "adm2@red.example", "boss@red.example"
# of the mailbox of one who needs not be able to log in by its own name
ONE, TWO = "one@red.example", "two@red.example"
BLUEADMIN = "adm@blue.example"
ROOT, ROOT2 = "root@example.com", "root2@example.com"
PEOPLE = {ADMIN: (1, "red"), ADMIN2: (1, "red"), ALIAS: (1, "red"),
          ONE: (1, "red"), TWO: (1, "red"),
          BLUEADMIN: (1, "blue"), ROOT: (3, ""), ROOT2: (3, ""),
          U[0]: (2, "red")}
ASYNC = "-H", "Prefer: respond-async"


@pytest.fixture(scope="module")
def node():
    users = {user: {"tenant_id": "red"} for user in U}
    users[BLUE] = {"tenant_id": "blue"}
    for login, (role, tenant) in PEOPLE.items():
        if login not in (ALIAS, ONE, TWO, U[0]):
            users[login] = {"tenant_id": tenant or "default",
                            "role": str(role)}
    users[ADMIN]["alias"] = ALIAS
    with RecallNode(users=users) as node:
        node.add_users({alias: {"user": ADMIN2, "home": node.home(ADMIN2),
                                "tenant_id": "red", "role": "1"}
                        for alias in (ONE, TWO)})
        yield node
        assert node.panics() == []


@pytest.fixture
def service(node):
    with Service(node, approval__users=3, approval__force="yes",
                 auth__revoke_email="yes", auth__force_revoke="yes",
                 approval__query="yes") as service:
        yield service


def token(service, login):
    role, tenant = PEOPLE[login]
    return service.token(login, role, tenant)


number = 0


def deliver(node, users=U, **kwargs):
    global number
    number += 1
    messageid = "<%d.approval@example.com>" % number
    node.lmtp_deliver(users, build_message(messageid, **kwargs))
    return messageid


def waiting(service, login=ROOT):
    answer = service.curl("/v2/approvals", token=token(service, login))
    assert answer.status == 200, answer
    check_described("/v2/approvals", "get", answer)
    return answer.json()["approvals"]


def decide(service, login, recall_id, decision="approve", *args, **params):
    data = ["-d", "decision=" + decision]
    for name, value in params.items():
        data += ["--data-urlencode", "%s=%s" % (name, value)]
    answer = service.curl("/v2/approvals/" + recall_id, *data, *args,
                          token=token(service, login))
    check_described("/v2/approvals/{id}", "post", answer)
    return answer


def ask(service, login, messageid, users=U, *args, **params):
    """A recall that has to wait."""
    answer = service.recall(token(service, login), messageid, users, *args,
                            **params)
    assert answer.status == 202, answer
    check_described("/v2/actions/expunge", "post", answer)
    assert answer.json()["state"] == "pending_approval"
    return answer.json()["id"]


def state(service, recall_id):
    answer = service.curl("/v2/actions/" + recall_id,
                          token=token(service, ROOT))
    check_described("/v2/actions/{id}", "get", answer)
    return answer.json()


def all_have(node, messageid, users=U):
    return all(has(node, user, messageid) for user in users)


@pytest.mark.parametrize("why, users, params", [
    ("users", U[:3], {}), ("force", U[:1], {"force": 1}),
    ("query", U[:1], {"yes_count": 1})])
def test_approved_under_both_names(node, service, why, users, params):
    messageid = deliver(node, users, subject="Approval %s" % why,
                        sender="mal@example.net")
    if why == "query":
        recall_id = ask(service, ADMIN, None, users, reason="phishing",
                        query=json.dumps(["HEADER", "Message-ID", messageid]),
                        **params)
    else:
        recall_id = ask(service, ADMIN, messageid, users, reason="phishing",
                        **params)
    assert all_have(node, messageid, users)
    one, = waiting(service, ADMIN2)
    assert (one["id"], one["actor"], one["reason"], one["users"]) == \
        (recall_id, ADMIN, "phishing", len(users))
    assert one["expires"] - one["created"] == 72 * 3600
    assert one["force"] is (why == "force")
    assert one.get("yes_count") == params.get("yes_count")
    assert one["all"] is False
    assert [(s["email"], s["subject"]) for s in one["samples"]] == \
        [(user, "Approval %s" % why) for user in users]
    assert "mal@example.net" in one["samples"][0]["from"]
    assert state(service, recall_id)["expires"] == one["expires"]
    since = node.log_size()
    answer = decide(service, ADMIN2, recall_id, reason="looked at it")
    assert answer.status == 202
    assert answer.headers["location"] == "/v2/actions/" + recall_id
    done = service.wait_recall(token(service, ROOT), recall_id)
    assert done["summary"] == {"expunged": len(users)}
    assert (done["actor"], done["approver"], done["decision"]) == \
        (ADMIN, ADMIN2, "looked at it")
    assert not any(has(node, user, messageid) for user in users)
    assert waiting(service) == []
    node.settle_log()
    assert "actor=%s, approver=%s" % (ADMIN, ADMIN2) in node.log(since)
    trail = service.audit()
    event, = [line for line in trail if "|recall-pending|" in line]
    assert "suser=" + ADMIN in event and "cs6=" + recall_id in event
    event, = [line for line in trail if "|approve|" in line]
    assert "suser=" + ADMIN2 in event and "duser=" + ADMIN in event and \
        "reason=looked at it" in event
    event, = [line for line in trail if "|recall|" in line]
    assert "suser=" + ADMIN in event and "approver=" + ADMIN2 in event
    event, = [line for line in trail if "|approvals|" in line and
              "suser=" + ADMIN2 in line]
    assert "cs6=" + recall_id in event
    listed = service.curl("/v2/actions", token=token(service, ROOT))
    check_described("/v2/actions", "get", listed)
    assert listed.json()["actions"][0]["approver"] == ADMIN2


@pytest.mark.parametrize("login, asker, decision, status", [
    # never the one who asked, by whatever name
    (ADMIN, ADMIN, "approve", 403), (ALIAS, ADMIN, "approve", 403),
    (ADMIN.upper(), ADMIN, "approve", 403), (ADMIN, ALIAS, "approve", 403),
    (ONE, TWO, "approve", 403), (ONE, ADMIN2, "approve", 403),
    (ADMIN2, ONE, "approve", 403), (ONE, ADMIN, "approve", 202),
    (ROOT, ROOT, "approve", 403),
    # but it may be taken back
    (ADMIN, ADMIN, "reject", 200),
    # role 2 decides nothing; another tenant's does not exist
    (U[0], ADMIN, "approve", 403), (U[0], ADMIN, "reject", 403),
    (BLUEADMIN, ADMIN, "approve", 404), (BLUEADMIN, ADMIN, "reject", 404),
    (ADMIN, ROOT, "approve", 404),
    (ADMIN2, ADMIN, "approve", 202), (ROOT, ADMIN, "approve", 202),
    (ROOT2, ROOT, "approve", 202), (ADMIN2, ADMIN, "reject", 200),
    (ADMIN, U[0], "approve", 202),
])
def test_who_decides(node, service, login, asker, decision, status):
    messageid = deliver(node, sender=U[0])
    PEOPLE.setdefault(login, PEOPLE.get(login.lower()))
    recall_id = ask(service, asker, messageid)
    answer = decide(service, login, recall_id, decision)
    assert answer.status == status, answer
    if status == 202:
        service.wait_recall(token(service, ROOT), recall_id)
        assert not any(has(node, user, messageid) for user in U)
        return
    assert all_have(node, messageid)
    assert state(service, recall_id)["state"] == \
        ("rejected" if status == 200 else "pending_approval")
    if status != 200:
        event = service.audit()[-1]
        assert "|approve-refused|" in event and "cs6=" + recall_id in event


def test_rejected(node, service):
    messageid = deliver(node)
    key = "-H", "Idempotency-Key: rejected"
    recall_id = ask(service, ADMIN, messageid, U, *key)
    # not a second request
    again = service.recall(token(service, ADMIN), messageid, U, *key)
    assert (again.status, again.json()["id"]) == (202, recall_id)
    assert again.json()["state"] == "pending_approval"
    assert len(waiting(service)) == 1
    assert decide(service, ADMIN2, recall_id, "reject",
                  reason="no phishing").json()["state"] == "rejected"
    seen = state(service, recall_id)
    assert (seen["state"], seen["success"], seen["decision"]) == \
        ("rejected", False, "no phishing")
    assert seen["progress"]["done"] == 0
    event, = [line for line in service.audit() if "|reject|" in line]
    assert "reason=no phishing" in event
    for decision in "approve", "reject":
        answer = decide(service, ROOT, recall_id, decision)
        assert (answer.status, answer.json()["state"]) == (409, "rejected")
    again = service.recall(token(service, ADMIN), messageid, U, *key)
    assert (again.status, again.json()["state"]) == (200, "rejected")
    assert waiting(service) == [] and all_have(node, messageid)
    # nothing to undo, either
    answer = service.recall(token(service, ROOT), cmd="restore", id=recall_id)
    assert answer.status == 409 and all_have(node, messageid)


def test_no_way_round_by_several_requests(node, service):
    messageid = deliver(node)
    mine = token(service, ADMIN)
    for user in U[:2]:
        assert service.recall(mine, messageid, [user]).status == 200
    # dry runs are no recalls, and other people have counts of their own
    assert service.recall(mine, messageid, U, dry_run=1).status == 200
    ask(service, ADMIN, messageid, U[2:3])
    assert service.recall(token(service, ADMIN2), messageid,
                          U[3:]).status == 200
    # what waits has reached nobody yet, and is not counted
    assert [a["users"] for a in waiting(service)] == [1]
    # an hour later
    with sqlite3.connect(service.dir / "journal.db") as db:
        db.execute("UPDATE recalls SET created = created - 3601")
    assert service.recall(mine, messageid, U[2:3]).status == 200
    assert not any(has(node, user, messageid) for user in U)


@pytest.mark.parametrize("first, second", [
    (ADMIN2, ONE), (ONE, ADMIN2), (ONE, TWO), (ALIAS, ADMIN)])
def test_no_way_round_by_aliases(node, service, first, second):
    messageid = deliver(node)
    assert service.recall(token(service, first), messageid,
                          U[:2]).status == 200
    ask(service, second, messageid, U[2:3])
    assert has(node, U[2], messageid)


def test_who_cannot_be_looked_up_waits(node, service):
    """It may be somebody who has recalled much under another name."""
    messageid = deliver(node)
    url = service.settings["doveadm.url"]
    service.set(doveadm__url="http://127.0.0.1:%d/doveadm/v1" % free_port(),
                doveadm__retries=0)
    service.reload()
    recall_id = ask(service, ADMIN, messageid, U[:1])
    service.set(doveadm__url=url)
    service.reload()
    assert decide(service, ADMIN2, recall_id).status == 202
    service.wait_recall(token(service, ROOT), recall_id)


def test_no_way_round_at_the_same_time(node, service):
    messageid = deliver(node)
    curls = [subprocess.Popen(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
         "-H", "Authorization: Bearer " + token(service, ADMIN),
         "--data-urlencode", "messageid=" + messageid, "-d",
         "emails=" + user, service.url + "/v2/actions/expunge"],
        stdout=subprocess.PIPE) for user in U]
    codes = sorted(curl.communicate()[0] for curl in curls)
    assert codes == [b"200", b"200", b"202", b"202"]
    assert len(waiting(service)) == 2
    assert sum(has(node, user, messageid) for user in U) == 2


def test_waits_through_a_restart(node, service):
    messageid = deliver(node)
    recall_id = ask(service, ADMIN, messageid, U, *ASYNC)
    service.kill()
    service.start()
    assert [one["id"] for one in waiting(service)] == [recall_id]
    assert all_have(node, messageid)
    assert decide(service, ROOT, recall_id).status == 202
    service.wait_recall(token(service, ROOT), recall_id)
    assert not any(has(node, user, messageid) for user in U)


def test_expires(node, service):
    messageid = deliver(node)
    recall_id = ask(service, ADMIN, messageid)
    other_id = ask(service, ADMIN, messageid)
    with sqlite3.connect(service.dir / "journal.db") as db:
        db.execute("UPDATE recalls SET created = created - 72 * 3600 - 1 "
                   "WHERE id = ?", (recall_id,))
    # even before anybody looks
    answer = decide(service, ADMIN2, recall_id)
    assert answer.status == 409
    service.wait_log("recall %s: nobody has approved it" % recall_id)
    assert state(service, recall_id)["state"] == "expired"
    assert [one["id"] for one in waiting(service)] == [other_id]
    event, = [line for line in service.audit()
              if "|approval-expired|" in line]
    assert "suser=" + ADMIN in event and "cs6=" + recall_id in event
    assert all_have(node, messageid)


@pytest.mark.log_errors("journal: no such table")
def test_expires_when_it_can_be_read_again(node, service):
    messageid = deliver(node)
    recall_id = ask(service, ADMIN, messageid)
    with sqlite3.connect(service.dir / "journal.db") as db:
        db.execute("ALTER TABLE verdicts RENAME TO aside")
        db.execute("UPDATE recalls SET created = created - 73 * 3600")
    service.wait_log("journal: no such table")
    with sqlite3.connect(service.dir / "journal.db") as db:
        db.execute("ALTER TABLE aside RENAME TO verdicts")
    service.wait_log("recall %s: nobody has approved it" % recall_id)
    assert state(service, recall_id)["state"] == "expired"


@pytest.mark.log_errors("messages would be deleted, not 1")
def test_more_mail_than_was_approved_stays(node, service):
    """Of a query no more is deleted than was counted when it was asked."""
    messageid = deliver(node, U[:1], subject="Approval grows")
    recall_id = ask(service, ADMIN, None, U[:1], yes_count=1,
                    query='["SUBJECT","Approval grows"]')
    second = deliver(node, U[:1], subject="Approval grows")
    decide(service, ADMIN2, recall_id)
    done = service.wait_recall(token(service, ROOT), recall_id)
    assert done["summary"] == {"error": 1}
    assert has(node, U[0], messageid) and has(node, U[0], second)


def test_that_it_is_from_everyone_is_said(node, service):
    messageid = deliver(node)
    ask(service, ROOT, messageid, None, all=1)
    one, = waiting(service)
    assert (one["all"], one["users"], one["samples"]) == (True, 0, [])
    assert one["messageid"] == messageid
    assert all_have(node, messageid)


def test_everyone_is_more_than_any_limit(node):
    """Be it of one user: nobody has counted them yet."""
    with Service(node, approval__users=1) as service:
        messageid = deliver(node)
        ask(service, ROOT, messageid, None, all=1)
        assert all_have(node, messageid)


def test_only_what_may_be_seen_is_shown(node, service):
    messageid = deliver(node, U + [BLUE])
    own = ask(service, ADMIN, messageid, U + [BLUE])
    of_root = ask(service, ROOT, messageid, U + [BLUE])
    assert {one["id"] for one in waiting(service)} == {own, of_root}
    one, = waiting(service, ADMIN2)
    # an administrator sees no header of another tenant's mail
    assert one["id"] == own
    assert BLUE not in [s["email"] for s in one["samples"]]
    assert waiting(service, BLUEADMIN) == []
    answer = service.curl("/v2/approvals", token=token(service, U[0]))
    assert answer.status == 403


@pytest.mark.parametrize("data, name", [
    ([], "DECISION"), (["decision="], "DECISION"),
    (["decision=yes"], "DECISION"), (["decision=approve", "x=1"], "X"),
    (["decision=approve", "reason=" + "x" * 1025], "REASON")])
def test_bad_decisions(node, service, data, name):
    messageid = deliver(node)
    recall_id = ask(service, ADMIN, messageid)
    args = [arg for pair in data for arg in ("-d", pair)] or ["-d", ""]
    answer = service.curl("/v2/approvals/" + recall_id, *args,
                          token=token(service, ROOT))
    assert answer.status == 400 and list(answer.json()["message"]) == [name]
    assert len(waiting(service)) == 1 and all_have(node, messageid)


def test_what_is_no_pending_recall(node, service):
    messageid = deliver(node, U[:1])
    done = service.recall(token(service, ADMIN), messageid,
                          U[:1]).json()["id"]
    for recall_id in done, "0" * 32, "x":
        assert decide(service, ROOT, recall_id).status == 404


def test_off_by_default(node):
    with Service(node) as service:
        messageid = deliver(node)
        answer = service.recall(token(service, ADMIN), messageid, U, force=1)
        assert answer.status == 200
        assert answer.json()["state"] == "finished"
        assert waiting(service) == []


@pytest.fixture
def asker(node):
    """Somebody whose entry in the userdb a test changes."""
    login = "asker%d@example.com" % len(node.users)
    node.add_user(login, tenant_id="red", role="1")
    yield login
    if login in node.users:
        node.remove_user(login)


def ask_as(service, login, role, messageid, **params):
    answer = service.recall(service.token(login, role, "red"), messageid, U,
                            **params)
    assert answer.json()["state"] == "pending_approval", answer
    return answer.json()["id"]


LOST = "Who asked for the recall may not do so any more: "


def check_lost(node, service, recall_id, messageid, why):
    """That nobody can approve it, and that it is over."""
    answer = decide(service, ADMIN2, recall_id)
    assert answer.status == 409, answer
    assert answer.json() == {"message": LOST + why, "state": "rejected"}
    seen = state(service, recall_id)
    assert (seen["state"], seen["decision"]) == ("rejected", LOST + why)
    # it is nobody's decision
    assert "approver" not in seen
    event = [line for line in service.audit() if "|approve-refused|" in line
             ][-1]
    assert "suser=" + ADMIN2 in event and "cs6=" + recall_id in event and \
        "cn1=409" in event and why in event
    assert decide(service, ROOT, recall_id).status == 409
    assert waiting(service) == [] and all_have(node, messageid)


@pytest.mark.parametrize("fields, why", [
    (None, "there is no such user any more, or it is locked"),
    ({"tenant_id": "red", "role": "1", "inetUserStatus": "0"},
     "there is no such user any more, or it is locked"),
    ({"tenant_id": "red", "role": "2"}, "the role is not what it was"),
    ({"tenant_id": "blue", "role": "1"}, "the tenant is another one now")])
def test_asker_who_lost_the_right(node, service, asker, fields, why):
    messageid = deliver(node)
    recall_id = ask_as(service, asker, 1, messageid)
    if fields is None:
        node.remove_user(asker)
    else:
        node.add_users({asker: fields})
    check_lost(node, service, recall_id, messageid, why)


@pytest.mark.parametrize("fields", [
    {"tenant_id": "red", "role": "1"}, {"tenant_id": "red", "role": "3"}])
def test_asker_who_has_it_still(node, service, asker, fields):
    messageid = deliver(node)
    recall_id = ask_as(service, asker, 1, messageid)
    node.add_users({asker: fields})
    assert decide(service, ADMIN2, recall_id).status == 202
    service.wait_recall(token(service, ROOT), recall_id)
    assert not any(has(node, user, messageid) for user in U)


def test_asker_whose_tokens_were_revoked(node, service, asker):
    messageid = deliver(node)
    before = ask_as(service, asker, 1, messageid)
    # who asks for another one is not meant
    other = ask(service, ADMIN, messageid)
    answer = service.curl("/v2/auth/revocations", "-d", "login=" + asker,
                          token=token(service, ROOT))
    assert answer.status == 200
    decide(service, ROOT, other, "reject")
    check_lost(node, service, before, messageid, "the tokens were revoked")


def test_asker_whose_address_is_another_s_now(node, service, asker):
    alias = "of-" + asker
    node.add_users({asker: {"tenant_id": "red", "role": "2", "alias": alias}})
    messageid = deliver(node, sender=alias)
    recall_id = ask_as(service, asker, 2, messageid)
    node.add_users({asker: {"tenant_id": "red", "role": "2"}})
    check_lost(node, service, recall_id, messageid,
               "an address of the sender belongs to somebody else now")


@pytest.mark.parametrize("setting, why", [
    ("auth__revoke_email", "users may not recall any more"),
    ("auth__force_revoke", "users may not force a recall any more")])
def test_what_users_may_not_do_any_more(node, service, setting, why):
    messageid = deliver(node, sender=U[0])
    recall_id = ask_as(service, U[0], 2, messageid, force=1)
    service.set(**{setting: "no"})
    assert service.reload() == "reloaded"
    check_lost(node, service, recall_id, messageid, why)


def test_asker_who_cannot_be_looked_up(node, service, asker):
    """It still waits then."""
    messageid = deliver(node)
    recall_id = ask_as(service, asker, 1, messageid)
    url = service.settings["doveadm.url"]
    service.set(doveadm__url="http://127.0.0.1:%d/doveadm/v1" % free_port(),
                doveadm__retries=0)
    service.reload()
    assert decide(service, ADMIN2, recall_id).status == 502
    service.set(doveadm__url=url)
    service.reload()
    assert decide(service, ADMIN2, recall_id).status == 202
    service.wait_recall(token(service, ROOT), recall_id)


def test_asker_whom_the_userdb_does_not_know(node, service):
    """Roles of another issuer's tokens."""
    service.set(approval__check_asker="no")
    service.reload()
    messageid = deliver(node)
    recall_id = ask_as(service, "elsewhere@example.net", 1, messageid)
    assert decide(service, ADMIN2, recall_id).status == 202
    service.wait_recall(token(service, ROOT), recall_id)
    assert not any(has(node, user, messageid) for user in U)


def test_what_runs_goes_on(node, service, asker):
    """What was begun with the right to do so, even after a crash."""
    messageid = deliver(node)
    root = token(service, ROOT)
    assert service.curl("/v2/stop", "-d", "", token=root).status == 200
    answer = service.recall(service.token(asker, 1, "red"), messageid, U[:1],
                            *ASYNC)
    recall_id = answer.json()["id"]
    wait_for(lambda: state(service, recall_id)["state"] == "paused",
             "a pause")
    node.remove_user(asker)
    service.kill()
    service.start()
    wait_for(lambda: state(service, recall_id)["state"] == "paused",
             "a pause")
    assert service.curl("/v2/stop", "-X", "DELETE", token=root).status == 200
    done = service.wait_recall(root, recall_id)
    assert done["summary"] == {"expunged": 1}


def test_what_stands_goes_on(node, service, asker):
    messageid = deliver(node)
    root = token(service, ROOT)
    answer = service.recall(service.token(asker, 1, "red"), messageid, U[:1],
                            stand="1h")
    assert statuses(answer) == {U[0]: "expunged"}
    node.remove_user(asker)
    node.lmtp_deliver(U[:1], build_message(messageid))
    wait_for(lambda: not has(node, U[0], messageid), "a late copy to go")
    path = "/v2/standing/" + answer.json()["id"]
    assert service.curl(path, "-X", "DELETE", token=root).status == 200
    node.lmtp_deliver(U[:1], build_message(messageid))
    assert has(node, U[0], messageid)


def test_samples_of_a_node_that_does_not_answer(node):
    """Who looks at what waits does not wait for it again and again."""
    dead = "http://127.0.0.1:%d/doveadm/v1" % free_port()
    with Service(node, approval__force="yes", doveadm__url=dead,
                 doveadm__retries=0) as service:
        for number in range(3):
            answer = service.recall(token(service, ADMIN), "<%d@a>" % number,
                                    U[:1], force=1)
            assert answer.json()["state"] == "pending_approval"
        assert [recall["samples"] for recall in waiting(service)] == [[]] * 3
        assert service.log().count("doveadm: recall search: ") == 1
