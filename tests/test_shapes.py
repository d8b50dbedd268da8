"""Dims, telling shapes and draws."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from jaxtyping import Array, Float

import identities
from identities.engine.errors import LawError, NoShape, NotFinite, OperandViolation, ShapeMismatch, UnsupportedDtype
from identities.engine.identity import identity
from identities.engine.operands import Count, Invertible, Scalar, Symmetric


@identity("A product of three", where="n <= m")
def tall(A: Float[Array, "p m"], X: Float[Array, "m n"], k: Count[int, "0..3"]) -> Float[Array, "p n"]:
    "(AX)"
    return A @ X


@tall.jacobian("X", "ours")
def tall_dX(A, X, k):
    "A"
    return A


@tall.jacobian("X", "ours", given={"X": Invertible[Array, "n n"]})
def tall_dX_square(A, X, k):
    "A"
    return A


CLAIM, SQUARE = tall.claims["tall_dX"], tall.claims["tall_dX_square"]


def test_the_first_shape_is_distinct_the_second_has_a_one_the_third_is_square():
    for seed in range(50):
        first, second, third, *_ = CLAIM.cases(seed)
        assert len(set(first.dims.values())) == 3 and min(first.dims.values()) >= 3
        assert sorted(second.dims.values()).count(1) == 1 and len(set(second.dims.values())) == 3
        assert len(set(third.dims.values())) == 1
        for case in (first, second, third):
            assert case.dims["n"] <= case.dims["m"]
            assert 0 <= case.counts["k"] <= 3


def test_the_fourth_shape_turns_the_order_of_the_dims_round():
    @identity("A product of two")
    def pair(A: Float[Array, "m n"]) -> Float[Array, "m n"]:
        "A"
        return A

    @pair.jacobian("A", "ours")
    def pair_dA(A):
        "I"
        return A

    for seed in range(20):
        first, _, _, fourth = pair.claims["pair_dA"].cases(seed, 4)
        assert (fourth.kind, fourth.dims) == ("turned", {"m": first.dims["n"], "n": first.dims["m"]})


def test_every_value_of_a_static_operand_is_tried_unless_one_is_asked_for():
    for seed in range(20):
        assert {case.counts["k"] for case in CLAIM.cases(seed)} == {0, 1, 2, 3}
        assert len(CLAIM.cases(seed, 1)) == 1
    assert {case.counts["k"] for case in CLAIM.cases(0, 3, {"k": 2})} == {2}


def test_a_formula_that_is_wrong_at_a_single_power_is_caught():
    @identity("A power")
    def raised(x: Scalar, k: Count[int, "1..9"]) -> Scalar:
        "x^k"
        return x**k

    @raised.gradient("x", "ours")
    def raised_dx(x, k):
        "k x^{k-1}"
        return k * x ** (k - 1) * (1.5 if k == 8 else 1.0)

    verdict = identities.check(raised.claims["raised_dx"])
    assert not verdict.ok and verdict.dims == {"k": 8}


def test_two_seeds_see_different_shapes():
    assert len({tuple(CLAIM.cases(seed)[0].dims.values()) for seed in range(20)}) > 5
    assert [c.dims for c in CLAIM.cases(0)] == [c.dims for c in CLAIM.cases(0)]


def test_more_shapes_on_demand_and_dims_can_be_fixed():
    assert len({str(c) for c in CLAIM.cases(0, 8)}) == 8
    for case in CLAIM.cases(3, 3, {"m": 9, "k": 1}):
        assert case.dims["m"] == 9 and case.counts["k"] == 1
    with pytest.raises(NoShape, match="n <= m"):
        CLAIM.cases(0, 3, {"m": 2, "n": 5, "p": 1})


def test_given_identifies_letters_everywhere():
    assert SQUARE.dims == ("p", "n")
    case = SQUARE.cases(0)[0]
    drawn = SQUARE.draw(case, 0)
    assert drawn["A"].shape[1] == drawn["X"].shape[0] == drawn["X"].shape[1]
    assert SQUARE.conditions[0] == "X is invertible"


def test_samples_are_the_same_everywhere_and_follow_dims_and_dtype():
    a = CLAIM.sample(5, dims={"m": 4, "n": 3, "p": 2, "k": 2})
    assert a["A"].shape == (2, 4) and a["X"].shape == (4, 3) and a["k"] == 2
    assert all(np.array_equal(a[n], CLAIM.sample(5, dims={"m": 4, "n": 3, "p": 2, "k": 2})[n]) for n in a)
    # drawn with NumPy's documented, portable generator: this very number on every platform
    assert a["A"][0, 0] == np.random.default_rng([5, 3554254475]).standard_normal((2, 4))[0, 0]
    single = CLAIM.sample(5, dims={"m": 4, "n": 3, "p": 2}, dtype=np.float32)
    assert single["A"].dtype == np.float32 and np.allclose(single["A"], a["A"], rtol=1e-6)
    assert CLAIM.sample(jax.random.key(7), dims={"m": 4, "n": 3, "p": 2})["A"].shape == (2, 4)
    with pytest.raises(NoShape, match="no dim 'q'"):
        CLAIM.sample(0, dims={"q": 1})
    with pytest.raises(UnsupportedDtype):
        CLAIM.sample(0, dtype=np.int32)


def test_a_differential_brings_its_tangents():
    @identity("A square")
    def square(S: Symmetric[Array, "n n"]) -> Float[Array, "n n"]:
        "S^2"
        return S @ S

    @square.differential("S", "ours")
    def square_along_dS(S, dS):
        r"S\,\mathrm{d}S + \mathrm{d}S\,S"
        return S @ dS + dS @ S

    drawn = square.claims["square_along_dS"].sample(1, dims={"n": 4})
    assert list(drawn) == ["S", "dS"] and np.array_equal(drawn["dS"], drawn["dS"].T)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"X": np.zeros((3, 3))}, ShapeMismatch, ["operand X", '"m n"', "m is 4", "by operand A", "(3, 3)"]),
        ({"X": np.zeros(4)}, ShapeMismatch, ["operand X", '"m n"', "(4,)"]),
        ({"A": np.zeros((2, 4), int)}, UnsupportedDtype, ["operand A", "int64"]),
        ({"A": np.zeros((2, 4), complex)}, UnsupportedDtype, ["operand A", "complex128"]),
        ({"A": np.full((2, 4), np.nan)}, NotFinite, ["operand A", "NaN"]),
        ({"A": np.full((2, 4), np.inf)}, NotFinite, ["operand A", "infinity"]),
        ({"k": 9}, ShapeMismatch, ["k", "0 to 3", "9"]),
        ({"Q": np.zeros(3)}, TypeError, ["no operand 'Q'"]),
        ({"X": np.zeros((4, 5))}, ShapeMismatch, ["n <= m"]),
    ],
)
def test_bad_operands_get_one_clear_sentence(change, error, words):
    good = CLAIM.sample(0, dims={"m": 4, "n": 3, "p": 2})
    with pytest.raises(error) as caught:
        CLAIM.bind({**good, **change}, validate=True)
    text = str(caught.value)
    assert "\n" not in text and "tall_dX" in text
    for word in words:
        assert word in text


def test_a_missing_operand_and_a_broken_word_are_named():
    good = SQUARE.sample(0)
    with pytest.raises(TypeError, match=r"operand A .* is missing"):
        SQUARE.closed_form(X=good["X"], k=1)
    with pytest.raises(OperandViolation, match="X must be invertible, but its smallest singular value"):
        SQUARE.bind({**good, "X": np.ones_like(good["X"])}, validate=True)
    SQUARE.bind({**good, "X": np.ones_like(good["X"])})  # only when validation is asked for


def test_where_is_read_not_trusted():
    with pytest.raises(LawError, match="may only compare"):
        identity("x", where="__import__('os')")(scalar)
    with pytest.raises(LawError, match="no comparison"):
        identity("x", where="n <")(scalar)


def test_importing_changes_no_setting_and_touches_no_device():
    code = """
import jax
before = dict(jax.config.values)
import identities
from identities import book
book.catalogue()
assert dict(jax.config.values) == before, "a setting changed"
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a backend was started"
print(jax.config.jax_enable_x64)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"


def scalar(x: Float[Array, ""]) -> Scalar:
    "x"
    return x


def test_a_scalar_operand_has_no_dims():
    assert identity("A scalar")(scalar).parsed["x"].dims == ()
