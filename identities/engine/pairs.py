"""Checking a gradient of your own: a function and the gradient that you derived for it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Complex, Float

from identities.engine.checking import Examination, Options
from identities.engine.errors import NotFinite, UnsupportedDtype
from identities.engine.identity import Identity, build_claim
from identities.engine.program import checking_context, find_device
from identities.engine.verdict import Verdict


def check_gradient(
    f: Callable[..., Any],
    gradient: Callable[..., Any],
    *operands: Any,
    wrt: int | str = 0,
    dtype: Any = "float64",
    seed: int = 0,
    device: str | None = None,
) -> Verdict:
    """Check `gradient(*operands)` against autodiff of `f(*operands)` by operand `wrt`, and against differences.

    f          a function of arrays that returns a real scalar and that JAX can trace
    gradient   a function of the same operands; an array of the shape of operand `wrt` (NumPy will do)
    operands   arrays of any shape, lists of numbers, or numbers; integers count as float64
    wrt        the position or the name of the operand

    The check runs in float64 whatever JAX is set to (`dtype="float32"` judges float32 arithmetic);
    every setting is restored.  It is judged at the operands given; a diagnosis must also explain
    three general draws of the same shapes.  Returns a Verdict.  Raises TypeError for an operand or
    `wrt` that does not fit, ValueError for a function that JAX cannot trace or that returns no real
    scalar, UnsupportedDtype, NotFinite.

        >>> import jax.numpy as jnp, identities
        >>> v = identities.check_gradient(lambda A, x: x @ A @ x, lambda A, x: 2 * A @ x,
        ...                               [[1.0, 2.0], [0.0, 3.0]], [1.0, -1.0], wrt="x")
        >>> v.ok, v.diagnosis
        (False, 'right only for symmetric A')
    """
    names = _names(f, len(operands))
    if not isinstance(wrt, int | str):
        raise TypeError(f"wrt must be the position or the name of one operand, got {wrt!r}")
    if isinstance(wrt, str):
        if wrt not in names:
            raise TypeError(f"wrt={wrt!r} is no parameter of the function; its parameters are {', '.join(names)}")
        wrt = names.index(wrt)
    if not 0 <= wrt < len(operands):
        raise TypeError(f"wrt={wrt} is no position of the {len(operands)} operands given")
    values = {name: _array(name, value) for name, value in zip(names, operands, strict=True)}

    dtype = _dtype(dtype)
    device_found = find_device(device)
    with checking_context(device_found):
        _must_be_scalar(f, values)
        gradient = _traceable(gradient, values, names[wrt])

    def function(**named: Any) -> Any:
        return f(*(named[n] for n in names))

    def closed(**named: Any) -> Any:
        return gradient(*(named[n] for n in names))

    kinds = {
        n: (Complex if v.dtype.kind == "c" else Float)[Array, " ".join(map(str, v.shape))] for n, v in values.items()
    }
    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kinds[n]) for n in names]
    label = _label(f, "f")
    for made, name in ((function, label), (closed, f"{label}_d{names[wrt]}")):
        made.__name__, made.__doc__ = name, name
        made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    owner: Identity[..., Any] = Identity(function, f"{label}, a function of your own", None)
    claim = build_claim(owner, closed, "gradient", (names[wrt],), ("ours",))
    options = Options((dtype,), samples=1, shapes=1, seed=seed, device=device)
    examination = Examination([claim], options, given=[values])
    examination.run()
    verdict = examination.verdict(claim, dtype)
    return dataclasses.replace(
        verdict, reproducer=f"the same call: check_gradient(..., wrt={names[wrt]!r}, seed={seed})"
    )


def _label(f: Callable[..., Any], default: str) -> str:
    name = getattr(f, "__name__", default).lower().strip("_")
    return name if name.isidentifier() and name.isascii() and "__" not in name else default


def _names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the first `count` parameters, x0, x1, ... where the function hides them."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if count == 0:
        raise TypeError("no operand was given; pass those of the function behind the gradient")
    return positional[:count] if len(positional) >= count else [f"x{i}" for i in range(count)]


def _array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == object:
        raise TypeError(
            f"operand {name} must be one array of numbers, got {type(value).__name__}; pass its arrays as operands"
        )
    if array.dtype.kind not in "iufcV":
        raise UnsupportedDtype(f"operand {name} must hold floating-point numbers; got dtype {array.dtype.name}")
    array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if not np.all(np.isfinite(array)):
        raise NotFinite(f"operand {name} holds NaN or infinity, and finite numbers were expected")
    return array


def _dtype(dtype: Any) -> str:
    try:
        return str(np.dtype(dtype).name)
    except TypeError:
        raise UnsupportedDtype(f"dtype must be float64 or float32, got {dtype!r}") from None


def _must_be_scalar(f: Callable[..., Any], values: dict[str, np.ndarray]) -> None:
    try:
        result = jax.eval_shape(f, *values.values())
    except jax.errors.TracerArrayConversionError as error:
        raise ValueError("the function cannot be traced by JAX: write it with jax.numpy in place of numpy") from error
    except Exception as error:
        raise ValueError(f"the function fails at these operands: {type(error).__name__}: {error}") from error
    if getattr(result, "shape", None) != () or np.dtype(result.dtype).kind not in "fV":
        raise ValueError(f"the function must return a real scalar, got {result}")


def _traceable(gradient: Callable[..., Any], values: dict[str, np.ndarray], wrt: str) -> Callable[..., Any]:
    """The gradient itself, or, where it is written with NumPy, a callback of the shape that it returns."""
    try:
        jax.eval_shape(gradient, *values.values())
        return gradient
    except jax.errors.TracerArrayConversionError:
        shape = np.shape(gradient(*values.values()))
    except Exception:
        return gradient  # the verdict will say what is wrong with it

    def called(*operands: Any) -> Any:
        dtype = operands[list(values).index(wrt)].dtype
        result = jax.ShapeDtypeStruct(shape, dtype)
        return jax.pure_callback(
            lambda *arrays: np.asarray(gradient(*map(np.asarray, arrays)), dtype), result, *operands
        )

    return called
