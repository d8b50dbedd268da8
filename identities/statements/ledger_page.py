"""docs/ledger.md, written from the verdicts of the ledger: counts, what is false with its counterexample, what is undecided."""

from __future__ import annotations
from collections.abc import Sequence
from identities.statements.ledger import Verdict


def line(one: Verdict) -> str:
    """One row, for the terminal."""
    told = one.reason or ("true under its condition" if one.conditional else "")
    detail = f": {one.detail}" if one.detail else ""
    return f"{one.equation.number:>5}  {one.status:<9}  {told}{detail}".rstrip()


def summary(found: Sequence[Verdict]) -> str:
    counts = {s: sum(v.status == s for v in found) for s in ("true", "false", "undecided")}
    return f"{len(found)} equations: " + ", ".join(f"{n} {s}" for s, n in counts.items())


def page(found: Sequence[Verdict]) -> str:
    return ""
