r"""The displayed equations of a LaTeX document, each as one statement with its line and its label.

Read are equation, align, gather, multline, flalign, alignat, eqnarray and displaymath (with or without *), \[ \] and
$$ $$.  Macros without arguments are expanded.  Rows that go on with a relation or a sign belong to the row before.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from identities.statements.tokens import LONGEST

LARGEST = 5_000_000  # characters of a document
DEPTH = 20  # of macros within macros
ENVIRONMENTS = "equation|align|gather|multline|flalign|alignat|eqnarray|displaymath"
DISPLAY = re.compile(
    rf"\\begin\s*\{{(?P<name>(?:{ENVIRONMENTS})\*?)\}}(?P<inside>.*?)\\end\s*\{{(?P=name)\}}"
    r"|(?<!\\)\\\[(?P<bracket>.*?)(?<!\\)\\\]|\$\$(?P<dollars>.*?)\$\$",
    re.S,
)
INNER = re.compile(
    r"\\(?:begin|end)\s*\{(?:aligned|split|gathered|alignedat|subequations)\*?\}(?:\[[tbc]\])?(?:\{\d+\})?"
)
HIDDEN = re.compile(r"\\begin\s*\{(verbatim|Verbatim|lstlisting|comment|minted)\*?\}.*?\\end\s*\{\1\*?\}", re.S)
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
LABEL = re.compile(r"\\(?:label|tag\*?)\s*\{([^{}]*)\}")
MACRO = re.compile(
    r"\\(?P<kind>newcommand|renewcommand|providecommand|DeclareMathOperator|def)\s*\*?\s*"
    r"(?:\{\s*\\(?P<braced>[A-Za-z]+)\s*\}|\\(?P<bare>[A-Za-z]+))\s*(?P<arguments>\[\d\]|#\d)?(?:\[[^\]]*\])?\s*(?=\{)"
)
RELATION = re.compile(r"\s*(?:&\s*)*(?:=|\+|-|\\(?:equiv|approx|leq?|geq?|cdot|times)\b|<|>)")


@dataclasses.dataclass(frozen=True)
class Equation:
    """One displayed equation: its text with macros expanded, where it begins, its label."""

    text: str
    line: int
    label: str
    problem: str = ""  # why it is no statement, where the document tells


def equations(document: str) -> list[Equation]:
    """Every displayed equation of a document, in order.  Raises ValueError for one that is too long."""
    if len(document) > LARGEST:
        raise ValueError(f"a document has at most {LARGEST} characters, this has {len(document)}")
    text = COMMENT.sub(r"\1", document)
    text = HIDDEN.sub(lambda found: "\n" * found[0].count("\n"), text)
    macros, takes = _macros(text)
    found = []
    for display in DISPLAY.finditer(text):
        name = (display["name"] or "").rstrip("*")
        group = next(g for g in ("inside", "bracket", "dollars") if display[g] is not None)
        inside, start = display[group], display.start(group)
        if name == "alignat":
            inside = re.sub(r"^\s*\{\d+\}", lambda m: " " * len(m[0]), inside)
        for part, offset, label in _statements(inside, name):
            first = offset + len(part) - len(part.lstrip())
            line = text.count("\n", 0, start + first) + 1
            expanded, problem = _expanded(part, macros, takes)
            found.append(Equation(" ".join(expanded.split()), line, label, problem))
    return found


def _statements(inside: str, environment: str) -> Iterator[tuple[str, int, str]]:
    """The statements of a display: text, where it begins in the display, label."""
    inside = INNER.sub(lambda m: " " * len(m[0]), inside)
    label = ""
    columns: dict[int, tuple[str, int, str]] = {}  # column -> text so far, where it begins, label
    for row, offset in _split(inside, r"\\"):
        labels = LABEL.findall(row)
        bare = LABEL.sub(lambda m: " " * len(m[0]), row)
        cells = [bare] if environment == "eqnarray" else [cell for cell, _ in _split(bare, "&")]
        label = labels[0] if labels else ""
        place = offset
        for number in range(0, len(cells), 2):
            text = " ".join(cells[number : number + 2])
            if environment == "eqnarray":
                text = " ".join(cell for cell, _ in _split(text, "&"))
            if text.strip():
                before = columns.get(number)
                if before and RELATION.match(text):
                    columns[number] = (f"{before[0]} {text}", before[1], before[2] or label)
                else:
                    if before:
                        yield before
                    columns[number] = (text, place, label)
            place += sum(map(len, cells[number : number + 2])) + 2
    yield from columns.values()


def _split(text: str, at: str) -> Iterator[tuple[str, int]]:
    r"""Parts between row ends or & that stand in no braces and no inner environment, with their places."""
    depth = start = place = 0
    token = re.compile(r"\\begin\b|\\end\b|\\\\(?:\s*\[[^\]]*\])?|\\.|[{}&]", re.S)
    for found in token.finditer(text):
        said = found[0]
        place = found.start()
        if said == "{" or said == r"\begin":
            depth += 1
        elif said == "}" or said == r"\end":
            depth -= 1
        elif depth <= 0 and said.startswith(at) and (at == "&" or said.startswith(r"\\")):
            yield text[start:place], start
            start = found.end()
    yield text[start:], start


def _macros(text: str) -> tuple[dict[str, str], set[str]]:
    """What macros stand for, and the names of those with arguments."""
    found: dict[str, str] = {}
    takes: set[str] = set()
    for macro in MACRO.finditer(text):
        name = macro["braced"] or macro["bare"]
        if macro["arguments"]:
            takes.add(name)
            continue
        body = _group(text, macro.end())
        if body is not None:
            operator = macro["kind"] == "DeclareMathOperator"
            found[name] = rf"\operatorname{{{body}}}" if operator else body
    return found, takes


def _group(text: str, place: int) -> str | None:
    """What stands in the braces that open at `place`."""
    depth = 0
    for k in range(place, min(len(text), place + LONGEST)):
        if text[k] in "{}" and text[k - 1] != "\\":
            depth += 1 if text[k] == "{" else -1
            if depth == 0:
                return text[place + 1 : k]
    return None


def _expanded(text: str, macros: dict[str, str], takes: set[str]) -> tuple[str, str]:
    """The text with macros replaced, and what keeps it from being read."""
    pattern = re.compile(r"\\([A-Za-z]+)")
    for _ in range(DEPTH):
        with_arguments = [name for name in pattern.findall(text) if name in takes and name not in macros]
        if with_arguments:
            return text, f"the macro \\{with_arguments[0]} takes arguments"
        grown = 0

        def replaced(found: re.Match[str]) -> str:
            nonlocal grown
            body = macros.get(found[1])
            if body is None or grown > 2 * LONGEST:
                return found[0]
            grown += len(body)
            return f"{body} "

        after = pattern.sub(replaced, text)
        if after == text:
            return text, ""
        text = after
        if len(text) > 2 * LONGEST:
            break
    return text[:LONGEST], "its macros grow without end or too long"
