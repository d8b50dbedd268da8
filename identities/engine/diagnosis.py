"""What is wrong with a formula that disagrees, in the words of the person who derived it.

An explanation is given only if it explains the failing draw *and* three fresh general draws of
the same shapes; every comparison is made in float64.
"""

from __future__ import annotations

import contextvars
import dataclasses
import fractions
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Values = Mapping[str, Any]
Sides = tuple[np.ndarray, np.ndarray]  # closed form and reference
FITS = 1e-8  # relative to the largest entry: far below any slip, far above rounding in float64


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """Both sides at a few draws of another shape, whose dims are named as the patient's are."""

    dims: Mapping[str, int]
    sides: Sequence[Sides]


@dataclasses.dataclass(frozen=True)
class Patient:
    """A failing pair of sides: how to evaluate it, and the draws that an explanation must fit."""

    evaluate: Callable[[Values], Sides]
    draws: Sequence[Values]
    wrt: tuple[str, ...]
    dims: Mapping[str, int] = dataclasses.field(default_factory=dict)
    elsewhere: Callable[[], Iterable[Elsewhere]] = tuple  # both sides at other shapes, on demand
    squared: Callable[[], Sequence[Sides]] = tuple  # both sides where all dims are equal, on demand
    fits: float = FITS  # larger for functions that stay in a low precision

    def everywhere(self, explains: Callable[[Values], bool]) -> bool:
        return all(explains(values) for values in self.draws)


_fits: contextvars.ContextVar[float] = contextvars.ContextVar("fits", default=FITS)  # for one diagnosis


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shapes and equal entries, up to FITS of the largest (or what the patient's precision leaves)."""
    if a.shape != b.shape or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return False
    top = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    return bool(np.max(np.abs(a - b), initial=0.0) <= _fits.get() * top) if top else True


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
    top = np.max(np.abs(reference))  # squares of tiny or huge entries would be lost
    unit = reference / top
    c = float(np.real(np.vdot(unit, closed / top) / np.vdot(unit, unit)))
    return c if all(close(a, c * b) for a, b in sides) else None


def say_number(c: float, fits: float = 1e-9) -> str:
    exact = fractions.Fraction(c).limit_denominator(64)
    return str(exact) if abs(float(exact) - c) <= fits * abs(c) else f"{c:.6g}"


def say_factor(c: float, patient: Patient) -> str:
    """A constant factor, or one that grows with a dim: n is told from 4 by a second shape."""
    fits = max(1e-9, patient.fits)
    if abs(c - 1) < 1e-5:
        return f"wrong by a constant factor: it is 1 {'+' if c > 1 else '-'} {abs(c - 1):.3g} times the true one"
    known = [(dict(patient.dims), c)]
    try:
        for other in patient.elsewhere():
            there = factor(other.sides)
            # a factor of 1 at a dim of 1 is no constant, and where nothing can be compared nothing is told
            if there is not None and np.isfinite(there) and set(other.dims) == set(patient.dims):
                known.append((dict(other.dims), there))
    except Exception:  # a user's function need not take another shape
        known = known[:1]
    if all(abs(there - c) <= fits * abs(c) for _, there in known):
        return f"wrong by a constant factor: it is {say_number(c, fits)} times the true one"
    shown = ", ".join(f"{name}={size}" for name, size in patient.dims.items())
    expression = _in_dims(known, fits)
    if expression:
        return f"wrong by a factor that depends on the size: it is {expression} times the true one ({shown} here)"
    dims, there = next((d, t) for d, t in known if abs(t - c) > fits * abs(c))
    at = ", ".join(f"{name}={size}" for name, size in dims.items())
    one, another = say_number(c, fits), say_number(there, fits)
    return f"wrong by a factor that depends on the size: {one} at {shown}, {another} at {at}"


def _in_dims(known: Sequence[tuple[Mapping[str, int], float]], fits: float) -> str:
    """The factor as a rational number times a power or quotient of dims; "" if it is none."""
    names = list(known[0][0])
    shapes: list[tuple[str, Callable[[Mapping[str, int]], float]]] = []
    for n in names:
        shapes += [(n, lambda d, n=n: d[n]), (f"1/{n}", lambda d, n=n: 1 / d[n])]  # type: ignore[misc]
        shapes += [(f"{n}^2", lambda d, n=n: d[n] ** 2), (f"1/{n}^2", lambda d, n=n: d[n] ** -2)]  # type: ignore[misc]
    for n, m in itertools.permutations(names, 2):
        shapes.append((f"{n}/{m}", lambda d, n=n, m=m: d[n] / d[m]))  # type: ignore[misc]
    for n, m in itertools.combinations(names, 2):
        shapes.append((f"{n} {m}", lambda d, n=n, m=m: d[n] * d[m]))  # type: ignore[misc]
        shapes.append((f"1/({n} {m})", lambda d, n=n, m=m: 1 / (d[n] * d[m])))  # type: ignore[misc]
    for text, value in shapes:
        rates = [c / value(dims) for dims, c in known]
        exact = fractions.Fraction(rates[0]).limit_denominator(12)
        if exact and all(abs(rate - float(exact)) <= fits * abs(rate) for rate in rates):
            if text.startswith("1/") and exact.denominator == 1:
                return f"{exact}{text[1:]}"
            return text if exact == 1 else f"-{text}" if exact == -1 else f"{exact} {text}"
    return ""


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
        yield f"right to about {FITS:.0e} of the largest entry: it loses digits, or its small entries are wrong"
        return
    c = factor(sides)
    if c is not None and c == c and abs(c + 1) < FITS:
        yield "wrong sign: it is the negative of the true one"
    elif c is not None and c == 0:
        yield "it is zero everywhere, and the true one is not"
    elif c is not None and abs(c - 1) > FITS:
        yield say_factor(c, patient)
    yield from _transposed(sides)
    yield from _terms(patient, first)
    yield from _conventions(patient, sides)
    yield from _swapped(patient, first)
    places = list(_places(sides))
    if not any(place.startswith("one ") for place in places):  # one slip in one place is no law of special input
        yield from _special_input(patient, first)
    yield from places
    yield from _precision(patient, sides)


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


def _conventions(patient: Patient, sides: Sequence[Sides]) -> Iterator[str]:
    """What is right for another meaning of a derivative by a symmetric matrix."""
    if len(patient.wrt) != 1 or patient.wrt[0] not in squares(patient.draws[0]) or sides[0][0].ndim != 2:
        return
    name = patient.wrt[0]

    def free(values: Values) -> bool:
        a, b = patient.evaluate(changed(values, **{name: (values[name] + values[name].T) / 2}))
        return close(a, b + b.T - np.diag(np.diagonal(b)))

    if patient.everywhere(free):
        yield (
            f"the free-entry convention of a symmetric {name}: G + G' - diag(G), where G is the gradient "
            "(the derivative in the n(n+1)/2 entries; pass entries='symmetric' if that is meant)"
        )
    elif all(close(a, (b + b.T) / 2) for a, b in sides):
        yield (
            f"sym(G) = (G + G')/2, where G is the gradient: the gradient within symmetric {name} "
            "(pass within='symmetric' if that is meant)"
        )


def _special_input(patient: Patient, first: Values) -> Iterator[str]:
    def diagonal(name: str, values: Values) -> bool:
        return close(*patient.evaluate(changed(values, **{name: np.diag(np.diagonal(values[name]))})))

    def symmetric(name: str, values: Values) -> bool:
        return close(*patient.evaluate(changed(values, **{name: (values[name] + values[name].T) / 2})))

    for name in squares(first):
        # what is right for symmetric matrices is right for diagonal ones, and was said before
        only = patient.everywhere(functools.partial(diagonal, name))
        if only and not patient.everywhere(functools.partial(symmetric, name)):
            yield f"right only for diagonal {name}"
    if len(set(patient.dims.values())) > 1:
        try:
            squared = patient.squared()
        except Exception:  # a user's function need not take another shape
            return
        if squared and all(close(a, b) for a, b in squared):
            yield "right only at square shapes"


def _precision(patient: Patient, sides: Sequence[Sides]) -> Iterator[str]:
    """Rounding of a lower precision: small, going either way, and another one where the operands move a little."""
    gap = max(float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0)) for a, b in sides)
    narrow = all(np.array_equal(a, a.astype(np.complex64 if np.iscomplexobj(a) else np.float32)) for a, _ in sides)
    # rounding goes either way; a slip of 1e-7 in a constant goes one way
    errors = np.concatenate([(np.real(a - b) * np.sign(np.real(b))).ravel() for a, b in sides])
    positive = float(np.mean(errors > 0))
    if gap > 5e-3 or not 0.1 < positive < 0.9 or not (narrow or errors.size >= 8) or not _scatters(patient, gap):
        return
    if gap <= 1e-5:
        yield f"low precision: right to about {gap:.0e}, as float32 arithmetic somewhere leaves it"
    elif narrow and errors.size >= 8 and 0.25 < positive < 0.75:
        yield f"low precision: right to about {gap:.0e}, as TF32 or bfloat16 arithmetic somewhere leaves it"


def _scatters(patient: Patient, gap: float) -> bool:
    """Whether the errors change where the operands differ by some roundings: those of a wrong formula do not."""
    rng, values = np.random.default_rng(0), patient.draws[0]

    def error(values: Values) -> np.ndarray:
        a, b = patient.evaluate(values)
        return a - b

    by = 30 * gap
    near = {
        n: v * (1 + by * rng.standard_normal(v.shape)) if isinstance(v, np.ndarray) else v for n, v in values.items()
    }
    before, after = error(values), error(near)
    return bool(np.linalg.norm(after - before) > 0.3 * np.linalg.norm(before))


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
        [np.abs(a - b) > _fits.get() * max(np.max(np.abs(b)), np.finfo(float).tiny) for a, b in sides]
    )
    visible = any(np.max(np.abs(a - b)) > 1e-5 * np.max(np.abs(b)) for a, b in sides)  # less is rounding
    if wrong.size < 2 or wrong.all() or not wrong.any() or not visible:
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
    token = _fits.set(patient.fits)
    try:
        found = list(dict.fromkeys(explanations(patient)))
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return ""
    finally:
        _fits.reset(token)
    return "; or ".join(found[:2])
