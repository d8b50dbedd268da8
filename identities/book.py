"""The whole book: its chapters in order, every claim by name, and one function that checks them."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from identities import CHAPTERS
from identities.engine.catalogue import Catalogue, claims_of
from identities.engine.checking import Options, examine
from identities.engine.errors import NoShape, UnknownName, nearest
from identities.engine.identity import Claim, Identity
from identities.engine.inputs import first_line, their_line
from identities.engine.rules import ClosedForm, with_claims
from identities.engine.verdict import Verdict, Verdicts


@functools.cache
def chapters() -> tuple[ModuleType, ...]:
    """The chapters as modules, in book order."""
    return tuple(importlib.import_module(f"identities.{name}") for name in CHAPTERS)


@functools.cache
def _whole() -> Catalogue:
    return Catalogue(chapters())


def catalogue(*modules: ModuleType) -> Catalogue:
    """Every claim by name, in book order: of these modules, or of the whole book.

    Raises DuplicateName where two entries share a name.
    """
    return Catalogue(modules) if modules else _whole()


def claim(name: str) -> Claim:
    """The claim of this name.  Raises UnknownName, a KeyError that names the nearest names."""
    return catalogue()[name]


def find(name: str) -> list[Claim]:
    """The claims that a name stands for: of a claim, an identity, a chapter or an importable module.

    "mypackage.formulas:mine_dx" is one claim of a module.  Raises UnknownName, which names the
    nearest names; ImportError for a module that is there and cannot be imported.
    """
    module_name, colon, claim_name = name.partition(":")
    if colon:
        inside = Catalogue([import_entries(module_name)])
        return [inside[claim_name]]
    book = catalogue()
    if name in book:
        return [book[name]]
    if name in book.identities:
        return list(book.identities[name].claims.values())
    if name in CHAPTERS:
        return claims_of(importlib.import_module(f"identities.{name}"))
    known = [*book, *book.identities, *CHAPTERS]
    if re.fullmatch(r"\w+(\.\w+)*", name) and ("." in name or importlib.util.find_spec(name) is not None):
        claims = claims_of(import_entries(name))
        if claims:
            return claims
        raise UnknownName(f"the module {name} defines no entries (nothing in it is decorated with @identity)")
    raise UnknownName(f"no claim, identity, chapter or module is named {name!r}{nearest(name, known)}")


def import_entries(name: str) -> ModuleType:
    """Import a module of entries.  Raises UnknownName where there is none, ImportError where it is broken."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UnknownName(f"no claim, identity, chapter or module is named {name!r}") from error
        raise _broken(name, error) from error  # the module is there, but something that it imports is not
    except (Exception, SystemExit) as error:  # a module may do anything when it is imported, and may even exit
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> ImportError:
    return ImportError(f"{name} cannot be imported: {first_line(error)}{their_line(error)}")


def require_dims(claims: Iterable[Claim], dims: Mapping[str, int] | None) -> None:
    """Raise NoShape for a name in `dims` that no claim has."""
    claims = list(claims)
    for name in dims or {}:
        if not any(name in (*c.dims, *c.static) for c in claims):
            raise NoShape(f"{name!r} in dims is a dim of none of the {len(claims)} claims asked for")


def check(
    *what: str | Claim | Identity[..., Any] | ModuleType | Callable[..., Any],
    dtype: Any = "float64",
    dims: Mapping[str, int] | None = None,
    shapes: int = 3,
    samples: int | None = None,
    seed: int = 0,
    device: str | None = None,
) -> Any:
    """Check claims against JAX's autodiff and against differences, here and now.

    `what` names claims, identities, chapters or modules of entries (or gives them as objects);
    nothing means the whole book.  `dtype` is "float64", "float32" or both in a tuple; `dims` fixes
    dims by name; `shapes` and `samples` say how many shapes and draws are tried.

    Returns a Verdict for one claim in one dtype, and otherwise Verdicts.  Raises UnknownName,
    UnsupportedDtype, NoShape, or ValueError for a device that is not there.
    """
    asked: Iterable[Any] = what or catalogue().modules
    claims = [c for w in asked for c in (find(w) if isinstance(w, str) else claims_of(w))]
    dtypes = tuple(np.dtype(d).name for d in (dtype if isinstance(dtype, tuple | list) else (dtype,)))
    require_dims(claims, dims)
    options = Options(dtypes, dims, shapes, samples, seed, device)
    verdicts = [v for group in by_identity(claims) for v in examine(group, options)]
    if len(what) == 1 and len(verdicts) == 1 and not isinstance(what[0], ModuleType | Identity):
        return verdicts[0]
    return Verdicts(verdicts)


def with_closed_form(
    identity: str | Identity[..., Any] | Claim, *, claims: str | Claim | Iterable[str | Claim] | None = None
) -> ClosedForm:
    """An identity as a function that JAX differentiates by its closed forms: a `jax.custom_jvp`.

    identity   the identity or its name; or a claim (or its name), which then is among `claims`
    claims     claims of it, by name, to be used in place of the default: for the derivative by their operands, or for
               the value.  Where one holds under a condition only, whoever names it vouches for that condition

    By default the value is the claim marked as computed, or else the function as the book writes it, and the
    derivative by each operand is the first claim that holds for all operands: a gradient, else a differential, else
    a Jacobian that is not a full array.  By an operand without such a claim it is autodiff of the value.  The
    function's docstring says which claim is where.  Second derivatives are those of the closed forms.

    Operands may be given by keyword, under grad, jvp, vjp, vmap and jit; shapes are checked, since a batch is for
    `vmap`.  The same claims give the same function, which is pickled by their names.

    Raises NoClosedForm, a ValueError, where there is no such claim or a named one cannot serve; UnknownName.

        >>> import jax, jax.numpy as jnp, identities
        >>> f = identities.with_closed_form("logdet")
        >>> jax.grad(f)(jnp.diag(jnp.array([1.0, 2.0, 4.0]))).diagonal().tolist()
        [1.0, 0.5, 0.25]
    """
    named = [] if claims is None else [claims] if isinstance(claims, str | Claim) else list(claims)
    found = _entry(identity) if isinstance(identity, str) else identity
    if isinstance(found, Claim):
        return with_claims(found.identity, [found, *named])
    if isinstance(found, Identity):
        return with_claims(found, named)
    raise UnknownName(f"{identity!r} is no identity and no claim; pass one, or its name")


def _entry(name: str) -> Claim | Identity[..., Any]:
    """The claim or the identity of this name, "mypackage.formulas:mine" for one of a module.  Raises UnknownName."""
    module_name, colon, entry_name = name.partition(":")
    book = Catalogue([import_entries(module_name)]) if colon else catalogue()
    entry_name = entry_name or name
    if entry_name in book:
        return book[entry_name]
    if entry_name in book.identities:
        return book.identities[entry_name]
    raise UnknownName(f"no claim and no identity is named {name!r}{nearest(entry_name, [*book, *book.identities])}")


def by_identity(claims: Iterable[Claim]) -> list[list[Claim]]:
    """The claims in the order given, without repeats, those of one identity together."""
    found: dict[int, dict[str, Claim]] = {}
    for c in claims:
        found.setdefault(id(c.identity), {})[c.name] = c
    return [list(group.values()) for group in found.values()]


__all__ = ["Verdict", "Verdicts", "by_identity", "catalogue", "chapters", "check", "claim", "find", "with_closed_form"]
