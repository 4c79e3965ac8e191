#!/usr/bin/python3
"""What a recall costs through mail-recalld, next to doveadm's HTTP API.

Prints a line a figure, "bench NAME VALUE UNIT". A private Dovecot and a private
mail-recalld are asked in turn, each for its own users, who all have the
message.

Environment:
    BENCH_ROUNDS    5        rounds; the figures are medians over all requests
    BENCH_RECALLS   100      recalls a round through each of the two
    BENCH_BATCH     10000    addresses of the large request, users without mail
    BENCH_CLIENTS   8        clients at a time for recalls per second
and those of mailnode.py.
"""

import base64
import http.client
import json
import os
import pathlib
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent /
                        "support"))

from mailnode import build_message  # noqa: E402
from servicenode import RecallNode, Service  # noqa: E402


def number(name, default):
    return int(os.environ.get("BENCH_" + name) or default)


ROUNDS = number("ROUNDS", 5)
RECALLS = number("RECALLS", 100)
BATCH = number("BATCH", 10000)
CLIENTS = number("CLIENTS", 8)


def figure(name, value, unit):
    print("bench %s %.6g %s" % (name, value, unit), flush=True)


class Client:
    """post() returns seconds and the answer. The connection is kept if the
    server keeps it."""

    def __init__(self, port, path, authorization):
        self.connection = http.client.HTTPConnection("127.0.0.1", port,
                                                     timeout=600)
        self.path = path
        self.headers = {"Authorization": authorization,
                        "Content-Type": "application/json"}

    def post(self, body):
        body = json.dumps(body)
        begin = time.perf_counter()
        self.connection.request("POST", self.path, body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        seconds = time.perf_counter() - begin
        if answer.status != 200:
            raise AssertionError("%d %r" % (answer.status, text))
        return seconds, json.loads(text)


class Direct(Client):
    def __init__(self, node, service):
        login = "doveadm:" + node.doveadm_password
        super().__init__(node.http_port, "/doveadm/v1", "Basic " +
                         base64.b64encode(login.encode()).decode())

    def recall(self, users, message_id):
        seconds, answer = self.post([["recallExpunge", {
            "users": users, "messageId": message_id, "noNotify": True}, "1"]])
        return seconds, [row["status"] for row in answer[0][1]]


class Through(Client):
    def __init__(self, node, service):
        super().__init__(service.port, "/v2/actions/expunge",
                         "Bearer " + service.token())

    def recall(self, users, message_id):
        seconds, answer = self.post({
            "emails": users, "messageid": message_id, "notify": 0})
        return seconds, [row["status"] for row in answer["results"]]


def overhead(node, service, users):
    """Each recalls from its own half of the users, one at a time, in turn."""
    clients = [Direct(node, service), Through(node, service)]
    seconds = [[], []]
    for turn in range(ROUNDS):
        message_id = "<overhead.%d@example.com>" % turn
        node.lmtp_deliver(users, build_message(message_id))
        for pair in zip(users[0::2], users[1::2]):
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                spent, statuses = clients[which].recall([pair[which]],
                                                        message_id)
                assert statuses == ["expunged"], statuses
                seconds[which].append(spent)
    direct, through = map(statistics.median, seconds)
    figure("service_direct", direct * 1000, "ms")
    figure("service_through", through * 1000, "ms")
    figure("service_overhead_ratio", through / direct, "ratio")


def rate(node, service, users):
    message_id = "<rate@example.com>"
    node.lmtp_deliver(users, build_message(message_id))
    rest, lock, failed = list(users), threading.Lock(), []

    def work():
        client = Through(node, service)
        while True:
            with lock:
                if not rest:
                    return
                user = rest.pop()
            if client.recall([user], message_id)[1] != ["expunged"]:
                failed.append(user)

    threads = [threading.Thread(target=work) for i in range(CLIENTS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    figure("http_recalls_per_s", len(users) / (time.perf_counter() - begin),
           "1/s")


def batch(node, service):
    users = ["many%d@example.com" % i for i in range(BATCH)]
    node.add_users({user: {} for user in users})
    client = Through(node, service)
    seconds, statuses = client.recall(users, "<nobody.has@example.com>")
    assert set(statuses) == {"not_found"}, set(statuses)
    figure("http_batch_%d_s" % BATCH, seconds, "s")


def resident(service):
    status = pathlib.Path("/proc/%d/status" % service.process.pid).read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def main():
    users = ["user%d@example.com" % i for i in range(2 * RECALLS)]
    with RecallNode(users=users, fsync=True) as node, \
            Service(node, log__level="info") as service:
        overhead(node, service, users)
        rate(node, service, users)
        figure("service_rss", resident(service), "KiB")
        batch(node, service)
        figure("service_rss_after_batch", resident(service), "KiB")


if __name__ == "__main__":
    main()
