"""Derivatives by central differences of sixth order: no compilation, about ten digits.

All directions and all points of the stencil are evaluated at once, along one leading axis.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import numpy as np

from identities.statements.environment import Array, lead, must_fit
from identities.statements.errors import WrongShapes
from identities.statements.numbers import Unusable

STEP = 4e-3  # of the size of the operand: the truncation error is (step / radius of convergence)^6
OFFSETS = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
WEIGHTS = np.array([-1.0, 9.0, -45.0, 45.0, -9.0, 1.0]) / 60
FOURTH = np.array([0.0, 1.0, -8.0, 8.0, -1.0, 0.0]) / 12  # of fourth order, from the same points
UNRESOLVED = 1e-4  # of the largest entry: where the two orders differ by more, the step is too wide for the function

FINER = 0.37  # of the step, for a second look: no ratio of whole numbers, so no kink lies alike in both stencils

_scale = contextvars.ContextVar("scale", default=1.0)


@contextlib.contextmanager
def finer() -> Iterator[None]:
    """Every difference inside takes a smaller step.  What rounding or a kink did to a value shows as a change."""
    token = _scale.set(FINER)
    try:
        yield
    finally:
        _scale.reset(token)


def along(run: Callable[[Array], Array], base: Array, directions: Array, rank: int, depth: int) -> Array:
    """The derivatives of `run` at `base` along each of `directions`, on a new first axis.

    `directions` (N, …) has the axes of the operand behind its first; `run` takes the operand with one more leading axis
    and gives a value of `rank` axes; `depth` leading axes were there before.
    """
    count, own = len(directions), directions.ndim - 1
    step = _scale.get() * STEP * max(float(np.sqrt(np.mean(np.abs(base) ** 2))) if base.size else 1.0, 0.25)
    shifts = (OFFSETS[:, None] * step).reshape((-1, 1) + (1,) * own) * directions[None]
    shifts = shifts.reshape((len(OFFSETS) * count,) + (1,) * depth + directions.shape[1:])
    start = lead(base, own, depth)
    must_fit(np.broadcast_shapes(shifts.shape, start.shape))
    values = lead(run(start[None] + shifts), rank, depth + 1)
    if values.shape[0] == 1:  # it does not depend on the operand
        return np.zeros((count, *values.shape[1:]), values.dtype)
    values = values.reshape((len(OFFSETS), count, *values.shape[1:]))
    found = np.tensordot(WEIGHTS / step, values, axes=(0, 0))
    gap = np.abs(found - np.tensordot(FOURTH / step, values, axes=(0, 0)))
    if np.max(gap, initial=0.0) > UNRESOLVED * max(float(np.max(np.abs(found), initial=0.0)), 1e-3):
        raise Unusable("a function bends too much for differences")
    return found


def directions(sizes: tuple[int, ...], structure: str, column_major: bool) -> Array:
    """Where an operand moves: one direction for each entry, or for each free entry of a structure."""
    count = int(np.prod(sizes, initial=1))
    unit = np.eye(count).reshape((count, *tuple(sizes)))
    if column_major:
        return np.swapaxes(unit.reshape((*sizes, *sizes)), 0, 1).reshape(unit.shape)
    if not structure:
        return unit
    word = structure.removeprefix("within ").removesuffix(" entries")
    if len(sizes) != 2 or sizes[0] != sizes[1]:
        raise WrongShapes(f"the {word} entries of an operand were declared, and it is no square matrix")
    n = sizes[0]
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    within = structure.startswith("within ")
    groups = {
        "symmetric": np.minimum(i, j) * n + np.maximum(i, j),
        "diagonal": np.where(i == j, i * n + j, -1),
        "toeplitz": j - i + n,
        "symmetric toeplitz": np.abs(j - i) + n,
    }
    group = groups[word].ravel()
    found = np.zeros((count, count))
    for k in range(count):
        if group[k] >= 0:
            same = group == group[k]
            found[k, same] = 1 / same.sum() if within else 1
    return found.reshape(unit.shape)
