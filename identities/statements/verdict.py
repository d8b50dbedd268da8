"""What was found about a statement: `StatementVerdict`."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from identities.engine.verdict import plain, show_dims
from identities.statements.deciding import Link


@dataclasses.dataclass(frozen=True)
class StatementVerdict:
    """Whether a statement is true, as far as random draws tell.

    ok              whether all links hold in every draw
    text            the statement
    links           each `=` of the chain: left, right, holds, worst (the largest difference over the size of the
                    sides), index and values of the worst entry; of a false statement at the counterexample
    sizes, operands where it fails: the smallest sizes that were found, and the letters' values there; of a true
                    statement the sizes that were tried last, and no operands
    diagnosis       what is wrong, where a simple explanation fits every draw; else ""
    drawn           what each letter was taken for
    draws, seed     how many draws were compared, and from which seed
    declared        what was declared, clause by clause
    seconds         how long it took
    """

    ok: bool
    text: str
    links: tuple[Link, ...]
    sizes: Mapping[str, int]
    operands: Mapping[str, Any]
    diagnosis: str
    drawn: tuple[str, ...]
    draws: int
    seed: int
    declared: tuple[str, ...]
    seconds: float
    label: str = ""

    def __bool__(self) -> bool:
        return self.ok

    @property
    def worst(self) -> Link:
        """The link that differs most."""
        return max(self.links, key=lambda link: (not link.holds, link.worst))

    def __str__(self) -> str:
        return describe(self)

    def to_json(self) -> dict[str, Any]:
        """The attributes as plain JSON values."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        found["links"] = [dataclasses.asdict(link) for link in self.links]
        found["sizes"] = dict(self.sizes)
        found["operands"] = {name: np.asarray(value).tolist() for name, value in self.operands.items()}
        return dict(plain(found))


def shown_text(text: str) -> str:
    """A statement on one line."""
    return " ".join(text.split())


def show_value(value: Any) -> str:
    """A number with ten digits, whole numbers as such."""
    value = complex(value) if np.iscomplexobj(value) else float(value)
    if isinstance(value, complex):
        if abs(value.imag) <= 1e-9 * max(1.0, abs(value)):
            return show_value(value.real)
        return f"{value.real:.10g}{value.imag:+.10g}i"
    return f"{0.0 if abs(value) < 1e-12 else value:.10g}"


def show_array(value: Any) -> str:
    """A matrix as a list of rows, a vector as one list."""
    array = np.asarray(value)
    return show_value(array[()]) if array.ndim == 0 else f"[{', '.join(map(show_array, array))}]"


def describe(v: StatementVerdict) -> str:
    """The text of a verdict; of a false statement, everything that is needed to see it by hand."""
    name = f"{v.label}: " if v.label else ""
    if v.ok:
        lines = [f"{name}true: {shown_text(v.text)}"]
        lines.append(
            f"  agrees     to {max(link.worst for link in v.links):.1e} of the size of the sides, in {v.draws} draws"
        )
        lines.append(f"  letters    {'; '.join(v.drawn) or 'none'}")
        return "\n".join(lines)
    lines = [f"{name}false: {shown_text(v.text)}"]
    if len(v.links) > 1:
        for link in v.links:
            mark = "holds" if link.holds else "false"
            lines.append(f"  {mark}      {shown_text(link.left)} = {shown_text(link.right)}")
    if v.sizes:
        lines.append(f"  at         {show_dims(dict(v.sizes))}")
    lines += [f"  {'where' if k == 0 else '':<9}  {n} = {show_array(x)}" for k, (n, x) in enumerate(v.operands.items())]
    worst = v.worst
    where = f"entry {[k + 1 for k in worst.index]}" if worst.index else "the value"
    left, right = map(show_value, worst.values)
    lines.append(f"  worst      {where}: left {left}, right {right}")
    lines.append(f"  diagnosis  {v.diagnosis or 'no simple explanation'}")
    lines.append(f"  letters    {'; '.join(v.drawn) or 'none'}")
    lines.append(f"  repeat     {reproducer(v)}")
    return "\n".join(lines)


def reproducer(v: StatementVerdict) -> str:
    """The command that repeats the verdict."""
    words = ["identities", "check", shown_text(v.text)]
    for clause in v.declared:
        option, value = ("--let", clause[4:]) if clause.startswith("let ") else ("--operand", clause)
        if clause.startswith("layout "):
            option, value = "--layout", clause.split()[1]
        words += [option, value]
    if v.seed:
        words += ["--seed", str(v.seed)]
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """As a shell reads it; a text with ' alone in double quotes, which are easier to read."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)
