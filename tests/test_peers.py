"""The trial of other checkers: its corpus is what it says, outcomes are judged by value, and the page is its own."""

import collections
import subprocess
import sys

import numpy as np
import pytest

from trials import peers
from trials.common import DOCS, RESULTS, read_json
from trials.corpus import CASES, Case, Slip

FEW = ["tr X'AX", "log |det Z|", "a custom_vjp of A^-1 b"]
# the first case of each family, and those that need a word
SOME = list({c.family: c.name for c in reversed(CASES.values())}.values()) + [n for n, c in CASES.items() if c.why]


@pytest.mark.parametrize("name", SOME)
def test_right_agrees_with_differences_and_wrong_does_not(name):
    with np.errstate(all="ignore"):
        CASES[name].prove()


def test_there_are_enough_of_both_kinds_everywhere():
    wrong, right = (sum(len(getattr(c, kind)) for c in CASES.values()) for kind in ("wrong", "right"))
    assert wrong >= 60 and right >= wrong
    kinds = collections.Counter(c.kind for c in CASES.values())
    assert min(kinds.values()) >= 4 and sum(c.is_complex for c in CASES.values()) >= 4
    sides = {side for c in CASES.values() for v in c.draw().values() for side in v.shape}
    assert {2, 512} <= sides


def test_what_is_wrong_must_be_shown_wrong_and_what_is_right_must_be_right():
    whole = CASES["tr X'AX"]
    right, wrong = whole.right["as derived"], whole.wrong["the second term missing"]
    same = {"another name": Slip("another name", "", right)}
    for rights, slips in (({"as derived": right}, same), ({"as derived": wrong}, {})):
        with pytest.raises(AssertionError, match=r"is right to|is off by"):
            Case("x", whole.family, whole.kind, whole.function, whole.operands, rights, slips).prove()


@pytest.mark.parametrize("name", [*FEW, "det at a singular matrix", "X^-1"])
def test_ours_catches_the_wrong_ones(name):
    for form, wrong in CASES[name].wrong.items():
        found = peers.ask(peers.ours, CASES[name], wrong, "float64")
        assert found[0] == "refused", (form, found)


@pytest.mark.parametrize("name", FEW)
def test_the_right_ones_are_right_for_every_checker(name):
    """In its own convention: what each refuses here would be a fault of how it was asked."""
    pytest.importorskip("torch")
    case = CASES[name]
    for checker in peers.CHECKERS.values():
        form = next(iter(case.right.values()))
        assert peers.ask(checker, case, form, "float64")[0] in ("accepted", "not applicable")


@pytest.mark.parametrize("name", FEW)
def test_each_peer_catches_a_plain_slip(name):
    pytest.importorskip("torch")
    case = CASES[name]
    wrong = next(iter(case.wrong.values()))
    for checker in peers.CHECKERS.values():
        assert peers.ask(checker, case, wrong, "float64")[0] in ("refused", "not applicable")


def row(checker, wrong=True):
    case = CASES["tr AX"]
    form = next(iter((case.wrong if wrong else case.right).values()))
    found = {name: ["accepted", 0.1] for name in peers.CHECKERS} | {
        peers.OURS: peers.ask(checker, case, form, "float64", 1.0)
    }
    return {"case": "tr AX", "form": "f", "wrong": wrong, "says": "transposed", "dtype": "float64", "found": found}


def test_a_judge_that_sees_nothing_or_everything_is_noticed():
    blind = row(lambda *_: peers.Answer(True))
    assert peers.outcome(blind, peers.OURS) == "missed" and peers.naming(blind) == "not caught"
    anxious = row(lambda *_: peers.Answer(False, "wrong sign"), wrong=False)
    assert peers.outcome(anxious, peers.OURS) == "false alarm"
    vague = row(lambda *_: peers.Answer(False, "wrong sign"))
    assert peers.outcome(vague, peers.OURS) == "caught" and peers.naming(vague) == "not named"
    assert [line.split(":")[0] for line in peers.complaints([blind, anxious, vague])] == [
        f"{peers.OURS}, missed",
        f"{peers.OURS}, false alarm",
    ]


def test_a_crash_is_no_catch():
    def crash(xp, X, A):
        raise ValueError("an error of the adaptor")

    pytest.importorskip("torch")
    for checker in peers.CHECKERS.values():
        assert peers.ask(checker, CASES["tr AX"], crash, "float64")[0] == "error"
    crashed = row(lambda *_: crash(None, None, None))
    assert peers.outcome(crashed, peers.OURS) == "error" and peers.complaints([crashed])


def test_a_check_that_does_not_end_is_stopped():
    def endless(*_):
        while True:
            try:
                while True:
                    pass
            except Exception:  # as a checker might
                continue

    assert peers.ask(endless, CASES["tr AX"], CASES["tr AX"].right["as derived"], "float64", 0.2)[0] == "too slow"


def test_the_page_is_what_the_result_generates():
    result = read_json(RESULTS / "peers.json")
    assert peers.page(result) == (DOCS / "peers.md").read_text(encoding="utf-8")
    assert {(r["case"], r["form"]) for r in result["rows"]} == {(n, f) for n, c in CASES.items() for f in c.forms}


def test_an_unknown_case_is_one_sentence():
    run = [sys.executable, "-m", "trials.peers", "--only", "nothing_like_it"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nothing_like_it" in done.stderr
