"""What Dovecot's log says."""

import re
import time

from nodebase import DOVECOT_24, PATIENCE


class NodeLog:
    """The part of a MailNode that reads its log."""

    def log_size(self):
        try:
            return self.log_path.stat().st_size
        except FileNotFoundError:
            return 0

    def log(self, since=0):
        """The log's text, from an octet on (see log_size())."""
        try:
            with open(self.log_path, "rb") as stream:
                stream.seek(since)
                return stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def executed(self, since=0):
        """Commands that came over HTTP, from an octet of the log on, but for
        those by which mail-recalld asks for late recalls now and then."""
        pattern = ": cmd ([^:]*): Executing command" if DOVECOT_24 else \
            "Executing command '([^']*)'"
        return [name for name in re.findall(pattern, self.log(since))
                if name != "recall standing late"]

    def wait_log(self, pattern, since=0, count=1):
        """Waits for lines of the log that match; returns them. The log is
        written by another process than the one that answers: what an answer
        says may be there before its lines in the log are."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = [line for line in self.log(since).splitlines(True)
                     if line.endswith("\n") and re.search(pattern, line)]
            if len(lines) >= count:
                return [line.rstrip("\n") for line in lines]
            if time.monotonic() > deadline:
                raise TimeoutError("not %d times %r in the log:\n%s" %
                                   (count, pattern, self.log(since)))
            time.sleep(0.02)

    def settle_log(self):
        """Waits for what the log process has not written yet."""
        path = "/settle-%d" % time.monotonic_ns()
        since = self.log_size()
        self.http("GET", path=path)
        self.wait_log(path, since)

    def panics(self, since=0):
        """Crashes in the log and the sanitizers' reports."""
        found = [line for line in self.log(since).splitlines()
                 if re.search(r"Panic:|killed with signal|"
                              r"Raw backtrace|AddressSanitizer", line)]
        for report in sorted((self.dir / "sanitizer").glob("*")):
            found.append(report.name + ":\n" +
                         report.read_text(errors="replace"))
        return found

    def errors(self, since=0, allow=None):
        """Error, Fatal and Panic lines; allow: a pattern of expected ones."""
        return [line for line in self.log(since).splitlines()
                if re.search(r"(Error|Fatal|Panic): ", line) and
                not (allow and re.search(allow, line))]
