"""Large dims and many devices: the same findings, for less."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import identities
from identities.engine import operands
from identities.engine.checking import Examination, Options, examine
from identities.engine.program import Program, find_device, find_devices, is_large
from identities.engine.shapes import stream

N = 516  # the least that counts as large is 512 x 512
WORDS = [getattr(operands, name) for name in operands.__all__]
MATRIX_WORDS = [w for w in WORDS if operands.is_word(w) and w is not operands.Word and w is not operands.Simplex]


def large(name, **options):
    claim = identities.claim(name)
    return examine([claim], Options(("float64",), dict.fromkeys(claim.dims, N), shapes=1, **options))[0]


@pytest.mark.parametrize("word", MATRIX_WORDS, ids=lambda w: w.__name__)
def test_a_large_draw_keeps_its_word_and_is_well_conditioned(word):
    draw = word.sample(stream("X", 3), (N + 4, N + 4))
    assert word.violation(draw) is None
    assert np.array_equal(draw, word.sample(stream("X", 3), (N + 4, N + 4)))
    if word.square and word.__name__ not in ("Symmetric", "Toeplitz", "SymmetricToeplitz", "DistinctEigenvalues"):
        s = np.linalg.svd(draw, compute_uv=False)
        assert s[0] <= 4 * s[-1]
        assert abs(np.sum(np.log(s))) < 100, "its determinant must be a number in float32 too"


def test_a_small_draw_is_what_it_was():
    """Nothing below 512 rows may move with the large draws: seeds are part of what a verdict says."""
    assert operands.unit((511, 511)) == 1.0 != operands.unit((512, 2))
    assert operands.unit((5000,)) == operands.unit(()) == 1.0
    q = operands.orthonormal(stream("X", 1), 3, 3)
    assert np.abs(q.T @ q - np.eye(3)).max() < 1e-15


def test_large_operands_are_drawn_once_and_differences_are_left_to_small_shapes():
    small, one = identities.check("logdet_dX", shapes=1), large("logdet_dX")
    assert small.samples == 16 and small.witness.agrees and not small.notes
    assert one.ok and one.samples == 1 and one.witness is None and "small shapes only" in one.notes[0]
    assert large("logdet_dX", samples=2).samples == 2
    assert large("uv_dU").ok and large("eig_sum_is_trace").notes == ()


def test_a_large_print_is_still_refuted():
    claims = [c for c in identities.catalogue().values() if c.status == "refuted" and c.chapter == "least_squares"]
    plain = [c for c in claims if c.kind == "gradient" and not c.structure and len(c.dims) > 1]
    assert plain and large(plain[0].name).ok


@pytest.mark.parametrize("by", [0.01, -1.0])
def test_one_entry_that_is_off_is_caught_at_large_dims(by):
    claim = identities.claim("tr_xtbx_dX")

    def off(X, B):
        found = claim.function(X, B)
        return found.at[7, 11].add(by * found[0, 0])

    wrong = dataclasses.replace(claim, function=off)
    verdict = examine([wrong], Options(("float64",), dict.fromkeys(claim.dims, N), shapes=1, diagnose=False))[0]
    assert not verdict.ok and verdict.index == (7, 11)


def test_a_function_that_is_not_the_books_is_held_against_differences_at_large_dims_too():
    claim = identities.claim("quad_dx")
    examination = Examination([claim], Options(("float64",), {"n": N}, shapes=1), strict=False)
    assert examination.program.large
    examination.run()
    verdict = examination.verdict(claim, "float64")
    assert verdict.ok and verdict.witness.agrees and not verdict.notes


def test_differences_at_large_dims_ask_for_the_function_alone():
    claim = identities.claim("logdet_dX")
    cases = claim.cases(0, 1, {"n": N})
    assert is_large(claim, cases) and not is_large(claim, claim.cases(0, 1, {"n": 511}))
    program = Program([claim], cases, [np.dtype("float64")], find_device(None))
    draws = program.draws(0)
    (row,), ((value,),) = program.run(draws), program.values([draws])
    assert abs(row.value - value) <= 1e-12 * abs(value)
    assert "cholesky" not in str(program._values.as_text()) and program._values is not program._compiled


def test_probes_may_be_asked_for_on_the_command_line(capsys):
    from identities.commandline import main

    assert main(["check", "inv_dX", "--probe", "always", "--shapes", "1", "--samples", "2", "--json"]) == 0
    assert "random directions" in capsys.readouterr().out
    assert main(["check", "inv_dX", "--probe", "never", "--shapes", "1", "--samples", "2", "--json"]) == 0
    assert "random directions" not in capsys.readouterr().out


def test_what_does_not_fit_into_memory_is_one_sentence_and_no_abort(capsys):
    from identities.commandline import main

    arguments = ["check", "kron_xy_along_dX_dY", "--dims", "m=300,n=300,p=300,q=300", "--shapes", "1"]
    assert main([*arguments, "--dtype", "float64"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "GiB of memory" in said and "smaller dims" in said


def test_a_second_derivative_by_a_scalar_of_a_matrix_takes_forward_mode():
    """Reverse mode would carry n^4 numbers: one cotangent an entry of the result."""
    assert large("inv_path_d2t").ok


FOUR = """
import dataclasses, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
import identities
from identities.engine.checking import Examination, Options, examine
from identities.engine.program import find_devices
assert len(find_devices(None)) == 4 == len(find_devices("cpu"))

names = ["inv_dX", "logdet_dX", "uv_d2U", "tr_xk_dX", "wls_ds_printed_MCB84", "softmax_dx", "inv_along_dX"]
claims = [c for c in map(identities.catalogue().get, names) if c is not None]
assert len(claims) >= 5
options = Options(samples=6)
spread = [v for c in claims for v in examine([c], options)]
found = Examination(claims[:1], options, strict=True)
assert len(found.program.devices) == 4
used = set()
for rows in found.program._call(found.program._compiled, [found.draws(0)], lambda out: used.update(
        d for leaf in jax.tree.leaves(out) for d in leaf.devices()) or out):
    pass
assert len(used) == 4, used

jax.config.update("jax_default_device", jax.devices()[0])  # a caller's choice of one device is kept
assert len(find_devices(None)) == 1
alone = [v for c in claims for v in examine([c], options)]
for a, b in zip(spread, alone, strict=True):
    assert a.ok and b.ok, (str(a), str(b))
    assert (a.claim, a.dtype, a.samples, a.dims) == (b.claim, b.dtype, b.samples, b.dims)
    assert abs(a.residual - b.residual) <= 8, (a.residual, b.residual)
    assert (a.witness is None) == (b.witness is None)

jax.config.update("jax_default_device", None)
claim = identities.claim("tr_axb_dX")
def off(A, X, B):  # at each draw by another share: which one was worst must survive the spreading
    right = claim.function(A, X, B)
    return right * (1 + 0.01 * X[0, 0])
off.__module__ = claim.function.__module__  # one of the book's: a user's own function is not spread
wrong = dataclasses.replace(claim, function=off)
verdicts = [examine([wrong], Options(("float64",), samples=9, shapes=1, diagnose=False))[0]]
jax.config.update("jax_default_device", jax.devices()[0])
verdicts += [examine([wrong], Options(("float64",), samples=9, shapes=1, diagnose=False))[0]]
assert not any(v.ok for v in verdicts) and verdicts[0].seed > 0, verdicts
assert len({(v.seed, v.index) for v in verdicts}) == 1, verdicts
print("spread over", len(used))
"""


def test_draws_are_spread_over_all_devices():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FOUR], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "spread over 4"


def test_on_one_device_nothing_is_spread():
    assert find_devices(None) == [find_device(None)]
