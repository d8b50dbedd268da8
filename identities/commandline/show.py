"""`identities show`: all that is known of a claim, on one page; nothing is compiled or sampled."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from identities.engine.identity import Claim
    from identities.engine.sources import Source

LABEL = 12  # columns
SIBLINGS = 8


def add_commands(commands: Any) -> None:
    p = commands.add_parser("show", help="show a claim, or the claims of an identity", description=__doc__)
    p.add_argument("name", metavar="NAME", help="a claim, an identity, a chapter or a module")
    p.add_argument("--latex", action="store_true", help="the statement in LaTeX, as it is stored")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine import export

    claims = book.find(options.name)
    if options.json:
        print(json.dumps([export.claim(c) for c in claims], indent=1))
        return 0
    width = min(shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100, 120)
    print(f"\n\n{'─' * width}\n".join(page(c, latex=options.latex, width=width) for c in claims))
    return 0


def page(c: Claim, *, latex: bool = False, width: int = 100) -> str:
    """The page of one claim for a terminal."""
    from identities.engine import citations, export, layouts, pages, record
    from identities.engine.unicode import plain

    data = export.claim(c)
    lines = [f"{c.name}: {c.status}", citations.title(c), ""]
    lines += [f"    {line}" for line in (c.statement.splitlines() if latex else [data["plain"]])]

    def field(label: str, texts: Iterable[str], wrap: bool = True) -> None:
        for number, text in enumerate(texts):
            head = (label if number == 0 else "").ljust(LABEL)
            room = max(width - LABEL, 40)
            parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) if wrap else [text]
            lines.extend(f"{head if k == 0 else ' ' * LABEL}{part}".rstrip() for k, part in enumerate(parts or [""]))

    lines.append("")
    if c.status == "refuted":
        field("false", [f"{c.because}"])
        field("at", counterexample(data["errata"]))
        field("right", right_forms(c), wrap=False)
    said = [pages.operand_words(operand) for operand in c.operands.values()]
    field("operands", said)
    field("conditions", further_conditions(c) or ["none beyond these"])
    field("layout", layouts.lines(c))
    field("sources", [printed(source) for source in c.sources])
    field("measured", measured(c, data["measured"]) or ["not yet (make record)"], wrap=False)
    field("statement", filter(None, [record.stated(data["measured"])]))
    beside = [s for s in c.identity.claims.values() if s is not c and s not in c.corrections]
    field("derivation", derivation(c, width - LABEL), wrap=False)
    width_of_names = max((len(s.name) for s in beside[:SIBLINGS]), default=0)
    field("beside it", (f"{s.name:<{width_of_names}}  {plain(s.statement)}{mark(s)}" for s in beside[:SIBLINGS]), False)
    if len(beside) > SIBLINGS:
        field("", [f"and {len(beside) - SIBLINGS} more: identities list {c.identity.name}"])
    snippets(c, field)
    field("code", ["{file}, line {line}".format(**data["location"])])
    field("page", [data["url"] or "none: it is no claim of the book"])
    return "\n".join(lines)


def derivation(c: Claim, room: int) -> list[str]:
    """The derivation by differentials, with the claims that justify each line beside it, or below where it is long."""
    from identities.engine import derivations
    from identities.engine.unicode import plain

    lines, found = derivations.of(c), []
    for line, latex in zip(lines, derivations.chained(lines), strict=True):
        notes = [f"by {', '.join(line.by)}"] if line.by else []
        notes += [f"with {'; '.join(plain(m) for m in line.meanings)}"] if line.let else []
        text, note = plain(latex), ", ".join(notes)
        if note and len(text) + len(note) + 4 <= room:
            found.append(f"{text}    {note}")
        else:
            found += [text, *([f"    {note}"] if note else [])]
    return found


def mark(c: Claim) -> str:
    return "" if c.status == "holds" else "   (refuted)"


def further_conditions(c: Claim) -> list[str]:
    """The conditions that the sentences about the operands do not say already."""
    said = {f"{o.name} is {o.english}" for o in c.operands.values()}
    said |= {f"{o.name} is complex" for o in c.operands.values()}
    return [text for text in c.conditions if text not in said and "(tried from" not in text]


def printed(source: Source) -> str:
    """A source, with its own print where that differs from ours."""
    from identities.engine.unicode import plain

    layout = f", {source.layout} layout" if source.layout else ""
    return f"{source}" + (f", which prints {plain(source.latex)}{layout}" if source.latex else "")


def measured(c: Claim, rows: Iterable[dict[str, Any]]) -> list[str]:
    what = "worst residual" if c.status == "holds" else "refuted, worst residual"
    return [
        f"{row['dtype']} on {row['device']}: {what} {row['residual']:.3g} eps over {row['draws']} draws "
        f"(jax {row['jax']}, {row['date']})"
        for row in rows
    ]


def counterexample(row: dict[str, Any] | None) -> list[str]:
    """The smallest counterexample that was found, where errata.json has one."""
    if row is None:
        return []
    found = row["counterexample"]
    operands = ", ".join(f"{name} = {json.dumps(value)}" for name, value in found["operands"].items())
    return [f"{operands}: the print gives {json.dumps(found['printed'])}, true is {json.dumps(found['true'])}"]


def right_forms(c: Claim) -> list[str]:
    """The right forms of a refuted print, and when the print itself is right."""
    from identities.engine.unicode import plain

    found = []
    for other in c.corrections:
        if other.latex == c.latex and other.given:
            found.append(f"{other.name}: the print, where {'; '.join(other.conditions)}")
        else:
            found.append(f"{other.name}: {plain(other.statement)}")
    return found + ([f"the print, where {c.right_if}"] if c.right_if else [])


def snippets(c: Claim, field: Any) -> None:
    """Code to copy; none of a formula that is false."""
    from identities.engine import snippets as code

    if c.status == "refuted":
        field(
            "to copy", [f"nothing: the formula is false; take {' or '.join(o.name for o in c.corrections) or 'none'}"]
        )
        return
    field("JAX", code.jax_form(c).replace("\n\n", "\n").split("\n"), False)
    numpy = code.numpy_form(c)
    field(
        "NumPy", numpy.split("\n") if numpy else ["none: the closed form uses what only JAX or this library has"], False
    )
