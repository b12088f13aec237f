#!/usr/bin/env python3
"""links.py   Says of each link in the repository's pages that leads nowhere `page:line: error: ...`, and which page of docs/ the
index does not lead to. What lies outside of the repository is not asked for."""

import functools
import os
import sys

import pages


@functools.cache
def anchors_of(name):
    return pages.anchors(pages.read(name))


def complaint(page, target):
    if pages.is_elsewhere(target):
        return None
    found = pages.resolve(page, target)
    if found is None:
        return f"the link to {target} leaves the repository: write an address, or a relative path"
    name, anchor = found
    if not os.path.exists(pages.ROOT / name):
        return f"the link to {target} leads nowhere: there is no {name}"
    if anchor and (not name.endswith(".md") or anchor not in anchors_of(name)):
        return f"the link to {target} leads nowhere: {name} has no heading whose anchor is {anchor}"
    return None


def main():
    status = 0
    reached = {pages.INDEX}
    names = pages.all_pages()
    for page in names:
        for link in pages.links(pages.read(page)):
            wrong = complaint(page, link.target)
            if wrong:
                print(f"{page}:{link.line + 1}: error: {wrong}")
                status = 1
            elif page == pages.INDEX and not pages.is_elsewhere(link.target):
                reached.add(pages.resolve(page, link.target)[0])
    for page in names:
        if os.path.dirname(page) == "docs" and page not in reached:
            print(f"{page}:1: error: {pages.INDEX} does not lead to this page: put it into one of its lists")
            status = 1
    return status


sys.exit(main())
