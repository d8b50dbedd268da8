"""Every word keeps its own promise, tells its violations, and moves only inside its structure."""

import numpy as np
import pytest
from jaxtyping import Array, Float

from identities.engine import operands
from identities.engine.checking import Options, examine
from identities.engine.errors import OperandViolation
from identities.engine.identity import identity
from identities.engine.operands import Invertible, Scalar, Word

WORDS = [w for w in Word.__subclasses__() if w.__module__ == operands.__name__]
LINEAR = {"Symmetric", "Diagonal", "Toeplitz", "SymmetricToeplitz"}
BREAKERS = {  # an array that breaks the word, of the shape given
    "Symmetric": lambda a: a + np.triu(np.ones_like(a), 1),
    "PosDef": lambda a: -a,
    "SymmetricInvertible": lambda a: np.ones_like(a),
    "SymmetricPositiveDeterminant": lambda a: -np.diag([1.0, *np.ones(len(a) - 2), -1.0]),
    "DistinctEigenvalues": lambda a: np.eye(len(a)),
    "Invertible": lambda a: np.ones_like(a),
    "PositiveDeterminant": lambda a: a * np.where(np.arange(len(a)) == 0, -1.0, 1.0)[:, None],
    "Definite": lambda a: -a,
    "FullRank": lambda a: np.ones_like(a),
    "Orthogonal": lambda a: 2 * a,
    "Diagonal": lambda a: a + 1,
    "Toeplitz": lambda a: a + np.diag(np.arange(len(a), dtype=float)),
    "SymmetricToeplitz": lambda a: a + np.diag(np.arange(len(a), dtype=float)),
    "Positive": lambda a: -a,
    "Nonzero": lambda a: 0 * a,
    "Simplex": lambda a: 2 * a,
    "Mask": lambda a: a + 0.5,
}


def shapes(word):
    return [(4, 4), (1, 1), (7, 7)] + ([] if word.square else [(5, 3), (6, 1)])


@pytest.mark.parametrize("word", WORDS, ids=lambda w: w.__name__)
def test_a_word_keeps_its_promise(word):
    for shape in shapes(word):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            value = word.sample(rng, shape)
            assert value.shape == shape and value.dtype == np.float64
            assert word.violation(value) is None
            assert word.tangent(rng, value).shape == shape
            again = word.sample(np.random.default_rng(seed), shape)
            assert np.array_equal(again, value)


@pytest.mark.parametrize("word", WORDS, ids=lambda w: w.__name__)
def test_a_word_tells_its_violation(word):
    value = word.sample(np.random.default_rng(1), (4, 4))
    assert word.violation(BREAKERS[word.__name__](value))


@pytest.mark.parametrize("word", WORDS, ids=lambda w: w.__name__)
def test_tangents_stay_inside(word):
    """Exactly for linear spaces, up to second order for curved ones."""
    rng = np.random.default_rng(2)
    value = word.sample(rng, (4, 4))
    tangent = word.tangent(rng, value)
    if word.__name__ in LINEAR:
        assert word.violation(tangent) is None
    if word.__name__ == "Orthogonal":
        assert np.allclose(value.T @ tangent + tangent.T @ value, 0, atol=1e-12)
    if word.__name__ == "Simplex":
        assert np.allclose(tangent.sum(-1), 0, atol=1e-12)
    moved = value + 1e-9 * tangent
    if word.__name__ != "Orthogonal":
        assert word.violation(moved) is None


@pytest.mark.parametrize("word", WORDS, ids=lambda w: w.__name__)
def test_draws_are_general(word):
    """No word draws something more special than it promises: that would hide wrong formulas."""
    rng = np.random.default_rng(3)
    a, b = word.sample(rng, (4, 4)), word.sample(rng, (4, 4))
    assert not np.allclose(a, b)
    special = {
        "symmetric": np.allclose(a, a.T),
        "diagonal": np.allclose(a, np.diag(np.diagonal(a))),
        "commuting": np.allclose(a @ b, b @ a),
        "positive": bool(np.all(a >= 0)),
    }
    allowed = {
        "Symmetric": {"symmetric"},
        "PosDef": {"symmetric"},
        "SymmetricInvertible": {"symmetric"},
        "SymmetricPositiveDeterminant": {"symmetric"},
        "DistinctEigenvalues": {"symmetric"},
        "SymmetricToeplitz": {"symmetric"},
        "Diagonal": {"symmetric", "diagonal", "commuting"},
        "Positive": {"positive"},
        "Simplex": {"positive"},
        "Mask": {"positive"},
    }
    assert {k for k, v in special.items() if v} == allowed.get(word.__name__, set())


def test_invertible_words_are_well_conditioned_and_of_both_signs():
    signs = set()
    for seed in range(30):
        a = Invertible.sample(np.random.default_rng(seed), (5, 5))
        assert np.linalg.cond(a) < 4.5
        signs.add(float(np.sign(np.linalg.det(a))))
    assert signs == {-1.0, 1.0}


class Liar(Word):
    """A word whose sampler breaks it."""

    english = "upper triangular"

    @staticmethod
    def sample(rng, shape):
        return rng.standard_normal(shape)

    @staticmethod
    def violation(value):
        return "it is not zero below the diagonal" if np.any(np.tril(value, -1)) else None


def test_a_sampler_that_breaks_its_own_word_is_caught():
    @identity("A sum")
    def total(A: Liar[Array, "n n"]) -> Scalar:
        "a"
        return A.sum()

    @total.gradient("A", "ours")
    def total_dA(A):
        "1"
        return A * 0 + 1

    with pytest.raises(OperandViolation, match="sampler of Liar"):
        examine(list(total.claims.values()), Options(samples=1))


def test_count_reads_its_range():
    assert operands.Count[int, "1..4"] == operands.CountRange(1, 4)
    for wrong in ("4..1", "1-4", ""):
        with pytest.raises(TypeError, match=r"low\.\.high"):
            operands.Count[int, wrong]


def test_float_and_complex_are_general():
    rng = np.random.default_rng(0)
    assert operands.draw(Float, rng, (3, 2)).dtype == np.float64
    z = operands.draw(operands.Complex, rng, (3, 2))
    assert z.dtype == np.complex128 and np.all(z.imag != 0)
