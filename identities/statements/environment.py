"""Where the letters of a statement get their values: arrays with leading axes, one for each index and each derivative.

A value has the axes of its shape last.  The axes before them belong, from the right, to what was bound first: a sum, a
derivative or an entry adds one on the left for its own use and takes it away again, so values broadcast as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray
MOST_NUMBERS = 4_000_000  # in one value


class TooLarge(ValueError):
    """A value would hold too many numbers."""


class Env:
    """Values of letters, of indices and of tangents, and how many leading axes there are."""

    def __init__(
        self,
        values: Mapping[str, Array],
        indices: Mapping[str, Array] | None = None,
        tangents: Mapping[str, Array] | None = None,
        depth: int = 0,
    ):
        self.values = dict(values)
        self.indices = dict(indices or {})
        self.tangents = dict(tangents or {})
        self.depth = depth
        self.cache: dict[Any, Array] = {}

    def binding(self, name: str, values: Array) -> Env:
        """With an index that runs over `values`, on an axis of its own."""
        array = np.asarray(values).reshape((len(values),) + (1,) * self.depth)
        return Env(self.values, {**self.indices, name: array}, self.tangents, self.depth + 1)

    def replacing(self, values: Mapping[str, Array], deeper: int = 0) -> Env:
        """With other values of some letters, which have `deeper` further leading axes."""
        return Env({**self.values, **values}, self.indices, self.tangents, self.depth + deeper)


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


def pick(value: Array, rank: int, places: list[Array]) -> Array:
    """The entries of the last `rank` axes at `places`, arrays of whole numbers from 0 on with leading axes."""
    sizes = value.shape[value.ndim - rank :]
    batch = np.broadcast_shapes(value.shape[: value.ndim - rank], *(p.shape for p in places))
    must_fit((*batch, int(np.prod(sizes))))
    flat = np.zeros(batch, dtype=np.intp)
    for place, size in zip(places, sizes, strict=True):
        flat = flat * size + place
    spread = np.broadcast_to(value, batch + sizes).reshape(batch + (-1,))
    return np.take_along_axis(spread, flat[..., None], -1)[..., 0]
