"""Accuracy, measured: closed form and autodiff in float64 against fifty digits, from condition number 1 to 1e12.

    python -m trials.accuracy [--only TEXT] [--processes N] [--page]

Which claims: those that hold and whose closed form or reference factorises a matrix (a solve, an inverse, a
determinant, eigenvalues), found in what JAX traces of them.  What is factorised, and the operands that it is made of,
are found there too, and these operands are drawn with a prescribed condition number.  The same float64 operands go to
the closed form, to autodiff and to `trials.digits`, which does the closed form again with 120 digits: the truth.  That
this is the truth is seen from autodiff's own program, done again with 120 digits: the two must agree.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trials.common import DOCS, PLOTS, RESULTS, machine, read_json, say_machine, write

SIZE, LONGER = 6, 8  # every dim, and the longer side of a matrix that must not be square
KAPPAS = tuple(10.0**k for k in range(13))
SIDES = ("closed", "autodiff")
SHOWN = (0, 6, 12)  # the condition numbers in the table, as powers of ten
DRAWS = 5
DIGITS = 120  # carried; a loss of the fourth power of the largest condition number leaves 72
WANTED = 50  # digits in which closed form and autodiff must agree
EPS = float(np.finfo(np.float64).eps)
LOST = 1 / EPS  # an error as large as the result, in eps: no digit is right
FLOOR = 4.0  # smaller errors, in eps, are all the same in a ratio: both sides are right
ALIKE, WORSE = 3.0, 10.0
LARGEST = 2.0  # the largest singular value of a draw


class NoDraw(ValueError):
    """There is no draw of this kind with this condition number; the message says why."""


# Draws with a prescribed condition number


def spectrum(r: int, kappa: float) -> np.ndarray:
    """r numbers from 2 down to 2/kappa, evenly spaced in the logarithm.

    The largest is 2 at every kappa, so that an exponential stays finite and ln det is not near zero, which no formula
    has to many digits.
    """
    return LARGEST * kappa ** -np.linspace(0, 1, r)


def conditioned(word: Any, rng: np.random.Generator, shape: tuple[int, ...], kappa: float) -> np.ndarray:
    """A general draw of a word whose largest singular value is kappa times its smallest.  Raises NoDraw."""
    from identities.engine import operands as words

    name = getattr(word, "__name__", "")
    r = min(shape)
    values = spectrum(r, kappa)
    if words.is_complex(word):
        u, v = (np.linalg.qr(words.complex_gaussian(rng, (n, r)))[0] for n in shape)
        return (u * values) @ v.conj().T
    if name in ("PosDef", "Symmetric", "SymmetricInvertible", "SymmetricPositiveDeterminant"):
        # two of six are negative: a positive determinant, and no trace of an odd function that is zero
        q, signs = words.orthonormal(rng, *shape), rng.permutation(np.where(np.arange(r) < r // 6 * 2, -1.0, 1.0))
        a = (q * (values if name == "PosDef" else values * signs)) @ q.T
        return (a + a.T) / 2
    if name == "DistinctEigenvalues":
        if kappa == 1:
            raise NoDraw("more than two distinct eigenvalues cannot all be of one size")
        columns = rng.standard_normal(shape)
        columns[:, 0] = rng.uniform(0.5, 1.0, r) * rng.choice([-1.0, 1.0], r)
        rows = np.linalg.qr(columns)[0].T  # as the word draws them: no first entry of an eigenvector is near zero
        a = (rows * (values * rng.choice([-1.0, 1.0], r))) @ rows.T
        return (a + a.T) / 2
    if name == "Positive":
        if kappa == 1:
            raise NoDraw("a matrix of positive entries is no multiple of an orthogonal one")
        # one positive outer product, and singular values so small that every entry stays positive
        u, v = (np.linalg.qr(np.c_[rng.uniform(0.95, 1.05, n), rng.standard_normal((n, r - 1))])[0] for n in shape)
        u[:, 0], v[:, 0] = np.abs(u[:, 0]), np.abs(v[:, 0])
        low = LARGEST / kappa
        values[1:] = np.geomspace(max(LARGEST / 10, low), low, r - 1)
        return (u * values) @ v.T
    if name in ("Float", "Invertible", "PositiveDeterminant", "FullRank"):
        u, v = words.orthonormal(rng, shape[0], r), words.orthonormal(rng, shape[1], r)
        a = (u * values) @ v.T
        if name == "PositiveDeterminant":
            a[0] *= np.linalg.slogdet(a)[0]
        return a
    raise NoDraw(f"there is no draw of {name} with a prescribed condition number")


RANKED = (
    "DistinctEigenvalues",
    "FullRank",
    "Invertible",
    "PosDef",
    "PositiveDeterminant",
    "SymmetricInvertible",
    "SymmetricPositiveDeterminant",
)


@dataclasses.dataclass(frozen=True)
class Knob:
    """Which operands get the condition number.

    "operand": each of `names` has it.  "sum": the matrix that is factorised has it, and the operand `names` is set so.
    "ridge": the first of `names` has it, and the second, a penalty, is the square of its smallest singular value.
    """

    kind: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        if self.kind == "sum":
            return f"the matrix factorised, through {self.names[0]}"
        if self.kind == "ridge":
            return f"{self.names[0]}, and {self.names[1]} its least singular value squared"
        return " and ".join(self.names)


class _Seen(Exception):
    """The matrix has been seen; the rest need not be computed."""


class Subject:
    """One claim on trial: both sides in float64 and with digits, and the draws.

    `factorises` is false where neither side factorises anything.  Raises NoDraw where the condition number of what is
    factorised is not ours to choose.
    """

    def __init__(self, claim: Any):
        from identities.engine.shapes import Case
        from trials.digits import Digits, factorised

        self.claim = claim
        ranges = {o.name: o.word for o in claim.operands.values() if o.static}
        counts = {name: min(max(2, word.low), word.high) for name, word in ranges.items()}
        self.case = Case(sizes(claim), counts, "asked")
        self.kept: dict[int, Any] = {}  # by seed, how the factorised matrix depends on the knob
        self.gradient: Callable[[dict[str, Any]], np.ndarray] | None = None  # stands for autodiff's program
        example = {n: np.asarray(v) for n, v in claim.draw(self.case, 0).items() if n not in counts}
        self.names = list(example)
        sides = self.sides()
        self.closed, self.autodiff = (Digits(f, **example) for f in sides)
        self.made_of = [[f.operands & set(claim.operands) for f in factorised(p)] for p in (self.closed, self.autodiff)]
        self.factorises = any(self.made_of)
        if self.factorises:
            self.parts = frozenset().union(*itertools.chain(*self.made_of))
            self.knob = self.find_knob()
            self.compiled = self.compile(sides, example)

    def sides(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The closed form and autodiff as functions of the arrays."""
        counts, claim = self.case.counts, self.claim

        def closed(**arrays: Any) -> Any:
            result = claim.function(**arrays, **counts)
            return result.todense() if hasattr(result, "todense") else result

        def autodiff(**arrays: Any) -> Any:
            return claim.reference_function(**arrays, **counts)

        return closed, autodiff

    def compile(self, sides: Sequence[Callable[..., Any]], example: dict[str, Any]) -> Any:
        import jax

        from identities.engine.program import cpu_options

        def both(arrays: dict[str, Any]) -> list[Any]:
            return [side(**arrays) for side in sides]

        return jax.jit(both).lower(example).compile(compiler_options=cpu_options())

    # which operand

    def find_knob(self) -> Knob:
        operands = {n: o for n, o in self.claim.operands.items() if n in self.parts}
        ranked = tuple(n for n, o in operands.items() if getattr(o.word, "__name__", "") in RANKED)
        matrices = tuple(n for n, o in operands.items() if len(o.dims) == 2)
        if ranked:
            return Knob("operand", ranked)
        if len(matrices) == 1:
            penalties = [n for n, o in operands.items() if not o.dims and getattr(o.word, "__name__", "") == "Positive"]
            return Knob("ridge", (matrices[0], penalties[0])) if penalties else Knob("operand", matrices)
        best, kept = 0.0, None
        values = self.others(0)
        for name in matrices:
            found = self.linear(name, values)
            if found is not None and found[2] > best * 1.001:
                best, kept = found[2], name
        if kept is None or best < 1e-3:
            raise NoDraw(f"what is factorised is no linear function of any one of {', '.join(matrices)}")
        return Knob("sum", (kept,))

    def matrix(self, values: dict[str, Any]) -> np.ndarray:
        """The first matrix that the closed form (or else autodiff) factorises, in float64."""
        from trials.digits import working

        program = self.closed if self.made_of[0] else self.autodiff
        seen: list[np.ndarray] = []

        def watch(name: str, matrix: np.ndarray) -> None:
            seen.append(matrix.reshape(-1, *matrix.shape[-2:])[0])
            raise _Seen

        program.watch = watch
        try:
            with working(30):
                program(**values)
        except _Seen:
            pass
        finally:
            program.watch = None
        return seen[0].astype(np.float64)

    def linear(self, name: str, values: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, float] | None:
        """The factorised matrix M as M0 + L(Z) of the operand Z: M0, L and how far L is from singular; None if not."""
        zero = np.zeros_like(values[name])

        def at(z: np.ndarray) -> np.ndarray:
            return self.matrix(values | {name: z})

        start = at(zero)
        columns = []
        for index in np.ndindex(zero.shape):
            unit = zero.copy()
            unit[index] = 1.0
            columns.append((at(unit) - start).ravel())
        slope = np.array(columns).T
        if not np.allclose(start.ravel() + slope @ values[name].ravel(), at(values[name]).ravel(), atol=1e-9):
            return None
        s = np.linalg.svd(slope, compute_uv=False)
        return start, slope, float(s[-1] / s[0]) if len(s) == start.size and s[0] else 0.0

    # draws

    def others(self, seed: int) -> dict[str, Any]:
        """Operands and tangents at one seed; what is multiplied into the factorised matrix is well conditioned."""
        from identities.engine import operands as words
        from identities.engine.shapes import draw_operands, stream

        values = draw_operands(self.claim.operands, self.case, seed)
        for name, operand in self.claim.operands.items():
            shape, word = operand.shape(self.case.dims), getattr(operand.word, "__name__", "")
            if name not in self.parts or len(shape) != 2:
                continue
            rng = stream(name, seed)
            if word == "Symmetric":
                values[name] = words.PosDef.sample(rng, shape)
            elif word == "Float":
                square = shape[0] == shape[1]
                values[name] = (words.Definite if square else words.FullRank).sample(rng, shape)
        values |= self.claim.draw_tangents(values, seed)
        return {n: np.asarray(values[n]) for n in self.names}

    def draw(self, kappa: float, seed: int) -> dict[str, Any]:
        """The operands, and tangents, of one draw.  Raises NoDraw."""
        from identities.engine.shapes import stream

        values = self.others(seed)

        def word(name: str) -> Any:
            return self.claim.operands[name].word

        if self.knob.kind == "sum":
            name = self.knob.names[0]
            start, slope, _ = self.linear_at(seed)
            wanted = conditioned(word(name), stream("accuracy", seed), start.shape, kappa)
            z = np.linalg.lstsq(slope, (wanted - start).ravel(), rcond=None)[0].reshape(values[name].shape)
            values[name] = (z + z.T) / 2 if word(name).__name__ == "Symmetric" else z
            return values
        for name in self.knob.names[:1] if self.knob.kind == "ridge" else self.knob.names:
            values[name] = conditioned(word(name), stream(f"accuracy {name}", seed), values[name].shape, kappa)
        if self.knob.kind == "ridge":
            values[self.knob.names[1]] = np.asarray((LARGEST / kappa) ** 2)
        return values

    def linear_at(self, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        """`linear` of the knob, kept by seed: the other operands are the same at every condition number."""
        if seed not in self.kept:
            self.kept[seed] = self.linear(self.knob.names[0], self.others(seed))
        return self.kept[seed]

    # both sides

    def measure(self, values: dict[str, Any], confirm: bool) -> tuple[float, float, float]:
        """The errors of closed form and autodiff in eps, and the digits in which the two agree (NaN: not asked)."""
        import jax
        from mpmath import mp

        from trials.digits import working

        got = [np.asarray(g) for g in jax.device_get(self.compiled(values))]
        with working(DIGITS):
            truth = self.closed(**values)
            errors = [min(float(distance(g, truth) / EPS), LOST) if np.all(np.isfinite(g)) else LOST for g in got]
            agree = math.nan
            if confirm:
                gap = distance(self.second(values), truth)
                agree = float(-mp.log10(gap)) if gap else float(DIGITS)
        return errors[0], errors[1], agree

    def second(self, values: dict[str, Any]) -> np.ndarray:
        """The same by autodiff's program; by differences of the function itself where that cannot be interpreted."""
        from trials.digits import Unknown

        if self.gradient is None:
            try:
                return self.autodiff(**values)
            except Unknown:
                if self.claim.kind != "gradient" or self.claim.structure:
                    raise
                self.gradient = self.differences(values)
        return self.gradient(values)

    def differences(self, example: dict[str, Any]) -> Callable[[dict[str, Any]], np.ndarray]:
        """The gradient by central differences of step 1e-30: with 120 digits they are good to 59."""
        from mpmath import mp

        from trials.digits import Digits, exact

        counts, name = self.case.counts, self.claim.wrt[0]
        plain = [n for n in self.names if n in self.claim.operands]
        function = Digits(lambda **a: self.claim.identity.function(**a, **counts), **{n: example[n] for n in plain})

        def gradient(values: dict[str, Any]) -> np.ndarray:
            found = np.empty(values[name].shape, object)
            arrays = {n: exact(values[n]) for n in plain}
            h = mp.mpf(10) ** -30
            for index in np.ndindex(found.shape):
                ends = []
                for step in (h, -h):
                    moved = arrays[name].copy()
                    moved[index] = moved[index] + step
                    ends.append(function(**arrays | {name: moved})[()])
                found[index] = (ends[0] - ends[1]) / (2 * h)
            return found

        return gradient

    def powers(self, kappa: float = 1e4) -> list[int | None]:
        """The condition number of what each side factorises, as a power of kappa; None where it factorises nothing."""
        from trials.digits import Unknown, working

        found: list[int | None] = []
        values = self.draw(kappa, 0)
        for program in (self.closed, self.autodiff):
            seen: list[float] = []

            def watch(name: str, matrix: np.ndarray, seen: list[float] = seen) -> None:
                if name != "triangular_solve":
                    kind = complex if any(type(x).__name__ == "mpc" for x in matrix.ravel()) else float
                    flat = matrix.reshape(-1, *matrix.shape[-2:]).astype(kind)
                    seen.extend(float(np.linalg.cond(m)) for m in flat)

            program.watch = watch
            try:
                with working(DIGITS):
                    program(**values)
            except Unknown:
                pass
            finally:
                program.watch = None
            found.append(round(math.log(max(seen)) / math.log(kappa)) if seen else None)
        return found


def distance(got: np.ndarray, truth: np.ndarray) -> Any:
    """The largest error over the largest entry of the truth, as an mpmath number."""
    from mpmath import mp

    from trials.digits import exact

    got = got if got.dtype == object else exact(got)
    size = max((abs(t) for t in truth.ravel()), default=mp.mpf(0))
    gap = max((abs(g - t) for g, t in zip(got.ravel(), truth.ravel(), strict=True)), default=mp.mpf(0))
    return gap / size if size else (mp.inf if gap else mp.mpf(0))


def sizes(claim: Any) -> dict[str, int]:
    """Every dim 6; where the claim's condition lets one side be longer, that side is 8."""
    from identities.engine.shapes import condition

    admissible, letters = condition(claim.where, claim.name), claim.dims
    free = [n for n in letters if claim.where and n in set(claim.where.split())]
    best: dict[str, int] | None = None
    for choice in itertools.product((SIZE, LONGER), repeat=len(free)):
        dims = dict.fromkeys(letters, SIZE) | dict(zip(free, choice, strict=True))
        fits = admissible(dims) and (not free or SIZE in choice)
        if fits and (best is None or sum(dims.values()) > sum(best.values())):
            best = dims
    if best is None:
        raise NoDraw(f"no dims of {SIZE} and {LONGER} satisfy {claim.where}")
    return best


# A run


def try_claim(name: str, kappas: Sequence[float] = KAPPAS, draws: int = DRAWS, claim: Any = None) -> dict[str, Any]:
    """One row of the result; {} for a claim that factorises nothing."""
    import identities
    from identities.engine.program import checking_context, find_device
    from trials.digits import Unknown

    claim = identities.claim(name) if claim is None else claim
    row: dict[str, Any] = {"claim": claim.name, "chapter": claim.chapter, "kind": claim.kind}
    with checking_context(find_device(None)):
        try:
            subject = Subject(claim)
            if not subject.factorises:
                return {}
            row |= {"kappa of": str(subject.knob), "factorises": subject.powers()}
        except (NoDraw, Unknown) as error:
            return row | {"left out": str(error)}
        columns: dict[str, list[Any]] = {
            k: [] for k in ("closed", "autodiff", "ratio", "closed worst", "autodiff worst")
        }
        digits: list[float] = []
        for index, kappa in enumerate(kappas):
            errors = []
            try:
                for seed in range(draws):
                    slow = subject.gradient is not None and index % 6
                    *pair, agree = subject.measure(subject.draw(kappa, seed), seed == 0 and not slow)
                    errors.append(pair)
                    digits += [] if math.isnan(agree) else [agree]
            except NoDraw as error:
                row["no draw"] = f"{kappa:g}: {error}"
                for column in columns.values():
                    column.append(None)
                continue
            except Unknown as error:
                return row | {"left out": str(error)}
            closed, autodiff = np.array(errors).T
            ratios = np.maximum(closed, FLOOR) / np.maximum(autodiff, FLOOR)
            columns["closed"].append(brief(np.median(closed)))
            columns["autodiff"].append(brief(np.median(autodiff)))
            columns["ratio"].append(brief(np.median(ratios)))
            columns["closed worst"].append(brief(closed.max()))
            columns["autodiff worst"].append(brief(autodiff.max()))
    second = "autodiff" if subject.gradient is None else "differences"
    return row | columns | {"digits": math.floor(min(digits)), "confirmed by": second}


def brief(x: float) -> float:
    return float(f"{x:.3g}")


def try_claims(names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of some claims, in a process of its own."""
    import jax

    found = [try_claim(name) for name in names]
    jax.clear_caches()
    return found


def run(only: str, processes: int) -> dict[str, Any]:
    """All claims, in several processes."""
    import rich.progress

    import identities

    started = time.perf_counter()
    names = [n for n, c in identities.catalogue().items() if c.status == "holds" and only in n]
    if not names:
        raise ValueError(f"no claim that holds has {only!r} in its name")
    batches = [names[i : i + 12] for i in range(0, len(names), 12)]
    rows: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, mp_context=context)
    with pool, rich.progress.Progress(transient=True) as progress:
        task = progress.add_task("accuracy", total=len(batches))
        for done in concurrent.futures.as_completed([pool.submit(try_claims, batch) for batch in batches]):
            rows += done.result()
            progress.advance(task)
    rows = [row for row in rows if row]
    rows.sort(key=lambda row: names.index(row["claim"]))
    return {
        "machine": machine() | {"mpmath": mpmath_version()},
        "command": "make accuracy",
        "seconds": round(time.perf_counter() - started, 1),
        "claims that hold": len(names),
        "size": SIZE,
        "draws": DRAWS,
        "digits": DIGITS,
        "kappas": list(KAPPAS),
        "claims": rows,
    }


def mpmath_version() -> str:
    import mpmath

    return str(mpmath.__version__)


def dump(result: dict[str, Any], path: pathlib.Path) -> None:
    """Write a result, one line a claim."""
    head = json.dumps({k: v for k, v in result.items() if k != "claims"}, indent=1, ensure_ascii=False)
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in result["claims"])
    write(path, head.removesuffix("\n}") + ',\n "claims": [\n' + rows + "\n ]\n}\n")


# What was found


def measured(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in result["claims"] if "left out" not in row]


def mean_ratio(row: dict[str, Any]) -> float:
    """The closed form's error over autodiff's: the geometric mean over all condition numbers."""
    return math.exp(float(np.mean([math.log(r) for r in row["ratio"] if r is not None])))


def largest(row: dict[str, Any], sign: int) -> tuple[float, int]:
    """The largest ratio for one side (1: the closed form's error over autodiff's) and the power of ten where it is.

    It counts no more than at one of the neighbours, so that a few unlucky draws at one kappa do not name a claim.
    """
    known = [(k, r**sign) for k, r in enumerate(row["ratio"]) if r is not None]
    ratios = [r for _, r in known]
    near = [max(ratios[max(i - 1, 0) : i] + ratios[i + 1 : i + 2], default=ratios[i]) for i in range(len(ratios))]
    return max((min(r, other), k) for (k, r), other in zip(known, near, strict=True))


def worse(row: dict[str, Any]) -> str:
    """Which side is the worse one: "closed form", "autodiff" or "alike"."""
    ratio = mean_ratio(row)
    return "closed form" if ratio > ALIKE else "autodiff" if ratio < 1 / ALIKE else "alike"


def slope(errors: Sequence[float | None]) -> float | None:
    """The power of kappa by which an error grows, where it is above rounding and below the result itself."""
    points = [(k, math.log10(e)) for k, e in enumerate(errors) if e is not None and 2 * FLOOR < e < 0.01 * LOST]
    if len(points) < 3:
        return None
    return float(np.polyfit(*zip(*points, strict=True), 1)[0])


def say(error: float | None) -> str:
    """An error in eps, for a table."""
    if error is None:
        return "–"
    if error >= LOST * 0.9:
        return "lost"
    return f"{error:.2g}" if error < 100 else f"{error:.0e}".replace("e+0", "e").replace("e+", "e")


def say_factor(x: float) -> str:
    return f"{x:.2g}" if x < 100 else f"{x:.0e}".replace("e+0", "e").replace("e+", "e")


def say_power(power: int | None) -> str:
    return "none" if power is None else {0: "1", 1: "κ"}.get(power, f"κ^{power}")


def plot(result: dict[str, Any], path: pathlib.Path) -> None:
    """Error against condition number over all claims, and claim by claim at 1e6."""
    from trials.common import figure, save

    figure_, axes = figure(9.6, 4.4)
    axes.remove()
    left, right = figure_.subplots(1, 2)
    rows, kappas = measured(result), np.array(result["kappas"])
    colours = {"closed form": "#1f6f8b", "autodiff": "#d1772d", "alike": "#777777"}

    def quantiles(side: str) -> Any:
        errors = np.array([[np.nan if e is None else e for e in row[side]] for row in rows])
        return np.nanquantile(np.maximum(errors, 0.1), [0.1, 0.5, 0.9], axis=0)

    low, middle, high = quantiles("closed")
    left.fill_between(kappas, low, high, color=colours["closed form"], alpha=0.18, lw=0)
    left.plot(kappas, middle, "o-", color=colours["closed form"], label="closed form", lw=1.8, ms=3.5)
    low, middle, high = quantiles("autodiff")
    left.plot(kappas, middle, "s--", color=colours["autodiff"], label="autodiff", lw=1.4, ms=2.5)
    for edge in (low, high):
        left.plot(kappas, edge, ":", color=colours["autodiff"], lw=1.2)
    left.plot(kappas, kappas, color="#999999", lw=0.8)
    left.text(3e2, 3e3, "κ eps", color="#777777", ha="right")
    left.axhline(LOST, color="#b3261e", lw=1)
    left.text(1.2, LOST * 1.4, "no digit is right", color="#b3261e", va="bottom")
    left.set(xscale="log", yscale="log", ylim=(0.1, 3e17), xlabel="condition number κ", ylabel="error, in eps")
    left.set_title("median of all claims, and 10 to 90 %", fontsize=10)
    left.legend(frameon=False, loc="lower right")

    at = SHOWN[1]
    shown = [row for row in rows if row["closed"][at] is not None]
    for verdict, label in (("alike", "alike"), ("autodiff", "autodiff worse"), ("closed form", "closed form worse")):
        some = [row for row in shown if worse(row) == verdict]
        x, y = (np.maximum([row[side][at] for row in some], 0.1) for side in ("autodiff", "closed"))
        right.scatter(x, y, s=18, color=colours[verdict], label=f"{label} ({len(some)})", alpha=0.8, lw=0)
        if some and verdict != "alike":
            first = max(some, key=lambda row: abs(math.log(row["ratio"][at])))
            x, y = (max(first[side][at], 0.1) for side in ("autodiff", "closed"))
            offset = (0, 7 if verdict == "closed form" else -13)
            right.annotate(first["claim"], (x, y), offset, textcoords="offset points", ha="center", fontsize=7)
    line = np.array([0.1, LOST])
    right.plot(line, line, color="#999999", lw=0.8)
    right.set(xscale="log", yscale="log", xlim=(0.08, 1e17), ylim=(0.08, 1e17))
    right.set(xlabel="error of autodiff, in eps", ylabel="error of the closed form, in eps")
    right.set_title(f"each claim at κ = 1e{at}", fontsize=10)
    right.legend(frameon=False, loc="upper left")
    save(figure_, path)


def page(result: dict[str, Any]) -> str:
    """The page that tells what a run found."""
    rows = sorted(measured(result), key=lambda row: (-mean_ratio(row), row["claim"]))
    verdicts = collections.Counter(map(worse, rows))
    left_out = [row for row in result["claims"] if "left out" in row]
    by_autodiff = [row for row in rows if row["confirmed by"] == "autodiff"]
    by_differences = [row for row in rows if row["confirmed by"] == "differences"]
    kappas = ", ".join(f"1e{k}" for k in SHOWN)
    lines = [
        "# Accuracy: closed form and autodiff against fifty digits",
        "",
        f"Of {result['claims that hold']} claims that hold, {len(result['claims'])} factorise a matrix in their closed",
        "form or in their function: a solve, an inverse, a determinant, eigenvalues. That is read off what JAX traces.",
        f"{len(rows)} of them are measured here, at n = {result['size']} and condition numbers κ from 1 to 1e12, "
        f"{result['draws']} draws of each.",
        f"Autodiff is the worse one in **{verdicts['autodiff']}**, the closed form in **{verdicts['closed form']}**; "
        f"{verdicts['alike']} are alike.",
        "",
        f"`{result['command']}`: {result['seconds'] / 60:.1f} min; {say_machine(result['machine'])},",
        f"mpmath {result['machine']['mpmath']}.",
        "",
        "![Error in eps against condition number, and claim by claim at 1e6](plots/accuracy.svg)",
        "",
        "## How it is measured",
        "",
        "- The error is the largest absolute error of any entry over the largest entry of the truth, in eps of float64",
        f"  (2.2e-16). NaN, infinity, and an error as large as the result count as {LOST:.1e} eps: *lost*.",
        f"- The truth is the closed form's own program, done with {result['digits']} digits at the same operands",
        "  ([trials/digits.py](../trials/digits.py)). Autodiff's program is done so too, at the first draw of every κ:",
        f"  **the two agree in {min((row['digits'] for row in by_autodiff), default=0)} digits or more in all "
        f"{len(by_autodiff)} claims**, which shows them equal once more.",
    ]
    if by_differences:
        least = min(row["digits"] for row in by_differences)
        lines += [
            f"- For {len(by_differences)} gradients through the matrix exponential this cannot be done: its series",
            "  ends where float64 does. There differences of the function (exponential by mpmath, step 1e-30, κ = 1,",
            f"  1e6 and 1e12) agree with the closed form in {least} digits or more.",
        ]
    lines += [
        "- *Autodiff* of a claim about a derivative is JAX's derivative of the function as the book writes it, with",
        "  its explicit inverses; of a claim about a value it is that function itself.",
        "- κ is the condition number of the operand from which the factorised matrix is made: singular values from 2",
        "  down to 2/κ, evenly spaced in the logarithm, random orthogonal factors, and the declared structure.",
        "  Where the matrix is a sum or a product of several operands, one of them is set so that the matrix itself",
        "  has κ. Operands that are multiplied into it are well conditioned, symmetric ones positive definite, square",
        "  ones definite. In ridge regression the penalty is the square of the least singular value of X.",
        f"- A matrix that may be rectangular is {LONGER} × {SIZE}; all other dims are {SIZE}; an integer operand is 2.",
        "- *Factorised*: the condition number of the worst matrix that the closed form, then autodiff, factorises,",
        "  as a power of κ (at κ = 1e4). *None*: no matrix but a triangular one, or the one in JAX's exponential.",
        "- *Worse, by*: the geometric mean over all κ of the ratio of both errors at the same draws, where an error",
        f"  below {FLOOR:g} eps counts as {FLOOR:g}; within a factor of {ALIKE:g} they are *alike*. *At most*: the "
        "largest median ratio",
        f"  that is reached at two neighbouring κ, where it is above {ALIKE:g}.",
        "- *Slope*: the power of κ by which the error grows, where it is above 8 eps and below 1 % of the result.",
        "",
        "## By what is factorised",
        "",
        "Most of the difference is decided by whether a product is factorised, which raises κ to a power.",
        "",
        f"| closed form | autodiff | claims | median errors at 1e{SHOWN[1]} | autodiff worse | alike "
        "| closed form worse |",
        "|---|---|---:|---|---:|---:|---:|",
    ]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(map(say_power, row["factorises"])), []).append(row)
    for powers, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        counts = collections.Counter(map(worse, group))
        found = [[row[side][SHOWN[1]] for row in group if row[side][SHOWN[1]] is not None] for side in SIDES]
        cells = [*powers, len(group), ", ".join(say(float(np.median(f))) for f in found)]
        cells += [counts[verdict] for verdict in ("autodiff", "alike", "closed form")]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    bad = sorted((row for row in rows if largest(row, 1)[0] > WORSE), key=lambda row: -largest(row, 1)[0])
    lines += ["", f"## Closed forms that are more than {WORSE:g} times worse than autodiff at some κ", ""]
    lines += [
        f"- `{row['claim']}`: {say_factor(largest(row, 1)[0])} times at κ = 1e{largest(row, 1)[1]}, "
        f"{say_factor(mean_ratio(row))} times on the average over κ"
        for row in bad
    ] or ["None."]
    good = sum(largest(row, -1)[0] > WORSE for row in rows)
    lines += [
        "",
        f"Autodiff is more than {WORSE:g} times worse than the closed form at some κ in {good} claims.",
        "",
        "## Every claim, worst closed form first",
        "",
        f"Errors in eps at κ = {kappas}, each the median of {result['draws']} draws, then the slope.",
        "",
        "| claim | κ is that of | factorised | closed form | slope | autodiff | slope | worse, by | at most |",
        "|---|---|---|---|---:|---|---:|---|---|",
    ]
    for row in rows:
        verdict, ratio = worse(row), mean_ratio(row)
        sign = -1 if ratio < 1 else 1
        factor, where = largest(row, sign)
        cells = [
            f"`{row['claim']}`",
            row["kappa of"],
            ", ".join(map(say_power, row["factorises"])),
        ]
        for side in SIDES:
            grows = slope(row[side])
            cells += [", ".join(say(row[side][k]) for k in SHOWN), "" if grows is None else f"{grows:.1f}"]
        cells += [
            "alike" if verdict == "alike" else f"{verdict}, {say_factor(ratio**sign)}",
            f"{say_factor(factor)} at 1e{where}" if factor > ALIKE else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    missing: dict[str, list[str]] = {}
    for row in rows:
        if "no draw" in row:
            missing.setdefault(row["no draw"], []).append(f"`{row['claim']}`")
    lines += ["", "## What is not measured", ""]
    lines += [f"- `{row['claim']}`: {row['left out']}." for row in left_out]
    for why, names in sorted(missing.items()):
        lines += [f"- At κ = {why}:", *(f"  {line}" for line in textwrap.wrap(", ".join(sorted(names)) + ".", 110))]
    lines += [] if left_out or missing else ["Nothing: every claim with a factorisation is above, at every κ."]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.accuracy", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="claims whose name contains TEXT")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: 2")
    parser.add_argument("--page", action="store_true", help="write the page again from the last result")
    options = parser.parse_args(arguments)
    where = RESULTS / "accuracy.json"
    try:
        result = read_json(where) if options.page else run(options.only, options.processes)
    except (ValueError, FileNotFoundError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 2
    rows = measured(result)
    for row in sorted(rows, key=mean_ratio):
        if options.only or (worse(row) == "closed form"):
            at = f"{say_factor(largest(row, 1)[0])} at 1e{largest(row, 1)[1]}"
            print(
                f"{row['claim']:<36} {worse(row):<12} {say_factor(mean_ratio(row)):>7} {at:>14}  {row['digits']} digits"
            )
    for row in result["claims"]:
        if "left out" in row:
            print(f"{row['claim']}: {row['left out']}")
    doubtful = [row["claim"] for row in rows if row["digits"] < WANTED]
    print(
        f"{len(result['claims'])} claims with a factorisation, {len(rows)} measured; the closed form is worse in "
        f"{sum(worse(r) == 'closed form' for r in rows)}, autodiff in {sum(worse(r) == 'autodiff' for r in rows)}; "
        f"they agree in at least {min((r['digits'] for r in rows), default=0)} digits ({result['seconds']:.0f} s)"
    )
    if options.page or not options.only:
        dump(result, where)
        plot(result, PLOTS / "accuracy.svg")
        write(DOCS / "accuracy.md", page(result))
    if doubtful:
        print(f"not equal in {WANTED} digits: {', '.join(doubtful)}", file=sys.stderr)
    return 1 if doubtful else 0


if __name__ == "__main__":
    raise SystemExit(main())
