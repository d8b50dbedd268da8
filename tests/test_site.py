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
from identities.engine import pages

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
    ],
)
def test_a_search_has_the_right_page_among_its_first_hits(tab, address, query, wanted):
    assert wanted in first_hits(tab, address, query)


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
