"""Errata: every refuted claim has a counterexample that is false by value, and that NumPy alone can redo."""

import contextlib
import io
import json
import pathlib

import numpy as np
import pytest

import identities
from identities.commandline import main
from identities.engine import errata
from identities.engine.program import Program, find_device
from identities.engine.shapes import Case

REFUTED = {c.name: c for c in identities.catalogue().values() if c.status == "refuted"}
ERRATA = {row["name"]: row for row in errata.read()}
PAGE = pathlib.Path(__file__).parent.parent / "docs" / "errata.md"


def test_every_refuted_claim_has_an_erratum_and_the_page_is_generated():
    assert set(ERRATA) == set(REFUTED), "run `make errata` and commit what it writes"
    assert PAGE.read_text(encoding="utf-8") == errata.page(errata.read()), "run `make errata`"
    for name, row in ERRATA.items():
        claim = REFUTED[name]
        assert row["printed"] == claim.statement and row["because"] == claim.because, "run `make errata`"
        assert row["sources"] == [str(s) for s in claim.sources]
        assert row["corrections"], f"{name} has no right form beside it"


def arrays(claim, row):
    values = {}
    for name, value in row["counterexample"]["operands"].items():
        owner = claim.operands.get(name) or claim.operands[name[1:]]
        if owner.static:
            values[name] = value
        elif "Complex" in owner.word.__name__:
            pairs = np.asarray(value, float)
            values[name] = pairs[..., 0] + 1j * pairs[..., 1]
        else:
            values[name] = np.asarray(value, float)
    return values


@pytest.mark.parametrize("name", ERRATA)
def test_the_counterexample_is_false_by_value(name):
    """Recomputed: the print's value, the true one, and the difference between them."""
    claim, row = REFUTED[name], ERRATA[name]
    example = row["counterexample"]
    case = Case(
        {k: v for k, v in example["dims"].items() if k in claim.dims},
        {k: v for k, v in example["dims"].items() if k in claim.static},
        "asked",
    )
    values = arrays(claim, row)
    for operand in claim.operands.values():
        if hasattr(operand.word, "violation"):
            assert operand.word.violation(values[operand.name]) is None
    program = Program([claim], [case], [np.dtype(np.float64)], find_device("cpu"))
    answer = program.run([values])[0].answers[name]
    for side, kept in ((answer.closed["float64"], example["printed"]), (answer.reference, example["true"])):
        assert np.allclose(np.asarray(errata.numbers(side)), np.asarray(kept), rtol=1e-6, atol=1e-8)
    assert np.max(np.abs(answer.closed["float64"] - answer.reference)) > 1e-3


@pytest.mark.parametrize("name", [name for name, row in ERRATA.items() if row["numpy"]])
def test_numpy_alone_finds_the_true_value(name):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(ERRATA[name]["numpy"], {})
    numbers = out.getvalue().replace("[", " ").replace("]", " ").replace("\n", " ").split()
    true = np.ravel(np.asarray(ERRATA[name]["counterexample"]["true"], float))
    assert np.allclose([float(x) for x in numbers], true, atol=1e-5, rtol=1e-5)


def test_the_search_is_reproducible_and_finds_the_smallest(capsys):
    assert main(["errata", "det_xax_dX_printed_MCB53", "--search", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found == ERRATA["det_xax_dX_printed_MCB53"]
    assert sorted(found["counterexample"]["dims"].values()) == [1, 2]


def test_the_command_prints_and_refuses(capsys):
    assert main(["errata", "MCB"]) == 0
    assert "false prints" in capsys.readouterr().out
    assert main(["errata", "VCN", "--json"]) == 0
    assert all(any(s.startswith("VCN") for s in row["sources"]) for row in json.loads(capsys.readouterr().out))
    assert main(["errata", "MBC"]) == 2
    assert "no source and no refuted claim" in capsys.readouterr().err
    assert main(["errata", "quad_dx", "--search"]) == 2
