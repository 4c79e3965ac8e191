#!/usr/bin/python3
"""mail-recalld and a private Dovecot under load, on loopback.

connections     thousands of clients that are silent, or stop within a request:
                others are answered, and all is given back
endurance       recalls one after the other through one mail-recalld and one
                doveadm-server: memory, descriptors, time
latency         recalls at half of the rate that was the most just before

Prints tables for docs/testing.md. Exit status 1, with a traceback, if an answer is
wrong or something is not given back; 77 if so many descriptors are not allowed.
Environment: that of mailnode.py.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from bench import machine  # noqa: E402
from load_arrivals import Client  # noqa: E402
from load_figures import (Process, mib, quantile, slope,  # noqa: E402
                          table, table_row, until, until_files,
                          until_files_at_most, until_quiet)
from mailnode import PATIENCE, build_message, free_port  # noqa: E402
from servicenode import RecallNode, Service  # noqa: E402

# connections from one address, fewer than one may have
PER_ADDRESS = 100
# descriptors that we need for anything else
FILES_EXTRA = 1000
# connections that a listener's queue has room for
QUEUE = 500
# connections to Dovecot that are kept for the next time, but not for ever
KEPT = 2
# seconds for which the service waits for clients who are to be dropped
IMPATIENCE = 5
# seconds for which it waits for all others: longer than any part lasts
FOREVER = 24 * 3600
# What memory may grow by, for reasons of the allocator's or the sanitizers' own:
# less than a long run leaks with 1 KB a recall or 7 KB a connection
GROWTH = 64 << 20
# octets a recall that are still called flat
FLAT = 64
# of so many recalls one finds a message
MIX = 10
# clients that find out what is most, and those that keep to a rate
CLIENTS = 8
RATE_CLIENTS = 128
MAX_ROUNDS = 3


def recalls(node, users, count, name):
    """Delivers what so many recalls are to find; returns them as (user,
    Message-ID, verdict)."""
    wanted = []
    for n in range(count):
        hit, rest = divmod(n, MIX)
        turn, which = divmod(hit, len(users))
        if rest == 0:
            message_id = "<%s.%d@example.com>" % (name, turn)
            if which == 0:
                node.lmtp_deliver(users, build_message(message_id))
            wanted.append((users[which], message_id, "expunged"))
        else:
            wanted.append((users[n % len(users)],
                           "<nobody.%s.%d@example.com>" % (name, n),
                           "not_found"))
    return wanted


# connections


def half_sent(kind, token):
    """What such a client sends before it falls silent."""
    head = "POST /v2/actions/expunge HTTP/1.1\r\nHost: localhost\r\n"
    return [b"", (head + "Authorization: Bea").encode(),
            (head + "Authorization: Bearer %s\r\nContent-Length: 100\r\n"
             "Content-Type: application/json\r\n\r\n{\"emails\"" %
             token).encode()][kind % 3]


def flood(service, count, token, address=None, taken=None):
    """That many connections: idle ones, half a head, half a body. taken(n)
    waits until so many are taken: of what the listener's queue has no room
    for the kernel hears later, if nothing is sent then, up to a minute."""
    socks = []
    for i in range(count):
        if taken and i % QUEUE == 0:
            taken(i)
        host, rest = divmod(i // PER_ADDRESS, 250)
        sock = socket.create_connection(
            ("127.0.0.1", service.port), PATIENCE,
            (address or "127.0.%d.%d" % (1 + host, 1 + rest), 0))
        socks.append(sock)
        # one over the limit may be closed by now
        with contextlib.suppress(ConnectionError):
            sock.sendall(half_sent(i, token))
        sock.setblocking(False)
    return socks


def is_open(sock):
    try:
        while sock.recv(65536):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def until_open(socks, count):
    def check():
        now = sum(map(is_open, socks))
        return now == count or now

    until("connections, not %d" % count, check)


def close(socks):
    for sock in socks:
        sock.close()


def alive(port):
    """Asks the listener of health 20 times; returns the longest ms."""
    longest = 0
    for i in range(20):
        begin = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port,
                                                timeout=PATIENCE)
        connection.request("GET", "/health/live")
        status = connection.getresponse().status
        connection.close()
        assert status == 200, status
        longest = max(longest, time.perf_counter() - begin)
    return longest * 1000


class Silent:
    """The service with its listener of health, and a user who has mail."""

    def __init__(self, node, user, **settings):
        self.node = node
        self.user = user
        self.health = free_port()
        self.service = Service(node, log__level="info",
                               http__health_port=self.health, **settings)
        self.count = 0

    def __enter__(self):
        self.service.start()
        self.token = self.service.token(exp=int(time.time()) + FOREVER)
        self.process = Process(self.service.process.pid)
        # what the first ones leave open is not the clients' doing
        alive(self.health)
        self.recall()
        until_quiet(self.service.port, self.health)
        self.files = self.process.files()
        return self

    def __exit__(self, *args):
        return self.service.__exit__(*args)

    def taken(self, count):
        """Waits until there are so many connections of clients."""
        until_files(self.process, self.files + count, KEPT)

    def deliver(self):
        self.count += 1
        message_id = "<%s.%d@example.com>" % (self.health, self.count)
        self.node.lmtp_deliver(self.user, build_message(message_id))
        return message_id

    def recall(self):
        """One that finds a message, from an address of its own; returns ms."""
        message_id = self.deliver()
        begin = time.perf_counter()
        client = Client(self.service.port, self.token)
        verdict = client.recall(self.user, message_id)
        client.connection.close()
        assert verdict == "expunged", verdict
        return (time.perf_counter() - begin) * 1000


def many_addresses(node, user, count):
    """Twice, as what the allocator keeps for the next time is no leak: each
    connection has http.max_header of the heap, of which other pages become
    resident each time."""
    with Silent(node, user, http__max_connections=count + PER_ADDRESS,
                http__idle_timeout=FOREVER,
                http__request_timeout=FOREVER) as silent:
        before = silent.process.rss()
        rows, after = [], []
        for turn in range(2):
            begin = time.perf_counter()
            socks = flood(silent.service, count, silent.token,
                          taken=silent.taken)
            silent.taken(count)
            seconds = time.perf_counter() - begin
            health, recall = alive(silent.health), silent.recall()
            held = silent.process.rss()
            until_open(socks, count)
            close(socks)
            until_files(silent.process, silent.files, KEPT)
            after.append(silent.process.allocated())
            rows.append((count, silent.files, silent.files + count,
                         silent.process.files(), mib(before), mib(held),
                         mib(silent.process.rss()), mib(after[-1]), seconds,
                         health, recall))
        table(["connections", "descriptors before", "held", "after",
               "MiB before", "held", "after", "allocated after",
               "s to connect", "/health/live ms", "recall ms"], *rows)
        assert after[1] - after[0] < GROWTH, after


def one_address(node, user, limit):
    with Silent(node, user,
                http__max_connections_per_address=limit) as silent:
        socks = flood(silent.service, 4 * limit, silent.token, "127.0.200.1")
        until_open(socks, limit)
        until_files(silent.process, silent.files + limit, KEPT)
        health, recall = alive(silent.health), silent.recall()
        close(socks)
        until_files(silent.process, silent.files, KEPT)
        table(["from one address", "kept", "descriptors after",
               "/health/live ms", "recall from another, ms"],
              (4 * limit, limit, silent.process.files(), health, recall))


def full(node, user, limit):
    """As many again as there may be: all wait for their turn, and are dropped
    after it. So a recall has its turn, too."""
    with Silent(node, user, http__max_connections=limit,
                http__idle_timeout=IMPATIENCE,
                http__request_timeout=IMPATIENCE) as silent:
        socks = flood(silent.service, 2 * limit, silent.token)
        health, recall = alive(silent.health), silent.recall()
        until_open(socks, 0)
        close(socks)
        until_files(silent.process, silent.files, KEPT)
        table(["connections", "allowed", "dropped", "descriptors after",
               "/health/live ms", "recall s"],
              (2 * limit, limit, 2 * limit, silent.process.files(), health,
               recall / 1000))


def files_allowed(count):
    """Allows for so many connections; returns what is wrong if it can't."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    need = count + FILES_EXTRA
    if hard != resource.RLIM_INFINITY and hard < need:
        return "%d descriptors are needed, %d allowed" % (need, hard)
    return None


@contextlib.contextmanager
def allow_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (max(soft, count + FILES_EXTRA), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connections(count, limit=256):
    user = "user@example.com"
    with allow_files(count), RecallNode(users=[user]) as node:
        many_addresses(node, user, count)
        one_address(node, user, limit)
        # so many the kernel keeps for us, too: net.core.somaxconn is 4096
        full(node, user, min(count // 2, 4000))
        assert node.panics() == []


# endurance


ONE_DOVEADM = """\
service doveadm {
  process_limit = 1
  process_min_avail = 1
}
"""


class Window:
    """What recalls took, and what the processes are like after them."""

    def __init__(self, done, seconds, processes, cpu):
        self.done = done
        self.p50 = quantile(seconds, 0.5) * 1000
        self.p99 = quantile(seconds, 0.99) * 1000
        self.rss = [process.rss() for process in processes]
        self.files = [process.files() for process in processes]
        self.cpu = [(process.cpu() - before) / len(seconds) * 1000
                    for process, before in zip(processes, cpu)]


def only_doveadm(node):
    pids = [pid for pid, name in node._children().items()
            if name == "doveadm-server"]
    assert len(pids) == 1, pids
    return pids[0]


def window(client, wanted, processes, done):
    seconds = []
    cpu = [process.cpu() for process in processes]
    for user, message_id, verdict in wanted:
        begin = time.perf_counter()
        answer = client.recall(user, message_id)
        seconds.append(time.perf_counter() - begin)
        assert answer == verdict, (user, message_id, verdict, answer)
    return Window(done + len(wanted), seconds, processes, cpu)


def trends(windows):
    """What is flat over these windows, and what is not."""
    rows = []
    for which, name in enumerate(["mail-recalld", "doveadm-server"]):
        octets = slope([(w.done, w.rss[which]) for w in windows])
        rows.append(("memory of " + name, "%.1f octets a recall" % octets,
                     "flat" if octets < FLAT else "grows"))
        each = slope([(w.done, w.cpu[which]) for w in windows])
        share = each * (windows[-1].done - windows[0].done) / \
            (statistics.median(w.cpu[which] for w in windows) or 1)
        rows.append(("processor time of %s a recall" % name,
                     "%+.0f %% from first to last" % (100 * share),
                     "flat" if share < 0.1 else "grows"))
    table(["trend", "slope", ""], *rows)


def endurance(count, windows, users=100):
    users = ["load%d@example.com" % i for i in range(users)]
    size = count // windows
    with RecallNode(users=users, doveadm_requests=10 ** 9,
                    extra=ONE_DOVEADM) as node, \
            Service(node, log__level="info", doveadm__connections=1,
                    doveadm__connections_per_recall=1,
                    http__idle_timeout=FOREVER) as service:
        client = Client(service.port,
                        service.token(exp=int(time.time()) + FOREVER))
        # what stays open is open after these
        for user, message_id, verdict in recalls(node, users, MIX, "first"):
            assert client.recall(user, message_id) == verdict
        pid = only_doveadm(node)
        processes = [Process(service.process.pid), Process(pid)]
        files = [process.files() for process in processes]
        results = []
        table(["recalls", "MiB mail-recalld", "doveadm-server",
               "descriptors", "", "p50 ms", "p99 ms",
               "processor ms mail-recalld", "doveadm-server"])
        for n in range(windows):
            wanted = recalls(node, users, size, "turn%d" % n)
            w = window(client, wanted, processes, n * size)
            table_row(w.done, *map(mib, w.rss), *w.files, w.p50, w.p99,
                      *w.cpu)
            results.append(w)
            for process, at_first in zip(processes, files):
                # one of each for what it does now and then
                until_files_at_most(process, at_first + 2)
        assert only_doveadm(node) == pid
        assert node.panics() == []
        # the first one fills caches
        if windows > 3:
            trends(results[1:])
        for first, last in zip(results[0].rss, results[-1].rss):
            assert last - first < GROWTH, (first, last)


# latency


def arrivals(service, wanted, clients, rate):
    done = subprocess.run(
        [sys.executable, str(HERE / "load_arrivals.py")], check=True,
        input=json.dumps({
            "port": service.port, "requests": wanted, "clients": clients,
            "rate": rate,
            "token": service.token(exp=int(time.time()) + FOREVER)}),
        stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout)
    assert result["wrong"] == [], result["wrong"][:10]
    assert len(result["latency"]) == len(wanted)
    return result


def percentiles(what, result):
    return (what, len(result["latency"]) / result["seconds"],
            *[quantile(result["latency"], part) * 1000
              for part in (0.5, 0.99, 0.999, 1)],
            quantile(result["late"], 0.99) * 1000)


def latency(count, users=100):
    users = ["load%d@example.com" % i for i in range(users)]
    rows, rates = [], []
    with RecallNode(users=users) as node, \
            Service(node, log__level="info",
                    http__idle_timeout=FOREVER) as service:
        for n in range(MAX_ROUNDS):
            wanted = recalls(node, users, max(count // 10, MIX),
                             "most%d" % n)
            result = arrivals(service, wanted, CLIENTS, 0)
            rows.append(percentiles("%d clients" % CLIENTS, result))
            rates.append(rows[-1][1])
        wanted = recalls(node, users, count, "half")
        rate = statistics.median(rates) / 2
        result = arrivals(service, wanted, RATE_CLIENTS, rate)
        rows.append(percentiles("%d at %.0f a second" % (count, rate),
                                result))
        assert node.panics() == []
    table(["load", "recalls a second", "p50 ms", "p99 ms", "p99.9 ms",
           "longest ms", "sent late, p99 ms"], *rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--recalls", type=int, default=100000)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--arrivals", type=int, default=30000)
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help="connections, endurance, latency (default: all)")
    args = parser.parse_args()
    parts = {
        "connections": lambda: connections(args.connections),
        "endurance": lambda: endurance(args.recalls, args.windows),
        "latency": lambda: latency(args.arrivals),
    }
    wanted = args.parts or list(parts)
    if not set(wanted) <= set(parts):
        parser.error("no such part")
    if "connections" in wanted:
        missing = files_allowed(args.connections)
        if missing:
            print(missing)
            return 77
    machine()
    for part in wanted:
        begin = time.monotonic()
        parts[part]()
        print("\n# %s: %.0f s" % (part, time.monotonic() - begin), flush=True)
    print("passed: " + ", ".join(wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
