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
import jax.scipy.linalg as jsl
import numpy as np
import pytest

import identities

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "pitfalls.md"
installed = tuple(int(part) for part in jax.__version__.split(".")[:3])
C = np.random.default_rng(0).standard_normal((3, 3))
RANK_ONE = np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0])
SINGULAR = np.arange(16.0).reshape(4, 4) ** 1.5 @ np.diag([1.0, 1.0, 1.0, 0.0])  # rank 3


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


def eigenvalues_squared(X):
    return jnp.sum(jnp.linalg.eigvalsh((X + X.T) / 2, symmetrize_input=False) ** 2)


def singular_values_squared(X):
    return jnp.sum(jnp.linalg.svd(X, compute_uv=False) ** 2)


def det_of_slogdet(X):
    sign, log = jnp.linalg.slogdet(X)
    return sign * jnp.exp(log)


def lu_recomposed(X):
    P, L, U = jsl.lu(X)
    return jnp.sum(C * (P @ L @ U))


def pinv_recomposed(X):
    return jnp.sum(C * (X @ jnp.linalg.pinv(X) @ X))


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
    "Hessian of det, general": (identities.check_hessian, jnp.linalg.det, leibniz, SINGULAR, None),
    "eigenvalues, repeated": (
        identities.check_hessian,
        eigenvalues_squared,
        lambda X: jnp.sum(((X + X.T) / 2) ** 2),
        np.eye(3),
        None,
    ),
    "singular values, repeated": (
        identities.check_hessian,
        singular_values_squared,
        lambda X: jnp.sum(X**2),
        np.diag([1.0, 2.0, 2.0]),
        None,
    ),
    "slogdet": (identities.check_gradient, det_of_slogdet, leibniz, np.diag([1.0, 2.0, 0.0]), None),
    "lu, singular": (identities.check_gradient, lu_recomposed, linear, RANK_ONE, None),
    "pinv, lost rank": (identities.check_gradient, pinv_recomposed, linear, RANK_ONE, None),
    "standard deviation": (identities.check_gradient, lambda x: jnp.std(x) ** 2, jnp.var, np.ones(3), None),
    "root of a power": (
        identities.check_gradient,
        lambda x: jnp.sum(jnp.sqrt(x**4)),
        lambda x: jnp.sum(x**2),
        np.zeros(3),
        None,
    ),
    "overflow": (
        identities.check_gradient,
        lambda x: jnp.sum(1 / (1 + jnp.exp(-x))),
        lambda x: jnp.sum(jax.nn.sigmoid(x)),
        np.array([-800.0, -1.0]),
        None,
    ),
}

# row of the second table: a function, a point where it has no derivative, and what jax.grad returns there
KINKS = {
    "norm": (jnp.linalg.norm, np.zeros(3), np.full(3, np.nan)),
    "abs": (lambda x: jnp.sum(jnp.abs(x)), np.zeros(3), np.ones(3)),
    "relu": (lambda x: jnp.sum(jax.nn.relu(x)), np.zeros(3), np.zeros(3)),
    "max": (jnp.max, np.ones(4), np.full(4, 0.25)),
    "largest eigenvalue": (
        lambda X: jnp.linalg.eigvalsh((X + X.T) / 2, symmetrize_input=False)[-1],
        np.eye(3),
        np.diag([0.0, 0.0, 1.0]),
    ),
    "spectral norm": (lambda X: jnp.linalg.norm(X, 2), np.eye(3), np.eye(3) / 3),
    "1-norm": (lambda X: jnp.linalg.norm(X, 1), np.eye(3), np.full((3, 3), 1 / 3)),
}

# functions that JAX does not differentiate at all, and the words of its refusal
REFUSED = {
    "sqrtm": (lambda X: jnp.sum(C * jnp.real(jsl.sqrtm(X))), "schur"),
    "polar": (lambda X: jnp.sum(C * jsl.polar(X)[0]), "Reverse-mode differentiation does not work"),
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
        assert verdict.ok and verdict.diagnosis == ""
    elif "autodiff" not in verdict.diagnosis:
        pytest.fail(f"jax {jax.__version__} is right at this point: move the row {row!r} of docs/pitfalls.md")
    else:
        assert verdict.ok and verdict.witness.agrees, verdict
        assert "right by differences; autodiff" in verdict.diagnosis
    assert check(workaround, derivative, point).ok
    wrong = check(f, lambda X: derivative(X) + 1.0, point)
    assert not wrong.ok and "right by differences" not in wrong.diagnosis


@pytest.mark.parametrize("row", KINKS)
def test_a_kink_is_called_one_whatever_is_claimed_of_it(row):
    f, point, jax_says = KINKS[row]
    np.testing.assert_allclose(jax.grad(f)(jnp.asarray(point)), jax_says, atol=1e-12)
    for claimed in (np.nan_to_num(jax_says), np.zeros_like(point), np.ones_like(point)):
        verdict = identities.check_gradient(f, lambda x: claimed, point)  # noqa: B023
        assert not verdict.ok and "kink" in verdict.problem and "not differentiable here" in verdict.diagnosis


@pytest.mark.parametrize("row", REFUSED)
def test_what_jax_does_not_differentiate_is_held_against_differences(row):
    f, words = REFUSED[row]
    point = np.eye(3) + 0.1 * np.random.default_rng(5).standard_normal((3, 3))
    with pytest.raises(ValueError, match=f"JAX cannot differentiate the function.*{words}.*against='differences'"):
        identities.check_gradient(f, lambda X: X, point)


def test_every_point_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| {row} |" in text for row in (*POINTS, *KINKS, *REFUSED))
