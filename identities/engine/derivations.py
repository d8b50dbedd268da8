"""Derivations by differentials: how the gradients of a chapter follow, line by line, from other claims.

They are data, a file a chapter, `identities/derivations/traces.toml`: under the name of a claim its lines in order.  A
line is one equation in LaTeX, true by itself; `by` names the claims that justify it, none where it is plain algebra;
`let` gives letters their meaning.  In an equation dX is the tangent of the operand by which the claim differentiates,
a d before a function is its differential along that tangent, and everything else is held constant.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import tomllib
from collections.abc import Mapping
from typing import Any

import identities
from identities.engine.errors import UnknownName, nearest
from identities.engine.identity import Claim

FOLDER = pathlib.Path(__file__).parent.parent / "derivations"


@dataclasses.dataclass(frozen=True)
class Line:
    """One step: an equation, the names of the claims that justify it, and what its own letters stand for."""

    latex: str
    by: tuple[str, ...] = ()
    let: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def meanings(self) -> tuple[str, ...]:
        """The letters as equations: Y = A + tB."""
        return tuple(f"{letter} = {meaning}" for letter, meaning in self.let.items())

    def to_json(self) -> dict[str, Any]:
        return {"line": self.latex, "by": list(self.by), "let": dict(self.let)}


Derivations = dict[str, tuple[Line, ...]]


def read(path: pathlib.Path, claims: Mapping[str, Claim]) -> Derivations:
    """The derivations in one file, by claim.  `claims` are those that may be named.

    Raises ValueError for a file or a line that cannot be used, UnknownName for a name that is no claim.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is no TOML: {error}") from error
    found: Derivations = {}
    for name, rows in data.items():
        _require(name, claims, path.name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{path.name}: the lines of {name} are written below [[{name}]], one block a line")
        found[name] = tuple(
            _line(row, f"{path.name}, {name}, line {number}", claims) for number, row in enumerate(rows, 1)
        )
    return found


def _line(row: dict[str, Any], where: str, claims: Mapping[str, Claim]) -> Line:
    unknown = sorted(row.keys() - {"line", "by", "let"})
    if unknown:
        raise ValueError(f"{where}: unknown field {', '.join(unknown)}; a line has line, by and let")
    latex, by, let = row.get("line", ""), row.get("by", []), row.get("let", {})
    if not isinstance(latex, str) or not latex.strip():
        raise ValueError(f"{where} is empty")
    sides = latex.split("=")
    if len(sides) < 2 or not all(side.strip() for side in sides):
        raise ValueError(f"{where} is no equation: {latex.strip()}")
    if not isinstance(by, list) or not all(isinstance(name, str) for name in by):
        raise ValueError(f"{where}: by is a list of names of claims")
    if not isinstance(let, dict) or not all(isinstance(text, str) and text.strip() for text in let.values()):
        raise ValueError(f"{where}: let gives each letter its meaning in LaTeX")
    for name in by:
        _require(name, claims, where)
        if claims[name].status != "holds":
            raise ValueError(f"{where}: {name} is refuted, and justifies nothing")
    return Line(" ".join(latex.split()), tuple(by), let)


def _require(name: str, claims: Mapping[str, Claim], where: str) -> None:
    if name not in claims:
        raise UnknownName(f"{where}: no claim is named {name!r}{nearest(name, claims)}")


@functools.cache
def load(chapter: str) -> Derivations:
    """The derivations of one chapter of the book, by claim, in book order; none where it has no file."""
    path = FOLDER / f"{chapter}.toml"
    return read(path, identities.catalogue()) if path.is_file() else {}


def chained(lines: tuple[Line, ...]) -> list[str]:
    """The equations as one chain: a left side that is the right side of the line before is not written again."""
    found, before = [], None
    for line in lines:
        left, _, right = line.latex.partition(" = ")
        found.append(f"= {right}" if left == before else line.latex)
        before = line.latex.rpartition(" = ")[2]
    return found


def of(claim: Claim) -> tuple[Line, ...]:
    """The derivation of a claim; no lines where none is written, or where the claim is not of the book."""
    ours = claim.function.__module__ == f"identities.{claim.chapter}"
    return load(claim.chapter).get(claim.name, ()) if ours else ()
