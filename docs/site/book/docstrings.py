"""The docstrings of the project as Sphinx reads them.

They are written for `help`: `code` in single backticks, arguments in a column with what they mean beside them, and
examples or tables set off by four spaces.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

from sphinx.application import Sphinx

ROW = re.compile(r"(\S.*?) {2,}(\S.*)")


def convert(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place (the event autodoc-process-docstring)."""
    blocks = re.split(r"\n(?:[ \t]*\n)+", "\n".join(lines).strip("\n"))
    lines[:] = [*"\n\n".join(_block(block) for block in blocks).split("\n"), ""]


def _block(block: str) -> str:
    rows = block.split("\n")
    if all(row.startswith("    ") for row in rows):
        inside = textwrap.dedent(block)
        return inside if inside.startswith(">>>") else f"::\n\n{block}"
    if len([row for row in rows if not row.startswith(" ") and ROW.fullmatch(row) and ".  " not in row]) > 1:
        return _definitions(rows)
    return _code(block)


def _definitions(rows: list[str]) -> str:
    """Arguments in a column as a list of terms."""
    made: list[str] = []
    for row in rows:
        match = None if row.startswith(" ") else ROW.fullmatch(row)
        if match:
            made += [f"``{match[1].replace('`', '')}``", f"    {_code(match[2])}"]
        elif row.startswith(" "):
            made.append(f"    {_code(row.strip())}")
        else:
            made.append(f"``{row.replace('`', '')}``")
    return "\n".join(made)


def _code(text: str) -> str:
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
