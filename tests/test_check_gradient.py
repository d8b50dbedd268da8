"""Checking a pair of one's own: what passes, what is caught, what is said, and what is left untouched."""

import subprocess
import sys

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
    if not verdict.diagnosis:
        pytest.fail("jax has mended the gradient of det at singular matrices: say so in the documentation")
    assert verdict.ok and verdict.diagnosis == "right by differences; autodiff is wrong at these operands"
    assert "holds: by differences, and not by autodiff" in str(verdict)
    for wrong in (lambda X: cofactors(X).at[2, 2].multiply(1.01), jax.grad(jnp.linalg.det)):
        assert not identities.check_gradient(jnp.linalg.det, wrong, point).ok


def test_settings_are_restored_and_strict_promotion_is_not_forced_on_a_user():
    """In a process of its own, where JAX is as it comes: float32, promotion allowed, TF32 on GPUs."""
    code = """
import jax, jax.numpy as jnp, numpy as np, identities
before = dict(jax.config.values)
W = jnp.ones((3, 3), jnp.float32)                  # float32, captured by the function
f = lambda A, x: jnp.sum((A @ W + x) ** 2)         # a matrix and a vector, added
g = lambda A, x: 2 * (A @ W + x) @ W.T
assert identities.check_gradient(f, g, np.eye(3), np.arange(3.0)).ok
assert not identities.check_gradient(f, lambda A, x: g(A, x) / 2, np.eye(3), np.arange(3.0)).ok
assert dict(jax.config.values) == before
assert jnp.ones(1).dtype == jnp.float32
with jax.disable_jit():
    assert identities.check_gradient(jnp.sum, jnp.ones_like, np.ones(3)).ok
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_large_constant_does_not_hide_a_wrong_gradient(dtype):
    f = lambda x: 1e8 + jnp.sum(x**2)  # noqa: E731
    point = np.array([1e-3, -2e-3, 1.5e-3]) if dtype == "float64" else np.array([1.0, -2.0, 1.5])
    assert not identities.check_gradient(f, lambda x: 0 * x, point, dtype=dtype).ok
    assert not identities.check_gradient(f, lambda x: x, point, dtype=dtype).ok


def test_gradients_in_numpy_and_constants_are_accepted():
    assert identities.check_gradient(quad, lambda A, x: np.asarray(A + A.T) @ np.asarray(x), A, x, wrt="x").ok
    verdict = identities.check_gradient(quad, lambda A, x: 2 * np.dot(np.asarray(A), np.asarray(x)), A, x, wrt="x")
    assert verdict.diagnosis == "right only for symmetric A"
    assert identities.check_gradient(lambda x: 3 * x, lambda x: 3, 2.0).ok
    assert identities.check_gradient(lambda x: 3 * x, lambda x: 3.0, 2.0, dtype="float32").ok
    assert identities.check_gradient(lambda x: jnp.sum(x**2), lambda x: 2 * x, jnp.arange(3)).ok


def test_entries_of_very_different_sizes_are_resolved():
    assert identities.check_gradient(lambda x: jnp.sum(jnp.log(x)), lambda x: 1 / x, [1.0, 1e-4]).ok
    assert identities.check_gradient(lambda z: jnp.sum(jnp.real(z)), lambda z: jnp.ones(2), np.array([1 + 1j, 2.0])).ok


def test_a_domain_is_respected_by_the_diagnosis():
    verdict = identities.check_gradient(lambda x: jnp.sum(jnp.sqrt(x)), lambda x: 1 / jnp.sqrt(x), [1.0, 2.0])
    assert "factor: it is 2 times" in verdict.diagnosis


def test_lost_digits_are_called_so():
    verdict = identities.check_gradient(quad, lambda A, x: ((A + A.T) @ x) * (1 + 1e-10), A, x, wrt="x")
    assert not verdict.ok and "loses digits" in verdict.diagnosis


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
        ((A, (x, x[:2])), 1, ValueError, r"the function fails at these operands at .*return x @ A @ x"),
        ((A, [[1.0], [2.0, 3.0]]), 1, TypeError, "operand x is a ragged list"),
        ((A, x), (0, 0), TypeError, "wrt must name one operand or several different ones"),
        ((A, x), (), TypeError, "wrt must name one operand or several different ones"),
        ((A, x), 1.5, TypeError, "wrt must be the position or the name"),
        ((A, x[:2]), 1, ValueError, "the function fails at these operands"),
    ],
)
def test_bad_input_gets_one_sentence(operands, wrt, error, words):
    with pytest.raises(error, match=words):
        identities.check_gradient(quad, lambda A, x: A @ x, *operands, wrt=wrt)


def test_a_function_that_is_no_real_scalar_of_jax_is_one_sentence():
    with pytest.raises(ValueError, match=r"must return a real scalar, got float64\[3\]"):
        identities.check_gradient(lambda x: x, lambda x: x, x)
    with pytest.raises(ValueError, match=r"write it with jax\.numpy"):
        identities.check_gradient(lambda x: np.sum(np.asarray(x) ** 2), lambda x: 2 * x, x)
    with pytest.raises(UnsupportedDtype, match="dtype must be one of float64, float32"):
        identities.check_gradient(jnp.sum, jnp.ones_like, x, dtype="foo")
