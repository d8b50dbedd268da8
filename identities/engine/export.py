"""The book as data: one claim as a dict, all of them as one JSON or CSV file, and what changed between two.

The schema is `identities/export.schema.json`.  Everything comes from the entries, the record and the
errata; `claim` is what `identities show --json`, the export and the pages are made from.
"""

from __future__ import annotations

import csv
import functools
import inspect
import io
import json
import os
import pathlib
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import identities
from identities.engine import derivations, errata, pages, record
from identities.engine.identity import Claim
from identities.engine.unicode import plain

SCHEMA = pathlib.Path(__file__).parent.parent / "export.schema.json"
FORMAT = 1
COLUMNS: tuple[str, ...] = ("name", "kind", "status", "plain", "statement", "title", "chapter", "sources", "conditions")
COLUMNS += ("because", "corrections", "wrt", "dims", "url", "file", "line")


def attributes(claim: Claim) -> dict[str, Any]:
    """A claim's attributes as plain JSON values, without what has to be looked up or rendered."""
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
        "operands": {name: annotation(operand) for name, operand in claim.operands.items()},
        "where": claim.where,
        "because": claim.because or None,
        "corrections": [c.name for c in claim.corrections],
        "computed": claim.computed,
        "chapter": claim.chapter,
        "identity": {"name": claim.identity.name, "title": claim.identity.title, "latex": claim.identity.latex},
    }


def claim(c: Claim) -> dict[str, Any]:
    """All that is known of a claim: its attributes, its page, its code, what was measured, its erratum."""
    return attributes(c) | {
        "plain": plain(c.statement),
        "aliases": aliases_of(c),
        "layouts": pages.layouts(c),
        "slug": pages.slug(c.name),
        "url": pages.url(c),
        "derivation": [line.to_json() for line in derivations.of(c)],
        "location": location(c),
        "measured": record.read().get(c.name, []),
        "errata": _errata().get(c.name),
    }


def annotation(operand: Any) -> str:
    """An operand's declaration: Invertible[Array, "n n"]."""
    if operand.static:
        return str(operand.word)
    return f'{operand.word.__name__}[Array, "{" ".join(map(str, operand.dims))}"]'


def aliases_of(c: Claim) -> list[str]:
    """What its sources call a claim: their numbers, "MCB 101"."""
    return list(dict.fromkeys(f"{s.key} {s.locator}" for s in c.sources if not s.ours))


def aliases(claims: Iterable[Claim]) -> list[dict[str, Any]]:
    """The table from every source's numbers to our names, in the order of the book."""
    return [
        {"source": s.key, "number": s.locator, "note": s.note, "name": c.name, "status": c.status}
        for c in claims
        for s in c.sources
        if not s.ours
    ]


def location(c: Claim) -> dict[str, Any]:
    """Where the closed form stands: the file from the folder of its package on, and the line of its decorator."""
    code = inspect.unwrap(c.function).__code__
    parts = str(c.function.__module__).split(".")
    return {"file": "/".join([*parts[:-1], pathlib.Path(code.co_filename).name]), "line": code.co_firstlineno}


@functools.cache
def _errata() -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in errata.read()}


def everything(claims: Iterable[Claim]) -> dict[str, Any]:
    """The whole export."""
    claims = list(claims)
    return {
        "format": FORMAT,
        "version": identities.__version__,
        "site": pages.SITE,
        "claims": [claim(c) for c in claims],
        "aliases": aliases(claims),
    }


def as_json(claims: Iterable[Claim]) -> str:
    """The export as JSON, a claim a line, so that two of them can be compared line by line."""
    data = everything(claims)
    lists = {key: data.pop(key) for key in ("claims", "aliases")}
    head = json.dumps(data, ensure_ascii=False)[1:-1]
    rows = (
        f'"{key}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in found) + "\n]"
        for key, found in lists.items()
    )
    return "{" + ",\n".join([head, *rows]) + "}\n"


def as_csv(claims: Iterable[Claim]) -> str:
    """The export as CSV, a row a claim; lists are joined by "; "."""
    claims = list(claims)
    residuals = [f"residual_{dtype}" for dtype in ("float64", "float32")]
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, *residuals), lineterminator="\n")
    writer.writeheader()
    for data in map(claim, claims):
        row = {**data, **data["location"], "title": data["identity"]["title"]}
        for name in residuals:
            found = [r["residual"] for r in data["measured"] if name == f"residual_{r['dtype']}"]
            row[name] = max(found, default=None)
        cells = {name: row[name] for name in (*COLUMNS, *residuals)}
        writer.writerow({k: "; ".join(map(str, v)) if isinstance(v, list) else v for k, v in cells.items()})
    return text.getvalue()


def check_places(paths: Iterable[pathlib.Path]) -> None:
    """Raise ValueError where a folder is missing or a name is that of a folder, before anything is made."""
    for path in paths:
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent} to write {path.name} to")
        if path.is_dir():
            raise ValueError(f"{path} is a folder, and a file was expected")


def write(files: Mapping[pathlib.Path, str]) -> None:
    """Write files whole or not at all: each beside its place first, and then all are moved there."""
    check_places(files)
    halves: dict[pathlib.Path, pathlib.Path] = {}
    try:
        for path, text in files.items():
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            halves[path] = pathlib.Path(name)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            halves[path].chmod(0o644)
        for path, half in halves.items():
            os.replace(half, path)
    finally:
        for half in halves.values():
            half.unlink(missing_ok=True)


def read(path: pathlib.Path) -> dict[str, Any]:
    """An export that was written earlier.  Raises ValueError for a file that is none, or not there."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}; an earlier `identities export --json FILE` was expected")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        compare(data, data)  # reads whatever a comparison will read
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no export of the book ({type(error).__name__}: {error})") from error
    if data.get("format") != FORMAT:
        raise ValueError(f"{path} is an export of format {data.get('format')!r}, and {FORMAT} was expected")
    return dict(data)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What a later export states that an earlier one did not: rows of name, before and after, by what happened.

    added      a claim that holds and was not there
    corrected  a claim that states something else now, or under other conditions, or that holds and was refuted
    refuted    a claim that is refuted and was not there, or did hold
    removed    a claim that is gone
    """
    was = {c["name"]: c for c in old["claims"]}
    now = {c["name"]: c for c in new["claims"]}
    changes: dict[str, list[dict[str, str]]] = {"added": [], "corrected": [], "refuted": [], "removed": []}
    for name, c in now.items():
        before = was.get(name)
        if c["status"] == "refuted" and (before is None or before["status"] != "refuted"):
            kind = "refuted"
        elif before is None:
            kind = "added"
        elif _says(before) != _says(c):
            kind = "corrected"
        else:
            continue
        changes[kind].append({"name": name, "before": _text(before), "after": _text(c)})
    changes["removed"] = [{"name": n, "before": _text(c), "after": ""} for n, c in was.items() if n not in now]
    return changes


def _says(c: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two versions of a claim the same: not its LaTeX, which may be set another way."""
    return c["status"], c["plain"], sorted(c["conditions"]), c["operands"], c["where"]


def _text(c: Mapping[str, Any] | None) -> str:
    if c is None:
        return ""
    conditions = f"  where {'; '.join(c['conditions'])}" if c["conditions"] else ""
    return f"{c['plain']}{conditions}{'  (refuted)' if c['status'] == 'refuted' else ''}"
