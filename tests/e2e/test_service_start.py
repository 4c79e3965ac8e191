"""mail-recalld as whoever starts it sees it: options, what can't be started,
the service manager, the limit of open files."""

import re
import select
import signal
import socket
import subprocess

import pytest

from mailnode import PATIENCE, SRCDIR
from servicenode import Service, program


@pytest.fixture
def service(service_without_node):
    return service_without_node


def run(*args):
    return subprocess.run([program(), *args], capture_output=True, text=True,
                          timeout=PATIENCE)


def refused(service):
    """Starts it; returns the exit status and what it says."""
    service.write_configuration()
    done = subprocess.run(service.command(), capture_output=True, text=True,
                          timeout=PATIENCE)
    return done.returncode, done.stderr


# options

@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option):
    version, = re.findall(r"^AC_INIT\(\[dovecot-recall\],\[(.*?)\]",
                          (SRCDIR / "configure.ac").read_text(), re.M)
    done = run(option)
    assert (done.returncode, done.stdout, done.stderr) == \
        (0, "mail-recalld %s\n" % version, "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option):
    done = run(option)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("-c", "--check-config", "--version", "--help"):
        assert name in done.stdout


@pytest.mark.parametrize("args", [["-x"], ["--no-such-option"], ["word"],
                                  ["-c"]])
def test_wrong_options(args):
    done = run(*args)
    assert (done.returncode, done.stdout) == (64, "")
    assert "--help" in done.stderr


# what can't be started

def test_no_settings(tmp_path):
    done = run("-c", str(tmp_path / "missing"))
    assert done.returncode == 78
    assert done.stderr == "open(%s): No such file or directory\n" % (
        tmp_path / "missing")


def test_wrong_settings(service):
    service.set(auth__jwt_key="short")
    status, text = refused(service)
    assert status == 78
    assert "auth.jwt_key: is shorter" in text and "short\n" not in text


def test_log_that_can_not_be_opened(service):
    service.set(log__path=service.dir / "missing" / "service.log")
    status, text = refused(service)
    assert status == 73
    assert "%s/missing/service.log" % service.dir in text
    assert "No such file or directory" in text


def test_reload_with_a_log_that_can_not_be_opened(service):
    """All is as it was, and the old log says why."""
    good = service.settings["log.path"]
    service.start()
    service.set(log__path=service.dir / "missing" / "service.log",
                http__port=1)
    since = len(service.log())
    service.write_configuration()
    service.process.send_signal(signal.SIGHUP)
    service.wait_log(r"error: .*/missing/service\.log", since)
    assert service.curl("/health/live").status == 200
    service.set(log__path=good, http__port=0)
    assert service.reload() == "reloaded"


def test_log_that_is_rotated_while_the_settings_are_wrong(service):
    service.start()
    path = service.dir / "service.log"
    path.rename(service.dir / "service.log.1")
    service.set(auth__jwt_key="short")
    service.write_configuration()
    service.process.send_signal(signal.SIGHUP)
    service.wait_log(r"the settings stay as they are: .*jwt_key: is shorter")


def changed(name, value):
    """Another value that the setting may have, or None."""
    others = {"http.address": "127.0.0.2", "http.health_address": "127.0.0.2",
              "journal.path": "/nonexistent", "console.dir": "/nonexistent"}
    if value.isdigit() and not name.startswith("rights."):
        return int(value) - 1 if int(value) > 1 else int(value) + 1
    return others.get(name)


def test_reload_says_what_needs_a_restart(service):
    """Those that the example marks, and no others."""
    done = run("--defaults")
    changes = {}
    for name, mark, value in (line.partition(" = ")
                              for line in done.stdout.splitlines()):
        if changed(name, value) is not None:
            changes[name.replace(".", "__")] = changed(name, value)
    service.start()
    service.set(**changes)
    since = len(service.log())
    assert service.reload() == "reloaded"
    found = set(re.findall(r"warning: (\S+): a restart is needed",
                           service.log()[since:]))
    assert len(found) == 15
    example = (SRCDIR / "conf.d/mail-recall.conf").read_text()
    for section, text in re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", example,
                                    re.M | re.S):
        # a comment, and the settings below it
        for comment, names in re.findall(r"((?:^# .*\n)+)((?:^#\w.*\n)*)",
                                         text, re.M):
            names = {"%s.%s" % (section, name) for name in
                     re.findall(r"^#(\w+) =", names, re.M)}
            marked = re.search(r"\brestart\)", comment) is not None
            if names & {key.replace("__", ".") for key in changes}:
                assert bool(names & found) == marked, names
            found -= names
    assert found == set()


def test_console_that_a_reload_turns_on(service):
    service.set(console__enabled="no")
    service.start()
    assert service.curl("/console/").status == 404
    service.set(console__enabled="yes")
    assert service.reload() == "reloaded"
    assert service.curl("/console/").status == 200
    service.set(console__enabled="no")
    assert service.reload() == "reloaded"
    assert service.curl("/console/").status == 404


# the service manager (sd_notify(3))

@pytest.mark.parametrize("abstract", [False, True])
def test_service_manager(tmp_path, abstract):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = str(tmp_path / "notify")
        manager.bind("\0" + name if abstract else name)

        def told():
            ready, _, _ = select.select([manager], [], [], PATIENCE)
            assert ready, "it was told nothing"
            return manager.recv(100)

        with Service(environment={"NOTIFY_SOCKET":
                                  "@" + name if abstract else name}) as \
                service:
            assert told() == b"READY=1"
            # so it is: it listens
            assert service.curl("/health/live").status == 200
        assert told() == b"STOPPING=1"


def test_no_service_manager(tmp_path):
    """What nobody hears is no reason not to work."""
    with Service(environment={"NOTIFY_SOCKET":
                              str(tmp_path / "gone")}) as service:
        service.wait_log("warning: notify the service manager: No such file")
        assert service.curl("/health/live").status == 200


# descriptors

def test_fewer_open_files_than_connections(service):
    """It takes as many as it can, and says how many."""
    service.wrapper = ["prlimit", "--nofile=400:400"]
    service.set(http__max_connections=1000)
    service.start()
    service.wait_log("http.max_connections is more than the limit of open "
                     "files allows: it is 200 now")
    held = [socket.create_connection(("127.0.0.1", service.port))
            for _ in range(150)]
    assert service.curl("/health/live").status == 200
    for connection in held:
        connection.close()
