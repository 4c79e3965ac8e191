"""The accounts of the model test (see soak.py), and their episodes."""

import collections
import concurrent.futures
import hashlib
import shutil
import threading
import time

from model_beside import Beside
from model_checks import Checks
from model_excuses import Excuses
from model_clients import MAILBOXES, Clients, connect
from model_mail import append_command, message_of, token_of
from model_plan import DISTURBING, EXPUNGED, Limits, Plan
from model_recalls import Recalls

# of seconds, a Maildir's lock that nobody touches has been left behind
LEFT_BEHIND = 30
LOCKS = ["Maildir", "Maildir/.*", "recalled/.*"]


class Account(Recalls, Beside, Checks, Excuses):
    """One after the other."""

    def __init__(self, node, quarantine, seed, limits=Limits()):
        super().__init__(node, quarantine)
        self.seed = seed
        self.limits = limits
        self.clients = Clients(node)
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.plan = None
        self.episodes = self.operations = self.raced = self.recalls = 0
        self.octets = 0
        self.verdicts = collections.Counter()
        # left behind by no rename
        self.odd_locks = []
        self.closed = threading.Event()
        self.watcher = threading.Thread(target=self.watch_locks)
        self.watcher.start()

    def watch_locks(self):
        """A Maildir that is renamed while somebody has its lock keeps it, and
        Dovecot waits for two minutes then, one after the other. It's counted,
        and the work goes on."""
        while self.node.driver == "maildir" and not self.closed.wait(5):
            home = self.node.home(self.user or "nobody")
            for place in LOCKS:
                for lock in home.glob(place + "/dovecot-uidlist.lock"):
                    self.look_at_lock(lock)

    def look_at_lock(self, lock):
        try:
            if time.time() - lock.stat().st_mtime < LEFT_BEHIND:
                return
            lock.unlink()
        except FileNotFoundError:
            return
        if self.renamed or self.killed_one:
            self.verdicts["lock left behind"] += 1
        else:
            self.odd_locks.append(lock)

    def take_counts(self):
        """What was done since the last time: (counts, verdicts)."""
        counts = {"episodes": 1}
        for name in ("operations", "raced", "recalls", "octets"):
            counts[name] = getattr(self, name)
            setattr(self, name, 0)
        verdicts, self.verdicts = self.verdicts, collections.Counter()
        return counts, verdicts

    # accounts

    def next_user(self, user):
        self.user = user
        self.log_start = self.episode_log = self.node.log_size()
        self.was_rebuilt = self.killed_one = self.renamed = False
        self.rebuilt_now = False
        # token -> message id; those that no client has expunged
        self.stable = {}
        # those that were once in a mailbox that may be deleted
        self.doomed = set()
        # (mailbox, UID) of what clients have taken out of one
        self.taken_out = set()
        # ids that were recalled, and recall ids that `recall list` has another
        # number of copies of: those that stand, for example
        self.recalled, self.unlisted = set(), set()
        self.loose.clear()
        self.recall_ids.clear()
        self.texts.clear()
        self.new_account()
        self.log_in()
        self.look()

    def log_in(self):
        self.clients.everyone("login", self.user)
        self.connection = connect(self.node, self.user)

    def finish_user(self):
        self.check_list()
        self.connection.logout()
        self.clients.everyone("logout")
        # it was the last one who looked at this
        shutil.rmtree(self.node.home(self.user), ignore_errors=True)

    # an episode

    def new_id(self, number):
        return "<%d.%d.%d@soak.example.com>" % (self.seed, self.episodes,
                                                number)

    def new_recall_id(self):
        # another one for each user of the node that has the same episode
        return hashlib.md5(b"%s %d" % (
            self.user.encode(),
            self.plan.chance.getrandbits(128))).hexdigest()

    def put(self, message_id, count, origin="appended"):
        """Messages for the id; returns their tokens."""
        tokens, commands = [], []
        chance = self.plan.chance
        together = chance.choice(MAILBOXES + [None] * 4)
        for number in range(count):
            mailbox = together or chance.choice(MAILBOXES)
            token = token_of(message_id, self.episodes, number, origin)
            if origin == "delivered":
                self.node.lmtp_deliver(self.user, message_of(token))
            else:
                commands.append(append_command(mailbox, token))
            tokens.append(token)
            self.stable[token] = message_id
        for answer in self.connection.run(*commands):
            if not answer.ok:
                self.fail("append", answer.lines)
        self.operations += len(tokens)
        return tokens

    def rest(self, number, rest, delay):
        """A recall of an id that no client touches."""
        message_id, recall_id = self.new_id(number), self.new_recall_id()
        origin = "seen" if rest == "forced" else rest
        notify = self.plan.chance.random() < 0.3
        tokens = [] if rest == "absent" else self.put(
            message_id, self.plan.chance.choice([1, 1, 2, 4]),
            "appended" if rest == "absent" else origin)
        self.recalled.add(message_id)
        options = dict(self.rest_options(rest), noNotify=not notify)
        return message_id, recall_id, rest, tokens, options, \
            self.pool.submit(self.expunge, message_id, recall_id, delay,
                             **options)

    def disturb(self, name, delay, token):
        time.sleep(delay)
        getattr(self, "beside_" + name.replace("-", "_"))(token)

    def episode(self, number):
        self.episodes = number
        self.plan = plan = Plan(self.seed, number, self.node.driver,
                                self.quarantine, self.limits)
        message_id, recall_id = self.new_id(0), self.new_recall_id()
        self.episode_log = self.node.log_size()
        self.rebuilt_now = False
        self.killed_log = ""
        self.asked, self.expunged = set(), set()
        self.put_in.clear()
        self.was_there = set(self.there)
        self.purged.clear()
        self.renamed |= plan.has("rename")
        for name in plan.before:
            message_id = getattr(self, "before_" + name)() or message_id
        self.keep_indexes()
        tokens = self.put(message_id, plan.messages)
        tokens += [token for token, an_id in self.stable.items()
                   if an_id == message_id and token not in tokens]
        if plan.kind == "restore":
            self.recall_before(message_id, recall_id)
        self.recalled.add(message_id)
        if plan.has("stock"):
            del self.stable[tokens[0]]
        before = self.found
        rests = [self.rest(i + 1, *rest) for i, rest in enumerate(plan.rests)]
        beside = [self.pool.submit(self.disturb, *pair, tokens[0])
                  for pair in plan.beside]
        self.clients.start([("burst", message_id, burst, plan.names,
                             plan.goes_on) for burst in plan.bursts])
        try:
            answers = getattr(self, "run_" + plan.kind)(message_id, recall_id,
                                                        plan.delay)
        finally:
            done = sum(self.clients.wait(), [])
            concurrent.futures.wait(beside)
            concurrent.futures.wait([rest[-1] for rest in rests])
        for future in beside:
            future.result()
        self.record(message_id, done)
        self.operations += len(done) + len(answers) + len(rests) + len(beside)
        self.recalls += len(answers) + len(rests)
        self.raced += len(answers)
        self.settle_mailboxes(done)
        self.judge(message_id, recall_id, tokens, before, answers, rests,
                   done)

    def recall_before(self, message_id, recall_id):
        """What is to be restored."""
        answer = self.expunge(message_id, recall_id, noNotify=True)
        if answer.status == "error" and (
                self.is_dovecots(answer.row["error"]) or
                self.is_beside_rebuild(answer.row["error"])):
            self.said(answer.row["error"])
            taken = answer.copies > 0
            answer = self.expunge(message_id, recall_id, noNotify=True)
            if taken and answer.status == "already_recalled":
                return
        if answer.status == "not_found" and self.broken() and \
           not self.taken_by_us(message_id):
            self.asked, there = {message_id}, self.look()[0]
            lost = [token for token, an_id in self.stable.items()
                    if an_id == message_id]
            if not any(token in there for token in lost):
                self.fail("lost", answer.row, tokens=lost)
        if answer.status != "expunged" or answer.copies == 0:
            self.fail("recall before a restore", answer.row,
                      error=answer.row["error"])

    def record(self, message_id, done):
        """What the clients did."""
        for operation in done:
            if operation.name in ("append", "deliver"):
                self.stable[operation.tokens[0]] = message_id
        for operation in done:
            self.verdicts["client " + operation.name] += 1
            if operation.name == "expunge":
                for token in operation.tokens:
                    self.stable.pop(token, None)
            if operation.name in ("expunge", "flag"):
                self.loose.update(operation.tokens)
            if operation.source is not None:
                self.taken_out.add(operation.source)

    def judge(self, message_id, recall_id, tokens, before, answers, rests,
              done):
        plan = self.plan
        self.check_expunged({message_id} | {
            rest[0] for rest in rests if rest[2] in EXPUNGED})
        there, kept = self.look()
        self.check_lost(there, kept)
        for answer in answers:
            taken = any(other.copies > 0 for other in answers
                        if other is not answer) or \
                plan.kind == "stand" and self.late(recall_id) > 0
            self.check(plan.kind, tokens, answer, taken, done, there)
        self.judge_rests(rests, there)
        self.check_untouched(before, {message_id} | {rest[0]
                                                     for rest in rests}, done)
        if plan.kind not in ("restore", "dry", "none"):
            answers = self.check_retried(message_id, recall_id, answers)
        if plan.kind in ("plain", "dry") and answers and \
           answers[0].status == "expunged" and self.quarantine and \
           not self.purged[recall_id] and \
           self.by_recall[recall_id] != answers[0].copies and \
           not self.rebuilt():
            self.fail("kept another number", answers[0].row, self.by_recall,
                      done)
        self.check_notices(recall_id, answers, plan.kind == "kill")
        if plan.kind == "stand":
            self.finish_stand(message_id, recall_id, answers)
        elif plan.kind == "restore" or plan.restored:
            self.check_restored(message_id, recall_id)
            self.check_doubled(message_id, before, answers, done)
        if plan.has(*DISTURBING):
            self.check_list()
        if self.odd_locks:
            self.fail("locks left behind", self.odd_locks)

    def judge_rests(self, rests, there):
        for message_id, recall_id, rest, tokens, options, future in rests:
            answer, retried = future.result(), False
            left = [token for token in tokens if token in there]
            again = answer.status == "expunged" and left != [] and \
                self.came_back(left)
            if again:
                self.verdicts["came back"] += 1
            elif answer.status == "error" and (
                    self.plan.has(*DISTURBING) or
                    self.is_dovecots(answer.row["error"]) or
                    self.is_beside_rebuild(answer.row["error"])):
                self.said(answer.row["error"])
                again = True
            if again:
                answer, retried = self.expunge(message_id, recall_id,
                                               **options), True
                there = self.look()[0]
            self.check_rest(rest, tokens, answer, there, retried)
            self.check_notices(recall_id, [answer], False)

    # kinds of recalls

    def run_none(self, unused_message_id, unused_recall_id, unused_delay):
        """To see what Dovecot does without us."""
        return []

    def run_plain(self, message_id, recall_id, delay):
        return [self.expunge(message_id, recall_id, delay,
                             noNotify=not self.plan.notify)]

    def run_dry(self, message_id, recall_id, delay):
        return [self.expunge(message_id, recall_id, delay, dryRun=True)]

    def run_retry(self, message_id, recall_id, delay):
        options = {"noNotify": not self.plan.notify}
        first = self.expunge(message_id, recall_id, delay, **options)
        return [first, self.expunge(message_id, recall_id, **options)]

    def run_two(self, message_id, recall_id, delay):
        futures = [self.pool.submit(self.expunge, message_id, an_id, delay,
                                    noNotify=True)
                   for an_id in (recall_id, self.new_recall_id())]
        return [future.result() for future in futures]

    def run_kill(self, message_id, recall_id, delay):
        self.killed_one = True
        options = [] if self.plan.notify else ["--no-notify"]
        self.killed(message_id, recall_id, delay, *options)
        return [self.expunge(message_id, recall_id,
                             noNotify=not self.plan.notify)]

    def run_restore(self, unused_message_id, recall_id, delay):
        return [self.restore(recall_id, delay)]

    def run_stand(self, message_id, recall_id, delay):
        self.unlisted.add(recall_id)
        return [self.expunge(message_id, recall_id, delay, noNotify=True,
                             stand="1h")]

    def late(self, recall_id):
        """Copies taken late, by `standing run` too."""
        return sum(int(row["copies"]) for row in
                   self.http("recallStandingLate", recallId=recall_id)
                   if row["username"] == self.user)

    def finish_stand(self, message_id, recall_id, answers):
        """What has come meanwhile is gone, what comes now goes, and what
        comes after the end stays."""
        run = self.http("recallStandingRun", recallId=recall_id)
        if any(row["status"] not in ("expunged", "already_recalled",
                                     "not_found") for row in run):
            self.fail("standing run", run)
        late = token_of(message_id, self.episodes, 1000, "delivered")
        stays = token_of(message_id, self.episodes, 1001, "delivered")
        self.node.lmtp_deliver(self.user, message_of(late))
        there, kept = self.look()
        self.check_lost(there, kept)
        left = [token for token in there
                if "<%s>" % token.split("-")[0] == message_id]
        if left or self.quarantine and late not in kept:
            self.fail("stands in vain", left, run, answers, kept[late])
        taken = sum(answer.copies
                    for answer in answers) + self.late(recall_id)
        # of two recalls that take a copy at once each has counted it
        if self.quarantine and len(answers) == 1 and \
           self.by_recall[recall_id] + self.purged[recall_id] > taken and \
           not self.rebuilt() and not self.kept_uncounted(recall_id):
            self.fail("late ones are another number", run, answers, taken,
                      self.by_recall)
        self.http("recallStandingEnd", recallId=recall_id)
        self.node.lmtp_deliver(self.user, message_of(stays))
        self.stable[stays] = message_id
        if self.look()[0][stays] != 1:
            self.fail("taken after the end", stays)
        self.operations += 4

    def close(self):
        self.closed.set()
        self.watcher.join()
        self.clients.stop()
        self.pool.shutdown()
