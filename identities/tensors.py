r"""Derivatives with more than two axes: matrices by vectors and by matrices, vec, and contractions.

The axes of a derivative are those of the function first, then those of the argument.  A rule that
speaks of the transpose, trace, determinant or inverse of f(X) means the axes of f; a product or a
trace over the last two axes, as an array library would take it, is another array.  Where the sources
leave f open, it is written out here as F = A + B tanh(X) C (tanh entry by entry), so that F and X
need not have the same shape.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Scalar
from identities.operators import EachColumn, EachRowVector, Entrywise, Kronecker, Outer, Transposition

# 5.4 A matrix by a vector


@identity("Matrix as a function of a vector")
def matrix_of_vector(C: Float[Array, "p q n"], x: Float[Array, "n"]) -> Float[Array, "p q"]:
    r"T, \quad T_{ij} = \tanh\left(\sum_k C_{ijk} x_k\right)"
    return jnp.tanh(jnp.tensordot(C, x, 1))


@matrix_of_vector.jacobian("x", "VCN N8", axes="ij k")
def matrix_of_vector_dx(C, x):
    r"(1 - T_{ij}^2)\,C_{ijk}"
    # C is as large as the derivative: no operator would be smaller
    return (1 - jnp.tanh(C @ x) ** 2)[:, :, None] * C


@matrix_of_vector.jacobian("x", "VCN N8")
def matrix_of_vector_dx_collated(C, x):
    r"\left[\left(\frac{\partial T}{\partial x_k}\right)_{ij}\right]_{ijk}"
    slope = 1 - jnp.tanh(C @ x) ** 2
    return jnp.stack([slope * C[:, :, k] for k in range(x.shape[0])], axis=-1)


@matrix_of_vector.jacobian("x", "VCN N8")
def matrix_of_vector_dx_flattened(C, x):
    r"\left[\left(\frac{\partial \operatorname{vec}(T^\top)}{\partial x}\right)_{(i - 1)q + j,\,k}\right]_{ijk}"
    flat = C.reshape(-1, x.shape[0])
    return ((1 - jnp.tanh(flat @ x) ** 2)[:, None] * flat).reshape(C.shape)


@matrix_of_vector.differential("x", "ours")
def matrix_of_vector_along_dx(C, x, dx):
    r"\left((1 - T_{ij}^2) \sum_k C_{ijk}\,\mathrm{d}x_k\right)_{ij}"
    return (1 - jnp.tanh(C @ x) ** 2) * (C @ dx)


# 5.4 A matrix by a matrix, and the same as a matrix of vecs


def _vec(X):
    """The columns of X, one below the other."""
    return X.T.reshape(-1)


def _vec_jacobian(f, X):
    """The matrix d vec f(X) / d vec(X)'."""
    m, n = X.shape
    return jax.jacfwd(lambda v: _vec(f(v.reshape(n, m).T)))(_vec(X))


@identity("Matrix as a function of a matrix")
def matrix_of_matrix(P: Float[Array, "m p"], B: Float[Array, "p q"], Q: Float[Array, "q n"]) -> Float[Array, "m n"]:
    r"\tanh(P B Q)"
    return jnp.tanh(P @ B @ Q)


@matrix_of_matrix.jacobian("B", "VCN N9", axes="ij kl")
def matrix_of_matrix_dB(P, B, Q):
    r"(1 - T_{ij}^2)\,P_{ik} Q_{lj}, \quad T = \tanh(P B Q)"
    return Entrywise(1 - jnp.tanh(P @ B @ Q) ** 2) @ Kronecker(P, Q.T)


@matrix_of_matrix.differential("B", "ours")
def matrix_of_matrix_along_dB(P, B, Q, dB):
    r"(1 - T \circ T) \circ (P\,\mathrm{d}B\,Q), \quad T = \tanh(P B Q)"
    return (1 - jnp.tanh(P @ B @ Q) ** 2) * (P @ dB @ Q)


@identity("Jacobian matrix between vecs")
def vec_jacobian(P: Float[Array, "m p"], B: Float[Array, "p q"], Q: Float[Array, "q n"]) -> Float[Array, "a b"]:
    r"\frac{\partial \operatorname{vec} \tanh(P B Q)}{\partial \operatorname{vec}(B)^\top}"
    return _vec_jacobian(lambda X: jnp.tanh(P @ X @ Q), B)


@vec_jacobian.value("VCN N9")
def vec_jacobian_is_kronecker(P, B, Q):
    r"\operatorname{diag}\left(\operatorname{vec}(1 - T \circ T)\right)(Q^\top \otimes P), \quad T = \tanh(P B Q)"
    slope = _vec(1 - jnp.tanh(P @ B @ Q) ** 2)
    return slope[:, None] * jnp.kron(Q.T, P)


@vec_jacobian.value("VCN N9")
def vec_jacobian_is_reshaped(P, B, Q):
    r"""\sum_{ijkl} \frac{\partial T_{ij}}{\partial B_{kl}}\,(e_j \otimes e_i)(e_l \otimes e_k)^\top,
    \quad T = \tanh(P B Q)"""
    slope = 1 - jnp.tanh(P @ B @ Q) ** 2
    tensor = jnp.einsum("ij,ik,lj->ijkl", slope, P, Q)
    return tensor.transpose(1, 0, 3, 2).reshape(slope.size, B.size)


@identity("Jacobian matrix of a composition between vecs")
def vec_chain(
    R: Float[Array, "r m"],
    P: Float[Array, "m p"],
    B: Float[Array, "p q"],
    Q: Float[Array, "q n"],
    S: Float[Array, "n s"],
) -> Float[Array, "a b"]:
    r"\frac{\partial \operatorname{vec} \sin(R \tanh(P B Q) S)}{\partial \operatorname{vec}(B)^\top}"
    return _vec_jacobian(lambda X: jnp.sin(R @ jnp.tanh(P @ X @ Q) @ S), B)


@vec_chain.value("VCN N9")
def vec_chain_is_product(R, P, B, Q, S):
    r"""\frac{\partial \operatorname{vec} \sin(RTS)}{\partial \operatorname{vec}(T)^\top}\,
    \frac{\partial \operatorname{vec} T}{\partial \operatorname{vec}(B)^\top}, \quad T = \tanh(P B Q)"""
    T = jnp.tanh(P @ B @ Q)
    outer = _vec(jnp.cos(R @ T @ S))[:, None] * jnp.kron(S.T, R)
    return outer @ (_vec(1 - T**2)[:, None] * jnp.kron(Q.T, P))


@identity("Composition of two functions of matrices")
def matrix_chain(
    R: Float[Array, "r m"],
    P: Float[Array, "m p"],
    B: Float[Array, "p q"],
    Q: Float[Array, "q n"],
    S: Float[Array, "n s"],
) -> Float[Array, "r s"]:
    r"\sin(R \tanh(P B Q) S)"
    return jnp.sin(R @ jnp.tanh(P @ B @ Q) @ S)


@matrix_chain.jacobian("B", "VCN N9", axes="uv kl")
def matrix_chain_dB(R, P, B, Q, S):
    r"""\sum_{ij} \frac{\partial \sin(RTS)_{uv}}{\partial T_{ij}}\,\frac{\partial T_{ij}}{\partial B_{kl}},
    \quad T = \tanh(P B Q)"""
    T = jnp.tanh(P @ B @ Q)
    outer = Entrywise(jnp.cos(R @ T @ S)) @ Kronecker(R, S.T)
    inner = Entrywise(1 - T**2) @ Kronecker(P, Q.T)
    return outer @ inner


# 5.4 The Gram matrix K = R'R


def _notebook_tensor(B, m, n):
    """What the notebook's compute_gradient returns for B and an m x n matrix A, of which it reads the shape only."""
    j, k, l = (jnp.arange(size) for size in (n, *B.shape))
    # its four cases come to B_kl, once where j = k and once where j = l
    row = (j[:, None, None] == k[None, :, None]).astype(B.dtype)
    column = (j[:, None, None] == l[None, None, :]).astype(B.dtype)
    return jnp.broadcast_to((row + column) * B[None, :, :], (m, n, *B.shape))


@identity("Gram matrix of the columns")
def gram_columns(R: Float[Array, "m n"]) -> Float[Array, "n n"]:
    r"R^\top R"
    return R.T @ R


@gram_columns.jacobian("R", "VCN N11", "MML 5.97", axes="pq ij")
def gram_columns_dR(R):
    r"\delta_{jp} R_{iq} + \delta_{jq} R_{ip}"
    n = R.shape[1]
    half = EachColumn(R.T, n)
    return half + Transposition((n, n), R.dtype) @ half


@gram_columns.jacobian("R", "VCN N11", "MML 5.98", axes="pq ij")
def gram_columns_dR_cases(R):
    r"""\begin{cases} R_{iq} & j = p,\; p \ne q \\ R_{ip} & j = q,\; p \ne q \\ 2 R_{iq} & j = p,\; p = q \\
    0 & \text{otherwise} \end{cases}"""
    m, n = R.shape
    p, q, i, j = jnp.indices((n, n, m, n), sparse=True)
    R_iq, R_ip = R[i, q], R[i, p]
    return jnp.where(
        (j == p) & (p != q),
        R_iq,
        jnp.where((j == q) & (p != q), R_ip, jnp.where((j == p) & (p == q), 2 * R_iq, jnp.zeros_like(R_iq))),
    )


@gram_columns.refuted(
    "jacobian",
    "R",
    "VCN N28",
    because="the code mixes up its indices: it never reads the first axis of the function",
    axes="pq ij",
)
def gram_columns_dR_printed_VCN_N28(R):
    r"""\begin{cases} R_{ij} & q = i,\; i \ne j \\ R_{iq} & q = j,\; i \ne j \\ 2 R_{ij} & q = i,\; i = j \\
    0 & \text{otherwise} \end{cases}"""
    return _notebook_tensor(R, R.shape[1], R.shape[1])


@gram_columns.differential("R", "ours")
def gram_columns_along_dR(R, dR):
    r"\mathrm{d}R^\top R + R^\top \mathrm{d}R"
    half = dR.T @ R
    return half + half.T


@identity("Matrix that does not depend on another")
def unrelated(A: Float[Array, "m n"], B: Float[Array, "p q"]) -> Float[Array, "m n"]:
    r"A"
    return A


@unrelated.jacobian("B", "ours")
def unrelated_dB(A, B):
    r"0"
    return Outer(jnp.zeros_like(A), jnp.zeros_like(B))


@unrelated.refuted(
    "jacobian",
    "B",
    "VCN N28",
    because="two matrices of plain numbers have the derivative zero; of A the code reads the shape only",
    axes="ij kl",
)
def unrelated_dB_printed_VCN_N28(A, B):
    r"""\begin{cases} B_{kl} & j = k,\; k \ne l \\ B_{kj} & j = l,\; k \ne l \\ 2 B_{kl} & j = k,\; k = l \\
    0 & \text{otherwise} \end{cases}"""
    return _notebook_tensor(B, *A.shape)


@identity("Half the squared norms of the rows and columns of a square matrix")
def rows_and_columns(B: Float[Array, "n n"]) -> Float[Array, "n"]:
    r"\tfrac{1}{2}\left((B B^\top)_{jj} + (B^\top B)_{jj}\right)_j"
    return (jnp.diagonal(B @ B.T) + jnp.diagonal(B.T @ B)) / 2


@rows_and_columns.jacobian("B", "VCN N28 for each of its rows i, which are all equal", axes="j kl")
def rows_and_columns_dB(B):
    r"""\begin{cases} B_{kl} & j = k,\; k \ne l \\ B_{kj} & j = l,\; k \ne l \\ 2 B_{kl} & j = k,\; k = l \\
    0 & \text{otherwise} \end{cases}"""
    # the four cases come to B_kl, once where j = k and once where j = l
    rows = EachRowVector(jnp.ones(len(B), B.dtype), rows=len(B))
    return (rows + rows @ Transposition(B.shape, B.dtype)) @ Entrywise(B)


# 5.5 Rules for an open function: f(X) written out as F = A + B tanh(X) C


def _open(X, A, B, C):
    return A + B @ jnp.tanh(X) @ C


def _open_derivative(X, A, B, C):
    """dF_pq / dX_mn = B_pm (1 - tanh^2 X_mn) C_nq."""
    return Kronecker(B, C.T) @ Entrywise(1 - jnp.tanh(X) ** 2)


def _open_tensor(X, A, B, C):
    """The same, all entries."""
    return _open_derivative(X, A, B, C).todense()


@identity("Function of a matrix, left open")
def open_f(
    X: Float[Array, "m n"], A: Float[Array, "p q"], B: Float[Array, "p m"], C: Float[Array, "n q"]
) -> Float[Array, "p q"]:
    r"f(X) = A + B \tanh(X)\,C"
    return A + B @ jnp.tanh(X) @ C


@open_f.jacobian("X", "ours", axes="kl ij")
def open_f_dX(X, A, B, C):
    r"B_{ki} (1 - \tanh^2 X_{ij})\,C_{jl}"
    return _open_derivative(X, A, B, C)


@open_f.differential("X", "ours")
def open_f_along_dX(X, A, B, C, dX):
    r"B \left((1 - \tanh^2 X) \circ \mathrm{d}X\right) C"
    return B @ ((1 - jnp.tanh(X) ** 2) * dX) @ C


@identity("Transpose of a function of a matrix")
def open_transpose(
    X: Float[Array, "m n"], A: Float[Array, "p q"], B: Float[Array, "p m"], C: Float[Array, "n q"]
) -> Float[Array, "q p"]:
    r"f(X)^\top, \quad f(X) = A + B \tanh(X)\,C"
    return (A + B @ jnp.tanh(X) @ C).T


@open_transpose.jacobian(
    "X",
    printed("MML 5.99", r"\left(\frac{\partial f(X)}{\partial X}\right)^\top"),
    "VCN N12",
    axes="lk ij",
)
def open_transpose_dX(X, A, B, C):
    r"\frac{\partial f(X)_{kl}}{\partial X_{ij}}"
    return Transposition(A.shape, A.dtype) @ _open_derivative(X, A, B, C)


@open_transpose.refuted(
    "jacobian",
    "X",
    "VCN N12 read as the reversal of all axes",
    because="the transpose acts on the two axes of f and leaves those of X where they are",
    given={"X": Float[Array, "n n"], "A": Float[Array, "n n"], "B": Float[Array, "n n"], "C": Float[Array, "n n"]},
    axes="lk ij",
)
def open_transpose_dX_printed_VCN_N12(X, A, B, C):
    r"\frac{\partial f(X)_{ji}}{\partial X_{kl}}"
    return _open_tensor(X, A, B, C).transpose()


@identity("Trace of a function of a matrix")
def open_trace(
    X: Float[Array, "m n"], A: Float[Array, "p p"], B: Float[Array, "p m"], C: Float[Array, "n p"]
) -> Scalar:
    r"\operatorname{tr} f(X), \quad f(X) = A + B \tanh(X)\,C"
    return jnp.trace(A + B @ jnp.tanh(X) @ C)


@open_trace.gradient(
    "X", printed("MML 5.100", r"\operatorname{tr}\left(\frac{\partial f(X)}{\partial X}\right)"), "VCN N13"
)
def open_trace_dX(X, A, B, C):
    r"\sum_k \frac{\partial f(X)_{kk}}{\partial X} = (1 - \tanh^2 X) \circ (CB)^\top"
    return (1 - jnp.tanh(X) ** 2) * (C @ B).T


@open_trace.gradient("X", "VCN N13 as a contraction of the tensor")
def open_trace_dX_contracted(X, A, B, C):
    r"\sum_k \frac{\partial f(X)_{kk}}{\partial X}"
    return jnp.trace(_open_tensor(X, A, B, C), axis1=0, axis2=1)


@open_trace.refuted(
    "gradient",
    "X",
    "VCN N13 read as a trace over the axes of X",
    because="the trace runs over the two axes of f, the first ones of the derivative, and not over those of X",
    given={"X": Float[Array, "p p"], "B": Float[Array, "p p"], "C": Float[Array, "p p"]},
    axes="ij",
)
def open_trace_dX_printed_VCN_N13(X, A, B, C):
    r"\sum_k \frac{\partial f(X)_{ij}}{\partial X_{kk}}"
    return jnp.trace(_open_tensor(X, A, B, C), axis1=2, axis2=3)


@identity("Determinant of a function of a matrix")
def open_det(X: Float[Array, "m n"], A: Float[Array, "p p"], B: Float[Array, "p m"], C: Float[Array, "n p"]) -> Scalar:
    r"\det f(X), \quad f(X) = A + B \tanh(X)\,C"
    return jnp.linalg.det(A + B @ jnp.tanh(X) @ C)


@open_det.gradient(
    "X",
    printed("MML 5.101", r"\det(f(X))\operatorname{tr}\left(f(X)^{-1}\frac{\partial f(X)}{\partial X}\right)"),
    "VCN N14",
    slack=4,  # det(F) F^-1 loses the digits that the condition of F takes, the cofactors of autodiff do not
)
def open_det_dX(X, A, B, C):
    r"""\det(F) \sum_{kl} (F^{-1})_{lk} \frac{\partial F_{kl}}{\partial X}
    = \det(F)\,(1 - \tanh^2 X) \circ B^\top F^{-\top} C^\top, \quad F = f(X)"""
    T = jnp.tanh(X)
    F = A + B @ T @ C
    return jnp.linalg.det(F) * (1 - T**2) * (C @ jnp.linalg.solve(F, B)).T


@open_det.gradient("X", "VCN N14 as a contraction of the tensor", slack=4)  # as above
def open_det_dX_contracted(X, A, B, C):
    r"\det(F) \sum_{kl} (F^{-1})_{lk} \frac{\partial F_{kl}}{\partial X}, \quad F = f(X)"
    F = _open(X, A, B, C)
    return jnp.linalg.det(F) * jnp.tensordot(jnp.linalg.inv(F).T, _open_tensor(X, A, B, C), 2)


@open_det.refuted(
    "gradient",
    "X",
    "VCN N14 read as product and trace over the axes of X",
    because="the product with the inverse and the trace run over the two axes of f, and not over those of X",
    given={"X": Float[Array, "p p"], "B": Float[Array, "p p"], "C": Float[Array, "p p"]},
    axes="ij",
)
def open_det_dX_printed_VCN_N14(X, A, B, C):
    r"\det(F) \sum_{kl} (F^{-1})_{lk} \frac{\partial F_{ij}}{\partial X_{kl}}, \quad F = f(X)"
    F = _open(X, A, B, C)
    return jnp.linalg.det(F) * jnp.trace(jnp.linalg.inv(F) @ _open_tensor(X, A, B, C), axis1=2, axis2=3)


@identity("Inverse of a function of a matrix")
def open_inv(
    X: Float[Array, "m n"], A: Float[Array, "p p"], B: Float[Array, "p m"], C: Float[Array, "n p"]
) -> Float[Array, "p p"]:
    r"f(X)^{-1}, \quad f(X) = A + B \tanh(X)\,C"
    return jnp.linalg.inv(A + B @ jnp.tanh(X) @ C)


@open_inv.jacobian(
    "X",
    printed("MML 5.102", r"-f(X)^{-1}\frac{\partial f(X)}{\partial X} f(X)^{-1}"),
    "VCN N15",
    axes="kl ij",
)
def open_inv_dX(X, A, B, C):
    r"""-\sum_{uv} (F^{-1})_{ku} \frac{\partial F_{uv}}{\partial X_{ij}} (F^{-1})_{vl}
    = -(F^{-1}B)_{ki} (1 - \tanh^2 X_{ij}) (C F^{-1})_{jl}, \quad F = f(X)"""
    T = jnp.tanh(X)
    lu = lu_factor(A + B @ T @ C)
    return -_open_derivative(X, A, lu_solve(lu, B), lu_solve(lu, C.T, trans=1).T)


@open_inv.jacobian("X", "VCN N15 as a contraction of the tensor", axes="kl ij")
def open_inv_dX_contracted(X, A, B, C):
    r"-\sum_{uv} (F^{-1})_{ku} \frac{\partial F_{uv}}{\partial X_{ij}} (F^{-1})_{vl}, \quad F = f(X)"
    G = jnp.linalg.inv(_open(X, A, B, C))
    return -Kronecker(G, G.T) @ _open_derivative(X, A, B, C)


@open_inv.refuted(
    "jacobian",
    "X",
    "VCN N15 read as products over the axes of X",
    because="the two products with the inverse run over the axes of f, and not over those of X",
    given={"X": Float[Array, "p p"], "B": Float[Array, "p p"], "C": Float[Array, "p p"]},
    axes="kl ij",
)
def open_inv_dX_printed_VCN_N15(X, A, B, C):
    r"-\sum_{uv} (F^{-1})_{iu} \frac{\partial F_{kl}}{\partial X_{uv}} (F^{-1})_{vj}, \quad F = f(X)"
    G = jnp.linalg.inv(_open(X, A, B, C))
    return -(G @ _open_tensor(X, A, B, C) @ G)


@open_inv.differential("X", "ours")
def open_inv_along_dX(X, A, B, C, dX):
    r"-F^{-1}\,\mathrm{d}F\,F^{-1}, \quad F = f(X),\; \mathrm{d}F = B\left((1 - \tanh^2 X) \circ \mathrm{d}X\right)C"
    T = jnp.tanh(X)
    lu = lu_factor(A + B @ T @ C)
    return -lu_solve(lu, B @ ((1 - T**2) * dX)) @ lu_solve(lu, C.T, trans=1).T


# 5.5 Traces of tensors


@identity("Trace of a tensor over its first two axes")
def tensor_trace(T: Float[Array, "d d e f"]) -> Float[Array, "e f"]:
    r"\sum_i T_{iikl}"
    return jnp.trace(T, axis1=0, axis2=1)


@tensor_trace.jacobian("T", "VCN N20", axes="kl ijuv")
def tensor_trace_dT(T):
    r"\delta_{ij}\,\delta_{ku}\,\delta_{lv}"
    eyes = [jnp.eye(n, dtype=T.dtype) for n in T.shape[1:]]
    return jnp.einsum("ij,ku,lv->klijuv", *eyes)


@tensor_trace.differential("T", "VCN N20")
def tensor_trace_along_dT(T, dT):
    r"\sum_i \mathrm{d}T_{iikl}"
    return jnp.trace(dT, axis1=0, axis2=1)


@tensor_trace.value("VCN N20")
def tensor_trace_is_contraction(T):
    r"\sum_{ij} \delta_{ij} T_{ijkl}"
    return jnp.tensordot(jnp.eye(T.shape[0], dtype=T.dtype), T, 2)


@identity("Weighted trace of a tensor")
def tensor_trace_weighted(T: Float[Array, "d d e f"], M: Float[Array, "e f"]) -> Scalar:
    r"\sum_{kl} M_{kl} \sum_i T_{iikl}"
    return jnp.sum(M * jnp.trace(T, axis1=0, axis2=1))


@tensor_trace_weighted.gradient("T", "ours", axes="ijkl")
def tensor_trace_weighted_dT(T, M):
    r"\delta_{ij} M_{kl}"
    return jnp.eye(T.shape[0], dtype=T.dtype)[:, :, None, None] * M[None, None, :, :]


@tensor_trace_weighted.gradient("M", "ours", axes="kl")
def tensor_trace_weighted_dM(T, M):
    r"\sum_i T_{iikl}"
    return jnp.trace(T, axis1=0, axis2=1)
