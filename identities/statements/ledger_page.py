"""docs/ledger.md, written from the verdicts: counts by chapter, what is false and where, what is undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from identities.statements.ledger import REASONS, Verdict, corrections, counterexample
from identities.statements.verdict import StatementVerdict, show_array, show_value

HEAD = """# The Matrix Cookbook, read by a program

Written by `make ledger`. `identities/equations/MCB.csv` holds all {total} equations of the Matrix Cookbook as printed;
`MCB.declarations.csv` beside it says what their letters are where the print does not. `identities.statements` reads the
LaTeX, finds the sizes by unification, draws operands, evaluates both sides with NumPy and compares. It knows nothing of
the claims of this project, their closed forms or automatic differentiation: what agrees was transcribed twice. Of
chapter 2, each verdict here is that of the claims (`tests/test_ledger.py`), but for two rows that are not read.

{decided} of {total} equations are decided: {true} true, {false} false. {definitions} of these are definitions or
decompositions whose two sides can be computed apart. A derivative is taken by differences of the printed function, an
expectation over laws with finitely many atoms, and a letter f that stands for any function is tried as one, such as
e^X. *True* means: not refuted at up to nine draws of up to three choices of sizes, under what is declared. *False*
means: there is a counterexample. *Condition*: false as printed, true under a condition that the book does not state.
"""


def line(one: Verdict) -> str:
    """One row, for the terminal."""
    told = one.reason or ("true under its condition" if one.conditional else "")
    detail = f": {one.detail}" if one.detail else ""
    return f"{one.equation.number:>5}  {one.status:<9}  {told}{detail}".rstrip()


def summary(found: Sequence[Verdict]) -> str:
    """The counts, in one line."""
    counts = {status: sum(v.status == status for v in found) for status in ("true", "false", "undecided")}
    return f"{len(found)} equations: " + ", ".join(f"{n} {status}" for status, n in counts.items())


def page(found: Sequence[Verdict], counterexample: Callable[[Verdict], StatementVerdict] = counterexample) -> str:
    """The whole page."""
    true, false = ([v for v in found if v.status == status] for status in ("true", "false"))
    head = HEAD.format(
        total=len(found),
        decided=len(true) + len(false),
        true=len(true),
        false=len(false),
        definitions=sum(v.equation.kind in ("definition", "decomposition") for v in true + false),
    )
    parts = [
        head,
        "## By chapter\n",
        _chapters(found),
        "\n## False as printed\n",
        *(_false(v, counterexample(v)) for v in false),
    ]
    return "\n".join([*parts, "## Undecided\n", _undecided(found)]) + "\n"


def _chapters(found: Sequence[Verdict]) -> str:
    lines = ["| chapter | equations | true | condition | false | undecided |", "|---|---:|---:|---:|---:|---:|"]
    for chapter in dict.fromkeys(v.chapter for v in found):
        mine = [v for v in found if v.chapter == chapter]
        counts = [
            len(mine),
            sum(v.status == "true" for v in mine),
            sum(v.conditional for v in mine),
            sum(v.status == "false" and not v.conditional for v in mine),
            sum(v.status == "undecided" for v in mine),
        ]
        lines.append(f"| {chapter} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines)


def _false(one: Verdict, found: StatementVerdict) -> str:
    """A section for a row that is false."""
    equation, right = one.equation, corrections("MCB")[one.equation.number]
    told = [f"### {equation.number}: {equation.title}", _formula(equation.statement)]
    if one.declared.declarations:
        told.append(f"With `{one.declared.declarations}`.")
    told.append(f"Why it is false: {right.because}.")
    if one.conditional:
        told.append(f"True under the condition `{one.declared.condition}`.")
    if right.statement == equation.statement:
        told.append(f"True with `{right.declarations}`.")
    else:
        told.append("Right, and decided so:\n\n" + _formula(right.statement))
    told.append(f"Counterexample: {_example(found)}.")
    return "\n\n".join(told) + "\n"


def _formula(text: str) -> str:
    return f"$${text}$$"


def _example(found: StatementVerdict) -> str:
    link = found.worst
    given = ", ".join(f"{_name(name)} = `{show_array(_rounded(value))}`" for name, value in found.operands.items())
    left, right = (f"`{show_value(_rounded(value))}`" for value in link.values)
    where = f", at entry {[k + 1 for k in link.index]}" if link.index else ""
    return f"{given}. There `{link.left}` is {left} and `{link.right}` is {right}{where}"


def _name(name: str) -> str:
    if name == "random":
        return "weights"
    return f"atoms of {name.removeprefix('random.')}" if name.startswith("random.") else name


def _rounded(value: Any) -> Any:
    """With the digits that every machine gives."""
    return np.round(value, 6)


def _undecided(found: Sequence[Verdict]) -> str:
    lines = []
    for reason, words in REASONS.items():
        mine = [v for v in found if v.status == "undecided" and v.reason == reason]
        if mine:
            lines.append(f"**{reason}** ({len(mine)}): {words}. " + ", ".join(v.equation.number for v in mine) + ".\n")
    lines.append("What the language says of those that it was asked to decide:\n")
    lines += ["| equation | reason | what is said |", "|---|---|---|"]
    for v in found:
        if v.status == "undecided" and v.detail and v.reason not in ("dots", "integral", "approximation"):
            lines.append(f"| {v.equation.number} | {v.reason} | {_cell(v.detail)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Without what a table, Markdown or mathematics would read otherwise."""
    return text.split(" (at ")[0].replace("|", "\\|").replace("$", "\\$")
