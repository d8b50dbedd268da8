"""The third witness: central differences, which share nothing with autodiff.

Autodiff can be wrong (`jax.grad` of det at diag(1, 2, 0, 3) is silently zero), so each claim about
a derivative is also held against differences of the function alone, in float64, along one random
direction that stays inside the operands' structure.

First derivatives: four points at h and four at 2h, with h = 3e-4 of the operand's size.  Their
disagreement estimates the error, about 1e-11 of the scale.  Second derivatives: mixed differences
along two directions with h = 3e-3, about 1e-9.  The witness contradicts a claim only beyond ten
times its own error estimate, and it must resolve 1e-6 of the scale to say anything.

A user's function may need another step (`Probe.stride`): see identities.engine.stepping.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from identities.engine.identity import Claim
from identities.engine.operands import direction
from identities.engine.reference import STRUCTURES
from identities.engine.shapes import stream

RESOLUTION = 1e-6
FIRST_STEP, SECOND_STEP = 3e-4, 3e-3

Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Differences:
    """A directional derivative by differences: its value, its error estimate, and |f|-based scale."""

    value: np.ndarray
    error: float
    scale: float
    method: str = "differences"


@dataclasses.dataclass(frozen=True)
class Testimony:
    """What the differences say of a claim at one draw.

    `agrees` is None where they cannot tell.  `got` is the claim contracted with the direction,
    `expected` the difference quotient, at the entry where they differ most.
    """

    agrees: bool | None
    got: float
    expected: float
    error: float
    resolves: bool
    method: str = "differences"

    def __str__(self) -> str:
        if self.agrees is None:
            return "the differences do not resolve this draw"
        one = self.method != "differences"
        word = ("agrees with" if one else "agree with") if self.agrees else "contradicts" if one else "contradict"
        return (
            f"{self.method} {word} the closed form along a random direction: "
            f"{self.expected:.12g} ± {self.error:.1g}, the closed form gives {self.got:.12g}"
        )


def directions(claim: Claim, values: Values, seed: int, letter: str = "d") -> dict[str, np.ndarray]:
    """A direction for each operand of the claim; with the letter "d" those of its own tangents."""
    found = {}
    for name in claim.wrt:
        d = direction(claim.operands[name].word, stream(letter + name, seed), values[name])
        structure = claim.entries or claim.within
        if structure:
            d = np.asarray(STRUCTURES[structure].project(d))
        found[name] = d
    return found


@dataclasses.dataclass(frozen=True)
class Probe:
    """The directions and steps of one claim at one draw, and the points where f must be evaluated."""

    claim: Claim
    values: Values
    along: Mapping[str, np.ndarray]
    other: Mapping[str, np.ndarray]  # the second direction of a second derivative
    stride: float = 1.0  # multiplies the steps

    @classmethod
    def at(cls, claim: Claim, values: Values, seed: int) -> Probe:
        if claim.kind == "differential":  # along its own tangents, whatever they are
            along = {name: np.asarray(values[f"d{name}"]) for name in claim.wrt}
            return cls(claim, values, along, along)
        return cls(claim, values, directions(claim, values, seed), directions(claim, values, seed, "e"))

    def relative(self) -> Probe:
        """The same with directions in proportion to the operands, entry by entry: steps that small entries survive."""

        def scaled(d: np.ndarray, name: str) -> np.ndarray:
            return np.asarray(d * np.asarray(self.values[name]))

        along = {name: scaled(d, name) for name, d in self.along.items()}
        return dataclasses.replace(self, along=along, other={n: scaled(d, n) for n, d in self.other.items()})

    @property
    def points(self) -> tuple[tuple[int, int], ...]:
        """Multiples of the steps along the two directions."""
        if self.claim.kind == "hessian":
            return tuple((s * k, t * k) for k in (1, 2, 4) for s in (-1, 1) for t in (-1, 1))
        line = tuple((k, 0) for k in (-4, -2, -1, 1, 2, 4))
        return line + tuple((0, k) for k, _ in line) if self.claim.wirtinger else line

    @property
    def steps(self) -> tuple[float, float]:
        def unit(name: str, d: np.ndarray) -> float:  # how many times d goes into the operand
            size = float(np.abs(d).max(initial=0.0))
            return (float(np.abs(self.values[name]).max(initial=0.0)) or 1.0) / size if size else 1.0

        u, v = self.claim.wrt[0], self.claim.wrt[-1]
        if self.claim.kind == "hessian":
            step = SECOND_STEP * min(self.stride, 16.0)
            return step * unit(u, self.along[u]), step * unit(v, self.other[v])
        step = FIRST_STEP * self.stride * min(unit(name, d) for name, d in self.along.items())
        return step, step

    def shifted(self, point: tuple[int, int]) -> dict[str, Any]:
        """The operands moved to one of the points."""
        (a, b), moved = self.steps, dict(self.values)
        if self.claim.kind != "hessian":  # the second direction of a Wirtinger derivative is i times the first
            factor = complex(point[0], point[1]) if self.claim.wirtinger else point[0]
            return moved | {name: moved[name] + factor * a * d for name, d in self.along.items()}
        u, v = self.claim.wrt[0], self.claim.wrt[-1]
        moved[u] = moved[u] + point[0] * a * self.along[u]
        moved[v] = moved[v] + point[1] * b * self.other[v]
        return moved

    def differences(
        self, f: Mapping[tuple[int, int], np.ndarray], grain: float = 0.0, noise: float = 0.0
    ) -> Differences:
        """The derivative along the directions from the function's values at the points.

        Each value is good to `grain` of its size, and to `noise`.
        """
        fine: Any
        coarse: Any
        (a, b), size = self.steps, max(float(np.abs(v).max(initial=0.0)) for v in f.values())
        eps = max(float(np.finfo(float).eps), grain)
        dust = max(eps * size, noise, float(np.finfo(float).tiny))
        if self.claim.kind == "hessian":
            near, middle, far = (
                sum(s * t * f[s * k, t * k] for s in (-1, 1) for t in (-1, 1)) / (4 * k * k * a * b) for k in (1, 2, 4)
            )
            fine, coarse = (4 * near - middle) / 3, (4 * middle - far) / 3
            rounding, scale = 16 * dust / (a * b), size * (SECOND_STEP * min(self.stride, 16.0)) ** 2 / (a * b)
        else:

            def line(p: int, q: int) -> tuple[np.ndarray, np.ndarray]:
                g = {k: f[k * p, k * q] for k in (-4, -2, -1, 1, 2, 4)}
                fine = (8 * (g[1] - g[-1]) - (g[2] - g[-2])) / (12 * a)
                return fine, (8 * (g[2] - g[-2]) - (g[4] - g[-4])) / (24 * a)

            fine, coarse = line(1, 0)
            if self.claim.wirtinger:
                turn = 1j if self.claim.wirtinger == "z*" else -1j
                fine, coarse = ((x + turn * y) / 2 for x, y in zip((fine, coarse), line(0, 1), strict=True))
            rounding, scale = 4 * dust / a, size * FIRST_STEP * self.stride / a
        return Differences(np.asarray(fine), float(np.abs(fine - coarse).max(initial=0.0)) + rounding, scale)


def contract(
    claim: Claim, derivative: np.ndarray, along: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> np.ndarray:
    """What the claimed derivative says of the change along the directions."""
    if claim.kind == "differential":
        return derivative
    last = along[claim.wrt[0]] if claim.kind != "hessian" else other[claim.wrt[-1]]
    if claim.entries:
        extract = STRUCTURES[claim.entries].extract
        lead = derivative.reshape(-1, *last.shape)
        free = np.asarray(extract(last))
        return np.asarray([np.sum(np.asarray(extract(g)) * free) for g in lead]).reshape(
            derivative.shape[: derivative.ndim - 2]
        )
    if claim.kind == "gradient" and (np.iscomplexobj(derivative) or np.iscomplexobj(last)):
        return np.asarray(np.real(np.vdot(derivative, last)))  # df = Re<g, d> for g = 2 df/dz*
    if claim.wirtinger == "z*":
        last = np.conj(last)
    result = np.tensordot(derivative, last, last.ndim)
    if claim.kind == "hessian":
        d = along[claim.wrt[0]]
        result = np.tensordot(result, d, d.ndim)
    return np.asarray(result)


def testify(
    probe: Probe, derivative: np.ndarray, differences: Differences, grain: float = 0.0, by_value: bool = False
) -> Testimony:
    """Hold one side of a claim against the differences.

    `grain` is the eps of the precision that the function stays in, 0 where it follows its operands.  Where the
    function is the book's own, the differences resolve what is a millionth of its size; with `by_value`, a thousandth
    of the derivative itself, which a constant in an unknown function could hide.
    """
    got = contract(probe.claim, derivative, probe.along, probe.other)
    want = differences.value
    if got.shape != want.shape:
        return Testimony(False, float("nan"), float("nan"), differences.error, True)
    gap = np.abs(got - want)
    if gap.size == 0 or not np.all(np.isfinite(gap)):  # what is not a number says nothing, for or against
        return Testimony(None, 0.0, 0.0, 0.0, False)
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    scale = max(float(np.abs(want).max()), float(np.abs(got).max()), differences.scale)
    coarse = min(1e3 * grain, 0.125)
    resolves = bool(differences.error <= max(1e-3 if by_value else RESOLUTION, coarse) * scale)
    agrees: bool | None = bool(np.all(gap <= max(10 * differences.error, max(1e-9, coarse) * scale)))
    if not resolves and not (by_value and not agrees):  # far apart is far apart, however coarse the measure
        agrees = None
    there, expected = float(np.real(got[at])), float(np.real(want[at]))
    return Testimony(agrees, there, expected, differences.error, resolves, differences.method)
