"""Lists of claims: the chapters, and one chapter in book order."""

from __future__ import annotations

import collections
from typing import Any

from docutils import nodes

from book import make, sheets, words
from book.claim_page import badge
from book.data import CHAPTERS, anchor_of, chapter_title, introduction, sections
from book.domain import BookDirective
from identities.engine import pages
from identities.engine.catalogue import claims_of
from identities.engine.identity import Claim, Identity


def chapters_table(here: str, folder: str = "chapters") -> nodes.table:
    """All chapters, or their sheets: what each is about, and how much of it holds."""
    rows = []
    for number, (name, module) in enumerate(CHAPTERS.items(), 1):
        claims = claims_of(module)
        about = introduction(module)[0].partition(":")[2].strip() or introduction(module)[0]
        held = sum(c.status == "holds" for c in claims)
        chapter = make.link(here, f"{folder}/{name}", "", chapter_title(name))
        text = make.prose(about[0].upper() + about[1:]).children
        rows.append([[str(number)], [chapter], [*text], [str(held)], [str(len(claims) - held)]])
    return make.table(["no.", "chapter", "about", "hold", "refuted"], rows, classes=["chapters"])


class Chapters(BookDirective):
    """`.. id:chapters:: FOLDER` lists the chapters, or their sheets."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return [chapters_table(self.note_files(), self.arguments[0])]


class Chapter(BookDirective):
    """`.. id:chapter:: NAME` is a chapter in book order, under its own headings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        here, module = self.note_files(), CHAPTERS[self.arguments[0]]
        first, *others = introduction(module)
        links = make.paragraph(
            make.link(here, f"cheatsheets/{self.arguments[0]}", "", "Cheat sheet"),
            *sheets.pdf_link(here, self.arguments[0], " (", "PDF", ")"),
            " · ",
            make.link(here, f"code/{self.arguments[0]}", "", f"identities/{self.arguments[0]}.py"),
            classes=["crumbs"],
        )
        about = first.removeprefix(f"{chapter_title(self.arguments[0])}: ")
        tally = collections.Counter(c.status for c in claims_of(module))
        counts = {status: tally[status] for status in ("holds", "refuted") if tally[status]}
        status = make.bar(counts, "What became of the claims of this chapter", f"{sum(counts.values())} claims")
        found: list[nodes.Node] = [
            links,
            status,
            *(make.prose(text) for text in (about[0].upper() + about[1:], *others)),
        ]
        used: set[str] = set()
        for head, identities in sections(module):
            inside = [self.entry(identity, here) for identity in identities]
            if not head:
                found += inside
                continue
            anchor = anchor_of(head)
            anchor += f"-{identities[0].name}" if anchor in used else ""
            used.add(anchor)
            found.append(make.section(head, anchor, *inside))
        return found

    def entry(self, identity: Identity[..., Any], here: str) -> nodes.Node:
        """One identity with all that is claimed of it."""
        name = make.paragraph(
            nodes.strong("", identity.title), "  ", make.literal(identity.name), classes=["identity-title"]
        )
        shapes = "; ".join(operand.description for operand in identity.parsed.values())
        about = make.paragraph(f"{shapes}.", classes=["shapes", "no-search"])
        entries = [self.claim(c, here) for c in identity.claims.values()]
        box = make.box(name, make.display(identity.latex), about, *entries, classes=["identity"])
        box["ids"] = [identity.name]
        return box

    @staticmethod
    def claim(claim: Claim, here: str) -> nodes.Node:
        cited = ", ".join(dict.fromkeys(str(s) for s in claim.sources if not s.ours))
        extra = [text for text in claim.conditions if text not in pages.domain(_general(claim))]
        about = "; ".join(part for part in (words.what(claim), cited, *extra) if part)
        line = make.paragraph(make.claim(claim.name, here), " ", badge(claim), f" {about}", classes=["entry-words"])
        return make.box(make.display(claim.statement), line, classes=["entry", f"entry-{claim.status}", "no-search"])


def _general(claim: Claim) -> Claim:
    """The first claim of the same identity that narrows nothing: what it asks for need not be said again."""
    return next((c for c in claim.identity.claims.values() if not c.given), claim)
