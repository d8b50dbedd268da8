r"""Networks of layers f_i = sigma(A_{i-1} f_{i-1} + b_{i-1}) under a squared loss, and their activations.

Every gradient is the backward recursion: the adjoint of a layer's input is A'(sigma' * adjoint of
its output), and each parameter's gradient reads it off.  The deep networks stack K square layers
(k is the depth); the one of three layers has a size of its own for every layer.  ReLU has a kink at
zero, where its derivative is taken as 0.  The loss by the input of an inner layer is the loss by x
of the network that starts there.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity
from identities.engine.operands import Scalar
from identities.operators import EachRowVector, Entrywise

# Activations


@identity("Logistic sigmoid, entry by entry")
def sigmoid(x: Float[Array, "n"]) -> Float[Array, "n"]:
    r"\frac{1}{1 + e^{-x}}"
    return 1 / (1 + jnp.exp(-x))


@sigmoid.jacobian("x", "VCN N23")
def sigmoid_dx(x):
    r"\operatorname{diag}\left(s \circ (1 - s)\right), \quad s = \frac{1}{1 + e^{-x}}"
    return jnp.diag(jax.nn.sigmoid(x) * jax.nn.sigmoid(-x))


@sigmoid.differential("x", "VCN N23")
def sigmoid_along_dx(x, dx):
    r"s \circ (1 - s) \circ \mathrm{d}x, \quad s = \frac{1}{1 + e^{-x}}"
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x) * dx


@sigmoid.refuted(
    "jacobian",
    "x",
    "VCN N24 read at the argument",
    because="the code's sigmoid_derivative takes the value of the sigmoid, not its argument",
)
def sigmoid_dx_printed_VCN_N24(x):
    r"\operatorname{diag}\left(x \circ (1 - x)\right)"
    return jnp.diag(x * (1 - x))


@sigmoid.value("ours", computed=True)
def sigmoid_is_stable(x):
    r"\frac{1}{2}\left(1 + \tanh\frac{x}{2}\right)"
    return jax.nn.sigmoid(x)


@identity("Hyperbolic tangent, entry by entry")
def tanh_entries(x: Float[Array, "n"]) -> Float[Array, "n"]:
    r"\tanh x"
    return jnp.tanh(x)


@tanh_entries.jacobian("x", "VCN N23")
def tanh_entries_dx(x):
    r"\operatorname{diag}(1 - \tanh^2 x)"
    return jnp.diag(1 - jnp.tanh(x) ** 2)


@identity("Rectified linear unit, entry by entry")
def relu(x: Float[Array, "n"]) -> Float[Array, "n"]:
    r"\max(x, 0)"
    return jnp.maximum(x, 0)


@relu.jacobian("x", "VCN N23")
def relu_dx(x):
    r"\operatorname{diag}([x > 0])"
    return jnp.diag((x > 0).astype(x.dtype))


# 5.6.1 One layer


@identity("One layer of a network")
def layer(x: Float[Array, "n"], A: Float[Array, "m n"], b: Float[Array, "m"]) -> Float[Array, "m"]:
    r"\sigma(Ax + b), \quad \sigma(z) = \frac{1}{1 + e^{-z}}"
    return jax.nn.sigmoid(A @ x + b)


@layer.jacobian("x", "VCN N23")
def layer_dx(x, A, b):
    r"\operatorname{diag}(s \circ (1 - s))\,A, \quad s = \sigma(Ax + b)"
    s = jax.nn.sigmoid(A @ x + b)
    return (s * (1 - s))[:, None] * A


@layer.jacobian("b", "VCN N23")
def layer_db(x, A, b):
    r"\operatorname{diag}(s \circ (1 - s)), \quad s = \sigma(Ax + b)"
    s = jax.nn.sigmoid(A @ x + b)
    return jnp.diag(s * (1 - s))


@layer.jacobian("A", "VCN N23", axes="i kl")
def layer_dA(x, A, b):
    r"\delta_{ik}\,s_i (1 - s_i)\,x_l, \quad s = \sigma(Ax + b)"
    s = jax.nn.sigmoid(A @ x + b)
    return Entrywise(s * (1 - s)) @ EachRowVector(x, rows=len(b))


# 5.6.1 Deep networks: the recursion that reuses the layer above


def _forward(sigma, x, A, b):
    """The values f_0 = x, f_1, ..., f_K of all layers."""
    f = [x]
    for i in range(A.shape[0]):
        f.append(sigma(A[i] @ f[-1] + b[i]))
    return f


def _backward(slope, f, A, y):
    """The adjoint of x and, layer by layer, of what enters each activation; `slope` is sigma' from sigma's value."""
    g = 2 * (f[-1] - y)
    z = [g] * A.shape[0]
    for i in reversed(range(A.shape[0])):
        z[i] = slope(f[i + 1]) * g
        g = z[i] @ A[i]
    return g, jnp.stack(z)


def _by_weights(z, f):
    """The gradient by all weights: the outer product of each layer's adjoint and its input."""
    return z[:, :, None] * jnp.stack(f[:-1])[:, None, :]


def _sigmoid_slope(s):
    return s * (1 - s)


def _tanh_slope(t):
    return 1 - t**2


def _relu_slope(r):
    return (r > 0).astype(r.dtype)


@identity("Loss of a deep sigmoid network")
def deep_sigmoid(
    x: Float[Array, "n"], A: Float[Array, "k n n"], b: Float[Array, "k n"], y: Float[Array, "n"]
) -> Scalar:
    r"\|y - f_K\|^2, \quad f_i = \sigma(A_{i-1} f_{i-1} + b_{i-1}),\; f_0 = x,\; \sigma(z) = \frac{1}{1 + e^{-z}}"
    return jnp.sum((y - _forward(jax.nn.sigmoid, x, A, b)[-1]) ** 2)


@deep_sigmoid.gradient("x", "VCN N23")
def deep_sigmoid_dx(x, A, b, y):
    r"g_0, \quad g_{i-1} = A_{i-1}^\top (f_i \circ (1 - f_i) \circ g_i),\; g_K = 2(f_K - y)"
    return _backward(_sigmoid_slope, _forward(jax.nn.sigmoid, x, A, b), A, y)[0]


@deep_sigmoid.gradient("A", "VCN N23", "MML 5.118", axes="ikl")
def deep_sigmoid_dA(x, A, b, y):
    r"""\left((f_{i+1} \circ (1 - f_{i+1}) \circ g_{i+1})\, f_i^\top\right)_{kl}, \quad
    g_{i-1} = A_{i-1}^\top (f_i \circ (1 - f_i) \circ g_i),\; g_K = 2(f_K - y)"""
    f = _forward(jax.nn.sigmoid, x, A, b)
    return _by_weights(_backward(_sigmoid_slope, f, A, y)[1], f)


@deep_sigmoid.gradient("b", "VCN N23", "MML 5.118", axes="ik")
def deep_sigmoid_db(x, A, b, y):
    r"""\left(f_{i+1} \circ (1 - f_{i+1}) \circ g_{i+1}\right)_k, \quad
    g_{i-1} = A_{i-1}^\top (f_i \circ (1 - f_i) \circ g_i),\; g_K = 2(f_K - y)"""
    return _backward(_sigmoid_slope, _forward(jax.nn.sigmoid, x, A, b), A, y)[1]


@deep_sigmoid.gradient("y", "ours")
def deep_sigmoid_dy(x, A, b, y):
    r"2(y - f_K)"
    return 2 * (y - _forward(jax.nn.sigmoid, x, A, b)[-1])


@identity("Loss of a deep tanh network")
def deep_tanh(x: Float[Array, "n"], A: Float[Array, "k n n"], b: Float[Array, "k n"], y: Float[Array, "n"]) -> Scalar:
    r"\|y - f_K\|^2, \quad f_i = \tanh(A_{i-1} f_{i-1} + b_{i-1}),\; f_0 = x"
    return jnp.sum((y - _forward(jnp.tanh, x, A, b)[-1]) ** 2)


@deep_tanh.gradient("x", "VCN N23")
def deep_tanh_dx(x, A, b, y):
    r"g_0, \quad g_{i-1} = A_{i-1}^\top ((1 - f_i \circ f_i) \circ g_i),\; g_K = 2(f_K - y)"
    return _backward(_tanh_slope, _forward(jnp.tanh, x, A, b), A, y)[0]


@deep_tanh.gradient("A", "VCN N23", axes="ikl")
def deep_tanh_dA(x, A, b, y):
    r"""\left(((1 - f_{i+1} \circ f_{i+1}) \circ g_{i+1})\, f_i^\top\right)_{kl}, \quad
    g_{i-1} = A_{i-1}^\top ((1 - f_i \circ f_i) \circ g_i),\; g_K = 2(f_K - y)"""
    f = _forward(jnp.tanh, x, A, b)
    return _by_weights(_backward(_tanh_slope, f, A, y)[1], f)


@deep_tanh.gradient("b", "VCN N23", axes="ik")
def deep_tanh_db(x, A, b, y):
    r"""\left((1 - f_{i+1} \circ f_{i+1}) \circ g_{i+1}\right)_k, \quad
    g_{i-1} = A_{i-1}^\top ((1 - f_i \circ f_i) \circ g_i),\; g_K = 2(f_K - y)"""
    return _backward(_tanh_slope, _forward(jnp.tanh, x, A, b), A, y)[1]


@identity("Loss of a deep ReLU network")
def deep_relu(x: Float[Array, "n"], A: Float[Array, "k n n"], b: Float[Array, "k n"], y: Float[Array, "n"]) -> Scalar:
    r"\|y - f_K\|^2, \quad f_i = \max(A_{i-1} f_{i-1} + b_{i-1},\, 0),\; f_0 = x"
    return jnp.sum((y - _forward(jax.nn.relu, x, A, b)[-1]) ** 2)


@deep_relu.gradient("x", "VCN N23")
def deep_relu_dx(x, A, b, y):
    r"g_0, \quad g_{i-1} = A_{i-1}^\top ([f_i > 0] \circ g_i),\; g_K = 2(f_K - y)"
    return _backward(_relu_slope, _forward(jax.nn.relu, x, A, b), A, y)[0]


@deep_relu.gradient("A", "VCN N23", axes="ikl")
def deep_relu_dA(x, A, b, y):
    r"""\left(([f_{i+1} > 0] \circ g_{i+1})\, f_i^\top\right)_{kl}, \quad
    g_{i-1} = A_{i-1}^\top ([f_i > 0] \circ g_i),\; g_K = 2(f_K - y)"""
    f = _forward(jax.nn.relu, x, A, b)
    return _by_weights(_backward(_relu_slope, f, A, y)[1], f)


@deep_relu.gradient("b", "VCN N23", axes="ik")
def deep_relu_db(x, A, b, y):
    r"""\left([f_{i+1} > 0] \circ g_{i+1}\right)_k, \quad
    g_{i-1} = A_{i-1}^\top ([f_i > 0] \circ g_i),\; g_K = 2(f_K - y)"""
    return _backward(_relu_slope, _forward(jax.nn.relu, x, A, b), A, y)[1]


# Three layers, each of its own size


def _three(x, A0, b0, A1, b1, A2, b2, y):
    """Values f_1, f_2, f_3 of the layers and adjoints of what enters their activations."""
    f1 = jax.nn.sigmoid(A0 @ x + b0)
    f2 = jax.nn.sigmoid(A1 @ f1 + b1)
    f3 = jax.nn.sigmoid(A2 @ f2 + b2)
    z3 = f3 * (1 - f3) * 2 * (f3 - y)
    z2 = f2 * (1 - f2) * (z3 @ A2)
    z1 = f1 * (1 - f1) * (z2 @ A1)
    return (f1, f2, f3), (z1, z2, z3)


@identity("Loss of a sigmoid network of three layers")
def three_layers(
    x: Float[Array, "n"],
    A0: Float[Array, "p n"],
    b0: Float[Array, "p"],
    A1: Float[Array, "q p"],
    b1: Float[Array, "q"],
    A2: Float[Array, "r q"],
    b2: Float[Array, "r"],
    y: Float[Array, "r"],
) -> Scalar:
    r"""\|y - f_3\|^2, \quad f_3 = \sigma(A_2 f_2 + b_2),\; f_2 = \sigma(A_1 f_1 + b_1),\; f_1 = \sigma(A_0 x + b_0),\;
    \sigma(z) = \frac{1}{1 + e^{-z}}"""
    f = x
    for A, b in ((A0, b0), (A1, b1), (A2, b2)):
        f = jax.nn.sigmoid(A @ f + b)
    return jnp.sum((y - f) ** 2)


@three_layers.gradient("A2", "VCN N23", "MML 5.115")
def three_layers_dA2(x, A0, b0, A1, b1, A2, b2, y):
    r"z_3 f_2^\top, \quad z_3 = 2 f_3 \circ (1 - f_3) \circ (f_3 - y)"
    f, z = _three(x, A0, b0, A1, b1, A2, b2, y)
    return jnp.outer(z[2], f[1])


@three_layers.gradient("b2", "VCN N23", "MML 5.115")
def three_layers_db2(x, A0, b0, A1, b1, A2, b2, y):
    r"2 f_3 \circ (1 - f_3) \circ (f_3 - y)"
    return _three(x, A0, b0, A1, b1, A2, b2, y)[1][2]


@three_layers.gradient("A1", "VCN N23", "MML 5.116")
def three_layers_dA1(x, A0, b0, A1, b1, A2, b2, y):
    r"""z_2 f_1^\top, \quad z_2 = f_2 \circ (1 - f_2) \circ A_2^\top z_3,\;
    z_3 = 2 f_3 \circ (1 - f_3) \circ (f_3 - y)"""
    f, z = _three(x, A0, b0, A1, b1, A2, b2, y)
    return jnp.outer(z[1], f[0])


@three_layers.gradient("b1", "VCN N23", "MML 5.116")
def three_layers_db1(x, A0, b0, A1, b1, A2, b2, y):
    r"f_2 \circ (1 - f_2) \circ A_2^\top z_3, \quad z_3 = 2 f_3 \circ (1 - f_3) \circ (f_3 - y)"
    return _three(x, A0, b0, A1, b1, A2, b2, y)[1][1]


@three_layers.gradient("A0", "VCN N23", "MML 5.117")
def three_layers_dA0(x, A0, b0, A1, b1, A2, b2, y):
    r"""z_1 x^\top, \quad z_1 = f_1 \circ (1 - f_1) \circ A_1^\top z_2,\;
    z_2 = f_2 \circ (1 - f_2) \circ A_2^\top z_3,\; z_3 = 2 f_3 \circ (1 - f_3) \circ (f_3 - y)"""
    return jnp.outer(_three(x, A0, b0, A1, b1, A2, b2, y)[1][0], x)


@three_layers.gradient("b0", "VCN N23", "MML 5.117")
def three_layers_db0(x, A0, b0, A1, b1, A2, b2, y):
    r"""f_1 \circ (1 - f_1) \circ A_1^\top z_2, \quad
    z_2 = f_2 \circ (1 - f_2) \circ A_2^\top z_3,\; z_3 = 2 f_3 \circ (1 - f_3) \circ (f_3 - y)"""
    return _three(x, A0, b0, A1, b1, A2, b2, y)[1][0]


@three_layers.gradient("x", "VCN N23")
def three_layers_dx(x, A0, b0, A1, b1, A2, b2, y):
    r"""A_0^\top z_1, \quad z_1 = f_1 \circ (1 - f_1) \circ A_1^\top z_2,\;
    z_2 = f_2 \circ (1 - f_2) \circ A_2^\top z_3,\; z_3 = 2 f_3 \circ (1 - f_3) \circ (f_3 - y)"""
    return _three(x, A0, b0, A1, b1, A2, b2, y)[1][0] @ A0


@three_layers.gradient("y", "ours")
def three_layers_dy(x, A0, b0, A1, b1, A2, b2, y):
    r"2(y - f_3)"
    return 2 * (y - _three(x, A0, b0, A1, b1, A2, b2, y)[0][2])


# A backward pass written by hand; W1 maps row vectors, so that its rows belong to the inputs


def _two(x, W1, b1, W2, b2, y):
    """Values a_1, a_2 and the code's d_hidden, d_output: its adjoints of half the squared loss."""
    a1 = jax.nn.sigmoid(x @ W1 + b1)
    a2 = jax.nn.sigmoid(W2 @ a1 + b2)
    d2 = (a2 - y) * a2 * (1 - a2)
    d1 = (d2 @ W2) * a1 * (1 - a1)
    return a1, d1, d2


@identity("Half the squared loss of a sigmoid network of two layers")
def two_layers_half(
    x: Float[Array, "n"],
    W1: Float[Array, "n h"],
    b1: Float[Array, "h"],
    W2: Float[Array, "m h"],
    b2: Float[Array, "m"],
    y: Float[Array, "m"],
) -> Scalar:
    r"""\tfrac{1}{2}\|y - a_2\|^2, \quad a_2 = \sigma(W_2 a_1 + b_2),\; a_1 = \sigma(W_1^\top x + b_1),\;
    \sigma(z) = \frac{1}{1 + e^{-z}}"""
    return jnp.sum((y - jax.nn.sigmoid(W2 @ jax.nn.sigmoid(x @ W1 + b1) + b2)) ** 2) / 2


@two_layers_half.gradient("W2", "VCN N24")
def two_layers_half_dW2(x, W1, b1, W2, b2, y):
    r"d_2 a_1^\top, \quad d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"
    a1, _, d2 = _two(x, W1, b1, W2, b2, y)
    return jnp.outer(d2, a1)


@two_layers_half.gradient("b2", "VCN N24")
def two_layers_half_db2(x, W1, b1, W2, b2, y):
    r"(a_2 - y) \circ a_2 \circ (1 - a_2)"
    return _two(x, W1, b1, W2, b2, y)[2]


@two_layers_half.gradient("W1", "VCN N24")
def two_layers_half_dW1(x, W1, b1, W2, b2, y):
    r"""x\,d_1^\top, \quad d_1 = a_1 \circ (1 - a_1) \circ W_2^\top d_2,\;
    d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"""
    return jnp.outer(x, _two(x, W1, b1, W2, b2, y)[1])


@two_layers_half.gradient("b1", "VCN N24 where the hidden layer is as wide as the input")
def two_layers_half_db1(x, W1, b1, W2, b2, y):
    r"a_1 \circ (1 - a_1) \circ W_2^\top d_2, \quad d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"
    return _two(x, W1, b1, W2, b2, y)[1]


@two_layers_half.refuted(
    "gradient",
    "b1",
    "VCN N24 with more hidden units than inputs",
    because="the loop over the inputs also runs the hidden biases, so those beyond the number of inputs never move",
    given={"x": Float[Array, "2"], "W1": Float[Array, "2 h"]},
)
def two_layers_half_db1_printed_VCN_N24(x, W1, b1, W2, b2, y):
    r"""\left[[i \le 2]\,(d_1)_i\right]_i, \quad d_1 = a_1 \circ (1 - a_1) \circ W_2^\top d_2,\;
    d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"""
    d1 = _two(x, W1, b1, W2, b2, y)[1]
    return jnp.where(jnp.arange(d1.shape[0]) < x.shape[0], d1, jnp.zeros_like(d1))


@two_layers_half.gradient("x", "ours")
def two_layers_half_dx(x, W1, b1, W2, b2, y):
    r"""W_1 d_1, \quad d_1 = a_1 \circ (1 - a_1) \circ W_2^\top d_2,\;
    d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"""
    return W1 @ _two(x, W1, b1, W2, b2, y)[1]


@identity("Squared loss of a sigmoid network of two layers")
def two_layers(
    x: Float[Array, "n"],
    W1: Float[Array, "n h"],
    b1: Float[Array, "h"],
    W2: Float[Array, "m h"],
    b2: Float[Array, "m"],
    y: Float[Array, "m"],
) -> Scalar:
    r"""\|y - a_2\|^2, \quad a_2 = \sigma(W_2 a_1 + b_2),\; a_1 = \sigma(W_1^\top x + b_1),\;
    \sigma(z) = \frac{1}{1 + e^{-z}}"""
    return jnp.sum((y - jax.nn.sigmoid(W2 @ jax.nn.sigmoid(x @ W1 + b1) + b2)) ** 2)


@two_layers.gradient("W2", "ours")
def two_layers_dW2(x, W1, b1, W2, b2, y):
    r"2 d_2 a_1^\top, \quad d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"
    a1, _, d2 = _two(x, W1, b1, W2, b2, y)
    return 2 * jnp.outer(d2, a1)


@two_layers.refuted(
    "gradient",
    "W2",
    "VCN N24 for the loss that its text states",
    because="the backward pass belongs to half the squared loss; the stated loss has no half",
)
def two_layers_dW2_printed_VCN_N24(x, W1, b1, W2, b2, y):
    r"d_2 a_1^\top, \quad d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"
    a1, _, d2 = _two(x, W1, b1, W2, b2, y)
    return jnp.outer(d2, a1)


@two_layers.gradient("W1", "ours")
def two_layers_dW1(x, W1, b1, W2, b2, y):
    r"""2 x\,d_1^\top, \quad d_1 = a_1 \circ (1 - a_1) \circ W_2^\top d_2,\;
    d_2 = (a_2 - y) \circ a_2 \circ (1 - a_2)"""
    return 2 * jnp.outer(x, _two(x, W1, b1, W2, b2, y)[1])
