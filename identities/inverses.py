"""Inverses: derivatives of X^-1 and of scalars through it.

The functions are written with an explicit inverse, as they are printed.  The closed forms factor X once
and solve with its factors from either side, vectors first; the entries of X^-1 are formed only where
they are themselves what is asked for.  Where a sum is inverted, such as X + A or a point Y of a path, no
condition on its terms alone makes it invertible, and that is left to the reader.
"""

import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Invertible, Scalar
from identities.operators import EachColumn, Kronecker, KroneckerOuter, Transposition


def _inverse(lu):
    """The entries of X^-1 from the factors of X."""
    return lu_solve(lu, jnp.eye(lu[0].shape[0], dtype=lu[0].dtype))


def _divide(P, lu):
    """P X^-1 from the factors of X."""
    return lu_solve(lu, P.T, trans=1).T


# 2 Derivatives


@identity("Inverse")
def inv(X: Invertible[Array, "n n"]) -> Float[Array, "n n"]:
    r"X^{-1}"
    return jnp.linalg.inv(X)


@inv.differential("X", "MCB 40", printed("Giles 2.2.3", r"-C\dot{A}C"))
def inv_along_dX(X, dX):
    r"-X^{-1}(\mathrm{d}X)X^{-1}"
    lu = lu_factor(X)
    return -_divide(lu_solve(lu, dX), lu)


@inv.jacobian("X", "MCB 60", axes="kl ij")
def inv_dX(X):
    r"-(X^{-1})_{ki}(X^{-1})_{jl}"
    Z = jnp.linalg.inv(X)
    return -Kronecker(Z, Z.T)


# 2.2 Derivatives of an inverse


# at a given t the path can have any value, first and second derivative
@identity("Inverse of a matrix that moves with a scalar")
def inv_path(
    A: Float[Array, "n n"], B: Float[Array, "n n"], C: Float[Array, "n n"], t: Float[Array, ""]
) -> Float[Array, "n n"]:
    r"(A + tB + t^2C)^{-1}"
    return jnp.linalg.inv(A + t * B + t**2 * C)


@inv_path.jacobian("t", printed("MCB 59", r"-Y^{-1}\frac{\partial Y}{\partial x}Y^{-1}"))
def inv_path_dt(A, B, C, t):
    r"-Y^{-1}(B + 2tC)Y^{-1} \quad\text{with}\quad Y = A + tB + t^2C"
    lu = lu_factor(A + t * B + t**2 * C)
    return -_divide(lu_solve(lu, B + 2 * t * C), lu)


@inv_path.hessian("t", "ours")
def inv_path_d2t(A, B, C, t):
    r"2Y^{-1}\left((B + 2tC)Y^{-1}(B + 2tC) - C\right)Y^{-1} \quad\text{with}\quad Y = A + tB + t^2C"
    lu = lu_factor(A + t * B + t**2 * C)
    rate = B + 2 * t * C
    return 2 * _divide(lu_solve(lu, rate @ lu_solve(lu, rate) - C), lu)


@identity("Bilinear form of an inverse")
def bilinear_inv(a: Float[Array, "n"], X: Invertible[Array, "n n"], b: Float[Array, "n"]) -> Scalar:
    r"a^\top X^{-1}b"
    return a @ jnp.linalg.inv(X) @ b


@bilinear_inv.gradient(
    "X",
    "MCB 61",
    printed("MML 5.103", r"-(X^{-1})^\top ab^\top (X^{-1})^\top"),
    printed("VCN N16", r"-(X^{-1})^\top ab^\top (X^{-1})^\top"),
)
def bilinear_inv_dX(a, X, b):
    r"-X^{-\top}ab^\top X^{-\top}"
    lu = lu_factor(X)
    return -jnp.outer(lu_solve(lu, a, trans=1), lu_solve(lu, b))


@bilinear_inv.hessian("X", "ours")
def bilinear_inv_d2X(a, X, b):
    r"\left[(X^{-\top}a)_i (X^{-1}b)_l\,(X^{-1})_{jk} + (X^{-\top}a)_k (X^{-1}b)_j\,(X^{-1})_{li}\right]_{ijkl}"
    lu = lu_factor(X)
    u, v, Z = lu_solve(lu, a, trans=1), lu_solve(lu, b), _inverse(lu)
    swap = Transposition(X.shape, X.dtype)
    # along D the first term is u (Z D v)', the second (Z' D' u) v': products with vectors alone
    return swap @ KroneckerOuter(Z, u, v) + KroneckerOuter(Z.T, v, u) @ swap


@bilinear_inv.gradient("a", "ours")
def bilinear_inv_da(a, X, b):
    r"X^{-1}b"
    return jnp.linalg.solve(X, b)


@bilinear_inv.gradient("b", "ours")
def bilinear_inv_db(a, X, b):
    r"X^{-\top}a"
    return lu_solve(lu_factor(X), a, trans=1)


@bilinear_inv.value("ours", computed=True)
def bilinear_inv_is_computed(a, X, b):
    r"a^\top (X^{-1}b)"
    return a @ jnp.linalg.solve(X, b)


@identity("Determinant of an inverse")
def det_inv(X: Invertible[Array, "n n"]) -> Scalar:
    r"\det(X^{-1})"
    return jnp.linalg.det(jnp.linalg.inv(X))


@det_inv.gradient("X", "MCB 62")
def det_inv_dX(X):
    r"-\det(X^{-1})(X^{-1})^\top"
    lu = lu_factor(X)
    factors, pivots = lu
    swaps = jnp.sum(pivots != jnp.arange(X.shape[0], dtype=pivots.dtype))
    det = jnp.prod(jnp.diagonal(factors)) * jnp.where(swaps % 2 == 0, 1, -1).astype(X.dtype)
    return -_inverse(lu).T / det


@det_inv.value("ours", computed=True)
def det_inv_is_computed(X):
    r"\det(X)^{-1}"
    return 1 / jnp.linalg.det(X)


@identity("Trace of a product with an inverse")
def tr_axinvb(A: Float[Array, "p n"], X: Invertible[Array, "n n"], B: Float[Array, "n p"]) -> Scalar:
    r"\operatorname{tr}(AX^{-1}B)"
    return jnp.trace(A @ jnp.linalg.inv(X) @ B)


@tr_axinvb.gradient("X", "MCB 63", "MCB 124", "Minka Derivatives")
def tr_axinvb_dX(A, X, B):
    r"-(X^{-1}BAX^{-1})^\top"
    lu = lu_factor(X)
    return -_divide(lu_solve(lu, B @ A), lu).T


@tr_axinvb.gradient("X", "MCB 124")
def tr_axinvb_dX_factored(A, X, B):
    r"-X^{-\top}A^\top B^\top X^{-\top}"
    # cheaper than the form with BA where p < n: it solves for p right-hand sides instead of n
    lu = lu_factor(X)
    return -(lu_solve(lu, A.T, trans=1) @ lu_solve(lu, B).T)


@tr_axinvb.gradient("A", "ours")
def tr_axinvb_dA(A, X, B):
    r"(X^{-1}B)^\top"
    return jnp.linalg.solve(X, B).T


@tr_axinvb.gradient("B", "ours")
def tr_axinvb_dB(A, X, B):
    r"X^{-\top}A^\top"
    return lu_solve(lu_factor(X), A.T, trans=1)


@tr_axinvb.value("ours", computed=True)
def tr_axinvb_is_computed(A, X, B):
    r"\sum_{ij} A_{ij}\,(X^{-1}B)_{ji}"
    return jnp.sum(A.T * jnp.linalg.solve(X, B))


@identity("Trace of the inverse of a sum")
def tr_inv_sum(X: Float[Array, "n n"], A: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}\left((X + A)^{-1}\right)"
    return jnp.trace(jnp.linalg.inv(X + A))


@tr_inv_sum.gradient("X", "MCB 64")
def tr_inv_sum_dX(X, A):
    r"-\left((X + A)^{-1}(X + A)^{-1}\right)^\top"
    lu = lu_factor(X + A)
    return -lu_solve(lu, _inverse(lu)).T


@tr_inv_sum.gradient("A", "ours")
def tr_inv_sum_dA(X, A):
    r"-\left((X + A)^{-1}(X + A)^{-1}\right)^\top"
    lu = lu_factor(X + A)
    return -lu_solve(lu, _inverse(lu)).T


@identity("A function J(W) of the inverse W of A, here tr(G'W) + tr(W'KW)/2")
def through_inv(A: Invertible[Array, "n n"], G: Float[Array, "n n"], K: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(G^\top A^{-1}) + \tfrac{1}{2}\operatorname{tr}(A^{-\top}KA^{-1})"
    W = jnp.linalg.inv(A)
    return jnp.trace(G.T @ W) + jnp.trace(W.T @ K @ W) / 2


@through_inv.gradient(
    "A",
    printed("MCB 64a", r"-A^{-\top}\frac{\partial J}{\partial W}A^{-\top}"),
    printed("Giles 2.2.3", r"-C^\top \bar{C}C^\top"),
)
def through_inv_dA(A, G, K):
    r"-A^{-\top}\left(G + \tfrac{1}{2}(K + K^\top)A^{-1}\right)A^{-\top}"
    lu = lu_factor(A)
    J_W = G + _divide((K + K.T) / 2, lu)
    return -lu_solve(lu, lu_solve(lu, J_W, trans=1).T).T


@through_inv.gradient("G", "ours")
def through_inv_dG(A, G, K):
    r"A^{-1}"
    return jnp.linalg.inv(A)


@through_inv.value("ours", computed=True)
def through_inv_is_computed(A, G, K):
    r"\sum_{ij} W_{ij}\left(G + \tfrac{1}{2}KW\right)_{ij} \quad\text{with}\quad W = A^{-1}"
    W = jnp.linalg.inv(A)
    return jnp.sum(W * (G + K @ W / 2))


# Products with an inverse, as forward and reverse mode carry them


@identity("Inverse times a matrix: the solution of a linear system")
def inv_times(A: Invertible[Array, "n n"], B: Float[Array, "n q"]) -> Float[Array, "n q"]:
    r"A^{-1}B"
    return jnp.linalg.inv(A) @ B


@inv_times.differential("A B", "Giles 2.3.1")
def inv_times_along_dA_dB(A, B, dA, dB):
    r"A^{-1}(\mathrm{d}B - \mathrm{d}A\,A^{-1}B)"
    lu = lu_factor(A)
    return lu_solve(lu, dB - dA @ lu_solve(lu, B))


@inv_times.jacobian("A", "ours", axes="kl ij")
def inv_times_dA(A, B):
    r"-(A^{-1})_{ki}(A^{-1}B)_{jl}"
    lu = lu_factor(A)
    return -Kronecker(_inverse(lu), lu_solve(lu, B).T)


@inv_times.jacobian("B", "ours", axes="kl ij")
def inv_times_dB(A, B):
    r"(A^{-1})_{ki}\,\delta_{jl}"
    return EachColumn(jnp.linalg.inv(A), B.shape[1])


@inv_times.value("ours", computed=True)
def inv_times_is_computed(A, B):
    r"A^{-1}B"
    return jnp.linalg.solve(A, B)


@identity("Inner product with the solution of a linear system")
def tr_gtainvb(G: Float[Array, "n q"], A: Invertible[Array, "n n"], B: Float[Array, "n q"]) -> Scalar:
    r"\operatorname{tr}(G^\top A^{-1}B)"
    return jnp.trace(G.T @ jnp.linalg.inv(A) @ B)


@tr_gtainvb.gradient("A", printed("Giles 2.3.1", r"-\bar{B}C^\top"))
def tr_gtainvb_dA(G, A, B):
    r"-A^{-\top}G(A^{-1}B)^\top"
    lu = lu_factor(A)
    return -(lu_solve(lu, G, trans=1) @ lu_solve(lu, B).T)


@tr_gtainvb.gradient("B", printed("Giles 2.3.1", r"A^{-\top}\bar{C}"))
def tr_gtainvb_dB(G, A, B):
    r"A^{-\top}G"
    return lu_solve(lu_factor(A), G, trans=1)


@tr_gtainvb.gradient("G", "ours")
def tr_gtainvb_dG(G, A, B):
    r"A^{-1}B"
    return jnp.linalg.solve(A, B)


@tr_gtainvb.value("ours", computed=True)
def tr_gtainvb_is_computed(G, A, B):
    r"\sum_{ij} G_{ij}\,(A^{-1}B)_{ij}"
    return jnp.sum(G * jnp.linalg.solve(A, B))


@identity("Quadratic form of an inverse")
def quad_inv(A: Invertible[Array, "n n"], B: Float[Array, "n q"]) -> Float[Array, "q q"]:
    r"B^\top A^{-1}B"
    return B.T @ jnp.linalg.inv(A) @ B


@quad_inv.differential("A B", "Giles 2.3.3")
def quad_inv_along_dA_dB(A, B, dA, dB):
    r"\mathrm{d}B^\top A^{-1}B + B^\top A^{-1}(\mathrm{d}B - \mathrm{d}A\,A^{-1}B)"
    lu = lu_factor(A)
    C = lu_solve(lu, B)
    return dB.T @ C + lu_solve(lu, B, trans=1).T @ (dB - dA @ C)


@quad_inv.value("ours", computed=True)
def quad_inv_is_computed(A, B):
    r"B^\top (A^{-1}B)"
    return B.T @ jnp.linalg.solve(A, B)


@identity("Inner product with a quadratic form of an inverse")
def tr_gtbtainvb(G: Float[Array, "q q"], A: Invertible[Array, "n n"], B: Float[Array, "n q"]) -> Scalar:
    r"\operatorname{tr}(G^\top B^\top A^{-1}B)"
    return jnp.trace(G.T @ B.T @ jnp.linalg.inv(A) @ B)


@tr_gtbtainvb.gradient("A", printed("Giles 2.3.3", r"-A^{-\top}B\bar{C}B^\top A^{-\top}"))
def tr_gtbtainvb_dA(G, A, B):
    r"-A^{-\top}BGB^\top A^{-\top}"
    lu = lu_factor(A)
    # of the two orders of a triple product the cheaper one depends on q and n
    return -jnp.linalg.multi_dot([lu_solve(lu, B, trans=1), G, lu_solve(lu, B).T])


@tr_gtbtainvb.gradient("B", printed("Giles 2.3.3", r"A^{-1}B\bar{C}^\top + A^{-\top}B\bar{C}"))
def tr_gtbtainvb_dB(G, A, B):
    r"A^{-1}BG^\top + A^{-\top}BG"
    lu = lu_factor(A)
    return lu_solve(lu, B) @ G.T + lu_solve(lu, B, trans=1) @ G


@tr_gtbtainvb.gradient("G", "ours")
def tr_gtbtainvb_dG(G, A, B):
    r"B^\top A^{-1}B"
    return B.T @ jnp.linalg.solve(A, B)


@tr_gtbtainvb.value("ours", computed=True)
def tr_gtbtainvb_is_computed(G, A, B):
    r"\sum_{ij} (BG)_{ij}\,(A^{-1}B)_{ij}"
    return jnp.sum((B @ G) * jnp.linalg.solve(A, B))
