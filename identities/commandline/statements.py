"""`identities check` of statements: an equation on the command line, or those of a LaTeX document."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from identities.statements.documents import Equation
    from identities.statements.verdict import StatementVerdict

# Options of `check` that say how claims are drawn, with their values where they are not given.
OF_CLAIMS: dict[str, Any] = {
    "only": None,
    "source": None,
    "dtype": None,
    "dims": None,
    "device": None,
    "record": None,
    "quick": False,
}
OF_CLAIMS |= {"shapes": None, "samples": None, "probe": "auto"}


def add_options(p: argparse.ArgumentParser) -> None:
    """What can be said about the letters of a statement."""
    p.add_argument(
        "--operand",
        action="append",
        default=[],
        metavar="'W: Symmetric n n'",
        help="of a statement: what a letter is, or how the text is to be read (repeatable)",
    )
    p.add_argument(
        "--let",
        action="append",
        default=[],
        metavar="'f(X) = A*X'",
        help="of a statement: what a letter or a function stands for (repeatable)",
    )
    p.add_argument(
        "--layout",
        choices=("denominator", "numerator"),
        help="of a statement: a gradient has the shape of its operand (denominator, the default) or its transpose",
    )


def is_statement(name: str) -> bool:
    return "=" in name


def is_document(name: str) -> bool:
    return name.endswith(".tex")


def wanted(options: argparse.Namespace) -> bool:
    """Whether statements are to be checked, and not claims.  Raises ValueError for a mixture."""
    ours = [name for name in options.names if is_statement(name) or is_document(name)]
    said = [f"--{name}" for name in ("operand", "let", "layout") if getattr(options, name)]
    if not ours:
        if said:
            raise ValueError(f"{said[0]} says something about a statement, and none is given: an argument with '='")
        return False
    if len(ours) < len(options.names):
        other = next(name for name in options.names if name not in ours)
        raise ValueError(f"statements and claims are checked apart: {other!r} is no statement")
    given = [name for name, default in OF_CLAIMS.items() if getattr(options, name) != default]
    if given:
        raise ValueError(
            f"--{given[0]} is about claims of the book; a statement has --operand, --let, --layout, --seed"
        )
    return True


def run(options: argparse.Namespace) -> int:
    """Check each argument.  1 where one is false, else 2 where one is not decided, else 0."""
    results = []
    for name in options.names:
        found = document(name, options) if is_document(name) else statement(name, options)
        results.append(found)
    if options.json:
        rows = [row for found in results for row in found["rows"]]
        print(json.dumps({"ok": not any(found["code"] for found in results), "statements": rows}, indent=1))
    codes = {found["code"] for found in results}
    return 1 if 1 in codes else 2 if 2 in codes else 0


def checked(text: str, options: argparse.Namespace) -> StatementVerdict:
    from identities.statements.checking import check_statement

    return check_statement(text, options.operand, let=options.let, layout=options.layout, seed=options.seed)


def statement(text: str, options: argparse.Namespace) -> dict[str, Any]:
    """One statement of the command line."""
    from identities.statements.errors import StatementError

    try:
        verdict = checked(text, options)
    except StatementError as error:
        sentence = " ".join(str(error).split())
        print(f"identities check: {sentence}", file=sys.stderr)
        return {"code": 2, "rows": [{"text": text, "ok": None, "problem": sentence}]}
    if not options.json:
        print(verdict)
    return {"code": 0 if verdict.ok else 1, "rows": [verdict.to_json()]}


def document(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every displayed equation of a LaTeX document, with a verdict or the reason why there is none."""
    import dataclasses

    from identities.statements.documents import equations
    from identities.statements.errors import NoEvidence, StatementError

    try:
        text = pathlib.Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text") from None
    rows: list[dict[str, Any]] = []
    counts = {True: 0, False: 0, None: 0}
    for equation in equations(text):
        where = f"{name}:{equation.line}" + (f" {equation.label}" if equation.label else "")
        place = {"file": name, "line": equation.line, "label": equation.label}
        ok: bool | None = None
        try:
            if equation.problem:
                raise StatementError(equation.problem)
            checkable = without_definition(equation, options)
            verdict = dataclasses.replace(checked(checkable, options), label=where)
            ok = verdict.ok
            rows.append({**verdict.to_json(), **place})
            if not options.json:
                print(f"{where}: true: {one_line(equation.text)}" if ok else verdict)
        except StatementError as error:
            sentence = " ".join(str(error).split())
            rows.append({**place, "text": equation.text, "ok": None, "problem": sentence})
            if not options.json:
                print(f"{where}: not {'decided' if isinstance(error, NoEvidence) else 'read'}: {sentence}")
        counts[ok] += 1
    if not options.json:
        told = f"{counts[True]} true, {counts[False]} false, {counts[None]} not read or not decided"
        print(f"{name}: {sum(counts.values())} equations: {told}")
    return {"code": 1 if counts[False] else 0 if counts[True] else 2, "rows": rows}


def without_definition(equation: Equation, options: argparse.Namespace) -> str:
    """The equation without a side that only gives the rest a name: L of L = f(x) = …; raises where nothing is left."""
    from identities.statements.checking import clauses, prepare
    from identities.statements.errors import StatementError
    from identities.statements.syntax import Letter, walk

    declared = clauses(options.operand, options.let, options.layout)
    prepared = prepare(equation.text, declared)
    first, *others = prepared.statement.sides
    known = prepared.declared.kinds.keys() | {
        d.left.name for d in prepared.statement.definitions if isinstance(d.left, Letter)
    }
    if not isinstance(first, Letter) or first.name in known:
        return equation.text
    rest = [n.name for side in others for n in walk(side) if isinstance(n, Letter)]
    lets = {text.split("=")[0].strip() for text in options.let}
    if first.name in rest or first.name in lets:
        return equation.text
    if len(others) < 2:
        raise StatementError(f"it defines {first.name}, which no equation can contradict")
    return equation.text[others[0].at[0] :]


def one_line(text: str, longest: int = 100) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


__all__: Sequence[str] = ["add_options", "run", "wanted"]
