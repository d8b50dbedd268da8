"""How one item is measured: compiled ahead of time, warmed up, blocked until ready, ratio against its reference.

    item = Item("first", "tr_axb_dX", "traces", 1024, dims, "float64", operands, [closed, autodiff, ...])
    row = measure(benchmark, item, seconds=2.0)

The first column is the closed form, and its call is what pytest-benchmark times.  The other columns run and are timed
in the round's setup, just before it, in an order that turns from round to round, so that a noisy machine disturbs all
alike; the ratio comes from these pairs.  Before anything is timed the closed form must agree with autodiff at the very
operands: a wrong formula is never published.

Every column is a program of its own, compiled without the persistent cache, so that compile times are those of a first
run.  Transfers to the device are excluded.  A call that takes less than 0.2 ms is repeated within the round, each call
blocked for itself; one below 5 ms is made once more before it is timed, so that each column finds its own in the cache.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from bench import hlo
from bench.dims import dense
from identities.engine import bench, tolerance
from identities.engine.identity import Claim
from identities.engine.inputs import physical_memory
from identities.engine.reference import reference

FEWEST, MOST = 7, 40  # rounds
SHORT = 2e-4  # a call shorter than this is repeated within a round
CALLS = 50  # at most so often
WARMED = 5e-3  # a call shorter than this is made once before it is timed
MEMORY = 0.6  # of what there is, a program may need


class LeftOut(Exception):
    """An item that cannot be measured here; the message is the reason on the report."""


class TooLarge(LeftOut):
    """A column that needs more memory than there is."""


@dataclasses.dataclass
class Column:
    """One way to compute something: a function of keyword operands, and the column of the same result it is a ratio to.

    `plain` marks a function of NumPy or torch, which is called as it is and blocks for itself; `prepare` makes its
    operands from NumPy's, off the clock.
    """

    name: str
    function: Callable[..., Any]
    against: str | None = "closed"
    plain: bool = False
    prepare: Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]] = dict


@dataclasses.dataclass
class Item:
    """What is measured under one name."""

    kind: str
    name: str
    chapter: str
    n: int
    dims: Mapping[str, int]
    dtype: str
    operands: Mapping[str, np.ndarray]
    columns: Sequence[Column]
    claim: Claim | None = None  # tells the scale of the residual
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)  # its static operands
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Compiled:
    """A column's program, with what compiling it took and what XLA says of it."""

    def __init__(self, column: Column, arrays: Mapping[str, Any]):
        self.column = column
        self.facts: dict[str, float] = {}
        self.kernels: dict[str, int] | None = None
        self.program = ""  # in what its instructions are, whatever they are called
        if column.plain:
            prepared = column.prepare(arrays)
            self.call = lambda: column.function(**prepared)
        else:
            started = time.perf_counter()
            try:
                program = jax.jit(column.function).lower(**arrays).compile()
            except NotImplementedError as error:
                raise LeftOut(f"{column.name}: {str(error).splitlines()[0]}") from error
            self.facts["compile"] = time.perf_counter() - started
            self.facts |= about(program)
            if self.facts.get("memory", 0) > MEMORY * memory():
                raise TooLarge(f"{self.facts['memory'] / 2**30:.1f} GiB")
            text = program.as_text() or ""
            self.kernels, self.program = hlo.kernels(text), hlo.fingerprint(text)
            self.call = lambda: jax.block_until_ready(program(**arrays))
        self.result = self.call()
        started = time.perf_counter()
        self.call()
        self.second = max(time.perf_counter() - started, 1e-7)
        self.calls = min(CALLS, max(1, math.ceil(SHORT / self.second)))
        self.times: list[float] = []

    def run(self) -> None:
        """One round of this column, without keeping the time."""
        for _ in range(self.calls):
            self.call()

    def warm(self) -> None:
        """What a column finds in the cache would depend on the one before it: a short one finds its own."""
        if self.second < WARMED:
            self.call()

    def time(self) -> None:
        self.warm()
        started = time.perf_counter()
        self.run()
        self.times.append((time.perf_counter() - started) / self.calls)


def about(program: Any) -> dict[str, float]:
    """What XLA says of a program: flops and bytes (without those of LAPACK's calls), and its peak memory."""
    facts: dict[str, float] = {}
    cost = program.cost_analysis()
    cost = cost[0] if isinstance(cost, list | tuple) and cost else cost
    if isinstance(cost, Mapping):
        names = {"flops": "flops", "bytes": "bytes accessed"}
        facts |= {ours: cost[theirs] for ours, theirs in names.items() if theirs in cost}
    memory = program.memory_analysis()
    if memory is not None:
        sizes = (memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes)
        facts["memory"] = sum(sizes) - memory.alias_size_in_bytes
    return facts


def measure(benchmark: Any, item: Item, seconds: float) -> bench.Row:
    """Measure one item, and hand its row to pytest-benchmark as `extra_info`.

    About `seconds` go to each column, in 7 to 40 rounds (a slow column may take part in the first few alone).  Raises
    AssertionError where the closed form is not what autodiff gives, LeftOut where nothing can be measured.
    """
    arrays = {name: jax.device_put(value) for name, value in item.operands.items()}
    # NumPy and torch take the operands as NumPy arrays, each through its own conversion
    programs, large = [], {}
    for c in item.columns:
        try:
            programs.append(Compiled(c, item.operands if c.plain else arrays))
        except TooLarge as needed:
            if c.against is None:
                raise LeftOut(f"{c.name} needs {needed}") from needed
            large[c.name] = f"needs {needed}"
    residuals, wrong = check(item, {p.column.name: p.result for p in programs}, beyond=bool(large))
    programs = [p for p in programs if p.column.name not in wrong]
    for p in programs:
        p.result = None
    closed, others = programs[0], programs[1:]
    total = sum(p.second * p.calls for p in programs)
    rounds = max(FEWEST, min(MOST, int(seconds * len(programs) / total)))
    most = {p.column.name: max(FEWEST, int(seconds / (p.second * p.calls))) for p in programs}
    count = 0

    def setup() -> None:
        nonlocal count
        turn = count % max(len(others), 1)
        for p in others[turn:] + others[:turn]:
            if count < most[p.column.name]:
                p.time()
        closed.warm()
        count += 1

    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        benchmark.pedantic(closed.run, setup=setup, rounds=rounds)
    finally:
        if enabled:
            gc.enable()
    if benchmark.stats is not None:
        closed.times = [t / closed.calls for t in benchmark.stats.stats.data]
        benchmark.extra_info |= row(item, programs, residuals)
        benchmark.extra_info |= {name: why for name, why in (("wrong", wrong), ("large", large)) if why}
    return dict(benchmark.extra_info)


def row(item: Item, programs: Sequence[Compiled], residuals: Mapping[str, float]) -> bench.Row:
    """What is kept of one item; `same` are the columns whose program is that of the column they are a ratio to."""
    times = {p.column.name: p.times for p in programs}
    found: bench.Row = {
        "kind": item.kind,
        "name": item.name,
        "chapter": item.chapter,
        "n": item.n,
        "dims": dict(item.dims),
        "dtype": item.dtype,
        "rounds": len(programs[0].times),
        "calls": programs[0].calls,
        "seconds": {name: bench.significant(np.median(t)) for name, t in times.items()},
        "ratio": {
            p.column.name: bench.ratio(p.times, times[p.column.against])
            for p in programs[1:]
            if p.column.against is not None
        },
    }
    for fact in ("compile", "flops", "bytes", "memory"):
        values = {p.column.name: bench.significant(p.facts[fact]) for p in programs if p.facts.get(fact, 0) > 0}
        found |= {fact: values} if values else {}
    found["kernels"] = {p.column.name: p.kernels for p in programs if p.kernels is not None}
    texts = {p.column.name: p.program for p in programs}
    same = [p.column.name for p in programs if p.program and p.program == texts.get(p.column.against or "")]
    found |= {"same": same} if same else {}
    return found | {"residual": {k: bench.significant(v, 3) for k, v in residuals.items()}} | dict(item.notes)


def memory() -> float:
    """The bytes of memory of the device, where it tells; of this machine for a CPU."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return physical_memory()
    return float((device.memory_stats() or {}).get("bytes_limit", math.inf))


def check(item: Item, results: Mapping[str, Any], beyond: bool = False) -> tuple[dict[str, float], dict[str, str]]:
    """Hold each column against the one that it is a ratio to: the residuals in eps, and the columns that are wrong.

    The law is that of the book (`identities.engine.tolerance`), but both sides are in the item's own precision, so
    that twice its limit is allowed.  A column is wrong, and not timed, where the closed form is right and it is not:
    not finite, or (in float32) refuted by its own float64, as autodiff of ln det X is where det X leaves the range.
    Raises AssertionError where the closed form is wrong, LeftOut where it is not finite or no autodiff is left (unless
    it lies `beyond` the memory).
    The columns of an item of kernels compute different things, and need only be finite.
    """
    if item.kind == bench.KERNELS:
        odd = [name for name, result in results.items() if not finite(result)]
        assert not odd, f"{item.name} at {dict(item.dims)} in {item.dtype}: not finite: {', '.join(odd)}"
        return {}, {}
    limit = 2 * tolerance.limit_of(item.dtype) * (item.claim.slack if item.claim else 1.0)
    residuals: dict[str, float] = {}
    wrong: dict[str, str] = {}
    if not finite(results["closed"]):
        raise LeftOut(f"the closed form is not finite in {item.dtype} at these sizes")
    for column in item.columns[1:]:
        if column.against is None:
            continue
        mine, other = results[column.against], results[column.name]
        if not (finite(mine) and finite(other)):
            wrong[column.name] = "not finite"
            continue
        off = residual(item, column, mine, other)
        if off <= limit:
            residuals[column.name] = off
            continue
        truth = in_float64(item, column) if item.dtype == "float32" and not column.plain else other
        assert truth is not other and residual(item, column, mine, truth) <= limit, (
            f"{item.name} at {dict(item.dims)} in {item.dtype}: {column.against} is {off:.3g} eps off {column.name}, "
            f"at most {limit:g} is agreement; nothing is measured of a wrong formula"
        )
        wrong[column.name] = f"{off:.2g} eps off its own float64, with which the closed form agrees"
    if not beyond and not any(name in residuals for name in bench.AUTODIFF):
        raise LeftOut(f"autodiff fails in {item.dtype} at these sizes: {'; '.join(wrong.values())}")
    return residuals, wrong


def finite(result: Any) -> bool:
    return all(np.all(np.isfinite(leaf)) for leaf in leaves(result))


def residual(item: Item, column: Column, mine: Any, other: Any) -> float:
    """The worst residual of two results in eps of the item's dtype."""
    eps, worst = tolerance.eps_of(item.dtype), 0.0
    pairs = list(zip(leaves(mine), leaves(other), strict=True))
    for i, (got, expected) in enumerate(pairs):

        def more(by: float, i: int = i, expected: np.ndarray = expected) -> float:
            return max(sensitivity(column, item, i, by), function_scale(item))

        worst = max(worst, tolerance.residual(got, expected, eps, 0.0, more)[0])
    return worst


def in_float64(item: Item, column: Column) -> Any:
    """A column's result at the same operands in float64."""
    wide = {n: v.astype(np.result_type(v.dtype, np.float64)) for n, v in item.operands.items()}
    with jax.enable_x64(True):
        return jax.jit(column.function)(**wide)


def leaves(result: Any) -> list[np.ndarray]:
    """The arrays of a result, torch's among them, as NumPy arrays."""
    found = jax.tree.leaves(result)
    return [leaf.detach().cpu().numpy() if hasattr(leaf, "detach") else np.asarray(leaf) for leaf in found]


def function_scale(item: Item) -> float:
    """|f| / |operand|, as the law of the book has it; 0 where the item is of no single claim."""
    if item.claim is None:
        return 0.0
    operands = {name: jax.device_put(value) for name, value in item.operands.items()}
    value = item.claim.identity.function(**operands, **item.counts)
    return float(tolerance.function_scale(item.claim, np.asarray(value), item.operands))


def sensitivity(column: Column, item: Item, index: int, by: float) -> float:
    """The third term of the scale (`by` = 2^-24) or the fourth (2^-52) of a column's result, in its own precision.

    What the law moves by 2^-24 and by 2^-52 in float64 is moved by the root of eps and by eps: two measurements of
    two things.
    """
    eps = tolerance.eps_of(item.dtype)
    size = math.sqrt(eps) if by == tolerance.PERTURBATION else eps
    rng = np.random.default_rng(0)
    call = (lambda **x: column.function(**column.prepare(x))) if column.plain else jax.jit(column.function)
    before = leaves(call(**item.operands))[index]
    changed = []
    for _ in range(tolerance.PERTURBATIONS):
        moved = {n: v * (1 + size * rng.standard_normal(v.shape)).astype(v.dtype) for n, v in item.operands.items()}
        changed.append(leaves(call(**moved))[index])
    return tolerance.sensitivity(before, changed, by) * by / size


# Columns of a claim


def with_counts(function: Callable[..., Any], counts: Mapping[str, int]) -> Callable[..., Any]:
    """A function of the traced operands alone, with all entries of what it returns."""
    return lambda **arrays: dense(function(**arrays, **counts))


def derivative(claim: Claim, function: Callable[..., Any]) -> Callable[..., Any]:
    """JAX's derivative of `function`, in the meaning of a claim."""
    structure = {"entries": claim.entries, "within": claim.within, "wirtinger": claim.wirtinger}
    return reference(function, claim.kind, claim.wrt, **structure)


def computed_form(claim: Claim) -> Callable[..., Any] | None:
    """The identity's function as an expert would write it, where the book has it for the operands of this claim.

    Of several, the one that makes the most of them: ln det by Cholesky where the claim is given X positive definite.
    """
    found = []
    for other in claim.identity.claims.values():
        if other.kind != "value" or not other.computed or other.status != "holds":
            continue
        mine, plain = claim.operands, claim.identity.parsed
        if all(o.word in (mine[name].word, plain[name].word) for name, o in other.operands.items()):
            found.append((sum(o.word is not plain[name].word for name, o in other.operands.items()), other.function))
    return max(found, key=lambda pair: pair[0])[1] if found else None
