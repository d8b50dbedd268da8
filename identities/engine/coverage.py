"""Coverage: for each numbered equation of a source, what became of it and which claims say so.

`identities/equations/<source>.csv` lists the numbers of a source, also those that nothing covers yet.  Where it holds
the statements too, they stand as printed (identities.statements.ledger decides them).  Only a claim that cites a number
with no note behind it counts: "MCB 51" does, "MCB 53 without its condition" does not.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from identities.engine import pages
from identities.engine.errors import UnknownName, UnknownSource, nearest
from identities.engine.identity import Claim

FOLDER = pathlib.Path(__file__).parent.parent / "equations"
COLUMNS = ("number", "section", "title", "kind")
FURTHER = ((), ("test",), ("statement", "conditions"))  # the columns that may follow
EMPTY = ("test", "conditions")  # the columns that may be empty

STATUSES = {
    "holds": "true as printed",
    "condition": "true only under a condition that the source does not state",
    "refuted": "false as printed",
    "definition": "a definition: there is nothing to prove",
    "tested": "no derivative; a test of the suite covers it",
    "missing": "not covered",
}


@dataclasses.dataclass(frozen=True)
class Equation:
    """A numbered equation of a source.  `test` is how the tests of a row without a derivative begin.

    `statement` and `conditions` are the LaTeX and the words of the print, where the list holds them.
    """

    number: str
    section: str
    title: str
    kind: str
    test: str = ""
    statement: str = ""
    conditions: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one equation: a key of STATUSES, the names of the claims that count, a short note."""

    number: str
    section: str
    title: str
    status: str
    claims: tuple[str, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def sources() -> list[str]:
    """The keys of the sources whose equations are listed."""
    return sorted(path.stem for path in FOLDER.glob("*.csv") if "." not in path.stem)


@functools.cache
def equations(source: str) -> tuple[Equation, ...]:
    """The equations of a source, in its order.

    Raises UnknownSource where none are listed, ValueError for a broken list.
    """
    known = sources()
    if source not in known:
        raise UnknownSource(
            f"no equations of {source!r} are listed; those of {', '.join(known)} are{nearest(source, known)}"
        )
    path = FOLDER / f"{source}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if tuple(reader.fieldnames or ()) not in [(*COLUMNS, *further) for further in FURTHER]:
            raise ValueError(
                f"{path}: the columns must be {', '.join(COLUMNS)}, and test where there are tests, or statement and "
                "conditions where the statements are kept"
            )
        found = []
        for fields in reader:
            if None in fields or None in fields.values() or not all(fields[n] for n in fields if n not in EMPTY):
                raise ValueError(
                    f"{path}, line {reader.line_num}: every column but {' and '.join(EMPTY)} must be filled"
                )
            found.append(Equation(**fields))
    numbers = [e.number for e in found]
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        raise ValueError(f"{path}: each number stands once, but {', '.join(twice)} stand more often")
    return tuple(found)


def coverage(catalogue: Mapping[str, Claim], source: str, chapter: str | int | None = None) -> list[Row]:
    """A row for each equation of a source; of one chapter or section ("2", "2.4.1") where it is named.

    Raises UnknownSource, or UnknownName for a chapter that the source does not have.
    """
    listed = equations(source)
    if chapter is not None:
        begins = re.compile(rf"{re.escape(str(chapter))}(?!\w)")
        sections = dict.fromkeys(e.section for e in listed)
        listed = tuple(e for e in listed if begins.match(e.section))
        if not listed:
            heads = dict.fromkeys(re.split(r"[ .]", section)[0] for section in sections)
            raise UnknownName(f"{source} has no chapter or section {chapter!r}; its sections begin with {_list(heads)}")
    counting: dict[str, list[Claim]] = {}
    noted: dict[str, list[Claim]] = {}
    for claim in catalogue.values():
        for cited in dict.fromkeys((s.locator, bool(s.note)) for s in claim.sources if s.key == source):
            (noted if cited[1] else counting).setdefault(cited[0], []).append(claim)
    return [_row(e, counting.get(e.number, []), noted.get(e.number, [])) for e in listed]


def uncorrected(catalogue: Mapping[str, Claim], rows: Iterable[Row]) -> list[str]:
    """The refuted claims among those of some rows that no right form stands beside."""
    claims = [catalogue[name] for row in rows for name in row.claims]
    return list(dict.fromkeys(c.name for c in claims if c.status == "refuted" and not c.corrections))


def tally(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows each status has, in the order of STATUSES, those with none left out."""
    found = [row.status for row in rows]
    return {status: found.count(status) for status in STATUSES if status in found}


def _row(equation: Equation, claims: list[Claim], noted: list[Claim]) -> Row:
    status, note = _judge(equation, claims, noted)
    return Row(equation.number, equation.section, equation.title, status, tuple(c.name for c in claims), note)


def _judge(equation: Equation, claims: list[Claim], noted: list[Claim]) -> tuple[str, str]:
    """The status of an equation and the note on it."""
    refuted = [c for c in claims if c.status == "refuted"]
    if refuted:
        narrowed = {c.name: _narrowed(c, claims) for c in refuted}
        held = any(c.status == "holds" for c in claims)
        if all(narrowed[c.name] or (c.right_if and held) for c in refuted):
            said = [c.right_if for c in refuted if c.right_if]
            found = said + [_narrowing(c, narrow) for c in refuted for narrow in narrowed[c.name]]
            return "condition", f"true where {'; or '.join(dict.fromkeys(found))}"
        wrong = [c for c in refuted if not narrowed[c.name]]
        alone = [c.name for c in wrong if not c.corrections]
        because = "; ".join(dict.fromkeys(c.because for c in wrong))
        return "refuted", f"{because}; no right form stands beside {', '.join(alone)}" if alone else because
    if equation.kind == "definition":
        return "definition", ""
    if claims:
        general = [c for c in claims if not c.given] or claims
        notes = ("; ".join(_short(pages.domain(c))) for c in general)  # different claims are alternatives
        told = list(dict.fromkeys(notes))
        if "" in told:  # complex operands are no condition where a claim covers real ones too
            told = [note for note in told if note and not note.endswith("complex")]
        return "holds", ", or ".join(told)
    aside = f"cited only with a note, by {_list((c.name for c in noted), 3)}" if noted else ""
    if equation.test:
        return "tested", "; ".join(part for part in (f"tests {equation.test}*", aside) if part)
    return "missing", aside


def _narrowed(claim: Claim, claims: list[Claim]) -> list[Claim]:
    """The claims among some that state what a refuted one prints, and hold because they narrow operands."""
    same = (claim.latex, claim.wirtinger)
    return [c for c in claim.corrections if c in claims and c.given and (c.latex, c.wirtinger) == same]


def _narrowing(claim: Claim, narrowed: Claim) -> str:
    """What a narrowed claim asks for that the refuted one does not, in words."""
    words = [text for text in pages.domain(narrowed) if text not in pages.domain(claim)]
    for name, operand in narrowed.operands.items():
        if not any(text.startswith(f"{name} is ") for text in words) and operand.dims != claim.operands[name].dims:
            dims = [str(dim) for dim in operand.dims]
            words.append(f"{name} is {' × '.join(dims)}" if len(dims) > 1 else f"{name} has length {dims[0]}")
    return ", ".join(_short(words))


def _short(conditions: Iterable[str]) -> list[str]:
    """Conditions without repeats, operands that share one told together: "A and B are invertible"."""
    names: dict[str, list[str]] = {}
    for text in dict.fromkeys(re.sub(r" \(tried .*\)$", "", text) for text in conditions):
        name, verb, what = text.partition(" is ")
        shared = verb and not re.match(r"an? ", what)  # "A and B are a matrix" would not do
        names.setdefault(what if shared else text, []).append(name if shared else "")
    told = []
    for what, those in names.items():
        *most, last = those
        told.append(f"{', '.join(most)} and {last} are {what}" if most else f"{last} is {what}" if last else what)
    return told


def _list(names: Iterable[str], most: int = 12) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
