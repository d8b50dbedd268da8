"""The reference site of the book, as a Sphinx extension: every page is made from the entries and the record."""

from __future__ import annotations

import pathlib
import zlib
from typing import Any

from sphinx.application import Sphinx

from book import code_pages, docstrings, sheets, stubs
from book.claim_page import ClaimPage
from book.data import CATALOGUE
from book.domain import BookDomain, LinkedNames
from book.front import Front
from book.lists import Chapter, Chapters
from book.sheets import CheatSheet
from book.source_pages import Bibliography, Coverage, SourcePage

DIRECTIVES = {
    "front": Front,
    "claim": ClaimPage,
    "chapters": Chapters,
    "chapter": Chapter,
    "cheatsheet": CheatSheet,
    "coverage": Coverage,
    "source": SourcePage,
    "bibliography": Bibliography,
}


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_domain(BookDomain)
    for name, directive in DIRECTIVES.items():
        app.add_directive_to_domain("id", name, directive)
    LinkedNames.names = frozenset(CATALOGUE)
    app.add_transform(LinkedNames)
    app.connect("builder-inited", lambda app: stubs.write(pathlib.Path(app.srcdir)))
    app.connect("html-collect-pages", code_pages.pages)
    app.connect("build-finished", sheets.copy)
    app.connect("autodoc-process-docstring", docstrings.convert)
    return {"version": "1", "env_version": _version(), "parallel_read_safe": True, "parallel_write_safe": True}


def _version() -> int:
    """Another one whenever the code of this extension changes, so that all pages are read again."""
    texts = [path.read_bytes() for path in sorted(pathlib.Path(__file__).parent.glob("*.py"))]
    return zlib.crc32(b"".join(texts))
