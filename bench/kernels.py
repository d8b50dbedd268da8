"""What of a closed form cannot be avoided: its products and factorisations, in a program of nothing else.

    found, results = kernels_of(function, operands)     the equations of the function's jaxpr that are kernels
    item = timed_alone(claim, 512, "float64")           columns: the closed form, and its kernels `alone`

A closed form that takes the time of its kernels is as fast as its formula lets it be; what it takes longer goes into
copies, elementwise passes and loops.  `alone` binds the kernels to operands of their own, shared only where the closed
form shares what it was given or has made once, so that XLA merges and drops none, and returns all results.  These
operands come from memory and are copied to the layout that LAPACK wants, where a closed form often finds in the cache
what it has just laid out: a ratio below 1 is no mistake.  Where no kernel writes as much as the result, the result is
filled with a number besides.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from bench.dims import dims_of, operands_of
from bench.harness import Column, Item, LeftOut, with_counts
from identities.engine import bench
from identities.engine.identity import Claim

KERNELS = {
    *("dot_general", "lu", "cholesky", "triangular_solve", "tridiagonal_solve"),
    *("qr", "geqrf", "geqp3", "householder_product", "svd", "eigh", "eig", "schur", "hessenberg", "tridiagonal"),
}
BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # where a call keeps what it calls
LOOPS = {
    "while": "it has a loop whose length is decided at run time",
    "scan": "it has a loop whose steps wait for each other, which its kernels alone would not",
    "cond": "it has a branch that is decided at run time",
}


class Equation(NamedTuple):
    """An equation of the flat program; what it reads and writes are numbers of values."""

    primitive: Any
    params: Mapping[str, Any]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]  # of what it reads
    results: tuple[jax.ShapeDtypeStruct, ...]


class Flat:
    """A jaxpr without calls, in which equal equations on equal values are one."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.values = 0
        self.known: dict[Any, Any] = {}

    def new(self) -> int:
        self.values += 1
        return self.values

    def same(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made for an equal key before, or is made now."""
        try:
            hash(key)
        except TypeError:  # a parameter that cannot be hashed: nothing is known to be equal to it
            return make()
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def add(self, jaxpr: Any, args: Sequence[int], consts: Sequence[int]) -> list[int]:
        """The equations of a jaxpr at these values, and the values of its results."""
        at: dict[Any, int] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

        def value(v: Any) -> int:
            if isinstance(v, core.Literal):
                return int(self.same((str(v.aval), repr(v.val)), self.new))
            return at[v]

        for eqn in jaxpr.eqns:
            reads = tuple(value(v) for v in eqn.invars)
            called = body_of(eqn)
            if called is None:
                key = (eqn.primitive, reads, *sorted(eqn.params.items()))
                writes = self.same(key, functools.partial(self.write, eqn, reads))
            else:
                inner, used = called
                kept = [self.same(("const", id(c)), self.new) for c in getattr(inner, "consts", ())]
                writes = self.add(getattr(inner, "jaxpr", inner), [reads[i] for i in used], kept)
            at |= dict(zip(eqn.outvars, writes, strict=True))
        return [value(v) for v in jaxpr.outvars]

    def write(self, eqn: Any, reads: tuple[int, ...]) -> tuple[int, ...]:
        writes = tuple(self.new() for _ in eqn.outvars)
        self.equations.append(
            Equation(eqn.primitive, eqn.params, reads, writes, _avals(eqn.invars), _avals(eqn.outvars))
        )
        return writes

    def needed(self, results: Sequence[int]) -> list[Equation]:
        """The equations that the results depend on."""
        wanted, found = set(results), []
        for equation in reversed(self.equations):
            if wanted.intersection(equation.writes):
                wanted.update(equation.reads)
                found.append(equation)
        return found[::-1]


def _avals(variables: Sequence[Any]) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shapes and dtypes; those of a random key or a token, which no kernel takes, are left away."""
    avals = [v.aval for v in variables if hasattr(v.aval, "shape") and hasattr(v.aval, "dtype")]
    return tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals)


def body_of(eqn: Any) -> tuple[Any, list[int]] | None:
    """The jaxpr that an equation does nothing but call, and which operands go in; None for any other equation."""
    every = range(len(eqn.invars))
    if "const_lengths" in eqn.params and "jaxprs" in eqn.params:  # custom_linear_solve: of its four functions the solve
        lengths = eqn.params["const_lengths"]
        first = lengths.matvec + lengths.vecmat
        return eqn.params["jaxprs"].solve, [*every[first : first + lengths.solve], *every[sum(lengths) :]]
    if eqn.primitive.name in LOOPS:
        return None
    for name in BODIES:
        inner = eqn.params.get(name)
        body = getattr(inner, "jaxpr", inner)
        if hasattr(body, "eqns") and all(
            [str(v.aval) for v in mine] == [str(v.aval) for v in its]  # the body of a reduction is of single entries
            for mine, its in ((eqn.invars, body.invars), (eqn.outvars, body.outvars))
        ):
            return inner, list(every)
    return None


def kernels_of(
    function: Callable[..., Any], operands: Mapping[str, Any]
) -> tuple[list[Equation], list[jax.ShapeDtypeStruct]]:
    """The kernels that the results of a function depend on, and these results.

    Calls are looked into; of a linear solve it is the solve.  Two kernels with the same operands count once, as XLA
    merges them.  Raises LeftOut where there are kernels in a loop or a branch, since the text does not tell which run.
    """
    traced = jax.make_jaxpr(lambda operands: function(**operands))(dict(operands))
    flat = Flat()
    inputs = [flat.new() for _ in traced.jaxpr.invars]
    needed = flat.needed(flat.add(traced.jaxpr, inputs, [flat.new() for _ in traced.consts]))
    for equation in needed:
        if equation.primitive.name in LOOPS and holds_kernels(equation.params):
            raise LeftOut(LOOPS[equation.primitive.name])
    results = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in traced.out_avals]
    return [e for e in needed if e.primitive.name in KERNELS], results


def holds_kernels(params: Mapping[str, Any]) -> bool:
    """Whether the loop or branch with these parameters runs a kernel, at whatever depth."""
    for value in params.values():
        for inner in value if isinstance(value, list | tuple) else (value,):
            for eqn in getattr(getattr(inner, "jaxpr", inner), "eqns", ()):
                if eqn.primitive.name in KERNELS or holds_kernels(eqn.params):
                    return True
    return False


def drawn(shape: jax.ShapeDtypeStruct, wish: str, rng: np.random.Generator) -> np.ndarray:
    """An operand that a kernel takes its full time for: well conditioned, and of the kind that is wished for."""
    x = rng.standard_normal(shape.shape)
    if np.issubdtype(shape.dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(shape.shape)
    if len(shape.shape) >= 2:
        x = x / math.sqrt(shape.shape[-1])
    if wish == "definite":
        x = x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape.shape[-1])
    elif wish == "symmetric":
        x = (x + np.conj(np.swapaxes(x, -1, -2))) / 2
    elif wish == "triangle":  # a general one is singular to all digits
        x = x / math.sqrt(shape.shape[-1]) + np.eye(shape.shape[-1])
    elif wish == "diagonal":
        x = x / 4 + 2
    return np.asarray(x, shape.dtype)


# What the operands of a kernel must be, by their places; anything goes for the others
WISHES = {
    ("cholesky", 0): "definite",
    ("eigh", 0): "symmetric",
    ("tridiagonal", 0): "symmetric",
    ("triangular_solve", 0): "triangle",
    ("tridiagonal_solve", 1): "diagonal",
}


def timed_alone(claim: Claim, n: int, dtype: str) -> Item:
    """One claim: its closed form, and the kernels of it alone."""
    sizes = dims_of(claim, n)
    operands = operands_of(claim, sizes, dtype)
    function = with_counts(claim.function, sizes.counts)
    others, alone = apart(*kernels_of(function, operands), dtype)
    columns = [Column("closed", lambda **x: function(**{name: x[name] for name in operands}), None)]
    columns.append(Column("alone", lambda **x: alone({name: x[name] for name in others})))
    dims, notes = sizes.dims | sizes.counts, {"reduced": True} if sizes.reduced else {}
    drawn = {**operands, **others}
    return Item(bench.KERNELS, claim.name, claim.chapter, n, dims, dtype, drawn, columns, claim, sizes.counts, notes)


def apart(
    kernels: Sequence[Equation], results: Sequence[jax.ShapeDtypeStruct], dtype: str
) -> tuple[dict[str, np.ndarray], Callable[[Mapping[str, Any]], Any]]:
    """Operands for these kernels, and the function that runs them all on those.

    What two kernels of the closed form read is one array here too, such as the factors in both triangular solves of a
    system; what one of them computes for another is fresh.
    """
    rng = np.random.default_rng(0)
    shapes: dict[int, jax.ShapeDtypeStruct] = {}
    wishes: dict[int, str] = {}
    for e in kernels:
        for place, (value, shape) in enumerate(zip(e.reads, e.shapes, strict=True)):
            shapes[value] = shape
            wishes[value] = WISHES.get((e.primitive.name, place)) or wishes.get(value, "")
    others = {f"value_{value}": drawn(shape, wishes[value], rng) for value, shape in shapes.items()}
    largest = max((math.prod(r.shape) for e in kernels for r in e.results), default=0)
    filled = [r for r in results if math.prod(r.shape) > largest]
    if filled:
        others["fill"] = np.asarray(0.5, dtype)

    def alone(x: Mapping[str, Any]) -> Any:
        found = [e.primitive.bind(*(x[f"value_{value}"] for value in e.reads), **e.params) for e in kernels]
        return found, [jnp.full(r.shape, x["fill"], r.dtype) for r in filled]

    return others, alone
