"""What must be true after an episode of the model test (see soak.py)."""

import collections
import re

from model_clients import GONE, MAILBOXES, connect, place
from model_mail import (SENDER, date_of, flags_of, is_what_was_saved,
                        plain_flags, seconds_of)
from model_plan import DISTURBING
from model_recalls import Finding
from quarantine import PREFIX

# What a recall may say instead of a verdict.
CHANGED = re.compile("moved while it was recalled")
# of an mdbox
REBUILT = re.compile("rebuilt while the message was recalled")
# of a Maildir that was renamed before, with its lock
LOCKED = re.compile("Another process has it locked")


def in_flight(answer, done):
    """Tokens of the operations under way at the moment that the answer is
    of."""
    return [token for operation in done for token in operation.tokens
            if operation.name in ("move", "copy") and
            answer.looked_at is not None and
            operation.start < answer.looked_at < operation.end]


def places(found):
    """(mailbox, token) -> copies"""
    return collections.Counter(
        ("Beta" if one.mailbox == "Gamma" else one.mailbox, one.token)
        for one in found)


class Checks:
    """Of an account that has Recalls."""

    def check_expunged(self, ids):
        """By Dovecot's log of them: recalls have expunged no other messages,
        whatever else has happened to the mailboxes."""
        self.node.settle_log()
        self.asked = ids
        pattern = re.compile(
            r"\b(?:doveadm|lmtp)\(%s\).*: (expunge|copy from .*?): box=(.*?), "
            r"msgid=(.*), subject=(\S*)" % re.escape(self.user))
        for text in self.node.log(self.episode_log), self.killed_log:
            for what, mailbox, message_id, token in pattern.findall(text):
                expunged = what == "expunge"
                if mailbox.startswith(PREFIX):
                    self.put_in[token] += -1 if expunged else 1
                    continue
                if not expunged or not message_id and (
                        place(mailbox, 0)[0] in (GONE, "Beta") or
                        self.rebuilt()):
                    # Dovecot could not read it any more
                    continue
                if message_id not in ids:
                    self.fail("expunged another message", mailbox, token,
                              ids)
                self.expunged.add(token)

    def fail(self, text, *details, error="", tokens=()):
        raise Finding("%s%s: %s" % (text, self.where(),
                                    " ".join(map(str, details))), text, error,
                      tokens)

    def where(self):
        return " (seed %d, episode %d, user %s, %s)" % (
            self.seed, self.episodes, self.user, self.plan)

    def rebuilt(self):
        """Whether Dovecot has rebuilt the mdbox in this episode: what is saved
        meanwhile it may have twice then, and without flags."""
        if self.node.driver == "mdbox" and not self.rebuilt_now:
            self.rebuilt_now = self.saw_rebuild(self.episode_log)
        return self.rebuilt_now

    def ever_rebuilt(self):
        """The same of all of the account's episodes, and of any format."""
        if not self.was_rebuilt:
            self.was_rebuilt = self.saw_rebuild(self.log_start)
        return self.was_rebuilt

    def saw_rebuild(self, since):
        self.node.settle_log()
        return re.search(
            "(?i)" + re.escape(self.user) + ".*: rebuilding index",
            self.node.log(since)) is not None

    def flags_lost(self):
        """Whether a message may have lost its flags. In an sdbox a process
        that is killed while it expunges leaves files without records, and
        what is rebuilt then has them again."""
        return (self.killed_one or self.node.driver == "mdbox") and \
            self.ever_rebuilt()

    def broken(self):
        """Whether Dovecot has taken a file of the mdbox for corrupted in this
        episode, as it does if it reads a message that is written just now:
        it rebuilds then, and loses what it could not read; or a message is not
        in the map that is in a mailbox: whoever expunges while the mailbox is
        renamed, or is killed, may count a reference twice, and a purge deletes
        the message. Or the index of a mailbox that is renamed is begun anew."""
        return self.node.driver == "mdbox" and self.logged(
            r": Error: .*(Corrupted dbox file|Unexpectedly lost \S+ uid=\d+ "
            r"map_uid=|Corrupted transaction log file .*: indexid changed)",
            self.episode_log)

    def taken_by_us(self, message_id):
        """Whether a recall has expunged messages of the id in this episode."""
        return '"message_id":"%s"' % message_id.strip("<>") in "".join(
            line for line in self.node.log(self.episode_log).splitlines()
            if '"recall_message_expunged"' in line)

    def find_lost(self, there, kept):
        return [token for token in self.stable
                if token not in there and token not in kept]

    def check_lost(self, there, kept):
        """What is stable is somewhere. Without a quarantine a recall may have
        deleted it, then check() tells."""
        if not self.quarantine:
            return
        lost = self.find_lost(there, kept)
        if lost and self.node.driver == "maildir" and self.renamed:
            # Dovecot lists what was renamed a moment later
            lost = self.find_lost(*self.look())
            self.verdicts["listed late"] += not lost
        if len(lost) <= sum(self.purged.values()):
            # for good
            for token in list(lost):
                if self.stable[token] in self.recalled:
                    lost.remove(token)
                    del self.stable[token]
        if lost:
            self.node.settle_log()
        if lost and self.gone_reset():
            for token in self.doomed & set(lost):
                lost.remove(token)
                del self.stable[token]
        if lost and self.broken():
            for token in list(lost):
                if not self.taken_by_us(self.stable[token]):
                    self.verdicts["lost by a rebuild"] += 1
                    lost.remove(token)
                    del self.stable[token]
        if lost:
            self.fail("lost", lost, tokens=lost)

    def check_untouched(self, before, ids, done):
        """Nothing else has gone, come or changed places."""
        deleted = any(operation.name == "delete" for operation in done)
        was, now = places(before), places(self.found)
        for place in was.keys() | now.keys():
            mailbox, token = place
            message_id = "<%s>" % token.split("-")[0]
            if message_id in ids or deleted and mailbox == GONE:
                continue
            if now[place] == was[place]:
                continue
            self.node.settle_log()
            true = self.rebuilt() or self.left_behind(*place) \
                if now[place] > was[place] else \
                self.broken() and not self.taken_by_us(message_id)
            if not true and not (mailbox == GONE and self.gone_reset()):
                self.fail("touched", place, was[place], now[place], done)

    def check(self, kind, tokens, answer, taken, done, there):
        """taken: another recall of the episode took copies, or a late one."""
        status, row = answer.status, answer.row
        self.verdicts[status] += 1
        stable = {token for token in tokens if token in self.stable}
        left = {token for token in stable if token in there} - \
            set(in_flight(answer, done))
        # without a quarantine nobody knows what the same recall took before
        gone = taken if kind in ("two", "stand") else \
            not self.quarantine and (taken or kind == "kill")
        gone = gone or sum(self.purged.values()) > 0
        details = (kind, row, answer.looked_at, "left", left, "done", done)
        if status == "error":
            self.check_error(kind, row, details)
        elif status == "expunged":
            if answer.copies == 0:
                self.fail("expunged nothing", *details)
            if left and self.came_back(left):
                self.verdicts["came back"] += 1
            elif left:
                self.fail("left behind", *details)
        elif status == "already_recalled":
            if kind not in ("kill", "retry", "stand") or left:
                self.fail("not recalled", *details)
        elif status == "not_found":
            if (self.broken() or answer.rebuilt) and not any(
                    self.taken_by_us(self.stable[token]) for token in stable):
                stable &= there.keys()
            if stable and not gone:
                self.fail("not not_found", *details)
        elif status == "would_expunge":
            # of an id that a backup has brought back some may have been
            # recalled before
            taken = self.by_recall[row["recall-id"]] if self.quarantine else \
                any(token not in there for token in stable)
            if kind != "dry" or answer.copies == 0 or taken:
                self.fail("dry run", *details)
        elif status != "restored" or kind != "restore":
            self.fail("verdict", *details)

    def is_beside_rebuild(self, error):
        return REBUILT.search(error) is not None and self.rebuilt()

    def check_error(self, kind, row, details):
        if kind != "restore" and CHANGED.search(row["error"]):
            self.verdicts["error: moved"] += 1
            return
        if self.is_beside_rebuild(row["error"]):
            self.verdicts["error: rebuilt"] += 1
            return
        if LOCKED.search(row["error"]):
            if self.node.driver != "maildir" or not self.renamed:
                self.fail("locked", *details)
            self.said(row["error"])
            return
        if not self.plan.has(*DISTURBING) and \
           not self.is_dovecots(row["error"]):
            self.fail("error", *details)
        self.said(row["error"])

    def said(self, error):
        """Counts errors that say the same of different things."""
        self.verdicts["error: " + re.sub(r"\S*[./\d]\S*", "...",
                                         error)[:70]] += 1

    @staticmethod
    def left_of(message_id, there):
        return [token for token in there
                if "<%s>" % token.split("-")[0] == message_id]

    def check_retried(self, message_id, recall_id, answers):
        """Nobody is at work now: what a recall could not do, the next one
        does."""
        if not any(answer.status == "error" for answer in answers):
            return answers
        retry = self.expunge(message_id, recall_id, noNotify=True)
        self.verdicts["retried: " + retry.status] += 1
        there, kept = self.look()
        self.check_lost(there, kept)
        left = self.left_of(message_id, there)
        if left and self.node.driver == "mdbox" and self.ever_rebuilt():
            # another message than its mailbox's index says, as Dovecot's map
            # has given a number twice: only its headers tell
            self.verdicts["left: another one by its GUID"] += 1
            retry = self.expunge(message_id, recall_id, noNotify=True,
                                 verifyHeaders=True)
            left = self.left_of(message_id, self.look()[0])
        if retry.status not in ("expunged", "already_recalled", "not_found") \
           or left:
            self.fail("not recalled by a retry", retry.row, left, answers,
                      error=retry.row["error"], tokens=left)
        return answers + [retry]

    def check_notices(self, recall_id, answers, killed):
        """One for each recall that says so, and no other."""
        said = {answer.row["notice"] for answer in answers}
        count = self.notices[recall_id]
        wrong = count > 1 or \
            (count == 0) == bool(said & {"sent", "already_sent"}) and \
            not (killed and count == 1)
        # what was saved meanwhile is there twice, or not
        if wrong and not self.rebuilt():
            self.fail("notices", count, answers)
        for answer in answers:
            if answer.row["notice"] != "none" and answer.status not in \
               ("expunged", "already_recalled", "read"):
                self.fail("notice", answer.row)

    def check_doubled(self, message_id, before, answers, done):
        """After a restore there is no more than there was. Clients double a
        message if two move it at once, and if they bring back what was
        recalled."""
        most = collections.Counter(
            token for token, an_id in self.stable.items()
            if an_id == message_id)
        for token, count in collections.Counter(
                found.token for found in before).items():
            if token in most:
                most[token] = max(most[token], count)
        for answer in answers:
            most.update(in_flight(answer, done))
        self.node.settle_log()
        taken = self.expunged_by_recalls(self.episode_log, message_id)
        for operation in done:
            if operation.name == "move" and operation.source is not None and (
                    operation.source in taken or
                    self.kept_by_killed(operation)):
                # the client had read it before an earlier look took it
                most.update(operation.tokens)
        for operation in done:
            if operation.name == "copy" or operation.name == "move" and any(
                    other is not operation and other.name != "flag" and
                    other.tokens == operation.tokens and
                    other.start < operation.end and
                    operation.start < other.end for other in done):
                most.update(operation.tokens)
        there = self.there
        doubled = {token: there[token] for token in most
                   if token in self.stable and there[token] > most[token]}
        if doubled and not self.rebuilt():
            self.fail("doubled", doubled, answers, done)

    def kept_by_killed(self, move):
        """Whether a process that was killed had put what a client moved into
        the quarantine, from the mailbox that it came from, whoever expunged
        it there. Nobody can tell afterwards."""
        token, = move.tokens
        return any(place(mailbox, 0)[0] == move.source[0] for mailbox in
                   re.findall(r"copy from (.*?): box=%s.*, subject=%s$" % (
                       re.escape(PREFIX), re.escape(token)),
                              self.killed_log, re.M))

    def check_list(self):
        """What is recorded is what there is, unless an mdbox that was rebuilt
        has lost some of it."""
        if not self.quarantine:
            return
        for row in self.http("recallList"):
            if row["status"] != "restored" and \
               row["recall-id"] not in self.unlisted and \
               int(row["copies"]) != self.by_recall[row["recall-id"]] and \
               not (self.node.driver == "mdbox" and self.ever_rebuilt()):
                self.fail("listed another number", row,
                          self.by_recall[row["recall-id"]])

    # recalls of what nobody touches

    @staticmethod
    def rest_options(rest):
        return {"forced": {"force": True},
                "other": {"sender": [SENDER]}}.get(rest, {})

    def check_rest(self, rest, tokens, answer, there, retried):
        """Exactly what is due. retried: some may be gone since the first
        try."""
        self.verdicts["rest " + answer.status] += 1
        wanted = {"absent": "not_found", "seen": "read",
                  "other": "not_sender"}.get(rest, "expunged")
        gone = wanted == "expunged"
        recall_id = answer.row["recall-id"]
        copies = 0 if rest == "other" else len(tokens)
        # beside a rename `read` is said of what one look has found
        true = (answer.status, answer.copies) == (wanted, copies) or \
            self.rebuilt() and copies < answer.copies <= answer.expunged or \
            retried and gone and answer.status in (
                "expunged", "already_recalled" if self.quarantine and
                not self.purged[recall_id] else "not_found") or \
            gone and self.broken() and \
            0 < answer.copies == answer.expunged < copies or \
            self.plan.has("rename") and wanted == answer.status == "read" \
            and 0 < answer.copies < copies or \
            self.doubled_by_rebuild(wanted, tokens, answer, there)
        # but for what a rebuild has lost (check_lost())
        if not true or any(gone == (token in there) for token in tokens
                           if gone or token in self.stable):
            self.fail("recall of what nobody touched", rest, answer.row,
                      tokens, there, error=answer.row["error"])
        # what is kept already, and there again with another UID, is not
        # counted once more
        if answer.expunged != answer.copies * gone and not retried and \
           not (self.quarantine and self.rebuilt()):
            self.fail("another number of events", answer.row, answer.expunged)
        if self.quarantine and gone and not self.purged[recall_id] and \
           self.by_recall[recall_id] != answer.copies and \
           not retried and not self.rebuilt():
            self.fail("kept another number", rest, answer.row,
                      self.by_recall)

    def doubled_by_rebuild(self, wanted, tokens, answer, there):
        """Whether an mdbox that was rebuilt meanwhile has some of them twice,
        and it was said of as many as there are."""
        return wanted == answer.status == "read" and \
            answer.copies == sum(there[token] for token in tokens) and \
            self.rebuilt()

    # restores

    def check_restored(self, message_id, recall_id):
        """Nobody is at work now: all that was taken comes back."""
        if not self.quarantine:
            return
        before = self.there
        answer = self.restore(recall_id)
        self.verdicts["then " + answer.status] += 1
        self.operations += 1
        if answer.status == "error" and self.has_fewer(answer.row["error"]):
            # if one of those is lost, that is seen now
            self.said(answer.row["error"])
        elif answer.status not in ("restored", "not_found"):
            self.fail("restore", answer.row, error=answer.row["error"])
        there, kept = self.look()
        self.check_lost(there, kept)
        missing = [token for token, an_id in self.stable.items()
                   if an_id == message_id and token not in there]
        if missing and answer.status == "restored" and \
           not any(token in kept for token in missing):
            self.fail("not restored", answer.row, missing)
        more = sum(there.values()) - sum(before.values()) - answer.copies
        if more != 0 and not (0 < more <= int(answer.row["present"]) and
                              self.taken_for_present()):
            self.fail("restored another number", answer.row, before, there)
        if answer.status == "restored":
            self.check_octets(message_id)

    def check_octets(self, message_id):
        """As clients see it: octet for octet, with flags and date."""
        # not left open: it ends when Dovecot rebuilds that one
        commands = [
            command for mailbox in MAILBOXES for command in (
                "EXAMINE " + mailbox,
                "UID SEARCH RETURN (SAVE) HEADER Message-ID " + message_id,
                "UID FETCH $ (FLAGS INTERNALDATE BODY.PEEK[])")] + ["UNSELECT"]
        try:
            answers = self.connection.run(*commands)
        except ConnectionError as error:
            if not self.has_size_of_another():
                raise Finding("octets: %s" % error, "fetch failed") from error
            self.connection.close()
            self.connection = connect(self.node, self.user)
            answers = self.connection.run(*commands)
        for line in sum((answer.lines for answer in answers[2::3]), []):
            head, _, octets = line.partition(b"}\r\n")
            if b"BODY[] {" in head:
                self.check_message(head.decode(),
                                   octets[:int(head.rpartition(b"{")[2])])

    def check_message(self, head, octets):
        token = re.search(rb"(?m)^X-Token: (\S+)", octets).group(1).decode()
        flags = re.search(r"FLAGS \(([^)]*)\)", head).group(1).split()
        date = re.search(r'INTERNALDATE "([^"]*)"', head).group(1)
        if not is_what_was_saved(token, octets) or \
           date_of(token) not in (None, seconds_of(date.strip())) or \
           token not in self.loose and not self.flags_lost() and \
           plain_flags(flags) != flags_of(token):
            self.fail("restored as something else", head, octets)
        self.octets += 1
