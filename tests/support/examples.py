"""The examples of the documents: commands, and what they are said to print."""

import re
import shlex

from mailnode import SRCDIR

# a command begins with one of these
PROGRAMS = "doveadm", "curl"


def blocks(path):
    """The texts of a document or a manual page that are set as they are."""
    text = (SRCDIR / path).read_text()
    if not path.endswith(".md"):
        text = text.replace("\\-", "-").replace("\\e", "\\")
        return re.findall(r"^\.(?:EX|nf)\n(.*?)^\.(?:EE|fi)", text,
                          re.M | re.S)
    fenced = r"^```\w*\n(.*?)^```\n"
    found = re.findall(fenced, text, re.M | re.S)
    for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+",
                            re.sub(fenced, "\n", text, flags=re.M | re.S),
                            re.M):
        found.append(re.sub(r"^ {4}", "", block, flags=re.M))
    return found


def is_whole(command):
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\\n")


def commands(block):
    """(command, lines that follow it) of a block, in order."""
    found, lines = [], iter(block.splitlines())
    for line in lines:
        match = re.match(r" *(?:\$ )?((?:%s) .*)" % "|".join(PROGRAMS), line)
        # what a program says of itself
        if match and not match[1].startswith("doveadm: "):
            command = match[1] + "\n"
            while not is_whole(command):
                command += next(lines) + "\n"
            found.append((command.replace("\\\n", " ").strip(), []))
        elif found:
            found[-1][1].append(line)
    return found


def in_text(path):
    """Commands `within` the text, which may leave something out."""
    text = (SRCDIR / path).read_text()
    return [" ".join(command.split()) for command in
            re.findall(r"`(doveadm [^`]*\brecall [^`]*)`", text)]


def table(lines):
    """The rows of a table for a terminal, as dictionaries; columns stand below
    their titles, numbers with their end. Rows of "..." are left out."""
    head, *rows = [line for line in lines if line.strip()]
    titles = [(match[0], match.start(), match.end())
              for match in re.finditer(r"\S+", head)]
    found = []
    for row in rows:
        if row.strip() == "...":
            continue
        values = {}
        for number, (title, begin, end) in enumerate(titles):
            # to the next column; of a number to the end of its title
            right = title in ("copies", "uid", "size")
            if right and row[begin:end].strip():
                cell = row[begin:end]
            elif number + 1 < len(titles):
                cell = row[begin:titles[number + 1][1]]
            else:
                cell = row[begin:]
            values[title] = cell.strip()
        found.append(values)
    return found
