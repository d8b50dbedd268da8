"""At which sizes a claim is measured, and how its operands are drawn: the one place that says so.

    dims_of(claim, 1024)          Sizes(dims={"m": 1024, "n": 1024}, counts={}, reduced=False)
    operands_of(claim, sizes, "float32")

The rule: every dim letter is n, except
- the rank k of a factorization, which is n / 8; the layers k of a deep network, which are 4; the terms p of a matrix
  polynomial, which are 8;
- where the claim's own condition forbids it (n < m): then the last letter is halved, and if need be the one before;
- a static operand (the k of X^k) takes the largest value that it is declared for.
If an array of the function or of its derivative would then take more than 256 MiB in float64 (Kronecker products,
derivatives with n^4 entries), so that the few that live at once would pass 1 GiB, n is halved until none does, and the
report lists the item.

Operands are the book's own draws, so that structure words keep what they promise, but for scale: a general matrix is
multiplied by sqrt(e / columns), since a plain Gaussian one of 1024 rows has a determinant of e^3000 and no float
holds it (with this factor that of a square one is of the order of 1), and a general scalar x becomes x / (1 + |x|).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np

from identities.engine.identity import Claim
from identities.engine.operands import is_complex, unit
from identities.engine.shapes import Case, condition

LARGEST = 2**25  # numbers in one array: 256 MiB in float64
RANK, LAYERS, TERMS = 8, 4, 8
# Words whose draws are plain Gaussian entries, so that scaling keeps what they promise
SCALED = {"Float", "Complex", "Symmetric", "Toeplitz", "SymmetricToeplitz"}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The dims of one item, the values of its static operands, and whether n had to be reduced."""

    dims: dict[str, int]
    counts: dict[str, int]
    n: int
    reduced: bool


def dims_of(claim: Claim, n: int) -> Sizes:
    """The sizes of a claim for an asked n.  Raises ValueError where its condition cannot be met."""
    size = n
    while True:
        sizes = dataclasses.replace(sizes_of(claim, size), reduced=size != n)
        if size == 1 or largest_array(claim, sizes) <= LARGEST:
            return sizes
        size //= 2


def sizes_of(claim: Claim, n: int) -> Sizes:
    """The sizes of a claim for n by the rule, however large they are.  Raises as `dims_of` does."""
    return Sizes(_dims(claim, n), _counts(claim), n, False)


def _dims(claim: Claim, n: int) -> dict[str, int]:
    dims = {letter: _size(claim, letter, n) for letter in claim.dims}
    admissible = condition(claim.where, claim.name)
    for letter in reversed(claim.dims):
        if admissible(dims):
            break
        dims[letter] = max(1, dims[letter] // 2)
    if not admissible(dims):
        raise ValueError(f"{claim.name}: no dims near {n} satisfy its condition {claim.where}")
    return dims


def _size(claim: Claim, letter: str, n: int) -> int:
    if claim.chapter == "factorization" and letter == "k":
        return max(1, n // RANK)
    if claim.identity.name.startswith("deep_") and letter == "k":
        return LAYERS
    if claim.identity.name.startswith("tr_poly") and letter == "p":
        return TERMS
    return n


def _counts(claim: Claim) -> dict[str, int]:
    return {name: claim.operands[name].word.high for name in claim.static}


def abstract(claim: Claim, sizes: Sizes) -> dict[str, Any]:
    """Shapes and dtypes of the traced operands, without an array."""
    traced = {n: o for n, o in claim.operands.items() if not o.static}
    dtypes = {n: np.dtype(np.complex128 if is_complex(o.word) else np.float64) for n, o in traced.items()}
    return {n: jax.ShapeDtypeStruct(o.shape(sizes.dims), dtypes[n]) for n, o in traced.items()}


def largest_array(claim: Claim, sizes: Sizes) -> int:
    """How many numbers the largest array holds, of the operands, of f, of the closed form, and of the derivative.

    A Jacobian in forward mode carries one tangent an entry of the operand through f, and a Hessian in forward over
    reverse mode likewise.
    """
    arrays = abstract(claim, sizes)
    counts = tuple(sorted(sizes.counts.items()))
    shapes = tuple((n, a.shape, a.dtype) for n, a in arrays.items())
    worst = max(
        traced_largest(claim.identity.function, shapes, counts, True), *(math.prod(a.shape) for a in arrays.values())
    )
    if claim.kind == "gradient":
        return max(worst, traced_largest(claim.function, shapes, counts, True))
    if claim.kind in ("hessian", "jacobian"):
        first, last = (math.prod(arrays[w].shape) for w in (claim.wrt[0], claim.wrt[-1]))
        passing = traced_largest(claim.identity.function, shapes, counts, True)
        return max(worst, last * (max(passing, first) if claim.kind == "hessian" else passing))
    return worst


@functools.cache
def traced_largest(function: Any, shapes: Any, counts: Any, whole: bool = False) -> int:
    """The size of the largest array that a function forms; of an operator it returns all entries with `whole`."""
    arrays = {n: jax.ShapeDtypeStruct(shape, dtype) for n, shape, dtype in shapes}
    called = lambda arrays: function(**arrays, **dict(counts))  # noqa: E731
    with jax.enable_x64(True):
        traced = jax.make_jaxpr((lambda arrays: dense(called(arrays))) if whole else called)(arrays)
    return max(_largest(traced.jaxpr), *(math.prod(a.shape) for a in traced.out_avals), 1)


def _largest(jaxpr: Any) -> int:
    worst = 1
    for equation in jaxpr.eqns:
        worst = max(worst, *(math.prod(v.aval.shape) for v in equation.outvars if hasattr(v.aval, "shape")), 1)
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    worst = max(worst, _largest(inner))
    return worst


def dense(result: Any) -> Any:
    """All entries of a derivative that a closed form keeps as an operator; an array as it is."""
    return result.todense() if hasattr(result, "todense") else result


def operands_of(claim: Claim, sizes: Sizes, dtype: str, seed: int = 0) -> dict[str, np.ndarray]:
    """The traced operands of one item, drawn and scaled as the head of this module says."""
    drawn = claim.draw(Case(sizes.dims, sizes.counts, "asked"), seed)
    scaled = {name: _scaled(claim.operands[name].word, v) for name, v in drawn.items() if name in claim.operands}
    return {name: np.asarray(v) for name, v in claim.rounded(scaled, dtype).items() if name not in claim.static}


def _scaled(word: Any, value: Any) -> Any:
    if isinstance(value, int) or word.__name__ not in SCALED:
        return value
    value = np.asarray(value)
    if value.ndim >= 2:
        return value * (math.sqrt(math.e / value.shape[-1]) / unit(value.shape))  # a large draw has that scale
    return value / (1 + np.abs(value)) if value.ndim == 0 else value
