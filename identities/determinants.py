r"""Derivatives of determinants and of their logarithms (Matrix Cookbook, 41-43 and section 2.1).

Forms with an inverse ask for an invertible matrix.  Where that matrix is a product such as $AXB$
or $X^\top AX$, or a point $Y$ of a path, no condition on its parts alone says so, and it is left to
the reader.  The forms
with an adjugate hold everywhere, also at singular matrices, where JAX's own gradient of the
determinant may be silently zero.  A determinant overflows long before its logarithm does
(float32: a 64 x 64 matrix of standard normal entries), so for a logarithm take the forms that are
marked as the way to compute it.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve, lu_factor, lu_solve, solve_triangular
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import (
    Count,
    FullRank,
    Invertible,
    PosDef,
    PositiveDeterminant,
    Scalar,
    Symmetric,
)
from identities.operators import CrossedKronecker, Outer


def _det_of(factors):
    """The determinant from `lu_factor`.  Sharing the factors with `lu_solve` is what keeps
    det(X) X^-1 accurate near singularity: a tiny pivot, however inaccurate, cancels."""
    lu, pivots = factors
    product = jnp.prod(jnp.diagonal(lu))
    swaps = jnp.sum(pivots != jnp.arange(len(pivots), dtype=pivots.dtype))
    return jnp.where(swaps % 2 == 1, -product, product)


def _adjugate(X):
    """adj(X) from the singular value decomposition, so that X may be singular."""
    U, s, Vt = jnp.linalg.svd(X)
    n, one = len(s), jnp.ones(1, X.dtype)
    # the largest, the smallest, the next largest, ...: so products of many stay within what a float holds
    order = jnp.stack([jnp.arange(n), n - 1 - jnp.arange(n)], axis=1).ravel()[:n]
    s = s[order]
    before = jnp.cumprod(jnp.concatenate([one, s[:-1]]))
    after = jnp.cumprod(jnp.concatenate([one, s[:0:-1]]))[::-1]
    sign = jnp.linalg.slogdet(U @ Vt)[0]
    # the adjugate of diag(s) holds the products of all singular values but one
    return sign * ((Vt.T[:, order] * (before * after)[None, :]) @ U.T[order])


def _cofactors(X):
    """The cofactors, each as the determinant of X with row i replaced by a row of the identity."""
    eye = jnp.eye(len(X), dtype=X.dtype)
    # eye[i] marks the row that gives way to eye[k]
    replaced = eye[:, None, :, None] * eye[None, :, None, :] + (1 - eye)[:, None, :, None] * X[None, None, :, :]
    return jnp.linalg.det(replaced)


# 2 Differentials


@identity("Determinant")
def det(X: Float[Array, "n n"]) -> Scalar:
    r"\det(X)"
    return jnp.linalg.det(X)


@det.differential("X", "MCB 41")
def det_along_dX(X, dX):
    r"\operatorname{tr}(\operatorname{adj}(X)\,\mathrm{d}X)"
    return jnp.sum(_adjugate(X).T * dX)


@det.differential(
    "X",
    "MCB 42",
    printed("Giles 2.2.4", r"C\operatorname{tr}(A^{-1}\dot A)"),
    given={"X": Invertible[Array, "n n"]},
)
def det_along_dX_inverse(X, dX):
    r"\det(X)\operatorname{tr}(X^{-1}\mathrm{d}X)"
    factors = lu_factor(X)
    return _det_of(factors) * jnp.trace(lu_solve(factors, dX))


@det.gradient("X", "MCB 49", printed("Giles 2.2.4", r"\bar C\,C\,A^{-\top}"), given={"X": Invertible[Array, "n n"]})
def det_dX(X):
    r"\det(X)(X^{-1})^\top"
    factors = lu_factor(X)
    return _det_of(factors) * lu_solve(factors, jnp.eye(len(X), dtype=X.dtype), trans=1)


@det.gradient("X", "ours")
def det_dX_adjugate(X):
    r"\operatorname{adj}(X)^\top"
    return _adjugate(X).T


@det.hessian("X", "ours", given={"X": Invertible[Array, "n n"]}, axes="ij kl")
def det_d2X(X):
    r"\det(X)\left((X^{-1})_{ji}(X^{-1})_{lk} - (X^{-1})_{li}(X^{-1})_{jk}\right)"
    factors = lu_factor(X)
    inverse = lu_solve(factors, jnp.eye(len(X), dtype=X.dtype))
    # the determinant stays in front: where i = k or j = l the two products are the same numbers and leave nothing
    return _det_of(factors) * (Outer(inverse.T, inverse.T) - CrossedKronecker(inverse.T, inverse))


@identity("Logarithm of a determinant")
def logdet(X: PositiveDeterminant[Array, "n n"]) -> Scalar:
    r"\ln(\det(X))"
    return jnp.log(jnp.linalg.det(X))


@logdet.value("ours", computed=True)
def logdet_is_computed(X):
    r"\sum_i \ln|U_{ii}|,\quad PX = LU"
    return jnp.linalg.slogdet(X)[1]


@logdet.value("ours", computed=True, given={"X": PosDef[Array, "n n"]})
def logdet_is_cholesky(X):
    r"2\sum_i \ln L_{ii},\quad X = LL^\top"
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(X))))


@logdet.differential("X", "MCB 43")
def logdet_along_dX(X, dX):
    r"\operatorname{tr}(X^{-1}\mathrm{d}X)"
    return jnp.trace(jnp.linalg.solve(X, dX))


@logdet.gradient("X", "ours")
def logdet_dX(X):
    r"X^{-\top}"
    return jnp.linalg.inv(X).T


@logdet.gradient("X", "ours", given={"X": PosDef[Array, "n n"]})
def logdet_dX_posdef(X):
    r"X^{-1}"
    # the factor that the value by Cholesky starts from, so that the two share it
    return cho_solve((jnp.linalg.cholesky(X), True), jnp.eye(len(X), dtype=X.dtype))


@logdet.hessian("X", "ours", axes="ij kl")
def logdet_d2X(X):
    r"-(X^{-1})_{li}(X^{-1})_{jk}"
    inverse = jnp.linalg.inv(X)
    return -CrossedKronecker(inverse.T, inverse)


# 2.1.1 General form


# at a given t the path can have any value, first and second derivative: no more of it enters the formulas
@identity("Determinant of a matrix that moves with a scalar")
def det_path(A: Float[Array, "n n"], B: Float[Array, "n n"], C: Float[Array, "n n"], t: Float[Array, ""]) -> Scalar:
    r"\det(A + tB + t^2C)"
    return jnp.linalg.det(A + t * B + t**2 * C)


@det_path.gradient(
    "t",
    "MCB 46",
    printed("MCB 46", r"\det(Y)\operatorname{tr}\left[Y^{-1}\frac{\partial Y}{\partial x}\right]"),
)
def det_path_dt(A, B, C, t):
    r"\det(Y)\operatorname{tr}\left[Y^{-1}\frac{\partial Y}{\partial t}\right],\quad Y = A + tB + t^2C"
    factors = lu_factor(A + t * B + t**2 * C)
    return _det_of(factors) * jnp.trace(lu_solve(factors, B + 2 * t * C))


@det_path.hessian(
    "t",
    "MCB 48",
    printed(
        "MCB 48",
        r"\det(Y)\left[\operatorname{tr}\left[Y^{-1}\frac{\partial\frac{\partial Y}{\partial x}}{\partial x}\right]"
        r" + \operatorname{tr}\left[Y^{-1}\frac{\partial Y}{\partial x}\right]"
        r"\operatorname{tr}\left[Y^{-1}\frac{\partial Y}{\partial x}\right]"
        r" - \operatorname{tr}\left[\left(Y^{-1}\frac{\partial Y}{\partial x}\right)"
        r"\left(Y^{-1}\frac{\partial Y}{\partial x}\right)\right]\right]",
    ),
)
def det_path_d2t(A, B, C, t):
    r"""
    \det(Y)\left[\operatorname{tr}\left[Y^{-1}\frac{\partial^2 Y}{\partial t^2}\right]
    + \operatorname{tr}\left[Y^{-1}\frac{\partial Y}{\partial t}\right]^2
    - \operatorname{tr}\left[Y^{-1}\frac{\partial Y}{\partial t}\,Y^{-1}\frac{\partial Y}{\partial t}\right]\right],
    \quad Y = A + tB + t^2C
    """
    lu, pivots, order = jax.lax.linalg.lu(A + t * B + t**2 * C)
    d = jnp.diagonal(lu)
    # Y^-1 dY/dt is similar to D^-1 M for M = L^-1 (P dY/dt) (D^-1 U)^-1 and D the diagonal of U; the difference of
    # the two traces is then a sum of minors of M, none of them divided twice by the pivot that is small near
    # singularity, where the traces themselves would cancel
    M = solve_triangular(lu, (B + 2 * t * C)[order], lower=True, unit_diagonal=True)
    M = solve_triangular(lu / d[:, None], M.T, trans=1, unit_diagonal=True).T
    m = jnp.diagonal(M)
    minors = (m[:, None] * m[None, :] - M * M.T) * (1 - jnp.eye(len(d), dtype=d.dtype))
    second = lu_solve((lu, pivots), 2 * C)
    return _det_of((lu, pivots)) * (jnp.trace(second) + jnp.sum(minors / d[:, None] / d[None, :]))


# the left-hand side is itself a derivative, so the function is that derivative, contracted as the book contracts it
@identity("Rows of X times the rows of its cofactors")
def cofactor_expansion(X: Float[Array, "n n"]) -> Float[Array, "n n"]:
    r"\sum_k \frac{\partial\det(X)}{\partial X_{ik}}X_{jk}"
    return jax.grad(jnp.linalg.det)(X) @ X.T


@cofactor_expansion.value("MCB 47", "MCB 50")
def cofactor_expansion_is_delta(X):
    r"\delta_{ij}\det(X)"
    return jnp.linalg.det(X) * jnp.eye(len(X), dtype=X.dtype)


@cofactor_expansion.value("ours")
def cofactor_expansion_is_cofactors(X):
    r"\sum_k \det\left(X + e_i (e_k^\top - e_i^\top X)\right) X_{jk}"
    return _cofactors(X) @ X.T


# the same without a derivative on the left; X + e_i (e_k' - e_i' X) is X with e_k' for its row i
@identity("Rows of X times the rows of its cofactors, each of them a determinant")
def cofactor_rows(X: Float[Array, "n n"]) -> Float[Array, "n n"]:
    r"\sum_k \det\left(X + e_i (e_k^\top - e_i^\top X)\right) X_{jk}"
    return _cofactors(X) @ X.T


@cofactor_rows.value("MCB 47 with cofactors for the derivative", "MCB 50 with cofactors for the derivative")
def cofactor_rows_is_delta(X):
    r"\delta_{ij}\det(X)"
    return jnp.linalg.det(X) * jnp.eye(len(X), dtype=X.dtype)


# 2.1.2 Linear forms


@identity("Determinant of a product linear in X", where="k <= m and k <= n")
def det_axb(A: Float[Array, "k m"], X: Float[Array, "m n"], B: Float[Array, "n k"]) -> Scalar:
    r"\det(AXB)"
    return jnp.linalg.det(A @ X @ B)


@det_axb.gradient("X", "ours")
def det_axb_dX(A, X, B):
    r"\det(AXB)\,A^\top(AXB)^{-\top}B^\top"
    factors = lu_factor(A @ X @ B)
    return _det_of(factors) * (A.T @ lu_solve(factors, B.T, trans=1))


@det_axb.gradient("X", "ours")
def det_axb_dX_adjugate(A, X, B):
    r"A^\top\operatorname{adj}(AXB)^\top B^\top"
    return (A.T @ _adjugate(A @ X @ B).T) @ B.T


@det_axb.gradient(
    "X",
    "MCB 51",
    printed("MCB 51", r"\det(AXB)(X^\top)^{-1}"),
    given={"A": Float[Array, "n n"], "X": Invertible[Array, "n n"], "B": Float[Array, "n n"]},
)
def det_axb_dX_square(A, X, B):
    r"\det(AXB)(X^{-1})^\top"
    factors = lu_factor(X)
    others = jnp.linalg.det(A) * jnp.linalg.det(B)
    return (others * _det_of(factors)) * lu_solve(factors, jnp.eye(len(X), dtype=X.dtype), trans=1)


@det_axb.refuted(
    "gradient",
    "X",
    "MCB 51",
    because="A and B must be square too: where they are k x n and n x k with k < n, the gradient has rank k, not n",
    given={"X": Invertible[Array, "n n"]},
)
def det_axb_dX_printed_MCB51(A, X, B):
    r"\det(AXB)(X^{-1})^\top"
    return jnp.linalg.det(A @ X @ B) * jnp.linalg.inv(X).T


@det_axb.gradient("A", "ours")
def det_axb_dA(A, X, B):
    r"\det(AXB)(AXB)^{-\top}(XB)^\top"
    XB = X @ B
    factors = lu_factor(A @ XB)
    return _det_of(factors) * lu_solve(factors, XB.T, trans=1)


@det_axb.gradient("B", "ours")
def det_axb_dB(A, X, B):
    r"\det(AXB)(AX)^\top(AXB)^{-\top}"
    AX = A @ X
    factors = lu_factor(AX @ B)
    return _det_of(factors) * lu_solve(factors, AX).T


# 2.1.3 Square forms


@identity("Determinant of a square form", where="n <= m")
def det_xax(X: FullRank[Array, "m n"], A: Float[Array, "m m"]) -> Scalar:
    r"\det(X^\top AX)"
    return jnp.linalg.det(X.T @ A @ X)


@det_xax.gradient("X", "MCB 54")
def det_xax_dX(X, A):
    r"\det(X^\top AX)\left(AX(X^\top AX)^{-1} + A^\top X(X^\top A^\top X)^{-1}\right)"
    AX = A @ X
    # the second matrix to be inverted is the first one transposed: one factorisation serves both
    factors = lu_factor(X.T @ AX)
    return _det_of(factors) * (lu_solve(factors, AX.T, trans=1) + lu_solve(factors, X.T @ A)).T


@det_xax.gradient("X", "MCB 52", given={"X": Invertible[Array, "n n"]})
def det_xax_dX_square(X, A):
    r"2\det(X^\top AX)X^{-\top}"
    factors = lu_factor(X)
    det_X, det_A = _det_of(factors), jnp.linalg.det(A)
    return (2 * det_A * det_X**2) * lu_solve(factors, jnp.eye(len(X), dtype=X.dtype), trans=1)


@det_xax.gradient("X", "MCB 53", given={"A": Symmetric[Array, "m m"]})
def det_xax_dX_symmetric(X, A):
    r"2\det(X^\top AX)AX(X^\top AX)^{-1}"
    AX = A @ X
    factors = lu_factor(X.T @ AX)
    return (2 * _det_of(factors)) * lu_solve(factors, AX.T).T


@det_xax.refuted(
    "gradient",
    "X",
    "MCB 53 without its condition",
    because="for an A that is not symmetric and an X that is not square, the terms of A and of its transpose differ",
)
def det_xax_dX_printed_MCB53(X, A):
    r"2\det(X^\top AX)AX(X^\top AX)^{-1}"
    AX = A @ X
    factors = lu_factor(X.T @ AX)
    return (2 * _det_of(factors)) * lu_solve(factors, AX.T, trans=1).T


@det_xax.gradient("A", "ours")
def det_xax_dA(X, A):
    r"\det(X^\top AX)\,X(X^\top AX)^{-\top}X^\top"
    factors = lu_factor(X.T @ A @ X)
    return _det_of(factors) * (X @ lu_solve(factors, X.T, trans=1))


# 2.1.4 Other nonlinear forms


@identity("Logarithm of the determinant of a Gram matrix", where="n <= m")
def logdet_gram(X: FullRank[Array, "m n"]) -> Scalar:
    r"\ln\det(X^\top X)"
    return jnp.log(jnp.linalg.det(X.T @ X))


@logdet_gram.value("ours", computed=True)
def logdet_gram_is_computed(X):
    r"2\sum_i \ln|R_{ii}|,\quad X = QR"
    R = jnp.linalg.qr(X, mode="r")
    return 2 * jnp.sum(jnp.log(jnp.abs(jnp.diagonal(R))))


@logdet_gram.gradient("X", "MCB 55")
def logdet_gram_dX(X):
    r"2(X^+)^\top"
    return 2 * cho_solve(cho_factor(X.T @ X), X.T).T


# twice the work on tall X, but the condition number of X is not squared
@logdet_gram.gradient("X", "ours")
def logdet_gram_dX_qr(X):
    r"2QR^{-\top},\quad X = QR"
    Q, R = jnp.linalg.qr(X)
    return 2 * solve_triangular(R, Q.T).T


@identity("Logarithm of the determinant of a Gram matrix, by the pseudo-inverse", where="n <= m")
def logdet_gram_pinv(P: FullRank[Array, "n m"]) -> Scalar:
    r"\ln\det\left((P^+)^\top P^+\right)"
    X = jnp.linalg.pinv(P)
    return jnp.log(jnp.linalg.det(X.T @ X))


@logdet_gram_pinv.value("ours", computed=True)
def logdet_gram_pinv_is_computed(P):
    r"-2\sum_i \ln|R_{ii}|,\quad P^\top = QR"
    R = jnp.linalg.qr(P.T, mode="r")
    return -2 * jnp.sum(jnp.log(jnp.abs(jnp.diagonal(R))))


@logdet_gram_pinv.gradient("P", printed("MCB 56", r"-2X^\top"))
def logdet_gram_pinv_dP(P):
    r"-2(P^+)^\top"
    Q, R = jnp.linalg.qr(P.T)
    return -2 * solve_triangular(R, Q.T)


@identity("Logarithm of the absolute value of a determinant")
def log_abs_det(X: Invertible[Array, "n n"]) -> Scalar:
    r"\ln|\det(X)|"
    return jnp.log(jnp.abs(jnp.linalg.det(X)))


@log_abs_det.value("ours", computed=True)
def log_abs_det_is_computed(X):
    r"\sum_i \ln|U_{ii}|,\quad PX = LU"
    return jnp.linalg.slogdet(X)[1]


@log_abs_det.gradient("X", "MCB 57", printed("MCB 57", r"(X^\top)^{-1}"))
def log_abs_det_dX(X):
    r"(X^{-1})^\top"
    return jnp.linalg.inv(X).T


@log_abs_det.differential("X", "ours")
def log_abs_det_along_dX(X, dX):
    r"\operatorname{tr}(X^{-1}\mathrm{d}X)"
    return jnp.trace(jnp.linalg.solve(X, dX))


@log_abs_det.hessian("X", "ours", axes="ij kl")
def log_abs_det_d2X(X):
    r"-(X^{-1})_{li}(X^{-1})_{jk}"
    inverse = jnp.linalg.inv(X)
    return -CrossedKronecker(inverse.T, inverse)


@identity("Determinant of a power")
def det_power(X: Invertible[Array, "n n"], k: Count[int, "0..4"]) -> Scalar:
    r"\det(X^k)"
    return jnp.linalg.det(jnp.linalg.matrix_power(X, k))


@det_power.value("ours", computed=True)
def det_power_is_computed(X, k):
    r"\det(X)^k"
    return jnp.linalg.det(X) ** k


@det_power.gradient("X", "MCB 58")
def det_power_dX(X, k):
    r"k\det(X^k)X^{-\top}"
    factors = lu_factor(X)
    return (k * _det_of(factors) ** k) * lu_solve(factors, jnp.eye(len(X), dtype=X.dtype), trans=1)
