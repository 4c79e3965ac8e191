"""The console's pages as docs/console.md shows them, each of them looked at."""

import re
import struct
import zlib

import pytest

from browser import AXE, Browser
from mailnode import SRCDIR
from screenshots import LARGEST, look, make_node, make_service, picture, \
    PHONE, walk
from smallpng import HEAD, chunk, chunks, make_small, paeth

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
                # the one with the most in it
                if name == "progress":
                    assert len(make_small(path.read_bytes())) < LARGEST
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


def filtered(lines, size):
    """The lines by each of PNG's filters in turn, as browsers choose them."""
    above, data = bytes(len(lines[0])), b""
    for number, line in enumerate(lines):
        kind = number % 5
        data += bytes([kind])
        for i, value in enumerate(line):
            left = line[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            data += bytes([(value - (0, left, above[i], (left + above[i]) // 2,
                                     paeth(left, above[i], corner))[kind])
                           & 255])
        above = line
    return data


@pytest.mark.parametrize("size, colour", [(3, 2), (4, 6)])
def test_small_picture(size, colour):
    """Few colours stay as they are; of many the most frequent ones do."""
    width = 40
    lines = [bytes((x * y * (c + 1)) % 7 * 30 if c < 3 else 255
                   for x in range(width) for c in range(size))
             for y in range(25)]
    png = HEAD + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", width, len(lines), 8, colour, 0, 0, 0)) + chunk(
            b"IDAT", zlib.compress(filtered(lines, size))) + chunk(b"IEND", b"")
    for most in 96, 2:
        parts = dict(chunks(make_small(png, most)))
        assert parts[b"IHDR"] == struct.pack(
            ">IIBBBBB", width, len(lines), 8, 3, 0, 0, 0)
        data, palette = zlib.decompress(parts[b"IDAT"]), parts[b"PLTE"]
        assert len(palette) <= 3 * most
        found = [data[row * (width + 1) + 1:(row + 1) * (width + 1)]
                 for row in range(len(lines))]
        same = [palette[3 * number:3 * number + 3] ==
                line[x * size:x * size + 3]
                for line, numbers in zip(lines, found)
                for x, number in enumerate(numbers)]
        assert all(same) if most == 96 else any(same) and not all(same)
    with pytest.raises(ValueError):
        make_small((DOCS / "console/find.png").read_bytes())
