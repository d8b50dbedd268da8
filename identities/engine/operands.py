"""Structure words: what an operand is, how one is drawn, and how one is refused.

A word stands where jaxtyping puts the dtype: `X: Invertible[Array, "n n"]`.  Each word has
three static methods:

`sample(rng, shape)`   a general, well conditioned draw (float64; singular values within
                       [1/2, 2] wherever the word promises invertibility), never by rejection;
`tangent(rng, value)`  a direction in which `value` may move without leaving the word;
`violation(value)`     None, or the reason why `value` is not what the word promises.

`Float` (jaxtyping's own) is a general real array and `Complex` a general complex one.  `Count`
is the one static operand: a Python int, never traced, as the k of X^k.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import AbstractDtype, Array, Float
from jaxtyping import Complex as _Complex

__all__ = [
    "Complex",
    "Count",
    "CountRange",
    "Definite",
    "Diagonal",
    "DistinctEigenvalues",
    "FullRank",
    "Invertible",
    "Mask",
    "Nonzero",
    "Orthogonal",
    "PosDef",
    "Positive",
    "PositiveDeterminant",
    "Scalar",
    "Simplex",
    "Symmetric",
    "SymmetricInvertible",
    "SymmetricPositiveDeterminant",
    "SymmetricToeplitz",
    "Toeplitz",
    "Word",
    "direction",
    "draw",
    "is_complex",
    "is_word",
]

Rng = np.random.Generator
Shape = tuple[int, ...]

LOW, HIGH = 0.5, 2.0  # the singular values (or eigenvalues) of a well conditioned draw
LARGE = 512  # rows or columns from which on two orthogonal factors would cost more than a check


def gaussian(rng: Rng, shape: Shape) -> np.ndarray:
    """A general real array: independent standard normal entries, scaled in a large matrix (see `unit`)."""
    return unit(shape) * rng.standard_normal(shape)


def complex_gaussian(rng: Rng, shape: Shape) -> np.ndarray:
    """A general complex array: independent standard normal real and imaginary parts, scaled in a large matrix."""
    size = unit(shape) / np.sqrt(2) if large(shape) else 1.0  # an entry of two parts has twice the variance
    return size * (rng.standard_normal(shape) + np.complex128(1j) * rng.standard_normal(shape))


def large(shape: Shape) -> bool:
    """Whether a matrix of this shape is drawn in other ways, for its size alone."""
    return len(shape) > 1 and max(shape) >= LARGE


def unit(shape: Shape) -> float:
    """The size of a Gaussian entry: 1, and in a large matrix sqrt(e / columns).

    Of 2048 standard normal rows the determinant is of the order e^6800, which no float holds; with this factor, 1.
    """
    return float(np.sqrt(np.e / max(shape[-1], 1))) if large(shape) else 1.0


def near(core: np.ndarray, rng: Rng, symmetric: bool = False) -> np.ndarray:
    """A large matrix with singular values within [1/2, 3/2], give or take 0.1, in n^2 operations.

    `core`, whose singular values are 1, is moved by a Gaussian matrix of norm about 1/2: that of n columns with entries
    of size s is 2 s sqrt(n), of a symmetric one likewise.  Around 1 the logarithms of the singular values add up to
    next to nothing, so that determinants stay within what a float holds.
    """
    g = rng.standard_normal(core.shape)
    if symmetric:
        g = (g + g.T) / np.sqrt(2)
    return np.asarray(core + g / (4 * np.sqrt(max(core.shape))))


def orthonormal(rng: Rng, rows: int, columns: int) -> np.ndarray:
    """Orthonormal columns (rows >= columns), uniform over all of them."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return np.asarray(q * np.where(np.diagonal(r) < 0, -1.0, 1.0))


def spectrum(rng: Rng, n: int) -> np.ndarray:
    """n numbers within [LOW, HIGH], spread evenly in the logarithm, in random order.

    They are distinct by construction: each sits in a cell of its own, away from its borders.
    """
    cells = (np.arange(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1)
    return rng.permutation(LOW * (HIGH / LOW) ** cells)


def _tolerance(value: np.ndarray) -> float:
    """How far rounding may carry a structured array of this dtype and size off its structure."""
    dtype: np.dtype[Any] = value.dtype if value.dtype.kind in "fc" else np.dtype(float)
    return 64 * max(value.shape, default=1) * float(np.finfo(dtype).eps)


def _not_square(value: np.ndarray) -> str | None:
    if value.ndim != 2 or value.shape[0] != value.shape[1]:
        return f"it has shape {value.shape}, and a square matrix was expected"
    return None


def _worst(difference: np.ndarray, value: np.ndarray, what: str) -> str | None:
    """The reason that names the entry where `difference` is worst, if it is beyond rounding."""
    size = np.abs(difference)
    if size.size == 0 or size.max() <= _tolerance(value) * max(1.0, float(np.abs(value).max())):
        return None
    index = tuple(int(i) for i in np.unravel_index(int(size.argmax()), size.shape))
    return f"{what} (entry {list(index)} is off by {size[index]:.3g})"


def _singular(value: np.ndarray) -> str | None:
    s = np.linalg.svd(value.astype(np.result_type(value.dtype, np.float64)), compute_uv=False)
    if s.size and s[-1] <= _tolerance(value) * s[0]:
        return f"its smallest singular value is {s[-1]:.3g} and its largest {s[0]:.3g}"
    return None


class Word(AbstractDtype):
    """A structure word.  `english` completes the sentence "X is ..."; `square` says that the
    word is about square matrices, so that two unequal dims are an error when it is declared."""

    dtypes = ("float16", "bfloat16", "float32", "float64")
    english = ""
    square = True
    space: str | None = None  # the linear space (a key of reference.STRUCTURES) that its values lie in

    @staticmethod
    def sample(rng: Rng, shape: Shape) -> np.ndarray:
        raise NotImplementedError

    @staticmethod
    def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
        """Words that describe an open set can move in every direction."""
        return gaussian(rng, value.shape)

    @staticmethod
    def violation(value: np.ndarray) -> str | None:
        raise NotImplementedError


if TYPE_CHECKING:  # to a type checker an operand is its array: mypy reads Annotated[Array, "n n"]
    from typing import Annotated as Complex
    from typing import Annotated as Count
    from typing import Annotated as Definite
    from typing import Annotated as Diagonal
    from typing import Annotated as DistinctEigenvalues
    from typing import Annotated as FullRank
    from typing import Annotated as Invertible
    from typing import Annotated as Mask
    from typing import Annotated as Nonzero
    from typing import Annotated as Orthogonal
    from typing import Annotated as PosDef
    from typing import Annotated as Positive
    from typing import Annotated as PositiveDeterminant
    from typing import Annotated as Simplex
    from typing import Annotated as Symmetric
    from typing import Annotated as SymmetricInvertible
    from typing import Annotated as SymmetricPositiveDeterminant
    from typing import Annotated as SymmetricToeplitz
    from typing import Annotated as Toeplitz
else:
    Complex = _Complex

    class Symmetric(Word):
        """A = A', indefinite in general."""

        english = "symmetric"
        space = "symmetric"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            g = gaussian(rng, shape)
            return (g + g.T) / 2

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return Symmetric.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _not_square(value) or _worst(value - value.T, value, "it differs from its transpose")

    class PosDef(Word):
        """A = A' and x'Ax > 0 for every x other than 0."""

        english = "symmetric positive definite"
        space = "symmetric"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            if large(shape):
                return near(np.eye(shape[0]), rng, symmetric=True)
            q = orthonormal(rng, *shape)
            a = (q * spectrum(rng, shape[0])) @ q.T
            return (a + a.T) / 2

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return Symmetric.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            reason = Symmetric.violation(value)
            if reason is None and value.size:
                lowest = float(np.linalg.eigvalsh(value.astype(np.float64))[0])
                if lowest <= 0:
                    reason = f"its smallest eigenvalue is {lowest:.3g}, and more than 0 was expected"
            return reason

    class SymmetricInvertible(Word):
        """A = A' with an inverse; its eigenvalues have either sign."""

        english = "symmetric and invertible"
        space = "symmetric"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            if large(shape):
                return near(np.diag(rng.choice([-1.0, 1.0], shape[0])), rng, symmetric=True)
            q = orthonormal(rng, *shape)
            a = (q * (spectrum(rng, shape[0]) * rng.choice([-1.0, 1.0], shape[0]))) @ q.T
            return (a + a.T) / 2

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return Symmetric.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return Symmetric.violation(value) or _singular(value)

    class SymmetricPositiveDeterminant(Word):
        """A = A' whose negative eigenvalues are even in number, so that ln det is defined."""

        english = "symmetric with a positive determinant"
        space = "symmetric"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            if large(shape):
                signs = rng.choice([-1.0, 1.0], shape[0])
                signs[0] *= np.prod(signs)
                return near(np.diag(signs), rng, symmetric=True)
            q, signs = orthonormal(rng, *shape), rng.choice([-1.0, 1.0], shape[0])
            signs[0] *= np.prod(signs)
            a = (q * (spectrum(rng, shape[0]) * signs)) @ q.T
            return (a + a.T) / 2

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return Symmetric.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return Symmetric.violation(value) or PositiveDeterminant.violation(value)

    class DistinctEigenvalues(Word):
        """A = A' without a repeated eigenvalue, indefinite in general.

        A draw also keeps the first entry of every eigenvector away from zero, so that its sign can
        tell the eigenvector from its negative."""

        english = "symmetric with distinct eigenvalues"
        space = "symmetric"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            n = shape[0]
            columns = rng.standard_normal(shape)
            columns[:, 0] = rng.uniform(0.5, 1.0, n) * rng.choice([-1.0, 1.0], n)
            rows = np.linalg.qr(columns)[0].T  # the first one has the direction of columns[:, 0]
            # each eigenvalue in a cell of its own within [-HIGH, HIGH], away from its borders
            values = rng.permutation(2 * (np.arange(n) + rng.uniform(0.25, 0.75, n)) / n - 1) * HIGH
            a = (rows * values) @ rows.T
            return (a + a.T) / 2

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return Symmetric.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            reason = Symmetric.violation(value)
            if reason is None and len(value) > 1:
                values = np.linalg.eigvalsh(value.astype(np.float64))
                gaps = np.diff(values)
                if gaps.min() <= _tolerance(value) * np.abs(values).max():
                    i = int(gaps.argmin())
                    reason = f"its eigenvalues {i} and {i + 1} are {gaps[i]:.3g} apart"
            return reason

    class Invertible(Word):
        """A square matrix with an inverse; its determinant has either sign."""

        english = "invertible"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            if large(shape):
                return near(np.diag(rng.choice([-1.0, 1.0], shape[0])), rng)
            u, v = orthonormal(rng, *shape), orthonormal(rng, *shape)
            return (u * spectrum(rng, shape[0])) @ v.T

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _not_square(value) or _singular(value)

    class PositiveDeterminant(Word):
        """An invertible matrix whose determinant is positive, so that ln det is defined."""

        english = "of positive determinant"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            if large(shape):  # none of the matrices between it and the identity is singular
                return near(np.eye(shape[0]), rng)
            a = Invertible.sample(rng, shape)
            a[0] *= np.sign(np.linalg.det(a))
            return a

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            reason = Invertible.violation(value)
            if reason is None and np.linalg.slogdet(value.astype(np.float64))[0] <= 0:
                reason = "its determinant is negative"
            return reason

    class Definite(Word):
        """x'Ax > 0 for every x other than 0, but A differs from A' in general."""

        english = "positive definite, not necessarily symmetric"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            g = rng.standard_normal(shape)
            return PosDef.sample(rng, shape) + (g - g.T) / (2 * np.sqrt(shape[0]))

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _not_square(value) or PosDef.violation((value + value.T) / 2)

    class FullRank(Word):
        """A matrix of any shape whose rank is the smaller of its dims."""

        english = "of full rank"
        square = False

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            if large(shape):
                return near(np.eye(*shape), rng)
            r = min(shape)
            u, v = orthonormal(rng, shape[0], r), orthonormal(rng, shape[1], r)
            return (u * spectrum(rng, r)) @ v.T

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _singular(value)

    class Orthogonal(Word):
        """Orthonormal columns: Q'Q = I (square, then also QQ' = I)."""

        english = "a matrix with orthonormal columns"
        square = False

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            return orthonormal(rng, *shape)

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            # X A + (I - XX')B with A skew: the tangent space of the Stiefel manifold
            g, b = rng.standard_normal((value.shape[1],) * 2), rng.standard_normal(value.shape)
            return value @ (g - g.T) / 2 + b - value @ (value.T @ b)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            if value.ndim != 2 or value.shape[0] < value.shape[1]:
                return f"it has shape {value.shape}, which cannot have orthonormal columns"
            gram = value.T @ value
            return _worst(gram - np.eye(len(gram)), value, "its columns are not orthonormal")

    class Diagonal(Word):
        """Zero off the diagonal; the entries on it are away from zero and have either sign."""

        english = "diagonal"
        space = "diagonal"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            return np.diag(spectrum(rng, shape[0]) * rng.choice([-1.0, 1.0], shape[0]))

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return np.diag(rng.standard_normal(value.shape[0]))

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _not_square(value) or _worst(
                value - np.diag(np.diagonal(value)), value, "it is not zero off the diagonal"
            )

    class Toeplitz(Word):
        """Constant along each diagonal."""

        english = "Toeplitz"
        space = "toeplitz"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            n = shape[0]
            i = np.arange(n)
            return unit(shape) * rng.standard_normal(2 * n - 1)[i[:, None] - i[None, :] + n - 1]

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return Toeplitz.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _not_square(value) or _worst(
                value[1:, 1:] - value[:-1, :-1], value, "it is not constant along its diagonals"
            )

    class SymmetricToeplitz(Word):
        """Constant along each diagonal, and equal to its transpose."""

        english = "symmetric Toeplitz"
        space = "symmetric toeplitz"

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            i = np.arange(shape[0])
            return unit(shape) * rng.standard_normal(shape[0])[np.abs(i[:, None] - i[None, :])]

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return SymmetricToeplitz.sample(rng, value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return Toeplitz.violation(value) or Symmetric.violation(value)

    class Positive(Word):
        """Every entry is positive."""

        english = "positive in every entry"
        square = False

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            return np.exp(0.5 * rng.standard_normal(shape))

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            lowest = float(value.min()) if value.size else 1.0
            return None if lowest > 0 else f"its smallest entry is {lowest:.3g}, and all must be positive"

    class Nonzero(Word):
        """Not zero as a whole: a vector or matrix whose norm may stand in a denominator."""

        english = "not zero"
        square = False

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            g = rng.standard_normal(shape)
            return g * (rng.uniform(LOW, HIGH) * np.sqrt(g.size) / np.linalg.norm(g))

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return None if np.any(value) else "every entry of it is zero"

    class Simplex(Word):
        """Positive entries that sum to one along the last axis: probabilities."""

        english = "a vector of positive probabilities"
        square = False

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            p = Positive.sample(rng, shape)
            return p / p.sum(-1, keepdims=True)

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            g = rng.standard_normal(value.shape)
            return value * (g - (value * g).sum(-1, keepdims=True))

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            reason = Positive.violation(value)
            return reason or _worst(value.sum(-1) - 1, value, "its entries do not sum to one")

    class Mask(Word):
        """Zeros and ones: which entries are observed.  It has no direction to move in."""

        english = "made of zeros and ones"
        square = False

        @staticmethod
        def sample(rng: Rng, shape: Shape) -> np.ndarray:
            return (rng.uniform(size=shape) < 0.6).astype(np.float64)

        @staticmethod
        def tangent(rng: Rng, value: np.ndarray) -> np.ndarray:
            return np.zeros(value.shape)

        @staticmethod
        def violation(value: np.ndarray) -> str | None:
            return _worst(value * (1 - value), value, "it holds something other than 0 and 1")

    class Count:
        """`k: Count[int, "1..4"]`: a Python int from the given range, never traced."""

        def __class_getitem__(cls, item: tuple[type, str]) -> CountRange:
            match = re.fullmatch(r"\s*(\d+)\s*\.\.\s*(\d+)\s*", item[1]) if isinstance(item, tuple) else None
            if match is None or int(match[1]) > int(match[2]):
                raise TypeError(
                    f'Count[int, "low..high"] was expected, for instance Count[int, "1..4"]; got Count[{item!r}]'
                )
            return CountRange(int(match[1]), int(match[2]))


@dataclasses.dataclass(frozen=True)
class CountRange:
    """The annotation of a static operand: the integers low, ..., high."""

    low: int
    high: int

    @property
    def english(self) -> str:
        return "a positive integer" if self.low > 0 else "a natural number"

    def __str__(self) -> str:
        return f'Count[int, "{self.low}..{self.high}"]'


Scalar = Float[Array, ""]


def draw(word: Any, rng: Rng, shape: Shape) -> np.ndarray:
    """One draw of a word, of jaxtyping's Float (general real) or Complex (general complex)."""
    if is_word(word):
        return np.asarray(word.sample(rng, shape))
    return complex_gaussian(rng, shape) if is_complex(word) else gaussian(rng, shape)


def direction(word: Any, rng: Rng, value: np.ndarray) -> np.ndarray:
    """One tangent of a word at `value`."""
    if is_word(word):
        return np.asarray(word.tangent(rng, value))
    return complex_gaussian(rng, value.shape) if is_complex(word) else gaussian(rng, value.shape)


def is_word(word: Any) -> bool:
    """Whether this is a structure word (and not a plain Float or Complex)."""
    return isinstance(word, type) and issubclass(word, Word)


def is_complex(word: Any) -> bool:
    """Whether operands of this word are complex."""
    return all(str(d).startswith("complex") for d in word.dtypes)
