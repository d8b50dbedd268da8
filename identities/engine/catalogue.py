"""The catalogue: every claim of some modules by name, in book order.

A module that defines entries is the registry; nothing is registered anywhere else, so a module of
your own works exactly as a chapter of the book.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from identities.engine.errors import DuplicateName, UnknownName, nearest
from identities.engine.identity import Claim, Identity, module_identities


class Catalogue(Mapping[str, Claim]):
    """Claims by name, in the order of the book.  A KeyError names the nearest names."""

    def __init__(self, modules: Iterable[ModuleType]):
        self.modules = tuple(modules)
        self._claims: dict[str, Claim] = {}
        self.identities: dict[str, Identity[..., Any]] = {}
        for module in self.modules:
            for identity in module_identities(module):
                self._add(self.identities, identity.name, identity)
                for claim in identity.claims.values():
                    self._add(self._claims, claim.name, claim)

    @staticmethod
    def _add(where: dict[str, Any], name: str, entry: Any) -> None:
        if name in where:
            raise DuplicateName(
                f"the name {name} stands twice: in {_module(where[name])} and in {_module(entry)}; "
                "names are permanent and unique, rename one"
            )
        where[name] = entry

    def __getitem__(self, name: str) -> Claim:
        try:
            return self._claims[name]
        except KeyError:
            raise UnknownName(f"no claim is named {name!r}{nearest(str(name), self._claims)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)


def _module(entry: Claim | Identity[..., Any]) -> str:
    return str(entry.function.__module__)


def claims_of(what: Claim | Identity[..., Any] | ModuleType | Callable[..., Any]) -> list[Claim]:
    """The claims that an entry, a closed form or a module stands for.

    Raises UnknownName for something that is none of these.
    """
    if isinstance(what, Claim):
        return [what]
    if isinstance(what, Identity):
        return list(what.claims.values())
    if isinstance(what, ModuleType):
        return list(Catalogue([what]).values())
    module = sys.modules.get(getattr(what, "__module__", None) or "")
    for identity in module_identities(module) if module else []:
        for claim in identity.claims.values():
            if claim.function is what:
                return [claim]
    raise UnknownName(f"{what!r} is no claim, identity, closed form or module of entries")
