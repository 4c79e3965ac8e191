"""Mailboxes that Dovecot leaves out of its list without a word, though their mail
is there. A recall must not say that a message is not there."""

import os
import pathlib
import shutil

import pytest

from conftest import DRIVERS, EX_TEMPFAIL
from indexbox import wait_until_older
from mailnode import build_message
from nodebase import DOVECOT_24
from quarantine import append, command, make_node

PLAIN = "%s:~/mail"
OF_INDEX = "%s:~/mail:INDEX=~/index:ITERINDEX"
# Maildir's second layout, with mailboxes in one another as dbox has them
FS = ":LAYOUT=fs"

pytestmark = pytest.mark.log_errors("was lost|force-resync|rename.*failed|"
                                    "stat.*failed|opendir.*failed")


@pytest.fixture(scope="module", params=[*DRIVERS, *["fs"] *
                                        ("maildir" in DRIVERS)])
def node(request):
    layout = FS if request.param == "fs" else ""
    driver = "maildir" if layout else request.param
    users = {kind: {"%s%02d@example.com" % (kind, i): {
        "mail": location % driver + layout} for i in range(20)}
        for kind, location in (("plain", PLAIN), ("index", OF_INDEX))}
    # 2.4 has one place of indexes for all namespaces
    with make_node(driver, {**users["plain"], **users["index"]}, kept=False,
                   mail_plugins=["notify", "recall"]) as node:
        node.free = {kind: iter(names) for kind, names in users.items()}
        node.fs = layout or driver != "maildir"
        yield node
        assert node.panics() == []


@pytest.fixture
def user(node):
    return next(node.free["plain"])


@pytest.fixture
def user_of_index(node):
    if DOVECOT_24 and node.driver == "maildir" and node.fs:
        pytest.skip("Dovecot panics there as it creates a mailbox")
    return next(node.free["index"])


def directory(node, user, name, root="mail"):
    """Where a mailbox is, or its index."""
    path = node.home(user) / root
    if node.driver != "maildir":
        return path / "mailboxes" / name
    return path / (name if node.fs else "." + name.replace("/", "."))


def own(node, path):
    for each in [path, *path.rglob("*")]:
        shutil.chown(each, node.mail_user, node.mail_group)


def ids(path):
    return path.stat().st_uid, path.stat().st_gid


def statuses(node, user, message_id):
    """What recalls of all kinds say, and searches."""
    found = set()
    for criteria in ([message_id], ["--verify-headers", message_id],
                     ["query", "HEADER", "Message-ID", message_id]):
        done = command(node, "expunge", "-u", user, "--dry-run", *criteria)
        rows = command(node, "search", "-u", user, *criteria)
        assert done.code == rows.code
        found.add((done.status(), done.code, len(rows.rows)))
        error = done.row()["error"]
    return found, error


ERROR = {("error", EX_TEMPFAIL, 1)}
FOUND = {("would_expunge", 0, 1)}
NOT_FOUND = {("not_found", 0, 0)}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("where", ["Work", "Work/Sub", "root", "home"])
def test_link_that_leads_nowhere(node, user, message_id, where, known):
    """The disk that it is on is not mounted."""
    append(node, user, "Work", build_message("<other@example.com>"))
    append(node, user, "Work" if where in ("root", "home") else where,
           build_message(message_id))
    if known:
        assert statuses(node, user, message_id)[0] == FOUND
    path = {"root": node.home(user) / "mail", "home": node.home(user)}.get(
        where) or directory(node, user, where)
    there = node.dir / "mail" / ("disk-of-" + user) / "mail"
    there.parent.mkdir()
    own(node, there.parent)
    path.rename(there)
    path.symlink_to(there)
    away = there.parent.with_name(there.parent.name + "-away")
    # Dovecot does not look for links in the directory of a mailbox
    found, error = statuses(node, user, message_id)
    assert found == (ERROR if where == "Work/Sub" and
                     node.driver != "maildir" else FOUND)
    there.parent.rename(away)
    found, error = statuses(node, user, message_id)
    assert found == ERROR
    assert where in ("home", "root") or "Work" in error
    # what the link is not about
    if where == "Work" and node.fs:
        done = command(node, "expunge", "-u", user, "--dry-run", "query",
                       "mailbox", "INBOX", "HEADER", "Message-ID", message_id)
        assert (done.status(), done.code) == ("not_found", 0)
    away.rename(there.parent)
    path.unlink()
    there.rename(path)
    assert statuses(node, user, message_id)[0] == FOUND


@pytest.mark.parametrize("mailbox", ["Work", "Work/Sub"])
@pytest.mark.parametrize("lost", ["index", "Work", "Work/Sub"])
def test_directory_of_indexes_lost(node, user_of_index, message_id, lost,
                                   mailbox):
    """ITERINDEX: mailboxes are listed from there."""
    user = user_of_index
    if lost == "Work/Sub" and mailbox == "Work":
        pytest.skip("it is not in there")
    append(node, user, mailbox, build_message(message_id))
    assert statuses(node, user, message_id)[0] == FOUND
    path = node.home(user) / "index" if lost == "index" else \
        directory(node, user, lost, "index")
    away = node.home(user) / "away"
    # in one directory: those below it, too
    paths = [path] if node.fs or lost == "index" else \
        [*path.parent.glob(path.name + "*")]
    away.mkdir()
    wait_until_older(node.home(user) / "mail")
    for each in paths:
        each.rename(away / each.name)
    found, error = statuses(node, user, message_id)
    # 2.4 may find what is left
    assert found == ERROR or (DOVECOT_24 and not found & NOT_FOUND)
    assert "Work" in error or found != ERROR
    if lost == "index" and path.exists():
        shutil.rmtree(path)
    for each in paths:
        # 2.4 deletes what is empty
        each.parent.mkdir(parents=True, exist_ok=True)
        own(node, each.parent)
        (away / each.name).rename(each)
    assert statuses(node, user, message_id)[0] == FOUND


def test_directories_of_indexes_made_anew(node, user_of_index, message_id):
    """What the guide says."""
    user = user_of_index
    append(node, user, "Work/Sub", build_message(message_id))
    shutil.rmtree(node.home(user) / "index")
    path = directory(node, user, "Work/Sub", "index")
    path.mkdir(parents=True)
    own(node, node.home(user) / "index")
    node.doveadm("force-resync", "-u", user, "*", check=False)
    assert statuses(node, user, message_id)[0] == FOUND


def test_mailboxes_that_come_and_go(node, user_of_index, message_id):
    """What Dovecot leaves of mailboxes that were renamed and deleted is no
    mailbox that is not listed."""
    user = user_of_index
    for mailbox in "Work/Sub", "Old/Sub", "Gone":
        append(node, user, mailbox, build_message("<other@example.com>"))
    # of a Maildir the directories of indexes stay: it is listed for ever
    if node.driver != "maildir":
        node.doveadm("mailbox", "delete", "-u", user, "Work/Sub", "Gone")
    node.doveadm("mailbox", "rename", "-u", user, "Old", "New")
    node.doveadm("mailbox", "create", "-u", user, "Empty", "Old")
    assert statuses(node, user, message_id)[0] == NOT_FOUND
    append(node, user, "New/Sub", build_message(message_id))
    assert statuses(node, user, message_id)[0] == FOUND


def test_links_in_a_circle(node, user_of_index, message_id):
    """Dovecot does not look into what it does not list, and a recall does not
    for ever."""
    user = user_of_index
    append(node, user, "Work", build_message(message_id))
    path = directory(node, user, "Circle")
    path.mkdir()
    for name in "ab":
        (path / name).symlink_to(".")
        os.lchown(path / name, *ids(path.parent))
    os.chown(path, *ids(path.parent))
    found, error = statuses(node, user, "<none@example.com>")
    if node.fs:
        assert found == ERROR and "Circle" in error
    else:
        assert found == NOT_FOUND
    for name in "ab":
        (path / name).unlink()
    assert statuses(node, user, "<none@example.com>")[0] == NOT_FOUND


def test_link_that_is_no_mailbox(node, user, message_id):
    """Editors lock files with links that lead nowhere."""
    append(node, user, "Work", build_message("<other@example.com>"))
    path = directory(node, user, "Work") if node.fs else \
        node.home(user) / "mail"
    (path / ".#file").symlink_to("somebody@somewhere.1234")
    if node.fs:
        assert statuses(node, user, message_id)[0] == NOT_FOUND


def test_name_that_is_no_text(node, user, message_id):
    """Dovecot renames it, unless another one has that name."""
    append(node, user, "Work", build_message("<other@example.com>"))
    append(node, user, "Work", build_message(message_id))
    path = directory(node, user, "Work")
    name = os.fsencode(path).replace(b"Work", b"caf\xe9")
    for taken in "caf&,,0-", "caf&AP0-":
        append(node, user, "Taken", build_message("<other@example.com>"))
        directory(node, user, "Taken").rename(directory(node, user, taken))
    path.rename(os.fsdecode(name))
    found, error = statuses(node, user, message_id)
    assert found == ERROR
    assert "caf" in error
    pathlib.Path(os.fsdecode(name)).rename(path)
    assert statuses(node, user, message_id)[0] == FOUND
