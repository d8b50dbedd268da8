"""The ledger: every numbered equation of a source, decided from its text as printed.

`identities/equations/<source>.csv` holds the statements, `<source>.declarations.csv` what their letters are.  Nothing
else is known here: no claim, no closed form, no autodiff.  So the ledger is a second transcription of the source, and
tests hold its verdicts against those of the chapters.  A declaration says what a letter is; it never changes the text.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import pathlib
from collections.abc import Sequence

from identities.engine.coverage import FOLDER, Equation, equations
from identities.statements.checking import Prepared, check_statement, prepare
from identities.statements.deciding import Decision
from identities.statements.declarations import declare
from identities.statements.errors import NoEvidence, StatementError, Unread, WrongShapes
from identities.statements.verdict import StatementVerdict

COLUMNS = ("number", "declarations", "condition", "note")
STATED = ("equality", "derivative", "expectation", "series")  # kinds whose rows are decided without being asked for
# Why a row is not decided, as its note may say too.
REASONS = {
    "definition": "it defines a letter",
    "inequality": "it is an inequality",
    "approximation": "it is an approximation",
    "decomposition": "it names the factors of a decomposition",
    "words": "it is told in words",
    "dots": "it holds dots",
    "integral": "it holds an integral",
    "law": "its law is not one of those that are drawn",
    "letters": "the source does not say what a letter is, or says it in two ways",
    "relation": "it is no equation",
    "shapes": "its shapes clash as printed",
    "language": "the language does not read it",
    "no evidence": "no draw tells true from false",
}
# The first of these that is found in what the language says of it.
SIGNS = {
    "dots": ("dots are not read", "\\ldots", "\\cdots"),
    "integral": ("\\int",),
    "words": ("words", "\\text"),
    "relation": ("only equations are decided",),
}


@dataclasses.dataclass(frozen=True)
class Declared:
    """What is declared for a row; `condition` holds further declarations that its source does not state."""

    declarations: str = ""
    condition: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a row: "true", "false" or "undecided", and why it is not decided.

    `text` is what was read.  `narrowed` is the decision under the condition, where there is one.
    """

    equation: Equation
    declared: Declared
    status: str
    text: str = ""
    decision: Decision | None = None
    narrowed: Decision | None = None
    reason: str = ""
    detail: str = ""

    @property
    def chapter(self) -> str:
        return self.equation.section.split()[0].split(".")[0]

    @property
    def conditional(self) -> bool:
        """Whether it is false as printed and true under a condition that is not stated."""
        return self.status == "false" and self.narrowed is not None and self.narrowed.ok


@functools.cache
def declarations(source: str) -> dict[str, Declared]:
    """What is declared, by number.  Raises ValueError for a broken list."""
    path = FOLDER / f"{source}.declarations.csv"
    known = {e.number for e in equations(source)}
    found: dict[str, Declared] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: the columns must be {', '.join(COLUMNS)}")
        for fields in reader:
            number = fields.pop("number")
            if None in fields or None in fields.values():
                raise ValueError(f"{path}, line {reader.line_num}: {len(COLUMNS)} columns were expected")
            if number in found or number not in known:
                raise ValueError(
                    f"{path}, line {reader.line_num}: {number} stands twice, or is no equation of {source}"
                )
            found[number] = Declared(**fields)
    return found


@dataclasses.dataclass(frozen=True)
class Correction:
    """The right form of a row that is false, with what its letters are, and why the print is wrong."""

    number: str
    statement: str
    declarations: str
    because: str


@functools.cache
def corrections(source: str) -> dict[str, Correction]:
    """The right forms, by number; a test decides each."""
    with (FOLDER / f"{source}.corrections.csv").open(encoding="utf-8", newline="") as file:
        return {fields["number"]: Correction(**fields) for fields in csv.DictReader(file, strict=True)}


def read(text: str, clauses: str) -> Prepared:
    """A statement with its declarations.  Raises Unread where they would change the text."""
    declared = declare(clauses)
    if declared.aliases:
        raise Unread("a ledger declares letters, it does not rename them")
    return prepare(text, declared)


def verdict(equation: Equation, declared: Declared | None = None) -> Verdict:
    """Decide one row."""
    asked = declared is not None
    declared = declared or Declared()
    if equation.kind not in STATED and not asked:
        reason = "words" if equation.kind == "other" else equation.kind
        return Verdict(equation, declared, "undecided", reason=reason)
    text = ""
    try:
        prepared = read(equation.statement, declared.declarations)
        text = prepared.text
        decision = prepared.decider().decide()
        narrowed = None
        if declared.condition:
            both = "; ".join(filter(None, (declared.declarations, declared.condition)))
            narrowed = read(equation.statement, both).decider().decide()
    except StatementError as error:
        reason, colon, detail = declared.note.partition(": ")
        if colon and reason in REASONS:
            return Verdict(equation, declared, "undecided", text, reason=reason, detail=detail)
        return Verdict(equation, declared, "undecided", text, reason=why(equation, error), detail=error.placed())
    return Verdict(equation, declared, "true" if decision.ok else "false", text, decision, narrowed)


def why(equation: Equation, error: StatementError) -> str:
    """The reason in one word, for counting."""
    if equation.kind not in STATED:
        return "words" if equation.kind == "other" else equation.kind
    for reason, signs in SIGNS.items():
        if any(sign in error.message or sign in equation.statement for sign in signs):
            return reason
    return {WrongShapes: "shapes", NoEvidence: "no evidence"}.get(type(error), "language")


def counterexample(one: Verdict) -> StatementVerdict:
    """A small one to a row that is false, with a diagnosis where there is one."""
    return check_statement(one.equation.statement, one.declared.declarations)


@functools.cache
def ledger(source: str = "MCB") -> tuple[Verdict, ...]:
    """The verdict on each equation of a source, in its order."""
    declared = declarations(source)
    return tuple(verdict(e, declared.get(e.number)) for e in equations(source))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m identities.statements.ledger`: print the verdicts, or write the page."""
    from identities.statements import ledger_page

    parser = argparse.ArgumentParser(prog="python -m identities.statements.ledger", description=main.__doc__)
    parser.add_argument("--page", type=pathlib.Path, help="write the page of the ledger here")
    parser.add_argument("numbers", nargs="*", help="print these equations only")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.numbers) - {e.number for e in equations("MCB")})
    if unknown:
        parser.error(f"MCB has no equation {', '.join(unknown)}")
    found = ledger("MCB")
    if options.page:
        options.page.write_text(ledger_page.page(found), encoding="utf-8")
    for one in found:
        if one.equation.number in options.numbers or not (options.numbers or options.page):
            print(ledger_page.line(one))
    print(ledger_page.summary(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
