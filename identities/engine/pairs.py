"""Checking a derivative of your own: a function, and what you derived, coded or decorated it with.

Each check takes the operands as values (arrays, numbers, pytrees of them) and is judged there, or as
annotations such as `PosDef[Array, "n n"]`; then shapes and draws are those of the book's own entries.
Everything runs in float64 inside the call, whatever JAX is set to, and every setting is restored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from identities.engine import inputs as handed
from identities.engine import operands as words
from identities.engine.calls import Call, label_of, ravelled
from identities.engine.inputs import Wrt
from identities.engine.verdict import Verdicts

Function = Callable[..., Any]


def check_gradient(
    f: Function,
    gradient: Function,
    *operands: Any,
    wrt: Wrt = 0,
    dtype: Any = "float64",
    entries: str | None = None,
    within: str | None = None,
    against: str = "autodiff",
    seed: int = 0,
    device: str | None = None,
) -> Any:
    """Check `gradient(*operands)` against autodiff of the scalar `f(*operands)`, and against differences.

    f          a function that returns a real scalar and that JAX can trace
    gradient   a function of the same operands; returns what `jax.grad(f, wrt)` would: an array of the shape of
               the operand, a pytree like it, or a tuple where `wrt` is one (NumPy will do).  By a complex
               operand z it is 2 df/dz*, the conjugate of what `jax.grad` returns
    operands   arrays, numbers, pytrees of them; or annotations, and then shapes and draws come from `seed`
    wrt        the position or the name of an operand, or a tuple of them
    dtype      the precision whose arithmetic is judged: float64, float32, float16 or bfloat16
    entries, within   "symmetric", ...: a derivative in the free entries of a structured matrix, or within its space,
               for the square matrices among `wrt`
    against    "autodiff", or "differences" for a function that JAX cannot trace or differentiate

    The verdict is about the operands given; where it holds at special ones only (a symmetric A), or where differences
    along two directions confirm it and autodiff is wrong, `diagnosis` says so. Any other diagnosis explains them
    and three general draws of the same shapes. Returns a Verdict, or Verdicts for several arrays. Raises, in one
    sentence each: TypeError for an operand or `wrt` that does not fit, ValueError for a function that fails, has
    side effects or returns no real scalar, UnsupportedDtype, NotFinite, NoEvidence, TooLarge.

        >>> import jax.numpy as jnp, identities
        >>> v = identities.check_gradient(lambda A, x: x @ A @ x, lambda A, x: 2 * A @ x,
        ...                               [[1.0, 2.0], [0.0, 3.0]], [1.0, -1.0], wrt="x")
        >>> v.ok, v.diagnosis
        (False, 'right only for symmetric A')
    """
    call = Call("gradient", f, operands, wrt, dtype, against, seed, device, entries, within)
    call.scalar()
    return call.verdict(gradient, call.picks(gradient))


def check_jacobian(
    f: Function,
    jacobian: Function,
    *operands: Any,
    wrt: Wrt = 0,
    dtype: Any = "float64",
    wirtinger: str = "z",
    against: str = "autodiff",
    seed: int = 0,
    device: str | None = None,
) -> Any:
    """Check `jacobian(*operands)`, the axes of the output and then those of the operand, as `jax.jacfwd` has them.

    As `check_gradient`, for an `f` that returns one array of any shape.  The Jacobian may be an array or an operator
    with `matvec` and `todense`.  By a complex operand it is df/dz, or df/dz* with `wirtinger="z*"`.
    Raises TooLarge for what would not fit into memory, and says how to check it along directions instead.

        >>> import jax.numpy as jnp, identities
        >>> bool(identities.check_jacobian(jnp.tanh, lambda x: jnp.diag(1 - jnp.tanh(x) ** 2), [0.1, -2.0]))
        True
    """
    call = Call("jacobian", f, operands, wrt, dtype, against, seed, device, wirtinger=wirtinger)
    call.fits(call.output_size(), "the Jacobian", "check_differential(f, differential, ...)")
    return call.verdict(jacobian, call.picks(jacobian))


def check_hessian(
    f: Function,
    hessian: Function,
    *operands: Any,
    wrt: Wrt = 0,
    dtype: Any = "float64",
    against: str = "autodiff",
    seed: int = 0,
    device: str | None = None,
) -> Any:
    """Check `hessian(*operands)` of a real scalar `f` by one operand, or the mixed one by two, `wrt=("u", "v")`.

    As `check_gradient`; the axes of the first operand come before those of the second.  For a pytree the Hessian
    is what `jax.hessian` returns: a tree of trees.

        >>> import jax.numpy as jnp, identities
        >>> bool(identities.check_hessian(lambda x: jnp.sum(x**3), lambda x: jnp.diag(6 * x), [1.0, 2.0]))
        True
    """
    call = Call("hessian", f, operands, wrt, dtype, against, seed, device)
    call.scalar()
    call.must_be_real("a Hessian")
    call.fits(0, "the Hessian", "check_differential(jax.grad(f), lambda x, dx: the product of the Hessian with dx, x)")
    return call.verdict(hessian, call.picks(hessian))


def check_differential(
    f: Function,
    differential: Function,
    *operands: Any,
    wrt: Wrt = 0,
    dtype: Any = "float64",
    seed: int = 0,
    device: str | None = None,
) -> Any:
    """Check `differential(*operands, *tangents)`, the change of `f` along tangents of the operands `wrt`.

    As `check_gradient`, for an `f` that returns an array or a pytree of them; the tangents have the shapes of their
    operands and are drawn.  One random direction sees any wrong entry, and costs no more memory than `f`.

        >>> import jax.numpy as jnp, identities
        >>> bool(identities.check_differential(lambda X: X @ X, lambda X, dX: dX @ X + X @ dX, [[1.0, 2.0], [0, 3]]))
        True
    """
    call = Call("differential", f, operands, wrt, dtype, "autodiff", seed, device)
    return call.verdict(differential, [((leaf.name for leaf in call.inputs.differentiated), ravelled)])


def check_custom_derivative(
    f: Function,
    *operands: Any,
    wrt: Wrt | None = None,
    dtype: Any = "float64",
    against: str = "body",
    seed: int = 0,
    device: str | None = None,
) -> Verdicts:
    """Check the rule of a function decorated with `jax.custom_jvp` or `jax.custom_vjp`.

    Its derivative by every array among `operands` (or those of `wrt`) is held against autodiff of its undecorated
    body and against differences of it; with `against="differences"`, for a body that JAX cannot differentiate,
    against differences alone.  The value that the rule hands on is held against the body's too, and the rule must be
    linear in its tangent or cotangent: one that forgets it, takes its modulus or clips it fails.  Jacobians of more
    than a million entries are checked along one random cotangent.  Returns Verdicts: the value, then each operand.
    Raises TypeError where `f` carries no rule, and as `check_gradient` does.

        >>> import jax, jax.numpy as jnp, identities
        >>> @jax.custom_jvp
        ... def cube(x): return x**3
        >>> cube.defjvps(lambda dx, value, x: 2 * x**2 * dx)
        >>> print(identities.check_custom_derivative(cube, 1.5)[1].diagnosis)
        wrong by a constant factor: it is 2/3 times the true one
    """
    rule, body = _rule(f)
    if against not in ("body", "differences"):
        raise TypeError(f"against must be 'body' or 'differences', got {against!r}")
    names = handed.parameters(body, len(operands))
    if wrt is None:
        fixed = set(getattr(rule, "nondiff_argnums", ()))
        wrt = tuple(i for i, o in enumerate(operands) if i not in fixed and _differentiable(o))
        if not wrt:
            raise TypeError(f"none of the operands {', '.join(names)} is a floating-point array")
    against = "differences" if against == "differences" else "autodiff"
    call = Call("jacobian", body, operands, wrt, dtype, against, seed, device, label=label_of(rule, "f"))
    return call.custom(rule)


def _differentiable(operand: Any) -> bool:
    leaves = jax.tree.leaves(operand, is_leaf=handed.is_annotation)
    return any(
        not isinstance(v, bool | int | str)
        and (
            (handed.is_annotation(v) and not isinstance(v, words.CountRange))
            or (hasattr(v, "dtype") and jnp.issubdtype(v.dtype, jnp.inexact))
            or isinstance(v, float | complex)
        )
        for v in leaves
    )


def _rule(f: Function) -> tuple[Any, Function]:
    """The custom_jvp or custom_vjp function inside `f` (which may be jitted), and its body."""
    found: Any = f
    while found is not None and not isinstance(found, jax.custom_jvp | jax.custom_vjp):
        found = getattr(found, "__wrapped__", None)
    if found is None:
        raise TypeError(
            f"{label_of(f, 'the function')} carries no custom_jvp or custom_vjp; "
            "hand the decorated function over, or use check_gradient"
        )
    return found, getattr(found, "__wrapped__")  # noqa: B009  (mypy knows no such attribute)
