r"""Fifty digits and more of what JAX computes: an interpreter of jaxprs over numbers of mpmath.

    from trials.digits import Digits, working

    program = Digits(lambda X: jnp.linalg.inv(X), X=hilbert)   # traced by JAX, at the shapes of the example
    with working(120):                                         # digits that are carried
        inverse = program(X=hilbert)                           # an object array of mpmath numbers

What JAX traced is done again, equation by equation: floats and complex numbers as mpmath numbers in NumPy object
arrays, integers and truth values by JAX itself, since these are exact.  `TABLE` says for each primitive how it is
done with digits; what only moves entries about (`MOVES`) is done by JAX on the entries' positions, so that its
meaning is JAX's own.  A program that calls `expm` is interrupted there (`CALLS`): its series ends where float64 does.

`factorised(program)` tells which factorisations a function makes, and of which of its operands.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.extend.core
import mpmath
import numpy as np
from mpmath import mp

__all__ = ["CALLS", "FACTORISATIONS", "MOVES", "TABLE", "Digits", "Unknown", "exact", "factorised", "working"]

FACTORISATIONS = (
    "lu",
    "cholesky",
    "triangular_solve",
    "qr",
    "geqrf",
    "eigh",
    "eig",
    "svd",
    "schur",
    "hessenberg",
    "tridiagonal",
    "tridiagonal_solve",
)
MOVES = (
    "copy",
    "copy_p",
    "dynamic_slice",
    "dynamic_update_slice",
    "expand_dims",
    "gather",
    "pad",
    "rev",
    "scatter",
    "slice",
    "split",
    "tile",
)
TABLE: dict[str, Callable[..., Any]] = {}
CALLS: dict[str, Callable[..., Any]] = {}


class Unknown(NotImplementedError):
    """A primitive that the table does not hold, or in a form that it does not."""


@contextlib.contextmanager
def working(digits: int) -> Iterator[None]:
    """Carry so many decimal digits, for this block only.  Raises ValueError where they would not hold a float64."""
    if digits < 17:
        raise ValueError(f"at least 17 digits hold a float64, got {digits}")
    with mpmath.workdps(digits):
        yield


def exact(value: Any) -> np.ndarray:
    """Floats and complex numbers as mpmath numbers of the same value; integers and truth values as they are."""
    value = np.asarray(value)
    if value.dtype.kind not in "fc":
        return value
    if not value.ndim:
        return scalar(number(value.item()))
    found = np.empty(value.shape, object)
    found.ravel()[:] = [number(x) for x in value.ravel().tolist()]
    return found


def number(x: Any) -> Any:
    return mp.mpc(x) if isinstance(x, complex) else mp.mpf(x)


def scalar(x: Any) -> np.ndarray:
    found = np.empty((), object)
    found[()] = x
    return found


def is_exact(value: np.ndarray) -> bool:
    return value.dtype == object


# Numbers that a program states as float64 rounds them; it means the number itself
MEANT: tuple[tuple[float, Callable[[], Any]], ...] = (
    (math.pi, lambda: +mp.pi),
    (math.log(2 * math.pi), lambda: mp.log(2 * mp.pi)),
    (math.log(math.pi), lambda: mp.log(mp.pi)),
    (math.log(2), lambda: mp.log(2)),
    (math.sqrt(2 * math.pi), lambda: mp.sqrt(2 * mp.pi)),
    (math.sqrt(2), lambda: mp.sqrt(2)),
    (math.e, lambda: +mp.e),
)


def constant(value: Any) -> np.ndarray:
    """A literal: a half of a small multiple of pi, ln(2 pi) and their like stands for that number."""
    value = np.asarray(value)
    if value.dtype == np.float64 and not value.ndim and not float(value * 64).is_integer():
        for rounded, meant in MEANT:
            for sign in (1, -1):
                for k in range(1, 33):
                    if float(value) == sign * (k / 2 * rounded):
                        return scalar(sign * mp.mpf(k) / 2 * meant())
    return exact(value)


class Digits:
    """A function of keyword operands, traced once; called, it carries the digits of `working`.

    Raises Unknown where it meets a primitive that the table does not hold.
    """

    def __init__(self, function: Callable[..., Any], **example: Any):
        names = list(example)
        self.names = names
        self.closed = jax.make_jaxpr(lambda *values: function(**dict(zip(names, values, strict=True))))(
            *(np.asarray(example[n]) for n in names)
        )
        self.positions: dict[Any, list[np.ndarray]] = {}  # what moves where, by equation and integers
        self.watch: Callable[[str, np.ndarray], None] | None = None  # is told each factorisation and its matrix

    def __call__(self, **operands: Any) -> Any:
        """The value: one array, or a list of them where the function returns several."""
        found = self.run(self.closed, [exact(operands[n]) for n in self.names])
        return found[0] if len(found) == 1 else found

    def run(self, closed: Any, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        """All equations of one jaxpr."""
        jaxpr = closed.jaxpr
        known: dict[Any, np.ndarray] = dict(zip(jaxpr.constvars, map(exact, closed.consts), strict=True))
        known.update(zip(jaxpr.invars, arguments, strict=True))

        def read(v: Any) -> np.ndarray:
            return constant(v.val) if hasattr(v, "val") else known[v]

        for equation in jaxpr.eqns:
            results = self.step(equation, [read(v) for v in equation.invars])
            for v, result in zip(equation.outvars, results, strict=True):
                if result.shape != v.aval.shape:
                    raise Unknown(f"{equation.primitive.name} gave {result.shape} for {v.aval.shape}")
                known[v] = result
        return [read(v) for v in jaxpr.outvars]

    def step(self, equation: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
        """One equation."""
        name, params = equation.primitive.name, equation.params
        if name in CONTROL:
            return CONTROL[name](self, params, arguments)
        if params.get("name") in CALLS:
            if len(arguments) != 1 or len(equation.outvars) != 1:
                raise Unknown(f"a derivative of {params['name']}: its series is as long as float64 needs it")
            return [CALLS[params["name"]](arguments[0])]
        inner = params.get("jaxpr") or params.get("call_jaxpr") or params.get("fun_jaxpr")
        if inner is not None:
            return self.run(_closed(inner), arguments)
        if not any(is_exact(a) for a in arguments) and name not in SHAPELESS:
            return [exact(r) for r in _bind(equation, arguments)]
        if name in MOVES:
            return self.move(equation, arguments)
        if name not in TABLE:
            raise Unknown(f"the primitive {name} is not in the table")
        if self.watch is not None and name in FACTORISATIONS:
            self.watch(name, arguments[0])
        found = TABLE[name](params, *arguments)
        return [np.asarray(f, object) if not isinstance(f, np.ndarray) else f for f in _several(found)]

    def move(self, equation: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
        """An equation that only moves entries: JAX moves their positions, counted from 1; what it fills in is NaN."""
        key = (id(equation), *(a.tobytes() for a in arguments if not is_exact(a)))
        if key not in self.positions:
            counted, places = 1, []
            for a in arguments:
                places.append(np.arange(counted, counted + a.size).reshape(a.shape) if is_exact(a) else a)
                counted += a.size if is_exact(a) else 0
            self.positions[key] = _bind(equation, places)
        table = np.concatenate([scalar(mp.nan)[None], *(a.ravel() for a in arguments if is_exact(a))])
        return [table[np.maximum(p.ravel(), 0)].reshape(p.shape) for p in self.positions[key]]


def _several(found: Any) -> Sequence[Any]:
    return found if isinstance(found, list | tuple) else [found]


def _closed(jaxpr: Any) -> Any:
    return jaxpr if hasattr(jaxpr, "consts") else jax.extend.core.ClosedJaxpr(jaxpr, ())


def _bind(equation: Any, arguments: Sequence[Any]) -> list[np.ndarray]:
    """JAX's own answer to an equation."""
    found = equation.primitive.bind(*(jax.numpy.asarray(a) for a in arguments), **equation.params)
    return [np.asarray(f) for f in (found if equation.primitive.multiple_results else [found])]


# Control flow and calls


def _cond(program: Digits, params: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
    branches = params["branches"]
    return program.run(branches[min(max(int(arguments[0]), 0), len(branches) - 1)], arguments[1:])


def _scan(program: Digits, params: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
    if "num_consts" in params:
        constants, carried = params["num_consts"], params["num_carry"]
    else:  # jax 0.12 and later
        constants, carried = (len(list(part.vals)) for part in params["ft_in"].unpack()[:2])
    fixed, state = arguments[:constants], arguments[constants : constants + carried]
    rows, order = arguments[constants + carried :], range(params["length"])
    stacks: list[list[np.ndarray]] = []
    for i in reversed(order) if params["reverse"] else order:
        found = program.run(params["jaxpr"], [*fixed, *state, *(np.asarray(r[i], r.dtype) for r in rows)])
        state = found[:carried]
        stacks.append(found[carried:])
    if params["reverse"]:
        stacks.reverse()
    return [*state, *(np.stack(column) for column in zip(*stacks, strict=True))]


def _while(program: Digits, params: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
    a, b = params["cond_nconsts"], params["body_nconsts"]
    test, body, state = arguments[:a], arguments[a : a + b], arguments[a + b :]
    while bool(program.run(params["cond_jaxpr"], [*test, *state])[0]):
        state = program.run(params["body_jaxpr"], [*body, *state])
    return state


def _linear_solve(program: Digits, params: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
    lengths, start, parts = params["const_lengths"], 0, {}
    for part in ("matvec", "vecmat", "solve", "transpose_solve"):
        length = getattr(lengths, part)
        parts[part], start = arguments[start : start + length], start + length
    return program.run(_closed(params["jaxprs"].solve), [*parts["solve"], *arguments[start:]])


def _platform(program: Digits, params: Any, arguments: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(next(i for i, p in enumerate(params["platforms"]) if p is None or "cpu" in p), np.int32)]


CONTROL: dict[str, Callable[[Digits, Any, list[np.ndarray]], list[np.ndarray]]] = {
    "cond": _cond,
    "scan": _scan,
    "while": _while,
    "custom_linear_solve": _linear_solve,
    "platform_index": _platform,
}
SHAPELESS = ("convert_element_type",)  # integers in, and perhaps digits out


# Entry by entry


def primitive(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        TABLE.update(dict.fromkeys(names, function))
        return function

    return keep


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers for arrays of them."""
    return np.frompyfunc(function, function.__code__.co_argcount, 1)


def _quotient(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ZeroDivisionError:
        return mp.nan if a == 0 else mp.inf * mp.sign(a)


def _log(x: Any) -> Any:
    return -mp.inf if x == 0 else mp.log(x)


def _remainder(a: Any, b: Any) -> Any:
    return a - b * mp.mpf(int(a / b))


ENTRYWISE: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": each(_quotient),
    "rem": each(_remainder),
    "neg": np.negative,
    "max": np.maximum,
    "min": np.minimum,
    "abs": np.absolute,
    "square": lambda x: x * x,
    "sign": each(lambda x: mp.sign(x)),
    "floor": each(lambda x: mp.floor(x)),
    "ceil": each(lambda x: mp.ceil(x)),
    "round": each(lambda x: mp.nint(x)),
    "sqrt": each(lambda x: mp.sqrt(x)),
    "rsqrt": each(lambda x: 1 / mp.sqrt(x)),
    "cbrt": each(lambda x: mp.cbrt(x)),
    "exp": each(lambda x: mp.exp(x)),
    "exp2": each(lambda x: mp.mpf(2) ** x),
    "expm1": each(lambda x: mp.expm1(x)),
    "log": each(_log),
    "log1p": each(lambda x: mp.log1p(x)),
    "sin": each(lambda x: mp.sin(x)),
    "cos": each(lambda x: mp.cos(x)),
    "tan": each(lambda x: mp.tan(x)),
    "sinh": each(lambda x: mp.sinh(x)),
    "cosh": each(lambda x: mp.cosh(x)),
    "tanh": each(lambda x: mp.tanh(x)),
    "asinh": each(lambda x: mp.asinh(x)),
    "atan2": each(lambda y, x: mp.atan2(y, x)),
    "logistic": each(lambda x: 1 / (1 + mp.exp(-x))),
    "erf": each(lambda x: mp.erf(x)),
    "pow": each(lambda a, b: a**b),
    "complex": each(lambda a, b: mp.mpc(a, b)),
    "real": each(lambda x: mp.re(x)),
    "imag": each(lambda x: mp.im(x)),
    "conj": each(lambda x: mp.conj(x)),
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lt_to": np.less,
    "le_to": np.less_equal,
    "is_finite": each(lambda x: bool(mp.isfinite(x))),
    "stop_gradient": lambda x: x,
    "optimization_barrier": lambda x: x,
    "reduce_precision": lambda x: x,
}
TRUTHS = ("eq", "ne", "lt", "le", "gt", "ge", "lt_to", "le_to", "is_finite")


def _entrywise(name: str, function: Callable[..., Any]) -> None:
    def done(params: Any, *arguments: np.ndarray) -> np.ndarray:
        return np.asarray(function(*arguments), bool if name in TRUTHS else object)

    TABLE[name] = done


for _name, _function in ENTRYWISE.items():
    _entrywise(_name, _function)


@primitive("integer_pow")
def _integer_pow(params: Any, x: np.ndarray) -> np.ndarray:
    y = params["y"]
    return each(lambda a: _quotient(mp.mpf(1), a**-y) if y < 0 else a**y)(x)


@primitive("clamp")
def _clamp(params: Any, low: np.ndarray, x: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(x, low), high)


@primitive("convert_element_type")
def _convert(params: Any, x: np.ndarray) -> np.ndarray:
    kind = np.dtype(params["new_dtype"])
    if kind.kind not in "fc":
        return np.asarray([int(v) for v in x.ravel()] if is_exact(x) else x).reshape(x.shape).astype(kind)
    if kind.itemsize < (16 if kind.kind == "c" else 8):
        raise Unknown(f"a conversion to {kind.name} rounds")
    x = x if is_exact(x) else exact(x.astype(float))
    return np.asarray(each(lambda v: mp.mpc(v) if kind.kind == "c" else mp.re(v))(x), object)


# Shapes and sums


@primitive("transpose")
def _transpose(params: Any, x: np.ndarray) -> np.ndarray:
    return np.transpose(x, params["permutation"])


@primitive("reshape")
def _reshape(params: Any, x: np.ndarray) -> np.ndarray:
    if params["dimensions"] is not None:
        raise Unknown("a reshape that transposes")
    return np.reshape(x, params["new_sizes"])


@primitive("squeeze")
def _squeeze(params: Any, x: np.ndarray) -> np.ndarray:
    return np.squeeze(x, tuple(params["dimensions"]))


@primitive("broadcast_in_dim")
def _broadcast(params: Any, x: np.ndarray) -> np.ndarray:
    shape, axes = params["shape"], params["broadcast_dimensions"]
    sizes = [1] * len(shape)
    for axis, size in zip(axes, x.shape, strict=True):
        sizes[axis] = size
    return np.broadcast_to(x.reshape(sizes), shape)


@primitive("concatenate")
def _concatenate(params: Any, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, params["dimension"])


@primitive("select_n")
def _select(params: Any, which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    found = np.empty(cases[0].shape, object)
    for index, case in enumerate(cases):
        chosen = np.broadcast_to(which.astype(int) == index, case.shape)
        found[chosen] = case[chosen]
    return found


@primitive("reduce_sum")
def _reduce_sum(params: Any, x: np.ndarray) -> np.ndarray:
    return np.add.reduce(x, tuple(params["axes"]), initial=mp.mpf(0))


@primitive("reduce_prod")
def _reduce_prod(params: Any, x: np.ndarray) -> np.ndarray:
    return np.multiply.reduce(x, tuple(params["axes"]), initial=mp.mpf(1))


@primitive("reduce_max")
def _reduce_max(params: Any, x: np.ndarray) -> np.ndarray:
    return np.maximum.reduce(x, tuple(params["axes"]))


@primitive("reduce_min")
def _reduce_min(params: Any, x: np.ndarray) -> np.ndarray:
    return np.minimum.reduce(x, tuple(params["axes"]))


@primitive("argmax")
def _argmax(params: Any, x: np.ndarray) -> np.ndarray:
    return np.argmax(x, params["axes"][0]).astype(params["index_dtype"])


@primitive("argmin")
def _argmin(params: Any, x: np.ndarray) -> np.ndarray:
    return np.argmin(x, params["axes"][0]).astype(params["index_dtype"])


def _accumulate(operation: Any) -> Callable[..., Any]:
    def done(params: Any, x: np.ndarray) -> np.ndarray:
        axis = params["axis"]
        x = np.flip(x, axis) if params["reverse"] else x
        x = operation.accumulate(x, axis)
        return np.flip(x, axis) if params["reverse"] else x

    return done


TABLE |= {"cumsum": _accumulate(np.add), "cumprod": _accumulate(np.multiply), "cummax": _accumulate(np.maximum)}


@primitive("sort")
def _sort(params: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    if params["num_keys"] != 1:
        raise Unknown("a sort by several keys")
    order = np.argsort(arrays[0], params["dimension"], kind="stable")
    return [np.take_along_axis(a, order, params["dimension"]) for a in arrays]


@primitive("scatter-add")
def _scatter_add(params: Any, x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
    # the transpose of a scatter is a gather: it tells for each update the position, counted from 1, that it reaches
    names = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    options = {n: params[n] for n in names}

    def scatter(u: Any) -> Any:
        return jax.lax.scatter_add(jax.numpy.zeros(x.shape), jax.numpy.asarray(indices), u, **options)

    places = np.arange(1.0, x.size + 1).reshape(x.shape)
    reached = np.asarray(jax.vjp(scatter, jax.numpy.zeros(updates.shape))[1](places)[0]).astype(int)
    found = x.ravel().copy()
    for place, update in zip(reached.ravel(), updates.ravel(), strict=True):
        if place > 0:
            found[place - 1] += update
    return found.reshape(x.shape)


@primitive("dot_general")
def _dot(params: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (ca, cb), (ba, bb) = params["dimension_numbers"]
    free_a = [i for i in range(a.ndim) if i not in (*ca, *ba)]
    free_b = [i for i in range(b.ndim) if i not in (*cb, *bb)]
    batch, inner = [a.shape[i] for i in ba], int(np.prod([a.shape[i] for i in ca], dtype=int))
    left = a.transpose(*ba, *free_a, *ca).reshape(*batch, -1, inner)
    right = b.transpose(*bb, *cb, *free_b).reshape(*batch, inner, -1)
    shape = (*batch, *(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b))
    return np.matmul(left, right).reshape(shape)


# Factorisations


def matrices(function: Callable[..., Sequence[np.ndarray]], *arrays: np.ndarray) -> list[np.ndarray]:
    """A function of matrices for each of a batch of them."""
    leading = arrays[0].shape[:-2]
    flat = [a.reshape(-1, *a.shape[-2:]) for a in arrays]
    found = [function(*(a[i] for a in flat)) for i in range(len(flat[0]))]
    return [np.stack(column).reshape(*leading, *column[0].shape) for column in zip(*found, strict=True)]


def to_mp(a: np.ndarray) -> Any:
    return mp.matrix(a.tolist())


def from_mp(a: Any) -> np.ndarray:
    found = np.empty((a.rows, a.cols), object)
    for i in range(a.rows):
        for j in range(a.cols):
            found[i, j] = a[i, j]
    return found


@primitive("lu")
def _lu(params: Any, x: np.ndarray) -> list[np.ndarray]:
    """P X = L U by rows, with the largest pivot of each column, packed as LAPACK packs it."""

    def one(a: np.ndarray) -> list[np.ndarray]:
        a, (rows, columns) = a.copy(), a.shape
        pivots, order = np.zeros(min(a.shape), np.int32), np.arange(rows, dtype=np.int32)
        for k in range(min(rows, columns)):
            best = max(range(k, rows), key=lambda i: abs(a[i, k]))
            pivots[k] = best
            if best != k:
                a[[k, best]], order[[k, best]] = a[[best, k]], order[[best, k]]
            if a[k, k] != 0:
                a[k + 1 :, k] /= a[k, k]
                a[k + 1 :, k + 1 :] -= a[k + 1 :, k, None] * a[k, k + 1 :]
        return [a, pivots, order]

    return matrices(one, x)


@primitive("cholesky")
def _cholesky(params: Any, x: np.ndarray) -> list[np.ndarray]:
    def one(a: np.ndarray) -> list[np.ndarray]:
        return [from_mp(mp.cholesky(to_mp((a + _adjoint(a)) / 2)))]

    return matrices(one, x)


def _adjoint(a: np.ndarray) -> np.ndarray:
    return np.asarray(each(lambda x: mp.conj(x))(a.T), object)


@primitive("triangular_solve")
def _triangular_solve(params: Any, a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    def one(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
        lower = params["lower"]
        a = np.asarray(each(lambda x: mp.conj(x))(a), object) if params["conjugate_a"] else a
        if params["transpose_a"]:
            a, lower = a.T, not lower
        if not params["left_side"]:
            a, b, lower = a.T, b.T, not lower
        x, n = b.copy(), len(a)
        for i in range(n) if lower else reversed(range(n)):
            done = slice(0, i) if lower else slice(i + 1, n)
            if done.stop > done.start:
                x[i] = x[i] - a[i, done] @ x[done]
            if not params["unit_diagonal"]:
                x[i] = each(_quotient)(x[i], a[i, i])
        return [x if params["left_side"] else x.T]

    return matrices(one, a, b)


@primitive("eigh")
def _eigh(params: Any, x: np.ndarray) -> list[np.ndarray]:
    def one(a: np.ndarray) -> list[np.ndarray]:
        lower = np.tril(a) if params["lower"] else np.triu(a)
        a = lower + _adjoint(lower) - np.diag(np.diagonal(a))
        is_complex = any(isinstance(v, mp.mpc) for v in a.ravel())
        values, vectors = (mp.eighe if is_complex else mp.eigsy)(to_mp(a))
        values, vectors = np.array(list(values), object), from_mp(vectors)
        order = np.argsort(values, kind="stable")
        return [upright(vectors[:, order]), values[order]]

    return matrices(one, x)


def upright(vectors: np.ndarray) -> np.ndarray:
    """Columns with the phase that makes the largest entry of each positive, as real ones can then be real."""
    found = vectors.copy()
    for j in range(found.shape[1]):
        largest = max(found[:, j], key=abs)
        if largest != 0:
            found[:, j] = found[:, j] * (mp.conj(largest) / abs(largest))
    return found


@primitive("eig")
def _eig(params: Any, x: np.ndarray) -> list[np.ndarray]:
    """Eigenvalues, then the left and the right vectors that are asked for, each of norm 1."""

    def unit(v: np.ndarray) -> np.ndarray:
        norms = [mp.sqrt(mp.fsum(abs(e) ** 2 for e in column)) for column in v.T]
        return upright(np.asarray(each(lambda e: mp.mpc(e))(v / np.array(norms, object)[None, :]), object))

    def one(a: np.ndarray) -> list[np.ndarray]:
        values, left, right = mp.eig(to_mp(a), left=True, right=True)
        found = [np.array([mp.mpc(v) for v in values], object)]
        if params["compute_left_eigenvectors"]:
            found.append(unit(_adjoint(from_mp(left))))
        if params["compute_right_eigenvectors"]:
            found.append(unit(from_mp(right)))
        return found

    return matrices(one, x)


@primitive("svd")
def _svd(params: Any, x: np.ndarray) -> list[np.ndarray]:
    if params.get("subset_by_index") is not None:
        raise Unknown("a part of a singular value decomposition")

    def one(a: np.ndarray) -> list[np.ndarray]:
        full, tall = bool(params.get("full_matrices")), a.shape[0] >= a.shape[1]
        is_complex = any(isinstance(v, mp.mpc) for v in a.ravel())
        # mpmath wants no fewer rows than columns
        u, s, v = (mp.svd_c if is_complex else mp.svd_r)(to_mp(a if tall else _adjoint(a)), full_matrices=full)
        u, s, v = from_mp(u), np.array(list(s), object), from_mp(v)
        if not tall:
            u, v = _adjoint(v), _adjoint(u)
        return [s, u, v] if params["compute_uv"] else [s]

    return matrices(one, x)


@primitive("qr")
def _qr(params: Any, x: np.ndarray) -> list[np.ndarray]:
    if params.get("pivoting"):
        raise Unknown("a QR decomposition with pivots")

    def one(a: np.ndarray) -> list[np.ndarray]:
        rows, columns = a.shape
        full = bool(params["full_matrices"])
        q, r = mp.qr(to_mp(a), mode="full" if full or rows < columns else "skinny")
        return [from_mp(q), from_mp(r)]

    return matrices(one, x)


def _expm(x: np.ndarray) -> np.ndarray:
    """e^X, since JAX's own series is as long as float64 needs it."""
    return matrices(lambda a: [from_mp(mp.expm(to_mp(a)))], x)[0]


CALLS["expm"] = _expm


# What a function factorises


@dataclasses.dataclass(frozen=True)
class Factorisation:
    """One factorisation of a function: the primitive, and the operands that its matrix is made of."""

    primitive: str
    operands: frozenset[str]


def factorised(program: Digits) -> list[Factorisation]:
    """The factorisations that a traced function makes, each once, in order."""
    found: list[Factorisation] = []
    _follow(program.closed, [frozenset([n]) for n in program.names], found)
    return list(dict.fromkeys(found))


def _follow(closed: Any, arguments: Sequence[frozenset[str]], found: list[Factorisation]) -> list[frozenset[str]]:
    """The operands that each output of a jaxpr is made of."""
    jaxpr, none = closed.jaxpr, frozenset[str]()
    known: dict[Any, frozenset[str]] = dict.fromkeys(jaxpr.constvars, none)
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        of = [none if hasattr(v, "val") else known[v] for v in equation.invars]
        name = equation.primitive.name
        if name in FACTORISATIONS:
            found.append(Factorisation(name, of[0]))
        inner = list(_inner(equation.params))
        if name == "custom_linear_solve":
            lengths = equation.params["const_lengths"]
            skipped = lengths.matvec + lengths.vecmat
            right = of[sum(lengths) :]
            solver = [*of[skipped : skipped + lengths.solve], *right]
            results = _follow(_closed(equation.params["jaxprs"].solve), solver, found)
        elif name == "cond":
            ways = [_follow(part, of[1:], found) for part in inner]
            results = [of[0].union(*way) for way in zip(*ways, strict=True)]
        elif len(inner) == 1 and len(inner[0].jaxpr.invars) == len(of) and name not in ("scan", "while"):
            results = _follow(inner[0], of, found)
        else:
            # a plain equation; or a loop, where whatever goes in may come out anywhere
            everything = none.union(*of)
            for part in inner:
                _follow(part, [everything] * len(part.jaxpr.invars), found)
            results = [everything] * len(equation.outvars)
        known.update(zip(equation.outvars, results, strict=True))
    return [none if hasattr(v, "val") else known[v] for v in jaxpr.outvars]


def _inner(params: Any) -> Iterator[Any]:
    """The jaxprs that an equation holds."""
    for value in params.values():
        for part in value if isinstance(value, tuple) else [value]:
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                yield _closed(part)
