"""The pages as Sphinx reads them: a few lines for each generated page, copies of the hand-written ones.

All of them are written below docs/_build/source before Sphinx reads anything; a file that would be the same is left
alone, so that only what changed is read again, and what belongs to no page any more is removed.
"""

from __future__ import annotations

import pathlib
import re
import shutil

from book import documents, words
from book.data import CATALOGUE, CHAPTERS, ROOT, chapter_title, docname
from book.source_pages import keys

GUIDES = (
    "Getting started <start>",
    "tutorial",
    "symmetric",
    "layouts",
    "complex",
    "language",
    "pitfalls",
    "closed_forms",
)
BOOK = ("chapters/index", "cheatsheets/index", "sources/index", "errata", "bibliography")
PROJECT = ("contributing", "design", "changelog")


def write(folder: pathlib.Path) -> None:
    """Write the sources of the whole site into a folder, and remove what no page needs."""
    texts = generated()
    for name, path in documents.pages().items():
        texts[name] = documents.led(path.read_text(encoding="utf-8"), "docs" if path.parent.name == "docs" else "")
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    plots = {f"plots/{path.name}" for path in (ROOT / "docs" / "plots").glob("*.svg")}
    for name in plots:
        (folder / "plots").mkdir(exist_ok=True)
        shutil.copy2(ROOT / "docs" / name, folder / name)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in {*texts, *plots}:
            path.unlink()


def generated() -> dict[str, str]:
    """The generated pages: their names, with the ending, and their texts."""
    found = {"index.rst": front(), "api.rst": api(), "bibliography.rst": page("Bibliography", "id:bibliography")}
    for claim in CATALOGUE.values():
        head = f"{escaped(words.title(claim))} ``{claim.name}``"  # with its name, since variants have the same title
        found[f"{docname(claim)}.rst"] = f":orphan:\n\n{page(head, 'id:claim', claim.name)}"
    chapters = list(CHAPTERS)
    found |= {f"chapters/{name}.rst": page(chapter_title(name), "id:chapter", name) for name in chapters}
    found |= {
        f"cheatsheets/{name}.rst": page(f"{chapter_title(name)}: cheat sheet", "id:cheatsheet", name)
        for name in chapters
    }
    found |= {f"sources/{key}.rst": page(f"{key}, equation by equation", "id:source", key) for key in keys()}
    found["chapters/index.rst"] = page("Chapters", "id:chapters", "chapters") + toctree(chapters)
    found["cheatsheets/index.rst"] = page("Cheat sheets", "id:chapters", "cheatsheets") + toctree(chapters)
    found["sources/index.rst"] = page("Sources and coverage", "id:coverage") + toctree(keys())
    return found


def escaped(text: str) -> str:
    return re.sub(r"([*`|_\\])", r"\\\1", text)


def page(title: str, directive: str, argument: str = "") -> str:
    return f"{title}\n{'=' * len(title)}\n\n.. {directive}:: {argument}".rstrip() + "\n"


def toctree(names: list[str] | tuple[str, ...], caption: str = "") -> str:
    head = f"   :caption: {caption}\n" if caption else ""
    return f"\n.. toctree::\n   :hidden:\n{head}\n" + "".join(f"   {name}\n" for name in names)


def front() -> str:
    """The first page: what this is, by the first lines of README.md, and the ways in."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tagline = readme.partition("\n\n")[2].partition("\n```")[0].strip()
    trials = [
        path.removesuffix(".md")
        for path in documents.pages()
        if path.removesuffix(".md") not in (*GUIDES, *BOOK, *PROJECT, "start", "seeds")
    ]
    about = " ".join(tagline.replace("`", "``").split())
    lines = ["The matrix-calculus book that checks itself", "===========================================", ""]
    lines += [re.sub(r"^\*\*.*?\*\* ", "", about), "", ".. id:front::", ""]
    text = "\n".join(lines)
    text += toctree(BOOK, "The book") + toctree(GUIDES, "Guides")
    return text + toctree(trials, "How far to trust it") + toctree(("api", "seeds", *PROJECT), "The project")


def api() -> str:
    """The public surface, from its docstrings."""
    import identities

    functions = [name for name in identities.__all__ if name.islower() and name not in ("identity", "printed")]
    classes = [name for name in identities.__all__ if name[0].isupper() and name != "CHAPTERS"]
    blocks = ["API", "===", "", "What other code relies on. How to import a function of the book is on its page.", ""]
    for name in ("identity", "printed", *functions):
        blocks += [f".. autofunction:: identities.{name}", ""]
    for name in classes:
        blocks += [f".. autoclass:: identities.{name}", "   :members:", ""]
    return "\n".join(blocks)
