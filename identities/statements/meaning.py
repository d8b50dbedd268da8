"""What the parts of a statement mean: the shape of each, and how its value is computed.

`Meaning` turns a node of the syntax tree into a `Term`: a shape (open sizes are tied together on the way) and a
function of an environment.  A letter has the kind that is declared or, without a declaration, that of the field:
capitals are matrices, lower case letters vectors, Greek letters and t numbers, letters that stand as indices are
indices.  It is never read in another way to make an equation fit: a clash is an error.
"""

from __future__ import annotations

from identities.statements.derivatives import Derivatives
from identities.statements.terms import Kind, Reading, Term


class Meaning(Derivatives):
    """The letters of one statement, with their kinds, and what was tied together so far.

    Arithmetic, entries, functions and derivatives stand in a module each.
    """


__all__ = ["Kind", "Meaning", "Reading", "Term"]
