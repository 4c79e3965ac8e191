"""Users who move between nodes, and nodes that come and go: two Dovecots that
have mail, one in front that proxies, and mail-recalld. What has to be done then is
in docs/operators-guide.md."""

import os
import shutil

import pytest

from answers import ask
from faults import wait_for
from mailnode import build_message, free_port
from quarantine import LOCATIONS, NAMESPACE, PREFIX
from servicenode import ProxyNode, RecallNode, Service

USER = "mover@example.com"


class Front(ProxyNode):
    """Says where the user's mail is."""

    def __init__(self, ports, **options):
        self.ports = ports
        self.where = "one"
        super().__init__(**options)

    def _write_users(self):
        super()._write_users()
        path = self.dir / "users"
        path.write_text("".join(
            "%s port=%d\n" % (line, self.ports[self.where])
            for line in path.read_text().splitlines()))
        # auth goes by the second and the size
        os.utime(path, (self.users_stamp, self.users_stamp))

    def move(self, name):
        self.where = name
        self._write_users()
        port = "port      : %d\n" % self.ports[name]
        wait_for(lambda: port in self.doveadm("auth", "lookup", USER).stdout)


def make_back(port):
    listener = "service doveadm {\n  inet_listener tcp {\n    port = %d\n" \
        "  }\n}\n" % port
    return RecallNode(users=[USER], plugin={"recall_quarantine": PREFIX},
                      extra=NAMESPACE % (PREFIX, LOCATIONS["sdbox"]) +
                      listener)


@pytest.fixture(scope="module")
def cluster():
    ports = {name: free_port() for name in ("one", "two")}
    with make_back(ports["one"]) as one, make_back(ports["two"]) as two, \
            Front(ports, users=[USER],
                  extra="doveadm_port = 1\n") as front, \
            Service(front) as service:
        yield one, two, front, service
        for node in one, two, front:
            assert node.panics() == []


@pytest.fixture(autouse=True)
def lives_on_one(cluster):
    one, two, front, service = cluster
    front.move("one")
    yield
    for node in one, two:
        shutil.rmtree(node.home(USER), ignore_errors=True)


def recall(service, message_id, **params):
    answer = service.recall(service.token(), message_id, [USER], notify=0,
                            **params).json()
    return answer["id"], answer["results"][0]["status"]


def restore(service, recall_id):
    answer = ask(service, service.token(), cmd="restore", id=recall_id).json()
    return answer["results"][0]["status"]


def move_files(one, two):
    """As rsync does."""
    home = two.home(USER)
    shutil.copytree(one.home(USER), home, symlinks=True)
    owner = one.home(USER).stat()
    for path in [home, *home.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    shutil.rmtree(one.home(USER))


def test_files_that_were_moved(cluster, message_id):
    """Index and quarantine are among them."""
    one, two, front, service = cluster
    one.lmtp_deliver([USER], build_message(message_id))
    recall_id, status = recall(service, message_id)
    assert status == "expunged"
    move_files(one, two)
    front.move("two")
    assert recall(service, message_id)[1] == "not_found"
    assert restore(service, recall_id) == "restored"
    assert recall(service, message_id)[1] == "expunged"


@pytest.mark.parametrize("named", [False, True])
def test_moved_by_dsync(cluster, message_id, named):
    """The quarantine has to be named; until then it is where it was."""
    one, two, front, service = cluster
    for each in message_id, "<other.of.dsync@example.com>":
        one.lmtp_deliver([USER], build_message(each))
    recall_id, status = recall(service, message_id)
    assert status == "expunged"
    names = ["-n", "", "-n", PREFIX] if named else []
    # what is in the environment is the first one's
    one.doveadm("backup", *names, "-u", USER, "env", "-i", "PATH=/usr/bin:/bin",
                *two.doveadm_command("dsync-server", "-u", USER))
    front.move("two")
    assert restore(service, recall_id) == (
        "restored" if named else "not_found")
    assert recall(service, "<other.of.dsync@example.com>")[1] == "expunged"
    if not named:
        front.move("one")
        assert restore(service, recall_id) == "restored"


def test_order_of_a_user_who_moves(cluster, message_id):
    """It is given to the new node, and takes what came before that, too."""
    one, two, front, service = cluster
    recall_id, status = recall(service, message_id, stand="1h")
    move_files(one, two)
    front.move("two")
    two.lmtp_deliver([USER], build_message(message_id))
    assert len(two.messages(USER)) == 1
    two.doveadm("recall", "standing", "begin", "--users", USER, "--stand",
                "1h", "--no-notify", "--recall-id", recall_id, message_id)
    two.doveadm("recall", "standing", "run", recall_id)
    assert two.messages(USER) == []
    two.lmtp_deliver([USER], build_message(message_id))
    assert two.messages(USER) == []
    assert restore(service, recall_id) == "restored"
    assert len(two.messages(USER)) == 2


@pytest.fixture
def knowing(cluster):
    """A service that is told of the nodes behind the proxy."""
    one, two, front, _ = cluster
    with Service(front, doveadm__behind=" ".join([one.http_url, two.http_url]),
                 doveadm__retries=0, recall__late_interval=1) as service:
        yield service


def names_of(service, recall_id):
    answer = service.curl("/v2/actions/" + recall_id, token=service.token())
    standing = answer.json()["standing"]
    return set(standing["nodes"]), {node["name"] for node in
                                    standing["missing"]}


def test_order_follows_the_user(cluster, knowing, message_id):
    one, two, front, _ = cluster
    recall_id, status = recall(knowing, message_id, stand="1h")
    assert status == "not_found"
    move_files(one, two)
    front.move("two")
    two.lmtp_deliver([USER], build_message(message_id))
    assert two.messages(USER) == []
    # who was asked about the user was the proxy
    url = "/v2/actions/" + recall_id
    wait_for(lambda: knowing.curl(url, token=knowing.token()).json()["late"]
             == 1)
    answer = knowing.curl("/v2/standing/" + recall_id, "-X", "DELETE",
                          token=knowing.token())
    assert (answer.status, len(answer.json()["nodes"])) == (200, 3)
    two.lmtp_deliver([USER], build_message(message_id))
    assert len(two.messages(USER)) == 1


def test_order_reaches_a_node_that_was_down(cluster, knowing, message_id):
    """It looks for what has come meanwhile."""
    one, two, front, _ = cluster
    two.stop(remove=False)
    recall_id, status = recall(knowing, message_id, stand="1h")
    assert status == "not_found"
    name = "127.0.0.1:%d" % two.http_port
    assert names_of(knowing, recall_id)[1] == {name}
    front.move("two")
    ports = two.imap_port, two.lmtp_port, two.http_port
    # so that the message is there before the order
    knowing.stop()
    assert two._launch()
    assert ports == (two.imap_port, two.lmtp_port, two.http_port)
    two.lmtp_deliver([USER], build_message(message_id))
    assert len(two.messages(USER)) == 1
    knowing.start()
    wait_for(lambda: two.messages(USER) == [])
    wait_for(lambda: names_of(knowing, recall_id)[1] == set())


def test_stop_holds_behind_the_proxy(cluster, knowing, message_id):
    one, two, front, _ = cluster
    one.lmtp_deliver([USER], build_message(message_id))
    token = knowing.token()
    answer = knowing.curl("/v2/stop", "-X", "POST", token=token)
    assert answer.json()["success"] and len(answer.json()["nodes"]) == 3
    done = one.doveadm("recall", "expunge", "-u", USER, message_id,
                       check=False)
    assert "stopped" in done.stdout and len(one.messages(USER)) == 1
    answer = knowing.curl("/v2/stop", "-X", "DELETE", token=token)
    assert answer.json()["success"]
    assert recall(knowing, message_id)[1] == "expunged"


def test_order_and_nodes_of_the_settings(cluster, message_id):
    """A node that is new there is given it, one that is gone is not asked for."""
    one, two, front, service = cluster
    gone = free_port()
    text = "[nodes]\n%s = http://127.0.0.1:%d/doveadm/v1 %s.example\n"
    with Service(one, text=text % ("gone", gone, "gone")) as service:
        token = service.token()
        recall_id, status = recall(service, message_id, stand="1h")

        def standing():
            answer = service.curl("/v2/actions/" + recall_id, token=token)
            answer = answer.json()["standing"]
            return (set(answer["nodes"]),
                    {node["name"] for node in answer["missing"]})

        name = "127.0.0.1:%d"
        assert standing() == ({name % one.http_port}, {name % gone})
        service.text = text % ("two", two.http_port, "two")
        assert service.reload() == "reloaded"
        wait_for(lambda: standing() ==
                 ({name % one.http_port, name % two.http_port}, set()))
        assert recall_id in two.doveadm("recall", "standing", "list").stdout
