"""Who prints a fact: sources such as "MCB 101", with the print itself where it differs from ours.

A source string is a key of `references.bib`, a locator (an equation number, or a row such as N16)
and, where needed, a note.  "ours" says that no source prints the fact.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
from typing import Any

from identities.engine.errors import LawError, UnknownSource, nearest

BIBLIOGRAPHY = pathlib.Path(__file__).parent.parent / "references.bib"
_extra: list[pathlib.Path] = []


@dataclasses.dataclass(frozen=True)
class Source:
    """A bibliography key, a locator, and the source's own print where it differs from the claim's."""

    key: str
    locator: str = ""
    note: str = ""
    latex: str | None = None  # the source's own form of the right-hand side
    layout: str | None = None  # "numerator" where the source prints the transpose layout

    def __str__(self) -> str:
        return " ".join(part for part in (self.key, self.locator, self.note) if part)

    @property
    def ours(self) -> bool:
        return self.key == "ours"


def printed(source: str, latex: str, *, layout: str | None = None) -> Source:
    """A source that prints the same fact in another form or layout: `latex` is what it prints."""
    if layout not in (None, "numerator", "denominator"):
        raise LawError(f"printed({source!r}): layout must be 'numerator' or 'denominator', got {layout!r}")
    return dataclasses.replace(parse(source), latex=latex, layout=layout)


def parse(source: str | Source) -> Source:
    """Read "MCB 53 without its condition".  Raises UnknownSource for a key no bibliography holds."""
    if isinstance(source, Source):
        return source
    words = source.split(maxsplit=2)
    if not words:
        raise LawError(
            'a source must not be empty; write, for instance, "MCB 101", or "ours" where no source prints the fact'
        )
    key, locator, note = [*words, "", ""][:3]
    if key == "ours":
        return Source("ours", "", " ".join(words[1:]))
    known = known_keys()
    if key not in known:
        raise UnknownSource(
            f"unknown source {key!r}; the bibliography holds {', '.join(sorted(known))}{nearest(key, known)} "
            f"(a module of your own brings its sources with identities.engine.sources.add_bibliography('mine.bib'))"
        )
    if not locator:
        raise LawError(f'source {source!r} needs a locator behind its key, for instance "{key} 101"')
    return Source(key, locator, note)


def add_bibliography(path: str | pathlib.Path) -> None:
    """Let a module of your own cite the keys of its own BibTeX file."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise UnknownSource(f"there is no bibliography file {path}")
    if path not in _extra:
        _extra.append(path)
        known_keys.cache_clear()
        bibliography.cache_clear()


@functools.cache
def known_keys() -> frozenset[str]:
    """The keys of all bibliographies (read without a parser, so that imports stay cheap)."""
    texts = [path.read_text(encoding="utf-8") for path in (BIBLIOGRAPHY, *_extra)]
    return frozenset(key for text in texts for key in re.findall(r"^@\w+\{\s*([^,\s]+)\s*,", text, re.MULTILINE))


@functools.cache
def bibliography() -> dict[str, dict[str, Any]]:
    """Every entry as a dict of its fields.  The BibTeX parser is imported on first use."""
    import bibtexparser

    entries: dict[str, dict[str, Any]] = {}
    for path in (BIBLIOGRAPHY, *_extra):
        library = bibtexparser.parse_string(path.read_text(encoding="utf-8"))
        if library.failed_blocks:
            raise LawError(f"{path} cannot be parsed: {library.failed_blocks[0].error}")
        for entry in library.entries:
            entries[entry.key] = {"type": entry.entry_type} | {f.key: f.value for f in entry.fields}
    return entries
