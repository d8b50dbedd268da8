"""A syntax tree, simplified and written as LaTeX or as plain text, so that it reads as it was meant.

`simplified` removes what a substitution leaves: transposes of products and of symmetric letters, zeros, units, nested
sums, numbers apart.  It needs to know which letters are numbers, and which equal their transposes.
"""

from __future__ import annotations

import dataclasses
import fractions
from collections.abc import Collection
from typing import Any

from identities.engine.pages import tex
from identities.statements.plain import FUNCTIONS
from identities.statements.syntax import (
    Add,
    Apply,
    Big,
    Constant,
    Elementwise,
    Kronecker,
    LeftDivision,
    Letter,
    Marked,
    Modulus,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
)

NOWHERE = (0, 0)
OF_NUMBERS = frozenset(["tr", "det", "logdet", "rank"])  # functions whose value is a number
PLAIN = {meant: name for name, meant in reversed(FUNCTIONS.items())} | {"ln": "log"}
OPERATORS = frozenset(
    ["tr", "logdet", "diag", "vec", "adj", "cof", "rank", "eig", "sym", "softmax", "sign", "relu", "erf"]
)
SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4  # how tightly a node holds together


class Unwritable(ValueError):
    """A node that is not written: a derivative, cases, an entry."""


# -- simplification ---------------------------------------------------------------------------------------------------


def number(value: float) -> Node:
    """A number; a negative one is a sum of one term, as it is read."""
    return Number(NOWHERE, value) if value >= 0 else Add(NOWHERE, ((-1, Number(NOWHERE, -value)),))


def value_of(node: Node) -> float | None:
    """The value of a literal number, a quotient of two, or its negative."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Add) and len(node.terms) == 1:
        inner = value_of(node.terms[0][1])
        return None if inner is None else node.terms[0][0] * inner
    if isinstance(node, Quotient):
        above, below = value_of(node.above), value_of(node.below)
        return above / below if above is not None and below else None
    return None


def simplified(node: Node, numbers: Collection[str] = (), symmetric: Collection[str] = ()) -> Node:
    """The same value, written as one would."""
    return _Simplifier(numbers, symmetric).of(node)


@dataclasses.dataclass(frozen=True)
class _Simplifier:
    numbers: Collection[str]
    symmetric: Collection[str]

    def of(self, node: Any) -> Any:
        if isinstance(node, tuple):
            return tuple(self.of(one) for one in node)
        if not isinstance(node, Node):
            return node
        fields = [f.name for f in dataclasses.fields(node) if f.name != "at"]
        node = dataclasses.replace(node, **{name: self.of(getattr(node, name)) for name in fields})
        found = value_of(node)
        if found is not None:
            return number(found)
        if isinstance(node, Marked) and node.mark == "T":
            return self.transposed(node.base)
        if isinstance(node, Product):
            return self.product(node.factors)
        if isinstance(node, Add):
            return self.sum(node.terms)
        if isinstance(node, Quotient):
            below, above = value_of(node.below), node.above
            if below:
                return self.product((number(1 / below), above))
            if isinstance(above, Add) and len(above.terms) == 1 and above.terms[0][0] < 0:
                return Add(NOWHERE, ((-1, Quotient(NOWHERE, above.terms[0][1], node.below)),))
        if isinstance(node, Elementwise) and node.operator == "∘":
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if value_of(one) is not None:
                    return self.product((one, other))
        if isinstance(node, Power) and value_of(node.exponent) == 1:
            return node.base
        if isinstance(node, Power) and node.base == Constant(NOWHERE, "I"):
            return node.base
        return node

    def is_number(self, node: Node) -> bool:
        if value_of(node) is not None or isinstance(node, (Norm, Modulus)):
            return True
        if isinstance(node, Letter):
            return node.name in self.numbers
        if isinstance(node, Product):
            return all(map(self.is_number, node.factors))
        if isinstance(node, Quotient):
            return self.is_number(node.above) and self.is_number(node.below)
        if isinstance(node, Power):
            return self.is_number(node.base)
        return isinstance(node, Apply) and node.function in OF_NUMBERS

    def transposed(self, node: Node) -> Node:
        if self.is_number(node) or node == Constant(NOWHERE, "I"):
            return node
        if isinstance(node, Letter) and node.name in self.symmetric:
            return node
        if isinstance(node, Marked) and node.mark == "T":
            return node.base
        if isinstance(node, Product):
            numbers = [f for f in node.factors if self.is_number(f)]
            others = [f for f in node.factors if not self.is_number(f)]
            return self.product((*numbers, *(self.transposed(f) for f in reversed(others))))
        if isinstance(node, Add):
            return self.sum(tuple((sign, self.transposed(term)) for sign, term in node.terms))
        if isinstance(node, Quotient) and self.is_number(node.below):
            return dataclasses.replace(node, above=self.transposed(node.above))
        if isinstance(node, Elementwise):
            return dataclasses.replace(node, left=self.transposed(node.left), right=self.transposed(node.right))
        if isinstance(node, Power) and isinstance(node.base, (Letter, Marked)):
            inner = self.transposed(node.base)
            if not isinstance(inner, Marked):  # of a symmetric letter, or the letter of X'
                return dataclasses.replace(node, base=inner)
        return Marked(NOWHERE, node, "T")

    def product(self, factors: tuple[Node, ...]) -> Node:
        coefficient, found = 1.0, []
        stack = list(reversed(factors))
        while stack:
            one = stack.pop()
            value = value_of(one)
            if value is not None:
                coefficient *= value
            elif isinstance(one, Product):
                stack += reversed(one.factors)
            elif isinstance(one, Add) and len(one.terms) == 1:
                coefficient *= one.terms[0][0]
                stack.append(one.terms[0][1])
            else:
                found.append(one)
        if not coefficient:
            return Number(NOWHERE, 0.0)
        unit = Constant(NOWHERE, "I")
        kept = [one for one in found if one != unit]
        if not kept or all(map(self.is_number, kept)):  # a multiple of I
            kept += [unit] if unit in found else []
        if not kept:
            return number(coefficient)
        parts = [*([Number(NOWHERE, abs(coefficient))] if abs(coefficient) != 1 else []), *kept]
        result = parts[0] if len(parts) == 1 else Product(NOWHERE, tuple(parts))
        return result if coefficient > 0 else Add(NOWHERE, ((-1, result),))

    def sum(self, terms: tuple[tuple[int, Node], ...]) -> Node:
        counted: list[tuple[float, Node]] = []  # alike terms are counted together
        for sign, term in terms:
            for s, t in term.terms if isinstance(term, Add) else ((1, term),):
                c, core = self.coefficient(t)
                c *= sign * s
                place = next((k for k, (_, known) in enumerate(counted) if known == core), None)
                if place is None:
                    counted.append((c, core))
                else:
                    counted[place] = (counted[place][0] + c, core)
        counted = [(c, core) for c, core in counted if c]
        if not counted:
            return Number(NOWHERE, 0.0)
        counted.sort(key=lambda one: one[0] < 0)  # begin with a plus, if there is one
        shown = [(1 if c > 0 else -1, self.product((Number(NOWHERE, abs(c)), core))) for c, core in counted]
        return shown[0][1] if len(shown) == 1 and shown[0][0] > 0 else Add(NOWHERE, tuple(shown))

    def coefficient(self, node: Node) -> tuple[float, Node]:
        """A term as a number times the rest."""
        value = value_of(node)
        if value is not None:
            return value, Number(NOWHERE, 1.0)
        if isinstance(node, Product):
            first = value_of(node.factors[0])
            if first is not None:
                rest = node.factors[1:]
                return first, rest[0] if len(rest) == 1 else Product(NOWHERE, rest)
        return 1.0, node


# -- writing ----------------------------------------------------------------------------------------------------------


def latex(node: Node) -> str:
    """As LaTeX.  Raises Unwritable."""
    return _Latex().write(node)


def plain(node: Node) -> str:
    """As plain text.  Raises Unwritable."""
    return _Plain().write(node)


def say(value: float) -> tuple[int, int] | str:
    """A number as a fraction with a small denominator, or as a decimal."""
    exact = fractions.Fraction(value).limit_denominator(64)
    if abs(float(exact) - value) <= 1e-9 * max(1.0, abs(value)):
        return exact.numerator, exact.denominator
    return f"{value:.10g}"


class _Writer:
    """What both notations share: where brackets are needed."""

    def write(self, node: Node) -> str:
        return self.part(node)[0]

    def within(self, node: Node, least: int) -> str:
        text, level = self.part(node)
        return text if level >= least else self.bracket(text)

    def bracket(self, text: str) -> str:
        return f"({text})"

    def part(self, node: Node) -> tuple[str, int]:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise Unwritable(f"a {type(node).__name__} is not written")
        found: tuple[str, int] = method(node)
        return found

    def _add(self, node: Add) -> tuple[str, int]:
        text = ""
        for k, (sign, term) in enumerate(node.terms):
            shown = self.within(term, PRODUCT)
            text += ("-" if sign < 0 else "") + shown if k == 0 else (" - " if sign < 0 else " + ") + shown
        return text, SUM


class _Latex(_Writer):
    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)" if r"\frac" in text else f"({text})"

    def _number(self, node: Number) -> tuple[str, int]:
        said = say(node.value)
        if isinstance(said, str):
            return said, ATOM
        return (str(said[0]), ATOM) if said[1] == 1 else (rf"\frac{{{said[0]}}}{{{said[1]}}}", ATOM)

    def _letter(self, node: Letter) -> tuple[str, int]:
        return tex(node.name) if "_" not in node.name else "_".join(map(_group, node.name.split("_", 1))), ATOM

    def _constant(self, node: Constant) -> tuple[str, int]:
        return {"I": "I", "1": r"\mathbf{1}", "pi": r"\pi", "i": "i", "infinity": r"\infty"}[node.name], ATOM

    def _product(self, node: Product) -> tuple[str, int]:
        parts = []
        for f in node.factors:
            loose = isinstance(f, (Elementwise, Kronecker, LeftDivision))
            parts.append(self.bracket(self.write(f)) if loose else self.within(f, PRODUCT))
        return " ".join(parts), PRODUCT

    def _quotient(self, node: Quotient) -> tuple[str, int]:
        return rf"\frac{{{self.write(node.above)}}}{{{self.write(node.below)}}}", POWER

    def _elementwise(self, node: Elementwise) -> tuple[str, int]:
        if node.operator == "⊘":
            return f"{self.within(node.left, POWER)} \\oslash {self.within(node.right, POWER)}", PRODUCT
        return f"{self.within(node.left, POWER)} \\circ {self.within(node.right, POWER)}", PRODUCT

    def _kronecker(self, node: Kronecker) -> tuple[str, int]:
        return f"{self.within(node.left, POWER)} \\otimes {self.within(node.right, POWER)}", PRODUCT

    def _leftdivision(self, node: LeftDivision) -> tuple[str, int]:
        return f"{self.within(node.matrix, ATOM)}^{{-1}} {self.within(node.right, POWER)}", PRODUCT

    def _marked(self, node: Marked) -> tuple[str, int]:
        marks = {"T": r"^\top", "H": "^H", "*": "^*", "+": "^+"}
        base = node.base
        if node.mark == "T" and isinstance(base, Power) and value_of(base.exponent) == -1 and not base.elementwise:
            return rf"{self.within(base.base, ATOM)}^{{-\top}}", POWER
        return self.within(base, ATOM) + marks[node.mark], POWER

    def _power(self, node: Power) -> tuple[str, int]:
        if node.elementwise and not isinstance(node.base, Apply):
            raise Unwritable("a power entry by entry is not written in LaTeX")
        return f"{self.within(node.base, ATOM)}^{{{self.write(node.exponent)}}}", POWER

    def _apply(self, node: Apply) -> tuple[str, int]:
        if "_" in node.function:  # a factor of X = QR, which has a letter of its own
            raise Unwritable(node.function)
        if node.primed or len(node.arguments) != 1:
            raise Unwritable(f"{node.function} of several arguments is not written")
        inside = self.write(node.arguments[0])
        if node.function == "sqrt":
            return rf"\sqrt{{{inside}}}", ATOM
        name = rf"\operatorname{{{node.function}}}" if node.function in OPERATORS else f"\\{node.function}"
        if node.function not in OPERATORS | {"det", "ln", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan"}:
            name = rf"\operatorname{{{node.function}}}"
        return name + (rf"\left({inside}\right)" if r"\frac" in inside else f"({inside})"), ATOM

    def _norm(self, node: Norm) -> tuple[str, int]:
        kind = {"": "", "inf": r"_\infty"}.get(node.kind, f"_{node.kind}")
        return rf"\|{self.write(node.argument)}\|{kind}", ATOM

    def _modulus(self, node: Modulus) -> tuple[str, int]:
        return f"|{self.write(node.argument)}|", ATOM


class _Plain(_Writer):
    def _number(self, node: Number) -> tuple[str, int]:
        said = say(node.value)
        if isinstance(said, str):
            return said, ATOM
        return (str(said[0]), ATOM) if said[1] == 1 else (f"{said[0]}/{said[1]}", PRODUCT)

    def _letter(self, node: Letter) -> tuple[str, int]:
        if not node.name.replace("_", "").isalnum():
            raise Unwritable("a letter with an accent is not written in plain text")
        return node.name, ATOM

    def _constant(self, node: Constant) -> tuple[str, int]:
        return {"I": "eye", "1": "vector(1)", "pi": "pi", "i": "i"}[node.name], ATOM

    def _product(self, node: Product) -> tuple[str, int]:
        first, *others = node.factors
        return "*".join([self.within(first, PRODUCT), *(self.within(f, POWER) for f in others)]), PRODUCT

    def _quotient(self, node: Quotient) -> tuple[str, int]:
        return f"{self.within(node.above, PRODUCT)}/{self.within(node.below, POWER)}", PRODUCT

    def _elementwise(self, node: Elementwise) -> tuple[str, int]:
        operator = ".*" if node.operator == "∘" else "./"
        return f"{self.within(node.left, POWER)}{operator}{self.within(node.right, POWER)}", PRODUCT

    def _kronecker(self, node: Kronecker) -> tuple[str, int]:
        return f"kron({self.write(node.left)}, {self.write(node.right)})", ATOM

    def _leftdivision(self, node: LeftDivision) -> tuple[str, int]:
        return f"inv({self.write(node.matrix)})*{self.within(node.right, POWER)}", PRODUCT

    def _marked(self, node: Marked) -> tuple[str, int]:
        if node.mark == "T":
            return self.within(node.base, POWER) + "'", POWER
        return {"+": "pinv", "*": "conj", "H": "conj"}[node.mark] + f"({self.write(node.base)})" + (
            "'" if node.mark == "H" else ""
        ), POWER

    def _power(self, node: Power) -> tuple[str, int]:
        if value_of(node.exponent) == -1 and not node.elementwise:
            return f"inv({self.write(node.base)})", ATOM
        return (
            f"{self.within(node.base, ATOM)}{'.^' if node.elementwise else '^'}{self.within(node.exponent, ATOM)}",
            POWER,
        )

    def _apply(self, node: Apply) -> tuple[str, int]:
        if "_" in node.function:  # a factor of X = QR, which has a letter of its own
            raise Unwritable(node.function)
        name = PLAIN.get(node.function)
        if name is None or node.primed:
            raise Unwritable(f"{node.function} is not written in plain text")
        return f"{name}({', '.join(map(self.write, node.arguments))})", ATOM

    def _big(self, node: Big) -> tuple[str, int]:
        if node.indices or node.operator != "sum":
            raise Unwritable("a sum over indices is not written in plain text")
        return f"sum({self.write(node.body)})", ATOM

    def _norm(self, node: Norm) -> tuple[str, int]:
        names = {"": "norm2", "1": "norm1", "2": "norm2", "F": "normF", "inf": "normInf"}
        if node.kind not in names:
            raise Unwritable("this norm is not written in plain text")
        return f"{names[node.kind]}({self.write(node.argument)})", ATOM

    def _modulus(self, node: Modulus) -> tuple[str, int]:
        return f"abs({self.write(node.argument)})", ATOM


def _group(text: str) -> str:
    return tex(text) if len(text) == 1 or text.isalpha() else f"{{{text}}}"
