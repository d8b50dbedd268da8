"""The trial by mutants can tell: slips are planted as intended, die by value, and survive a check that sees nothing."""

import collections
import subprocess
import sys

import pytest

import identities
from trials.mutants import Trial
from trials.mutations import mutants


def fates(name, limit=1000.0):
    trial = Trial([identities.claim(name)])
    trial.run(limit)
    return trial.fates


def test_the_slips_of_a_small_closed_form():
    assert [m.edit for m in mutants(identities.claim("tr_axb_dX"))] == [
        "factors swapped, line 2: A.T @ B.T -> B.T @ A.T",
        "sign, line 2: A.T @ B.T -> -(A.T @ B.T)",
        "transpose dropped, line 2: A.T -> A",
        "transpose dropped, line 2: B.T -> B",
    ]


@pytest.mark.parametrize("name", ["tr_axb_dX", "quad_dx", "logdet_dX"])
def test_every_slip_is_noticed(name):
    found = fates(name)
    assert found and all(f.fate in ("value", "shape", "raised", "rule") for f in found)
    assert any(f.fate == "value" for f in found)


def test_an_equivalent_slip_is_named():
    assert {f.why for f in fates("log_abs_det_is_computed") if f.fate == "rule"} == {
        "det X' = det X and det AB = det BA"
    }


def test_a_check_that_sees_nothing_leaves_survivors():
    assert collections.Counter(f.fate for f in fates("tr_axb_dX", limit=float("inf")))["survived"] > 0


def test_an_unknown_claim_is_one_sentence():
    run = [sys.executable, "-m", "trials.mutants", "--only", "nothing_like_it"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nothing_like_it" in done.stderr
