r"""What several closed forms share: derivatives kept as operators, and a few pure functions.

The second derivative of a function of an m x k matrix has (mk)^2 entries, but most of them are
zero or repeat each other.  An operator stores only what it is made of and is what such a closed
form returns:

`matvec(D)`   the derivative applied to D, which has the shape of the last operand; the result has
              the shape of the first one;
`todense()`   all entries, with the axes of the first operand before those of the last;
`shape`, `dtype`   those of `todense()`.

Operators are JAX pytrees: they may be returned from `jit`, mapped over and moved between devices.
Nothing in this module is an entry of the book.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Array, Float

from identities.engine.errors import ShapeMismatch

__all__ = [
    "EachColumn",
    "EachRow",
    "EachRowVector",
    "Entrywise",
    "KroneckerOuter",
    "MaskedMixedFactors",
    "MixedFactors",
    "Operator",
    "PerColumn",
    "PerRow",
    "ScaledIdentity",
    "outer_ik_jl",
    "outer_il_jk",
    "power_derivative",
    "ridge_cholesky",
    "weighted_grams",
]


class Operator:
    """A derivative with more than two axes, stored by what it is made of."""

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def dtype(self) -> jnp.dtype:
        raise NotImplementedError

    def matvec(self, D: Array) -> Array:
        raise NotImplementedError

    def todense(self) -> Array:
        raise NotImplementedError

    def _fit(self, D: Array, axes: int = 2) -> None:
        """Refuse a D that is not of the last operand's shape, since some would broadcast into a wrong result."""
        wanted = self.shape[len(self.shape) - axes :]
        if jnp.shape(D) != wanted:
            raise ShapeMismatch(
                f"{type(self).__name__}.matvec: an array of shape {wanted} was expected, that of the last operand; "
                f"got shape {jnp.shape(D)}"
            )


# eq=False: two operators are the same only if they are one object, since arrays have no single truth value
_frozen = functools.partial(dataclasses.dataclass, frozen=True, eq=False)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["block"], meta_fields=["rows"])
@_frozen()
class EachRow(Operator):
    r"""The same block for every row: H_{ijpq} = \delta_{ip} B_{jq}.  Row i of the result is B D_i."""

    block: Float[Array, "j q"]
    rows: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        j, q = self.block.shape
        return self.rows, j, self.rows, q

    @property
    def dtype(self) -> jnp.dtype:
        return self.block.dtype

    def matvec(self, D: Float[Array, "i q"]) -> Float[Array, "i j"]:
        self._fit(D)
        return D @ self.block.T

    def todense(self) -> Float[Array, "i j i q"]:
        i = jnp.arange(self.rows)
        return jnp.zeros(self.shape, self.dtype).at[i, :, i, :].set(self.block, unique_indices=True)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["vector"], meta_fields=["rows"])
@_frozen()
class EachRowVector(Operator):
    r"""The same vector for every row: J_{ipq} = \delta_{ip} v_q.  The result is D v."""

    vector: Float[Array, "q"]
    rows: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.rows, self.rows, self.vector.shape[0]

    @property
    def dtype(self) -> jnp.dtype:
        return self.vector.dtype

    def matvec(self, D: Float[Array, "i q"]) -> Float[Array, "i"]:
        self._fit(D)
        return D @ self.vector

    def todense(self) -> Float[Array, "i i q"]:
        i = jnp.arange(self.rows)
        return jnp.zeros(self.shape, self.dtype).at[i, i, :].set(self.vector, unique_indices=True)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["block"], meta_fields=["columns"])
@_frozen()
class EachColumn(Operator):
    r"""The same block for every column: H_{ijpq} = B_{ip} \delta_{jq}.  The result is B D."""

    block: Float[Array, "i p"]
    columns: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        i, p = self.block.shape
        return i, self.columns, p, self.columns

    @property
    def dtype(self) -> jnp.dtype:
        return self.block.dtype

    def matvec(self, D: Float[Array, "p j"]) -> Float[Array, "i j"]:
        self._fit(D)
        return self.block @ D

    def todense(self) -> Float[Array, "i j p j"]:
        j = jnp.arange(self.columns)
        return jnp.zeros(self.shape, self.dtype).at[:, j, :, j].set(self.block, unique_indices=True)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["blocks"], meta_fields=[])
@_frozen()
class PerRow(Operator):
    r"""A block of its own for each row: H_{ijpq} = \delta_{ip} (B_i)_{jq}."""

    blocks: Float[Array, "i j q"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        i, j, q = self.blocks.shape
        return i, j, i, q

    @property
    def dtype(self) -> jnp.dtype:
        return self.blocks.dtype

    def matvec(self, D: Float[Array, "i q"]) -> Float[Array, "i j"]:
        self._fit(D)
        return jnp.einsum("ijq,iq->ij", self.blocks, D)

    def todense(self) -> Float[Array, "i j i q"]:
        i = jnp.arange(self.blocks.shape[0])
        return jnp.zeros(self.shape, self.dtype).at[i, :, i, :].set(self.blocks, unique_indices=True)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["blocks"], meta_fields=[])
@_frozen()
class PerColumn(Operator):
    r"""A block of its own for each column: H_{ijpq} = (B_j)_{ip} \delta_{jq}."""

    blocks: Float[Array, "j i p"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        j, i, p = self.blocks.shape
        return i, j, p, j

    @property
    def dtype(self) -> jnp.dtype:
        return self.blocks.dtype

    def matvec(self, D: Float[Array, "p j"]) -> Float[Array, "i j"]:
        self._fit(D)
        return jnp.einsum("jip,pj->ij", self.blocks, D)

    def todense(self) -> Float[Array, "i j p j"]:
        j = jnp.arange(self.blocks.shape[0])
        return jnp.zeros(self.shape, self.dtype).at[:, j, :, j].set(self.blocks, unique_indices=True)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=["operand"])
@_frozen()
class ScaledIdentity(Operator):
    """A multiple of the identity on arrays of the shape `operand`."""

    scale: Float[Array, ""]
    operand: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.operand + self.operand

    @property
    def dtype(self) -> jnp.dtype:
        return self.scale.dtype

    def matvec(self, D: Array) -> Array:
        self._fit(D, len(self.operand))
        return self.scale * D

    def todense(self) -> Array:
        n = 1
        for size in self.operand:
            n *= size
        return (self.scale * jnp.eye(n, dtype=self.dtype)).reshape(self.shape)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weights"], meta_fields=[])
@_frozen()
class Entrywise(Operator):
    r"""A weight for each entry: H_{ijpq} = w_{ij} \delta_{ip} \delta_{jq}.  The result is w \circ D."""

    weights: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weights.shape + self.weights.shape

    @property
    def dtype(self) -> jnp.dtype:
        return self.weights.dtype

    def matvec(self, D: Array) -> Array:
        self._fit(D, self.weights.ndim)
        return self.weights * D

    def todense(self) -> Array:
        return jnp.diag(self.weights.ravel()).reshape(self.shape)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["left", "u", "v"], meta_fields=[])
@_frozen()
class KroneckerOuter(Operator):
    r"""A matrix on the rows and an outer product on the columns: H_{ijpq} = L_{ip} u_j v_q."""

    left: Float[Array, "i p"]
    u: Float[Array, "j"]
    v: Float[Array, "q"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        i, p = self.left.shape
        return i, self.u.shape[0], p, self.v.shape[0]

    @property
    def dtype(self) -> jnp.dtype:
        return self.left.dtype

    def matvec(self, D: Float[Array, "p q"]) -> Float[Array, "i j"]:
        self._fit(D)
        return jnp.outer(self.left @ (D @ self.v), self.u)

    def todense(self) -> Float[Array, "i j p q"]:
        return self.left[:, None, :, None] * jnp.outer(self.u, self.v)[None, :, None, :]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["U", "V", "R"], meta_fields=[])
@_frozen()
class MixedFactors(Operator):
    r"""The mixed second derivative of \|X - UV\|^2 by U and V, where R = X - UV.

    H_{ijkl} = 2 U_{ik} V_{jl} - 2 R_{il} \delta_{jk}: the first term by the residual's own change,
    the second because V also stands outside the residual in the gradient -2 R V'.
    """

    U: Float[Array, "i k"]
    V: Float[Array, "k l"]
    R: Float[Array, "i l"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        (i, k), (_, l) = self.U.shape, self.V.shape
        return i, k, k, l

    @property
    def dtype(self) -> jnp.dtype:
        return self.U.dtype

    def matvec(self, D: Float[Array, "k l"]) -> Float[Array, "i k"]:
        self._fit(D)
        # D V' is k x k: this order makes no array of the size of X
        return 2 * (self.U @ (D @ self.V.T) - self.R @ D.T)

    def todense(self) -> Float[Array, "i k k l"]:
        eye = jnp.eye(self.V.shape[0], dtype=self.dtype)
        product = self.U[:, None, :, None] * self.V[None, :, None, :]
        return 2 * (product - self.R[:, None, None, :] * eye[None, :, :, None])


@functools.partial(jax.tree_util.register_dataclass, data_fields=["M", "U", "V", "R"], meta_fields=[])
@_frozen()
class MaskedMixedFactors(Operator):
    r"""The mixed second derivative of \|M \circ (X - UV)\|^2 by U and V, where R = M \circ (X - UV).

    H_{ijkl} = 2 M_{il} U_{ik} V_{jl} - 2 R_{il} \delta_{jk}, with M of zeros and ones.
    """

    M: Float[Array, "i l"]
    U: Float[Array, "i k"]
    V: Float[Array, "k l"]
    R: Float[Array, "i l"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        (i, k), (_, l) = self.U.shape, self.V.shape
        return i, k, k, l

    @property
    def dtype(self) -> jnp.dtype:
        return self.U.dtype

    def matvec(self, D: Float[Array, "k l"]) -> Float[Array, "i k"]:
        self._fit(D)
        return 2 * ((self.M * (self.U @ D)) @ self.V.T - self.R @ D.T)

    def todense(self) -> Float[Array, "i k k l"]:
        eye = jnp.eye(self.V.shape[0], dtype=self.dtype)
        product = self.M[:, None, None, :] * (self.U[:, None, :, None] * self.V[None, :, None, :])
        return 2 * (product - self.R[:, None, None, :] * eye[None, :, :, None])


def outer_ik_jl(P: Float[Array, "i k"], Q: Float[Array, "j l"]) -> Float[Array, "i j k l"]:
    """P_ik Q_jl with the axes i, j, k, l; elementwise, so that no matrix unit rounds its factors."""
    return P[:, None, :, None] * Q[None, :, None, :]


def outer_il_jk(P: Float[Array, "i l"], Q: Float[Array, "j k"]) -> Float[Array, "i j k l"]:
    """P_il Q_jk with the axes i, j, k, l; elementwise, as `outer_ik_jl`."""
    return P[:, None, None, :] * Q[None, :, :, None]


def power_derivative(X: Float[Array, "n n"], D: Float[Array, "n n"], k: int) -> Float[Array, "n n"]:
    r"""The derivative of X^k along D, \sum_{r=0}^{k-1} X^r D X^{k-1-r}, for k of at least 1."""
    # The sum S_k grows as a power does, by the binary digits of k:
    # S_2j = S_j X^j + X^j S_j, and S_(2j+1) = S_j X X^j + X^j S_(j+1) with S_(j+1) = S_j X + X^j D.
    power, total = X, D
    for digit in bin(k)[3:]:
        if digit == "0":
            power, total = power @ power, total @ power + power @ total
        else:
            right = total @ X
            power, total = power @ (power @ X), right @ power + power @ (right + power @ D)
    return total


def weighted_grams(weights: Float[Array, "i b"], V: Float[Array, "k b"]) -> Float[Array, "i k k"]:
    r"""For each row w of the weights the k x k matrix V \operatorname{diag}(w) V^\top."""
    pairs = V[:, None, :] * V[None, :, :]
    # one plain matrix product over all pairs of rows of V, rather than a batch of small ones
    return jnp.tensordot(weights, pairs, axes=(1, 2))


def ridge_cholesky(X: Float[Array, "n p"], l: Float[Array, ""]) -> tuple[Array, bool]:
    """The Cholesky factor of X'X + l I, for `jax.scipy.linalg.cho_solve`."""
    return jax.scipy.linalg.cho_factor(X.T @ X + l * jnp.eye(X.shape[1], dtype=X.dtype))
