"""packaging/sbom lists what the build is linked with and what the tree has of
others, no more and no less."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from hardening import readelf
from mailnode import SRCDIR, builddir

ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
VENDORED = [*(SRCDIR / "service/console/vendor").glob("*.mjs"),
            *(SRCDIR / "tests/support/vendor").glob("*.js")]


def make(path, name, files, *options):
    subprocess.run([SRCDIR / "packaging/sbom", "--name", name, "--version",
                    "1.2", *options, "-o", path, *files], check=True,
                   env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return json.loads(path.read_text())


@pytest.fixture(scope="module", params=["dovecot-recall", "mail-recalld"])
def made(request, tmp_path_factory):
    """Name, files and document of a package."""
    if request.param == "mail-recalld":
        files, options = [*builddir().glob("service/mail-recalld")], []
        if not files:
            pytest.skip("built without the service")
    else:
        files = sorted((builddir() / "plugin/.libs").glob("lib*.so"))
        options = ["--uses", "dovecot-core"]
    path = tmp_path_factory.mktemp("sbom") / "sbom.json"
    return request.param, files, make(path, request.param, files, *options)


def named(document):
    return {package["name"]: package for package in document["packages"]}


def test_shape(made):
    """What SPDX 2.3 demands of a document."""
    name, files, document = made
    assert document["spdxVersion"] == "SPDX-2.3"
    assert document["dataLicense"] == "CC0-1.0"
    assert document["SPDXID"] == "SPDXRef-DOCUMENT"
    assert document["name"] == name + "-1.2"
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}",
                        document["documentNamespace"])
    assert document["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert all(re.match("(Tool|Person|Organization): ", creator)
               for creator in document["creationInfo"]["creators"])
    elements = document["packages"] + document["files"]
    ids = [element["SPDXID"] for element in elements]
    assert len(set(ids)) == len(ids)
    assert all(ID.fullmatch(ref) for ref in ids)
    for element in elements:
        assert {"copyrightText", "licenseConcluded"} <= set(element)
    for package in document["packages"]:
        assert package["name"] and package["versionInfo"]
        assert package["downloadLocation"] == "NOASSERTION"
        assert package["filesAnalyzed"] is False
        reference, = package["externalRefs"]
        assert reference["referenceType"] == "purl"
        assert re.fullmatch(r"pkg:(deb|npm)/[\w./-]+@[\w.:~%-]+(\?\S+)?",
                            reference["referenceLocator"])
    for file in document["files"]:
        assert file["fileName"].startswith("./")
        assert "SHA1" in [sum["algorithm"] for sum in file["checksums"]]
    described = [relation["relatedSpdxElement"]
                 for relation in document["relationships"]
                 if relation["relationshipType"] == "DESCRIBES"]
    assert described == ["SPDXRef-Package-" + name]
    related = set()
    for relation in document["relationships"]:
        related |= {relation["spdxElementId"], relation["relatedSpdxElement"]}
        assert relation["relationshipType"] in (
            "DESCRIBES", "DEPENDS_ON", "CONTAINS", "TEST_DEPENDENCY_OF")
    # nothing is listed that nobody knows why
    assert related == {"SPDXRef-DOCUMENT", *ids}


def test_libraries_are_those_that_the_loader_is_asked_for(made):
    name, files, document = made
    asked = set()
    for path in files:
        asked |= set(re.findall(r"Shared library: \[(.*)\]",
                                readelf(path, "-d")))
    asked = {soname for soname in asked if not soname.startswith("ld-linux")}
    # what a build with sanitizers or a coverage count adds is listed, too
    assert "libc.so.6" in asked
    listed = {}
    for package in document["packages"]:
        mark, _, names = package.get("comment", "").partition("libraries: ")
        listed.update((soname, package) for soname in names.split())
    assert set(listed) == asked
    for soname, package in listed.items():
        version = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}\n", package["name"]],
            capture_output=True, text=True).stdout.split()
        assert package["versionInfo"] in version
        owned = subprocess.run(["dpkg-query", "-L", package["name"]],
                               capture_output=True, text=True).stdout
        assert "/%s\n" % soname in owned


def test_dovecot_is_what_modules_need(made):
    name, files, document = made
    assert ("dovecot-core" in named(document)) == (name == "dovecot-recall")


def test_what_is_of_others_in_the_tree(made):
    name, files, document = made
    sums = {file["fileName"]: sum["checksumValue"]
            for file in document["files"] for sum in file["checksums"]
            if sum["algorithm"] == "SHA256"}
    if name != "mail-recalld":
        assert sums == {}
        return
    assert sums == {
        "./%s" % path.relative_to(SRCDIR):
        hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDORED}
    assert len(sums) == 4
    readme = "".join((path / "README").read_text() for path in
                     {path.parent for path in VENDORED})
    packages = named(document)
    for vendored in ("preact", "htm", "axe-core"):
        assert "%s %s" % (vendored, packages[vendored]["versionInfo"]) in \
            readme
        license, = {path for path in (each.parent / ("LICENSE." + vendored)
                                      for each in VENDORED) if path.exists()}
        text = license.read_text()
        words = {"MIT": "MIT license", "Apache-2.0": "Apache License",
                 "MPL-2.0": "Mozilla Public License"}
        assert words[packages[vendored]["licenseDeclared"]].lower() in \
            text.lower()
    ref = packages["axe-core"]["SPDXID"]
    assert [(relation["relationshipType"], relation["relatedSpdxElement"])
            for relation in document["relationships"]
            if relation["spdxElementId"] == ref][0] == (
        "TEST_DEPENDENCY_OF", "SPDXRef-Package-mail-recalld")
    assert not [relation for relation in document["relationships"]
                if relation["relatedSpdxElement"] == ref]


def test_same_input_same_output(made, tmp_path):
    name, files, document = made
    options = ["--uses", "dovecot-core"] if name == "dovecot-recall" else []
    assert make(tmp_path / "again.json", name, reversed(files), *options) == \
        document
