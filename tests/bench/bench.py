#!/usr/bin/python3
"""What a recall costs, next to what stock doveadm can do.

Prints a line a figure, "bench NAME VALUE UNIT": medians of BENCH_ROUNDS. Two
private Dovecots (tests/support/mailnode.py) serve the same mail, one with our modules
and one without; they are measured in turn, round by round. "Server" figures are
HTTP requests to a doveadm-server that lives on; what the same command costs for
a user without mail is subtracted from them where the name says net, and for
lookup_N_ratio. "Command"
figures are whole processes.

Environment:
    BENCH_ROUNDS    5        rounds of each comparison
    BENCH_LOOKUP    100000   messages in the mailbox that is searched
    BENCH_LARGE     1000000  messages in the larger one, mdbox; 0: none
    BENCH_USERS     1000     users that one recall reaches
    BENCH_ALL       2000     users that -A goes through
    BENCH_MESSAGES  10,1000  messages that each of them has besides: each is
                             measured, the last is what users_N_ratio and
                             all_N_ratio tell of
    BENCH_FOLDERS   30       folders of each user where those are what is measured
    BENCH_FOLDER_USERS  500  such users
    BENCH_DELIVER   300      LMTP deliveries a round, with mail_fsync as Dovecot
                             has it by default and with none
    BENCH_DELIVER_ROUNDS 9   such rounds, ours and stock in turn
    BENCH_ORDERS    1000     standing orders of which no delivery matches one
    BENCH_LATE      200      deliveries that a standing order recalls
    BENCH_ONLY      ""       parts, comma-separated: lookup, large, users,
                             all, folders, deliver, standing
    BENCH_CYRUS     /        where Cyrus's packages were unpacked
                             (bench_cyrus.py)
    BENCH_DIR       ""       where to work (default: a temporary directory)
and those of mailnode.py.
"""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import platform
import shutil
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent /
                        "support"))

import bench_cyrus  # noqa: E402
from exported import exported, seconds  # noqa: E402
from mailnode import (DOVECOT_24, DOVECOT_MODULES, MailNode,  # noqa: E402
                      build_message)


def number(name, default):
    return int(os.environ.get("BENCH_" + name) or default)


ROUNDS = number("ROUNDS", 5)
LOOKUP = number("LOOKUP", 100000)
LARGE = number("LARGE", 1000000)
USERS = number("USERS", 1000)
ALL = number("ALL", 2000)
MESSAGES = [int(text) for text in
            (os.environ.get("BENCH_MESSAGES") or "10,1000").split(",")]
DELIVER = number("DELIVER", 300)
DELIVER_ROUNDS = number("DELIVER_ROUNDS", 9)
ORDERS = number("ORDERS", 1000)
LATE = number("LATE", 200)
FOLDERS = number("FOLDERS", 30)
FOLDER_USERS = number("FOLDER_USERS", 500)
# messages in each folder
FOLDER_MESSAGES = 50
# seconds after which nothing that was delivered is new to a recall
SETTLE = 2.2
ONLY = [part for part in os.environ.get("BENCH_ONLY", "").split(",") if part]
# our measurements for each one of stock, where they are short
SHORT = 5
# recipients of one LMTP transaction
BATCH = 100
# which of the times of a measurement
WALL, CPU = range(2)


def say(text):
    print("# " + text, flush=True)


def bench(name, value, unit):
    print("bench %s %.4g %s" % (name, value, unit), flush=True)


def machine():
    cpu = memory = "?"
    with open("/proc/cpuinfo") as stream:
        for line in stream:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
    with open("/proc/meminfo") as stream:
        memory = stream.readline().split()[1]
    version = subprocess.run(["/usr/sbin/dovecot", "--version"],
                             capture_output=True, text=True).stdout.strip()
    say("machine: %s, %d cores, %d MiB, Linux %s" % (
        cpu, os.cpu_count(), int(memory) // 1024, platform.release()))
    say("dovecot %s; load %.1f" % (version, os.getloadavg()[0]))


def slowest_processor():
    """How many times longer the slowest processor takes for the same system calls
    than the fastest: those of a virtual machine need not be alike, and are not the
    same from one second to the next."""
    usual = os.sched_getaffinity(0)
    spent = []
    try:
        for processor in usual:
            os.sched_setaffinity(0, {processor})
            tries = []
            for _ in range(3):
                start = time.thread_time()
                for _ in range(5000):
                    os.stat(__file__)
                tries.append(time.thread_time() - start)
            spent.append(min(tries))
    finally:
        os.sched_setaffinity(0, usual)
    return max(spent) / min(spent)


# stock commands leave doveadm-server with the last user's uid
OPEN_USERDB = """\
service auth {
  unix_listener auth-userdb {
    mode = 0777
  }
}
"""


class BenchNode(MailNode):
    """stock: without our modules; homes: the node whose mail this serves."""

    def __init__(self, *args, stock=False, homes=None, extra="", **kwargs):
        super().__init__(*args, doveadm_requests=1000000,
                         extra=OPEN_USERDB + extra, **kwargs)
        self.stock = stock
        self.homes = homes
        self.connection = None

    def home(self, user):
        return self.homes.home(user) if self.homes else super().home(user)

    def _install_modules(self):
        super()._install_modules()
        if self.stock:
            self.doveadm_plugins = []
            for module in (self.dir / "modules").glob("*recall*"):
                module.unlink()

    def _doveadm_conf(self):
        """As people run it."""
        return self.conf

    def request(self, commands):
        """Answers and milliseconds."""
        account = "doveadm:" + self.doveadm_password
        headers = {
            "Authorization": "Basic " +
            base64.b64encode(account.encode()).decode(),
            "Content-Type": "application/json",
        }
        body = json.dumps(commands)
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.http_port, timeout=3600)
        start = time.perf_counter()
        self.connection.request("POST", "/doveadm/v1", body, headers)
        answer = self.connection.getresponse().read()
        spent = (time.perf_counter() - start) * 1000
        return json.loads(answer), spent

    def command(self, *args):
        """A doveadm process; its output and milliseconds."""
        start = time.perf_counter()
        done = self.doveadm(*args)
        return done.stdout, (time.perf_counter() - start) * 1000

    def pids(self, name):
        done = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid",
                               str(self.pid)], capture_output=True, text=True)
        return [int(line.split()[0]) for line in done.stdout.splitlines()
                if line.split()[1] == name]

    def cpu(self, name="doveadm-server"):
        """Milliseconds of processor time of all processes of that name: what
        others on the machine disturb the least."""
        spent = 0
        for pid in self.pids(name):
            with open("/proc/%d/schedstat" % pid) as stream:
                spent += int(stream.read().split()[0])
        return spent / 1e6

    def peak_rss(self, name):
        peaks = [0]
        for pid in self.pids(name):
            with open("/proc/%d/status" % pid) as stream:
                peaks += [int(line.split()[1]) for line in stream
                          if line.startswith("VmHWM:")]
        return max(peaks)


class Pair:
    """Both nodes on the same mail."""

    def __init__(self, directory, driver, users, **kwargs):
        self.ours = BenchNode(directory / "ours", driver=driver, users=users,
                              mail_plugins=["recall"], **kwargs)
        self.stock = BenchNode(directory / "stock", driver=driver,
                               users=users, stock=True, homes=self.ours,
                               **kwargs)

    def __enter__(self):
        for node in (self.ours, self.stock):
            node.dir.mkdir(parents=True)
            node.own_directory = True
        self.ours.start()
        self.stock.start()
        return self

    def __exit__(self, *unused):
        errors = self.ours.errors() + self.stock.errors()
        self.ours.stop()
        self.stock.stop()
        if errors:
            raise SystemExit("errors in the log:\n" + "\n".join(errors[:20]))


def numbered_id(index):
    return "<%08d.bench.message@mail.example.com>" % index


def numbered_message(index):
    return ("From: sender%d@example.com\nTo: big@example.com\n"
            "Subject: Message %d\n"
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\n"
            "Message-ID: %s\n\nText of message %d.\n" %
            (index % 100, index, numbered_id(index), index))


def write_mbox(path, count):
    with open(path, "w") as stream:
        for index in range(count):
            stream.write("From sender Thu Jan  1 00:00:00 2026\n%s\n" %
                         numbered_message(index))


def import_mail(node, user, count, directory, folders=()):
    """Fills the INBOX of the user in one transaction, and as many mailboxes with
    the same."""
    spool = directory / ("spool-%d" % count)
    (spool / "root").mkdir(parents=True)
    inbox = spool / "inbox"
    source = "mbox:%s/root:INBOX=%s" % (spool, inbox)
    if DOVECOT_24:
        # knows no place but this for it
        inbox = spool / "root/inbox"
        source = "mbox:%s/root" % spool
    write_mbox(inbox, count)
    for name in folders:
        shutil.copy(inbox, spool / "root" / name)
    if node.root:
        for path in [spool, *spool.rglob("*")]:
            shutil.chown(path, node.mail_user, node.mail_group)
    start = time.monotonic()
    subprocess.run(node.doveadm_command(
        "import", "-u", user, source, "", "all"), check=True)
    spent = time.monotonic() - start
    shutil.rmtree(spool)
    # as a client leaves it: nothing is \Recent any more
    connection = node.imap(user)
    for name in ["INBOX", *folders]:
        assert connection.select(name)[1] == [b"%d" % count]
    connection.logout()
    return spent


def ours_lookup(user, message_id):
    return ["recallExpunge", {"user": user, "messageId": message_id,
                              "dryRun": True}, "t"]


def stock_lookup(user, message_id):
    return ["search", {"user": user, "query": [
        "mailbox", "*", "HEADER", "Message-ID", message_id]}, "t"]


def expect_ours(answer, copies):
    row, = answer[0][1]
    assert (row["copies"], row["error"]) == (str(copies), ""), answer


def expect_stock(answer, count):
    assert answer[0][0] == "doveadmResponse" and \
        len(answer[0][1]) == count, answer


def index_size(node, user):
    path, = node.home(user).rglob("dovecot.recall.index")
    return path.stat().st_size


def lookup(directory):
    say("lookup: one mailbox of %d messages, sdbox" % LOOKUP)
    big, empty = "big@example.com", "empty@example.com"
    with Pair(directory, "sdbox", [big, empty]) as pair:
        ours, stock = pair.ours, pair.stock
        spent = import_mail(stock, big, LOOKUP, directory)
        say("import without the plugin: %.1f s" % spent)
        # what the first recall after installation costs, once
        answer, spent, cpu = timed(ours, [ours_lookup(big, numbered_id(0))])
        expect_ours(answer, 1)
        bench("catch_up_%s" % short(LOOKUP), spent, "ms")
        bench("catch_up_%s_cpu" % short(LOOKUP), cpu, "ms")
        bench("index_bytes_per_msg", index_size(ours, big) / LOOKUP, "bytes")

        # what is measured is a message like any other, and none
        times = {name: [] for name in (
            "ours_hit", "ours_miss", "ours_none", "stock_cold", "stock_hit",
            "stock_miss", "stock_none", "ours_command", "stock_command")}
        cpu = {side + name: [] for side in ("ours_", "stock_")
               for name in ("hit", "miss", "none")}
        cpu["stock_cold"] = []
        path = stock.doveadm("mailbox", "path", "-u", big, "-t", "index",
                             "INBOX").stdout.strip()
        for index in range(ROUNDS):
            message_id = numbered_id((LOOKUP // ROUNDS) * index + 17)
            missing = "<missing%d@example.com>" % index
            for user, wanted, count, name in (
                    (big, message_id, 1, "hit"), (big, missing, 0, "miss"),
                    (empty, message_id, 0, "none")):
                # short times are what other processes disturb the most
                for _ in range(SHORT):
                    before = ours.cpu()
                    answer, spent = ours.request([ours_lookup(user, wanted)])
                    cpu["ours_" + name].append(ours.cpu() - before)
                    expect_ours(answer, count)
                    times["ours_" + name].append(spent)
                if name == "hit":
                    # no header is cached
                    os.unlink(path + "/dovecot.index.cache")
                    before = stock.cpu()
                    answer, spent = stock.request(
                        [stock_lookup(user, wanted)])
                    cpu["stock_cold"].append(stock.cpu() - before)
                    expect_stock(answer, count)
                    times["stock_cold"].append(spent)
                before = stock.cpu()
                answer, spent = stock.request([stock_lookup(user, wanted)])
                cpu["stock_" + name].append(stock.cpu() - before)
                expect_stock(answer, count)
                times["stock_" + name].append(spent)
            out, spent = ours.command("recall", "expunge", "--dry-run", "-u",
                                      big, message_id)
            assert "would_expunge" in out
            times["ours_command"].append(spent)
            out, spent = stock.command(
                "search", "-u", big, "mailbox", "*", "HEADER", "Message-ID",
                message_id)
            assert len(out.splitlines()) == 1
            times["stock_command"].append(spent)
        hit = report_lookup(short(LOOKUP), times, cpu)
        bench("peak_rss_server", ours.peak_rss("doveadm-server") / 1024, "MiB")
        bench("peak_rss_server_stock",
              stock.peak_rss("doveadm-server") / 1024, "MiB")
        for name, measure in ("cyrus", measure_cyrus), ("xapian",
                                                        measure_xapian):
            other = measure(pair, directory, big, empty)
            if other is not None:
                bench("lookup_%s_%s_cpu_ms" % (short(LOOKUP), name), other,
                      "ms")
                bench("lookup_%s_%s_ratio" % (short(LOOKUP), name),
                      other / hit, "x")


def measure_xapian(pair, directory, big, empty):
    """Net processor milliseconds of a hit with fts-xapian, which has Message-ID
    among what it indexes."""
    module = pathlib.Path(DOVECOT_MODULES) / "lib21_fts_xapian_plugin.so"
    if not module.exists():
        say("fts-xapian: dovecot-fts-xapian is not installed")
        return None
    node = BenchNode(directory / "xapian", driver="sdbox", users=[big, empty],
                     stock=True, homes=pair.ours,
                     mail_plugins=["fts", "fts_xapian"],
                     plugin={"fts": "xapian", "fts_enforced": "yes",
                             "fts_autoindex": "no",
                             "fts_xapian": "partial=3 full=20"})
    node.dir.mkdir(parents=True)
    node.own_directory = True
    node.start()
    try:
        start = time.monotonic()
        for user in big, empty:
            # some minutes
            subprocess.run(node.doveadm_command("index", "-u", user, "INBOX"),
                           check=True)
        bench("xapian_index_%s_s" % short(LOOKUP), time.monotonic() - start,
              "s")
        size = sum(path.stat().st_size for path in
                   node.home(big).rglob("xapian-indexes/**/*"))
        bench("xapian_index_bytes_per_msg", size / LOOKUP, "bytes")
        spent = {big: [], empty: []}
        for index in range(ROUNDS * SHORT):
            wanted = numbered_id((LOOKUP // (ROUNDS * SHORT)) * index + 17)
            for user, count in (big, 1), (empty, 0):
                answer, _, cpu = timed(node, [stock_lookup(user, wanted)])
                expect_stock(answer, count)
                spent[user].append(cpu)
    finally:
        node.stop(remove=True)
    big_ms, empty_ms = (statistics.median(spent[user])
                        for user in (big, empty))
    return max(big_ms - empty_ms, empty_ms / 10)


def measure_cyrus(pair, *unused):
    """Processor milliseconds of a hit with Cyrus, SEARCH HEADER Message-ID."""
    if not bench_cyrus.available():
        say("Cyrus: no cyrus-imapd in BENCH_CYRUS (bench_cyrus.py)")
        return None
    # in memory where there is such a file system: Cyrus has each message on the
    # disk before it takes the next one
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-cyrus-",
                                              dir=memory))
    directory.chmod(0o755)
    spent = []
    try:
        with bench_cyrus.Cyrus(directory, pair.ours.mail_user,
                               pair.ours.mail_group) as cyrus:
            cyrus.fill([numbered_message(index).replace("\n", "\r\n").encode()
                        for index in range(LOOKUP)])
            for index in range(ROUNDS):
                wanted = numbered_id((LOOKUP // ROUNDS) * index + 17)
                uids, _, cpu = cyrus.search(wanted)
                assert len(uids) == 1
                spent.append(cpu)
    finally:
        shutil.rmtree(directory)
    return statistics.median(spent)


def short(count):
    if count % 1000000 == 0:
        return "%dm" % (count // 1000000)
    return "%dk" % (count // 1000) if count % 1000 == 0 else str(count)


def net_times(median):
    """What is left without what a user without mail costs; not less than a
    tenth of that, as smaller differences are noise."""
    net = {}
    for name, value in median.items():
        side, what = name.split("_", 1)
        if what in ("hit", "miss", "cold"):
            none = median[side + "_none"]
            net[name] = max(value - none, none / 10)
    return net


def report_lookup(size, times, cpu):
    """Returns the net processor milliseconds of a hit of ours."""
    prefix = "lookup_%s_" % size
    median = {name: statistics.median(values)
              for name, values in times.items()}
    net = net_times(median)
    cpu_median = {name: statistics.median(values)
                  for name, values in cpu.items()}
    cpu_net = net_times(cpu_median)
    for suffix, values in (("ms", median), ("net_ms", net),
                           ("cpu_ms", cpu_median), ("cpu_net_ms", cpu_net)):
        for name, value in values.items():
            bench(prefix + name + "_" + suffix, value, "ms")
    # differences of wall times below 1 ms are noise
    for name, values in ("", cpu_net), ("wall_", net):
        bench(prefix + name + "ratio",
              values["stock_hit"] / values["ours_hit"], "x")
        bench(prefix + name + "miss_ratio",
              values["stock_miss"] / values["ours_miss"], "x")
        bench(prefix + name + "cold_ratio",
              values["stock_cold"] / values["ours_hit"], "x")
    bench(prefix + "request_ratio", median["stock_hit"] / median["ours_hit"],
          "x")
    bench(prefix + "command_ratio",
          median["stock_command"] / median["ours_command"], "x")
    return cpu_net["ours_hit"]


def large(directory):
    if LARGE == 0:
        return
    say("large: one mailbox of %d messages, mdbox" % LARGE)
    user = "big@example.com"
    with Pair(directory, "mdbox", [user]) as pair:
        spent = import_mail(pair.ours, user, LARGE, directory)
        say("import with the plugin: %.1f s" % spent)
        hits, misses = [], []
        for index in range(ROUNDS + 1):
            wanted = numbered_id((LARGE // (ROUNDS + 1)) * index)
            answer, hit = pair.ours.request([ours_lookup(user, wanted)])
            expect_ours(answer, 1)
            answer, miss = pair.ours.request(
                [ours_lookup(user, "<missing@example.com>")])
            expect_ours(answer, 0)
            # the first request reads the index into the page cache
            if index > 0:
                hits.append(hit)
                misses.append(miss)
        bench("lookup_%s_ms" % short(LARGE), statistics.median(hits), "ms")
        bench("lookup_%s_miss_ms" % short(LARGE), statistics.median(misses),
              "ms")
        bench("peak_rss", pair.ours.peak_rss("doveadm-server") / 1024, "MiB")


def deliver_to_all(node, users, message_id):
    for start in range(0, len(users), BATCH):
        node.lmtp_deliver(users[start:start + BATCH],
                          build_message(message_id))


def fill_users(pair, names, count, directory, folders=()):
    """Gives everyone the same mail, count messages in INBOX and in each of the
    folders: made once, copied as files. Mail lies in files that nobody changes,
    so that links will do."""
    def copy(source, target):
        if os.path.basename(source).startswith("u."):
            os.link(source, target)
        else:
            shutil.copyfile(source, target)
            if pair.ours.root:
                shutil.chown(target, pair.ours.mail_user,
                             pair.ours.mail_group)

    node, first = pair.ours, names[0]
    import_mail(node, first, count, directory, folders)
    # as good as it gets for stock: all headers are cached
    pair.stock.request([stock_lookup(first, "<nothing@example.com>")])
    # dovecot.index has it all, as it has after a while, sizes too, which Dovecot
    # keeps once a message is expunged: what a log has in store costs both the
    # same each time a mailbox is opened
    node.doveadm("mailbox", "status", "-u", first, "vsize", "*")
    node.doveadm("-o", "mail_index_rewrite_max_log_bytes=1", "flags", "add",
                 "-u", first, "\\Seen", "all")
    for name in names[1:]:
        shutil.copytree(node.home(first), node.home(name), copy_function=copy)
        if node.root:
            for root, _, _ in os.walk(node.home(name)):
                shutil.chown(root, node.mail_user, node.mail_group)


def users(directory):
    names = ["user%05d@example.com" % index for index in range(USERS)]
    for count in MESSAGES:
        say("users: a recall from %d users, %d messages each, sdbox" %
            (USERS, count))
        with Pair(directory / str(count), "sdbox", names) as pair:
            fill_users(pair, names, count, directory)
            ratio = measure_users(pair, names, count)
    bench("users_%d_ratio" % USERS, ratio, "x")


def measure_users(pair, names, count, jobs=0):
    spread = {"jobs": str(jobs)} if jobs else {}
    times = {"ours": [], "stock_batch": [], "stock_mask": []}
    for index in range(ROUNDS):
        for name in times:
            message_id = "<%s.%d@example.com>" % (name, index)
            deliver_to_all(pair.ours, names, message_id)
            query = ["mailbox", "*", "HEADER", "Message-ID", message_id]
            if name == "ours":
                answer, spent = pair.ours.request([["recallExpunge", {
                    "users": names, "messageId": message_id,
                    "noNotify": True, **spread}, "t"]])
                rows = answer[0][1]
                assert len(rows) == USERS and all(
                    row["status"] == "expunged" and row["copies"] == "1"
                    for row in rows), answer
            elif name == "stock_batch":
                # any users, in one request; stock tells nothing of what it
                # did
                answer, spent = pair.stock.request([
                    ["expunge", {"user": user, "query": query}, user]
                    for user in names])
                assert len(answer) == USERS and all(
                    row[0] == "doveadmResponse" for row in answer)
            else:
                # if the users are those that a mask matches
                answer, spent = pair.stock.request([["expunge", {
                    "user": "user*", "query": query}, "t"]])
                assert answer[0][0] == "doveadmResponse", answer
            times[name].append(spent)
            check = pair.ours.request([
                ours_lookup(names[-1], message_id)])[0]
            expect_ours(check, 0)
    median = {name: statistics.median(values)
              for name, values in times.items()}
    prefix = "users_%dx%d_" % (USERS, count)
    for name, value in median.items():
        bench(prefix + name + "_ms", value, "ms")
    ratio = min(median["stock_batch"], median["stock_mask"]) / median["ours"]
    bench(prefix + "ratio", ratio, "x")
    bench(prefix + "batch_ratio", median["stock_batch"] / median["ours"], "x")
    return ratio


def everyone(directory):
    names = ["user%05d@example.com" % index for index in range(ALL)]
    for count in MESSAGES:
        say("all: -A over %d users, 3 of whom have it, %d messages each, "
            "sdbox" % (ALL, count))
        with Pair(directory / str(count), "sdbox", names) as pair:
            fill_users(pair, names, count, directory)
            ratio = measure_all(pair, names, count)
    bench("all_%d_ratio" % ALL, ratio, "x")


def measure_all(pair, names, count):
    having = [names[0], names[ALL // 2], names[-1]]
    deliver_to_all(pair.ours, having, "<all@example.com>")
    query = ["mailbox", "*", "HEADER", "Message-ID", "<all@example.com>"]
    times = {name: [] for name in ("ours", "stock", "ours_command",
                                   "stock_command")}
    for index in range(ROUNDS):
        answer, spent = pair.ours.request([["recallExpunge", {
            "allUsers": True, "messageId": "<all@example.com>",
            "dryRun": True}, "t"]])
        found = [row["username"] for row in answer[0][1]
                 if row["status"] == "would_expunge"]
        assert sorted(found) == having and len(answer[0][1]) == ALL
        times["ours"].append(spent)
        answer, spent = pair.stock.request([["search", {
            "allUsers": True, "query": query}, "t"]])
        expect_stock(answer, 3)
        times["stock"].append(spent)
        out, spent = pair.ours.command("recall", "expunge", "--dry-run", "-A",
                                       "<all@example.com>")
        assert out.count("would_expunge") == 3
        times["ours_command"].append(spent)
        out, spent = pair.stock.command("search", "-A", *query)
        assert len(out.splitlines()) == 3, out
        times["stock_command"].append(spent)
    median = {name: statistics.median(values)
              for name, values in times.items()}
    prefix = "all_%dx%d_" % (ALL, count)
    for name, value in median.items():
        bench(prefix + name + "_ms", value, "ms")
    ratio = median["stock"] / median["ours"]
    bench(prefix + "ratio", ratio, "x")
    bench(prefix + "command_ratio",
          median["stock_command"] / median["ours_command"], "x")
    return ratio


def folders(directory):
    """Users who have many folders, and as many with INBOX alone: in turn, as what
    one takes more than the other is what is asked for."""
    names = ["user%05d@example.com" % index for index in range(FOLDER_USERS)]
    counts = (1, FOLDERS)
    say("folders: %d users with %d and %d folders of %d messages, sdbox" %
        (FOLDER_USERS, *counts, FOLDER_MESSAGES))
    with contextlib.ExitStack() as stack:
        pairs = {count: stack.enter_context(
            Pair(directory / str(count), "sdbox", names)) for count in counts}
        for count, pair in pairs.items():
            fill_users(pair, names, FOLDER_MESSAGES, directory,
                       ["Folder%02d" % index for index in range(count - 1)])
        spent = measure_folders(pairs, names)
    many = spent[FOLDERS]
    for name, which in ("user_cost_us", CPU), ("user_cost_wall_us", WALL):
        bench(name, (median_of(many["ours_miss"], which) -
                     median_of(many["ours_one"], which)) * 1000 /
              (FOLDER_USERS - 1), "us")
    for name, what, which in (("folders_growth", "ours_hit", WALL),
                              ("folders_growth_cpu", "ours_hit", CPU),
                              ("folders_miss_growth", "ours_miss", WALL),
                              ("folders_miss_growth_cpu", "ours_miss", CPU)):
        bench(name, statistics.median(
            many[which] / few[which] for few, many in
            zip(*(spent[count][what] for count in counts))), "x")


def timed(node, commands):
    """The answer, milliseconds, and processor milliseconds of
    doveadm-server."""
    before = node.cpu()
    answer, spent = node.request(commands)
    assert all(row[0] == "doveadmResponse" for row in answer), answer
    return answer, spent, node.cpu() - before


def ours_recall(names, message_id, **more):
    return [["recallExpunge", dict(more, users=names, messageId=message_id,
                                   noNotify=True), "t"]]


def stock_commands(command, names, message_id):
    """One for each user, or one for all that a mask matches. Stock tells nothing of
    what it has deleted."""
    query = ["mailbox", "*", "HEADER", "Message-ID", message_id]
    return {"stock_batch": [[command, {"user": user, "query": query}, user]
                            for user in names],
            "stock_mask": [[command, {"user": "user*", "query": query}, "t"]]}


def measure_misses(pair, names, add):
    """Nobody has it."""
    missing = "<nothing@example.com>"
    for name, users in ("ours_miss", names), ("ours_one", names[:1]):
        answer, *spent = timed(pair.ours,
                               ours_recall(users, missing, dryRun=True))
        assert [row["status"] for row in answer[0][1]] == \
            ["not_found"] * len(users), answer
        add(name, spent)
    for name, commands in stock_commands("search", names, missing).items():
        add(name + "_miss", timed(pair.stock, commands)[1:])


def measure_hits(pair, names, index, add):
    """Everyone has it."""
    for name in "ours_hit", "stock_batch_hit", "stock_mask_hit":
        message_id = "<%s.%d@example.com>" % (name, index)
        deliver_to_all(pair.ours, names, message_id)
        time.sleep(SETTLE)
        if name == "ours_hit":
            answer, *spent = timed(pair.ours, ours_recall(names, message_id))
            assert [row["status"] for row in answer[0][1]] == \
                ["expunged"] * len(names), answer
        else:
            commands = stock_commands("expunge", names, message_id)
            _, *spent = timed(pair.stock, commands[name[:-len("_hit")]])
        add(name, spent)
        check = pair.ours.request([ours_lookup(names[-1], message_id)])[0]
        expect_ours(check, 0)


def measure_folders(pairs, names):
    """The times of all rounds of each number of folders, by name."""
    spent = {count: {} for count in pairs}

    def add(count):
        return lambda name, values: \
            spent[count].setdefault(name, []).append(values)

    # the copies of the first user's mail are not what the index knows
    for _ in range(2):
        for pair in pairs.values():
            pair.ours.request(ours_recall(names, "<nothing@example.com>",
                                          dryRun=True))
        time.sleep(SETTLE)
    for _ in range(ROUNDS):
        for count, pair in pairs.items():
            measure_misses(pair, names, add(count))
    for index in range(ROUNDS):
        for count, pair in pairs.items():
            measure_hits(pair, names, index, add(count))
    for count, pair in pairs.items():
        prefix = "folders_%d_" % count
        tell_folders(prefix, spent[count])
        bench(prefix + "index_bytes", index_size(pair.ours, names[0]), "bytes")
    return spent


def median_of(rows, which):
    return statistics.median(row[which] for row in rows)


def tell_folders(prefix, spent):
    for suffix, which in ("_ms", WALL), ("_cpu_ms", CPU):
        for name, rows in spent.items():
            bench(prefix + name + suffix, median_of(rows, which), "ms")
    for ratio, what in ("ratio", "hit"), ("miss_ratio", "miss"):
        for name, which in (ratio, WALL), (ratio.replace(
                "ratio", "cpu_ratio"), CPU):
            stock = min(median_of(spent[way + what], which)
                        for way in ("stock_batch_", "stock_mask_"))
            bench(prefix + name,
                  stock / median_of(spent["ours_" + what], which), "x")


def deliver_pair(directory, fsync):
    """Rates of both, round by round, and processor milliseconds of lmtp for a
    delivery: [ours, stock] each."""
    rounds = DELIVER_ROUNDS
    names = ["user%03d@example.com" % index for index in range(50)]
    nodes = [BenchNode(directory / "ours", driver="sdbox", users=names,
                       mail_plugins=["recall"], fsync=fsync),
             BenchNode(directory / "stock", driver="sdbox", users=names,
                       stock=True, fsync=fsync)]
    sessions = []
    for node in nodes:
        node.dir.mkdir(parents=True)
        node.start()
        sessions.append(smtplib.LMTP("127.0.0.1", node.lmtp_port))
    rates = [[], []]
    cpu = [[], []]
    try:
        for index in range(rounds + 1):
            # who is first changes, so that no one has the warmer caches
            for side in ((0, 1) if index % 2 == 0 else (1, 0)):
                rate, spent = deliver_round(nodes[side], sessions[side],
                                            names, index)
                # the first round makes the mailboxes
                if index > 0:
                    rates[side].append(rate)
                    cpu[side].append(spent)
        for session in sessions:
            session.quit()
    finally:
        for node in nodes:
            node.stop(remove=True)
    return rates, cpu


def deliver_round(node, session, names, index):
    """Deliveries a second, and processor milliseconds of lmtp for one."""
    body = "".join("Line %d of the text of a message.\n" % line
                   for line in range(100))
    messages = [build_message("<%s.%d@example.com>" % (index, count),
                              body=body) for count in range(DELIVER)]
    before = node.cpu("lmtp")
    start = time.perf_counter()
    for count, message in enumerate(messages):
        session.sendmail("sender@example.com", names[count % len(names)],
                         message)
    spent = time.perf_counter() - start
    return DELIVER / spent, (node.cpu("lmtp") - before) / DELIVER


def deliver(directory):
    say("deliver: rounds of %d LMTP deliveries to 50 users in turn, sdbox" %
        DELIVER)
    for name, fsync in (("deliver", True), ("deliver_nofsync", False)):
        rates, cpu = deliver_pair(directory / name, fsync)
        bench(name + "_ours", statistics.median(rates[0]), "1/s")
        bench(name + "_stock", statistics.median(rates[1]), "1/s")
        bench(name + "_overhead", statistics.median(
            ours / stock for ours, stock in zip(*rates)), "x")
        bench(name + "_cpu_ours", statistics.median(cpu[0]), "ms")
        bench(name + "_cpu_stock", statistics.median(cpu[1]), "ms")
        bench(name + "_cpu_overhead", statistics.median(
            ours / stock for ours, stock in zip(*cpu)), "x")


# when a delivery was committed, and when its copy had gone
TIMES = ("""\
event_exporter times {
  driver = log
  format = json
  time_format = rfc3339
}
""" if DOVECOT_24 else """\
event_exporter times {
  format = json
  format_args = time-rfc3339
  transport = log
}
""") + """\
metric times_delivered {
  exporter = times
  filter = event=mail_delivery_finished
}
metric times_expunged {
  exporter = times
  filter = event=recall_message_expunged
}
"""


def stand_for(node, message_ids, **who):
    answer, _ = node.request([["recallExpunge", {
        "messageId": message_id, "stand": "1h", "noNotify": True, **who}, "t"]
        for message_id in message_ids])
    assert all(row[0] == "doveadmResponse" for row in answer), answer


def standing_rounds(node, names):
    """As deliver_pair(), with orders and without: then their directory is not
    where it is looked for."""
    rates, cpu = [[], []], [[], []]
    aside = node.standing_dir.with_name("aside")
    session = smtplib.LMTP("127.0.0.1", node.lmtp_port)
    for index in range(DELIVER_ROUNDS + 1):
        for side in ((0, 1) if index % 2 == 0 else (1, 0)):
            if side == 1:
                node.standing_dir.rename(aside)
            rate, spent = deliver_round(node, session, names,
                                        "%d.%d" % (index, side))
            if side == 1:
                aside.rename(node.standing_dir)
            if index > 0:
                rates[side].append(rate)
                cpu[side].append(spent)
    session.quit()
    return rates, cpu


def standing(directory):
    say("standing: rounds of %d LMTP deliveries to 50 users, sdbox, with %d "
        "orders and without" % (DELIVER, ORDERS))
    names = ["user%03d@example.com" % index for index in range(50)]
    options = {"driver": "sdbox", "users": names, "mail_plugins": ["recall"],
               "plugin": {"recall_standing_max": str(ORDERS + 1)}}
    node = BenchNode(directory / "orders", **options)
    node.dir.mkdir(parents=True)
    node.start()
    try:
        for start in range(0, ORDERS, BATCH):
            stand_for(node, ["<order.%d@example.com>" % index for index in
                             range(start, min(start + BATCH, ORDERS))],
                      user=names[0])
        rates, cpu = standing_rounds(node, names)
        # none got lost
        assert (node.standing_dir / "set").stat().st_size == 16 + 32 * ORDERS
        assert node.errors() == []
    finally:
        node.stop(remove=True)
    for name, values, unit in (("", rates, "1/s"), ("cpu_", cpu, "ms")):
        prefix = "deliver_standing_" + name
        bench(prefix + "with", statistics.median(values[0]), unit)
        bench(prefix + "without", statistics.median(values[1]), unit)
        bench(prefix + "overhead", statistics.median(
            there / none for there, none in zip(*values)), "x")
    late(directory / "late", names, options)


def late(directory, names, options):
    say("late: %d LMTP deliveries that are recalled" % LATE)
    node = BenchNode(directory, extra=TIMES, **options)
    node.dir.mkdir(parents=True)
    node.start()
    try:
        stand_for(node, ["<order.%d@example.com>" % index
                         for index in range(min(BATCH, ORDERS))],
                  user=names[0])
        stand_for(node, ["<late@example.com>"], users=names)
        session = smtplib.LMTP("127.0.0.1", node.lmtp_port)
        for index in range(LATE):
            session.sendmail("sender@example.com", names[index % len(names)],
                             build_message("<late@example.com>"))
        session.quit()
        delivered, expunged = (exported(node, LATE, '"%s"' % name) for name in
                               ("mail_delivery_finished",
                                "recall_message_expunged"))
        assert len(delivered) == len(expunged) == LATE
        assert [event["fields"]["user"] for event in delivered] == \
            [event["fields"]["user"] for event in expunged]
        spent = [(seconds(gone["end_time"]) - seconds(there["end_time"])) *
                 1000 for there, gone in zip(delivered, expunged)]
        assert node.errors() == []
    finally:
        node.stop(remove=True)
    bench("late_ms", statistics.median(spent), "ms")
    bench("late_p99_ms", sorted(spent)[len(spent) * 99 // 100], "ms")


PARTS = [("lookup", lookup), ("deliver", deliver), ("users", users),
         ("all", everyone), ("folders", folders), ("standing", standing), ("large", large)]


def main():
    machine()
    base = os.environ.get("BENCH_DIR")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    # Dovecot's processes go through it as other users
    directory.chmod(0o755)
    try:
        for name, function in PARTS:
            if not ONLY or name in ONLY:
                start = time.monotonic()
                (directory / name).mkdir(exist_ok=True)
                function(directory / name / "d")
                say("%s took %.0f s" % (name, time.monotonic() - start))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
