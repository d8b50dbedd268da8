r"""Differentials: the layout of derivatives and the rules from which all others follow (Matrix Cookbook, 32-45).

A differential $\mathrm{d}F$ is the part of $F(X + \mathrm{d}X) - F(X)$ that is linear in $\mathrm{d}X$; it has the
shape of $F$, for operands of any shape, and $\mathrm{d}F = \operatorname{tr}(G^\top\mathrm{d}X)$ reads off the
gradient $G$ of a scalar.  The rules of this chapter hold for complex matrices too, where the conjugate (and with it
$X^H$) has a differential but no complex derivative.  The rules for the trace (36), the inverse (40) and the
determinant (41-43) stand with those functions, in the chapters on traces, inverses and determinants, for real
matrices; of these, the ones that need no inverse (36, 41) stand here for complex matrices.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Complex, Scalar
from identities.operators import EachColumn, EachRow, Entrywise, Outer, ScaledIdentity, Transposition

# 2 Derivatives: independent entries, and where each derivative stands


@identity("Matrix of independent entries, as a function of itself")
def itself(X: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"X"
    return X


@itself.jacobian("X", "MCB 32", axes="kl ij")
def itself_dX(X):
    r"\delta_{ik}\,\delta_{lj}"
    return ScaledIdentity(jnp.ones((), X.dtype), X.shape)


@identity("Vector x as a function of a scalar y")
def vector_by_scalar(a: Float[Array, "n"], b: Float[Array, "n"], y: Scalar) -> Float[Array, "n"]:
    r"x(y) = \sin(ya + b)"
    return jnp.sin(a * y + b)


@vector_by_scalar.jacobian(
    "y", printed("MCB 32a", r"\left[\frac{\partial x}{\partial y}\right]_i = \frac{\partial x_i}{\partial y}")
)
def vector_by_scalar_dy(a, b, y):
    r"\left[\frac{\partial x(y)_i}{\partial y}\right]_i = a \circ \cos(ya + b)"
    return a * jnp.cos(a * y + b)


@identity("Scalar x as a function of a vector y")
def scalar_by_vector(a: Float[Array, "m"], B: Float[Array, "m n"], y: Float[Array, "n"]) -> Scalar:
    r"x(y) = a^\top\sin(By)"
    return a @ jnp.sin(B @ y)


@scalar_by_vector.gradient(
    "y", printed("MCB 32a", r"\left[\frac{\partial x}{\partial y}\right]_i = \frac{\partial x}{\partial y_i}"), axes="i"
)
def scalar_by_vector_dy(a, B, y):
    r"\frac{\partial x(y)}{\partial y_i} = \sum_k a_k\cos\left((By)_k\right)B_{ki}"
    return (a * jnp.cos(B @ y)) @ B


@identity("Vector x as a function of a vector y")
def vector_by_vector(A: Float[Array, "m k"], B: Float[Array, "k n"], y: Float[Array, "n"]) -> Float[Array, "m"]:
    r"x(y) = A\sin(By)"
    return A @ jnp.sin(B @ y)


@vector_by_vector.jacobian(
    "y",
    printed("MCB 32a", r"\left[\frac{\partial x}{\partial y}\right]_{ij} = \frac{\partial x_i}{\partial y_j}"),
    axes="i j",
)
def vector_by_vector_dy(A, B, y):
    r"\frac{\partial x(y)_i}{\partial y_j} = \sum_k A_{ik}\cos\left((By)_k\right)B_{kj}"
    return (A * jnp.cos(B @ y)[None, :]) @ B


# 2 Derivatives: the rules


@identity("Constant matrix, as a function of X")
def constant(A: Float[Array, "m n"], X: Float[Array, "p q"]) -> Float[Array, "m n"]:
    r"A"
    return A


@constant.differential("X", "MCB 33")
def constant_along_dX(A, X, dX):
    r"0"
    return jnp.zeros_like(A)


# a zero alone says little: here the differentials of both constants would be seen beside one that is not zero
@identity("Affine function with constant matrices A and C")
def affine(A: Float[Array, "m k"], X: Float[Array, "k n"], C: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"AX + C"
    return A @ X + C


@affine.differential("X", printed("MCB 33", r"\mathrm{d}A = 0"))
def affine_along_dX(A, X, C, dX):
    r"A\,\mathrm{d}X"
    return A @ dX


@affine.differential("A X C", "ours")
def affine_along_dA_dX_dC(A, X, C, dA, dX, dC):
    r"\mathrm{d}A\,X + A\,\mathrm{d}X + \mathrm{d}C"
    return dA @ X + A @ dX + dC


@identity("Scalar times a matrix")
def scaled(a: Scalar, X: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"aX"
    return a * X


@scaled.differential("X", "MCB 34")
def scaled_along_dX(a, X, dX):
    r"a\,\mathrm{d}X"
    return a * dX


@scaled.differential("a X", "ours")
def scaled_along_da_dX(a, X, da, dX):
    r"\mathrm{d}a\,X + a\,\mathrm{d}X"
    return da * X + a * dX


@scaled.differential("X", "MCB 34", given={"a": Complex[Array, ""], "X": Complex[Array, "m n"]})
def scaled_along_dX_complex(a, X, dX):
    r"a\,\mathrm{d}X"
    return a * dX


@identity("Sum of two matrices")
def sum_xy(X: Float[Array, "m n"], Y: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"X + Y"
    return X + Y


@sum_xy.differential("X Y", "MCB 35")
def sum_xy_along_dX_dY(X, Y, dX, dY):
    r"\mathrm{d}X + \mathrm{d}Y"
    return dX + dY


@sum_xy.differential("X Y", "MCB 35", given={"X": Complex[Array, "m n"], "Y": Complex[Array, "m n"]})
def sum_xy_along_dX_dY_complex(X, Y, dX, dY):
    r"\mathrm{d}X + \mathrm{d}Y"
    return dX + dY


@identity("Trace of a complex matrix")
def tr_x_complex(X: Complex[Array, "n n"]) -> Complex[Array, ""]:
    r"\operatorname{tr}(X)"
    return jnp.trace(X)


@tr_x_complex.differential("X", "MCB 36 on complex matrices")
def tr_x_complex_along_dX(X, dX):
    r"\operatorname{tr}(\mathrm{d}X)"
    return jnp.trace(dX)


@identity("Product of two matrices")
def product_xy(X: Float[Array, "m k"], Y: Float[Array, "k n"]) -> Float[Array, "m n"]:
    r"XY"
    return X @ Y


@product_xy.differential("X Y", "MCB 37")
def product_xy_along_dX_dY(X, Y, dX, dY):
    r"(\mathrm{d}X)Y + X(\mathrm{d}Y)"
    return dX @ Y + X @ dY


@product_xy.differential("X Y", "MCB 37", given={"X": Complex[Array, "m k"], "Y": Complex[Array, "k n"]})
def product_xy_along_dX_dY_complex(X, Y, dX, dY):
    r"(\mathrm{d}X)Y + X(\mathrm{d}Y)"
    return dX @ Y + X @ dY


@product_xy.jacobian("X", "ours", axes="kl ij")
def product_xy_dX(X, Y):
    r"\delta_{ki}\,Y_{jl}"
    return EachRow(Y.T, X.shape[0])


@product_xy.jacobian("Y", "ours", axes="kl ij")
def product_xy_dY(X, Y):
    r"X_{ki}\,\delta_{lj}"
    return EachColumn(X, Y.shape[1])


@identity("Hadamard product of two matrices")
def hadamard_xy(X: Float[Array, "m n"], Y: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"X \circ Y"
    return X * Y


@hadamard_xy.differential("X Y", "MCB 38")
def hadamard_xy_along_dX_dY(X, Y, dX, dY):
    r"(\mathrm{d}X) \circ Y + X \circ (\mathrm{d}Y)"
    return dX * Y + X * dY


@hadamard_xy.differential("X Y", "MCB 38", given={"X": Complex[Array, "m n"], "Y": Complex[Array, "m n"]})
def hadamard_xy_along_dX_dY_complex(X, Y, dX, dY):
    r"(\mathrm{d}X) \circ Y + X \circ (\mathrm{d}Y)"
    return dX * Y + X * dY


@hadamard_xy.jacobian("X", "ours", axes="kl ij")
def hadamard_xy_dX(X, Y):
    r"Y_{kl}\,\delta_{ki}\,\delta_{lj}"
    return Entrywise(Y)


@identity("Kronecker product of two matrices")
def kron_xy(X: Float[Array, "m n"], Y: Float[Array, "p q"]) -> Array:
    r"X \otimes Y"
    return jnp.kron(X, Y)


@kron_xy.differential("X Y", "MCB 39")
def kron_xy_along_dX_dY(X, Y, dX, dY):
    r"(\mathrm{d}X) \otimes Y + X \otimes (\mathrm{d}Y)"
    return jnp.kron(dX, Y) + jnp.kron(X, dY)


@kron_xy.differential("X Y", "MCB 39", given={"X": Complex[Array, "m n"], "Y": Complex[Array, "p q"]})
def kron_xy_along_dX_dY_complex(X, Y, dX, dY):
    r"(\mathrm{d}X) \otimes Y + X \otimes (\mathrm{d}Y)"
    return jnp.kron(dX, Y) + jnp.kron(X, dY)


@identity("Determinant of a complex matrix")
def det_complex(X: Complex[Array, "n n"]) -> Complex[Array, ""]:
    r"\det(X)"
    return jnp.linalg.det(X)


@det_complex.differential("X", "MCB 41 on complex matrices")
def det_complex_along_dX(X, dX):
    r"\operatorname{tr}(\operatorname{adj}(X)\,\mathrm{d}X)"
    U, s, Vh = jnp.linalg.svd(X)
    # the adjugate of diag(s) holds the products of all singular values but one
    one = jnp.ones(1, s.dtype)
    before = jnp.cumprod(jnp.concatenate([one, s[:-1]]))
    after = jnp.cumprod(jnp.concatenate([one, s[:0:-1]]))[::-1]
    inner = jnp.sum(U.conj() * (dX @ Vh.conj().T), axis=0)
    return jnp.linalg.det(U @ Vh) * (inner @ (before * after).astype(X.dtype))


@identity("Transpose")
def transpose(X: Float[Array, "m n"]) -> Float[Array, "n m"]:
    r"X^\top"
    return X.T


@transpose.differential("X", "MCB 44")
def transpose_along_dX(X, dX):
    r"(\mathrm{d}X)^\top"
    return dX.T


@transpose.differential("X", "MCB 44", given={"X": Complex[Array, "m n"]})
def transpose_along_dX_complex(X, dX):
    r"(\mathrm{d}X)^\top"
    return dX.T


@transpose.jacobian("X", "ours", axes="kl ij")
def transpose_dX(X):
    r"\delta_{kj}\,\delta_{li}"
    return Transposition(X.shape, X.dtype)


@identity("Conjugate transpose")
def conjugate_transpose(X: Complex[Array, "m n"]) -> Complex[Array, "n m"]:
    r"X^H"
    return jnp.conj(X).T


@conjugate_transpose.differential("X", "MCB 45")
def conjugate_transpose_along_dX(X, dX):
    r"(\mathrm{d}X)^H"
    return jnp.conj(dX).T


@conjugate_transpose.jacobian("X", "ours", wirtinger="z", axes="kl ij")
def conjugate_transpose_dX(X):
    r"0"
    return Outer(jnp.zeros_like(X.T), jnp.zeros_like(X))


@conjugate_transpose.jacobian("X", "ours", wirtinger="z*", axes="kl ij")
def conjugate_transpose_dX_conj(X):
    r"\delta_{kj}\,\delta_{li}"
    return Transposition(X.shape, X.dtype)
