"""What the documents name is there."""

import re

from mailnode import SRCDIR


def test_tests_that_are_named():
    named = re.findall(r"`(\w+)::(test_\w+)`",
                       (SRCDIR / "docs/security.md").read_text())
    assert len(named) > 40
    missing = []
    for module, name in named:
        path = SRCDIR / "tests/e2e" / ("test_%s.py" % module)
        if not path.exists() or not re.search(
                r"^def %s\(" % name, path.read_text(), re.MULTILINE):
            missing.append("%s::%s" % (module, name))
    assert missing == []
