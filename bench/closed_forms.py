"""Value and gradient together: autodiff of a function, and the same through `identities.with_closed_form`.

    python -m bench.closed_forms                       the table of docs/closed_forms.md, about three minutes
    python -m bench.closed_forms --n 8 64 --seconds 0.2

Three functions a row: as the book writes it (literal), in the form that an expert would run (computed), both
differentiated by JAX, and with closed forms; each jitted, called in turn, and timed until its result is there.
The ratio is the faster of the first two over the third: above 1 the closed forms win.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

# OpenBLAS reads it once, when it is loaded; on few cores its threads and those of XLA wait for each other.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import jax  # noqa: E402
import numpy as np  # noqa: E402

import identities  # noqa: E402

ROUNDS = 5, 2000  # at least and at most


@dataclasses.dataclass(frozen=True)
class Case:
    """A function, the operands that it is differentiated by, and its dims at size n."""

    label: str
    identity: str
    wrt: tuple[str, ...]
    dims: Callable[[int], dict[str, int]]


CASES = (
    Case("Gaussian log likelihood by m, S", "gauss_loglik", ("m", "S"), lambda n: {"n": 4 * n, "d": n}),
    Case("UV factorization by U, V", "uv", ("U", "V"), lambda n: {"m": n, "n": n, "k": max(n // 8, 1)}),
    Case("tr expm by X", "tr_exp", ("X",), lambda n: {"n": n}),
    Case("logdet by X", "logdet", ("X",), lambda n: {"n": n}),
)


def programs(case: Case, operands: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float]]:
    """The compiled value_and_grad of each of the functions, and how long tracing and compiling took."""
    closed = identities.with_closed_form(case.identity)
    functions: dict[str, Any] = {"literal": closed.identity.function}
    if closed.value is not None:
        functions["computed"] = closed.value.function
    functions["closed"] = closed
    argnums = tuple(list(operands).index(name) for name in case.wrt)
    compiled, seconds = {}, {}
    for key, function in functions.items():
        start = time.perf_counter()
        compiled[key] = jax.jit(jax.value_and_grad(function, argnums)).lower(*operands.values()).compile()
        seconds[key] = time.perf_counter() - start
    return compiled, seconds


def timed(compiled: dict[str, Any], operands: Sequence[Any], seconds: float) -> dict[str, float]:
    """Median seconds of a call of each program; they are called in turn, so that what slows one slows all."""
    times: dict[str, list[float]] = {key: [] for key in compiled}
    for program in compiled.values():
        jax.block_until_ready(program(*operands))
    end = time.perf_counter() + seconds * len(compiled)
    while len(times["closed"]) < ROUNDS[0] or (time.perf_counter() < end and len(times["closed"]) < ROUNDS[1]):
        for key, program in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(program(*operands))
            times[key].append(time.perf_counter() - start)
    return {key: statistics.median(found) for key, found in times.items()}


def row(case: Case, n: int, dtype: str, seconds: float) -> str:
    claim = next(iter(identities.with_closed_form(case.identity).claims[case.wrt[0]]))
    sample = claim.sample(0, dims=case.dims(n), dtype=dtype)
    operands = {name: jax.device_put(np.asarray(sample[name])) for name in claim.operands}
    compiled, compiling = programs(case, operands)
    results = {key: program(*operands.values()) for key, program in compiled.items()}
    reference = results.get("computed", results["literal"])  # a determinant overflows where its logarithm does not
    for a, b in zip(jax.tree.leaves(reference), jax.tree.leaves(results["closed"]), strict=True):
        off = np.max(np.abs(np.asarray(a) - np.asarray(b))) / max(np.max(np.abs(np.asarray(b))), 1e-30)
        if not off < (1e-6 if dtype == "float64" else 1e-1):  # a ratio of two different numbers would say nothing
            raise SystemExit(f"{case.label} at n = {n}, {dtype}: autodiff and the closed form are {off:.1g} apart")
    times = timed(compiled, list(operands.values()), seconds)
    ms = {key: f"{1e3 * times[key]:.3g}" if key in times else "-" for key in ("literal", "computed", "closed")}
    best = min(t for key, t in times.items() if key != "closed")
    if not np.isfinite(np.asarray(results["literal"][0])):
        ms["literal"] += " (overflows)"
    return (
        f"| {case.label} | {n} | {dtype} | {ms['literal']} | {ms['computed']} | {ms['closed']} "
        f"| {best / times['closed']:.2f} | {compiling['literal']:.2f} | {compiling['closed']:.2f} |"
    )


def processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "an unknown processor"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.closed_forms", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--n", type=int, nargs="+", default=[8, 64, 256, 512], help="sizes (default 8 64 256 512)")
    parser.add_argument("--dtype", nargs="+", choices=("float64", "float32"), default=["float64", "float32"])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each program of a row (default 1)")
    asked = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured too
    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices()[0]
    what = processor() if device.platform == "cpu" else device.device_kind
    threads = os.environ["OPENBLAS_NUM_THREADS"]
    print(f"jax {jax.__version__} on {device.platform}: {what}, {os.cpu_count()} cores, OpenBLAS threads {threads}")
    print("milliseconds of value_and_grad, jitted; ratio of the faster autodiff; seconds to trace and compile\n")
    print("| function | n | dtype | literal | computed | closed | ratio | compile literal | compile closed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        for dtype in asked.dtype:
            for n in asked.n:
                print(row(case, n, dtype, asked.seconds), flush=True)


if __name__ == "__main__":
    sys.exit(main())
