"""`identities derivative`: functions of the book in disguise are recognised; no answer is unverified."""

import contextlib
import json
import time

import pytest

from identities import check_statement
from identities.commandline import main
from identities.statements import known, recognising
from identities.statements.errors import StatementError
from identities.statements.recognising import derivative

KNOWN = [
    ("tr(A*X'*B)", "X", (), "tr_axtb_dX"),
    ("tr(P'*Z*Q')", "Z", (), ""),
    ("x'*M*x", "x", (), "quad_dx"),
    ("x'*W*x", "x", ("W: Symmetric n n",), "quad_dx_symmetric"),
    ("norm2(A*x - b)^2", "x", (), "lsq_dtheta"),
    ("1/2*norm2(targets - Data*weights)^2", "weights", (), "lsq_dtheta"),
    ("log(det(X)) + 5", "X", (), "log_abs_det_dX"),
    ("log(det(X))", "X", (), "logdet_dX"),
    ("-logdet(Sigma)", "Sigma", ("Sigma: PosDef n n",), ""),
    ("tr(X*X)/3", "X", (), "tr_x2_dX"),
    ("det(A*X*B)", "X", (), "det_axb_dX"),
    ("u'*inv(X)*v", "X", (), "bilinear_inv_dX"),
    ("tr(X'*X)", "X", (), "tr_xtx_dX"),
    ("normF(Y)^2 + x'*x", "Y", (), "tr_xtx_dX"),
    (r"\operatorname{tr}(C^\top Z D)", "Z", (), ""),
    ("aᵀXb", "X", (), "bilinear_dX"),
    (r"\ln(\det(X))", "X", (), "logdet_dX"),
    ("tr(X^3)", "X", (), "tr_xk_dX"),
    ("A*x + b", "x", (), "linear_map_dx"),
    ("logdet(X*X')", "X", (), "logdet_gram_dX"),
    ("tr(A*X^2)", "X", (), "tr_x2b_dX"),
    ("tr(inv(X)*A)", "X", (), "tr_axinvb_dX"),
    ("b'*X'*X*c", "X", (), "bilinear_gram_dX"),
    ("tr(B*X'*C*X)", "X", (), "tr_xtbxc_dX"),
    ("det(X'*A*X)", "X", (), "det_xax_dX"),
    ("norm2(x - centre)", "x", (), "norm_distance_dx"),
    ("(x - s)'*W*(x - s)", "s", (), ""),
    (r"\sum_{i=1}^n x_i", "x", (), "sum_entries_dx"),
    (r"\ln\det(X^\top X)", "X", ("X: FullRank m n",), "logdet_gram_dX"),
    ("-3*tr(K*X) + q'*X*q", "X", (), ""),
    ("alpha*tr(A*X) + logdet(X)", "X", (), ""),
    ("scale'*X*scale + tr(First*X)", "X", (), ""),
]
UNKNOWN = [
    ("sin(tr(X))", "X"),
    ("tr(X*A*X*B*X*C*X)", "X"),
    ("sum(tanh(x.*x) + x)", "x"),
    ("det(X + X')^2", "X"),
    ("exp(x'*A*x)*norm1(x)", "x"),
]


@pytest.mark.parametrize(("text", "wrt", "declared", "claim"), KNOWN, ids=[k[0] for k in KNOWN])
def test_a_function_in_disguise_is_recognised_and_its_closed_form_is_right(text, wrt, declared, claim):
    answer = derivative(text, wrt, declared)
    assert answer and answer.seconds < 5
    assert all(hit.closed_form for hit in answer.hits[:1])
    for hit in answer.hits:
        assert hit.worst < 1e-6 and hit.draws >= 3
    best = answer.hits[0]
    if claim:
        assert claim in [hit.claim for hit in answer.hits], answer.hits
    latex = "\\" in text
    left = (
        rf"\frac{{\partial}}{{\partial {wrt}}} \left({text}\right)"
        if latex or not text.isascii()
        else f"d/d{wrt} ({text})"
    )
    if text.isascii():  # the printed text is read again, at other draws
        assert check_statement(
            f"{left} == {best.closed_form}" if not latex else f"{left} = {best.closed_form}", declared, seed=77
        ).ok
        assert not check_statement(
            f"{left} = 2*({best.closed_form})" if not latex else f"{left} = 2({best.closed_form})", declared
        ).ok


@pytest.mark.parametrize(("text", "wrt"), UNKNOWN)
def test_what_the_book_does_not_know_is_said_so(text, wrt):
    answer = derivative(text, wrt)
    assert not answer and answer.hits == () and answer.seconds < recognising.SECONDS + 4


def test_exact_comes_first_and_simple_before_long():
    hits = derivative("tr(A*X*B)", "X").hits
    assert hits[0].exact and hits[0].closed_form == "A'*B'"
    hits = derivative("tr(inv(X)*A)", "X").hits
    assert hits[0].closed_form == "-inv(X)'*A'*inv(X)'"
    assert [len(h.closed_form) for h in hits if not h.exact] == sorted(len(h.closed_form) for h in hits if not h.exact)


def test_factor_added_term_transposes_and_units_are_told():
    (best, *_) = derivative("-3*tr(X'*X) + tr(A*A')", "X").hits
    assert (best.factor, best.constant, best.exact, best.closed_form) == (-3.0, True, False, "-6*X")
    (best, *_) = derivative("tr(X'*A)", "X").hits
    assert best.closed_form == "A"
    hits = derivative("tr(inv(X)*A)", "X").hits
    assert "I" in hits[0].operands.values()


def test_a_closed_form_with_definitions_is_verified_though_it_is_not_written(capsys):
    (hit, *_) = derivative("log(sum(exp(z)))", "z").hits
    assert (hit.claim, hit.closed_form, hit.operands["x"]) == ("lse_dx", "", "z") and hit.worst < 1e-6
    assert "the right side of the claim" in run(capsys, "log(sum(exp(z)))", "--wrt", "z")[1]


def test_a_condition_of_a_claim_is_honoured():
    general = derivative("x'*B*x", "x").hits
    assert not any("symmetric" in hit.claim for hit in general)
    assert derivative("x'*B*x", "x", "B: Symmetric").hits[0].closed_form == "2*B*x"


def test_an_answer_that_differences_contradict_is_not_given(monkeypatch):
    true = known.Known.closed_form

    def wrong(self, stands, letter, turned):
        from identities.statements import writing
        from identities.statements.syntax import Product

        return Product((0, 0), (writing.number(2.0), true(self, stands, letter, turned)))

    monkeypatch.setattr(known.Known, "closed_form", wrong)
    assert not derivative("tr(A*X*B)", "X")


def test_a_wrong_assignment_is_no_hit():
    for hit in derivative("tr(A*X*B)", "X").hits + derivative("x'*A*y", "x").hits:
        assert hit.closed_form in ("A'*B'", "A*y", "A'*B'*eye"), hit


def run(capsys, *arguments):
    code = main(["derivative", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_the_closed_form_the_claim_and_the_verification(capsys):
    code, out, _ = run(capsys, "tr(D*X*E)", "--wrt", "X")
    assert code == 0
    for part in (
        "d/dX tr(D*X*E)",
        "    = D'*E'",
        "known as   tr_axb_dX",
        "with       A = D, B = E",
        "MCB 101",
        "verified",
    ):
        assert part in out, out
    code, out, _ = run(capsys, "sin(tr(X))", "--wrt", "X")
    assert code == 1 and out.startswith("not known: no identity of the book is sin(tr(X)) as a function of X")


def test_the_command_prints_json_and_takes_operands_and_lets(capsys):
    code, out, _ = run(capsys, "r'*r", "--wrt", "x", "--let", "r = A*x - b", "--json")
    data = json.loads(out)
    assert code == 0 and data["ok"] and data["hits"][0]["claim"] and data["hits"][0]["closed_form"]
    code, out, _ = run(capsys, "x'*B*x", "--wrt", "x", "--operand", "B: Symmetric", "--json")
    assert json.loads(out)["hits"][0]["closed_form"] == "2*B*x"


@pytest.mark.parametrize(
    ("text", "wrt", "said"),
    [
        ("tr(A*X", "X", "')' was expected"),
        ("tr(A*B)", "X", "no letter of the function"),
        ("tr(A*X) = 3", "X", "without '='"),
        ("tr(X - X)*1", "X", "does not depend on X"),
        ("sum(log(x))*1", "x", "declare a letter Positive"),
        ("A*x + x'", "x", "a sum has terms of one shape"),
        ("", "x", "ends where an operand was expected"),
        ("x'*x", "", "is no letter"),
        ("x'*x", "x*y", "is no letter"),
        ("(" * 3000, "x", "deep"),
        ("A" + "'" * 1900 + "*x", "x", "too large"),
        ("x*" * 5000, "x", "at most 4000 characters"),
    ],
)
def test_bad_input_is_one_sentence_within_seconds(capsys, text, wrt, said):
    started = time.monotonic()
    code, out, err = run(capsys, text, "--wrt", wrt)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1, err
    assert time.monotonic() - started < 5


def test_a_function_of_many_letters_ends_within_seconds():
    text = "+".join(f"tr({a}*X*{b}*X')" for a in "ABCDEFGH" for b in "KLMN")
    started = time.monotonic()
    with contextlib.suppress(StatementError):
        derivative(text, "X")
    assert time.monotonic() - started < 15
