"""What is wrong with a formula that disagrees, in the words of the person who derived it.

An explanation is given only if it explains the failing draw *and* three fresh general draws of
the same shapes; every comparison is made in float64.
"""

from __future__ import annotations

import dataclasses
import fractions
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Values = Mapping[str, Any]
Sides = tuple[np.ndarray, np.ndarray]  # closed form and reference
FITS = 1e-8  # relative to the largest entry: far below any slip, far above rounding in float64


@dataclasses.dataclass(frozen=True)
class Patient:
    """A failing pair of sides: how to evaluate it, and the draws that an explanation must fit."""

    evaluate: Callable[[Values], Sides]
    draws: Sequence[Values]
    wrt: tuple[str, ...]

    def everywhere(self, explains: Callable[[Values], bool]) -> bool:
        return all(explains(values) for values in self.draws)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shapes and equal entries, up to FITS of the largest."""
    if a.shape != b.shape or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return False
    top = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    return bool(np.max(np.abs(a - b), initial=0.0) <= FITS * top) if top else True


def squares(values: Values) -> list[str]:
    """The operands that are square matrices larger than 1 x 1."""
    return [n for n, v in values.items() if isinstance(v, np.ndarray) and v.ndim == 2 and v.shape[0] == v.shape[1] > 1]


def changed(values: Values, **new: Any) -> dict[str, Any]:
    return {**values, **new}


def factor(sides: Sequence[Sides]) -> float | None:
    """The constant c with closed form = c * reference at every draw, if there is one."""
    closed, reference = sides[0]
    if closed.shape != reference.shape or not np.any(reference):
        return None
    c = float(np.real(np.vdot(reference, closed) / np.vdot(reference, reference)))
    return c if all(close(a, c * b) for a, b in sides) else None


def say_factor(c: float) -> str:
    exact = fractions.Fraction(c).limit_denominator(64)
    text = str(exact) if abs(float(exact) - c) <= 1e-9 * abs(c) else f"{c:.6g}"
    return f"wrong by a constant factor: it is {text} times the true one"


def explanations(patient: Patient) -> Iterator[str]:
    """Every explanation that fits, the plainest first."""
    sides = [patient.evaluate(values) for values in patient.draws]
    first = patient.draws[0]
    if not all(np.all(np.isfinite(a)) and np.all(np.isfinite(b)) for a, b in sides):
        yield "not finite: the formula or the function is undefined at these operands"
        return
    if any(a.shape != b.shape for a, b in sides):
        a, b = sides[0]
        order = reordered(sides)
        if order == (1, 0):
            yield f"transposed: it has shape {a.shape}, the transpose of the expected {b.shape} (numerator layout?)"
        elif order:
            yield f"its axes are in the wrong order: transposed by {order} it is right"
        elif a.size == b.size and all(close(a.reshape(b.shape), b) for a, b in sides):
            yield f"right numbers in the wrong shape: {a.shape} in place of {b.shape}"
        else:
            yield f"wrong shape: {a.shape} in place of {b.shape}"
        return
    if all(close(a, b) for a, b in sides):
        yield f"right to about {FITS:.0e}, but it loses digits"
        return
    c = factor(sides)
    if c is not None and c == c and abs(c + 1) < FITS:
        yield "wrong sign: it is the negative of the true one"
    elif c is not None and c == 0:
        yield "it is zero everywhere, and the true one is not"
    elif c is not None and abs(c - 1) > FITS:
        yield say_factor(c)
    yield from _transposed(sides)
    yield from _terms(patient, first)
    yield from _swapped(patient, first)
    yield from _places(sides)


def reordered(sides: Sequence[Sides]) -> tuple[int, ...] | None:
    """The order of axes (not the given one) in which the closed form is right at every draw."""
    for axes in itertools.permutations(range(min(sides[0][0].ndim, 5))):
        if axes != tuple(sorted(axes)) and all(a.ndim == len(axes) and close(a.transpose(axes), b) for a, b in sides):
            return axes
    return None


def _transposed(sides: Sequence[Sides]) -> Iterator[str]:
    order = reordered(sides)
    if order == (1, 0):
        yield "transposed: its transpose is right"
    elif order:
        yield f"its axes are in the wrong order: transposed by {order} it is right"
    elif sides[0][0].ndim == 2 and all(close(-a.T, b) for a, b in sides):
        yield "transposed and of the wrong sign: minus its transpose is right"
    elif (
        sides[0][0].ndim == 2
        and sides[0][0].shape == sides[0][0].shape[::-1]
        and all(close(a + a.T, b) for a, b in sides)
    ):
        yield "a term is missing: the transpose of what stands there must be added"


def _terms(patient: Patient, first: Values) -> Iterator[str]:
    def flipped(name: str, values: Values) -> np.ndarray:
        return patient.evaluate(changed(values, **{name: values[name].T}))[0]

    def untransposed(name: str, values: Values) -> bool:
        return close(flipped(name, values), patient.evaluate(values)[1])

    def halved(name: str, values: Values) -> bool:
        closed, reference = patient.evaluate(values)
        return close(closed + flipped(name, values), reference)

    def symmetric(name: str, values: Values) -> bool:
        return close(*patient.evaluate(changed(values, **{name: (values[name] + values[name].T) / 2})))

    for name in squares(first):
        if patient.everywhere(functools.partial(untransposed, name)):
            yield f"{name} stands where {name}' should (with {name} transposed the formula is right)"
        elif patient.everywhere(functools.partial(halved, name)):
            yield f"only the first of two terms: the same term with {name}' must be added"
        elif patient.everywhere(functools.partial(symmetric, name)):
            yield f"right only for symmetric {name}"


def _swapped(patient: Patient, first: Values) -> Iterator[str]:
    def exchanged(a: str, b: str, values: Values) -> bool:
        closed, _ = patient.evaluate(changed(values, **{a: values[b], b: values[a]}))
        return close(closed, patient.evaluate(values)[1])

    arrays = [n for n, v in first.items() if isinstance(v, np.ndarray)]
    for a, b in itertools.combinations(arrays, 2):
        alike = first[a].shape == first[b].shape and first[a].size > 1
        if alike and patient.everywhere(functools.partial(exchanged, a, b)):
            yield f"operands swapped: with {a} and {b} exchanged the formula is right"
    conjugated = patient.everywhere(lambda v: close(np.conj(patient.evaluate(v)[0]), patient.evaluate(v)[1]))
    if conjugated and np.iscomplexobj(patient.evaluate(first)[0]):
        yield "conjugated: its complex conjugate is right (jax.grad returns the conjugate of 2 df/dz*)"


def _places(sides: Sequence[Sides]) -> Iterator[str]:
    """Errors that sit in the same few places at every draw."""
    wrong = np.logical_or.reduce(
        [np.abs(a - b) > FITS * max(np.max(np.abs(b)), np.finfo(float).tiny) for a, b in sides]
    )
    if wrong.size < 2 or wrong.all() or not wrong.any():
        return
    places = np.argwhere(wrong)
    if len(places) == 1:
        yield f"one entry is wrong: {[int(i) for i in places[0]]}"
    elif (
        wrong.ndim == 2
        and wrong.shape[0] == wrong.shape[1]
        and np.array_equal(wrong, np.eye(len(wrong), dtype=bool) & wrong)
    ):
        yield "only the diagonal is wrong"
    elif wrong.ndim == 2 and wrong.shape[0] == wrong.shape[1] and not np.any(np.diagonal(wrong)):
        yield "only the diagonal is right (a derivative of structured entries, or their convention?)"
    else:
        for axis, word in ((0, "row"), (1, "column")):
            if wrong.ndim == 2 and len(set(places[:, axis])) == 1:
                yield f"one {word} is wrong: {int(places[0, axis])}"
                return


def diagnose(patient: Patient) -> str:
    """The explanations that fit every draw, joined (true synonyms are all named); "" if none does."""
    try:
        found = list(dict.fromkeys(explanations(patient)))
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return ""
    return "; or ".join(found[:2])
