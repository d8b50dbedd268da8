"""Laws of the house, read from the chapters' syntax trees and from the files beside them."""

import ast
import collections
import json
import pathlib
import re

import pytest

import identities
from identities.engine import coverage, sources

ROOT = pathlib.Path(__file__).parent.parent
BOOK = ROOT / "identities"
CHAPTERS = [BOOK / f"{name}.py" for name in identities.CHAPTERS]
CATALOGUE = identities.catalogue()
NAMES = ROOT / "tests" / "names.txt"
ALLOWED = {
    "jax",
    "jaxtyping",
    "identities.engine.identity",
    "identities.engine.operands",
    "identities.lemmas",
    "identities.operators",
}


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def kept(name, module):
    return any(module == allowed or module.startswith(allowed + ".") for allowed in ALLOWED)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_imports_entries_operands_operators_lemmas_and_jax_only(path):
    for node in ast.walk(tree(path)):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            assert kept(path.stem, module) and "_src" not in module, f"{path.name} imports {module}"


def owner_of(node):
    """The identity that a def's decorator belongs to: None for an identity itself, "" for a plain def."""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Name) and call.id == "identity":
            return None
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
            return call.value.id
    return ""


def order_problems(module):
    """Claims that do not follow their identity at once, and names that are defined twice."""
    problems, current = [], ""
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            owner = owner_of(node)
            if owner is None:
                current = node.name
            elif owner:
                if owner != current:
                    problems.append(f"{node.name} does not follow {owner} at once")
            else:
                current = ""
        else:
            current = ""
    names = collections.Counter(n.name for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.ClassDef))
    return problems + [f"{name} is defined {count} times" for name, count in names.items() if count > 1]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_claims_follow_their_identity_and_no_name_is_defined_twice(path):
    assert order_problems(tree(path)) == []


def test_the_order_law_finds_planted_slips():
    text = (
        "@identity('a')\ndef f(x): ...\nz = 1\n@f.gradient('x')\ndef f_dx(x): ...\n@f.gradient('x')\ndef f_dx(x): ...\n"
    )
    problems = order_problems(ast.parse(text))
    assert any("f_dx does not follow f" in p for p in problems) and any("defined 2 times" in p for p in problems)


def test_every_identity_has_a_claim_that_holds():
    bare = [i.name for i in CATALOGUE.identities.values() if not any(c.status == "holds" for c in i.claims.values())]
    assert not bare, f"an identity without a right form is no use to anybody: {bare}"


def test_a_refuted_print_stands_beside_the_right_form():
    alone = [c.name for c in CATALOGUE.values() if c.status == "refuted" and not c.corrections]
    assert not alone, f"no claim that holds states the same derivative as {alone}"


def test_names_are_permanent():
    """People cite names: none may go.  New ones are added to tests/names.txt with `make names`."""
    committed = NAMES.read_text(encoding="utf-8").split()
    gone = set(committed) - set(CATALOGUE)
    new = set(CATALOGUE) - set(committed)
    assert not gone, f"these names were cited and are gone: {sorted(gone)}"
    assert not new, f"these names are new; run `make names` and commit the list: {sorted(new)}"


def test_names_do_not_collide_where_case_is_folded():
    folded = collections.Counter(name.casefold() for name in CATALOGUE)
    assert [name for name, count in folded.items() if count > 1] == []


def test_every_source_is_in_the_bibliography_and_the_parser_reads_it():
    entries = sources.bibliography()
    assert set(entries) == set(sources.known_keys())
    for claim in CATALOGUE.values():
        for source in claim.sources:
            assert source.ours or entries[source.key]["title"]


@pytest.mark.parametrize("source", coverage.sources())
def test_the_list_of_equations_parses_and_each_number_stands_once(source):
    listed = coverage.equations(source)
    assert source in sources.known_keys() and listed
    assert len({e.number for e in listed}) == len(listed)
    for e in listed:
        assert not re.search(r"\s{2}|^\s|\s$", "|".join((e.number, e.section, e.title, e.kind))), e
        assert not e.test or named_tests(e.test.removeprefix("test_").rstrip("_")), f"no test begins with {e.test}"


def test_every_claim_is_in_the_record():
    record = json.loads((BOOK / "record.json").read_text(encoding="utf-8"))["claims"]
    assert set(record) == set(CATALOGUE), "run `make record` and commit identities/record.json"
    for name, rows in record.items():
        assert {r["dtype"] for r in rows} >= {"float64", "float32"}, name


SEED_ROWS = [f"G{i}" for i in range(1, 17)] + [f"N{i}" for i in range(1, 35)]


def named_tests(row):
    pattern = re.compile(rf"^def (test_{row}_\w+)", re.MULTILINE)
    return [m for path in (ROOT / "tests").glob("test_*.py") for m in pattern.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("row", SEED_ROWS)
def test_every_row_of_the_two_texts_has_a_claim_or_a_test(row):
    key = "MVC" if row[0] == "G" else "VCN"
    claims = [c.name for c in CATALOGUE.values() for s in c.sources if (s.key, s.locator) == (key, row)]
    assert claims or named_tests(row)
    page = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| *{row} *\|", page, re.MULTILINE), f"docs/seeds.md has no row {row}"


def test_the_page_of_the_seeds_names_only_what_is_there():
    page = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
    known = {*CATALOGUE, *CATALOGUE.identities}
    functions = {
        m
        for p in (ROOT / "tests").glob("test_*.py")
        for m in re.findall(r"^def (test_\w+)", p.read_text(encoding="utf-8"), re.M)
    }
    for word in re.findall(r"`(\w+)`", page):
        if word.startswith("test_"):
            assert word in functions, f"docs/seeds.md names {word}, which is no test"
        elif re.search(r"_(d|is_|along_)", word):
            assert word in known, f"docs/seeds.md names {word}, which is no entry"
