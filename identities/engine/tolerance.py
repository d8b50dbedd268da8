"""The law of the tolerance: one residual, in units of eps, for every dtype, size and shape.

Closed form C (in the tier's dtype) and reference R (float64, at the operands as that tier rounds
them) are held against each other entry by entry:

    residual = max |C - R| / scale / eps

where `scale` is the largest of
    max |R|;
    |f| / |operand| (a derivative of a function of size |f| cannot be resolved below eps of that);
    twice the rms change of R under a few Gaussian relative perturbations of size d = 2^-24 of all
    operands, divided by d: the change that rounding the operands alone would cause;
    the rms change itself with d = 2^-52, divided by d, where the rounding of R's own evaluation shows.

The third term keeps a result that crosses zero, or a saturated network, from alarming; the fourth
a reference whose digits are lost inside (the square of a sum that cancels, written as a sum of
products; 1 - tanh^2 where tanh is nearly 1).  It knows nothing of C: a closed form that loses digits
which the reference keeps does alarm.  Each is measured only where the terms before leave more than
32 eps (it could only make the residual smaller).
The second lets a true zero be computed with rounding; a large constant in f could hide a wrong
gradient behind it, so that of a user's own function a residual without this term is taken too, and
an agreement that rests on it is none unless both sides are zero up to rounding (`is_zero`).

A claim holds when the residual is at most 1000 eps times its stated slack (in half precision, where
that would be everything, an eighth of the scale: 128 eps of float16, 16 of bfloat16); agreement is typically
within 8 eps.  The limit does not grow with size, and since the largest entry of the difference
counts, a single entry of typical size that is off by a percent is found in a 512 x 512 matrix (in
float32 an entry is found if it is off by about 1e-4 of the largest one).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from identities.engine.identity import Claim

LIMIT = 1000.0  # eps
COARSE = 0.125  # in half precision 1000 eps would be everything: agreement is within an eighth of the scale
PRECISIONS = ("float64", "float32", "float16", "bfloat16")
MEASURED_ABOVE = 32.0  # eps
DIFFERS = 1e-3  # a print is refuted by value only if it is off by this much of the largest entry
PERTURBATION, ROUNDING = 2.0**-24, 2.0**-52
PERTURBATIONS = 4


def eps_of(dtype: Any) -> float:
    """The unit of rounding of a precision, bfloat16 among them."""
    return float(jnp.finfo(dtype).eps)  # type: ignore[no-untyped-call]


def limit_of(dtype: Any) -> float:
    """The largest residual that counts as agreement, in eps: 1000, or 128 in float16 and 16 in bfloat16."""
    return min(LIMIT, COARSE / eps_of(dtype))


def size(array: Any) -> float:
    """The largest magnitude in an array (0 for an empty one)."""
    return float(np.max(np.abs(array), initial=0.0))


def batch_sizes(array: Any) -> Any:
    """`size` of each array of a stack: the leading axis counts them."""
    stack = np.abs(np.asarray(array))
    return np.max(stack.reshape(len(stack), -1), axis=1, initial=0.0)


def function_scale(
    claim: Claim, value: Any, operands: Mapping[str, Any], size: Callable[[Any], Any] = size
) -> float | Any:
    """The second term of the scale: |f| / |operand|, or what corresponds to it; 0 for an equality of values.

    With `size=batch_sizes`, for a stack of draws at once.
    """

    def or_one(name: str) -> Any:
        found = size(operands[name])
        return found + (found == 0)

    f = size(value)
    if claim.kind == "value":
        return 0.0 * f
    if claim.kind == "hessian":
        return f / (or_one(claim.wrt[0]) * or_one(claim.wrt[-1]))
    ratios = [1.0 / or_one(name) for name in claim.wrt]
    if claim.kind == "differential":
        ratios = [r * size(operands[f"d{name}"]) for r, name in zip(ratios, claim.wrt, strict=True)]
    return f * functools.reduce(np.maximum, ratios)


def visibly_different(closed: np.ndarray, reference: np.ndarray) -> bool:
    """Whether two finite arrays of one shape differ in value by more than rounding could ever explain."""
    if closed.shape != reference.shape or not (np.all(np.isfinite(closed)) and np.all(np.isfinite(reference))):
        return False
    return size(closed - reference) > DIFFERS * max(size(closed), size(reference))


def is_zero(side: np.ndarray | None, moved: Sequence[np.ndarray | None]) -> bool:
    """Whether a side is zero up to rounding: where the operands are rounded otherwise, it changes by all of itself."""
    if side is None or any(m is None or m.shape != side.shape for m in moved):
        return False
    return size(side) <= 32 * max((size(m - side) for m in moved if m is not None), default=0.0)


def perturbed(operands: Mapping[str, Any], rng: np.random.Generator, by: float = PERTURBATION) -> dict[str, Any]:
    """The operands, each entry moved by a Gaussian relative amount of size `by`."""
    return {
        name: value * (1 + by * rng.standard_normal(np.shape(value))) if not isinstance(value, int) else value
        for name, value in operands.items()
    }


def sensitivity(reference: np.ndarray, changed: Sequence[np.ndarray], by: float = PERTURBATION) -> float:
    """The third term, twice the rms change of the reference over the size of the perturbation; or the fourth, once."""
    changes = np.array([size(other - reference) for other in changed])
    top = float(changes.max(initial=0.0)) or 1.0  # squares of huge changes would overflow
    times = 2.0 if by == PERTURBATION else 1.0
    return times * top * float(np.sqrt(np.mean(np.square(changes / top)))) / by


def residual(
    closed: np.ndarray, reference: np.ndarray, eps: float, f_scale: float, more: Callable[[float], float]
) -> tuple[float, tuple[int, ...]]:
    """The residual in eps and the index of the worst entry; infinite where shapes or NaN differ.

    `f_scale` is the second term; `more` measures the third and the fourth by the size of the perturbation, and is
    called only where these can matter.
    """
    if closed.shape != reference.shape:
        return float("inf"), ()
    gap = np.abs(closed - reference)
    if gap.size == 0:
        return 0.0, ()
    bad = ~np.isfinite(gap)
    flat = int(np.argmax(bad)) if bad.any() else int(np.argmax(gap))
    index = tuple(int(i) for i in np.unravel_index(flat, gap.shape))
    if bad.any():
        return float("inf"), index
    worst = float(gap[index])
    if worst == 0.0:
        return 0.0, index
    scale = max(size(reference), f_scale)
    for by in (PERTURBATION, ROUNDING):
        if worst > MEASURED_ABOVE * eps * scale:
            scale = max(scale, more(by))
    return (worst / scale / eps if scale > 0 else float("inf")), index
