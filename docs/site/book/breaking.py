r"""Long equations in lines, for the narrow columns of a cheat sheet.

An equation is broken outside of all brackets only: before what its letters mean, at its first =, before + and -.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from identities.engine.unicode import plain

LONG = 40  # signs of a line
TOKEN = re.compile(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
MEANING = re.compile(r",\s*\\(?:quad\b|;)\s*")


def broken(latex: str) -> str:
    """The equation as it is, or as aligned lines where it is long."""
    if len(plain(latex)) <= LONG:
        return latex
    equation, *meanings = meant(latex)
    left, right = first_equation(equation)
    lines = [left]
    if right:
        lines += [rf"\quad {line}" for line in filled(f"= {right}")]
        if len(plain(left + lines[1])) <= LONG:
            lines[:2] = [f"{left} {lines[1].removeprefix(chr(92) + 'quad ')}"]
    lines += [rf"\quad {line}" for meaning in together(meanings) for line in filled(meaning)]
    if len(lines) == 1:
        return latex
    return r"\begin{aligned} " + r" \\ ".join(f"& {line.strip()}" for line in lines) + r" \end{aligned}"


def outside(latex: str) -> Iterator[tuple[int, str]]:
    """The tokens outside of all brackets and bars, with their places."""
    depth, bar = 0, ""
    for match in TOKEN.finditer(latex):
        token = match[0]
        if token in ("|", r"\|") and bar in ("", token):
            bar = "" if bar else token
        elif token in ("(", "[", "{") or token.startswith(r"\begin"):
            depth += 1
        elif token in (")", "]", "}") or token.startswith(r"\end"):
            depth -= 1
        elif depth == 0 and not bar:
            yield match.start(), token


def meant(latex: str) -> list[str]:
    """The equation, and after it what each of its letters means."""
    found, start = [], 0
    for place, token in outside(latex):
        match = MEANING.match(latex, place) if token == "," else None
        if match:
            found.append(latex[start : match.start()])
            start = match.end()
    return [*found, latex[start:]]


def first_equation(latex: str) -> tuple[str, str]:
    """What stands left and right of the first =; nothing on the right where there is none."""
    for place, token in outside(latex):
        if token == "=":
            return latex[:place], latex[place + 1 :].strip()
    return latex, ""


def together(meanings: list[str]) -> list[str]:
    """What letters mean, as many of them in a line as fit."""
    lines: list[str] = []
    for meaning in meanings:
        both = rf"{lines[-1]},\; {meaning}" if lines else ""
        if both and len(plain(both)) <= LONG:
            lines[-1] = both
        else:
            lines.append(meaning)
    return lines


def filled(latex: str) -> list[str]:
    """A side in lines of summands, each as full as it may be."""
    places = [
        place
        for place, token in outside(latex)
        if token in "=+-" and not re.search(r"(^|[=+\-^_,])\s*$", latex[:place])
    ]
    ends = [*places[1:], len(latex)] if places else []
    lines, start = [], 0
    for place, end in zip(places, ends, strict=True):
        if len(plain(latex[start:end])) > LONG and latex[start:place].strip(" ="):
            lines.append(latex[start:place])
            start = place
    lines.append(latex[start:])
    return lines
