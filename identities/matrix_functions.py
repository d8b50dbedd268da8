"""Traces of functions of a matrix: powers, power series, sine and exponential, inverses of Gram matrices.

A function F of numbers, applied to a square matrix, is what its power series says: sin(X) is no sine
of the entries, for which the first formula of this chapter is false.  Sine and cosine of a real
matrix are read off e^{iX}.  The value claims (`..._is_computed`) and the gradients share one
exponential or one factorisation; X'CX is never inverted, only solved with.  That it has an inverse is left
to the reader: a full rank of X is not enough where C is indefinite.
"""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Array, Float

from identities.engine.identity import identity
from identities.engine.operands import Count, FullRank, Scalar, Symmetric
from identities.lemmas import power_derivative
from identities.operators import CrossedKronecker, Outer, Transposition


def _inner(P, Q):
    """tr(P'Q) without the product."""
    return jnp.sum(P * Q)


def _scaled_identity(scale, X):
    """scale I, of the size and dtype of the square X."""
    return scale * jnp.eye(X.shape[0], dtype=X.dtype)


def _exp_i(X):
    """e^{iX} = cos(X) + i sin(X), for a real X."""
    return jax.scipy.linalg.expm(jax.lax.complex(jnp.zeros_like(X), X))


def _square(P):
    """e^X from the e^{X/2} that the traces are computed from: the two share it, and alone it costs no more."""
    return P @ P


def _of_symmetric(f, X):
    """f(X) of a symmetric X, by f of its eigenvalues."""
    values, vectors = jnp.linalg.eigh(X)
    return (vectors * f(values)[None, :]) @ vectors.T


# 2.5 The trace of a function of a matrix


@identity("Trace of a polynomial of a matrix")
def tr_poly(X: Float[Array, "n n"], c: Float[Array, "p"]) -> Scalar:
    r"\operatorname{tr}(F(X))\,\big|_{F(x) = \sum_{k=0}^{p-1} c_k x^k}"
    return jnp.trace(sum(c[k] * jnp.linalg.matrix_power(X, k) for k in range(len(c))))


@tr_poly.gradient("X", "MCB 98a")
def tr_poly_dX(X, c):
    r"f(X)^\top, \quad f(x) = \sum_{k=1}^{p-1} k\,c_k x^{k-1}"
    top = len(c) - 1
    total = _scaled_identity(top * c[top], X)
    for k in range(top - 1, 0, -1):
        total = total @ X + _scaled_identity(k * c[k], X)
    return total.T


@tr_poly.gradient("c", "ours")
def tr_poly_dc(X, c):
    r"\sum_{k=0}^{p-1} \operatorname{tr}(X^k)\,e_{k+1}"
    powers = [jnp.eye(X.shape[0], dtype=X.dtype)]
    # a trace of a product needs no product: half of the powers are enough
    for _ in range(len(c) // 2):
        powers.append(powers[-1] @ X)
    return jnp.stack([_inner(powers[k // 2], powers[k - k // 2].T) for k in range(len(c))])


@tr_poly.value("ours", computed=True)
def tr_poly_is_computed(X, c):
    r"c_0 n + \sum_{ij} X_{ji} H_{ij}, \quad H = \sum_{k=1}^{p-1} c_k X^{k-1}"
    total = _scaled_identity(c[-1], X)
    for k in range(len(c) - 2, 0, -1):
        total = total @ X + _scaled_identity(c[k], X)
    return _inner(total, X.T) + c[0] * X.shape[0] if len(c) > 1 else jnp.trace(total)


@identity("Trace of a polynomial of each entry of a matrix")
def tr_poly_entries(X: Float[Array, "n n"], c: Float[Array, "p"]) -> Scalar:
    r"\operatorname{tr}(F(X))\,\big|_{F(X)_{ij} = \sum_{k=0}^{p-1} c_k X_{ij}^k}"
    return jnp.trace(sum(c[k] * X**k for k in range(len(c))))


@tr_poly_entries.gradient("X", "ours")
def tr_poly_entries_dX(X, c):
    r"I \circ f(X), \quad f(X)_{ij} = \sum_{k=1}^{p-1} k\,c_k X_{ij}^{k-1}"
    k = jnp.arange(1, len(c), dtype=c.dtype)
    return jnp.diag(jnp.polyval((k * c[1:])[::-1], jnp.diagonal(X)))


@tr_poly_entries.refuted(
    "gradient",
    "X",
    "MCB 98a",
    because="if F acts on each entry, then only the diagonal of X reaches the trace, however smooth F is in each entry",
    right_if="F is a power series in the matrix X",
)
def tr_poly_entries_dX_printed_MCB98a(X, c):
    r"f(X)^\top, \quad f(X)_{ij} = \sum_{k=1}^{p-1} k\,c_k X_{ij}^{k-1}"
    k = jnp.arange(1, len(c), dtype=c.dtype)
    return jnp.polyval((k * c[1:])[::-1], X.T)


@tr_poly_entries.value("ours", computed=True)
def tr_poly_entries_is_computed(X, c):
    r"\sum_i \sum_{k=0}^{p-1} c_k X_{ii}^k"
    return jnp.sum(jnp.polyval(c[::-1], jnp.diagonal(X)))


@identity("Trace of the exponential of a matrix")
def tr_exp(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(e^X)"
    return jnp.trace(jax.scipy.linalg.expm(X))


@tr_exp.gradient("X", "MCB 98a")
def tr_exp_dX(X):
    r"(e^X)^\top"
    return _square(jax.scipy.linalg.expm(X / 2)).T


@tr_exp.gradient("X", "ours", given={"X": Symmetric[Array, "n n"]})
def tr_exp_dX_symmetric(X):
    r"e^X"
    return _of_symmetric(jnp.exp, X)


@tr_exp.value("ours", computed=True)
def tr_exp_is_computed(X):
    r"\sum_{ij} (e^{X/2})_{ij}(e^{X/2})_{ji}"
    half = jax.scipy.linalg.expm(X / 2)
    return _inner(half, half.T)


@tr_exp.value("ours", given={"X": Symmetric[Array, "n n"]})
def tr_exp_is_eigenvalues(X):
    r"\sum_i e^{\lambda_i(X)}"
    return jnp.sum(jnp.exp(jnp.linalg.eigvalsh(X)))


@identity("Trace of the cosine of a matrix")
def tr_cos(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(\cos(X))"
    return jnp.trace(jnp.real(_exp_i(X)))


@tr_cos.gradient("X", "MCB 98a")
def tr_cos_dX(X):
    r"-\sin(X)^\top"
    return -jnp.imag(_square(_exp_i(X / 2))).T


@tr_cos.value("ours", computed=True)
def tr_cos_is_computed(X):
    r"\sum_{ij} \left[\cos(X/2)_{ij}\cos(X/2)_{ji} - \sin(X/2)_{ij}\sin(X/2)_{ji}\right]"
    half = _exp_i(X / 2)
    return jnp.real(_inner(half, half.T))


@tr_cos.value("ours", given={"X": Symmetric[Array, "n n"]})
def tr_cos_is_eigenvalues(X):
    r"\sum_i \cos(\lambda_i(X))"
    return jnp.sum(jnp.cos(jnp.linalg.eigvalsh(X)))


# 2.5.1 First order


@identity("Trace of a Kronecker product linear in X")
def tr_kron_ax(A: Float[Array, "m m"], X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(A \otimes X)"
    return jnp.trace(jnp.kron(A, X))


@tr_kron_ax.gradient("X", "MCB 105")
def tr_kron_ax_dX(A, X):
    r"\operatorname{tr}(A) I"
    return _scaled_identity(jnp.trace(A), X)


@tr_kron_ax.gradient("A", "ours")
def tr_kron_ax_dA(A, X):
    r"\operatorname{tr}(X) I"
    return _scaled_identity(jnp.trace(X), A)


@tr_kron_ax.value("ours", computed=True)
def tr_kron_ax_is_computed(A, X):
    r"\operatorname{tr}(A) \operatorname{tr}(X)"
    return jnp.trace(A) * jnp.trace(X)


# 2.5.2 Second order


@identity("Trace of a square")
def tr_x2(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X^2)"
    return jnp.trace(X @ X)


@tr_x2.gradient("X", "MCB 106")
def tr_x2_dX(X):
    r"2X^\top"
    # XLA lays out X + X anew in a quarter of the time that it takes for 2 X
    return X.T + X.T


@tr_x2.hessian("X", "ours")
def tr_x2_d2X(X):
    r"\left[2\,\delta_{il}\,\delta_{jk}\right]_{ijkl}"
    return 2 * Transposition(X.shape, X.dtype)


@tr_x2.value("ours", computed=True)
def tr_x2_is_computed(X):
    r"\sum_{ij} X_{ij} X_{ji}"
    return _inner(X, X.T)


@identity("Trace of a square times a matrix")
def tr_x2b(X: Float[Array, "n n"], B: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X^2B)"
    return jnp.trace(X @ X @ B)


@tr_x2b.gradient("X", "MCB 107")
def tr_x2b_dX(X, B):
    r"(XB + BX)^\top"
    return (X @ B + B @ X).T


@tr_x2b.gradient("B", "ours")
def tr_x2b_dB(X, B):
    r"(X^2)^\top"
    return (X @ X).T


@tr_x2b.value("ours", computed=True)
def tr_x2b_is_computed(X, B):
    r"\sum_{ij} (X^2)_{ij} B_{ji}"
    return _inner(X @ X, B.T)


@identity("Trace of the Kronecker product of X with itself")
def tr_kron_xx(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X \otimes X)"
    return jnp.trace(jnp.kron(X, X))


@tr_kron_xx.gradient("X", "MCB 120")
def tr_kron_xx_dX(X):
    r"2\operatorname{tr}(X) I"
    return _scaled_identity(2 * jnp.trace(X), X)


@tr_kron_xx.value("MCB 120", computed=True)
def tr_kron_xx_is_computed(X):
    r"\operatorname{tr}(X) \operatorname{tr}(X)"
    return jnp.square(jnp.trace(X))


@identity("Square of a trace")
def tr_x_tr_x(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X) \operatorname{tr}(X)"
    return jnp.trace(X) * jnp.trace(X)


@tr_x_tr_x.gradient("X", "MCB 120")
def tr_x_tr_x_dX(X):
    r"2\operatorname{tr}(X) I"
    return _scaled_identity(2 * jnp.trace(X), X)


@tr_x_tr_x.hessian("X", "ours")
def tr_x_tr_x_d2X(X):
    r"\left[2\,\delta_{ij}\,\delta_{kl}\right]_{ijkl}"
    eye = jnp.eye(X.shape[0], dtype=X.dtype)
    return Outer(2 * eye, eye)


# 2.5.3 Higher order


@identity("Trace of a power")
def tr_xk(X: Float[Array, "n n"], k: Count[int, "1..6"]) -> Scalar:
    r"\operatorname{tr}(X^k)"
    return jnp.trace(jnp.linalg.matrix_power(X, k))


@tr_xk.gradient("X", "MCB 121", "Minka Derivatives")
def tr_xk_dX(X, k):
    r"k(X^{k-1})^\top"
    return k * jnp.linalg.matrix_power(X, k - 1).T


@tr_xk.hessian("X", "ours")
def tr_xk_d2X(X, k):
    r"\left[k \sum_{r=0}^{k-2} (X^r)_{jp}\,(X^{k-2-r})_{qi}\right]_{ij,\,pq}"
    n = X.shape[0]
    powers = [jnp.eye(n, dtype=X.dtype)]
    for _ in range(k - 2):
        powers.append(powers[-1] @ X)
    total = Outer(jnp.zeros((n, n), X.dtype), jnp.zeros((n, n), X.dtype))
    for r in range(k - 1):
        total = total + CrossedKronecker(powers[k - 2 - r].T, powers[r])
    return k * total


@tr_xk.value("ours", computed=True)
def tr_xk_is_computed(X, k):
    r"\sum_{ij} (X^{\lfloor k/2 \rfloor})_{ij}\,(X^{\lceil k/2 \rceil})_{ji}"
    if k == 1:
        return jnp.trace(X)
    half = jnp.linalg.matrix_power(X, k // 2)
    return _inner(half, (half @ X if k % 2 else half).T)


@identity("Trace of a matrix times a power")
def tr_axk(A: Float[Array, "n n"], X: Float[Array, "n n"], k: Count[int, "1..6"]) -> Scalar:
    r"\operatorname{tr}(AX^k)"
    return jnp.trace(A @ jnp.linalg.matrix_power(X, k))


@tr_axk.gradient("X", "MCB 122")
def tr_axk_dX(A, X, k):
    r"\sum_{r=0}^{k-1} (X^r AX^{k-r-1})^\top"
    return power_derivative(X, A, k).T


@tr_axk.gradient("A", "ours")
def tr_axk_dA(A, X, k):
    r"(X^k)^\top"
    return jnp.linalg.matrix_power(X, k).T


@tr_axk.value("ours", computed=True)
def tr_axk_is_computed(A, X, k):
    r"\sum_{ij} A_{ji}\,(X^k)_{ij}"
    return _inner(A.T, jnp.linalg.matrix_power(X, k))


@identity("Trace of a product of fourth order in X")
def tr_btxtcxxtcxb(B: Float[Array, "n p"], X: Float[Array, "m n"], C: Float[Array, "m m"]) -> Scalar:
    r"\operatorname{tr}\left[B^\top X^\top CXX^\top CXB\right]"
    return jnp.trace(B.T @ X.T @ C @ X @ X.T @ C @ X @ B)


@tr_btxtcxxtcxb.gradient("X", "MCB 123")
def tr_btxtcxxtcxb_dX(B, X, C):
    r"CXX^\top CXBB^\top + C^\top XBB^\top X^\top C^\top X + CXBB^\top X^\top CX + C^\top XX^\top C^\top XBB^\top"
    # B comes first in every product, so that nothing is wider than B until the very end
    U = X @ B
    V, V_t = C @ U, C.T @ U
    W, W_t = X.T @ V, X.T @ V_t
    return (C @ (X @ W) + C.T @ (X @ W_t)) @ B.T + V_t @ W.T + V @ W_t.T


@tr_btxtcxxtcxb.gradient("B", "ours")
def tr_btxtcxxtcxb_dB(B, X, C):
    r"X^\top CXX^\top CXB + X^\top C^\top XX^\top C^\top XB"
    U = X @ B
    W, W_t = X.T @ (C @ U), X.T @ (C.T @ U)
    return X.T @ (C @ (X @ W) + C.T @ (X @ W_t))


@tr_btxtcxxtcxb.gradient("C", "ours")
def tr_btxtcxxtcxb_dC(B, X, C):
    r"XBB^\top X^\top C^\top XX^\top + XX^\top C^\top XBB^\top X^\top"
    U = X @ B
    W, W_t = X.T @ (C @ U), X.T @ (C.T @ U)
    return U @ (X @ W).T + (X @ W_t) @ U.T


@tr_btxtcxxtcxb.value("ours", computed=True)
def tr_btxtcxxtcxb_is_computed(B, X, C):
    r"\sum_{ij} (X^\top C^\top XB)_{ij}\,(X^\top CXB)_{ij}"
    U = X @ B
    return _inner(X.T @ (C.T @ U), X.T @ (C @ U))


# 2.5.4 Other


def _ratio_gradient(N, X, B, C):
    """The gradient by X of tr(N^-1 X'BX), where N = X'CX plus a constant."""
    lu = jax.scipy.linalg.lu_factor(N)
    BX, BtX, CX = B @ X, B.T @ X, C @ X
    S = X.T @ BX
    Y = BX - CX @ jax.scipy.linalg.lu_solve(lu, S)
    Z = BtX - C.T @ (X @ jax.scipy.linalg.lu_solve(lu, S.T, trans=1))
    return jax.scipy.linalg.lu_solve(lu, Y.T, trans=1).T + jax.scipy.linalg.lu_solve(lu, Z.T).T


def _ratio_gradient_symmetric(N, X, B, C):
    """The same for symmetric N, B and C.  They may be indefinite, so N gets no Cholesky factor."""
    lu = jax.scipy.linalg.lu_factor(N)
    BX = B @ X
    # the difference of the two terms is taken in front of the solve that they share
    Y = BX - C @ (X @ jax.scipy.linalg.lu_solve(lu, X.T @ BX))
    return 2 * jax.scipy.linalg.lu_solve(lu, Y.T).T


def _two_sided(N, S):
    """N^-1 S N^-1 with one factorisation."""
    lu = jax.scipy.linalg.lu_factor(N)
    return jax.scipy.linalg.lu_solve(lu, jax.scipy.linalg.lu_solve(lu, S).T, trans=1).T


@identity("Trace of the inverse of a weighted Gram matrix, times a matrix", where="n <= m")
def tr_inv_gram(X: FullRank[Array, "m n"], C: Float[Array, "m m"], A: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}\left[(X^\top CX)^{-1}A\right]"
    return jnp.trace(jnp.linalg.inv(X.T @ C @ X) @ A)


@tr_inv_gram.gradient("X", "ours")
def tr_inv_gram_dX(X, C, A):
    r"-CX(X^\top CX)^{-1}A(X^\top CX)^{-1} - C^\top X(X^\top CX)^{-\top}A^\top(X^\top CX)^{-\top}"
    CX = C @ X
    W = _two_sided(X.T @ CX, A)
    return -(CX @ W + C.T @ (X @ W.T))


@tr_inv_gram.gradient("X", "MCB 125", given={"C": Symmetric[Array, "m m"]})
def tr_inv_gram_dX_symmetric(X, C, A):
    r"-(CX(X^\top CX)^{-1})(A + A^\top)(X^\top CX)^{-1}"
    CX = C @ X
    return -CX @ _two_sided(X.T @ CX, A + A.T)


@tr_inv_gram.gradient("C", "ours")
def tr_inv_gram_dC(X, C, A):
    r"-X(X^\top CX)^{-\top}A^\top(X^\top CX)^{-\top}X^\top"
    return -X @ (X @ _two_sided(X.T @ (C @ X), A)).T


@tr_inv_gram.gradient("A", "ours")
def tr_inv_gram_dA(X, C, A):
    r"(X^\top CX)^{-\top}"
    return jnp.linalg.inv(X.T @ (C @ X)).T


@tr_inv_gram.value("ours", computed=True)
def tr_inv_gram_is_computed(X, C, A):
    r"\operatorname{tr}\left[(X^\top CX) \backslash A\right]"
    return jnp.trace(jnp.linalg.solve(X.T @ (C @ X), A))


# for a square X it is tr(C^-1 B) without any X in it, and the gradient is zero: autodiff leaves nothing there
# but the rounding of large terms that cancel, which says nothing about a formula
@identity("Trace of the ratio of two Gram matrices", where="n < m")
def tr_gram_ratio(X: FullRank[Array, "m n"], C: Float[Array, "m m"], B: Float[Array, "m m"]) -> Scalar:
    r"\operatorname{tr}\left[(X^\top CX)^{-1}(X^\top BX)\right]"
    return jnp.trace(jnp.linalg.inv(X.T @ C @ X) @ (X.T @ B @ X))


@tr_gram_ratio.gradient("X", "ours")
def tr_gram_ratio_dX(X, C, B):
    r"""(B - CXM^{-1}X^\top B)XM^{-1} + (B^\top - C^\top XM^{-\top}X^\top B^\top)XM^{-\top},
    \quad M = X^\top CX"""
    return _ratio_gradient(X.T @ (C @ X), X, B, C)


@tr_gram_ratio.gradient("X", "MCB 126", given={"C": Symmetric[Array, "m m"], "B": Symmetric[Array, "m m"]})
def tr_gram_ratio_dX_symmetric(X, C, B):
    r"-2CX(X^\top CX)^{-1}X^\top BX(X^\top CX)^{-1} + 2BX(X^\top CX)^{-1}"
    return _ratio_gradient_symmetric(X.T @ (C @ X), X, B, C)


@tr_gram_ratio.gradient("B", "ours")
def tr_gram_ratio_dB(X, C, B):
    r"X(X^\top CX)^{-\top}X^\top"
    return X @ jax.scipy.linalg.lu_solve(jax.scipy.linalg.lu_factor(X.T @ (C @ X)), X.T, trans=1)


@tr_gram_ratio.gradient("C", "ours")
def tr_gram_ratio_dC(X, C, B):
    r"-X(X^\top CX)^{-\top}X^\top B^\top X(X^\top CX)^{-\top}X^\top"
    return -X @ (X @ _two_sided(X.T @ (C @ X), X.T @ (B @ X))).T


@tr_gram_ratio.value("ours", computed=True)
def tr_gram_ratio_is_computed(X, C, B):
    r"\operatorname{tr}\left[(X^\top CX) \backslash (X^\top BX)\right]"
    return jnp.trace(jnp.linalg.solve(X.T @ (C @ X), X.T @ (B @ X)))


@identity("Trace of the ratio of two Gram matrices, the lower one with a matrix added")
def tr_ridge_ratio(
    A: Float[Array, "n n"], X: Float[Array, "m n"], C: Float[Array, "m m"], B: Float[Array, "m m"]
) -> Scalar:
    r"\operatorname{tr}\left[(A + X^\top CX)^{-1}(X^\top BX)\right]"
    return jnp.trace(jnp.linalg.inv(A + X.T @ C @ X) @ (X.T @ B @ X))


@tr_ridge_ratio.gradient("X", "ours")
def tr_ridge_ratio_dX(A, X, C, B):
    r"""(B - CXN^{-1}X^\top B)XN^{-1} + (B^\top - C^\top XN^{-\top}X^\top B^\top)XN^{-\top},
    \quad N = A + X^\top CX"""
    return _ratio_gradient(A + X.T @ (C @ X), X, B, C)


@tr_ridge_ratio.gradient(
    "X", "MCB 127", given={"A": Symmetric[Array, "n n"], "C": Symmetric[Array, "m m"], "B": Symmetric[Array, "m m"]}
)
def tr_ridge_ratio_dX_symmetric(A, X, C, B):
    r"-2CX(A + X^\top CX)^{-1}X^\top BX(A + X^\top CX)^{-1} + 2BX(A + X^\top CX)^{-1}"
    return _ratio_gradient_symmetric(A + X.T @ (C @ X), X, B, C)


@tr_ridge_ratio.refuted(
    "gradient",
    "X",
    "MCB 127",
    because="with B and C symmetric but A not, the inverse differs from its transpose, and both of them occur",
    given={"C": Symmetric[Array, "m m"], "B": Symmetric[Array, "m m"]},
)
def tr_ridge_ratio_dX_printed_MCB127(A, X, C, B):
    r"-2CX(A + X^\top CX)^{-1}X^\top BX(A + X^\top CX)^{-1} + 2BX(A + X^\top CX)^{-1}"
    lu = jax.scipy.linalg.lu_factor(A + X.T @ (C @ X))
    BX = B @ X
    Y = BX - C @ (X @ jax.scipy.linalg.lu_solve(lu, X.T @ BX))
    return 2 * jax.scipy.linalg.lu_solve(lu, Y.T, trans=1).T


@tr_ridge_ratio.gradient("A", "ours")
def tr_ridge_ratio_dA(A, X, C, B):
    r"-(A + X^\top CX)^{-\top}X^\top B^\top X(A + X^\top CX)^{-\top}"
    return -_two_sided(A + X.T @ (C @ X), X.T @ (B @ X)).T


@tr_ridge_ratio.gradient("B", "ours")
def tr_ridge_ratio_dB(A, X, C, B):
    r"X(A + X^\top CX)^{-\top}X^\top"
    return X @ jax.scipy.linalg.lu_solve(jax.scipy.linalg.lu_factor(A + X.T @ (C @ X)), X.T, trans=1)


@tr_ridge_ratio.gradient("C", "ours")
def tr_ridge_ratio_dC(A, X, C, B):
    r"-X(A + X^\top CX)^{-\top}X^\top B^\top X(A + X^\top CX)^{-\top}X^\top"
    return -X @ (X @ _two_sided(A + X.T @ (C @ X), X.T @ (B @ X))).T


@tr_ridge_ratio.value("ours", computed=True)
def tr_ridge_ratio_is_computed(A, X, C, B):
    r"\operatorname{tr}\left[(A + X^\top CX) \backslash (X^\top BX)\right]"
    return jnp.trace(jnp.linalg.solve(A + X.T @ (C @ X), X.T @ (B @ X)))


@identity("Trace of the sine of a matrix")
def tr_sin(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(\sin(X))"
    return jnp.trace(jnp.imag(_exp_i(X)))


@tr_sin.gradient("X", "MCB 128")
def tr_sin_dX(X):
    r"\cos(X)^\top"
    return jnp.real(_square(_exp_i(X / 2))).T


@tr_sin.gradient("X", "ours", given={"X": Symmetric[Array, "n n"]})
def tr_sin_dX_symmetric(X):
    r"\cos(X)"
    return _of_symmetric(jnp.cos, X)


@tr_sin.value("ours", computed=True)
def tr_sin_is_computed(X):
    r"2\sum_{ij} \sin(X/2)_{ij}\cos(X/2)_{ji}"
    half = _exp_i(X / 2)
    return 2 * _inner(jnp.imag(half), jnp.real(half).T)


@tr_sin.value("ours", given={"X": Symmetric[Array, "n n"]})
def tr_sin_is_eigenvalues(X):
    r"\sum_i \sin(\lambda_i(X))"
    return jnp.sum(jnp.sin(jnp.linalg.eigvalsh(X)))
