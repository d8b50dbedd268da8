"""One compilation for everything that a check needs of an identity.

Compiling is what a check costs, so all claims of an identity (refuted ones too), all its shapes and
both precisions are one XLA program; draws come from NumPy as arguments.  Perturbed operands, shifted
ones (for the differences) and further draws are further calls of the same program.  They run one after
another on one device; on several, each takes a draw of its own (`jax.shard_map` over the draws).

Large operands turn the costs round: running is what a check costs then, so that XLA optimises what it
compiles, and the values that differences need come from a program of the function alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from identities.engine.errors import NotEvaluated, TooLarge
from identities.engine.identity import Claim
from identities.engine.inputs import must_fit, physical_memory, their_line
from identities.engine.shapes import Case, draw_operands

Values = dict[str, Any]

# Fast to compile; what is checked is the formula and its rounding, not the speed of the code.
FAST: dict[str, Any] = {"xla_backend_optimization_level": 0}
FASTER = FAST | {"xla_cpu_use_fusion_emitters": False}  # a third of the time, where XLA still has the choice
LARGE = 2**18  # entries of an operand from which on running costs more than compiling


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a claim's two sides gave at one draw and one case.

    `reference` is float64; `closed` maps a dtype's name to the closed form in that precision.
    `problem` maps a dtype's name (or "reference") to the reason why there is no number.
    """

    reference: np.ndarray | None
    closed: Mapping[str, np.ndarray]
    problem: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Row:
    """One case of one run: the function's value, and the answers by claim name."""

    value: np.ndarray
    answers: Mapping[str, Answer]


@contextlib.contextmanager
def checking_context(device: Any, precision: str = "highest", strict: bool = False) -> Iterator[None]:
    """float64, full matmul precision and the device, for this block only; all is restored.

    `strict` makes silent promotion of dtypes and ranks an error: for the book's own chapters.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        stack.enter_context(jax.default_matmul_precision(precision))
        stack.enter_context(jax.default_device(device))
        stack.enter_context(jax.disable_jit(False))  # programs are compiled ahead of time, and NaN is a finding
        stack.enter_context(jax.debug_nans(False))
        stack.enter_context(jax.transfer_guard("allow"))  # draws come from NumPy, whatever a caller forbids elsewhere
        if strict:
            stack.enter_context(jax.numpy_dtype_promotion("strict"))
            stack.enter_context(jax.numpy_rank_promotion("raise"))
        yield


@functools.cache
def cpu_options() -> dict[str, Any]:
    """The options by which XLA compiles fastest for a CPU, of those that this version knows."""
    cpu = jax.devices("cpu")[0]
    try:
        with jax.default_device(cpu):
            jax.jit(lambda x: x + 1).lower(np.float32(0)).compile(compiler_options=FASTER)
    except jax.errors.JaxRuntimeError:
        return FAST
    return FASTER


def find_device(name: str | None) -> Any:
    """The first device of a platform ("cpu", "gpu"), or JAX's default.

    Raises ValueError with a sentence where this machine has none.
    """
    chosen = getattr(jax.config, "jax_default_device", None)
    if name is None and isinstance(chosen, jax.Device):
        return chosen
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        have = ", ".join(sorted({d.platform for d in jax.devices()}))
        raise ValueError(f"JAX has no device {name!r} here; it has {have}") from error


def find_devices(name: str | None) -> list[Any]:
    """All devices of a platform, or of JAX's default; one alone where the caller's configuration names it.

    Raises ValueError as `find_device` does.
    """
    first = find_device(name)
    chosen = getattr(jax.config, "jax_default_device", None)
    if name is None and isinstance(chosen, jax.Device):
        return [first]
    return [d for d in jax.local_devices(backend=first.platform) if d.platform == first.platform]


def is_large(claim: Claim, cases: Sequence[Case]) -> bool:
    """Whether an operand has so many entries, at one of these cases, that running costs more than compiling."""
    operands = [o for o in claim.operands.values() if not o.static]
    return any(math.prod(o.shape(case.dims)) >= LARGE for case in cases for o in operands)


class Program:
    """Claims that share their operands, at several cases and precisions, compiled once.

    `devices` is one device, or several that take a draw each.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        cases: Sequence[Case],
        dtypes: Sequence[np.dtype[Any]],
        devices: Any,
        *,
        precision: str = "highest",
        strict: bool = False,
    ):
        self.claims, self.cases = list(claims), list(cases)
        self.tiers = {np.dtype(d): np.dtype(d).name for d in dtypes}  # NumPy makes a dtype's name anew each time
        self.devices: list[Any] = list(devices) if isinstance(devices, Sequence) else [devices]
        self.device, self.precision, self.strict = self.devices[0], precision, strict
        self.large = is_large(claims[0], cases)
        self.problems: list[dict[str, dict[str, str]]] = []
        for case in self.cases:
            sizes = [math.prod(o.shape(case.dims)) for o in claims[0].operands.values() if not o.static]
            must_fit(
                f"the operands of {claims[0].name} at {case}", sizes, "check it at smaller dims", physical_memory() / 2
            )
        self._values: Any = None  # the program of the function alone
        self._compiled = self._compile(self._trace)

    def _compile(self, function: Callable[[list[Values]], Any]) -> Any:
        """The program of a function of one draw for each case; of several devices, each takes one."""
        draws: Any = [self._arrays(self._draw(case, 0)) for case in self.cases]
        options = cpu_options() if self.device.platform == "cpu" and not self.large else None
        with checking_context(self.device, self.precision, self.strict):
            if len(self.devices) == 1:
                return self._fitting(jax.jit(function).lower(draws).compile(compiler_options=options))
            each = jax.sharding.PartitionSpec("draw")
            mesh = jax.sharding.Mesh(np.array(self.devices), ("draw",))

            def own(stacked: Any) -> Any:  # a device's share is a stack of one draw
                found = function(jax.tree.map(lambda x: x[0], stacked))
                return jax.tree.map(lambda x: jnp.asarray(x)[None], found)

            spread = jax.shard_map(own, mesh=mesh, in_specs=each, out_specs=each, check_vma=False)
            placed = jax.sharding.NamedSharding(mesh, each)
            program = jax.jit(spread, in_shardings=placed, out_shardings=placed)
            lowered = program.lower(_stacked([draws] * len(self.devices)))
            return self._fitting(lowered.compile(compiler_options=options))

    def _fitting(self, compiled: Any) -> Any:
        """The program, unless a CPU lacks the memory for it: XLA would abort the process.  Raises TooLarge."""
        memory = compiled.memory_analysis() if self.device.platform == "cpu" else None
        if memory is not None:
            needed = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
            if needed > physical_memory():
                there = f"{physical_memory() / 2**30:.0f}"
                raise TooLarge(self._too_large(f"{needed / 2**30:,.0f} GiB of memory, and there are {there}"))
        return compiled

    def _too_large(self, what: str) -> str:
        named, dims = self.claims[0].identity.function.__name__, "; ".join(map(str, self.cases))
        return f"{named} at {dims} needs {what}; check it at smaller dims"

    def _draw(self, case: Case, seed: int) -> Values:
        values = draw_operands(self.claims[0].operands, case, seed)
        for claim in self.claims:
            values |= claim.draw_tangents(values, seed)
        return values

    def draws(self, seed: int) -> list[Values]:
        """Operands and tangents for every case."""
        return [self._draw(case, seed) for case in self.cases]

    @staticmethod
    def _arrays(values: Values) -> Values:
        # arithmetic on 0-d arrays leaves NumPy scalars; ints are static operands
        return {name: np.asarray(value) for name, value in values.items() if isinstance(value, np.ndarray | np.generic)}

    def _trace(self, draws: list[Values]) -> list[dict[str, Any]]:
        self.problems = [{} for _ in self.cases]
        rows = []
        for case, arrays, problems in zip(self.cases, draws, self.problems, strict=True):
            function = self.claims[0].identity.function
            plain = {n: arrays[n] for n in self.claims[0].operands if n in arrays}
            try:
                row: dict[str, Any] = {"value": function(**plain, **case.counts)}
            except Exception as error:
                raise NotEvaluated(f"{function.__name__} cannot be evaluated: {_first_line(error)}") from error
            for claim in self.claims:
                row[claim.name] = self._sides(claim, arrays, case, problems.setdefault(claim.name, {}))
            rows.append(row)
        return rows

    def _sides(self, claim: Claim, arrays: Values, case: Case, problems: dict[str, str]) -> dict[str, Any]:
        names = [n for n in (*claim.operands, *claim.tangents) if n in arrays]
        sides: dict[str, Any] = {}
        # a side that cannot be traced is a finding about the claim, not the end of the run
        try:
            sides["reference"] = claim.reference_function(**{n: arrays[n] for n in names}, **case.counts)
        except Exception as error:
            problems["reference"] = _first_line(error)
        for dtype, tier in self.tiers.items():
            cast = {n: arrays[n].astype(_matching(arrays[n].dtype, dtype)) for n in names}
            try:
                result = claim.function(**cast, **case.counts)
                if hasattr(result, "todense"):
                    # a general array: the operand itself may have a structure that hides an error
                    last, rng = cast[claim.wrt[-1]], np.random.default_rng(0)
                    general = rng.standard_normal(last.shape)
                    if jnp.iscomplexobj(last):
                        general = general + 1j * rng.standard_normal(last.shape)
                    probe = jnp.asarray(general, last.dtype)
                    sides[f"{tier} matvec"] = (
                        result.matvec(probe),
                        jnp.tensordot(result.todense(), probe, probe.ndim),
                    )
                    result = result.todense()
                if isinstance(result, int | float | complex):  # a constant has no precision of its own
                    result = jnp.asarray(result, _matching(np.asarray(result).dtype, dtype))
                sides[tier] = result = jnp.asarray(result)
            except Exception as error:
                problems[tier] = _first_line(error)
                continue
            wanted = _matching(result.dtype, dtype)
            if result.dtype != wanted:
                problems[tier] = (
                    f"it returned {result.dtype.name} for {tier} operands (is an array made without dtype= inside?)"
                )
        return sides

    def run(self, draws: Sequence[Values]) -> list[Row]:
        """Both sides of every claim at one draw for each case.  Raises NotEvaluated where a callback in it raises."""
        return next(self.run_many([draws]))

    def run_many(self, many: Sequence[Sequence[Values]]) -> Iterator[list[Row]]:
        """`run` for each of many draws, spread over the devices."""
        for rows in self._call(self._compiled, many):
            yield [self._row(row, problems) for row, problems in zip(rows, self.problems, strict=True)]

    def values(self, many: Sequence[Sequence[Values]]) -> list[list[np.ndarray]]:
        """The function's value alone, for each case of each draw: what differences need.  Raises as `run` does."""
        if not self.large:
            found = self._call(self._compiled, many, lambda rows: [row["value"] for row in rows])
        else:
            if self._values is None:
                self._values = self._compile(self._trace_values)
            found = self._call(self._values, many)
        return [[np.asarray(value) for value in values] for values in found]

    def _trace_values(self, draws: list[Values]) -> list[Any]:
        function, operands = self.claims[0].identity.function, self.claims[0].operands
        named = [{n: arrays[n] for n in operands if n in arrays} for arrays in draws]
        return [function(**plain, **case.counts) for plain, case in zip(named, self.cases, strict=True)]

    def _call(
        self, program: Any, many: Sequence[Sequence[Values]], pick: Callable[[Any], Any] = lambda found: found
    ) -> Iterator[Any]:
        """What a program returns for each draw, or what `pick` takes of it, on the host."""
        arrays = [[self._arrays(values) for values in draws] for draws in many]
        devices = len(self.devices)
        for i in range(0, len(arrays), devices):
            share = arrays[i : i + devices]
            with self._running():
                # every device runs, also where fewer draws are left
                given = share[0] if devices == 1 else _stacked(share + share[:1] * (devices - len(share)))
                found = jax.device_get(pick(program(given)))
            if devices == 1:
                yield found
                continue
            for k in range(len(share)):
                yield jax.tree.map(lambda x, k=k: x[k], found)

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        try:
            with checking_context(self.device, self.precision):
                yield
        except jax.errors.JaxRuntimeError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            if "RESOURCE_EXHAUSTED" in str(error):
                raise TooLarge(self._too_large("more memory than there is")) from error
            if "allback" not in str(error):
                raise
            raised = next((line for line in lines if re.match(r"\w+(\.\w+)*(Error|Exception)\b", line)), lines[0])
            name = self.claims[0].identity.function.__name__
            raise NotEvaluated(f"{name} cannot be evaluated: a callback in it raises {raised.strip()}") from error

    def _row(self, row: dict[str, Any], problems: dict[str, dict[str, str]]) -> Row:
        answers = {}
        for claim in self.claims:
            sides, problem = row[claim.name], dict(problems[claim.name])
            closed: dict[str, np.ndarray] = {}
            for dtype, tier in self.tiers.items():
                if tier in sides:
                    closed[tier] = np.asarray(sides[tier])
                if f"{tier} matvec" in sides:
                    got, dense = (np.asarray(side) for side in sides[f"{tier} matvec"])
                    limit = 1e3 * float(np.finfo(dtype).eps) * float(np.abs(dense).max(initial=1))
                    if got.shape != dense.shape or not np.all(np.abs(got - dense) <= limit):  # NaN fails too
                        problem[tier] = "the operator's matvec disagrees with its todense"
            reference = np.asarray(sides["reference"]) if "reference" in sides else None
            answers[claim.name] = Answer(reference, closed, problem)
        return Row(np.asarray(row["value"]), answers)


def _stacked(draws: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *arrays: np.stack(arrays), *draws)


def _matching(dtype: Any, tier: np.dtype[Any]) -> np.dtype[Any]:
    """The tier's dtype, or the complex one of the same precision for complex arrays."""
    if np.dtype(dtype).kind == "c":
        return np.dtype(np.complex128 if tier.itemsize == 8 else np.complex64)
    return tier


def _first_line(error: Exception) -> str:
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return f"JAX cannot trace it{their_line(error)} (write it with jax.numpy in place of numpy)"
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}{their_line(error)}"
