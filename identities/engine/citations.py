r"""How to cite a claim: BibTeX of the claim and of its sources, the equation in LaTeX, a paragraph of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

import identities
from identities.engine import pages, record, sources
from identities.engine.identity import Claim
from identities.engine.sources import Source

AUTHOR = "The matrix-identities contributors"


def title(claim: Claim) -> str:
    """What a claim is about: "Trace of a product linear in X: gradient by X"."""
    what = f"{claim.kind} by {' and '.join(claim.wrt)}" if claim.wrt else "another form"
    return f"{claim.identity.title}: {what}"


def status(claim: Claim) -> str:
    """One clause: that it holds, or that it is false as printed, and why."""
    return "holds" if claim.status == "holds" else f"false as printed: {claim.because}"


def escape(text: str) -> str:
    """A text for LaTeX: special characters escaped, signs such as × as commands."""
    from pylatexenc.latexencode import UnicodeToLatexEncoder

    encoder = UnicodeToLatexEncoder(
        replacement_latex_protection="braces-after-macro", unknown_char_policy="keep", unknown_char_warning=False
    )
    return str(encoder.unicode_to_latex(text))


def bibtex(claims: Iterable[Claim]) -> str:
    """An entry for each claim, and one for each source that they cite."""
    claims = list(claims)
    used = dict.fromkeys(s.key for c in claims for s in c.sources if not s.ours)
    entries = [_own_entry(c) for c in claims]
    for key in used:
        fields = {k: v for k, v in sources.bibliography()[key].items() if k != "type"}
        entries.append(_entry(sources.bibliography()[key]["type"], key, fields))
    return "\n\n".join(entries)


def _own_entry(claim: Claim) -> str:
    dates = [row["date"] for row in record.read().get(claim.name, [])]
    cited = [rf"\emph{{{sources.bibliography()[s.key]['title']}}} {_locator(s)}" for s in claim.sources if not s.ours]
    note = [rf"${' '.join(claim.statement.split())}$", escape(status(claim))]
    note += [f"printed in {', in '.join(cited)}"] if cited else []
    note += [f"measured on {max(dates)}"] if dates else []
    ours = pages.url(claim) is not None
    package = "matrix-identities" if ours else escape(claim.function.__module__)
    fields = {
        "author": f"{{{AUTHOR}}}" if ours else "",
        "title": f"{{{escape(title(claim))}}}",
        "howpublished": rf"{package} \texttt{{{escape(claim.name)}}}",
        "version": identities.__version__ if ours else "",
        "year": max(dates)[:4] if dates else "",
        "url": pages.url(claim) or "",
        "note": "; ".join(note),
    }
    return _entry("misc", claim.name, {k: v for k, v in fields.items() if v})


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    width = max(map(len, fields))
    body = ",\n".join(
        f"  {name:<{width}} = {value if name == 'month' else f'{{{value}}}'}"  # nov is a macro of BibTeX, not a word
        for name, value in fields.items()
    )
    return f"@{kind}{{{key},\n{body}\n}}"


def _locator(source: Source) -> str:
    """The number of an equation in brackets; a section such as 2.2.3, or a row, as it is; then the note."""
    number = re.fullmatch(r"\d+(\.\d+)?[a-z]?", source.locator)
    return " ".join([f"({source.locator})" if number else escape(source.locator), escape(source.note)]).strip()


def _cite(source: Source) -> str:
    return rf"\cite[{_locator(source)}]{{{source.key}}}"


def latex(claim: Claim) -> str:
    """The equation with a label and citations; it needs amsmath and amssymb."""
    lines = [" ".join(line.split()) for line in claim.statement.splitlines()]
    cited = [_cite(s) for s in claim.sources if not s.ours]
    holds = claim.status == "holds"
    said = f"{escape(claim.identity.title)}" + (f", {', '.join(cited)}" if cited else "")
    verb = "checked in" if holds else "refuted in"
    text = f"{said}; {verb} \\cite{{{claim.name}}}."
    where = f" Here {escape('; '.join(claim.conditions))}." if claim.conditions else ""
    comment = "" if holds else f"% FALSE as printed: {' '.join(claim.because.split())}\n"
    body = "\n  ".join(lines)
    return f"{comment}\\begin{{equation}}\\label{{eq:{claim.name}}}\n  {body}\n\\end{{equation}}\n{text}{where}"


def markdown(claim: Claim) -> str:
    """The equation in $$, with a link to its page and the sources."""
    url = pages.url(claim)
    name = f"[`{claim.name}`]({url})" if url else f"`{claim.name}`"
    cited = [
        f"*{sources.bibliography()[s.key]['title']}*, {f'{s.locator} {s.note}'.strip()}"
        for s in claim.sources
        if not s.ours
    ]
    head = "" if claim.status == "holds" else f"**False as printed**: {claim.because}.\n\n"
    where = f" Conditions: {'; '.join(claim.conditions)}." if claim.conditions else ""
    source = f" ({'; '.join(cited)})" if cited else ""
    return f"{head}{pages.display(claim.statement)}\n\n{name}: {title(claim)}{source}.{where}"
