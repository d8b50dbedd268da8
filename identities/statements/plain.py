"""Plain text in the syntax of matrixcalculus.org: tr(A*X'*B), x'*A*x, .*, inv(X), norm2(x)."""

from __future__ import annotations

from identities.statements.latex import Vocabulary
from identities.statements.syntax import Statement


def is_plain(text: str) -> bool:
    return False


def read(text: str, vocabulary: Vocabulary | None = None) -> Statement:
    raise NotImplementedError
