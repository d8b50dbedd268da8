"""`identities cite`: a claim and its sources for a paper (BibTeX, LaTeX) or a text (Markdown)."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_commands(commands: Any) -> None:
    p = commands.add_parser("cite", help="cite a claim and its sources", description=__doc__)
    p.add_argument("name", metavar="NAME", help="a claim, an identity, a chapter or a module")
    p.add_argument(
        "--format",
        choices=("bibtex", "latex", "markdown"),
        default="bibtex",
        help="bibtex: entries of the claim and of its sources; latex: the equation with label and citations; "
        "markdown: the equation with a link (default: bibtex)",
    )
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from identities import book
    from identities.engine import citations, sources

    claims = book.find(options.name)
    used = dict.fromkeys(s.key for c in claims for s in c.sources if not s.ours)
    if options.json:
        entries = {key: sources.bibliography()[key] for key in used}
        said = {c.name: [str(s) for s in c.sources] for c in claims}
        print(json.dumps({"claims": said, "bibliography": entries, "bibtex": citations.bibtex(claims)}, indent=1))
    elif options.format == "bibtex":
        print(citations.bibtex(claims))
    else:
        form = citations.latex if options.format == "latex" else citations.markdown
        print("\n\n".join(map(form, claims)))
    return 0
