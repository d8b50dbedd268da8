r"""Quadratic and bilinear forms in a vector or a matrix (Matrix Cookbook, 76-83 and 96-98).

None of the matrices in the middle is assumed to be symmetric: that is why a form and its transpose
appear side by side.  For a symmetric one the two coincide, and the claims named `_symmetric` save
half of the work.  Closed forms apply matrices to vectors and never multiply two matrices unless
the result asks for it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Scalar, Symmetric
from identities.operators import EachColumn, EachRow, EachRowVector, Kronecker, KroneckerOuter, Outer, Transposition

# 2.4.2 Second order


@identity("Sum of all products of two entries")
def sum_products(X: Float[Array, "p q"]) -> Scalar:
    r"\sum_{klmn} X_{kl}X_{mn}"
    return jnp.sum(X[:, :, None, None] * X[None, None, :, :])


@sum_products.value("ours", computed=True)
def sum_products_is_computed(X):
    r"\left(\sum_{kl} X_{kl}\right)^2"
    return jnp.square(jnp.sum(X))


@sum_products.gradient("X", "MCB 76", axes="ij")
def sum_products_dX(X):
    r"2\sum_{kl} X_{kl}"
    return jnp.full(X.shape, 2 * jnp.sum(X))


@sum_products.hessian("X", "ours", axes="ij kl")
def sum_products_d2X(X):
    r"2"
    return Outer(jnp.full_like(X, 2), jnp.ones_like(X))


@identity("Bilinear form of a Gram matrix")
def bilinear_gram(b: Float[Array, "n"], X: Float[Array, "m n"], c: Float[Array, "n"]) -> Scalar:
    r"b^\top X^\top Xc"
    return b @ X.T @ X @ c


@bilinear_gram.value("ours", computed=True)
def bilinear_gram_is_computed(b, X, c):
    r"(Xb)^\top(Xc)"
    return (X @ b) @ (X @ c)


@bilinear_gram.gradient("X", "MCB 77")
def bilinear_gram_dX(b, X, c):
    r"X(bc^\top + cb^\top)"
    return jnp.outer(X @ b, c) + jnp.outer(X @ c, b)


@bilinear_gram.gradient("b", "ours")
def bilinear_gram_db(b, X, c):
    r"X^\top Xc"
    return (X @ c) @ X


@bilinear_gram.gradient("c", "ours")
def bilinear_gram_dc(b, X, c):
    r"X^\top Xb"
    return (X @ b) @ X


@bilinear_gram.hessian("X", "ours", axes="ij kl")
def bilinear_gram_d2X(b, X, c):
    r"\delta_{ik}(b_jc_l + c_jb_l)"
    return EachRow(jnp.outer(b, c) + jnp.outer(c, b), rows=len(X))


@identity("Product of two affine functions of a vector")
def bilinear_affine(
    B: Float[Array, "m n"],
    x: Float[Array, "n"],
    b: Float[Array, "m"],
    C: Float[Array, "m p"],
    D: Float[Array, "p n"],
    d: Float[Array, "p"],
) -> Scalar:
    r"(Bx + b)^\top C(Dx + d)"
    return (B @ x + b) @ C @ (D @ x + d)


@bilinear_affine.gradient("x", "MCB 78")
def bilinear_affine_dx(B, x, b, C, D, d):
    r"B^\top C(Dx + d) + D^\top C^\top(Bx + b)"
    return (C @ (D @ x + d)) @ B + ((B @ x + b) @ C) @ D


@bilinear_affine.hessian("x", "ours")
def bilinear_affine_d2x(B, x, b, C, D, d):
    r"B^\top CD + D^\top C^\top B"
    half = B.T @ (C @ D)
    return half + half.T


@bilinear_affine.gradient("C", "ours")
def bilinear_affine_dC(B, x, b, C, D, d):
    r"(Bx + b)(Dx + d)^\top"
    return jnp.outer(B @ x + b, D @ x + d)


@identity("Quadratic forms of all pairs of columns")
def matrix_xtbx(X: Float[Array, "m n"], B: Float[Array, "m m"]) -> Float[Array, "n n"]:
    r"X^\top BX"
    return X.T @ B @ X


@matrix_xtbx.jacobian("X", "MCB 79", axes="kl ij")
def matrix_xtbx_dX(X, B):
    r"\delta_{lj}(X^\top B)_{ki} + \delta_{kj}(BX)_{il}"
    n = X.shape[1]
    return EachColumn(X.T @ B, n) + EachRow((B @ X).T, n) @ Transposition(X.shape, X.dtype)


@matrix_xtbx.jacobian("X", "MCB 80", axes="ij")
def matrix_xtbx_dX_single(X, B):
    r"X^\top BJ^{ij} + J^{ji}BX"
    # PJ^{ij} is column i of P in column j, and J^{ji}Q is row i of Q in row j
    j = jnp.arange(X.shape[1])
    columns = EachColumn(X.T @ B, X.shape[1]).todense()
    return columns.at[j, :, :, j].add((B @ X).T, unique_indices=True)


@matrix_xtbx.jacobian("B", "ours", axes="kl ij")
def matrix_xtbx_dB(X, B):
    r"X_{ik}X_{jl}"
    return Kronecker(X.T, X.T)


@matrix_xtbx.differential("X", "ours")
def matrix_xtbx_along_dX(X, B, dX):
    r"X^\top B\,\mathrm{d}X + (\mathrm{d}X)^\top BX"
    return (X.T @ B) @ dX + dX.T @ (B @ X)


@identity("Quadratic form")
def quad(x: Float[Array, "n"], B: Float[Array, "n n"]) -> Scalar:
    r"x^\top Bx"
    return x @ B @ x


@quad.value("ours")
def quad_is_symmetrised(x, B):
    r"\tfrac{1}{2}\,x^\top(B + B^\top)x"
    return x @ ((B @ x + x @ B) / 2)


@quad.gradient(
    "x",
    "MCB 81",
    "MVC G8",
    printed("MML 5.107", r"x^\top(B + B^\top)", layout="numerator"),
    printed("VCN N18", r"x^\top(B + B^\top)", layout="numerator"),
)
def quad_dx(x, B):
    r"(B + B^\top)x"
    return B @ x + x @ B


@quad.gradient("x", "ours", given={"B": Symmetric[Array, "n n"]})
def quad_dx_symmetric(x, B):
    r"2Bx"
    return 2 * (B @ x)


@quad.hessian("x", "ours")
def quad_d2x(x, B):
    r"B + B^\top"
    return B + B.T


@quad.hessian("x", "ours", given={"B": Symmetric[Array, "n n"]})
def quad_d2x_symmetric(x, B):
    r"2B"
    return 2 * B


@quad.gradient("B", "ours")
def quad_dB(x, B):
    r"xx^\top"
    return jnp.outer(x, x)


@quad.hessian("x B", "ours", axes="i jk")
def quad_d2x_B(x, B):
    r"\delta_{ij}x_k + \delta_{ik}x_j"
    rows = EachRowVector(x, rows=len(x))
    return rows + rows @ Transposition(B.shape, B.dtype)


@quad.differential("x", "ours")
def quad_along_dx(x, B, dx):
    r"(\mathrm{d}x)^\top(B + B^\top)x"
    return dx @ (B @ x + x @ B)


@identity("Bilinear form of a weighted Gram matrix")
def bilinear_weighted(
    b: Float[Array, "n"], X: Float[Array, "m n"], D: Float[Array, "m m"], c: Float[Array, "n"]
) -> Scalar:
    r"b^\top X^\top DXc"
    return b @ X.T @ D @ X @ c


@bilinear_weighted.value("ours", computed=True)
def bilinear_weighted_is_computed(b, X, D, c):
    r"(Xb)^\top D(Xc)"
    return (X @ b) @ (D @ (X @ c))


@bilinear_weighted.gradient("X", "MCB 82")
def bilinear_weighted_dX(b, X, D, c):
    r"D^\top Xbc^\top + DXcb^\top"
    return jnp.outer((X @ b) @ D, c) + jnp.outer(D @ (X @ c), b)


@bilinear_weighted.gradient("D", "ours")
def bilinear_weighted_dD(b, X, D, c):
    r"Xb(Xc)^\top"
    return jnp.outer(X @ b, X @ c)


@bilinear_weighted.gradient("b", "ours")
def bilinear_weighted_db(b, X, D, c):
    r"X^\top DXc"
    return (D @ (X @ c)) @ X


@bilinear_weighted.gradient("c", "ours")
def bilinear_weighted_dc(b, X, D, c):
    r"X^\top D^\top Xb"
    return ((X @ b) @ D) @ X


@bilinear_weighted.hessian("X", "ours", axes="ij kl")
def bilinear_weighted_d2X(b, X, D, c):
    r"D_{ik}b_jc_l + D_{ki}c_jb_l"
    return KroneckerOuter(D, b, c) + KroneckerOuter(D.T, c, b)


@identity("Quadratic form of an affine function of a matrix")
def quad_affine(X: Float[Array, "m n"], b: Float[Array, "n"], c: Float[Array, "m"], D: Float[Array, "m m"]) -> Scalar:
    r"(Xb + c)^\top D(Xb + c)"
    return (X @ b + c) @ D @ (X @ b + c)


@quad_affine.gradient("X", "MCB 83")
def quad_affine_dX(X, b, c, D):
    r"(D + D^\top)(Xb + c)b^\top"
    r = X @ b + c
    return jnp.outer(D @ r + r @ D, b)


@quad_affine.gradient("b", "ours")
def quad_affine_db(X, b, c, D):
    r"X^\top(D + D^\top)(Xb + c)"
    r = X @ b + c
    return (D @ r + r @ D) @ X


@quad_affine.gradient("c", "ours")
def quad_affine_dc(X, b, c, D):
    r"(D + D^\top)(Xb + c)"
    r = X @ b + c
    return D @ r + r @ D


@quad_affine.gradient("D", "ours")
def quad_affine_dD(X, b, c, D):
    r"(Xb + c)(Xb + c)^\top"
    r = X @ b + c
    return jnp.outer(r, r)


@quad_affine.hessian("X", "ours", axes="ij kl")
def quad_affine_d2X(X, b, c, D):
    r"(D + D^\top)_{ik}b_jb_l"
    return KroneckerOuter(D + D.T, b, b)


@quad_affine.hessian("b", "ours")
def quad_affine_d2b(X, b, c, D):
    r"X^\top(D + D^\top)X"
    half = X.T @ (D @ X)
    return half + half.T


# 2.4.4 Gradient and Hessian


@identity("Quadratic function")
def quadratic(x: Float[Array, "n"], A: Float[Array, "n n"], b: Float[Array, "n"]) -> Scalar:
    r"x^\top Ax + b^\top x"
    return x @ A @ x + b @ x


@quadratic.value(printed("MCB 96", r"x^\top Ax + b^\top x"))
def quadratic_is_entries(x, A, b):
    r"\sum_{ij} A_{ij}x_ix_j + \sum_i b_ix_i"
    return jnp.sum(A * jnp.outer(x, x)) + jnp.sum(b * x)


@quadratic.value("ours")
def quadratic_is_factored(x, A, b):
    r"x^\top(Ax + b)"
    return x @ (A @ x + b)


@quadratic.gradient("x", "MCB 97")
def quadratic_dx(x, A, b):
    r"(A + A^\top)x + b"
    return A @ x + x @ A + b


@quadratic.hessian("x", "MCB 98")
def quadratic_d2x(x, A, b):
    r"A + A^\top"
    return A + A.T


@quadratic.gradient("A", "ours")
def quadratic_dA(x, A, b):
    r"xx^\top"
    return jnp.outer(x, x)


@quadratic.gradient("b", "ours")
def quadratic_db(x, A, b):
    r"x"
    return x
