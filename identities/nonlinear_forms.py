r"""Forms of higher order in a vector or a matrix, and quotients of them (Matrix Cookbook, 89-95).

The gradient of a form in X^n is a sum of n outer products.  Closed forms build the vectors X^r a and
X^r b one from another and put the sum together with a single product of two thin matrices, so that
no power of X is ever formed.  A square of a complex number is not its squared modulus: the section
on the complex least mean square has both.  A quotient is taken where its denominator is not zero; that
Bx is not zero cannot be said of x alone, and is left to the reader.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity
from identities.engine.operands import Complex, Count, Scalar, Symmetric
from identities.lemmas import power_derivative
from identities.operators import Kronecker

# v @ X costs what X @ v does; XLA would copy X for X.T @ v.


def _krylov(X, v, n):
    """The vectors v, Xv, ..., X^(n-1) v, one in each row."""
    rows = [v]
    for _ in range(n - 1):
        rows.append(X @ rows[-1])
    return jnp.stack(rows)


def _krylov_transposed(v, X, n):
    """The rows v', v'X, ..., v'X^(n-1)."""
    rows = [v]
    for _ in range(n - 1):
        rows.append(rows[-1] @ X)
    return jnp.stack(rows)


def _power_times(X, v, n):
    """X^n v by n products with a vector."""
    for _ in range(n):
        v = X @ v
    return v


def _times_power(v, X, n):
    """v'X^n by n products with a vector."""
    for _ in range(n):
        v = v @ X
    return v


# 2.4.2 Second order: the complex least mean square


@identity("Square of the error of a complex linear filter")
def lms_square(a: Complex[Array, ""], x: Complex[Array, "n"], b: Complex[Array, "n"]) -> Complex[Array, ""]:
    r"(a - x^H b)^2"
    return (a - jnp.conj(x) @ b) ** 2


@lms_square.jacobian("x", "ours", wirtinger="z")
def lms_square_dx(a, x, b):
    r"0"
    return jnp.zeros_like(x)


@lms_square.refuted(
    "jacobian",
    "x",
    "MCB 89",
    because="the square is a function of the conjugate of x alone, so that its derivative by x is zero",
    wirtinger="z",
)
def lms_square_dx_printed_MCB89(a, x, b):
    r"-2b(a - x^H b)^*"
    return -2 * b * jnp.conj(a - jnp.conj(x) @ b)


@lms_square.jacobian("x", "ours", wirtinger="z*")
def lms_square_dx_conj(a, x, b):
    r"-2b(a - x^H b)"
    return -2 * b * (a - jnp.conj(x) @ b)


@lms_square.refuted(
    "jacobian",
    "x",
    "MCB 89",
    because="the derivative of the square by the conjugate of x has the error itself in it and not its conjugate, "
    "which belongs to the squared modulus",
    wirtinger="z*",
)
def lms_square_dx_conj_printed_MCB89(a, x, b):
    r"-2b(a - x^H b)^*"
    return -2 * b * jnp.conj(a - jnp.conj(x) @ b)


@identity("Squared modulus of the error of a complex linear filter")
def lms_modulus(a: Complex[Array, ""], x: Complex[Array, "n"], b: Complex[Array, "n"]) -> Scalar:
    r"|a - x^H b|^2"
    return jnp.abs(a - jnp.conj(x) @ b) ** 2


@lms_modulus.gradient("x", "MCB 89 read as a squared modulus")
def lms_modulus_dx(a, x, b):
    r"-2b(a - x^H b)^*"
    return -2 * b * jnp.conj(a - jnp.conj(x) @ b)


@lms_modulus.gradient("b", "ours")
def lms_modulus_db(a, x, b):
    r"-2x(a - x^H b)"
    return -2 * x * (a - jnp.conj(x) @ b)


@lms_modulus.gradient("a", "ours")
def lms_modulus_da(a, x, b):
    r"2(a - x^H b)"
    return 2 * (a - jnp.conj(x) @ b)


@identity("Square of the error of a real linear filter")
def lms_real(a: Scalar, x: Float[Array, "n"], b: Float[Array, "n"]) -> Scalar:
    r"(a - x^\top b)^2"
    return (a - x @ b) ** 2


@lms_real.gradient("x", "MCB 89 for real values")
def lms_real_dx(a, x, b):
    r"-2b(a - x^\top b)"
    return -2 * b * (a - x @ b)


@lms_real.hessian("x", "ours")
def lms_real_d2x(a, x, b):
    r"2bb^\top"
    return 2 * jnp.outer(b, b)


# 2.4.3 Higher order and non-linear


@identity("Power of a matrix")
def power(X: Float[Array, "m m"], n: Count[int, "1..5"]) -> Float[Array, "m m"]:
    r"X^n"
    return jnp.linalg.matrix_power(X, n)


@power.jacobian("X", "MCB 90", axes="kl ij")
def power_dX(X, n):
    r"\sum_{r=0}^{n-1} (X^r J^{ij} X^{n-1-r})_{kl}"
    powers = [jnp.eye(len(X), dtype=X.dtype)]
    for _ in range(n - 1):
        powers.append(powers[-1] @ X)
    # entry kl of PJ^{ij}Q is P_ki Q_jl
    return sum(Kronecker(powers[r], powers[n - 1 - r].T) for r in range(n))


@power.differential("X", "ours")
def power_along_dX(X, n, dX):
    r"\sum_{r=0}^{n-1} X^r\,\mathrm{d}X\,X^{n-1-r}"
    return power_derivative(X, dX, n)


@identity("Bilinear form of a power")
def bilinear_power(a: Float[Array, "m"], X: Float[Array, "m m"], n: Count[int, "1..5"], b: Float[Array, "m"]) -> Scalar:
    r"a^\top X^n b"
    return a @ jnp.linalg.matrix_power(X, n) @ b


@bilinear_power.value("ours", computed=True)
def bilinear_power_is_computed(a, X, n, b):
    r"a^\top z_n, \quad z_i = X z_{i-1},\; z_0 = b"
    return a @ _power_times(X, b, n)


@bilinear_power.gradient("X", "MCB 91")
def bilinear_power_dX(a, X, n, b):
    r"\sum_{r=0}^{n-1} (X^r)^\top ab^\top(X^{n-1-r})^\top"
    return _krylov_transposed(a, X, n).T @ _krylov(X, b, n)[::-1]


@bilinear_power.gradient("a", "ours")
def bilinear_power_da(a, X, n, b):
    r"X^n b"
    return _power_times(X, b, n)


@bilinear_power.gradient("b", "ours")
def bilinear_power_db(a, X, n, b):
    r"(X^n)^\top a"
    return _times_power(a, X, n)


@identity("Bilinear form of the Gram matrix of a power")
def bilinear_power_gram(
    a: Float[Array, "m"], X: Float[Array, "m m"], n: Count[int, "1..4"], b: Float[Array, "m"]
) -> Scalar:
    r"a^\top(X^n)^\top X^n b"
    power = jnp.linalg.matrix_power(X, n)
    return a @ power.T @ power @ b


@bilinear_power_gram.value("ours", computed=True)
def bilinear_power_gram_is_computed(a, X, n, b):
    r"(X^n a)^\top(X^n b)"
    return _power_times(X, a, n) @ _power_times(X, b, n)


@bilinear_power_gram.gradient("X", "ours")
def bilinear_power_gram_dX(a, X, n, b):
    r"\sum_{r=0}^{n-1} (X^r)^\top X^n(ab^\top + ba^\top)(X^{n-1-r})^\top"
    A, B = _krylov(X, a, n + 1), _krylov(X, b, n + 1)
    left = jnp.concatenate([_krylov_transposed(A[n], X, n), _krylov_transposed(B[n], X, n)])
    # one product of two thin matrices for both terms
    return left.T @ jnp.concatenate([B[:n][::-1], A[:n][::-1]])


@bilinear_power_gram.refuted(
    "gradient",
    "X",
    "MCB 92",
    because="the first term in the brackets is printed transposed: it must be the second one with a and b exchanged",
)
def bilinear_power_gram_dX_printed_MCB92(a, X, n, b):
    r"""\sum_{r=0}^{n-1} \left[X^{n-1-r}ab^\top(X^n)^\top X^r
    + (X^r)^\top X^n ab^\top(X^{n-1-r})^\top\right]"""
    A, B = _krylov(X, a, n + 1), _krylov(X, b, n + 1)
    return A[:n][::-1].T @ _krylov_transposed(B[n], X, n) + _krylov_transposed(A[n], X, n).T @ B[:n][::-1]


@bilinear_power_gram.gradient("a", "ours")
def bilinear_power_gram_da(a, X, n, b):
    r"(X^n)^\top X^n b"
    return _times_power(_power_times(X, b, n), X, n)


@bilinear_power_gram.gradient("b", "ours")
def bilinear_power_gram_db(a, X, n, b):
    r"(X^n)^\top X^n a"
    return _times_power(_power_times(X, a, n), X, n)


@identity("Bilinear form of two functions of a vector")
def bilinear_functions(
    x: Float[Array, "n"],
    A: Float[Array, "p q"],
    B: Float[Array, "p n"],
    u: Float[Array, "p"],
    C: Float[Array, "q n"],
    v: Float[Array, "q"],
) -> Scalar:
    r"s^\top Ar\,\big|_{s = \tanh(Bx + u),\; r = \sin(Cx + v)}"
    s, r = jnp.tanh(B @ x + u), jnp.sin(C @ x + v)
    return s @ A @ r


@bilinear_functions.gradient("x", "MCB 93")
def bilinear_functions_dx(x, A, B, u, C, v):
    r"""\left[\frac{\partial s}{\partial x}\right]^\top Ar + \left[\frac{\partial r}{\partial x}\right]^\top A^\top s,
    \quad \frac{\partial s}{\partial x} = \operatorname{diag}(1 - s \circ s)B,
    \;\frac{\partial r}{\partial x} = \operatorname{diag}(\cos(Cx + v))C"""
    z = C @ x + v
    s, r = jnp.tanh(B @ x + u), jnp.sin(z)
    return ((1 - s**2) * (A @ r)) @ B + (jnp.cos(z) * (s @ A)) @ C


@bilinear_functions.gradient("A", "ours")
def bilinear_functions_dA(x, A, B, u, C, v):
    r"sr^\top"
    return jnp.outer(jnp.tanh(B @ x + u), jnp.sin(C @ x + v))


@identity("Ratio of two squared norms of linear functions of a vector")
def rayleigh(x: Float[Array, "n"], A: Float[Array, "m n"], B: Float[Array, "p n"]) -> Scalar:
    r"\frac{(Ax)^\top(Ax)}{(Bx)^\top(Bx)}"
    return (A @ x) @ (A @ x) / ((B @ x) @ (B @ x))


@rayleigh.value("MCB 94")
def rayleigh_is_expanded(x, A, B):
    r"\frac{x^\top A^\top Ax}{x^\top B^\top Bx}"
    return (x @ A.T @ A @ x) / (x @ B.T @ B @ x)


@rayleigh.gradient("x", "MCB 94")
def rayleigh_dx_expanded(x, A, B):
    r"\frac{\partial}{\partial x}\,\frac{x^\top A^\top Ax}{x^\top B^\top Bx}"
    # by the rule for a quotient of the two forms
    a, b = A @ x, B @ x
    aa, bb = a @ a, b @ b
    return (2 * bb * (a @ A) - 2 * aa * (b @ B)) / jnp.square(bb)


@rayleigh.gradient("x", "ours")
def rayleigh_dx(x, A, B):
    r"2\frac{A^\top Ax}{x^\top B^\top Bx} - 2\frac{x^\top A^\top AxB^\top Bx}{(x^\top B^\top Bx)^2}"
    a, b = A @ x, B @ x
    bb = b @ b
    return 2 / bb * (a @ A - (a @ a / bb) * (b @ B))


@rayleigh.gradient("x", "MCB 95", given={"B": Symmetric[Array, "n n"]})
def rayleigh_dx_symmetric(x, A, B):
    r"2\frac{A^\top Ax}{x^\top BBx} - 2\frac{x^\top A^\top AxB^\top Bx}{(x^\top B^\top Bx)^2}"
    a, b = A @ x, B @ x
    bb = b @ b
    return 2 / bb * (a @ A - (a @ a / bb) * (B @ b))


@rayleigh.refuted(
    "gradient",
    "x",
    "MCB 95",
    because="one denominator has BB where it must have the transpose of B times B, so the print is undefined "
    "for a rectangular B and false for a square one that is not symmetric",
    given={"B": Float[Array, "n n"]},
)
def rayleigh_dx_printed_MCB95(x, A, B):
    r"2\frac{A^\top Ax}{x^\top BBx} - 2\frac{x^\top A^\top AxB^\top Bx}{(x^\top B^\top Bx)^2}"
    a, b = A @ x, B @ x
    return 2 * (a @ A) / ((x @ B) @ b) - 2 * (a @ a) * (b @ B) / jnp.square(b @ b)


@rayleigh.gradient("A", "ours")
def rayleigh_dA(x, A, B):
    r"\frac{2Axx^\top}{x^\top B^\top Bx}"
    b = B @ x
    return jnp.outer(2 / (b @ b) * (A @ x), x)


@rayleigh.gradient("B", "ours")
def rayleigh_dB(x, A, B):
    r"-2\frac{x^\top A^\top Ax}{(x^\top B^\top Bx)^2}\,Bxx^\top"
    a, b = A @ x, B @ x
    return jnp.outer(-2 * (a @ a) / jnp.square(b @ b) * b, x)
