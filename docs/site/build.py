#!/usr/bin/env python3
"""build.py WORK OUT   Makes the site of the documentation in OUT: the pages of docs/ by kind, as docs/index.md lists them, what they
link to in the repository, and the reference that doxygen makes of the public headers. WORK is for what lies between. MkDocs is on
PYTHONPATH. It fails where a link, an anchor or a name in a header's comments leads nowhere."""

import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

import yaml

import pages

HEADERS = "include/aloft"
LANGUAGES = {".h": "cpp", ".cc": "cpp", ".c": "c", ".cmake": "cmake", ".py": "python", ".proto": "protobuf", ".toml": "toml", ".yaml": "yaml"}


def fail(text):
    sys.exit(f"error: {text}")


def run(command, **options):
    if subprocess.run(command, cwd=pages.ROOT, check=False, **options).returncode != 0:
        fail(f"{os.path.basename(command[0])} has failed; what is wrong is above")


def place(name):
    """Where in the site's sources a file of the repository is: a page, but for pictures and the headers' own pages."""
    path = pages.ROOT / name
    if name.startswith(HEADERS + "/") and name.endswith(".h") and name.count("/") == 2:
        # As doxygen names it.
        return "reference/" + os.path.basename(name).replace("_", "__").replace(".", "_8") + ".html"
    if name == HEADERS:
        return "reference/files.html"
    if name.startswith("docs/") and path.is_file() and not name.endswith((".py", ".yml")):
        return name.removeprefix("docs/")
    if path.is_dir():
        return f"source/{name}/index.md"
    if name.endswith(".md"):
        return f"source/{name.removesuffix('.md')}.page.md"  # MkDocs has a use of its own for README.md
    if name.endswith((".png", ".svg", ".jpg")):
        return f"source/{name}"
    return f"source/{name}.md"


def blank_lines(lines):
    """Lists, tables and fences that follow a paragraph at once: code hosts see them, Python's Markdown wants an empty line first."""
    out, fenced = [], dict(pages.outside_fences(lines))
    for number, line in enumerate(lines):
        begins = re.match(r"([-*] |\d+\. |\||`{3}|~{3})", line)
        before = out[-1] if out else ""
        is_fence = line.startswith(("```", "~~~"))
        opens = is_fence and number not in fenced and (number == 0 or number - 1 in fenced)
        if opens:
            line = re.match(r"\S*", line)[0]  # what follows the language is for tests
        if begins and before.strip() and (number in fenced or opens):
            same = re.match(r"\s|[-*] |\d+\. |\|", before) is not None if not is_fence else False
            if not same:
                out.append("")
        out.append(line)
    return out


class Site:
    def __init__(self, work, out):
        self.work, self.out, self.source = work, out, work / "pages"
        self.wanted, self.done = [], set()

    def build(self):
        shutil.rmtree(self.work, ignore_errors=True)
        self.source.mkdir(parents=True)
        self.reference()
        self.wanted = [pages.INDEX] + [name for name in pages.all_pages() if name.startswith("docs/")]
        while self.wanted:
            name = self.wanted.pop()
            if name not in self.done:
                self.done.add(name)
                self.stage(name)
        self.write("code.css", subprocess.run(
            [sys.executable, "-m", "pygments", "-S", "default", "-f", "html", "-a", ".codehilite"],
            check=True, capture_output=True, text=True).stdout)
        self.write("site.css", (pages.ROOT / "docs/site/site.css").read_text())
        self.configure()
        shutil.rmtree(self.out, ignore_errors=True)
        # Its configuration names a function of ours.
        found_in = os.pathsep.join(filter(None, [os.path.dirname(__file__), os.environ.get("PYTHONPATH")]))
        run([sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", self.work / "mkdocs.yml"],
            env=os.environ | {"PYTHONPATH": found_in})

    def reference(self):
        folder = self.source / "reference"
        folder.mkdir()
        settings = (pages.ROOT / "docs/site/Doxyfile").read_text() + f'OUTPUT_DIRECTORY = "{folder}"\n'
        run(["doxygen", "-"], input=settings, text=True)

    def write(self, where, text):
        file = self.source / where
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def link_from(self, page, name):
        self.wanted.append(name)
        return urllib.parse.quote(os.path.relpath(place(name), os.path.dirname(place(page)) or "."))

    def stage(self, name):
        path, where = pages.ROOT / name, place(name)
        if where.startswith("reference/"):
            if not (self.source / where).is_file():
                fail(f"doxygen has made no page of {name}")
        elif path.is_dir():
            listed = sorted(path.iterdir(), key=lambda entry: (entry.is_file(), entry.name))
            lines = [f"- [{entry.name}]({self.link_from(name, f'{name}/{entry.name}')})" if entry.is_file()
                     else f"- {entry.name}/" for entry in listed if entry.name[0] not in "._"]
            self.write(where, f"# {name}/\n\n" + "\n".join(lines) + "\n")
        elif name.endswith(".md"):
            self.write(where, self.page(name))
        elif where.endswith(".md"):
            text = path.read_text(encoding="utf-8", errors="replace")
            code = "".join(f"    {line}\n" for line in text.splitlines())
            language = LANGUAGES.get(path.suffix, "text")
            self.write(where, f"# {name}\n\n    :::{language}\n{code}")
        else:
            (self.source / where).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.source / where)

    def page(self, name):
        lines = pages.read(name)
        for link in sorted(pages.links(lines), key=lambda link: -link.start):
            if pages.is_elsewhere(link.target):
                continue
            found = pages.resolve(name, link.target)
            if found is None or not (pages.ROOT / found[0]).exists():
                fail(f"{name}:{link.line + 1}: the link to {link.target} leads nowhere (./dev lint lists all such)")
            if link.target.startswith("#"):
                continue
            target = self.link_from(name, found[0]) + (f"#{found[1]}" if found[1] else "")
            line = lines[link.line]
            lines[link.line] = line[:link.start] + target + line[link.end:]
        return "\n".join(blank_lines(lines))

    def configure(self):
        nav, kind = [{"Start": "index.md"}], None
        lines = pages.read(pages.INDEX)
        headings = {number: line[3:] for number, line in pages.outside_fences(lines) if line.startswith("## ")}
        linked = {link.line: link for link in pages.links(lines)}
        seen = {"index.md"}
        for number, line in enumerate(lines):
            if number in headings:
                kind = []
                nav.append({headings[number]: kind})
            elif kind is not None and line.startswith("- ") and number in linked:
                where = place(pages.resolve(pages.INDEX, linked[number].target)[0])
                title = re.match(r"- \[([^\]]+)\]", line)[1]
                # A page that two lists have stands in the first of them.
                if where not in seen and where.endswith(".md"):
                    kind.append({title: where})
                elif where not in seen:
                    kind.append({title: "reference.md"})
                    target = os.path.relpath(where, ".")
                    self.write("reference.md", f"# {title}\n\nEvery class and function of `{HEADERS}`, from the comments of the headers: "
                               f"[by header]({target}), [classes](reference/annotated.html).\n")
                seen.add(where)
        (self.work / "mkdocs.yml").write_text(yaml.safe_dump({
            "INHERIT": str(pages.ROOT / "docs/site/mkdocs.yml"), "docs_dir": str(self.source), "site_dir": str(self.out), "nav": nav},
            sort_keys=False))


class Checked(html.parser.HTMLParser):
    """The anchors of a page, where it leads, and what it would load from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.update(values[key] for key in ("id", "name") if values.get(key))
        target = values.get("href") or values.get("src")
        if not target or target.startswith(("javascript:", "data:")):
            return
        if re.match(r"[a-z]+:|//", target):
            if tag in ("script", "img") or (tag == "link" and values.get("rel") == "stylesheet"):
                self.loads.append(target)
        else:
            self.links.append(target)


def check(out):
    """What a browser is given: the other half of what strict builds say."""
    found = {path: Checked(path.read_text(encoding="utf-8")) for path in out.rglob("*.html")}
    wrong = []
    for path, page in found.items():
        if path.name == "404.html":
            continue  # shown at any address
        wrong += [f"{path.relative_to(out)}: loads {target}" for target in page.loads]
        for target in page.links:
            name, _, anchor = target.partition("#")
            name = urllib.parse.unquote(name.partition("?")[0])
            leads = pathlib.Path(os.path.normpath(path.parent / name)) if name else path
            if leads.is_dir():
                leads = leads / "index.html"
            if not leads.is_file():
                wrong.append(f"{path.relative_to(out)}: {target} leads nowhere")
            elif anchor and leads in found and urllib.parse.unquote(anchor) not in found[leads].anchors:
                wrong.append(f"{path.relative_to(out)}: {target} has no such anchor")
    if wrong:
        fail("the site has dead links:\n  " + "\n  ".join(sorted(set(wrong))))
    print(f"{len(found)} pages, {sum(len(page.links) for page in found.values())} links")


def main():
    if len(sys.argv) != 3:
        fail("usage: build.py WORK OUT")
    work, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    Site(work, out).build()
    check(out)


main()
