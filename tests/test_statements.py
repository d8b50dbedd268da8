"""The language of statements: what is read, what is ambiguous, what the letters are, and what is true."""

import pathlib

import numpy as np
import pytest

import identities
from identities.engine import derivations
from identities.engine.operands import direction
from identities.statements import claims
from identities.statements.checking import decide, prepare
from identities.statements.declarations import declare
from identities.statements.errors import NoEvidence, StatementError, Unread, WrongShapes
from identities.statements.latex import read
from identities.statements.numbers import Unusable
from identities.statements.syntax import Apply, Derivative, Letter, Marked, Product

CATALOGUE = identities.catalogue()
D = r"\frac{\partial}{\partial X}"


# What is read


def test_a_statement_is_a_tree_with_places():
    tree = read(r"\frac{\partial}{\partial X} \operatorname{tr}(AXB) = A^\top B^\top")
    left, right = tree.sides
    assert isinstance(left, Derivative) and isinstance(left.body, Apply) and left.body.function == "tr"
    assert right == Product(
        (0, 0), (Marked((0, 0), Letter((0, 0), "A"), "T"), Marked((0, 0), Letter((0, 0), "B"), "T"))
    )
    text = r"\frac{\partial}{\partial X} \operatorname{tr}(AXB) = A^\top B^\top"
    assert text[slice(*right.at)].strip() == r"A^\top B^\top"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"x^\top Ax = x^T A x", r"x^{\top}A\,x = x^{T}Ax"),
        (r"\operatorname{tr}(X) = \mathrm{tr}(X)", r"\tr\left(X\right) = \text{tr}(X)"),
        (r"\frac12 A = A/2", r"\tfrac{1}{2}\,A = \frac{A}{2}"),
        (r"A^{-\top} = A^{-\top}", r"A^{-T} = A^{-T}"),
        ("xᵀX⁻¹x = ‖x‖²", r"x^\top X^{-1}x = \|x\|^2"),
        (r"\mathbf{X} = \boldsymbol{X}", "X = X"),
    ],
)
def test_spellings_of_one_tree(one, other):
    mine, theirs = read(one), read(other)
    if "/" in one:  # A/2 is the quotient that \frac{A}{2} is
        assert mine.sides[1] == theirs.sides[1]
    else:
        assert mine == theirs


@pytest.mark.parametrize(
    ("text", "says", "at"),
    [
        (r"\operatorname{tr}AXB = c", "where the argument of tr ends", "A"),
        (r"\ln\det AB = c", "where the argument of det ends", "A"),
        (r"A \circ B \otimes C = D", "set brackets", "\\otimes"),
        ("AB/CD = E", "what the slash divides", "/"),
        (r"\partial X^{-1} = Y", "what is differentiated", None),
        (r"\operatorname{tr}(A = B", "to close the bracket of tr", None),
        (r"\operatorname{frob}(A) = B", "'frob' is not known", None),
        (r"A = \sum_i", "the terms of the sum", None),
        (r"AB", "'=' was expected", None),
        (r"\frac{\partial^2 f}{\partial x} = 0", "the order above is 2", None),
        (r"A + = B", "an operand was expected", None),
        (r"A^- = B", "a group in braces", None),
        (r"(ABC\ldots)^{-1} = B", "dots are not read|')' was expected", None),
        ("A = B ☃ C", "holds the character", "☃"),
        (r"A \leq B", "only equations are decided", None),
    ],
)
def test_what_is_not_read_says_so_and_points(text, says, at):
    with pytest.raises(Unread) as caught:
        read(text)
    import re

    assert re.search(says.replace("(", r"\(").replace(")", r"\)"), caught.value.message), caught.value.message
    if at is not None:
        start, _ = caught.value.at
        assert text[start:].startswith(at)


# Kinds and shapes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("xy = yx", "is not multiplied by"),
        ("A + x = B", "a sum has terms of one shape"),
        (r"\det(AB) = \det(A) + c", "the left side is a number, the right side a column"),
        ("A + 1 = B", "a multiple of I was meant"),
        (r"\frac{\partial}{\partial x} a^\top x = a^\top", "in the other layout"),
        ("x_i = A_i", "2 indices were expected"),
        (r"\|A\| = c", "with its kind"),
        (r"\operatorname{tr}(I) = \alpha", "follows from nothing"),
    ],
)
def test_a_clash_is_an_error_and_no_new_reading(text, says):
    import re

    with pytest.raises(StatementError) as caught:
        decide(text)
    assert re.search(says, caught.value.message), caught.value.message


def test_a_letter_keeps_its_kind_where_another_would_make_the_equation_true():
    """With a number c, (cA)^+ = A^+/c holds; c is a vector by custom, and stays one."""
    with pytest.raises(WrongShapes, match="is a letter no"):
        decide("(cA)^+ = (1/c)A^+")
    assert decide("(cA)^+ = (1/c)A^+", "c: number").ok


def test_declared_dims_stay_apart():
    with pytest.raises(WrongShapes, match="inner sizes differ"):
        decide("AB = AB", "A: n m; B: k n")


def test_matrices_are_drawn_tall_and_wide():
    seen = set()
    for seed in range(2):
        decider = prepare(r"\operatorname{tr}(A^\top A) = \|A\|_F^2").decider()
        for ladder in ((3, 4), (4, 3)):
            decider.set_sizes(ladder)
            _, draw = decider.drawn(seed, {})
            seen.add(draw.operands["A"].shape)
    assert seen == {(3, 4), (4, 3)}


@pytest.mark.parametrize(
    "clause",
    ["W: Symetric n n", "n = x", "what is this", "A: n -1", "k: integer a", "let", ": n"],
)
def test_a_bad_declaration_is_one_sentence(clause):
    with pytest.raises(Unread) as caught:
        declare(clause)
    assert clause in str(caught.value)


# What is true

TRUE = [
    (rf"{D} \operatorname{{tr}}(AXB) = A^\top B^\top", ""),
    (rf"{D} \ln\det(X) = X^{{-\top}}", ""),
    (r"\frac{\partial}{\partial x} x^\top A x = (A + A^\top)x", ""),
    (r"\frac{\partial^2}{\partial x\,\partial x^\top} x^\top A x = A + A^\top", ""),
    (r"\frac{\partial (X^{-1})_{kl}}{\partial X_{ij}} = -(X^{-1})_{ki}(X^{-1})_{jl}", ""),
    (r"\partial(\det(X)) = \det(X)\operatorname{tr}(X^{-1}\partial X)", ""),
    (r"\operatorname{tr}(ABC) = \operatorname{tr}(BCA) = \operatorname{tr}(CAB)", ""),
    (r"(A \otimes B)(C \otimes D) = AC \otimes BD", ""),
    (r"\mathrm{vec}(AXB) = (B^\top \otimes A)\mathrm{vec}(X)", ""),
    (r"\sum_{ij} A_{ij}B_{ij} = \operatorname{tr}(A^\top B)", ""),
    (r"\frac{\partial}{\partial X}\operatorname{tr}(X^n) = n(X^{n-1})^\top", ""),
    (r"\nabla f(x) = 2Ax, \quad f(x) = x^\top A x", "A: Symmetric n n"),
    (r"\det(cA) = c^n\det(A)", "A: n n; c: number"),
    (r"\frac{\partial \operatorname{tr}(XX^H)}{\partial X^*} = X", ""),
    (r"A^+ = (A^\top A)^+A^\top", ""),
    (r"\frac{d}{dt}e^{tA} = Ae^{tA}", ""),
    (r"\frac{\partial}{\partial x} a^\top x = a^\top", "layout numerator"),
    (r"\sum_{i \ne j} x_i x_j = (\sum_i x_i)^2 - x^\top x", ""),
]


@pytest.mark.parametrize(("text", "declared"), TRUE, ids=[t for t, _ in TRUE])
def test_true_statements_hold(text, declared):
    for seed in (0, 1, 2):
        assert decide(text, declared, seed=seed).ok


FALSE = [
    (rf"{D} \operatorname{{tr}}(AXB) = BA", "A: n n; B: n n"),
    (rf"{D} \ln\det(X) = X^{{-1}}", ""),
    (r"\frac{\partial}{\partial x} x^\top A x = 2Ax", ""),
    (r"\frac{\partial (X^{-1})_{kl}}{\partial X_{ij}} = -(X^{-1})_{ki}(X^{-1})_{lj}", ""),
    (r"\partial(\det(X)) = \operatorname{tr}(X^{-1}\partial X)", ""),
    (r"\operatorname{tr}(ABC) = \operatorname{tr}(ACB)", "A: n n; B: n n; C: n n"),
    (r"A \otimes B = B \otimes A", "A: n n; B: n n"),
    (r"\det(A + B) = \det(A) + \det(B)", ""),
    (r"(A + B)^{-1} = A^{-1} + B^{-1}", ""),
    (r"\frac{\partial}{\partial X}\operatorname{tr}(X^n) = nX^{n-1}", ""),
    (r"\frac{\partial}{\partial X}\|X\|_F = \frac{2X}{\|X\|_F}", ""),
    (r"\|x + y\|^2 = \|x\|^2 + \|y\|^2", ""),
]


@pytest.mark.parametrize(("text", "declared"), FALSE, ids=[t for t, _ in FALSE])
def test_false_statements_are_refuted(text, declared):
    for seed in (0, 1, 2):
        found = decide(text, declared, seed=seed)
        assert not found.ok and found.worst > 1e-3


def test_each_link_of_a_chain_is_reported():
    found = decide(r"\operatorname{tr}(AB) = \operatorname{tr}(BA) = \operatorname{tr}(AB^\top)", "A: n n; B: n n")
    assert [link.holds for link in found.links] == [True, False]


def test_an_equation_behind_the_statement_counts():
    assert decide(r"x^\top A x = x^\top B x, \quad B = \tfrac12(A + A^\top)").ok
    with pytest.raises(Unread, match=r"what .* stands for"):
        decide(r"\operatorname{tr}(A) = c, \quad Av = \lambda v")


def test_sides_that_are_zero_tell_nothing():
    with pytest.raises(NoEvidence, match="zero in every draw"):
        decide("AB - AB = BA - BA", "A: n n; B: n n")
    assert decide("AB - AB = 0").ok


def test_a_domain_that_is_never_met_is_no_evidence():
    with pytest.raises(NoEvidence, match="no draw decides"):
        decide(r"\ln(-x^\top x) = y^\top y")


# The book's own claims


def test_nearly_all_claims_are_read_by_machine():
    unread = {name: stated for name, c in CATALOGUE.items() if isinstance(stated := claims.stated(c), str)}
    assert len(unread) <= 0.02 * len(CATALOGUE), "\n".join(f"{k}: {v}" for k, v in unread.items())


def test_tables_name_claims_and_prints():
    assert claims.table().keys() <= CATALOGUE.keys()
    prints = {(name, str(s)) for name, c in CATALOGUE.items() for s in c.sources if s.latex}
    assert claims.table_of_prints().keys() <= prints


def _dense(value):
    return np.asarray(value.todense() if hasattr(value, "todense") else value)


PRINTS = [(c, s) for c in CATALOGUE.values() for s in c.sources if s.latex]
# Unread since they are equations of their own, words, or products of arrays with four axes: prints.csv says which.
UNREAD_PRINTS = 18


def test_what_sources_print_is_the_closed_form():
    """Every print that a machine reads, with what its letters stand for, evaluated beside our code."""
    read_ones = 0
    for claim, source in PRINTS:
        found = claims.printed(claim, source)
        if isinstance(found, str):
            continue
        heard = []
        for case in claim.cases(0, 3):
            values = claim.draw(case, 0)
            heard.append(found.differs_from(values, _dense(claim.function(**values))))
        assert set(heard) <= {"", None} and "" in heard, (claim.name, str(source), heard)
        read_ones += 1
    assert read_ones >= len(PRINTS) - UNREAD_PRINTS


def test_a_print_with_a_slip_is_noticed():
    claim = CATALOGUE["quad_dx"]
    source = next(s for s in claim.sources if s.key == "MML")
    import dataclasses

    wrong = dataclasses.replace(source, latex=r"x^\top(B - B^\top)")
    values = claim.sample(0)
    found = claims.printed(claim, wrong)
    assert not isinstance(found, str)
    assert "is not the closed form" in (found.differs_from(values, _dense(claim.function(**values))) or "")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tr_axb_dX", r"A^\top B^\top", r"A^\top B"),
        ("quad_d2x", "B + ", "B - "),
        ("inv_dX", "_{jl}", "_{lj}"),
        ("det_along_dX", "adj", "cof"),
        ("tr_xa_is_computed", "A_{ji}", "A_{ij}"),
    ],
)
def test_a_slip_in_a_page_is_noticed(name, old, new):
    """What the page says is changed, the code is not: the statement no longer says what the code does."""
    claim = CATALOGUE[name]
    assert old in claim.statement
    stated = claims.reading(claim, claim.statement.replace(old, new))
    if isinstance(stated, str):
        assert "runs over two ranges" in stated or "sizes differ" in stated
        return
    case = claim.cases(0, 1)[0]
    values = claim.draw(case, 0)
    said = stated.disagreement(values, _dense(claim.function(**values)), _dense(claim.reference_function(**values)))
    assert said and "is not what the closed form gives" in said


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("quad_dx", "(B + B^\\top)x", "2Bx", "the right side of the statement is not what the closed form gives"),
        ("quad_dx", "x^\\top Bx", "x^\\top B^2x", "the left side of the statement is not what autodiff gives"),
    ],
)
def test_the_check_fails_where_page_and_code_differ(monkeypatch, name, old, new, says):
    claim = CATALOGUE[name]
    assert old in claim.statement
    changed = claims.reading(claim, claim.statement.replace(old, new))
    monkeypatch.setattr(claims, "stated", lambda one: changed)
    assert identities.check(claim, dtype="float64", shapes=1, samples=1).ok is False
    found = identities.check(claim, dtype="float64", shapes=1, samples=1)
    assert says in found.problem and says in str(found)


def test_a_statement_that_was_run_at_square_operands_is_decided_at_general_ones_afterwards():
    """What was evaluated at given operands leaves no sizes behind: at square ones this print would be true."""
    claim = CATALOGUE["det_axb_dX_printed_MCB51"]
    stated = claims.reading(claim, claim.statement)
    assert stated.sides(claim.sample(0, {"n": 3, "k": 3})) and not stated.decider.decide().ok


def test_a_verdict_says_at_how_many_shapes_the_statement_was_run():
    found = identities.check(CATALOGUE["quad_dx"], dtype="float64", samples=1)
    assert found.ok and found.stated == 3 and not found.unread
    found = identities.check(CATALOGUE["sum_entries_row_dx"], dtype="float64", samples=1)
    assert found.ok and found.stated == 0 and "length one" in found.unread


def test_each_line_of_each_derivation_is_true():
    """Evaluated at general draws of the claim's operands, with a tangent of the operand that it differentiates by."""
    lines = 0
    for claim in CATALOGUE.values():
        for line in derivations.of(claim):
            text = line.latex + "".join(rf",\quad {meaning}" for meaning in line.meanings)
            stated = claims.reading(claim, text, "differential d")
            assert not isinstance(stated, str), (claim.name, line.latex, stated)
            told = 0
            for seed in range(6):
                values = claim.draw(claim.cases(seed, 1)[0], seed)
                (letter,) = claim.wrt
                rng = np.random.default_rng(seed)
                values[f"d{letter}"] = direction(claim.operands[letter].word, rng, values[letter])
                try:
                    links = stated.sides(values)
                except Unusable:
                    continue
                told += 1
                for left, right in links:
                    np.testing.assert_allclose(left, right, 1e-5, 1e-6 * max(1e-3, np.max(np.abs(left))))
            assert told, (claim.name, line.latex)
            lines += 1
    assert lines > 300


def test_a_slip_in_a_derivation_is_noticed():
    claim = CATALOGUE["tr_axb_dX"]
    stated = claims.reading(claim, r"d\operatorname{tr}(AXB) = \operatorname{tr}(B\,dX\,A)", "differential d")
    assert isinstance(stated, str) and "inner sizes differ" in stated
    stated = claims.reading(claim, r"d\operatorname{tr}(AXB) = 2\operatorname{tr}(A\,dX\,B)", "differential d")
    values = claim.sample(0)
    values["dX"] = direction(claim.operands["X"].word, np.random.default_rng(0), values["X"])
    (left, right) = stated.sides(values)[0]
    assert not np.allclose(left, right)


def test_the_package_keeps_its_tables():
    folder = pathlib.Path(claims.__file__).parent
    assert (folder / "claims.csv").is_file() and (folder / "prints.csv").is_file()
