"""What the documents name is there."""

import json
import re

from mailnode import SRCDIR


def missing_tests(named):
    """Those of (module without test_, function) that there are not."""
    missing = []
    for module, name in named:
        path = SRCDIR / "tests/e2e" / ("test_%s.py" % module)
        if not path.exists() or not re.search(
                r"^def %s\(" % name, path.read_text(), re.MULTILINE):
            missing.append("%s::%s" % (module, name))
    return missing


def test_tests_that_are_named():
    named = re.findall(r"`(\w+)::(test_\w+)`",
                       (SRCDIR / "docs/security.md").read_text())
    assert len(named) > 40
    assert missing_tests(named) == []
    named = re.findall(r"`test_(\w+)\.py::(test_\w+)`",
                       (SRCDIR / "docs/findings.md").read_text())
    assert len(named) > 20
    assert missing_tests(named) == []
    # finds what is not there
    assert missing_tests([("docs", "test_no"), ("no", "test_docs")]) == [
        "docs::test_no", "no::test_docs"]


# of Dovecot 2.4, and what SQLite calls by another name
FUNCTIONS_OF_OTHERS = {"settings_get", "io_stream_autocreate_ssl_client",
                       "mail_storage_service_lookup", "visible"}


def tree_files():
    return [path for root in ("include", "common", "plugin", "service",
                              "tests", "docs", "conf.d", "check")
            for path in [SRCDIR / root, *(SRCDIR / root).rglob("*")]]


def files_named(name, files):
    """Those that a document means: the end of their path, of each kind."""
    kinds = [name]
    for pattern, values in (".[ch]", (".c", ".h")), ("-2.x", ("-2.3", "-2.4")):
        kinds = [kind.replace(pattern, value) for kind in kinds
                 for value in (values if pattern in kind else ("",))]
    return [[path for path in files
             if ("/%s" % path).endswith("/" + kind.strip("./"))]
            for kind in kinds]


def defines(path, function):
    return path.suffix == ".c" and re.search(
        r"^(?:\w[\w *]*[ *])?%s\(" % function, path.read_text(),
        re.MULTILINE) is not None


def wrong_in(text, files):
    """Files and functions of the text that there are not, or not there."""
    wrong = []
    for name in re.findall(r"`(\w[\w./\[\]-]+)`", text):
        if re.search(r"\w/|\w\.(c|h|\[ch\]|py|md|json)$", name) and \
           not all(files_named(name, files)):
            wrong.append(name)
    for name in re.findall(r"`(\w+)\(\)`", text):
        if name not in FUNCTIONS_OF_OTHERS and \
           not any(defines(path, name) for path in files):
            wrong.append(name)
    for name, place in re.findall(r"`(\w+)\(\)` \(`([\w/.-]+\.c)`\)", text):
        if not any(defines(path, name)
                   for path in sum(files_named(place, files), [])):
            wrong.append("%s (%s)" % (name, place))
    return wrong


def test_architecture():
    files = tree_files()
    text = (SRCDIR / "ARCHITECTURE.md").read_text()
    assert len(re.findall(r"`\w+\(\)`", text)) > 15
    assert wrong_in(text, files) == []
    # finds what is not there
    assert wrong_in("`recall_run()` (`recall/recall-run.c`), `recall/jobs.c`",
                    files) == []
    assert wrong_in("`recall_no()` is in `recall/recall-no.c`", files) == [
        "recall/recall-no.c", "recall_no"]
    assert wrong_in("`recall_run()` (`recall/jobs.c`)", files) == [
        "recall_run (recall/jobs.c)"]


def test_manual_of_the_service():
    """It names each resource, and each variable of the environment with its
    setting."""
    manual = (SRCDIR / "man/mail-recalld.8").read_text().replace("\\-", "-")
    plain = re.sub(r"\\fI\w+\\fP", "{}", manual)
    paths = json.loads((SRCDIR / "docs/openapi.json").read_text())["paths"]
    missing = [path for path in paths if not re.search(
        re.escape(re.sub(r"{\w+}", "{}", path)) + r"[\s\"]", plain)]
    assert missing == []
    variables = re.findall(r'"(MAIL_RECALLD_\w+)", "([\w.]+)"',
                           (SRCDIR / "service/config/config-load.c").read_text())
    assert len(variables) == 5
    for variable, setting in variables:
        assert ".B %s\n.B %s\n" % (variable, setting) in manual
        assert variable in (SRCDIR / "conf.d/mail-recall.conf").read_text()
