"""Cheat sheets: what holds in a chapter, as a page, and the PDFs that `make cheatsheets` prints of these pages."""

from __future__ import annotations

import pathlib
import shutil

from docutils import nodes
from sphinx.application import Sphinx

from book import make
from book.breaking import broken
from book.data import CHAPTERS, ROOT, chapter_title
from book.domain import BookDirective
from identities.engine import pages
from identities.engine.catalogue import claims_of
from identities.engine.identity import Claim

PRINTED = ROOT / "docs" / "_build" / "cheatsheets"


class CheatSheet(BookDirective):
    """`.. id:cheatsheet:: NAME` is what holds in a chapter, on as little paper as possible."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        here, chapter = self.note_files(), self.arguments[0]
        chosen = [c for c in claims_of(CHAPTERS[chapter]) if c.status == "holds" and not c.computed]
        about = make.link(here, f"chapters/{chapter}", "", chapter_title(chapter))
        intro = make.paragraph(
            "Gradients have the shape of their argument. Every line is checked; its name leads to shapes, sources and ",
            make.span("code. The chapter, with what is false in print: ", "screen-only"),
            make.span("code, in the chapter ", "paper-only"),
            about,
            *pdf_link(here, chapter, ". To print: ", "PDF, A4", ""),
            ".",
            classes=["sheet-words"],
        )
        return [intro, make.box(*(cell(claim, here) for claim in chosen), classes=["sheet", "no-search"])]


def cell(claim: Claim, here: str) -> nodes.Node:
    """A formula, broken where it is long, then its name and its conditions."""
    conditions = "; ".join(pages.domain(claim))
    below: list[make.Part] = [make.claim(claim.name, here), f" {conditions}" if conditions else ""]
    formula = make.display(broken(claim.statement))
    return make.box(formula, make.paragraph(*below, classes=["cell-words"]), classes=["cell"])


def printed(chapter: str) -> pathlib.Path | None:
    """The PDF of a chapter's sheet; None where none was printed since the chapter changed."""
    path = PRINTED / f"{chapter}.pdf"
    source = pathlib.Path(str(CHAPTERS[chapter].__file__))
    return path if path.is_file() and path.stat().st_mtime >= source.stat().st_mtime else None


def pdf_link(here: str, chapter: str, before: str, text: str, behind: str) -> list[make.Part]:
    """A link to the PDF between two texts; nothing where there is no PDF."""
    if printed(chapter) is None:
        return []
    link = make.file(here, f"cheatsheets/{chapter}.pdf", text)
    return [nodes.inline("", "", *make.parts([before, link, behind]), classes=["sheet-pdf"])]


def copy(app: Sphinx, exception: Exception | None) -> None:
    """Lay the PDFs that pages link to beside the sheets (the event build-finished)."""
    for chapter in CHAPTERS if exception is None and app.builder.format == "html" else ():
        path = printed(chapter)
        target = pathlib.Path(app.outdir) / "cheatsheets" / f"{chapter}.pdf"
        if path is None:
            target.unlink(missing_ok=True)
        else:
            shutil.copy2(path, target)
