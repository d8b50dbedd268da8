"""`identities list`, `search` and `open`: find a claim; nothing is compiled or sampled."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from identities.commandline.check import positive, select

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

    p = commands.add_parser("search", help="search by words, by a source's number or by a formula")
    p.add_argument("words", nargs="+", metavar="WORD", help='for instance: derivative of x^T A x; MCB 88; "log det"')
    p.add_argument("--limit", type=positive, default=12, metavar="N", help="show at most so many (default 12)")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=search)

    p = commands.add_parser("open", help="open a claim's page in the browser")
    p.add_argument("name", metavar="NAME", help="a claim or an identity")
    p.add_argument("--print", dest="print_only", action="store_true", help="print the address only")
    p.set_defaults(run=open_page)


def list_claims(options: argparse.Namespace) -> int:
    claims = [c for c in select(options.names, source=options.source) if options.status in (None, c.status)]
    if options.names_only:
        print("\n".join(c.name for c in claims))
        return 0
    return _print_list(claims, options.json)


def _print_list(claims: list[Claim], as_data: bool) -> int:
    if as_data:
        from identities.engine import export

        print(json.dumps([export.attributes(c) for c in claims], indent=1))
        return 0
    rows = [("claim", "status", "what", "sources")]
    for c in claims:
        what = f"{c.kind} by {', '.join(c.wrt)}" if c.wrt else "another form"
        rows.append((c.name, c.status, f"{c.identity.title}: {what}", ", ".join(map(str, c.sources))))
    print_rows(rows)
    print(f"{len(claims)} claims")
    return 0


def print_rows(rows: Sequence[tuple[str, ...]], widest: int = 70) -> None:
    """Columns of text; a cell that is wider than most pushes the rest of its line to the right.

    Plain text, because a table of 600 rows takes rich as long as all the rest.
    """
    widths = [min(max(map(len, column)), widest) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def search(options: argparse.Namespace) -> int:
    from identities.engine import export, lookup
    from identities.engine.unicode import plain

    answer = lookup.search(" ".join(options.words))
    shown = answer.hits[: options.limit]
    if options.json:
        found = [export.attributes(h.claim) | {"score": round(h.score, 2), "lacks": list(h.lacks)} for h in shown]
        print(json.dumps(found, indent=1))
        return 0
    if answer.caution:
        print(answer.caution)
    rows = []
    for c in (hit.claim for hit in shown):
        rows.append(
            (
                c.name,
                plain(c.statement) + ("   REFUTED" if c.status == "refuted" else ""),
                ", ".join(map(str, c.sources)),
            )
        )
    print_rows(rows)
    if len(answer.hits) > len(shown):
        print(f"and {len(answer.hits) - len(shown)} more that match less well (--limit {len(answer.hits)})")
    return 0


def open_page(options: argparse.Namespace) -> int:
    import webbrowser

    from identities import book
    from identities.engine import pages
    from identities.engine.errors import UnknownName

    claims = book.find(options.name)
    if len({id(c.identity) for c in claims}) > 1:
        raise UnknownName(f"{options.name} stands for {len(claims)} claims; name one of them, or an identity")
    address = pages.address(claims[0])
    if address is None:
        raise UnknownName(f"{claims[0].name} is no claim of the book, and has no page")
    if options.print_only:
        print(address)
    elif not webbrowser.open(address):
        raise OSError(f"no browser could be opened; the page is {address}")
    return 0
