"""Parts of a statement with their meaning: a shape, and how a value is computed; kinds of letters; ways of reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from identities.statements.environment import Array, Env
from identities.statements.shapes import (
    Shape,
    Size,
)
from identities.statements.syntax import (
    At,
)

Run = Callable[[Env], Array]


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
    """What is declared about a letter: its shape, and how it is drawn (a structure word; None: generally)."""

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
    totals: Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )  # as structures: of d, and of a letter by itself
    random: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)  # letter -> words of its law
    norm: str = ""  # the kind of a matrix norm that the text leaves away
