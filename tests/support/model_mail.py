"""The messages of the model test (see soak.py).

A message is known by its token, which copies of it share and which its header
tells, and its subject, which Dovecot's log has of what is expunged. The
token's last letter says how it came: `a`, appended; `s`, appended
with \\Seen; `o`, appended, from another sender; `d`, delivered by LMTP. All
else about it follows from the token, so that whoever comes across it can tell
whether it is what was saved.
"""

import calendar
import collections
import functools
import random
import time

from mailnode import build_message

SENDER, OTHER_SENDER = "sender@example.com", "other@example.com"
FLAGS = ["\\Flagged", "\\Draft", "keyword", "$Other"]
ORIGINS = {"appended": "a", "seen": "s", "other": "o", "delivered": "d"}

# A message as it was found: where, the token, its flags, when it was received
Found = collections.namedtuple("Found", "mailbox token flags date uid")


def token_of(message_id, source, number, origin="appended"):
    return "%s-%d-%d-%s" % (message_id.strip("<>"), source, number,
                            ORIGINS[origin])


@functools.lru_cache(maxsize=None)
def message_of(token):
    """Its octets."""
    chance = random.Random(token)
    lines = ["Body of %s." % token]
    for _ in range(chance.choice([0, 1, 5, 20])):
        lines.append(chance.choice([
            "", ".", "..", "From here ", "\ttab ", "Ж" * 40, "x" * 300]))
    return build_message(
        "<%s>" % token.split("-")[0], date="Mon, 02 Jan 2023 01:02:03 +0000",
        subject=token,
        sender=OTHER_SENDER if token.endswith("o") else SENDER,
        headers=[("X-Token", token)], body="\n".join(lines) + "\n")


@functools.lru_cache(maxsize=None)
def flags_of(token):
    """What it was saved with."""
    chance = random.Random("flags " + token)
    if token.endswith("d"):
        return []
    return sorted(chance.sample(FLAGS, chance.choice([0, 0, 1, 2])) +
                  ["\\Seen"] * token.endswith("s"))


@functools.lru_cache(maxsize=None)
def date_of(token):
    """When it was received, in seconds; None of what Dovecot has set."""
    if token.endswith("d"):
        return None
    return 1500000000 + random.Random("date " + token).randrange(2 * 10**8)


def internal_date(token):
    """The same, as IMAP has it."""
    return time.strftime("%d-%b-%Y %H:%M:%S +0000",
                         time.gmtime(date_of(token))).join('""')


def seconds_of(internal):
    return calendar.timegm(time.strptime(internal,
                                         "%d-%b-%Y %H:%M:%S +0000"))


def append_command(mailbox, token):
    """Of IMAP."""
    octets = message_of(token)
    return b"APPEND %s (%s) %s {%d+}\r\n%s" % (
        mailbox.encode(), " ".join(flags_of(token)).encode(),
        internal_date(token).encode(), len(octets), octets)


def is_what_was_saved(token, octets):
    """LMTP adds headers in front."""
    wanted = message_of(token)
    return octets.endswith(wanted) if token.endswith("d") else \
        octets == wanted


@functools.lru_cache(maxsize=None)
def printed(token):
    return message_of(token).replace(b"\r\n", b"\n").decode().encode(
        "ascii", "ignore")


def is_what_was_printed(token, text):
    """The same as doveadm prints it: with LF, and what is not ASCII is spoilt
    where its buffer ends."""
    octets = text.encode("ascii", "ignore")
    return octets.endswith(printed(token)) if token.endswith("d") else \
        octets == printed(token)


def plain_flags(flags):
    return sorted(set(flags) - {"\\Recent"})
