"""Attempts to fool the checks of one's own, each of which succeeded once: wrong derivatives that passed, right ones
that were refused, and diagnoses that were false."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from identities import check_differential, check_gradient, check_hessian, check_jacobian
from identities.engine.operands import Count

x = np.array([0.3, -0.7, 1.1, -0.2])
ones = np.ones(8)
many = np.random.default_rng(3).standard_normal(12)
stop = jax.lax.stop_gradient


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def half(x):
    return x.astype(jnp.bfloat16)


def single(x):
    return x.astype(jnp.float32)


def solved(M):
    return jnp.sum(jnp.linalg.solve(M, ones))


def solved_dM(M):
    return -jnp.outer(jnp.linalg.solve(M.T, ones), jnp.linalg.solve(M, ones))


def conditioned(power):
    """A matrix of condition number 10^power."""
    U, V = (np.linalg.qr(np.random.default_rng(s).standard_normal((8, 8)))[0] for s in (0, 1))
    return U @ np.diag(np.logspace(0, -power, 8)) @ V


HILBERT = 1 / (np.arange(1, 7)[:, None] + np.arange(6))
TIGHT = 0.9 * np.ones((4, 4)) + 0.1 * np.eye(4)  # a correlation matrix near the edge of its domain
check = check_gradient

WRONG = {
    "stop_gradient beside a small entry": lambda: check(
        lambda x: 3 * stop(x[0]) + jnp.sum(jnp.log(x[1:])),
        lambda x: jnp.concatenate([jnp.zeros(1), 1 / x[1:]]),
        np.array([0.0, 1e-6, 1.0]),
    ),
    "Hessian at a kink": lambda: check_hessian(
        lambda x: jnp.sum(jnp.abs(x)) + jnp.sum(x**2), lambda x: 2 * jnp.eye(3), np.array([0.0, 1.0, 2.0])
    ),
    "constant, annotated": lambda: check(lambda x: 1e15 + jnp.sum(x**2), lambda x: 4 * x, Float[Array, "n"]),
    "zero in float32, annotated": lambda: check(
        lambda x: single(1e5 + jnp.sum(single(x) ** 2)), lambda x: 0 * x, Float[Array, "n"]
    ),
    "tiny operand": lambda: check(lambda x: 1 + jnp.sum(x), lambda x: 5 + 0 * x, 1e-15 * np.ones(3)),
    "tiny operand, Hessian": lambda: check_hessian(
        lambda x: 1 + jnp.sum(x**2), lambda x: 5 * jnp.eye(3), 1e-10 * np.ones(3)
    ),
    "tiny operand, exp": lambda: check(lambda x: jnp.sum(jnp.exp(x)), lambda x: 2 * jnp.exp(x), 1e-15 * x),
    "constant, by a thousandth": lambda: check(lambda x: 1e12 + jnp.sum(x**2), lambda x: 2.0018 * x, x),
    "constant in float32": lambda: check(lambda x: single(1e6 + jnp.sum(single(x) ** 2)), lambda x: 2.0015 * x, x),
    "constant, one small entry": lambda: check(
        lambda X: 1e11 + jnp.sum(jnp.abs(X) ** 3),
        lambda X: (3 * jnp.abs(X) * X).at[0, 0].set(0),
        np.array([[0.01, 1.0], [1.0, 2.0]]),
    ),
    "small part that is not analytic": lambda: check(
        lambda x: jnp.sum(x**3) + 1e-7 * jnp.sum(stop(jnp.abs(x))), lambda x: 3 * x**2, x
    ),
    "jump": lambda: check(lambda x: jnp.sum(jnp.sign(x) + x), lambda x: 1 + 0 * x, np.array([0.0, 1.0])),
    "two jumps": lambda: check(lambda x: jnp.sum(jnp.floor(x)), lambda x: 0 * x, np.array([1.0, 2.0])),
    "L1 term forgotten": lambda: check(lambda w: jnp.sum(w**3) + 1e-8 * jnp.sum(jnp.abs(w)), lambda w: 3 * w**2, x),
    "sign, near a kink": lambda: check(
        lambda x: jnp.sum(jnp.abs(x)), lambda x: -jnp.sign(x), np.array([1e-6, 1.0, 2.0])
    ),
    "transposed, ill-conditioned": lambda: check(solved, lambda M: solved_dM(M).T, conditioned(10)),
    "row beside one where autodiff is NaN": lambda: check(
        lambda X: jnp.sum(jnp.linalg.norm(X, axis=1) ** 2),
        lambda X: (2 * X).at[1, 0].multiply(1.5),
        np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 1.0]]),
    ),
}

RIGHT = {
    "tiny operand, exp": lambda: check(lambda x: jnp.sum(jnp.exp(x)), jnp.exp, 1e-15 * x),
    "weight decay": lambda: check(
        lambda w: jnp.sum(w**3) + 1e-7 * jnp.linalg.norm(w) ** 2, lambda w: 3 * w**2 + 2e-7 * w, x
    ),
    "L1": lambda: check(
        lambda w: jnp.sum(w**3) + 1e-8 * jnp.sum(jnp.abs(w)), lambda w: 3 * w**2 + 1e-8 * jnp.sign(w), x
    ),
    **{f"condition 1e{k}": lambda k=k: check(solved, solved_dM, conditioned(k)) for k in (4, 6, 8, 10, 13)},
    "near a pole": lambda: check(
        lambda x: jnp.sum(1 / (x - 1)), lambda x: -1 / (x - 1) ** 2, np.array([1 + 1e-5, 2.5])
    ),
    "Hilbert": lambda: check(lambda M: jnp.linalg.slogdet(M)[1], lambda M: jnp.linalg.inv(M).T, HILBERT),
    "fast sine": lambda: check(lambda x: jnp.sum(jnp.sin(1e6 * x)), lambda x: 1e6 * jnp.cos(1e6 * x), x),
    "near the edge of a domain": lambda: check(
        lambda x: jnp.sum(jnp.log(1 - x)), lambda x: -1 / (1 - x), np.array([1 - 1e-7, 0.5])
    ),
    "narrow Gaussian": lambda: check(
        lambda x: jnp.sum(jnp.exp(-1e12 * (x - 1) ** 2)),
        lambda x: -2e12 * (x - 1) * jnp.exp(-1e12 * (x - 1) ** 2),
        np.array([1 + 1e-6, 1 - 5e-7]),
    ),
    "near a kink": lambda: check(lambda x: jnp.sum(jnp.abs(x)), jnp.sign, np.array([1e-6, 1.0, 2.0])),
    "near a tie": lambda: check(
        jnp.max, lambda x: jax.nn.one_hot(jnp.argmax(x), 3, dtype=x.dtype), np.array([1.0, 1 + 1e-5, 0.0])
    ),
    "nearly a kink": lambda: check(
        lambda x: jnp.sum(jnp.sqrt(x**2 + 1e-8)), lambda x: x / jnp.sqrt(x**2 + 1e-8), np.array([0.0, 1e-4, 1.0])
    ),
    "steep softplus": lambda: check(
        lambda x: jnp.sum(jax.nn.softplus(1e5 * x)),
        lambda x: 1e5 * jax.nn.sigmoid(1e5 * x),
        np.array([0.0, 1e-6, 1.0]),
    ),
    "Hessian in float32": lambda: check_hessian(lambda x: jnp.sum(single(x) ** 3), lambda x: 6 * jnp.diag(x), x),
    "bfloat16, annotated": lambda: check(lambda x: jnp.sum(half(x) ** 2), lambda x: 2 * x, Float[Array, "n"]),
    "float32 inside, float64 outside": lambda: check(
        lambda x: jnp.sum(single(x) ** 2).astype(x.dtype), lambda x: 2 * single(x).astype(x.dtype), x
    ),
    "a product in float32 inside": lambda: check_jacobian(
        lambda X: (single(X) @ single(X)).astype(X.dtype),
        lambda X: jnp.einsum("ik,lj->ijkl", jnp.eye(6), X) + jnp.einsum("ik,jl->ijkl", X, jnp.eye(6)),
        np.random.default_rng(1).standard_normal((6, 6)),
        dtype="float32",
    ),
    "a zero of second order": lambda: check(
        lambda w: jnp.sum(jax.nn.relu(1 - w) ** 2), lambda w: -2 * jax.nn.relu(1 - w), np.ones(2)
    ),
    "underflow": lambda: check(lambda x: jnp.sum(x**2), lambda x: 2 * x, 1e-160 * x),
    "minimum of a least-squares problem": lambda: check(
        lambda A, x: jnp.sum((A @ x - A @ jnp.ones(3)) ** 2),
        lambda A, x: 2 * A.T @ (A @ x - A @ jnp.ones(3)),
        np.random.default_rng(0).standard_normal((5, 3)),
        np.ones(3),
        wrt="x",
    ),
}

# what must be said of each, and what must not
SAID = {
    "a rule that autodiff shares": (
        lambda: check(lambda x: jnp.sum(x * stop(x)), lambda x: x, x),
        "what autodiff says, and both are wrong",
        "digits",
    ),
    "undefined at some draws": (
        lambda: check(lambda x: jnp.sum(jnp.log(x)), lambda x: 1 / x, Float[Array, "n"]),
        "undefined at some of the draws",
        "digits",
    ),
    "a narrow domain": (
        lambda: check(
            lambda x: jnp.sum(jnp.arccos(x)), lambda x: -2 / jnp.sqrt(1 - x**2), np.array([0.95, 0.9, -0.95])
        ),
        "it is 2 times",
        "not finite",
    ),
    "a narrow domain of matrices": (
        lambda: check(
            lambda S: 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(S)))), lambda S: 2 * jnp.linalg.inv(S), TIGHT
        ),
        "it is 2 times",
        "not finite",
    ),
    "a factor in float32": (
        lambda: check(lambda x: jnp.sum(single(x) ** 2), lambda x: 4 * x, x),
        "constant factor: it is 2 times",
        "size",
    ),
    "a constant in float32": (
        lambda: check(lambda x: jnp.sum(x**2) * np.float32(0.1), lambda x: 0.2 * x, x),
        "it is 1 - 1.49e-08 times",
        "1 times",
    ),
    "a factor k": (
        lambda: check(lambda x, k: jnp.sum(x**k), lambda x, k: 2 * x ** (k - 1), Float[Array, "n"], Count[int, "2..4"]),
        "it is 2/k times",
        "n times",
    ),
    "a forward difference": (
        lambda: check(lambda x: jnp.sum(jnp.sin(x)), lambda x: (jnp.sin(x + 1e-6) - jnp.sin(x)) / 1e-6, many),
        "",
        "precision",
    ),
    "a rounded pi": (
        lambda: check(lambda x: jnp.sum(jnp.pi * x**2), lambda x: 2 * 3.1415927 * x, many),
        "it is 1 + 1.48e-08 times",
        "precision",
    ),
    "a small term": (
        lambda: check(lambda x: jnp.sum(x**2 + 1e-6 * jnp.abs(x)), lambda x: 2 * x, many),
        "",
        "precision",
    ),
    "a kink along a tangent": (
        lambda: check_differential(jnp.abs, lambda x, dx: jnp.sign(x) * dx, np.array([0.0, 1.0])),
        "kink",
        "autodiff is wrong",
    ),
    "a small kink": (
        lambda: check(
            lambda x: 1e-3 * jnp.abs(x[0]) + jnp.sum(x**2),
            lambda x: (2 * x).at[0].add(1e-3 * jnp.sign(x[0])),
            np.array([0.0, 1.0, 2.0]),
        ),
        "kink",
        "autodiff is wrong",
    ),
    "one entry off the diagonal": (
        lambda: check(
            lambda X: jnp.sum(X**2),
            lambda X: (2 * X).at[20, 7].multiply(1.01),
            np.random.default_rng(0).standard_normal((32, 32)),
        ),
        "one entry is wrong: [20, 7]",
        "diagonal",
    ),
    "a factor, tiny": (
        lambda: check(lambda x: 1e-200 * jnp.sum(x**2), lambda x: 3e-200 * x, x),
        "it is 3/2 times",
        "size",
    ),
    "a factor, huge": (
        lambda: check(lambda x: 1e150 * jnp.sum((1e75 * x) ** 2), lambda x: 3e300 * x, x),
        "it is 3/2 times",
        "not resolved",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_does_not_pass(name):
    assert not WRONG[name]().ok


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_refused(name):
    verdict = RIGHT[name]()
    assert verdict.ok, verdict


@pytest.mark.parametrize("name", SAID)
def test_the_diagnosis_is_no_other(name):
    call, words, other = SAID[name]
    verdict = call()
    assert not verdict.ok and words in verdict.diagnosis and other not in verdict.diagnosis, verdict


def test_what_nothing_confirms_says_so():
    verdict = check(lambda x: jnp.sum(half(x) * stop(half(x))), lambda x: x, x)
    assert any("nothing else confirms it" in note for note in verdict.notes)


def test_an_entry_too_small_to_be_judged_is_named():
    verdict = check(jax.nn.logsumexp, lambda x: jax.nn.softmax(2 * x), np.array([30.0, 0.0, -30.0]))
    assert "entry [1] is too small beside the largest" in verdict.notes[0]
    verdict = check(jax.nn.logsumexp, jax.nn.softmax, np.array([30.0, 0.0, -30.0]))
    assert verdict.ok and verdict.notes == ()


def test_general_complex_operands_are_tried_at_real_ones():
    verdict = check(lambda z: jnp.real(jnp.sum(z**2)), lambda z: 2 * z, x + 0j)
    assert verdict.diagnosis == "holds here; not at general operands near those given"


def test_numpy_raising_on_underflow_changes_nothing():
    with np.errstate(all="raise"):
        assert check(lambda x: 1e-200 * jnp.sum(x**2), lambda x: 2e-200 * x, x).ok
        assert not check(lambda x: 1e-200 * jnp.sum(x**2), lambda x: 3e-200 * x, x).ok
