"""The pages of this repository: links in them, and what they lead to. Shared by the check of links and the site."""

import collections
import os
import pathlib
import re
import subprocess
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
INDEX = "docs/index.md"

Link = collections.namedtuple("Link", "line start end target")  # start and end: of the target in its line

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_DEFINITION = re.compile(r"^\[[^\]^]+\]:\s+(\S+)")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


def all_pages():
    listed = subprocess.run([ROOT / "scripts/sources", "*.md"], check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\n") if name]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8").split("\n")


def outside_fences(lines):
    """Yields (number, line) of what is no code; numbers begin with 0."""
    fence = ""
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and found[1].startswith(fence) and not found[2].strip():
            fence = ""
        elif not fence:
            yield number, line


def links(lines):
    for number, line in outside_fences(lines):
        shown = _CODE.sub(lambda code: "\0" * len(code[0]), line)
        for found in _LINK.finditer(shown):
            if "\0" not in found[1]:
                yield Link(number, found.start(1), found.end(1), found[1])
        found = _DEFINITION.match(shown)
        if found:
            yield Link(number, found.start(1), found.end(1), found[1])


def slug(heading, _separator="-"):
    """The anchor of a heading, as code hosts make it; the site is told to do the same."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    text = unicodedata.normalize("NFC", text).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(lines):
    return {slug(found[2]) for _, line in outside_fences(lines) if (found := _HEADING.match(line))}


def is_elsewhere(target):
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


def resolve(page, target):
    """What a link leads to, relative to the root, and the anchor there. None: it leaves the repository."""
    path, _, anchor = target.partition("#")
    if not path:
        return page, anchor
    if path.startswith("/"):
        return None
    name = os.path.normpath(os.path.join(os.path.dirname(page), path))
    return None if name.startswith("..") else (name, anchor)
