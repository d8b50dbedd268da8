"""What JAX returns where a derivative does not exist: recorded here, so that a change of JAX is seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from identities.eigenvalues import eigh_largest, eigh_largest_dA, eigh_values, eigh_vectors, eigh_vectors_along_dA
from identities.engine.operands import DistinctEigenvalues

REPEATED = jnp.diag(jnp.array([1.0, 2.0, 2.0, 3.0]))
DIRECTION = jnp.array([[0.3, -1.0, 0.5, 2.0], [-1.0, 0.7, 1.1, 0.2], [0.5, 1.1, -0.4, 0.9], [2.0, 0.2, 0.9, 1.3]])


def test_eigenvectors_of_a_repeated_eigenvalue_have_no_derivative():
    """JAX raises nothing: the columns that belong to the double eigenvalue are not finite, the others are right."""
    columns = jax.jvp(eigh_vectors, (REPEATED,), (DIRECTION,))[1]
    assert not np.isfinite(columns[:, 1:3]).all(axis=0).any()
    expected = [np.linalg.pinv(x * np.eye(4) - REPEATED) @ DIRECTION[:, i] for i, x in ((0, 1.0), (3, 3.0))]
    assert np.allclose(columns[:, [0, 3]], np.stack(expected, axis=1))
    assert np.isnan(jax.grad(lambda A: jnp.sum(eigh_vectors(A) ** 3))(REPEATED)).all()


def test_the_closed_form_does_not_hide_a_repeated_eigenvalue():
    assert not np.isfinite(eigh_vectors_along_dA(REPEATED, DIRECTION)[:, 1:3]).all(axis=0).any()


def test_a_repeated_eigenvalue_that_rounding_has_split_gives_huge_numbers_instead():
    """No NaN tells then: the derivative is of the size 1/eps, and means nothing."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    A = jnp.asarray((q * [1.0, 1.0, 2.0]) @ q.T)
    gradient = np.abs(jax.grad(lambda B: jnp.sum(eigh_vectors(B) ** 3))((A + A.T) / 2))
    assert not gradient.max() < 1e10  # NaN too, should the eigenvalues come out equal


def test_the_gradient_of_a_repeated_largest_eigenvalue_is_one_subgradient():
    """It is v v' for one unit vector v of the eigenspace, which one is left to rounding."""
    A = jnp.diag(jnp.array([1.0, 3.0, 3.0]))
    for g in (jax.grad(eigh_largest)(A), eigh_largest_dA(A)):
        assert np.allclose(g, g.T) and np.allclose(jnp.trace(g), 1) and np.allclose(A @ g, 3 * g)
        assert np.linalg.matrix_rank(g) == 1
    # it is no derivative: along -e_2 e_2' and -e_3 e_3' the other eigenvalue stays, so both slopes are 0
    falls = [-jnp.diag(jnp.array(d)) for d in ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])]
    assert np.allclose([eigh_largest(A + 1e-3 * d) for d in falls], 3)
    assert np.isclose(min(float(jnp.sum(jax.grad(eigh_largest)(A) * d)) for d in falls), -1)


def test_sums_over_a_cluster_stay_right():
    """The derivative of the sum of the double eigenvalue exists, and JAX's is right."""
    J = jax.jacfwd(eigh_values)(REPEATED)
    assert np.allclose(J[1] + J[2], np.diag([0.0, 1.0, 1.0, 0.0])) and np.allclose(J.sum(0), np.eye(4))


@pytest.mark.parametrize("matrix", [np.eye(3), np.diag([1.0, 2.0, 2.0])])
def test_the_word_for_distinct_eigenvalues_refuses_repeated_ones(matrix):
    assert "apart" in DistinctEigenvalues.violation(matrix)


# Norms where they have no derivative ---------------------------------------------------------------


def frobenius(X):
    return jnp.linalg.norm(X)


@pytest.mark.parametrize("f", [frobenius, lambda x: frobenius(x) ** 2, lambda x: jnp.sqrt(jnp.sum(x * x))])
@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_the_gradient_of_a_norm_at_zero_is_nan(f, shape):
    """Also of its square written as norm(x)**2, whose gradient is 0 there: write x @ x instead."""
    assert np.isnan(jax.grad(f)(jnp.zeros(shape))).all()


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_the_squared_norm_as_a_sum_of_squares_has_gradient_zero_at_zero(shape):
    assert np.array_equal(jax.grad(lambda x: jnp.sum(x * x))(jnp.zeros(shape)), np.zeros(shape))
    assert np.array_equal(jax.grad(lambda X: jnp.trace(X @ X.T))(jnp.zeros((3, 2))), np.zeros((3, 2)))


def test_the_unit_vector_has_no_jacobian_at_zero():
    assert np.isnan(jax.jacfwd(lambda x: x / jnp.linalg.norm(x))(jnp.zeros(3))).all()


def test_the_distance_has_no_gradient_where_the_points_meet():
    """MCB 129 and 130 need x other than a; the one-sided slopes there are all 1, which no vector gives."""
    a = jnp.array([1.0, -2.0])
    assert np.isnan(jax.grad(lambda x: jnp.linalg.norm(x - a))(a)).all()
    slopes = [float(jnp.linalg.norm(1e-3 * jnp.array(d))) / 1e-3 for d in ([1.0, 0.0], [-1.0, 0.0])]
    assert np.allclose(slopes, 1)
