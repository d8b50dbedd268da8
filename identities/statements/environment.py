"""Where the letters of a statement get their values: arrays with leading axes, one for each index and each derivative.

A value has the axes of its shape last.  The axes before them belong, from the right, to what was bound first: a sum, a
derivative or an entry adds one on the left for its own use and takes it away again, so values broadcast as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from identities.statements.errors import TooLarge, WrongShapes

Array = np.ndarray
MOST_NUMBERS = 4_000_000  # in one value
MOST_WORK = 400_000_000  # of one statement, in entries of arrays that are computed
STEP_WORK = 3_000  # what a step costs beside its numbers: Python takes as long for it as NumPy for so many entries
DEEPEST = 24  # axes that sums, derivatives and entries have added


class Work:
    """What was computed so far.  Counted and not timed, so that a verdict is the same on every machine."""

    def __init__(self, most: float = MOST_WORK):
        self.left = most

    def spend(self, numbers: float) -> None:
        """Raises TooLarge."""
        self.left -= numbers + STEP_WORK
        if self.left < 0:
            raise TooLarge("the statement takes too much work: sums, derivatives or recursions stand within each other")


class Env:
    """Values of letters, of indices and of tangents, and how many leading axes there are."""

    def __init__(
        self,
        values: Mapping[str, Array],
        indices: Mapping[str, Array] | None = None,
        tangents: Mapping[str, Array] | None = None,
        depth: int = 0,
        work: Work | None = None,
    ):
        if depth > DEEPEST:
            raise TooLarge(f"sums and derivatives stand at most {DEEPEST} deep")
        self.values = dict(values)
        self.indices = dict(indices or {})
        self.tangents = dict(tangents or {})
        self.depth = depth
        self.work = work or Work()
        self.cache: dict[Any, Array] = {}

    def binding(self, name: str, values: Array) -> Env:
        """With an index that runs over `values`, on an axis of its own."""
        array = np.asarray(values).reshape((len(values),) + (1,) * self.depth)
        return Env(self.values, {**self.indices, name: array}, self.tangents, self.depth + 1, self.work)

    def replacing(self, values: Mapping[str, Array], deeper: int = 0) -> Env:
        """With other values of some letters, which have `deeper` further leading axes."""
        return Env({**self.values, **values}, self.indices, self.tangents, self.depth + deeper, self.work)


def lead(value: Array, rank: int, depth: int) -> Array:
    """The same value with exactly `depth` axes before the `rank` axes of its shape."""
    missing = depth + rank - value.ndim
    return value.reshape((1,) * missing + value.shape) if missing > 0 else value


def must_fit(*shapes: tuple[int, ...]) -> None:
    """Raises TooLarge."""
    for shape in shapes:
        size = 1
        for n in shape:
            size *= n
        if size > MOST_NUMBERS:
            raise TooLarge(f"a value of {size} numbers is too large: at most {MOST_NUMBERS}")


def must_join(*values: Array) -> None:
    """Whether arrays can be combined entry by entry; their leading axes may be different ones.  Raises TooLarge."""
    must_fit(np.broadcast_shapes(*(v.shape for v in values)))


def must_multiply(a: Array, b: Array) -> None:
    """The same for a product of matrices."""
    must_fit((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))


def pick(value: Array, rank: int, places: list[Array]) -> Array:
    """The entries of the last `rank` axes at `places`, arrays of whole numbers from 0 on with leading axes."""
    sizes = value.shape[value.ndim - rank :]
    batch = np.broadcast_shapes(value.shape[: value.ndim - rank], *(p.shape for p in places))
    must_fit(batch)
    flat = np.zeros(batch, dtype=np.intp)
    for place, size in zip(places, sizes, strict=True):
        if place.size and not 0 <= place.min() <= place.max() < size:
            raise WrongShapes("an index runs beyond the axis that it counts")
        flat = flat * size + place
    axes = (1,) * (len(batch) + rank - value.ndim) + value.shape[: value.ndim - rank]
    own = [
        np.arange(n).reshape((-1,) + (1,) * (len(axes) - 1 - k)) if n > 1 else np.zeros((), np.intp)
        for k, n in enumerate(axes)
    ]
    return value.reshape((*axes, -1))[(*own, flat)]
