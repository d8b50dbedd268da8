"""`identities coverage`: what became of each numbered equation of a source; nothing is compiled."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import rich.text

# How each status looks in the bar; the glyphs tell them apart where there is no colour.
LOOKS = {
    "holds": ("█", "green"),
    "condition": ("▓", "cyan"),
    "refuted": ("▒", "red"),
    "definition": ("░", "blue"),
    "tested": ("▪", "magenta"),
    "missing": ("·", "yellow"),
}
WIDTH = 60


def add_commands(commands: Any) -> None:
    p = commands.add_parser("coverage", help="what became of each equation of a source", description=__doc__)
    p.add_argument("source", metavar="SOURCE", help="a source whose equations are listed, for instance MCB")
    p.add_argument("--chapter", metavar="2", help="only this chapter or section of the source")
    p.add_argument(
        "--missing", action="store_true", help="print only what is not covered, and exit with 1 if there is any"
    )
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine.coverage import coverage, equations, tally

    equations(options.source)  # an unknown source is told before the book is read
    rows = coverage(book.catalogue(), options.source, options.chapter)
    shown = [r for r in rows if r.status == "missing" or not options.missing]
    failed = options.missing and bool(shown)
    if options.json:
        print(json.dumps([r.to_json() for r in shown], indent=1))
        return int(failed)
    import rich.console
    import rich.table
    import rich.text

    console = rich.console.Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    counts = tally(rows)
    console.print(bar(counts))
    legend = rich.text.Text(", ").join(
        rich.text.Text.assemble(LOOKS[status], f" {count} {status}") for status, count in counts.items()
    )
    console.print(rich.text.Text.assemble(f"{len(rows)} equations: ", legend))
    table = rich.table.Table(box=None, pad_edge=False)
    for heading in ("number", "status", "claims, or what it is about", "note"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("number", "status"))
    for row in shown:
        status = rich.text.Text(row.status, LOOKS[row.status][1])
        table.add_row(row.number, status, ", ".join(row.claims) or row.title, row.note)
    if shown:
        console.print(table)
    return int(failed)


def bar(counts: dict[str, int], width: int = WIDTH) -> rich.text.Text:
    """One line in proportion to the counts; a status that occurs at all has at least one cell."""
    import rich.text

    total = sum(counts.values())
    cells = {status: max(1, round(width * count / total)) for status, count in counts.items()}
    longest = max(cells, key=lambda status: cells[status])
    cells[longest] += width - sum(cells.values())
    return rich.text.Text.assemble(*((LOOKS[status][0] * n, LOOKS[status][1]) for status, n in cells.items()))
