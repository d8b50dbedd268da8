r"""Identities and their claims: the two decorators that write the book.

    @identity("Trace of a product linear in X")
    def tr_axb(A: Float[Array, "p m"], X: Float[Array, "m n"], B: Float[Array, "n p"]) -> Scalar:
        r"\operatorname{tr}(AXB)"
        return jnp.trace(A @ X @ B)

    @tr_axb.gradient("X", "MCB 101")
    def tr_axb_dX(A, X, B):
        r"A^\top B^\top"
        return A.T @ B.T

An `Identity` is the function as the book writes it: callable, and usable under `jit`, `vmap` and
`grad`.  A closed form stays a plain function; what it claims is a `Claim`, kept by its identity.
The laws of the book are checked here, when a chapter is imported; a `LawError` says how to mend.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

import numpy as np

from identities.engine import pages, shapes
from identities.engine.errors import LawError, NoShape, UnsupportedDtype, nearest
from identities.engine.operands import direction, is_complex
from identities.engine.reference import KINDS, STRUCTURES, by_differences, reference
from identities.engine.shapes import Operand
from identities.engine.sources import Source, parse, printed

if TYPE_CHECKING:
    from jax import Array

__all__ = ["Claim", "Identity", "identity", "printed"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
ClosedForm = Callable[..., Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Claim:
    """What a derivative of an identity (or the function itself) equals: a closed form.

    `status` is "holds", or "refuted" for a formula that was printed wrong and stays in the book
    beside the right one.  Closed forms take the identity's operands by name; a differential's
    take the tangents `dX`, `dY` of its operands too.
    """

    identity: Identity[..., Any]
    name: str
    kind: str
    wrt: tuple[str, ...]
    status: str
    sources: tuple[Source, ...]
    function: Callable[..., Any]
    latex: str
    operands: Mapping[str, Operand]
    where: str | None
    given: tuple[str, ...] = ()
    because: str = ""
    right_if: str = ""
    entries: str | None = None
    within: str | None = None
    axes: str | None = None
    wirtinger: str | None = None
    computed: bool = False
    slack: float = 1.0
    by_differences: bool = False  # a caller's function that JAX cannot differentiate; never in the book

    def __repr__(self) -> str:
        return f"<Claim {self.name}: {self.kind}{' by ' + ', '.join(self.wrt) if self.wrt else ''}, {self.status}>"

    def _repr_latex_(self) -> str:
        return pages.display(self.statement)

    def _repr_markdown_(self) -> str:
        return pages.notebook(self)

    @property
    def structure(self) -> str | None:
        """None, "symmetric entries", "within symmetric", ...: which derivative of a structured matrix this is."""
        return f"{self.entries} entries" if self.entries else f"within {self.within}" if self.within else None

    @property
    def dims(self) -> tuple[str, ...]:
        return shapes.letters_of(self.operands)

    @property
    def static(self) -> tuple[str, ...]:
        """The names of the operands that are Python ints and never traced."""
        return tuple(name for name, operand in self.operands.items() if operand.static)

    @property
    def tangents(self) -> tuple[str, ...]:
        """The names of the tangents that a differential takes behind its operands."""
        return tuple(f"d{name}" for name in self.wrt) if self.kind == "differential" else ()

    @property
    def chapter(self) -> str:
        """The last part of the module's name: "traces"."""
        return str(self.function.__module__).rpartition(".")[2]

    @functools.cached_property
    def statement(self) -> str:
        """The whole equation in LaTeX.  Of a refuted claim it is what was printed, and it is false."""
        return pages.equation(self)

    @functools.cached_property
    def conditions(self) -> tuple[str, ...]:
        """Under which conditions it holds, in plain English."""
        return pages.conditions(self)

    @functools.cached_property
    def page(self) -> str:
        """The page of this claim, as `help` shows it."""
        return pages.claim_page(self)

    @property
    def corrections(self) -> tuple[Claim, ...]:
        """For a refuted claim: the claims of the same derivative that hold."""
        if self.status != "refuted":
            return ()

        def states(c: Claim) -> tuple[Any, ...]:
            return c.kind, c.wrt, c.structure, c.wirtinger

        return tuple(c for c in self.identity.claims.values() if c.status == "holds" and states(c) == states(self))

    @functools.cached_property
    def reference_function(self) -> Callable[..., Any]:
        """JAX's own derivative as a function of keyword operands, without any check of them."""
        if self.by_differences:
            return by_differences(self.identity.function, self.kind, self.wrt)
        return reference(
            self.identity.function,
            self.kind,
            self.wrt,
            entries=self.entries,
            within=self.within,
            wirtinger=self.wirtinger,
        )

    def bind(self, operands: Mapping[str, Any], *, validate: bool = False) -> dict[str, int]:
        """Match operands (and tangents) against the declaration and return the dims.

        With `validate`, also refuse operands that hold NaN or break their word.  Raises
        ShapeMismatch, UnsupportedDtype, NotFinite or OperandViolation; TypeError for a name that
        is missing or unknown.
        """
        declared = dict(self.operands)
        for name, tangent in zip(self.wrt, self.tangents, strict=False):
            declared[tangent] = dataclasses.replace(declared[name], name=tangent, word=declared[name].annotation.dtype)
        values = dict(operands)
        dims = shapes.bind(declared, self.where, values, self.name)
        if validate:
            plain = {name: value for name, value in values.items() if name not in self.tangents}
            shapes.bind(self.operands, self.where, plain, self.name, validate=True)
        return dims

    def closed_form(self, **operands: Any) -> Any:
        """The closed form at these operands.  Raises as `bind` does."""
        self.bind(operands)
        return self.function(**operands)

    def reference(self, **operands: Any) -> Any:
        """The same by JAX's autodiff.  Raises as `bind` does."""
        self.bind(operands)
        return self.reference_function(**operands)

    def cases(self, seed: int = 0, number: int = 3, dims: Mapping[str, int] | None = None) -> list[shapes.Case]:
        """The telling shapes of this claim for a seed.  Raises NoShape where nothing fits `dims`."""
        return shapes.cases(self.operands, self.where, name=self.identity.name, seed=seed, number=number, asked=dims)

    def sample(self, seed: Any = 0, dims: Mapping[str, int] | None = None, dtype: Any = np.float64) -> dict[str, Any]:
        """Operands by name, and tangents under "dX", as NumPy arrays (static operands as ints).

        `seed` is an int or a concrete JAX key; the same seed is the same draw on every platform.
        `dims` fixes dims or static operands by name; the others come from the seed.  Complex
        operands take the complex dtype of the same precision.
        Raises UnsupportedDtype, or NoShape where no dims fit.
        """
        if not isinstance(seed, int | np.integer):
            import jax

            try:
                words = np.asarray(jax.random.key_data(seed)).ravel()
            except TypeError as error:
                raise TypeError(f"{self.name}: a seed is a whole number or a JAX key, got {seed!r}") from error
            seed = int.from_bytes(words.astype("<u4").tobytes(), "little")
        if seed < 0:
            raise ValueError(f"{self.name}: a seed must not be negative, got {seed}")
        for name in dims or {}:
            if name not in self.dims and name not in self.static:
                raise NoShape(f"{self.name} has no dim {name!r}; its dims are {', '.join((*self.dims, *self.static))}")
        case = self.cases(seed, 1, dims)[0]
        return self.rounded(self.draw(case, seed), dtype)

    def draw(self, case: shapes.Case, seed: int) -> dict[str, Any]:
        """Operands and tangents in float64 (complex128) at the dims of a case."""
        values = shapes.draw_operands(self.operands, case, seed)
        return values | self.draw_tangents(values, seed)

    def draw_tangents(self, values: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The tangents "dX" of a differential at drawn operands; nothing for the other kinds."""
        return {
            tangent: direction(self.operands[name].word, shapes.stream(tangent, seed), values[name])
            for name, tangent in zip(self.wrt, self.tangents, strict=False)
        }

    @staticmethod
    def rounded(values: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
        """The same operands as another precision rounds them."""
        real = np.dtype(dtype)
        if real.kind not in "fV" or real.itemsize > 8:
            raise UnsupportedDtype(
                f"dtype must be a real floating-point type such as float32 or float64; got {real.name}"
            )

        def cast(value: Any) -> Any:
            if isinstance(value, int | np.integer):
                return int(value)
            value = np.asarray(value)
            if value.dtype.kind == "c":
                return value.astype(np.complex128 if real.itemsize == 8 else np.complex64)
            return value.astype(real)

        return {name: cast(value) for name, value in values.items()}


class Identity(Generic[P, R]):
    """A function exactly as the book writes it, with the claims about it.

    Calling it calls the function.  `function`, `title`, `latex`, `where`, `operands` (name ->
    annotation, in order) and `claims` (name -> Claim) are its parts.
    """

    __name__: str
    __qualname__: str
    function: Callable[P, R]

    def __init__(self, function: Callable[P, R], title: str, where: str | None):
        name, code = function.__name__, inspect.getdoc(function)
        if not code:
            raise LawError(
                f'{name}: the docstring of an identity is its LaTeX; write r"\\operatorname{{tr}}(AXB)" below the def'
            )
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            raise LawError(f"{name}: an identity is named in small letters and underscores, for instance tr_axb")
        functools.update_wrapper(self, function)
        self.function = function
        self.title = title
        self.where = where
        self.latex = code
        self.signature = inspect.signature(function)
        self.__signature__ = self.signature
        parameters = self.signature.parameters
        self.parsed = {n: shapes.parse_operand(n, p.annotation, name) for n, p in parameters.items()}
        self.operands = {n: p.annotation for n, p in parameters.items()}
        shapes.condition(where, name)
        self.claims: dict[str, Claim] = {}
        self.__doc__ = pages.identity_page(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Identity {self.__name__}: {self.title}>"

    def _repr_latex_(self) -> str:
        return pages.display(self.latex)

    def _repr_markdown_(self) -> str:
        claims = "\n".join(
            f"- `{c.name}` ({c.status}): ${' '.join(c.statement.split())}$" for c in self.claims.values()
        )
        return f"**{self.title}** (`{self.name}`)\n\n{pages.display(self.latex)}\n\n{claims}\n"

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled by name, as a function is

    @property
    def name(self) -> str:
        return self.__name__

    @property
    def static(self) -> tuple[str, ...]:
        return tuple(name for name, operand in self.parsed.items() if operand.static)

    # To a type checker a closed form takes what its identity takes, as the laws demand, whatever its own def says;
    # a differential takes tangents too, which cannot be said, and stays as it is written.
    def gradient(self, wrt: str, *sources: str | Source, **options: Any) -> Callable[[ClosedForm], Callable[P, Array]]:
        """The gradient of a scalar function by the operand `wrt`: an array of the shape of that operand.

        Options of every kind: `given` narrows operands, `entries`/`within` name a structure of
        matrices, `slack` multiplies the tolerance (say why beside it).
        """
        return self._claim("gradient", (wrt,), sources, options)

    def jacobian(self, wrt: str, *sources: str | Source, **options: Any) -> Callable[[ClosedForm], Callable[P, Any]]:
        """The Jacobian by `wrt`: the output's axes, then those of `wrt`.  `axes="kl ij"` names
        them where the formula is elementwise.  By a complex operand z, `wirtinger="z"` or `"z*"` says
        which of the two derivatives it is."""
        return self._claim("jacobian", (wrt,), sources, options)

    def hessian(self, wrt: str, *sources: str | Source, **options: Any) -> Callable[[ClosedForm], Callable[P, Any]]:
        """The second derivative by one operand, or the mixed one by two: `"U V"`, the axes of U, then of V."""
        return self._claim("hessian", tuple(wrt.split()), sources, options)

    def differential(self, wrt: str, *sources: str | Source, **options: Any) -> Callable[[F], F]:
        """The differential along tangents of the operands `wrt`; the closed form takes them last."""
        return self._claim("differential", tuple(wrt.split()), sources, options)

    def value(self, *sources: str | Source, **options: Any) -> Callable[[ClosedForm], Callable[P, R]]:
        """Another form of the function itself.  `computed=True` marks the form that an expert would run."""
        return self._claim("value", (), sources, options)

    def refuted(self, kind: str, *wrt_and_sources: str | Source, because: str, **options: Any) -> Callable[[F], F]:
        """A formula that was printed and is false.  `kind`, then as for that kind; `because` says why.

        `right_if` says in words under which condition the print is right, where a claim of another
        identity that cites the same number shows it; where one of this identity does, its `given=` says it.
        """
        if kind not in KINDS:
            raise LawError(
                f"{self.name}.refuted: the first argument is a kind, one of {', '.join(KINDS)}; got {kind!r}"
            )
        wrt = () if kind == "value" else tuple(str(wrt_and_sources[0]).split()) if wrt_and_sources else ()
        sources = wrt_and_sources if kind == "value" else wrt_and_sources[1:]
        return self._claim(kind, wrt, sources, {**options, "because": because, "status": "refuted"})

    def _claim(
        self, kind: str, wrt: tuple[str, ...], sources: tuple[Any, ...], options: dict[str, Any]
    ) -> Callable[[Any], Any]:
        def attach(function: ClosedForm) -> ClosedForm:
            claim = build_claim(self, function, kind, wrt, sources, **options)
            self.claims[claim.name] = claim
            self.__doc__ = pages.identity_page(self)
            function.__doc__ = claim.page
            return function

        return attach


def build_claim(
    owner: Identity[..., Any],
    function: Callable[..., Any],
    kind: str,
    wrt: tuple[str, ...],
    sources: tuple[str | Source, ...],
    *,
    status: str = "holds",
    because: str = "",
    right_if: str = "",
    given: Mapping[str, Any] | None = None,
    entries: str | None = None,
    within: str | None = None,
    axes: str | None = None,
    wirtinger: str | None = None,
    computed: bool = False,
    slack: float = 1.0,
) -> Claim:
    """Make a claim and hold it to the laws.  Raises LawError, with the way to mend it."""
    name = function.__name__
    if function.__module__ != owner.__module__:
        raise LawError(
            f"{name}: a claim lives in the module of its identity, {owner.__module__}, "
            f"but this one is in {function.__module__}; move it there"
        )
    latex = inspect.getdoc(function)
    if not latex:
        raise LawError(
            f"{name}: the docstring of a closed form is its LaTeX, the right-hand side alone, "
            'for instance r"A^\\top B^\\top"'
        )
    for operand in wrt:
        if operand not in owner.parsed:
            raise LawError(
                f"{name}: {operand!r} is no operand of {owner.name}{nearest(operand, owner.parsed)}; "
                f"its operands are {', '.join(owner.parsed)}"
            )
        if owner.parsed[operand].static:
            raise LawError(f"{name}: {operand} is a static operand, an integer; nothing is differentiated by it")
    allowed = {
        "gradient": (1, 1),
        "jacobian": (1, 1),
        "hessian": (1, 2),
        "differential": (1, len(owner.parsed)),
        "value": (0, 0),
    }[kind]
    if not allowed[0] <= len(wrt) <= allowed[1]:
        raise LawError(
            f"{name}: a {kind} is taken by {allowed[0]} to {allowed[1]} operands, got {' '.join(wrt) or 'none'}"
        )
    if not sources:
        raise LawError(f'{name}: every claim has a source; cite one, for instance "MCB 101", or say "ours"')
    if status == "refuted" and not because.strip():
        raise LawError(f"{name}: a refuted claim says because=, the reason why the print is false")
    if right_if and status != "refuted":
        raise LawError(f"{name}: right_if= goes with a refuted claim; what holds says its condition in given=")
    for structure in (entries, within):
        if structure is not None and structure not in STRUCTURES:
            raise LawError(
                f"{name}: the structure {structure!r} is unknown; the structures are {', '.join(STRUCTURES)}"
            )
    if (entries or within) and (kind not in ("gradient", "jacobian") or (entries and within)):
        raise LawError(f"{name}: entries= or within= (one of them) goes with a gradient or a jacobian")
    by_complex = kind == "jacobian" and is_complex(owner.parsed[wrt[0]].word)
    if wirtinger not in ((None,) if not by_complex else ("z", "z*")):
        raise LawError(f'{name}: a jacobian by a complex operand says wirtinger="z" or "z*", and nothing else does')
    narrowed = shapes.narrow(owner.parsed, given or {}, name)
    structure = entries or within
    if structure and getattr(narrowed[wrt[0]].word, "space", None) != structure:
        raise LawError(
            f"{name}: {wrt[0]} must be declared {structure} (a word of that space) for a derivative in its entries"
        )
    if not slack >= 1:
        raise LawError(f"{name}: slack={slack} must be at least 1")

    expected = [*owner.parsed, *(f"d{w}" for w in wrt if kind == "differential")]
    actual = list(inspect.signature(function).parameters)
    if actual != expected:
        raise LawError(
            f"{name}: the parameters must be ({', '.join(expected)}), those of {owner.name} in their order; "
            f"got ({', '.join(actual)})"
        )
    stem, begins, ends = claim_name(owner.name, kind, wrt, status)
    if not name.startswith(begins) or not re.fullmatch(ends, name[len(begins) :]):
        raise LawError(f"{name}: a {status} {kind} of {owner.name} is named {stem}")

    return Claim(
        identity=owner,
        name=name,
        kind=kind,
        wrt=wrt,
        status=status,
        sources=tuple(parse(source) for source in sources),
        function=function,
        latex=latex,
        operands=narrowed,
        where=_renamed_where(owner, given or {}, name),
        given=tuple(given or {}),
        because=because,
        right_if=right_if,
        entries=entries,
        within=within,
        axes=axes,
        wirtinger=wirtinger,
        computed=computed,
        slack=float(slack),
    )


def claim_name(owner: str, kind: str, wrt: tuple[str, ...], status: str) -> tuple[str, str, str]:
    """What a claim must be called: a sentence for people, how its name begins, and a pattern for the rest.

    The patterns are few and the same for all, since compiling one for each claim would slow every import down.
    """
    if kind == "value":
        stem, begins, ends = f"{owner}_is_<word>", f"{owner}_is_", r"[A-Za-z0-9]+"
    else:
        middle = {
            "gradient": "_d" + "".join(wrt),
            "jacobian": "_d" + "".join(wrt),
            "hessian": "_d2" + "_".join(wrt),
            "differential": "_along" + "".join(f"_d{w}" for w in wrt),
        }[kind]
        stem = begins = owner + middle
        ends = ""
    if status == "refuted":
        printed = r"(_[A-Za-z0-9]+)?_printed_[A-Z]+[A-Za-z0-9_]*"
        return f"{stem}_printed_<source>, for instance _printed_MCB53", begins, ends + printed
    if kind == "value":
        return stem, begins, ends
    return f"{stem}, or {stem}_<word> for a variant", begins, r"(_(?!printed)[A-Za-z0-9]+)?"


def _renamed_where(owner: Identity[..., Any], given: Mapping[str, Any], name: str) -> str | None:
    """`where` in the letters that `given` leaves; None where `given` makes it speak of no dim that is left."""
    if not owner.where:
        return None
    renamed: dict[str, str] = {}
    for operand, annotation in given.items():
        new = shapes.parse_operand(operand, annotation, name)
        renamed |= {str(a): str(b) for a, b in zip(owner.parsed[operand].dims, new.dims, strict=False)}
    where = re.sub(r"[a-z]\w*", lambda m: renamed.get(m[0], m[0]), owner.where)  # all at once: m and n may swap
    return where


def identity(title: str, *, where: str | None = None) -> Callable[[Callable[P, R]], Identity[P, R]]:
    """Declare a function of the book.  `title` is a phrase for people; `where` a condition on dims.

    The function's docstring is its LaTeX, its annotations say the shapes.  Raises LawError.
    """
    if not title.strip():
        raise LawError('an identity needs a title, for instance @identity("Trace of a product linear in X")')

    def declare(function: Callable[P, R]) -> Identity[P, R]:
        return Identity(function, title, where)

    return declare


def module_identities(module: Any) -> list[Identity[..., Any]]:
    """The identities that a module defines, in the order of their definition."""
    return [v for v in vars(module).values() if isinstance(v, Identity) and v.__module__ == module.__name__]
