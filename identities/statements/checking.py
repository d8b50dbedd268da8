"""Check a statement as it is written: `check_statement("\\\\frac{\\\\partial}{\\\\partial X} \\\\operatorname{tr}(AXB) = A^\\\\top B^\\\\top")`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from identities.statements import plain
from identities.statements.deciding import Decider, Decision
from identities.statements.declarations import Declarations, declare
from identities.statements.errors import NoEvidence, StatementError
from identities.statements.latex import read
from identities.statements.meaning import Meaning
from identities.statements.syntax import Statement


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A statement, read, with what is declared; `decider` makes one that is ready to be evaluated."""

    text: str
    statement: Statement
    declared: Declarations

    def decider(self) -> Decider:
        definitions = (*self.declared.definitions(), *self.statement.definitions)
        meaning = Meaning(
            self.text, self.declared.final_kinds(), definitions, self.declared.reading(), self.declared.sizes
        )
        return Decider(self.statement, meaning)


def prepare(text: str, declarations: str | Sequence[str] | Declarations = ()) -> Prepared:
    """Read a statement in any of the three notations.  Raises Unread."""
    declared = declarations if isinstance(declarations, Declarations) else declare(declarations)
    reader = plain.read if plain.is_plain(text) else read
    return Prepared(text, reader(text, declared.vocabulary()), declared)


def decide(text: str, declarations: str | Sequence[str] = (), *, seed: int = 0, draws: int = 4) -> Decision:
    """Whether a statement is true.  Raises StatementError where that is not decided."""
    return prepare(text, declarations).decider().decide(seed, draws)


__all__ = ["NoEvidence", "Prepared", "StatementError", "decide", "prepare"]
