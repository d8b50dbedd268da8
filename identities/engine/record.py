"""The record: what was measured of each claim, by dtype, device and JAX version.

`identities/record.json` is written by `make record` alone; pages and `identities show` read it.
One row stands for one claim, dtype, device and JAX version: the worst residual in eps, the number
of draws, the date, at how many shapes the statement, run as it stands, said the same (or why no
machine reads it), and for a refuted claim the counterexample found.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from identities.engine.identity import Claim
from identities.engine.verdict import Verdict, plain

PATH = pathlib.Path(__file__).parent.parent / "record.json"
Rows = dict[str, list[dict[str, Any]]]


def stated(rows: Iterable[Mapping[str, Any]]) -> str:
    """What the record says of the statement itself, in a sentence; empty where nothing was recorded."""
    for one in rows:
        if one.get("stated"):
            shapes = "one shape" if one["stated"] == 1 else f"{one['stated']} shapes"
            return f"run as it stands at {shapes}: its sides are what autodiff and the closed form give ({one['date']})"
        if one.get("unread"):
            return f"not read by machine: {one['unread']}"
    return ""


@functools.cache
def read(path: pathlib.Path = PATH) -> Rows:
    """Rows by claim name; empty where nothing was recorded yet.  Raises ValueError for a broken file."""
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["claims"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no record ({error}); make it anew with `make record`") from error


def row(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    """What is kept of one verdict."""
    kept: dict[str, Any] = {
        "dtype": verdict.dtype,
        "device": verdict.device,
        "jax": jax.__version__,
        "date": datetime.date.today().isoformat(),
        "residual": float(f"{verdict.residual:.4g}"),
        "draws": verdict.samples * len(verdict.shapes),
    }
    if verdict.stated:
        kept["stated"] = verdict.stated
    elif verdict.unread:
        kept["unread"] = verdict.unread.split(" (at ")[0]  # without the excerpt
    if claim.status == "refuted":
        kept["counterexample"] = {k: getattr(verdict, k) for k in ("dims", "seed", "index", "got", "expected")}
        kept["agrees_at"] = list(verdict.agrees_at)
    return dict(plain(kept))


def update(path: pathlib.Path, claims: Mapping[str, Claim], verdicts: Iterable[Verdict]) -> None:
    """Replace the rows of this device and JAX version, keep those of others, drop claims that are gone.

    Nothing is written unless every verdict is ok (ValueError); the file is replaced in one step.
    """
    verdicts = list(verdicts)
    failed = [v.claim for v in verdicts if not v.ok]
    if failed:
        raise ValueError(f"nothing was recorded, because {len(failed)} verdicts failed, the first of {failed[0]}")
    old = read(path)
    new: Rows = {}
    for name, claim in claims.items():
        mine = [row(claim, v) for v in verdicts if v.claim == name]
        same = {(r["dtype"], r["device"], r["jax"]) for r in mine}
        kept = [r for r in old.get(name, []) if (r["dtype"], r["device"], r["jax"]) not in same]
        new[name] = sorted(kept + mine, key=lambda r: (r["device"], r["jax"], r["dtype"]))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in new.items())
    half = path.with_suffix(".tmp")
    half.write_text(f'{{"claims": {{\n{lines}\n}}}}\n', encoding="utf-8")
    os.replace(half, path)
    read.cache_clear()
