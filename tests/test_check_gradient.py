"""Checking a pair of one's own: what passes, what is caught, what is said, and what is left untouched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import identities
from identities.engine.errors import NotFinite, UnsupportedDtype

RNG = np.random.default_rng(0)
A, X, x = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(3)


def quad(A, x):
    return x @ A @ x


@pytest.mark.parametrize(
    ("f", "gradient", "operands", "wrt", "words"),
    [
        (quad, lambda A, x: 2 * A @ x, (A, x), "x", "right only for symmetric A"),
        (quad, lambda A, x: A @ x, (A, x), "x", "only the first of two terms: the same term with A' must be added"),
        (quad, lambda A, x: jnp.outer(x, x) / 2, (A, x), 0, "1/2"),
        (quad, lambda A, x: -jnp.outer(x, x), (A, x), 0, "wrong sign"),
        (lambda A, X: jnp.trace(A @ X), lambda A, X: A, (A, RNG.standard_normal((3, 3))), 1, "transposed"),
        (lambda A, X: jnp.trace(A @ X), lambda A, X: A, (X.T, X), 1, "transposed: it has shape (2, 3)"),
        (lambda X: jnp.linalg.slogdet(X)[1], lambda X: jnp.linalg.inv(X), (A,), 0, "transposed"),
        (lambda x: jnp.sum(x**2), lambda x: x, (x,), 0, "1/2"),
        (lambda x: jnp.sum(x**2), lambda x: (2 * x).at[1].add(1.0), (x,), 0, "one entry is wrong: [1]"),
    ],
)
def test_a_wrong_gradient_is_named(f, gradient, operands, wrt, words):
    verdict = identities.check_gradient(f, gradient, *operands, wrt=wrt)
    assert not verdict.ok
    assert words in verdict.diagnosis
    assert "check_gradient" in verdict.reproducer


def test_a_right_gradient_holds():
    verdict = identities.check_gradient(quad, lambda A, x: (A + A.T) @ x, A, x, wrt="x")
    assert verdict.ok and verdict.residual < 10 and verdict.witness.agrees


def test_numbers_and_lists_will_do():
    assert identities.check_gradient(lambda x: x**3, lambda x: 3 * x**2, 2.0).ok
    assert identities.check_gradient(lambda x: (x**2).sum(), lambda x: 2 * x, [1, 2, 3]).ok


def test_autodiff_is_blamed_for_the_determinant_of_a_singular_matrix():
    """jax.grad(det) at diag(1, 2, 0, 3) is silently zero; the cofactor matrix has 6 at [2, 2]."""
    point = jnp.diag(jnp.array([1.0, 2.0, 0.0, 3.0]))

    def cofactors(X):
        n = len(X)
        minors = [[jnp.linalg.det(jnp.delete(jnp.delete(X, i, 0), j, 1)) for j in range(n)] for i in range(n)]
        return jnp.array([[(-1.0) ** (i + j) * minors[i][j] for j in range(n)] for i in range(n)])

    verdict = identities.check_gradient(jnp.linalg.det, cofactors, point)
    if verdict.ok:
        pytest.fail("jax has mended the gradient of det at singular matrices: say so in the documentation")
    assert "autodiff is wrong here" in verdict.problem


def test_settings_are_restored():
    before = dict(jax.config.values)
    identities.check_gradient(quad, lambda A, x: 2 * A @ x, A, x, wrt="x")
    assert dict(jax.config.values) == before


def test_float32_is_judged_as_float32():
    assert identities.check_gradient(quad, lambda A, x: (A + A.T) @ x, A, x, wrt=1, dtype="float32").ok


@pytest.mark.parametrize(
    ("operands", "wrt", "error", "words"),
    [
        ((A, x * np.nan), 1, NotFinite, "operand x holds NaN"),
        ((A, np.array(["a"])), 1, UnsupportedDtype, "operand x must hold floating-point"),
        ((A, x), "z", TypeError, "wrt='z'"),
        ((A, x), 2, TypeError, "wrt=2"),
        ((), 0, TypeError, "no operand"),
    ],
)
def test_bad_input_gets_one_sentence(operands, wrt, error, words):
    with pytest.raises(error, match=words):
        identities.check_gradient(quad, lambda A, x: A @ x, *operands, wrt=wrt)
