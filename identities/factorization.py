r"""Matrix factorization: the squared distance of X from a product UV, plain, masked and regularised.

The norm is the Frobenius norm throughout: the sum of all squared entries.  Second derivatives have
four axes but little content, so they come as operators (see `identities.operators`): by U every row
has a small block of its own and rows do not meet, by V the same holds for columns, and the mixed
one is made of U, V and the residual.  In the index forms below i, p are rows, j, q columns of the
matrix that is differentiated by, and in a mixed derivative ij belongs to U and kl to V.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Mask, Scalar
from identities.lemmas import weighted_grams
from identities.operators import (
    EachColumn,
    EachRow,
    Entrywise,
    MaskedMixedFactors,
    MixedFactors,
    PerColumn,
    PerRow,
    ScaledIdentity,
)

# The plain loss


@identity("Squared distance of a matrix from a product of two factors")
def uv(X: Float[Array, "m n"], U: Float[Array, "m k"], V: Float[Array, "k n"]) -> Scalar:
    r"\|X - UV\|_F^2"
    return jnp.sum((X - U @ V) ** 2)


@uv.gradient("V", printed("MVC G9", r"-2\mathbf{U}^\top(\mathbf{X} - \mathbf{U}\mathbf{V})"))
def uv_dV(X, U, V):
    r"-2\,U^\top (X - UV)"
    return -2 * (U.T @ (X - U @ V))


@uv.gradient("V", "ours")
def uv_dV_reassociated(X, U, V):
    r"2\left((U^\top U)V - U^\top X\right)"
    # Never forms the m x n residual, which is less work when k is small.  But where UV is close to X the two
    # terms nearly cancel, and the result loses as many digits as the residual is smaller than X.
    return 2 * ((U.T @ U) @ V - U.T @ X)


@uv.gradient("U", "MVC G9")
def uv_dU(X, U, V):
    r"-2\,(X - UV)V^\top"
    return -2 * ((X - U @ V) @ V.T)


@uv.gradient("U", "ours")
def uv_dU_reassociated(X, U, V):
    r"2\left(U(VV^\top) - XV^\top\right)"
    # Less work than by the residual when k is small; loses digits when the residual is small (see by V).
    return 2 * (U @ (V @ V.T) - X @ V.T)


@uv.gradient("X", "ours")
def uv_dX(X, U, V):
    r"2\,(X - UV)"
    return 2 * (X - U @ V)


@uv.hessian("U", "ours")
def uv_d2U(X, U, V):
    r"\left[\,2\,\delta_{ip}\,(VV^\top)_{jq}\right]_{ij,\,pq}"
    return EachRow(2 * (V @ V.T), rows=U.shape[0])


@uv.hessian("V", "ours")
def uv_d2V(X, U, V):
    r"\left[\,2\,(U^\top U)_{ip}\,\delta_{jq}\right]_{ij,\,pq}"
    return EachColumn(2 * (U.T @ U), columns=V.shape[1])


@uv.hessian("U V", "ours")
def uv_d2U_V(X, U, V):
    r"\left[\,2\,U_{ik}V_{jl} - 2\,(X - UV)_{il}\,\delta_{jk}\right]_{ij,\,kl}"
    return MixedFactors(U, V, X - U @ V)


@uv.hessian("U X", "ours")
def uv_d2U_X(X, U, V):
    r"\left[-2\,\delta_{ik}\,V_{jl}\right]_{ij,\,kl}"
    return EachRow(-2 * V, rows=U.shape[0])


@uv.hessian("V X", "ours")
def uv_d2V_X(X, U, V):
    r"\left[-2\,U_{ki}\,\delta_{jl}\right]_{ij,\,kl}"
    return EachColumn(-2 * U.T, columns=V.shape[1])


@uv.hessian("X", "ours")
def uv_d2X(X, U, V):
    r"\left[\,2\,\delta_{ip}\,\delta_{jq}\right]_{ij,\,pq}"
    return ScaledIdentity(jnp.full((), 2, X.dtype), X.shape)


# The masked loss, for a matrix of which only some entries are known


@identity("Squared distance from a product of two factors on the observed entries")
def uv_masked(M: Mask[Array, "m n"], X: Float[Array, "m n"], U: Float[Array, "m k"], V: Float[Array, "k n"]) -> Scalar:
    r"\|M \circ (X - UV)\|_F^2"
    return jnp.sum((M * (X - U @ V)) ** 2)


@uv_masked.gradient("U", "ours")
def uv_masked_dU(M, X, U, V):
    r"-2\,\left(M \circ (X - UV)\right)V^\top"
    # M o M = M for zeros and ones; for general weights the square of M would stand here
    return -2 * ((M * (X - U @ V)) @ V.T)


@uv_masked.gradient("V", "ours")
def uv_masked_dV(M, X, U, V):
    r"-2\,U^\top\left(M \circ (X - UV)\right)"
    return -2 * (U.T @ (M * (X - U @ V)))


@uv_masked.gradient("X", "ours")
def uv_masked_dX(M, X, U, V):
    r"2\,M \circ (X - UV)"
    return 2 * (M * (X - U @ V))


@uv_masked.hessian("U", "ours")
def uv_masked_d2U(M, X, U, V):
    r"\left[\,2\,\delta_{ip}\sum_l M_{il} V_{jl} V_{ql}\right]_{ij,\,pq}"
    return PerRow(2 * weighted_grams(M, V))


@uv_masked.hessian("V", "ours")
def uv_masked_d2V(M, X, U, V):
    r"\left[\,2\,\delta_{jq}\sum_l M_{lj} U_{li} U_{lp}\right]_{ij,\,pq}"
    return PerColumn(2 * weighted_grams(M.T, U.T))


@uv_masked.hessian("U V", "ours")
def uv_masked_d2U_V(M, X, U, V):
    r"\left[\,2\,M_{il}U_{ik}V_{jl} - 2\,(M \circ (X - UV))_{il}\,\delta_{jk}\right]_{ij,\,kl}"
    return MaskedMixedFactors(M, U, V, M * (X - U @ V))


@uv_masked.hessian("X", "ours")
def uv_masked_d2X(M, X, U, V):
    r"\left[\,2\,M_{ij}\,\delta_{ip}\,\delta_{jq}\right]_{ij,\,pq}"
    return Entrywise(2 * M)


# The regularised loss


@identity("Squared distance from a product of two factors with a penalty on each factor")
def uv_ridge(X: Float[Array, "m n"], U: Float[Array, "m k"], V: Float[Array, "k n"], l1: Scalar, l2: Scalar) -> Scalar:
    r"\|X - UV\|_F^2 + l_1 \|U\|_F^2 + l_2 \|V\|_F^2"
    return jnp.sum((X - U @ V) ** 2) + l1 * jnp.sum(U**2) + l2 * jnp.sum(V**2)


@uv_ridge.gradient("U", "ours")
def uv_ridge_dU(X, U, V, l1, l2):
    r"-2\,(X - UV)V^\top + 2\,l_1 U"
    return 2 * (l1 * U - (X - U @ V) @ V.T)


@uv_ridge.gradient("V", "ours")
def uv_ridge_dV(X, U, V, l1, l2):
    r"-2\,U^\top (X - UV) + 2\,l_2 V"
    return 2 * (l2 * V - U.T @ (X - U @ V))


@uv_ridge.gradient("X", "ours")
def uv_ridge_dX(X, U, V, l1, l2):
    r"2\,(X - UV)"
    return 2 * (X - U @ V)


@uv_ridge.gradient("l1", "ours")
def uv_ridge_dl1(X, U, V, l1, l2):
    r"\|U\|_F^2"
    return jnp.sum(U**2)


@uv_ridge.gradient("l2", "ours")
def uv_ridge_dl2(X, U, V, l1, l2):
    r"\|V\|_F^2"
    return jnp.sum(V**2)


@uv_ridge.hessian("U", "ours")
def uv_ridge_d2U(X, U, V, l1, l2):
    r"\left[\,2\,\delta_{ip}\,(VV^\top + l_1 I)_{jq}\right]_{ij,\,pq}"
    return EachRow(2 * (V @ V.T + l1 * jnp.eye(V.shape[0], dtype=V.dtype)), rows=U.shape[0])


@uv_ridge.hessian("V", "ours")
def uv_ridge_d2V(X, U, V, l1, l2):
    r"\left[\,2\,(U^\top U + l_2 I)_{ip}\,\delta_{jq}\right]_{ij,\,pq}"
    return EachColumn(2 * (U.T @ U + l2 * jnp.eye(U.shape[1], dtype=U.dtype)), columns=V.shape[1])


@uv_ridge.hessian("U V", "ours")
def uv_ridge_d2U_V(X, U, V, l1, l2):
    r"\left[\,2\,U_{ik}V_{jl} - 2\,(X - UV)_{il}\,\delta_{jk}\right]_{ij,\,kl}"
    return MixedFactors(U, V, X - U @ V)
