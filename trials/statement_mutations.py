"""The slips of the trial of statements: one at a time, in the syntax tree of an equation."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from identities.statements.meaning import Kind
from identities.statements.printing import latex
from identities.statements.shapes import is_matrix
from identities.statements.syntax import (
    Add,
    Apply,
    Condition,
    Delta,
    Entry,
    Index,
    Letter,
    Marked,
    Node,
    Number,
    Power,
    Product,
    SingleEntry,
    Statement,
    Target,
    UnitVector,
)

Chain = tuple[tuple[Node, Node], ...]  # an expression before and after, from the edited one to the whole side
FUNCTIONS = {"tr", "det"}


@dataclasses.dataclass(frozen=True)
class Slip:
    """One edit of one side: by which operator, what stands there then, and the statement that it leaves."""

    operator: str
    edit: str
    statement: Statement
    chain: Chain


def slips(statement: Statement, kinds: Mapping[str, Kind]) -> list[Slip]:
    """Every edit of a statement's sides, each result once."""
    found: dict[str, Slip] = {}
    times: collections.Counter[str] = collections.Counter()  # the same edit at another place is another slip
    original = latex(statement)
    for k, side in enumerate(statement.sides):
        for operator, chain in _whole_side(side, k) + list(_variants(side, kinds)):
            sides = (*statement.sides[:k], chain[-1][1], *statement.sides[k + 1 :])
            changed = dataclasses.replace(statement, sides=sides)
            text = latex(changed)
            if text != original and text not in found:
                before, after = (latex(node) for node in chain[0])
                edit = f"side {k + 1}: {before} -> {after}"
                times[edit] += 1
                numbered = f"{edit} ({times[edit]})" if times[edit] > 1 else edit
                found[text] = Slip(operator, numbered, changed, chain)
    return list(found.values())


def _whole_side(side: Node, number: int) -> list[tuple[str, Chain]]:
    """The sign and a factor of the whole right-hand side."""
    if number == 0 or (isinstance(side, Number) and not side.value):
        return []
    negative = Add(side.at, ((-1, side),))
    double = Product(side.at, (Number(side.at, 2.0), side))
    return [("sign", ((side, negative),)), ("coefficient", ((side, double),))]


def _variants(node: Node, kinds: Mapping[str, Kind]) -> Iterator[tuple[str, Chain]]:
    for operator, new in _edits(node, kinds):
        yield operator, ((node, new),)
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        for operator, inner, rebuilt in _inside(value, node, kinds):
            yield operator, (*inner, (node, dataclasses.replace(node, **{field.name: rebuilt})))


def _inside(value: Any, parent: Node, kinds: Mapping[str, Kind]) -> Iterator[tuple[str, Chain, Any]]:
    """The edits below a field, with what the field then holds.  Subscripts, bounds and conditions stay as they are."""
    if isinstance(value, tuple):
        for k, part in enumerate(value):
            for operator, chain, rebuilt in _inside(part, parent, kinds):
                yield operator, chain, (*value[:k], rebuilt, *value[k + 1 :])
    elif isinstance(value, Node) and not isinstance(value, (Condition, Index, Target)):
        indexing = isinstance(parent, (Entry, Delta, SingleEntry, UnitVector)) and value is not getattr(
            parent, "base", None
        )
        exponent = isinstance(parent, Power) and value is parent.exponent
        if not indexing and not exponent:
            for operator, chain in _variants(value, kinds):
                if not (isinstance(parent, Marked) and operator == "transpose added"):
                    yield operator, chain, chain[-1][1]


def _edits(node: Node, kinds: Mapping[str, Kind]) -> Iterator[tuple[str, Node]]:
    at = node.at
    if isinstance(node, Letter) and node.name in kinds:
        if is_matrix(kinds[node.name].shape):
            yield "transpose added", Marked(at, node, "T")
        for other in _alike(node.name, kinds):
            yield "another letter", Letter(at, other)
    elif isinstance(node, Marked) and node.mark == "T":
        yield "transpose dropped", node.base
    elif isinstance(node, Power):
        yield from _powers(node)
    elif isinstance(node, Number) and node.value:
        yield "coefficient", Number(at, node.value + 1)
    elif isinstance(node, Add):
        for k, (sign, term) in enumerate(node.terms):
            rest = (*node.terms[:k], *node.terms[k + 1 :])
            yield "sign", Add(at, (*node.terms[:k], (-sign, term), *node.terms[k + 1 :]))
            if rest:
                yield "term dropped", Add(at, rest) if len(rest) > 1 or rest[0][0] < 0 else rest[0][1]
    elif isinstance(node, Product):
        for k, factor in enumerate(node.factors):
            rest = (*node.factors[:k], *node.factors[k + 1 :])
            name = "trace or determinant dropped" if _is_number_of_matrix(factor) else "factor dropped"
            yield name, Product(at, rest) if len(rest) > 1 else rest[0]
            if k and not any(_is_number(f, kinds) for f in node.factors[k - 1 : k + 1]):
                pair = (node.factors[k], node.factors[k - 1])
                yield "factors swapped", Product(at, (*node.factors[: k - 1], *pair, *node.factors[k + 1 :]))
    elif isinstance(node, Entry) and len(node.indices) == 2:
        yield "indices swapped", dataclasses.replace(node, indices=node.indices[::-1])
    elif isinstance(node, SingleEntry):
        yield "indices swapped", SingleEntry(at, node.column, node.row)


def _powers(node: Power) -> Iterator[tuple[str, Node]]:
    at, exponent = node.at, node.exponent
    one = Number(at, 1.0)
    if exponent == Add(at, ((-1, one),)):
        yield "inverse transposed", Marked(at, node, "T")
        yield "exponent", dataclasses.replace(node, exponent=Add(at, ((-1, Number(at, 2.0)),)))
    elif isinstance(exponent, Number):
        yield "exponent", dataclasses.replace(node, exponent=Number(at, exponent.value + 1))
    elif isinstance(exponent, Letter):
        yield "exponent", dataclasses.replace(node, exponent=Add(at, ((1, exponent), (1, one))))


def _is_number_of_matrix(node: Node) -> bool:
    return isinstance(node, Apply) and node.function in FUNCTIONS


def _is_number(node: Node, kinds: Mapping[str, Kind]) -> bool:
    """A factor that is a number by its look: swapping it changes nothing."""
    if isinstance(node, Letter):
        return node.name not in kinds or not kinds[node.name].shape
    return isinstance(node, (Number, Entry, Delta)) or _is_number_of_matrix(node)


def _alike(name: str, kinds: Mapping[str, Kind]) -> list[str]:
    """The next letter of the same shape and kind."""
    mine = kinds[name]

    def same(other: Kind) -> bool:
        shapes = [tuple(id(size.find()) for size in kind.shape) for kind in (mine, other)]
        return shapes[0] == shapes[1] and mine.complex == other.complex and mine.integer == other.integer

    names = sorted(kinds)
    after = names[names.index(name) + 1 :] + names[: names.index(name)]
    return [other for other in after if same(kinds[other])][:1]
