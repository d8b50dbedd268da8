"""Coverage: what became of each numbered equation, its rules on planted modules, its JSON and exit codes."""

import importlib.resources
import json
import types

import pytest
from jaxtyping import Array, Float

import identities
from identities.commandline import main
from identities.engine import coverage as engine
from identities.engine.catalogue import Catalogue
from identities.engine.coverage import coverage, equations, sources, tally, uncorrected
from identities.engine.errors import UnknownName, UnknownSource
from identities.engine.identity import identity
from identities.engine.operands import Scalar, Symmetric

FIELDS = ["number", "section", "title", "status", "claims", "note"]


def form(name, latex):
    """A closed form of the planted identity; coverage reads what is claimed and never runs it."""

    def closed(x, B):
        return 2 * (B @ x)

    closed.__name__, closed.__doc__ = name, latex
    return closed


def planted(*claims, title="A quadratic form"):
    """A catalogue of one identity x'Bx, to which each of `claims` adds a claim."""

    @identity(title)
    def quad(x: Float[Array, "n"], B: Float[Array, "n n"]) -> Scalar:
        r"x^\top Bx"
        return x @ B @ x

    for add in claims:
        add(quad)
    module = types.ModuleType(__name__)
    module.quad = quad
    return Catalogue([module])


def right(*cited, name="quad_dx"):
    return lambda quad: quad.gradient("x", *cited)(form(name, r"(B + B^\top)x"))


def false(*cited, latex="2Bx", because="B is not symmetric"):
    return lambda quad: quad.refuted("gradient", "x", *cited, because=because)(form("quad_dx_printed_MCB1", latex))


def narrowed(*cited, latex="2Bx", given=None):
    given = given or {"B": Symmetric[Array, "n n"]}
    return lambda quad: quad.gradient("x", *cited, given=given)(form("quad_dx_narrow", latex))


def row(catalogue, number, source="MCB"):
    return next(r for r in coverage(catalogue, source) if r.number == number)


@pytest.mark.parametrize(
    ("claims", "number", "status", "named", "note"),
    [
        ([right("MCB 81")], "81", "holds", ["quad_dx"], ""),
        ([narrowed("MCB 81")], "81", "holds", ["quad_dx_narrow"], "B is symmetric"),
        ([right("MCB 81"), narrowed("MCB 81")], "81", "holds", ["quad_dx", "quad_dx_narrow"], ""),
        ([right("ours"), false("MCB 81")], "81", "refuted", ["quad_dx_printed_MCB1"], "B is not symmetric"),
        (
            [right("ours"), false("MCB 81"), narrowed("MCB 81")],
            "81",
            "condition",
            ["quad_dx_printed_MCB1", "quad_dx_narrow"],
            "true where B is symmetric",
        ),
        (
            [false("MCB 81"), narrowed("MCB 81", given={"x": Float[Array, "1"], "B": Float[Array, "1 1"]})],
            "81",
            "condition",
            ["quad_dx_printed_MCB1", "quad_dx_narrow"],
            "true where x has length 1, B is 1 × 1",
        ),
        ([], "96", "definition", [], ""),
        ([right("MCB 96")], "96", "definition", ["quad_dx"], ""),
        ([right("ours"), false("MCB 96")], "96", "refuted", ["quad_dx_printed_MCB1"], "B is not symmetric"),
        ([], "81", "missing", [], ""),
        ([right("MCB 81")], "82", "missing", [], ""),
    ],
)
def test_each_status_arises(claims, number, status, named, note):
    found = row(planted(*claims), number)
    assert (found.status, list(found.claims), found.note) == (status, named, note)


@pytest.mark.parametrize("cited", ["MCB 8", "MCB 811", "MVC G8", "MML 81", "ours 81"])
def test_only_a_claim_that_cites_this_very_number_counts(cited):
    assert row(planted(right(cited)), "81").status == "missing"


def test_a_note_keeps_a_claim_from_counting():
    found = row(planted(right("MCB 81"), false("MCB 81 without its condition")), "81")
    assert (found.status, found.claims) == ("holds", ("quad_dx",))
    found = row(planted(right("MCB 81 with B for A")), "81")
    assert (found.status, found.claims) == ("missing", ())
    assert found.note == "cited only with a note, by quad_dx"


def test_a_number_is_missing_once_its_claim_is_lost():
    catalogue = planted(right("MCB 81"))
    assert row(catalogue, "81").status == "holds"
    left = {name: claim for name, claim in catalogue.items() if name != "quad_dx"}
    assert row(left, "81").status == "missing"


def test_a_condition_must_be_proved_for_this_print():
    """Another right-hand side, another number or no narrowing leave a print refuted."""
    for other in (narrowed("MCB 81", latex="2B^\\top x"), narrowed("MCB 82"), right("MCB 81")):
        assert row(planted(false("MCB 81"), other), "81").status == "refuted"


def test_a_second_false_print_is_not_excused_by_the_condition_of_the_first():
    def second(quad):
        quad.refuted("gradient", "x", "MCB 81", because="it is half of it")(form("quad_dx_half_printed_MCB1", "Bx"))

    found = row(planted(false("MCB 81"), narrowed("MCB 81"), second), "81")
    assert (found.status, found.note) == ("refuted", "it is half of it")


def test_a_refuted_print_without_a_right_form_is_told():
    catalogue = planted(false("MCB 81"))
    found = row(catalogue, "81")
    assert found.note == "B is not symmetric; no right form stands beside quad_dx_printed_MCB1"
    assert uncorrected(catalogue, [found]) == ["quad_dx_printed_MCB1"]


def test_a_note_is_short():
    """Operands that share a word are told together, and the range of an integer is left out."""
    told = ("A is invertible", "B is invertible", "c is a vector on the simplex", "k is an integer (tried from 0 to 4)")
    assert engine._short((*told, "n ≤ m")) == [
        "A and B are invertible",
        "c is a vector on the simplex",
        "k is an integer",
        "n ≤ m",
    ]
    assert engine._short(["A is an orthogonal matrix", "B is an orthogonal matrix"]) == [
        "A is an orthogonal matrix",
        "B is an orthogonal matrix",
    ]
    assert engine._short(["A is symmetric", "B is symmetric", "C is symmetric"]) == ["A, B and C are symmetric"]


def test_rows_without_a_derivative_are_tested_until_a_claim_covers_them():
    assert row(planted(), "N30", "VCN").status == "tested"
    assert row(planted(), "N30", "VCN").note == "tests test_N30_*"
    assert row(planted(right("VCN N30")), "N30", "VCN").status == "holds"
    assert row(planted(), "N18", "VCN").status == "missing"


def test_a_chapter_is_a_beginning_of_the_section():
    nothing = planted()
    assert {r.section[0] for r in coverage(nothing, "MCB", 2)} == {"2"}
    assert [r.number for r in coverage(nothing, "MCB", "2.4.4")] == ["96", "97", "98"]
    assert len(coverage(nothing, "MCB", "1")) < len(coverage(nothing, "MCB")) == len(equations("MCB"))
    with pytest.raises(UnknownName, match="no chapter or section '77'"):
        coverage(nothing, "MCB", "77")


def test_unknown_sources_name_the_nearest():
    with pytest.raises(UnknownSource, match="did you mean MCB"):
        equations("MCBB")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("number,title\n1,a\n", "the columns must be"),
        ("number,section,title,kind\n1,a,b,c\n1,a,b,c\n", "each number stands once, but 1"),
        ("number,section,title,kind\n1,a,b\n", "line 2: every column"),
        ("number,section,title,kind\n1,a,b,c,d\n", "line 2: every column"),
        ("number,section,title,kind\n1,,b,c\n", "line 2: every column"),
    ],
)
def test_a_broken_list_is_told(text, words, tmp_path, monkeypatch):
    (tmp_path / "BAD.csv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(engine, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=words):
        equations("BAD")


def test_the_lists_are_part_of_the_package():
    folder = importlib.resources.files("identities") / "equations"
    assert sorted(f.name for f in folder.iterdir()) == sorted(
        ["MCB.corrections.csv", "MCB.declarations.csv", *(f"{key}.csv" for key in sources())]
    )
    numbers = {key: [e.number for e in equations(key)] for key in sources()}
    assert numbers["MML"] == [f"5.{n}" for n in range(99, 109)]
    assert numbers["MVC"] == [f"G{n}" for n in range(1, 17)]
    assert numbers["VCN"] == [f"N{n}" for n in range(1, 35)]
    assert {str(n) for n in range(1, 572)} <= set(numbers["MCB"])
    assert {"32a", "64a", "98a", "134a", "137a"} <= set(numbers["MCB"])


# The command.


@pytest.fixture
def book(monkeypatch):
    """The command reads a book of our own."""

    def use(*claims):
        monkeypatch.setattr("identities.book.catalogue", lambda: planted(*claims))

    return use


def test_json_has_the_attributes_of_a_row(book, capsys):
    book(right("MCB 97"), false("MCB 98"))
    assert main(["coverage", "MCB", "--chapter", "2.4.4", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [list(r) for r in rows] == [FIELDS] * 3
    assert [(r["number"], r["status"], r["claims"]) for r in rows] == [
        ("96", "definition", []),
        ("97", "holds", ["quad_dx"]),
        ("98", "refuted", ["quad_dx_printed_MCB1"]),
    ]
    assert rows[2]["note"] == "B is not symmetric" and rows[0]["title"] == "Quadratic function"


def test_the_command_prints_a_bar_counts_and_a_line_an_equation(book, capsys):
    book(right("MCB 97"), false("MCB 98"))
    assert main(["coverage", "MCB", "--chapter", "2.4.4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "█" * 20 + "▒" * 20 + "░" * 20
    assert lines[1] == "3 equations: █ 1 holds, ▒ 1 refuted, ░ 1 definition"
    assert [line.split()[:2] for line in lines[3:]] == [["96", "definition"], ["97", "holds"], ["98", "refuted"]]
    assert "quad_dx_printed_MCB1" in lines[5] and "B is not symmetric" in lines[5]


def test_missing_fails_and_prints_only_what_is_missing(book, capsys):
    book(right("MCB 97"))
    assert main(["coverage", "MCB", "--chapter", "2.4.4"]) == 0
    capsys.readouterr()
    assert main(["coverage", "MCB", "--chapter", "2.4.4", "--missing"]) == 1
    out = capsys.readouterr().out
    assert "Hessian of a quadratic function" in out and "quad_dx" not in out
    assert main(["coverage", "MCB", "--chapter", "2.4.4", "--missing", "--json"]) == 1
    assert [r["number"] for r in json.loads(capsys.readouterr().out)] == ["98"]
    book(right("MCB 97", "MCB 98"))
    assert main(["coverage", "MCB", "--chapter", "2.4.4", "--missing"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["MCBB"], "did you mean MCB"),
        (["Giles"], "no equations of 'Giles' are listed"),
        (["MCB", "--chapter", "77"], "no chapter or section '77'"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(arguments, words, book, capsys):
    book()
    assert main(["coverage", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and "Traceback" not in err


# The book.


def test_every_number_of_chapter_2_of_the_cookbook_is_covered():
    rows = coverage(identities.catalogue(), "MCB", 2)
    missing = [r.number for r in rows if r.status == "missing"]
    assert not missing, f"not covered yet, {len(missing)} of {len(rows)} (MCB): {', '.join(missing)}"


@pytest.mark.parametrize("source", ["MML", "MVC", "VCN"])
def test_every_row_of_the_other_texts_is_covered(source):
    rows = coverage(identities.catalogue(), source)
    missing = [r.number for r in rows if r.status == "missing"]
    assert not missing, f"not covered yet, {len(missing)} of {len(rows)} ({source}): {', '.join(missing)}"


@pytest.mark.parametrize("source", sources())
def test_a_right_form_stands_beside_every_print_that_is_false(source):
    alone = uncorrected(identities.catalogue(), coverage(identities.catalogue(), source))
    assert not alone, f"no claim that holds states the same derivative as {alone}"


@pytest.mark.parametrize("source", sources())
def test_the_bar_counts_every_row_once(source):
    rows = coverage(identities.catalogue(), source)
    assert sum(tally(rows).values()) == len(rows) == len(equations(source))
