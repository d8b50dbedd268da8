"""What stands behind a statement: entrywise definitions, recursions, letters made by factorisations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from identities.statements.errors import Unread
from identities.statements.syntax import (
    Add,
    Apply,
    Cases,
    Condition,
    Definition,
    Entry,
    Letter,
    Marked,
    Node,
    Number,
    walk,
)


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
        general = max(found, key=lambda d: len(inner_letters(d.right, name)))
        (start,) = (d for d in found if d is not general)
        left = general.left.indices[0]  # type: ignore[attr-defined]
        shift = 0
        if isinstance(left, Add) and isinstance(left.terms[-1][1], Number):
            shift = int(left.terms[-1][0] * left.terms[-1][1].value)
            left = left.terms[0][1]
        if not isinstance(left, Letter):
            raise Unread("the subscript of a recursion is a letter, or one with a number added", general.at)
        return Recursion(left.name, shift, general.right, start.right, start.left.indices[0])  # type: ignore[attr-defined]


def inner_letters(node: Node, name: str) -> list[Node]:
    return [n for n in walk(node) if isinstance(n, Letter) and n.name == name]


def is_number(node: Node) -> bool:
    return isinstance(node, Number)


def bare(node: Node) -> Any:
    return node.base if isinstance(node, Marked) else node


def made(function: str, argument: Node) -> Node:
    return Apply(argument.at, function, (argument,))


def by_entries(found: list[Definition]) -> Definition:
    """F_{ij} = …, with cases where there are several: F_{ii} = 0 stands before the general one."""
    general = max(found, key=lambda d: len(set(d.left.indices)))  # type: ignore[attr-defined]
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
    return Definition(general.at, general.left, Entry(general.at, Opaque(general.at, body), names))


@dataclasses.dataclass(frozen=True)
class Opaque(Node):
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


def named_size(node: Node, low: float | None) -> str:
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
