"""What is built is hardened: read from the files themselves."""

import re
import subprocess

import pytest

import hardening
from mailnode import builddir

SOURCE = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
	char buffer[64];

	strcpy(buffer, argv[argc - 1]);
	return printf(buffer);
}
"""
BARE = ["-O2", "-no-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE",
        "-fcf-protection=none", "-Wl,-z,norelro", "-Wl,-z,lazy"]


def options():
    """What the build was configured with."""
    return subprocess.run([builddir() / "config.status", "--config"],
                          check=True, capture_output=True, text=True).stdout


def built():
    """The modules, and the service if it was built."""
    return [*sorted((builddir() / "plugin/.libs").glob("lib*.so")),
            *builddir().glob("service/mail-recalld")]


def test_modules_need_nothing_of_each_other():
    """Each is linked with what it calls: Dovecot loads one without."""
    modules = [path for path in built() if path.suffix == ".so"]
    assert modules
    for module in modules:
        names = subprocess.run(["nm", "-D", "--undefined-only", module],
                               check=True, capture_output=True, text=True)
        assert not re.findall(r" U ((?:doveadm_)?recall_\w+)", names.stdout), \
            module


def test_what_is_built():
    if re.search("--enable-(sanitizers|tsan|coverage|fuzzers)|"
                 "--disable-hardening", options()):
        pytest.skip("not hardened, as it was asked for")
    files = built()
    assert len(files) >= 3
    assert {str(path): hardening.missing(path) for path in files} == \
        {str(path): [] for path in files}
    # others use nothing that is always replaced
    for path in files:
        if path.name in ("mail-recalld", "librecall_evidence.so"):
            assert hardening.fortified(path), path


def test_only_what_writes_zips_is_linked_with_libarchive():
    """It has the loader find a dozen libraries more."""
    linked = [path.name for path in built() if "libarchive." in
              subprocess.run(["ldd", path], check=True, capture_output=True,
                             text=True).stdout]
    assert set(linked) - {"mail-recalld"} == {"librecall_evidence.so"}


@pytest.fixture
def compiled(tmp_path):
    """Compiles a program; returns what it lacks."""
    def compile_with(*flags):
        source = tmp_path / "program.c"
        source.write_text(SOURCE)
        subprocess.run(["gcc", "-w", *flags, "-o", tmp_path / "program",
                        source], check=True)
        return hardening.missing(tmp_path / "program")
    return compile_with


def test_what_lacks_all_is_found(compiled):
    assert [name for name in compiled(*BARE) if name != "IBT"] == [
        "PIE", "RELRO", "BIND_NOW", "canary", "fortify"]
    assert "-fstack-clash-protection" in compiled(*BARE, "-g")
    assert "NX" in compiled(*BARE, "-Wl,-z,execstack")


@pytest.mark.parametrize("flags, cured", [
    (["-fPIE", "-pie"], "PIE"), (["-Wl,-z,relro"], "RELRO"),
    (["-Wl,-z,now"], "BIND_NOW"), (["-fstack-protector-strong"], "canary"),
    (["-D_FORTIFY_SOURCE=2"], "fortify")], ids=lambda value: str(value)[-8:])
def test_what_is_mended_is_seen(compiled, flags, cured):
    before = compiled(*BARE)
    assert cured in before
    assert cured not in compiled(*BARE, *flags)
