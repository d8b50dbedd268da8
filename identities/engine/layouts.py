"""A derivative in both layouts that books use: the statement, and its transpose where that is meaningful."""

from __future__ import annotations

import dataclasses
import re

from identities.engine import pages
from identities.engine.identity import Claim
from identities.engine.transpose import transpose
from identities.engine.unicode import plain


@dataclasses.dataclass(frozen=True)
class Layout:
    """One layout of a derivative: what it is called, in words, and the equation."""

    key: str
    words: str
    latex: str
    right: str  # the right-hand side alone, without what its letters mean


def both(claim: Claim) -> tuple[Layout, ...]:
    """The statement in both layouts where the transpose is meaningful, this book's first; else nothing.

    That is the gradient of a scalar by a vector or a matrix, and the Jacobian of a vector by a vector.
    """
    if claim.axes or claim.wirtinger or not claim.wrt:
        return ()
    by = len(claim.operands[claim.wrt[0]].dims)
    if claim.kind == "gradient" and by in (1, 2):
        ours, theirs = "denominator", "numerator"
    elif claim.kind == "jacobian" and by == pages.output_rank(claim) == 1:
        ours, theirs = "numerator", "denominator"
    else:
        return ()
    prints = [s.latex for s in claim.sources if s.latex and s.layout == theirs]
    main = _first_part(claim.latex)
    turned = prints[0] if prints else transpose(claim, main)
    if turned is None:
        return ()
    shapes = {name: f"{name} layout: {text.replace(': ', ', ')}" for name, text in pages.layouts(claim).items()}
    left, right = pages.left_side(claim), claim.statement.removeprefix(f"{pages.left_side(claim)} = ")
    latex = f"{left} = {turned}{right.removeprefix(main)}"
    return (
        Layout(ours, shapes[ours], claim.statement, main),
        Layout(theirs, shapes[theirs], latex, turned),
    )


def _first_part(latex: str) -> str:
    r"""What stands before the first comma or \quad outside of all brackets: the explanation of letters goes."""
    depth = 0
    for match in re.finditer(r"\\begin|\\end|[([{]|[)\]}]|,?\s*\\quad|,\s|,\\;", latex):
        text = match[0]
        if text in ("(", "[", "{", r"\begin"):
            depth += 1
        elif text in (")", "]", "}", r"\end"):
            depth -= 1
        elif depth == 0:
            return latex[: match.start()]
    return latex


def lines(claim: Claim) -> list[str]:
    """The layouts for a terminal, a line each, with the formula of the layout that is not this book's.

    It is left away where it would say no more than "the transpose": the same formula again, or that in brackets.
    """
    told = pages.layouts(claim)
    if len(set(told.values())) == 1:
        return [told["denominator"]]
    for layout in both(claim)[1:]:  # the one that is not ours, if there is one
        if not layout.right.startswith(r"\left(") and squeezed(layout.right) != squeezed(_first_part(claim.latex)):
            told[layout.key] += f", {plain(layout.right)}"
    return [f"{name}: {text}" for name, text in told.items()]


def squeezed(latex: str) -> str:
    """A formula without its spaces, to be compared."""
    return plain(latex).replace(" ", "")
