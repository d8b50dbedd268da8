"""Sizes and shapes by unification.

A size is a number that is open at first and that products, sums and declarations tie to others.  The side of a vector
that has no extent is `ONE`, which is never tied to an open size: a matrix stays a matrix where a dim happens to be 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from identities.statements.errors import TooLarge, WrongShapes

_names = itertools.count()
MOST_FACTORS = 200  # that a size is made of, all products and sums put in


class Size:
    """An open size, a number, or a product or sum of sizes; `find` gives the one for all that are tied together."""

    def __init__(
        self, value: int | None = None, name: str = "", product: Sizes = (), sum: Sizes = (), declared: bool = False
    ):
        self.value = value
        self.name = name
        self.declared = declared  # two sizes that are declared under two names stay two
        self.product = product
        self.sum = sum
        self.same: Size | None = None
        self.order = next(_names)

    def find(self) -> Size:
        one = self
        while one.same is not None:
            one = one.same
        return one

    @property
    def made(self) -> bool:
        """Whether it is made of others."""
        return bool(self.product or self.sum)

    def __repr__(self) -> str:
        one = self.find()
        if one.made and not _countable(one):
            return "…"
        if one.product:
            return "·".join(map(repr, one.product))
        if one.sum:
            return "(" + "+".join(map(repr, one.sum)) + ")"
        return one.name or (str(one.value) if one.value is not None else f"d{one.order}")

    def __int__(self) -> int:
        one = self.find()
        if one.made:
            _leaves(one)
        return one._number()

    def _number(self) -> int:
        one = self.find()
        if one.product:
            return math.prod(part._number() for part in one.product)
        if one.sum:
            return sum(part._number() for part in one.sum)
        if one.value is None:
            raise WrongShapes("the size of a part, of I or of a vector of ones, follows from nothing: write it out")
        return one.value


Sizes = tuple[Size, ...]
Shape = tuple[Size, ...]
ONE = Size(1, "1")
SCALAR: Shape = ()


def tie(a: Size, b: Size) -> bool:
    """Make two sizes one.  False where they differ for good."""
    a, b = a.find(), b.find()
    if a is b:
        return True
    if a is ONE or b is ONE:
        return False
    if a.made and b.made:
        return _tie_made(a, b)
    if a.made:
        a, b = b, a
    if b.made:  # an open size becomes the product; a number is compared when the sizes are drawn
        _leaves(b)
        if a.value is None and not _inside(a, b):
            a.same = b
        return True
    if a.declared and b.declared:
        return False
    if a.value is not None and b.value is not None:
        return a.value == b.value
    if a.declared or (not b.declared and (a.value is not None or (a.name and not b.name))):
        a, b = b, a
    if b.value is None:  # a name that meets a number is that number
        b.value = a.value
    a.same = b
    return True


def _tie_made(a: Size, b: Size) -> bool:
    """Products of the same factors are one size in any order; otherwise factor by factor."""
    for mine, theirs in ((a.product, b.product), (a.sum, b.sum)):
        if mine and theirs:
            if sorted(id(s.find()) for s in mine) == sorted(id(s.find()) for s in theirs):
                return True
            if len(mine) == len(theirs):
                return all(tie(x, y) for x, y in zip(mine, theirs, strict=True))
    return True  # compared when the sizes are drawn


def _leaves(made: Size, most: int = MOST_FACTORS) -> int:
    """How many sizes it is made of.  Raises TooLarge: sizes of sizes of sizes are soon beyond counting."""
    one = made.find()
    found = 0 if one.made else 1
    for part in (*one.product, *one.sum):
        found += _leaves(part, most - found)
        if found > most:
            raise TooLarge(f"a size is made of more than {MOST_FACTORS} others")
    return found


def _countable(made: Size) -> bool:
    try:
        return _leaves(made, 20) > 0
    except TooLarge:
        return False


def _inside(open_size: Size, made: Size) -> bool:
    return any(
        part.find() is open_size or (part.find().made and _inside(open_size, part.find()))
        for part in (*made.product, *made.sum)
    )


def product(*sizes: Size) -> Size:
    sizes = tuple(s for s in sizes if not is_one(s))
    if len(sizes) < 2:
        return sizes[0] if sizes else ONE
    found = Size(product=sizes)
    _leaves(found)
    return found


def total(sizes: Sequence[Size]) -> Size:
    """The size of blocks side by side."""
    if len(sizes) == 1:
        return sizes[0]
    found = Size(sum=tuple(sizes))
    _leaves(found)
    return found


def is_one(size: Size) -> bool:
    return size.find() is ONE


def column(size: Size) -> Shape:
    return (size, ONE)


def is_column(shape: Shape) -> bool:
    return len(shape) == 2 and is_one(shape[1]) and not is_one(shape[0])


def is_row(shape: Shape) -> bool:
    return len(shape) == 2 and is_one(shape[0]) and not is_one(shape[1])


def is_vector(shape: Shape) -> bool:
    return is_column(shape) or is_row(shape)


def is_matrix(shape: Shape) -> bool:
    return len(shape) == 2 and not is_one(shape[0]) and not is_one(shape[1])


def extents(shape: Shape) -> Shape:
    """The sizes that are no ONE."""
    return tuple(size for size in shape if not is_one(size))


def of_axes(sizes: Sequence[Size]) -> Shape:
    """The shape with these axes: none is a number, one a column, two a matrix."""
    if len(sizes) == 1:
        return column(sizes[0])
    return tuple(sizes)


def words(shape: Shape) -> str:
    """In English: "a number", "a column of n", "m × n"."""
    if not shape:
        return "a number"
    if is_column(shape):
        return f"a column of length {shape[0]!r}"
    if is_row(shape):
        return f"a row of length {shape[1]!r}"
    return " × ".join(map(repr, shape))
