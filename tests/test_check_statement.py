"""`check_statement`: true statements of the book hold, wrong variants are refuted, with the right diagnosis."""

import functools
import json

import numpy as np
import pytest

import identities
from identities import check_statement
from identities.engine.operands import is_complex
from identities.engine.pages import left_side
from identities.statements.errors import NoEvidence, StatementError, Unread, WrongShapes

NUMBER = 50


@functools.cache
def statements():
    """Gradients of the book by one matrix or vector, that hold as they stand, without a declaration."""
    found = []
    for claim in identities.catalogue().values():
        general = claim.kind == "gradient" and claim.status == "holds" and not claim.given and not claim.structure
        if not general or claim.identity.latex.count("="):
            continue
        bare = "=" not in claim.latex and "quad" not in claim.latex and len(claim.operands[claim.wrt[0]].dims) > 0
        words = any(getattr(o.word, "english", "") or is_complex(o.word) for o in claim.operands.values())
        customary = all(len(o.dims) == (2 if name[0].isupper() else 1) for name, o in claim.operands.items())
        if bare and customary and not words and len(found) < NUMBER:
            found.append((claim.name, left_side(claim), claim.latex))
    return found


def test_there_are_enough_statements():
    assert len(statements()) == NUMBER


@pytest.mark.parametrize("name", [name for name, _, _ in statements()])
def test_a_statement_of_the_book_holds_and_its_wrong_variants_are_told_what_is_wrong(name):
    left, right = next((a, b) for n, a, b in statements() if n == name)
    text = f"{left} = {right}"
    assert check_statement(text, draws=2).ok
    for wrong, said in ((f"-({right})", "wrong sign"), (f"2({right})", "2 times"), (f"\\frac13({right})", "1/3 times")):
        verdict = check_statement(f"{left} = {wrong}", draws=2)
        assert not verdict.ok
        assert said in verdict.diagnosis, (wrong, verdict.diagnosis)


@pytest.mark.parametrize("name", ["tr_axb_dX", "det_dX", "logdet_dX", "tr_xa_dX", "tr_axinvb_dX"])
def test_the_transpose_of_a_gradient_is_told(name):
    claim = identities.claim(name)
    verdict = check_statement(rf"{left_side(claim)} = ({claim.latex})^\top")
    assert not verdict.ok
    assert verdict.diagnosis.startswith("transposed"), verdict.diagnosis


DIAGNOSED = [
    ("d/dX tr(A*X) = A", "A stands where A' should"),
    ("d/dX logdet(X) = inv(X)", "transposed"),
    ("d/dx x'*A*x = 2*A*x", "right only for symmetric A"),
    ("d/dx x'*A*x = A*x", "the same term with A' must be added"),
    ("d/dX tr(X'*A*X*B) = A*X*B", "the same term with A' and B' must be added"),
    ("d/dX tr(X*X) = X'", "1/2 times the true one"),
    ("inv(A) = A'", "right only for orthogonal A"),
    ("A'*A = eye", "right only for orthogonal A"),
    ("A*A' = eye", "declared so, A: Orthogonal n n"),
    ("sqrt(x.^2) = x", "right only for positive x"),
    ("det(A)*det(B) = det(B*A) + 2", "-2 must be added"),
    ("A*inv(A) = 2*eye", "2 times the left side"),
    ("d/dx (x'*A*x + b'*x) = (A + A')*x - b", "the sign of the term b is wrong"),
    ("d/dx (x'*A*x + b'*x) = (A + A')*x + 2*b", "the term 2*b must be halved"),
    ("d/dx (x'*A*x + b'*x) = (A + A')*x + b + x", "the term x is too much"),
    ("d/dX tr(A*X*A*X) = A'*X'*A' + A*X'*A'", "A stands where A' should at character 31"),
    ("(A*B)' = A'*B'", "operands swapped"),
    ("d/dX tr(A*X*B*X') = A'*X*B + A'*X*B'", "A' stands where A should at character 21"),
    (r"\frac{\partial}{\partial X} \operatorname{tr}(X X^H) = 2X", "2 df/dz^*"),
    (r"z^* = z", "its complex conjugate is right"),
    ("d/dX tr(X*A*X'*B) = 2*B*X*A", "right only for symmetric A and B"),
]


@pytest.mark.parametrize(("text", "said"), DIAGNOSED, ids=[text for text, _ in DIAGNOSED])
def test_a_wrong_statement_is_diagnosed(text, said):
    verdict = check_statement(text)
    assert not verdict.ok
    assert said in verdict.diagnosis, verdict.diagnosis


def test_a_condition_that_is_told_makes_the_statement_true_when_it_is_declared():
    assert check_statement("d/dx x'*A*x = 2*A*x", "A: Symmetric").ok
    assert check_statement("inv(A) = A'", "A: Orthogonal n n").ok
    assert check_statement(r"\frac{\partial}{\partial X} \operatorname{tr}(X X^H) = 2X", "gradient").ok


@pytest.mark.parametrize("text", ["det(A + B)*1 = det(A) + det(B)", "d/dx norm1(x) = x", "exp(X + Y).*Z = exp(X).*Z"])
def test_nothing_is_said_where_nothing_explains(text):
    verdict = check_statement(text)
    assert not verdict.ok
    assert verdict.diagnosis == ""


def test_a_counterexample_is_the_smallest_and_can_be_checked_by_hand():
    verdict = check_statement("d/dx x'*A*x = 2*A*x")
    assert verdict.sizes == {"n": 2}
    a, x = verdict.operands["A"], verdict.operands["x"]
    assert a.shape == (2, 2) and x.shape == (2,) and np.all(np.abs(np.concatenate([a.ravel(), x])) <= 2)
    assert np.array_equal(a, np.rint(a)) and np.array_equal(x, np.rint(x))
    assert not np.allclose((a + a.T) @ x, 2 * a @ x)
    (index,) = verdict.worst.index
    left, right = verdict.worst.values
    assert left == pytest.approx(((a + a.T) @ x)[index], abs=1e-8) and right == pytest.approx((2 * a @ x)[index])


def test_a_kink_is_no_counterexample():
    verdict = check_statement("d/dx sum(abs(x)) = 2*sign(x)")
    assert not verdict.ok and np.all(verdict.operands["x"] != 0)


def test_a_chain_names_the_link_that_fails():
    verdict = check_statement(r"\operatorname{tr}(AB) = \operatorname{tr}(BA) = \operatorname{tr}(AB^\top)")
    assert [link.holds for link in verdict.links] == [True, False]
    assert verdict.worst is verdict.links[1]
    assert r"holds      \operatorname{tr}(AB) = \operatorname{tr}(BA)" in str(verdict)


def test_the_text_of_a_verdict_says_what_is_needed():
    text = str(check_statement("d/dX tr(A*X) = A", seed=3))
    for part in ("false: d/dX tr(A*X) = A", "  at         n=2", "  where      A = [[", "  worst      entry [", "left "):
        assert part in text
    assert 'identities check "d/dX tr(A*X) = A"' not in text
    assert "repeat     identities check 'd/dX tr(A*X) = A' --seed 3" in text
    assert str(check_statement("d/dX tr(A*X) = A'")).startswith("true: d/dX tr(A*X) = A'\n  agrees     to ")


def test_a_verdict_is_plain_json():
    for text in ("d/dX tr(A*X) = A", "z^* = z", "d(X*Y) = dX*Y + Y*dX", "A*x = x"):
        data = json.loads(json.dumps(check_statement(text).to_json(), allow_nan=False))
        assert data["ok"] is False and data["links"][0]["holds"] is False and data["operands"]


def test_declarations_definitions_and_layout_are_used():
    assert check_statement("W*x = W'*x", "W: Symmetric n n").ok
    assert check_statement("d/dX f(X) = A'*B'", let="f(X) = tr(A*X*B)").ok
    assert check_statement("d/dX tr(A*X) = A", layout="numerator").ok
    assert not check_statement("d/dX tr(A*X) = A", layout="denominator").ok


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"text": "tr(A*X"}, Unread, "')' was expected"),
        ({"text": "A*x = x'*B"}, WrongShapes, "in the other layout"),
        ({"text": "x - x = y - y"}, NoEvidence, "zero"),
        ({"text": "A*x = x", "declare": "A: Symetric n n"}, Unread, "did you mean Symmetric"),
        ({"text": "A*x = x", "layout": "mixed"}, ValueError, "'numerator' or 'denominator'"),
        ({"text": "A*x = x", "draws": 0}, ValueError, "at least 1"),
        ({"text": r"x^\top " * 600 + "= x"}, StatementError, "at most"),
        ({"text": "A" + "^T" * 700 + " = A"}, StatementError, "powers, marks and subscripts"),
        ({"text": "kron(" * 12 + "A" + ", A)" * 12 + "*x = x"}, StatementError, "too much work"),
    ],
)
def test_bad_input_is_one_sentence(arguments, error, said):
    text = arguments.pop("text")
    with pytest.raises(error) as caught:
        check_statement(text, **arguments)
    assert said in str(caught.value) and "\n" not in str(caught.value)
