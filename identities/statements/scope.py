"""The letters of a statement: what is declared and defined, which kind each has, and what was tied together so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from identities.statements import defining, evaluation, numbers
from identities.statements.cursor import INDICES
from identities.statements.environment import Array, Env
from identities.statements.errors import TooLarge, Unread, WrongShapes
from identities.statements.shapes import (
    ONE,
    SCALAR,
    Size,
    column,
    is_column,
    is_matrix,
    tie,
    words,
)
from identities.statements.syntax import (
    Apply,
    At,
    Blocks,
    Columns,
    Constant,
    Definition,
    Differential,
    Entry,
    Letter,
    Marked,
    Node,
    Number,
    Product,
)
from identities.statements.terms import Bound, Kind, Reading, Run, Term

MOST_PARTS = 20_000  # terms that a statement unfolds to, its definitions put in
DEEPEST = 100  # terms within terms


class Scope:
    """The letters of one statement."""

    def __init__(
        self,
        text: str,
        kinds: Mapping[str, Kind] | None = None,
        definitions: Sequence[Definition] = (),
        reading: Reading | None = None,
        sizes: Mapping[str, Size] | None = None,
    ):
        self.text = text
        self.kinds = dict(kinds or {})
        self.reading = reading or Reading()
        self.sizes = dict(sizes or {})
        self.bound: dict[str, Bound] = {}
        self.free: dict[str, Bound] = {}
        self.behind: list[Node] = []  # what stands behind a bar, f|_{x = …}, and was defined
        self.customary: list[str] = []  # letters whose kind nobody declared
        self.parameters: dict[str, Term] = {}
        self.inner: dict[str, str] = {}  # under which names the environment holds parameters
        self.varied: set[str] = set()
        self.definitions: dict[str, Definition] = {}
        self.functions: dict[str, Definition] = {}
        self.recursions: dict[str, defining.Recursion] = {}
        self.made: dict[str, Term] = {}
        self.making: list[str] = []
        self.facts: list[Definition] = []  # definitions of nothing: further equations
        self.families = dict(self.reading.families)
        self.first: dict[str, Term] = {}  # of each recursion: its first member, where it begins, and the step
        self.begin: dict[str, Term] = {}
        self.next: dict[str, Term] = {}
        self.index_letters: frozenset[str] = frozenset()
        self.everywhere: Mapping[str, int] = {}  # how often each letter stands in the statement
        self.whole: frozenset[str] = frozenset()  # letters that are whole numbers, as powers of matrices
        self.parts = 0
        self.depth = 0
        self.conjugates = False  # whether the text conjugates: then letters are complex, where nothing is declared
        self.define(definitions)

    def define(self, definitions: Sequence[Definition]) -> None:
        entries: dict[str, list[Definition]] = {}
        for one in definitions:
            left = one.left
            if isinstance(left, Letter) and isinstance(one.right, Columns):
                self.families[one.right.letter] = (left.name, "columns")
            elif isinstance(left, Letter) and left.name not in self.kinds:
                self.definitions[left.name] = one
            elif isinstance(left, Apply) and left.function not in numbers.ENTRYWISE:
                self.functions[left.function + "'" * left.primed] = one
            elif isinstance(left, Entry) and isinstance(left.base, Letter) and left.base.name not in self.kinds:
                entries.setdefault(left.base.name, []).append(one)
            elif isinstance(left, Entry) and isinstance(left.base, Apply):
                self.functions[left.base.function] = one
            elif isinstance(left, Differential) and isinstance(left.body, Letter):
                self.definitions[f"d{left.body.name}"] = one
            elif self._factorisation(one):
                pass
            else:
                self.facts.append(one)
        for name, found in entries.items():
            indices = [d.left.indices for d in found]  # type: ignore[attr-defined]
            if (
                all(len(one) == 1 for one in indices)
                and len(found) == 2
                and not all(defining.is_number(one[0]) for one in indices)
            ):
                self.recursions[name] = defining.Recursion.of(name, found)
            elif all(len(one) == 1 and defining.is_number(one[0]) for one in indices):
                ordered = sorted(found, key=lambda d: d.left.indices[0].value)  # type: ignore[attr-defined]
                cells = tuple((d.right,) for d in ordered)
                self.definitions[name] = Definition(found[0].at, Letter(found[0].at, name), Blocks(found[0].at, cells))
            else:
                self.definitions[name] = defining.by_entries(found)

    def _factorisation(self, one: Definition) -> bool:
        """X = QR, PX = LU, X = LL^T, (V, λ) of AV = VD: the letters on the right are made from the left."""
        left, right = one.left, one.right
        if isinstance(right, Product) and len(right.factors) == 3:  # A = V diag(λ) V^T
            v, middle, transposed = right.factors
            diagonal = (
                isinstance(middle, Apply) and middle.function == "diag" and isinstance(middle.arguments[0], Letter)
            )
            if diagonal and isinstance(v, Letter) and transposed == Marked(v.at, v, "T"):
                values = middle.arguments[0].name  # type: ignore[attr-defined]
                for name, which in ((v.name, "eigh_vectors"), (values, "eigh_values")):
                    self.definitions[name] = dataclasses.replace(
                        one, left=Letter(left.at, name), right=defining.made(which, left)
                    )
                return True
        if (
            isinstance(right, Product)
            and len(right.factors) == 2
            and all(
                isinstance(defining.bare(f), Letter) and defining.bare(f).name not in self.kinds for f in right.factors
            )
        ):
            first, second = (defining.bare(f).name for f in right.factors)
            if first == second and isinstance(right.factors[1], Marked):
                self.definitions[first] = dataclasses.replace(
                    one, left=Letter(left.at, first), right=defining.made("cholesky", left)
                )
                return True
            if (first, second) == ("Q", "R"):
                for name, which in (("Q", "qr_q"), ("R", "qr_r")):
                    self.definitions[name] = dataclasses.replace(
                        one, left=Letter(left.at, name), right=defining.made(which, left)
                    )
                return True
            if (first, second) == ("L", "U") and isinstance(left, Product) and len(left.factors) == 2:
                matrix = left.factors[1]
                for name in ("L", "U"):
                    made = defining.made(f"lu_{name.lower()}", matrix)
                    self.definitions[name] = dataclasses.replace(one, left=Letter(left.at, name), right=made)
                return True
        return False

    def clash(self, message: str, at: At) -> WrongShapes:
        error = WrongShapes(message, at, self.text)
        error.hint = self.hint()
        return error

    def hint(self) -> str:
        """Which kinds letters have by custom alone, and how another is declared."""
        if not self.customary:
            return ""
        said = ", ".join(f"{name} {_kind_in_words(self.kinds[name])}" for name in self.customary[:6])
        numbers_first = sorted(self.customary, key=lambda name: bool(self.kinds[name].shape))
        other = "vector" if not self.kinds[numbers_first[0]].shape else "number"
        return f"; by custom, {said}: declare what else is meant, as in '{numbers_first[0]}: {other}'"

    def unread(self, message: str, at: At) -> Unread:
        return Unread(message, at, self.text)

    def must_tie(self, a: Size, b: Size, what: str, at: At) -> None:
        if not tie(a, b):
            raise self.clash(what, at)

    def must_be_square(self, term: Term, what: str) -> Size:
        if not term.shape:
            raise self.clash(f"{what} takes a square matrix, this is a number", term.at)
        if not is_matrix(term.shape) or not tie(*term.shape):
            raise self.clash(f"{what} takes a square matrix, this is {words(term.shape)}", term.at)
        return term.shape[0]

    def called(self, name: str, node: Apply) -> Term:
        raise NotImplementedError  # functions.py

    def of(self, node: Node) -> Term:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise TooLarge(f"with its definitions put in, the statement has more than {MOST_PARTS} parts")
        if self.depth > DEEPEST:
            raise TooLarge("brackets, marks or definitions stand too deep within each other", node.at, self.text)
        self.depth += 1
        try:
            term = getattr(self, f"_{type(node).__name__.lower()}")(node)
        finally:
            self.depth -= 1
        return dataclasses.replace(term, run=evaluation.counted(term.run))

    def number(self, node: Node, what: str) -> Term:
        term = self.of(node)
        if term.shape:
            raise self.clash(f"{what} is a number, this is {words(term.shape)}", node.at)
        return term

    def _number(self, node: Number) -> Term:
        value = np.asarray(node.value)
        return Term(SCALAR, lambda env: value, node.at, zero=node.value == 0, constant=node.value)

    def _constant(self, node: Constant) -> Term:
        if node.name == "I":
            size = Size()
            return Term((size, size), lambda env: evaluation.identity(size), node.at)
        if node.name == "1":
            size = Size()
            return Term(column(size), lambda env: evaluation.ones(size), node.at)
        known = {"pi": np.pi, "i": np.complex128(1j), "infinity": np.inf}
        return Term(SCALAR, lambda env: np.asarray(known[node.name]), node.at)

    def kind(self, name: str, at: At) -> Kind:
        """The kind of an operand, by declaration or by the custom of the field."""
        if name not in self.kinds:
            self.kinds[name] = self.default(name, at)
            self.customary.append(name)
        return self.kinds[name]

    def default(self, name: str, at: At) -> Kind:
        core = name.split("(")[-1].rstrip(")").split("_")[0]
        if name in self.whole:
            return Kind(SCALAR, integer=(1, 4))
        return dataclasses.replace(self.custom(core), complex=self.conjugates)

    def custom(self, core: str) -> Kind:
        if (len(core) > 1 and core[0].islower() and core.isascii() and core not in ("ell",)) or core in ("t",):
            return Kind(SCALAR)
        if core[0].isupper():
            return Kind((Size(), Size()))
        return Kind(column(Size()))

    def is_index(self, name: str) -> bool:
        return name in self.bound or name in self.free

    def unknown(self, name: str) -> bool:
        """Whether nothing is declared or defined about a letter."""
        return not any(
            name in where for where in (self.kinds, self.sizes, self.definitions, self.parameters, self.families)
        )

    def must_be_index(self, name: str) -> bool:
        """Whether δ_{ki} leaves no choice: k is an index there, even where a dim is called k too."""
        declared = any(name in where for where in (self.kinds, self.definitions, self.parameters, self.families))
        return name in self.index_letters and not declared

    def stands_as_index(self, name: str) -> bool:
        """Whether a letter is an index here."""
        return self.is_index(name) or (self.unknown(name) and (name in self.index_letters or name in INDICES))

    def _letter(self, node: Letter) -> Term:
        name = node.name
        if name in self.parameters:
            return dataclasses.replace(self.parameters[name], at=node.at)
        if name in self.bound or name in self.free or (name in self.index_letters and self.unknown(name)):
            self.index(name)
            return Term(SCALAR, lambda env: env.indices[name].astype(float), node.at)
        if name in self.families and name not in self.definitions and name not in self.kinds:
            raise self.unread(f"{name} stands with a subscript: it is one of several", node.at)
        if name in self.definitions:
            return self.defined(name, node.at)
        if name in self.sizes and name not in self.kinds:
            size = self.sizes[name]
            return Term(SCALAR, lambda env: np.asarray(float(int(size))), node.at)
        if name in self.functions:  # f stands for f(x), with the letter of its definition
            left = self.functions[name].left
            if not isinstance(left, Apply):
                raise self.unread(f"the argument of {name} was expected", node.at)
            return self.called(name, Apply(node.at, name, left.arguments))
        kind = self.kind(name, node.at)
        if name in self.reading.random:
            return Term(kind.shape, self.atom(name, node.at), node.at)
        return Term(kind.shape, lambda env: env.values[name], node.at)

    def atom(self, name: str, at: At) -> Run:
        """A random letter, which has a value inside of an expectation only."""

        def run(env: Env) -> Array:
            if name not in env.values:
                raise self.unread(f"{name} is random: it stands inside of an expectation", at)
            return env.values[name]

        return run

    def defined(self, name: str, at: At) -> Term:
        """A letter behind the statement stands for its definition; where a derivative varies it, for itself."""
        if name not in self.made:
            if name in self.making:
                raise self.unread(f"{name} is defined by itself", at)
            self.making.append(name)
            saved, self.bound = self.bound, {}
            parameters, self.parameters = self.parameters, {}
            self.made[name] = self.of(self.definitions[name].right)
            self.bound, self.parameters = saved, parameters
            self.making.pop()
        term = self.made[name]

        def run(env: Env) -> Array:
            if name in env.values:
                return env.values[name]
            if name not in env.cache:
                env.cache[name] = term.run(env)
            return env.cache[name]

        return dataclasses.replace(term, run=run, at=at, zero=False, constant=None)

    @staticmethod
    def may_be(named: Size, size: Size) -> bool:
        """Whether n stands for the last entry: of an axis of size n, or of one that nothing else determines (e_n)."""
        one = size.find()
        if one is named.find():
            return True
        open_size = not (one.made or one.declared or one.value is not None or one is ONE)
        return open_size and tie(one, named)

    def index(self, name: str) -> Bound:
        if name in self.bound:
            return self.bound[name]
        return self.free.setdefault(name, Bound(Size(name="")))


def _kind_in_words(kind: Kind) -> str:
    if kind.integer is not None:
        return "is a whole number"
    return "is a number" if not kind.shape else "is a vector" if is_column(kind.shape) else "is a matrix"
