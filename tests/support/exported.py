"""Dovecot's events as the examples in conf.d/ export them."""

import datetime
import json
import re

from mailnode import EXAMPLE


def examples():
    """The commented out metric and event_exporter blocks, switched on."""
    blocks = re.findall(r"(?m)^#(?:metric|event_exporter) \w+ \{\n(?:#.*\n)*?#\}$",
                        EXAMPLE.read_text())
    assert len(blocks) == 5
    return re.sub("(?m)^#", "", "\n".join(blocks)) + "\n"


def exported(node, count, pattern="", since=0):
    """The lines of the exporter that match, once there are that many."""
    return [json.loads(line.split("Info: ", 1)[1]) for line in
            node.wait_log(r" stats(\(.*?\))?(<.*?>)?: Info: \{.*" + pattern,
                          since, count)]


def seconds(stamp):
    """An exported time, as time.time() has it."""
    return datetime.datetime.fromisoformat(
        stamp.replace("Z", "+00:00")).timestamp()
