"""What the site reads: the book, the record and the errata."""

from __future__ import annotations

import inspect
import pathlib
import re
from types import ModuleType
from typing import Any

from identities import book
from identities.engine import coverage, errata, pages, record, snippets, sources
from identities.engine.identity import Claim, Identity, module_identities

ROOT = pathlib.Path(__file__).resolve().parents[3]
CATALOGUE = book.catalogue()
CHAPTERS = {module.__name__.rpartition(".")[2]: module for module in book.chapters()}
FILES = (
    *(pathlib.Path(str(module.__file__)) for module in book.chapters()),
    record.PATH,
    errata.PATH,
    sources.BIBLIOGRAPHY,
    *sorted(coverage.FOLDER.glob("*.csv")),
    *sorted((ROOT / "bench" / "results").glob("*.json")),
)
_ERRATA = {row["name"]: row for row in errata.read()}


def measured(claim: Claim) -> list[dict[str, Any]]:
    return record.read().get(claim.name, [])


def erratum(claim: Claim) -> dict[str, Any]:
    return _ERRATA.get(claim.name, {})


def line(claim: Claim) -> int:
    """The line of the chapter's file at which the closed form begins, its decorator included."""
    return claim.function.__code__.co_firstlineno


def docname(claim: Claim) -> str:
    return f"claims/{pages.slug(claim.name)}"


def chapter_title(name: str) -> str:
    """A chapter's title, the first words of its docstring: "Traces"."""
    return name[0].upper() + name[1:].replace("_", " ")


def introduction(module: ModuleType) -> list[str]:
    """The paragraphs of a chapter's docstring."""
    return [" ".join(part.split()) for part in inspect.cleandoc(module.__doc__ or "").split("\n\n")]


def sections(module: ModuleType) -> list[tuple[str, list[Identity[..., Any]]]]:
    """The identities of a chapter under its headings: comment lines that stand between two empty ones."""
    lines = pathlib.Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()
    heads = {
        number: text.removeprefix("# ")
        for number, (before, text, after) in enumerate(zip(lines, lines[1:], lines[2:], strict=False), 2)
        if text.startswith("# ") and not before and not after
    }
    found: list[tuple[str, list[Identity[..., Any]]]] = []
    for identity in module_identities(module):
        above = [number for number in heads if number < identity.function.__code__.co_firstlineno]
        head = heads[max(above)] if above else ""
        if not found or found[-1][0] != head:
            found.append((head, []))
        found[-1][1].append(identity)
    return found


def anchor_of(text: str) -> str:
    return "section-" + re.sub(r"\W+", "-", text).strip("-").lower()


def entry(key: str) -> str:
    """A source's entry in BibTeX."""
    fields = sources.bibliography()[key]
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if name != "type")
    return f"@{fields['type']}{{{key},\n{body}\n}}"


def codes(claim: Claim) -> list[tuple[str, str, str]]:
    """What can be copied: a label, the language, the text."""
    found = [("LaTeX", "latex", claim.statement), ("JAX", "python", snippets.jax_form(claim))]
    numpy = snippets.numpy_form(claim)
    if numpy:
        found.append(("NumPy", "python", numpy))
    return [*found, ("The closed form as it stands in the book", "python", inspect.getsource(claim.function))]
