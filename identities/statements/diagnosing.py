"""What is wrong with a statement that was refuted, in the words of the person who wrote it.

The explanations of `identities.engine.diagnosis` are tried on the sides, and three more kinds: an additive constant, a
condition under which the statement is true, and one slip in one place of the formula.  An explanation is given only
if it fits the draw that refuted the statement and seven fresh general ones; a corrected statement is decided anew.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from identities.engine import diagnosis, operands
from identities.engine.diagnosis import Elsewhere, Patient, Sides, say_number
from identities.statements.environment import Array, lead
from identities.statements.errors import StatementError
from identities.statements.places import UNUSABLE, Place, Trial, has_derivative, square_letters
from identities.statements.shapes import is_matrix, is_one
from identities.statements.syntax import Add, Derivative, Letter, Marked, Node, Number, Power, Product, Statement, walk

FITS = 1e-5  # of the largest entry: far below any slip, above what differences lose near an ill-conditioned draw
FRESH = 7  # general draws that an explanation must fit, beside the one that refuted the statement
SECONDS = 3.0
EDITS = 60
TANGENT = "d"  # a tangent of X is shown as dX
WORDS = ("Orthogonal", "PosDef", "Diagonal")
PLACES = ("one entry", "one row", "one column", "only the diagonal")  # said only where nothing explains more
Holds = Callable[[Statement, tuple[str, ...]], bool]  # also with more declared


@dataclasses.dataclass(frozen=True)
class Refuted:
    """A link that failed: the sides by number, and which of them is the formula."""

    trial: Trial
    number: int  # of the link
    place: Place  # where it failed, at the sizes that are set
    formula_is_right: bool  # whether the right side is the formula and the left one what is true
    has_truth: bool  # whether the other side is a derivative

    def sides(self, values: Mapping[str, Any]) -> Sides:
        """Formula and truth, at letters and tangents (which stand under dX).  Raises Unusable."""
        tangents = {n: values[TANGENT + n] for n in self.place.tangents}
        letters = {n: values[n] for n in self.place.values}
        env = self.trial.env(Place(letters, tangents))
        a, b = self.trial.decider.pairs[self.number]
        rank = len(b.shape if a.zero else a.shape)
        with np.errstate(all="ignore"):
            left, right = a.run(env), b.run(env)
        left = np.zeros_like(right) if a.zero else left
        right = np.zeros_like(left) if b.zero else right
        both = np.broadcast_arrays(lead(left, rank, env.depth), lead(right, rank, env.depth))
        return (both[1], both[0]) if self.formula_is_right else (both[0], both[1])

    def sides_or_none(self, values: Mapping[str, Any]) -> Sides:
        """The same; NaN, which agrees with nothing, where the sides are not defined."""
        try:
            return self.sides(values)
        except UNUSABLE:
            nothing = np.full(np.shape(self.sides(self.values(self.place))[0]), np.nan)
            return nothing, nothing

    def values(self, place: Place) -> dict[str, Array]:
        return {**place.values, **{TANGENT + n: t for n, t in place.tangents.items()}}

    def draws(self, count: int, seed: int, given: Mapping[str, Any] | None = None) -> list[dict[str, Array]]:
        """General draws at which both sides can be evaluated, at the sizes that are set."""
        found: list[dict[str, Array]] = []
        for k in range(4 * count):
            if len(found) == count:
                break
            try:
                values = self.values(self.trial.general(seed + k, given))
                if all(np.isfinite(side).all() for side in self.sides(values)):
                    found.append(values)
            except (*UNUSABLE, ArithmeticError, ValueError):
                continue
        return found

    def agrees(self, draws: list[dict[str, Array]]) -> bool:
        return bool(draws) and all(_close(*self.sides(values)) for values in draws)


def diagnose(refuted: Refuted, statement: Statement, holds: Holds, seed: int = 0) -> str:
    """What explains the failure; "" where nothing simple does.  `holds` decides a corrected statement."""
    until = time.monotonic() + SECONDS
    trial, sizes = refuted.trial, refuted.trial.sizes()
    try:
        draws = [refuted.values(refuted.place), *refuted.draws(FRESH, seed + 500)]
        if len(draws) < 4:
            return ""
        constant = _constant([refuted.sides(values) for values in draws])
        if constant:
            return _worded(constant, refuted)
        found = list(filter(None, _of_engine(refuted, draws, sizes).split("; or ")))
        only = [one for one in found if one.startswith("right only")]
        places = [one for one in found if one.startswith(PLACES)]
        found = [one for one in found if one not in only + places and not one.startswith("right to about")]
        found = found or _two_letters(refuted, draws)
        conditions = [one for one in only if one != "right only at square shapes"]
        if not found and not conditions:
            conditions = _conditions(refuted, seed, sizes) or only
        if not found:
            slip = _slip(statement, refuted, holds, until)
            found = [slip] if slip else []
        if not found and not conditions:
            conditions = _declared(refuted, statement, holds)
        return _worded("; or ".join(([*found, *conditions] or places)[:2]), refuted)
    except (*UNUSABLE, ArithmeticError, ValueError, RecursionError):
        return ""
    finally:
        trial.set(sizes)


def _close(a: Array, b: Array) -> bool:
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    top = max(float(np.max(np.abs(a), initial=0.0)), float(np.max(np.abs(b), initial=0.0)))
    return bool(np.max(np.abs(a - b), initial=0.0) <= FITS * max(top, 1e-7))


def _worded(text: str, refuted: Refuted) -> str:
    """The engine's sentences for a statement: no options of Python functions, and no truth where neither is one."""
    text = re.sub(
        r" \((?:the derivative in the n\(n\+1\)/2 entries; )?pass (entries|within)='symmetric'[^)]*\)", "", text
    )
    text = re.sub(r" \(jax\.grad returns[^)]*\)", "", text)
    text = text.replace(
        "wrong by a constant factor: it is -1 times the true one", "wrong sign: it is the negative of the true one"
    )
    if "free-entry" in text or "within symmetric" in text:
        text += " (if that is meant, declare it)"
    if not refuted.has_truth:
        side, other = ("right", "left") if refuted.formula_is_right else ("left", "right")
        text = text.replace("the true one", f"the {other} side").replace("it is", f"the {side} side is")
        text = text.replace(f"the {other} side is not", f"the {other} side is not")
    return text


def _of_engine(refuted: Refuted, draws: list[dict[str, Array]], sizes: list[int]) -> str:
    trial = refuted.trial
    dims = dict(zip(trial.names, sizes, strict=True))

    def at(other: list[int], count: int) -> list[Sides]:
        try:
            if not trial.set(other):
                return []
            return [refuted.sides(values) for values in refuted.draws(count, 700)]
        finally:
            trial.set(sizes)

    def elsewhere() -> list[Elsewhere]:
        shifted = [size + 1 + k for k, size in enumerate(sizes)]
        sides = at(shifted, 2)
        return [Elsewhere(dict(zip(trial.names, shifted, strict=True)), sides)] if sides else []

    patient = Patient(
        refuted.sides_or_none,
        draws,
        tuple(_derived(refuted)),
        dims,
        elsewhere,
        lambda: at([3] * len(sizes), 4),
        fits=FITS,
    )
    return diagnosis.diagnose(patient)


def _derived(refuted: Refuted) -> list[str]:
    sides = refuted.trial.decider.statement.sides
    found = [t.letter for side in sides for n in walk(side) if isinstance(n, Derivative) for t in n.targets]
    return list(dict.fromkeys(found))


def _constant(sides: list[Sides]) -> str:
    """A constant that is missing: the same number in every draw, as it is, times I, or in every entry."""
    gaps = [b - a for a, b in sides]
    first, truth = gaps[0], sides[0][1]
    top = max(float(np.max(np.abs(gap), initial=0.0)) for gap in gaps)
    size = max(float(np.max(np.abs(b), initial=0.0)) for _, b in sides)
    noise = 1e-5 * top + 1e-8 * size
    if top <= noise or any(np.max(np.abs(gap - first), initial=0.0) > noise for gap in gaps):
        return ""
    if all(_close(b, truth) for _, b in sides):  # a constant formula is wrong by a factor too, which says more
        return ""
    c = float(np.real(first.flat[0]))
    if first.size == 1 or np.allclose(first, c, atol=2 * noise):
        where = "" if first.size == 1 else " in every entry"
        return f"off by an additive constant: {say_number(c, 1e-6)} must be added{where}"
    if (
        first.ndim == 2
        and first.shape[0] == first.shape[1]
        and np.allclose(first, c * np.eye(len(first)), atol=2 * noise)
    ):
        times = "I" if abs(c - 1) < 1e-6 else f"{say_number(c, 1e-6)} I"
        return f"off by an additive constant: {times} must be added"
    return ""


def _conditions(refuted: Refuted, seed: int, sizes: list[int]) -> list[str]:
    """For which letters, or at which sizes, the statement is true."""
    trial, found = refuted.trial, []
    kinds = trial.meaning.kinds
    for name in square_letters(trial):
        if kinds[name].word is not None or kinds[name].complex:
            continue
        for word in WORDS:
            if refuted.agrees(refuted.draws(FRESH, seed + 900, {name: getattr(operands, word)})):
                english = {"PosDef": "positive definite"}.get(word, word.lower())
                found.append(f"right only for {english} {name} (declared so, {name}: {word}, it holds)")
                break
    if not found:
        plain = [name for name in square_letters(trial) if kinds[name].word is None and not kinds[name].complex]
        for a, b in itertools.combinations(plain, 2):
            if refuted.agrees(refuted.draws(FRESH, seed + 900, {a: operands.Symmetric, b: operands.Symmetric})):
                found.append(f"right only for symmetric {a} and {b}")
                break
    if not found:
        for name, kind in kinds.items():
            if kind.word is not None or kind.integer or kind.value is not None:
                continue
            tried: list[tuple[Any, str]] = [(Float, "real")] if kind.complex else [(operands.Positive, "positive")]
            tried += [(operands.Mask, "entries 0 and 1 of")] if is_matrix(kind.shape) and not kind.complex else []
            for special, said in tried:
                if refuted.agrees(refuted.draws(FRESH, seed + 900, {name: special})):
                    found.append(f"right only for {said} {name}")
    if not found:
        equal = [pair for pair in itertools.combinations(range(len(sizes)), 2) if _at_equal(refuted, pair, sizes, seed)]
        if equal:
            one, two = equal[0]
            names = f"{trial.names[one]} = {trial.names[two]}"
            found.append(f"right only where {names} ({_of_size(trial, one)}, {_of_size(trial, two)})")
    return found


def _two_letters(refuted: Refuted, draws: list[dict[str, Array]]) -> list[str]:
    """Whether the same term with two letters transposed is missing: A X B of A X B + A' X B'."""
    squares = diagnosis.squares(draws[0])
    for a, b in itertools.combinations(squares, 2):

        def completed(values: dict[str, Array], a: str = a, b: str = b) -> bool:
            formula, truth = refuted.sides(values)
            other, _ = refuted.sides_or_none({**values, a: values[a].T, b: values[b].T})
            return _close(formula + other, truth)

        if all(map(completed, draws)):
            return [f"only the first of two terms: the same term with {a}' and {b}' must be added"]
    return []


def _declared(refuted: Refuted, statement: Statement, holds: Holds) -> list[str]:
    """Whether the statement is true with something declared that changes what shapes or derivatives mean."""
    squares = square_letters(refuted.trial)
    tried = []
    if any(kind.complex for kind in refuted.trial.meaning.kinds.values()) and refuted.has_truth:
        tried.append(("gradient", "right for the gradient 2 df/dz^* (declare 'gradient' if that is meant)"))
    for name, kind in refuted.trial.meaning.kinds.items():
        if is_matrix(kind.shape) and kind.word is None and not kind.complex and name not in squares:
            for clause in (f"{name}: Orthogonal", f"{name}: Orthogonal n n"):  # orthonormal columns, or square
                tried.append((clause, f"right only for orthogonal {name} (declared so, {clause}, it holds)"))
    for clause, said in tried:
        try:
            if holds(statement, (clause,)):
                return [said]
        except (StatementError, *UNUSABLE, ArithmeticError, ValueError):
            continue
    return []


def _at_equal(refuted: Refuted, pair: tuple[int, int], sizes: list[int], seed: int) -> bool:
    """Whether the statement is true where two sizes are one and the others differ."""
    trial = refuted.trial
    try:
        for one in (3, 2):
            other = [k + 4 for k in range(len(sizes))]
            other[pair[0]] = other[pair[1]] = one
            if not trial.set(other) or not refuted.agrees(refuted.draws(3, seed + 900)):
                return False
        return True
    finally:
        trial.set(sizes)


def _of_size(trial: Trial, number: int) -> str:
    """Where a size stands: the rows of A."""
    size = trial.open[number]
    for name, kind in trial.meaning.kinds.items():
        for axis, one in enumerate(kind.shape):
            if one.find() is size and not is_one(one):
                what = "length" if not is_matrix(kind.shape) else ("rows", "columns")[axis]
                return f"{trial.names[number]}: {what} of {name}"
    return trial.names[number]


# -- one slip in one place --------------------------------------------------------------------------------------------


def _slip(statement: Statement, refuted: Refuted, holds: Holds, until: float) -> str:
    """A correction of one place of the formula after which the statement holds."""
    if refuted.number >= len(statement.sides) - 1:
        return ""
    which = refuted.number + (1 if refuted.formula_is_right else 0)
    before = statement.sides[which]
    names = [n.name for n in walk(before) if isinstance(n, Letter)]
    matrices = {n for n, kind in refuted.trial.meaning.kinds.items() if is_matrix(kind.shape)}
    for said, side in itertools.islice(_edits(before, matrices, names, refuted.trial.decider.text), EDITS):
        if time.monotonic() > until:
            return ""
        sides = (*statement.sides[:which], side, *statement.sides[which + 1 :])
        try:
            if holds(dataclasses.replace(statement, sides=sides), ()):
                return said
        except (StatementError, *UNUSABLE, ArithmeticError, ValueError):
            continue
    return ""


def _edits(node: Node, matrices: set[str], names: list[str], text: str) -> Iterator[tuple[str, Node]]:
    """Each correction: what it says, and the side with it."""

    def written(one: Node) -> str:
        return text[one.at[0] : one.at[1]].strip()

    for one, put in _places(node):
        letter = one.base if isinstance(one, (Marked, Power)) else one
        where = f" at character {one.at[0] + 1}" if isinstance(letter, Letter) and names.count(letter.name) > 1 else ""
        if isinstance(one, Marked) and one.mark == "T":
            yield (
                f"{_called(one.base, written)}' stands where {_called(one.base, written)} should{where}",
                put(one.base),
            )
        elif isinstance(letter, Letter) and letter.name in matrices and not isinstance(one, Marked):
            shown = _called(one, written)
            yield f"{shown} stands where {shown}' should{where}", put(Marked(one.at, one, "T"))
    for one, put in _places(node):
        if not isinstance(one, Add) or len(one.terms) < 2:
            continue
        for k, (sign, term) in enumerate(one.terms):

            def with_term(new: tuple[tuple[int, Node], ...], one: Add = one, k: int = k) -> Add:
                return dataclasses.replace(one, terms=(*one.terms[:k], *new, *one.terms[k + 1 :]))

            yield f"the sign of the term {written(term)} is wrong", put(with_term(((-sign, term),)))
            for c, said in ((2.0, "doubled"), (0.5, "halved")):
                scaled = Product(term.at, (Number(term.at, c), term))
                yield f"the term {written(term)} must be {said}", put(with_term(((sign, scaled),)))
            yield f"the term {written(term)} is too much", put(with_term(()))


def _called(node: Node, written: Callable[[Node], str]) -> str:
    return node.name if isinstance(node, Letter) else written(node)


def _places(node: Node) -> Iterator[tuple[Node, Callable[[Node], Node]]]:
    """Every node below, with a function that puts another one in its place."""
    yield node, lambda new: new
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        for inner, put in _inside(value):
            yield inner, lambda new, put=put, name=field.name: dataclasses.replace(node, **{name: put(new)})  # type: ignore[misc]


def _inside(value: Any) -> Iterator[tuple[Node, Callable[[Node], Any]]]:
    if isinstance(value, Node):
        yield from _places(value)
    elif isinstance(value, tuple):
        for k, part in enumerate(value):
            for inner, put in _inside(part):
                yield inner, lambda new, put=put, k=k: (*value[:k], put(new), *value[k + 1 :])  # type: ignore[misc]


def refutation(trial: Trial, statement: Statement, number: int, place: Place) -> Refuted:
    """The failed link `number`: which side is a derivative, and so true, and which the formula."""
    if number < len(statement.sides) - 1:
        left, right = statement.sides[number], statement.sides[number + 1]
    else:
        fact = trial.meaning.facts[number - len(statement.sides) + 1]
        left, right = fact.left, fact.right
    truth_left, truth_right = has_derivative(left), has_derivative(right)
    return Refuted(trial, number, place, not (truth_right and not truth_left), truth_left != truth_right)
