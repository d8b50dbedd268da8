"""`identities list`, `show`, `search` and `cite`: read the book; nothing is compiled or sampled."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from identities.commandline.check import select

if TYPE_CHECKING:
    from identities.engine.identity import Claim


def add_commands(commands: Any) -> None:
    p = commands.add_parser("list", help="list the claims")
    p.add_argument(
        "names", nargs="*", metavar="NAME", help="a claim, an identity, a chapter or a module; none: the whole book"
    )
    p.add_argument(
        "--source", metavar="SOURCE", help='only claims that cite this source, for instance MCB or "MCB 101"'
    )
    p.add_argument("--status", choices=("holds", "refuted"), help="only claims of this status")
    p.add_argument("--names", dest="names_only", action="store_true", help="print the names alone, a line each")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=list_claims)

    p = commands.add_parser("show", help="show a claim, or the claims of an identity")
    p.add_argument("name", metavar="NAME")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=show)

    p = commands.add_parser("search", help="search names, titles, LaTeX and sources")
    p.add_argument("words", nargs="+", metavar="WORD")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=search)

    p = commands.add_parser("cite", help="how to cite a claim: the sources that print it, as BibTeX")
    p.add_argument("name", metavar="NAME")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=cite)


def as_json(claim: Claim) -> dict[str, Any]:
    """A claim's attributes as plain JSON values."""
    return {
        "name": claim.name,
        "kind": claim.kind,
        "status": claim.status,
        "statement": claim.statement,
        "sources": [str(s) for s in claim.sources],
        "prints": [{"source": str(s), "latex": s.latex, "layout": s.layout} for s in claim.sources if s.latex],
        "conditions": list(claim.conditions),
        "structure": claim.structure,
        "wrt": list(claim.wrt),
        "dims": list(claim.dims),
        "static": list(claim.static),
        "operands": {name: str(o) for name, o in ((n, _annotation(o)) for n, o in claim.operands.items())},
        "where": claim.where,
        "because": claim.because or None,
        "corrections": [c.name for c in claim.corrections],
        "computed": claim.computed,
        "chapter": claim.chapter,
        "identity": {"name": claim.identity.name, "title": claim.identity.title, "latex": claim.identity.latex},
    }


def _annotation(operand: Any) -> str:
    if operand.static:
        return str(operand.word)
    return f'{operand.word.__name__}[Array, "{" ".join(map(str, operand.dims))}"]'


def list_claims(options: argparse.Namespace) -> int:
    claims = [c for c in select(options.names, source=options.source) if options.status in (None, c.status)]
    if options.names_only:
        print("\n".join(c.name for c in claims))
        return 0
    return _print_list(claims, options.json)


def _print_list(claims: list[Claim], as_data: bool) -> int:
    if as_data:
        print(json.dumps([as_json(c) for c in claims], indent=1))
        return 0
    import rich.console
    import rich.table

    table = rich.table.Table(box=None, pad_edge=False)
    for heading in ("claim", "status", "what", "sources"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "claim")
    for c in claims:
        what = f"{c.kind} by {', '.join(c.wrt)}" if c.wrt else "another form"
        table.add_row(c.name, c.status, f"{c.identity.title}: {what}", ", ".join(map(str, c.sources)))
    width = None if sys.stdout.isatty() else 160
    rich.console.Console(highlight=False, markup=False, width=width).print(table)
    print(f"{len(claims)} claims")
    return 0


def show(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine import record

    claims = book.find(options.name)
    measured = record.read()
    if options.json:
        print(json.dumps([as_json(c) | {"measured": measured.get(c.name, [])} for c in claims], indent=1))
        return 0
    for number, c in enumerate(claims):
        print(("\n" if number else "") + f"{c.name} ({c.status})\n{c.page}")
        for other in c.corrections:
            if other.latex == c.latex and other.given:
                print(f"The print is right where {'; '.join(other.conditions)}:\n    {other.name}")
            else:
                print(f"Right form:\n    {other.name}: {other.statement}")
        rows = measured.get(c.name, [])
        print("Measured:" if rows else "Measured:\n    not yet (make record)")
        for row in rows:
            verdict = "worst residual" if c.status == "holds" else "refuted, worst residual"
            print(
                f"    {row['dtype']} on {row['device']}, jax {row['jax']}, {row['date']}: "
                f"{verdict} {row['residual']:.3g} eps over {row['draws']} draws"
            )
    return 0


def search(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine.errors import UnknownName, nearest

    catalogue = book.catalogue()

    def text(c: Claim) -> str:
        return " ".join([c.name, c.identity.title, c.statement, c.chapter, *map(str, c.sources)]).casefold()

    phrase = " ".join(options.words).casefold()
    texts = {c.name: text(c) for c in catalogue.values()}
    cited = [c for c in catalogue.values() if any(f"{s.key} {s.locator}".casefold() == phrase for s in c.sources)]
    hits = cited or [c for c in catalogue.values() if all(w.casefold() in texts[c.name] for w in phrase.split())]
    if not hits:
        raise UnknownName(f"nothing in the book matches {phrase!r}{nearest(phrase, catalogue)}")
    return _print_list(hits, options.json)


def cite(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine import sources

    claims = book.find(options.name)
    used = dict.fromkeys(s.key for c in claims for s in c.sources if not s.ours)
    entries = {key: sources.bibliography()[key] for key in used}
    if options.json:
        print(
            json.dumps(
                {"claims": {c.name: [str(s) for s in c.sources] for c in claims}, "bibliography": entries}, indent=1
            )
        )
        return 0
    for c in claims:
        print(f"% {c.name}: {', '.join(map(str, c.sources))}")
    for key, fields in entries.items():
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if name != "type")
        print(f"@{fields['type']}{{{key},\n{body}\n}}")
    return 0
