"""The trial of the language can tell: slips are planted as intended, refuted, and survive a check that sees nothing."""

import collections
import subprocess
import sys

import pytest

import identities
from identities.statements.claims import stated
from identities.statements.deciding import Decider
from identities.statements.printing import latex
from trials import statements
from trials.statement_mutations import slips

CLAIMS = {c.name: c for c in statements.claims_that_hold()}
SUBSET = list(CLAIMS.values())[::9]


def of(name):
    one = stated(CLAIMS[name])
    return slips(one.decider.statement, one.decider.meaning.kinds)


def test_the_slips_of_a_small_statement():
    found = {(s.operator, latex(s.statement)) for s in of("tr_axb_dX")}
    left = r"\frac{\partial \operatorname{tr}(A X B)}{\partial X}"
    assert ("transpose dropped", rf"{left} = A B^{{\top}}") in found
    assert ("factors swapped", rf"{left} = B^{{\top}} A^{{\top}}") in found
    assert ("coefficient", rf"{left} = 2 (A^{{\top}} B^{{\top}})") in found
    assert ("sign", rf"{left} = - A^{{\top}} B^{{\top}}") in found
    assert {operator for operator, _ in found} == {
        "coefficient", "factor dropped", "factors swapped", "sign", "transpose added", "transpose dropped"
    }  # fmt: skip


def test_no_false_statement_is_accepted_in_a_subset_of_the_book():
    known = statements.reasons()
    fates = [statements.excused(f, known) for claim in SUBSET for f in statements.fates_of(claim)]
    counts = collections.Counter(f.fate for f in fates)
    assert counts["refuted"] > 300
    assert not [f for f in fates if f.fate in ("survived", "accepted")]


def test_no_true_statement_is_refuted_at_other_seeds():
    assert not [(claim.name, found) for claim in SUBSET if (found := statements.alarms(claim, 4))]


KINKS_AND_ROUNDING = [
    ("deep_relu_dA", 35),
    ("deep_relu_db", 79),
    ("polynomial_derivative_is_falling", 3),
    ("polynomial_derivative_is_falling", 61),
    ("sine_derivative_is_shifted", 41),
]


@pytest.mark.parametrize(("name", "seed"), KINKS_AND_ROUNDING)
def test_a_second_look_tells_a_kink_and_rounding_from_a_false_statement(name, seed):
    assert stated(CLAIMS[name]).decider.decide(seed * 10_007, 2).ok


def test_without_the_second_look_a_true_statement_is_refuted(monkeypatch):
    monkeypatch.setattr(Decider, "confirmed", lambda *_: True)
    assert not all(stated(CLAIMS[name]).decider.decide(seed * 10_007, 2).ok for name, seed in KINKS_AND_ROUNDING)


def test_a_check_that_sees_nothing_leaves_survivors(monkeypatch):
    seen = Decider.compare

    def blind(self, *arguments):
        link = seen(self, *arguments)
        return type(link)(link.left, link.right, True, 0.0)

    monkeypatch.setattr(Decider, "compare", blind)
    fates = [statements.excused(f, statements.reasons()) for f in statements.fates_of(CLAIMS["tr_axb_dX"])]
    assert collections.Counter(f.fate for f in fates)["survived"] > 0


def test_a_check_that_sees_too_much_alarms(monkeypatch):
    monkeypatch.setattr("identities.statements.deciding.SAME", 1e-19)
    monkeypatch.setattr("identities.statements.deciding.DIFFERENT", 1e-19)
    assert statements.alarms(CLAIMS["tr_axb_dX"], 3)


def test_an_equivalent_slip_has_its_reason():
    (fate,) = (f for f in statements.fates_of(CLAIMS["tr_x_dX"]) if f.fate == "survived")
    assert fate.why.startswith("tr X' = tr X")


def test_every_reason_belongs_to_a_statement_that_holds():
    assert {claim for claim, _ in statements.reasons()} <= set(CLAIMS)


@pytest.mark.parametrize("options", [["--only", "nothing_like_it"]])
def test_an_unknown_claim_is_one_sentence(options):
    run = [sys.executable, "-m", "trials.statements", *options]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nothing_like_it" in done.stderr


def test_the_catalogue_is_on_trial_nearly_whole():
    holds = [c for c in identities.catalogue().values() if c.status == "holds"]
    assert len(CLAIMS) > 0.97 * len(holds)
