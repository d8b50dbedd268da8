"""The numerical meaning of the named functions, on arrays with any number of leading axes.

Everything is NumPy in float64 or complex128 and needs no compilation.  A matrix has its axes last.  What cannot be
evaluated at a draw raises `Unusable`; the caller draws again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
WORST_CONDITION = 1e6
LARGEST_POWER = 64  # of a matrix
LARGEST_FACTORIAL = 170  # beyond, it is no double


class Unusable(ArithmeticError):
    """The draw is ill-conditioned, or lies outside of a domain."""


def T(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


def inverse(a: Array) -> Array:
    if a.size and a.shape[-1]:
        with np.errstate(all="ignore"):
            if not np.isfinite(a).all() or np.max(np.linalg.cond(a)) > WORST_CONDITION:
                raise Unusable("a matrix to invert is ill-conditioned")
    return np.linalg.inv(a)


def pseudoinverse(a: Array) -> Array:
    if not np.isfinite(a).all():
        raise Unusable("a matrix to invert is not finite")
    values = np.linalg.svd(a, compute_uv=False)
    largest = values[..., :1]
    small = (values > 1e-9 * largest) & (values < 1e-5 * largest)
    if small.any():
        raise Unusable("the rank of a matrix is not clear")
    return np.linalg.pinv(a, rcond=1e-8)


def power(a: Array, exponent: int) -> Array:
    if exponent < 0:
        return power(inverse(a), -exponent)
    if exponent > LARGEST_POWER:
        raise Unusable(f"a power of a matrix is at most {LARGEST_POWER}")
    return np.linalg.matrix_power(a, exponent)


def fraction(a: Array, exponent: float) -> Array:
    """A broken power of a symmetric positive definite matrix."""
    if not np.allclose(a, np.conj(T(a)), atol=1e-9 * (1 + np.max(np.abs(a)))):
        raise Unusable("a broken power is that of a symmetric matrix")
    values, vectors = np.linalg.eigh(a)
    if np.min(values) <= 0:
        raise Unusable("a broken power is that of a positive definite matrix")
    return (vectors * values[..., None, :] ** exponent) @ np.conj(T(vectors))


def expm(a: Array) -> Array:
    """The matrix exponential: scaling, a Taylor sum of 18 terms, squaring."""
    size = float(np.max(np.abs(a).sum(-1), initial=0.0))
    if size > 200:
        raise Unusable("an exponential is too large")
    squarings = max(0, math.ceil(math.log2(size / 0.5))) if size > 0.5 else 0
    a = a / 2**squarings
    found = term = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for k in range(1, 19):
        term = term @ a / k
        found = found + term
    for _ in range(squarings):
        found = found @ found
    return found


def logm(a: Array) -> Array:
    """The principal logarithm of a matrix that has one, by square roots and a series."""
    from_identity = a - np.eye(a.shape[-1])
    roots = 0
    while float(np.max(np.abs(from_identity).sum(-1), initial=0.0)) > 0.25:
        if roots > 30:
            raise Unusable("a matrix has no principal logarithm")
        a, roots = sqrtm(a), roots + 1
        from_identity = a - np.eye(a.shape[-1])
    found, term = np.zeros_like(a), np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for k in range(1, 40):
        term = term @ from_identity
        found = found + (-1) ** (k + 1) * term / k
    return 2**roots * found


def sqrtm(a: Array) -> Array:
    """The principal square root, by the iteration of Denman and Beavers."""
    y, z = a, np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for _ in range(40):
        before = y
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
        if not np.isfinite(y).all() or np.max(np.abs(y - before), initial=0.0) < 1e-15 * np.max(np.abs(y), initial=0.0):
            break
    if not np.isfinite(y).all() or np.max(np.abs(y @ y - a), initial=0.0) > 1e-9 * (1 + np.max(np.abs(a), initial=0.0)):
        raise Unusable("a matrix has no principal square root")
    return y


def cosm(a: Array) -> Array:
    both = expm(np.complex128(1j) * a)
    return both.real if np.isrealobj(a) else (both + expm(np.complex128(-1j) * a)) / 2


def sinm(a: Array) -> Array:
    both = expm(np.complex128(1j) * a)
    return both.imag if np.isrealobj(a) else (both - expm(np.complex128(-1j) * a)) / np.complex128(2j)


def cofactors(a: Array) -> Array:
    n = a.shape[-1]
    found = np.empty(a.shape, a.dtype)
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(a, i, -2), j, -1)
            found[..., i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    return found


def logarithm(x: Array) -> Array:
    if np.isrealobj(x) and np.any(x <= 0):
        raise Unusable("a logarithm of a number that is not positive")
    return np.log(x)


def root(x: Array) -> Array:
    if np.isrealobj(x) and np.any(x < 0):
        raise Unusable("a root of a negative number")
    return np.sqrt(x)


def real_if_close(a: Array) -> Array:
    """Drop imaginary parts that are zero."""
    return a.real if np.iscomplexobj(a) and not a.imag.any() else a


def eigenvalues(a: Array) -> Array:
    """All eigenvalues, ordered by real part, then by imaginary part; real where all are."""
    if np.array_equal(a, np.conj(T(a))):
        return np.linalg.eigvalsh(a)
    values = np.linalg.eigvals(a)
    values = values + 0.0 * np.complex128(1j)
    order = np.lexsort((np.round(values.imag, 9), np.round(values.real, 9)), axis=-1)
    values = np.take_along_axis(values, order, -1)
    largest = np.max(np.abs(values), initial=1.0)
    return values.real if np.max(np.abs(values.imag), initial=0.0) < 1e-7 * largest else values


def rank(a: Array) -> Array:
    return np.asarray(np.linalg.matrix_rank(a, tol=1e-8), float)


def must_be_real(x: Array) -> None:
    """Raises Unusable where an order or a function of real numbers meets others."""
    if np.iscomplexobj(x):
        raise Unusable("numbers that are not real have no order")


def of_reals(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The function, of real numbers alone."""

    def run(x: Array) -> Array:
        must_be_real(x)
        return function(x)

    return run


def factorial(x: Array) -> Array:
    must_be_real(x)
    if not np.all((x >= 0) & (x <= LARGEST_FACTORIAL) & (x == np.rint(x))):
        raise Unusable(f"a factorial is that of a whole number from 0 to {LARGEST_FACTORIAL}")
    return FACTORIALS[x.astype(int)]


FACTORIALS = np.array([float(math.factorial(n)) for n in range(LARGEST_FACTORIAL + 1)])


# On numbers and, entry by entry, on arrays.
ENTRYWISE: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "ln": logarithm,
    "sqrt": root,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arctan": np.arctan,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": of_reals(lambda x: np.maximum(x, 0)),
    "sign": of_reals(np.sign),
    "abs": np.abs,
    "erf": of_reals(np.vectorize(math.erf, otypes=[float])),
    "Re": np.real,
    "Im": lambda x: np.imag(x) + 0.0,
    "floor": of_reals(np.floor),
    "ceil": of_reals(np.ceil),
    "factorial": factorial,
}
# Of a square matrix these are the functions of section 10.3 of the Matrix Cookbook, unless declared entrywise.
OF_MATRICES: dict[str, Callable[[Array], Array]] = {
    "exp": expm,
    "ln": logm,
    "sqrt": sqrtm,
    "sin": sinm,
    "cos": cosm,
}


def qr(a: Array) -> Any:
    """Q has orthonormal columns, as many as the matrix has: for that, it is not wide."""
    if a.shape[-2] < a.shape[-1]:
        raise Unusable("X = QR is that of a matrix that is not wide")
    return np.linalg.qr(a)


def upper(a: Array) -> Array:
    """The upper factor of PA = LU, by elimination with the largest pivot."""
    a = np.array(a, copy=True)
    n = a.shape[-1]
    flat = a.reshape(-1, n, n)
    for one in flat:
        for k in range(n - 1):
            pivot = k + int(np.argmax(np.abs(one[k:, k])))
            if pivot != k:
                one[[k, pivot]] = one[[pivot, k]]
            if one[k, k] != 0:
                one[k + 1 :] -= np.outer(one[k + 1 :, k] / one[k, k], one[k])
    return flat.reshape(a.shape)


def symmetrised(a: Array) -> Array:
    """LAPACK reads one triangle; a derivative must move both."""
    return (a + T(a)) / 2


def signed_vectors(a: Array) -> Array:
    """Orthonormal eigenvectors; the first entry of each is positive, as in the book, so that they change smoothly."""
    vectors = np.linalg.eigh(symmetrised(a)).eigenvectors
    return vectors * np.where(vectors[..., :1, :] < 0, -1.0, 1.0)
