"""Messages as octets, and names of mailboxes as IMAP writes them."""

import base64
import email.utils
import re


def mailbox_utf7(name):
    """A mailbox name in IMAP's modified UTF-7."""
    out, wide = [], []

    def flush():
        if wide:
            text = base64.b64encode("".join(wide).encode("utf-16-be"))
            out.append("&" + text.decode().rstrip("=").replace("/", ",") + "-")
            wide.clear()

    for char in name:
        if " " <= char <= "~":
            flush()
            out.append("&-" if char == "&" else char)
        else:
            wide.append(char)
    flush()
    return "".join(out)


def imap_quote(name):
    name = mailbox_utf7(name).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + name + '"'


def build_message(message_id=None, subject="Test", sender="sender@example.com",
                  to="user@example.com", date=None, headers=(), body="Text.\n"):
    """A message as octets with CRLF. message_id is put in as it is (folding
    and missing brackets included); without one there is no such header.
    headers: more (name, raw value) pairs."""
    lines = []
    if sender is not None:
        lines.append(("From", sender))
    lines.append(("To", to))
    lines.append(("Subject", subject))
    lines.append(("Date", date or email.utils.formatdate()))
    if message_id is not None:
        lines.append(("Message-ID", message_id))
    lines += [("MIME-Version", "1.0"),
              ("Content-Type", "text/plain; charset=utf-8"),
              ("Content-Transfer-Encoding", "8bit")]
    lines += list(headers)
    text = "".join("%s: %s\n" % line for line in lines) + "\n" + body
    return re.sub(rb"\r?\n", b"\r\n", text.encode())


def check_wire_format(raw):
    """Whether a message is as it may be sent: RFC 5322."""
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    header = raw.partition(b"\r\n\r\n")[0]
    assert header.isascii()
