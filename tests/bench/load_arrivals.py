#!/usr/bin/python3
"""Sends recalls at a constant rate, or as fast as so many clients can.

A process of its own for load.py: JSON on standard input says what to send, JSON on
standard output what came of it.

    port, token     of mail-recalld
    requests        [user, message-id, verdict that is due], ...
    clients         connections, each of which sends one request at a time
    rate            requests a second; 0: the next one as soon as a client is free

A request of a rate is due at its own time, however long those before it take, and
its latency counts from then: one that nobody was free to send is one that a sender
of mail would have waited for, too ("coordinated omission" is to leave that out).
Clients have to be so many that this is the server's doing, not theirs.
"""

import http.client
import json
import sys
import threading
import time

PATIENCE = 60
# until all threads have begun
HEAD_START = 0.2


class Client:
    def __init__(self, port, token):
        self.connection = http.client.HTTPConnection("127.0.0.1", port,
                                                     timeout=PATIENCE)
        self.headers = {"Authorization": "Bearer " + token,
                        "Content-Type": "application/json"}

    def recall(self, user, message_id):
        """Returns the verdict, or what was answered instead."""
        self.connection.request("POST", "/v2/actions/expunge", json.dumps(
            {"emails": [user], "messageid": message_id, "notify": 0}),
            self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            return "%d %r" % (answer.status, text)
        return json.loads(text)["results"][0]["status"]


class Arrivals:
    def __init__(self, job):
        self.job = job
        self.requests = job["requests"]
        self.lock = threading.Lock()
        self.next = 0
        # of each request: when it was due, sent and answered
        self.times = [None] * len(self.requests)
        self.wrong = []
        self.begin = time.perf_counter() + HEAD_START

    def take(self):
        with self.lock:
            self.next += 1
            return self.next - 1

    def work(self):
        client = Client(self.job["port"], self.job["token"])
        rate = self.job["rate"]
        while True:
            n = self.take()
            if n >= len(self.requests):
                return
            due = self.begin + (n / rate if rate else 0)
            early = due - time.perf_counter()
            if early > 0:
                time.sleep(early)
            user, message_id, verdict = self.requests[n]
            sent = time.perf_counter()
            answer = client.recall(user, message_id)
            self.times[n] = (due if rate else sent, sent,
                             time.perf_counter())
            if answer != verdict:
                self.wrong.append([user, message_id, verdict, answer])

    def run(self):
        threads = [threading.Thread(target=self.work)
                   for i in range(self.job["clients"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answered = [each for each in self.times if each is not None]
        return {
            "seconds": max(each[2] for each in answered) - self.begin,
            "latency": [done - due for due, sent, done in answered],
            "late": [sent - due for due, sent, done in answered],
            "wrong": self.wrong,
        }


def main():
    json.dump(Arrivals(json.load(sys.stdin)).run(), sys.stdout)


if __name__ == "__main__":
    main()
