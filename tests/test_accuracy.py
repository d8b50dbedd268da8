"""The trial of accuracy can tell: its digits are right, a wrong primitive shows, and the worse form is named."""

import dataclasses
import fractions
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

import identities
from identities.engine import operands as words
from trials import accuracy, digits
from trials.common import DOCS, RESULTS, read_json

RNG = np.random.default_rng(0)
A = RNG.standard_normal((4, 4))
S = A @ A.T + np.eye(4)
T = np.tril(A) + 3 * np.eye(4)
v = RNG.standard_normal(4)


def collatz(x):
    return jax.lax.while_loop(lambda s: s[0] > 1, lambda s: (s[0] // 2, s[1] * x), (jnp.int32(9), x))[1]


def fibonacci(x):
    step = lambda pair, c: ((pair[1], pair[0] + c * pair[1]), pair[1])  # noqa: E731
    return jax.lax.scan(step, (x[0], x[1]), x, reverse=True)[1]


FUNCTIONS = {
    "inverse": (jnp.linalg.inv, A),
    "determinant": (jnp.linalg.det, A),
    "ln det": (lambda X: jnp.linalg.slogdet(X)[1], A),
    "Cholesky factor": (jnp.linalg.cholesky, S),
    "triangular": (lambda X: jax.scipy.linalg.solve_triangular(X, X[0], lower=True, trans=1), T),
    "unit triangular": (lambda X: jax.scipy.linalg.solve_triangular(X, X, lower=True, unit_diagonal=True), T),
    "QR": (lambda X: jnp.square(jnp.linalg.qr(X[:, :3])[1]), A),
    "singular values": (lambda X: jnp.linalg.svd(X[:, :3], compute_uv=False), A),
    "pseudo-inverse": (lambda X: jnp.linalg.pinv(X[:2]), A),
    "symmetric eigenvalues": (jnp.linalg.eigvalsh, S),
    "root by eigenvectors": (lambda X: (lambda w, V: (V * jnp.sqrt(w)[None]) @ V.T)(*jnp.linalg.eigh(X)), S),
    "eigenvalues": (lambda X: jnp.sum(jnp.exp(jnp.linalg.eigvals(X))), A),
    "exponential": (jax.scipy.linalg.expm, A),
    "complex inverse": (lambda X: jnp.linalg.inv(jax.lax.complex(X, X.T + 1)), A),
    "Hessian": (jax.hessian(lambda X: jnp.linalg.slogdet(X)[1]), A),
    "derivative of eigenvectors": (jax.jacfwd(lambda X: jnp.linalg.eigh(X)[1] ** 2), S),
    "derivative of det": (jax.grad(lambda X: jnp.linalg.det(X[:3, :3])), A),
    "loop": (collatz, v[0]),
    "scan": (fibonacci, v),
    "choice": (lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), v),
    "scatter": (lambda x: jnp.zeros(3).at[jnp.array([0, 2, 2, 5])].add(x).at[1].set(x[0]), v),
    "moves": (lambda X: jnp.roll(jnp.pad(X[::-1, 1:], 1, constant_values=2.0), 1, 0), A),
    "order": (lambda x: jnp.cumprod(jnp.sort(x)) * jnp.argmax(x).astype(x.dtype), v),
    "entries": (lambda x: jnp.tanh(x) * jnp.log1p(x**2) / jax.nn.sigmoid(x) - jnp.abs(x) ** 1.5 + x**-3, v),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_digits_are_what_jax_computes(name):
    function, x = FUNCTIONS[name]
    with digits.working(60):
        got = digits.Digits(lambda x: function(x), x=x)(x=x)
    np.testing.assert_allclose(got.astype(complex), np.asarray(jax.jit(function)(x)), rtol=1e-12, atol=1e-12)


def test_the_inverse_of_a_hilbert_matrix_is_its_integers():
    # in float64 no digit of it is right at n = 12
    n, c = 12, math.comb
    i = np.arange(1.0, n + 1)
    program = digits.Digits(lambda k: jnp.linalg.inv(1 / k), k=i[:, None] + i - 1)
    known = [
        [
            (-1) ** (a + b) * (a + b - 1) * c(n + a - 1, n - b) * c(n + b - 1, n - a) * c(a + b - 2, a - 1) ** 2
            for b in r
        ]
        for r in [range(1, n + 1)]
        for a in r
    ]
    with digits.working(80):
        got = program(k=i[:, None] + i - 1)
        assert max(abs(g / k - 1) for g, k in zip(got.ravel(), np.ravel(np.array(known, object)), strict=True)) < 1e-50


def test_the_determinant_of_a_hilbert_matrix_is_its_fraction():
    k = np.add.outer(np.arange(1.0, 6), np.arange(5.0))
    with digits.working(60):
        got = digits.Digits(lambda k: jnp.linalg.det(1 / k), k=k)(k=k)[()]
        known = fractions.Fraction(1, 266716800000)
        assert abs(got * known.denominator / known.numerator - 1) < mp.mpf(10) ** -50


def test_constants_are_meant_and_numbers_are_exact():
    with digits.working(60):
        got = digits.Digits(lambda x: jnp.sum(jnp.exp(x)) + 0 * (x[0] + 1.5 * np.pi), x=np.ones(1))(x=np.ones(1))[()]
        assert abs(got - mp.e) < mp.mpf(10) ** -50
        assert digits.constant(np.float64(3 * math.log(2 * math.pi)))[()] == 3 * mp.log(2 * mp.pi)
        assert digits.constant(np.float64(0.1))[()] == mp.mpf(0.1) != mp.mpf(1) / 10


def test_an_unknown_primitive_and_too_few_digits_are_refused():
    with pytest.raises(digits.Unknown, match="digamma"):
        digits.Digits(lambda x: jax.scipy.special.digamma(x), x=v)(x=v)
    with pytest.raises(digits.Unknown, match="expm"):
        digits.Digits(lambda x: jax.grad(lambda x: jnp.sum(jax.scipy.linalg.expm(x)))(x), x=A)(x=A)
    with pytest.raises(ValueError, match="at least 17"), digits.working(10):
        pass


def test_factorisations_and_what_they_are_made_of():
    program = digits.Digits(lambda X, B, c: jnp.linalg.solve(X @ X, B) * c + jnp.linalg.cholesky(B), X=A, B=S, c=2.0)
    found = {(f.primitive, f.operands) for f in digits.factorised(program)}
    assert {("lu", frozenset("X")), ("cholesky", frozenset("B"))} <= found
    assert all(f in (frozenset("X"), frozenset("B")) for _, f in found)
    assert not digits.factorised(digits.Digits(lambda X: X @ X, X=A))


def kappas(*powers):
    return [10.0**k for k in powers]


def test_a_planted_error_in_a_primitive_is_noticed(monkeypatch):
    right = accuracy.try_claim("bilinear_inv_dX", kappas(6), 1)
    assert right["digits"] > accuracy.WANTED
    dot = digits.TABLE["dot_general"]
    monkeypatch.setitem(digits.TABLE, "dot_general", lambda params, a, b: dot(params, a, b) * (1 + mp.mpf(10) ** -40))
    wrong = accuracy.try_claim("bilinear_inv_dX", kappas(6), 1)
    assert wrong["digits"] < accuracy.WANTED and wrong["closed"] == right["closed"]


UNSTABLE = {
    "normal equations": lambda X: (jnp.linalg.inv(X.T @ X) @ X.T).T,
    "an inverse of a square": lambda X: (jnp.linalg.inv(X @ X) @ X).T,
}


@pytest.mark.parametrize("name", UNSTABLE)
def test_an_unstable_closed_form_is_named_the_worse_one(name):
    claim = dataclasses.replace(identities.claim("log_abs_det_dX"), function=UNSTABLE[name])
    row = accuracy.try_claim(claim.name, kappas(0, 3, 6), 2, claim)
    assert accuracy.worse(row) == "closed form" and accuracy.largest(row, 1)[0] > 100
    assert row["factorises"] == [2, 1] and row["digits"] > accuracy.WANTED


def test_the_closed_form_of_the_book_is_no_worse_and_a_gram_matrix_is():
    row = accuracy.try_claim("log_abs_det_dX", kappas(0, 3, 6), 2)
    assert accuracy.worse(row) == "alike" and row["closed"][0] < 8 < row["closed"][2] < 1e7
    row = accuracy.try_claim("logdet_gram_dX_qr", kappas(0, 3, 6), 2)
    assert accuracy.worse(row) == "autodiff" and row["factorises"] == [1, 2]


def test_a_derivative_of_the_exponential_is_confirmed_by_differences():
    row = accuracy.try_claim("tr_exp_dX", kappas(1), 1)
    assert row["confirmed by"] == "differences" and row["digits"] > accuracy.WANTED


@pytest.mark.parametrize("word", accuracy.RANKED)
def test_draws_have_their_condition_number_and_keep_their_word(word):
    word, rng = getattr(words, word), np.random.default_rng(1)
    for kappa in (10.0, 1e6, 1e12):
        x = accuracy.conditioned(word, rng, (6, 6), kappa)
        assert np.linalg.cond(x) == pytest.approx(kappa, rel=0.02)
        assert word.violation(x) is None or kappa > 1e10  # where the word itself cannot tell


def test_what_has_no_condition_number_is_said():
    rng = np.random.default_rng(1)
    with pytest.raises(accuracy.NoDraw, match="Toeplitz"):
        accuracy.conditioned(words.Toeplitz, rng, (6, 6), 10.0)
    with pytest.raises(accuracy.NoDraw, match="distinct"):
        accuracy.conditioned(words.DistinctEigenvalues, rng, (6, 6), 1.0)
    for kappa in (10.0, 1e4, 1e12):
        positive = accuracy.conditioned(words.Positive, rng, (6, 6), kappa)
        assert positive.min() > 0 and np.linalg.cond(positive) == pytest.approx(kappa, rel=0.02)


def test_a_sum_gets_its_condition_number_through_one_operand():
    subject = accuracy.Subject(identities.claim("tr_inv_sum_dX"))
    x = subject.draw(1e6, 3)
    assert subject.knob.kind == "sum" and np.linalg.cond(x["X"] + x["A"]) == pytest.approx(1e6, rel=1e-3)
    assert np.linalg.cond(x["X"]) < 100


def test_a_claim_without_a_factorisation_has_no_row():
    assert accuracy.try_claim("tr_axb_dX", kappas(0), 1) == {}


def test_the_page_says_what_the_result_says():
    result = read_json(RESULTS / "accuracy.json")
    assert (DOCS / "accuracy.md").read_text(encoding="utf-8") == accuracy.page(result)
    assert all(row["claim"] in identities.catalogue() for row in result["claims"])
    assert all(row["digits"] >= accuracy.WANTED for row in accuracy.measured(result))
    assert len((RESULTS / "accuracy.json").read_text(encoding="utf-8").splitlines()) < 60 + len(result["claims"])


def test_an_unknown_claim_is_one_sentence():
    run = [sys.executable, "-m", "trials.accuracy", "--only", "nothing_like_it"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nothing_like_it" in done.stderr
