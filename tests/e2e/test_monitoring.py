"""Alert rules and dashboard ask for what /metrics really has; promtool agrees."""

import json
import re
import shutil
import subprocess

import pytest

from mailnode import SRCDIR, build_message
from servicenode import RecallNode, Service

RULES = SRCDIR / "monitoring/mail-recalld.rules.yml"
DASHBOARD = SRCDIR / "monitoring/mail-recalld-dashboard.json"
USER = "monitored@example.com"

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"),
                                    reason="promtool is not installed")


@pytest.fixture(scope="module")
def page():
    """The text of /metrics after a recall and a login that failed."""
    with RecallNode(users=[USER]) as node:
        with Service(node) as service:
            messageid = "<1.monitoring@example.com>"
            node.lmtp_deliver([USER], build_message(messageid))
            service.recall(service.token(), messageid, [USER])
            service.curl("/v2/auth/login", "-d", "login=x", "-d",
                         "password=y", check=False)
            return service.curl("/metrics").body.decode()


def promtool(*args, input=None):
    run = subprocess.run(["promtool", *map(str, args)], input=input,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def dashboard_queries():
    return [target["expr"]
            for panel in json.loads(DASHBOARD.read_text())["panels"]
            for target in panel["targets"]]


def series(page):
    """Names of /metrics -> label -> values."""
    found = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
        of_name = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
            of_name.setdefault(label, set()).add(value)
    return found


def check_query(query, known):
    """What the query asks for of ours is there, labels and values too."""
    asked = 0
    for name, selector in re.findall(r"\b(mail_recalld_\w+)(?:\{([^}]*)\})?",
                                     query):
        asked += 1
        assert name in known, query
        for label, operator, value in re.findall(
                r'(\w+)\s*(=~|=)\s*"([^"]*)"', selector or ""):
            # scraping adds these
            if label in ("instance", "job"):
                continue
            assert label in known[name], query
            values = value.split("|") if operator == "=~" else [value]
            assert set(values) <= known[name][label], query
    for labels in re.findall(r"\bby \(([^)]*)\)", query):
        for label in labels.replace(" ", "").split(","):
            assert label == "instance" or any(
                label in known[name]
                for name in re.findall(r"\bmail_recalld_\w+", query)), query
    return asked


def test_dashboard(page):
    known = series(page)
    assert sum(check_query(query, known) for query in dashboard_queries()) > 10
    # and nothing that is counted is left out
    text = DASHBOARD.read_text()
    for name in known:
        assert re.sub("_(sum|count)$", "_bucket", name) in text, name


def test_alerts(page):
    known = series(page)
    text = RULES.read_text()
    queries = re.findall(r"expr: (?:>\n)?((?:.|\n)*?)\n {8}\w", text)
    assert len(queries) == text.count("- alert:")
    assert sum(check_query(query, known) for query in queries) > 6


def test_what_is_not_there_is_seen(page):
    """The check of queries is one."""
    known = series(page)
    for query in ("mail_recalld_no_such_thing",
                  'mail_recalld_verdicts_total{status="no_such_verdict"}',
                  'mail_recalld_verdicts_total{verdict="expunged"}',
                  "sum by (verdict) (mail_recalld_verdicts_total)"):
        with pytest.raises(AssertionError):
            check_query(query, known)


@needs_promtool
def test_promtool(page, tmp_path):
    promtool("check", "rules", RULES)
    promtool("test", "rules", SRCDIR / "tests/monitoring/rules.test.yml")
    promtool("check", "metrics", input=page)
    # each query of the dashboard is one
    rules = tmp_path / "dashboard.yml"
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
        {"record": "panel:%d" % i,
         "expr": query.replace("$__rate_interval", "5m")
                      .replace("$instance", ".*")}
        for i, query in enumerate(dashboard_queries())]}]}))
    promtool("check", "rules", rules)
