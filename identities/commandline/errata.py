"""`identities errata`: false prints, why they are false, and the smallest counterexample to each."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any


def add_commands(commands: Any) -> None:
    p = commands.add_parser("errata", help="false prints, with counterexamples", description=__doc__)
    p.add_argument("name", nargs="?", metavar="SOURCE|NAME", help="a source such as MCB, or a refuted claim; none: all")
    p.add_argument("--search", action="store_true", help="search the counterexample of a refuted claim again")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.add_argument("--update", type=pathlib.Path, metavar="PAGE", help="search all again, keep them and write the page")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine import errata, sources
    from identities.engine.errors import UnknownName, nearest

    catalogue = book.catalogue()
    refuted = {c.name: c for c in catalogue.values() if c.status == "refuted"}
    if options.update:
        return update(list(refuted.values()), options.update)
    if options.search:
        if options.name not in refuted:
            raise UnknownName(
                f"--search takes the name of a refuted claim, got {options.name!r}"
                + nearest(options.name or "", refuted)
            )
        claim = refuted[options.name]
        rows = [errata.erratum(claim, errata.counterexample(claim)).to_json()]
    else:
        rows = errata.read()
        if options.name in refuted:
            rows = [row for row in rows if row["name"] == options.name]
        elif options.name in sources.known_keys():
            rows = [row for row in rows if any(text.split()[0] == options.name for text in row["sources"])]
        elif options.name:
            known = [*sources.known_keys(), *refuted]
            raise UnknownName(f"{options.name!r} is no source and no refuted claim{nearest(options.name, known)}")
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print_one(row)
    false = sum(row["of_print"] for row in rows)
    others = len(rows) - false
    print(f"{false} false prints, and {others} that lack a condition which the source states, or are one reading")
    return 0


def print_one(row: dict[str, Any]) -> None:
    example = row["counterexample"]
    print(f"{', '.join(row['sources'])}: {row['title']} ({row['name']})")
    print(f"  printed    {row['printed']}")
    print(f"  false      {row['because']}")
    for name, statement in row["corrections"].items():
        print(f"  right      {statement}   ({name})")
    if row["condition"]:
        print(f"  right if   {row['condition']}")
    print(f"  at         {'; '.join(f'{k} = {json.dumps(v)}' for k, v in example['operands'].items())}")
    print(f"  gives      {json.dumps(example['printed'])}, true is {json.dumps(example['true'])}\n")


def update(claims: list[Any], page: pathlib.Path) -> int:
    from identities.engine import errata

    if not page.parent.is_dir():  # told before anything is searched or written
        raise ValueError(f"there is no folder {page.parent} to write {page.name} to")
    rows = []
    for found in errata.find_all(claims):
        print(found.name, file=sys.stderr)
        rows.append(found.to_json())
    lines = ",\n".join(json.dumps(row) for row in rows)
    errata.write(errata.PATH, f'{{"errata": [\n{lines}\n]}}\n')
    errata.write(page, errata.page(rows))
    print(f"{len(rows)} counterexamples written to {errata.PATH} and {page}")
    return 0
