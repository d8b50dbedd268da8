"""Traces: derivatives of tr of products that are linear or quadratic in a matrix.

The functions are written as they are printed, so most of them form a whole product and then read its
diagonal.  Their value claims (`..._is_computed`) hold the form to run: tr(P'Q) is the sum of P * Q,
which saves the last product.  Gradients have the shape of the operand they are taken by, and second
derivatives its axes twice; they are made of a few small matrices and come as operators (see
`identities.operators`).  Powers and other functions of one square matrix, Kronecker products and
inverses of Gram matrices have the chapter behind this one; tr(AX^-1 B) stands with the inverses.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Scalar
from identities.operators import CrossedKronecker, EachColumn, EachRow, Kronecker, ScaledIdentity


def _inner(P, Q):
    """tr(P'Q) without the product."""
    return jnp.sum(P * Q)


# 2.5.1 First order


@identity("Trace")
def tr_x(X: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X)"
    return jnp.trace(X)


@tr_x.differential("X", "MCB 36")
def tr_x_along_dX(X, dX):
    r"\operatorname{tr}(\mathrm{d}X)"
    return jnp.trace(dX)


@tr_x.gradient("X", "MCB 99")
def tr_x_dX(X):
    r"I"
    return jnp.eye(X.shape[0], dtype=X.dtype)


@identity("Trace of a product of two matrices")
def tr_xa(X: Float[Array, "m n"], A: Float[Array, "n m"]) -> Scalar:
    r"\operatorname{tr}(XA)"
    return jnp.trace(X @ A)


@tr_xa.gradient("X", "MCB 100")
def tr_xa_dX(X, A):
    r"A^\top"
    return A.T


@tr_xa.gradient("A", printed("Minka Derivatives", r"A^\top \text{ for } \operatorname{tr}(AX) \text{ by } X"))
def tr_xa_dA(X, A):
    r"X^\top"
    return X.T


@tr_xa.value("ours", computed=True)
def tr_xa_is_computed(X, A):
    r"\sum_{ij} X_{ij} A_{ji}"
    return _inner(X, A.T)


@identity("Trace of a product linear in X")
def tr_axb(A: Float[Array, "p m"], X: Float[Array, "m n"], B: Float[Array, "n p"]) -> Scalar:
    r"\operatorname{tr}(AXB)"
    return jnp.trace(A @ X @ B)


@tr_axb.gradient("X", "MCB 101")
def tr_axb_dX(A, X, B):
    r"A^\top B^\top"
    return A.T @ B.T


@tr_axb.gradient("A", "ours")
def tr_axb_dA(A, X, B):
    r"(XB)^\top"
    return (X @ B).T


@tr_axb.gradient("B", "ours")
def tr_axb_dB(A, X, B):
    r"(AX)^\top"
    return (A @ X).T


@tr_axb.value("ours", computed=True)
def tr_axb_is_computed(A, X, B):
    r"\sum_{ij} (AX)_{ij} B_{ji}"
    return _inner(A @ X, B.T)


@identity("Trace of a product linear in the transpose of X")
def tr_axtb(A: Float[Array, "p n"], X: Float[Array, "m n"], B: Float[Array, "m p"]) -> Scalar:
    r"\operatorname{tr}(AX^\top B)"
    return jnp.trace(A @ X.T @ B)


@tr_axtb.gradient("X", "MCB 102")
def tr_axtb_dX(A, X, B):
    r"BA"
    return B @ A


@tr_axtb.gradient("A", "ours")
def tr_axtb_dA(A, X, B):
    r"B^\top X"
    return B.T @ X


@tr_axtb.gradient("B", "ours")
def tr_axtb_dB(A, X, B):
    r"XA^\top"
    return X @ A.T


@tr_axtb.value("ours", computed=True)
def tr_axtb_is_computed(A, X, B):
    r"\sum_{ij} (BA)_{ij} X_{ij}"
    return _inner(B @ A, X)


@identity("Trace of the transpose of X times a matrix: the inner product of two matrices")
def tr_xta(X: Float[Array, "m n"], A: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(X^\top A)"
    return jnp.trace(X.T @ A)


@tr_xta.gradient("X", "MCB 103")
def tr_xta_dX(X, A):
    r"A"
    return A


@tr_xta.gradient("A", "ours")
def tr_xta_dA(X, A):
    r"X"
    return X


@tr_xta.value("ours", computed=True)
def tr_xta_is_computed(X, A):
    r"\sum_{ij} X_{ij} A_{ij}"
    return _inner(X, A)


@identity("Trace of a matrix times the transpose of X")
def tr_axt(A: Float[Array, "m n"], X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(AX^\top)"
    return jnp.trace(A @ X.T)


@tr_axt.gradient("X", "MCB 104")
def tr_axt_dX(A, X):
    r"A"
    return A


@tr_axt.gradient("A", "ours")
def tr_axt_dA(A, X):
    r"X"
    return X


@tr_axt.value("ours", computed=True)
def tr_axt_is_computed(A, X):
    r"\sum_{ij} A_{ij} X_{ij}"
    return _inner(A, X)


# 2.5.2 Second order


@identity("Trace of a quadratic form in the columns of X")
def tr_xtbx(X: Float[Array, "m n"], B: Float[Array, "m m"]) -> Scalar:
    r"\operatorname{tr}(X^\top BX)"
    return jnp.trace(X.T @ B @ X)


@tr_xtbx.gradient("X", "MCB 108", printed("Minka Derivatives", r"(A + A^\top)X"))
def tr_xtbx_dX(X, B):
    r"BX + B^\top X"
    return (B + B.T) @ X


@tr_xtbx.hessian("X", "ours")
def tr_xtbx_d2X(X, B):
    r"\left[(B + B^\top)_{ik}\,\delta_{jl}\right]_{ijkl}"
    return EachColumn(B + B.T, X.shape[1])


@tr_xtbx.gradient("B", "ours")
def tr_xtbx_dB(X, B):
    r"XX^\top"
    return X @ X.T


@tr_xtbx.value("ours", computed=True)
def tr_xtbx_is_computed(X, B):
    r"\sum_{ij} X_{ij} (BX)_{ij}"
    return _inner(X, B @ X)


@identity("Trace of a matrix times the row Gram matrix of X")
def tr_bxxt(B: Float[Array, "m m"], X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(BXX^\top)"
    return jnp.trace(B @ X @ X.T)


@tr_bxxt.gradient("X", "MCB 109")
def tr_bxxt_dX(B, X):
    r"BX + B^\top X"
    return (B + B.T) @ X


@tr_bxxt.gradient("B", "ours")
def tr_bxxt_dB(B, X):
    r"XX^\top"
    return X @ X.T


@tr_bxxt.value("ours", computed=True)
def tr_bxxt_is_computed(B, X):
    r"\sum_{ij} (BX)_{ij} X_{ij}"
    return _inner(B @ X, X)


@identity("Trace of the row Gram matrix of X times a matrix")
def tr_xxtb(X: Float[Array, "m n"], B: Float[Array, "m m"]) -> Scalar:
    r"\operatorname{tr}(XX^\top B)"
    return jnp.trace(X @ X.T @ B)


@tr_xxtb.gradient("X", "MCB 110")
def tr_xxtb_dX(X, B):
    r"BX + B^\top X"
    return (B + B.T) @ X


@tr_xxtb.gradient("B", "ours")
def tr_xxtb_dB(X, B):
    r"XX^\top"
    return X @ X.T


@tr_xxtb.value("ours", computed=True)
def tr_xxtb_is_computed(X, B):
    r"\sum_{ij} X_{ij} (BX)_{ij}"
    return _inner(X, B @ X)


@identity("Trace of a quadratic form in the rows of X")
def tr_xbxt(X: Float[Array, "m n"], B: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(XBX^\top)"
    return jnp.trace(X @ B @ X.T)


@tr_xbxt.gradient("X", "MCB 111")
def tr_xbxt_dX(X, B):
    r"XB^\top + XB"
    return X @ (B.T + B)


@tr_xbxt.hessian("X", "ours")
def tr_xbxt_d2X(X, B):
    r"\left[\delta_{ik}\,(B^\top + B)_{jl}\right]_{ijkl}"
    return EachRow(B.T + B, X.shape[0])


@tr_xbxt.gradient("B", "ours")
def tr_xbxt_dB(X, B):
    r"X^\top X"
    return X.T @ X


@tr_xbxt.value("ours", computed=True)
def tr_xbxt_is_computed(X, B):
    r"\sum_{ij} (XB)_{ij} X_{ij}"
    return _inner(X @ B, X)


@identity("Trace of a matrix times the column Gram matrix of X")
def tr_bxtx(B: Float[Array, "n n"], X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(BX^\top X)"
    return jnp.trace(B @ X.T @ X)


@tr_bxtx.gradient("X", "MCB 112")
def tr_bxtx_dX(B, X):
    r"XB^\top + XB"
    return X @ (B.T + B)


@tr_bxtx.gradient("B", "ours")
def tr_bxtx_dB(B, X):
    r"X^\top X"
    return X.T @ X


@tr_bxtx.value("ours", computed=True)
def tr_bxtx_is_computed(B, X):
    r"\sum_{ij} (XB)_{ij} X_{ij}"
    return _inner(X @ B, X)


@identity("Trace of the column Gram matrix of X times a matrix")
def tr_xtxb(X: Float[Array, "m n"], B: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X^\top XB)"
    return jnp.trace(X.T @ X @ B)


@tr_xtxb.gradient("X", "MCB 113")
def tr_xtxb_dX(X, B):
    r"XB^\top + XB"
    return X @ (B.T + B)


@tr_xtxb.gradient("B", "ours")
def tr_xtxb_dB(X, B):
    r"X^\top X"
    return X.T @ X


@tr_xtxb.value("ours", computed=True)
def tr_xtxb_is_computed(X, B):
    r"\sum_{ij} X_{ij} (XB)_{ij}"
    return _inner(X, X @ B)


@identity("Trace of a product with X twice")
def tr_axbx(A: Float[Array, "n m"], X: Float[Array, "m n"], B: Float[Array, "n m"]) -> Scalar:
    r"\operatorname{tr}(AXBX)"
    return jnp.trace(A @ X @ B @ X)


@tr_axbx.gradient("X", "MCB 114")
def tr_axbx_dX(A, X, B):
    r"A^\top X^\top B^\top + B^\top X^\top A^\top"
    # which of the two orders of a triple product is cheap depends on whether X is tall or wide
    return (jnp.linalg.multi_dot([B, X, A]) + jnp.linalg.multi_dot([A, X, B])).T


@tr_axbx.hessian("X", "ours")
def tr_axbx_d2X(A, X, B):
    r"\left[A_{li}B_{jk} + B_{li}A_{jk}\right]_{ijkl}"
    return CrossedKronecker(A.T, B) + CrossedKronecker(B.T, A)


@tr_axbx.gradient("A", "ours")
def tr_axbx_dA(A, X, B):
    r"(XBX)^\top"
    return jnp.linalg.multi_dot([X, B, X]).T


@tr_axbx.gradient("B", "ours")
def tr_axbx_dB(A, X, B):
    r"(XAX)^\top"
    return jnp.linalg.multi_dot([X, A, X]).T


@tr_axbx.value("ours", computed=True)
def tr_axbx_is_computed(A, X, B):
    r"\sum_{ij} (AX)_{ij} (BX)_{ji}"
    return _inner(A @ X, (B @ X).T)


@identity("Trace of the column Gram matrix of X")
def tr_xtx(X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(X^\top X)"
    return jnp.trace(X.T @ X)


@tr_xtx.gradient("X", "MCB 115")
def tr_xtx_dX(X):
    r"2X"
    return 2 * X


@tr_xtx.hessian("X", "ours")
def tr_xtx_d2X(X):
    r"\left[2\,\delta_{ik}\,\delta_{jl}\right]_{ijkl}"
    return ScaledIdentity(jnp.asarray(2, X.dtype), X.shape)


@tr_xtx.value("ours", computed=True)
def tr_xtx_is_computed(X):
    r"\sum_{ij} X_{ij}^2"
    return _inner(X, X)


@identity("Trace of the row Gram matrix of X")
def tr_xxt(X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(XX^\top)"
    return jnp.trace(X @ X.T)


@tr_xxt.gradient("X", "MCB 115")
def tr_xxt_dX(X):
    r"2X"
    return 2 * X


@tr_xxt.value("ours", computed=True)
def tr_xxt_is_computed(X):
    r"\sum_{ij} X_{ij}^2"
    return _inner(X, X)


@identity("Trace of a quadratic form in the columns of XB")
def tr_btxtcxb(B: Float[Array, "n p"], X: Float[Array, "m n"], C: Float[Array, "m m"]) -> Scalar:
    r"\operatorname{tr}(B^\top X^\top CXB)"
    return jnp.trace(B.T @ X.T @ C @ X @ B)


@tr_btxtcxb.gradient("X", "MCB 116")
def tr_btxtcxb_dX(B, X, C):
    r"C^\top XBB^\top + CXBB^\top"
    return jnp.linalg.multi_dot([C.T + C, X, B, B.T])


@tr_btxtcxb.hessian("X", "ours")
def tr_btxtcxb_d2X(B, X, C):
    r"\left[(C^\top + C)_{ik}\,(BB^\top)_{jl}\right]_{ijkl}"
    return Kronecker(C.T + C, B @ B.T)


@tr_btxtcxb.gradient("B", "ours")
def tr_btxtcxb_dB(B, X, C):
    r"X^\top (C^\top + C)XB"
    return jnp.linalg.multi_dot([X.T, C.T + C, X, B])


@tr_btxtcxb.gradient("C", "ours")
def tr_btxtcxb_dC(B, X, C):
    r"XB(XB)^\top"
    U = X @ B
    return U @ U.T


@tr_btxtcxb.value("ours", computed=True)
def tr_btxtcxb_is_computed(B, X, C):
    r"\sum_{ij} (XB)_{ij} (CXB)_{ij}"
    U = X @ B
    return _inner(U, C @ U)


@identity("Trace of a quadratic form in the columns of X, times a matrix")
def tr_xtbxc(X: Float[Array, "m n"], B: Float[Array, "m m"], C: Float[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(X^\top BXC)"
    return jnp.trace(X.T @ B @ X @ C)


@tr_xtbxc.gradient("X", "MCB 117", printed("Giles 2.3.2", r"AB\bar{C}^\top + A^\top B\bar{C}"))
def tr_xtbxc_dX(X, B, C):
    r"BXC + B^\top XC^\top"
    return B @ (X @ C) + B.T @ (X @ C.T)


@tr_xtbxc.hessian("X", "ours")
def tr_xtbxc_d2X(X, B, C):
    r"\left[B_{ik}C_{lj} + B_{ki}C_{jl}\right]_{ijkl}"
    return Kronecker(B, C.T) + Kronecker(B.T, C)


@tr_xtbxc.gradient("B", printed("Giles 2.3.2", r"B\bar{C}B^\top"))
def tr_xtbxc_dB(X, B, C):
    r"XC^\top X^\top"
    return (X @ C.T) @ X.T


@tr_xtbxc.gradient("C", "ours")
def tr_xtbxc_dC(X, B, C):
    r"(X^\top BX)^\top"
    return jnp.linalg.multi_dot([X.T, B, X]).T


@tr_xtbxc.value("ours", computed=True)
def tr_xtbxc_is_computed(X, B, C):
    r"\sum_{ij} (BX)_{ij} (XC^\top)_{ij}"
    return _inner(B @ X, X @ C.T)


@identity("Trace of a product with X and its transpose")
def tr_axbxtc(A: Float[Array, "p m"], X: Float[Array, "m n"], B: Float[Array, "n n"], C: Float[Array, "m p"]) -> Scalar:
    r"\operatorname{tr}(AXBX^\top C)"
    return jnp.trace(A @ X @ B @ X.T @ C)


@tr_axbxtc.gradient(
    "X", "MCB 118", printed("Minka Derivatives", r"A^\top XB^\top + AXB \text{ for } \operatorname{tr}(AXBX^\top)")
)
def tr_axbxtc_dX(A, X, B, C):
    r"A^\top C^\top XB^\top + CAXB"
    if A.shape[0] < min(X.shape):
        # A has few rows: no product on the way is wider than it
        return A.T @ (C.T @ X @ B.T) + C @ (A @ X @ B)
    K = C @ A
    return K.T @ (X @ B.T) + K @ (X @ B)


@tr_axbxtc.hessian("X", "ours")
def tr_axbxtc_d2X(A, X, B, C):
    r"\left[(CA)_{ki}B_{jl} + (CA)_{ik}B_{lj}\right]_{ijkl}"
    K = C @ A
    return Kronecker(K.T, B) + Kronecker(K, B.T)


@tr_axbxtc.gradient("A", "ours")
def tr_axbxtc_dA(A, X, B, C):
    r"C^\top XB^\top X^\top"
    return jnp.linalg.multi_dot([C.T, X, B.T, X.T])


@tr_axbxtc.gradient("B", "ours")
def tr_axbxtc_dB(A, X, B, C):
    r"(AX)^\top C^\top X"
    return jnp.linalg.multi_dot([X.T, A.T, C.T, X])


@tr_axbxtc.gradient("C", "ours")
def tr_axbxtc_dC(A, X, B, C):
    r"XB^\top (AX)^\top"
    return jnp.linalg.multi_dot([X, B.T, X.T, A.T])


@tr_axbxtc.value("ours", computed=True)
def tr_axbxtc_is_computed(A, X, B, C):
    r"\sum_{ij} (AXB)_{ij} (C^\top X)_{ij}"
    return _inner(A @ X @ B, C.T @ X)


@identity("Sum of the squares of an affine function of X")
def tr_affine_squared(
    A: Float[Array, "p m"], X: Float[Array, "m n"], B: Float[Array, "n q"], C: Float[Array, "p q"]
) -> Scalar:
    r"\operatorname{tr}\left[(AXB + C)(AXB + C)^\top\right]"
    return jnp.trace((A @ X @ B + C) @ (A @ X @ B + C).T)


@tr_affine_squared.gradient("X", "MCB 119")
def tr_affine_squared_dX(A, X, B, C):
    r"2A^\top (AXB + C)B^\top"
    R = jnp.linalg.multi_dot([A, X, B]) + C
    return 2 * jnp.linalg.multi_dot([A.T, R, B.T])


@tr_affine_squared.hessian("X", "ours")
def tr_affine_squared_d2X(A, X, B, C):
    r"\left[2\,(A^\top A)_{ik}\,(BB^\top)_{jl}\right]_{ijkl}"
    return Kronecker(2 * (A.T @ A), B @ B.T)


@tr_affine_squared.gradient("A", "ours")
def tr_affine_squared_dA(A, X, B, C):
    r"2(AXB + C)(XB)^\top"
    U = X @ B
    return 2 * ((A @ U + C) @ U.T)


@tr_affine_squared.gradient("B", "ours")
def tr_affine_squared_dB(A, X, B, C):
    r"2(AX)^\top (AXB + C)"
    V = A @ X
    return 2 * (V.T @ (V @ B + C))


@tr_affine_squared.gradient("C", "ours")
def tr_affine_squared_dC(A, X, B, C):
    r"2(AXB + C)"
    return 2 * (jnp.linalg.multi_dot([A, X, B]) + C)


@tr_affine_squared.value("ours", computed=True)
def tr_affine_squared_is_computed(A, X, B, C):
    r"\sum_{ij} (AXB + C)_{ij}^2"
    R = jnp.linalg.multi_dot([A, X, B]) + C
    return _inner(R, R)
