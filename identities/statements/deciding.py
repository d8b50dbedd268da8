"""Whether a statement is true: its sides are evaluated at random draws and compared.

Sizes that nothing ties together are drawn different, in both orders, so that a matrix is once tall and once wide.  A
draw that is ill-conditioned or outside of a domain is drawn again.  Sides agree within `SAME` of their size, differ
beyond `DIFFERENT`; what lies between decides nothing.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from identities.engine import operands
from identities.statements import differences, expectations, numbers
from identities.statements.cursor import INDICES
from identities.statements.environment import MOST_WORK, Array, Env, Work, lead, must_fit, must_join
from identities.statements.errors import NoEvidence, StatementError, TooLarge, Unforeseen, Unread, WrongShapes
from identities.statements.meaning import Kind, Meaning, Term
from identities.statements.shapes import ONE, Size, extents, is_matrix, is_one, product, tie, words
from identities.statements.syntax import (
    Apply,
    Big,
    Delta,
    Given,
    Letter,
    Marked,
    Node,
    Power,
    SingleEntry,
    Statement,
    Target,
    walk,
)

SAME = 1e-6  # differences of sixth order keep ten digits of a first derivative and eight of a second one
DIFFERENT = 1e-3
AGAIN = 1e-2  # by how much of itself a difference of the sides may change with a smaller step, and still refute
TRIES = 40
LADDERS = ((3, 4, 2, 5), (4, 3, 5, 2), (2, 3, 4, 5), (5, 4, 3, 2), (2, 2, 2, 2))  # in the order of the letters
RISING, FALLING, SQUARE = 2, 3, 4  # the first two of these are tried where the mixed ones gave nothing


@dataclasses.dataclass(frozen=True)
class Link:
    """One `=` of a chain, or one equation that stands behind it."""

    left: str
    right: str
    holds: bool
    worst: float  # the largest difference, over the size of the sides
    index: tuple[int, ...] = ()
    values: tuple[Any, Any] = (None, None)  # left and right, at the worst entry
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Draw:
    """Where a link was refuted, or one draw where all held."""

    sizes: Mapping[str, int]
    operands: Mapping[str, Array]
    tangents: Mapping[str, Array]
    seed: int


@dataclasses.dataclass(frozen=True)
class Decision:
    ok: bool
    links: tuple[Link, ...]
    draw: Draw
    draws: int
    evidence: bool = True

    @property
    def worst(self) -> float:
        return max((link.worst for link in self.links), default=0.0)


@contextlib.contextmanager
def in_a_sentence(text: str) -> Iterator[None]:
    """The one place where what Python and NumPy raise becomes a StatementError."""
    try:
        yield
    except StatementError:
        raise
    except RecursionError:
        raise TooLarge("brackets, marks, definitions or recursions stand too deep within each other") from None
    except MemoryError:
        raise TooLarge("a value is too large for the memory of this machine") from None
    except ValueError as error:
        if "shape" not in str(error) and "broadcast" not in str(error) and "dimension" not in str(error):
            raise Unforeseen(_first_line(error), None, text) from error
        raise WrongShapes(
            f"at the sizes that were drawn, shapes do not fit: {_first_line(error)}", None, text
        ) from None
    except numbers.Unusable as error:
        raise NoEvidence(f"no draw decides: {error}", None, text) from None
    except (ArithmeticError, LookupError, TypeError, AttributeError, AssertionError, NotImplementedError) as error:
        raise Unforeseen(_first_line(error), None, text) from error


def _first_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class Decider:
    """A statement with all that is declared about it, ready to be evaluated."""

    def __init__(self, statement: Statement, meaning: Meaning):
        with in_a_sentence(meaning.text):
            self._prepare(statement, meaning)

    def _prepare(self, statement: Statement, meaning: Meaning) -> None:
        self.statement = statement
        self.meaning = meaning
        self.text = meaning.text
        self.work = Work()
        nodes = [
            n for side in (statement, *meaning.definitions.values(), *meaning.functions.values()) for n in walk(side)
        ]
        meaning.everywhere = collections.Counter(n.name for n in nodes if isinstance(n, Letter))
        meaning.index_letters = index_letters(nodes)
        meaning.whole = powers_of_matrices(nodes) - meaning.index_letters
        meaning.conjugates = any(isinstance(n, (Marked, Target)) and n.mark in ("H", "*") for n in nodes) or any(
            isinstance(n, Apply) and n.function in ("Re", "Im") for n in nodes
        )
        for node in nodes:
            if isinstance(node, Given):
                meaning.define_behind(node)
        self.sides = [meaning.of(side) for side in statement.sides]
        self.pairs: list[tuple[Term, Term]] = list(itertools.pairwise(self.sides))
        self.premises = [(meaning.of(one.left), meaning.of(one.right)) for one in statement.premises]
        letters = set(meaning.kinds)
        for fact in list(meaning.facts):
            self.pairs.append((meaning.of(fact.left), meaning.of(fact.right)))
            new = sorted(set(meaning.kinds) - letters)
            if new:
                raise Unread(f"this does not say what {', '.join(new)} stands for", fact.at, self.text)
        self.pairs = [self.matched(a, b) for a, b in self.pairs]
        self.premises = [self.matched(a, b) for a, b in self.premises]
        self.laws = {
            name: [self.parameter(name, word) for word in words[1:]] for name, words in meaning.reading.random.items()
        }
        self.letters = list(meaning.kinds)
        self._open = self._roots()  # now, before anything gives them values

    def parameter(self, name: str, word: str) -> Term | None:
        """The mean or the covariance of a Gaussian letter, with the sizes of the letter; None is zero."""
        if word == "0":
            return None
        term = self.meaning.of(Letter((0, 0), word))
        size = self.meaning.kinds[name].shape[0]
        if not term.shape or not tie(term.shape[0], size) or (is_matrix(term.shape) and not tie(term.shape[1], size)):
            raise WrongShapes(f"{word} has not the size of {name}", None, self.text)
        return term

    # -- shapes ---------------------------------------------------------------------------------------------------

    def matched(self, a: Term, b: Term) -> tuple[Term, Term]:
        """The sides with one shape.  A side that names its axes is opened beside a number that names them too."""
        if a.zero or b.zero:
            return a, b
        if a.spectrum or b.spectrum:
            return self.unordered(a, b)
        if a.names and not b.shape and a.shape:
            return self.opened(a), b
        if b.names and not a.shape and b.shape:
            return a, self.opened(b)
        free = tuple(self.meaning.free)
        for array, number in ((a, b), (b, a)):  # A = ∂g/∂x_{ij}: entry by entry, the indices in the order of the text
            if array.shape and not number.shape and len(free) == len(extents(array.shape)):
                entry = self.opened(dataclasses.replace(array, names=free))
                return (entry, b) if array is a else (a, entry)
        before = words(a.shape), words(b.shape)
        fits = len(a.shape) == len(b.shape) and all(map(tie, a.shape, b.shape))
        if not fits:
            hint = ""
            if len(a.shape) == len(b.shape) == 2:
                hint = "; in the other layout, one side is transposed"
            raise WrongShapes(f"the left side is {before[0]}, the right side {before[1]}{hint}", b.at, self.text)
        return a, b

    def unordered(self, a: Term, b: Term) -> tuple[Term, Term]:
        """Eigenvalues, compared with a column, a matrix or a number for each index as sets with multiplicities."""
        sizes = []
        for term in (a, b):
            if not term.shape and len(self.meaning.free) != 1:
                raise WrongShapes("eigenvalues are not equal to one number", term.at, self.text)
            size = product(*term.shape) if term.shape else next(iter(self.meaning.free.values())).size
            sizes.append(size)
        if not tie(*sizes):
            raise WrongShapes(f"there are {sizes[0]!r} values on the left, {sizes[1]!r} on the right", b.at, self.text)

        def sorted_of(term: Term) -> Term:
            def run(env: Env) -> Array:
                value = term.run(env).ravel()
                order = np.lexsort((np.round(value.imag, 9), np.round(value.real, 9)))
                return value[order].reshape((1,) * env.depth + (-1, 1))

            return Term((sizes[0], ONE), run, term.at)

        return sorted_of(a), sorted_of(b)

    def opened(self, term: Term) -> Term:
        from identities.statements.environment import pick

        sizes = extents(term.shape)
        for name, size in zip(term.names, sizes, strict=True):
            bound = self.meaning.index(name)
            tie(bound.size, size)
        rank, lost = len(sizes), [k - len(term.shape) for k, s in enumerate(term.shape) if is_one(s)]

        def run(env: Env) -> Array:
            value = term.run(env)
            value = np.squeeze(value, axis=tuple(lost)) if lost else value
            return pick(value, rank, [env.indices[n].astype(np.intp) - 1 for n in term.names])

        return Term((), run, term.at)

    # -- draws ----------------------------------------------------------------------------------------------------

    def roots(self) -> list[Size]:
        """The sizes that were open when the statement was read, in the order of the letters."""
        return self._open

    def _roots(self) -> list[Size]:
        """The open sizes, in the order of the letters."""
        found: dict[int, Size] = {}
        seen: set[int] = set()

        def see(shape: Sequence[Size]) -> None:
            for size in shape:
                one = size.find()
                if one.made and id(one) not in seen:
                    seen.add(id(one))
                    see((*one.product, *one.sum))
                elif not one.made and one.value is None:
                    found.setdefault(id(one), one)

        for kind in self.meaning.kinds.values():
            see(kind.shape)
        for size in self.meaning.sizes.values():
            see((size,))
        for bound in (*self.meaning.free.values(), *self.meaning.bound.values()):
            see((bound.size,))
        for term in self.sides:
            see(term.shape)
        return list(found.values())

    def drawn(self, seed: int, sizes: Mapping[int, int]) -> tuple[Env, Draw]:
        rng = np.random.default_rng((seed, 7))
        values, tangents = {}, {}
        for name, kind in self.meaning.kinds.items():
            if name not in self.laws:
                values[name] = self.value(kind, rng)
        for name in sorted(self.meaning.varied):
            kind = self.meaning.kinds[name]
            tangents[name] = _tangent(kind, rng, values[name])
        env = Env(values, tangents=tangents, work=self.work)
        if self.laws:
            values |= self.atoms(env, rng)
            env = Env(values, tangents=tangents, work=self.work)
        for name, bound in self.meaning.free.items():
            first = 1 if bound.first is None else bound.first
            must_fit((int(bound.size),))
            env = env.binding(name, np.arange(first, first + int(bound.size)))
        shown = {name: int(size) for name, size in self.meaning.sizes.items() if size.find().value is not None}
        return env, Draw(shown, values, tangents, seed)

    def atoms(self, env: Env, rng: np.random.Generator) -> dict[str, Array]:
        """The weights and the atoms of the random letters."""
        shapes = {name: tuple(int(s) for s in self.meaning.kinds[name].shape) for name in self.laws}
        parameters = {
            name: (m.run(env) if m else np.zeros(shapes[name]), s.run(env))
            for name, terms in self.laws.items()
            if terms
            for m, s in [terms]
            if s
        }
        return expectations.drawn(self.meaning.reading.random, shapes, parameters, rng)

    def value(self, kind: Kind, rng: np.random.Generator) -> Array:
        shape = tuple(int(s) for s in kind.shape)
        must_fit(shape)
        self.work.spend(10 * math.prod(shape) * max(shape, default=1))
        if kind.value is not None:
            return np.full(shape, kind.value)
        if kind.integer is not None:
            low, high = kind.integer
            return np.asarray(float(rng.integers(low, high + 1)))
        if kind.word is not None:
            core = tuple(int(s) for s in extents(kind.shape))
            return np.asarray(operands.draw(kind.word, rng, core)).reshape(shape)
        if kind.complex:
            return operands.complex_gaussian(rng, shape)
        if is_matrix(kind.shape) and shape[0] == shape[1]:
            return np.asarray(operands.draw(operands.Invertible, rng, shape))
        return rng.standard_normal(shape) if shape else np.asarray(rng.uniform(0.4, 1.6) * rng.choice([-1.0, 1.0]))

    # -- comparison -----------------------------------------------------------------------------------------------

    def compare(self, pair: tuple[Term, Term], env: Env, seed: int) -> Link:
        a, b = pair
        left, right = a.run(env), b.run(env)
        rank = len(a.shape) if not a.zero else len(b.shape)
        if a.zero or b.zero:
            known = right if a.zero else left
            left = np.zeros_like(known) if a.zero else left
            right = np.zeros_like(known) if b.zero else right
        left, right = lead(left, rank, env.depth), lead(right, rank, env.depth)
        must_join(left, right)
        left, right = np.broadcast_arrays(left, right)
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            raise numbers.Unusable("a side is not finite")
        gap = np.abs(left - right)
        size = max(float(np.max(np.abs(left), initial=0.0)), float(np.max(np.abs(right), initial=0.0)))
        worst = float(np.max(gap, initial=0.0))
        at = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.size else ()
        relative = worst / size if size > 1e-7 else worst
        values = (left[at], right[at]) if gap.size else (0.0, 0.0)
        where = tuple(int(k) for k in at[env.depth :]) if env.depth == 0 else tuple(int(k) for k in at)
        note = ""
        if size <= 1e-7 and not (a.zero or b.zero):
            note = "zero"
        return Link(self.shown(a), self.shown(b), relative <= SAME, relative, where, values, note)

    def shown(self, term: Term) -> str:
        return self.text[term.at[0] : term.at[1]].strip()

    def decide(self, seed: int = 0, draws: int = 4) -> Decision:
        """Evaluate at `draws` draws of each ladder of sizes.  Raises NoEvidence, WrongShapes, TooLarge."""
        self.work = Work(MOST_WORK * max(1.0, draws / 4))
        with in_a_sentence(self.text):
            return self._decided(seed, draws)

    def _decided(self, seed: int, draws: int) -> Decision:
        best: list[Link] | None = None
        zero = [True] * len(self.pairs)
        last: Draw | None = None
        done = 0
        reasons: dict[str, int] = {}
        for ladder_number, ladder in enumerate(LADDERS):
            if ladder_number in (RISING, FALLING) and done:
                continue
            self.set_sizes(ladder)
            wanted = draws if ladder_number < SQUARE else 1
            before = done
            good = 0
            for attempt in range(TRIES):
                if good >= wanted:
                    break
                number = seed + 1000 * ladder_number + attempt
                try:
                    with np.errstate(all="ignore"):
                        env, draw = self.drawn(number, {})
                        links = [self.compare(pair, env, number) for pair in self.pairs]
                        broken = [k for k in (self.compare(pair, env, number) for pair in self.premises) if not k.holds]
                except (numbers.Unusable, np.linalg.LinAlgError, FloatingPointError) as error:
                    reasons[str(error)] = reasons.get(str(error), 0) + 1
                    continue
                except StatementError:
                    if ladder_number == SQUARE:  # the square one may lie outside of what indices need
                        break
                    raise
                if broken:
                    premise = f"{broken[0].left} = {broken[0].right}"
                    raise NoEvidence(f"{premise} is not true of what is declared", None, self.text)
                if any(SAME < link.worst < DIFFERENT for link in links):
                    reasons["the sides are too close to tell them apart"] = 1
                    continue
                if not all(link.holds for link in links) and not self.confirmed(links, number):
                    reasons["a difference of the sides depends on the step of the derivatives"] = 1
                    continue
                good += 1
                done += 1
                zero = [z and link.note == "zero" for z, link in zip(zero, links, strict=True)]
                last = draw
                if not all(link.holds for link in links):
                    return Decision(False, tuple(links), draw, done)
                best = (
                    links
                    if best is None
                    else [max(x, y, key=lambda k: k.worst) for x, y in zip(best, links, strict=True)]
                )
        if best is not None and before == 0 and len(self._open) > 1:
            why = max(reasons, key=lambda k: reasons[k]) if reasons else "none could be drawn"
            raise NoEvidence(
                f"only square matrices decide, and nothing says that they are square: {why}", None, self.text
            )
        if best is None or last is None:
            why = max(reasons, key=lambda k: reasons[k]) if reasons else "nothing could be drawn"
            raise NoEvidence(f"no draw decides: {why}", None, self.text)
        if all(zero) and self.pairs:
            raise NoEvidence("both sides are zero in every draw, which tells nothing", None, self.text)
        return Decision(True, tuple(best), last, done)

    def confirmed(self, links: Sequence[Link], number: int) -> bool:
        """Whether the sides differ as much when every derivative is taken with a smaller step."""
        try:
            with np.errstate(all="ignore"), differences.finer():
                env, _ = self.drawn(number, {})
                again = [self.compare(pair, env, number) for pair in self.pairs]
        except (numbers.Unusable, np.linalg.LinAlgError, FloatingPointError):
            return False
        pairs = [(one, two) for one, two in zip(links, again, strict=True) if not one.holds and one.index == two.index]
        gaps = [(one.values[0] - one.values[1], two.values[0] - two.values[1]) for one, two in pairs]
        return any(abs(a - b) <= AGAIN * max(abs(a), abs(b)) for a, b in gaps)

    def set_sizes(self, ladder: Sequence[int]) -> None:
        for k, size in enumerate(self._open):
            size.value = ladder[k % len(ladder)] + k // len(ladder)
        for a, b in self.pairs:
            if not a.zero and not b.zero:
                mine, theirs = [int(s) for s in a.shape], [int(s) for s in b.shape]
                if mine != theirs:
                    raise WrongShapes(f"the sides have the shapes {mine} and {theirs}", b.at, self.text)


def powers_of_matrices(nodes: Sequence[Node]) -> frozenset[str]:
    """The letters that stand in the exponent of a capital: the k of X^k."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, Power):
            base = node.base.base if isinstance(node.base, Marked) else node.base
            if isinstance(base, Letter) and base.name[0].isupper():
                bound = {i.name for n in nodes if isinstance(n, Big) for i in n.indices}
                found |= {n.name for n in walk(node.exponent) if isinstance(n, Letter) and n.name in INDICES} - bound
    return frozenset(found)


def index_letters(nodes: Sequence[Node]) -> frozenset[str]:
    """The letters that can be indices only: of δ_{ij}, of J^{ij}, of ∂/∂X_{ij}, of [...]_{ij}."""
    found: set[str] = set()
    for node in nodes:
        parts: tuple[Node, ...] = ()
        if isinstance(node, Delta):
            parts = (node.left, node.right)
        elif isinstance(node, SingleEntry):
            parts = (node.row, node.column)
        elif isinstance(node, Target):
            parts = node.indices
        found |= {part.name for part in parts if isinstance(part, Letter)}
    return frozenset(found)


def _tangent(kind: Kind, rng: np.random.Generator, value: Array) -> Array:
    if kind.word is not None and kind.shape:
        core = tuple(int(s) for s in extents(kind.shape))
        return np.asarray(operands.direction(kind.word, rng, value.reshape(core))).reshape(value.shape)
    if np.iscomplexobj(value):
        return operands.complex_gaussian(rng, value.shape)
    return rng.standard_normal(value.shape)


__all__ = ["Decider", "Decision", "Draw", "Link", "TooLarge", "in_a_sentence"]
