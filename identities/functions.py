r"""Functions that learning is made of, and small computation graphs differentiated by hand.

Log-sum-exp and softmax, a chain of squares, a curve put into a surface, and the graph by which
reverse mode is usually explained.  Written literally, log-sum-exp and softmax overflow where an
entry exceeds the logarithm of the largest float; the `computed` forms do not.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Positive, Scalar

# Log-sum-exp and softmax


@identity("Log-sum-exp")
def lse(x: Float[Array, "n"]) -> Scalar:
    r"\ln \sum_i e^{x_i}"
    return jnp.log(jnp.sum(jnp.exp(x)))


@lse.gradient("x", "MVC G12 for n variables")
def lse_dx(x):
    r"p, \quad p_i = \frac{e^{x_i}}{\sum_j e^{x_j}}"
    return jax.nn.softmax(x)


@lse.hessian("x", "ours")
def lse_d2x(x):
    r"\operatorname{diag}(p) - p p^\top, \quad p_i = \frac{e^{x_i}}{\sum_j e^{x_j}}"
    p = jax.nn.softmax(x)
    return jnp.diag(p) - jnp.outer(p, p)


@lse.value("ours", computed=True)
def lse_is_shifted(x):
    r"c + \ln \sum_i e^{x_i - c}, \quad c = \max_i x_i"
    return jax.nn.logsumexp(x)


@identity("Sum of the partial derivatives of log-sum-exp")
def lse_gradient_sum(x: Float[Array, "n"]) -> Scalar:
    r"\sum_i \frac{\partial}{\partial x_i} \ln \sum_j e^{x_j}"
    return jnp.sum(jax.grad(lambda z: jnp.log(jnp.sum(jnp.exp(z))))(x))


@lse_gradient_sum.value("MVC G12")
def lse_gradient_sum_is_one(x):
    r"1"
    return jnp.ones((), x.dtype)


@identity("Log-sum-exp of two numbers")
def lse_two(x: Scalar, y: Scalar) -> Scalar:
    r"\ln(e^x + e^y)"
    return jnp.log(jnp.exp(x) + jnp.exp(y))


@lse_two.gradient("x", printed("MVC G2", r"\frac{e^x}{e^x + e^y}"))
def lse_two_dx(x, y):
    r"\frac{1}{1 + e^{y - x}}"
    return jax.nn.sigmoid(x - y)


@lse_two.gradient("y", printed("MVC G2", r"\frac{e^y}{e^x + e^y}"))
def lse_two_dy(x, y):
    r"\frac{1}{1 + e^{x - y}}"
    return jax.nn.sigmoid(y - x)


@lse_two.hessian("x y", "ours")
def lse_two_d2x_y(x, y):
    r"-s(1 - s), \quad s = \frac{1}{1 + e^{y - x}}"
    return -jax.nn.sigmoid(x - y) * jax.nn.sigmoid(y - x)


@lse_two.value("ours", computed=True)
def lse_two_is_shifted(x, y):
    r"\max(x, y) + \ln\left(1 + e^{-|x - y|}\right)"
    return jnp.logaddexp(x, y)


@identity("Softmax")
def softmax(x: Float[Array, "n"]) -> Float[Array, "n"]:
    r"\frac{e^x}{\sum_j e^{x_j}}"
    return jnp.exp(x) / jnp.sum(jnp.exp(x))


@softmax.jacobian("x", "ours")
def softmax_dx(x):
    r"\operatorname{diag}(p) - p p^\top, \quad p_i = \frac{e^{x_i}}{\sum_j e^{x_j}}"
    p = jax.nn.softmax(x)
    return jnp.diag(p) - jnp.outer(p, p)


@softmax.differential("x", "ours")
def softmax_along_dx(x, dx):
    r"p \circ (\mathrm{d}x - \mathbf{1} p^\top \mathrm{d}x), \quad p_i = \frac{e^{x_i}}{\sum_j e^{x_j}}"
    p = jax.nn.softmax(x)
    return p * (dx - p @ dx)


@softmax.value("ours", computed=True)
def softmax_is_shifted(x):
    r"\frac{e^{x - c}}{\sum_j e^{x_j - c}}, \quad c = \max_i x_i"
    return jax.nn.softmax(x)


# A chain of squares


@identity("Chain of squares of four variables")
def squares_chain(w: Scalar, x: Scalar, y: Scalar, z: Scalar) -> Scalar:
    r"(u + v)^2, \quad u = (a + b)^2,\; v = (a - b)^2,\; a = (w + x + y + z)^2,\; b = (w + x - y - z)^2"
    a, b = (w + x + y + z) ** 2, (w + x - y - z) ** 2
    u, v = (a + b) ** 2, (a - b) ** 2
    return (u + v) ** 2


@squares_chain.gradient("w", "MVC G5")
def squares_chain_dw(w, x, y, z):
    r"32\,(s^4 + d^4)(s^3 + d^3), \quad s = w + x + y + z,\; d = w + x - y - z"
    s, d = w + x + y + z, w + x - y - z
    return 32 * (s**4 + d**4) * (s**3 + d**3)


@squares_chain.gradient("w", "MVC G5")
def squares_chain_dw_chain(w, x, y, z):
    r"""\frac{\partial f}{\partial u}\left(\frac{\partial u}{\partial a}\frac{\partial a}{\partial w}
    + \frac{\partial u}{\partial b}\frac{\partial b}{\partial w}\right)
    + \frac{\partial f}{\partial v}\left(\frac{\partial v}{\partial a}\frac{\partial a}{\partial w}
    + \frac{\partial v}{\partial b}\frac{\partial b}{\partial w}\right), \quad f = (u + v)^2"""
    s, d = w + x + y + z, w + x - y - z
    a, b = s**2, d**2
    f_u = f_v = 2 * ((a + b) ** 2 + (a - b) ** 2)
    u_w = 2 * (a + b) * 2 * s + 2 * (a + b) * 2 * d
    v_w = 2 * (a - b) * 2 * s - 2 * (a - b) * 2 * d
    return f_u * u_w + f_v * v_w


@squares_chain.gradient("x", "MVC G5")
def squares_chain_dx(w, x, y, z):
    r"32\,(s^4 + d^4)(s^3 + d^3), \quad s = w + x + y + z,\; d = w + x - y - z"
    s, d = w + x + y + z, w + x - y - z
    return 32 * (s**4 + d**4) * (s**3 + d**3)


@squares_chain.gradient("y", "MVC G5")
def squares_chain_dy(w, x, y, z):
    r"32\,(s^4 + d^4)(s^3 - d^3), \quad s = w + x + y + z,\; d = w + x - y - z"
    s, d = w + x + y + z, w + x - y - z
    return 32 * (s**4 + d**4) * (s**3 - d**3)


@squares_chain.gradient("z", "MVC G5")
def squares_chain_dz(w, x, y, z):
    r"32\,(s^4 + d^4)(s^3 - d^3), \quad s = w + x + y + z,\; d = w + x - y - z"
    s, d = w + x + y + z, w + x - y - z
    return 32 * (s**4 + d**4) * (s**3 - d**3)


@squares_chain.value("ours", computed=True)
def squares_chain_is_power(w, x, y, z):
    r"4\,(s^4 + d^4)^2, \quad s = w + x + y + z,\; d = w + x - y - z"
    s, d = w + x + y + z, w + x - y - z
    return 4 * (s**4 + d**4) ** 2


# 5.3 A curve in a surface


@identity("Exponential of a product of two variables")
def exp_product(x: Float[Array, "2"]) -> Scalar:
    r"\exp(x_1 x_2^2)"
    return jnp.exp(x[0] * x[1] ** 2)


@exp_product.gradient(
    "x",
    printed("MML 5.74b", r"(\exp(x_1 x_2^2)\,x_2^2 \quad 2\exp(x_1 x_2^2)\,x_1 x_2)", layout="numerator"),
)
def exp_product_dx(x):
    r"\exp(x_1 x_2^2) \begin{bmatrix} x_2^2 \\ 2 x_1 x_2 \end{bmatrix}"
    return jnp.exp(x[0] * x[1] ** 2) * jnp.stack([x[1] ** 2, 2 * x[0] * x[1]])


@exp_product.refuted(
    "gradient",
    "x",
    printed("VCN N6", r"(\exp(x_1 x_2)\,x_2^2 \quad \exp(x_1 x_2)\,x_1 x_2^2)", layout="numerator"),
    because="the exponent has lost its square, and the second entry has a square in place of the factor 2",
)
def exp_product_dx_printed_VCN_N6(x):
    r"\exp(x_1 x_2) \begin{bmatrix} x_2^2 \\ x_1 x_2^2 \end{bmatrix}"
    return jnp.exp(x[0] * x[1]) * jnp.stack([x[1] ** 2, x[0] * x[1] ** 2])


@identity("Spiral")
def spiral(t: Scalar) -> Float[Array, "2"]:
    r"\begin{bmatrix} t \cos t \\ t \sin t \end{bmatrix}"
    return jnp.stack([t * jnp.cos(t), t * jnp.sin(t)])


@spiral.jacobian("t", "MML 5.74b", "VCN N6")
def spiral_dt(t):
    r"\begin{bmatrix} \cos t - t \sin t \\ \sin t + t \cos t \end{bmatrix}"
    return jnp.stack([jnp.cos(t) - t * jnp.sin(t), jnp.sin(t) + t * jnp.cos(t)])


@identity("Exponential of a product along a spiral")
def exp_spiral(t: Scalar) -> Scalar:
    r"\exp(x_1 x_2^2), \quad x = (t \cos t,\; t \sin t)"
    x1, x2 = t * jnp.cos(t), t * jnp.sin(t)
    return jnp.exp(x1 * x2**2)


@exp_spiral.gradient("t", "MML 5.74c")
def exp_spiral_dt(t):
    r"\exp(x_1 x_2^2)\left(x_2^2 (\cos t - t \sin t) + 2 x_1 x_2 (\sin t + t \cos t)\right)"
    c, s = jnp.cos(t), jnp.sin(t)
    x1, x2 = t * c, t * s
    return jnp.exp(x1 * x2**2) * (x2**2 * (c - x2) + 2 * x1 * x2 * (s + x1))


@exp_spiral.refuted(
    "gradient",
    "t",
    "VCN N6",
    because="the exponent has lost a square, and the exponential multiplies the first term only",
)
def exp_spiral_dt_printed_VCN_N6(t):
    r"\exp(x_1 x_2)\,x_2^2 (\cos t - t \sin t) + 2 x_1 x_2 (\sin t + t \cos t)"
    c, s = jnp.cos(t), jnp.sin(t)
    x1, x2 = t * c, t * s
    return jnp.exp(x1 * x2) * x2**2 * (c - t * s) + 2 * x1 * x2 * (s + t * c)


# 5.6 The example of automatic differentiation


@identity("Example of backpropagation, with a root")
def root_cos(x: Scalar) -> Scalar:
    r"\sqrt{x^2 + \exp(x^2)} + \cos(x^2 + \exp(x^2))"
    return jnp.sqrt(x**2 + jnp.exp(x**2)) + jnp.cos(x**2 + jnp.exp(x**2))


@root_cos.gradient("x", "MML 5.110")
def root_cos_dx(x):
    r"2x \left(\frac{1}{2\sqrt{c}} - \sin c\right)(1 + \exp(x^2)), \quad c = x^2 + \exp(x^2)"
    a = x**2
    b = jnp.exp(a)
    c = a + b
    return 2 * x * (0.5 / jnp.sqrt(c) - jnp.sin(c)) * (1 + b)


@root_cos.gradient("x", "VCN N22 with the paths that it leaves out")
def root_cos_dx_paths(x):
    r"""\left(\frac{\partial f}{\partial d}\frac{\partial d}{\partial c}
    + \frac{\partial f}{\partial e}\frac{\partial e}{\partial c}\right)
    \left(\frac{\partial c}{\partial a} + \frac{\partial c}{\partial b}\frac{\partial b}{\partial a}\right)
    \frac{\partial a}{\partial x}, \quad
    f = d + e,\; d = \sqrt{c},\; e = \cos c,\; c = a + b,\; b = \exp a,\; a = x^2"""
    a = x**2
    b = jnp.exp(a)
    c = a + b
    d_c, e_c, b_a, a_x = 1 / (2 * jnp.sqrt(c)), -jnp.sin(c), b, 2 * x
    return (d_c + e_c) * (1 + b_a) * a_x


@root_cos.refuted(
    "gradient",
    "x",
    "VCN N22",
    because="the sum leaves out the two paths that reach c through b = exp(a)",
)
def root_cos_dx_printed_VCN_N22(x):
    r"""\frac{\partial f}{\partial d}\frac{\partial d}{\partial c}
    \frac{\partial c}{\partial a}\frac{\partial a}{\partial x}
    + \frac{\partial f}{\partial e}\frac{\partial e}{\partial c}
    \frac{\partial c}{\partial a}\frac{\partial a}{\partial x}, \quad
    f = d + e,\; d = \sqrt{c},\; e = \cos c,\; c = a + b,\; b = \exp a,\; a = x^2"""
    a = x**2
    c = a + jnp.exp(a)
    d_c, e_c, a_x = 1 / (2 * jnp.sqrt(c)), -jnp.sin(c), 2 * x
    return d_c * a_x + e_c * a_x


@root_cos.refuted(
    "gradient",
    "x",
    "VCN N21 for the graph",
    because="it is the derivative neither of the graph's function nor of the one printed above it",
)
def root_cos_dx_factored_printed_VCN_N21(x):
    r"2x\left(1 - \sin(x^2) + \exp(x^2)\right)\left(1 + \exp(x^2)\right)"
    a = x**2
    return 2 * x * (1 - jnp.sin(a) + jnp.exp(a)) * (1 + jnp.exp(a))


@root_cos.refuted(
    "gradient",
    "x",
    "VCN N21 for the graph",
    because="it is the derivative neither of the graph's function nor of the one printed above it",
)
def root_cos_dx_expanded_printed_VCN_N21(x):
    r"2x + 2x\exp(x^2) - \sin(x^2) + \exp(x^2) + 2x + 2x\exp(x^2)"
    a = x**2
    return 2 * x + 2 * x * jnp.exp(a) - jnp.sin(a) + jnp.exp(a) + 2 * x + 2 * x * jnp.exp(a)


@identity("Example of backpropagation, as a sum of four terms")
def exp_cos(x: Scalar) -> Scalar:
    r"x^2 + \exp(x^2) + \cos(x^2) + \exp(x^2)"
    return x**2 + jnp.exp(x**2) + jnp.cos(x**2) + jnp.exp(x**2)


@exp_cos.gradient("x", "VCN N21 corrected")
def exp_cos_dx(x):
    r"2x\left(1 + 2\exp(x^2) - \sin(x^2)\right)"
    a = x**2
    return 2 * x * (1 + 2 * jnp.exp(a) - jnp.sin(a))


@exp_cos.refuted(
    "gradient",
    "x",
    "VCN N21",
    because="the cosine and one exponential have lost their inner derivative 2x, and three terms stand twice",
)
def exp_cos_dx_expanded_printed_VCN_N21(x):
    r"2x + 2x\exp(x^2) - \sin(x^2) + \exp(x^2) + 2x + 2x\exp(x^2)"
    a = x**2
    return 2 * x + 2 * x * jnp.exp(a) - jnp.sin(a) + jnp.exp(a) + 2 * x + 2 * x * jnp.exp(a)


@exp_cos.refuted(
    "gradient",
    "x",
    "VCN N21",
    because="a factor 1 + exp(x^2) is put in that belongs to another function, and one exponential is missing",
)
def exp_cos_dx_factored_printed_VCN_N21(x):
    r"2x\left(1 - \sin(x^2) + \exp(x^2)\right)\left(1 + \exp(x^2)\right)"
    a = x**2
    return 2 * x * (1 - jnp.sin(a) + jnp.exp(a)) * (1 + jnp.exp(a))


@identity("The same graph from its node a on")
def graph_from_a(a: Positive[Array, ""]) -> Scalar:
    r"\sqrt{c} + \cos c, \quad c = a + b,\; b = \exp a"
    c = a + jnp.exp(a)
    return jnp.sqrt(c) + jnp.cos(c)


@graph_from_a.gradient("a", "VCN N22")
def graph_from_a_da(a):
    r"""\frac{\partial f}{\partial c}\frac{\partial c}{\partial a}
    + \frac{\partial f}{\partial b}\frac{\partial b}{\partial a}, \quad f = \sqrt{c} + \cos c"""
    b = jnp.exp(a)
    c = a + b
    f_c = 0.5 / jnp.sqrt(c) - jnp.sin(c)
    return f_c + f_c * b


@identity("The same graph from its nodes a and b on")
def graph_from_ab(a: Positive[Array, ""], b: Positive[Array, ""]) -> Scalar:
    r"\sqrt{c} + \cos c, \quad c = a + b"
    c = a + b
    return jnp.sqrt(c) + jnp.cos(c)


@graph_from_ab.gradient("a", "VCN N22")
def graph_from_ab_da(a, b):
    r"\frac{1}{2\sqrt{c}} - \sin c"
    c = a + b
    return 0.5 / jnp.sqrt(c) - jnp.sin(c)


@graph_from_ab.gradient("b", "VCN N22")
def graph_from_ab_db(a, b):
    r"\frac{1}{2\sqrt{c}} - \sin c"
    c = a + b
    return 0.5 / jnp.sqrt(c) - jnp.sin(c)


@identity("The same graph from its last two nodes on")
def graph_from_de(d: Scalar, e: Scalar) -> Scalar:
    r"d + e"
    return d + e


@graph_from_de.gradient("d", "VCN N22")
def graph_from_de_dd(d, e):
    r"1"
    return jnp.ones((), d.dtype)


@graph_from_de.gradient("e", "VCN N22")
def graph_from_de_de(d, e):
    r"1"
    return jnp.ones((), e.dtype)
