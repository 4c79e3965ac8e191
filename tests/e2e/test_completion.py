"""Completion of doveadm recall in bash, and the manual page."""

import re
import shlex
import subprocess

import pytest

from mailnode import SRCDIR

COMPLETION = SRCDIR / "completions/doveadm-recall"


def complete(line, before="", after=""):
    """What bash offers at the end of the line."""
    words = line.split(" ")
    script = """
        %s
        . %s
        %s
        COMP_WORDS=(%s)
        COMP_CWORD=%d
        _doveadm_recall doveadm
        printf '%%s\\n' "${COMPREPLY[@]}"
    """ % (before, shlex.quote(str(COMPLETION)), after,
           " ".join(map(shlex.quote, words)), len(words) - 1)
    done = subprocess.run(["bash", "--norc", "-c", script], text=True,
                          capture_output=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def commands():
    """The commands that the plugin has."""
    text = (SRCDIR / "include/recall-params.h").read_text()
    return sorted(set(re.findall(r'#define RECALL_CMD_\w+ "recall (\w+)',
                                 text)))


def test_commands():
    assert sorted(complete("doveadm recall ")) == commands()
    assert complete("doveadm recall un") == ["unshare"]
    assert complete("doveadm rec") == ["recall"]
    assert complete("doveadm -D -c /etc/dovecot.conf recall exp") == ["expunge", "export"]


@pytest.mark.parametrize("line, offered, not_offered", [
    ("doveadm recall expunge --", ["--force", "--yes-count", "--users"],
     ["--limit", "--verify"]),
    ("doveadm recall search -", ["--limit", "-A", "-u"], ["--force"]),
    ("doveadm recall index -A --", ["--verify", "--dump"], ["--sender"]),
    ("doveadm recall search -A ", ["query"], ["FROM"]),
    ("doveadm recall search -u query ", ["query"], ["FROM"]),
    ("doveadm recall search -A query ", ["FROM", "mailbox"], ["query"]),
    ("doveadm recall search -A query FROM x S", ["SUBJECT", "SINCE"],
     ["FROM"]),
    ("doveadm recall fetch -A ", ["hdr", "text"], ["query"]),
    ("doveadm recall fetch -A hdr ", ["query"], ["text"]),
    ("doveadm recall share -u o INBOX user=x ", ["reader", "lookup"], []),
    ("doveadm recall standing ", ["list", "late", "begin", "end", "run"], ["--force"]),
    ("doveadm recall standing begin --", ["--stand", "--force", "--users"],
     ["list", "--jobs"]),
    ("doveadm recall standing late ", ["--since"], ["list", "--stand"]),
    ("doveadm recall standing end ", [], ["list", "end", "--since"]),
    ("doveadm recall export -A --length ", [], ["--output"]),
    ("doveadm recall expunge --reason ", [], ["query", "--force"]),
])
def test_words(line, offered, not_offered):
    words = complete(line)
    assert set(offered) <= set(words)
    assert not set(not_offered) & set(words)


OTHER = """
    _other() { COMPREPLY=(reload "${COMP_WORDS[COMP_CWORD]}x"); }
    complete -F _other doveadm
"""
# as bash-completion does when it finds a completion the first time
LOADER = """
    __load_completion() { [[ $1 == doveadm ]] || exit 1; %s }
""" % OTHER


@pytest.mark.parametrize("before, after", [(OTHER, ""), ("", LOADER)],
                         ids=["there before", "loaded when needed"])
def test_other_commands_stay_with_what_completes_them(before, after):
    assert complete("doveadm r", before, after) == ["reload", "rx", "recall"]
    assert complete("doveadm mailbox ", before, after)[:2] == ["reload", "x"]
    assert "expunge" in complete("doveadm recall ", before, after)


def test_manual_page_is_complete_and_clean():
    page = SRCDIR / "man/doveadm-recall.1"
    text = page.read_text()
    for command in commands():
        assert re.search(r"^\.SS recall %s$" % command, text, re.M), command
        # for `doveadm help recall-...'
        alias = SRCDIR / ("man/doveadm-recall-%s.1" % command)
        assert alias.read_text() == ".so man1/doveadm-recall.1\n"
        assert "man/" + alias.name in (SRCDIR / "Makefile.am").read_text()
    sources = "".join(path.read_text()
                      for path in SRCDIR.glob("plugin/*/recall-*.[ch]"))
    for macro, name in re.findall(r'#define (RECALL_PARAM_\w+) "([\w-]+)"', (
            SRCDIR / "include/recall-params.h").read_text()):
        if macro in sources:
            assert name.replace("-", "\\-") in text or name in text, name
    names = re.findall(r'= "([a-z_]+)"', (
        SRCDIR / "common/verdict.c").read_text())
    assert len(names) > 10
    for name in names:
        assert name in text, name
    done = subprocess.run(["man", "--warnings", "-l", page], text=True,
                          capture_output=True, check=True)
    assert done.stderr == ""


def test_completion_knows_the_commands_options():
    """Every option of the script is one of the plugin's."""
    names = set(re.findall(r'"([a-z][a-z-]+)"', (
        SRCDIR / "include/recall-params.h").read_text())) | {"socket-path"}
    for option in re.findall(r"--([a-z-]+)", COMPLETION.read_text()):
        assert option in names, option
