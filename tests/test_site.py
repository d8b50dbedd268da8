"""The reference site: a page for every claim, nothing from outside, and what a reader looks for is found.

These tests build the site, which takes a minute or two; `make test-all` runs them, `make test` leaves them out.
"""

import functools
import http.server
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest

import identities
from identities.engine import bench, pages
from identities.engine.unicode import plain

ROOT = pathlib.Path(__file__).parent.parent
CATALOGUE = identities.catalogue()
NEEDED = ("sphinx", "furo", "myst_parser", "sphinx_copybutton", "sphinx-mathjax-offline")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(bool(MISSING), reason=f"the site needs {', '.join(MISSING)}: pip install -e '.[docs]'"),
]


@pytest.fixture(scope="session")
def site():
    """The site as `make docs` builds it: a warning is an error."""
    command = ["make", "--no-print-directory", "docs", f"PYTHON={sys.executable}", "VENV=none"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return ROOT / "docs" / "_build" / "html"


@pytest.fixture(scope="session")
def links():
    spec = importlib.util.spec_from_file_location("links", ROOT / "docs" / "site" / "links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_of(site, name):
    return site / "claims" / f"{pages.slug(name)}.html"


def inventory(site):
    """The objects of objects.inv: (domain:role, name) -> address."""
    data = (site / "objects.inv").read_bytes()
    body = zlib.decompress(data.split(b"\n", 4)[4]).decode()
    rows = (re.fullmatch(r"(\S+) (\S+) \S+ (\S+) .*", line) for line in body.splitlines())
    return {(row[2], row[1]): row[3].replace("$", row[1]) for row in rows if row}


def unlisted(site, names):
    """Which names have no page, or no object in the inventory, or an address that leads elsewhere."""
    objects, found = inventory(site), []
    for name in names:
        path = f"{CATALOGUE[name].function.__module__}.{name}" if name in CATALOGUE else name
        wanted = f"claims/{pages.slug(name)}.html#{name}"
        if not page_of(site, name).is_file():
            found.append(f"{name} has no page")
        elif any(objects.get(key) != wanted for key in (("id:claim", name), ("py:function", path))):
            found.append(f"{name} is not in objects.inv")
    return found


def search_index(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))


def test_every_claim_has_a_page_and_an_object_for_other_projects(site):
    assert unlisted(site, CATALOGUE) == []


def test_a_claim_that_is_missing_is_noticed(site):
    assert unlisted(site, ["planted_dX"]) == ["planted_dX has no page"]


def test_no_two_pages_have_names_that_differ_in_case_only(site):
    names = [path.relative_to(site).as_posix().lower() for path in site.rglob("*")]
    assert len(names) == len(set(names))


def test_links_lead_somewhere_and_nothing_is_loaded_from_outside(site, links):
    problems, followed, _ = links.check(site)
    assert problems == []
    assert followed > 10 * len(CATALOGUE)


def test_a_broken_link_and_an_outside_script_are_noticed(links, tmp_path):
    text = '<a href="gone.html">a</a><a href="#nowhere">b</a><script src="https://example.org/x.js"></script>'
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    problems, followed, left = links.check(tmp_path)
    assert [problem.split()[1] for problem in problems] == ["loads", "links", "links"]
    assert (followed, left) == (2, 0)


def test_scripts_and_styles_name_no_address_to_load(site):
    for path in [*site.rglob("*.css"), *(site / "_static").glob("book*.js")]:
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_citation_is_bibtex(site):
    import bibtexparser

    for name in CATALOGUE:
        text = page_of(site, name).read_text(encoding="utf-8")
        blocks = re.findall(r'<div class="highlight-bibtex.*?<pre>(.*?)</pre>', text, re.DOTALL)
        assert blocks, name
        library = bibtexparser.parse_string(_plain(blocks[0]))
        assert not library.failed_blocks and name in [entry.key for entry in library.entries]


def _plain(html_text):
    import html

    return html.unescape(re.sub(r"<[^>]+>", "", html_text))


@pytest.mark.parametrize(
    ("query", "claim"),
    [
        ("mcb 119", "tr_affine_squared_dX"),
        ("logdet", "logdet_dX"),
        ("derivative of inverse", "inv_dX"),
        ("mcb 53", "det_xax_dX_printed_MCB53"),
    ],
)
def test_the_search_index_knows_what_readers_type(site, query, claim):
    index = search_index(site)
    main = [index["docnames"][row[0]] for row in index["indexentries"][query] if row[2]]
    assert f"claims/{pages.slug(claim)}" in main


def test_what_the_book_has_under_another_heading_is_found_too(site):
    index = search_index(site)
    both = [set(np.atleast_1d(index["terms"][word])) for word in ("nuclear", "norm")]
    assert {index["docnames"][number] for number in set.intersection(*both)} >= {"peers"}


def test_a_derivation_links_to_what_justifies_it(site):
    text = page_of(site, "tr_axb_dX").read_text(encoding="utf-8")
    section = text.partition('id="derivation"')[2].partition("page-heading")[0]
    assert r"\operatorname{tr}(A\,dX\,B)" in section and f'href="{pages.slug("tr_x_along_dX")}.html' in section
    assert 'id="derivation"' not in page_of(site, "tr_axb_is_computed").read_text(encoding="utf-8")


# In a browser


BROWSER = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, as it is installed on this machine."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install -e '.[browser]'")
    if BROWSER is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=BROWSER, args=quiet)
        yield running
        running.close()


@pytest.fixture(scope="session")
def address(site):
    """The site, served on this machine alone."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def tab(browser):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(request.url))
    yield page
    context.close()


def test_what_was_measured_is_on_the_pages_with_losses_too(site):
    """Every row of a gradient is on its page, with the verdict of the benchmarks' own page."""
    result = bench.read(ROOT / "bench" / "results" / "amd-epyc-2-cores.json")
    slower = 0
    for row in bench.measured(result, "first"):
        text = page_of(site, row["name"]).read_text(encoding="utf-8")
        interval = "{:.2f} [{:.2f}, {:.2f}]".format(*bench.headline(row)[1])
        verdict = bench.verdict(bench.headline(row)[1]) if bench.counts(row, result["machine"]) else "too short to tell"
        slower += verdict == "slower"
        assert re.search(rf"{re.escape(interval)}</p></td>\s*<td><p>[^/]*{verdict}<", text), (row["name"], interval)
    assert slower > 10


def test_a_claim_without_figures_has_no_section_of_them(site):
    assert 'id="speed"' in page_of(site, "tr_axb_dX").read_text(encoding="utf-8")
    assert 'id="speed"' not in page_of(site, "det_d2X").read_text(encoding="utf-8")


def first_hits(tab, address, query, number=5):
    tab.goto(f"{address}/index.html")
    tab.fill("#front-query", query)
    tab.press("#front-query", "Enter")
    tab.wait_for_selector("#search-results ul.search li a")
    tab.wait_for_function("document.querySelector('#search-results p.search-summary')?.innerText.includes('found')")
    links = tab.query_selector_all("#search-results ul.search li > a")
    return [link.get_attribute("href").partition("?")[0].partition("#")[0] for link in links[:number]]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("MCB 119", "claims/tr_affine_squared_d-x.html"),
        ("logdet", "claims/logdet_d-x.html"),
        ("derivative of inverse", "claims/inv_d-x.html"),
        ("nuclear norm", "peers.html"),
        ("gradient of log det of X'X", "claims/logdet_gram_d-x.html"),
        ("MCB 88", "claims/wls_d-a_symmetric.html"),
        ("derivative of x^T A x", "claims/quad_dx.html"),
    ],
)
def test_a_search_has_the_right_page_among_its_first_hits(tab, address, query, wanted):
    assert wanted in first_hits(tab, address, query)


def test_the_browser_compares_formulas_as_the_index_does(tab, site, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    pattern = importlib.import_module("book.patterns").pattern
    tab.goto((site / "search.html").as_uri())
    formulas = [plain(pages.split(c.identity.latex)[0]) for c in CATALOGUE.values()]
    assert tab.evaluate("formulas => formulas.map(formulaPattern)", formulas) == [pattern(f) for f in formulas]
    assert pattern("x^T A x") == pattern("y'By") == "a'ba" != pattern("x'Ay")


def test_search_works_where_the_site_is_opened_as_files(tab, site):
    assert "claims/quad_dx.html" in first_hits(tab, site.as_uri(), "x'Ax")


def test_the_layout_switch_works_by_keyboard_and_is_remembered(tab, address):
    tab.goto(f"{address}/claims/tr_axb_d-x.html")
    buttons = tab.locator(".layout-switch button")
    pressed = lambda: [button.get_attribute("aria-pressed") for button in buttons.all()]  # noqa: E731
    assert pressed() == ["true", "false"]
    assert tab.locator(".layout-denominator").is_visible() and not tab.locator(".layout-numerator").is_visible()
    buttons.nth(1).focus()
    tab.keyboard.press("Enter")
    assert pressed() == ["false", "true"]
    assert tab.locator(".layout-numerator").is_visible() and not tab.locator(".layout-denominator").is_visible()
    tab.goto(f"{address}/claims/logdet_d-x.html")
    assert tab.locator(".layout-numerator").is_visible()
    assert tab.problems == []


def test_both_layouts_are_shown_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/claims/tr_axb_d-x.html")
    assert page.locator(".layout-denominator").is_visible() and page.locator(".layout-numerator").is_visible()
    assert not page.locator(".layout-switch").is_visible()
    context.close()


def test_a_copy_button_copies_the_code(tab, address):
    tab.goto(f"{address}/claims/tr_axb_d-x.html")
    block = tab.locator(".highlight-latex").first
    block.hover()
    block.locator("button.copybtn").click()
    assert tab.evaluate("navigator.clipboard.readText()").strip() == CATALOGUE["tr_axb_dX"].statement


def test_a_permanent_link_leads_to_the_claim(tab, address):
    tab.goto(f"{address}/claims/tr_axb_d-x.html#tr_axb_dX")
    assert "Trace of a product linear in X" in tab.inner_text("h1")
    assert "tr_axb_dX" in tab.inner_text("h1") and "holds" in tab.evaluate(
        "document.querySelector(':target').innerText"
    )
    tab.goto(f"{address}/sources/MCB.html#MCB-101")
    assert "tr_axb_dX" in tab.evaluate("document.querySelector(':target').innerText")


@pytest.mark.parametrize("name", ["tr_axb_dX", "tr_at_toeplitz_dT_printed_MCB143"])
def test_formulas_show_where_the_page_is_opened_as_a_file_on_a_phone(browser, site, name):
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = context.new_page()
    page.goto(page_of(site, name).as_uri())
    page.wait_for_selector(".statement mjx-container svg", state="attached")
    assert not page.locator("mjx-merror, [data-mjx-error]").count()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # what is wide scrolls inside its box
    context.close()


# On paper


@pytest.fixture(scope="session")
def printing():
    spec = importlib.util.spec_from_file_location("print_sheets", ROOT / "docs" / "site" / "print_sheets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sheets(site, browser, printing, tmp_path_factory):
    """The PDFs that `make cheatsheets` prints, by chapter."""
    if importlib.util.find_spec("pypdf") is None:
        pytest.skip("pypdf is not installed: pip install -e '.[browser]'")
    import pypdf

    return {p.stem: pypdf.PdfReader(p) for p in printing.print_all(browser, site, tmp_path_factory.mktemp("sheets"))}


def pages_over(readers):
    return {chapter: len(reader.pages) for chapter, reader in readers.items() if len(reader.pages) != 1}


def test_every_cheat_sheet_is_one_page_of_a4_and_names_all_that_holds(sheets):
    assert list(sheets) == sorted(identities.CHAPTERS)
    assert pages_over(sheets) == {}
    for chapter, reader in sheets.items():
        page = reader.pages[0]
        assert [round(float(x)) for x in page.mediabox] == [0, 0, 595, 842]
        claims = [c for c in CATALOGUE.values() if c.chapter == chapter and c.status == "holds" and not c.computed]
        assert set(page.extract_text().split()) >= {c.name for c in claims}
        links = {str(a.get_object()["/A"]["/URI"]) for a in page["/Annots"]}
        assert links >= {str(pages.url(c)) for c in claims}


def test_a_sheet_of_two_pages_would_be_noticed(sheets):
    import pypdf

    writer = pypdf.PdfWriter(sheets["norms"])
    writer.add_blank_page(595, 842)
    assert pages_over({"norms": writer}) == {"norms": 2}


# Cells that leave the sheet, and formulas that leave their cell, in what a sheet is printed of
CLIPPED = """() => {
  dispatchEvent(new Event("beforeprint"));
  const leaves = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1;
  const box = (node) => node.getBoundingClientRect();
  const sheet = document.querySelector(".sheet");
  const found = [...sheet.querySelectorAll(".cell")].filter((cell) => leaves(box(cell), box(sheet))
    || [...cell.querySelectorAll("svg, .cell-words *")].some((one) => leaves(box(one), box(cell))));
  dispatchEvent(new Event("afterprint"));
  return found.map((cell) => cell.querySelector("a").textContent);
}"""


def test_no_formula_of_a_sheet_leaves_its_column(tab, site, printing):
    printing.serve(tab, site)
    for chapter in identities.CHAPTERS:
        printing.open_sheet(tab, chapter)
        assert tab.evaluate(CLIPPED) == [], chapter


def test_a_formula_that_leaves_its_column_is_noticed(tab, site, printing):
    printing.serve(tab, site)
    printing.open_sheet(tab, "norms")
    tab.add_style_tag(content=".paper .cell:nth-child(2) svg { min-width: 8cm; }")
    assert len(tab.evaluate(CLIPPED)) == 1


def test_where_chromium_is_missing_no_sheet_is_printed_and_a_line_says_so(
    site, printing, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(printing, "CHROMIUM", ("no-such-program",))
    monkeypatch.setattr(sys, "argv", ["print_sheets.py", str(site), str(tmp_path / "sheets")])
    assert printing.main() == 0
    assert "no cheat sheets printed: " in capsys.readouterr().out
    assert not (tmp_path / "sheets").exists()
