"""Check a statement as it is written: `check_statement("d/dX tr(A*X*B) = A'*B'")`, or the same in LaTeX or Unicode."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from identities.statements import counterexamples, diagnosing, plain
from identities.statements.deciding import Decider, Decision
from identities.statements.declarations import Declarations, declare
from identities.statements.errors import NoEvidence, StatementError, TooLarge, Unread
from identities.statements.latex import read, read_definitions
from identities.statements.meaning import Kind, Meaning, Term
from identities.statements.places import Place, Trial
from identities.statements.shapes import is_matrix, is_one, is_vector
from identities.statements.syntax import Statement
from identities.statements.verdict import StatementVerdict


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A statement, read, with what is declared; `decider` makes one that is ready to be evaluated."""

    text: str
    statement: Statement
    declared: Declarations

    def decider(self) -> Decider:
        read_lets = plain.read_definitions if plain.is_plain(self.text) else read_definitions
        lets = [one for text in self.declared.lets for one in read_lets(text, self.declared.vocabulary())]
        definitions = (*lets, *self.statement.definitions)
        meaning = Meaning(
            self.text, self.declared.final_kinds(), definitions, self.declared.reading(), self.declared.sizes
        )
        return Decider(self.statement, meaning)


def prepare(text: str, declarations: str | Sequence[str] | Declarations = ()) -> Prepared:
    """Read a statement in any of the three notations.  Raises Unread."""
    declared = declarations if isinstance(declarations, Declarations) else declare(declarations)
    if not plain.is_plain(text):
        return Prepared(text, read(text, declared.vocabulary()), declared)
    statement = plain.read(text, declared.vocabulary())
    return Prepared(text, statement, plain.customs(statement, declared))


def decide(text: str, declarations: str | Sequence[str] = (), *, seed: int = 0, draws: int = 4) -> Decision:
    """Whether a statement is true.  Raises StatementError where that is not decided."""
    return prepare(text, declarations).decider().decide(seed, draws)


def check_statement(
    text: str,
    declare: str | Sequence[str] = (),
    *,
    let: str | Sequence[str] = (),
    layout: str | None = None,
    seed: int = 0,
    draws: int = 4,
) -> StatementVerdict:
    r"""Whether a statement in LaTeX, Unicode or plain text is true; if not, where it fails and why.

    `declare` says what the text alone does not: "W: Symmetric n n", "k: integer 1..4", "n = 2"; `let` defines letters
    and functions: "f(X) = A*X".  `layout` is "denominator", where a gradient has the shape of its operand, or
    "numerator".

    >>> check_statement("d/dx x'*A*x = 2*A*x").diagnosis
    'right only for symmetric A'

    Raises StatementError where the text is not read, or where no draw decides.
    """
    declared = clauses(declare, let, layout)
    if not isinstance(draws, int) or draws < 1:
        raise ValueError(f"draws: a whole number of at least 1 was expected, got {draws!r}")
    try:
        return _checked(text, declared, seed, draws)
    except RecursionError:
        raise Unread("brackets, marks or signs stand too deep within each other") from None
    except TooLarge as error:
        raise NoEvidence(str(error)) from None
    except MemoryError:
        raise NoEvidence("a value is too large for the memory of this machine") from None


def clauses(declare: str | Sequence[str], let: str | Sequence[str], layout: str | None) -> tuple[str, ...]:
    """All that is declared, as clauses."""
    found = [declare] if isinstance(declare, str) else list(declare)
    found += [f"let {one}" for one in ([let] if isinstance(let, str) else let)]
    if layout is not None:
        if layout not in ("numerator", "denominator"):
            raise ValueError(f"layout: 'numerator' or 'denominator' was expected, got {layout!r}")
        found.append(f"layout {layout}")
    return tuple(one for one in found if one.strip())


def _checked(text: str, declared: tuple[str, ...], seed: int, draws: int) -> StatementVerdict:
    started = time.perf_counter()
    prepared = prepare(text, declared)
    decider = prepared.decider()
    trial = Trial(decider)
    kinds = dict(decider.meaning.kinds)
    decision = decider.decide(seed, draws)
    links, sizes, shown, diagnosis = decision.links, trial.shown_sizes(), {}, ""
    if not decision.ok:
        diagnosis = _diagnosis(prepared, declared, trial, decision, seed)
        found = counterexamples.smallest(trial, seed)
        place = Place(decision.draw.operands, decision.draw.tangents)
        if found is not None:
            trial.set(found[0])
            place = found[1]
            links = tuple(trial.links(place) or links)
            sizes = trial.shown_sizes()
        shown = {name: _as_shown(value, kinds.get(name)) for name, value in place.values.items()}
        shown |= {f"d{name}": _as_shown(value, kinds.get(name)) for name, value in place.tangents.items()}
    links = tuple(
        dataclasses.replace(one, index=_own(one.index, pair)) for one, pair in zip(links, decider.pairs, strict=True)
    )
    drawn = tuple(taken_for(name, kind) for name, kind in kinds.items())
    seconds = time.perf_counter() - started
    return StatementVerdict(
        decision.ok, text, links, sizes, shown, diagnosis, drawn, decision.draws, seed, declared, seconds
    )


def _diagnosis(prepared: Prepared, declared: tuple[str, ...], trial: Trial, decision: Decision, seed: int) -> str:
    number = next(k for k, link in enumerate(decision.links) if not link.holds)
    place = Place(decision.draw.operands, decision.draw.tangents)
    refuted = diagnosing.refutation(trial, prepared.statement, number, place)

    def holds(statement: Statement, more: tuple[str, ...]) -> bool:
        again = prepare(prepared.text, (*declared, *more))  # sizes are tied for good: each statement gets its own
        return dataclasses.replace(again, statement=statement).decider().decide(seed + 1, 2).ok

    return diagnosing.diagnose(refuted, prepared.statement, holds, seed)


def _as_shown(value: Any, kind: Kind | None) -> Any:
    """A vector has one axis; the atoms of a random letter, and their weights, stand as they are."""
    return value[:, 0] if kind is not None and is_vector(kind.shape) else np.squeeze(value) if kind is None else value


def _own(index: tuple[int, ...], pair: tuple[Term, Term]) -> tuple[int, ...]:
    """Where an entry stands: free indices in their order, then the axes that have an extent."""
    shape = pair[1].shape if pair[0].zero else pair[0].shape
    free, own = index[: len(index) - len(shape)], index[len(index) - len(shape) :]
    return (*free[::-1], *(k for k, size in zip(own, shape, strict=True) if not is_one(size)))


def taken_for(name: str, kind: Kind) -> str:
    """What a letter was taken for: "A: a matrix n × m", "z: a complex number"."""
    if kind.value is not None:
        return f"{name} = {kind.value:g}"
    if kind.integer is not None:
        return f"{name}: a whole number from {kind.integer[0]} to {kind.integer[1]}"
    english = [getattr(kind.word, "english", "")] if kind.word is not None else []
    english += ["complex"] if kind.complex else []
    what = "number" if not kind.shape else "vector" if is_vector(kind.shape) else "matrix"
    what = what if is_matrix(kind.shape) or len(kind.shape) < 3 else "array"
    return f"{name}: a {' '.join(filter(None, [*english, what]))}"


__all__ = [
    "NoEvidence",
    "Prepared",
    "StatementError",
    "StatementVerdict",
    "check_statement",
    "decide",
    "prepare",
]
