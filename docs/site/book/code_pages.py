"""The source of the chapters, and of what hand-written pages link to, with an anchor for every line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.application import Sphinx

from book.data import CHAPTERS, ROOT
from book.documents import code_linked, code_page


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """What Sphinx writes beside the pages that it reads: code/traces.html and its like."""
    files = {code_page(path): path for path in (*(f"identities/{name}.py" for name in CHAPTERS), *code_linked())}
    formatter: Any = HtmlFormatter(lineanchors="L", linenos="inline", cssclass="highlight")
    for docname, path in files.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        body = f'<h1>{path}</h1>\n<div class="source-code">{highlight(text, PythonLexer(), formatter)}</div>'
        yield docname, {"title": path, "body": body, "toc": "", "display_toc": False}, "page.html"
