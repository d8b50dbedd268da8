"""The soak can tell: false alarms are counted with a reproducer, hangs and crashes are findings, and a run goes on."""

import importlib
import json
import re
import subprocess
import sys

import pytest

import identities
from trials import soak
from trials.common import DOCS, RESULTS, read_json

MODULE = """
import os, time
import jax, jax.numpy as jnp, numpy as np
from jaxtyping import Array, Float
from identities.engine.identity import identity
from identities.engine.operands import Scalar


@identity("A sum of squares")
def squares(x: Float[Array, "n"]) -> Scalar:
    r"x^\\top x"
    return jnp.sum(x**2)


@squares.gradient("x", "ours")
def squares_dx(x):
    r"2x"
    return FORM


@squares.refuted("gradient", "x", "MCB 1", because="a factor is missing")
def squares_dx_printed_MCB1(x):
    r"x"
    return x
"""
SLEEPS = (
    "jax.pure_callback(lambda v: time.sleep(60) or v, "
    "jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method='sequential')"
)
DIES = SLEEPS.replace("time.sleep(60)", "os._exit(3)")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Soak a module whose closed form is `form`; the result and the journal."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{soak.ROOT}")
    monkeypatch.syspath_prepend(tmp_path)

    def start(form, patience=120.0, **plan):
        name = f"soaked_{abs(hash(form))}"
        (tmp_path / f"{name}.py").write_text(MODULE.replace("FORM", form))
        plan = soak.Plan((name,), **{"seeds": 60, "shapes": 1, "batch": 20, **plan})
        journal = tmp_path / "journal.jsonl"
        found, seconds = soak.soak(plan, 1, patience, journal, fresh=False, quiet=True)
        return soak.gather(plan, found, seconds), journal

    return start


def test_a_right_form_is_silent_and_a_wrong_print_refuted_at_every_draw(run):
    result, journal = run("2 * x")
    assert (result["alarms"], result["failed"], result["verdicts"]) == (0, [], 120)
    assert result["refuted"] == {"squares_dx_printed_MCB1 float64": 60, "squares_dx_printed_MCB1 float32": 60}
    assert len(journal.read_text().splitlines()) == 2  # what was planned, and one program


def test_an_alarm_is_counted_and_can_be_repeated(run):
    # wrong for a tenth of the draws, by 1e-9: visible in float64 alone
    result, _ = run("2 * x * jnp.where(jnp.abs(x[0]) < 0.125, 1 + 1e-9, 1).astype(x.dtype)")
    assert 0 < result["alarms"] < 30 and all("float64 at" in line for line in result["first alarms"])
    # the reproducer is the draw of `identities check --seed`: its first entry is the one that sets the alarm off
    told = re.fullmatch(r"squares_dx float64 at n=(\d+).*, seed (\d+): .* eps", result["first alarms"][0])
    case, seed = told.groups()
    claim = next(c for c in identities.catalogue(importlib.import_module(result["plan"]["modules"][0])).values())
    assert abs(claim.sample(int(seed), {"n": int(case)})["x"][0]) < 0.125


def test_what_hangs_is_killed_tried_again_and_reported(run):
    result, _ = run(SLEEPS, patience=6.0, seeds=20)
    assert result["alarms"] == 0 and "nothing was heard for 6 s, twice" in result["failed"][0]
    assert result["verdicts"] == 0


def test_a_process_that_dies_is_reported(run):
    result, _ = run(DIES, seeds=20)
    assert "died with exit code 3, twice" in result["failed"][0]


def test_a_run_that_was_cut_off_goes_on(run, monkeypatch):
    result, journal = run("2 * x", shapes=3)
    lines = journal.read_text().splitlines()
    assert len(lines) == 4
    journal.write_text("\n".join(lines[:2]) + '\n{"job": "squ')  # cut off in the middle of a line
    begun = []
    give = soak.Worker.give
    monkeypatch.setattr(soak.Worker, "give", lambda self, job: begun.append(job) or give(self, job))
    again, _ = run("2 * x", shapes=3)
    assert len(begun) == 2
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in result.items() if k != "seconds"}
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_journal_of_another_plan_is_not_used(run):
    run("2 * x")
    result, journal = run("2 * x", seeds=40)
    assert result["verdicts"] == 80 and len(journal.read_text().splitlines()) == 2


def test_the_page_is_what_the_result_generates():
    result = read_json(RESULTS / "soak.json")
    assert (DOCS / "soak.md").read_text(encoding="utf-8") == soak.page(result)
    assert result["alarms"] == 0 and result["failed"] == [] and result["plan"]["seeds"] == 10_000


@pytest.mark.parametrize("words", [["--only", "nothing_like_it"], ["--batch", "501"], ["--seeds", "0"], ["no_such"]])
def test_bad_arguments_are_one_sentence(words):
    run = [sys.executable, "-m", "trials.soak", *words]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
