"""Attempts to break the checks of one's own from outside: rules that forget their cotangent, operands and modules that
do not fit.  Each got through, or ended in a traceback, once."""

import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Int

from identities import check_custom_derivative, check_differential, check_gradient
from identities.engine.errors import TooLarge, UnsupportedDtype

x = np.array([0.3, -0.7, 1.1, -0.2])


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def by_vjp(f, backward):
    rule = jax.custom_vjp(f)
    rule.defvjp(lambda x: (f(x), x), backward)
    return rule


def by_jvp(f, tangent):
    rule = jax.custom_jvp(f)
    rule.defjvp(lambda primals, tangents: (f(*primals), tangent(*primals, *tangents)))
    return rule


def total(x):
    return jnp.sum(x**2)


NOT_LINEAR = {
    "forgets the cotangent": by_vjp(total, lambda x, g: (2 * x,)),
    "takes its modulus": by_vjp(total, lambda x, g: (2 * x * jnp.abs(g),)),
    "takes its cube": by_vjp(jnp.square, lambda x, g: (2 * x * g**3,)),
    "clips it": by_vjp(lambda x: x, lambda x, g: (jnp.clip(g, -1, 1),)),
    "takes the modulus of the tangent": by_jvp(jnp.square, lambda x, dx: 2 * x * jnp.abs(dx)),
    "takes the cube of the tangent": by_jvp(total, lambda x, dx: jnp.sum(2 * x * dx**3)),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_rule_that_is_not_linear_fails(name):
    value, derivative = check_custom_derivative(NOT_LINEAR[name], x)
    assert value.ok and not derivative.ok and "not linear in the" in derivative.diagnosis


def test_a_rule_that_is_right_holds():
    assert check_custom_derivative(by_vjp(total, lambda x, g: (2 * x * g,)), x).ok
    assert check_custom_derivative(by_vjp(jnp.square, lambda x, g: (2 * x * g,)), x).ok
    assert check_custom_derivative(by_jvp(jnp.square, lambda x, dx: 2 * x * dx), x).ok
    assert check_custom_derivative(by_vjp(lambda x: x.astype(jnp.float32) ** 2, lambda x, g: (2 * x * g,)), x).ok


def wide(X):
    return jnp.sum(X**2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check_gradient(wide, lambda X: 2 * X, Float[Array, "100000 100000"]), TooLarge, "the operands would"),
        (lambda: check_gradient(wide, lambda X: 2 * X, Int[Array, "n"]), UnsupportedDtype, "x|X is declared Int"),
        (lambda: check_gradient(total, lambda x: 2 * x, x, seed="a"), TypeError, "seed must be a whole number"),
        (
            lambda: check_gradient(wide, lambda X: 2 * X, np.eye(3) * 1j, entries="symmetric"),
            TypeError,
            "by a real square matrix; operand X is none",
        ),
        (
            lambda: check_gradient(lambda S, x: x @ S @ x, None, np.eye(4), x, wrt=("S", "x"), entries="symmetric"),
            TypeError,
            "operand x is none",
        ),
        (
            lambda: jax.jit(lambda x: check_gradient(total, lambda x: 2 * x, x).residual)(x),
            TypeError,
            "operand x is traced",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_names_that_look_like_tangents_are_no_obstacle():
    verdict = check_differential(lambda x, dx: jnp.sum(x * dx), lambda x, dx, t: jnp.sum(t * dx), x, x)
    assert verdict.ok


def test_integers_in_a_pytree_are_settings():
    def f(p):
        return jnp.sum(p["x"] ** p["k"])

    verdict = check_gradient(f, lambda p: {"x": p["k"] * p["x"] ** (p["k"] - 1), "k": 0}, {"x": x, "k": 3})
    assert verdict.ok, verdict


def test_a_function_that_fails_a_step_away_is_given_a_verdict():
    def picky(x):
        if np.any(np.asarray(x) > 2):
            raise RuntimeError("out of range")
        return np.sum(np.asarray(x) ** 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdict = check_gradient(picky, lambda x: 2 * x, x, against="differences")
    assert verdict.ok, verdict


def test_a_guard_on_transfers_is_no_obstacle():
    with jax.transfer_guard("disallow"):
        assert check_gradient(total, lambda x: 2 * x, x).ok


def test_a_gradient_that_raises_is_named_with_its_line():
    def gradient(x):
        raise RuntimeError("boom")

    verdict = check_gradient(total, gradient, x)
    assert not verdict.ok
    assert "RuntimeError: boom at test_attacks_input.py, line" in verdict.problem


# Modules of one's own

ENTRY = """
import jax.numpy as jnp
from jaxtyping import Array, Float
from identities.engine.identity import identity
from identities.engine.operands import Scalar

@identity("Squares")
def squares(x: Float[Array, "n"]) -> Scalar:
    r"x^\\top x"
    return jnp.sum(x**2)

@squares.gradient("x", "ours")
def squares_dx(x):
    r"2x"
    return FACTOR * x
"""


def run(folder, *words):
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "x = 1 / 0", "import no_such_thing"])
def test_a_module_that_cannot_be_imported_is_one_sentence(tmp_path, line):
    (tmp_path / "formulas.py").write_text(f"{line}\n")
    checked = run(tmp_path, "identities", "check", "formulas")
    assert checked.returncode == 2 and checked.stderr.count("\n") == 1, checked.stderr
    tested = run(tmp_path, "pytest", "-p", "identities.pytest_plugin", "--identities", "formulas", "-q")
    assert tested.returncode == 4 and "INTERNALERROR" not in tested.stdout + tested.stderr


def test_two_modules_with_the_same_names_are_both_counted(tmp_path):
    (tmp_path / "good.py").write_text(ENTRY.replace("FACTOR", "2"))
    (tmp_path / "wrong.py").write_text(ENTRY.replace("FACTOR", "3"))
    done = run(tmp_path, "identities", "check", "good", "wrong", "--dtype", "float64")
    assert done.returncode == 1 and "2 claims: 1 held, 0 refuted as stated, 1 failed" in done.stdout, done.stdout
    assert " good " in done.stdout and " wrong " in done.stdout


def test_dims_beyond_memory_are_refused(tmp_path):
    done = run(tmp_path, "identities", "check", "logdet_dX", "--dims", "n=300000")
    assert done.returncode == 2 and done.stderr.strip().count("\n") == 0 and "smaller dims" in done.stderr, done.stderr
