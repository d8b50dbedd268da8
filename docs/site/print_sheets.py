"""Print the cheat sheets of the built site as PDFs, with headless Chromium: `make cheatsheets`.

    python docs/site/print_sheets.py docs/_build/html docs/_build/cheatsheets

Where Chromium or playwright is missing nothing is printed; one line says so, and the site has no links to PDFs.
"""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
import sys
import urllib.parse
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from identities.engine import pages

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FOOTER = """<div style="font: 6pt sans-serif; width: 100%; margin: 0 0.8cm; display: flex">
<span style="flex: 1">{address}</span>
<span>page <span class="pageNumber"></span> of <span class="totalPages"></span></span></div>"""


def missing() -> str:
    """Why nothing can be printed; empty where it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install -e '.[browser]'"
    return "" if any(map(shutil.which, CHROMIUM)) else "there is no Chromium on this machine"


def serve(page: Any, site: pathlib.Path) -> None:
    """Answer for the site's address from the folder, so that the links of a PDF lead to the site."""

    def answer(route: Any) -> None:
        path = site / urllib.parse.urlsplit(route.request.url.removeprefix(pages.SITE)).path.lstrip("/")
        if route.request.url.startswith(f"{pages.SITE}/") and path.is_file():
            route.fulfill(path=str(path))
        else:
            route.abort()

    page.route("**/*", answer)


def open_sheet(page: Any, chapter: str) -> str:
    """Open a sheet, wait until its formulas show, and return its address."""
    address = f"{pages.SITE}/cheatsheets/{chapter}.html"
    page.goto(address)
    page.wait_for_function("window.MathJax?.startup?.promise")
    page.evaluate("MathJax.startup.promise")
    return address


def print_all(browser: Any, site: pathlib.Path, folder: pathlib.Path) -> list[pathlib.Path]:
    """One PDF a sheet, and none that belongs to no sheet any more."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    page = browser.new_page()
    serve(page, site)
    for chapter in sorted(path.stem for path in site.glob("cheatsheets/*.html") if path.stem != "index"):
        address = open_sheet(page, chapter)
        made.append(folder / f"{chapter}.pdf")
        page.pdf(
            path=str(made[-1]),
            prefer_css_page_size=True,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER.format(address=address),
        )
    page.close()
    for old in set(folder.glob("*.pdf")) - set(made):
        old.unlink()
    return made


def main() -> int:
    if len(sys.argv) != 3 or not (pathlib.Path(sys.argv[1]) / "cheatsheets").is_dir():
        print("usage: print_sheets.py SITE FOLDER, where SITE is a built site with its cheat sheets", file=sys.stderr)
        return 2
    why = missing()
    if why:
        print(f"no cheat sheets printed: {why}")
        return 0
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        program = next(filter(None, map(shutil.which, CHROMIUM)))
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        made = print_all(browser, pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
        browser.close()
    print(f"{len(made)} cheat sheets in {sys.argv[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
