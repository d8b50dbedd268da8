r"""Derivatives kept as operators: what they are made of, and never all of their entries.

The second derivative of a function of an m x k matrix has (mk)^2 entries, but most of them are
zero or repeat each other.  An operator stores only what it is made of and is what such a closed
form returns:

`matvec(D)`   the derivative applied to D, which has the shape of the last operand; the result has
              the shape of the first one;
`todense()`   all entries, with the axes of the first operand before those of the last;
`shape`, `dtype`   those of `todense()`.

Operators of one shape have sums, differences and multiples; `P @ Q` is P applied to what Q gives, the chain rule.
Operators are JAX pytrees: they may be returned from `jit`, mapped over and moved between devices.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.errors import ShapeMismatch

__all__ = [
    "Chain",
    "CrossedKronecker",
    "EachColumn",
    "EachRow",
    "EachRowVector",
    "Entrywise",
    "Kronecker",
    "KroneckerOuter",
    "MaskedMixedFactors",
    "MixedFactors",
    "Operator",
    "Outer",
    "PerColumn",
    "PerRow",
    "RowOuters",
    "Scaled",
    "ScaledIdentity",
    "Sum",
    "Transposition",
    "outer_ik_jl",
    "outer_il_jk",
]

T = TypeVar("T")


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

    @property
    def _last(self) -> tuple[int, ...]:
        """The shape of the last operand."""
        return self.shape[-2:]

    @property
    def _first(self) -> tuple[int, ...]:
        """The shape of the first operand."""
        return self.shape[: len(self.shape) - len(self._last)]

    def _fit(self, D: Array) -> None:
        """Refuse a D that is not of the last operand's shape, since some would broadcast into a wrong result."""
        if jnp.shape(D) != self._last:
            raise ShapeMismatch(
                f"{type(self).__name__}.matvec: an array of shape {self._last} was expected, that of the last operand; "
                f"got shape {jnp.shape(D)}"
            )

    def __add__(self, other: "Operator") -> "Operator":
        if not isinstance(other, Operator):
            return NotImplemented
        if (self._first, self._last) != (other._first, other._last):
            raise ShapeMismatch(
                f"a sum of operators of one shape was expected; got {self._first} by {self._last} "
                f"and {other._first} by {other._last}"
            )
        return Sum((*_parts(self), *_parts(other)))

    def __radd__(self, other: int) -> "Operator":
        # the built-in sum starts with a zero
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: "Operator") -> "Operator":
        return self + -other if isinstance(other, Operator) else NotImplemented

    def __neg__(self) -> "Operator":
        return -1 * self

    def __rmul__(self, scale: Array | complex) -> "Operator":
        if jnp.shape(scale) != ():
            raise ShapeMismatch(f"a multiple of an operator by a number was expected; got shape {jnp.shape(scale)}")
        return Scaled(jnp.asarray(scale, jnp.result_type(scale, self.dtype)), self)

    def __matmul__(self, other: "Operator") -> "Operator":
        if not isinstance(other, Operator):
            return NotImplemented
        if self._last != other._first:
            raise ShapeMismatch(
                f"a product of operators: the left one is applied to arrays of shape {self._last}, "
                f"and the right one gives shape {other._first}"
            )
        return Chain(self, other)


@dataclass_transform(frozen_default=True, eq_default=False)
def _frozen() -> Callable[[type[T]], type[T]]:
    # eq=False: two operators are the same only if they are one object, since arrays have no single truth value
    return dataclasses.dataclass(frozen=True, eq=False)


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
        # entry by entry, and not set at places of a zero array: so a sum with another operator is one pass
        return jnp.where(jnp.eye(self.rows, dtype=bool)[:, None, :, None], self.block[None, :, None, :], 0)


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
        return jnp.where(jnp.eye(self.columns, dtype=bool)[None, :, None, :], self.block[:, None, :, None], 0)


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

    @property
    def _last(self) -> tuple[int, ...]:
        return self.operand

    def matvec(self, D: Array) -> Array:
        self._fit(D)
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

    @property
    def _last(self) -> tuple[int, ...]:
        return self.weights.shape

    def matvec(self, D: Array) -> Array:
        self._fit(D)
        return self.weights * D

    def todense(self) -> Array:
        return jnp.diag(self.weights.ravel()).reshape(self.shape)


@functools.partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["operand", "kind"])
@_frozen()
class Transposition(Operator):
    r"""The transpose of matrices of the shape `operand`: H_{ijpq} = \delta_{iq} \delta_{jp}.  The result is D'."""

    operand: tuple[int, int]
    kind: jnp.dtype

    @property
    def shape(self) -> tuple[int, int, int, int]:
        p, q = self.operand
        return q, p, p, q

    @property
    def dtype(self) -> jnp.dtype:
        return self.kind

    def matvec(self, D: Array) -> Array:
        self._fit(D)
        return D.T

    def todense(self) -> Array:
        p, q = self.operand
        return outer_il_jk(jnp.eye(q, dtype=self.dtype), jnp.eye(p, dtype=self.dtype))


@functools.partial(jax.tree_util.register_dataclass, data_fields=["left", "right"], meta_fields=[])
@_frozen()
class Kronecker(Operator):
    r"""A matrix on the rows and one on the columns: H_{ijpq} = L_{ip} R_{jq}.  The result is L D R'."""

    left: Float[Array, "i p"]
    right: Float[Array, "j q"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        (i, p), (j, q) = self.left.shape, self.right.shape
        return i, j, p, q

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(self.left, self.right)

    def matvec(self, D: Float[Array, "p q"]) -> Float[Array, "i j"]:
        self._fit(D)
        # of the two orders of a triple product the cheaper one depends on the shapes
        return jnp.linalg.multi_dot([self.left, D, self.right.T])

    def todense(self) -> Float[Array, "i j p q"]:
        return outer_ik_jl(self.left, self.right)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["left", "right"], meta_fields=[])
@_frozen()
class CrossedKronecker(Operator):
    r"""A Kronecker product on the transpose of D: H_{ijpq} = L_{iq} R_{jp}.  The result is L D' R'."""

    left: Float[Array, "i q"]
    right: Float[Array, "j p"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        (i, q), (j, p) = self.left.shape, self.right.shape
        return i, j, p, q

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(self.left, self.right)

    def matvec(self, D: Float[Array, "p q"]) -> Float[Array, "i j"]:
        self._fit(D)
        return jnp.linalg.multi_dot([self.left, D.T, self.right.T])

    def todense(self) -> Float[Array, "i j p q"]:
        return outer_il_jk(self.left, self.right)


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


@functools.partial(jax.tree_util.register_dataclass, data_fields=["left", "right"], meta_fields=[])
@_frozen()
class Outer(Operator):
    r"""An outer product of two arrays: H_{ijpq} = L_{ij} R_{pq}.  The result is L times the sum of R \circ D."""

    left: Array
    right: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.left.shape + self.right.shape

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(self.left, self.right)

    @property
    def _last(self) -> tuple[int, ...]:
        return self.right.shape

    def matvec(self, D: Array) -> Array:
        self._fit(D)
        return self.left * jnp.sum(self.right * D)

    def todense(self) -> Array:
        return jnp.multiply.outer(self.left, self.right)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["left", "right"], meta_fields=[])
@_frozen()
class RowOuters(Operator):
    r"""The outer product of each two rows: J_{ipq} = L_{ip} R_{iq}.  The result is the diagonal of L D R'."""

    left: Float[Array, "i p"]
    right: Float[Array, "i q"]

    @property
    def shape(self) -> tuple[int, int, int]:
        (i, p), (_, q) = self.left.shape, self.right.shape
        return i, p, q

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(self.left, self.right)

    def matvec(self, D: Float[Array, "p q"]) -> Float[Array, "i"]:
        self._fit(D)
        return jnp.sum((self.left @ D) * self.right, axis=1)

    def todense(self) -> Float[Array, "i p q"]:
        return self.left[:, :, None] * self.right[:, None, :]


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


@functools.partial(jax.tree_util.register_dataclass, data_fields=["parts"], meta_fields=[])
@_frozen()
class Sum(Operator):
    """A sum of operators of one shape; made by + and -."""

    parts: tuple[Operator, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(*(part.dtype for part in self.parts))

    @property
    def _last(self) -> tuple[int, ...]:
        return self.parts[0]._last

    def matvec(self, D: Array) -> Array:
        self._fit(D)
        return functools.reduce(jnp.add, [part.matvec(D) for part in self.parts])

    def todense(self) -> Array:
        return functools.reduce(jnp.add, [part.todense() for part in self.parts])


@functools.partial(jax.tree_util.register_dataclass, data_fields=["scale", "operator"], meta_fields=[])
@_frozen()
class Scaled(Operator):
    """A multiple of an operator; made by a number and *."""

    scale: Float[Array, ""]
    operator: Operator

    @property
    def shape(self) -> tuple[int, ...]:
        return self.operator.shape

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(self.scale.dtype, self.operator.dtype)

    @property
    def _last(self) -> tuple[int, ...]:
        return self.operator._last

    def matvec(self, D: Array) -> Array:
        self._fit(D)
        return self.scale * self.operator.matvec(D)

    def todense(self) -> Array:
        return self.scale * self.operator.todense()


@functools.partial(jax.tree_util.register_dataclass, data_fields=["outer", "inner"], meta_fields=[])
@_frozen()
class Chain(Operator):
    r"""One operator after another, the chain rule: H_{ijpq} = \sum_{kl} P_{ijkl} Q_{klpq}.  Made by @."""

    outer: Operator
    inner: Operator

    @property
    def shape(self) -> tuple[int, ...]:
        return self.outer._first + self.inner._last

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.result_type(self.outer.dtype, self.inner.dtype)

    @property
    def _last(self) -> tuple[int, ...]:
        return self.inner._last

    def matvec(self, D: Array) -> Array:
        self._fit(D)
        return self.outer.matvec(self.inner.matvec(D))

    def todense(self) -> Array:
        # what only scales or moves the entries of D does so with the entries of the other one: no products, no zeros
        if isinstance(self.inner, Entrywise):
            weights = self.inner.weights
            return self.outer.todense() * weights.reshape((1,) * len(self.outer._first) + weights.shape)
        if isinstance(self.inner, Transposition):
            return jnp.swapaxes(self.outer.todense(), -2, -1)
        columns = self.inner.todense().reshape(*self.outer._last, -1)
        return jax.vmap(self.outer.matvec, -1, -1)(columns).reshape(self.shape)


def _parts(operator: Operator) -> tuple[Operator, ...]:
    return operator.parts if isinstance(operator, Sum) else (operator,)


def outer_ik_jl(P: Float[Array, "i k"], Q: Float[Array, "j l"]) -> Float[Array, "i j k l"]:
    """P_ik Q_jl with the axes i, j, k, l; elementwise, so that no matrix unit rounds its factors."""
    return P[:, None, :, None] * Q[None, :, None, :]


def outer_il_jk(P: Float[Array, "i l"], Q: Float[Array, "j k"]) -> Float[Array, "i j k l"]:
    """P_il Q_jk with the axes i, j, k, l; elementwise, as `outer_ik_jl`."""
    return P[:, None, None, :] * Q[None, :, :, None]
