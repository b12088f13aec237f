#!/usr/bin/env python3
"""header_filter.py HEADER   Prints a header as doxygen reads it: a comment above something, and one behind it, belong to it;
what stands before `#pragma once`, or the guard of a header for C, is about the file. Indented lines of comments are code. Namespaces
`detail` are nobody's to use."""

import re
import sys

_COMMENT = re.compile(r"^(\s*)//+ ?(.*)$")
# A comment behind code: not in a string, and not part of an address.
_BEHIND = re.compile(r"^((?:[^\"/]|\"(?:[^\"\\]|\\.)*\"|/(?!/))*\S)(\s+)// ?(.*)$")


def words(text):
    """Text, with nothing in it that doxygen takes for its own; what is in backticks it takes as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") and len(part) > 1 else re.sub(r"[\\@<>#&]", lambda found: "\\" + found[0], part)
                   for part in parts)


def above(lines, is_file):
    """A block of comments: one description, in which indented lines are code."""
    out, code = [], False
    for number, (indent, text) in enumerate(lines):
        begin = "@file\n" if is_file and number == 0 else ""
        indented = text.startswith("  ") and not re.match(r"\s+([-*]|\d+[.)]) ", text)
        if indented and not code:
            begin += "@code{.cpp}\n"
        elif code and not indented and text:
            begin += "@endcode\n"
        code = indented or (code and not text)
        shown = text if code else words(text)
        out.append("".join(f"{indent}/// {part}\n" for part in (begin + shown).split("\n")))
    if code:
        out.append(f"{lines[-1][0]}/// @endcode\n")
    return "".join(out)


def with_line_comments(lines):
    """Comments of C as those of C++."""
    out, inside = [], False
    for line in lines:
        if not inside:
            behind = re.match(r"^(.*\S\s+)/\* (.*?) ?\*/$", line)
            inside = not behind and line.lstrip().startswith("/*")
            if not inside:
                out.append(f"{behind[1]}// {behind[2]}" if behind else line)
                continue
            indent, text = re.match(r"^(\s*)/\* ?(.*)$", line).groups()
        else:
            text = line[len(indent) + 3:] if not line[:len(indent) + 3].strip() else line
        ends = text.endswith("*/")
        out.append(f"{indent}// {text.removesuffix('*/').rstrip()}".rstrip())
        inside = not ends
    return out


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = with_line_comments(file.read().split("\n"))
    block, before_pragma, column, hidden, end_of_friend = [], True, None, False, None
    for line in lines:
        hidden = hidden or line.startswith("namespace detail {")
        if hidden:
            hidden = not line.startswith("}  // namespace detail")
            continue
        # Friends are the class's own affair; doxygen names them where it shows nothing of them.
        friend = re.match(r"(\s*)friend .*([;{])$", line)
        if friend:
            end_of_friend = friend[1] + "}" if friend[2] == "{" else None
            block = []
            continue
        if end_of_friend is not None:
            end_of_friend = None if line == end_of_friend else end_of_friend
            continue
        comment = _COMMENT.match(line)
        if comment and column is not None and len(comment[1]) == column:
            print(f"{comment[1]}///< {words(comment[2])}")
            continue
        column = None
        if comment and not re.match(r"(NOLINT|clang-format)", comment[2]):
            block.append((comment[1], comment[2]))
            continue
        if block:
            # What stands by itself is about nothing that doxygen could show it at; it would take what comes next.
            if before_pragma or line.strip():
                print(above(block, before_pragma), end="")
            block = []
        before_pragma = before_pragma and not re.match(r"#pragma once|#ifndef \w+_H$", line)
        behind = _BEHIND.match(line)
        if behind and not re.match(r"\s*#|.*\bnamespace\b", behind[1]) and not behind[3].startswith("NOLINT"):
            column = len(behind[1]) + len(behind[2])
            print(f"{behind[1]}{behind[2]}///< {words(behind[3])}")
        else:
            print(line)


main()
