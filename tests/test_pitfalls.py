"""Points where JAX's own derivative is wrong or NaN: the rows of docs/pitfalls.md.

Each row has a function, a point, and a workaround that computes the same function.  The check must blame autodiff of
the first, with differences as the witness, and find the second right.  A test that fails here tells that a release of
JAX has mended the point.
"""

import itertools
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import identities

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "pitfalls.md"
installed = tuple(int(part) for part in jax.__version__.split(".")[:3])
C = np.random.default_rng(0).standard_normal((3, 3))


def leibniz(X):
    """The determinant as a polynomial: n! terms, for small n."""
    n = X.shape[0]
    total = 0.0
    for p in itertools.permutations(range(n)):
        sign = round(np.linalg.det(np.eye(n)[list(p)]))
        total = total + sign * math.prod(X[i, p[i]] for i in range(n))
    return total


def eigen_recomposed(X):
    w, V = jnp.linalg.eigh((X + X.T) / 2, symmetrize_input=False)
    return jnp.sum(C * ((V * w[None, :]) @ V.T))


def svd_recomposed(X):
    U, s, Vh = jnp.linalg.svd(X, full_matrices=False)
    return jnp.sum(C * ((U * s[None, :]) @ Vh))


def linear(X):
    return jnp.sum(C * X)


def quotient(x):
    return jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(x) / x))


def quotient_guarded(x):
    safe = jnp.where(x == 0, 1.0, x)
    return jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(safe) / safe))


# row of the page: the check, the function, the workaround, the point, and since which release JAX is wrong there
POINTS = {
    "det, zero pivot": (identities.check_gradient, jnp.linalg.det, leibniz, np.diag([1.0, 2.0, 0.0, 3.0]), None),
    "det, 2 x 2": (identities.check_gradient, jnp.linalg.det, leibniz, np.array([[0.0, 1.0], [0.0, 2.0]]), (0, 11, 1)),
    "Hessian of det": (identities.check_hessian, jnp.linalg.det, leibniz, np.diag([1.0, 2.0, 0.0, 3.0]), None),
    "squared norm": (
        identities.check_gradient,
        lambda x: jnp.linalg.norm(x) ** 2,
        lambda x: jnp.sum(x**2),
        np.zeros(3),
        None,
    ),
    "eigh, repeated": (identities.check_gradient, eigen_recomposed, lambda X: linear((X + X.T) / 2), np.eye(3), None),
    "svd, repeated": (identities.check_gradient, svd_recomposed, linear, np.eye(3), None),
    "where": (identities.check_gradient, quotient, quotient_guarded, np.array([0.0, 1.0]), None),
}


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("row", POINTS)
def test_jax_is_still_wrong_there_and_the_workaround_is_right(row):
    check, f, workaround, point, since = POINTS[row]
    derivative = jax.grad(workaround) if check is identities.check_gradient else jax.hessian(workaround)
    verdict = check(f, derivative, point)
    if since is not None and installed < since:
        assert verdict.ok
    elif verdict.ok:
        pytest.fail(f"jax {jax.__version__} is right at this point: move the row {row!r} of docs/pitfalls.md")
    else:
        assert "autodiff is wrong here" in verdict.problem
        assert "right by differences" in verdict.diagnosis
    assert check(workaround, derivative, point).ok
    wrong = check(f, lambda X: derivative(X) + 1.0, point)
    assert not wrong.ok and "autodiff is wrong" not in wrong.problem


def test_every_point_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| {row} |" in text for row in POINTS)
