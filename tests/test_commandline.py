"""The command line: what it prints, its JSON, its exit codes, and one clear sentence for bad input."""

import json
import os
import subprocess
import sys

import pytest

import identities
from identities.commandline import main

FAST = ["--shapes", "1", "--samples", "1"]
FIELDS = ["name", "kind", "status", "statement", "sources", "conditions", "structure", "wrt", "dims", "static"]
WRONG = """
import jax.numpy as jnp
from jaxtyping import Array, Float
from identities import identity
from identities.engine.operands import Scalar

@identity("A quadratic form")
def mine(x: Float[Array, "n"], B: Float[Array, "n n"]) -> Scalar:
    "x'Bx"
    return x @ B @ x

@mine.gradient("x", "ours")
def mine_dx(x, B):
    "2Bx"
    return 2 * (B @ x)
"""


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    """`identities check` turns JAX's compilation cache on for its own process; here it is the tests' one."""
    monkeypatch.setattr("identities.commandline.check.use_cache", lambda: None)


def test_check_prints_a_table_and_a_summary(capsys):
    assert main(["check", "tr_axb", *FAST]) == 0
    out = capsys.readouterr().out
    count = len(identities.catalogue().identities["tr_axb"].claims)
    assert "traces" in out and "float64" in out
    assert f"{count} claims: {count} held, 0 refuted as stated, 0 failed" in out


@pytest.mark.parametrize(
    ("arguments", "dtypes", "shapes", "samples"),
    [
        ([], ["float64", "float32"], 3, 16),
        (["--quick"], ["float64"], 1, 4),
        (["--shapes", "2", "--quick"], ["float64"], 2, 4),
        (["--quick", "--samples", "1"], ["float64"], 1, 1),
        (["--quick", "--dtype", "float32"], ["float32"], 1, 4),
    ],
)
def test_quick_is_a_preset_and_what_is_given_beside_it_goes_before(arguments, dtypes, shapes, samples, capsys):
    assert main(["check", "tr_axb_dX", "--json", *arguments]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert [v["dtype"] for v in verdicts] == dtypes
    assert {(len(v["shapes"]), v["samples"]) for v in verdicts} == {(shapes, samples)}


def test_a_quick_check_finds_a_wrong_formula_and_a_wrong_refutation(tmp_path):
    (tmp_path / "wrong_formulas.py").write_text(WRONG)
    assert run("check", "wrong_formulas", "--quick", cwd=tmp_path).returncode == 1
    right = WRONG.replace("2Bx", "(B + B')x").replace("2 * (B @ x)", "B @ x + x @ B")
    false = '@mine.refuted("gradient", "x", "MCB 81", because="so it was thought")'
    refuted = right.replace('@mine.gradient("x", "ours")', false).replace("mine_dx", "mine_dx_printed_MCB81")
    (tmp_path / "refuted_formulas.py").write_text(refuted)
    done = run("check", "refuted_formulas", "--quick", cwd=tmp_path)
    assert done.returncode == 1 and "0 refuted as stated, 1 failed" in done.stdout, done.stdout + done.stderr


def test_check_json_has_the_attributes_of_a_verdict(capsys):
    assert main(["check", "tr_axb_dX", "--dtype", "float64", "--dims", "m=4,n=3", "--json", *FAST]) == 0
    found = json.loads(capsys.readouterr().out)
    (verdict,) = found["verdicts"]
    assert found["ok"] and verdict["ok"] and verdict["claim"] == "tr_axb_dX"
    assert verdict["dims"]["m"] == 4 and verdict["dims"]["n"] == 3
    for field in (
        "residual",
        "tolerance",
        "seed",
        "dtype",
        "device",
        "index",
        "got",
        "expected",
        "witness",
        "diagnosis",
    ):
        assert field in verdict


def test_list_json_has_the_attributes_of_a_claim(capsys):
    assert main(["list", "--json"]) == 0
    claims = json.loads(capsys.readouterr().out)
    assert len(claims) == len(identities.catalogue()) >= 95
    for field in FIELDS:
        assert field in claims[0]


def test_list_show_search_and_cite_read_the_book(capsys):
    for arguments, words in (
        (["list", "traces"], "tr_axb_dX"),
        (["list", "--source", "MCB 101"], "tr_axb_dX"),
        (["list", "--status", "refuted"], "refuted"),
        (["show", "tr_axb_dX"], "MCB 101"),
        (["search", "MCB", "101"], "tr_axb_dX"),
        (["search", "trace", "linear"], "tr_axb_dX"),
        (["cite", "tr_axb_dX"], "@manual{MCB,"),
    ):
        assert main(arguments) == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "tr_axb_dx"], "did you mean tr_axb_dX"),
        (["check", "no.such.module"], "no claim, identity, chapter or module"),
        (["check", "json"], "defines no entries"),
        (["check", "./formulas.py"], "no claim, identity, chapter or module is named './formulas.py'"),
        (["check", "identities.traces:tr_axb_dx"], "did you mean tr_axb_dX"),
        (["check", "det_power_dX", "--dims", "k=9"], "k must be 0 to 4, got 9"),
        (["check", "--source", ""], "unknown source ''"),
        (["errata", "--update", "no/such/folder/errata.md"], "there is no folder no/such/folder"),
        (["check", "--source", "MBC 101"], "unknown source 'MBC'"),
        (["check", "--source", "MCB 9999"], "no claim among those asked for cites"),
        (["check", "tr_axb", "--dims", "q=3"], "'q' in dims is a dim of none"),
        (["check", "tr_axb", "--dims", "m=0", *FAST], "m must be at least 1, got 0"),
        (["check", "tr_axb", "--device", "tpu"], "JAX has no device 'tpu' here"),
        (["check", "tr_axb", "--record", "x.json"], "--record measures the whole book"),
        (["check", "--quick", "--record", "x.json"], "leave names, --only, --source, --dims and --quick away"),
        (["check", "--only", "zzz"], "no claim among those asked for has 'zzz'"),
        (["show", "tr_axb_dy"], "did you mean"),
        (["cite", "nothing_at_all"], "no claim"),
        (["search", "zzzz"], "nothing in the book matches"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(arguments, words, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err.strip("\n") + "\n"  # a progress bar may leave an empty line behind it
    assert words in err and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [["check", "--dims", "m:3"], ["check", "--seed", "-1"], ["check", "--samples", "0"], ["fly"], []]
)
def test_bad_options_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "identities", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(identities.__path__[0] + "/.."), os.environ.get("PYTHONPATH", "")]),
        },
    )


def test_a_module_of_ones_own_is_checked_like_a_chapter(tmp_path):
    (tmp_path / "wrong_formulas.py").write_text(WRONG)
    done = run("check", "wrong_formulas", *FAST, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert (
        "right only for symmetric B" in done.stdout and "1 claims: 0 held, 0 refuted as stated, 1 failed" in done.stdout
    )
    line = next(line for line in done.stdout.splitlines() if "repeat" in line)
    again = run(*line.split("identities ", 1)[1].split(), cwd=tmp_path)
    assert again.returncode == 1 and "mine_dx does not hold" in again.stdout


def test_pytest_checks_a_module_of_ones_own(tmp_path):
    (tmp_path / "wrong_formulas.py").write_text(WRONG)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "identities.pytest_plugin",
            "--identities",
            "wrong_formulas",
            "-q",
            "--identities-samples=1",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(identities.__path__[0] + "/..")])},
    )
    assert done.returncode == 1
    assert "2 failed" in done.stdout and "right only for symmetric B" in done.stdout


def test_a_module_that_cannot_be_imported_is_one_sentence(tmp_path):
    (tmp_path / "broken_formulas.py").write_text("import a_module_that_is_not_there\n")
    done = run("check", "broken_formulas", cwd=tmp_path)
    assert done.returncode == 2 and "a_module_that_is_not_there" in done.stderr and "Traceback" not in done.stderr


def test_help_and_the_plugin_do_not_wait_for_jax():
    code = (
        "import sys, identities.commandline, identities.pytest_plugin; "
        "identities.commandline.parser(); assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
