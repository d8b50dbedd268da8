"""The checks of one's own: jacobians, Hessians, differentials, custom rules, pytrees, precisions, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import identities
from identities.engine.errors import NoEvidence, NotFinite, TooLarge, UnsupportedDtype
from identities.engine.operands import Complex, Count, PosDef, Symmetric

RNG = np.random.default_rng(1)
A, B = RNG.standard_normal((2, 4, 4))
X, x, y = RNG.standard_normal((4, 3)), RNG.standard_normal(4), RNG.standard_normal(4)
S = A + A.T
z = x + 1j * y


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    """JAX as it comes: these functions are a user's, and strictness is for the book's own."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def quad(A, x):
    return x @ A @ x


def logdet(S):
    return jnp.linalg.slogdet(S)[1]


def free(S):
    G = jnp.linalg.inv(S).T
    return G + G.T - jnp.diag(jnp.diagonal(G))


def within(S):
    G = jnp.linalg.inv(S)
    return (G + G.T) / 2


def trace3(A, B, x):
    return jnp.trace(A @ B) + jnp.sum(x**2)


def gram(X):
    return jnp.linalg.slogdet(X.T @ X)[1]


def norm2(x):
    return jnp.sum(x**2)


def narrow(A, x):
    return ((A + A.T).astype(jnp.float32) @ x.astype(jnp.float32)).astype(x.dtype)


def tf32(A, x):
    """What a product in TF32 leaves: ten bits of mantissa in, float32 out."""
    cut = [v.astype(jnp.bfloat16).astype(jnp.float32) for v in (A + A.T, x)]
    return (cut[0] @ cut[1]).astype(x.dtype)


def modulus(z):
    return jnp.sum(jnp.abs(z) ** 2 * jnp.array([1.0, 2.0, 3.0, 4.0])) + jnp.real(jnp.sum(z**3))


check = identities.check_gradient
# diagnosis: what must be said, the call of which it is right, and one of which it must not be given
DIAGNOSES = {
    "not finite": (
        "not finite",
        lambda: check(lambda x: jnp.sum(jnp.log(x)), lambda x: 1 / x, -np.ones(3)),
        lambda: check(lambda x: jnp.sum(jnp.log(x)), lambda x: -1 / x, np.ones(3)),
    ),
    "numerator layout": (
        "transposed: it has shape (3, 4)",
        lambda: check(lambda X: jnp.sum(X**2), lambda X: 2 * X.T, X),
        lambda: check(lambda X: jnp.sum(X**2), lambda X: X, X),
    ),
    "wrong shape": (
        "wrong shape",
        lambda: check(norm2, lambda x: jnp.ones(3, x.dtype), x),
        lambda: check(norm2, lambda x: jnp.ones(4, x.dtype), x),
    ),
    "sign": ("wrong sign", lambda: check(norm2, lambda x: -2 * x, x), lambda: check(norm2, lambda x: -x, x)),
    "factor": (
        "constant factor: it is 3/2 times",
        lambda: check(norm2, lambda x: 3 * x, x),
        lambda: check(norm2, lambda x: 3 * x**2, x),
    ),
    "factor 4": (
        "constant factor: it is 4 times",
        lambda: check(norm2, lambda x: 8 * x, x),
        lambda: check(norm2, lambda x: 2.0 * x.shape[0] * x, x),
    ),
    "factor n": (
        "it is len(x) times the true one (len(x)=4 here)",
        lambda: check(norm2, lambda x: 2.0 * x.shape[0] * x, x),
        lambda: check(norm2, lambda x: 8 * x, x),
    ),
    "factor n of annotations": (
        "it is n times the true one",
        lambda: check(lambda x: jnp.mean(x**2), lambda x: 2 * x, Float[Array, "n"]),
        lambda: check(lambda x: jnp.mean(x**2), lambda x: x, Float[Array, "n"]),
    ),
    "transposed": (
        "transposed: its transpose is right",
        lambda: check(lambda A, B: jnp.trace(A @ B), lambda A, B: A, A, B, wrt="B"),
        lambda: check(lambda A, B: jnp.trace(A @ B), lambda A, B: -A, A, B, wrt="B"),
    ),
    "transposed and sign": (
        "transposed and of the wrong sign",
        lambda: check(lambda A, B: jnp.trace(A @ B), lambda A, B: -A, A, B, wrt="B"),
        lambda: check(lambda A, B: jnp.trace(A @ B), lambda A, B: A, A, B, wrt="B"),
    ),
    "A for A'": (
        "A stands where A' should",
        lambda: check(lambda A, x, y: y @ A @ x, lambda A, x, y: A @ y, A, x, y, wrt="x"),
        lambda: check(quad, lambda A, x: A @ x, A, x, wrt="x"),
    ),
    "first of two terms": (
        "only the first of two terms: the same term with A'",
        lambda: check(quad, lambda A, x: A @ x, A, x, wrt="x"),
        lambda: check(quad, lambda A, x: 2 * A @ x, A, x, wrt="x"),
    ),
    "needs symmetric": (
        "right only for symmetric A",
        lambda: check(quad, lambda A, x: 2 * A @ x, A, x, wrt="x"),
        lambda: check(quad, lambda A, x: A @ x, A, x, wrt="x"),
    ),
    "free entries": (
        "free-entry convention of a symmetric S",
        lambda: check(logdet, free, S),
        lambda: check(logdet, lambda S: 3 * free(S), S),
    ),
    "sym(G)": (
        "sym(G) = (G + G')/2",
        lambda: check(logdet, within, A),
        lambda: check(logdet, lambda S: 3 * within(S), A),
    ),
    "swapped": (
        "operands swapped: with x and y exchanged",
        lambda: check(lambda x, y: jnp.sum(jnp.exp(x) * y), lambda x, y: jnp.exp(y) * x, x, y),
        lambda: check(lambda x, y: jnp.sum(jnp.exp(x) * y), lambda x, y: jnp.exp(x) * x, x, y),
    ),
    "conjugated": (
        "conjugated",
        lambda: check(modulus, jax.grad(modulus), z),
        lambda: check(modulus, lambda z: 2 * jnp.conj(jax.grad(modulus)(z)), z),
    ),
    "diagonal input": (
        "right only for diagonal A",
        lambda: check(lambda A: jnp.trace(A @ A @ A), lambda A: 3 * A * A, A),
        lambda: check(lambda A: jnp.trace(A @ A @ A), lambda A: 3 * A @ A, A),
    ),
    "square input": (
        "right only at square shapes",
        lambda: check(gram, lambda X: 2 * jnp.linalg.pinv(X).T * X.shape[0] / X.shape[1], X),
        lambda: check(gram, lambda X: 3 * jnp.linalg.pinv(X).T, X),
    ),
    "one entry": (
        "one entry is wrong: [1]",
        lambda: check(norm2, lambda x: (2 * x).at[1].multiply(1.01), x),
        lambda: check(norm2, lambda x: (2 * x).at[:2].multiply(1.01), x),
    ),
    "one row": (
        "one row is wrong: 2",
        lambda: check(lambda X: jnp.sum(X**2), lambda X: (2 * X).at[2].multiply(2.0), X),
        lambda: check(lambda X: jnp.sum(X**2), lambda X: (2 * X).at[:, 2].multiply(2.0), X),
    ),
    "one column": (
        "one column is wrong: 2",
        lambda: check(lambda X: jnp.sum(X**2), lambda X: (2 * X).at[:, 2].multiply(2.0), X),
        lambda: check(lambda X: jnp.sum(X**2), lambda X: (2 * X).at[2].multiply(2.0), X),
    ),
    "diagonal": (
        "only the diagonal is wrong",
        lambda: check(lambda A: jnp.sum(A**2), lambda A: 2 * A + jnp.diag(jnp.diagonal(A)), A),
        lambda: check(lambda A: jnp.sum(A**2), lambda A: (2 * A).at[0, 1].add(1.0), A),
    ),
    "float32 inside": (
        "low precision: right to about",
        lambda: check(quad, narrow, A, x, wrt="x"),
        lambda: check(quad, lambda A, x: (1 + 1e-7) * ((A + A.T) @ x), A, x, wrt="x"),
    ),
    "TF32 inside": (
        "TF32 or bfloat16 arithmetic",
        lambda: check(quad, tf32, *RNG.standard_normal((1, 40, 40)), RNG.standard_normal(40), wrt="x"),
        lambda: check(quad, narrow, A, x, wrt="x"),
    ),
    "lost digits": (
        "loses digits",
        lambda: check(quad, lambda A, x: (1 + 1e-10) * ((A + A.T) @ x), A, x, wrt="x"),
        lambda: check(quad, lambda A, x: (1 + 1e-5) * ((A + A.T) @ x), A, x, wrt="x"),
    ),
    "kink": (
        "not differentiable here",
        lambda: check(jnp.linalg.norm, lambda x: 0 * x, np.zeros(3)),
        lambda: check(lambda x: jnp.linalg.norm(x) ** 2, lambda x: 2 * x, np.zeros(3)),
    ),
    "autodiff is not finite": (
        "right by differences; autodiff gives NaN",
        lambda: check(lambda x: jnp.linalg.norm(x) ** 2, lambda x: 2 * x, np.zeros(3)),
        lambda: check(lambda x: jnp.linalg.norm(x) ** 2, lambda x: 2 * x + 1, np.zeros(3)),
    ),
    "no simple explanation": (
        "",
        lambda: check(norm2, lambda x: jnp.cos(x), x),
        lambda: check(norm2, lambda x: x, x),
    ),
}


@pytest.mark.parametrize("name", DIAGNOSES)
def test_a_diagnosis_is_given_where_it_is_right_and_not_elsewhere(name):
    words, right, wrong = DIAGNOSES[name]
    verdict = right()
    assert verdict.ok is words.startswith("right by differences")
    assert words in verdict.diagnosis if words else verdict.diagnosis == "", verdict
    other = wrong().diagnosis
    assert words not in other if words else other != ""


def test_what_holds_at_special_operands_only_is_said_to():
    verdict = check(quad, lambda A, x: 2 * A @ x, S, x, wrt="x")
    assert verdict.ok and verdict.diagnosis == "holds here; not for general A (the one given is symmetric)"
    assert "not for general A" in str(verdict)
    verdict = check(lambda x: jnp.sum(x**3), lambda x: 3 * x, np.ones(3))
    assert verdict.ok and verdict.diagnosis.startswith("holds here; not at general operands")
    for right in (check(quad, lambda A, x: (A + A.T) @ x, S, x, wrt="x"), check(norm2, lambda x: 2 * x, np.ones(3))):
        assert right.ok and right.diagnosis == ""


def test_annotations_are_drawn_as_for_an_entry():
    verdict = check(quad, lambda A, x: 2 * A @ x, Symmetric[Array, "n n"], Float[Array, "n"], wrt="x")
    assert verdict.ok and len(verdict.shapes) == 3 and verdict.samples == 16
    assert not check(quad, lambda A, x: 2 * A @ x, Float[Array, "n n"], Float[Array, "n"], wrt="x").ok
    assert check(logdet, jnp.linalg.inv, PosDef[Array, "n n"]).ok
    verdict = check(gram, lambda X: 2 * jnp.linalg.pinv(X).T * X.shape[0] / X.shape[1], Float[Array, "m n"])
    assert not verdict.ok
    assert check(lambda z: jnp.sum(jnp.abs(z) ** 2), lambda z: 2 * z, Complex[Array, "n"]).ok
    assert check(lambda x, k: jnp.sum(x**k), lambda x, k: k * x ** (k - 1), Float[Array, "n"], Count[int, "2..4"]).ok


def test_structured_gradients():
    assert check(logdet, free, S @ S, entries="symmetric").ok
    assert check(logdet, within, S @ S, within="symmetric").ok
    assert not check(logdet, free, S @ S, within="symmetric").ok
    with pytest.raises(identities.engine.errors.OperandViolation, match="the operand given for S is not symmetric"):
        check(logdet, free, A, entries="symmetric")


def loss(p, x):
    return jnp.sum((p["W"] @ x + p["b"]) ** 2)


def loss_gradient(p, x, factor=1.0):
    r = 2 * (p["W"] @ x + p["b"])
    return {"W": jnp.outer(r, x), "b": factor * r}


P = {"W": X.T, "b": np.ones(3)}


def test_pytrees_and_tuples():
    assert check(loss, loss_gradient, P, x).ok
    verdicts = check(loss, functools.partial(loss_gradient, factor=0.5), P, x)
    assert [v.ok for v in verdicts] == [True, False]
    assert verdicts.failures[0].claim == "loss_dp_b" and "1/2" in verdicts.failures[0].diagnosis
    both = check(quad, lambda A, x: (jnp.outer(x, x), (A + A.T) @ x), A, x, wrt=("A", "x"))
    assert both.ok and len(both) == 2
    with pytest.raises(TypeError, match="the gradient must have the structure of operand p"):
        check(loss, lambda p, x: {"W": p["W"]}, P, x)
    with pytest.raises(TypeError, match="must return a tuple of 2"):
        check(quad, lambda A, x: A, A, x, wrt=(0, 1))


def test_jacobians():
    assert identities.check_jacobian(lambda A, x: A @ x, lambda A, x: A, A, x, wrt="x").ok
    verdict = identities.check_jacobian(lambda A, x: A @ x, lambda A, x: A.T, A, x, wrt="x")
    assert "transposed: its transpose is right" in verdict.diagnosis
    assert identities.check_jacobian(lambda z: z**2, lambda z: jnp.diag(2 * z), z).ok
    assert not identities.check_jacobian(lambda z: z**2, lambda z: jnp.diag(2 * jnp.conj(z)), z).ok
    assert identities.check_jacobian(jnp.conj, lambda z: jnp.eye(4, dtype=z.dtype), z, wirtinger="z*").ok
    assert identities.check_jacobian(jnp.square, lambda x: jnp.diag(2 * x), Float[Array, "n"]).ok


def test_hessians():
    assert identities.check_hessian(quad, lambda A, x: A + A.T, A, x, wrt="x").ok
    assert "right only for symmetric A" in identities.check_hessian(quad, lambda A, x: 2 * A, A, x, wrt="x").diagnosis
    bilinear = lambda A, x, y: x @ A @ y  # noqa: E731
    assert identities.check_hessian(bilinear, lambda A, x, y: A, A, x, y, wrt=("x", "y")).ok
    assert not identities.check_hessian(bilinear, lambda A, x, y: A.T, A, x, y, wrt=("x", "y")).ok
    f = lambda p: jnp.sum(p["a"] ** 3) * p["b"]  # noqa: E731
    verdicts = identities.check_hessian(f, jax.hessian(f), {"a": x, "b": 2.0})
    assert verdicts.ok and len(verdicts) == 4
    with pytest.raises(UnsupportedDtype, match="complex operand z"):
        identities.check_hessian(lambda z: jnp.sum(jnp.abs(z) ** 2), lambda z: z, z)


def test_differentials():
    inverse = jnp.linalg.inv
    right = lambda X, dX: -inverse(X) @ dX @ inverse(X)  # noqa: E731
    assert identities.check_differential(inverse, right, A).ok
    assert "wrong sign" in identities.check_differential(inverse, lambda X, dX: -right(X, dX), A).diagnosis
    assert not identities.check_differential(inverse, lambda X, dX: right(X, dX.T), A).ok
    both = lambda A, B: (A @ B, jnp.trace(A))  # noqa: E731
    along = lambda A, B, dA, dB: (dA @ B + A @ dB, jnp.trace(dA))  # noqa: E731
    assert identities.check_differential(both, along, A, B, wrt=("A", "B")).ok
    assert not identities.check_differential(both, lambda A, B, dA, dB: (dA @ B, jnp.trace(dA)), A, B, wrt=(0, 1)).ok


def custom_jvp(rule):
    @jax.custom_jvp
    def square(X):
        return X @ X

    square.defjvp(lambda primals, tangents: (primals[0] @ primals[0], rule(primals[0], tangents[0])))
    return square


def custom_vjp(backward, forward=lambda x, y: x * y):
    @jax.custom_vjp
    def product(x, y):
        return x * y

    product.defvjp(lambda x, y: (forward(x, y), (x, y)), lambda kept, g: backward(*kept, g))
    return product


def test_custom_rules():
    check = identities.check_custom_derivative
    assert check(custom_jvp(lambda X, D: D @ X + X @ D), A).ok
    # jax.test_util.check_grads passes this one at 32 x 32 in float32
    big = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    negated = custom_jvp(lambda X, D: -(D @ X + X @ D))
    assert "wrong sign" in check(negated, big)[1].diagnosis
    assert not check(custom_jvp(lambda X, D: D @ X), A).ok
    assert check(custom_vjp(lambda x, y, g: (g * y, g * x)), x, y).ok
    assert check(jax.jit(custom_vjp(lambda x, y, g: (g * y, g * x))), Float[Array, "n"], Float[Array, "n"]).ok
    value, by_x, by_y = check(custom_vjp(lambda x, y, g: (g * y, -g * x)), x, y)
    assert value.ok and by_x.ok and "wrong sign" in by_y.diagnosis
    value, by_x, _ = check(custom_vjp(lambda x, y, g: (g * y, g * x), lambda x, y: 2 * x * y), x, y)
    assert not value.ok and "2 times" in value.diagnosis
    assert check(custom_vjp(lambda x, y, g: (g * y, g * x)), x, y, against="differences").ok
    assert not check(custom_vjp(lambda x, y, g: (g * y, 1.01 * g * x)), x, y, against="differences").ok
    assert check(custom_vjp(lambda x, y, g: (g * y, g * x)), z, z).ok
    assert not check(custom_vjp(lambda x, y, g: (g * y, g * jnp.conj(x))), z, z).ok
    with pytest.raises(TypeError, match="carries no custom_jvp or custom_vjp"):
        check(jnp.sin, x)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_every_precision_passes_what_is_right_and_catches_five_percent(dtype):
    right, wrong = (lambda A, x, c=c: c * ((A + A.T) @ x) for c in (1.0, 1.05))
    operands = (jnp.asarray(A, dtype), jnp.asarray(x, dtype))
    verdict = check(quad, right, *operands, wrt="x", dtype=dtype)
    assert verdict.ok and verdict.dtype == dtype
    assert any("12.5%" in note for note in verdict.notes) == (dtype in ("bfloat16", "float16"))
    assert not check(quad, wrong, *operands, wrt="x", dtype=dtype).ok


def test_a_result_that_stays_in_a_lower_precision_is_judged_there():
    stays = check(quad, lambda A, x: ((A + A.T) @ x).astype(jnp.float32), A, x, wrt="x")
    assert stays.ok and stays.dtype == "float32" and "the gradient stays float32" in stays.notes[0]
    low = lambda A, x: quad(A.astype(jnp.float32), x.astype(jnp.float32))  # noqa: E731
    assert check(low, lambda A, x: (A + A.T) @ x, A, x, wrt="x").dtype == "float32"
    assert "right only for symmetric A" in check(low, lambda A, x: 2 * A @ x, A, x, wrt="x").diagnosis


def test_the_complex_step_is_taken_where_the_function_allows_it():
    f = lambda x: 1e4 + jnp.sum(x**2)  # noqa: E731
    verdict = check(f, lambda x: 2 * x, 1e-3 * x)
    assert verdict.ok and verdict.witness.method == "the complex step"
    kinked = check(lambda x: jnp.sum(jnp.abs(x)), jnp.sign, x)  # not analytic: differences stay the witness
    assert kinked.ok and kinked.witness.method == "differences"


def test_operands_that_are_no_floats_are_kept_as_they_are():
    pick = lambda x, i: jnp.sum(x[i] ** 2)  # noqa: E731
    gradient = lambda x, i: jnp.zeros_like(x).at[i].add(2 * x[i])  # noqa: E731
    assert check(pick, gradient, x, 2).ok and check(pick, gradient, x, np.array([2, 0])).ok
    power = lambda x, k, how: jnp.sum(x**k) if how == "sum" else jnp.mean(x**k)  # noqa: E731
    assert check(power, lambda x, k, how: k * x ** (k - 1), x, 3, "sum").ok
    verdict = check(norm2, lambda x: 2 * x, np.arange(3))
    assert verdict.ok and "integers of x were taken as float64" in verdict.notes[0]


def test_differences_alone():
    outside = lambda x: np.sum(np.asarray(x) ** 2)  # noqa: E731
    verdict = check(outside, lambda x: 2 * x, x, against="differences")
    assert verdict.ok and "differences alone" in verdict.notes[-1]
    assert "constant factor: it is 1/2" in check(outside, lambda x: x, x, against="differences").diagnosis
    f = lambda x: jnp.sum(x**3) * x[0]  # noqa: E731
    assert identities.check_hessian(f, jax.hessian(f), x, against="differences").ok
    assert not identities.check_hessian(f, lambda x: 1.001 * jax.hessian(f)(x), x, against="differences").ok


def callback(x):
    return jax.pure_callback(lambda v: np.asarray(v) ** 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x).sum()


def branches(x):
    return x if x > 0 else -x


def noisy(x):
    return jnp.sum(x) * float(np.random.default_rng().standard_normal())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check(lambda x: x, lambda x: x, x), ValueError, r"must return a real scalar, got float64\[4\]"),
        (lambda: check(lambda x: jnp.sum(x) + 0j, lambda x: x, x), ValueError, "real scalar, got complex128"),
        (lambda: check(lambda x: (x, x), lambda x: x, 1.0), ValueError, "must return a real scalar"),
        (lambda: check(callback, lambda x: 2 * x, x), ValueError, "cannot differentiate.*test_checks.py, line"),
        (lambda: check(branches, lambda x: 1.0, 1.0), ValueError, "test_checks.py, line .*return x if x > 0"),
        (lambda: check(noisy, lambda x: x, x), ValueError, "has side effects"),
        (lambda: check(norm2, lambda x: x, np.zeros((0, 3))), NoEvidence, r"shape \(0, 3\) and no entry"),
        (lambda: check(norm2, lambda x: x, [np.nan]), NotFinite, "x holds NaN"),
        (lambda: check(norm2, lambda x: x, np.array([True])), UnsupportedDtype, "must hold floating-point.*bool"),
        (lambda: check(norm2, lambda x: x, z, dtype="bfloat16"), UnsupportedDtype, "no complex bfloat16"),
        (lambda: check(norm2, lambda x: x, x, dtype="int32"), UnsupportedDtype, "dtype must be one of float64"),
        (lambda: check(norm2, lambda x: x, x, against="hope"), TypeError, "against must be"),
        (lambda: check(norm2, lambda x: x, x, entries="hope"), TypeError, "'hope' is unknown"),
        (lambda: check(quad, lambda A, x: x, Float[Array, "n n"], x), TypeError, "x is a value beside annotations"),
        (
            lambda: identities.check_jacobian(jnp.square, jnp.square, np.zeros((300, 300))),
            TooLarge,
            "8,100,000,000 numbers.*check_differential",
        ),
        (lambda: identities.check_hessian(norm2, jnp.outer, np.zeros(20_000)), TooLarge, "the Hessian would hold"),
        (lambda: identities.check_jacobian(lambda x: (x, x), lambda x: x, x), ValueError, "must return one array"),
    ],
)
def test_bad_input_is_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_odd_functions_get_a_verdict_that_says_so():
    assert check(lambda x: x**2, lambda x: 2 * x, 3.0).ok  # 0-d
    constant = check(lambda x: 3.0 + 0 * jnp.sum(x), lambda x: 0 * x, x)
    assert constant.ok and "does not depend on x" in constant.notes[0]
    ignores = check(lambda A, x: jnp.sum(A), lambda A, x: 0 * x, A, x, wrt="x")
    assert ignores.ok and "does not depend on x" in ignores.notes[0]
    assert not check(lambda A, x: jnp.sum(A), lambda A, x: x, A, x, wrt="x").ok
    undefined = check(lambda x: jnp.sum(jnp.sqrt(x)), lambda x: 0.5 / jnp.sqrt(x), -np.ones(3))
    assert not undefined.ok and "not finite" in undefined.problem
    imaginary = check(norm2, lambda x: 2j * x, x)
    assert not imaginary.ok and "complex128 for a real operand" in imaginary.problem
    broken = check(norm2, lambda x: x @ jnp.ones((7, 7), x.dtype), x)
    assert not broken.ok and "TypeError" in broken.problem
