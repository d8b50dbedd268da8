"""The derivatives that the book knows, as functions of NumPy arrays: each claim's function by its own LaTeX.

`catalogue()` holds the gradients, and the Jacobians of vectors by vectors, whose statements a machine reads.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from identities.engine.operands import CountRange, is_complex, is_word
from identities.engine.pages import split
from identities.statements import numbers
from identities.statements.claims import declared, stated
from identities.statements.deciding import Decider
from identities.statements.declarations import Declarations
from identities.statements.defining import substituted
from identities.statements.environment import Array, Env
from identities.statements.errors import StatementError
from identities.statements.latex import read
from identities.statements.meaning import Meaning, Term
from identities.statements.places import UNUSABLE
from identities.statements.shapes import is_one
from identities.statements.syntax import Apply, Big, Entry, Letter, Marked, Node, walk

if TYPE_CHECKING:
    from identities.engine.identity import Claim


def size_of(value: Array) -> float:
    return float(np.max(np.abs(value), initial=0.0))


def degree_of(gap: Any) -> float | None:
    """The degree of homogeneity, from a function of the scale and the draw; None where there is none."""
    found: list[float] = []
    for k in range(2):
        for by in (2.0, 0.5, 3.0):
            try:
                one, scaled = gap(1.0, k), gap(by, k)
            except UNUSABLE:
                return None
            size = size_of(one)
            if not np.isfinite(scaled).all() or not size or not size_of(scaled):
                return None
            ratio = float(np.vdot(one, scaled) / np.vdot(one, one))
            if ratio <= 0 or size_of(scaled - ratio * one) > 1e-7 * size_of(scaled):
                return None
            found.append(math.log(ratio) / math.log(by))
    return round(found[0], 6) if max(found) - min(found) < 1e-6 else None


class Known:
    """A claim of the book by one operand, whose function is evaluated by its own LaTeX."""

    def __init__(self, claim: Claim, decider: Decider, closed: Node, definitions: Mapping[str, Node]):
        self.claim = claim
        self.wrt = claim.wrt[0]
        self.decider = decider
        self.term: Term = decider.pairs[0][0]
        self.right, self.definitions = closed, definitions
        self.operands = list(claim.operands)
        self.unprinted = all(str(source) == "ours" for source in claim.sources)
        self._degrees: dict[str, float | None] = {}

    def dims_of(self, name: str) -> list[str]:
        return [d for d in self.claim.operands[name].dims if isinstance(d, str)]

    def fits(self, name: str, shape: tuple[int, ...], dims: dict[str, int]) -> bool:
        """Whether an operand may have this shape; its dims are added to those that are known."""
        declared = self.claim.operands[name].dims
        own = shape[:1] if len(shape) == 2 and shape[1] == 1 else shape
        if len(own) != len(declared):
            return False
        for dim, size in zip(declared, own, strict=True):
            if (dims.setdefault(dim, size) if isinstance(dim, str) else dim) != size:
                return False
        return True

    def integer(self, name: str) -> tuple[int, int] | None:
        word = self.claim.operands[name].word
        return (word.low, word.high) if isinstance(word, CountRange) else None

    def may_vanish(self, name: str) -> bool:
        word = self.claim.operands[name].word
        return not is_word(word) and self.degree(name) is None

    def admits(self, values: Mapping[str, Array]) -> bool:
        """Whether the operands are what the claim asks for."""
        for name, operand in self.claim.operands.items():
            if is_word(operand.word):
                value = values[name]
                core = value[:, 0] if value.ndim == 2 and len(operand.dims) == 1 else value
                if operand.word.violation(core):
                    return False
        return True

    def at(self, values: Mapping[str, Array]) -> Array:
        """The function at operands.  Raises what UNUSABLE names."""
        for name, kind in self.decider.meaning.kinds.items():
            for size, extent in zip(kind.shape, values[name].shape, strict=True):
                if not is_one(size) and not size.find().made:
                    size.find().value = extent
        with np.errstate(all="ignore"):
            found = numbers.real_if_close(np.asarray(self.term.run(Env(values))))
        if np.iscomplexobj(found):
            raise numbers.Unusable("a function of real operands is complex here")
        return found

    def degree(self, name: str) -> float | None:
        """The degree in which f(P1) - f(P0) is homogeneous in an operand; None where it is not."""
        if name not in self._degrees:
            draws = self._drawn()
            if not draws or any(map(self.integer, self.operands)):
                self._degrees[name] = None
            else:

                def gap(by: float, k: int) -> Array:
                    a, b = ({n: v * by if n == name else v for n, v in one.items()} for one in draws[k])
                    return self.at(b) - self.at(a)

                self._degrees[name] = degree_of(gap)
        return self._degrees[name]

    @functools.cache  # noqa: B019 - claims live as long as the book
    def _drawn(self) -> list[tuple[dict[str, Array], dict[str, Array]]]:
        """Two draws of the operands, each with a second place of P."""
        found = []
        for k in range(20):
            case = self.claim.cases(k, 1)[0]
            one, other = (self._columns(self.claim.draw(case, s)) for s in (k, k + 100))
            other = {**one, self.wrt: other[self.wrt]}
            try:
                good = all(np.isfinite(self.at(values)).all() for values in (one, other))
            except UNUSABLE:
                continue
            if good:
                found.append((one, other))
            if len(found) == 2:
                return found
        return []

    def _columns(self, values: Mapping[str, Any]) -> dict[str, Array]:
        arrays = {n: np.asarray(values[n], dtype=float) for n in self.operands}
        return {n: v[:, None] if v.ndim == 1 else v for n, v in arrays.items()}

    def named(self, stands: Mapping[str, Node], letter: str, turned: bool) -> Node:
        """The function of the identity in the user's letters."""
        own: Node = Letter((0, 0), letter)
        own = Marked((0, 0), own, "T") if turned else own
        found: Node = substituted(self.decider.statement.sides[0], {**stands, self.wrt: own})
        return found

    def closed_form(self, stands: Mapping[str, Node], letter: str, turned: bool) -> Node | None:
        """The right side of the claim with the user's letters in place of its operands."""
        own: Node = Letter((0, 0), letter)
        if turned:
            own = Marked((0, 0), own, "T")
        right = self.right
        for _ in range(len(self.definitions) + 1):
            right = substituted(right, self.definitions)
        if self.definitions.keys() & {n.name for n in walk(right) if isinstance(n, Letter)}:
            return None
        found: Node = substituted(right, {**stands, self.wrt: own})
        return Marked((0, 0), found, "T") if turned else found


@functools.cache
def catalogue() -> tuple[Known, ...]:
    """The gradients, and the Jacobians of vectors by vectors, that a machine reads."""
    from identities import book

    found = []
    for claim in book.catalogue().values():
        real = not any(not o.static and is_complex(o.word) for o in claim.operands.values())
        usual = claim.status == "holds" and claim.structure is None and claim.axes is None and claim.wirtinger is None
        if claim.kind in ("gradient", "jacobian") and len(claim.wrt) == 1 and real and usual:
            known = _known(claim)
            if known is not None:
                found.append(known)
    return tuple(found)


def _known(claim: Claim) -> Known | None:
    statement = stated(claim)
    if isinstance(statement, str):
        return None
    tree = statement.decider.statement
    # what a letter stands for, entry by entry definitions included, as the statement itself means it
    inner = {name: one.right for name, one in statement.decider.meaning.definitions.items()}
    if inner.keys() & claim.operands.keys() or any(isinstance(d.left, Apply) for d in tree.definitions):
        return None
    right = min(tree.sides[1:], key=lambda side: len(list(walk(side))))
    nodes = [n for side in (right, *inner.values()) for n in walk(side)]
    names = {n.name for n in nodes if isinstance(n, Letter)} - claim.operands.keys() - inner.keys()
    if names and not any(isinstance(n, (Entry, Big)) for n in nodes):  # a size, which the user's letters do not know
        return None
    function, meaning, _ = split(claim.identity.latex)
    text = f"{function} = {function}" + (rf", \quad {meaning}" if meaning else "")
    try:
        known: Declarations = declared(claim)
        own = read(" ".join(text.split()), known.vocabulary())
        of_text = Meaning(
            text, known.final_kinds(), (*known.definitions(), *own.definitions), known.reading(), known.sizes
        )
        decider = Decider(own, of_text)
    except StatementError:
        return None
    if decider.meaning.free or set(decider.meaning.kinds) != set(claim.operands):
        return None
    return Known(claim, decider, right, inner)
