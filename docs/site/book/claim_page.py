"""The page of one claim: statement, facts, code, prints, derivation, measurements, its relatives, how to cite it."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from docutils import nodes
from sphinx import addnodes

from book import make, words
from book.data import CATALOGUE, chapter_title, codes, erratum, line, measured
from book.domain import BookDirective
from book.speed import speed
from identities.engine import citations, derivations, layouts, pages
from identities.engine.identity import Claim
from identities.engine.record import stated
from identities.engine.sources import Source
from identities.engine.tolerance import LIMIT
from identities.engine.unicode import plain

BADGES = {"holds": "✓ holds", "refuted": "✗ refuted"}


class ClaimPage(BookDirective):
    """`.. id:claim:: NAME` fills the page of a claim."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        claim = CATALOGUE[self.arguments[0]]
        here = self.note_files()
        domain: Any = self.env.get_domain("id")
        domain.note(claim.name, words.title(claim), here)
        python: Any = self.env.get_domain("py")
        path = f"{claim.function.__module__}.{claim.name}"
        python.note_object(path, "function", claim.name, aliased=True, location=(here, self.lineno))
        entries = [("single", phrase, "", "main", None) for phrase in words.phrases(claim)]
        return [
            addnodes.index(entries=entries),
            nodes.meta("", name="keywords", content=", ".join(words.tokens(claim))),
            *head(claim, here),
            *statement(claim),
            *errata_box(claim, here),
            facts(claim, here),
            *code(claim),
            *prints(claim, here),
            *derivation(claim, here),
            *record(claim),
            *speed(claim, here),
            *related(claim, here),
            *cite(claim),
            *neighbours(claim, here),
        ]


def badge(claim: Claim) -> nodes.inline:
    return make.span(BADGES[claim.status], "badge", f"badge-{claim.status}")


def head(claim: Claim, here: str) -> list[nodes.Node]:
    """Whether the claim holds, where it stands in the book, and the anchor that others link to."""
    chapter = make.link(here, f"chapters/{claim.chapter}", claim.identity.name, chapter_title(claim.chapter))
    permanent = nodes.reference("", "", nodes.Text("permanent link"), refid=claim.name)
    crumbs = make.paragraph(badge(claim), " · chapter ", chapter, " · ", permanent, classes=["crumbs"])
    crumbs["ids"] = [claim.name]
    return [crumbs]


def statement(claim: Claim) -> list[nodes.Node]:
    """The equation, in two layouts where the transpose is meaningful; without a script both are shown.

    The line without LaTeX is seen below it, and comes first for those who hear the page, and in what a search shows.
    """
    both = layouts.both(claim)
    spoken = make.paragraph(plain(claim.statement), classes=["plain-text"])
    if not both:
        return [make.box(spoken, make.display(claim.statement), classes=["statement"])]
    buttons = " ".join(
        f'<button type="button" data-layout="{html.escape(layout.key)}" aria-pressed="{"false" if number else "true"}">'
        f"{html.escape(layout.key)} layout</button>"
        for number, layout in enumerate(both)
    )
    group = '<div class="layout-switch" role="group" aria-label="Layout of the derivative" hidden>'
    shown = [
        make.box(
            make.display(layout.latex),
            make.paragraph(layout.words[0].upper() + layout.words[1:] + ".", classes=["layout-words"]),
            classes=["layout", f"layout-{layout.key}"],
        )
        for layout in both
    ]
    return [make.box(spoken, make.html(f"{group}{buttons}</div>"), *shown, classes=["statement", "layouts"])]


def errata_box(claim: Claim, here: str) -> list[nodes.Node]:
    """What is wrong with a print: on the page of the refuted claim in full, on that of the right form in a line."""
    if claim.status == "refuted":
        return [_false_print(claim, here)]
    wrong = [c for c in claim.identity.claims.values() if c.status == "refuted" and claim in c.corrections]
    notes = [
        make.paragraph(f"{_cited(c)} ", f"has a false form of this: {c.because}. See ", make.claim(c.name, here), ".")
        for c in wrong
    ]
    if not notes:
        return []
    return [nodes.admonition("", nodes.title("", "False in print"), *notes, classes=["warning", "false-print"])]


def _cited(claim: Claim) -> str:
    return ", ".join(str(s) for s in claim.sources)


def _false_print(claim: Claim, here: str) -> nodes.Node:
    row = erratum(claim)
    inside: list[nodes.Node] = [make.paragraph(f"{claim.because[0].upper()}{claim.because[1:]}.")]
    for name, latex in row.get("corrections", {}).items():
        inside += [make.paragraph("Right: ", make.claim(name, here)), make.display(latex)]
    if row.get("condition"):
        inside.append(make.paragraph(f"The print is right where {row['condition']}."))
    if "counterexample" in row:
        found = row["counterexample"]
        given: Sequence[make.Part] = make.joined(
            (make.literal(f"{name} = {json.dumps(value)}") for name, value in found["operands"].items()), "; "
        )
        inside.append(make.paragraph("Smallest counterexample: ", *given, "."))
        both = (make.literal(json.dumps(found["printed"])), make.literal(json.dumps(found["true"])))
        inside.append(make.paragraph("The print gives ", both[0], ", true is ", both[1], "."))
    if row.get("numpy"):
        inside += make.code(row["numpy"], "python", "Prints the true value, with NumPy alone")
    return nodes.admonition("", nodes.title("", "False as printed"), *inside, classes=["error", "false-print"])


def facts(claim: Claim, here: str) -> nodes.Node:
    """The box of facts."""
    operands = [[pages.operand_words(o)] for o in claim.operands.values()]
    shapes = {name: text.replace(": ", ", ") for name, text in pages.layouts(claim).items()}
    told: list[nodes.Node] = [make.bullets([f"{name}: {text}"] for name, text in shapes.items())]
    if claim.kind in ("value", "differential"):
        told = [make.paragraph(pages.LAYOUTS[claim.kind])]
    conditions = list(claim.conditions)
    what = words.what(claim)
    rows = measured(claim)
    checked = make.paragraph("not measured yet")
    if rows:
        dtypes = ", ".join(dict.fromkeys(str(r["dtype"]) for r in rows))
        worst = max(r["residual"] for r in rows)
        limit = f"worst residual {worst:.3g} eps, where up to {LIMIT:g} is agreement"
        found = limit if claim.status == "holds" else f"refuted by value, residual {worst:.3g} eps"
        checked = make.paragraph(
            f"{max(r['date'] for r in rows)}, jax {', '.join(dict.fromkeys(r['jax'] for r in rows))}, "
            f"{', '.join(dict.fromkeys(r['device'] for r in rows))}, {dtypes}: {found}"
        )
    said = stated(rows)
    number = line(claim)
    where = f"identities/{claim.chapter}.py, line {number}"
    return make.facts(
        [
            ("What", [make.paragraph(what[0].upper() + what[1:])]),
            ("Operands", [make.bullets(operands)]),
            ("Conditions", [make.bullets([[c] for c in conditions])] if conditions else [make.paragraph("none")]),
            ("Layout", [] if layouts.both(claim) else told),
            ("Sources", [make.paragraph(*make.joined(_source(s, here) for s in claim.sources))]),
            ("Checked", [checked]),
            ("Statement", [make.paragraph(said[0].upper() + said[1:])] if said else []),
            ("Code", [make.paragraph(make.link(here, f"code/{claim.chapter}", f"L-{number}", where))]),
            ("Address", [make.paragraph(make.literal(str(pages.url(claim))))]),
        ]
    )


def _source(source: Source, here: str) -> make.Part:
    """A source with a link to its equation, and from its key to the bibliography."""
    if source.ours:
        return "no print known: ours" + (f" ({source.note})" if source.note else "")
    key = make.link(here, "bibliography", source.key, source.key)
    locator = make.link(here, f"sources/{source.key}", words.anchor(source), source.locator)
    note = [nodes.Text(f" {source.note}")] if source.note else []
    return nodes.inline("", "", key, nodes.Text(" "), locator, *note)


def code(claim: Claim) -> list[nodes.Node]:
    """Code to copy."""
    false = "" if claim.status == "holds" else " of the false print"
    found: list[nodes.Node] = [make.heading(f"Code{false}", "code")]
    for label, language, text in codes(claim):
        found += make.code(text, language, label)
    return found


def prints(claim: Claim, here: str) -> list[nodes.Node]:
    """What each source prints itself, where that is another form."""
    own = [s for s in claim.sources if s.latex]
    if not own:
        return []
    rows = [[[_source(s, here)], [make.math(str(s.latex))], [s.layout or ""]] for s in own]
    return [make.heading("As printed", "as-printed"), make.table(["source", "print", "layout"], rows)]


def derivation(claim: Claim, here: str) -> list[nodes.Node]:
    """How the claim follows by differentials: a line of mathematics, and below it what justifies the line."""
    lines = derivations.of(claim)
    if not lines:
        return []
    steps: list[nodes.Node] = []
    for step, latex in zip(lines, derivations.chained(lines), strict=True):
        steps.append(make.display(latex))
        by = ["by ", *make.joined(make.claim(name, here) for name in step.by)] if step.by else []
        meanings = [", with " if by else "with ", *make.joined(make.math(m) for m in step.meanings)] if step.let else []
        if by or meanings:
            steps.append(make.paragraph(*by, *meanings, classes=["step", "no-search"]))
    return [make.heading("Derivation", "derivation"), make.box(*steps, classes=["derivation", "no-search"])]


def record(claim: Claim) -> list[nodes.Node]:
    """What was measured, row by row."""
    rows = [
        [[r["dtype"]], [r["device"]], [r["jax"]], [r["date"]], [f"{r['residual']:.3g}"], [str(r["draws"])]]
        for r in measured(claim)
    ]
    if not rows:
        return []
    headings = ["dtype", "device", "jax", "date", "worst residual, eps", "draws"]
    return [make.heading("Measured", "measured"), make.table(headings, rows, classes=["no-search"])]


def related(claim: Claim, here: str) -> list[nodes.Node]:
    """The other claims of the same identity."""
    others = [c for c in claim.identity.claims.values() if c is not claim]
    if not others:
        return []
    rows = [[[make.claim(c.name, here), " ", badge(c)], [words.what(c)], [make.math(c.latex)]] for c in others]
    about = make.paragraph("Of the same function, ", make.math(claim.identity.latex), ":", classes=["no-search"])
    table = make.table(["claim", "what", "equals"], rows, classes=["related", "no-search"])
    return [make.heading("Related claims", "related"), about, table]


def cite(claim: Claim) -> list[nodes.Node]:
    """How to cite the claim: BibTeX of it and of its sources, and the equation for a text."""
    blocks = [*make.code(citations.bibtex([claim]), "bibtex", "BibTeX, of the claim and its sources")]
    blocks += make.code(citations.latex(claim), "latex", "The equation with its citations, for a text in LaTeX")
    return [make.heading("How to cite", "cite"), make.box(*blocks, classes=["no-search"])]


def neighbours(claim: Claim, here: str) -> list[nodes.Node]:
    """Links to the claims before and behind in book order."""
    names = list(CATALOGUE)
    place = names.index(claim.name)
    content: list[make.Part] = []
    if place:
        content.append(nodes.inline("", "", nodes.Text("← "), make.claim(names[place - 1], here), classes=["before"]))
    if place + 1 < len(names):
        content.append(nodes.inline("", "", make.claim(names[place + 1], here), nodes.Text(" →"), classes=["behind"]))
    return [make.paragraph(*content, classes=["neighbours", "no-search"])]
