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
    # short names, too, of unit tests as well
    there = {path.stem for path in (SRCDIR / "tests/e2e").glob("test_*.py")}
    for path in (SRCDIR / "tests").glob("*/test[_-]*.*"):
        there |= set(re.findall(r"^(?:static void |def )(test_\w+)\(",
                                path.read_text(), re.MULTILINE))
    for name in "findings", "security", "testing":
        text = (SRCDIR / ("docs/%s.md" % name)).read_text()
        assert set(re.findall(r"\btest_\w+\b(?!\*)", text)) - there == set()
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


DOCUMENTS = ["README.md", "NEWS", "debian/mail-recalld.README.Debian", *sorted(
    str(path.relative_to(SRCDIR)) for path in (SRCDIR / "docs").glob("*.md"))]


def named_in_documents(pattern):
    """(document, name) of what is in `...` and matches."""
    return [(path, name) for path in DOCUMENTS for name in re.findall(
        "`%s`" % pattern, (SRCDIR / path).read_text())]


def test_settings_of_the_service():
    settings, section = set(), None
    for line in (SRCDIR / "conf.d/mail-recall.conf").read_text().splitlines():
        match = re.fullmatch(r"\[(\w+)\]", line)
        section = match[1] if match else section
        match = re.match(r"#(\w+) =", line)
        if match:
            settings.add("%s.%s" % (section, match[1]))
    sections = {name.split(".")[0] for name in settings}
    named = named_in_documents(r"((?:%s)\.[a-z_]+)" % "|".join(sections))
    assert len(named) > 60
    assert [(path, name) for path, name in named if name not in settings
            and not re.search(r"\.(db|conf|md|[ch])$", name)] == []


def test_parameters_of_the_service():
    routes = (SRCDIR / "service/api/routes.c").read_text()
    text = (SRCDIR / "docs/service.md").read_text()
    names = {name for part in re.findall(
        r"\b(?:BODY|URL|URL_ANY)\((\"[^)]*)\)", routes)
        for name in re.findall(r'"(\w+)"', part)}
    assert len(names) > 30
    assert [name for name in names
            if not re.search(r'[`?&; "-]%s\b' % name, text)] == []


def test_names_of_the_plugin():
    """Settings, fields and events, and the service's metrics."""
    sources = "".join(path.read_text() for root in (
        "include", "plugin", "conf.d") for path in (SRCDIR / root).rglob("*")
        if path.suffix in (".c", ".h", ".conf"))
    named = named_in_documents(r"(recall_[a-z_]+)")
    assert len(named) > 30
    assert [(path, name) for path, name in named
            if not re.search(r"\b%s\b" % name, sources)] == []
    metrics = "".join(path.read_text()
                      for path in (SRCDIR / "service").rglob("*.c"))
    named = named_in_documents(r"mail_recalld_([a-z_]+)(?:{\w+})?")
    assert len(named) > 5
    assert [(path, name) for path, name in named if name not in metrics] == []


def test_audit_trail():
    """Each event and each key that the service writes is in the document."""
    text = (SRCDIR / "docs/service.md").read_text()
    text = text[text.index("### The audit trail"):]
    text = text[:text.index("\n## ")]
    sources = "".join(path.read_text()
                      for path in (SRCDIR / "service").rglob("*.c"))
    events = set(re.findall(
        r'\.audit = "([\w-]+)"|audit_done\(\w+,\s*"([\w-]+)"|'
        r'audit_cef_begin\(\S+, config,\s*"([\w-]+)"', sources))
    events = {name for names in events for name in names if name}
    assert len(events) > 20
    assert [name for name in events
            if not re.search("`%s(-refused)?`" % name, text)] == []
    keys = re.findall(r'\[AUDIT_\w+\] = { "(\w+)", (?:"([\w-]+)"|NULL)',
                      sources)
    assert len(keys) > 20
    for key, label in keys:
        shown = "| `%s` | %s |" % (key, "`%s`" % label if label else "")
        assert re.sub(r"\s+", " ", shown) in re.sub(r"\s+", " ", text), key


# where a table of columns is, and what the manual page calls its section
TABLES = {
    "doveadm/doveadm-recall-cmd-search.c": "recall search",
    "doveadm/doveadm-recall-cmd-export.c": "recall export",
    "doveadm/doveadm-recall-cmd-index.c": "recall index",
    "doveadm/doveadm-recall-cmd-check.c": "recall check",
    "doveadm/doveadm-recall-record-rows.c": "recall list",
    "doveadm/doveadm-recall-cmd-standing.c": "recall standing",
    "doveadm/doveadm-recall-cmd-standing-begin.c": "recall standing",
    "doveadm/doveadm-recall-cmd-standing-run.c": "recall standing",
    "doveadm-acl/doveadm-recall-cmd-share.c": "recall shares",
    "doveadm-acl/doveadm-recall-cmd-shares.c": "recall shares",
}


def test_columns():
    params = (SRCDIR / "include/recall-params.h").read_text()
    names = dict(re.findall(r'#define (RECALL_COLUMN_\w+) "(.+)"', params))
    manual = (SRCDIR / "man/doveadm-recall.1").read_text().replace("\\-", "-")
    sections = dict(part.split("\n", 1) for part in
                    re.split(r"^\.S[SH] ", manual, flags=re.M)[1:])
    tables = {path: {names[name] for name in re.findall(
        r"\.name = (RECALL_COLUMN_\w+)", (SRCDIR / "plugin" / path).read_text())}
        for path in (*TABLES, "doveadm/doveadm-recall-row.c")}
    for path, section in TABLES.items():
        columns = tables[path] - {"senders", "query"}
        assert len(columns) > 1, path
        assert [name for name in columns if not re.search(
            r"(?<![\w-])%s(?![\w-])" % name, sections[section])] == [], path
    readme = (SRCDIR / "README.md").read_text()
    assert [name for name in tables["doveadm/doveadm-recall-row.c"]
            if "`%s`" % name not in readme] == []
