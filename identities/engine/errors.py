"""The exceptions that the library raises for bad input, each with one clear sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class IdentitiesError(Exception):
    """Base of every error that this library raises on purpose."""

    def __str__(self) -> str:  # KeyError would show the repr of the sentence
        return str(self.args[0]) if self.args else ""


class LawError(IdentitiesError, TypeError):
    """An entry breaks a law of the book (its name, its parameters, its source...)."""


class UnknownName(IdentitiesError, KeyError):
    """No claim, identity, chapter or module has this name."""


class UnknownSource(IdentitiesError, KeyError):
    """A source key that no bibliography holds."""


class DuplicateName(IdentitiesError, ValueError):
    """Two entries of one catalogue carry the same name."""


class ShapeMismatch(IdentitiesError, ValueError):
    """An operand does not have the shape that the entry declares."""


class UnsupportedDtype(IdentitiesError, TypeError):
    """An operand has a dtype that the entry, or a check, cannot use."""


class OperandViolation(IdentitiesError, ValueError):
    """An operand is not what its word promises (symmetric, invertible, ...)."""


class NotFinite(IdentitiesError, ValueError):
    """An operand holds NaN or infinity."""


class NoShape(IdentitiesError, ValueError):
    """No dims satisfy the conditions that were asked for."""


class NoEvidence(IdentitiesError, ValueError):
    """There is nothing that a check could look at."""


class NotEvaluated(IdentitiesError, ValueError):
    """A function raises where a check calls it."""


class NoClosedForm(IdentitiesError, ValueError):
    """No claim of an identity can serve as its derivative, or not the one that was named."""


class TooLarge(IdentitiesError, ValueError):
    """A derivative would not fit into memory."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """The end of an error message: the known names nearest to `name`, or nothing."""
    known = list(known)
    folded = {k.casefold(): k for k in known}
    hits = [folded[h] for h in difflib.get_close_matches(name.casefold(), folded, count, 0.5)]
    hits += [k for k in known if name.casefold() in k.casefold() and k not in hits]
    return f"; did you mean {', '.join(hits[:count])}?" if hits else ""
