"""The console's pages as docs/console.md shows them, each of them looked at."""

import re

from browser import AXE, Browser
from mailnode import SRCDIR
from screenshots import LARGEST, look, make_node, make_service, picture, \
    PHONE, walk

DOCS = SRCDIR / "docs"


def overflows(browser):
    """Whether more than a table scrolls sideways."""
    return browser.driver.execute_script(
        "return document.documentElement.scrollWidth > innerWidth")


def test_pages(tmp_path):
    names = []
    with make_node() as node:
        with make_service(node) as service, Browser(service.url) as browser:
            for name in walk(node, service, browser):
                names.append(name)
                assert browser.axe(AXE) == [], name
                assert not overflows(browser), name
                path = tmp_path / (name + ".png")
                picture(browser, path)
                assert path.read_bytes().startswith(b"\x89PNG"), name
                # on a telephone, too, and at 400 %
                if not browser.find("dialog") and "dark" not in name:
                    for width in PHONE, 320:
                        look(browser, width)
                        assert not overflows(browser), (name, width)
                    look(browser)
            assert browser.complaints() == []
        assert node.panics() == []
    shown = {path.stem for path in (DOCS / "console").glob("*.png")}
    assert shown == set(names)


def test_pictures_are_shown_and_small():
    text = (DOCS / "console.md").read_text()
    named = set(re.findall(r"\(console/([\w-]+)\.png\)", text))
    pictures = {path.stem: path for path in (DOCS / "console").glob("*.png")}
    assert named == set(pictures) and named
    for name, path in pictures.items():
        assert path.stat().st_size < LARGEST, name
    readme = (SRCDIR / "README.md").read_text()
    in_readme = re.findall(r"\(docs/console/([\w-]+)\.png\)", readme)
    assert len(in_readme) == 2 and set(in_readme) <= named
