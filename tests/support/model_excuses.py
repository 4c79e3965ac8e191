"""What the model test (see soak.py) knows that Dovecot does by itself: each has
been seen with a Dovecot that has nothing of ours (docs/testing.md). It is
excused where the log says so, or the UID."""

import json
import re

from model_clients import GONE, RENAMED, place
from model_mail import flags_of
from quarantine import PREFIX


def id_of(token):
    return "<%s>" % token.split("-")[0]


def system_flags(flags):
    return [flag for flag in flags if flag.startswith("\\")]


# What an mdbox says that is rebuilt, or has to be
BROKEN = re.compile(r"mdbox: Storage keeps breaking|Corrupted dbox file \S+|"
                    r"Unexpectedly lost \S+ uid=\d+ map_uid=\d+")
# in the quarantine of a recall
LOST = r".*: Unexpectedly lost %s([0-9a-f]{32})/\S* uid=\d+ map_uid=" % \
    re.escape(PREFIX)
FEWER = re.compile(r"Mailbox %s\S* has \d+ of the \d+ copies that were recorded"
                   % re.escape(PREFIX))
NOT_THERE = re.compile("Mailbox (.*) is listed, but is not there when it is "
                       "opened")


class Excuses:
    """Of an account that has Recalls."""

    def abandons(self, finding):
        """Why the account is not worked on any more: what Dovecot has done to
        it, in a few words. None if the finding is one."""
        self.node.settle_log()
        if finding.kind == "panic":
            return "panic"
        if finding.kind == "fetch failed" and \
           self.node.driver == "mdbox" and (
                   self.fetch_failed(self.episode_log) or self.logged(
                       "FETCH failed: Corrupted dbox file", self.episode_log)):
            return "fetch failed"
        if finding.error and self.is_dovecots(finding.error):
            return "broken mdbox"
        match = NOT_THERE.search(finding.error)
        if match is not None and self.plan.has("rename", "delete") and \
           place(match.group(1), 0)[0] in (GONE, "Beta") and \
           not self.can_be_opened(match.group(1)):
            return "listed, but not there"
        if finding.kind == "lost" and self.lost_by_rebuild(finding.tokens):
            return "lost by a rebuild"
        return None

    def is_dovecots(self, error):
        """Whether a verdict says what Dovecot itself has said of an mdbox in
        this episode."""
        match = BROKEN.search(error)
        if self.node.driver != "mdbox" or match is None:
            return False
        self.node.settle_log()
        return self.logged(": Error: .*" + re.escape(match.group()),
                           self.episode_log)

    def has_fewer(self, error):
        """Whether an mdbox that was rebuilt has fewer copies in the quarantine
        than the record says: they are lost, or the record is of what
        `recall purge` was just deleting, and the rebuild has that again."""
        return FEWER.search(error) is not None and self.rebuilt()

    def kept_uncounted(self, recall_id):
        """Whether what came late was kept, and not counted, as its mailbox was
        deleted before it was expunged there."""
        self.node.settle_log()
        return self.logged("recall %s: came late: error, .*"
                           "Expunging from mailbox" % recall_id,
                           self.episode_log)

    def taken_for_present(self):
        """Whether an sdbox's mailbox had a file where a restore put its first
        copy: it is rebuilt, has that copy then, and a second try finds it."""
        self.node.settle_log()
        return self.node.driver == "sdbox" and self.logged(
            "already exists, rebuilding index", self.episode_log)

    def can_be_opened(self, mailbox):
        """By a command of Dovecot's own."""
        answer, = self.node.doveadm_http([["mailboxStatus", {
            "user": self.user, "field": ["messages"],
            "mailboxMask": [mailbox]}, "tag"]])
        return answer[0] != "error"

    def lost_by_rebuild(self, tokens):
        """Whether an mdbox was rebuilt in this episode, and that can have lost
        these: what was in mailboxes, and no recall has expunged it since, or
        what was put into the quarantine beside that; or what was in the
        quarantine of a recall of which the log says that messages are lost."""
        if not self.rebuilt():
            return False
        lost = self.node.log(self.episode_log)
        lost = set(re.findall(re.escape(self.user) + LOST, lost))
        return all(
            (token not in self.expunged or self.put_in[token] > 0) and
            (token in self.was_there or id_of(token) in self.asked) or
            not self.recall_ids[id_of(token)].isdisjoint(lost)
            for token in tokens)

    def logged(self, pattern, since):
        return re.search(re.escape(self.user) + ".*" + pattern,
                         self.node.log(since)) is not None

    def expunged_by_recalls(self, since, message_id=None):
        """(mailbox, UID) of what recalls have expunged, all of them or those
        of one id."""
        found = set()
        for line in self.node.log(since).splitlines():
            if '"recall_message_expunged"' not in line:
                continue
            fields = json.loads(line[line.index("{"):])["fields"]
            if fields["user"] == self.user and message_id in (
                    None, "<%s>" % fields["message_id"]):
                found.add(place(fields["mailbox"], fields["uid"]))
        return found

    def gone_reset(self, since=None):
        """Whether Dovecot has, in this episode, reset the mailbox that clients
        delete and create, as one of them had the former one open."""
        return self.logged(
            ": Mailbox Gone: .*(index reset, view is|indexid changed)",
            self.episode_log if since is None else since)

    def left_behind(self, mailbox, token):
        """Whether an sdbox may have it again, as there is a file of it that a
        rebuild takes up. Whoever expunges in a mailbox that is renamed
        meanwhile, or is killed, leaves that."""
        true = self.node.driver == "sdbox" and (
            self.plan.has("resync") and (self.renamed or self.killed_one) and
            (token not in self.stable or id_of(token) in self.recalled) or
            self.left_in_gone(mailbox, token))
        if true:
            self.verdicts["taken up by a rebuild"] += 1
            self.loose.add(token)
        return true

    def left_in_gone(self, mailbox, token):
        """A mailbox that is reset has none of its messages, but their files,
        and has them again, without flags, once it is rebuilt."""
        return mailbox == GONE and token in self.doomed and \
            self.gone_reset(self.log_start) and self.logged(
                "(mailboxes/Gone/dbox-Mails|Mailbox Gone): Rebuilding index",
                self.episode_log)

    def taken_out_of_gone(self, token):
        """Whether a client has taken it out of such a mailbox in this
        episode."""
        return self.left_in_gone(GONE, token) and self.logged(
            r": copy from Gone: box=.*, subject=%s(\n|$)" % re.escape(token),
            self.episode_log)

    def taken_for_another(self, token):
        """Whether a client may have copied it out of such a mailbox with the
        flags, and the cache, of the message that had its UID before."""
        return self.logged(": Mailbox Gone: .*(duplicate transaction log|"
                           "Deleting corrupted cache)", self.episode_log) and \
            self.logged(": copy from Gone: box=.*, msgid=%s, subject=" %
                        re.escape(id_of(token)), self.episode_log)

    def has_size_of_another(self):
        """Whether a message cannot be fetched as its size is not that of the
        file. The cache of a mailbox that is reset has that of the message with
        this UID before; whoever copies takes it along, and Dovecot forgets it
        when a FETCH has failed for it."""
        self.node.settle_log()
        true = self.gone_reset(self.log_start) and \
            self.logged(": Broken virtual size in mailbox ", self.episode_log)
        if true:
            self.verdicts["size of another"] += 1
        return true

    def back_without_flags(self, found):
        """Whether it is one that such a rebuild has taken up: it has a UID
        that was expunged, or is left in a mailbox that was reset."""
        if self.node.driver != "sdbox" or found.flags:
            return False
        self.node.settle_log()
        where = place(found.mailbox, found.uid)
        true = self.left_in_gone(found.mailbox, found.token) or \
            self.taken_out_of_gone(found.token) or \
            self.taken_for_another(found.token) or \
            found.mailbox in RENAMED and self.renamed and \
            self.logged("mailboxes/(%s)/dbox-Mails: Rebuilding index" %
                        "|".join(RENAMED), self.episode_log) and \
            where in self.taken_out | self.expunged_by_recalls(self.log_start)
        if true:
            self.loose.add(found.token)
        return true

    def came_back(self, tokens):
        """Whether Dovecot may have brought back what was expunged, as it was
        rebuilt meanwhile: in an mdbox, or in an sdbox's mailbox that is
        renamed, with the UIDs that recalls have expunged."""
        if not self.plan.has("resync"):
            return False
        if self.node.driver != "sdbox":
            return self.rebuilt()
        self.node.settle_log()
        expunged = self.expunged_by_recalls(self.episode_log)
        return self.renamed and all(
            found.mailbox in RENAMED and
            place(found.mailbox, found.uid) in expunged
            for found in self.found if found.token in tokens)

    def keywords_lost(self, found):
        """Whether a Maildir has lost the names of keywords, or has others for
        them, as whoever saves a message while it is renamed finds no list of
        names, and begins a new one. All else must be as it was."""
        saved = flags_of(found.token)
        if self.node.driver != "maildir" or not self.renamed or \
           system_flags(found.flags) != system_flags(saved):
            return False
        if any(flag.startswith("unknown-") for flag in found.flags):
            self.verdicts["unknown keywords"] += 1
            self.loose.add(found.token)
            return True
        self.node.settle_log()
        true = found.mailbox in RENAMED and \
            len(found.flags) == len(saved) and not self.logged(
                '"recall_message_expunged".*"message_id":"%s"' % re.escape(
                    id_of(found.token).strip("<>")), self.log_start)
        if true:
            self.verdicts["other keywords"] += 1
            self.loose.add(found.token)
        return true

    def fetch_failed(self, since):
        """Whether what was asked for by a stock command failed as a message is
        not where Dovecot has it, which it then mends: it is asked again, and
        what is lost is seen by that. In an sdbox whoever expunges in a mailbox
        that is rebuilt, or deleted and created, meanwhile removes the file of
        a message that is there. A late recall may be just expunging one."""
        self.node.settle_log()
        failed = r": fetch\(.*"
        if self.node.driver == "mdbox":
            # the last one is of 2.4: a rebuild has taken it for longer, or
            # shorter, than it is
            return self.logged(failed + r"(Corrupted dbox file|"
                               "Unexpectedly lost .* map_uid=|"
                               "Cached message size (larg|small)er than)",
                               since)
        if self.plan.kind == "stand" and \
           self.logged(failed + "Message was expunged", since):
            return True
        lost = re.search(re.escape(self.user) + ".*" + failed +
                         r"box=(\S+) .*Unexpectedly lost uid",
                         self.node.log(since))
        return self.node.driver == "sdbox" and lost is not None and (
            lost.group(1) == GONE or self.logged(
                r"mailboxes/%s/dbox-Mails: Rebuilding index" %
                re.escape(lost.group(1)), self.episode_log))
