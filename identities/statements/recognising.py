"""The catalogue's closed form for the derivative of a function that a user writes: recognised by value.

The user's F(X) and each identity f(P) of the book are evaluated at random draws.  F is known if F = c f + d, where P
stands for X or its transpose, the other operands of f for the user's letters, their transposes, I, a vector of ones, or
zero, c is a number, and d does not depend on X.  Shapes and degrees of homogeneity rule most assignments out before
anything is evaluated.  What is found is decided as a statement of its own, by differences, before it is shown.
"""

from __future__ import annotations

import dataclasses
import fractions
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from identities.statements import numbers, plain, writing
from identities.statements.deciding import DIFFERENT, Decider
from identities.statements.deciding import SAME as AGREE
from identities.statements.declarations import declare
from identities.statements.environment import Array
from identities.statements.errors import StatementError, TooLarge, Unread
from identities.statements.known import Known, catalogue, degree_of, size_of
from identities.statements.latex import read_definitions, read_side
from identities.statements.meaning import Kind, Meaning, Term
from identities.statements.places import UNUSABLE, Place, Trial
from identities.statements.syntax import (
    Add,
    Constant,
    Derivative,
    Letter,
    Marked,
    Node,
    Number,
    Product,
    Statement,
    Target,
    walk,
)

SECONDS = 6.0  # for one search
DRAWS = 4
SAME = 1e-8
MOST = 4000  # assignments of one identity
LADDERS = ((3, 4, 2, 5), (2, 3, 4, 5), (5, 4, 3, 2))  # sizes: a determinant of A X B vanishes at some of them
SHOWN = 6  # candidates that are decided as statements


@dataclasses.dataclass(frozen=True)
class Stands:
    """What an operand of an identity stands for: a letter, its transpose, or a unit."""

    text: str  # "A", "A'", "I", "1", "0", "3"
    node: Node
    values: tuple[Array, ...]  # at each draw
    letter: str = ""
    rank: int = 0  # how far from plain: 0 a letter, 1 a transpose, 2 a unit, 3 zero


@dataclasses.dataclass(frozen=True)
class Hit:
    """A claim of the book that gives the derivative, with the closed form in the user's letters."""

    claim: str
    statement: str  # of the claim
    closed_form: str  # in the user's letters and notation
    latex: str  # the same in LaTeX; "" where it cannot be written
    operands: Mapping[str, str]  # what each operand of the identity stands for
    factor: float  # the function is so many times that of the identity,
    constant: bool  # plus a term that does not depend on the operand
    exact: bool  # renamed only: no factor, no added term, no transpose, no unit
    conditions: tuple[str, ...]
    sources: tuple[str, ...]
    worst: float  # how well differences agree with the closed form, and in how many draws
    draws: int
    parts: tuple[Hit, ...] = ()  # where the terms of a sum were recognised one by one

    def to_json(self) -> dict[str, Any]:
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        found["operands"], found["parts"] = dict(self.operands), [part.to_json() for part in self.parts]
        return found


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the book knows about the derivative of a function: hits, the best first; none where it does not know it."""

    text: str
    wrt: str
    hits: tuple[Hit, ...]
    letters: tuple[str, ...]
    seconds: float
    cut: bool = False  # whether the search ran out of time before all identities were tried

    def __bool__(self) -> bool:
        return bool(self.hits)


def derivative(
    text: str, wrt: str, declare_: str | Sequence[str] = (), *, let: str | Sequence[str] = (), seed: int = 0
) -> Answer:
    """The book's closed form for the derivative of `text` by the letter `wrt`.

    Raises StatementError where the text is not read, or where it cannot be evaluated.
    """
    from identities.statements.checking import clauses

    started = time.monotonic()
    try:
        asked = Asked(text, wrt, clauses(declare_, let, None), seed, started + SECONDS)
        hits = asked.hits()
    except RecursionError:
        raise Unread("brackets, marks or signs stand too deep within each other") from None
    except (TooLarge, MemoryError):
        raise StatementError("a value of the function is too large") from None
    return Answer(text, asked.wrt, tuple(hits), tuple(asked.letters()), time.monotonic() - started, asked.cut)


class Asked:
    """The function that is asked about, evaluated at draws."""

    def __init__(
        self, text: str, wrt: str, declared: tuple[str, ...], seed: int, until: float, node: Node | None = None
    ):
        self.text, self.declared, self.seed, self.until = text, declared, seed, until
        known = declare(declared)
        self.plain = plain.is_plain(text)
        if node is None:
            try:
                node = (plain.read_side if self.plain else read_side)(text, known.vocabulary())
            except Unread as error:
                if error.at is not None and text[error.at[0] : error.at[1]] in ("=", "=="):
                    raise Unread("a function was expected, without '='", error.at, text) from None
                raise
        self.ascii = self.plain or (text.isascii() and "\\" not in text)  # in which notation the answer is written
        self.node = node
        self.trees: dict[str, Node] = {}  # of each hit, its closed form
        self.wrt = plain.read_side(wrt).name if wrt.isidentifier() and not wrt.startswith("\\") else wrt.lstrip("\\")  # type: ignore[attr-defined]
        self.reading = plain.customs(node, known) if self.plain else known
        decider = self.decider((node, node))
        if self.wrt not in decider.meaning.kinds:
            names = ", ".join(decider.meaning.kinds) or "no letter"
            raise Unread(f"{wrt!r} is no letter of the function, which has {names}")
        self.trial = Trial(decider)
        self.kinds = decider.meaning.kinds
        self.term: Term = decider.pairs[0][0]
        self.draw()

    def decider(self, sides: tuple[Node, ...], fresh: bool = False) -> Decider:
        """A decider of an equation in the user's letters; sizes are tied for good, so each gets its own."""
        known = self.reading
        if fresh:
            known = declare(self.declared)
            known = plain.customs(Statement((0, 0), sides), known) if self.plain else known
        read_lets = plain.read_definitions if self.plain else read_definitions
        lets = [one for text in known.lets for one in read_lets(text, known.vocabulary())]
        meaning = Meaning(self.text, known.final_kinds(), lets, known.reading(), known.sizes)
        return Decider(Statement((0, len(self.text)), sides), meaning)

    def draw(self) -> None:
        """Values of all letters at two places of X, at each draw; at sizes where the function depends on X."""
        problem, defined = "", False
        self.ladders: list[tuple[int, ...]] = []
        for ladder in LADDERS:
            if self.sized(self.trial, ladder):
                problem = self.drawn(problem)
                defined = defined or len(self.first) == DRAWS
                if len(self.first) == DRAWS and any(
                    size_of(gap) > SAME * max(1.0, size_of(v)) for gap, v in zip(self.gaps, self.values, strict=True)
                ):
                    self.ladders.append(ladder)
        if self.ladders:
            self.sized(self.trial, self.ladders[0])
            self.drawn(problem)
            return
        if not defined:
            hint = "; declare a letter Positive or PosDef, if it is" if "positive" in problem else ""
            raise StatementError(f"the function cannot be evaluated: {problem or 'nothing could be drawn'}{hint}")
        raise StatementError(f"the function does not depend on {self.wrt}: its derivative is zero")

    @staticmethod
    def sized(trial: Trial, ladder: tuple[int, ...]) -> bool:
        """Set the sizes to those of a ladder."""
        return trial.set([ladder[k % len(ladder)] + k // len(ladder) for k in range(len(trial.open))])

    def steady(self, values: Mapping[str, Array], value: Array) -> bool:
        """Whether the function changes little next by: ln det of a matrix that is singular up to rounding does not."""
        near = self.at({**values, self.wrt: values[self.wrt] * (1 + 1e-10)})
        return size_of(near - value) <= 1e-6 * max(1.0, size_of(value))

    def drawn(self, problem: str) -> str:
        """Draw at the sizes that are set; gives what kept a draw from being used."""
        self.first: list[dict[str, Array]] = []
        self.second: list[dict[str, Array]] = []
        self.gaps: list[Array] = []
        self.values: list[Array] = []
        for k in range(60):
            if len(self.first) == DRAWS:
                break
            try:
                one = dict(self.trial.general(self.seed + 2 * k).values)
                other = dict(one) | {self.wrt: self.trial.general(self.seed + 2 * k + 1).values[self.wrt]}
                a, b = self.at(one), self.at(other)
                steady = self.steady(one, a) and self.steady(other, b)
            except UNUSABLE as error:
                problem = str(error)
                continue
            if steady and np.isfinite(a).all() and np.isfinite(b).all():
                self.first.append(one)
                self.second.append(other)
                self.gaps.append(b - a)
                self.values.append(a)
        return problem

    def at(self, values: Mapping[str, Array]) -> Array:
        with np.errstate(all="ignore"):
            found = numbers.real_if_close(np.asarray(self.term.run(self.trial.env(Place(values, {})))))
        if np.iscomplexobj(found):
            raise numbers.Unusable("the function is complex, and only real ones are looked up")
        return found

    def letters(self) -> list[str]:
        from identities.statements.checking import taken_for

        return [taken_for(name, kind) for name, kind in self.kinds.items()]

    @functools.cached_property
    def degrees(self) -> dict[str, float | None]:
        """Of each letter: the degree in which F(X1) - F(X0) is homogeneous; None where it is not."""

        def gap(scaled: str, by: float, k: int) -> Array:
            a = {n: v * by if n == scaled else v for n, v in self.first[k].items()}
            b = {n: v * by if n == scaled else v for n, v in self.second[k].items()}
            return self.at(b) - self.at(a)

        return {name: degree_of(functools.partial(gap, name)) for name in self.kinds}

    # -- candidates -----------------------------------------------------------------------------------------------

    def stands(self, shape: tuple[int, ...], zero: bool, integer: tuple[int, int] | None) -> list[Stands]:
        """What an operand of this shape may stand for."""
        found: list[Stands] = []
        for name, kind in self.kinds.items():
            values = tuple(draw[name] for draw in self.first)
            letter = Letter((0, 0), name)
            if name == self.wrt or kind.complex or (integer is not None) != (kind.integer is not None):
                continue
            if values[0].shape == shape:
                found.append(Stands(name, letter, values, name))
            if len(shape) == 2 and 1 not in shape and values[0].shape == shape[::-1]:
                turned = tuple(v.T for v in values)
                if not all(np.array_equal(v, t) for v, t in zip(values, turned, strict=True)):
                    found.append(Stands(f"{name}'", Marked((0, 0), letter, "T"), turned, name, 1))
        if integer is not None:
            low, high = integer
            return found + [
                Stands(str(k), Number((0, 0), float(k)), (np.asarray(float(k)),) * DRAWS, "", 2)
                for k in range(low, high + 1)
            ]
        units: list[tuple[str, Node, Array]] = []
        if len(shape) == 2 and shape[0] == shape[1]:
            units.append(("I", Constant((0, 0), "I"), np.eye(shape[0])))
        elif len(shape) == 2 and shape[1] == 1:
            units.append(("1", Constant((0, 0), "1"), np.ones(shape)))
        elif not shape:
            units.append(("1", Number((0, 0), 1.0), np.asarray(1.0)))
        found += [Stands(text, node, (value,) * DRAWS, "", 2) for text, node, value in units]
        if zero:
            found.append(Stands("0", Number((0, 0), 0.0), (np.zeros(shape),) * DRAWS, "", 3))
        return found

    def assignments(self, known: Known, turned: bool) -> Iterator[dict[str, Stands]]:
        """Every assignment of the other operands that fits in shape, and in degree where that is known."""
        x0 = self.first[0][self.wrt]
        shape = x0.shape[::-1] if turned else x0.shape
        dims: dict[str, int] = {}
        if not known.fits(known.wrt, shape, dims):
            return
        needed = {n for n, d in self.degrees.items() if d != 0 and n != self.wrt}
        own = known.degree(known.wrt)
        mine = self.degrees[self.wrt]
        if own is not None and own != mine:
            return
        others = [name for name in known.operands if name != known.wrt]
        if len(needed) > len(others):
            return
        count = 0

        def extend(k: int, dims: dict[str, int], chosen: dict[str, Stands]) -> Iterator[dict[str, Stands]]:
            nonlocal count
            if k == len(others):
                count += 1
                if self.plausible(known, chosen, needed):
                    yield chosen
                return
            missing = needed - {s.letter for s in chosen.values()}
            if count > MOST or len(missing) > len(others) - k:
                return
            name = others[k]
            for fitting, bound in self.fitting(known, name, dims):
                yield from extend(k + 1, bound, {**chosen, name: fitting})

        # operands whose shape is known by then come first
        others.sort(key=lambda n: (not set(known.dims_of(n)) <= dims.keys(), list(known.operands).index(n)))
        yield from extend(0, dims, {})

    def fitting(self, known: Known, name: str, dims: dict[str, int]) -> Iterator[tuple[Stands, dict[str, int]]]:
        shapes = {v.shape for v in self.first[0].values()} | {v.shape[::-1] for v in self.first[0].values()}
        shapes |= {s[:1] * 2 for s in shapes if len(s) == 2}
        for shape in sorted(shapes | {()}):
            bound = dict(dims)
            if known.fits(name, shape, bound):
                for one in self.stands(shape, known.may_vanish(name), known.integer(name)):
                    yield one, bound

    def plausible(self, known: Known, chosen: Mapping[str, Stands], needed: set[str]) -> bool:
        """Whether the degrees of the identity in its operands give those of the function in its letters."""
        if not needed <= {s.letter for s in chosen.values()}:
            return False
        if any(s.rank == 3 for s in chosen.values()):
            return True  # degrees change where an operand vanishes
        for letter in needed:
            found = [known.degree(name) for name, s in chosen.items() if s.letter == letter]
            mine = self.degrees[letter]
            if None not in found and (mine is None or abs(sum(map(float, found)) - mine) > 1e-6):  # type: ignore[arg-type]
                return False
        return True

    def factor(self, known: Known, chosen: Mapping[str, Stands], turned: bool) -> float | None:
        """The c of F = c f + d, if there is one."""
        c: float | None = None
        for k in range(DRAWS):
            others = {name: s.values[k] for name, s in chosen.items()}
            x0, x1 = self.first[k][self.wrt], self.second[k][self.wrt]
            if turned:
                x0, x1 = x0.T, x1.T
            if not known.admits({**others, known.wrt: x0}):
                return None
            try:
                gap = known.at({**others, known.wrt: x1}) - known.at({**others, known.wrt: x0})
            except UNUSABLE:
                return None
            mine = self.gaps[k]
            if gap.shape != mine.shape or not np.isfinite(gap).all() or not gap.any():
                return None
            if c is None:
                c = float(np.vdot(gap, mine) / np.vdot(gap, gap))
            if np.max(np.abs(mine - c * gap)) > SAME * max(size_of(mine), abs(c) * size_of(gap)) or abs(c) < 1e-9:
                return None
        return c

    def hits(self) -> list[Hit]:
        """The claims that give the derivative, the simplest first."""
        found: list[tuple[Any, Known, dict[str, Stands], bool, float]] = []
        self.cut = False
        for known in catalogue():
            for turned in (False, True):
                if turned and (self.first[0][self.wrt].ndim != 2 or 1 in self.first[0][self.wrt].shape):
                    continue
                for chosen in self.assignments(known, turned):
                    if time.monotonic() > self.until:
                        self.cut = True
                        break
                    c = self.factor(known, chosen, turned)
                    if c is not None:
                        cost = (turned, sum(s.rank for s in chosen.values()), abs(c - 1) > 1e-9)
                        found.append((cost, known, chosen, turned, c))

        def rank(one: tuple[Any, Known, dict[str, Stands], bool, float]) -> tuple[Any, ...]:
            cost, known, chosen, turned, _ = one
            same = self.tidy(known.named({n: s.node for n, s in chosen.items()}, self.wrt, turned)) == self.tidy(
                self.node
            )
            return sum(map(int, cost)), not same, not known.claim.given, known.unprinted, len(known.claim.latex)

        found.sort(key=rank)
        hits: dict[str, Hit] = {}  # by claim: the same claim with other letters tells nothing new
        forms: set[str] = set()
        for _, known, chosen, turned, c in found[: 4 * SHOWN]:
            if known.claim.name in hits or len(hits) == 2 * SHOWN:
                continue
            hit = self.hit(known, chosen, turned, c)
            if hit is not None and (hit.closed_form or hit.statement) not in forms:
                forms.add(hit.closed_form or hit.statement)
                hits[hit.claim] = hit
        exact = sorted(hits.values(), key=lambda h: (not h.closed_form, not h.exact, len(h.closed_form)))[:SHOWN]
        return exact or self.by_terms()

    def hit(self, known: Known, chosen: Mapping[str, Stands], turned: bool, c: float) -> Hit | None:
        """The closed form in the user's letters, verified by differences; None where that fails."""
        closed = known.closed_form({n: s.node for n, s in chosen.items()}, self.wrt, turned)
        if closed is None:
            return None
        near = fractions.Fraction(c).limit_denominator(64)
        c = float(near) if abs(c - float(near)) < 1e-9 * abs(c) else c
        closed = self.tidy(Product((0, 0), (writing.number(c), closed)) if c != 1 else closed)
        decision = self.decided(closed)
        if decision is None:
            return None
        self.trees[known.claim.name] = closed
        constant = any(
            size_of(
                value
                - c
                * known.at(
                    {**{n: s.values[k] for n, s in chosen.items()}, known.wrt: _turned(self.first[k][self.wrt], turned)}
                )
            )
            > 1e-7 * max(1.0, size_of(value))
            for k, value in enumerate(self.values)
        )
        stands = {known.wrt: self.wrt + ("'" if turned else "")} | {n: s.text for n, s in chosen.items()}
        renamed = all(s.rank == 0 for s in chosen.values()) and len({s.text for s in chosen.values()}) == len(chosen)
        exact = c == 1 and not constant and not turned and renamed
        claim = known.claim
        return Hit(
            claim.name,
            claim.statement,
            self.written(closed),
            _latex(closed),
            {name: stands[name] for name in known.operands},
            c,
            constant,
            exact,
            tuple(claim.conditions),
            tuple(map(str, claim.sources)),
            *decision,
        )

    def tidy(self, node: Node) -> Node:
        scalars = [n for n, kind in self.kinds.items() if not kind.shape]
        symmetric = [n for n, kind in self.kinds.items() if _is_symmetric(kind)]
        return writing.simplified(node, scalars, symmetric)

    def decided(self, closed: Node) -> tuple[float, int] | None:
        """The statement that the derivative is this, decided by differences; None where it is not true."""
        left = Derivative((0, 0), self.node, (Target((0, 0), self.wrt),))
        try:
            trial = Trial(self.decider((left, closed), fresh=True))
        except (*UNUSABLE, RecursionError):
            return None
        worst, count = 0.0, 0
        for ladder in self.ladders:
            if not self.sized(trial, ladder):
                return None
            good = 0
            for k in range(20):
                if good == DRAWS:
                    break
                try:
                    links = trial.links(trial.general(self.seed + 100 + k))
                except UNUSABLE:
                    continue
                if links is None or links[0].note == "zero":
                    continue
                if links[0].worst > AGREE:
                    if links[0].worst >= DIFFERENT:
                        return None
                    continue  # an ill-conditioned draw, which tells nothing
                good, worst = good + 1, max(worst, links[0].worst)
            count += good
        return (worst, count) if count >= DRAWS else None

    def written(self, node: Node) -> str:
        from identities.engine.unicode import plain as unicode

        try:
            if self.ascii:
                return writing.plain(node)
            text = writing.latex(node)
            return text if "\\" in self.text else unicode(text)
        except writing.Unwritable:
            return ""

    # -- sums, and numbers before a function --------------------------------------------------------------------------

    def by_terms(self) -> list[Hit]:
        """Where the whole is not known: each term of a sum, and what stands behind numbers that do not hold X."""
        node = self.node
        if isinstance(node, Product):
            return self.behind_numbers(node)
        if not isinstance(node, Add) or len(node.terms) < 2:
            return []
        parts: list[tuple[int, Hit, Node]] = []
        for sign, term in node.terms:
            if self.wrt not in {n.name for n in walk(term) if isinstance(n, Letter)}:
                continue
            found = self.of_part(term)
            if found is None:
                return []
            parts.append((sign, *found))
        total = self.tidy(Add((0, 0), tuple((sign, closed) for sign, _, closed in parts)))
        return self.joined(total, tuple(hit for _, hit, _ in parts))

    def behind_numbers(self, node: Product) -> list[Hit]:
        def is_free_number(f: Node) -> bool:
            names = {n.name for n in walk(f) if isinstance(n, Letter)}
            return self.wrt not in names and not self.decider((f, f), fresh=True).sides[0].shape

        try:
            free = [f for f in node.factors if is_free_number(f)]
            others = tuple(f for f in node.factors if not is_free_number(f))
        except StatementError:  # a factor that means something beside its neighbours only
            return []
        if not free or not others:
            return []
        rest = others[0] if len(others) == 1 else Product((0, 0), others)
        found = self.of_part(rest)
        return [] if found is None else self.joined(self.tidy(Product((0, 0), (*free, found[1]))), (found[0],))

    def of_part(self, part: Node) -> tuple[Hit, Node] | None:
        """The best hit of a part, with its closed form as a tree."""
        try:
            inner = Asked(self.text, self.wrt, self.declared, self.seed, self.until, part)
            hits = inner.hits()
        except StatementError:
            return None
        if not hits or not hits[0].closed_form:
            return None
        return hits[0], inner.trees[hits[0].claim]

    def joined(self, closed: Node, parts: tuple[Hit, ...]) -> list[Hit]:
        decision = self.decided(closed)
        if decision is None:
            return []
        names = " + ".join(part.claim for part in parts)
        self.trees[names] = closed
        conditions = tuple(dict.fromkeys(c for part in parts for c in part.conditions))
        sources = tuple(dict.fromkeys(s for part in parts for s in part.sources))
        return [
            Hit(
                names,
                "",
                self.written(closed),
                _latex(closed),
                {},
                1.0,
                False,
                False,
                conditions,
                sources,
                *decision,
                parts,
            )
        ]


def _turned(value: Array, turned: bool) -> Array:
    return value.T if turned else value


def _latex(node: Node) -> str:
    try:
        return writing.latex(node)
    except writing.Unwritable:
        return ""


def _is_symmetric(kind: Kind) -> bool:
    return kind.word is not None and getattr(kind.word, "space", None) in (
        "symmetric",
        "diagonal",
        "symmetric toeplitz",
    )


__all__ = ["Answer", "Hit", "derivative"]
