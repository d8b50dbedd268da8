"""What a check found: `Verdict` for one claim in one precision, `Verdicts` for many."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from identities.engine.witness import Testimony


@dataclasses.dataclass(frozen=True)
class Tried:
    """What one shape showed: its dims, what it is telling about, and the worst residual there.

    `residual` is in eps; None where a side could not be evaluated (`problem` says why).
    """

    dims: dict[str, int]
    kind: str
    residual: float | None
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The finding about one claim in one dtype.

    ok          a claim that holds agreed everywhere; a refuted one was refuted by value
    residual    the worst residual, in eps of the dtype (see identities.engine.tolerance)
    tolerance   the largest residual that counts as agreement, in eps
    dims, seed, index, got, expected
                where the residual was worst: `got` is the closed form's entry, `expected`
                autodiff's (float64)
    witness     what central differences say there; None for an equality of values
    diagnosis   what is wrong, where a simple explanation fits every draw; else ""
    shapes      every shape tried
    agrees_at   for a refuted claim: the dims at which the print agrees all the same
    stated      at how many shapes the statement, evaluated as it is written, agreed with closed form and autodiff
    unread      why no machine reads the statement; else ""
    notes       what else is to be known: a precision that a function stays in, integers taken as floats
    """

    claim: str
    status: str
    kind: str
    ok: bool
    residual: float
    tolerance: float
    dims: dict[str, int]
    seed: int
    samples: int
    dtype: str
    device: str
    index: tuple[int, ...]
    got: Any
    expected: Any
    operand_shapes: dict[str, tuple[int, ...]]
    witness: Testimony | None
    diagnosis: str
    shapes: tuple[Tried, ...]
    agrees_at: tuple[dict[str, int], ...]
    problem: str
    seconds: float
    wrt: tuple[str, ...]
    statement: str
    reproducer: str
    notes: tuple[str, ...] = ()
    stated: int = 0
    unread: str = ""

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return describe(self)

    def to_json(self) -> dict[str, Any]:
        """The attributes as plain JSON values (NaN and infinity as strings, complex as pairs)."""
        found: dict[str, Any] = plain(dataclasses.asdict(self))
        return found


class Verdicts(Sequence[Verdict]):
    """Several verdicts: a sequence with `ok` and `failures`."""

    def __init__(self, verdicts: Sequence[Verdict]):
        self._verdicts = tuple(verdicts)

    def __len__(self) -> int:
        return len(self._verdicts)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        found = self._verdicts[index]
        return Verdicts(found) if isinstance(found, tuple) else found

    @property
    def ok(self) -> bool:
        """Whether there is a verdict at all and every one is ok."""
        return bool(self._verdicts) and all(v.ok for v in self._verdicts)

    @property
    def failures(self) -> Verdicts:
        return Verdicts([v for v in self._verdicts if not v.ok])

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        held = sum(v.ok and v.status == "holds" for v in self)
        refuted = sum(v.ok and v.status == "refuted" for v in self)
        head = f"{len(self)} verdicts: {held} held, {refuted} refuted as stated, {len(self.failures)} failed"
        return "\n\n".join([head, *map(str, self.failures)])

    __repr__ = __str__


def plain(value: Any) -> Any:
    """Plain JSON values from what a verdict or a claim holds."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def show_dims(dims: dict[str, int]) -> str:
    return ", ".join(f"{k}={v}" for k, v in dims.items()) or "fixed shapes"


def show_number(value: Any) -> str:
    if value is None:
        return "no number"
    return (
        f"{value:.17g}"
        if not isinstance(value, complex | np.complexfloating)
        else f"{value.real:.17g}{value.imag:+.17g}j"
    )


def describe(v: Verdict) -> str:
    """The text of a verdict; of a failed one, everything that is needed to see and repeat it."""
    what = f"{v.kind} by {', '.join(v.wrt)}" if v.wrt else "equality of values"
    if v.ok:
        at = f"; the print agrees at {'; '.join(map(show_dims, v.agrees_at))}" if v.agrees_at else ""
        verb = "holds" if v.status == "holds" else "is refuted, as stated"
        ran = f"{v.dtype}, {v.device}, {len(v.shapes)} shapes, {v.samples} draws each"
        found = f"worst residual {v.residual:.3g} eps"
        if v.status == "holds" and not v.residual <= v.tolerance:
            found = "by differences, and not by autodiff"
        head = f"{v.claim} {verb}: {found} ({ran}){at}"
        return "\n".join([head, *([f"  {v.diagnosis}"] if v.diagnosis else []), *(f"  note: {n}" for n in v.notes)])
    head = {"holds": "does not hold", "refuted": "was not refuted"}[v.status]
    lines = [
        f"{v.claim} {head}: {what}",
        f"  states     {v.statement}",
        f"  operands   {', '.join(f'{k} {list(s)}' for k, s in v.operand_shapes.items())}",
        f"  at         {show_dims(v.dims)}; {v.dtype}; {v.device}; seed {v.seed}",
    ]
    if v.problem:
        lines.append(f"  problem    {v.problem}")
    else:
        where = f"entry {list(v.index)}" if v.index else "the value"
        lines += [
            f"  worst      {where}: closed form {show_number(v.got)}, autodiff {show_number(v.expected)}"
            if v.kind != "value"
            else f"  worst      {where}: closed form {show_number(v.got)}, function {show_number(v.expected)}",
            f"  residual   {v.residual:.4g} eps, at most {v.tolerance:.4g} is agreement",
        ]
    if v.witness is not None:
        lines.append(f"  witness    {v.witness}")
    lines.append(f"  diagnosis  {v.diagnosis or 'no simple explanation'}")
    lines += [f"  note       {note}" for note in v.notes]
    lines.append(f"  repeat     {v.reproducer}")
    return "\n".join(lines)
