"""Sources: which claims answer to each of their equations, how much is covered, and the bibliography."""

from __future__ import annotations

import re
from collections.abc import Iterable

from docutils import nodes

from book import make
from book.data import CATALOGUE, entry
from book.domain import BookDirective
from identities.engine import coverage, sources
from identities.engine.coverage import STATUSES, Row
from identities.engine.identity import Claim

MARKS = {"holds": "✓", "condition": "✓", "refuted": "✗", "definition": "≔", "tested": "✓", "missing": "·"}


def keys() -> list[str]:
    """The sources that the book cites, those whose equations are listed first."""
    cited = dict.fromkeys(s.key for c in CATALOGUE.values() for s in c.sources if not s.ours)
    listed = [key for key in ("MCB", *coverage.sources()) if key in coverage.sources()]
    return list(dict.fromkeys([*listed, *cited]))


def name_of(key: str) -> str:
    """The title of a source, with its authors' family names."""
    fields = sources.bibliography()[key]
    families = [author.partition(",")[0] for author in re.split(r"\s+and\s+", fields.get("author", "")) if author]
    return fields["title"] + (f" ({', '.join(families)})" if families else "")


def citing(key: str) -> dict[str, list[Claim]]:
    """For each locator of a source, the claims that cite it, with a note or without."""
    found: dict[str, list[Claim]] = {}
    for claim in CATALOGUE.values():
        for locator in dict.fromkeys(s.locator for s in claim.sources if s.key == key):
            found.setdefault(locator, []).append(claim)
    return found


def bar(rows: Iterable[Row], label: str) -> nodes.Node:
    """Coverage as a bar, with its numbers in words beside it."""
    counts = coverage.tally(rows)
    return make.bar(counts, label, str(sum(counts.values())))


def chapters_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by the chapter of the source: "2.5.1 First order" stands under "Chapter 2", "A.1.1" under "Appendix A"."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        head = re.match(r"(\d+|[A-Z])(?=[ .])", row.section)
        name = f"{'Chapter' if head[0].isdigit() else 'Appendix'} {head[0]}" if head else row.section
        found.setdefault(name, []).append(row)
    return found


class Coverage(BookDirective):
    """`.. id:coverage::` shows a bar for each source whose equations are listed."""

    def run(self) -> list[nodes.Node]:
        here = self.note_files()
        legend = make.bullets(
            [
                [make.span(f"{MARKS[status]} {status}", "legend", f"legend-{status}"), f": {text}"]
                for status, text in STATUSES.items()
            ]
        )
        found: list[nodes.Node] = [legend]
        for key in keys():
            link = make.link(here, f"sources/{key}", "", f"{key}: {name_of(key)}")
            found.append(make.paragraph(link, classes=["source-name"]))
            if key in coverage.sources():
                found.append(bar(coverage.coverage(CATALOGUE, key), key))
            else:
                number = sum(len(claims) for claims in citing(key).values())
                found.append(make.paragraph(f"{number} claims cite it; its equations are not listed one by one."))
        return found


class SourcePage(BookDirective):
    """`.. id:source:: KEY`: each equation of a source, and the claims that say what became of it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        key, here = self.arguments[0], self.note_files()
        cited = citing(key)
        top = make.paragraph(name_of(key), ": ", make.link(here, "bibliography", key, "bibliography"), ".")
        if key not in coverage.sources():
            rows = [[[locator], self.links(claims, here)] for locator, claims in sorted(cited.items())]
            anchors = [f"{key}-{locator}" for locator in sorted(cited)]
            return [top, make.table(["where", "claims"], rows, anchors=anchors)]
        listed = coverage.coverage(CATALOGUE, key)
        found: list[nodes.Node] = [top]
        kept = [row for row in listed if row.status != "missing"]
        found.append(bar(listed, key))
        if len(listed) > 100:
            found += [bar(part, name) for name, part in chapters_of(listed).items()]
        table = []
        for row in kept:
            claims = list(dict.fromkeys([*(CATALOGUE[name] for name in row.claims), *cited.get(row.number, [])]))
            status = make.span(f"{MARKS[row.status]} {row.status}", "legend", f"legend-{row.status}")
            what = [row.title, nodes.Text(f" ({row.note})")] if row.note else [row.title]
            table.append([[row.number], [status], what, self.links(claims, here)])
        found.append(
            make.table(
                ["number", "status", "what", "claims"],
                table,
                classes=["equations"],
                anchors=[f"{key}-{row.number}" for row in kept],
            )
        )
        left = [row.number for row in listed if row.status == "missing"]
        if left:
            found.append(make.paragraph(f"Not covered yet: {', '.join(left)}.", classes=["no-search"]))
        rest = sorted(set(cited) - {row.number for row in kept})
        if rest:
            rows = [[[locator], self.links(cited[locator], here)] for locator in rest]
            found.append(make.table(["where", "claims"], rows, anchors=[f"{key}-{locator}" for locator in rest]))
        return found

    @staticmethod
    def links(claims: Iterable[Claim], here: str) -> list[make.Part]:
        return make.joined(make.claim(c.name, here) for c in claims)


class Bibliography(BookDirective):
    """`.. id:bibliography::` lists the sources, with their BibTeX."""

    def run(self) -> list[nodes.Node]:
        here, found = self.note_files(), []
        for key, fields in sources.bibliography().items():
            tail = [fields.get(field, "") for field in ("booktitle", "series", "volume", "publisher", "institution")]
            tail += [fields.get("organization", ""), fields.get("year", ""), fields.get("note", "")]
            text = f"{name_of(key)}. {', '.join(part for part in tail if part)}."
            where = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", "")
            place = [" ", nodes.reference("", where, refuri=where)] if where else []
            body: list[nodes.Node] = [make.paragraph(text, *place)]
            if key in keys():
                body.append(make.paragraph(make.link(here, f"sources/{key}", "", "Its equations and our claims")))
            found.append(make.section(key, key, *body, *make.code(entry(key), "bibtex")))
        return found
