"""`identities export`: the whole book as one JSON file, one CSV file, or what changed since an earlier export."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

HEADS = {"added": "Added", "corrected": "Corrected", "refuted": "Refuted", "removed": "Removed"}


def add_commands(commands: Any) -> None:
    p = commands.add_parser("export", help="write the book as JSON or CSV, or compare", description=__doc__)
    p.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", help="write this JSON file (schema: export.schema.json)"
    )
    p.add_argument("--csv", type=pathlib.Path, metavar="FILE", help="write this CSV file, a row a claim")
    p.add_argument(
        "--compare",
        type=pathlib.Path,
        metavar="OLD.json",
        help="list what is stated otherwise than in an earlier export",
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine import export

    claims = list(book.catalogue().values())
    if options.json and options.csv and options.json.resolve() == options.csv.resolve():
        raise ValueError(f"--json and --csv name the same file, {options.json}")
    changes = export.compare(export.read(options.compare), export.everything(claims)) if options.compare else None
    files = {options.json: export.as_json, options.csv: export.as_csv}
    if not options.json and not options.csv and changes is None:
        print(export.as_json(claims), end="")
        return 0
    export.check_places(path for path in files if path)
    export.write({path: make(claims) for path, make in files.items() if path})
    for path in filter(None, files):
        print(f"{len(claims)} claims written to {path}")
    if changes is not None:
        print_changes(changes)
    return 0


def print_changes(changes: dict[str, list[dict[str, str]]]) -> None:
    """What changed, in the words of a changelog."""
    for kind, rows in changes.items():
        if rows:
            print(f"### {HEADS[kind]}\n")
        for row in rows:
            print(f"- `{row['name']}`: {row['after'] or row['before']}")
            if row["before"] and row["after"]:
                print(f"  (was: {row['before']})")
        if rows:
            print()
    counts = ", ".join(f"{len(rows)} {kind}" for kind, rows in changes.items())
    print(counts)
