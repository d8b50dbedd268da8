r"""Eigenvalues and eigenvectors (Matrix Cookbook, section 2.3).

$\lambda_1 \le \dots \le \lambda_n$ and $v_1, \dots, v_n$ are the eigenvalues and orthonormal eigenvectors of a
symmetric matrix.  Sums and products over all eigenvalues have derivatives everywhere; a single eigenvalue has
one where it is simple, and so has its eigenvector once its sign is fixed: here the first entry is positive.
At a repeated eigenvalue JAX raises no error.  The derivatives of its eigenvectors are then NaN or infinite, or
of the size 1/eps where rounding has split the eigenvalue; the gradient of the eigenvalue itself is
$vv^\top$ for one $v$ of the many, for the largest one a subgradient.  The functions of a symmetric matrix read its
symmetric part, as JAX's own do, so their gradients are symmetric.
"""

import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import DistinctEigenvalues, Invertible, Positive, Scalar
from identities.operators import EachColumn, Entrywise, Kronecker, KroneckerOuter, RowOuters, Transposition


def _upright(V):
    """The eigenvectors with the sign that makes the first entry of each positive."""
    return V * jnp.where(V[:1] < 0, -1, 1).astype(V.dtype)


def _reciprocal_gaps(values):
    """1/(lambda_j - lambda_i) at [i, j], and 0 on the diagonal."""
    n = values.shape[0]
    gaps = values[None, :] - values[:, None] + jnp.eye(n, dtype=values.dtype)
    return (1 - jnp.eye(n, dtype=values.dtype)) / gaps


def _resolvent(values, V):
    """(lambda I - A)^+ for the last and largest eigenvalue lambda."""
    others = V[:, :-1]
    return (others / (values[-1] - values[:-1])[None, :]) @ others.T


# 2.3 Derivatives of eigenvalues: all of them together, for a matrix without any symmetry


@identity("Sum of the eigenvalues")
def eig_sum(X: Float[Array, "n n"]) -> Scalar:
    r"\sum_i \lambda_i(X)"
    # they are real or come in conjugate pairs, so the imaginary part is rounding alone
    return jnp.real(jnp.sum(jnp.linalg.eigvals(X)))


@eig_sum.value("MCB 65", computed=True)
def eig_sum_is_trace(X):
    r"\operatorname{tr}(X)"
    return jnp.trace(X)


@eig_sum.gradient("X", "MCB 65")
def eig_sum_dX(X):
    r"I"
    return jnp.eye(X.shape[0], dtype=X.dtype)


@identity("Product of the eigenvalues")
def eig_prod(X: Invertible[Array, "n n"]) -> Scalar:
    r"\prod_i \lambda_i(X)"
    return jnp.real(jnp.prod(jnp.linalg.eigvals(X)))


@eig_prod.value("MCB 66", computed=True)
def eig_prod_is_det(X):
    r"\det(X)"
    return jnp.linalg.det(X)


@eig_prod.gradient("X", "MCB 66")
def eig_prod_dX(X):
    r"\det(X)X^{-\top}"
    factors, pivots = lu_factor(X)
    swaps = jnp.sum(pivots != jnp.arange(len(pivots), dtype=pivots.dtype))
    det = jnp.prod(jnp.diagonal(factors)) * jnp.where(swaps % 2 == 0, 1, -1).astype(X.dtype)
    return det * lu_solve((factors, pivots), jnp.eye(len(X), dtype=X.dtype), trans=1)


@identity("Largest eigenvalue of a positive matrix")
def eig_perron(X: Positive[Array, "n n"]) -> Scalar:
    r"\max_i \operatorname{Re}\lambda_i(X)"
    # it is real and simple, since every entry of X is positive
    return jnp.max(jnp.real(jnp.linalg.eigvals(X)))


@eig_perron.gradient("X", "ours")
def eig_perron_dX(X):
    r"\frac{uv^\top}{u^\top v}, \quad Xv = rv,\; X^\top u = ru,\; r = \max_i \operatorname{Re}\lambda_i(X)"
    values, V = jnp.linalg.eig(X)
    k = jnp.argmax(jnp.real(values))
    v, last = V[:, k], jnp.zeros(len(X), V.dtype).at[k].set(1)
    # the row of V^-1 is the left eigenvector, already scaled to u'v = 1
    return jnp.outer(jnp.real(jnp.linalg.solve(V.T, last)), jnp.real(v))


# 2.3 Derivatives of eigenvalues: one by one, for a symmetric matrix


@identity("Eigenvalues of a symmetric matrix in ascending order")
def eigh_values(A: DistinctEigenvalues[Array, "n n"]) -> Float[Array, "n"]:
    r"\lambda, \quad A = V\operatorname{diag}(\lambda)V^\top,\; V^\top V = I"
    return jnp.linalg.eigvalsh(A)


@eigh_values.differential("A", "MCB 67")
def eigh_values_along_dA(A, dA):
    r"\left(v_i^\top\,\mathrm{d}A\,v_i\right)_i, \quad V = [v_1, \dots, v_n]"
    V = jnp.linalg.eigh(A)[1]
    return jnp.sum(V * (dA @ V), axis=0)


@eigh_values.jacobian("A", "ours", axes="i jk")
def eigh_values_dA(A):
    r"(v_i)_j\,(v_i)_k, \quad V = [v_1, \dots, v_n]"
    rows = jnp.linalg.eigh(A)[1].T
    return RowOuters(rows, rows)


@identity("Largest eigenvalue of a symmetric matrix")
def eigh_largest(A: DistinctEigenvalues[Array, "n n"]) -> Scalar:
    r"\lambda_n, \quad A = V\operatorname{diag}(\lambda)V^\top,\; V^\top V = I"
    return jnp.linalg.eigvalsh(A)[-1]


@eigh_largest.gradient("A", "ours")
def eigh_largest_dA(A):
    r"v_n v_n^\top, \quad V = [v_1, \dots, v_n]"
    v = jnp.linalg.eigh(A)[1][:, -1]
    return jnp.outer(v, v)


@eigh_largest.hessian("A", "ours", axes="ij kl")
def eigh_largest_d2A(A):
    r"""
    \tfrac{1}{2}\left[u_i u_k R_{jl} + u_i u_l R_{jk} + u_j u_k R_{il} + u_j u_l R_{ik}\right],
    \quad u = v_n,\; R = (\lambda_n I - A)^+,\; V = [v_1, \dots, v_n]
    """
    values, V = jnp.linalg.eigh(A)
    v, swap = V[:, -1], Transposition(A.shape, A.dtype)
    last = KroneckerOuter(_resolvent(values, V), v, v)
    # the other three terms exchange i and j, or k and l, or both
    half = last + last @ swap
    return 0.5 * (half + swap @ half)


@identity("Eigenvectors of a symmetric matrix, as columns, the first entry of each positive")
def eigh_vectors(A: DistinctEigenvalues[Array, "n n"]) -> Float[Array, "n n"]:
    r"V, \quad A = V\operatorname{diag}(\lambda)V^\top,\; V^\top V = I"
    return _upright(jnp.linalg.eigh(A)[1])


@eigh_vectors.differential(
    "A",
    "MCB 68",
    printed(
        "Giles 3.1", r"U\left(F \circ (U^{-1}\dot{A}U)\right), \quad F_{ij} = (d_j - d_i)^{-1} \text{ for } i \ne j"
    ),
)
def eigh_vectors_along_dA(A, dA):
    r"\sum_i (\lambda_i I - A)^+\,\mathrm{d}A\,v_i e_i^\top, \quad V = [v_1, \dots, v_n]"
    # each of these pseudo-inverses has the eigenvectors of A, so that one decomposition serves them all
    values, V = jnp.linalg.eigh(A)
    V = _upright(V)
    return V @ (_reciprocal_gaps(values) * (V.T @ dA @ V))


@eigh_vectors.jacobian("A", "ours", axes="ai jk")
def eigh_vectors_dA(A):
    r"""
    \tfrac{1}{2}\sum_{l \ne i} \frac{(v_l)_a\left((v_l)_j (v_i)_k + (v_l)_k (v_i)_j\right)}{\lambda_i - \lambda_l},
    \quad V = [v_1, \dots, v_n]
    """
    values, V = jnp.linalg.eigh(A)
    V = _upright(V)
    # V (F o (V' D V)), of which D and its transpose give a half each
    half = EachColumn(V, len(A)) @ Entrywise(_reciprocal_gaps(values)) @ Kronecker(V.T, V.T)
    return 0.5 * (half + half @ Transposition(A.shape, A.dtype))


@identity("Inner product with the eigenvalues and the eigenvectors of a symmetric matrix")
def eigh_inner(w: Float[Array, "n"], G: Float[Array, "n n"], A: DistinctEigenvalues[Array, "n n"]) -> Scalar:
    r"\sum_i w_i\lambda_i + \operatorname{tr}(G^\top V), \quad A = V\operatorname{diag}(\lambda)V^\top,\; V^\top V = I"
    values, V = jnp.linalg.eigh(A)
    return w @ values + jnp.trace(G.T @ _upright(V))


@eigh_inner.gradient(
    "A",
    printed(
        "Giles 3.1", r"U^{-\top}\left(\bar{D} + F \circ (U^\top\bar{U})\right)U^\top \text{ (not yet symmetrised)}"
    ),
)
def eigh_inner_dA(w, G, A):
    r"""
    \operatorname{sym}\left(V\left(\operatorname{diag}(w) + F \circ (V^\top G)\right)V^\top\right),
    \quad F_{ij} = (\lambda_j - \lambda_i)^{-1} \text{ for } i \ne j,\; F_{ii} = 0
    """
    values, V = jnp.linalg.eigh(A)
    V = _upright(V)
    M = V @ (jnp.diag(w) + _reciprocal_gaps(values) * (V.T @ G)) @ V.T
    return (M + M.T) / 2
