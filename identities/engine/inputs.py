"""What a caller hands to a check of their own: operands, functions, and one sentence for what does not fit.

Operands are values (arrays, numbers, lists of numbers, pytrees of them) or annotations such as
`PosDef[Array, "n n"]`.  Floating-point leaves become named arrays; what is no array of floats and is
not differentiated by (a Python int, a string, labels that index, integers beside floats in a pytree) is kept as it is.
"""

from __future__ import annotations

import dataclasses
import inspect
import linecache
import os
import pathlib
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Complex as AnyComplex

from identities.engine.errors import NoEvidence, NotFinite, TooLarge, UnsupportedDtype
from identities.engine.operands import CountRange

Wrt = int | str | Sequence[int | str]
PRECISIONS = ("float64", "float32", "float16", "bfloat16")
MEMORY = 2 * 2**30  # bytes that a check may take, by the estimate below
COPIES = 12  # both sides in two precisions, perturbed and shifted ones, what XLA holds in between


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One array among the operands: its name as an operand, how its owner would write it, and its place."""

    name: str
    label: str
    operand: int
    value: Any  # a NumPy array of float64 or complex128, or an annotation

    @property
    def annotated(self) -> bool:
        return is_annotation(self.value)

    @property
    def annotation(self) -> Any:
        if self.annotated:
            return self.value
        kind = AnyComplex if self.value.dtype.kind == "c" else Float
        return kind[Array, " ".join(map(str, self.value.shape))]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The operands of a call: their leaves, and how to put them together again."""

    names: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    wrt: tuple[int, ...]  # positions of the operands that are differentiated by
    single: bool  # wrt named one operand, not a tuple of them
    notes: tuple[str, ...]
    _trees: tuple[Any, ...]
    _kept: tuple[tuple[Any, ...], ...]  # the leaves of each operand, None where a Leaf stands

    @property
    def annotated(self) -> bool:
        return any(leaf.annotated for leaf in self.leaves)

    def of(self, position: int) -> list[Leaf]:
        return [leaf for leaf in self.leaves if leaf.operand == position]

    @property
    def differentiated(self) -> list[Leaf]:
        return [leaf for position in self.wrt for leaf in self.of(position)]

    def values(self) -> dict[str, np.ndarray]:
        return {leaf.name: leaf.value for leaf in self.leaves}

    def operands(self, named: dict[str, Any]) -> list[Any]:
        """The operands as the caller's function takes them, with these arrays for the leaves."""
        built = []
        for position, (tree, kept) in enumerate(zip(self._trees, self._kept, strict=True)):
            mine = iter(self.of(position))
            leaves = [named[next(mine).name] if slot is None else slot[0] for slot in kept]
            built.append(leaves[0] if tree is None else jax.tree.unflatten(tree, leaves))
        return built

    def arrays(self, operands: Sequence[Any]) -> dict[str, Any]:
        """The named arrays in operands that `operands` has put together."""
        found = {}
        for position, operand in enumerate(operands):
            leaves = [operand] if self._trees[position] is None else jax.tree.leaves(operand)
            mine = self.of(position)
            found.update({leaf.name: leaves[at] for leaf, at in zip(mine, self.places(position), strict=True)})
        return found

    def places(self, position: int) -> list[int]:
        """Where the arrays of an operand stand among all leaves of its pytree."""
        return [place for place, slot in enumerate(self._kept[position]) if slot is None]

    def tree(self, position: int) -> Any:
        """The structure of an operand; None where it is one array."""
        return self._trees[position]


def is_annotation(value: Any) -> bool:
    """Whether this is a declaration such as `Float[Array, "m n"]` or `Count[int, "1..4"]`, and no value."""
    return isinstance(value, CountRange) or (isinstance(value, type) and hasattr(value, "dim_str"))


def read(f: Callable[..., Any], operands: Sequence[Any], wrt: Wrt, dtype: str) -> Inputs:
    """Read the operands of a call.  Raises TypeError, UnsupportedDtype, NotFinite or NoEvidence."""
    names = parameters(f, len(operands))
    positions = _positions(names, wrt)
    leaves: list[Leaf] = []
    trees, kept, notes = [], [], []
    for position, (name, operand) in enumerate(zip(names, operands, strict=True)):
        tree, parts = _parts(name, operand)
        slots: list[Any] = []
        by = position in positions
        # beside floats an integer is a setting; a differentiated operand of integers alone stands for floats
        settings = tree is not None and (not by or any(_floating(part) for _, part in parts))
        for path, part in parts:
            label = name + path
            value, note = _leaf(label, part, by, tree is not None, settings)
            notes += [note] if note else []
            if value is None:
                slots.append((part,))
                continue
            slots.append(None)
            leaves.append(Leaf(_clean(label), label, position, value))
        trees.append(tree)
        kept.append(tuple(slots))
    inputs = Inputs(
        names, tuple(leaves), positions, isinstance(wrt, int | str), tuple(notes), tuple(trees), tuple(kept)
    )
    _agree(inputs, dtype)
    return dataclasses.replace(inputs, leaves=_apart_from_tangents(leaves))


def _apart_from_tangents(leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
    """The leaves, with no name that is another's with a d before it: the tangent of x is called dx."""
    names, found = {leaf.name for leaf in leaves}, []
    taken = names | {f"d{name}" for name in names}
    for leaf in leaves:
        if leaf.name.startswith("d") and leaf.name[1:] in names:
            number = 0
            while {f"{leaf.name}{number}", f"d{leaf.name}{number}"} & taken:
                number += 1
            leaf = dataclasses.replace(leaf, name=f"{leaf.name}{number}")
            taken |= {leaf.name, f"d{leaf.name}"}
        found.append(leaf)
    return tuple(found)


def _agree(inputs: Inputs, dtype: str) -> None:
    seen: dict[str, str] = {}
    for leaf in inputs.leaves:
        if seen.setdefault(leaf.name, leaf.label) != leaf.label:
            raise TypeError(f"{seen[leaf.name]} and {leaf.label} would both be called {leaf.name}; rename one of them")
    if inputs.annotated and not all(leaf.annotated for leaf in inputs.leaves):
        names = [leaf.label for leaf in inputs.leaves if not leaf.annotated]
        raise TypeError(f"operands are all values or all annotations; {', '.join(names)} is a value beside annotations")
    if not inputs.differentiated:
        names = [inputs.names[p] for p in inputs.wrt]
        raise NoEvidence(f"operand {', '.join(names)} holds no floating-point array to differentiate by")
    for leaf in inputs.differentiated:
        if isinstance(leaf.value, CountRange):
            raise TypeError(f"operand {leaf.label} is a static integer; nothing is differentiated by it")
        if not leaf.annotated and leaf.value.size == 0:
            raise NoEvidence(
                f"operand {leaf.label} has shape {leaf.value.shape} and no entry: there is nothing to check"
            )
    complex_ones = [
        leaf.label for leaf in inputs.leaves if not isinstance(leaf.value, CountRange) and _is_complex(leaf.value)
    ]
    if complex_ones and dtype in ("float16", "bfloat16"):
        raise UnsupportedDtype(f"operand {complex_ones[0]} is complex, and there is no complex {dtype}; use float32")


def _is_complex(value: Any) -> bool:
    if is_annotation(value):
        return all(str(d).startswith("complex") for d in value.dtype.dtypes)
    return bool(value.dtype.kind == "c")


def _clean(label: str) -> str:
    return re.sub(r"\W+", "_", label).strip("_")


def parameters(f: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The names of the first `count` parameters; x0, x1, ... where the function hides them."""
    try:
        found = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        found = []
    positional = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if count == 0:
        raise TypeError("no operand was given; pass those of the function behind the gradient")
    return tuple(positional[:count]) if len(positional) >= count else tuple(f"x{i}" for i in range(count))


def _positions(names: tuple[str, ...], wrt: Wrt) -> tuple[int, ...]:
    several = list(wrt) if isinstance(wrt, tuple | list) else [wrt]
    found = []
    for one in several:
        if isinstance(one, bool) or not isinstance(one, int | str):
            raise TypeError(f"wrt must be the position or the name of an operand, or a tuple of them; got {wrt!r}")
        if isinstance(one, str) and one not in names:
            raise TypeError(f"wrt={one!r} is no parameter of the function; its parameters are {', '.join(names)}")
        position = names.index(one) if isinstance(one, str) else one
        if not 0 <= position < len(names):
            raise TypeError(f"wrt={one} is no position of the {len(names)} operands given")
        found.append(position)
    if not found or len(set(found)) < len(found):
        raise TypeError(f"wrt must name one operand or several different ones; got {wrt!r}")
    return tuple(found)


def _parts(name: str, operand: Any) -> tuple[Any, list[tuple[str, Any]]]:
    """The structure of an operand (None: one array) and its leaves with their paths."""
    if isinstance(operand, list | tuple) and _numbers(operand):
        try:
            return None, [("", np.asarray(operand))]
        except ValueError:
            raise TypeError(f"operand {name} is a ragged list of numbers; an array or a pytree was expected") from None
    leaves, tree = jax.tree_util.tree_flatten_with_path(operand, is_leaf=is_annotation)
    if len(leaves) == 1 and not leaves[0][0]:
        return None, [("", leaves[0][1])]
    return tree, [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


def _numbers(value: Any) -> bool:
    """Whether a list holds nothing but numbers and lists of them: an array, then, and no pytree."""
    if isinstance(value, list | tuple):
        return bool(value) and all(_numbers(v) for v in value) and type(value) in (list, tuple)
    return isinstance(value, int | float | complex | np.number) and not isinstance(value, bool)


def _floating(part: Any) -> bool:
    """Whether a leaf is an array of floats, real or complex, or declares one."""
    if is_annotation(part) or isinstance(part, jax.core.Tracer):
        return True
    array = None if callable(part) or isinstance(part, str) else _as_numpy(part)
    # bfloat16 is no kind of float to NumPy, but its name tells
    return array is not None and (array.dtype.kind in "fc" or "float" in array.dtype.name)


def _leaf(label: str, part: Any, differentiated: bool, inside: bool, settings: bool) -> tuple[Any, str]:
    """The float64 (complex128) array of a leaf, None for one kept as it is; and what is to be said of it.

    `inside` says that it is one leaf of a pytree, and `settings` that the integers of this pytree are kept.
    """
    if is_annotation(part):
        if not isinstance(part, CountRange) and all(re.match("u?int|bool", str(d)) for d in part.dtype.dtypes):
            raise UnsupportedDtype(
                f"operand {label} is declared {part.__name__}, and floats are drawn; declare Float, or Count for an int"
            )
        return part, ""
    if isinstance(part, jax.core.Tracer):
        raise TypeError(f"operand {label} is traced: the call stands inside jit, vmap or grad; call it outside")
    array, floating = None if callable(part) or isinstance(part, str) else _as_numpy(part), _floating(part)
    if array is None or not (floating or (array.dtype.kind in "iu" and not settings)):
        if differentiated and not inside:
            what = array.dtype.name if array is not None else type(part).__name__
            raise UnsupportedDtype(f"operand {label} must hold floating-point numbers; got {what}")
        whole = array is not None and array.dtype.kind in "iu"
        return None, f"the integers of {label} are kept, and not differentiated by" if differentiated and whole else ""
    if not floating and not differentiated and (isinstance(part, int) or array.dtype.kind == "u"):
        return None, ""  # the k of x**k
    if not floating and not differentiated and not isinstance(part, list | tuple) and array.ndim < 2:
        return None, ""  # labels, indices
    array64 = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if not np.all(np.isfinite(array64)):
        raise NotFinite(f"operand {label} holds NaN or infinity, and finite numbers were expected")
    return array64, "" if floating else f"the integers of {label} were taken as float64"


def _as_numpy(part: Any) -> np.ndarray | None:
    try:
        array = np.asarray(part)
    except (TypeError, ValueError):
        return None
    return None if array.dtype == object else array


# What a caller's function does, before anything is compiled


def their_line(error: BaseException) -> str:
    """Where in the caller's own code an error arose: ' at file.py, line 3 (`return np.sum(x)`)', or nothing."""
    engine = pathlib.Path(__file__).resolve().parent
    ours = {str(engine), str(engine.parent / "book.py"), str(pathlib.Path(jax.__file__).resolve().parent)}
    ours |= {sysconfig.get_paths()[key] for key in ("purelib", "platlib", "stdlib")}
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if name.startswith("<frozen") or any(str(pathlib.Path(name)).startswith(folder) for folder in ours):
            continue
        text = linecache.getline(name, line).strip()
        found = f" at {pathlib.Path(name).name}, line {line}" + (f" (`{text}`)" if text else "")
    return found


def defined_at(function: Any) -> str:
    """Where a function was defined, of which no line failed: ' (defined at file.py, line 3)', or nothing."""
    function = getattr(function, "func", function)  # of a functools.partial
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    return f" (defined at {pathlib.Path(code.co_filename).name}, line {code.co_firstlineno})" if code else ""


class NoNumbers(TypeError):
    """A function returned something that is no array."""


def must_be_numbers(result: Any, what: str, function: Any) -> None:
    """Raise NoNumbers unless a function returned an array, a number or a pytree of them."""
    for leaf in jax.tree.leaves(result, is_leaf=lambda v: hasattr(v, "todense")):
        if hasattr(leaf, "todense") or isinstance(leaf, jax.Array):
            continue
        array = None if isinstance(leaf, str) or callable(leaf) else _as_numpy(leaf)
        if array is None or (array.dtype.kind not in "biufc" and "float" not in array.dtype.name):
            raise NoNumbers(f"{what} must return numbers, and returned a {type(leaf).__name__}{defined_at(function)}")


def first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0].rstrip('.') if text else ''}"


def outline(f: Callable[..., Any], arguments: Sequence[Any], what: str = "the function") -> Any:
    """The shapes and dtypes that a function returns, without running it.  Raises ValueError, in one sentence."""
    try:
        return jax.eval_shape(f, *arguments)
    except NoNumbers as error:
        raise ValueError(str(error)) from error
    except jax.errors.TracerArrayConversionError as error:
        raise ValueError(
            f"{what} cannot be traced by JAX{their_line(error)}: write it with jax.numpy in place of numpy, "
            "or pass against='differences'"
        ) from error
    except jax.errors.ConcretizationTypeError as error:
        raise ValueError(
            f"{what} cannot be traced by JAX{their_line(error)}: it asks for the value of an operand (an `if`, a "
            "`range`, float()); use jnp.where or lax.cond, or pass against='differences'"
        ) from error
    except Exception as error:
        raise ValueError(f"{what} fails at these operands{their_line(error)}: {first_line(error)}") from error


def must_be_pure(f: Callable[..., Any], arguments: Sequence[Any], what: str = "the function") -> None:
    """Trace twice: what differs comes from random numbers, a counter or other state.  Raises ValueError."""
    # a new function each time, since JAX would answer the second call from its cache
    traced = [jax.make_jaxpr(lambda *a: f(*a))(*arguments) for _ in range(2)]
    must_stand_outside(traced[0].consts, what)
    text = [re.sub(r"0x[0-9a-f]+", "", str(t.jaxpr)) for t in traced]
    same = text[0] == text[1] and len(traced[0].consts) == len(traced[1].consts)
    if not same or not all(_same(a, b) for a, b in zip(traced[0].consts, traced[1].consts, strict=True)):
        raise ValueError(
            f"{what} has side effects: two calls at the same operands compute different things "
            "(NumPy random numbers, a counter, other state?); pass what changes as an operand"
        )


def must_stand_outside(constants: Sequence[Any], what: str) -> None:
    """Raise TypeError where a function uses a value that is traced outside of it."""
    if any(isinstance(c, jax.core.Tracer) for c in constants):
        raise TypeError(f"{what} uses a traced value: the call stands inside jit, vmap or grad; call it outside")


def _same(a: Any, b: Any) -> bool:
    try:
        return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
    except TypeError:
        return True  # a PRNG key, say


def physical_memory() -> float:
    """The bytes of memory of this machine; 16 GiB where it does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return 16.0 * 2**30


def must_fit(what: str, sizes: Iterator[int] | Sequence[int], instead: str, memory: float = MEMORY) -> None:
    """Refuse what would not fit into memory.  `sizes` are the numbers of entries of one copy.  Raises TooLarge."""
    entries = sum(sizes)
    needed = entries * 8 * COPIES
    if needed > memory:
        raise TooLarge(
            f"{what} would hold {entries:,} numbers, and a check keeps about {COPIES} copies "
            f"({needed / 2**30:,.1f} GiB, and {memory / 2**30:.0f} are allowed); {instead}"
        )


class ThroughNumpy:
    """A function that JAX cannot trace, as a callback.  `like(*operands)` is a result at operands of these shapes.

    A step or a draw may leave the domain of the function: what raises there is NaN; `failed` keeps the first reason.
    """

    def __init__(self, function: Callable[..., Any], what: str, like: Callable[..., Any]):
        self.function, self.what, self.like = function, what, like
        self.failed = ""

    def __call__(self, *operands: Any) -> Any:
        like, tree = jax.tree.flatten(self.like(*operands))
        arrays = [np.asarray(leaf) for leaf in like]
        # an integer here may be a fraction a step away
        kinds = [np.dtype(np.float64) if a.dtype.kind in "iu" else a.dtype for a in arrays]
        shapes = [jax.ShapeDtypeStruct(a.shape, kind) for a, kind in zip(arrays, kinds, strict=True)]
        leaves, whole = jax.tree.flatten(operands)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]  # others are kept

        def concrete(*given: Any) -> list[np.ndarray]:
            try:
                plain = list(leaves)
                for i, value in zip(places, given, strict=True):
                    plain[i] = np.asarray(value)
                found = [np.asarray(leaf) for leaf in jax.tree.leaves(self.function(*jax.tree.unflatten(whole, plain)))]
                for leaf, wanted in zip(found, shapes, strict=True):
                    if leaf.shape != wanted.shape or (leaf.dtype.kind == "c" and wanted.dtype.kind != "c"):
                        raise TypeError(
                            f"it returned {leaf.dtype.name}{list(leaf.shape)} where {wanted.dtype.name}"
                            f"{list(wanted.shape)} was expected"
                        )
                return [leaf.astype(wanted.dtype) for leaf, wanted in zip(found, shapes, strict=True)]
            except Exception as error:
                self.failed = self.failed or f"{self.what} fails{their_line(error)}: {first_line(error)}"
                return [np.full(wanted.shape, np.nan, wanted.dtype) for wanted in shapes]

        arguments = [leaves[i] for i in places]
        return jax.tree.unflatten(tree, jax.pure_callback(concrete, shapes, *arguments, vmap_method="sequential"))
