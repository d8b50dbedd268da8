"""What the parts of a statement mean: the shape of each, and how its value is computed.

`Meaning` turns a node of the syntax tree into a `Term`: a shape (open sizes are tied together on the way) and a function of
an environment.  A letter has the kind that is declared or, without a declaration, that of the field: capitals are
matrices, lower case letters vectors, Greek letters and t numbers, letters that stand as indices are indices.  It is never
read in another way to make an equation fit: a clash is an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from identities.statements import differences, expectations, numbers
from identities.statements.environment import Array, Env, lead, must_fit, must_join, must_multiply, pick
from identities.statements.errors import TooLarge, Unread, WrongShapes
from identities.statements.latex import INDICES
from identities.statements.shapes import (
    ONE,
    SCALAR,
    Shape,
    Size,
    column,
    extents,
    is_column,
    is_matrix,
    is_one,
    is_vector,
    of_axes,
    product,
    tie,
    total,
    words,
)
from identities.statements.syntax import (
    Add,
    Apply,
    At,
    Average,
    Big,
    Blocks,
    Cases,
    Columns,
    Condition,
    Constant,
    Definition,
    Delta,
    Derivative,
    Differential,
    Elementwise,
    Entry,
    Given,
    Index,
    Iverson,
    Kronecker,
    LeftDivision,
    Letter,
    Marked,
    Minimum,
    Modulus,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
    SingleEntry,
    Target,
    UnitVector,
    children,
    walk,
)

Run = Callable[[Env], Array]
MOST_PARTS = 20_000  # terms that a statement unfolds to, its definitions put in
DEEPEST = 100  # terms within terms
COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "=": lambda x, y: np.abs(x - y) < 1e-9,
    "≠": lambda x, y: np.abs(x - y) > 1e-9,
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "≥": np.greater_equal,
}


@dataclasses.dataclass(frozen=True)
class Term:
    """A part of a statement with its meaning.  `run` gives an array whose last axes are those of `shape`."""

    shape: Shape
    run: Run
    at: At
    zero: bool = False  # the literal 0, which takes the shape of its neighbours
    entrywise: bool = False  # made entry by entry: a number beside it is meant for every entry
    names: tuple[str, ...] = ()  # of the axes, where the text names them: [...]_{ijkl}
    constant: float | None = None  # a literal number
    held: tuple[tuple[str, Term], ...] = ()  # letters that a derivative of this holds at their values
    spectrum: bool = False  # eigenvalues, in no order: a side that is one is compared as a set with multiplicities


@dataclasses.dataclass
class Bound:
    """An index: its size, and what its first value is where that is written."""

    size: Size
    first: int | None = None
    last: Size | None = None  # the size that its values end with, where that is written


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is declared about a letter: its shape, and how it is drawn (a structure word, or None for a general draw)."""

    shape: Shape
    word: Any = None
    complex: bool = False
    integer: tuple[int, int] | None = None
    value: float | None = None
    zero_based: bool = False
    constant: bool = False


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the text is to be read where paper leaves it open."""

    layout: str = "denominator"
    complex_gradient: bool = False  # by a complex operand: the gradient 2 df/dz*, not df/dz
    entrywise: frozenset[str] = frozenset()  # functions that act entry by entry on square matrices too
    structures: Mapping[str, str] = dataclasses.field(default_factory=dict)  # letter -> "symmetric entries", ...
    diagonal: str = ""  # diag of a matrix: "vector" or "matrix"
    families: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)  # v -> ("V", "columns")
    totals: Mapping[str, str] = dataclasses.field(default_factory=dict)  # as structures: of d, and of a letter by itself
    random: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)  # letter -> words of its law
    norm: str = ""  # the kind of a matrix norm that the text leaves away


class Meaning:
    """The letters of one statement, with their kinds, and what was tied together so far."""

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
        self.parameters: dict[str, Term] = {}
        self.inner: dict[str, str] = {}  # under which names the environment holds parameters
        self.varied: set[str] = set()
        self.definitions: dict[str, Definition] = {}
        self.functions: dict[str, Definition] = {}
        self.recursions: dict[str, Recursion] = {}
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

    # -- definitions ----------------------------------------------------------------------------------------------

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
                and not all(_is_number(one[0]) for one in indices)
            ):
                self.recursions[name] = Recursion.of(name, found)
            elif all(len(one) == 1 and _is_number(one[0]) for one in indices):
                ordered = sorted(found, key=lambda d: d.left.indices[0].value)  # type: ignore[attr-defined]
                cells = tuple((d.right,) for d in ordered)
                self.definitions[name] = Definition(found[0].at, Letter(found[0].at, name), Blocks(found[0].at, cells))
            else:
                self.definitions[name] = _by_entries(found)

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
                        one, left=Letter(left.at, name), right=_made(which, left)
                    )
                return True
        if (
            isinstance(right, Product)
            and len(right.factors) == 2
            and all(isinstance(_bare(f), Letter) and _bare(f).name not in self.kinds for f in right.factors)
        ):
            first, second = (_bare(f).name for f in right.factors)
            if first == second and isinstance(right.factors[1], Marked):
                self.definitions[first] = dataclasses.replace(
                    one, left=Letter(left.at, first), right=_made("cholesky", left)
                )
                return True
            if (first, second) == ("Q", "R"):
                for name, which in (("Q", "qr_q"), ("R", "qr_r")):
                    self.definitions[name] = dataclasses.replace(
                        one, left=Letter(left.at, name), right=_made(which, left)
                    )
                return True
            if (first, second) == ("L", "U") and isinstance(left, Product) and len(left.factors) == 2:
                matrix = left.factors[1]
                for name in ("L", "U"):
                    made = _made(f"lu_{name.lower()}", matrix)
                    self.definitions[name] = dataclasses.replace(one, left=Letter(left.at, name), right=made)
                return True
        return False

    # -- errors ---------------------------------------------------------------------------------------------------

    def clash(self, message: str, at: At) -> WrongShapes:
        return WrongShapes(message, at, self.text)

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

    # -- letters --------------------------------------------------------------------------------------------------

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
        return dataclasses.replace(term, run=_counted(term.run))

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
            return Term((size, size), lambda env: _identity(size), node.at)
        if node.name == "1":
            size = Size()
            return Term(column(size), lambda env: _ones(size), node.at)
        known = {"pi": np.pi, "i": np.complex128(1j), "infinity": np.inf}
        return Term(SCALAR, lambda env: np.asarray(known[node.name]), node.at)

    def kind(self, name: str, at: At) -> Kind:
        """The kind of an operand, by declaration or by the custom of the field."""
        if name not in self.kinds:
            self.kinds[name] = self.default(name, at)
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

    # -- sums -----------------------------------------------------------------------------------------------------

    def _add(self, node: Add) -> Term:
        parts = [(sign, self.of(one)) for sign, one in node.terms]
        shaped = [(s, t) for s, t in parts if not t.zero]
        if not shaped:
            return dataclasses.replace(parts[0][1], at=node.at)
        if len(parts) == 1:
            (sign, only) = parts[0]
            constant = None if only.constant is None else sign * only.constant
            return dataclasses.replace(only, run=lambda env: sign * only.run(env), at=node.at, constant=constant)
        wide = next((t for _, t in shaped if t.shape), None)
        if wide is None:
            return Term(SCALAR, _summed(parts, 0), node.at)
        entrywise = any(t.entrywise for _, t in shaped if t.shape) or is_vector(wide.shape)
        for _, term in shaped:
            if not term.shape:
                if not entrywise:
                    raise self.clash(
                        f"a number is added to {words(wide.shape)}: a multiple of I was meant, or a matrix of ones",
                        term.at,
                    )
                continue
            self.same_shape(wide, term, "a sum has terms of one shape")
        names = next((t.names for _, t in shaped if t.names), ())
        kept = any(t.entrywise for _, t in shaped if t.shape)
        return Term(wide.shape, _summed(parts, len(wide.shape)), node.at, entrywise=kept, names=names)

    def same_shape(self, a: Term, b: Term, what: str) -> None:
        fits = len(a.shape) == len(b.shape) and all(
            is_one(x) == is_one(y) for x, y in zip(a.shape, b.shape, strict=True)
        )
        before = words(a.shape), words(b.shape)
        if not fits or not all(tie(x, y) for x, y in zip(a.shape, b.shape, strict=True)):
            raise self.clash(f"{what}: {before[0]} and {before[1]}", b.at)

    # -- products -------------------------------------------------------------------------------------------------

    def _product(self, node: Product) -> Term:
        terms = [self.of(f) for f in node.factors]
        if any(t.zero for t in terms):
            return dataclasses.replace(next(t for t in terms if t.zero), at=node.at)
        stack: list[Term] = []
        for term in terms:
            stack.append(term)
            while len(stack) > 1 and _may_multiply(stack[-2], stack[-1]):
                right = stack.pop()
                left = stack.pop()
                stack.append(self.multiplied(left, right))
        if len(stack) > 1:
            left, right = stack[0], stack[1]
            raise self.clash(
                f"{words(left.shape)} is not multiplied by {words(right.shape)}: is a transpose missing, or is a letter no "
                f"{'vector' if is_vector(right.shape) else 'matrix'}",
                right.at,
            )
        return dataclasses.replace(stack[0], at=node.at)

    def multiplied(self, a: Term, b: Term) -> Term:
        at = (a.at[0], b.at[1])
        if not a.shape or not b.shape:
            wide, number = (b, a) if not a.shape else (a, b)
            rank = len(wide.shape)

            def scaled(env: Env) -> Array:
                factor, value = number.run(env), wide.run(env)
                factor = factor.reshape(factor.shape + (1,) * rank)
                must_join(factor, value)
                return factor * value

            return Term(wide.shape, scaled, at, entrywise=wide.entrywise, names=wide.names)
        if len(a.shape) > 2 or len(b.shape) > 2:
            raise self.clash("arrays of three and more axes are not multiplied: write a sum over entries", b.at)
        if not tie(a.shape[1], b.shape[0]):
            raise self.clash(f"{words(a.shape)} times {words(b.shape)}: the inner sizes differ", b.at)
        shape: Shape = (a.shape[0], b.shape[1])
        if is_one(shape[0]) and is_one(shape[1]):
            return Term(SCALAR, lambda env: _matrix_product(a, b, env)[..., 0, 0], at)
        return Term(shape, lambda env: _matrix_product(a, b, env), at)

    def _elementwise(self, node: Elementwise) -> Term:
        a, b = self.of(node.left), self.of(node.right)
        divide = node.operator == "⊘"
        if a.shape and b.shape:
            self.same_shape(a, b, f"{node.operator} takes two arrays of one shape")
        shape, rank = (a.shape or b.shape), len(a.shape or b.shape)

        def run(env: Env) -> Array:
            x, y = a.run(env), b.run(env)
            x = x if a.shape else x.reshape(x.shape + (1,) * rank)
            y = y if b.shape else y.reshape(y.shape + (1,) * rank)
            must_join(x, y)
            return x / y if divide else x * y

        return Term(shape, run, node.at, entrywise=True)

    def _kronecker(self, node: Kronecker) -> Term:
        a, b = self.of(node.left), self.of(node.right)
        for t in (a, b):
            if len(t.shape) > 2:
                raise self.clash("⊗ takes matrices", t.at)
        if not a.shape or not b.shape:
            return self.multiplied(a, b)
        shape = (product(a.shape[0], b.shape[0]), product(a.shape[1], b.shape[1]))

        def run(env: Env) -> Array:
            x, y = a.run(env), b.run(env)
            must_fit((*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), *x.shape[-2:], *y.shape[-2:]))
            found = x[..., :, None, :, None] * y[..., None, :, None, :]
            rows, columns = found.shape[-4] * found.shape[-3], found.shape[-2] * found.shape[-1]
            return found.reshape(found.shape[:-4] + (rows, columns))

        return Term(shape, run, node.at)

    def _quotient(self, node: Quotient) -> Term:
        a, b = self.of(node.above), self.of(node.below)
        rank = len(a.shape)
        if b.shape:
            if not (b.entrywise or (a.shape and is_vector(b.shape))):
                raise self.clash(f"nothing is divided by {words(b.shape)}", b.at)
            if a.shape:
                self.same_shape(a, b, "a quotient entry by entry has one shape")
            wide = len(b.shape)

            def entries(env: Env) -> Array:
                above, below = _spread(a, wide, env), b.run(env)
                must_join(above, below)
                return above / below

            return Term(b.shape, entries, node.at, entrywise=True)
        if a.zero:
            return dataclasses.replace(a, at=node.at)
        if a.constant is not None and b.constant is not None and b.constant:
            return self._number(Number(node.at, a.constant / b.constant))

        def run(env: Env) -> Array:
            above, below = a.run(env), b.run(env)
            below = below.reshape(below.shape + (1,) * rank)
            must_join(above, below)
            return above / below

        return Term(a.shape, run, node.at, entrywise=a.entrywise, names=a.names)

    def _leftdivision(self, node: LeftDivision) -> Term:
        a, b = self.of(node.matrix), self.of(node.right)
        self.must_be_square(a, "the matrix before the backslash")
        return self.multiplied(dataclasses.replace(a, run=_heavy(a, numbers.inverse, 3)), b)

    # -- powers and marks -----------------------------------------------------------------------------------------

    def _power(self, node: Power) -> Term:
        base, exponent = self.of(node.base), self.number(node.exponent, "an exponent")
        rank = len(base.shape)
        if not base.shape or node.elementwise or is_vector(base.shape):
            if base.shape and exponent.constant is not None and exponent.constant < 0 and not node.elementwise:
                raise self.clash(f"{words(base.shape)} has no inverse", node.at)

            def entries(env: Env) -> Array:
                x, e = base.run(env), exponent.run(env)
                e = e.reshape(e.shape + (1,) * rank)
                must_join(x, e)
                return _powers(x, e)

            return Term(base.shape, entries, node.at, entrywise=bool(base.shape))
        if len(base.shape) != 2 or not tie(*base.shape):
            raise self.clash(f"only a square matrix has powers, this is {words(base.shape)}", node.base.at)
        value = exponent.constant
        if value is not None and not np.isfinite(value):
            raise self.clash("an exponent is a finite number", node.exponent.at)
        if value is not None and value != int(value):
            return Term(base.shape, _heavy(base, lambda x: numbers.fraction(x, value), 10), node.at)

        def run(env: Env) -> Array:
            x, e = base.run(env), exponent.run(env)
            if not np.isfinite(e).all() or np.max(np.abs(e), initial=0.0) > numbers.LARGEST_POWER:
                raise numbers.Unusable(f"a power of a matrix is at most {numbers.LARGEST_POWER}")
            whole = np.rint(e).astype(int)
            if not np.allclose(e, whole):
                raise self.clash("the exponent of a matrix is a whole number", node.exponent.at)
            wanted = sorted(set(whole.ravel().tolist()))
            env.work.spend(len(wanted) * 12 * x.size * x.shape[-1])
            found = {k: numbers.power(x, k) for k in wanted}
            if len(found) == 1:
                return next(iter(found.values()))
            whole = whole[..., None, None]
            batch = np.broadcast_shapes(whole.shape[:-2], x.shape[:-2])
            must_fit(batch + x.shape[-2:])
            result = np.zeros(batch + x.shape[-2:], np.result_type(*found.values()))
            for k, one in found.items():
                result = np.where(whole == k, one, result)
            return result

        return Term(base.shape, run, node.at)

    def _marked(self, node: Marked) -> Term:
        base = self.of(node.base)
        if node.mark == "*":
            return dataclasses.replace(base, run=lambda env: np.conj(base.run(env)), at=node.at)
        if not base.shape:
            run = base.run if node.mark == "T" else lambda env: np.conj(base.run(env))
            if node.mark == "+":
                raise self.clash("a pseudoinverse is that of a matrix", node.at)
            return dataclasses.replace(base, run=run, at=node.at)
        if len(base.shape) > 2:
            raise self.clash("an array of three and more axes has no transpose", node.at)
        shape = (base.shape[1], base.shape[0])
        change = {"T": numbers.T, "H": lambda a: np.conj(numbers.T(a)), "+": numbers.pseudoinverse}[node.mark]
        names = base.names[::-1] if node.mark == "T" else ()
        run = _heavy(base, change, 20) if node.mark == "+" else lambda env: change(base.run(env))
        return Term(shape, run, node.at, entrywise=base.entrywise, names=names)

    # -- entries and indices --------------------------------------------------------------------------------------

    def place(self, node: Node, size: Size, base: int = 1) -> Callable[[Env], Array]:
        """Where an index points to on an axis of this size, from 0 on."""
        first = base
        if isinstance(node, Letter):
            name = node.name
            last = name in self.sizes and name not in self.index_letters and self.may_be(self.sizes[name], size)
            if (
                name not in self.parameters
                and name not in self.definitions
                and (name in self.bound or name in self.free or (name not in self.kinds and not last))
            ):
                bound = self.index(name)
                if base == 0 and bound.first is None and name in self.free:
                    bound.first = 0
                    self.must_tie(bound.size, size, f"the index {name} runs over two ranges", node.at)
                if bound.first is None or (bound.first == 0 and name in self.free):
                    self.must_tie(bound.size, size, f"the index {name} runs over two ranges", node.at)
                elif bound.last is not None:
                    tie(bound.last, size)
                if bound.first == 0:
                    first = 0
        term = self.number(node, "an index")

        def run(env: Env) -> Array:
            value = term.run(env)
            if np.iscomplexobj(value) or not np.all(np.abs(value - np.rint(value)) < 1e-9):
                raise self.clash("an index is a whole number", node.at)
            if np.any(value < first - 0.5) or np.any(value > int(size) + first - 0.5):
                raise self.clash("an index is out of range", node.at)
            return np.rint(value).astype(np.intp) - first

        return run

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

    def _entry(self, node: Entry) -> Term:
        base = node.base
        if isinstance(base, Letter) and base.name in self.recursions:
            return self.step(base.name, node)
        if isinstance(base, Letter) and base.name in self.families and len(node.indices) == 1:
            return self.member(base.name, node)
        names = [n.name for n in node.indices if isinstance(n, Letter)]
        if isinstance(base, Differential) and isinstance(base.body, Letter) and base.body.name in self.families:
            return self.member(base.body.name, node, differential=True)
        if isinstance(base, _Opaque):
            return self.collected(base.body, names, node.at)
        opened = self.open_indices(base, frozenset(names))
        if not isinstance(base, (Letter, Marked)) and len(names) == len(node.indices) and set(names) <= opened:
            return self.collected(base, names, node.at)
        term = self.of(base)
        axes = extents(term.shape)
        if not term.shape:
            raise self.clash(
                "a number has no entries"
                + (
                    f": declare {base.name} a vector, or one name with its subscript"
                    if isinstance(base, Letter)
                    else ""
                ),
                node.at,
            )
        if len(node.indices) == 1 < len(axes) and isinstance(node.indices[0], Number):  # A_{21}: row 2, column 1
            digits = str(int(node.indices[0].value))
            if len(digits) == len(axes):
                node = dataclasses.replace(node, indices=tuple(Number(node.at, float(c)) for c in digits))
        if len(node.indices) != len(axes):
            raise self.clash(f"{len(axes)} indices were expected, for {words(term.shape)}", node.at)
        from_zero = isinstance(base, Letter) and base.name in self.kinds and self.kinds[base.name].zero_based
        places = [self.place(one, size, 0 if from_zero else 1) for one, size in zip(node.indices, axes, strict=True)]
        kept = [k for k, size in enumerate(term.shape) if not is_one(size)]

        def run(env: Env) -> Array:
            value = term.run(env)
            lost = [k - len(term.shape) for k in range(len(term.shape)) if k not in kept]
            value = np.squeeze(value, axis=tuple(lost)) if lost else value
            return pick(value, len(kept), [p(env) for p in places])

        return Term(SCALAR, run, node.at)

    def member(self, name: str, node: Entry, differential: bool = False) -> Term:
        """v_i of a family, or its differential: a column or row of a matrix, or a slice of an array of three axes."""
        whole = Letter(node.at, self.families[name][0])
        return self.picked(self.of(Differential(node.at, whole) if differential else whole), name, node)

    def picked(self, term: Term, name: str, node: Entry) -> Term:
        """One of a family, from an array that holds them all."""
        whole, how = self.families[name]
        if len(node.indices) != 1:
            raise self.clash(f"one subscript of {name} was expected", node.at)
        if len(term.shape) != (3 if how == "slices" else 2):
            raise self.clash(f"{whole} was expected to hold the {how}, this is {words(term.shape)}", node.at)
        axis = {"columns": 1, "rows": 0, "slices": 0}[how]
        size = term.shape[axis]
        place = self.place(node.indices[0], size, 0 if whole in self.kinds and self.kinds[whole].zero_based else 1)
        others = tuple(s for k, s in enumerate(term.shape) if k != axis)
        rank = len(term.shape)

        def run(env: Env) -> Array:
            value, where = term.run(env), place(env)
            value = np.moveaxis(value, axis - rank, -rank)
            batch = np.broadcast_shapes(value.shape[:-rank], where.shape)
            must_fit(batch + value.shape[-rank:])
            value = np.broadcast_to(value, batch + value.shape[-rank:])
            where = np.broadcast_to(where, batch).reshape(batch + (1,) * rank)
            found = np.take_along_axis(value, where, axis=value.ndim - rank).squeeze(value.ndim - rank)
            return found[..., None] if rank == 2 else found

        return Term(of_axes(others), run, node.at)

    def step(self, name: str, node: Entry) -> Term:
        """f_i of a recursion f_i = … f_{i-1} …, f_0 = …."""
        one = self.recursions[name]
        if len(node.indices) != 1:
            raise self.clash(f"one subscript of {name} was expected", node.at)
        index = node.indices[0]
        if isinstance(index, Letter) and self.stands_as_index(index.name):
            self.index(index.name)  # its range comes from the operand that it also counts
        place = self.number(index, "a subscript")
        if name not in self.first:
            self.first[name] = self.of(one.first)
            saved, self.parameters = self.parameters, dict(self.parameters)
            inner = f"at.{name}"
            self.parameters[one.index] = Term(SCALAR, _held(inner), node.at)
            self.next[name] = self.of(one.step)
            self.parameters = saved
            self.begin[name] = self.number(one.at_first, "a subscript")
            self.same_shape(self.first[name], self.next[name], "the terms of a recursion have one shape")
        first = self.first[name]
        rank = len(first.shape)

        def at(env: Env, k: int, deep: int = 0) -> Array:
            if k == _whole(self.begin[name].run(env)):
                return first.run(env)
            if not 0 <= k <= 64 or deep > 64:
                raise numbers.Unusable("a recursion does not end")
            if (name, k) not in env.cache:
                env.cache[name, k] = self.next[name].run(
                    env.replacing({f"at.{name}": np.asarray(float(k - one.shift))})
                )
            return env.cache[name, k]

        def run(env: Env) -> Array:
            value = place.run(env)
            if not np.all(np.abs(value) <= 64):
                raise numbers.Unusable("a recursion has at most 64 steps")
            where = np.rint(value).astype(int)
            each = {k: at(env, k) for k in sorted(set(where.ravel().tolist()))}
            if len(each) == 1:
                return next(iter(each.values()))
            batch = np.broadcast_shapes(where.shape, *(v.shape[: v.ndim - rank] for v in each.values()))
            some = next(iter(each.values()))
            must_fit(batch + some.shape[some.ndim - rank :])
            result = np.zeros(batch + some.shape[some.ndim - rank :])
            for k, value in each.items():
                result = np.where((where == k).reshape(where.shape + (1,) * rank), value, result)
            return result

        return Term(first.shape, run, node.at)

    def open_indices(self, node: Node, names: frozenset[str] = frozenset()) -> set[str]:
        """Letters that stand as indices in the node and are not bound inside; `names` are indices in any case."""

        def indices(of: Node) -> set[str]:
            found = {n.name for n in walk(of) if isinstance(n, Letter)}
            return {n for n in found if n in names or (n not in self.kinds and n not in self.sizes)}

        found: set[str] = set()
        if isinstance(node, Entry):
            inner = self.open_indices(node.base, names)
            mine = set().union(*(indices(one) for one in node.indices))
            if not isinstance(node.base, Letter) and mine and mine <= inner:
                return inner - mine
            return inner | mine
        if isinstance(node, (Delta, SingleEntry, UnitVector)):
            return indices(node)
        if isinstance(node, Big):
            found = self.open_indices(node.body, names).union(*(indices(c) for c in node.conditions))
            return found - {i.name for i in node.indices}
        if isinstance(node, Cases):
            for _, conditions in node.rows:
                found |= set().union(*(indices(c) & (INDICES | names) for c in conditions))
        if isinstance(node, Derivative):
            for target in node.targets:
                found |= set().union(*(indices(one) for one in target.indices))
        if isinstance(node, Letter):
            return {node.name} if node.name in names or (node.name in INDICES and self.unknown(node.name)) else set()
        for child in children(node):
            if not isinstance(child, Target):
                found |= self.open_indices(child, names)
        return found

    def collected(self, base: Node, names: Sequence[str], at: At) -> Term:
        """The array whose entries are a number that depends on the indices."""
        saved = dict(self.bound)
        mine = {name: Bound(Size()) for name in names}
        self.bound.update(mine)
        term = self.of(base)
        self.bound = saved
        letters = {n.name for n in walk(base) if isinstance(n, Letter)}
        if is_column(term.shape) and len(names) == 1 and names[0] not in letters:  # lambda_i = eig(A), one by one
            return term
        if term.shape:
            raise self.clash(f"the entries of an array are numbers, these are {words(term.shape)}", base.at)
        sizes = [mine[name].size for name in names]

        def run(env: Env) -> Array:
            for name, size in zip(names, sizes, strict=True):
                env = env.binding(name, np.arange(1, int(size) + 1))
            value = lead(term.run(env), 0, env.depth)
            must_fit(tuple(int(s) for s in sizes) + value.shape[len(sizes) :])
            value = np.broadcast_to(value, tuple(int(s) for s in sizes[::-1]) + value.shape[len(sizes) :])
            value = np.moveaxis(value, range(len(sizes)), [value.ndim - 1 - k for k in range(len(sizes))])
            return value[..., None] if len(sizes) == 1 else value

        return Term(of_axes(sizes), run, at, names=tuple(names), entrywise=len(names) == 2)

    def _delta(self, node: Delta) -> Term:
        a, b = (self._soft_index(n) for n in (node.left, node.right))
        return Term(SCALAR, lambda env: (a(env) == b(env)).astype(float), node.at)

    def _soft_index(self, node: Node) -> Run:
        if isinstance(node, Letter) and node.name not in self.kinds and node.name not in self.sizes:
            self.index(node.name)
        return self.number(node, "an index").run

    def _singleentry(self, node: SingleEntry) -> Term:
        shape = (Size(), Size())
        row, col = self.place(node.row, shape[0]), self.place(node.column, shape[1])

        def run(env: Env) -> Array:
            r, c = row(env)[..., None, None], col(env)[..., None, None]
            must_fit((*np.broadcast_shapes(r.shape[:-2], c.shape[:-2]), int(shape[0]), int(shape[1])))
            rows, columns = np.arange(int(shape[0]))[:, None], np.arange(int(shape[1]))
            return ((r == rows) & (c == columns)).astype(float)

        return Term(shape, run, node.at)

    def _unitvector(self, node: UnitVector) -> Term:
        size = Size()
        place = self.place(node.index, size)
        return Term(
            column(size),
            lambda env: (place(env)[..., None, None] == _counted_to(size)[:, None]).astype(float),
            node.at,
        )

    # -- sums over indices ----------------------------------------------------------------------------------------

    def _big(self, node: Big) -> Term:
        if not node.indices:
            return self.folded(node)
        node = dataclasses.replace(node, indices=(*node.indices, *self.paired(node)))
        saved = dict(self.bound)
        ranges: list[tuple[str, Bound, Run | None, Run | None]] = []
        for one in node.indices:
            low = self.number(one.low, "a bound") if one.low is not None else None
            high = self.bound_high(one, low)
            first = None if low is None else int(low.constant) if low.constant is not None else 1
            bound = Bound(Size(), first, high[1])
            if isinstance(one.high, Letter) and high[1] is not None and first == 1:
                bound.first, bound.size = 1, high[1]
            endless = isinstance(one.high, Constant) and one.high.name == "infinity"
            if endless and (node.operator != "sum" or len(node.indices) != 1):
                raise self.unread("only a sum over one index has no end", node.at)
            ranges.append((one.name, bound, low.run if low else None, _last_term if endless else high[0]))
        for name, bound, _, _ in ranges:
            self.bound[name] = bound
        conditions = [self.condition(c) for c in node.conditions]
        body = self.of(node.body)
        self.bound = saved
        rank = len(body.shape)
        operator = node.operator

        def run(env: Env) -> Array:
            lengths = []
            for name, bound, low, high in ranges:
                if high is not None:
                    start = _whole(low(env)) if low else 1
                    must_fit((max(0, _whole(high(env)) + 1 - start),))
                    values = np.arange(start, _whole(high(env)) + 1)
                else:
                    values = (
                        np.arange(1, int(bound.size) + 1)
                        if low is None
                        else np.arange(bound.first or 0, int(bound.size))
                    )
                lengths.append(len(values))
                env = env.binding(name, values if len(values) else np.zeros(1, int))
            if 0 in lengths:
                empty = 0.0 if operator == "sum" else 1.0
                must_fit(tuple(int(s) for s in body.shape))
                return np.full(tuple(int(s) for s in body.shape), empty)
            must_fit(tuple(lengths))
            value = lead(body.run(env), rank, env.depth)
            spread = tuple(lengths[::-1]) + value.shape[len(lengths) :]
            must_fit(spread)
            value = np.broadcast_to(value, spread)
            if conditions:
                keep = conditions[0](env)
                for more in conditions[1:]:
                    other = more(env)
                    must_join(keep, other)
                    keep = keep & other
                keep = lead(keep, 0, env.depth).reshape(lead(keep, 0, env.depth).shape + (1,) * rank)
                neutral = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}[operator]
                must_join(keep, value)
                value = np.where(keep, value, neutral)
            if operator in ("max", "min"):
                numbers.must_be_real(value)
            axes = tuple(range(len(lengths)))
            if ranges[0][3] is _last_term:
                _must_end(value)
            return {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}[operator](value, axis=axes)

        return Term(body.shape, run, node.at, entrywise=body.entrywise)

    def paired(self, node: Big) -> list[Index]:
        """The j of a product over i > j, where it stands nowhere else."""
        mine = {one.name for one in node.indices}
        found = [
            n.name for c in node.conditions if c.relation in "<>≤≥" for n in walk(c.right) if isinstance(n, Letter)
        ]
        inside = [n.name for n in walk(node) if isinstance(n, Letter)]
        return [
            Index(node.at, name)
            for name in dict.fromkeys(found)
            if name not in mine and self.unknown(name) and inside.count(name) == self.everywhere.get(name)
        ]

    def bound_high(self, one: Index, low: Term | None) -> tuple[Run | None, Size | None]:
        """The upper bound of a sum, and the size that it names: the n of i=1…n and of k=0…n-1."""
        if one.high is None:
            return None, None
        named = _named_size(one.high, 1 if low is None else low.constant)
        if named and named not in self.kinds and named not in self.definitions and not self.is_index(named):
            self.sizes.setdefault(named, Size(name=named))
        high = self.number(one.high, "a bound")
        return high.run, self.sizes.get(named) if named else None

    def folded(self, node: Big) -> Term:
        """sum eig(X), max eig(X): over the entries of a vector."""
        body = self.of(node.body)
        if not body.shape:
            raise self.clash(f"the index of the {node.operator} was expected", node.at)
        axes = tuple(range(-len(body.shape), 0))
        fold = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}[node.operator]


        def run(env: Env) -> Array:
            value = body.run(env)
            if node.operator in ("max", "min"):
                numbers.must_be_real(value)
            return fold(value, axis=axes)

        return Term(SCALAR, run, node.at)

    def condition(self, node: Condition) -> Callable[[Env], Array]:
        for one in (node.left, node.right):
            for letter in walk(one):
                if isinstance(letter, Letter) and letter.name not in self.kinds and letter.name not in self.sizes:
                    if letter.name not in self.definitions and letter.name not in self.parameters:
                        self.index(letter.name)
        a, b = self.number(node.left, "a condition"), self.number(node.right, "a condition")
        return lambda env: _compared(node.relation, a.run(env), b.run(env))

    def _cases(self, node: Cases) -> Term:
        rows = [(self.of(value), [self.condition(c) for c in conditions]) for value, conditions in node.rows]
        wide = next((t for t, _ in rows if t.shape), rows[0][0])
        for term, _ in rows:
            if term.shape != wide.shape and not term.zero:
                self.same_shape(wide, term, "cases have one shape")
        rank = len(wide.shape)

        def run(env: Env) -> Array:
            chosen: list[Array] = []
            values: list[Array] = []
            for term, conditions in rows:
                keep = np.asarray(True)
                for one in conditions:
                    other = one(env)
                    must_join(keep, other)
                    keep = keep & other
                values.append(_guarded(term, env))
                chosen.append(keep.reshape(keep.shape + (1,) * rank))
            result: Array = np.asarray(0.0)
            for keep, value in zip(chosen[::-1], values[::-1], strict=True):
                must_join(keep, value, result)
                result = np.where(keep, value, result)
            return result

        return Term(wide.shape, run, node.at, entrywise=True)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _blocks(self, node: Blocks) -> Term:
        rows = [[self.of(cell) for cell in row] for row in node.rows]
        if all(not cell.shape for row in rows for cell in row):
            return self.of_numbers(rows, node.at)
        heights = [next((c.shape[0] for c in row if c.shape), None) for row in rows]
        widths = [next((row[k].shape[1] for row in rows if row[k].shape), None) for k in range(len(rows[0]))]
        for r, row in enumerate(rows):
            for k, cell in enumerate(row):
                if cell.zero:
                    continue
                if len(cell.shape) != 2:
                    raise self.clash(f"a block is a matrix, this is {words(cell.shape)}", cell.at)
                if not tie(cell.shape[0], heights[r] or ONE) or not tie(cell.shape[1], widths[k] or ONE):
                    raise self.clash("the blocks of a row have one height, those of a column one width", cell.at)
        if None in heights or None in widths:
            raise self.clash("a row or column of zeros has no size", node.at)
        tall, wide = [h for h in heights if h], [w for w in widths if w]

        def run(env: Env) -> Array:
            cells = [
                [np.zeros((int(tall[r]), int(wide[k]))) if c.zero else c.run(env) for k, c in enumerate(row)]
                for r, row in enumerate(rows)
            ]
            batch = np.broadcast_shapes(*(c.shape[:-2] for row in cells for c in row))
            must_fit((*batch, sum(int(t) for t in tall), sum(int(w) for w in wide)))
            spread = [[np.broadcast_to(c, batch + c.shape[-2:]) for c in row] for row in cells]
            return np.concatenate([np.concatenate(row, axis=-1) for row in spread], axis=-2)

        return Term((total(tall), total(wide)), run, node.at)

    def of_numbers(self, rows: list[list[Term]], at: At) -> Term:
        height, width = len(rows), len(rows[0])
        shape = (Size(height) if height > 1 else ONE, Size(width) if width > 1 else ONE)

        def run(env: Env) -> Array:
            cells = [[c.run(env) for c in row] for row in rows]
            batch = np.broadcast_shapes(*(c.shape for row in cells for c in row))
            must_fit((*batch, height, width))
            return np.stack([np.stack([np.broadcast_to(c, batch) for c in row], -1) for row in cells], -2)

        if height == width == 1:
            return rows[0][0]
        return Term(shape, run, at)

    # -- functions ------------------------------------------------------------------------------------------------

    def _iverson(self, node: Iverson) -> Term:
        a, b = self.of(node.condition.left), self.of(node.condition.right)
        if a.shape and b.shape:
            self.same_shape(a, b, "a comparison takes one shape")
        shape = a.shape or b.shape
        rank = len(shape)
        return Term(
            shape,
            lambda env: _compared(
                node.condition.relation, _spread(a, rank, env), _spread(b, rank, env)
            ).astype(float),
            node.at,
            entrywise=True,
        )

    def _columns(self, node: Columns) -> Term:
        raise self.unread(f"[{node.letter}_1, …] stands behind a statement: V = [v_1, …, v_n]", node.at)

    def _apply(self, node: Apply) -> Term:
        name = node.function
        if name in self.functions and not node.primed:
            return self.called(name, node)
        if node.primed and name + "'" * node.primed in self.functions:
            return self.called(name + "'" * node.primed, node)
        if name.endswith("^-1"):
            raise self.unread(f"the inverse function of {name[:-3]} is not read: write it out", node.at)
        if node.primed:
            raise self.unread(f"{name}' is not read: write the derivative out", node.at)
        arguments = [self.of(a) for a in node.arguments]
        own = getattr(self, f"_of_{name.lower()}", None)
        if own and len(arguments) == 1:
            return own(arguments[0], node)
        if name == "density" and len(arguments) == 3:
            return self.density(arguments, node)
        if name == "cof" and len(arguments) == 3:
            matrix = _made("cof", node.arguments[0])
            return self._entry(Entry(node.at, matrix, node.arguments[1:]))
        if name == "solve" and len(arguments) == 2:
            return self._leftdivision(LeftDivision(node.at, *node.arguments))
        if name in ("max", "min") and len(arguments) == 2:
            a, b = arguments
            both = np.maximum if name == "max" else np.minimum
            if a.shape and b.shape:
                self.same_shape(a, b, f"{name} takes two arrays of one shape")
            shape = a.shape or b.shape
            rank = len(shape)
            return Term(
                shape,
                lambda env: both(*_reals(_spread(a, rank, env), _spread(b, rank, env))),
                node.at,
                entrywise=bool(shape),
            )
        if len(arguments) != 1:
            raise self.clash(f"{name} takes one argument, got {len(arguments)}", node.at)
        (argument,) = arguments
        if argument.zero and name in ("exp", "cos", "sin"):
            argument = dataclasses.replace(argument, zero=False)
        if name in numbers.OF_MATRICES and is_matrix(argument.shape) and name not in self.reading.entrywise:
            if argument.entrywise and not tie(*argument.shape):
                return self.entry_by_entry(name, argument, node)
            self.must_be_square(argument, f"{name} of a matrix")
            of_matrix = numbers.OF_MATRICES[name]
            return Term(argument.shape, _heavy(argument, of_matrix, 60), node.at)
        if name in numbers.ENTRYWISE:
            return self.entry_by_entry(name, argument, node)
        raise self.unread(f"the function {name} is not known", node.at)

    def entry_by_entry(self, name: str, argument: Term, node: Apply) -> Term:
        entry = numbers.ENTRYWISE[name]
        return Term(
            argument.shape,
            lambda env: entry(argument.run(env)),
            node.at,
            entrywise=bool(argument.shape),
            names=argument.names,
        )

    def called(self, name: str, node: Apply) -> Term:
        """A declared function: its definition, with the parameters standing for the arguments."""
        one = self.functions[name]
        left = one.left if isinstance(one.left, Apply) else None
        entries: tuple[Node, ...] = ()
        if isinstance(one.left, Entry):
            assert isinstance(one.left.base, Apply)
            left, entries = one.left.base, one.left.indices
        assert left is not None
        if len(left.arguments) != len(node.arguments):
            raise self.clash(f"{name} takes {len(left.arguments)} arguments, got {len(node.arguments)}", node.at)
        if len(self.making) > 20:
            raise self.unread(f"{name} is defined by itself", node.at)
        renamed = {
            letter.name: argument
            for letter, argument in zip(left.arguments, node.arguments, strict=True)
            if isinstance(letter, Letter) and isinstance(argument, Letter) and self.stands_as_index(argument.name)
        }
        if renamed and len(renamed) == len(node.arguments):  # S^{ij} with its indices renamed
            body_node = substituted(
                Entry(node.at, _Opaque(node.at, one.right), entries) if entries else one.right, renamed
            )
            self.making.append(f"{name}()")
            term = self.of(body_node)
            self.making.pop()
            return dataclasses.replace(term, at=node.at)
        arguments = [self.of(a) for a in node.arguments]
        parameters: dict[str, Term] = {}
        local: list[tuple[str, Term]] = []
        for letter, term in zip(left.arguments, arguments, strict=True):
            if not isinstance(letter, Letter):
                raise self.unread("the parameters of a function are letters", letter.at)
            inner = f"{name}.{letter.name}.{len(self.making)}"
            local.append((inner, term))
            parameters[letter.name] = dataclasses.replace(term, run=_held(inner), zero=False)
        saved, self.parameters = self.parameters, {**self.parameters, **parameters}
        names_before, self.inner = (
            self.inner,
            {**self.inner, **{k: f"{name}.{k}.{len(self.making)}" for k in parameters}},
        )
        bound, self.bound = self.bound, dict(self.bound)
        self.making.append(f"{name}()")
        if entries:
            names = [n.name for n in entries if isinstance(n, Letter)]
            body = self.collected(one.right, names, node.at)
        else:
            body = self.of(one.right)
        self.making.pop()
        self.parameters, self.bound, self.inner = saved, bound, names_before

        def run(env: Env) -> Array:
            return body.run(env.replacing({inner: term.run(env) for inner, term in local}))

        return dataclasses.replace(body, run=run, at=node.at)

    def density(self, arguments: Sequence[Term], node: Apply) -> Term:
        """The Gaussian density at x, of mean m and covariance S; of numbers, S is the variance."""
        x, m, s = arguments
        if not x.shape and not m.shape and not s.shape:

            def of_numbers(env: Env) -> Array:
                variance = s.run(env)
                if np.any(variance <= 0):
                    raise numbers.Unusable("a variance is not positive")
                return np.exp(-((x.run(env) - m.run(env)) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

            return Term(SCALAR, of_numbers, node.at)
        self.same_shape(x, m, "a density has its point and its mean of one shape")
        size = self.must_be_square(s, "the covariance of a density")
        if not is_column(x.shape) or not tie(size, x.shape[0]):
            raise self.clash("the covariance of a density has the size of the point", s.at)

        def run(env: Env) -> Array:
            gap, covariance = x.run(env) - m.run(env), s.run(env)
            form = (numbers.T(gap) @ numbers.inverse(covariance) @ gap)[..., 0, 0]
            return np.exp(-form / 2) / numbers.root(np.linalg.det(2 * np.pi * covariance))

        return Term(SCALAR, run, node.at)

    def _of_max(self, x: Term, node: Apply) -> Term:
        return self.extreme(x, np.max)

    def _of_min(self, x: Term, node: Apply) -> Term:
        return self.extreme(x, np.min)

    def extreme(self, x: Term, which: Callable[..., Array]) -> Term:
        """The largest or smallest entry."""
        axes = tuple(range(-len(x.shape), 0))

        def run(env: Env) -> Array:
            value = x.run(env)
            numbers.must_be_real(value)
            return which(value, axis=axes)

        return Term(SCALAR, run, x.at)

    def _of_tr(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            return dataclasses.replace(x, at=node.at)
        self.must_be_square(x, "tr")
        return Term(SCALAR, lambda env: np.trace(x.run(env), axis1=-2, axis2=-1), node.at)

    def _of_det(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "det")
        return Term(SCALAR, lambda env: np.linalg.det(x.run(env)), node.at)

    def _of_logdet(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "logdet")
        return Term(SCALAR, lambda env: numbers.logarithm(np.linalg.det(x.run(env))), node.at)

    def _of_rank(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            raise self.clash("rank takes a matrix, this is a number", x.at)
        return Term(SCALAR, _heavy(x, numbers.rank, 20), node.at)

    def _of_adj(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "adj")
        return Term(x.shape, self.cofactors(x, numbers.T), node.at)

    def _of_cof(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "cof")
        return Term(x.shape, self.cofactors(x, lambda a: a), node.at)

    def cofactors(self, x: Term, turned: Callable[[Array], Array]) -> Run:
        """A determinant for each entry."""

        def run(env: Env) -> Array:
            value = x.run(env)
            env.work.spend(value.size * float(value.shape[-1]) ** 3)
            return turned(numbers.cofactors(value))

        return run

    def _of_sym(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "sym")

        def run(env: Env) -> Array:
            a = x.run(env)
            return (a + numbers.T(a)) / 2

        return Term(x.shape, run, node.at)

    def _of_vec(self, x: Term, node: Apply) -> Term:
        if len(x.shape) != 2:
            raise self.clash(f"vec takes a matrix, this is {words(x.shape)}", x.at)

        def run(env: Env) -> Array:
            a = x.run(env)
            return numbers.T(a).reshape(a.shape[:-2] + (-1, 1))

        return Term(column(product(*x.shape)), run, node.at, entrywise=x.entrywise)

    def _of_diag(self, x: Term, node: Apply) -> Term:
        if is_vector(x.shape):
            size = extents(x.shape)[0]

            def matrix(env: Env) -> Array:
                a = x.run(env)
                a = a.reshape(a.shape[:-2] + (1, -1))
                must_fit((*a.shape[:-2], a.shape[-1], a.shape[-1]))
                return np.eye(int(size)) * a

            return Term((size, size), matrix, node.at)
        size = self.must_be_square(x, "diag")
        if self.reading.diagonal == "matrix":
            return Term(x.shape, lambda env: x.run(env) * _identity(size), node.at)
        if self.reading.diagonal == "vector":
            return Term(column(size), lambda env: np.diagonal(x.run(env), axis1=-2, axis2=-1)[..., None], node.at)
        raise self.unread("diag of a matrix could be a vector or a matrix: declare which", node.at)

    def _of_eig(self, x: Term, node: Apply) -> Term:
        size = self.must_be_square(x, "eig")
        run = _heavy(x, lambda a: numbers.eigenvalues(a)[..., None], 60)
        return Term(column(size), run, node.at, spectrum=True)

    def _of_sing(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            raise self.clash("sing takes a matrix, this is a number", x.at)
        return Term(column(Size()), _heavy(x, lambda a: np.linalg.svd(a, compute_uv=False)[..., None], 20), node.at)

    def _of_softmax(self, x: Term, node: Apply) -> Term:
        if not is_vector(x.shape):
            raise self.clash(f"softmax takes a vector, this is {words(x.shape)}", x.at)

        def run(env: Env) -> Array:
            a = x.run(env)
            e = np.exp(a - np.max(a, axis=(-2, -1), keepdims=True))
            return e / e.sum(axis=(-2, -1), keepdims=True)

        return Term(x.shape, run, node.at, entrywise=True)

    def _factor(self, x: Term, node: Apply, square: bool, which: Callable[[Array], Array]) -> Term:
        if square:
            self.must_be_square(x, "the factorisation")
        if not x.shape:
            raise self.clash("only a matrix is factorised, this is a number", x.at)
        return Term(x.shape, _heavy(x, which, 20), node.at)

    def _of_cholesky(self, x: Term, node: Apply) -> Term:
        return self._factor(x, node, True, np.linalg.cholesky)

    def _of_qr_q(self, x: Term, node: Apply) -> Term:
        return self._factor(x, node, False, lambda a: _qr(a).Q)

    def _of_qr_r(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            raise self.clash("only a matrix is factorised, this is a number", x.at)
        return Term((x.shape[1], x.shape[1]), _heavy(x, lambda a: _qr(a).R, 20), node.at)

    def _of_lu_u(self, x: Term, node: Apply) -> Term:
        return self._factor(x, node, True, _upper)

    def _of_lu_l(self, x: Term, node: Apply) -> Term:
        raise self.unread("the lower factor of PX = LU is not read", node.at)

    def _of_eigh_values(self, x: Term, node: Apply) -> Term:
        size = self.must_be_square(x, "eigenvalues")
        return Term(column(size), lambda env: np.linalg.eigvalsh(_symmetrised(x.run(env)))[..., None], node.at)

    def _of_eigh_vectors(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "eigenvectors")
        return Term(x.shape, lambda env: _signed_vectors(x.run(env)), node.at)

    def _norm(self, node: Norm) -> Term:
        x = self.of(node.argument)
        kind = node.kind
        if not x.shape:
            return Term(SCALAR, lambda env: np.abs(x.run(env)), node.at)
        if len(x.shape) > 2:
            raise self.clash("a norm is that of a vector or a matrix", node.at)
        if is_matrix(x.shape) and kind == "":
            kind = self.reading.norm
        if is_matrix(x.shape) and kind == "":
            raise self.unread("the norm of a matrix was expected with its kind: F, 2, 1, ∞", node.at)
        if is_vector(x.shape) and kind not in ("", "1", "2", "inf", "F", "max"):
            raise self.clash(f"a vector has no norm {kind}", node.at)

        def run(env: Env) -> Array:
            a = x.run(env)
            size = np.abs(a)
            if is_vector(x.shape) or kind in ("F", "max"):
                if kind in ("inf", "max"):
                    return np.max(size, axis=(-2, -1))
                return size.sum((-2, -1)) if kind == "1" else np.sqrt((size**2).sum((-2, -1)))
            if kind in ("1", "inf"):
                return np.max(size.sum(-2 if kind == "1" else -1), axis=-1)
            env.work.spend(20 * a.size * a.shape[-1])
            values = np.linalg.svd(a, compute_uv=False)
            return values[..., 0] if kind == "2" else values.sum(-1)

        return Term(SCALAR, run, node.at)

    def _modulus(self, node: Modulus) -> Term:
        x = self.of(node.argument)
        if is_matrix(x.shape) and not x.entrywise:
            raise self.unread("|A| of a matrix could be its determinant or its norm: write det or a norm", node.at)
        return Term(x.shape, lambda env: np.abs(x.run(env)), node.at, entrywise=bool(x.shape))

    # -- derivatives ----------------------------------------------------------------------------------------------

    def _derivative(self, node: Derivative) -> Term:
        if node.order is not None:
            return self.repeated(node)
        term = self.partial(node) or self.of(node.body)
        scalar = not term.shape
        for target in node.targets:
            term = self.by(term, target, node)
        if scalar and self.reading.layout == "numerator" and len(node.targets) == 1 and len(term.shape) == 2:
            inner = term
            term = dataclasses.replace(inner, shape=inner.shape[::-1], run=lambda env: numbers.T(inner.run(env)))
        return dataclasses.replace(term, at=node.at)

    def partial(self, node: Derivative) -> Term | None:
        """∂c/∂a of c = a + b, where b depends on a too: the definition with its other letters held."""
        body = node.body
        if not isinstance(body, Letter) or body.name not in self.definitions or len(node.targets) != 1:
            return None
        right = self.definitions[body.name].right
        letters = {n.name for n in walk(right) if isinstance(n, Letter)}
        others = sorted(n for n in letters if n in self.definitions and n != node.targets[0].letter and n != body.name)
        if node.targets[0].letter not in letters or not others:
            return None
        term = self.of(right)
        held = {name: self.defined(name, node.at) for name in others}
        return dataclasses.replace(term, held=tuple(held.items()))

    def by(self, body: Term, target: Target, node: Derivative) -> Term:
        if target.letter in self.families and len(target.indices) == 1 and not body.shape:  # by mu_j, one of several
            every = dataclasses.replace(target, letter=self.families[target.letter][0], indices=())
            one = Entry(target.at, Letter(target.at, target.letter), target.indices)
            return self.picked(self.by(body, every, node), target.letter, one)
        letter = self._letter(Letter(target.at, target.letter))
        name = self.key(target.letter)
        if self.is_index(target.letter):
            raise self.clash(f"{target.letter} is an index, nothing is differentiated by it", target.at)
        own = letter.shape
        changed = self.changed(target, letter)
        axes = extents(own if target.mark != "+" else own[::-1])
        if target.mark == "vec":
            axes = (product(*axes),)
        places = self.places(target, axes)
        rank = len(body.shape)
        structure = self.reading.structures.get(target.letter, "")
        itself = node.body.base if isinstance(node.body, Entry) else node.body
        if node.total or (isinstance(itself, Letter) and itself.name == target.letter):
            structure = self.reading.totals.get(target.letter, structure)
        is_complex = target.letter in self.kinds and self.kinds[target.letter].complex

        def run(env: Env) -> Array:
            if body.held:
                env = env.replacing({other: term.run(env) for other, term in body.held})
            base = changed.base(env)
            sizes = base.shape[base.ndim - len(own) :]
            must_fit((*sizes, *sizes))
            directions = _directions(sizes, structure, target.mark == "vec")

            def moved(value: Array) -> Array:
                return body.run(env.replacing({name: changed.back(value)}, deeper=1))

            found = differences.along(moved, base, directions, rank, env.depth)
            varies = is_complex or (target.letter in self.definitions and np.iscomplexobj(base))
            if varies or target.mark in ("Re", "Im"):
                found = self.complex_part(found, moved, base, directions, rank, env.depth, target.mark, varies)
            found = np.moveaxis(found, 0, -1)
            if places:
                shape = tuple(int(s) for s in axes)
                value = found.reshape(found.shape[:-1] + shape)
                spread = [p(env).reshape(p(env).shape + (1,) * rank) for p in places]
                return pick(value, len(shape), spread)
            if not axes:
                return found[..., 0]
            out = tuple(int(s) for s in extents(body.shape))
            lead_axes = found.shape[: found.ndim - 1 - rank]
            total = out + tuple(int(s) for s in axes)
            return found.reshape(lead_axes + (total if len(total) > 1 else (*total, 1)))

        if places or not axes:
            return Term(body.shape, run, node.at, names=body.names, entrywise=bool(body.shape))
        shape = (
            (own if target.mark != "+" else own[::-1])
            if not body.shape and target.mark != "vec"
            else of_axes(extents(body.shape) + axes)
        )
        return Term(shape, run, node.at, names=body.names, entrywise=len(shape) == 2)

    def key(self, letter: str) -> str:
        """Under which name the environment holds a letter: a parameter has one of its own."""
        return self.inner.get(letter, letter) if letter in self.parameters else letter

    def changed(self, target: Target, letter: Term) -> _Changed:
        """The variable itself, and the letter as a function of it: X^+ varies X = (X^+)^+."""
        if target.mark == "+":
            return _Changed(lambda env: numbers.pseudoinverse(letter.run(env)), numbers.pseudoinverse)
        return _Changed(letter.run, lambda value: value)

    def places(self, target: Target, axes: Shape) -> list[Callable[[Env], Array]]:
        if not target.indices:
            return []
        if len(target.indices) != len(axes):
            raise self.clash(f"{len(axes)} indices were expected behind ∂{target.letter}", target.at)
        zero = target.letter in self.kinds and self.kinds[target.letter].zero_based
        return [self.place(i, s, 0 if zero else 1) for i, s in zip(target.indices, axes, strict=True)]

    def complex_part(
        self,
        real: Array,
        moved: Callable[[Array], Array],
        base: Array,
        directions: Array,
        rank: int,
        depth: int,
        mark: str,
        is_complex: bool,
    ) -> Array:
        """Wirtinger's derivatives, or the gradient, from those along the real and the imaginary axis."""
        if mark == "Re":
            return real
        if not is_complex:
            return np.zeros_like(real)
        imaginary = differences.along(moved, base, np.complex128(1j) * directions, rank, depth)
        if mark == "Im":
            return imaginary
        if mark == "gradient" or (mark == "" and self.reading.complex_gradient):
            return real + np.complex128(1j) * imaginary
        sign = 1 if mark == "*" else -1
        return (real + sign * np.complex128(1j) * imaginary) / 2

    def repeated(self, node: Derivative) -> Term:
        """d^k/dx^k, of a function that one number enters."""
        (target,) = node.targets
        body = self.of(node.body)
        order = self.number(node.order, "an order")  # type: ignore[arg-type]
        chain = [body]
        for _ in range(3):
            chain.append(self.by(chain[-1], target, node))

        def run(env: Env) -> Array:
            times = _whole(order.run(env))
            if times > 3:
                raise numbers.Unusable("a derivative of higher order than 3 has too few digits")
            return chain[times].run(env)

        return Term(body.shape, run, node.at)

    def _differential(self, node: Differential) -> Term:
        if isinstance(node.body, Letter) and not node.along:
            name = node.body.name
            if f"d{name}" in self.definitions:
                return self.defined(f"d{name}", node.at)
            if name not in self.definitions and name not in self.parameters:
                kind = self.kind(name, node.at)
                if kind.constant:
                    return Term(SCALAR, lambda env: np.asarray(0.0), node.at, zero=True)
                self.varied.add(name)
                return Term(kind.shape, lambda env: env.tangents[name], node.at)
        body = self.of(node.body)
        self.varied.update(node.along)
        rank = len(body.shape)
        own = node.along

        def run(env: Env) -> Array:
            names = own or tuple(sorted(self.varied))
            t = np.zeros(())

            def moved(shift: Array) -> Array:
                values = {}
                for name in names:
                    base, tangent = env.values[name], env.tangents[name]
                    step = shift.reshape(shift.shape + (1,) * self.rank_of(name))
                    values[name] = base + step * tangent
                return body.run(env.replacing(values, deeper=1))

            scaled = np.ones((1,)) * 0.5
            return differences.along(moved, t, scaled, rank, env.depth)[0] / 0.5

        return Term(body.shape, run, node.at, entrywise=body.entrywise, names=body.names)

    def rank_of(self, name: str) -> int:
        return len(self.kinds[name].shape)

    def _given(self, node: Given) -> Term:
        """Letters that a derivative inside varies get their values there; others are defined for the whole statement."""
        varied = {t.letter for n in walk(node.body) if isinstance(n, Derivative) for t in n.targets}
        local = [d for d in node.definitions if isinstance(d.left, Letter) and d.left.name in varied]
        self.define([d for d in node.definitions if d not in local])
        saved, names_before = self.parameters, self.inner
        values: list[tuple[str, Term]] = []
        for one in local:
            letter, term = one.left.name, dataclasses.replace(self.of(one.right), zero=False)  # type: ignore[attr-defined]
            inner = f"at.{letter}"
            values.append((inner, term))
            self.parameters = {**self.parameters, letter: dataclasses.replace(term, run=_held(inner))}
            self.inner = {**self.inner, letter: inner}
        body = self.of(node.body)
        self.parameters, self.inner = saved, names_before

        def run(env: Env) -> Array:
            return body.run(env.replacing({name: term.run(env) for name, term in values}))

        return dataclasses.replace(body, run=run, at=node.at)

    def _minimum(self, node: Minimum) -> Term:
        """By one step of Newton's method, exact for a function quadratic in the letter."""
        kind = self.kinds.get(node.letter) or Kind(column(Size()))
        saved, self.parameters = self.parameters, dict(self.parameters)
        inner = f"min.{node.letter}"
        self.parameters[node.letter] = Term(kind.shape, lambda env: env.values[inner], node.at)
        body = self.of(node.body)
        self.parameters = saved
        if body.shape or not is_column(kind.shape):
            raise self.clash("a minimum is that of a number over a vector", node.at)

        def run(env: Env) -> Array:
            n = int(kind.shape[0])
            must_fit((n, n, n))
            unit = np.eye(n)[:, :, None]
            zero = np.zeros((n, 1))

            def f(value: Array, depth: int) -> Array:
                return lead(body.run(env.replacing({inner: value}, deeper=depth)), 0, env.depth + depth)

            pad = (1,) * env.depth
            f0 = f(zero, 0)
            plus = f(unit.reshape((n,) + pad + (n, 1)), 1)
            minus = f(-unit.reshape((n,) + pad + (n, 1)), 1)
            gradient = np.moveaxis((plus - minus) / 2, 0, -1)
            pair = (unit[:, None] + unit[None, :]).reshape((n, n) + pad + (n, 1))
            both = f(pair, 2)
            mixed = both - plus[:, None] - plus[None, :] + f0
            hessian = np.moveaxis(mixed, (0, 1), (-2, -1))
            best = -np.linalg.solve(hessian, gradient[..., None])
            return lead(body.run(env.replacing({inner: best})), 0, env.depth)

        return Term(SCALAR, run, node.at)

    def _average(self, node: Average) -> Term:
        letters = tuple(self.reading.random)
        if not letters:
            raise self.unread("an expectation needs a declared random letter", node.at)
        for name in letters:
            self.kind(name, node.at)
        terms = [self.of(one) for one in node.arguments]
        if node.operator == "E" and len(terms) == 1:
            (term,) = terms
            return dataclasses.replace(
                term, run=expectations.mean(term.run, len(term.shape), letters), at=node.at, zero=False, constant=None
            )
        if node.operator == "E" or len(terms) > 2 or (node.operator == "Var" and len(terms) > 1):
            raise self.clash(f"{node.operator} takes another number of arguments", node.at)
        a, b = terms[0], terms[-1]
        if not all(is_column(t.shape) or not t.shape for t in (a, b)) or bool(a.shape) != bool(b.shape):
            raise self.clash(f"{node.operator} takes numbers, or columns", node.at)
        shape = (a.shape[0], b.shape[0]) if a.shape else SCALAR
        run = expectations.covariance((a.run, len(a.shape)), (b.run, len(b.shape)), letters)
        return Term(shape, run, node.at)


@dataclasses.dataclass(frozen=True)
class Recursion:
    """f_i = step, with i + shift on the left; `first` stands at the subscript `at_first`."""

    index: str
    shift: int
    step: Node
    first: Node
    at_first: Node

    @staticmethod
    def of(name: str, found: Sequence[Definition]) -> Recursion:
        general = max(found, key=lambda d: len(_inner_letters(d.right, name)))
        (start,) = (d for d in found if d is not general)
        left = general.left.indices[0]  # type: ignore[attr-defined]
        shift = 0
        if isinstance(left, Add) and isinstance(left.terms[-1][1], Number):
            shift = int(left.terms[-1][0] * left.terms[-1][1].value)
            left = left.terms[0][1]
        if not isinstance(left, Letter):
            raise Unread("the subscript of a recursion is a letter, or one with a number added", general.at)
        return Recursion(left.name, shift, general.right, start.right, start.left.indices[0])  # type: ignore[attr-defined]


def _inner_letters(node: Node, name: str) -> list[Node]:
    return [n for n in walk(node) if isinstance(n, Letter) and n.name == name]


def _is_number(node: Node) -> bool:
    return isinstance(node, Number)


@dataclasses.dataclass(frozen=True)
class _Changed:
    base: Run
    back: Callable[[Array], Array]


def _bare(node: Node) -> Any:
    return node.base if isinstance(node, Marked) else node


def _made(function: str, argument: Node) -> Node:
    return Apply(argument.at, function, (argument,))


def _by_entries(found: list[Definition]) -> Definition:
    """F_{ij} = …, with cases where there are several: F_{ii} = 0 stands before the general one."""
    general = max(found, key=lambda d: len({n for n in d.left.indices}))  # type: ignore[attr-defined]
    rows: list[tuple[Node, tuple[Condition, ...]]] = []
    names = general.left.indices  # type: ignore[attr-defined]
    for one in found:
        mine = one.left.indices  # type: ignore[attr-defined]
        if one is general:
            continue
        conditions = []
        if len(mine) != len(names):
            raise Unread("the entries of one letter have the same number of indices", one.at)
        for a, b in zip(names, mine, strict=True):
            if a != b:
                conditions.append(Condition(one.at, "=", a, b))
        rows.append((one.right, tuple(conditions)))
    body = general.right if not rows else Cases(general.at, (*rows, (general.right, ())))
    return Definition(general.at, general.left, Entry(general.at, _Opaque(general.at, body), names))


@dataclasses.dataclass(frozen=True)
class _Opaque(Node):
    """Marks a body whose entries are collected, whatever letters stand in it."""

    body: Node


def substituted(node: Any, by: Mapping[str, Node]) -> Any:
    """The tree with letters replaced."""
    if isinstance(node, tuple):
        return tuple(substituted(one, by) for one in node)
    if isinstance(node, Letter):
        return by.get(node.name, node)
    if not isinstance(node, Node):
        return node
    return dataclasses.replace(
        node, **{f.name: substituted(getattr(node, f.name), by) for f in dataclasses.fields(node) if f.name != "at"}
    )


def _held(inner: str) -> Run:
    return lambda env: env.values[inner]


def _may_multiply(a: Term, b: Term) -> bool:
    if not a.shape or not b.shape:
        return True
    if len(a.shape) > 2 or len(b.shape) > 2:
        return True
    return is_one(a.shape[1]) == is_one(b.shape[0])


def _summed(parts: Sequence[tuple[int, Term]], rank: int) -> Run:
    def run(env: Env) -> Array:
        total: Array | None = None
        for sign, term in parts:
            if term.zero:
                continue
            value = _spread(term, rank, env)
            if total is not None:
                must_join(total, value)
            total = sign * value if total is None else total + sign * value
        assert total is not None
        return total

    return run


def _counted(run: Run) -> Run:
    """The same, at the cost of the statement's work."""

    def counted(env: Env) -> Array:
        value = run(env)
        env.work.spend(np.size(value))
        return value

    return counted


def _heavy(term: Term, function: Callable[[Array], Array], weight: int) -> Run:
    """A function of a matrix, which costs `weight` products of matrices, before it is begun."""

    def run(env: Env) -> Array:
        value = term.run(env)
        env.work.spend(weight * value.size * (value.shape[-1] if value.ndim else 1))
        return function(value)

    return run


def _matrix_product(a: Term, b: Term, env: Env) -> Array:
    x, y = a.run(env), b.run(env)
    must_multiply(x, y)
    env.work.spend(max(x.size * y.shape[-1], y.size * x.shape[-2]) / 4)
    return x @ y


def _identity(size: Size) -> Array:
    must_fit((int(size), int(size)))
    return np.eye(int(size))


def _ones(size: Size) -> Array:
    must_fit((int(size),))
    return np.ones((int(size), 1))


def _counted_to(size: Size) -> Array:
    must_fit((int(size),))
    return np.arange(int(size))


def _reals(*values: Array) -> tuple[Array, ...]:
    for value in values:
        numbers.must_be_real(value)
    must_join(*values)
    return values


def _compared(relation: str, a: Array, b: Array) -> Array:
    if relation not in ("=", "≠"):
        _reals(a, b)
    must_join(a, b)
    return COMPARE[relation](a, b)


def _spread(term: Term, rank: int, env: Env) -> Array:
    value = term.run(env)
    return value if term.shape else value.reshape(value.shape + (1,) * rank)


def _powers(x: Array, exponent: Array) -> Array:
    whole = np.rint(exponent)
    if not np.isfinite(exponent).all() or np.max(np.abs(exponent), initial=0.0) > 1e6:
        raise numbers.Unusable("an exponent is too large")
    if np.isrealobj(exponent) and np.allclose(exponent, whole):
        with np.errstate(divide="ignore"):
            return np.power(x, whole if np.any(whole < 0) else whole.astype(int))
    if np.isrealobj(x) and np.any(x < 0):
        raise numbers.Unusable("a broken power of a negative number")
    return np.power(x, exponent)


def _last_term(env: Env) -> Array:
    """Where a sum without end is cut off; `_must_end` sees that nothing is lost."""
    return np.asarray(60.0)


def _must_end(terms: Array) -> None:
    if np.max(np.abs(terms[-1]), initial=0.0) > 1e-9 * np.max(np.abs(terms), initial=0.0):
        raise numbers.Unusable("a series converges too slowly")


def _whole(value: Array) -> int:
    if np.iscomplexobj(value) or not np.isfinite(value).all() or not np.size(value):
        raise numbers.Unusable("a bound of a sum is one whole number")
    number = float(np.asarray(value).reshape(-1)[0])
    if not np.allclose(value, number) or number != round(number):
        raise numbers.Unusable("a bound of a sum is one whole number")
    return int(number)


def _named_size(node: Node, low: float | None) -> str:
    """The n of an upper bound n, above 1, or n - 1, above 0."""
    if isinstance(node, Letter) and low == 1:
        return node.name
    if (
        low == 0
        and isinstance(node, Add)
        and len(node.terms) == 2
        and isinstance(node.terms[0][1], Letter)
        and node.terms[1] == (-1, Number(node.at, 1.0))
    ):
        return node.terms[0][1].name
    return ""


def _guarded(term: Term, env: Env) -> Array:
    with np.errstate(all="ignore"):
        return term.run(env)


def _qr(a: Array) -> Any:
    """Q has orthonormal columns, as many as the matrix has: for that, it is not wide."""
    if a.shape[-2] < a.shape[-1]:
        raise numbers.Unusable("X = QR is that of a matrix that is not wide")
    return np.linalg.qr(a)


def _upper(a: Array) -> Array:
    """The upper factor of PA = LU, by elimination with the largest pivot."""
    a = np.array(a, copy=True)
    n = a.shape[-1]
    flat = a.reshape(-1, n, n)
    for one in flat:
        for k in range(n - 1):
            pivot = k + int(np.argmax(np.abs(one[k:, k])))
            if pivot != k:
                one[[k, pivot]] = one[[pivot, k]]
            if one[k, k] != 0:
                one[k + 1 :] -= np.outer(one[k + 1 :, k] / one[k, k], one[k])
    return flat.reshape(a.shape)


def _symmetrised(a: Array) -> Array:
    """LAPACK reads one triangle; a derivative must move both."""
    return (a + numbers.T(a)) / 2


def _signed_vectors(a: Array) -> Array:
    """Orthonormal eigenvectors; the first entry of each is positive, as in the book, so that they change smoothly."""
    vectors = np.linalg.eigh(_symmetrised(a)).eigenvectors
    return vectors * np.where(vectors[..., :1, :] < 0, -1.0, 1.0)


def _directions(sizes: tuple[int, ...], structure: str, column_major: bool) -> Array:
    """Where an operand moves: one direction for each entry, or for each free entry of a structure."""
    count = int(np.prod(sizes, initial=1))
    unit = np.eye(count).reshape((count,) + tuple(sizes))
    if column_major:
        return np.swapaxes(unit.reshape((*sizes, *sizes)), 0, 1).reshape(unit.shape)
    if not structure:
        return unit
    word = structure.removeprefix("within ").removesuffix(" entries")
    if len(sizes) != 2 or sizes[0] != sizes[1]:
        raise WrongShapes(f"the {word} entries of an operand were declared, and it is no square matrix")
    n = sizes[0]
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    within = structure.startswith("within ")
    groups = {
        "symmetric": np.minimum(i, j) * n + np.maximum(i, j),
        "diagonal": np.where(i == j, i * n + j, -1),
        "toeplitz": j - i + n,
        "symmetric toeplitz": np.abs(j - i) + n,
    }
    group = groups[word].ravel()
    found = np.zeros((count, count))
    for k in range(count):
        if group[k] >= 0:
            same = group == group[k]
            found[k, same] = 1 / same.sum() if within else 1
    return found.reshape(unit.shape)
