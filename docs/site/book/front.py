"""The first page: a search, how much there is, and the chapters."""

from __future__ import annotations

import urllib.parse

from docutils import nodes

from book import make
from book.data import CATALOGUE
from book.domain import BookDirective
from book.lists import chapters_table
from identities.engine import record

EXAMPLES = ("MCB 119", "logdet", "derivative of inverse", "Gram matrix")
SEARCH = """\
<form class="front-search" action="search.html" method="get" role="search">
<label for="front-query">Look something up</label>
<input id="front-query" type="search" name="q" autocomplete="off" placeholder="a formula's number, a name, a word">
<button type="submit">Search</button>
</form>"""


class Front(BookDirective):
    """`.. id:front::` fills the first page."""

    def run(self) -> list[nodes.Node]:
        here = self.note_files()
        held = sum(c.status == "holds" for c in CATALOGUE.values())
        dates = [row["date"] for rows in record.read().values() for row in rows]
        shown = [
            nodes.reference("", text, refuri=f"search.html?q={urllib.parse.quote_plus(text)}", internal=True)
            for text in EXAMPLES
        ]
        return [
            make.html(SEARCH),
            make.paragraph("For instance: ", *make.joined(shown), ".", classes=["no-search"]),
            make.paragraph(
                nodes.strong("", f"{len(CATALOGUE)} claims"),
                f": {held} hold, {len(CATALOGUE) - held} are refuted as printed and stand beside the right form. ",
                f"Last measured {max(dates)}." if dates else "Not measured yet.",
            ),
            make.paragraph(
                "New to the subject: ",
                make.link(here, "tutorial", "", "matrix calculus by example"),
                ", from the first gradient to a factorised matrix.",
            ),
            chapters_table(here),
        ]
