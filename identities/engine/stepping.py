"""Differences at operands that a caller gave: the step that suits a function of which nothing is known.

Steps of 3e-4 of the operand's size and six smaller ones, each a sixteenth of the one before, are always taken, and
larger ones where these do not resolve.  A step is believed only where all smaller ones agree with it within their
errors: beyond a pole or a kink a large step can look smooth.  How well the function itself is evaluated is read off
the values of each step: what is left of them when a polynomial of degree four is taken away.

A kink or a jump at the very point shows at every step (`bend`).  Where the function is analytic, the complex step
gives the derivative up to rounding (`complex_step`).
"""

from __future__ import annotations

import dataclasses
import re
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from identities.engine.witness import Differences, Probe, Values

SMALLER = tuple(16.0**-k for k in range(7))
LARGER = (16.0, 256.0, 2048.0)
SECOND = (16.0, 4.0, 1.0, 0.25, 0.0625)  # for second derivatives, whose rounding grows with the square
SLOW = 0.1  # seconds of one evaluation beyond which fewer steps are taken
COMPLEX_STEP = 1e-30
# With these alone a function of complex operands is analytic; abs, real, conj, sign, eigh and their like are not here
ANALYTIC = frozenset(
    re.findall(
        r"[\w]+",
        """
        add add_any sub mul div neg exp exp2 log log1p expm1 sin cos tan sinh cosh tanh asin acos atan asinh
        acosh atanh logistic sqrt rsqrt pow integer_pow square dot_general transpose reshape broadcast_in_dim
        reduce_sum cumsum reduce_prod concatenate slice dynamic_slice gather squeeze expand_dims
        convert_element_type copy iota rev pad lu lu_pivots_to_permutation triangular_solve custom_linear_solve
        linear_solve jit pjit closed_call custom_jvp_call custom_vjp_call stop_gradient split
        dynamic_update_slice scatter
        """,
    )
)

Point = tuple[int, int]
Evaluate = Callable[[Mapping[str, Any]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Walk:
    """What a walk over the steps found: the best differences, and a kink or a jump at the very point ("")."""

    found: Differences
    bend: str


class Stepping:
    """The steps of one probe, each evaluated when it is asked for."""

    def __init__(self, probe: Probe, evaluate: Evaluate, grain: float = 0.0):
        self.probe, self.grain, self.evaluate = probe, grain, evaluate
        self.taken: dict[float, dict[Point, np.ndarray]] = {}
        started = time.perf_counter()
        self.middle = evaluate(dict(probe.values))
        self.slow = time.perf_counter() - started > SLOW

    def values(self, stride: float) -> dict[Point, np.ndarray]:
        """The function at the points of one step."""
        if stride not in self.taken:
            probe = dataclasses.replace(self.probe, stride=stride)
            with np.errstate(all="ignore"):  # a step may leave the domain of f
                self.taken[stride] = {point: self.evaluate(probe.shifted(point)) for point in probe.points}
        return self.taken[stride]

    def differences(self, stride: float) -> Differences:
        """The differences of one step, with an infinite error where they tell nothing."""
        probe = dataclasses.replace(self.probe, stride=stride)
        values, noise = self.values(stride), 0.0
        if self.probe.claim.kind != "hessian":
            # how well f is evaluated, read off its values; the next step guards against a lucky one
            near = [s for s in (stride, stride / 16) if s in self.taken]
            noise = max(roughness(self.taken[s]) for s in near)
        with np.errstate(all="ignore"):
            found = probe.differences(values, self.grain, noise)
        blind = not np.all(np.isfinite(found.value)) or not np.isfinite(found.error) or self._stands_still(stride)
        return dataclasses.replace(found, error=float("inf")) if blind else found

    def _stands_still(self, stride: float) -> bool:
        """Whether f is constant over this step and not over a larger one: rounded off, or flat beside a cliff."""

        def moves(s: float) -> bool:
            return any(np.any(v != self.middle) for v in self.taken[s].values())

        return not moves(stride) and any(moves(s) for s in self.taken if s > stride)

    def walk(self) -> Walk:
        """Take the steps, and choose the one to believe."""
        if self.probe.claim.kind == "hessian":
            first = dataclasses.replace(self.probe.claim, kind="gradient", wrt=self.probe.claim.wrt[:1])
            bend = Stepping(dataclasses.replace(self.probe, claim=first), self.evaluate, self.grain).bend()
            return Walk(self._best({s: self.differences(s) for s in SECOND}), bend)
        small = SMALLER[:3] if self.slow else SMALLER
        for stride in small:
            self.values(stride)
        rungs = {s: self.differences(s) for s in small}
        best = self._best(rungs)
        size = max((float(np.abs(v).max(initial=0.0)) for v in self.probe.values.values() if np.size(v)), default=1.0)
        larger = (*LARGER, *(s / size for s in (1.0, 1 / 16, 16.0) if 0 < size < 1e-2))  # tiny operands: absolute steps
        for stride in larger if not self.slow else larger[:1]:
            if best.error <= 1e-9 * float(np.abs(best.value).max(initial=0.0)):
                break
            rungs[stride] = self.differences(stride)
            best = self._best(rungs)
        return Walk(dataclasses.replace(best, scale=self._variation()), self.bend())

    @staticmethod
    def _best(rungs: Mapping[float, Differences]) -> Differences:
        """The smallest error among the steps with which all smaller ones agree."""
        order = sorted(rungs, reverse=True)

        def believed(at: int) -> bool:
            mine = rungs[order[at]]
            return all(
                np.all(np.abs(mine.value - other.value) <= 10 * (mine.error + other.error))
                for other in (rungs[s] for s in order[at + 1 :])
                if np.isfinite(other.error)
            )

        with np.errstate(all="ignore"):
            good = [rungs[s] for at, s in enumerate(order) if np.isfinite(rungs[s].error) and believed(at)]
        if not good:
            some = rungs[order[0]]
            return dataclasses.replace(some, value=np.zeros_like(some.value), error=float("inf"))
        return min(good, key=lambda d: d.error)

    def _variation(self) -> float:
        """How fast the function moves within the first step: what a derivative that is zero is held against."""
        f, (a, _) = self.values(1.0), self.probe.steps
        with np.errstate(all="ignore"):
            moved = max(float(np.abs(f[k, 0] - self.middle).max(initial=0.0)) for k in (-1, 1))
            rounded = 4 * max(float(np.finfo(float).eps), self.grain) * float(np.abs(self.middle).max(initial=0.0))
        return (moved - rounded) / a if np.isfinite(moved) and moved > rounded else 0.0

    def bend(self) -> str:
        """ "kink" or "jump" where the function has one at the very point; else "".

        f(h) + f(-h) - 2 f(0) shrinks like h at a kink and like h^2 elsewhere.  At a jump, f(h) and f(-h) have limits
        that are not one.
        """
        seen = SMALLER[:3] if self.slow else SMALLER[0:5:2]
        eps = max(float(np.finfo(float).eps), self.grain)
        rates, gaps, sides = [], [], []
        with np.errstate(all="ignore"):
            dust = roughness(self.values(SMALLER[2 if self.slow else -1]))
            for stride in seen:
                f, a = self.values(stride), dataclasses.replace(self.probe, stride=stride).steps[0]
                size = max(float(np.abs(v).max(initial=0.0)) for v in f.values())
                second = np.abs(f[1, 0] + f[-1, 0] - 2 * self.middle)
                rates.append(np.where(second > 30 * max(eps * size, dust), second / a, 0.0))
                gap = np.abs(np.array([f[1, 0] - f[-1, 0], f[1, 0] - self.middle, f[-1, 0] - self.middle])).max(axis=0)
                gaps.append(np.where(gap > 30 * eps * size, gap, 0.0))
                sides.append(np.array([f[-1, 0], f[1, 0]]))
            still = np.abs(sides[-1] - sides[-2]).max(axis=0) <= 0.01 * gaps[-1]
            still &= gaps[-1] <= 10 * np.abs(sides[-1]).max(axis=0)  # no spike, as close to a pole
        if not all(np.all(np.isfinite(v)) for v in (*rates, *gaps, *sides)):
            return ""
        steady = np.abs(gaps[-2] - gaps[-1]) <= 0.1 * gaps[-1]  # the stairs of float32 inside f are not
        if np.any((gaps[-1] > 0) & steady & still):
            return "jump"
        high, low = np.max(rates, axis=0), np.min(rates, axis=0)
        return "kink" if np.any((high > 0) & (low > 0.5 * high)) else ""


def roughness(f: Mapping[Point, np.ndarray]) -> float:
    """The scatter of the values along the line, once a polynomial of degree four is taken away."""
    line = sorted(k for k, other in f if other == 0)
    weights = np.array([1 / np.prod([float(i - j) for j in line if j != i]) for i in line])
    with np.errstate(all="ignore"):
        left = sum(w * f[k, 0] for w, k in zip(weights, line, strict=True)) / np.sqrt(np.sum(weights**2))
    size = float(np.abs(left).max(initial=0.0))
    return size if np.isfinite(size) else 0.0


def complex_step(probe: Probe, function: Callable[..., Any], found: Differences) -> Differences | None:
    """The derivative as Im f(x + ihd) / h; None where f is not shown to be analytic.

    `function` takes complex operands by name.  Where the differences resolve, the complex step must agree with them
    within their error; where they do not, every operation of f must be known to be analytic.  Its own error is read
    off its change under perturbations of the operands as small as their rounding.
    """
    if probe.claim.kind not in ("gradient", "jacobian", "differential") or probe.claim.wirtinger:
        return None
    counts = {name: value for name, value in probe.values.items() if isinstance(value, int)}
    names = [n for n in probe.claim.operands if n not in counts]
    moved = {name: np.asarray(probe.values[name]) for name in names}
    if any(value.dtype.kind == "c" for value in moved.values()):
        return None

    def at(values: Mapping[str, np.ndarray]) -> np.ndarray | None:
        turned = {n: v + 1j * COMPLEX_STEP * probe.along.get(n, np.zeros(v.shape)) for n, v in values.items()}
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # a function that drops the imaginary part is not analytic
                result = np.asarray(function(**turned, **counts))
        except Exception:  # not every function takes complex operands
            return None
        usable = result.dtype.kind == "c" and result.shape == found.value.shape and np.all(np.isfinite(result))
        return np.imag(result) / COMPLEX_STEP if usable else None

    value = at(moved)
    if value is None:
        return None
    size = float(np.abs(value).max(initial=0.0))
    resolved = found.error <= 1e-6 * float(np.abs(found.value).max(initial=0.0))
    if resolved and not np.all(np.abs(value - found.value) <= 10 * found.error):
        return None  # a part of f that is not analytic, however small
    if not resolved and not _analytic(function, moved, counts):
        return None
    rng = np.random.default_rng(0)
    eps = float(np.finfo(float).eps)
    near = [at({n: v * (1 + eps * rng.standard_normal(v.shape)) for n, v in moved.items()}) for _ in range(3)]
    changes = [float(np.abs(v - value).max(initial=0.0)) if v is not None else float("inf") for v in near]
    return Differences(value, 1e-12 * size + 3 * max(changes), size, "the complex step")


def _analytic(function: Callable[..., Any], operands: Values, counts: Mapping[str, int]) -> bool:
    """Whether every operation of the function, at complex operands, is known to be analytic."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            complex_ones = {n: np.asarray(v, complex) for n, v in operands.items()}
            closed = jax.make_jaxpr(lambda arrays: function(**arrays, **counts))(complex_ones)
    except Exception:  # not every function can be traced
        return False
    return _all_analytic(closed.jaxpr)


def _all_analytic(jaxpr: Any) -> bool:
    for equation in jaxpr.eqns:
        inputs = [v.aval.dtype for v in equation.invars if hasattr(v.aval, "dtype")]
        touched = any(np.dtype(d).kind == "c" for d in inputs if d is not jax.dtypes.float0)
        if touched and equation.primitive.name not in ANALYTIC:
            return False
        if (
            equation.primitive.name == "convert_element_type"
            and touched
            and equation.params["new_dtype"] != np.complex128
        ):
            return False
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns") and not _all_analytic(inner):
                return False
    return True
