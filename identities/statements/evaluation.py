"""Small functions that the meanings share: sums, products, powers, comparisons, and the count of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from identities.statements import numbers
from identities.statements.environment import Array, Env, must_fit, must_join, must_multiply
from identities.statements.shapes import (
    Size,
    is_one,
)
from identities.statements.terms import Run, Term

COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "=": lambda x, y: np.abs(x - y) < 1e-9,
    "≠": lambda x, y: np.abs(x - y) > 1e-9,
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "≥": np.greater_equal,
}


def held(inner: str) -> Run:
    return lambda env: env.values[inner]


def may_multiply(a: Term, b: Term) -> bool:
    if not a.shape or not b.shape:
        return True
    if len(a.shape) > 2 or len(b.shape) > 2:
        return True
    return is_one(a.shape[1]) == is_one(b.shape[0])


def summed(parts: Sequence[tuple[int, Term]], rank: int) -> Run:
    def run(env: Env) -> Array:
        total: Array | None = None
        for sign, term in parts:
            if term.zero:
                continue
            value = spread(term, rank, env)
            if total is not None:
                must_join(total, value)
            total = sign * value if total is None else total + sign * value
        assert total is not None
        return total

    return run


def counted(run: Run) -> Run:
    """The same, at the cost of the statement's work."""

    def counted(env: Env) -> Array:
        value = run(env)
        env.work.spend(np.size(value))
        return value

    return counted


def heavy(term: Term, function: Callable[[Array], Array], weight: int) -> Run:
    """A function of a matrix, which costs `weight` products of matrices, before it is begun."""

    def run(env: Env) -> Array:
        value = term.run(env)
        env.work.spend(weight * value.size * (value.shape[-1] if value.ndim else 1))
        return function(value)

    return run


def matrix_product(a: Term, b: Term, env: Env) -> Array:
    x, y = a.run(env), b.run(env)
    must_multiply(x, y)
    env.work.spend(max(x.size * y.shape[-1], y.size * x.shape[-2]) / 4)
    return x @ y


def identity(size: Size) -> Array:
    must_fit((int(size), int(size)))
    return np.eye(int(size))


def ones(size: Size) -> Array:
    must_fit((int(size),))
    return np.ones((int(size), 1))


def counted_to(size: Size) -> Array:
    must_fit((int(size),))
    return np.arange(int(size))


def reals(*values: Array) -> tuple[Array, ...]:
    for value in values:
        numbers.must_be_real(value)
    must_join(*values)
    return values


def compared(relation: str, a: Array, b: Array) -> Array:
    if relation not in ("=", "≠"):
        reals(a, b)
    must_join(a, b)
    return COMPARE[relation](a, b)


def spread(term: Term, rank: int, env: Env) -> Array:
    value = term.run(env)
    return value if term.shape else value.reshape(value.shape + (1,) * rank)


def powers(x: Array, exponent: Array) -> Array:
    whole = np.rint(exponent)
    if not np.isfinite(exponent).all() or np.max(np.abs(exponent), initial=0.0) > 1e6:
        raise numbers.Unusable("an exponent is too large")
    if np.isrealobj(exponent) and np.allclose(exponent, whole):
        with np.errstate(divide="ignore"):
            return np.power(x, whole if np.any(whole < 0) else whole.astype(int))
    if np.isrealobj(x) and np.any(x < 0):
        raise numbers.Unusable("a broken power of a negative number")
    return np.power(x, exponent)


def last_term(env: Env) -> Array:
    """Where a sum without end is cut off; `must_end` sees that nothing is lost."""
    return np.asarray(60.0)


def must_end(terms: Array) -> None:
    if np.max(np.abs(terms[-1]), initial=0.0) > 1e-9 * np.max(np.abs(terms), initial=0.0):
        raise numbers.Unusable("a series converges too slowly")


def whole(value: Array) -> int:
    if np.iscomplexobj(value) or not np.isfinite(value).all() or not np.size(value):
        raise numbers.Unusable("a bound of a sum is one whole number")
    number = float(np.asarray(value).reshape(-1)[0])
    if not np.allclose(value, number) or number != round(number):
        raise numbers.Unusable("a bound of a sum is one whole number")
    return int(number)


def guarded(term: Term, env: Env) -> Array:
    with np.errstate(all="ignore"):
        return term.run(env)
