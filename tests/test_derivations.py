"""Derivations by differentials: each leads from the differential of the function to its gradient, by other claims.

What the lines say as text is tested here: names, lengths, that they form a chain, and that the chain ends in the closed
form.
"""

import itertools
import json
import re
import tomllib

import pytest

import identities
from identities.commandline import main
from identities.engine import derivations, export, pages
from identities.engine.errors import UnknownName

CATALOGUE = identities.catalogue()
FAMILIES = ("determinants", "inverses", "quadratic_forms", "least_squares", "factorization", "traces")
GRADIENTS = [c for c in CATALOGUE.values() if c.chapter in FAMILIES and c.kind == "gradient" and c.status == "holds"]
# Its letters are the factors of a decomposition, which no equation defines; logdet_gram_dX has the same gradient.
WITHOUT = {"logdet_gram_dX_qr"}
WRITTEN = [c for c in GRADIENTS if derivations.of(c)]


def bare(latex):
    """LaTeX without what only sets it: spaces, the size and the kind of brackets."""
    latex = re.sub(r"\\left|\\right|\\[,;!]|\s", "", latex)
    return latex.translate(str.maketrans("[]", "()"))


def endings(claim):
    """The forms from which the gradient is read off: tr(G'dX), g'dx, g dt, or entry by entry."""
    closed = bare(re.split(r",\s*\\quad", claim.latex)[0])
    operand = claim.operands[claim.wrt[0]]
    tangent = bare("d" + re.sub(r"_\{(\d)\}", r"_\1", pages.tex(operand.name)))
    if claim.axes:
        return {rf"\sum_{{ij}}({closed}){tangent}_{{ij}}"}
    turned = {rf"({closed})^\top{tangent}"} | ({rf"{closed}^\top{tangent}"} if len(closed) == 1 else set())
    return {0: {closed + tangent}, 1: turned, 2: {rf"\operatorname{{tr}}({form})" for form in turned}}[
        len(operand.dims)
    ]


def start(claim):
    """The differential of the claim's function, with and without brackets."""
    f = bare(claim.identity.latex)
    return {f"d{f}", f"d({f})"}


def sides(line):
    return [bare(side) for side in line.latex.split(" = ")]


def problems(claim, lines):
    """What is wrong with a derivation, in words."""
    found = []
    if not 2 <= len(lines) <= 5:
        found.append(f"{len(lines)} lines")
    if sides(lines[0])[0] not in start(claim):
        found.append(f"begins with {sides(lines[0])[0]}")
    for before, after in itertools.pairwise(lines):
        if sides(after)[0] != sides(before)[-1]:
            found.append(f"breaks at {sides(after)[0]}")
    if sides(lines[-1])[-1] not in endings(claim):
        found.append(f"ends in {sides(lines[-1])[-1]}")
    # Values and differentials have no derivation here, so that nothing rests on itself by a detour.
    for name in dict.fromkeys(name for line in lines for name in line.by):
        if CATALOGUE[name].kind not in ("value", "differential"):
            found.append(f"rests on the {CATALOGUE[name].kind} {name}")
    return found


def test_the_gradients_of_six_families_are_derived():
    """A new gradient needs a derivation, or a reason why it has none."""
    assert {c.name for c in GRADIENTS} - {c.name for c in WRITTEN} == WITHOUT
    assert len(WRITTEN) == 138


@pytest.mark.parametrize("claim", WRITTEN, ids=lambda c: c.name)
def test_a_derivation_leads_from_the_differential_to_the_closed_form(claim):
    assert problems(claim, derivations.of(claim)) == []


def test_the_lines_stand_in_book_order_in_the_file_of_their_chapter():
    for path in sorted(derivations.FOLDER.iterdir()):
        assert path.suffix == ".toml" and path.stem in identities.CHAPTERS
        names = list(derivations.load(path.stem))
        assert names == [c.name for c in CATALOGUE.values() if c.chapter == path.stem and c.name in names]
        assert path.read_text(encoding="utf-8").startswith("# ")


GOOD = r"""
[[tr_xa_dX]]
line = 'd\operatorname{tr}(XA) = \operatorname{tr}(dX\,A)'
by = ["tr_x_along_dX"]
[[tr_xa_dX]]
line = '\operatorname{tr}(dX\,A) = \operatorname{tr}((A^\top)^\top dX)'
by = ["tr_xa_is_computed"]
"""


def planted(tmp_path, text):
    path = tmp_path / "planted.toml"
    path.write_text(text, encoding="utf-8")
    return derivations.read(path, CATALOGUE)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[tr_xa_dX]]", "[[tr_xa_dZ]]", "no claim is named 'tr_xa_dZ'; did you mean tr_xa_dX"),
        ('"tr_x_along_dX"', '"tr_x_along_dZ"', "line 1: no claim is named 'tr_x_along_dZ'; did you mean"),
        ('"tr_x_along_dX"', '"det_xax_dX_printed_MCB53"', "is refuted, and justifies nothing"),
        ('["tr_x_along_dX"]', '"tr_x_along_dX"', "by is a list of names"),
        (r"'d\operatorname{tr}(XA) = \operatorname{tr}(dX\,A)'", "' '", "line 1 is empty"),
        (r" = \operatorname{tr}(dX\,A)", "", "line 1 is no equation"),
        (r" = \operatorname{tr}(dX\,A)", " = ", "line 1 is no equation"),
        ("by =", "because =", "unknown field because"),
        ("by =", "let = { B = '' }\nby =", "let gives each letter its meaning"),
        ("line = 'd", "line = d", "is no TOML"),
        ("[[tr_xa_dX]]", "[tr_xa_da]", "no claim is named"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path, old, new, words):
    assert planted(tmp_path, GOOD)
    with pytest.raises((ValueError, UnknownName)) as error:
        planted(tmp_path, GOOD.replace(old, new, 1))
    assert words in str(error.value) and "planted.toml" in str(error.value)


def test_lines_that_are_not_blocks_are_refused(tmp_path):
    with pytest.raises(ValueError, match=re.escape("are written below [[tr_xa_dX]]")):
        planted(tmp_path, "[tr_xa_dX]\nline = 'a = b'\n")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"(A^\top)^\top dX", r"A^\top dX", "ends in"),  # the transposed gradient
        (r"'\operatorname{tr}(dX\,A) =", r"'\operatorname{tr}(A\,dX) =", "breaks at"),
        (r"d\operatorname{tr}(XA)", r"d\operatorname{tr}(AX)", "begins with"),
        ('"tr_xa_is_computed"', '"tr_xa_dX"', "rests on the gradient tr_xa_dX"),
        (GOOD[GOOD.rindex("[[") :], "", "1 lines"),
    ],
)
def test_a_planted_break_is_noticed(tmp_path, old, new, words):
    claim = CATALOGUE["tr_xa_dX"]
    assert problems(claim, planted(tmp_path, GOOD)["tr_xa_dX"]) == []
    found = problems(claim, planted(tmp_path, GOOD.replace(old, new, 1))["tr_xa_dX"])
    assert any(words in text for text in found)


def test_other_modules_have_no_derivation():
    assert derivations.load("eigenvalues") == {} and derivations.of(CATALOGUE["eig_sum_is_trace"]) == ()


def test_show_and_export_have_the_derivation(capsys):
    assert main(["show", "tr_axb_dX"]) == 0
    out = capsys.readouterr().out
    assert "derivation  d tr(AXB) = tr(A dX B)    by tr_x_along_dX, product_xy_along_dX_dY" in out
    assert "\n            = tr(BA dX)    by tr_xa_is_computed\n" in out
    assert main(["show", "det_path_dt"]) == 0
    assert "with Y = A + tB + t²C" in capsys.readouterr().out
    assert main(["show", "tr_axb_is_computed"]) == 0
    assert "derivation" not in capsys.readouterr().out
    row = json.loads(json.dumps(export.claim(CATALOGUE["det_path_dt"])))["derivation"]
    assert row[0]["let"] == {"Y": "A + tB + t^2C"} and "det_along_dX_inverse" in row[0]["by"]
    stored = tomllib.loads((derivations.FOLDER / "determinants.toml").read_text(encoding="utf-8"))["det_path_dt"]
    assert [line["line"] for line in row] == [" ".join(line["line"].split()) for line in stored]
