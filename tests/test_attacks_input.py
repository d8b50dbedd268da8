"""Attempts to break the checks of one's own from outside: rules that forget their cotangent, operands and modules that
do not fit.  Each got through, or ended in a traceback, once."""

import json
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Int

from identities import check_custom_derivative, check_differential, check_gradient
from identities.engine.errors import NotEvaluated, TooLarge, UnsupportedDtype

x = np.array([0.3, -0.7, 1.1, -0.2])


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def by_vjp(f, backward):
    rule = jax.custom_vjp(f)
    rule.defvjp(lambda *operands: (f(*operands), operands), lambda kept, g: backward(*kept, g))
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
    "clips it where it is large": by_vjp(lambda x: x, lambda x, g: (jnp.clip(g, -100, 100),)),
    "drops it where it is small": by_vjp(lambda x: x, lambda x, g: (jnp.where(jnp.abs(g) > 1e-3, g, 0),)),
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


def coarse(x):
    return (x.astype(jnp.bfloat16) ** 2).astype(x.dtype)


def test_rounding_inside_a_rule_is_not_taken_for_a_bend():
    def backward(x, g):
        return ((2 * x.astype(jnp.bfloat16) * g.astype(jnp.bfloat16)).astype(x.dtype),)

    assert check_custom_derivative(by_vjp(coarse, backward), x).ok


def test_the_operand_whose_cotangent_is_distorted_is_named():
    for rule in (
        by_vjp(lambda x, y: x * y, lambda x, y, g: (g * y, jnp.abs(g) * x)),
        by_jvp(lambda x, y: x * y, lambda x, y, dx, dy: dx * y + x * jnp.abs(dy)),
    ):
        value, by_x, by_y = check_custom_derivative(rule, x, x[::-1].copy())
        assert value.ok and by_x.ok and not by_y.ok and "not linear" in by_y.diagnosis
    together = by_jvp(lambda x, y: x * y, lambda x, y, dx, dy: dx * y + x * dy + dx * dy)
    assert [v.ok for v in check_custom_derivative(together, x, x[::-1].copy())] == [True, False, False]


@pytest.mark.parametrize("at", [x + 1j * x, np.ones((80, 80))], ids=["complex", "large"])
def test_a_rule_that_reverse_mode_refuses_is_one_sentence(at):
    rule = by_jvp(jnp.square, lambda x, dx: 2 * x * jnp.abs(dx))
    with pytest.raises(ValueError, match=r"^the rule is not linear in the tangent[^\n]*$"):
        check_custom_derivative(rule, at)


def test_a_rule_of_a_pytree_with_integers():
    def f(p):
        return p["x"] ** p["k"]

    def tangent(p, dp, bend=lambda d: d):
        return p["k"] * p["x"] ** (p["k"] - 1) * bend(dp["x"])

    assert check_custom_derivative(by_jvp(f, tangent), {"x": x, "k": 3}).ok
    bent = check_custom_derivative(by_jvp(f, lambda p, dp: tangent(p, dp, jnp.abs)), {"x": x, "k": 3})
    assert "not linear" in bent[1].diagnosis


# Precisions


@pytest.mark.parametrize(
    ("f", "gradient", "side"),
    [
        (lambda x: total(x.astype(jnp.bfloat16)), lambda x: 2 * x, "function"),
        (total, lambda x: 2 * x.astype(jnp.bfloat16), "gradient"),
    ],
)
def test_what_stays_in_half_precision_was_not_judged_in_float64(f, gradient, side):
    verdict = check_gradient(f, gradient, x)
    assert verdict.ok and any(f"the {side} stays bfloat16" in note for note in verdict.notes)
    assert any("nothing was judged in a finer precision" in note for note in verdict.notes)
    assert not any("float64 too" in note for note in verdict.notes)
    assert any("float64 too" in note for note in check_gradient(total, lambda x: 2 * x, x, dtype="bfloat16").notes)


def test_a_differential_that_stays_in_float32_is_judged_as_that():
    def single(x, dx):
        return (2 * x * dx).astype(jnp.float32)

    verdict = check_differential(jnp.square, single, x)
    assert verdict.ok and "the differential stays float32" in verdict.notes[0]
    assert not check_differential(jnp.square, lambda x, dx: 1.001 * single(x, dx), x).ok


# What does not fit


def wide(X):
    return jnp.sum(X**2)


def only_there(y):
    if not np.array_equal(np.asarray(y), x):
        raise RuntimeError("elsewhere\nand more")
    return np.sum(x**2)


def raises(x):
    raise RuntimeError("inside\nand more")


calls_back = by_jvp(
    lambda x: jax.pure_callback(raises, jax.ShapeDtypeStruct((), x.dtype), x), lambda x, dx: jnp.sum(2 * x * dx)
)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check_gradient(wide, lambda X: 2 * X, Float[Array, "100000 100000"]), TooLarge, "the operands would"),
        (lambda: check_gradient(wide, lambda X: 2 * X, Float[Array, "2000 20000"]), TooLarge, "the operands would"),
        (lambda: check_gradient(wide, lambda X: 2 * X, Int[Array, "n"]), UnsupportedDtype, "X is declared Int"),
        (lambda: check_gradient(total, lambda x: 2 * x, x, seed="a"), TypeError, "seed must be a whole number"),
        (
            lambda: check_gradient(wide, lambda X: 2 * X, np.eye(3) * 1j, entries="symmetric"),
            TypeError,
            "by a real square matrix; operand X is none",
        ),
        (
            lambda: check_gradient(lambda x, y: x @ y, None, x, x, wrt=("x", "y"), entries="symmetric"),
            TypeError,
            "operand x, y is none",
        ),
        (
            lambda: jax.jit(lambda x: check_gradient(total, lambda x: 2 * x, x).residual)(x),
            TypeError,
            "operand x is traced",
        ),
        (
            lambda: jax.vmap(lambda c: check_gradient(lambda x: c * total(x), lambda x: 2 * x, x).residual)(x),
            TypeError,
            "the function uses a traced value: the call stands inside jit, vmap or grad",
        ),
        (
            lambda: jax.jit(lambda c: check_gradient(total, lambda x: 2 * c * x, x).residual)(1.0),
            TypeError,
            "the gradient uses a traced value",
        ),
        (
            lambda: check_gradient(lambda x: "text", lambda x: x, x),
            ValueError,
            r"^the function must return numbers, and returned a str \(defined at test_attacks_input.py, line",
        ),
        (
            lambda: check_gradient(only_there, lambda x: 2 * x, x, against="differences"),
            ValueError,
            "the function fails at test_attacks_input.py, line .*RuntimeError: elsewhere",
        ),
        (
            lambda: check_gradient(lambda z: jnp.sum(jnp.abs(z) ** 2), lambda z: 2 * z, 1j * x, against="differences"),
            UnsupportedDtype,
            "by the complex operand z is not checked",
        ),
        (
            lambda: check_gradient(calls_back, lambda x: 2 * x, x),
            NotEvaluated,
            "a callback in it raises RuntimeError: inside",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_names_that_look_like_tangents_are_no_obstacle():
    assert check_differential(lambda x, dx: jnp.sum(x * dx), lambda x, dx, t: jnp.sum(t * dx), x, x).ok
    both = check_differential(
        lambda x, dx, dx0: jnp.sum(x * dx * dx0),
        lambda x, dx, dx0, t, u: jnp.sum(t * dx * dx0 + x * u * dx0),
        x,
        x,
        x,
        wrt=("x", "dx"),
    )
    assert both.ok
    tree = check_differential(
        lambda p, dp_a: jnp.sum(p["a"] * dp_a), lambda p, dp_a, t: jnp.sum(t["a"] * dp_a), {"a": x}, x
    )
    assert tree.ok
    with pytest.raises(ValueError, match="operand dx holds NaN"):
        check_gradient(lambda x, dx: jnp.sum(x * dx), lambda x, dx: dx, x, np.array([np.nan]))


def test_integers_in_a_pytree_are_settings():
    def f(p):
        return jnp.sum(p["x"] ** p["k"])

    verdict = check_gradient(f, lambda p: {"x": p["k"] * p["x"] ** (p["k"] - 1), "k": 0}, {"x": x, "k": 3})
    assert verdict.ok and "the integers of p['k'] are kept" in verdict.notes[0], verdict
    alone = check_gradient(lambda p: jnp.sum(p["W"] ** 2), lambda p: {"W": 2 * p["W"]}, {"W": np.array([[1, 2]])})
    assert alone.ok and "the integers of p['W'] were taken as float64" in alone.notes


def test_a_structure_is_that_of_the_square_matrices_alone():
    def gradients(S, x):
        G = jnp.outer(x, x)
        return G + G.T - jnp.diag(jnp.diagonal(G)), 2 * S @ x

    S = np.eye(4) + 0.1
    verdicts = check_gradient(lambda S, x: x @ S @ x, gradients, S, x, wrt=("S", "x"), entries="symmetric")
    assert verdicts.ok and "the symmetric matrices are S alone" in verdicts[0].notes


def outside(X, dX):
    X, dX = np.asarray(X), np.asarray(dX)
    return dX @ X + X @ dX


def test_a_differential_may_be_written_with_numpy():
    X = np.eye(3) + 0.1 * np.arange(9).reshape(3, 3)
    for at in (X, Float[Array, "n n"]):
        assert check_differential(lambda X: X @ X, outside, at).ok
        assert not check_differential(lambda X: X @ X, lambda X, dX: outside(X, dX.T), at).ok


def test_numpy_at_other_shapes_than_the_first():
    assert check_gradient(total, lambda x: 2 * np.asarray(x), Float[Array, "n"]).ok
    verdict = check_gradient(total, lambda x: 2 * len(x) * np.asarray(x), x)
    assert "it is len(x) times" in verdict.diagnosis


def test_numpy_that_leaves_its_domain_or_returns_integers():
    def root(x):
        return np.sum(np.emath.sqrt(np.asarray(x)))  # complex for x < 0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_gradient(root, lambda x: 0.5 / jnp.sqrt(x), np.array([1e-2, 1.0]), against="differences").ok

        def clipped(x):
            return 0 if np.asarray(x)[0] < 0.3 else np.asarray(x)[0] - 0.3  # an int at the very point, a float beyond

        assert not check_gradient(clipped, lambda x: 0 * x, x, against="differences").ok


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


HEAD = """import jax.numpy as jnp
import numpy as np"""


def run(folder, *words):
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "x = 1 / 0", "import no_such_thing", "def f(:"])
def test_a_module_that_cannot_be_imported_is_one_sentence(tmp_path, line):
    (tmp_path / "formulas.py").write_text(f"{line}\n")
    checked = run(tmp_path, "identities", "check", "formulas")
    assert checked.returncode == 2 and checked.stderr.count("\n") == 1, checked.stderr
    assert "formulas cannot be imported" in checked.stderr and "formulas.py, line 1" in checked.stderr
    assert "book.py" not in checked.stderr
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
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "smaller dims" in done.stderr, done.stderr


@pytest.mark.parametrize("body", ['raise RuntimeError("boom")', "return np.sum(np.asarray(x) ** 2)"])
def test_an_entry_that_cannot_be_evaluated_is_named_and_the_others_are_checked(tmp_path, body):
    broken = ENTRY.replace("FACTOR", "2").replace("return jnp.sum(x**2)", body).replace("import jax.numpy as jnp", HEAD)
    (tmp_path / "broken.py").write_text(broken)
    (tmp_path / "good.py").write_text(ENTRY.replace("FACTOR", "2"))
    done = run(tmp_path, "identities", "check", "broken", "good", "--dtype", "float64")
    assert done.returncode == 2 and "1 claims: 1 held" in done.stdout, done.stdout
    assert done.stderr.count("\n") == 1 and "broken: squares cannot be evaluated" in done.stderr
    assert f"at broken.py, line 11 (`{body}`)" in done.stderr
    found = json.loads(run(tmp_path, "identities", "check", "broken", "--json").stdout)
    assert not found["ok"] and found["verdicts"] == [] and "squares cannot be evaluated" in found["problems"][0]
    tested = run(tmp_path, "pytest", "-p", "identities.pytest_plugin", "--identities", "broken", "-q")
    assert tested.returncode == 1 and "at broken.py, line 11" in tested.stdout and "_trace" not in tested.stdout
