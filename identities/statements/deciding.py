"""Whether a statement is true: its sides are evaluated at random draws and compared.

Sizes that nothing ties together are drawn different, in both orders, so that a matrix is once tall and once wide.  A draw that
is ill-conditioned or outside of a domain is drawn again.  Sides agree within `SAME` of their size, differ beyond
`DIFFERENT`; what lies between decides nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from identities.engine import operands
from identities.statements import numbers
from identities.statements.environment import Array, Env, TooLarge, lead
from identities.statements.errors import NoEvidence, StatementError, Unread, WrongShapes
from identities.statements.latex import INDICES
from identities.statements.meaning import Kind, Meaning, Term
from identities.statements.shapes import Size, extents, is_matrix, is_one, tie, words
from identities.statements.syntax import (
    Apply,
    Big,
    Delta,
    Letter,
    Marked,
    Node,
    Power,
    SingleEntry,
    Statement,
    Target,
    walk,
)

SAME = 1e-6  # differences of sixth order keep ten digits of a first derivative and eight of a second one
DIFFERENT = 1e-3
TRIES = 40
LADDERS = ((3, 4, 2, 5), (4, 3, 5, 2), (2, 2, 2, 2))  # sizes in the order of the letters; the last is square


@dataclasses.dataclass(frozen=True)
class Link:
    """One `=` of a chain, or one equation that stands behind it."""

    left: str
    right: str
    holds: bool
    worst: float  # the largest difference, over the size of the sides
    index: tuple[int, ...] = ()
    values: tuple[Any, Any] = (None, None)  # left and right, at the worst entry
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Draw:
    """Where a link was refuted, or one draw where all held."""

    sizes: Mapping[str, int]
    operands: Mapping[str, Array]
    tangents: Mapping[str, Array]
    seed: int


@dataclasses.dataclass(frozen=True)
class Decision:
    ok: bool
    links: tuple[Link, ...]
    draw: Draw
    draws: int
    evidence: bool = True

    @property
    def worst(self) -> float:
        return max((link.worst for link in self.links), default=0.0)


class Decider:
    """A statement with all that is declared about it, ready to be evaluated."""

    def __init__(self, statement: Statement, meaning: Meaning):
        self.statement = statement
        self.meaning = meaning
        self.text = meaning.text
        nodes = [
            n for side in (statement, *meaning.definitions.values(), *meaning.functions.values()) for n in walk(side)
        ]
        meaning.index_letters = index_letters(nodes)
        meaning.whole = powers_of_matrices(nodes) - meaning.index_letters
        meaning.conjugates = any(isinstance(n, (Marked, Target)) and n.mark in ("H", "*") for n in nodes) or any(
            isinstance(n, Apply) and n.function in ("Re", "Im") for n in nodes
        )
        self.sides = [meaning.of(side) for side in statement.sides]
        self.pairs: list[tuple[Term, Term]] = list(itertools.pairwise(self.sides))
        letters = set(meaning.kinds)
        for fact in list(meaning.facts):
            self.pairs.append((meaning.of(fact.left), meaning.of(fact.right)))
            new = sorted(set(meaning.kinds) - letters)
            if new:
                raise Unread(f"this does not say what {', '.join(new)} stands for", fact.at, self.text)
        self.pairs = [self.matched(a, b) for a, b in self.pairs]
        self.letters = [name for name in meaning.kinds]

    # -- shapes ---------------------------------------------------------------------------------------------------

    def matched(self, a: Term, b: Term) -> tuple[Term, Term]:
        """The sides with one shape.  A side that names its axes is opened beside a number that names them too."""
        if a.zero or b.zero:
            return a, b
        if a.names and not b.shape and a.shape:
            return self.opened(a), b
        if b.names and not a.shape and b.shape:
            return a, self.opened(b)
        before = words(a.shape), words(b.shape)
        fits = len(a.shape) == len(b.shape) and all(map(tie, a.shape, b.shape))
        if not fits:
            hint = ""
            if len(a.shape) == len(b.shape) == 2:
                hint = "; in the other layout, one side is transposed"
            raise WrongShapes(f"the left side is {before[0]}, the right side {before[1]}{hint}", b.at, self.text)
        return a, b

    def opened(self, term: Term) -> Term:
        from identities.statements.environment import pick

        sizes = extents(term.shape)
        for name, size in zip(term.names, sizes, strict=True):
            bound = self.meaning.index(name)
            tie(bound.size, size)
        rank, lost = len(sizes), [k - len(term.shape) for k, s in enumerate(term.shape) if is_one(s)]

        def run(env: Env) -> Array:
            value = term.run(env)
            value = np.squeeze(value, axis=tuple(lost)) if lost else value
            return pick(value, rank, [env.indices[n].astype(np.intp) - 1 for n in term.names])

        return Term((), run, term.at)

    # -- draws ----------------------------------------------------------------------------------------------------

    def roots(self) -> list[Size]:
        """The open sizes, in the order of the letters."""
        found: dict[int, Size] = {}

        def see(shape: Sequence[Size]) -> None:
            for size in shape:
                one = size.find()
                if one.made:
                    see((*one.product, *one.sum))
                elif one.value is None:
                    found.setdefault(id(one), one)

        for kind in self.meaning.kinds.values():
            see(kind.shape)
        for size in self.meaning.sizes.values():
            see((size,))
        for bound in (*self.meaning.free.values(), *self.meaning.bound.values()):
            see((bound.size,))
        for term in self.sides:
            see(term.shape)
        return list(found.values())

    def drawn(self, seed: int, sizes: Mapping[int, int]) -> tuple[Env, Draw]:
        rng = np.random.default_rng((seed, 7))
        values, tangents = {}, {}
        for name, kind in self.meaning.kinds.items():
            values[name] = self.value(kind, rng)
        for name in sorted(self.meaning.varied):
            kind = self.meaning.kinds[name]
            tangents[name] = _tangent(kind, rng, values[name])
        env = Env(values, tangents=tangents)
        for name, bound in self.meaning.free.items():
            first = 1 if bound.first is None else bound.first
            env = env.binding(name, np.arange(first, first + int(bound.size)))
        shown = {name: int(size) for name, size in self.meaning.sizes.items() if size.find().value is not None}
        return env, Draw(shown, values, tangents, seed)

    def value(self, kind: Kind, rng: np.random.Generator) -> Array:
        shape = tuple(int(s) for s in kind.shape)
        if kind.value is not None:
            return np.full(shape, kind.value)
        if kind.integer is not None:
            low, high = kind.integer
            return np.asarray(float(rng.integers(low, high + 1)))
        if kind.word is not None:
            core = tuple(int(s) for s in extents(kind.shape))
            return np.asarray(operands.draw(kind.word, rng, core)).reshape(shape)
        if kind.complex:
            return operands.complex_gaussian(rng, shape)
        if is_matrix(kind.shape) and shape[0] == shape[1]:
            return np.asarray(operands.draw(operands.Invertible, rng, shape))
        return rng.standard_normal(shape) if shape else np.asarray(rng.uniform(0.4, 1.6) * rng.choice([-1.0, 1.0]))

    # -- comparison -----------------------------------------------------------------------------------------------

    def compare(self, pair: tuple[Term, Term], env: Env, seed: int) -> Link:
        a, b = pair
        left, right = a.run(env), b.run(env)
        rank = len(a.shape) if not a.zero else len(b.shape)
        if a.zero or b.zero:
            known = right if a.zero else left
            left = np.zeros_like(known) if a.zero else left
            right = np.zeros_like(known) if b.zero else right
        left, right = lead(left, rank, env.depth), lead(right, rank, env.depth)
        left, right = np.broadcast_arrays(left, right)
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            raise numbers.Unusable("a side is not finite")
        gap = np.abs(left - right)
        size = max(float(np.max(np.abs(left), initial=0.0)), float(np.max(np.abs(right), initial=0.0)))
        worst = float(np.max(gap, initial=0.0))
        at = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.size else ()
        relative = worst / size if size > 1e-7 else worst
        values = (left[at], right[at]) if gap.size else (0.0, 0.0)
        where = tuple(int(k) for k in at[env.depth :]) if env.depth == 0 else tuple(int(k) for k in at)
        note = ""
        if size <= 1e-7 and not (a.zero or b.zero):
            note = "zero"
        return Link(self.shown(a), self.shown(b), relative <= SAME, relative, where, values, note)

    def shown(self, term: Term) -> str:
        return self.text[term.at[0] : term.at[1]].strip()

    def decide(self, seed: int = 0, draws: int = 4) -> Decision:
        """Evaluate at `draws` draws of each ladder of sizes.  Raises NoEvidence, WrongShapes, TooLarge."""
        best: list[Link] | None = None
        zero = [True] * len(self.pairs)
        last: Draw | None = None
        done = 0
        reasons: dict[str, int] = {}
        for ladder_number, ladder in enumerate(LADDERS):
            self.set_sizes(ladder)
            wanted = draws if ladder_number < 2 else 1
            good = 0
            for attempt in range(TRIES):
                if good >= wanted:
                    break
                number = seed + 1000 * ladder_number + attempt
                try:
                    with np.errstate(all="ignore"):
                        env, draw = self.drawn(number, {})
                        links = [self.compare(pair, env, number) for pair in self.pairs]
                except (numbers.Unusable, np.linalg.LinAlgError, FloatingPointError) as error:
                    reasons[str(error)] = reasons.get(str(error), 0) + 1
                    continue
                except StatementError:
                    if ladder_number == len(LADDERS) - 1:  # the square one may lie outside of what indices need
                        break
                    raise
                if any(SAME < link.worst < DIFFERENT for link in links):
                    reasons["the sides are too close to tell them apart"] = 1
                    continue
                good += 1
                done += 1
                zero = [z and link.note == "zero" for z, link in zip(zero, links, strict=True)]
                last = draw
                if not all(link.holds for link in links):
                    return Decision(False, tuple(links), draw, done)
                best = (
                    links
                    if best is None
                    else [max(x, y, key=lambda k: k.worst) for x, y in zip(best, links, strict=True)]
                )
        if best is None or last is None:
            why = max(reasons, key=lambda k: reasons[k]) if reasons else "nothing could be drawn"
            raise NoEvidence(f"no draw decides: {why}", None, self.text)
        if all(zero) and self.pairs:
            raise NoEvidence("both sides are zero in every draw, which tells nothing", None, self.text)
        return Decision(True, tuple(best), last, done)

    def set_sizes(self, ladder: Sequence[int]) -> None:
        if not hasattr(self, "_open"):
            self._open = self.roots()
        for k, size in enumerate(self._open):
            size.value = ladder[k % len(ladder)] + k // len(ladder)
        for a, b in self.pairs:
            if not a.zero and not b.zero:
                mine, theirs = [int(s) for s in a.shape], [int(s) for s in b.shape]
                if mine != theirs:
                    raise WrongShapes(f"the sides have the shapes {mine} and {theirs}", b.at, self.text)


def powers_of_matrices(nodes: Sequence[Node]) -> frozenset[str]:
    """The letters that stand in the exponent of a capital: the k of X^k."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, Power):
            base = node.base.base if isinstance(node.base, Marked) else node.base
            if isinstance(base, Letter) and base.name[0].isupper():
                bound = {i.name for n in nodes if isinstance(n, Big) for i in n.indices}
                found |= {n.name for n in walk(node.exponent) if isinstance(n, Letter) and n.name in INDICES} - bound
    return frozenset(found)


def index_letters(nodes: Sequence[Node]) -> frozenset[str]:
    """The letters that can be indices only: of δ_{ij}, of J^{ij}, of ∂/∂X_{ij}, of [...]_{ij}."""
    found: set[str] = set()
    for node in nodes:
        parts: tuple[Node, ...] = ()
        if isinstance(node, Delta):
            parts = (node.left, node.right)
        elif isinstance(node, SingleEntry):
            parts = (node.row, node.column)
        elif isinstance(node, Target):
            parts = node.indices
        found |= {part.name for part in parts if isinstance(part, Letter)}
    return frozenset(found)


def _tangent(kind: Kind, rng: np.random.Generator, value: Array) -> Array:
    if kind.word is not None and kind.shape:
        core = tuple(int(s) for s in extents(kind.shape))
        return np.asarray(operands.direction(kind.word, rng, value.reshape(core))).reshape(value.shape)
    if np.iscomplexobj(value):
        return operands.complex_gaussian(rng, value.shape)
    return rng.standard_normal(value.shape)


__all__ = ["Decider", "Decision", "Draw", "Link", "TooLarge"]
