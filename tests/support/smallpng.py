"""Makes a browser's PNG small: of no more than so many colours, whose numbers are
what is compressed. With Python alone."""

import collections
import struct
import zlib

HEAD = b"\x89PNG\r\n\x1a\n"
# enough for pages: letters in greys, and some accents
COLOURS = 96


def chunks(octets):
    place = len(HEAD)
    while place < len(octets):
        length, kind = struct.unpack_from(">I4s", octets, place)
        yield kind, octets[place + 8:place + 8 + length]
        place += length + 12


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + \
        struct.pack(">I", zlib.crc32(kind + data))


def paeth(left, up, corner):
    """The one of them that is nearest to left + up - corner."""
    far_left, far_up = abs(up - corner), abs(left - corner)
    far_corner = abs(left + up - 2 * corner)
    if far_left <= far_up and far_left <= far_corner:
        return left
    return up if far_up <= far_corner else corner


def unfilter(kind, line, above, size):
    """What the octets of a line were, by the line above (RFC 2083, 6)."""
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(line, above))
    for i in range(len(line) if kind else 0):
        left = line[i - size] if i >= size else 0
        if kind == 1:
            line[i] = (line[i] + left) & 255
        elif kind == 3:
            line[i] = (line[i] + (left + above[i]) // 2) & 255
        else:
            corner = above[i - size] if i >= size else 0
            line[i] = (line[i] + paeth(left, above[i], corner)) & 255
    return line


def read(octets):
    """(width, lines of (red, green, blue)) of a PNG as browsers write it."""
    parts = collections.defaultdict(bytes)
    for kind, data in chunks(octets):
        parts[kind] += data
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB",
                                                        parts[b"IHDR"])
    if not octets.startswith(HEAD) or depth != 8 or any(rest) or \
       colour not in (2, 6):
        raise ValueError("not a PNG of 8 bits a colour")
    size = 3 if colour == 2 else 4
    data = zlib.decompress(parts[b"IDAT"])
    above, lines, step = bytearray(width * size), [], width * size + 1
    for place in range(0, height * step, step):
        above = unfilter(data[place],
                         bytearray(data[place + 1:place + step]), above, size)
        lines.append(list(zip(above[0::size], above[1::size],
                              above[2::size])))
    return width, lines


def differ_most(box):
    """(by how much, in which of the three) colours differ most."""
    return max((max(values) - min(values), number)
               for number, values in enumerate(zip(*box)))


def choose(count, most):
    """colour -> the one that stands for it: of the group that differs most two
    are made, until there are as many groups as may be. The colour that most of a
    group have stands for it, so that what there is much of stays as it is."""
    groups = [list(count)]
    while len(groups) < most:
        (extent, which), group = max((differ_most(group), group)
                                     for group in groups)
        if extent == 0:
            break
        groups.remove(group)
        middle = min(colour[which] for colour in group) + extent / 2
        groups.append([c for c in group if c[which] <= middle])
        groups.append([c for c in group if c[which] > middle])
    return {colour: max(group, key=count.get) for group in groups
            for colour in group}


def write(width, lines):
    """A PNG of lines that have 256 colours at most."""
    palette = sorted({colour for line in lines for colour in line})
    number = {colour: i for i, colour in enumerate(palette)}
    data = b"".join(b"\0" + bytes(number[colour] for colour in line)
                    for line in lines)
    return HEAD + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", width, len(lines), 8, 3, 0, 0, 0)) + \
        chunk(b"PLTE", b"".join(map(bytes, palette))) + \
        chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def make_small(octets, most=COLOURS):
    width, lines = read(octets)
    count = collections.Counter(colour for line in lines for colour in line)
    chosen = choose(count, most)
    return write(width, [[chosen[colour] for colour in line]
                         for line in lines])
