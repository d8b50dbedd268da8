"""The hand-written pages on the site: README.md, CONTRIBUTING.md and docs/*.md, with their links led to its pages."""

from __future__ import annotations

import functools
import pathlib
import posixpath
import re

from book.data import ROOT

# What is read on the forge under one name and on the site under another.
RENAMED = {"README.md": "start.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"\[([^\[\]]*)\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")
CHAPTER = re.compile(r"identities/[a-z_]+\.py")


def pages() -> dict[str, pathlib.Path]:
    """The pages to copy: their names on the site, and where they lie."""
    found = {name: ROOT / path for path, name in RENAMED.items()}
    return found | {path.name: path for path in sorted((ROOT / "docs").glob("*.md"))}


def led(text: str, folder: str) -> str:
    """A page's text with its relative links as they are on the site.  `folder` is where the page lies: "" or "docs"."""

    def site(match: re.Match[str]) -> str:
        text, path, anchor = match[1], posixpath.normpath(posixpath.join(folder, match[2])), match[3] or ""
        if path.endswith(".py"):  # a page that Sphinx does not read, so Markdown's own link would lead nowhere
            return f'<a href="{code_page(path)}.html">{text}</a>'
        return f"[{text}]({_on_site(path)}{anchor})"

    return LINK.sub(site, text)


def code_page(path: str) -> str:
    """The page that shows a Python file of the project."""
    return "code/" + (path.removeprefix("identities/") if CHAPTER.fullmatch(path) else path).removesuffix(".py")


def _on_site(path: str) -> str:
    """The address on the site of a file or folder of the project."""
    if path in RENAMED:
        return RENAMED[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "identities":
        return "chapters/index.rst"
    raise ValueError(f"a page links to {path}, which is not on the site")


@functools.cache
def code_linked() -> tuple[str, ...]:
    """The Python files outside of the book that the pages link to."""
    found = []
    for path in pages().values():
        folder = "docs" if path.parent.name == "docs" else ""
        for match in LINK.finditer(path.read_text(encoding="utf-8")):
            target = posixpath.normpath(posixpath.join(folder, match[2]))
            if target.endswith(".py") and not CHAPTER.fullmatch(target):
                found.append(target)
    return tuple(dict.fromkeys(found))
