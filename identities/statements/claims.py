"""The statements of the book's own claims, run: what a page says is held against the code and against autodiff.

`stated(claim)` reads the equation that the catalogue composes, with the operands of the entry's signature;
`Stated.disagreement` evaluates its sides at a draw and holds the first against autodiff and the last against the
closed form.  `claims.csv` declares what a text leaves open, and why a text that no machine reads is not read.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from identities.engine.pages import split
from identities.statements.deciding import SAME, Decider
from identities.statements.declarations import Declarations, declare, of_operands
from identities.statements.environment import Array, Env, lead
from identities.statements.errors import StatementError, TooLarge
from identities.statements.latex import read, read_definitions, read_print
from identities.statements.meaning import Meaning, Term
from identities.statements.numbers import Unusable
from identities.statements.shapes import extents, tie
from identities.statements.syntax import Apply

if TYPE_CHECKING:
    from identities.engine.identity import Claim
    from identities.engine.sources import Source

TABLE = pathlib.Path(__file__).parent / "claims.csv"
PRINTS = pathlib.Path(__file__).parent / "prints.csv"
FLOOR = 1e-7  # what differences leave of a true zero
SAME_AS_CODE = 1e-5  # a second derivative by differences keeps eight digits, of operands that are well conditioned


@functools.cache
def table() -> dict[str, tuple[str, str]]:
    """Of some claims: what is declared beyond the signature, and why the statement is not read by machine."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {row["claim"]: (row["declarations"], row["unread"]) for row in csv.DictReader(file)}


def declared(claim: Claim) -> Declarations:
    """What the signature, the structure and the table declare."""
    found = of_operands(claim.operands)
    if claim.structure:
        structured = claim.structure
        found.structures[claim.wrt[0]] = structured
    found.gradient = claim.kind == "gradient"
    return declare(table().get(claim.name, ("", ""))[0], found)


@functools.lru_cache(maxsize=4096)
def stated(claim: Claim) -> Stated | str:
    """The claim's statement, ready to be evaluated, or the reason why no machine reads it."""
    return reading(claim, claim.statement)


def reading(claim: Claim, text: str, changed: str = "") -> Stated | str:
    """A text about the operands of a claim: its own statement, or what a source prints."""
    reason = table().get(claim.name, ("", ""))[1]
    if reason:
        return reason
    try:
        found = declare(changed, declared(claim))
        statement = read(" ".join(text.split()), found.vocabulary())
        definitions = (*found.definitions(), *statement.definitions)
        kinds = found.final_kinds()
        meaning = Meaning(text, kinds, definitions, found.reading(), found.sizes)
        decider = Decider(statement, meaning)
        undeclared = sorted(set(meaning.kinds) - set(kinds))
        if undeclared:
            return f"the letters {', '.join(undeclared)} are not operands and are not defined"
        return Stated(claim, text, decider, found)
    except StatementError as error:
        return str(error)


@functools.cache
def table_of_prints() -> dict[tuple[str, str], tuple[str, str]]:
    """Of some prints: what their letters stand for, and why a print is not read by machine."""
    with PRINTS.open(newline="", encoding="utf-8") as file:
        return {(r["claim"], r["source"]): (r["declarations"], r["unread"]) for r in csv.DictReader(file)}


def printed(claim: Claim, source: Source) -> Stated | str:
    """What a source prints itself for the right-hand side of a claim, read; or why no machine reads it.

    The left-hand side is ours, so only the print is read; `prints.csv` says what letters of its own stand for.
    """
    clauses, reason = table_of_prints().get((claim.name, str(source)), ("", ""))
    if reason:
        return reason
    text = str(source.latex)
    try:
        found = declare(clauses, declared(claim))
        found.structures.clear()  # on the right, a derivative is that of a general matrix
        if source.layout:
            found.layout = source.layout
        _, meaning_of_f, _ = split(claim.identity.latex)
        where = read_definitions(meaning_of_f, declared(claim).vocabulary()) if meaning_of_f else []
        found.functions.update(d.left.function for d in where if isinstance(d.left, Apply))
        statement = read_print(text, found.vocabulary())
        kinds = found.final_kinds()
        meaning = Meaning(
            text, kinds, (*found.definitions(), *where, *statement.definitions), found.reading(), found.sizes
        )
        decider = Decider(statement, meaning)
        if claim.axes and claim.kind != "hessian":  # the indices of ∂X_{ij} stand on the left, which is not read
            for letter, size in zip(claim.axes.split()[-1], extents(kinds[claim.wrt[0]].shape), strict=True):
                if letter in meaning.free:
                    tie(meaning.free[letter].size, size)
        undeclared = sorted(set(meaning.kinds) - set(kinds))
        if undeclared:
            return f"the letters {', '.join(undeclared)} are not operands and are not defined"
        return Stated(claim, text, decider, found)
    except StatementError as error:
        return str(error)


@dataclasses.dataclass(frozen=True)
class Stated:
    """A statement that a machine reads."""

    claim: Claim
    text: str
    decider: Decider
    declarations: Declarations

    def sides(self, values: Mapping[str, Any]) -> list[list[Array]]:
        """The sides of each link at drawn operands, as arrays with the axes of the closed form.

        Raises Unusable, TooLarge, StatementError.
        """
        env = self.environment(values)
        with np.errstate(all="ignore"):
            return [[self.array(term, other, env) for term, other in ((a, b), (b, a))] for a, b in self.decider.pairs]

    def environment(self, values: Mapping[str, Any]) -> Env:
        meaning = self.decider.meaning
        letters: dict[str, Array] = {}
        tangents: dict[str, Array] = {}
        for name, kind in meaning.kinds.items():
            value = np.asarray(values[name], dtype=None if np.iscomplexobj(values[name]) else float)
            for size, extent in zip((s for s in kind.shape if s.find().name != "1"), value.shape, strict=False):
                if not size.find().made:
                    size.find().value = extent
            letters[name] = value[:, None] if value.ndim == 1 else value
            along = values.get(f"d{name}")
            if along is not None:
                along = np.asarray(along)
                tangents[name] = along[:, None] if along.ndim == 1 else along
        env = Env(letters, tangents=tangents)
        for name, bound in meaning.free.items():
            first = 1 if bound.first is None else bound.first
            env = env.binding(name, np.arange(first, first + int(bound.size)))
        return env

    def array(self, term: Term, other: Term, env: Env) -> Array:
        """The value of a side: its own axes, or those of the free indices, in the order of the claim's axes."""
        shape = other.shape if term.zero else term.shape
        rank = len(shape)
        value = term.run(env)
        if term.zero:
            value = np.zeros(tuple(int(s) for s in shape))
        value = lead(value, rank, env.depth)
        free = list(self.decider.meaning.free)
        if not free:
            kept = [int(s) for s in shape if s.find().name != "1"]
            return value.reshape(kept)
        full = tuple(len(env.indices[name]) for name in reversed(free))
        value = np.broadcast_to(value, full + value.shape[env.depth :])
        order = [c for c in (self.claim.axes or "") if c in free] or free
        if sorted(order) != sorted(free):
            order = free
        kept = [int(s) for s in shape if s.find().name != "1"]
        value = value.reshape([*value.shape[: len(free)], *kept])
        # the axes of the output come before those of the operand, which the indices of ∂X_{ij} name
        own = list(range(len(free), value.ndim))
        return np.transpose(value, own + [free[::-1].index(c) for c in order])

    def disagreement(self, values: Mapping[str, Any], closed: Array, reference: Array) -> str | None:
        """Empty where the statement says what the code says; else what differs; None where a draw tells nothing."""
        try:
            links = self.sides(values)
        except (Unusable, TooLarge):  # differences do not resolve it, or the shape is too large for them
            return None
        except StatementError as error:
            return f"the statement cannot be evaluated: {error}"
        chain = links[: len(self.decider.sides) - 1]
        first, last = chain[0][0], chain[-1][1]
        if not all(np.isfinite(side).all() for link in links for side in link):
            return None
        for side, code, which in ((first, reference, "left"), (last, closed, "right")):
            code = np.asarray(code)
            if side.size != code.size or side.squeeze().shape != code.squeeze().shape:
                return f"the {which} side has the shape {list(side.shape)}, the code {list(code.shape)}"
        size = max(float(np.max(np.abs(x), initial=0.0)) for x in (first, last, closed, reference))
        for side, code, which in ((first, reference, "left"), (last, closed, "right")):
            if _gap(side, np.asarray(code)) > SAME_AS_CODE * size + FLOOR:
                what = "autodiff" if which == "left" else "the closed form"
                return f"the {which} side of the statement is not what {what} gives: {_worst(side, np.asarray(code))}"
        if self.claim.status == "holds":
            for a, b in links:
                if (
                    _gap(a, b)
                    > SAME_AS_CODE * max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0)) + FLOOR
                ):
                    return f"the sides of the statement differ: {_worst(a, b)}"
        return ""

    def differs_from(self, values: Mapping[str, Any], closed: Array) -> str | None:
        """The same for a print, which is a right-hand side alone: empty where it is the closed form."""
        try:
            env = self.environment(values)
            own = {id(s.find()) for kind in self.decider.meaning.kinds.values() for s in kind.shape}
            for side in self.decider.sides:  # what nothing on the right ties, the left would
                for size, extent in zip(extents(side.shape), np.shape(closed), strict=False):
                    if not size.find().made and id(size.find()) not in own:
                        size.find().value = extent
            with np.errstate(all="ignore"):
                sides = [self.array(side, side, env) for side in self.decider.sides]
        except (Unusable, TooLarge):
            return None
        closed = np.asarray(closed)
        if self.declarations.layout == "numerator" and closed.ndim == 2 and self.claim.kind == "gradient":
            closed = closed.T
        for found in sides:
            if not np.isfinite(found).all():
                return None
            if found.size != closed.size:
                return f"the print has the shape {list(found.shape)}, the code {list(closed.shape)}"
            if _gap(found, closed) > SAME_AS_CODE * float(np.max(np.abs(closed), initial=0.0)) + FLOOR:
                return f"the print is not the closed form: {_worst(found, closed)}"
        return ""

    def refuted(self, values: Mapping[str, Any]) -> bool:
        """Whether some link is false at these operands."""
        return any(
            _gap(a, b) > 1e-3 * max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
            for a, b in self.sides(values)
        )


def _gap(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a.squeeze() - b.squeeze()), initial=0.0))


def _worst(a: Array, b: Array) -> str:
    a, b = a.squeeze(), b.squeeze()
    at = np.unravel_index(int(np.argmax(np.abs(a - b))), a.shape) if a.ndim else ()
    where = f"entry {[int(k) for k in at]}: " if at else ""
    return f"{where}{a[at]:.10g}, {b[at]:.10g}"


__all__ = ["SAME", "Stated", "declared", "reading", "stated", "table"]
