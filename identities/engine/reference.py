"""JAX's opinion: what a claim says of a function, computed by JAX's own transforms.

`reference` builds the function of keyword operands that a closed form is held against:

gradient       `jax.grad`; the shape of the argument.  For complex operands 2 df/dz*, which is the
               conjugate of what `jax.grad` returns.
jacobian       `jax.jacfwd`; the axes of the output, then those of the argument.  By a complex operand,
               one of the two Wirtinger derivatives, df/dz or df/dz*, from the real and imaginary parts
hessian        `jax.jacfwd` of `jax.jacrev`, as `jax.hessian`; of `jax.jacfwd` where f has more entries than x
differential   `jax.jvp`
value          the function itself

`entries=` and `within=` say what the derivative means on a space of structured matrices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Function = Callable[..., Any]
KINDS = ("gradient", "jacobian", "hessian", "differential", "value")


@dataclasses.dataclass(frozen=True)
class Structure:
    """A linear space of square matrices: its free entries, and how they fill the matrix.

    `expand(t, n)` is the n x n matrix with free entries t; `extract(X)` its inverse; `project(P)`
    the nearest matrix of the space in the trace inner product.
    """

    expand: Callable[[Any, int], Any]
    extract: Callable[[Any], Any]
    project: Callable[[Any], Any]


def _symmetric_index(n: int) -> np.ndarray:
    i, j = np.indices((n, n))
    low, high = np.minimum(i, j), np.maximum(i, j)
    return np.asarray(high * (high + 1) // 2 + low)


def _gap(n: int) -> np.ndarray:
    i, j = np.indices((n, n))
    return i - j


def _diagonal_means(P: Any, index: np.ndarray, size: int) -> Any:
    ones = jnp.zeros(size, P.dtype).at[index].add(jnp.ones(P.shape, P.dtype))
    return jnp.zeros(size, P.dtype).at[index].add(P) / ones


STRUCTURES: dict[str, Structure] = {
    "symmetric": Structure(
        lambda t, n: t[_symmetric_index(n)],
        lambda X: X[np.tril_indices(len(X))],
        lambda P: (P + P.T) / 2,
    ),
    "diagonal": Structure(lambda t, n: jnp.diag(t), jnp.diagonal, lambda P: jnp.diag(jnp.diagonal(P))),
    "toeplitz": Structure(
        lambda t, n: t[_gap(n) + n - 1],
        lambda X: jnp.concatenate([X[0, ::-1], X[1:, 0]]),
        lambda P: _diagonal_means(P, _gap(len(P)) + len(P) - 1, 2 * len(P) - 1)[_gap(len(P)) + len(P) - 1],
    ),
    "symmetric toeplitz": Structure(
        lambda t, n: t[np.abs(_gap(n))],
        lambda X: X[0],
        lambda P: _diagonal_means(P, np.abs(_gap(len(P))), len(P))[np.abs(_gap(len(P)))],
    ),
}


def reference(
    function: Function,
    kind: str,
    wrt: Sequence[str],
    *,
    entries: str | None = None,
    within: str | None = None,
    wirtinger: str | None = None,
) -> Function:
    """The function of keyword operands (and tangents `dX`, for a differential) that JAX answers with."""

    def at(operands: dict[str, Any]) -> Function:
        return lambda *values: function(**operands | dict(zip(wrt, values, strict=True)))

    def structured(**operands: Any) -> Any:
        X, f = operands[wrt[0]], at(operands)
        n = X.shape[0]
        if within is not None:
            project = STRUCTURES[within].project
            return _derivative(kind)(lambda P: f(project(P)))(X)
        space = STRUCTURES[str(entries)]
        derivative = _derivative(kind)(lambda t: f(space.expand(t, n)))(space.extract(X))
        # one free entry fills several places of X: its derivative is laid out in all of them
        spread = space.expand
        for _ in range(derivative.ndim - 1):
            spread = jax.vmap(spread, (0, None))
        return spread(derivative, n)

    def plain(**operands: Any) -> Any:
        if kind == "value":
            return function(**operands)
        values = [operands[name] for name in wrt]
        if kind == "differential":
            tangents = [operands.pop(f"d{name}") for name in wrt]
            return jax.jvp(at(operands), values, tangents)[1]
        f = at(operands)
        if wirtinger is not None:
            return _wirtinger(f, wirtinger == "z*")(*values)
        if kind == "hessian" and len(wrt) == 2:
            return jax.jacfwd(lambda u, v: jacobian(lambda x: f(x, v), u), 1)(*values)
        return _derivative(kind)(f)(*values)

    return plain if entries is None and within is None else structured


def by_differences(function: Function, kind: str, wrt: Sequence[str]) -> Function:
    """The same derivative by central differences, entry by entry, for a function that JAX cannot differentiate.

    Four points at h = 1e-3 of the operand's size (1e-2, mixed, for a hessian); good to about 1e-9 of the scale.
    Raises NotImplementedError for a complex operand and for a kind that is no derivative by whole operands.
    """

    def step(x: Any, h: float) -> Any:
        return h * jnp.maximum(jnp.max(jnp.abs(x)), 1e-3)

    def first(f: Function, x: Any, h: float) -> Any:
        def along(index: Any) -> Any:
            d = jnp.zeros(x.size, x.dtype).at[index].set(1.0).reshape(x.shape)
            a = step(x, h)
            fine = [f(x + k * a * d) - f(x - k * a * d) for k in (1.0, 2.0, 3.0)]
            return (45 * fine[0] - 9 * fine[1] + fine[2]) / (60 * a)

        rows = jax.lax.map(along, jnp.arange(x.size))  # the axis of x comes first here
        return jnp.moveaxis(rows, 0, -1).reshape(*rows.shape[1:], *x.shape)

    def derivative(**operands: Any) -> Any:
        values = [jnp.asarray(operands[name]) for name in wrt]
        if kind not in ("gradient", "jacobian", "hessian") or any(jnp.iscomplexobj(v) for v in values):
            raise NotImplementedError(f"differences alone check real gradients, jacobians and hessians, no {kind} here")

        def f(*new: Any) -> Any:
            return function(**operands | dict(zip(wrt, new, strict=True)))

        if kind != "hessian":
            return first(f, values[0], 1e-3)
        u, v = values[0], values[-1]
        if len(wrt) == 2:
            return first(lambda a: first(lambda b: f(a, b), v, 1e-2), u, 1e-2).transpose(
                *range(v.ndim, v.ndim + u.ndim), *range(v.ndim)
            )
        return first(lambda a: first(f, a, 1e-2), u, 1e-2)

    return derivative


def _wirtinger(f: Function, conjugate: bool) -> Function:
    """df/dz = (df/du - i df/dv)/2 or df/dz* = (df/du + i df/dv)/2 at z = u + iv."""

    def parts(u: Any, v: Any) -> tuple[Any, Any]:
        value = f(jax.lax.complex(u, v))
        return jnp.real(value), jnp.imag(value)

    def derivative(z: Any) -> Any:
        (real_u, real_v), (imag_u, imag_v) = jax.jacfwd(parts, (0, 1))(jnp.real(z), jnp.imag(z))
        if conjugate:
            real_v, imag_v = -real_v, -imag_v
        return jax.lax.complex((real_u + imag_v) / 2, (imag_u - real_v) / 2)

    return derivative


def _derivative(kind: str) -> Callable[[Function], Function]:
    if kind == "gradient":
        # JAX's gradient of a real f at complex z is the conjugate of 2 df/dz*; conj is the identity on reals
        return lambda f: lambda x: jnp.conj(jax.grad(f)(x))
    if kind == "hessian":
        return lambda f: jax.jacfwd(lambda x: jacobian(f, x))
    return jax.jacfwd


def jacobian(f: Function, x: Any) -> Any:
    """The Jacobian of f at x by the mode that makes fewer passes.

    Reverse mode carries a cotangent for each entry of the result, forward mode a tangent for each of x: for a matrix
    that is a function of one number, n^2 and 1.
    """
    return (jax.jacfwd if jax.eval_shape(f, x).size > jnp.size(x) else jax.jacrev)(f)(x)
