r"""Functions linear in a vector or a matrix (Matrix Cookbook, 69-75), and the linear map itself.

A gradient has the shape of its argument: that of $a^\top x$ is the column $a$, where texts in
numerator layout print the row $a^\top$.  A Jacobian has the axes of the output first, in both
layouts.  $J^{ij}$ is the matrix with a one in row i and column j and zeros elsewhere.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Scalar
from identities.operators import EachColumn, EachRow, EachRowVector, Kronecker, ScaledIdentity, Transposition

# 2.4.1 First order


@identity("Linear form, the variable first")
def form_xa(x: Float[Array, "n"], a: Float[Array, "n"]) -> Scalar:
    r"x^\top a"
    return x @ a


@form_xa.gradient(
    "x",
    "MCB 69",
    "MVC G10",
    printed("MML 5.104", r"a^\top", layout="numerator"),
    printed("VCN N17", r"a^\top", layout="numerator"),
)
def form_xa_dx(x, a):
    r"a"
    return a


@form_xa.hessian("x", "ours")
def form_xa_d2x(x, a):
    r"0"
    return jnp.zeros((len(x), len(x)), x.dtype)


@identity("Linear form, the variable last")
def form_ax(a: Float[Array, "n"], x: Float[Array, "n"]) -> Scalar:
    r"a^\top x"
    return a @ x


@form_ax.value("MVC G10")
def form_ax_is_swapped(a, x):
    r"x^\top a"
    return x @ a


@form_ax.gradient(
    "x",
    "MCB 69",
    "MVC G7",
    "MVC G10",
    printed("MML 5.105", r"a^\top", layout="numerator"),
    printed("VCN N17", r"a^\top", layout="numerator"),
)
def form_ax_dx(a, x):
    r"a"
    return a


@form_ax.differential("a x", "ours")
def form_ax_along_da_dx(a, x, da, dx):
    r"(\mathrm{d}a)^\top x + a^\top\mathrm{d}x"
    return da @ x + a @ dx


@identity("Bilinear form")
def bilinear(a: Float[Array, "m"], X: Float[Array, "m n"], b: Float[Array, "n"]) -> Scalar:
    r"a^\top Xb"
    return a @ X @ b


@bilinear.gradient("X", "MCB 70", "MML 5.106", "VCN N18")
def bilinear_dX(a, X, b):
    r"ab^\top"
    return jnp.outer(a, b)


@bilinear.gradient("a", "ours")
def bilinear_da(a, X, b):
    r"Xb"
    return X @ b


@bilinear.gradient("b", "ours")
def bilinear_db(a, X, b):
    r"X^\top a"
    return a @ X


@bilinear.hessian("a b", "ours")
def bilinear_d2a_b(a, X, b):
    r"X"
    return X


@identity("Bilinear form of a transpose")
def bilinear_transposed(a: Float[Array, "n"], X: Float[Array, "m n"], b: Float[Array, "m"]) -> Scalar:
    r"a^\top X^\top b"
    return a @ X.T @ b


@bilinear_transposed.gradient("X", "MCB 71")
def bilinear_transposed_dX(a, X, b):
    r"ba^\top"
    return jnp.outer(b, a)


@bilinear_transposed.gradient("a", "ours")
def bilinear_transposed_da(a, X, b):
    r"X^\top b"
    return b @ X


@bilinear_transposed.gradient("b", "ours")
def bilinear_transposed_db(a, X, b):
    r"Xa"
    return X @ a


@identity("Bilinear form with one vector on both sides")
def bilinear_same(a: Float[Array, "n"], X: Float[Array, "n n"]) -> Scalar:
    r"a^\top Xa"
    return a @ X @ a


@bilinear_same.gradient("X", "MCB 72")
def bilinear_same_dX(a, X):
    r"aa^\top"
    return jnp.outer(a, a)


@identity("Bilinear form of a transpose with one vector on both sides")
def bilinear_same_transposed(a: Float[Array, "n"], X: Float[Array, "n n"]) -> Scalar:
    r"a^\top X^\top a"
    return a @ X.T @ a


@bilinear_same_transposed.value("MCB 72")
def bilinear_same_transposed_is_swapped(a, X):
    r"a^\top Xa"
    return a @ X @ a


@bilinear_same_transposed.gradient("X", "MCB 72")
def bilinear_same_transposed_dX(a, X):
    r"aa^\top"
    return jnp.outer(a, a)


@identity("A matrix as a function of its entries")
def matrix_x(X: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"X"
    return X


@matrix_x.jacobian("X", "MCB 73", axes="ij")
def matrix_x_dX(X):
    r"J^{ij}"
    return ScaledIdentity(jnp.ones((), X.dtype), X.shape)


@matrix_x.jacobian("X", "MCB 80 its definition of J", axes="kl ij")
def matrix_x_dX_delta(X):
    r"\delta_{ik}\delta_{jl}"
    return Kronecker(jnp.eye(X.shape[0], dtype=X.dtype), jnp.eye(X.shape[1], dtype=X.dtype))


@identity("Product linear in X, entry by entry")
def matrix_xa(X: Float[Array, "p q"], A: Float[Array, "q r"]) -> Float[Array, "p r"]:
    r"XA"
    return X @ A


@matrix_xa.jacobian("X", "MCB 74", axes="ij mn")
def matrix_xa_dX(X, A):
    r"\delta_{im}A_{nj}"
    return EachRow(A.T, rows=X.shape[0])


@matrix_xa.jacobian("X", "MCB 74", axes="ij mn")
def matrix_xa_dX_single(X, A):
    r"(J^{mn}A)_{ij}"
    # J^{mn}, for all m and n at once, has the axes of its own entries in front of m and n
    single = ScaledIdentity(jnp.ones((), X.dtype), X.shape).todense()
    return jnp.einsum("ikmn,kj->ijmn", single, A)


@matrix_xa.jacobian("A", "ours", axes="ij mn")
def matrix_xa_dA(X, A):
    r"X_{im}\delta_{jn}"
    return EachColumn(X, A.shape[1])


@matrix_xa.differential("X A", "ours")
def matrix_xa_along_dX_dA(X, A, dX, dA):
    r"(\mathrm{d}X)A + X\,\mathrm{d}A"
    return dX @ A + X @ dA


@identity("Product linear in the transpose of X, entry by entry")
def matrix_xta(X: Float[Array, "p q"], A: Float[Array, "p r"]) -> Float[Array, "q r"]:
    r"X^\top A"
    return X.T @ A


@matrix_xta.jacobian("X", "MCB 75", axes="ij mn")
def matrix_xta_dX(X, A):
    r"\delta_{in}A_{mj}"
    return EachRow(A.T, rows=X.shape[1]) @ Transposition(X.shape, X.dtype)


@matrix_xta.jacobian("X", "MCB 75", axes="ij mn")
def matrix_xta_dX_single(X, A):
    r"(J^{nm}A)_{ij}"
    # J^{nm} is the transpose of J^{mn}: its entry ik is the entry ki of that
    single = ScaledIdentity(jnp.ones((), X.dtype), X.shape).todense()
    return jnp.einsum("kimn,kj->ijmn", single, A)


@matrix_xta.jacobian("A", "ours", axes="ij mn")
def matrix_xta_dA(X, A):
    r"X_{mi}\delta_{jn}"
    return EachColumn(X.T, A.shape[1])


@matrix_xta.differential("X A", "ours")
def matrix_xta_along_dX_dA(X, A, dX, dA):
    r"(\mathrm{d}X)^\top A + X^\top\mathrm{d}A"
    return dX.T @ A + X.T @ dA


# Sums and linear maps


@identity("Sum of the entries of a vector")
def sum_entries(x: Float[Array, "n"]) -> Scalar:
    r"\sum_{i=1}^n x_i"
    return jnp.sum(x)


@sum_entries.gradient("x", "VCN N1")
def sum_entries_dx(x):
    r"\mathbf{1}"
    return jnp.ones(len(x), x.dtype)


# with values in R^1 and not in R, the Jacobian keeps the axis that makes it a row
@identity("Sum of the entries of a vector, as a vector of length one")
def sum_entries_row(x: Float[Array, "n"]) -> Float[Array, "1"]:
    r"\left(\sum_{i=1}^n x_i\right) \in \mathbb{R}^1"
    return jnp.sum(x)[None]


@sum_entries_row.jacobian("x", "VCN N1")
def sum_entries_row_dx(x):
    r"\mathbf{1}^\top \in \mathbb{R}^{1 \times n}"
    return jnp.ones((1, len(x)), x.dtype)


@identity("Linear map")
def linear_map(A: Float[Array, "m n"], x: Float[Array, "n"]) -> Float[Array, "m"]:
    r"Ax"
    return A @ x


@linear_map.jacobian("x", "MML 5.68", "VCN N5")
def linear_map_dx(A, x):
    r"A"
    return A


@linear_map.jacobian("A", printed("VCN N10", r"\frac{\partial f_i}{\partial A_{iq}} = x_q"), axes="k iq")
def linear_map_dA(A, x):
    r"\delta_{ki}x_q"
    return EachRowVector(x, rows=len(A))


@linear_map.differential("A x", "ours")
def linear_map_along_dA_dx(A, x, dA, dx):
    r"(\mathrm{d}A)x + A\,\mathrm{d}x"
    return dA @ x + A @ dx


# the print has both indices on its right-hand side, so the sum over j is set beside each of the n columns
@identity("Sum of all partial derivatives of one component of a linear map, beside every entry of its row")
def jacobian_row_sums(A: Float[Array, "m n"], x: Float[Array, "n"]) -> Float[Array, "m n"]:
    r"\sum_{l=1}^{n} \frac{\partial (Ax)_i}{\partial x_l}"
    sums = jnp.sum(jax.jacfwd(lambda x: A @ x)(x), axis=1)
    return jnp.broadcast_to(sums[:, None], A.shape)


@jacobian_row_sums.value("ours")
def jacobian_row_sums_is_sum(A, x):
    r"A_{ij} + \sum_{l \ne j} A_{il}"
    return jnp.broadcast_to(jnp.sum(A, axis=1)[:, None], A.shape)


@jacobian_row_sums.value("VCN N5", given={"A": Float[Array, "m 1"], "x": Float[Array, "1"]})
def jacobian_row_sums_is_entry(A, x):
    r"A_{ij}"
    return A


@jacobian_row_sums.refuted(
    "value",
    "VCN N5 5.67",
    because="each partial derivative is one entry of A; over all j they add up to the sum of the row, unless n = 1",
)
def jacobian_row_sums_is_entry_printed_VCN_N5(A, x):
    r"A_{ij}"
    return A


# Area scaling


@identity("Change of basis from the unit square to a parallelogram")
def basis_change(x: Float[Array, "2"]) -> Float[Array, "2"]:
    r"\begin{bmatrix} -2x_1 + x_2 \\ x_1 + x_2 \end{bmatrix}"
    return jnp.stack([-2 * x[0] + x[1], x[0] + x[1]])


@basis_change.jacobian("x", "VCN N2", "MML 5.66")
def basis_change_dx(x):
    r"\begin{bmatrix} -2 & 1 \\ 1 & 1 \end{bmatrix}"
    return jnp.asarray([[-2, 1], [1, 1]], x.dtype)


@identity("Determinant of the Jacobian of a change of basis")
def basis_change_det(x: Float[Array, "2"]) -> Scalar:
    r"\det\frac{\partial}{\partial x}\begin{bmatrix} -2x_1 + x_2 \\ x_1 + x_2 \end{bmatrix}"
    return jnp.linalg.det(jax.jacfwd(basis_change.function)(x))


@basis_change_det.value("ours")
def basis_change_det_is_negative(x):
    r"-3"
    return jnp.asarray(-3, x.dtype)


@basis_change_det.refuted(
    "value", "VCN N2", because="the absolute value stands on one side only: the determinant is -3, the area is 3"
)
def basis_change_det_is_area_printed_VCN_N2(x):
    r"|-3| = 3"
    return jnp.asarray(3, x.dtype)


@identity("Area of the image of the unit square under a change of basis")
def basis_change_area(x: Float[Array, "2"]) -> Scalar:
    r"\left|\det\frac{\partial}{\partial x}\begin{bmatrix} -2x_1 + x_2 \\ x_1 + x_2 \end{bmatrix}\right|"
    return jnp.abs(jnp.linalg.det(jax.jacfwd(basis_change.function)(x)))


@basis_change_area.value("VCN N2")
def basis_change_area_is_three(x):
    r"3"
    return jnp.asarray(3, x.dtype)
