"""The benchmarks can tell: ratios and intervals are right, a slow or wrong closed form shows, and reports read back."""

import json
import pathlib
import re
import tomllib

import jax.numpy as jnp
import numpy as np
import pytest

import identities
from bench import dims, harness
from bench.kernels import timed_alone
from bench.test_first_order import QUICK, QUICK_ALL, SCALING, all_at_once, all_operands, first_order, gradient_claims
from bench.test_second_order import second_order, second_order_claims
from identities.commandline import bench_page, main
from identities.engine import bench, tolerance
from identities.engine.shapes import condition


class Fixture:
    """What `measure` needs of pytest-benchmark, without the plugin."""

    stats = None

    def __init__(self):
        self.extra_info = {}

    def pedantic(self, target, setup, rounds):
        for _ in range(rounds):
            setup()
            target()


def test_ratio_of_synthetic_times():
    rng = np.random.default_rng(0)
    drift = np.exp(rng.normal(0, 0.5, 200))  # a noisy machine, slow for both at once
    value, low, high = bench.ratio(2 * drift * rng.uniform(0.99, 1.01, 200), drift * rng.uniform(0.99, 1.01, 200))
    assert value == pytest.approx(2, rel=0.05) and low <= value <= high
    assert low > 1.5 and bench.verdict([value, low, high]) == "faster"
    assert bench.ratio([3.0, 3.0, 3.0], [1.0, 1.0, 1.0]) == [3.0, 3.0, 3.0]
    with pytest.raises(ValueError, match="at least one round"):
        bench.ratio([], [])


def test_the_interval_covers_what_it_should():
    rng = np.random.default_rng(1)
    inside = 0
    for seed in range(100):
        a, b = rng.lognormal(0.0, 0.1, 25), rng.lognormal(0.0, 0.1, 25)
        _, low, high = bench.ratio(a, b, seed=seed)
        inside += low <= 1 <= high
    assert inside >= 85


def row(name="f_dx", ratio=(1.0, 0.9, 1.1), seconds=1.0, **more):
    plain = {"item": name, "kind": "first", "name": name, "chapter": "traces", "n": 8, "dims": {"n": 8}}
    plain |= {"dtype": "float64", "rounds": 9, "calls": 1, "residual": {"autodiff": 1.0}}
    plain |= {"seconds": {"closed": seconds, "autodiff": seconds * ratio[0]}, "ratio": {"autodiff": list(ratio)}}
    return plain | more


def result(*rows):
    about = {"device": "cpu", "date": "2026-01-01", "cpu": "a processor", "cores": 2, "empty call": 1e-5}
    return {"machine": about | {"gemm": {"float64": 100.0}, "threads": {}}, "rows": list(rows)}


def test_a_planted_slower_closed_form_is_told():
    slow = row("slow_dx", (0.5, 0.4, 0.6))
    told = result(row("fast_dx", (2.0, 1.9, 2.1)), slow, row("even_dx"))
    assert bench.losses(told, "first") == [slow]
    line = bench.summary(told, "first", "float64")[-1]
    assert (line["faster"], line["even"], line["slower"]) == (1, 1, 1)
    assert line["mean"] == pytest.approx(1.0) and line["worst"] == 0.5


def test_the_headline_is_against_the_fastest_autodiff():
    both = row() | {"ratio": {"autodiff": [9.0, 8.0, 10.0], "computed": [1.1, 1.0, 1.2], "numpy": [0.1, 0.1, 0.1]}}
    assert bench.headline(both) == ("computed", [1.1, 1.0, 1.2])


def test_a_mean_takes_the_fastest_claim_of_a_derivative_and_nothing_too_short():
    slow, fast = row("f_dx_chain", (0.1, 0.1, 0.1), 10.0, states="f x"), row("f_dx", (2.0, 2.0, 2.0), states="f x")
    short = row("g_dx", (5.0, 5.0, 5.0), 1e-6)
    line = bench.summary(result(slow, fast, short), "first", "float64")[-1]
    assert line["mean"] == pytest.approx(2.0) and line["small"] == 1


def test_the_six_families_have_a_mean_of_their_own_against_either_form_of_f():
    of_f = {"autodiff": [4.0, 4.0, 4.0], "computed": [1.0, 1.0, 1.0]}
    rows = [row(f"f{i}_dx", chapter=chapter, ratio=(4.0, 4.0, 4.0)) for i, chapter in enumerate(bench.FAMILIES)]
    both = {"ratio": of_f, "seconds": {"closed": 1.0, "autodiff": 4.0, "computed": 1.0}}
    rows = [r | both for r in rows[:3]] + rows[3:]
    lines = bench.summary(result(*rows, row("g_dx", (9.0, 9.0, 9.0), chapter="norms")), "first", "float64")
    six, every = lines[-2], lines[-1]
    assert six["chapter"] == bench.SIX and every["chapter"] == "all"
    assert six["written"] == pytest.approx(4.0) and six["computed"] == six["mean"] == pytest.approx(2.0)
    assert every["mean"] > six["mean"]
    assert all(line["chapter"] != bench.SIX for line in bench.summary(result(*rows[1:]), "first", "float64"))


def test_comparison_marks_what_moved_beyond_its_interval():
    old = result(
        row("a_dx", (1.0, 0.9, 1.1)), row("b_dx", (1.0, 0.9, 1.1)), row("c_dx", (2.0, 1.9, 2.1)), row("gone_dx")
    )
    new = result(row("a_dx", (1.05, 0.95, 1.2)), row("b_dx", (1.5, 1.4, 1.6)), row("c_dx", (1.0, 0.9, 1.1)))
    assert {r["name"]: r["moved"] for r in bench.compare(old, new)} == {"a_dx": "", "b_dx": "up", "c_dx": "down"}


def test_a_slower_closed_form_is_measured_as_slower():
    """No time is asserted: the two programs differ by 200 products, and only the sign of that is looked at."""
    claim = identities.claim("tr_xa_dX")
    item = first_order(claim, 64, "float64", lean=True)

    def slow(**x):
        result = claim.function(**x)
        again = x["A"]
        for _ in range(200):
            again = jnp.tanh(again @ x["A"])
        return result + 0 * jnp.where(jnp.isfinite(again), again, 0).T

    item.columns[0].function = slow
    programs = [harness.Compiled(c, item.operands) for c in item.columns]
    for _ in range(7):
        for p in programs:
            p.time()
    residuals, wrong = harness.check(item, {p.column.name: p.result for p in programs})
    found = harness.row(item, programs, residuals)
    assert not wrong
    assert bench.headline(found)[1][2] < 1


def test_a_wrong_formula_is_never_measured():
    item = first_order(identities.claim("tr_axb_dX"), 8, "float64", lean=True)
    item.columns[0].function = lambda A, X, B: 1.01 * (A.T @ B.T)
    with pytest.raises(AssertionError, match="eps off"):
        harness.measure(Fixture(), item, 0.01)


def test_autodiff_that_is_wrong_is_told_and_not_timed():
    item = first_order(identities.claim("tr_xa_dX"), 8, "float32", lean=True)
    wanted = item.columns[1].function

    def lost(**x):  # right in float64 alone
        return wanted(**x) if x["A"].dtype == jnp.float64 else 2 * wanted(**x)

    item.columns[1].function = lost
    results = {c.name: c.function(**item.operands) for c in item.columns}
    residuals, wrong = harness.check(item, results)
    assert set(wrong) == {"autodiff"} and set(residuals) == {"computed"}
    with pytest.raises(harness.LeftOut, match="not finite"):
        harness.check(item, results | {"closed": jnp.full((8, 8), jnp.inf, jnp.float32)})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["quad_dx", "tr_axb_dX", "logdet_dX_posdef", "uv_dU_reassociated"])
def test_an_item_of_first_order_agrees(name, dtype):
    item = first_order(identities.claim(name), 6, dtype)
    harness.measure(Fixture(), item, 0.0)
    assert {c.name for c in item.columns} >= {"closed", "autodiff", "closed value", "autodiff value"}


@pytest.mark.parametrize("name", ["uv_d2U_V", "quad_d2x", "layer_dA"])
def test_an_item_of_second_order_agrees(name):
    harness.measure(Fixture(), second_order(identities.claim(name), 8, "float64"), 0.0)


def test_all_operands_take_the_claim_that_a_reader_would():
    of = identities.catalogue().identities
    assert {w: c.name for w, c in all_operands(of["det"]).items()} == {"X": "det_dX"}
    assert {w: c.name for w, c in all_operands(of["quad"]).items()} == {"x": "quad_dx", "B": "quad_dB"}
    assert {i.name for i in of.values() if all_operands(i)} >= set(QUICK_ALL)


@pytest.mark.parametrize("name", ["tr_axb", "tr_xk", "normsq_frobenius"])  # reals, a static operand, complex numbers
def test_all_operands_at_once_agree(name):
    harness.measure(Fixture(), all_at_once(identities.catalogue().identities[name], 8, "float64"), 0.0)


def test_all_operands_at_once_are_what_a_user_gets(monkeypatch):
    """The closed column goes through `with_claims`: a slip planted there shows."""
    from bench import test_first_order

    wrong = lambda identity, claims: lambda **x: 1.01 * identity.function(**x)  # noqa: E731
    monkeypatch.setattr(test_first_order, "with_claims", wrong)
    with pytest.raises(AssertionError, match="eps off"):
        harness.measure(Fixture(), all_at_once(identities.catalogue().identities["tr_axb"], 8, "float64"), 0.0)


def test_the_terms_of_the_scale_are_two_measurements():
    """Twice what the operands' rounding changes, and once what the rounding of the evaluation itself does."""
    x = {"x": np.array([1.0, 2.0])}
    item = harness.Item("first", "f_dx", "traces", 2, {}, "float64", x, [])
    asked = []

    def function(x):
        asked.append(x)
        return 3.0 * x

    column = harness.Column("autodiff", function, plain=True)
    third, fourth = (harness.sensitivity(column, item, 0, by) for by in (tolerance.PERTURBATION, tolerance.ROUNDING))
    assert 1.0 < third / 6.0 < 6.0  # the largest of two Gaussian changes, doubled
    assert 0.3 < fourth / third < 0.8
    gaps = [np.max(np.abs(moved - x["x"])) for moved in asked]
    assert max(gaps[1:5]) > 1e5 * max(gaps[6:]) > 0


@pytest.mark.parametrize("name", ["logdet_dX_posdef", "bilinear_inv_dX", "quad_dB"])
def test_an_item_of_kernels_is_measured_though_its_columns_differ(name):
    item = timed_alone(identities.claim(name), 8, "float64")
    assert [c.name for c in item.columns] == ["closed", "alone"]
    harness.measure(Fixture(), item, 0.0)
    item.columns[0].function = lambda **x: jnp.full(3, jnp.nan)
    with pytest.raises(AssertionError, match="not finite: closed"):
        harness.measure(Fixture(), item, 0.0)


def test_peers_without_torch_agree_and_say_so(monkeypatch):
    from bench import peers

    monkeypatch.setattr(peers, "torch", lambda: None)
    row = harness.measure(Fixture(), item := peers.twin("lsq_dtheta", 8, "float64"), 0.0)
    assert [c.name for c in item.columns] == ["closed", "autodiff", "numpy"] and "torch" in item.notes["without"]
    assert row == {}  # the stand-in for the plugin keeps no times
    for name in peers.PROBLEMS:
        harness.measure(Fixture(), peers.problem(name, 8, "float64"), 0.0)


def test_the_selections_name_claims_of_the_book():
    first, second = {c.name for c in gradient_claims()}, {c.name for c in second_order_claims()}
    assert {*QUICK, *SCALING} <= first and set(QUICK_ALL) <= set(identities.catalogue().identities)
    from bench import peers
    from bench.test_second_order import QUICK as QUICK_SECOND

    assert set(QUICK_SECOND) <= second and set(peers.TWINS) <= first


def test_the_rule_of_dims_covers_every_claim():
    for claim in [*gradient_claims(), *second_order_claims()]:
        n = 1024 if claim.kind == "gradient" else 128
        sizes = dims.dims_of(claim, n)
        assert set(sizes.dims) == set(claim.dims) and condition(claim.where)(sizes.dims)
        assert dims.largest_array(claim, sizes) <= dims.LARGEST
        assert sizes.reduced == (sizes.n < n)


def test_dims_by_example():
    def of(name, n):
        return dims.dims_of(identities.claim(name), n)

    assert of("uv_dU", 1024).dims == {"m": 1024, "n": 1024, "k": 128}
    assert of("tr_gram_ratio_dX", 1024).dims == {"m": 1024, "n": 512}
    assert of("tr_xk_dX", 1024).counts == {"k": 6}
    assert of("tr_kron_ax_dX", 1024).n == 64 and of("logdet_d2X", 128).n == 64


def test_operands_keep_their_words_and_their_scale():
    claim = identities.claim("det_xax_dX_symmetric")
    drawn = dims.operands_of(claim, dims.dims_of(claim, 64), "float32")
    claim.bind(drawn, validate=True)
    assert all(v.dtype == np.float32 for v in drawn.values())
    general = identities.claim("det_axb_dX")
    values = dims.operands_of(general, dims.dims_of(general, 512), "float64")
    assert 1e-30 < abs(float(jnp.linalg.det(values["A"] @ values["X"] @ values["B"]))) < 1e30


MADE = {"closed": {"getrf": 1, "trsm": 4, "products": 3, "left transposed": 1, "fusions": 9}}
MADE |= {"autodiff": {"getrf": 1, "trsm": 2, "products": 5, "fusions": 9}}


def test_why_tells_the_same_program_the_same_kernels_and_the_others():
    told = bench.why(row(kernels=MADE))
    assert (
        told
        == "closed: LU, 4 triangular solves, 3 products (1 left transposed); autodiff: LU, 2 triangular solves, "
        + ("5 products")
    )
    assert bench.why(row(kernels=MADE, same=["autodiff"])) == "the same program"
    assert bench.why(row(kernels=MADE, same=["computed"])) == told
    equal = MADE | {"autodiff": MADE["closed"] | {"fusions": 2}}
    assert bench.why(row(kernels=equal)).startswith("the same kernels (LU, ")
    assert bench.why(row(kernels=equal)).endswith("in 9 fusions against 2")
    moved = MADE | {"autodiff": MADE["closed"] | {"left transposed": 2}}  # what differs in this alone is not the same
    assert "2 left transposed" in bench.why(row(kernels=moved))
    assert bench.why(row(kernels=MADE, reason="It is so.")) == f"{told}. It is so."
    idle = bench.why(row(kernels={"closed": {"fusions": 1}, "autodiff": {}}))
    assert idle == "no products or library calls in either, in 1 fusion against 0"
    none = bench.why(row(kernels={"closed": {"fusions": 3}, "autodiff": {"syevd": 1, "new_call": 2}}))
    assert none == "closed: no products or library calls; autodiff: 2 new_call, symmetric eigendecomposition"
    assert bench.why(row()) and bench.why(row() | {"kernels": {}, "ratio": {}})


def kernel_row(name, alone, seconds=1.0):
    found = row(name, seconds=seconds, kernels=MADE | {"alone": {"getrf": 1}})
    found["seconds"]["alone"] = seconds * alone
    return found | {"kind": "kernels", "ratio": {"alone": [alone, alone * 0.9, alone * 1.1]}}


def test_kernels_alone_are_told_by_what_the_closed_form_takes_above_them():
    near, above, short = kernel_row("near_dx", 0.8), kernel_row("far_dx", 0.5), kernel_row("short_dx", 0.5, 1e-6)
    worst = kernel_row("worst_dx", 0.25)
    found = result(near, above, short, worst)
    assert bench.excesses(found) == ([near], [worst, above], [short])
    assert bench.excess(above) == [2.0, bench.significant(1 / 0.55), bench.significant(1 / 0.45)]
    assert bench.say_excesses(found).startswith("1 of 3 closed forms") and "1 too short" in bench.say_excesses(found)
    page = bench_page.page({"here": found}, {})
    assert page.index("`worst_dx` (n") < page.index("`far_dx` (n") and "alone: LU\n" in page
    assert "`near_dx` (n" not in page and "| `near_dx` | 8 |" in page


def test_reasons_are_of_claims_in_the_book_and_reach_the_rows():
    from bench import conftest
    from bench.reasons import REASONS

    book = identities.catalogue()
    assert [name for name in REASONS if name not in book] == []
    for name, told in REASONS.items():
        assert told.endswith(".") and len(told) > 40
        for other in re.findall(r"`(\w+)`", told):
            assert book[other].identity is book[name].identity, name
    assert conftest.reason(row("lse_dx"))["reason"] == REASONS["lse_dx"]
    assert conftest.reason(row("tr_axb_dX")) == {} == conftest.reason(kernel_row("lse_dx", 1.0))


def test_the_page_says_why_of_every_loss():
    rows = [row("a_dx", (0.5, 0.4, 0.6), kernels=MADE, reason="It is so."), row("b_dx", (0.9, 0.8, 0.94)), row("c_dx")]
    page = bench_page.page({"here": result(*rows)}, {})
    lost = [line for line in page.splitlines() if line.startswith("- `")]
    assert [line.split("`")[1] for line in lost] == ["a_dx", "b_dx"]
    assert lost[0].endswith("2 triangular solves, 5 products. It is so.") and len(lost[1].partition(": ")[2]) > 10


def test_a_report_reads_back_and_writes_a_page(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "here.json"
    rows = [row(f"f{i}_dx", (r, r * 0.9, r * 1.1)) for i, r in enumerate((0.5, 1.0, 2.0))]
    rows.append({"kind": "first", "name": "g_dx", "chapter": "traces", "n": 8, "dtype": "float64", "left out": "why"})
    path.write_text(json.dumps(result(*rows)), encoding="utf-8")
    assert main(["bench", "report", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "f0_dx" in printed and "left out: g_dx" in printed
    assert main(["bench", "report", str(path), "--page", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "`f0_dx`" in page and "| all | 1.00 |" in page and "why" in page
    assert (tmp_path / "plots" / "bench-here-gradients.svg").exists()
    assert all((tmp_path / name).exists() for name in linked(page))


def linked(page):
    return [part.split(")")[0] for part in page.split("](")[1:]]


def test_a_file_of_pytest_benchmark_is_read_too(tmp_path, capsys):
    path = tmp_path / "raw.json"
    content = {"machine_info": {"identities": result()["machine"]}, "benchmarks": [{"extra_info": row()}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    assert main(["bench", "report", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["rows"][0]["name"] == "f_dx"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"machine": {}, "rows": []}', '{"machine": {"device": "cpu", "date": "x"}, "rows": [{}]}'],
)
def test_a_broken_file_is_one_sentence(tmp_path, capsys, text):
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    assert main(["bench", "report", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "broken.json" in error


def test_a_file_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert main(["bench", "report", str(tmp_path / "none.json")]) == 2
    assert "make bench-quick" in capsys.readouterr().err


def test_plain_pytest_runs_no_benchmark():
    root = pathlib.Path(__file__).parent.parent
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]
