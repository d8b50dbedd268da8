"""The syntax tree of a statement.  Three notations are read into it: LaTeX, Unicode and plain text.

Every node knows its place in the text, `at`, from where to where; two nodes are equal if they say the same, wherever
they stand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

At = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Node:
    at: At = dataclasses.field(compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Number(Node):
    value: float


@dataclasses.dataclass(frozen=True)
class Letter(Node):
    """A letter with its accents and its fixed subscript: X, Phi, l_1, hat(x)."""

    name: str


@dataclasses.dataclass(frozen=True)
class Constant(Node):
    """I, 1 (a vector of ones), pi, i (the imaginary unit), infinity."""

    name: str


@dataclasses.dataclass(frozen=True)
class Entry(Node):
    """`base_{indices}`: an entry, or, where the base is a number that depends on the indices, the array of all."""

    base: Node
    indices: tuple[Node, ...]


@dataclasses.dataclass(frozen=True)
class Add(Node):
    terms: tuple[tuple[int, Node], ...]  # (sign, term)


@dataclasses.dataclass(frozen=True)
class Product(Node):
    factors: tuple[Node, ...]


@dataclasses.dataclass(frozen=True)
class Elementwise(Node):
    """Hadamard product or quotient: `operator` is "∘" or "⊘"."""

    operator: str
    left: Node
    right: Node


@dataclasses.dataclass(frozen=True)
class Kronecker(Node):
    left: Node
    right: Node


@dataclasses.dataclass(frozen=True)
class Quotient(Node):
    above: Node
    below: Node


@dataclasses.dataclass(frozen=True)
class LeftDivision(Node):
    r"""A \ B, the solution X of AX = B."""

    matrix: Node
    right: Node


@dataclasses.dataclass(frozen=True)
class Power(Node):
    base: Node
    exponent: Node
    elementwise: bool = False


@dataclasses.dataclass(frozen=True)
class Marked(Node):
    """`base` under one of the marks T (transpose), H, * (conjugate), + (pseudoinverse)."""

    base: Node
    mark: str


@dataclasses.dataclass(frozen=True)
class Apply(Node):
    """A named function, of the language or declared: tr, det, ln, sin, f."""

    function: str
    arguments: tuple[Node, ...]
    primed: int = 0  # f', f''


@dataclasses.dataclass(frozen=True)
class Norm(Node):
    argument: Node
    kind: str  # "", "1", "2", "F", "inf", "max", "KF"


@dataclasses.dataclass(frozen=True)
class Modulus(Node):
    argument: Node


@dataclasses.dataclass(frozen=True)
class Index(Node):
    """A bound index with its bounds, where they are written."""

    name: str
    low: Node | None = None
    high: Node | None = None


@dataclasses.dataclass(frozen=True)
class Condition(Node):
    """`left relation right`, between indices or numbers: l - k = j - i, i \\ne j."""

    relation: str
    left: Node
    right: Node


@dataclasses.dataclass(frozen=True)
class Big(Node):
    """A sum, product, maximum or minimum over indices."""

    operator: str  # "sum", "prod", "max", "min"
    indices: tuple[Index, ...]
    conditions: tuple[Condition, ...]
    body: Node


@dataclasses.dataclass(frozen=True)
class Delta(Node):
    left: Node
    right: Node


@dataclasses.dataclass(frozen=True)
class SingleEntry(Node):
    """J^{ij}: one in row i and column j, zero elsewhere."""

    row: Node
    column: Node


@dataclasses.dataclass(frozen=True)
class UnitVector(Node):
    index: Node


@dataclasses.dataclass(frozen=True)
class Blocks(Node):
    rows: tuple[tuple[Node, ...], ...]


@dataclasses.dataclass(frozen=True)
class Cases(Node):
    """Values under conditions; those of a row all hold; a row without conditions is for the rest."""

    rows: tuple[tuple[Node, tuple[Condition, ...]], ...]


@dataclasses.dataclass(frozen=True)
class Iverson(Node):
    """[x > 0]: one where the condition holds, zero elsewhere; entry by entry of a vector."""

    condition: Condition


@dataclasses.dataclass(frozen=True)
class Columns(Node):
    """[v_1, …, v_n]: the matrix whose columns are called v_i."""

    letter: str


@dataclasses.dataclass(frozen=True)
class Target(Node):
    """What a derivative is taken by: a letter, an entry of one, X^*, X^+, Re X, x^T (layout only)."""

    letter: str
    indices: tuple[Node, ...] = ()
    mark: str = ""  # "", "*", "+", "Re", "Im", "vec"


@dataclasses.dataclass(frozen=True)
class Derivative(Node):
    """The derivative of `body` by the targets; `order` is a node where the print leaves it open (d^k/dx^k)."""

    body: Node
    targets: tuple[Target, ...]
    order: Node | None = None
    total: bool = False  # written with d and not with ∂


@dataclasses.dataclass(frozen=True)
class Differential(Node):
    """d(body), along the tangents of all letters that the statement varies; `along` where it lists them: d(f)[dX]."""

    body: Node
    along: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Minimum(Node):
    """The least value over a vector, of a function quadratic in it."""

    letter: str
    body: Node


@dataclasses.dataclass(frozen=True)
class Average(Node):
    """An expectation: operator E, Var or Cov."""

    operator: str
    arguments: tuple[Node, ...]


@dataclasses.dataclass(frozen=True)
class Given(Node):
    """`body` where the definitions hold: f |_{x = ...}."""

    body: Node
    definitions: tuple[Definition, ...]


@dataclasses.dataclass(frozen=True)
class Definition(Node):
    """`left = right` behind a statement: of a letter, of a function, entry by entry, or a factorisation."""

    left: Node
    right: Node


@dataclasses.dataclass(frozen=True)
class Statement(Node):
    """A chain a = b = c, with the definitions that stand behind it."""

    sides: tuple[Node, ...]
    definitions: tuple[Definition, ...] = ()
    relation: str = "="
    premises: tuple[Definition, ...] = ()  # the equations before ⇒


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below."""
    for field in dataclasses.fields(node):
        yield from _nodes(getattr(node, field.name))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _nodes(part)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    found = [node]
    while found:
        one = found.pop()
        yield one
        found += children(one)
