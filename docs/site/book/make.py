"""Document nodes by hand: the few shapes that the pages of the book are made of."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from docutils import nodes
from sphinx import addnodes

Part = str | nodes.Node


def parts(found: Iterable[Part]) -> list[nodes.Node]:
    return [nodes.Text(part) if isinstance(part, str) else part for part in found]


def paragraph(*content: Part, classes: Sequence[str] = ()) -> nodes.paragraph:
    return nodes.paragraph("", "", *parts(content), classes=list(classes))


def prose(text: str, classes: Sequence[str] = ()) -> nodes.paragraph:
    """A paragraph in which `code` and $mathematics$ are marked."""
    content: list[Part] = []
    for piece in re.split(r"(`[^`]+`|\$[^$]+\$)", text):
        if len(piece) > 2 and piece[0] == piece[-1] == "`":
            content.append(literal(piece[1:-1]))
        elif len(piece) > 2 and piece[0] == piece[-1] == "$":
            content.append(math(piece[1:-1]))
        elif piece:
            content.append(piece)
    return paragraph(*content, classes=classes)


def box(*content: nodes.Node, classes: Sequence[str]) -> nodes.container:
    return nodes.container("", *content, classes=list(classes))


def span(text: str, *classes: str) -> nodes.inline:
    return nodes.inline(text, text, classes=list(classes))


def literal(text: str) -> nodes.literal:
    return nodes.literal(text, text)


def math(latex: str) -> nodes.math:
    return nodes.math(latex, latex, classes=["no-search"])


def display(latex: str) -> nodes.math_block:
    """A formula of its own; its commands are no words to search for."""
    text = " ".join(latex.split())
    return nodes.math_block(text, text, classes=["no-search"], number=None, label=None, docname=None, nowrap=False)


def code(text: str, language: str, label: str = "") -> list[nodes.Node]:
    """A block to copy, with a line above it that says what it is."""
    block = nodes.literal_block(text, text, language=language)
    return [paragraph(label, classes=["code-label"]), block] if label else [block]


def heading(text: str, anchor: str) -> nodes.rubric:
    """A heading inside a page that is not listed in the search index: hundreds of pages have the same ones."""
    rubric = nodes.rubric(text, text, ids=[anchor], classes=["page-heading"])
    rubric["heading-level"] = 2
    return rubric


def section(title: str, anchor: str, *content: nodes.Node) -> nodes.section:
    return nodes.section("", nodes.title(title, title), *content, ids=[anchor], names=[])


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def claim(name: str, docname: str, *content: Part) -> addnodes.pending_xref:
    """A link to the page of a claim, whose text is its name unless something else is given."""
    inner = parts(content) or [literal(name)]
    return addnodes.pending_xref(
        "", *inner, refdomain="id", reftype="claim", reftarget=name, refexplicit=True, refwarn=True, refdoc=docname
    )


def link(here: str, there: str, anchor: str, *content: Part) -> nodes.reference:
    """A link from one page of the site to another, by docname."""
    uri = posixpath.relpath(there, posixpath.dirname(here) or ".") + ".html" + (f"#{anchor}" if anchor else "")
    return nodes.reference("", "", *parts(content), refuri=uri, internal=True)


def file(here: str, there: str, *content: Part) -> nodes.reference:
    """A link from a page to a file of the site that is no page."""
    uri = posixpath.relpath(there, posixpath.dirname(here) or ".")
    return nodes.reference("", "", *parts(content), refuri=uri, internal=True)


def bar(counts: Mapping[str, int], label: str, total: str) -> nodes.raw:
    """How many of each status, as a bar with its numbers in words below it."""
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    inside = "".join(f'<span class="part part-{s}" style="flex-grow:{n}"></span>' for s, n in counts.items())
    return html(
        f'<div class="coverage"><div class="coverage-label">{escape(label)}</div>'
        f'<div class="coverage-bar" role="img" aria-label="{escape(told)}">{inside}</div>'
        f'<div class="coverage-told">{escape(total)}: {escape(told)}</div></div>'
    )


def bullets(rows: Iterable[Sequence[Part]], classes: Sequence[str] = ()) -> nodes.bullet_list:
    items = [nodes.list_item("", nodes.paragraph("", "", *parts(row))) for row in rows]
    return nodes.bullet_list("", *items, classes=list(classes))


def joined(rows: Iterable[Part], between: str = ", ") -> list[Part]:
    found: list[Part] = []
    for row in rows:
        found += [between, row] if found else [row]
    return found


def facts(rows: Iterable[tuple[str, Sequence[nodes.Node]]]) -> nodes.field_list:
    """The box of facts: a name and what there is to say, row by row; rows without content are left out."""
    fields = [
        nodes.field("", nodes.field_name("", name), nodes.field_body("", *content)) for name, content in rows if content
    ]
    return nodes.field_list("", *fields, classes=["facts"])


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Sequence[Part]]],
    *,
    classes: Sequence[str] = (),
    anchors: Sequence[str] = (),
) -> nodes.table:
    """A table; `anchors` are the ids of its rows."""
    group = nodes.tgroup("", *(nodes.colspec("", colwidth=1) for _ in headings), cols=len(headings))
    group += nodes.thead("", _row([[heading] for heading in headings]))
    body = nodes.tbody("")
    for number, row in enumerate(rows):
        made = _row(row)
        if anchors:
            made["ids"] = [anchors[number]]
        body += made
    group += body
    return nodes.table("", group, classes=["colwidths-auto", *classes])


def _row(cells: Sequence[Sequence[Part]]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *parts(cell))) for cell in cells))
