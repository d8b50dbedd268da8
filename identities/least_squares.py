r"""Least squares: weighted, plain and with a ridge penalty.

The Cookbook states the weighted forms for a symmetric W.  Here each has three claims: the gradient
for any square W, in which W + W' stands; the book's form under its condition; and the same form
without the condition, which is refuted.  Plain least squares keeps the letters y, Phi, theta of
the textbook that derives it by the chain rule, where e = y - Phi theta is the residual.  The ridge
problem's solution and its least value are functions of the data too, and are differentiated as such.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Nonzero, Positive, Scalar, Symmetric
from identities.lemmas import ridge_cholesky
from identities.operators import EachRowVector, KroneckerOuter

# 2.4.2 Second order: weighted least squares


@identity("Weighted least squares")
def wls(x: Float[Array, "m"], A: Float[Array, "m n"], s: Float[Array, "n"], W: Float[Array, "m m"]) -> Scalar:
    r"(x - As)^\top W (x - As)"
    return (x - A @ s) @ W @ (x - A @ s)


@wls.gradient("s", "ours")
def wls_ds(x, A, s, W):
    r"-A^\top (W + W^\top)(x - As)"
    r = x - A @ s
    return -((W @ r + r @ W) @ A)


@wls.gradient(
    "s",
    "MCB 84",
    printed("MML 5.108", r"-2(x - As)^\top W A", layout="numerator"),
    printed("VCN N19", r"-2(x - As)^\top W A", layout="numerator"),
    given={"W": Symmetric[Array, "m m"]},
)
def wls_ds_symmetric(x, A, s, W):
    r"-2 A^\top W (x - As)"
    return -2 * ((W @ (x - A @ s)) @ A)


@wls.refuted(
    "gradient",
    "s",
    "MCB 84 without its condition",
    because="for a W that is not symmetric, the gradient has W + W' where this has 2W",
)
def wls_ds_printed_MCB84(x, A, s, W):
    r"-2 A^\top W (x - As)"
    return -2 * ((W @ (x - A @ s)) @ A)


@wls.refuted(
    "gradient",
    "s",
    printed("MML 5.108 without its condition", r"-2(x - As)^\top W A", layout="numerator"),
    printed("VCN N19 without its condition", r"-2(x - As)^\top W A", layout="numerator"),
    because="for a W that is not symmetric, the derivative, a row, has W + W' where this has 2W",
)
def wls_ds_printed_MML5108(x, A, s, W):
    r"-2 A^\top W^\top (x - As)"
    # the row has W' where the Cookbook's column has W: without symmetry these are two different wrong vectors
    return -2 * (((x - A @ s) @ W) @ A)


@wls.gradient("x", "ours")
def wls_dx(x, A, s, W):
    r"(W + W^\top)(x - As)"
    r = x - A @ s
    return W @ r + r @ W


@wls.gradient("x", "MCB 87", given={"W": Symmetric[Array, "m m"]})
def wls_dx_symmetric(x, A, s, W):
    r"2 W (x - As)"
    return 2 * (W @ (x - A @ s))


@wls.refuted(
    "gradient",
    "x",
    "MCB 87 without its condition",
    because="for a W that is not symmetric, the gradient has W + W' where this has 2W",
)
def wls_dx_printed_MCB87(x, A, s, W):
    r"2 W (x - As)"
    return 2 * (W @ (x - A @ s))


@wls.gradient("A", "ours")
def wls_dA(x, A, s, W):
    r"-(W + W^\top)(x - As) s^\top"
    r = x - A @ s
    return -jnp.outer(W @ r + r @ W, s)


@wls.gradient("A", "MCB 88", given={"W": Symmetric[Array, "m m"]})
def wls_dA_symmetric(x, A, s, W):
    r"-2 W (x - As) s^\top"
    return jnp.outer(-2 * (W @ (x - A @ s)), s)


@wls.refuted(
    "gradient",
    "A",
    "MCB 88 without its condition",
    because="for a W that is not symmetric, the gradient has W + W' where this has 2W",
)
def wls_dA_printed_MCB88(x, A, s, W):
    r"-2 W (x - As) s^\top"
    return jnp.outer(-2 * (W @ (x - A @ s)), s)


@wls.gradient("W", "ours")
def wls_dW(x, A, s, W):
    r"(x - As)(x - As)^\top"
    r = x - A @ s
    return jnp.outer(r, r)


@wls.hessian("s", "ours")
def wls_d2s(x, A, s, W):
    r"A^\top (W + W^\top) A"
    G = A.T @ (W @ A)
    return G + G.T


@wls.hessian("x", "ours")
def wls_d2x(x, A, s, W):
    r"W + W^\top"
    return W + W.T


@wls.hessian("s x", "ours")
def wls_d2s_x(x, A, s, W):
    r"-A^\top (W + W^\top)"
    return -(A.T @ (W + W.T))


@wls.hessian("A", "ours")
def wls_d2A(x, A, s, W):
    r"\left[(W + W^\top)_{ip}\, s_j s_q\right]_{ij,\,pq}"
    return KroneckerOuter(W + W.T, s, s)


# 2.4.2 Second order: weighted distance of two vectors


@identity("Weighted squared distance of two vectors")
def weighted_distance(x: Float[Array, "n"], s: Float[Array, "n"], W: Float[Array, "n n"]) -> Scalar:
    r"(x - s)^\top W (x - s)"
    return (x - s) @ W @ (x - s)


@weighted_distance.gradient("x", "ours")
def weighted_distance_dx(x, s, W):
    r"(W + W^\top)(x - s)"
    r = x - s
    return W @ r + r @ W


@weighted_distance.gradient("x", "MCB 85", given={"W": Symmetric[Array, "n n"]})
def weighted_distance_dx_symmetric(x, s, W):
    r"2 W (x - s)"
    return 2 * (W @ (x - s))


@weighted_distance.refuted(
    "gradient",
    "x",
    "MCB 85 without its condition",
    because="for a W that is not symmetric, the gradient has W + W' where this has 2W",
)
def weighted_distance_dx_printed_MCB85(x, s, W):
    r"2 W (x - s)"
    return 2 * (W @ (x - s))


@weighted_distance.gradient("s", "ours")
def weighted_distance_ds(x, s, W):
    r"-(W + W^\top)(x - s)"
    r = x - s
    return -(W @ r + r @ W)


@weighted_distance.gradient("s", "MCB 86", given={"W": Symmetric[Array, "n n"]})
def weighted_distance_ds_symmetric(x, s, W):
    r"-2 W (x - s)"
    return -2 * (W @ (x - s))


@weighted_distance.refuted(
    "gradient",
    "s",
    "MCB 86 without its condition",
    because="for a W that is not symmetric, the gradient has W + W' where this has 2W",
)
def weighted_distance_ds_printed_MCB86(x, s, W):
    r"-2 W (x - s)"
    return -2 * (W @ (x - s))


@weighted_distance.gradient("W", "ours")
def weighted_distance_dW(x, s, W):
    r"(x - s)(x - s)^\top"
    return jnp.outer(x - s, x - s)


@weighted_distance.hessian("x", "ours")
def weighted_distance_d2x(x, s, W):
    r"W + W^\top"
    return W + W.T


@weighted_distance.hessian("s", "ours")
def weighted_distance_d2s(x, s, W):
    r"W + W^\top"
    return W + W.T


@weighted_distance.hessian("x s", "ours")
def weighted_distance_d2x_s(x, s, W):
    r"-(W + W^\top)"
    return -(W + W.T)


# Plain least squares by the chain rule: the loss as a function of the residual


@identity("Squared length of a residual")
def residual_loss(e: Float[Array, "n"]) -> Scalar:
    r"\|e\|_2^2"
    return jnp.sum(e**2)


@residual_loss.value("VCN N7 with the square that its print drops")
def residual_loss_is_product(e):
    r"e^\top e"
    return e @ e


@residual_loss.gradient(
    "e",
    printed("MML 5.81", r"2e^\top", layout="numerator"),
    printed("VCN N7 its equation 5.81", r"2e^\top", layout="numerator"),
)
def residual_loss_de(e):
    r"2e"
    return 2 * e


@residual_loss.hessian("e", "ours")
def residual_loss_d2e(e):
    r"2I"
    return 2 * jnp.eye(e.shape[0], dtype=e.dtype)


@identity("Length of a residual, without the square")
def residual_norm(e: Nonzero[Array, "n"]) -> Scalar:
    r"\|e\|_2"
    return jnp.linalg.norm(e)


@residual_norm.value("ours")
def residual_norm_is_root(e):
    r"\sqrt{e^\top e}"
    return jnp.sqrt(e @ e)


@residual_norm.refuted(
    "value", "VCN N7 the line before its equation 5.81", because="the norm is equated with its own square"
)
def residual_norm_is_product_printed_VCN_N7(e):
    r"e^\top e"
    return e @ e


@residual_norm.gradient("e", "ours")
def residual_norm_de(e):
    r"\frac{e}{\|e\|_2}"
    return e / jnp.linalg.norm(e)


@residual_norm.refuted(
    "gradient",
    "e",
    printed("VCN N7 its equations 5.76 and 5.81", r"2e^\top", layout="numerator"),
    because="the loss is defined as the norm but differentiated as the squared norm",
)
def residual_norm_de_printed_VCN_N7(e):
    r"2e"
    return 2 * e


@identity("Residual of a linear model")
def residual(y: Float[Array, "n"], Phi: Float[Array, "n d"], theta: Float[Array, "d"]) -> Float[Array, "n"]:
    r"y - \Phi\theta"
    return y - Phi @ theta


@residual.jacobian("theta", "MML 5.82", "VCN N7 its equation 5.82")
def residual_dtheta(y, Phi, theta):
    r"-\Phi"
    return -Phi


@residual.jacobian("y", "ours")
def residual_dy(y, Phi, theta):
    r"I"
    return jnp.eye(y.shape[0], dtype=y.dtype)


@residual.jacobian("Phi", "ours", axes="i kl")
def residual_dPhi(y, Phi, theta):
    r"-\delta_{ik}\,\theta_l"
    return EachRowVector(-theta, rows=y.shape[0])


@identity("Least squares")
def lsq(y: Float[Array, "n"], Phi: Float[Array, "n d"], theta: Float[Array, "d"]) -> Scalar:
    r"\|y - \Phi\theta\|^2"
    return jnp.sum((y - Phi @ theta) ** 2)


@lsq.value("MML 5.84", "VCN N7 its equation 5.84")
def lsq_is_product(y, Phi, theta):
    r"(y - \Phi\theta)^\top (y - \Phi\theta)"
    e = y - Phi @ theta
    return e @ e


@lsq.gradient(
    "theta",
    printed("MML 5.83", r"-2e^\top\Phi = -2(y^\top - \theta^\top\Phi^\top)\Phi", layout="numerator"),
    printed("VCN N7 the first form in its equation 5.83", r"-2e^\top\Phi", layout="numerator"),
)
def lsq_dtheta(y, Phi, theta):
    r"-2\,\Phi^\top (y - \Phi\theta)"
    return -2 * ((y - Phi @ theta) @ Phi)


@lsq.gradient(
    "theta",
    printed("MML 5.79", r"\frac{\partial L}{\partial e}\frac{\partial e}{\partial\theta}", layout="numerator"),
    printed(
        "MML 5.80",
        r"\sum_{n=1}^{N} \frac{\partial L}{\partial e}[n]\,\frac{\partial e}{\partial\theta}[n, d]",
        layout="numerator",
    ),
    printed(
        "VCN N7 its equation 5.79",
        r"\frac{\partial L}{\partial e}\frac{\partial e}{\partial\theta}",
        layout="numerator",
    ),
)
def lsq_dtheta_chain(y, Phi, theta):
    r"\left(2\,(y - \Phi\theta)^\top (-\Phi)\right)^\top"
    e = y - Phi @ theta
    # the sign of de/dtheta = -Phi is moved to the vector: to negate the matrix would copy it
    dL_de = 2 * e
    return -dL_de @ Phi


@lsq.refuted(
    "gradient",
    "theta",
    printed("VCN N7 the second form in its equation 5.83", r"-2(y^\top - \theta^\top\Phi^\top)", layout="numerator"),
    given={"Phi": Float[Array, "n n"]},
    because="the last factor Phi is cut off by a broken brace; what is left even has this shape only for a square Phi",
)
def lsq_dtheta_printed_VCN_N7(y, Phi, theta):
    r"-2\,(y - \Phi\theta)"
    return -2 * (y - Phi @ theta)


@lsq.gradient("y", "ours")
def lsq_dy(y, Phi, theta):
    r"2\,(y - \Phi\theta)"
    return 2 * (y - Phi @ theta)


@lsq.gradient("Phi", "ours")
def lsq_dPhi(y, Phi, theta):
    r"-2\,(y - \Phi\theta)\theta^\top"
    return -2 * jnp.outer(y - Phi @ theta, theta)


@lsq.hessian("theta", "ours")
def lsq_d2theta(y, Phi, theta):
    r"2\,\Phi^\top\Phi"
    return 2 * (Phi.T @ Phi)


@lsq.hessian("theta y", "ours")
def lsq_d2theta_y(y, Phi, theta):
    r"-2\,\Phi^\top"
    return -2 * Phi.T


# Least squares with a ridge penalty


@identity("Ridge regression loss")
def ridge(y: Float[Array, "n"], X: Float[Array, "n p"], b: Float[Array, "p"], l: Scalar) -> Scalar:
    r"\|y - Xb\|^2 + l\|b\|^2"
    return jnp.sum((y - X @ b) ** 2) + l * jnp.sum(b**2)


@ridge.gradient("b", "ours")
def ridge_db(y, X, b, l):
    r"-2 X^\top (y - Xb) + 2 l b"
    return 2 * (l * b - (y - X @ b) @ X)


@ridge.hessian("b", "ours")
def ridge_d2b(y, X, b, l):
    r"2\,(X^\top X + l I)"
    return 2 * (X.T @ X + l * jnp.eye(X.shape[1], dtype=X.dtype))


@ridge.gradient("y", "ours")
def ridge_dy(y, X, b, l):
    r"2\,(y - Xb)"
    return 2 * (y - X @ b)


@ridge.gradient("X", "ours")
def ridge_dX(y, X, b, l):
    r"-2\,(y - Xb)b^\top"
    return -2 * jnp.outer(y - X @ b, b)


@ridge.gradient("l", "ours")
def ridge_dl(y, X, b, l):
    r"b^\top b"
    return b @ b


@ridge.hessian("b y", "ours")
def ridge_d2b_y(y, X, b, l):
    r"-2 X^\top"
    return -2 * X.T


@ridge.hessian("b l", "ours")
def ridge_d2b_l(y, X, b, l):
    r"2b"
    return 2 * b


@identity("Solution of ridge regression")
def ridge_solution(y: Float[Array, "n"], X: Float[Array, "n p"], l: Positive[Array, ""]) -> Float[Array, "p"]:
    r"(X^\top X + l I)^{-1} X^\top y"
    return jnp.linalg.inv(X.T @ X + l * jnp.eye(X.shape[1], dtype=X.dtype)) @ X.T @ y


@ridge_solution.value("ours", computed=True)
def ridge_solution_is_computed(y, X, l):
    r"\operatorname{solve}(X^\top X + l I,\ X^\top y)"
    return jax.scipy.linalg.cho_solve(ridge_cholesky(X, l), y @ X)


@ridge_solution.value("ours")
def ridge_solution_is_dual(y, X, l):
    r"X^\top (X X^\top + l I)^{-1} y"
    # the n x n system instead of the p x p one: the smaller of the two where n < p
    return jax.scipy.linalg.cho_solve(ridge_cholesky(X.T, l), y) @ X


@ridge_solution.jacobian("y", "ours")
def ridge_solution_dy(y, X, l):
    r"(X^\top X + l I)^{-1} X^\top"
    return jax.scipy.linalg.cho_solve(ridge_cholesky(X, l), X.T)


@ridge_solution.jacobian("l", "ours")
def ridge_solution_dl(y, X, l):
    r"-(X^\top X + l I)^{-2} X^\top y"
    factor = ridge_cholesky(X, l)
    return -jax.scipy.linalg.cho_solve(factor, jax.scipy.linalg.cho_solve(factor, y @ X))


@ridge_solution.differential("X", "ours")
def ridge_solution_along_dX(y, X, l, dX):
    r"K^{-1}\left(\mathrm{d}X^\top (y - Xb) - X^\top \mathrm{d}X\, b\right),\ K = X^\top X + l I,\ b = K^{-1}X^\top y"
    factor = ridge_cholesky(X, l)
    b = jax.scipy.linalg.cho_solve(factor, y @ X)
    return jax.scipy.linalg.cho_solve(factor, (y - X @ b) @ dX - (dX @ b) @ X)


def _ridge_minimizer(y, X, l):
    """b = (X'X + l I)^-1 X'y by Cholesky and one step of iterative refinement.

    The system squares the condition of X, and no other error of b is made up for in the derivatives below.  A step
    costs three products with a vector and gives back what that lost, up to a condition of about 1e6 of X in float64.
    """
    factor = ridge_cholesky(X, l)
    b = jax.scipy.linalg.cho_solve(factor, y @ X)
    return b + jax.scipy.linalg.cho_solve(factor, (y - X @ b) @ X - l * b)


@identity("Least value of the ridge regression loss")
def ridge_minimum(y: Float[Array, "n"], X: Float[Array, "n p"], l: Positive[Array, ""]) -> Scalar:
    r"\min_b \|y - Xb\|^2 + l\|b\|^2"
    b = jnp.linalg.inv(X.T @ X + l * jnp.eye(X.shape[1], dtype=X.dtype)) @ X.T @ y
    return jnp.sum((y - X @ b) ** 2) + l * jnp.sum(b**2)


@ridge_minimum.value("ours")
def ridge_minimum_is_dual(y, X, l):
    r"l\, y^\top (X X^\top + l I)^{-1} y"
    factor = ridge_cholesky(X.T, l)
    a = jax.scipy.linalg.cho_solve(factor, y)
    a = a + jax.scipy.linalg.cho_solve(factor, y - X @ (a @ X) - l * a)  # refined as in _ridge_minimizer
    return l * (y @ a)


@ridge_minimum.value("ours", computed=True)
def ridge_minimum_is_computed(y, X, l):
    r"\|y - Xb\|^2 + l\|b\|^2,\quad b = (X^\top X + l I)^{-1} X^\top y"
    # the shorter y'(y - Xb) is equal, but cancels where the fit is close
    b = _ridge_minimizer(y, X, l)
    r = y - X @ b
    return r @ r + l * (b @ b)


@ridge_minimum.gradient("y", "ours")
def ridge_minimum_dy(y, X, l):
    r"2\,(y - Xb),\quad b = (X^\top X + l I)^{-1} X^\top y"
    # at a minimum the derivative by b is zero, so b counts as a constant in this and the next two
    return 2 * (y - X @ _ridge_minimizer(y, X, l))


@ridge_minimum.gradient("X", "ours")
def ridge_minimum_dX(y, X, l):
    r"-2\,(y - Xb)b^\top,\quad b = (X^\top X + l I)^{-1} X^\top y"
    b = _ridge_minimizer(y, X, l)
    return -2 * jnp.outer(y - X @ b, b)


@ridge_minimum.gradient("l", "ours")
def ridge_minimum_dl(y, X, l):
    r"b^\top b,\quad b = (X^\top X + l I)^{-1} X^\top y"
    b = _ridge_minimizer(y, X, l)
    return b @ b


@ridge_minimum.hessian("y", "ours")
def ridge_minimum_d2y(y, X, l):
    r"2\left(I - X(X^\top X + l I)^{-1}X^\top\right)"
    # with X above sqrt(l) I = QR and Q_1 the rows of Q beside X, X R^-1 is Q_1: no system of squared condition
    n, p = X.shape
    Q = jnp.linalg.qr(jnp.concatenate([X, jnp.sqrt(l) * jnp.eye(p, dtype=X.dtype)]))[0][:n]
    return 2 * (jnp.eye(n, dtype=y.dtype) - Q @ Q.T)
