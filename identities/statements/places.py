"""A statement at places of one's own choice: sizes are set, letters get values, the sides are evaluated.

`Trial` is what the search for a small counterexample and the diagnosis work with.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from identities.engine import operands
from identities.statements import numbers
from identities.statements.deciding import DIFFERENT, Decider, Link
from identities.statements.environment import Array, Env
from identities.statements.errors import StatementError, TooLarge
from identities.statements.meaning import Kind
from identities.statements.shapes import Size, extents, is_matrix
from identities.statements.syntax import Derivative, Differential, Letter, Node, walk

UNUSABLE = (numbers.Unusable, np.linalg.LinAlgError, FloatingPointError, StatementError, TooLarge, OverflowError)
INVENTED = "nmpqrsklh"  # names of sizes that nobody named


@dataclasses.dataclass(frozen=True)
class Place:
    """Values of all letters, and of the tangents where the statement has differentials."""

    values: Mapping[str, Array]
    tangents: Mapping[str, Array]


class Trial:
    """A statement whose open sizes can be set.  Make it before the decider sets sizes itself."""

    def __init__(self, decider: Decider):
        self.decider = decider
        self.meaning = decider.meaning
        self.open: list[Size] = decider.roots()
        taken = {*self.meaning.kinds, *self.meaning.sizes, *(size.name for size in self.open)}
        fresh = iter([name for name in INVENTED if name not in taken])
        self.names = [size.name or next(fresh, f"d{k}") for k, size in enumerate(self.open)]

    def set(self, sizes: Sequence[int]) -> bool:
        """Set the open sizes.  False where the sides do not have one shape then."""
        for size, value in zip(self.open, sizes, strict=True):
            size.value = value
        return all(
            [int(s) for s in a.shape] == [int(s) for s in b.shape]
            for a, b in self.decider.pairs
            if not a.zero and not b.zero
        )

    def sizes(self) -> list[int]:
        return [int(size) for size in self.open]

    def shown_sizes(self) -> dict[str, int]:
        """The open sizes by name, and the declared ones."""
        found = dict(zip(self.names, self.sizes(), strict=True))
        return found | {n: int(s) for n, s in self.meaning.sizes.items() if s.find().value is not None}

    def general(self, seed: int, given: Mapping[str, Any] | None = None) -> Place:
        """A general draw; the letters in `given` are drawn with that structure word.  Raises Unusable."""
        _, draw = self.decider.drawn(seed, {})
        values = dict(draw.operands)
        rng = np.random.default_rng((seed, 11))
        for name, word in (given or {}).items():
            if name in self.decider.laws:  # it is drawn by its law
                continue
            shape = values[name].shape
            core = tuple(int(s) for s in extents(self.meaning.kinds[name].shape))
            values[name] = np.asarray(operands.draw(word, rng, core)).reshape(shape)
        return Place(values, dict(draw.tangents))

    def integers(self, seed: int) -> Place | None:
        """Whole numbers from -2 to 2 in every letter; None where a structure word refuses them."""
        rng = np.random.default_rng((seed, 5))
        values: dict[str, Array] = {}
        tangents: dict[str, Array] = {}
        for name, kind in self.meaning.kinds.items():
            if name in self.decider.laws:
                continue
            found = self._integers(kind, rng)
            if found is None:
                return None
            values[name] = found
        for name in sorted(self.meaning.varied):
            kind = self.meaning.kinds[name]
            if kind.word is None:
                tangents[name] = self._integers(dataclasses.replace(kind, value=None), rng)  # type: ignore[assignment]
            else:
                core = tuple(int(s) for s in extents(kind.shape))
                tangent = operands.direction(kind.word, rng, values[name].reshape(core))
                tangents[name] = np.asarray(tangent).reshape(values[name].shape)
        if self.decider.laws:
            try:
                values |= self.decider.atoms(Env(values, tangents=tangents), rng)
            except UNUSABLE:
                return None
        return Place(values, tangents)

    def _integers(self, kind: Kind, rng: np.random.Generator) -> Array | None:
        shape = tuple(int(s) for s in kind.shape)
        if kind.value is not None:
            return np.full(shape, kind.value)
        if kind.integer is not None:
            return np.asarray(float(rng.integers(kind.integer[0], kind.integer[1] + 1)))
        found = rng.integers(-2, 3, shape).astype(float)
        if kind.complex:
            return found + np.complex128(1j) * rng.integers(-2, 3, shape)
        if kind.word is None:
            return np.asarray(found)
        core = tuple(int(s) for s in extents(kind.shape))
        return _of_word(kind.word, found.reshape(core), shape)

    # -- evaluation -----------------------------------------------------------------------------------------------

    def env(self, place: Place) -> Env:
        env = Env(place.values, tangents=place.tangents)
        for name, bound in self.meaning.free.items():
            first = 1 if bound.first is None else bound.first
            env = env.binding(name, np.arange(first, first + int(bound.size)))
        return env

    def links(self, place: Place) -> list[Link] | None:
        """The links at a place; None where it cannot be evaluated there."""
        try:
            with np.errstate(all="ignore"):
                return [self.decider.compare(pair, self.env(place), 0) for pair in self.decider.pairs]
        except UNUSABLE:
            return None

    def refuted(self, place: Place) -> bool:
        links = self.links(place)
        return links is not None and any(link.worst >= DIFFERENT for link in links)

    def refuted_around(self, place: Place, seed: int = 0) -> bool:
        """Whether the statement is false here and near by, and its sides change little: no kink, no pole.

        At a kink differences give the mean of two slopes, which refutes nothing.
        """
        here = self.links(place)
        if here is None or not any(link.worst >= DIFFERENT for link in here):
            return False
        rng = np.random.default_rng((seed, 3))
        near = Place({name: self._moved(name, value, rng) for name, value in place.values.items()}, place.tangents)
        there = self.links(near)
        if there is None:
            return False
        for a, b in zip(here, there, strict=True):
            if a.worst >= DIFFERENT:
                gap = max(abs(x - y) for x, y in zip(a.values, b.values, strict=True)) if a.index == b.index else 0.0
                size = max(1.0, *(abs(x) for x in a.values))
                if b.worst < DIFFERENT or gap > 0.02 * size:
                    return False
        return True

    def _moved(self, name: str, value: Array, rng: np.random.Generator) -> Array:
        if name not in self.meaning.kinds:  # weights and atoms of random letters
            return value
        kind = self.meaning.kinds[name]
        if kind.value is not None or kind.integer is not None:
            return value
        if kind.word is None:
            return np.asarray(value + 1e-4 * rng.standard_normal(value.shape))
        core = tuple(int(s) for s in extents(kind.shape))
        tangent = np.asarray(operands.direction(kind.word, rng, value.reshape(core))).reshape(value.shape)
        return np.asarray(value + 1e-4 * tangent)


def _of_word(word: Any, found: Array, shape: tuple[int, ...]) -> Array | None:
    """Whole numbers with a structure; None where the word refuses them."""
    name = word.__name__
    if name in ("Positive", "Nonzero"):
        found = np.abs(found) + 1
    elif name == "Simplex":
        found = (np.abs(found) + 1) / (np.abs(found) + 1).sum(-1, keepdims=True)
    elif name == "Mask":
        found = (found > 0).astype(float)
    elif name == "Diagonal":
        found = np.diag(np.diagonal(found))
    elif name == "PosDef":
        found = found @ found.T + np.eye(len(found))
    elif name == "Orthogonal":
        found = np.linalg.qr(found + 5 * np.eye(len(found)))[0]
    elif word.space == "symmetric":
        found = np.triu(found) + np.triu(found, 1).T
    elif word.space:
        return None  # Toeplitz: general draws serve
    return None if word.violation(found) else found.reshape(shape)


def has_derivative(node: Node) -> bool:
    """Whether a side differentiates something; dX alone is a tangent."""
    return any(
        isinstance(one, Derivative) or (isinstance(one, Differential) and not isinstance(one.body, Letter))
        for one in walk(node)
    )


def shapes_by_size(trial: Trial, largest: int) -> Iterator[tuple[int, ...]]:
    """Every choice of sizes up to `largest`, by the number of entries that it gives the letters."""
    count = len(trial.open)
    if count == 0:
        yield ()
        return
    found = []
    for sizes in itertools.product(range(1, (largest if count <= 4 else 2) + 1), repeat=min(count, 10)):
        full = (*sizes, *(1 for _ in range(count - len(sizes))))
        trial.set(full)
        entries = sum(int(np.prod([int(s) for s in kind.shape])) for kind in trial.meaning.kinds.values())
        found.append((entries, full))
    yield from (full for _, full in sorted(found))


def square_letters(trial: Trial) -> list[str]:
    """The letters that are square matrices by their shape."""
    return [
        name
        for name, kind in trial.meaning.kinds.items()
        if is_matrix(kind.shape) and kind.shape[0].find() is kind.shape[1].find()
    ]
