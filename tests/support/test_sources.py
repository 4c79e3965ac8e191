"""The scripts that look at the sources find what they are for."""
import pathlib
import re

import columns
import layers
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """Writes files of a tree with these rooms; returns its findings."""
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return layers.check(tmp_path)
    assert write({
        "include/limits.h": "",
        "plugin/lib-recall/base/names.h": '#include "limits.h"\n',
        "plugin/lib-recall/index/file.c":
            '#include "names.h"\n#include "hash.h"\n',
        "plugin/lib-recall/index/hash.h": "",
    }) == []
    return write


def test_include_upwards(tree):
    assert tree({"plugin/lib-recall/base/names.c":
                 '#include "names.h"\n#include "hash.h"\n'}) == [
        "plugin/lib-recall/base/names.c: includes upwards: "
        "plugin/lib-recall/index/hash.h"]


def test_include_of_a_sibling(tree):
    assert len(tree({"service/http/reply.h": "",
                     "service/store/journal.c": '#include "reply.h"'})) == 1


def test_circle(tree):
    assert tree({"service/http/reply.h": '#include "request.h"\n',
                 "service/http/request.h": "",
                 "service/http/request.c": ' #  include "../http/reply.h"'}) \
        == ["circle: service/http/reply service/http/request"]


def test_name_twice(tree):
    assert len(tree({"service/base/file.c": ""})) == 1


def test_room_that_nobody_listed(tree):
    assert len(tree({"service/misc/util.h": ""})) == 1


MAKEFILE = """
base_cppflags = \\
	-I$(top_srcdir)/include -I$(srcdir)/lib-recall/base
libbase_la_CPPFLAGS = $(base_cppflags)
libbase_la_SOURCES = lib-recall/base/names.c
libindex_la_CPPFLAGS = $(base_cppflags) -I$(srcdir)/lib-recall/index
libindex_la_SOURCES = \\
	lib-recall/index/file.c
"""


def test_include_path(tree):
    assert tree({"plugin/Makefile.am": MAKEFILE}) == []
    assert tree({"plugin/Makefile.am": MAKEFILE + """
base_cppflags += -I$(srcdir)/lib-recall/index
"""}) == ["plugin/Makefile.am: libbase_la_SOURCES: must not see "
          "plugin/lib-recall/index"]


@pytest.mark.parametrize("line, found", [
    ("import answers", []), ("from faults import wait_for", []),
    ("import test_index", ["test_index"]),
    ("import os, test_index as index", ["test_index"]),
    ("from test_index import Box", ["test_index"]),
    ("def late():\n    from test_index import Box", ["test_index"])])
def test_import_of_a_test(tree, line, found):
    assert [finding.rpartition(" ")[2] for finding in
            tree({"tests/e2e/test_more.py": line + "\n"})] == found


@pytest.mark.parametrize("line, found", [
    ("x" * 80, []), ("x" * 81, ["service/base/wide.c:2: 81 columns"]),
    ("\t" * 9 + "x" * 8, []),
    ("\t" * 9 + "x" * 9, ["service/base/wide.c:2: 81 columns"]),
    ("ä" * 80, [])], ids=["80", "81", "tabs-80", "tabs-81", "utf-8"])
def test_columns(tree, tmp_path, line, found):
    tree({"service/base/wide.c": "\n" + line + "\n"})
    assert columns.check(tmp_path) == found


def test_this_tree():
    assert layers.check(TOP) == []
    assert columns.check(TOP) == []


# where the version stands besides configure.ac, and what it looks like there
VERSIONS = {
    "NEWS": r"^Version (\S+)",
    "debian/changelog": r"^dovecot-recall \((\S+)\)",
    "conf.d/mail-recall.conf":
        r"(?m)^#cef_prefix = CEF:0\|dovecot-recall\|mail-recalld\|(\S+)$",
}


def configured():
    return re.search(r"AC_INIT\(\[dovecot-recall\],\[([^]]+)\]",
                     (TOP / "configure.ac").read_text()).group(1)


@pytest.mark.parametrize("name", VERSIONS)
def test_version(name):
    """It is that of configure.ac, which the programs have it from."""
    found = re.search(VERSIONS[name], (TOP / name).read_text())
    assert found is not None and found.group(1) == configured()


def test_version_is_in_no_source():
    for room in "common", "include", "plugin", "service":
        for path in (TOP / room).rglob("*.[ch]"):
            assert configured() not in path.read_text(), path


def test_makefiles_name_all_sources():
    """Others would not be in the tarball, which could not be built then."""
    named = set()
    for makefile in [TOP / "Makefile.am", *TOP.glob("*/Makefile.am")]:
        named |= set(re.findall(r"[\w.-]+", makefile.read_text()))
    found = [path for room in ("common", "include", "plugin", "service")
             for path in (TOP / room).glob("**/*.[ch]")]
    found += [path for path in (TOP / "debian").iterdir()
              if path.is_file()]
    # what a build of the packages leaves there
    left = re.compile(r"files$|autoreconf\.|debhelper|.*\.(log|substvars|debhelper)$")
    assert [str(path) for path in found if path.name not in named and
            not left.match(path.name)] == []
