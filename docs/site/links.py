"""Follow every link inside the built site, and see that no page loads anything from outside: `make docs-links`.

    python docs/site/links.py docs/_build/html

Links to other sites are counted and not followed.
"""

from __future__ import annotations

import html.parser
import pathlib
import sys
import urllib.parse

# What a browser loads by itself, as opposed to what a reader may click.
LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "object": "data", "use": "href"}
RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest", "search", "index"}


class Page(html.parser.HTMLParser):
    """The ids of a page, the links on it, and what it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and LOADED[tag] in found:
            self.loads.append(found[LOADED[tag]])
        if tag == "link" and "href" in found and set(found.get("rel", "").split()) & RELATIONS:
            self.loads.append(found["href"])


def outside(address: str) -> bool:
    return bool(urllib.parse.urlsplit(address).scheme) or address.startswith("//")


def check(folder: pathlib.Path) -> tuple[list[str], int, int]:
    """What is wrong, how many links were followed, and how many lead outside."""
    folder = folder.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    problems, followed, left = [], 0, 0
    for path, page in pages.items():
        name = path.relative_to(folder).as_posix()
        problems += [f"{name} loads {address} from outside" for address in page.loads if _loads_outside(address)]
        for address in dict.fromkeys([*page.links, *(a for a in page.loads if not outside(a))]):
            if outside(address):
                left += 1
                continue
            followed += 1
            parts = urllib.parse.urlsplit(address)
            target = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path)).resolve()
            anchor = urllib.parse.unquote(parts.fragment)
            if not target.is_file() or folder not in target.parents:
                problems.append(f"{name} links to {address}, which is not there")
            elif anchor and anchor != "top" and target in pages and anchor not in pages[target].ids:
                problems.append(f"{name} links to {address}, a place that is not on that page")
    return problems, followed, left


def _loads_outside(address: str) -> bool:
    return outside(address) and not address.startswith("data:")


def main(folder: str) -> int:
    problems, followed, left = check(pathlib.Path(folder))
    print("\n".join([*problems, f"{followed} links inside followed, {len(problems)} broken; {left} lead outside"]))
    return int(bool(problems) or not followed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
