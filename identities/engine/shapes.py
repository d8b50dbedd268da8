"""Operands, their dims, and the telling shapes at which a claim is tried.

Dims are letters that bind across the operands of an entry: with `A: "p m"` and `X: "m n"` the
columns of A are the rows of X.  A wrong formula can agree at a special shape (a wrong gradient of
det(X'AX) agrees at every square one), so dims are drawn such that shapes tell.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from identities.engine.errors import LawError, NoShape, NotFinite, OperandViolation, ShapeMismatch, UnsupportedDtype
from identities.engine.operands import CountRange, draw, is_complex, is_word

Dims = dict[str, int]


@dataclasses.dataclass(frozen=True)
class Operand:
    """One operand: its name, its word and its dims (letters, or fixed sizes)."""

    name: str
    word: Any
    dims: tuple[str | int, ...]
    annotation: Any = dataclasses.field(compare=False, repr=False)

    @property
    def static(self) -> bool:
        return isinstance(self.word, CountRange)

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(d for d in self.dims if isinstance(d, str))

    def shape(self, dims: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(dims[d] if isinstance(d, str) else d for d in self.dims)

    def renamed(self, letters: Mapping[str, str]) -> Operand:
        return dataclasses.replace(self, dims=tuple(letters.get(d, d) if isinstance(d, str) else d for d in self.dims))

    @property
    def english(self) -> str:
        """What its word says of it, for instance "invertible"; "" for a general array."""
        english = self.word.english if is_word(self.word) else ""
        return english if self.dims else english.removesuffix(" in every entry")

    @property
    def description(self) -> str:
        """The operand in plain English: "X (n × n), invertible"."""
        if self.static:
            return f"{self.name}, {self.word.english} from {self.word.low} to {self.word.high}"
        size = " × ".join(map(str, self.dims)) if self.dims else "a scalar"
        words = ["complex"] if is_complex(self.word) else []
        words += [self.english] if self.english else []
        return f"{self.name} ({size})" + "".join(f", {w}" for w in words)


def parse_operand(name: str, annotation: Any, owner: str) -> Operand:
    """Read one annotation, such as `Invertible[Array, "n n"]` or `Count[int, "1..4"]`.

    Raises LawError where it is missing or is not one of these.
    """
    if isinstance(annotation, CountRange):
        return Operand(name, annotation, (), annotation)
    text = getattr(annotation, "dim_str", None)
    if annotation is inspect.Parameter.empty or text is None:
        raise LawError(
            f'{owner}: operand {name} needs an annotation such as Float[Array, "m n"] '
            f"(do not postpone annotations with `from __future__ import annotations` in a chapter)"
        )
    dims: list[str | int] = []
    for token in text.split():
        if token.isdigit():
            dims.append(int(token))
        elif len(token) == 1 and token.isalpha() and token.islower():
            dims.append(token)
        else:
            raise LawError(f"{owner}: operand {name} has the dim {token!r}; a dim is one small letter or a number")
    word = annotation.dtype
    if is_word(word) and word.square and (len(dims) != 2 or dims[0] != dims[1]):
        raise LawError(
            f'{owner}: operand {name} is {word.__name__}, which needs a square shape such as "n n"; got "{text}"'
        )
    return Operand(name, word, tuple(dims), annotation)


def narrow(operands: Mapping[str, Operand], given: Mapping[str, Any], owner: str) -> dict[str, Operand]:
    """The operands after `given={...}`; letters that it identifies are identified everywhere.

    With X declared "m n" and given as "n n", every other operand's m becomes n.
    """
    merged: dict[str, str] = {}
    narrowed: dict[str, Operand] = {}
    for name, annotation in given.items():
        if name not in operands:
            raise LawError(
                f"{owner}: given= names {name!r}, which is no operand; the operands are {', '.join(operands)}"
            )
        new = parse_operand(name, annotation, owner)
        old = operands[name]
        if len(new.dims) != len(old.dims):
            raise LawError(
                f"{owner}: given= declares {name} with {len(new.dims)} dims, but the identity has {len(old.dims)}"
            )
        merged.update(
            {
                a: b
                for a, b in zip(old.dims, new.dims, strict=True)
                if isinstance(a, str) and isinstance(b, str) and a != b
            }
        )
        narrowed[name] = new
    return {name: narrowed.get(name, operand.renamed(merged)) for name, operand in operands.items()}


def letters_of(operands: Mapping[str, Operand]) -> tuple[str, ...]:
    """The dim letters in the order in which the operands bring them."""
    return tuple(dict.fromkeys(letter for operand in operands.values() for letter in operand.letters))


def condition(where: str | None, owner: str = "where") -> Callable[[Mapping[str, int]], bool]:
    """The condition on dims, compiled from a Python comparison such as "n <= m"."""
    if not where:
        return lambda dims: True
    allowed = (
        ast.Expression,
        ast.Compare,
        ast.BoolOp,
        ast.BinOp,
        ast.Name,
        ast.Constant,
        ast.Load,
        ast.cmpop,
        ast.boolop,
        ast.operator,
    )
    try:
        tree = ast.parse(where, mode="eval")
    except SyntaxError as error:
        raise LawError(
            f"{owner}: where={where!r} is no comparison of dims; write, for instance, where='n <= m'"
        ) from error
    if not all(isinstance(node, allowed) for node in ast.walk(tree)):
        raise LawError(f"{owner}: where={where!r} may only compare dims and numbers, for instance 'n <= m'")
    code = compile(tree, "<where>", "eval")
    return lambda dims: bool(eval(code, {"__builtins__": {}}, dict(dims)))


def stream(name: str, *seed: int) -> np.random.Generator:
    """A NumPy generator of its own for `name`: the same everywhere for the same seed."""
    return np.random.default_rng([*seed, zlib.crc32(name.encode())])


@dataclasses.dataclass(frozen=True)
class Case:
    """One telling shape: the dims, the values of the static operands, and what it is telling about."""

    dims: Dims
    counts: Dims
    kind: str  # "distinct", "one", "square", "turned", "more", "count" or "asked"

    def __str__(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in {**self.dims, **self.counts}.items()) or "fixed shape"


def cases(
    operands: Mapping[str, Operand],
    where: str | None,
    *,
    name: str,
    seed: int = 0,
    number: int = 3,
    asked: Mapping[str, int] | None = None,
) -> list[Case]:
    """The telling shapes of an entry, drawn from the seed.

    The first has all dims distinct (as far as `where` allows); the second has a single 1, put
    where it turns round the order of the first's dims, and the others distinct; the third is
    square where that is admissible; the fourth is the first with the order of its dims turned
    round, tall for wide.  Further ones are free.  From three on, cases are added until every value
    of a static operand has been tried, since each may take another branch of a closed form.
    `asked` fixes dims or counts by name; names that the entry lacks are ignored.
    Raises NoShape where nothing satisfies `where`.
    """
    rng = stream(name, seed)
    letters = letters_of(operands)
    admissible = condition(where, name)
    ranges = {o.name: o.word for o in operands.values() if o.static}
    asked = {k: int(v) for k, v in (asked or {}).items() if k in letters or k in ranges}
    for k, v in asked.items():
        low, high = (ranges[k].low, ranges[k].high) if k in ranges else (1, v)
        if not low <= v <= high:
            wanted = f"must be {low} to {high}" if k in ranges else "must be at least 1"
            raise NoShape(f"{name}: {k} {wanted}, got {v}")
    free = [letter for letter in letters if letter not in asked]
    fixed = {letter: asked[letter] for letter in letters if letter in asked}

    def counts(low: int) -> Dims:
        drawn = {k: int(rng.integers(min(max(r.low, low), r.high), r.high + 1)) for k, r in ranges.items()}
        return drawn | {k: asked[k] for k in drawn if k in asked}

    def every_count(found: list[Case]) -> list[Case]:
        for k, r in ranges.items() if number >= 3 else ():
            for value in range(r.low, r.high + 1) if k not in asked else ():
                if all(case.counts[k] != value for case in found):
                    found.append(Case(found[0].dims, found[0].counts | {k: value}, "count"))
        return found

    def first(candidates: Iterator[tuple[int, ...]]) -> Dims | None:
        for sizes in candidates:
            dims = {**dict(zip(free, sizes, strict=True)), **fixed}
            if admissible(dims):
                return {letter: dims[letter] for letter in letters}
        return None

    def distinct() -> Iterator[tuple[int, ...]]:
        # from 3 on: at 2 too much coincides (the adjugate is linear there, for instance)
        pool = [n for n in range(3, len(free) + len(fixed) + 5) if n not in fixed.values()]
        for _ in range(300):
            yield tuple(int(n) for n in rng.permutation(pool)[: len(free)])

    def anything() -> Iterator[tuple[int, ...]]:
        for _ in range(3000):
            yield tuple(int(n) for n in rng.integers(1, len(free) + 5, len(free)))

    if not free:
        if not admissible(fixed):
            raise NoShape(f"{name}: the dims {asked or {}} do not satisfy its condition {where}")
        return every_count([Case(dict(fixed), counts(2), "asked" if asked else "distinct")])

    base = first(distinct()) or first(anything())
    if base is None:
        raise NoShape(
            f"{name}: no dims satisfy its condition {where}" + (f" together with {dict(asked)}" if asked else "")
        )
    found = [Case(base, counts(2), "distinct")]

    def ones() -> Iterator[tuple[int, ...]]:
        # the largest dim of the first shape becomes 1, so that every order turns round
        for letter in sorted(free, key=lambda k: -base[k]):
            for sizes in itertools.islice(distinct(), 30):
                yield tuple(1 if k == letter else n for k, n in zip(free, sizes, strict=True))

    def squares() -> Iterator[tuple[int, ...]]:
        for n in rng.permutation([2, 3, 4, 5]):
            if len(free) > 1 or n not in base.values():
                yield (int(n),) * len(free)

    def turned() -> Iterator[tuple[int, ...]]:
        # the first shape with the order of its dims turned round: tall becomes wide
        sizes = sorted(base[k] for k in free)
        order = sorted(free, key=lambda k: -base[k])
        turned_dims = dict(zip(order, sizes, strict=True))
        yield tuple(turned_dims[k] for k in free)

    def new(dims: Dims | None) -> bool:
        return dims is not None and all(dims != case.dims for case in found)

    plan = [("one", ones, 1), ("square", squares, 2), ("turned", turned, 2)]
    for index in range(number - 1):
        kind, make, low = plan[index] if index < len(plan) else ("more", anything, 0)
        dims = first(make())
        if not new(dims):
            kind, dims = "more", next((d for d in (first(distinct()) for _ in range(20)) if new(d)), None)
        if dims is not None:
            found.append(Case(dims, counts(low), kind))
    return every_count(found[:number])


def draw_operands(operands: Mapping[str, Operand], case: Case, seed: int) -> dict[str, Any]:
    """float64 (complex128) arrays and Python ints for one case, drawn with NumPy from the seed."""
    values: dict[str, Any] = {}
    for name, operand in operands.items():
        values[name] = (
            case.counts[name] if operand.static else draw(operand.word, stream(name, seed), operand.shape(case.dims))
        )
    return values


def bind(
    operands: Mapping[str, Operand], where: str | None, values: Mapping[str, Any], owner: str, *, validate: bool = False
) -> Dims:
    """Match arrays against the declared operands and return the dims.

    With `validate`, the values are looked at too: they must be finite and keep their words.
    Raises ShapeMismatch, UnsupportedDtype, NotFinite or OperandViolation, each of which names the
    operand, what was expected and what was got; TypeError for a missing or unknown operand.
    """
    for name in values:
        if name not in operands:
            raise TypeError(f"{owner}: there is no operand {name!r}; the operands are {', '.join(operands)}")
    dims: Dims = {}
    bound_by: dict[str, str] = {}
    for name, operand in operands.items():
        if name not in values:
            raise TypeError(f"{owner}: operand {operand.description} is missing")
        value = values[name]
        if operand.static:
            if (
                isinstance(value, bool)
                or not isinstance(value, int | np.integer)
                or not operand.word.low <= value <= operand.word.high
            ):
                raise ShapeMismatch(
                    f"{owner}: {name} must be a Python int from {operand.word.low} to {operand.word.high}, "
                    f"got {value!r}"
                )
            continue
        shape = tuple(np.shape(value))
        wanted = f'"{" ".join(map(str, operand.dims))}"' if operand.dims else "a scalar"
        if len(shape) != len(operand.dims):
            raise ShapeMismatch(
                f"{owner}: operand {name} must have shape {wanted}, that is {len(operand.dims)} dims; got shape {shape}"
            )
        for dim, size in zip(operand.dims, shape, strict=True):
            if isinstance(dim, int):
                if size != dim:
                    raise ShapeMismatch(f"{owner}: operand {name} must have shape {wanted}; got shape {shape}")
            elif dims.setdefault(dim, size) != size:
                by = bound_by.get(dim, name)
                raise ShapeMismatch(
                    f"{owner}: operand {name} must have shape {wanted}, and {dim} is {dims[dim]} "
                    f"by operand {by}; got shape {shape}"
                )
            else:
                bound_by.setdefault(dim, name)
        dtype = np.dtype(getattr(value, "dtype", None) or np.asarray(value).dtype)
        if dtype.kind not in "fcV" or (dtype.kind == "c" and not is_complex(operand.word)):
            kind = "complex or real" if is_complex(operand.word) else "real"
            raise UnsupportedDtype(
                f"{owner}: operand {name} must be a {kind} floating-point array; got dtype {dtype.name}"
            )
        if validate:
            array = np.asarray(value)
            if not np.all(np.isfinite(array)):
                raise NotFinite(f"{owner}: operand {name} holds NaN or infinity, and finite numbers were expected")
            reason = operand.word.violation(array) if is_word(operand.word) else None
            if reason:
                raise OperandViolation(f"{owner}: operand {name} must be {operand.word.english}, but {reason}")
    if not condition(where, owner)(dims):
        raise ShapeMismatch(f"{owner}: the dims {dims} do not satisfy the condition {where}")
    return dims
